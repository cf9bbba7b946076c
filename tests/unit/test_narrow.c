/* test_narrow.c: index guards and 32-bit indices.
 *
 * By example: what the guards of a kernel are, and at which launches they hold. As a property: random kernels
 * (ir_gen.h) compute the same with their indices narrowed wherever the guard function says that a launch may.
 */
#include "compiler/pass.h"
#include "tests/ir_run.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { KERNELS = 1500, BYTES = 400, BUDGET = 200000 };

static ir_module *module_of(arena *a, const char *text)
{
    diags d;
    strbuf out;
    diags_init(&d, a);
    ir_module *m = ir_read(a, &d, S("t.tir"), str_of(text));
    sb_init(&out, a);
    diags_render(&d, DIAG_SHORT, &out);
    ck_assert_msg(m != NULL, "%.*s", (int)out.n, out.at);
    return m;
}

static bool holds(arena *a, const ir_func *guards, const uint64_t *args)
{
    abi_device dev = {.resident = 1};
    int64_t r = -1;
    str err;
    ck_assert_msg(interp_host(a, guards, args, &dev, &r, 1, &err), "%.*s", STR_ARG(err));
    ck_assert(r == 0 || r == 1);
    return r == 1;
}

static const char add[] =
    "tile-ir 1 stage=tir target=any\n"
    "kernel @k(%x: *f32, %n: i64, %s: i64) {\n"
    "  %0 = program_id {axis = 0} : i64\n  %1 = const 1024 : i64\n  %2 = mul %0, %1 : i64\n"
    "  %3 = arange {start = 0} : tile<1024xi64>\n  %4 = splat %2 : tile<1024xi64>\n  %5 = add %4, %3 : tile<1024xi64>\n"
    "  %6 = splat %n : tile<1024xi64>\n  %7 = lt %5, %6 : tile<1024xbool>\n  %8 = splat %s : tile<1024xi64>\n"
    "  %9 = mul %5, %8 : tile<1024xi64>\n  %10 = splat %x : tile<1024x*f32>\n  %11 = ptr_add %10, %9 : "
    "tile<1024x*f32>\n"
    "  %12 = load %11, %7 : tile<1024xf32>\n  store %11, %12, %7\n  return\n}\n";

static ir_func *guards_of(arena *a, ir_module *m, axis_guard_list *list)
{
    diags d;
    static const pass_options none;
    pass_ctx c = {.m = m, .a = a, .scratch = a, .d = &d, .opt = &none};
    static const pass_id ids[] = {PASS_inline, PASS_specialise, PASS_fold};
    diags_init(&d, a);
    ck_assert(pass_run(m, &d, &none, ids, COUNTOF(ids), NULL));
    ir_func *g = axis_guards(&c, ir_module_find(m, S("k")), list);
    ck_assert(ir_verify(m, &d));
    return g;
}

START_TEST(guards_of_a_kernel)
{
    arena a;
    arena_init(&a, 0);
    axis_guard_list list = {0};
    ir_func *g = guards_of(&a, module_of(&a, add), &list);
    ck_assert_ptr_nonnull(g);
    ck_assert_str_eq(str_cstr(&a, g->name), "k.guards");
    const uint64_t small[] = {100, 1, 1, 0, 100000, 3}, many[] = {1 << 22, 1, 1, 0, 100000, 3},
                   big_n[] = {100, 1, 1, 0, (uint64_t)1 << 31, 3};
    const uint64_t stride[] = {100, 1, 1, 0, 100000, 1 << 20}, negative[] = {100, 1, 1, 0, 100000, (uint64_t)-3},
                   edge[] = {100, 1, 1, 0, INT32_MAX, 3};
    ck_assert(holds(&a, g, small));
    ck_assert(holds(&a, g, negative));
    ck_assert(holds(&a, g, edge));
    ck_assert(!holds(&a, g, many));
    ck_assert(!holds(&a, g, big_n));
    ck_assert(!holds(&a, g, stride));
    bool n_named = false;
    for (uint32_t i = 0; i < list.n; i++)
        n_named |= str_eq(list.at[i].text, S("n < 2147483648"));
    ck_assert(n_named);
    arena_fini(&a);
}
END_TEST

START_TEST(nothing_to_guard)
{
    arena a;
    arena_init(&a, 0);
    ir_module *m = module_of(
        &a, "tile-ir 1 stage=tir target=any\nkernel @k(%x: *f32) {\n  %0 = arange {start = 0} : tile<8xi64>\n"
            "  %1 = splat %x : tile<8x*f32>\n  %2 = ptr_add %1, %0 : tile<8x*f32>\n  %3 = load %2 : tile<8xf32>\n"
            "  store %2, %3\n  return\n}\n");
    ck_assert_ptr_null(guards_of(&a, m, NULL));
    arena_fini(&a);
}
END_TEST

/* a launch fact doesn't let a value through that the guards, made without it, didn't check */
START_TEST(facts_come_after_guards)
{
    static const pass_id ids[] = {PASS_inline, PASS_specialise, PASS_fold, PASS_licm, PASS_lower_tensors,
                                  PASS_fold,   PASS_narrow,     PASS_fold, PASS_dce};
    arena a;
    diags d;
    arena_init(&a, 0);
    diags_init(&d, &a);
    spec_fact facts[3];
    for (int i = 0; i < 3; i++)
        facts[i] = (spec_fact){.same_as = -1, .lo = 1, .hi = 0};
    facts[2].is_one = true;
    ir_module *m = module_of(&a, add), *n = module_of(&a, add);
    ir_func *plain = guards_of(&a, n, NULL);
    pass_options opt = {.verify = true, .narrow = true, .facts = facts};
    ck_assert(pass_run(m, &d, &opt, ids, COUNTOF(ids), NULL));
    strbuf x, y;
    sb_init(&x, &a);
    sb_init(&y, &a);
    ir_print_func(plain, &x);
    ir_print_func(ir_module_find(m, S("k.guards")), &y);
    ck_assert_str_eq(str_cstr(&a, sb_str(&x)), str_cstr(&a, sb_str(&y)));
    sb_init(&x, &a);
    ir_print_func(ir_module_find(m, S("k")), &x);
    ck_assert_ptr_null(strstr(str_cstr(&a, sb_str(&x)), "1024xi64"));
    arena_fini(&a);
}
END_TEST

static void random_bytes(uint64_t seed, uint8_t *out)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 5;
    for (int i = 0; i < BYTES; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out[i] = (uint8_t)(x >> 32);
    }
}

/* 1 where the kernel ran narrowed */
static int check_narrowed(uint64_t seed)
{
    static const pass_id ids[] = {PASS_inline, PASS_specialise, PASS_fold, PASS_narrow, PASS_fold, PASS_dce};
    static gen_memory_image want, got;
    arena a;
    diags d;
    str err;
    uint8_t bytes[BYTES];
    pass_options opt = {.verify = true, .narrow = true};
    int ran = 0;
    arena_init(&a, 0);
    diags_init(&d, &a);
    random_bytes(seed, bytes);
    const ir_module *before = gen_module(&a, bytes, BYTES);
    if (gen_run(&a, before, BUDGET, &want, &err)) {
        ir_module *m = gen_module(&a, bytes, BYTES);
        ck_assert(pass_run(m, &d, &opt, ids, COUNTOF(ids), NULL));
        const ir_func *g = ir_module_find(m, S("k.guards"));
        uint64_t args[] = {2, 1, 1, 0, 0, 5, 3, 0x40490fdb};
        if (!g || holds(&a, g, args)) {
            ran = 1;
            ck_assert_msg(gen_run(&a, m, 0, &got, &err), "kernel %llu: %.*s", (unsigned long long)seed, STR_ARG(err));
            const char *why = gen_differs(&a, &want, &got);
            ck_assert_msg(why == NULL, "kernel %llu: %s", (unsigned long long)seed, why);
        }
    }
    arena_fini(&a);
    return ran;
}

START_TEST(random_kernels)
{
    int ran = 0;
    for (uint64_t seed = 0; seed < KERNELS; seed++)
        ran += check_narrowed(seed);
    ck_assert_int_gt(ran, KERNELS / 4);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("narrow");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, guards_of_a_kernel);
    tcase_add_test(c, nothing_to_guard);
    tcase_add_test(c, facts_come_after_guards);
    tcase_add_test(c, random_kernels);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
