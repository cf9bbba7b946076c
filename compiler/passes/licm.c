/* licm.c: pass licm: what every iteration computes alike is computed once, before the loop.
 *
 * Pure ops can't fault, so those whose operands come from outside are moved however deep they stand in the body,
 * structured ops and their regions apart. A load moves only where nothing in the loop may write memory or wait for
 * another program, and where it stands in the body itself, so that it runs in every trip. If the loop may have no trips
 * at all, the load gets a mask that says so (what it gives then is used by nobody). Loops that say disable_licm keep
 * what they have.
 */
#include "compiler/passes/rewrite.h"

typedef struct licm {
    bool *moved; /* by op */
} licm;

typedef enum loads { LOADS_STAY, LOADS_GUARDED, LOADS_FREE } loads;

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
    FOR_OPS(f, r, o)
    {
        if (ir_info(f, o)->flags & (WRITE | SYNC))
            return true;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            if (writes(f, ir_op_region(f, o, i)))
                return true;
    }
    return false;
}

/* how loads may leave this loop */
static loads loads_of(rw *r, ir_op loop)
{
    int64_t lb, ub, step;
    if (ir_op_code(r->old, loop) != IR_OP_for || writes(r->old, ir_op_region(r->old, loop, 0)) ||
        !ir_const_int_of(r->f, rw_in(r, loop, 2), &step))
        return LOADS_STAY;
    if (!ir_const_int_of(r->f, rw_in(r, loop, 0), &lb) || !ir_const_int_of(r->f, rw_in(r, loop, 1), &ub))
        return LOADS_GUARDED;
    return (step > 0 ? lb < ub : lb > ub) ? LOADS_FREE : LOADS_GUARDED;
}

/* the load o with a mask that is off where the loop has no trips */
static void move_guarded(rw *r, ir_op o, ir_op loop)
{
    ir_op_data p = *ir_o(r->old, o);
    ir_attr_pair attrs[4];
    int64_t step, shape[IR_MAX_RANK];
    ir_const_int_of(r->f, rw_in(r, loop, 2), &step);
    rw_begin(r, o);
    ir_val runs = ir_cmp(&r->b, step > 0 ? IR_OP_lt : IR_OP_gt, rw_in(r, loop, 0), rw_in(r, loop, 1)), out;
    ir_type t = ir_vtype(r->old, ir_out(r->old, o, 0));
    int rank = ir_type_rank(r->f->m, t);
    for (int d = 0; d < rank; d++)
        shape[d] = ir_type_of(r->f->m, t)->shape[d];
    runs = ir_splat(&r->b, runs, rank, shape);
    ir_val in[] = {rw_in(r, o, 0), p.nin > 1 ? ir_bin(&r->b, IR_OP_and, rw_in(r, o, 1), runs) : runs,
                   p.nin > 2 ? rw_in(r, o, 2) : (ir_val){0}};
    for (uint32_t i = 0; i < p.nattr && i < COUNTOF(attrs); i++)
        attrs[i] = ir_attr_at(r->old, o, i);
    ir_emit(&r->b,
            &(ir_desc){.code = IR_OP_load,
                       .in = in,
                       .nin = p.nin > 2 ? 3 : 2,
                       .types = &t,
                       .nout = 1,
                       .attrs = attrs,
                       .nattr = p.nattr},
            &out);
    r->b.origin = 0;
    rw_set(r, o, 0, out);
}

static bool moves_as_load(const ir_func *f, ir_op o, loads how)
{
    const ir_op_info *i = ir_info(f, o);
    if (how == LOADS_STAY || !(i->flags & READ) || (i->flags & (WRITE | SYNC)) || ir_int(f, o, KEY_is_volatile, 0))
        return false;
    return how == LOADS_FREE || ir_op_code(f, o) == IR_OP_load;
}

static bool may_move(rw *r, ir_op o, ir_op loop, loads how)
{
    const licm *l = r->ctx;
    const ir_op_info *i = ir_info(r->old, o);
    if (ir_o(r->old, o)->nregions || ir_nout(r->old, o) == 0 || (i->flags & HOST))
        return false;
    if (!(i->flags & PURE) && !moves_as_load(r->old, o, how))
        return false;
    for (uint32_t k = 0; k < ir_nin(r->old, o); k++) {
        ir_val v = ir_in(r->old, o, k);
        ir_op d = ir_def(r->old, v);
        if (defined_within(r->old, v, loop) && !(d.id && l->moved[d.id]))
            return false;
    }
    return true;
}

static void hoist(rw *r, ir_region region, ir_op loop, loads how)
{
    licm *l = r->ctx;
    FOR_OPS(r->old, region, o)
    {
        ir_code code = ir_op_code(r->old, o);
        if (l->moved[o.id])
            continue;
        if (may_move(r, o, loop, how)) {
            if (how == LOADS_GUARDED && (ir_info(r->old, o)->flags & READ))
                move_guarded(r, o, loop);
            else
                rw_copy(r, o);
            l->moved[o.id] = true;
        }
        if (code == IR_OP_for || code == IR_OP_while || code == IR_OP_if)
            for (uint32_t i = 0; i < ir_o(r->old, o)->nregions; i++)
                hoist(r, ir_op_region(r->old, o, i), loop, LOADS_STAY);
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
    loads how = loads_of(r, o);
    for (uint32_t i = 0; i < ir_o(r->old, o)->nregions; i++)
        hoist(r, ir_op_region(r->old, o, i), o, how);
    return false;
}

ir_func *pass_licm(pass_ctx *c, ir_func *f)
{
    licm l = {.moved = ARENA_ARRAY(c->scratch, bool, f->ops.n)};
    rw r;
    rw_init(&r, c, f, visit, &l);
    return rw_run(&r);
}
