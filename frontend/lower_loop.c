/* lower_loop.c: loops that run (see lower.h, "Control flow").
 *
 * What a loop carries is every variable that its body assigns and that has a value before it; numbers known at compile
 * time become int, f32 or bool for that. At the end of the body each must have the type that it came with. What the
 * body binds first has no value after the loop, which may run zero times.
 *
 * A `for` without break and return is op `for`. With them it is op `while` over (index, go, flags, variables): `go`
 * says that an iteration follows, so that the index is never moved past the end and cannot wrap. In `while`, the
 * condition is evaluated only where no flag is set.
 */
#include "frontend/lower_loop.h"

#include <string.h>

/* ---- what crosses iterations ---- */
typedef struct carry {
    VEC(uint32_t) slots;
    fv *before;         /* by index in slots */
    val_list init;      /* leaves of the carried ones */
} carry;

static bool is_carried(fv v) { return fv_can_carry(v); }

static void carry_begin(lower *l, carry *c, const bool *assigned, span at)
{
    fx *f = l->fx;
    for (uint32_t s = 0; s < f->nslots; s++)
        if (assigned[s] && f->env[s].kind != FV_UNBOUND && f->env[s].kind != FV_POISON)
            vec_push(l->scratch, &c->slots, s);
    c->before = ARENA_ARRAY(l->scratch, fv, c->slots.n ? c->slots.n : 1);
    for (uint32_t i = 0; i < c->slots.n; i++) {
        fv v = f->env[c->slots.at[i]];
        uint32_t first = c->init.n, k = first;
        if (is_carried(v) && fv_flatten(l, v, &c->init, at))
            v = fv_rebuild(l, v, c->init.at, &k);
        else if (is_carried(v))
            v = fv_poison();
        f->lasting[c->slots.at[i]]++;
        c->before[i] = v;
        f->env[c->slots.at[i]] = v;
    }
}

/* region parameters for what is carried, bound in env */
static void carry_params(lower *l, const carry *c, ir_region r, fv *env)
{
    fx *f = l->fx;
    ir_val *p = ARENA_ARRAY(l->scratch, ir_val, c->init.n ? c->init.n : 1);
    for (uint32_t i = 0; i < c->init.n; i++)
        p[i] = ir_region_param(f->f, r, ir_vtype(f->f, c->init.at[i]));
    uint32_t k = 0;
    for (uint32_t i = 0; i < c->slots.n; i++)
        if (is_carried(c->before[i]))
            env[c->slots.at[i]] = fv_rebuild(l, c->before[i], p, &k);
}

static void carry_fault(lower *l, uint32_t slot, fv before, fv after, span at)
{
    str name = low_slot_name(l, slot);
    if (after.kind == FV_UNBOUND)
        low_error(l, D_LOOP_UNBOUND, at, STR_ARG(name), STR_ARG(low_say(l, before)));
    else if (after.kind != FV_POISON)
        low_error(l, D_LOOP_TYPE, at, STR_ARG(name), STR_ARG(low_say(l, before)), STR_ARG(low_say(l, after)));
}

/* the values at the end of the body; where one is wrong, the one it started the iteration with stands in */
static void carry_end(lower *l, carry *c, const fv *start, val_list *out, span at)
{
    fx *f = l->fx;
    for (uint32_t i = 0; i < c->slots.n; i++) {
        uint32_t s = c->slots.at[i];
        fv before = c->before[i], now = f->env[s];
        bool same = fv_types_equal(l, before, now) && before.kind != FV_POISON;
        if (!same && before.kind != FV_POISON)
            carry_fault(l, s, before, now, at);
        if (!is_carried(before))
            continue;
        if (!fv_flatten(l, same ? now : start[s], out, at))
            bug("loop variable without leaves");
        if (!same)
            c->before[i].flags |= CARRY_BAD;
    }
}

/* the environment after the loop, from the results that follow `k` */
static void carry_after(lower *l, const carry *c, const bool *assigned, const ir_val *out, uint32_t k, span at)
{
    fx *f = l->fx;
    for (uint32_t s = 0; s < f->hidden; s++)
        if (assigned[s] && f->env[s].kind == FV_UNBOUND)
            f->env[s] = unbound_by(WHY_LOOP, at);
    for (uint32_t i = 0; i < c->slots.n; i++) {
        f->lasting[c->slots.at[i]]--;
        fv b = c->before[i];
        bool bad = b.flags & CARRY_BAD;
        b.flags &= ~(uint32_t)CARRY_BAD;
        if (is_carried(b))
            b = fv_rebuild(l, b, out, &k);
        f->env[c->slots.at[i]] = bad ? fv_poison() : b;
    }
}

/* ---- the common part of run-time loops ---- */
typedef struct run_loop {
    const ast_stmt *s;
    span at;
    bool *assigned;
    bool has_break, has_return, has_exit;
    carry c;
    loop_cx cx;
    fv rv;              /* the value returned inside, UNBOUND where there is none */
    fv *outer;
    ir_region cond, r;
    val_list yields;    /* of the body */
} run_loop;

static bool loop_open(lower *l, run_loop *x)
{
    fx *f = l->fx;
    if (f->regions >= LOW_MAX_REGIONS) {
        low_error(l, D_NESTING, x->at, LOW_MAX_REGIONS);
        return false;
    }
    x->assigned = assigned_slots(l, x->s);
    x->has_break = walk_has_break(x->s->body);
    x->has_return = walk_has_return(x->s->body);
    x->has_exit = x->has_break || x->has_return;
    loop_flags(l, &x->cx, LOOP_RUN);
    x->assigned[x->cx.brk] = x->has_break;
    x->assigned[f->hidden + SLOT_RET] = x->has_return;
    return true;
}

/* hidden slots for a loop's flags; loops beyond the room that the function reserved are a limit of their own */
void loop_flags(lower *l, loop_cx *cx, loop_kind kind)
{
    fx *f = l->fx;
    cx->up = f->loop;
    cx->kind = kind;
    cx->brk = f->hidden + SLOT_LOOPS + 2 * f->nloops;
    cx->cont = cx->brk + 1;
    cx->regions = f->regions;
    f->env[cx->brk] = f->env[cx->cont] = fv_bool(false);
}

bool loop_enter(lower *l, loop_cx *cx, span at)
{
    fx *f = l->fx;
    if (f->nloops >= LOW_MAX_LOOPS) {
        low_error(l, D_NESTING, at, LOW_MAX_LOOPS);
        return false;
    }
    f->nloops++;
    f->loop = cx;
    return true;
}

void loop_leave(lower *l, loop_cx *cx)
{
    l->fx->nloops--;
    l->fx->loop = cx->up;
}

/* lowers the body in its region; the current environment is the region's own afterwards */
static void loop_body(lower *l, run_loop *x, const ast_expr *target, fv index)
{
    fx *f = l->fx;
    fv *start = env_copy(l, f->env);
    f->env[x->cx.brk] = f->env[x->cx.cont] = fv_bool(false);
    if (x->has_return) {
        f->env[f->hidden + SLOT_RET] = fv_bool(false);
        f->env[f->hidden + SLOT_RV] = unbound_by(WHY_NEVER, x->at);
    }
    if (target)
        low_assign(l, target, index);
    if (loop_enter(l, &x->cx, x->at)) {
        low_stmts(l, x->s->body);
        loop_leave(l, &x->cx);
    }
    low_place(l, x->at);
    carry_end(l, &x->c, start, &x->yields, x->at);
    x->rv = f->env[f->hidden + SLOT_RV];
}

/* the values returned inside ride along as last operands: undef at first, never read in the body */
static void add_returned(lower *l, run_loop *x, val_list *init, ir_region extra)
{
    if (!x->has_return || x->rv.kind == FV_NUM || !fv_can_carry(x->rv))
        return;
    fx *f = l->fx;
    uint32_t first = x->yields.n;
    if (!fv_flatten(l, x->rv, &x->yields, x->at))
        return;
    for (uint32_t i = first; i < x->yields.n; i++) {
        ir_type t = ir_vtype(f->f, x->yields.at[i]);
        ir_region_param(f->f, x->r, t);
        if (extra.id)
            ir_region_param(f->f, extra, t);
    }
    ir_pop(B(l));
    for (uint32_t i = first; i < x->yields.n; i++)
        vec_push(l->a, init, ir_emit1(B(l), IR_OP_undef, ir_vtype(f->f, x->yields.at[i]), NULL, 0));
    ir_push(B(l), x->r);
}

/* emits the loop, and binds what it leaves behind; `skip` results come before the carried ones */
static status loop_close(lower *l, run_loop *x, ir_code code, const val_list *init, uint32_t nfixed, uint32_t skip,
                         const ir_attr_pair *attrs, uint32_t nattr, const ir_region *regions, uint32_t nregions)
{
    fx *f = l->fx;
    uint32_t n = x->yields.n, k = skip + x->c.init.n;
    ir_type *types = ARENA_ARRAY(l->scratch, ir_type, n ? n : 1);
    ir_val *out = ARENA_ARRAY(l->scratch, ir_val, n ? n : 1);
    for (uint32_t i = 0; i < n; i++)
        types[i] = ir_vtype(f->f, init->at[nfixed + i]);
    low_place(l, x->at);
    ir_emit(B(l), &(ir_desc){.code = code, .nin = init->n, .in = init->at, .nout = n, .types = types, .nattr = nattr,
                             .attrs = attrs, .nregions = nregions, .regions = regions}, out);
    f->env = x->outer;
    carry_after(l, &x->c, x->assigned, out, skip, x->at);
    f->env[x->cx.brk] = f->env[x->cx.cont] = fv_bool(false);
    if (!x->has_return)
        return ST_FALL;
    if (x->rv.kind != FV_UNBOUND)
        f->env[f->hidden + SLOT_RV] =
            x->rv.kind == FV_NUM || !fv_can_carry(x->rv) ? x->rv : fv_rebuild(l, x->rv, out, &k);
    fv ret = f->env[f->hidden + SLOT_RET];
    return fv_is_runtime(ret) ? ST_MAYBE : ST_FALL;
}

static ir_val flag_value(lower *l, uint32_t slot)
{
    fv v = l->fx->env[slot];
    return v.kind == FV_RT ? v.v : ir_const_i(B(l), ir_type_num(l->m, DT_BOOL), v.kind == FV_NUM && const_truth(v.num));
}

static ir_val stop_flag(lower *l, const run_loop *x)
{
    ir_val v = flag_value(l, x->cx.brk);
    return x->has_return ? ir_bin(B(l), IR_OP_or, v, flag_value(l, l->fx->hidden + SLOT_RET)) : v;
}

/* ---- for ---- */
static dtype index_dtype(lower *l, fv *v, const span *at)
{
    dtype d = DT_NONE;
    for (int i = 0; i < 3; i++) {
        bool ok = fv_is_const_int(v[i]) || (v[i].kind == FV_RT && !low_rank(l, v[i]) && dt_is_int(low_dt(l, v[i])));
        if (!ok) {
            if (v[i].kind != FV_POISON)
                low_error(l, D_RANGE_TYPE, at[i], STR_ARG(low_say(l, v[i])));
            return DT_NONE;
        }
        if (v[i].kind == FV_RT) {
            fv have = d == DT_NONE ? v[i] : fv_rt(ir_const_i(B(l), ir_type_num(l->m, d), 0));
            d = low_promoted(l, have, v[i], at[i], "range");
        }
    }
    return d == DT_NONE ? DT_I64 : d;
}

/* start, end, step as values of one integer type; false: a diagnostic was given */
bool range_values(lower *l, fv *v, const span *at, ir_val *out)
{
    dtype d = index_dtype(l, v, at);
    if (d == DT_NONE)
        return false;
    if (v[2].kind == FV_NUM && v[2].num.i == 0) {
        low_error(l, D_RANGE_STEP, at[2]);
        return false;
    }
    for (int i = 0; i < 3; i++) {
        fv x = low_cast(l, v[i], d, at[i]);
        if (x.kind == FV_POISON)
            return false;
        out[i] = x.v;
    }
    return true;
}

static status for_plain(lower *l, run_loop *x, const ir_val *lo_hi_step, const loop_attrs *a)
{
    fx *f = l->fx;
    val_list init = {0};
    x->r = ir_region_new(f->f);
    ir_val index = ir_region_param(f->f, x->r, ir_vtype(f->f, lo_hi_step[0]));
    f->env = env_copy(l, x->outer);
    carry_params(l, &x->c, x->r, f->env);
    ir_push(B(l), x->r);
    f->regions++;
    loop_body(l, x, x->s->target, fv_rt(index));
    ir_yield(B(l), x->yields.at, x->yields.n);
    ir_pop(B(l));
    f->regions--;
    for (int i = 0; i < 3; i++)
        vec_push(l->a, &init, lo_hi_step[i]);
    for (uint32_t i = 0; i < x->c.init.n; i++)
        vec_push(l->a, &init, x->c.init.at[i]);
    return loop_close(l, x, IR_OP_for, &init, 3, 0, a->at, a->n, &x->r, 1);
}

/* whether `index` stands before `end` in the direction of step, and by more than one step */
static ir_val range_more(lower *l, ir_val index, ir_val end, ir_val step, bool whole_step)
{
    ir_builder *b = B(l);
    ir_type t = ir_vtype(l->fx->f, index);
    dtype d = ir_type_dt(l->m, t);
    ir_val zero = ir_const_i(b, t, 0), up = ir_cmp(b, IR_OP_gt, step, zero);
    if (!whole_step)
        return ir_select(b, up, ir_cmp(b, IR_OP_lt, index, end), ir_cmp(b, IR_OP_gt, index, end));
    ir_val left = ir_select(b, up, ir_bin(b, IR_OP_sub, end, index), ir_bin(b, IR_OP_sub, index, end));
    ir_val size = ir_select(b, up, step, ir_un(b, IR_OP_neg, step));
    static const dtype wide[] = {[1] = DT_U8, [2] = DT_U16, [4] = DT_U32, [8] = DT_U64};
    dtype u = wide[dt_bytes(d)];
    return ir_cmp(b, IR_OP_gt, ir_cast(b, left, u), ir_cast(b, size, u));
}

static status for_with_exit(lower *l, run_loop *x, const ir_val *range)
{
    fx *f = l->fx;
    ir_type it = ir_vtype(f->f, range[0]), bt = ir_type_num(l->m, DT_BOOL);
    val_list init = {0}, body = {0};
    vec_push(l->a, &init, range[0]);
    vec_push(l->a, &init, range_more(l, range[0], range[1], range[2], false));
    for (uint32_t i = 0; i < x->c.init.n; i++)
        vec_push(l->a, &init, x->c.init.at[i]);
    x->cond = ir_region_new(f->f);
    ir_region_param(f->f, x->cond, it);
    ir_val go = ir_region_param(f->f, x->cond, bt);
    for (uint32_t i = 0; i < x->c.init.n; i++)
        ir_region_param(f->f, x->cond, ir_vtype(f->f, x->c.init.at[i]));
    ir_push(B(l), x->cond);
    ir_yield(B(l), &go, 1);
    ir_pop(B(l));

    x->r = ir_region_new(f->f);
    ir_val index = ir_region_param(f->f, x->r, it);
    ir_region_param(f->f, x->r, bt);
    f->env = env_copy(l, x->outer);
    carry_params(l, &x->c, x->r, f->env);
    ir_push(B(l), x->r);
    f->regions++;
    loop_body(l, x, x->s->target, fv_rt(index));
    ir_val more = range_more(l, index, range[1], range[2], true);
    ir_val again = ir_bin(B(l), IR_OP_and, more, ir_un(B(l), IR_OP_not, stop_flag(l, x)));
    ir_val next = ir_bin(B(l), IR_OP_add, index, range[2]);
    add_returned(l, x, &init, x->cond);
    vec_push(l->a, &body, next);
    vec_push(l->a, &body, again);
    for (uint32_t i = 0; i < x->yields.n; i++)
        vec_push(l->a, &body, x->yields.at[i]);
    x->yields = body;
    ir_yield(B(l), body.at, body.n);
    ir_pop(B(l));
    f->regions--;
    return loop_close(l, x, IR_OP_while, &init, 0, 2, NULL, 0, (ir_region[]){x->cond, x->r}, 2);
}

status low_for_run(lower *l, const ast_stmt *s, fv *range, const span *at, const loop_attrs *attrs)
{
    run_loop x = {.s = s, .at = s->at, .outer = l->fx->env};
    ir_val r[3];
    low_place(l, s->at);
    if (!range_values(l, range, at, r) || !loop_open(l, &x))
        return poison_assigned(l, s);
    x.outer = l->fx->env;
    forget_targets(l, s->target, x.assigned);
    carry_begin(l, &x.c, x.assigned, s->at);
    return x.has_exit ? for_with_exit(l, &x, r) : for_plain(l, &x, r, attrs);
}

/* after a header at fault: what the body would have bound is poison, so that nothing follows from it */
status poison_assigned(lower *l, const ast_stmt *s)
{
    fx *f = l->fx;
    bool *assigned = assigned_slots(l, s);
    if (s->target)
        forget_targets(l, s->target, assigned);
    for (uint32_t i = 0; i < f->hidden; i++)
        if (assigned[i])
            f->env[i] = fv_poison();
    return ST_FALL;
}

bool *assigned_slots(lower *l, const ast_stmt *s)
{
    bool *is = ARENA_ARRAY(l->scratch, bool, l->fx->nslots);
    for (uint32_t i = 0; i < s->nassigned; i++)
        is[s->assigned[i]] = true;
    return is;
}

/* the variables of a for header have no value before the loop, as far as it is concerned */
void forget_targets(lower *l, const ast_expr *target, bool *assigned)
{
    if (target->kind == EX_NAME && target->ref.kind == REF_SLOT) {
        assigned[target->ref.slot] = true;
        l->fx->env[target->ref.slot] = unbound_by(WHY_NEVER, target->at);
    }
    for (const ast_expr *e = target->items; e; e = e->next)
        forget_targets(l, e, assigned);
}

/* ---- while ---- */
/* region 0: false once a flag is set, else the condition */
static fv while_condition(lower *l, run_loop *x)
{
    fx *f = l->fx;
    const ast_expr *e = x->s->cond;
    if (!x->has_exit)
        return low_condition(l, low_expr(l, e), e->at, "while");
    ir_val go = ir_un(B(l), IR_OP_not, stop_flag(l, x));
    ir_type bt = ir_type_num(l->m, DT_BOOL);
    ir_region yes = ir_region_new(f->f), no = ir_region_new(f->f);
    ir_push(B(l), yes);
    fv c = low_condition(l, low_expr(l, e), e->at, "while");
    fv v = c.kind == FV_NUM ? low_runtime(l, c, e->at) : c;
    ir_yield(B(l), &v.v, v.kind == FV_RT);
    ir_pop(B(l));
    if (c.kind == FV_NUM && const_truth(c.num))
        return fv_rt(go);
    if (c.kind != FV_RT)
        return c;
    ir_push(B(l), no);
    ir_val f0 = ir_const_i(B(l), bt, 0), out;
    ir_yield(B(l), &f0, 1);
    ir_pop(B(l));
    ir_emit(B(l), &(ir_desc){.code = IR_OP_if, .nin = 1, .in = &go, .nout = 1, .types = &bt, .nregions = 2,
                             .regions = (ir_region[]){yes, no}}, &out);
    return fv_rt(out);
}

status low_while(lower *l, const ast_stmt *s)
{
    fx *f = l->fx;
    run_loop x = {.s = s, .at = s->at, .outer = f->env};
    low_place(l, s->at);
    if (!loop_open(l, &x))
        return poison_assigned(l, s);
    uint32_t before = l->faults;
    carry_begin(l, &x.c, x.assigned, s->at);
    x.cond = ir_region_new(f->f);
    f->env = env_copy(l, x.outer);
    carry_params(l, &x.c, x.cond, f->env);
    ir_push(B(l), x.cond);
    f->regions++;
    fv c = while_condition(l, &x);
    bool forever = c.kind == FV_NUM && const_truth(c.num);
    bool endless = (s->cond->kind == EX_NUM && const_truth(s->cond->num)) && !x.has_break;
    fv cv = forever ? low_runtime(l, c, s->at) : c;
    if (cv.kind == FV_RT)
        ir_yield(B(l), &cv.v, 1);
    ir_pop(B(l));
    f->regions--;
    f->env = x.outer;
    if (cv.kind != FV_RT) { /* at fault, or never entered */
        for (uint32_t i = 0; i < x.c.slots.n; i++)
            f->lasting[x.c.slots.at[i]]--;
        return c.kind == FV_POISON && l->faults > before ? poison_assigned(l, s) : ST_FALL;
    }

    val_list init = {0};
    for (uint32_t i = 0; i < x.c.init.n; i++)
        vec_push(l->a, &init, x.c.init.at[i]);
    x.r = ir_region_new(f->f);
    f->env = env_copy(l, x.outer);
    carry_params(l, &x.c, x.r, f->env);
    ir_push(B(l), x.r);
    f->regions++;
    loop_body(l, &x, NULL, fv_none());
    add_returned(l, &x, &init, x.cond);
    ir_yield(B(l), x.yields.at, x.yields.n);
    ir_pop(B(l));
    f->regions--;
    status st = loop_close(l, &x, IR_OP_while, &init, 0, 0, NULL, 0, (ir_region[]){x.cond, x.r}, 2);
    return endless ? ST_EXIT : st;
}
