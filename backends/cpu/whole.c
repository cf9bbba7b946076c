/* whole.c: ops on complete tiles: join, cat, sort, histogram, and what the others share.
 *
 * An operand that isn't a buffer already is written into the step's temporary first. Joining and concatenating are
 * copies with other strides. Sorting and counting are calls of rt_ops.c.
 */
#include "backends/cpu/cpu.h"

static void row_major(const ir_type_info *t, int64_t *stride)
{
    int64_t s = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        stride[d] = s;
        s *= t->shape[d];
    }
}

static const ir_type_info *type_of(kern *k, ir_val v)
{
    return ir_type_of(k->f->m, ir_vtype(k->f, v));
}

lval whole_operand(kern *k, const plan_step *s, uint32_t i)
{
    ir_val v = ir_in(k->f, s->op, i);
    int64_t stride[IR_MAX_RANK];
    if (s->temps.at[i] < 0)
        return buffer_address(k, k->p->v[v.id].buffer);
    row_major(type_of(k, v), stride);
    nest_enter(k->n, -1);
    nest_copy(k, v, ir_type_dt(k->f->m, ir_vtype(k->f, v)), buffer_address(k, s->temps.at[i]), stride, 0);
    nest_enter(k->n, -1);
    return buffer_address(k, s->temps.at[i]);
}

static lval result_buffer(kern *k, ir_val v)
{
    return buffer_address(k, k->p->v[v.id].buffer);
}

static void join(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    ir_val out = ir_out(f, s->op, 0);
    int64_t stride[IR_MAX_RANK];
    row_major(type_of(k, out), stride);
    for (uint32_t i = 0; i < 2; i++) {
        nest_enter(k->n, -1);
        nest_copy(k, ir_in(f, s->op, i), type_of(k, out)->dt, result_buffer(k, out), stride, i);
    }
}

static void cat(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    ir_val out = ir_out(f, s->op, 0);
    int64_t along = ir_int(f, s->op, KEY_axis, 0), stride[IR_MAX_RANK], at = 0;
    row_major(type_of(k, out), stride);
    for (uint32_t i = 0; i < 2; i++) {
        ir_val x = ir_in(f, s->op, i);
        nest_enter(k->n, -1);
        nest_copy(k, x, type_of(k, out)->dt, result_buffer(k, out), stride, at * stride[along]);
        at += type_of(k, x)->shape[along];
    }
}

void whole_split(const ir_type_info *t, int64_t along, int64_t *outer, int64_t *n, int64_t *inner)
{
    *outer = *inner = 1;
    *n = t->shape[along];
    for (int d = 0; d < t->rank; d++) {
        if (d < along)
            *outer *= t->shape[d];
        if (d > along)
            *inner *= t->shape[d];
    }
}

static void sort(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    uint32_t n = ir_nin(f, s->op);
    int64_t outer, len, inner;
    const ir_type_info *t = type_of(k, ir_in(f, s->op, 0));
    whole_split(t, ir_int(f, s->op, KEY_axis, 0), &outer, &len, &inner);
    int64_t keep = ir_int(f, s->op, KEY_k, len);
    lval *in = ARENA_ARRAY(k->a, lval, n);
    for (uint32_t i = 0; i < n; i++)
        in[i] = whole_operand(k, s, i);
    lval order = buffer_address(k, s->temps.at[n]);
    for (uint32_t i = 0; i < n; i++) {
        lval args[] = {result_buffer(k, ir_out(f, s->op, i)),
                       in[i],
                       cg_i64(c, plan_elem_bytes(f, ir_vtype(f, ir_in(f, s->op, i)))),
                       in[0],
                       cg_i64(c, t->dt),
                       cg_i64(c, outer),
                       cg_i64(c, len),
                       cg_i64(c, inner),
                       cg_i64(c, keep),
                       cg_i64(c, ir_int(f, s->op, KEY_descending, 0)),
                       order};
        cpu_call(c, "tile_rt_sort", args, COUNTOF(args));
    }
}

static void histogram(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_val out = ir_out(f, s->op, 0), x = ir_in(f, s->op, 0);
    lval data = whole_operand(k, s, 0);
    lval mask = ir_nin(f, s->op) > 1 ? whole_operand(k, s, 1) : LLVMConstNull(c->ptr);
    lval args[] = {result_buffer(k, out),        cg_i64(c, type_of(k, out)->shape[0]), data,
                   cg_i64(c, type_of(k, x)->dt), cg_i64(c, type_of(k, x)->shape[0]),   mask};
    cpu_call(c, "tile_rt_histogram", args, COUNTOF(args));
}

lval cpu_call(cg *c, const char *name, const lval *args, uint32_t n)
{
    lval own[16], f = LLVMGetNamedFunction(c->mod, name);
    lty types[16];
    for (uint32_t i = 0; i < n; i++) {
        own[i] = args[i];
        types[i] = LLVMTypeOf(args[i]);
    }
    lty t = LLVMFunctionType(c->i64, types, n, false);
    if (!f) {
        f = LLVMAddFunction(c->mod, name, t);
        cg_attr(c, f, "nounwind", NULL);
    }
    return LLVMBuildCall2(c->b, t, f, own, n, "");
}

loop loop_begin(cg *c, lval from, lval to, int64_t step)
{
    loop l = {.head = cg_block(c, "for"), .body = cg_block(c, "for.body"), .exit = cg_block(c, "for.exit")};
    lblock here = cg_here(c);
    LLVMBuildBr(c->b, l.head);
    cg_at(c, l.head);
    l.i = LLVMBuildPhi(c->b, c->i64, "");
    LLVMAddIncoming(l.i, &from, &here, 1);
    l.step = cg_i64(c, step);
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSLT, l.i, to), l.body, l.exit);
    cg_at(c, l.body);
    return l;
}

void loop_end(cg *c, loop *l)
{
    lval next = LLVMBuildAdd(c->b, l->i, l->step, "");
    lblock here = cg_here(c);
    LLVMAddIncoming(l->i, &next, &here, 1);
    LLVMBuildBr(c->b, l->head);
    cg_at(c, l->exit);
}

void whole_emit(kern *k, int step)
{
    const plan_step *s = &k->p->steps.at[step];
    const ir_func *f = k->f;
    cg_debug_loc(k->c, f->m, ir_o(f, s->op)->loc);
    for (uint32_t i = 0; i < ir_o(f, s->op)->nregions; i++)
        region_prepare(k, ir_op_region(f, s->op, i));
    nest_enter(k->n, -1);
    switch (ir_op_code(f, s->op)) {
    case IR_OP_join:
        join(k, s);
        break;
    case IR_OP_cat:
        cat(k, s);
        break;
    case IR_OP_sort:
        sort(k, s);
        break;
    case IR_OP_histogram:
        histogram(k, s);
        break;
    case IR_OP_dot:
        whole_dot(k, s);
        break;
    case IR_OP_scan:
        whole_scan(k, s);
        break;
    case IR_OP_reduce:
        whole_reduce(k, s);
        break;
    default:
        bug("op '%s' as a whole", ir_info(f, s->op)->name);
    }
    nest_leave(k->n, -1);
}
