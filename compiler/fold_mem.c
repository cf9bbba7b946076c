/* fold_mem.c: rules for masks that are constant, for tensors whose parts are known, and for facts that hold anyway. */
#include "compiler/fold.h"

static bool give(ir_val *out, ir_val v)
{
    out[0] = v;
    return true;
}

static int64_t int_of(const ir_builder *b, const ir_desc *d, ir_key key, int64_t dflt)
{
    for (uint32_t i = 0; i < d->nattr; i++)
        if (d->attrs[i].key == key)
            return ir_attr_as_int(b->m, d->attrs[i].val);
    return dflt;
}

/* the op again with its first n operands only */
static void with_operands(ir_builder *b, const ir_desc *d, uint32_t n, ir_val *out)
{
    ir_desc s = *d;
    s.nin = n;
    ir_emit(b, &s, out);
}

static ir_val zero_of(ir_builder *b, ir_type t)
{
    if (ir_type_dt(b->m, t) != DT_NONE)
        return ir_const_bits(b, t, 0);
    return (ir_val){0};
}

static bool fold_load(ir_builder *b, const ir_desc *d, ir_val *out)
{
    uint64_t mask;
    if (d->nin < 2 || int_of(b, d, KEY_is_volatile, 0) || !ir_const_of(b->f, d->in[1], &mask))
        return false;
    if (mask) {
        with_operands(b, d, 1, out);
        return true;
    }
    ir_val v = d->nin > 2 ? d->in[2] : zero_of(b, d->types[0]);
    return v.id && give(out, v);
}

static bool fold_store(ir_builder *b, const ir_desc *d)
{
    uint64_t mask;
    if (d->nin < 3 || !ir_const_of(b->f, d->in[2], &mask))
        return false;
    if (mask)
        with_operands(b, d, 2, NULL);
    return true;
}

static bool fold_rmw(ir_builder *b, const ir_desc *d, ir_val *out)
{
    uint64_t mask;
    if (d->nin < 3 || !ir_const_of(b->f, d->in[2], &mask))
        return false;
    if (mask) {
        with_operands(b, d, 2, out);
        return true;
    }
    return give(out, ir_const_bits(b, d->types[0], 0));
}

static bool fold_tensor(ir_builder *b, const ir_desc *d, ir_val *out)
{
    const ir_type_info *t = ir_type_of(b->m, ir_vtype(b->f, d->in[0]));
    int64_t dim = int_of(b, d, KEY_dim, 0);
    int rank = t->rank;
    if (d->code == IR_OP_tensor_stride && dim == rank - 1 && !t->strided)
        return give(out, ir_const_i(b, d->types[0], 1));
    ir_op o = def_is(b, d->in[0], IR_OP_tensor_make);
    if (!o.id && d->code == IR_OP_tensor_dim && t->shape[dim] != IR_DYN)
        return give(out, ir_const_i(b, d->types[0], t->shape[dim]));
    if (!o.id)
        return false;
    uint32_t at = d->code == IR_OP_tensor_base ? 0 : (uint32_t)(1 + dim + (d->code == IR_OP_tensor_stride ? rank : 0));
    return give(out, ir_in(b->f, o, at));
}

/* a promise about a constant, or of nothing */
static bool fold_hint(ir_builder *b, const ir_desc *d, ir_val *out)
{
    uint64_t bits;
    uint32_t n;
    bool says = false;
    for (uint32_t i = 0; i < d->nattr; i++) {
        const int64_t *x = ir_attr_as_ints(b->m, d->attrs[i].val, &n);
        for (uint32_t k = 0; k < n; k++)
            says |= x[k] > 1;
    }
    return (!says || ir_const_of(b->f, d->in[0], &bits)) && give(out, d->in[0]);
}

bool fold_mem(ir_builder *b, const ir_desc *d, ir_val *out)
{
    uint64_t bits;
    switch ((int)d->code) {
    case IR_OP_load:
        return fold_load(b, d, out);
    case IR_OP_store:
        return fold_store(b, d);
    case IR_OP_atomic_rmw:
        return fold_rmw(b, d, out);
    case IR_OP_tensor_dim:
    case IR_OP_tensor_stride:
    case IR_OP_tensor_base:
        return fold_tensor(b, d, out);
    case IR_OP_assume:
        return ir_const_of(b->f, d->in[0], &bits) && bits == 1;
    case IR_OP_assert:
        return ir_const_of(b->f, d->in[0], &bits) && bits == 1;
    case IR_OP_expect_eq:
        return same_val(d->in[0], d->in[1]);
    case IR_OP_hint:
        return fold_hint(b, d, out);
    case IR_OP_ptr_cast:
        return d->types[0].id == ir_vtype(b->f, d->in[0]).id && give(out, d->in[0]);
    default:
        return false;
    }
}
