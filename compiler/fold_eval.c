/* fold_eval.c: one element of an elementwise op on bit patterns: what folding computes.
 *
 * Integers wrap by working on 64 bits and cutting. f32 and f64 are computed as the machine would; f16 and bf16 in
 * float and rounded once, which equals correct rounding for sums, products, quotients and roots since float has more
 * than twice their precision plus two bits. Not folded: functions whose last bits are a target's own, and fma in f16
 * and bf16. Written apart from the interpreter, so that the two check each other.
 */
#include "compiler/fold.h"

#include <math.h>

/* ---- integers ---- */
__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

static uint64_t shift_left(dtype d, uint64_t a, int64_t n)
{
    return n < 0 || n >= dt_bits(d) ? 0 : a << n;
}

static uint64_t shift_right(dtype d, uint64_t a, int64_t n)
{
    bool out = n < 0 || n >= dt_bits(d);
    if (out)
        return dt_is_signed(d) && dt_int(d, a) < 0 ? UINT64_MAX : 0;
    return dt_is_signed(d) ? (uint64_t)(dt_int(d, a) >> n) : dt_wrap(d, a) >> n;
}

static uint64_t high_half(dtype d, uint64_t a, uint64_t b)
{
    if (dt_is_signed(d))
        return (uint64_t)((wide)dt_int(d, a) * dt_int(d, b) >> dt_bits(d));
    return (uint64_t)((uwide)dt_wrap(d, a) * dt_wrap(d, b) >> dt_bits(d));
}

/* 0 for a divisor of 0, which is unspecified; MIN / -1 wraps */
static uint64_t divide(dtype d, uint64_t a, uint64_t b, bool rem)
{
    if (dt_wrap(d, b) == 0)
        return 0;
    if (!dt_is_signed(d))
        return rem ? dt_wrap(d, a) % dt_wrap(d, b) : dt_wrap(d, a) / dt_wrap(d, b);
    if (dt_int(d, b) == -1)
        return rem ? 0 : 0 - a;
    return (uint64_t)(rem ? dt_int(d, a) % dt_int(d, b) : dt_int(d, a) / dt_int(d, b));
}

static bool less(dtype d, uint64_t a, uint64_t b)
{
    return dt_is_signed(d) ? dt_int(d, a) < dt_int(d, b) : dt_wrap(d, a) < dt_wrap(d, b);
}

static bool eval_int(ir_code code, dtype d, uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t r;
    int64_t n = dt_is_int(d) ? dt_int(d, b) : 0;
    if (!dt_is_signed(d) && dt_wrap(d, b) > 64)
        n = 64;
    switch ((int)code) {
    case IR_OP_add:
        r = a + b;
        break;
    case IR_OP_sub:
        r = a - b;
        break;
    case IR_OP_mul:
        r = a * b;
        break;
    case IR_OP_div:
        r = divide(d, a, b, false);
        break;
    case IR_OP_rem:
        r = divide(d, a, b, true);
        break;
    case IR_OP_neg:
        r = 0 - a;
        break;
    case IR_OP_abs:
        r = dt_is_signed(d) && dt_int(d, a) < 0 ? 0 - a : a;
        break;
    case IR_OP_min:
        r = less(d, b, a) ? b : a;
        break;
    case IR_OP_max:
        r = less(d, a, b) ? b : a;
        break;
    case IR_OP_mulhi:
        r = high_half(d, a, b);
        break;
    case IR_OP_and:
        r = a & b;
        break;
    case IR_OP_or:
        r = a | b;
        break;
    case IR_OP_xor:
        r = a ^ b;
        break;
    case IR_OP_not:
        r = ~a;
        break;
    case IR_OP_shl:
        r = shift_left(d, a, n);
        break;
    case IR_OP_shr:
        r = shift_right(d, a, n);
        break;
    default:
        return false;
    }
    *out = dt_wrap(d, r);
    return true;
}

/* ---- floats ---- */
static double pick(bool want_min, bool nan, double a, double b)
{
    if (isnan(a) || isnan(b))
        return nan ? (isnan(a) ? a : b) : isnan(a) ? b : a;
    if (a == b)
        return (signbit(a) != 0) == want_min ? a : b;
    return (a < b) == want_min ? a : b;
}

static bool eval_f64(ir_code code, bool nan, double a, double b, double c, double *r)
{
    switch ((int)code) {
    case IR_OP_add:
        *r = a + b;
        return true;
    case IR_OP_sub:
        *r = a - b;
        return true;
    case IR_OP_mul:
        *r = a * b;
        return true;
    case IR_OP_div:
        *r = a / b;
        return true;
    case IR_OP_min:
        *r = pick(true, nan, a, b);
        return true;
    case IR_OP_max:
        *r = pick(false, nan, a, b);
        return true;
    case IR_OP_fma:
        *r = fma(a, b, c);
        return true;
    case IR_OP_floor:
        *r = floor(a);
        return true;
    case IR_OP_ceil:
        *r = ceil(a);
        return true;
    default:
        return false;
    }
}

/* but for fma, a result computed in double and rounded to float is the one that float arithmetic gives */
static bool eval_f32(ir_code code, bool nan, float a, float b, float c, float *r)
{
    double x;
    if (code == IR_OP_fma) {
        *r = fmaf(a, b, c);
        return true;
    }
    bool ok = eval_f64(code, nan, (double)a, (double)b, (double)c, &x);
    if (ok)
        *r = (float)x;
    return ok;
}

static bool eval_float(ir_code code, dtype d, bool nan, const uint64_t *v, uint64_t *out)
{
    uint64_t top = (uint64_t)1 << (dt_bits(d) - 1);
    if (code == IR_OP_neg || code == IR_OP_abs) {
        *out = code == IR_OP_neg ? v[0] ^ top : v[0] & ~top;
        return true;
    }
    if (d == DT_F64) {
        double r;
        bool ok = eval_f64(code, nan, num_f64_of(v[0]), num_f64_of(v[1]), num_f64_of(v[2]), &r);
        *out = ok ? num_f64_bits(r) : 0;
        return ok;
    }
    float a = d == DT_F32 ? num_f32_of((uint32_t)v[0]) : (float)dt_float(d, v[0]),
          b = d == DT_F32 ? num_f32_of((uint32_t)v[1]) : (float)dt_float(d, v[1]);
    float c = d == DT_F32 ? num_f32_of((uint32_t)v[2]) : 0, r;
    if ((code == IR_OP_fma && d != DT_F32) || !eval_f32(code, nan, a, b, c, &r))
        return false;
    *out = d == DT_F32 ? num_f32_bits(r) : dt_from_double(d, (double)r, false);
    return true;
}

static bool eval_compare(ir_code code, dtype d, uint64_t a, uint64_t b, bool *r)
{
    bool lt, eq;
    if (code < IR_OP_eq || code > IR_OP_ge)
        return false;
    if (dt_is_any_float(d)) {
        double x = dt_float(d, a), y = dt_float(d, b);
        if (isnan(x) || isnan(y)) {
            *r = code == IR_OP_ne;
            return true;
        }
        lt = x < y;
        eq = x == y;
    } else {
        lt = less(d, a, b);
        eq = dt_wrap(d, a) == dt_wrap(d, b);
    }
    switch ((int)code) {
    case IR_OP_eq:
        *r = eq;
        return true;
    case IR_OP_ne:
        *r = !eq;
        return true;
    case IR_OP_lt:
        *r = lt;
        return true;
    case IR_OP_le:
        *r = lt || eq;
        return true;
    case IR_OP_gt:
        *r = !lt && !eq;
        return true;
    case IR_OP_ge:
        *r = !lt;
        return true;
    default:
        return false;
    }
}

bool fold_eval(ir_code code, dtype d, bool nan, const uint64_t *v, uint64_t *out)
{
    bool r;
    if (eval_compare(code, d, v[0], v[1], &r)) {
        *out = r;
        return true;
    }
    if (dt_is_float(d))
        return eval_float(code, d, nan, v, out);
    return !dt_is_f8(d) && eval_int(code, d, v[0], v[1], out);
}

_Static_assert(IR_OP_ge - IR_OP_eq == 5, "the comparisons of ops.def stand together");
