/* interp_elt.c: ops that work element by element.
 *
 * Operands are widened a chunk at a time into lanes of one of two kinds, the op runs over the lanes, and the result is
 * narrowed to its type:
 *
 *   int64_t   bool and integers (extended by their own sign), pointers; unsigned 64-bit values keep their bits
 *   double    every float type, exactly
 *
 * Why doubles give the right answer for narrower floats: a sum, difference, product, quotient or square root of numbers
 * of p bits, rounded to 53 bits and then to p, equals the one rounded to p at once when 53 >= 2p + 2 (f32: p = 24);
 * results in the denormal range keep fewer bits, and the same bound holds. So f32 is IEEE and f16, bf16 are rounded
 * once, as if computed in f32. fma is the exception: see fma_odd. Functions of mathematics are libm's in double, then
 * rounded: within half an ulp and a little of the true value.
 *
 * neg and abs of floats work on the sign bit, so NaNs keep their payload; casts go through dt_cast.
 */
#include "compiler/interp_impl.h"

#include <math.h>

#define CHUNK 256
#define EACH(e)                                                                                                        \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        (e)

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;
typedef int8_t __attribute__((may_alias)) sa8;
typedef int16_t __attribute__((may_alias)) sa16;
typedef int32_t __attribute__((may_alias)) sa32;
typedef float __attribute__((may_alias)) fa32;

/* ---- lanes ---- */

#define GET(T) EACH(d[i] = ((const T *)src)[i])
#define PUT(T) EACH(((T *)dst)[i] = (T)s[i])

void interp_get_ints(int64_t *d, dtype dt, const void *src, int64_t n)
{
    bool sign = dt_is_signed(dt);
    switch (dt_bytes(dt)) {
    case 1:
        if (sign)
            GET(sa8);
        else
            GET(ua8);
        break;
    case 2:
        if (sign)
            GET(sa16);
        else
            GET(ua16);
        break;
    case 4:
        if (sign)
            GET(sa32);
        else
            GET(ua32);
        break;
    default: memcpy(d, src, (size_t)n * 8);
    }
}

void interp_put_ints(void *dst, dtype dt, const int64_t *s, int64_t n)
{
    switch (dt_bytes(dt)) {
    case 1: PUT(ua8); break;
    case 2: PUT(ua16); break;
    case 4: PUT(ua32); break;
    default: memcpy(dst, s, (size_t)n * 8);
    }
}

static uint64_t get_bits(dtype dt, const void *src, int64_t i)
{
    switch (dt_bytes(dt)) {
    case 1: return ((const ua8 *)src)[i];
    case 2: return ((const ua16 *)src)[i];
    case 4: return ((const ua32 *)src)[i];
    default: return ((const ua64 *)src)[i];
    }
}

void interp_get_floats(double *d, dtype dt, const void *src, int64_t n)
{
    if (dt == DT_F32)
        GET(fa32);
    else if (dt == DT_F64)
        memcpy(d, src, (size_t)n * 8);
    else
        EACH(d[i] = dt_float(dt, get_bits(dt, src, i)));
}

void interp_put_floats(void *dst, dtype dt, const double *s, int64_t n)
{
    if (dt == DT_F32)
        PUT(fa32);
    else if (dt == DT_F64)
        memcpy(dst, s, (size_t)n * 8);
    else if (dt_bytes(dt) == 2)
        EACH(((ua16 *)dst)[i] = (uint16_t)dt_from_double(dt, s[i], false));
    else
        EACH(((ua8 *)dst)[i] = (uint8_t)dt_from_double(dt, s[i], false));
}
#undef GET
#undef PUT

/* ---- integers ---- */

static int64_t div_signed(int64_t a, int64_t b)
{
    if (b == 0)
        return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static void shift(ir_code code, dtype dt, int64_t n, int64_t *d, const int64_t *a, const int64_t *b)
{
    uint64_t bits = (uint64_t)dt_bits(dt); /* a negative amount is a great unsigned one */
    if (code == IR_OP_shl)
        EACH(d[i] = (uint64_t)b[i] < bits ? (int64_t)((uint64_t)a[i] << b[i]) : 0);
    else if (dt_is_signed(dt))
        EACH(d[i] = a[i] >> ((uint64_t)b[i] < bits ? b[i] : 63));
    else
        EACH(d[i] = (uint64_t)b[i] < bits ? (int64_t)((uint64_t)a[i] >> b[i]) : 0);
}

static void mulhi(dtype dt, int64_t n, int64_t *d, const int64_t *a, const int64_t *b)
{
    int bits = dt_bits(dt);
    if (dt_is_signed(dt))
        EACH(d[i] = (int64_t)(((wide)a[i] * b[i]) >> bits));
    else
        EACH(d[i] = (int64_t)(uint64_t)(((uwide)(uint64_t)a[i] * (uint64_t)b[i]) >> bits));
}

/* d may be a or b: each lane is read before it is written */
static void int_binary(ir_code code, dtype dt, int64_t n, int64_t *d, const int64_t *a, const int64_t *b)
{
    const uint64_t *ua = (const uint64_t *)a, *ub = (const uint64_t *)b;
    bool sign = dt_is_signed(dt);
    switch ((int)code) {
    case IR_OP_add: EACH(d[i] = (int64_t)(ua[i] + ub[i])); break;
    case IR_OP_sub: EACH(d[i] = (int64_t)(ua[i] - ub[i])); break;
    case IR_OP_mul: EACH(d[i] = (int64_t)(ua[i] * ub[i])); break;
    case IR_OP_and: EACH(d[i] = a[i] & b[i]); break;
    case IR_OP_or: EACH(d[i] = a[i] | b[i]); break;
    case IR_OP_xor: EACH(d[i] = a[i] ^ b[i]); break;
    case IR_OP_shl:
    case IR_OP_shr: shift(code, dt, n, d, a, b); break;
    case IR_OP_mulhi: mulhi(dt, n, d, a, b); break;
    case IR_OP_div:
        if (sign)
            EACH(d[i] = div_signed(a[i], b[i]));
        else
            EACH(d[i] = ub[i] ? (int64_t)(ua[i] / ub[i]) : 0);
        break;
    case IR_OP_rem:
        if (sign)
            EACH(d[i] = b[i] == 0 || b[i] == -1 ? 0 : a[i] % b[i]);
        else
            EACH(d[i] = ub[i] ? (int64_t)(ua[i] % ub[i]) : 0);
        break;
    case IR_OP_min:
        if (sign)
            EACH(d[i] = a[i] < b[i] ? a[i] : b[i]);
        else
            EACH(d[i] = ua[i] < ub[i] ? a[i] : b[i]);
        break;
    case IR_OP_max:
        if (sign)
            EACH(d[i] = a[i] > b[i] ? a[i] : b[i]);
        else
            EACH(d[i] = ua[i] > ub[i] ? a[i] : b[i]);
        break;
    default: bug("interp: '%s' of integers", ir_ops[code].name);
    }
}

static void int_unary(ir_code code, dtype dt, int64_t n, int64_t *d, const int64_t *a)
{
    switch ((int)code) {
    case IR_OP_neg: EACH(d[i] = (int64_t)(0 - (uint64_t)a[i])); break;
    case IR_OP_abs: EACH(d[i] = dt_is_signed(dt) && a[i] < 0 ? (int64_t)(0 - (uint64_t)a[i]) : a[i]); break;
    case IR_OP_not: EACH(d[i] = dt == DT_BOOL ? !a[i] : ~a[i]); break;
    default: bug("interp: '%s' of an integer", ir_ops[code].name);
    }
}

/* ---- floats ---- */

/* One of two numbers where neither is NaN and they may be zeros of either sign. */
static double lesser(double a, double b) { return a < b || (a == b && signbit(a)) ? a : b; }
static double greater_of(double a, double b) { return a > b || (a == b && !signbit(a)) ? a : b; }

static double min_max(bool is_min, bool nan, double a, double b)
{
    if (isnan(a) || isnan(b)) {
        if (nan)
            return NAN;
        return isnan(a) ? b : a;
    }
    return is_min ? lesser(a, b) : greater_of(a, b);
}

/* a * b + c for operands of at most 24 bits, rounded to odd: the product is exact in a double; the sum's rounding error
 * is exact by Knuth's two-sum; where it isn't 0 the last bit of the result is made 1 (moving towards the true value
 * when the rounding went away from it). A number so marked is never a midpoint of a format of at most 51 bits nor one
 * of its values, so rounding it to that format is right, denormals included. */
static double fma_odd(double a, double b, double c)
{
    double p = a * b, s = p + c;
    if (!isfinite(s))
        return s;
    double pp = s - c, err = (p - pp) + (c - (s - pp));
    uint64_t bits = num_f64_bits(s);
    if (err == 0 || (bits & 1))
        return s;
    bits = (err > 0) == (s > 0) ? bits + 1 : bits - 1; /* s is not 0: a sum that rounds to 0 is exact */
    return num_f64_of(bits);
}

static void float_binary(ir_code code, bool nan, int64_t n, double *d, const double *a, const double *b)
{
    switch ((int)code) {
    case IR_OP_add: EACH(d[i] = a[i] + b[i]); break;
    case IR_OP_sub: EACH(d[i] = a[i] - b[i]); break;
    case IR_OP_mul: EACH(d[i] = a[i] * b[i]); break;
    case IR_OP_div: EACH(d[i] = a[i] / b[i]); break;
    case IR_OP_min: EACH(d[i] = min_max(true, nan, a[i], b[i])); break;
    case IR_OP_max: EACH(d[i] = min_max(false, nan, a[i], b[i])); break;
    default: bug("interp: '%s' of floats", ir_ops[code].name);
    }
}

static void float_unary(ir_code code, int64_t n, double *d, const double *a)
{
    switch ((int)code) {
    case IR_OP_exp: EACH(d[i] = exp(a[i])); break;
    case IR_OP_exp2: EACH(d[i] = exp2(a[i])); break;
    case IR_OP_log: EACH(d[i] = log(a[i])); break;
    case IR_OP_log2: EACH(d[i] = log2(a[i])); break;
    case IR_OP_sin: EACH(d[i] = sin(a[i])); break;
    case IR_OP_cos: EACH(d[i] = cos(a[i])); break;
    case IR_OP_tanh: EACH(d[i] = tanh(a[i])); break;
    case IR_OP_erf: EACH(d[i] = erf(a[i])); break;
    case IR_OP_sqrt: EACH(d[i] = sqrt(a[i])); break;
    case IR_OP_rsqrt: EACH(d[i] = 1 / sqrt(a[i])); break;
    case IR_OP_floor: EACH(d[i] = floor(a[i])); break;
    case IR_OP_ceil: EACH(d[i] = ceil(a[i])); break;
    default: bug("interp: '%s' of a float", ir_ops[code].name);
    }
}

/* neg and abs: on the sign bit */
static void float_sign(ir_code code, dtype dt, int64_t n, void *dst, const void *src)
{
    uint64_t top = (uint64_t)1 << (dt_bits(dt) - 1);
    size_t es = (size_t)dt_bytes(dt);
    for (int64_t i = 0; i < n; i++) {
        uint64_t x = get_bits(dt, src, i);
        x = code == IR_OP_neg ? x ^ top : x & ~top;
        copy_elem((char *)dst + (size_t)i * es, &x, es); /* little-endian: the low bytes */
    }
}

/* ---- ops, a chunk at a time ---- */

void interp_binary(ir_code code, dtype dt, bool nan, int64_t n, void *d, const void *a, const void *b)
{
    size_t es = (size_t)dt_bytes(dt);
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t m = n - at < CHUNK ? n - at : CHUNK;
        const char *pa = (const char *)a + (size_t)at * es, *pb = (const char *)b + (size_t)at * es;
        char *pd = (char *)d + (size_t)at * es;
        if (dt_is_any_float(dt)) {
            double x[CHUNK], y[CHUNK];
            interp_get_floats(x, dt, pa, m);
            interp_get_floats(y, dt, pb, m);
            float_binary(code, nan, m, x, x, y);
            interp_put_floats(pd, dt, x, m);
        } else {
            int64_t x[CHUNK], y[CHUNK];
            interp_get_ints(x, dt, pa, m);
            interp_get_ints(y, dt, pb, m);
            int_binary(code, dt, m, x, x, y);
            interp_put_ints(pd, dt, x, m);
        }
    }
}

static void unary(ir_code code, dtype dt, int64_t n, void *d, const void *a)
{
    size_t es = (size_t)dt_bytes(dt);
    if (dt_is_any_float(dt) && (code == IR_OP_neg || code == IR_OP_abs)) {
        float_sign(code, dt, n, d, a);
        return;
    }
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t m = n - at < CHUNK ? n - at : CHUNK;
        const char *pa = (const char *)a + (size_t)at * es;
        char *pd = (char *)d + (size_t)at * es;
        if (dt_is_any_float(dt)) {
            double x[CHUNK];
            interp_get_floats(x, dt, pa, m);
            float_unary(code, m, x, x);
            interp_put_floats(pd, dt, x, m);
        } else {
            int64_t x[CHUNK];
            interp_get_ints(x, dt, pa, m);
            int_unary(code, dt, m, x, x);
            interp_put_ints(pd, dt, x, m);
        }
    }
}

#define COMPARE(x, y)                                                                                                  \
    switch ((int)code) {                                                                                               \
    case IR_OP_eq: EACH(d[at + i] = x == y); break;                                                                    \
    case IR_OP_ne: EACH(d[at + i] = x != y); break;                                                                    \
    case IR_OP_lt: EACH(d[at + i] = x < y); break;                                                                     \
    case IR_OP_le: EACH(d[at + i] = x <= y); break;                                                                    \
    case IR_OP_gt: EACH(d[at + i] = x > y); break;                                                                     \
    case IR_OP_ge: EACH(d[at + i] = x >= y); break;                                                                    \
    default: bug("interp: comparison '%s'", ir_ops[code].name);                                                        \
    }

static void compare_chunk(ir_code code, dtype dt, int64_t at, int64_t n, ua8 *d, const void *a, const void *b)
{
    size_t off = (size_t)at * (size_t)dt_bytes(dt);
    const char *pa = (const char *)a + off, *pb = (const char *)b + off;
    if (dt_is_any_float(dt)) {
        double x[CHUNK], y[CHUNK];
        interp_get_floats(x, dt, pa, n);
        interp_get_floats(y, dt, pb, n);
        COMPARE(x[i], y[i])
        return;
    }
    int64_t x[CHUNK], y[CHUNK];
    interp_get_ints(x, dt, pa, n);
    interp_get_ints(y, dt, pb, n);
    if (dt_is_signed(dt)) {
        COMPARE(x[i], y[i])
    } else {
        COMPARE((uint64_t)x[i], (uint64_t)y[i])
    }
}
#undef COMPARE

static void compare(ir_code code, dtype dt, int64_t n, void *d, const void *a, const void *b)
{
    for (int64_t at = 0; at < n; at += CHUNK)
        compare_chunk(code, dt, at, n - at < CHUNK ? n - at : CHUNK, d, a, b);
}

static void fma_all(dtype dt, int64_t n, void *d, const void *a, const void *b, const void *c)
{
    size_t es = (size_t)dt_bytes(dt);
    for (int64_t at = 0; at < n; at++) {
        double x[3];
        interp_get_floats(&x[0], dt, (const char *)a + (size_t)at * es, 1);
        interp_get_floats(&x[1], dt, (const char *)b + (size_t)at * es, 1);
        interp_get_floats(&x[2], dt, (const char *)c + (size_t)at * es, 1);
        double r = dt == DT_F64 ? fma(x[0], x[1], x[2]) : fma_odd(x[0], x[1], x[2]);
        interp_put_floats((char *)d + (size_t)at * es, dt, &r, 1);
    }
}

static void cast(dtype from, dtype to, bool rtz, int64_t n, void *d, const void *a)
{
    size_t fs = (size_t)dt_bytes(from), ts = (size_t)dt_bytes(to);
    bool ints = !dt_is_any_float(from) && !dt_is_any_float(to) && to != DT_BOOL;
    if (ints) {
        for (int64_t at = 0; at < n; at += CHUNK) {
            int64_t x[CHUNK], m = n - at < CHUNK ? n - at : CHUNK;
            interp_get_ints(x, from, (const char *)a + (size_t)at * fs, m);
            interp_put_ints((char *)d + (size_t)at * ts, to, x, m);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        uint64_t x = dt_cast(from, to, get_bits(from, a, i), rtz);
        copy_elem((char *)d + (size_t)i * ts, &x, ts);
    }
}

/* ---- ops on frames ---- */

static bool exec_select(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    const ua8 *c = in_data(fr, o, 0);
    const char *x = in_data(fr, o, 1), *y = in_data(fr, o, 2);
    char *d = out_data(fr, o, 0);
    if (ir_type_rank(m, in_type(fr, o, 0)) == 0 || ir_type_of(m, out_type(fr, o, 0))->kind == TK_TENSOR) {
        memcpy(d, *c ? x : y, interp_type_bytes(m, out_type(fr, o, 0)));
        return true;
    }
    size_t es = elem_bytes(m, out_type(fr, o, 0));
    int64_t n = ir_type_count(m, out_type(fr, o, 0));
    for (int64_t i = 0; i < n; i++)
        copy_elem(d + (size_t)i * es, (c[i] ? x : y) + (size_t)i * es, es);
    return true;
}

static bool exec_ptr_add(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    ir_type p = in_type(fr, o, 0);
    ir_type pointee = ir_type_of(m, ir_type_elem(m, p))->elem;
    uint64_t size = elem_bytes(m, pointee);
    int64_t n = ir_type_count(m, out_type(fr, o, 0));
    dtype dt = elem_dt(m, in_type(fr, o, 1));
    const ua64 *base = in_data(fr, o, 0);
    const char *off = in_data(fr, o, 1);
    ua64 *d = out_data(fr, o, 0);
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t x[CHUNK], k = n - at < CHUNK ? n - at : CHUNK;
        interp_get_ints(x, dt, off + (size_t)at * (size_t)dt_bytes(dt), k);
        for (int64_t i = 0; i < k; i++)
            d[at + i] = base[at + i] + (uint64_t)x[i] * size;
    }
    return true;
}

bool interp_elt(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    ir_code code = ir_op_code(fr->f, o);
    if (code == IR_OP_select)
        return exec_select(fr, o);
    if (code == IR_OP_ptr_add)
        return exec_ptr_add(fr, o);
    dtype dt = elem_dt(m, in_type(fr, o, 0));
    int64_t n = ir_type_count(m, out_type(fr, o, 0));
    const void *a = in_data(fr, o, 0);
    void *d = out_data(fr, o, 0);
    if (code == IR_OP_cast)
        cast(dt, elem_dt(m, out_type(fr, o, 0)), ir_int(fr->f, o, KEY_rtz, 0) != 0, n, d, a);
    else if (code == IR_OP_bitcast || code == IR_OP_ptr_cast)
        memcpy(d, a, (size_t)n * (size_t)dt_bytes(dt));
    else if (code == IR_OP_fma)
        fma_all(dt, n, d, a, in_data(fr, o, 1), in_data(fr, o, 2));
    else if (ir_ops[code].rule == RULE_CMP)
        compare(code, dt, n, d, a, in_data(fr, o, 1));
    else if (ir_ops[code].nin == 2)
        interp_binary(code, dt, ir_int(fr->f, o, KEY_nan, 0) != 0, n, d, a, in_data(fr, o, 1));
    else
        unary(code, dt, n, d, a);
    return true;
}
