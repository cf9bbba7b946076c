/* prepare.c: `llm kernels`: which kernels a model is run with, under which types, sizes and consts, as arguments of
 * `tilec build`: what `make llm-aot` builds.
 *
 * Steps of every kind go through the engine, which compiles what they need and runs none of it (engine.prepare):
 * prompts short enough to be taken row by row, and longer ones; a token of generation; all logits and their cost; every
 * way to sample; in both modes, with both kinds of activations. The runtime writes the list down (TILE_ASKED).
 */
#include "examples/llm/engine_impl.h"
#include "examples/llm/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct preparing {
    engine *e;
    tile_error *err;
} preparing;

static bool cost(void *ctx, int64_t first, int64_t n, const float *rows)
{
    static const int32_t targets[LOGIT_ROWS];
    const preparing *p = ctx;
    float out[LOGIT_ROWS];
    (void)first;
    return engine_nll(p->e, rows, targets, n, out, p->err);
}

static bool sampled(engine *e, tile_error *err)
{
    static const int32_t recent[1];
    int32_t id;
    sampling s = {.temperature = 0, .top_p = 1, .repeat_penalty = 1.5, .repeat_last = 1};
    if (!engine_sample(e, 0, &s, recent, 1, 0, &id, err))
        return false;
    s.temperature = 1;
    return engine_sample(e, 0, &s, recent, 1, 0, &id, err);
}

/* prompts of so many tokens, as far as the context reaches */
static bool prompts(engine *e, tile_error *err)
{
    static const int32_t lengths[] = {1, SHORT, SHORT + 1, TILE_ROWS + 1, 4 * TILE_ROWS, CHUNK};
    static const int32_t ids[CHUNK];
    preparing p = {e, err};
    for (size_t i = 0; i < COUNTOF(lengths) && lengths[i] <= e->o.context; i++) {
        engine_truncate(e, 0, 0);
        if (!engine_eval(e, 0, ids, lengths[i], LOGITS_LAST, NULL, NULL, err))
            return false;
        engine_truncate(e, 0, 0);
        if (!engine_eval(e, 0, ids, lengths[i], LOGITS_ALL, cost, &p, err))
            return false;
    }
    engine_truncate(e, 0, 0);
    return true;
}

bool engine_prepare(engine *e, tile_error *err)
{
    static const int32_t id;
    e->prepare = e->profile = true; /* steps that are profiled aren't captured */
    bool ok = prompts(e, err) && engine_decode(e, &id, 1, err) && sampled(e, err) && engine_read_rate(e, err) > 0;
    e->prepare = e->profile = false;
    engine_truncate(e, 0, 0);
    return ok;
}

int run_kernels(const options *o)
{
    session s;
    options each = *o;
    tile_error err;
    int code = 0;
    if (!o->out) {
        complain("give --out=LIST.txt");
        return EXIT_USAGE;
    }
    FILE *f = fopen(o->out, "wb"); /* the runtime adds lines to it */
    bool writable = f && fclose(f) == 0;
    f = NULL;
    if (!writable || setenv("TILE_ASKED", o->out, 1) != 0)
        return complain("cannot write '%s': %s", o->out, strerror(errno));
    for (int i = 0; i < 4 && !code; i++) {
        each.mode = i & 1 ? "eager" : "compiled";
        each.act = i & 2 ? "f32" : "i8";
        code = session_open(&s, &each, true);
        if (code)
            break;
        if (!engine_prepare(s.eng, &err))
            code = complain_error(&err);
        session_close(&s);
    }
    if (!code && (!(f = fopen(o->out, "rb")) || fgetc(f) == EOF))
        code = complain("the kernels of this program are part of it: `llm` lists what a model needs");
    if (f)
        fclose(f);
    if (code)
        unlink(o->out);
    return code;
}
