/* device_cuda.c: NVIDIA GPUs: the row of the device table. Memory, streams, events, graphs, launches.
 *
 * Streams are made as blocking ones, so that the driver's own null stream, which tile_write and tile_read use, comes
 * after all that was put on any of them. The device's own stream is one of these too, for the null stream can't be
 * captured.
 *
 * A launch passes each 64-bit slot of compiler/abi.h as a parameter, then the tensor maps by value. The grid is given
 * in programs; a cluster runs one program, so its blocks multiply the first extent.
 *
 * Faults of kernels come back from whatever call follows; cuda_api.c keeps them.
 */
#include "runtime/cuda.h"

#include "runtime/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static bool said(cuda_device *c, arena *a, cu_result r, const char *what, str *why)
{
    char words[256];
    if (r != 0)
        *why = str_fmt(a, "%s: %s", what, cuda_words(&c->api, r, words, sizeof words));
    return r == 0;
}

static bool find_device(cuda_device *c, int number, arena *a, str *why)
{
    int n = 0;
    cu_result r = c->api.cuInit(0);
    if (r == CU_NO_DEVICE || (r == 0 && c->api.cuDeviceGetCount(&n) == 0 && n == 0)) {
        *why = S("the driver is there, but finds no device");
        return false;
    }
    if (!said(c, a, r, "cuInit", why))
        return false;
    c->api.cuDriverGetVersion(&c->version);
    if (c->version < CUDA_VERSION_NEEDED) {
        *why = str_fmt(a, "the driver is too old: it is for CUDA %d.%d, %d.%d or later is needed", c->version / 1000,
                       c->version % 1000 / 10, CUDA_VERSION_NEEDED / 1000, CUDA_VERSION_NEEDED % 1000 / 10);
        return false;
    }
    if (number >= n) {
        *why =
            n == 1 ? S("there is 1 device, cuda:0") : str_fmt(a, "there are %d devices, cuda:0 to cuda:%d", n, n - 1);
        return false;
    }
    return said(c, a, c->api.cuDeviceGet(&c->dev, number), "cuDeviceGet", why);
}

static int limit(cuda_device *c, int which)
{
    int x = 0;
    return c->api.cuDeviceGetAttribute(&x, which, c->dev) == 0 ? x : 0;
}

static void read_limits(cuda_device *c)
{
    c->api.cuDeviceGetName(c->name, sizeof c->name, c->dev);
    c->name[sizeof c->name - 1] = 0;
    c->capability = limit(c, CU_DEV_MAJOR) * 10 + limit(c, CU_DEV_MINOR);
    c->multiprocessors = limit(c, CU_DEV_SM_COUNT);
    c->max_threads = limit(c, CU_DEV_THREADS_PER_BLOCK);
    c->max_grid_y = limit(c, CU_DEV_GRID_Y);
    c->max_grid_z = limit(c, CU_DEV_GRID_Z);
    c->regs_per_block = limit(c, CU_DEV_REGS_PER_BLOCK);
    c->shared_per_block = limit(c, CU_DEV_SHARED_PER_BLOCK);
}

/* "sm_90a" -> 90, *exact set */
static int chip_number(const char *chip, bool *exact)
{
    char *end;
    long n = strncmp(chip, "sm_", 3) == 0 ? strtol(chip + 3, &end, 10) : 0;
    *exact = n && *end != 0;
    return (int)n;
}

/* the chip to compile for: the device's own, else the newest older one whose code later chips run as well */
static void choose_chip(tile_device *d, cuda_device *c)
{
    backend_target any;
    const tile_backend *b = backend_find(S("cuda"), &any, &d->a);
    const char *best = NULL;
    bool best_exact = false;
    int best_number = 0;
    for (uint32_t i = 0; b && i < b->nchips; i++) {
        bool exact;
        int n = chip_number(b->chips[i], &exact);
        if (exact ? n != c->capability : n > c->capability)
            continue;
        if (n > best_number || (n == best_number && exact)) {
            best = b->chips[i];
            best_exact = exact;
            best_number = n;
        }
    }
    snprintf(c->arch, sizeof c->arch, "sm_%d%s", c->capability, best_exact ? "a" : "");
    if (best)
        d->backend = backend_find(str_fmt(&d->a, "cuda:%s", best), &d->target, &d->a);
}

static bool own_stream(tile_device *d, cuda_device *c, arena *a, str *why)
{
    cu_context dropped;
    cu_stream s = NULL;
    cu_result r = c->api.cuDevicePrimaryCtxRetain(&c->ctx, c->dev);
    if (!said(c, a, r, "cuDevicePrimaryCtxRetain", why)) {
        if (cuda_stays(r)) /* the driver keeps a fault for the life of the process */
            *why = str_fmt(a, "%.*s; where a kernel of this process has faulted, only a new process can use the device",
                           STR_ARG(*why));
        return false;
    }
    bool ok = said(c, a, c->api.cuCtxPushCurrent(c->ctx), "cuCtxPushCurrent", why);
    if (ok) {
        ok = said(c, a, c->api.cuStreamCreate(&s, 0), "cuStreamCreate", why);
        c->api.cuCtxPopCurrent(&dropped);
    }
    d->own.handle = s;
    if (!ok)
        c->api.cuDevicePrimaryCtxRelease(c->dev);
    return ok;
}

static bool cuda_open(tile_device *d, arena *a, str *err)
{
    cuda_device *c = calloc(1, sizeof *c);
    *err = S("out of memory");
    if (!c)
        return false;
    arena_init(&c->a, 0);
    if (cuda_api_open(&c->api, a, err) && find_device(c, d->number, a, err)) {
        read_limits(c);
        choose_chip(d, c);
        c->ptxas = cuda_find_ptxas(&c->a);
        c->cache = cache_folder(&c->a);
        d->state = c;
        if (own_stream(d, c, a, err))
            return true;
    }
    cuda_api_close(&c->api);
    arena_fini(&c->a);
    free(c);
    return false;
}

static void cuda_close(tile_device *d)
{
    cuda_device *c = d->state;
    c->api.cuDevicePrimaryCtxRelease(c->dev);
    cuda_api_close(&c->api);
    arena_fini(&c->a);
    free(c);
}

/* ---- memory ---- */

static bool not_captured(const cuda_device *c, const char *what, tile_error *err)
{
    if (c->captures)
        rt_fail(err, TILE_E_ARGUMENT, "%s while a stream of the device is being captured", what);
    return c->captures == 0;
}

static bool done(cuda_device *c, cu_result r, const char *what, tile_error *err)
{
    bool ok = cuda_ok(c, r, what, err);
    cuda_leave(c);
    return ok;
}

static void *cuda_alloc(tile_device *d, int64_t bytes, tile_error *err)
{
    cuda_device *c = d->state;
    cu_address p = 0;
    if (!cuda_enter(c, err))
        return NULL;
    cu_result r = c->api.cuMemAlloc(&p, (size_t)bytes);
    if (r == CU_OUT_OF_MEMORY) {
        size_t free_bytes = 0, all = 0;
        c->api.cuMemGetInfo(&free_bytes, &all);
        rt_fail(err, TILE_E_MEMORY, "no memory for %lld bytes on device '%s' (%s): %zu of its %zu bytes are free",
                (long long)bytes, d->name, c->name, free_bytes, all);
        cuda_leave(c);
        return NULL;
    }
    return done(c, r, "cuMemAlloc", err) ? (void *)(uintptr_t)p : NULL;
}

/* letting go is tried on a broken device too, and what the driver says of it is of no use */
static bool enter_to_free(cuda_device *c)
{
    return c->api.cuCtxPushCurrent(c->ctx) == 0;
}

static void cuda_free(tile_device *d, void *p)
{
    cuda_device *c = d->state;
    if (!enter_to_free(c))
        return;
    c->api.cuMemFree((cu_address)(uintptr_t)p);
    cuda_leave(c);
}

static bool cuda_write(tile_device *d, void *to, const void *from, int64_t bytes, tile_error *err)
{
    cuda_device *c = d->state;
    return not_captured(c, "a copy from the host", err) && cuda_enter(c, err) &&
           done(c, c->api.cuMemcpyHtoD((cu_address)(uintptr_t)to, from, (size_t)bytes), "cuMemcpyHtoD", err);
}

static bool cuda_read(tile_device *d, void *to, const void *from, int64_t bytes, tile_error *err)
{
    cuda_device *c = d->state;
    if (!not_captured(c, "a copy to the host", err) || !cuda_enter(c, err))
        return false;
    bool ok = done(c, c->api.cuMemcpyDtoH(to, (cu_address)(uintptr_t)from, (size_t)bytes), "cuMemcpyDtoH", err);
    c->launches = ok && !c->foreign ? 0 : c->launches;
    return ok;
}

static bool cuda_copy(tile_device *d, tile_stream *s, void *to, const void *from, int64_t bytes, tile_error *err)
{
    cuda_device *c = d->state;
    return cuda_enter(c, err) &&
           done(c,
                c->api.cuMemcpyAsync((cu_address)(uintptr_t)to, (cu_address)(uintptr_t)from, (size_t)bytes, s->handle),
                "cuMemcpyAsync", err);
}

static bool cuda_fill(tile_device *d, tile_stream *s, void *to, uint8_t byte, int64_t bytes, tile_error *err)
{
    cuda_device *c = d->state;
    return cuda_enter(c, err) &&
           done(c, c->api.cuMemsetD8Async((cu_address)(uintptr_t)to, byte, (size_t)bytes, s->handle), "cuMemsetD8Async",
                err);
}

/* ---- streams and events ---- */

static bool cuda_stream_open(tile_device *d, tile_stream *s, tile_error *err)
{
    cuda_device *c = d->state;
    return cuda_enter(c, err) && done(c, c->api.cuStreamCreate(&s->handle, 0), "cuStreamCreate", err);
}

static void cuda_stream_close(tile_device *d, tile_stream *s)
{
    cuda_device *c = d->state;
    if (!s->handle || !enter_to_free(c))
        return;
    c->api.cuStreamDestroy(s->handle);
    cuda_leave(c);
}

static bool cuda_sync(tile_device *d, tile_stream *s, tile_error *err)
{
    cuda_device *c = d->state;
    if ((!s && !not_captured(c, "a wait for the device", err)) || !cuda_enter(c, err))
        return false;
    if (s)
        return done(c, c->api.cuStreamSynchronize(s->handle), "cuStreamSynchronize", err);
    bool ok = done(c, c->api.cuCtxSynchronize(), "cuCtxSynchronize", err);
    if (ok) {
        c->launches = 0;
        c->foreign = false;
    }
    return ok;
}

static bool cuda_event_open(tile_device *d, tile_event *e, tile_error *err)
{
    cuda_device *c = d->state;
    return cuda_enter(c, err) && done(c, c->api.cuEventCreate(&e->handle, 0), "cuEventCreate", err);
}

static void cuda_event_close(tile_device *d, tile_event *e)
{
    cuda_device *c = d->state;
    if (!e->handle || !enter_to_free(c))
        return;
    c->api.cuEventDestroy(e->handle);
    cuda_leave(c);
}

static bool cuda_record(tile_device *d, tile_event *e, tile_stream *s, tile_error *err)
{
    cuda_device *c = d->state;
    return cuda_enter(c, err) && done(c, c->api.cuEventRecord(e->handle, s->handle), "cuEventRecord", err);
}

static bool cuda_event_sync(tile_device *d, tile_event *e, tile_error *err)
{
    cuda_device *c = d->state;
    return cuda_enter(c, err) && done(c, c->api.cuEventSynchronize(e->handle), "cuEventSynchronize", err);
}

static bool cuda_elapsed(tile_device *d, tile_event *from, tile_event *to, double *seconds, tile_error *err)
{
    cuda_device *c = d->state;
    float ms = 0;
    bool ok = cuda_enter(c, err) &&
              done(c, c->api.cuEventElapsedTime(&ms, from->handle, to->handle), "cuEventElapsedTime", err);
    *seconds = (double)ms * 1e-3;
    return ok;
}

static bool cuda_wait(tile_device *d, tile_stream *s, tile_event *e, tile_error *err)
{
    cuda_device *c = d->state;
    return cuda_enter(c, err) && done(c, c->api.cuStreamWaitEvent(s->handle, e->handle, 0), "cuStreamWaitEvent", err);
}

/* ---- graphs ---- */

static bool cuda_capture(tile_device *d, tile_stream *s, tile_error *err)
{
    cuda_device *c = d->state;
    bool ok = cuda_enter(c, err) &&
              done(c, c->api.cuStreamBeginCapture(s->handle, CU_CAPTURE_RELAXED), "cuStreamBeginCapture", err);
    c->captures += ok;
    return ok;
}

static bool cuda_captured(tile_device *d, tile_stream *s, tile_graph *g, tile_error *err)
{
    cuda_device *c = d->state;
    c->captures--;
    if (!cuda_enter(c, err))
        return false;
    bool ok = cuda_ok(c, c->api.cuStreamEndCapture(s->handle, &g->graph), "cuStreamEndCapture", err) &&
              cuda_ok(c, c->api.cuGraphInstantiateWithFlags(&g->exec, g->graph, 0), "cuGraphInstantiateWithFlags", err);
    cuda_leave(c);
    return ok;
}

static bool cuda_replay(tile_device *d, tile_graph *g, tile_stream *s, tile_error *err)
{
    cuda_device *c = d->state;
    if (!cuda_enter(c, err))
        return false;
    c->launches++;
    c->foreign |= s->foreign;
    snprintf(c->last, sizeof c->last, "of a graph");
    return done(c, c->api.cuGraphLaunch(g->exec, s->handle), "cuGraphLaunch", err);
}

static void cuda_graph_close(tile_device *d, tile_graph *g)
{
    cuda_device *c = d->state;
    if (!enter_to_free(c))
        return;
    if (g->exec)
        c->api.cuGraphExecDestroy(g->exec);
    if (g->graph)
        c->api.cuGraphDestroy(g->graph);
    cuda_leave(c);
    g->exec = g->graph = NULL;
}

/* ---- kernels ---- */

static bool cuda_build(tile_device *d, arena *a, const ir_module *m, const ir_func *k, const cache_key *key,
                       rt_code *out, diags *ds)
{
    cuda_device *c = d->state;
    gpu_code code = {0};
    tile_error err = {0};
    (void)key; /* cubins are kept by the text of their PTX */
    if (!gpu_compile(a, m, k, &d->target, &code, ds))
        return false;
    pthread_mutex_lock(&d->lock);
    if (cuda_enter(c, &err)) {
        out->cuda = cuda_load(c, k, &code, ds);
        cuda_leave(c);
    } else {
        diag_report(ds, DIAG_ERROR, "device", (span){0}, "%s", err.text);
    }
    pthread_mutex_unlock(&d->lock);
    return out->cuda != NULL;
}

static void cuda_drop(tile_device *d, rt_code *code)
{
    cuda_device *c = d->state;
    tile_error dropped;
    pthread_mutex_lock(&d->lock);
    bool entered = enter_to_free(c);
    if (entered && !c->captures && c->broken == TILE_OK) /* what was launched may still run */
        (void)cuda_ok(c, c->api.cuCtxSynchronize(), "cuCtxSynchronize", &dropped);
    cuda_unload(c, code->cuda);
    if (entered)
        cuda_leave(c);
    pthread_mutex_unlock(&d->lock);
}

static int64_t cuda_resident(const tile_device *d, const ir_func *k, const rt_code *code)
{
    const cuda_device *c = d->state;
    int64_t ctas = k->num_ctas > 1 ? k->num_ctas : 1;
    int64_t guess = c->multiprocessors / ctas;
    return code ? code->cuda->resident : guess > 0 ? guess : 1;
}

static bool cuda_stats(const rt_code *code, tile_kernel_stats *out)
{
    *out = code->cuda->stats;
    return true;
}

static bool fits_grid(cuda_device *c, const struct cuda_kernel *k, const uint64_t *grid, tile_error *err)
{
    const uint64_t most[3] = {INT32_MAX / (uint64_t)k->stats.cluster, (uint64_t)c->max_grid_y, (uint64_t)c->max_grid_z};
    for (int i = 0; i < 3; i++)
        if (grid[i] > most[i]) {
            rt_fail(err, TILE_E_ARGUMENT, "grid of kernel '%.*s': extent %d is %llu, the device takes %llu at most",
                    STR_ARG(k->name), i, (unsigned long long)grid[i], (unsigned long long)most[i]);
            return false;
        }
    return true;
}

static bool refused(cuda_device *c, const struct cuda_kernel *k, cu_result r, tile_error *err)
{
    const tile_kernel_stats *s = &k->stats;
    char words[256];
    if (r != CU_NO_ROOM)
        return cuda_ok(c, r, "cuLaunchKernelEx", err);
    rt_fail(err, TILE_E_DEVICE,
            "the device has no room for kernel '%.*s': %d threads of %d registers and %lld bytes of shared memory a "
            "block, of %lld registers and %lld bytes (%s)",
            STR_ARG(k->name), s->threads, s->registers, (long long)s->shared_bytes, (long long)c->regs_per_block,
            (long long)c->shared_per_block, cuda_words(&c->api, r, words, sizeof words));
    return false;
}

/* args: the slots, grid first. Within cuda_enter */
bool cuda_start(cuda_device *c, cu_stream stream, struct cuda_kernel *k, const uint64_t *args, bool cooperative,
                tile_error *err)
{
    cu_attribute at[3];
    unsigned n = 0;
    const gpu_code *code = &k->code;
    if (!fits_grid(c, k, args, err))
        return false;
    for (uint32_t i = 0; i < code->nslots; i++)
        k->params[i] = (void *)(uintptr_t)&args[i];
    for (uint32_t i = 0; i < code->nmaps; i++) {
        const cu_map *m = cuda_map_for(c, k, i, args + k->map_slot[i], err);
        if (!m)
            return false;
        k->params[code->nslots + i] = (void *)(uintptr_t)m;
    }
    memset(at, 0, sizeof at);
    if (k->stats.cluster > 1) {
        at[n].value.cluster.x = (unsigned)k->stats.cluster;
        at[n].value.cluster.y = at[n].value.cluster.z = 1;
        at[n++].id = CU_LAUNCH_CLUSTER;
    }
    if (code->dependent) {
        at[n].value.on = 1;
        at[n++].id = CU_LAUNCH_DEPENDENT;
    }
    if (cooperative) {
        at[n].value.on = 1;
        at[n++].id = CU_LAUNCH_COOPERATIVE;
    }
    cu_config cf = {.grid = {(unsigned)args[0] * (unsigned)k->stats.cluster, (unsigned)args[1], (unsigned)args[2]},
                    .block = {(unsigned)k->stats.threads, 1, 1},
                    .shared = (unsigned)code->shared_bytes,
                    .stream = stream,
                    .attributes = n ? at : NULL,
                    .nattributes = n};
    cu_result r = c->api.cuLaunchKernelEx(&cf, k->fn, k->params, NULL);
    if (r != 0)
        return refused(c, k, r, err);
    c->launches++;
    size_t name = k->name.n < sizeof c->last - 1 ? k->name.n : sizeof c->last - 1;
    memcpy(c->last, k->name.p, name);
    c->last[name] = 0;
    return true;
}

static bool cuda_launch(tile_device *d, arena *a, const rt_start *st, rt_host *h, str *err)
{
    cuda_device *c = d->state;
    (void)a;
    (void)h;
    *err = (str){0};
    if (!cuda_enter(c, st->err))
        return false;
    c->foreign |= st->stream->foreign;
    bool ok = cuda_start(c, st->stream->handle, st->code->cuda, st->args, st->f->cooperative, st->err);
    cuda_leave(c);
    return ok;
}

static const rt_queue cuda_queue = {
    .alloc = cuda_alloc,
    .free = cuda_free,
    .write = cuda_write,
    .read = cuda_read,
    .copy = cuda_copy,
    .fill = cuda_fill,
    .stream_open = cuda_stream_open,
    .stream_close = cuda_stream_close,
    .sync = cuda_sync,
    .event_open = cuda_event_open,
    .event_close = cuda_event_close,
    .record = cuda_record,
    .event_sync = cuda_event_sync,
    .elapsed = cuda_elapsed,
    .wait = cuda_wait,
    .capture = cuda_capture,
    .captured = cuda_captured,
    .replay = cuda_replay,
    .graph_close = cuda_graph_close,
};

const rt_driver rt_driver_cuda = {
    .name = "cuda",
    .doc = "NVIDIA GPU number N, through its driver",
    .numbered = true,
    .queue = &cuda_queue,
    .open = cuda_open,
    .close = cuda_close,
    .resident = cuda_resident,
    .stats = cuda_stats,
    .build = cuda_build,
    .drop = cuda_drop,
    .launch = cuda_launch,
};
