/* expect.c: expected diagnostics, written on the guilty line:
 *
 *   x = y + 1      # error: undefined name 'y'
 *   x = y + 1      # error@9-9: undefined name 'y'        columns of the caret range, first and last
 *   # error-next-line: ..      # error-prev: ..           where the line has no room
 *   # error-anywhere: ..                                  no place, or a place in another file
 *
 * and likewise for warnings and notes. Several may stand on a line. A missing error or warning fails, and so does one
 * that nobody expected; notes are only looked for. The name of each diagnostic that was expected with text and columns
 * goes to the test's `met` file, where there is one.
 */
#include "tests/runner/runner.h"

#include <string.h>

typedef struct expectation {
    diag_severity severity;
    uint32_t line, expected_at; /* line 0: anywhere */
    uint32_t beg, end;          /* columns, 0 = any */
    str text;
    bool met;
} expectation;

typedef struct expectations {
    VEC(expectation) list;
} expectations;

static const char *const severities[] = {[DIAG_ERROR] = "error", [DIAG_WARNING] = "warning", [DIAG_NOTE] = "note"};

static bool contains(str s, str part)
{
    return part.n == 0 || memmem(s.p, s.n, part.p, part.n) != NULL;
}

/* "error@3-5", "warning-next-line"; false: this comment expects nothing */
static bool parse_head(str *s, uint32_t line, expectation *e)
{
    static const struct {
        const char *text;
        int delta;
    } places[] = {{"-next-line", 1}, {"-prev", -1}, {"-anywhere", 0}};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(severities[i]);
        if (!str_starts(*s, str_of(severities[i])))
            continue;
        *e = (expectation){.severity = (diag_severity)i, .line = line, .expected_at = line};
        str r = {s->p + n, s->n - n};
        for (size_t p = 0; p < COUNTOF(places); p++)
            if (str_starts(r, str_of(places[p].text))) {
                e->line = places[p].delta ? line + (uint32_t)places[p].delta : 0;
                r.p += strlen(places[p].text);
                r.n -= strlen(places[p].text);
            }
        if (r.n && r.p[0] == '@') {
            uint32_t *at = &e->beg;
            size_t k = 1;
            for (; k < r.n && ((r.p[k] >= '0' && r.p[k] <= '9') || r.p[k] == '-'); k++) {
                if (r.p[k] == '-')
                    at = &e->end;
                else
                    *at = *at * 10 + (uint32_t)(r.p[k] - '0');
            }
            r.p += k;
            r.n -= k;
            if (!e->end)
                e->end = e->beg;
        }
        if (r.n == 0 || r.p[0] != ':')
            return false;
        *s = (str){r.p + 1, r.n - 1};
        return true;
    }
    return false;
}

static void find_on_line(test *t, str line, uint32_t number, expectations *x)
{
    bool open = false;
    for (size_t i = 0; i + t->mark.n <= line.n; i++) {
        if (memcmp(line.p + i, t->mark.p, t->mark.n) != 0)
            continue;
        str rest = text_trim((str){line.p + i + t->mark.n, line.n - i - t->mark.n});
        expectation e;
        if (!parse_head(&rest, number, &e))
            continue;
        if (open) { /* the one before ends here */
            expectation *last = &vec_last(&x->list);
            last->text = text_trim((str){last->text.p, (size_t)(line.p + i - last->text.p)});
        }
        e.text = text_trim(rest);
        vec_push(t->a, &x->list, e);
        open = true;
        i = (size_t)(rest.p - line.p) - 1;
    }
}

static bool matches(const expectation *e, diags *d, uint32_t file, span at, str text)
{
    uint32_t line, col, end_line, end;
    if (!contains(text, e->text))
        return false;
    if (e->line == 0)
        return true;
    if (at.file != file)
        return false;
    diags_place(d, file, at.beg, &line, &col);
    if (line != e->line)
        return false;
    if (!e->beg)
        return true;
    diags_place(d, file, at.end > at.beg ? at.end - 1 : at.beg, &end_line, &end);
    return col == e->beg && (end_line != line || end == e->end);
}

static const expectation *meet(expectations *x, diags *d, uint32_t file, diag_severity sev, span at, str text)
{
    for (uint32_t i = 0; i < x->list.n; i++) {
        expectation *e = &x->list.at[i];
        if (!e->met && e->severity == sev && matches(e, d, file, at, text)) {
            e->met = true;
            return e;
        }
    }
    return NULL;
}

static void unexpected(test *t, diags *d, const diag *g)
{
    uint32_t line = 0, col = 0, end_line = 0, end = 0;
    str path = S("(no place)");
    if (g->at.file) {
        diags_place(d, g->at.file, g->at.beg, &line, &col);
        diags_place(d, g->at.file, g->at.end > g->at.beg ? g->at.end - 1 : g->at.beg, &end_line, &end);
        path = d->files.at[g->at.file - 1].path;
    }
    test_fail(t, "%.*s:%u:%u-%u: unexpected %s: %.*s", STR_ARG(path), line, col, end, severities[g->severity],
              STR_ARG(g->text));
}

void expect_diags(test *t, diags *d, uint32_t file)
{
    expectations x = {0};
    str line;
    uint32_t number = 0;
    for (size_t at = 0; text_line(t->text, &at, &line);)
        find_on_line(t, line, ++number, &x);
    for (uint32_t i = 0; i < d->list.n; i++) {
        const diag *g = &d->list.at[i];
        const expectation *e = meet(&x, d, file, g->severity, g->at, g->text);
        if (!e)
            unexpected(t, d, g);
        else if (t->met && e->beg && e->text.n)
            fprintf(t->met, "%s\n", g->name);
        for (uint32_t n = 0; n < g->notes.n; n++)
            meet(&x, d, file, DIAG_NOTE, g->notes.at[n].at, g->notes.at[n].text);
    }
    for (uint32_t i = 0; i < x.list.n; i++)
        if (!x.list.at[i].met)
            test_fail(t, "%s:%u: expected %s%s: %.*s", t->path, x.list.at[i].expected_at,
                      severities[x.list.at[i].severity], x.list.at[i].beg ? " (with these columns)" : "",
                      STR_ARG(x.list.at[i].text));
}
