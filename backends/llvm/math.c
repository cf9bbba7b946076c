/* math.c: exp, exp2, log, log2, tanh, erf, rsqrt on f32 as polynomials in LLVM IR, for any number of lanes.
 *
 * Coefficients are our own fits: minimax to within a few per cent, in the relative error of the result, found by
 * iterated weighted least squares in double precision; the comment beside each gives that error. Every function covers
 * all of f32: NaN, infinities, denormal arguments and denormal results. Errors measured over all 2^32 arguments:
 * docs/math.md, by tests/unit/test_cpu_math.c.
 *
 *   exp    x = n ln2 + r, |r| <= ln2 / 2;  e^r = 1 + r + r^2 P(r);  scaled by 2^n in two steps, so that a denormal
 * result is rounded once (one vscalefps where there is AVX-512) log    x = m 2^e, m in [sqrt(1/2), sqrt 2), f = m - 1;
 * log m = f - f^2 / 2 + f^3 P(f) tanh   |x| < 0.6: x + x^3 P(x^2);  else 1 - 2 / (e^2|x| + 1) erf    |x| < 1: x + x
 * P(x^2);  else 1 - 2^Q(|x|)
 *
 * f64 goes to the C library, a lane at a time.
 */
#include "backends/llvm/cg.h"

lval cg_math_poly(cg *c, lval x, const double *coef, int n)
{
    lty t = LLVMTypeOf(x);
    lval p = cg_real(t, coef[0]);
    for (int i = 1; i < n; i++)
        p = cg_fma(c, p, x, cg_real(t, coef[i]));
    return p;
}

static lval mul(cg *c, lval x, lval y)
{
    return LLVMBuildFMul(c->b, x, y, "");
}

/* NaN stays: the comparison is false with it */
static lval clamp(cg *c, lval x, double lo, double hi)
{
    lty t = LLVMTypeOf(x);
    lval l = cg_real(t, lo), h = cg_real(t, hi);
    x = cg_sel(c, cg_fcmp(c, LLVMRealOLT, x, l), l, x);
    return cg_sel(c, cg_fcmp(c, LLVMRealOGT, x, h), h, x);
}

/* 2^n for an integer tile n within the normal exponents */
static lval two_to(cg *c, lval n)
{
    lty w = LLVMTypeOf(n);
    lval b = LLVMBuildShl(c->b, LLVMBuildAdd(c->b, n, cg_int(w, 127), ""), cg_int(w, 23), "");
    return LLVMBuildBitCast(c->b, b, cg_vec(c->f32, cg_lanes(n)), "");
}

/* p * 2^n, p in [1/2, 2], n an f32 with an integer value in -151 .. 129 */
static lval scale(cg *c, lval p, lval n)
{
    lty t = LLVMTypeOf(p), w = cg_as_int(c, t);
    if (c->scalef && cg_lanes(p) == 16)
        return cg_call(c, CGI_scalef_512, NULL, 0, (lval[]){p, n, p, LLVMConstInt(c->i16, 0xffff, false), cg_i32(c, 4)},
                       5);
    lval finite = cg_sel(c, cg_fcmp(c, LLVMRealUNO, n, n), cg_real(t, 0), n);
    lval i = LLVMBuildFPToSI(c->b, finite, w, "");
    lval half = LLVMBuildAShr(c->b, i, cg_int(w, 1), "");
    return mul(c, mul(c, p, two_to(c, half)), two_to(c, LLVMBuildSub(c->b, i, half, "")));
}

/* May the argument of an exponential go in as it is? Where the last step takes any n, infinities and NaN included, only
 * the polynomial's argument must be held, and one instruction does that: it gives NaN up, but n has it too. */
static bool scales_any(const cg *c, lval x)
{
    return c->scalef && cg_lanes(x) == 16;
}

/* r within -1/2 .. 1/2, by magnitude */
static lval hold(cg *c, lval r)
{
    lval half = cg_real(LLVMTypeOf(r), 0.5), mask = LLVMConstInt(c->i16, 0xffff, false);
    return cg_call(c, CGI_range_512, NULL, 0, (lval[]){r, half, cg_i32(c, 2), r, mask, cg_i32(c, 4)}, 6);
}

/* e^x - for x within -104 .. 89, or NaN; any x where scales_any */
static lval exp_core(cg *c, lval x)
{
    static const double P[] = {0.0013814318366321451, 0.008368851278895223, 0.041668401130077193, 0.16666519521798998,
                               0.49999993372854412}; /* 2^-28.3 */
    lty t = LLVMTypeOf(x);
    lval n = cg_call1(c, CGI_roundeven, mul(c, x, cg_real(t, 1.44269504088896341)));
    lval r = cg_fma(c, n, cg_real(t, -0.693145751953125), x);
    r = cg_fma(c, n, cg_real(t, -1.428606765330187045e-6), r);
    if (scales_any(c, x))
        r = hold(c, r);
    lval p = cg_fma(c, cg_math_poly(c, r, P, COUNTOF(P)), r, cg_real(t, 1));
    return scale(c, cg_fma(c, p, r, cg_real(t, 1)), n);
}

static lval math_exp(cg *c, lval x)
{
    return exp_core(c, scales_any(c, x) ? x : clamp(c, x, -104, 89));
}

/* 2^x where no clamp is needed; any x where scales_any, unless it is known to be within the exponents */
static lval exp2_core(cg *c, lval x, bool within)
{
    static const double Q[] = {0.00015353152613302654, 0.0013399133023123992, 0.0096184398566205014,
                               0.05550331852580126,    0.24022647879933051,   0.69314720311633815}; /* 2^-28.9 */
    lval n = cg_call1(c, CGI_roundeven, x);
    lval r = LLVMBuildFSub(c->b, x, n, "");
    if (scales_any(c, x) && !within)
        r = hold(c, r);
    lval p = cg_fma(c, cg_math_poly(c, r, Q, COUNTOF(Q)), r, cg_real(LLVMTypeOf(x), 1));
    return scale(c, p, n);
}

static lval math_exp2(cg *c, lval x)
{
    return exp2_core(c, scales_any(c, x) ? x : clamp(c, x, -151, 129), false);
}

typedef struct log_parts {
    lval e, f, tail; /* exponent, m - 1, f^3 P(f) */
} log_parts;

static log_parts log_split(cg *c, lval x)
{
    static const double P[] = {0.067466013339032169, -0.11675641306638422, 0.11888174597368856,
                               -0.12405591416461881, 0.14219550908259726,  -0.16667995667137073,
                               0.20002118732204047,  -0.25000009603653456, 0.33333312602802784}; /* 2^-30.3 */
    lty t = LLVMTypeOf(x), w = cg_as_int(c, t);
    lval tiny = cg_fcmp(c, LLVMRealOLT, x, cg_real(t, 0x1p-126));
    x = cg_sel(c, tiny, mul(c, x, cg_real(t, 0x1p23)), x);
    lval root = cg_int(w, 0x3f3504f3); /* sqrt(1/2) */
    lval b = LLVMBuildSub(c->b, cg_bits(c, x, w), root, "");
    lval e = LLVMBuildAShr(c->b, b, cg_int(w, 23), "");
    e = LLVMBuildSub(c->b, e, cg_sel(c, tiny, cg_int(w, 23), cg_int(w, 0)), "");
    lval m = LLVMBuildAdd(c->b, LLVMBuildAnd(c->b, b, cg_int(w, 0x7fffff), ""), root, "");
    log_parts r = {.e = LLVMBuildSIToFP(c->b, e, t, "")};
    r.f = LLVMBuildFSub(c->b, cg_bits(c, m, t), cg_real(t, 1), "");
    lval f3 = mul(c, mul(c, r.f, r.f), r.f);
    r.tail = mul(c, f3, cg_math_poly(c, r.f, P, COUNTOF(P)));
    return r;
}

/* the results at 0, below 0, infinity and NaN */
static lval log_edges(cg *c, lval x, lval y)
{
    lty t = LLVMTypeOf(x);
    lval inf = cg_real(t, (double)__builtin_inff());
    y = cg_sel(c, cg_fcmp(c, LLVMRealOEQ, x, inf), inf, y);
    y = cg_sel(c, cg_fcmp(c, LLVMRealOEQ, x, cg_real(t, 0)), cg_real(t, -(double)__builtin_inff()), y);
    return cg_sel(c, cg_fcmp(c, LLVMRealOGE, x, cg_real(t, 0)), y, cg_real(t, __builtin_nan("")));
}

static lval math_log(cg *c, lval x)
{
    lty t = LLVMTypeOf(x);
    log_parts p = log_split(c, x);
    lval y = cg_fma(c, p.e, cg_real(t, -2.12194440e-4), p.tail);
    y = cg_fma(c, mul(c, p.f, p.f), cg_real(t, -0.5), y);
    y = LLVMBuildFAdd(c->b, p.f, y, "");
    y = cg_fma(c, p.e, cg_real(t, 0.693359375), y);
    return log_edges(c, x, y);
}

static lval math_log2(cg *c, lval x)
{
    lty t = LLVMTypeOf(x);
    log_parts p = log_split(c, x);
    lval more = cg_real(t, 0.44269504088896340736); /* log2(e) - 1 */
    lval y = cg_fma(c, mul(c, p.f, p.f), cg_real(t, -0.5), p.tail);
    lval z = mul(c, y, more);
    z = cg_fma(c, p.f, more, z);
    z = LLVMBuildFAdd(c->b, z, y, "");
    z = LLVMBuildFAdd(c->b, z, p.f, "");
    z = LLVMBuildFAdd(c->b, z, p.e, "");
    return log_edges(c, x, z);
}

static lval math_tanh(cg *c, lval x)
{
    static const double P[] = {-0.0058951503007305455, 0.020795964601758511, -0.053783828037665772, 0.13331924098036946,
                               -0.33333298000921113}; /* 2^-28.4 */
    lty t = LLVMTypeOf(x);
    lval a = cg_call1(c, CGI_fabs, x), z = mul(c, x, x);
    lval small = cg_fma(c, mul(c, x, z), cg_math_poly(c, z, P, COUNTOF(P)), x);
    lval top = cg_real(t, 10);
    lval q = cg_sel(c, cg_fcmp(c, LLVMRealOGT, a, top), top, a);
    lval e = exp_core(c, LLVMBuildFAdd(c->b, q, q, ""));
    lval one = cg_real(t, 1);
    lval r = LLVMBuildFDiv(c->b, cg_real(t, 2), LLVMBuildFAdd(c->b, e, one, ""), "");
    lval y = cg_sel(c, cg_fcmp(c, LLVMRealOLT, a, cg_real(t, 0.6)), small, LLVMBuildFSub(c->b, one, r, ""));
    return cg_call2(c, CGI_copysign, y, x); /* of the small ones that of -0 only */
}

lval cg_erf(cg *c, lval x)
{
    static const double P[] = {7.853857545499221e-05, -0.00080101924712794315, 0.0051883275542576046,
                               -0.026853811865987176, 0.11283585146952355,     -0.37612625824085671,
                               0.12837916572668862}; /* 2^-29.6 */
    static const double Q[] = {-3.130317435949499e-05, 0.0006369119873367238, -0.006066951261152473,
                               0.03637085297437019,    -0.15642005794189595,  -0.9135381257421706,
                               -1.6296399284536047,    0.0002719046689951596}; /* 2^-35.4 */
    lty t = LLVMTypeOf(x);
    if (c->scalef && cg_lanes(x) == 16)
        return cg_erf_16(c, x);
    lval a = cg_call1(c, CGI_fabs, x), z = mul(c, x, x);
    lval small = cg_fma(c, x, cg_math_poly(c, z, P, COUNTOF(P)), x);
    lval top = cg_real(t, 4);
    lval q = cg_sel(c, cg_fcmp(c, LLVMRealOGT, a, top), top, a);
    lval e = exp2_core(c, cg_math_poly(c, q, Q, COUNTOF(Q)), true);
    lval big = cg_call2(c, CGI_copysign, LLVMBuildFSub(c->b, cg_real(t, 1), e, ""), x);
    return cg_sel(c, cg_fcmp(c, LLVMRealOLT, a, cg_real(t, 1)), small, big);
}

/* a C library function of one double, on every lane */
static lval library(cg *c, const char *name, lval x)
{
    lval f = LLVMGetNamedFunction(c->mod, name);
    lty ft = LLVMFunctionType(c->f64, (lty[]){c->f64}, 1, false);
    if (!f) {
        f = LLVMAddFunction(c->mod, name, ft);
        cg_attr(c, f, "nounwind", NULL);
    }
    int lanes = cg_lanes(x);
    lval r = LLVMGetPoison(LLVMTypeOf(x));
    for (int i = 0; i < lanes; i++) {
        lval lane = cg_extract(c, x, i);
        r = cg_insert(c, r, LLVMBuildCall2(c->b, ft, f, &lane, 1, ""), i);
    }
    return r;
}

static lval math_rsqrt(cg *c, lval x)
{
    return LLVMBuildFDiv(c->b, cg_real(LLVMTypeOf(x), 1), cg_call1(c, CGI_sqrt, x), "");
}

lval cg_math(cg *c, ir_code code, lval x)
{
    bool wide = cg_elem_of(x) == c->f64;
    switch (code) {
    case IR_OP_exp:
        return wide ? library(c, "exp", x) : math_exp(c, x);
    case IR_OP_exp2:
        return wide ? library(c, "exp2", x) : math_exp2(c, x);
    case IR_OP_log:
        return wide ? library(c, "log", x) : math_log(c, x);
    case IR_OP_log2:
        return wide ? library(c, "log2", x) : math_log2(c, x);
    case IR_OP_tanh:
        return wide ? library(c, "tanh", x) : math_tanh(c, x);
    case IR_OP_erf:
        return wide ? library(c, "erf", x) : cg_erf(c, x);
    case IR_OP_sin:
        return wide ? library(c, "sin", x) : cg_sincos(c, x, false);
    case IR_OP_cos:
        return wide ? library(c, "cos", x) : cg_sincos(c, x, true);
    case IR_OP_rsqrt:
        return math_rsqrt(c, x);
    default:
        bug("op '%s' is not mathematics on floats", ir_ops[code].name);
    }
}
