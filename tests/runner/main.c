/* main.c: test-runner [-v] [--met FILE] [DIR|FILE...]: runs every test file found (default: tests), in order of name.
 *
 * Each test has an arena of its own; what fails is printed with a diff; the last line is `N passed, N failed, N
 * skipped`, and the exit code 1 when any failed. A `skip: REASON` line skips a test, which is counted and named.
 * --met: a line in FILE for each diagnostic that a test expects with text and columns, its name (tests/tools/diags.sh).
 */
#include "tests/runner/runner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct runner {
    arena a;
    VEC(str) files;
    FILE *met;
    bool verbose, bless;
    int passed, failed, skipped;
} runner;

static const struct {
    const char *name;
    test_fn *fn;
} kinds[] = {
    {"ast", kind_ast},       {"check", kind_check}, {"lower", kind_lower}, {"round-trip", kind_round_trip},
    {"verify", kind_verify}, {"pass", kind_pass},   {"run", kind_run},
};

static void find_files(runner *r, str path, bool named)
{
    struct stat st;
    char *z = str_cstr(&r->a, path);
    if (stat(z, &st) != 0) {
        fprintf(stderr, "test-runner: no file '%s'\n", z);
        r->failed++;
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        if (named || str_ends(path, S(".tile")) || str_ends(path, S(".tir")))
            vec_push(&r->a, &r->files, path);
        return;
    }
    DIR *d = opendir(z);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            find_files(r, str_fmt(&r->a, "%s/%s", z, e->d_name), false);
    if (d)
        closedir(d);
}

static int by_name(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static void find_skip(test *t)
{
    str line, value;
    for (size_t at = 0; text_line(t->text, &at, &line);)
        if (text_directive(t, line, "skip", &value))
            t->skipped = value;
}

/* false: the file is no test */
static bool begin(test *t, str *kind)
{
    str line, err;
    size_t at = 0;
    t->mark = str_ends(str_of(t->path), S(".tile")) ? S("#") : S("//");
    if (!file_read(t->a, t->path, 0, &t->text, &err)) {
        test_fail(t, "%.*s", STR_ARG(err));
        return true;
    }
    if (!text_line(t->text, &at, &line) || !text_directive(t, line, "test", &t->args))
        return false;
    *kind = text_word(&t->args);
    find_skip(t);
    return true;
}

static void run_kind(test *t, str kind)
{
    for (size_t i = 0; i < COUNTOF(kinds); i++)
        if (str_eq(kind, str_of(kinds[i].name))) {
            kinds[i].fn(t);
            return;
        }
    test_fail(t, "unknown kind of test '%.*s'", STR_ARG(kind));
}

static void run_one(runner *r, str path)
{
    arena a;
    jmp_buf oom;
    test *t;
    str kind = {0};
    arena_init(&a, (size_t)4 << 30);
    t = ARENA_NEW(&a, test);
    *t = (test){.a = &a, .path = str_cstr(&r->a, path), .bless = r->bless, .met = r->met};
    sb_init(&t->out, &a);
    a.oom = &oom;
    if (setjmp(oom)) {
        a.limit = 0;
        a.oom = NULL;
        test_fail(t, "out of memory");
    } else {
        if (!begin(t, &kind)) {
            arena_fini(&a);
            return;
        }
        if (r->verbose) {
            printf("%.*s\n", STR_ARG(path));
            fflush(stdout);
        }
        if (!t->failed && !t->skipped.n)
            run_kind(t, kind);
    }
    r->passed += !t->failed && !t->skipped.n;
    r->failed += t->failed;
    r->skipped += !t->failed && t->skipped.n;
    if (t->failed)
        printf("FAILED %.*s\n%.*s", STR_ARG(path), (int)t->out.n, t->out.at);
    else if (t->skipped.n)
        printf("SKIPPED %.*s: %.*s\n", STR_ARG(path), STR_ARG(t->skipped));
    arena_fini(&a);
}

int main(int argc, char **argv)
{
    runner r = {0};
    const char *bless = getenv("TILE_BLESS");
    bool any = false;
    arena_init(&r.a, 0);
    r.bless = bless && strcmp(bless, "1") == 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            r.verbose = true;
        else if (strcmp(argv[i], "--met") == 0 && i + 1 < argc && !r.met && (r.met = fopen(argv[i + 1], "w")))
            i++;
        else if (argv[i][0] == '-') {
            fprintf(stderr, "usage: test-runner [-v] [--met FILE] [DIR|FILE...]\n");
            return 2;
        } else {
            find_files(&r, str_of(argv[i]), true);
            any = true;
        }
    }
    if (!any)
        find_files(&r, S("tests"), true);
    if (r.files.n)
        qsort(r.files.at, r.files.n, sizeof *r.files.at, by_name);
    for (uint32_t i = 0; i < r.files.n; i++)
        run_one(&r, r.files.at[i]);
    if (r.met && fclose(r.met) != 0)
        r.failed++;
    printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped);
    arena_fini(&r.a);
    return r.failed ? 1 : 0;
}
