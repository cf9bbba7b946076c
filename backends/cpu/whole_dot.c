/* whole_dot.c: a dot: which register block, how its operands are packed, and where it adds up.
 *
 * A is packed by rows, K contiguous; B in panels of so many columns (dot_pack.c); both in the types that the block
 * multiplies, cast on the way, elements beyond a tensor zero. A dot in a contraction loop packs several turns of the
 * loop, one behind the other, before it multiplies (control.c); any other packs and multiplies at once.
 *
 * Numerics. Every element starts from the accumulator and adds its products in ascending k: f32 and f64 by fma; i32
 * exact; bf16 with AVX512-BF16 by vdpbf16ps, which adds the products of k and k + 1 in one instruction and takes
 * denormals for zero, with AMX as dot_tiles.c says, else widened to f32. Blocks that multiply several elements at once
 * want K of the tile to be a multiple of so many, and are passed over otherwise. None of that depends on M, N, the grid
 * or the threads.
 *
 * Where both operands end (their loads' masks say so), products are of zeros, and adding one changes a sum only if that
 * is -0 (or, by instructions that take denormals for zero, denormal), adding another never: one unit behind the end is
 * multiplied, the rest left out.
 */
#include "backends/cpu/dot.h"

#include <string.h>

static const dot_block blocks[] = {
#define MICRO(id, feat, ta, tb, packed, tsum, instruction, per, r, v, width)                                           \
    {.name = #id,                                                                                                      \
     .features = feat,                                                                                                 \
     .a = DT_##ta,                                                                                                     \
     .b = DT_##tb,                                                                                                     \
     .sum = DT_##tsum,                                                                                                 \
     .as = DOT_AS_##packed,                                                                                            \
     .inst = DOT_##instruction,                                                                                        \
     .g = per,                                                                                                         \
     .rows = r,                                                                                                        \
     .vecs = v,                                                                                                        \
     .bytes = width},
#include "backends/cpu/kernels.def"
#undef MICRO
};

static dtype sum_type(dtype result)
{
    if (dt_is_int(result))
        return dt_bits(result) == 64 ? DT_I64 : DT_I32;
    return result == DT_F64 ? DT_F64 : DT_F32;
}

static bool has_all(const cg *c, const char *features)
{
    char word[32];
    while (*features) {
        size_t n = strcspn(features, ",");
        memcpy(word, features, n);
        word[n] = 0;
        if (!cg_has(c, word))
            return false;
        features += n + (features[n] == ',');
    }
    return true;
}

static const dot_block *block_for(const cg *c, dtype a, dtype b, dtype sum, int64_t kk)
{
    for (size_t i = 0; i < COUNTOF(blocks); i++) {
        const dot_block *x = &blocks[i];
        int64_t step = dot_is_tiled(x) ? x->g * DOT_TILE_UNITS : x->g;
        if (x->sum == sum && (x->a == DT_NONE || (x->a == a && x->b == b)) && kk % step == 0 &&
            x->bytes <= (c->vector_bytes < 16 ? 16 : c->vector_bytes) && has_all(c, x->features))
            return x;
    }
    bug("no register block for a dot");
}

static dtype packed_type(const dot_block *x, dtype own)
{
    return x->as == DOT_AS_SUM ? x->sum : x->as == DOT_AS_I16 ? DT_I16 : own;
}

static dot dot_of(kern *k, ir_op o, const plan_step *s, bool looped)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    const ir_type_info *ta = ir_type_of(f->m, ir_vtype(f, ir_in(f, o, 0)));
    const ir_type_info *tb = ir_type_of(f->m, ir_vtype(f, ir_in(f, o, 1)));
    const ir_type_info *tc = ir_type_of(f->m, ir_vtype(f, ir_out(f, o, 0)));
    dot d = {.k = k, .s = s, .t = sum_type(tc->dt)};
    d.m = tc->shape[tc->rank - 2];
    d.n = tc->shape[tc->rank - 1];
    d.kk = ta->shape[ta->rank - 1];
    d.block = block_for(c, ta->dt, tb->dt, d.t, d.kk);
    d.ta = packed_type(d.block, ta->dt);
    d.tb = packed_type(d.block, tb->dt);
    d.unit = dt_bytes(d.ta) * d.block->g;
    d.lanes = d.block->bytes / d.unit;
    d.width = (int64_t)d.lanes * d.block->vecs;
    d.depth = plan_dot_depth(k->p, o, dt_bytes(d.ta), d.unit, looped);
    d.signs = d.block->inst & DOT_FLIP;
    return d;
}

static void bases(dot *d)
{
    kern *k = d->k;
    int64_t wide = (d->n + DOT_WIDTH - 1) / DOT_WIDTH * DOT_WIDTH;
    nest_enter(k->n, -1);
    d->a = buffer_address(k, d->s->temps.at[0]);
    d->b = buffer_address(k, d->s->temps.at[1]);
    d->comp = cg_gep(k->c, k->c->i8, d->b, cg_i64(k->c, wide * d->depth * dt_bytes(d->tb)));
    for (uint32_t i = 0; i < 2; i++)
        d->share[i] = share_of(k, d->s->op, i);
    d->a = d->share[0] ? share_address(k, d->share[0]) : d->a;
    d->b = d->share[1] ? share_address(k, d->share[1]) : d->b;
}

/* an operand at element k0 along K */
static void pack_one(dot *d, uint32_t q, lval k0, lval lead)
{
    kern *k = d->k;
    cg *c = k->c;
    ir_val v = ir_in(k->f, d->s->op, q);
    int rank = ir_type_rank(k->f->m, ir_vtype(k->f, v));
    nest_enter(k->n, -1);
    if (q == 0) {
        lval a = cg_gep(c, cg_mem(c, d->ta), d->a, k0);
        nest_leave(k->n, -1);
        nest_rows(k, v, d->ta, a, d->depth, d->signs, lead, d->want.rows);
    } else {
        lval b = cg_gep(c, cg_mem(c, d->tb), d->b, LLVMBuildMul(c->b, k0, cg_i64(c, d->width), ""));
        nest_leave(k->n, -1);
        panel *p = ARENA_NEW(k->a, panel);
        *p = (panel){.kdim = rank - 2, .unit = d->unit, .g = d->block->g, .width = d->width, .depth = d->depth};
        p->across = plan_along(k->p, v) == rank - 1;
        nest_panels(k, v, d->tb, b, p, false, lead, d->want.columns);
    }
    nest_enter(k->n, -1);
}

int64_t dot_steps(const kern *k, ir_op o)
{
    dot d = dot_of((kern *)k, o, NULL, true);
    return plan_dot_steps(k->p, o, dt_bytes(d.ta));
}

bool dot_turns_apart(kern *k, ir_op o, uint32_t operand)
{
    dot d = dot_of(k, o, NULL, true);
    return d.kk * dt_bytes(operand ? d.tb : d.ta) % k->c->vector_bytes == 0;
}

bool dot_blocked(const kern *k, ir_op o, ir_val acc)
{
    const plan_val *x = &k->p->v[acc.id], *y = &k->p->v[ir_out(k->f, o, 0).id];
    const plan_step *s = &k->p->steps.at[y->step];
    return x->buffer >= 0 && x->buffer == y->buffer && s->temps.at[2] < 0;
}

/* bound - first index of `index < bound` */
static lval left_of(kern *k, ir_op lt)
{
    const ir_func *f = k->f;
    lval side[2];
    for (uint32_t q = 0; q < 2; q++) {
        ir_val x = ir_in(f, lt, q);
        coords zero = {.rank = ir_type_rank(f->m, ir_vtype(f, x))};
        for (int e = 0; e < zero.rank; e++)
            zero.at[e] = lv_const(k->n, 0);
        side[q] = zero.rank ? ev_point(k, x, &zero).v : ev_scalar(k, x);
        nest_enter(k->n, -1);
        side[q] = cg_cast(k->c, side[q], ir_type_dt(f->m, ir_vtype(f, x)), DT_I64, false, 1);
        nest_leave(k->n, -1);
    }
    nest_enter(k->n, -1);
    lval left = LLVMBuildSub(k->c->b, side[1], side[0], "");
    nest_leave(k->n, -1);
    return left;
}

static lval limit_along(kern *k, ir_op around, ir_val v, int dim)
{
    enum { STORES = 4 };
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_op found[STORES];
    uint32_t n = plan_dot_limits(k->p, around, v, dim, found, STORES);
    lval most = NULL;
    for (uint32_t i = 0; i < n; i++) {
        lval left = left_of(k, found[i]);
        nest_enter(k->n, -1);
        most = most ? cg_call2(c, CGI_smax, most, left) : left;
        nest_leave(k->n, -1);
    }
    if (!most)
        return NULL;
    nest_enter(k->n, -1);
    most = cg_call2(c, CGI_smin, most, cg_i64(c, ir_type_of(f->m, ir_vtype(f, v))->shape[dim]));
    most = cg_call2(c, CGI_smax, most, cg_i64(c, 0));
    nest_leave(k->n, -1);
    return most;
}

dot_limits dot_wanted(kern *k, ir_op around, ir_op o)
{
    const ir_func *f = k->f;
    dot_limits w = {0};
    for (uint32_t i = 0; i < ir_nout(f, around); i++)
        if (ir_in(f, ir_last(f, ir_op_region(f, around, 0)), i).id == ir_out(f, o, 0).id) {
            w.rows = limit_along(k, around, ir_out(f, around, i), 0);
            w.columns = limit_along(k, around, ir_out(f, around, i), 1);
        }
    nest_enter(k->n, -1);
    return w;
}

void dot_prepare(kern *k, const plan_step *s)
{
    for (uint32_t i = 0; i < 2; i++)
        share_outer(k, share_of(k, s->op, i));
    nest_enter(k->n, -1);
}

typedef struct filling {
    kern *k;
    const plan_step *s;
    dot_limits want;
} filling;

static void fill_turn(void *ctx, uint32_t operand, lval turn)
{
    const filling *x = ctx;
    dot d = dot_of(x->k, x->s->op, x->s, true);
    d.want = x->want;
    bases(&d);
    pack_one(&d, operand, LLVMBuildMul(x->k->c->b, turn, cg_i64(x->k->c, d.kk), ""), NULL);
    nest_leave(x->k->n, -1);
}

void dot_fill(kern *k, const plan_step *s, ir_val index, lval start, lval step, lval turns, dot_limits want)
{
    const ir_func *f = k->f;
    lval lines[2] = {want.rows, want.columns};
    dtype d = ir_type_dt(f->m, ir_vtype(f, index));
    filling x = {k, s, want};
    for (uint32_t i = 0; i < 2; i++) {
        dot_share *share = share_of(k, s->op, i);
        if (!share)
            continue;
        share_take(k, share, cg_cast(k->c, start, d, DT_I64, false, 1), cg_cast(k->c, step, d, DT_I64, false, 1), turns,
                   lines[i], buffer_address(k, s->temps.at[i]));
        share_fill(k, share, index, start, step, fill_turn, &x);
    }
}

void dot_pack(kern *k, const plan_step *s, lval turn, dot_limits want)
{
    for (uint32_t i = 0; i < 2; i++)
        if (!share_of(k, s->op, i))
            fill_turn(&(filling){k, s, want}, i, turn);
}

lval dot_used(kern *k, const plan_step *s, lval turn, lval used)
{
    ir_op lt[2];
    cg *c = k->c;
    lval most = NULL, kk = cg_i64(c, dot_of(k, s->op, s, true).kk), zero = cg_i64(c, 0);
    if (!plan_dot_edge(k->p, s->op, lt))
        bug("operands without an end");
    for (uint32_t q = 0; q < 2; q++) {
        lval left = left_of(k, lt[q]);
        nest_enter(k->n, -1);
        most = most ? cg_call2(c, CGI_smax, most, left) : left;
        nest_leave(k->n, -1);
    }
    nest_enter(k->n, -1);
    lval end = LLVMBuildAdd(c->b, LLVMBuildMul(c->b, turn, kk, ""), cg_call2(c, CGI_smin, most, kk), "");
    end = cg_sel(c, cg_icmp(c, LLVMIntSGT, most, zero), end, used);
    nest_leave(k->n, -1);
    return end;
}

void dot_packed(kern *k, const plan_step *s, lval turns, lval used, dot_limits want)
{
    cg *c = k->c;
    dot d = dot_of(k, s->op, s, true);
    d.want = want;
    bases(&d);
    d.c = buffer_address(k, k->p->v[ir_out(k->f, s->op, 0).id].buffer);
    lval g = cg_i64(c, d.block->g), units = LLVMBuildMul(c->b, turns, cg_i64(c, d.kk / d.block->g), "");
    if (used) {
        int64_t step = dot_is_tiled(d.block) ? DOT_TILE_UNITS : 1;
        lval some = LLVMBuildUDiv(c->b, LLVMBuildAdd(c->b, used, cg_i64(c, (step + 1) * d.block->g - 1), ""), g, "");
        units = cg_call2(c, CGI_smin, units, LLVMBuildAnd(c->b, some, cg_i64(c, -step), ""));
    }
    dot_multiply(&d, units);
    nest_leave(k->n, -1);
}

/* ---- a dot by itself ---- */
/* v in the sum's type, row-major, to a buffer */
static lval put(kern *k, ir_val v, dtype t, int32_t buffer)
{
    const ir_type_info *info = ir_type_of(k->f->m, ir_vtype(k->f, v));
    int64_t stride[IR_MAX_RANK], n = 1;
    for (int d = info->rank - 1; d >= 0; d--) {
        stride[d] = n;
        n *= info->shape[d];
    }
    nest_enter(k->n, -1);
    nest_copy(k, v, t, buffer_address(k, buffer), stride, 0);
    nest_enter(k->n, -1);
    return buffer_address(k, buffer);
}

/* where the sum is made: the result's buffer, unless that is of another type; it starts as the accumulator */
static lval accumulator(kern *k, const plan_step *s, dtype t)
{
    const ir_func *f = k->f;
    ir_val out = ir_out(f, s->op, 0), acc = ir_in(f, s->op, 2);
    int32_t to = k->p->v[out.id].buffer;
    const plan_val *x = &k->p->v[acc.id];
    if (s->temps.at[2] >= 0)
        return put(k, acc, t, s->temps.at[2]);
    bool there = (x->cls == VC_DATA || x->cls == VC_CARRIED) && x->buffer == to;
    nest_enter(k->n, -1);
    return there ? buffer_address(k, to) : put(k, acc, t, to);
}

static void store_result(kern *k, const plan_step *s, const dot *d, int64_t batch, lval sum)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_val out = ir_out(f, s->op, 0);
    dtype to = ir_type_dt(f->m, ir_vtype(f, out));
    lval dst = buffer_address(k, k->p->v[out.id].buffer);
    lty elem = cg_num(c, d->t);
    unsigned size = (unsigned)dt_bytes(d->t);
    int64_t total = batch * d->m * d->n;
    int lanes = c->vector_bytes / (int)size;
    lanes = total >= lanes ? lanes : 1;
    loop l = loop_begin(c, cg_i64(c, 0), cg_i64(c, total), lanes); /* buffers have room past their end */
    lval x = cg_load(c, cg_vec(elem, lanes), cg_gep(c, elem, sum, l.i), size);
    x = to_memory(c, cg_cast(c, x, d->t, to, false, lanes), to);
    cg_store(c, x, cg_gep(c, cg_mem(c, to), dst, l.i), (unsigned)dt_bytes(to));
    loop_end(c, &l);
}

void whole_dot(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    const ir_type_info *tc = ir_type_of(f->m, ir_vtype(f, ir_out(f, s->op, 0)));
    int64_t batch = tc->rank == 3 ? tc->shape[0] : 1;
    dot d = dot_of(k, s->op, s, false);
    lval sum = accumulator(k, s, d.t);
    nest_leave(k->n, -1);
    nest_enter(k->n, -1);
    loop l = {0};
    lval *known = ARENA_ARRAY(k->a, lval, f->vals.n); /* what the loop below makes of scalars is not there after it */
    memcpy(known, k->scalar, f->vals.n * sizeof *known);
    if (tc->rank == 3) {
        l = loop_begin(c, cg_i64(c, 0), cg_i64(c, batch), 1);
        nest_straight(k->n, k);
    }
    bases(&d);
    d.c = sum;
    if (tc->rank == 3)
        d.c = cg_gep(c, cg_num(c, d.t), sum, LLVMBuildMul(c->b, l.i, cg_i64(c, d.m * d.n), ""));
    nest_leave(k->n, -1);
    for (uint32_t i = 0; i < 2; i++) {
        pack_one(&d, i, cg_i64(c, 0), tc->rank == 3 ? l.i : NULL);
        nest_leave(k->n, -1);
    }
    nest_enter(k->n, -1);
    dot_multiply(&d, cg_i64(c, d.kk / d.block->g));
    if (tc->rank == 3) {
        loop_end(c, &l);
        nest_straight(k->n, k);
        memcpy(k->scalar, known, f->vals.n * sizeof *known);
    }
    if (s->temps.at[2] >= 0)
        store_result(k, s, &d, batch, sum);
}
