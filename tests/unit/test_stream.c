/* test_stream.c: memory, streams, events and graphs on the host's devices, where all is done when a call returns. */
#include "runtime/tile.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char source[] = "kernel scale(x: *f32, y: *f32, n: int, k: f32, BLOCK: const = 16) grid(cdiv(n, BLOCK)):\n"
                             "    i = program_id(0) * BLOCK + arange(0, BLOCK)\n"
                             "    store(y + i, load(x + i, i < n) * k, i < n)\n"
                             "\n"
                             "kernel rows(x: f32[M, N], y: f32[M], part: scratch f32[M], BLOCK: const = 16) grid(M):\n"
                             "    r = program_id(0)\n"
                             "    part.scatter([r], sum(x[r].load([0], [BLOCK])))\n"
                             "    y.scatter([r], part.gather([r]) + 1.0)\n"
                             "\n"
                             "kernel bad(x: *f32, n: int) grid(1):\n"
                             "    device_assert(n > 0, \"n is not positive\")\n"
                             "    store(x, 1.0)\n";

static const char *const devices[] = {"interp", "cpu"};
static tile_error err;

#define OK(call) ck_assert_msg((call) == TILE_OK, "%s", err.text)
#define N 40

typedef struct kit {
    tile_device *d;
    tile_module *m;
    tile_kernel *scale, *rows, *bad;
    float *x, *y;
} kit;

static kit kit_open(const char *name)
{
    kit k = {.d = tile_device_open(name, &err)};
    k.m = tile_module_from_string(k.d, "test.tile", source, NULL, &err);
    ck_assert_msg(k.m != NULL, "%s", err.text);
    k.scale = tile_kernel_find(k.m, "scale", &err);
    k.rows = tile_kernel_find(k.m, "rows", &err);
    k.bad = tile_kernel_find(k.m, "bad", &err);
    ck_assert(k.scale && k.rows && k.bad);
    k.x = tile_alloc(k.d, N * 4, &err);
    k.y = tile_alloc(k.d, N * 4, &err);
    for (int i = 0; i < N; i++)
        k.x[i] = (float)i;
    return k;
}

static void kit_close(kit *k)
{
    tile_free(k->d, k->x);
    tile_free(k->d, k->y);
    tile_module_close(k->m);
    tile_device_close(k->d);
}

static int scale(kit *k, tile_stream *s, float *x, float *y, double by)
{
    tile_arg args[] = {tile_arg_ptr(x, TILE_F32), tile_arg_ptr(y, TILE_F32), tile_arg_int(N), tile_arg_float(by)};
    return tile_launch(k->scale, s, NULL, args, 4, &err);
}

START_TEST(in_order)
{
    kit k = kit_open(devices[_i]);
    double s = -1;
    tile_stream *a = tile_stream_create(k.d, &err), *b = tile_stream_create(k.d, &err);
    tile_event *e = tile_event_create(k.d, &err), *f = tile_event_create(k.d, &err);
    ck_assert(a && b && e && f);
    ck_assert_int_eq(tile_event_sync(e, &err), TILE_E_ARGUMENT);
    OK(scale(&k, a, k.x, k.y, 2));
    OK(tile_event_record(e, a, &err));
    OK(tile_stream_wait(k.d, b, e, &err));
    OK(tile_copy(k.d, b, k.x, k.y, N * 4, &err));
    OK(tile_event_record(f, b, &err));
    OK(tile_stream_sync(k.d, b, &err));
    OK(tile_event_elapsed(e, f, &s, &err));
    ck_assert(s >= 0 && s < 60);
    ck_assert(k.x[N - 1] == 2 * (N - 1));
    OK(tile_fill(k.d, NULL, k.x, 0, 8, &err));
    ck_assert(k.x[1] == 0 && k.x[2] == 4);
    ck_assert_int_eq(tile_copy(k.d, NULL, k.x, NULL, 4, &err), TILE_E_ARGUMENT);
    tile_device *other = tile_device_open("cpu", &err);
    ck_assert_int_eq(tile_stream_sync(other, a, &err), TILE_E_ARGUMENT);
    ck_assert_int_eq(tile_event_record(e, NULL, &err), TILE_OK);
    tile_stream *c = tile_stream_create(other, &err);
    ck_assert_int_eq(scale(&k, c, k.x, k.y, 2), TILE_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "the stream belongs to device 'cpu'"));
    tile_stream_destroy(c);
    tile_device_close(other);
    ck_assert_ptr_null(tile_stream_wrap(k.d, k.x, &err));
    ck_assert_ptr_null(tile_stream_native(k.d, a));
    ck_assert_ptr_null(tile_stream_native(k.d, NULL));
    tile_kernel_stats st;
    ck_assert_int_eq(tile_kernel_info(k.scale, &st, &err), TILE_E_DEVICE);
    tile_event_destroy(e);
    tile_event_destroy(f);
    tile_stream_destroy(a);
    tile_stream_destroy(b);
    OK(tile_sync(k.d, &err));
    kit_close(&k);
}
END_TEST

static tile_graph *capture_all(kit *k, tile_stream *s, float *sums)
{
    int64_t sizes[2] = {4, 10}, rows = 4;
    tile_tensor x = tile_tensor_of(k->y, TILE_F32, 2, sizes), y = tile_tensor_of(sums, TILE_F32, 1, &rows);
    tile_arg args[] = {tile_arg_tensor(&x), tile_arg_tensor(&y)};
    OK(scale(k, s, k->x, k->y, 1));
    OK(tile_prepare(k->rows, s, NULL, args, 2, &err));
    ck_assert(sums[0] == 0); /* prepared, not run */
    memset(k->y, 0, N * 4);
    OK(tile_capture_begin(k->d, s, &err));
    ck_assert_int_eq(tile_capture_begin(k->d, s, &err), TILE_E_ARGUMENT);
    ck_assert_int_eq(tile_stream_sync(k->d, s, &err), TILE_E_ARGUMENT);
    OK(scale(k, s, k->x, k->y, 3));
    OK(tile_copy(k->d, s, k->x, k->y, N * 4, &err));
    OK(tile_fill(k->d, s, k->y, 0, 4, &err));
    OK(tile_launch(k->rows, s, NULL, args, 2, &err));
    tile_graph *g = tile_capture_end(k->d, s, &err);
    ck_assert_ptr_nonnull(g);
    memset(&x, 0, sizeof x); /* the graph has copies of what the arguments pointed at */
    memset(args, 0, sizeof args);
    return g;
}

START_TEST(graphs)
{
    kit k = kit_open(devices[_i]);
    float sums[4] = {0}, by = 1;
    tile_stream *s = _i ? tile_stream_create(k.d, &err) : NULL;
    tile_graph *g = capture_all(&k, s, sums);
    ck_assert(k.y[1] == 0 && k.x[1] == 1 && sums[1] == 0);
    for (int i = 0; i < 3; i++) {
        by *= 3;
        OK(tile_graph_replay(g, s, &err));
        ck_assert(k.x[1] == by && k.y[1] == by && k.y[0] == 0);
        ck_assert(sums[0] == 45 * by + 1 && sums[3] == 345 * by + 1);
    }
    tile_graph_destroy(g);
    ck_assert_ptr_null(tile_capture_end(k.d, s, &err));
    ck_assert_int_eq(err.code, TILE_E_ARGUMENT);
    tile_stream_destroy(s);
    kit_close(&k);
}
END_TEST

START_TEST(not_prepared)
{
    kit k = kit_open(devices[_i]);
    OK(tile_capture_begin(k.d, NULL, &err));
    ck_assert_int_eq(scale(&k, NULL, k.x, k.y, 2), TILE_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "kernel 'scale' is not prepared for this launch"));
    tile_graph *g = tile_capture_end(k.d, NULL, &err);
    OK(tile_graph_replay(g, NULL, &err));
    OK(scale(&k, NULL, k.x, k.y, 2)); /* compiled: from here on it may be captured */
    OK(tile_capture_begin(k.d, NULL, &err));
    OK(scale(&k, NULL, k.x, k.y, 5));
    ck_assert_int_eq(tile_graph_replay(g, NULL, &err), TILE_E_ARGUMENT); /* not into a capture */
    tile_graph_destroy(g);
    g = tile_capture_end(k.d, NULL, &err);
    ck_assert(k.y[1] == 2);
    OK(tile_graph_replay(g, NULL, &err));
    ck_assert(k.y[1] == 5);
    tile_graph_destroy(g);
    tile_stream *s = tile_stream_create(k.d, &err); /* ended in the middle of a capture */
    OK(tile_capture_begin(k.d, s, &err));
    tile_stream_destroy(s);
    kit_close(&k);
}
END_TEST

START_TEST(faults)
{
    kit k = kit_open(devices[_i]);
    tile_arg args[] = {tile_arg_ptr(k.x, TILE_F32), tile_arg_int(1)};
    OK(tile_prepare(k.bad, NULL, NULL, args, 2, &err));
    args[1] = tile_arg_int(-3);
    OK(tile_prepare(k.bad, NULL, NULL, args, 2, &err));
    OK(tile_capture_begin(k.d, NULL, &err));
    OK(tile_launch(k.bad, NULL, NULL, args, 2, &err));
    tile_graph *g = tile_capture_end(k.d, NULL, &err);
    ck_assert_int_eq(tile_graph_replay(g, NULL, &err), TILE_E_FAULT);
    ck_assert_ptr_nonnull(strstr(err.text, "n is not positive"));
    tile_graph_destroy(g);
    OK(tile_sync(k.d, &err)); /* on the host faults don't stay */
    kit_close(&k);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stream");
    TCase *t = tcase_create("host");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, in_order, 0, 2);
    tcase_add_loop_test(t, graphs, 0, 2);
    tcase_add_loop_test(t, not_prepared, 0, 2);
    tcase_add_loop_test(t, faults, 0, 2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
