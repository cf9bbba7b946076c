/* lower_expr.c: expressions.
 *
 * What is known at compile time is computed here and leaves no trace in the IR. `and`, `or` and `x if c else y` on
 * run-time conditions evaluate their later operands only where they count: operands with a call or subscript in them
 * stand in a region of an `if`, others are evaluated in place.
 */
#include "frontend/builtins.h"
#include "frontend/lower.h"

#include <math.h>

bool expr_is_simple(const ast_expr *e)
{
    if (!e)
        return true;
    switch (e->kind) {
    case EX_ERROR: case EX_NUM: case EX_STR: case EX_NONE: case EX_NAME: return true;
    case EX_TUPLE:
    case EX_LIST:
        for (const ast_expr *i = e->items; i; i = i->next)
            if (!expr_is_simple(i))
                return false;
        return true;
    case EX_UNARY: case EX_BINARY: case EX_POW: case EX_AND: case EX_OR: case EX_IS: case EX_COND: case EX_ATTR:
        return expr_is_simple(e->a) && expr_is_simple(e->b) && expr_is_simple(e->c);
    case EX_CALL: case EX_INDEX: case EX_SLICE: case EX_STAR: case EX_CONFIG: return false;
    }
    return false;
}

/* ---- names ---- */
void low_read_fault(lower *l, uint32_t slot, span at)
{
    fx *f = l->fx;
    fv v = f->env[slot];
    static const char *const how[] = {
        [WHY_NEVER] = "has no value here", [WHY_BRANCH] = "is bound in only one branch of an 'if'",
        [WHY_LOOP] = "is bound only inside a loop, which may run zero times",
        [WHY_ITERATION] = "is bound in the body of a persistent loop, which nothing outlives",
        [WHY_TYPES] = "has different types on the ways that lead here",
    };
    low_error(l, D_UNBOUND, at, STR_ARG(low_slot_name(l, slot)), how[v.unbound.why]);
    if (v.unbound.why != WHY_NEVER && v.unbound.at.file)
        low_note(l, v.unbound.at, "here");
    f->env[slot] = fv_poison();
}

/* no constant is made of itself: names_body.c saw to that */
static fv file_const(lower *l, const ast_const *c)
{
    for (uint32_t i = 0; i < l->consts.n; i++)
        if (l->consts.at[i].c == c)
            return l->consts.at[i].v;
    fv v = low_expr(l, c->value);
    if (fv_is_runtime(v) || v.kind == FV_METHOD)
        v = low_error(l, D_CONST_RUNTIME, c->value->at, STR_ARG(c->name), STR_ARG(low_say(l, v)));
    vec_push(l->a, &l->consts, ((const_memo){c, v}));
    return v;
}

static fv name(lower *l, const ast_expr *e)
{
    switch (e->ref.kind) {
    case REF_NONE: return fv_poison();
    case REF_SLOT: {
        fv v = l->fx->env[e->ref.slot];
        if (v.kind != FV_UNBOUND)
            return v;
        low_read_fault(l, e->ref.slot, e->at);
        return fv_poison();
    }
    case REF_FN: return (fv){.kind = FV_FN, .fn = e->ref.fn};
    case REF_CONST: return file_const(l, e->ref.konst);
    case REF_BUILTIN: return (fv){.kind = FV_BUILTIN, .builtin = e->ref.builtin};
    case REF_DTYPE: return fv_type(ir_type_num(l->m, e->ref.dt));
    }
    return fv_poison();
}

/* ---- choices ---- */
/* a weak number takes the dtype of the other value where its kind allows */
static void meet(lower *l, fv *a, fv *b, span at)
{
    for (int i = 0; i < 2; i++) {
        fv *weak = i ? b : a, *other = i ? a : b;
        if (weak->kind != FV_NUM || other->kind != FV_RT || low_is_ptr(l, *other))
            continue;
        dtype d = low_dt(l, *other);
        bool fits = weak->num.kind == CONST_BOOL  ? d == DT_BOOL
                    : weak->num.kind == CONST_INT ? d != DT_BOOL
                                                  : dt_is_float(d);
        if (fits)
            *weak = low_cast(l, *weak, d, at);
    }
}

static fv choose_result(lower *l, fv a, fv b, span at)
{
    return low_error(l, D_JOIN, at, STR_ARG(S("the value")), STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
}

/* both sides in regions of their own */
static fv choose_in_arms(lower *l, ir_val cond, const ast_expr *ea, const ast_expr *eb, span at)
{
    if (!arm_room(l, at))
        return fv_poison();
    fv *env = l->fx->env, a, b;
    arm yes, no;
    val_list ya = {0}, yb = {0};
    arm_open(l, &yes, env);
    a = low_expr(l, ea);
    arm_close(l, &yes, ST_FALL);
    arm_open(l, &no, env);
    b = low_expr(l, eb);
    meet(l, &(fv){.kind = a.kind == FV_NUM ? FV_NONE : a.kind, .v = a.v}, &b, at);
    arm_close(l, &no, ST_FALL);
    l->fx->env = env;
    if (fv_has_poison(a) || fv_has_poison(b))
        return fv_poison();
    ir_push(B(l), yes.r);
    meet(l, &a, &(fv){.kind = b.kind == FV_NUM ? FV_NONE : b.kind, .v = b.v}, at);
    bool ok = fv_can_carry(a) && fv_can_carry(b) && fv_types_equal(l, a, b) && fv_flatten(l, a, &ya, at);
    ir_yield(B(l), ya.at, ya.n);
    ir_pop(B(l));
    ir_push(B(l), no.r);
    ok = ok && fv_flatten(l, b, &yb, at);
    ir_yield(B(l), yb.at, yb.n);
    ir_pop(B(l));
    if (!ok)
        return choose_result(l, a, b, at);
    ir_val *out = ARENA_ARRAY(l->a, ir_val, ya.n ? ya.n : 1);
    ir_type *types = ARENA_ARRAY(l->a, ir_type, ya.n ? ya.n : 1);
    for (uint32_t i = 0; i < ya.n; i++)
        types[i] = ir_vtype(l->fx->f, ya.at[i]);
    low_place(l, at);
    ir_emit(B(l), &(ir_desc){.code = IR_OP_if, .nin = 1, .in = &cond, .nout = ya.n, .types = types, .nregions = 2,
                             .regions = (ir_region[]){yes.r, no.r}}, out);
    uint32_t k = 0;
    return fv_rebuild(l, a, out, &k);
}

static fv conditional(lower *l, const ast_expr *e)
{
    fv c = low_condition(l, low_expr(l, e->c), e->c->at, "if");
    if (c.kind == FV_NUM)
        return low_expr(l, const_truth(c.num) ? e->a : e->b);
    if (c.kind != FV_RT)
        return fv_poison();
    if (!expr_is_simple(e->a) || !expr_is_simple(e->b))
        return choose_in_arms(l, c.v, e->a, e->b, e->at);
    fv a = low_expr(l, e->a), b = low_expr(l, e->b);
    if (fv_has_poison(a) || fv_has_poison(b))
        return fv_poison();
    meet(l, &a, &b, e->at);
    if (fv_same(a, b))
        return a;
    val_list x = {0}, y = {0};
    if (!fv_can_carry(a) || !fv_can_carry(b) || !fv_types_equal(l, a, b))
        return choose_result(l, a, b, e->at);
    if (!fv_flatten(l, a, &x, e->at) || !fv_flatten(l, b, &y, e->at))
        return fv_poison();
    low_place(l, e->at);
    for (uint32_t i = 0; i < x.n; i++)
        x.at[i] = ir_select(B(l), c.v, x.at[i], y.at[i]);
    uint32_t k = 0;
    return fv_rebuild(l, a, x.at, &k);
}

/* `and`, `or`: the right side is evaluated only where the left leaves it open */
static fv logical(lower *l, const ast_expr *e)
{
    bool is_or = e->kind == EX_OR;
    const char *word = is_or ? "or" : "and";
    fv a = low_condition(l, low_expr(l, e->a), e->a->at, word);
    if (a.kind == FV_NUM && const_truth(a.num) == is_or)
        return a;
    if (a.kind != FV_RT)
        return a.kind == FV_NUM ? low_condition(l, low_expr(l, e->b), e->b->at, word) : a;
    if (expr_is_simple(e->b)) {
        fv b = low_condition(l, low_expr(l, e->b), e->b->at, word);
        if (b.kind == FV_NUM)
            return const_truth(b.num) == is_or ? b : a;
        return b.kind == FV_RT ? fv_rt(ir_bin(B(l), is_or ? IR_OP_or : IR_OP_and, a.v, b.v)) : b;
    }
    if (!arm_room(l, e->at))
        return fv_poison();
    fv *env = l->fx->env;
    ir_type bt = ir_type_num(l->m, DT_BOOL);
    arm rhs, skip;
    arm_open(l, &rhs, env);
    fv b = low_condition(l, low_expr(l, e->b), e->b->at, word);
    fv v = b.kind == FV_NUM ? low_runtime(l, b, e->b->at) : b;
    ir_yield(B(l), &v.v, v.kind == FV_RT);
    arm_close(l, &rhs, ST_FALL);
    arm_open(l, &skip, env);
    ir_val known = ir_const_i(B(l), bt, is_or), out;
    ir_yield(B(l), &known, 1);
    arm_close(l, &skip, ST_FALL);
    l->fx->env = env;
    if (v.kind != FV_RT)
        return fv_poison();
    low_place(l, e->at);
    ir_region regions[2] = {is_or ? skip.r : rhs.r, is_or ? rhs.r : skip.r};
    ir_emit(B(l), &(ir_desc){.code = IR_OP_if, .nin = 1, .in = &a.v, .nout = 1, .types = &bt, .nregions = 2,
                             .regions = regions}, &out);
    return fv_rt(out);
}

/* ---- the rest ---- */
static fv sequence(lower *l, const ast_expr *e)
{
    if (e->nitems > LOW_MAX_LIST)
        return low_error(l, D_LIST_SIZE, e->at, e->nitems, LOW_MAX_LIST);
    fv *el = ARENA_ARRAY(l->a, fv, e->nitems ? e->nitems : 1);
    uint32_t n = 0;
    for (const ast_expr *i = e->items; i; i = i->next) {
        el[n++] = low_expr(l, i);
        if (el[n - 1].kind == FV_METHOD)
            el[n - 1] = low_error(l, D_METHOD_VALUE, i->at);
    }
    fv v = fv_seq_of(el, n, e->kind == EX_LIST);
    return low_list_room(l, v.seq.size - 1, e->at) ? v : fv_poison();
}

static fv power(lower *l, const ast_expr *e)
{
    fv a = low_expr(l, e->a), b = low_expr(l, e->b);
    if (a.kind == FV_POISON || b.kind == FV_POISON)
        return fv_poison();
    if (a.kind != FV_NUM || b.kind != FV_NUM || a.num.kind == CONST_BOOL || b.num.kind == CONST_BOOL)
        return low_error(l, D_POWER, e->at, STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
    if (a.num.kind == CONST_FLOAT || b.num.kind == CONST_FLOAT || b.num.i < 0)
        return fv_float(pow(const_as_double(a.num), const_as_double(b.num)));
    const_num r = const_of_int(1);
    i128 n = b.num.i;
    if (a.num.i == 0 || a.num.i == 1)
        return n ? a : fv_int(1);
    if (a.num.i == -1)
        return fv_int(n % 2 ? -1 : 1);
    for (i128 i = 0; i < n; i++)
        if (const_binary(FE_MUL, r, a.num, &r) != CONST_OK)
            return low_error(l, D_CONST_OVERFLOW, e->at, "**");
    return fv_num(r);
}

static fv is_same(lower *l, const ast_expr *e)
{
    fv a = low_expr(l, e->a), b = low_expr(l, e->b);
    if (a.kind == FV_POISON || b.kind == FV_POISON)
        return fv_poison();
    if (fv_is_runtime(a) && b.kind != FV_NONE)
        return low_error(l, D_IS, e->at, STR_ARG(low_say(l, a)));
    return fv_bool(fv_same(a, b) != e->negated);
}

static fv star(lower *l, const ast_expr *e)
{
    fv v = low_expr(l, e->a);
    if (v.kind == FV_TYPE)
        return fv_type(ir_type_ptr(l->m, v.type));
    return v.kind == FV_POISON ? v : low_error(l, D_STAR, e->at, STR_ARG(low_say(l, v)));
}

static fv expr(lower *l, const ast_expr *e)
{
    switch (e->kind) {
    case EX_ERROR: return fv_poison();
    case EX_NUM: return fv_num(e->num);
    case EX_STR: return fv_str(e->s);
    case EX_NONE: return fv_none();
    case EX_NAME: return name(l, e);
    case EX_TUPLE:
    case EX_LIST: return sequence(l, e);
    case EX_UNARY: return low_unary(l, e->unop, low_expr(l, e->a), e->at);
    case EX_BINARY: {
        fv a = low_expr(l, e->a), b = low_expr(l, e->b);
        return low_binary(l, e->op, a, b, e->at, e->a->at, e->b->at);
    }
    case EX_POW: return power(l, e);
    case EX_AND:
    case EX_OR: return logical(l, e);
    case EX_IS: return is_same(l, e);
    case EX_COND: return conditional(l, e);
    case EX_ATTR: {
        fv self = low_expr(l, e->a);
        return self.kind == FV_POISON ? self : low_attr_value(l, self, e->s, e->at, e->name);
    }
    case EX_CALL: return low_call_expr(l, e);
    case EX_INDEX: {
        fv x = low_expr(l, e->a);
        return x.kind == FV_POISON ? x : low_index(l, x, e);
    }
    case EX_SLICE: /* only in a subscript, by grammar */
    case EX_CONFIG: break; /* only in @tune, by names_body.c */
    case EX_STAR: return star(l, e);
    }
    return fv_poison();
}

fv low_expr(lower *l, const ast_expr *e)
{
    if (l->stopped || !low_deeper(l, e->at))
        return fv_poison();
    fv v = expr(l, e);
    l->nesting--;
    return v;
}
