/* reply.c: one reply. The cache holds the tokens that were evaluated last, which `cached` remembers by comparing: a
 * context that begins as the one before is only evaluated from where they part. */
#include "examples/llm/reply.h"
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool append(reply *r, str s, tile_error *err)
{
    if (r->text.n + s.n + 1 > r->cap) {
        size_t cap = 2 * (r->text.n + s.n) + 256;
        char *p = realloc((char *)(uintptr_t)r->text.p, cap);
        if (!p) {
            err->code = TILE_E_MEMORY;
            snprintf(err->text, sizeof err->text, "out of memory");
            return false;
        }
        r->text.p = p;
        r->cap = cap;
    }
    if (s.n)
        memcpy((char *)(uintptr_t)r->text.p + r->text.n, s.p, s.n);
    r->text.n += s.n;
    return true;
}

/* where a stop string begins at or after `from`, else the text's length; *held: where one may begin that is not whole
 */
static size_t find_stop(const reply *r, size_t from, size_t *held)
{
    size_t n = r->text.n;
    *held = n;
    for (size_t i = from; i < n; i++)
        for (int32_t k = 0; k < r->nstops; k++) {
            size_t len = strlen(r->stops[k]), left = n - i;
            if (!len || memcmp(r->text.p + i, r->stops[k], left < len ? left : len) != 0)
                continue;
            if (left >= len)
                return i;
            if (*held == n)
                *held = i;
        }
    return n;
}

/* gives out what is certain; true where a stop string has come */
static bool give(reply *r, size_t *given, bool last)
{
    size_t held, stop = find_stop(r, *given, &held), to = stop < r->text.n ? stop : last ? r->text.n : held;
    bool stopped = stop < r->text.n;
    if (to > *given && r->put) {
        r->s->streaming = true;
        r->put(r->ctx, (str){r->text.p + *given, to - *given});
    }
    *given = to;
    if (stopped)
        r->text.n = stop;
    return stopped;
}

static bool halted(const reply *r)
{
    return r->halt && *r->halt;
}

/* what the cache lacks of `tokens`, by the engine's own chunks, so that it can be stopped between them */
static reply_end evaluate(reply *r, const token_list *tokens, tile_error *err)
{
    engine *e = r->s->eng;
    int64_t n = (int64_t)tokens->n, m;
    for (int64_t i = engine_reuse(e, 0, tokens->at, n); i < n; i += m) {
        m = n - i < ENGINE_CHUNK ? n - i : ENGINE_CHUNK;
        if (halted(r))
            return REPLY_HALTED;
        if (!engine_eval(e, 0, tokens->at + i, m, i + m < n ? LOGITS_NONE : LOGITS_LAST, NULL, NULL, err))
            return REPLY_FAULT;
    }
    return REPLY_DONE;
}

/* room for one token more, or an end */
static reply_end make_room(reply *r, token_list *tokens, bool *again, tile_error *err)
{
    *again = false;
    if ((int64_t)tokens->n <= engine_context(r->s->eng))
        return REPLY_DONE;
    if (!r->shift)
        return REPLY_CONTEXT;
    do {
        size_t before = tokens->n;
        if (!r->shift(r->ctx, tokens, r->text) || tokens->n >= before)
            return REPLY_CONTEXT;
    } while ((int64_t)tokens->n > engine_context(r->s->eng));
    *again = true;
    return evaluate(r, tokens, err);
}

static reply_end draw_all(reply *r, token_list *tokens, token_stream *stream, double start, size_t *given,
                          tile_error *err)
{
    for (;; r->new_tokens++) {
        int32_t id;
        bool again;
        if (halted(r))
            return REPLY_HALTED;
        if (r->limit >= 0 && r->new_tokens >= r->limit)
            return REPLY_LENGTH;
        if (!engine_sample(r->s->eng, 0, &r->how, tokens->at, (int64_t)tokens->n, (int64_t)tokens->n, &id, err))
            return REPLY_FAULT;
        if (!r->new_tokens)
            r->first = clock_now() - start;
        if (tokenizer_ends(r->s->tok, id))
            return REPLY_DONE;
        if (!token_list_push(tokens, id)) {
            err->code = TILE_E_MEMORY;
            snprintf(err->text, sizeof err->text, "out of memory");
            return REPLY_FAULT;
        }
        if (!append(r, token_stream_put(stream, id), err))
            return REPLY_FAULT;
        if (give(r, given, false)) {
            r->new_tokens++;
            return REPLY_STOP;
        }
        reply_end end = make_room(r, tokens, &again, err);
        if (end != REPLY_DONE) {
            r->new_tokens++;
            return end;
        }
        if (!again && r->new_tokens + 1 != r->limit && !engine_decode(r->s->eng, &id, 1, err))
            return REPLY_FAULT;
    }
}

reply_end reply_run(reply *r, token_list *tokens, tile_error *err)
{
    token_stream stream;
    size_t given = 0;
    double start = clock_now();
    if (!token_stream_init(&stream, r->s->tok, false, err))
        return REPLY_FAULT;
    r->reused = engine_reuse(r->s->eng, 0, tokens->at, (int64_t)tokens->n);
    r->prompt_tokens = (int64_t)tokens->n - r->reused;
    reply_end end = evaluate(r, tokens, err);
    if (end == REPLY_DONE) {
        r->prompt_seconds = clock_now() - start;
        end = draw_all(r, tokens, &stream, start, &given, err);
        r->seconds = clock_now() - start - r->prompt_seconds;
    }
    if (end != REPLY_FAULT && end != REPLY_STOP && append(r, token_stream_end(&stream), err))
        give(r, &given, true);
    r->s->streaming = false;
    token_stream_fini(&stream);
    return end;
}

void reply_fini(reply *r)
{
    free((char *)(uintptr_t)r->text.p);
    r->text = (str){0};
    r->cap = 0;
}

static double rate(int64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

void reply_rates(const reply *r, bool with_load)
{
    fprintf(stderr, "[");
    if (with_load)
        fprintf(stderr, "load %.2f s; ", r->s->load_seconds);
    /* the first token comes with the prompt */
    int64_t n = r->new_tokens > 0 ? r->new_tokens - 1 : 0;
    fprintf(stderr, "prompt %lld tokens, %.1f tok/s; generated %lld tokens, %.1f tok/s]\n", (long long)r->prompt_tokens,
            rate(r->prompt_tokens, r->prompt_seconds), (long long)r->new_tokens, rate(n, r->seconds));
}
