/* test_ir_random.c: random kernels (ir_gen.h) compute the same before and after each pass, and after the whole
 * pipeline.
 *
 * The interpreter is the oracle. A failure names the pass and the seed, and shows the kernel; fuzz_ir.c does the same
 * from bytes that libFuzzer chooses. Each kernel also has to come back from its text, and to compute the same when its
 * tiles lie under random layouts.
 */
#include "compiler/layout.h"
#include "compiler/pass.h"
#include "tests/ir_equal.h"
#include "tests/ir_run.h"

#include <check.h>
#include <stdlib.h>

enum { KERNELS = 1500, BYTES = 400, BUDGET = 200000 };

static void random_bytes(uint64_t seed, uint8_t *out)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < BYTES; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out[i] = (uint8_t)(x >> 32);
    }
}

static const char *text_of(arena *a, const ir_module *m)
{
    strbuf b;
    sb_init(&b, a);
    ir_print_module(m, &b);
    if (b.n > 1700) /* more than this, Check can't show */
        b.n = 1700;
    return str_cstr(a, sb_str(&b));
}

static const char *messages(arena *a, diags *d)
{
    strbuf b;
    sb_init(&b, a);
    diags_render(d, DIAG_SHORT, &b);
    return str_cstr(a, sb_str(&b));
}

static void round_trips(arena *a, const ir_module *m, int seed)
{
    diags d;
    diags_init(&d, a);
    strbuf text, twice;
    sb_init(&text, a);
    sb_init(&twice, a);
    ir_print_module(m, &text);
    ir_module *again = ir_read(a, &d, S("t.tir"), sb_str(&text));
    ck_assert_msg(again != NULL, "kernel %d is refused:\n%s%s", seed, messages(a, &d), text_of(a, m));
    const char *why = ir_module_differs(m, again, a);
    ck_assert_msg(why == NULL, "kernel %d: another %s after reading:\n%s", seed, why, text_of(a, m));
    ir_print_module(again, &twice);
    ck_assert_msg(str_eq(sb_str(&twice), sb_str(&text)), "kernel %d prints otherwise after reading", seed);
}

/* a random layout on registers of this shape: every coordinate bit somewhere, in any order, and some that replicate */
static ir_layout random_layout(ir_module *m, const ir_type_info *t, uint64_t *x)
{
    lay l = lay_empty(t->rank, t->shape, *x & 1);
    uint32_t word[LAY_MAX_BITS];
    int n = lay_base_bits(&l);
    for (int i = 0; i < n; i++)
        word[i] = 1u << i;
    for (int i = 0; i < n; i++) {
        *x = *x * 6364136223846793005u + 1442695040888963407u;
        int j = i + (int)(*x >> 40) % (n - i);
        uint32_t w = word[j];
        word[j] = word[i];
        word[i] = w;
        lay_space s = (lay_space)(*x >> 33 & 3);
        l.image[s][l.nbits[s]++] = w;
        if (!(*x >> 50 & 7) && l.nbits[s] < LAY_MAX_BITS - n)
            l.image[s][l.nbits[s]++] = 0;
    }
    return ir_layout_make(m, &l);
}

/* The kernel as a laid-out one, each shape under a layout of its own: it verifies (for any target: a GPU asks for
 * more), comes back from its text, and computes the same, as layouts decide cost, never results. */
static void check_laid(arena *a, ir_module *m, int seed, const gen_memory_image *want)
{
    diags d;
    str err = {0};
    uint64_t x = (uint64_t)seed * 0x9e3779b97f4a7c15u + 1;
    ir_func *f = ir_module_find(m, S("k"));
    map64 of;
    diags_init(&d, a);
    map_init(&of, a);
    m->funcs.at[0] = f; /* all was inlined */
    m->funcs.n = 1;
    m->stage = LAID;
    for (uint32_t i = 1; i < f->vals.n; i++) {
        const ir_type_info *t = ir_type_of(m, f->vals.at[i].type);
        uint32_t id = 0;
        if (t->kind != TK_TILE)
            continue;
        uint64_t shape = (uint64_t)t->rank;
        for (int e = 0; e < t->rank; e++)
            shape = shape << 16 | (uint64_t)t->shape[e]; /* rank 3 at most */
        if (!map_get(&of, shape, &id)) {
            id = random_layout(m, t, &x).id;
            map_set(&of, shape, id);
        }
        f->vals.at[i].type = ir_type_laid(m, f->vals.at[i].type, (ir_layout){id});
    }
    gen_memory_image *got = malloc(sizeof *got);
    ck_assert_msg(ir_verify(m, &d), "kernel %d, laid out: %s%s", seed, messages(a, &d), text_of(a, m));
    round_trips(a, m, seed);
    ck_assert_msg(gen_run(a, m, 0, got, &err), "kernel %d, laid out: %.*s\n%s", seed, STR_ARG(err), text_of(a, m));
    const char *why = gen_differs(a, want, got);
    ck_assert_msg(why == NULL, "kernel %d, laid out: %s\n%s", seed, why, text_of(a, m));
    free(got);
}

/* the kernel of this seed through these passes */
static void check_passes(const uint8_t *bytes, int seed, const pass_id *ids, uint32_t n, const char *name,
                         const gen_memory_image *want)
{
    arena a;
    diags d;
    str err = {0};
    pass_options opt = {.verify = true};
    gen_memory_image *got = malloc(sizeof *got);
    arena_init(&a, 0);
    diags_init(&d, &a);
    ir_module *m = gen_module(&a, bytes, BYTES);
    const char *text = text_of(&a, m);
    ck_assert_msg(pass_run(m, &d, &opt, ids, n, NULL), "kernel %d, %s: %s%s", seed, name, messages(&a, &d), text);
    ck_assert_msg(gen_run(&a, m, 0, got, &err), "kernel %d, %s: %.*s\n%s", seed, name, STR_ARG(err), text);
    const char *why = gen_differs(&a, want, got);
    ck_assert_msg(why == NULL, "kernel %d, %s: %s\n%s\nafter:\n%s", seed, name, why, text, text_of(&a, m));
    round_trips(&a, m, seed);
    if (ids == pass_tile_pipeline)
        check_laid(&a, m, seed, want);
    free(got);
    arena_fini(&a);
}

static void check_kernel(int seed, const pass_id *ids, uint32_t n, const char *name, int *ran)
{
    arena a;
    diags d;
    str err = {0};
    uint8_t bytes[BYTES];
    gen_memory_image *want = malloc(sizeof *want);
    arena_init(&a, 0);
    diags_init(&d, &a);
    random_bytes((uint64_t)seed, bytes);
    ir_module *m = gen_module(&a, bytes, BYTES);
    ck_assert_msg(ir_verify(m, &d), "kernel %d: %s%s", seed, messages(&a, &d), text_of(&a, m));
    round_trips(&a, m, seed);
    if (gen_run(&a, m, BUDGET, want, &err)) {
        ++*ran;
        check_passes(bytes, seed, ids, n, name, want);
    }
    free(want);
    arena_fini(&a);
}

/* one pass alone, but for those that need calls inlined */
START_TEST(each_pass)
{
    pass_id ids[] = {PASS_inline, (pass_id)_i};
    int ran = 0;
    for (int seed = 0; seed < KERNELS / 4; seed++)
        check_kernel(seed, ids + (_i == PASS_inline), 2 - (uint32_t)(_i == PASS_inline), pass_name((pass_id)_i), &ran);
    ck_assert_int_gt(ran, KERNELS / 8);
}
END_TEST

START_TEST(pipeline)
{
    int ran = 0;
    for (int seed = 0; seed < KERNELS; seed++)
        check_kernel(seed, pass_tile_pipeline, pass_tile_pipeline_len, "pipeline", &ran);
    ck_assert_int_gt(ran, KERNELS / 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ir_random");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 1200);
    tcase_add_loop_test(c, each_pass, PASS_NONE + 1, PASS_COUNT);
    tcase_add_test(c, pipeline);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
