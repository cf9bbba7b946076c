/* generate.c: `llm generate`: continues a text. Only new text goes to stdout. */
#include "examples/llm/reply.h"
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(void *ctx, str text)
{
    (void)ctx;
    fwrite(text.p, 1, text.n, stdout);
    fflush(stdout);
}

/* the oldest half goes */
static bool drop_half(void *ctx, token_list *tokens, str so_far)
{
    (void)ctx, (void)so_far;
    size_t keep = tokens->n / 2;
    memmove(tokens->at, tokens->at + (tokens->n - keep), keep * sizeof *tokens->at);
    tokens->n = keep;
    return keep > 0;
}

static int generate(session *s, const options *o, str prompt)
{
    tile_error err;
    token_list ids = {0};
    reply r = {.s = s, .stops = o->stops, .nstops = o->nstops, .limit = o->n, .put = put};
    int code = 0;
    session_sampling(o, false, &r.how);
    if (o->context_shift)
        r.shift = drop_half;
    if (!tokenizer_encode(s->tok, prompt, TOK_BOS | TOK_SPECIAL, &ids, &err))
        code = complain_error(&err);
    else if (!ids.n)
        code = complain("the prompt is empty, and this model has no token to begin with");
    else if ((int64_t)ids.n > engine_context(s->eng))
        code = complain("the prompt has %zu tokens, the context %lld", ids.n, (long long)engine_context(s->eng));
    else {
        reply_end end = reply_run(&r, &ids, &err);
        if (end == REPLY_FAULT)
            code = complain_error(&err);
        else {
            fprintf(stderr, "\n");
            if (end == REPLY_CONTEXT)
                fprintf(stderr, "[the context of %lld tokens is full]\n", (long long)engine_context(s->eng));
            reply_rates(&r, true);
        }
    }
    reply_fini(&r);
    token_list_free(&ids);
    return code;
}

int run_generate(const options *o)
{
    session s;
    str text = str_of(o->prompt), file = {0};
    if (!o->prompt == !o->file) {
        complain("give either -p TEXT or -f FILE");
        return EXIT_USAGE;
    }
    if (o->file && !read_text(o->file, &file))
        return EXIT_FAULT;
    int code = session_open(&s, o, true);
    if (!code) {
        code = generate(&s, o, o->file ? file : text);
        session_close(&s);
    }
    free((char *)(uintptr_t)file.p);
    return code;
}
