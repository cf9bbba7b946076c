/* specialise.c: pass specialise: what a launch is known to satisfy goes into the parameters; and what the kernel writes.
 *
 * Known integers become constants (the parameter stays, unused), multiples, ranges and alignments stand on the ir_param for the
 * analyses to read. A tensor whose last stride is known to be 1 has it so. Asserts go unless the kernel is checked. Then every
 * store and atomic is traced to the parameters its address can come from: those are PARAM_WRITTEN; where the trace is lost
 * (an address loaded from memory), all pointers are.
 */
#include "compiler/passes/rewrite.h"

static void take_facts(rw *r, uint32_t i, const spec_fact *s)
{
    ir_param *p = &r->f->params.at[i];
    ir_val v = ir_param_of(r->f, r->f->body, i);
    if (s->align > p->align)
        p->align = s->align;
    if (s->div > p->div)
        p->div = s->div;
    if (s->lo <= s->hi && (s->lo || s->hi)) {
        p->lo = s->lo;
        p->hi = s->hi;
    }
    if (s->is_one || s->is_known) {
        ir_val k = ir_const_i(&r->b, ir_vtype(r->f, v), s->is_one ? 1 : s->value);
        ir_map_set(&r->map, ir_param_of(r->old, r->old->body, i), k);
    }
}

/* ---- what is written ---- */
typedef struct trace {
    ir_func *f;
    bool *seen; /* by value */
    bool lost;
} trace;

static void mark(trace *t, ir_val v);

static void mark_carried(trace *t, ir_val v)
{
    const ir_func *f = t->f;
    ir_val_data d = f->vals.at[v.id];
    ir_op o = d.def.id ? d.def : f->regions.at[d.region.id].owner;
    ir_code code = ir_op_code(f, o);
    if (code == IR_OP_if) {
        mark(t, ir_in(f, ir_last(f, ir_op_region(f, o, 0)), d.index));
        mark(t, ir_in(f, ir_last(f, ir_op_region(f, o, 1)), d.index));
    } else if (code == IR_OP_for) {
        uint32_t i = d.def.id ? d.index : d.index - 1;
        mark(t, ir_in(f, o, 3 + i));
        mark(t, ir_in(f, ir_last(f, ir_op_region(f, o, 0)), i));
    } else if (code == IR_OP_while) {
        mark(t, ir_in(f, o, d.index));
        mark(t, ir_in(f, ir_last(f, ir_op_region(f, o, 1)), d.index));
    } else {
        t->lost = true;
    }
}

static void mark(trace *t, ir_val v)
{
    ir_func *f = t->f;
    if (t->seen[v.id])
        return;
    t->seen[v.id] = true;
    ir_val_data d = f->vals.at[v.id];
    if (!d.def.id && d.region.id == f->body.id) {
        f->params.at[d.index].flags |= PARAM_WRITTEN;
        return;
    }
    if (!d.def.id) {
        mark_carried(t, v);
        return;
    }
    switch ((int)ir_op_code(f, d.def)) {
    case IR_OP_const:
    case IR_OP_undef:
        return;
    case IR_OP_select:
        mark(t, ir_in(f, d.def, 1));
        mark(t, ir_in(f, d.def, 2));
        return;
    case IR_OP_cat:
    case IR_OP_join:
        mark(t, ir_in(f, d.def, 0));
        mark(t, ir_in(f, d.def, 1));
        return;
    case IR_OP_ptr_cast:
        if (ir_type_dt(f->m, ir_vtype(f, ir_in(f, d.def, 0))) != DT_NONE) {
            t->lost = true; /* an integer taken as an address */
            return;
        }
        mark(t, ir_in(f, d.def, 0));
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
        mark(t, ir_in(f, d.def, 0));
        return;
    case IR_OP_if:
    case IR_OP_for:
    case IR_OP_while:
        mark_carried(t, v);
        return;
    default:
        t->lost = true;
        return;
    }
}

static void mark_written(ir_func *f, arena *scratch)
{
    trace t = {.f = f, .seen = ARENA_ARRAY(scratch, bool, f->vals.n)};
    for (uint32_t o = 1; o < f->ops.n; o++) {
        const ir_op_info *i = ir_info(f, (ir_op){o});
        if ((i->flags & WRITE) && f->ops.at[o].parent.id)
            mark(&t, ir_in(f, (ir_op){o}, 0));
    }
    for (uint32_t i = 0; t.lost && i < f->params.n; i++) {
        ir_type_kind k = ir_type_of(f->m, ir_vtype(f, ir_param_of(f, f->body, i)))->kind;
        if (k == TK_PTR || k == TK_TENSOR)
            f->params.at[i].flags |= PARAM_WRITTEN;
    }
}

static bool visit(rw *r, ir_op o)
{
    ir_code code = ir_op_code(r->old, o);
    if (code == IR_OP_assert && !r->c->opt->checked)
        return true;
    if (code != IR_OP_tensor_stride || !r->c->opt->facts)
        return false;
    /* the last stride of a parameter known to be contiguous */
    ir_val_data d = r->old->vals.at[ir_in(r->old, o, 0).id];
    if (d.def.id || d.region.id != r->old->body.id || !r->c->opt->facts[d.index].stride_one)
        return false;
    if (ir_int(r->old, o, KEY_dim, 0) != ir_type_of(r->f->m, d.type)->rank - 1)
        return false;
    rw_set(r, o, 0, ir_const_i(&r->b, ir_type_num(r->f->m, DT_I64), 1));
    return true;
}

ir_func *pass_specialise(pass_ctx *c, ir_func *f)
{
    rw r;
    rw_init(&r, c, f, visit, NULL);
    for (uint32_t i = 0; c->opt->facts && f->kind == FUNC_KERNEL && i < f->params.n; i++)
        take_facts(&r, i, &c->opt->facts[i]);
    ir_func *now = rw_run(&r);
    mark_written(now, c->scratch);
    return now;
}
