/* place.c: ops into steps (plan.h says which kinds there are).
 *
 * Anchors are placed in program order: ops with an effect, and ops that want complete operands. Placing an anchor pulls
 * in the unplaced loads and pure ops it reads at its own index and shape (the set); what it reads otherwise is placed
 * first, as an anchor of its own. `bound` is then the first step the whole set may join: after every placed step it
 * reads, or that very step where that is a nest of the same shape and the read is at the same index; after memory it
 * must follow.
 */
#include "backends/cpu/plan.h"

#include <string.h>

typedef struct mem_op {
    ir_op op;
    uint32_t root; /* 0 = unknown */
    bool store;
} mem_op;

typedef struct dep {
    ir_val v;
    bool ident;
} dep;

typedef VEC(dep) dep_list;
typedef VEC(ir_op) op_list;

typedef struct placer {
    plan *p;
    plan_region *r;
    uint32_t first;  /* index in r->steps of the open segment's first step */
    int32_t floor;   /* memory ops may not be placed before this index */
    VEC(mem_op) mem; /* of the segment so far, in program order */
    int32_t *at;     /* by op id: index in r->steps, -1 = not placed */
    plan_visit visit;
    dep_list deps; /* of the op that deps_of looks at */
} placer;

typedef struct shape_of {
    int rank;
    int64_t n[IR_MAX_RANK];
} shape_of;

static void place_op(placer *w, ir_op o);

/* ---- memory ---- */
/* rises by a constant along its one dimension, so that no two elements are equal */
static bool is_ramp(const ir_func *f, ir_val v, int depth)
{
    ir_op o = ir_def(f, v);
    if (!o.id || depth > 16)
        return false;
    switch (ir_op_code(f, o)) {
    case IR_OP_arange:
        return true;
    case IR_OP_hint:
    case IR_OP_cast:
        return is_ramp(f, ir_in(f, o, 0), depth + 1);
    case IR_OP_ptr_add:
        return is_ramp(f, ir_in(f, o, 1), depth + 1);
    case IR_OP_add: {
        ir_op x = ir_def(f, ir_in(f, o, 0)), y = ir_def(f, ir_in(f, o, 1));
        bool xs = x.id && (ir_op_code(f, x) == IR_OP_splat || ir_op_code(f, x) == IR_OP_const);
        bool ys = y.id && (ir_op_code(f, y) == IR_OP_splat || ir_op_code(f, y) == IR_OP_const);
        return (xs && is_ramp(f, ir_in(f, o, 1), depth + 1)) || (ys && is_ramp(f, ir_in(f, o, 0), depth + 1));
    }
    default:
        return false;
    }
}

static bool is_atomic(ir_code code)
{
    return code == IR_OP_atomic_rmw || code == IR_OP_atomic_cas;
}

static bool is_barrier(const ir_func *f, ir_op o)
{
    ir_code code = ir_op_code(f, o);
    return is_atomic(code) || ir_int(f, o, KEY_is_volatile, 0);
}

/* ---- shapes and dependences ---- */
static shape_of op_shape(const ir_func *f, ir_op o)
{
    shape_of s;
    plan_op_shape(f, o, &s.rank, s.n);
    return s;
}

static bool shape_is(const shape_of *s, int rank, const int64_t *n)
{
    return s->rank == rank && memcmp(s->n, n, (size_t)rank * sizeof *n) == 0;
}

static bool is_nest_op(const ir_func *f, ir_op o)
{
    ir_code code = ir_op_code(f, o);
    if (code == IR_OP_reduce)
        return !plan_is_whole(f, o); /* products too */
    return code == IR_OP_map || (ir_info(f, o)->flags & ELT);
}

/* its element is at hand in the nest that computes it */
static bool is_fusable(const ir_func *f, ir_op o)
{
    return is_nest_op(f, o) && (ir_op_code(f, o) != IR_OP_reduce || plan_is_products(f, o));
}

static void on_dep(plan_visit *v, ir_val d, bool ident)
{
    placer *w = v->ctx;
    vec_push(w->p->a, &w->deps, ((dep){d, ident}));
}

/* the DATA values of this region that o reads */
static dep_list deps_of(placer *w, ir_op o)
{
    const ir_func *f = w->p->f;
    dep_list own = {0};
    w->deps = (dep_list){0};
    plan_visit_op(&w->visit, o);
    for (uint32_t i = 0; i < w->deps.n; i++) {
        ir_op d = ir_def(f, w->deps.at[i].v);
        if (d.id && ir_o(f, d)->parent.id == w->r->r.id && !(ir_info(f, d)->flags & CTRL))
            vec_push(w->p->a, &own, w->deps.at[i]);
    }
    return own;
}

static bool in_list(const op_list *l, ir_op o)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->at[i].id == o.id)
            return true;
    return false;
}

static bool joins(const placer *w, const dep *d, const shape_of *s)
{
    const ir_func *f = w->p->f;
    ir_op o = ir_def(f, d->v);
    if (!d->ident || s->rank == 0 || !is_fusable(f, o) || is_barrier(f, o) ||
        ir_type_rank(f->m, ir_vtype(f, d->v)) == 0)
        return false;
    shape_of t = op_shape(f, o);
    return shape_is(s, t.rank, t.n);
}

/* o and the unplaced ops it pulls in; with `settle`, what can't be pulled in is placed */
static void gather_set(placer *w, ir_op o, const shape_of *s, bool settle, op_list *set)
{
    const ir_func *f = w->p->f;
    vec_push(w->p->a, set, o);
    for (uint32_t i = 0; i < set->n; i++) {
        dep_list deps = deps_of(w, set->at[i]);
        for (uint32_t k = 0; k < deps.n; k++) {
            ir_op d = ir_def(f, deps.at[k].v);
            if (w->at[d.id] >= 0)
                continue;
            if (joins(w, &deps.at[k], s)) {
                if (!in_list(set, d))
                    vec_push(w->p->a, set, d);
            } else if (settle) {
                place_op(w, d);
            }
        }
    }
}

/* ---- memory order ---- */
static ir_val pointer_of(const ir_func *f, ir_op o)
{
    return ir_in(f, o, 0);
}

static bool lockstep(const placer *w, ir_op load, ir_op store)
{
    const ir_func *f = w->p->f;
    ir_val x = pointer_of(f, load), y = pointer_of(f, store);
    if (x.id != y.id || ir_op_code(f, store) != IR_OP_store)
        return false;
    return ir_type_rank(f->m, ir_vtype(f, x)) == 1 && is_ramp(f, x, 0);
}

static bool is_dead(const placer *w, ir_op o)
{
    const ir_func *f = w->p->f;
    return ir_nout(f, o) == 1 && w->p->v[ir_out(f, o, 0).id].dead;
}

static bool is_mem(const ir_func *f, ir_op o)
{
    return ir_info(f, o)->flags & (READ | WRITE);
}

/* loads that must happen before write o, and may not share its nest */
static void settle_loads(placer *w, ir_op o)
{
    const plan *p = w->p;
    uint32_t root = plan_root(p, pointer_of(p->f, o));
    bool barrier = is_barrier(p->f, o);
    for (uint32_t i = 0; i < w->mem.n; i++) {
        mem_op e = w->mem.at[i];
        if (e.store || w->at[e.op.id] >= 0 || p->seq[e.op.id] >= p->seq[o.id] || is_dead(w, e.op))
            continue;
        if (barrier || (plan_may_alias(root, e.root) && !lockstep(w, e.op, o)))
            place_op(w, e.op);
    }
}

/* those that may share it, but have no consumer in it */
static void add_lockstep(placer *w, ir_op o, op_list *set)
{
    const plan *p = w->p;
    for (uint32_t i = 0; i < w->mem.n; i++) {
        mem_op e = w->mem.at[i];
        if (!e.store && w->at[e.op.id] < 0 && p->seq[e.op.id] < p->seq[o.id] && !is_dead(w, e.op) &&
            lockstep(w, e.op, o) && !in_list(set, e.op))
            vec_push(p->a, set, e.op);
    }
}

static int32_t mem_bound(const placer *w, ir_op o)
{
    const plan *p = w->p;
    uint32_t root = plan_root(p, pointer_of(p->f, o));
    bool write = ir_info(p->f, o)->flags & WRITE;
    int32_t bound = w->floor;
    for (uint32_t i = 0; i < w->mem.n; i++) {
        mem_op e = w->mem.at[i];
        int32_t at = w->at[e.op.id];
        if (at < 0 || p->seq[e.op.id] >= p->seq[o.id] || !plan_may_alias(root, e.root) || (!e.store && !write))
            continue;
        int32_t to = !e.store && lockstep(w, e.op, o) ? at : at + 1;
        bound = to > bound ? to : bound;
    }
    return bound;
}

static int32_t dep_bound(placer *w, ir_op o, const shape_of *s)
{
    const plan *p = w->p;
    dep_list deps = deps_of(w, o);
    int32_t bound = 0;
    for (uint32_t i = 0; i < deps.n; i++) {
        int32_t at = w->at[ir_def(p->f, deps.at[i].v).id];
        if (at < 0)
            continue;
        const plan_step *t = &p->steps.at[w->r->steps.at[at]];
        bool same = joins(w, &deps.at[i], s) && t->kind == STEP_NEST && shape_is(s, t->rank, t->shape);
        int32_t to = same ? at : at + 1;
        bound = to > bound ? to : bound;
    }
    return bound;
}

/* ---- steps ---- */
static int32_t add_step(placer *w, step_kind kind, ir_op o)
{
    plan_step s = {.kind = (uint8_t)kind, .op = o};
    vec_push(w->p->a, &w->p->steps, s);
    vec_push(w->p->a, &w->r->steps, (int32_t)w->p->steps.n - 1);
    return (int32_t)w->r->steps.n - 1;
}

static bool is_full(const placer *w, const plan_step *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->items.n; i++)
        n += ir_op_code(w->p->f, t->items.at[i]) == IR_OP_reduce && !plan_is_products(w->p->f, t->items.at[i]);
    return n >= PLAN_MAX_REDUCTIONS;
}

static int32_t find_nest(placer *w, int32_t bound, const shape_of *s)
{
    uint32_t from = (uint32_t)bound > w->first ? (uint32_t)bound : w->first;
    for (uint32_t i = from; i < w->r->steps.n; i++) {
        const plan_step *t = &w->p->steps.at[w->r->steps.at[i]];
        if (t->kind == STEP_NEST && shape_is(s, t->rank, t->shape) && !is_full(w, t))
            return (int32_t)i;
    }
    int32_t at = add_step(w, STEP_NEST, (ir_op){0});
    plan_step *t = &vec_last(&w->p->steps);
    t->rank = s->rank;
    memcpy(t->shape, s->n, sizeof t->shape);
    return at;
}

static void set_placed(placer *w, ir_op o, int32_t at)
{
    const ir_func *f = w->p->f;
    w->at[o.id] = at;
    for (uint32_t i = 0; i < ir_nout(f, o); i++)
        w->p->v[ir_out(f, o, i).id].step = w->r->steps.at[at];
}

static void place_alone(placer *w, step_kind kind, ir_op o)
{
    op_list set = {0};
    shape_of none = {0};
    gather_set(w, o, &none, true, &set);
    set_placed(w, o, add_step(w, kind, o));
}

static void place_nest(placer *w, ir_op o, const shape_of *s)
{
    const ir_func *f = w->p->f;
    op_list first = {0}, set = {0};
    gather_set(w, o, s, true, &first);
    if (w->at[o.id] >= 0)
        return;
    gather_set(w, o, s, false, &set);
    if (ir_op_code(f, o) == IR_OP_store)
        add_lockstep(w, o, &set);
    int32_t bound = is_barrier(f, o) ? (int32_t)w->r->steps.n : 0;
    for (uint32_t i = 0; i < set.n; i++) {
        int32_t b = dep_bound(w, set.at[i], s);
        bound = b > bound ? b : bound;
        b = is_mem(f, set.at[i]) ? mem_bound(w, set.at[i]) : 0;
        bound = b > bound ? b : bound;
    }
    int32_t at = find_nest(w, bound, s);
    for (uint32_t i = 0; i < set.n; i++) {
        vec_push(w->p->a, &w->p->steps.at[w->r->steps.at[at]].items, set.at[i]);
        set_placed(w, set.at[i], at);
    }
}

static void place_op(placer *w, ir_op o)
{
    const ir_func *f = w->p->f;
    if (w->at[o.id] >= 0)
        return;
    if (ir_info(f, o)->flags & WRITE)
        settle_loads(w, o);
    if (plan_is_whole(f, o)) {
        place_alone(w, STEP_WHOLE, o);
    } else {
        shape_of s = {0};
        if (is_nest_op(f, o))
            s = op_shape(f, o);
        if (s.rank > 0)
            place_nest(w, o, &s);
        else
            place_alone(w, STEP_POINT, o);
    }
    if (is_barrier(f, o))
        w->floor = (int32_t)w->r->steps.n;
}

/* ---- regions ---- */
static void sort_items(plan *p, plan_step *s)
{
    for (uint32_t i = 1; i < s->items.n; i++)
        for (uint32_t k = i; k > 0 && p->seq[s->items.at[k].id] < p->seq[s->items.at[k - 1].id]; k--) {
            ir_op t = s->items.at[k];
            s->items.at[k] = s->items.at[k - 1];
            s->items.at[k - 1] = t;
        }
}

static void end_segment(placer *w, ir_op from, ir_op to)
{
    plan *p = w->p;
    for (ir_op o = from; o.id && o.id != to.id; o = ir_next(p->f, o))
        for (uint32_t i = 0; i < ir_nout(p->f, o); i++) {
            const plan_val *x = &p->v[ir_out(p->f, o, i).id];
            if (x->cls == VC_DATA && x->outside)
                place_op(w, o);
        }
    for (uint32_t i = w->first; i < w->r->steps.n; i++)
        sort_items(p, &p->steps.at[w->r->steps.at[i]]);
    add_step(w, STEP_FLUSH, to);
    w->mem.n = 0;
}

static void add_control(placer *w, ir_op o)
{
    plan *p = w->p;
    int32_t at = add_step(w, STEP_CTRL, o), id = w->r->steps.at[at];
    for (uint32_t i = 0; i < ir_o(p->f, o)->nregions; i++) {
        plan_region *sub = ARENA_NEW(p->a, plan_region);
        sub->r = ir_op_region(p->f, o, i);
        plan_place(p, sub);
        p->steps.at[id].body[i] = sub;
    }
    for (uint32_t i = 0; i < ir_nout(p->f, o); i++)
        p->v[ir_out(p->f, o, i).id].step = id;
    w->first = w->r->steps.n;
    w->floor = (int32_t)w->first;
}

/* a load done wherever it is wanted */
static bool is_sym(const plan *p, ir_op o)
{
    return ir_op_code(p->f, o) == IR_OP_load && p->v[ir_out(p->f, o, 0).id].cls == VC_SYM;
}

static bool is_anchor(const placer *w, ir_op o)
{
    const ir_func *f = w->p->f;
    if (ir_info(f, o)->flags & WRITE || is_barrier(f, o))
        return true;
    bool reduces = ir_op_code(f, o) == IR_OP_reduce && !plan_is_products(f, o);
    return (reduces || plan_is_whole(f, o)) && !is_dead(w, o);
}

void plan_place(plan *p, plan_region *r)
{
    const ir_func *f = p->f;
    placer w = {.p = p, .r = r, .at = ARENA_ARRAY(p->a, int32_t, f->ops.n)};
    for (uint32_t i = 0; i < f->ops.n; i++)
        w.at[i] = -1;
    plan_visit_init(&w.visit, p, on_dep, &w);
    ir_op from = ir_first(f, r->r);
    FOR_OPS(f, r->r, o)
    {
        int flags = ir_info(f, o)->flags;
        if (flags & (CTRL | TERM)) {
            end_segment(&w, from, o);
            if (flags & CTRL)
                add_control(&w, o);
            from = ir_next(f, o);
        } else if (ir_op_code(f, o) == IR_OP_print || ir_op_code(f, o) == IR_OP_assert ||
                   ir_op_code(f, o) == IR_OP_bound) {
            place_alone(&w, STEP_HOST, o);
            w.floor = (int32_t)r->steps.n;
        } else {
            if (is_mem(f, o) && !is_sym(p, o))
                vec_push(p->a, &w.mem, ((mem_op){o, plan_root(p, pointer_of(f, o)), ir_info(f, o)->flags & WRITE}));
            if (is_anchor(&w, o))
                place_op(&w, o);
        }
    }
}
