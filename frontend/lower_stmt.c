/* lower_stmt.c: statement lists, assignment, `if`, and leaving (see lower.h, "Control flow"). */
#include "frontend/lower_loop.h"

/* ---- flags ---- */
static fv or_flags(lower *l, fv a, fv b)
{
    if (a.kind == FV_NUM)
        return const_truth(a.num) ? a : b;
    if (b.kind == FV_NUM)
        return const_truth(b.num) ? b : a;
    return a.kind == FV_RT && b.kind == FV_RT ? fv_rt(ir_bin(B(l), IR_OP_or, a.v, b.v)) : fv_bool(false);
}

fv low_exit_flag(lower *l, bool with_cont)
{
    fx *f = l->fx;
    fv v = f->env[f->hidden + SLOT_RET];
    if (f->loop) {
        v = or_flags(l, v, f->env[f->loop->brk]);
        if (with_cont)
            v = or_flags(l, v, f->env[f->loop->cont]);
    }
    return v;
}

void low_clear_flags(lower *l)
{
    fx *f = l->fx;
    f->env[f->hidden + SLOT_RET] = fv_bool(false);
    f->env[f->hidden + SLOT_RV] = (fv){.kind = FV_UNBOUND};
    if (f->loop)
        f->env[f->loop->brk] = f->env[f->loop->cont] = fv_bool(false);
}

status low_guarded(lower *l, const ast_stmt *rest, span at)
{
    fv left = low_exit_flag(l, true);
    if (left.kind == FV_NUM)
        return const_truth(left.num) ? ST_EXIT : low_stmts(l, rest);
    if (!arm_room(l, at))
        return ST_FALL;
    fv *env = l->fx->env;
    arm yes, no;
    low_place(l, at);
    ir_val go = ir_un(B(l), IR_OP_not, left.v);
    arm_open(l, &yes, env);
    low_clear_flags(l);
    arm_close(l, &yes, low_stmts(l, rest));
    arm_open(l, &no, env);
    arm_close(l, &no, ST_EXIT);
    return arm_join(l, go, &yes, &no, env, at);
}

/* ---- assignment ---- */
static void assign_sequence(lower *l, const ast_expr *target, fv v)
{
    bool ok = v.kind == FV_SEQ && v.seq.n == target->nitems;
    if (!ok && v.kind == FV_SEQ)
        low_error(l, D_UNPACK_COUNT, target->at, target->nitems, v.seq.n);
    else if (!ok && v.kind != FV_POISON)
        low_error(l, D_UNPACK, target->at, target->nitems, STR_ARG(low_say(l, v)));
    uint32_t i = 0;
    for (const ast_expr *e = target->items; e; e = e->next, i++)
        low_assign(l, e, ok ? v.seq.at[i] : fv_poison());
}

void low_assign(lower *l, const ast_expr *target, fv v)
{
    switch (target->kind) {
    case EX_NAME:
        if (target->ref.kind == REF_SLOT)
            l->fx->env[target->ref.slot] = v;
        return;
    case EX_TUPLE:
    case EX_LIST: assign_sequence(l, target, v); return;
    case EX_ERROR: return;
    case EX_NUM: case EX_STR: case EX_NONE: case EX_UNARY: case EX_BINARY: case EX_POW: case EX_AND: case EX_OR:
    case EX_IS: case EX_COND: case EX_ATTR: case EX_CALL: case EX_INDEX: case EX_SLICE: case EX_STAR: case EX_CONFIG:
        low_error(l, D_BAD_TARGET, target->at);
        return;
    }
}

static void assign(lower *l, const ast_stmt *s)
{
    fv v = low_expr(l, s->value);
    if (s->augmented)
        v = low_binary(l, s->op, low_expr(l, s->target), v, span_join(s->target->at, s->value->at), s->target->at,
                       s->value->at);
    if (v.kind == FV_METHOD)
        v = low_error(l, D_METHOD_VALUE, s->value->at);
    low_assign(l, s->target, v);
}

/* ---- leaving ---- */
static status leave_loop(lower *l, const ast_stmt *s)
{
    loop_cx *cx = l->fx->loop;
    const char *word = s->kind == ST_BREAK ? "break" : "continue";
    if (!cx) {
        low_error(l, D_OUTSIDE_LOOP, s->at, word);
        return ST_FALL;
    }
    if (s->kind == ST_BREAK && cx->kind >= LOOP_PERSISTENT) {
        low_error(l, D_PERSISTENT_EXIT, s->at, word, cx->kind == LOOP_STREAM ? "stream" : "persistent");
        return ST_EXIT;
    }
    l->fx->env[s->kind == ST_BREAK ? cx->brk : cx->cont] = fv_bool(true);
    return ST_EXIT;
}

static status leave_function(lower *l, const ast_stmt *s)
{
    fx *f = l->fx;
    for (loop_cx *cx = f->loop; cx; cx = cx->up)
        if (cx->kind >= LOOP_PERSISTENT) {
            low_error(l, D_PERSISTENT_EXIT, s->at, "return", cx->kind == LOOP_STREAM ? "stream" : "persistent");
            return ST_EXIT;
        }
    fv v = s->value ? low_expr(l, s->value) : fv_none();
    if (f->decl->is_kernel && s->value)
        low_error(l, D_KERNEL_RETURNS, s->value->at);
    if (v.kind == FV_METHOD)
        v = low_error(l, D_METHOD_VALUE, s->value->at);
    f->env[f->hidden + SLOT_RET] = fv_bool(true);
    f->env[f->hidden + SLOT_RV] = f->decl->is_kernel ? fv_none() : v;
    return ST_EXIT;
}

/* ---- if ---- */
/* goes on in a branch that was left open */
static void go_on_in(lower *l, arm *x, const ast_stmt *rest)
{
    fx *f = l->fx;
    f->env = x->env;
    ir_push(&f->b, x->r);
    f->regions++;
    arm_close(l, x, x->st == ST_MAYBE ? low_guarded(l, rest, rest->at) : low_stmts(l, rest));
}

status low_if(lower *l, const ast_stmt *s, bool *took_rest)
{
    fv c = low_condition(l, low_expr(l, s->cond), s->cond->at, "if");
    if (c.kind == FV_NUM)
        return low_stmts(l, const_truth(c.num) ? s->body : s->orelse);
    if (c.kind != FV_RT || !arm_room(l, s->at))
        return poison_assigned(l, s);
    fv *env = l->fx->env;
    arm yes, no;
    arm_open(l, &yes, env);
    arm_close(l, &yes, low_stmts(l, s->body));
    arm_open(l, &no, env);
    arm_close(l, &no, low_stmts(l, s->orelse));
    if (s->next && (yes.st == ST_EXIT) != (no.st == ST_EXIT)) {
        *took_rest = true;
        go_on_in(l, yes.st == ST_EXIT ? &no : &yes, s->next);
    }
    return arm_join(l, c.v, &yes, &no, env, s->at);
}

/* ---- lists ---- */
static status statement(lower *l, const ast_stmt *s, bool *took_rest)
{
    switch (s->kind) {
    case ST_ERROR:
    case ST_PASS: return ST_FALL;
    case ST_EXPR: low_expr(l, s->value); return ST_FALL;
    case ST_ASSIGN: assign(l, s); return ST_FALL;
    case ST_IF: return low_if(l, s, took_rest);
    case ST_FOR: return low_for(l, s);
    case ST_WHILE: return low_while(l, s);
    case ST_BREAK:
    case ST_CONTINUE: return leave_loop(l, s);
    case ST_RETURN: return leave_function(l, s);
    }
    return ST_FALL;
}

static status list(lower *l, const ast_stmt *s)
{
    for (; s; s = s->next) {
        if (!low_step(l, s->at))
            return ST_FALL;
        bool took_rest = false;
        arena_pos mark = arena_mark(l->scratch);
        status st = statement(l, s, &took_rest);
        if (st == ST_MAYBE && s->next && !took_rest && !l->stopped) {
            took_rest = true;
            st = low_guarded(l, s->next, s->at);
        }
        arena_reset(l->scratch, mark);
        if (took_rest || st != ST_FALL || l->stopped)
            return st;
    }
    return ST_FALL;
}

status low_stmts(lower *l, const ast_stmt *s)
{
    if (s && !low_deeper(l, s->at))
        return ST_FALL;
    status st = list(l, s);
    l->nesting -= s != NULL;
    return st;
}
