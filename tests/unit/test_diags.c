/* test_diags.c: the front end's diagnostics that no fixed .tile file brings about: choices of a launch, limits, memory.
 *
 * A case is a text made of a head, n lines that are numbered, and a tail, and bindings as on the command line; what it
 * expects is the first diagnostic's id (diags.def), place and text. The other diagnostics are expected in
 * tests/frontend; tests/tools/diags.sh checks that each row of diags.def is expected in one of the two.
 *
 *   in a numbered line   # is its number, @ the next one, > indentation two deeper a line
 */
#include "base/base.h"
#include "frontend/diags.h"
#include "frontend/frontend.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

typedef struct wanted {
    const char *id;
    uint32_t line, from, to; /* columns, first and last; all 0: no place */
    const char *text;
} wanted;

typedef struct env {
    arena a;
    diags d;
    fe_unit *u;
} env;

static void env_open(env *e)
{
    arena_init(&e->a, 0);
    diags_init(&e->d, &e->a);
}

static void env_close(env *e)
{
    arena_fini(&e->a);
}

/* the first diagnostic is as wanted, and it is the only error */
static void said(env *e, const wanted *w)
{
    ck_assert_msg(e->d.list.n > 0 && e->d.errors == 1, "%s: %u diagnostics, %u errors", w->id, e->d.list.n,
                  e->d.errors);
    const diag *g = &e->d.list.at[0];
    uint32_t line = 0, from = 0, end_line = 0, to = 0;
    ck_assert_msg(str_eq(str_of(g->name), str_of(w->id)), "expected %s, found %s", w->id, g->name);
    if (g->at.file) {
        diags_place(&e->d, g->at.file, g->at.beg, &line, &from);
        diags_place(&e->d, g->at.file, g->at.end > g->at.beg ? g->at.end - 1 : g->at.beg, &end_line, &to);
    }
    ck_assert_msg(memmem(g->text.p, g->text.n, w->text, strlen(w->text)), "%s: '%.*s'", w->id, STR_ARG(g->text));
    ck_assert_msg(line == w->line && end_line == line && from == w->from && to == w->to, "%s: at %u:%u-%u, line %u",
                  w->id, line, from, to, end_line);
}

/* ---- limits ---- */
typedef struct limit_case {
    wanted want;
    const char *head, *line;
    int n;
    const char *tail;
} limit_case;

static void put_line(strbuf *b, const char *line, int i)
{
    for (const char *p = line; *p; p++)
        switch (*p) {
        case '#':
            sb_putf(b, "%d", i);
            break;
        case '@':
            sb_putf(b, "%d", i + 1);
            break;
        case '>':
            sb_putf(b, "%*s", 2 * (i + 1), "");
            break;
        default:
            sb_putc(b, *p);
        }
}

static str text_of(arena *a, const limit_case *c)
{
    strbuf b;
    sb_init(&b, a);
    sb_puts(&b, c->head);
    for (int i = 0; i < c->n; i++)
        put_line(&b, c->line, i);
    sb_puts(&b, c->tail);
    return sb_str(&b);
}

#define K "kernel k(x: *f32, n: int):\n"

static const limit_case limits[] = {
    {{"CALL_DEPTH", 44, 12, 17, "calls nested more than 100 deep"},
     "fn g0(x):\n    return x\n",
     "fn g@(x):\n    return g#(x)\n",
     120,
     K "    store(x, g120(1.0))\n"},
    {{"TOO_LONG", 4, 12, 23, "kernel is too long: more than"},
     "fn g0(x, c):\n    return x + c\n",
     "fn g@(x, c):\n    return g#(x, c * 2) + g#(x, c * 2 + 1)\n",
     30,
     K "    store(x, g30(load(x), 0))\n"},
    {{"TOO_LONG", 47, 13, 72, "kernel is too long"},
     K "    for i in static_range(8000):\n",
     "        a = (n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n, n)\n",
     60,
     ""},
    {{"NESTING", 322, 5, 15, "nested too deep: more than 160 levels"},
     K,
     "    if n == #:\n        return\n",
     200,
     "    store(x, n)\n"},
    {{"NESTING", 18, 35, 56, "nested too deep: more than 16 levels"},
     K,
     ">for i# in range(0, n):\n",
     17,
     "                                        store(x, n)\n"},
    {{"LIST_SIZE", 17, 9, 14, "list of 131070 elements: expected at most 65536"},
     K "    a = (n, n)\n",
     "    a = (a, a)\n",
     20,
     ""},
    {{"LIST_SIZE", 18, 9, 13, "list of 131072 elements"}, K "    a = (1, n)\n", "    a = a + a\n", 40, ""},
    {{"LIST_SIZE", 2, 9, 140010, "list of 70000 elements"}, K "    a = [", "1,", 70000, "]\n"},
    {{"TOO_DEEP", 2, 2989, 2989, "expression or statement is nested too deep"}, K "    a = ", "- ", 5000, "n\n"},
    {{"TOO_DEEP", 2, 9, 2009, "expression or statement is nested too deep"}, K "    a = n", " + n", 700, "\n"},
    {{"TOO_MANY_BRACKETS", 2, 209, 209, "brackets nested more than 200 deep"}, K "    a = ", "(", 2000, "n"},
    {{"TOO_MANY_BLOCKS", 102, 203, 204, "blocks nested more than 100 deep"}, K, ">if n == #:\n", 2000, ""},
    {{"TUNE_SIZE", 2, 8, 8, "'@tune' lists more than 4096 configurations"},
     "@tune(A=[",
     "#, ",
     70,
     "1], B=[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], C=[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])\nkernel k(x: *f32):\n    store(x, A + "
     "B)\n"},
};

START_TEST(limit)
{
    const limit_case *c = &limits[_i];
    env e;
    env_open(&e);
    e.u = fe_load(&e.a, &e.d, S("test.tile"), text_of(&e.a, c), NULL);
    if (e.u)
        ck_assert(!fe_check(e.u));
    said(&e, &c->want);
    env_close(&e);
}
END_TEST

/* what is just inside */
START_TEST(within_limits)
{
    static const limit_case cases[] = {
        {{0}, K, "    if n == #:\n        return\n", 100, "    store(x, n)\n"},
        {{0}, K, "    v# = n + #\n    if n == #:\n        v# = 3\n", 300, ""},
        {{0}, K, ">for i# in range(0, n):\n", 16, "                                        store(x, n)\n"},
        {{0}, "fn g0(x):\n    return x\n", "fn g@(x):\n    return g#(x)\n", 99, K "    store(x, g99(1.0))\n"},
    };
    env e;
    env_open(&e);
    e.u = fe_load(&e.a, &e.d, S("test.tile"), text_of(&e.a, &cases[_i]), NULL);
    ck_assert(e.u && fe_check(e.u));
    ck_assert_uint_eq(e.d.list.n, 0);
    env_close(&e);
}
END_TEST

START_TEST(file_size)
{
    static const wanted w = {"FILE_SIZE", 1, 1, 1, "file is over 64 MiB"};
    size_t n = ((size_t)64 << 20) + 1;
    char *text = malloc(n);
    env e;
    env_open(&e);
    ck_assert(text != NULL);
    memset(text, '\n', n);
    ck_assert(fe_load(&e.a, &e.d, S("test.tile"), (str){text, n}, NULL) == NULL);
    said(&e, &w);
    env_close(&e);
    free(text);
}
END_TEST

/* ---- what a launch chooses ---- */
static const char source[] = "fn plain(s, i):\n"
                             "    return s\n"
                             "fn bias(s, i, by: f32[H]):\n"
                             "    return s + by[i]\n"
                             "fn loose(s, i, by):\n"
                             "    return s\n"
                             "kernel k[T: (f16, f32)](a: *T, b: *f32?, D: const, score: const fn = plain,\n"
                             "    other: const fn = plain, *more) grid(D):\n"
                             "    store(a, score(load(a), 0, *more).to(T))\n";

typedef struct choice_case {
    wanted want;
    const char *kernel, *binds;
} choice_case;

static const choice_case choices[] = {
    {{"CHOICE_GENERIC", 7, 10, 10, "no dtype was chosen for 'T'"}, "k", "D=4"},
    {{"GENERIC_DTYPE", 7, 10, 10, "dtype 'i8' is not in the list of 'T'"}, "k", "T=i8 D=4"},
    {{"CONST_MISSING", 7, 42, 42, "const 'D' has no default: give it a value"}, "k", "T=f16"},
    {{"CHOICE_NAME", 7, 8, 8, "kernel 'k' has no const, dtype or optional parameter 'Q'"}, "k", "T=f16 D=4 Q=3"},
    {{"CHOICE_FN", 7, 52, 56, "no function is named 'nowhere'"}, "k", "T=f16 D=4 score=nowhere"},
    {{"PARAM_VALUE", 7, 52, 56, "parameter 'score': expected a function, found integer '3'"}, "k", "T=f16 D=4 score=3"},
    {{"EXTRA_UNTYPED", 5, 16, 17, "parameter 'by' that 'loose' adds to the kernel needs a type"},
     "k",
     "T=f16 D=4 score=loose"},
    {{"EXTRA_TWICE", 8, 5, 9, "'bias' adds a parameter 'by', and so does another function: one may"},
     "k",
     "T=f16 D=4 score=bias other=bias"},
    {{"HOST_NEGATIVE", 8, 42, 42, "a grid axis is not negative, found -4"}, "k", "T=f16 D=-4"},
    {{"NO_KERNEL", 0, 0, 0, "no kernel is named 'fourth'"}, "fourth", ""},
};

static uint32_t parse_bindings(arena *a, const char *text, fe_binding *b)
{
    uint32_t n = 0;
    for (const char *p = text; *p; n++) {
        size_t k = strcspn(p, " ");
        ck_assert(fe_parse_binding(a, (str){p, k}, &b[n]));
        p += k + (p[k] == ' ');
    }
    return n;
}

START_TEST(choice)
{
    const choice_case *c = &choices[_i];
    fe_binding b[8];
    env e;
    str name;
    env_open(&e);
    e.u = fe_load(&e.a, &e.d, S("test.tile"), str_of(source), NULL);
    ck_assert(e.u != NULL);
    ir_module *m = ir_module_new(&e.a);
    m->stage = TIR;
    fe_choice with = {.bind = b, .n = parse_bindings(&e.a, c->binds, b)};
    ck_assert(!fe_lower(e.u, str_of(c->kernel), &with, m, &name));
    said(&e, &c->want);
    env_close(&e);
}
END_TEST

#ifdef TILE_TEST_ALLOC
/* memory that ends where the unit's owner set no place to go is a diagnostic */
START_TEST(memory)
{
    static const wanted w = {"MEMORY", 0, 0, 0, "out of memory"};
    fe_binding b[8];
    env e;
    str name;
    env_open(&e);
    e.u = fe_load(&e.a, &e.d, S("test.tile"), str_of(source), NULL);
    ck_assert(e.u != NULL);
    fe_choice with = {.bind = b, .n = parse_bindings(&e.a, "T=f16 D=4", b)};
    bool ok = true;
    for (int i = 0; i < 1000 && ok; i++) { /* until a lowering needs new memory */
        ir_module *m = ir_module_new(&e.a);
        m->stage = TIR;
        arena_fail_after(1);
        ok = fe_lower(e.u, S("k"), &with, m, &name);
        arena_fail_after(0);
    }
    ck_assert(!ok);
    said(&e, &w);
    env_close(&e);
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("diags");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, limit, 0, COUNTOF(limits));
    tcase_add_loop_test(t, within_limits, 0, 4);
    tcase_add_test(t, file_size);
    tcase_add_loop_test(t, choice, 0, COUNTOF(choices));
#ifdef TILE_TEST_ALLOC
    tcase_add_test(t, memory);
#endif
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
