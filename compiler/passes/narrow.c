/* narrow.c: pass narrow: tiles of i64 values that fit are computed in 32 bits.
 *
 * A tile fits where its range proves it (always), or where the launch checked that it does (opt->narrow, and the guard
 * function in the module, see guards.c; pass specialise puts it there). Fitting tiles made by arithmetic of fitting
 * tiles get an i32 twin; comparisons, conversions and pointer offsets take the twin. The wide value stays as a cast of
 * it, which goes when nothing uses it. Pass split_offsets comes
 * before: what it leaves in a tile often needs no guard at all.
 */
#include "compiler/guards.h"
#include "compiler/passes/rewrite.h"

typedef struct narrow {
    axis known;
    guard_set *guards; /* NULL: none hold */
    ir_val *twin;      /* by old value id */
    bool *narrowed;    /* by old value id: it gets a twin */
    bool *wide;        /* by old value id: something takes it in 64 bits */
    ir_attr one;
} narrow;

static bool is_i64_tile(const ir_func *f, ir_val v)
{
    ir_type t = ir_vtype(f, v);
    return ir_type_rank(f->m, t) && ir_type_dt(f->m, t) == DT_I64;
}

static bool fits(const narrow *n, const ir_func *f, ir_val v)
{
    const axis_info *i = &n->known.at[v.id];
    if (ir_type_dt(f->m, ir_vtype(f, v)) != DT_I64)
        return false;
    return (i->known && i->lo >= INT32_MIN && i->hi <= INT32_MAX) || (n->guards && guards_hold(n->guards, v));
}

/* the value in 32 bits: its twin, or a cast */
static ir_val in_32(rw *r, ir_val old)
{
    const narrow *n = r->ctx;
    return n->twin[old.id].id ? n->twin[old.id] : ir_cast(&r->b, ir_map_get(&r->map, old), DT_I32);
}

static bool narrows(ir_code code)
{
    switch ((int)code) {
    case IR_OP_const:
    case IR_OP_arange:
    case IR_OP_splat:
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_permute:
    case IR_OP_slice:
    case IR_OP_add:
    case IR_OP_sub:
    case IR_OP_mul:
    case IR_OP_div:
    case IR_OP_rem:
    case IR_OP_neg:
    case IR_OP_min:
    case IR_OP_max:
    case IR_OP_select:
        return true;
    default:
        return false;
    }
}

/* ops whose twin says that it doesn't wrap: back ends may widen what it gives without looking */
static bool wraps(ir_code code)
{
    return code == IR_OP_add || code == IR_OP_sub || code == IR_OP_mul || code == IR_OP_neg;
}

/* where the operands in 64 bits begin: select's condition is none */
static uint32_t first_operand(ir_code code)
{
    return code == IR_OP_select ? 1 : 0;
}

static bool has_twin(const narrow *n, const ir_func *f, ir_op o)
{
    if (ir_nout(f, o) != 1 || !narrows(ir_op_code(f, o)) || !is_i64_tile(f, ir_out(f, o, 0)) ||
        !fits(n, f, ir_out(f, o, 0)))
        return false;
    for (uint32_t i = first_operand(ir_op_code(f, o)); i < ir_nin(f, o); i++)
        if (!fits(n, f, ir_in(f, o, i)))
            return false;
    return true;
}

/* before the ops are visited: which values get twins */
static void find_narrowed(narrow *n, const ir_func *f)
{
    for (uint32_t i = 1; i < f->ops.n; i++)
        if (f->ops.at[i].parent.id && has_twin(n, f, (ir_op){i}))
            n->narrowed[ir_out(f, (ir_op){i}, 0).id] = true;
}

/* ops that take twins and give what they gave before */
static bool takes_compare(const narrow *n, const ir_func *f, ir_op o)
{
    ir_code code = ir_op_code(f, o);
    return code >= IR_OP_eq && code <= IR_OP_ge && is_i64_tile(f, ir_in(f, o, 0)) && fits(n, f, ir_in(f, o, 0)) &&
           fits(n, f, ir_in(f, o, 1));
}

static bool takes_cast(const narrow *n, const ir_func *f, ir_op o)
{
    return ir_op_code(f, o) == IR_OP_cast && n->narrowed[ir_in(f, o, 0).id] && !ir_int(f, o, KEY_rtz, 0);
}

static bool takes_offset(const narrow *n, const ir_func *f, ir_op o)
{
    return ir_op_code(f, o) == IR_OP_ptr_add && is_i64_tile(f, ir_in(f, o, 1)) && fits(n, f, ir_in(f, o, 1));
}

/* marks the values whose 64 bits some op wants: only those get a cast of their twin */
static void find_wide(narrow *n, const ir_func *f)
{
    for (uint32_t i = 1; i < f->ops.n; i++) {
        ir_op o = {i};
        if (!ir_o(f, o)->parent.id)
            continue;
        bool all =
            (ir_nout(f, o) == 1 && n->narrowed[ir_out(f, o, 0).id]) || takes_compare(n, f, o) || takes_cast(n, f, o);
        for (uint32_t k = 0; k < ir_nin(f, o); k++)
            if (!(all || (k == 1 && takes_offset(n, f, o))) || !n->narrowed[ir_in(f, o, k).id])
                n->wide[ir_in(f, o, k).id] = true;
    }
}

static bool make_twin(rw *r, ir_op o)
{
    narrow *n = r->ctx;
    const ir_func *f = r->old;
    uint32_t first = first_operand(ir_op_code(f, o));
    ir_val in[3];
    if (ir_nout(f, o) != 1 || !n->narrowed[ir_out(f, o, 0).id])
        return false;
    rw_begin(r, o);
    ir_val v = ir_out(f, o, 0), twin;
    ir_type t = ir_type_with_dt(f->m, ir_vtype(f, v), DT_I32);
    int64_t c;
    if (ir_op_code(f, o) == IR_OP_const) {
        ir_const_int_of(f, v, &c);
        twin = ir_const_i(&r->b, t, c);
    } else {
        const ir_op_data p = *ir_o(f, o);
        ir_attr_pair attrs[4];
        uint32_t nattr = 0;
        for (uint32_t i = 0; i < p.nin; i++)
            in[i] = i < first ? rw_in(r, o, i) : in_32(r, ir_in(f, o, i));
        for (; nattr < p.nattr && nattr + 1 < COUNTOF(attrs); nattr++)
            attrs[nattr] = ir_attr_at(f, o, nattr);
        if (wraps(ir_op_code(f, o)) && !ir_has(f, o, KEY_nowrap))
            attrs[nattr++] = (ir_attr_pair){KEY_nowrap, n->one};
        ir_emit(&r->b,
                &(ir_desc){.code = (ir_code)p.code,
                           .in = in,
                           .nin = p.nin,
                           .types = &t,
                           .nout = 1,
                           .attrs = attrs,
                           .nattr = nattr},
                &twin);
    }
    n->twin[v.id] = twin;
    if (n->wide[v.id])
        rw_set(r, o, 0, ir_cast(&r->b, twin, DT_I64));
    return true;
}

static bool take_twins(rw *r, ir_op o)
{
    const narrow *n = r->ctx;
    const ir_func *f = r->old;
    if (takes_compare(n, f, o)) {
        rw_begin(r, o);
        rw_set(r, o, 0, ir_cmp(&r->b, ir_op_code(f, o), in_32(r, ir_in(f, o, 0)), in_32(r, ir_in(f, o, 1))));
        return true;
    }
    if (takes_cast(n, f, o)) {
        rw_begin(r, o);
        rw_set(r, o, 0, ir_cast(&r->b, n->twin[ir_in(f, o, 0).id], ir_type_dt(f->m, ir_vtype(f, ir_out(f, o, 0)))));
        return true;
    }
    if (takes_offset(n, f, o)) {
        rw_begin(r, o);
        rw_set(r, o, 0, ir_ptr_add(&r->b, rw_in(r, o, 0), in_32(r, ir_in(f, o, 1))));
        return true;
    }
    return false;
}

static bool visit(rw *r, ir_op o)
{
    return make_twin(r, o) || take_twins(r, o);
}

ir_func *pass_narrow(pass_ctx *c, ir_func *f)
{
    narrow n = {0};
    rw r;
    n.known = axis_build(c->scratch, f, c->opt);
    n.twin = ARENA_ARRAY(c->scratch, ir_val, f->vals.n);
    n.one = ir_attr_int(f->m, 1);
    if (c->opt->narrow && f->kind == FUNC_KERNEL) {
        n.guards = guards_open(c, f);
        if (!n.guards && axis_guards(c, f, NULL))
            n.guards = guards_open(c, f);
    }
    n.wide = ARENA_ARRAY(c->scratch, bool, f->vals.n);
    n.narrowed = ARENA_ARRAY(c->scratch, bool, f->vals.n);
    find_narrowed(&n, f);
    find_wide(&n, f);
    rw_init(&r, c, f, visit, &n);
    return rw_run(&r);
}
