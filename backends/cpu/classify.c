/* classify.c: the class of every value, before steps are made (plan.h says what the classes are).
 *
 * Arithmetic on tiles is SYM only when it is cheap and touches no DATA: offsets, masks and addresses are then
 * recomputed in each loop, in scalar registers where they are affine; division and mathematics are always DATA,
 * computed once. Loads of rows that nothing writes are SYM too (affine.c): read again, not kept beside.
 */
#include "backends/cpu/plan.h"

static bool is_scalar(const ir_func *f, ir_val v)
{
    return ir_type_rank(f->m, ir_vtype(f, v)) == 0;
}

static bool is_cheap(ir_code code)
{
    switch (code) {
    case IR_OP_add:
    case IR_OP_sub:
    case IR_OP_mul:
    case IR_OP_neg:
    case IR_OP_abs:
    case IR_OP_min:
    case IR_OP_max:
    case IR_OP_and:
    case IR_OP_or:
    case IR_OP_xor:
    case IR_OP_not:
    case IR_OP_shl:
    case IR_OP_shr:
    case IR_OP_eq:
    case IR_OP_ne:
    case IR_OP_lt:
    case IR_OP_le:
    case IR_OP_gt:
    case IR_OP_ge:
    case IR_OP_select:
    case IR_OP_cast:
    case IR_OP_bitcast:
    case IR_OP_ptr_add:
    case IR_OP_ptr_cast:
        return true;
    default:
        return false;
    }
}

static bool is_view(ir_code code)
{
    switch (code) {
    case IR_OP_const:
    case IR_OP_undef:
    case IR_OP_arange:
    case IR_OP_splat:
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_permute:
    case IR_OP_slice:
    case IR_OP_extract:
    case IR_OP_gather:
    case IR_OP_split:
    case IR_OP_hint:
        return true;
    default:
        return false;
    }
}

bool plan_is_whole(const ir_func *f, ir_op o)
{
    switch (ir_op_code(f, o)) {
    case IR_OP_dot:
    case IR_OP_scan:
    case IR_OP_sort:
    case IR_OP_histogram:
    case IR_OP_join:
    case IR_OP_cat:
        return true;
    case IR_OP_reduce:
        return !plan_simple_reduce(f, o, NULL);
    default:
        return false;
    }
}

bool plan_simple_reduce(const ir_func *f, ir_op o, ir_op *inner)
{
    if (ir_nin(f, o) != 1)
        return false;
    ir_region r = ir_op_region(f, o, 0);
    ir_op x = ir_first(f, r);
    if (!x.id || ir_next(f, x).id != ir_last(f, r).id || ir_nin(f, x) != 2 || ir_nout(f, x) != 1)
        return false;
    uint32_t a = ir_in(f, x, 0).id, b = ir_in(f, x, 1).id;
    uint32_t l = ir_param_of(f, r, 0).id, h = ir_param_of(f, r, 1).id;
    if (!((a == l && b == h) || (a == h && b == l)) || ir_in(f, ir_last(f, r), 0).id != ir_out(f, x, 0).id)
        return false;
    switch (ir_op_code(f, x)) {
    case IR_OP_add:
    case IR_OP_mul:
    case IR_OP_min:
    case IR_OP_max:
    case IR_OP_and:
    case IR_OP_or:
    case IR_OP_xor:
        break;
    default:
        return false;
    }
    if (inner)
        *inner = x;
    return true;
}

/* the same in every element, and not read from memory tiles */
static bool is_uniform(const plan *p, ir_val v)
{
    const ir_func *f = p->f;
    ir_op o = ir_def(f, v);
    if (is_scalar(f, v))
        return true;
    if (!o.id)
        return false;
    switch (ir_op_code(f, o)) {
    case IR_OP_const:
    case IR_OP_splat:
        return true;
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_cast:
    case IR_OP_neg:
        return is_uniform(p, ir_in(f, o, 0));
    case IR_OP_add:
    case IR_OP_mul:
    case IR_OP_sub:
        return is_uniform(p, ir_in(f, o, 0)) && is_uniform(p, ir_in(f, o, 1));
    default:
        return false;
    }
}

bool plan_shift_steps(const plan *p, ir_val param, ir_val next, ir_val *by, uint32_t *n, uint32_t max)
{
    const ir_func *f = p->f;
    *n = 0;
    while (next.id != param.id) {
        ir_op o = ir_def(f, next);
        if (!o.id || *n == max)
            return false;
        ir_code code = ir_op_code(f, o);
        if (code != IR_OP_ptr_add && code != IR_OP_add)
            return false;
        ir_val x = ir_in(f, o, 0), y = ir_in(f, o, 1);
        if (code == IR_OP_add && is_uniform(p, x)) {
            ir_val t = x;
            x = y;
            y = t;
        }
        if (!is_uniform(p, y))
            return false;
        by[(*n)++] = y;
        next = x;
    }
    return true;
}

static bool moves_uniformly(const plan *p, ir_val param, ir_val next)
{
    const ir_func *f = p->f;
    ir_type t = ir_vtype(f, param);
    ir_val by[4];
    uint32_t n;
    return (ir_type_is_ptr(f->m, t) || dt_is_int(ir_type_dt(f->m, t))) &&
           plan_shift_steps(p, param, next, by, &n, COUNTOF(by));
}

static void set(plan *p, ir_val v, val_class cls, bool has_data)
{
    p->v[v.id].cls = (uint8_t)cls;
    p->v[v.id].has_data = has_data;
}

static void set_carried(plan *p, ir_op loop, uint32_t i, ir_val v, ir_val init, bool shift)
{
    plan_val *x = &p->v[v.id];
    x->cls = shift ? VC_SHIFT : VC_CARRIED;
    x->has_data = shift ? p->v[init.id].has_data : true;
    x->init = init;
    x->loop = loop;
    x->index = i;
}

static void classify_region(plan *p, ir_region r);

static void classify_loop(plan *p, ir_op o)
{
    const ir_func *f = p->f;
    bool is_for = ir_op_code(f, o) == IR_OP_for;
    uint32_t skip = is_for ? 3 : 0, n = ir_nout(f, o);
    ir_region body = ir_op_region(f, o, is_for ? 0 : 1);
    for (uint32_t i = 0; i < n; i++) {
        ir_val init = ir_in(f, o, skip + i), param = ir_param_of(f, body, (is_for ? 1 : 0) + i), out = ir_out(f, o, i);
        if (is_scalar(f, out)) {
            set(p, param, VC_SCALAR, false);
            set(p, out, VC_SCALAR, false);
            if (!is_for)
                set(p, ir_param_of(f, ir_op_region(f, o, 0), i), VC_SCALAR, false);
            continue;
        }
        bool shift = moves_uniformly(p, param, ir_in(f, ir_last(f, body), i));
        set_carried(p, o, i, param, init, shift);
        set_carried(p, o, i, out, init, shift);
        if (!is_for)
            set_carried(p, o, i, ir_param_of(f, ir_op_region(f, o, 0), i), init, shift);
    }
    if (is_for)
        set(p, ir_param_of(f, body, 0), VC_SCALAR, false);
    for (uint32_t i = 0; i < (is_for ? 1u : 2u); i++)
        classify_region(p, ir_op_region(f, o, i));
}

/* a row less its mean, say: read and subtracted again it costs less than a buffer that takes the row's place in the
 * cache */
static bool is_shifted_row(const plan *p, ir_op o)
{
    const ir_func *f = p->f;
    ir_code code = ir_op_code(f, o);
    if (code != IR_OP_add && code != IR_OP_sub)
        return false;
    ir_op x = ir_def(f, ir_in(f, o, 0)), y = ir_def(f, ir_in(f, o, 1));
    return x.id && y.id && ir_op_code(f, x) == IR_OP_load && plan_rereads(p, x) && ir_op_code(f, y) == IR_OP_splat;
}

static void classify_op(plan *p, ir_op o)
{
    const ir_func *f = p->f;
    ir_code code = ir_op_code(f, o);
    if (code == IR_OP_for || code == IR_OP_while) {
        classify_loop(p, o);
        return;
    }
    if (code == IR_OP_dot)
        for (uint32_t i = 0; i < 2; i++)
            plan_operand_on_demand(p, ir_in(f, o, i));
    if (plan_is_products(f, o))
        plan_products_on_demand(p, o);
    bool data = false, tile_in = false;
    for (uint32_t i = 0; i < ir_nin(f, o); i++) {
        ir_val x = ir_in(f, o, i);
        data |= !is_scalar(f, x) && (p->v[x.id].cls == VC_DATA || p->v[x.id].has_data);
        tile_in |= !is_scalar(f, x);
    }
    for (uint32_t i = 0; i < ir_nout(f, o); i++) {
        ir_val v = ir_out(f, o, i);
        p->v[v.id].dead = !(ir_info(f, o)->flags & WRITE) && p->nuse[v.id] == 0;
        if (code == IR_OP_if)
            set(p, v, is_scalar(f, v) ? VC_SCALAR : VC_CARRIED, !is_scalar(f, v));
        else if (is_scalar(f, v))
            set(p, v,
                (ir_info(f, o)->flags & READ) || tile_in || code == IR_OP_map || code == IR_OP_reduce ? VC_DATA
                                                                                                      : VC_SCALAR,
                false);
        else if (is_view(code) || (code == IR_OP_load && plan_rereads(p, o)))
            set(p, v, VC_SYM, data || code == IR_OP_load);
        else if (is_shifted_row(p, o))
            set(p, v, VC_SYM, true);
        else if (is_cheap(code) && !data)
            set(p, v, VC_SYM, false);
        else
            set(p, v, VC_DATA, true);
    }
    if (code == IR_OP_if)
        for (uint32_t i = 0; i < 2; i++)
            classify_region(p, ir_op_region(f, o, i));
}

static void classify_region(plan *p, ir_region r)
{
    FOR_OPS(p->f, r, o)
    classify_op(p, o);
}

/* ---- what later code wants ---- */
typedef struct segment {
    uint32_t id, next;
    uint32_t *of; /* by value id */
    plan *p;
} segment;

static void want(plan *p, ir_val v)
{
    const ir_func *f = p->f;
    ir_op o = ir_def(f, v);
    if (p->v[v.id].outside)
        return;
    p->v[v.id].outside = true;
    if (!o.id || p->v[v.id].cls == VC_DATA || p->v[v.id].cls == VC_CARRIED || ir_info(f, o)->flags & CTRL)
        return;
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        want(p, ir_in(f, o, i));
}

static void find_uses(segment *s, ir_region r, bool inner)
{
    const ir_func *f = s->p->f;
    if (!inner)
        s->id = ++s->next;
    for (uint32_t i = 0; i < ir_nparams(f, r); i++)
        s->of[ir_param_of(f, r, i).id] = s->id;
    FOR_OPS(f, r, o)
    {
        int flags = ir_info(f, o)->flags;
        bool last = (flags & (CTRL | TERM)) && !inner;
        for (uint32_t i = 0; i < ir_nin(f, o); i++)
            if (last || s->of[ir_in(f, o, i).id] != s->id)
                want(s->p, ir_in(f, o, i));
        uint32_t here = s->id;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            find_uses(s, ir_op_region(f, o, i), inner || !(flags & CTRL));
        s->id = (flags & CTRL) && !inner ? ++s->next : here;
        for (uint32_t i = 0; i < ir_nout(f, o); i++)
            s->of[ir_out(f, o, i).id] = s->id;
    }
}

static void number(plan *p, ir_region r, uint32_t *next)
{
    const ir_func *f = p->f;
    FOR_OPS(f, r, o)
    {
        p->seq[o.id] = ++*next;
        for (uint32_t i = 0; i < ir_nin(f, o); i++)
            p->nuse[ir_in(f, o, i).id]++;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            number(p, ir_op_region(f, o, i), next);
    }
}

void plan_classify(plan *p)
{
    const ir_func *f = p->f;
    uint32_t next = 0;
    for (uint32_t i = 0; i < f->vals.n; i++)
        p->v[i] = (plan_val){.step = -1, .buffer = -1, .ident_last = -1, .other_last = -1};
    number(p, f->body, &next);
    for (uint32_t i = 0; i < ir_nparams(f, f->body); i++)
        set(p, ir_param_of(f, f->body, i), VC_SCALAR, false);
    classify_region(p, f->body);
    segment s = {.of = ARENA_ARRAY(p->a, uint32_t, f->vals.n), .p = p};
    find_uses(&s, f->body, false);
}

void plan_op_shape(const ir_func *f, ir_op o, int *rank, int64_t *shape)
{
    ir_code code = ir_op_code(f, o);
    ir_val v =
        code == IR_OP_store || (code == IR_OP_reduce && !plan_is_products(f, o)) ? ir_in(f, o, 0) : ir_out(f, o, 0);
    const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, v));
    *rank = t->kind == TK_TILE ? t->rank : 0;
    for (int i = 0; i < *rank; i++)
        shape[i] = t->shape[i];
}
