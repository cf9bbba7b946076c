/* axis_ops.c: the axis analysis of arithmetic, comparisons, selections, conversions and pointers.
 *
 * Divisors are powers of two, so they survive wrapping. A run that rises by one does so modulo 2^64 for 64-bit values,
 * where wrapping changes nothing; a narrower value may be widened later, so where its computation could leave the type
 * its runs are given up. Ranges hold the value itself: a computation that could leave its type has the whole type as
 * its range. Of u64 a range is known only where all of it is below 2^63 - 1.
 *
 * The divisor of a run is that of its first element. Where an op's runs come out shorter than an operand's, each starts
 * a multiple of the shorter length into a longer one, so the operand's divisor is cut to that length first (div_at).
 */
#include "compiler/axis_impl.h"

dtype ax_dt(const ax *x, ir_val v)
{
    return ir_type_dt(x->f->m, ir_vtype(x->f, v));
}

int ax_rank(const ax *x, ir_val v)
{
    int r = ir_type_rank(x->f->m, ir_vtype(x->f, v));
    return r ? r : 1;
}

int64_t ax_extent(const ax *x, ir_val v, int d)
{
    const ir_type_info *t = ir_type_of(x->f->m, ir_vtype(x->f, v));
    return t->kind == TK_TILE ? t->shape[d] : 1;
}

static void type_range(dtype d, int64_t *lo, int64_t *hi)
{
    int n = d == DT_NONE ? 64 : dt_bits(d);
    *lo = INT64_MIN;
    *hi = INT64_MAX;
    if (d == DT_BOOL) {
        *lo = 0;
        *hi = 1;
    } else if (n < 64) {
        bool s = dt_is_signed(d);
        *lo = s ? -((int64_t)1 << (n - 1)) : 0;
        *hi = ((int64_t)1 << (s ? n - 1 : n)) - 1;
    }
}

bool ax_set_range(const ax *x, ir_val v, axis_info *r, ax_wide lo, ax_wide hi)
{
    int64_t tlo, thi;
    dtype d = ax_dt(x, v);
    type_range(d, &tlo, &thi);
    bool fits = d == DT_U64 ? lo >= 0 && hi < INT64_MAX : lo >= tlo && hi <= thi;
    r->lo = fits ? (int64_t)lo : tlo;
    r->hi = fits ? (int64_t)hi : thi;
    return fits;
}

axis_info ax_nothing(const ax *x, ir_val v)
{
    axis_info i = {0};
    ir_type t = ir_vtype(x->f, v);
    dtype d = ir_type_dt(x->f->m, t);
    for (int k = 0; k < IR_MAX_RANK; k++)
        i.contig[k] = i.constancy[k] = i.div[k] = 1;
    ir_type_kind kind = ir_type_of(x->f->m, ir_type_elem(x->f->m, t))->kind;
    i.known = kind == TK_PTR || (kind == TK_NUM && !dt_is_any_float(d));
    type_range(d, &i.lo, &i.hi);
    return i;
}

axis_info ax_uniform(const ax *x, ir_val v, int64_t div)
{
    axis_info i = ax_nothing(x, v);
    for (int d = 0; d < ax_rank(x, v); d++) {
        i.constancy[d] = ax_extent(x, v, d);
        i.div[d] = div;
    }
    return i;
}

int64_t ax_elem_div(const ax *x, ir_val v, const axis_info *a)
{
    int64_t best = 1;
    for (int d = 0; d < ax_rank(x, v); d++)
        if (a->contig[d] == 1)
            best = ax_max(best, a->div[d]);
    return best;
}

/* a's divisor along d for runs of length c, which divides its own */
static int64_t div_at(const axis_info *a, int d, int64_t c)
{
    return a->contig[d] == c ? a->div[d] : ax_gcd(a->div[d], c);
}

axis_info ax_meet(axis_info a, axis_info b)
{
    axis_info m = a;
    m.known = a.known && b.known;
    for (int d = 0; d < IR_MAX_RANK; d++) {
        int64_t c = ax_gcd(a.contig[d], b.contig[d]);
        m.div[d] = ax_min(div_at(&a, d, c), div_at(&b, d, c));
        m.contig[d] = c;
        m.constancy[d] = ax_gcd(a.constancy[d], b.constancy[d]);
    }
    m.lo = ax_min(a.lo, b.lo);
    m.hi = ax_max(a.hi, b.hi);
    return m;
}

/* a computation that could wrap keeps no runs in a type that may be widened */
static void give_up_runs(const ax *x, ir_val v, axis_info *r)
{
    dtype d = ax_dt(x, v);
    for (int k = 0; k < IR_MAX_RANK; k++)
        if (d != DT_NONE && dt_bits(d) < 64 && r->contig[k] > 1) {
            r->div[k] = 1;
            r->contig[k] = 1;
        }
}

static axis_info info_in(const ax *x, ir_op o, uint32_t i)
{
    return x->at[ir_in(x->f, o, i).id];
}

/* a + b or a - b; of pointers b counts elements of `scale` bytes */
static axis_info sum_of(const ax *x, ir_op o, ir_val v, bool minus, int64_t scale)
{
    axis_info a = info_in(x, o, 0), b = info_in(x, o, 1), r = ax_nothing(x, v);
    for (int d = 0; d < ax_rank(x, v); d++) {
        int64_t c = ax_gcd(a.contig[d], b.constancy[d]);
        if (!minus)
            c = ax_max(c, ax_gcd(a.constancy[d], b.contig[d]));
        r.contig[d] = c;
        r.constancy[d] = ax_gcd(a.constancy[d], b.constancy[d]);
        int64_t da = div_at(&a, d, ax_gcd(a.contig[d], c)), db = div_at(&b, d, ax_gcd(b.contig[d], c));
        r.div[d] = ax_min(da, ax_min(db * scale, AX_DIV_MAX));
        r.div[d] = ax_pow2(r.div[d]);
    }
    if (ax_dt(x, v) == DT_NONE)
        return r;
    ax_wide lo = minus ? (ax_wide)a.lo - b.hi : (ax_wide)a.lo + b.lo,
            hi = minus ? (ax_wide)a.hi - b.lo : (ax_wide)a.hi + b.hi;
    if (!ax_set_range(x, v, &r, lo, hi) && !ir_int(x->f, o, KEY_nowrap, 0))
        give_up_runs(x, v, &r);
    return r;
}

static axis_info product_of(const ax *x, ir_op o, ir_val v, axis_info b, int64_t bdiv)
{
    axis_info a = info_in(x, o, 0), r = ax_nothing(x, v);
    int64_t div = ax_min(ax_elem_div(x, ir_in(x->f, o, 0), &a) * bdiv, AX_DIV_MAX);
    for (int d = 0; d < ax_rank(x, v); d++) {
        r.constancy[d] = ax_gcd(a.constancy[d], b.constancy[d]);
        r.div[d] = div;
    }
    ax_wide p[4] = {(ax_wide)a.lo * b.lo, (ax_wide)a.lo * b.hi, (ax_wide)a.hi * b.lo, (ax_wide)a.hi * b.hi}, lo = p[0],
            hi = p[0];
    for (int i = 1; i < 4; i++) {
        lo = p[i] < lo ? p[i] : lo;
        hi = p[i] > hi ? p[i] : hi;
    }
    ax_set_range(x, v, &r, lo, hi);
    return r;
}

/* truncated quotient by a constant c > 0: of what isn't negative, runs that start on multiples of c become constant */
static axis_info quotient_of(const ax *x, ir_op o, ir_val v, int64_t c)
{
    axis_info a = info_in(x, o, 0), r = ax_nothing(x, v);
    int64_t p = ax_pow2(c), div = ax_elem_div(x, ir_in(x->f, o, 0), &a);
    bool u64 = ax_dt(x, v) == DT_U64;
    for (int d = 0; d < ax_rank(x, v); d++) {
        r.constancy[d] = a.constancy[d];
        if (a.lo >= 0)
            r.constancy[d] = ax_max(r.constancy[d], ax_gcd(ax_gcd(a.contig[d], a.div[d]), c));
        r.div[d] = p == c && div > p && div < AX_DIV_MAX && (a.lo >= 0 || !u64) ? div / p : 1;
    }
    if (!u64 || a.lo >= 0)
        ax_set_range(x, v, &r, a.lo / c, a.hi / c);
    return r;
}

static axis_info remainder_of(const ax *x, ir_op o, ir_val v, int64_t c)
{
    axis_info a = info_in(x, o, 0), r = ax_nothing(x, v);
    int64_t p = ax_pow2(c), div = ax_min(ax_elem_div(x, ir_in(x->f, o, 0), &a), p);
    bool u64 = ax_dt(x, v) == DT_U64;
    if (a.lo >= 0 && a.hi < c)
        return a;
    for (int d = 0; d < ax_rank(x, v); d++) {
        int64_t run = a.lo >= 0 ? ax_gcd(ax_gcd(a.contig[d], a.div[d]), c) : 1;
        r.constancy[d] = a.constancy[d];
        r.contig[d] = run;
        r.div[d] = run > 1 ? ax_min(div_at(&a, d, run), p) : div;
    }
    if (u64 && a.lo < 0)
        ax_set_range(x, v, &r, 0, c - 1);
    else
        ax_set_range(x, v, &r, a.lo >= 0 ? 0 : ax_max(1 - c, a.lo), a.hi <= 0 ? 0 : ax_min(c - 1, a.hi));
    return r;
}

/* x & (2^k - 1) is a remainder whatever the sign */
static axis_info mask_of(const ax *x, ir_op o, ir_val v, int64_t c)
{
    axis_info a = info_in(x, o, 0), r = ax_nothing(x, v);
    bool low = (c & (c + 1)) == 0;
    int64_t div = ax_max(ax_elem_div(x, ir_in(x->f, o, 0), &a), ax_pow2(c));
    for (int d = 0; d < ax_rank(x, v); d++) {
        int64_t run = low ? ax_gcd(ax_gcd(a.contig[d], a.div[d]), c + 1) : 1;
        r.constancy[d] = a.constancy[d];
        r.contig[d] = run;
        r.div[d] = run > 1 ? div_at(&a, d, run) : div;
    }
    ax_set_range(x, v, &r, 0, a.lo >= 0 ? ax_min(a.hi, c) : c);
    return r;
}

/* runs are lost, what is equal stays equal */
static axis_info plain(const ax *x, ir_op o, ir_val v, int64_t div)
{
    axis_info r = ax_nothing(x, v);
    for (int d = 0; d < ax_rank(x, v); d++) {
        for (uint32_t i = 0; i < ir_nin(x->f, o); i++) {
            int64_t c = info_in(x, o, i).constancy[d];
            r.constancy[d] = i ? ax_gcd(r.constancy[d], c) : c;
        }
        r.div[d] = div;
    }
    return r;
}

static axis_info bits_of(const ax *x, ir_op o, ir_val v)
{
    axis_info a = info_in(x, o, 0), b = info_in(x, o, 1);
    int64_t da = ax_elem_div(x, ir_in(x->f, o, 0), &a), db = ax_elem_div(x, ir_in(x->f, o, 1), &b);
    bool is_and = ir_op_code(x->f, o) == IR_OP_and;
    axis_info r = plain(x, o, v, is_and ? ax_max(da, db) : ax_min(da, db));
    if (a.lo >= 0 && b.lo >= 0 && ax_dt(x, v) != DT_BOOL) {
        int64_t top = ax_max(a.hi, b.hi), all = 0;
        while (all < top)
            all = all * 2 + 1;
        ax_set_range(x, v, &r, 0, is_and ? ax_min(a.hi, b.hi) : all);
    }
    return r;
}

static axis_info least_or_most(const ax *x, ir_op o, ir_val v, bool most)
{
    axis_info a = info_in(x, o, 0), b = info_in(x, o, 1);
    axis_info r = plain(x, o, v, ax_min(ax_elem_div(x, ir_in(x->f, o, 0), &a), ax_elem_div(x, ir_in(x->f, o, 1), &b)));
    if (ax_dt(x, v) != DT_U64 || (a.lo >= 0 && b.lo >= 0))
        ax_set_range(x, v, &r, most ? ax_max(a.lo, b.lo) : ax_min(a.lo, b.lo),
                     most ? ax_max(a.hi, b.hi) : ax_min(a.hi, b.hi));
    return r;
}

static axis_info sign_of(const ax *x, ir_op o, ir_val v)
{
    axis_info a = info_in(x, o, 0), r = plain(x, o, v, ax_elem_div(x, ir_in(x->f, o, 0), &a));
    ax_wide lo = -(ax_wide)a.hi, hi = -(ax_wide)a.lo;
    if (ir_op_code(x->f, o) == IR_OP_abs) {
        if (ax_dt(x, v) == DT_U64)
            return a;
        lo = a.lo >= 0 ? a.lo : a.hi < 0 ? -(ax_wide)a.hi : 0;
        hi = -(ax_wide)a.lo > a.hi ? -(ax_wide)a.lo : a.hi;
    }
    ax_set_range(x, v, &r, lo, hi);
    return r;
}

/* A run of a that starts on a multiple of k is on one side of a multiple of k, k elements at a time: for a < b and a >=
 * b where b is one multiple of k all along the run; and with the operands exchanged for > and <=. */
static axis_info compare_of(const ax *x, ir_op o, ir_val v)
{
    axis_info r = plain(x, o, v, 1);
    ir_code code = ir_op_code(x->f, o);
    bool left = code == IR_OP_lt || code == IR_OP_ge, right = code == IR_OP_gt || code == IR_OP_le;
    if ((!left && !right) || ax_dt(x, ir_in(x->f, o, 0)) == DT_NONE || dt_is_any_float(ax_dt(x, ir_in(x->f, o, 0))))
        return r;
    axis_info a = info_in(x, o, left ? 0 : 1), b = info_in(x, o, left ? 1 : 0);
    int64_t bound = ax_elem_div(x, ir_in(x->f, o, left ? 1 : 0), &b);
    for (int d = 0; d < ax_rank(x, v); d++)
        r.constancy[d] = ax_max(r.constancy[d], ax_gcd(ax_gcd(ax_gcd(a.contig[d], a.div[d]), bound), b.constancy[d]));
    return r;
}

static axis_info cast_of(const ax *x, ir_op o, ir_val v)
{
    axis_info a = info_in(x, o, 0), r = ax_nothing(x, v);
    dtype from = ax_dt(x, ir_in(x->f, o, 0)), to = ax_dt(x, v);
    if (dt_is_any_float(from) || dt_is_any_float(to) || to == DT_BOOL) {
        if (!dt_is_any_float(from))
            r = plain(x, o, v, 1);
        return r;
    }
    bool wide = dt_bits(from) == 64 && dt_bits(to) == 64, known = from != DT_U64 || a.lo >= 0;
    int64_t div = ax_elem_div(x, ir_in(x->f, o, 0), &a);
    bool fits = known && ax_set_range(x, v, &r, a.lo, a.hi);
    for (int d = 0; d < ax_rank(x, v); d++) {
        r.constancy[d] = a.constancy[d];
        r.contig[d] = fits || wide ? a.contig[d] : 1;
        r.div[d] = fits || wide ? a.div[d] : div;
    }
    return r;
}

static axis_info select_of(const ax *x, ir_op o, ir_val v)
{
    axis_info a = info_in(x, o, 1), b = info_in(x, o, 2), c = info_in(x, o, 0), m;
    for (int d = 0; d < ax_rank(x, v) && ir_type_rank(x->f->m, ir_vtype(x->f, ir_in(x->f, o, 0))); d++) {
        int64_t ra = ax_gcd(a.contig[d], c.constancy[d]), rb = ax_gcd(b.contig[d], c.constancy[d]);
        a.div[d] = div_at(&a, d, ra);
        b.div[d] = div_at(&b, d, rb);
        a.contig[d] = ra;
        b.contig[d] = rb;
        a.constancy[d] = ax_gcd(a.constancy[d], c.constancy[d]);
        b.constancy[d] = ax_gcd(b.constancy[d], c.constancy[d]);
    }
    m = ax_meet(a, b);
    return m.known ? m : ax_nothing(x, v);
}

static int64_t pointee_bytes(const ir_module *m, ir_type t)
{
    const ir_type_info *e = ir_type_of(m, ir_type_of(m, ir_type_elem(m, t))->elem);
    return e->kind == TK_PTR ? 8 : dt_bytes(e->dt);
}

static axis_info ptr_cast_of(const ax *x, ir_op o, ir_val v)
{
    const ir_func *f = x->f;
    ir_type from = ir_vtype(f, ir_in(f, o, 0)), to = ir_vtype(f, v);
    axis_info a = info_in(x, o, 0), r = ax_nothing(x, v);
    bool same =
        ir_type_is_ptr(f->m, from) && ir_type_is_ptr(f->m, to) && pointee_bytes(f->m, from) == pointee_bytes(f->m, to);
    int64_t div = ax_elem_div(x, ir_in(f, o, 0), &a);
    if (same)
        return a;
    for (int d = 0; d < ax_rank(x, v); d++) {
        r.constancy[d] = a.constancy[d];
        r.div[d] = div;
    }
    return r;
}

static axis_info shift_of(const ax *x, ir_op o, ir_val v, int64_t c)
{
    axis_info by = ax_nothing(x, ir_in(x->f, o, 1)), a = info_in(x, o, 0);
    if (c < 0 || c >= dt_bits(ax_dt(x, v)) || c > 40)
        return ax_nothing(x, v);
    if (ir_op_code(x->f, o) == IR_OP_shr)
        return a.lo >= 0 ? quotient_of(x, o, v, (int64_t)1 << c) : ax_nothing(x, v);
    by.lo = by.hi = (int64_t)1 << c;
    for (int d = 0; d < ax_rank(x, v); d++)
        by.constancy[d] = ax_extent(x, v, d);
    return product_of(x, o, v, by, ax_min((int64_t)1 << c, AX_DIV_MAX));
}

axis_info ax_arith(const ax *x, ir_op o, ir_val v)
{
    const ir_func *f = x->f;
    int64_t c = 0;
    bool is_const = ir_nin(f, o) > 1 && ir_const_int_of(f, ir_in(f, o, 1), &c);
    axis_info b = is_const ? info_in(x, o, 1) : ax_nothing(x, v);
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_add:
        return sum_of(x, o, v, false, 1);
    case IR_OP_sub:
        return sum_of(x, o, v, true, 1);
    case IR_OP_mul:
        b = info_in(x, o, 1);
        return product_of(x, o, v, b, ax_elem_div(x, ir_in(f, o, 1), &b));
    case IR_OP_div:
        return is_const && c > 0 ? quotient_of(x, o, v, c) : plain(x, o, v, 1);
    case IR_OP_rem:
        return is_const && c > 0 ? remainder_of(x, o, v, c) : plain(x, o, v, 1);
    case IR_OP_shl:
    case IR_OP_shr:
        return is_const ? shift_of(x, o, v, c) : plain(x, o, v, 1);
    case IR_OP_and:
        return is_const && c >= 0 && c < INT64_MAX && ax_dt(x, v) != DT_BOOL ? mask_of(x, o, v, c) : bits_of(x, o, v);
    case IR_OP_or:
    case IR_OP_xor:
        return bits_of(x, o, v);
    case IR_OP_min:
        return least_or_most(x, o, v, false);
    case IR_OP_max:
        return least_or_most(x, o, v, true);
    case IR_OP_neg:
    case IR_OP_abs:
        return sign_of(x, o, v);
    case IR_OP_not:
        return plain(x, o, v, 1);
    case IR_OP_eq:
    case IR_OP_ne:
    case IR_OP_lt:
    case IR_OP_le:
    case IR_OP_gt:
    case IR_OP_ge:
        return compare_of(x, o, v);
    case IR_OP_cast:
        return cast_of(x, o, v);
    case IR_OP_select:
        return select_of(x, o, v);
    case IR_OP_ptr_add:
        return sum_of(x, o, v, false, pointee_bytes(f->m, ir_vtype(f, v)));
    case IR_OP_ptr_cast:
        return ptr_cast_of(x, o, v);
    default:
        return ax_nothing(x, v);
    }
}
