/* split_offsets.c: pass split_offsets: a pointer tile's offset that is the sum of a uniform part and a rest is taken
 * apart: the uniform part moves the scalar pointer in 64 bits, and what is left in the tile often fits 32 bits
 * without a guard.
 *
 *   splat(p) + (splat(u) + rest)   becomes   splat(p + u) + rest
 */
#include "compiler/passes/rewrite.h"

static bool split(rw *r, ir_op o)
{
    if (ir_op_code(r->old, o) != IR_OP_ptr_add)
        return false;
    ir_val p = rw_in(r, o, 0), off = rw_in(r, o, 1);
    ir_op base = ir_def(r->f, p), sum = ir_def(r->f, off);
    if (!base.id || ir_op_code(r->f, base) != IR_OP_splat || !sum.id || ir_op_code(r->f, sum) != IR_OP_add)
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        ir_op u = ir_def(r->f, ir_in(r->f, sum, i));
        if (!u.id || ir_op_code(r->f, u) != IR_OP_splat)
            continue;
        const ir_type_info *t = ir_type_of(r->f->m, ir_vtype(r->f, p));
        int rank = t->rank;
        int64_t shape[IR_MAX_RANK];
        for (int d = 0; d < rank; d++)
            shape[d] = t->shape[d];
        rw_begin(r, o);
        ir_val rest = ir_in(r->f, sum, 1 - i);
        ir_val moved = ir_ptr_add(&r->b, ir_in(r->f, base, 0), ir_in(r->f, u, 0));
        rw_set(r, o, 0, ir_ptr_add(&r->b, ir_splat(&r->b, moved, rank, shape), rest));
        return true;
    }
    return false;
}

ir_func *pass_split_offsets(pass_ctx *c, ir_func *f)
{
    rw r;
    rw_init(&r, c, f, split, NULL);
    return rw_run(&r);
}
