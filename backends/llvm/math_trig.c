/* math_trig.c: sin and cos on f32, any number of lanes, any argument.
 *
 *   x = n pi/2 + r, |r| <= pi/4;  n's low two bits choose sin r, cos r, -sin r, -cos r
 *
 * Below 2^14 in magnitude r comes from pi/2 in three f32 parts by fma: the first step is exact, as n times the first
 * part and x are both multiples of 2^-23. Beyond (a branch taken only when some lane needs it) the 24-bit mantissa is
 * multiplied by 96 bits of 2/pi that start where the product's bits stop being multiples of 4 (Payne and Hanek's
 * method): the top two bits of the product are n, the next 62 the fraction.
 *
 *   2/pi   0 . a2f9836e 4e441529 fc2757d1 f534ddc0 db629599 3c439041 fe5163ab ...
 *                   |<- 96 bits from bit exponent - 2 ->|
 */
#include "backends/llvm/cg.h"

#define FEW 16384.0 /* below it, three parts of pi/2 are enough */

typedef struct reduced {
    lval n; /* i32 */
    lval r;
} reduced;

static reduced reduce_few(cg *c, lval x)
{
    lty t = LLVMTypeOf(x);
    lval ok = cg_fcmp(c, LLVMRealOLT, cg_call1(c, CGI_fabs, x), cg_real(t, FEW));
    x = cg_sel(c, ok, x, cg_real(t, 0));
    lval n = cg_call1(c, CGI_roundeven, LLVMBuildFMul(c->b, x, cg_real(t, 0.63661977236758134308), ""));
    lval r = cg_fma(c, n, cg_real(t, -1.5707963705062866211), x);
    r = cg_fma(c, n, cg_real(t, 4.3711388286737928865e-8), r);
    r = cg_fma(c, n, cg_real(t, 1.7151245100058818728e-15), r);
    return (reduced){LLVMBuildFPToSI(c->b, n, cg_as_int(c, t), ""), r};
}

static lval table(cg *c)
{
    static const uint32_t bits[] = {0,          0xa2f9836e, 0x4e441529, 0xfc2757d1,
                                    0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab};
    lval g = LLVMGetNamedGlobal(c->mod, "two_over_pi");
    if (g)
        return g;
    lval w[COUNTOF(bits)];
    for (size_t i = 0; i < COUNTOF(bits); i++)
        w[i] = LLVMConstInt(c->i32, bits[i], false);
    g = LLVMAddGlobal(c->mod, LLVMArrayType2(c->i32, COUNTOF(bits)), "two_over_pi");
    LLVMSetInitializer(g, LLVMConstArray2(c->i32, w, COUNTOF(bits)));
    LLVMSetGlobalConstant(g, true);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    return g;
}

/* word i of the table, zero-extended to 64 bits */
static lval word(cg *c, lval i, int lanes)
{
    lty w = cg_vec(c->i32, lanes);
    lval r = LLVMGetPoison(w);
    for (int k = 0; k < lanes; k++) {
        lval at = LLVMBuildZExt(c->b, cg_extract(c, i, k), c->i64, "");
        r = cg_insert(c, r, cg_load(c, c->i32, cg_gep(c, c->i32, table(c), at), 4), k);
    }
    return LLVMBuildZExt(c->b, r, cg_vec(c->i64, lanes), "");
}

static lval shifted(cg *c, lval hi, lval lo, lval by)
{
    lty w = LLVMTypeOf(hi);
    lval both = LLVMBuildOr(c->b, LLVMBuildShl(c->b, hi, cg_int(w, 32), ""), lo, "");
    return LLVMBuildLShr(c->b, LLVMBuildShl(c->b, both, by, ""), cg_int(w, 32), "");
}

static reduced reduce_many(cg *c, lval x)
{
    int lanes = cg_lanes(x);
    lty t = LLVMTypeOf(x), w = cg_vec(c->i32, lanes), q = cg_vec(c->i64, lanes), d = cg_vec(c->f64, lanes);
    lval b = LLVMBuildAnd(c->b, cg_bits(c, x, w), cg_int(w, 0x7fffffff), "");
    lval m = LLVMBuildOr(c->b, LLVMBuildAnd(c->b, b, cg_int(w, 0x7fffff), ""), cg_int(w, 0x800000), "");
    lval skip = LLVMBuildSub(c->b, LLVMBuildLShr(c->b, b, cg_int(w, 23), ""), cg_int(w, 120), ""); /* e - 150 + 30 */
    skip = cg_call2(c, CGI_smax, skip, cg_int(w, 0));
    lval i = cg_call2(c, CGI_umin, LLVMBuildLShr(c->b, skip, cg_int(w, 5), ""), cg_int(w, 4));
    lval by = LLVMBuildZExt(c->b, LLVMBuildAnd(c->b, skip, cg_int(w, 31), ""), q, "");
    lval p[4];
    for (int k = 0; k < 4; k++)
        p[k] = word(c, LLVMBuildAdd(c->b, i, cg_int(w, k), ""), lanes);
    lval mant = LLVMBuildZExt(c->b, m, q, "");
    lval hi = LLVMBuildMul(c->b, mant, shifted(c, p[0], p[1], by), "");
    lval mid = LLVMBuildMul(c->b, mant, shifted(c, p[1], p[2], by), "");
    lval lo = LLVMBuildMul(c->b, mant, shifted(c, p[2], p[3], by), "");
    lval top = LLVMBuildAdd(c->b, LLVMBuildShl(c->b, hi, cg_int(q, 32), ""), mid, "");
    top = LLVMBuildAdd(c->b, top, LLVMBuildLShr(c->b, lo, cg_int(q, 32), ""), "");
    lval n = LLVMBuildLShr(c->b, LLVMBuildAdd(c->b, top, cg_int(q, (int64_t)1 << 61), ""), cg_int(q, 62), "");
    lval frac = LLVMBuildSub(c->b, top, LLVMBuildShl(c->b, n, cg_int(q, 62), ""), "");
    lval f = LLVMBuildSIToFP(c->b, frac, d, "");
    lval r = LLVMBuildFPTrunc(c->b, LLVMBuildFMul(c->b, f, cg_real(d, 1.5707963267948966 * 0x1p-62), ""), t, "");
    lval neg = cg_icmp(c, LLVMIntSLT, cg_bits(c, x, w), cg_int(w, 0));
    lval n32 = LLVMBuildTrunc(c->b, n, w, "");
    return (reduced){cg_sel(c, neg, LLVMBuildNeg(c->b, n32, ""), n32), cg_sel(c, neg, LLVMBuildFNeg(c->b, r, ""), r)};
}

static lval any_lane(cg *c, lval m)
{
    return cg_lanes(m) == 1 ? m : cg_call1(c, CGI_reduce_or, m);
}

static reduced reduce_any(cg *c, lval x)
{
    lty t = LLVMTypeOf(x);
    reduced few = reduce_few(c, x);
    lval big = cg_fcmp(c, LLVMRealOGE, cg_call1(c, CGI_fabs, x), cg_real(t, FEW));
    lval any = any_lane(c, big);
    lblock from = cg_here(c), slow = cg_block(c, "trig.far"), join = cg_block(c, "trig.join");
    LLVMBuildCondBr(c->b, any, slow, join);
    cg_at(c, slow);
    reduced many = reduce_many(c, x);
    many.n = cg_sel(c, big, many.n, few.n);
    many.r = cg_sel(c, big, many.r, few.r);
    slow = cg_here(c);
    LLVMBuildBr(c->b, join);
    cg_at(c, join);
    reduced r = {LLVMBuildPhi(c->b, LLVMTypeOf(few.n), ""), LLVMBuildPhi(c->b, t, "")};
    LLVMAddIncoming(r.n, (lval[]){few.n, many.n}, (lblock[]){from, slow}, 2);
    LLVMAddIncoming(r.r, (lval[]){few.r, many.r}, (lblock[]){from, slow}, 2);
    return r;
}

lval cg_sincos(cg *c, lval x, bool cosine)
{
    static const double S[] = {2.7178958290735354e-06, -0.00019839288623365553, 0.0083333292314693493,
                               -0.16666666640165495}; /* 2^-37.5 */
    static const double C[] = {-2.7203623463536687e-07, 2.4799434197345448e-05, -0.0013888883400834709,
                               0.041666666618325646}; /* 2^-42.9 */
    lty t = LLVMTypeOf(x), w = cg_as_int(c, t);
    reduced q = reduce_any(c, x);
    lval z = LLVMBuildFMul(c->b, q.r, q.r, "");
    lval s = cg_fma(c, LLVMBuildFMul(c->b, q.r, z, ""), cg_math_poly(c, z, S, COUNTOF(S)), q.r);
    lval k = cg_fma(c, cg_math_poly(c, z, C, COUNTOF(C)), z, cg_real(t, -0.5));
    k = cg_fma(c, k, z, cg_real(t, 1));
    lval n = cosine ? LLVMBuildAdd(c->b, q.n, cg_int(w, 1), "") : q.n;
    lval odd = cg_icmp(c, LLVMIntNE, LLVMBuildAnd(c->b, n, cg_int(w, 1), ""), cg_int(w, 0));
    lval minus = LLVMBuildShl(c->b, LLVMBuildAnd(c->b, n, cg_int(w, 2), ""), cg_int(w, 30), "");
    lval y = cg_bits(c, LLVMBuildXor(c->b, cg_bits(c, cg_sel(c, odd, k, s), w), minus, ""), t);
    lval finite = cg_fcmp(c, LLVMRealOLT, cg_call1(c, CGI_fabs, x), cg_real(t, (double)__builtin_inff()));
    y = cg_sel(c, finite, y, cg_real(t, __builtin_nan("")));
    /* -0 stays -0: the sine of what is too small to reduce is itself */
    return cosine ? y : cg_sel(c, cg_fcmp(c, LLVMRealOEQ, x, cg_real(t, 0)), x, y);
}
