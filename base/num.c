/* num.c: one encoder and one decoder for all narrow formats, driven by a table row.
 *
 * Encoding works on the bits of the float64: split off exponent and a 53-bit significand, shift it to the format's
 * precision (further for denormals) keeping what was shifted out as guard and sticky, round, and let a carry out of the
 * mantissa run into the exponent field, where it belongs.
 */
#include "base/num.h"

#include <math.h>

typedef struct format {
    int exp_bits, man_bits, bias;
    bool has_inf;      /* exponent all ones: infinity and NaN as IEEE */
    bool fnuz;         /* the only NaN is the pattern of -0 */
    bool saturates;
    uint64_t max_bits; /* greatest finite magnitude */
} format;

static const format formats[] = {
    [NUM_F16] = {5, 10, 15, true, false, false, 0x7bff},
    [NUM_BF16] = {8, 7, 127, true, false, false, 0x7f7f},
    [NUM_F32] = {8, 23, 127, true, false, false, 0x7f7fffff},
    [NUM_F64] = {11, 52, 1023, true, false, false, 0x7fefffffffffffff},
    [NUM_F8E4M3] = {4, 3, 7, false, false, true, 0x7e},
    [NUM_F8E5M2] = {5, 2, 15, true, false, true, 0x7b},
    [NUM_F8E4M3FNUZ] = {4, 3, 8, false, true, true, 0x7f},
    [NUM_F8E5M2FNUZ] = {5, 2, 16, false, true, true, 0x7f},
};

static uint64_t nan_of(const format *f, uint64_t sign, uint64_t payload)
{
    if (f->fnuz)
        return (uint64_t)1 << (f->exp_bits + f->man_bits);
    uint64_t s = sign << (f->exp_bits + f->man_bits), all = ((uint64_t)1 << f->exp_bits) - 1;
    if (!f->has_inf)
        return s | (((uint64_t)1 << (f->exp_bits + f->man_bits)) - 1);
    return s | all << f->man_bits | (uint64_t)1 << (f->man_bits - 1) | payload >> (52 - f->man_bits);
}

static uint64_t overflow_of(const format *f, uint64_t sign, bool rtz)
{
    uint64_t s = sign << (f->exp_bits + f->man_bits);
    return s | (f->saturates || rtz ? f->max_bits : f->max_bits + 1); /* past the greatest finite stands infinity */
}

static uint64_t encode(num_fmt fmt, double x, bool rtz)
{
    const format *f = &formats[fmt];
    uint64_t b = num_f64_bits(x), sign = b >> 63, man = b & 0xfffffffffffff;
    int exp = (int)(b >> 52 & 0x7ff);
    uint64_t s = sign << (f->exp_bits + f->man_bits);
    if (exp == 0x7ff && man)
        return nan_of(f, sign, man);
    if (exp == 0x7ff)
        return f->saturates ? s | f->max_bits : overflow_of(f, sign, false);
    if (fmt == NUM_F64)
        return b;
    if (exp == 0) /* zero, or a float64 denormal: far below every narrower format's half ulp */
        return f->fnuz ? 0 : s;
    int e = exp - 1023 + f->bias, shift = 52 - f->man_bits;
    man |= (uint64_t)1 << 52;
    if (e < 1) {
        shift += 1 - e;
        e = 0;
    }
    if (shift > 60)
        return f->fnuz ? 0 : s;
    uint64_t kept = man >> shift, rest = man & (((uint64_t)1 << shift) - 1), half = (uint64_t)1 << (shift - 1);
    if (!rtz && (rest > half || (rest == half && (kept & 1))))
        kept++;
    /* a normal's hidden bit adds one to the exponent field; so e - 1 stands there */
    uint64_t out = e ? ((uint64_t)(e - 1) << f->man_bits) + kept : kept;
    if (out > f->max_bits)
        return overflow_of(f, sign, rtz);
    return out == 0 && f->fnuz ? 0 : s | out;
}

uint64_t num_encode(num_fmt f, double x)
{
    return encode(f, x, false);
}

uint64_t num_encode_rtz(num_fmt f, double x)
{
    return encode(f, x, true);
}

double num_decode(num_fmt fmt, uint64_t bits)
{
    const format *f = &formats[fmt];
    if (fmt == NUM_F64)
        return num_f64_of(bits);
    int width = f->exp_bits + f->man_bits;
    uint64_t sign = bits >> width & 1, man = bits & (((uint64_t)1 << f->man_bits) - 1);
    int exp = (int)(bits >> f->man_bits & (((uint64_t)1 << f->exp_bits) - 1)), all = (1 << f->exp_bits) - 1;
    if (f->fnuz && (bits & (((uint64_t)2 << width) - 1)) == (uint64_t)1 << width)
        return num_f64_of(0x7ff8000000000000);
    bool special = !f->fnuz && exp == all;
    if (special && f->has_inf && !man)
        return sign ? -INFINITY : INFINITY;
    if (special && (f->has_inf || man == ((uint64_t)1 << f->man_bits) - 1))
        return num_f64_of(sign << 63 | 0x7ff8000000000000 | man << (52 - f->man_bits));
    double m = exp ? (double)(man | (uint64_t)1 << f->man_bits) : (double)man;
    double x = ldexp(m, (exp ? exp : 1) - f->bias - f->man_bits);
    return sign ? -x : x;
}

double num_round(num_fmt f, double x)
{
    return num_decode(f, num_encode(f, x));
}

double num_ulps(num_fmt fmt, double got, double ref)
{
    const format *f = &formats[fmt];
    if (isnan(got) || isnan(ref))
        return isnan(got) && isnan(ref) ? 0 : INFINITY;
    if (got == ref)
        return 0;
    double r = num_decode(fmt, f->max_bits);
    if (isinf(got) || isinf(ref)) {
        /* beyond the greatest finite: a reference that rounds to infinity agrees with infinity */
        double a = num_round(fmt, ref);
        return isinf(got) && a == got ? 0 : INFINITY;
    }
    double mag = fabs(ref) < r ? fabs(ref) : r;
    int least = 1 - f->bias;
    int e = mag == 0 ? least : ilogb(mag);
    e = e < least ? least : e;
    return fabs(got - ref) / ldexp(1, e - f->man_bits);
}
