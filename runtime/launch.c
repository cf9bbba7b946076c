/* launch.c: one launch, from top to bottom: bind, pack, pick a binary, scratch memory, run.
 *
 * Until the device's lock is taken a launch touches nothing shared but the module's tables, under their own lock.
 * Scratch parameters are carved from one block of the stream, grown to the largest launch so far, in the order of the
 * header, each aligned to 64 bytes; `scratch zero` ones are cleared before each launch.
 */
#include "runtime/aot.h"
#include "runtime/runtime.h"

typedef struct scratch_part {
    uint64_t *slot;
    int64_t at, bytes;
    bool zero;
} scratch_part;

/* sizes and strides of the scratch parameters into their slots; where each lies */
static bool place_scratch(rt_call *c, scratch_part *parts, uint32_t *nparts, int64_t *total)
{
    const ir_func *f = c->inst->k;
    const int64_t *r = c->results + (f->has_grid ? 3 : 0);
    uint64_t *s = c->slots + ABI_GRID_SLOTS;
    for (uint32_t i = 0; i < f->params.n; i++) {
        const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, ir_param_of(f, f->body, i)));
        if (f->params.at[i].flags & PARAM_SCRATCH && t->kind == TK_TENSOR) {
            int64_t bytes = dt_bytes(t->dt), stride = 1;
            bool fits = true;
            for (int d = t->rank - 1; d >= 0; d--) {
                fits &= r[d] >= 0 && r[d] < (int64_t)1 << 46 && !__builtin_mul_overflow(bytes, r[d], &bytes) &&
                        bytes < (int64_t)1 << 46;
                s[1 + d] = (uint64_t)r[d];
                s[1 + t->rank + d] = (uint64_t)stride;
                stride = fits ? stride * r[d] : stride;
            }
            if (!fits) {
                rt_fail(c->err, TILE_E_ARGUMENT, "kernel '%.*s': the size of scratch '%.*s' is negative or too large",
                        STR_ARG(c->k->name), STR_ARG(f->params.at[i].name));
                return false;
            }
            parts[(*nparts)++] = (scratch_part){s, *total, bytes, (f->params.at[i].flags & PARAM_SCRATCH_ZERO) != 0};
            *total += (bytes + 63) / 64 * 64;
            r += t->rank;
        }
        s += t->kind == TK_TENSOR ? 1 + 2 * t->rank : 1;
    }
    return true;
}

static int64_t align_up(int64_t n)
{
    return n > INT64_MAX - 4096 ? n : (n + 4095) / 4096 * 4096;
}

/* under the device's lock: at least `total` bytes of scratch memory for the stream */
static bool reserve_scratch(rt_call *c, int64_t total)
{
    tile_device *d = c->k->m->dev;
    tile_stream *s = c->stream;
    if (total <= s->scratch_bytes)
        return true;
    if (c->ready_only)
        return rt_not_ready(c);
    void *p = rt_alloc(d, align_up(total), c->err);
    if (!p)
        return false;
    if (s->scratch && s->pinned)
        vec_push(&d->a, &d->retired, s->scratch);
    else if (s->scratch)
        rt_free(d, s->scratch);
    s->scratch = p;
    s->scratch_bytes = align_up(total);
    s->pinned = false;
    return true;
}

static bool take_scratch(rt_call *c, const scratch_part *parts, uint32_t n, int64_t total)
{
    tile_device *d = c->k->m->dev;
    tile_stream *s = c->stream;
    if (!reserve_scratch(c, total))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        *parts[i].slot = (uint64_t)(uintptr_t)s->scratch + (uint64_t)parts[i].at;
        if (parts[i].zero && parts[i].bytes &&
            !rt_fill(d, s, (char *)s->scratch + parts[i].at, 0, parts[i].bytes, c->err))
            return false;
    }
    return true;
}

/* the ranges that the kernel may touch, or NULL where some argument's extent is not known */
static const interp_range *find_bounds(rt_call *c, const scratch_part *parts, uint32_t nparts, uint32_t *n)
{
    interp_range *list = ARENA_ARRAY(&c->a, interp_range, (size_t)c->nargs + nparts + 1);
    *n = 0;
    for (uint32_t i = 0; i < c->nargs; i++) {
        const tile_arg *a = &c->args[i];
        const char *name = str_cstr(&c->a, c->k->params[i].name);
        uint64_t lo, hi;
        if (a->kind == TILE_ARG_PTR && (a->bytes <= 0 || c->k->params[i].pointers > 1))
            return NULL;
        if (a->kind == TILE_ARG_PTR)
            list[(*n)++] = (interp_range){name, (uint64_t)(uintptr_t)a->u.p, (uint64_t)a->bytes};
        if (a->kind == TILE_ARG_TENSOR && rt_tensor_range(a->u.t, &lo, &hi))
            list[(*n)++] = (interp_range){name, lo, hi - lo};
    }
    for (uint32_t i = 0; i < nparts; i++)
        list[(*n)++] = (interp_range){"scratch", *parts[i].slot, (uint64_t)parts[i].bytes};
    return list;
}

/* the launch, or (really false) memory for it */
static bool start(rt_call *c, const scratch_part *parts, uint32_t nparts, bool really)
{
    tile_device *d = c->k->m->dev;
    rt_host host; /* its fault text is not cleared but where it begins */
    str why = {0};
    rt_start st = {.f = c->inst->k,
                   .code = &c->var->code,
                   .args = c->slots,
                   .programs = c->programs,
                   .stream = c->stream,
                   .err = c->err};
    if (!d->driver->build)
        st.bounds = find_bounds(c, parts, nparts, &st.nbounds);
    rt_host_init(&host, d);
    bool ok = (really ? d->driver->launch : d->driver->reserve)(d, &c->a, &st, &host, &why);
    if (host.fault[0] || (!ok && why.n)) {
        rt_fail(c->err, TILE_E_FAULT, "kernel '%.*s' faulted: %.*s", STR_ARG(c->k->name),
                STR_ARG(host.fault[0] ? str_of(host.fault) : why));
        ok = false;
    }
    rt_host_fini(&host);
    return ok;
}

typedef struct run_job {
    rt_call *c;
    scratch_part *parts;
    uint32_t nparts;
    int64_t total;
    bool launch, ok;
} run_job;

/* ---- captured launches: a copy of the call with all that it points at, for the caller's may be gone ---- */

typedef struct replay_job {
    rt_call *c;
    bool ok;
} replay_job;

static void run_replay(void *ctx)
{
    replay_job *j = ctx;
    rt_call *c = j->c;
    c->slots = arena_copy(&c->a, c->slots, c->inst->nslots * sizeof *c->slots, 8); /* scratch goes into them */
    j->ok = rt_run(c);
}

static bool replay(void *ctx, tile_stream *s, tile_error *err)
{
    rt_call c = *(const rt_call *)ctx;
    c.err = err;
    c.stream = s;
    c.ready_only = false;
    _Alignas(16) char room[RT_CALL_ROOM];
    arena_init_on(&c.a, room, sizeof room);
    replay_job j = {&c, false};
    if (!arena_try(&c.a, run_replay, &j)) {
        j.ok = false;
        rt_fail_memory(err, "kernel", c.k->name);
    }
    arena_fini(&c.a);
    return j.ok;
}

static void note_call(tile_graph *g, const rt_call *c)
{
    rt_call *n = ARENA_NEW(&g->a, rt_call);
    *n = *c;
    n->args = rt_copy_args(&g->a, c->args, c->nargs);
    n->slots = arena_copy(&g->a, c->slots, c->inst->nslots * sizeof *c->slots, 8);
    n->results = arena_copy(&g->a, c->results, (c->inst->nresults + 1u) * sizeof *c->results, 8);
    n->grid = NULL; /* its extents are in the slots */
    rt_note(g, replay, n);
}

static void run_locked(void *ctx)
{
    run_job *j = ctx;
    rt_call *c = j->c;
    tile_device *d = c->k->m->dev;
    tile_graph *g = c->stream->capture;
    d->a.oom = c->a.oom;
    if (g)
        g->a.oom = c->a.oom;
    j->ok = j->launch && !(g && !d->driver->queue)
                ? take_scratch(c, j->parts, j->nparts, j->total) && start(c, j->parts, j->nparts, true)
                : reserve_scratch(c, j->total);
    if (j->ok && !j->launch && d->driver->reserve)
        j->ok = start(c, j->parts, j->nparts, false);
    if (j->ok && j->launch && g && !d->driver->queue)
        note_call(g, c);
}

static bool run(rt_call *c, bool launch)
{
    tile_device *d = c->k->m->dev;
    run_job j = {.c = c, .launch = launch};
    j.parts = ARENA_ARRAY(&c->a, scratch_part, (size_t)c->inst->k->params.n + 1);
    if (!place_scratch(c, j.parts, &j.nparts, &j.total))
        return false;
    pthread_mutex_lock(&d->lock);
    bool done = arena_try(&c->a, run_locked, &j);
    d->a.oom = NULL;
    if (c->stream->capture)
        c->stream->capture->a.oom = NULL;
    pthread_mutex_unlock(&d->lock);
    if (!done)
        arena_raise(&c->a);
    return j.ok;
}

bool rt_run(rt_call *c)
{
    return run(c, true);
}

bool rt_not_ready(rt_call *c)
{
    rt_fail(c->err, TILE_E_ARGUMENT,
            "kernel '%.*s' is not prepared for this launch: call tile_prepare with these arguments before the capture",
            STR_ARG(c->k->name));
    return false;
}

typedef struct launch_job {
    rt_call *c;
    bool really, ok;
} launch_job;

static void run_launch(void *ctx)
{
    launch_job *j = ctx;
    rt_call *c = j->c;
    j->ok = rt_bind(c) && rt_pack(c);
    if (j->ok && c->programs > 0)
        j->ok = rt_check_overlap(c) && rt_settle(c) && (c->programs == 0 || run(c, j->really));
}

static int launch(tile_kernel *k, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
                  tile_error *err, bool really)
{
    if (k->linked)
        return aot_kernel_launch(k, stream, grid, args, nargs, err, really);
    tile_error dropped = {0};
    rt_call c = {
        .k = k, .grid = grid, .args = args, .nargs = nargs < 0 ? 0 : (uint32_t)nargs, .err = err ? err : &dropped};
    rt_clear(c.err);
    c.stream = rt_stream(k->m->dev, stream, c.err);
    if (!c.stream)
        return c.err->code;
    c.ready_only = c.stream->capture != NULL;
    launch_job j = {.c = &c, .really = really};
    _Alignas(16) char room[RT_CALL_ROOM];
    arena_init_on(&c.a, room, sizeof room);
    if (!arena_try(&c.a, run_launch, &j)) {
        j.ok = false;
        rt_fail_memory(c.err, "kernel", k->name);
    }
    arena_fini(&c.a);
    return j.ok ? TILE_OK : c.err->code;
}

int tile_launch(tile_kernel *k, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
                tile_error *err)
{
    return launch(k, stream, grid, args, nargs, err, true);
}

int tile_prepare(tile_kernel *k, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
                 tile_error *err)
{
    return launch(k, stream, grid, args, nargs, err, false);
}
