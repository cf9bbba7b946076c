/* runner.h: what the kinds of tests share.
 *
 * A test is a .tile or .tir file whose first line is `# test: KIND ...` or `// test: KIND ...`. A kind is a function:
 * it gets the test with its text read, works in the test's own arena, and says what is wrong through test_fail; a test
 * that said nothing has passed. With TILE_BLESS=1 in the environment golden texts are rewritten instead of compared.
 */
#ifndef TILE_TESTS_RUNNER_H
#define TILE_TESTS_RUNNER_H

#include "runtime/compile.h"

#include <stdio.h>

typedef struct test {
    arena *a;
    const char *path;
    str text;
    str mark; /* "#" or "//" */
    str args; /* of the first line, after the kind */
    bool bless;
    bool failed;
    str skipped; /* reason; empty = not skipped */
    strbuf out;  /* what to print */
    FILE *met;   /* where names of diagnostics that were met go; NULL = nowhere */
} test;

typedef void test_fn(test *t);

/* text.c */
bool text_line(str text, size_t *at, str *line); /* the next line without its newline; false at the end */
str text_trim(str s);
str text_word(str *s); /* cuts the first word off */
/* `MARK KEY: value` as a whole line's comment: its value */
bool text_directive(const test *t, str line, const char *key, str *value);
void test_fail(test *t, const char *fmt, ...) STR_PRINTF(2, 3);
/* fails with a diff unless they are equal */
void test_equal(test *t, const char *what, str want, str got);
/* compares with the file at `path`, or writes it when blessing */
void test_golden(test *t, str path, str got);
void test_rewrite(test *t, str path, str got);
str text_with_suffix(arena *a, const char *path, const char *suffix);
/* fails with what d holds */
void test_diags(test *t, diags *d);
/* options of the first line: `-D NAME=VALUE` pairs and the rest; false after test_fail */
bool test_request(test *t, str args, compile_request *q);
bool test_target(test *t, compile_request *q, str family);

/* expect.c: matches diagnostics against `error:`, `warning:`, `note:` comments on their lines */
void expect_diags(test *t, diags *d, uint32_t file);

/* kind_*.c */
void kind_ast(test *t);
void kind_check(test *t);
void kind_lower(test *t);
void kind_round_trip(test *t);
void kind_verify(test *t);
void kind_pass(test *t);
void kind_run(test *t);

#endif
