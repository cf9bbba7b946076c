/* affine.c: how a tile's elements change along a dimension, and which loads may be done again, told from the IR alone.
 *
 * plan_coef(v, dim): the constant by which an element exceeds its neighbour before it along dim; of pointers in bytes.
 * It holds without wrapping, or isn't told.
 *
 * A load may be done anew wherever its value is wanted (class SYM) when it reads contiguous elements through an
 * argument that the kernel nowhere writes: by the language such memory doesn't change during a launch. A row then stays
 * where it is, in the cache, and isn't copied into a buffer beside it.
 */
#include "backends/cpu/plan.h"

#define DEPTH 24

static const ir_type_info *type_of(const ir_func *f, ir_val v)
{
    return ir_type_of(f->m, ir_vtype(f, v));
}

/* ---- roots ---- */
static uint32_t root_of(const plan *p, ir_val v, int depth)
{
    const ir_func *f = p->f;
    const plan_val *x = &p->v[v.id];
    if (depth > 64)
        return 0;
    if (x->cls == VC_SHIFT)
        return root_of(p, x->init, depth + 1);
    ir_op o = ir_def(f, v);
    if (!o.id)
        return f->vals.at[v.id].region.id == f->body.id ? v.id : 0;
    switch (ir_op_code(f, o)) {
    case IR_OP_ptr_add:
    case IR_OP_ptr_cast:
    case IR_OP_splat:
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_permute:
    case IR_OP_slice:
    case IR_OP_extract:
    case IR_OP_hint:
    case IR_OP_tensor_base:
    case IR_OP_gather:
    case IR_OP_tensor_make:
    case IR_OP_tensor_view:
        return root_of(p, ir_in(f, o, 0), depth + 1);
    case IR_OP_select: {
        uint32_t a = root_of(p, ir_in(f, o, 1), depth + 1), b = root_of(p, ir_in(f, o, 2), depth + 1);
        return a == b ? a : 0;
    }
    default:
        return 0;
    }
}

uint32_t plan_root(const plan *p, ir_val pointer)
{
    return root_of(p, pointer, 0);
}

bool plan_may_alias(uint32_t a, uint32_t b)
{
    return !a || !b || a == b;
}

/* ---- coefficients ---- */
/* the operand's dimension behind a dimension of a reshape that adds and drops unit extents only; -1: none varies */
bool plan_reshaped_dim(const ir_type_info *from, const ir_type_info *to, int dim, int *out)
{
    int i = 0;
    *out = -1;
    for (int d = 0; d < to->rank; d++) {
        if (to->shape[d] == 1)
            continue;
        while (i < from->rank && from->shape[i] == 1)
            i++;
        if (i == from->rank || from->shape[i] != to->shape[d])
            return false;
        if (d == dim)
            *out = i;
        i++;
    }
    return true;
}

bool plan_const_int(const ir_func *f, ir_val v, int64_t *x)
{
    for (int depth = 0; depth < DEPTH; depth++) {
        ir_op o = ir_def(f, v);
        if (!o.id)
            return false;
        ir_code code = ir_op_code(f, o);
        if (code == IR_OP_const) {
            dtype d = ir_type_dt(f->m, ir_vtype(f, v));
            if (!dt_is_int(d))
                return false;
            int shift = 64 - dt_bits(d);
            int64_t bits = (int64_t)((uint64_t)ir_int(f, o, KEY_bits, 0) << shift);
            *x = dt_is_signed(d) ? bits >> shift : (int64_t)((uint64_t)bits >> shift);
            return true;
        }
        if (code != IR_OP_splat && code != IR_OP_broadcast && code != IR_OP_reshape && code != IR_OP_cast)
            return false;
        v = ir_in(f, o, 0);
    }
    return false;
}

/* an integer that is exact in its type, so that widening it changes nothing */
static bool is_exact(const ir_func *f, ir_val v, int depth)
{
    ir_op o = ir_def(f, v);
    if (dt_bits(ir_type_dt(f->m, ir_vtype(f, v))) == 64)
        return true;
    if (!o.id || depth > DEPTH)
        return false;
    switch (ir_op_code(f, o)) {
    case IR_OP_arange:
    case IR_OP_const:
    case IR_OP_splat:
        return true;
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_permute:
    case IR_OP_slice:
    case IR_OP_hint:
    case IR_OP_cast:
        return is_exact(f, ir_in(f, o, 0), depth + 1);
    default:
        return ir_int(f, o, KEY_nowrap, 0) != 0;
    }
}

static bool coef(const plan *p, ir_val v, int dim, int64_t *k, int depth);

static bool coef_of_two(const plan *p, ir_op o, int dim, int64_t *x, int64_t *y, int depth)
{
    return coef(p, ir_in(p->f, o, 0), dim, x, depth) && coef(p, ir_in(p->f, o, 1), dim, y, depth);
}

static bool coef_product(const plan *p, ir_op o, int dim, int64_t *k, int depth)
{
    const ir_func *f = p->f;
    int64_t x, y, by;
    if (!coef_of_two(p, o, dim, &x, &y, depth))
        return false;
    *k = 0;
    if (!x && !y)
        return true;
    if (x && y)
        return false;
    if (!plan_const_int(f, ir_in(f, o, x ? 1 : 0), &by))
        return false;
    *k = (x ? x : y) * by;
    return true;
}

static bool coef(const plan *p, ir_val v, int dim, int64_t *k, int depth)
{
    const ir_func *f = p->f;
    const ir_type_info *t = type_of(f, v);
    const plan_val *c = &p->v[v.id];
    *k = 0;
    if (t->kind != TK_TILE || t->rank == 0 || t->shape[dim] == 1)
        return true;
    if (depth > DEPTH)
        return false;
    if (c->cls == VC_SHIFT)
        return coef(p, c->init, dim, k, depth + 1);
    ir_op o = ir_def(f, v);
    if (!o.id)
        return false;
    int64_t x, y;
    depth++;
    switch (ir_op_code(f, o)) {
    case IR_OP_const:
    case IR_OP_splat:
    case IR_OP_undef:
        return true;
    case IR_OP_arange:
        *k = 1;
        return true;
    case IR_OP_broadcast:
        if (type_of(f, ir_in(f, o, 0))->shape[dim] == 1)
            return true;
        return coef(p, ir_in(f, o, 0), dim, k, depth);
    case IR_OP_reshape: {
        int from;
        const ir_type_info *s = type_of(f, ir_in(f, o, 0));
        if (s->kind != TK_TILE || s->rank == 0)
            return true;
        if (!plan_reshaped_dim(s, t, dim, &from))
            return false;
        return from < 0 || coef(p, ir_in(f, o, 0), from, k, depth);
    }
    case IR_OP_permute: {
        uint32_t len;
        return coef(p, ir_in(f, o, 0), (int)ir_ints(f, o, KEY_order, &len)[dim], k, depth);
    }
    case IR_OP_slice:
    case IR_OP_hint:
    case IR_OP_ptr_cast:
        return coef(p, ir_in(f, o, 0), dim, k, depth);
    case IR_OP_cast:
        if (!dt_is_int(ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, 0)))) || !is_exact(f, ir_in(f, o, 0), 0))
            return false;
        return coef(p, ir_in(f, o, 0), dim, k, depth);
    case IR_OP_add:
    case IR_OP_sub:
        if (!coef_of_two(p, o, dim, &x, &y, depth))
            return false;
        *k = ir_op_code(f, o) == IR_OP_add ? x + y : x - y;
        return true;
    case IR_OP_mul:
        return coef_product(p, o, dim, k, depth);
    case IR_OP_ptr_add:
        if (!coef_of_two(p, o, dim, &x, &y, depth) || (y && !is_exact(f, ir_in(f, o, 1), 0)))
            return false;
        *k = x + y * plan_elem_bytes(f, ir_type_of(f->m, t->elem)->elem);
        return true;
    default: /* anything else of values that don't vary */
        if (!(ir_info(f, o)->flags & ELT) || (ir_info(f, o)->flags & (READ | WRITE)))
            return false;
        for (uint32_t i = 0; i < ir_nin(f, o); i++)
            if (!coef(p, ir_in(f, o, i), dim, &x, depth) || x)
                return false;
        return true;
    }
}

bool plan_coef(const plan *p, ir_val v, int dim, int64_t *k)
{
    return coef(p, v, dim, k, 0);
}

/* ---- what differs between programs ---- */
static bool by_program(const plan *p, ir_val v, bool *seen)
{
    const ir_func *f = p->f;
    if (seen[v.id])
        return false;
    seen[v.id] = true;
    ir_op o = ir_def(f, v);
    if (!o.id || (ir_info(f, o)->flags & (CTRL | READ)))
        return false;
    if (ir_op_code(f, o) == IR_OP_program_id)
        return true;
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        if (by_program(p, ir_in(f, o, i), seen))
            return true;
    return false;
}

bool plan_by_program(const plan *p, ir_val v)
{
    return by_program(p, v, ARENA_ARRAY(p->a, bool, p->f->vals.n));
}

/* ---- loads that may be done again ---- */
static bool written(const plan *p, ir_region r, uint32_t root)
{
    const ir_func *f = p->f;
    FOR_OPS(f, r, o)
    {
        if ((ir_info(f, o)->flags & WRITE) && plan_may_alias(root, root_of(p, ir_in(f, o, 0), 0)))
            return true;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            if (written(p, ir_op_region(f, o, i), root))
                return true;
    }
    return false;
}

bool plan_unwritten(const plan *p, ir_op o)
{
    const ir_func *f = p->f;
    const ir_type_info *t = type_of(f, ir_out(f, o, 0));
    if (ir_op_code(f, o) != IR_OP_load || t->kind != TK_TILE || t->rank == 0 || ir_int(f, o, KEY_is_volatile, 0))
        return false;
    uint32_t root = root_of(p, ir_in(f, o, 0), 0);
    for (uint32_t i = 0; i < ir_nin(f, o); i++) /* what it reads isn't data itself */
        if (p->v[ir_in(f, o, i).id].cls == VC_DATA || p->v[ir_in(f, o, i).id].has_data)
            return false;
    return root && !written(p, f->body, root);
}

bool plan_rereads(const plan *p, ir_op o)
{
    const ir_func *f = p->f;
    const ir_type_info *t = type_of(f, ir_out(f, o, 0));
    int64_t k;
    if (ir_op_code(f, o) != IR_OP_load || t->kind != TK_TILE || t->rank == 0)
        return false;
    int last = t->rank - 1;
    while (last > 0 && t->shape[last] == 1)
        last--;
    return plan_coef(p, ir_in(f, o, 0), last, &k) && k == plan_elem_bytes(f, ir_vtype(f, ir_out(f, o, 0))) &&
           plan_unwritten(p, o);
}
