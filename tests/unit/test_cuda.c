/* test_cuda.c: the CUDA device against a driver that is no more than a table of functions (fake_cuda.c): opening,
 * memory, launches by tile.h, streams, events, graphs, sessions, and the faults that stay.
 */
#include "runtime/session.h"
#include "tests/unit/cuda_kit.h"

/* ---- opening ---- */

static void refused(const char *name, tile_code code, const char *text)
{
    err = (tile_error){0};
    ck_assert_ptr_null(tile_device_open(name, &err));
    ck_assert_int_eq(err.code, code);
    has(text);
    ck_assert_ptr_null(tile_device_open(name, NULL));
    ck_assert_int_eq(fake->contexts, 0);
    ck_assert_int_eq(fake->depth, 0);
}

START_TEST(opening)
{
    tile_device *d = open_device();
    const cuda_device *c = d->state;
    ck_assert_str_eq(d->name, "cuda:0");
    ck_assert_str_eq(c->arch, "sm_90a");
    ck_assert_ptr_nonnull(d->backend);
    ck_assert(str_eq(d->target.name, S("cuda:sm_90a")));
    ck_assert_int_eq(c->multiprocessors, 132);
    ck_assert_int_eq(fake->contexts, 1);
    tile_device_close(d);
    fake->major = 8, fake->minor = 7; /* runs the code of the newest older chip */
    d = open_device();
    ck_assert(str_eq(d->target.name, S("cuda:sm_86")));
    ck_assert_str_eq(((const cuda_device *)d->state)->arch, "sm_87");
    tile_device_close(d);
    fake->major = 7, fake->minor = 0; /* has memory and streams, no code */
    d = open_device();
    ck_assert_ptr_null(d->backend);
    tile_module *m = tile_module_from_string(d, "k.tir", source, NULL, &err);
    tile_kernel *k = tile_kernel_find(m, "k", &err);
    int64_t sizes[2] = {1, 8};
    tile_tensor t = tile_tensor_of(folder, TILE_F16, 2, sizes);
    tile_arg args[] = {tile_arg_tensor(&t), tile_arg_int(1), tile_arg_ptr(folder, TILE_F32)};
    ck_assert_int_eq(tile_launch(k, NULL, NULL, args, 3, &err), TILE_E_SOURCE);
    has("no code generator for device 'cuda:0'");
    tile_module_close(m);
    tile_device_close(d);
    check_clean();
}
END_TEST

START_TEST(not_opening)
{
    refused("cuda:x", TILE_E_MISSING, "unknown device 'cuda:x', expected one of 'cpu', 'interp', 'cuda:N'");
    refused("cuda:", TILE_E_MISSING, "unknown device");
    refused("cpu:0", TILE_E_MISSING, "unknown device");
    refused("cuda:1", TILE_E_DEVICE, "cannot open device 'cuda:1': there is 1 device, cuda:0");
    fake->devices = 3;
    refused("cuda:3", TILE_E_DEVICE, "there are 3 devices, cuda:0 to cuda:2");
    fake->version = 11080;
    refused("cuda", TILE_E_DEVICE, "the driver is too old: it is for CUDA 11.8, 12.0 or later is needed");
    fake->version = 12040;
    fake->devices = 0;
    refused("cuda", TILE_E_DEVICE, "the driver is there, but finds no device");
    fails("cuInit", 100);
    refused("cuda", TILE_E_DEVICE, "finds no device");
    fails("cuInit", 999);
    refused("cuda", TILE_E_DEVICE, "cuInit: CUDA_ERROR_UNKNOWN: unknown error");
    fake->devices = 1;
    fails("cuDevicePrimaryCtxRetain", 46);
    refused("cuda", TILE_E_DEVICE, "cuDevicePrimaryCtxRetain: CUDA_ERROR_DEVICE_UNAVAILABLE");
    fails("cuDevicePrimaryCtxRetain", 700);
    refused("cuda", TILE_E_DEVICE, "only a new process can use the device");
    fails("cuStreamCreate", 2);
    refused("cuda", TILE_E_DEVICE, "cuStreamCreate: CUDA_ERROR_OUT_OF_MEMORY");
    fake->fails[0] = 0;
    strcpy(fake->missing, "cuLaunchKernelEx");
    refused("cuda", TILE_E_DEVICE, "has no 'cuLaunchKernelEx': a driver of CUDA 12.0 or later is needed");
    setenv("TILE_CUDA_LIBRARY", "libm.so.6", 1);
    refused("cuda", TILE_E_DEVICE, "'libm.so.6' has no 'cuGetProcAddress_v2'");
    setenv("TILE_CUDA_LIBRARY", "/nowhere/libcuda.so.1", 1);
    refused("cuda", TILE_E_DEVICE, "no NVIDIA driver: /nowhere/libcuda.so.1");
}
END_TEST

/* ---- memory ---- */

START_TEST(memory)
{
    tile_device *d = open_device();
    char in[100], out[100];
    for (int i = 0; i < 100; i++)
        in[i] = (char)i;
    char *p = tile_alloc(d, 100, &err), *q = tile_alloc(d, 0, &err);
    ck_assert(p && q && p != q);
    ck_assert_uint_eq(fake->used, 101);
    ck_assert_int_eq(tile_write(d, p, in, 100, &err), TILE_OK);
    ck_assert_int_eq(tile_copy(d, NULL, p + 50, p, 10, &err), TILE_OK);
    ck_assert_int_eq(tile_fill(d, NULL, p + 90, 7, 10, &err), TILE_OK);
    ck_assert_int_eq(tile_read(d, out, p, 100, &err), TILE_OK);
    ck_assert(out[49] == 49 && out[50] == 0 && out[59] == 9 && out[60] == 60 && out[89] == 89 && out[99] == 7);
    ck_assert_int_eq(tile_read(d, out, p, -1, &err), TILE_E_ARGUMENT);
    ck_assert_int_eq(tile_fill(d, NULL, p, 0, -1, NULL), TILE_E_ARGUMENT);
    ck_assert_ptr_null(tile_alloc(d, 2 << 20, &err));
    ck_assert_int_eq(err.code, TILE_E_MEMORY);
    has("no memory for 2097152 bytes on device 'cuda:0' (Fake H1): 1048475 of its 1048576 bytes are free");
    ck_assert_ptr_null(tile_alloc(d, -1, NULL));
    fails("cuMemcpyDtoH_v2", 1);
    ck_assert_int_eq(tile_read(d, out, p, 1, &err), TILE_E_DEVICE);
    has("cuMemcpyDtoH: CUDA_ERROR_INVALID_VALUE: invalid argument");
    fake->fails[0] = 0;
    ck_assert_int_eq(tile_read(d, out, p, 1, &err), TILE_OK); /* no lasting fault */
    tile_free(d, p);
    tile_free(d, q);
    tile_free(d, NULL);
    tile_device_close(d);
    check_clean();
}
END_TEST

/* ---- the whole way, by tile.h ---- */

typedef struct whole {
    tile_device *d;
    tile_module *m;
    tile_kernel *k;
    char *x, *p;
    tile_tensor t;
    tile_arg args[3];
} whole;

static void whole_open(whole *w)
{
    static const int64_t sizes[2] = {1000, 8};
    w->d = open_device();
    w->m = tile_module_from_string(w->d, "k.tir", source, NULL, &err);
    ck_assert_msg(w->m != NULL, "%s", err.text);
    w->k = tile_kernel_find(w->m, "k", &err);
    ck_assert_msg(w->k != NULL, "%s", err.text);
    w->x = tile_alloc(w->d, 16000, &err);
    w->p = tile_alloc(w->d, 4, &err);
    w->t = tile_tensor_of(w->x, TILE_F16, 2, sizes);
    w->args[0] = tile_arg_tensor(&w->t);
    w->args[1] = tile_arg_int(41);
    w->args[2] = tile_arg_ptr(w->p, TILE_F32);
    w->args[2].bytes = 4;
    fake->nslots = 10;
}

static void whole_close(whole *w)
{
    tile_free(w->d, w->x);
    tile_free(w->d, w->p);
    tile_module_close(w->m);
    tile_device_close(w->d);
}

static int go(whole *w, tile_stream *s)
{
    w->args[0].u.t = &w->t;
    return tile_launch(w->k, s, NULL, w->args, 3, &err);
}

START_TEST(launching)
{
    whole w;
    tile_kernel_stats st;
    whole_open(&w);
    ck_assert_int_eq(tile_kernel_info(w.k, &st, &err), TILE_E_ARGUMENT);
    ck_assert_msg(go(&w, NULL) == TILE_OK, "%s", err.text);
    ck_assert_int_eq(tile_sync(w.d, &err), TILE_OK);
    ck_assert_int_eq(fake->launches, 1);
    const fake_launch *l = &fake->launch[0];
    ck_assert_uint_eq(l->grid[0], 264); /* 2 blocks on each of 132, not 1000 rows */
    ck_assert_uint_eq(l->block[0], 128);
    ck_assert_ptr_nonnull(strstr(fake->image, ".entry k("));
    const uint64_t want[10] = {264, 1, 1, (uint64_t)(uintptr_t)w.x, 1000, 8, 8, 1, 41, (uint64_t)(uintptr_t)w.p};
    ck_assert_mem_eq(l->slots, want, sizeof want);
    ck_assert_int_eq(tile_kernel_info(w.k, &st, &err), TILE_OK);
    ck_assert(st.registers == 40 && st.threads == 128 && st.cluster == 1 && st.blocks_per_multiprocessor == 2);
    const int64_t grid[3] = {3, 2, 1};
    ck_assert_int_eq(tile_launch(w.k, NULL, grid, w.args, 3, NULL), TILE_OK);
    ck_assert(fake->launch[1].grid[0] == 3 && fake->launch[1].grid[1] == 2);
    ck_assert_int_eq(fake->texts, 1); /* one variant, whatever the arguments */
    whole_close(&w);
    check_clean();
}
END_TEST

START_TEST(other_chip)
{
    whole w;
    fake->minor = 0, fake->major = 8;
    whole_open(&w);
    ck_assert_int_eq(go(&w, NULL), TILE_E_SOURCE);
    has("this IR is laid out for target 'cuda:sm_90a', not for 'cuda:sm_80'");
    whole_close(&w);
    check_clean();
    /* the interpreter takes it whatever the target, the CPU doesn't */
    static const char *const devices[] = {"interp", "cpu"};
    for (int i = 0; i < 2; i++) {
        float x[8] = {0}, p = 0;
        int64_t sizes[2] = {1, 8};
        tile_device *d = tile_device_open(devices[i], &err);
        tile_module *m = tile_module_from_string(d, "k.tir", source, NULL, &err);
        tile_tensor t = tile_tensor_of(x, TILE_F16, 2, sizes);
        tile_arg args[] = {tile_arg_tensor(&t), tile_arg_int(41), tile_arg_ptr(&p, TILE_F32)};
        int code = tile_launch(tile_kernel_find(m, "k", &err), NULL, NULL, args, 3, &err);
        ck_assert_int_eq(code, i ? TILE_E_SOURCE : TILE_OK);
        ck_assert(p == (i ? 0.0f : 41.0f));
        tile_module_close(m);
        tile_device_close(d);
    }
    has("laid out for target 'cuda:sm_90a', not for 'cpu'");
}
END_TEST

START_TEST(streams)
{
    whole w;
    double s = 0;
    whole_open(&w);
    tile_stream *a = tile_stream_create(w.d, &err), *b = tile_stream_create(w.d, &err);
    ck_assert(a && b && fake->streams == 3);
    ck_assert_int_eq(go(&w, a), TILE_OK);
    ck_assert_ptr_eq(fake->launch[0].stream, a->handle);
    tile_event *e = tile_event_create(w.d, &err), *f = tile_event_create(w.d, &err);
    ck_assert_int_eq(tile_event_sync(e, &err), TILE_E_ARGUMENT);
    has("the event has not been recorded");
    ck_assert_int_eq(tile_event_record(e, a, &err), TILE_OK);
    ck_assert_int_eq(tile_stream_wait(w.d, b, e, &err), TILE_OK);
    ck_assert_int_eq(go(&w, b), TILE_OK);
    ck_assert_ptr_eq(fake->launch[1].stream, b->handle);
    ck_assert_int_eq(tile_event_elapsed(e, f, &s, &err), TILE_E_ARGUMENT);
    ck_assert_int_eq(tile_event_record(f, b, &err), TILE_OK);
    ck_assert_int_eq(tile_event_elapsed(e, f, &s, &err), TILE_OK);
    ck_assert(s == 0.0005);
    ck_assert_int_eq(tile_stream_sync(w.d, a, &err), TILE_OK);
    ck_assert_int_eq(tile_stream_sync(w.d, NULL, &err), TILE_OK);
    tile_device *other = tile_device_open("cpu", &err);
    ck_assert_int_eq(tile_stream_sync(other, a, &err), TILE_E_ARGUMENT);
    has("the stream belongs to device 'cuda:0', not to 'cpu'");
    ck_assert_int_eq(tile_stream_wait(other, NULL, e, &err), TILE_E_ARGUMENT);
    has("the event belongs to device 'cuda:0', not to 'cpu'");
    ck_assert_ptr_null(tile_stream_wrap(other, a, &err));
    ck_assert_ptr_null(tile_stream_native(other, a));
    tile_device_close(other);
    ck_assert_ptr_eq(tile_stream_native(w.d, a), a->handle);
    ck_assert_ptr_nonnull(tile_stream_native(w.d, NULL));
    /* a stream from elsewhere is used, and left */
    int made = fake->streams;
    tile_stream *c = tile_stream_wrap(w.d, b->handle, &err);
    ck_assert_ptr_eq(tile_stream_native(w.d, c), b->handle);
    ck_assert_int_eq(go(&w, c), TILE_OK);
    ck_assert_ptr_eq(fake->launch[2].stream, b->handle);
    tile_stream_destroy(c);
    ck_assert_int_eq(fake->streams, made);
    tile_stream_destroy(a);
    tile_stream_destroy(b);
    tile_stream_destroy(NULL);
    tile_event_destroy(e);
    tile_event_destroy(f);
    fails("cuStreamCreate", 2);
    ck_assert_ptr_null(tile_stream_create(w.d, &err));
    ck_assert_int_eq(err.code, TILE_E_MEMORY);
    fails("cuEventCreate", 1);
    ck_assert_ptr_null(tile_event_create(w.d, NULL));
    fake->fails[0] = 0;
    whole_close(&w);
    check_clean();
}
END_TEST

START_TEST(capture)
{
    whole w;
    char out = 0;
    whole_open(&w);
    ck_assert_int_eq(tile_capture_begin(w.d, NULL, &err), TILE_OK);
    ck_assert_int_eq(go(&w, NULL), TILE_E_ARGUMENT);
    has("kernel 'k' is not prepared for this launch: call tile_prepare");
    ck_assert_int_eq(tile_capture_begin(w.d, NULL, &err), TILE_E_ARGUMENT);
    has("a capture on a stream that is being captured");
    ck_assert_int_eq(tile_stream_sync(w.d, NULL, &err), TILE_E_ARGUMENT);
    ck_assert_int_eq(tile_sync(w.d, &err), TILE_E_ARGUMENT);
    has("while a stream of the device is being captured");
    ck_assert_int_eq(tile_read(w.d, &out, w.p, 1, &err), TILE_E_ARGUMENT);
    ck_assert_int_eq(tile_write(w.d, w.p, &out, 1, &err), TILE_E_ARGUMENT);
    tile_graph *empty = tile_capture_end(w.d, NULL, &err);
    ck_assert_ptr_nonnull(empty);
    ck_assert_ptr_null(tile_capture_end(w.d, NULL, &err));
    has("the stream is not being captured");
    ck_assert_int_eq(tile_prepare(w.k, NULL, NULL, w.args, 3, &err), TILE_OK);
    ck_assert_int_eq(fake->launches, 0);
    ck_assert_int_eq(fake->texts, 1);
    ck_assert_int_eq(tile_capture_begin(w.d, NULL, &err), TILE_OK);
    ck_assert_msg(go(&w, NULL) == TILE_OK, "%s", err.text);
    ck_assert_int_eq(tile_fill(w.d, NULL, w.p, 9, 4, &err), TILE_OK);
    ck_assert_int_eq(tile_copy(w.d, NULL, w.x, w.p, 4, &err), TILE_OK);
    tile_graph *g = tile_capture_end(w.d, NULL, &err);
    ck_assert_ptr_nonnull(g);
    ck_assert_int_eq(fake->captured, 3);
    ck_assert_int_eq(fake->launches, 0);
    for (int i = 1; i < 4; i++) {
        ck_assert_int_eq(tile_graph_replay(g, NULL, &err), TILE_OK);
        ck_assert_int_eq(fake->launches, i);
    }
    ck_assert_uint_eq(fake->launch[0].slots[8], 41);
    ck_assert_int_eq(tile_read(w.d, &out, w.x, 1, &err), TILE_OK);
    ck_assert_int_eq(out, 9);
    fails("cuGraphLaunch", 1);
    ck_assert_int_eq(tile_graph_replay(g, NULL, &err), TILE_E_DEVICE);
    has("cuGraphLaunch: CUDA_ERROR_INVALID_VALUE");
    tile_graph_destroy(g);
    tile_graph_destroy(empty);
    tile_graph_destroy(NULL);
    fails("cuGraphInstantiateWithFlags", 1);
    ck_assert_int_eq(tile_capture_begin(w.d, NULL, &err), TILE_OK);
    ck_assert_ptr_null(tile_capture_end(w.d, NULL, &err));
    has("cuGraphInstantiateWithFlags");
    fake->fails[0] = 0;
    tile_stream *s = tile_stream_create(w.d, &err); /* ended in the middle of a capture */
    ck_assert_int_eq(tile_capture_begin(w.d, s, &err), TILE_OK);
    tile_stream_destroy(s);
    ck_assert_int_eq(tile_sync(w.d, &err), TILE_OK);
    whole_close(&w);
    check_clean();
}
END_TEST

/* ---- faults that stay ---- */

START_TEST(illegal_access)
{
    whole w;
    char byte = 0;
    whole_open(&w);
    ck_assert_int_eq(go(&w, NULL), TILE_OK);
    fails("cuCtxSynchronize", 700);
    ck_assert_int_eq(tile_sync(w.d, &err), TILE_E_FAULT);
    has("the device faulted: an access to an illegal address, in kernel 'k' (CUDA_ERROR_ILLEGAL_ADDRESS: an illegal "
        "memory access was encountered)");
    tile_error first = err;
    fake->fails[0] = 0; /* whatever the driver says now */
    ck_assert_int_eq(tile_sync(w.d, &err), TILE_E_FAULT);
    ck_assert_str_eq(err.text, first.text);
    ck_assert_int_eq(go(&w, NULL), TILE_E_FAULT);
    ck_assert_str_eq(err.text, first.text);
    ck_assert_int_eq(tile_read(w.d, &byte, w.p, 1, &err), TILE_E_FAULT);
    ck_assert_int_eq(tile_fill(w.d, NULL, w.p, 0, 1, &err), TILE_E_FAULT);
    ck_assert_ptr_null(tile_alloc(w.d, 1, &err));
    ck_assert_int_eq(err.code, TILE_E_FAULT);
    ck_assert_ptr_null(tile_stream_create(w.d, &err));
    ck_assert_ptr_null(tile_event_create(w.d, &err));
    ck_assert_int_eq(fake->launches, 1);
    whole_close(&w);
    check_clean();
    w.d = open_device(); /* a fresh context works */
    ck_assert_int_eq(tile_sync(w.d, &err), TILE_OK);
    tile_device_close(w.d);
}
END_TEST

START_TEST(lost)
{
    whole w;
    whole_open(&w);
    char byte = 0;
    ck_assert_int_eq(go(&w, NULL), TILE_OK);
    ck_assert_int_eq(tile_read(w.d, &byte, w.p, 1, &err), TILE_OK); /* so that one is done */
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(go(&w, NULL), TILE_OK);
    fake->sticky = 719;
    ck_assert_int_eq(go(&w, NULL), TILE_E_FAULT); /* comes back from the next launch */
    has("a launch that failed on the device, in one of the last 3 launches, the newest of kernel 'k' "
        "(CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure)");
    fake->sticky = 0;
    whole_close(&w);
    check_clean();
    whole_open(&w);
    ck_assert_int_eq(go(&w, NULL), TILE_OK);
    ck_assert_int_eq(tile_sync(w.d, &err), TILE_OK); /* from here on it was no kernel */
    fake->sticky = 999;
    ck_assert_int_eq(tile_sync(w.d, &err), TILE_E_DEVICE);
    ck_assert_str_eq(err.text, "the device is lost (CUDA_ERROR_UNKNOWN: unknown error)");
    fake->sticky = 0;
    whole_close(&w);
    check_clean();
}
END_TEST

/* ---- sessions: arrays go there and come back ---- */

static void add_one(const fake_launch *l)
{
    float *p = (float *)(uintptr_t)l->slots[9];
    *p += 1;
}

START_TEST(sessions)
{
    const str args[] = {S("a=zeros:f16[4,8]"), S("n=3"), S("p=arange:f32[1]")};
    rt_session_request q = {.path = S("k.tir"), .kernel = S("k"), .text = source, .args = args, .nargs = 3};
    double at[4] = {0};
    tile_device *d = open_device();
    fake->nslots = 10;
    fake->kernel = add_one;
    rt_session *s = rt_session_open(d, &q, &err);
    ck_assert_msg(s != NULL, "%s", err.text);
    ck_assert_int_eq(fake->blocks_of_memory, 2);
    ck_assert_msg(rt_session_launch(s, &err), "%s", err.text);
    ck_assert(*(float *)rt_session_array(s, S("p"))->data == 1.0f);
    ck_assert(rt_session_repeat(s, 4, at, &err));
    for (int i = 0; i < 4; i++)
        ck_assert(at[i] == 0.0005);
    ck_assert(*(float *)rt_session_array(s, S("p"))->data == 5.0f);
    arena a;
    strbuf b;
    arena_init(&a, 0);
    sb_init(&b, &a);
    rt_session_code(s, &b);
    ck_assert_str_eq(sb_cstr(&b),
                     "code: 40 registers, 16 bytes spilled, 128 threads, 0 bytes of shared memory, 2 blocks "
                     "a multiprocessor\n");
    arena_fini(&a);
    rt_session_close(s);
    fake->memory = 40;
    ck_assert_ptr_null(rt_session_open(d, &q, &err));
    ck_assert_int_eq(err.code, TILE_E_MEMORY);
    tile_device_close(d);
    check_clean();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cuda");
    TCase *t = tcase_create("fake");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, opening);
    tcase_add_test(t, not_opening);
    tcase_add_test(t, memory);
    tcase_add_test(t, launching);
    tcase_add_test(t, other_chip);
    tcase_add_test(t, streams);
    tcase_add_test(t, capture);
    tcase_add_test(t, illegal_access);
    tcase_add_test(t, lost);
    tcase_add_test(t, sessions);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
