/* names_body.c: names in expressions and statements; which variables a block assigns; what may stand where.
 *
 * A name assigned anywhere in a function is a variable of it in all of the function. Whether it has a value where it
 * is used is for lowering to say, which follows the control flow.
 */
#include "frontend/names.h"

#include "frontend/builtins.h"

#include <stdlib.h>

/* Triton's builtins that the language leaves out, and what stands in for them */
static const struct {
    const char *name, *instead;
} excluded[] = {
    {"make_block_ptr", "use tensors: 't.load([i, j], [BM, BN])'"},
    {"advance", "use tensors: 't.load([i, j], [BM, BN])'"},
    {"make_tensor_descriptor", "take a tensor parameter, 'a: T[M, K]', or make one with 'tensor(p, [M, K], [K, 1])'"},
    {"load_tensor_descriptor", "use tensors: 't.load([i, j], [BM, BN])'"},
    {"store_tensor_descriptor", "use tensors: 't.store([i, j], x)'"},
    {"target_info", "what is legal is the same on every target; tune consts with '@tune(cpu, ..)'"},
    {"num_threads", "a program is one sequential thread"},
    {"num_warps", "set it with @tune(num_warps=[..])"},
    {"extern_elementwise", "write the function in the language"},
    {"inline_asm_elementwise", "write the function in the language"},
    {"dot_scaled", "unpack, scale, and use 'dot'"},
    {"libdevice", "use the builtins of that name, or write the function in the language"},
    {"atomic_poll", "spin on 'atomic_add(p, 0)' or 'atomic_cas'"},
    {"globaltimer", "time launches from the host"},
    {"smid", "a program's place on the device is not visible"},
    {"gdc_wait", "programmatic dependent launch is the runtime's"},
    {"gdc_launch_dependents", "programmatic dependent launch is the runtime's"},
};

/* ---- unknown names ---- */
static void consider(str want, str have, unsigned *best, str *hint)
{
    unsigned d = str_distance(want, have, *best);
    if (d < *best) {
        *best = d;
        *hint = have;
    }
}

static void consider_globals(const globals *g, str want, unsigned *best, str *hint)
{
    for (uint32_t i = 1; g->names && i < intern_count(g->names); i++)
        consider(want, intern_str(g->names, i), best, hint);
}

void names_unknown(names *n, str name, span at, bool type)
{
    str hint = {0};
    unsigned best = name.n <= 2 ? (unsigned)name.n : (unsigned)(name.n + 5) / 4 + 1;
    for (size_t i = 0; !type && i < COUNTOF(excluded); i++)
        if (str_eq(name, str_of(excluded[i].name))) {
            fe_report(n->d, D_EXCLUDED, at, STR_ARG(name), excluded[i].instead);
            return;
        }
    for (int d = DT_NONE + 1; d < DT_COUNT; d++)
        consider(name, str_of(dtypes[d].name), &best, &hint);
    consider(name, S("int"), &best, &hint);
    for (const ast_generic *g = n->fn ? n->fn->generics : NULL; g; g = g->next)
        consider(name, g->name, &best, &hint);
    for (uint32_t i = 1; !type && i < intern_count(n->scope); i++)
        consider(name, intern_str(n->scope, i), &best, &hint);
    if (!type) {
        consider_globals(&n->user, name, &best, &hint);
        consider_globals(&n->std, name, &best, &hint);
        for (int i = 0; i < builtin_count(); i++)
            if (!(builtin_at(i)->flags & BI_TENSOR))
                consider(name, str_of(builtin_at(i)->name), &best, &hint);
    }
    if (hint.n)
        fe_report(n->d, type ? D_UNKNOWN_TYPE_HINT : D_UNKNOWN_NAME_HINT, at, STR_ARG(name), STR_ARG(hint));
    else
        fe_report(n->d, type ? D_UNKNOWN_TYPE : D_UNKNOWN_NAME, at, STR_ARG(name));
}

/* ---- references ---- */
static void link_std(names *n, ast_fn *f)
{
    ast_fn **p = &n->u->std_fns;
    while (*p && *p != f)
        p = &(*p)->next;
    if (!*p)
        return;
    *p = f->next;
    f->next = NULL;
    *n->tail = f;
    n->tail = &f->next;
}

static void refer_fn(names *n, ast_expr *e, ast_fn *f)
{
    if (f->is_kernel) {
        fe_report(n->d, D_CALLS_KERNEL, e->at, STR_ARG(f->name));
        e->kind = EX_ERROR;
        return;
    }
    if (f->visiting) {
        f->recursive = true;
        fe_report(n->d, D_RECURSION, e->at, STR_ARG(f->name));
        e->kind = EX_ERROR;
        return;
    }
    f->called = true;
    if (f->is_std)
        link_std(n, f);
    names_fn(n, f);
    e->ref = (ast_ref){.kind = REF_FN, .fn = f};
}

static void refer_const(names *n, ast_expr *e, ast_const *k)
{
    if (k->visiting) {
        fe_report(n->d, D_CONST_CYCLE, e->at, STR_ARG(k->name));
        e->kind = EX_ERROR;
        return;
    }
    names_const(n, k);
    e->ref = (ast_ref){.kind = REF_CONST, .konst = k};
}

static bool refer_global(names *n, ast_expr *e, const globals *g)
{
    uint32_t id = g->names ? intern_find(g->names, e->s) : UINT32_MAX;
    if (id == UINT32_MAX || id == 0)
        return false;
    if (g->fns.at[id])
        refer_fn(n, e, g->fns.at[id]);
    else
        refer_const(n, e, g->consts.at[id]);
    return true;
}

static void refer(names *n, ast_expr *e)
{
    uint32_t id = intern_find(n->scope, e->s);
    bool in_std = n->fn && n->fn->is_std;
    if (id != UINT32_MAX && id != 0) {
        e->ref = (ast_ref){.kind = REF_SLOT, .slot = id - 1};
        return;
    }
    if (in_std && refer_global(n, e, &n->std)) /* the library means its own names, whatever the user defines */
        return;
    int row = builtin_find(e->s);
    uint32_t user = intern_find(n->user.names, e->s);
    bool kernel = user != UINT32_MAX && n->user.fns.at[user] && n->user.fns.at[user]->is_kernel;
    /* a kernel may bear a builtin's name: it is never called */
    if (!(kernel && row >= 0) && refer_global(n, e, &n->user))
        return;
    if (row >= 0 && !(builtin_at(row)->flags & BI_STD)) {
        e->ref = (ast_ref){.kind = REF_BUILTIN, .builtin = row};
        return;
    }
    dtype dt = str_eq(e->s, S("int")) ? DT_I64 : dtype_by_name(e->s);
    if (dt != DT_NONE) {
        e->ref = (ast_ref){.kind = REF_DTYPE, .dt = dt};
        return;
    }
    if (refer_global(n, e, &n->std))
        return;
    names_unknown(n, e->s, e->at, false);
    e->kind = EX_ERROR;
}

void names_expr(names *n, ast_expr *e)
{
    if (!e)
        return;
    switch (e->kind) {
    case EX_ERROR:
    case EX_NUM:
    case EX_STR:
    case EX_NONE:
        return;
    case EX_NAME:
        refer(n, e);
        return;
    case EX_CONFIG:
        fe_report(n->d, D_CONFIG_HERE, e->at);
        e->kind = EX_ERROR;
        return;
    case EX_TUPLE:
    case EX_LIST:
    case EX_UNARY:
    case EX_BINARY:
    case EX_POW:
    case EX_AND:
    case EX_OR:
    case EX_IS:
    case EX_COND:
    case EX_ATTR:
    case EX_CALL:
    case EX_INDEX:
    case EX_SLICE:
    case EX_STAR:
        break;
    }
    names_expr(n, e->a);
    names_expr(n, e->b);
    names_expr(n, e->c);
    for (ast_expr *i = e->items; i; i = i->next)
        names_expr(n, i);
    for (ast_arg *g = e->args; g; g = g->next)
        names_expr(n, g->value);
}

/* ---- variables ---- */
static const char *what_slot(const names *n, uint32_t slot)
{
    const ast_fn *f = n->fn;
    for (const ast_generic *g = f->generics; g; g = g->next)
        if (g->slot == slot)
            return "a generic dtype";
    for (const ast_param *p = f->params; p; p = p->next)
        if (p->slot == slot)
            return p->type.kind == TY_CONST || p->type.kind == TY_CONST_FN ? "a const parameter" : NULL;
    for (uint32_t i = 0; i < f->tuned.n; i++)
        if (f->tuned.at[i].slot == slot)
            return "a const parameter, declared by @tune";
    return "a dimension";
}

static void declare_target(names *n, const ast_expr *t)
{
    if (t->kind == EX_TUPLE || t->kind == EX_LIST) {
        for (const ast_expr *e = t->items; e; e = e->next)
            declare_target(n, e);
        return;
    }
    if (t->kind != EX_NAME)
        return;
    uint32_t id = intern_find(n->scope, t->s);
    if (id != UINT32_MAX && id - 1 < n->fixed) {
        const char *what = what_slot(n, id - 1);
        if (what)
            fe_report(n->d, D_ASSIGN_CONST, t->at, STR_ARG(t->s), what);
        return;
    }
    intern_id(n->scope, t->s);
}

void names_declare(names *n, const ast_stmt *first)
{
    for (const ast_stmt *s = first; s; s = s->next) {
        if (s->target && (s->kind == ST_ASSIGN || s->kind == ST_FOR))
            declare_target(n, s->target);
        names_declare(n, s->body);
        names_declare(n, s->orelse);
    }
}

static void note_target(names *n, const ast_expr *t, slot_list *assigned)
{
    for (const ast_expr *e = t->items; e; e = e->next)
        note_target(n, e, assigned);
    if (t->kind == EX_NAME && t->ref.kind == REF_SLOT)
        vec_push(n->a, assigned, t->ref.slot);
}

static int by_number(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

/* sorts and drops repeats; the statement keeps the result, the enclosing block adds it to its own */
static void keep_assigned(names *n, ast_stmt *s, slot_list *mine, slot_list *outer)
{
    uint32_t k = 0;
    if (mine->n)
        qsort(mine->at, mine->n, sizeof *mine->at, by_number);
    for (uint32_t i = 0; i < mine->n; i++)
        if (i == 0 || mine->at[i] != mine->at[i - 1])
            mine->at[k++] = mine->at[i];
    s->assigned = mine->at;
    s->nassigned = k;
    for (uint32_t i = 0; i < k; i++)
        vec_push(n->a, outer, mine->at[i]);
}

static void compound(names *n, ast_stmt *s, slot_list *assigned)
{
    slot_list mine = {0};
    bool loop = s->kind != ST_IF;
    if (s->kind == ST_FOR) {
        names_expr(n, s->target);
        note_target(n, s->target, &mine);
        if (s->loop == LOOP_ITEMS)
            names_expr(n, s->value);
        else
            for (ast_arg *g = s->value->args; g; g = g->next)
                names_expr(n, g->value);
    }
    names_expr(n, s->cond);
    n->loops += loop;
    names_stmts(n, s->body, &mine);
    n->loops -= loop;
    names_stmts(n, s->orelse, &mine);
    keep_assigned(n, s, &mine, assigned);
}

static void one_stmt(names *n, ast_stmt *s, slot_list *assigned)
{
    switch (s->kind) {
    case ST_ERROR:
    case ST_PASS:
        return;
    case ST_EXPR:
        names_expr(n, s->value);
        return;
    case ST_ASSIGN:
        names_expr(n, s->value);
        names_expr(n, s->target);
        note_target(n, s->target, assigned);
        return;
    case ST_RETURN:
        names_expr(n, s->value);
        if (s->value && n->fn->is_kernel)
            fe_report(n->d, D_KERNEL_RETURNS, s->value->at);
        return;
    case ST_BREAK:
    case ST_CONTINUE:
        if (!n->loops)
            fe_report(n->d, D_OUTSIDE_LOOP, s->at, s->kind == ST_BREAK ? "break" : "continue");
        return;
    case ST_IF:
    case ST_FOR:
    case ST_WHILE:
        compound(n, s, assigned);
        return;
    }
}

void names_stmts(names *n, ast_stmt *first, slot_list *assigned)
{
    for (ast_stmt *s = first; s; s = s->next) {
        one_stmt(n, s, assigned);
        bool leaves = s->kind == ST_RETURN || s->kind == ST_BREAK || s->kind == ST_CONTINUE;
        if (leaves && s->next && s->next->kind != ST_ERROR)
            fe_report(n->d, D_UNREACHABLE, s->next->at);
    }
}
