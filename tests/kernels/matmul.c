/* matmul.c: every file of products: matmul, linear, matmul_batched, matmul_split, matmul_narrow, and conv2d. */
#include "kernels/ref/ref.h"
#include "tests/kernels/kit.h"

#define EACH(i, table) for (size_t i = 0; i < COUNTOF(table); i++)

/* f32 sums of k products in any order */
static void sum_slack(double *slack, const double *mag, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++)
        slack[i] = mag[i] * (double)(k + 4) * 0x1p-24 + 1e-30;
}

typedef struct mm_case {
    const char *file, *kernel;
    dtype dt;
    int64_t m, n, k;
    int block; /* BM = BN = BK; 0: as the file has it */
} mm_case;

static void blocks(kt *t, int block)
{
    if (block) {
        kt_def(t, "BM=%d", block);
        kt_def(t, "BN=%d", block);
        kt_def(t, "BK=%d", block);
    }
}

static void plain(const mm_case *c)
{
    kt t;
    if (!kt_begin(&t, c->file, c->kernel, "%s %lldx%lldx%lld block %d", dtypes[c->dt].name, (long long)c->m,
                  (long long)c->n, (long long)c->k, c->block))
        return;
    bool bt = !strcmp(c->kernel, "matmul_nt");
    blocks(&t, c->block);
    double *a = kt_in(&t, c->dt, FILL_NORMAL, 2, (int64_t[]){c->m, c->k});
    double *b = kt_in(&t, c->dt, FILL_NORMAL, 2, bt ? (int64_t[]){c->n, c->k} : (int64_t[]){c->k, c->n});
    double *y = kt_out(&t, c->dt, 2, (int64_t[]){c->m, c->n}), *mag = kt_temp(&t, c->m * c->n);
    kt_tol(&t, 0.51, 0);
    ref_matmul(a, b, bt, c->m, c->n, c->k, y, mag);
    sum_slack(kt_slack(&t), mag, c->m * c->n, c->k);
    t.cpu_only = c->m * c->n * c->k > 100000;
    kt_end(&t);
}

static void linear(dtype dt, int64_t m, int64_t n, int64_t k, bool bias, bool residual, const char *act)
{
    kt t;
    if (!kt_begin(&t, "linear", "linear", "%s %lldx%lldx%lld%s%s %s", dtypes[dt].name, (long long)m, (long long)n,
                  (long long)k, bias ? " bias" : "", residual ? " residual" : "", act))
        return;
    blocks(&t, 16);
    kt_def(&t, "act=%s", act);
    double *x = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, k}), *w = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){n, k});
    double *b = bias ? kt_in(&t, dt, FILL_NORMAL, 1, &n) : NULL;
    if (!b)
        kt_none(&t);
    double *r = residual ? kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, n}) : NULL;
    if (!r)
        kt_none(&t);
    double *y = kt_out(&t, dt, 2, (int64_t[]){m, n}), *mag = kt_temp(&t, m * n);
    kt_tol(&t, 0.51, 0);
    ref_matmul(x, w, true, m, n, k, y, mag);
    for (int64_t i = 0; i < m * n; i++) {
        mag[i] += (b ? fabs(b[i % n]) : 0) + (r ? fabs(r[i]) : 0) + 8 * fabs(y[i]);
        if (!ref_activation(act, y[i] + (b ? b[i % n] : 0), &y[i]))
            kt_fail("no reference for %s", act);
        y[i] += r ? r[i] : 0;
    }
    sum_slack(kt_slack(&t), mag, m * n, k + 8);
    kt_end(&t);
}

static void batched(dtype dt, int64_t b, int64_t m, int64_t n, int64_t k)
{
    kt t;
    if (!kt_begin(&t, "matmul_batched", "matmul_batched", "%s %lldx%lldx%lldx%lld", dtypes[dt].name, (long long)b,
                  (long long)m, (long long)n, (long long)k))
        return;
    blocks(&t, 16);
    double *x = kt_in(&t, dt, FILL_NORMAL, 3, (int64_t[]){b, m, k});
    kt_strides(&t, (int64_t[]){k, b * k + 2, 1}); /* the batch between the rows */
    double *w = kt_in(&t, dt, FILL_NORMAL, 3, (int64_t[]){b, k, n});
    kt_strides(&t, (int64_t[]){n * k, 1, k}); /* transposed */
    double *y = kt_out(&t, dt, 3, (int64_t[]){b, m, n}), *mag = kt_temp(&t, b * m * n);
    kt_tol(&t, 0.51, 0);
    for (int64_t i = 0; i < b; i++)
        ref_matmul(x + i * m * k, w + i * k * n, false, m, n, k, y + i * m * n, mag + i * m * n);
    sum_slack(kt_slack(&t), mag, b * m * n, k);
    kt_end(&t);
}

static void grouped(dtype dt, const int64_t *sizes, int64_t g, int64_t n, int64_t k)
{
    kt t;
    if (!kt_begin(&t, "matmul_batched", "matmul_grouped", "%s %lld groups %lldx%lld", dtypes[dt].name, (long long)g,
                  (long long)n, (long long)k))
        return;
    blocks(&t, 16);
    int64_t m = 0, at = 0, edges = g + 1;
    for (int64_t i = 0; i < g; i++)
        m += sizes[i];
    double *a = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, k});
    double *b = kt_in(&t, dt, FILL_NORMAL, 3, (int64_t[]){g, k, n});
    double *starts = kt_in(&t, DT_I32, FILL_ZERO, 1, &edges);
    for (int64_t i = 0; i < g; i++)
        starts[i + 1] = starts[i] + (double)sizes[i];
    kt_set(&t);
    double *y = kt_out(&t, dt, 2, (int64_t[]){m, n}), *mag = kt_temp(&t, m * n);
    kt_tol(&t, 0.51, 0);
    for (int64_t i = 0; i < g; at += sizes[i++])
        ref_matmul(a + at * k, b + i * k * n, false, sizes[i], n, k, y + at * n, mag + at * n);
    sum_slack(kt_slack(&t), mag, m * n, k);
    kt_end(&t);
}

static void narrow(dtype da, dtype db, int64_t m, int64_t n, int64_t k)
{
    kt t;
    if (!kt_begin(&t, "matmul_narrow", "matmul_i8", "%s %s %lldx%lldx%lld", dtypes[da].name, dtypes[db].name,
                  (long long)m, (long long)n, (long long)k))
        return;
    double *a = kt_in(&t, da, FILL_BITS, 2, (int64_t[]){m, k}), *b = kt_in(&t, db, FILL_BITS, 2, (int64_t[]){n, k});
    ref_matmul(a, b, true, m, n, k, kt_out(&t, DT_I32, 2, (int64_t[]){m, n}), NULL);
    kt_end(&t);
}

static void narrow_scaled(dtype dt, int64_t m, int64_t n, int64_t k)
{
    kt t;
    if (!kt_begin(&t, "matmul_narrow", "matmul_i8_scaled", "%s %lldx%lldx%lld", dtypes[dt].name, (long long)m,
                  (long long)n, (long long)k))
        return;
    double *a = kt_in(&t, DT_I8, FILL_BITS, 2, (int64_t[]){m, k});
    double *b = kt_in(&t, DT_I8, FILL_BITS, 2, (int64_t[]){n, k});
    double *sa = kt_in(&t, DT_F32, FILL_UNIT, 1, &m), *sb = kt_in(&t, DT_F32, FILL_UNIT, 1, &n);
    for (int64_t i = 0; i < n; i++)
        sb[i] /= 1024;
    kt_set(&t);
    double *y = kt_out(&t, dt, 2, (int64_t[]){m, n});
    kt_tol(&t, dt == DT_F32 ? 3 : 0.51, 0);
    double *slack = kt_slack(&t);
    ref_matmul(a, b, true, m, n, k, y, NULL);
    for (int64_t i = 0; i < m * n; i++) {
        y[i] *= sa[i / n] * sb[i % n];
        slack[i] = fabs(y[i]) * 0x1p-22;
    }
    kt_end(&t);
}

static void narrow_float(dtype da, dtype db, dtype dt, int64_t m, int64_t n, int64_t k)
{
    kt t;
    if (!kt_begin(&t, "matmul_narrow", "matmul_f8", "%s %s %s %lldx%lldx%lld", dtypes[da].name, dtypes[db].name,
                  dtypes[dt].name, (long long)m, (long long)n, (long long)k))
        return;
    double *a = kt_in(&t, da, FILL_NORMAL, 2, (int64_t[]){m, k}), *b = kt_in(&t, db, FILL_NORMAL, 2, (int64_t[]){n, k});
    double *y = kt_out(&t, dt, 2, (int64_t[]){m, n}), *mag = kt_temp(&t, m * n);
    kt_tol(&t, 0.51, 0);
    ref_matmul(a, b, true, m, n, k, y, mag);
    for (int64_t i = 0; i < m * n; i++) {
        y[i] *= 0.5;
        mag[i] *= 0.5;
    }
    sum_slack(kt_slack(&t), mag, m * n, k);
    kt_real(&t, 0.5);
    kt_end(&t);
}

static void conv(dtype dt, const ref_conv *s, bool bias, const char *act)
{
    kt t;
    if (!kt_begin(&t, "conv2d", "conv2d", "%s %lldx%lldx%lldx%lld %lldx%lld to %lld stride %lld pad %lld",
                  dtypes[dt].name, (long long)s->n, (long long)s->h, (long long)s->w, (long long)s->c, (long long)s->r,
                  (long long)s->s, (long long)s->o, (long long)s->stride_h, (long long)s->pad_h))
        return;
    blocks(&t, 16);
    kt_def(&t, "act=%s", act);
    double *x = kt_in(&t, dt, FILL_NORMAL, 4, (int64_t[]){s->n, s->h, s->w, s->c});
    double *w = kt_in(&t, dt, FILL_NORMAL, 4, (int64_t[]){s->o, s->r, s->s, s->c});
    double *b = bias ? kt_in(&t, dt, FILL_NORMAL, 1, &s->o) : NULL;
    if (!bias)
        kt_none(&t);
    int64_t count = s->n * s->p * s->q * s->o;
    double *y = kt_out(&t, dt, 4, (int64_t[]){s->n, s->p, s->q, s->o}), *mag = kt_temp(&t, count);
    kt_tol(&t, 0.51, 0);
    ref_conv2d(s, x, w, b, y, mag);
    for (int64_t i = 0; i < count; i++)
        ref_activation(act, y[i], &y[i]);
    sum_slack(kt_slack(&t), mag, count, s->r * s->s * s->c);
    int64_t rest[] = {s->stride_h, s->stride_w, s->pad_h, s->pad_w, s->dilate_h, s->dilate_w};
    EACH(i, rest)
    kt_int(&t, rest[i]);
    kt_end(&t);
}

static ref_conv conv_sizes(int64_t n, int64_t h, int64_t w, int64_t c, int64_t o, int64_t r, int64_t s)
{
    return (ref_conv){.n = n,
                      .h = h,
                      .w = w,
                      .c = c,
                      .o = o,
                      .r = r,
                      .s = s,
                      .stride_h = 1,
                      .stride_w = 1,
                      .dilate_h = 1,
                      .dilate_w = 1};
}

static void convs(void)
{
    static const struct {
        int64_t stride, pad, dilate;
    } ways[] = {{1, 1, 1}, {2, 1, 1}, {1, 2, 2}};
    EACH(i, ways)
    {
        ref_conv s = conv_sizes(2, 7, 9, 5, 6, 3, 3);
        s.stride_h = ways[i].stride;
        s.pad_h = ways[i].pad;
        s.dilate_h = ways[i].dilate;
        s.dilate_w = i == 2 ? 3 : 1;
        s.stride_w = i == 1 ? 3 : 1;
        s.pad_w = i == 0 ? 2 : ways[i].pad;
        s.p = (s.h + 2 * s.pad_h - s.dilate_h * (s.r - 1) - 1) / s.stride_h + 1;
        s.q = (s.w + 2 * s.pad_w - s.dilate_w * (s.s - 1) - 1) / s.stride_w + 1;
        conv(i == 1 ? DT_F16 : DT_F32, &s, i != 0, i == 2 ? "act_relu" : "identity");
    }
    ref_conv one = conv_sizes(1, 1, 1, 1, 1, 1, 1);
    one.p = one.q = 1;
    conv(DT_F32, &one, true, "identity");
}

void kt_matmul(void)
{
    static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
    static const int64_t shapes[][3] = {{1, 1, 1}, {17, 33, 16}, {31, 7, 65}, {1, 49, 130}};
    EACH(d, types)
    {
        EACH(s, shapes)
        {
            int64_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
            plain(&(mm_case){"matmul", "matmul", types[d], m, n, k, 16});
            plain(&(mm_case){"matmul", "matmul_nt", types[d], m, n, k, 16});
            plain(&(mm_case){"matmul_split", "matmul_split_k", types[d], m, n, k, 16});
            plain(&(mm_case){"matmul_split", "matmul_stream_k", types[d], m, n, k, 16});
        }
        plain(&(mm_case){"matmul", "matmul", types[d], 129, 131, 127, 0});
        plain(&(mm_case){"matmul", "matmul_nt", types[d], 129, 131, 127, 0});
        linear(types[d], 19, 33, 41, true, true, "act_silu");
        batched(types[d], 3, 17, 9, 20);
        grouped(types[d], (int64_t[]){17, 0, 1, 16, 40}, 5, 23, 35);
        narrow_scaled(types[d], 9, 70, 131);
        narrow_float(d ? DT_F8E5M2 : DT_F8E4M3, d == 1 ? DT_F8E5M2 : DT_F8E4M3, types[d], 9, 20, 67);
    }
    linear(DT_F32, 5, 3, 64, false, false, "identity");
    linear(DT_F32, 5, 3, 64, true, false, "act_gelu");
    linear(DT_F32, 5, 3, 64, false, true, "act_relu");
    grouped(DT_F32, (int64_t[]){0, 0, 3}, 3, 5, 7);
    narrow(DT_I8, DT_I8, 17, 65, 129);
    narrow(DT_U8, DT_I8, 65, 9, 200);
    narrow(DT_U8, DT_U8, 3, 3, 33);
    narrow(DT_I8, DT_U8, 1, 1, 1);
    convs();
    kts.large = true;
    EACH(d, types)
    {
        plain(&(mm_case){"matmul", "matmul", types[d], 201, 195, 130, 16});
        plain(&(mm_case){"matmul", "matmul_nt", types[d], 201, 195, 130, 16});
        plain(&(mm_case){"matmul", "matmul", types[d], 530, 521, 127, 0});
        plain(&(mm_case){"matmul_split", "matmul_split_k", types[d], 201, 195, 530, 16});
        plain(&(mm_case){"matmul_split", "matmul_stream_k", types[d], 201, 195, 130, 16});
        linear(types[d], 201, 195, 41, true, true, "act_silu");
        batched(types[d], 30, 47, 39, 20);
        narrow_scaled(types[d], 201, 195, 131);
        narrow_float(DT_F8E4M3, DT_F8E5M2, types[d], 201, 195, 67);
    }
    narrow(DT_U8, DT_I8, 201, 195, 200);
    kts.large = false;
}
