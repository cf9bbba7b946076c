/* builtins_dot.c: the matrix product.
 *
 * a[.., M, K] times b[.., K, N] added to acc[.., M, N], rank 2 or 3. The operands have one dtype; 8-bit integers may
 * mix their signs and 8-bit floats their formats. The result is f32, f64 or i32 unless acc or out_dtype says otherwise.
 */
#include "frontend/builtins_impl.h"

static dtype result_dtype(dtype d)
{
    if (dt_is_int(d))
        return d == DT_I64 || d == DT_U64 ? d : DT_I32;
    return d == DT_F64 ? DT_F64 : DT_F32;
}

static bool mixable(dtype a, dtype b)
{
    return a == b || (dt_is_f8(a) && dt_is_f8(b)) ||
           (dt_is_int(a) && dt_is_int(b) && dt_bits(a) == 8 && dt_bits(b) == 8);
}

/* checks ranks, dtypes, extents; gives the shape of the result */
static bool check_operands(lower *l, bargs *g, fv a, fv b, int64_t *shape)
{
    const ir_type_info *ta = low_info(l, a), *tb = low_info(l, b);
    if (ta->dt == DT_NONE || tb->dt == DT_NONE || ta->dt == DT_BOOL || !mixable(ta->dt, tb->dt)) {
        low_error(l, D_DOT_DTYPES, g->at, STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
        return false;
    }
    int r = ta->rank;
    if (r != tb->rank || r < 2 || r > 3) {
        low_error(l, D_DOT_RANK, g->at, STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
        return false;
    }
    if (ta->shape[r - 1] != tb->shape[r - 2] || (r == 3 && ta->shape[0] != tb->shape[0])) {
        low_error(l, D_DOT_SHAPE, g->at, STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
        return false;
    }
    for (int i = 0; i < r; i++)
        shape[i] = i == r - 1 ? tb->shape[i] : ta->shape[i];
    return low_check_shape(l, r, shape, g->at);
}

/* Matrix units work on 16 rows, 8 columns and 32 bytes along K (f64: 4 elements); a dot whose extents leave over a
 * quarter of that empty is warned of. */
static void warn_padding(lower *l, bargs *g, fv a, int rank, const int64_t *shape)
{
    const ir_type_info *ta = low_info(l, a);
    int64_t bits = dt_bits(ta->dt), step = bits == 64 ? 4 : 256 / bits;
    int64_t m = shape[rank - 2], n = shape[rank - 1], k = ta->shape[rank - 1];
    int64_t pm = (m + 15) / 16 * 16, pn = (n + 7) / 8 * 8, pk = (k + step - 1) / step * step;
    double used = (double)m / (double)pm * ((double)n / (double)pn) * ((double)k / (double)pk);
    if (used < 0.75)
        low_warn(l, D_DOT_PADDING, g->at, (long long)m, (long long)k, (long long)n, (long long)pm, (long long)pk,
                 (long long)pn, (int)((1 - used) * 100 + 0.5));
}

/* the accumulator, checked, or zeros */
static fv accumulator(lower *l, bargs *g, dtype d, int rank, const int64_t *shape)
{
    dtype out = result_dtype(d);
    if (!arg_is_none(g, 5) && !arg_dtype(l, g, 5, &out))
        return fv_poison();
    ir_type want = bi_tile(l, out, rank, shape);
    if (arg_is_none(g, 2))
        return fv_rt(ir_const_bits(B(l), want, 0));
    fv acc = g->v[2].kind == FV_NUM ? low_broadcast(l, low_cast(l, g->v[2], out, g->where[2]), rank, shape, g->where[2])
                                    : arg_tile(l, g, 2);
    if (acc.kind == FV_POISON)
        return acc;
    ir_type like = ir_type_with_dt(l->m, want, low_dt(l, acc));
    dtype da = low_dt(l, acc);
    bool kind_ok = dt_is_int(d) ? dt_is_int(da) && dt_bits(da) >= 32 : dt_is_float(da);
    if (low_is_ptr(l, acc) || !kind_ok || !ir_type_eq(like, low_vtype(l, acc)))
        return low_error(l, D_DOT_ACC, g->where[2], STR_ARG(low_type(l, want)), STR_ARG(low_say(l, acc)));
    return g->given[5] && !arg_is_none(g, 5) ? low_cast(l, acc, out, g->where[2]) : acc;
}

fv b_dot(lower *l, bargs *g)
{
    fv a = arg_tile(l, g, 0), b = a.kind == FV_POISON ? a : arg_tile(l, g, 1);
    int64_t shape[IR_MAX_RANK], imprecise;
    if (b.kind == FV_POISON || !check_operands(l, g, a, b, shape))
        return fv_poison();
    fv acc = accumulator(l, g, low_dt(l, a), low_rank(l, a), shape);
    int64_t prec = arg_enum(l, g, 3, KEY_precision);
    if (acc.kind == FV_POISON || prec < 0)
        return fv_poison();
    warn_padding(l, g, a, low_rank(l, a), shape);
    ir_attr_pair attrs[2];
    uint32_t n = 0;
    if (prec)
        attrs[n++] = (ir_attr_pair){KEY_precision, ir_attr_int(l->m, prec)};
    if (!arg_is_none(g, 4)) {
        if (!arg_int(l, g, 4, 0, INT32_MAX, &imprecise))
            return fv_poison();
        attrs[n++] = (ir_attr_pair){KEY_max_imprecise, ir_attr_int(l->m, imprecise)};
    }
    ir_val in[3] = {a.v, b.v, acc.v}, out;
    ir_type t = low_vtype(l, acc);
    ir_emit(B(l), &(ir_desc){.code = IR_OP_dot, .nin = 3, .in = in, .nout = 1, .types = &t, .nattr = n, .attrs = attrs},
            &out);
    return fv_rt(out);
}
