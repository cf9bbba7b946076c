/* bind.c: launch arguments against the kernel's signature, and the instance that they ask for.
 *
 * Each argument's kind, element type and rank must be what the header says; generics take the element types of the
 * arguments, which must agree; a dimension that is a const parameter takes the size. What the instance depends on is
 * written into call.key as it is found:
 *
 *   [dtype of each generic] [one bit an argument: None] [config of @tune, where there are several]
 *   [value of each const dimension, in order of appearance]
 *
 * so that looking a known instance up is comparing a few words. An unknown one is lowered under the module's lock.
 */
#include "runtime/runtime.h"

#include <string.h>

static bool wrong(rt_call *c, const rt_param *p, const char *fmt, ...) STR_PRINTF(3, 4);
static bool wrong(rt_call *c, const rt_param *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str s = str_vfmt(&c->a, fmt, ap);
    va_end(ap);
    rt_fail(c->err, TILE_E_ARGUMENT, "argument '%.*s' of kernel '%.*s': %.*s", STR_ARG(p->name), STR_ARG(c->k->name),
            STR_ARG(s));
    return false;
}

static const char *kind_name(const tile_arg *a)
{
    static const char *const names[] = {"None", "an integer", "a float", "a pointer", "a tensor"};
    return a->kind >= 0 && a->kind <= TILE_ARG_TENSOR ? names[a->kind] : "an argument of no known kind";
}

static bool is_dtype(int32_t dt)
{
    return dt > DT_NONE && dt < DT_COUNT;
}

static bool bind_generic(rt_call *c, const rt_param *p, dtype found)
{
    const fe_generic *g = &c->k->fe->generics[p->generic];
    dtype *slot = &c->generics[p->generic];
    bool listed = g->n == 0;
    if (*slot == found)
        return true;
    if (*slot != DT_NONE)
        return wrong(c, p, "expected '%s' as '%.*s' is elsewhere, found '%s'", dtypes[*slot].name, STR_ARG(g->name),
                     dtypes[found].name);
    for (uint32_t i = 0; i < g->n; i++)
        listed |= g->list[i] == found;
    if (!listed)
        return wrong(c, p, "'%s' is not among the types of '%.*s'", dtypes[found].name, STR_ARG(g->name));
    *slot = found;
    return true;
}

static bool check_element(rt_call *c, const rt_param *p, int32_t found)
{
    if (!is_dtype(found))
        return wrong(c, p, "%d is not an element type", found);
    if (p->generic >= 0)
        return bind_generic(c, p, (dtype)found);
    if (p->dt != DT_NONE && p->dt != (dtype)found)
        return wrong(c, p, "expected elements of '%s', found '%s'", dtypes[p->dt].name, dtypes[found].name);
    return true;
}

static bool check_address(rt_call *c, const rt_param *p, const void *addr, int32_t dt)
{
    size_t w = is_dtype(dt)       ? (size_t)dt_bytes((dtype)dt)
               : p->dt != DT_NONE ? (size_t)dt_bytes(p->dt)
               : p->pointers > 1  ? sizeof(void *)
                                  : 1;
    if ((uintptr_t)addr % w)
        return wrong(c, p, "its address %p is not a multiple of its element's %zu bytes", addr, w);
    return true;
}

/* the first and the last byte of what the kernel is given are this process's; GPUs tell by a fault */
static bool check_reach(rt_call *c, const rt_param *p, uint64_t lo, uint64_t hi)
{
    tile_device *d = c->k->m->dev;
    if (d->driver->queue)
        return true;
    uint64_t bad = !rt_readable(d, lo) ? lo : hi > lo && !rt_readable(d, hi - 1) ? hi - 1 : 0;
    return !bad || wrong(c, p, "this process has no memory at %p", (void *)(uintptr_t)bad);
}

static bool check_tensor(rt_call *c, const rt_param *p, const tile_tensor *t)
{
    bool empty = false;
    if (!t)
        return wrong(c, p, "expected a tensor, found a null pointer");
    if (t->rank != p->rank)
        return wrong(c, p, "expected a tensor of rank %d ('%.*s'), found rank %d", p->rank, STR_ARG(p->type_text),
                     t->rank);
    if (!check_element(c, p, t->dtype))
        return false;
    for (int i = 0; i < p->rank; i++) {
        if (t->sizes[i] < 0)
            return wrong(c, p, "dimension %d has a negative size, %lld", i, (long long)t->sizes[i]);
        empty |= t->sizes[i] == 0;
    }
    if (p->rank && !p->strided && t->strides[p->rank - 1] != 1 && t->sizes[p->rank - 1] > 1)
        return wrong(c, p, "expected a last stride of 1, found %lld (only 'strided' tensors may have others)",
                     (long long)t->strides[p->rank - 1]);
    if (!t->data && !empty)
        return wrong(c, p, "its data is a null pointer");
    uint64_t lo, hi;
    return check_address(c, p, t->data, t->dtype) &&
           (empty || !rt_tensor_range(t, &lo, &hi) || check_reach(c, p, lo, hi));
}

static bool check_pointer(rt_call *c, const rt_param *p, const tile_arg *a)
{
    if (!a->u.p)
        return wrong(c, p, "expected a pointer, found a null one%s",
                     p->optional ? " (an absent argument is None)" : "");
    if (p->pointers < 2 && (a->dtype != TILE_ANY || p->generic >= 0)) {
        if (a->dtype == TILE_ANY && c->generics[p->generic] == DT_NONE)
            return wrong(c, p, "its element type is needed, to know '%.*s'",
                         STR_ARG(c->k->fe->generics[p->generic].name));
        if (a->dtype != TILE_ANY && !check_element(c, p, a->dtype))
            return false;
    }
    uint64_t at = (uint64_t)(uintptr_t)a->u.p, bytes = a->bytes > 0 ? (uint64_t)a->bytes : 0;
    return check_address(c, p, a->u.p, p->pointers > 1 ? DT_NONE : a->dtype) && check_reach(c, p, at, at + bytes);
}

static bool check_scalar(rt_call *c, const rt_param *p, const tile_arg *a)
{
    dtype dt = p->generic >= 0 ? c->generics[p->generic] : p->dt;
    if (a->kind == TILE_ARG_FLOAT && dt != DT_NONE && !dt_is_any_float(dt))
        return wrong(c, p, "expected '%s', found a float", dtypes[dt].name);
    if (a->kind == TILE_ARG_INT && dt != DT_NONE && dt != DT_U64 && !dt_is_any_float(dt)) {
        int64_t held = dt == DT_BOOL ? a->u.i & 1 : dt_int(dt, dt_wrap(dt, (uint64_t)a->u.i));
        if (held != a->u.i)
            return wrong(c, p, "%lld does not fit '%s'", (long long)a->u.i, dtypes[dt].name);
    }
    return true;
}

static bool check_one(rt_call *c, const rt_param *p, const tile_arg *a)
{
    if (a->kind == TILE_ARG_NONE)
        return p->optional || wrong(c, p, "expected '%.*s', found None", STR_ARG(p->type_text));
    switch (p->kind) {
    case FE_P_SCALAR:
        if (a->kind == TILE_ARG_INT || a->kind == TILE_ARG_FLOAT)
            return check_scalar(c, p, a);
        break;
    case FE_P_POINTER:
        if (a->kind == TILE_ARG_PTR)
            return check_pointer(c, p, a);
        break;
    case FE_P_TENSOR:
        if (a->kind == TILE_ARG_TENSOR)
            return check_tensor(c, p, a->u.t);
        break;
    case FE_P_CONST:
        break;
    }
    return wrong(c, p, "expected '%.*s', found %s", STR_ARG(p->type_text), kind_name(a));
}

static bool count_matches(rt_call *c)
{
    const tile_kernel *k = c->k;
    strbuf b;
    if (c->nargs == k->nparams)
        return true;
    sb_init(&b, &c->a);
    for (uint32_t i = 0; i < k->nparams; i++)
        sb_putf(&b, "%s%.*s", i ? ", " : "", STR_ARG(k->params[i].name));
    rt_fail(c->err, TILE_E_ARGUMENT, "kernel '%.*s' takes %u argument%s (%.*s), found %u", STR_ARG(k->name), k->nparams,
            k->nparams == 1 ? "" : "s", STR_ARG(sb_str(&b)), c->nargs);
    return false;
}

static bool add_key(rt_call *c, uint64_t word)
{
    if (c->nkey == RT_MAX_KEY) {
        rt_fail(c->err, TILE_E_ARGUMENT, "kernel '%.*s' depends on too many arguments", STR_ARG(c->k->name));
        return false;
    }
    c->key[c->nkey++] = word;
    return true;
}

/* const dimensions, in order: into the key, or (with a list) into the choice; the first of a name counts, the host
 * function compares the others with it */
static bool const_dims(rt_call *c, choice_list *list)
{
    for (uint32_t i = 0; i < c->k->nparams; i++) {
        const rt_param *p = &c->k->params[i];
        if (!p->takes_size || c->args[i].kind != TILE_ARG_TENSOR)
            continue;
        for (int d = 0; d < p->rank; d++) {
            if (!(p->takes_size >> d & 1))
                continue;
            int64_t size = c->args[i].u.t->sizes[d];
            if (!list && !add_key(c, (uint64_t)size))
                return false;
            if (list)
                choice_set(&c->k->m->a, list, p->dims[d].text, (fe_value){.kind = FE_V_INT, .i = size});
        }
    }
    return true;
}

static bool make_key(rt_call *c)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < c->k->fe->ngenerics; i++)
        if (!add_key(c, (uint64_t)c->generics[i]))
            return false;
    for (uint32_t i = 0; i < c->nargs; i++) {
        bits |= (uint64_t)(c->args[i].kind == TILE_ARG_NONE) << (i & 63);
        if ((i & 63) == 63 || i + 1 == c->nargs) {
            if (!add_key(c, bits))
                return false;
            bits = 0;
        }
    }
    c->ntune_key = c->nkey;
    c->config = rt_tune_config(c);
    return (!c->k->tune || add_key(c, c->config)) && const_dims(c, NULL);
}

/* ---- instances ---- */

static void make_choice(rt_call *c, choice_list *list)
{
    tile_module *m = c->k->m;
    const fe_kernel *k = c->k->fe;
    choice_init(&m->a, list, k, m->bind, m->nbind, rt_family(m->dev), c->config);
    for (uint32_t i = 0; i < k->ngenerics; i++)
        if (c->generics[i] != DT_NONE)
            choice_set(&m->a, list, k->generics[i].name, (fe_value){.kind = FE_V_DTYPE, .dt = c->generics[i]});
    choice_open_generics(&m->a, list, k);
    for (uint32_t i = 0; i < c->nargs; i++)
        if (c->args[i].kind == TILE_ARG_NONE)
            choice_set(&m->a, list, c->k->params[i].name, (fe_value){.kind = FE_V_NONE});
    (void)const_dims(c, list);
}

static bool find_functions(rt_call *c, rt_instance *in, str ir_name)
{
    arena *a = &c->k->m->a;
    in->k = ir_module_find(in->m, ir_name);
    if (!in->k)
        ir_bug(in->m, "the kernel '%.*s' is not in the module made of it", STR_ARG(ir_name));
    in->host = in->k->host.n ? ir_module_find(in->m, in->k->host) : NULL;
    in->nslots = abi_total_slots(in->k);
    in->nresults = in->host ? in->host->results.n : 0;
    in->param = ARENA_ARRAY(a, int, (size_t)in->k->params.n + 1);
    in->written = ARENA_ARRAY(a, bool, (size_t)in->k->params.n + 1);
    for (uint32_t i = 0; i < in->k->params.n; i++) {
        in->param[i] = -1;
        for (uint32_t j = 0; j < c->k->nparams; j++)
            if (!(in->k->params.at[i].flags & PARAM_SCRATCH) && c->k->params[j].arg == in->k->params.at[i].arg)
                in->param[i] = (int)j;
    }
    return true;
}

typedef struct guard_job {
    pass_ctx ctx;
    ir_func *k, *guards;
} guard_job;

static void run_guards(void *ctx)
{
    guard_job *j = ctx;
    axis_guard_list list = {0};
    j->ctx.scratch->oom = j->ctx.a->oom;
    ir_func *f = axis_guards(&j->ctx, j->k, &list);
    j->guards = f ? ir_func_copy(f, j->ctx.m) : NULL; /* the original lives in scratch memory */
}

/* the guards of k, a kernel of a module of m's memory */
static bool find_guards(rt_call *c, rt_instance *in, ir_func *k)
{
    static const pass_options opt = {.checked = true};
    tile_module *m = c->k->m;
    arena scratch;
    guard_job j = {.ctx = {.m = k->m, .a = &m->a, .scratch = &scratch, .d = &m->d, .opt = &opt}, .k = k};
    arena_init(&scratch, 0);
    bool done = arena_try(&m->a, run_guards, &j);
    arena_fini(&scratch);
    if (!done)
        arena_raise(&m->a);
    in->guards = j.guards;
    return true;
}

/* what the launch needs to know of the inlined kernel: written parameters, and the guards of 32-bit indices */
static bool analyse(rt_call *c, rt_instance *in)
{
    static const pass_id ids[] = {PASS_inline, PASS_specialise, PASS_fold};
    tile_module *m = c->k->m;
    pass_options opt = {.checked = true};
    if (in->m->stage == LAID) { /* passes are behind it */
        for (uint32_t i = 0; i < in->k->params.n; i++)
            in->written[i] = (in->k->params.at[i].flags & PARAM_WRITTEN) != 0;
        return true;
    }
    ir_module *copy = ir_module_new(&m->a);
    for (uint32_t i = 0; i < in->m->funcs.n; i++)
        ir_module_add(copy, ir_func_copy(in->m->funcs.at[i], copy));
    bool ok = pass_run(copy, &m->d, &opt, ids, COUNTOF(ids), NULL);
    ir_func *k = ok ? ir_module_find(copy, in->k->name) : NULL;
    for (uint32_t i = 0; k && i < k->params.n; i++)
        in->written[i] = (k->params.at[i].flags & PARAM_WRITTEN) != 0;
    return ok && find_guards(c, in, k);
}

static rt_instance *lower_instance(rt_call *c)
{
    tile_module *m = c->k->m;
    rt_instance *in = ARENA_NEW(&m->a, rt_instance);
    str ir_name = c->k->name;
    uint32_t before = m->d.errors;
    double t0 = clock_now();
    if (m->unit) {
        choice_list list;
        make_choice(c, &list);
        in->m = compile_lower(&m->a, &m->d, m->unit, c->k->name, choice_done(&list), &ir_name);
    } else {
        in->m = m->ir;
    }
    bool ok = in->m && find_functions(c, in, ir_name) && analyse(c, in);
    if (ok) {
        in->text_key = rt_text_key(c, in->m);
        in->host_list = in->host ? host_code_make(&m->a, in->host) : NULL;
        in->guard_list = in->guards ? host_code_make(&m->a, in->guards) : NULL;
    }
    m->times.lower += clock_now() - t0;
    if (!ok || m->d.errors != before) {
        rt_fail_diags(c->err, TILE_E_SOURCE, &m->d, &m->a);
        return NULL;
    }
    in->key = arena_copy(&m->a, c->key, c->nkey * sizeof *c->key, 8);
    in->nkey = c->nkey;
    vec_push(&m->a, &c->k->instances, in);
    return in;
}

static bool is_wanted(const rt_call *c, const rt_instance *in)
{
    return in->nkey == c->nkey && memcmp(in->key, c->key, c->nkey * sizeof *c->key) == 0;
}

static void find_instance(void *ctx)
{
    rt_call *c = ctx;
    tile_kernel *k = c->k;
    for (uint32_t i = 0; i < k->instances.n && !c->inst; i++)
        if (is_wanted(c, k->instances.at[i]))
            c->inst = k->instances.at[i];
    if (!c->inst && c->ready_only)
        rt_not_ready(c);
    else if (!c->inst)
        c->inst = lower_instance(c);
    k->last = c->inst;
}

typedef struct locked_job {
    rt_call *c;
    void (*f)(void *c);
} locked_job;

static void run_locked(void *ctx)
{
    locked_job *j = ctx;
    j->c->a.oom = j->c->k->m->a.oom;
    j->f(j->c);
}

void rt_under_lock(rt_call *c, void (*f)(void *c))
{
    tile_module *m = c->k->m;
    jmp_buf *oom = c->a.oom;
    locked_job j = {c, f};
    pthread_mutex_lock(&m->lock);
    bool done = arena_try(&m->a, run_locked, &j);
    c->a.oom = oom;
    if (!done)
        m->d.list.n = m->d.errors = m->d.warnings = 0;
    pthread_mutex_unlock(&m->lock);
    if (!done)
        arena_raise(&c->a);
}

bool rt_bind(rt_call *c)
{
    tile_kernel *k = c->k;
    if (!count_matches(c))
        return false;
    memcpy(c->generics, k->preset, sizeof c->generics);
    for (int round = 0; round < 2; round++) /* typed ones first: a scalar's generic type comes from them */
        for (uint32_t i = 0; i < c->nargs; i++)
            if ((k->params[i].kind == FE_P_SCALAR || c->args[i].dtype == TILE_ANY) == (round == 1) &&
                !check_one(c, &k->params[i], &c->args[i]))
                return false;
    if (k->fe && !make_key(c))
        return false;
    rt_instance *last = k->last;
    if (last && is_wanted(c, last))
        c->inst = last;
    else
        rt_under_lock(c, find_instance);
    return c->inst != NULL;
}
