/* pool.h: a pool of worker threads that runs one indexed job at a time.
 *
 * pool_run(p, fn, ctx, n, chunk) calls fn(ctx, first, last, thread) over [0, n) in spans of at most `chunk`, handed
 * out in ascending order (a span is started only after every smaller one was started), and returns when all are
 * done. The caller works too, as thread 0. One pool_run at a time a pool; callers from several threads queue.
 * pool_share does the same without the order: each thread begins with a part of [0, n) of its own.
 */
#ifndef TILE_BASE_POOL_H
#define TILE_BASE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#define POOL_MAX_THREADS 4096

typedef struct pool pool;
typedef void pool_fn(void *ctx, int64_t first, int64_t last, int thread);

/* pool.c */
pool *pool_new(int threads); /* 0 = as many as the process may run on; NULL when threads can't be had */
void pool_free(pool *p);
int pool_threads(const pool *p);
/* between on and off workers spin instead of going to sleep: a series of jobs follows */
void pool_hold(pool *p, bool on);
void pool_run(pool *p, pool_fn *fn, void *ctx, int64_t n, int64_t chunk);
void pool_share(pool *p, pool_fn *fn, void *ctx, int64_t n, int64_t chunk);

#endif
