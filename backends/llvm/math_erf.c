/* math_erf.c: erf on sixteen f32 at once, by tables in registers.
 *
 * |x| up to 3.9245, where the result is 1, is cut into 16 equal intervals; one vpermps takes each lane's coefficient
 * from a register, so that a polynomial of degree 6 an interval costs as many shuffles as products:
 *
 *   erf |x| = E + t P(t), t = |x| - C
 *
 * C lies near the interval's middle where erf is nearly an f32, which E is: its rounding costs less than 2^-30. In the
 * first interval C is 0 and the sum is t + t P(t), relatively exact for the least x. The interval's number is the low
 * bits of fma(|x|, 1 / width, 1.5 * 2^23), rounded down: the shuffle looks at no others.
 *
 * Coefficients are our own fits: minimax in ulps of the result by iterated weighted least squares over 240 Chebyshev
 * points an interval, references of 120 bits, one coefficient after another, lowest first, rounded to f32 and the rest
 * fitted again (at most 0.04 ulp). NaN goes through t.
 */
#include "backends/llvm/cg.h"

#define MAGIC 12582912.0 /* 1.5 * 2^23 */
#define WIDTH 0.2453
#define TOP 3.9245
#define DOWN 9 /* toward -inf, no exceptions */

static lval pick(cg *c, const double *table, lval at)
{
    lval x[16];
    for (int i = 0; i < 16; i++)
        x[i] = cg_real(c->f32, table[i]);
    return cg_call(c, CGI_permps_512, NULL, 0, (lval[]){LLVMConstVector(x, 16), at}, 2);
}

lval cg_erf_16(cg *c, lval x)
{
    static const double P[6][16] = {
        {-0.0184295736, -0.049402073, -0.0421846323, -0.0126274182, 0.01382918, 0.0221574418, 0.0157217178,
         0.00544055179, -0.00117832003, -0.00322534936, -0.00248814095, -0.0013509267, -0.000497540226, -3.81490718e-05,
         -4.88535879e-05, -7.40786345e-05},
        {0.117590934, 0.047689531, -0.0237276834, -0.0656190217, -0.0627253875, -0.0340803936, -0.0050238152,
         0.0103280153, 0.0128048072, 0.00916470494, 0.00490162475, 0.00212610606, 0.000764648838, 0.000247972494,
         -2.02485298e-05, 2.20363127e-05},
        {-0.000554849801, 0.164946467, 0.177977711, 0.117902711, 0.034599863, -0.0263293907, -0.0491873659,
         -0.0441969335, -0.0288890582, -0.0150321359, -0.00648450153, -0.00239102612, -0.000756677531, -0.000224370058,
         -2.02291667e-05, -3.83563247e-06},
        {-0.376098603, -0.239538699, -0.0639952943, 0.0853143111, 0.159785941, 0.160873577, 0.120872937, 0.0735383332,
         0.0374380052, 0.0161729753, 0.00600885879, 0.001956983, 0.000554689555, 0.000147434374, 1.89232264e-06,
         4.40989561e-06},
        {-4.18168099e-07, -0.362632483, -0.475082576, -0.4635683, -0.368343174, -0.246581689, -0.141541213,
         -0.0703491569, -0.0304307807, -0.0114584826, -0.00378092634, -0.00111013616, -0.000286652183, -7.02575271e-05,
         -2.08139272e-06, -1.8426274e-06},
        {0.128379166, 0.985483706, 0.774667382, 0.539982736, 0.333726287, 0.182760328, 0.0887667388, 0.038238328,
         0.0145939114, 0.00491441926, 0.00146667135, 0.000393444294, 9.350849e-05, 2.13123385e-05, 4.59919761e-07,
         4.71807198e-07},
    };
    static const double ERF[16] = {0,           0.397210985, 0.614221811, 0.775284469, 0.881454468, 0.943617582,
                                   0.975867033, 0.99072659,  0.996810675, 0.999024093, 0.999733329, 0.999934018,
                                   0.999985456, 0.999996901, 0.99999994,  0.99999994};
    static const double CENTRE[16] = {0,          0.367974102, 0.613273025, 0.858487248, 1.10372841, 1.34920788,
                                      1.59452987, 1.83975518,  2.08516979,  2.33160114,  2.57789493, 2.82158709,
                                      3.06565499, 3.29803061,  3.83248472,  3.83242345};
    lty t = LLVMTypeOf(x);
    lval a = cg_call1(c, CGI_fabs, x), top = cg_real(t, TOP), magic = cg_real(t, MAGIC);
    a = cg_sel(c, cg_fcmp(c, LLVMRealOLT, top, a), top, a);
    lval y = cg_call(c, CGI_fma_512, NULL, 0, (lval[]){a, cg_real(t, 1 / WIDTH), magic, cg_i32(c, DOWN)}, 4);
    lval at = cg_bits(c, y, cg_as_int(c, t));
    lval d = LLVMBuildFSub(c->b, a, pick(c, CENTRE, at), "");
    lval p = pick(c, P[0], at);
    for (int i = 1; i < (int)COUNTOF(P); i++)
        p = cg_fma(c, p, d, pick(c, P[i], at));
    lval base = cg_sel(c, cg_fcmp(c, LLVMRealUNE, y, magic), pick(c, ERF, at), d);
    return cg_call2(c, CGI_copysign, cg_fma(c, p, d, base), x);
}
