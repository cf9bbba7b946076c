/* atomic.c: atomics, and the rank-0 memory ops.
 *
 * Lanes go one by one, in order, so that duplicate addresses each count. Integers use the processor's own
 * read-modify-write; floats a compare-and-swap of their bits, as the language's min and max have rules that no
 * instruction has.
 */
#include "backends/cpu/cpu.h"

static LLVMAtomicOrdering order_of(const ir_func *f, ir_op o)
{
    switch ((enum ir_sem)ir_int(f, o, KEY_sem, SEM_ACQ_REL)) {
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

static bool native_rmw(int64_t rmw, dtype d, LLVMAtomicRMWBinOp *op)
{
    bool s = dt_is_signed(d);
    if (!dt_is_int(d) && rmw != RMW_XCHG)
        return false;
    switch ((enum ir_rmw)rmw) {
    case RMW_ADD:
        *op = LLVMAtomicRMWBinOpAdd;
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

/* old, and *p becomes old op x, by compare-and-swap of the bits */
static lval swap_loop(cg *c, lval p, lval x, dtype d, ir_code code, LLVMAtomicOrdering order)
{
    lty bits = LLVMIntTypeInContext(c->cx, (unsigned)dt_bits(d));
    lblock from = cg_here(c), again = cg_block(c, "cas"), done = cg_block(c, "cas.done");
    lval first = cg_load(c, bits, p, (unsigned)dt_bytes(d));
    LLVMSetOrdering(first, LLVMAtomicOrderingMonotonic);
    LLVMBuildBr(c->b, again);
    cg_at(c, again);
    lval seen = LLVMBuildPhi(c->b, bits, "");
    lval old = cg_bits(c, seen, cg_num(c, d));
    cg_elt_op e = {.code = code, .from = d, .to = d, .lanes = 1};
    lval now = cg_bits(c, cg_elt(c, &e, (lval[]){old, x}), bits);
    lval r = LLVMBuildAtomicCmpXchg(c->b, p, seen, now, order, failure_order(order), false);
    lval got = LLVMBuildExtractValue(c->b, r, 0, "");
    lblock here = cg_here(c);
    LLVMBuildCondBr(c->b, LLVMBuildExtractValue(c->b, r, 1, ""), done, again);
    LLVMAddIncoming(seen, (lval[]){first, got}, (lblock[]){from, here}, 2);
    cg_at(c, done);
    return old;
}

lval atomic_one(kern *k, ir_op o, lval p, const lval *x)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    dtype d = ir_type_dt(f->m, ir_vtype(f, ir_out(f, o, 0)));
    LLVMAtomicOrdering order = order_of(f, o);
    lty t = cg_num(c, d), bits = LLVMIntTypeInContext(c->cx, (unsigned)dt_bits(d));
    if (ir_op_code(f, o) == IR_OP_atomic_cas) {
        lval r = LLVMBuildAtomicCmpXchg(c->b, p, cg_bits(c, x[0], bits), cg_bits(c, x[1], bits), order,
                                        failure_order(order), false);
        return cg_bits(c, LLVMBuildExtractValue(c->b, r, 0, ""), t);
    }
    static const ir_code codes[] = {[RMW_ADD] = IR_OP_add, [RMW_MAX] = IR_OP_max, [RMW_MIN] = IR_OP_min,
                                    [RMW_AND] = IR_OP_and, [RMW_OR] = IR_OP_or,   [RMW_XOR] = IR_OP_xor};
    int64_t rmw = ir_int(f, o, KEY_rmw, RMW_ADD);
    LLVMAtomicRMWBinOp op = LLVMAtomicRMWBinOpXchg;
    if (!native_rmw(rmw, d, &op))
        return swap_loop(c, p, x[0], d, codes[rmw], order);
    return cg_bits(c, LLVMBuildAtomicRMW(c->b, op, p, cg_bits(c, x[0], bits), order, false), t);
}

/* ---- lanes ---- */
typedef struct lane_loop {
    lval lane, result;
    lblock head, next, done, act;
} lane_loop;

static lane_loop lanes_begin(cg *c, int lanes, lty t, lval mask)
{
    lane_loop l = {.head = cg_block(c, "lane"),
                   .act = cg_block(c, "lane.act"),
                   .next = cg_block(c, "lane.next"),
                   .done = cg_block(c, "lane.done")};
    lblock from = cg_here(c);
    LLVMBuildBr(c->b, l.head);
    cg_at(c, l.head);
    l.lane = LLVMBuildPhi(c->b, c->i32, "");
    l.result = LLVMBuildPhi(c->b, cg_vec(t, lanes), "");
    lval zero = cg_i32(c, 0), none = LLVMConstNull(cg_vec(t, lanes));
    LLVMAddIncoming(l.lane, &zero, &from, 1);
    LLVMAddIncoming(l.result, &none, &from, 1);
    lval on = mask ? LLVMBuildExtractElement(c->b, mask, l.lane, "") : cg_int(c->i1, 1);
    LLVMBuildCondBr(c->b, on, l.act, l.next);
    cg_at(c, l.act);
    return l;
}

static lval lanes_end(cg *c, lane_loop *l, lval x, int lanes)
{
    lval with = LLVMBuildInsertElement(c->b, l->result, x, l->lane, "");
    lblock from = cg_here(c);
    LLVMBuildBr(c->b, l->next);
    cg_at(c, l->next);
    lval r = LLVMBuildPhi(c->b, LLVMTypeOf(l->result), "");
    LLVMAddIncoming(r, (lval[]){l->result, with}, (lblock[]){l->head, from}, 2);
    lval i = LLVMBuildAdd(c->b, l->lane, cg_i32(c, 1), "");
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSLT, i, cg_i32(c, lanes)), l->head, l->done);
    LLVMAddIncoming(l->lane, &i, &l->next, 1);
    LLVMAddIncoming(l->result, &r, &l->next, 1);
    cg_at(c, l->done);
    return r;
}

static uint32_t values_of(ir_code code)
{
    return code == IR_OP_atomic_cas ? 2 : 1;
}

lv mem_atomic(nest *n, ir_op o)
{
    kern *k = n->k;
    cg *c = k->c;
    const ir_func *f = k->f;
    uint32_t nv = values_of(ir_op_code(f, o));
    lval p = lv_vec(n, ev(n, ir_in(f, o, 0), 0)), x[2], mask = n->hole;
    for (uint32_t i = 0; i < nv; i++)
        x[i] = lv_vec(n, ev(n, ir_in(f, o, 1 + i), 0));
    if (ir_nin(f, o) > 1 + nv) {
        mask = lv_vec(n, ev(n, ir_in(f, o, 1 + nv), 0));
        nest_enter(n, n->inner);
        if (n->hole)
            mask = LLVMBuildAnd(c->b, mask, n->hole, "");
    }
    nest_enter(n, n->inner);
    lty t = cg_num(c, ir_type_dt(f->m, ir_vtype(f, ir_out(f, o, 0))));
    lv r = {.form = LV_VEC, .level = (int8_t)n->inner};
    int lanes = n->lanes;
    if (lanes == 1) {
        lblock from = cg_here(c), act = cg_block(c, "atomic"), done = cg_block(c, "atomic.done");
        LLVMBuildCondBr(c->b, mask ? mask : cg_int(c->i1, 1), act, done);
        cg_at(c, act);
        lval got = atomic_one(k, o, p, x);
        lblock end = cg_here(c);
        LLVMBuildBr(c->b, done);
        cg_at(c, done);
        r.v = LLVMBuildPhi(c->b, t, "");
        LLVMAddIncoming(r.v, (lval[]){LLVMConstNull(t), got}, (lblock[]){from, end}, 2);
    } else {
        lane_loop l = lanes_begin(c, lanes, t, mask);
        lval xs[2];
        for (uint32_t i = 0; i < nv; i++)
            xs[i] = LLVMBuildExtractElement(c->b, x[i], l.lane, "");
        lval got = atomic_one(k, o, LLVMBuildExtractElement(c->b, p, l.lane, ""), xs);
        r.v = lanes_end(c, &l, got, lanes);
    }
    nest_leave(n, n->inner);
    return r;
}

/* ---- rank 0 ---- */
static lval point_access(kern *k, ir_op o, const lval *in)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_code code = ir_op_code(f, o);
    if (code == IR_OP_atomic_rmw || code == IR_OP_atomic_cas)
        return atomic_one(k, o, in[0], in + 1);
    dtype d = ir_type_dt(f->m, ir_vtype(f, code == IR_OP_load ? ir_out(f, o, 0) : ir_in(f, o, 1)));
    unsigned size = d == DT_NONE ? 8 : (unsigned)dt_bytes(d);
    if (code == IR_OP_store) {
        cg_store(c, to_memory(c, in[1], d), in[0], size);
        return NULL;
    }
    lval x = cg_load(c, cg_mem(c, d), in[0], size);
    if (ir_int(f, o, KEY_is_volatile, 0))
        LLVMSetVolatile(x, true);
    return from_memory(c, x, d);
}

/* number of operands before the mask */
static uint32_t mask_at(ir_code code)
{
    return code == IR_OP_load ? 1 : code == IR_OP_atomic_cas ? 3 : 2;
}

void point_memory(kern *k, ir_op o)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_code code = ir_op_code(f, o);
    uint32_t at = mask_at(code), nin = ir_nin(f, o);
    lval in[5] = {0};
    for (uint32_t i = 0; i < nin; i++)
        in[i] = ev_scalar(k, ir_in(f, o, i));
    nest_enter(k->n, -1);
    cg_debug_loc(c, f->m, ir_o(f, o)->loc);
    lval r;
    if (nin <= at) {
        r = point_access(k, o, in);
    } else {
        lblock from = cg_here(c), act = cg_block(c, "point"), done = cg_block(c, "point.done");
        LLVMBuildCondBr(c->b, in[at], act, done);
        cg_at(c, act);
        r = point_access(k, o, in);
        lblock end = cg_here(c);
        LLVMBuildBr(c->b, done);
        cg_at(c, done);
        if (r) {
            lval other = code == IR_OP_load && nin > 2 ? in[2] : LLVMConstNull(LLVMTypeOf(r)), x = r;
            r = LLVMBuildPhi(c->b, LLVMTypeOf(x), "");
            LLVMAddIncoming(r, (lval[]){other, x}, (lblock[]){from, end}, 2);
        }
    }
    nest_leave(k->n, -1);
    if (r)
        k->scalar[ir_out(f, o, 0).id] = r;
}
