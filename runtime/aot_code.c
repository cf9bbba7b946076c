/* aot_code.c: `tilec build`: the machine code of an instance under one set of facts: the passes once, then the code
 * generator for every level of the processor, levels side by side on as many threads as were asked for
 * (aot_request.jobs).
 *
 * The code generator may add types to the module that it reads, so each level has a copy, made before any begins. What
 * is put into the object is put there in the order of aot_levels: it never depends on the threads. A level that fails
 * is done again by itself, for what it has to say.
 */
#include "runtime/aot_build.h"

#include "runtime/aot_link.h"
#include "runtime/runtime.h"

#include <string.h>

/* what a C program has: the C library, its mathematics, and libtile_rt */
static bool is_at_hand(str name)
{
    static const char *const more[] = {"fmod",  "fmodf",  "pow",    "powf",
                                       "ldexp", "ldexpf", "memcmp", "_GLOBAL_OFFSET_TABLE_"};
    for (size_t i = 0; i < COUNTOF(more); i++)
        if (str_eq(name, str_of(more[i])))
            return true;
    return cpu_symbol(name) != NULL;
}

static spec_fact *facts_of(aot_job *j, const aot_made *m, bool fast, const int same[2])
{
    spec_fact *facts = ARENA_ARRAY(j->a, spec_fact, (size_t)m->k->params.n + 1);
    for (uint32_t i = 0; i < m->k->params.n; i++) {
        const ir_type_info *t = ir_type_of(m->m, ir_vtype(m->k, ir_param_of(m->k, m->k->body, i)));
        spec_fact *x = &facts[i];
        *x = (spec_fact){.same_as = same[1] == (int)i ? same[0] : -1, .lo = 1, .hi = 0};
        if (t->kind != TK_NUM && m->param[i] < 0)
            x->align = 64;
        if (!fast || t->kind == TK_NUM || m->param[i] < 0)
            continue;
        x->align = 16;
        x->stride_one = t->kind == TK_TENSOR && t->strided;
        for (int d = 0; t->kind == TK_TENSOR && d + 1 < t->rank; d++)
            x->stride_div[d] = 16;
    }
    return facts;
}

static uint32_t keep_object(aot_job *j, str object, str name)
{
    uint64_t h = hash_bytes(object.p, object.n, 3);
    uint32_t at;
    if (map_get(&j->known, h, &at) && str_eq(j->objects.at[at], object))
        return at;
    map_set(&j->known, h, j->objects.n);
    vec_push(j->a, &j->objects, object);
    vec_push(j->a, &j->names, name);
    return j->objects.n - 1;
}

static aot_made_level *level_of(aot_job *j, aot_made *m, const aot_level_info *info)
{
    for (uint32_t i = 0; i < m->levels.n; i++)
        if (m->levels.at[i].level == info)
            return &m->levels.at[i];
    vec_push(j->a, &m->levels, ((aot_made_level){.level = info}));
    return &vec_last(&m->levels);
}

static bool is_wanted(const aot_request *q, const aot_level_info *l)
{
    bool wanted = false;
    for (uint32_t i = 0; i < q->nlevels; i++)
        wanted |= strcmp(q->levels[i], l->name) == 0;
    return wanted;
}

/* code for a level */
typedef struct level_job {
    arena a;
    const aot_level_info *level;
    const ir_func *k;
    backend_target t;
    str object, missing;
    cpu_info info;
    bool ok, whole; /* whole: it wants nothing that a C program doesn't have */
} level_job;

static ir_module *copy_module(arena *a, const ir_module *from, const ir_func *k, const ir_func *host)
{
    ir_module *m = ir_module_new(a);
    for (uint32_t i = 0; i < from->funcs.n; i++)
        if (from->funcs.at[i]->kind == FUNC_FN || from->funcs.at[i] == k || from->funcs.at[i] == host)
            ir_module_add(m, ir_func_copy(from->funcs.at[i], m));
    m->stage = from->stage;
    m->target = from->target;
    return m;
}

static void run_level(void *ctx)
{
    level_job *l = ctx;
    diags d;
    diags_init(&d, &l->a);
    l->ok = cpu_object_for(&l->a, l->k, &l->t, &l->object, &l->info, &d) && d.list.n == 0;
    l->whole = l->ok && aot_wants_only(&l->a, l->object, is_at_hand, &l->missing);
}

static void try_level(void *ctx, uint32_t i)
{
    level_job *l = &((level_job *)ctx)[i];
    if (!arena_try(&l->a, run_level, l))
        l->ok = false;
}

typedef struct code_job {
    aot_job *j;
    str kernel;
    aot_made *m;
    aot_made_code code;
    level_job *levels;
    uint32_t n;
    bool ok;
} code_job;

static bool keep_level(code_job *c, level_job *l)
{
    aot_job *j = c->j;
    aot_made_code code = c->code;
    if (!l->ok && !cpu_object_for(j->a, l->k, &l->t, &l->object, &l->info, j->d))
        return false;
    if (!l->ok)
        l->whole = aot_wants_only(j->a, l->object, is_at_hand, &l->missing);
    if (!l->whole && j->q->exact)
        return aot_user_error(j, "kernel '%.*s' can't be built for cpu:%s, which would need '%.*s'", STR_ARG(c->kernel),
                              l->level->name, STR_ARG(l->missing));
    if (!l->whole)
        return true;
    str name = str_fmt(j->a, "%.*s.%s.%s", STR_ARG(c->m->symbol), l->level->name, code.what);
    if (code.same[0] >= 0)
        name = str_fmt(j->a, "%.*s_%d_%d", STR_ARG(name), code.same[0], code.same[1]);
    code.info = l->info;
    code.object = keep_object(j, str_dup(j->a, l->object), name);
    aot_made_level *at = level_of(j, c->m, l->level);
    vec_push(j->a, &at->codes, code);
    return true;
}

static void make_levels(void *ctx)
{
    code_job *c = ctx;
    aot_job *j = c->j;
    pass_options opt = {
        .checked = true, .narrow = c->code.narrow, .facts = facts_of(j, c->m, c->code.fast, c->code.same)};
    backend_target t = {.name = S("cpu"), .opt_level = 2};
    ir_module *im = copy_module(j->a, c->m->m, c->m->k, c->m->host);
    if (!compile_passes(im, j->d, j->backend, &t, &opt))
        return;
    for (const aot_level_info *l = aot_levels; l->name; l++) {
        if (!is_wanted(j->q, l) || (!j->q->exact && (l->needs & AOT_AMX) && !c->m->tiles))
            continue;
        level_job *to = &c->levels[c->n++];
        arena_init(&to->a, 0);
        to->a.oom = j->a->oom;
        to->level = l;
        to->t = t;
        to->t.chip = str_of(l->name);
        const ir_func *k = ir_module_find(im, c->m->k->name),
                      *host = c->m->host ? ir_module_find(im, c->m->host->name) : NULL;
        to->k = ir_module_find(copy_module(&to->a, im, k, host), c->m->k->name);
    }
    rt_in_threads(j->q->jobs, c->n, try_level, c->levels);
    c->ok = true;
    for (uint32_t i = 0; i < c->n && c->ok; i++)
        c->ok = keep_level(c, &c->levels[i]);
}

bool aot_make_code(aot_job *j, str kernel, aot_made *m, aot_made_code code)
{
    level_job levels[AOT_MOST_LEVELS] = {0};
    code_job c = {j, kernel, m, code, levels, 0, false};
    bool done = arena_try(j->a, make_levels, &c);
    for (uint32_t i = 0; i < c.n; i++)
        arena_fini(&levels[i].a);
    if (!done)
        arena_raise(j->a);
    return c.ok;
}
