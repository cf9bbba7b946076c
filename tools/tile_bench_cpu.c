/* tile_bench_cpu.c: suites norm and latency on the CPU.
 *
 *   norm     elementwise, rmsnorm and softmax over 64 MiB of f32, beside a streaming copy: non-temporal stores, 2
 *            threads, 512 MiB, bytes read and written counted. `ratio` is ours to that copy
 *   latency  check of a source of 200 lines, cold source to the end of the first launch, and a launch of a known kernel
 *
 * Times are medians; buffers are touched first; two buffers a kernel are more than the last-level cache holds.
 */
#include "tools/tile_bench.h"

#include "frontend/frontend.h"

#include <emmintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPEAT 25
#define COPY_BYTES ((int64_t)512 << 20)
#define NORM_BYTES ((int64_t)64 << 20)

static void *buffer(int64_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, 4096, (size_t)bytes) != 0) {
        fprintf(stderr, "tile-bench: no memory\n");
        exit(1);
    }
    for (int64_t i = 0; i < bytes / 4; i++)
        ((float *)p)[i] = (float)(i % 1001) * 0.001f - 0.5f;
    return p;
}

/* ---- the streaming copy ---- */

typedef struct copy_job {
    const char *from;
    char *to;
} copy_job;

static void copy_span(void *ctx, int64_t first, int64_t last, int thread)
{
    const copy_job *j = ctx;
    (void)thread;
    const __m128i *from = (const __m128i *)(const void *)(j->from + first);
    __m128i *to = (__m128i *)(void *)(j->to + first);
    for (int64_t i = 0; i < (last - first) / 16; i += 4) {
        __m128i a = _mm_load_si128(from + i), b = _mm_load_si128(from + i + 1), c = _mm_load_si128(from + i + 2),
                d = _mm_load_si128(from + i + 3);
        _mm_stream_si128(to + i, a);
        _mm_stream_si128(to + i + 1, b);
        _mm_stream_si128(to + i + 2, c);
        _mm_stream_si128(to + i + 3, d);
    }
    _mm_sfence();
}

static void run_copy(bench *b)
{
    pool *two = pool_new(2);
    copy_job j = {buffer(COPY_BYTES), buffer(COPY_BYTES)};
    double t[REPEAT];
    for (int i = 0; i < REPEAT; i++) {
        double t0 = clock_now();
        pool_run(two, copy_span, &j, COPY_BYTES, COPY_BYTES / 2);
        t[i] = clock_now() - t0;
    }
    double m = time_median(t, REPEAT);
    b->copy_gbs = 2 * (double)COPY_BYTES / m * 1e-9;
    printf("{\"work\": \"copy\", \"shape\": [%lld], \"dtype\": \"u8\", \"peer\": \"nt-copy-2\", \"us\": %.1f, \"gbs\": "
           "%.2f}\n",
           (long long)COPY_BYTES, m * 1e6, b->copy_gbs);
    fflush(stdout);
    pool_free(two);
    free((void *)(uintptr_t)j.from);
    free(j.to);
}

/* ---- kernels ---- */

static tile_kernel *open_kernel(bench *b, const char *file, const char *name, tile_module **mod)
{
    char path[1024];
    tile_error err;
    snprintf(path, sizeof path, "%s/%s", b->kernels, file);
    *mod = tile_module_from_file(b->dev, path, NULL, &err);
    tile_kernel *k = *mod ? tile_kernel_find(*mod, name, &err) : NULL;
    if (!k)
        fprintf(stderr, "tile-bench: %s\n", err.text);
    return k;
}

static bool run_kernel(bench *b, const char *file, const char *name, const int64_t *shape, int rank,
                       const tile_arg *args, int n, int64_t bytes)
{
    tile_module *mod;
    tile_kernel *k = open_kernel(b, file, name, &mod);
    tile_error err;
    double t[REPEAT];
    bool ok = k && tile_launch(k, NULL, NULL, args, n, &err) == TILE_OK;
    for (int i = 0; i < REPEAT && ok; i++) {
        double t0 = clock_now();
        ok = tile_launch(k, NULL, NULL, args, n, &err) == TILE_OK;
        t[i] = clock_now() - t0;
    }
    if (ok) {
        double m = time_median(t, REPEAT), gbs = (double)bytes / m * 1e-9;
        printf("{\"work\": \"%s\", \"shape\": [%lld%s", name, (long long)shape[0], rank > 1 ? ", " : "");
        if (rank > 1)
            printf("%lld", (long long)shape[1]);
        printf("], \"dtype\": \"f32\", \"peer\": \"tile-%s\", \"us\": %.1f, \"gbs\": %.2f, \"ratio\": %.3f}\n",
               b->device, m * 1e6, gbs, b->copy_gbs > 0 ? gbs / b->copy_gbs : 0);
        fflush(stdout);
    } else if (k)
        fprintf(stderr, "tile-bench: %s\n", err.text);
    tile_module_close(mod);
    return ok;
}

bool bench_cpu_norm(bench *b)
{
    int64_t n = NORM_BYTES / 4, shape[2] = {n / 4096, 4096}, cols = 4096;
    float *x = buffer(NORM_BYTES), *y = buffer(NORM_BYTES), *z = buffer(NORM_BYTES), *w = buffer(cols * 4);
    tile_tensor tx = tile_tensor_of(x, TILE_F32, 2, shape), ty = tile_tensor_of(y, TILE_F32, 2, shape),
                tw = tile_tensor_of(w, TILE_F32, 1, &cols);
    tile_arg px = tile_arg_ptr(x, TILE_F32), py = tile_arg_ptr(y, TILE_F32), pz = tile_arg_ptr(z, TILE_F32);
    tile_arg relu[] = {px, py, tile_arg_int(n)};
    tile_arg scale[] = {px, py, pz, tile_arg_int(n), tile_arg_float(1.5)};
    tile_arg gelu[] = {px, py, tile_arg_int(n)};
    tile_arg rms[] = {tile_arg_tensor(&tx), tile_arg_tensor(&tw), tile_arg_tensor(&ty), tile_arg_float(1e-5)};
    tile_arg soft[] = {tile_arg_tensor(&tx), tile_arg_tensor(&ty)};
    run_copy(b);
    bool ok = run_kernel(b, "elementwise.tile", "relu", &n, 1, relu, 3, 2 * NORM_BYTES);
    ok &= run_kernel(b, "elementwise.tile", "scale_add", &n, 1, scale, 5, 3 * NORM_BYTES);
    ok &= run_kernel(b, "elementwise.tile", "gelu", &n, 1, gelu, 3, 2 * NORM_BYTES);
    ok &= run_kernel(b, "rmsnorm.tile", "rmsnorm", shape, 2, rms, 4, 2 * NORM_BYTES);
    ok &= run_kernel(b, "softmax.tile", "softmax", shape, 2, soft, 2, 2 * NORM_BYTES);
    free(x);
    free(y);
    free(z);
    free(w);
    return ok;
}

/* ---- latency ---- */

static void print_time(const bench *b, const char *work, const char *shape, double seconds)
{
    printf("{\"work\": \"%s\", \"shape\": \"%s\", \"dtype\": \"f32\", \"peer\": \"tile-%s\", \"us\": %.1f}\n", work,
           shape, b->device, seconds * 1e6);
    fflush(stdout);
}

/* 25 kernels of 8 lines */
static str source_200(arena *a)
{
    strbuf s;
    sb_init(&s, a);
    for (int i = 0; i < 25; i++)
        sb_putf(&s,
                "kernel k%d(x: *f32, y: *f32, n: int, B: const = 256) grid(cdiv(n, B)):\n"
                "    i = program_id(0) * B + arange(0, B)\n"
                "    m = i < n\n"
                "    v = load(x + i, m) * %d.5\n"
                "    for j in range(0, n, 64):\n"
                "        v += exp(v) * j\n"
                "    store(y + i, v - max(v), m)\n"
                "\n",
                i, i);
    return sb_str(&s);
}

static bool time_check(bench *b)
{
    double t[REPEAT];
    for (int i = 0; i < REPEAT; i++) {
        arena a;
        diags d;
        fe_options opt = {0};
        arena_init(&a, 0);
        diags_init(&d, &a);
        str text = source_200(&a);
        double t0 = clock_now();
        fe_unit *u = fe_load(&a, &d, S("check.tile"), text, &opt);
        bool ok = u && fe_check(u);
        t[i] = clock_now() - t0;
        arena_fini(&a);
        if (!ok) {
            fprintf(stderr, "tile-bench: the source to be checked is wrong\n");
            return false;
        }
    }
    print_time(b, "check", "200 lines", time_median(t, REPEAT));
    return true;
}

/* from opening the device: the first of a process, then in a warm one */
static bool time_cold(bench *b, const char *work, const char *file, const char *kernel, const tile_arg *args, int n)
{
    for (int i = 0; i < 2; i++) {
        tile_error err;
        tile_module *mod = NULL;
        tile_device *own = b->dev;
        double t0 = clock_now();
        b->dev = tile_device_open(b->device, &err);
        tile_kernel *k = b->dev ? open_kernel(b, file, kernel, &mod) : NULL;
        bool ok = k && tile_launch(k, NULL, NULL, args, n, &err) == TILE_OK;
        double t = clock_now() - t0;
        if (k && !ok)
            fprintf(stderr, "tile-bench: %s\n", err.text);
        tile_module_close(mod);
        tile_device_close(b->dev);
        b->dev = own;
        if (!ok)
            return false;
        print_time(b, work, i ? "again" : "first", t);
    }
    return true;
}

static bool time_launch(bench *b, const tile_arg *args, int n)
{
    enum { MANY = 2000 };
    tile_module *mod;
    tile_kernel *k = open_kernel(b, "elementwise.tile", "relu", &mod);
    tile_error err;
    static double t[MANY];
    bool ok = k != NULL;
    for (int i = 0; i < MANY && ok; i++) {
        double t0 = clock_now();
        ok = tile_launch(k, NULL, NULL, args, n, &err) == TILE_OK;
        t[i] = clock_now() - t0;
    }
    tile_module_close(mod);
    if (ok)
        print_time(b, "launch", "1000 elements", time_median(t, MANY));
    return ok;
}

bool bench_cpu_latency(bench *b)
{
    int64_t shape[2] = {256, 256}, n = 1000;
    float *x = buffer(256 * 256 * 4), *y = buffer(256 * 256 * 4), *z = buffer(256 * 256 * 4);
    tile_tensor tx = tile_tensor_of(x, TILE_F32, 2, shape), ty = tile_tensor_of(y, TILE_F32, 2, shape),
                tz = tile_tensor_of(z, TILE_F32, 2, shape);
    tile_arg relu[] = {tile_arg_ptr(x, TILE_F32), tile_arg_ptr(y, TILE_F32), tile_arg_int(n)};
    tile_arg mm[] = {tile_arg_tensor(&tx), tile_arg_tensor(&ty), tile_arg_tensor(&tz)};
    bool ok = time_cold(b, "cold elementwise", "elementwise.tile", "relu", relu, 3);
    ok &= time_cold(b, "cold matmul", "matmul.tile", "matmul", mm, 3);
    ok &= time_check(b);
    b->dev = tile_device_open(b->device, NULL);
    ok &= b->dev && time_launch(b, relu, 3);
    tile_device_close(b->dev);
    b->dev = NULL;
    free(x);
    free(y);
    free(z);
    return ok;
}
