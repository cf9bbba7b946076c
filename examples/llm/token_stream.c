/* token_stream.c: ids back to text, as they come.
 *
 * A token's bytes may end within a character. What could still become one is held (three bytes at most) until the next
 * token completes it, or shows that it never will. The buffer holds what was given out, then what is held.
 */
#include "examples/llm/tokenizer_parts.h"
#include "examples/llm/utf8.h"

#include <stdlib.h>
#include <string.h>

bool token_stream_init(token_stream *s, const tokenizer *t, bool show_control, tile_error *err)
{
    *s = (token_stream){.t = t, .show_control = show_control, .buf = malloc(t->longest + 8)};
    if (!s->buf && err) {
        err->code = TILE_E_MEMORY;
        memcpy(err->text, "out of memory", sizeof "out of memory");
    }
    return s->buf != NULL;
}

void token_stream_fini(token_stream *s)
{
    free(s->buf);
    s->buf = NULL;
}

str token_stream_put(token_stream *s, int32_t id)
{
    memmove(s->buf, s->buf + s->given, s->held);
    s->given = 0;
    if (tokenizer_control(s->t, id) && !s->show_control)
        return S("");
    str p = tokenizer_piece(s->t, id);
    if (!s->begun && s->t->v->kind == VOCAB_SPM && s->t->v->space && p.n && p.p[0] == ' ')
        p = (str){p.p + 1, p.n - 1};
    s->begun = true;
    if (p.n)
        memcpy(s->buf + s->held, p.p, p.n);
    size_t all = s->held + p.n;
    s->held = utf8_cut_tail((str){s->buf, all});
    s->given = all - s->held;
    return (str){s->buf, s->given};
}

str token_stream_end(token_stream *s)
{
    str rest;
    memmove(s->buf, s->buf + s->given, s->held);
    rest = (str){s->buf, s->held};
    s->given = s->held = 0;
    s->begun = false;
    return rest;
}
