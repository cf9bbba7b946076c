/* whole_scan.c: scans, and reductions by any associative function, over complete operands seen as outer * n * inner.
 *
 *   inner > 1   vectors along inner, elements of n in order
 *   scan        one element after the other
 *   reduce      pairs of neighbours, again and again, in a scratch copy of the row: order is kept, so the function
 * needn't commute, and each round is vector work: load 2 W, take evens and odds apart, combine, store W
 */
#include "backends/cpu/cpu.h"

typedef struct rows {
    kern *k;
    const plan_step *s;
    ir_region region;
    uint32_t n;     /* operands */
    lval *in, *out; /* addresses of operands and results */
    dtype *dt;
    lty *mem;
    unsigned *size;
    int64_t outer, len, inner;
    int lanes;
} rows;

static lval *array(const rows *r)
{
    return ARENA_ARRAY(r->k->a, lval, r->n);
}

static rows rows_of(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    rows r = {.k = k, .s = s, .region = ir_op_region(f, s->op, 0), .n = ir_nin(f, s->op)};
    r.in = array(&r);
    r.out = array(&r);
    r.dt = ARENA_ARRAY(k->a, dtype, r.n);
    r.mem = ARENA_ARRAY(k->a, lty, r.n);
    r.size = ARENA_ARRAY(k->a, unsigned, r.n);
    whole_split(ir_type_of(f->m, ir_vtype(f, ir_in(f, s->op, 0))), ir_int(f, s->op, KEY_axis, 0), &r.outer, &r.len,
                &r.inner);
    unsigned widest = 1;
    for (uint32_t i = 0; i < r.n; i++) {
        r.dt[i] = ir_type_dt(f->m, ir_vtype(f, ir_in(f, s->op, i)));
        r.mem[i] = cg_mem(k->c, r.dt[i]);
        r.size[i] = (unsigned)plan_elem_bytes(f, ir_vtype(f, ir_in(f, s->op, i)));
        widest = r.size[i] > widest ? r.size[i] : widest;
        r.in[i] = whole_operand(k, s, i);
        ir_val out = ir_out(f, s->op, i);
        if (k->p->v[out.id].buffer >= 0)
            r.out[i] = buffer_address(k, k->p->v[out.id].buffer);
    }
    r.lanes = k->c->vector_bytes / (int)widest;
    return r;
}

static lval at(rows *r, uint32_t i, lval base, lval index, int lanes)
{
    cg *c = r->k->c;
    lval x = cg_load(c, cg_vec(r->mem[i], lanes), cg_gep(c, r->mem[i], base, index), r->size[i]);
    return from_memory(c, x, r->dt[i]);
}

static void put(rows *r, uint32_t i, lval base, lval index, lval x)
{
    cg *c = r->k->c;
    cg_store(c, to_memory(c, x, r->dt[i]), cg_gep(c, r->mem[i], base, index), r->size[i]);
}

static void combine(rows *r, const lval *x, const lval *y, int lanes, lval *out)
{
    lval *p = ARENA_ARRAY(r->k->a, lval, 2 * r->n);
    for (uint32_t i = 0; i < r->n; i++) {
        p[i] = x[i];
        p[r->n + i] = y[i];
    }
    region_eval_lanes(r->k, r->region, p, 2 * r->n, lanes, out, r->n);
}

/* all lines that begin at `first` and advance by `inner`, `lanes` of them side by side */
static void line(rows *r, lval first, int lanes, bool scan, bool reverse)
{
    cg *c = r->k->c;
    lval *acc = array(r), *next = array(r), *x = array(r), *phi = array(r);
    lval start = reverse ? LLVMBuildAdd(c->b, first, cg_i64(c, (r->len - 1) * r->inner), "") : first;
    for (uint32_t i = 0; i < r->n; i++) {
        acc[i] = at(r, i, r->in[i], start, lanes);
        if (scan)
            put(r, i, r->out[i], start, acc[i]);
    }
    lblock from = cg_here(c);
    loop l = loop_begin(c, cg_i64(c, 1), cg_i64(c, r->len), 1);
    lblock body = cg_here(c);
    cg_at(c, l.head);
    LLVMPositionBuilderBefore(c->b, LLVMGetNextInstruction(l.i));
    for (uint32_t i = 0; i < r->n; i++) {
        phi[i] = LLVMBuildPhi(c->b, LLVMTypeOf(acc[i]), "");
        LLVMAddIncoming(phi[i], &acc[i], &from, 1);
    }
    cg_at(c, body);
    lval step = LLVMBuildMul(c->b, l.i, cg_i64(c, reverse ? -r->inner : r->inner), "");
    lval index = LLVMBuildAdd(c->b, start, step, "");
    for (uint32_t i = 0; i < r->n; i++)
        x[i] = at(r, i, r->in[i], index, lanes);
    combine(r, phi, x, lanes, next);
    for (uint32_t i = 0; i < r->n && scan; i++)
        put(r, i, r->out[i], index, next[i]);
    lblock end = cg_here(c);
    for (uint32_t i = 0; i < r->n; i++)
        LLVMAddIncoming(phi[i], &next[i], &end, 1);
    loop_end(c, &l);
    if (scan)
        return;
    for (uint32_t i = 0; i < r->n; i++) {
        lval to = r->inner == 1
                      ? LLVMBuildSDiv(c->b, first, cg_i64(c, r->len), "")
                      : LLVMBuildAdd(c->b,
                                     LLVMBuildMul(c->b, LLVMBuildSDiv(c->b, first, cg_i64(c, r->len * r->inner), ""),
                                                  cg_i64(c, r->inner), ""),
                                     LLVMBuildSRem(c->b, first, cg_i64(c, r->inner), ""), "");
        if (r->out[i])
            put(r, i, r->out[i], to, phi[i]);
        else if (ir_type_rank(r->k->f->m, ir_vtype(r->k->f, ir_out(r->k->f, r->s->op, i))) == 0)
            r->k->scalar[ir_out(r->k->f, r->s->op, i).id] = phi[i];
    }
}

/* every line, W of them at a time where they lie side by side */
static void lines(rows *r, bool scan, bool reverse)
{
    cg *c = r->k->c;
    if (r->outer == 1 && r->inner == 1) {
        line(r, cg_i64(c, 0), 1, scan, reverse);
        return;
    }
    loop o = loop_begin(c, cg_i64(c, 0), cg_i64(c, r->outer), 1);
    lval base = LLVMBuildMul(c->b, o.i, cg_i64(c, r->len * r->inner), "");
    int64_t whole = r->inner / r->lanes * r->lanes;
    if (whole) {
        loop v = loop_begin(c, cg_i64(c, 0), cg_i64(c, whole), r->lanes);
        line(r, LLVMBuildAdd(c->b, base, v.i, ""), r->lanes, scan, reverse);
        loop_end(c, &v);
    }
    if (whole < r->inner) {
        loop v = loop_begin(c, cg_i64(c, whole), cg_i64(c, r->inner), 1);
        line(r, LLVMBuildAdd(c->b, base, v.i, ""), 1, scan, reverse);
        loop_end(c, &v);
    }
    loop_end(c, &o);
}

void whole_scan(kern *k, const plan_step *s)
{
    rows r = rows_of(k, s);
    lines(&r, true, ir_int(k->f, s->op, KEY_reverse, 0) != 0);
}

/* ---- pairs ---- */
static lval half_of(cg *c, lval both, int odd)
{
    int order[64], n = cg_lanes(both) / 2;
    if (n == 1)
        return cg_extract(c, both, odd);
    for (int i = 0; i < n; i++)
        order[i] = 2 * i + odd;
    return cg_shuffle(c, both, LLVMGetPoison(LLVMTypeOf(both)), order, n);
}

/* halves row lengths until one is left: tmp[i] = f(tmp[2 i], tmp[2 i + 1]), an odd last one goes along */
static void rounds(rows *r, const lval *tmp)
{
    cg *c = r->k->c;
    lblock from = cg_here(c), head = cg_block(c, "round"), body = cg_block(c, "round.body"),
           exit = cg_block(c, "round.exit");
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    lval m = LLVMBuildPhi(c->b, c->i64, ""), len = cg_i64(c, r->len), one = cg_i64(c, 1);
    LLVMAddIncoming(m, &len, &from, 1);
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSGT, m, one), body, exit);
    cg_at(c, body);
    lval half = LLVMBuildLShr(c->b, m, one, ""), last = LLVMBuildSub(c->b, m, one, "");
    lval odd = LLVMBuildAnd(c->b, m, one, ""), *keep = array(r);
    for (uint32_t i = 0; i < r->n; i++)
        keep[i] = at(r, i, tmp[i], last, 1);
    loop l = loop_begin(c, cg_i64(c, 0), half, r->lanes);
    lval *x = array(r), *y = array(r), *z = array(r);
    lval twice = LLVMBuildShl(c->b, l.i, one, "");
    for (uint32_t i = 0; i < r->n; i++) {
        lval both = at(r, i, tmp[i], twice, 2 * r->lanes);
        x[i] = half_of(c, both, 0);
        y[i] = half_of(c, both, 1);
    }
    combine(r, x, y, r->lanes, z);
    for (uint32_t i = 0; i < r->n; i++)
        put(r, i, tmp[i], l.i, z[i]);
    loop_end(c, &l);
    /* the odd one goes to place `half`; where there is none, that place is beyond the next round */
    for (uint32_t i = 0; i < r->n; i++)
        put(r, i, tmp[i], half, keep[i]);
    lval next = LLVMBuildAdd(c->b, half, odd, "");
    lblock end = cg_here(c);
    LLVMAddIncoming(m, &next, &end, 1);
    LLVMBuildBr(c->b, head);
    cg_at(c, exit);
}

static void reduce_row(rows *r, lval row)
{
    cg *c = r->k->c;
    const ir_func *f = r->k->f;
    lval *tmp = array(r);
    for (uint32_t i = 0; i < r->n; i++) {
        tmp[i] = buffer_address(r->k, r->s->temps.at[r->n + i]);
        lval from = cg_gep(c, r->mem[i], r->in[i], LLVMBuildMul(c->b, row, cg_i64(c, r->len), ""));
        LLVMBuildMemCpy(c->b, tmp[i], 64, from, r->size[i], cg_i64(c, r->len * r->size[i]));
    }
    rounds(r, tmp);
    for (uint32_t i = 0; i < r->n; i++) {
        lval x = at(r, i, tmp[i], cg_i64(c, 0), 1);
        ir_val out = ir_out(f, r->s->op, i);
        if (ir_type_rank(f->m, ir_vtype(f, out)) == 0)
            r->k->scalar[out.id] = x;
        else
            put(r, i, r->out[i], row, x);
    }
}

void whole_reduce(kern *k, const plan_step *s)
{
    rows r = rows_of(k, s);
    cg *c = k->c;
    if (r.inner > 1) {
        lines(&r, false, false);
        return;
    }
    while (r.lanes > 1 && r.lanes > r.len / 2)
        r.lanes /= 2;
    if (region_has_loops(k->f, r.region))
        r.lanes = 1;
    if (r.outer == 1) {
        reduce_row(&r, cg_i64(c, 0));
        return;
    }
    loop o = loop_begin(c, cg_i64(c, 0), cg_i64(c, r.outer), 1);
    reduce_row(&r, o.i);
    loop_end(c, &o);
}
