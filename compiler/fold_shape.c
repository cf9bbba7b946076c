/* fold_shape.c: rules for ops that move elements without changing them. */
#include "compiler/fold.h"

#include <string.h>

static bool give(ir_val *out, ir_val v)
{
    out[0] = v;
    return true;
}

static const int64_t *ints_of(const ir_builder *b, const ir_desc *d, ir_key key, uint32_t *n)
{
    for (uint32_t i = 0; i < d->nattr; i++)
        if (d->attrs[i].key == key)
            return ir_attr_as_ints(b->m, d->attrs[i].val, n);
    *n = 0;
    return NULL;
}

/* a tile of one value keeps it under every shape op */
static bool fold_uniform(ir_builder *b, const ir_desc *d, ir_val *out)
{
    uint64_t bits;
    const ir_type_info *t = ir_type_of(b->m, d->types[0]);
    int rank = t->kind == TK_TILE ? t->rank : 0;
    int64_t shape[IR_MAX_RANK];
    memcpy(shape, t->shape, sizeof shape);
    if (ir_const_of(b->f, d->in[0], &bits)) {
        for (uint32_t i = 0; i < d->nout; i++)
            out[i] = ir_const_bits(b, d->types[i], bits);
        return true;
    }
    ir_op o = def_is(b, d->in[0], IR_OP_splat);
    if (!o.id)
        return false;
    ir_val s = ir_in(b->f, o, 0);
    for (uint32_t i = 0; i < d->nout; i++)
        out[i] = ir_splat(b, s, rank, shape);
    return true;
}

static bool fold_permute(ir_builder *b, const ir_desc *d, ir_val *out)
{
    uint32_t n, k;
    const int64_t *order = ints_of(b, d, KEY_order, &n);
    bool identity = true;
    for (uint32_t i = 0; i < n; i++)
        identity &= order[i] == (int64_t)i;
    if (identity)
        return give(out, d->in[0]);
    ir_op o = def_is(b, d->in[0], IR_OP_permute);
    if (!o.id || n > IR_MAX_RANK)
        return false;
    const int64_t *first = ir_ints(b->f, o, KEY_order, &k);
    int64_t both[IR_MAX_RANK];
    for (uint32_t i = 0; i < n; i++)
        both[i] = first[order[i]];
    ir_val x = ir_in(b->f, o, 0);
    return give(out, ir_emit1a(b, IR_OP_permute, d->types[0], &x, 1, KEY_order, ir_attr_ints(b->m, both, n)));
}

/* an element of a range is a sum; one of a broadcast dimension is that of the source */
static bool fold_extract(ir_builder *b, const ir_desc *d, ir_val *out)
{
    ir_op o = def_is(b, d->in[0], IR_OP_arange);
    if (o.id && ir_type_rank(b->m, d->types[0]) == 0) {
        dtype dt = ir_type_dt(b->m, d->types[0]);
        ir_val i = ir_cast(b, d->in[1], dt);
        return give(out, ir_bin(b, IR_OP_add, i, ir_const_i(b, d->types[0], ir_int(b->f, o, KEY_start, 0))));
    }
    return false;
}

/* a slice of a slice, and of a range */
static bool fold_slice(ir_builder *b, const ir_desc *d, ir_val *out)
{
    uint32_t n, k;
    const int64_t *starts = ints_of(b, d, KEY_starts, &n);
    ir_op o = ir_def(b->f, d->in[0]);
    if (!o.id || n > IR_MAX_RANK)
        return false;
    if (ir_op_code(b->f, o) == IR_OP_arange)
        return give(out, ir_emit1a(b, IR_OP_arange, d->types[0], NULL, 0, KEY_start,
                                   ir_attr_int(b->m, ir_int(b->f, o, KEY_start, 0) + starts[0])));
    if (ir_op_code(b->f, o) != IR_OP_slice)
        return false;
    const int64_t *first = ir_ints(b->f, o, KEY_starts, &k);
    int64_t both[IR_MAX_RANK];
    for (uint32_t i = 0; i < n; i++)
        both[i] = first[i] + starts[i];
    ir_val x = ir_in(b->f, o, 0);
    return give(out, ir_emit1a(b, IR_OP_slice, d->types[0], &x, 1, KEY_starts, ir_attr_ints(b->m, both, n)));
}

bool fold_shape(ir_builder *b, const ir_desc *d, ir_val *out)
{
    if (d->code != IR_OP_splat && d->types[0].id == ir_vtype(b->f, d->in[0]).id && d->code != IR_OP_permute &&
        d->code != IR_OP_gather)
        return give(out, d->in[0]); /* the same extents: nothing moves */
    if (d->code == IR_OP_splat) {
        uint64_t bits;
        return ir_const_of(b->f, d->in[0], &bits) && give(out, ir_const_bits(b, d->types[0], bits));
    }
    if (fold_uniform(b, d, out))
        return true;
    switch ((int)d->code) {
    case IR_OP_reshape:
    case IR_OP_broadcast:
        return fold_twice(b, d, out);
    case IR_OP_permute:
        return fold_permute(b, d, out);
    case IR_OP_slice:
        return fold_slice(b, d, out);
    case IR_OP_extract:
        return fold_extract(b, d, out);
    case IR_OP_split: {
        ir_op o = def_is(b, d->in[0], IR_OP_join);
        if (!o.id)
            return false;
        ir_val x = ir_in(b->f, o, 0), y = ir_in(b->f, o, 1);
        out[0] = x;
        out[1] = y;
        return true;
    }
    default:
        return false;
    }
}
