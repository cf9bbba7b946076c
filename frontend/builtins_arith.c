/* builtins_arith.c: arithmetic that has no operator: exact division and roots, fused and wide products, clamping. */
#include "frontend/builtins_impl.h"

#include <math.h>

static ir_val with_exact(lower *l, ir_code code, ir_type t, const ir_val *in, uint32_t n)
{
    return ir_emit1a(B(l), code, t, in, n, KEY_exact, ir_attr_int(l->m, 1));
}

/* arguments first .. first + n - 1 as floats of one dtype and shape; false on a fault */
static bool floats(lower *l, bargs *g, int n, fv *out)
{
    for (int i = 0; i < n; i++) {
        fv x = g->v[i];
        if (x.kind == FV_NUM && x.num.kind == CONST_INT)
            x = fv_float(const_as_double(x.num));
        g->v[i] = x;
        if (arg_float(l, g, i).kind == FV_POISON)
            return false;
        out[i] = x;
    }
    for (int i = 1; i < n; i++)
        if (!low_promote(l, &out[0], &out[i], g->at, g->name))
            return false;
    for (int i = 1; i < n; i++)
        if (!low_promote(l, &out[0], &out[i], g->at, g->name))
            return false;
    return true;
}

fv b_sqrt_rn(lower *l, bargs *g)
{
    fv x = arg_float(l, g, 0);
    if (x.kind == FV_POISON)
        return x;
    dtype d = low_dt(l, x);
    ir_val v = d == DT_F64 ? x.v : ir_cast(B(l), x.v, DT_F32);
    return fv_rt(ir_cast(B(l), with_exact(l, IR_OP_sqrt, ir_vtype(l->fx->f, v), &v, 1), d));
}

static fv divide(lower *l, bargs *g, bool exact)
{
    fv x[2];
    if (!floats(l, g, 2, x))
        return fv_poison();
    ir_val in[2] = {x[0].v, x[1].v};
    ir_type t = low_vtype(l, x[0]);
    return fv_rt(exact ? with_exact(l, IR_OP_div, t, in, 2) : ir_emit1(B(l), IR_OP_div, t, in, 2));
}

fv b_div_rn(lower *l, bargs *g) { return divide(l, g, true); }

fv b_fdiv(lower *l, bargs *g)
{
    bool exact;
    return arg_bool(l, g, 2, &exact) ? divide(l, g, exact) : fv_poison();
}

fv b_fma(lower *l, bargs *g)
{
    fv x[3];
    if (!floats(l, g, 3, x))
        return fv_poison();
    ir_val in[3] = {x[0].v, x[1].v, x[2].v};
    return fv_rt(ir_emit1(B(l), IR_OP_fma, low_vtype(l, x[0]), in, 3));
}

fv b_umulhi(lower *l, bargs *g)
{
    fv x = g->v[0], y = g->v[1];
    for (int i = 0; i < 2; i++)
        if (arg_number(l, g, i).kind == FV_POISON)
            return fv_poison();
    if (!low_promote(l, &x, &y, g->at, g->name))
        return fv_poison();
    dtype d = low_dt(l, x);
    if (!dt_is_int(d) || dt_bits(d) < 32)
        return low_error(l, D_OPERANDS, g->at, g->name, STR_ARG(low_say(l, x)), STR_ARG(low_say(l, y)));
    if (!dt_is_signed(d))
        return fv_rt(ir_bin(B(l), IR_OP_mulhi, x.v, y.v));
    dtype u = d == DT_I32 ? DT_U32 : DT_U64; /* signed operands give their bits, as in Triton */
    ir_val in[2] = {ir_un_to(l, IR_OP_bitcast, x.v, u), ir_un_to(l, IR_OP_bitcast, y.v, u)};
    return fv_rt(ir_un_to(l, IR_OP_bitcast, ir_bin(B(l), IR_OP_mulhi, in[0], in[1]), d));
}

fv b_clamp(lower *l, bargs *g)
{
    fv x[3];
    bool nan;
    if (!arg_bool(l, g, 3, &nan) || !floats(l, g, 3, x))
        return fv_poison();
    ir_attr yes = ir_attr_int(l->m, nan);
    ir_type t = low_vtype(l, x[0]);
    ir_val lo = ir_emit1a(B(l), IR_OP_max, t, (ir_val[]){x[0].v, x[1].v}, 2, KEY_nan, yes);
    return fv_rt(ir_emit1a(B(l), IR_OP_min, t, (ir_val[]){lo, x[2].v}, 2, KEY_nan, yes));
}

fv b_float(lower *l, bargs *g)
{
    fv x = g->v[0];
    if (x.kind == FV_NUM)
        return fv_float(const_as_double(x.num));
    if (x.kind == FV_STR) {
        if (str_eq(x.s, S("inf")) || str_eq(x.s, S("+inf")))
            return fv_float(INFINITY);
        if (str_eq(x.s, S("-inf")))
            return fv_float(-INFINITY);
        if (str_eq(x.s, S("nan")))
            return fv_float(NAN);
    }
    return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a number, 'inf', '-inf' or 'nan'", STR_ARG(low_say(l, x)));
}
