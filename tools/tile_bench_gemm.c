/* tile_bench_gemm.c: suite gemm on the CPU: matrix products beside OpenBLAS in this process.
 *
 *   matmul      f32, f16, bf16: c = a b, kernels/matmul.tile              2 M N K operations
 *   matmul_i8   i8 x i8 to i32: c = a b^T, kernels/matmul_narrow.tile
 *
 * OpenBLAS (cblas_sgemm, by dlopen, with as many threads as the device) takes turns with ours: in each round every one
 * launches twice, and the second is timed, so that the first finds its threads awake and its data where they are.
 * OpenBLAS's threads spin for 0.1 s after a call, which takes a core from whoever comes next: they are told to spin for
 * 2^20 cycles (OPENBLAS_THREAD_TIMEOUT, if it isn't set), and there is a rest of REST_NS after its turn, by when all
 * sleep. `us` is the median of the rounds, `best_us` the fastest, `ratio` the median of the rounds' own ratios: of f32
 * to sgemm, of other types to our f32, or to sgemm where our f32 isn't asked for. Where there is no OpenBLAS a line
 * says so. Results are compared with sums in float64 at 64 elements.
 */
#include "tools/tile_bench.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 21
#define REST_NS 2000000
#define BLAS_ROW_MAJOR 101
#define BLAS_PLAIN 111

typedef void sgemm_fn(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda,
                      const float *b, int ldb, float beta, float *c, int ldc);

typedef struct gemm {
    const char *kernel, *file, *type, *name;
    tile_dtype dt, out;
    int size;
    bool by_rows; /* b is [N, K] */
} gemm;

static const gemm gemms[] = {
    {"matmul", "matmul.tile", "f32", "float32", TILE_F32, TILE_F32, 4, false},
    {"matmul", "matmul.tile", "bf16", "bfloat16", TILE_BF16, TILE_BF16, 2, false},
    {"matmul", "matmul.tile", "f16", "float16", TILE_F16, TILE_F16, 2, false},
    {"matmul_i8", "matmul_narrow.tile", "i8", "int8", TILE_I8, TILE_I32, 1, true},
};

typedef struct one {
    const gemm *g;
    tile_module *mod;
    tile_kernel *kernel;
    void *a, *b, *c;
    tile_tensor t[3];
    tile_arg args[3];
    double us[ROUNDS], ratio[ROUNDS];
} one;

static int number(int64_t i)
{
    return (int)((uint64_t)i * 0x9e3779b97f4a7c15u >> 40 & 15) - 7;
}

/* small integers: exact in every type, and so are their products */
static void put_number(const gemm *g, void *p, int64_t i)
{
    int x = number(i);
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    switch (g->dt) {
    case TILE_F32:
        ((float *)p)[i] = f;
        break;
    case TILE_BF16:
        ((uint16_t *)p)[i] = (uint16_t)(bits >> 16);
        break;
    case TILE_F16: /* normal numbers of few bits */
        ((uint16_t *)p)[i] = x == 0 ? 0
                                    : (uint16_t)((bits >> 16 & 0x8000) | (((bits >> 23 & 255) - 112) << 10 & 0x7c00) |
                                                 (bits >> 13 & 0x3ff));
        break;
    default:
        ((int8_t *)p)[i] = (int8_t)x;
        break;
    }
}

static double result(const gemm *g, const void *c, int64_t i)
{
    uint32_t bits;
    float f;
    if (g->out == TILE_I32)
        return ((const int32_t *)c)[i];
    if (g->out == TILE_F32)
        return ((const float *)c)[i];
    uint16_t h = ((const uint16_t *)c)[i];
    if (g->out == TILE_F16)
        return (h & 0x8000 ? -1 : 1) *
               ldexp((h & 0x3ff) + ((h >> 10 & 31) ? 1024 : 0), ((h >> 10 & 31) ? (h >> 10 & 31) : 1) - 25);
    bits = (uint32_t)h << 16;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static bool right(const one *x, int64_t m, int64_t n, int64_t k)
{
    double eps = x->g->out == TILE_BF16 ? 0.004 : x->g->out == TILE_F16 ? 0.0005 : 0;
    for (int64_t q = 0; q < 64; q++) {
        int64_t i = q * 7919 % m, j = q * 104729 % n;
        double sum = 0;
        for (int64_t e = 0; e < k; e++)
            sum += (double)number(i * k + e) * number(x->g->by_rows ? j * k + e : e * n + j);
        double got = result(x->g, x->c, i * n + j);
        if (fabs(got - sum) > eps * fabs(sum)) {
            bench_say("%s %s: element %lld, %lld is %g, not %g", x->g->kernel, x->g->type, (long long)i, (long long)j,
                      got, sum);
            return false;
        }
    }
    return true;
}

static bool open_one(bench *b, one *x, const gemm *g, int64_t m, int64_t n, int64_t k)
{
    char path[1024];
    tile_error err;
    int64_t sa[2] = {m, k}, sb[2] = {g->by_rows ? n : k, g->by_rows ? k : n}, sc[2] = {m, n};
    *x = (one){.g = g, .a = bench_host_buffer(m * k * g->size), .b = bench_host_buffer(k * n * g->size)};
    x->c = bench_host_buffer(m * n * 4);
    for (int64_t i = 0; i < m * k; i++)
        put_number(g, x->a, i);
    for (int64_t i = 0; i < k * n; i++)
        put_number(g, x->b, i);
    x->t[0] = tile_tensor_of(x->a, g->dt, 2, sa);
    x->t[1] = tile_tensor_of(x->b, g->dt, 2, sb);
    x->t[2] = tile_tensor_of(x->c, g->out, 2, sc);
    for (int i = 0; i < 3; i++)
        x->args[i] = tile_arg_tensor(&x->t[i]);
    snprintf(path, sizeof path, "%s/%s", b->kernels, g->file);
    x->mod = tile_module_from_file(b->dev, path, NULL, &err);
    x->kernel = x->mod ? tile_kernel_find(x->mod, g->kernel, &err) : NULL;
    if (x->kernel && tile_launch(x->kernel, NULL, NULL, x->args, 3, &err) == TILE_OK)
        return right(x, m, n, k);
    bench_say("%s: %s", g->kernel, err.text);
    return false;
}

static void close_one(one *x)
{
    tile_module_close(x->mod);
    free(x->a);
    free(x->b);
    free(x->c);
}

static sgemm_fn *open_blas(bench *b, void **lib)
{
    setenv("OPENBLAS_THREAD_TIMEOUT", "20", 0);
    *lib = bench_has(b->peers, "openblas") ? dlopen("libopenblas.so.0", RTLD_NOW) : NULL;
    if (!*lib) {
        bench_say("skip: peer openblas (%s)",
                  bench_has(b->peers, "openblas") ? "no libopenblas.so.0" : "not asked for");
        return NULL;
    }
    sgemm_fn *sgemm;
    void (*threads)(int);
    *(void **)&sgemm = dlsym(*lib, "cblas_sgemm");
    *(void **)&threads = dlsym(*lib, "openblas_set_num_threads");
    const char *own = strchr(b->device, '='), *all = getenv("TILE_NUM_THREADS");
    if (threads) /* as many as the device has */
        threads(own ? atoi(own + 1) : all ? atoi(all) : 2);
    return sgemm;
}

typedef struct blas_call {
    sgemm_fn *sgemm; /* NULL: there is none */
    float *a, *b, *c;
    int m, n, k;
} blas_call;

static double blas_turn(const blas_call *x)
{
    const struct timespec rest = {.tv_nsec = REST_NS};
    double t0 = 0;
    for (int i = 0; i < 2; i++) {
        t0 = clock_now();
        x->sgemm(BLAS_ROW_MAJOR, BLAS_PLAIN, BLAS_PLAIN, x->m, x->n, x->k, 1, x->a, x->k, x->b, x->n, 0, x->c, x->n);
        t0 = clock_now() - t0;
    }
    nanosleep(&rest, NULL);
    return t0 * 1e6;
}

static bool own_turn(const one *x, double *us)
{
    tile_error err;
    bool ok = true;
    for (int i = 0; i < 2 && ok; i++) {
        double t0 = clock_now();
        ok = tile_launch(x->kernel, NULL, NULL, x->args, 3, &err) == TILE_OK;
        *us = (clock_now() - t0) * 1e6;
    }
    if (!ok)
        bench_say("%s: %s", x->g->kernel, err.text);
    return ok;
}

static bool run_rounds(one *x, size_t count, const blas_call *peer, double *peer_us)
{
    for (int r = 0; r < ROUNDS; r++) {
        if (peer->sgemm)
            peer_us[r] = blas_turn(peer);
        for (size_t i = 0; i < count; i++) {
            bool first = i == 0 && x[0].g->dt == TILE_F32;
            if (!own_turn(&x[i], &x[i].us[r]))
                return false;
            double than = first || x[0].g->dt != TILE_F32 ? (peer->sgemm ? peer_us[r] : 0) : x[0].us[r];
            x[i].ratio[r] = than / x[i].us[r];
        }
    }
    return true;
}

static void put_figures(bench *b, one *x, size_t count, const bench_shape *s, const blas_call *peer, double *peer_us)
{
    bench_figure f = {.work = "gemm", .dtype = "float32", .peer = "openblas", .shape = *s};
    char own[32];
    f.flops = 2.0 * (double)s->d[0] * (double)s->d[1] * (double)s->d[2];
    if (peer->sgemm) {
        f.us = time_median(peer_us, ROUNDS);
        f.best_us = peer_us[0];
        bench_emit(b, &f);
    }
    snprintf(own, sizeof own, "tile-%s", b->device);
    f.peer = own;
    for (size_t i = 0; i < count; i++) {
        f.dtype = x[i].g->name;
        f.us = time_median(x[i].us, ROUNDS);
        f.best_us = x[i].us[0];
        f.ratio = time_median(x[i].ratio, ROUNDS);
        f.against = i && x[0].g->dt == TILE_F32 ? "our float32" : "openblas";
        bench_emit(b, &f);
    }
}

static bool run_shape(bench *b, sgemm_fn *sgemm, const bench_shape *s)
{
    int64_t m = s->d[0], n = s->d[1], k = s->d[2];
    one x[COUNTOF(gemms)] = {{0}};
    double peer_us[ROUNDS] = {0};
    bool ok = true;
    size_t count = 0;
    for (size_t i = 0; i < COUNTOF(gemms) && ok; i++)
        if (!b->dtype || strcmp(b->dtype, gemms[i].name) == 0)
            ok = open_one(b, &x[count++], &gemms[i], m, n, k);
    blas_call peer = {
        sgemm, bench_host_buffer(m * k * 4), bench_host_buffer(k * n * 4), bench_host_buffer(m * n * 4), (int)m, (int)n,
        (int)k};
    ok = ok && run_rounds(x, count, &peer, peer_us);
    if (ok)
        put_figures(b, x, count, s, &peer, peer_us);
    for (size_t i = 0; i < count; i++)
        close_one(&x[i]);
    free(peer.a);
    free(peer.b);
    free(peer.c);
    return ok;
}

bool bench_cpu_gemm(bench *b)
{
    static const bench_shape own[] = {{{512, 512, 512}, 3},   {{1024, 1024, 1024}, 3}, {{2048, 2048, 2048}, 3},
                                      {{4096, 512, 1024}, 3}, {{1000, 1000, 1000}, 3}, {{1023, 1023, 1023}, 3},
                                      {{777, 777, 777}, 3}};
    void *lib;
    sgemm_fn *sgemm = open_blas(b, &lib);
    bool ok = true;
    for (uint32_t i = 0; i < (b->shapes.n ? b->shapes.n : COUNTOF(own)); i++) {
        const bench_shape *s = b->shapes.n ? &b->shapes.at[i] : &own[i];
        if (s->rank != 3) {
            bench_say("suite gemm: a shape is M,N,K");
            return false;
        }
        ok &= run_shape(b, sgemm, s);
    }
    return ok; /* the library stays open: it has threads */
}
