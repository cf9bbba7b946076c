/* test_npy.c: .npy files: what is written reads back; versions, byte order, column-major; what is wrong is refused. */
#include "runtime/npy.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static arena a;

static void setup(void)
{
    arena_init(&a, 0);
}

static void teardown(void)
{
    arena_fini(&a);
}

/* a file of that version with this dict and these bytes */
static str file_of(int version, const char *dict, const void *data, size_t n)
{
    strbuf b;
    size_t len = strlen(dict);
    sb_init(&b, &a);
    sb_put(&b, S("\x93NUMPY"));
    sb_putc(&b, (char)version);
    sb_putc(&b, 0);
    sb_putc(&b, (char)(len & 255));
    sb_putc(&b, (char)(len >> 8));
    if (version > 1)
        sb_put(&b, (str){"\0\0", 2});
    sb_puts(&b, dict);
    sb_put(&b, (str){data, n});
    return sb_str(&b);
}

START_TEST(every_dtype_reads_back)
{
    for (int dt = DT_BOOL; dt < DT_COUNT; dt++) {
        unsigned char bytes[6 * 8];
        npy_array x = {(dtype)dt, 2, {2, 3}, 6, bytes}, y;
        str err;
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = dt == DT_BOOL ? (unsigned char)(i & 1) : (unsigned char)(i * 37 + 11);
        bool raw = dt == DT_BF16 || dtypes[dt].kind == DK_F8;
        ck_assert_msg(npy_parse(&a, npy_format(&a, &x), raw ? (dtype)dt : DT_NONE, &y, &err), "%s", dtypes[dt].name);
        ck_assert_int_eq(y.dt, dt);
        ck_assert_int_eq(y.rank, 2);
        ck_assert_int_eq(y.shape[0], 2);
        ck_assert_int_eq(y.shape[1], 3);
        ck_assert_mem_eq(y.data, bytes, 6 * (size_t)dt_bytes((dtype)dt));
    }
}
END_TEST

START_TEST(elements_start_at_64)
{
    float one = 1;
    npy_array x = {DT_F32, 0, {0}, 1, &one};
    str f = npy_format(&a, &x);
    ck_assert_uint_eq(f.n % 64, 4);
    ck_assert_mem_eq(f.p + f.n - 4, &one, 4);
    ck_assert_int_eq(f.p[f.n - 5], '\n');
}
END_TEST

START_TEST(versions_and_shapes)
{
    const int16_t v[3] = {1, -2, 3};
    npy_array y;
    str err;
    for (int version = 1; version <= 3; version++) {
        ck_assert(npy_parse(&a, file_of(version, "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }", v, 6),
                            DT_NONE, &y, &err));
        ck_assert_int_eq(y.rank, 1);
        ck_assert_mem_eq(y.data, v, 6);
    }
    ck_assert(
        npy_parse(&a, file_of(1, "{'shape': (), 'fortran_order': False, 'descr': '<i2'}\n", v, 2), DT_NONE, &y, &err));
    ck_assert_int_eq(y.rank, 0);
    ck_assert_int_eq(y.count, 1);
    ck_assert(npy_parse(&a, file_of(1, "{'shape': (3, 0), 'fortran_order': False, 'descr': '<i2'}", v, 0), DT_NONE, &y,
                        &err));
    ck_assert_int_eq(y.count, 0);
}
END_TEST

START_TEST(column_major_and_big_endian)
{
    const unsigned char be[12] = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6};
    const uint16_t rows[6] = {1, 3, 5, 2, 4, 6}; /* columns 1 2 | 3 4 | 5 6 */
    npy_array y;
    str err;
    ck_assert(npy_parse(&a, file_of(1, "{'descr': '>u2', 'fortran_order': True, 'shape': (2, 3), }", be, 12), DT_NONE,
                        &y, &err));
    ck_assert_mem_eq(y.data, rows, sizeof rows);
}
END_TEST

START_TEST(raw_bits)
{
    const uint16_t bits[2] = {0x3f80, 0xc000};
    npy_array y;
    str err, f = file_of(1, "{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }", bits, 4);
    ck_assert(npy_parse(&a, f, DT_BF16, &y, &err));
    ck_assert(dt_float(y.dt, ((uint16_t *)y.data)[0]) == 1.0 && dt_float(y.dt, ((uint16_t *)y.data)[1]) == -2.0);
    ck_assert(!npy_parse(&a, f, DT_F32, &y, &err));
    f = file_of(1, "{'descr': '|V2', 'fortran_order': False, 'shape': (2,), }", bits, 4);
    ck_assert(npy_parse(&a, f, DT_BF16, &y, &err));
    ck_assert(!npy_parse(&a, f, DT_NONE, &y, &err));
}
END_TEST

START_TEST(wrong_files)
{
    static const char *const dicts[] = {
        "",
        "{",
        "{}",
        "[1]",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, x)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4"};
    char data[8] = {0};
    npy_array y;
    str err;
    for (size_t i = 0; i < COUNTOF(dicts); i++) {
        err = (str){0};
        ck_assert_msg(!npy_parse(&a, file_of(1, dicts[i], data, 8), DT_NONE, &y, &err), "%s", dicts[i]);
        ck_assert(err.n > 0);
    }
    str good = file_of(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", data, 8);
    ck_assert(npy_parse(&a, good, DT_NONE, &y, &err));
    for (size_t n = 0; n < good.n; n++)
        ck_assert(!npy_parse(&a, (str){good.p, n}, DT_NONE, &y, &err));
    ck_assert(!npy_parse(&a, file_of(4, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", data, 8), DT_NONE,
                         &y, &err));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("npy");
    TCase *c = tcase_create("npy");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, every_dtype_reads_back);
    tcase_add_test(c, elements_start_at_64);
    tcase_add_test(c, versions_and_shapes);
    tcase_add_test(c, column_major_and_big_endian);
    tcase_add_test(c, raw_bits);
    tcase_add_test(c, wrong_files);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
