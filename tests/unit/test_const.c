/* test_const.c: compile-time arithmetic: exact integers of 128 bits, doubles, bools, and what fits which dtype. */
#include "frontend/const.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

static const i128 most = (i128)(((u128)1 << 127) - 1), least = -(i128)(((u128)1 << 127) - 1) - 1;

static void gives(fe_op op, i128 x, i128 y, i128 want)
{
    const_num r;
    ck_assert_int_eq(const_binary(op, const_of_int(x), const_of_int(y), &r), CONST_OK);
    ck_assert_int_eq(r.kind, fe_op_is_cmp(op) ? CONST_BOOL : CONST_INT);
    ck_assert_msg(r.i == want, "%s", fe_op_text[op]);
}

static void fails(fe_op op, const_num x, const_num y, const_err want)
{
    const_num r;
    ck_assert_msg(const_binary(op, x, y, &r) == want, "%s", fe_op_text[op]);
}

START_TEST(integers)
{
    gives(FE_ADD, most - 1, 1, most);
    gives(FE_SUB, least + 1, 1, least);
    gives(FE_MUL, (i128)1 << 63, (i128)1 << 63, (i128)1 << 126);
    gives(FE_FLOORDIV, -7, 2, -3);
    gives(FE_MOD, -7, 2, -1);
    gives(FE_FLOORDIV, 7, -1, -7);
    gives(FE_MOD, least, -1, 0);
    gives(FE_SHL, 3, 100, (i128)3 << 100);
    gives(FE_SHL, 0, 1000, 0);
    gives(FE_SHR, -1, 500, -1);
    gives(FE_SHR, most, 500, 0);
    gives(FE_SHR, -8, 1, -4);
    gives(FE_AND, 12, 10, 8);
    gives(FE_OR, 12, 10, 14);
    gives(FE_XOR, 12, 10, 6);
    gives(FE_LT, least, most, 1);
    gives(FE_GE, least, most, 0);
}
END_TEST

START_TEST(integer_faults)
{
    const_num one = const_of_int(1), max = const_of_int(most), min = const_of_int(least), zero = const_of_int(0);
    fails(FE_ADD, max, one, CONST_OVERFLOW);
    fails(FE_SUB, min, one, CONST_OVERFLOW);
    fails(FE_MUL, max, const_of_int(2), CONST_OVERFLOW);
    fails(FE_FLOORDIV, min, const_of_int(-1), CONST_OVERFLOW);
    fails(FE_SHL, one, const_of_int(127), CONST_OVERFLOW);
    fails(FE_SHL, max, one, CONST_OVERFLOW);
    fails(FE_SHL, one, const_of_int(-1), CONST_BAD_SHIFT);
    fails(FE_SHR, one, const_of_int(-1), CONST_BAD_SHIFT);
    fails(FE_FLOORDIV, one, zero, CONST_ZERO_DIV);
    fails(FE_MOD, one, zero, CONST_ZERO_DIV);
    fails(FE_DIV, one, zero, CONST_ZERO_DIV);
    const_num r;
    ck_assert_int_eq(const_unary(FE_NEG, min, &r), CONST_OVERFLOW);
}
END_TEST

START_TEST(kinds)
{
    const_num t = const_of_bool(true), f = const_of_bool(false), half = const_of_float(0.5), two = const_of_int(2), r;
    ck_assert_int_eq(const_binary(FE_DIV, const_of_int(1), two, &r), CONST_OK);
    ck_assert(r.kind == CONST_FLOAT && r.f == 0.5);
    ck_assert(const_binary(FE_ADD, two, half, &r) == CONST_OK && r.f == 2.5);
    ck_assert(const_binary(FE_SUB, two, half, &r) == CONST_OK && r.f == 1.5);
    ck_assert(const_binary(FE_MUL, two, half, &r) == CONST_OK && r.f == 1.0);
    ck_assert(const_binary(FE_AND, t, f, &r) == CONST_OK && r.kind == CONST_BOOL && r.i == 0);
    ck_assert(const_binary(FE_OR, t, f, &r) == CONST_OK && r.i == 1);
    ck_assert(const_binary(FE_XOR, t, t, &r) == CONST_OK && r.i == 0);
    ck_assert(const_binary(FE_EQ, two, const_of_float(2.0), &r) == CONST_OK && r.i == 1);
    ck_assert(const_binary(FE_NE, const_of_float(NAN), const_of_float(NAN), &r) == CONST_OK && r.i == 1);
    ck_assert(const_binary(FE_LE, const_of_float(NAN), two, &r) == CONST_OK && r.i == 0);
    fails(FE_ADD, t, f, CONST_BAD_TYPE);
    fails(FE_ADD, t, two, CONST_BAD_TYPE);
    fails(FE_AND, t, half, CONST_BAD_TYPE);
    fails(FE_AND, two, half, CONST_BAD_TYPE);
    fails(FE_MOD, half, two, CONST_BAD_TYPE);
    ck_assert(const_unary(FE_NOT, half, &r) == CONST_OK && r.kind == CONST_BOOL && r.i == 0);
    ck_assert(const_unary(FE_INVERT, t, &r) == CONST_OK && r.i == 0);
    ck_assert(const_unary(FE_INVERT, two, &r) == CONST_OK && r.i == -3);
    ck_assert(const_unary(FE_NEG, half, &r) == CONST_OK && r.f == -0.5);
    ck_assert(const_unary(FE_POS, half, &r) == CONST_OK && r.f == 0.5);
    ck_assert_int_eq(const_unary(FE_INVERT, half, &r), CONST_BAD_TYPE);
    ck_assert_int_eq(const_unary(FE_NEG, t, &r), CONST_BAD_TYPE);
    ck_assert_int_eq(const_unary(FE_POS, t, &r), CONST_BAD_TYPE);
    ck_assert(const_truth(half) && !const_truth(f));
}
END_TEST

START_TEST(fits)
{
    uint64_t bits;
    static const dtype ints[] = {DT_I8, DT_I16, DT_I32, DT_I64, DT_U8, DT_U16, DT_U32, DT_U64};
    for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
        int w = dt_bits(ints[k]);
        bool s = dt_is_signed(ints[k]);
        i128 hi = ((i128)1 << (s ? w - 1 : w)) - 1, lo = s ? -hi - 1 : 0;
        ck_assert(const_fits(const_of_int(hi), ints[k], &bits) && const_fits(const_of_int(lo), ints[k], &bits));
        ck_assert(!const_fits(const_of_int(hi + 1), ints[k], &bits) &&
                  !const_fits(const_of_int(lo - 1), ints[k], &bits));
        ck_assert(!const_fits(const_of_float(1.0), ints[k], &bits) && const_fits(const_of_bool(true), ints[k], &bits));
        ck_assert_uint_eq(bits, 1);
    }
    ck_assert(const_fits(const_of_float(65504.0), DT_F16, &bits) && bits == 0x7bff);
    ck_assert(!const_fits(const_of_float(65536.0), DT_F16, &bits));
    ck_assert(const_fits(const_of_float(INFINITY), DT_F16, &bits) && bits == 0x7c00);
    ck_assert(const_fits(const_of_float(NAN), DT_F32, &bits));
    ck_assert(!const_fits(const_of_float(1e39), DT_BF16, &bits) && const_fits(const_of_float(1e38), DT_BF16, &bits));
    ck_assert(const_fits(const_of_float(448.0), DT_F8E4M3, &bits) &&
              !const_fits(const_of_float(1000.0), DT_F8E4M3, &bits));
    ck_assert(const_fits(const_of_int(1), DT_BOOL, &bits) && !const_fits(const_of_int(2), DT_BOOL, &bits));
    int64_t x;
    ck_assert(const_int_fits_i64(INT64_MIN, &x) && x == INT64_MIN && !const_int_fits_i64((i128)INT64_MAX + 1, &x));
}
END_TEST

START_TEST(texts)
{
    arena a;
    arena_init(&a, 0);
    ck_assert(str_eq(const_int_text(&a, least), S("-170141183460469231731687303715884105728")));
    ck_assert(str_eq(const_text(&a, const_of_int(0)), S("0")));
    ck_assert(str_eq(const_text(&a, const_of_bool(true)), S("True")));
    ck_assert(str_eq(const_text(&a, const_of_float(2)), S("2.0")));
    ck_assert(str_eq(const_text(&a, const_of_float(0.1)), S("0.1")));
    ck_assert(str_eq(const_text(&a, const_of_float(DBL_MAX)), S("1.7976931348623157e+308")));
    ck_assert(str_eq(const_text(&a, const_of_float(-INFINITY)), S("-inf")));
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("const");
    TCase *t = tcase_create("all");
    tcase_add_test(t, integers);
    tcase_add_test(t, integer_faults);
    tcase_add_test(t, kinds);
    tcase_add_test(t, fits);
    tcase_add_test(t, texts);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
