/* tile_bench_cpu.c: suite latency on the CPU: check of a source of 200 lines, cold source to the end of the first
 * launch, and a launch of a known kernel. Times are medians.
 */
#include "tools/tile_bench.h"

#include "frontend/frontend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPEAT 25

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
    float *x = bench_host_buffer(256 * 256 * 4), *y = bench_host_buffer(256 * 256 * 4), *z = bench_host_buffer(256 * 256 * 4);
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
