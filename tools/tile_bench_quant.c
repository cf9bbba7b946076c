/* tile_bench_quant.c: suite quant on the CPU: a matrix of 256 MiB times one vector, beside one pass of reading.
 *
 *   read     2 threads, 8 sums each over 64 bytes, fetched 4 KiB ahead: what the memory gives to a reader
 *   matvec   K = 4096 (--shape=K: others), as many rows as fill 256 MiB, of floats and of the GGUF formats of
 *            kernels/matvec_quant.tile; only the weights' bytes count
 *
 * Kernels are tuned first. The contestants take turns, as in suite norm: `us` is the median of the rounds, `ratio` the
 * median of the rounds' own ratios to the read beside it.
 */
#include "tools/tile_bench.h"

#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 21
#define WEIGHT_BYTES ((int64_t)256 << 20)

typedef struct format {
    const char *kernel, *file;
    tile_dtype dt; /* of float weights; else blocks */
    int64_t block, bytes;
} format;

static const format formats[] = {
    {"matvec", "matvec.tile", TILE_F32, 1, 4},
    {"matvec", "matvec.tile", TILE_F16, 1, 2},
    {"matvec_q8_0", "matvec_quant.tile", TILE_ANY, 32, 34},
    {"matvec_q4_0", "matvec_quant.tile", TILE_ANY, 32, 18},
    {"matvec_q4_1", "matvec_quant.tile", TILE_ANY, 32, 20},
    {"matvec_q4_k", "matvec_quant.tile", TILE_ANY, 256, 144},
    {"matvec_q6_k", "matvec_quant.tile", TILE_ANY, 256, 210},
};

typedef struct contestant {
    const format *f;
    int64_t n, k;
    tile_module *mod;
    tile_kernel *kernel;
    tile_tensor w, x, xs, xb, y;
    tile_arg args[5];
    int nargs;
    double us[ROUNDS], ratio[ROUNDS], best;
} contestant;

/* ---- one pass of reading ---- */
typedef struct read_job {
    const char *from;
    int64_t sum[2][8];
} read_job;

static void read_span(void *ctx, int64_t first, int64_t last, int thread)
{
    read_job *j = ctx;
    const char *p = j->from;
    __m128i s[8];
    for (int i = 0; i < 8; i++)
        s[i] = _mm_setzero_si128();
    for (int64_t at = first; at < last; at += 128) {
        _mm_prefetch(p + at + 4096, _MM_HINT_T0);
        _mm_prefetch(p + at + 4160, _MM_HINT_T0);
        for (int i = 0; i < 8; i++)
            s[i] = _mm_xor_si128(s[i], _mm_load_si128((const __m128i *)(const void *)(p + at + 16 * i)));
    }
    for (int i = 0; i < 8; i++)
        j->sum[thread & 1][i] ^= _mm_cvtsi128_si64(s[i]);
}

static double run_read(pool *two, read_job *j)
{
    pool_run(two, read_span, j, WEIGHT_BYTES / 64, WEIGHT_BYTES / 128); /* its threads are awake now */
    double t0 = clock_now();
    pool_run(two, read_span, j, WEIGHT_BYTES, WEIGHT_BYTES / 2);
    return clock_now() - t0;
}

/* ---- the kernels ---- */
static bool open_one(bench *b, contestant *c, void *weights, void **vectors)
{
    char path[1024];
    tile_error err;
    const format *f = c->f;
    int64_t row = c->k / f->block * f->bytes;
    bool floats = f->block == 1;
    c->n = WEIGHT_BYTES / row;
    int64_t wshape[3] = {c->n, floats ? c->k : c->k / f->block, f->bytes}, xshape[2] = {1, c->k},
            bshape[2] = {1, c->k / 32}, yshape[2] = {1, c->n};
    c->x = tile_tensor_of(vectors[floats ? 0 : 1], floats ? TILE_F32 : TILE_I8, 2, xshape);
    c->xs = tile_tensor_of(vectors[2], TILE_F32, 2, bshape);
    c->xb = tile_tensor_of(vectors[3], TILE_F32, 2, bshape);
    c->y = tile_tensor_of(vectors[4], TILE_F32, 2, yshape);
    c->w = tile_tensor_of(weights, floats ? f->dt : TILE_U8, floats ? 2 : 3, wshape);
    c->args[c->nargs++] = tile_arg_tensor(&c->w);
    c->args[c->nargs++] = tile_arg_tensor(&c->x);
    if (!floats) {
        c->args[c->nargs++] = tile_arg_tensor(&c->xs);
        c->args[c->nargs++] = tile_arg_tensor(&c->xb);
    }
    c->args[c->nargs++] = tile_arg_tensor(&c->y);
    snprintf(path, sizeof path, "%s/%s", b->kernels, f->file);
    c->mod = tile_module_from_file(b->dev, path, NULL, &err);
    c->kernel = c->mod ? tile_kernel_find(c->mod, f->kernel, &err) : NULL;
    tile_tuned tuned;
    if (c->kernel && tile_tune(c->kernel, NULL, NULL, c->args, c->nargs, NULL, NULL, &tuned, &err) == TILE_OK &&
        tile_launch(c->kernel, NULL, NULL, c->args, c->nargs, &err) == TILE_OK) {
        bench_say("%s: tuned, %s", f->kernel, tuned.choice);
        return true;
    }
    bench_say("%s: %s", f->kernel, err.text);
    return false;
}

static bool time_one(contestant *c, int round, double read)
{
    tile_error err;
    bool ok = tile_launch(c->kernel, NULL, NULL, c->args, c->nargs, &err) == TILE_OK; /* the threads are awake now */
    double t0 = clock_now();
    if (!ok || tile_launch(c->kernel, NULL, NULL, c->args, c->nargs, &err) != TILE_OK) {
        bench_say("%s: %s", c->f->kernel, err.text);
        return false;
    }
    double t = clock_now() - t0;
    c->us[round] = t * 1e6;
    c->ratio[round] = (double)(c->n * (c->k / c->f->block * c->f->bytes)) / t / ((double)WEIGHT_BYTES / read);
    return true;
}

static void put_one(bench *b, contestant *c)
{
    char peer[32];
    snprintf(peer, sizeof peer, "tile-%s", b->device);
    bench_figure f = {.work = c->f->kernel,
                      .dtype = c->f->dt == TILE_F32   ? "float32"
                               : c->f->dt == TILE_F16 ? "float16"
                                                      : "blocks",
                      .peer = peer,
                      .shape = {{1, c->n, c->k}, 3},
                      .us = time_median(c->us, ROUNDS),
                      .best_us = c->us[0], /* the median sorts */
                      .bytes = (double)(c->n * (c->k / c->f->block * c->f->bytes)),
                      .ratio = time_median(c->ratio, ROUNDS),
                      .against = "read-2"};
    bench_emit(b, &f);
}

/* small activations, scales that keep sums finite, and weights whose floats of 16 and 32 bits are plain numbers: every
 * byte 48 .. 63. Denormal ones, as no weights are, would cost a multiplication many times over */
static void fill(void *weights, void **vectors, int64_t k)
{
    for (int64_t i = 0; i < WEIGHT_BYTES; i++)
        ((uint8_t *)weights)[i] = (uint8_t)(48 + ((uint64_t)i * 0x9e3779b97f4a7c15u >> 60));
    for (int64_t i = 0; i < k; i++) {
        ((float *)vectors[0])[i] = (float)(i % 17 - 8) * 0.01f;
        ((int8_t *)vectors[1])[i] = (int8_t)(i * 37 % 255 - 127);
    }
    for (int64_t i = 0; i < k / 32; i++) {
        ((float *)vectors[2])[i] = 0.001f * (float)(i % 7 + 1);
        ((float *)vectors[3])[i] = 0.01f * (float)(i * 131 % 401 - 200);
    }
}

bool bench_cpu_quant(bench *b)
{
    int64_t k = b->shapes.n ? b->shapes.at[0].d[b->shapes.at[0].rank - 1] : 4096;
    if (k % 256) {
        bench_say("suite quant: K is a multiple of 256, not %lld", (long long)k);
        return false;
    }
    void *weights = bench_host_buffer(WEIGHT_BYTES + 8192), *vectors[5];
    for (int i = 0; i < 5; i++)
        vectors[i] = bench_host_buffer(i < 4 ? k * 4 : WEIGHT_BYTES / k * 8 * 4 + 64);
    fill(weights, vectors, k);
    contestant c[COUNTOF(formats)] = {{0}};
    read_job j = {.from = weights};
    pool *two = pool_new(2);
    double reads[ROUNDS];
    bool ok = two != NULL;
    for (size_t i = 0; i < COUNTOF(formats) && ok; i++) {
        c[i].f = &formats[i];
        c[i].k = k;
        ok = open_one(b, &c[i], weights, vectors);
    }
    for (int r = 0; r < ROUNDS && ok; r++) {
        reads[r] = run_read(two, &j);
        for (size_t i = 0; i < COUNTOF(formats) && ok; i++)
            ok = time_one(&c[i], r, reads[r]);
    }
    if (ok) {
        bench_figure f = {.work = "read", .dtype = "u8", .peer = "read-2", .shape = {{WEIGHT_BYTES}, 1}};
        f.bytes = (double)WEIGHT_BYTES;
        f.us = time_median(reads, ROUNDS) * 1e6;
        f.best_us = reads[0] * 1e6;
        bench_emit(b, &f);
    }
    for (size_t i = 0; i < COUNTOF(formats); i++) {
        if (ok)
            put_one(b, &c[i]);
        tile_module_close(c[i].mod);
    }
    for (int i = 0; i < 5; i++)
        free(vectors[i]);
    free(weights);
    pool_free(two);
    return ok;
}
