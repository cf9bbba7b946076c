/* device_cpu.c: this machine's cores: machine code run by a thread pool. Where the code comes from is in cpu_code.c.
 *
 * A launch gives each thread a part of the grid's programs, `grain` a claim; where programs may wait for each other
 * they are handed out one by one, in ascending order. Every worker has a buffer of its own for the tiles that don't fit
 * registers, grown to the largest kernel so far.
 */
#include "runtime/aot.h"
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

bool rt_cpu_open(tile_device *d, arena *a, str *err)
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
    d->features = aot_features();
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

void rt_cpu_close(tile_device *d)
{
    cpu_state *s = d->state;
    pool_free(s->workers);
    for (int i = 0; i < s->nthreads; i++)
        free(s->threads[i].buffer);
    free(s->threads);
    free(s);
}

int64_t rt_cpu_holds(const tile_device *d, bool cooperative)
{
    const cpu_state *s = d->state;
    return cooperative ? s->nthreads : INT32_MAX;
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

void rt_cpu_hold(tile_device *d, bool on)
{
    cpu_state *s = d->state;
    pool_hold(s->workers, on);
}

/* as many as leave 64 claims a thread to level out */
static int64_t claim_of(const cpu_state *s, const cpu_kernel *k, int64_t programs)
{
    int64_t share = programs / (64 * (int64_t)(s->nthreads < 1 ? 1 : s->nthreads));
    if (k->info.ordered)
        return 1;
    return share > k->info.grain ? share : k->info.grain < 1 ? 1 : k->info.grain;
}

static bool reserve(tile_device *d, arena *a, const rt_start *st, rt_host *h, str *err)
{
    const cpu_kernel *k = &st->code->cpu;
    if (reserve_buffers(d->state, k->info.buffer_bytes, &h->abi))
        return true;
    *err = str_fmt(a, "no memory for %lld bytes of tiles a thread", (long long)k->info.buffer_bytes);
    return false;
}

/* no programs: what the launch's programs share is asked for all the same */
bool rt_cpu_reserve(tile_device *d, arena *a, const rt_start *st, rt_host *h, str *err)
{
    cpu_state *s = d->state;
    if (!reserve(d, a, st, h, err))
        return false;
    st->code->cpu.entry(st->args, 0, 0, &s->threads[0]);
    return true;
}

bool rt_cpu_launch(tile_device *d, arena *a, const rt_start *st, rt_host *h, str *err)
{
    cpu_state *s = d->state;
    const cpu_kernel *k = &st->code->cpu;
    if (!reserve(d, a, st, h, err))
        return false;
    cpu_job job = {.k = k, .args = st->args, .threads = s->threads, .host = &h->abi};
    (k->info.ordered ? pool_run : pool_share)(s->workers, run_programs, &job, st->programs,
                                              claim_of(s, k, st->programs));
    return true;
}
