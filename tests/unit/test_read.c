/* test_read.c: IR text: read(print(f)) = f, on files that hold every op and attribute, and on what the builder makes.
 *
 * Files of tests/ir stand there as the printer writes them (behind their first line), so printing must give them back
 * byte for byte; reading that again must give an equal module (tests/ir_equal.h). Wrong text is tested in
 * test_verify.c, but for what no file shows well: hostile sizes, and texts cut off or damaged at every byte.
 */
#include "tests/ir_equal.h"

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DIR_IR "tests/ir"
#define HEAD "tile-ir 1 stage=tir target=any\n"

static str printed(arena *a, const ir_module *m)
{
    strbuf b;
    sb_init(&b, a);
    ir_print_module(m, &b);
    return sb_str(&b);
}

/* NULL and messages on `shown` where it is refused */
static ir_module *read_text(arena *a, str text, const char **shown)
{
    diags d;
    strbuf b;
    diags_init(&d, a);
    ir_module *m = ir_read(a, &d, S("t.tir"), text);
    sb_init(&b, a);
    diags_render(&d, DIAG_SHORT, &b);
    if (shown)
        *shown = str_cstr(a, sb_str(&b));
    ck_assert((m != NULL) == (d.errors == 0));
    return m;
}

/* accepted, and what is printed of it is read as the same module, and prints the same */
static str round_trip(arena *a, str text)
{
    const char *shown, *why;
    ir_module *m = read_text(a, text, &shown), *again;
    ck_assert_msg(m != NULL, "%s", shown);
    str out = printed(a, m);
    again = read_text(a, out, &shown);
    ck_assert_msg(again != NULL, "%s", shown);
    why = ir_module_differs(m, again, a);
    ck_assert_msg(why == NULL, "another %s after reading:\n%.*s", why, STR_ARG(out));
    ck_assert(str_eq(printed(a, again), out));
    return out;
}

/* ---- files ---- */
typedef struct seen {
    bool code[IR_CODE_COUNT], key[IR_KEY_COUNT];
} seen;

static void note_seen(const ir_module *m, seen *s)
{
    for (uint32_t i = 0; i < m->funcs.n; i++) {
        const ir_func *f = m->funcs.at[i];
        for (uint32_t o = 1; o < f->ops.n; o++) {
            s->code[f->ops.at[o].code] = true;
            for (uint32_t k = 0; k < f->ops.at[o].nattr; k++)
                s->key[f->pool.at[f->ops.at[o].attrs + 2 * k]] = true;
        }
    }
}

/* whether an op can have the attribute */
static bool key_is_used(const char *name)
{
    size_t n = strlen(name);
    for (int c = 1; c < IR_CODE_COUNT; c++)
        for (const char *p = ir_ops[c].attrs; (p = strstr(p, name)); p += n)
            if ((p == ir_ops[c].attrs || p[-1] == ',' || p[-1] == '?') && (!p[n] || p[n] == ','))
                return true;
    return false;
}

START_TEST(files)
{
    DIR *dir = opendir(DIR_IR);
    seen s = {{false}, {false}};
    ck_assert_msg(dir != NULL, "run from the top of the tree");
    for (struct dirent *e; (e = readdir(dir));) {
        arena a;
        str text, err;
        char path[512];
        if (!strstr(e->d_name, ".tir"))
            continue;
        arena_init(&a, 0);
        snprintf(path, sizeof path, "%s/%s", DIR_IR, e->d_name);
        ck_assert_msg(file_read(&a, path, 0, &text, &err), "%.*s", STR_ARG(err));
        ck_assert_msg(str_starts(text, S("// test: round-trip\n")), "%s", path);
        str body = {text.p + 20, text.n - 20};
        ck_assert_msg(str_eq(round_trip(&a, text), body), "%s prints otherwise", path);
        note_seen(read_text(&a, text, NULL), &s);
        arena_fini(&a);
    }
    closedir(dir);
    for (int c = 1; c < IR_CODE_COUNT; c++)
        ck_assert_msg(s.code[c], "no file has op '%s'", ir_ops[c].name);
    for (int k = 1; k < IR_KEY_COUNT; k++)
        ck_assert_msg(s.key[k] || !key_is_used(ir_keys[k].name), "no file has attribute '%s'", ir_keys[k].name);
}
END_TEST

/* the example at the head of docs/ir.md is as the printer writes it */
START_TEST(documentation)
{
    arena a;
    str text, err;
    arena_init(&a, 0);
    ck_assert_msg(file_read(&a, "docs/ir.md", 0, &text, &err), "%.*s", STR_ARG(err));
    const char *beg = strstr(text.p, "```\ntile-ir"), *end = beg ? strstr(beg + 4, "```") : NULL;
    ck_assert(beg && end);
    str example = {beg + 4, (size_t)(end - beg - 4)};
    ck_assert(str_eq(round_trip(&a, example), example));
    arena_fini(&a);
}
END_TEST

/* ---- what the builder makes ---- */
START_TEST(built)
{
    arena a;
    const char *shown, *why;
    arena_init(&a, 0);
    ir_module *m = ir_module_new(&a);
    m->stage = TIR;
    ir_func *f = ir_func_new(m, FUNC_FN, S("f"));
    ir_val x = ir_func_param(f, ir_type_num(m, DT_I64), S("x"), 0, 0), k, in[4];
    ir_builder b;
    ir_builder_init(&b, f, &a);
    k = ir_const_i(&b, ir_vtype(f, x), 3);
    ir_region r = ir_region_new(f);
    ir_region_param(f, r, ir_vtype(f, x));
    ir_val c = ir_region_param(f, r, ir_vtype(f, x)), out;
    ir_push(&b, r);
    c = ir_bin(&b, IR_OP_mul, c, x);
    ir_yield(&b, &c, 1);
    ir_pop(&b);
    memcpy(in, (ir_val[]){x, k, k, x}, sizeof in);
    ir_type t = ir_vtype(f, x);
    b.loc = ir_loc_make(m, S("a.tile"), 1, 2, (ir_loc){0});
    ir_emit(&b, &(ir_desc){.code = IR_OP_for, .in = in, .nin = 4, .types = &t, .nout = 1, .regions = &r, .nregions = 1},
            &out);
    vec_push(&a, &f->results, t);
    ir_return(&b, &out, 1);
    ir_module_add(m, f);

    str text = printed(&a, m);
    /* freshly built: no origins shown; the location stands before the function */
    ck_assert_str_eq(str_cstr(&a, text), HEAD "loc @1 = \"a.tile\":1:2\n"
                                              "fn @f(%x: i64) -> (i64) {\n"
                                              "  %0 = const 3 : i64\n"
                                              "  %1 = for %x, %0, %0, %x : i64 @1 {\n"
                                              "    (%2: i64, %3: i64)\n"
                                              "    %4 = mul %3, %x : i64\n"
                                              "    yield %4\n"
                                              "  }\n"
                                              "  return %1 @1\n"
                                              "}\n");
    ir_module *again = read_text(&a, text, &shown);
    ck_assert_msg(again != NULL, "%s", shown);
    why = ir_module_differs(m, again, &a);
    ck_assert_msg(why == NULL, "another %s", why);

    strbuf one;
    sb_init(&one, &a);
    ir_print_func(f, &one);
    ck_assert(str_ends(text, sb_str(&one)));
    arena_fini(&a);
}
END_TEST

/* the printer shows what a verifier will refuse, and doesn't follow it */
START_TEST(printing_nonsense)
{
    arena a;
    strbuf out;
    arena_init(&a, 0);
    ir_module *m = ir_module_new(&a);
    ir_func *f = ir_func_new(m, FUNC_KERNEL, S("k"));
    ir_val x = ir_func_param(f, ir_type_num(m, DT_I64), S("x"), 0, 0);
    ir_builder b;
    ir_builder_init(&b, f, &a);
    b.fold = false;
    ir_attr_pair rmw = {KEY_rmw, ir_attr_int(m, 99)};
    ir_emit(&b, &(ir_desc){.code = IR_OP_yield, .in = (ir_val[]){{77}, x}, .nin = 2, .attrs = &rmw, .nattr = 1}, NULL);
    f->ops.at[1].nout = 0;
    sb_init(&out, &a);
    ir_print_op(f, (ir_op){1}, &out);
    ck_assert_str_eq(str_cstr(&a, sb_str(&out)), "yield %?77, %x {rmw = 99}");
    f->ops.at[1].code = IR_CODE_COUNT;
    out.n = 0;
    ir_print_op(f, (ir_op){1}, &out);
    ck_assert(str_starts(sb_str(&out), S("? %?77")));
    arena_fini(&a);
}
END_TEST

/* ---- literals ---- */
static const char *literal(arena *a, const char *value, const char *type)
{
    str text = str_fmt(a, HEAD "fn @f() {\n  %%0 = const %s : %s\n  return\n}\n", value, type);
    str out = round_trip(a, text);
    const char *p = strstr(out.p, "const ") + 6;
    return str_cstr(a, (str){p, strcspn(p, " ")});
}

START_TEST(literals)
{
    static const struct {
        const char *in, *type, *out;
    } cases[] = {
        {"0.5", "f32", "0x1p-1"},
        {"1", "f32", "0x1p+0"},
        {"-2.5e-1", "f16", "-0x1p-2"},
        {"1e22", "f64", "0x1.0f0cf064dd592p+73"},
        {"0.1", "f64", "0x1.999999999999ap-4"},
        {"0.1", "f32", "0x1.99999ap-4"},
        {"0x10p-4", "f32", "0x1p+0"},
        {"0X1.8p1", "f32", NULL},
        {"0x1.8P1", "f32", "0x1.8p+1"},
        {"nan", "f32", "nan:0x7fc00000"},
        {"0x1p-1074", "f64", "0x0.0000000000001p-1022"},
        {"0x1p-1050", "f64", "0x0.0000001p-1022"},
        {"-0.0", "f64", "-0x0p+0"},
        {"0x0p+99999999999", "f64", "0x0p+0"},
        {"-inf", "f8e5m2", "-inf"},
        {"448", "f8e4m3", "0x1.cp+8"},
        {"0x7f", "i8", "127"},
        {"-0", "u8", "0"},
        {"-0x80", "i8", "-128"},
        {"0xffffffffffffffff", "u64", "18446744073709551615"},
    };
    arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < COUNTOF(cases); i++)
        if (cases[i].out)
            ck_assert_str_eq(literal(&a, cases[i].in, cases[i].type), cases[i].out);
    arena_fini(&a);
}
END_TEST

/* every bit pattern of the 8- and 16-bit types comes back */
START_TEST(bit_patterns)
{
    static const dtype types[] = {DT_I8,         DT_U8,  DT_F8E4M3, DT_F8E5M2, DT_F8E4M3FNUZ,
                                  DT_F8E5M2FNUZ, DT_F16, DT_BF16,   DT_I16,    DT_U16};
    dtype dt = types[_i];
    arena a;
    const char *shown;
    arena_init(&a, 0);
    ir_module *m = ir_module_new(&a);
    ir_func *f = ir_func_new(m, FUNC_FN, S("f"));
    ir_builder b;
    uint32_t n = 1u << dt_bits(dt);
    m->stage = TIR;
    ir_builder_init(&b, f, &a);
    b.fold = false;
    for (uint32_t bits = 0; bits < n; bits++)
        ir_const_bits(&b, ir_type_num(m, dt), bits);
    ir_return(&b, NULL, 0);
    ir_module_add(m, f);
    ir_module *again = read_text(&a, printed(&a, m), &shown);
    ck_assert_msg(again != NULL, "%.400s", shown);
    for (uint32_t bits = 0; bits < n; bits++)
        ck_assert_uint_eq((uint64_t)ir_int(again->funcs.at[0], (ir_op){bits + 1}, KEY_bits, -1), bits);
    arena_fini(&a);
}
END_TEST

/* random patterns of the wider types */
START_TEST(wide_patterns)
{
    static const dtype types[] = {DT_F32, DT_F64, DT_I32, DT_I64, DT_U32, DT_U64};
    dtype dt = types[_i];
    arena a;
    const char *shown;
    uint64_t x = 0x9e3779b97f4a7c15u;
    enum { N = 5000 };
    uint64_t want[N];
    arena_init(&a, 0);
    ir_module *m = ir_module_new(&a);
    ir_func *f = ir_func_new(m, FUNC_FN, S("f"));
    ir_builder b;
    m->stage = TIR;
    ir_builder_init(&b, f, &a);
    b.fold = false;
    for (int i = 0; i < N; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        want[i] = dt_wrap(dt, i % 3 ? x : x >> (x & 63));
        ir_const_bits(&b, ir_type_num(m, dt), want[i]);
    }
    ir_return(&b, NULL, 0);
    ir_module_add(m, f);
    ir_module *again = read_text(&a, printed(&a, m), &shown);
    ck_assert_msg(again != NULL, "%.400s", shown);
    for (uint32_t i = 0; i < N; i++)
        ck_assert_uint_eq((uint64_t)ir_int(again->funcs.at[0], (ir_op){i + 1}, KEY_bits, -1), want[i]);
    arena_fini(&a);
}
END_TEST

/* ---- hostile text ---- */
/* refused with this message, in bounded time and memory */
static void refused(str text, const char *message)
{
    arena a;
    const char *shown;
    clock_t start = clock();
    arena_init(&a, (size_t)2 << 30);
    ck_assert(read_text(&a, text, &shown) == NULL);
    ck_assert_msg(strstr(shown, message) != NULL, "no '%s' in %.300s", message, shown);
    ck_assert_msg((double)(clock() - start) / CLOCKS_PER_SEC < 5, "slow: %s", message);
    arena_fini(&a);
}

static strbuf head_and(arena *a, const char *text)
{
    strbuf b;
    sb_init(&b, a);
    sb_puts(&b, HEAD);
    sb_puts(&b, text);
    return b;
}

START_TEST(deep)
{
    static const int depths[] = {250, 257, 10000};
    for (size_t i = 0; i < COUNTOF(depths); i++) {
        arena a;
        arena_init(&a, 0);
        strbuf b = head_and(&a, "fn @f(%k: bool) {\n");
        for (int d = 0; d < depths[i]; d++)
            sb_puts(&b, "if %k {\n");
        for (int d = 0; d < depths[i]; d++)
            sb_puts(&b, "yield } { yield }\n");
        sb_puts(&b, "return }\n");
        if (depths[i] == 250)
            round_trip(&a, sb_str(&b));
        else
            refused(sb_str(&b), "regions are nested more than 256 deep");
        arena_fini(&a);
    }
}
END_TEST

START_TEST(large)
{
    arena a;
    strbuf b;
    arena_init(&a, 0);
    /* a line of 10 MB of junk, of a name, of a string, of digits; brackets without end */
    static const struct {
        const char *unit, *message;
        int n;
    } cases[] = {
        {"\xfe", "unexpected byte 0xfe", 10000000},
        {"a", "unknown op", 10000000},
        {"\"", "without closing", 10000001},
        {"9", "expected an op", 10000000},
        {"{", "expected an op", 1000000},
        {"(", "expected an op", 1000000},
        {"%a ", "expected '='", 3000000},
        {"%a,", "more than 4096 results", 100000},
        {"}", "expected 'kernel'", 1000000},
        {"yield\n", "", 200000},
        {"@", "expected a name after '@'", 1000000},
        {"\0", "unexpected byte 0x00", 1000000},
        {"const {bits = 1,", "unknown attribute", 100000},
    };
    for (size_t i = 0; i < COUNTOF(cases); i++) {
        b = head_and(&a, "fn @f() {\n");
        for (int n = 0; n < cases[i].n; n++)
            sb_put(&b, (str){cases[i].unit, cases[i].unit[0] ? strlen(cases[i].unit) : 1});
        refused(sb_str(&b), cases[i].message);
        arena_fini(&a);
        arena_init(&a, 0);
    }
    b = head_and(&a, "fn @f(%a: i64) {\n  print ");
    for (int n = 0; n < 5000; n++)
        sb_puts(&b, n ? ", %a" : "%a");
    sb_puts(&b, " {text = \"\"}\n  return\n}\n");
    refused(sb_str(&b), "more than 4096 operands");
    b = head_and(&a, "fn @f(%a: i64) {\n  %0 = hint %a {multiple_of = [1");
    for (int n = 0; n < 5000; n++)
        sb_puts(&b, ", 1");
    sb_puts(&b, "]} : i64\n  return\n}\n");
    refused(sb_str(&b), "a list of more than 4096 integers");
    b = head_and(&a, "fn @f(");
    for (int n = 0; n < 5000; n++)
        sb_putf(&b, "%s%%p%d: i64", n ? ", " : "", n);
    sb_puts(&b, ") {\n  return\n}\n");
    refused(sb_str(&b), "more than 4096 parameters");
    b = head_and(&a, "fn @f() -> (i64");
    for (int n = 0; n < 5000; n++)
        sb_puts(&b, ", i64");
    sb_puts(&b, ") {\n  return\n}\n");
    refused(sb_str(&b), "more than 4096 results");
    arena_fini(&a);
}
END_TEST

/* much text that is right: linear time, whatever it is much of */
START_TEST(much)
{
    arena a;
    arena_init(&a, 0);
    clock_t start = clock();
    strbuf b = head_and(&a, "");
    for (int n = 0; n < 50000; n++)
        sb_putf(&b, "loc @%d = \"a\":%d:1\nfn @f%d(%%x: i32) {\n  %%0 = add %%x, %%x : i32 @%d\n  return\n}\n", n, n, n,
                n);
    ck_assert(read_text(&a, sb_str(&b), NULL) != NULL);
    b = head_and(&a, "fn @f(%x: i32) {\n");
    for (int n = 0; n < 200000; n++)
        sb_putf(&b, "  %%%d = add %%x, %%x : i32\n", n);
    sb_puts(&b, "  return\n}\n");
    ck_assert(read_text(&a, sb_str(&b), NULL) != NULL);
    b = head_and(&a, "");
    for (int n = 0; n < 20000; n++)
        sb_putf(&b, "fn @f%d() {\n  call {callee = \"f%d\"}\n  return\n}\n", n, n + 1);
    sb_puts(&b, "fn @f20000() {\n  return\n}\n");
    ck_assert(read_text(&a, sb_str(&b), NULL) != NULL);
    ck_assert_msg((double)(clock() - start) / CLOCKS_PER_SEC < 10, "slow");
    arena_fini(&a);
}
END_TEST

/* every prefix, and every single damaged byte, of a text that has everything: no crash, and errors if and only if NULL
 */
START_TEST(damaged)
{
    static const char *const texts[] = {"tests/ir/control.tir", "tests/ir/program.tir", "tests/ir/consts.tir"};
    static const char bytes[] = {0, '\n', '"', '{', '}', '%', '@', '9', '-', (char)0xff};
    arena keep;
    str text, err;
    arena_init(&keep, 0);
    ck_assert(file_read(&keep, texts[_i], 0, &text, &err));
    char *copy = malloc(text.n + 1);
    for (size_t i = 0; i < text.n; i++)
        for (size_t k = 0; k <= sizeof bytes; k++) {
            arena a;
            size_t n = k < sizeof bytes ? text.n : i;
            if (k < sizeof bytes && i % 7 != k % 7)
                continue; /* enough of them */
            arena_init(&a, 0);
            memcpy(copy, text.p, text.n);
            if (k < sizeof bytes)
                copy[i] = bytes[k];
            ir_module *m = read_text(&a, (str){copy, n}, NULL);
            if (m)
                round_trip(&a, printed(&a, m));
            arena_fini(&a);
        }
    free(copy);
    arena_fini(&keep);
}
END_TEST

static bool reads(arena *a, str text)
{
    diags d;
    diags_init(&d, a);
    return ir_read(a, &d, S("t"), text) != NULL;
}

/* memory that ends in the middle of reading comes back to the caller's handler */
START_TEST(out_of_memory)
{
    arena keep;
    str text, err;
    volatile size_t limit = 1 << 12;
    volatile int failures = 0;
    arena_init(&keep, 0);
    ck_assert(file_read(&keep, "tests/ir/whole.tir", 0, &text, &err));
    for (;; limit += 1 << 12) {
        arena a;
        jmp_buf oom;
        arena_init(&a, limit);
        a.oom = &oom;
        if (setjmp(oom) == 0) {
            bool done = reads(&a, text);
            arena_fini(&a);
            ck_assert(done);
            break;
        }
        ck_assert_ptr_eq(a.oom, &oom);
        failures++;
        arena_fini(&a);
    }
    ck_assert_int_gt(failures, 1);
    arena_fini(&keep);
}
END_TEST

/* our own fault: the IR is in a file that can be read back, the message names it, and the process aborts */
START_TEST(bug_report)
{
    char dir[] = "/tmp/tile-test-XXXXXX", said[512] = {0};
    int status, out[2];
    arena a;
    str text, err;
    diags d;
    arena_init(&a, 0);
    diags_init(&d, &a);
    ck_assert(mkdtemp(dir) != NULL && pipe(out) == 0);
    ir_module *m = ir_read(&a, &d, S("t"), S(HEAD "fn @f() {\n  return\n}\n"));
    pid_t child = fork();
    if (child == 0) {
        setenv("TMPDIR", dir, 1);
        dup2(out[1], 2);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        ir_bug(m, "pass %s lost a value", "licm");
    }
    close(out[1]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_int_gt(read(out[0], said, sizeof said - 1), 0);
    char *path = str_cstr(&a, str_fmt(&a, "%s/tile-bug-%ld.tir", dir, (long)child));
    ck_assert(strstr(said, "pass licm lost a value") && strstr(said, path));
    ck_assert_msg(file_read(&a, path, 0, &text, &err), "%.*s", STR_ARG(err));
    ck_assert(str_eq(text, printed(&a, m)));
    unlink(path);
    rmdir(dir);
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("read");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 600);
    tcase_add_test(c, files);
    tcase_add_test(c, documentation);
    tcase_add_test(c, built);
    tcase_add_test(c, printing_nonsense);
    tcase_add_test(c, literals);
    tcase_add_loop_test(c, bit_patterns, 0, 10);
    tcase_add_loop_test(c, wide_patterns, 0, 6);
    tcase_add_test(c, deep);
    tcase_add_test(c, large);
    tcase_add_test(c, much);
    tcase_add_loop_test(c, damaged, 0, 3);
    tcase_add_test(c, out_of_memory);
    tcase_add_test(c, bug_report);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
