/* lines.c: what goes along rows, columns or one array: reduce, scan, histogram, sort, dropout, transpose and
 * cross_entropy. */
#include "kernels/ref/ref.h"
#include "tests/kernels/kit.h"

#define EACH(i, table) for (size_t i = 0; i < COUNTOF(table); i++)

static const dtype types[] = {DT_F32, DT_F16, DT_BF16};

static double sum_error(double mag, int64_t n)
{
    return mag * (4 + (double)n) * 0x1p-24 + 1e-30;
}

static void reduce_rows(const char *op, dtype dt, int64_t m, int64_t n, fill what)
{
    kt t;
    if (!kt_begin(&t, "reduce", "reduce_rows", "%s %s %lldx%lld %d", op, dtypes[dt].name, (long long)m, (long long)n,
                  (int)what))
        return;
    kt_def(&t, "OP=%s", op);
    double *x = kt_in(&t, dt, what, 2, (int64_t[]){m, n}), *out = kt_out(&t, DT_F32, 1, &m), *slack = kt_slack(&t);
    for (int64_t i = 0; i < m; i++) {
        double mag;
        out[i] = ref_reduce(op, x + i * n, n, 1, &mag);
        slack[i] = isfinite(out[i]) ? sum_error(mag, n) : 0;
    }
    kt_end(&t);
}

static void reduce_columns(dtype dt, int64_t m, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "reduce", "reduce_columns", "%s %lldx%lld", dtypes[dt].name, (long long)m, (long long)n))
        return;
    double *x = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, n}), *out = kt_out(&t, DT_F32, 1, &n);
    double *slack = kt_slack(&t);
    for (int64_t j = 0; j < n; j++) {
        double mag;
        out[j] = ref_reduce("sum", x + j, m, n, &mag);
        slack[j] = sum_error(mag, m);
    }
    kt_end(&t);
}

static void reduce_all(const char *op, dtype dt, int64_t n)
{
    kt t;
    int64_t one = 1;
    if (!kt_begin(&t, "reduce", "reduce_all", "%s %s %lld", op, dtypes[dt].name, (long long)n))
        return;
    kt_def(&t, "OP=%s", op);
    kt_def(&t, "SPAN=512");
    kt_def(&t, "BLOCK=128");
    double mag, *x = kt_in(&t, dt, FILL_NORMAL, 1, &n);
    kt_pointer(&t);
    double *out = kt_out(&t, DT_F32, 1, &one);
    *out = ref_reduce(op, x, n, 1, &mag);
    kt_tol(&t, 2, sum_error(mag, n));
    kt_int(&t, n);
    kt_end(&t);
}

static void cumsum_rows(dtype dt, int64_t m, int64_t n, bool exclusive)
{
    kt t;
    if (!kt_begin(&t, "scan", "cumsum_rows", "%s %lldx%lld%s", dtypes[dt].name, (long long)m, (long long)n,
                  exclusive ? " exclusive" : ""))
        return;
    kt_def(&t, "EXCLUSIVE=%s", exclusive ? "True" : "False");
    double *x = kt_in(&t, dt, dt == DT_I32 ? FILL_SMALL : FILL_NORMAL, 2, (int64_t[]){m, n});
    double *y = kt_out(&t, dt, 2, (int64_t[]){m, n});
    kt_tol(&t, 1.01, 0);
    double *slack = kt_slack(&t);
    for (int64_t i = 0; i < m; i++)
        ref_linear_scan(NULL, x + i * n, n, exclusive, y + i * n);
    for (int64_t i = 0; i < m * n && dt != DT_I32; i++)
        slack[i] = sum_error(1.5 * (double)(i % n + 1), i % n + 1);
    kt_end(&t);
}

static void cumsum_long(dtype dt, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "scan", "cumsum_long", "%s %lld", dtypes[dt].name, (long long)n))
        return;
    kt_def(&t, "BLOCK=64");
    double *x = kt_in(&t, dt, dt == DT_I32 ? FILL_SMALL : FILL_NORMAL, 1, &n);
    kt_pointer(&t);
    double *y = kt_out(&t, dt, 1, &n);
    kt_pointer(&t);
    double *slack = kt_slack(&t);
    kt_int(&t, n);
    ref_linear_scan(NULL, x, n, false, y);
    for (int64_t i = 0; i < n && dt != DT_I32; i++)
        slack[i] = sum_error(1.5 * (double)(i + 1), i + 1);
    kt_end(&t);
}

static void linear_rows(dtype dt, int64_t m, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "scan", "linear_rows", "%s %lldx%lld", dtypes[dt].name, (long long)m, (long long)n))
        return;
    double *a = kt_in(&t, dt, FILL_UNIT, 2, (int64_t[]){m, n}), *b = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, n});
    double *y = kt_out(&t, dt, 2, (int64_t[]){m, n});
    kt_tol(&t, 1.01, 3e-5);
    for (int64_t i = 0; i < m; i++)
        ref_linear_scan(a + i * n, b + i * n, n, false, y + i * n);
    kt_end(&t);
}

static void histogram(dtype dt, int64_t n, int64_t bins)
{
    kt t;
    if (!kt_begin(&t, "histogram", "histogram_of", "%s %lld in %lld", dtypes[dt].name, (long long)n, (long long)bins))
        return;
    kt_def(&t, "SPAN=1024");
    kt_def(&t, "BLOCK=256");
    double *x = kt_in(&t, dt, dt == DT_U8 ? FILL_BITS : FILL_SMALL, 1, &n);
    kt_pointer(&t);
    double *counts = kt_inout(&t, DT_I32, FILL_SMALL, 1, &bins);
    kt_int(&t, n);
    for (int64_t i = 0; i < n; i++)
        if (x[i] >= 0 && x[i] < (double)bins)
            counts[(int64_t)x[i]]++;
    kt_end(&t);
}

static void sort_rows(const char *kernel, dtype dt, int64_t m, int64_t n, bool descending)
{
    kt t;
    if (!kt_begin(&t, "sort", kernel, "%s %lldx%lld%s", dtypes[dt].name, (long long)m, (long long)n,
                  descending ? " descending" : ""))
        return;
    kt_def(&t, "DESCENDING=%s", descending ? "True" : "False");
    int64_t mn[] = {m, n}, *at = ARENA_ARRAY(&t.a, int64_t, (size_t)n);
    bool pairs = !strcmp(kernel, "sort_pairs"), keys = strcmp(kernel, "argsort_rows") != 0;
    double *x = kt_in(&t, dt, dt == DT_I32 || pairs ? FILL_SMALL : FILL_EDGE, 2, mn);
    for (int64_t i = 0; i < m * n; i++) /* which of two zeros comes first shows in their signs only */
        x[i] = x[i] == 0 ? 0 : pairs ? floor(x[i]) : x[i];
    kt_set(&t);
    double *v = pairs ? kt_in(&t, DT_I32, FILL_BITS, 2, mn) : NULL;
    double *y = keys ? kt_out(&t, dt, 2, mn) : NULL, *z = keys && !pairs ? NULL : kt_out(&t, DT_I32, 2, mn);
    for (int64_t i = 0; i < m; i++) {
        ref_argsort(x + i * n, n, descending, at);
        for (int64_t j = 0; j < n; j++) {
            if (y)
                y[i * n + j] = x[i * n + at[j]];
            if (z)
                z[i * n + j] = v ? v[i * n + at[j]] : (double)at[j];
        }
    }
    kt_end(&t);
}

static void dropout(const char *kernel, dtype dt, int64_t n, double p)
{
    kt t;
    if (!kt_begin(&t, "dropout", kernel, "%s %lld p %g", dtypes[dt].name, (long long)n, p))
        return;
    double *x = kt_in(&t, dt, FILL_NORMAL, 1, &n), *r = NULL;
    kt_pointer(&t);
    if (!strcmp(kernel, "dropout_add")) {
        r = kt_in(&t, dt, FILL_NORMAL, 1, &n);
        kt_pointer(&t);
    }
    double *y = kt_out(&t, dt, 1, &n);
    kt_pointer(&t);
    kt_tol(&t, 1.01, 1e-6);
    kt_int(&t, n);
    kt_real(&t, p);
    kt_int(&t, 0x123456789abcll);
    long kept = 0;
    for (int64_t i = 0; i < n; i++) {
        y[i] = ref_dropout(x[i], (uint64_t)i, kt_round(DT_F32, p), 0x123456789abcll);
        kept += y[i] != 0;
        y[i] += r ? r[i] : 0;
    }
    if (n > 1000 && fabs((double)kept / (double)n - (1 - p)) > 0.05)
        kt_fail("%s: the reference keeps %ld of %lld", t.name, kept, (long long)n);
    kt_end(&t);
}

static void transpose(dtype dt, int64_t m, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "transpose", "transpose", "%s %lldx%lld", dtypes[dt].name, (long long)m, (long long)n))
        return;
    double *a = kt_in(&t, dt, dt_is_any_float(dt) ? FILL_EDGE : FILL_BITS, 2, (int64_t[]){m, n});
    double *b = kt_out(&t, dt, 2, (int64_t[]){n, m});
    for (int64_t i = 0; i < m * n; i++)
        b[i % n * m + i / n] = a[i];
    kt_end(&t);
}

static void copy_strided(dtype dt, dtype ut, int64_t a, int64_t b, int64_t m, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "transpose", "copy_strided", "%s %s %lldx%lldx%lldx%lld", dtypes[dt].name, dtypes[ut].name,
                  (long long)a, (long long)b, (long long)m, (long long)n))
        return;
    int64_t sizes[] = {a, b, m, n};
    double *x = kt_in(&t, dt, FILL_EDGE, 4, sizes);
    kt_strides(&t, (int64_t[]){b * m * n, 1, n * b, b});
    double *y = kt_out(&t, ut, 4, sizes);
    kt_strides(&t, (int64_t[]){n + 1, a * (n + 1), a * b * (n + 1), 1});
    for (int64_t i = 0; i < a * b * m * n; i++)
        y[i] = kt_round(ut, x[i]);
    kt_end(&t);
}

static void cross_entropy(dtype dt, int64_t m, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "cross_entropy", "cross_entropy", "%s %lldx%lld", dtypes[dt].name, (long long)m, (long long)n))
        return;
    double *x = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, n}), *target = kt_in(&t, DT_I32, FILL_ZERO, 1, &m);
    for (int64_t i = 0; i < m; i++)
        target[i] = i == 1 ? -1 : i == 2 ? (double)n : (double)(kt_rng() % (uint64_t)n);
    kt_set(&t);
    double *loss = kt_out(&t, DT_F32, 1, &m);
    kt_tol(&t, 4, 2e-6 * (1 + log((double)n)));
    double *lse = kt_out(&t, DT_F32, 1, &m);
    kt_tol(&t, 4, 2e-6 * (1 + log((double)n)));
    for (int64_t i = 0; i < m; i++) {
        lse[i] = ref_lse(x + i * n, n);
        loss[i] = target[i] >= 0 && target[i] < (double)n ? lse[i] - x[i * n + (int64_t)target[i]] : 0;
    }
    kt_end(&t);
}

static void cross_entropy_grad(dtype dt, int64_t m, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "cross_entropy", "cross_entropy_grad", "%s %lldx%lld", dtypes[dt].name, (long long)m,
                  (long long)n))
        return;
    double *x = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, n}), *target = kt_in(&t, DT_I32, FILL_ZERO, 1, &m);
    for (int64_t i = 0; i < m; i++)
        target[i] = i == 1 ? -1 : (double)(kt_rng() % (uint64_t)n);
    kt_set(&t);
    double *lse = kt_in(&t, DT_F32, FILL_ZERO, 1, &m);
    for (int64_t i = 0; i < m; i++)
        lse[i] = ref_lse(x + i * n, n);
    kt_set(&t);
    double *dloss = kt_in(&t, DT_F32, FILL_NORMAL, 1, &m), *dx = kt_out(&t, dt, 2, (int64_t[]){m, n});
    kt_tol(&t, 1.01, 4e-6);
    for (int64_t i = 0; i < m * n; i++) {
        int64_t r = i / n;
        dx[i] = target[r] < 0 ? 0 : dloss[r] * (exp(x[i] - lse[r]) - (i % n == (int64_t)target[r]));
    }
    kt_end(&t);
}

static void reductions(void)
{
    static const char *const ops[] = {"sum", "mean", "max", "min", "squares"};
    EACH(o, ops)
    {
        EACH(d, types)
        reduce_rows(ops[o], types[d], 3, 1031, FILL_NORMAL);
        reduce_rows(ops[o], DT_F32, 7, 1, FILL_NORMAL);
        reduce_rows(ops[o], DT_F32, 4, 37, FILL_EDGE);
        reduce_all(ops[o], DT_F32, 1);
        reduce_all(ops[o], types[o % 3], 2777);
    }
    EACH(d, types)
    reduce_columns(types[d], 29, 300);
    reduce_columns(DT_F32, 1, 1);
}

void kt_lines(void)
{
    reductions();
    EACH(d, types)
    {
        cumsum_rows(types[d], 3, 301, d == 1);
        linear_rows(types[d], 3, 300);
        sort_rows("sort_rows", types[d], 3, 77, d == 1);
        dropout("dropout", types[d], 4099, 0.3);
        transpose(types[d], 65, 37);
        copy_strided(types[d], types[(d + 1) % 3], 2, 3, 5, 67);
        cross_entropy(types[d], 5, 1027);
        cross_entropy_grad(types[d], 3, 333);
    }
    cumsum_rows(DT_I32, 2, 513, false);
    cumsum_rows(DT_F32, 2, 1, true);
    cumsum_long(DT_F32, 1000);
    cumsum_long(DT_I32, 65);
    cumsum_long(DT_I32, 1);
    linear_rows(DT_F32, 2, 1);
    histogram(DT_I32, 2500, 5);
    histogram(DT_U8, 1500, 256);
    histogram(DT_U8, 1, 3);
    sort_rows("sort_rows", DT_I32, 2, 1, false);
    sort_rows("argsort_rows", DT_F32, 3, 65, false);
    sort_rows("argsort_rows", DT_I32, 3, 100, true);
    sort_rows("sort_pairs", DT_I32, 2, 50, false);
    sort_rows("sort_pairs", DT_F32, 2, 51, true);
    dropout("dropout", DT_F32, 100, 0);
    dropout("dropout", DT_F32, 1, 0.5);
    dropout("dropout_add", DT_F16, 1001, 0.5);
    transpose(DT_I8, 1, 130);
    transpose(DT_I32, 33, 1);
    cross_entropy(DT_F32, 3, 1);
    kts.large = true;
    EACH(d, types)
    {
        dropout("dropout", types[d], 300001, 0.3);
        dropout("dropout_add", types[d], 300001, 0.3);
        transpose(types[d], 650, 371);
        copy_strided(types[d], types[(d + 1) % 3], 3, 5, 51, 267);
        cumsum_rows(types[d], 501, 301, d == 1);
        linear_rows(types[d], 501, 300);
        reduce_rows("sum", types[d], 501, 1031, FILL_NORMAL);
        reduce_all("sum", types[d], 60001);
        sort_rows("sort_rows", types[d], 501, 77, false);
        cross_entropy(types[d], 501, 1027);
        cross_entropy_grad(types[d], 501, 333);
    }
    reduce_columns(DT_F32, 129, 4001);
    cumsum_long(DT_F32, 40001);
    histogram(DT_I32, 200001, 5);
    histogram(DT_U8, 200001, 256);
    sort_rows("argsort_rows", DT_F32, 501, 65, false);
    sort_rows("sort_pairs", DT_F32, 501, 51, true);
    kts.large = false;
}
