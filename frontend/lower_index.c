/* lower_index.c: subscripts and attributes.
 *
 *   tuples, lists   static indices and ranges
 *   tiles           per dimension an index, a static range, or the whole; None adds a dimension of 1. Static ranges and
 *                   indices become one `slice`, run-time indices an `extract` each, new dimensions a reshape.
 *   tensors         per dimension an index, a range (run time too), or the whole: a view. With an index everywhere, one
 *                   element is read. Negative indices lie outside here: the size is known at launch only.
 */
#include "frontend/builtins.h"
#include "frontend/builtins_impl.h"

/* ---- tuples and lists ---- */
/* a static bound counted from the end where negative, clamped to 0..n */
static bool static_bound(lower *l, const ast_expr *e, int64_t n, int64_t dflt, int64_t *out)
{
    *out = dflt;
    if (!e)
        return true;
    fv v = low_expr(l, e);
    if (!fv_is_const_int(v)) {
        if (v.kind != FV_POISON)
            low_error(l, D_SLICE_CONST, e->at, STR_ARG(low_say(l, v)));
        return false;
    }
    i128 x = v.num.i < 0 ? v.num.i + n : v.num.i;
    if (x < 0 || x > n) {
        low_error(l, D_INDEX_RANGE, e->at, STR_ARG(const_text(l->a, v.num)), (long long)n);
        return false;
    }
    *out = (int64_t)x;
    return true;
}

static bool static_index(lower *l, fv v, span at, int64_t n, int64_t *out)
{
    i128 x = v.num.i < 0 ? v.num.i + n : v.num.i;
    if (x < 0 || x >= n) {
        low_error(l, D_INDEX_RANGE, at, STR_ARG(const_text(l->a, v.num)), (long long)n);
        return false;
    }
    *out = (int64_t)x;
    return true;
}

static fv index_seq(lower *l, fv x, const ast_expr *e)
{
    const ast_expr *i = e->items;
    int64_t n = x.seq.n, at, to;
    if (e->nitems != 1)
        return low_error(l, D_INDEX_COUNT, e->at, 1, e->nitems);
    if (i->kind == EX_SLICE) {
        if (!static_bound(l, i->a, n, 0, &at) || !static_bound(l, i->b, n, n, &to))
            return fv_poison();
        return fv_seq_of(x.seq.at + at, to > at ? (uint32_t)(to - at) : 0, x.flags & FV_LIST);
    }
    fv v = low_expr(l, i);
    if (v.kind == FV_POISON)
        return v;
    if (!fv_is_const_int(v))
        return low_error(l, D_SLICE_CONST, i->at, STR_ARG(low_say(l, v)));
    return static_index(l, v, i->at, n, &at) ? x.seq.at[at] : fv_poison();
}

/* ---- tiles ---- */
typedef struct tile_index {
    int rank;                       /* dimensions of x looked at so far */
    int64_t starts[IR_MAX_RANK], ext[IR_MAX_RANK];
    bool drop[IR_MAX_RANK];
    ir_val run[IR_MAX_RANK];        /* run-time index of a dimension */
    int64_t shape[IR_MAX_RANK + 1]; /* of the result, run-time indices already gone */
    int out;
} tile_index;

static bool tile_dim(lower *l, tile_index *t, const ast_expr *i, int64_t n)
{
    int d = t->rank++;
    int64_t to;
    t->starts[d] = 0;
    t->ext[d] = n;
    if (i && i->kind == EX_SLICE) {
        if (!static_bound(l, i->a, n, 0, &t->starts[d]) || !static_bound(l, i->b, n, n, &to))
            return false;
        if (to <= t->starts[d]) {
            low_error(l, D_SLICE_EMPTY, i->at, (long long)t->starts[d], (long long)to);
            return false;
        }
        t->ext[d] = to - t->starts[d];
    } else if (i) {
        fv v = low_expr(l, i);
        if (v.kind == FV_POISON)
            return false;
        t->drop[d] = true;
        if (fv_is_const_int(v)) {
            t->ext[d] = 1;
            return static_index(l, v, i->at, n, &t->starts[d]);
        }
        if (v.kind != FV_RT || low_rank(l, v) || !dt_is_int(low_dt(l, v))) {
            low_error(l, D_TILE_INDEX, i->at, STR_ARG(low_say(l, v)));
            return false;
        }
        t->run[d] = v.v;
        return true;
    }
    if (t->out < IR_MAX_RANK)
        t->shape[t->out] = t->ext[d];
    t->out++;
    return true;
}

static ir_val tile_extract(lower *l, ir_val x, const tile_index *t)
{
    for (int d = t->rank - 1; d >= 0; d--) { /* from the last: the axes before keep their numbers */
        if (!t->run[d].id)
            continue;
        const ir_type_info *ti = ir_type_of(l->m, ir_vtype(l->fx->f, x));
        int64_t shape[IR_MAX_RANK];
        int r = 0;
        for (int i = 0; i < ti->rank; i++)
            if (i != d)
                shape[r++] = ti->shape[i];
        ir_val in[2] = {x, t->run[d]};
        ir_type rt = ir_type_tile(l->m, ti->elem, r, shape);
        x = ir_emit1a(B(l), IR_OP_extract, rt, in, 2, KEY_axis, ir_attr_int(l->m, d));
    }
    return x;
}

static fv index_tile(lower *l, fv x, const ast_expr *e)
{
    int64_t have[IR_MAX_RANK];
    int rank = bi_shape(l, x, have);
    tile_index t = {.rank = 0};
    for (const ast_expr *i = e->items; i && !rank; i = i->next)
        if (i->kind != EX_NONE)
            return low_error(l, D_NOT_INDEXABLE, e->a->at, STR_ARG(low_say(l, x)));
    for (const ast_expr *i = e->items; i; i = i->next) {
        if (i->kind == EX_NONE) {
            if (t.out < IR_MAX_RANK)
                t.shape[t.out] = 1;
            t.out++;
        } else if (t.rank == rank) {
            return low_error(l, D_INDEX_COUNT, e->at, rank, e->nitems);
        } else if (!tile_dim(l, &t, i, have[t.rank])) {
            return fv_poison();
        }
    }
    while (t.rank < rank)
        tile_dim(l, &t, NULL, have[t.rank]);
    if (t.out > IR_MAX_RANK)
        return low_error(l, D_RANK, e->at, t.out, IR_MAX_RANK);
    low_place(l, e->at);
    ir_val v = x.v;
    bool sliced = false;
    for (int d = 0; d < rank; d++)
        sliced |= t.ext[d] != have[d];
    if (sliced) {
        ir_type st = ir_type_with_shape(l->m, low_vtype(l, x), rank, t.ext);
        v = ir_emit1a(B(l), IR_OP_slice, st, &v, 1, KEY_starts, ir_attr_ints(l->m, t.starts, (uint32_t)rank));
    }
    v = tile_extract(l, v, &t);
    if (t.out && !ir_type_rank(l->m, ir_vtype(l->fx->f, v)))
        return low_broadcast(l, fv_rt(v), t.out, t.shape, e->at);
    if (ir_type_rank(l->m, ir_vtype(l->fx->f, v)))
        v = t.out ? ir_reshape(B(l), v, t.out, t.shape) : bi_only_element(l, v);
    return fv_rt(v);
}

/* the element of a tile of one, as a scalar */
ir_val bi_only_element(lower *l, ir_val v)
{
    int64_t one = 1;
    ir_type t = ir_vtype(l->fx->f, v);
    if (ir_type_rank(l->m, t) != 1)
        v = ir_reshape(B(l), v, 1, &one);
    ir_val in[2] = {v, ir_const_i(B(l), ir_type_num(l->m, DT_I64), 0)};
    return ir_emit1a(B(l), IR_OP_extract, ir_type_elem(l->m, t), in, 2, KEY_axis, ir_attr_int(l->m, 0));
}

/* ---- tensors ---- */
typedef struct tensor_index {
    ir_val in[1 + 2 * IR_MAX_TENSOR_RANK];
    uint32_t n;
    int64_t kinds[IR_MAX_TENSOR_RANK], shape[IR_MAX_TENSOR_RANK];
    int rank, out;
} tensor_index;

static bool tensor_offset(lower *l, tensor_index *t, const ast_expr *e, bool range)
{
    fv v = low_expr(l, e);
    if (v.kind == FV_POISON)
        return false;
    bool ok = fv_is_const_int(v) || (v.kind == FV_RT && !low_rank(l, v) && dt_is_int(low_dt(l, v)));
    if (!ok) {
        low_error(l, range ? D_RANGE_TYPE : D_TENSOR_INDEX, e->at, STR_ARG(low_say(l, v)));
        return false;
    }
    v = low_cast(l, v, DT_I64, e->at);
    t->in[t->n++] = v.v;
    return v.kind != FV_POISON;
}

static bool tensor_item(lower *l, tensor_index *t, fv x, const ast_expr *i)
{
    int d = t->rank++;
    int64_t extent = low_info(l, x)->shape[d];
    ir_type it = ir_type_num(l->m, DT_I64);
    if (!i || (i->kind == EX_SLICE && !i->a && !i->b)) {
        t->kinds[d] = 2;
        t->shape[t->out++] = extent;
        return true;
    }
    if (i->kind != EX_SLICE) {
        t->kinds[d] = 0;
        return tensor_offset(l, t, i, false);
    }
    t->kinds[d] = 1;
    t->shape[t->out++] = IR_DYN;
    if (i->a ? !tensor_offset(l, t, i->a, true) : false)
        return false;
    if (!i->a)
        t->in[t->n++] = ir_const_i(B(l), it, 0);
    if (i->b)
        return tensor_offset(l, t, i->b, true);
    t->in[t->n++] = ir_emit1a(B(l), IR_OP_tensor_dim, it, &x.v, 1, KEY_dim, ir_attr_int(l->m, d));
    return true;
}

static fv read_element(lower *l, fv x, const tensor_index *t, span at)
{
    if (l->fx->host || l->fx->pure)
        return low_error(l, l->fx->host ? D_NOT_ON_HOST : D_NOT_IN_COMBINE, at, "[]");
    ir_type et = ir_type_num(l->m, low_info(l, x)->dt);
    return fv_rt(ir_emit1(B(l), IR_OP_tensor_gather, et, t->in, t->n));
}

/* an index outside leaves a view without elements, so one of its extents can't be fixed */
static void keep_a_dynamic_extent(tensor_index *t, int rank)
{
    bool indexed = false, dynamic = false;
    for (int d = 0; d < rank; d++)
        indexed |= t->kinds[d] == 0;
    for (int d = 0; d < t->out; d++)
        dynamic |= t->shape[d] == IR_DYN;
    if (indexed && !dynamic)
        t->shape[0] = IR_DYN;
}

static fv index_tensor(lower *l, fv x, const ast_expr *e)
{
    int rank = low_info(l, x)->rank;
    bool strided = low_info(l, x)->strided;
    tensor_index t = {.n = 1, .in = {x.v}};
    if ((int)e->nitems > rank)
        return low_error(l, D_INDEX_COUNT, e->at, rank, e->nitems);
    for (const ast_expr *i = e->items; i; i = i->next) {
        if (i->kind == EX_NONE)
            return low_error(l, D_TENSOR_NEWAXIS, i->at);
        if (!tensor_item(l, &t, x, i))
            return fv_poison();
    }
    while (t.rank < rank)
        tensor_item(l, &t, x, NULL);
    low_place(l, e->at);
    if (!t.out)
        return read_element(l, x, &t, e->at);
    keep_a_dynamic_extent(&t, rank);
    ir_type vt = ir_type_tensor(l->m, low_info(l, x)->elem, t.out, t.shape, strided || t.kinds[rank - 1] == 0);
    ir_attr kinds = ir_attr_ints(l->m, t.kinds, (uint32_t)rank);
    return (fv){.kind = FV_TENSOR, .flags = x.flags,
                .v = ir_emit1a(B(l), IR_OP_tensor_view, vt, t.in, t.n, KEY_kinds, kinds)};
}

fv low_index(lower *l, fv x, const ast_expr *e)
{
    switch (x.kind) {
    case FV_SEQ: return index_seq(l, x, e);
    case FV_TENSOR: return index_tensor(l, x, e);
    case FV_NUM: return index_tile(l, low_runtime(l, x, e->a->at), e);
    case FV_RT: return index_tile(l, x, e);
    case FV_POISON: return x;
    case FV_UNBOUND: case FV_NONE: case FV_STR: case FV_TYPE: case FV_FN: case FV_BUILTIN: case FV_METHOD: break;
    }
    return low_error(l, D_NOT_INDEXABLE, e->a->at, STR_ARG(low_say(l, x)));
}

/* ---- attributes ---- */
static fv shape_value(lower *l, fv self)
{
    const ir_type_info *ti = low_info(l, self);
    int rank = ti->kind == TK_TILE || ti->kind == TK_TENSOR ? ti->rank : 0;
    fv *el = ARENA_ARRAY(l->a, fv, rank ? rank : 1);
    for (int i = 0; i < rank; i++) {
        el[i] = fv_int(ti->shape[i]);
        if (ti->shape[i] == IR_DYN) {
            ir_type it = ir_type_num(l->m, DT_I64);
            el[i] = fv_rt(ir_emit1a(B(l), IR_OP_tensor_dim, it, &self.v, 1, KEY_dim, ir_attr_int(l->m, i)));
        }
    }
    return fv_seq_of(el, (uint32_t)rank, false);
}

static const char *const attributes[] = {"T", "shape", "dtype", "ndim", "ptr", "strides"};

static fv strides_value(lower *l, fv self)
{
    int rank = low_info(l, self)->rank;
    fv *el = ARENA_ARRAY(l->a, fv, rank);
    for (int i = 0; i < rank; i++)
        el[i] = fv_rt(ir_emit1a(B(l), IR_OP_tensor_stride, ir_type_num(l->m, DT_I64), &self.v, 1, KEY_dim,
                                ir_attr_int(l->m, i)));
    return fv_seq_of(el, (uint32_t)rank, false);
}

static fv unknown_attribute(lower *l, fv self, str name, span at)
{
    const char *best = NULL;
    unsigned dist = 3;
    int flag = self.kind == FV_TENSOR ? BI_TENSOR : BI_METHOD;
    for (uint32_t i = 0; i < COUNTOF(attributes) + (uint32_t)builtin_count(); i++) {
        const char *n = i < COUNTOF(attributes) ? attributes[i] : builtin_at((int)(i - COUNTOF(attributes)))->name;
        if (i >= COUNTOF(attributes) && !(builtin_at((int)(i - COUNTOF(attributes)))->flags & flag))
            continue;
        unsigned d = str_distance(str_of(n), name, 2);
        if (d < dist) {
            dist = d;
            best = n;
        }
    }
    low_error(l, D_NO_ATTRIBUTE, at, STR_ARG(low_say(l, self)), STR_ARG(name));
    if (best)
        low_note(l, at, "did you mean '%s'?", best);
    return fv_poison();
}

static fv static_attribute(lower *l, fv self, str name, span at_name)
{
    if (self.kind == FV_TYPE && str_eq(name, S("element_ty")) && ir_type_of(l->m, self.type)->kind == TK_PTR)
        return fv_type(ir_type_of(l->m, self.type)->elem);
    if (self.kind == FV_TYPE && str_eq(name, S("bits")) && ir_type_of(l->m, self.type)->kind == TK_NUM)
        return fv_int(dt_bits(ir_type_dt(l->m, self.type)));
    return unknown_attribute(l, self, name, at_name);
}

fv low_attr_value(lower *l, fv self, str name, span at, span at_name)
{
    if (!fv_is_runtime(self) && self.kind != FV_NUM)
        return static_attribute(l, self, name, at_name);
    low_place(l, at);
    bool tensor = self.kind == FV_TENSOR;
    int row = builtin_find_method(name, tensor);
    if (row >= 0) {
        fv *copy = ARENA_NEW(l->a, fv);
        *copy = self;
        return (fv){.kind = FV_METHOD, .method = {copy, row}};
    }
    if (self.kind == FV_NUM)
        return unknown_attribute(l, self, name, at_name);
    if (str_eq(name, S("shape")))
        return shape_value(l, self);
    if (str_eq(name, S("dtype")))
        return fv_type(low_is_ptr(l, self) ? ir_type_elem(l->m, low_vtype(l, self))
                                           : ir_type_num(l->m, low_info(l, self)->dt));
    if (str_eq(name, S("ndim")))
        return fv_int(tensor ? low_info(l, self)->rank : low_rank(l, self));
    if (str_eq(name, S("T")) && !tensor)
        return bi_transpose(l, self, at);
    if (str_eq(name, S("ptr")) && tensor)
        return fv_rt(ir_emit1(B(l), IR_OP_tensor_base, ir_type_ptr(l->m, low_info(l, self)->elem), &self.v, 1));
    if (str_eq(name, S("strides")) && tensor)
        return strides_value(l, self);
    return unknown_attribute(l, self, name, at_name);
}
