/* builtins_facts.c: what is said about a program rather than computed by it: compile-time checks, promises, lengths. */
#include "frontend/builtins_impl.h"

fv b_static_assert(lower *l, bargs *g)
{
    fv c = g->v[0];
    if (fv_is_runtime(c))
        return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a compile-time bool", STR_ARG(low_say(l, c)));
    c = low_condition(l, c, g->where[0], g->name);
    if (c.kind != FV_NUM || const_truth(c.num))
        return fv_none();
    str msg = g->v[1].kind == FV_STR ? g->v[1].s : S("");
    if (msg.n)
        return low_error(l, D_STATIC_ASSERT_MSG, g->at, STR_ARG(msg));
    return low_error(l, D_STATIC_ASSERT, g->at);
}

fv b_assume(lower *l, bargs *g)
{
    fv c = low_condition(l, g->v[0], g->where[0], g->name);
    if (c.kind == FV_NUM && !const_truth(c.num))
        return low_error(l, D_ASSUME_FALSE, g->at);
    if (c.kind == FV_RT)
        ir_emit0(B(l), IR_OP_assume, &c.v, 1);
    return fv_none();
}

fv b_len(lower *l, bargs *g)
{
    fv x = g->v[0];
    if (x.kind == FV_SEQ)
        return fv_int(x.seq.n);
    if (x.kind == FV_STR)
        return fv_int((i128)x.s.n);
    if (x.kind == FV_RT && low_rank(l, x))
        return fv_int(low_info(l, x)->shape[0]);
    return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a tuple, list or tile", STR_ARG(low_say(l, x)));
}

fv b_combine(lower *l, bargs *g)
{
    fv accs[BARGS_MAX];
    uint32_t n = g->nvar;
    if (n < 1 || n > BARGS_MAX)
        return low_error(l, D_TILE_COUNT, g->at, g->name, BARGS_MAX, n);
    for (uint32_t i = 0; i < n; i++)
        accs[i] = g->var[i].v;
    return low_combine(l, accs, n, g->at);
}
