/* test_launch_hot.c: launches of known kernels ask the system for no memory, which is counted (the linker puts our
 * functions before malloc and its kind); how many threads a device has; and many host threads on few streams.
 */
#include "base/base.h"
#include "runtime/tile.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char source[] =
    "kernel add(x: *f32, y: *f32, n: int, B: const = 64) grid(cdiv(n, B)):\n"
    "    i = program_id(0) * B + arange(0, B)\n"
    "    store(y + i, load(x + i, i < n) + 1.0, i < n)\n"
    "kernel rows[T: (f32, f16)](x: T[M, N], y: f32[M], part: scratch f32[M, 2], B: const = 16) grid(M):\n"
    "    r = program_id(0)\n"
    "    s = 0.0\n"
    "    for k in range(0, N, B):\n"
    "        s += sum(x[r].load([k], [B]).to(f32))\n"
    "    part.store([r, 0], full([1, 2], s))\n"
    "    y.scatter([r], part.gather([r, 1]))\n"
    "kernel fixed(x: f32[N], y: f32[N], N: const) grid(cdiv(N, 16)):\n"
    "    i = program_id(0) * 16\n"
    "    y.store([i], x.load([i], [16]) * 2.0)\n"
    "@cooperative\n"
    "kernel together(n: *i32) grid(3):\n"
    "    atomic_add(n, 1)\n";

static tile_error err;
#define OK(call) ck_assert_msg((call) == TILE_OK, "%s", err.text)

/* ---- requests of memory ---- */
static _Atomic long requests;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
int __real_posix_memalign(void **p, size_t align, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
int __wrap_posix_memalign(void **p, size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);

void *__wrap_malloc(size_t n)
{
    requests++;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    requests++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    requests++;
    return __real_realloc(p, n);
}

int __wrap_posix_memalign(void **p, size_t align, size_t n)
{
    requests++;
    return __real_posix_memalign(p, align, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    requests++;
    return __real_aligned_alloc(align, n);
}

typedef struct kit {
    tile_device *d;
    tile_module *m;
    tile_kernel *add, *rows, *fixed, *together;
} kit;

static kit kit_open(const char *device)
{
    kit k = {.d = tile_device_open(device, &err)};
    ck_assert_msg(k.d != NULL, "%s", err.text);
    k.m = tile_module_from_string(k.d, "hot.tile", source, NULL, &err);
    ck_assert_msg(k.m != NULL, "%s", err.text);
    k.add = tile_kernel_find(k.m, "add", &err);
    k.rows = tile_kernel_find(k.m, "rows", &err);
    k.fixed = tile_kernel_find(k.m, "fixed", &err);
    k.together = tile_kernel_find(k.m, "together", &err);
    ck_assert_msg(k.add && k.rows && k.fixed && k.together, "%s", err.text);
    return k;
}

static void kit_close(kit *k)
{
    tile_module_close(k->m);
    tile_device_close(k->d);
}

#define N 1000
typedef struct room {
    _Alignas(128) float x[N], y[N];
} room;

/* the three kernels, with other lengths each round; Check's own assertions ask for memory, so there are none here */
static bool launch_all(kit *k, tile_stream *s, room *r, int round)
{
    int64_t n = N - 16 * (round % 8), shape[2] = {10, 96}, m = 10;
    tile_tensor x = tile_tensor_of(r->x, TILE_F32, 2, shape), y = tile_tensor_of(r->y, TILE_F32, 1, &m);
    tile_tensor u = tile_tensor_of(r->x, TILE_F32, 1, &m), v = tile_tensor_of(r->y, TILE_F32, 1, &m);
    tile_arg a[] = {tile_arg_ptr(r->x, TILE_F32), tile_arg_ptr(r->y, TILE_F32), tile_arg_int(n)};
    tile_arg b[] = {tile_arg_tensor(&x), tile_arg_tensor(&y)};
    tile_arg c[] = {tile_arg_tensor(&u), tile_arg_tensor(&v)};
    return tile_launch(k->add, s, NULL, a, 3, &err) == TILE_OK &&
           tile_launch(k->rows, s, NULL, b, 2, &err) == TILE_OK &&
           tile_launch(k->fixed, s, NULL, c, 2, &err) == TILE_OK;
}

START_TEST(no_allocation)
{
    static const char *const devices[] = {"cpu", "cpu:threads=1", "cpu:threads=3"};
    static room r;
    kit k = kit_open(devices[_i]);
    tile_stream *s = tile_stream_create(k.d, &err);
    tile_event *e = tile_event_create(k.d, &err);
    for (int i = 0; i < 10; i++) /* every variant */
        ck_assert_msg(launch_all(&k, s, &r, i), "%s", err.text);
    OK(tile_capture_begin(k.d, s, &err));
    ck_assert_msg(launch_all(&k, s, &r, 1), "%s", err.text);
    tile_graph *g = tile_capture_end(k.d, s, &err);
    OK(tile_graph_replay(g, s, &err));
    OK(tile_event_record(e, s, &err));
    long before = requests, after;
    bool ok = true;
    for (int i = 0; i < 100 && ok; i++)
        ok = launch_all(&k, s, &r, i) && tile_graph_replay(g, s, &err) == TILE_OK &&
             tile_event_record(e, s, &err) == TILE_OK && tile_stream_sync(k.d, s, &err) == TILE_OK;
    after = requests;
    ck_assert_msg(ok, "%s", err.text);
    ck_assert_int_eq(after - before, 0);
    before = requests;
    void *volatile p = malloc(1); /* what counts does count */
    after = requests;
    free(p);
    ck_assert_int_eq(after - before, 1);
    tile_graph_destroy(g);
    tile_event_destroy(e);
    tile_stream_destroy(s);
    kit_close(&k);
}
END_TEST

START_TEST(how_many_threads)
{
    int32_t n = 0;
    tile_arg a[] = {tile_arg_ptr(&n, TILE_I32)};
    kit k = kit_open("cpu:threads=2"); /* it can't hold three programs at once */
    ck_assert_int_eq(tile_launch(k.together, NULL, NULL, a, 1, &err), TILE_E_ARGUMENT);
    ck_assert_msg(strstr(err.text, "3 programs, but the device holds 2 at once") != NULL, "%s", err.text);
    kit_close(&k);
    k = kit_open("cpu:threads=5");
    OK(tile_launch(k.together, NULL, NULL, a, 1, &err));
    ck_assert_int_eq(n, 3);
    kit_close(&k);
    ck_assert_int_eq(setenv("TILE_NUM_THREADS", "2", 1), 0);
    k = kit_open("cpu");
    ck_assert_int_eq(tile_launch(k.together, NULL, NULL, a, 1, &err), TILE_E_ARGUMENT);
    kit_close(&k);
    k = kit_open("cpu:threads=3"); /* the name counts more */
    OK(tile_launch(k.together, NULL, NULL, a, 1, &err));
    kit_close(&k);
    static const char *const wrong[] = {"0", "-1", "two", "2x", "99999"};
    for (size_t i = 0; i < COUNTOF(wrong); i++) {
        char name[64] = "cpu:threads=";
        ck_assert_ptr_null(tile_device_open(strcat(name, wrong[i]), &err));
        ck_assert_int_eq(err.code, TILE_E_MISSING);
        ck_assert_int_eq(setenv("TILE_NUM_THREADS", wrong[i], 1), 0);
        ck_assert_ptr_null(tile_device_open("cpu", &err));
        ck_assert_ptr_nonnull(strstr(err.text, "TILE_NUM_THREADS"));
    }
    unsetenv("TILE_NUM_THREADS");
    ck_assert_ptr_null(tile_device_open("cpu:2", &err));
    ck_assert_ptr_null(tile_device_open("cpu:", &err));
    ck_assert_ptr_null(tile_device_open("interp:threads=2", &err));
}
END_TEST

/* ---- 16 host threads on 4 streams ---- */
enum { THREADS = 16, STREAMS = 4, ROUNDS = 25 };

typedef struct guest {
    kit *k;
    tile_stream *s;
    int at;
    char why[200];
} guest;

static bool same(guest *g, float found, float want, const char *what)
{
    if (found != want)
        snprintf(g->why, sizeof g->why, "thread %d: %s: %g, expected %g", g->at, what, (double)found, (double)want);
    return found == want;
}

static bool visit(guest *g, room *r, int round)
{
    tile_error e;
    int64_t n = 100 + 7 * ((round + g->at) % 5), shape[2] = {4, 16 + g->at % 3}, m = 4;
    tile_tensor x = tile_tensor_of(r->x, TILE_F32, 2, shape), y = tile_tensor_of(r->y, TILE_F32, 1, &m);
    tile_arg a[] = {tile_arg_ptr(r->x, TILE_F32), tile_arg_ptr(r->y, TILE_F32), tile_arg_int(n)};
    tile_arg b[] = {tile_arg_tensor(&x), tile_arg_tensor(&y)};
    for (int i = 0; i < N; i++)
        r->x[i] = (float)(i % 7 + round);
    if (tile_launch(g->k->add, g->s, NULL, a, 3, &e) != TILE_OK)
        return snprintf(g->why, sizeof g->why, "%.150s", e.text), false;
    for (int i = 0; i < n; i++)
        if (!same(g, r->y[i], r->x[i] + 1, "add"))
            return false;
    if (tile_launch(g->k->rows, g->s, NULL, b, 2, &e) != TILE_OK)
        return snprintf(g->why, sizeof g->why, "%.150s", e.text), false;
    for (int i = 0; i < m; i++) {
        float sum = 0;
        for (int64_t j = 0; j < shape[1]; j++)
            sum += r->x[i * shape[1] + j];
        if (!same(g, r->y[i], sum, "rows"))
            return false;
    }
    return true;
}

static void *guest_main(void *ctx)
{
    guest *g = ctx;
    tile_error e;
    room *r = NULL;
    if (posix_memalign((void **)&r, 128, sizeof *r) != 0)
        return snprintf(g->why, sizeof g->why, "no memory"), NULL;
    memset(r, 0, sizeof *r);
    tile_event *ev = tile_event_create(g->k->d, &e);
    for (int i = 0; i < ROUNDS && !g->why[0]; i++) {
        if (visit(g, r, i) && (tile_event_record(ev, g->s, &e) != TILE_OK || tile_event_sync(ev, &e) != TILE_OK ||
                               tile_stream_sync(g->k->d, g->s, &e) != TILE_OK))
            snprintf(g->why, sizeof g->why, "%.150s", e.text);
        if (i % 8 == g->at % 8) { /* a module of its own, meanwhile */
            kit own = {.d = g->k->d, .m = tile_module_from_string(g->k->d, "hot.tile", source, NULL, &e)};
            own.add = own.m ? tile_kernel_find(own.m, "add", &e) : NULL;
            own.rows = own.m ? tile_kernel_find(own.m, "rows", &e) : NULL;
            guest mine = *g;
            mine.k = &own;
            if (!own.add || !own.rows || !visit(&mine, r, i))
                memcpy(g->why, mine.why[0] ? mine.why : "no module", 10);
            tile_module_close(own.m);
        }
    }
    tile_event_destroy(ev);
    free(r);
    return NULL;
}

START_TEST(sixteen_threads_on_four_streams)
{
    kit k = kit_open("cpu");
    tile_stream *s[STREAMS];
    static guest g[THREADS];
    pthread_t t[THREADS];
    for (int i = 0; i < STREAMS; i++)
        ck_assert_ptr_nonnull(s[i] = tile_stream_create(k.d, &err));
    for (int i = 0; i < THREADS; i++) {
        g[i] = (guest){.k = &k, .s = s[i % STREAMS], .at = i};
        ck_assert_int_eq(pthread_create(&t[i], NULL, guest_main, &g[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < THREADS; i++)
        ck_assert_msg(!g[i].why[0], "%s", g[i].why);
    for (int i = 0; i < STREAMS; i++)
        tile_stream_destroy(s[i]);
    kit_close(&k);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("launch_hot");
    TCase *c = tcase_create("hot");
    setenv("TILE_CACHE_DIR", "", 1);
    unsetenv("TILE_NUM_THREADS");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, no_allocation, 0, 3);
    tcase_add_test(c, how_many_threads);
    tcase_add_test(c, sixteen_threads_on_four_streams);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
