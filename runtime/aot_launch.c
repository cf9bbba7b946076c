/* aot_launch.c: a launch of ahead-of-time code, from top to bottom: arguments, instance, slots, host code, grid, level,
 * variant, scratch memory, run. The same checks as tile_launch makes, by the same code (check.c, overlap.c), on tables
 * of the object (aot.h) in place of the compiler's.
 *
 * Everything that a launch works on lies on its stack. A NULL stream stands for the one of the process's own cpu
 * device, which is opened by the first such launch and kept: the one piece of state here.
 */
#include "runtime/aot.h"
#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>

#define MAX_GRID ((int64_t)INT32_MAX)
#define NALIASES 8

typedef struct aot_call {
    const aot_kernel *k;
    const aot_instance *const *first, *const *last;
    const aot_instance *in;
    tile_device *d;
    tile_stream *stream;
    const int64_t *grid;
    const uint64_t *words; /* arguments, as they came; NULL: as args */
    const tile_arg *args;
    uint32_t nargs;
    bool prepare;
    dtype generics[RT_MAX_GENERICS];
    uint64_t *slots;
    int64_t *results;
    int64_t programs;
    const aot_code *code;
    tile_error *err;
    arena a;
    bool ok;
} aot_call;

static bool fail(aot_call *c, const char *fmt, ...) STR_PRINTF(2, 3);
static bool fail(aot_call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str s = str_vfmt(&c->a, fmt, ap);
    va_end(ap);
    rt_fail(c->err, TILE_E_ARGUMENT, "kernel '%.*s': %.*s", STR_ARG(c->k->name), STR_ARG(s));
    return false;
}

/* ---- arguments ---- */

static tile_arg argument(const aot_param *p, uint64_t word)
{
    void *at = (void *)(uintptr_t)word;
    if (p->optional && !at)
        return tile_arg_none();
    if (p->optional && p->kind == AOT_SCALAR)
        memcpy(&word, at, sizeof word);
    switch ((aot_kind)p->kind) {
    case AOT_SCALAR:
        return p->is_float ? tile_arg_float(num_f64_of(word)) : tile_arg_int((int64_t)word);
    case AOT_POINTER:
        return tile_arg_ptr(at, TILE_ANY);
    case AOT_TENSOR:
        break;
    }
    return tile_arg_tensor(at);
}

static void describe(const aot_param *p, int i, rt_param *out)
{
    static const fe_param_kind kinds[] = {FE_P_SCALAR, FE_P_POINTER, FE_P_TENSOR};
    *out = (rt_param){.name = p->name,
                      .type_text = p->type,
                      .kind = kinds[p->kind],
                      .dt = (dtype)p->dtype,
                      .generic = (int)p->generic,
                      .pointers = (int)p->pointers,
                      .rank = (int)p->rank,
                      .strided = p->strided != 0,
                      .optional = p->optional != 0,
                      .arg = i};
}

/* a generic that no tensor tells is known where all instances have the same */
static void preset_generics(aot_call *c)
{
    bool one = c->last - c->first == 1;
    for (int64_t g = 0; g < c->k->ngenerics; g++) {
        dtype dt = c->first[0]->dtypes[g];
        bool same = one || !c->k->generics[g].by_tensor;
        for (const aot_instance *const *i = c->first; i < c->last; i++)
            same &= (*i)->dtypes[g] == dt;
        c->generics[g] = same ? dt : DT_NONE;
    }
}

static bool check(aot_call *c)
{
    uint32_t n = (uint32_t)c->k->nparams;
    rt_param *params = ARENA_ARRAY(&c->a, rt_param, (size_t)n + 1);
    fe_generic generics[RT_MAX_GENERICS];
    tile_arg *args = ARENA_ARRAY(&c->a, tile_arg, (size_t)n + 1);
    for (uint32_t i = 0; i < n; i++) {
        describe(&c->k->params[i], (int)i, &params[i]);
        if (c->words)
            args[i] = argument(&c->k->params[i], c->words[i]);
    }
    c->nargs = c->words ? n : c->nargs;
    c->args = c->words ? args : c->args;
    for (int64_t g = 0; g < c->k->ngenerics; g++) {
        const aot_generic *from = &c->k->generics[g];
        generics[g] = (fe_generic){from->name, from->list, (uint32_t)from->n};
    }
    preset_generics(c);
    rt_check ck = {c->d, &c->a, c->k->name, params, n, generics, c->generics, c->args, c->nargs, c->err};
    return rt_check_args(&ck);
}

/* ---- the instance ---- */

static bool fits_types(const aot_call *c, const aot_instance *in)
{
    for (int64_t g = 0; g < c->k->ngenerics; g++)
        if (c->generics[g] != DT_NONE && in->dtypes[g] != c->generics[g])
            return false;
    for (int64_t i = 0; i < c->k->nparams; i++)
        if (in->absent[i] != (c->args[i].kind == TILE_ARG_NONE))
            return false;
    return true;
}

static const aot_size *wrong_size(const aot_call *c, const aot_instance *in)
{
    for (int64_t i = 0; i < in->nsizes; i++) {
        const tile_arg *a = &c->args[in->sizes[i].param];
        if (a->kind == TILE_ARG_TENSOR && a->u.t->sizes[in->sizes[i].dim] != in->sizes[i].value)
            return &in->sizes[i];
    }
    return NULL;
}

static bool no_instance(aot_call *c, const aot_size *size)
{
    strbuf b;
    sb_init(&b, &c->a);
    if (size)
        return fail(c,
                    "dimension %lld of argument '%.*s' must be one that it was built for ('%.*s' = %lld), found %lld",
                    (long long)size->dim, STR_ARG(c->k->params[size->param].name), STR_ARG(size->name),
                    (long long)size->value, (long long)c->args[size->param].u.t->sizes[size->dim]);
    for (int64_t g = 0; g < c->k->ngenerics; g++)
        if (c->generics[g] != DT_NONE)
            sb_putf(&b, "%s%.*s=%s", b.n ? ", " : "", STR_ARG(c->k->generics[g].name), dtypes[c->generics[g]].name);
    for (int64_t i = 0; i < c->k->nparams; i++)
        if (c->k->params[i].optional)
            sb_putf(&b, "%s%.*s %s", b.n ? ", " : "", STR_ARG(c->k->params[i].name),
                    c->args[i].kind == TILE_ARG_NONE ? "absent" : "given");
    return fail(c, "it was not built for %.*s", STR_ARG(sb_str(&b)));
}

/* objects of other kernels of that name: their arguments would be read wrongly */
static bool same_kernel(aot_call *c)
{
    for (const aot_instance *const *i = c->first; i < c->last; i++)
        if ((*i)->kernel->signature != c->k->signature)
            return fail(c, "this program holds objects of two kernels of that name");
    return true;
}

static bool find_instance(aot_call *c)
{
    const aot_size *size = NULL;
    for (const aot_instance *const *i = c->first; i < c->last && !c->in; i++) {
        if (!fits_types(c, *i))
            continue;
        const aot_size *wrong = wrong_size(c, *i);
        if (!wrong)
            c->in = *i;
        else if (!size || wrong->value > size->value)
            size = wrong;
    }
    return c->in || no_instance(c, size);
}

/* ---- slots, host code, grid ---- */

static uint64_t scalar_bits(dtype dt, const tile_arg *a)
{
    if (dt_is_any_float(dt))
        return dt_from_double(dt, a->kind == TILE_ARG_FLOAT ? a->u.f : (double)a->u.i, false);
    return dt == DT_BOOL ? (uint64_t)(a->u.i != 0) : dt_wrap(dt, (uint64_t)a->u.i);
}

static int64_t words_of(const aot_slot *s)
{
    return s->kind == AOT_TENSOR ? 1 + 2 * s->rank : 1;
}

static void pack(aot_call *c)
{
    uint64_t *w = c->slots + ABI_GRID_SLOTS;
    for (int64_t i = 0; i < c->in->nslots; i++) {
        const aot_slot *s = &c->in->slots[i];
        const tile_arg *a = s->param < 0 ? NULL : &c->args[s->param];
        if (a && s->kind == AOT_TENSOR) {
            w[0] = (uint64_t)(uintptr_t)a->u.t->data;
            for (int64_t d = 0; d < s->rank; d++) {
                w[1 + d] = (uint64_t)a->u.t->sizes[d];
                w[1 + s->rank + d] = (uint64_t)a->u.t->strides[d];
            }
        } else if (a)
            *w = s->kind == AOT_POINTER ? (uint64_t)(uintptr_t)a->u.p : scalar_bits((dtype)s->dtype, a);
        w += words_of(s);
    }
}

static bool set_grid(aot_call *c)
{
    const int64_t *g = c->grid ? c->grid : c->results;
    int64_t n = 1;
    if (!c->grid && !c->in->has_grid)
        return fail(c, "its header has no grid: the launch must give one");
    for (int i = 0; i < 3; i++) {
        if (g[i] < 0 || (g[i] == 0 && c->grid)) {
            rt_fail(c->err, TILE_E_ARGUMENT, "grid of kernel '%.*s': extent %d is %lld, expected at least 1",
                    STR_ARG(c->k->name), i, (long long)g[i]);
            return false;
        }
        if (g[i] > MAX_GRID || __builtin_mul_overflow(n, g[i], &n) || n > MAX_GRID) {
            rt_fail(c->err, TILE_E_ARGUMENT,
                    "grid of kernel '%.*s': %lld x %lld x %lld is not below 2147483648 programs", STR_ARG(c->k->name),
                    (long long)g[0], (long long)g[1], (long long)g[2]);
            return false;
        }
        c->slots[i] = (uint64_t)g[i];
    }
    c->programs = n;
    return true;
}

static const host_check *evaluate(aot_call *c, const host_code *h, const abi_device *dev, int64_t *out)
{
    return h ? host_code_run(h, c->slots, dev, ARENA_ARRAY(&c->a, uint64_t, (size_t)h->nops + 1), out) : NULL;
}

static bool run_host(aot_call *c)
{
    int64_t holds = rt_cpu_holds(c->d, c->in->cooperative != 0);
    abi_device dev = {.resident = holds};
    c->slots = ARENA_ARRAY(&c->a, uint64_t, (size_t)c->in->nwords + 1);
    c->results = ARENA_ARRAY(&c->a, int64_t, (size_t)(c->in->host ? c->in->host->nresults : 0) + 4);
    pack(c);
    const host_check *bad = evaluate(c, c->in->host, &dev, c->results);
    if (bad)
        return fail(c, "%.*sdimension %lld of argument '%.*s' must equal '%.*s': expected %lld, found %lld",
                    STR_ARG(bad->place), (long long)bad->dim, STR_ARG(bad->arg), STR_ARG(bad->text),
                    (long long)c->results[0], (long long)c->results[1]);
    if (!set_grid(c))
        return false;
    if (c->in->cooperative && c->programs > holds) {
        rt_fail(c->err, TILE_E_ARGUMENT, "cooperative kernel '%.*s': %lld programs, but the device holds %lld at once",
                STR_ARG(c->k->name), (long long)c->programs, (long long)holds);
        return false;
    }
    return true;
}

static bool check_overlap(aot_call *c)
{
    rt_named *list = ARENA_ARRAY(&c->a, rt_named, (size_t)c->in->nslots + 1);
    for (int64_t i = 0; i < c->in->nslots; i++) {
        const aot_slot *s = &c->in->slots[i];
        list[i] = (rt_named){s->param < 0 ? NULL : &c->args[s->param], s->name, s->written != 0};
    }
    return rt_apart(&c->a, c->k->name, list, (uint32_t)c->in->nslots, c->err);
}

/* ---- which code ---- */

static bool guards_hold(aot_call *c)
{
    int64_t held[4] = {0};
    abi_device dev = {.resident = INT32_MAX};
    return c->in->guards && !evaluate(c, c->in->guards, &dev, held) && held[0] == 1;
}

/* what the fast code assumes beside the guards */
static bool facts_hold(const aot_call *c)
{
    const uint64_t *w = c->slots + ABI_GRID_SLOTS;
    for (int64_t i = 0; i < c->in->nslots; i++) {
        const aot_slot *s = &c->in->slots[i];
        if (s->param >= 0 && s->kind != AOT_SCALAR && *w % 16)
            return false;
        if (s->param >= 0 && s->kind == AOT_TENSOR) {
            if (s->rank && s->strided && w[2 * s->rank] != 1)
                return false;
            for (int64_t d = 0; d + 1 < s->rank; d++)
                if (w[1 + s->rank + d] % 16)
                    return false;
        }
        w += words_of(s);
    }
    return true;
}

/* pairs of arguments with one base, one of them written: at most NALIASES are told */
static int aliases(const aot_call *c, int64_t pairs[NALIASES][2])
{
    const uint64_t *at[RT_MAX_ARGS * 2];
    const uint64_t *w = c->slots + ABI_GRID_SLOTS;
    int n = 0;
    for (int64_t i = 0; i < c->in->nslots; i++) {
        const aot_slot *s = &c->in->slots[i];
        at[i] = s->param >= 0 && s->kind != AOT_SCALAR && *w ? w : NULL;
        for (int64_t j = 0; at[i] && j < i; j++)
            if (at[j] && *at[j] == *at[i] && (s->written || c->in->slots[j].written) && n < NALIASES) {
                pairs[n][0] = j;
                pairs[n++][1] = i;
            }
        w += words_of(s);
    }
    return n;
}

static const aot_level *pick_level(const aot_call *c)
{
    for (int64_t i = 0; i < c->in->nlevels; i++)
        if ((c->in->levels[i].needs & ~c->d->features) == 0)
            return &c->in->levels[i];
    return NULL;
}

static bool no_level(aot_call *c)
{
    rt_fail(c->err, TILE_E_DEVICE,
            "kernel '%.*s' was built for %.*s and better: this processor, or its system, is less", STR_ARG(c->k->name),
            STR_ARG(c->in->levels[c->in->nlevels - 1].name));
    return false;
}

static bool pick(aot_call *c)
{
    int64_t pairs[NALIASES][2];
    int n = aliases(c, pairs);
    const aot_level *l = pick_level(c);
    if (!l)
        return no_level(c);
    bool narrow = guards_hold(c), fast = narrow && facts_hold(c);
    for (int64_t i = 0; i < l->ncodes && !c->code; i++) {
        const aot_code *k = &l->codes[i];
        bool fits = n == 0 ? k->same[0] < 0 : n == 1 && k->same[0] == pairs[0][0] && k->same[1] == pairs[0][1];
        if (fits && (narrow || !k->narrow) && (fast || !k->fast))
            c->code = k;
    }
    if (!c->code && n == 0)
        return fail(c, "it was not built for addresses, strides or sizes like these: its 'wide' code is not there");
    return c->code || fail(c, "arguments '%.*s' and '%.*s' are one buffer, and it was not built for that",
                           STR_ARG(c->in->slots[pairs[n - 1][0]].name), STR_ARG(c->in->slots[pairs[n - 1][1]].name));
}

/* ---- scratch memory and the run, under the device's lock ---- */

static bool place_scratch(aot_call *c, int64_t *total)
{
    uint64_t *w = c->slots + ABI_GRID_SLOTS;
    const int64_t *r = c->results + (c->in->has_grid ? 3 : 0);
    *total = 0;
    for (int64_t i = 0; i < c->in->nslots; i++) {
        const aot_slot *s = &c->in->slots[i];
        if (s->param < 0) {
            int64_t bytes = dt_bytes((dtype)s->dtype), stride = 1;
            for (int64_t d = s->rank - 1; d >= 0; d--) {
                if (r[d] < 0 || r[d] >= (int64_t)1 << 46 || __builtin_mul_overflow(bytes, r[d], &bytes) ||
                    bytes >= (int64_t)1 << 46)
                    return fail(c, "the size of scratch '%.*s' is negative or too large", STR_ARG(s->name));
                w[1 + d] = (uint64_t)r[d];
                w[1 + s->rank + d] = (uint64_t)stride;
                stride *= r[d];
            }
            w[0] = (uint64_t)*total; /* an offset, until the block is known */
            *total += (bytes + 63) / 64 * 64;
            r += s->rank;
        }
        w += words_of(s);
    }
    return true;
}

static bool reserve_scratch(aot_call *c, int64_t total)
{
    tile_stream *s = c->stream;
    int64_t bytes = (total + 4095) / 4096 * 4096;
    if (total <= s->scratch_bytes)
        return true;
    void *p = rt_alloc(c->d, bytes, c->err);
    if (!p)
        return false;
    if (s->scratch && s->pinned)
        vec_push(&c->d->a, &c->d->retired, s->scratch);
    else if (s->scratch)
        rt_free(c->d, s->scratch);
    s->scratch = p;
    s->scratch_bytes = bytes;
    s->pinned = false;
    return true;
}

static void take_scratch(aot_call *c)
{
    uint64_t *w = c->slots + ABI_GRID_SLOTS;
    for (int64_t i = 0; i < c->in->nslots; i++) {
        const aot_slot *s = &c->in->slots[i];
        if (s->param < 0) {
            int64_t bytes = dt_bytes((dtype)s->dtype);
            for (int64_t d = 0; d < s->rank; d++)
                bytes *= (int64_t)w[1 + d];
            w[0] += (uint64_t)(uintptr_t)c->stream->scratch;
            if (s->zero && bytes)
                memset((void *)(uintptr_t)w[0], 0, (size_t)bytes);
        }
        w += words_of(s);
    }
}

static bool start(aot_call *c)
{
    rt_host host;
    str why = {0};
    rt_code code = {
        .cpu = {.info = {c->code->buffer_bytes, c->code->grain, c->code->ordered}, .entry = c->code->entry}};
    rt_start st = {.code = &code, .args = c->slots, .programs = c->programs, .stream = c->stream, .err = c->err};
    rt_host_init(&host, c->d);
    bool ok = rt_cpu_launch(c->d, &c->a, &st, &host, &why);
    if (host.fault[0] || (!ok && why.n)) {
        rt_fail(c->err, TILE_E_FAULT, "kernel '%.*s' faulted: %.*s", STR_ARG(c->k->name),
                STR_ARG(host.fault[0] ? str_of(host.fault) : why));
        ok = false;
    }
    rt_host_fini(&host);
    return ok;
}

/* ---- capture: a copy of the call as it is settled, for the caller's arguments may be gone ---- */

static bool run(aot_call *c);

static void run_again(void *ctx)
{
    aot_call *c = ctx;
    c->slots = arena_copy(&c->a, c->slots, (size_t)c->in->nwords * sizeof *c->slots, 8); /* scratch goes into them */
    c->ok = run(c);
}

static bool again(void *ctx, tile_stream *s, tile_error *err)
{
    _Alignas(16) char room[RT_CALL_ROOM];
    aot_call c = *(const aot_call *)ctx;
    c.stream = s;
    c.err = err;
    arena_init_on(&c.a, room, sizeof room);
    if (!arena_try(&c.a, run_again, &c)) {
        c.ok = false;
        rt_fail_memory(err, "kernel", c.k->name);
    }
    arena_fini(&c.a);
    return c.ok;
}

static void note(const aot_call *c, tile_graph *g)
{
    aot_call *n = ARENA_NEW(&g->a, aot_call);
    size_t results = (size_t)(c->in->host ? c->in->host->nresults : 0) + 4;
    *n = *c;
    n->slots = arena_copy(&g->a, c->slots, (size_t)c->in->nwords * sizeof *c->slots, 8);
    n->results = arena_copy(&g->a, c->results, results * sizeof *c->results, 8);
    rt_note(g, again, n);
}

typedef struct run_job {
    aot_call *c;
    int64_t total;
    bool ok;
} run_job;

static void run_locked(void *ctx)
{
    run_job *j = ctx;
    aot_call *c = j->c;
    tile_graph *g = c->stream->capture;
    c->d->a.oom = c->a.oom;
    if (g)
        g->a.oom = c->a.oom;
    if (!reserve_scratch(c, j->total))
        return;
    j->ok = true;
    if (g && !c->prepare)
        note(c, g);
    if (g || c->prepare)
        return;
    take_scratch(c);
    j->ok = start(c);
}

static bool run(aot_call *c)
{
    run_job j = {.c = c};
    if (!place_scratch(c, &j.total))
        return false;
    pthread_mutex_lock(&c->d->lock);
    bool done = arena_try(&c->a, run_locked, &j);
    c->d->a.oom = NULL;
    if (c->stream->capture)
        c->stream->capture->a.oom = NULL;
    pthread_mutex_unlock(&c->d->lock);
    if (!done)
        arena_raise(&c->a);
    return j.ok;
}

static void launch(void *ctx)
{
    aot_call *c = ctx;
    c->ok = same_kernel(c) && check(c) && find_instance(c) && run_host(c);
    if (c->ok && c->programs > 0)
        c->ok = check_overlap(c) && pick(c) && run(c);
}

/* ---- the process's own device ---- */

static struct {
    pthread_once_t once;
    tile_device *device;
    tile_error err;
} own = {.once = PTHREAD_ONCE_INIT};

static void open_own(void)
{
    own.device = tile_device_open("cpu", &own.err);
}

static tile_stream *own_stream(tile_error *err)
{
    pthread_once(&own.once, open_own);
    if (own.device)
        return &own.device->own;
    *err = own.err;
    return NULL;
}

bool aot_is_ours(const aot_kernel *k)
{
    return k->version == AOT_VERSION && k->tables == AOT_TABLES;
}

int aot_launch(const aot_start *s)
{
    tile_error dropped;
    _Alignas(16) char room[RT_CALL_ROOM];
    aot_call c = {.k = s->k,
                  .first = s->first,
                  .last = s->last,
                  .grid = s->grid,
                  .words = s->words,
                  .args = s->args,
                  .nargs = s->nargs,
                  .prepare = s->prepare,
                  .err = s->err ? s->err : &dropped};
    rt_clear(c.err);
    if (!aot_is_ours(c.k))
        return rt_fail(c.err, TILE_E_DEVICE, "kernel '%.*s' was built by another version of tilec than this library's",
                       STR_ARG(c.k->name));
    c.stream = s->stream ? s->stream : s->dev ? &s->dev->own : own_stream(c.err);
    if (!c.stream)
        return c.err->code;
    c.d = c.stream->dev;
    if (c.d->driver != &rt_driver_cpu)
        return rt_fail(c.err, TILE_E_ARGUMENT, "kernel '%.*s' was built for the cpu, its stream is of device '%s'",
                       STR_ARG(c.k->name), c.d->name);
    arena_init_on(&c.a, room, sizeof room);
    if (!arena_try(&c.a, launch, &c)) {
        c.ok = false;
        rt_fail_memory(c.err, "kernel", c.k->name);
    }
    arena_fini(&c.a);
    return c.ok ? TILE_OK : c.err->code;
}

int tile_aot_launch_2(const aot_kernel *k, const aot_instance *const *first, const aot_instance *const *last,
                      tile_stream *stream, const int64_t *grid, const uint64_t *args, tile_error *err)
{
    return aot_launch(
        &(aot_start){.k = k, .first = first, .last = last, .stream = stream, .grid = grid, .words = args, .err = err});
}
