/* plan.c: the plan of a kernel, made in four walks: classes, steps, positions and liveness, buffers.
 */
#include "backends/cpu/plan.h"

int64_t plan_elem_bytes(const ir_func *f, ir_type t)
{
    return ir_type_is_ptr(f->m, t) ? 8 : dt_bytes(ir_type_dt(f->m, t));
}

/* a loop that reads what others may write can wait for another program */
static bool region_spins(const ir_func *f, ir_region r, bool in_while)
{
    FOR_OPS(f, r, o)
    {
        ir_code code = ir_op_code(f, o);
        bool shared = code == IR_OP_atomic_rmw || code == IR_OP_atomic_cas || ir_int(f, o, KEY_is_volatile, 0);
        if (in_while && shared)
            return true;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            if (region_spins(f, ir_op_region(f, o, i), in_while || code == IR_OP_while))
                return true;
    }
    return false;
}

plan *plan_build(arena *a, const ir_func *f)
{
    plan *p = ARENA_NEW(a, plan);
    p->a = a;
    p->f = f;
    p->v = ARENA_ARRAY(a, plan_val, f->vals.n);
    p->seq = ARENA_ARRAY(a, uint32_t, f->ops.n);
    p->nuse = ARENA_ARRAY(a, uint32_t, f->vals.n);
    plan_classify(p);
    p->body = ARENA_NEW(a, plan_region);
    p->body->r = f->body;
    plan_place(p, p->body);
    plan_buffers(p);
    p->spins = region_spins(f, f->body, false);
    return p;
}
