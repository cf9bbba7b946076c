/* test_pool.c: the thread pool: every index once, starts in ascending order, callers from many threads; shares.
 */
#include "base/base.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct sweep {
    atomic_int *hits;
    _Atomic int64_t started; /* greatest first index begun */
    atomic_int disorder;
    int threads;
    atomic_int bad_thread;
} sweep;

static void visit(void *ctx, int64_t first, int64_t last, int thread)
{
    sweep *s = ctx;
    if (thread < 0 || thread >= s->threads)
        atomic_fetch_add(&s->bad_thread, 1);
    for (int64_t i = first; i < last; i++)
        atomic_fetch_add(&s->hits[i], 1);
}

typedef void run_fn(pool *p, pool_fn *fn, void *ctx, int64_t n, int64_t chunk);

static void check_by(run_fn *go, pool *p, int64_t n, int64_t chunk)
{
    sweep s = {.hits = calloc((size_t)n + 1, sizeof(atomic_int)), .threads = pool_threads(p)};
    go(p, visit, &s, n, chunk);
    for (int64_t i = 0; i < n; i++)
        ck_assert_int_eq(atomic_load(&s.hits[i]), 1);
    ck_assert_int_eq(atomic_load(&s.hits[n]), 0);
    ck_assert_int_eq(atomic_load(&s.bad_thread), 0);
    free(s.hits);
}

static void check_once(pool *p, int64_t n, int64_t chunk)
{
    check_by(pool_run, p, n, chunk);
    check_by(pool_share, p, n, chunk);
}

/* the parts of a shared job: a slow thread's are finished by the others */
static void slow_zero(void *ctx, int64_t first, int64_t last, int thread)
{
    atomic_int *done = ctx;
    if (thread == 0 && first == 0)
        while (atomic_load(done) < 99)
            ;
    atomic_fetch_add(done, (int)(last - first));
}

START_TEST(parts_are_taken_over)
{
    pool *p = pool_new(4);
    for (int k = 0; k < 50; k++) {
        atomic_int done = 0;
        pool_share(p, slow_zero, (void *)&done, 100, 1);
        ck_assert_int_eq(atomic_load(&done), 100);
    }
    pool_free(p);
}
END_TEST

START_TEST(each_index_once)
{
    for (int threads = 1; threads <= 5; threads++) {
        pool *p = pool_new(threads);
        ck_assert_int_eq(pool_threads(p), threads);
        for (int64_t n = 0; n <= 40; n++)
            for (int64_t chunk = 0; chunk <= 9; chunk++)
                check_once(p, n, chunk);
        check_once(p, 100000, 7);
        pool_free(p);
    }
    pool *p = pool_new(0);
    ck_assert_int_ge(pool_threads(p), 1);
    pool_free(p);
    pool_free(NULL);
}
END_TEST

/* waits until every smaller index has begun: hangs unless starts are ascending */
static void chained(void *ctx, int64_t first, int64_t last, int thread)
{
    _Atomic int64_t *begun = ctx;
    (void)thread;
    for (int64_t i = first; i < last; i++) {
        while (atomic_load(begun) < i)
            ;
        atomic_store(begun, i + 1);
    }
}

START_TEST(starts_ascend)
{
    pool *p = pool_new(3);
    for (int k = 0; k < 200; k++) {
        _Atomic int64_t begun = 0;
        pool_run(p, chained, (void *)&begun, 50, 1);
        ck_assert_int_eq(atomic_load(&begun), 50);
    }
    pool_free(p);
}
END_TEST

static void *caller(void *arg)
{
    for (int k = 0; k < 100; k++)
        check_once(arg, 50 + k, 1 + k % 5);
    return NULL;
}

START_TEST(callers_queue)
{
    pool *p = pool_new(3);
    pthread_t t[6];
    for (int i = 0; i < 6; i++)
        pthread_create(&t[i], NULL, caller, p);
    for (int i = 0; i < 6; i++)
        pthread_join(t[i], NULL);
    pool_free(p);
}
END_TEST

START_TEST(sleeps_and_wakes)
{
    pool *p = pool_new(2);
    for (int k = 0; k < 20; k++) {
        struct timespec pause = {0, 2000000};
        check_once(p, 64, 1);
        nanosleep(&pause, NULL);
    }
    pool_free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pool");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, each_index_once);
    tcase_add_test(t, parts_are_taken_over);
    tcase_add_test(t, starts_ascend);
    tcase_add_test(t, callers_queue);
    tcase_add_test(t, sleeps_and_wakes);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
