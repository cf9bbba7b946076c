/* test_cpu_math.c: the error of the CPU's mathematics, f32 and f64, and its special values; the tables of docs/math.md.
 *
 * A kernel of IR text applies one op to 4096 numbers; it is compiled once for an op and run over bit patterns.
 *
 *   f32   one pattern in 1021 (a prime: no pattern of low bits is missed), against the C library's double precision
 *   f64   2^20 arguments: every other one a pattern from a walk over all 2^64 by a stride of the golden section, the
 *         rest with magnitudes from 2^-32 to 2^12, where the functions are not trivial; against long double
 *
 * NaN, infinities, zeros and denormals are among the patterns; the sign of zero results counts. As a tool:
 *
 *   test_cpu_math --every N [OP]    the f32 table, over one pattern in N (in the document N = 1: all 2^32)
 *   test_cpu_math --f64 LOG2 [OP]   the f64 table, over 2^LOG2 arguments
 *   test_cpu_math --special         the table of special values
 *
 * The document is held to what it says: an error in it must come out at the argument it names, no argument of the
 * sample may have a greater one, and its special values must be those computed here.
 */
#include "backends/backend.h"
#include "base/base.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 4096
#define DOCUMENT "docs/math.md"

_Static_assert(LDBL_MANT_DIG > 63, "the reference of f64 needs a long double of 64 bits of mantissa at least");

typedef struct op_case {
    const char *op;
    long double (*ref)(long double);
    double (*near)(double); /* reference enough for f32 */
} op_case;

static long double rsqrt_wide(long double x)
{
    return 1 / sqrtl(x);
}

static double rsqrt_near(double x)
{
    return 1 / sqrt(x);
}

static const op_case cases[] = {
    {"exp", expl, exp},    {"exp2", exp2l, exp2}, {"log", logl, log},
    {"log2", log2l, log2}, {"tanh", tanhl, tanh}, {"erf", erfl, erf},
    {"sin", sinl, sin},    {"cos", cosl, cos},    {"rsqrt", rsqrt_wide, rsqrt_near},
};

static const char text[] = "tile-ir 1 stage=tir target=any\n"
                           "kernel @k(%x: *f##, %o: *f##) {\n"
                           "  %i = arange {start = 0} : tile<4096xi64>\n"
                           "  %p = splat %x : tile<4096x*f##>\n"
                           "  %px = ptr_add %p, %i : tile<4096x*f##>\n"
                           "  %v = load %px : tile<4096xf##>\n"
                           "  %y = @ %v : tile<4096xf##>\n"
                           "  %q = splat %o : tile<4096x*f##>\n"
                           "  %qx = ptr_add %q, %i : tile<4096x*f##>\n"
                           "  store %qx, %y\n"
                           "  return\n"
                           "}\n";

/* the kernel's text for one op and 32 or 64 bits */
static str kernel_text(arena *a, const char *op, int bits)
{
    strbuf b;
    sb_init(&b, a);
    for (const char *p = text; *p; p++)
        if (*p == '#')
            sb_putc(&b, bits == 32 ? "32"[p[-1] == '#'] : "64"[p[-1] == '#']);
        else if (*p == '@' && p[1] == ' ')
            sb_puts(&b, op);
        else
            sb_putc(&b, *p);
    return sb_str(&b);
}

/* ---- one op, compiled ---- */
typedef struct kernel {
    arena a;
    diags d;
    cpu_kernel k;
} kernel;

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "test_cpu_math: %s\n", what);
    exit(2);
}

static void kernel_open(kernel *k, const char *op, int bits)
{
    arena_init(&k->a, 0);
    diags_init(&k->d, &k->a);
    const ir_module *m = ir_read(&k->a, &k->d, S("math.tir"), kernel_text(&k->a, op, bits));
    need(m, "the kernel's text is wrong");
    need(cpu_make(&k->a, m, ir_module_find(m, S("k")), 2, &k->k, &k->d), "the kernel does not compile");
}

static void kernel_close(kernel *k)
{
    cpu_kernel_free(&k->k);
    arena_fini(&k->a);
}

static void apply(const kernel *k, void *x, void *y)
{
    abi_thread t = {0};
    uint64_t args[] = {1, 1, 1, (uint64_t)(uintptr_t)x, (uint64_t)(uintptr_t)y};
    k->k.entry(args, 0, 1, &t);
}

/* ---- errors ---- */
typedef struct worst {
    double ulp, at;
    uint64_t wrong; /* special values that came out otherwise */
    double wrong_at;
    uint64_t n;
} worst;

static void note(worst *w, double ulp, double x)
{
    if (ulp > w->ulp) {
        w->ulp = ulp;
        w->at = x;
    }
}

static void note_wrong(worst *w, double x)
{
    w->wrong++;
    w->wrong_at = x;
}

static void compare32(worst *w, const op_case *c, float x, float got)
{
    double ref = c->near((double)x);
    float near = (float)ref;
    bool special = isnan(ref) || isinf(near) || near == 0;
    w->n++;
    if (special && (isnan(ref) ? isnan(got) : got == near && !signbit(got) == !signbit(near)))
        return;
    if (isnan(ref) || isnan(got) || (isinf(ref) && !isinf(got)) || (near == 0 && got == 0)) /* the last: its sign */
        note_wrong(w, (double)x);
    else
        note(w, num_ulps(NUM_F32, (double)got, ref), (double)x);
}

static double ulps64(double got, long double ref)
{
    int e = ref == 0 ? -1022 : ilogbl(ref);
    e = e < -1022 ? -1022 : e > 1023 ? 1023 : e;
    return (double)(fabsl((long double)got - ref) / ldexpl(1, e - 52));
}

static void compare64(worst *w, const op_case *c, double x, double got)
{
    long double ref = c->ref((long double)x);
    double near = (double)ref;
    bool special = isnan(ref) || isinf(near) || near == 0;
    w->n++;
    if (special && (isnan(ref) ? isnan(got) : got == near && !signbit(got) == !signbit(near)))
        return;
    if (isnan(ref) || isnan(got) || (isinf(ref) && !isinf(got)) || (near == 0 && got == 0)) /* the last: its sign */
        note_wrong(w, x);
    else if (isinf(got)) /* beyond the greatest finite by rounding only */
        note(w, ulps64(DBL_MAX, ref), x);
    else
        note(w, ulps64(got, ref), x);
}

typedef struct sweep {
    const op_case *c;
    const kernel *k;
    uint64_t step; /* f32 */
    worst of[256]; /* by thread */
} sweep;

static void block32(void *ctx, int64_t first, int64_t last, int thread)
{
    sweep *s = ctx;
    static _Thread_local float x[N] __attribute__((aligned(64))), y[N] __attribute__((aligned(64)));
    for (int64_t b = first; b < last; b++) {
        for (uint64_t i = 0; i < N; i++) {
            uint32_t bits = (uint32_t)(((uint64_t)b * N + i) * s->step);
            memcpy(&x[i], &bits, 4);
        }
        apply(s->k, x, y);
        for (uint64_t i = 0; i < N; i++)
            compare32(&s->of[thread], s->c, x[i], y[i]);
    }
}

static double argument64(uint64_t i)
{
    uint64_t bits = i * 0x9e3779b97f4a7c15u;
    double x;
    if (i & 1) /* sign and mantissa as they come, the exponent within reason */
        bits = (bits & ~((uint64_t)0x7ff << 52)) | (1023 - 32 + (bits >> 52) % 44) << 52;
    memcpy(&x, &bits, 8);
    return x;
}

static void block64(void *ctx, int64_t first, int64_t last, int thread)
{
    sweep *s = ctx;
    static _Thread_local double x[N] __attribute__((aligned(64))), y[N] __attribute__((aligned(64)));
    for (int64_t b = first; b < last; b++) {
        for (uint64_t i = 0; i < N; i++)
            x[i] = argument64((uint64_t)b * N + i);
        apply(s->k, x, y);
        for (uint64_t i = 0; i < N; i++)
            compare64(&s->of[thread], s->c, x[i], y[i]);
    }
}

/* the worst over every step-th f32, or over 2^step f64 */
static worst measure(const op_case *c, int bits, uint64_t step)
{
    kernel k;
    kernel_open(&k, c->op, bits);
    pool *p = pool_new(0);
    need(p && pool_threads(p) <= (int)COUNTOF(((sweep *)0)->of), "no thread pool");
    sweep *s = ARENA_NEW(&k.a, sweep);
    *s = (sweep){.c = c, .k = &k, .step = step};
    uint64_t n = bits == 32 ? ((uint64_t)1 << 32) / step : (uint64_t)1 << step;
    pool_run(p, bits == 32 ? block32 : block64, s, (int64_t)(n / N), 16);
    worst w = {0};
    for (int i = 0; i < pool_threads(p); i++) {
        w.n += s->of[i].n;
        note(&w, s->of[i].ulp, s->of[i].at);
        w.wrong += s->of[i].wrong;
        w.wrong_at = s->of[i].wrong ? s->of[i].wrong_at : w.wrong_at;
    }
    pool_free(p);
    kernel_close(&k);
    return w;
}

/* ---- special values ---- */
static const double special_args[] = {-INFINITY, -1, -0.0, 0, 0x1p-1074, INFINITY, NAN};

static void show(strbuf *b, double x)
{
    if (isnan(x))
        sb_puts(b, "NaN");
    else if (isinf(x))
        sb_puts(b, x < 0 ? "-inf" : "inf");
    else
        sb_putf(b, "%.5g", x);
}

/* the rows of one width; the least number is the width's own */
static str special_table(arena *a, int bits)
{
    static double x[N] __attribute__((aligned(64))), y[N] __attribute__((aligned(64)));
    strbuf b;
    sb_init(&b, a);
    for (size_t i = 0; i < COUNTOF(cases); i++) {
        kernel k;
        kernel_open(&k, cases[i].op, bits);
        sb_putf(&b, "| `%s` |", cases[i].op);
        for (size_t j = 0; j < COUNTOF(special_args); j++) {
            double v = special_args[j] == 0x1p-1074 && bits == 32 ? 0x1p-149 : special_args[j];
            float f = (float)v;
            memcpy(x, bits == 32 ? (void *)&f : (void *)&v, bits == 32 ? 4 : 8);
            apply(&k, x, y);
            memcpy(&f, y, 4);
            sb_putc(&b, ' ');
            show(&b, bits == 32 ? (double)f : y[0]);
            sb_puts(&b, " |");
        }
        sb_putc(&b, '\n');
        kernel_close(&k);
    }
    return sb_str(&b);
}

/* ---- the document ---- */
static const char *document(arena *a)
{
    str t, err;
    ck_assert_msg(file_read(a, DOCUMENT, 0, &t, &err), "%.*s", STR_ARG(err));
    return str_cstr(a, t);
}

/* a row "| `op` | ulp | at |" of the table under `heading` */
static void documented(const char *doc, const char *heading, const char *op, double *ulp, double *at)
{
    char row[32], *end;
    const char *p = strstr(doc, heading);
    ck_assert_msg(p != NULL, DOCUMENT " has no '%s'", heading);
    snprintf(row, sizeof row, "\n| `%s` | ", op);
    p = strstr(p, row);
    ck_assert_msg(p != NULL, "%s: no row for %s", heading, op);
    *ulp = strtod(p + strlen(row), &end);
    ck_assert(strncmp(end, " | ", 3) == 0);
    *at = strtod(end + 3, &end);
    ck_assert(strncmp(end, " |", 2) == 0);
}

static double error_at(const op_case *c, int bits, double at)
{
    static double x[N] __attribute__((aligned(64))), y[N] __attribute__((aligned(64)));
    float f = (float)at, g;
    worst w = {0};
    kernel k;
    kernel_open(&k, c->op, bits);
    memcpy(x, bits == 32 ? (void *)&f : (void *)&at, bits == 32 ? 4 : 8);
    apply(&k, x, y);
    memcpy(&g, y, 4);
    if (bits == 32)
        compare32(&w, c, f, g);
    else
        compare64(&w, c, at, y[0]);
    kernel_close(&k);
    return w.ulp;
}

static void check_document(const op_case *c, int bits, uint64_t step, uint64_t least)
{
    arena a;
    double ulp, at;
    arena_init(&a, 0);
    documented(document(&a), bits == 32 ? "## f32" : "## f64", c->op, &ulp, &at);
    worst w = measure(c, bits, step);
    ck_assert_msg(w.n >= least, "%s: only %llu numbers", c->op, (unsigned long long)w.n);
    ck_assert_msg(w.wrong == 0, "%s(%a): a special value is wrong", c->op, w.wrong_at);
    ck_assert_msg(w.ulp <= ulp + 0.0005, "%s(%a): %.3f ulp, in " DOCUMENT " %.3f", c->op, w.at, w.ulp, ulp);
    double there = error_at(c, bits, at);
    ck_assert_msg(fabs(there - ulp) < 0.001, "%s(%a): %.3f ulp, in " DOCUMENT " %.3f", c->op, at, there, ulp);
    arena_fini(&a);
}

START_TEST(f32)
{
    check_document(&cases[_i], 32, 1021, 4000000);
}
END_TEST

/* the C library's own: another one may be better or worse than the document's, within reason */
START_TEST(f64)
{
    const op_case *c = &cases[_i];
    worst w = measure(c, 64, 20);
    arena a;
    double ulp, at;
    arena_init(&a, 0);
    documented(document(&a), "## f64", c->op, &ulp, &at);
    ck_assert_uint_eq(w.n, 1 << 20);
    ck_assert_msg(w.wrong == 0, "%s(%a): a special value is wrong", c->op, w.wrong_at);
    ck_assert_msg(w.ulp <= ulp + 1, "%s(%a): %.3f ulp, in " DOCUMENT " %.3f", c->op, w.at, w.ulp, ulp);
    arena_fini(&a);
}
END_TEST

START_TEST(special)
{
    arena a;
    arena_init(&a, 0);
    for (int bits = 32; bits <= 64; bits += 32) {
        char *want = str_cstr(&a, special_table(&a, bits));
        ck_assert_msg(strstr(document(&a), want) != NULL, DOCUMENT " is not current; f%d:\n%s", bits, want);
    }
    arena_fini(&a);
}
END_TEST

/* ---- as a tool ---- */
static int table(int bits, uint64_t step, const char *op)
{
    bool ok = true;
    printf("| op | worst error, ulp | at |\n|---|---|---|\n");
    for (size_t i = 0; i < COUNTOF(cases); i++) {
        if (op && strcmp(op, cases[i].op) != 0)
            continue;
        worst w = measure(&cases[i], bits, step);
        printf("| `%s` | %.3f | %a |%s\n", cases[i].op, w.ulp, w.at, w.wrong ? " WRONG special values" : "");
        fflush(stdout);
        ok &= !w.wrong;
    }
    return ok ? 0 : 1;
}

static int specials(void)
{
    arena a;
    arena_init(&a, 0);
    for (int bits = 32; bits <= 64; bits += 32)
        printf("f%d\n%.*s", bits, STR_ARG(special_table(&a, bits)));
    arena_fini(&a);
    return 0;
}

int main(int argc, char **argv)
{
    const char *op = argc > 3 ? argv[3] : NULL;
    int n = argc > 2 ? atoi(argv[2]) : 0;
    if (argc > 1 && !strcmp(argv[1], "--every") && n > 0)
        return table(32, (uint64_t)n, op);
    if (argc > 1 && !strcmp(argv[1], "--f64") && n >= 12 && n < 60)
        return table(64, (uint64_t)n, op);
    if (argc > 1 && !strcmp(argv[1], "--special"))
        return specials();
    Suite *s = suite_create("cpu_math");
    TCase *t = tcase_create("ulp");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, f32, 0, (int)COUNTOF(cases));
    tcase_add_loop_test(t, f64, 0, (int)COUNTOF(cases));
    tcase_add_test(t, special);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
