/* kind_text.c: kinds that look at texts: ast, check, lower, round-trip, verify.
 *
 *   ast                       golden FILE.ast
 *   check                     expected diagnostics (expect.c)
 *   lower [-D ..] [--kernel=] golden FILE.tir of stage tir, which must also read back to itself
 *   lower cpu [asm|laid] ..   `contains: TEXT` in this order, and no `absent: TEXT`, in stage llvm (or asm, laid)
 *   round-trip                .tir: print(read(file)) is the file less its comment lines; .tile: print(read(print)) is
 * print verify                    .tir: expected diagnostics of the reader and the verifier
 */
#include "tests/runner/runner.h"

#include <string.h>

static bool compile_ok(test *t, const compile_request *q, str *out)
{
    diags d;
    diags_init(&d, t->a);
    d.warnings_off = true;
    if (compile(t->a, &d, q, out) && !d.errors)
        return true;
    test_diags(t, &d);
    return false;
}

void kind_ast(test *t)
{
    compile_request q;
    str got;
    if (!test_request(t, t->args, &q))
        return;
    q.stage = STAGE_AST;
    if (compile_ok(t, &q, &got))
        test_golden(t, text_with_suffix(t->a, t->path, "ast"), got);
}

void kind_check(test *t)
{
    diags d;
    fe_options opt = {0};
    diags_init(&d, t->a);
    d.max_errors = 1000;
    fe_unit *u = fe_load(t->a, &d, str_of(t->path), t->text, &opt);
    bool ok = u && fe_check(u);
    if (ok != (d.errors == 0))
        test_fail(t, "check returned %d with %u errors", ok, d.errors);
    expect_diags(t, &d, 1);
}

static void reads_back(test *t, str text)
{
    diags d;
    strbuf b;
    diags_init(&d, t->a);
    ir_module *m = ir_read(t->a, &d, S("printed.tir"), text);
    if (!m) {
        test_fail(t, "what was printed does not read back");
        test_diags(t, &d);
        return;
    }
    sb_init(&b, t->a);
    ir_print_module(m, &b);
    test_equal(t, "print(read(print))", text, sb_str(&b));
}

static void check_contains(test *t, str got)
{
    str line, want;
    size_t from = 0, checks = 0;
    for (size_t at = 0; text_line(t->text, &at, &line);) {
        if (text_directive(t, line, "contains", &want)) {
            const char *hit = memmem(got.p + from, got.n - from, want.p, want.n);
            checks++;
            if (!hit) {
                test_fail(t, "'%.*s' not found%s", STR_ARG(want), from ? " after what was found before it" : "");
                if (t->bless)
                    test_fail(t, "text:\n%.*s", STR_ARG(got));
                return;
            }
            from = (size_t)(hit - got.p) + want.n;
        } else if (text_directive(t, line, "absent", &want)) {
            checks++;
            if (memmem(got.p, got.n, want.p, want.n))
                test_fail(t, "'%.*s' is there", STR_ARG(want));
        }
    }
    if (!checks)
        test_fail(t, "no 'contains:' or 'absent:' in this test");
}

static void lower_backend(test *t, str args, str family)
{
    compile_request q;
    backend_stage stage = STAGE_LLVM;
    str got;
    for (;;) {
        str rest = args, w = text_word(&rest);
        if (str_eq(w, S("asm")))
            stage = STAGE_ASM;
        else if (str_eq(w, S("laid")))
            stage = STAGE_LAID;
        else if (!str_eq(w, S("llvm")))
            break;
        args = rest;
    }
    if (!test_request(t, args, &q) || !test_target(t, &q, family))
        return;
    q.stage = stage;
    if (compile_ok(t, &q, &got))
        check_contains(t, got);
}

void kind_lower(test *t)
{
    compile_request q;
    str args = t->args, got, first = text_word(&args);
    if (first.n && first.p[0] != '-') {
        lower_backend(t, args, first);
        return;
    }
    if (!test_request(t, t->args, &q) || !test_target(t, &q, S("cpu")))
        return;
    q.stage = STAGE_TIR;
    if (!compile_ok(t, &q, &got))
        return;
    test_golden(t, text_with_suffix(t->a, t->path, "tir"), got);
    reads_back(t, got);
}

/* the file's lines but the comments, and the comments at its head */
static str without_comments(test *t, str *head)
{
    strbuf body, top;
    str line;
    bool in_head = true;
    sb_init(&body, t->a);
    sb_init(&top, t->a);
    for (size_t at = 0; text_line(t->text, &at, &line);) {
        bool comment = str_starts(text_trim(line), t->mark);
        in_head &= comment;
        if (!comment || in_head)
            sb_putf(comment ? &top : &body, "%.*s\n", STR_ARG(line));
    }
    *head = sb_str(&top);
    return sb_str(&body);
}

static void round_trip_ir(test *t)
{
    diags d;
    strbuf b;
    str head, body = without_comments(t, &head);
    diags_init(&d, t->a);
    ir_module *m = ir_read(t->a, &d, str_of(t->path), t->text);
    if (!m) {
        test_diags(t, &d);
        return;
    }
    sb_init(&b, t->a);
    ir_print_module(m, &b);
    if (t->bless)
        test_rewrite(t, str_of(t->path), str_fmt(t->a, "%.*s%.*s", STR_ARG(head), STR_ARG(sb_str(&b))));
    else
        test_equal(t, "print(read(file))", body, sb_str(&b));
    reads_back(t, sb_str(&b));
}

void kind_round_trip(test *t)
{
    compile_request q;
    str got;
    if (compile_input_of(str_of(t->path)) == INPUT_IR) {
        round_trip_ir(t);
        return;
    }
    if (!test_request(t, t->args, &q) || !test_target(t, &q, S("cpu")))
        return;
    for (int stage = STAGE_TIR; stage <= STAGE_LAID; stage++) {
        q.stage = (backend_stage)stage;
        if (compile_ok(t, &q, &got))
            reads_back(t, got);
    }
}

void kind_verify(test *t)
{
    diags d;
    diags_init(&d, t->a);
    d.max_errors = 1000;
    ir_module *m = ir_read(t->a, &d, str_of(t->path), t->text);
    if ((m != NULL) != (d.errors == 0))
        test_fail(t, "the reader gave %s with %u errors", m ? "a module" : "nothing", d.errors);
    expect_diags(t, &d, 1);
}
