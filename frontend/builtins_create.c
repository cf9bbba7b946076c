/* builtins_create.c: the program's place, creation of values, conversion between dtypes, making tensors. */
#include "frontend/builtins_impl.h"

#include <string.h>

static fv grid_op(lower *l, bargs *g, ir_code code)
{
    int64_t axis;
    if (!arg_int(l, g, 0, 0, 2, &axis))
        return fv_poison();
    ir_attr a = ir_attr_int(l->m, axis);
    return fv_rt(ir_emit1a(B(l), code, ir_type_num(l->m, DT_I64), NULL, 0, KEY_axis, a));
}

fv b_program_id(lower *l, bargs *g) { return grid_op(l, g, IR_OP_program_id); }
fv b_num_programs(lower *l, bargs *g) { return grid_op(l, g, IR_OP_num_programs); }

fv b_resident(lower *l, bargs *g)
{
    if (!l->fx->host)
        return low_error(l, D_HOST_ONLY, g->at, g->name);
    return fv_rt(ir_emit1(B(l), IR_OP_resident, ir_type_num(l->m, DT_I64), NULL, 0));
}

fv b_arange(lower *l, bargs *g)
{
    int64_t from, to;
    if (!arg_int(l, g, 0, INT64_MIN / 2, INT64_MAX / 2, &from) || !arg_int(l, g, 1, INT64_MIN / 2, INT64_MAX / 2, &to))
        return fv_poison();
    int64_t n = to - from;
    if (n < 1)
        return low_error(l, D_ARANGE_EMPTY, g->at, (long long)from, (long long)to);
    if (!low_check_shape(l, 1, &n, g->at))
        return fv_poison();
    return fv_rt(ir_emit1a(B(l), IR_OP_arange, bi_tile(l, DT_I64, 1, &n), NULL, 0, KEY_start, ir_attr_int(l->m, from)));
}

static fv filled(lower *l, bargs *g, fv v, fv dt, int dt_arg)
{
    int rank;
    int64_t shape[IR_MAX_RANK];
    if (!arg_shape(l, g, 0, &rank, shape))
        return fv_poison();
    dtype d = DT_NONE;
    if (dt.kind != FV_NONE && !arg_dtype(l, g, dt_arg, &d))
        return fv_poison();
    v = d == DT_NONE ? low_runtime(l, v, g->where[1]) : low_cast(l, v, d, g->where[1]);
    if (v.kind == FV_POISON)
        return v;
    if (low_rank(l, v))
        return low_error(l, D_ARG_TYPE, g->where[1], g->name, "a scalar", STR_ARG(low_say(l, v)));
    return low_broadcast(l, v, rank, shape, g->at);
}

fv b_full(lower *l, bargs *g) { return filled(l, g, g->v[1], g->v[2], 2); }
fv b_zeros(lower *l, bargs *g) { return filled(l, g, fv_int(0), g->v[1], 1); }

fv b_zeros_like(lower *l, bargs *g)
{
    fv x = arg_value(l, g, 0);
    if (x.kind == FV_POISON)
        return x;
    if (low_is_ptr(l, x))
        return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a number", STR_ARG(low_say(l, x)));
    return fv_rt(ir_const_bits(B(l), low_vtype(l, x), 0));
}

fv b_to_tensor(lower *l, bargs *g) { return arg_value(l, g, 0); }
fv b_identity(lower *l, bargs *g) { (void)l; return g->v[0]; }

/* ---- conversion ---- */
static fv to_pointer(lower *l, bargs *g, ir_type want)
{
    fv x = arg_value(l, g, 0);
    if (x.kind == FV_POISON)
        return x;
    if (!low_is_ptr(l, x) && low_dt(l, x) != DT_I64 && low_dt(l, x) != DT_U64)
        return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a pointer or an address of 64 bits",
                         STR_ARG(low_say(l, x)));
    if (low_dt(l, x) == DT_U64)
        x = low_cast(l, x, DT_I64, g->at);
    return fv_rt(ir_emit1(B(l), IR_OP_ptr_cast, ir_type_with_elem(l->m, low_vtype(l, x), want), &x.v, 1));
}

static fv bits_as(lower *l, bargs *g, fv x, dtype d)
{
    x = low_runtime(l, x, g->where[0]);
    if (x.kind == FV_POISON)
        return x;
    dtype from = low_dt(l, x);
    if (dt_bits(from) != dt_bits(d) || (from == DT_BOOL) != (d == DT_BOOL))
        return low_error(l, D_BITCAST, g->at, dtypes[from].name, dt_bits(from), dtypes[d].name, dt_bits(d));
    return from == d ? x : fv_rt(ir_un_to(l, IR_OP_bitcast, x.v, d));
}

static fv round_to_zero(lower *l, fv x, dtype d)
{
    ir_type t = ir_type_with_dt(l->m, low_vtype(l, x), d);
    return fv_rt(ir_emit1a(B(l), IR_OP_cast, t, &x.v, 1, KEY_rtz, ir_attr_int(l->m, 1)));
}

fv b_cast(lower *l, bargs *g)
{
    fv x = g->v[0];
    if (x.kind != FV_NUM && x.kind != FV_RT)
        return arg_value(l, g, 0);
    if (g->v[1].kind == FV_TYPE && ir_type_of(l->m, g->v[1].type)->kind == TK_PTR)
        return to_pointer(l, g, g->v[1].type);
    dtype d;
    bool bitcast, rtz = false;
    if (!arg_dtype(l, g, 1, &d) || !arg_bool(l, g, 3, &bitcast))
        return fv_poison();
    if (low_is_ptr(l, x)) {
        if (d != DT_I64 && d != DT_U64)
            return low_error(l, D_CONVERT_POINTER, g->where[0], STR_ARG(low_type(l, low_vtype(l, x))), dtypes[d].name);
        ir_type t = ir_type_with_dt(l->m, low_vtype(l, x), DT_I64);
        return low_cast(l, fv_rt(ir_emit1(B(l), IR_OP_ptr_cast, t, &x.v, 1)), d, g->at);
    }
    str how;
    if (!arg_is_none(g, 2)) {
        if (!arg_str(l, g, 2, &how))
            return fv_poison();
        rtz = str_eq(how, S("rtz"));
        if (!rtz && !str_eq(how, S("rtne")))
            return low_error(l, D_ARG_WORD, g->where[2], g->name, STR_ARG(how), "rounding ('rtne', 'rtz')");
    }
    if (bitcast)
        return bits_as(l, g, x, d);
    if (rtz && x.kind == FV_RT && dt_is_any_float(d) && dt_is_any_float(low_dt(l, x)) && low_dt(l, x) != d)
        return round_to_zero(l, x, d);
    return low_cast(l, x, d, g->where[0]);
}

/* ---- tensors in a kernel ---- */
static bool tensor_numbers(lower *l, bargs *g, int i, uint32_t n, ir_val *out, int64_t *known)
{
    fv v = g->v[i];
    if (v.kind != FV_SEQ || v.seq.n != n) {
        low_error(l, D_ARG_TYPE, g->where[i], g->name, "a list of integers, one a dimension", STR_ARG(low_say(l, v)));
        return false;
    }
    for (uint32_t k = 0; k < n; k++) {
        fv x = v.seq.at[k];
        bool ok = fv_is_const_int(x) || (x.kind == FV_RT && !low_rank(l, x) && dt_is_int(low_dt(l, x)));
        if (!ok) {
            low_error(l, D_ARG_TYPE, g->where[i], g->name, "a list of integers, one a dimension",
                      STR_ARG(low_say(l, x)));
            return false;
        }
        known[k] = IR_DYN;
        if (fv_is_const_int(x) && x.num.i >= 0 && x.num.i <= INT64_MAX)
            known[k] = (int64_t)x.num.i;
        x = low_cast(l, x, DT_I64, g->where[i]);
        if (x.kind == FV_POISON)
            return false;
        out[k] = x.v;
    }
    return true;
}

fv b_tensor(lower *l, bargs *g)
{
    fv p = g->v[0];
    if (!low_is_ptr(l, p) || low_rank(l, p) || ir_type_of(l->m, low_info(l, p)->elem)->kind != TK_NUM)
        return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a pointer to numbers", STR_ARG(low_say(l, p)));
    uint32_t n = g->v[1].kind == FV_SEQ ? g->v[1].seq.n : 0;
    if (n < 1 || n > IR_MAX_TENSOR_RANK)
        return low_error(l, D_TENSOR_RANK, g->where[1], IR_MAX_TENSOR_RANK, STR_ARG(low_say(l, g->v[1])));
    ir_val in[1 + 2 * IR_MAX_TENSOR_RANK] = {p.v};
    int64_t shape[IR_MAX_TENSOR_RANK], strides[IR_MAX_TENSOR_RANK] = {0};
    if (!tensor_numbers(l, g, 1, n, in + 1, shape))
        return fv_poison();
    if (arg_is_none(g, 2)) {
        ir_val step = ir_const_i(B(l), ir_type_num(l->m, DT_I64), 1);
        for (uint32_t k = n; k-- > 0;) {
            in[1 + n + k] = step;
            step = k ? ir_bin(B(l), IR_OP_mul, step, in[1 + k]) : step;
        }
        strides[n - 1] = 1;
    } else if (!tensor_numbers(l, g, 2, n, in + 1 + n, strides)) {
        return fv_poison();
    }
    ir_type t = ir_type_tensor(l->m, low_info(l, p)->elem, (int)n, shape, strides[n - 1] != 1);
    return (fv){.kind = FV_TENSOR, .v = ir_emit1(B(l), IR_OP_tensor_make, t, in, 1 + 2 * n)};
}
