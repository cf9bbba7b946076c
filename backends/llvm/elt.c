/* elt.c: elementwise arithmetic of the tile IR as LLVM values, exactly as ops.def words it.
 *
 *   floats     f16 and bf16 are computed in f32 and rounded once (f32 has more than twice their digits, so that the
 * result is the correctly rounded one); fma of them goes through f64 and round-to-odd integers   wrap; by 0 is 0 (as in
 * the interpreter; the language leaves it open) and MIN / -1 a negation: nothing traps shifts     amounts are compared
 * with the width first division   of vectors by values that aren't constant goes through floats wide enough to be
 * exact, where there are any: the chips have no vector integer division
 */
#include "backends/llvm/cg.h"

static bool is_small_float(dtype d)
{
    return d == DT_F16 || d == DT_BF16;
}

static lval min_max(cg *c, const cg_elt_op *e, lval x, lval y)
{
    bool max = e->code == IR_OP_max;
    if (dt_is_int(e->from)) {
        bool s = dt_is_signed(e->from);
        return cg_call2(c, max ? (s ? CGI_smax : CGI_umax) : (s ? CGI_smin : CGI_umin), x, y);
    }
    if (e->nan)
        return cg_call2(c, max ? CGI_maximum : CGI_minimum, x, y);
    return cg_call2(c, max ? CGI_maximumnum : CGI_minimumnum, x, y);
}

/* x / y truncated, through floats of at least twice the digits */
static lval div_by_float(cg *c, lval x, lval y, bool s, int bits, int lanes)
{
    lty t = LLVMTypeOf(x), f = cg_vec(bits <= 8 ? c->f32 : c->f64, lanes);
    lval a = s ? LLVMBuildSIToFP(c->b, x, f, "") : LLVMBuildUIToFP(c->b, x, f, "");
    lval b = s ? LLVMBuildSIToFP(c->b, y, f, "") : LLVMBuildUIToFP(c->b, y, f, "");
    lval q = LLVMBuildFDiv(c->b, a, b, "");
    /* through a wider integer: only MIN / -1 would not fit, and its low bits are the wrapped answer */
    lty w = cg_vec(bits == 32 ? c->i64 : c->i32, lanes);
    return LLVMBuildTrunc(c->b, s ? LLVMBuildFPToSI(c->b, q, w, "") : LLVMBuildFPToUI(c->b, q, w, ""), t, "");
}

static lval int_div(cg *c, const cg_elt_op *e, lval x, lval y)
{
    lty t = LLVMTypeOf(x);
    bool s = dt_is_signed(e->from);
    lval zero = cg_int(t, 0), one = cg_int(t, 1);
    lval bad = cg_icmp(c, LLVMIntEQ, y, zero), d = cg_sel(c, bad, one, y), q;
    x = cg_sel(c, bad, zero, x);
    if (e->lanes > 1 && !LLVMIsConstant(y) && dt_bits(e->from) <= 32)
        return div_by_float(c, x, d, s, dt_bits(e->from), e->lanes);
    if (!s)
        return LLVMBuildUDiv(c->b, x, d, "");
    lval minus = cg_icmp(c, LLVMIntEQ, d, cg_int(t, -1));
    q = LLVMBuildSDiv(c->b, x, cg_sel(c, minus, one, d), "");
    return cg_sel(c, minus, LLVMBuildNeg(c->b, x, ""), q);
}

static lval mul_high(cg *c, const cg_elt_op *e, lval x, lval y)
{
    int bits = dt_bits(e->from);
    lty t = LLVMTypeOf(x), w = cg_vec(LLVMIntTypeInContext(c->cx, (unsigned)bits * 2), e->lanes);
    bool s = dt_is_signed(e->from);
    lval a = s ? LLVMBuildSExt(c->b, x, w, "") : LLVMBuildZExt(c->b, x, w, "");
    lval b = s ? LLVMBuildSExt(c->b, y, w, "") : LLVMBuildZExt(c->b, y, w, "");
    lval p = LLVMBuildMul(c->b, a, b, "");
    lval by = LLVMGetTypeKind(w) == LLVMVectorTypeKind ? cg_int(w, bits) : LLVMConstInt(w, (unsigned)bits, false);
    return LLVMBuildTrunc(c->b, LLVMBuildLShr(c->b, p, by, ""), t, "");
}

static lval shift(cg *c, const cg_elt_op *e, lval x, lval n)
{
    lty t = LLVMTypeOf(x);
    lval width = cg_int(t, dt_bits(e->from)), last = cg_int(t, dt_bits(e->from) - 1);
    if (e->code == IR_OP_shr && dt_is_signed(e->from))
        return LLVMBuildAShr(c->b, x, cg_call2(c, CGI_umin, n, last), "");
    lval in = cg_icmp(c, LLVMIntULT, n, width);
    lval by = cg_sel(c, in, n, cg_int(t, 0));
    lval r = e->code == IR_OP_shl ? LLVMBuildShl(c->b, x, by, "") : LLVMBuildLShr(c->b, x, by, "");
    return cg_sel(c, in, r, cg_int(t, 0));
}

static lval compare(cg *c, const cg_elt_op *e, lval x, lval y)
{
    static const LLVMRealPredicate real[] = {LLVMRealOEQ, LLVMRealUNE, LLVMRealOLT,
                                             LLVMRealOLE, LLVMRealOGT, LLVMRealOGE};
    static const LLVMIntPredicate sint[] = {LLVMIntEQ, LLVMIntNE, LLVMIntSLT, LLVMIntSLE, LLVMIntSGT, LLVMIntSGE};
    static const LLVMIntPredicate uint[] = {LLVMIntEQ, LLVMIntNE, LLVMIntULT, LLVMIntULE, LLVMIntUGT, LLVMIntUGE};
    int i = (int)e->code - (int)IR_OP_eq;
    if (dt_is_float(e->from))
        return cg_fcmp(c, real[i], x, y);
    return cg_icmp(c, dt_is_signed(e->from) ? sint[i] : uint[i], x, y);
}

static lval float_op(cg *c, const cg_elt_op *e, const lval *in)
{
    switch (e->code) {
    case IR_OP_add:
        return LLVMBuildFAdd(c->b, in[0], in[1], "");
    case IR_OP_sub:
        return LLVMBuildFSub(c->b, in[0], in[1], "");
    case IR_OP_mul:
        return LLVMBuildFMul(c->b, in[0], in[1], "");
    case IR_OP_div:
        return LLVMBuildFDiv(c->b, in[0], in[1], "");
    case IR_OP_min:
    case IR_OP_max:
        return min_max(c, e, in[0], in[1]);
    case IR_OP_fma:
        return cg_fma(c, in[0], in[1], in[2]);
    case IR_OP_sqrt:
        return cg_call1(c, CGI_sqrt, in[0]);
    case IR_OP_floor:
        return cg_call1(c, CGI_floor, in[0]);
    case IR_OP_ceil:
        return cg_call1(c, CGI_ceil, in[0]);
    case IR_OP_neg:
        return LLVMBuildFNeg(c->b, in[0], "");
    case IR_OP_abs:
        return cg_call1(c, CGI_fabs, in[0]);
    default:
        return cg_math(c, e->code, in[0]);
    }
}

static lval int_op(cg *c, const cg_elt_op *e, const lval *in)
{
    switch (e->code) {
    case IR_OP_add:
        return LLVMBuildAdd(c->b, in[0], in[1], "");
    case IR_OP_sub:
        return LLVMBuildSub(c->b, in[0], in[1], "");
    case IR_OP_mul:
        return LLVMBuildMul(c->b, in[0], in[1], "");
    case IR_OP_div:
        return int_div(c, e, in[0], in[1]);
    case IR_OP_rem: {
        lval q = int_div(c, e, in[0], in[1]);
        lval r = LLVMBuildSub(c->b, in[0], LLVMBuildMul(c->b, q, in[1], ""), "");
        lval zero = cg_int(LLVMTypeOf(r), 0);
        return cg_sel(c, cg_icmp(c, LLVMIntEQ, in[1], zero), zero, r);
    }
    case IR_OP_min:
    case IR_OP_max:
        return min_max(c, e, in[0], in[1]);
    case IR_OP_neg:
        return LLVMBuildNeg(c->b, in[0], "");
    case IR_OP_abs: {
        lval n = LLVMBuildNeg(c->b, in[0], "");
        return dt_is_signed(e->from) ? cg_call2(c, CGI_smax, in[0], n) : in[0];
    }
    case IR_OP_mulhi:
        return mul_high(c, e, in[0], in[1]);
    case IR_OP_and:
        return LLVMBuildAnd(c->b, in[0], in[1], "");
    case IR_OP_or:
        return LLVMBuildOr(c->b, in[0], in[1], "");
    case IR_OP_xor:
        return LLVMBuildXor(c->b, in[0], in[1], "");
    case IR_OP_not:
        return LLVMBuildNot(c->b, in[0], "");
    case IR_OP_shl:
    case IR_OP_shr:
        return shift(c, e, in[0], in[1]);
    default:
        bug("op '%s' on integers", ir_ops[e->code].name);
    }
}

/* x * y + z in f64, where the product is exact, rounded to odd: rounding that again to a narrow float rounds once */
static lval fma_to_odd(cg *c, const lval *w)
{
    lty t = LLVMTypeOf(w[0]), bits = cg_as_int(c, t);
    lval p = LLVMBuildFMul(c->b, w[0], w[1], ""), s = LLVMBuildFAdd(c->b, p, w[2], "");
    lval part = LLVMBuildFSub(c->b, s, p, ""); /* the error of the sum, exactly (Knuth) */
    lval ep = LLVMBuildFSub(c->b, p, LLVMBuildFSub(c->b, s, part, ""), "");
    lval e = LLVMBuildFAdd(c->b, ep, LLVMBuildFSub(c->b, w[2], part, ""), "");
    lval sb = cg_bits(c, s, bits), eb = cg_bits(c, e, bits), one = cg_int(bits, 1);
    lval apart = cg_icmp(c, LLVMIntSLT, LLVMBuildXor(c->b, sb, eb, ""), cg_int(bits, 0));
    lval even = cg_icmp(c, LLVMIntEQ, LLVMBuildAnd(c->b, sb, one, ""), cg_int(bits, 0));
    lval move = LLVMBuildAnd(c->b, even, cg_fcmp(c, LLVMRealONE, e, cg_real(t, 0)), "");
    lval to = LLVMBuildAdd(c->b, sb, cg_sel(c, apart, cg_int(bits, -1), one), "");
    return cg_bits(c, cg_sel(c, move, to, sb), t);
}

static lval small_float_op(cg *c, const cg_elt_op *e, const lval *in)
{
    uint32_t n = (uint32_t)ir_ops[e->code].nin;
    if (e->code == IR_OP_neg || e->code == IR_OP_abs) { /* on the sign bit alone: NaN keeps its payload */
        lty t = cg_vec(c->i16, e->lanes);
        lval x = cg_bits(c, in[0], t);
        x = e->code == IR_OP_neg ? LLVMBuildXor(c->b, x, cg_int(t, -0x8000), "")
                                 : LLVMBuildAnd(c->b, x, cg_int(t, 0x7fff), "");
        return cg_bits(c, x, LLVMTypeOf(in[0]));
    }
    lval w[3];
    dtype wide = e->code == IR_OP_fma ? DT_F64 : DT_F32;
    for (uint32_t i = 0; i < n; i++)
        w[i] = cg_cast(c, in[i], e->from, wide, false, e->lanes);
    cg_elt_op f = *e;
    f.from = f.to = wide;
    if (e->code >= IR_OP_eq && e->code <= IR_OP_ge)
        return compare(c, &f, w[0], w[1]);
    lval r = e->code == IR_OP_fma ? fma_to_odd(c, w) : float_op(c, &f, w);
    return cg_cast(c, r, wide, e->to, false, e->lanes);
}

static lval bit_cast(cg *c, const cg_elt_op *e, lval x)
{
    lty to = cg_vec(cg_num(c, e->to), e->lanes);
    if (e->from == e->to)
        return x;
    if (e->from == DT_BOOL)
        return cg_bits(c, LLVMBuildZExt(c->b, x, cg_vec(c->i8, e->lanes), ""), to);
    if (e->to == DT_BOOL)
        return cg_icmp(c, LLVMIntNE, x, cg_int(LLVMTypeOf(x), 0));
    return cg_bits(c, x, to);
}

/* addresses are integers of 64 bits in either direction */
static lval pointer_cast(cg *c, const cg_elt_op *e, lval x)
{
    if (e->from == DT_NONE && e->to != DT_NONE)
        return LLVMBuildPtrToInt(c->b, x, cg_vec(c->i64, e->lanes), "");
    if (e->from != DT_NONE && e->to == DT_NONE)
        return LLVMBuildIntToPtr(c->b, x, cg_vec(c->ptr, e->lanes), "");
    return x;
}

lval cg_elt(cg *c, const cg_elt_op *e, const lval *in)
{
    switch (e->code) {
    case IR_OP_select:
        return cg_sel(c, in[0], in[1], in[2]);
    case IR_OP_cast:
        return cg_cast(c, in[0], e->from, e->to, e->rtz, e->lanes);
    case IR_OP_bitcast:
        return bit_cast(c, e, in[0]);
    case IR_OP_ptr_cast:
        return pointer_cast(c, e, in[0]);
    case IR_OP_hint:
        return in[0];
    default:
        break;
    }
    if (is_small_float(e->from))
        return small_float_op(c, e, in);
    if (e->code >= IR_OP_eq && e->code <= IR_OP_ge)
        return compare(c, e, in[0], in[1]);
    if (dt_is_float(e->from))
        return float_op(c, e, in);
    return int_op(c, e, in);
}
