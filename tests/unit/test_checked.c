/* test_checked.c: modules opened with `checked`, on the CPU: an access outside the caller's buffer is a fault that
 * names kernel, argument, element and line, and touches nothing: buffers here end at a page that can't be touched. What
 * is not known to be wrong runs, and gives what it gives unchecked.
 */
#include "base/base.h"
#include "runtime/tile.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char source[] = "kernel copy(x: *f32, y: *f32, n: int, B: const = 64) grid(cdiv(n, B)):\n"
                             "    i = program_id(0) * B + arange(0, B)\n"
                             "    store(y + i, load(x + i, i < n), i < n)\n"
                             "kernel walk(x: *i16, y: *i16, n: int) grid(1):\n"
                             "    p = x + arange(0, 8)\n"
                             "    s = zeros([8], i16)\n"
                             "    for k in range(0, n):\n"
                             "        s += load(p)\n"
                             "        p += 8\n"
                             "    store(y + arange(0, 8), s)\n"
                             "kernel rows(x: *f32, y: *f32, m: int) grid(1):\n"
                             "    t = tensor(x, [m, 8], [8, 1])\n"
                             "    store(y + arange(0, 8), t.load([m - 1, 0], [1, 8]).reshape([8]))\n"
                             "kernel product(a: *f32, b: *f32, c: *f32, K: int) grid(1):\n"
                             "    acc = zeros([16, 16], f32)\n"
                             "    i = arange(0, 16)\n"
                             "    for k in range(0, K, 16):\n"
                             "        x = load(a + i[:, None] * K + (k + i)[None, :])\n"
                             "        y = load(b + (k + i)[:, None] * 16 + i[None, :])\n"
                             "        acc = dot(x, y, acc)\n"
                             "    store(c + i[:, None] * 16 + i[None, :], acc)\n"
                             "kernel either(x: *f32, y: *f32, first: int, i: int, out: *f32) grid(1):\n"
                             "    p = where(first > 0, x, y)\n"
                             "    store(out, load(p + i))\n"
                             "kernel count(x: *i32, i: int) grid(1):\n"
                             "    atomic_add(x + i, 1)\n"
                             "kernel swap(x: *i32, i: int) grid(1):\n"
                             "    atomic_cas(x + i, 0, 7)\n"
                             "fn at(p, i):\n"
                             "    return load(p + i)\n"
                             "kernel called(x: *f32, i: int, out: *f32) grid(1):\n"
                             "    store(out, at(x, i))\n"
                             "kernel bytes(x: *u8, i: int, out: *f32) grid(1):\n"
                             "    store(out, load((x + i).to(*f32)))\n";

static const char *const devices[] = {"cpu", "cpu:threads=1", "interp"};
static tile_error err;

typedef struct kit {
    tile_device *d;
    tile_module *m;
    int32_t begun;
    char *page, *end; /* memory that ends at `end`, in front of a page that can't be touched */
} kit;

enum { ROOM = 65536, GUARD = 65536 };

static void hear(void *ctx, const char *what, int32_t done, int32_t of)
{
    (void)what;
    (void)done;
    *(int32_t *)ctx = of;
}

static void kit_open(kit *k, const char *device, bool checked)
{
    tile_options opt = {.checked = checked};
    *k = (kit){.d = tile_device_open(device, &err)};
    ck_assert_msg(k->d != NULL, "%s", err.text);
    k->m = tile_module_from_string(k->d, "c.tile", source, &opt, &err);
    ck_assert_msg(k->m != NULL, "%s", err.text);
    tile_device_on_compile(k->d, hear, &k->begun);
    k->page = mmap(NULL, ROOM + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(k->page != MAP_FAILED && mprotect(k->page, ROOM, PROT_READ | PROT_WRITE) == 0);
    k->end = k->page + ROOM;
}

static void kit_close(kit *k)
{
    munmap(k->page, ROOM + GUARD);
    tile_module_close(k->m);
    tile_device_close(k->d);
}

static tile_arg sized(void *p, tile_dtype t, int64_t n)
{
    tile_arg a = tile_arg_ptr(p, t);
    a.bytes = n * tile_dtype_bytes(t);
    return a;
}

static int run(kit *k, const char *name, const tile_arg *args, int32_t n)
{
    tile_kernel *f = tile_kernel_find(k->m, name, &err);
    ck_assert_msg(f != NULL, "%s", err.text);
    return tile_launch(f, NULL, NULL, args, n, &err);
}

static void faults(kit *k, const char *name, const tile_arg *args, int32_t n, const char *text)
{
    ck_assert_int_eq(run(k, name, args, n), TILE_E_FAULT);
    ck_assert_str_eq(err.text, text);
}

static void holds(kit *k, const char *name, const tile_arg *args, int32_t n)
{
    ck_assert_msg(run(k, name, args, n) == TILE_OK, "%s: %s", name, err.text);
}

START_TEST(elementwise)
{
    kit k;
    kit_open(&k, devices[_i], true);
    float *x = (float *)(void *)k.end - 100, y[200] = {0};
    for (int i = 0; i < 100; i++)
        x[i] = (float)i;
    tile_arg a[] = {sized(x, TILE_F32, 100), sized(y, TILE_F32, 200), tile_arg_int(100)};
    holds(&k, "copy", a, 3);
    ck_assert(y[99] == 99 && y[100] == 0);
    a[2] = tile_arg_int(101); /* the mask lets one too many through */
    faults(&k, "copy", a, 3,
           "kernel 'copy' faulted: c.tile:3: load outside argument 'x': element 100 of 100 (program 1, 0, 0)");
    a[2] = tile_arg_int(100);
    a[0] = sized(x, TILE_F32, 99);
    faults(&k, "copy", a, 3,
           "kernel 'copy' faulted: c.tile:3: load outside argument 'x': element 99 of 99 (program 1, 0, 0)");
    a[0] = sized(x, TILE_F32, 100);
    memset(y, 0, sizeof y);
    a[1] = sized(y, TILE_F32, 64 + 20);
    faults(&k, "copy", a, 3,
           "kernel 'copy' faulted: c.tile:3: store outside argument 'y': element 84 of 84 (program 1, 0, 0)");
    for (int i = _i < 2 ? 64 : 84; i < 200; i++) /* of that store nothing was done; the interpreter does it in order */
        ck_assert(y[i] == 0);
    a[1] = sized(y, TILE_F32, 100);
    holds(&k, "copy", a, 3);
    ck_assert_int_eq(k.begun, _i == 2 ? 0 : 1); /* code doesn't depend on the sizes */
    a[1] = sized(x, TILE_F32, 100);             /* one buffer, two sizes */
    holds(&k, "copy", a, 3);
    a[1] = sized(x, TILE_F32, 90);
    if (_i < 2) /* the interpreter finds it in the other argument */
        faults(&k, "copy", a, 3,
               "kernel 'copy' faulted: c.tile:3: store outside argument 'y': element 90 of 90 (program 1, 0, 0)");
    kit_close(&k);
}
END_TEST

START_TEST(all_kinds)
{
    kit k;
    kit_open(&k, devices[_i], true);
    int16_t *h = (int16_t *)(void *)k.end - 80, out16[8];
    tile_arg w[] = {sized(h, TILE_I16, 80), sized(out16, TILE_I16, 8), tile_arg_int(10)};
    holds(&k, "walk", w, 3);
    w[2] = tile_arg_int(11);
    faults(&k, "walk", w, 3,
           "kernel 'walk' faulted: c.tile:8: load outside argument 'x': element 80 of 80 (program 0, 0, 0)");
    float *f = (float *)(void *)k.end - 256, a[256], c[256];
    for (int i = 0; i < 256; i++)
        a[i] = f[i] = (float)(i % 7);
    tile_arg t[] = {sized(f, TILE_F32, 256), sized(c, TILE_F32, 8), tile_arg_int(32)};
    holds(&k, "rows", t, 3);
    ck_assert(c[0] == f[248]);
    t[2] = tile_arg_int(33);
    ck_assert_int_eq(run(&k, "rows", t, 3), TILE_E_FAULT);
    ck_assert_ptr_nonnull(strstr(err.text, "load outside argument 'x': element 256 of 256 (program 0, 0, 0)"));
    tile_arg p[] = {sized(a, TILE_F32, 256), sized(f, TILE_F32, 256), sized(c, TILE_F32, 256), tile_arg_int(16)};
    holds(&k, "product", p, 4);
    float want = 0;
    for (int i = 0; i < 16; i++)
        want += a[16 + i] * f[i * 16 + 3];
    ck_assert(c[16 + 3] == want);
    p[3] = tile_arg_int(32);
    ck_assert_int_eq(run(&k, "product", p, 4), TILE_E_FAULT);
    if (_i < 2) /* the interpreter asks whether it lies in any argument */
        ck_assert_ptr_nonnull(strstr(err.text, "c.tile:18: load outside argument 'a': element 256 of 256"));
    int32_t *n = (int32_t *)(void *)k.end - 4;
    tile_arg u[] = {sized(n, TILE_I32, 4), tile_arg_int(3)};
    n[3] = 0;
    holds(&k, "count", u, 2);
    ck_assert_int_eq(n[3], 1);
    u[1] = tile_arg_int(4);
    faults(&k, "count", u, 2,
           "kernel 'count' faulted: c.tile:26: atomic_rmw outside argument 'x': element 4 of 4 (program 0, 0, 0)");
    faults(&k, "swap", u, 2,
           "kernel 'swap' faulted: c.tile:28: atomic_cas outside argument 'x': element 4 of 4 (program 0, 0, 0)");
    u[1] = tile_arg_int(-2);
    faults(&k, "count", u, 2,
           "kernel 'count' faulted: c.tile:26: atomic_rmw outside argument 'x': element -2 of 4 (program 0, 0, 0)");
    tile_arg g[] = {sized(f, TILE_F32, 256), tile_arg_int(256), sized(c, TILE_F32, 1)};
    ck_assert_int_eq(run(&k, "called", g, 3), TILE_E_FAULT);
    ck_assert_ptr_nonnull(strstr(err.text, "load outside argument 'x': element 256 of 256"));
    tile_arg b[] = {sized(f, TILE_U8, 1024), tile_arg_int(1020), sized(c, TILE_F32, 1)};
    holds(&k, "bytes", b, 3);
    b[1] = tile_arg_int(1022); /* begins inside, ends outside */
    faults(&k, "bytes", b, 3,
           "kernel 'bytes' faulted: c.tile:34: load outside argument 'x': element 255 of 256 (program 0, 0, 0)");
    kit_close(&k);
}
END_TEST

START_TEST(one_of_two)
{
    kit k;
    kit_open(&k, devices[_i], true);
    float x[4] = {1, 2, 3, 4}, *y = (float *)(void *)k.end - 6, out;
    for (int i = 0; i < 6; i++)
        y[i] = (float)(10 + i);
    tile_arg a[] = {sized(x, TILE_F32, 4), sized(y, TILE_F32, 6), tile_arg_int(1), tile_arg_int(3),
                    sized(&out, TILE_F32, 1)};
    holds(&k, "either", a, 5);
    ck_assert(out == 4);
    a[2] = tile_arg_int(0);
    a[3] = tile_arg_int(5);
    holds(&k, "either", a, 5);
    ck_assert(out == 15);
    a[3] = tile_arg_int(6);
    ck_assert_int_eq(run(&k, "either", a, 5), TILE_E_FAULT);
    ck_assert_ptr_nonnull(strstr(err.text, "c.tile:24: load outside argument '"));
    a[2] = tile_arg_int(1);
    a[3] = tile_arg_int(4);
    faults(&k, "either", a, 5,
           "kernel 'either' faulted: c.tile:24: load outside argument 'x': element 4 of 4 (program 0, 0, 0)");
    kit_close(&k);
}
END_TEST

/* what nobody knows the size of is not checked; neither is anything of a module that isn't */
START_TEST(not_known)
{
    kit k;
    for (int checked = 0; checked < 2; checked++) {
        kit_open(&k, devices[_i], checked != 0);
        int32_t n[8] = {0};
        tile_arg u[] = {tile_arg_ptr(n + 4, TILE_I32), tile_arg_int(-2)};
        if (!checked && _i < 2)
            u[0] = sized(n + 4, TILE_I32, 2);
        holds(&k, "count", u, 2);
        ck_assert_int_eq(n[2], 1);
        kit_close(&k);
    }
}
END_TEST

/* a replay checks as a launch does, with the sizes of its arguments */
START_TEST(captured)
{
    kit k;
    kit_open(&k, devices[_i], true);
    float x[64] = {5}, y[64] = {0};
    tile_arg a[] = {sized(x, TILE_F32, 64), sized(y, TILE_F32, 64), tile_arg_int(64)};
    tile_kernel *f = tile_kernel_find(k.m, "copy", &err);
    ck_assert_int_eq(tile_prepare(f, NULL, NULL, a, 3, &err), TILE_OK);
    ck_assert_int_eq(tile_capture_begin(k.d, NULL, &err), TILE_OK);
    ck_assert_int_eq(tile_launch(f, NULL, NULL, a, 3, &err), TILE_OK);
    a[1].bytes = 63 * 4;
    ck_assert_int_eq(tile_launch(f, NULL, NULL, a, 3, &err), TILE_OK);
    tile_graph *g = tile_capture_end(k.d, NULL, &err);
    ck_assert_ptr_nonnull(g);
    ck_assert_int_eq(tile_graph_replay(g, NULL, &err), TILE_E_FAULT);
    ck_assert_ptr_nonnull(strstr(err.text, "store outside argument 'y': element 63 of 63"));
    ck_assert(y[0] == 5);
    tile_graph_destroy(g);
    kit_close(&k);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("checked");
    TCase *c = tcase_create("checked");
    setenv("TILE_CACHE_DIR", "", 1);
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, elementwise, 0, 3);
    tcase_add_loop_test(c, all_kinds, 0, 3);
    tcase_add_loop_test(c, one_of_two, 0, 3);
    tcase_add_loop_test(c, not_known, 0, 3);
    tcase_add_loop_test(c, captured, 0, 3);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
