/* test_aot.c: the engine with its kernels compiled ahead of time (tools/llm_aot.sh) beside the one that compiles as it
 * runs: the same logits, bit for bit, on the machine as it is and as a lesser one; no compiler in it;
 * and what it says of a model that it wasn't built for.
 */
#include "tests/llm/kit_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"llama-q4_1", "qwen2", "qwen3-q6_k"};
static char folder[64], tools[4096];
static arena a;

/* "sh -c" of a formatted command, with $T the test's folder and $B that of the programs; its exit status */
static int run(const char *fmt, ...)
{
    char command[8192];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    return system(command);
}

static str output(const char *name)
{
    return kit_read(&a, str_cstr(&a, str_fmt(&a, "%s/%s", folder, name)));
}

/* the level that code for this machine is of, as Linux names its features */
static const char *own_level(void)
{
    str text = kit_read(&a, "/proc/cpuinfo");
    const char *all = str_cstr(&a, text);
    return strstr(all, " amx_bf16")      ? "cpu:x86-64-v4-amx,cpu:x86-64-v4-bf16,"
           : strstr(all, " avx512_bf16") ? "cpu:x86-64-v4-bf16,"
           : strstr(all, " avx512vl")    ? "cpu:x86-64-v4,"
           : strstr(all, " avx2")        ? ""
                                         : "cpu:x86-64-v2,";
}

static void setup(void)
{
    ssize_t n = readlink("/proc/self/exe", tools, sizeof tools - 1);
    ck_assert(n > 0);
    for (int up = 0; up < 2; up++)
        *strrchr(tools, '/') = 0;
    arena_init(&a, 0);
    (void)kit_folder(folder);
    (void)setenv("T", folder, 1);
    (void)setenv("B", tools, 1);
    (void)setenv("TILE_CACHE_DIR", "", 1);
    json_t *cases = kit_cases();
    strbuf models;
    sb_init(&models, &a);
    for (size_t i = 0; i < COUNTOF(names); i++) {
        char at[256];
        (void)snprintf(at, sizeof at, "%s/%s", folder, names[i]);
        ck_assert_int_eq(run("mkdir %s", at), 0);
        sb_putf(&models, " %s", kit_make_model(&a, kit_case(cases, names[i]), at));
    }
    json_decref(cases);
    (void)setenv("AOT_TARGET", str_cstr(&a, str_fmt(&a, "%scpu:x86-64-v3", own_level())), 1);
    /* the third is left out */
    int built = run("set -- %s; sh tools/llm_aot.sh $T/llm-aot $1 $2 >$T/log 2>&1", str_cstr(&a, sb_str(&models)));
    ck_assert_msg(built == 0, "%.*s", STR_ARG(output("log")));
    ck_assert_int_eq(run("seq 1 40 >$T/ids; ls $T/*/*.gguf | tr '\\n' ' ' >$T/models"), 0);
}

static void teardown(void)
{
    (void)run("rm -rf $T");
    arena_fini(&a);
}

static void compare(const char *level, const char *model, const char *flags)
{
    for (int i = 0; i < 2; i++) {
        int code = run("TILE_CPU=%s %s logits -m $T/%s/*.gguf %s --tokens=$T/ids --out=$T/%d.npy 2>$T/err", level,
                       i ? "$T/llm-aot" : "$B/llm", model, flags, i);
        ck_assert_msg(code == 0, "%s: %.*s", model, STR_ARG(output("err")));
    }
    ck_assert_msg(str_eq(output("0.npy"), output("1.npy")), "%s %s %s: other logits", model, flags, level);
}

START_TEST(same)
{
    static const char *const levels[] = {"", "x86-64-v3"};
    static const char *const flags[] = {"--act=i8",     "--act=i8 --steps",     "--act=f32",
                                        "--mode=eager", "--mode=eager --steps", "--steps --act=f32 --threads=1"};
    for (size_t l = 0; l < COUNTOF(levels); l++)
        for (size_t m = 0; m < 2; m++)
            for (size_t f = 0; f < COUNTOF(flags); f++)
                compare(levels[l], names[m], flags[f]);
}
END_TEST

START_TEST(alone)
{
    ck_assert_int_eq(run("ldd $T/llm-aot | grep -iE 'llvm|libtile|stdc' && exit 1; exit 0"), 0);
    ck_assert_int_eq(run("nm $T/llm-aot | grep -E ' LLVM| fe_load| ir_read' && exit 1; exit 0"), 0);
    ck_assert_int_eq(run("env -i TILE_LLVM=/nowhere TILE_KERNELS=/nowhere $T/llm-aot logits -m $T/qwen2/*.gguf "
                         "--tokens=$T/ids --out=$T/x.npy 2>$T/err"),
                     0);
}
END_TEST

START_TEST(another)
{
    ck_assert_int_ne(run("$T/llm-aot logits -m $T/qwen3-q6_k/*.gguf --tokens=$T/ids --out=$T/x.npy 2>$T/err"), 0);
    const char *said = str_cstr(&a, output("err"));
    ck_assert_msg(strstr(said, "kernel '") && strstr(said, "built for"), "%s", said);
}
END_TEST

int main(void)
{
    const char *variant = getenv("VARIANT");
    if (variant && *variant) {
        puts("skip: the engine ahead of time: not under sanitizers");
        puts("0 passed, 0 failed, 1 skipped");
        return 0;
    }
    Suite *s = suite_create("ahead of time");
    TCase *t = tcase_create("small models");
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 300);
    tcase_add_test(t, same);
    tcase_add_test(t, alone);
    tcase_add_test(t, another);
    suite_add_tcase(s, t);
    return kit_run(s, 0);
}
