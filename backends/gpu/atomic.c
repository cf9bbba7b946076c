/* atomic.c: atomics on global memory.
 *
 * One thread acts for each element: the leader of the group for a scalar, the owner of the element for a tile. An
 * ordering atomic publishes what all threads of the group did before, so they meet before it (release) and after it
 * (acquire). Old values that are wanted go from the thread that acted to the others that hold the element: by a shuffle
 * within a single warp's scalar, else through shared memory.
 */
#include "backends/gpu/gpu.h"

#include <string.h>

static bool is_used(const gk *k, ir_val v)
{
    for (uint32_t i = 1; i < k->f->ops.n; i++)
        for (uint32_t j = 0; k->f->ops.at[i].parent.id && j < k->f->ops.at[i].nin; j++)
            if (ir_in(k->f, (ir_op){i}, j).id == v.id)
                return true;
    return false;
}

/* LLVM orders no read-modify-write on NVIDIA chips by itself */
static lval ordered(gk *k, const cg_atomic *x, lval p, const lval *v)
{
    cg *c = k->c;
    unsigned scope = LLVMGetSyncScopeID(c->cx, x->scope, strlen(x->scope));
    cg_atomic plain = *x;
    plain.sem = SEM_RELAXED;
    if (x->sem == SEM_ACQ_REL || x->sem == SEM_RELEASE)
        LLVMBuildFenceSyncScope(c->b, LLVMAtomicOrderingAcquireRelease, scope, "");
    lval old = cg_atomic_one(c, &plain, p, v);
    if (x->sem == SEM_ACQ_REL || x->sem == SEM_ACQUIRE)
        LLVMBuildFenceSyncScope(c->b, LLVMAtomicOrderingAcquireRelease, scope, "");
    return old;
}

/* one element under pred (NULL: always); 0 where pred is false */
static lval act(gk *k, const cg_atomic *x, lval p, const lval *v, lval pred)
{
    cg *c = k->c;
    lval at = LLVMBuildAddrSpaceCast(c->b, p, LLVMPointerTypeInContext(c->cx, 1), "");
    if (!pred)
        return ordered(k, x, at, v);
    lblock from = cg_here(c), yes = cg_block(c, "atomic"), next = cg_block(c, "next");
    LLVMBuildCondBr(c->b, pred, yes, next);
    cg_at(c, yes);
    lval got = ordered(k, x, at, v), none = LLVMConstNull(LLVMTypeOf(got));
    lblock end = cg_here(c);
    LLVMBuildBr(c->b, next);
    cg_at(c, next);
    lval r = LLVMBuildPhi(c->b, LLVMTypeOf(got), "");
    LLVMAddIncoming(r, (lval[]){none, got}, (lblock[]){from, end}, 2);
    return r;
}

/* the leader's x becomes every thread's */
static lval spread_scalar(gk *k, lval x, dtype dt)
{
    cg *c = k->c;
    lty t = LLVMTypeOf(x), bits = LLVMIntTypeInContext(c->cx, (unsigned)dt_bits(dt));
    if (k->warps == 1 && dt_bits(dt) == 32)
        return cg_bits(c, k->ops->uniform(c, cg_bits(c, x, bits)), t);
    int64_t bytes = 8;
    lval at = gpu_shared_address(k, gpu_shared(k, bytes, 8), bytes);
    lval p = LLVMBuildIntToPtr(c->b, at, LLVMPointerTypeInContext(c->cx, 3), "");
    lblock yes = cg_block(c, "tell"), next = cg_block(c, "next");
    LLVMBuildCondBr(c->b, k->leader, yes, next);
    cg_at(c, yes);
    cg_store(c, cg_bits(c, x, bits), p, (unsigned)dt_bytes(dt));
    LLVMBuildBr(c->b, next);
    cg_at(c, next);
    gpu_barrier(k);
    lval r = cg_load(c, bits, p, (unsigned)dt_bytes(dt));
    gpu_barrier(k); /* before the place is written anew */
    return cg_bits(c, r, t);
}

/* the owners' registers become those of every thread that holds the element */
static void spread_tile(gk *k, const lay *l, dtype dt, lval *r, lval owner)
{
    cg *c = k->c;
    int64_t shape[LAY_MAX_RANK];
    int order[LAY_MAX_RANK];
    for (int d = 0; d < l->rank; d++) {
        shape[d] = l->rep[d] << l->log2[d];
        order[d] = l->rank - 1 - d;
    }
    lay_shared s = lay_shared_linear(l->rank, shape, order);
    int64_t bytes = lay_shared_elems(&s) * (int64_t)dt_bytes(dt);
    lval base = gpu_shared_address(k, gpu_shared(k, bytes, 16), bytes);
    lblock yes = cg_block(c, "tell"), next = cg_block(c, "next");
    LLVMBuildCondBr(c->b, owner, yes, next);
    cg_at(c, yes);
    gpu_shared_access(k, l, &s, dt, base, r, true);
    LLVMBuildBr(c->b, next);
    cg_at(c, next);
    gpu_barrier(k);
    gpu_shared_access(k, l, &s, dt, base, r, false);
    gpu_barrier(k);
}

bool gpu_atomic_op(gk *k, ir_op o)
{
    static const char *const scopes[] = {[SCOPE_GPU] = "device", [SCOPE_CTA] = "block", [SCOPE_SYS] = ""};
    const ir_func *f = k->f;
    ir_code code = ir_op_code(f, o);
    if (code != IR_OP_atomic_rmw && code != IR_OP_atomic_cas)
        return false;
    ir_val out = ir_out(f, o, 0);
    const lay *l = gpu_lay(k, ir_vtype(f, out));
    cg_atomic x = {.dt = ir_type_dt(k->m, ir_vtype(f, out)),
                   .cas = code == IR_OP_atomic_cas,
                   .swap = ir_int(f, o, KEY_scope, SCOPE_GPU) == SCOPE_SYS, /* LLVM says no scope on the others */
                   .fadd = true,
                   .rmw = ir_int(f, o, KEY_rmw, RMW_ADD),
                   .sem = ir_int(f, o, KEY_sem, SEM_ACQ_REL),
                   .scope = scopes[ir_int(f, o, KEY_scope, SCOPE_GPU)]};
    uint32_t nv = x.cas ? 2 : 1, n = gpu_regs(k, ir_vtype(f, out)), dead = l ? lay_replicated(l, LAY_REG) : 0;
    const gpu_val *mask = ir_nin(f, o) > 1 + nv ? &k->val[ir_in(f, o, 1 + nv).id] : NULL;
    lval owner = l ? gpu_is_owner(k, l) : k->leader;
    bool orders = x.sem != SEM_RELAXED && k->leader, wanted = is_used(k, out);
    lval *r = gpu_set(k, out, n);
    if (orders)
        gpu_barrier(k);
    for (uint32_t i = 0; i < n; i++) {
        lval v[2], pred = owner;
        if (i & dead) {
            r[i] = r[i & ~dead];
            continue;
        }
        for (uint32_t j = 0; j < nv; j++)
            v[j] = gpu_reg(k, ir_in(f, o, 1 + j), i);
        if (mask)
            pred =
                pred ? LLVMBuildAnd(k->c->b, pred, mask->r[mask->n == 1 ? 0 : i], "") : mask->r[mask->n == 1 ? 0 : i];
        r[i] = act(k, &x, gpu_reg(k, ir_in(f, o, 0), i), v, pred);
    }
    if (wanted && owner && l)
        spread_tile(k, l, x.dt, r, owner);
    else if (wanted && owner)
        r[0] = spread_scalar(k, r[0], x.dt);
    else if (orders)
        gpu_barrier(k);
    return true;
}
