/* reply.h: from tokens to a stream of text: evaluates what the cache lacks, draws token after token, holds back what
 * may yet become a stop string, and says why it ended. */
#ifndef TILE_LLM_REPLY_H
#define TILE_LLM_REPLY_H

#include "examples/llm/options.h"

#include <signal.h>

typedef enum reply_end {
    REPLY_FAULT,   /* *err says what */
    REPLY_DONE,    /* an end-of-generation token */
    REPLY_STOP,    /* a stop string */
    REPLY_LENGTH,  /* as many tokens as were asked for */
    REPLY_CONTEXT, /* no position is left */
    REPLY_HALTED   /* *halt was set */
} reply_end;

typedef struct reply {
    session *s;
    sampling how;
    const char *const *stops;
    int32_t nstops;
    int64_t limit;                     /* of new tokens; below 0: none */
    const volatile sig_atomic_t *halt; /* may be NULL */
    void (*put)(void *ctx, str text);
    /* the context is full: makes `tokens` shorter, keeping its end; false: it can't. NULL: the reply ends */
    bool (*shift)(void *ctx, token_list *tokens, str so_far);
    void *ctx;
    /* what came of it */
    str text; /* of this reply, malloc'ed; reply_fini frees it */
    size_t cap;
    int64_t prompt_tokens, reused, new_tokens;
    double prompt_seconds, seconds, first; /* first: from the start to the first token */
} reply;

/* reply.c: `tokens` is the whole context; those of the cache that it begins with are not evaluated again; the new ones
 * are appended */
reply_end reply_run(reply *r, token_list *tokens, tile_error *err);
void reply_fini(reply *r);
/* "prompt 31 tokens, 512.0 tok/s; generated 40 tokens, 170.2 tok/s", to stderr */
void reply_rates(const reply *r, bool with_load);

#endif
