/* atomic.c: one read-modify-write or compare-and-swap of memory, for every target.
 *
 * Integers use the target's own read-modify-write, and floats where `fadd` says that it has an addition; the rest is a
 * compare-and-swap of the bits, as the language's min and max have rules that no instruction has.
 */
#include "backends/llvm/cg.h"

#include <string.h>

static LLVMAtomicOrdering order_of(int64_t sem)
{
    switch ((enum ir_sem)sem) {
    case SEM_ACQUIRE:
        return LLVMAtomicOrderingAcquire;
    case SEM_RELEASE:
        return LLVMAtomicOrderingRelease;
    case SEM_RELAXED:
        return LLVMAtomicOrderingMonotonic;
    case SEM_ACQ_REL:
        break;
    }
    return LLVMAtomicOrderingAcquireRelease;
}

static LLVMAtomicOrdering failure_order(LLVMAtomicOrdering o)
{
    bool sees = o == LLVMAtomicOrderingAcquire || o == LLVMAtomicOrderingAcquireRelease;
    return sees ? LLVMAtomicOrderingAcquire : LLVMAtomicOrderingMonotonic;
}

static bool native_rmw(const cg_atomic *x, LLVMAtomicRMWBinOp *op)
{
    bool s = dt_is_signed(x->dt);
    if (x->swap)
        return false;
    if (!dt_is_int(x->dt) && x->rmw != RMW_XCHG && !(x->rmw == RMW_ADD && x->fadd && x->dt != DT_BF16))
        return false;
    switch ((enum ir_rmw)x->rmw) {
    case RMW_ADD:
        *op = dt_is_int(x->dt) ? LLVMAtomicRMWBinOpAdd : LLVMAtomicRMWBinOpFAdd;
        break;
    case RMW_MAX:
        *op = s ? LLVMAtomicRMWBinOpMax : LLVMAtomicRMWBinOpUMax;
        break;
    case RMW_MIN:
        *op = s ? LLVMAtomicRMWBinOpMin : LLVMAtomicRMWBinOpUMin;
        break;
    case RMW_AND:
        *op = LLVMAtomicRMWBinOpAnd;
        break;
    case RMW_OR:
        *op = LLVMAtomicRMWBinOpOr;
        break;
    case RMW_XOR:
        *op = LLVMAtomicRMWBinOpXor;
        break;
    case RMW_XCHG:
        *op = LLVMAtomicRMWBinOpXchg;
        break;
    }
    return true;
}

static lval swap(cg *c, const cg_atomic *x, lval p, lval expected, lval now)
{
    LLVMAtomicOrdering order = order_of(x->sem);
    return LLVMBuildAtomicCmpXchgSyncScope(c->b, p, expected, now, order, failure_order(order),
                                           LLVMGetSyncScopeID(c->cx, x->scope, strlen(x->scope)));
}

/* old, and *p becomes old op v, by compare-and-swap of the bits */
static lval swap_loop(cg *c, const cg_atomic *x, lval p, lval v)
{
    static const ir_code codes[] = {
        [RMW_ADD] = IR_OP_add, [RMW_MAX] = IR_OP_max, [RMW_MIN] = IR_OP_min, [RMW_AND] = IR_OP_and,
        [RMW_OR] = IR_OP_or,   [RMW_XOR] = IR_OP_xor, [RMW_XCHG] = 0};
    lty bits = LLVMIntTypeInContext(c->cx, (unsigned)dt_bits(x->dt));
    lblock from = cg_here(c), again = cg_block(c, "cas"), done = cg_block(c, "cas.done");
    lval first = cg_load(c, bits, p, (unsigned)dt_bytes(x->dt));
    LLVMSetOrdering(first, LLVMAtomicOrderingMonotonic);
    LLVMBuildBr(c->b, again);
    cg_at(c, again);
    lval seen = LLVMBuildPhi(c->b, bits, "");
    lval old = cg_bits(c, seen, cg_num(c, x->dt));
    lval now = cg_bits(c, v, bits);
    cg_elt_op e = {.code = codes[x->rmw], .from = x->dt, .to = x->dt, .lanes = 1};
    if (x->rmw != RMW_XCHG)
        now = cg_bits(c, cg_elt(c, &e, (lval[]){old, v}), bits);
    lval r = swap(c, x, p, seen, now);
    lval got = LLVMBuildExtractValue(c->b, r, 0, "");
    lblock here = cg_here(c);
    LLVMBuildCondBr(c->b, LLVMBuildExtractValue(c->b, r, 1, ""), done, again);
    LLVMAddIncoming(seen, (lval[]){first, got}, (lblock[]){from, here}, 2);
    cg_at(c, done);
    return old;
}

lval cg_atomic_one(cg *c, const cg_atomic *x, lval p, const lval *v)
{
    lty t = cg_num(c, x->dt), bits = LLVMIntTypeInContext(c->cx, (unsigned)dt_bits(x->dt));
    if (x->cas)
        return cg_bits(
            c, LLVMBuildExtractValue(c->b, swap(c, x, p, cg_bits(c, v[0], bits), cg_bits(c, v[1], bits)), 0, ""), t);
    LLVMAtomicRMWBinOp op = LLVMAtomicRMWBinOpXchg;
    if (!native_rmw(x, &op))
        return swap_loop(c, x, p, v[0]);
    lval with = op == LLVMAtomicRMWBinOpFAdd ? v[0] : cg_bits(c, v[0], bits);
    return cg_bits(c,
                   LLVMBuildAtomicRMWSyncScope(c->b, op, p, with, order_of(x->sem),
                                               LLVMGetSyncScopeID(c->cx, x->scope, strlen(x->scope))),
                   t);
}
