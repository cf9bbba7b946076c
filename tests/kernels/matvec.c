/* matvec.c: matvec.tile, matvec_quant.tile and matmul_quant.tile: odd numbers of rows and blocks, against the weights
 * as numbers. */
#include "kernels/ref/ref.h"
#include "tests/kernels/kit.h"

#define EACH(i, table) for (size_t i = 0; i < COUNTOF(table); i++)

static void floats(dtype w, dtype x, int64_t m, int64_t n, int64_t k, int64_t bk, fill what)
{
    kt t;
    if (!kt_begin(&t, "matvec", "matvec", "%s %s %lldx%lldx%lld %d", dtypes[w].name, dtypes[x].name, (long long)m,
                  (long long)n, (long long)k, (int)what))
        return;
    int64_t wn[] = {n, k}, xn[] = {m, k}, yn[] = {m, n};
    double *a = kt_in(&t, w, what, 2, wn), *b = kt_in(&t, x, FILL_NORMAL, 2, xn), *mag = kt_temp(&t, m * n);
    double *y = kt_out(&t, DT_F32, 2, yn);
    kt_tol(&t, 1, 0);
    ref_matmul(b, a, true, m, n, k, y, mag);
    double *slack = kt_slack(&t);
    for (int64_t i = 0; i < m * n; i++)
        slack[i] = isfinite(mag[i]) && mag[i] < 0x1p127 ? mag[i] * (4 + sqrt((double)k)) * 0x1p-24
                   : isnan(y[i])                        ? 0
                                                        : INFINITY; /* sums that may overflow on the way are open */
    kt_def(&t, "BK=%lld", (long long)bk);
    kt_end(&t);
}

/* f16 fields of a block, that must be numbers of a size that keeps sums finite */
static void set_half(unsigned char *p)
{
    int bits = (int)(kt_rng() % 0x2000) + 0x1800 + (kt_rng() % 4 == 0 ? 0x8000 : 0);
    p[0] = (unsigned char)bits;
    p[1] = (unsigned char)(bits >> 8);
}

/* where a format's f16 fields lie */
static const struct {
    const char *name;
    int at, second; /* -1 = none */
} halves[] = {
    {"q8_0", 0, -1}, {"q4_0", 0, -1}, {"q4_1", 0, 2},    {"q5_0", 0, -1},  {"q5_1", 0, 2},    {"iq4_nl", 0, -1},
    {"q4_k", 0, 2},  {"q5_k", 0, 2},  {"q6_k", 208, -1}, {"q2_k", 80, 82}, {"q3_k", 108, -1}, {"iq4_xs", 0, -1},
};

static unsigned char *random_blocks(kt *t, const ref_gguf_format *f, int64_t n)
{
    unsigned char *raw = ARENA_ARRAY(&t->a, unsigned char, (size_t)(n * f->bytes));
    for (int64_t i = 0; i < n * f->bytes; i++)
        raw[i] = (unsigned char)kt_rng();
    EACH(h, halves)
    {
        if (strcmp(halves[h].name, f->name) != 0)
            continue;
        for (int64_t i = 0; i < n; i++) {
            set_half(raw + i * f->bytes + halves[h].at);
            if (halves[h].second >= 0)
                set_half(raw + i * f->bytes + halves[h].second);
        }
    }
    return raw;
}

/* tiles: by matmul_quant.tile, of rows x step */
static void quantised_by(bool tiles, const char *format, int64_t m, int64_t n, int64_t blocks, int64_t rows,
                         int64_t step)
{
    kt t;
    char kernel[32];
    const ref_gguf_format *f = ref_gguf_find(format);
    snprintf(kernel, sizeof kernel, "%s_%s", tiles ? "matmul" : "matvec", format);
    if (!kt_begin(&t, tiles ? "matmul_quant" : "matvec_quant", kernel, "%lldx%lldx%lld rows %lld by %lld", (long long)m,
                  (long long)n, (long long)blocks, (long long)rows, (long long)step))
        return;
    int64_t k = blocks * f->qk, wn[] = {n, blocks, f->bytes}, xn[] = {m, k}, bn[] = {m, k / 32}, yn[] = {m, n};
    unsigned char *raw = random_blocks(&t, f, n * blocks);
    double *w = kt_in(&t, DT_U8, FILL_ZERO, 3, wn), *values = kt_temp(&t, n * k), *v = kt_temp(&t, m * k);
    for (int64_t i = 0; i < n * blocks * f->bytes; i++)
        w[i] = raw[i];
    kt_set(&t);
    ref_gguf_values(f, raw, n * blocks, values);
    double *x = kt_in(&t, DT_I8, FILL_BITS, 2, xn), *xs = kt_in(&t, DT_F32, FILL_POS, 2, bn);
    double *xb = kt_in(&t, DT_F32, FILL_ZERO, 2, bn), *mag = kt_temp(&t, m * n);
    for (int64_t i = 0; i < m * k; i++) {
        v[i] = x[i] * xs[i / 32];
        xb[i / 32] += v[i];
    }
    kt_set(&t);
    double *y = kt_out(&t, DT_F32, 2, yn);
    kt_tol(&t, 1, 0);
    ref_matmul(v, values, true, m, n, k, y, mag);
    double *slack = kt_slack(&t);
    for (int64_t i = 0; i < m * n; i++) /* what is subtracted may be some times what remains */
        slack[i] = mag[i] * (64 + sqrt((double)k)) * 0x1p-24;
    kt_def(&t, tiles ? "BM=%lld" : "ROWS=%lld", (long long)rows);
    kt_def(&t, tiles ? "BN=%lld" : f->qk == 32 ? "KB=%lld" : "SB=%lld", (long long)step);
    kt_end(&t);
}

static void quantised(const char *format, int64_t m, int64_t n, int64_t blocks, int64_t rows, int64_t step)
{
    quantised_by(false, format, m, n, blocks, rows, step);
}

void kt_matvec(void)
{
    static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
    EACH(d, types)
    {
        floats(types[d], types[d], 1, 7, 300, 128, FILL_NORMAL);
        floats(types[d], DT_F32, 3, 5, 1, 64, FILL_NORMAL);
        floats(types[d], DT_F32, 2, 9, 1025, 1024, FILL_NORMAL);
        floats(types[d], DT_F32, 1, 6, 77, 64, FILL_EDGE);
    }
    static const char *const small[] = {"q8_0", "q4_0", "q4_1"}, *const large[] = {"q4_k", "q6_k"};
    EACH(f, small)
    {
        quantised(small[f], 1, 1, 1, 4, 32);
        quantised(small[f], 3, 5, 3, 4, 32);
        quantised(small[f], 1, 13, 18, 4, 16);
        quantised(small[f], 2, 8, 35, 8, 8);
        quantised(small[f], 1, 3, 7, 1, 4);
        quantised(small[f], 1, 3, 5, 3, 3);
        quantised(small[f], 2, 2, 3, 2, 1);
        quantised_by(true, small[f], 1, 1, 1, 64, 64);
        quantised_by(true, small[f], 33, 70, 5, 32, 64);
        quantised_by(true, small[f], 65, 131, 18, 64, 64);
        quantised_by(true, small[f], 20, 50, 3, 13, 36);
    }
    static const char *const rest_small[] = {"q5_0", "q5_1", "iq4_nl"};
    static const char *const rest_large[] = {"q2_k", "q3_k", "q5_k", "iq4_xs"};
    EACH(f, rest_small)
    {
        quantised(rest_small[f], 3, 5, 3, 4, 32);
        quantised(rest_small[f], 1, 13, 35, 4, 32);
        quantised(rest_small[f], 2, 2, 5, 3, 3);
    }
    EACH(f, rest_large)
    {
        quantised(rest_large[f], 2, 5, 3, 4, 8);
        quantised(rest_large[f], 1, 7, 9, 4, 8);
        quantised(rest_large[f], 1, 2, 2, 1, 1);
    }
    EACH(f, large)
    {
        quantised(large[f], 1, 1, 1, 4, 16);
        quantised(large[f], 2, 5, 3, 4, 16);
        quantised(large[f], 1, 7, 9, 2, 8);
        quantised(large[f], 1, 2, 2, 1, 1);
        quantised(large[f], 1, 4, 5, 4, 3);
    }
    kts.large = true;
    EACH(d, types)
    floats(types[d], types[d], 2, 501, 300, 128, FILL_NORMAL);
    EACH(f, small)
    {
        quantised(small[f], 2, 501, 3, 4, 32);
        quantised_by(true, small[f], 65, 401, 5, 64, 64);
    }
    EACH(f, rest_small)
    quantised(rest_small[f], 2, 501, 3, 4, 32);
    EACH(f, rest_large)
    quantised(rest_large[f], 2, 301, 2, 4, 8);
    EACH(f, large)
    quantised(large[f], 2, 301, 2, 4, 16);
    kts.large = false;
}
