/* names.c: what names mean, declaration by declaration: globals, parameters, dimensions, types.
 *
 * Look-up goes from the inside out: slots of the function; fns and consts of the file and its imports; builtins and
 * dtypes; kernels/std. A user's fn may therefore have the name of one of std's, but not of a builtin or a type. fns
 * and consts of std are resolved when something refers to them, so an unused library costs its parse only. Recursion
 * among fns and consts shows as a reference to a declaration that is being resolved.
 */
#include "frontend/names.h"

#include "frontend/builtins.h"

static uint32_t slot_add(names *n, str name)
{
    return intern_id(n->scope, name) - 1;
}

static bool slot_has(const names *n, str name)
{
    return intern_find(n->scope, name) != UINT32_MAX;
}

/* ---- types in signatures ---- */
static bool is_dtype(str name)
{
    return dtype_by_name(name) != DT_NONE || str_eq(name, S("int"));
}

static bool is_generic(const ast_fn *f, str name)
{
    for (const ast_generic *g = f->generics; g; g = g->next)
        if (str_eq(g->name, name))
            return true;
    return false;
}

static void resolve_type(names *n, const ast_type *t)
{
    switch (t->kind) {
    case TY_NONE:
    case TY_CONST:
    case TY_CONST_FN:
        return;
    case TY_PTR:
    case TY_TENSOR:
        resolve_type(n, t->elem);
        return;
    case TY_NAME:
        if (!is_dtype(t->name) && !is_generic(n->fn, t->name))
            names_unknown(n, t->name, t->at, true);
        return;
    }
}

static void resolve_generics(names *n)
{
    for (ast_generic *g = n->fn->generics; g; g = g->next) {
        if (slot_has(n, g->name))
            fe_report(n->d, D_DUPLICATE_PARAM, g->at, STR_ARG(g->name));
        if (is_dtype(g->name))
            fe_report(n->d, D_REDEFINES_TYPE, g->at, STR_ARG(g->name));
        g->slot = slot_add(n, g->name);
        for (ast_expr *e = g->dtypes; e; e = e->next) {
            if (e->kind != EX_NAME || !is_dtype(e->s)) {
                if (e->kind != EX_ERROR)
                    fe_report(n->d, D_GENERIC_TYPE, e->at);
                continue;
            }
            e->ref = (ast_ref){.kind = REF_DTYPE, .dt = str_eq(e->s, S("int")) ? DT_I64 : dtype_by_name(e->s)};
            for (const ast_expr *o = g->dtypes; o != e; o = o->next)
                if (o->ref.kind == REF_DTYPE && o->ref.dt == e->ref.dt)
                    fe_report(n->d, D_GENERIC_TWICE, e->at, STR_ARG(e->s));
        }
    }
}

static void declare_params(names *n)
{
    for (ast_param *p = n->fn->params; p; p = p->next) {
        if (slot_has(n, p->name))
            fe_report(n->d, D_DUPLICATE_PARAM, p->at, STR_ARG(p->name));
        if (is_dtype(p->name))
            fe_report(n->d, D_REDEFINES_TYPE, p->at, STR_ARG(p->name));
        p->slot = slot_add(n, p->name);
    }
}

/* ---- decorators ---- */
static bool is_launch_word(str s)
{
    return str_eq(s, S("num_warps")) || str_eq(s, S("num_stages")) || str_eq(s, S("num_ctas")) ||
           str_eq(s, S("waves_per_eu"));
}

static void tune_name(names *n, str name, span at, const ast_expr *list)
{
    if (is_launch_word(name) || slot_has(n, name))
        return;
    ast_binding b = {.name = name, .at = at, .slot = slot_add(n, name), .first = list};
    vec_push(n->a, &n->fn->tuned, b);
}

static void declare_tuned(names *n)
{
    for (const ast_decorator *x = n->fn->decorators; x; x = x->next) {
        if (!str_eq(x->name, S("tune")))
            continue;
        for (const ast_arg *g = x->args; g; g = g->next) {
            if (!g->name.n || str_eq(g->name, S("key")))
                continue;
            if (!str_eq(g->name, S("configs"))) {
                tune_name(n, g->name, g->name_at, g->value);
                continue;
            }
            for (const ast_expr *e = g->value->items; e; e = e->next)
                for (const ast_arg *k = e->kind == EX_CONFIG ? e->args : NULL; k; k = k->next)
                    tune_name(n, k->name, k->name_at, NULL);
        }
    }
}

static void resolve_decorators(names *n)
{
    for (const ast_decorator *x = n->fn->decorators; x; x = x->next) {
        bool tune = str_eq(x->name, S("tune"));
        if (!tune && !str_eq(x->name, S("cooperative"))) {
            fe_report(n->d, D_UNKNOWN_DECORATOR, x->at, STR_ARG(x->name));
            continue;
        }
        if (!n->fn->is_kernel)
            fe_report(n->d, D_DECORATED_FN, x->at, STR_ARG(x->name));
        for (const ast_arg *g = x->args; g; g = g->next) {
            if (!g->name.n && tune)
                continue; /* a target family: lowering looks at the word */
            if (g->value->kind == EX_LIST || g->value->kind == EX_TUPLE) {
                for (ast_expr *e = g->value->items; e; e = e->next) {
                    if (e->kind != EX_CONFIG)
                        names_expr(n, e);
                    for (const ast_arg *k = e->kind == EX_CONFIG ? e->args : NULL; k; k = k->next)
                        names_expr(n, k->value);
                }
                continue;
            }
            names_expr(n, g->value);
        }
    }
}

/* ---- dimensions: a bare name that means nothing else is a new one ---- */
static bool is_global_const(const names *n, str name)
{
    return intern_find(n->user.names, name) != UINT32_MAX;
}

static void declare_dims(names *n)
{
    for (const ast_param *p = n->fn->params; p; p = p->next)
        for (const ast_expr *e = p->type.dims; e; e = e->next) {
            if (e->kind != EX_NAME || slot_has(n, e->s) || is_global_const(n, e->s))
                continue;
            ast_binding b = {.name = e->s, .at = e->at, .slot = slot_add(n, e->s), .first = e};
            vec_push(n->a, &n->fn->dims, b);
        }
}

static void resolve_params(names *n)
{
    for (const ast_param *p = n->fn->params; p; p = p->next) {
        resolve_type(n, &p->type);
        for (ast_expr *e = p->type.dims; e; e = e->next)
            names_expr(n, e);
        if (p->dflt)
            names_expr(n, p->dflt);
    }
    for (ast_expr *e = n->fn->grid; e; e = e->next)
        names_expr(n, e);
}

static void finish_slots(names *n)
{
    ast_fn *f = n->fn;
    f->nslots = intern_count(n->scope) - 1;
    str *slots = ARENA_ARRAY(n->a, str, f->nslots ? f->nslots : 1);
    for (uint32_t i = 0; i < f->nslots; i++)
        slots[i] = intern_str(n->scope, i + 1);
    f->slot_names = slots;
}

void names_fn(names *n, ast_fn *f)
{
    if (f->resolved)
        return;
    names outer = *n;
    slot_list assigned = {0};
    f->visiting = true;
    n->fn = f;
    n->scope = intern_new(n->a);
    n->loops = 0;
    resolve_generics(n);
    declare_params(n);
    declare_tuned(n);
    declare_dims(n);
    n->fixed = intern_count(n->scope) - 1;
    resolve_params(n);
    resolve_decorators(n);
    names_declare(n, f->body);
    names_stmts(n, f->body, &assigned);
    finish_slots(n);
    f->visiting = false;
    f->resolved = true;
    outer.tail = n->tail;
    *n = outer;
}

void names_const(names *n, ast_const *k)
{
    if (k->resolved)
        return;
    names outer = *n;
    k->visiting = true;
    n->fn = NULL;
    n->scope = intern_new(n->a);
    names_expr(n, k->value);
    k->visiting = false;
    k->resolved = true;
    outer.tail = n->tail;
    *n = outer;
}

/* ---- globals ---- */
static void enter(names *n, globals *g, str name, span at, ast_fn *f, ast_const *k)
{
    if (intern_find(g->names, name) != UINT32_MAX) {
        uint32_t id = intern_find(g->names, name);
        fe_report(n->d, D_DUPLICATE, at, STR_ARG(name));
        diag_note_add(n->d, g->fns.at[id] ? g->fns.at[id]->name_at : g->consts.at[id]->name_at,
                      "the first one is here");
        return;
    }
    int row = builtin_find(name);
    if (g == &n->user && row >= 0 && !(builtin_at(row)->flags & BI_STD) && !(f && f->is_kernel))
        fe_report(n->d, D_REDEFINES_BUILTIN, at, STR_ARG(name));
    if (is_dtype(name))
        fe_report(n->d, D_REDEFINES_TYPE, at, STR_ARG(name));
    intern_id(g->names, name);
    vec_push(n->a, &g->fns, f);
    vec_push(n->a, &g->consts, k);
}

static void enter_all(names *n, globals *g, ast_fn *fns, ast_const *consts)
{
    g->names = intern_new(n->a);
    vec_push(n->a, &g->fns, NULL);
    vec_push(n->a, &g->consts, NULL);
    for (ast_fn *f = fns; f; f = f->next)
        enter(n, g, f->name, f->name_at, f, NULL);
    for (ast_const *k = consts; k; k = k->next)
        enter(n, g, k->name, k->name_at, NULL, k);
}

void ast_resolve(ast_unit *u)
{
    names n = {.u = u, .a = u->a, .d = u->d};
    enter_all(&n, &n.std, u->std_fns, u->std_consts);
    enter_all(&n, &n.user, u->fns, u->consts);
    n.tail = &u->fns;
    while (*n.tail)
        n.tail = &(*n.tail)->next;
    for (ast_const *k = u->consts; k; k = k->next)
        names_const(&n, k);
    for (ast_fn *f = u->fns; f; f = f->next)
        names_fn(&n, f);
}
