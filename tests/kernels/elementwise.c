/* elementwise.c: elementwise.tile and activations.tile. */
#include "kernels/ref/ref.h"
#include "tests/kernels/kit.h"

static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
static const int64_t lengths[] = {1, 17, 4097};

#define EACH(i, table) for (size_t i = 0; i < COUNTOF(table); i++)

static void unary(const char *kernel, const char *f, dtype dt, int64_t n, fill what)
{
    kt t;
    if (!kt_begin(&t, "elementwise", kernel, "%s %s %lld", f, dtypes[dt].name, (long long)n))
        return;
    if (!strcmp(kernel, "unary"))
        kt_def(&t, "f=%s", f);
    double *x = kt_in(&t, dt, what, 1, &n);
    kt_pointer(&t);
    double *y = kt_out(&t, dt, 1, &n);
    kt_pointer(&t);
    kt_tol(&t, dt == DT_F32 ? 6 : 1.01, 0);
    double *slack = kt_slack(&t);
    kt_int(&t, n);
    for (int64_t i = 0; i < n; i++) {
        if (!ref_activation(f, x[i], &y[i]))
            kt_fail("no reference for %s", f);
        double m = fabs(x[i]) < 50 ? fabs(x[i]) : 50; /* 1 + erf(x) loses digits of x below 0 */
        slack[i] = 2 * 0x1p-24 * m;
    }
    kt_end(&t);
}

static void binary(const char *kernel, const char *f, dtype dt, int64_t n, fill what)
{
    kt t;
    if (!kt_begin(&t, "elementwise", kernel, "%s %s %lld", f, dtypes[dt].name, (long long)n))
        return;
    if (!strcmp(kernel, "binary"))
        kt_def(&t, "f=%s", f);
    double *x = kt_in(&t, dt, what, 1, &n);
    kt_pointer(&t);
    double *y = kt_in(&t, dt, what, 1, &n);
    kt_pointer(&t);
    double *out = kt_out(&t, dt, 1, &n);
    kt_pointer(&t);
    kt_tol(&t, 1.01, 0);
    kt_int(&t, n);
    for (int64_t i = 0; i < n; i++)
        if (!ref_binary(f, x[i], y[i], &out[i]))
            kt_fail("no reference for %s", f);
    kt_end(&t);
}

/* scale_add, axpy, silu_mul */
static void scaled(const char *kernel, dtype dt, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "elementwise", kernel, "%s %lld", dtypes[dt].name, (long long)n))
        return;
    bool axpy = !strcmp(kernel, "axpy"), silu = !strcmp(kernel, "silu_mul");
    double *x = kt_in(&t, dt, FILL_EDGE, 1, &n);
    kt_pointer(&t);
    double *y = axpy ? kt_inout(&t, dt, FILL_EDGE, 1, &n) : kt_in(&t, dt, FILL_EDGE, 1, &n);
    kt_pointer(&t);
    double *out = axpy ? y : kt_out(&t, dt, 1, &n);
    kt_pointer(&t);
    kt_tol(&t, silu ? 4 : 1.01, 0);
    double *slack = kt_slack(&t);
    kt_int(&t, n);
    if (!silu)
        kt_real(&t, 0.75);
    for (int64_t i = 0; i < n; i++) {
        double s = 0;
        ref_activation("act_silu", x[i], &s);
        slack[i] = silu ? 1e-36 : 0x1p-24 * 0.75 * fabs(x[i]); /* exp overflows where silu is all but 0 */
        slack[i] = isfinite(slack[i]) ? slack[i] : 0;
        out[i] = silu ? s * y[i] : 0.75 * x[i] + y[i];
    }
    kt_end(&t);
}

static void glu(const char *f, dtype dt, int64_t m, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "elementwise", "glu", "%s %s %lldx%lld", f, dtypes[dt].name, (long long)m, (long long)n))
        return;
    kt_def(&t, "f=%s", f);
    double *x = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){m, 2 * n});
    double *y = kt_out(&t, dt, 2, (int64_t[]){m, n});
    kt_tol(&t, dt == DT_F32 ? 8 : 1.01, 1e-6);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double g = 0;
            ref_activation(f, x[i * 2 * n + j], &g);
            y[i * n + j] = g * x[i * 2 * n + n + j];
        }
    kt_end(&t);
}

static void copy(dtype from, dtype to, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "elementwise", "copy", "%s to %s %lld", dtypes[from].name, dtypes[to].name, (long long)n))
        return;
    double *x = kt_in(&t, from, dt_is_any_float(from) ? FILL_EDGE : FILL_BITS, 1, &n);
    kt_pointer(&t);
    double *y = kt_out(&t, to, 1, &n);
    kt_pointer(&t);
    kt_int(&t, n);
    for (int64_t i = 0; i < n; i++)
        y[i] = kt_round(to, x[i]);
    kt_end(&t);
}

static void fill_with(dtype dt, int64_t n)
{
    kt t;
    if (!kt_begin(&t, "elementwise", "fill_with", "%s %lld", dtypes[dt].name, (long long)n))
        return;
    double *y = kt_out(&t, dt, 1, &n);
    kt_pointer(&t);
    kt_int(&t, n);
    kt_real(&t, -3.25);
    for (int64_t i = 0; i < n; i++)
        y[i] = dt_is_any_float(dt) ? -3.25 : -3;
    kt_end(&t);
}

void kt_elementwise(void)
{
    static const char *const acts[] = {"identity", "act_relu",  "act_gelu",    "act_gelu_tanh", "act_silu",
                                       "act_tanh", "act_relu2", "act_sigmoid", "act_square"};
    static const char *const ops[] = {"op_add", "op_sub", "op_mul", "op_div", "op_max", "op_min"};
    EACH(d, types)
    {
        EACH(l, lengths)
        {
            unary("relu", "act_relu", types[d], lengths[l], FILL_EDGE);
            unary("gelu", "act_gelu", types[d], lengths[l], FILL_EDGE);
            binary("add", "op_add", types[d], lengths[l], FILL_EDGE);
            binary("mul", "op_mul", types[d], lengths[l], FILL_EDGE);
            scaled("scale_add", types[d], lengths[l]);
            scaled("axpy", types[d], lengths[l]);
            scaled("silu_mul", types[d], lengths[l]);
        }
        glu("act_silu", types[d], 3, 37);
        EACH(u, types)
        copy(types[d], types[u], 4099);
        fill_with(types[d], 4097);
    }
    EACH(f, acts)
    unary("unary", acts[f], f % 2 ? DT_F32 : DT_F16, 4097, FILL_EDGE);
    EACH(f, ops)
    binary("binary", ops[f], f % 2 ? DT_F32 : DT_BF16, 4097, FILL_EDGE);
    glu("act_gelu_tanh", DT_F32, 2, 2049);
    copy(DT_I32, DT_F32, 1001);
    copy(DT_I8, DT_F16, 1001);
    fill_with(DT_I32, 5);
    kts.large = true;
    EACH(d, types)
    {
        enum { N = 300001 };
        unary("relu", "act_relu", types[d], N, FILL_EDGE);
        unary("gelu", "act_gelu", types[d], N, FILL_EDGE);
        unary("unary", "act_tanh", types[d], N, FILL_EDGE);
        binary("add", "op_add", types[d], N, FILL_EDGE);
        binary("mul", "op_mul", types[d], N, FILL_EDGE);
        binary("binary", "op_max", types[d], N, FILL_EDGE);
        scaled("scale_add", types[d], N);
        scaled("axpy", types[d], N);
        scaled("silu_mul", types[d], N);
        glu("act_silu", types[d], 70, 5003);
        copy(types[d], types[(d + 1) % 3], N);
        fill_with(types[d], N);
    }
    kts.large = false;
}
