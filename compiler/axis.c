/* axis.c: contiguity, constancy, divisibility and ranges of integers and pointers (pass.h says what they mean): leaves
 * and control flow; axis_ops.c and axis_shape.c have the rest.
 *
 * One walk in program order. A loop's carried values start from what is known of their initial values and are met with
 * what the body yields, until that changes nothing; a range that still grows becomes the whole type at once, anything
 * else that moves in the third walk is given up, and after a few more walks everything carried is. What an `assume` in
 * the body of the function says of a value holds wherever the value is seen after it.
 */
#include "compiler/axis_impl.h"

#include <string.h>

enum { PATIENT_WALKS = 2, MOST_WALKS = 5 };

/* ---- leaves ---- */
static axis_info of_const(const ax *x, ir_val v)
{
    int64_t c;
    if (!ir_const_int_of(x->f, v, &c))
        return ax_uniform(x, v, 1);
    axis_info r = ax_uniform(x, v, ax_pow2(c));
    ax_set_range(x, v, &r, ax_dt(x, v) == DT_U64 && c < 0 ? -1 : c, c);
    return r;
}

static axis_info of_range(const ax *x, ir_op o, ir_val v)
{
    axis_info r = ax_nothing(x, v);
    int64_t start = ir_int(x->f, o, KEY_start, 0), n = ax_extent(x, v, 0);
    bool fits = ax_set_range(x, v, &r, start, (ax_wide)start + n - 1);
    r.contig[0] = fits || dt_bits(ax_dt(x, v)) == 64 ? n : 1;
    r.div[0] = r.contig[0] > 1 || n == 1 ? ax_pow2(start) : 1;
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
    axis_info r = ax_uniform(x, v,
                             t->kind == TK_PTR ? ax_max(ax_pow2(own), p->align ? ax_pow2(p->align) : 1)
                             : p->div          ? ax_pow2(p->div)
                                               : 1);
    if (r.known && t->kind == TK_NUM && p->lo <= p->hi && (p->lo || p->hi))
        ax_set_range(x, v, &r, ax_max(r.lo, p->lo), ax_min(r.hi, p->hi));
    return r;
}

/* what the launch knows of tensor t, where that is a parameter */
static const spec_fact *fact_of(const ax *x, ir_val t)
{
    ir_val_data d = x->f->vals.at[t.id];
    bool param = !d.def.id && d.region.id == x->f->body.id;
    return param && x->opt && x->opt->facts ? &x->opt->facts[d.index] : NULL;
}

static axis_info of_tensor(const ax *x, ir_op o, ir_val v)
{
    const ir_func *f = x->f;
    ir_val t = ir_in(f, o, 0);
    ir_val_data d = f->vals.at[t.id];
    const spec_fact *s = fact_of(x, t);
    int64_t dim = ir_int(f, o, KEY_dim, 0), div = 0;
    axis_info r = ax_uniform(x, v, 1);
    if (ir_op_code(f, o) == IR_OP_tensor_base) {
        bool param = !d.def.id && d.region.id == f->body.id;
        int64_t own = dt_bytes(ir_type_of(f->m, ir_vtype(f, t))->dt), align = param ? f->params.at[d.index].align : 0;
        r.div[0] = ax_max(ax_pow2(own), align ? ax_pow2(align) : 1);
        return r;
    }
    if (ir_op_code(f, o) == IR_OP_tensor_dim) {
        r.lo = 0;
        div = s ? s->size_div[dim] : 0;
    } else if (s) {
        div = s->stride_div[dim];
    }
    r.div[0] = div ? ax_pow2(div) : 1;
    return r;
}

static axis_info of_launch(const ax *x, ir_op o, ir_val v)
{
    axis_info r = ax_uniform(x, v, 1);
    bool id = ir_op_code(x->f, o) == IR_OP_program_id;
    r.lo = id ? 0 : 1;
    r.hi = id ? INT32_MAX - 1 : INT32_MAX;
    return r;
}

/* equal addresses under equal masks hold equal values */
static axis_info of_load(const ax *x, ir_op o, ir_val v)
{
    axis_info r = ax_nothing(x, v);
    for (int d = 0; d < ax_rank(x, v); d++)
        for (uint32_t i = 0; i < ir_nin(x->f, o); i++) {
            int64_t c = x->at[ir_in(x->f, o, i).id].constancy[d];
            r.constancy[d] = i ? ax_gcd(r.constancy[d], c) : c;
        }
    return ir_int(x->f, o, KEY_is_volatile, 0) ? ax_nothing(x, v) : r;
}

static axis_info of_value(const ax *x, ir_op o, ir_val v)
{
    switch ((int)ir_op_code(x->f, o)) {
    case IR_OP_const:
        return of_const(x, v);
    case IR_OP_arange:
        return of_range(x, o, v);
    case IR_OP_splat:
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_permute:
    case IR_OP_slice:
    case IR_OP_extract:
    case IR_OP_hint:
    case IR_OP_join:
    case IR_OP_cat:
    case IR_OP_split:
    case IR_OP_gather:
        return ax_shape(x, o, v);
    case IR_OP_tensor_dim:
    case IR_OP_tensor_stride:
    case IR_OP_tensor_base:
        return of_tensor(x, o, v);
    case IR_OP_program_id:
    case IR_OP_num_programs:
        return of_launch(x, o, v);
    case IR_OP_load:
        return of_load(x, o, v);
    default:
        return ax_nothing(x, v).known ? ax_arith(x, o, v) : ax_nothing(x, v);
    }
}

/* ---- assume ---- */
static void learn_compare(ax *x, ir_code code, ir_val v, int64_t c)
{
    axis_info *i = &x->at[v.id];
    int64_t lo = INT64_MIN, hi = INT64_MAX;
    if (code == IR_OP_eq || code == IR_OP_ge)
        lo = c;
    if (code == IR_OP_eq || code == IR_OP_le)
        hi = c;
    if (code == IR_OP_gt && c < INT64_MAX)
        lo = c + 1;
    if (code == IR_OP_lt && c > INT64_MIN)
        hi = c - 1;
    i->lo = ax_max(i->lo, lo);
    i->hi = ax_min(i->hi, hi);
    if (i->lo > i->hi) /* never true: nothing after it runs */
        *i = ax_nothing(x, v);
}

static void learn(ax *x, ir_val cond)
{
    const ir_func *f = x->f;
    ir_op o = ir_def(f, cond);
    int64_t c, k;
    if (!o.id)
        return;
    ir_code code = ir_op_code(f, o);
    if (code == IR_OP_and) {
        learn(x, ir_in(f, o, 0));
        learn(x, ir_in(f, o, 1));
        return;
    }
    if (code < IR_OP_eq || code > IR_OP_ge || ir_type_rank(f->m, ir_vtype(f, ir_in(f, o, 0))) ||
        !ir_const_int_of(f, ir_in(f, o, 1), &c))
        return;
    ir_val v = ir_in(f, o, 0);
    ir_op by = ir_def(f, v);
    if (ax_dt(x, v) != DT_U64)
        learn_compare(x, code, v, c);
    if (code == IR_OP_eq && c == 0 && by.id && ir_op_code(f, by) == IR_OP_rem &&
        ir_const_int_of(f, ir_in(f, by, 1), &k) && k != 0) {
        axis_info *i = &x->at[ir_in(f, by, 0).id];
        i->div[0] = ax_max(i->div[0], ax_pow2(k));
    }
}

/* ---- control flow ---- */
static void walk(ax *x, ir_region r);

static bool same_info(const axis_info *a, const axis_info *b)
{
    return memcmp(a->contig, b->contig, sizeof a->contig) == 0 &&
           memcmp(a->constancy, b->constancy, sizeof a->constancy) == 0 && memcmp(a->div, b->div, sizeof a->div) == 0 &&
           a->lo == b->lo && a->hi == b->hi && a->known == b->known;
}

/* carried parameter p meets what the body yields; true when that changed what is said of p. `bounds`, where given, hold
 * for p whatever is yielded. */
static bool carry(ax *x, ir_val p, ir_val yielded, const axis_info *bounds, int walks)
{
    axis_info old = x->at[p.id], now = ax_meet(old, x->at[yielded.id]), none = ax_nothing(x, p);
    if (bounds) {
        now.lo = ax_max(now.lo, bounds->lo);
        now.hi = ax_min(now.hi, bounds->hi);
    } else if (now.lo < old.lo || now.hi > old.hi) {
        dtype d = ax_dt(x, p);
        now.lo = now.lo < old.lo || d == DT_U64 ? none.lo : now.lo;
        now.hi = now.hi > old.hi || d == DT_U64 ? none.hi : now.hi;
    }
    if (same_info(&now, &old))
        return false;
    x->at[p.id] = walks >= PATIENT_WALKS ? none : now;
    return true;
}

/* most trips of a loop; -1 where unknown */
static ax_wide most_trips(const ax *x, ir_op o)
{
    axis_info lb = x->at[ir_in(x->f, o, 0).id], ub = x->at[ir_in(x->f, o, 1).id], st = x->at[ir_in(x->f, o, 2).id];
    if (st.lo <= 0 || ax_dt(x, ir_in(x->f, o, 0)) == DT_U64)
        return -1;
    ax_wide extent = (ax_wide)ub.hi - lb.lo;
    return extent <= 0 ? 0 : (extent + st.lo - 1) / st.lo;
}

/* what a carried value that only grows by a constant can reach before the last trip */
static bool grows(const ax *x, ir_op o, uint32_t k, ax_wide trips, axis_info *bounds)
{
    const ir_func *f = x->f;
    ir_region body = ir_op_region(f, o, 0);
    ir_val p = ir_param_of(f, body, 1 + k);
    ir_op add = ir_def(f, ir_in(f, ir_last(f, body), k));
    int64_t c;
    if (trips < 0 || trips > INT64_MAX || !add.id || ir_op_code(f, add) != IR_OP_add || ir_in(f, add, 0).id != p.id ||
        !ir_const_int_of(f, ir_in(f, add, 1), &c))
        return false;
    axis_info init = x->at[ir_in(f, o, 3 + k).id];
    ax_wide reach = trips > 0 ? (trips - 1) * c : 0;
    *bounds = init;
    return ax_set_range(x, p, bounds, init.lo + (reach < 0 ? reach : 0), init.hi + (reach > 0 ? reach : 0));
}

static axis_info index_info(const ax *x, ir_op o, ir_val index)
{
    axis_info lb = x->at[ir_in(x->f, o, 0).id], ub = x->at[ir_in(x->f, o, 1).id], st = x->at[ir_in(x->f, o, 2).id];
    axis_info i = ax_uniform(x, index, ax_min(lb.div[0], st.div[0]));
    if (ax_dt(x, index) == DT_U64 && (lb.lo < 0 || ub.lo < 0))
        return i;
    if (st.lo > 0) {
        i.lo = lb.lo;
        i.hi = ax_max(lb.lo, ub.hi == INT64_MIN ? INT64_MIN : ub.hi - 1);
    } else if (st.hi < 0) {
        i.lo = ax_min(lb.hi, ub.lo == INT64_MAX ? INT64_MAX : ub.lo + 1);
        i.hi = lb.hi;
    }
    return i;
}

static void walk_for(ax *x, ir_op o)
{
    const ir_func *f = x->f;
    ir_region body = ir_op_region(f, o, 0);
    ir_val index = ir_param_of(f, body, 0);
    ir_op y = ir_last(f, body);
    uint32_t n = ir_nout(f, o);
    ax_wide trips = most_trips(x, o);
    x->at[index.id] = index_info(x, o, index);
    for (uint32_t k = 0; k < n; k++)
        x->at[ir_param_of(f, body, 1 + k).id] = x->at[ir_in(f, o, 3 + k).id];
    bool moved = true;
    for (int walks = 0; moved; walks++) {
        moved = false;
        for (uint32_t k = 0; k < n && walks >= MOST_WALKS; k++)
            x->at[ir_param_of(f, body, 1 + k).id] = ax_nothing(x, ir_param_of(f, body, 1 + k));
        walk(x, body);
        for (uint32_t k = 0; k < n && walks < MOST_WALKS; k++) {
            axis_info bounds;
            bool bounded = grows(x, o, k, trips, &bounds);
            moved |= carry(x, ir_param_of(f, body, 1 + k), ir_in(f, y, k), bounded ? &bounds : NULL, walks);
        }
    }
    for (uint32_t k = 0; k < n; k++)
        x->at[ir_out(f, o, k).id] = ax_meet(x->at[ir_in(f, o, 3 + k).id], x->at[ir_in(f, y, k).id]);
}

static void walk_while(ax *x, ir_op o)
{
    const ir_func *f = x->f;
    ir_region cond = ir_op_region(f, o, 0), body = ir_op_region(f, o, 1);
    ir_op y = ir_last(f, body);
    uint32_t n = ir_nout(f, o);
    for (uint32_t k = 0; k < n; k++)
        x->at[ir_param_of(f, cond, k).id] = x->at[ir_in(f, o, k).id];
    bool moved = true;
    for (int walks = 0; moved; walks++) {
        moved = false;
        for (uint32_t k = 0; k < n && walks >= MOST_WALKS; k++)
            x->at[ir_param_of(f, cond, k).id] = ax_nothing(x, ir_param_of(f, cond, k));
        walk(x, cond);
        for (uint32_t k = 0; k < n; k++)
            x->at[ir_param_of(f, body, k).id] = x->at[ir_param_of(f, cond, k).id];
        walk(x, body);
        for (uint32_t k = 0; k < n && walks < MOST_WALKS; k++)
            moved |= carry(x, ir_param_of(f, cond, k), ir_in(f, y, k), NULL, walks);
    }
    for (uint32_t k = 0; k < n; k++)
        x->at[ir_out(f, o, k).id] = x->at[ir_param_of(f, cond, k).id];
}

static void walk_if(ax *x, ir_op o)
{
    const ir_func *f = x->f;
    ir_region yes = ir_op_region(f, o, 0), no = ir_op_region(f, o, 1);
    walk(x, yes);
    walk(x, no);
    for (uint32_t k = 0; k < ir_nout(f, o); k++)
        x->at[ir_out(f, o, k).id] =
            ax_meet(x->at[ir_in(f, ir_last(f, yes), k).id], x->at[ir_in(f, ir_last(f, no), k).id]);
}

static void walk_op(ax *x, ir_op o)
{
    const ir_func *f = x->f;
    for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++) {
        ir_region in = ir_op_region(f, o, i);
        for (uint32_t k = 0; k < ir_nparams(f, in); k++)
            x->at[ir_param_of(f, in, k).id] = ax_nothing(x, ir_param_of(f, in, k));
        walk(x, in);
    }
    for (uint32_t i = 0; i < ir_nout(f, o); i++)
        x->at[ir_out(f, o, i).id] = of_value(x, o, ir_out(f, o, i));
}

static void walk(ax *x, ir_region r)
{
    FOR_OPS(x->f, r, o)
    {
        switch ((int)ir_op_code(x->f, o)) {
        case IR_OP_for:
            walk_for(x, o);
            break;
        case IR_OP_while:
            walk_while(x, o);
            break;
        case IR_OP_if:
            walk_if(x, o);
            break;
        case IR_OP_assume:
            if (r.id == x->f->body.id)
                learn(x, ir_in(x->f, o, 0));
            break;
        default:
            walk_op(x, o);
            break;
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
