/* lower_for.c: headers of `for`, and loops that are unrolled while lowering.
 *
 * `range(a, b, step, num_stages=, unroll=, schedule=, ..)` is a run-time loop. `static_range(..)` and loops over a
 * tuple or list are unrolled: the target is a compile-time value in each copy of the body. Where a copy may have left
 * by a run-time break or return, the copies after it stand inside `if not left`.
 */
#include "frontend/lower_loop.h"

bool walk_has_break(const ast_stmt *s)
{
    for (; s; s = s->next)
        if (s->kind == ST_BREAK || (s->kind == ST_IF && (walk_has_break(s->body) || walk_has_break(s->orelse))))
            return true;
    return false;
}

bool walk_has_return(const ast_stmt *s)
{
    for (; s; s = s->next)
        if (s->kind == ST_RETURN || walk_has_return(s->body) || walk_has_return(s->orelse))
            return true;
    return false;
}

/* ---- headers ---- */
typedef struct range_option {
    const char *name;
    ir_key key; /* KEY_NONE: accepted for Triton's sake, without meaning here */
} range_option;

static const range_option options[] = {
    {"num_stages", KEY_num_stages},     {"stages", KEY_num_stages},         {"unroll", KEY_unroll},
    {"loop_unroll_factor", KEY_unroll}, {"schedule", KEY_schedule},         {"warp_specialize", KEY_warp_specialize},
    {"flatten", KEY_flatten},           {"disable_licm", KEY_disable_licm}, {"disallow_acc_multi_buffer", KEY_NONE},
};

static bool range_option_value(lower *l, const call_arg *a, const range_option *o, loop_attrs *out)
{
    if (a->v.kind == FV_NONE || o->key == KEY_NONE)
        return true;
    ir_attr v;
    if (o->key == KEY_schedule) {
        if (a->v.kind != FV_STR) {
            low_error(l, D_ARG_TYPE, a->at, "range", "a string", STR_ARG(low_say(l, a->v)));
            return false;
        }
        v = ir_attr_str(l->m, a->v.s);
    } else {
        if (a->v.kind != FV_NUM || a->v.num.kind == CONST_FLOAT) {
            low_error(l, D_ARG_TYPE, a->at, "range", "a compile-time integer", STR_ARG(low_say(l, a->v)));
            return false;
        }
        if (a->v.num.i < 0 || a->v.num.i > 64) {
            low_error(l, D_ARG_RANGE, a->at, "range", 0LL, 64LL, STR_ARG(const_text(l->a, a->v.num)));
            return false;
        }
        v = ir_attr_int(l->m, (int64_t)a->v.num.i);
    }
    for (uint32_t i = 0; i < out->n; i++)
        if (out->at[i].key == o->key) {
            low_error(l, D_ARG_TWICE, a->at, "range", STR_ARG(a->name));
            return false;
        }
    out->at[out->n++] = (ir_attr_pair){o->key, v};
    return true;
}

static bool range_keyword(lower *l, const call_arg *a, loop_attrs *out)
{
    const char *best = NULL;
    unsigned dist = 3;
    for (uint32_t i = 0; i < COUNTOF(options); i++) {
        if (str_eq(str_of(options[i].name), a->name))
            return range_option_value(l, a, &options[i], out);
        unsigned d = str_distance(str_of(options[i].name), a->name, 2);
        if (d < dist) {
            dist = d;
            best = options[i].name;
        }
    }
    low_error(l, D_UNKNOWN_KEYWORD, a->at, "range", STR_ARG(a->name));
    if (best)
        low_note(l, a->at, "did you mean '%s'?", best);
    return false;
}

/* the one to three bounds as start, end, step */
static bool range_header(lower *l, const ast_stmt *s, const char *name, fv *v, span *at, loop_attrs *attrs)
{
    call_arg *args;
    uint32_t n, pos = 0;
    if (!low_args(l, s->value, &args, &n))
        return false;
    fv given[3];
    span where[3];
    for (uint32_t i = 0; i < n; i++) {
        if (args[i].name.n) {
            static const char *const bounds[] = {"start", "stop", "step"};
            uint32_t b = 0;
            while (b < 3 && !str_eq(str_of(bounds[b]), args[i].name))
                b++;
            if (b == 3 && !range_keyword(l, &args[i], attrs))
                return false;
            if (b == 3)
                continue;
        }
        if (pos == 3) {
            low_error(l, D_TOO_MANY_ARGS, args[i].at, name, 3, n);
            return false;
        }
        where[pos] = args[i].at;
        given[pos++] = args[i].v;
    }
    if (!pos) {
        low_error(l, D_MISSING_ARG, s->value->at, name, STR_ARG(S("end")));
        return false;
    }
    v[0] = pos > 1 ? given[0] : fv_int(0);
    v[1] = pos > 1 ? given[1] : given[0];
    v[2] = pos > 2 ? given[2] : fv_int(1);
    at[0] = where[0];
    at[1] = pos > 1 ? where[1] : where[0];
    at[2] = pos > 2 ? where[2] : s->value->at;
    return true;
}

/* ---- unrolling ---- */
typedef struct unrolled {
    const ast_stmt *s;
    loop_cx cx;
    const fv *items;   /* or NULL: integers */
    i128 start, step;
    uint32_t n;
} unrolled;

static status unroll_from(lower *l, unrolled *u, uint32_t i);

static status unroll_rest_guarded(lower *l, unrolled *u, uint32_t i, fv left)
{
    fv *env = l->fx->env;
    arm yes, no;
    if (!arm_room(l, u->s->at))
        return ST_FALL;
    ir_val go = ir_un(B(l), IR_OP_not, left.v);
    arm_open(l, &yes, env);
    low_clear_flags(l);
    arm_close(l, &yes, unroll_from(l, u, i));
    arm_open(l, &no, env);
    arm_close(l, &no, ST_EXIT);
    return arm_join(l, go, &yes, &no, env, u->s->at);
}

static status unroll_from(lower *l, unrolled *u, uint32_t i)
{
    fx *f = l->fx;
    for (; i < u->n && low_step(l, u->s->at); i++) {
        f->env[u->cx.cont] = fv_bool(false);
        low_assign(l, u->s->target, u->items ? u->items[i] : fv_int(u->start + (i128)i * u->step));
        low_stmts(l, u->s->body);
        f->env[u->cx.cont] = fv_bool(false);
        fv left = low_exit_flag(l, false);
        if (left.kind == FV_NUM && const_truth(left.num))
            return ST_EXIT;
        if (left.kind == FV_RT)
            return i + 1 < u->n ? unroll_rest_guarded(l, u, i + 1, left) : ST_MAYBE;
    }
    return ST_FALL;
}

static status unroll(lower *l, unrolled *u)
{
    fx *f = l->fx;
    loop_flags(l, &u->cx, LOOP_UNROLLED);
    if (!loop_enter(l, &u->cx, u->s->at))
        return poison_assigned(l, u->s);
    for (uint32_t i = 0; i < u->s->nassigned; i++)
        f->lasting[u->s->assigned[i]]++;
    unroll_from(l, u, 0);
    for (uint32_t i = 0; i < u->s->nassigned; i++)
        f->lasting[u->s->assigned[i]]--;
    loop_leave(l, &u->cx);
    f->env[u->cx.brk] = f->env[u->cx.cont] = fv_bool(false);
    fv ret = f->env[f->hidden + SLOT_RET];
    return ret.kind != FV_NUM ? ST_MAYBE : const_truth(ret.num) ? ST_EXIT : ST_FALL;
}

static status for_static(lower *l, const ast_stmt *s)
{
    fv v[3];
    span at[3];
    loop_attrs attrs = {.n = 0};
    if (!range_header(l, s, "static_range", v, at, &attrs))
        return poison_assigned(l, s);
    for (int i = 0; i < 3; i++)
        if (!fv_is_const_int(v[i])) {
            if (v[i].kind != FV_POISON)
                low_error(l, D_STATIC_RANGE, at[i], STR_ARG(low_say(l, v[i])));
            return poison_assigned(l, s);
        }
    i128 step = v[2].num.i, n = 0;
    if (step == 0) {
        low_error(l, D_RANGE_STEP, at[2]);
        return poison_assigned(l, s);
    }
    const_num span_of, q;
    if (const_binary(FE_SUB, v[1].num, v[0].num, &span_of) == CONST_OK &&
        const_binary(FE_FLOORDIV, span_of, v[2].num, &q) == CONST_OK && (span_of.i > 0) == (step > 0) && span_of.i)
        n = q.i + (q.i * step != span_of.i);
    if (n > LOW_MAX_UNROLL) {
        low_error(l, D_UNROLL, s->value->at, STR_ARG(const_int_text(l->a, n)), LOW_MAX_UNROLL);
        return poison_assigned(l, s);
    }
    unrolled u = {.s = s, .start = v[0].num.i, .step = step, .n = (uint32_t)n};
    return unroll(l, &u);
}

static status for_items(lower *l, const ast_stmt *s)
{
    fv v = low_expr(l, s->value);
    if (v.kind != FV_SEQ) {
        if (v.kind != FV_POISON)
            low_error(l, D_NOT_ITERABLE, s->value->at, STR_ARG(low_say(l, v)));
        return poison_assigned(l, s);
    }
    if (v.seq.n > LOW_MAX_UNROLL) {
        low_error(l, D_UNROLL, s->value->at, STR_ARG(const_int_text(l->a, v.seq.n)), LOW_MAX_UNROLL);
        return poison_assigned(l, s);
    }
    unrolled u = {.s = s, .items = v.seq.at, .n = v.seq.n};
    return unroll(l, &u);
}

static status for_range(lower *l, const ast_stmt *s)
{
    fv v[3];
    span at[3];
    loop_attrs attrs = {.n = 0};
    if (!range_header(l, s, "range", v, at, &attrs))
        return poison_assigned(l, s);
    return low_for_run(l, s, v, at, &attrs);
}

status low_for(lower *l, const ast_stmt *s)
{
    switch (s->loop) {
    case LOOP_RANGE: return for_range(l, s);
    case LOOP_STATIC: return for_static(l, s);
    case LOOP_ITEMS: return for_items(l, s);
    case LOOP_OVER_PERSISTENT: return low_persistent(l, s);
    case LOOP_OVER_STREAM: return low_stream(l, s);
    }
    return ST_FALL;
}
