/* parse.c: layout: turns raw tokens and line ends into NEWLINE, INDENT and DEDENT; and runs the parser over one file.
 *
 * Inside brackets line ends mean nothing. Outside, a line's end is NEWLINE, and the column of the next line's first
 * token is compared with the blocks that are open. Blank lines and comments have no say. A kernel's header may break
 * before `grid(`. A bracket that is still open when a line begins with a word that starts a declaration was
 * forgotten: it is reported where it was opened, and the layout starts afresh, so that one slip costs one
 * diagnostic.
 */
#include "frontend/parse.h"
#include "parser.h"

#include <string.h>

int raw_lex(TILE_STYPE *v, span *at, yyscan_t s);
int raw_lex_init_extra(struct parse_ctx *c, yyscan_t *s);
int raw_lex_destroy(yyscan_t s);
typedef struct yy_buffer_state *raw_buffer;
raw_buffer raw__scan_bytes(const char *p, int n, yyscan_t s);

struct parse_value {
    TILE_STYPE v;
};

enum { FILE_MAX = 64 << 20 };

static uint32_t column_of(const parse_ctx *c, uint32_t off)
{
    uint32_t beg = off;
    while (beg > 0 && c->text.p[beg - 1] != '\n')
        beg--;
    return off - beg;
}

/* spaces before the token; a tab among them is reported once a line and counts as one column */
static uint32_t indentation(parse_ctx *c, span at)
{
    uint32_t col = column_of(c, at.beg);
    const char *line = c->text.p + (at.beg - col);
    const char *tab = memchr(line, '\t', col);
    if (tab) {
        uint32_t off = (uint32_t)(tab - c->text.p);
        fe_report(c->d, D_TAB_INDENT, (span){at.file, off, off + 1});
    }
    return col;
}

static int stop(parse_ctx *c)
{
    c->stopped = true;
    c->ended = true;
    c->nopen = 0;
    return 0;
}

static bool starts_declaration(int t)
{
    return t == T_KERNEL || t == T_FN || t == T_IMPORT || t == '@';
}

static int open_bracket(parse_ctx *c, int t, span at)
{
    if (c->nopen == PARSE_MAX_BRACKETS) {
        fe_report(c->d, D_TOO_MANY_BRACKETS, at, PARSE_MAX_BRACKETS);
        return stop(c);
    }
    c->open[c->nopen] = at;
    c->open_char[c->nopen++] = t;
    return t;
}

static int close_bracket(parse_ctx *c, int t, span at)
{
    if (!c->nopen) {
        fe_report(c->d, D_UNOPENED, at, t);
        return T_BAD;
    }
    int o = c->open_char[--c->nopen];
    if ((o == '(') != (t == ')'))
        fe_report(c->d, D_MISMATCHED, at, t, o);
    return (o == '(') ? ')' : ']';
}

/* the text after a line's end begins, past blank lines and comments, with `grid` and a bracket */
static bool grid_follows(const parse_ctx *c)
{
    const char *p = c->text.p + c->off, *end = c->text.p + c->text.n;
    for (;;) {
        while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
            p++;
        if (p == end || *p != '#')
            break;
        while (p < end && *p != '\n')
            p++;
    }
    if (end - p < 5 || memcmp(p, "grid", 4) != 0)
        return false;
    for (p += 4; p < end && *p == ' '; p++)
        ;
    return p < end && *p == '(';
}

/* the next token that is not a line's end inside brackets or in front of a grid */
static int next_raw(parse_ctx *c, TILE_STYPE *v, span *at)
{
    for (;;) {
        int t = c->ended ? 0 : raw_lex(v, at, c->scanner);
        if (t == 0) {
            c->ended = true;
            *at = (span){c->file, (uint32_t)c->text.n, (uint32_t)c->text.n};
            return 0;
        }
        if (t != T_EOL || c->nopen == 0) {
            if (t == T_EOL && c->in_header && grid_follows(c))
                continue;
            return t;
        }
    }
}

static int take_word(parse_ctx *c, int t, TILE_STYPE *v)
{
    if (t == T_KERNEL)
        c->in_header = true;
    if (t == ':' && c->nopen == 0)
        c->in_header = false;
    if (t == T_NAME && c->in_header && c->nopen == 0 && str_eq(v->s, S("grid")))
        return T_GRID;
    return t;
}

/* what a line's first token says about blocks: 0 = nothing */
static int layout_before(parse_ctx *c, span at)
{
    uint32_t col = indentation(c, at), now = c->indent[c->nindent];
    c->at_line_start = false;
    if (col == now)
        return 0;
    if (col > now) {
        if (c->nindent == PARSE_MAX_BLOCKS) {
            fe_report(c->d, D_TOO_MANY_BLOCKS, at, PARSE_MAX_BLOCKS);
            return stop(c), T_NEWLINE;
        }
        c->indent[++c->nindent] = col;
        return T_INDENT;
    }
    while (c->nindent && c->indent[c->nindent] > col) {
        c->nindent--;
        c->dedents++;
    }
    if (c->indent[c->nindent] != col) {
        fe_report(c->d, D_BAD_DEDENT, at, col);
        c->indent[c->nindent] = col; /* the rest of this block stands where this line does */
    }
    if (!c->dedents) /* the outermost level had been moved in by such a line: nothing closes */
        return 0;
    c->dedents--;
    return T_DEDENT;
}

static int end_of_file(parse_ctx *c, span *at)
{
    *at = (span){c->file, (uint32_t)c->text.n, (uint32_t)c->text.n};
    if (c->nopen && !c->stopped) {
        fe_report(c->d, D_UNCLOSED, c->open[c->nopen - 1], c->open_char[c->nopen - 1]);
        c->nopen = 0;
        c->stopped = true;
    }
    if (!c->at_line_start) {
        c->at_line_start = true;
        return T_NEWLINE;
    }
    if (c->nindent) {
        c->nindent--;
        return T_DEDENT;
    }
    return 0;
}

/* an open bracket, and a line that begins a declaration: the bracket was forgotten */
static bool forgotten_bracket(parse_ctx *c, int t, span at)
{
    if (!c->nopen || !starts_declaration(t) || column_of(c, at.beg) != 0)
        return false;
    fe_report(c->d, D_UNCLOSED, c->open[c->nopen - 1], c->open_char[c->nopen - 1]);
    c->nopen = 0;
    c->quiet = true;
    return true;
}

static int next_token(TILE_STYPE *v, span *at, parse_ctx *c)
{
    if (c->dedents) {
        *at = (span){c->file, c->held_at.beg, c->held_at.beg};
        c->dedents--;
        return T_DEDENT;
    }
    int t = c->held;
    *at = c->held_at;
    if (t)
        *v = c->held_value->v;
    else
        t = next_raw(c, v, at);
    c->held = 0;
    while (t == T_EOL && c->at_line_start)
        t = next_raw(c, v, at);
    if (t == 0)
        return end_of_file(c, at);
    if (t == T_EOL) {
        c->at_line_start = true;
        return T_NEWLINE;
    }
    if (forgotten_bracket(c, t, *at) || c->at_line_start) {
        bool midline = !c->at_line_start;
        int layout = midline ? T_NEWLINE : layout_before(c, *at);
        c->at_line_start = midline;
        if (layout) {
            c->held = t;
            c->held_at = *at;
            c->held_value->v = *v;
            if (layout != T_NEWLINE)
                *at = (span){c->file, at->beg, at->beg};
            return layout;
        }
    }
    if (t == '(' || t == '[')
        return open_bracket(c, t, *at);
    if (t == ')' || t == ']')
        return close_bracket(c, t, *at);
    if (t == T_WALRUS) {
        fe_report(c->d, D_WALRUS, *at);
        return T_BAD;
    }
    return take_word(c, t, v);
}

int tile_lex(TILE_STYPE *v, span *at, parse_ctx *c)
{
    int t = next_token(v, at, c);
    if (t == T_NEWLINE) /* right behind the line's last token, whatever comment follows */
        *at = (span){c->file, c->last_end, c->last_end + (c->last_end < c->text.n)};
    else if (t != T_INDENT && t != T_DEDENT && t != 0)
        c->last_end = at->end;
    return t;
}

void ast_parse(arena *a, diags *d, uint32_t file, str text, ast_file *out)
{
    parse_ctx c = {.a = a, .d = d, .file = file, .text = text, .out = out, .at_line_start = true};
    struct parse_value held;
    memset(&held, 0, sizeof held);
    c.held_value = &held;
    if (text.n > FILE_MAX) {
        fe_report(d, D_FILE_SIZE, (span){file, 0, 0}, FILE_MAX >> 20);
        return;
    }
    raw_lex_init_extra(&c, &c.scanner);
    raw__scan_bytes(text.p, (int)text.n, c.scanner);
    tile_parse(&c);
    raw_lex_destroy(c.scanner);
}
