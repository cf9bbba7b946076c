/* fold_arith.c: rules for elementwise arithmetic, comparisons, selections and conversions. */
#include "compiler/fold.h"

static bool give(ir_val *out, ir_val v)
{
    out[0] = v;
    return true;
}

static const ir_attr_pair *attr_of(const ir_desc *d, ir_key key)
{
    for (uint32_t i = 0; i < d->nattr; i++)
        if (d->attrs[i].key == key)
            return &d->attrs[i];
    return NULL;
}

static bool flag_of(const ir_builder *b, const ir_desc *d, ir_key key)
{
    const ir_attr_pair *p = attr_of(d, key);
    return p && ir_attr_as_int(b->m, p->val) != 0;
}

/* ---- constants ---- */
static bool fold_constants(ir_builder *b, const ir_desc *d, ir_val *out)
{
    uint64_t v[3] = {0}, r;
    if (d->nin > 3)
        return false;
    for (uint32_t i = 0; i < d->nin; i++)
        if (!ir_const_of(b->f, d->in[i], &v[i]))
            return false;
    dtype from = ir_type_dt(b->m, ir_vtype(b->f, d->in[0])), to = ir_type_dt(b->m, d->types[0]);
    if (from == DT_NONE || to == DT_NONE)
        return false;
    if (d->code == IR_OP_cast)
        r = dt_cast(from, to, v[0], flag_of(b, d, KEY_rtz));
    else if (d->code == IR_OP_bitcast)
        r = dt_wrap(to, v[0]);
    else if (!fold_eval(d->code, from, flag_of(b, d, KEY_nan), v, &r))
        return false;
    return give(out, ir_const_bits(b, d->types[0], r));
}

/* what each element of v is made from: a splat's scalar, or v itself where it is one (the condition of a select) */
static ir_val scalar_of(const ir_builder *b, ir_val v)
{
    ir_op o = def_is(b, v, IR_OP_splat);
    if (o.id)
        return ir_in(b->f, o, 0);
    if (ir_type_of(b->m, ir_vtype(b->f, v))->kind == TK_TILE)
        return (ir_val){0};
    return v;
}

/* op of splats and constants is the splat of the op: computed once, not once an element */
static bool fold_splats(ir_builder *b, const ir_desc *d, ir_val *out)
{
    ir_val in[4];
    uint64_t bits[4];
    const ir_type_info *t = ir_type_of(b->m, d->types[0]);
    bool any = false;
    if (t->kind != TK_TILE || d->nin > COUNTOF(in))
        return false;
    for (uint32_t i = 0; i < d->nin; i++) {
        in[i] = scalar_of(b, d->in[i]);
        any |= in[i].id && in[i].id != d->in[i].id;
        if (!in[i].id && !ir_const_of(b->f, d->in[i], &bits[i]))
            return false;
    }
    if (!any)
        return false;
    for (uint32_t i = 0; i < d->nin; i++)
        if (!in[i].id)
            in[i] = ir_const_bits(b, ir_type_elem(b->m, ir_vtype(b->f, d->in[i])), bits[i]);
    int rank = t->rank;
    int64_t shape[IR_MAX_RANK];
    for (int i = 0; i < rank; i++)
        shape[i] = t->shape[i];
    ir_desc s = *d;
    ir_type elem = t->elem;
    s.in = in;
    s.types = &elem;
    ir_val v;
    ir_emit(b, &s, &v);
    return give(out, ir_splat(b, v, rank, shape));
}

/* ---- identities: y is constant ---- */
static bool is_zero_float(uint64_t bits, dtype d, bool negative)
{
    return bits == (negative ? (uint64_t)1 << (dt_bits(d) - 1) : 0);
}

static bool fold_right_float(const ir_desc *d, dtype dt, uint64_t y, ir_val *out)
{
    bool one = dt_is_any_float(dt) && dt_float(dt, y) == 1;
    switch ((int)d->code) {
    case IR_OP_add:
        return is_zero_float(y, dt, true) && give(out, d->in[0]);
    case IR_OP_sub:
        return is_zero_float(y, dt, false) && give(out, d->in[0]);
    case IR_OP_mul:
    case IR_OP_div:
        return one && give(out, d->in[0]);
    default:
        return false;
    }
}

/* x op c2 where x is x0 op c1, op associative on wrapping integers */
static bool reassociate(ir_builder *b, const ir_desc *d, uint64_t y, dtype dt, ir_val *out)
{
    ir_op o = def_is(b, d->in[0], d->code);
    uint64_t c1, v[3] = {0}, r;
    if (!o.id || !ir_const_of(b->f, ir_in(b->f, o, 1), &c1))
        return false;
    v[0] = c1;
    v[1] = y;
    if (!fold_eval(d->code, dt, false, v, &r))
        return false;
    return give(out, ir_bin(b, d->code, ir_in(b->f, o, 0), ir_const_bits(b, d->types[0], r)));
}

static bool fold_right_int(ir_builder *b, const ir_desc *d, dtype dt, uint64_t y, ir_val *out)
{
    ir_val x = d->in[0];
    uint64_t ones = dt_wrap(dt, UINT64_MAX);
    switch ((int)d->code) {
    case IR_OP_add:
        return y == 0 ? give(out, x) : reassociate(b, d, y, dt, out);
    case IR_OP_sub: /* x - c is x + -c, so that chains of both meet */
        return y == 0 ? give(out, x)
                      : give(out, ir_bin(b, IR_OP_add, x, ir_const_bits(b, d->types[0], dt_wrap(dt, 0 - y))));
    case IR_OP_mul:
        return y == 1 ? give(out, x) : y == 0 ? give(out, d->in[1]) : reassociate(b, d, y, dt, out);
    case IR_OP_div:
        return y == 1 && give(out, x);
    case IR_OP_rem:
        return y == 1 && give(out, ir_const_bits(b, d->types[0], 0));
    case IR_OP_and:
        return y == 0 ? give(out, d->in[1]) : y == ones ? give(out, x) : reassociate(b, d, y, dt, out);
    case IR_OP_or:
        return y == 0 ? give(out, x) : y == ones ? give(out, d->in[1]) : reassociate(b, d, y, dt, out);
    case IR_OP_xor:
        return y == 0 ? give(out, x) : reassociate(b, d, y, dt, out);
    case IR_OP_shl:
    case IR_OP_shr:
        return y == 0 && give(out, x);
    default:
        return false;
    }
}

/* ---- both operands the same ---- */
static bool fold_same(ir_builder *b, const ir_desc *d, dtype dt, ir_val *out)
{
    bool exact = dt != DT_NONE && !dt_is_any_float(dt);
    switch ((int)d->code) {
    case IR_OP_sub:
    case IR_OP_xor:
        return exact && give(out, ir_const_bits(b, d->types[0], 0));
    case IR_OP_and:
    case IR_OP_or:
    case IR_OP_min:
    case IR_OP_max:
        return give(out, d->in[0]);
    case IR_OP_eq:
    case IR_OP_le:
    case IR_OP_ge:
        return (exact || dt == DT_NONE) && give(out, ir_const_bits(b, d->types[0], 1));
    case IR_OP_ne:
    case IR_OP_lt:
    case IR_OP_gt:
        return (exact || dt == DT_NONE) && give(out, ir_const_bits(b, d->types[0], 0));
    default:
        return false;
    }
}

static bool is_compare(ir_code code)
{
    return code >= IR_OP_eq && code <= IR_OP_ge;
}

/* the comparison that holds where this one doesn't, with no NaN about */
static ir_code opposite(ir_code code)
{
    switch ((int)code) {
    case IR_OP_eq:
        return IR_OP_ne;
    case IR_OP_ne:
        return IR_OP_eq;
    case IR_OP_lt:
        return IR_OP_ge;
    case IR_OP_le:
        return IR_OP_gt;
    case IR_OP_gt:
        return IR_OP_le;
    default:
        return IR_OP_lt;
    }
}

/* a bool against a constant, and an integer made of a bool against 0 */
static bool fold_truth(ir_builder *b, const ir_desc *d, dtype dt, uint64_t y, ir_val *out)
{
    if (d->code != IR_OP_eq && d->code != IR_OP_ne)
        return false;
    ir_val x = d->in[0];
    if (dt_is_int(dt) && y == 0) {
        ir_op c = def_is(b, x, IR_OP_cast);
        if (!c.id || ir_type_dt(b->m, ir_vtype(b->f, ir_in(b->f, c, 0))) != DT_BOOL)
            return false;
        x = ir_in(b->f, c, 0);
    } else if (dt != DT_BOOL) {
        return false;
    }
    return give(out, (y != 0) == (d->code == IR_OP_eq) ? x : ir_un(b, IR_OP_not, x));
}

static bool fold_two(ir_builder *b, const ir_desc *d, ir_val *out)
{
    dtype dt = ir_type_dt(b->m, ir_vtype(b->f, d->in[0]));
    uint64_t x, y;
    if (same_val(d->in[0], d->in[1]) && fold_same(b, d, dt, out))
        return true;
    bool right = ir_const_of(b->f, d->in[1], &y);
    if (!right && ((ir_ops[d->code].flags & COMM) || is_compare(d->code)) && ir_const_of(b->f, d->in[0], &x)) {
        ir_val swapped[] = {d->in[1], d->in[0]};
        ir_desc s = *d;
        s.in = swapped;
        s.code = ir_exchanged(d->code);
        ir_emit(b, &s, out);
        return true;
    }
    if (!right || dt == DT_NONE)
        return false;
    if (is_compare(d->code))
        return fold_truth(b, d, dt, y, out);
    return dt_is_any_float(dt) ? fold_right_float(d, dt, y, out) : fold_right_int(b, d, dt, y, out);
}

static bool fold_one(ir_builder *b, const ir_desc *d, ir_val *out)
{
    if (d->code != IR_OP_neg && d->code != IR_OP_not && d->code != IR_OP_abs)
        return false;
    ir_op o = ir_def(b->f, d->in[0]);
    ir_code code = o.id ? ir_op_code(b->f, o) : IR_NOP;
    if (code == d->code)
        return give(out, code == IR_OP_abs ? d->in[0] : ir_in(b->f, o, 0));
    if (d->code != IR_OP_not || !is_compare(code))
        return false;
    ir_val x = ir_in(b->f, o, 0), y = ir_in(b->f, o, 1);
    if (code != IR_OP_eq && code != IR_OP_ne && dt_is_any_float(ir_type_dt(b->m, ir_vtype(b->f, x))))
        return false;
    return give(out, ir_cmp(b, opposite(code), x, y));
}

/* ---- select ---- */
static bool fold_select(ir_builder *b, const ir_desc *d, ir_val *out)
{
    uint64_t c, x, y;
    if (ir_const_of(b->f, d->in[0], &c))
        return give(out, d->in[c ? 1 : 2]);
    if (same_val(d->in[1], d->in[2]) || def_is(b, d->in[2], IR_OP_undef).id)
        return give(out, d->in[1]);
    if (def_is(b, d->in[1], IR_OP_undef).id)
        return give(out, d->in[2]);
    if (d->types[0].id == ir_vtype(b->f, d->in[0]).id && ir_const_of(b->f, d->in[1], &x) &&
        ir_const_of(b->f, d->in[2], &y))
        return give(out, x ? d->in[0] : ir_un(b, IR_OP_not, d->in[0]));
    ir_op n = def_is(b, d->in[0], IR_OP_not);
    if (n.id)
        return give(out, ir_select(b, ir_in(b->f, n, 0), d->in[2], d->in[1]));
    return false;
}

/* ---- conversions ---- */
/* every value of `from` is one of `to` too, and both are integers or both floats */
static bool holds(dtype from, dtype to)
{
    if (dt_is_int(from) && dt_is_int(to)) {
        if (dt_is_signed(from))
            return dt_is_signed(to) && dt_bits(to) >= dt_bits(from);
        return dt_bits(to) > dt_bits(from) || (!dt_is_signed(to) && dt_bits(to) == dt_bits(from));
    }
    if (from == DT_F8E4M3 || from == DT_F8E5M2 || from == DT_F8E4M3FNUZ || from == DT_F8E5M2FNUZ)
        return to == DT_F16 || to == DT_F32 || to == DT_F64;
    return dt_is_float(from) && ((to == DT_F64) || (to == DT_F32 && from != DT_F64));
}

static bool fold_cast(ir_builder *b, const ir_desc *d, ir_val *out)
{
    dtype to = ir_type_dt(b->m, d->types[0]), mid = ir_type_dt(b->m, ir_vtype(b->f, d->in[0]));
    if (to == mid)
        return give(out, d->in[0]);
    ir_op o = def_is(b, d->in[0], IR_OP_cast);
    if (!o.id)
        return false;
    ir_val x = ir_in(b->f, o, 0);
    dtype from = ir_type_dt(b->m, ir_vtype(b->f, x));
    if (from == DT_BOOL && to == DT_BOOL)
        return give(out, x);
    bool cut =
        dt_is_int(from) && dt_is_int(mid) && dt_is_int(to) && dt_bits(to) <= dt_bits(mid); /* only low bits are left */
    if (!cut && (!holds(from, mid) || dt_is_any_float(from) != dt_is_any_float(to)))
        return false;
    if (from == to)
        return give(out, x);
    if (to == DT_BOOL || (dt_is_any_float(from) && !holds(from, to)))
        return false;
    ir_desc s = *d;
    s.in = &x;
    ir_emit(b, &s, out);
    return true;
}

static bool fold_bitcast(ir_builder *b, const ir_desc *d, ir_val *out)
{
    if (d->types[0].id == ir_vtype(b->f, d->in[0]).id)
        return give(out, d->in[0]);
    return fold_twice(b, d, out);
}

/* p + 0, and (p + c1) + c2 where both offsets are of one type and their sum doesn't wrap */
static bool fold_ptr_add(ir_builder *b, const ir_desc *d, ir_val *out)
{
    int64_t c1, c2, sum;
    if (!ir_const_int_of(b->f, d->in[1], &c2))
        return false;
    if (c2 == 0)
        return give(out, d->in[0]);
    ir_op o = def_is(b, d->in[0], IR_OP_ptr_add);
    ir_type t = ir_vtype(b->f, d->in[1]);
    if (!o.id || ir_vtype(b->f, ir_in(b->f, o, 1)).id != t.id || ir_type_dt(b->m, t) != DT_I64)
        return false;
    if (!ir_const_int_of(b->f, ir_in(b->f, o, 1), &c1) || __builtin_add_overflow(c1, c2, &sum))
        return false;
    return give(out, ir_ptr_add(b, ir_in(b->f, o, 0), ir_const_i(b, t, sum)));
}

bool fold_arith(ir_builder *b, const ir_desc *d, ir_val *out)
{
    bool math = d->code >= IR_OP_exp && d->code <= IR_OP_rsqrt;
    if (!math && fold_constants(b, d, out))
        return true;
    if (fold_splats(b, d, out))
        return true;
    switch ((int)d->code) {
    case IR_OP_select:
        return fold_select(b, d, out);
    case IR_OP_cast:
        return fold_cast(b, d, out);
    case IR_OP_bitcast:
        return fold_bitcast(b, d, out);
    case IR_OP_ptr_add:
        return fold_ptr_add(b, d, out);
    default:
        break;
    }
    return d->nin == 2 ? fold_two(b, d, out) : d->nin == 1 && fold_one(b, d, out);
}

_Static_assert(IR_OP_rsqrt - IR_OP_exp == 9, "the mathematics of ops.def stands together");
