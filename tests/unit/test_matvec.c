/* test_matvec.c: what a row of a matrix times vectors is doesn't depend, to the bit, on how many vectors there are, on
 * how many rows, or on the number of threads. And blocks of bytes at their extremes, the last of them at the end of
 * what may be read: sums that just fit 16 bits, and neighbouring words of each block.
 */
#include "runtime/tile.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

/* ---- blocks ---- */
#define BLOCKS 48
#define LINES 4
#define BLOCK 48 /* 32 bytes, 3 words, 2 halves */

static const char block_text[] =
    "fn inner(v, x):\n"
    "    return sum(v.to(i32) * x.to(i32)[None, :, :], 2)\n"
    "kernel blocks(w: u8[N, B, 48], x: i8[B, 32], out: i32[4, N, B]) grid(N // 2):\n"
    "    q = tensor(w.ptr, [N, B, 48], [B * 48, 48, 1])\n"
    "    words = tensor(w.ptr.to(*u32), [N, B, 12], [B * 12, 12, 1])\n"
    "    halves = tensor(w.ptr.to(*u16), [N, B, 24], [B * 24, 24, 1])\n"
    "    n = program_id(0) * 2\n"
    "    for b in range(0, B, 16):\n"
    "        v = q.load([n, b, 0], [2, 16, 32])\n"
    "        a = x.load([b, 0], [16, 32])\n"
    "        h = q.load([n, b, 16], [2, 16, 16])\n"
    "        out[0].store([n, b], inner(v & 15, a))\n"
    "        out[1].store([n, b], inner(v & 63, a))\n"
    "        out[2].store([n, b], inner(v & 31, a) + inner(h & 63, x.load([b, 16], [16, 16])))\n"
    "        one = words[:, :, 9].load([n, b], [2, 16])\n"
    "        two = words[:, :, 10].load([n, b], [2, 16])\n"
    "        three = words[:, :, 8].load([n, b], [2, 16])\n"
    "        four = halves[:, :, 22].load([n, b], [2, 16]).to(u32)\n"
    "        five = halves[:, :, 23].load([n, b], [2, 16]).to(u32)\n"
    "        out[3].store([n, b], ((one ^ two * 3) + three * 5 + (four ^ five * 7) * 11).to(i32, bitcast=True))\n";

/* so many bytes that end where nothing can be read */
static uint8_t *guarded(size_t n, size_t page)
{
    size_t whole = (n + page - 1) / page * page;
    uint8_t *p = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(p != MAP_FAILED && mprotect(p + whole, page, PROT_NONE) == 0);
    return p + whole - n;
}

static int32_t wanted(const uint8_t *w, const int8_t *x, int what)
{
    static const int masks[] = {15, 63, 31};
    int32_t sum = 0;
    if (what > 2) {
        uint32_t word[3];
        uint16_t half[2];
        memcpy(word, w + 32, sizeof word);
        memcpy(half, w + 44, sizeof half);
        return (int32_t)((word[1] ^ word[2] * 3) + word[0] * 5 + (half[0] ^ half[1] * 7u) * 11);
    }
    for (int i = 0; i < 32; i++)
        sum += (w[i] & masks[what]) * x[i] + (what == 2 && i >= 16 ? (w[i] & 63) * x[i] : 0);
    return sum;
}

START_TEST(blocks)
{
    const size_t page = 4096, bytes = (size_t)LINES * BLOCKS * BLOCK;
    uint8_t *w = guarded(bytes, page);
    int8_t *x = (int8_t *)guarded((size_t)BLOCKS * 32, page);
    static int32_t out[4 * LINES * BLOCKS];
    uint32_t seed = 7;
    for (size_t i = 0; i < bytes; i++)
        w[i] = i < bytes / 2 ? 255 : (uint8_t)(next(&seed) >> 24);
    for (int i = 0; i < BLOCKS * 32; i++)
        x[i] = i / 32 % 3 == 0 ? -128 : i / 32 % 3 == 1 ? 127 : (int8_t)(next(&seed) >> 24);
    tile_error err = {0};
    tile_device *dev = tile_device_open(_i ? "interp" : "cpu", &err);
    ck_assert_msg(dev, "%s", err.text);
    tile_module *mod = tile_module_from_string(dev, "blocks.tile", block_text, NULL, &err);
    ck_assert_msg(mod, "%s", err.text);
    tile_kernel *k = tile_kernel_find(mod, "blocks", &err);
    ck_assert_msg(k, "%s", err.text);
    int64_t ws[] = {LINES, BLOCKS, BLOCK}, xs[] = {BLOCKS, 32}, os[] = {4, LINES, BLOCKS};
    tile_tensor tw = tile_tensor_of(w, TILE_U8, 3, ws), tx = tile_tensor_of(x, TILE_I8, 2, xs),
                to = tile_tensor_of(out, TILE_I32, 3, os);
    tile_arg args[] = {tile_arg_tensor(&tw), tile_arg_tensor(&tx), tile_arg_tensor(&to)};
    int code = tile_launch(k, NULL, NULL, args, 3, &err);
    ck_assert_msg(code == TILE_OK, "%s", err.text);
    for (int what = 0; what < 4; what++)
        for (int i = 0; i < LINES * BLOCKS; i++) {
            int32_t got = out[what * LINES * BLOCKS + i];
            int32_t want = wanted(w + (size_t)i * BLOCK, x + (size_t)(i % BLOCKS) * 32, what);
            ck_assert_msg(got == want, "output %d, block %d: %d, not %d", what, i, got, want);
        }
    tile_module_close(mod);
    tile_device_close(dev);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("matvec");
    TCase *c = tcase_create("bits");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, same_bits, 0, (int)(sizeof kernels / sizeof *kernels));
    tcase_add_loop_test(c, blocks, 0, 2);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
