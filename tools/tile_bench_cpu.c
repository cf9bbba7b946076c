/* tile_bench_cpu.c: suite latency on the CPU: check of a source of 200 lines, cold source to the end of the first
 * launch, the same with its code on disk, and launches and replays of a known kernel. Times are medians where they
 * don't say otherwise.
 */
#include "tools/tile_bench.h"

#include "frontend/frontend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    printf("{\"work\": \"%s\", \"shape\": \"%s\", \"dtype\": \"f32\", \"peer\": \"tile-%s\", \"us\": %.2f}\n", work,
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

/* likewise, with the kernel's code on disk, in a folder of our own */
static bool time_known(bench *b, const tile_arg *args, int n)
{
    char folder[] = "/tmp/tile-bench-XXXXXX";
    double best = 1e30;
    bool ok = mkdtemp(folder) != NULL;
    tile_device *own = b->dev;
    setenv("TILE_CACHE_DIR", ok ? folder : "", 1);
    for (int i = 0; i < REPEAT && ok; i++) {
        tile_error err;
        tile_module *mod = NULL;
        double t0 = clock_now();
        b->dev = tile_device_open(b->device, &err);
        tile_kernel *k = b->dev ? open_kernel(b, "elementwise.tile", "relu", &mod) : NULL;
        ok = k && tile_launch(k, NULL, NULL, args, n, &err) == TILE_OK;
        double t = clock_now() - t0;
        best = i && t < best ? t : best;
        tile_module_close(mod);
        tile_device_close(b->dev);
    }
    b->dev = own;
    (void)tile_cache_clear(NULL);
    rmdir(folder);
    setenv("TILE_CACHE_DIR", "", 1);
    if (ok)
        print_time(b, "elementwise from disk", "again, the least", best);
    return ok;
}

/* of `launches` launches or (replay) of a graph of so many, the median of one */
static bool time_series(tile_kernel *k, tile_device *dev, const tile_arg *args, int n, bool replay, double *out)
{
    enum { MANY = 200, LAUNCHES = 100 };
    static double t[MANY];
    tile_error err;
    tile_graph *g = NULL;
    bool ok = tile_launch(k, NULL, NULL, args, n, &err) == TILE_OK;
    if (ok && replay) {
        ok = tile_capture_begin(dev, NULL, &err) == TILE_OK;
        for (int i = 0; i < LAUNCHES && ok; i++)
            ok = tile_launch(k, NULL, NULL, args, n, &err) == TILE_OK;
        ok = (g = tile_capture_end(dev, NULL, &err)) != NULL && ok;
    }
    for (int i = 0; i < MANY && ok; i++) {
        double t0 = clock_now();
        if (replay)
            ok = tile_graph_replay(g, NULL, &err) == TILE_OK;
        for (int j = 0; j < LAUNCHES && ok && !replay; j++)
            ok = tile_launch(k, NULL, NULL, args, n, &err) == TILE_OK;
        t[i] = (clock_now() - t0) / LAUNCHES;
    }
    tile_graph_destroy(g);
    *out = time_median(t, MANY);
    return ok;
}

/* a launch of a known kernel whose work is one small program; and what of it a replay takes, the work mostly */
static bool time_launch(bench *b, const char *device, const char *what, const tile_arg *args, int n)
{
    tile_module *mod = NULL;
    tile_device *own = b->dev;
    double launch, node;
    b->dev = tile_device_open(device, NULL);
    tile_kernel *k = b->dev ? open_kernel(b, "elementwise.tile", "relu", &mod) : NULL;
    bool ok = k && time_series(k, b->dev, args, n, false, &launch) && time_series(k, b->dev, args, n, true, &node);
    tile_module_close(mod);
    tile_device_close(b->dev);
    b->dev = own;
    if (ok) {
        print_time(b, "launch", what, launch);
        print_time(b, "replay, a node", what, node);
    }
    return ok;
}

bool bench_cpu_latency(bench *b)
{
    int64_t shape[2] = {256, 256}, n = 1000;
    float *x = bench_host_buffer(256 * 256 * 4), *y = bench_host_buffer(256 * 256 * 4),
          *z = bench_host_buffer(256 * 256 * 4);
    tile_tensor tx = tile_tensor_of(x, TILE_F32, 2, shape), ty = tile_tensor_of(y, TILE_F32, 2, shape),
                tz = tile_tensor_of(z, TILE_F32, 2, shape);
    tile_arg relu[] = {tile_arg_ptr(x, TILE_F32), tile_arg_ptr(y, TILE_F32), tile_arg_int(n)};
    tile_arg mm[] = {tile_arg_tensor(&tx), tile_arg_tensor(&ty), tile_arg_tensor(&tz)};
    setenv("TILE_CACHE_DIR", "", 1); /* what is cold has nothing on disk */
    bool ok = time_cold(b, "cold elementwise", "elementwise.tile", "relu", relu, 3);
    ok &= time_cold(b, "cold matmul", "matmul.tile", "matmul", mm, 3);
    ok &= time_check(b);
    ok &= time_known(b, relu, 3);
    ok &= time_launch(b, b->device, "1000 elements", relu, 3);
    if (strcmp(b->device, "cpu") == 0)
        ok &= time_launch(b, "cpu:threads=1", "1000 elements, 1 thread", relu, 3);
    free(x);
    free(y);
    free(z);
    return ok;
}
