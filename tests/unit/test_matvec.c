/* test_matvec.c: what a row of a matrix times vectors is doesn't depend, to the bit, on how many vectors there are, on how
 * many rows, or on the number of threads.
 */
#include "runtime/tile.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define K 2304
#define ROWS 37
#define VECTORS 8

typedef struct data {
    uint8_t *w;
    int8_t x[VECTORS * K];
    float xs[VECTORS * K / 32], xb[VECTORS * K / 32], xf[VECTORS * K];
} data;

static const struct {
    const char *file, *kernel;
    int64_t block, bytes;
} kernels[] = {
    {"kernels/matvec.tile", "matvec", 1, 4},
    {"kernels/matvec_quant.tile", "matvec_q8_0", 32, 34},
    {"kernels/matvec_quant.tile", "matvec_q4_0", 32, 18},
    {"kernels/matvec_quant.tile", "matvec_q4_1", 32, 20},
    {"kernels/matvec_quant.tile", "matvec_q4_k", 256, 144},
    {"kernels/matvec_quant.tile", "matvec_q6_k", 256, 210},
};

static uint32_t next(uint32_t *s)
{
    return *s = *s * 1664525u + 1013904223u;
}

/* bytes of 0 .. 63: f16 fields and floats are then numbers */
static data *make(uint32_t seed)
{
    data *d = calloc(1, sizeof *d);
    ck_assert_ptr_nonnull(d);
    d->w = calloc(ROWS, K * 4);
    ck_assert_ptr_nonnull(d->w);
    for (int64_t i = 0; i < (int64_t)ROWS * K * 4; i++)
        d->w[i] = (uint8_t)(next(&seed) >> 26);
    for (int i = 0; i < VECTORS * K; i++) {
        d->x[i] = (int8_t)(next(&seed) >> 24);
        d->xf[i] = (float)d->x[i] / 64;
        d->xb[i / 32] += d->x[i];
    }
    for (int i = 0; i < VECTORS * K / 32; i++) {
        d->xs[i] = (float)(next(&seed) >> 20) * 0x1p-14f;
        d->xb[i] *= d->xs[i];
    }
    return d;
}

/* y[m, rows] of the first m vectors from vector `from` on */
static void run(const char *device, int which, data *d, int64_t from, int64_t m, int64_t rows, float *y)
{
    tile_error err = {0};
    tile_device *dev = tile_device_open(device, &err);
    ck_assert_msg(dev, "%s", err.text);
    tile_module *mod = tile_module_from_file(dev, kernels[which].file, NULL, &err);
    ck_assert_msg(mod, "%s", err.text);
    tile_kernel *k = tile_kernel_find(mod, kernels[which].kernel, &err);
    ck_assert_msg(k, "%s", err.text);
    bool floats = kernels[which].block == 1;
    int64_t ws[3] = {rows, K / kernels[which].block, kernels[which].bytes}, xs[2] = {m, K}, bs[2] = {m, K / 32},
            ys[2] = {m, rows};
    tile_tensor w = tile_tensor_of(d->w, floats ? TILE_F32 : TILE_U8, floats ? 2 : 3, ws),
                x = floats ? tile_tensor_of(d->xf + from * K, TILE_F32, 2, xs)
                           : tile_tensor_of(d->x + from * K, TILE_I8, 2, xs),
                s = tile_tensor_of(d->xs + from * K / 32, TILE_F32, 2, bs),
                b = tile_tensor_of(d->xb + from * K / 32, TILE_F32, 2, bs), out = tile_tensor_of(y, TILE_F32, 2, ys);
    tile_arg args[5] = {tile_arg_tensor(&w), tile_arg_tensor(&x)};
    int n = 2;
    if (!floats) {
        args[n++] = tile_arg_tensor(&s);
        args[n++] = tile_arg_tensor(&b);
    }
    args[n++] = tile_arg_tensor(&out);
    int code = tile_launch(k, NULL, NULL, args, n, &err);
    ck_assert_msg(code == TILE_OK, "%s", err.text);
    tile_module_close(mod);
    tile_device_close(dev);
}

START_TEST(same_bits)
{
    data *d = make((uint32_t)_i + 1);
    static float all[VECTORS * ROWS], one[ROWS], few[VECTORS * ROWS];
    run("cpu", _i, d, 0, VECTORS, ROWS, all);
    for (int64_t m = 0; m < VECTORS; m += 3) {
        run("cpu:threads=1", _i, d, m, 1, ROWS, one);
        ck_assert(memcmp(one, all + m * ROWS, sizeof one) == 0);
    }
    run("cpu", _i, d, 0, 2, 9, few);
    for (int64_t m = 0; m < 2; m++)
        ck_assert(memcmp(few + m * 9, all + m * ROWS, 9 * sizeof *few) == 0);
    float sum = 0;
    for (int i = 0; i < VECTORS * ROWS; i++)
        sum += all[i] != 0 && all[i] == all[i];
    ck_assert(sum > VECTORS * ROWS / 2); /* numbers, not zeros */
    free(d->w);
    free(d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("matvec");
    TCase *c = tcase_create("bits");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, same_bits, 0, (int)(sizeof kernels / sizeof *kernels));
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
