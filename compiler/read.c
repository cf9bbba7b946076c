/* read.c: whole files of IR text: the header, layouts, locations and functions.
 *
 *   file    'tile-ir' 1 'stage' '=' ('tir' | 'laid') 'target' '=' name {layout} {loc | function}
 *   loc     'loc' @n '=' "file" ':' line ':' column ['at' @n]
 *   function ('kernel' | 'fn' | 'host') @name '(' [%p: type [{item, ..}], ..] ')' ['->' '(' type, .. ')'] {word} [@n]
 * '{' ops '}'
 *
 * A location refers only to earlier ones, so inlining chains end. `//` starts a comment. Results are verified with the
 * spans of the text; NULL comes back with at least one diagnostic, and nothing else ever does for a wrong text: sizes,
 * nesting and the number of errors are bounded (read.h, verify.h).
 */
#include "compiler/read.h"

#include <string.h>

static bool expected(reader *r, const char *what)
{
    str found = read_found(r);
    read_error(r, read_here(r), "expected %s, found %.*s", what, STR_ARG(found));
    return false;
}

/* ---- the header ---- */
static bool read_target(reader *r)
{
    if (r->tok.kind == TOK_STRING) {
        r->m->target = str_dup(r->a, r->tok.text);
        read_next(r);
        return true;
    }
    if (r->tok.kind != TOK_WORD)
        return expected(r, "a target");
    /* cuda:sm_90a is one word here */
    uint32_t end = r->tok.end;
    while (end < r->text.n && !strchr(" \t\r\n\"{}()%@,", r->text.p[end]))
        end++;
    str name = {r->text.p + r->tok.beg, end - r->tok.beg};
    if (!str_eq(name, S("any")))
        r->m->target = str_dup(r->a, name);
    r->pos = end;
    read_next(r);
    return true;
}

static bool read_header(reader *r)
{
    int64_t version;
    if (!read_is_word(r, "tile") || r->text.n - r->tok.beg < 7 || memcmp(r->text.p + r->tok.beg, "tile-ir", 7) != 0) {
        read_error(r, read_span(r, r->tok.beg, r->tok.beg + (r->tok.beg < r->text.n)),
                   "expected 'tile-ir 1' at the start of IR text");
        return false;
    }
    r->pos = r->tok.beg + 7;
    read_next(r);
    if (!read_int(r, "the version of the text", false, &version))
        return false;
    if (version != 1) {
        read_error(r, read_span(r, r->tok.beg, r->tok.end), "version 1 of IR text is known, not %lld",
                   (long long)version);
        return false;
    }
    if (!read_take_word(r, "stage"))
        return expected(r, "'stage'");
    if (!read_expect(r, '=', "the header"))
        return false;
    if (read_take_word(r, "laid"))
        r->m->stage = LAID;
    else if (read_take_word(r, "tir"))
        r->m->stage = TIR;
    else
        return expected(r, "stage 'tir' or 'laid'");
    if (!read_take_word(r, "target"))
        return expected(r, "'target'");
    return read_expect(r, '=', "the header") && read_target(r);
}

/* ---- locations ---- */
static bool read_position(reader *r, const char *what, uint32_t *out)
{
    return read_expect(r, ':', "a location") && read_origin(r, what, out);
}

static bool read_loc(reader *r)
{
    bool negative;
    uint64_t n;
    uint32_t line, col, old;
    ir_loc outer = {0};
    if (r->tok.kind != TOK_LOC || !read_digits(r->tok.text, &negative, &n))
        return expected(r, "the number of a location, '@1'");
    if (map_get(&r->locs, n, &old)) {
        read_error(r, read_here(r), "location '@%llu' is defined twice", (unsigned long long)n);
        return false;
    }
    read_next(r);
    if (!read_expect(r, '=', "a location"))
        return false;
    if (r->tok.kind != TOK_STRING)
        return expected(r, "a file name in quotes");
    str file = r->tok.text;
    read_next(r);
    if (!read_position(r, "a line", &line) || !read_position(r, "a column", &col))
        return false;
    if (read_take_word(r, "at")) {
        if (r->tok.kind != TOK_LOC)
            return expected(r, "a location after 'at'");
        if (!read_loc_use(r, &outer))
            return false;
    }
    map_set(&r->locs, n, ir_loc_make(r->m, file, line, col, outer).id);
    return true;
}

/* ---- parameters ---- */
static bool param_flag(reader *r, ir_param *p)
{
    static const struct {
        const char *name;
        int flag;
    } flags[] = {
        {"static", PARAM_STATIC},   {"scratch", PARAM_SCRATCH}, {"scratch_zero", PARAM_SCRATCH_ZERO},
        {"written", PARAM_WRITTEN}, {"noalias", PARAM_NOALIAS}, {"extent", PARAM_EXTENT},
    };
    for (size_t i = 0; i < COUNTOF(flags); i++)
        if (read_take_word(r, flags[i].name)) {
            p->flags |= flags[i].flag;
            return true;
        }
    return false;
}

static bool param_item(reader *r, ir_param *p)
{
    static const char *const names[] = {"arg",    "name",    "align",        "div",     "lo",     "hi",
                                        "static", "scratch", "scratch_zero", "written", "noalias"};
    int64_t x, *const numbers[] = {NULL, NULL, &p->align, &p->div, &p->lo, &p->hi};
    size_t k = 0;
    if (param_flag(r, p))
        return true;
    while (k < COUNTOF(numbers) && !read_is_word(r, names[k]))
        k++;
    if (k == COUNTOF(numbers)) {
        const char *near = r->tok.kind == TOK_WORD ? read_nearest(r->tok.text, names, COUNTOF(names)) : NULL;
        str found = read_found(r);
        read_error(r, read_here(r), "unknown property of a parameter, %.*s%s%s%s", STR_ARG(found),
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        return false;
    }
    read_next(r);
    if (!read_expect(r, '=', "a parameter"))
        return false;
    if (k == 1) {
        if (r->tok.kind != TOK_STRING)
            return expected(r, "a name in quotes");
        p->name = str_dup(r->a, r->tok.text);
        read_next(r);
        return true;
    }
    uint32_t beg = r->tok.beg;
    if (!read_int(r, "an integer", false, &x))
        return false;
    if (numbers[k]) {
        *numbers[k] = x;
    } else if (x < INT16_MIN || x > INT32_MAX) {
        read_error(r, read_span(r, beg, r->last), "expected an argument number, found '%lld'", (long long)x);
        return false;
    } else {
        p->arg = (int)x;
    }
    return true;
}

static bool read_param(reader *r)
{
    token name = r->tok;
    ir_type y;
    ir_val v;
    uint32_t index = r->f->params.n;
    bool numbered;
    if (r->tok.kind != TOK_VALUE)
        return expected(r, "a parameter");
    numbered = name.text.n && name.text.p[0] >= '0' && name.text.p[0] <= '9';
    read_next(r);
    if (!read_expect(r, ':', "a parameter") || !read_type(r, &y))
        return false;
    v = ir_func_param(r->f, y, numbered ? S("") : str_dup(r->a, name.text), (int)index, 0);
    read_define(r, &name, v);
    if (!read_take(r, '{'))
        return true;
    do
        if (!param_item(r, &r->f->params.at[index]))
            return false;
    while (read_take(r, ','));
    return read_expect(r, '}', "a parameter");
}

/* ---- functions ---- */
static bool read_signature(reader *r)
{
    ir_type y;
    if (!read_expect(r, '(', "a function"))
        return false;
    while (!read_is(r, ')')) {
        if (r->f->params.n && !read_expect(r, ',', "the parameters"))
            return false;
        if (r->f->params.n == READ_MAX_LIST) {
            read_error(r, read_here(r), "more than %d parameters", READ_MAX_LIST);
            return false;
        }
        if (!read_param(r))
            return false;
    }
    read_next(r);
    if (!read_take(r, '-'))
        return true;
    if (!read_expect(r, '(', "the results of a function"))
        return false;
    do {
        if (!read_type(r, &y))
            return false;
        vec_push(r->f->a, &r->f->results, y);
        if (r->f->results.n > READ_MAX_LIST) {
            read_error(r, read_here(r), "more than %d results", READ_MAX_LIST);
            return false;
        }
    } while (read_take(r, ','));
    return read_expect(r, ')', "the results of a function");
}

static bool read_host_name(reader *r)
{
    if (!read_expect(r, '=', "a function's 'host'"))
        return false;
    if (r->tok.kind != TOK_SYMBOL)
        return expected(r, "the name of a host function");
    r->f->host = str_dup(r->a, r->tok.text);
    read_next(r);
    return true;
}

static bool read_number_item(reader *r, uint32_t *origin)
{
    const struct {
        const char *name;
        int *at;
    } items[] = {{"num_warps", &r->f->num_warps},
                 {"num_stages", &r->f->num_stages},
                 {"num_ctas", &r->f->num_ctas},
                 {"waves_per_eu", &r->f->waves_per_eu},
                 {"next_origin", NULL}};
    static const char *const names[] = {"grid",       "cooperative", "persistent",   "host",       "num_warps",
                                        "num_stages", "num_ctas",    "waves_per_eu", "next_origin"};
    uint32_t x;
    for (size_t i = 0; i < COUNTOF(items); i++)
        if (read_take_word(r, items[i].name)) {
            if (!read_expect(r, '=', "a function's properties") || !read_origin(r, "a number", &x))
                return false;
            if (items[i].at)
                *items[i].at = (int)x;
            else
                *origin = x;
            return true;
        }
    const char *near = read_nearest(r->tok.text, names, COUNTOF(names));
    str found = read_found(r);
    read_error(r, read_here(r), "unknown property of a function, %.*s%s%s%s", STR_ARG(found),
               near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return false;
}

static bool read_items(reader *r, uint32_t *origin)
{
    while (r->tok.kind == TOK_WORD) {
        if (read_take_word(r, "grid"))
            r->f->has_grid = true;
        else if (read_take_word(r, "cooperative"))
            r->f->cooperative = true;
        else if (read_take_word(r, "persistent"))
            r->f->persistent = true;
        else if (!(read_take_word(r, "host") ? read_host_name(r) : read_number_item(r, origin)))
            return false;
    }
    return read_loc_use(r, &r->f->loc);
}

/* names of the function before are forgotten */
static void clear_names(reader *r)
{
    for (uint32_t i = 0; i < r->scope.n; i++)
        r->values.at[r->scope.at[i]] = (read_name){{0}, false, {0, 0, 0}};
    r->scope.n = 0;
}

static uint32_t last_origin(const ir_func *f)
{
    uint32_t last = 0;
    for (uint32_t i = 1; i < f->ops.n; i++)
        if (f->ops.at[i].origin > last)
            last = f->ops.at[i].origin;
    return last;
}

/* one builder serves all functions: with folding off it keeps nothing of them */
static void start_body(reader *r)
{
    if (r->b.m) {
        r->b.f = r->f;
        ir_push(&r->b, r->f->body);
    } else {
        ir_builder_init(&r->b, r->f, r->a);
        r->b.fold = false;
    }
}

static bool read_func(reader *r, ir_func_kind kind, uint32_t beg)
{
    token name = r->tok;
    uint32_t origin = 0, open;
    if (name.kind != TOK_SYMBOL || !name.text.n)
        return expected(r, "the name of a function, '@name'");
    if (intern_find(r->func_names, name.text) != UINT32_MAX) {
        read_error(r, read_here(r), "function '@%.*s' is defined twice", STR_ARG(name.text));
        return false;
    }
    read_next(r);
    intern_id(r->func_names, name.text);
    r->f = ir_func_new(r->m, kind, name.text);
    clear_names(r);
    if (!read_signature(r) || !read_items(r, &origin))
        return false;
    open = r->tok.beg;
    verify_func_text text = {.head = read_span(r, beg, r->last)};
    if (!read_expect(r, '{', "a function"))
        return false;
    start_body(r);
    r->op_spans.at = NULL;
    r->op_spans.n = r->op_spans.cap = 0;
    r->origin = 0;
    read_ops(r, open);
    ir_pop(&r->b);
    r->f->next_origin = origin ? origin : last_origin(r->f) + 1;
    vec_push(r->a, &r->m->funcs, r->f); /* no function has its name: ir_module_add would look at all of them again */
    text.ops = r->op_spans.at;
    text.nops = r->op_spans.n;
    vec_push(r->a, &r->funcs, text);
    return true;
}

static bool read_top(reader *r)
{
    uint32_t beg = r->tok.beg;
    if (read_take(r, '#'))
        return read_layout(r, beg);
    if (read_take_word(r, "loc"))
        return read_loc(r);
    if (read_take_word(r, "kernel"))
        return read_func(r, FUNC_KERNEL, beg);
    if (read_take_word(r, "fn"))
        return read_func(r, FUNC_FN, beg);
    if (read_take_word(r, "host"))
        return read_func(r, FUNC_HOST, beg);
    return expected(r, "'kernel', 'fn', 'host' or 'loc'");
}

/* to the next line that begins something at the top */
static void skip_top(reader *r, uint32_t start)
{
    if (r->tok.beg == start)
        read_next(r);
    while (r->tok.kind != TOK_END &&
           !(r->tok.first && (read_is(r, '#') || read_is_word(r, "kernel") || read_is_word(r, "fn") ||
                              read_is_word(r, "host") || read_is_word(r, "loc"))))
        read_next(r);
    r->braces = 0;
}

static void read_file(reader *r)
{
    read_next(r);
    if (!read_header(r))
        return;
    while (r->tok.kind != TOK_END) {
        uint32_t start = r->tok.beg;
        if (!read_top(r))
            skip_top(r, start);
    }
}

/* the reader's own lists go when it is done, also when memory ends and the caller's arena jumps away */
static void read_guarded(reader *r)
{
    jmp_buf *outer = r->a->oom, here;
    arena_init(r->s, 0);
    if (outer) {
        if (setjmp(here)) {
            arena_fini(r->s);
            r->a->oom = outer;
            longjmp(*outer, 1);
        }
        r->a->oom = &here;
        r->s->oom = &here;
    }
    read_file(r);
    arena_fini(r->s);
    r->a->oom = outer;
}

ir_module *ir_read(arena *a, diags *d, str path, str text)
{
    arena lists;
    reader r = {.a = a, .s = &lists, .d = d, .text = text, .first_error = d->errors};
    r.file = diags_add_file(d, path, text);
    if (text.n > READ_MAX_TEXT) {
        read_error(&r, read_span(&r, 0, 0), "IR text of more than %zu bytes", READ_MAX_TEXT);
        return NULL;
    }
    r.m = ir_module_new(a);
    r.m->stage = TIR;
    r.names = intern_new(a);
    r.func_names = intern_new(a);
    map_init(&r.locs, a);
    map_init(&r.layouts, a);
    read_guarded(&r);
    if (read_failed(&r) || !ir_verify_text(r.m, d, r.funcs.at))
        return NULL;
    return r.m;
}
