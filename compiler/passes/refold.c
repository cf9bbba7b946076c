/* refold.c: pass fold: a copy through the builder, which folds and finds common subexpressions; and branches and loops
 * whose way is known. */
#include "compiler/passes/rewrite.h"

static void take_branch(rw *r, ir_op o, uint32_t which)
{
    ir_region region = ir_op_region(r->old, o, which);
    uint32_t n = ir_nout(r->old, o);
    ir_val *v = ARENA_ARRAY(r->c->scratch, ir_val, n ? n : 1);
    rw_ops(r, region);
    rw_yielded(r, region, v);
    for (uint32_t i = 0; i < n; i++)
        rw_set(r, o, i, v[i]);
}

static bool never_runs(const ir_func *f, ir_val lb, ir_val ub, ir_val step)
{
    int64_t a, b, s;
    if (!ir_const_int_of(f, lb, &a) || !ir_const_int_of(f, ub, &b) || !ir_const_int_of(f, step, &s))
        return false;
    return s > 0 ? a >= b : a <= b;
}

/* both branches empty and yielding: a choice between values */
static bool only_chooses(const ir_func *f, ir_op o)
{
    for (uint32_t i = 0; i < 2; i++) {
        ir_op first = ir_first(f, ir_op_region(f, o, i));
        if (!(ir_info(f, first)->flags & TERM))
            return false;
    }
    for (uint32_t i = 0; i < ir_nout(f, o); i++)
        if (ir_type_of(f->m, ir_vtype(f, ir_out(f, o, i)))->kind == TK_TENSOR)
            return false;
    return true;
}

static bool visit(rw *r, ir_op o)
{
    uint64_t c;
    ir_code code = ir_op_code(r->old, o);
    if (code == IR_OP_if && ir_const_of(r->f, rw_in(r, o, 0), &c)) {
        take_branch(r, o, c ? 0 : 1);
        return true;
    }
    if (code == IR_OP_if && only_chooses(r->old, o)) {
        ir_op yes = ir_last(r->old, ir_op_region(r->old, o, 0)), no = ir_last(r->old, ir_op_region(r->old, o, 1));
        rw_begin(r, o);
        for (uint32_t i = 0; i < ir_nout(r->old, o); i++)
            rw_set(r, o, i, ir_select(&r->b, rw_in(r, o, 0), rw_in(r, yes, i), rw_in(r, no, i)));
        return true;
    }
    if (code == IR_OP_for && never_runs(r->f, rw_in(r, o, 0), rw_in(r, o, 1), rw_in(r, o, 2))) {
        for (uint32_t i = 0; i < ir_nout(r->old, o); i++)
            rw_set(r, o, i, rw_in(r, o, 3 + i));
        return true;
    }
    return false;
}

ir_func *pass_fold(pass_ctx *c, ir_func *f)
{
    rw r;
    rw_init(&r, c, f, visit, NULL);
    return rw_run(&r);
}
