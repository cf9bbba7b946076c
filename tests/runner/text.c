/* text.c: lines, directives, golden texts and diffs. */
#include "tests/runner/runner.h"

#include <string.h>

bool text_line(str text, size_t *at, str *line)
{
    size_t beg = *at, end = beg;
    if (beg >= text.n)
        return false;
    while (end < text.n && text.p[end] != '\n')
        end++;
    *line = (str){text.p + beg, end - beg};
    *at = end + 1;
    return true;
}

str text_trim(str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

str text_word(str *s)
{
    *s = text_trim(*s);
    size_t n = 0;
    while (n < s->n && s->p[n] != ' ')
        n++;
    str w = {s->p, n};
    *s = text_trim((str){s->p + n, s->n - n});
    return w;
}

bool text_directive(const test *t, str line, const char *key, str *value)
{
    str s = text_trim(line);
    size_t n = strlen(key);
    if (!str_starts(s, t->mark))
        return false;
    s = text_trim((str){s.p + t->mark.n, s.n - t->mark.n});
    if (!str_starts(s, str_of(key)) || s.n <= n || s.p[n] != ':')
        return false;
    *value = text_trim((str){s.p + n + 1, s.n - n - 1});
    return true;
}

void test_fail(test *t, const char *fmt, ...)
{
    va_list ap;
    t->failed = true;
    va_start(ap, fmt);
    sb_puts(&t->out, "    ");
    sb_put(&t->out, str_vfmt(t->a, fmt, ap));
    sb_putc(&t->out, '\n');
    va_end(ap);
}

typedef VEC(str) line_list;

static line_list split(arena *a, str s)
{
    line_list l = {0};
    str line;
    for (size_t at = 0; text_line(s, &at, &line);)
        vec_push(a, &l, line);
    return l;
}

static void show(test *t, const line_list *l, uint32_t from, uint32_t to, char sign)
{
    for (uint32_t i = from; i < to && i < from + 40; i++)
        sb_putf(&t->out, "    %c %.*s\n", sign, STR_ARG(l->at[i]));
    if (to > from + 40)
        sb_putf(&t->out, "    %c ... %u more lines\n", sign, to - from - 40);
}

/* what lies between the common beginning and the common end */
static void show_diff(test *t, str want, str got)
{
    line_list w = split(t->a, want), g = split(t->a, got);
    uint32_t beg = 0, we = w.n, ge = g.n;
    while (beg < we && beg < ge && str_eq(w.at[beg], g.at[beg]))
        beg++;
    while (we > beg && ge > beg && str_eq(w.at[we - 1], g.at[ge - 1])) {
        we--;
        ge--;
    }
    show(t, &w, beg > 2 ? beg - 2 : 0, beg, ' ');
    show(t, &w, beg, we, '-');
    show(t, &g, beg, ge, '+');
    show(t, &w, we, we + 2 < w.n ? we + 2 : w.n, ' ');
}

void test_equal(test *t, const char *what, str want, str got)
{
    if (str_eq(want, got))
        return;
    test_fail(t, "%s: expected (-), found (+)", what);
    show_diff(t, want, got);
}

str text_with_suffix(arena *a, const char *path, const char *suffix)
{
    str p = str_of(path);
    while (p.n && p.p[p.n - 1] != '.')
        p.n--;
    return str_fmt(a, "%.*s%s", STR_ARG(p), suffix);
}

void test_rewrite(test *t, str path, str got)
{
    str err;
    if (!file_write(t->a, str_cstr(t->a, path), got, &err))
        test_fail(t, "%.*s", STR_ARG(err));
}

void test_golden(test *t, str path, str got)
{
    str want, err;
    if (t->bless)
        test_rewrite(t, path, got);
    else if (!file_read(t->a, str_cstr(t->a, path), 0, &want, &err))
        test_fail(t, "no golden text: %.*s (TILE_BLESS=1 makes it)", STR_ARG(err));
    else
        test_equal(t, str_cstr(t->a, path), want, got);
}

void test_diags(test *t, diags *d)
{
    strbuf b;
    sb_init(&b, t->a);
    diags_render(d, DIAG_HUMAN, &b);
    test_fail(t, "diagnostics:\n%.*s", (int)b.n, b.n ? b.at : "");
}

bool test_target(test *t, compile_request *q, str family)
{
    q->backend = backend_find(family, &q->target, t->a);
    if (!q->backend)
        test_fail(t, "unknown target '%.*s'", STR_ARG(family));
    return q->backend != NULL;
}

bool test_request(test *t, str args, compile_request *q)
{
    VEC(fe_binding) bind = {0};
    *q = (compile_request){.path = str_of(t->path), .text = t->text, .passes = {.verify = true, .checked = true}};
    while (args.n) {
        str w = text_word(&args);
        if (str_eq(w, S("-D"))) {
            fe_binding b;
            str v = text_word(&args);
            if (!fe_parse_binding(t->a, v, &b)) {
                test_fail(t, "first line: expected NAME=VALUE after -D, found '%.*s'", STR_ARG(v));
                return false;
            }
            vec_push(t->a, &bind, b);
        } else if (str_starts(w, S("--kernel="))) {
            q->kernel = (str){w.p + 9, w.n - 9};
        } else if (str_eq(w, S("narrow"))) {
            q->passes.narrow = true;
        } else if (str_eq(w, S("unchecked"))) {
            q->passes.checked = false;
        } else {
            test_fail(t, "first line: '%.*s' is not known", STR_ARG(w));
            return false;
        }
    }
    q->bind = bind.at;
    q->nbind = bind.n;
    return true;
}
