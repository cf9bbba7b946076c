/* pool.c: workers that take spans of one job from a shared counter.
 *
 * A job is published by a sequence number. Workers spin on it for a while after finishing the one before (a launch
 * often follows a launch), then sleep on a condition variable. Spans come from an atomic counter, which makes the
 * order of starts ascending. The caller works as thread 0 and then waits until every worker has let go of the job,
 * so the job can live on its stack.
 */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SPINS = 4000 };

typedef struct job {
    pool_fn *fn;
    void *ctx;
    int64_t n, chunk;
} job;

struct pool {
    int threads; /* the caller included */
    pthread_t *ids;
    pthread_mutex_t callers; /* one pool_run at a time */
    pthread_mutex_t lock;    /* sleeping and waking */
    pthread_cond_t wake;
    job now;
    _Atomic int64_t next;    /* first index not handed out */
    _Atomic uint64_t seq;    /* number of the job published */
    _Atomic int busy;        /* workers not yet done with it */
    _Atomic bool quit;
};

typedef struct worker {
    pool *p;
    int thread;
} worker;

static void pause_cpu(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static void take_spans(pool *p, int thread)
{
    const job *j = &p->now;
    for (;;) {
        int64_t first = atomic_fetch_add_explicit(&p->next, j->chunk, memory_order_relaxed);
        if (first >= j->n)
            return;
        j->fn(j->ctx, first, j->n - first < j->chunk ? j->n : first + j->chunk, thread);
    }
}

static uint64_t await_job(pool *p, uint64_t seen)
{
    for (int i = 0; i < SPINS; i++) {
        uint64_t s = atomic_load_explicit(&p->seq, memory_order_acquire);
        if (s != seen)
            return s;
        pause_cpu();
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->seq, memory_order_acquire) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return atomic_load_explicit(&p->seq, memory_order_acquire);
}

static void *work(void *arg)
{
    worker w = *(worker *)arg;
    free(arg);
    for (uint64_t seen = 0;;) {
        seen = await_job(w.p, seen);
        if (atomic_load_explicit(&w.p->quit, memory_order_acquire))
            return NULL;
        take_spans(w.p, w.thread);
        atomic_fetch_sub_explicit(&w.p->busy, 1, memory_order_release);
    }
}

static void publish(pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->seq, 1, memory_order_release);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

static int available(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

static bool start_worker(pool *p, int thread)
{
    worker *w = malloc(sizeof *w);
    if (!w)
        return false;
    *w = (worker){p, thread};
    if (pthread_create(&p->ids[thread], NULL, work, w) == 0)
        return true;
    free(w);
    return false;
}

pool *pool_new(int threads)
{
    pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    threads = threads > 0 ? threads : available();
    p->ids = calloc((size_t)threads, sizeof *p->ids);
    pthread_mutex_init(&p->callers, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->threads = 1;
    for (int i = 1; p->ids && i < threads; i++, p->threads++)
        if (!start_worker(p, i)) {
            pool_free(p);
            return NULL;
        }
    if (p->ids)
        return p;
    pool_free(p);
    return NULL;
}

void pool_free(pool *p)
{
    if (!p)
        return;
    atomic_store_explicit(&p->quit, true, memory_order_release);
    publish(p);
    for (int i = 1; i < p->threads; i++)
        pthread_join(p->ids[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->callers);
    free(p->ids);
    free(p);
}

int pool_threads(const pool *p)
{
    return p->threads;
}

void pool_run(pool *p, pool_fn *fn, void *ctx, int64_t n, int64_t chunk)
{
    if (n <= 0)
        return;
    chunk = chunk > 0 ? chunk : 1;
    if (chunk > n)
        chunk = n;
    if (p->threads == 1 || chunk == n) {
        pthread_mutex_lock(&p->callers);
        for (int64_t i = 0; i < n; i += chunk)
            fn(ctx, i, n - i < chunk ? n : i + chunk, 0);
        pthread_mutex_unlock(&p->callers);
        return;
    }
    pthread_mutex_lock(&p->callers);
    p->now = (job){fn, ctx, n, chunk};
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store_explicit(&p->busy, p->threads - 1, memory_order_relaxed);
    publish(p);
    take_spans(p, 0);
    for (int i = 0; atomic_load_explicit(&p->busy, memory_order_acquire) > 0; i++)
        if (i < SPINS)
            pause_cpu();
        else
            sched_yield();
    pthread_mutex_unlock(&p->callers);
}
