/* convert.c: number conversions (op cast), scalar or vector, without library calls.
 *
 * Every conversion to a float narrower than f32 starts from an f32 that rounding to odd made: the value truncated, its
 * last bit set when anything was lost. That f32 has enough digits that rounding it again gives what rounding the source
 * once would (f32 keeps two digits more than f16, bf16 and the 8-bit formats need).
 *
 * 8-bit floats: decoding shifts exponent and mantissa into place and multiplies by a power of two, which makes
 * denormals come out right; encoding rounds the bits of an f32 to nearest even, with the addition of a magic number for
 * denormals.
 */
#include "backends/llvm/cg.h"

#include <math.h>

typedef struct f8_format {
    int mant, bias;
    uint32_t max; /* greatest finite code */
    uint32_t nan; /* code of NaN */
    bool inf, fnuz;
} f8_format;

static f8_format f8_of(dtype d)
{
    switch (d) {
    case DT_F8E4M3:
        return (f8_format){3, 7, 0x7e, 0x7f, false, false};
    case DT_F8E5M2:
        return (f8_format){2, 15, 0x7b, 0x7e, true, false};
    case DT_F8E4M3FNUZ:
        return (f8_format){3, 8, 0x7f, 0x80, false, true};
    default:
        return (f8_format){2, 16, 0x7f, 0x80, false, true};
    }
}

static lval ext_bf16(cg *c, lval x, int lanes)
{
    lty w = cg_vec(c->i32, lanes);
    lval b = LLVMBuildShl(c->b, LLVMBuildZExt(c->b, x, w, ""), cg_int(w, 16), "");
    return cg_bits(c, b, cg_vec(c->f32, lanes));
}

static lval trunc_bf16(cg *c, lval x, int lanes)
{
    lty w = cg_vec(c->i32, lanes);
    lval b = cg_bits(c, x, w);
    lval odd = LLVMBuildAnd(c->b, LLVMBuildLShr(c->b, b, cg_int(w, 16), ""), cg_int(w, 1), "");
    lval r = LLVMBuildAdd(c->b, b, LLVMBuildAdd(c->b, odd, cg_int(w, 0x7fff), ""), "");
    lval quiet = LLVMBuildOr(c->b, b, cg_int(w, 0x400000), "");
    r = cg_sel(c, cg_fcmp(c, LLVMRealUNO, x, x), quiet, r);
    return LLVMBuildTrunc(c->b, LLVMBuildLShr(c->b, r, cg_int(w, 16), ""), cg_vec(c->i16, lanes), "");
}

/* f16 by hand, for x86-64 without F16C: LLVM would call functions that no C library has everywhere. As for 8-bit floats
 * below: exponent and mantissa are shifted into place and scaled; rounding is to nearest even, of denormals by adding a
 * magic number. */
static lval ext_f16(cg *c, lval x, int lanes)
{
    lty w = cg_vec(c->i32, lanes), t = cg_vec(c->f32, lanes);
    lval b = LLVMBuildZExt(c->b, cg_bits(c, x, cg_vec(c->i16, lanes)), w, "");
    lval mag = LLVMBuildAnd(c->b, b, cg_int(w, 0x7fff), "");
    lval v = cg_bits(c, LLVMBuildShl(c->b, mag, cg_int(w, 13), ""), t);
    v = cg_bits(c, LLVMBuildFMul(c->b, v, cg_real(t, 0x1p112), ""), w);
    lval top = LLVMBuildOr(c->b, LLVMBuildShl(c->b, mag, cg_int(w, 13), ""), cg_int(w, 0x7f800000), "");
    lval quiet = cg_icmp(c, LLVMIntUGT, mag, cg_int(w, 0x7c00)); /* NaN */
    top = LLVMBuildOr(c->b, top, cg_sel(c, quiet, cg_int(w, 0x400000), cg_int(w, 0)), "");
    v = cg_sel(c, cg_icmp(c, LLVMIntUGE, mag, cg_int(w, 0x7c00)), top, v);
    lval sign = LLVMBuildShl(c->b, LLVMBuildAnd(c->b, b, cg_int(w, 0x8000), ""), cg_int(w, 16), "");
    return cg_bits(c, LLVMBuildOr(c->b, v, sign, ""), t);
}

static lval trunc_f16(cg *c, lval x, int lanes)
{
    lty w = cg_vec(c->i32, lanes), t = cg_vec(c->f32, lanes);
    lval b = cg_bits(c, x, w), mag = LLVMBuildAnd(c->b, b, cg_int(w, 0x7fffffff), "");
    lval odd = LLVMBuildAnd(c->b, LLVMBuildLShr(c->b, mag, cg_int(w, 13), ""), cg_int(w, 1), "");
    lval r = LLVMBuildAdd(c->b, mag, LLVMBuildAdd(c->b, odd, cg_int(w, 0xfff), ""), "");
    lval normal = LLVMBuildSub(c->b, LLVMBuildLShr(c->b, r, cg_int(w, 13), ""), cg_int(w, 112 << 10), "");
    lval magic = cg_int(w, (int64_t)(127 - 1) << 23); /* 1/2: its last bit is worth 2^-24 */
    lval sum = LLVMBuildFAdd(c->b, cg_bits(c, mag, t), cg_bits(c, magic, t), "");
    lval denormal = LLVMBuildSub(c->b, cg_bits(c, sum, w), magic, "");
    lval code = cg_sel(c, cg_icmp(c, LLVMIntULT, mag, cg_int(w, 113 << 23)), denormal, normal);
    code = cg_call2(c, CGI_umin, code, cg_int(w, 0x7c00));
    lval nan = LLVMBuildAnd(c->b, LLVMBuildLShr(c->b, mag, cg_int(w, 13), ""), cg_int(w, 0x3ff), "");
    nan = LLVMBuildOr(c->b, nan, cg_int(w, 0x7e00), "");
    code = cg_sel(c, cg_icmp(c, LLVMIntUGT, mag, cg_int(w, 0x7f800000)), nan, code);
    lval sign = LLVMBuildAnd(c->b, LLVMBuildLShr(c->b, b, cg_int(w, 16), ""), cg_int(w, 0x8000), "");
    code = LLVMBuildTrunc(c->b, LLVMBuildOr(c->b, code, sign, ""), cg_vec(c->i16, lanes), "");
    return cg_bits(c, code, cg_vec(c->f16, lanes));
}

static bool halves_by_hand(const cg *c)
{
    return cg_x86(c) && !cg_has(c, "+f16c") && !cg_has(c, "+avx512f");
}

static lval ext_f8(cg *c, lval x, dtype d, int lanes)
{
    f8_format f = f8_of(d);
    lty w = cg_vec(c->i32, lanes), t = cg_vec(c->f32, lanes);
    lval b = LLVMBuildZExt(c->b, x, w, "");
    lval mag = LLVMBuildAnd(c->b, b, cg_int(w, 0x7f), "");
    lval v = cg_bits(c, LLVMBuildShl(c->b, mag, cg_int(w, 23 - f.mant), ""), t);
    double scale = 1;
    for (int i = 0; i < 127 - f.bias; i++)
        scale *= 2;
    v = cg_bits(c, LLVMBuildFMul(c->b, v, cg_real(t, scale), ""), w);
    if (f.inf) /* exponent all ones: infinity or NaN keep their mantissa */
        v = cg_sel(c, cg_icmp(c, LLVMIntUGE, mag, cg_int(w, 0x7c)),
                   LLVMBuildOr(c->b, LLVMBuildShl(c->b, mag, cg_int(w, 21), ""), cg_int(w, 0x7f800000), ""), v);
    lval sign = LLVMBuildShl(c->b, LLVMBuildAnd(c->b, b, cg_int(w, 0x80), ""), cg_int(w, 24), "");
    v = LLVMBuildOr(c->b, v, sign, "");
    lval is_nan = f.fnuz ? cg_icmp(c, LLVMIntEQ, b, cg_int(w, 0x80))
                         : cg_icmp(c, LLVMIntUGT, mag, cg_int(w, f.inf ? 0x7c : 0x7e));
    return cg_bits(c, cg_sel(c, is_nan, cg_int(w, 0x7fc00000), v), t);
}

static lval trunc_f8(cg *c, lval x, dtype d, int lanes)
{
    f8_format f = f8_of(d);
    lty w = cg_vec(c->i32, lanes), t = cg_vec(c->f32, lanes);
    lval b = cg_bits(c, x, w), mag = LLVMBuildAnd(c->b, b, cg_int(w, 0x7fffffff), "");
    int drop = 23 - f.mant;
    lval odd = LLVMBuildAnd(c->b, LLVMBuildLShr(c->b, mag, cg_int(w, drop), ""), cg_int(w, 1), "");
    lval r = LLVMBuildAdd(c->b, mag, LLVMBuildAdd(c->b, odd, cg_int(w, (1 << (drop - 1)) - 1), ""), "");
    lval normal =
        LLVMBuildSub(c->b, LLVMBuildLShr(c->b, r, cg_int(w, drop), ""), cg_int(w, (127 - f.bias) << f.mant), "");
    int64_t magic = (int64_t)(127 + 1 - f.bias - f.mant + 23) << 23; /* 2^(1 - bias - mant + 23) */
    lval m = cg_int(w, magic);
    lval sum = LLVMBuildFAdd(c->b, cg_bits(c, mag, t), cg_bits(c, m, t), "");
    lval denormal = LLVMBuildSub(c->b, cg_bits(c, sum, w), m, "");
    lval least = cg_int(w, (int64_t)(127 + 1 - f.bias) << 23);
    lval code = cg_sel(c, cg_icmp(c, LLVMIntULT, mag, least), denormal, normal);
    code = cg_call2(c, CGI_umin, code, cg_int(w, f.max));
    lval sign = LLVMBuildAnd(c->b, LLVMBuildLShr(c->b, b, cg_int(w, 24), ""), cg_int(w, 0x80), "");
    lval is_nan = cg_icmp(c, LLVMIntUGT, mag, cg_int(w, 0x7f800000));
    if (f.fnuz) {
        lval zero = cg_icmp(c, LLVMIntEQ, code, cg_int(w, 0));
        code = cg_sel(c, zero, cg_int(w, 0), LLVMBuildOr(c->b, code, sign, ""));
        code = cg_sel(c, is_nan, cg_int(w, f.nan), code);
    } else {
        code = LLVMBuildOr(c->b, cg_sel(c, is_nan, cg_int(w, f.nan), code), sign, "");
    }
    return LLVMBuildTrunc(c->b, code, cg_vec(c->i8, lanes), "");
}

lval cg_to_f32(cg *c, lval x, dtype from, int lanes)
{
    if (from == DT_BF16)
        return ext_bf16(c, x, lanes);
    if (dt_is_f8(from))
        return ext_f8(c, x, from, lanes);
    if (from == DT_F16 && halves_by_hand(c))
        return ext_f16(c, x, lanes);
    return from == DT_F16 ? LLVMBuildFPExt(c->b, x, cg_vec(c->f32, lanes), "") : x;
}

lval cg_from_f32(cg *c, lval x, dtype to, int lanes)
{
    if (to == DT_BF16)
        return trunc_bf16(c, x, lanes);
    if (dt_is_f8(to))
        return trunc_f8(c, x, to, lanes);
    if (to == DT_F16 && halves_by_hand(c))
        return trunc_f16(c, x, lanes);
    return to == DT_F16 ? LLVMBuildFPTrunc(c->b, x, cg_vec(c->f16, lanes), "") : x;
}

/* `code`, made by rounding to nearest from a value of magnitude `mag`, moved one step toward zero where it is above */
static lval step_down(cg *c, lval code, lval back_mag, lval mag)
{
    lty t = LLVMTypeOf(code);
    lval above = cg_fcmp(c, LLVMRealOGT, back_mag, mag);
    return cg_sel(c, above, LLVMBuildSub(c->b, code, cg_int(t, 1), ""), code);
}

static lval magnitude(cg *c, lval x)
{
    return cg_call1(c, CGI_fabs, x);
}

/* f64 to f32 toward zero; with `odd`, the last bit set where anything was lost */
static lval f64_to_f32(cg *c, lval x, bool odd, int lanes)
{
    lty w = cg_vec(c->i32, lanes), t = cg_vec(c->f32, lanes), d = cg_vec(c->f64, lanes);
    lval near = LLVMBuildFPTrunc(c->b, x, t, "");
    lval back = LLVMBuildFPExt(c->b, near, d, "");
    lval code = step_down(c, cg_bits(c, near, w), magnitude(c, back), magnitude(c, x));
    if (odd) {
        lval lost = LLVMBuildZExt(c->b, cg_fcmp(c, LLVMRealONE, back, x), w, "");
        code = LLVMBuildOr(c->b, code, lost, "");
    }
    return cg_bits(c, code, t);
}

/* f32 to a narrower float, toward zero */
static lval f32_toward_zero(cg *c, lval x, dtype to, int lanes)
{
    lval near = cg_from_f32(c, x, to, lanes);
    lval back = cg_to_f32(c, near, to, lanes);
    lty w = cg_as_int(c, LLVMTypeOf(near));
    lval r = step_down(c, cg_bits(c, near, w), magnitude(c, back), magnitude(c, x));
    if (dt_is_f8(to) && f8_of(to).fnuz) { /* the step from the least negative number is 0, not the code of NaN */
        lval minus_zero =
            LLVMBuildAnd(c->b, cg_icmp(c, LLVMIntEQ, r, cg_int(w, -0x80)), cg_fcmp(c, LLVMRealORD, x, x), "");
        r = cg_sel(c, minus_zero, cg_int(w, 0), r);
    }
    return cg_bits(c, r, LLVMTypeOf(near));
}

/* an integer as an f32 toward zero; with `odd`, rounded to odd */
static lval int_to_f32(cg *c, lval x, dtype from, bool odd, int lanes)
{
    lty t = cg_vec(c->f32, lanes), d = cg_vec(c->f64, lanes), w = LLVMTypeOf(x);
    bool s = dt_is_signed(from);
    if (dt_bits(from) <= 16)
        return s ? LLVMBuildSIToFP(c->b, x, t, "") : LLVMBuildUIToFP(c->b, x, t, "");
    if (dt_bits(from) == 64) { /* gather what f64 can't hold in one sticky bit */
        lval low = cg_icmp(c, LLVMIntNE, LLVMBuildAnd(c->b, x, cg_int(w, 0xfff), ""), cg_int(w, 0));
        lval rest = LLVMBuildAnd(c->b, x, cg_int(w, ~(int64_t)0xfff), "");
        lval sticky = LLVMBuildOr(c->b, rest, cg_sel(c, low, cg_int(w, 0x800), cg_int(w, 0)), "");
        lval lim = cg_int(w, (int64_t)1 << 52);
        lval small =
            cg_icmp(c, LLVMIntULT, s ? LLVMBuildAdd(c->b, x, lim, "") : x, s ? cg_int(w, (int64_t)1 << 53) : lim);
        x = cg_sel(c, small, x, sticky);
    }
    lval f = s ? LLVMBuildSIToFP(c->b, x, d, "") : LLVMBuildUIToFP(c->b, x, d, "");
    return f64_to_f32(c, f, odd, lanes);
}

/* 64 bits to f64 toward zero: the value without the bits that rounding would look at */
static lval int_to_f64_rtz(cg *c, lval x, dtype from, int lanes)
{
    lty w = LLVMTypeOf(x), t = cg_vec(c->f64, lanes);
    bool s = dt_is_signed(from);
    lval near = s ? LLVMBuildSIToFP(c->b, x, t, "") : LLVMBuildUIToFP(c->b, x, t, "");
    /* what was rounded up, seen by coming back: f64 above the integer, or 2^63, 2^64, which saturate */
    lty types[] = {w, t};
    lval back = cg_call(c, s ? CGI_fptosi_sat : CGI_fptoui_sat, types, 2, &near, 1);
    lval neg = s ? cg_icmp(c, LLVMIntSLT, x, cg_int(w, 0)) : NULL;
    lval above = cg_icmp(c, s ? LLVMIntSGT : LLVMIntUGT, back, x), top = cg_real(t, s ? 0x1p63 : 0x1p64);
    above = LLVMBuildOr(c->b, above, cg_fcmp(c, LLVMRealOEQ, near, top), "");
    if (neg)
        above = cg_sel(c, neg, cg_icmp(c, LLVMIntSLT, back, x), above);
    lval bits = cg_bits(c, near, w);
    return cg_bits(c, cg_sel(c, above, LLVMBuildSub(c->b, bits, cg_int(w, 1), ""), bits), t);
}

static lval int_to_float(cg *c, lval x, dtype from, dtype to, bool rtz, int lanes)
{
    lty t = cg_vec(cg_num(c, to), lanes);
    bool s = dt_is_signed(from);
    if (to == DT_F64 && rtz && dt_bits(from) == 64)
        return int_to_f64_rtz(c, x, from, lanes);
    if (to == DT_F64 || (to == DT_F32 && !rtz))
        return s ? LLVMBuildSIToFP(c->b, x, t, "") : LLVMBuildUIToFP(c->b, x, t, "");
    lval f = int_to_f32(c, x, from, to != DT_F32, lanes);
    if (to == DT_F32)
        return f;
    return rtz ? f32_toward_zero(c, f, to, lanes) : cg_from_f32(c, f, to, lanes);
}

/* What saturates spelled out: the code generator takes the intrinsic on x86 lane by lane, with branches. What is not
 * below the limit, NaN among it, converts as 0, what lies below the least as the least. */
static lval saturated_lanes(cg *c, lval x, dtype to, lty t)
{
    bool s = dt_is_signed(to);
    int bits = dt_bits(to);
    lty f = LLVMTypeOf(x);
    lval limit = cg_real(f, ldexp(1, s ? bits - 1 : bits)), least = cg_real(f, s ? -ldexp(1, bits - 1) : 0);
    lval in = cg_sel(c, cg_fcmp(c, LLVMRealOLT, x, limit), x, cg_real(f, 0));
    in = cg_sel(c, cg_fcmp(c, LLVMRealOGT, in, least), in, least);
    lval r = s ? LLVMBuildFPToSI(c->b, in, t, "") : LLVMBuildFPToUI(c->b, in, t, "");
    lval most = cg_int(t, s ? (int64_t)(((uint64_t)1 << (bits - 1)) - 1) : -1);
    return cg_sel(c, cg_fcmp(c, LLVMRealOGE, x, limit), most, r);
}

static lval float_to_int(cg *c, lval x, dtype from, dtype to, int lanes)
{
    if (from != DT_F32 && from != DT_F64) {
        x = cg_to_f32(c, x, from, lanes);
        from = DT_F32;
    }
    lty t[] = {cg_vec(cg_num(c, to), lanes), LLVMTypeOf(x)};
    if (lanes > 1 && cg_x86(c))
        return saturated_lanes(c, x, to, t[0]);
    return cg_call(c, dt_is_signed(to) ? CGI_fptosi_sat : CGI_fptoui_sat, t, 2, &x, 1);
}

static lval float_to_float(cg *c, lval x, dtype from, dtype to, bool rtz, int lanes)
{
    if (from == DT_F64) {
        if (to == DT_F32)
            return rtz ? f64_to_f32(c, x, false, lanes) : LLVMBuildFPTrunc(c->b, x, cg_vec(c->f32, lanes), "");
        x = f64_to_f32(c, x, true, lanes);
    } else {
        x = cg_to_f32(c, x, from, lanes);
    }
    if (to == DT_F64)
        return LLVMBuildFPExt(c->b, x, cg_vec(c->f64, lanes), "");
    return rtz && to != DT_F32 ? f32_toward_zero(c, x, to, lanes) : cg_from_f32(c, x, to, lanes);
}

static lval to_bool(cg *c, lval x, dtype from, int lanes)
{
    if (!dt_is_any_float(from))
        return cg_icmp(c, LLVMIntNE, x, cg_int(LLVMTypeOf(x), 0));
    x = cg_to_f32(c, x, from, lanes);
    return cg_fcmp(c, LLVMRealUNE, x, cg_real(LLVMTypeOf(x), 0));
}

lval cg_cast(cg *c, lval x, dtype from, dtype to, bool rtz, int lanes)
{
    if (from == to)
        return x;
    if (to == DT_BOOL)
        return to_bool(c, x, from, lanes);
    lty t = cg_vec(cg_num(c, to), lanes);
    if (from == DT_BOOL) {
        if (!dt_is_any_float(to))
            return LLVMBuildZExt(c->b, x, t, "");
        return int_to_float(c, LLVMBuildZExt(c->b, x, cg_vec(c->i8, lanes), ""), DT_U8, to, rtz, lanes);
    }
    bool ff = dt_is_any_float(from), tf = dt_is_any_float(to);
    if (ff)
        return tf ? float_to_float(c, x, from, to, rtz, lanes) : float_to_int(c, x, from, to, lanes);
    if (tf)
        return int_to_float(c, x, from, to, rtz, lanes);
    if (dt_bits(to) <= dt_bits(from))
        return dt_bits(to) == dt_bits(from) ? x : LLVMBuildTrunc(c->b, x, t, "");
    return dt_is_signed(from) ? LLVMBuildSExt(c->b, x, t, "") : LLVMBuildZExt(c->b, x, t, "");
}
