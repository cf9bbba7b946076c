/* device_cpu.c: this machine's cores: machine code from the CPU back end, run by a thread pool.
 *
 * A launch hands out the grid's programs in ascending order, `grain` a claim (one a claim where programs may wait for
 * each other). Every worker has a buffer of its own for the tiles that don't fit registers, grown to the largest kernel
 * so far.
 */
#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>

typedef struct cpu_state {
    pool *workers;
    int nthreads;
    abi_thread *threads;
} cpu_state;

typedef struct cpu_job {
    const cpu_kernel *k;
    const uint64_t *args;
    abi_thread *threads;
    abi_host *host;
} cpu_job;

/* as the name of the device says, else TILE_NUM_THREADS, else 0: as many as the process may run on */
static int threads_wanted(const tile_device *d, str *err)
{
    const char *text = getenv("TILE_NUM_THREADS");
    char *end;
    if (d->number || !text || !*text)
        return d->number;
    long n = strtol(text, &end, 10);
    if (*end == 0 && n >= 1 && n <= POOL_MAX_THREADS)
        return (int)n;
    *err = S("TILE_NUM_THREADS is no number of threads (1 to 4096)");
    return -1;
}

static bool cpu_open(tile_device *d, arena *a, str *err)
{
    int threads = threads_wanted(d, err);
    (void)a;
    if (threads < 0)
        return false;
    cpu_state *s = calloc(1, sizeof *s);
    *err = S("out of memory");
    if (!s)
        return false;
    s->workers = pool_new(threads);
    s->nthreads = s->workers ? pool_threads(s->workers) : 0;
    s->threads = calloc((size_t)s->nthreads + 1, sizeof *s->threads);
    d->state = s;
    d->threads = s->nthreads;
    if (s->workers && s->threads)
        return true;
    if (!s->workers)
        *err = S("threads cannot be had");
    else
        pool_free(s->workers);
    free(s->threads);
    free(s);
    return false;
}

static void cpu_close(tile_device *d)
{
    cpu_state *s = d->state;
    pool_free(s->workers);
    for (int i = 0; i < s->nthreads; i++)
        free(s->threads[i].buffer);
    free(s->threads);
    free(s);
}

static int64_t cpu_resident(const tile_device *d, const ir_func *k, const rt_code *code)
{
    (void)code;
    const cpu_state *s = d->state;
    return k->cooperative ? s->nthreads : INT32_MAX;
}

/* An entry of the disk cache: [sizeof(cpu_info)] [cpu_info] [object]. One that can't be loaded is as good as none. */
static bool cpu_recall(tile_device *d, arena *a, const cache_key *key, rt_code *out)
{
    str entry, why;
    uint64_t size;
    cpu_info info;
    (void)d;
    if (!cache_get(a, cache_folder(a), *key, &entry) || entry.n < sizeof size + sizeof info)
        return false;
    memcpy(&size, entry.p, sizeof size);
    memcpy(&info, entry.p + sizeof size, sizeof info);
    str object = {entry.p + sizeof size + sizeof info, entry.n - sizeof size - sizeof info};
    return size == sizeof info && cpu_load(a, object, &info, &out->cpu, &why);
}

static void keep(arena *a, const cache_key *key, str object, const cpu_info *info)
{
    strbuf b;
    uint64_t size = sizeof *info;
    str folder = cache_folder(a);
    if (!key || !folder.n)
        return;
    sb_init(&b, a);
    sb_put(&b, (str){(const char *)&size, sizeof size});
    sb_put(&b, (str){(const char *)info, sizeof *info});
    sb_put(&b, object);
    cache_put(a, folder, *key, sb_str(&b));
}

static bool cpu_build(tile_device *d, arena *a, const ir_module *m, const ir_func *k, const cache_key *key,
                      rt_code *out, diags *ds)
{
    str object, why;
    cpu_info info;
    if (!cpu_object(a, m, k, d->target.opt_level, &object, &info, ds))
        return false;
    keep(a, key, object, &info);
    if (cpu_load(a, object, &info, &out->cpu, &why))
        return true;
    diag_report(ds, DIAG_ERROR, "jit", (span){0}, "kernel '%.*s' can't be loaded: %.*s", STR_ARG(k->name),
                STR_ARG(why));
    return false;
}

static void cpu_drop(tile_device *d, rt_code *c)
{
    (void)d;
    cpu_kernel_free(&c->cpu);
}

static bool reserve_buffers(cpu_state *s, int64_t bytes, abi_host *host)
{
    for (int i = 0; i < s->nthreads; i++) {
        abi_thread *t = &s->threads[i];
        t->host = host;
        if (t->buffer_bytes >= bytes)
            continue;
        void *p = NULL;
        if (posix_memalign(&p, 4096, ((size_t)bytes + 4095) / 4096 * 4096) != 0)
            return false;
        free(t->buffer);
        t->buffer = p;
        t->buffer_bytes = bytes;
    }
    return true;
}

static void run_programs(void *ctx, int64_t first, int64_t last, int thread)
{
    cpu_job *j = ctx;
    if (!j->host->stopped)
        j->k->entry(j->args, first, last, &j->threads[thread]);
}

static void cpu_hold(tile_device *d, bool on)
{
    cpu_state *s = d->state;
    pool_hold(s->workers, on);
}

static bool cpu_launch(tile_device *d, arena *a, const rt_start *st, rt_host *h, str *err)
{
    cpu_state *s = d->state;
    const cpu_kernel *k = &st->code->cpu;
    if (!reserve_buffers(s, k->info.buffer_bytes, &h->abi)) {
        *err = str_fmt(a, "no memory for %lld bytes of tiles a thread", (long long)k->info.buffer_bytes);
        return false;
    }
    cpu_job job = {.k = k, .args = st->args, .threads = s->threads, .host = &h->abi};
    pool_run(s->workers, run_programs, &job, st->programs, k->info.ordered || k->info.grain < 1 ? 1 : k->info.grain);
    return true;
}

const rt_driver rt_driver_cpu = {
    .name = "cpu",
    .doc = "this machine's cores",
    .target = "cpu",
    .lazy = true,
    .threaded = true,
    .hold = cpu_hold,
    .open = cpu_open,
    .close = cpu_close,
    .resident = cpu_resident,
    .recall = cpu_recall,
    .build = cpu_build,
    .drop = cpu_drop,
    .launch = cpu_launch,
};
