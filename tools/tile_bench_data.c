/* tile_bench_data.c: random data. The i-th number of a seed is a function of both alone (splitmix64, then Box and
 * Muller's transform on pairs), so threads can fill spans of it in any order.
 */
#include "tools/tile_bench.h"

#include <math.h>
#include <stdlib.h>

num_fmt data_format(tile_dtype dt)
{
    return dt == TILE_BF16 ? NUM_BF16 : NUM_F16;
}

const char *data_name(tile_dtype dt)
{
    return dt == TILE_BF16 ? "bfloat16" : "float16";
}

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

typedef struct fill_job {
    tile_dtype dt;
    uint64_t seed;
    double by;
    int64_t n;
    uint16_t *bits;
    float *values;
} fill_job;

static void fill_span(void *ctx, int64_t first, int64_t last, int thread)
{
    const fill_job *j = ctx;
    num_fmt f = data_format(j->dt);
    (void)thread;
    for (int64_t p = first; p < last; p++) {
        uint64_t r = mix(j->seed * 0x2545f4914f6cdd1du + (uint64_t)p);
        float u = ((float)(r >> 40) + 1) * 0x1p-24f, angle = (float)(r & 0xffffff) * (6.2831853f * 0x1p-24f);
        float length = sqrtf(-2 * logf(u)) * (float)j->by, x[2] = {length * cosf(angle), length * sinf(angle)};
        for (int64_t k = 0; k < 2 && 2 * p + k < j->n; k++) {
            uint64_t bits = num_encode(f, (double)x[k]);
            j->bits[2 * p + k] = (uint16_t)bits;
            if (j->values)
                j->values[2 * p + k] = (float)num_decode(f, bits);
        }
    }
}

void data_normal(bench *b, tile_dtype dt, uint64_t seed, double by, int64_t n, uint16_t *bits, float *values)
{
    fill_job j = {dt, mix(seed), by, n, bits, values};
    pool_run(b->threads, fill_span, &j, (n + 1) / 2, 1 << 14);
}

typedef struct decode_job {
    num_fmt f;
    const uint16_t *bits;
    float *values;
} decode_job;

static void decode_span(void *ctx, int64_t first, int64_t last, int thread)
{
    const decode_job *j = ctx;
    (void)thread;
    for (int64_t i = first; i < last; i++)
        j->values[i] = (float)num_decode(j->f, j->bits[i]);
}

void data_decode(bench *b, tile_dtype dt, const uint16_t *bits, int64_t n, float *values)
{
    decode_job j = {data_format(dt), bits, values};
    pool_run(b->threads, decode_span, &j, n, 1 << 15);
}

void *data_memory(int64_t bytes)
{
    void *p = malloc(bytes > 0 ? (size_t)bytes : 1);
    if (!p) {
        bench_say("no memory for %lld bytes", (long long)bytes);
        exit(1);
    }
    return p;
}
