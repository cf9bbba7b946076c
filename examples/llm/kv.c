/* kv.c: the caches of keys and values, f16[layers, 2, sequences, kv_heads, context, head_dim].
 *
 * On a device that works in the process's memory the whole is one anonymous mapping: a page becomes memory when a
 * position in it is first written, so a context of 100,000 costs what is used of it. It starts as zeros everywhere:
 * what lies beyond a sequence's length is read by kernels in whole blocks, times a weight of 0, and must be no NaN.
 */
#include "examples/llm/engine_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static void *reserve(engine *e)
{
    if (e->host) {
        void *p = mmap(NULL, e->kv.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        e->kv.mapped = p != MAP_FAILED;
        if (e->kv.mapped)
            return p;
        e->err->code = TILE_E_MEMORY;
        snprintf(e->err->text, sizeof e->err->text, "no memory for a cache of %llu bytes; give a smaller context",
                 (unsigned long long)e->kv.bytes);
        return NULL;
    }
    void *p = tile_alloc(e->dev, (int64_t)e->kv.bytes, e->err);
    if (p && tile_fill(e->dev, NULL, p, 0, (int64_t)e->kv.bytes, e->err) != TILE_OK) {
        tile_free(e->dev, p);
        p = NULL;
    }
    return p;
}

bool kv_init(engine *e)
{
    const model_params *p = e->p;
    int64_t sizes[4] = {e->o.sequences, p->kv_heads, e->o.context, p->head_dim};
    uint64_t each = sizeof(uint16_t);
    bool over = false;
    for (int i = 0; i < 4; i++)
        over |= __builtin_mul_overflow(each, (uint64_t)sizes[i], &each);
    over |= __builtin_mul_overflow(each, 2 * (uint64_t)p->layers, &e->kv.bytes) || e->kv.bytes >> 46;
    if (over) {
        e->err->code = TILE_E_ARGUMENT;
        snprintf(e->err->text, sizeof e->err->text, "a context of %lld positions is too large",
                 (long long)e->o.context);
        return false;
    }
    e->kv.length = ARENA_ARRAY(&e->a, int64_t, (size_t)e->o.sequences);
    e->kv.tokens = calloc((size_t)e->o.sequences * (size_t)e->o.context, sizeof *e->kv.tokens);
    e->kv.at = e->kv.tokens ? reserve(e) : NULL;
    if (!e->kv.tokens) {
        e->err->code = TILE_E_MEMORY;
        snprintf(e->err->text, sizeof e->err->text, "out of memory");
    }
    for (int32_t i = 0; e->kv.at && i < p->layers; i++) {
        char *k = (char *)e->kv.at + 2 * (uint64_t)i * each;
        e->layers[i].keys = tile_tensor_of(k, TILE_F16, 4, sizes);
        e->layers[i].values = tile_tensor_of(k + each, TILE_F16, 4, sizes);
    }
    return e->kv.at != NULL;
}

void kv_fini(engine *e)
{
    free(e->kv.tokens);
    if (e->kv.at && e->kv.mapped)
        munmap(e->kv.at, e->kv.bytes);
    else if (e->kv.at)
        tile_free(e->dev, e->kv.at);
}

int64_t engine_length(const engine *e, int32_t seq)
{
    return e->kv.length[seq];
}

void engine_truncate(engine *e, int32_t seq, int64_t length)
{
    if (length < e->kv.length[seq])
        e->kv.length[seq] = length < 0 ? 0 : length;
}

int64_t engine_reuse(engine *e, int32_t seq, const int32_t *ids, int64_t n)
{
    const int32_t *have = e->kv.tokens + (int64_t)seq * e->o.context;
    int64_t same = 0;
    while (same < n - 1 && same < e->kv.length[seq] && have[same] == ids[same])
        same++;
    engine_truncate(e, seq, same);
    return same;
}

void kv_note(engine *e, int32_t seq, const int32_t *ids, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        e->kv.tokens[(int64_t)seq * e->o.context + e->kv.length[seq]++] = ids[i];
}
