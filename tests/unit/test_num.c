/* test_num.c: the narrow float formats, every pattern of those of 8 and 16 bits, and conversions against the
 * compiler's own. */
#include "base/base.h"
#include "compiler/types.h"

#include <check.h>
#include <math.h>
#include <string.h>

static uint64_t mix(uint64_t i)
{
    return hash_mix(i, 12345);
}

START_TEST(patterns_round_trip)
{
    static const num_fmt narrow[] = {NUM_F16, NUM_BF16, NUM_F8E4M3, NUM_F8E5M2, NUM_F8E4M3FNUZ, NUM_F8E5M2FNUZ};
    for (size_t k = 0; k < COUNTOF(narrow); k++) {
        num_fmt f = narrow[k];
        uint64_t n = k < 2 ? 65536 : 256;
        for (uint64_t b = 0; b < n; b++) {
            double x = num_decode(f, b);
            uint64_t e = num_encode(f, x), z = num_encode_rtz(f, x);
            if (isnan(x)) {
                ck_assert(isnan(num_decode(f, e)));
            } else if (isinf(x) && f == NUM_F8E5M2) {
                ck_assert_double_eq(fabs(num_decode(f, e)), 57344); /* saturates */
            } else {
                ck_assert_uint_eq(e, b);
                ck_assert_uint_eq(z, b);
            }
        }
    }
}
END_TEST

START_TEST(ties_go_to_even)
{
    static const num_fmt narrow[] = {NUM_F16, NUM_BF16, NUM_F8E4M3, NUM_F8E5M2};
    static const uint64_t most[] = {0x7bff, 0x7f7f, 0x7e, 0x7b};
    for (size_t k = 0; k < COUNTOF(narrow); k++)
        for (uint64_t b = 0; b < most[k]; b++) {
            double lo = num_decode(narrow[k], b), hi = num_decode(narrow[k], b + 1), mid = lo + (hi - lo) / 2;
            ck_assert_uint_eq(num_encode(narrow[k], mid), b & 1 ? b + 1 : b);
            ck_assert_uint_eq(num_encode(narrow[k], nextafter(mid, hi)), b + 1);
            ck_assert_uint_eq(num_encode(narrow[k], nextafter(mid, lo)), b);
            ck_assert_uint_eq(num_encode_rtz(narrow[k], nextafter(hi, lo)), b);
        }
}
END_TEST

START_TEST(edges)
{
    ck_assert_uint_eq(num_encode(NUM_F16, 65520), 0x7c00);
    ck_assert_uint_eq(num_encode(NUM_F16, 65519.99), 0x7bff);
    ck_assert_uint_eq(num_encode_rtz(NUM_F16, 1e9), 0x7bff);
    ck_assert_uint_eq(num_encode(NUM_F8E4M3, 1e9), 0x7e);
    ck_assert_uint_eq(num_encode(NUM_F8E4M3, -INFINITY), 0xfe);
    ck_assert_uint_eq(num_encode(NUM_F8E4M3FNUZ, -0.0), 0);
    ck_assert_uint_eq(num_encode(NUM_F8E4M3FNUZ, NAN), 0x80);
    ck_assert_uint_eq(num_encode(NUM_F32, 0x1p-150), 0);
    ck_assert_uint_eq(num_encode(NUM_F32, 0x1.8p-150), 1);
    ck_assert_double_eq(num_ulps(NUM_F32, 1 + 0x1p-22, 1), 2);
    ck_assert_double_eq(num_ulps(NUM_F32, INFINITY, 0x1p128), 0);
    ck_assert(isinf(num_ulps(NUM_F32, NAN, 1)));
    ck_assert_double_eq(num_ulps(NUM_F16, NAN, NAN), 0);
}
END_TEST

START_TEST(f32_as_the_machine)
{
    for (uint64_t i = 0; i < 2000000; i++) {
        uint64_t w = mix(i);
        double d;
        memcpy(&d, &w, sizeof d);
        if (i & 1) { /* near f32's range */
            uint32_t u = (uint32_t)w;
            float near;
            memcpy(&near, &u, sizeof near);
            d = (double)near * (1 + (double)(w >> 40) * 0x1p-60);
        }
        float want = (float)d;
        uint32_t bits;
        memcpy(&bits, &want, sizeof bits);
        if (isnan(d))
            ck_assert(isnan(num_decode(NUM_F32, num_encode(NUM_F32, d))));
        else
            ck_assert_uint_eq(num_encode(NUM_F32, d), bits);
    }
}
END_TEST

START_TEST(casts_between_all)
{
    for (int from = 1; from < DT_COUNT; from++)
        for (int to = 1; to < DT_COUNT; to++)
            for (uint64_t i = 0; i < 3000; i++) {
                uint64_t x = dt_wrap((dtype)from, i < 8 ? (uint64_t)0 - i : mix(i) >> (i % 50)),
                         y = dt_cast((dtype)from, (dtype)to, x, false);
                ck_assert_uint_eq(y, dt_wrap((dtype)to, y));
                if (from == to)
                    ck_assert_uint_eq(x, y);
                if (dt_is_int((dtype)from) && dt_is_int((dtype)to))
                    ck_assert_uint_eq(y, dt_wrap((dtype)to, (uint64_t)dt_int((dtype)from, x)));
                if (dt_is_int((dtype)from) && to == DT_F32) {
                    float f =
                        dt_is_signed((dtype)from) ? (float)dt_int((dtype)from, x) : (float)dt_wrap((dtype)from, x);
                    ck_assert_double_eq(dt_float(DT_F32, y), (double)f);
                }
                if (dt_is_int((dtype)from) && to == DT_F64) {
                    double f =
                        dt_is_signed((dtype)from) ? (double)dt_int((dtype)from, x) : (double)dt_wrap((dtype)from, x);
                    ck_assert_double_eq(dt_float(DT_F64, y), f);
                }
            }
    ck_assert_uint_eq(dt_cast(DT_F32, DT_I8, num_encode(NUM_F32, -1e9), false), 0x80);
    ck_assert_uint_eq(dt_cast(DT_F32, DT_U8, num_encode(NUM_F32, -5), false), 0);
    ck_assert_uint_eq(dt_cast(DT_F32, DT_I64, num_encode(NUM_F32, NAN), false), 0);
    ck_assert_uint_eq(dt_cast(DT_F64, DT_U64, num_encode(NUM_F64, 1e30), false), UINT64_MAX);
    ck_assert_uint_eq(dt_cast(DT_F32, DT_I32, num_encode(NUM_F32, -1.9), false), 0xffffffff);
    ck_assert_uint_eq(dt_cast(DT_I64, DT_F32, 0x7fffffbfffffffff, false), num_encode(NUM_F32, 0x1.fffffep62));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("num");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, patterns_round_trip);
    tcase_add_test(t, ties_go_to_even);
    tcase_add_test(t, edges);
    tcase_add_test(t, f32_as_the_machine);
    tcase_add_test(t, casts_between_all);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
