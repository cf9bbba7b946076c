/* test_aot_cpu.c: which level of an ahead-of-time object a machine takes, told from what processor and system answer:
 * the answers here are made up, with each needed bit taken away once.
 */
#include "runtime/aot.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* a Sapphire Rapids server, as far as it is looked at */
static const aot_x86 server = {.one_c = 0x7ffafbff,
                               .seven_b = 0xf3bfa7eb,
                               .seven_c = 0xfb417ffe,
                               .seven_d = 0xffdd4432,
                               .seven1_a = 0x1c30,
                               .ext_c = 0x121,
                               .state = 0x602e7};

static int asked;

static bool given(void)
{
    asked++;
    return true;
}

static bool refused(void)
{
    asked++;
    return false;
}

static const char *best(uint64_t have)
{
    for (const aot_level_info *l = aot_levels; l->name; l++)
        if ((l->needs & ~have) == 0)
            return l->name;
    return "none";
}

static const char *level(const aot_x86 *x)
{
    return best(aot_x86_features(x, given));
}

START_TEST(tiles)
{
    asked = 0;
    ck_assert_str_eq(level(&server), "x86-64-v4-amx");
    ck_assert_int_eq(asked, 1);
    ck_assert_str_eq(best(aot_x86_features(&server, refused)), "x86-64-v4-bf16");
    ck_assert_int_eq(asked, 2);
    static const uint32_t bits[] = {1u << 22, 1u << 24, 1u << 25}; /* bf16, tiles, int8 */
    for (size_t i = 0; i < COUNTOF(bits); i++) {
        aot_x86 x = server;
        x.seven_d &= ~bits[i];
        ck_assert_str_eq(level(&x), "x86-64-v4-bf16");
    }
    for (int bit = 17; bit <= 18; bit++) { /* the system keeps not all of the tiles' state */
        aot_x86 x = server;
        x.state &= ~((uint64_t)1 << bit);
        ck_assert_str_eq(level(&x), "x86-64-v4-bf16");
    }
    ck_assert_int_eq(asked, 2); /* nobody asks for what isn't there */
}
END_TEST

START_TEST(vectors)
{
    aot_x86 x = server;
    x.state = 7; /* AVX alone */
    ck_assert_str_eq(level(&x), "x86-64-v3");
    x.state = 3;
    ck_assert_str_eq(level(&x), "x86-64-v2");
    x = server;
    x.one_c &= ~(1u << 27); /* no XGETBV: nothing is known of the state */
    ck_assert_str_eq(level(&x), "x86-64-v2");
    x = server;
    x.seven1_a = 0;
    ck_assert_str_eq(level(&x), "x86-64-v4");
    x = server;
    x.seven_c &= ~(1u << 11);
    ck_assert_str_eq(level(&x), "x86-64-v4");
    static const int avx512[] = {16, 17, 28, 30, 31}, avx2[] = {3, 5, 8}, sse[] = {0, 9, 13, 19, 20, 23},
                     v3[] = {12, 22, 28, 29};
    for (size_t i = 0; i < COUNTOF(avx512); i++) {
        x = server;
        x.seven_b &= ~(1u << avx512[i]);
        ck_assert_str_eq(level(&x), "x86-64-v3");
    }
    for (size_t i = 0; i < COUNTOF(avx2); i++) {
        x = server;
        x.seven_b &= ~(1u << avx2[i]);
        ck_assert_str_eq(level(&x), "x86-64-v2");
    }
    for (size_t i = 0; i < COUNTOF(v3); i++) {
        x = server;
        x.one_c &= ~(1u << v3[i]);
        ck_assert_str_eq(level(&x), "x86-64-v2");
    }
    for (size_t i = 0; i < COUNTOF(sse); i++) {
        x = server;
        x.one_c &= ~(1u << sse[i]);
        ck_assert_str_eq(level(&x), "none");
    }
}
END_TEST

START_TEST(arm)
{
    uint64_t cap = 2 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 20, cap2 = 1 << 13 | 1 << 14;
    ck_assert_str_eq(best(aot_arm_features(cap, cap2)), "aarch64-bf16");
    ck_assert_str_eq(best(aot_arm_features(cap, 1 << 13)), "aarch64-dotprod");
    ck_assert_str_eq(best(aot_arm_features(cap, 1 << 14)), "aarch64-dotprod");
    ck_assert_str_eq(best(aot_arm_features(cap & ~(1ull << 20), cap2)), "aarch64");
    ck_assert_str_eq(best(aot_arm_features(2, 0)), "aarch64");
    ck_assert_str_eq(best(aot_arm_features(0, cap2)), "none");
}
END_TEST

/* TILE_CPU */
START_TEST(less)
{
    uint64_t all = aot_x86_features(&server, given);
    for (const aot_level_info *l = aot_levels; l->name; l++)
        if (strcmp(l->arch, "x86-64") == 0)
            ck_assert_str_eq(best(aot_features_below(all, l->name)), l->name);
    ck_assert_uint_eq(aot_features_below(all, "no such level"), all);
    ck_assert_uint_eq(aot_features_below(all, NULL), all);
    ck_assert_str_eq(best(aot_features_below(AOT_V3 | AOT_V2, "x86-64-v4")), "x86-64-v3");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("aot_cpu");
    TCase *t = tcase_create("levels");
    tcase_add_test(t, tiles);
    tcase_add_test(t, vectors);
    tcase_add_test(t, arm);
    tcase_add_test(t, less);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
