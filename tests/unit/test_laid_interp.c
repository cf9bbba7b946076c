/* test_laid_interp.c: the interpreter on the laid-out stage.
 *
 * Asynchronous effects come as late as the rules allow, so each rule is tested from its wrong side too: what reads
 * before the await sees poison, what overwrites before it changes the result, and what the rules forbid outright is a
 * fault that names op and reason. Modules here are for target `any`, whose schedules the verifier leaves alone; the
 * GEMM of tests/ir/laid_gemm.tir, two consumers behind a ring of three slots, is checked against sums in double.
 */
#include "tests/unit/interp_kit.h"

#define HEAD                                                                                                           \
    "tile-ir 1 stage=laid target=any\n"                                                                                \
    "#1 = shared [8, 8] {offset: [0, 1], [0, 2], [0, 4], [1, 0], [2, 0], [4, 0]}\n"                                    \
    "#2 = shared [4, 8] {offset: [0, 1], [0, 2], [0, 4], [1, 0], [2, 0]}\n"                                            \
    "#3 = shared [8] {offset: [1], [2], [4]}\n"                                                                        \
    "#4 = shared [8, 8] {offset: [1, 0], [2, 0], [4, 0], [0, 1], [0, 2], [0, 4]}\n"
#define TENSOR2 "tensor<?x?xf32>"
#define N 8

enum { IN, OUT, AUX, TENSORS };

/* three 8 x 8 tensors of f32: %t, %u, %w; and %p, %q, pointers to the first two; %0, %1, %8 constants, %i: arange tiles
 */
#define BODY(ops)                                                                                                      \
    HEAD "kernel @k(%t: " TENSOR2 ", %u: " TENSOR2 ", %w: " TENSOR2 ", %p: *f32, %q: *f32) {\n"                        \
         "  %c0 = const 0 : i32\n  %c1 = const 1 : i32\n  %c2 = const 2 : i32\n  %c4 = const 4 : i32\n"                \
         "  %c8 = const 8 : i32\n" ops "  return\n}\n"
#define KERNEL(ops) BODY("  %s = shared_alloc : shared<8x8xf32, #1>\n" ops)
#define SHOW(v) "  %z1 = const 0 : i64\n  tensor_store %u, %z1, %z1, " v "\n"
#define PTRS                                                                                                           \
    "  %i64 = arange {start = 0} : tile<64xi32>\n  %i = reshape %i64 : tile<8x8xi32>\n"                                \
    "  %ps = splat %p : tile<8x8x*f32>\n  %pt = ptr_add %ps, %i : tile<8x8x*f32>\n"

typedef struct world {
    float t[TENSORS][N * N];
    char err[600];
    bool ok;
} world;

static uint64_t address(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static void run_on(const char *text, int64_t grid, world *w)
{
    uint64_t args[17];
    uint32_t n = 0;
    for (int k = 0; k < TENSORS; k++) {
        const uint64_t slots[] = {address(w->t[k]), N, N, N, 1}; /* base, sizes, strides */
        memcpy(args + n, slots, sizeof slots);
        n += COUNTOF(slots);
    }
    args[n++] = address(w->t[IN]);
    args[n++] = address(w->t[OUT]);
    interp_range bounds[TENSORS];
    for (int k = 0; k < TENSORS; k++)
        bounds[k] = (interp_range){k == IN ? "t" : k == OUT ? "u" : "w", address(w->t[k]), sizeof w->t[k]};
    interp_options opt = {.bounds = bounds, .nbounds = TENSORS, .max_ops = 50000000};
    w->err[0] = 0;
    w->ok = run_text(text, (int64_t[]){grid, 1, 1}, args, n, &opt, w->err, sizeof w->err);
}

static void run(const char *text, int64_t grid, world *w)
{
    for (int i = 0; i < N * N; i++) {
        w->t[IN][i] = (float)(i + 1);
        w->t[OUT][i] = -7777;
        w->t[AUX][i] = (float)(3 * i % 17);
    }
    run_on(text, grid, w);
}

static void passes(const char *text, world *w)
{
    run(text, 1, w);
    ck_assert_msg(w->ok, "%s\n%s", w->err, text);
}

static void faults(const char *text, const char *message)
{
    world w;
    run(text, 1, &w);
    ck_assert_msg(!w.ok, "no fault '%s' in\n%s", message, text);
    ck_assert_msg(strstr(w.err, message) != NULL, "expected '%s', found '%s' in\n%s", message, w.err, text);
}

static bool is_nan(float x)
{
    return x != x;
}

/* ---- shared tiles ---- */
START_TEST(views)
{
    world w;
    passes(KERNEL("  %z = const 0 : i64\n  %x = tensor_load %t, %z, %z : tile<8x8xf32>\n"
                  "  shared_store %s, %x\n"
                  "  %h = shared_slice %s, %c4, %c0 : shared<4x8xf32, #2>\n"
                  "  %r = shared_slice %s, %c2, %c0 : shared<8xf32, #3>\n"
                  "  %y = shared_load %r : tile<8xf32>\n"
                  "  %l = shared_slice %s, %c0, %c0 : shared<4x8xf32, #2>\n"
                  "  %v = shared_load %h : tile<4x8xf32>\n  shared_store %l, %v\n"
                  "  %tr = shared_trans %s {order = [1, 0]} : shared<8x8xf32, #4>\n"
                  "  %o = shared_load %tr : tile<8x8xf32>\n"
                  "  %c = convert %o : tile<8x8xf32>\n"
                  "  tensor_store %u, %z, %z, %c\n"
                  "  %y2 = reshape %y : tile<1x8xf32>\n  tensor_store %w, %z, %z, %y2\n"),
           &w);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            ck_assert_float_eq(w.t[OUT][j * N + i], w.t[IN][(i % 4 + 4) * N + j]);
    for (int j = 0; j < N; j++)
        ck_assert_float_eq(w.t[AUX][j], w.t[IN][2 * N + j]);
}
END_TEST

START_TEST(alloc_is_poison)
{
    world w;
    run(KERNEL("  %x = shared_load %s : tile<8x8xf32>\n" SHOW("%x") "  %one = const 0x1p+0 : tile<8x8xf32>\n"
                                                                    "  shared_store %s, %one\n"),
        2, &w); /* the second program must not see what the first left */
    ck_assert_msg(w.ok, "%s", w.err);
    for (int i = 0; i < N * N; i++)
        ck_assert(is_nan(w.t[OUT][i]));
}
END_TEST

START_TEST(slices_inside)
{
    faults(KERNEL("  %d = tensor_dim %t {dim = 0} : i64\n  %f = cast %d : i32\n"
                  "  %h = shared_slice %s, %f, %c0 : shared<4x8xf32, #2>\n"),
           "a slice at 8 along dimension 0, expected 0 to 4");
    faults(KERNEL("  %d = tensor_dim %t {dim = 0} : i64\n  %f = cast %d : i32\n  %g = sub %f, %c4 : i32\n"
                  "  %e = sub %g, %c2 : i32\n"
                  "  %h = shared_slice %s, %e, %c0 : shared<4x8xf32, #2>\n"),
           "a slice at 2 along dimension 0, expected a multiple of its extent, 4");
}
END_TEST

/* ---- tensor copies ---- */
START_TEST(load_lands_at_await)
{
    world w;
    passes(KERNEL("  %k = tma_load %t, %c0, %c0, %s : token\n  %x = shared_load %s : tile<8x8xf32>\n" SHOW(
               "%x") "  await %k\n  %y = shared_load %s : tile<8x8xf32>\n  tensor_store %w, %z1, %z1, %y\n"),
           &w);
    for (int i = 0; i < N * N; i++) {
        ck_assert(is_nan(w.t[OUT][i]));
        ck_assert_float_eq(w.t[AUX][i], w.t[IN][i]);
    }
}
END_TEST

START_TEST(load_reads_late)
{
    world w;
    passes(KERNEL("  %k = tma_load %t, %c0, %c0, %s : token\n  %n = const 0x1p+3 : f32\n  store %p, %n\n  await %k\n"
                  "  %y = shared_load %s : tile<8x8xf32>\n" SHOW("%y")),
           &w);
    ck_assert_float_eq(w.t[OUT][0], 8);
    ck_assert_float_eq(w.t[OUT][1], 2);
}
END_TEST

/* box at -3, 5 of the tensor: outside 0 on load, dropped on store */
START_TEST(outside)
{
    world w;
    passes(KERNEL("  %m3 = const -3 : i32\n  %f5 = const 5 : i32\n"
                  "  %k = tma_load %t, %m3, %f5, %s : token\n  await %k\n  %x = shared_load %s : tile<8x8xf32>\n"
                  "  %z1 = const 0 : i64\n  tensor_store %w, %z1, %z1, %x\n"
                  "  %st = tma_store %s, %u, %m3, %f5 : token\n  await %st\n"),
           &w);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            bool in = i >= 3 && j < 3;
            ck_assert_float_eq(w.t[AUX][i * N + j], in ? w.t[IN][(i - 3) * N + j + 5] : 0);
            ck_assert_float_eq(w.t[OUT][i * N + j], i < 5 && j >= 5 ? w.t[IN][i * N + j] : -7777);
        }
}
END_TEST

START_TEST(fewer_dimensions)
{
    world w;
    passes(BODY("  %s = shared_alloc : shared<8xf32, #3>\n  %k = tma_load %t, %c2, %c0, %s : token\n  await %k\n"
                "  %st = tma_store %s, %u, %c4, %c0 : token\n"),
           &w);
    for (int i = 0; i < N * N; i++)
        ck_assert_float_eq(w.t[OUT][i], i / N == 4 ? w.t[IN][2 * N + i % N] : -7777);
}
END_TEST

START_TEST(store_reads_late)
{
    world w;
    static const char first[] = KERNEL("  %one = const 0x1p+0 : tile<8x8xf32>\n  %two = const 0x1p+1 : tile<8x8xf32>\n"
                                       "  shared_store %s, %one\n  %k = tma_store %s, %u, %c0, %c0 : token\n"
                                       "  shared_store %s, %two\n  await %k\n");
    static const char right[] = KERNEL("  %one = const 0x1p+0 : tile<8x8xf32>\n  %two = const 0x1p+1 : tile<8x8xf32>\n"
                                       "  shared_store %s, %one\n  %k = tma_store %s, %u, %c0, %c0 : token\n"
                                       "  await %k {source = 1}\n  shared_store %s, %two\n");
    static const char at_end[] = KERNEL("  %one = const 0x1p+0 : tile<8x8xf32>\n  shared_store %s, %one\n"
                                        "  %k = tma_store %s, %u, %c0, %c0 : token\n"
                                        "  %z = const 0 : i64\n  %x = tensor_load %u, %z, %z : tile<8x8xf32>\n"
                                        "  tensor_store %w, %z, %z, %x\n");
    passes(first, &w);
    ck_assert_float_eq(w.t[OUT][9], 2);
    passes(right, &w);
    ck_assert_float_eq(w.t[OUT][9], 1);
    passes(at_end, &w);
    ck_assert_float_eq(w.t[OUT][9], 1);
    ck_assert_float_eq(w.t[AUX][9], -7777);
}
END_TEST

START_TEST(store_adds)
{
    world w;
    passes(KERNEL("  %k0 = tma_load %t, %c0, %c0, %s : token\n  await %k0\n"
                  "  %k = tma_store %s, %w, %c0, %c0 {rmw = add} : token\n  await %k\n"),
           &w);
    for (int i = 0; i < N * N; i++)
        ck_assert_float_eq(w.t[AUX][i], (float)(i + 1 + 3 * i % 17));
}
END_TEST

START_TEST(masked_copy)
{
    world w;
    passes(KERNEL(PTRS "  %c20 = const 20 : tile<8x8xi32>\n  %m = lt %i, %c20 : tile<8x8xbool>\n"
                       "  %k = cp_async %pt, %s, %m : token\n  %x0 = shared_load %s : tile<8x8xf32>\n"
                       "  await %k\n  %x = shared_load %s : tile<8x8xf32>\n" SHOW(
                           "%x") "  tensor_store %w, %z1, %z1, %x0\n"),
           &w);
    for (int i = 0; i < N * N; i++) {
        ck_assert_float_eq(w.t[OUT][i], i < 20 ? w.t[IN][i] : 0);
        ck_assert(is_nan(w.t[AUX][i]));
    }
}
END_TEST

/* groups of cp_async complete in order: with the second the first has */
START_TEST(groups_in_order)
{
    world w;
    passes(KERNEL(PTRS "  %s2 = shared_alloc : shared<8x8xf32, #1>\n  %a = cp_async %pt, %s : token\n"
                       "  %b = cp_async %pt, %s2 : token\n  await %b\n"
                       "  %x = shared_load %s : tile<8x8xf32>\n" SHOW("%x")),
           &w);
    ck_assert_float_eq(w.t[OUT][5], 6);
    passes(KERNEL(PTRS "  %s2 = shared_alloc : shared<8x8xf32, #1>\n  %a = cp_async %pt, %s : token\n"
                       "  %b = cp_async %pt, %s2 : token\n  await %a {pending = 1}\n"
                       "  %x = shared_load %s2 : tile<8x8xf32>\n" SHOW("%x")),
           &w);
    ck_assert(is_nan(w.t[OUT][5]));
    faults(KERNEL(PTRS "  %a = cp_async %pt, %s : token\n  await %a {pending = 1}\n"),
           "operand 0 is of the 1 youngest groups, which stay in flight: 0 came after it");
}
END_TEST

START_TEST(copy_out_of_bounds)
{
    faults(KERNEL(PTRS "  %c9 = const -9 : tile<8x8xi32>\n  %far = ptr_add %pt, %c9 : tile<8x8x*f32>\n"
                       "  %k = cp_async %far, %s : token\n  await %k\n"),
           "cp_async outside argument 't': element -9 of 64");
}
END_TEST

/* ---- wgmma ---- */
#define LOADED                                                                                                         \
    "  %k = tma_load %t, %c0, %c0, %s : token\n  %b = shared_alloc : shared<8x8xf32, #1>\n"                            \
    "  %k2 = tma_load %w, %c0, %c0, %b : token\n  await %k, %k2\n"

static float product(const world *w, const float *b, int i, int j)
{
    float s = 0;
    for (int k = 0; k < N; k++)
        s += w->t[IN][i * N + k] * b[k * N + j];
    return s;
}

START_TEST(products)
{
    world w;
    passes(KERNEL(LOADED "  %a, %m = wgmma %s, %b : tile<8x8xf32>, token\n"
                         "  %a2, %m2 = wgmma %s, %b, %a : tile<8x8xf32>, token\n"
                         "  %r = shared_load %s : tile<8x8xf32>\n"
                         "  %a3, %m3 = wgmma %r, %b, %a2 : tile<8x8xf32>, token\n"
                         "  %f, %r2 = await %m3, %a3, %r : tile<8x8xf32>, tile<8x8xf32>\n" SHOW("%f")),
           &w);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            ck_assert_float_eq(w.t[OUT][i * N + j], 3 * product(&w, w.t[AUX], i, j));
    passes(KERNEL(LOADED "  %x = const 0x1p+4 : tile<8x8xf32>\n  %no = const false : bool\n  %yes = const true : bool\n"
                         "  %a, %m = wgmma %s, %b, %x, %no : tile<8x8xf32>, token\n"
                         "  %f = await %m, %a : tile<8x8xf32>\n"
                         "  %a2, %m2 = wgmma %s, %b, %x, %yes : tile<8x8xf32>, token\n"
                         "  %f2 = await %m2, %a2 : tile<8x8xf32>\n  %d = sub %f2, %f : tile<8x8xf32>\n" SHOW("%d")),
           &w);
    ck_assert_float_eq(w.t[OUT][33], 16);
}
END_TEST

/* reads its operands at its await; one that was overwritten before gives something else */
START_TEST(product_reads_late)
{
    world w;
    passes(KERNEL(LOADED "  %o = const 0x1p+0 : tile<8x8xf32>\n"
                         "  %a, %m = wgmma %s, %b : tile<8x8xf32>, token\n  shared_store %b, %o\n"
                         "  %f = await %m, %a : tile<8x8xf32>\n" SHOW("%f")),
           &w);
    float ones[N * N];
    for (int i = 0; i < N * N; i++)
        ones[i] = 1;
    ck_assert_float_eq(w.t[OUT][10], product(&w, ones, 1, 2));
    passes(KERNEL(LOADED "  %o = const 0x1p+0 : tile<8x8xf32>\n"
                         "  %a, %m = wgmma %s, %b : tile<8x8xf32>, token\n"
                         "  %f = await %m, %a : tile<8x8xf32>\n  shared_store %b, %o\n" SHOW("%f")),
           &w);
    ck_assert_float_eq(w.t[OUT][10], product(&w, w.t[AUX], 1, 2));
}
END_TEST

/* the mark of a result in flight goes through loops and branches */
START_TEST(product_carried)
{
    world w;
    passes(
        KERNEL(
            LOADED
            "  %z = const 0x0p+0 : tile<8x8xf32>\n  %d = done : token\n"
            "  %r, %qq = for %c0, %c4, %c1, %z, %d : tile<8x8xf32>, token {\n    (%i: i32, %x: tile<8x8xf32>, %y: "
            "token)\n"
            "    %a, %m = wgmma %s, %b, %x : tile<8x8xf32>, token\n    await %y {pending = 1}\n    yield %a, %m\n  }\n"
            "  %yes = gt %c4, %c1 : bool\n"
            "  %g, %h = if %yes : tile<8x8xf32>, token {\n    yield %r, %qq\n  } {\n    yield %z, %d\n  }\n"
            "  %f = await %h, %g : tile<8x8xf32>\n" SHOW("%f")),
        &w);
    ck_assert_float_eq(w.t[OUT][12], 4 * product(&w, w.t[AUX], 1, 4));
}
END_TEST

START_TEST(product_faults)
{
    faults(KERNEL(LOADED "  %a, %m = wgmma %s, %b : tile<8x8xf32>, token\n  %x = add %a, %a : tile<8x8xf32>\n"),
           "operand 0 of 'add' is the result of 'wgmma', which was not awaited");
    faults(KERNEL(LOADED "  %a, %m = wgmma %s, %b : tile<8x8xf32>, token\n  await %m\n"
                         "  %x = add %a, %a : tile<8x8xf32>\n"),
           "operand 0 of 'add' is the result of 'wgmma', which was not awaited");
    faults(KERNEL(LOADED "  %a, %m = wgmma %s, %b : tile<8x8xf32>, token\n  %d = done : token\n"
                         "  %f = await %d, %a : tile<8x8xf32>\n"),
           "operand 1 is the result of 'wgmma', whose token is not among those awaited");
    faults(KERNEL(LOADED "  %a, %m = wgmma %s, %b : tile<8x8xf32>, token\n"
                         "  %a2, %m2 = wgmma %s, %b, %a : tile<8x8xf32>, token\n"
                         "  %f = await %m2, %a : tile<8x8xf32>\n"),
           "operand 1 is the result of a 'wgmma' that another op took");
    faults(KERNEL(LOADED "  %a, %m = wgmma %s, %b : tile<8x8xf32>, token\n  await %m {pending = 1}\n"),
           "operand 0 is of the 1 youngest groups");
}
END_TEST

/* ---- channels ---- */
#define CHAN BODY
#define RING "  %c = chan : chan<2, {shared<8x8xf32, #1>}>\n"

/* in one program, as a pipeline: the data lands when the consumer enters */
START_TEST(ring_in_one_program)
{
    world w;
    passes(CHAN(RING "  %a = put_enter %c, %c0 : shared<8x8xf32, #1>\n  %k = tma_load %t, %c0, %c0, %a : token\n"
                     "  %x = shared_load %a : tile<8x8xf32>\n  put_exit %c, %c0, %k\n"
                     "  %g = get_enter %c, %c0 : shared<8x8xf32, #1>\n  %y = shared_load %g : tile<8x8xf32>\n"
                     "  get_exit %c, %c0\n" SHOW("%y") "  tensor_store %w, %z1, %z1, %x\n"),
           &w);
    for (int i = 0; i < N * N; i++) {
        ck_assert_float_eq(w.t[OUT][i], w.t[IN][i]);
        ck_assert(is_nan(w.t[AUX][i]));
    }
}
END_TEST

START_TEST(ring_faults)
{
#define PUT "  %a = put_enter %c, %c0 : shared<8x8xf32, #1>\n"
#define LOAD "  %k = tma_load %t, %c0, %c0, %a : token\n"
#define GET "  %g = get_enter %c, %c0 : shared<8x8xf32, #1>\n"
    faults(CHAN(RING PUT "  put_exit %c, %c0\n" LOAD),
           "'tma_load' writes slot 0 of a channel, which is not entered for it");
    faults(CHAN(RING PUT "  put_exit %c, %c0\n  %x = shared_load %a : tile<8x8xf32>\n"),
           "'shared_load' reads slot 0 of a channel, which is not entered for it");
    faults(CHAN(RING PUT LOAD "  put_exit %c, %c0\n"), "the token of 'tma_load', a load into the slot, is not among");
    faults(CHAN(RING PUT LOAD "  put_exit %c, %c1, %k\n"), "position 1 leaves slot 1, which is not entered there");
    faults(CHAN(RING PUT "  %b = put_enter %c, %c0 : shared<8x8xf32, #1>\n"),
           "position 0 puts into slot 0 in round 0, which is entered already");
    faults(CHAN(RING "  %b = put_enter %c, %c2 : shared<8x8xf32, #1>\n"),
           "position 2 puts into slot 0 in round 1, which is not its next");
    faults(CHAN(RING PUT "  put_exit %c, %c0\n  %g = get_enter %c, %c2 : shared<8x8xf32, #1>\n"),
           "position 2 gets slot 0 in round 1, which is not its next");
    faults(CHAN(RING "  get_exit %c, %c0\n"), "position 0 leaves slot 0, which is not entered there");
    faults(CHAN(RING "  %m = const -1 : i32\n  %b = put_enter %c, %m : shared<8x8xf32, #1>\n"),
           "position -1 of a channel");
    faults(CHAN(RING GET), "'k': %6 = get_enter %5, %0 : shared<8x8xf32, #1>: waits for what nothing else will do");
    faults(CHAN(RING PUT LOAD "  put_exit %c, %c0, %k\n" GET "  %x, %m = wgmma %g, %g : tile<8x8xf32>, token\n"
                              "  get_exit %c, %c0, %m\n"),
           "operand 2 is the token of 'wgmma', which was not awaited");
    faults(CHAN(RING PUT LOAD "  put_exit %c, %c0, %k\n" GET "  %x, %m = wgmma %g, %g : tile<8x8xf32>, token\n"
                              "  get_exit %c, %c0\n"),
           "the slot is still read by 'wgmma', which was not awaited");
}
END_TEST

/* what the last consumer left is poison, though its handle is still there */
START_TEST(slot_is_poison_after)
{
    faults(CHAN(RING PUT LOAD "  put_exit %c, %c0, %k\n" GET
                              "  get_exit %c, %c0\n  %x = shared_load %g : tile<8x8xf32>\n"),
           "'shared_load' reads slot 0 of a channel");
}
END_TEST

/* ---- partitions ---- */
/* a producer and two copies over a ring of 2: copy c adds up its rows of 6 blocks of 8 rows */
#define PIPE(stages, rounds_put, rounds_get)                                                                           \
    BODY("  %c = chan : chan<" stages ", {shared<8x8xf32, #1>}>\n  %np = const " rounds_put " : i32\n"                 \
         "  %ng = const " rounds_get " : i32\n"                                                                        \
         "  partitions {names = \"load,sum\", warps = [1, 4], copies = [1, 2], regs = [0, 0]} {\n    (%me: i32)\n"     \
         "    for %c0, %np, %c1 {\n      (%i: i32)\n"                                                                  \
         "      %a = put_enter %c, %i : shared<8x8xf32, #1>\n      %k = tma_load %t, %i, %c0, %a : token\n"            \
         "      put_exit %c, %i, %k\n      yield\n    }\n    yield\n  } {\n    (%copy: i32)\n"                         \
         "    %row = mul %copy, %c4 : i32\n    %z = const 0x0p+0 : tile<4x8xf32>\n"                                    \
         "    %r = for %c0, %ng, %c1, %z : tile<4x8xf32> {\n      (%j: i32, %acc: tile<4x8xf32>)\n"                    \
         "      %g = get_enter %c, %j : shared<8x8xf32, #1>\n"                                                         \
         "      %mine = shared_slice %g, %row, %c0 : shared<4x8xf32, #2>\n"                                            \
         "      %x = shared_load %mine : tile<4x8xf32>\n      get_exit %c, %j\n"                                       \
         "      %s = add %acc, %x : tile<4x8xf32>\n      yield %s\n    }\n"                                            \
         "    %row64 = cast %row : i64\n    %z64 = const 0 : i64\n    tensor_store %u, %row64, %z64, %r\n    yield\n " \
         " }\n")

START_TEST(pipe)
{
    static const char *const texts[] = {PIPE("1", "6", "6"), PIPE("2", "6", "6"), PIPE("4", "6", "6"),
                                        PIPE("8", "6", "6")};
    for (size_t k = 0; k < COUNTOF(texts); k++) {
        world w;
        run(texts[k], 3, &w); /* more programs: all state is made anew */
        ck_assert_msg(w.ok, "%s", w.err);
        for (int i = 0; i < N * N; i++) {
            float want = 0;
            for (int r = 0; r < 6; r++)
                want += i / N + r < N ? w.t[IN][i + r * N] : 0;
            ck_assert_float_eq(w.t[OUT][i], want);
        }
    }
}
END_TEST

START_TEST(deadlocks)
{
    faults(PIPE("2", "5", "6"), "deadlock: 'sum' copy 0 waits at 'get_enter', 'sum' copy 1 waits at 'get_enter'");
    faults(PIPE("2", "7", "4"), "deadlock: 'load' waits at 'put_enter'");
}
END_TEST

#define TURNS(body)                                                                                                    \
    BODY("  %n = const 3 : i32\n"                                                                                      \
         "  partitions {names = \"a\", warps = [4], copies = [2], regs = [0]} {\n    (%me: i32)\n"                     \
         "    for %c0, %n, %c1 {\n      (%i: i32)\n" body "      yield\n    }\n    yield\n  }\n")

/* in turns, each adds 10 * what is there + its number: 0, 1, 0, 1, 0, 1 in that order */
START_TEST(turns)
{
    world w;
    static const char text[] = TURNS("      turn_enter {turn = 0}\n      %x = load %p : f32\n      barrier\n"
                                     "      %ten = const 0x1.4p+3 : f32\n      %y = mul %x, %ten : f32\n"
                                     "      %m = cast %me : f32\n      %s = add %y, %m : f32\n"
                                     "      store %p, %s\n      turn_exit {turn = 0}\n");
    run(text, 1, &w);
    ck_assert_msg(w.ok, "%s", w.err);
    ck_assert_float_eq(w.t[IN][0], 1010101);
    faults(TURNS("      turn_enter {turn = 1}\n"), "the copy has its turn already");
    faults(TURNS("      turn_exit {turn = 1}\n"), "the copy does not have its turn");
}
END_TEST

START_TEST(own_tiles)
{
    world w;
    passes(BODY("  partitions {names = \"a\", warps = [4], copies = [2], regs = [0]} {\n    (%me: i32)\n"
                "    %s = shared_alloc : shared<4x8xf32, #2>\n    %row = mul %me, %c4 : i32\n"
                "    %f = cast %me : f32\n    %x = splat %f : tile<4x8xf32>\n    shared_store %s, %x\n    barrier\n"
                "    %st = tma_store %s, %u, %row, %c0 : token\n    yield\n  }\n"),
           &w);
    for (int i = 0; i < N * N; i++) {
        int row = i / 32;
        ck_assert_float_eq(w.t[OUT][i], (float)row);
    }
}
END_TEST

/* ---- clusters ---- */
#define CLUSTER(ops)                                                                                                   \
    HEAD "kernel @k(%t: " TENSOR2 ", %u: " TENSOR2 ", %w: " TENSOR2 ", %p: *f32, %q: *f32) num_ctas=2 {\n"             \
         "  %c0 = const 0 : i32\n  %c1 = const 1 : i32\n  %c4 = const 4 : i32\n" ops "  return\n}\n"

START_TEST(cluster_barriers)
{
    world w;
    passes(CLUSTER("  %r = cluster_rank : i32\n  %o = sub %c1, %r : i32\n  %at = ptr_add %q, %r : *f32\n"
                   "  %f = cast %r : f32\n  store %at, %f\n  cluster_barrier\n"
                   "  %other = ptr_add %q, %o : *f32\n  %x = load %other : f32\n  cluster_barrier\n"
                   "  %c2 = add %r, %c4 : i32\n  %at2 = ptr_add %q, %c2 : *f32\n  store %at2, %x\n"),
           &w);
    ck_assert_float_eq(w.t[OUT][4], 1);
    ck_assert_float_eq(w.t[OUT][5], 0);
    passes(BODY("  %r = cluster_rank : i32\n  %f = cast %r : f32\n  store %q, %f\n  cluster_barrier\n"), &w);
    ck_assert_float_eq(w.t[OUT][0], 0);
    faults(CLUSTER(
               "  %r = cluster_rank : i32\n  %b = gt %r, %c0 : bool\n  if %b {\n    cluster_barrier\n    yield\n  } {\n"
               "    yield\n  }\n"),
           "deadlock: block 1 waits at 'cluster_barrier'");
}
END_TEST

/* each block loads half of the slot for both: rows 0 to 3 by block 0, 4 to 7 by block 1 */
#define HALVES(mask)                                                                                                   \
    CLUSTER("  %c = chan : chan<1, {shared<8x8xf32, #1>}>\n  %r = cluster_rank : i32\n  %n = const 2 : i32\n"          \
            "  partitions {names = \"load,use\", warps = [1, 4], copies = [1, 1], regs = [0, 0]} {\n    (%me: i32)\n"  \
            "    for %c0, %n, %c1 {\n      (%i: i32)\n      %a = put_enter %c, %i : shared<8x8xf32, #1>\n"             \
            "      %row = mul %r, %c4 : i32\n      %h = shared_slice %a, %row, %c0 : shared<4x8xf32, #2>\n"            \
            "      %k = tma_load %t, %row, %c0, %h {multicast = " mask "} : token\n      put_exit %c, %i, %k\n"        \
            "      yield\n    }\n    yield\n  } {\n    (%me2: i32)\n"                                                  \
            "    for %c0, %n, %c1 {\n      (%j: i32)\n      %g = get_enter %c, %j : shared<8x8xf32, #1>\n"             \
            "      %x = shared_load %g : tile<8x8xf32>\n      get_exit %c, %j\n      %z = const 0 : i64\n"             \
            "      %zero = eq %r, %c0 : bool\n      if %zero {\n        tensor_store %u, %z, %z, %x\n        yield\n"  \
            "      } {\n        tensor_store %w, %z, %z, %x\n        yield\n      }\n      yield\n    }\n    yield\n " \
            " }\n")

START_TEST(multicast)
{
    world w;
    run(HALVES("3"), 2, &w);
    ck_assert_msg(w.ok, "%s", w.err);
    for (int i = 0; i < N * N; i++) {
        ck_assert_float_eq(w.t[OUT][i], w.t[IN][i]);
        ck_assert_float_eq(w.t[AUX][i], w.t[IN][i]);
    }
    faults(HALVES("1"), "deadlock: ");
}
END_TEST

/* ---- a whole kernel ---- */
static float half_at(const uint16_t *p, int64_t i)
{
    return (float)dt_float(DT_F16, p[i]);
}

/* rows of A and C: m; the kernel's columns of C: 64, of which n are there */
static void check_gemm(const ir_func *k, arena *a, int64_t m, int64_t n, int64_t depth)
{
    uint16_t *A = calloc((size_t)(m * depth), 2), *B = calloc((size_t)(n * depth), 2), *C = calloc((size_t)(m * n), 2);
    uint64_t x = 88172645463325252u;
    for (int64_t i = 0; i < m * depth + n * depth; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint16_t v = (uint16_t)dt_from_double(DT_F16, (double)(int)(x % 17) / 8 - 1, false);
        *(i < m * depth ? &A[i] : &B[i - m * depth]) = v;
    }
    memset(C, 0xff, (size_t)(m * n) * 2);
    uint64_t args[] = {(uint64_t)((m + 127) / 128),
                       1,
                       1,
                       address(A),
                       (uint64_t)m,
                       (uint64_t)depth,
                       (uint64_t)depth,
                       1,
                       address(B),
                       (uint64_t)n,
                       (uint64_t)depth,
                       (uint64_t)depth,
                       1,
                       address(C),
                       (uint64_t)m,
                       (uint64_t)n,
                       (uint64_t)n,
                       1};
    interp_range bounds[] = {{"a", address(A), (uint64_t)(m * depth) * 2},
                             {"b", address(B), (uint64_t)(n * depth) * 2},
                             {"c", address(C), (uint64_t)(m * n) * 2}};
    interp_options opt = {.bounds = bounds, .nbounds = 3};
    str err = {0};
    ck_assert_msg(interp_kernel(a, k, args, &opt, &err), "%.*s", STR_ARG(err));
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double want = 0;
            for (int64_t d = 0; d < depth; d++)
                want += (double)half_at(A, i * depth + d) * half_at(B, j * depth + d);
            ck_assert_float_eq(half_at(C, i * n + j), (float)dt_float(DT_F16, dt_from_double(DT_F16, want, false)));
        }
    free(A);
    free(B);
    free(C);
}

START_TEST(gemm)
{
    arena a;
    str text, err;
    arena_init(&a, 0);
    ck_assert_msg(file_read(&a, "tests/ir/laid_gemm.tir", 0, &text, &err), "%.*s", STR_ARG(err));
    const ir_func *k = ir_module_find(module_of(&a, str_cstr(&a, text)), S("gemm"));
    check_gemm(k, &a, 128, 64, 64);
    check_gemm(k, &a, 128, 64, 64 * 7);
    check_gemm(k, &a, 200, 50, 100);
    check_gemm(k, &a, 1, 1, 1);
    check_gemm(k, &a, 300, 33, 258);
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("laid_interp");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, views);
    tcase_add_test(c, alloc_is_poison);
    tcase_add_test(c, slices_inside);
    tcase_add_test(c, load_lands_at_await);
    tcase_add_test(c, load_reads_late);
    tcase_add_test(c, outside);
    tcase_add_test(c, fewer_dimensions);
    tcase_add_test(c, store_reads_late);
    tcase_add_test(c, store_adds);
    tcase_add_test(c, masked_copy);
    tcase_add_test(c, groups_in_order);
    tcase_add_test(c, copy_out_of_bounds);
    tcase_add_test(c, products);
    tcase_add_test(c, product_reads_late);
    tcase_add_test(c, product_carried);
    tcase_add_test(c, product_faults);
    tcase_add_test(c, ring_in_one_program);
    tcase_add_test(c, ring_faults);
    tcase_add_test(c, slot_is_poison_after);
    tcase_add_test(c, pipe);
    tcase_add_test(c, deadlocks);
    tcase_add_test(c, turns);
    tcase_add_test(c, own_tiles);
    tcase_add_test(c, cluster_barriers);
    tcase_add_test(c, multicast);
    tcase_add_test(c, gemm);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
