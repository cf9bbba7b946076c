/* test_frontend.c: the front end's interface: kernels as described, choices right and wrong, bindings as text. */
#include "frontend/frontend.h"

#include <check.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

static const char source[] =
    "const BASE = 8\n"
    "fn plain(s, i):\n"
    "    return s\n"
    "fn bias(s, i, by: f32[H], times: int):\n"
    "    return s + by[i] * times\n"
    "fn loose(s, i, by):\n"
    "    return s\n"
    "@tune(BM=[16, 32], num_warps=[2, 4], key=[M])\n"
    "@tune(cpu, configs=[(BM=64, num_warps=1), (BM=128, num_warps=8)])\n"
    "@cooperative\n"
    "kernel first[T: (f16, f32)](a: T[M, BM, 3], b: static strided f32[M + 1, D]?, p: *T, q: **f64, s: int, w: scratch "
    "f32[M],\n"
    "             D: const, U: const = f32, S: const = \"mode\", F: const = -1.5, B: const = True, O: const = None,\n"
    "             N: const = BASE * 2, score: const fn = plain, other: const fn = plain, *more) grid(M):\n"
    "    i = program_id(0)\n"
    "    x = score(a[i, 0, 0].to(f32), i, *more)\n"
    "    store(p + i, x + N + F)\n"
    "    static_assert(U == f32 and S == \"mode\" and B and O is None)\n"
    "kernel third(x: *f32, act: const fn = identity):\n"
    "    store(x, act(load(x)))\n"
    "kernel second(x: *f32, X: const):\n"
    "    for t in persistent(4):\n"
    "        store(x + t, X)\n";

typedef struct env {
    arena a;
    diags d;
    fe_unit *u;
} env;

static void env_load(env *e, const char *text)
{
    arena_init(&e->a, 0);
    diags_init(&e->d, &e->a);
    e->u = fe_load(&e->a, &e->d, S("test.tile"), str_of(text), NULL);
}

static const fe_param *param(const fe_kernel *k, const char *name)
{
    for (uint32_t i = 0; i < k->nparams; i++)
        if (str_eq(k->params[i].name, str_of(name)))
            return &k->params[i];
    ck_abort_msg("no parameter %s", name);
    return NULL;
}

static void binding_of(env *e, const char *text, fe_binding *b)
{
    ck_assert_msg(fe_parse_binding(&e->a, str_of(text), b), "%s", text);
}

/* lowers `first` under space-separated bindings; NULL where it must succeed, else what the first diagnostic contains */
static void lowers(env *e, const char *kernel, const char *binds, const char *fault)
{
    fe_binding b[16];
    uint32_t n = 0;
    str s = str_of(binds);
    while (s.n) {
        size_t k = 0;
        while (k < s.n && s.p[k] != ' ')
            k++;
        char *one = str_cstr(&e->a, (str){s.p, k});
        binding_of(e, one, &b[n++]);
        s.p += k < s.n ? k + 1 : k;
        s.n -= k < s.n ? k + 1 : k;
    }
    fe_choice c = {.bind = b, .n = n, .num_stages = 5};
    ir_module *m = ir_module_new(&e->a);
    m->stage = TIR;
    str name;
    uint32_t before = e->d.list.n;
    bool ok = fe_lower(e->u, str_of(kernel), &c, m, &name);
    ck_assert_msg(ok == (fault == NULL), "%s", binds);
    if (!ok) {
        ck_assert_uint_gt(e->d.list.n, before);
        char *got = str_cstr(&e->a, e->d.list.at[before].text);
        ck_assert_msg(strstr(got, fault) != NULL, "expected '%s' in '%s'", fault, got);
        ck_assert_uint_eq(m->funcs.n, 0);
        return;
    }
    ck_assert(ir_verify(m, &e->d));
    ir_func *f = ir_module_find(m, name);
    ck_assert(f && f->kind == FUNC_KERNEL && f->num_stages == 5);
    ck_assert(ir_module_find(m, f->host) != NULL);
}

START_TEST(described)
{
    env e;
    env_load(&e, source);
    ck_assert(e.u && fe_kernel_count(e.u) == 3);
    const fe_kernel *k = fe_kernel_find(e.u, S("first"));
    ck_assert(k == fe_kernel_at(e.u, 0) && k->has_grid && k->cooperative && k->has_extra && k->ngenerics == 1);
    ck_assert(k->generics[0].n == 2 && k->generics[0].list[1] == DT_F32 && k->ntunes == 2);
    const fe_param *a = param(k, "a"), *b = param(k, "b"), *q = param(k, "q");
    ck_assert(a->kind == FE_P_TENSOR && str_eq(a->generic, S("T")) && a->rank == 3);
    ck_assert(a->dims[0].kind == FE_DIM_NAME && a->dims[1].kind == FE_DIM_CONST && a->dims[2].value == 3);
    ck_assert(b->optional && b->is_static && b->strided && b->dims[0].kind == FE_DIM_EXPR && b->dt == DT_F32);
    ck_assert(str_eq(b->dims[0].text, S("M + 1")) && q->kind == FE_P_POINTER && q->pointers == 2 &&
              param(k, "w")->scratch);
    ck_assert(param(k, "s")->kind == FE_P_SCALAR && param(k, "s")->dt == DT_I64 &&
              param(k, "D")->dflt.kind == FE_V_ABSENT);
    ck_assert(param(k, "U")->dflt.dt == DT_F32 && str_eq(param(k, "S")->dflt.s, S("mode")));
    ck_assert(param(k, "F")->dflt.f == -1.5 && param(k, "B")->dflt.i == 1 && param(k, "O")->dflt.kind == FE_V_NONE);
    ck_assert(param(k, "N")->dflt.i == 16 && param(k, "score")->is_fn && str_eq(param(k, "score")->dflt.s, S("plain")));
    ck_assert(param(k, "BM")->from_tune && param(k, "BM")->dflt.i == 16);
    const fe_tune *t = k->tunes;
    ck_assert(t[0].nconfigs == 4 && t[0].nkey == 1 && t[1].nconfigs == 2 && str_eq(t[1].family, S("cpu")));
    ck_assert(t[0].configs[1][1].value.i == 4 && t[1].configs[1][0].value.i == 128);
    ck_assert(fe_kernel_find(e.u, S("fourth")) == NULL && fe_kernel_at(e.u, 2)->has_grid);
    strbuf sb;
    sb_init(&sb, &e.a);
    fe_print_ast(e.u, &sb);
    ck_assert_uint_gt(sb.n, 100);
    ck_assert(fe_check(e.u));
    arena_fini(&e.a);
}
END_TEST

START_TEST(choices)
{
    env e;
    env_load(&e, source);
    lowers(&e, "first", "T=f16 D=4", NULL);
    lowers(&e, "first", "T=f32 D=4 BM=32 b=None score=bias F=2 B=True N=3", NULL);
    lowers(&e, "first", "T=f32 D=4 score=plain O=None S='mode' U=f32", NULL);
    lowers(&e, "second", "X=1.5", NULL);
    lowers(&e, "third", "act=sigmoid", NULL);
    lowers(&e, "third", "act=sigmoid", NULL);
    lowers(&e, "third", "act=exp", NULL);
    lowers(&e, "first", "D=4", "no dtype was chosen for 'T'");
    lowers(&e, "first", "T=i8 D=4", "dtype 'i8' is not in the list of 'T'");
    lowers(&e, "first", "T=f16", "const 'D' has no default");
    lowers(&e, "first", "T=f16 D=4 Q=3", "has no const, dtype or optional parameter 'Q'");
    lowers(&e, "first", "T=f16 D=4 score=nowhere", "no function is named 'nowhere'");
    lowers(&e, "first", "T=f16 D=4 score=3", "expected a function");
    lowers(&e, "first", "T=f16 D=4 score=loose", "needs a type");
    lowers(&e, "first", "T=f16 D=4 score=bias other=bias", "so does another function");
    lowers(&e, "first", "T=f16 D=4 score=exp", "takes at most 1");
    lowers(&e, "first", "T=f16 D=4 B=False", "static assertion failed");
    lowers(&e, "first", "T=f16 D=-4", "not negative");
    lowers(&e, "fourth", "", "no kernel is named 'fourth'");
    fe_binding b[2];
    binding_of(&e, "score=bias", &b[0]);
    binding_of(&e, "T=f16", &b[1]);
    const fe_kernel *k = fe_kernel_under(e.u, S("first"), &(fe_choice){.bind = b, .n = 2});
    ck_assert(k == NULL); /* D is missing */
    fe_binding d[3] = {b[0], b[1], {S("D"), {.kind = FE_V_INT, .i = 4}}};
    k = fe_kernel_under(e.u, S("first"), &(fe_choice){.bind = d, .n = 3});
    ck_assert(k && param(k, "by")->extra && param(k, "by")->rank == 1 && param(k, "times")->dt == DT_I64);
    ck_assert(fe_kernel_under(e.u, S("second"), NULL) == fe_kernel_at(e.u, 2));
    ck_assert(fe_kernel_under(e.u, S("fourth"), NULL) == NULL);
    arena_fini(&e.a);
}
END_TEST

START_TEST(bindings)
{
    env e;
    fe_binding b;
    env_load(&e, source);
    binding_of(&e, "A=-12", &b);
    ck_assert(b.value.kind == FE_V_INT && b.value.i == -12 && str_eq(b.name, S("A")));
    binding_of(&e, "A=0x10", &b);
    ck_assert(b.value.i == 16);
    binding_of(&e, "A=1e3", &b);
    ck_assert(b.value.kind == FE_V_FLOAT && b.value.f == 1000);
    binding_of(&e, "A=False", &b);
    ck_assert(b.value.kind == FE_V_BOOL && b.value.i == 0);
    binding_of(&e, "A=None", &b);
    ck_assert(b.value.kind == FE_V_NONE);
    binding_of(&e, "A=\"x y\"", &b);
    ck_assert(b.value.kind == FE_V_STR && str_eq(b.value.s, S("x y")));
    binding_of(&e, "A=int", &b);
    ck_assert(b.value.kind == FE_V_DTYPE && b.value.dt == DT_I64);
    binding_of(&e, "A_1=relu", &b);
    ck_assert(b.value.kind == FE_V_FN && str_eq(b.value.s, S("relu")));
    static const char *const bad[] = {"A", "=3", "A=", "1A=3", "A=3x", "A=a-b", "A B=3", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!fe_parse_binding(&e.a, str_of(bad[i]), &b), "'%s'", bad[i]);
    arena_fini(&e.a);
}
END_TEST

START_TEST(wrong_files)
{
    env e;
    env_load(&e, "kernel k(x: *f32:\n    pass\n");
    ck_assert(e.u == NULL && e.d.errors > 0);
    arena_fini(&e.a);
    char *many = malloc(4000);
    strcpy(many, "@tune(A=[");
    for (int i = 0; i < 70; i++)
        strcat(many, "1, ");
    strcat(many, "1], B=[");
    for (int i = 0; i < 70; i++)
        strcat(many, "1, ");
    strcat(many, "1])\nkernel k(x: *f32):\n    store(x, A + B)\n");
    env_load(&e, many);
    ck_assert(e.u == NULL && e.d.errors == 1);
    arena_fini(&e.a);
    free(many);
}
END_TEST

#ifdef TILE_TEST_ALLOC
static void load_and_check(env *e)
{
    e->u = fe_load(&e->a, &e->d, S("test.tile"), str_of(source), NULL);
    ck_assert(e->u && fe_check(e->u));
}

/* memory ends at every allocation in turn: the owner is told, nothing else happens */
START_TEST(memory_ends)
{
    volatile long n = 0;
    for (volatile bool ended = true; ended;) {
        jmp_buf oom;
        env e;
        n = n + 1;
        ended = false;
        arena_init(&e.a, 0);
        diags_init(&e.d, &e.a);
        e.a.oom = &oom;
        if (setjmp(oom) == 0) {
            arena_fail_after(n);
            load_and_check(&e);
        } else {
            ended = true;
        }
        arena_fail_after(0);
        arena_fini(&e.a);
    }
    ck_assert_int_gt(n, 3);
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("frontend");
    TCase *t = tcase_create("all");
    tcase_add_test(t, described);
    tcase_add_test(t, choices);
    tcase_add_test(t, bindings);
    tcase_add_test(t, wrong_files);
#ifdef TILE_TEST_ALLOC
    tcase_add_test(t, memory_ends);
#endif
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
