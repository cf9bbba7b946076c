/* const.c: see const.h.
 *
 * 128-bit integers use the compiler's overflow builtins. Comparison of an integer with a float goes through double,
 * which is what a run-time comparison of the two would do as well. Text of integers is made by repeated division, as
 * printf knows no 128-bit integers.
 */
#include "frontend/const.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const fe_op_text[FE_OP_COUNT] = {
    [FE_ADD] = "+", [FE_SUB] = "-", [FE_MUL] = "*", [FE_DIV] = "/", [FE_FLOORDIV] = "//", [FE_MOD] = "%",
    [FE_SHL] = "<<", [FE_SHR] = ">>", [FE_AND] = "&", [FE_OR] = "|", [FE_XOR] = "^",
    [FE_EQ] = "==", [FE_NE] = "!=", [FE_LT] = "<", [FE_LE] = "<=", [FE_GT] = ">", [FE_GE] = ">=",
};

const_num const_of_int(i128 x) { return (const_num){.kind = CONST_INT, .i = x}; }
const_num const_of_float(double x) { return (const_num){.kind = CONST_FLOAT, .f = x}; }
const_num const_of_bool(bool x) { return (const_num){.kind = CONST_BOOL, .i = x}; }

double const_as_double(const_num x) { return x.kind == CONST_FLOAT ? x.f : (double)x.i; }

bool const_truth(const_num x) { return x.kind == CONST_FLOAT ? x.f != 0 : x.i != 0; }

static const_err int_shift(fe_op op, i128 x, i128 y, i128 *r)
{
    if (y < 0)
        return CONST_BAD_SHIFT;
    if (op == FE_SHR) {
        *r = y > 126 ? (x < 0 ? -1 : 0) : x >> (int)y;
        return CONST_OK;
    }
    if (x == 0) {
        *r = 0;
        return CONST_OK;
    }
    if (y > 126)
        return CONST_OVERFLOW;
    *r = x;
    for (int i = 0; i < (int)y; i++)
        if (__builtin_add_overflow(*r, *r, r))
            return CONST_OVERFLOW;
    return CONST_OK;
}

static const_err int_divide(fe_op op, i128 x, i128 y, i128 *r)
{
    if (y == 0)
        return CONST_ZERO_DIV;
    if (y == -1) {
        if (op == FE_MOD) {
            *r = 0;
            return CONST_OK;
        }
        return __builtin_sub_overflow((i128)0, x, r) ? CONST_OVERFLOW : CONST_OK;
    }
    *r = op == FE_MOD ? x % y : x / y;
    return CONST_OK;
}

static const_err int_arith(fe_op op, i128 x, i128 y, i128 *r)
{
    bool over = false;
    switch (op) {
    case FE_ADD: over = __builtin_add_overflow(x, y, r); break;
    case FE_SUB: over = __builtin_sub_overflow(x, y, r); break;
    case FE_MUL: over = __builtin_mul_overflow(x, y, r); break;
    case FE_FLOORDIV:
    case FE_MOD: return int_divide(op, x, y, r);
    case FE_SHL:
    case FE_SHR: return int_shift(op, x, y, r);
    case FE_AND: *r = x & y; break;
    case FE_OR: *r = x | y; break;
    case FE_XOR: *r = x ^ y; break;
    case FE_DIV: case FE_EQ: case FE_NE: case FE_LT: case FE_LE: case FE_GT: case FE_GE: case FE_OP_COUNT:
        return CONST_BAD_TYPE;
    }
    return over ? CONST_OVERFLOW : CONST_OK;
}

static const_err float_arith(fe_op op, double x, double y, double *r)
{
    switch (op) {
    case FE_ADD: *r = x + y; return CONST_OK;
    case FE_SUB: *r = x - y; return CONST_OK;
    case FE_MUL: *r = x * y; return CONST_OK;
    case FE_DIV:
        if (y == 0)
            return CONST_ZERO_DIV;
        *r = x / y;
        return CONST_OK;
    case FE_FLOORDIV: case FE_MOD: case FE_SHL: case FE_SHR: case FE_AND: case FE_OR: case FE_XOR:
    case FE_EQ: case FE_NE: case FE_LT: case FE_LE: case FE_GT: case FE_GE: case FE_OP_COUNT: break;
    }
    return CONST_BAD_TYPE;
}

#define COMPARE(op, x, y)                                                                                              \
    ((op) == FE_EQ ? (x) == (y) : (op) == FE_NE ? (x) != (y) : (op) == FE_LT ? (x) < (y) : (op) == FE_LE ? (x) <= (y)  \
     : (op) == FE_GT ? (x) > (y) : (x) >= (y))

static const_num compare(fe_op op, const_num x, const_num y)
{
    if (x.kind == CONST_FLOAT || y.kind == CONST_FLOAT) {
        double p = const_as_double(x), q = const_as_double(y);
        return const_of_bool(COMPARE(op, p, q));
    }
    return const_of_bool(COMPARE(op, x.i, y.i));
}
#undef COMPARE

const_err const_binary(fe_op op, const_num x, const_num y, const_num *out)
{
    if (fe_op_is_cmp(op)) {
        *out = compare(op, x, y);
        return CONST_OK;
    }
    if (x.kind == CONST_BOOL && y.kind == CONST_BOOL) {
        if (op != FE_AND && op != FE_OR && op != FE_XOR)
            return CONST_BAD_TYPE;
        *out = const_of_bool(op == FE_AND ? x.i & y.i : op == FE_OR ? x.i | y.i : x.i ^ y.i);
        return CONST_OK;
    }
    if ((x.kind == CONST_BOOL || y.kind == CONST_BOOL) &&
        (op <= FE_SHR || x.kind == CONST_FLOAT || y.kind == CONST_FLOAT))
        return CONST_BAD_TYPE;
    if (x.kind == CONST_FLOAT || y.kind == CONST_FLOAT || op == FE_DIV) {
        out->kind = CONST_FLOAT;
        return float_arith(op, const_as_double(x), const_as_double(y), &out->f);
    }
    out->kind = CONST_INT;
    return int_arith(op, x.i, y.i, &out->i);
}

const_err const_unary(fe_unop op, const_num x, const_num *out)
{
    *out = x;
    switch (op) {
    case FE_NOT: *out = const_of_bool(!const_truth(x)); return CONST_OK;
    case FE_POS: return x.kind == CONST_BOOL ? CONST_BAD_TYPE : CONST_OK;
    case FE_NEG:
        if (x.kind == CONST_BOOL)
            return CONST_BAD_TYPE;
        out->f = -x.f;
        return x.kind == CONST_INT && __builtin_sub_overflow((i128)0, x.i, &out->i) ? CONST_OVERFLOW : CONST_OK;
    case FE_INVERT:
        if (x.kind == CONST_FLOAT)
            return CONST_BAD_TYPE;
        out->i = x.kind == CONST_BOOL ? !x.i : ~x.i;
        return CONST_OK;
    }
    return CONST_BAD_TYPE;
}

static bool int_fits(i128 x, dtype d, uint64_t *bits)
{
    int w = dt_bits(d);
    i128 lo = dt_is_signed(d) ? -((i128)1 << (w - 1)) : 0;
    i128 hi = ((i128)1 << (dt_is_signed(d) ? w - 1 : w)) - 1;
    if (x < lo || x > hi)
        return false;
    *bits = dt_wrap(d, (uint64_t)x);
    return true;
}

bool const_fits(const_num x, dtype d, uint64_t *bits)
{
    if (d == DT_BOOL) {
        *bits = const_truth(x);
        return x.kind == CONST_BOOL || (x.kind == CONST_INT && (x.i == 0 || x.i == 1));
    }
    if (dt_is_int(d))
        return x.kind != CONST_FLOAT && int_fits(x.i, d, bits);
    double f = const_as_double(x);
    *bits = dt_from_double(d, f, false);
    if (!isfinite(f))
        return true;
    double back = dt_float(d, *bits);
    if (!isfinite(back))
        return false;
    /* the 8-bit formats saturate: what moved by more than a rounding step was out of range */
    return !dt_is_f8(d) || fabs(back - f) <= fabs(back) * 0.0626 + 1e-2;
}

bool const_int_fits_i64(i128 x, int64_t *out)
{
    *out = (int64_t)x;
    return x >= INT64_MIN && x <= INT64_MAX;
}

str const_int_text(arena *a, i128 x)
{
    char buf[48];
    size_t n = sizeof buf;
    u128 u = x < 0 ? (u128)0 - (u128)x : (u128)x;
    do {
        buf[--n] = (char)('0' + (int)(u % 10));
        u /= 10;
    } while (u);
    if (x < 0)
        buf[--n] = '-';
    return str_dup(a, (str){buf + n, sizeof buf - n});
}

str const_text(arena *a, const_num x)
{
    if (x.kind == CONST_BOOL)
        return x.i ? S("True") : S("False");
    if (x.kind == CONST_INT)
        return const_int_text(a, x.i);
    char buf[40];
    for (int prec = 6; prec <= 17; prec++) {
        snprintf(buf, sizeof buf, "%.*g", prec, x.f);
        double back = 0;
        if (sscanf(buf, "%lf", &back) == 1 && back == x.f)
            break;
    }
    if (isfinite(x.f) && !strpbrk(buf, ".e"))
        strcat(buf, ".0");
    return str_dup(a, str_of(buf));
}
