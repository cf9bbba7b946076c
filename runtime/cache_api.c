/* cache_api.c: the disk cache as tile.h shows it. */
#include "runtime/runtime.h"

#include <stdio.h>

typedef struct sum_job {
    arena a;
    bool clear;
    tile_cache *out;
    tile_error *err;
    int code;
} sum_job;

static void run_sum(void *ctx)
{
    sum_job *j = ctx;
    cache_sums sums;
    int64_t limit;
    str why, folder = cache_folder(&j->a);
    j->code = TILE_OK;
    if (!cache_limit(&j->a, &limit, &why) && !j->clear)
        j->code = rt_fail(j->err, TILE_E_ARGUMENT, "%.*s", STR_ARG(why));
    if (!cache_sum(&j->a, folder, j->clear, &sums, &why))
        j->code = rt_fail(j->err, TILE_E_DEVICE, "%.*s", STR_ARG(why));
    if (!j->out)
        return;
    snprintf(j->out->path, sizeof j->out->path, "%.*s", STR_ARG(folder));
    j->out->entries = sums.entries;
    j->out->bytes = sums.bytes;
    j->out->choices = sums.choices;
    j->out->limit = limit;
}

static int sum(bool clear, tile_cache *out, tile_error *err)
{
    sum_job j = {.clear = clear, .out = out, .err = err, .code = TILE_OK};
    rt_clear(err);
    arena_init(&j.a, 0);
    if (!arena_try(&j.a, run_sum, &j))
        j.code = rt_fail(err, TILE_E_MEMORY, "no memory to read the cache");
    arena_fini(&j.a);
    return j.code;
}

int tile_cache_stats(tile_cache *out, tile_error *err)
{
    *out = (tile_cache){0};
    return sum(false, out, err);
}

int tile_cache_clear(tile_error *err)
{
    return sum(true, NULL, err);
}
