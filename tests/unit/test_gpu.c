/* test_gpu.c: what the GPU lowering makes of small laid-out kernels, as text of PTX, and what it refuses by name. That
 * kernels are right is shown elsewhere (tests/lower/nvptx/hand by the interpreter and on cards).
 */
#include "backends/backend.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

typedef struct kit {
    arena a;
    diags d;
    gpu_code code;
    bool ok;
    const char *text; /* PTX, or the diagnostics */
} kit;

static void compile_for(kit *k, const char *chip, const char *body)
{
    arena_init(&k->a, 0);
    diags_init(&k->d, &k->a);
    char *text = str_cstr(&k->a, str_fmt(&k->a, "tile-ir 1 stage=laid target=cuda:%s\n%s", chip, body));
    ir_module *m = ir_read(&k->a, &k->d, S("kernel.tir"), str_of(text));
    strbuf b;
    sb_init(&b, &k->a);
    if (!m) {
        diags_render(&k->d, DIAG_HUMAN, &b);
        ck_abort_msg("%s", sb_cstr(&b));
    }
    backend_target t = {.name = S("cuda"), .chip = str_of(chip), .opt_level = 2};
    k->ok = gpu_compile(&k->a, m, m->funcs.at[0], &t, &k->code, &k->d);
    if (k->ok)
        sb_put(&b, k->code.text);
    else
        diags_render(&k->d, DIAG_HUMAN, &b);
    k->text = sb_cstr(&b);
}

static void expect(const char *chip, const char *body, bool ok, const char *text)
{
    kit k;
    compile_for(&k, chip, body);
    ck_assert_msg(k.ok == ok, "%s", k.text);
    ck_assert_msg(strstr(k.text, text) != NULL, "no '%s' in:\n%s", text, k.text);
    arena_fini(&k.a);
}

static uint32_t count(const char *text, const char *what)
{
    uint32_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

/* 64 elements in 32 lanes, two a lane, in one warp */
#define PAIRS "#1 = layout [64] {reg: [1] lane: [2], [4], [8], [16], [32]}\n"
#define COPY(T)                                                                                                        \
    PAIRS "kernel @f(%x: *" T " {align = 16}, %y: *" T " {align = 16, written}) num_warps=1 {\n"                       \
          "  %i = arange {start = 0} : tile<64xi32, #1>\n"                                                             \
          "  %xs = splat %x : tile<64x*" T ", #1>\n  %xp = ptr_add %xs, %i : tile<64x*" T ", #1>\n"                    \
          "  %ys = splat %y : tile<64x*" T ", #1>\n  %yp = ptr_add %ys, %i : tile<64x*" T ", #1>\n"                    \
          "  %v = load %xp : tile<64x" T ", #1>\n  store %yp, %v\n  return\n}\n"

/* two registers a thread: as one word where they fill one, else one by one, and none left out */
START_TEST(accesses)
{
    static const struct {
        const char *body, *load;
        uint32_t n;
    } cases[] = {
        {COPY("i8"), "ld.global.b8", 2},      {COPY("bool"), "ld.global.b8", 2}, {COPY("f16"), "ld.global.b32", 1},
        {COPY("f32"), "ld.global.v2.b32", 1}, {COPY("f64"), "ld.global.b64", 2},
    };
    for (size_t i = 0; i < COUNTOF(cases); i++) {
        kit k;
        compile_for(&k, "sm_90a", cases[i].body);
        ck_assert_msg(k.ok, "%s", k.text);
        ck_assert_msg(count(k.text, cases[i].load) == cases[i].n, "%s: %u times, not %u, in:\n%s", cases[i].load,
                      count(k.text, cases[i].load), cases[i].n, k.text);
        ck_assert_uint_eq(count(k.text, "st.global"), cases[i].n);
        arena_fini(&k.a);
    }
}
END_TEST

/* a tile that all four warps hold is stored by the first */
START_TEST(owners)
{
    static const char body[] =
        "#1 = layout [32] {lane: [1], [2], [4], [8], [16]}\n"
        "kernel @f(%y: *i32 {written}) num_warps=4 {\n  %i = arange {start = 0} : tile<32xi32, #1>\n"
        "  %ys = splat %y : tile<32x*i32, #1>\n  %yp = ptr_add %ys, %i : tile<32x*i32, #1>\n  store %yp, %i\n  "
        "return\n}\n";
    kit k;
    compile_for(&k, "sm_90a", body);
    ck_assert_msg(k.ok, "%s", k.text);
    ck_assert_msg(strstr(k.text, "st.global") && count(k.text, "@%p") > 0, "every warp stores:\n%s", k.text);
    arena_fini(&k.a);
}
END_TEST

#define TURNS(COPIES)                                                                                                  \
    "kernel @f() {\n  partitions {names = \"a\", warps = [4], copies = [" COPIES "], regs = [0]} {\n    (%me: i32)\n"  \
    "    turn_enter {turn = 0}\n    turn_exit {turn = 0}\n    yield\n  }\n  return\n}\n"

/* somebody has to pass the turn to the first copy, else all wait */
START_TEST(turns)
{
    kit k;
    compile_for(&k, "sm_90a", TURNS("2"));
    ck_assert_msg(k.ok, "%s", k.text);
    const char *arrive = strstr(k.text, "bar.arrive"), *wait = strstr(k.text, "bar.sync");
    ck_assert_msg(arrive && wait && arrive < wait, "the first turn is never given:\n%s", k.text);
    ck_assert_uint_eq(count(k.text, "bar.arrive"), 2);
    arena_fini(&k.a);
    compile_for(&k, "sm_90a", TURNS("1"));
    ck_assert_msg(k.ok && !strstr(k.text, "bar.arrive"), "%s", k.text);
    arena_fini(&k.a);
}
END_TEST

/* how many lines of the text hold `what` in front of the first `mark` */
static uint32_t before(const char *text, const char *mark, const char *what)
{
    const char *end = strstr(text, mark);
    uint32_t n = 0;
    for (const char *p = text; end && (p = strstr(p, what)) && p < end; p += strlen(what))
        n++;
    return n;
}

#define TICKET(WARPS, ATTRS, USE)                                                                                      \
    "kernel @f(%x: *i32 {written}, %y: *i32 {written}) num_warps=" WARPS " {\n  %1 = const 1 : i32\n"                  \
    "  %o = atomic_rmw %x, %1 {rmw = add" ATTRS "} : i32\n" USE "  return\n}\n"
#define KEEP "  store %y, %o\n"

/* one thread acts for a scalar; the others get what it got, and all meet before and after an atomic that orders */
START_TEST(scalar_atomics)
{
    kit k;
    compile_for(&k, "sm_90a", TICKET("4", ", sem = relaxed", ""));
    ck_assert_msg(k.ok, "%s", k.text);
    ck_assert_msg(!strstr(k.text, "bar.sync"), "a relaxed atomic waits:\n%s", k.text);
    ck_assert_uint_eq(count(k.text, "red.global") + count(k.text, "atom."), 1);
    arena_fini(&k.a);
    compile_for(&k, "sm_90a", TICKET("1", ", sem = relaxed", KEEP));
    ck_assert_msg(k.ok && count(k.text, "shfl.sync.idx") >= 1, "%s", k.text);
    arena_fini(&k.a);
    compile_for(&k, "sm_90a", TICKET("4", "", KEEP));
    ck_assert_msg(k.ok, "%s", k.text);
    ck_assert_uint_eq(before(k.text, "atom.", "bar.sync"), 1);
    ck_assert_msg(before(k.text, "atom.", "fence.acq_rel.gpu") == 1 && count(k.text, "fence.acq_rel.gpu") == 2,
                  "nothing is ordered:\n%s", k.text);
    ck_assert_uint_ge(count(k.text, "bar.sync"), 2);
    arena_fini(&k.a);
}
END_TEST

#define ADD(LAYOUT, T, USE)                                                                                            \
    "#1 = layout [64] " LAYOUT "\nkernel @f(%x: *" T " {written}, %y: *" T " {written}) num_warps=1 {\n"               \
    "  %i = arange {start = 0} : tile<64xi32, #1>\n"                                                                   \
    "  %xs = splat %x : tile<64x*" T ", #1>\n  %xp = ptr_add %xs, %i : tile<64x*" T ", #1>\n"                          \
    "  %v = cast %i : tile<64x" T ", #1>\n"                                                                            \
    "  %o = atomic_rmw %xp, %v {rmw = add, sem = relaxed} : tile<64x" T ", #1>\n" USE "  return\n}\n"
#define KEEP_TILE(T)                                                                                                   \
    "  %ys = splat %y : tile<64x*" T ", #1>\n  %yp = ptr_add %ys, %i : tile<64x*" T ", #1>\n  store %yp, %o\n"
#define TWICE "{reg: [1], [0] lane: [2], [4], [8], [16], [32]}"
#define HALF "{reg: [1], [2] lane: [4], [8], [16], [32], [0]}"

/* an element once, however many registers and threads hold it */
START_TEST(tile_atomics)
{
    static const struct {
        const char *body;
        uint32_t n;
    } cases[] = {
        {ADD("{reg: [1] lane: [2], [4], [8], [16], [32]}", "i32", ""), 2},
        {ADD(TWICE, "f32", ""), 2},
        {ADD(TWICE, "f32", KEEP_TILE("f32")), 2},
        {ADD(HALF, "i32", KEEP_TILE("i32")), 4},
    };
    for (size_t i = 0; i < COUNTOF(cases); i++) {
        kit k;
        compile_for(&k, "sm_90a", cases[i].body);
        ck_assert_msg(k.ok, "%s", k.text);
        uint32_t n = count(k.text, "red.global") + count(k.text, "atom.");
        ck_assert_msg(n == cases[i].n, "case %zu: %u atomics, not %u, in:\n%s", i, n, cases[i].n, k.text);
        arena_fini(&k.a);
    }
}
END_TEST

#define ONE "#1 = shared [1] {}\n"
/* a scalar through a channel: the producer's one thread stores it and arrives, each warp of the consumer reads it */
START_TEST(scalars_in_channels)
{
    static const char body[] =
        ONE "kernel @f(%y: *i32 {written}) {\n  %c = chan : chan<2, {shared<1xi32, #1>}>\n  %0 = const 0 : i32\n"
            "  partitions {names = \"put,get\", warps = [1, 4], copies = [1, 1], regs = [0, 0]} {\n    (%a: i32)\n"
            "    %s = put_enter %c, %0 : shared<1xi32, #1>\n    shared_store %s, %a\n    put_exit %c, %0\n    yield\n"
            "  } {\n    (%b: i32)\n    %r = get_enter %c, %0 : shared<1xi32, #1>\n    %v = shared_load %r : i32\n"
            "    get_exit %c, %0\n    store %y, %v\n    yield\n  }\n  return\n}\n";
    kit k;
    compile_for(&k, "sm_90a", body);
    ck_assert_msg(k.ok, "%s", k.text);
    const char *put = strstr(k.text, "st.shared"), *told = put ? strstr(put, "mbarrier.arrive") : NULL;
    ck_assert_msg(put && told, "the store isn't told of:\n%s", k.text);
    ck_assert_msg(strstr(k.text, "ld.shared"), "%s", k.text);
    arena_fini(&k.a);
}
END_TEST

#define COPIES                                                                                                         \
    "#1 = shared [32] {offset: [1], [2], [4], [8], [16]}\n#2 = layout [32] {lane: [1], [2], [4], [8], [16]}\n"         \
    "kernel @f(%x: *i32 {align = 16}, %y: *i32 {written}) num_warps=1 {\n"                                             \
    "  %c = chan : chan<2, {shared<32xi32, #1>}>\n  %0 = const 0 : i32\n"                                              \
    "  %i = arange {start = 0} : tile<32xi32, #2>\n  %xs = splat %x : tile<32x*i32, #2>\n"                             \
    "  %xp = ptr_add %xs, %i : tile<32x*i32, #2>\n  %s = put_enter %c, %0 : shared<32xi32, #1>\n"                      \
    "  %t = cp_async %xp, %s : token\n  put_exit %c, %0, %t\n  %r = get_enter %c, %0 : shared<32xi32, #1>\n"           \
    "  %v = shared_load %r : tile<32xi32, #2>\n  get_exit %c, %0\n  %ys = splat %y : tile<32x*i32, #2>\n"              \
    "  %yp = ptr_add %ys, %i : tile<32x*i32, #2>\n  store %yp, %v\n  return\n}\n"

/* each thread's copies arrive for it; chips without tensor maps have only the barrier that is asked */
START_TEST(copies_in_channels)
{
    expect("sm_90a", COPIES, true, "cp.async.mbarrier.arrive.noinc");
    expect("sm_90a", COPIES, true, "mbarrier.try_wait");
    expect("sm_80", COPIES, true, "mbarrier.test_wait");
    kit k;
    compile_for(&k, "sm_80", COPIES);
    ck_assert_msg(!strstr(k.text, "try_wait"), "%s", k.text);
    arena_fini(&k.a);
}
END_TEST

#define BOX "#1 = shared [8, 64] {offset: [0, 1], [0, 2], [0, 4], [0, 8], [0, 16], [0, 32], [1, 8], [2, 16], [4, 32]}\n"
#define FILL(ATTRS)                                                                                                    \
    BOX "kernel @f(%x: tensor<?x?xf16>) {\n  %c = chan : chan<1, {shared<8x64xf16, #1>}>\n  %0 = const 0 : i32\n"      \
        "  partitions {names = \"put,get\", warps = [1, 4], copies = [1, 1], regs = [0, 0]} {\n    (%a: i32)\n"        \
        "    %s = put_enter %c, %0 : shared<8x64xf16, #1>\n    %t = tma_load %x, %0, %0, %s" ATTRS " : token\n"        \
        "    put_exit %c, %0, %t\n    yield\n  } {\n    (%b: i32)\n"                                                   \
        "    %r = get_enter %c, %0 : shared<8x64xf16, #1>\n    get_exit %c, %0\n    yield\n  }\n  return\n}\n"

#define HALVES(MASK)                                                                                                   \
    "#1 = shared [16, 64] {offset: [0, 1], [0, 2], [0, 4], [0, 8], [0, 16], [0, 32], [1, 8], [2, 16], [4, 32], [8, "   \
    "0]}\n"                                                                                                            \
    "#2 = shared [8, 64] {offset: [0, 1], [0, 2], [0, 4], [0, 8], [0, 16], [0, 32], [1, 8], [2, 16], [4, 32]}\n"       \
    "kernel @f(%x: tensor<?x?xf16>) num_ctas=2 {\n  %c = chan : chan<1, {shared<16x64xf16, #1>}>\n"                    \
    "  %0 = const 0 : i32\n  %8 = const 8 : i32\n  %r = cluster_rank : i32\n  %h = mul %r, %8 : i32\n"                 \
    "  partitions {names = \"put,get\", warps = [1, 4], copies = [1, 1], regs = [0, 0]} {\n    (%a: i32)\n"            \
    "    %s = put_enter %c, %0 : shared<16x64xf16, #1>\n"                                                              \
    "    %p = shared_slice %s, %h, %0 : shared<8x64xf16, #2>\n"                                                        \
    "    %t = tma_load %x, %h, %0, %p {multicast = " MASK "} : token\n    put_exit %c, %0, %t\n    yield\n"            \
    "  } {\n    (%b: i32)\n    %q = get_enter %c, %0 : shared<16x64xf16, #1>\n    get_exit %c, %0\n    yield\n"        \
    "  }\n  return\n}\n"

/* each block sends its half to both: a slot waits for the bytes of both, and for the readers of both */
START_TEST(multicast)
{
    kit k;
    compile_for(&k, "sm_90a", HALVES("3"));
    ck_assert_msg(k.ok, "%s", k.text);
    ck_assert_msg(strstr(k.text, ".multicast::cluster"), "%s", k.text);
    ck_assert_msg(strstr(k.text, "mbarrier.arrive.release.cluster.shared::cluster"), "%s", k.text);
    ck_assert_msg(strstr(k.text, "expect_tx") && strstr(k.text, ", 2048;"), "not 2 * 1024 bytes:\n%s", k.text);
    arena_fini(&k.a);
    expect("sm_90a", HALVES("1"), false, "multicast to some blocks of the cluster: all 2 get a box");
}
END_TEST

#define NEXT                                                                                                           \
    "kernel @f(%y: *i32 {written}) num_warps=1 {\n  %1 = const 1 : i32\n  launch_wait\n  store %y, %1\n  return\n}\n"

/* it lets those behind it start, waits for those before, and the launch is told; older chips take turns anyway */
START_TEST(launches)
{
    kit k;
    compile_for(&k, "sm_90a", NEXT);
    ck_assert_msg(k.ok && k.code.dependent, "%s", k.text);
    const char *lets = strstr(k.text, "griddepcontrol.launch_dependents"),
               *waits = strstr(k.text, "griddepcontrol.wait");
    ck_assert_msg(lets && waits && lets < waits && waits < strstr(k.text, "st.global"), "%s", k.text);
    arena_fini(&k.a);
    compile_for(&k, "sm_80", NEXT);
    ck_assert_msg(k.ok && !k.code.dependent && !strstr(k.text, "griddepcontrol"), "%s", k.text);
    arena_fini(&k.a);
}
END_TEST

/* what a chip lacks is said by name; on the others the same kernel compiles */
START_TEST(features)
{
    expect("sm_90a", FILL(""), true, "cp.async.bulk.tensor");
    expect("sm_80", FILL(""), false, "on sm_80");
    expect("sm_80", FILL(""), false, "has no tensor maps");
    expect("sm_90a", FILL(" {multicast = 2}"), false, "multicast to some blocks of the cluster: all 1 get a box");
    expect("sm_80", "kernel @f() num_ctas=2 {\n  return\n}\n", false, "has no clusters");
    expect("sm_90a", "kernel @f() num_ctas=2 {\n  return\n}\n", true, "barrier.cluster");
    static const char moved[] =
        "kernel @f() {\n  partitions {names = \"a\", warps = [4], copies = [1], regs = [104]} {\n"
        "    (%me: i32)\n    yield\n  }\n  return\n}\n";
    expect("sm_90a", moved, true, "setmaxnreg");
    expect("sm_89", moved, false, "can't move registers");
    static const char product[] =
        "#1 = layout [64, 64] {reg: [0, 1], [8, 0], [0, 8], [0, 16], [0, 32] lane: [0, 2], [0, 4], [1, 0], [2, 0], [4, "
        "0] "
        "warp: [16, 0], [32, 0]}\n"
        "#2 = shared [64, 64] {offset: [0, 1], [0, 2], [0, 4], [0, 8], [0, 16], [0, 32], [1, 8], [2, 16], [4, 32], "
        "[8, 0], [16, 0], [32, 0]}\n"
        "kernel @f() num_warps=4 {\n  %s = shared_alloc : shared<64x64xf16, #2>\n"
        "  %a, %t = wgmma %s, %s : tile<64x64xf32, #1>, token\n  %b = await %t, %a : tile<64x64xf32, #1>\n  "
        "return\n}\n";
    expect("sm_90a", product, true, "wgmma.mma_async");
    expect("sm_100a", product, false, "has no wgmma");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gpu");
    TCase *c = tcase_create("gpu");
    tcase_add_test(c, accesses);
    tcase_add_test(c, owners);
    tcase_add_test(c, turns);
    tcase_add_test(c, scalar_atomics);
    tcase_add_test(c, tile_atomics);
    tcase_add_test(c, scalars_in_channels);
    tcase_add_test(c, copies_in_channels);
    tcase_add_test(c, multicast);
    tcase_add_test(c, launches);
    tcase_add_test(c, features);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
