/* guards.c: under which launches do a kernel's i64 values fit 32 bits?
 *
 * A value is boundable where it is made by arithmetic from launch-time integers: parameters, sizes and strides of
 * tensor parameters, program ids, counts of programs, ranges, constants, and loop indices between such bounds. Its
 * least and greatest value are then expressions over the launch, found by interval arithmetic. The guard function of a
 * kernel (FUNC_HOST, the kernel's parameters, one i64 result) evaluates them in f64, which can't overflow and is exact
 * wherever it matters, since 2^31 is far below 2^53, and is 1 when every tile of i64 values fits. It is evaluated once
 * a launch.
 *
 * The function is derived before anything that a launch specialises on, in a form of the kernel where tensor accesses
 * are pointers (narrow_form). Pass narrow meets other code later and asks anew, value by value (guards_open,
 * guards_hold): the bound is written down through a builder that already holds the guard function, and the launch has
 * checked it iff that finds the comparisons there.
 */
#include "compiler/guards.h"
#include "compiler/passes/rewrite.h"

typedef struct bound {
    ir_val lo, hi; /* f64, in the guard function */
    str text;      /* of hi */
    bool atom;     /* text needs no brackets */
} bound;

typedef struct guards {
    const ir_func *f;
    arena *a;
    ir_func *host;
    ir_builder b;
    bound *at; /* by value id, made when first asked for */
    bool *have;
    ir_val ok;
    axis_guard_list *list;
} guards;

static bool is_i64(const ir_func *f, ir_val v)
{
    return ir_type_dt(f->m, ir_vtype(f, v)) == DT_I64;
}

static bool is_func_param(const ir_func *f, ir_val v)
{
    ir_val_data d = f->vals.at[v.id];
    return !d.def.id && d.region.id == f->body.id;
}

/* ---- which values ---- */
static bool boundable_op(const ir_func *f, const bool *ok, ir_op o)
{
    ir_val a = ir_nin(f, o) ? ir_in(f, o, 0) : (ir_val){0};
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_const:
    case IR_OP_arange:
    case IR_OP_program_id:
    case IR_OP_num_programs:
        return true;
    case IR_OP_tensor_dim:
    case IR_OP_tensor_stride:
        return is_func_param(f, a);
    case IR_OP_cast: {
        dtype d = ir_type_dt(f->m, ir_vtype(f, a));
        return d != DT_U64 && d != DT_BOOL && dt_is_int(d) && (d != DT_I64 || ok[a.id]);
    }
    case IR_OP_add:
    case IR_OP_sub:
    case IR_OP_mul:
    case IR_OP_min:
    case IR_OP_max:
        return ok[a.id] && ok[ir_in(f, o, 1).id];
    case IR_OP_div:
    case IR_OP_rem:
        return ok[a.id];
    case IR_OP_select:
        return ok[ir_in(f, o, 1).id] && ok[ir_in(f, o, 2).id];
    case IR_OP_neg:
    case IR_OP_splat:
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_permute:
    case IR_OP_slice:
    case IR_OP_hint:
        return ok[a.id];
    default:
        return false;
    }
}

static void find(const ir_func *f, bool *ok, ir_region r)
{
    FOR_OPS(f, r, o)
    {
        if (ir_op_code(f, o) == IR_OP_for && is_i64(f, ir_in(f, o, 0)))
            ok[ir_param_of(f, ir_op_region(f, o, 0), 0).id] = ok[ir_in(f, o, 0).id] && ok[ir_in(f, o, 1).id];
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            find(f, ok, ir_op_region(f, o, i));
        if (ir_nout(f, o) == 1 && is_i64(f, ir_out(f, o, 0)))
            ok[ir_out(f, o, 0).id] = boundable_op(f, ok, o);
    }
}

bool *guards_boundable(arena *a, const ir_func *f)
{
    bool *ok = ARENA_ARRAY(a, bool, f->vals.n);
    for (uint32_t i = 0; i < f->params.n; i++) {
        ir_val v = ir_param_of(f, f->body, i);
        ok[v.id] = ir_type_of(f->m, ir_vtype(f, v))->kind == TK_NUM && is_i64(f, v);
    }
    find(f, ok, f->body);
    return ok;
}

/* ---- the guard function ---- */
static ir_type f64_of(guards *g)
{
    return ir_type_num(g->f->m, DT_F64);
}

static bound literal(guards *g, int64_t lo, int64_t hi)
{
    return (bound){ir_const_f(&g->b, f64_of(g), (double)lo), ir_const_f(&g->b, f64_of(g), (double)hi),
                   str_fmt(g->a, "%lld", (long long)hi), true};
}

static bound exactly(guards *g, ir_val v, str text)
{
    ir_val x = ir_cast(&g->b, v, DT_F64);
    return (bound){x, x, text, true};
}

static ir_val least(guards *g, ir_val x, ir_val y)
{
    return ir_bin(&g->b, IR_OP_min, x, y);
}
static ir_val most(guards *g, ir_val x, ir_val y)
{
    return ir_bin(&g->b, IR_OP_max, x, y);
}

static str in_brackets(guards *g, bound x)
{
    return x.atom ? x.text : str_fmt(g->a, "(%.*s)", STR_ARG(x.text));
}

static bound product(guards *g, bound x, bound y)
{
    ir_val p[4] = {ir_bin(&g->b, IR_OP_mul, x.lo, y.lo), ir_bin(&g->b, IR_OP_mul, x.lo, y.hi),
                   ir_bin(&g->b, IR_OP_mul, x.hi, y.lo), ir_bin(&g->b, IR_OP_mul, x.hi, y.hi)};
    bound r = {p[0], p[0], str_fmt(g->a, "%.*s * %.*s", STR_ARG(in_brackets(g, x)), STR_ARG(in_brackets(g, y))), false};
    for (int i = 1; i < 4; i++) {
        r.lo = least(g, r.lo, p[i]);
        r.hi = most(g, r.hi, p[i]);
    }
    return r;
}

static bound either(guards *g, bound x, bound y)
{
    return (bound){least(g, x.lo, y.lo), most(g, x.hi, y.hi),
                   str_fmt(g->a, "max(%.*s, %.*s)", STR_ARG(x.text), STR_ARG(y.text)), true};
}

/* no further from 0 than x is, either way */
static bound around(guards *g, bound x)
{
    ir_val m = most(g, x.hi, ir_un(&g->b, IR_OP_neg, x.lo));
    return (bound){ir_un(&g->b, IR_OP_neg, m), m, x.text, x.atom};
}

static bound bound_of(guards *g, ir_val v);

static bound of_cast(guards *g, ir_val a)
{
    dtype d = ir_type_dt(g->f->m, ir_vtype(g->f, a));
    if (d == DT_I64)
        return bound_of(g, a);
    int n = dt_bits(d);
    if (dt_is_signed(d))
        return literal(g, -((int64_t)1 << (n - 1)), ((int64_t)1 << (n - 1)) - 1);
    return literal(g, 0, ((int64_t)1 << n) - 1);
}

static bound of_launch(guards *g, ir_op o)
{
    ir_module *m = g->f->m;
    int64_t k = ir_int(g->f, o, KEY_axis, 0);
    ir_type t = ir_type_num(m, DT_I64);
    ir_val n = ir_emit1a(&g->b, IR_OP_num_programs, t, NULL, 0, KEY_axis, ir_attr_int(m, k));
    bound r = exactly(g, n, str_fmt(g->a, "num_programs(%lld)", (long long)k));
    if (ir_op_code(g->f, o) == IR_OP_num_programs)
        return r;
    r.lo = ir_const_f(&g->b, f64_of(g), 0);
    r.hi = ir_bin(&g->b, IR_OP_sub, r.hi, ir_const_f(&g->b, f64_of(g), 1));
    return r;
}

static bound of_tensor(guards *g, ir_op o)
{
    ir_module *m = g->f->m;
    uint32_t p = g->f->vals.at[ir_in(g->f, o, 0).id].index;
    int64_t d = ir_int(g->f, o, KEY_dim, 0);
    ir_val t = ir_param_of(g->host, g->host->body, p);
    bool size = ir_op_code(g->f, o) == IR_OP_tensor_dim;
    ir_val v = ir_emit1a(&g->b, ir_op_code(g->f, o), ir_type_num(m, DT_I64), &t, 1, KEY_dim, ir_attr_int(m, d));
    return exactly(
        g, v, str_fmt(g->a, "%.*s.%s(%lld)", STR_ARG(g->f->params.at[p].name), size ? "size" : "stride", (long long)d));
}

static bound of_op(guards *g, ir_op o, ir_val v)
{
    const ir_func *f = g->f;
    ir_val a = ir_nin(f, o) ? ir_in(f, o, 0) : v;
    int64_t c;
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_const:
        ir_const_int_of(f, v, &c);
        return literal(g, c, c);
    case IR_OP_arange:
        c = ir_int(f, o, KEY_start, 0);
        return literal(g, c, c + ir_type_count(f->m, ir_vtype(f, v)) - 1);
    case IR_OP_program_id:
    case IR_OP_num_programs:
        return of_launch(g, o);
    case IR_OP_tensor_dim:
    case IR_OP_tensor_stride:
        return of_tensor(g, o);
    case IR_OP_cast:
        return of_cast(g, a);
    case IR_OP_add: {
        bound x = bound_of(g, a), y = bound_of(g, ir_in(f, o, 1));
        return (bound){ir_bin(&g->b, IR_OP_add, x.lo, y.lo), ir_bin(&g->b, IR_OP_add, x.hi, y.hi),
                       str_fmt(g->a, "%.*s + %.*s", STR_ARG(x.text), STR_ARG(y.text)), false};
    }
    case IR_OP_sub: {
        bound x = bound_of(g, a), y = bound_of(g, ir_in(f, o, 1));
        return (bound){ir_bin(&g->b, IR_OP_sub, x.lo, y.hi), ir_bin(&g->b, IR_OP_sub, x.hi, y.lo), x.text, x.atom};
    }
    case IR_OP_neg: {
        bound x = around(g, bound_of(g, a));
        return x;
    }
    case IR_OP_mul:
        return product(g, bound_of(g, a), bound_of(g, ir_in(f, o, 1)));
    case IR_OP_min:
    case IR_OP_max:
        return either(g, bound_of(g, a), bound_of(g, ir_in(f, o, 1)));
    case IR_OP_select:
        return either(g, bound_of(g, ir_in(f, o, 1)), bound_of(g, ir_in(f, o, 2)));
    case IR_OP_div:
    case IR_OP_rem:
        return around(g, bound_of(g, a));
    default:
        return bound_of(g, a);
    }
}

static bound bound_of(guards *g, ir_val v)
{
    if (g->have[v.id])
        return g->at[v.id];
    const ir_func *f = g->f;
    ir_val_data d = f->vals.at[v.id];
    bound r;
    if (d.def.id)
        r = of_op(g, d.def, v);
    else if (d.region.id == f->body.id)
        r = exactly(g, ir_param_of(g->host, g->host->body, d.index), f->params.at[d.index].name);
    else {
        ir_op loop = f->regions.at[d.region.id].owner;
        r = either(g, bound_of(g, ir_in(f, loop, 0)), bound_of(g, ir_in(f, loop, 1)));
    }
    g->at[v.id] = r;
    g->have[v.id] = true;
    return r;
}

static const double edge = 2147483648.0;

static ir_val above_least(guards *g, bound x)
{
    return ir_cmp(&g->b, IR_OP_ge, x.lo, ir_const_f(&g->b, f64_of(g), -edge));
}

static ir_val below_most(guards *g, bound x)
{
    return ir_cmp(&g->b, IR_OP_lt, x.hi, ir_const_f(&g->b, f64_of(g), edge));
}

static void require(guards *g, ir_val v)
{
    bound x = bound_of(g, v);
    ir_val lo = above_least(g, x), hi = below_most(g, x);
    ir_val both = ir_bin(&g->b, IR_OP_and, lo, hi), now = g->ok.id ? ir_bin(&g->b, IR_OP_and, g->ok, both) : both;
    uint64_t bits;
    if (g->ok.id && now.id == g->ok.id)
        return;
    g->ok = now;
    if (ir_const_of(g->host, both, &bits))
        return;
    axis_guard t = {str_fmt(g->a, "%.*s < 2147483648", STR_ARG(x.text))};
    for (uint32_t i = 0; g->list && i < g->list->n; i++)
        if (str_eq(g->list->at[i].text, t.text))
            return;
    if (g->list)
        vec_push(g->a, g->list, t);
}

static str guards_name(arena *a, const ir_func *f)
{
    return str_fmt(a, "%.*s.guards", STR_ARG(f->name));
}

static void open_tables(guards *g, arena *scratch)
{
    g->at = ARENA_ARRAY(scratch, bound, g->f->vals.n);
    g->have = ARENA_ARRAY(scratch, bool, g->f->vals.n);
    ir_builder_init(&g->b, g->host, scratch);
}

/* the form in which guards are asked for: tensors as pointers, offsets apart */
static ir_func *narrow_form(pass_ctx *c, ir_func *f)
{
    return pass_split_offsets(c, pass_fold(c, pass_lower_tensors(c, f)));
}

ir_func *axis_guards(pass_ctx *c, ir_func *f, axis_guard_list *list)
{
    ir_map map;
    f = narrow_form(c, f);
    guards g = {.f = f, .a = c->a, .list = list, .host = ir_func_like(f, &map, c->scratch)};
    axis known = axis_build(c->scratch, f, c->opt);
    bool *ok = guards_boundable(c->scratch, f);
    g.host->kind = FUNC_HOST;
    g.host->name = guards_name(c->a, f);
    g.host->host = S("");
    g.host->has_grid = g.host->cooperative = g.host->persistent = false;
    g.host->num_warps = g.host->num_stages = g.host->num_ctas = g.host->waves_per_eu = 0;
    open_tables(&g, c->scratch);
    for (uint32_t v = 1; v < f->vals.n; v++) {
        const axis_info *i = &known.at[v];
        bool proved = i->known && i->lo >= INT32_MIN && i->hi <= INT32_MAX;
        if (ok[v] && !proved && ir_type_rank(f->m, ir_vtype(f, (ir_val){v})))
            require(&g, (ir_val){v});
    }
    if (!g.ok.id)
        return NULL;
    ir_val r = ir_cast(&g.b, g.ok, DT_I64);
    ir_return(&g.b, &r, 1);
    g.host->results.n = 0;
    vec_push(c->a, &g.host->results, ir_type_num(f->m, DT_I64));
    ir_module_add(c->m, g.host);
    return g.host;
}

/* ---- what a launch has checked ---- */
struct guard_set {
    guards g;
    bool *boundable;
    uint32_t mark; /* ops up to here are the guard function's own */
};

guard_set *guards_open(pass_ctx *c, const ir_func *f)
{
    const ir_func *have = ir_module_find(c->m, guards_name(c->scratch, f));
    ir_map map;
    if (!have || have->params.n != f->params.n)
        return NULL;
    guard_set *s = ARENA_NEW(c->scratch, guard_set);
    s->g = (guards){.f = f, .a = c->scratch, .host = ir_func_like(have, &map, c->scratch)};
    open_tables(&s->g, c->scratch);
    ir_clone_ops(&s->g.b, have, have->body, &map, false);
    s->mark = s->g.host->ops.n - 1;
    s->boundable = guards_boundable(c->scratch, f);
    return s;
}

static bool was_checked(const guard_set *s, ir_val cond)
{
    uint64_t bits;
    if (ir_const_of(s->g.host, cond, &bits))
        return bits == 1;
    return ir_def(s->g.host, cond).id <= s->mark;
}

bool guards_hold(guard_set *s, ir_val v)
{
    if (!s->boundable[v.id])
        return false;
    bound x = bound_of(&s->g, v);
    return was_checked(s, above_least(&s->g, x)) && was_checked(s, below_most(&s->g, x));
}
