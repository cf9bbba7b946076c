/* lower_tensors.c: pass lower_tensors: tensor accesses become pointers and masks.
 *
 * A view becomes a tensor_make of its own base, sizes and strides, with no elements where an index was outside. What
 * flows through control flow does so as its parts (base, sizes, sizes seen, strides), and is made a tensor again behind
 * it. A view keeps the sizes that the source sees (tensor_dim) apart
 * from those that accesses are checked against: an index outside doesn't change the former. An access becomes
 *
 *   index of dimension d:  i_d = at_d + arange, as a tile that varies along d only
 *   pointer:               (base + sum at_d * stride_d) + sum arange_d * stride_d      uniform part first, so it stays
 * affine mask:                  0 <= i_d < size_d, all d
 *
 * Parameters keep tensor_base, tensor_dim and tensor_stride, which are slots of the argument block.
 */
#include "compiler/passes/rewrite.h"

typedef struct tensor_parts {
    int rank;
    ir_val base, size[IR_MAX_TENSOR_RANK], stride[IR_MAX_TENSOR_RANK];
} tensor_parts;

typedef struct lower {
    ir_val **sizes; /* by old value id, of views: their sizes as the source sees them; NULL: those of the tensor */
} lower;

static ir_type int_type(rw *r)
{
    return ir_type_num(r->f->m, DT_I64);
}

static tensor_parts parts_of(rw *r, ir_val t)
{
    ir_module *m = r->f->m;
    const ir_type_info *i = ir_type_of(m, ir_vtype(r->f, t));
    ir_type elem = i->elem;
    tensor_parts p = {.rank = i->rank};
    p.base = ir_emit1(&r->b, IR_OP_tensor_base, ir_type_ptr(m, elem), &t, 1);
    for (int d = 0; d < p.rank; d++) {
        p.size[d] = ir_emit1a(&r->b, IR_OP_tensor_dim, int_type(r), &t, 1, KEY_dim, ir_attr_int(m, d));
        p.stride[d] = ir_emit1a(&r->b, IR_OP_tensor_stride, int_type(r), &t, 1, KEY_dim, ir_attr_int(m, d));
    }
    return p;
}

static ir_val both(rw *r, ir_val x, ir_val y)
{
    return !x.id ? y : !y.id ? x : ir_bin(&r->b, IR_OP_and, x, y);
}

/* lo <= x and x < hi (or <= where closed), elementwise; lo is 0 */
static ir_val within(rw *r, ir_val x, ir_val hi, bool closed)
{
    ir_val zero = ir_const_i(&r->b, ir_vtype(r->f, x), 0);
    return both(r, ir_cmp(&r->b, IR_OP_ge, x, zero), ir_cmp(&r->b, closed ? IR_OP_le : IR_OP_lt, x, hi));
}

static ir_val times(rw *r, ir_val x, ir_val stride)
{
    const ir_type_info *t = ir_type_of(r->f->m, ir_vtype(r->f, x));
    if (t->kind != TK_TILE)
        return ir_bin(&r->b, IR_OP_mul, x, stride);
    int64_t shape[IR_MAX_RANK];
    for (int d = 0; d < t->rank; d++)
        shape[d] = t->shape[d];
    return ir_bin(&r->b, IR_OP_mul, x, ir_splat(&r->b, stride, t->rank, shape));
}

static ir_val moved(rw *r, ir_val base, ir_val index, ir_val stride)
{
    return ir_ptr_add(&r->b, base, ir_bin(&r->b, IR_OP_mul, index, stride));
}

/* size of a range of a dimension: what of it lies inside, with a start outside none */
static ir_val range_size(rw *r, ir_val from, ir_val to, ir_val size)
{
    ir_val zero = ir_const_i(&r->b, int_type(r), 0);
    ir_val clipped = ir_bin(&r->b, IR_OP_sub, ir_bin(&r->b, IR_OP_min, to, size), from);
    return ir_select(&r->b, within(r, from, size, true), ir_bin(&r->b, IR_OP_max, clipped, zero), zero);
}

/* the dimension that has no elements where an index was outside: one that the type doesn't fix, so that it is seen
 * behind control flow too */
static uint32_t emptied(const ir_type_info *t)
{
    for (int d = 0; d < t->rank; d++)
        if (t->shape[d] == IR_DYN)
            return (uint32_t)d;
    return 0;
}

static void lower_view(rw *r, ir_op o)
{
    lower *l = r->ctx;
    tensor_parts p = parts_of(r, rw_in(r, o, 0));
    uint32_t n, at = 1;
    const int64_t *kinds = ir_ints(r->old, o, KEY_kinds, &n);
    const ir_val *from_seen = l->sizes[ir_in(r->old, o, 0).id];
    ir_val inside = {0}, size[IR_MAX_TENSOR_RANK], stride[IR_MAX_TENSOR_RANK], base = p.base;
    ir_val *seen = ARENA_ARRAY(r->c->scratch, ir_val, IR_MAX_TENSOR_RANK);
    if (!from_seen)
        from_seen = p.size;
    uint32_t k = 0;
    for (int d = 0; d < p.rank; d++) {
        if (kinds[d] == 0) {
            ir_val i = ir_cast(&r->b, rw_in(r, o, at++), DT_I64);
            inside = both(r, inside, within(r, i, p.size[d], false));
            base = moved(r, base, i, p.stride[d]);
            continue;
        }
        size[k] = p.size[d];
        seen[k] = from_seen[d];
        stride[k] = p.stride[d];
        if (kinds[d] == 1) {
            ir_val from = ir_cast(&r->b, rw_in(r, o, at), DT_I64), to = ir_cast(&r->b, rw_in(r, o, at + 1), DT_I64);
            at += 2;
            base = moved(r, base, from, p.stride[d]);
            size[k] = range_size(r, from, to, p.size[d]);
            seen[k] = range_size(r, from, to, from_seen[d]);
        }
        k++;
    }
    l->sizes[ir_out(r->old, o, 0).id] = seen;
    if (inside.id) {
        uint32_t d = emptied(ir_type_of(r->f->m, ir_vtype(r->old, ir_out(r->old, o, 0))));
        size[d] = ir_select(&r->b, inside, size[d], ir_const_i(&r->b, int_type(r), 0));
    }
    ir_val in[1 + 2 * IR_MAX_TENSOR_RANK] = {base};
    for (uint32_t d = 0; d < k; d++) {
        in[1 + d] = size[d];
        in[1 + k + d] = stride[d];
    }
    rw_set(r, o, 0, ir_emit1(&r->b, IR_OP_tensor_make, ir_vtype(r->old, ir_out(r->old, o, 0)), in, 1 + 2 * k));
}

typedef struct access {
    ir_val ptr, mask;
    int rank;
    int64_t shape[IR_MAX_RANK];
} access;

/* 0, 1, .. along dimension d of a box, extents of 1 elsewhere */
static ir_val steps(rw *r, int rank, const int64_t *shape, int d)
{
    int64_t flat[IR_MAX_RANK];
    ir_type t = ir_type_tile(r->f->m, int_type(r), 1, &shape[d]);
    ir_val v = ir_emit1a(&r->b, IR_OP_arange, t, NULL, 0, KEY_start, ir_attr_int(r->f->m, 0));
    for (int i = 0; i < rank; i++)
        flat[i] = i == d ? shape[d] : 1;
    return ir_reshape(&r->b, v, rank, flat);
}

static access box_access(rw *r, ir_op o, ir_type box)
{
    tensor_parts p = parts_of(r, rw_in(r, o, 0));
    const ir_type_info *t = ir_type_of(r->f->m, box);
    access a = {.rank = t->kind == TK_TILE ? t->rank : 0};
    ir_val base = p.base, rest = {0};
    for (int d = 0; d < a.rank; d++)
        a.shape[d] = t->shape[d];
    for (int d = 0; d < p.rank; d++) {
        ir_val at = ir_cast(&r->b, rw_in(r, o, 1 + (uint32_t)d), DT_I64);
        base = moved(r, base, at, p.stride[d]);
        if (a.rank == 0) /* one element */
            a.mask = both(r, a.mask, within(r, at, p.size[d], false));
    }
    for (int d = 0; d < a.rank; d++) {
        ir_val at = ir_cast(&r->b, rw_in(r, o, 1 + (uint32_t)d), DT_I64), step = steps(r, a.rank, a.shape, d);
        const ir_type_info *st = ir_type_of(r->f->m, ir_vtype(r->f, step));
        int64_t line[IR_MAX_RANK];
        for (int i = 0; i < a.rank; i++)
            line[i] = st->shape[i];
        ir_val i = ir_bin(&r->b, IR_OP_add, step, ir_splat(&r->b, at, a.rank, line));
        ir_val in = within(r, i, ir_splat(&r->b, p.size[d], a.rank, line), false);
        a.mask = both(r, a.mask, ir_broadcast(&r->b, in, a.rank, a.shape));
        ir_val off = ir_broadcast(&r->b, times(r, step, p.stride[d]), a.rank, a.shape);
        rest = rest.id ? ir_bin(&r->b, IR_OP_add, rest, off) : off;
    }
    a.ptr = a.rank ? ir_ptr_add(&r->b, ir_splat(&r->b, base, a.rank, a.shape), rest) : base;
    return a;
}

static access index_access(rw *r, ir_op o)
{
    tensor_parts p = parts_of(r, rw_in(r, o, 0));
    ir_type it = ir_vtype(r->old, ir_in(r->old, o, 1));
    const ir_type_info *t = ir_type_of(r->f->m, it);
    access a = {.rank = t->kind == TK_TILE ? t->rank : 0};
    ir_val off = {0};
    for (int d = 0; d < a.rank; d++)
        a.shape[d] = t->shape[d];
    for (int d = 0; d < p.rank; d++) {
        ir_val i = ir_cast(&r->b, rw_in(r, o, 1 + (uint32_t)d), DT_I64);
        a.mask = both(r, a.mask, within(r, i, ir_splat(&r->b, p.size[d], a.rank, a.shape), false));
        ir_val x = times(r, i, p.stride[d]);
        off = off.id ? ir_bin(&r->b, IR_OP_add, off, x) : x;
    }
    a.ptr = ir_ptr_add(&r->b, ir_splat(&r->b, p.base, a.rank, a.shape), off);
    return a;
}

/* the attributes of o that the pointer form has too */
static uint32_t hints(rw *r, ir_op o, ir_attr_pair *out)
{
    const ir_op_data *p = ir_o(r->old, o);
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->nattr; i++) {
        ir_key key = ir_attr_at(r->old, o, i).key;
        if (key == KEY_cache || key == KEY_evict || key == KEY_rmw || key == KEY_sem || key == KEY_scope)
            out[n++] = ir_attr_at(r->old, o, i);
    }
    return n;
}

static void emit_access(rw *r, ir_op o, ir_code code, const ir_val *in, uint32_t nin, const ir_type *type, ir_val *out)
{
    ir_attr_pair attrs[8];
    uint32_t n = hints(r, o, attrs);
    ir_emit(
        &r->b,
        &(ir_desc){.code = code, .in = in, .nin = nin, .types = type, .nout = type ? 1 : 0, .attrs = attrs, .nattr = n},
        out);
}

static void lower_load(rw *r, ir_op o, access a, uint32_t at_other)
{
    ir_type t = ir_vtype(r->old, ir_out(r->old, o, 0));
    ir_val in[3] = {a.ptr, a.mask}, out;
    uint32_t n = 2;
    if (ir_nin(r->old, o) > at_other) {
        ir_val other = rw_in(r, o, at_other);
        in[n++] = ir_type_rank(r->f->m, ir_vtype(r->f, other)) ? other : ir_splat(&r->b, other, a.rank, a.shape);
    }
    emit_access(r, o, IR_OP_load, in, n, &t, &out);
    rw_set(r, o, 0, out);
}

static void lower_gather(rw *r, ir_op o)
{
    uint32_t rank = (uint32_t)ir_type_of(r->f->m, ir_vtype(r->old, ir_in(r->old, o, 0)))->rank;
    access a = index_access(r, o);
    if (ir_nin(r->old, o) > 1 + rank)
        a.mask = both(r, a.mask, rw_in(r, o, 1 + rank));
    lower_load(r, o, a, 2 + rank);
}

static void lower_scatter(rw *r, ir_op o)
{
    uint32_t rank = (uint32_t)ir_type_of(r->f->m, ir_vtype(r->old, ir_in(r->old, o, 0)))->rank;
    access a = index_access(r, o);
    if (ir_nin(r->old, o) > 2 + rank)
        a.mask = both(r, a.mask, rw_in(r, o, 2 + rank));
    emit_access(r, o, IR_OP_store, (ir_val[]){a.ptr, rw_in(r, o, 1 + rank), a.mask}, 3, NULL, NULL);
}

static void lower_write(rw *r, ir_op o, ir_code code)
{
    uint32_t rank = (uint32_t)ir_type_of(r->f->m, ir_vtype(r->old, ir_in(r->old, o, 0)))->rank;
    ir_val value = rw_in(r, o, 1 + rank), out;
    ir_type t = ir_vtype(r->f, value);
    access a = box_access(r, o, t);
    emit_access(r, o, code, (ir_val[]){a.ptr, value, a.mask}, 3, code == IR_OP_store ? NULL : &t, &out);
}

/* ---- control flow ---- */
typedef VEC(ir_val) val_vec;
typedef VEC(ir_type) type_vec;

static const ir_type_info *tensor_info(const ir_func *f, ir_val v)
{
    const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, v));
    return t->kind == TK_TENSOR ? t : NULL;
}

/* the parts of old value v as it is now, or v itself where it is no tensor */
static void push_parts(rw *r, ir_val v, val_vec *out)
{
    arena *a = r->c->scratch;
    ir_val now = ir_map_get(&r->map, v);
    if (!tensor_info(r->old, v)) {
        vec_push(a, out, now);
        return;
    }
    tensor_parts p = parts_of(r, now);
    const ir_val *seen = ((lower *)r->ctx)->sizes[v.id];
    vec_push(a, out, p.base);
    for (int d = 0; d < p.rank; d++) {
        vec_push(a, out, p.size[d]);
        vec_push(a, out, seen ? seen[d] : p.size[d]);
        vec_push(a, out, p.stride[d]);
    }
}

static void push_part_types(rw *r, ir_val v, type_vec *out)
{
    const ir_type_info *t = tensor_info(r->old, v);
    vec_push(r->c->scratch, out, t ? ir_type_ptr(r->f->m, t->elem) : ir_vtype(r->old, v));
    for (int i = 0; t && i < 3 * t->rank; i++)
        vec_push(r->c->scratch, out, int_type(r));
}

/* old value v is what its parts, at[*i] and on, make */
static void set_from_parts(rw *r, ir_val v, const ir_val *at, uint32_t *i)
{
    const ir_type_info *t = tensor_info(r->old, v);
    if (!t) {
        ir_map_set(&r->map, v, at[(*i)++]);
        return;
    }
    uint32_t rank = (uint32_t)t->rank;
    ir_val in[1 + 2 * IR_MAX_TENSOR_RANK] = {at[(*i)++]},
                      *seen = ARENA_ARRAY(r->c->scratch, ir_val, IR_MAX_TENSOR_RANK);
    for (uint32_t d = 0; d < rank; d++, *i += 3) {
        in[1 + d] = at[*i];
        seen[d] = at[*i + 1];
        in[1 + rank + d] = at[*i + 2];
    }
    ((lower *)r->ctx)->sizes[v.id] = seen;
    ir_map_set(&r->map, v, ir_emit1(&r->b, IR_OP_tensor_make, ir_vtype(r->old, v), in, 1 + 2 * rank));
}

static ir_region parts_region(rw *r, ir_region region)
{
    ir_region now = ir_region_new(r->f);
    uint32_t at = 0;
    type_vec types = {0};
    val_vec params = {0};
    for (uint32_t i = 0; i < ir_nparams(r->old, region); i++)
        push_part_types(r, ir_param_of(r->old, region, i), &types);
    for (uint32_t i = 0; i < types.n; i++)
        vec_push(r->c->scratch, &params, ir_region_param(r->f, now, types.at[i]));
    ir_push(&r->b, now);
    for (uint32_t i = 0; i < ir_nparams(r->old, region); i++)
        set_from_parts(r, ir_param_of(r->old, region, i), params.at, &at);
    rw_ops(r, region);
    rw_op(r, ir_last(r->old, region));
    ir_pop(&r->b);
    return now;
}

/* a structured op or a yield that carries tensors */
static void lower_flow(rw *r, ir_op o)
{
    ir_op_data p = *ir_o(r->old, o);
    val_vec in = {0};
    type_vec types = {0};
    ir_region regions[2];
    ir_attr_pair attrs[16];
    uint32_t at = 0;
    for (uint32_t i = 0; i < p.nin; i++)
        push_parts(r, ir_in(r->old, o, i), &in);
    for (uint32_t i = 0; i < p.nregions; i++)
        regions[i] = parts_region(r, ir_op_region(r->old, o, i));
    for (uint32_t i = 0; i < p.nout; i++)
        push_part_types(r, ir_out(r->old, o, i), &types);
    for (uint32_t i = 0; i < p.nattr && i < COUNTOF(attrs); i++)
        attrs[i] = ir_attr_at(r->old, o, i);
    ir_val *out = ARENA_ARRAY(r->c->scratch, ir_val, types.n + 1);
    rw_begin(r, o);
    ir_emit(&r->b,
            &(ir_desc){.code = (ir_code)p.code,
                       .in = in.at,
                       .nin = in.n,
                       .types = types.at,
                       .nout = types.n,
                       .attrs = attrs,
                       .nattr = p.nattr,
                       .regions = regions,
                       .nregions = p.nregions},
            out);
    for (uint32_t i = 0; i < p.nout; i++)
        set_from_parts(r, ir_out(r->old, o, i), out, &at);
}

/* a tensor chosen by a scalar, or one that nobody looks at */
static void lower_choice(rw *r, ir_op o)
{
    ir_val out = ir_out(r->old, o, 0);
    val_vec x = {0}, y = {0}, made = {0};
    type_vec types = {0};
    uint32_t at = 0;
    bool select = ir_op_code(r->old, o) == IR_OP_select;
    push_part_types(r, out, &types);
    if (select) {
        push_parts(r, ir_in(r->old, o, 1), &x);
        push_parts(r, ir_in(r->old, o, 2), &y);
    }
    for (uint32_t i = 0; i < types.n; i++)
        vec_push(r->c->scratch, &made,
                 select ? ir_select(&r->b, rw_in(r, o, 0), x.at[i], y.at[i])
                        : ir_emit1(&r->b, IR_OP_undef, types.at[i], NULL, 0));
    set_from_parts(r, out, made.at, &at);
}

static bool carries_tensors(const ir_func *f, ir_op o)
{
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        if (tensor_info(f, ir_in(f, o, i)))
            return true;
    for (uint32_t i = 0; i < ir_nout(f, o); i++)
        if (tensor_info(f, ir_out(f, o, i)))
            return true;
    return false;
}

static bool visit(rw *r, ir_op o)
{
    const ir_func *f = r->old;
    rw_begin(r, o);
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_tensor_view:
        lower_view(r, o);
        return true;
    case IR_OP_tensor_load: {
        uint32_t rank = (uint32_t)ir_type_of(f->m, ir_vtype(f, ir_in(f, o, 0)))->rank;
        lower_load(r, o, box_access(r, o, ir_vtype(f, ir_out(f, o, 0))), 1 + rank);
        return true;
    }
    case IR_OP_tensor_dim: {
        const lower *l = r->ctx;
        const ir_val *seen = l->sizes[ir_in(f, o, 0).id];
        if (seen)
            rw_set(r, o, 0, seen[ir_int(f, o, KEY_dim, 0)]);
        return seen != NULL;
    }
    case IR_OP_tensor_store:
        lower_write(r, o, IR_OP_store);
        return true;
    case IR_OP_tensor_atomic:
        lower_write(r, o, IR_OP_atomic_rmw);
        return true;
    case IR_OP_tensor_gather:
        lower_gather(r, o);
        return true;
    case IR_OP_tensor_scatter:
        lower_scatter(r, o);
        return true;
    case IR_OP_for:
    case IR_OP_while:
    case IR_OP_if:
    case IR_OP_yield:
        if (!carries_tensors(f, o))
            break;
        lower_flow(r, o);
        return true;
    case IR_OP_select:
    case IR_OP_undef:
        if (!tensor_info(f, ir_out(f, o, 0)))
            break;
        lower_choice(r, o);
        return true;
    default:
        break;
    }
    r->b.origin = 0;
    return false;
}

ir_func *pass_lower_tensors(pass_ctx *c, ir_func *f)
{
    lower l = {.sizes = ARENA_ARRAY(c->scratch, ir_val *, f->vals.n)};
    rw r;
    rw_init(&r, c, f, visit, &l);
    return rw_run(&r);
}
