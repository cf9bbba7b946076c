/* builtins_reduce.c: reductions along an axis.
 *
 * A reduction without an axis reads the tile as one row. Sums of f16 and bf16 compute in f32 and round once; sums of
 * ints under 32 bits are i32; min and max keep the type. With keep_dims the reduced extents stay as 1. The combine
 * function of `reduce` gets the left items, then the right.
 */
#include "frontend/builtins_impl.h"

#include <string.h>

#define MAX_ITEMS 16

/* axis argument: the axis, or all as one row (x is reshaped) */
static bool resolve_axis(lower *l, bargs *g, int i, fv *xs, uint32_t n, int *axis)
{
    if (g->v[i].kind != FV_NONE)
        return arg_axis(l, g, i, low_rank(l, xs[0]), axis);
    int64_t count = ir_type_count(l->m, low_vtype(l, xs[0]));
    for (uint32_t k = 0; k < n; k++)
        xs[k] = fv_rt(ir_reshape(B(l), xs[k].v, 1, &count));
    *axis = 0;
    return true;
}

static ir_type reduced_type(lower *l, fv x, int axis)
{
    const ir_type_info *ti = low_info(l, x);
    int64_t shape[IR_MAX_RANK];
    int r = 0;
    for (int i = 0; i < ti->rank; i++)
        if (i != axis)
            shape[r++] = ti->shape[i];
    return ir_type_tile(l->m, ti->elem, r, shape);
}

static fv keep_dims(lower *l, fv was, fv r, int axis, bool all)
{
    const ir_type_info *ti = low_info(l, was);
    int64_t shape[IR_MAX_RANK];
    for (int i = 0; i < ti->rank; i++)
        shape[i] = all || i == axis ? 1 : ti->shape[i];
    return low_rank(l, r) ? fv_rt(ir_reshape(B(l), r.v, ti->rank, shape))
                          : low_broadcast(l, r, ti->rank, shape, (span){0});
}

/* emits `code` (reduce or scan) of n tiles over a finished region */
static void emit_reduce(lower *l, ir_code code, const fv *xs, uint32_t n, int axis, ir_region r,
                        const ir_attr_pair *more, uint32_t nmore, fv *out)
{
    ir_val in[MAX_ITEMS], res[MAX_ITEMS];
    ir_type types[MAX_ITEMS];
    ir_attr_pair attrs[3] = {{KEY_axis, ir_attr_int(l->m, axis)}};
    for (uint32_t i = 0; i < nmore; i++)
        attrs[1 + i] = more[i];
    for (uint32_t i = 0; i < n; i++) {
        in[i] = xs[i].v;
        types[i] = code == IR_OP_scan ? low_vtype(l, xs[i]) : reduced_type(l, xs[i], axis);
    }
    ir_emit(B(l),
            &(ir_desc){.code = code,
                       .nin = n,
                       .in = in,
                       .nout = n,
                       .types = types,
                       .nattr = 1 + nmore,
                       .attrs = attrs,
                       .nregions = 1,
                       .regions = &r},
            res);
    for (uint32_t i = 0; i < n; i++)
        out[i] = fv_rt(res[i]);
}

fv bi_reduce_op(lower *l, ir_code op, fv x, int axis)
{
    fx *f = l->fx;
    ir_type el = ir_type_elem(l->m, low_vtype(l, x));
    ir_region r = ir_region_new(f->f);
    ir_val in[2] = {ir_region_param(f->f, r, el), ir_region_param(f->f, r, el)};
    ir_push(&f->b, r);
    ir_val v = ir_bin(&f->b, op, in[0], in[1]);
    ir_yield(&f->b, &v, 1);
    ir_pop(&f->b);
    fv out;
    emit_reduce(l, IR_OP_reduce, &x, 1, axis, r, NULL, 0, &out);
    return out;
}

/* region of a combine function: 2n scalars in, n out; false: a diagnostic was given */
bool bi_combine_region(lower *l, const fv *xs, uint32_t n, fv fn, span at, ir_region *out)
{
    fx *f = l->fx;
    ir_region r = ir_region_new(f->f);
    fv in[2 * MAX_ITEMS];
    for (uint32_t i = 0; i < 2 * n; i++)
        in[i] = fv_rt(ir_region_param(f->f, r, ir_type_elem(l->m, low_vtype(l, xs[i % n]))));
    ir_push(&f->b, r);
    bool was = f->pure, ok = true;
    f->pure = true;
    fv res = low_apply(l, fn, in, 2 * n, at);
    f->pure = was;
    ir_val y[MAX_ITEMS];
    const fv *el = res.kind == FV_SEQ ? res.seq.at : &res;
    uint32_t got = res.kind == FV_SEQ ? res.seq.n : 1;
    if (fv_has_poison(res))
        ok = false;
    else if (got != n) {
        low_error(l, D_COMBINE_COUNT, at, n, STR_ARG(low_say(l, res)));
        ok = false;
    }
    for (uint32_t i = 0; ok && i < n; i++) {
        ir_type want = ir_type_elem(l->m, low_vtype(l, xs[i]));
        fv v = el[i].kind == FV_NUM ? low_cast(l, el[i], ir_type_dt(l->m, want), at) : low_runtime(l, el[i], at);
        ok = v.kind != FV_POISON;
        if (ok && !ir_type_eq(low_vtype(l, v), want)) {
            low_error(l, D_COMBINE_TYPE, at, i + 1, STR_ARG(low_type(l, want)), STR_ARG(low_say(l, v)));
            ok = false;
        }
        y[i] = v.v;
    }
    ir_yield(&f->b, y, ok ? n : 0);
    ir_pop(&f->b);
    *out = r;
    return ok;
}

/* argument i: a tile, or a tuple of tiles of one shape */
uint32_t bi_tiles(lower *l, bargs *g, int i, fv *xs)
{
    fv v = g->v[i];
    const fv *el = v.kind == FV_SEQ ? v.seq.at : &v;
    uint32_t n = v.kind == FV_SEQ ? v.seq.n : 1;
    if (n < 1 || n > MAX_ITEMS) {
        low_error(l, D_TILE_COUNT, g->where[i], g->name, MAX_ITEMS, n);
        return 0;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (el[k].kind != FV_RT || !low_rank(l, el[k]) || low_is_ptr(l, el[k])) {
            low_error(l, D_ARG_TYPE, g->where[i], g->name, "a tile or a tuple of tiles", STR_ARG(low_say(l, el[k])));
            return 0;
        }
        ir_type like = ir_type_with_elem(l->m, low_vtype(l, el[0]), ir_type_elem(l->m, low_vtype(l, el[k])));
        if (!ir_type_eq(like, low_vtype(l, el[k]))) {
            low_error(l, D_SAME_SHAPE, g->where[i], STR_ARG(low_say(l, el[0])), STR_ARG(low_say(l, el[k])));
            return 0;
        }
        xs[k] = el[k];
    }
    return n;
}

fv b_sum(lower *l, bargs *g)
{
    fv x = arg_tile(l, g, 0);
    bool keep, all = arg_is_none(g, 1);
    int axis;
    dtype want = DT_NONE;
    if (x.kind == FV_POISON || arg_number(l, g, 0).kind == FV_POISON || !arg_bool(l, g, 2, &keep))
        return fv_poison();
    if (!arg_is_none(g, 3) && !arg_dtype(l, g, 3, &want))
        return fv_poison();
    dtype d = low_dt(l, x), work = d;
    if (dt_is_int(d) && dt_bits(d) < 32)
        work = DT_I32;
    if (want != DT_NONE)
        work = want;
    dtype result = work;
    if (work == DT_F16 || work == DT_BF16)
        work = DT_F32;
    fv c = low_cast(l, x, work, g->where[0]);
    if (!resolve_axis(l, g, 1, &c, 1, &axis))
        return fv_poison();
    fv r = low_cast(l, bi_reduce_op(l, IR_OP_add, c, axis), result, g->at);
    return keep ? keep_dims(l, x, r, axis, all) : r;
}

static fv extreme_with_index(lower *l, fv x, int axis, bool greatest, bool left, fv *index)
{
    const ir_type_info *ti = low_info(l, x);
    int64_t n = ti->shape[axis], ones[IR_MAX_RANK], shape[IR_MAX_RANK];
    int rank = ti->rank;
    for (int i = 0; i < rank; i++) {
        ones[i] = i == axis ? n : 1;
        shape[i] = ti->shape[i];
    }
    ir_val at = ir_emit1a(B(l), IR_OP_arange, bi_tile(l, DT_I32, 1, &n), NULL, 0, KEY_start, ir_attr_int(l->m, 0));
    at = ir_broadcast(B(l), ir_reshape(B(l), at, rank, ones), rank, shape);
    fv xs[2] = {x, fv_rt(at)}, out[2];
    fx *f = l->fx;
    ir_builder *b = &f->b;
    ir_type el = ir_type_elem(l->m, low_vtype(l, x)), it = ir_type_num(l->m, DT_I32);
    ir_region r = ir_region_new(f->f);
    ir_val p[4] = {ir_region_param(f->f, r, el), ir_region_param(f->f, r, it), ir_region_param(f->f, r, el),
                   ir_region_param(f->f, r, it)};
    ir_push(b, r);
    ir_val better = ir_cmp(b, greatest ? IR_OP_gt : IR_OP_lt, p[0], p[2]);
    ir_val first = ir_cmp(b, left ? IR_OP_lt : IR_OP_gt, p[1], p[3]);
    ir_val take = ir_bin(b, IR_OP_or, better, ir_bin(b, IR_OP_and, ir_cmp(b, IR_OP_eq, p[0], p[2]), first));
    if (dt_is_float(low_dt(l, x))) { /* a NaN loses; of two the one that wins a tie */
        ir_val nan0 = ir_cmp(b, IR_OP_ne, p[0], p[0]), nan1 = ir_cmp(b, IR_OP_ne, p[2], p[2]);
        ir_val only1 = ir_bin(b, IR_OP_and, nan1, ir_un(b, IR_OP_not, nan0));
        ir_val both = ir_bin(b, IR_OP_and, ir_bin(b, IR_OP_and, nan0, nan1), first);
        take = ir_bin(b, IR_OP_or, take, ir_bin(b, IR_OP_or, only1, both));
    }
    ir_val y[2] = {ir_select(b, take, p[0], p[2]), ir_select(b, take, p[1], p[3])};
    ir_yield(b, y, 2);
    ir_pop(b);
    emit_reduce(l, IR_OP_reduce, xs, 2, axis, r, NULL, 0, out);
    *index = out[1];
    return out[0];
}

static bool is_scalar(lower *l, fv v) { return v.kind == FV_NUM || (v.kind == FV_RT && !low_rank(l, v)); }

static fv extreme(lower *l, bargs *g, bool greatest)
{
    ir_code code = greatest ? IR_OP_max : IR_OP_min;
    if (is_scalar(l, g->v[0]) && g->given[1] && is_scalar(l, g->v[1]))
        return bi_pick_scalar(l, g, code);
    fv x = arg_tile(l, g, 0), index;
    bool keep, indices, left, all = arg_is_none(g, 1);
    int axis;
    if (x.kind == FV_POISON || arg_number(l, g, 0).kind == FV_POISON || !arg_bool(l, g, 2, &indices) ||
        !arg_bool(l, g, 3, &left) || !arg_bool(l, g, 4, &keep))
        return fv_poison();
    fv c = x;
    if (!resolve_axis(l, g, 1, &c, 1, &axis))
        return fv_poison();
    if (!indices) {
        fv r = bi_reduce_op(l, code, c, axis);
        return keep ? keep_dims(l, x, r, axis, all) : r;
    }
    fv both[2];
    both[0] = extreme_with_index(l, c, axis, greatest, left, &index);
    both[1] = index;
    for (int i = 0; keep && i < 2; i++)
        both[i] = keep_dims(l, x, both[i], axis, all);
    return fv_seq_dup(l->a, both, 2, false);
}

fv b_max(lower *l, bargs *g) { return extreme(l, g, true); }
fv b_min(lower *l, bargs *g) { return extreme(l, g, false); }

fv b_reduce(lower *l, bargs *g)
{
    fv xs[MAX_ITEMS], was, out[MAX_ITEMS];
    uint32_t n = bi_tiles(l, g, 0, xs);
    bool keep, all = arg_is_none(g, 1);
    int axis;
    ir_region r;
    if (!n || !arg_bool(l, g, 3, &keep))
        return fv_poison();
    was = xs[0];
    if (!resolve_axis(l, g, 1, xs, n, &axis) || !bi_combine_region(l, xs, n, g->v[2], g->where[2], &r))
        return fv_poison();
    emit_reduce(l, IR_OP_reduce, xs, n, axis, r, NULL, 0, out);
    for (uint32_t i = 0; keep && i < n; i++)
        out[i] = keep_dims(l, was, out[i], axis, all);
    return g->v[0].kind == FV_SEQ ? fv_seq_dup(l->a, out, n, false) : out[0];
}
