/* specialise.c: pass specialise: what a launch is known to satisfy goes into the parameters; and what the kernel
 * writes.
 *
 * Known integers become constants (the parameter stays, unused), multiples, ranges and alignments stand on the ir_param
 * for the analyses to read. A tensor whose last stride is known to be 1 is made anew with that stride; one that begins
 * where an earlier argument does is made of that argument's base, so that both are one buffer to every later pass.
 * Asserts go unless the kernel is checked. Then every store and atomic is traced to the parameters its address can come
 * from: those are PARAM_WRITTEN; where the trace is lost (an address loaded from memory), all pointers are.
 */
#include "compiler/guards.h"
#include "compiler/passes/rewrite.h"
#include "compiler/passes/roots.h"

/* the address in parameter i: of a pointer itself, of a tensor its base */
static ir_val base_of(rw *r, uint32_t i)
{
    ir_val v = ir_param_of(r->f, r->f->body, i);
    const ir_type_info *t = ir_type_of(r->f->m, ir_vtype(r->f, v));
    return t->kind == TK_PTR ? v : ir_emit1(&r->b, IR_OP_tensor_base, ir_type_ptr(r->f->m, t->elem), &v, 1);
}

/* tensor v with this base and, where asked, a last stride of 1 */
static ir_val remade(rw *r, ir_val v, ir_val base, bool stride_one)
{
    ir_module *m = r->f->m;
    ir_type t = ir_vtype(r->f, v), i64 = ir_type_num(m, DT_I64);
    int rank = ir_type_of(m, t)->rank;
    ir_val in[1 + 2 * IR_MAX_TENSOR_RANK] = {base};
    for (int d = 0; d < rank; d++) {
        in[1 + d] = ir_emit1a(&r->b, IR_OP_tensor_dim, i64, &v, 1, KEY_dim, ir_attr_int(m, d));
        in[1 + rank + d] = stride_one && d == rank - 1
                               ? ir_const_i(&r->b, i64, 1)
                               : ir_emit1a(&r->b, IR_OP_tensor_stride, i64, &v, 1, KEY_dim, ir_attr_int(m, d));
    }
    return ir_emit1(&r->b, IR_OP_tensor_make, t, in, 1 + 2 * (uint32_t)rank);
}

static void take_address(rw *r, uint32_t i, const spec_fact *s)
{
    ir_val v = ir_param_of(r->f, r->f->body, i);
    const ir_type_info *t = ir_type_of(r->f->m, ir_vtype(r->f, v));
    bool same = s->same_as >= 0 && s->same_as < (int)i, tensor = t->kind == TK_TENSOR;
    bool one = tensor && t->strided && s->stride_one;
    if ((!same && !one) || (!tensor && t->kind != TK_PTR))
        return;
    ir_val base = base_of(r, same ? (uint32_t)s->same_as : i);
    ir_type want = tensor ? ir_type_ptr(r->f->m, ir_type_of(r->f->m, ir_vtype(r->f, v))->elem) : ir_vtype(r->f, v);
    base = ir_emit1(&r->b, IR_OP_ptr_cast, want, &base, 1);
    ir_map_set(&r->map, ir_param_of(r->old, r->old->body, i), tensor ? remade(r, v, base, one) : base);
}

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
    take_address(r, i, s);
}

static void mark(void *ctx, uint32_t param)
{
    ((ir_func *)ctx)->params.at[param].flags |= PARAM_WRITTEN;
}

static void mark_written(ir_func *f, arena *scratch)
{
    roots t;
    roots_init(&t, scratch, f, mark, f);
    for (uint32_t o = 1; o < f->ops.n; o++) {
        const ir_op_info *i = ir_info(f, (ir_op){o});
        if ((i->flags & WRITE) && f->ops.at[o].parent.id)
            roots_of(&t, ir_in(f, (ir_op){o}, 0));
    }
    for (uint32_t i = 0; t.lost && i < f->params.n; i++) {
        ir_type_kind k = ir_type_of(f->m, ir_vtype(f, ir_param_of(f, f->body, i)))->kind;
        if (k == TK_PTR || k == TK_TENSOR)
            f->params.at[i].flags |= PARAM_WRITTEN;
    }
}

static bool visit(rw *r, ir_op o)
{
    return ir_op_code(r->old, o) == IR_OP_assert && !r->c->opt->checked;
}

static ir_func *run(pass_ctx *c, ir_func *f, const spec_fact *facts)
{
    rw r;
    rw_init(&r, c, f, visit, NULL);
    for (uint32_t i = 0; facts && f->kind == FUNC_KERNEL && i < f->params.n; i++)
        take_facts(&r, i, &facts[i]);
    ir_func *now = rw_run(&r);
    mark_written(now, c->scratch);
    return now;
}

/* The index guards that this launch met were derived from the kernel without its facts: they are put into the module
 * for pass narrow to ask. */
static void put_guards(pass_ctx *c, ir_func *f)
{
    static const pass_options plain = {.checked = true};
    pass_ctx d = *c;
    d.opt = &plain;
    axis_guards(&d, pass_fold(&d, run(&d, f, NULL)), NULL);
}

ir_func *pass_specialise(pass_ctx *c, ir_func *f)
{
    if (c->opt->narrow && f->kind == FUNC_KERNEL)
        put_guards(c, f);
    return run(c, f, c->opt->facts);
}
