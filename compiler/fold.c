/* fold.c: what the builder does before it appends an op: the way in to the rules.
 *
 * A rule gives back the very values the op would compute (NaN payloads aside) from values at hand or from fewer,
 * simpler ops, which it emits through the builder, so they fold in turn. Each rule makes the expression smaller or
 * moves it towards one canonical form (constants right, arithmetic on scalars before splat), so emission ends. Rules
 * never look below a definition's definition more than once: the budget is 0.3 us an op and pass.
 */
#include "compiler/fold.h"

bool fold_twice(ir_builder *b, const ir_desc *d, ir_val *out)
{
    ir_op o = def_is(b, d->in[0], d->code);
    if (!o.id)
        return false;
    ir_val x = ir_in(b->f, o, 0);
    ir_desc s = *d;
    s.in = &x;
    ir_emit(b, &s, out);
    return true;
}

bool ir_fold(ir_builder *b, const ir_desc *d, ir_val *out)
{
    const ir_op_info *info = &ir_ops[d->code];
    switch ((int)d->code) {
    case IR_OP_splat:
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_permute:
    case IR_OP_split:
    case IR_OP_slice:
    case IR_OP_extract:
    case IR_OP_gather:
        return fold_shape(b, d, out);
    case IR_OP_load:
    case IR_OP_store:
    case IR_OP_atomic_rmw:
    case IR_OP_tensor_dim:
    case IR_OP_tensor_stride:
    case IR_OP_tensor_base:
    case IR_OP_assume:
    case IR_OP_assert:
    case IR_OP_expect_eq:
    case IR_OP_ptr_cast:
    case IR_OP_hint:
        return fold_mem(b, d, out);
    default:
        return (info->flags & PURE) && (info->flags & ELT) && fold_arith(b, d, out);
    }
}
