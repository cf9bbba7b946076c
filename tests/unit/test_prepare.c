/* test_prepare.c: launches prepared together are compiled side by side, each once, and need nothing more when they
 * come; one that fails leaves the others prepared; threads that want one variant at once get the same; who is told of
 * it.
 */
#include "base/base.h"
#include "runtime/tile.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char source[] = "kernel scale(x: *f32, y: *f32, n: int, by: f32, B: const = 64) grid(cdiv(n, B)):\n"
                             "    i = program_id(0) * B + arange(0, B)\n"
                             "    store(y + i, load(x + i, i < n) * by, i < n)\n"
                             "kernel sums[T: (f32, f16, i32)](x: T[M, N], y: f32[M], B: const = 16) grid(M):\n"
                             "    r = program_id(0)\n"
                             "    s = 0.0\n"
                             "    for k in range(0, N, B):\n"
                             "        s += sum(x[r].load([k], [B]).to(f32))\n"
                             "    y.scatter([r], s)\n"
                             "kernel same(x: f32[N], y: f32[N], N: const) grid(cdiv(N, 16)):\n"
                             "    i = program_id(0) * 16\n"
                             "    y.store([i], x.load([i], [16]) + N)\n"
                             "kernel wrong(x: f32[N], N: const) grid(1):\n"
                             "    static_assert(N < 3, 'too long')\n"
                             "    x.store([0], zeros([1], f32))\n";

enum { MOST = 40, ROOM = 4096 };
static _Alignas(128) float x[ROOM], y[ROOM];
static tile_error err;
#define OK(call) ck_assert_msg((call) == TILE_OK, "%s", err.text)

/* what the device tells: how many were compiled, and how many at once at most */
typedef struct told {
    int32_t begun, done, most;
    char last[64];
} told;

static void hear(void *ctx, const char *what, int32_t done, int32_t of)
{
    told *t = ctx;
    t->begun = of;
    t->done = done;
    t->most = of - done > t->most ? of - done : t->most;
    snprintf(t->last, sizeof t->last, "%s", what);
}

typedef struct kit {
    tile_device *d;
    tile_module *m;
    tile_kernel *scale, *sums, *same, *wrong;
    told told;
} kit;

static void kit_open(kit *k, const char *device)
{
    *k = (kit){.d = tile_device_open(device, &err)};
    ck_assert_msg(k->d != NULL, "%s", err.text);
    k->m = tile_module_from_string(k->d, "prepare.tile", source, NULL, &err);
    ck_assert_msg(k->m != NULL, "%s", err.text);
    k->scale = tile_kernel_find(k->m, "scale", &err);
    k->sums = tile_kernel_find(k->m, "sums", &err);
    k->same = tile_kernel_find(k->m, "same", &err);
    k->wrong = tile_kernel_find(k->m, "wrong", &err);
    ck_assert_msg(k->scale && k->sums && k->same && k->wrong, "%s", err.text);
    tile_device_on_compile(k->d, hear, &k->told);
}

static void kit_close(kit *k)
{
    tile_module_close(k->m);
    tile_device_close(k->d);
}

/* launches of all kinds: several kernels, instances of one kernel, variants of one instance */
typedef struct calls {
    tile_request list[MOST];
    tile_arg args[MOST][4];
    tile_tensor t[MOST][2];
    int32_t n;
} calls;

static void add(calls *c, tile_kernel *k, int32_t nargs)
{
    c->list[c->n] = (tile_request){.kernel = k, .args = c->args[c->n], .nargs = nargs};
    c->n++;
}

static void add_scale(calls *c, const kit *k, int64_t n, int off)
{
    tile_arg *a = c->args[c->n];
    a[0] = tile_arg_ptr(x + off, TILE_F32);
    a[1] = tile_arg_ptr(y, TILE_F32);
    a[2] = tile_arg_int(n);
    a[3] = tile_arg_float(2);
    add(c, k->scale, 4);
}

static void add_tensors(calls *c, tile_kernel *k, tile_dtype type, int32_t rank, int64_t n)
{
    int64_t shape[] = {3, n}, rows = rank == 2 ? 3 : n;
    c->t[c->n][0] = tile_tensor_of(x, type, rank, rank == 2 ? shape : &n);
    c->t[c->n][1] = tile_tensor_of(y, TILE_F32, 1, &rows);
    c->args[c->n][0] = tile_arg_tensor(&c->t[c->n][0]);
    c->args[c->n][1] = tile_arg_tensor(&c->t[c->n][1]);
    add(c, k, 2);
}

/* 12 different pieces of code, each asked for twice */
static void add_all(calls *c, const kit *k)
{
    *c = (calls){0};
    for (int twice = 0; twice < 2; twice++) {
        add_scale(c, k, 1000, 0);
        add_scale(c, k, 1024, 0);
        add_scale(c, k, 1000, 1);
        for (tile_dtype t = TILE_F32;; t = t == TILE_F32 ? TILE_F16 : TILE_I32) {
            add_tensors(c, k->sums, t, 2, 96);
            add_tensors(c, k->sums, t, 2, 97);
            if (t == TILE_I32)
                break;
        }
        for (int64_t n = 10; n < 13; n++)
            add_tensors(c, k->same, TILE_F32, 1, n);
    }
}

static void fill(void)
{
    for (int i = 0; i < ROOM; i++) {
        x[i] = (float)(i % 5);
        y[i] = -1;
    }
}

static int32_t steps, last_of;

static void step(void *ctx, const char *what, int32_t done, int32_t of)
{
    ck_assert_ptr_eq(ctx, &steps);
    ck_assert_str_eq(what, "preparing");
    ck_assert_int_eq(done, steps + 1);
    steps++;
    last_of = of;
}

START_TEST(together)
{
    static const char *const devices[] = {"cpu:threads=1", "cpu:threads=4", "interp"};
    kit k;
    calls c;
    kit_open(&k, devices[_i]);
    add_all(&c, &k);
    fill();
    steps = 0;
    OK(tile_prepare_many(c.list, c.n, step, &steps, &err));
    ck_assert(steps == c.n && last_of == c.n);
    for (int i = 0; i < ROOM; i++) /* nothing ran */
        ck_assert(y[i] == -1);
    ck_assert_int_eq(k.told.begun, _i == 2 ? 0 : 12);
    ck_assert_int_eq(k.told.done, k.told.begun);
    if (_i < 2)
        ck_assert_msg(_i == 0 ? k.told.most == 1 : k.told.most > 1, "%d compiled at once", k.told.most);
    OK(tile_capture_begin(k.d, NULL, &err)); /* where nothing may be compiled */
    for (int32_t i = 0; i < c.n; i++)
        OK(tile_launch(c.list[i].kernel, NULL, NULL, c.list[i].args, c.list[i].nargs, &err));
    tile_graph *g = tile_capture_end(k.d, NULL, &err);
    OK(tile_graph_replay(g, NULL, &err));
    tile_graph_destroy(g);
    for (int i = 0; i < 12; i++) /* the last launch: same, of 12 */
        ck_assert(y[i] == x[i] + 12);
    ck_assert_int_eq(k.told.begun, _i == 2 ? 0 : 12);
    kit_close(&k);
}
END_TEST

START_TEST(some_fail)
{
    kit k;
    calls c = {0};
    kit_open(&k, "cpu:threads=3");
    add_scale(&c, &k, 100, 0);
    add_tensors(&c, k.same, TILE_F32, 1, 10);
    c.list[1].nargs = 1;
    add_tensors(&c, k.wrong, TILE_F32, 1, 10);
    c.list[2].nargs = 1;
    add_tensors(&c, k.same, TILE_F32, 1, 11);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(tile_prepare_many(c.list, c.n, NULL, NULL, &err), TILE_E_ARGUMENT);
        ck_assert_ptr_nonnull(strstr(err.text, "kernel 'same' takes 2 arguments"));
    }
    ck_assert_int_eq(tile_prepare_many(c.list + 2, 2, NULL, NULL, &err), TILE_E_SOURCE);
    ck_assert_ptr_nonnull(strstr(err.text, "too long"));
    ck_assert_int_eq(tile_prepare_many(c.list, c.n, NULL, NULL, NULL), TILE_E_ARGUMENT);
    ck_assert_int_eq(k.told.begun, 2); /* those that can be were, once */
    OK(tile_prepare_many(c.list, 1, NULL, NULL, &err));
    OK(tile_prepare_many(NULL, 0, NULL, NULL, &err));
    fill();
    OK(tile_launch(k.same, NULL, NULL, c.args[3], 2, &err));
    ck_assert(y[3] == x[3] + 11 && k.told.begun == 2);
    ck_assert_str_ne(k.told.last, "");
    tile_device_on_compile(k.d, NULL, NULL);
    OK(tile_launch(k.scale, NULL, NULL, (tile_arg[]){c.args[0][0], c.args[0][1], tile_arg_int(1), tile_arg_float(3)}, 4,
                   &err));
    ck_assert_int_eq(k.told.begun, 2);
    kit_close(&k);
}
END_TEST

/* ---- threads that want the same, and others, at the same moment ---- */
enum { THREADS = 12 };

typedef struct guest {
    const kit *k;
    pthread_barrier_t *start;
    int at;
    char why[200];
} guest;

static void *guest_main(void *ctx)
{
    guest *g = ctx;
    tile_error e;
    static _Alignas(128) float in[64];
    _Alignas(128) float out[64] = {0};
    int64_t n = 20 + g->at % 3; /* four threads an instance */
    tile_tensor tx = tile_tensor_of(in, TILE_F32, 1, &n), ty = tile_tensor_of(out, TILE_F32, 1, &n);
    tile_arg a[] = {tile_arg_tensor(&tx), tile_arg_tensor(&ty)};
    pthread_barrier_wait(g->start);
    for (int round = 0; round < 3 && !g->why[0]; round++) {
        if (tile_launch(g->k->same, NULL, NULL, a, 2, &e) != TILE_OK)
            snprintf(g->why, sizeof g->why, "%.150s", e.text);
        else if (out[n - 1] != (float)n)
            snprintf(g->why, sizeof g->why, "%g, expected %lld", (double)out[n - 1], (long long)n);
    }
    return NULL;
}

/* odd rounds keep what they compile in a folder, which the threads read and write at the same moment */
START_TEST(at_once)
{
    kit k;
    char folder[] = "/tmp/tile_prepare_XXXXXX";
    if (_i % 2) {
        ck_assert_ptr_nonnull(mkdtemp(folder));
        setenv("TILE_CACHE_DIR", folder, 1);
    }
    guest g[THREADS];
    pthread_t t[THREADS];
    pthread_barrier_t start;
    kit_open(&k, "cpu");
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        g[i] = (guest){.k = &k, .start = &start, .at = i};
        ck_assert_int_eq(pthread_create(&t[i], NULL, guest_main, &g[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < THREADS; i++)
        ck_assert_msg(!g[i].why[0], "thread %d: %s", i, g[i].why);
    ck_assert_int_eq(k.told.begun, 3);
    pthread_barrier_destroy(&start);
    kit_close(&k);
    if (_i % 2) {
        tile_cache kept;
        OK(tile_cache_stats(&kept, &err));
        ck_assert_int_eq(kept.entries, 3);
        OK(tile_cache_clear(&err));
        ck_assert_int_eq(rmdir(folder), 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("prepare");
    TCase *c = tcase_create("prepare");
    setenv("TILE_CACHE_DIR", "", 1);
    unsetenv("TILE_NUM_THREADS");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, together, 0, 3);
    tcase_add_test(c, some_fail);
    tcase_add_loop_test(c, at_once, 0, 5);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
