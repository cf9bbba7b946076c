/* builtins_memory.c: loads, stores and atomics through pointers.
 *
 * The pointer's shape is the access's: masks and values broadcast to it. A store converts its value to the pointee.
 */
#include "frontend/builtins_impl.h"

static bool add_word(lower *l, bargs *g, int i, ir_key key, ir_attr_pair *out, uint32_t *n)
{
    int64_t v = i < 0 ? 0 : arg_enum(l, g, i, key);
    if (v > 0)
        out[(*n)++] = (ir_attr_pair){key, ir_attr_int(l->m, v)};
    return v >= 0;
}

bool bi_mem_attrs(lower *l, bargs *g, int cache, int evict, ir_attr_pair *out, uint32_t *n)
{
    return add_word(l, g, cache, KEY_cache, out, n) && add_word(l, g, evict, KEY_evict, out, n);
}

/* argument 0 as a pointer; its shape and pointee */
static bool pointer_arg(lower *l, bargs *g, int *rank, int64_t *shape, ir_type *pointee)
{
    fv p = g->v[0];
    if (!low_is_ptr(l, p)) {
        low_error(l, D_ARG_TYPE, g->where[0], g->name, "a pointer", STR_ARG(low_say(l, p)));
        return false;
    }
    *rank = bi_shape(l, p, shape);
    *pointee = ir_type_of(l->m, ir_type_elem(l->m, low_vtype(l, p)))->elem;
    return true;
}

/* v as a value of the pointee type and the access's shape */
static fv as_pointee(lower *l, bargs *g, int i, ir_type pointee, int rank, const int64_t *shape)
{
    fv v = g->v[i];
    const ir_type_info *pi = ir_type_of(l->m, pointee);
    if (pi->kind == TK_NUM) {
        v = v.kind == FV_RT || v.kind == FV_NUM ? low_cast(l, v, pi->dt, g->where[i]) : arg_value(l, g, i);
    } else if (!low_is_ptr(l, v) || !ir_type_eq(ir_type_elem(l->m, low_vtype(l, v)), pointee)) {
        str want = str_fmt(l->a, "'%.*s'", STR_ARG(low_type(l, pointee)));
        return low_error(l, D_ARG_TYPE, g->where[i], g->name, str_cstr(l->a, want), STR_ARG(low_say(l, v)));
    }
    return v.kind == FV_POISON ? v : low_broadcast(l, v, rank, shape, g->where[i]);
}

fv b_load(lower *l, bargs *g)
{
    int rank;
    int64_t shape[IR_MAX_RANK];
    ir_type el;
    ir_val in[3], mask;
    uint32_t n = 0, nattr = 0;
    ir_attr_pair attrs[3];
    bool vol;
    if (!pointer_arg(l, g, &rank, shape, &el) || !arg_mask(l, g, 1, rank, shape, &mask) ||
        !bi_mem_attrs(l, g, 3, 4, attrs, &nattr) || !arg_bool(l, g, 5, &vol))
        return fv_poison();
    in[n++] = g->v[0].v;
    if (mask.id) {
        in[n++] = mask;
        if (!arg_is_none(g, 2)) {
            fv other = as_pointee(l, g, 2, el, rank, shape);
            if (other.kind == FV_POISON)
                return other;
            in[n++] = other.v;
        }
    }
    if (vol)
        attrs[nattr++] = (ir_attr_pair){KEY_is_volatile, ir_attr_int(l->m, 1)};
    ir_type t = ir_type_tile(l->m, el, rank, shape);
    ir_val out;
    ir_emit(B(l), &(ir_desc){.code = IR_OP_load, .nin = n, .in = in, .nout = 1, .types = &t, .nattr = nattr,
                             .attrs = attrs}, &out);
    return fv_rt(out);
}

fv b_store(lower *l, bargs *g)
{
    int rank;
    int64_t shape[IR_MAX_RANK];
    ir_type el;
    ir_val mask;
    uint32_t nattr = 0;
    ir_attr_pair attrs[2];
    if (!pointer_arg(l, g, &rank, shape, &el))
        return fv_poison();
    fv v = as_pointee(l, g, 1, el, rank, shape);
    if (v.kind == FV_POISON || !arg_mask(l, g, 2, rank, shape, &mask) || !bi_mem_attrs(l, g, 3, 4, attrs, &nattr))
        return fv_poison();
    ir_val in[3] = {g->v[0].v, v.v, mask};
    ir_emit(B(l), &(ir_desc){.code = IR_OP_store, .nin = mask.id ? 3 : 2, .in = in, .nattr = nattr, .attrs = attrs},
            NULL);
    return fv_none();
}

/* ---- atomics ---- */
static bool atomic_type_ok(enum ir_rmw how, dtype d, bool cas)
{
    bool wide_int = d == DT_I32 || d == DT_U32 || d == DT_I64 || d == DT_U64;
    bool wide_float = d == DT_F32 || d == DT_F64;
    if (cas || how == RMW_XCHG || how == RMW_MAX || how == RMW_MIN)
        return wide_int || wide_float;
    if (how == RMW_ADD)
        return wide_int || dt_is_float(d);
    return wide_int;
}

static bool atomic_words(lower *l, bargs *g, int sem, ir_attr_pair *attrs, uint32_t *n)
{
    return add_word(l, g, sem, KEY_sem, attrs, n) && add_word(l, g, sem + 1, KEY_scope, attrs, n);
}

static fv atomic(lower *l, bargs *g, enum ir_rmw how, bool cas)
{
    int rank, nval = cas ? 2 : 1;
    int64_t shape[IR_MAX_RANK];
    ir_type el;
    ir_val in[4], mask;
    uint32_t n = 0, nattr = 0;
    ir_attr_pair attrs[3];
    if (!pointer_arg(l, g, &rank, shape, &el))
        return fv_poison();
    const ir_type_info *ei = ir_type_of(l->m, el);
    if (ei->kind != TK_NUM || !atomic_type_ok(how, ei->dt, cas))
        return low_error(l, D_ATOMIC_TYPE, g->where[0], g->name, STR_ARG(low_type(l, el)));
    in[n++] = g->v[0].v;
    for (int i = 1; i <= nval; i++) {
        fv v = as_pointee(l, g, i, el, rank, shape);
        if (v.kind == FV_POISON)
            return v;
        in[n++] = v.v;
    }
    if (!cas)
        attrs[nattr++] = (ir_attr_pair){KEY_rmw, ir_attr_int(l->m, how)};
    if (!arg_mask(l, g, nval + 1, rank, shape, &mask) || !atomic_words(l, g, nval + 2, attrs, &nattr))
        return fv_poison();
    if (mask.id)
        in[n++] = mask;
    ir_type t = ir_type_tile(l->m, el, rank, shape);
    ir_val out;
    ir_emit(B(l),
            &(ir_desc){.code = cas ? IR_OP_atomic_cas : IR_OP_atomic_rmw,
                       .nin = n,
                       .in = in,
                       .nout = 1,
                       .types = &t,
                       .nattr = nattr,
                       .attrs = attrs},
            &out);
    return fv_rt(out);
}

fv b_atomic_add(lower *l, bargs *g) { return atomic(l, g, RMW_ADD, false); }
fv b_atomic_max(lower *l, bargs *g) { return atomic(l, g, RMW_MAX, false); }
fv b_atomic_min(lower *l, bargs *g) { return atomic(l, g, RMW_MIN, false); }
fv b_atomic_and(lower *l, bargs *g) { return atomic(l, g, RMW_AND, false); }
fv b_atomic_or(lower *l, bargs *g) { return atomic(l, g, RMW_OR, false); }
fv b_atomic_xor(lower *l, bargs *g) { return atomic(l, g, RMW_XOR, false); }
fv b_atomic_xchg(lower *l, bargs *g) { return atomic(l, g, RMW_XCHG, false); }
fv b_atomic_cas(lower *l, bargs *g) { return atomic(l, g, RMW_ADD, true); }
