/* builtins_scan.c: scans, orders, counts: what works along an axis and is no plain reduction. */
#include "frontend/builtins_impl.h"

#define MAX_ITEMS 16

static ir_attr num_attr(lower *l, int64_t v) { return ir_attr_int(l->m, v); }

/* ---- reductions by bits ---- */
static fv by_bits(lower *l, bargs *g, ir_code code)
{
    fv x = arg_tile(l, g, 0);
    bool keep;
    int axis = 0;
    int64_t shape[IR_MAX_RANK];
    if (x.kind == FV_POISON || !arg_bool(l, g, 2, &keep))
        return fv_poison();
    if (!dt_is_int(low_dt(l, x)) && low_dt(l, x) != DT_BOOL)
        return low_error(l, D_OPERAND, g->where[0], g->name, STR_ARG(low_say(l, x)));
    int rank = bi_shape(l, x, shape);
    bool all = arg_is_none(g, 1);
    fv c = x;
    if (all) {
        int64_t n = ir_type_count(l->m, low_vtype(l, x));
        c = fv_rt(ir_reshape(B(l), x.v, 1, &n));
    } else if (!arg_axis(l, g, 1, rank, &axis)) {
        return fv_poison();
    }
    fv r = bi_reduce_op(l, code, c, axis);
    if (!keep)
        return r;
    for (int i = 0; i < rank; i++)
        if (all || i == axis)
            shape[i] = 1;
    return low_rank(l, r) ? fv_rt(ir_reshape(B(l), r.v, rank, shape)) : low_broadcast(l, r, rank, shape, g->at);
}

fv b_xor_sum(lower *l, bargs *g) { return by_bits(l, g, IR_OP_xor); }
fv b_reduce_or(lower *l, bargs *g) { return by_bits(l, g, IR_OP_or); }

/* argmax(x, ..) is the index that max(x, .., return_indices=True) gives */
static fv arg_extreme(lower *l, bargs *g, builtin_fn *extreme)
{
    bargs m = *g;
    m.v[2] = fv_bool(true);
    m.v[3] = g->v[2];
    m.where[3] = g->where[2];
    m.v[4] = g->v[3];
    m.where[4] = g->where[3];
    m.n = 5;
    m.given[1] = false; /* the axis; never the second of two scalars */
    if (arg_tile(l, g, 0).kind == FV_POISON)
        return fv_poison();
    fv both = extreme(l, &m);
    return both.kind == FV_SEQ ? both.seq.at[1] : fv_poison();
}

fv b_argmax(lower *l, bargs *g) { return arg_extreme(l, g, b_max); }
fv b_argmin(lower *l, bargs *g) { return arg_extreme(l, g, b_min); }

/* ---- scans ---- */
static void emit_scan(lower *l, const fv *xs, uint32_t n, int axis, bool reverse, ir_region r, fv *out)
{
    ir_val in[MAX_ITEMS], res[MAX_ITEMS];
    ir_type types[MAX_ITEMS];
    ir_attr_pair attrs[2] = {{KEY_axis, num_attr(l, axis)}, {KEY_reverse, num_attr(l, 1)}};
    for (uint32_t i = 0; i < n; i++) {
        in[i] = xs[i].v;
        types[i] = low_vtype(l, xs[i]);
    }
    ir_emit(B(l), &(ir_desc){.code = IR_OP_scan, .in = in, .nin = n, .types = types, .nout = n, .attrs = attrs,
                             .nattr = reverse ? 2 : 1, .regions = &r, .nregions = 1}, res);
    for (uint32_t i = 0; i < n; i++)
        out[i] = fv_rt(res[i]);
}

fv b_associative_scan(lower *l, bargs *g)
{
    fv xs[MAX_ITEMS], out[MAX_ITEMS];
    uint32_t n = bi_tiles(l, g, 0, xs);
    int axis;
    bool reverse;
    ir_region r;
    if (!n || !arg_axis(l, g, 1, low_rank(l, xs[0]), &axis) || !arg_bool(l, g, 3, &reverse) ||
        !bi_combine_region(l, xs, n, g->v[2], g->where[2], &r))
        return fv_poison();
    emit_scan(l, xs, n, axis, reverse, r, out);
    return g->v[0].kind == FV_SEQ ? fv_seq_dup(l->a, out, n, false) : out[0];
}

/* Sums and products of f16 and bf16 run in f32 and round once; ints under 32 bits are summed as i32, as by `sum`. */
static fv running(lower *l, bargs *g, ir_code code, dtype want)
{
    fv x = arg_tile(l, g, 0), out;
    int axis;
    bool reverse;
    if (x.kind == FV_POISON || arg_number(l, g, 0).kind == FV_POISON || !arg_axis(l, g, 1, low_rank(l, x), &axis) ||
        !arg_bool(l, g, 2, &reverse))
        return fv_poison();
    dtype d = low_dt(l, x), result = want != DT_NONE ? want : dt_is_int(d) && dt_bits(d) < 32 ? DT_I32 : d;
    dtype work = result == DT_F16 || result == DT_BF16 ? DT_F32 : result;
    x = low_cast(l, x, work, g->where[0]);
    fx *f = l->fx;
    ir_region r = ir_region_new(f->f);
    ir_type el = ir_type_num(l->m, work);
    ir_val a = ir_region_param(f->f, r, el), b = ir_region_param(f->f, r, el);
    ir_push(&f->b, r);
    ir_val v = ir_bin(&f->b, code, a, b);
    ir_yield(&f->b, &v, 1);
    ir_pop(&f->b);
    emit_scan(l, &x, 1, axis, reverse, r, &out);
    return low_cast(l, out, result, g->at);
}

fv b_cumsum(lower *l, bargs *g)
{
    dtype want = DT_NONE;
    if (!arg_is_none(g, 3) && !arg_dtype(l, g, 3, &want))
        return fv_poison();
    return running(l, g, IR_OP_add, want);
}

fv b_cumprod(lower *l, bargs *g) { return running(l, g, IR_OP_mul, DT_NONE); }

/* ---- orders ---- */
static bool axis_or_last(lower *l, bargs *g, int i, int rank, int *axis)
{
    *axis = rank - 1;
    return arg_is_none(g, i) || arg_axis(l, g, i, rank, axis);
}

static void emit_sort(lower *l, const fv *xs, uint32_t n, int axis, bool descending, int64_t k, fv *out)
{
    ir_val in[MAX_ITEMS + 1], res[MAX_ITEMS + 1];
    ir_type types[MAX_ITEMS + 1];
    ir_attr_pair attrs[3] = {{KEY_axis, num_attr(l, axis)}};
    uint32_t na = 1;
    int64_t shape[IR_MAX_RANK];
    int rank = bi_shape(l, xs[0], shape);
    if (descending)
        attrs[na++] = (ir_attr_pair){KEY_descending, num_attr(l, 1)};
    if (k != shape[axis])
        attrs[na++] = (ir_attr_pair){KEY_k, num_attr(l, k)};
    shape[axis] = k;
    for (uint32_t i = 0; i < n; i++) {
        in[i] = xs[i].v;
        types[i] = ir_type_with_shape(l->m, low_vtype(l, xs[i]), rank, shape);
    }
    ir_emit(B(l),
            &(ir_desc){.code = IR_OP_sort, .in = in, .nin = n, .types = types, .nout = n, .attrs = attrs, .nattr = na},
            res);
    for (uint32_t i = 0; i < n; i++)
        out[i] = fv_rt(res[i]);
}

/* the key of a sort: ordered numbers */
static bool orderable(lower *l, bargs *g, fv key)
{
    if (!dt_is_f8(low_dt(l, key)) && low_dt(l, key) != DT_BOOL)
        return true;
    low_error(l, D_OPERAND, g->where[0], g->name, STR_ARG(low_say(l, key)));
    return false;
}

fv b_sort(lower *l, bargs *g)
{
    fv xs[MAX_ITEMS], out[MAX_ITEMS];
    uint32_t n = bi_tiles(l, g, 0, xs);
    int axis;
    bool descending;
    if (!n || !orderable(l, g, xs[0]) || !axis_or_last(l, g, 1, low_rank(l, xs[0]), &axis) ||
        !arg_bool(l, g, 2, &descending))
        return fv_poison();
    emit_sort(l, xs, n, axis, descending, low_info(l, xs[0])->shape[axis], out);
    return g->v[0].kind == FV_SEQ ? fv_seq_dup(l->a, out, n, false) : out[0];
}

/* 0, 1, .. along an axis, at a shape */
static fv positions(lower *l, int rank, const int64_t *shape, int axis)
{
    int64_t line[IR_MAX_RANK];
    for (int i = 0; i < rank; i++)
        line[i] = i == axis ? shape[i] : 1;
    ir_val v = ir_emit1a(B(l), IR_OP_arange, bi_tile(l, DT_I32, 1, &shape[axis]), NULL, 0, KEY_start, num_attr(l, 0));
    return fv_rt(ir_broadcast(B(l), ir_reshape(B(l), v, rank, line), rank, shape));
}

fv b_topk(lower *l, bargs *g)
{
    fv xs[MAX_ITEMS + 1], out[MAX_ITEMS + 1];
    int axis;
    int64_t k, shape[IR_MAX_RANK];
    bool indices, tuple = g->v[0].kind == FV_SEQ;
    uint32_t n = bi_tiles(l, g, 0, xs);
    if (!n || !orderable(l, g, xs[0]) || !axis_or_last(l, g, 2, low_rank(l, xs[0]), &axis) ||
        !arg_int(l, g, 1, 1, IR_MAX_ELEMS, &k) || !arg_bool(l, g, 3, &indices))
        return fv_poison();
    int rank = bi_shape(l, xs[0], shape);
    if (k > shape[axis])
        return low_error(l, D_TOPK, g->where[1], (long long)k, (long long)shape[axis]);
    if (indices)
        xs[n++] = positions(l, rank, shape, axis);
    emit_sort(l, xs, n, axis, true, k, out);
    return tuple || indices ? fv_seq_dup(l->a, out, n, false) : out[0];
}

/* ---- counting and picking ---- */
fv b_histogram(lower *l, bargs *g)
{
    fv x = arg_tile(l, g, 0);
    int64_t bins, shape[IR_MAX_RANK];
    ir_val in[2];
    if (x.kind == FV_POISON || !arg_int(l, g, 1, 1, IR_MAX_ELEMS, &bins))
        return fv_poison();
    if (!dt_is_int(low_dt(l, x)) || bi_shape(l, x, shape) != 1)
        return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a tile of integers of rank 1", STR_ARG(low_say(l, x)));
    in[0] = x.v;
    if (!arg_mask(l, g, 2, 1, shape, &in[1]))
        return fv_poison();
    return fv_rt(ir_emit1(B(l), IR_OP_histogram, bi_tile(l, DT_I32, 1, &bins), in, in[1].id ? 2 : 1));
}

fv b_gather(lower *l, bargs *g)
{
    fv x = arg_tile(l, g, 0), at = arg_tile(l, g, 1);
    int axis;
    int64_t s[IR_MAX_RANK], t[IR_MAX_RANK];
    if (x.kind == FV_POISON || at.kind == FV_POISON)
        return fv_poison();
    if (!dt_is_int(low_dt(l, at)))
        return low_error(l, D_INDEX_TYPE, g->where[1], STR_ARG(low_say(l, at)));
    int rank = bi_shape(l, x, s);
    if (!arg_axis(l, g, 2, rank, &axis))
        return fv_poison();
    bool fits = bi_shape(l, at, t) == rank;
    for (int i = 0; fits && i < rank; i++)
        fits = i == axis || s[i] == t[i];
    if (!fits)
        return low_error(l, D_GATHER_SHAPE, g->at, STR_ARG(low_say(l, at)), STR_ARG(low_say(l, x)));
    ir_type r = ir_type_with_shape(l->m, low_vtype(l, x), rank, t);
    return fv_rt(ir_emit1a(B(l), IR_OP_gather, r, (ir_val[]){x.v, at.v}, 2, KEY_axis, num_attr(l, axis)));
}

/* ---- a function of scalars, element by element ---- */
static bool map_items(lower *l, bargs *g, fv *xs, uint32_t *n)
{
    int rank = 0;
    int64_t shape[IR_MAX_RANK];
    *n = g->nvar;
    if (*n < 1 || *n > MAX_ITEMS) {
        low_error(l, D_TILE_COUNT, g->at, g->name, MAX_ITEMS, *n);
        return false;
    }
    for (uint32_t i = 0; i < *n; i++) {
        xs[i] = low_runtime(l, g->var[i].v, g->var[i].at);
        if (xs[i].kind == FV_POISON || (i && !low_common_shape(l, xs[0], xs[i], g->var[i].at, &rank, shape)))
            return false;
        if (i)
            xs[0] = low_broadcast(l, xs[0], rank, shape, g->var[0].at);
    }
    rank = bi_shape(l, xs[0], shape);
    for (uint32_t i = 0; i < *n; i++)
        xs[i] = low_broadcast(l, xs[i], rank, shape, g->var[i].at);
    return true;
}

fv b_map_elementwise(lower *l, bargs *g)
{
    fv xs[MAX_ITEMS], in[MAX_ITEMS], outs[MAX_ITEMS];
    ir_val vals[MAX_ITEMS], res[MAX_ITEMS], y[MAX_ITEMS];
    ir_type types[MAX_ITEMS];
    uint32_t n;
    fx *f = l->fx;
    if (!map_items(l, g, xs, &n))
        return fv_poison();
    if (!low_rank(l, xs[0]))
        return low_apply(l, g->v[0], xs, n, g->at);
    ir_region r = ir_region_new(f->f);
    for (uint32_t i = 0; i < n; i++) {
        vals[i] = xs[i].v;
        in[i] = fv_rt(ir_region_param(f->f, r, ir_type_elem(l->m, low_vtype(l, xs[i]))));
    }
    ir_push(&f->b, r);
    bool was = f->pure, ok, said;
    f->pure = true;
    fv v = low_apply(l, g->v[0], in, n, g->where[0]);
    f->pure = was;
    const fv *el = v.kind == FV_SEQ ? v.seq.at : &v;
    uint32_t m = v.kind == FV_SEQ ? v.seq.n : 1;
    said = fv_has_poison(v);
    ok = !said && m >= 1 && m <= MAX_ITEMS;
    for (uint32_t i = 0; ok && i < m; i++) {
        fv o = low_runtime(l, el[i], g->where[0]);
        said = o.kind == FV_POISON;
        ok = o.kind != FV_POISON && !low_rank(l, o);
        y[i] = o.v;
        if (ok)
            types[i] = ir_type_with_elem(l->m, low_vtype(l, xs[0]), low_vtype(l, o));
    }
    ir_yield(&f->b, y, ok ? m : 0);
    ir_pop(&f->b);
    if (!ok)
        return said ? fv_poison()
                    : low_error(l, D_ARG_TYPE, g->where[0], g->name, "a function that returns scalars",
                                STR_ARG(low_say(l, v)));
    ir_emit(
        &f->b,
        &(ir_desc){.code = IR_OP_map, .in = vals, .nin = n, .types = types, .nout = m, .regions = &r, .nregions = 1},
        res);
    for (uint32_t i = 0; i < m; i++)
        outs[i] = fv_rt(res[i]);
    return v.kind == FV_SEQ ? fv_seq_dup(l->a, outs, m, false) : outs[0];
}
