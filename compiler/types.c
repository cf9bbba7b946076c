/* types.c: the element types' table, and the one definition of how numbers convert (types.h). */
#include "compiler/types.h"

#include <math.h>
#include <string.h>

const dtype_info dtypes[DT_COUNT] = {
    [DT_NONE] = {"none", 0, DK_BOOL, NUM_F32, "no type"},
#define DTYPE(name, text, bits, kind, fmt, doc) [DT_##name] = {text, bits, kind, fmt, doc},
#include "compiler/types.def"
#undef DTYPE
};

dtype dtype_by_name(str name)
{
    for (int d = DT_NONE + 1; d < DT_COUNT; d++)
        if (str_eq(name, str_of(dtypes[d].name)))
            return (dtype)d;
    return DT_NONE;
}

uint64_t dt_wrap(dtype d, uint64_t bits)
{
    if (d == DT_BOOL)
        return bits & 1;
    int n = dtypes[d].bits;
    return n >= 64 ? bits : bits & (((uint64_t)1 << n) - 1);
}

int64_t dt_int(dtype d, uint64_t bits)
{
    bits = dt_wrap(d, bits);
    int n = dtypes[d].bits;
    if (!dt_is_signed(d) || n == 64)
        return (int64_t)bits;
    uint64_t top = (uint64_t)1 << (n - 1);
    return (int64_t)((bits ^ top) - top);
}

double dt_float(dtype d, uint64_t bits)
{
    return num_decode(dtypes[d].fmt, bits);
}

/* truncates toward zero, saturates at the type's ends, NaN to 0 */
static uint64_t int_of_double(dtype d, double x)
{
    int n = dtypes[d].bits;
    bool sign = dt_is_signed(d);
    if (d == DT_BOOL)
        return x != 0;
    if (isnan(x))
        return 0;
    double hi = ldexp(1, sign ? n - 1 : n), lo = sign ? -hi : 0;
    if (x >= hi)
        return sign ? ((uint64_t)1 << (n - 1)) - 1 : n == 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1;
    if (x <= lo)
        return sign ? (uint64_t)1 << (n - 1) : 0;
    return dt_wrap(d, sign ? (uint64_t)(int64_t)x : (uint64_t)x);
}

uint64_t dt_from_double(dtype d, double x, bool rtz)
{
    if (!dt_is_any_float(d))
        return int_of_double(d, x);
    return rtz ? num_encode_rtz(dtypes[d].fmt, x) : num_encode(dtypes[d].fmt, x);
}

/* A 64-bit integer need not be exact in float64; rounding it twice would be wrong. Fold what doesn't fit in 53 bits
 * into a sticky bit first: every target format has at most 53 bits, so the second rounding then is the only one. */
static double sticky_double(bool negative, uint64_t mag)
{
    int extra = 0;
    while (mag >> 53) {
        mag = mag >> 1 | (mag & 1);
        extra++;
    }
    double x = (double)mag;
    x = ldexp(x, extra);
    return negative ? -x : x;
}

static uint64_t float_of_int(dtype from, dtype to, uint64_t bits, bool rtz)
{
    bool negative = dt_is_signed(from) && dt_int(from, bits) < 0;
    uint64_t mag = negative ? 0 - (uint64_t)dt_int(from, bits) : dt_wrap(from, bits);
    if (to != DT_F64)
        return dt_from_double(to, sticky_double(negative, mag), rtz);
    double x = (double)mag;
    if (rtz && mag >> 53 && (x >= 0x1p64 || (uint64_t)x > mag))
        x = nextafter(x, 0);
    return dt_from_double(to, negative ? -x : x, rtz);
}

uint64_t dt_cast(dtype from, dtype to, uint64_t bits, bool rtz)
{
    if (from == to)
        return dt_wrap(from, bits);
    if (dt_is_any_float(from))
        return dt_from_double(to, dt_float(from, bits), rtz);
    if (dt_is_any_float(to))
        return float_of_int(from, to, bits, rtz);
    if (to == DT_BOOL)
        return dt_wrap(from, bits) != 0;
    return dt_wrap(to, (uint64_t)dt_int(from, bits));
}
