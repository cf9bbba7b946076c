/* tile_bench_rows.c: suite norm on the CPU: what memory bounds.
 *
 *   elementwise, norms and softmax over 64 MiB of f32 (out of place), and the exponential in the cache, beside a
 *   streaming copy: non-temporal stores, 2 threads, 512 MiB, bytes read and written counted
 *
 * The machine's bandwidth moves by a tenth from one second to the next. So the contestants take turns, a launch each a
 * round after the copy; `us` is the median of the rounds, `ratio` the median of the rounds' own ratios to their copy.
 * Two buffers are more than the last-level cache holds.
 */
#include "tools/tile_bench.h"

#include <emmintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 31
#define COPY_BYTES ((int64_t)512 << 20)
#define NORM_BYTES ((int64_t)64 << 20)
#define MAX_WORKS 24

typedef struct work {
    const char *name, *file, *kernel, *define; /* define: "BLOCK=1024" or NULL */
    int64_t shape[2];
    int rank;
    tile_arg args[8];
    int nargs;
    double bytes;
    tile_module *mod;
    tile_kernel *k;
    double us[ROUNDS], ratio[ROUNDS];
} work;

typedef struct copy_job {
    const char *from;
    char *to;
} copy_job;

void *bench_host_buffer(int64_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, 4096, (size_t)bytes) != 0) {
        bench_say("no memory");
        exit(1);
    }
    for (int64_t i = 0; i < bytes / 4; i++)
        ((float *)p)[i] = (float)(i % 1001) * 0.001f - 0.5f;
    return p;
}

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

static double run_copy(pool *two, copy_job *j)
{
    double t0 = clock_now();
    pool_run(two, copy_span, j, COPY_BYTES, COPY_BYTES / 2);
    return clock_now() - t0;
}

/* ---- the works ---- */

static bool open_work(bench *b, work *w)
{
    char path[1024];
    tile_error err;
    snprintf(path, sizeof path, "%s/%s", b->kernels, w->file);
    w->mod = tile_module_from_file(b->dev, path, NULL, &err);
    w->k = w->mod ? tile_kernel_find(w->mod, w->kernel, &err) : NULL;
    if (!w->k || tile_launch(w->k, NULL, NULL, w->args, w->nargs, &err) != TILE_OK) {
        bench_say("%s: %s", w->name, err.text);
        return false;
    }
    return true;
}

static bool time_work(work *w, int round, double copy)
{
    tile_error err;
    bool ok = tile_launch(w->k, NULL, NULL, w->args, w->nargs, &err) == TILE_OK; /* its threads are awake now */
    double t0 = clock_now();
    if (!ok || tile_launch(w->k, NULL, NULL, w->args, w->nargs, &err) != TILE_OK) {
        bench_say("%s: %s", w->name, err.text);
        return false;
    }
    double t = clock_now() - t0;
    w->us[round] = t * 1e6;
    w->ratio[round] = w->bytes / t / (2 * (double)COPY_BYTES / copy);
    return true;
}

static void put_work(bench *b, work *w)
{
    char peer[32];
    snprintf(peer, sizeof peer, "tile-%s", b->device);
    bench_figure f = {
        .work = w->name, .dtype = "f32", .peer = peer, .us = time_median(w->us, ROUNDS), .best_us = w->us[0]};
    f.shape.rank = w->rank;
    memcpy(f.shape.d, w->shape, sizeof w->shape);
    f.bytes = w->bytes;
    f.ratio = time_median(w->ratio, ROUNDS);
    f.against = "nt-copy-2";
    bench_emit(b, &f);
}

static bool take_turns(bench *b, work *w, int n)
{
    pool *two = pool_new(2);
    copy_job j = {bench_host_buffer(COPY_BYTES), bench_host_buffer(COPY_BYTES)};
    double copies[ROUNDS];
    bool ok = two != NULL;
    for (int i = 0; i < n && ok; i++)
        ok = open_work(b, &w[i]);
    for (int r = 0; r < ROUNDS && ok; r++)
        for (int i = -1; i < n && ok; i++) {
            if (i < 0)
                copies[r] = run_copy(two, &j);
            else
                ok = time_work(&w[i], r, copies[r]);
        }
    if (ok) {
        bench_figure f = {.work = "copy", .dtype = "u8", .peer = "nt-copy-2", .shape = {{COPY_BYTES}, 1}};
        f.bytes = 2 * (double)COPY_BYTES;
        f.us = time_median(copies, ROUNDS) * 1e6;
        f.best_us = copies[0] * 1e6; /* the median sorts */
        bench_emit(b, &f);
    }
    for (int i = 0; i < n; i++) {
        if (ok)
            put_work(b, &w[i]);
        tile_module_close(w[i].mod);
    }
    pool_free(two);
    free((void *)(uintptr_t)j.from);
    free(j.to);
    return ok;
}

typedef struct arrays {
    float *x, *y, *z, *w;
    tile_tensor rows[2][3], weight[3]; /* x and y by their width */
} arrays;

static const int64_t widths[] = {1024, 4096, 16384};

static work flat(const char *name, const char *kernel, const arrays *a, bool two)
{
    int64_t n = NORM_BYTES / 4;
    work w = {.name = name, .file = "elementwise.tile", .kernel = kernel, .shape = {n}, .rank = 1};
    w.args[w.nargs++] = tile_arg_ptr(a->x, TILE_F32);
    if (two)
        w.args[w.nargs++] = tile_arg_ptr(a->z, TILE_F32);
    w.args[w.nargs++] = tile_arg_ptr(a->y, TILE_F32);
    w.args[w.nargs++] = tile_arg_int(n);
    w.bytes = (two ? 3.0 : 2.0) * (double)NORM_BYTES;
    return w;
}

static work of_rows(const char *name, const char *file, arrays *a, int width, int weights, bool eps)
{
    work w = {.name = name, .file = file, .kernel = name, .rank = 2, .bytes = 2.0 * (double)NORM_BYTES};
    memcpy(w.shape, a->rows[0][width].sizes, sizeof w.shape);
    w.args[w.nargs++] = tile_arg_tensor(&a->rows[0][width]);
    for (int i = 0; i < weights; i++)
        w.args[w.nargs++] = tile_arg_tensor(&a->weight[width]);
    w.args[w.nargs++] = tile_arg_tensor(&a->rows[1][width]);
    if (eps)
        w.args[w.nargs++] = tile_arg_float(1e-5);
    return w;
}

/* the exponential on one core, from and to the second-level cache; a launch is 1 part in 40 of it */
static bool time_exp(bench *b)
{
    static const char text[] =
        "kernel exponential(x: *f32, out: *f32, n: int, BLOCK: const = 16384) grid(cdiv(n, BLOCK)):\n"
        "    i = program_id(0) * BLOCK + arange(0, BLOCK)\n"
        "    store(out + i, exp(load(x + i, i < n)), i < n)\n";
    enum { N = 65536, LAUNCHES = 2000 };
    tile_error err;
    tile_device *one = tile_device_open("cpu:threads=1", &err);
    tile_module *mod = one ? tile_module_from_string(one, "exponential.tile", text, NULL, &err) : NULL;
    tile_kernel *k = mod ? tile_kernel_find(mod, "exponential", &err) : NULL;
    float *x = bench_host_buffer(N * 4), *y = bench_host_buffer(N * 4);
    tile_arg args[] = {tile_arg_ptr(x, TILE_F32), tile_arg_ptr(y, TILE_F32), tile_arg_int(N)};
    double *t = malloc(LAUNCHES * sizeof *t);
    bool ok = k && t && tile_launch(k, NULL, NULL, args, 3, &err) == TILE_OK;
    for (int i = 0; i < LAUNCHES && ok; i++) {
        double t0 = clock_now();
        ok = tile_launch(k, NULL, NULL, args, 3, &err) == TILE_OK;
        t[i] = (clock_now() - t0) * 1e6;
    }
    if (ok) {
        bench_figure f = {.work = "exp", .dtype = "f32", .peer = "tile-cpu:threads=1", .shape = {{N}, 1}};
        f.us = time_median(t, LAUNCHES);
        f.best_us = t[0]; /* the median sorts */
        f.elements = N;
        bench_emit(b, &f);
    } else {
        bench_say("exp: %s", err.text);
    }
    tile_module_close(mod);
    tile_device_close(one);
    free(t);
    free(x);
    free(y);
    return ok;
}

bool bench_cpu_norm(bench *b)
{
    arrays a = {bench_host_buffer(NORM_BYTES),
                bench_host_buffer(NORM_BYTES),
                bench_host_buffer(NORM_BYTES),
                bench_host_buffer(1 << 20),
                {{{0}}},
                {{0}}};
    for (int i = 0; i < 3; i++) {
        int64_t shape[2] = {NORM_BYTES / 4 / widths[i], widths[i]};
        a.rows[0][i] = tile_tensor_of(a.x, TILE_F32, 2, shape);
        a.rows[1][i] = tile_tensor_of(a.y, TILE_F32, 2, shape);
        a.weight[i] = tile_tensor_of(a.w, TILE_F32, 1, &widths[i]);
    }
    work w[MAX_WORKS];
    int n = 0;
    w[n++] = flat("relu", "relu", &a, false);
    w[n] = flat("scale_add", "scale_add", &a, true);
    w[n].args[w[n].nargs++] = tile_arg_float(1.5);
    n++;
    w[n++] = flat("gelu", "gelu", &a, false);
    w[n++] = flat("silu_mul", "silu_mul", &a, true);
    w[n++] = of_rows("rmsnorm", "rmsnorm.tile", &a, 1, 1, true);
    w[n++] = of_rows("layernorm", "layernorm.tile", &a, 1, 2, true);
    for (int i = 0; i < 3; i++)
        w[n++] = of_rows("softmax", "softmax.tile", &a, i, 0, false);
    bool ok = take_turns(b, w, n) && time_exp(b);
    free(a.x);
    free(a.y);
    free(a.z);
    free(a.w);
    return ok;
}
