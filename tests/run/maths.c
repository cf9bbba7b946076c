/* maths.c: functions of mathematics against libm in double.
 *
 * Bounds in units in the last place are those that docs/ states for the CPU; f16 and bf16 compute in f32 and round
 * once, so theirs is one. Functions that are exact by definition are compared to the bit.
 */
#include "tests/run/shapes.h"

typedef struct row {
    const char *name, *expr;
    double (*ref)(double x);
    double f32, f64; /* ulps; 0: exact */
    pattern pat;
} row;

static double r_rsqrt(double x) { return 1 / sqrt(x); }
static double r_sigmoid(double x) { return 1 / (1 + exp(-x)); }

static const row rows[] = {
    {"exp", "exp(x)", exp, 2, 2, PAT_EDGE},
    {"exp method", "x.exp()", exp, 2, 2, PAT_REAL},
    {"exp2", "exp2(x)", exp2, 2, 2, PAT_EDGE},
    {"log", "log(x)", log, 2, 2, PAT_EDGE},
    {"log near 1", "log(x)", log, 2, 2, PAT_POS},
    {"log2", "log2(x)", log2, 2, 2, PAT_EDGE},
    {"log2 near 1", "log2(x)", log2, 2, 2, PAT_POS},
    {"sin", "sin(x)", sin, 2, 2, PAT_ANGLE},
    {"cos", "cos(x)", cos, 2, 2, PAT_ANGLE},
    {"tanh", "tanh(x)", tanh, 2, 2, PAT_EDGE},
    {"tanh near 0", "tanh(x)", tanh, 2, 2, PAT_REAL},
    {"erf", "erf(x)", erf, 2, 2, PAT_EDGE},
    {"erf near 0", "erf(x)", erf, 2, 2, PAT_REAL},
    {"sqrt", "sqrt(x)", sqrt, 1, 1, PAT_EDGE},
    {"sqrt_rn", "sqrt_rn(x)", sqrt, 0, 0, PAT_EDGE},
    {"rsqrt", "rsqrt(x)", r_rsqrt, 2, 2, PAT_EDGE},
    {"floor", "floor(x)", floor, 0, 0, PAT_EDGE},
    {"ceil", "ceil(x)", ceil, 0, 0, PAT_EDGE},
    {"sigmoid", "sigmoid(x)", r_sigmoid, 4, 4, PAT_REAL},
    {"sigmoid far", "sigmoid(x)", r_sigmoid, 4, 4, PAT_EDGE},
};

static double bound(const row *r, dtype dt)
{
    if (dt == DT_F64)
        return r->f64;
    if (dt == DT_F32 || r->f32 == 0)
        return r->f32;
    return 1;
}

static void one(const row *r, dtype dt, const shape_class *sc)
{
    rcase c;
    case_begin(&c, "%s %s %s", r->name, dtypes[dt].name, sc->name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, sc->n, r->pat), *out = case_out(&c, "out", dt, sc->n, bound(r, dt));
    c.loose = bound(r, dt) != 0;
    case_int(&c, "n", sc->n);
    shape_kernel_head(&c, sc);
    case_line(&c, "    x = load(xp + offs, mask)");
    case_line(&c, "    store(out + offs, %s, mask)", r->expr);
    for (int64_t i = 0; i < sc->n; i++)
        out->want[i] = run_real(r->ref(case_get(x, i).f));
    /* results under the least normal f32 may lose bits on the way */
    out->slack = dt == DT_F64 ? 0x1p-1073 : dt == DT_F32 || dt == DT_BF16 ? 0x1p-148 : 0;
    if (r->ref == r_sigmoid) /* where exp(-x) overflows, the true value is below the least normal number */
        out->slack = dt == DT_F64 ? 0x1p-1022 : 0x1p-126;
    if (bound(r, dt) == 0)
        out->slack = 0;
    case_end(&c);
}

static void refused(const row *r, dtype dt)
{
    char text[300];
    snprintf(text, sizeof text,
             "kernel k(xp: *%s, out: *f32) grid(1):\n    offs = arange(0, 8)\n    x = load(xp + offs)\n    store(out + "
             "offs, %s)\n",
             dtypes[dt].name, r->expr);
    case_rejects(dtypes[dt].name, text, "%s %s refused", r->name, dtypes[dt].name);
}

static void softmax(dtype dt, int64_t rows_n, int64_t cols)
{
    rcase c;
    case_begin(&c, "softmax %s %lldx%lld", dtypes[dt].name, (long long)rows_n, (long long)cols);
    if (case_skip(&c))
        return;
    int64_t d[2] = {rows_n, cols}, n = rows_n * cols;
    rarg *x = case_in(&c, "xp", dt, n, PAT_REAL), *out = case_out(&c, "out", dt, n, 4 + (double)cols / 8);
    c.loose = true;
    shape_plain_head(&c);
    shape_offsets(&c, "offs", 2, d);
    case_line(&c, "    store(out + offs, softmax(load(xp + offs), 1))");
    for (int64_t i = 0; i < rows_n; i++) {
        double top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < cols; j++)
            top = fmax(top, case_get(x, i * cols + j).f);
        for (int64_t j = 0; j < cols; j++)
            sum += exp(case_get(x, i * cols + j).f - top);
        for (int64_t j = 0; j < cols; j++)
            out->want[i * cols + j] = run_real(exp(case_get(x, i * cols + j).f - top) / sum);
    }
    case_end(&c);
}

void run_maths(void)
{
    for (size_t k = 0; k < COUNTOF(rows); k++)
        FOR_DTYPES(dt) {
            if (!dt_is_float(dt)) {
                refused(&rows[k], dt);
                continue;
            }
            for (int s = 0; s < shape_class_count; s++)
                one(&rows[k], dt, &shape_classes[s]);
        }
    FOR_DTYPES(dt)
        if (dt_is_float(dt)) {
            softmax(dt, 1, 1);
            softmax(dt, 3, 33);
            softmax(dt, 4, 100);
        }
}
