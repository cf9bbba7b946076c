/* inline.c: pass inline: calls become the bodies of what they call.
 *
 * The callee is walked with a map of its own, its parameters standing for the call's operands and its return's operands
 * for the call's results. Callees of callees follow by recursion, which is finite since the front end refuses recursion
 * and the verifier does too. Locations keep the chain of calls that led to them.
 */
#include "compiler/passes/rewrite.h"

static bool visit(rw *r, ir_op o);

static void splice(rw *r, ir_op call, const ir_func *callee)
{
    const ir_func *caller = r->old;
    ir_map outer = r->map, inner;
    ir_loc site = r->inlined_at;
    uint32_t n = ir_nout(caller, call);
    ir_val *results = ARENA_ARRAY(r->c->scratch, ir_val, n ? n : 1);
    ir_map_init(&inner, r->c->scratch, callee);
    for (uint32_t i = 0; i < ir_nin(caller, call); i++)
        ir_map_set(&inner, ir_param_of(callee, callee->body, i), rw_in(r, call, i));
    rw_begin(r, call);
    r->inlined_at = r->b.loc;
    r->old = callee;
    r->map = inner;
    rw_ops(r, callee->body);
    rw_yielded(r, callee->body, results);
    r->old = caller;
    r->map = outer;
    r->inlined_at = site;
    for (uint32_t i = 0; i < n; i++)
        rw_set(r, call, i, results[i]);
}

static bool visit(rw *r, ir_op o)
{
    if (ir_op_code(r->old, o) != IR_OP_call)
        return false;
    const ir_func *callee = ir_module_find(r->f->m, ir_text(r->old, o, KEY_callee));
    if (!callee)
        bug("call of a function that is not there");
    splice(r, o, callee);
    return true;
}

static bool has_calls(const ir_func *f)
{
    for (uint32_t i = 1; i < f->ops.n; i++)
        if (f->ops.at[i].code == IR_OP_call)
            return true;
    return false;
}

ir_func *pass_inline(pass_ctx *c, ir_func *f)
{
    rw r;
    if (!has_calls(f))
        return f;
    rw_init(&r, c, f, visit, NULL);
    return rw_run(&r);
}
