/* verify_state.c: states of the schedule's verifier, how they meet, and what views and values have to do with each
 * other.
 *
 * A state has an entry for each value of the function, so copying and joining are linear in it; states are used again,
 * as every branch and loop needs a few for a while. Joins only lower counts and add entries, up to the number of pairs
 * of an op and what it touches: a loop comes to its end.
 */
#include "compiler/verify_sched.h"

/* ---- states ---- */
state *sched_new(sched *c)
{
    state *s = c->unused;
    uint32_t n = c->f->vals.n;
    c->work += n / 8;
    if (s) {
        c->unused = s->next;
        s->flying.n = s->stores.n = s->touches.n = 0;
        memset(s->raw, 0, n);
    } else {
        s = ARENA_NEW(c->a, state);
        s->token = ARENA_ARRAY(c->a, token_state, n);
        s->age = ARENA_ARRAY(c->a, uint8_t, n);
        s->raw = ARENA_ARRAY(c->a, uint8_t, n);
    }
    memset(s->token, NEVER, sizeof *s->token * n);
    memset(s->age, NEVER, n);
    return s;
}

void sched_free(sched *c, state *s)
{
    s->next = c->unused;
    c->unused = s;
}

void sched_copy(sched *c, state *to, const state *from)
{
    memcpy(to->token, from->token, sizeof *to->token * c->f->vals.n);
    memcpy(to->age, from->age, c->f->vals.n);
    memcpy(to->raw, from->raw, c->f->vals.n);
    to->flying.n = to->stores.n = to->touches.n = 0;
    for (uint32_t i = 0; i < from->flying.n; i++)
        vec_push(c->a, &to->flying, from->flying.at[i]);
    for (uint32_t i = 0; i < from->stores.n; i++)
        vec_push(c->a, &to->stores, from->stores.at[i]);
    for (uint32_t i = 0; i < from->touches.n; i++)
        vec_push(c->a, &to->touches, from->touches.at[i]);
}

static bool lower(uint8_t *x, uint8_t y)
{
    bool less = y < *x;
    if (less)
        *x = y;
    return less;
}

bool sched_join_access(sched *c, state *to, const access *y)
{
    for (uint32_t i = 0; i < to->flying.n; i++) {
        access *x = &to->flying.at[i];
        if (x->op.id == y->op.id && x->what.id == y->what.id && x->write == y->write)
            return lower(&x->age, y->age);
    }
    vec_push(c->a, &to->flying, *y);
    return true;
}

bool sched_join_dirty(sched *c, state *to, const dirty *y)
{
    for (uint32_t i = 0; i < to->stores.n; i++) {
        dirty *x = &to->stores.at[i];
        if (x->view.id != y->view.id)
            continue;
        bool worse = x->fenced && !y->fenced;
        x->fenced &= y->fenced;
        return worse;
    }
    vec_push(c->a, &to->stores, *y);
    return true;
}

bool sched_join_touch(sched *c, state *to, const touch *y)
{
    for (uint32_t i = 0; i < to->touches.n; i++) {
        const touch *x = &to->touches.at[i];
        if (x->op.id == y->op.id && x->view.id == y->view.id)
            return false;
    }
    vec_push(c->a, &to->touches, *y);
    return true;
}

bool sched_join(sched *c, state *to, const state *from)
{
    bool changed = false;
    c->work += c->f->vals.n / 2 + (int64_t)from->flying.n * to->flying.n + (int64_t)from->stores.n * to->stores.n +
               (int64_t)from->touches.n * to->touches.n;
    for (uint32_t i = 0; i < c->f->vals.n; i++) {
        for (int k = 0; k < KINDS; k++)
            changed |= lower(&to->token[i].age[k], from->token[i].age[k]);
        changed |= lower(&to->age[i], from->age[i]);
        changed |= !to->raw[i] && from->raw[i];
        to->raw[i] |= from->raw[i];
    }
    for (uint32_t i = 0; i < from->flying.n; i++)
        changed |= sched_join_access(c, to, &from->flying.at[i]);
    for (uint32_t i = 0; i < from->stores.n; i++)
        changed |= sched_join_dirty(c, to, &from->stores.at[i]);
    for (uint32_t i = 0; i < from->touches.n; i++)
        changed |= sched_join_touch(c, to, &from->touches.at[i]);
    return changed;
}

void sched_carry(state *to, ir_val x, const state *from, ir_val y)
{
    to->token[x.id] = from->token[y.id];
    to->age[x.id] = from->age[y.id];
    to->raw[x.id] = from->raw[y.id];
}

/* ---- views ---- */
static ir_op view_op(const ir_func *f, ir_val v)
{
    ir_op o = ir_def(f, v);
    ir_code code = o.id ? ir_op_code(f, o) : IR_NOP;
    return code == IR_OP_shared_slice || code == IR_OP_shared_trans ? o : (ir_op){0};
}

static bool same_value(const ir_func *f, ir_val a, ir_val b)
{
    int64_t x, y;
    return a.id == b.id || (ir_const_int_of(f, a, &x) && ir_const_int_of(f, b, &y) && x == y);
}

static bool same_step(const ir_func *f, ir_op a, ir_op b)
{
    uint32_t na, nb;
    if (ir_op_code(f, a) != ir_op_code(f, b) || ir_nin(f, a) != ir_nin(f, b))
        return false;
    if (ir_op_code(f, a) == IR_OP_shared_trans) {
        const int64_t *x = ir_ints(f, a, KEY_order, &na), *y = ir_ints(f, b, KEY_order, &nb);
        return na == nb && memcmp(x, y, na * sizeof *x) == 0;
    }
    if (!ir_type_eq(ir_vtype(f, ir_out(f, a, 0)), ir_vtype(f, ir_out(f, b, 0))))
        return false;
    for (uint32_t i = 1; i < ir_nin(f, a); i++)
        if (!same_value(f, ir_in(f, a, i), ir_in(f, b, i)))
            return false;
    return true;
}

ir_val sched_steps(const ir_func *f, ir_val v, ir_op *step, int *n)
{
    ir_op o;
    *n = 0;
    while ((o = view_op(f, v)).id && *n < SCHED_MAX_STEPS) {
        step[(*n)++] = o;
        v = ir_in(f, o, 0);
    }
    for (int i = 0; i < *n / 2; i++) {
        ir_op t = step[i];
        step[i] = step[*n - 1 - i];
        step[*n - 1 - i] = t;
    }
    return v;
}

bool sched_meet(const ir_func *f, ir_val a, ir_val b)
{
    ir_op x[SCHED_MAX_STEPS], y[SCHED_MAX_STEPS];
    int n, m;
    if (sched_steps(f, a, x, &n).id != sched_steps(f, b, y, &m).id)
        return false;
    for (int i = 0; i < n && i < m; i++)
        if (x[i].id != y[i].id && !same_step(f, x[i], y[i]))
            return false;
    return true;
}

/* ---- where values come from ---- */
/* whether v is `from`, or may be through loops and branches */
static bool comes_from(const sched *c, ir_val v, ir_val from, uint8_t *seen)
{
    const ir_func *f = c->f;
    ir_op o = ir_def(f, v);
    uint32_t i = f->vals.at[v.id].index;
    if (v.id == from.id)
        return true;
    if (seen[v.id])
        return false;
    seen[v.id] = 1;
    if (!o.id) {
        o = f->regions.at[f->vals.at[v.id].region.id].owner;
        ir_code code = o.id ? ir_op_code(f, o) : IR_NOP;
        if (code == IR_OP_for)
            return i > 0 && (comes_from(c, ir_in(f, o, 2 + i), from, seen) ||
                             comes_from(c, ir_in(f, ir_last(f, ir_op_region(f, o, 0)), i - 1), from, seen));
        if (code == IR_OP_while)
            return comes_from(c, ir_in(f, o, i), from, seen) ||
                   comes_from(c, ir_in(f, ir_last(f, ir_op_region(f, o, 1)), i), from, seen);
        return false;
    }
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_for:
        return comes_from(c, ir_in(f, o, 3 + i), from, seen) ||
               comes_from(c, ir_in(f, ir_last(f, ir_op_region(f, o, 0)), i), from, seen);
    case IR_OP_while:
        return comes_from(c, ir_in(f, o, i), from, seen) ||
               comes_from(c, ir_in(f, ir_last(f, ir_op_region(f, o, 1)), i), from, seen);
    case IR_OP_if:
        return comes_from(c, ir_in(f, ir_last(f, ir_op_region(f, o, 0)), i), from, seen) ||
               comes_from(c, ir_in(f, ir_last(f, ir_op_region(f, o, 1)), i), from, seen);
    }
    return false;
}

bool sched_may_be(sched *c, ir_val v, ir_val from)
{
    c->work += c->f->vals.n / 32;
    arena_pos mark = arena_mark(c->a);
    bool yes = comes_from(c, v, from, ARENA_ARRAY(c->a, uint8_t, c->f->vals.n));
    arena_reset(c->a, mark);
    return yes;
}

/* ---- loops ---- */
static bool is_inside(const ir_func *f, ir_val v, ir_op loop)
{
    ir_op o = ir_def(f, v);
    ir_region r = o.id ? ir_o(f, o)->parent : f->vals.at[v.id].region;
    while (r.id) {
        o = f->regions.at[r.id].owner;
        if (o.id == loop.id)
            return true;
        if (!o.id)
            return false;
        r = ir_o(f, o)->parent;
    }
    return false;
}

bool sched_view_is_inside(const ir_func *f, ir_val view, ir_op loop)
{
    ir_op step[SCHED_MAX_STEPS];
    int n;
    if (is_inside(f, sched_steps(f, view, step, &n), loop))
        return true;
    for (int i = 0; i < n; i++)
        for (uint32_t k = 1; k < ir_nin(f, step[i]); k++)
            if (is_inside(f, ir_in(f, step[i], k), loop))
                return true;
    return false;
}
