/* control.c: the steps of a region in order; loops and branches; print and assert.
 *
 * Scalars carried by a loop are phis; tiles stay in buffers, written back at the end of an iteration unless they
 * already are there (buffers.c); tiles that only move keep their start and carry one scalar. Yields that read what
 * others overwrite go through temporaries.
 */
#include "backends/cpu/cpu.h"

#include <string.h>

typedef struct carried {
    lval *init, *phi, *next; /* NULL: a tile in a buffer */
    uint32_t n;
} carried;

lval for_trips(cg *c, lval from, lval to, lval step, dtype d)
{
    lty t = LLVMTypeOf(from);
    lval zero = cg_int(t, 0), one = cg_int(t, 1);
    bool s = dt_is_signed(d);
    lval up = s ? cg_icmp(c, LLVMIntSGT, step, zero) : cg_int(c->i1, 1);
    lval lo = cg_sel(c, up, from, to), hi = cg_sel(c, up, to, from);
    lval any = cg_icmp(c, s ? LLVMIntSLT : LLVMIntULT, lo, hi);
    lval mag = cg_sel(c, up, step, LLVMBuildNeg(c->b, step, ""));
    mag = cg_sel(c, cg_icmp(c, LLVMIntEQ, mag, zero), one, mag);
    lval range = LLVMBuildSub(c->b, LLVMBuildSub(c->b, hi, lo, ""), one, "");
    lval n = LLVMBuildAdd(c->b, LLVMBuildUDiv(c->b, range, mag, ""), one, "");
    return cg_sel(c, any, n, zero);
}

static const plan_val *val_of(const kern *k, ir_val v)
{
    return &k->p->v[v.id];
}

static void row_major(const kern *k, ir_val v, int64_t *stride)
{
    const ir_type_info *t = ir_type_of(k->f->m, ir_vtype(k->f, v));
    int64_t n = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        stride[d] = n;
        n *= t->shape[d];
    }
}

static void copy_to(kern *k, ir_val v, int32_t buffer)
{
    int64_t stride[IR_MAX_RANK];
    row_major(k, v, stride);
    nest_enter(k->n, -1);
    nest_copy(k, v, ir_type_dt(k->f->m, ir_vtype(k->f, v)), buffer_address(k, buffer), stride, 0);
}

static void copy_back(kern *k, int32_t from, int32_t to, int64_t bytes)
{
    nest_enter(k->n, -1);
    LLVMBuildMemCpy(k->c->b, buffer_address(k, to), 64, buffer_address(k, from), 64, cg_i64(k->c, bytes));
    nest_leave(k->n, -1);
}

static int64_t bytes_of(const kern *k, ir_val v)
{
    ir_type t = ir_vtype(k->f, v);
    return ir_type_count(k->f->m, t) * plan_elem_bytes(k->f, t);
}

/* fresh straight-line state: nothing read from a buffer before is good after */
static void renew(kern *k)
{
    nest_enter(k->n, -1);
    nest_straight(k->n, k);
}

/* ---- loops ---- */
static void carry_in(kern *k, ir_op o, uint32_t skip, carried *x)
{
    const ir_func *f = k->f;
    x->n = ir_nout(f, o);
    x->init = ARENA_ARRAY(k->a, lval, x->n);
    x->phi = ARENA_ARRAY(k->a, lval, x->n);
    x->next = ARENA_ARRAY(k->a, lval, x->n);
    for (uint32_t i = 0; i < x->n; i++) {
        ir_val init = ir_in(f, o, skip + i), out = ir_out(f, o, i);
        switch ((val_class)val_of(k, out)->cls) {
        case VC_CARRIED:
            copy_to(k, init, val_of(k, out)->buffer);
            break;
        case VC_SHIFT: {
            bool ptr = ir_type_is_ptr(f->m, ir_vtype(f, out));
            x->init[i] = cg_int(ptr ? k->c->i64 : cg_num(k->c, ir_type_dt(f->m, ir_vtype(f, out))), 0);
            break;
        }
        default:
            x->init[i] = ev_scalar(k, init);
            break;
        }
    }
    nest_enter(k->n, -1);
}

static void set_carried(kern *k, ir_val v, lval x)
{
    if (!x)
        return;
    if (val_of(k, v)->cls == VC_SHIFT)
        k->shift[v.id] = x;
    else
        k->scalar[v.id] = x;
}

static lval moved_by(kern *k, ir_val param, ir_val next)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_val by[4];
    uint32_t n;
    if (!plan_shift_steps(k->p, param, next, by, &n, COUNTOF(by)))
        bug("a tile that only moves doesn't");
    lval sum = k->shift[param.id];
    ir_type t = ir_vtype(f, param);
    for (uint32_t i = 0; i < n; i++) {
        coords zero = {.rank = ir_type_rank(f->m, t)};
        for (int d = 0; d < zero.rank; d++)
            zero.at[d] = lv_const(k->n, 0);
        lval x = ir_type_rank(f->m, ir_vtype(f, by[i])) ? ev_point(k, by[i], &zero).v : ev_scalar(k, by[i]);
        nest_enter(k->n, -1);
        if (ir_type_is_ptr(f->m, t)) {
            x = cg_cast(c, x, ir_type_dt(f->m, ir_vtype(f, by[i])), DT_I64, false, 1);
            int64_t size = plan_elem_bytes(f, ir_type_of(f->m, ir_type_elem(f->m, t))->elem);
            x = LLVMBuildMul(c->b, x, cg_i64(c, size), "");
        }
        sum = LLVMBuildAdd(c->b, sum, x, "");
        nest_leave(k->n, -1);
    }
    return sum;
}

static void carry_round(kern *k, const plan_step *s, ir_region body, uint32_t skip, carried *x)
{
    const ir_func *f = k->f;
    ir_op term = ir_last(f, body);
    renew(k);
    for (uint32_t i = 0; i < x->n; i++) /* what may read what others overwrite */
        if (s->copies.at[i] >= 0)
            copy_to(k, ir_in(f, term, i), s->copies.at[i]);
    for (uint32_t i = 0; i < x->n; i++) {
        ir_val out = ir_out(f, s->op, i), y = ir_in(f, term, i);
        const plan_val *to = val_of(k, out);
        if (to->cls == VC_SHIFT)
            x->next[i] = moved_by(k, ir_param_of(f, body, i + skip), y);
        else if (to->cls != VC_CARRIED)
            x->next[i] = ev_scalar(k, y);
    }
    for (uint32_t i = 0; i < x->n; i++) {
        const plan_val *to = val_of(k, ir_out(f, s->op, i));
        ir_val y = ir_in(f, term, i);
        if (to->cls == VC_CARRIED && s->copies.at[i] < 0 && val_of(k, y)->buffer != to->buffer)
            copy_to(k, y, to->buffer);
    }
    for (uint32_t i = 0; i < x->n; i++)
        if (s->copies.at[i] >= 0)
            copy_back(k, s->copies.at[i], val_of(k, ir_out(f, s->op, i))->buffer, bytes_of(k, ir_out(f, s->op, i)));
    nest_enter(k->n, -1);
}

static void open_head(cg *c, carried *x, lblock from)
{
    for (uint32_t i = 0; i < x->n; i++) {
        if (!x->init[i])
            continue;
        x->phi[i] = LLVMBuildPhi(c->b, LLVMTypeOf(x->init[i]), "");
        LLVMAddIncoming(x->phi[i], &x->init[i], &from, 1);
    }
}

static void close_head(cg *c, carried *x, lblock head)
{
    lblock here = cg_here(c);
    for (uint32_t i = 0; i < x->n; i++)
        if (x->phi[i])
            LLVMAddIncoming(x->phi[i], &x->next[i], &here, 1);
    LLVMBuildBr(c->b, head);
}

/* `for k: acc = dot(.., .., acc)`: so many turns are packed, then multiplied at once. Each element of the sum still
 * adds its products in ascending k */
static void emit_contraction(kern *k, const plan_step *s, ir_op dot)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_region r = s->body[0]->r;
    dtype d = ir_type_dt(f->m, ir_vtype(f, ir_in(f, s->op, 0)));
    const plan_step *ds = &k->p->steps.at[val_of(k, ir_out(f, dot, 0))->step];
    lval from = ev_scalar(k, ir_in(f, s->op, 0)), to = ev_scalar(k, ir_in(f, s->op, 1)),
         by = ev_scalar(k, ir_in(f, s->op, 2)), zero = cg_i64(c, 0);
    carried *x = ARENA_NEW(k->a, carried), *y = ARENA_NEW(k->a, carried);
    dot_prepare(k, ds);
    nest_leave(k->n, -1);
    carry_in(k, s->op, 3, x);
    dot_limits want = dot_wanted(k, s->op, dot);
    lval trips = for_trips(c, from, to, by, d), steps = cg_i64(c, dot_steps(k, dot));
    trips = cg_cast(c, trips, dt_bits(d) == 64 ? DT_I64 : DT_U32, DT_I64, false, 1);
    lblock before = cg_here(c), head = cg_block(c, "block"), fill = cg_block(c, "pack"), full = cg_block(c, "packed"),
           body = cg_block(c, "block.body"), exit = cg_block(c, "block.exit");
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    lval first = LLVMBuildPhi(c->b, c->i64, "");
    LLVMAddIncoming(first, &zero, &before, 1);
    open_head(c, x, before);
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSLT, first, trips), body, exit);
    cg_at(c, body);
    lval turns = cg_call2(c, CGI_smin, steps, LLVMBuildSub(c->b, trips, first, ""));
    lval at = LLVMBuildMul(c->b, cg_cast(c, first, DT_I64, d, false, 1), by, "");
    dot_fill(k, ds, ir_param_of(f, r, 0), LLVMBuildAdd(c->b, from, at, ""), by, turns, want);
    lblock round = cg_here(c);
    LLVMBuildBr(c->b, fill);
    cg_at(c, fill);
    *y = (carried){.init = x->phi, .n = x->n};
    y->phi = ARENA_ARRAY(k->a, lval, x->n);
    y->next = ARENA_ARRAY(k->a, lval, x->n);
    lval turn = LLVMBuildPhi(c->b, c->i64, "");
    LLVMAddIncoming(turn, &zero, &round, 1);
    ir_op lt[2];
    lval used = plan_dot_edge(k->p, dot, lt) ? LLVMBuildPhi(c->b, c->i64, "") : NULL, end = NULL;
    if (used)
        LLVMAddIncoming(used, &zero, &round, 1);
    open_head(c, y, round);
    lval i = cg_cast(c, LLVMBuildAdd(c->b, first, turn, ""), DT_I64, d, false, 1);
    k->scalar[ir_param_of(f, r, 0).id] = LLVMBuildAdd(c->b, from, LLVMBuildMul(c->b, i, by, ""), "");
    for (uint32_t q = 0; q < x->n; q++)
        set_carried(k, ir_param_of(f, r, q + 1), y->phi[q]);
    nest_leave(k->n, -1);
    ir_op held = k->held;
    k->held = dot;
    steps_emit(k, s->body[0]);
    k->held = held;
    renew(k);
    dot_pack(k, ds, turn, want);
    if (used)
        end = dot_used(k, ds, turn, used);
    carry_round(k, s, r, 1, y);
    lval next = LLVMBuildAdd(c->b, turn, cg_i64(c, 1), "");
    lblock here = cg_here(c);
    LLVMAddIncoming(turn, &next, &here, 1);
    if (used)
        LLVMAddIncoming(used, &end, &here, 1);
    for (uint32_t q = 0; q < y->n; q++)
        if (y->phi[q])
            LLVMAddIncoming(y->phi[q], &y->next[q], &here, 1);
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSLT, next, turns), fill, full);
    cg_at(c, full);
    nest_leave(k->n, -1);
    renew(k);
    dot_packed(k, ds, turns, end, want);
    nest_enter(k->n, -1);
    x->next = y->next;
    next = LLVMBuildAdd(c->b, first, turns, "");
    here = cg_here(c);
    LLVMAddIncoming(first, &next, &here, 1);
    close_head(c, x, head);
    cg_at(c, exit);
    for (uint32_t q = 0; q < x->n; q++)
        set_carried(k, ir_out(f, s->op, q), x->phi[q]);
    nest_leave(k->n, -1);
}

static void emit_for(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_region r = s->body[0]->r;
    dtype d = ir_type_dt(f->m, ir_vtype(f, ir_in(f, s->op, 0)));
    ir_op dot;
    if (plan_contraction(k->p, s->op, &dot) && dot_blocked(k, dot, ir_in(f, dot, 2))) {
        emit_contraction(k, s, dot);
        return;
    }
    lval from = ev_scalar(k, ir_in(f, s->op, 0)), to = ev_scalar(k, ir_in(f, s->op, 1)),
         by = ev_scalar(k, ir_in(f, s->op, 2));
    carried *x = ARENA_NEW(k->a, carried);
    carry_in(k, s->op, 3, x);
    lval trips = for_trips(c, from, to, by, d);
    lblock before = cg_here(c), head = cg_block(c, "for"), body = cg_block(c, "for.body"),
           exit = cg_block(c, "for.exit");
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    lval i = LLVMBuildPhi(c->b, LLVMTypeOf(trips), ""), zero = cg_int(LLVMTypeOf(trips), 0);
    LLVMAddIncoming(i, &zero, &before, 1);
    open_head(c, x, before);
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntULT, i, trips), body, exit);
    cg_at(c, body);
    k->scalar[ir_param_of(f, r, 0).id] = LLVMBuildAdd(c->b, from, LLVMBuildMul(c->b, i, by, ""), "");
    for (uint32_t q = 0; q < x->n; q++)
        set_carried(k, ir_param_of(f, r, q + 1), x->phi[q]);
    nest_leave(k->n, -1);
    steps_emit(k, s->body[0]);
    carry_round(k, s, r, 1, x);
    lval next = LLVMBuildAdd(c->b, i, cg_int(LLVMTypeOf(i), 1), "");
    lblock here = cg_here(c);
    LLVMAddIncoming(i, &next, &here, 1);
    close_head(c, x, head);
    cg_at(c, exit);
    for (uint32_t q = 0; q < x->n; q++)
        set_carried(k, ir_out(f, s->op, q), x->phi[q]);
    nest_leave(k->n, -1);
}

static void emit_while(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    carried *x = ARENA_NEW(k->a, carried);
    carry_in(k, s->op, 0, x);
    lblock before = cg_here(c), head = cg_block(c, "while"), body = cg_block(c, "while.body"),
           exit = cg_block(c, "while.exit");
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    open_head(c, x, before);
    for (uint32_t q = 0; q < x->n; q++) {
        set_carried(k, ir_param_of(f, s->body[0]->r, q), x->phi[q]);
        set_carried(k, ir_param_of(f, s->body[1]->r, q), x->phi[q]);
    }
    nest_leave(k->n, -1);
    steps_emit(k, s->body[0]);
    lval cond = ev_scalar(k, ir_in(f, ir_last(f, s->body[0]->r), 0));
    nest_enter(k->n, -1);
    LLVMBuildCondBr(c->b, cond, body, exit);
    cg_at(c, body);
    nest_leave(k->n, -1);
    steps_emit(k, s->body[1]);
    carry_round(k, s, s->body[1]->r, 0, x);
    close_head(c, x, head);
    cg_at(c, exit);
    for (uint32_t q = 0; q < x->n; q++)
        set_carried(k, ir_out(f, s->op, q), x->phi[q]);
    nest_leave(k->n, -1);
}

static void emit_if(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    lval cond = ev_scalar(k, ir_in(f, s->op, 0));
    uint32_t n = ir_nout(f, s->op);
    lval *out = ARENA_ARRAY(k->a, lval, (size_t)n * 2 + 1);
    lblock side[2] = {cg_block(c, "then"), cg_block(c, "else")}, end[2], join = cg_block(c, "join");
    nest_enter(k->n, -1);
    LLVMBuildCondBr(c->b, cond, side[0], side[1]);
    for (int b = 0; b < 2; b++) {
        cg_at(c, side[b]);
        nest_leave(k->n, -1);
        steps_emit(k, s->body[b]);
        ir_op term = ir_last(f, s->body[b]->r);
        renew(k);
        for (uint32_t i = 0; i < n; i++) {
            ir_val y = ir_in(f, term, i);
            const plan_val *to = val_of(k, ir_out(f, s->op, i));
            if (to->cls == VC_CARRIED)
                copy_to(k, y, to->buffer);
            else
                out[(uint32_t)b * n + i] = ev_scalar(k, y);
        }
        nest_enter(k->n, -1);
        end[b] = cg_here(c);
        LLVMBuildBr(c->b, join);
    }
    cg_at(c, join);
    for (uint32_t i = 0; i < n; i++)
        if (out[i]) {
            lval phi = LLVMBuildPhi(c->b, LLVMTypeOf(out[i]), "");
            LLVMAddIncoming(phi, (lval[]){out[i], out[n + i]}, end, 2);
            k->scalar[ir_out(f, s->op, i).id] = phi;
        }
    nest_leave(k->n, -1);
}

/* ---- points and scalars ---- */
static void flush(kern *k, const plan_region *r, const plan_step *s)
{
    const ir_func *f = k->f;
    for (ir_op o = ir_first(f, r->r); o.id && o.id != s->op.id; o = ir_next(f, o))
        for (uint32_t i = 0; i < ir_nout(f, o); i++) {
            ir_val v = ir_out(f, o, i);
            const plan_val *x = val_of(k, v);
            if (x->cls == VC_SCALAR && x->outside && !(ir_info(f, o)->flags & CTRL) &&
                ir_type_of(f->m, ir_vtype(f, v))->kind != TK_TENSOR)
                ev_scalar(k, v);
        }
}

static void point(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    ir_op o = s->op;
    if (ir_info(f, o)->flags & (READ | WRITE)) {
        point_memory(k, o);
        return;
    }
    if (ir_op_code(f, o) == IR_OP_map) {
        lval *in = ARENA_ARRAY(k->a, lval, ir_nin(f, o)), *out = ARENA_ARRAY(k->a, lval, ir_nout(f, o));
        region_prepare(k, ir_op_region(f, o, 0));
        for (uint32_t i = 0; i < ir_nin(f, o); i++)
            in[i] = ev_scalar(k, ir_in(f, o, i));
        nest_enter(k->n, -1);
        region_eval(k, ir_op_region(f, o, 0), in, 1, out);
        nest_leave(k->n, -1);
        for (uint32_t i = 0; i < ir_nout(f, o); i++)
            k->scalar[ir_out(f, o, i).id] = out[i];
        return;
    }
    for (uint32_t i = 0; i < ir_nout(f, o); i++) {
        ir_val v = ir_out(f, o, i);
        coords none = {0};
        uint32_t at = coords_id(k->n, &none);
        k->scalar[v.id] = ev_view(k->n, o, v, at).v;
        nest_enter(k->n, -1);
    }
}

void steps_emit(kern *k, const plan_region *r)
{
    k->depth++;
    for (uint32_t i = 0; i < r->steps.n; i++) {
        int32_t id = r->steps.at[i];
        const plan_step *s = &k->p->steps.at[id];
        if (s->kind == STEP_WHOLE && s->op.id == k->held.id)
            continue;
        renew(k);
        switch ((step_kind)s->kind) {
        case STEP_NEST:
            nest_emit(k, id);
            break;
        case STEP_WHOLE:
            whole_emit(k, id);
            break;
        case STEP_POINT:
            point(k, s);
            break;
        case STEP_HOST:
            host_emit(k, s);
            break;
        case STEP_FLUSH:
            flush(k, r, s);
            break;
        case STEP_CTRL:
            switch (ir_op_code(k->f, s->op)) {
            case IR_OP_for:
                emit_for(k, s);
                break;
            case IR_OP_while:
                emit_while(k, s);
                break;
            case IR_OP_if:
                emit_if(k, s);
                break;
            default:
                bug("op '%s' reached the CPU back end", ir_info(k->f, s->op)->name);
            }
            break;
        }
        nest_enter(k->n, -1);
    }
    k->depth--;
}
