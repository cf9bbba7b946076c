/* explain.c: what the code generator makes of a kernel, line by line: how wide its vectors are, which bytes a program
 * reads and writes and how, what it computes. Told from the plan, before any code is made; needs no LLVM objects.
 *
 * Amounts are of one program, and of one turn of the loops around an op, whose number `depth` says.
 */
#include "backends/cpu/cpu.h"

typedef struct teller {
    arena *a;
    const ir_func *f;
    const plan *p;
    cpu_facts *out;
} teller;

static const ir_type_info *type_of(const teller *t, ir_val v)
{
    return ir_type_of(t->f->m, ir_vtype(t->f, v));
}

/* the place in the kernel's own text: of an op of an inlined function, that of the outermost call */
static cpu_fact fact_at(const teller *t, ir_op o, int depth)
{
    cpu_fact x = {.depth = depth, .what = ir_info(t->f, o)->name};
    ir_loc loc = ir_o(t->f, o)->loc;
    if (!loc.id)
        return x;
    while (ir_loc_get(t->f->m, loc).inlined_at.id)
        loc = ir_loc_get(t->f->m, loc).inlined_at;
    x.file = ir_loc_file(t->f->m, loc);
    x.line = ir_loc_get(t->f->m, loc).line;
    return x;
}

/* the step that computes v, or that o is an item of */
static const plan_step *step_of(const teller *t, ir_op o)
{
    for (uint32_t i = 0; i < t->p->steps.n; i++) {
        const plan_step *s = &t->p->steps.at[i];
        for (uint32_t k = 0; k < s->items.n; k++)
            if (s->items.at[k].id == o.id)
                return s;
    }
    return NULL;
}

static void tell_memory(teller *t, ir_op o, int depth)
{
    bool is_store = ir_op_code(t->f, o) == IR_OP_store;
    ir_val p = ir_in(t->f, o, 0);
    ir_type held = ir_vtype(t->f, is_store ? ir_in(t->f, o, 1) : ir_out(t->f, o, 0));
    int64_t n = ir_type_count(t->f->m, held), size = plan_elem_bytes(t->f, held), k = 0;
    int rank = ir_type_rank(t->f->m, held);
    bool masked = ir_nin(t->f, o) > (is_store ? 2u : 1u);
    cpu_fact x = fact_at(t, o, depth);
    *(is_store ? &x.bytes_written : &x.bytes_read) = n * size;
    const plan_step *s = step_of(t, o);
    bool known = rank && plan_coef(t->p, p, rank - 1, &k);
    x.lanes = rank == 0 ? 1 : s ? nest_lanes(t->f, s, t->out->vector_bytes, type_of(t, p)->shape[rank - 1]) : 0;
    if (rank == 0)
        x.how = "one element";
    else if (known && k == size)
        x.how = masked ? "contiguous, masked tail" : "contiguous";
    else if (known && k == 0)
        x.how = "one element for all lanes";
    else {
        x.vectorised = false;
        x.how = is_store ? "scatter" : "gather";
        x.why = known ? str_fmt(t->a, "neighbours are %lld bytes apart", (long long)k)
                      : S("the distance of neighbours is not a constant");
        for (int d = 0; d + 1 < rank; d++)
            if (plan_coef(t->p, p, d, &k) && k == size) {
                x.how = is_store ? "stored along another dimension" : "read along another dimension";
                x.why = str_fmt(t->a, "contiguous along dimension %d, computed along dimension %d", d, rank - 1);
            }
        vec_push(t->a, &t->out->list, x);
        return;
    }
    x.vectorised = rank > 0;
    if (rank == 0)
        x.why = S("a scalar");
    vec_push(t->a, &t->out->list, x);
}

static void tell_dot(teller *t, ir_op o, int depth, bool contraction)
{
    const ir_type_info *a = type_of(t, ir_in(t->f, o, 0)), *c = type_of(t, ir_out(t->f, o, 0));
    cpu_fact x = fact_at(t, o, depth);
    int64_t kk = a->shape[a->rank - 1];
    x.flops = 2 * ir_type_count(t->f->m, ir_vtype(t->f, ir_out(t->f, o, 0))) * kk;
    x.vectorised = true;
    x.lanes = t->out->vector_bytes / (dt_bits(c->dt) == 64 ? 8 : 4);
    x.how = contraction ? "contraction of the loop, operands packed into panels" : "operands packed into panels";
    x.why = str_fmt(t->a, "%lldx%lldx%lld, panels of %lld and %lld bytes", (long long)c->shape[c->rank - 2],
                    (long long)c->shape[c->rank - 1], (long long)kk, (long long)plan_dot_bytes(t->p, o, 0, contraction),
                    (long long)plan_dot_bytes(t->p, o, 1, contraction));
    vec_push(t->a, &t->out->list, x);
}

/* arithmetic of floats, an operation an element */
static void tell_arithmetic(teller *t, ir_op o, int depth)
{
    bool reduces = ir_op_code(t->f, o) == IR_OP_reduce;
    ir_val v = reduces ? ir_in(t->f, o, 0) : ir_nout(t->f, o) ? ir_out(t->f, o, 0) : (ir_val){0};
    if (!v.id || (!reduces && !(ir_info(t->f, o)->flags & ELT)))
        return;
    ir_type type = ir_vtype(t->f, v);
    if (!dt_is_any_float(ir_type_dt(t->f->m, type)) || ir_type_rank(t->f->m, type) == 0)
        return;
    cpu_fact x = fact_at(t, o, depth);
    const plan_step *s = step_of(t, o);
    x.flops = ir_type_count(t->f->m, type);
    x.vectorised = true;
    x.how = reduces ? "sum across lanes at the end" : "elementwise";
    if (s)
        x.lanes = nest_lanes(t->f, s, t->out->vector_bytes, s->shape[s->rank ? s->rank - 1 : 0]);
    vec_push(t->a, &t->out->list, x);
}

static void tell_region(teller *t, ir_region r, int depth, bool contraction)
{
    FOR_OPS(t->f, r, o)
    {
        ir_op dot;
        ir_code code = ir_op_code(t->f, o);
        bool loops = code == IR_OP_for || code == IR_OP_while;
        if (code == IR_OP_load || code == IR_OP_store)
            tell_memory(t, o, depth);
        else if (code == IR_OP_dot)
            tell_dot(t, o, depth, contraction);
        else
            tell_arithmetic(t, o, depth);
        for (uint32_t i = 0; i < ir_o(t->f, o)->nregions && (ir_info(t->f, o)->flags & CTRL); i++)
            tell_region(t, ir_op_region(t->f, o, i), depth + loops, plan_contraction(t->p, o, &dot));
    }
}

bool cpu_explain(arena *a, const ir_func *k, const backend_target *target, cpu_facts *out, diags *d)
{
    cg c = {.a = a};
    *out = (cpu_facts){0};
    if (!cpu_target_of(a, target, &c.target, d))
        return false;
    out->vector_bytes = cg_widest(&c);
    teller t = {.a = a, .f = k, .p = plan_build(a, k), .out = out};
    out->buffer_bytes = t.p->buffer_bytes;
    tell_region(&t, k->body, 0, false);
    return true;
}
