/* dot_plan.c: which loops are contractions, and how much room their packed operands need; told from the IR alone.
 *
 *   for k: acc = dot(f(load), g(load), acc)         f, g pure
 *
 * is one contraction: nothing else happens in such a loop, so its turns may be packed beforehand, as many as fill
 * DOT_BLOCK_BYTES of a row, and multiplied at once. The source's step along K costs nothing.
 *
 * Operands of dots are made on demand, while they are packed: elementwise ops and loads that nothing else reads are not
 * kept in a buffer first.
 */
#include "backends/cpu/plan.h"

#define DEPTH 32

static const ir_type_info *type_of(const ir_func *f, ir_val v)
{
    return ir_type_of(f->m, ir_vtype(f, v));
}

bool plan_contraction(const plan *p, ir_op loop, ir_op *dot)
{
    const ir_func *f = p->f;
    if (ir_op_code(f, loop) != IR_OP_for)
        return false;
    ir_region r = ir_op_region(f, loop, 0);
    ir_op term = ir_last(f, r);
    *dot = (ir_op){0};
    FOR_OPS(f, r, o)
    {
        ir_code code = ir_op_code(f, o);
        if (code == IR_OP_dot) {
            if (dot->id)
                return false;
            *dot = o;
        } else if (o.id != term.id &&
                   ((ir_info(f, o)->flags & (WRITE | CTRL)) || code == IR_OP_print || code == IR_OP_assert ||
                    code == IR_OP_bound || ir_int(f, o, KEY_is_volatile, 0))) {
            return false;
        }
    }
    if (!dot->id)
        return false;
    ir_val out = ir_out(f, *dot, 0), acc = ir_in(f, *dot, 2);
    if (p->nuse[out.id] != 1 || p->nuse[acc.id] != 1 || type_of(f, out)->rank != 2)
        return false;
    bool found = false;
    for (uint32_t i = 0; i < ir_nout(f, loop); i++) {
        ir_val param = ir_param_of(f, r, i + 1);
        if (param.id == acc.id && ir_in(f, term, i).id == out.id)
            found = true;
        else if (p->v[param.id].cls == VC_CARRIED)
            return false;
    }
    return found;
}

void plan_operand_on_demand(plan *p, ir_val v)
{
    const ir_func *f = p->f;
    ir_op o = ir_def(f, v);
    plan_val *x = &p->v[v.id];
    if (!o.id || p->nuse[v.id] != 1 || (x->cls != VC_DATA && x->cls != VC_SYM) || type_of(f, v)->kind != TK_TILE)
        return;
    ir_code code = ir_op_code(f, o);
    int flags = ir_info(f, o)->flags;
    bool load = code == IR_OP_load;
    if (x->cls == VC_DATA) {
        if (load ? !plan_unwritten(p, o) : !(flags & ELT) || !(flags & PURE) || (flags & (READ | WRITE)))
            return;
        *x = (plan_val){.cls = VC_SYM, .has_data = true, .step = -1, .buffer = -1, .ident_last = -1, .other_last = -1};
    }
    if (!load)
        for (uint32_t i = 0; i < ir_nin(f, o); i++)
            plan_operand_on_demand(p, ir_in(f, o, i));
}

static int along(const plan *p, ir_val v, int depth)
{
    const ir_func *f = p->f;
    const ir_type_info *t = type_of(f, v);
    ir_op o = ir_def(f, v);
    uint8_t cls = p->v[v.id].cls;
    if (t->kind != TK_TILE || t->rank < 2 || cls == VC_DATA || cls == VC_CARRIED || !o.id || depth > DEPTH)
        return t->rank - 1;
    switch (ir_op_code(f, o)) {
    case IR_OP_permute: {
        uint32_t len;
        const int64_t *order = ir_ints(f, o, KEY_order, &len);
        int from = along(p, ir_in(f, o, 0), depth + 1);
        for (int d = 0; d < t->rank; d++)
            if (order[d] == from)
                return d;
        return t->rank - 1;
    }
    case IR_OP_load:
        for (int d = t->rank - 1; d >= 0; d--) {
            int64_t k;
            if (t->shape[d] > 1 && plan_coef(p, ir_in(f, o, 0), d, &k) && k == plan_elem_bytes(f, ir_vtype(f, v)))
                return d;
        }
        return t->rank - 1;
    default:
        break;
    }
    if (ir_info(f, o)->flags & ELT)
        for (uint32_t i = 0; i < ir_nin(f, o); i++) {
            int d = along(p, ir_in(f, o, i), depth + 1);
            if (d != t->rank - 1)
                return d;
        }
    return t->rank - 1;
}

int plan_along(const plan *p, ir_val v)
{
    return along(p, v, 0);
}

int64_t plan_dot_steps(const plan *p, ir_op dot, int bytes)
{
    const ir_type_info *a = type_of(p->f, ir_in(p->f, dot, 0));
    int64_t n = DOT_BLOCK_BYTES / bytes / a->shape[a->rank - 1];
    return n > 1 ? n : 1;
}

int64_t plan_dot_depth(const plan *p, ir_op dot, int bytes, int unit, bool looped)
{
    const ir_type_info *a = type_of(p->f, ir_in(p->f, dot, 0));
    return (looped ? plan_dot_steps(p, dot, bytes) : 1) * a->shape[a->rank - 1] + 16 * unit / bytes;
}

int64_t plan_dot_bytes(const plan *p, ir_op dot, uint32_t operand, bool looped)
{
    const ir_func *f = p->f;
    const ir_type_info *c = type_of(f, ir_out(f, dot, 0));
    int own = dt_bytes(ir_type_dt(f->m, ir_vtype(f, ir_in(f, dot, operand))));
    int sum = dt_bits(c->dt) == 64 ? 8 : 4;
    int64_t lines =
        operand == 0 ? c->shape[c->rank - 2] : (c->shape[c->rank - 1] + DOT_WIDTH - 1) / DOT_WIDTH * DOT_WIDTH;
    int64_t wide = plan_dot_depth(p, dot, sum, sum, looped) * sum;
    int64_t narrow = own < sum ? plan_dot_depth(p, dot, own, 4, looped) * own : 0;
    return lines * (wide > narrow ? wide : narrow) + DOT_WIDTH * 8;
}

/* ---- what of a result is wanted ---- */
typedef struct wanted {
    const plan *p;
    uint32_t before; /* scalars defined from here on are not there yet, unless they are pure */
    ir_op *found;
    uint32_t n, max;
} wanted;

/* may v be computed before its turn? */
static bool is_early(const wanted *w, ir_val v, int depth)
{
    const ir_func *f = w->p->f;
    ir_op o = ir_def(f, v);
    uint8_t cls = w->p->v[v.id].cls;
    if (!o.id || type_of(f, v)->kind == TK_TENSOR)
        return f->vals.at[v.id].region.id == f->body.id || w->p->nuse[v.id] == 0 || cls == VC_SCALAR;
    if (w->p->seq[o.id] < w->before)
        return true;
    if (depth > DEPTH || (cls != VC_SYM && cls != VC_SCALAR) || w->p->v[v.id].has_data ||
        (ir_info(f, o)->flags & (READ | WRITE | CTRL)))
        return false;
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        if (!is_early(w, ir_in(f, o, i), depth + 1))
            return false;
    return true;
}

/* `index < bound` along dim of a mask, and nothing else along it */
static ir_op limit_of(const wanted *w, ir_val mask, int dim, int depth)
{
    const ir_func *f = w->p->f;
    ir_op o = ir_def(f, mask), none = {0};
    if (!o.id || depth > DEPTH)
        return none;
    switch (ir_op_code(f, o)) {
    case IR_OP_and: {
        ir_op x = limit_of(w, ir_in(f, o, 0), dim, depth + 1);
        return x.id ? x : limit_of(w, ir_in(f, o, 1), dim, depth + 1);
    }
    case IR_OP_broadcast:
        return type_of(f, ir_in(f, o, 0))->shape[dim] == 1 ? none : limit_of(w, ir_in(f, o, 0), dim, depth + 1);
    case IR_OP_reshape: {
        int from;
        const ir_type_info *s = type_of(f, ir_in(f, o, 0));
        if (s->kind != TK_TILE || s->rank == 0 || !plan_reshaped_dim(s, type_of(f, mask), dim, &from) || from < 0)
            return none;
        return limit_of(w, ir_in(f, o, 0), from, depth + 1);
    }
    case IR_OP_lt: {
        int64_t k;
        const ir_type_info *t = type_of(f, mask);
        dtype d = ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, 0)));
        if (!dt_is_int(d) || !dt_is_signed(d))
            return none;
        for (int i = 0; i < t->rank; i++)
            for (uint32_t q = 0; q < 2; q++)
                if (!plan_coef(w->p, ir_in(f, o, q), i, &k) || k != (i == dim && q == 0))
                    return none;
        return is_early(w, ir_in(f, o, 0), 0) && is_early(w, ir_in(f, o, 1), 0) ? o : none;
    }
    default:
        return none;
    }
}

/* every way of v leads, element by element, to stores whose masks bound the index along dim */
static bool find_stores(wanted *w, ir_val v, int dim, int depth)
{
    const ir_func *f = w->p->f;
    uint32_t seen = 0;
    for (uint32_t id = 1; id < f->ops.n && seen < w->p->nuse[v.id]; id++) {
        ir_op o = {id};
        bool used = false;
        if (!w->p->seq[id])
            continue;
        for (uint32_t i = 0; i < ir_nin(f, o); i++)
            if (ir_in(f, o, i).id == v.id) {
                used = true;
                seen++;
            }
        if (!used)
            continue;
        if (ir_op_code(f, o) == IR_OP_store) {
            if (ir_in(f, o, 1).id != v.id || ir_nin(f, o) < 3 || w->n == w->max)
                return false;
            ir_op x = limit_of(w, ir_in(f, o, 2), dim, 0);
            if (!x.id)
                return false;
            w->found[w->n++] = x;
            continue;
        }
        int flags = ir_info(f, o)->flags;
        if (!(flags & ELT) || !(flags & PURE) || (flags & (READ | WRITE)) || depth > DEPTH ||
            !find_stores(w, ir_out(f, o, 0), dim, depth + 1))
            return false;
    }
    return seen == w->p->nuse[v.id] && w->n > 0;
}

uint32_t plan_dot_limits(const plan *p, ir_op loop, ir_val v, int dim, ir_op *found, uint32_t max)
{
    wanted w = {.p = p, .before = p->seq[loop.id], .found = found, .max = max};
    return find_stores(&w, v, dim, 0) ? w.n : 0;
}

/* ---- where operands end ---- */
/* `index < bound`, beyond which v is zero along dim */
static ir_op zero_beyond(const wanted *w, ir_val v, int dim, int depth)
{
    const ir_func *f = w->p->f;
    ir_op o = ir_def(f, v), none = {0};
    uint64_t other = 0;
    uint32_t len;
    if (!o.id || depth > DEPTH)
        return none;
    switch (ir_op_code(f, o)) {
    case IR_OP_cast:
        return zero_beyond(w, ir_in(f, o, 0), dim, depth + 1);
    case IR_OP_permute:
        return zero_beyond(w, ir_in(f, o, 0), (int)ir_ints(f, o, KEY_order, &len)[dim], depth + 1);
    case IR_OP_load:
        if (ir_nin(f, o) < 2 || (ir_nin(f, o) > 2 && !(ir_const_of(f, ir_in(f, o, 2), &other) && other == 0)))
            return none;
        return limit_of(w, ir_in(f, o, 1), dim, depth + 1);
    default:
        return none;
    }
}

bool plan_dot_edge(const plan *p, ir_op dot, ir_op out[2])
{
    wanted w = {.p = p, .before = UINT32_MAX};
    for (uint32_t q = 0; q < 2; q++) {
        out[q] = zero_beyond(&w, ir_in(p->f, dot, q), q == 0, 0);
        if (!out[q].id)
            return false;
    }
    return true;
}
