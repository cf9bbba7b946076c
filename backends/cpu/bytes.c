/* bytes.c: which reductions are sums of products of bytes, told from the IR alone.
 *
 *   sum(a.to(i32) * b.to(i32), last axis)       a, b: 8-bit values of shape [.., E], E a power of two from 4 to 256
 *   sum(a.to(i32), last axis)                   b = 1
 *
 * where a and b are made of loads, complete tiles and constants by elementwise ops and views that keep the last
 * dimension last. The sum is then an element of shape [..] like any other, in the nest of that shape, and what lies
 * between the leaves and it is computed on demand, E bytes at a time (products.c). Integer sums are exact in any order,
 * so this changes no bit.
 */
#include "backends/cpu/plan.h"

#define DEPTH 40

static const ir_type_info *type_of(const ir_func *f, ir_val v)
{
    return ir_type_of(f->m, ir_vtype(f, v));
}

static bool varies_last(const ir_type_info *t)
{
    return t->kind == TK_TILE && t->rank > 0 && t->shape[t->rank - 1] > 1;
}

/* can it be had E elements at a time? */
static bool made_of_blocks(const ir_func *f, ir_val v, int depth)
{
    const ir_type_info *t = type_of(f, v);
    ir_op o = ir_def(f, v);
    if (!varies_last(t) || !o.id)
        return true; /* the same along the block; or carried by a loop, in a buffer */
    if (depth > DEPTH)
        return false;
    switch (ir_op_code(f, o)) {
    case IR_OP_const:
    case IR_OP_undef:
    case IR_OP_splat:
    case IR_OP_arange:
    case IR_OP_load:
    case IR_OP_dot:
    case IR_OP_reduce:
    case IR_OP_scan:
    case IR_OP_join:
    case IR_OP_cat:
        return true;
    case IR_OP_broadcast:
        return made_of_blocks(f, ir_in(f, o, 0), depth + 1);
    case IR_OP_reshape: {
        int from;
        const ir_type_info *s = type_of(f, ir_in(f, o, 0));
        if (s->kind != TK_TILE || s->rank == 0)
            return true;
        return varies_last(s) && plan_reshaped_dim(s, t, t->rank - 1, &from) && from == s->rank - 1 &&
               made_of_blocks(f, ir_in(f, o, 0), depth + 1);
    }
    case IR_OP_slice:
    case IR_OP_hint:
        return made_of_blocks(f, ir_in(f, o, 0), depth + 1);
    default:
        break;
    }
    if (!(ir_info(f, o)->flags & ELT) || (ir_info(f, o)->flags & (READ | WRITE)) || !(ir_info(f, o)->flags & PURE))
        return false;
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        if (!made_of_blocks(f, ir_in(f, o, i), depth + 1))
            return false;
    return true;
}

/* the bytes that are widened to v, below views */
static bool widened_bytes(const ir_func *f, ir_val v)
{
    for (int depth = 0; depth < DEPTH; depth++) {
        ir_op o = ir_def(f, v);
        if (!o.id || !varies_last(type_of(f, v)))
            return false;
        ir_code code = ir_op_code(f, o);
        if (code == IR_OP_cast) {
            dtype d = ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, 0)));
            return d == DT_I8 || d == DT_U8;
        }
        if (code != IR_OP_broadcast && code != IR_OP_reshape && code != IR_OP_slice && code != IR_OP_hint)
            return false;
        v = ir_in(f, o, 0);
    }
    return false;
}

bool plan_is_products(const ir_func *f, ir_op o)
{
    ir_op inner;
    if (!o.id || ir_op_code(f, o) != IR_OP_reduce || !plan_simple_reduce(f, o, &inner) ||
        ir_op_code(f, inner) != IR_OP_add)
        return false;
    ir_val v = ir_in(f, o, 0);
    const ir_type_info *t = type_of(f, v);
    ir_op mul = ir_def(f, v);
    int64_t n = t->shape[t->rank - 1];
    if (t->dt != DT_I32 || t->rank < 2 || ir_int(f, o, KEY_axis, 0) != t->rank - 1 || n < 4 || n > 256 || (n & (n - 1)))
        return false;
    if (!mul.id)
        return false;
    if (ir_op_code(f, mul) != IR_OP_mul) /* times 1 */
        return widened_bytes(f, v) && made_of_blocks(f, v, 0);
    for (uint32_t i = 0; i < 2; i++)
        if (!widened_bytes(f, ir_in(f, mul, i)) || !made_of_blocks(f, ir_in(f, mul, i), 0))
            return false;
    return true;
}

/* Blocks that all rows read, and that don't touch: read once into a buffer, where they do. */
static bool worth_packing(const plan *p, ir_op load)
{
    const ir_func *f = p->f;
    const ir_type_info *t = type_of(f, ir_out(f, load, 0));
    int64_t k, size = plan_elem_bytes(f, ir_vtype(f, ir_out(f, load, 0)));
    return t->rank > 1 && plan_coef(p, ir_in(f, load, 0), t->rank - 2, &k) && k != t->shape[t->rank - 1] * size;
}

static bool repeats_rows(const ir_type_info *from, const ir_type_info *to)
{
    for (int d = 0; d < to->rank - 1; d++)
        if (from->shape[d] < to->shape[d])
            return true;
    return false;
}

/* Few products go for several rows at once, which then share what they read; with many a loop takes one row or two. */
static bool many_beside(const ir_func *f, ir_op o)
{
    int n = 0;
    FOR_OPS(f, ir_o(f, o)->parent, x)
    n += plan_is_products(f, x);
    return n > 4;
}

static void on_demand(plan *p, ir_val v, bool shared, bool many)
{
    const ir_func *f = p->f;
    ir_op o = ir_def(f, v);
    if (!o.id || !varies_last(type_of(f, v)))
        return;
    if (ir_op_code(f, o) == IR_OP_load) {
        if (shared && many && p->v[v.id].cls == VC_SYM && worth_packing(p, o))
            p->v[v.id].cls = VC_DATA;
        return;
    }
    if (ir_op_code(f, o) == IR_OP_broadcast)
        shared |= repeats_rows(type_of(f, ir_in(f, o, 0)), type_of(f, v));
    int flags = ir_info(f, o)->flags;
    bool view = ir_op_code(f, o) == IR_OP_broadcast || ir_op_code(f, o) == IR_OP_reshape ||
                ir_op_code(f, o) == IR_OP_slice || ir_op_code(f, o) == IR_OP_hint;
    if (!view && (!(flags & ELT) || (flags & (READ | WRITE))))
        return;
    if (p->v[v.id].cls == VC_DATA)
        p->v[v.id] =
            (plan_val){.cls = VC_SYM, .has_data = true, .step = -1, .buffer = -1, .ident_last = -1, .other_last = -1};
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        on_demand(p, ir_in(f, o, i), shared, many);
}

void plan_products_on_demand(plan *p, ir_op o)
{
    on_demand(p, ir_in(p->f, o, 0), false, many_beside(p->f, o));
}

/* ---- masks ---- */
/* the value at index e along dim, where nothing else matters to it */
static bool const_at(const ir_func *f, ir_val v, int dim, int64_t e, int64_t *x, int depth)
{
    const ir_type_info *t = type_of(f, v);
    ir_op o = ir_def(f, v);
    int64_t y, z;
    if (plan_const_int(f, v, x))
        return true;
    if (!o.id || depth > DEPTH || t->kind != TK_TILE || t->rank == 0)
        return false;
    switch (ir_op_code(f, o)) {
    case IR_OP_arange:
        *x = ir_int(f, o, KEY_start, 0) + e;
        return dim == 0;
    case IR_OP_broadcast:
    case IR_OP_cast:
    case IR_OP_hint:
        return const_at(f, ir_in(f, o, 0), dim, type_of(f, ir_in(f, o, 0))->shape[dim] == 1 ? 0 : e, x, depth + 1);
    case IR_OP_reshape: {
        int from;
        const ir_type_info *s = type_of(f, ir_in(f, o, 0));
        return s->kind == TK_TILE && s->rank > 0 && plan_reshaped_dim(s, t, dim, &from) && from >= 0 &&
               const_at(f, ir_in(f, o, 0), from, e, x, depth + 1);
    }
    case IR_OP_add:
    case IR_OP_sub:
    case IR_OP_mul:
        if (!const_at(f, ir_in(f, o, 0), dim, e, &y, depth + 1) || !const_at(f, ir_in(f, o, 1), dim, e, &z, depth + 1))
            return false;
        *x = ir_op_code(f, o) == IR_OP_add ? y + z : ir_op_code(f, o) == IR_OP_sub ? y - z : y * z;
        return true;
    default:
        return false;
    }
}

static bool holds(ir_code code, int64_t x, int64_t y)
{
    switch (code) {
    case IR_OP_lt:
        return x < y;
    case IR_OP_le:
        return x <= y;
    case IR_OP_gt:
        return x > y;
    case IR_OP_ge:
        return x >= y;
    default:
        return false;
    }
}

static bool always(const ir_func *f, ir_op o, int dim, int64_t n)
{
    for (int64_t e = 0; e < n; e++) {
        int64_t x, y;
        if (!const_at(f, ir_in(f, o, 0), dim, e, &x, 0) || !const_at(f, ir_in(f, o, 1), dim, e, &y, 0) ||
            !holds(ir_op_code(f, o), x, y))
            return false;
    }
    return true;
}

bool plan_all_true(const plan *p, ir_val mask, int dim)
{
    const ir_func *f = p->f;
    const ir_type_info *t = type_of(f, mask);
    ir_op o = ir_def(f, mask);
    int64_t k;
    if (t->kind != TK_TILE || t->rank == 0 || t->shape[dim] == 1)
        return true;
    if (o.id) {
        ir_code code = ir_op_code(f, o);
        if (code == IR_OP_and)
            return plan_all_true(p, ir_in(f, o, 0), dim) && plan_all_true(p, ir_in(f, o, 1), dim);
        if (code == IR_OP_broadcast)
            return plan_all_true(p, ir_in(f, o, 0), dim);
        if (code >= IR_OP_eq && code <= IR_OP_ge && always(f, o, dim, t->shape[dim]))
            return true;
        if (code == IR_OP_reshape) {
            int from;
            const ir_type_info *s = type_of(f, ir_in(f, o, 0));
            return s->kind != TK_TILE || s->rank == 0 ||
                   (plan_reshaped_dim(s, t, dim, &from) && (from < 0 || plan_all_true(p, ir_in(f, o, 0), from)));
        }
    }
    return plan_coef(p, mask, dim, &k) && k == 0;
}
