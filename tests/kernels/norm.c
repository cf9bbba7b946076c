/* norm.c: rmsnorm.tile and layernorm.tile. */
#include "kernels/ref/ref.h"
#include "tests/kernels/kit.h"

#define EACH(i, table) for (size_t i = 0; i < COUNTOF(table); i++)

static const double EPS = 1e-5;

/* sums of n f32 in any order, then a few roundings */
static double row_error(int64_t n)
{
    return (8 + sqrt((double)n)) * 0x1p-24;
}

static void set_slack(kt *t, const double *y, int64_t count, int64_t n)
{
    double *slack = kt_slack(t);
    for (int64_t i = 0; i < count; i++)
        slack[i] = isfinite(y[i]) ? fabs(y[i]) * row_error(n) : 0;
}

static void rmsnorm(const char *kernel, dtype dt, dtype wt, int64_t m, int64_t n, double bias, fill what)
{
    kt t;
    if (!kt_begin(&t, "rmsnorm", kernel, "%s %s %lldx%lld %g %d", dtypes[dt].name, dtypes[wt].name, (long long)m,
                  (long long)n, bias, (int)what))
        return;
    bool residual = !strcmp(kernel, "rmsnorm_residual");
    int64_t mn[] = {m, n};
    if (bias != 0)
        kt_def(&t, "bias=%g", bias);
    double *x = kt_in(&t, dt, what, 2, mn), *sum = x;
    if (residual) {
        sum = kt_temp(&t, m * n);
        double *r = kt_inout(&t, dt, what, 2, mn);
        for (int64_t i = 0; i < m * n; i++)
            r[i] = sum[i] = x[i] + r[i];
        kt_tol(&t, 0.51, 0);
    }
    double *w = kt_in(&t, wt, FILL_POS, 1, &n);
    double *y = kt_out(&t, dt, 2, mn);
    kt_tol(&t, 1.01, 0);
    ref_rmsnorm(sum, w, bias, y, m, n, EPS);
    set_slack(&t, y, m * n, n);
    kt_real(&t, EPS);
    kt_end(&t);
}

/* heads of x: S tokens of H heads in a wider row, as a product of q, k and v leaves them */
static void rmsnorm_heads(dtype dt, int64_t s, int64_t h, int64_t d)
{
    kt t;
    if (!kt_begin(&t, "rmsnorm", "rmsnorm_heads", "%s %lldx%lldx%lld", dtypes[dt].name, (long long)s, (long long)h,
                  (long long)d))
        return;
    int64_t sizes[] = {s, h, d}, strides[] = {(h + 2) * d + 3, d, 1};
    double *x = kt_in(&t, dt, FILL_NORMAL, 3, sizes);
    kt_strides(&t, strides);
    double *w = kt_in(&t, DT_F32, FILL_POS, 1, &d);
    double *y = kt_out(&t, dt, 3, sizes);
    kt_strides(&t, strides);
    kt_tol(&t, 1.01, 0);
    ref_rmsnorm(x, w, 0, y, s * h, d, EPS);
    set_slack(&t, y, s * h * d, d);
    kt_real(&t, EPS);
    kt_end(&t);
}

typedef struct ln_case {
    const char *kernel;
    dtype dt, wt;
    int64_t m, n;
    bool w, b;
    double mean; /* added to every element */
} ln_case;

static void layernorm(const ln_case *c)
{
    kt t;
    if (!kt_begin(&t, "layernorm", c->kernel, "%s %s %lldx%lld%s%s mean %g", dtypes[c->dt].name, dtypes[c->wt].name,
                  (long long)c->m, (long long)c->n, c->w ? " w" : "", c->b ? " b" : "", c->mean))
        return;
    int64_t mn[] = {c->m, c->n}, count = c->m * c->n;
    double *x = kt_in(&t, c->dt, FILL_NORMAL, 2, mn), *sum = x;
    for (int64_t i = 0; i < count; i++)
        x[i] += c->mean;
    kt_set(&t);
    if (!strcmp(c->kernel, "layernorm_residual")) {
        sum = kt_temp(&t, count);
        double *r = kt_inout(&t, c->dt, FILL_NORMAL, 2, mn);
        for (int64_t i = 0; i < count; i++)
            r[i] = sum[i] = kt_round(DT_F32, x[i] + r[i]);
        kt_tol(&t, 0.51, 0);
    }
    double *w = c->w ? kt_in(&t, c->wt, FILL_POS, 1, &c->n) : NULL;
    if (!w)
        kt_none(&t);
    double *b = c->b ? kt_in(&t, c->wt, FILL_NORMAL, 1, &c->n) : NULL;
    if (!b)
        kt_none(&t);
    if (!w && !b)
        kt_def(&t, "W=%s", dtypes[c->wt].name);
    double *y = kt_out(&t, c->dt, 2, mn), *mean = NULL, *rstd = NULL;
    kt_tol(&t, 1.01, 0);
    double *slack = kt_slack(&t);
    if (!strcmp(c->kernel, "layernorm_stats")) {
        mean = kt_out(&t, DT_F32, 1, &c->m);
        kt_tol(&t, 2, 1e-6);
        rstd = kt_out(&t, DT_F32, 1, &c->m);
        kt_tol(&t, 2, 1e-4);
    }
    kt_real(&t, EPS);
    ref_layernorm(sum, w, b, y, mean, rstd, c->m, c->n, EPS);
    for (int64_t i = 0; i < count;
         i++) /* differences from a mean of that size lose digits, divided by a deviation near 1 */
        slack[i] = (4 + 4 * fabs(c->mean) + 2 * fabs(y[i])) * row_error(c->n) * (c->n == 1 ? 300 : 8);
    kt_end(&t);
}

void kt_norm(void)
{
    static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
    static const int64_t widths[] = {1, 31, 65, 576};
    EACH(d, types)
    EACH(w, widths)
    {
        rmsnorm("rmsnorm", types[d], types[(d + w) % 3], 3, widths[w], 0, FILL_NORMAL);
        rmsnorm("rmsnorm_residual", types[d], DT_F32, 2, widths[w], w == 1, FILL_NORMAL);
    }
    EACH(d, types)
    EACH(w, widths)
    layernorm(&(ln_case){"layernorm", types[d], types[(d + w) % 3], 3, widths[w], true, true, 0});
    rmsnorm("rmsnorm", DT_F32, DT_F32, 5, 64, 0, FILL_EDGE);
    rmsnorm("rmsnorm", DT_F16, DT_F32, 2, 64, 1, FILL_NORMAL);
    rmsnorm_heads(DT_F32, 3, 5, 64);
    rmsnorm_heads(DT_F16, 2, 3, 31);
    EACH(d, types)
    {
        rmsnorm("rmsnorm_long", types[d], DT_F32, 2, 4097, 0, FILL_NORMAL);
        layernorm(&(ln_case){"layernorm_long", types[d], DT_F32, 2, 2049, d != 1, d != 2, 0});
        layernorm(&(ln_case){"layernorm_residual", types[d], DT_F32, 2, 100, true, true, 0});
    }
    rmsnorm("rmsnorm_long", DT_F32, DT_F32, 3, 1, 0, FILL_NORMAL);
    layernorm(&(ln_case){"layernorm", DT_F32, DT_F32, 3, 77, false, false, 0});
    layernorm(&(ln_case){"layernorm", DT_F32, DT_F32, 3, 77, true, false, 1000});
    layernorm(&(ln_case){"layernorm_stats", DT_F32, DT_F32, 5, 97, true, true, 3});
    layernorm(&(ln_case){"layernorm_long", DT_F32, DT_F32, 1, 1000, true, true, 100});
    kts.large = true;
    EACH(d, types)
    {
        rmsnorm("rmsnorm", types[d], DT_F32, 3001, 65, 0, FILL_NORMAL);
        rmsnorm("rmsnorm_residual", types[d], DT_F32, 3001, 65, 0, FILL_NORMAL);
        rmsnorm("rmsnorm_long", types[d], DT_F32, 301, 4097, 0, FILL_NORMAL);
        rmsnorm_heads(types[d], 501, 7, 64);
        layernorm(&(ln_case){"layernorm", types[d], DT_F32, 3001, 65, true, true, 0});
        layernorm(&(ln_case){"layernorm_residual", types[d], DT_F32, 3001, 65, true, true, 0});
        layernorm(&(ln_case){"layernorm_stats", types[d], DT_F32, 3001, 65, true, true, 0});
        layernorm(&(ln_case){"layernorm_long", types[d], DT_F32, 301, 2049, true, true, 0});
    }
    kts.large = false;
}
