/* roots.c: see roots.h. Depth-first; a value that was met in this round is not looked at again, which ends cycles
 * through what loops carry.
 */
#include "compiler/passes/roots.h"

void roots_init(roots *t, arena *scratch, const ir_func *f, void (*hit)(void *ctx, uint32_t param), void *ctx)
{
    *t = (roots){.f = f, .seen = ARENA_ARRAY(scratch, uint32_t, f->vals.n), .round = 1, .hit = hit, .ctx = ctx};
}

void roots_again(roots *t)
{
    t->round++;
    t->lost = false;
}

static void trace_carried(roots *t, ir_val v)
{
    const ir_func *f = t->f;
    ir_val_data d = f->vals.at[v.id];
    ir_op o = d.def.id ? d.def : f->regions.at[d.region.id].owner;
    ir_code code = ir_op_code(f, o);
    if (code == IR_OP_if) {
        roots_of(t, ir_in(f, ir_last(f, ir_op_region(f, o, 0)), d.index));
        roots_of(t, ir_in(f, ir_last(f, ir_op_region(f, o, 1)), d.index));
    } else if (code == IR_OP_for) {
        uint32_t i = d.def.id ? d.index : d.index - 1;
        roots_of(t, ir_in(f, o, 3 + i));
        roots_of(t, ir_in(f, ir_last(f, ir_op_region(f, o, 0)), i));
    } else if (code == IR_OP_while) {
        roots_of(t, ir_in(f, o, d.index));
        roots_of(t, ir_in(f, ir_last(f, ir_op_region(f, o, 1)), d.index));
    } else {
        t->lost = true;
    }
}

static void trace_result(roots *t, ir_val v, ir_op def)
{
    const ir_func *f = t->f;
    switch ((int)ir_op_code(f, def)) {
    case IR_OP_const:
    case IR_OP_undef:
        return;
    case IR_OP_select:
        roots_of(t, ir_in(f, def, 1));
        roots_of(t, ir_in(f, def, 2));
        return;
    case IR_OP_cat:
    case IR_OP_join:
        roots_of(t, ir_in(f, def, 0));
        roots_of(t, ir_in(f, def, 1));
        return;
    case IR_OP_ptr_cast:
        if (ir_type_dt(f->m, ir_vtype(f, ir_in(f, def, 0))) != DT_NONE)
            t->lost = true; /* an integer taken as an address */
        else
            roots_of(t, ir_in(f, def, 0));
        return;
    case IR_OP_splat:
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_permute:
    case IR_OP_split:
    case IR_OP_slice:
    case IR_OP_extract:
    case IR_OP_gather:
    case IR_OP_ptr_add:
    case IR_OP_hint:
    case IR_OP_tensor_make:
    case IR_OP_tensor_base:
    case IR_OP_tensor_view:
        roots_of(t, ir_in(f, def, 0));
        return;
    case IR_OP_if:
    case IR_OP_for:
    case IR_OP_while:
        trace_carried(t, v);
        return;
    default:
        t->lost = true;
        return;
    }
}

void roots_of(roots *t, ir_val v)
{
    const ir_func *f = t->f;
    if (t->seen[v.id] == t->round)
        return;
    t->seen[v.id] = t->round;
    ir_val_data d = f->vals.at[v.id];
    if (d.def.id)
        trace_result(t, v, d.def);
    else if (d.region.id == f->body.id)
        t->hit(t->ctx, d.index);
    else
        trace_carried(t, v);
}
