/* warm.c: launches prepared together. In front of a step that was not run yet, forward() goes through with op_launch
 * only noting what it would launch; all of that is then compiled in parallel, and reserved. Kernels of 30 layers are
 * the same ones: tile_prepare_many compiles each once.
 *
 * What a launch reads is copied, as callers keep arguments on their stack. A step is known by how many tokens it has.
 */
#include "examples/llm/engine_impl.h"

#include <string.h>

struct warm_list {
    arena a;
    VEC(tile_request) list;
};

typedef struct note_job {
    warm_list *w;
    tile_kernel *k;
    const tile_arg *args;
    int32_t nargs;
} note_job;

static void run_note(void *ctx)
{
    note_job *j = ctx;
    arena *a = &j->w->a;
    tile_arg *args = arena_copy(a, j->args, (size_t)j->nargs * sizeof *args, _Alignof(tile_arg));
    for (int32_t i = 0; i < j->nargs; i++)
        if (args[i].kind == TILE_ARG_TENSOR)
            args[i].u.t = arena_copy(a, args[i].u.t, sizeof *args[i].u.t, _Alignof(tile_tensor));
    vec_push(a, &j->w->list, ((tile_request){.kernel = j->k, .args = args, .nargs = j->nargs}));
}

bool warm_note(engine *e, tile_kernel *k, const tile_arg *args, int32_t nargs)
{
    note_job j = {e->noting, k, args, nargs};
    if (arena_try(&e->noting->a, run_note, &j))
        return true;
    e->err->code = TILE_E_MEMORY;
    strcpy(e->err->text, "out of memory");
    return false;
}

bool warm_steps(engine *e, const engine_step *const *steps, int n)
{
    warm_list w = {0};
    bool by_row = e->by_row, ok = true;
    arena_init(&w.a, 0);
    e->noting = &w;
    for (int i = 0; i < n && ok; i++) {
        e->by_row = i == 0 ? by_row : true;
        ok = forward(e, steps[i]);
    }
    e->noting = NULL;
    e->by_row = by_row;
    ok = ok && tile_prepare_many(w.list.at, (int32_t)w.list.n, e->o.progress, e->o.progress_ctx, e->err) == TILE_OK;
    arena_fini(&w.a);
    return ok;
}

bool warm_prompt(engine *e, const engine_step *s, int64_t decode_reach)
{
    if (e->warmed[s->n])
        return true;
    engine_step one = {.n = 1, .seq = -1, .reach = decode_reach, .want = LOGITS_LAST};
    const engine_step *steps[] = {s, &one};
    if (!warm_steps(e, steps, s->want == LOGITS_LAST ? 2 : 1)) /* the last chunk: tokens are generated next */
        return false;
    e->warmed[s->n] = true;
    return true;
}
