/* lower_bind.c: what a launch chose, as values: dtypes of generics, const parameters, functions, consts of @tune, and
 * the parameters that a chosen function adds to the kernel's own. */
#include "frontend/builtins.h"
#include "frontend/lower_kernel.h"

const fe_value *choice_find(const fe_choice *c, str name)
{
    for (uint32_t i = 0; c && i < c->n; i++)
        if (str_eq(c->bind[i].name, name))
            return &c->bind[i].value;
    return NULL;
}

/* A fn of kernels/std that the file itself does not use: a text of one line that names it makes the loader find it. */
static const ast_fn *std_function(fe_unit *u, str name)
{
    for (uint32_t i = 0; i < u->std_used.n; i++)
        if (str_eq(u->std_used.at[i]->name, name))
            return u->std_used.at[i];
    diags *d = u->d;
    uint32_t n = d->list.n, errors = d->errors, warnings = d->warnings;
    str text = str_fmt(u->a, "const CHOICE = %.*s\n", STR_ARG(name));
    ast_unit *extra = ast_load(u->a, d, S("choice"), text, NULL, 0);
    const ast_fn *f = NULL;
    for (const ast_const *c = extra->consts; c && d->errors == errors; c = c->next)
        if (str_eq(c->name, S("CHOICE")) && c->value->kind == EX_NAME && c->value->ref.kind == REF_FN)
            f = c->value->ref.fn;
    d->list.n = n; /* that there is none is for the caller to say */
    d->errors = errors;
    d->warnings = warnings;
    if (f)
        vec_push(u->a, &u->std_used, f);
    return f;
}

static fv function_named(lower *l, str name, span at)
{
    for (const ast_fn *f = l->u->ast->fns; f; f = f->next)
        if (!f->is_kernel && str_eq(f->name, name))
            return (fv){.kind = FV_FN, .fn = f};
    int row = builtin_find(name);
    if (row >= 0)
        return (fv){.kind = FV_BUILTIN, .builtin = row};
    const ast_fn *std = std_function(l->u, name);
    if (std)
        return (fv){.kind = FV_FN, .fn = std};
    return low_error(l, D_CHOICE_FN, at, STR_ARG(name));
}

fv choice_value(lower *l, const fe_value *v, span at)
{
    switch (v->kind) {
    case FE_V_ABSENT: break;
    case FE_V_NONE: return fv_none();
    case FE_V_BOOL: return fv_bool(v->i != 0);
    case FE_V_INT: return fv_int(v->i);
    case FE_V_FLOAT: return fv_float(v->f);
    case FE_V_STR: return fv_str(v->s);
    case FE_V_DTYPE: return fv_type(ir_type_num(l->m, v->dt));
    case FE_V_FN: return function_named(l, v->s, at);
    }
    return fv_poison();
}

/* a name's value in the first configuration that a @tune line lists */
static const ast_expr *first_value(const ast_decorator *d, str name)
{
    for (const ast_arg *a = d->args; a; a = a->next) {
        if (str_eq(a->name, name))
            return a->value->items;
        if (!str_eq(a->name, S("configs")) || !a->value->items)
            continue;
        for (const ast_arg *c = a->value->items->args; c; c = c->next)
            if (str_eq(c->name, name))
                return c->value;
    }
    return NULL;
}

const ast_expr *tune_default(const ast_fn *k, str name)
{
    for (const ast_decorator *d = k->decorators; d; d = d->next) {
        const ast_expr *e = str_eq(d->name, S("tune")) ? first_value(d, name) : NULL;
        if (e)
            return e;
    }
    return NULL;
}

static bool bind_generics(lower *l, kernel_cx *k, fv *env)
{
    for (const ast_generic *g = k->k->generics; g; g = g->next) {
        const fe_value *v = choice_find(k->choice, g->name);
        if (!v || v->kind != FE_V_DTYPE) {
            low_error(l, D_CHOICE_GENERIC, g->at, STR_ARG(g->name));
            return false;
        }
        bool listed = false;
        for (const ast_expr *e = g->dtypes; e; e = e->next)
            listed |= e->ref.kind == REF_DTYPE && e->ref.dt == v->dt;
        if (!listed) {
            low_error(l, D_GENERIC_DTYPE, g->at, dtypes[v->dt].name, STR_ARG(g->name));
            return false;
        }
        env[g->slot] = fv_type(ir_type_num(l->m, v->dt));
    }
    return true;
}

static bool bind_const(lower *l, kernel_cx *k, const ast_param *p, fv *env)
{
    const fe_value *v = choice_find(k->choice, p->name);
    bool word = v && v->kind == FE_V_FN && p->type.kind == TY_CONST && p->dflt && p->dflt->kind == EX_STR;
    if (v) /* a bare word where a string is the default is one */
        env[p->slot] = word ? fv_str(v->s) : choice_value(l, v, p->at);
    else if (p->dflt)
        env[p->slot] = low_expr(l, p->dflt);
    else
        env[p->slot] = low_error(l, D_CONST_MISSING, p->at, STR_ARG(p->name));
    fv got = env[p->slot];
    if (fv_is_runtime(got))
        env[p->slot] = low_error(l, D_CONST_RUNTIME, p->at, STR_ARG(p->name), STR_ARG(low_say(l, got)));
    if (p->type.kind == TY_CONST_FN && got.kind != FV_FN && got.kind != FV_BUILTIN && got.kind != FV_POISON &&
        got.kind != FV_NONE)
        env[p->slot] = low_error(l, D_PARAM_VALUE, p->at, STR_ARG(p->name), "a function", STR_ARG(low_say(l, got)));
    return env[p->slot].kind != FV_POISON;
}

bool bind_choice(lower *l, kernel_cx *k, fv *env)
{
    bool ok = bind_generics(l, k, env);
    for (const ast_param *p = k->k->params; p; p = p->next)
        if (!p->star && (p->type.kind == TY_CONST || p->type.kind == TY_CONST_FN))
            ok &= bind_const(l, k, p, env);
    for (uint32_t i = 0; i < k->k->tuned.n; i++) {
        const ast_binding *b = &k->k->tuned.at[i];
        const fe_value *v = choice_find(k->choice, b->name);
        const ast_expr *e = v ? NULL : tune_default(k->k, b->name);
        env[b->slot] = v   ? choice_value(l, v, b->at)
                       : e ? low_expr(l, e)
                           : low_error(l, D_CONST_MISSING, b->at, STR_ARG(b->name));
        ok &= env[b->slot].kind != FV_POISON;
    }
    return ok;
}

/* ---- *extra ---- */
static uint32_t plain_params(const ast_fn *f)
{
    uint32_t n = 0;
    for (const ast_param *p = f->params; p && !p->star; p = p->next)
        n++;
    return n;
}

/* where the added parameters of `chosen` begin: after as many as the default function has, else after the untyped ones
 */
static uint32_t first_added(const ast_param *p, const ast_fn *chosen)
{
    const ast_expr *d = p->dflt;
    if (d && d->kind == EX_NAME && d->ref.kind == REF_FN)
        return plain_params(d->ref.fn);
    if (d && d->kind == EX_NAME && d->ref.kind == REF_BUILTIN)
        return 1;
    uint32_t n = 0, i = 0;
    for (const ast_param *q = chosen->params; q; q = q->next) {
        i++;
        if (q->type.kind == TY_NONE || q->type.kind == TY_CONST || q->type.kind == TY_CONST_FN)
            n = i;
    }
    return n;
}

bool find_extras(lower *l, kernel_cx *k, const fv *env)
{
    bool has_star = false;
    const ast_param *from = NULL;
    for (const ast_param *p = k->k->params; p; p = p->next)
        has_star |= p->star;
    if (!has_star) /* the kernel calls the function with all that it takes, or the call says what is missing */
        return true;
    for (const ast_param *p = k->k->params; p; p = p->next) {
        if (p->type.kind != TY_CONST_FN || p->star || env[p->slot].kind != FV_FN)
            continue;
        const ast_fn *f = env[p->slot].fn;
        uint32_t i = 0, first = first_added(p, f);
        for (const ast_param *q = f->params; q && !q->star; q = q->next, i++) {
            if (i < first)
                continue;
            if (from && from != p) {
                low_error(l, D_EXTRA_TWICE, p->at, STR_ARG(f->name), STR_ARG(q->name));
                return false;
            }
            if (q->type.kind != TY_NAME && q->type.kind != TY_PTR && q->type.kind != TY_TENSOR) {
                low_error(l, D_EXTRA_UNTYPED, q->at, STR_ARG(q->name), STR_ARG(f->name));
                return false;
            }
            from = p;
            vec_push(l->a, &k->extras, ((extra_param){f, q}));
        }
    }
    return true;
}
