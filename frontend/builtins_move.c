/* builtins_move.c: dimensions of one that come and go, tiles put together and taken apart. */
#include "frontend/builtins_impl.h"

#include <string.h>

fv b_item(lower *l, bargs *g)
{
    fv x = arg_value(l, g, 0);
    if (x.kind == FV_POISON || !low_rank(l, x))
        return x;
    if (ir_type_count(l->m, low_vtype(l, x)) != 1)
        return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a tile of one element", STR_ARG(low_say(l, x)));
    return fv_rt(bi_only_element(l, x.v));
}

fv b_ravel(lower *l, bargs *g)
{
    fv x = arg_tile(l, g, 0);
    if (x.kind == FV_POISON)
        return x;
    int64_t n = ir_type_count(l->m, low_vtype(l, x));
    return fv_rt(ir_reshape(B(l), x.v, 1, &n));
}

/* axes of the result, one or a list; negative ones count from its end */
fv b_expand_dims(lower *l, bargs *g)
{
    fv x = arg_value(l, g, 0), axes = g->v[1];
    if (x.kind == FV_POISON)
        return x;
    const fv *el = axes.kind == FV_SEQ ? axes.seq.at : &axes;
    int n = axes.kind == FV_SEQ ? (int)axes.seq.n : 1, was = low_rank(l, x), rank = was + n;
    int64_t old[IR_MAX_RANK], shape[IR_MAX_RANK];
    bool fresh[IR_MAX_RANK] = {false};
    if (rank > IR_MAX_RANK)
        return low_error(l, D_RANK, g->at, rank, IR_MAX_RANK);
    bi_shape(l, x, old);
    for (int i = 0; i < n; i++) {
        bargs one = *g;
        int axis;
        one.v[1] = el[i];
        if (!arg_axis(l, &one, 1, rank, &axis))
            return fv_poison();
        if (fresh[axis])
            return low_error(l, D_AXIS_TWICE, g->where[1], axis);
        fresh[axis] = true;
    }
    for (int i = 0, k = 0; i < rank; i++)
        shape[i] = fresh[i] ? 1 : old[k++];
    return was ? fv_rt(ir_reshape(B(l), x.v, rank, shape)) : low_broadcast(l, x, rank, shape, g->at);
}

fv b_squeeze(lower *l, bargs *g)
{
    fv x = arg_tile(l, g, 0);
    int axis;
    int64_t shape[IR_MAX_RANK];
    if (x.kind == FV_POISON || !arg_axis(l, g, 1, low_rank(l, x), &axis))
        return fv_poison();
    int rank = bi_shape(l, x, shape);
    if (shape[axis] != 1)
        return low_error(l, D_SQUEEZE, g->where[1], axis, (long long)shape[axis]);
    if (rank == 1)
        return fv_rt(bi_only_element(l, x.v));
    memmove(&shape[axis], &shape[axis + 1], sizeof *shape * (size_t)(rank - axis - 1));
    return fv_rt(ir_reshape(B(l), x.v, rank - 1, shape));
}

fv b_broadcast(lower *l, bargs *g)
{
    fv x = arg_value(l, g, 0), y = arg_value(l, g, 1);
    int rank;
    int64_t shape[IR_MAX_RANK];
    if (x.kind == FV_POISON || y.kind == FV_POISON || !low_common_shape(l, x, y, g->at, &rank, shape))
        return fv_poison();
    fv both[2] = {low_broadcast(l, x, rank, shape, g->where[0]), low_broadcast(l, y, rank, shape, g->where[1])};
    return fv_seq_dup(l->a, both, 2, false);
}

fv b_broadcast_to(lower *l, bargs *g)
{
    fv x = arg_value(l, g, 0);
    int rank;
    int64_t shape[IR_MAX_RANK];
    if (g->nvar && g->v[1].kind != FV_SEQ) {
        fv *el = ARENA_ARRAY(l->a, fv, g->nvar + 1);
        el[0] = g->v[1];
        for (uint32_t i = 0; i < g->nvar; i++)
            el[i + 1] = g->var[i].v;
        g->v[1] = fv_seq_of(el, g->nvar + 1, true);
    }
    if (x.kind == FV_POISON || !arg_shape(l, g, 1, &rank, shape))
        return fv_poison();
    return low_broadcast(l, x, rank, shape, g->at);
}

/* two tiles of one element type; false on a fault */
static bool same_elem(lower *l, bargs *g, fv *x, fv *y)
{
    *x = arg_tile(l, g, 0);
    *y = arg_tile(l, g, 1);
    if (x->kind == FV_POISON || y->kind == FV_POISON)
        return false;
    if (ir_type_eq(ir_type_elem(l->m, low_vtype(l, *x)), ir_type_elem(l->m, low_vtype(l, *y))))
        return true;
    if (low_is_ptr(l, *x) || low_is_ptr(l, *y)) {
        low_error(l, D_OPERANDS, g->at, g->name, STR_ARG(low_say(l, *x)), STR_ARG(low_say(l, *y)));
        return false;
    }
    dtype d = low_promoted(l, *x, *y, g->at, g->name);
    if (d == DT_NONE)
        return false;
    *x = low_cast(l, *x, d, g->where[0]);
    *y = low_cast(l, *y, d, g->where[1]);
    return x->kind != FV_POISON && y->kind != FV_POISON;
}

fv b_cat(lower *l, bargs *g)
{
    fv x, y;
    int axis;
    int64_t a[IR_MAX_RANK], b[IR_MAX_RANK];
    if (!same_elem(l, g, &x, &y) || !arg_axis(l, g, 3, low_rank(l, x), &axis))
        return fv_poison();
    int rank = bi_shape(l, x, a);
    bool fits = bi_shape(l, y, b) == rank;
    for (int i = 0; fits && i < rank; i++)
        fits = i == axis || a[i] == b[i];
    if (!fits)
        return low_error(l, D_SAME_SHAPE, g->at, STR_ARG(low_say(l, x)), STR_ARG(low_say(l, y)));
    a[axis] += b[axis];
    if (!low_check_shape(l, rank, a, g->at))
        return fv_poison();
    ir_type t = ir_type_with_shape(l->m, low_vtype(l, x), rank, a);
    return fv_rt(ir_emit1a(B(l), IR_OP_cat, t, (ir_val[]){x.v, y.v}, 2, KEY_axis, ir_attr_int(l->m, axis)));
}

static fv joined(lower *l, bargs *g)
{
    int64_t shape[IR_MAX_RANK + 1];
    fv x, y;
    if (!low_rank(l, arg_value(l, g, 0)) || !low_rank(l, arg_value(l, g, 1))) {
        x = arg_value(l, g, 0);
        y = arg_value(l, g, 1);
        if (x.kind == FV_POISON || y.kind == FV_POISON || !low_promote(l, &x, &y, g->at, g->name))
            return fv_poison();
        int64_t one = 1;
        x = low_broadcast(l, x, low_rank(l, x) ? low_rank(l, x) : 1, low_rank(l, x) ? low_info(l, x)->shape : &one,
                          g->at);
        y = low_broadcast(l, y, low_rank(l, y) ? low_rank(l, y) : 1, low_rank(l, y) ? low_info(l, y)->shape : &one,
                          g->at);
    } else if (!same_elem(l, g, &x, &y)) {
        return fv_poison();
    }
    int rank;
    if (!low_common_shape(l, x, y, g->at, &rank, shape))
        return fv_poison();
    if (rank + 1 > IR_MAX_RANK)
        return low_error(l, D_RANK, g->at, rank + 1, IR_MAX_RANK);
    x = low_broadcast(l, x, rank, shape, g->where[0]);
    y = low_broadcast(l, y, rank, shape, g->where[1]);
    shape[rank] = 2;
    if (!low_check_shape(l, rank + 1, shape, g->at))
        return fv_poison();
    ir_type t = ir_type_with_shape(l->m, low_vtype(l, x), rank + 1, shape);
    return fv_rt(ir_emit1(B(l), IR_OP_join, t, (ir_val[]){x.v, y.v}, 2));
}

fv b_join(lower *l, bargs *g)
{
    for (int i = 0; i < 2; i++)
        if (arg_value(l, g, i).kind == FV_POISON)
            return fv_poison();
    return joined(l, g);
}

fv b_split(lower *l, bargs *g)
{
    fv x = arg_tile(l, g, 0);
    int64_t shape[IR_MAX_RANK];
    if (x.kind == FV_POISON)
        return x;
    int rank = bi_shape(l, x, shape);
    if (shape[rank - 1] != 2)
        return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a tile whose last extent is 2", STR_ARG(low_say(l, x)));
    ir_type t = ir_type_with_shape(l->m, low_vtype(l, x), rank - 1, shape);
    ir_type types[2] = {t, t};
    ir_val out[2];
    if (rank == 1) { /* two scalars: elements, since split gives tiles */
        for (int i = 0; i < 2; i++) {
            ir_val at = ir_const_i(B(l), ir_type_num(l->m, DT_I64), i);
            out[i] = ir_emit1a(B(l), IR_OP_extract, t, (ir_val[]){x.v, at}, 2, KEY_axis, ir_attr_int(l->m, 0));
        }
    } else {
        ir_emit(B(l), &(ir_desc){.code = IR_OP_split, .in = &x.v, .nin = 1, .types = types, .nout = 2}, out);
    }
    fv both[2] = {fv_rt(out[0]), fv_rt(out[1])};
    return fv_seq_dup(l->a, both, 2, false);
}

fv b_interleave(lower *l, bargs *g)
{
    fv x = b_join(l, g);
    int64_t shape[IR_MAX_RANK];
    if (x.kind == FV_POISON)
        return x;
    int rank = bi_shape(l, x, shape);
    shape[rank - 2] *= 2;
    return fv_rt(ir_reshape(B(l), x.v, rank - 1, shape));
}

fv b_flip(lower *l, bargs *g)
{
    fv x = arg_tile(l, g, 0);
    int64_t shape[IR_MAX_RANK], line[IR_MAX_RANK];
    int axis;
    if (x.kind == FV_POISON)
        return x;
    int rank = bi_shape(l, x, shape);
    axis = rank - 1;
    if (!arg_is_none(g, 1) && !arg_axis(l, g, 1, rank, &axis))
        return fv_poison();
    for (int i = 0; i < rank; i++)
        line[i] = i == axis ? shape[i] : 1;
    ir_type t = bi_tile(l, DT_I32, 1, &shape[axis]);
    ir_val up = ir_emit1a(B(l), IR_OP_arange, t, NULL, 0, KEY_start, ir_attr_int(l->m, 0));
    ir_val down = ir_bin(B(l), IR_OP_sub, ir_const_i(B(l), t, shape[axis] - 1), up);
    ir_val at = ir_broadcast(B(l), ir_reshape(B(l), down, rank, line), rank, shape);
    return fv_rt(
        ir_emit1a(B(l), IR_OP_gather, low_vtype(l, x), (ir_val[]){x.v, at}, 2, KEY_axis, ir_attr_int(l->m, axis)));
}
