/* aot_use.c: a program of tests/tools/aot.sh: calls the functions of an ahead-of-time object, prints what came of it.
 */
#define _GNU_SOURCE
#include "aot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static tile_error err;

static void say(const char *what, int code)
{
    printf("%s: %d%s%s\n", what, code, code ? " " : "", code ? err.text : "");
}

static tile_tensor matrix(void *p, tile_dtype t, int64_t m, int64_t n)
{
    int64_t sizes[] = {m, n};
    return tile_tensor_of(p, t, 2, sizes);
}

static void pointers(void)
{
    static float x[1003], y[1003];
    static const int sizes[] = {1, 63, 64, 65, 1000};
    int wrong = 0;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int off = 0; off < 3; off++) { /* addresses of any alignment */
            for (int i = 0; i < 1003; i++) {
                x[i] = (float)i;
                y[i] = -1;
            }
            wrong += twice(NULL, NULL, x + off, y + off, sizes[k], &err) != TILE_OK;
            for (int i = 0; i < 1003; i++)
                wrong += y[i] != (i >= off && i < off + sizes[k] ? 2.0f * (float)i : -1);
        }
    wrong += twice(NULL, NULL, x, x, 1000, &err) != TILE_OK;
    for (int i = 0; i < 1003; i++)
        wrong += x[i] != (i < 1000 ? 2.0f : 1.0f) * (float)i;
    printf("twice: %d wrong\n", wrong);
    say("no programs", twice(NULL, NULL, x, y, 0, &err));
    say("null", twice(NULL, NULL, x, NULL, 5, NULL));
    say("null", twice(NULL, NULL, NULL, y, 5, &err));
    say("zero grid", twice(NULL, (int64_t[]){1, 0, 1}, x, y, 5, &err));
    say("huge grid", twice(NULL, (int64_t[]){1 << 20, 1 << 20, 1}, x, y, 5, &err));
}

static int soft_wrong(const float *x, const float *y, int m, int n)
{
    int wrong = 0;
    for (int i = 0; i < m; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++)
            sum += exp((double)x[i * n + j]);
        for (int j = 0; j < n; j++)
            wrong += !(fabs((double)y[i * n + j] - exp((double)x[i * n + j]) / sum) < 1e-6);
    }
    return wrong;
}

static void tensors(void)
{
    static float x[7 * 101], y[7 * 101];
    static uint16_t h[3 * 64], g[3 * 64];
    int wrong = 0;
    for (int i = 0; i < 7 * 101; i++)
        x[i] = (float)(i % 13) * 0.25f;
    for (int n = 64; n <= 100; n += 36) {
        tile_tensor a = matrix(x, TILE_F32, 7, n), b = matrix(y, TILE_F32, 7, n);
        say("soft", soft(NULL, NULL, &a, &b, &err));
        wrong += soft_wrong(x, y, 7, n);
    }
    for (int i = 0; i < 3 * 64; i++)
        h[i] = 0x3c00;
    tile_tensor a = matrix(h, TILE_F16, 3, 64), b = matrix(g, TILE_F16, 3, 64), c;
    say("soft f16", soft(NULL, NULL, &a, &b, &err));
    for (int i = 0; i < 3 * 64; i++)
        wrong += g[i] != 0x2400;
    printf("soft: %d wrong\n", wrong);
    c = matrix(y, TILE_F32, 3, 64);
    say("two types", soft(NULL, NULL, &a, &c, &err));
    c = matrix(g, TILE_F16, 2, 64);
    say("two sizes", soft(NULL, NULL, &a, &c, &err));
    a = matrix(x, TILE_F32, 7, 65);
    c = matrix(y, TILE_F32, 7, 65);
    say("a size not built for", soft(NULL, NULL, &a, &c, &err));
    a = matrix(x, TILE_I32, 7, 64);
    say("a type not listed", soft(NULL, NULL, &a, &c, &err));
    a = matrix(x, TILE_F32, 7, 64);
    a.rank = 1;
    say("rank", soft(NULL, NULL, &a, &c, &err));
    a = matrix((char *)x + 2, TILE_F32, 3, 64);
    say("null tensor", soft(NULL, NULL, NULL, &c, &err));
    a = matrix(x, TILE_F32, 3, 64);
    c = matrix(x + 64, TILE_F32, 3, 64);
    say("overlap", soft(NULL, NULL, &a, &c, &err));
}

static int shift_wrong(const float *y, int m, int n)
{
    int wrong = 0;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            wrong += y[i * n + j] != (i + 1 < m ? (float)((i + 1) * n + j) : 0);
    return wrong;
}

static void strides(void)
{
    static float x[16 * 48], y[16 * 48], t[48 * 16];
    int wrong = 0;
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 48; j++)
            x[i * 48 + j] = t[j * 16 + i] = (float)(i * 48 + j);
    tile_tensor a = matrix(x, TILE_F32, 16, 48), b = matrix(y, TILE_F32, 16, 48);
    say("fast", shift(NULL, NULL, &a, &b, &err));
    wrong += shift_wrong(y, 16, 48);
    memset(y, 255, sizeof y);
    tile_tensor turned = {t, TILE_F32, 2, {16, 48}, {1, 16}};
    say("narrow", shift(NULL, NULL, &turned, &b, &err));
    wrong += shift_wrong(y, 16, 48);
    /* rows that are 8 GiB apart: indices of more than 32 bits */
    size_t gap = (size_t)1 << 31;
    float *far = mmap(NULL, (gap + 64) * sizeof *far, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (far != MAP_FAILED) {
        tile_tensor wide = {far, TILE_F32, 2, {2, 48}, {(int64_t)gap, 1}}, two = matrix(y, TILE_F32, 2, 48);
        for (int j = 0; j < 48; j++)
            far[gap + (size_t)j] = (float)j;
        say("wide", shift(NULL, NULL, &wide, &two, &err));
        for (int j = 0; j < 48; j++)
            wrong += y[j] != (float)j || y[48 + j] != 0;
        munmap(far, (gap + 64) * sizeof *far);
    }
    say("in place", shift(NULL, NULL, &a, &a, &err));
    wrong += shift_wrong(x, 16, 48);
    printf("shift: %d wrong\n", wrong);
}

static void optionals(void)
{
    static float x[100], b[100], y[100];
    int64_t n = 100, most = 40;
    int wrong = 0;
    tile_tensor tx = tile_tensor_of(x, TILE_F32, 1, &n), tb = tile_tensor_of(b, TILE_F32, 1, &n),
                ty = tile_tensor_of(y, TILE_F32, 1, &n);
    for (int i = 0; i < 100; i++) {
        x[i] = (float)i;
        b[i] = 0.5f;
    }
    for (int k = 0; k < 4; k++) {
        int code = scaled(NULL, NULL, &tx, k & 1 ? &tb : NULL, 2.0, k & 2 ? &most : NULL, &ty, &err);
        wrong += code != TILE_OK;
        for (int i = 0; i < 100; i++) {
            float v = 2 * (float)i + (k & 1 ? 0.5f : 0);
            wrong += y[i] != (k & 2 && v > 40 ? 40 : v);
        }
    }
    printf("scaled: %d wrong\n", wrong);
    say("fault", scaled(NULL, NULL, &tx, NULL, 1000, NULL, &ty, &err));
    say("not optional", scaled(NULL, NULL, &tx, NULL, 1, NULL, NULL, &err));
}

static void streams(void)
{
    static float x[100], y[100], z[100];
    tile_device *d = tile_device_open("cpu:threads=2", &err);
    tile_stream *s = d ? tile_stream_create(d, &err) : NULL;
    int wrong = s == NULL;
    for (int i = 0; i < 100; i++)
        x[i] = (float)i;
    wrong += tile_capture_begin(d, s, &err) != TILE_OK;
    wrong += twice(s, NULL, x, y, 100, &err) != TILE_OK;
    wrong += twice(s, NULL, y, z, 100, &err) != TILE_OK;
    wrong += z[1] != 0;
    tile_graph *g = tile_capture_end(d, s, &err);
    wrong += g == NULL || tile_graph_replay(g, s, &err) != TILE_OK;
    for (int i = 0; i < 100; i++)
        wrong += z[i] != 4 * (float)i;
    tile_graph_destroy(g);
    tile_stream_destroy(s);
    tile_device_close(d);
    printf("streams: %d wrong\n", wrong);
    say("no device", tile_device_open("cuda", &err) ? 0 : err.code);
}

int main(void)
{
    pointers();
    tensors();
    strides();
    optionals();
    streams();
    return 0;
}
