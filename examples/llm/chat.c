/* chat.c: `llm chat`: turns of a talk, streamed. With -p it asks once and ends.
 *
 * Each turn the whole talk is put through the chat template anew and turned into tokens; what the cache already holds
 * of these is not evaluated again (engine_reuse), so a template may do with earlier turns what it likes. A context that
 * fills in the middle of a reply ends it with a line that says so, or, with --context-shift, drops the oldest question
 * and its answer and goes on.
 */
#include "examples/llm/line.h"
#include "examples/llm/reply.h"
#include "examples/llm/template.h"
#include "base/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct chat {
    session s;
    const options *o;
    chat_template *form;
    chat_message *turns;
    uint32_t n, cap;
    bool system; /* turns[0] is the system message */
    sampling how;
    tile_error err;
} chat;

static bool out_of_memory(chat *c)
{
    c->err.code = TILE_E_MEMORY;
    snprintf(c->err.text, sizeof c->err.text, "out of memory");
    return false;
}

static bool add_turn(chat *c, str role, str text)
{
    if (c->n == c->cap) {
        chat_message *more = realloc(c->turns, (2 * c->cap + 8) * sizeof *more);
        if (!more)
            return out_of_memory(c);
        c->turns = more;
        c->cap = 2 * c->cap + 8;
    }
    char *copy = malloc(text.n + 1);
    if (!copy)
        return out_of_memory(c);
    if (text.n) /* nothing lies at no place */
        memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    c->turns[c->n++] = (chat_message){role, {copy, text.n}};
    return true;
}

static void drop_turns(chat *c, uint32_t from, uint32_t n)
{
    for (uint32_t i = from; i < from + n; i++)
        free((char *)(uintptr_t)c->turns[i].content.p);
    memmove(c->turns + from, c->turns + from + n, (c->n - from - n) * sizeof *c->turns);
    c->n -= n;
}

/* the talk so far, and the beginning of a reply, as tokens */
static bool talk_tokens(chat *c, str so_far, token_list *out)
{
    const tokenizer *t = c->s.tok;
    int32_t bos = tokenizer_bos(t), eos = tokenizer_eos(t);
    template_input in = {.messages = c->turns, .count = c->n, .add_generation_prompt = true, .now = time(NULL)};
    str text;
    in.bos = bos >= 0 ? tokenizer_spelling(t, bos) : S("");
    in.eos = eos >= 0 ? tokenizer_spelling(t, eos) : S("");
    if (!template_render(c->form, &in, &text, &c->err))
        return false;
    out->n = 0;
    /* a template that writes BOS itself gets none from the tokenizer */
    bool has_bos = in.bos.n && str_starts(text, in.bos);
    bool ok = tokenizer_encode(t, text, has_bos ? TOK_SPECIAL : TOK_SPECIAL | TOK_BOS, out, &c->err) &&
              (!so_far.n || tokenizer_encode(t, so_far, TOK_PART, out, &c->err));
    free((char *)(uintptr_t)text.p);
    return ok;
}

static void put(void *ctx, str text)
{
    (void)ctx;
    fwrite(text.p, 1, text.n, stdout);
    fflush(stdout);
}

/* drops the oldest question with its answer; the one that is being answered stays */
static bool drop_oldest(void *ctx, token_list *tokens, str so_far)
{
    chat *c = ctx;
    uint32_t first = c->system ? 1 : 0;
    if (c->n < first + 3)
        return false;
    drop_turns(c, first, 2);
    return talk_tokens(c, so_far, tokens);
}

/* asks what turns end with; the answer becomes a turn */
static bool answer(chat *c, bool once)
{
    token_list ids = {0};
    reply r = {.s = &c->s, .how = c->how, .stops = c->o->stops, .nstops = c->o->nstops, .limit = c->o->n};
    r.halt = line_halted();
    r.put = put;
    r.ctx = c;
    r.shift = c->o->context_shift ? drop_oldest : NULL;
    line_listen();
    bool ok = talk_tokens(c, (str){0}, &ids);
    while (ok && (int64_t)ids.n > engine_context(c->s.eng) && r.shift && drop_oldest(c, &ids, (str){0}))
        ;
    reply_end end = REPLY_FAULT;
    if (ok && (int64_t)ids.n > engine_context(c->s.eng)) {
        printf("[the talk has %zu tokens, the context %lld: /reset begins anew]", ids.n,
               (long long)engine_context(c->s.eng));
        end = REPLY_CONTEXT;
    } else if (ok) {
        end = reply_run(&r, &ids, &c->err);
        ok = end != REPLY_FAULT;
        if (end == REPLY_CONTEXT)
            printf("\n[the context of %lld tokens is full]", (long long)engine_context(c->s.eng));
        if (end == REPLY_HALTED)
            printf("\n[stopped]");
    }
    printf("\n");
    fflush(stdout);
    if (ok && (once || c->o->verbose))
        reply_rates(&r, once);
    if (ok)
        ok = add_turn(c, S("assistant"), r.text);
    reply_fini(&r);
    token_list_free(&ids);
    return ok;
}

static bool ask(chat *c, str text, bool once)
{
    uint32_t before = c->n;
    if (add_turn(c, S("user"), text) && answer(c, once))
        return true;
    if (c->n > before)
        drop_turns(c, before, c->n - before);
    return false;
}

static void reset(chat *c)
{
    drop_turns(c, c->system ? 1 : 0, c->n - (c->system ? 1 : 0));
    engine_truncate(c->s.eng, 0, 0);
}

static void say_help(void)
{
    printf("/reset forgets the talk, /quit (or Ctrl-D) ends, Ctrl-C stops a reply.\n"
           "A line that ends in \\ goes on in the next; a text between two lines of \"\"\" is one message.\n");
}

static int talk(chat *c)
{
    str line;
    line_reader *in = line_open();
    if (!in)
        return complain("out of memory");
    if (line_terminal(in))
        printf("%s. /help says what there is.\n", model_title(c->s.model));
    while (line_read(in, &line)) {
        if (str_eq(line, S("/quit")) || str_eq(line, S("/exit")))
            break;
        if (str_eq(line, S("/reset")))
            reset(c);
        else if (str_eq(line, S("/help")))
            say_help();
        else if (line.n && line.p[0] == '/' && line.n < 16 && !memchr(line.p, ' ', line.n))
            printf("no such command; /help says what there is\n");
        else if (line.n && !ask(c, line, false))
            complain("%s", c->err.text);
    }
    line_close(in);
    return 0;
}

static bool make_template(chat *c)
{
    str text = model_chat_template(c->s.model), file = {0};
    if (c->o->chat_template) {
        if (!read_text(c->o->chat_template, &file)) {
            c->err.text[0] = 0;
            return false;
        }
        text = file;
    }
    if (!text.n) {
        c->err.code = TILE_E_MISSING;
        snprintf(c->err.text, sizeof c->err.text, "the model has no chat template; give one with --template");
        return false;
    }
    c->form = template_new(text, &c->err);
    free((char *)(uintptr_t)file.p);
    return c->form != NULL;
}

static int chat_all(chat *c)
{
    str file = {0}, question = str_of(c->o->prompt);
    session_sampling(c->o, true, &c->how);
    if (!make_template(c))
        return c->err.text[0] ? complain_error(&c->err) : EXIT_FAULT;
    if (c->o->system) {
        if (!add_turn(c, S("system"), str_of(c->o->system)))
            return complain_error(&c->err);
        c->system = true;
    }
    if (c->o->file) {
        if (!read_text(c->o->file, &file))
            return EXIT_FAULT;
        question = file;
    }
    if (!c->o->prompt && !c->o->file)
        return talk(c);
    int code = ask(c, question, true) ? 0 : complain_error(&c->err);
    free((char *)(uintptr_t)file.p);
    return code;
}

int run_chat(const options *o)
{
    chat c = {.o = o};
    int code = session_open(&c.s, o, true);
    if (code)
        return code;
    code = chat_all(&c);
    drop_turns(&c, 0, c.n);
    free(c.turns);
    if (c.form)
        template_free(c.form);
    session_close(&c.s);
    return code;
}
