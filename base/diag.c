/* diag.c: collecting and rendering diagnostics. Line tables are built once a file; a caret line copies the tabs of the
 * source line so that carets stand under what they mean whatever the tab width. */
#include "base/diag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHOWN_WIDTH = 160, /* longer source lines are cut around the caret */
    TEXT_MOST = 600    /* longer messages are cut */
};

void bug(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("internal error: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

void diags_init(diags *d, arena *a)
{
    memset(d, 0, sizeof *d);
    d->a = a;
    d->max_errors = 50;
}

uint32_t diags_add_file(diags *d, str path, str text)
{
    diag_file f = {.path = path, .text = text};
    vec_push(d->a, &d->files, f);
    return d->files.n;
}

static diag_file *file_of(diags *d, uint32_t file)
{
    diag_file *f = &d->files.at[file - 1];
    if (f->lines)
        return f;
    uint32_t n = 1;
    for (size_t i = 0; i < f->text.n; i++)
        n += f->text.p[i] == '\n';
    f->lines = ARENA_ARRAY(d->a, uint32_t, n);
    f->nlines = 1;
    for (size_t i = 0; i < f->text.n; i++)
        if (f->text.p[i] == '\n')
            f->lines[f->nlines++] = (uint32_t)i + 1;
    return f;
}

void diags_place(diags *d, uint32_t file, uint32_t off, uint32_t *line, uint32_t *col)
{
    *line = *col = 0;
    if (!file || file > d->files.n)
        return;
    diag_file *f = file_of(d, file);
    uint32_t lo = 0, hi = f->nlines;
    while (hi - lo > 1) {
        uint32_t mid = (lo + hi) / 2;
        if (f->lines[mid] <= off)
            lo = mid;
        else
            hi = mid;
    }
    *line = lo + 1;
    *col = off - f->lines[lo] + 1;
}

static uint32_t line_end(const diag_file *f, uint32_t line)
{
    uint32_t end = line + 1 < f->nlines ? f->lines[line + 1] - 1 : (uint32_t)f->text.n;
    if (end > f->lines[line] && f->text.p[end - 1] == '\r')
        end--;
    return end;
}

uint32_t diags_offset(diags *d, uint32_t file, uint32_t line, uint32_t col)
{
    if (!file || file > d->files.n)
        return 0;
    diag_file *f = file_of(d, file);
    if (line < 1)
        line = 1;
    if (line > f->nlines)
        return (uint32_t)f->text.n;
    uint32_t beg = f->lines[line - 1], end = line_end(f, line - 1);
    uint64_t at = (uint64_t)beg + (col ? col - 1 : 0);
    return at < end ? (uint32_t)at : end;
}

bool diags_warning_on(const diags *d, const char *name)
{
    if (d->warnings_off)
        return false;
    for (uint32_t i = 0; i < d->off.n; i++)
        if (str_eq(d->off.at[i], str_of(name)))
            return false;
    return true;
}

/* the kept record, or NULL where this one is counted or switched off only */
static diag *record(diags *d, diag_severity sev, const char *name, span at, str text)
{
    if (sev == DIAG_ERROR && d->errors++ >= d->max_errors)
        return NULL;
    if (sev == DIAG_WARNING && d->warnings++ >= d->max_errors)
        return NULL;
    diag r = {.severity = sev, .name = name ? name : "", .at = at, .text = text};
    vec_push(d->a, &d->list, r);
    return &vec_last(&d->list);
}

void diag_vreport(diags *d, diag_severity sev, const char *name, span at, const char *fmt, va_list ap)
{
    d->dropping = true;
    if (sev == DIAG_WARNING && !diags_warning_on(d, name))
        return;
    str text = str_vfmt(d->a, fmt, ap);
    if (text.n > TEXT_MOST) /* a name of megabytes is quoted by its beginning */
        text = str_fmt(d->a, "%.*s ...", TEXT_MOST, text.p);
    d->dropping = !record(d, sev, name, at, text);
}

void diag_report(diags *d, diag_severity sev, const char *name, span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_vreport(d, sev, name, at, fmt, ap);
    va_end(ap);
}

void diag_note_add(diags *d, span at, const char *fmt, ...)
{
    if (d->dropping || !d->list.n)
        return;
    va_list ap;
    va_start(ap, fmt);
    diag_note n = {at, str_vfmt(d->a, fmt, ap)};
    va_end(ap);
    vec_push(d->a, &vec_last(&d->list).notes, n);
}

/* ---- rendering ---- */
static const char *const severity_name[] = {"error", "warning", "note"};

static void put_head(diags *d, span at, const char *sev, str text, bool color, strbuf *out)
{
    static const char *const colors[] = {"\033[1;31m", "\033[1;35m", "\033[1;36m"};
    if (at.file && at.file <= d->files.n) {
        uint32_t line, col;
        diags_place(d, at.file, at.beg, &line, &col);
        sb_put(out, d->files.at[at.file - 1].path);
        sb_putf(out, ":%u:%u: ", line, col);
    }
    int k = sev[0] == 'e' ? 0 : sev[0] == 'w' ? 1 : 2;
    sb_putf(out, "%s%s:%s ", color ? colors[k] : "", sev, color ? "\033[0m" : "");
    sb_put(out, text);
    sb_putc(out, '\n');
}

/* the source line, and a caret with tildes under the span's part of it */
static void put_snippet(diags *d, span at, strbuf *out)
{
    if (!at.file || at.file > d->files.n)
        return;
    uint32_t line, col;
    diags_place(d, at.file, at.beg, &line, &col);
    diag_file *f = file_of(d, at.file);
    uint32_t beg = f->lines[line - 1], end = line_end(f, line - 1), caret = at.beg < end ? at.beg : end;
    uint32_t stop = at.end < end ? at.end : end;
    if (end - beg > SHOWN_WIDTH) {
        uint32_t lo = caret - beg > SHOWN_WIDTH / 2 ? caret - SHOWN_WIDTH / 2 : beg;
        end = end - lo > SHOWN_WIDTH ? lo + SHOWN_WIDTH : end;
        beg = lo;
        stop = stop < end ? stop : end;
    }
    sb_puts(out, "    ");
    for (uint32_t i = beg; i < end; i++) {
        unsigned char c = (unsigned char)f->text.p[i];
        sb_putc(out, c == '\t' || c >= 32 ? (char)c : '?');
    }
    sb_puts(out, "\n    ");
    for (uint32_t i = beg; i < caret; i++)
        sb_putc(out, f->text.p[i] == '\t' ? '\t' : ' ');
    sb_putc(out, '^');
    for (uint32_t i = caret + 1; i < stop; i++)
        sb_putc(out, '~');
    sb_putc(out, '\n');
}

static void put_json_place(diags *d, span at, strbuf *out)
{
    uint32_t line = 0, col = 0, l2 = 0, c2 = 0;
    diags_place(d, at.file, at.beg, &line, &col);
    diags_place(d, at.file, at.end, &l2, &c2);
    sb_puts(out, "\"file\": ");
    sb_put_quoted(out, at.file && at.file <= d->files.n ? d->files.at[at.file - 1].path : S(""), "\\u00");
    sb_putf(out, ", \"line\": %u, \"col\": %u, \"end_line\": %u, \"end_col\": %u", line, col, l2, c2);
}

static void put_json(diags *d, const diag *r, strbuf *out)
{
    sb_putf(out, "{\"severity\": \"%s\", \"id\": \"%s\", ", severity_name[r->severity], r->name);
    put_json_place(d, r->at, out);
    sb_puts(out, ", \"text\": ");
    sb_put_quoted(out, r->text, "\\u00");
    sb_puts(out, ", \"notes\": [");
    for (uint32_t i = 0; i < r->notes.n; i++) {
        sb_puts(out, i ? ", {" : "{");
        put_json_place(d, r->notes.at[i].at, out);
        sb_puts(out, ", \"text\": ");
        sb_put_quoted(out, r->notes.at[i].text, "\\u00");
        sb_putc(out, '}');
    }
    sb_puts(out, "]}\n");
}

void diags_render(diags *d, diag_form form, strbuf *out)
{
    for (uint32_t i = 0; i < d->list.n; i++) {
        const diag *r = &d->list.at[i];
        if (form == DIAG_JSON) {
            put_json(d, r, out);
            continue;
        }
        bool color = d->color && form == DIAG_HUMAN;
        put_head(d, r->at, severity_name[r->severity], r->text, color, out);
        if (form == DIAG_HUMAN)
            put_snippet(d, r->at, out);
        for (uint32_t k = 0; form == DIAG_HUMAN && k < r->notes.n; k++) {
            put_head(d, r->notes.at[k].at, "note", r->notes.at[k].text, color, out);
            put_snippet(d, r->notes.at[k].at, out);
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->list.n; i++)
        kept += d->list.at[i].severity == DIAG_ERROR;
    if (form == DIAG_HUMAN && d->errors > kept)
        sb_putf(out, "%u more errors not shown\n", d->errors - kept);
}
