/* test_cpu_math.c: the error of the CPU's vector mathematics on f32, against the C library's double precision.
 *
 * A kernel of IR text applies one op to 4096 numbers; it is compiled once for an op and run over bit patterns: a sample
 * of one in 1021 (a prime: no pattern of low bits is missed) as a test, or with `--every N [OP]` one in N, which
 * prints the table of docs/math.md (there N = 1: all 2^32). NaN, infinities, zeros and denormals are among the
 * patterns; the sign of zero results counts.
 */
#include "backends/backend.h"
#include "base/base.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 4096

typedef struct op_case {
    const char *op;
    double (*ref)(double);
    double limit; /* ulp: what docs/math.md promises */
} op_case;

static double rsqrt_ref(double x)
{
    return 1 / sqrt(x);
}

static const op_case cases[] = {
    {"exp", exp, 1.1}, {"exp2", exp2, 1.0}, {"log", log, 1.0}, {"log2", log2, 2.5},       {"tanh", tanh, 1.5},
    {"erf", erf, 1.5}, {"sin", sin, 1.6},   {"cos", cos, 1.6}, {"rsqrt", rsqrt_ref, 1.5},
};

static const char text[] = "tile-ir 1 stage=tir target=any\n"
                           "kernel @k(%%x: *f32, %%o: *f32) {\n"
                           "  %%i = arange {start = 0} : tile<4096xi64>\n"
                           "  %%p = splat %%x : tile<4096x*f32>\n"
                           "  %%px = ptr_add %%p, %%i : tile<4096x*f32>\n"
                           "  %%v = load %%px : tile<4096xf32>\n"
                           "  %%y = %s %%v : tile<4096xf32>\n"
                           "  %%q = splat %%o : tile<4096x*f32>\n"
                           "  %%qx = ptr_add %%q, %%i : tile<4096x*f32>\n"
                           "  store %%qx, %%y\n"
                           "  return\n"
                           "}\n";

typedef struct worst {
    double ulp;
    float at;
    uint64_t wrong; /* special values that came out otherwise */
    float wrong_at;
    uint64_t n;
} worst;

typedef struct sweep {
    const op_case *c;
    abi_entry *entry;
    uint64_t step;
    worst of[256]; /* by thread */
} sweep;

static void compare(worst *w, const op_case *c, float x, float got)
{
    double ref = c->ref((double)x);
    float near = (float)ref;
    bool special = isnan(ref) || isinf(near) || near == 0;
    w->n++;
    if (special && (isnan(ref) ? isnan(got) : got == near && !signbit(got) == !signbit(near)))
        return;
    if (isnan(ref) || isnan(got) || (isinf(ref) && !isinf(got))) {
        w->wrong++;
        w->wrong_at = x;
        return;
    }
    double u = num_ulps(NUM_F32, (double)got, ref);
    if (u > w->ulp) {
        w->ulp = u;
        w->at = x;
    }
}

static void block(void *ctx, int64_t first, int64_t last, int thread)
{
    sweep *s = ctx;
    static _Thread_local float x[N] __attribute__((aligned(64))), y[N] __attribute__((aligned(64)));
    abi_thread t = {0};
    for (int64_t b = first; b < last; b++) {
        uint64_t from = (uint64_t)b * N;
        for (uint64_t i = 0; i < N; i++) {
            uint32_t bits = (uint32_t)((from + i) * s->step);
            memcpy(&x[i], &bits, 4);
        }
        uint64_t args[] = {1, 1, 1, (uint64_t)(uintptr_t)x, (uint64_t)(uintptr_t)y};
        s->entry(args, 0, 1, &t);
        for (uint64_t i = 0; i < N; i++)
            compare(&s->of[thread], s->c, x[i], y[i]);
    }
}

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "test_cpu_math: %s\n", what);
    exit(2);
}

/* the worst over every step-th bit pattern */
static worst measure(const op_case *c, uint64_t step)
{
    arena a;
    arena_init(&a, 0);
    diags d;
    diags_init(&d, &a);
    const ir_module *m = ir_read(&a, &d, S("math.tir"), str_fmt(&a, text, c->op));
    need(m, "the kernel's text is wrong");
    str err;
    cpu_jit *j = cpu_jit_new(&err);
    need(j, "no JIT");
    cpu_kernel k;
    need(cpu_jit_compile(j, &a, m, ir_module_find(m, S("k")), 2, &k, &d), "the kernel does not compile");
    pool *p = pool_new(0);
    need(p && pool_threads(p) <= (int)COUNTOF(((sweep *)0)->of), "no thread pool");
    sweep *s = ARENA_NEW(&a, sweep);
    *s = (sweep){.c = c, .entry = k.entry, .step = step};
    uint64_t patterns = ((uint64_t)1 << 32) / step;
    pool_run(p, block, s, (int64_t)(patterns / N), 16);
    worst w = {0};
    for (int i = 0; i < pool_threads(p); i++) {
        const worst *o = &s->of[i];
        w.n += o->n;
        if (o->ulp > w.ulp) {
            w.ulp = o->ulp;
            w.at = o->at;
        }
        if (o->wrong) {
            w.wrong += o->wrong;
            w.wrong_at = o->wrong_at;
        }
    }
    pool_free(p);
    cpu_jit_release(j, &k);
    cpu_jit_free(j);
    arena_fini(&a);
    return w;
}

START_TEST(within_limits)
{
    const op_case *c = &cases[_i];
    worst w = measure(c, 1021);
    ck_assert_msg(w.n > 4000000, "%s: only %llu numbers", c->op, (unsigned long long)w.n);
    ck_assert_msg(w.wrong == 0, "%s(%a): a special value is wrong", c->op, (double)w.wrong_at);
    ck_assert_msg(w.ulp <= c->limit, "%s(%a): %.3f ulp, at most %.2f", c->op, (double)w.at, w.ulp, c->limit);
}
END_TEST

/* the table, of one op or (NULL) all */
static int table(uint64_t step, const char *op)
{
    bool ok = true;
    printf("| op | worst error, ulp | at |\n|---|---|---|\n");
    for (size_t i = 0; i < COUNTOF(cases); i++) {
        if (op && strcmp(op, cases[i].op))
            continue;
        worst w = measure(&cases[i], step);
        printf("| `%s` | %.3f | %a |%s\n", cases[i].op, w.ulp, (double)w.at, w.wrong ? " WRONG special values" : "");
        fflush(stdout);
        ok &= !w.wrong && w.ulp <= cases[i].limit;
    }
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "--every") && atoi(argv[2]) > 0)
        return table((uint64_t)atoi(argv[2]), argc > 3 ? argv[3] : NULL);
    Suite *s = suite_create("cpu_math");
    TCase *t = tcase_create("ulp");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, within_limits, 0, (int)COUNTOF(cases));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
