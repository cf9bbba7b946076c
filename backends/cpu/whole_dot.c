/* whole_dot.c: dot over complete operands, by a register block.
 *
 *   C[M,N] += A[M,K] B[K,N]     for every block of R rows and V vectors of W columns:
 *     accumulators C[R][V]; for k: V vectors of B[k,..], R broadcasts of A[r,k], R * V fma
 *
 * Operands are row-major in the type of the sum (f32, f64, i32): those that aren't are copied so first. Each element of
 * C starts from the accumulator and adds its products in ascending k, by fma where float, so that its bits depend on K
 * and the dtypes alone. Columns beyond the last full vector are computed and not stored.
 */
#include "backends/cpu/cpu.h"

typedef struct dot {
    kern *k;
    const plan_step *s;
    dtype t;
    lty elem;
    unsigned size;
    int64_t batch, m, n, kk;
    lval a, b, c; /* bases of this batch */
    int lanes, rows, vecs;
    lval mask; /* of a partial vector, NULL = full */
} dot;

static lval mul_add(dot *d, lval x, lval y, lval z)
{
    cg *c = d->k->c;
    if (dt_is_float(d->t))
        return cg_fma(c, x, y, z);
    return LLVMBuildAdd(c->b, LLVMBuildMul(c->b, x, y, ""), z, "");
}

static lval index2(cg *c, lval row, int64_t dr, int64_t pitch, lval col, int64_t dc)
{
    lval r = LLVMBuildMul(c->b, LLVMBuildAdd(c->b, row, cg_i64(c, dr), ""), cg_i64(c, pitch), "");
    return LLVMBuildAdd(c->b, r, LLVMBuildAdd(c->b, col, cg_i64(c, dc), ""), "");
}

static lval load_c(dot *d, lval p)
{
    cg *c = d->k->c;
    lty t = cg_vec(d->elem, d->lanes);
    return cg_load(c, t, p, d->size); /* may run over a row: those lanes aren't stored */
}

static void store_c(dot *d, lval x, lval p)
{
    cg *c = d->k->c;
    if (!d->mask) {
        cg_store(c, x, p, d->size);
        return;
    }
    lty t[] = {LLVMTypeOf(x), c->ptr};
    lval s = cg_call(c, CGI_masked_store, t, 2, (lval[]){x, p, d->mask}, 3);
    LLVMAddCallSiteAttribute(s, 2,
                             LLVMCreateEnumAttribute(c->cx, LLVMGetEnumAttributeKindForName("align", 5), d->size));
}

/* rows i .. i + rows, columns j .. j + vecs * lanes */
static void block(dot *d, lval i, int rows, lval j, int vecs)
{
    cg *c = d->k->c;
    lval p[8][4], start[8][4], phi[8][4];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) {
            p[r][v] = cg_gep(c, d->elem, d->c, index2(c, i, r, d->n, j, v * d->lanes));
            start[r][v] = load_c(d, p[r][v]);
        }
    lval arow[8];
    for (int r = 0; r < rows; r++)
        arow[r] = cg_gep(c, d->elem, d->a, index2(c, i, r, d->kk, cg_i64(c, 0), 0));
    lval bcol = cg_gep(c, d->elem, d->b, j);
    lblock from = cg_here(c), head = cg_block(c, "dot"), exit = cg_block(c, "dot.exit");
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    lval k = LLVMBuildPhi(c->b, c->i64, ""), zero = cg_i64(c, 0);
    LLVMAddIncoming(k, &zero, &from, 1);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) {
            phi[r][v] = LLVMBuildPhi(c->b, LLVMTypeOf(start[r][v]), "");
            LLVMAddIncoming(phi[r][v], &start[r][v], &from, 1);
        }
    lval b[4], next[8][4];
    lval brow = cg_gep(c, d->elem, bcol, LLVMBuildMul(c->b, k, cg_i64(c, d->n), ""));
    for (int v = 0; v < vecs; v++)
        b[v] = cg_load(c, cg_vec(d->elem, d->lanes), cg_gep(c, d->elem, brow, cg_i64(c, v * d->lanes)), d->size);
    for (int r = 0; r < rows; r++) {
        lval a = cg_splat(c, cg_load(c, d->elem, cg_gep(c, d->elem, arow[r], k), d->size), d->lanes);
        for (int v = 0; v < vecs; v++)
            next[r][v] = mul_add(d, a, b[v], phi[r][v]);
    }
    lval up = LLVMBuildAdd(c->b, k, cg_i64(c, 1), "");
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSLT, up, cg_i64(c, d->kk)), head, exit);
    LLVMAddIncoming(k, &up, &head, 1);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            LLVMAddIncoming(phi[r][v], &next[r][v], &head, 1);
    cg_at(c, exit);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            store_c(d, next[r][v], p[r][v]);
}

static void columns(dot *d, lval i, int rows)
{
    cg *c = d->k->c;
    int64_t wide = (int64_t)d->vecs * d->lanes, whole = d->n / wide * wide;
    if (whole) {
        loop l = loop_begin(c, cg_i64(c, 0), cg_i64(c, whole), wide);
        block(d, i, rows, l.i, d->vecs);
        loop_end(c, &l);
    }
    int64_t rest = (d->n - whole) / d->lanes * d->lanes;
    if (rest) {
        loop l = loop_begin(c, cg_i64(c, whole), cg_i64(c, whole + rest), d->lanes);
        block(d, i, rows, l.i, 1);
        loop_end(c, &l);
    }
    int64_t left = d->n - whole - rest;
    if (left) {
        lval on[64];
        for (int q = 0; q < d->lanes; q++)
            on[q] = cg_int(c->i1, q < left);
        d->mask = d->lanes > 1 ? LLVMConstVector(on, (unsigned)d->lanes) : NULL;
        block(d, i, rows, cg_i64(c, whole + rest), 1);
        d->mask = NULL;
    }
}

static void matrices(dot *d)
{
    cg *c = d->k->c;
    int64_t whole = d->m / d->rows * d->rows;
    if (whole) {
        loop l = loop_begin(c, cg_i64(c, 0), cg_i64(c, whole), d->rows);
        columns(d, l.i, d->rows);
        loop_end(c, &l);
    }
    if (d->m > whole)
        columns(d, cg_i64(c, whole), (int)(d->m - whole));
}

/* operand i in the type of the sum, row-major */
static lval operand(kern *k, const plan_step *s, uint32_t i, dtype t, int32_t temp)
{
    ir_val v = ir_in(k->f, s->op, i);
    const ir_type_info *info = ir_type_of(k->f->m, ir_vtype(k->f, v));
    nest_enter(k->n, -1);
    if (temp < 0)
        return buffer_address(k, k->p->v[v.id].buffer);
    int64_t stride[IR_MAX_RANK], n = 1;
    for (int d = info->rank - 1; d >= 0; d--) {
        stride[d] = n;
        n *= info->shape[d];
    }
    nest_copy(k, v, t, buffer_address(k, temp), stride, 0);
    nest_enter(k->n, -1);
    return buffer_address(k, temp);
}

static dtype sum_type(dtype result)
{
    if (dt_is_int(result))
        return dt_bits(result) == 64 ? result : DT_I32;
    return result == DT_F64 ? DT_F64 : DT_F32;
}

/* where the sum is made: the result's buffer, unless that is of another type; it starts as the accumulator */
static lval accumulator(kern *k, const plan_step *s, dtype t)
{
    const ir_func *f = k->f;
    ir_val out = ir_out(f, s->op, 0), acc = ir_in(f, s->op, 2);
    int32_t to = k->p->v[out.id].buffer;
    const plan_val *x = &k->p->v[acc.id];
    if (s->temps.at[2] >= 0)
        return operand(k, s, 2, t, s->temps.at[2]);
    bool there = (x->cls == VC_DATA || x->cls == VC_CARRIED) && x->buffer == to;
    nest_enter(k->n, -1);
    return there ? buffer_address(k, to) : operand(k, s, 2, t, to);
}

static void store_result(kern *k, const plan_step *s, const dot *d, lval sum)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_val out = ir_out(f, s->op, 0);
    dtype to = ir_type_dt(f->m, ir_vtype(f, out));
    lval dst = buffer_address(k, k->p->v[out.id].buffer);
    int64_t total = d->batch * d->m * d->n;
    int lanes = total >= d->lanes ? d->lanes : 1;
    loop l = loop_begin(c, cg_i64(c, 0), cg_i64(c, total), lanes); /* buffers have room past their end */
    lval x = cg_load(c, cg_vec(d->elem, lanes), cg_gep(c, d->elem, sum, l.i), d->size);
    x = to_memory(c, cg_cast(c, x, d->t, to, false, lanes), to);
    cg_store(c, x, cg_gep(c, cg_mem(c, to), dst, l.i), (unsigned)dt_bytes(to));
    loop_end(c, &l);
}

void whole_dot(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    const ir_type_info *ta = ir_type_of(f->m, ir_vtype(f, ir_in(f, s->op, 0)));
    const ir_type_info *tc = ir_type_of(f->m, ir_vtype(f, ir_out(f, s->op, 0)));
    dot d = {.k = k, .s = s, .t = sum_type(tc->dt), .batch = tc->rank == 3 ? tc->shape[0] : 1};
    d.m = tc->shape[tc->rank - 2];
    d.n = tc->shape[tc->rank - 1];
    d.kk = ta->shape[ta->rank - 1];
    d.elem = cg_num(c, d.t);
    d.size = (unsigned)dt_bytes(d.t);
    d.lanes = c->vector_bytes / (int)d.size;
    while (d.lanes > 1 && d.lanes / 2 >= d.n)
        d.lanes /= 2;
    d.vecs = c->vector_bytes == 64 ? 4 : 2;
    d.rows = c->vector_bytes == 64 ? 6 : 4;
    lval a = operand(k, s, 0, d.t, s->temps.at[0]);
    lval b = operand(k, s, 1, d.t, s->temps.at[1]);
    lval sum = accumulator(k, s, d.t);
    nest_enter(k->n, -1);
    loop l = loop_begin(c, cg_i64(c, 0), cg_i64(c, d.batch), 1);
    d.a = cg_gep(c, d.elem, a, LLVMBuildMul(c->b, l.i, cg_i64(c, d.m * d.kk), ""));
    d.b = cg_gep(c, d.elem, b, LLVMBuildMul(c->b, l.i, cg_i64(c, d.kk * d.n), ""));
    d.c = cg_gep(c, d.elem, sum, LLVMBuildMul(c->b, l.i, cg_i64(c, d.m * d.n), ""));
    matrices(&d);
    loop_end(c, &l);
    if (s->temps.at[2] >= 0)
        store_result(k, s, &d, sum);
}
