/* reduce.c: reductions whose combine function is one commutative op, inside the nest that makes their operand.
 *
 * Along the vector dimension: U vectors of partial results (nest.c), then halved pairwise. Along another one: the
 * result's buffer is the accumulator, one vector at a time, elements in ascending order.
 *
 * Identities: -0 for sums (x + -0 is x, of either sign), NaN for min and max that ignore NaN, so that all NaN gives
 * NaN.
 */
#include "backends/cpu/cpu.h"

#include <math.h>
#include <string.h>

void accum_init(kern *k, accum *r, ir_op o, int lanes)
{
    const ir_func *f = k->f;
    ir_op inner = {0};
    *r = (accum){.o = o};
    if (!plan_simple_reduce(f, o, &inner))
        bug("reduction %u isn't simple", o.id);
    dtype d = ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, 0)));
    r->elt = (cg_elt_op){
        .code = ir_op_code(f, inner), .from = d, .to = d, .nan = ir_int(f, inner, KEY_nan, 0) != 0, .lanes = lanes};
}

static uint64_t identity_bits(const accum *r)
{
    dtype d = r->elt.from;
    if (dt_is_float(d)) {
        switch (r->elt.code) {
        case IR_OP_add:
            return dt_from_double(d, -0.0, false);
        case IR_OP_mul:
            return dt_from_double(d, 1, false);
        case IR_OP_min:
            return dt_from_double(d, r->elt.nan ? (double)INFINITY : (double)NAN, false);
        default:
            return dt_from_double(d, r->elt.nan ? -(double)INFINITY : (double)NAN, false);
        }
    }
    int bits = d == DT_BOOL ? 1 : dt_bits(d);
    uint64_t all = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1, top = (uint64_t)1 << (bits - 1);
    switch (r->elt.code) {
    case IR_OP_mul:
        return 1;
    case IR_OP_and:
        return all;
    case IR_OP_min:
        return dt_is_signed(d) ? all ^ top : all;
    case IR_OP_max:
        return dt_is_signed(d) ? top : 0;
    default:
        return 0;
    }
}

lval accum_identity(kern *k, const accum *r, int lanes)
{
    return cg_const(k->c, r->elt.from, identity_bits(r), lanes);
}

/* AVX-512's vrangeps: the greater or smaller number of two, -0 below +0, a quiet NaN ignored */
static lval greater(cg *c, bool max, lval x, lval y)
{
    lval mask = LLVMConstInt(c->i16, 0xffff, false);
    return cg_call(c, CGI_range_512, NULL, 0, (lval[]){x, y, cg_i32(c, max ? 5 : 4), x, mask, cg_i32(c, 4)}, 6);
}

static bool by_range(const cg *c, const cg_elt_op *e, int lanes)
{
    return (e->code == IR_OP_min || e->code == IR_OP_max) && !e->nan && e->from == DT_F32 && lanes == 16 && c->scalef;
}

lval accum_combine(kern *k, const accum *r, lval x, lval y, int lanes)
{
    cg_elt_op e = r->elt;
    cg *c = k->c;
    e.lanes = lanes;
    if (by_range(c, &e, lanes)) {
        y = greater(c, e.code == IR_OP_max, y, y); /* a signaling NaN becomes a quiet one, which the next ignores */
        return greater(c, e.code == IR_OP_max, x, y);
    }
    return cg_elt(k->c, &e, (lval[]){x, y});
}

/* of accumulators, so without signaling NaN; as wide as they are to the end */
static lval finish_range(cg *c, bool max, lval *slots, int nslots)
{
    for (int n = nslots / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            slots[i] = greater(c, max, slots[i], slots[i + n]);
    lval x = slots[0];
    for (int n = 8; n > 0; n /= 2) {
        int other[16];
        for (int i = 0; i < 16; i++)
            other[i] = i ^ n;
        x = greater(c, max, x, cg_shuffle(c, x, LLVMGetPoison(LLVMTypeOf(x)), other, 16));
    }
    return cg_extract(c, x, 0);
}

lval accum_finish(kern *k, const accum *r, lval *slots, int nslots, int lanes)
{
    cg *c = k->c;
    if (by_range(c, &r->elt, lanes))
        return finish_range(c, r->elt.code == IR_OP_max, slots, nslots);
    for (int n = nslots / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            slots[i] = accum_combine(k, r, slots[i], slots[i + n], lanes);
    lval x = slots[0];
    for (int n = lanes / 2; n > 0; n /= 2) {
        int low[64], high[64];
        for (int i = 0; i < n; i++) {
            low[i] = i;
            high[i] = i + n;
        }
        lval poison = LLVMGetPoison(LLVMTypeOf(x));
        lval a = n == 1 ? cg_extract(c, x, 0) : cg_shuffle(c, x, poison, low, n);
        lval b = n == 1 ? cg_extract(c, x, 1) : cg_shuffle(c, x, poison, high, n);
        x = accum_combine(k, r, a, b, n);
    }
    return x;
}

void reduce_along(nest *n, ir_op o, int rank, const int64_t *shape)
{
    kern *k = n->k;
    cg *c = k->c;
    const ir_func *f = k->f;
    accum r;
    accum_init(k, &r, o, n->lanes);
    int64_t along = ir_int(f, o, KEY_axis, 0);
    ir_val out = ir_out(f, o, 0);
    lval x = lv_vec(n, ev(n, ir_in(f, o, 0), n->own));
    lv i = n->sets.at[n->own].at[along];
    coords at = n->sets.at[n->own];
    at.rank = rank - 1;
    memmove(at.at + along, at.at + along + 1, (size_t)(rank - 1 - along) * sizeof(lv));
    int64_t rest[IR_MAX_RANK];
    memcpy(rest, shape, (size_t)along * sizeof *rest);
    memcpy(rest + along, shape + along + 1, (size_t)(rank - 1 - along) * sizeof *rest);
    lv lin = linear_index(n, &at, rest);
    if (shape[along] > 1) {
        nest_enter(n, i.level);
        lval first = cg_icmp(c, LLVMIntEQ, i.v, cg_i64(c, 0));
        nest_leave(n, i.level);
        lval old = lv_vec(n, buffer_read(n, out, lin));
        nest_enter(n, n->inner);
        x = cg_sel(c, first, x, accum_combine(k, &r, old, x, n->lanes));
    }
    nest_enter(n, n->inner);
    lval base = buffer_address(k, k->p->v[out.id].buffer);
    buffer_write(n, base, cg_mem(c, r.elt.to), lin, to_memory(c, x, r.elt.to));
    nest_leave(n, n->inner);
}
