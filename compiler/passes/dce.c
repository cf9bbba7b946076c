/* dce.c: pass dce: what nothing needs is not copied.
 *
 * Liveness runs backwards from effects: an op with one is live, and so is the op whose region it stands in. A live
 * value makes its definition live, and of a loop's carried values each is live for itself: its initial value, the
 * body's parameter, what the body yields for it and the loop's result live and die together. The copy then leaves out
 * dead ops and dead positions.
 */
#include "compiler/passes/rewrite.h"

typedef struct live {
    const ir_func *f;
    arena *a;
    bool *val, *op;
    VEC(ir_val) work;
} live;

static void need(live *l, ir_val v)
{
    if (!l->val[v.id]) {
        l->val[v.id] = true;
        vec_push(l->a, &l->work, v);
    }
}

static void need_all(live *l, ir_op o)
{
    for (uint32_t i = 0; i < ir_nin(l->f, o); i++)
        need(l, ir_in(l->f, o, i));
}

static void need_yield(live *l, ir_region r, uint32_t i)
{
    need(l, ir_in(l->f, ir_last(l->f, r), i));
}

/* carried value i of a loop, wherever it was first found needed */
static void need_carried(live *l, ir_op o, uint32_t i)
{
    const ir_func *f = l->f;
    bool is_for = ir_op_code(f, o) == IR_OP_for;
    ir_region body = ir_op_region(f, o, is_for ? 0 : 1);
    need(l, ir_in(f, o, is_for ? 3 + i : i));
    need(l, ir_out(f, o, i));
    need(l, ir_param_of(f, body, is_for ? 1 + i : i));
    if (!is_for)
        need(l, ir_param_of(f, ir_op_region(f, o, 0), i));
    need_yield(l, body, i);
}

static void op_live(live *l, ir_op o)
{
    const ir_func *f = l->f;
    if (!o.id || l->op[o.id])
        return;
    l->op[o.id] = true;
    op_live(l, f->regions.at[ir_o(f, o)->parent.id].owner);
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_for:
        for (uint32_t i = 0; i < 3; i++)
            need(l, ir_in(f, o, i));
        return;
    case IR_OP_if:
        need(l, ir_in(f, o, 0));
        return;
    case IR_OP_while:
        need_yield(l, ir_op_region(f, o, 0), 0);
        return;
    default:
        need_all(l, o);
        for (uint32_t k = 0; k < ir_o(f, o)->nregions; k++) /* reduce, scan, map: the combine function whole */
            need_all(l, ir_last(f, ir_op_region(f, o, k)));
        return;
    }
}

static void value_live(live *l, ir_val v)
{
    const ir_func *f = l->f;
    ir_val_data d = f->vals.at[v.id];
    ir_op o = d.def.id ? d.def : f->regions.at[d.region.id].owner;
    if (!o.id)
        return; /* a parameter of the function */
    op_live(l, o);
    ir_code code = ir_op_code(f, o);
    if (code == IR_OP_if && d.def.id) {
        need_yield(l, ir_op_region(f, o, 0), d.index);
        need_yield(l, ir_op_region(f, o, 1), d.index);
    } else if (code == IR_OP_for && (d.def.id || d.index > 0)) {
        need_carried(l, o, d.def.id ? d.index : d.index - 1);
    } else if (code == IR_OP_while) {
        need_carried(l, o, d.index);
    }
}

static bool has_effect(const ir_func *f, ir_op o)
{
    const ir_op_info *i = ir_info(f, o);
    return (i->flags & (WRITE | SYNC)) || i == &ir_ops[IR_OP_call] || i == &ir_ops[IR_OP_return] ||
           ir_int(f, o, KEY_is_volatile, 0);
}

static void find_roots(live *l, ir_region r)
{
    FOR_OPS(l->f, r, o)
    {
        if (has_effect(l->f, o))
            op_live(l, o);
        for (uint32_t i = 0; i < ir_o(l->f, o)->nregions; i++)
            find_roots(l, ir_op_region(l->f, o, i));
    }
}

/* ---- the copy: structured ops lose their dead positions ---- */
static bool keeps(const live *l, ir_op o, uint32_t i)
{
    return l->val[ir_out(l->f, o, i).id];
}

static void yield_kept(rw *r, ir_op o, ir_region region)
{
    const live *l = r->ctx;
    uint32_t n = ir_nout(r->old, o), k = 0;
    ir_val *v = ARENA_ARRAY(r->c->scratch, ir_val, n ? n : 1);
    ir_op y = ir_last(r->old, region);
    for (uint32_t i = 0; i < n; i++)
        if (keeps(l, o, i))
            v[k++] = rw_in(r, y, i);
    rw_begin(r, y);
    ir_yield(&r->b, v, k);
}

/* a region with the parameters of kept positions; `lead` parameters come before the carried ones */
static ir_region kept_region(rw *r, ir_op o, ir_region region, uint32_t lead, bool yields_all)
{
    const live *l = r->ctx;
    ir_region now = ir_region_new(r->f);
    for (uint32_t i = 0; i < ir_nparams(r->old, region); i++) {
        ir_val v = ir_param_of(r->old, region, i);
        if (i < lead || keeps(l, o, i - lead))
            ir_map_set(&r->map, v, ir_region_param(r->f, now, ir_vtype(r->old, v)));
    }
    ir_push(&r->b, now);
    rw_ops(r, region);
    if (yields_all)
        rw_op(r, ir_last(r->old, region));
    else
        yield_kept(r, o, region);
    ir_pop(&r->b);
    return now;
}

static void copy_structured(rw *r, ir_op o)
{
    const live *l = r->ctx;
    ir_op_data p = *ir_o(r->old, o);
    uint32_t n = p.nout, k = 0, fixed = p.code == IR_OP_for ? 3 : p.code == IR_OP_if ? 1 : 0;
    ir_val *in = ARENA_ARRAY(r->c->scratch, ir_val, fixed + n), *out = ARENA_ARRAY(r->c->scratch, ir_val, n ? n : 1);
    ir_type *types = ARENA_ARRAY(r->c->scratch, ir_type, n ? n : 1);
    ir_attr_pair attrs[16];
    ir_region regions[2];
    for (uint32_t i = 0; i < p.nregions; i++)
        regions[i] =
            kept_region(r, o, ir_op_region(r->old, o, i), p.code == IR_OP_for ? 1 : 0, p.code == IR_OP_while && i == 0);
    for (uint32_t i = 0; i < fixed; i++)
        in[i] = rw_in(r, o, i);
    for (uint32_t i = 0; i < n; i++)
        if (keeps(l, o, i)) {
            if (p.code != IR_OP_if)
                in[fixed + k] = rw_in(r, o, fixed + i);
            types[k++] = ir_vtype(r->old, ir_out(r->old, o, i));
        }
    for (uint32_t i = 0; i < p.nattr && i < COUNTOF(attrs); i++)
        attrs[i] = ir_attr_at(r->old, o, i);
    rw_begin(r, o);
    ir_emit(&r->b,
            &(ir_desc){.code = (ir_code)p.code,
                       .in = in,
                       .nin = fixed + (p.code == IR_OP_if ? 0 : k),
                       .types = types,
                       .nout = k,
                       .attrs = attrs,
                       .nattr = p.nattr,
                       .regions = regions,
                       .nregions = p.nregions},
            out);
    r->b.origin = 0;
    for (uint32_t i = 0, j = 0; i < n; i++)
        if (keeps(l, o, i))
            rw_set(r, o, i, out[j++]);
}

static bool visit(rw *r, ir_op o)
{
    const live *l = r->ctx;
    if (ir_info(r->old, o)->flags & TERM)
        return false;
    if (!l->op[o.id])
        return true;
    ir_code code = ir_op_code(r->old, o);
    if (code != IR_OP_for && code != IR_OP_if && code != IR_OP_while)
        return false;
    copy_structured(r, o);
    return true;
}

ir_func *pass_dce(pass_ctx *c, ir_func *f)
{
    live l = {.f = f, .a = c->scratch};
    rw r;
    l.val = ARENA_ARRAY(c->scratch, bool, f->vals.n);
    l.op = ARENA_ARRAY(c->scratch, bool, f->ops.n);
    find_roots(&l, f->body);
    while (l.work.n)
        value_live(&l, vec_pop(&l.work));
    rw_init(&r, c, f, visit, &l);
    return rw_run(&r);
}
