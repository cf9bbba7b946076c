/* axis_shape.c: the axis analysis of ops that move elements without changing them. */
#include "compiler/axis_impl.h"

static axis_info info_in(const ax *x, ir_op o, uint32_t i)
{
    return x->at[ir_in(x->f, o, i).id];
}

/* every element is one of the operands', in no known order */
static axis_info shuffled(const ax *x, ir_op o, ir_val v, uint32_t operands)
{
    axis_info a = info_in(x, o, 0), r = ax_nothing(x, v);
    int64_t div = ax_elem_div(x, ir_in(x->f, o, 0), &a);
    r.lo = a.lo;
    r.hi = a.hi;
    for (uint32_t i = 1; i < operands; i++) {
        axis_info b = info_in(x, o, i);
        div = ax_min(div, ax_elem_div(x, ir_in(x->f, o, i), &b));
        r.lo = ax_min(r.lo, b.lo);
        r.hi = ax_max(r.hi, b.hi);
    }
    for (int d = 0; d < ax_rank(x, v); d++)
        r.div[d] = div;
    return r;
}

static axis_info splat_of(const ax *x, ir_op o, ir_val v)
{
    axis_info a = info_in(x, o, 0), r = ax_uniform(x, v, a.div[0]);
    r.lo = a.lo;
    r.hi = a.hi;
    return r;
}

static axis_info broadcast_of(const ax *x, ir_op o, ir_val v)
{
    ir_val s = ir_in(x->f, o, 0);
    axis_info r = x->at[s.id];
    int64_t div = ax_elem_div(x, s, &r);
    for (int d = 0; d < ax_rank(x, v); d++)
        if (ax_extent(x, s, d) != ax_extent(x, v, d)) {
            r.constancy[d] = ax_extent(x, v, d);
            r.contig[d] = 1;
            r.div[d] = div;
        }
    return r;
}

/* the same extents but for ones: each dimension keeps what it had; false where that isn't so */
static bool only_ones(const ax *x, ir_val s, ir_val v, axis_info a, int64_t div, axis_info *r)
{
    int k = 0, n = ax_rank(x, s);
    for (int d = 0; d < ax_rank(x, v); d++) {
        if (ax_extent(x, v, d) == 1) {
            r->div[d] = div;
            continue;
        }
        while (k < n && ax_extent(x, s, k) == 1)
            k++;
        if (k == n || ax_extent(x, s, k) != ax_extent(x, v, d))
            return false;
        r->contig[d] = a.contig[k];
        r->constancy[d] = a.constancy[k];
        r->div[d] = a.div[k++];
    }
    return true;
}

/* run of the last dimension (extent e) as one of the row-major order, which starts anew with each row */
static int64_t flat_run(int64_t run, int64_t e)
{
    return e == 1 ? 1 : ax_gcd(run, e);
}

static axis_info reshape_of(const ax *x, ir_op o, ir_val v)
{
    ir_val s = ir_in(x->f, o, 0);
    axis_info a = x->at[s.id], r = ax_nothing(x, v), lost;
    int last = ax_rank(x, s) - 1, to = ax_rank(x, v) - 1;
    int64_t div = ax_elem_div(x, s, &a);
    bool uniform = true;
    r.lo = a.lo;
    r.hi = a.hi;
    lost = r;
    for (int d = 0; d <= last; d++)
        uniform &= a.constancy[d] == ax_extent(x, s, d);
    if (uniform) {
        r = ax_uniform(x, v, div);
        r.lo = a.lo;
        r.hi = a.hi;
        return r;
    }
    if (only_ones(x, s, v, a, div, &r))
        return r;
    r = lost;
    for (int d = 0; d <= to; d++)
        r.div[d] = div;
    int64_t run = ax_gcd(flat_run(a.contig[last], ax_extent(x, s, last)), ax_extent(x, v, to));
    if (run > 1) {
        r.contig[to] = run;
        r.div[to] = a.contig[last] == run ? a.div[last] : ax_gcd(a.div[last], run);
    }
    r.constancy[to] = ax_gcd(flat_run(a.constancy[last], ax_extent(x, s, last)), ax_extent(x, v, to));
    return r;
}

static axis_info permute_of(const ax *x, ir_op o)
{
    axis_info a = info_in(x, o, 0), r = a;
    uint32_t n;
    const int64_t *order = ir_ints(x->f, o, KEY_order, &n);
    for (uint32_t d = 0; d < n; d++) {
        r.contig[d] = a.contig[order[d]];
        r.constancy[d] = a.constancy[order[d]];
        r.div[d] = a.div[order[d]];
    }
    return r;
}

/* from `start` on, runs of n are runs of what n and start share */
static int64_t run_from(int64_t n, int64_t start, int64_t extent)
{
    return start == 0 || n >= start + extent ? n : ax_gcd(n, start);
}

static axis_info slice_of(const ax *x, ir_op o, ir_val v)
{
    axis_info a = info_in(x, o, 0), r = ax_nothing(x, v);
    uint32_t n;
    const int64_t *starts = ir_ints(x->f, o, KEY_starts, &n);
    r.lo = a.lo;
    r.hi = a.hi;
    for (uint32_t d = 0; d < n; d++) {
        r.constancy[d] = run_from(a.constancy[d], starts[d], ax_extent(x, v, (int)d));
        r.contig[d] = run_from(a.contig[d], starts[d], ax_extent(x, v, (int)d));
        /* the first element is starts[d] into a run, or at the start of one */
        r.div[d] = a.contig[d] == 1 ? a.div[d] : ax_min(a.div[d], ax_pow2(starts[d]));
        if (a.contig[d] != 1 && r.contig[d] < a.contig[d])
            r.div[d] = ax_min(r.div[d], ax_pow2(r.contig[d]));
    }
    return r;
}

static axis_info extract_of(const ax *x, ir_op o, ir_val v)
{
    axis_info a = info_in(x, o, 0), r = ax_nothing(x, v);
    int gone = (int)ir_int(x->f, o, KEY_axis, 0), k = 0;
    r.lo = a.lo;
    r.hi = a.hi;
    if (ir_type_rank(x->f->m, ir_vtype(x->f, v)) == 0) {
        r.div[0] = ax_elem_div(x, ir_in(x->f, o, 0), &a);
        return r;
    }
    for (int d = 0; d <= ax_rank(x, v); d++)
        if (d != gone) {
            r.contig[k] = a.contig[d];
            r.constancy[k] = a.constancy[d];
            r.div[k++] = a.div[d];
        }
    return r;
}

static axis_info hint_of(const ax *x, ir_op o)
{
    axis_info r = info_in(x, o, 0);
    uint32_t n;
    const int64_t *v = ir_ints(x->f, o, KEY_contiguous, &n);
    for (uint32_t d = 0; d < n && d < IR_MAX_RANK; d++)
        if (v[d] > r.contig[d]) {
            r.div[d] = v[d] % r.contig[d] ? 1 : r.div[d];
            r.contig[d] = v[d];
        }
    v = ir_ints(x->f, o, KEY_constant, &n);
    for (uint32_t d = 0; d < n && d < IR_MAX_RANK; d++)
        r.constancy[d] = ax_max(r.constancy[d], v[d]);
    v = ir_ints(x->f, o, KEY_multiple_of, &n);
    for (uint32_t d = 0; d < n && d < IR_MAX_RANK; d++)
        r.div[d] = ax_max(r.div[d], ax_pow2(v[d]));
    return r;
}

axis_info ax_shape(const ax *x, ir_op o, ir_val v)
{
    switch ((int)ir_op_code(x->f, o)) {
    case IR_OP_splat:
        return splat_of(x, o, v);
    case IR_OP_broadcast:
        return broadcast_of(x, o, v);
    case IR_OP_reshape:
        return reshape_of(x, o, v);
    case IR_OP_permute:
        return permute_of(x, o);
    case IR_OP_slice:
        return slice_of(x, o, v);
    case IR_OP_extract:
        return extract_of(x, o, v);
    case IR_OP_hint:
        return hint_of(x, o);
    case IR_OP_join:
    case IR_OP_cat:
        return shuffled(x, o, v, 2);
    default:
        return shuffled(x, o, v, 1); /* split, gather */
    }
}
