/* test_laid_text.c: layouts and the types of the laid-out stage as text.
 *
 * Random layouts are printed and read back: the same layout must come out, whatever its rank, repeats, holes, bases,
 * bits and pads. Modules are numbered by first use, so text with other numbers, another order or layouts that nothing
 * uses prints canonically. Wrong text is in tests/ir/laid/read_*.tir, which test_verify.c reads.
 */
#include "compiler/layout.h"
#include "tests/ir_equal.h"

#include <check.h>
#include <stdlib.h>

#define HEAD "tile-ir 1 stage=laid target=any\n"

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x >> 11;
}

static int64_t below(uint64_t *x, int64_t n)
{
    return (int64_t)(next_random(x) % (uint64_t)n);
}

static str printed(arena *a, const ir_module *m)
{
    strbuf b;
    sb_init(&b, a);
    ir_print_module(m, &b);
    return sb_str(&b);
}

static ir_module *read_text(arena *a, str text)
{
    diags d;
    strbuf b;
    diags_init(&d, a);
    ir_module *m = ir_read(a, &d, S("t.tir"), text);
    sb_init(&b, a);
    diags_render(&d, DIAG_SHORT, &b);
    ck_assert_msg(m != NULL, "%s\n%.*s", str_cstr(a, sb_str(&b)), STR_ARG(text));
    return m;
}

/* ---- random layouts ---- */
static void random_shape(uint64_t *x, int *rank, int64_t *shape)
{
    static const int64_t extents[] = {1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 64, 96, 100};
    int64_t n = 1;
    *rank = 1 + (int)below(x, below(x, 4) ? 3 : LAY_MAX_RANK);
    for (int d = 0; d < *rank; d++) {
        shape[d] = extents[below(x, COUNTOF(extents))];
        if (n * shape[d] > 1 << 12)
            shape[d] = 1;
        n *= shape[d];
    }
}

/* shuffles what lay_empty says about repeats, and now and then takes a base that is larger than needed */
static void random_frame(uint64_t *x, bool shared, lay *l)
{
    for (int d = l->rank - 1; d > 0; d--) {
        int e = (int)below(x, d + 1), t = l->rep_order[d];
        l->rep_order[d] = l->rep_order[e];
        l->rep_order[e] = t;
    }
    for (int d = 0; d < l->rank; d++) {
        l->rep_on[d] = shared ? LAY_REG : (lay_space)below(x, LAY_SPACES);
        l->log2[d] += below(x, 16) == 0 && lay_base_bits(l) < LAY_MAX_BITS;
    }
}

/* every coordinate bit somewhere, in any order, some XORed with others, and some bits that replicate */
static void random_bits(uint64_t *x, bool shared, lay *l)
{
    uint32_t word[LAY_MAX_BITS];
    int n = lay_base_bits(l);
    for (int i = 0; i < n; i++)
        word[i] = 1u << i;
    for (int k = 0; k < 3 * n; k++) {
        int i = (int)below(x, n), j = (int)below(x, n);
        uint32_t t = word[i];
        if (i == j)
            continue;
        if (below(x, 3)) {
            word[i] = word[j];
            word[j] = t;
        } else {
            word[i] ^= word[j];
        }
    }
    for (int i = 0; i < n; i++) {
        lay_space s = shared ? LAY_REG : (lay_space)below(x, LAY_SPACES);
        l->image[s][l->nbits[s]++] = word[i];
        if (below(x, 5) == 0 && l->nbits[s] + n - i < LAY_MAX_BITS)
            l->image[s][l->nbits[s]++] = below(x, 2) && i ? word[i - 1] : 0;
    }
}

static ir_layout random_layout(uint64_t *x, ir_module *m, bool shared)
{
    int rank;
    int64_t shape[LAY_MAX_RANK];
    lay_shared s = {.boxes = 1};
    random_shape(x, &rank, shape);
    s.map = lay_empty(rank, shape, below(x, 2));
    random_frame(x, shared, &s.map);
    random_bits(x, shared, &s.map);
    if (!shared)
        return ir_layout_make(m, &s.map);
    s.npads = (int)below(x, LAY_MAX_PADS + 1);
    for (int i = 0; i < s.npads; i++)
        s.pads[i] = (lay_pad){1 + below(x, 1000), 1 + below(x, 64)};
    if (shape[rank - 1] % 4 == 0)
        s.boxes = 1 + below(x, 2) * 3;
    return ir_layout_make_shared(m, &s);
}

static ir_type laid_type(ir_module *m, ir_layout l)
{
    const lay *reg = ir_layout_of(m, l);
    const lay *map = reg ? reg : &ir_layout_shared_of(m, l)->map;
    ir_type f16 = ir_type_num(m, DT_F16);
    return reg ? ir_type_laid(m, ir_type_tile(m, f16, map->rank, map->shape), l)
               : ir_type_shared(m, f16, map->rank, map->shape, l);
}

/* a fn whose ops make values of random laid-out types, the layouts in another order than they were interned in */
static ir_module *random_module(arena *a, uint64_t *x)
{
    ir_module *m = ir_module_new(a);
    m->stage = LAID;
    ir_layout l[6];
    ir_type parts[IR_MAX_CHAN_PARTS];
    for (int i = 0; i < 6; i++)
        l[i] = random_layout(x, m, i % 2);
    ir_func *f = ir_func_new(m, FUNC_FN, S("f"));
    ir_builder b;
    ir_builder_init(&b, f, a);
    b.fold = false;
    for (int n = 0; n < 6; n++) {
        int i = (int)below(x, 6);
        ir_type t = laid_type(m, l[i]);
        if (i % 2 == 0) {
            ir_const_bits(&b, t, 0);
            continue;
        }
        parts[0] = t;
        parts[1] = laid_type(m, l[(i + 2) % 6]);
        ir_emit1(&b, IR_OP_shared_alloc, t, NULL, 0);
        ir_emit1(&b, IR_OP_chan, ir_type_chan(m, 1 + (int)below(x, IR_MAX_STAGES), 2, parts), NULL, 0);
    }
    ir_return(&b, NULL, 0);
    ir_module_add(m, f);
    return m;
}

START_TEST(random_layouts)
{
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        arena a;
        uint64_t x = seed * 0x9e3779b97f4a7c15u;
        arena_init(&a, 0);
        ir_module *m = random_module(&a, &x);
        str text = printed(&a, m);
        ir_module *again = read_text(&a, text);
        const char *why = ir_module_differs(m, again, &a);
        ck_assert_msg(why == NULL, "seed %d: another %s after reading:\n%.*s", (int)seed, why, STR_ARG(text));
        ck_assert(str_eq(printed(&a, again), text));
        arena_fini(&a);
    }
}
END_TEST

/* what reading gives is the layout itself, field by field as lay_eq sees it */
START_TEST(same_layout)
{
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        arena a;
        uint64_t x = seed * 0x9e3779b97f4a7c15u;
        bool shared = seed % 2;
        arena_init(&a, 0);
        ir_module *m = ir_module_new(&a);
        ir_layout l = random_layout(&x, m, shared);
        strbuf b;
        sb_init(&b, &a);
        sb_puts(&b, HEAD "#7 = ");
        ir_layout_print(m, l, &b);
        ir_module *again = read_text(&a, sb_str(&b));
        ir_layout first = {1};
        if (shared)
            ck_assert(lay_shared_eq(ir_layout_shared_of(m, l), ir_layout_shared_of(again, first)));
        else
            ck_assert(lay_eq(ir_layout_of(m, l), ir_layout_of(again, first)));
        arena_fini(&a);
    }
}
END_TEST

/* ---- numbering ---- */
START_TEST(numbered_by_first_use)
{
    arena a;
    arena_init(&a, 0);
    str text = S(HEAD "#9 = layout [4] {lane: [1], [2]}\n"
                      "#2 = shared [4] {offset: [1], [2]}\n"
                      "#3 = layout [8] {reg: [1] lane: [2], [4]}\n"
                      "#4 = layout [4] {lane: [1], [2]}\n"
                      "fn @f() {\n"
                      "  %c = chan : chan<3, {shared<4xf32, #2>}>\n"
                      "  %x = const 0x1p+0 : tile<4xf32, #9>\n"
                      "  %y = const 0x1p+0 : tile<4xf32, #4>\n"
                      "  return\n"
                      "}\n");
    str want = S(HEAD "#1 = shared [4] {offset: [1], [2]}\n"
                      "#2 = layout [4] {lane: [1], [2]}\n"
                      "fn @f() {\n"
                      "  %0 = chan : chan<3, {shared<4xf32, #1>}>\n"
                      "  %1 = const 0x1p+0 : tile<4xf32, #2>\n"
                      "  %2 = const 0x1p+0 : tile<4xf32, #2>\n"
                      "  return\n"
                      "}\n");
    str got = printed(&a, read_text(&a, text));
    ck_assert_msg(str_eq(got, want), "%.*s", STR_ARG(got));
    arena_fini(&a);
}
END_TEST

/* a copy into another module keeps its layouts, though their numbers may differ there */
START_TEST(copied)
{
    arena a;
    arena_init(&a, 0);
    uint64_t x = 77;
    ir_module *m = random_module(&a, &x), *to = ir_module_new(&a);
    to->stage = LAID;
    random_layout(&x, to, false);
    ir_module_add(to, ir_func_copy(m->funcs.at[0], to));
    ck_assert_ptr_null(ir_module_differs(m, to, &a));
    ck_assert(str_eq(printed(&a, m), printed(&a, to)));
    arena_fini(&a);
}
END_TEST

/* loops in loops are run again and again by the schedule's verifier: it gives up after a bounded time */
START_TEST(deep_schedule)
{
    enum { DEEP = 200 };
    arena a;
    strbuf b;
    diags d;
    arena_init(&a, 0);
    diags_init(&d, &a);
    sb_init(&b, &a);
    sb_puts(&b, "tile-ir 1 stage=laid target=cuda:sm_90a\n"
                "#1 = shared [8] {offset: [1], [2], [4]}\n"
                "kernel @k(%t: tensor<?xf32>, %n: i32) num_warps=4 {\n"
                "  %s = shared_alloc : shared<8xf32, #1>\n"
                "  %0 = const 0 : i32\n  %1 = const 1 : i32\n");
    for (int i = 0; i < DEEP; i++)
        sb_putf(&b, "for %%0, %%n, %%1 {\n(%%i%d: i32)\n", i);
    sb_puts(&b, "%k = tma_store %s, %t, %0 : token\nawait %k\n");
    for (int i = 0; i < DEEP; i++)
        sb_puts(&b, "yield\n}\n");
    sb_puts(&b, "return\n}\n");
    ck_assert_ptr_null(ir_read(&a, &d, S("t.tir"), sb_str(&b)));
    strbuf shown;
    sb_init(&shown, &a);
    diags_render(&d, DIAG_SHORT, &shown);
    ck_assert_msg(strstr(str_cstr(&a, sb_str(&shown)), "too many for its schedule to be checked") != NULL, "%s",
                  str_cstr(&a, sb_str(&shown)));
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("laid_text");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, random_layouts);
    tcase_add_test(c, same_layout);
    tcase_add_test(c, numbered_by_first_use);
    tcase_add_test(c, copied);
    tcase_add_test(c, deep_schedule);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
