/* test_launch.c: the public API: what it refuses, overlapping arguments, C functions, several threads, variants. */
#include "base/base.h"
#include "runtime/runtime.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char source[] =
    "kernel vadd(x: *f32, y: *f32, out: *f32, n: int, BLOCK: const = 64) grid(cdiv(n, BLOCK)):\n"
    "    i = program_id(0) * BLOCK + arange(0, BLOCK)\n"
    "    store(out + i, load(x + i, i < n) + load(y + i, i < n), i < n)\n"
    "\n"
    "kernel rows(x: strided f32[M, N], y: f32[M], BLOCK: const = 16) grid(M):\n"
    "    r = program_id(0)\n"
    "    y.scatter([r], sum(x[r].load([0], [BLOCK])))\n"
    "\n"
    "kernel copy(x: strided f32[M, N], y: strided f32[M, N]) grid(M):\n"
    "    r = program_id(0)\n"
    "    y[r].store([0], x[r].load([0], [8]))\n"
    "\n"
    "kernel wants(a: i8, b: u8, c: bool, d: f16, e: *f64, f: f32[N]) grid(1):\n"
    "    store(e, a.to(f64) + b.to(f64) + d.to(f64))\n";

static const char *const devices[] = {"interp", "cpu"};

static tile_error err;

static tile_module *load(const char *device, tile_device **dev)
{
    *dev = tile_device_open(device, &err);
    ck_assert_msg(*dev != NULL, "%s", err.text);
    tile_module *m = tile_module_from_string(*dev, "test.tile", source, NULL, &err);
    ck_assert_msg(m != NULL, "%s", err.text);
    return m;
}

static void refused(tile_kernel *k, const tile_arg *args, int n, tile_code code, const char *text)
{
    err.code = TILE_OK;
    ck_assert_int_eq(tile_launch(k, NULL, NULL, args, n, &err), code);
    ck_assert_int_eq(err.code, code);
    ck_assert_msg(strstr(err.text, text) != NULL, "expected '%s' in '%s'", text, err.text);
    ck_assert_int_eq(tile_launch(k, NULL, NULL, args, n, NULL), code);
}

START_TEST(opening)
{
    tile_device *dev;
    ck_assert_str_eq(tile_version(), TILE_VERSION);
    ck_assert_ptr_null(tile_device_open("toaster", &err));
    ck_assert_int_eq(err.code, TILE_E_MISSING);
    ck_assert_ptr_null(tile_device_open(NULL, NULL));
    tile_module *m = load(devices[_i], &dev);
    ck_assert_ptr_null(tile_kernel_find(m, "frob", &err));
    ck_assert_int_eq(err.code, TILE_E_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "'vadd', 'rows'"));
    ck_assert_ptr_eq(tile_kernel_find(m, "vadd", &err), tile_kernel_find(m, "vadd", &err));
    ck_assert_ptr_null(tile_module_from_file(dev, "missing.tile", NULL, &err));
    ck_assert_int_eq(err.code, TILE_E_MISSING);
    ck_assert_ptr_null(tile_module_from_string(dev, "wrong.tile", "kernel k(x *f32) grid(1):\n    pass\n", NULL, &err));
    ck_assert_int_eq(err.code, TILE_E_SOURCE);
    ck_assert_ptr_nonnull(strstr(err.text, "wrong.tile:1:"));
    const char *defs[] = {"BLOK=3"};
    tile_options opt = {.defines = defs, .ndefines = 1};
    ck_assert_ptr_null(tile_module_from_string(dev, "test.tile", source, &opt, &err));
    ck_assert_int_eq(err.code, TILE_E_SOURCE);
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean 'BLOCK'"));
    tile_module_close(m);
    tile_device_close(dev);
}
END_TEST

START_TEST(refusals)
{
    tile_device *dev;
    tile_module *m = load(devices[_i], &dev);
    tile_kernel *k = tile_kernel_find(m, "wants", &err);
    double out[2] = {0};
    float f[4] = {0};
    int64_t size = 4;
    tile_tensor t = tile_tensor_of(f, TILE_F32, 1, &size);
    const tile_arg good[] = {tile_arg_int(-128),  tile_arg_int(255),           tile_arg_int(1),
                             tile_arg_float(0.5), tile_arg_ptr(out, TILE_F64), tile_arg_tensor(&t)};
    tile_arg a[6];
    ck_assert_msg(tile_launch(k, NULL, NULL, good, 6, &err) == TILE_OK, "%s", err.text);
    ck_assert(out[0] == 127.5);
    refused(k, good, 5, TILE_E_ARGUMENT, "takes 6 arguments (a, b, c, d, e, f), found 5");
#define WITH(i, x, text)                                                                                               \
    do {                                                                                                               \
        memcpy(a, good, sizeof a);                                                                                     \
        a[i] = (x);                                                                                                    \
        refused(k, a, 6, TILE_E_ARGUMENT, text);                                                                       \
    } while (0)
    WITH(0, tile_arg_int(128), "argument 'a' of kernel 'wants': 128 does not fit 'i8'");
    WITH(0, tile_arg_float(1), "expected 'i8', found a float");
    WITH(0, tile_arg_none(), "found None");
    WITH(1, tile_arg_int(-1), "-1 does not fit 'u8'");
    WITH(2, tile_arg_int(2), "2 does not fit 'bool'");
    WITH(3, tile_arg_ptr(f, TILE_F32), "found a pointer");
    WITH(4, tile_arg_ptr(f, TILE_F32), "expected elements of 'f64', found 'f32'");
    WITH(4, tile_arg_ptr((char *)out + 4, TILE_F64), "not a multiple of its element's 8 bytes");
    WITH(4, tile_arg_ptr(NULL, TILE_F64), "found a null one");
    WITH(4, tile_arg_tensor(&t), "found a tensor");
    WITH(5, tile_arg_ptr(f, TILE_F32), "found a pointer");
    WITH(5, tile_arg_tensor(NULL), "found a null pointer");
    tile_tensor u = t;
    u.rank = 2;
    WITH(5, tile_arg_tensor(&u), "expected a tensor of rank 1");
    u = t;
    u.dtype = TILE_F16;
    WITH(5, tile_arg_tensor(&u), "expected elements of 'f32', found 'f16'");
    u.dtype = 99;
    WITH(5, tile_arg_tensor(&u), "99 is not an element type");
    u = t;
    u.strides[0] = 2;
    WITH(5, tile_arg_tensor(&u), "expected a last stride of 1, found 2");
    u = t;
    u.sizes[0] = -1;
    WITH(5, tile_arg_tensor(&u), "negative size");
    u = t;
    u.data = NULL;
    WITH(5, tile_arg_tensor(&u), "its data is a null pointer");
#undef WITH
    tile_module_close(m);
    tile_device_close(dev);
}
END_TEST

/* addresses that are no memory of this process: an error that names the argument, not a signal */
START_TEST(addresses)
{
    tile_device *dev;
    tile_module *m = load(devices[_i], &dev);
    tile_kernel *add = tile_kernel_find(m, "vadd", &err), *copy = tile_kernel_find(m, "copy", &err);
    float buf[64] = {0};
    char *none = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(none != MAP_FAILED);
    const uint64_t bad[] = {
        4, 4092, (uint64_t)(uintptr_t)none, (uint64_t)1 << 46, (uint64_t)0xffff << 48, UINT64_MAX - 3};
    tile_arg a[] = {tile_arg_ptr(buf, TILE_F32), tile_arg_ptr(buf, TILE_F32), tile_arg_ptr(buf, TILE_F32),
                    tile_arg_int(8)};
    for (size_t i = 0; i < COUNTOF(bad); i++)
        for (int k = 0; k < 3; k++) {
            tile_arg b[4];
            memcpy(b, a, sizeof b);
            b[k].u.p = (void *)(uintptr_t)bad[i];
            refused(add, b, 4, TILE_E_ARGUMENT,
                    k == 0   ? "argument 'x' of kernel 'vadd': this process has no memory at"
                    : k == 1 ? "argument 'y' of kernel 'vadd': this process has no memory at"
                             : "argument 'out' of kernel 'vadd': this process has no memory at");
        }
    a[0].bytes = (int64_t)1 << 40; /* it ends where nothing is */
    refused(add, a, 4, TILE_E_ARGUMENT, "argument 'x' of kernel 'vadd': this process has no memory at");
    int64_t shape[2] = {4, 4};
    tile_tensor x = tile_tensor_of(buf, TILE_F32, 2, shape), y = x;
    y.data = none;
    tile_arg t[] = {tile_arg_tensor(&x), tile_arg_tensor(&y)};
    refused(copy, t, 2, TILE_E_ARGUMENT, "argument 'y' of kernel 'copy': this process has no memory at");
    y.data = buf;
    y.strides[0] = (int64_t)1 << 40;
    refused(copy, t, 2, TILE_E_ARGUMENT, "argument 'y' of kernel 'copy': this process has no memory at");
    y.sizes[0] = x.sizes[0] = 0; /* without an element no address matters */
    y.data = none;
    ck_assert_msg(tile_launch(copy, NULL, NULL, t, 2, &err) == TILE_OK, "%s", err.text);
    munmap(none, 8192);
    tile_module_close(m);
    tile_device_close(dev);
}
END_TEST

START_TEST(grids)
{
    tile_device *dev;
    tile_module *m = load(devices[_i], &dev);
    tile_kernel *add = tile_kernel_find(m, "vadd", &err);
    float buf[64] = {0};
    tile_arg a[] = {tile_arg_ptr(buf, TILE_F32), tile_arg_ptr(buf, TILE_F32), tile_arg_ptr(buf, TILE_F32),
                    tile_arg_int(0)};
    const int64_t bad[][3] = {
        {0, 1, 1},         {1, 0, 1},         {1, 1, 0},         {-1, 1, 1},
        {1, INT64_MIN, 1}, {1LL << 31, 1, 1}, {65536, 65536, 1}, {INT64_MAX, INT64_MAX, INT64_MAX}};
    for (size_t i = 0; i < COUNTOF(bad); i++) {
        ck_assert_int_eq(tile_launch(add, NULL, bad[i], a, 4, &err), TILE_E_ARGUMENT);
        ck_assert_msg(strstr(err.text, "grid of kernel 'vadd'") != NULL, "%s", err.text);
    }
    ck_assert_msg(tile_launch(add, NULL, NULL, a, 4, &err) == TILE_OK, "%s", err.text); /* the header's is 0: nothing */
    a[3].u.i = INT64_MAX / 2;
    ck_assert_int_eq(tile_launch(add, NULL, NULL, a, 4, &err), TILE_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "is not below 2147483648 programs"));
    tile_module_close(m);
    tile_device_close(dev);
}
END_TEST

/* memory that the programs of a launch share: one block a launch, kept from one to the next */
START_TEST(shared_block)
{
    tile_device *dev = tile_device_open("cpu", &err);
    rt_host h;
    void *kept = NULL;
    for (int round = 0; round < 3; round++) {
        rt_host_init(&h, dev);
        ck_assert_ptr_null(h.abi.shared(&h.abi, -1, 8));
        ck_assert_ptr_null(h.abi.shared(&h.abi, 8, INT64_MAX));
        unsigned char *p = h.abi.shared(&h.abi, 100, 5000);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % 64, 0);
        ck_assert_ptr_eq(h.abi.shared(&h.abi, 100, 5000), p);
        ck_assert(!kept || kept == p);
        kept = p;
        for (int i = 0; i < 100; i++)
            ck_assert_uint_eq(p[i], 0);
        memset(p, 0xff, 5100);
        rt_host_fini(&h);
    }
    rt_host_init(&h, dev);
    ck_assert_ptr_nonnull(h.abi.shared(&h.abi, 0, 1 << 20));
    rt_host_fini(&h);
    tile_device_close(dev);
}
END_TEST

START_TEST(overlap)
{
    tile_device *dev;
    tile_module *m = load(devices[_i], &dev);
    tile_kernel *add = tile_kernel_find(m, "vadd", &err), *copy = tile_kernel_find(m, "copy", &err);
    float buf[64];
    for (int i = 0; i < 64; i++)
        buf[i] = (float)i;
    tile_arg a[] = {tile_arg_ptr(buf, TILE_F32), tile_arg_ptr(buf, TILE_F32), tile_arg_ptr(buf, TILE_F32),
                    tile_arg_int(8)};
    a[0].bytes = a[1].bytes = a[2].bytes = 32;
    ck_assert_msg(tile_launch(add, NULL, NULL, a, 4, &err) == TILE_OK, "%s", err.text); /* in place */
    ck_assert(buf[7] == 14);
    a[2].u.p = buf + 4;
    refused(add, a, 4, TILE_E_ARGUMENT, "overlap in part, and 'out' is written");
    a[2].u.p = buf + 16;
    a[1].u.p = buf + 4; /* two that are only read may */
    ck_assert_msg(tile_launch(add, NULL, NULL, a, 4, &err) == TILE_OK, "%s", err.text);
    int64_t sizes[2] = {4, 8};
    tile_tensor x = tile_tensor_of(buf, TILE_F32, 2, sizes), y;
    x.strides[0] = 16;
    y = x;
    y.data = buf + 8; /* the other half of the columns */
    tile_arg c[] = {tile_arg_tensor(&x), tile_arg_tensor(&y)};
    ck_assert_msg(tile_launch(copy, NULL, NULL, c, 2, &err) == TILE_OK, "%s", err.text);
    ck_assert(buf[3 * 16 + 8 + 7] == buf[3 * 16 + 7]);
    y.data = buf + 4;
    refused(copy, c, 2, TILE_E_ARGUMENT, "overlap");
    y.data = buf + 64 - 16; /* ends beyond, starts inside */
    refused(copy, c, 2, TILE_E_ARGUMENT, "overlap");
    tile_module_close(m);
    tile_device_close(dev);
}
END_TEST

START_TEST(strides)
{
    tile_device *dev;
    tile_module *m = load(devices[_i], &dev);
    tile_kernel *k = tile_kernel_find(m, "rows", &err);
    float x[48], y[16];
    int64_t n = 3;
    for (int i = 0; i < 48; i++)
        x[i] = (float)i;
    for (int64_t step = 1; step <= 9; step++) { /* more facts than there are variants */
        tile_tensor tx =
                        {
                            x, TILE_F32, 2, {3, 5}, {step % 2 ? 5 * step : 16, step},
                        },
                    ty = tile_tensor_of(y, TILE_F32, 1, &n);
        if (2 * tx.strides[0] + 4 * tx.strides[1] >= 48)
            tx.strides[0] = 1;
        tile_arg a[] = {tile_arg_tensor(&tx), tile_arg_tensor(&ty)};
        ck_assert_msg(tile_launch(k, NULL, NULL, a, 2, &err) == TILE_OK, "%s", err.text);
        for (int64_t r = 0; r < 3; r++) {
            float want = 0;
            for (int64_t c = 0; c < 5; c++)
                want += x[r * tx.strides[0] + c * tx.strides[1]];
            ck_assert(y[r] == want);
        }
    }
    tile_tensor none = {NULL, TILE_F32, 2, {0, 5}, {5, 1}};
    n = 0;
    tile_tensor empty = tile_tensor_of(NULL, TILE_F32, 1, &n);
    tile_arg a[] = {tile_arg_tensor(&none), tile_arg_tensor(&empty)};
    ck_assert_msg(tile_launch(k, NULL, NULL, a, 2, &err) == TILE_OK, "%s", err.text);
    tile_module_close(m);
    tile_device_close(dev);
}
END_TEST

/* a failure tells of itself, not of those before it */
START_TEST(errors_stand_alone)
{
    static const char text[] = "kernel k[T: (f32, i32)](x: *T, B: const = 4) grid(1):\n"
                               "    if T == i32:\n"
                               "        static_assert(B == 5, 'only floats')\n"
                               "    store(x + arange(0, B), full([B], 1, T))\n";
    tile_device *dev = tile_device_open(devices[_i], &err);
    tile_module *m = tile_module_from_string(dev, "alone.tile", text, NULL, &err);
    ck_assert_msg(m != NULL, "%s", err.text);
    tile_kernel *k = tile_kernel_find(m, "k", &err);
    int32_t i[4];
    float f[4] = {0};
    tile_arg a = tile_arg_ptr(i, TILE_I32);
    for (int round = 0; round < 2; round++) {
        refused(k, &a, 1, TILE_E_SOURCE, "only floats");
        ck_assert_ptr_null(strstr(strstr(err.text, "error:") + 1, "error:"));
    }
    a = tile_arg_ptr(f, TILE_F32);
    ck_assert_msg(tile_launch(k, NULL, NULL, &a, 1, &err) == TILE_OK, "%s", err.text);
    ck_assert(f[3] == 1);
    tile_module_close(m);
    tile_device_close(dev);
}
END_TEST

/* ---- several threads on one kernel ---- */

static void *launch_often(void *ctx)
{
    tile_kernel *k = ctx;
    float *p = malloc(3 * 1000 * sizeof *p);
    intptr_t bad = p == NULL;
    for (int round = 0; round < 20 && !bad; round++) {
        int n = 1000 - round * 7;
        tile_error e;
        for (int i = 0; i < 2000; i++)
            p[i] = (float)(i + round);
        tile_arg a[] = {tile_arg_ptr(p, TILE_F32), tile_arg_ptr(p + 1000, TILE_F32), tile_arg_ptr(p + 2000, TILE_F32),
                        tile_arg_int(n)};
        bad |= tile_launch(k, NULL, NULL, a, 4, &e) != TILE_OK;
        for (int i = 0; i < n; i++)
            bad |= p[2000 + i] != p[i] + p[1000 + i];
    }
    free(p);
    return (void *)bad;
}

START_TEST(threads)
{
    tile_device *dev;
    tile_module *m = load(devices[_i], &dev);
    tile_kernel *k = tile_kernel_find(m, "vadd", &err);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, launch_often, k), 0);
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        ck_assert_ptr_null(bad);
    }
    tile_module_close(m);
    tile_device_close(dev);
}
END_TEST

/* ---- C functions ---- */

static int foreign(tile_stream *s, const int64_t *grid, int64_t i, double f, float *p, const tile_tensor *t,
                   const void *none, tile_error *e)
{
    ck_assert_ptr_null(s);
    ck_assert_int_eq(grid[1], 8);
    ck_assert_ptr_null(none);
    ck_assert_ptr_eq(e, &err);
    p[0] = (float)((double)i + f) + (float)t->sizes[0];
    return 42;
}

START_TEST(c_functions)
{
    float p = 0;
    int64_t grid[3] = {7, 8, 9}, n = 5;
    tile_tensor t = tile_tensor_of(&p, TILE_F32, 1, &n);
    tile_arg a[] = {tile_arg_int(1LL << 40), tile_arg_float(0.5), tile_arg_ptr(&p, TILE_F32), tile_arg_tensor(&t),
                    tile_arg_none()};
    a[0].u.i = 100;
    ck_assert_int_eq(tile_call((tile_entry *)(void (*)(void))foreign, NULL, grid, a, 5, &err), 42);
    ck_assert(p == 105.5f);
    ck_assert_int_eq(tile_call((tile_entry *)(void (*)(void))foreign, NULL, grid, a, 1000, &err), TILE_E_ARGUMENT);
}
END_TEST

START_TEST(memory)
{
    tile_device *dev = tile_device_open(devices[_i], &err);
    const float x[3] = {1, 2, 3};
    float y[3] = {0};
    void *p = tile_alloc(dev, sizeof x, &err);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq((uintptr_t)p % 64, 0);
    ck_assert_int_eq(tile_write(dev, p, x, sizeof x, &err), TILE_OK);
    ck_assert_int_eq(tile_read(dev, y, p, sizeof x, &err), TILE_OK);
    ck_assert_mem_eq(x, y, sizeof x);
    ck_assert_int_eq(tile_read(dev, y, p, -1, &err), TILE_E_ARGUMENT);
    ck_assert_ptr_null(tile_alloc(dev, -1, &err));
    ck_assert_ptr_null(tile_alloc(dev, INT64_MAX, &err));
    ck_assert_int_eq(err.code, TILE_E_MEMORY);
    tile_free(dev, p);
    tile_device_close(dev);
    tile_device_close(NULL);
    tile_module_close(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("launch");
    TCase *c = tcase_create("launch");
    int n = (int)COUNTOF(devices);
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, opening, 0, n);
    tcase_add_loop_test(c, refusals, 0, n);
    tcase_add_loop_test(c, addresses, 0, n);
    tcase_add_loop_test(c, grids, 0, n);
    tcase_add_test(c, shared_block);
    tcase_add_loop_test(c, overlap, 0, n);
    tcase_add_loop_test(c, strides, 0, n);
    tcase_add_loop_test(c, errors_stand_alone, 0, n);
    tcase_add_loop_test(c, threads, 0, n);
    tcase_add_loop_test(c, memory, 0, n);
    tcase_add_test(c, c_functions);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
