/* atomic.c: atomics, and the rank-0 memory ops.
 *
 * Lanes go one by one, in order, so that duplicate addresses each count.
 */
#include "backends/cpu/cpu.h"

lval atomic_one(kern *k, ir_op o, lval p, const lval *x)
{
    const ir_func *f = k->f;
    cg_atomic a = {.dt = ir_type_dt(f->m, ir_vtype(f, ir_out(f, o, 0))),
                   .cas = ir_op_code(f, o) == IR_OP_atomic_cas,
                   .rmw = ir_int(f, o, KEY_rmw, RMW_ADD),
                   .sem = ir_int(f, o, KEY_sem, SEM_ACQ_REL),
                   .scope = ""};
    return cg_atomic_one(k->c, &a, p, x);
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
    lval p = lv_vec(n, ev(n, ir_in(f, o, 0), n->own)), x[2], mask = n->hole;
    for (uint32_t i = 0; i < nv; i++)
        x[i] = lv_vec(n, ev(n, ir_in(f, o, 1 + i), n->own));
    if (ir_nin(f, o) > 1 + nv) {
        mask = lv_vec(n, ev(n, ir_in(f, o, 1 + nv), n->own));
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
