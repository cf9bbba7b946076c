/* licm.c: pass licm: what every iteration computes alike is computed once, before the loop.
 *
 * Pure ops can't fault, so those whose operands come from outside are moved however deep they stand in the body, structured ops
 * and their regions apart. A load moves only where it would run at least once anyway (it stands in the body itself, and the trip
 * count is known to be positive) and nothing in the loop may write memory or wait for another program. Loops that say
 * disable_licm keep what they have.
 */
#include "compiler/passes/rewrite.h"

typedef struct licm {
    bool *moved;     /* by op */
} licm;

static bool region_within(const ir_func *f, ir_region r, ir_op loop)
{
    for (;;) {
        ir_op owner = f->regions.at[r.id].owner;
        if (!owner.id)
            return false;
        if (owner.id == loop.id)
            return true;
        r = ir_o(f, owner)->parent;
    }
}

static bool defined_within(const ir_func *f, ir_val v, ir_op loop)
{
    ir_val_data d = f->vals.at[v.id];
    return region_within(f, d.def.id ? ir_o(f, d.def)->parent : d.region, loop);
}

static bool writes(const ir_func *f, ir_region r)
{
    FOR_OPS(f, r, o) {
        if (ir_info(f, o)->flags & (WRITE | SYNC))
            return true;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            if (writes(f, ir_op_region(f, o, i)))
                return true;
    }
    return false;
}

static bool surely_runs(const rw *r, ir_op loop)
{
    int64_t lb, ub, step;
    const ir_func *f = r->f;
    if (ir_op_code(r->old, loop) != IR_OP_for)
        return false;
    ir_map *m = (ir_map *)&r->map;
    if (!ir_const_int_of(f, ir_map_get(m, ir_in(r->old, loop, 0)), &lb) || !ir_const_int_of(f, ir_map_get(m, ir_in(r->old, loop, 1)), &ub) ||
        !ir_const_int_of(f, ir_map_get(m, ir_in(r->old, loop, 2)), &step))
        return false;
    return step > 0 ? lb < ub : lb > ub;
}

static bool may_move(rw *r, ir_op o, ir_op loop, bool loads)
{
    const licm *l = r->ctx;
    const ir_op_info *i = ir_info(r->old, o);
    if (ir_o(r->old, o)->nregions || ir_nout(r->old, o) == 0 || (i->flags & HOST))
        return false;
    if (!(i->flags & PURE) && !(loads && (i->flags & READ) && !(i->flags & (WRITE | SYNC)) && !ir_int(r->old, o, KEY_is_volatile, 0)))
        return false;
    for (uint32_t k = 0; k < ir_nin(r->old, o); k++) {
        ir_val v = ir_in(r->old, o, k);
        ir_op d = ir_def(r->old, v);
        if (defined_within(r->old, v, loop) && !(d.id && l->moved[d.id]))
            return false;
    }
    return true;
}

static void hoist(rw *r, ir_region region, ir_op loop, bool loads)
{
    licm *l = r->ctx;
    FOR_OPS(r->old, region, o) {
        ir_code code = ir_op_code(r->old, o);
        if (l->moved[o.id])
            continue;
        if (may_move(r, o, loop, loads)) {
            rw_copy(r, o);
            l->moved[o.id] = true;
        }
        if (code == IR_OP_for || code == IR_OP_while || code == IR_OP_if)
            for (uint32_t i = 0; i < ir_o(r->old, o)->nregions; i++)
                hoist(r, ir_op_region(r->old, o, i), loop, false);
    }
}

static bool visit(rw *r, ir_op o)
{
    const licm *l = r->ctx;
    ir_code code = ir_op_code(r->old, o);
    if (l->moved[o.id])
        return true;
    if ((code != IR_OP_for && code != IR_OP_while) || ir_int(r->old, o, KEY_disable_licm, 0))
        return false;
    bool loads = surely_runs(r, o) && !writes(r->old, ir_op_region(r->old, o, 0));
    for (uint32_t i = 0; i < ir_o(r->old, o)->nregions; i++)
        hoist(r, ir_op_region(r->old, o, i), o, loads);
    return false;
}

ir_func *pass_licm(pass_ctx *c, ir_func *f)
{
    licm l = {.moved = ARENA_ARRAY(c->scratch, bool, f->ops.n)};
    rw r;
    rw_init(&r, c, f, visit, &l);
    return rw_run(&r);
}
