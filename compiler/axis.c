/* axis.c: contiguity, constancy, divisibility and ranges of integers and pointers (pass.h says what they mean).
 *
 * One walk in program order. A loop's carried values start from what is known of their initial values and are met with what the
 * body yields; when that changed anything the body is walked again, twice at most, after which what still moves is given up.
 * Divisors are powers of two. A run's divisibility is that of its first element: where an op's runs come out shorter than an
 * operand's, the operand's divisor is cut to the shorter length first. Ranges hold the exact value: a computation that could
 * leave its type has the whole type as its range.
 */
#include "compiler/pass.h"

#include <string.h>

enum { DIV_MAX = 1 << 20, LOOP_WALKS = 3 };

__extension__ typedef __int128 wide;

typedef struct ax {
    const ir_func *f;
    const pass_options *opt;
    axis_info *at;
} ax;

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a < 0 ? -a : a;
}

static int64_t pow2_of(int64_t x)
{
    if (x == 0)
        return DIV_MAX;
    int64_t p = x & -x;
    return p < 0 || p > DIV_MAX ? DIV_MAX : p;
}

static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

static void type_range(dtype d, int64_t *lo, int64_t *hi)
{
    int n = d == DT_NONE ? 64 : dt_bits(d);
    if (d == DT_BOOL) {
        *lo = 0;
        *hi = 1;
    } else if (d == DT_NONE || n == 64) {
        *lo = INT64_MIN;
        *hi = INT64_MAX;
    } else {
        bool s = dt_is_signed(d);
        *lo = s ? -((int64_t)1 << (n - 1)) : 0;
        *hi = ((int64_t)1 << (s ? n - 1 : n)) - 1;
    }
}

static int rank_of(const ax *x, ir_val v)
{
    int r = ir_type_rank(x->f->m, ir_vtype(x->f, v));
    return r ? r : 1;
}

static int64_t extent(const ax *x, ir_val v, int d)
{
    const ir_type_info *t = ir_type_of(x->f->m, ir_vtype(x->f, v));
    return t->kind == TK_TILE ? t->shape[d] : 1;
}

/* nothing known but the type */
static axis_info nothing(const ax *x, ir_val v)
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

static axis_info uniform(const ax *x, ir_val v, int64_t div)
{
    axis_info i = nothing(x, v);
    for (int d = 0; d < rank_of(x, v); d++) {
        i.constancy[d] = extent(x, v, d);
        i.div[d] = div;
    }
    return i;
}

static axis_info meet(axis_info a, axis_info b)
{
    axis_info m = a;
    if (!a.known || !b.known)
        m.known = false;
    for (int d = 0; d < IR_MAX_RANK; d++) {
        int64_t c = gcd(a.contig[d], b.contig[d]);
        m.div[d] = gcd(a.contig[d] > c ? gcd(a.div[d], c) : a.div[d], b.contig[d] > c ? gcd(b.div[d], c) : b.div[d]);
        m.contig[d] = c;
        m.constancy[d] = gcd(a.constancy[d], b.constancy[d]);
    }
    m.lo = min64(a.lo, b.lo);
    m.hi = max64(a.hi, b.hi);
    return m;
}

/* ---- arithmetic ---- */
static void set_range(const ax *x, ir_val v, axis_info *r, wide lo, wide hi)
{
    int64_t tlo, thi;
    type_range(ir_type_dt(x->f->m, ir_vtype(x->f, v)), &tlo, &thi);
    bool fits = lo >= tlo && hi <= thi;
    r->lo = fits ? (int64_t)lo : tlo;
    r->hi = fits ? (int64_t)hi : thi;
}

/* a's divisor for runs of length c */
static int64_t div_at(const axis_info *a, int d, int64_t c)
{
    return a->contig[d] > c ? gcd(a->div[d], c) : a->div[d];
}

static axis_info sum_of(const ax *x, ir_val v, axis_info a, axis_info b, bool minus, int64_t scale)
{
    axis_info r = nothing(x, v);
    for (int d = 0; d < rank_of(x, v); d++) {
        int64_t c = gcd(a.contig[d], b.constancy[d]);
        if (!minus)
            c = max64(c, gcd(a.constancy[d], b.contig[d]));
        r.contig[d] = c;
        r.constancy[d] = gcd(a.constancy[d], b.constancy[d]);
        r.div[d] = pow2_of(gcd(div_at(&a, d, c), min64(div_at(&b, d, c) * scale, DIV_MAX)));
    }
    if (minus)
        set_range(x, v, &r, (wide)a.lo - b.hi, (wide)a.hi - b.lo);
    else
        set_range(x, v, &r, (wide)a.lo + b.lo, (wide)a.hi + b.hi);
    return r;
}

static axis_info product_of(const ax *x, ir_val v, axis_info a, axis_info b)
{
    axis_info r = nothing(x, v);
    for (int d = 0; d < rank_of(x, v); d++) {
        r.constancy[d] = gcd(a.constancy[d], b.constancy[d]);
        r.div[d] = min64(pow2_of(div_at(&a, d, 1)) * pow2_of(div_at(&b, d, 1)), DIV_MAX);
    }
    wide p[4] = {(wide)a.lo * b.lo, (wide)a.lo * b.hi, (wide)a.hi * b.lo, (wide)a.hi * b.hi}, lo = p[0], hi = p[0];
    for (int i = 1; i < 4; i++) {
        lo = p[i] < lo ? p[i] : lo;
        hi = p[i] > hi ? p[i] : hi;
    }
    set_range(x, v, &r, lo, hi);
    return r;
}

/* by a positive constant c: runs that start on multiples of c become constant (quotient) or run within c (remainder) */
static axis_info quotient_of(const ax *x, ir_val v, axis_info a, int64_t c, bool rem)
{
    axis_info r = nothing(x, v);
    for (int d = 0; d < rank_of(x, v); d++) {
        int64_t run = gcd(gcd(a.contig[d], a.div[d]), c);
        r.constancy[d] = rem ? a.constancy[d] : max64(a.constancy[d], run);
        r.contig[d] = rem ? run : 1;
        int64_t p = pow2_of(c), div = div_at(&a, d, 1);
        r.div[d] = rem ? gcd(div_at(&a, d, run), p) : p == c && div > p ? div / p : 1;
    }
    if (rem) {
        r.lo = a.lo >= 0 ? 0 : -min64(c - 1, a.lo == INT64_MIN ? INT64_MAX : -a.lo);
        r.hi = a.hi <= 0 ? 0 : min64(c - 1, a.hi);
    } else {
        r.lo = a.lo / c;
        r.hi = a.hi / c;
    }
    return r;
}

static axis_info compare_of(const ax *x, ir_val v, axis_info a, axis_info b)
{
    axis_info r = nothing(x, v);
    for (int d = 0; d < rank_of(x, v); d++) {
        r.constancy[d] = gcd(a.constancy[d], b.constancy[d]);
        /* a run and a bound that both stand on multiples of k: the run is on one side for k elements at a time */
        if (b.constancy[d] == extent(x, v, d))
            r.constancy[d] = max64(r.constancy[d], gcd(gcd(a.contig[d], a.div[d]), b.div[d]));
    }
    return r;
}

static axis_info of_arith(const ax *x, ir_op o, ir_val v)
{
    const ir_func *f = x->f;
    axis_info a = x->at[ir_in(f, o, 0).id], b = ir_nin(f, o) > 1 ? x->at[ir_in(f, o, 1).id] : a, r = nothing(x, v);
    int64_t c;
    bool is_const = ir_nin(f, o) > 1 && ir_const_int_of(f, ir_in(f, o, 1), &c);
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_add: return sum_of(x, v, a, b, false, 1);
    case IR_OP_sub: return sum_of(x, v, a, b, true, 1);
    case IR_OP_mul: return product_of(x, v, a, b);
    case IR_OP_div: return is_const && c > 0 ? quotient_of(x, v, a, c, false) : r;
    case IR_OP_rem: return is_const && c > 0 ? quotient_of(x, v, a, c, true) : r;
    case IR_OP_shl:
        if (!is_const || c < 0 || c > 40)
            return r;
        b.lo = b.hi = (int64_t)1 << c;
        for (int d = 0; d < IR_MAX_RANK; d++)
            b.div[d] = min64((int64_t)1 << c, DIV_MAX);
        return product_of(x, v, a, b);
    case IR_OP_shr: return is_const && c >= 0 && c < 40 && a.lo >= 0 ? quotient_of(x, v, a, (int64_t)1 << c, false) : r;
    case IR_OP_and:
        if (is_const && c >= 0) {
            r.lo = 0;
            r.hi = c;
        }
        break;
    case IR_OP_min:
        r.lo = min64(a.lo, b.lo);
        r.hi = min64(a.hi, b.hi);
        break;
    case IR_OP_max:
        r.lo = max64(a.lo, b.lo);
        r.hi = max64(a.hi, b.hi);
        break;
    default:
        break;
    }
    for (int d = 0; d < rank_of(x, v); d++)
        r.constancy[d] = gcd(a.constancy[d], b.constancy[d]);
    return r;
}

static axis_info of_cast(const ax *x, ir_op o, ir_val v)
{
    axis_info a = x->at[ir_in(x->f, o, 0).id], r = nothing(x, v);
    if (!a.known || !r.known || ir_type_dt(x->f->m, ir_vtype(x->f, v)) == DT_BOOL)
        return r;
    if (a.lo >= r.lo && a.hi <= r.hi)
        return a;
    for (int d = 0; d < rank_of(x, v); d++)
        r.constancy[d] = a.constancy[d];
    return r;
}

/* ---- shapes ---- */
static axis_info of_broadcast(const ax *x, ir_op o, ir_val v)
{
    axis_info r = x->at[ir_in(x->f, o, 0).id];
    for (int d = 0; d < rank_of(x, v); d++)
        if (extent(x, ir_in(x->f, o, 0), d) != extent(x, v, d)) {
            r.constancy[d] = extent(x, v, d);
            r.contig[d] = 1;
        }
    return r;
}

/* dimensions of 1 come and go; anything else forgets the runs */
static axis_info of_reshape(const ax *x, ir_op o, ir_val v)
{
    ir_val s = ir_in(x->f, o, 0);
    axis_info a = x->at[s.id], r = nothing(x, v);
    int k = 0, n = rank_of(x, s);
    r.lo = a.lo;
    r.hi = a.hi;
    bool uniform_all = true;
    for (int d = 0; d < n; d++)
        uniform_all &= a.constancy[d] == extent(x, s, d);
    for (int d = 0; d < rank_of(x, v); d++) {
        int64_t e = extent(x, v, d);
        if (uniform_all) {
            r.constancy[d] = e;
            r.div[d] = a.div[0];
            continue;
        }
        if (e == 1) {
            r.div[d] = 1;
            continue;
        }
        while (k < n && extent(x, s, k) == 1)
            k++;
        if (k == n || extent(x, s, k) != e) {
            axis_info lost = nothing(x, v);
            lost.lo = a.lo;
            lost.hi = a.hi;
            return lost;
        }
        r.contig[d] = a.contig[k];
        r.constancy[d] = a.constancy[k];
        r.div[d] = a.div[k++];
    }
    return r;
}

static axis_info of_permute(const ax *x, ir_op o, ir_val v)
{
    axis_info a = x->at[ir_in(x->f, o, 0).id], r = a;
    uint32_t n;
    const int64_t *order = ir_ints(x->f, o, KEY_order, &n);
    for (uint32_t d = 0; d < n; d++) {
        r.contig[d] = a.contig[order[d]];
        r.constancy[d] = a.constancy[order[d]];
        r.div[d] = a.div[order[d]];
    }
    (void)v;
    return r;
}

static axis_info of_hint(const ax *x, ir_op o)
{
    axis_info r = x->at[ir_in(x->f, o, 0).id];
    uint32_t n;
    const int64_t *v = ir_ints(x->f, o, KEY_multiple_of, &n);
    for (uint32_t d = 0; d < n && d < IR_MAX_RANK; d++)
        r.div[d] = max64(r.div[d], pow2_of(v[d]));
    v = ir_ints(x->f, o, KEY_contiguous, &n);
    for (uint32_t d = 0; d < n && d < IR_MAX_RANK; d++)
        r.contig[d] = max64(r.contig[d], v[d]);
    v = ir_ints(x->f, o, KEY_constant, &n);
    for (uint32_t d = 0; d < n && d < IR_MAX_RANK; d++)
        r.constancy[d] = max64(r.constancy[d], v[d]);
    return r;
}

/* ---- leaves ---- */
static axis_info of_const(const ax *x, ir_val v)
{
    int64_t c;
    axis_info r = uniform(x, v, 1);
    if (!ir_const_int_of(x->f, v, &c))
        return r;
    r = uniform(x, v, pow2_of(c));
    dtype d = ir_type_dt(x->f->m, ir_vtype(x->f, v));
    if (d != DT_U64 || c >= 0)
        r.lo = r.hi = c;
    return r;
}

static axis_info of_param(const ax *x, ir_val v)
{
    const ir_func *f = x->f;
    const ir_param *p = &f->params.at[f->vals.at[v.id].index];
    const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, v));
    int64_t own = 1;
    if (t->kind == TK_PTR)
        own = ir_type_of(f->m, t->elem)->kind == TK_PTR ? 8 : dt_bytes(ir_type_of(f->m, t->elem)->dt);
    axis_info r = uniform(x, v, pow2_of(t->kind == TK_PTR ? max64(p->align, own) : max64(p->div, 1)));
    if (p->lo <= p->hi && (p->lo || p->hi)) {
        r.lo = max64(r.lo, p->lo);
        r.hi = min64(r.hi, p->hi);
    }
    return r;
}

static axis_info of_tensor(const ax *x, ir_op o, ir_val v)
{
    const ir_func *f = x->f;
    ir_val t = ir_in(f, o, 0);
    ir_val_data d = f->vals.at[t.id];
    const spec_fact *s = x->opt && x->opt->facts && !d.def.id && d.region.id == f->body.id ? &x->opt->facts[d.index] : NULL;
    int64_t dim = ir_int(f, o, KEY_dim, 0);
    axis_info r = uniform(x, v, 1);
    if (ir_op_code(f, o) == IR_OP_tensor_base) {
        int64_t align = !d.def.id && d.region.id == f->body.id ? f->params.at[d.index].align : 0;
        r.div[0] = pow2_of(max64(align, dt_bytes(ir_type_of(f->m, ir_vtype(f, t))->dt)));
    } else if (ir_op_code(f, o) == IR_OP_tensor_dim) {
        r.lo = 0;
        r.div[0] = s && s->size_div[dim] ? pow2_of(s->size_div[dim]) : 1;
    } else {
        r.div[0] = s && s->stride_div[dim] ? pow2_of(s->stride_div[dim]) : 1;
    }
    return r;
}

static axis_info of_value(const ax *x, ir_op o, ir_val v)
{
    const ir_func *f = x->f;
    axis_info r = nothing(x, v);
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_const: return of_const(x, v);
    case IR_OP_arange:
        r.contig[0] = extent(x, v, 0);
        r.lo = ir_int(f, o, KEY_start, 0);
        r.div[0] = pow2_of(r.lo);
        r.hi = r.lo + extent(x, v, 0) - 1;
        return r;
    case IR_OP_splat:
        r = uniform(x, v, x->at[ir_in(f, o, 0).id].div[0]);
        r.lo = x->at[ir_in(f, o, 0).id].lo;
        r.hi = x->at[ir_in(f, o, 0).id].hi;
        return r;
    case IR_OP_broadcast: return of_broadcast(x, o, v);
    case IR_OP_reshape: return of_reshape(x, o, v);
    case IR_OP_permute: return of_permute(x, o, v);
    case IR_OP_cast: return of_cast(x, o, v);
    case IR_OP_hint: return of_hint(x, o);
    case IR_OP_ptr_add: {
        ir_type e = ir_type_of(f->m, ir_type_elem(f->m, ir_vtype(f, v)))->elem;
        int64_t size = ir_type_of(f->m, e)->kind == TK_PTR ? 8 : dt_bytes(ir_type_of(f->m, e)->dt);
        r = sum_of(x, v, x->at[ir_in(f, o, 0).id], x->at[ir_in(f, o, 1).id], false, size);
        type_range(DT_NONE, &r.lo, &r.hi);
        return r;
    }
    case IR_OP_select: {
        axis_info m = meet(x->at[ir_in(f, o, 1).id], x->at[ir_in(f, o, 2).id]), c = x->at[ir_in(f, o, 0).id];
        for (int d = 0; d < rank_of(x, v) && ir_type_rank(f->m, ir_vtype(f, ir_in(f, o, 0))); d++) {
            int64_t run = gcd(m.contig[d], c.constancy[d]);
            m.div[d] = div_at(&m, d, run);
            m.contig[d] = run;
            m.constancy[d] = gcd(m.constancy[d], c.constancy[d]);
        }
        return m;
    }
    case IR_OP_program_id:
        r = uniform(x, v, 1);
        r.lo = 0;
        r.hi = INT32_MAX - 1;
        return r;
    case IR_OP_num_programs:
        r = uniform(x, v, 1);
        r.lo = 1;
        r.hi = INT32_MAX;
        return r;
    case IR_OP_tensor_dim:
    case IR_OP_tensor_stride:
    case IR_OP_tensor_base: return of_tensor(x, o, v);
    case IR_OP_eq:
    case IR_OP_ne:
    case IR_OP_lt:
    case IR_OP_le:
    case IR_OP_gt:
    case IR_OP_ge: return compare_of(x, v, x->at[ir_in(f, o, 0).id], x->at[ir_in(f, o, 1).id]);
    case IR_OP_add:
    case IR_OP_sub:
    case IR_OP_mul:
    case IR_OP_div:
    case IR_OP_rem:
    case IR_OP_shl:
    case IR_OP_shr:
    case IR_OP_and:
    case IR_OP_or:
    case IR_OP_xor:
    case IR_OP_min:
    case IR_OP_max: return r.known ? of_arith(x, o, v) : r;
    default: return r;
    }
}

/* ---- control flow ---- */
static void walk(ax *x, ir_region r);

static bool same_info(const axis_info *a, const axis_info *b)
{
    return memcmp(a->contig, b->contig, sizeof a->contig) == 0 && memcmp(a->constancy, b->constancy, sizeof a->constancy) == 0 &&
           memcmp(a->div, b->div, sizeof a->div) == 0 && a->lo == b->lo && a->hi == b->hi && a->known == b->known;
}

/* the carried parameter p of a loop meets what the body yields; true when that taught it something. On the last walk what
 * still moves is given up. */
static bool carry(ax *x, ir_val p, ir_val yielded, bool last)
{
    axis_info now = meet(x->at[p.id], x->at[yielded.id]), old = x->at[p.id], none = nothing(x, p);
    if (now.lo < old.lo)
        now.lo = none.lo;
    if (now.hi > old.hi)
        now.hi = none.hi;
    if (same_info(&now, &old))
        return false;
    x->at[p.id] = last ? none : now;
    return true;
}

static void walk_for(ax *x, ir_op o)
{
    const ir_func *f = x->f;
    ir_region body = ir_op_region(f, o, 0);
    ir_val iv = ir_param_of(f, body, 0);
    axis_info lb = x->at[ir_in(f, o, 0).id], ub = x->at[ir_in(f, o, 1).id], st = x->at[ir_in(f, o, 2).id];
    axis_info i = uniform(x, iv, gcd(lb.div[0], st.div[0]));
    if (st.lo > 0) {
        i.lo = lb.lo;
        i.hi = max64(lb.lo, ub.hi == INT64_MIN ? INT64_MIN : ub.hi - 1);
    } else if (st.hi < 0) {
        i.lo = min64(lb.hi, ub.lo == INT64_MAX ? INT64_MAX : ub.lo + 1);
        i.hi = lb.hi;
    }
    x->at[iv.id] = i;
    for (uint32_t k = 0; k < ir_nout(f, o); k++)
        x->at[ir_param_of(f, body, 1 + k).id] = x->at[ir_in(f, o, 3 + k).id];
    bool moved = true;
    for (int n = 0; moved && n <= LOOP_WALKS; n++) {
        walk(x, body);
        moved = false;
        ir_op y = ir_last(f, body);
        for (uint32_t k = 0; k < ir_nout(f, o); k++)
            moved |= carry(x, ir_param_of(f, body, 1 + k), ir_in(f, y, k), n >= LOOP_WALKS - 1);
    }
    for (uint32_t k = 0; k < ir_nout(f, o); k++)
        x->at[ir_out(f, o, k).id] = x->at[ir_param_of(f, body, 1 + k).id];
}

static void walk_while(ax *x, ir_op o)
{
    const ir_func *f = x->f;
    ir_region cond = ir_op_region(f, o, 0), body = ir_op_region(f, o, 1);
    for (uint32_t k = 0; k < ir_nout(f, o); k++)
        x->at[ir_param_of(f, cond, k).id] = x->at[ir_in(f, o, k).id];
    bool moved = true;
    for (int n = 0; moved && n <= LOOP_WALKS; n++) {
        walk(x, cond);
        for (uint32_t k = 0; k < ir_nout(f, o); k++)
            x->at[ir_param_of(f, body, k).id] = x->at[ir_param_of(f, cond, k).id];
        walk(x, body);
        moved = false;
        ir_op y = ir_last(f, body);
        for (uint32_t k = 0; k < ir_nout(f, o); k++)
            moved |= carry(x, ir_param_of(f, cond, k), ir_in(f, y, k), n >= LOOP_WALKS - 1);
    }
    for (uint32_t k = 0; k < ir_nout(f, o); k++)
        x->at[ir_out(f, o, k).id] = x->at[ir_param_of(f, cond, k).id];
}

static void walk(ax *x, ir_region r)
{
    const ir_func *f = x->f;
    FOR_OPS(f, r, o) {
        ir_code code = ir_op_code(f, o);
        if (code == IR_OP_for) {
            walk_for(x, o);
        } else if (code == IR_OP_while) {
            walk_while(x, o);
        } else if (code == IR_OP_if) {
            walk(x, ir_op_region(f, o, 0));
            walk(x, ir_op_region(f, o, 1));
            for (uint32_t k = 0; k < ir_nout(f, o); k++)
                x->at[ir_out(f, o, k).id] = meet(x->at[ir_in(f, ir_last(f, ir_op_region(f, o, 0)), k).id],
                                                 x->at[ir_in(f, ir_last(f, ir_op_region(f, o, 1)), k).id]);
        } else {
            for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++) {
                ir_region in = ir_op_region(f, o, i);
                for (uint32_t k = 0; k < ir_nparams(f, in); k++)
                    x->at[ir_param_of(f, in, k).id] = nothing(x, ir_param_of(f, in, k));
                walk(x, in);
            }
            for (uint32_t i = 0; i < ir_nout(f, o); i++)
                x->at[ir_out(f, o, i).id] = of_value(x, o, ir_out(f, o, i));
        }
    }
}

axis axis_build(arena *a, const ir_func *f, const pass_options *opt)
{
    ax x = {.f = f, .opt = opt, .at = ARENA_ARRAY(a, axis_info, f->vals.n)};
    for (uint32_t i = 0; i < f->params.n; i++) {
        ir_val v = ir_param_of(f, f->body, i);
        x.at[v.id] = of_param(&x, v);
    }
    walk(&x, f->body);
    return (axis){x.at, f->vals.n};
}
