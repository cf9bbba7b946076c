/* prepare.c: many launches prepared at once, compiled in parallel; and who is told that something is compiled.
 *
 * What runs in parallel is what costs: passes, code, the assembler. The front end of a module has one lock, so its
 * kernels are lowered one after the other (a quarter of a millisecond each); their variants are then made side by side,
 * one a thread (variant.c). A launch that two entries of a list ask for is compiled once: the other waits for it.
 */
#include "runtime/aot.h"
#include "runtime/runtime.h"

#define MAX_THREADS 16
#define GPU_THREADS 4 /* of a device that has none of its own */

typedef struct each_job {
    rt_each *f;
    void *ctx;
    uint32_t n;
    _Atomic uint32_t next;
} each_job;

static void *run_some(void *ctx)
{
    each_job *j = ctx;
    for (uint32_t i; (i = j->next++) < j->n;)
        j->f(j->ctx, i);
    return NULL;
}

void rt_in_threads(uint32_t want, uint32_t n, rt_each *f, void *ctx)
{
    pthread_t ids[MAX_THREADS];
    each_job j = {f, ctx, n, 0};
    uint32_t made = 0;
    want = want < n ? want : n;
    want = want < MAX_THREADS ? want : MAX_THREADS;
    while (made + 1 < want && pthread_create(&ids[made], NULL, run_some, &j) == 0)
        made++;
    run_some(&j);
    for (uint32_t i = 0; i < made; i++)
        pthread_join(ids[i], NULL);
}

void rt_in_parallel(const tile_device *d, uint32_t n, rt_each *f, void *ctx)
{
    rt_in_threads(d->threads > 0 ? (uint32_t)d->threads : GPU_THREADS, n, f, ctx);
}

typedef struct many {
    const tile_request *list;
    uint32_t n, done;
    int64_t failed; /* index of the first that did, n: none */
    pthread_mutex_t lock;
    tile_progress_fn *progress;
    void *ctx;
    tile_error *err;
} many;

static void prepare_one(void *ctx, uint32_t i)
{
    many *m = ctx;
    const tile_request *q = &m->list[i];
    tile_error err;
    int code = tile_prepare(q->kernel, q->stream, q->grid, q->args, q->nargs, &err);
    pthread_mutex_lock(&m->lock);
    if (code != TILE_OK && i < m->failed) {
        m->failed = i;
        *m->err = err;
    }
    m->done++;
    if (m->progress)
        m->progress(m->ctx, "preparing", (int32_t)m->done, (int32_t)m->n);
    pthread_mutex_unlock(&m->lock);
}

int tile_prepare_many(const tile_request *list, int32_t n, tile_progress_fn *progress, void *ctx, tile_error *err)
{
    tile_error dropped;
    many m = {.list = list, .progress = progress, .ctx = ctx, .err = err ? err : &dropped};
    rt_clear(m.err);
    if (n <= 0)
        return TILE_OK;
    m.failed = m.n = (uint32_t)n;
    pthread_mutex_init(&m.lock, NULL);
    const tile_kernel *k = list[0].kernel;
    rt_in_parallel(k->linked ? aot_kernel_device(k) : k->m->dev, m.n, prepare_one, &m);
    pthread_mutex_destroy(&m.lock);
    return m.err->code;
}

/* ---- who is told ---- */

void tile_device_on_compile(tile_device *d, tile_progress_fn *fn, void *ctx)
{
    pthread_mutex_lock(&d->telling);
    d->on_compile = fn;
    d->compile_ctx = ctx;
    d->begun = d->done = 0;
    pthread_mutex_unlock(&d->telling);
}

typedef struct name_job {
    arena a;
    str name;
    const char *text;
} name_job;

static void make_name(void *ctx)
{
    name_job *j = ctx;
    j->text = str_cstr(&j->a, j->name);
}

void rt_tell_compile(tile_kernel *k, bool done)
{
    tile_device *d = k->m->dev;
    char room[256];
    name_job j = {.name = k->name, .text = "a kernel"};
    pthread_mutex_lock(&d->telling);
    if (done)
        d->done++;
    else
        d->begun++;
    if (d->on_compile) {
        arena_init_on(&j.a, room, sizeof room);
        (void)arena_try(&j.a, make_name, &j);
        d->on_compile(d->compile_ctx, j.text, d->done, d->begun);
        arena_fini(&j.a);
    }
    pthread_mutex_unlock(&d->telling);
}
