/* lower_arith.c: types of values, conversions, promotion, operators (see lower.h).
 *
 * Promotion goes by kind (bool < integer < float), then by width; unsigned wins at equal width; f16 with bf16 is f32. A
 * weak number takes the other operand's dtype unless its kind is higher; it must then fit. Shapes broadcast as NumPy's
 * do: missing dimensions are added on the left, extents of 1 repeat. Every rule that can be broken is reported here,
 * once, with the types of both sides.
 */
#include "frontend/lower.h"

#include <string.h>

ir_type low_vtype(const lower *l, fv v) { return ir_vtype(l->fx->f, v.v); }
dtype low_dt(const lower *l, fv v) { return ir_type_dt(l->m, low_vtype(l, v)); }
int low_rank(const lower *l, fv v) { return v.kind == FV_RT ? ir_type_rank(l->m, low_vtype(l, v)) : 0; }
const ir_type_info *low_info(const lower *l, fv v) { return ir_type_of(l->m, low_vtype(l, v)); }
bool low_is_ptr(const lower *l, fv v) { return v.kind == FV_RT && ir_type_is_ptr(l->m, low_vtype(l, v)); }

static const char *dt_name(dtype d) { return d == DT_I64 ? "int" : dtypes[d].name; }

/* ---- constants ---- */
static fv const_as(lower *l, const_num n, dtype d, int rank, const int64_t *shape, span at)
{
    uint64_t bits;
    if (!const_fits(n, d, &bits))
        return low_error(l, D_LITERAL_RANGE, at, STR_ARG(const_text(l->a, n)), dt_name(d));
    ir_type t = ir_type_tile(l->m, ir_type_num(l->m, d), rank, shape);
    return fv_rt(ir_const_bits(B(l), t, bits));
}

fv low_const(lower *l, const_num n, dtype d, span at) { return const_as(l, n, d, 0, NULL, at); }

static dtype weak_dtype(const_num n)
{
    return n.kind == CONST_BOOL ? DT_BOOL : n.kind == CONST_INT ? DT_I64 : DT_F32;
}

fv low_runtime(lower *l, fv v, span at)
{
    if (v.kind == FV_RT || v.kind == FV_POISON)
        return v;
    if (v.kind == FV_NUM)
        return low_const(l, v.num, weak_dtype(v.num), at);
    return low_error(l, D_NEED_VALUE, at, STR_ARG(low_say(l, v)));
}

fv low_cast(lower *l, fv v, dtype d, span at)
{
    if (v.kind == FV_NUM) {
        if (d == DT_BOOL)
            return low_const(l, const_of_bool(const_truth(v.num)), d, at);
        if (v.num.kind == CONST_FLOAT && dt_is_int(d)) {
            uint64_t bits = dt_cast(DT_F64, d, dt_from_double(DT_F64, v.num.f, false), false);
            return fv_rt(ir_const_bits(B(l), ir_type_num(l->m, d), bits));
        }
        return low_const(l, v.num, d, at);
    }
    v = low_runtime(l, v, at);
    if (v.kind == FV_POISON)
        return v;
    if (low_is_ptr(l, v))
        return low_error(l, D_CONVERT_POINTER, at, STR_ARG(low_type(l, low_vtype(l, v))), dt_name(d));
    return fv_rt(ir_cast(B(l), v.v, d));
}

/* ---- shapes ---- */
static void shape_of(const lower *l, fv v, int *rank, int64_t *shape)
{
    *rank = 0;
    if (v.kind != FV_RT)
        return;
    const ir_type_info *ti = low_info(l, v);
    if (ti->kind != TK_TILE)
        return;
    *rank = ti->rank;
    memcpy(shape, ti->shape, (size_t)ti->rank * sizeof *shape);
}

static str shape_text(lower *l, int rank, const int64_t *shape)
{
    strbuf b;
    sb_init(&b, l->a);
    sb_putc(&b, '[');
    for (int i = 0; i < rank; i++)
        sb_putf(&b, "%s%lld", i ? ", " : "", (long long)shape[i]);
    sb_putc(&b, ']');
    return sb_str(&b);
}

bool low_check_shape(lower *l, int rank, const int64_t *shape, span at)
{
    if (rank > IR_MAX_RANK) {
        low_error(l, D_RANK, at, rank, IR_MAX_RANK);
        return false;
    }
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 1) {
            low_error(l, D_EXTENT, at, (long long)shape[i]);
            return false;
        }
        if (__builtin_mul_overflow(count, shape[i], &count) || count > IR_MAX_ELEMS) {
            low_error(l, D_TILE_SIZE, at, STR_ARG(shape_text(l, rank, shape)), IR_MAX_ELEMS);
            return false;
        }
    }
    return true;
}

bool low_common_shape(lower *l, fv a, fv b, span at, int *rank, int64_t *shape)
{
    int ra, rb;
    int64_t sa[IR_MAX_RANK], sb[IR_MAX_RANK];
    shape_of(l, a, &ra, sa);
    shape_of(l, b, &rb, sb);
    int r = ra > rb ? ra : rb;
    for (int i = 0; i < r; i++) {
        int64_t x = i - (r - ra) >= 0 ? sa[i - (r - ra)] : 1, y = i - (r - rb) >= 0 ? sb[i - (r - rb)] : 1;
        if (x != y && x != 1 && y != 1) {
            low_error(l, D_SHAPE_MISMATCH, at, STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)), i - r);
            return false;
        }
        shape[i] = x > y ? x : y;
    }
    *rank = r;
    return low_check_shape(l, r, shape, at);
}

fv low_broadcast(lower *l, fv v, int rank, const int64_t *shape, span at)
{
    v = low_runtime(l, v, at);
    if (v.kind == FV_POISON)
        return v;
    int r;
    int64_t have[IR_MAX_RANK];
    shape_of(l, v, &r, have);
    bool same = r == rank, ok = r <= rank;
    for (int i = 0; ok && i < r; i++) {
        int64_t want = shape[rank - r + i];
        same &= have[i] == want;
        ok = have[i] == want || have[i] == 1;
    }
    if (!ok)
        return low_error(l, D_BROADCAST, at, STR_ARG(low_say(l, v)), STR_ARG(shape_text(l, rank, shape)));
    if (same)
        return v;
    return fv_rt(r ? ir_broadcast(B(l), v.v, rank, shape) : ir_splat(B(l), v.v, rank, shape));
}

/* ---- promotion ---- */
static int kind_order(dtype d) { return d == DT_BOOL ? 0 : dt_is_int(d) ? 1 : 2; }

static dtype promote_dtypes(dtype a, dtype b)
{
    if (a == b)
        return a;
    if (kind_order(a) != kind_order(b))
        return kind_order(a) > kind_order(b) ? a : b;
    if (dt_bits(a) != dt_bits(b))
        return dt_bits(a) > dt_bits(b) ? a : b;
    if (dt_is_int(a))
        return dt_is_signed(a) ? b : a;
    return DT_F32;
}

static dtype promote_weak(const_num n, dtype d)
{
    dtype w = weak_dtype(n);
    return kind_order(w) <= kind_order(d) ? d : w;
}

dtype low_promoted(lower *l, fv a, fv b, span at, const char *what)
{
    if ((a.kind != FV_NUM && a.kind != FV_RT) || (b.kind != FV_NUM && b.kind != FV_RT)) {
        if (a.kind != FV_POISON && b.kind != FV_POISON)
            low_error(l, D_OPERANDS, at, what, STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
        return DT_NONE;
    }
    if (a.kind == FV_NUM && b.kind == FV_NUM)
        return promote_dtypes(weak_dtype(a.num), weak_dtype(b.num));
    if (low_is_ptr(l, a) || low_is_ptr(l, b)) {
        low_error(l, D_OPERANDS, at, what, STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
        return DT_NONE;
    }
    dtype da = a.kind == FV_RT ? low_dt(l, a) : DT_NONE, db = b.kind == FV_RT ? low_dt(l, b) : DT_NONE;
    if (dt_is_f8(da) || dt_is_f8(db)) {
        if (da == db)
            return da;
        low_error(l, D_F8_ARITH, at, what, dtypes[dt_is_f8(da) ? da : db].name);
        return DT_NONE;
    }
    return da && db ? promote_dtypes(da, db) : da ? promote_weak(b.num, da) : promote_weak(a.num, db);
}

static fv converge(lower *l, fv v, dtype d, int rank, const int64_t *shape, span at)
{
    if (v.kind == FV_NUM) {
        if (d == DT_BOOL || !dt_is_int(d) || v.num.kind != CONST_FLOAT)
            return const_as(l, v.num, d, rank, shape, at);
        v = low_cast(l, v, d, at);
    }
    v = low_cast(l, v, d, at);
    return v.kind == FV_POISON ? v : low_broadcast(l, v, rank, shape, at);
}

bool low_promote(lower *l, fv *a, fv *b, span at, const char *what)
{
    dtype d = low_promoted(l, *a, *b, at, what);
    int rank;
    int64_t shape[IR_MAX_RANK];
    if (d == DT_NONE || !low_common_shape(l, *a, *b, at, &rank, shape))
        return false;
    *a = converge(l, *a, d, rank, shape, at);
    *b = converge(l, *b, d, rank, shape, at);
    return a->kind != FV_POISON && b->kind != FV_POISON;
}

/* ---- operators ---- */
static fv const_fault(lower *l, const_err e, const char *what, fv a, fv b, span at)
{
    switch (e) {
    case CONST_OK: break;
    case CONST_OVERFLOW: return low_error(l, D_CONST_OVERFLOW, at, what);
    case CONST_ZERO_DIV: return low_error(l, D_CONST_ZERO_DIV, at, what);
    case CONST_BAD_SHIFT: return low_error(l, D_CONST_SHIFT, at, what);
    case CONST_BAD_TYPE: return low_error(l, D_OPERANDS, at, what, STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
    }
    return fv_poison();
}

static fv seq_concat(lower *l, fv a, fv b, span at)
{
    uint32_t n = a.seq.n + b.seq.n;
    if (!low_list_room(l, a.seq.size + b.seq.size - 2, at))
        return fv_poison();
    fv *all = ARENA_ARRAY(l->a, fv, n ? n : 1);
    for (uint32_t i = 0; i < n; i++)
        all[i] = i < a.seq.n ? a.seq.at[i] : b.seq.at[i - a.seq.n];
    return fv_seq_of(all, n, a.flags & FV_LIST);
}

/* operands that are neither numbers nor run-time values */
static fv binary_static(lower *l, fe_op op, fv a, fv b, span at)
{
    if (op == FE_ADD && a.kind == FV_SEQ && b.kind == FV_SEQ)
        return seq_concat(l, a, b, at);
    if ((op == FE_EQ || op == FE_NE) && !fv_is_runtime(a) && !fv_is_runtime(b))
        return fv_bool(fv_same(a, b) == (op == FE_EQ));
    return low_error(l, D_OPERANDS, at, fe_op_text[op], STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
}

static fv pointer_offset(lower *l, fe_op op, fv p, fv off, span at)
{
    if (off.kind == FV_NUM ? off.num.kind != CONST_INT : low_is_ptr(l, off) || !dt_is_int(low_dt(l, off)))
        return low_error(l, D_POINTER_OFFSET, at, STR_ARG(low_say(l, off)));
    if (op == FE_SUB) {
        off = low_cast(l, off, DT_I64, at);
        off = off.kind == FV_POISON ? off : fv_rt(ir_un(B(l), IR_OP_neg, off.v));
    }
    off = low_runtime(l, off, at);
    int rank;
    int64_t shape[IR_MAX_RANK];
    if (off.kind == FV_POISON || !low_common_shape(l, p, off, at, &rank, shape))
        return fv_poison();
    p = low_broadcast(l, p, rank, shape, at);
    off = low_broadcast(l, off, rank, shape, at);
    if (p.kind == FV_POISON || off.kind == FV_POISON)
        return fv_poison();
    return fv_rt(ir_ptr_add(B(l), p.v, off.v));
}

static fv binary_pointer(lower *l, fe_op op, fv a, fv b, span at)
{
    bool pa = low_is_ptr(l, a), pb = low_is_ptr(l, b);
    if (pa && !pb && (op == FE_ADD || op == FE_SUB))
        return pointer_offset(l, op, a, b, at);
    if (pb && !pa && op == FE_ADD)
        return pointer_offset(l, op, b, a, at);
    ir_type ea = pa ? ir_type_elem(l->m, low_vtype(l, a)) : (ir_type){0};
    if (pa && pb && (op == FE_EQ || op == FE_NE) && ir_type_eq(ea, ir_type_elem(l->m, low_vtype(l, b)))) {
        int rank;
        int64_t shape[IR_MAX_RANK];
        if (!low_common_shape(l, a, b, at, &rank, shape))
            return fv_poison();
        a = low_broadcast(l, a, rank, shape, at);
        b = low_broadcast(l, b, rank, shape, at);
        return fv_rt(ir_cmp(B(l), op == FE_EQ ? IR_OP_eq : IR_OP_ne, a.v, b.v));
    }
    return low_error(l, D_OPERANDS, at, fe_op_text[op], STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
}

static bool value_is_bool(lower *l, fv v)
{
    return v.kind == FV_NUM ? v.num.kind == CONST_BOOL : low_dt(l, v) == DT_BOOL;
}

static bool value_is_float(lower *l, fv v)
{
    return v.kind == FV_NUM ? v.num.kind == CONST_FLOAT : dt_is_any_float(low_dt(l, v));
}

/* the rules of an operator about kinds; false and a diagnostic where one is broken */
static bool check_kinds(lower *l, fe_op op, fv a, fv b, span at)
{
    const char *t = fe_op_text[op];
    bool ba = value_is_bool(l, a), bb = value_is_bool(l, b), fa = value_is_float(l, a), fb = value_is_float(l, b);
    bool rt = a.kind == FV_RT && b.kind == FV_RT;
    dtype da = a.kind == FV_RT ? low_dt(l, a) : DT_NONE, db = b.kind == FV_RT ? low_dt(l, b) : DT_NONE;
    if (dt_is_f8(da) || dt_is_f8(db)) {
        low_error(l, D_F8_ARITH, at, t, dtypes[dt_is_f8(da) ? da : db].name);
        return false;
    }
    if (op <= FE_SHR && (ba || bb)) {
        low_error(l, D_BOOL_ARITH, at, t);
        return false;
    }
    bool ordering = op >= FE_LT;
    if (ordering && (ba || bb)) {
        low_error(l, D_BOOL_ORDER, at, t);
        return false;
    }
    if ((fe_op_is_bits(op) && (fa || fb || ba != bb)) || ((op == FE_FLOORDIV || op == FE_MOD) && (fa || fb))) {
        low_error(l, D_OPERANDS, at, t, STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
        return false;
    }
    if (rt && (ordering || op == FE_FLOORDIV || op == FE_MOD) && dt_is_int(da) && dt_is_int(db) &&
        dt_is_signed(da) != dt_is_signed(db)) {
        low_error(l, D_MIXED_SIGN, at, t, dt_name(da), dt_name(db));
        return false;
    }
    return true;
}

static const ir_code op_codes[FE_OP_COUNT] = {
    [FE_ADD] = IR_OP_add, [FE_SUB] = IR_OP_sub, [FE_MUL] = IR_OP_mul, [FE_DIV] = IR_OP_div, [FE_FLOORDIV] = IR_OP_div,
    [FE_MOD] = IR_OP_rem, [FE_SHL] = IR_OP_shl, [FE_SHR] = IR_OP_shr, [FE_AND] = IR_OP_and, [FE_OR] = IR_OP_or,
    [FE_XOR] = IR_OP_xor, [FE_EQ] = IR_OP_eq, [FE_NE] = IR_OP_ne, [FE_LT] = IR_OP_lt, [FE_LE] = IR_OP_le,
    [FE_GT] = IR_OP_gt, [FE_GE] = IR_OP_ge,
};

static bool is_int_value(lower *l, fv v)
{
    return v.kind == FV_NUM ? v.num.kind == CONST_INT : dt_is_int(low_dt(l, v));
}

fv low_binary(lower *l, fe_op op, fv a, fv b, span at, span at_a, span at_b)
{
    if (a.kind == FV_POISON || b.kind == FV_POISON)
        return fv_poison();
    if (a.kind == FV_NUM && b.kind == FV_NUM) {
        const_num r;
        const_err e = const_binary(op, a.num, b.num, &r);
        return e == CONST_OK ? fv_num(r) : const_fault(l, e, fe_op_text[op], a, b, at);
    }
    if ((a.kind != FV_NUM && a.kind != FV_RT) || (b.kind != FV_NUM && b.kind != FV_RT))
        return binary_static(l, op, a, b, at);
    low_place(l, at);
    if (low_is_ptr(l, a) || low_is_ptr(l, b))
        return binary_pointer(l, op, a, b, at);
    if (!check_kinds(l, op, a, b, at))
        return fv_poison();
    if (op == FE_DIV && is_int_value(l, a) && is_int_value(l, b)) {
        a = low_cast(l, a, DT_F32, at_a);
        b = low_cast(l, b, DT_F32, at_b);
    }
    if (a.kind == FV_POISON || b.kind == FV_POISON || !low_promote(l, &a, &b, at, fe_op_text[op]))
        return fv_poison();
    return fv_rt(fe_op_is_cmp(op) ? ir_cmp(B(l), op_codes[op], a.v, b.v) : ir_bin(B(l), op_codes[op], a.v, b.v));
}

fv low_unary(lower *l, fe_unop op, fv a, span at)
{
    static const char *const text[] = {[FE_NEG] = "-", [FE_POS] = "+", [FE_INVERT] = "~", [FE_NOT] = "not"};
    if (a.kind == FV_POISON)
        return a;
    if (op == FE_NOT) {
        a = low_condition(l, a, at, "not");
        if (a.kind != FV_RT)
            return a.kind == FV_NUM ? fv_bool(!const_truth(a.num)) : a;
        low_place(l, at);
        return fv_rt(ir_un(B(l), IR_OP_not, a.v));
    }
    if (a.kind == FV_NUM) {
        const_num r;
        const_err e = const_unary(op, a.num, &r);
        if (e == CONST_OK)
            return fv_num(r);
        if (e == CONST_BAD_TYPE)
            return low_error(l, D_OPERAND, at, text[op], STR_ARG(low_say(l, a)));
        return const_fault(l, e, text[op], a, a, at);
    }
    if (a.kind != FV_RT || low_is_ptr(l, a))
        return low_error(l, D_OPERAND, at, text[op], STR_ARG(low_say(l, a)));
    dtype d = low_dt(l, a);
    if (dt_is_f8(d))
        return low_error(l, D_F8_ARITH, at, text[op], dtypes[d].name);
    if (op == FE_INVERT ? dt_is_float(d) : d == DT_BOOL)
        return low_error(l, D_OPERAND, at, text[op], STR_ARG(low_say(l, a)));
    low_place(l, at);
    return op == FE_POS ? a : fv_rt(ir_un(B(l), op == FE_NEG ? IR_OP_neg : IR_OP_not, a.v));
}

fv low_condition(lower *l, fv v, span at, const char *what)
{
    switch (v.kind) {
    case FV_POISON: return v;
    case FV_NONE: return fv_bool(false);
    case FV_NUM: return fv_bool(const_truth(v.num));
    case FV_STR: return fv_bool(v.s.n > 0);
    case FV_SEQ: return fv_bool(v.seq.n > 0);
    case FV_RT: break;
    case FV_UNBOUND: case FV_TYPE: case FV_FN: case FV_BUILTIN: case FV_METHOD: case FV_TENSOR:
        return low_error(l, D_CONDITION, at, what, STR_ARG(low_say(l, v)));
    }
    if (low_rank(l, v))
        return low_error(l, D_CONDITION_TILE, at, what, STR_ARG(low_say(l, v)));
    dtype d = low_dt(l, v);
    if (d == DT_BOOL)
        return v;
    if (d == DT_NONE || !dt_is_int(d))
        return low_error(l, D_CONDITION, at, what, STR_ARG(low_say(l, v)));
    low_place(l, at);
    return fv_rt(ir_cmp(B(l), IR_OP_ne, v.v, ir_const_i(B(l), ir_type_num(l->m, d), 0)));
}
