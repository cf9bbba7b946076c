/* runner.c: runs a pipeline over a module: each pass over every function that is not the host's, in order; times it,
 * and verifies and dumps where asked. After pass inline the `fn`s are no longer visited: nothing refers to them. */
#include "compiler/passes/rewrite.h"

typedef ir_func *pass_fn(pass_ctx *c, ir_func *f);

static const struct {
    const char *name;
    pass_fn *run;
    const char *doc;
} passes[PASS_COUNT] = {
    [PASS_NONE] = {"", NULL, ""},
#define PASS(name, from, to, doc) [PASS_##name] = {#name, pass_##name, doc},
#include "compiler/passes/passes.def"
#undef PASS
};

const pass_id pass_tile_pipeline[] = {PASS_inline, PASS_specialise, PASS_fold, PASS_combine,
                                      PASS_licm,   PASS_unroll,     PASS_dce};
const uint32_t pass_tile_pipeline_len = COUNTOF(pass_tile_pipeline);

pass_id pass_by_name(str name)
{
    for (int i = PASS_NONE + 1; i < PASS_COUNT; i++)
        if (str_eq(name, str_of(passes[i].name)))
            return (pass_id)i;
    return PASS_NONE;
}

const char *pass_name(pass_id id)
{
    return passes[id].name;
}

const char *pass_doc(pass_id id)
{
    return passes[id].doc;
}

static void run_one(pass_ctx *c, pass_id id, bool inlined)
{
    pass_stat s = {.name = passes[id].name};
    double start = clock_now();
    for (uint32_t i = 0; i < c->m->funcs.n; i++) {
        ir_func *f = c->m->funcs.at[i];
        if (f->kind == FUNC_HOST || (f->kind == FUNC_FN && (inlined || id == PASS_inline)))
            continue;
        arena_pos mark = arena_mark(c->scratch);
        s.ops_before += f->ops.n - 1;
        f = passes[id].run(c, f); /* may add functions: look the place up again */
        c->m->funcs.at[i] = f;
        s.ops_after += c->m->funcs.at[i]->ops.n - 1;
        arena_reset(c->scratch, mark);
    }
    s.seconds = clock_now() - start;
    vec_push(c->a, &c->stats, s);
}

typedef struct pass_list {
    pass_ctx *c;
    const pass_id *ids;
    uint32_t n;
    bool ok;
} pass_list;

static void run_list(void *ctx)
{
    pass_list *l = ctx;
    pass_ctx *c = l->c;
    bool inlined = false;
    c->scratch->oom = c->m->a->oom;
    for (uint32_t i = 0; i < l->n && l->ok; i++) {
        run_one(c, l->ids[i], inlined);
        inlined |= l->ids[i] == PASS_inline;
        if (c->opt->dump)
            c->opt->dump(c->opt->dump_ctx, passes[l->ids[i]].name, c->m);
        if (c->opt->verify)
            l->ok = ir_verify(c->m, c->d);
    }
}

bool pass_run(ir_module *m, diags *d, const pass_options *opt, const pass_id *ids, uint32_t n, pass_ctx *out)
{
    static const pass_options none;
    arena scratch;
    pass_ctx c = {.m = m, .a = m->a, .d = d, .opt = opt ? opt : &none, .scratch = &scratch};
    pass_list l = {&c, ids, n, true};
    arena_init(&scratch, 0);
    bool done = arena_try(m->a, run_list, &l);
    arena_fini(&scratch);
    c.scratch = NULL;
    if (!done)
        arena_raise(m->a);
    if (out)
        *out = c;
    return l.ok;
}
