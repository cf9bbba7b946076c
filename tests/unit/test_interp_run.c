/* test_interp_run.c: the interpreter's memory, tensors, control flow, programs, faults and limits. */
#include "tests/unit/interp_kit.h"

/* ---- memory ---- */
START_TEST(masked_memory)
{
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, z[8];
    for (int i = 0; i < 8; i++)
        z[i] = -1;
    interp_range ranges[] = {{"x", ADDR(x), 5 * sizeof *x}, {"z", ADDR(z), 5 * sizeof *z}};
    interp_options opt = {.bounds = ranges, .nbounds = 2};
    static const char *text =
        "tile-ir 1 stage=tir target=any\nloc @1 = \"a.tile\":7:3\nkernel @k(%x: *f32, %z: *f32, %n: i64) {\n  %i = "
        "arange {start = 0} : tile<8xi64>\n  %b = splat %x : tile<8x*f32>\n"
        "  %c = splat %z : tile<8x*f32>\n  %p = ptr_add %b, %i : tile<8x*f32>\n  %q = ptr_add %c, %i : tile<8x*f32>\n"
        "  %ns = splat %n : tile<8xi64>\n  %m = lt %i, %ns : tile<8xbool>\n  %o = const 0.5 : tile<8xf32>\n"
        "  %v = load %p, %m, %o : tile<8xf32> @1\n  %w = add %v, %v : tile<8xf32>\n  store %q, %w, %m\n  return\n}\n";
    char err[300];
    uint64_t args[] = {ADDR(x), ADDR(z), 5};
    ck_assert_msg(run_text(text, one_program, args, 3, &opt, err, sizeof err), "%s", err);
    for (int i = 0; i < 8; i++)
        ck_assert(z[i] == (i < 5 ? 2 * x[i] : -1));
    args[2] = 6;
    ck_assert(!run_text(text, one_program, args, 3, &opt, err, sizeof err));
    ck_assert_str_eq(err, "a.tile:7: load outside argument 'x': element 5 of 5 (program 0, 0, 0)");
}
END_TEST

START_TEST(atomics)
{
    int32_t sum = 5, old[6], v[6] = {1, 2, 3, 4, 5, 6}, lock = 3, was;
    uint8_t m[6] = {1, 1, 0, 1, 1, 1};
    float top = 1.5f;
    port ports[] = {{"v", "6", "i32", 6, v},    {"m", "6", "bool", 6, m},  {"s", "", "i32", 1, &sum},
                    {"k", "", "i32", 1, &lock}, {"f", "", "f32", 1, &top}, {"old", "6", "i32", 6, old},
                    {"was", "", "i32", 1, &was}};
    run_body("  %b = splat %s.ptr : tile<6x*i32>\n  %old = atomic_rmw %b, %v, %m {rmw = add} : tile<6xi32>\n"
             "  %c = const 3 : i32\n  %n = const 9 : i32\n  %w1 = atomic_cas %k.ptr, %c, %n : i32\n  %was = atomic_cas "
             "%k.ptr, %c, %c : i32\n"
             "  %g = const 2.5 : f32\n  %u = atomic_rmw %f.ptr, %g {rmw = max} : f32\n",
             ports, 5, 2);
    static const int32_t want[6] = {5, 6, 0, 8, 12, 17};
    ck_assert(sum == 23 && !memcmp(old, want, sizeof want));
    ck_assert(lock == 9 && was == 9 && top == 2.5f);
}
END_TEST

START_TEST(tensors)
{
    int32_t x[4][6], box[3][4], one, cells[5], t[2][4];
    iota(&x[0][0], 24);
    static const char *text =
        "tile-ir 1 stage=tir target=any\nkernel @k(%x: tensor<?x?xi32>, %box: tensor<3x4xi32>, %one: *i32, %cells: "
        "*i32, %t: tensor<2x4xi32>) {\n"
        "  %m = const -1 : i64\n  %z = const 0 : i64\n  %c3 = const 3 : i64\n  %o = const 77 : i32\n"
        "  %b = tensor_load %x, %m, %c3, %o : tile<3x4xi32>\n  tensor_store %box, %z, %z, %b\n"
        "  %row = tensor_view %x, %c3 {kinds = [0, 2]} : tensor<?xi32>\n  %n = tensor_dim %row {dim = 0} : i64\n"
        "  %s = tensor_load %row, %c3 : tile<1xi32>\n  %s0 = extract %s, %z {axis = 0} : i32\n  %n32 = cast %n : i32\n "
        " %s1 = mul %s0, %n32 : i32\n  store %one, %s1\n"
        "  %i = arange {start = -1} : tile<5xi64>\n  %r = const 1 : tile<5xi64>\n  %g = tensor_gather %x, %i, %r : "
        "tile<5xi32>\n"
        "  %bad = tensor_view %x, %m {kinds = [0, 2]} : tensor<?xi32>\n  %e = tensor_load %bad, %z : tile<5xi32>\n  "
        "%ge = add %g, %e : tile<5xi32>\n"
        "  %ci = arange {start = 0} : tile<5xi64>\n  %cs = splat %cells : tile<5x*i32>\n  %cp = ptr_add %cs, %ci : "
        "tile<5x*i32>\n  store %cp, %ge\n"
        "  %c1 = const 1 : i64\n  %c9 = const 9 : i64\n  %nar = tensor_view %x, %c1, %c9, %c1, %c3 {kinds = [1, 1]} : "
        "tensor<?x?xi32>\n"
        "  %nl = tensor_load %nar, %c1, %z : tile<2x4xi32>\n  tensor_store %t, %z, %z, %nl\n  return\n}\n";
    uint64_t args[] = {ADDR(x), 4, 6, 6, 1, ADDR(box), 3, 4, 4, 1, ADDR(&one), ADDR(cells), ADDR(t), 2, 4, 4, 1};
    run_text(text, one_program, args, COUNTOF(args), NULL, NULL, 0);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            ck_assert_int_eq(box[i][j], i >= 1 && j < 3 ? x[i - 1][3 + j] : 77);
    ck_assert_int_eq(one, x[3][3] * 6);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(cells[i], i >= 1 ? x[i - 1][1] : 0);
    for (int i = 0; i < 2; i++) /* the view x[1:4, 1:3] from row 1 */
        for (int j = 0; j < 4; j++)
            ck_assert_int_eq(t[i][j], j < 2 ? x[2 + i][1 + j] : 0);
}
END_TEST

/* ---- control flow, programs, limits ---- */
START_TEST(loops_carry_and_swap)
{
    int32_t a[3] = {1, 2, 3}, b[3] = {10, 20, 30}, r[3], s[3], fib;
    port ports[] = {{"a", "3", "i32", 3, a},
                    {"b", "3", "i32", 3, b},
                    {"r", "3", "i32", 3, r},
                    {"s", "3", "i32", 3, s},
                    {"fib", "", "i32", 1, &fib}};
    run_body("  %z = const 0 : i64\n  %n = const 7 : i64\n  %o = const 1 : i64\n"
             "  %r, %s = for %z, %n, %o, %a, %b : tile<3xi32>, tile<3xi32> {\n    (%i: i64, %x: tile<3xi32>, %y: "
             "tile<3xi32>)\n    yield %y, %x\n  }\n"
             "  %f0 = const 0 : i32\n  %f1 = const 1 : i32\n  %lim = const 100 : i32\n"
             "  %fib, %w = while %f0, %f1 : i32, i32 {\n    (%wx: i32, %wy: i32)\n    %c = lt %wx, %lim : bool\n    "
             "yield %c\n  } {\n"
             "    (%u: i32, %v: i32)\n    %q = add %u, %v : i32\n    yield %v, %q\n  }\n",
             ports, 2, 3);
    ck_assert(!memcmp(r, b, sizeof b) && !memcmp(s, a, sizeof a));
    ck_assert_int_eq(fib, 144);
}
END_TEST

START_TEST(loop_index_does_not_wrap)
{
    int32_t n;
    port ports[] = {{"n", "", "i32", 1, &n}};
    run_body("  %a = const 2147483640 : i32\n  %b = const 2147483647 : i32\n  %s = const 5 : i32\n  %z = const 0 : "
             "i32\n  %o = const 1 : i32\n"
             "  %m = for %a, %b, %s, %z : i32 {\n    (%i: i32, %c: i32)\n    %d = add %c, %o : i32\n    yield %d\n  }\n"
             "  %d5 = const -5 : i32\n  %n = for %b, %a, %d5, %m : i32 {\n    (%i2: i32, %c2: i32)\n    %e = add %c2, "
             "%o : i32\n    yield %e\n  }\n",
             ports, 0, 1);
    ck_assert_int_eq(n, 4);
}
END_TEST

START_TEST(programs_and_calls)
{
    int64_t out[12] = {0};
    static const char *text = "tile-ir 1 stage=tir target=any\nfn @twice(%x: i64) -> (i64, i64) {\n  %y = add %x, %x : "
                              "i64\n  return %y, %x\n}\n"
                              "kernel @k(%o: *i64) {\n  %x = program_id {axis = 0} : i64\n  %y = program_id {axis = 1} "
                              ": i64\n  %z = program_id {axis = 2} : i64\n"
                              "  %nx = num_programs {axis = 0} : i64\n  %ny = num_programs {axis = 1} : i64\n  %a = "
                              "mul %z, %ny : i64\n  %b = add %a, %y : i64\n"
                              "  %c = mul %b, %nx : i64\n  %d = add %c, %x : i64\n  %e, %f = call %d {callee = "
                              "\"twice\"} : i64, i64\n  %g = add %e, %f : i64\n"
                              "  %p = ptr_add %o, %d : *i64\n  store %p, %g\n  return\n}\n";
    uint64_t args[] = {ADDR(out)};
    const int64_t grid[3] = {2, 3, 2};
    run_text(text, grid, args, 1, NULL, NULL, 0);
    for (int i = 0; i < 12; i++)
        ck_assert_int_eq(out[i], 3 * i);
}
END_TEST

static const char *cooperative_text =
    "tile-ir 1 stage=tir target=any\nkernel @k(%turn: *i64, %log: *i64) cooperative {\n  %me = program_id {axis = 0} : "
    "i64\n  %n = num_programs {axis = 0} : i64\n"
    "  %one = const 1 : i64\n  %zero = const 0 : i64\n  %last = sub %n, %one : i64\n  %mine = sub %last, %me : i64\n  "
    "%f = const false : bool\n"
    "  %d = while %f : bool {\n    (%x: bool)\n    %c = not %x : bool\n    yield %c\n  } {\n    (%x2: bool)\n"
    "    %t = atomic_rmw %turn, %zero {rmw = add} : i64\n    %e = eq %t, %mine : bool\n    yield %e\n  }\n"
    "  %p = ptr_add %log, %me : *i64\n  %at = atomic_rmw %turn, %one {rmw = add} : i64\n  store %p, %at\n  return\n}\n";

/* the last program goes first: every other waits for one of greater id */
START_TEST(cooperative_programs_wait)
{
    int64_t turn = 0, log[50];
    uint64_t args[] = {ADDR(&turn), ADDR(log)};
    const int64_t grid[3] = {50, 1, 1};
    run_text(cooperative_text, grid, args, 2, NULL, NULL, 0);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(log[i], 49 - i);
    char err[200];
    turn = 1000; /* nobody's turn */
    ck_assert(!run_text(cooperative_text, grid, args, 2, NULL, err, sizeof err));
    ck_assert_str_eq(err, "'k': programs wait for each other (program 0, 0, 0)");
    const int64_t many[3] = {1 << 20, 1 << 20, 1 << 20};
    ck_assert(!run_text(cooperative_text, many, args, 2, NULL, err, sizeof err));
    ck_assert_ptr_nonnull(strstr(err, "programs in a cooperative kernel"));
}
END_TEST

typedef struct recorder {
    abi_host host;
    char text[400];
} recorder;

static void record_print(abi_host *h, const char *text, const int64_t pid[3], int dt, int64_t n, const void *data,
                         int hex)
{
    recorder *r = (recorder *)h;
    size_t at = strlen(r->text);
    snprintf(r->text + at, sizeof r->text - at, "%s[%d] %s n=%d first=%lld%s\n", text, (int)pid[0], dtypes[dt].name,
             (int)n, (long long)dt_int((dtype)dt, elem_at((dtype)dt, data, 0)), hex ? " hex" : "");
}

static void record_fault(abi_host *h, const char *text, const char *file, int line, const int64_t pid[3])
{
    recorder *r = (recorder *)h;
    size_t at = strlen(r->text);
    snprintf(r->text + at, sizeof r->text - at, "fault %s at %s:%d program %d\n", text, file, line, (int)pid[0]);
}

START_TEST(prints_and_asserts)
{
    static const char *text = "tile-ir 1 stage=tir target=any\nloc @1 = \"a.tile\":9:1\nkernel @k() {\n  %x = "
                              "program_id {axis = 0} : i64\n  %t = arange {start = 4} : tile<3xi32>\n"
                              "  print %t {text = \"t\", hex = 1}\n  %l = const 2 : i64\n  %c = lt %x, %l : bool\n  "
                              "assert %c {text = \"x is small\"} @1\n  return\n}\n";
    recorder r = {.host = {.print = record_print, .fault = record_fault}};
    interp_options opt = {.host = &r.host, .check_asserts = true};
    char err[200];
    const int64_t grid[3] = {5, 1, 1};
    ck_assert(!run_text(text, grid, NULL, 0, &opt, err, sizeof err));
    ck_assert_str_eq(err, "a.tile:9: x is small (program 2, 0, 0)");
    ck_assert_str_eq(r.text, "t[0] i32 n=3 first=4 hex\nt[1] i32 n=3 first=4 hex\nt[2] i32 n=3 first=4 hex\nfault x is "
                             "small at a.tile:9 program 2\n");
    opt.check_asserts = false;
    ck_assert(run_text(text, grid, NULL, 0, &opt, err, sizeof err));
}
END_TEST

START_TEST(limits)
{
    static const char *forever = "tile-ir 1 stage=tir target=any\nkernel @k() {\n  %t = const true : bool\n  while {\n "
                                 "   yield %t\n  } {\n    yield\n  }\n  return\n}\n";
    static const char *big = "tile-ir 1 stage=tir target=any\nkernel @k() {\n  %a = const 1 : tile<1048576xi64>\n  %b "
                             "= add %a, %a : tile<1048576xi64>\n  %c = add %b, %a : tile<1048576xi64>\n  return\n}\n";
    interp_options opt = {.max_ops = 10000, .max_bytes = 20 << 20};
    char err[200];
    ck_assert(!run_text(forever, one_program, NULL, 0, &opt, err, sizeof err));
    ck_assert_ptr_nonnull(strstr(err, "more than 10000 ops executed"));
    opt.max_ops = 0;
    ck_assert(!run_text(big, one_program, NULL, 0, &opt, err, sizeof err));
    ck_assert_ptr_nonnull(strstr(err, "more memory than allowed"));
    opt.max_bytes = 0;
    ck_assert(run_text(big, one_program, NULL, 0, &opt, err, sizeof err));
}
END_TEST

/* a million elements a program, many programs: time and memory stay small */
START_TEST(large_tiles)
{
    enum { M = 1 << 20 };
    float *x = malloc(M * sizeof *x), *z = malloc(M * sizeof *z);
    for (int i = 0; i < M; i++)
        x[i] = (float)i;
    static const char *text =
        "tile-ir 1 stage=tir target=any\nkernel @k(%x: *f32, %z: *f32) {\n  %i = arange {start = 0} : "
        "tile<1048576xi64>\n  %b = splat %x : tile<1048576x*f32>\n"
        "  %c = splat %z : tile<1048576x*f32>\n  %p = ptr_add %b, %i : tile<1048576x*f32>\n  %q = ptr_add %c, %i : "
        "tile<1048576x*f32>\n"
        "  %v = load %p : tile<1048576xf32>\n  %w = add %v, %v : tile<1048576xf32>\n  store %q, %w\n  return\n}\n";
    uint64_t args[] = {ADDR(x), ADDR(z)};
    const int64_t grid[3] = {10, 1, 1};
    interp_options opt = {.max_bytes = 64 << 20};
    char err[200];
    double t = clock_now();
    ck_assert_msg(run_text(text, grid, args, 2, &opt, err, sizeof err), "%s", err);
    t = (clock_now() - t) / 10;
    for (int i = 0; i < M; i++)
        ck_assert(z[i] == 2 * x[i]);
    ck_assert_msg(t < 1, "%g s for an add of 2^20 elements", t);
    free(x), free(z);
}
END_TEST

START_TEST(host_functions)
{
    static const char *text =
        "tile-ir 1 stage=tir target=any\nhost @h(%a: tensor<?x?xf32>, %b: tensor<?x64xf32>, %n: i64) -> (i64, i64) {\n"
        "  %k = tensor_dim %a {dim = 1} : i64\n  %l = tensor_dim %b {dim = 0} : i64\n  expect_eq %l, %k {arg = 1, dim "
        "= 0, text = \"K\"}\n"
        "  %r = resident : i64\n  %m = min %n, %r : i64\n  %s = stream_programs %n, %k : i64\n  return %m, %s\n}\n";
    arena a;
    arena_init(&a, 0);
    const ir_module *m = module_of(&a, text);
    uint64_t args[] = {1, 1, 1, 0, 8, 16, 16, 1, 0, 16, 64, 64, 1, 100};
    abi_device dev = {.resident = 24};
    int64_t r[2];
    str err = {0};
    ck_assert(interp_host(&a, ir_module_find(m, S("h")), args, &dev, r, 2, &err));
    ck_assert(r[0] == 24 && r[1] == 100);
    args[9] = 17;
    ck_assert(!interp_host(&a, ir_module_find(m, S("h")), args, &dev, r, 2, &err));
    ck_assert_str_eq(str_cstr(&a, err), "'h': dimension 0 of argument 'b' must equal 'K': expected 16, found 17");
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("interp_run");
    TCase *t = tcase_create("interp_run");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, masked_memory);
    tcase_add_test(t, atomics);
    tcase_add_test(t, tensors);
    tcase_add_test(t, loops_carry_and_swap);
    tcase_add_test(t, loop_index_does_not_wrap);
    tcase_add_test(t, programs_and_calls);
    tcase_add_test(t, cooperative_programs_wait);
    tcase_add_test(t, prints_and_asserts);
    tcase_add_test(t, limits);
    tcase_add_test(t, large_tiles);
    tcase_add_test(t, host_functions);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
