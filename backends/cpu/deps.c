/* deps.c: what a value reads, seen through everything that is recomputed on demand.
 *
 * The walk stops at DATA and CARRIED values. "At the reader's own index" survives elementwise ops of the reader's shape
 * and is lost at views, so a nest may keep in registers exactly what it reads at its own index.
 */
#include "backends/cpu/plan.h"

void plan_visit_init(plan_visit *w, const plan *p, void (*fn)(plan_visit *, ir_val, bool), void *ctx)
{
    *w = (plan_visit){.p = p, .fn = fn, .ctx = ctx, .stamp = ARENA_ARRAY(p->a, uint32_t, (size_t)p->f->vals.n * 2)};
}

static bool keeps_index(ir_code code, uint32_t operand)
{
    if (code == IR_OP_hint || (ir_ops[code].flags & ELT))
        return true;
    return code == IR_OP_gather && operand == 1;
}

static void walk(plan_visit *w, ir_val v, bool ident)
{
    const plan *p = w->p;
    const ir_func *f = p->f;
    uint32_t *stamp = &w->stamp[v.id * 2 + ident];
    if (*stamp == w->now)
        return;
    *stamp = w->now;
    const plan_val *x = &p->v[v.id];
    if (x->cls == VC_DATA || x->cls == VC_CARRIED) {
        w->fn(w, v, ident);
        return;
    }
    if (x->cls == VC_SHIFT) {
        walk(w, x->init, ident);
        return;
    }
    ir_op o = ir_def(f, v);
    if (!o.id || (ir_info(f, o)->flags & CTRL))
        return;
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        walk(w, ir_in(f, o, i), ident && keeps_index(ir_op_code(f, o), i));
}

void plan_visit_value(plan_visit *w, ir_val v, bool ident)
{
    w->now++;
    walk(w, v, ident);
}

static void walk_free(plan_visit *w, ir_region r)
{
    const ir_func *f = w->p->f;
    FOR_OPS(f, r, o)
    {
        for (uint32_t i = 0; i < ir_nin(f, o); i++)
            if (w->p->v[ir_in(f, o, i).id].cls != VC_NONE)
                walk(w, ir_in(f, o, i), false);
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            walk_free(w, ir_op_region(f, o, i));
    }
}

void plan_visit_op(plan_visit *w, ir_op o)
{
    const ir_func *f = w->p->f;
    ir_code code = ir_op_code(f, o);
    w->now++;
    for (uint32_t i = 0; i < ir_nin(f, o); i++) {
        bool nest = (ir_info(f, o)->flags & ELT) || code == IR_OP_map ||
                    (code == IR_OP_reduce && !plan_is_whole(f, o) && !plan_is_products(f, o));
        walk(w, ir_in(f, o, i), nest || (code == IR_OP_dot && i == 2));
    }
    if (code == IR_OP_map || code == IR_OP_reduce || code == IR_OP_scan)
        walk_free(w, ir_op_region(f, o, 0));
}
