/* quant.c: gguf.tile, dequantise.tile, quantise.tile and matmul_gguf.tile.
 *
 * The reference of GGUF's formats is itself held to sums that another implementation gave: those of the `gguf` Python
 * package, version 0.19.0 (gguf.quants.dequantize), over the two blocks that `sample_blocks` makes.
 */
#include "kernels/ref/ref.h"
#include "tests/kernels/kit.h"

#define EACH(i, table) for (size_t i = 0; i < COUNTOF(table); i++)

static const dtype types[] = {DT_F32, DT_F16, DT_BF16};

/* where the f16 of a block are; -1: none */
static const struct sample {
    const char *name;
    int d, m;
    double sum, weighted; /* of the values, and of the values times 1, 2, 3, .. */
} samples[] = {
    {"q4_0", 0, -1, 1.0, 79.5},
    {"q4_1", 0, 2, 99.0, 1408.5},
    {"q5_0", 0, -1, 29.0, 703.5},
    {"q5_1", 0, 2, 163.0, -195.5},
    {"q8_0", 0, -1, -96.0, -1680.0},
    {"q2_k", 80, 82, -963.5, -1176584.5},
    {"q3_k", 108, -1, -219.5, -150462.25},
    {"q4_k", 0, 2, 10916.0, -4601300.0},
    {"q5_k", 0, 2, 26508.0, -7531784.0},
    {"q6_k", 208, -1, -6912.0, 107340.0},
    {"iq4_nl", 0, -1, 52.75, 1874.75},
    {"iq4_xs", 0, -1, 3828.25, 261086.5},
};

static void put_half(uint8_t *p, double x)
{
    uint64_t bits = dt_from_double(DT_F16, x, false);
    p[0] = (uint8_t)bits;
    p[1] = (uint8_t)(bits >> 8);
}

static void sample_blocks(const struct sample *s, int bytes, uint8_t *out)
{
    for (int i = 0; i < 2 * bytes; i++)
        out[i] = (uint8_t)(i * i * 5 + i * 37 + 11);
    for (int b = 0; b < 2; b++) {
        put_half(out + b * bytes + s->d, b ? -0.25 : 0.5);
        if (s->m >= 0)
            put_half(out + b * bytes + s->m, b ? 1.5 : -0.75);
    }
}

static void reference(const struct sample *s)
{
    const ref_gguf_format *f = ref_gguf_find(s->name);
    uint8_t blocks[2 * 256];
    double values[512], sum = 0, weighted = 0;
    if (kts.filter && !strstr(s->name, kts.filter))
        return;
    if (!f) {
        kt_fail("no reference for %s", s->name);
        kts.failed++;
        return;
    }
    sample_blocks(s, f->bytes, blocks);
    ref_gguf_values(f, blocks, 2, values);
    for (int i = 0; i < 2 * f->qk; i++) {
        sum += values[i];
        weighted += values[i] * (i + 1);
    }
    if (sum == s->sum && weighted == s->weighted) {
        kts.passed++;
        return;
    }
    kt_fail("reference of %s: expected sums %.17g and %.17g, found %.17g and %.17g", s->name, s->sum, s->weighted, sum,
            weighted);
    kts.failed++;
}

/* random rows whose scales are ordinary numbers */
static uint8_t *random_rows(kt *t, const struct sample *s, double *w, int64_t blocks, int64_t bytes)
{
    uint8_t *raw = ARENA_ARRAY(&t->a, uint8_t, (size_t)(blocks * bytes));
    for (int64_t i = 0; i < blocks * bytes; i++)
        raw[i] = (uint8_t)kt_rng();
    for (int64_t b = 0; b < blocks; b++) {
        put_half(raw + b * bytes + s->d, kt_uniform(-0.02, 0.02));
        if (s->m >= 0)
            put_half(raw + b * bytes + s->m, kt_uniform(-0.02, 0.02));
    }
    for (int64_t i = 0; i < blocks * bytes; i++)
        w[i] = raw[i];
    kt_set(t);
    return raw;
}

static void dequantise(const struct sample *s, dtype ut, int64_t v, int64_t kb, int64_t b)
{
    kt t;
    const ref_gguf_format *f = ref_gguf_find(s->name);
    if (!f || !kt_begin(&t, "dequantise", "dequantise", "%s %s %lldx%lld%s", s->name, dtypes[ut].name, (long long)v,
                        (long long)kb, b ? " ids" : ""))
        return;
    kt_def(&t, "decode=gguf_%s", s->name);
    kt_def(&t, "QK=%d", f->qk);
    int64_t k = kb * f->qk, rows = b ? b : v;
    double *w = kt_in(&t, DT_U8, FILL_BITS, 3, (int64_t[]){v, kb, f->bytes}), *ids = NULL;
    uint8_t *raw = random_rows(&t, s, w, v * kb, f->bytes);
    if (b) {
        ids = kt_in(&t, DT_I32, FILL_ZERO, 1, &b);
        for (int64_t i = 0; i < b; i++)
            ids[i] = i == 1 ? -1 : i == 2 ? (double)v : (double)(kt_rng() % (uint64_t)v);
        kt_set(&t);
    } else {
        kt_none(&t);
    }
    double *out = kt_out(&t, ut, 2, (int64_t[]){rows, k});
    kt_tol(&t, 1.01, 0);
    double *slack = kt_slack(&t), *values = kt_temp(&t, v * k);
    kt_real(&t, 1.5);
    ref_gguf_values(f, raw, v * kb, values);
    for (int64_t i = 0; i < rows * k; i++) {
        double r = ids ? ids[i / k] : (double)(i / k);
        out[i] = r < 0 || r >= (double)v ? 0 : 1.5 * values[(int64_t)r * k + i % k];
        slack[i] = 4e-6; /* d s q - dmin m: three roundings of numbers up to 0.02 * 63 * 31 */
    }
    kt_end(&t);
}

/* y = act(x @ W^T + bias) + residual */
static void linear(const char *kernel, const struct sample *s, dtype dt, const char *compute, int64_t m, int64_t n,
                   int64_t kb, bool extras)
{
    kt t;
    const ref_gguf_format *f = ref_gguf_find(s->name);
    if (!f || !kt_begin(&t, "matmul_gguf", kernel, "%s %s %s %lldx%lldx%lld%s", s->name, dtypes[dt].name, compute,
                        (long long)m, (long long)n, (long long)kb, extras ? " bias residual" : ""))
        return;
    int64_t k = kb * f->qk;
    bool tile = !strcmp(kernel, "linear_gguf");
    double eps = !strcmp(compute, "f32") ? 0 : 2 * kt_eps(!strcmp(compute, "f16") ? DT_F16 : DT_BF16);
    kt_def(&t, "decode=blocks_%s", s->name);
    kt_def(&t, "QK=%d", f->qk);
    if (tile) {
        kt_def(&t, "BM=16");
        kt_def(&t, "BN=16");
        kt_def(&t, "COMPUTE=%s", compute);
    }
    double *x = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, k});
    double *w = kt_in(&t, DT_U8, FILL_BITS, 3, (int64_t[]){n, kb, f->bytes});
    uint8_t *raw = random_rows(&t, s, w, n * kb, f->bytes);
    double *b = extras ? kt_in(&t, DT_F32, FILL_NORMAL, 1, &n) : NULL;
    if (!b)
        kt_none(&t);
    double *r = extras ? kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, n}) : NULL;
    if (!r)
        kt_none(&t);
    double *y = kt_out(&t, dt, 2, (int64_t[]){m, n}), *mag = kt_temp(&t, m * n), *values = kt_temp(&t, n * k);
    kt_tol(&t, 1.01, 0);
    double *slack = kt_slack(&t);
    ref_gguf_values(f, raw, n * kb, values);
    ref_matmul(x, values, true, m, n, k, y, mag);
    for (int64_t i = 0; i < m * n; i++) {
        y[i] += (b ? b[i % n] : 0) + (r ? r[i] : 0);
        slack[i] = (mag[i] + (double)k * 4e-6) * ((double)(k + 4) * 0x1p-24 + eps) + (double)k * 4e-6 * 0.02;
    }
    kt_end(&t);
}

static double group_value(const double *w, const double *s, const double *z, int64_t i, int64_t width, bool four,
                          bool is_signed)
{
    double q = w[four ? i / 2 : i];
    if (four) {
        q = i % 2 ? floor(q / 16) : fmod(q, 16);
        q -= is_signed && q >= 8 ? 16 : 0;
    }
    return (q - (z ? z[i / width] : 0)) * s[i / width];
}

static void group(bool four, bool is_signed, dtype st, dtype ut, int64_t v, int64_t groups, int64_t width, bool zeros)
{
    kt t;
    if (!kt_begin(&t, "dequantise", four ? "dequantise_int4" : "dequantise_int8", "%s %s %lldx%lldx%lld%s%s",
                  dtypes[st].name, dtypes[ut].name, (long long)v, (long long)groups, (long long)width,
                  is_signed ? " signed" : "", zeros ? " zeros" : ""))
        return;
    int64_t k = groups * width;
    kt_def(&t, "GROUP=%lld", (long long)width);
    if (four)
        kt_def(&t, "SIGNED=%s", is_signed ? "True" : "False");
    double *w = kt_in(&t, four ? DT_U8 : DT_I8, FILL_BITS, 2, (int64_t[]){v, four ? k / 2 : k});
    double *s = kt_in(&t, st, FILL_UNIT, 2, (int64_t[]){v, groups});
    double *z = zeros ? kt_in(&t, st, FILL_NORMAL, 2, (int64_t[]){v, groups}) : NULL;
    if (!z)
        kt_none(&t);
    kt_none(&t);
    double *out = kt_out(&t, ut, 2, (int64_t[]){v, k});
    kt_tol(&t, 2, 0);
    for (int64_t i = 0; i < v * k; i++)
        out[i] = group_value(w, s, z, i, width, four, is_signed);
    kt_end(&t);
}

typedef struct group_case {
    bool tile, four, is_signed, zeros, bias;
    dtype dt, st;
    const char *compute;
    int64_t m, n, groups, width;
} group_case;

static void group_product(const group_case *c)
{
    kt t;
    char kernel[20];
    snprintf(kernel, sizeof kernel, "%s_int%d", c->tile ? "linear" : "matvec", c->four ? 4 : 8);
    if (!kt_begin(&t, "matmul_group", kernel, "%s %s %s %lldx%lldx%lldx%lld%s%s%s", dtypes[c->dt].name,
                  dtypes[c->st].name, c->compute, (long long)c->m, (long long)c->n, (long long)c->groups,
                  (long long)c->width, c->is_signed ? " signed" : "", c->zeros ? " zeros" : "", c->bias ? " bias" : ""))
        return;
    int64_t k = c->groups * c->width, n = c->n, g = c->groups;
    double eps = !strcmp(c->compute, "f32") ? 0 : 2 * kt_eps(DT_BF16);
    kt_def(&t, "GROUP=%lld", (long long)c->width);
    if (c->four)
        kt_def(&t, "SIGNED=%s", c->is_signed ? "True" : "False");
    if (c->tile) {
        kt_def(&t, "BM=16");
        kt_def(&t, "BN=16");
        kt_def(&t, "COMPUTE=%s", c->compute);
    }
    double *x = kt_in(&t, c->dt, FILL_NORMAL, 2, (int64_t[]){c->m, k});
    double *w = kt_in(&t, c->four ? DT_U8 : DT_I8, FILL_BITS, 2, (int64_t[]){n, c->four ? k / 2 : k});
    double *s = kt_in(&t, c->st, FILL_UNIT, 2, (int64_t[]){n, g});
    double *z = c->zeros ? kt_in(&t, c->st, FILL_NORMAL, 2, (int64_t[]){n, g}) : NULL;
    if (!z)
        kt_none(&t);
    double *b = c->bias ? kt_in(&t, DT_F32, FILL_NORMAL, 1, &n) : NULL;
    if (!b)
        kt_none(&t);
    double *y = kt_out(&t, c->dt, 2, (int64_t[]){c->m, n}), *mag = kt_temp(&t, c->m * n), *v = kt_temp(&t, n * k);
    kt_tol(&t, 1.01, 0);
    double *slack = kt_slack(&t);
    for (int64_t i = 0; i < n * k; i++)
        v[i] = group_value(w, s, z, i, c->width, c->four, c->is_signed);
    ref_matmul(x, v, true, c->m, n, k, y, mag);
    for (int64_t i = 0; i < c->m * n; i++) {
        y[i] += b ? b[i % n] : 0;
        slack[i] = (mag[i] + 1) * ((double)(k + 8) * 0x1p-24 + eps);
    }
    kt_end(&t);
}

static void group_products(void)
{
    static const group_case cases[] = {
        /* tile, four, signed, zeros, bias, x, scales, compute, m, n, groups, width */
        {true, true, false, true, true, DT_F32, DT_F16, "f32", 17, 21, 3, 64},
        {true, true, true, false, false, DT_F16, DT_F32, "f32", 3, 5, 5, 32},
        {true, false, false, true, false, DT_BF16, DT_F16, "f32", 17, 33, 2, 64},
        {true, false, false, false, true, DT_F32, DT_F32, "bf16", 1, 1, 1, 128},
        {false, true, false, true, false, DT_F32, DT_F16, "f32", 2, 21, 3, 64},
        {false, true, true, false, true, DT_F16, DT_F32, "f32", 1, 5, 5, 32},
        {false, false, false, true, true, DT_F32, DT_F16, "f32", 3, 17, 2, 128},
        {false, false, false, false, false, DT_BF16, DT_F32, "f32", 1, 1, 1, 32},
    };
    EACH(i, cases)
    group_product(&cases[i]);
}

static void quantise(dtype dt, int64_t m, int64_t kb)
{
    kt t;
    enum { QK = 32 };
    if (!kt_begin(&t, "quantise", "quantise_i8", "%s %lldx%lld", dtypes[dt].name, (long long)m, (long long)kb))
        return;
    int64_t k = kb * QK;
    double *x = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, k});
    for (int64_t i = 0; i < QK; i++) /* a block of zeros, and one of small numbers */
        x[i] = 0;
    for (int64_t i = QK; i < 2 * QK && i < m * k; i++)
        x[i] *= 1e-3;
    kt_set(&t);
    double *q = kt_out(&t, DT_I8, 2, (int64_t[]){m, k}), *close = kt_slack(&t);
    double *s = kt_out(&t, DT_F32, 2, (int64_t[]){m, kb});
    kt_tol(&t, 1.01, 0);
    double *sums = kt_out(&t, DT_F32, 2, (int64_t[]){m, kb}), *slack = kt_slack(&t);
    ref_quantise_i8(x, m * k, QK, q, s, sums);
    for (int64_t i = 0; i < m * k; i++) {
        double v = s[i / QK] > 0 ? fabs(x[i] / s[i / QK]) : 0;
        close[i] = fabs(v - floor(v) - 0.5) < 1e-4; /* either neighbour of a half will do */
        slack[i / QK] += (close[i] + 127 * 0x1p-22) * s[i / QK];
    }
    kt_end(&t);
}

void kt_quant(void)
{
    EACH(i, samples)
    {
        reference(&samples[i]);
        dequantise(&samples[i], types[i % 3], 3, 5, 0);
        dequantise(&samples[i], DT_F32, 7, 1, 5);
        linear("linear_gguf", &samples[i], types[i % 3], "f32", 17, 19, 3, i % 2);
        linear("matvec_gguf", &samples[i], types[(i + 1) % 3], "f32", 2, 19, 3, i % 2);
    }
    EACH(d, types)
    {
        group(true, d == 1, DT_F16, types[d], 3, 5, 32, d != 1);
        group(false, false, DT_F32, types[d], 3, 5, 32, d != 1);
        quantise(types[d], 3, 35);
    }
    group_products();
    group(true, false, DT_F32, DT_F32, 1, 1, 128, true);
    quantise(DT_F32, 1, 1);
    kts.large = true;
    EACH(d, types)
    {
        quantise(types[d], 301, 35);
        group(true, false, DT_F16, types[d], 301, 5, 32, true);
        group(false, false, DT_F32, types[d], 301, 5, 32, true);
    }
    EACH(i, samples)
    {
        dequantise(&samples[i], DT_F32, 301, 3, 0);
        linear("linear_gguf", &samples[i], DT_F32, "f32", 65, 201, 1, false);
        linear("matvec_gguf", &samples[i], DT_F32, "f32", 2, 201, 1, false);
    }
    group_product(&(group_case){true, true, false, true, true, DT_F32, DT_F16, "f32", 65, 201, 3, 64});
    group_product(&(group_case){true, false, false, true, true, DT_F32, DT_F16, "f32", 65, 201, 3, 64});
    group_product(&(group_case){false, true, false, true, true, DT_F32, DT_F16, "f32", 2, 301, 3, 64});
    group_product(&(group_case){false, false, false, true, true, DT_F32, DT_F16, "f32", 2, 301, 3, 64});
    kts.large = false;
}
