/* sampler.c: logits to the next token: a repetition penalty on what came last, then a draw. Both are kernels of the
 * library (sampling.tile, argmax.tile); the order of the filters and the random numbers are theirs. */
#include "examples/llm/engine_impl.h"

#define T(t) tile_arg_tensor(&(t))

static bool penalise(engine *e, tile_tensor *logits, const sampling *s, const int32_t *recent, int64_t n)
{
    int32_t ids[REPEAT_LIMIT];
    int64_t last = s->repeat_last < REPEAT_LIMIT ? s->repeat_last : REPEAT_LIMIT;
    for (int64_t i = 0; i < REPEAT_LIMIT; i++)
        ids[i] = i < last && i < n ? recent[n - 1 - i] : -1;
    tile_tensor list = tensor2(e->recent, TILE_I32, 1, REPEAT_LIMIT);
    tile_arg args[] = {T(*logits), T(list), tile_arg_float(s->repeat_penalty), tile_arg_float(0.0)};
    return tile_write(e->dev, e->recent, ids, sizeof ids, e->err) == TILE_OK &&
           op_launch(e, e->k[K_PENALISE], K_PENALISE, args, 4, 0);
}

static bool greatest(engine *e, tile_tensor *logits, tile_tensor *out)
{
    tile_arg args[] = {T(*logits), T(*out)};
    return op_launch(e, e->k[K_ARGMAX], K_ARGMAX, args, 2, 0);
}

static bool draw(engine *e, tile_tensor *logits, const sampling *s, int64_t at, tile_tensor *out)
{
    int64_t seed = (int64_t)s->seed;
    int32_t step = (int32_t)at;
    tile_tensor seeds = tensor1(e->seeds, TILE_I64, 1), pos = tensor1(e->recent, TILE_I32, 1);
    tile_arg args[] = {T(*logits),
                       T(*out),
                       T(seeds),
                       T(pos),
                       tile_arg_float(s->temperature),
                       tile_arg_int(s->top_k),
                       tile_arg_float(s->top_p),
                       tile_arg_float(s->min_p)};
    return tile_write(e->dev, e->seeds, &seed, sizeof seed, e->err) == TILE_OK &&
           tile_write(e->dev, e->recent, &step, sizeof step, e->err) == TILE_OK &&
           op_launch(e, e->k[K_SAMPLE], K_SAMPLE, args, 8, 0);
}

bool engine_sample(engine *e, int32_t row, const sampling *s, const int32_t *recent, int64_t nrecent, int64_t step,
                   int32_t *id, tile_error *err)
{
    tile_error dropped;
    e->err = err ? err : &dropped;
    tile_tensor logits = tensor2(engine_logits(e, row), TILE_F32, 1, e->p->vocab);
    tile_tensor out = tensor1(e->picked, TILE_I32, 1);
    if (s->repeat_penalty != 1.0 && s->repeat_last > 0 && nrecent > 0 && !penalise(e, &logits, s, recent, nrecent))
        return false;
    bool ok = s->temperature > 0 ? draw(e, &logits, s, step, &out) : greatest(e, &logits, &out);
    return ok && tile_read(e->dev, id, e->picked, sizeof *id, e->err) == TILE_OK;
}

#undef T
