/* device_cpu.c: this machine's cores: machine code from the CPU back end, run by a thread pool.
 *
 * A launch hands out the grid's programs in ascending order, `grain` a claim (one a claim where programs may wait for
 * each other). Every worker has a buffer of its own for the tiles that don't fit registers, grown to the largest kernel
 * so far.
 */
#include "runtime/runtime.h"

#include <stdlib.h>

typedef struct cpu_state {
    cpu_jit *jit;
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

static bool cpu_open(tile_device *d, arena *a, str *err)
{
    cpu_state *s = calloc(1, sizeof *s);
    (void)a;
    *err = S("out of memory");
    if (!s)
        return false;
    s->workers = pool_new(0);
    s->nthreads = s->workers ? pool_threads(s->workers) : 0;
    s->threads = calloc((size_t)s->nthreads + 1, sizeof *s->threads);
    d->state = s;
    if (s->workers && s->threads && (s->jit = cpu_jit_new(err)))
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
    cpu_jit_free(s->jit);
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

static bool cpu_build(tile_device *d, arena *a, const ir_module *m, const ir_func *k, rt_code *out, diags *ds)
{
    cpu_state *s = d->state;
    return cpu_jit_compile(s->jit, a, m, k, d->target.opt_level, &out->cpu, ds);
}

static void cpu_drop(tile_device *d, rt_code *c)
{
    cpu_state *s = d->state;
    cpu_jit_release(s->jit, &c->cpu);
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

static bool cpu_launch(tile_device *d, arena *a, const rt_start *st, rt_host *h, str *err)
{
    cpu_state *s = d->state;
    const cpu_kernel *k = &st->code->cpu;
    if (!reserve_buffers(s, k->buffer_bytes, &h->abi)) {
        *err = str_fmt(a, "no memory for %lld bytes of tiles a thread", (long long)k->buffer_bytes);
        return false;
    }
    cpu_job job = {.k = k, .args = st->args, .threads = s->threads, .host = &h->abi};
    pool_run(s->workers, run_programs, &job, st->programs, k->ordered || k->grain < 1 ? 1 : k->grain);
    return true;
}

const rt_driver rt_driver_cpu = {
    .name = "cpu",
    .doc = "this machine's cores",
    .target = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .resident = cpu_resident,
    .build = cpu_build,
    .drop = cpu_drop,
    .launch = cpu_launch,
};
