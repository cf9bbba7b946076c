/* combine.c: pass combine: several ops that are one.
 *
 *   add(mul(a, b), c), sub, in f32 and f64   fma, where the product has no other use and stands in the same region: the
 * one place where the compiler contracts, and it shows in the IR select(m, load(p, m), k), k constant     load(p, m, k)
 *   sum over k of a[m, k, 1] * b[1, k, n]    dot(a, b, 0), whatever the order of the three dimensions; in f32 and f64,
 * with a and b widened from f16, bf16 or f8 taken as they were, and in i32 where both were 8 bits
 */
#include "compiler/passes/rewrite.h"

typedef struct combine {
    uses u;
    bool *done; /* by op: taken care of with an earlier one */
} combine;

static uint32_t use_count(const combine *c, ir_val v)
{
    return c->u.first[v.id + 1] - c->u.first[v.id];
}

/* ---- fma ---- */
/* operand i of o, where it is a product that only o uses and that stands beside it */
static ir_op product(rw *r, ir_op o, uint32_t i)
{
    ir_val v = ir_in(r->old, o, i);
    ir_op d = ir_def(r->old, v);
    if (!d.id || ir_op_code(r->old, d) != IR_OP_mul || use_count(r->ctx, v) != 1)
        return (ir_op){0};
    return ir_o(r->old, d)->parent.id == ir_o(r->old, o)->parent.id ? d : (ir_op){0};
}

static bool to_fma(rw *r, ir_op o)
{
    ir_code code = ir_op_code(r->old, o);
    if (code != IR_OP_add && code != IR_OP_sub)
        return false;
    dtype dt = ir_type_dt(r->old->m, ir_vtype(r->old, ir_out(r->old, o, 0)));
    if (dt != DT_F32 && dt != DT_F64)
        return false;
    uint32_t at = product(r, o, 0).id ? 0 : 1;
    ir_op m = product(r, o, at);
    if (!m.id)
        return false;
    rw_begin(r, o);
    ir_val a = rw_in(r, m, 0), b = rw_in(r, m, 1), c = rw_in(r, o, 1 - at);
    if (code == IR_OP_sub && at == 0)
        c = ir_un(&r->b, IR_OP_neg, c);
    if (code == IR_OP_sub && at == 1)
        a = ir_un(&r->b, IR_OP_neg, a);
    rw_set(r, o, 0, ir_emit1(&r->b, IR_OP_fma, ir_vtype(r->f, c), (ir_val[]){a, b, c}, 3));
    return true;
}

/* ---- masked loads ---- */
static bool load_with_other(rw *r, ir_op o)
{
    combine *c = r->ctx;
    uint64_t bits;
    if (ir_op_code(r->old, o) != IR_OP_load || ir_nin(r->old, o) != 2)
        return false;
    ir_val v = ir_out(r->old, o, 0);
    if (use_count(c, v) != 1)
        return false;
    ir_op s = c->u.at[c->u.first[v.id]];
    if (ir_op_code(r->old, s) != IR_OP_select || ir_in(r->old, s, 1).id != v.id ||
        ir_in(r->old, s, 0).id != ir_in(r->old, o, 1).id || !ir_const_of(r->old, ir_in(r->old, s, 2), &bits) ||
        ir_int(r->old, o, KEY_is_volatile, 0))
        return false;
    rw_begin(r, o);
    ir_type t = ir_vtype(r->old, v);
    const ir_op_data *p = ir_o(r->old, o);
    ir_attr_pair attrs[4];
    uint32_t n = p->nattr < COUNTOF(attrs) ? p->nattr : COUNTOF(attrs);
    for (uint32_t i = 0; i < n; i++)
        attrs[i] = ir_attr_at(r->old, o, i);
    ir_val in[] = {rw_in(r, o, 0), rw_in(r, o, 1), ir_const_bits(&r->b, t, bits)}, out;
    ir_emit(&r->b,
            &(ir_desc){.code = IR_OP_load, .in = in, .nin = 3, .types = &t, .nout = 1, .attrs = attrs, .nattr = n},
            &out);
    rw_set(r, o, 0, out);
    rw_set(r, s, 0, out);
    c->done[s.id] = true;
    return true;
}

/* ---- broadcast, multiply, sum ---- */
static bool sums(const ir_func *f, ir_op o)
{
    ir_region r = ir_op_region(f, o, 0);
    ir_op a = ir_first(f, r);
    if (ir_op_code(f, a) != IR_OP_add || ir_next(f, a).id != ir_last(f, r).id ||
        ir_in(f, ir_last(f, r), 0).id != ir_out(f, a, 0).id)
        return false;
    ir_val x = ir_in(f, a, 0), y = ir_in(f, a, 1), p = ir_param_of(f, r, 0), q = ir_param_of(f, r, 1);
    return (x.id == p.id && y.id == q.id) || (x.id == q.id && y.id == p.id);
}

/* a factor of the product, under its broadcast and its widening */
typedef struct factor {
    ir_val src;
    dtype dt;    /* of src */
    int missing; /* the one dimension of extent 1 that was broadcast; -1: none, or several */
} factor;

static bool widened(dtype from, dtype to)
{
    if (to == DT_I32)
        return from == DT_I8 || from == DT_U8;
    return to == DT_F32 && (from == DT_F16 || from == DT_BF16 || dt_is_f8(from));
}

static factor factor_of(const ir_func *f, ir_val v)
{
    const ir_type_info *full = ir_type_of(f->m, ir_vtype(f, v)), *t;
    factor x = {v, full->dt, -1};
    for (ir_op d = ir_def(f, v); d.id; d = ir_def(f, x.src)) {
        ir_code code = ir_op_code(f, d);
        dtype from = ir_nin(f, d) ? ir_type_dt(f->m, ir_vtype(f, ir_in(f, d, 0))) : DT_NONE;
        if (code == IR_OP_cast && x.dt == full->dt && widened(from, x.dt))
            x.dt = from;
        else if (code != IR_OP_broadcast)
            break;
        x.src = ir_in(f, d, 0);
    }
    t = ir_type_of(f->m, ir_vtype(f, x.src));
    for (int i = 0; i < full->rank; i++)
        if (t->shape[i] != full->shape[i])
            x.missing = x.missing == -1 ? i : -2;
    return x;
}

/* x without its missing dimension, as a matrix of dt with K along `k_dim` (0 or 1) */
static ir_val matrix(rw *r, factor x, dtype dt, int k_axis, int k_dim)
{
    int gone = x.missing;
    ir_val src = ir_cast(&r->b, ir_map_get(&r->map, x.src), dt);
    const ir_type_info *t = ir_type_of(r->f->m, ir_vtype(r->f, src));
    int64_t shape[2];
    for (int i = 0, n = 0; i < 3; i++)
        if (i != gone)
            shape[n++] = t->shape[i];
    ir_val m = ir_reshape(&r->b, src, 2, shape);
    int k_at = k_axis > gone ? k_axis - 1 : k_axis;
    if (k_at == k_dim)
        return m;
    int64_t order[] = {1, 0}, swapped[] = {shape[1], shape[0]};
    ir_type mt = ir_type_with_shape(r->f->m, ir_vtype(r->f, m), 2, swapped);
    return ir_emit1a(&r->b, IR_OP_permute, mt, &m, 1, KEY_order, ir_attr_ints(r->f->m, order, 2));
}

static bool to_dot(rw *r, ir_op o)
{
    const ir_func *f = r->old;
    if (ir_op_code(f, o) != IR_OP_reduce || ir_nin(f, o) != 1 || !sums(f, o))
        return false;
    ir_op m = ir_def(f, ir_in(f, o, 0));
    ir_type t = ir_vtype(f, ir_in(f, o, 0));
    dtype dt = ir_type_dt(f->m, t);
    if (!m.id || ir_op_code(f, m) != IR_OP_mul || ir_type_rank(f->m, t) != 3 ||
        (dt != DT_F32 && dt != DT_F64 && dt != DT_I32))
        return false;
    int k_axis = (int)ir_int(f, o, KEY_axis, 0);
    factor x = factor_of(f, ir_in(f, m, 0)), y = factor_of(f, ir_in(f, m, 1));
    if (x.missing < 0 || y.missing < 0 || x.missing == y.missing || x.missing == k_axis || y.missing == k_axis)
        return false;
    bool as_were = x.dt == y.dt || (dt_bits(x.dt) == 8 && dt_bits(y.dt) == 8);
    if (dt == DT_I32 && (dt_bits(x.dt) != 8 || dt_bits(y.dt) != 8))
        return false;
    /* x varies along y's missing dimension, y along x's; the result's first dimension is the smaller of the two */
    bool x_first = y.missing < x.missing;
    rw_begin(r, o);
    ir_val left = matrix(r, x_first ? x : y, as_were ? (x_first ? x.dt : y.dt) : dt, k_axis, 1);
    ir_val right = matrix(r, x_first ? y : x, as_were ? (x_first ? y.dt : x.dt) : dt, k_axis, 0);
    ir_type out = ir_vtype(f, ir_out(f, o, 0));
    rw_set(r, o, 0, ir_emit1(&r->b, IR_OP_dot, out, (ir_val[]){left, right, ir_const_bits(&r->b, out, 0)}, 3));
    return true;
}

static bool visit(rw *r, ir_op o)
{
    const combine *c = r->ctx;
    return c->done[o.id] || to_fma(r, o) || load_with_other(r, o) || to_dot(r, o);
}

ir_func *pass_combine(pass_ctx *c, ir_func *f)
{
    combine k = {.u = uses_build(c->scratch, f), .done = ARENA_ARRAY(c->scratch, bool, f->ops.n)};
    rw r;
    rw_init(&r, c, f, visit, &k);
    return rw_run(&r);
}
