/* builtins_tensor.c: methods of tensors.
 *
 * Offsets and indices are int, one a dimension of the tensor; what lies outside is dropped or replaced by the operation
 * itself, so nothing is checked here but ranks. A tensor promised `static` takes no writes.
 */
#include "frontend/builtins_impl.h"

#define MAX_IN (IR_MAX_RANK + 4)

static int tensor_rank(const lower *l, const bargs *g) { return low_info(l, g->v[0])->rank; }
static dtype tensor_dt(const lower *l, const bargs *g) { return low_info(l, g->v[0])->dt; }

static bool writable(lower *l, bargs *g)
{
    if (g->v[0].flags & FV_STATIC)
        low_error(l, D_STATIC_WRITE, g->where[0], g->name);
    return !(g->v[0].flags & FV_STATIC);
}

/* argument 1: a list of one element a dimension */
static bool index_list(lower *l, bargs *g, const fv **el)
{
    fv v = g->v[1];
    int rank = tensor_rank(l, g);
    *el = v.kind == FV_SEQ ? v.seq.at : &g->v[1];
    int n = v.kind == FV_SEQ ? (int)v.seq.n : 1;
    if (n == rank)
        return true;
    low_error(l, D_OFFSETS, g->where[1], g->name, rank, n);
    return false;
}

static bool is_int_like(lower *l, fv x)
{
    return fv_is_const_int(x) || (x.kind == FV_RT && !low_is_ptr(l, x) && dt_is_int(low_dt(l, x)));
}

/* in[0] = tensor, then its rank offsets as int scalars */
static bool box_offsets(lower *l, bargs *g, ir_val *in, uint32_t *n)
{
    const fv *el;
    if (!index_list(l, g, &el))
        return false;
    in[(*n)++] = g->v[0].v;
    for (int i = 0; i < tensor_rank(l, g); i++) {
        if (!is_int_like(l, el[i]) || low_rank(l, el[i])) {
            low_error(l, D_OFFSET_TYPE, g->where[1], STR_ARG(low_say(l, el[i])));
            return false;
        }
        fv x = low_cast(l, el[i], DT_I64, g->where[1]);
        if (x.kind == FV_POISON)
            return false;
        in[(*n)++] = x.v;
    }
    return true;
}

/* the `other` of a load, as a scalar of the element type; nothing where it is 0 */
static bool other_value(lower *l, bargs *g, int i, ir_val *in, uint32_t *n)
{
    fv v = g->v[i];
    if (v.kind == FV_NONE || (v.kind == FV_NUM && const_as_double(v.num) == 0))
        return true;
    if (v.kind != FV_NUM && (v.kind != FV_RT || low_rank(l, v))) {
        low_error(l, D_ARG_TYPE, g->where[i], g->name, "a scalar", STR_ARG(low_say(l, v)));
        return false;
    }
    v = low_cast(l, v, tensor_dt(l, g), g->where[i]);
    if (v.kind != FV_POISON)
        in[(*n)++] = v.v;
    return v.kind != FV_POISON;
}

static ir_val emit(lower *l, ir_code code, const ir_val *in, uint32_t n, const ir_type *t, const ir_attr_pair *at,
                   uint32_t nat)
{
    ir_val out = {0};
    ir_emit(B(l),
            &(ir_desc){.code = code, .nin = n, .in = in, .nout = t ? 1 : 0, .types = t, .nattr = nat, .attrs = at},
            &out);
    return out;
}

fv t_load(lower *l, bargs *g)
{
    ir_val in[MAX_IN];
    uint32_t n = 0, nattr = 0;
    ir_attr_pair attrs[2];
    int rank;
    int64_t shape[IR_MAX_RANK];
    if (!box_offsets(l, g, in, &n) || !arg_shape(l, g, 2, &rank, shape))
        return fv_poison();
    if (rank != tensor_rank(l, g))
        return low_error(l, D_BOX_RANK, g->where[2], tensor_rank(l, g), rank);
    if (!other_value(l, g, 3, in, &n) || !bi_mem_attrs(l, g, 4, 5, attrs, &nattr))
        return fv_poison();
    ir_type t = bi_tile(l, tensor_dt(l, g), rank, shape);
    return fv_rt(emit(l, IR_OP_tensor_load, in, n, &t, attrs, nattr));
}

/* the tile to write: argument 2, of the tensor's rank, in its element type */
static bool box_value(lower *l, bargs *g, ir_val *in, uint32_t *n)
{
    fv x = arg_value(l, g, 2);
    if (x.kind == FV_POISON)
        return false;
    if (low_rank(l, x) != tensor_rank(l, g)) {
        low_error(l, D_STORE_RANK, g->where[2], tensor_rank(l, g), STR_ARG(low_say(l, x)));
        return false;
    }
    x = low_cast(l, x, tensor_dt(l, g), g->where[2]);
    in[(*n)++] = x.v;
    return x.kind != FV_POISON;
}

fv t_store(lower *l, bargs *g)
{
    ir_val in[MAX_IN];
    uint32_t n = 0, nattr = 0;
    ir_attr_pair attrs[2];
    if (!writable(l, g) || !box_offsets(l, g, in, &n) || !box_value(l, g, in, &n) ||
        !bi_mem_attrs(l, g, 3, 4, attrs, &nattr))
        return fv_poison();
    emit(l, IR_OP_tensor_store, in, n, NULL, attrs, nattr);
    return fv_none();
}

static fv tensor_atomic(lower *l, bargs *g, enum ir_rmw how)
{
    ir_val in[MAX_IN];
    uint32_t n = 0, nattr = 0;
    ir_attr_pair attrs[3];
    dtype d = tensor_dt(l, g);
    bool ok = d == DT_I32 || d == DT_U32 || d == DT_I64 || d == DT_U64 || d == DT_F32 || d == DT_F64 ||
              (how == RMW_ADD && dt_is_float(d));
    if (!ok)
        return low_error(l, D_ATOMIC_TYPE, g->where[0], g->name, STR_ARG(str_of(dtypes[d].name)));
    if (!writable(l, g) || !box_offsets(l, g, in, &n) || !box_value(l, g, in, &n))
        return fv_poison();
    attrs[nattr++] = (ir_attr_pair){KEY_rmw, ir_attr_int(l->m, how)};
    int64_t sem = arg_enum(l, g, 3, KEY_sem), scope = arg_enum(l, g, 4, KEY_scope);
    if (sem < 0 || scope < 0)
        return fv_poison();
    if (sem)
        attrs[nattr++] = (ir_attr_pair){KEY_sem, ir_attr_int(l->m, sem)};
    if (scope)
        attrs[nattr++] = (ir_attr_pair){KEY_scope, ir_attr_int(l->m, scope)};
    emit(l, IR_OP_tensor_atomic, in, n, NULL, attrs, nattr);
    return fv_none();
}

fv t_atomic_add(lower *l, bargs *g) { return tensor_atomic(l, g, RMW_ADD); }
fv t_atomic_max(lower *l, bargs *g) { return tensor_atomic(l, g, RMW_MAX); }
fv t_atomic_min(lower *l, bargs *g) { return tensor_atomic(l, g, RMW_MIN); }

/* in[0] = tensor, then rank index values of one shape; that shape comes back */
static bool point_indices(lower *l, bargs *g, ir_val *in, uint32_t *n, int *rank, int64_t *shape)
{
    const fv *el;
    int nd = tensor_rank(l, g);
    if (!index_list(l, g, &el))
        return false;
    fv acc = fv_int(0);
    for (int i = 0; i < nd; i++) {
        if (!is_int_like(l, el[i])) {
            low_error(l, D_INDEX_TYPE, g->where[1], STR_ARG(low_say(l, el[i])));
            return false;
        }
        if (!low_common_shape(l, acc, el[i], g->where[1], rank, shape))
            return false;
        acc = fv_rt(ir_const_bits(B(l), bi_tile(l, DT_I64, *rank, shape), 0));
    }
    in[(*n)++] = g->v[0].v;
    for (int i = 0; i < nd; i++) {
        fv x = low_cast(l, el[i], DT_I64, g->where[1]);
        x = x.kind == FV_POISON ? x : low_broadcast(l, x, *rank, shape, g->where[1]);
        if (x.kind == FV_POISON)
            return false;
        in[(*n)++] = x.v;
    }
    return true;
}

/* start + arange, through broadcasts and casts */
static bool is_run(const ir_func *f, ir_val v, int depth)
{
    ir_op o = ir_def(f, v);
    if (!o.id || depth > 6)
        return false;
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_arange: return true;
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_cast: return is_run(f, ir_in(f, o, 0), depth + 1);
    case IR_OP_add: {
        ir_val x = ir_in(f, o, 0), y = ir_in(f, o, 1);
        ir_op dx = ir_def(f, x), dy = ir_def(f, y);
        bool cx = dx.id && (ir_op_code(f, dx) == IR_OP_splat || ir_op_code(f, dx) == IR_OP_const);
        bool cy = dy.id && (ir_op_code(f, dy) == IR_OP_splat || ir_op_code(f, dy) == IR_OP_const);
        return (cx && is_run(f, y, depth + 1)) || (cy && is_run(f, x, depth + 1));
    }
    }
    return false;
}

/* one index that runs, the others scalars: a row, which `load` reads without a gather */
static void warn_row(lower *l, bargs *g)
{
    const fv *el = g->v[1].kind == FV_SEQ ? g->v[1].seq.at : &g->v[1];
    int runs = 0, nd = tensor_rank(l, g);
    for (int i = 0; i < nd; i++) {
        if (el[i].kind != FV_RT || !low_rank(l, el[i]))
            continue;
        if (low_rank(l, el[i]) != 1 || !is_run(l->fx->f, el[i].v, 0))
            return;
        runs++;
    }
    if (runs == 1 && !g->given[2])
        low_warn(l, D_GATHER_ROW, g->at);
}

fv t_gather(lower *l, bargs *g)
{
    ir_val in[MAX_IN], mask;
    uint32_t n = 0, nattr = 0;
    ir_attr_pair attrs[2];
    int rank;
    int64_t shape[IR_MAX_RANK];
    if (!point_indices(l, g, in, &n, &rank, shape) || !arg_mask(l, g, 2, rank, shape, &mask))
        return fv_poison();
    ir_type t = bi_tile(l, tensor_dt(l, g), rank, shape);
    warn_row(l, g);
    bool zero = g->v[3].kind == FV_NUM && const_as_double(g->v[3].num) == 0;
    if (!mask.id && !zero)
        mask = ir_const_bits(B(l), bi_tile(l, DT_BOOL, rank, shape), 1);
    if (mask.id)
        in[n++] = mask;
    if (!other_value(l, g, 3, in, &n) || !bi_mem_attrs(l, g, 4, 5, attrs, &nattr))
        return fv_poison();
    return fv_rt(emit(l, IR_OP_tensor_gather, in, n, &t, attrs, nattr));
}

fv t_scatter(lower *l, bargs *g)
{
    ir_val in[MAX_IN], mask;
    uint32_t n = 0, nattr = 0;
    ir_attr_pair attrs[2];
    int rank;
    int64_t shape[IR_MAX_RANK];
    if (!writable(l, g) || !point_indices(l, g, in, &n, &rank, shape))
        return fv_poison();
    fv x = g->v[2].kind == FV_NUM ? low_cast(l, g->v[2], tensor_dt(l, g), g->where[2]) : arg_value(l, g, 2);
    x = x.kind == FV_POISON ? x : low_cast(l, x, tensor_dt(l, g), g->where[2]);
    x = x.kind == FV_POISON ? x : low_broadcast(l, x, rank, shape, g->where[2]);
    if (x.kind == FV_POISON || !arg_mask(l, g, 3, rank, shape, &mask) || !bi_mem_attrs(l, g, 4, 5, attrs, &nattr))
        return fv_poison();
    in[n++] = x.v;
    if (mask.id)
        in[n++] = mask;
    emit(l, IR_OP_tensor_scatter, in, n, NULL, attrs, nattr);
    return fv_none();
}

static fv tensor_number(lower *l, bargs *g, ir_code code)
{
    int axis;
    if (!arg_axis(l, g, 1, tensor_rank(l, g), &axis))
        return fv_poison();
    ir_val t = g->v[0].v;
    return fv_rt(ir_emit1a(B(l), code, ir_type_num(l->m, DT_I64), &t, 1, KEY_dim, ir_attr_int(l->m, axis)));
}

fv t_size(lower *l, bargs *g) { return tensor_number(l, g, IR_OP_tensor_dim); }
fv t_stride(lower *l, bargs *g) { return tensor_number(l, g, IR_OP_tensor_stride); }
