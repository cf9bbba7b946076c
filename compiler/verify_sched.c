/* verify_sched.c: what must have completed when, in a kernel of the laid-out stage for a GPU.
 *
 * An abstract run of each partition, in the order of the text, with
 *
 *   token    for each kind of group the fewest groups committed since its own, over all paths; NEVER: no such group, or
 * done value    whether it is, or may be, the result of a wgmma, and then the same count access   what asynchronous ops
 * in flight read and write: views of shared memory, and tiles in registers dirty    views written by ordinary stores
 * that async units may not see yet
 *
 * Branches meet in the worse of both ends; a loop is run until its start no longer gets worse, and only then, once
 * more, with reports. Counts only fall and are capped, so that ends. Two views meet where one holds the other or their
 * slices are at the same offsets; of other slices nothing is said, and at the end of a loop's body what depends on
 * values made in it is forgotten, as these are other ones in the next round. So what is reported is wrong, but not all
 * that is wrong is reported: the interpreter sees the rest.
 */
#include "compiler/verify_sched.h"

#define MAX_ROUNDS 1000
#define MAX_WORK 5000000 /* loops in loops are run again and again: deep nests end here */

/* ---- reports ---- */
static const char *place_of(const sched *c, ir_op o)
{
    strbuf b;
    arena *a = c->v->d->a;
    sb_init(&b, a);
    sb_putf(&b, "'%s'", ir_info(c->f, o)->name);
    ir_loc_data loc = ir_loc_get(c->f->m, ir_o(c->f, o)->loc);
    if (loc.line)
        sb_putf(&b, " of line %u", loc.line);
    return str_cstr(a, sb_str(&b));
}

#define REPORT(c, o, ...) ((c)->quiet ? (void)0 : verify_fail((c)->v, (o), __VA_ARGS__))

/* ---- accesses ---- */
static void reads_shared(sched *c, ir_op o, ir_val view, bool async)
{
    for (uint32_t i = 0; i < c->s->flying.n; i++) {
        const access *x = &c->s->flying.at[i];
        if (x->write && !x->regs && sched_meet(c->f, x->what, view)) {
            REPORT(c, o, "reads what %s, in flight, writes", place_of(c, x->op));
            return;
        }
    }
    for (uint32_t i = 0; async && i < c->s->stores.n; i++) {
        const dirty *x = &c->s->stores.at[i];
        if (!sched_meet(c->f, x->view, view))
            continue;
        REPORT(c, o, "reads asynchronously what was stored before, without a '%s' between",
               x->fenced ? "barrier' after the 'fence_async" : "fence_async");
        return;
    }
}

static void writes_shared(sched *c, ir_op o, ir_val view)
{
    for (uint32_t i = 0; i < c->s->flying.n; i++) {
        const access *x = &c->s->flying.at[i];
        if (x->regs || !sched_meet(c->f, x->what, view))
            continue;
        REPORT(c, o, "overwrites what %s, in flight, %s", place_of(c, x->op), x->write ? "writes" : "reads");
        return;
    }
}

static ir_layout layout_of(const sched *c, ir_val tile)
{
    return ir_type_of(c->f->m, ir_vtype(c->f, tile))->layout;
}

/* an access of threads, of which each sees only its own since the last barrier */
static void touches(sched *c, ir_op o, ir_val view, ir_layout lay, bool write)
{
    for (uint32_t i = 0; i < c->s->touches.n; i++) {
        const touch *x = &c->s->touches.at[i];
        if ((!write && !x->write) || (lay.id && x->lay.id == lay.id) || !sched_meet(c->f, x->view, view))
            continue;
        REPORT(c, o, "%s what %s %s before, without a 'barrier' between", write ? "overwrites" : "reads",
               place_of(c, x->op), x->write ? "wrote" : "read");
        return;
    }
    (void)sched_join_touch(c, c->s, &(touch){o, view, lay, write});
}

/* what was read or written asynchronously, and awaited */
static void touched(sched *c, const access *x)
{
    ir_layout lay = x->kind == KIND_CP ? layout_of(c, ir_in(c->f, x->op, 0)) : (ir_layout){0};
    if (x->kind != KIND_LOAD && !x->regs)
        (void)sched_join_touch(c, c->s, &(touch){x->op, x->what, lay, x->write});
}

static void fly(sched *c, ir_op o, int kind, ir_val what, bool write, bool regs)
{
    access x = {o, what, (uint8_t)kind, 0, write, regs};
    (void)sched_join_access(c, c->s, &x);
}

/* ---- groups ---- */
static void older(uint8_t *age)
{
    if (*age < CAP)
        ++*age;
}

/* a group of this kind is committed: all before it are one further back */
static void commit(sched *c, int kind)
{
    state *s = c->s;
    c->work += c->f->vals.n / 4;
    for (uint32_t i = 0; i < c->f->vals.n; i++) {
        older(&s->token[i].age[kind]);
        if (kind == KIND_WGMMA)
            older(&s->age[i]);
    }
    for (uint32_t i = 0; i < s->flying.n; i++)
        if (s->flying.at[i].kind == kind)
            older(&s->flying.at[i].age);
}

static void new_token(sched *c, ir_val v, int kind)
{
    memset(&c->s->token[v.id], NEVER, sizeof c->s->token[v.id]);
    c->s->token[v.id].age[kind] = 0;
}

/* ---- awaits ---- */
static bool is_token(const sched *c, ir_val v)
{
    return ir_type_of(c->f->m, ir_vtype(c->f, v))->kind == TK_TOKEN;
}

/* registers that an op read until now go through the await that ends it */
static void check_registers(sched *c, ir_op o, uint32_t first, const access *x)
{
    for (uint32_t i = first; i < ir_nin(c->f, o); i++)
        if (sched_may_be(c, ir_in(c->f, o, i), x->what))
            return;
    REPORT(c, o, "operand 0 of %s, a tile in registers, is not among the values", place_of(c, x->op));
}

static bool ends(sched *c, ir_op o, uint32_t first, const access *x, const bool *kinds, int pending)
{
    if (!kinds[x->kind])
        return false;
    if (x->kind != KIND_LOAD)
        return x->age >= pending;
    for (uint32_t i = 0; i < first; i++)
        if (sched_may_be(c, ir_in(c->f, o, i), ir_out(c->f, x->op, 0)))
            return true;
    return false;
}

static void complete(sched *c, ir_op o, uint32_t first, const bool *kinds, int pending)
{
    state *s = c->s;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->flying.n; i++) {
        access x = s->flying.at[i];
        if (!ends(c, o, first, &x, kinds, pending))
            s->flying.at[n++] = x;
        else if (x.regs)
            check_registers(c, o, first, &x);
        else
            touched(c, &x);
    }
    s->flying.n = n;
    for (uint32_t i = 0; i < c->f->vals.n; i++) {
        for (int k = 0; k < KIND_LOAD; k++)
            if (kinds[k] && s->token[i].age[k] >= pending)
                s->token[i].age[k] = NEVER;
        if (kinds[KIND_WGMMA] && s->age[i] >= pending)
            s->age[i] = NEVER;
    }
}

static void run_await(sched *c, ir_op o)
{
    const ir_func *f = c->f;
    bool kinds[KINDS] = {false};
    int pending = (int)ir_int(f, o, KEY_pending, 0);
    uint32_t first = 0, n = ir_nin(f, o);
    for (; first < n && is_token(c, ir_in(f, o, first)); first++) {
        const token_state *t = &c->s->token[ir_in(f, o, first).id];
        for (int k = 0; k < KINDS; k++) {
            if (t->age[k] == NEVER)
                continue;
            kinds[k] = true;
            if (k != KIND_LOAD && t->age[k] < pending)
                REPORT(c, o,
                       "attribute 'pending' is %d, and on some path only %d group%s came after that of operand %u",
                       pending, t->age[k], t->age[k] == 1 ? "" : "s", first);
        }
    }
    complete(c, o, first, kinds, pending);
    for (uint32_t i = 0; i < first; i++)
        memset(&c->s->token[ir_in(f, o, i).id], NEVER, sizeof(token_state));
    for (uint32_t i = first; i < n; i++)
        if (c->s->age[ir_in(f, o, i).id] != NEVER)
            REPORT(c, o, "operand %u is still in flight: its token is not among those awaited", i);
}

/* ---- other ops ---- */
static void run_wgmma(sched *c, ir_op o)
{
    const ir_func *f = c->f;
    ir_val a = ir_in(f, o, 0), b = ir_in(f, o, 1);
    bool regs = ir_type_of(f->m, ir_vtype(f, a))->kind == TK_TILE;
    if (!regs)
        reads_shared(c, o, a, true);
    reads_shared(c, o, b, true);
    commit(c, KIND_WGMMA);
    fly(c, o, KIND_WGMMA, a, false, regs);
    fly(c, o, KIND_WGMMA, b, false, false);
    c->s->age[ir_out(f, o, 0).id] = 0;
    c->s->raw[ir_out(f, o, 0).id] = 1;
    new_token(c, ir_out(f, o, 1), KIND_WGMMA);
}

static void run_load(sched *c, ir_op o, int kind, uint32_t target)
{
    ir_val m = ir_in(c->f, o, target);
    writes_shared(c, o, m);
    if (kind == KIND_CP)
        commit(c, kind);
    fly(c, o, kind, m, true, false);
    new_token(c, ir_out(c->f, o, 0), kind);
}

static void run_store(sched *c, ir_op o)
{
    ir_val m = ir_in(c->f, o, 0);
    reads_shared(c, o, m, true);
    commit(c, KIND_BULK);
    fly(c, o, KIND_BULK, m, false, false);
    new_token(c, ir_out(c->f, o, 0), KIND_BULK);
}

/* the channel waits for the loads from here on */
static void run_put_exit(sched *c, ir_op o)
{
    state *s = c->s;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->flying.n; i++) {
        bool handed = false;
        for (uint32_t k = 2; k < ir_nin(c->f, o) && s->flying.at[i].write; k++)
            handed |= sched_may_be(c, ir_in(c->f, o, k), ir_out(c->f, s->flying.at[i].op, 0));
        if (!handed)
            s->flying.at[n++] = s->flying.at[i];
    }
    s->flying.n = n;
}

/* whether the view lies in the slot that this get_exit leaves: entered at the same position */
static bool in_slot(const sched *c, ir_val view, ir_op exit)
{
    ir_op step[SCHED_MAX_STEPS];
    int n;
    ir_op enter = ir_def(c->f, sched_steps(c->f, view, step, &n));
    return enter.id && ir_op_code(c->f, enter) == IR_OP_get_enter &&
           ir_in(c->f, enter, 0).id == ir_in(c->f, exit, 0).id && ir_in(c->f, enter, 1).id == ir_in(c->f, exit, 1).id;
}

static void run_get_exit(sched *c, ir_op o)
{
    for (uint32_t i = 2; i < ir_nin(c->f, o); i++) {
        const token_state *t = &c->s->token[ir_in(c->f, o, i).id];
        bool flying = false;
        for (int k = 0; k < KINDS; k++)
            flying |= t->age[k] != NEVER;
        if (flying) {
            REPORT(c, o, "operand %u is the token of an op in flight: it is to be awaited before", i);
            return;
        }
    }
    for (uint32_t i = 0; i < c->s->flying.n; i++) {
        const access *x = &c->s->flying.at[i];
        if (x->regs || x->write || !in_slot(c, x->what, o))
            continue;
        REPORT(c, o, "leaves a slot that %s, in flight, reads", place_of(c, x->op));
        return;
    }
}

static void stored(sched *c, ir_val view)
{
    (void)sched_join_dirty(c, c->s, &(dirty){view, false});
}

static void run_fence(sched *c)
{
    for (uint32_t i = 0; i < c->s->stores.n; i++)
        c->s->stores.at[i].fenced = true;
}

static void run_barrier(sched *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->s->stores.n; i++)
        if (!c->s->stores.at[i].fenced)
            c->s->stores.at[n++] = c->s->stores.at[i];
    c->s->stores.n = n;
    c->s->touches.n = 0;
}

/* results of wgmma go to the next of the chain, to await, or through loops and branches */
static void check_uses(sched *c, ir_op o)
{
    ir_code code = ir_op_code(c->f, o);
    if (code == IR_OP_await || (ir_ops[code].flags & (CTRL | TERM)))
        return;
    for (uint32_t i = 0; i < ir_nin(c->f, o); i++)
        if (c->s->raw[ir_in(c->f, o, i).id] && !(code == IR_OP_wgmma && i == 2)) {
            REPORT(c, o, "operand %u is the result of a 'wgmma' that did not go through 'await'", i);
            return;
        }
}

static void run_region(sched *c, ir_region r);

/* ---- loops and branches ---- */
/* what is known of views that the next round of the loop makes anew */
static void forget(sched *c, ir_op loop)
{
    state *s = c->s;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->flying.n; i++)
        if (s->flying.at[i].regs || !sched_view_is_inside(c->f, s->flying.at[i].what, loop))
            s->flying.at[n++] = s->flying.at[i];
    s->flying.n = n;
    n = 0;
    for (uint32_t i = 0; i < s->stores.n; i++)
        if (!sched_view_is_inside(c->f, s->stores.at[i].view, loop))
            s->stores.at[n++] = s->stores.at[i];
    s->stores.n = n;
    n = 0;
    for (uint32_t i = 0; i < s->touches.n; i++)
        if (!sched_view_is_inside(c->f, s->touches.at[i].view, loop))
            s->touches.at[n++] = s->touches.at[i];
    s->touches.n = n;
}

/* one round of a loop from state c->s, which becomes that at the start of the next */
static void round_of(sched *c, ir_op o)
{
    const ir_func *f = c->f;
    bool is_for = ir_op_code(f, o) == IR_OP_for;
    ir_region body = ir_op_region(f, o, is_for ? 0 : 1), head = ir_op_region(f, o, 0);
    uint32_t n = ir_nout(f, o), skip = is_for ? 1 : 0;
    if (!is_for) {
        run_region(c, head);
        for (uint32_t i = 0; i < n; i++)
            sched_carry(c->s, ir_param_of(f, body, i), c->s, ir_param_of(f, head, i));
    }
    run_region(c, body);
    state *y = sched_new(c);
    sched_copy(c, y, c->s);
    for (uint32_t i = 0; i < n; i++)
        sched_carry(y, ir_param_of(f, head, skip + i), c->s, ir_in(f, ir_last(f, body), i));
    sched_free(c, c->s);
    c->s = y;
    forget(c, o);
}

static void run_loop(sched *c, ir_op o)
{
    const ir_func *f = c->f;
    bool is_for = ir_op_code(f, o) == IR_OP_for, quiet = c->quiet;
    ir_region head = ir_op_region(f, o, 0);
    uint32_t n = ir_nout(f, o), skip = is_for ? 1 : 0, first = is_for ? 3 : 0;
    state *start = sched_new(c);
    for (uint32_t i = 0; i < n; i++)
        sched_carry(c->s, ir_param_of(f, head, skip + i), c->s, ir_in(f, o, first + i));
    sched_copy(c, start, c->s);
    c->quiet = true;
    for (int k = 0; k < MAX_ROUNDS; k++) {
        round_of(c, o);
        bool changed = sched_join(c, start, c->s);
        sched_copy(c, c->s, start);
        if (!changed)
            break;
    }
    c->quiet = quiet;
    round_of(c, o);
    (void)sched_join(c, c->s, start);
    if (!is_for) { /* the condition runs once more than the body */
        c->quiet = true;
        run_region(c, head);
        c->quiet = quiet;
    }
    for (uint32_t i = 0; i < n; i++)
        sched_carry(c->s, ir_out(f, o, i), c->s, ir_param_of(f, head, skip + i));
    sched_free(c, start);
}

static void run_if(sched *c, ir_op o)
{
    const ir_func *f = c->f;
    ir_region r[2] = {ir_op_region(f, o, 0), ir_op_region(f, o, 1)};
    state *other = sched_new(c), *first;
    sched_copy(c, other, c->s);
    run_region(c, r[0]);
    first = c->s;
    c->s = other;
    run_region(c, r[1]);
    other = c->s;
    c->s = first;
    for (uint32_t i = 0; i < ir_nout(f, o); i++) {
        sched_carry(first, ir_out(f, o, i), first, ir_in(f, ir_last(f, r[0]), i));
        sched_carry(other, ir_out(f, o, i), other, ir_in(f, ir_last(f, r[1]), i));
    }
    (void)sched_join(c, first, other);
    sched_free(c, other);
}

static void run_partitions(sched *c, ir_op o)
{
    state *before = c->s;
    for (uint32_t i = 0; i < ir_o(c->f, o)->nregions; i++) {
        c->s = sched_new(c);
        sched_copy(c, c->s, before);
        run_region(c, ir_op_region(c->f, o, i));
        sched_free(c, c->s);
    }
    c->s = before;
}

static void run_op(sched *c, ir_op o)
{
    const ir_func *f = c->f;
    check_uses(c, o);
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_wgmma:
        run_wgmma(c, o);
        break;
    case IR_OP_tma_load:
        run_load(c, o, KIND_LOAD, ir_nin(f, o) - 1);
        break;
    case IR_OP_cp_async:
        run_load(c, o, KIND_CP, 1);
        break;
    case IR_OP_tma_store:
        run_store(c, o);
        break;
    case IR_OP_await:
        run_await(c, o);
        break;
    case IR_OP_put_exit:
        run_put_exit(c, o);
        break;
    case IR_OP_get_exit:
        run_get_exit(c, o);
        break;
    case IR_OP_shared_load:
        reads_shared(c, o, ir_in(f, o, 0), false);
        touches(c, o, ir_in(f, o, 0), layout_of(c, ir_out(f, o, 0)), false);
        break;
    case IR_OP_shared_store:
        writes_shared(c, o, ir_in(f, o, 0));
        touches(c, o, ir_in(f, o, 0), layout_of(c, ir_in(f, o, 1)), true);
        stored(c, ir_in(f, o, 0));
        break;
    case IR_OP_fence_async:
        run_fence(c);
        break;
    case IR_OP_barrier:
    case IR_OP_cluster_barrier:
        run_barrier(c);
        break;
    case IR_OP_for:
    case IR_OP_while:
        run_loop(c, o);
        break;
    case IR_OP_if:
        run_if(c, o);
        break;
    case IR_OP_partitions:
        run_partitions(c, o);
        break;
    }
}

static void run_region(sched *c, ir_region r)
{
    FOR_OPS(c->f, r, o)
    {
        if (c->work++ > MAX_WORK)
            return;
        run_op(c, o);
    }
}

/* nothing here can be wrong where nothing is asynchronous, nor stored in shared memory */
static bool has_async(const ir_func *f)
{
    for (uint32_t i = 1; i < f->ops.n; i++)
        switch (f->ops.at[i].code) {
        case IR_OP_wgmma:
        case IR_OP_tma_load:
        case IR_OP_tma_store:
        case IR_OP_cp_async:
        case IR_OP_await:
        case IR_OP_shared_store:
            return true;
        }
    return false;
}

static void run_schedule(void *ctx)
{
    sched *c = ctx;
    c->a->oom = c->v->d->a->oom;
    c->s = sched_new(c);
    run_region(c, c->f->body);
    if (c->work > MAX_WORK)
        verify_fail(c->v, (ir_op){0}, "its loops and branches are too many for its schedule to be checked");
}

void verify_schedule(verifier *v)
{
    arena a;
    if (!has_async(v->f))
        return;
    sched c = {.v = v, .f = v->f, .a = &a};
    arena_init(&a, 0);
    bool done = arena_try(v->d->a, run_schedule, &c);
    arena_fini(&a);
    if (!done)
        arena_raise(v->d->a);
}
