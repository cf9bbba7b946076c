/* analyse.c: what a launch needs to know of a kernel beside its code: which parameters it writes, and under which
 * launches its indices fit 32 bits (the guard function). Found on the inlined kernel, before anything is specialised.
 */
#include "runtime/runtime.h"

typedef struct guard_job {
    pass_ctx ctx;
    ir_func *k, *guards;
    axis_guard_list list, *texts;
} guard_job;

static void run_guards(void *ctx)
{
    guard_job *j = ctx;
    j->ctx.scratch->oom = j->ctx.a->oom;
    ir_func *f = axis_guards(&j->ctx, j->k, &j->list);
    j->guards = f ? ir_func_copy(f, j->ctx.m) : NULL; /* the original lives in scratch memory */
    for (uint32_t i = 0; j->texts && i < j->list.n; i++)
        vec_push(j->ctx.a, j->texts, ((axis_guard){str_dup(j->ctx.a, j->list.at[i].text)}));
}

static ir_func *find_guards(arena *a, diags *d, ir_func *k, axis_guard_list *texts)
{
    static const pass_options opt = {.checked = true};
    arena scratch;
    guard_job j = {.ctx = {.m = k->m, .a = a, .scratch = &scratch, .d = d, .opt = &opt}, .k = k, .texts = texts};
    arena_init(&scratch, 0);
    bool done = arena_try(a, run_guards, &j);
    arena_fini(&scratch);
    if (!done)
        arena_raise(a);
    return j.guards;
}

bool rt_analyse(arena *a, diags *d, const ir_module *m, const ir_func *kernel, bool *written, ir_func **guards,
                axis_guard_list *texts)
{
    static const pass_id ids[] = {PASS_inline, PASS_specialise, PASS_fold};
    pass_options opt = {.checked = true};
    *guards = NULL;
    if (m->stage == LAID) { /* passes are behind it */
        for (uint32_t i = 0; i < kernel->params.n; i++)
            written[i] = (kernel->params.at[i].flags & PARAM_WRITTEN) != 0;
        return true;
    }
    ir_module *copy = ir_module_new(a);
    for (uint32_t i = 0; i < m->funcs.n; i++)
        ir_module_add(copy, ir_func_copy(m->funcs.at[i], copy));
    bool ok = pass_run(copy, d, &opt, ids, COUNTOF(ids), NULL);
    ir_func *k = ok ? ir_module_find(copy, kernel->name) : NULL;
    for (uint32_t i = 0; k && i < k->params.n; i++)
        written[i] = (k->params.at[i].flags & PARAM_WRITTEN) != 0;
    if (k)
        *guards = find_guards(a, d, k, texts);
    return ok;
}
