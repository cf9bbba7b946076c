/* softmax.c: softmax.tile. */
#include "kernels/ref/ref.h"
#include "tests/kernels/kit.h"

#define EACH(i, table) for (size_t i = 0; i < COUNTOF(table); i++)

/* p carries the relative error of its exponential, whose argument is below `range` */
static void set_slack(kt *t, const double *y, int64_t count, int64_t n, double range)
{
    double *slack = kt_slack(t);
    for (int64_t i = 0; i < count; i++)
        slack[i] = isfinite(y[i]) ? fabs(y[i]) * (8 + sqrt((double)n) + range) * 0x1p-24 + 1e-44 : 0;
}

static void plain(const char *kernel, dtype dt, int64_t m, int64_t n, fill what)
{
    kt t;
    if (!kt_begin(&t, "softmax", kernel, "%s %lldx%lld %d", dtypes[dt].name, (long long)m, (long long)n, (int)what))
        return;
    int64_t mn[] = {m, n};
    double *x = kt_in(&t, dt, what, 2, mn);
    if (what == FILL_EDGE)
        for (int64_t i = 0; i < m * n; i++) {
            int64_t row = i / n;
            /* row 0 keeps NaN, row 1 infinities, row 2 is all -inf, the others have -inf only */
            if ((row > 0 && isnan(x[i])) || (row > 1 && x[i] == INFINITY))
                x[i] = row % 2 ? -INFINITY : 7;
            if (row == 2)
                x[i] = -INFINITY;
            if (isfinite(x[i]))
                x[i] = fmax(-90, fmin(90, x[i]));
        }
    kt_set(&t);
    double *y = kt_out(&t, dt, 2, mn);
    kt_tol(&t, 1.01, 0);
    if (!strcmp(kernel, "log_softmax"))
        ref_log_softmax(x, y, m, n);
    else
        ref_softmax(x, NULL, 1, y, m, n);
    set_slack(&t, y, m * n, n, 180);
    kt_end(&t);
}

static void masked(const char *kernel, dtype dt, int64_t m, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "softmax", kernel, "%s %lldx%lld", dtypes[dt].name, (long long)m, (long long)n))
        return;
    int64_t mn[] = {m, n};
    unsigned char *seen = ARENA_ARRAY(&t.a, unsigned char, (size_t)(m * n));
    double *x = kt_in(&t, dt, FILL_NORMAL, 2, mn);
    bool causal = !strcmp(kernel, "softmax_causal");
    double *mask = causal ? NULL : kt_in(&t, DT_U8, FILL_BITS, 2, mn);
    for (int64_t i = 0; i < m * n; i++) {
        if (mask)
            mask[i] = i / n == 1 || kt_rng() % 3 ? 0 : mask[i];
        seen[i] = mask ? mask[i] != 0 : i % n <= n - m + i / n;
        if (!seen[i] && i % 5 == 0)
            x[i] = i % 2 ? NAN : INFINITY;
    }
    if (mask)
        kt_set(&t);
    double *y = kt_out(&t, dt, 2, mn);
    kt_tol(&t, 1.01, 0);
    ref_softmax(x, seen, 0.5, y, m, n);
    set_slack(&t, y, m * n, n, 8);
    kt_real(&t, 0.5);
    kt_end(&t);
}

void kt_softmax(void)
{
    static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
    static const int64_t widths[] = {1, 33, 127, 1000};
    EACH(d, types)
    EACH(w, widths)
    {
        plain("softmax", types[d], 3, widths[w], FILL_NORMAL);
        if (w % 2)
            plain("softmax", types[d], 5, widths[w], FILL_EDGE);
    }
    EACH(d, types)
    {
        plain("softmax_long", types[d], 2, 2049, FILL_NORMAL);
        plain("softmax_long", types[d], 5, 1025, FILL_EDGE);
        plain("log_softmax", types[d], 3, 77, FILL_NORMAL);
        masked("softmax_masked", types[d], 4, 67);
        masked("softmax_causal", types[d], 5, 67);
    }
    plain("softmax_long", DT_F32, 3, 1, FILL_NORMAL);
    masked("softmax_causal", DT_F32, 31, 31);
    masked("softmax_masked", DT_F32, 3, 1);
    kts.large = true;
    EACH(d, types)
    {
        plain("softmax", types[d], 3001, 65, FILL_NORMAL);
        plain("softmax_long", types[d], 301, 2049, FILL_NORMAL);
        plain("log_softmax", types[d], 3001, 65, FILL_NORMAL);
        masked("softmax_masked", types[d], 3001, 67);
        masked("softmax_causal", types[d], 401, 401);
    }
    kts.large = false;
}
