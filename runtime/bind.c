/* bind.c: launch arguments against the kernel's signature (check.c), and the instance that they ask for.
 *
 * Generics take the element types of the arguments; a dimension that is a const parameter takes the size. What the
 * instance depends on is written into call.key as it is found:
 *
 *   [dtype of each generic] [one bit an argument: None] [config of @tune, where there are several]
 *   [value of each const dimension, in order of appearance]
 *
 * so that looking a known instance up is comparing a few words. An unknown one is lowered under the module's lock.
 */
#include "runtime/runtime.h"

#include <string.h>

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

/* Host devices whose code checks no access by itself get the checks put in. The passes in front of that one are run
 * again later, and find nothing to do. */
static ir_module *with_bounds(rt_call *c, ir_module *m)
{
    static const pass_id ids[] = {PASS_inline, PASS_lower_tensors, PASS_bounds};
    const rt_driver *driver = c->k->m->dev->driver;
    pass_options opt = {.checked = true};
    if (!driver->build || driver->queue || m->stage == LAID)
        return m;
    ir_module *copy = ir_module_new(m->a);
    for (uint32_t i = 0; i < m->funcs.n; i++)
        ir_module_add(copy, ir_func_copy(m->funcs.at[i], copy));
    return pass_run(copy, &c->k->m->d, &opt, ids, COUNTOF(ids), NULL) ? copy : NULL;
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
        in->asked = rt_asked_text(c, &list);
        in->m = compile_lower(&m->a, &m->d, m->unit, c->k->name, choice_done(&list), &ir_name);
    } else {
        in->m = m->ir;
    }
    if (in->m && m->checked)
        in->m = with_bounds(c, in->m);
    bool ok = in->m && find_functions(c, in, ir_name) &&
              rt_analyse(&m->a, &m->d, in->m, in->k, in->written, &in->guards, NULL);
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
    rt_check check = {k->m->dev,   &c->a,   k->name,  k->params, k->nparams, k->fe ? k->fe->generics : NULL,
                      c->generics, c->args, c->nargs, c->err};
    memcpy(c->generics, k->preset, sizeof c->generics);
    if (!rt_check_args(&check))
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
