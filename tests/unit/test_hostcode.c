/* test_hostcode.c: host functions as lists of operations give what the interpreter gives, on random arguments. */
#include "interp_kit.h"

#include "compiler/hostcode.h"

static const char *const functions[] = {
    "host @h(%a: tensor<?x?xf32>, %n: i64, %p: *f32) -> (i64, i64, i64) {\n"
    "  %0 = tensor_dim %a {dim = 0} : i64\n"
    "  %1 = tensor_dim %a {dim = 1} : i64\n"
    "  %2 = tensor_stride %a {dim = 0} : i64\n"
    "  %3 = const 31 : i64\n"
    "  %4 = add %0, %3 : i64\n"
    "  %5 = const 32 : i64\n"
    "  %6 = div %4, %5 : i64\n"
    "  %7 = rem %2, %1 : i64\n"
    "  %8 = min %7, %n : i64\n"
    "  %9 = max %8, %6 : i64\n"
    "  %10 = sub %9, %2 : i64\n"
    "  %11 = mul %10, %n : i64\n"
    "  return %6, %9, %11\n"
    "}\n",
    "host @h(%a: i64, %b: i64, %c: f64, %d: i32) -> (i64, i64) {\n"
    "  %0 = cast %a : f64\n"
    "  %1 = add %0, %c : f64\n"
    "  %2 = mul %1, %c : f64\n"
    "  %3 = const 0x1p+31 : f64\n"
    "  %4 = le %2, %3 : bool\n"
    "  %5 = lt %0, %c : bool\n"
    "  %6 = and %4, %5 : bool\n"
    "  %7 = select %6, %a, %b : i64\n"
    "  %8 = neg %0 : f64\n"
    "  %9 = max %8, %1 : f64\n"
    "  %10 = cast %9 : i64\n"
    "  %11 = const 3 : i32\n"
    "  %12 = shl %d, %11 : i32\n"
    "  %13 = div %12, %d : i32\n"
    "  %14 = cast %13 : i64\n"
    "  %15 = xor %14, %10 : i64\n"
    "  %16 = sub %0, %9 : f64\n"
    "  %17 = min %16, %c : f64\n"
    "  %18 = cast %17 : i64\n"
    "  %19 = add %18, %7 : i64\n"
    "  return %19, %15\n"
    "}\n",
    "fn @larger(%x: i64, %y: i64) -> (i64, i64) {\n"
    "  %0 = lt %x, %y : bool\n"
    "  %1, %2 = if %0 : i64, i64 {\n"
    "    %3 = sub %y, %x : i64\n"
    "    yield %y, %3\n"
    "  } {\n"
    "    %4 = abs %x : i64\n"
    "    yield %x, %4\n"
    "  }\n"
    "  return %1, %2\n"
    "}\n"
    "host @h(%a: i64, %b: i64) -> (i64, i64, i64) {\n"
    "  %0 = const 5 : i64\n"
    "  %1, %2 = call %a, %b {callee = \"larger\"} : i64, i64\n"
    "  %3, %4 = call %1, %0 {callee = \"larger\"} : i64, i64\n"
    "  %5 = resident : i64\n"
    "  %6 = stream_programs %2, %4 : i64\n"
    "  %7 = num_programs {axis = 1} : i64\n"
    "  %8 = add %5, %7 : i64\n"
    "  %9 = add %6, %3 : i64\n"
    "  return %9, %8, %4\n"
    "}\n",
};

static uint64_t seed = 1;

/* now small, now large, now of no meaning */
static uint64_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = seed >> 13;
    switch (x & 3) {
    case 0:
        return x >> 2 & 15;
    case 1:
        return (uint64_t)0 - (x >> 2 & 1023);
    case 2:
        return num_f64_bits((double)(x >> 2 & 0xffff) - 1e4);
    default:
        return hash_mix(x, 7);
    }
}

static int64_t stream(int64_t tiles, int64_t steps)
{
    return (int64_t)((uint64_t)tiles * 3 + (uint64_t)steps);
}

START_TEST(equals_interpreter)
{
    arena a;
    arena_init(&a, 0);
    const ir_module *m = module_of(&a, str_cstr(&a, str_fmt(&a, "tile-ir 1 stage=tir target=any\n%s", functions[_i])));
    const ir_func *h = ir_module_find(m, S("h"));
    host_code *c = host_code_make(&a, h);
    ck_assert_ptr_nonnull(c);
    abi_device dev = {.resident = 77, .stream_programs = stream};
    uint64_t *words = ARENA_ARRAY(&a, uint64_t, c->nops), slots[32];
    int64_t want[8], got[8];
    str err;
    for (int round = 0; round < 2000; round++) {
        for (uint32_t i = 0; i < abi_total_slots(h); i++)
            slots[i] = next();
        for (uint32_t i = 0; i < h->params.n; i++) { /* held wrapped */
            dtype d = ir_type_of(m, ir_vtype(h, ir_param_of(h, h->body, i)))->dt;
            if (d == DT_I32)
                slots[abi_param_first(h, i)] &= 0xffffffffu;
        }
        ck_assert(interp_host(&a, h, slots, &dev, want, h->results.n, &err));
        ck_assert_ptr_null(host_code_run(c, slots, &dev, words, got));
        ck_assert_uint_eq(c->nresults, h->results.n);
        for (uint32_t i = 0; i < c->nresults; i++)
            ck_assert_msg(got[i] == want[i], "round %d, result %u: %lld, expected %lld", round, i, (long long)got[i],
                          (long long)want[i]);
    }
    arena_fini(&a);
}
END_TEST

START_TEST(checks)
{
    arena a;
    arena_init(&a, 0);
    const ir_module *m = module_of(&a, "tile-ir 1 stage=tir target=any\n"
                                       "host @h(%a: tensor<?xf32>, %b: tensor<?xf32>) {\n"
                                       "  %0 = tensor_dim %a {dim = 0} : i64\n"
                                       "  %1 = tensor_dim %b {dim = 0} : i64\n"
                                       "  expect_eq %1, %0 {arg = 1, dim = 0, text = \"N\"}\n"
                                       "  return\n"
                                       "}\n");
    host_code *c = host_code_make(&a, ir_module_find(m, S("h")));
    uint64_t slots[] = {0, 0, 0, 0, 5, 1, 0, 5, 1}, words[8];
    int64_t pair[2];
    ck_assert_ptr_nonnull(c);
    ck_assert_ptr_null(host_code_run(c, slots, NULL, words, pair));
    slots[7] = 6;
    const host_check *bad = host_code_run(c, slots, NULL, words, pair);
    ck_assert_ptr_nonnull(bad);
    ck_assert(str_eq(bad->arg, S("b")) && str_eq(bad->text, S("N")) && bad->dim == 0);
    ck_assert(pair[0] == 5 && pair[1] == 6);
    arena_fini(&a);
}
END_TEST

START_TEST(loops_are_left)
{
    arena a;
    arena_init(&a, 0);
    const ir_module *m = module_of(&a, "tile-ir 1 stage=tir target=any\n"
                                       "host @h(%n: i64) -> (i64) {\n"
                                       "  %0 = const 0 : i64\n"
                                       "  %1 = const 1 : i64\n"
                                       "  %2 = for %0, %n, %1, %0 : i64 {\n"
                                       "    (%3: i64, %4: i64)\n"
                                       "    %5 = add %3, %4 : i64\n"
                                       "    yield %5\n"
                                       "  }\n"
                                       "  return %2\n"
                                       "}\n");
    ck_assert_ptr_null(host_code_make(&a, ir_module_find(m, S("h"))));
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hostcode");
    TCase *c = tcase_create("hostcode");
    tcase_add_loop_test(c, equals_interpreter, 0, (int)COUNTOF(functions));
    tcase_add_test(c, checks);
    tcase_add_test(c, loops_are_left);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
