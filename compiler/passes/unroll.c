/* unroll.c: pass unroll: loops that ask for it, and loops that run once or never.
 *
 * A loop of constant bounds and at most `unroll` trips is written out; of one trip always. Otherwise a loop with
 * `unroll = n` becomes one of n bodies a trip up to the last whole n, and a remainder of single ones, both with the
 * loop's own step.
 */
#include "compiler/passes/rewrite.h"

enum {
    MOST_OPS = 20000, /* written out from one loop; beyond, the request is ignored */
    MOST_ATTRS = 8
};

static uint32_t count_ops(const ir_func *f, ir_region r)
{
    uint32_t n = 0;
    FOR_OPS(f, r, o)
    {
        n++;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            n += count_ops(f, ir_op_region(f, o, i));
    }
    return n;
}

/* one copy of the body with this index; carried[] goes in and comes out */
static void body_once(rw *r, ir_op o, ir_val index, ir_val *carried)
{
    ir_region body = ir_op_region(r->old, o, 0);
    uint32_t n = ir_nout(r->old, o);
    ir_map_set(&r->map, ir_param_of(r->old, body, 0), index);
    for (uint32_t i = 0; i < n; i++)
        ir_map_set(&r->map, ir_param_of(r->old, body, 1 + i), carried[i]);
    rw_ops(r, body);
    rw_yielded(r, body, carried);
}

static bool const_bounds(rw *r, ir_op o, int64_t *lb, int64_t *trips, int64_t *step)
{
    int64_t ub;
    if (!ir_const_int_of(r->f, rw_in(r, o, 0), lb) || !ir_const_int_of(r->f, rw_in(r, o, 1), &ub) ||
        !ir_const_int_of(r->f, rw_in(r, o, 2), step) || *step == 0)
        return false;
    __extension__ __int128 extent = *step > 0 ? (__int128)ub - *lb : (__int128)*lb - ub;
    __extension__ __int128 s = *step > 0 ? *step : -(__int128)*step;
    __extension__ __int128 t = extent <= 0 ? 0 : (extent + s - 1) / s;
    if (t > INT64_MAX)
        return false;
    *trips = (int64_t)t;
    return true;
}

static void write_out(rw *r, ir_op o, int64_t lb, int64_t trips, int64_t step)
{
    uint32_t n = ir_nout(r->old, o);
    ir_val *carried = ARENA_ARRAY(r->c->scratch, ir_val, n ? n : 1);
    ir_type t = ir_vtype(r->f, rw_in(r, o, 0));
    for (uint32_t i = 0; i < n; i++)
        carried[i] = rw_in(r, o, 3 + i);
    for (int64_t k = 0; k < trips; k++)
        body_once(r, o, ir_const_i(&r->b, t, lb + k * step), carried);
    for (uint32_t i = 0; i < n; i++)
        rw_set(r, o, i, carried[i]);
}

/* the loop's attributes for what it becomes: all but the request itself, and none for the remainder */
static uint32_t other_attrs(const rw *r, ir_op o, ir_attr_pair *out)
{
    const ir_op_data *p = ir_o(r->old, o);
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->nattr && n < MOST_ATTRS; i++)
        if (ir_attr_at(r->old, o, i).key != KEY_unroll)
            out[n++] = ir_attr_at(r->old, o, i);
    return n;
}

/* a loop over [lb, ub) by step whose trips hold `times` bodies `own` apart; carried[] goes in and comes out */
static void emit_loop(rw *r, ir_op o, ir_val lb, ir_val ub, ir_val step, ir_val own, int64_t times, ir_val *carried)
{
    ir_attr_pair attrs[MOST_ATTRS];
    uint32_t nattr = times > 1 ? other_attrs(r, o, attrs) : 0;
    uint32_t n = ir_nout(r->old, o);
    ir_val *in = ARENA_ARRAY(r->c->scratch, ir_val, 3 + n), *inner = ARENA_ARRAY(r->c->scratch, ir_val, n ? n : 1);
    ir_type *types = ARENA_ARRAY(r->c->scratch, ir_type, n ? n : 1);
    ir_region body = ir_region_new(r->f);
    ir_val index = ir_region_param(r->f, body, ir_vtype(r->f, lb));
    in[0] = lb;
    in[1] = ub;
    in[2] = step;
    for (uint32_t i = 0; i < n; i++) {
        types[i] = ir_vtype(r->f, carried[i]);
        in[3 + i] = carried[i];
        inner[i] = ir_region_param(r->f, body, types[i]);
    }
    ir_push(&r->b, body);
    for (int64_t k = 0; k < times; k++) {
        if (k)
            index = ir_bin(&r->b, IR_OP_add, index, own);
        body_once(r, o, index, inner);
    }
    ir_yield(&r->b, inner, n);
    ir_pop(&r->b);
    rw_begin(r, o);
    ir_emit(&r->b,
            &(ir_desc){.code = IR_OP_for,
                       .in = in,
                       .nin = 3 + n,
                       .types = types,
                       .nout = n,
                       .attrs = attrs,
                       .nattr = nattr,
                       .regions = &body,
                       .nregions = 1},
            carried);
    r->b.origin = 0;
}

static bool partly(rw *r, ir_op o, int64_t factor)
{
    int64_t step;
    ir_val lb = rw_in(r, o, 0), ub = rw_in(r, o, 1), own = rw_in(r, o, 2);
    ir_type t = ir_vtype(r->f, lb);
    uint32_t n = ir_nout(r->old, o);
    dtype dt = ir_type_dt(r->f->m, t);
    int64_t most = dt_is_signed(dt) ? dt_int(dt, ((uint64_t)1 << (dt_bits(dt) - 1)) - 1)
                   : dt == DT_U64   ? INT64_MAX
                                    : dt_int(dt, UINT64_MAX);
    if (!ir_const_int_of(r->f, own, &step) || step <= 0 || step > most / factor)
        return false;
    ir_val *carried = ARENA_ARRAY(r->c->scratch, ir_val, n ? n : 1);
    for (uint32_t i = 0; i < n; i++)
        carried[i] = rw_in(r, o, 3 + i);
    /* The end of the whole groups is lb + (ub - lb) / (step * n) * (step * n). Where there are no trips, or their
     * extent is beyond the type, all is left to the remainder. */
    ir_val wide = ir_const_i(&r->b, t, step * factor), zero = ir_const_i(&r->b, t, 0);
    ir_val extent = ir_select(&r->b, ir_cmp(&r->b, IR_OP_lt, lb, ub), ir_bin(&r->b, IR_OP_sub, ub, lb), zero);
    extent = ir_bin(&r->b, IR_OP_max, extent, zero);
    ir_val whole = ir_bin(&r->b, IR_OP_mul, ir_bin(&r->b, IR_OP_div, extent, wide), wide);
    ir_val mid = ir_bin(&r->b, IR_OP_add, lb, whole);
    emit_loop(r, o, lb, mid, wide, own, factor, carried);
    emit_loop(r, o, mid, ub, own, own, 1, carried);
    for (uint32_t i = 0; i < n; i++)
        rw_set(r, o, i, carried[i]);
    return true;
}

static bool visit(rw *r, ir_op o)
{
    int64_t lb, trips, step;
    if (ir_op_code(r->old, o) != IR_OP_for)
        return false;
    int64_t factor = ir_int(r->old, o, KEY_unroll, 1);
    int64_t ops = count_ops(r->old, ir_op_region(r->old, o, 0));
    if (const_bounds(r, o, &lb, &trips, &step) &&
        (trips <= 1 || (factor > 1 && trips <= factor && trips * ops <= MOST_OPS))) {
        write_out(r, o, lb, trips, step);
        return true;
    }
    return factor > 1 && factor * ops <= MOST_OPS && partly(r, o, factor);
}

ir_func *pass_unroll(pass_ctx *c, ir_func *f)
{
    rw r;
    rw_init(&r, c, f, visit, NULL);
    return rw_run(&r);
}
