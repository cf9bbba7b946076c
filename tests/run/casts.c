/* casts.c: conversions between every two dtypes, rounding toward zero, and bitcasts; all to the bit. */
#include "tests/run/shapes.h"

enum { COUNT = 400 };

/* an integer as a double that rounds to any narrower format as the integer itself would: to odd where inexact */
static double odd_double(wide x)
{
    double d = (double)x;
    wide back = (wide)d;
    uint64_t bits;
    memcpy(&bits, &d, 8);
    if (back == x || (bits & 1))
        return d;
    bits = (back < x) == (d > 0) ? bits + 1 : bits - 1;
    memcpy(&d, &bits, 8);
    return d;
}

static num converted(dtype to, dtype from, num x)
{
    num r = run_cast(to, from, x);
    if (dt_is_any_float(to) && !dt_is_any_float(from))
        r.f = to == DT_F64 ? (double)x.i : odd_double(x.i);
    return r;
}

static void convert(dtype from, dtype to, int64_t n)
{
    rcase c;
    case_begin(&c, "cast %s to %s, %lld", dtypes[from].name, dtypes[to].name, (long long)n);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", from, n, PAT_EDGE), *out = case_out(&c, "out", to, n, 0);
    case_int(&c, "n", n);
    shape_class sc = {"", 1, {n == 1 ? 1 : 150}, n};
    shape_kernel_head(&c, &sc);
    case_line(&c, "    x = load(xp + offs, mask)");
    case_line(&c, "    store(out + offs, x.to(%s), mask)", dtypes[to].name);
    for (int64_t i = 0; i < n; i++)
        out->want[i] = converted(to, from, case_get(x, i));
    case_end(&c);
}

/* the nearest value that is not further from zero */
static num toward_zero(dtype to, double x)
{
    uint64_t b = dt_from_double(to, x, false);
    double r = dt_float(to, b);
    if (isnan(x) || isinf(x) || fabs(r) <= fabs(x))
        return run_real(r);
    return run_real(dt_float(to, b - 1)); /* the pattern below is the next smaller magnitude */
}

static void round_down(dtype from, dtype to)
{
    rcase c;
    case_begin(&c, "cast %s to %s toward zero", dtypes[from].name, dtypes[to].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", from, COUNT, PAT_EDGE), *out = case_out(&c, "out", to, COUNT, 0);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)", COUNT);
    case_line(&c, "    store(out + offs, cast(load(xp + offs), %s, fp_downcast_rounding=\"rtz\"))", dtypes[to].name);
    for (int64_t i = 0; i < COUNT; i++)
        out->want[i] = toward_zero(to, case_get(x, i).f);
    case_end(&c);
}

static void same_bits(dtype from, dtype to)
{
    rcase c;
    case_begin(&c, "bitcast %s to %s", dtypes[from].name, dtypes[to].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", from, COUNT, dt_is_any_float(from) ? PAT_REAL : PAT_EDGE);
    rarg *out = case_out(&c, "out", to, COUNT, 0);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)", COUNT);
    case_line(&c, "    store(out + offs, load(xp + offs).to(%s, bitcast=True))", dtypes[to].name);
    for (int64_t i = 0; i < COUNT; i++)
        out->want[i] = run_num(to, run_bits(from, x->data, i));
    case_end(&c);
}

static void bitcast_of_other_width(dtype from, dtype to)
{
    char text[300];
    snprintf(text, sizeof text,
             "kernel k(xp: *%s, out: *%s) grid(1):\n    offs = arange(0, 8)\n    store(out + offs, load(xp + "
             "offs).to(%s, bitcast=True))\n",
             dtypes[from].name, dtypes[to].name, dtypes[to].name);
    case_rejects(dtypes[to].name, text, "bitcast %s to %s refused", dtypes[from].name, dtypes[to].name);
}

/* what a store does to a value of another dtype */
static void stored(dtype from, dtype to)
{
    rcase c;
    case_begin(&c, "store %s into %s", dtypes[from].name, dtypes[to].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", from, COUNT, PAT_EDGE), *out = case_out(&c, "out", to, COUNT, 0);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)", COUNT);
    case_line(&c, "    store(out + offs, load(xp + offs))");
    for (int64_t i = 0; i < COUNT; i++)
        out->want[i] = converted(to, from, case_get(x, i));
    case_end(&c);
}

void run_casts(void)
{
    FOR_DTYPES(from)
        FOR_DTYPES(to) {
            convert(from, to, COUNT);
            if (from != to && dt_is_any_float(from) && dt_is_float(to) && dt_bits(to) < dt_bits(from))
                round_down(from, to);
            if (from == DT_BOOL || to == DT_BOOL)
                continue;
            if (dt_bits(from) == dt_bits(to))
                same_bits(from, to);
            else
                bitcast_of_other_width(from, to);
        }
    convert(DT_F32, DT_F16, 1);
    convert(DT_I64, DT_U8, 1);
    stored(DT_F32, DT_BF16);
    stored(DT_F32, DT_I8);
    stored(DT_I64, DT_F16);
    stored(DT_U32, DT_BOOL);
    stored(DT_F64, DT_F8E4M3);
}
