/* builtins_shape.c: other extents, other order; the elements stay. */
#include "frontend/builtins_impl.h"

/* argument i and what followed it, so that reshape(x, 4, 8) reads as reshape(x, [4, 8]) */
static void gather_more(lower *l, bargs *g, int i)
{
    if (g->v[i].kind == FV_SEQ || !g->nvar)
        return;
    fv *el = ARENA_ARRAY(l->a, fv, g->nvar + 1);
    el[0] = g->v[i];
    for (uint32_t k = 0; k < g->nvar; k++)
        el[k + 1] = g->var[k].v;
    g->v[i] = fv_seq_of(el, g->nvar + 1, true);
}

fv b_reshape(lower *l, bargs *g)
{
    fv x = arg_value(l, g, 0);
    int rank;
    int64_t shape[IR_MAX_RANK], count = 1;
    gather_more(l, g, 1);
    if (x.kind == FV_POISON || !arg_shape(l, g, 1, &rank, shape))
        return fv_poison();
    for (int i = 0; i < rank; i++)
        count *= shape[i];
    if (count != ir_type_count(l->m, low_vtype(l, x)))
        return low_error(l, D_RESHAPE, g->at, STR_ARG(low_say(l, x)), (long long)ir_type_count(l->m, low_vtype(l, x)),
                         (long long)count);
    if (!low_rank(l, x))
        return low_broadcast(l, x, rank, shape, g->at);
    return fv_rt(ir_reshape(B(l), x.v, rank, shape));
}

static fv permuted(lower *l, bargs *g, fv x, const int64_t *order)
{
    const ir_type_info *ti = low_info(l, x);
    int64_t shape[IR_MAX_RANK];
    for (int i = 0; i < ti->rank; i++)
        shape[i] = ti->shape[order[i]];
    int rank = ti->rank;
    ir_type t = ir_type_with_shape(l->m, low_vtype(l, x), rank, shape);
    (void)g;
    return fv_rt(ir_emit1a(B(l), IR_OP_permute, t, &x.v, 1, KEY_order, ir_attr_ints(l->m, order, (uint32_t)rank)));
}

fv b_permute(lower *l, bargs *g)
{
    fv x = arg_tile(l, g, 0);
    if (x.kind == FV_POISON)
        return x;
    gather_more(l, g, 1);
    int rank = low_rank(l, x);
    fv dims = g->v[1];
    int64_t order[IR_MAX_RANK];
    unsigned seen = 0;
    if (dims.kind != FV_SEQ || (int)dims.seq.n != rank)
        return low_error(l, D_PERMUTE, g->where[1], rank, STR_ARG(low_say(l, dims)));
    for (int i = 0; i < rank; i++) {
        bargs one = *g;
        one.v[1] = dims.seq.at[i];
        int axis;
        if (!arg_axis(l, &one, 1, rank, &axis))
            return fv_poison();
        order[i] = axis;
        seen |= 1u << axis;
    }
    if (seen != (1u << rank) - 1)
        return low_error(l, D_PERMUTE, g->where[1], rank, STR_ARG(S("a repeated dimension")));
    return permuted(l, g, x, order);
}

fv b_trans(lower *l, bargs *g)
{
    if (g->nvar) {
        bargs p = *g;
        p.v[1] = g->var[0].v;
        p.where[1] = g->var[0].at;
        p.var = g->var + 1;
        p.nvar = g->nvar - 1;
        p.n = 2;
        return b_permute(l, &p);
    }
    fv x = arg_tile(l, g, 0);
    if (x.kind == FV_POISON)
        return x;
    return bi_transpose(l, x, g->at);
}

fv bi_transpose(lower *l, fv x, span at)
{
    int rank = low_rank(l, x);
    int64_t order[IR_MAX_RANK];
    if (rank < 2)
        return low_error(l, D_TRANSPOSE, at, STR_ARG(low_say(l, x)));
    for (int i = 0; i < rank; i++)
        order[i] = i;
    order[rank - 1] = rank - 2;
    order[rank - 2] = rank - 1;
    return permuted(l, NULL, x, order);
}
