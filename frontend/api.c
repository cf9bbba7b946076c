/* api.c: the front end's doors: loading, describing kernels, lowering one (frontend.h).
 *
 * Descriptions are made once, at load, from the tree alone. Defaults and tuning values are compile-time expressions:
 * they are evaluated in a small `lower` of their own, whose module is thrown away.
 */
#include "frontend/builtins.h"
#include "frontend/lower_kernel.h"

#include <stdlib.h>
#include <string.h>

/* ---- compile-time expressions outside a kernel ---- */
typedef struct evaluator {
    lower l;
    fx f;
    arena scratch;
} evaluator;

typedef void evaluator_fn(evaluator *e, fe_unit *u, const ast_fn *fn, void *ctx);

typedef struct evaluator_job {
    evaluator e;
    fe_unit *u;
    const ast_fn *fn;
    evaluator_fn *run;
    void *ctx;
} evaluator_job;

static void evaluator_run(void *ctx)
{
    evaluator_job *j = ctx;
    evaluator *e = &j->e;
    e->scratch.oom = j->u->a->oom;
    lower_init(&e->l, j->u, j->u->a, &e->scratch, ir_module_new(j->u->a));
    fx_open(&e->l, &e->f, FUNC_HOST, j->fn->name, j->fn, j->fn->at);
    e->f.host = true;
    j->run(e, j->u, j->fn, j->ctx);
}

/* run(.., ctx) with an evaluator, whose scratch memory goes also where the unit's memory ends */
static void evaluator_with(fe_unit *u, const ast_fn *fn, evaluator_fn *run, void *ctx)
{
    evaluator_job j = {.u = u, .fn = fn, .run = run, .ctx = ctx};
    arena_init(&j.e.scratch, 0);
    bool done = arena_try(u->a, evaluator_run, &j);
    arena_fini(&j.e.scratch);
    if (!done)
        arena_raise(u->a);
}

static fe_value to_value(lower *l, fv v)
{
    fe_value r = {.kind = FE_V_ABSENT};
    switch (v.kind) {
    case FV_NONE: r.kind = FE_V_NONE; break;
    case FV_NUM:
        r.kind = v.num.kind == CONST_BOOL ? FE_V_BOOL : v.num.kind == CONST_INT ? FE_V_INT : FE_V_FLOAT;
        r.i = (int64_t)v.num.i;
        r.f = const_as_double(v.num);
        break;
    case FV_STR:
        r.kind = FE_V_STR;
        r.s = v.s;
        break;
    case FV_TYPE:
        if (ir_type_of(l->m, v.type)->kind == TK_NUM) {
            r.kind = FE_V_DTYPE;
            r.dt = ir_type_dt(l->m, v.type);
        }
        break;
    case FV_FN:
        r.kind = FE_V_FN;
        r.s = v.fn->name;
        break;
    case FV_BUILTIN:
        r.kind = FE_V_FN;
        r.s = str_of(builtin_at(v.builtin)->name);
        break;
    case FV_POISON: case FV_UNBOUND: case FV_METHOD: case FV_SEQ: case FV_RT: case FV_TENSOR: break;
    }
    return r;
}

static fe_value evaluate(evaluator *e, const ast_expr *x)
{
    return x ? to_value(&e->l, low_expr(&e->l, x)) : (fe_value){.kind = FE_V_ABSENT};
}

/* ---- parameters ---- */
static str text_of(const fe_unit *u, span at)
{
    str t = u->d->files.at[at.file - 1].text;
    return (str){t.p + at.beg, at.end - at.beg};
}

static bool is_generic(const ast_fn *k, str name)
{
    for (const ast_generic *g = k->generics; g; g = g->next)
        if (str_eq(g->name, name))
            return true;
    return false;
}

static void describe_elem(const ast_fn *k, const ast_type *t, fe_param *p)
{
    for (; t->kind == TY_PTR; t = t->elem)
        p->pointers++;
    if (is_generic(k, t->name))
        p->generic = t->name;
    else if (p->pointers < 2)
        p->dt = str_eq(t->name, S("int")) ? DT_I64 : dtype_by_name(t->name);
}

static bool names_const_param(const ast_fn *k, const ast_expr *e)
{
    if (e->kind != EX_NAME || e->ref.kind != REF_SLOT)
        return false;
    for (const ast_param *p = k->params; p; p = p->next)
        if (p->slot == e->ref.slot && p->type.kind == TY_CONST)
            return true;
    for (uint32_t i = 0; i < k->tuned.n; i++)
        if (k->tuned.at[i].slot == e->ref.slot)
            return true;
    return false;
}

static bool names_dimension(const ast_fn *k, const ast_expr *e)
{
    for (uint32_t i = 0; i < k->dims.n; i++)
        if (e->kind == EX_NAME && e->ref.kind == REF_SLOT && e->ref.slot == k->dims.at[i].slot)
            return true;
    return false;
}

static void describe_dims(const fe_unit *u, const ast_fn *k, const ast_type *t, fe_param *p)
{
    for (const ast_expr *e = t->dims; e && p->rank < IR_MAX_RANK; e = e->next) {
        fe_dim *d = &p->dims[p->rank++];
        d->text = text_of(u, e->at);
        d->kind = names_const_param(k, e) ? FE_DIM_CONST : names_dimension(k, e) ? FE_DIM_NAME : FE_DIM_EXPR;
        if (e->kind == EX_NUM && e->num.kind == CONST_INT && const_int_fits_i64(e->num.i, &d->value))
            d->kind = FE_DIM_LITERAL;
    }
}

static fe_param describe_param(fe_unit *u, const ast_fn *k, const ast_param *p, int arg, evaluator *e)
{
    const ast_type *t = &p->type;
    fe_param r = {.name = p->name, .arg = arg, .type_text = t->at.file ? text_of(u, t->at) : S("")};
    r.optional = t->optional;
    r.is_static = t->is_static;
    r.scratch = t->scratch || t->scratch_zero;
    r.scratch_zero = t->scratch_zero;
    r.strided = t->strided;
    switch (t->kind) {
    case TY_NONE:
    case TY_NAME:
        r.kind = FE_P_SCALAR;
        describe_elem(k, t, &r);
        break;
    case TY_PTR:
        r.kind = FE_P_POINTER;
        describe_elem(k, t, &r);
        break;
    case TY_TENSOR:
        r.kind = FE_P_TENSOR;
        describe_elem(k, t->elem, &r);
        describe_dims(u, k, t, &r);
        break;
    case TY_CONST:
    case TY_CONST_FN:
        r.kind = FE_P_CONST;
        r.is_fn = t->kind == TY_CONST_FN;
        r.dflt = evaluate(e, p->dflt);
        break;
    }
    return r;
}

/* ---- @tune ---- */
typedef struct tune_list {
    str name;
    const ast_expr *items;
    uint32_t n;
} tune_list;

typedef VEC(const fe_binding *) config_list;

static void tune_configs_listed(fe_unit *u, const ast_expr *list, evaluator *e, config_list *out, fe_tune *t)
{
    VEC(uint32_t) counts = {0};
    for (const ast_expr *c = list->items; c; c = c->next) {
        fe_binding *b = ARENA_ARRAY(u->a, fe_binding, c->nargs ? c->nargs : 1);
        uint32_t n = 0;
        for (const ast_arg *a = c->args; a; a = a->next)
            b[n++] = (fe_binding){a->name, evaluate(e, a->value)};
        vec_push(u->a, out, b);
        vec_push(u->a, &counts, n);
    }
    t->nbindings = counts.at;
}

static void tune_configs_product(fe_unit *u, const tune_list *lists, uint32_t nlists, evaluator *e, config_list *out,
                                 fe_tune *t)
{
    VEC(uint32_t) counts = {0};
    uint64_t total = nlists ? 1 : 0;
    for (uint32_t i = 0; i < nlists && total <= 4096; i++)
        total *= lists[i].n;
    if (total > 4096) {
        low_error(&e->l, D_TUNE_SIZE, e->f.decl->name_at, 4096);
        return;
    }
    for (uint64_t c = 0; c < total; c++) {
        fe_binding *b = ARENA_ARRAY(u->a, fe_binding, nlists);
        uint64_t rest = c;
        for (uint32_t i = nlists; i-- > 0;) {
            const ast_expr *x = lists[i].items;
            for (uint64_t k = rest % lists[i].n; k; k--)
                x = x->next;
            rest /= lists[i].n;
            b[i] = (fe_binding){lists[i].name, evaluate(e, x)};
        }
        vec_push(u->a, out, b);
        vec_push(u->a, &counts, nlists);
    }
    t->nbindings = counts.at;
}

static fe_tune describe_tune(fe_unit *u, const ast_decorator *d, evaluator *e)
{
    fe_tune t = {0};
    config_list configs = {0};
    VEC(tune_list) lists = {0};
    VEC(str) key = {0};
    for (const ast_arg *a = d->args; a; a = a->next) {
        const ast_expr *v = a->value;
        if (!a->name.n) {
            t.family = v->s;
        } else if (str_eq(a->name, S("key"))) {
            for (const ast_expr *i = v->items; i; i = i->next)
                vec_push(u->a, &key, text_of(u, i->at));
        } else if (str_eq(a->name, S("configs"))) {
            tune_configs_listed(u, v, e, &configs, &t);
        } else if (v->nitems) {
            vec_push(u->a, &lists, ((tune_list){a->name, v->items, v->nitems}));
        }
    }
    if (!configs.n)
        tune_configs_product(u, lists.at, lists.n, e, &configs, &t);
    t.configs = configs.at;
    t.nconfigs = configs.n;
    t.key = key.at;
    t.nkey = key.n;
    return t;
}

/* ---- kernels ---- */
static bool spreads_tiles(const ast_stmt *s)
{
    for (; s; s = s->next)
        if ((s->kind == ST_FOR && (s->loop == LOOP_OVER_PERSISTENT || s->loop == LOOP_OVER_STREAM)) ||
            (s->kind == ST_IF && (spreads_tiles(s->body) || spreads_tiles(s->orelse))))
            return true;
    return false;
}

static void describe_generics(fe_unit *u, const ast_fn *f, fe_kernel *k)
{
    fe_generic *list = ARENA_ARRAY(u->a, fe_generic, f->ngenerics ? f->ngenerics : 1);
    for (const ast_generic *g = f->generics; g; g = g->next) {
        dtype *dts = ARENA_ARRAY(u->a, dtype, g->ndtypes ? g->ndtypes : 1);
        uint32_t n = 0;
        for (const ast_expr *x = g->dtypes; x; x = x->next)
            if (x->ref.kind == REF_DTYPE)
                dts[n++] = x->ref.dt;
        list[k->ngenerics++] = (fe_generic){g->name, dts, n};
    }
    k->generics = list;
}

static void describe(evaluator *e, fe_unit *u, const ast_fn *f, void *out)
{
    fe_kernel k = {.name = f->name, .at = f->name_at};
    describe_generics(u, f, &k);
    VEC(fe_param) params = {0};
    int arg = 0;
    for (const ast_param *p = f->params; p; p = p->next, arg++) {
        k.has_extra |= p->star;
        if (!p->star)
            vec_push(u->a, &params, describe_param(u, f, p, arg, e));
    }
    for (uint32_t i = 0; i < f->tuned.n; i++) {
        fe_param p = {
            .name = f->tuned.at[i].name, .kind = FE_P_CONST, .type_text = S("const"), .from_tune = true, .arg = -1};
        p.dflt = evaluate(e, tune_default(f, p.name));
        vec_push(u->a, &params, p);
    }
    VEC(fe_tune) tunes = {0};
    for (const ast_decorator *d = f->decorators; d; d = d->next) {
        k.cooperative |= str_eq(d->name, S("cooperative"));
        if (str_eq(d->name, S("tune")))
            vec_push(u->a, &tunes, describe_tune(u, d, e));
    }
    k.params = params.at;
    k.nparams = params.n;
    k.tunes = tunes.at;
    k.ntunes = tunes.n;
    k.has_grid = f->grid || spreads_tiles(f->body);
    *(fe_kernel *)out = k;
}

fe_unit *fe_load(arena *a, diags *d, str path, str text, const fe_options *opt)
{
    uint32_t errors = d->errors;
    fe_unit *u = ARENA_NEW(a, fe_unit);
    u->a = a;
    u->d = d;
    map_init(&u->seen, a);
    u->ast = ast_load(a, d, path, text, opt ? opt->import_dirs : NULL, opt ? opt->nimport_dirs : 0);
    if (d->errors > errors)
        return NULL;
    for (const ast_fn *f = u->ast->fns; f; f = f->next)
        if (f->is_kernel) {
            fe_kernel k;
            evaluator_with(u, f, describe, &k);
            vec_push(a, &u->decls, f);
            vec_push(a, &u->kernels, k);
        }
    return d->errors > errors ? NULL : u;
}

uint32_t fe_kernel_count(const fe_unit *u) { return u->kernels.n; }
const fe_kernel *fe_kernel_at(const fe_unit *u, uint32_t i) { return &u->kernels.at[i]; }

static int kernel_index(const fe_unit *u, str name)
{
    for (uint32_t i = 0; i < u->kernels.n; i++)
        if (str_eq(u->kernels.at[i].name, name))
            return (int)i;
    return -1;
}

const fe_kernel *fe_kernel_find(const fe_unit *u, str name)
{
    int i = kernel_index(u, name);
    return i < 0 ? NULL : &u->kernels.at[i];
}

typedef struct under_job {
    const fe_kernel *plain;
    const fe_choice *c;
    const fe_kernel *out; /* NULL: the choice is at fault */
} under_job;

static void describe_under(evaluator *e, fe_unit *u, const ast_fn *f, void *ctx)
{
    under_job *job = ctx;
    kernel_cx k = {.u = u, .k = f, .choice = job->c};
    bool ok = bind_choice(&e->l, &k, e->f.env) && find_extras(&e->l, &k, e->f.env);
    fe_kernel *r = ARENA_NEW(u->a, fe_kernel);
    *r = *job->plain;
    fe_param *params = ARENA_ARRAY(u->a, fe_param, r->nparams + k.extras.n + 1);
    uint32_t n = 0;
    for (uint32_t j = 0; j < r->nparams && !r->params[j].from_tune; j++)
        params[n++] = r->params[j];
    uint32_t header = n;
    for (uint32_t j = 0; ok && j < k.extras.n; j++) {
        params[n] = describe_param(u, k.extras.at[j].fn, k.extras.at[j].p, (int)(f->nparams + j), e);
        params[n++].extra = true;
    }
    for (uint32_t j = header; j < r->nparams; j++)
        params[n++] = r->params[j];
    r->params = params;
    r->nparams = n;
    job->out = ok ? r : NULL;
}

const fe_kernel *fe_kernel_under(fe_unit *u, str name, const fe_choice *c)
{
    int i = kernel_index(u, name);
    if (i < 0 || !u->kernels.at[i].has_extra)
        return i < 0 ? NULL : &u->kernels.at[i];
    under_job job = {.plain = &u->kernels.at[i], .c = c};
    evaluator_with(u, u->decls.at[i], describe_under, &job);
    return job.out;
}

/* a binding that names nothing of the kernel */
static bool check_names(lower *l, const fe_kernel *k, const fe_choice *c)
{
    bool ok = true;
    for (uint32_t i = 0; c && i < c->n; i++) {
        bool known = false;
        for (uint32_t g = 0; g < k->ngenerics; g++)
            known |= str_eq(k->generics[g].name, c->bind[i].name);
        for (uint32_t p = 0; p < k->nparams; p++)
            known |= str_eq(k->params[p].name, c->bind[i].name) &&
                     (k->params[p].kind == FE_P_CONST || k->params[p].optional);
        if (!known)
            low_error(l, D_CHOICE_NAME, k->at, STR_ARG(k->name), STR_ARG(c->bind[i].name));
        ok &= known;
    }
    return ok;
}

/* Runs f with a scratch arena that is gone afterwards, as `out` is where it is `owned`, also where memory ends in
 * between: then the unit's owner is told in its own way (arena.h), or the fault is a diagnostic. */
bool unit_guarded(fe_unit *u, arena *out, bool owned, unit_fn *f, void *ctx)
{
    jmp_buf here, *unit_oom = u->a->oom, *out_oom = out->oom;
    arena scratch;
    volatile bool ok = false, ended = false;
    arena_init(&scratch, 0);
    if (setjmp(here) == 0) {
        scratch.oom = u->a->oom = out->oom = &here;
        ok = f(ctx, &scratch);
    } else {
        ended = true;
    }
    u->a->oom = unit_oom;
    out->oom = out_oom;
    arena_fini(&scratch);
    if (owned)
        arena_fini(out);
    if (ended && unit_oom)
        longjmp(*unit_oom, 1);
    if (ended)
        fe_report(u->d, D_MEMORY, (span){0});
    return ok;
}

typedef struct lower_request {
    fe_unit *u;
    uint32_t kernel;
    const fe_choice *c;
    ir_module *out;
    str *ir_name;
} lower_request;

static bool lower_requested(void *ctx, arena *scratch)
{
    lower_request *r = ctx;
    lower l;
    lower_init(&l, r->u, r->out->a, scratch, r->out);
    map_clear(&r->u->seen);
    return check_names(&l, &r->u->kernels.at[r->kernel], r->c) &&
           kernel_lower(&l, r->u, r->u->decls.at[r->kernel], r->c, r->ir_name);
}

bool fe_lower(fe_unit *u, str kernel, const fe_choice *c, ir_module *out, str *ir_name)
{
    int i = kernel_index(u, kernel);
    if (i < 0) {
        fe_report(u->d, D_NO_KERNEL, (span){0}, STR_ARG(kernel));
        return false;
    }
    lower_request r = {u, (uint32_t)i, c, out, ir_name};
    return unit_guarded(u, out->a, false, lower_requested, &r);
}

void fe_print_ast(const fe_unit *u, strbuf *out) { ast_print(u->ast, out); }

/* ---- NAME=VALUE ---- */
static bool parse_number(arena *a, str s, fe_value *v)
{
    char *text = str_cstr(a, s), *end;
    v->i = strtoll(text, &end, 0);
    if (s.n && !*end) {
        v->kind = FE_V_INT;
        return true;
    }
    v->f = strtod(text, &end);
    v->kind = FE_V_FLOAT;
    return s.n && !*end && strspn(text, "+-.0123456789infa");
}

static bool is_word(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return s.n > 0;
}

bool fe_parse_binding(arena *a, str text, fe_binding *out)
{
    const char *eq = text.n ? memchr(text.p, '=', text.n) : NULL;
    if (!eq)
        return false;
    *out = (fe_binding){.name = {text.p, (size_t)(eq - text.p)}};
    str v = {eq + 1, text.n - out->name.n - 1};
    fe_value *r = &out->value;
    if (!is_word(out->name))
        return false;
    if (str_eq(v, S("True")) || str_eq(v, S("False")))
        *r = (fe_value){.kind = FE_V_BOOL, .i = v.p[0] == 'T'};
    else if (str_eq(v, S("None")))
        r->kind = FE_V_NONE;
    else if (v.n >= 2 && (v.p[0] == '"' || v.p[0] == '\'') && v.p[v.n - 1] == v.p[0])
        *r = (fe_value){.kind = FE_V_STR, .s = {v.p + 1, v.n - 2}};
    else if (str_eq(v, S("int")) || dtype_by_name(v) != DT_NONE)
        *r = (fe_value){.kind = FE_V_DTYPE, .dt = str_eq(v, S("int")) ? DT_I64 : dtype_by_name(v)};
    else if (!parse_number(a, v, r)) {
        *r = (fe_value){.kind = FE_V_FN, .s = v};
        return is_word(v);
    }
    return true;
}
