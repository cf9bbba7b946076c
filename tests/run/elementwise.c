/* elementwise.c: operators and functions that work element by element, every dtype, every shape class.
 *
 * A row gives the expression over x, y, z, the dtypes it takes, the dtype of its result, and its reference. The other
 * dtypes must be refused. Integer arithmetic, comparisons and single float operations are exact, so all devices agree
 * to the bit; a reference that the language leaves open (division by zero) is any value, and must not fault.
 */
#include "tests/run/shapes.h"

typedef enum result { R_SAME, R_BOOL, R_QUOTIENT, R_F32 } result; /* R_QUOTIENT: f32 for integers, else the same */

typedef struct row {
    const char *name, *expr;
    int nin;
    int takes; /* dtype classes */
    result res;
    num (*ref)(dtype dt, const num *v);
    pattern second; /* of y and z; the first input has edges */
    double ulps;
    int bits; /* the least width that it takes */
} row;

static num r_add(dtype dt, const num *v)
{
    (void)dt;
    return (num){.i = v[0].i + v[1].i, .f = v[0].f + v[1].f};
}
static num r_sub(dtype dt, const num *v)
{
    (void)dt;
    return (num){.i = v[0].i - v[1].i, .f = v[0].f - v[1].f};
}
static num r_mul(dtype dt, const num *v)
{
    (void)dt;
    return (num){.i = (wide)((uwide)v[0].i * (uwide)v[1].i), .f = v[0].f * v[1].f};
}
static num r_and(dtype dt, const num *v)
{
    (void)dt;
    return run_int(v[0].i & v[1].i);
}
static num r_or(dtype dt, const num *v)
{
    (void)dt;
    return run_int(v[0].i | v[1].i);
}
static num r_xor(dtype dt, const num *v)
{
    (void)dt;
    return run_int(v[0].i ^ v[1].i);
}
static num r_not(dtype dt, const num *v) { return run_int(dt == DT_BOOL ? !v[0].i : ~v[0].i); }
static num r_pos(dtype dt, const num *v)
{
    (void)dt;
    return v[0];
}

static num r_neg(dtype dt, const num *v)
{
    (void)dt;
    return (num){.i = -v[0].i, .f = -v[0].f};
}

static num r_abs(dtype dt, const num *v)
{
    (void)dt;
    return (num){.i = v[0].i < 0 ? -v[0].i : v[0].i, .f = fabs(v[0].f)};
}

/* of integers: both become f32 first */
static num r_div(dtype dt, const num *v)
{
    if (dt_is_any_float(dt))
        return run_real(v[0].f / v[1].f);
    return run_real((double)(float)v[0].i / (double)(float)v[1].i);
}

static num r_floordiv(dtype dt, const num *v)
{
    (void)dt;
    return v[1].i ? run_int(v[0].i / v[1].i) : run_any();
}

static num r_mod(dtype dt, const num *v)
{
    (void)dt;
    return v[1].i ? run_int(v[0].i % v[1].i) : run_any();
}

static num r_cdiv(dtype dt, const num *v)
{
    wide sum = v[0].i + v[1].i - 1; /* made in the operands' type, where it may not fit */
    return (num){.i = sum / v[1].i, .any = sum >= (wide)1 << (dt_bits(dt) - dt_is_signed(dt))};
}

static num r_shl(dtype dt, const num *v)
{
    bool out = v[1].i < 0 || v[1].i >= dt_bits(dt);
    return run_int(out ? 0 : (wide)((uwide)v[0].i << v[1].i));
}

static num r_shr(dtype dt, const num *v)
{
    bool out = v[1].i < 0 || v[1].i >= dt_bits(dt);
    return run_int(out ? (v[0].i < 0 ? -1 : 0) : v[0].i >> v[1].i);
}

static int order(dtype dt, const num *v) /* 2: unordered */
{
    if (!dt_is_any_float(dt))
        return v[0].i < v[1].i ? -1 : v[0].i > v[1].i;
    return isnan(v[0].f) || isnan(v[1].f) ? 2 : v[0].f < v[1].f ? -1 : v[0].f > v[1].f;
}

static num r_eq(dtype dt, const num *v) { return run_int(order(dt, v) == 0); }
static num r_ne(dtype dt, const num *v) { return run_int(order(dt, v) != 0); }
static num r_lt(dtype dt, const num *v) { return run_int(order(dt, v) == -1); }
static num r_le(dtype dt, const num *v) { return run_int(order(dt, v) == -1 || order(dt, v) == 0); }
static num r_gt(dtype dt, const num *v) { return run_int(order(dt, v) == 1); }
static num r_ge(dtype dt, const num *v) { return run_int(order(dt, v) == 1 || order(dt, v) == 0); }

static num pick(dtype dt, const num *v, bool min, bool nan)
{
    if (!dt_is_any_float(dt))
        return (v[0].i < v[1].i) == min ? v[0] : v[1];
    if (isnan(v[0].f) || isnan(v[1].f))
        return nan ? run_real(NAN) : isnan(v[0].f) ? v[1] : v[0];
    if (v[0].f == v[1].f) /* -0 < +0 */
        return (signbit(v[0].f) != 0) == min ? v[0] : v[1];
    return (v[0].f < v[1].f) == min ? v[0] : v[1];
}

static num r_min(dtype dt, const num *v) { return pick(dt, v, true, false); }
static num r_max(dtype dt, const num *v) { return pick(dt, v, false, false); }
static num r_min_nan(dtype dt, const num *v) { return pick(dt, v, true, true); }
static num r_max_nan(dtype dt, const num *v) { return pick(dt, v, false, true); }

static num r_where(dtype dt, const num *v)
{
    (void)dt;
    return v[2].i ? v[0] : v[1];
}

/* min(max(x, lo), hi) with lo <= hi: the bounds of this row are y and y + 1 or so, made in the expression */
static num r_clamp(dtype dt, const num *v)
{
    num lo[2] = {v[0], v[1]}, hi[2];
    hi[0] = pick(dt, lo, false, false);
    hi[1] = v[2];
    return pick(dt, hi, true, false);
}

/* signed operands give their bits */
static num r_umulhi(dtype dt, const num *v)
{
    uint64_t all = dt_bits(dt) == 64 ? ~(uint64_t)0 : 0xffffffff;
    uwide x = (uint64_t)v[0].i & all, y = (uint64_t)v[1].i & all;
    return run_int((wide)((x * y) >> dt_bits(dt)));
}

/* to the type, once */
static num r_fma(dtype dt, const num *v)
{
    if (dt == DT_F64)
        return run_real(fma(v[0].f, v[1].f, v[2].f));
    if (dt == DT_F32)
        return run_real((double)fmaf((float)v[0].f, (float)v[1].f, (float)v[2].f));
    /* narrower: 80 bits hold the exact sum of a 22-bit product and an 11-bit term unless they lie far apart, and then
     * the smaller one is no more than a mark; rounding to odd keeps it */
    double p = v[0].f * v[1].f, s = p + v[2].f;
    if (!isfinite(s))
        return run_real(s);
    double t = s - p, err = (p - (s - t)) + (v[2].f - t);
    uint64_t bits;
    memcpy(&bits, &s, 8);
    if (err != 0 && !(bits & 1)) {
        bits = (err > 0) == (s > 0) ? bits + 1 : bits - 1;
        memcpy(&s, &bits, 8);
    }
    return run_real(s);
}

static num r_first(dtype dt, const num *v)
{
    (void)dt;
    return v[0];
}
static num r_zero(dtype dt, const num *v)
{
    (void)dt;
    (void)v;
    return (num){0};
}

static const row rows[] = {
    {"+", "x + y", 2, CL_NUM, R_SAME, r_add, PAT_EDGE, 0, 0},
    {"-", "x - y", 2, CL_NUM, R_SAME, r_sub, PAT_EDGE, 0, 0},
    {"*", "x * y", 2, CL_NUM, R_SAME, r_mul, PAT_EDGE, 0, 0},
    {"add", "add(x, y)", 2, CL_NUM, R_SAME, r_add, PAT_REAL, 0, 0},
    {"sub", "sub(x, y)", 2, CL_NUM, R_SAME, r_sub, PAT_REAL, 0, 0},
    {"mul", "mul(x, y)", 2, CL_NUM, R_SAME, r_mul, PAT_REAL, 0, 0},
    {"/", "x / y", 2, CL_NUM, R_QUOTIENT, r_div, PAT_EDGE, 1, 0},
    {"//", "x // y", 2, CL_INTS, R_SAME, r_floordiv, PAT_EDGE, 0, 0},
    {"%", "x % y", 2, CL_INTS, R_SAME, r_mod, PAT_EDGE, 0, 0},
    {"&", "x & y", 2, CL_INTS | CL_BOOL, R_SAME, r_and, PAT_EDGE, 0, 0},
    {"|", "x | y", 2, CL_INTS | CL_BOOL, R_SAME, r_or, PAT_EDGE, 0, 0},
    {"^", "x ^ y", 2, CL_INTS | CL_BOOL, R_SAME, r_xor, PAT_EDGE, 0, 0},
    {"<<", "x << y", 2, CL_INTS, R_SAME, r_shl, PAT_SHIFT, 0, 0},
    {">>", "x >> y", 2, CL_INTS, R_SAME, r_shr, PAT_SHIFT, 0, 0},
    {"==", "x == y", 2, CL_NUM | CL_BOOL, R_BOOL, r_eq, PAT_EDGE, 0, 0},
    {"!=", "x != y", 2, CL_NUM | CL_BOOL, R_BOOL, r_ne, PAT_EDGE, 0, 0},
    {"<", "x < y", 2, CL_NUM, R_BOOL, r_lt, PAT_EDGE, 0, 0},
    {"<=", "x <= y", 2, CL_NUM, R_BOOL, r_le, PAT_EDGE, 0, 0},
    {">", "x > y", 2, CL_NUM, R_BOOL, r_gt, PAT_EDGE, 0, 0},
    {">=", "x >= y", 2, CL_NUM, R_BOOL, r_ge, PAT_EDGE, 0, 0},
    {"minimum", "minimum(x, y)", 2, CL_NUM, R_SAME, r_min, PAT_EDGE, 0, 0},
    {"maximum", "maximum(x, y)", 2, CL_NUM, R_SAME, r_max, PAT_EDGE, 0, 0},
    {"minimum nan", "minimum(x, y, propagate_nan=True)", 2, CL_NUM, R_SAME, r_min_nan, PAT_EDGE, 0, 0},
    {"maximum nan", "maximum(x, y, propagate_nan=True)", 2, CL_NUM, R_SAME, r_max_nan, PAT_EDGE, 0, 0},
    {"clamp", "clamp(x, minimum(y, z), maximum(y, z))", 3, CL_FLOAT, R_SAME, r_clamp, PAT_REAL, 0, 0},
    {"fma", "fma(x, y, z)", 3, CL_FLOAT, R_SAME, r_fma, PAT_REAL, 0, 0},
    {"fdiv", "fdiv(x, y)", 2, CL_FLOAT, R_SAME, r_div, PAT_REAL, 1, 0},
    {"div_rn", "div_rn(x, y)", 2, CL_FLOAT, R_SAME, r_div, PAT_EDGE, 0, 0},
    {"umulhi", "umulhi(x, y)", 2, CL_INTS, R_SAME, r_umulhi, PAT_EDGE, 0, 32},
    {"cdiv", "cdiv(x, y)", 2, CL_INTS, R_SAME, r_cdiv, PAT_POS, 0, 0},
    {"neg", "-x", 1, CL_NUM, R_SAME, r_neg, PAT_EDGE, 0, 0},
    {"pos", "+x", 1, CL_NUM, R_SAME, r_pos, PAT_EDGE, 0, 0},
    {"~", "~x", 1, CL_INTS | CL_BOOL, R_SAME, r_not, PAT_EDGE, 0, 0},
    {"abs", "abs(x)", 1, CL_NUM, R_SAME, r_abs, PAT_EDGE, 0, 0},
    {"abs method", "x.abs()", 1, CL_NUM, R_SAME, r_abs, PAT_EDGE, 0, 0},
    {"identity", "identity(x)", 1, CL_ALL, R_SAME, r_first, PAT_EDGE, 0, 0},
    {"zeros_like", "zeros_like(x)", 1, CL_ALL, R_SAME, r_zero, PAT_EDGE, 0, 0},
};

static dtype result_of(const row *r, dtype dt)
{
    switch (r->res) {
    case R_SAME: return dt;
    case R_BOOL: return DT_BOOL;
    case R_QUOTIENT: return dt_is_any_float(dt) ? dt : DT_F32;
    case R_F32: return DT_F32;
    }
    return dt;
}

/* y and z of clamp come in any order; the reference wants them sorted */
static void sort_bounds(const row *r, num *v)
{
    if (r->ref != r_clamp)
        return;
    num lo = pick(DT_F64, v + 1, true, false), hi = pick(DT_F64, v + 1, false, false);
    v[1] = lo;
    v[2] = hi;
}

/* first arguments of cdiv are not negative, and leave room for the sum in C's own definition */
static pattern first_pattern(const row *r) { return r->ref == r_cdiv ? PAT_POS : PAT_EDGE; }

static void one_row(const row *r, dtype dt, const shape_class *sc)
{
    rcase c;
    case_begin(&c, "%s %s %s", r->name, dtypes[dt].name, sc->name);
    if (case_skip(&c))
        return;
    static const char *const names[] = {"xp", "yp", "zp"};
    rarg *in[3];
    dtype res = result_of(r, dt);
    for (int i = 0; i < r->nin; i++)
        in[i] = case_in(&c, names[i], dt, sc->n, i ? r->second : first_pattern(r));
    rarg *out = case_out(&c, "out", res, sc->n, r->ulps);
    case_int(&c, "n", sc->n);
    shape_kernel_head(&c, sc);
    for (int i = 0; i < r->nin; i++)
        case_line(&c, "    %c = load(%s + offs, mask)", 'x' + i, names[i]);
    case_line(&c, "    r = %s", r->expr);
    case_line(&c, "    store(out + offs, r, mask)");
    for (int64_t i = 0; i < sc->n; i++) {
        num v[3] = {{0}, {0}, {0}};
        for (int k = 0; k < r->nin; k++)
            v[k] = case_get(in[k], i);
        sort_bounds(r, v);
        out->want[i] = r->ref(dt, v);
    }
    case_end(&c);
}

static void refused(const row *r, dtype dt)
{
    arena a;
    arena_init(&a, 0);
    const char *d = dtypes[dt].name;
    str text = str_fmt(
        &a,
        "kernel k(xp: *%s, yp: *%s, zp: *%s, out: *%s) grid(1):\n    offs = arange(0, 8)\n    x = load(xp + offs)\n"
        "    y = load(yp + offs)\n    z = load(zp + offs)\n    r = %s\n    store(out + offs, r)\n",
        d, d, d, d, r->expr);
    case_rejects(d, str_cstr(&a, text), "%s %s refused", r->name, d);
    arena_fini(&a);
}

/* where, with a condition of its own */
static void where_cases(dtype dt)
{
    for (int s = 0; s < shape_class_count; s++) {
        const shape_class *sc = &shape_classes[s];
        rcase c;
        case_begin(&c, "where %s %s", dtypes[dt].name, sc->name);
        if (case_skip(&c))
            continue;
        rarg *x = case_in(&c, "xp", dt, sc->n, PAT_EDGE), *y = case_in(&c, "yp", dt, sc->n, PAT_EDGE);
        rarg *b = case_in(&c, "bp", DT_BOOL, sc->n, PAT_EDGE), *out = case_out(&c, "out", dt, sc->n, 0);
        case_int(&c, "n", sc->n);
        shape_kernel_head(&c, sc);
        case_line(&c, "    r = where(load(bp + offs, mask), load(xp + offs, mask), load(yp + offs, mask))");
        case_line(&c, "    store(out + offs, r, mask)");
        for (int64_t i = 0; i < sc->n; i++)
            out->want[i] = r_where(dt, (num[]){case_get(x, i), case_get(y, i), case_get(b, i)});
        case_end(&c);
    }
}

/* the divisor is 0 in lanes that are masked off, and the dividend MIN where it is -1 */
static void division_under_mask(dtype dt)
{
    rcase c;
    enum { COUNT = 100 };
    case_begin(&c, "division under a mask %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, COUNT, PAT_EDGE), *y = case_in(&c, "yp", dt, COUNT, PAT_SMALL);
    rarg *out = case_out(&c, "out", dt, COUNT, 0);
    case_line(&c, "kernel k(xp: *%s, yp: *%s, out: *%s) grid(1):", dtypes[dt].name, dtypes[dt].name, dtypes[dt].name);
    case_line(&c, "    offs = arange(0, 128)");
    case_line(&c, "    inside = offs < %d", COUNT);
    case_line(&c, "    y = load(yp + offs, inside)");
    case_line(&c, "    q = load(xp + offs, inside) // y");
    case_line(&c, "    store(out + offs, where(y != 0, q, 77), inside)");
    for (int i = 0; i < COUNT; i++) {
        num v[2] = {case_get(x, i), case_get(y, i)};
        out->want[i] = v[1].i ? r_floordiv(dt, v) : run_int(77);
    }
    case_end(&c);
}

/* ---- promotion: operands of two dtypes ---- */

static dtype promoted(dtype a, dtype b)
{
    if (a == b)
        return a;
    int ka = a == DT_BOOL ? 0 : dt_is_int(a) ? 1 : 2, kb = b == DT_BOOL ? 0 : dt_is_int(b) ? 1 : 2;
    if (ka != kb)
        return ka > kb ? a : b;
    if (dt_bits(a) != dt_bits(b))
        return dt_bits(a) > dt_bits(b) ? a : b;
    if (dt_is_int(a))
        return dt_is_signed(a) ? b : a;
    return DT_F32; /* f16 with bf16 */
}

/* converts as an operand of that type is */
static num as_operand(dtype to, dtype from, num x) { return run_num(to, run_round(to, run_cast(to, from, x))); }

static void promotion(dtype a, dtype b)
{
    enum { COUNT = 130 };
    dtype r = promoted(a, b);
    rcase c;
    case_begin(&c, "promotion %s * %s", dtypes[a].name, dtypes[b].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", a, COUNT, PAT_EDGE), *y = case_in(&c, "yp", b, COUNT, PAT_EDGE),
         *out = case_out(&c, "out", r, COUNT, 0);
    case_line(&c, "kernel k(xp: *%s, yp: *%s, out: *%s) grid(1):", dtypes[a].name, dtypes[b].name, dtypes[r].name);
    case_line(&c, "    offs = arange(0, %d)", COUNT);
    case_line(&c, "    r = load(xp + offs) * load(yp + offs)");
    case_line(&c, "    static_assert(r.dtype == %s, \"the promoted dtype\")", dtypes[r].name);
    case_line(&c, "    store(out + offs, r)");
    for (int i = 0; i < COUNT; i++)
        out->want[i] = r_mul(r, (num[]){as_operand(r, a, case_get(x, i)), as_operand(r, b, case_get(y, i))});
    case_end(&c);
}

void run_elementwise(void)
{
    for (size_t k = 0; k < COUNTOF(rows); k++)
        FOR_DTYPES(dt) {
            if (!(rows[k].takes & class_of(dt)) || dt_bits(dt) < rows[k].bits) {
                refused(&rows[k], dt);
                continue;
            }
            for (int s = 0; s < shape_class_count; s++)
                one_row(&rows[k], dt, &shape_classes[s]);
        }
    FOR_DTYPES(dt) {
        where_cases(dt);
        if (dt_is_int(dt))
            division_under_mask(dt);
        FOR_DTYPES(other)
            if ((class_of(dt) & CL_NUM) && (class_of(other) & CL_NUM) && dt != other)
                promotion(dt, other);
    }
}
