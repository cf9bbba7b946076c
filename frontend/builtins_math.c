/* builtins_math.c: elementwise arithmetic and mathematics.
 *
 * Mathematics of f16 and bf16 is done in f32 and rounded once; of integers it is a fault. Arguments known at compile
 * time become f32 scalars and are folded by the builder like any other constant.
 */
#include "frontend/builtins_impl.h"

/* a float unary op through f32 where the dtype is narrower */
static fv unary(lower *l, bargs *g, ir_code code)
{
    fv x = arg_float(l, g, 0);
    if (x.kind == FV_POISON)
        return x;
    dtype d = low_dt(l, x);
    if (d == DT_F32 || d == DT_F64)
        return fv_rt(ir_un(B(l), code, x.v));
    return fv_rt(ir_cast(B(l), ir_un(B(l), code, ir_cast(B(l), x.v, DT_F32)), d));
}

fv b_exp(lower *l, bargs *g) { return unary(l, g, IR_OP_exp); }
fv b_exp2(lower *l, bargs *g) { return unary(l, g, IR_OP_exp2); }
fv b_log(lower *l, bargs *g) { return unary(l, g, IR_OP_log); }
fv b_log2(lower *l, bargs *g) { return unary(l, g, IR_OP_log2); }
fv b_sin(lower *l, bargs *g) { return unary(l, g, IR_OP_sin); }
fv b_cos(lower *l, bargs *g) { return unary(l, g, IR_OP_cos); }
fv b_tanh(lower *l, bargs *g) { return unary(l, g, IR_OP_tanh); }
fv b_erf(lower *l, bargs *g) { return unary(l, g, IR_OP_erf); }
fv b_rsqrt(lower *l, bargs *g) { return unary(l, g, IR_OP_rsqrt); }
fv b_floor(lower *l, bargs *g) { return unary(l, g, IR_OP_floor); }
fv b_ceil(lower *l, bargs *g) { return unary(l, g, IR_OP_ceil); }
fv b_sqrt(lower *l, bargs *g) { return unary(l, g, IR_OP_sqrt); }

fv b_abs(lower *l, bargs *g)
{
    if (g->v[0].kind == FV_NUM && g->v[0].num.kind != CONST_BOOL) {
        const_num n = g->v[0].num, r = n;
        if (const_as_double(n) < 0 && const_unary(FE_NEG, n, &r) != CONST_OK)
            return low_error(l, D_CONST_OVERFLOW, g->at, "abs");
        return fv_num(r);
    }
    fv x = arg_number(l, g, 0);
    return x.kind == FV_POISON ? x : fv_rt(ir_un(B(l), IR_OP_abs, x.v));
}

static fv by_operator(lower *l, bargs *g, fe_op op)
{
    return low_binary(l, op, g->v[0], g->v[1], g->at, g->where[0], g->where[1]);
}

fv b_add(lower *l, bargs *g) { return by_operator(l, g, FE_ADD); }
fv b_sub(lower *l, bargs *g) { return by_operator(l, g, FE_SUB); }
fv b_mul(lower *l, bargs *g) { return by_operator(l, g, FE_MUL); }

/* (x + (y - 1)) // y, the form that range analysis knows */
fv b_cdiv(lower *l, bargs *g)
{
    span at = g->at;
    fv less = low_binary(l, FE_SUB, g->v[1], fv_int(1), at, at, at);
    fv sum = low_binary(l, FE_ADD, g->v[0], less, at, at, at);
    return low_binary(l, FE_FLOORDIV, sum, g->v[1], at, at, at);
}

/* the smaller or greater of two; `nan`: NaN wins */
static fv pick(lower *l, bargs *g, ir_code code, fv a, fv b, bool nan)
{
    if (a.kind == FV_NUM && b.kind == FV_NUM && a.num.kind != CONST_BOOL && b.num.kind != CONST_BOOL) {
        const_num less;
        if (const_binary(FE_LT, b.num, a.num, &less) != CONST_OK)
            return fv_poison();
        bool first = const_truth(less) == (code == IR_OP_max);
        if (a.num.kind != b.num.kind)
            return fv_float(const_as_double(first ? a.num : b.num));
        return first ? a : b;
    }
    for (int i = 0; i < 2; i++) {
        bargs one = *g;
        if (arg_number(l, &one, i).kind == FV_POISON)
            return fv_poison();
    }
    if (!low_promote(l, &a, &b, g->at, g->name))
        return fv_poison();
    if (!nan)
        return fv_rt(ir_bin(B(l), code, a.v, b.v));
    ir_val in[2] = {a.v, b.v};
    return fv_rt(ir_emit1a(B(l), code, low_vtype(l, a), in, 2, KEY_nan, ir_attr_int(l->m, 1)));
}

static fv extreme(lower *l, bargs *g, ir_code code)
{
    bool nan = false;
    fv how = g->v[2];
    if (how.kind == FV_STR) { /* Triton's PropagateNan.ALL / NONE as words */
        nan = str_eq(how.s, S("all"));
        if (!nan && !str_eq(how.s, S("none")))
            return low_error(l, D_ARG_WORD, g->where[2], g->name, STR_ARG(how.s), "NaN rule ('all', 'none')");
    } else if (!arg_bool(l, g, 2, &nan))
        return fv_poison();
    return pick(l, g, code, g->v[0], g->v[1], nan);
}

fv b_minimum(lower *l, bargs *g) { return extreme(l, g, IR_OP_min); }
fv b_maximum(lower *l, bargs *g) { return extreme(l, g, IR_OP_max); }

fv bi_pick_scalar(lower *l, bargs *g, ir_code code) { return pick(l, g, code, g->v[0], g->v[1], false); }

/* ---- where ---- */
static fv where_pointers(lower *l, bargs *g, fv x, fv y)
{
    if (!low_is_ptr(l, x) || !low_is_ptr(l, y) ||
        !ir_type_eq(ir_type_elem(l->m, low_vtype(l, x)), ir_type_elem(l->m, low_vtype(l, y))))
        return low_error(l, D_OPERANDS, g->at, g->name, STR_ARG(low_say(l, x)), STR_ARG(low_say(l, y)));
    return x;
}

fv b_where(lower *l, bargs *g)
{
    fv c = arg_value(l, g, 0), x = g->v[1], y = g->v[2];
    if (c.kind == FV_POISON)
        return c;
    if (low_dt(l, c) != DT_BOOL)
        return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a bool", STR_ARG(low_say(l, c)));
    if (low_is_ptr(l, x) || low_is_ptr(l, y)) {
        if (where_pointers(l, g, x, y).kind == FV_POISON)
            return fv_poison();
    } else {
        dtype d = low_promoted(l, x, y, g->at, g->name);
        if (d == DT_NONE)
            return fv_poison();
        x = low_cast(l, x, d, g->where[1]);
        y = low_cast(l, y, d, g->where[2]);
    }
    int rank;
    int64_t shape[IR_MAX_RANK];
    if (x.kind == FV_POISON || y.kind == FV_POISON || !low_common_shape(l, x, y, g->at, &rank, shape))
        return fv_poison();
    fv like = rank ? low_broadcast(l, x, rank, shape, g->at) : x;
    if (!low_common_shape(l, like, c, g->at, &rank, shape))
        return fv_poison();
    x = low_broadcast(l, x, rank, shape, g->where[1]);
    y = low_broadcast(l, y, rank, shape, g->where[2]);
    c = low_broadcast(l, c, rank, shape, g->where[0]);
    return fv_rt(ir_select(B(l), c.v, x.v, y.v));
}
