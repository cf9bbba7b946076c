/* read_op.c: ops and their regions.
 *
 *   [%r {, %r} =] name [literal] [%a {, %a}] [{key = value, ..}] [: type {, type}] [@loc] [!origin] {region}
 *   region   '{' ['(' %p: type, .. ')'] ops '}'
 *
 * An op is gathered in an op_text first, checked against its row of the table (how many operands, results and regions)
 * and appended only when all of it was sound. What its operands and results mean is the verifier's business.
 *
 * Names are unique in a function. A name whose region has ended stays known, for a better message; a name of an op with
 * a fault is defined as value 0, and an op that uses it is dropped without a word.
 */
#include "compiler/read.h"

#include <string.h>

typedef struct op_text {
    ir_code code;
    uint32_t beg, end; /* the op without its regions */
    VEC(token) results;
    VEC(ir_val) in;
    VEC(ir_attr_pair) attrs;
    VEC(ir_type) types;
    VEC(ir_region) regions;
    bool has_literal;
    token literal;
    ir_loc loc;
    uint32_t origin;
    bool has_origin;
    bool poisoned; /* uses the result of an op with a fault */
} op_text;

/* ---- names ---- */
static read_name *name_of(reader *r, str text)
{
    uint32_t id = intern_id(r->names, text);
    while (r->values.n <= id)
        vec_push(r->a, &r->values, ((read_name){{0}, false, {0, 0, 0}}));
    return &r->values.at[id];
}

void read_define(reader *r, const token *name, ir_val v)
{
    read_name *n = name_of(r, name->text);
    if (n->at.file) {
        read_error(r, read_span(r, name->beg, name->end), "value '%%%.*s' is defined twice", STR_ARG(name->text));
        diag_note_add(r->d, n->at, "first defined here");
        return;
    }
    *n = (read_name){v, false, read_span(r, name->beg, name->end)};
    vec_push(r->a, &r->scope, intern_id(r->names, name->text));
}

void read_end_scope(reader *r, uint32_t mark)
{
    for (uint32_t i = mark; i < r->scope.n; i++)
        r->values.at[r->scope.at[i]].ended = true;
}

/* the value a name stands for; a fault, or 0 for what a fault defined */
static bool use(reader *r, const token *t, ir_val *out)
{
    uint32_t id = intern_find(r->names, t->text);
    const read_name *n = id < r->values.n && r->values.at[id].at.file ? &r->values.at[id] : NULL;
    if (!n) {
        read_error(r, read_span(r, t->beg, t->end), "value '%%%.*s' is not defined before its use", STR_ARG(t->text));
        return false;
    }
    if (n->ended) {
        read_error(r, read_span(r, t->beg, t->end), "value '%%%.*s' is not visible here: its region has ended",
                   STR_ARG(t->text));
        diag_note_add(r->d, n->at, "defined here");
        return false;
    }
    *out = n->val;
    return true;
}

/* ---- attributes ---- */
static bool unknown(reader *r, const char *what, const char *near)
{
    str found = read_found(r);
    if (near)
        read_error(r, read_here(r), "unknown %s %.*s; did you mean '%s'?", what, STR_ARG(found), near);
    else
        read_error(r, read_here(r), "unknown %s %.*s", what, STR_ARG(found));
    return false;
}

static bool read_ints(reader *r, ir_attr *out)
{
    VEC(int64_t) v = {0};
    if (!read_expect(r, '[', "a list of integers"))
        return false;
    while (!read_is(r, ']')) {
        int64_t x;
        if ((v.n && !read_expect(r, ',', "a list of integers")) || !read_int(r, "an integer", false, &x))
            return false;
        if (v.n == READ_MAX_LIST) {
            read_error(r, read_here(r), "a list of more than %d integers", READ_MAX_LIST);
            return false;
        }
        vec_push(r->s, &v, x);
    }
    read_next(r);
    *out = ir_attr_ints(r->m, v.at, v.n);
    return true;
}

static bool read_enum(reader *r, ir_key key, ir_attr *out)
{
    const char *names[16];
    uint32_t n = 0;
    int64_t x;
    if (r->tok.kind == TOK_NUMBER) {
        if (!read_int(r, "the number of an enumerated value", false, &x))
            return false;
        *out = ir_attr_int(r->m, x);
        return true;
    }
    x = r->tok.kind == TOK_WORD ? ir_enum_value(key, r->tok.text) : -1;
    if (x < 0) {
        while (n < COUNTOF(names) && (names[n] = ir_enum_name(key, n)))
            n++;
        return unknown(r, str_cstr(r->s, str_fmt(r->s, "value of attribute '%s',", ir_keys[key].name)),
                       read_nearest(r->tok.text, names, n));
    }
    *out = ir_attr_int(r->m, x);
    read_next(r);
    return true;
}

static bool read_attr_value(reader *r, ir_key key, ir_attr *out)
{
    int64_t x;
    switch (ir_keys[key].kind) {
    case AK_INT:
        if (!read_int(r, "an integer", key == KEY_bits, &x))
            return false;
        *out = ir_attr_int(r->m, x);
        return true;
    case AK_INTS:
        return read_ints(r, out);
    case AK_ENUM:
        return read_enum(r, key, out);
    case AK_STR:
        if (r->tok.kind != TOK_STRING) {
            str found = read_found(r);
            read_error(r, read_here(r), "expected a string, found %.*s", STR_ARG(found));
            return false;
        }
        *out = ir_attr_str(r->m, r->tok.text);
        read_next(r);
        return true;
    }
    return false;
}

static bool read_key(reader *r, const op_text *t, ir_key *out)
{
    *out = r->tok.kind == TOK_WORD ? ir_key_by_name(r->tok.text) : KEY_NONE;
    if (*out == KEY_NONE) {
        const char *names[IR_KEY_COUNT];
        for (int i = 0; i < IR_KEY_COUNT; i++)
            names[i] = ir_keys[i].name;
        return unknown(r, "attribute", r->tok.kind == TOK_WORD ? read_nearest(r->tok.text, names, IR_KEY_COUNT) : NULL);
    }
    for (uint32_t i = 0; i < t->attrs.n; i++)
        if (t->attrs.at[i].key == *out) {
            read_error(r, read_here(r), "attribute '%s' is given twice", ir_keys[*out].name);
            return false;
        }
    read_next(r);
    return true;
}

/* behind a fault in attributes: past their '}', or to the next line where that is missing */
static bool skip_attrs(reader *r)
{
    while (r->tok.kind != TOK_END && !r->tok.first && !read_is(r, '}'))
        read_next(r);
    if (!read_take(r, '}'))
        r->braces--;
    return false;
}

static bool read_attrs(reader *r, op_text *t)
{
    read_next(r);
    do {
        ir_attr_pair p;
        if (!read_key(r, t, &p.key) || !read_expect(r, '=', "an attribute") || !read_attr_value(r, p.key, &p.val))
            return skip_attrs(r);
        vec_push(r->s, &t->attrs, p);
    } while (read_take(r, ','));
    return read_expect(r, '}', "the attributes of an op") || skip_attrs(r);
}

/* ---- the parts of an op ---- */
static bool too_many(reader *r, uint32_t n, const char *what)
{
    if (n < READ_MAX_LIST)
        return false;
    read_error(r, read_here(r), "more than %d %s", READ_MAX_LIST, what);
    return true;
}

static bool expect_value(reader *r, const char *where)
{
    if (r->tok.kind == TOK_VALUE)
        return true;
    str found = read_found(r);
    read_error(r, read_here(r), "expected a value in %s, found %.*s", where, STR_ARG(found));
    return false;
}

static bool read_results(reader *r, op_text *t)
{
    if (r->tok.kind != TOK_VALUE)
        return true;
    do {
        if (!expect_value(r, "the results of an op") || too_many(r, t->results.n, "results"))
            return false;
        vec_push(r->s, &t->results, r->tok);
        read_next(r);
    } while (read_take(r, ','));
    return read_expect(r, '=', "an op with results");
}

static bool read_code(reader *r, op_text *t)
{
    const char *names[IR_CODE_COUNT];
    if (r->tok.kind != TOK_WORD) {
        str found = read_found(r);
        read_error(r, read_here(r), "expected an op, found %.*s", STR_ARG(found));
        return false;
    }
    t->code = ir_code_by_name(r->tok.text);
    if (t->code == IR_NOP) {
        names[0] = NULL;
        for (int i = 1; i < IR_CODE_COUNT; i++)
            names[i] = ir_ops[i].name;
        return unknown(r, "op", read_nearest(r->tok.text, names, IR_CODE_COUNT));
    }
    read_next(r);
    return true;
}

static bool read_operands(reader *r, op_text *t)
{
    bool ok = true;
    if (r->tok.kind != TOK_VALUE || r->tok.first)
        return true;
    do {
        ir_val v = {0};
        if (!expect_value(r, "the operands of an op") || too_many(r, t->in.n, "operands"))
            return false;
        ok &= use(r, &r->tok, &v);
        t->poisoned |= v.id == 0;
        vec_push(r->s, &t->in, v);
        read_next(r);
    } while (read_take(r, ','));
    return ok;
}

static bool read_types(reader *r, op_text *t)
{
    bool ok = true;
    if (!read_take(r, ':'))
        return true;
    do {
        ir_type y = {0};
        if (too_many(r, t->types.n, "types"))
            return false;
        ok &= read_type(r, &y);
        vec_push(r->s, &t->types, y);
    } while (read_take(r, ','));
    return ok;
}

bool read_loc_use(reader *r, ir_loc *out)
{
    bool negative;
    uint64_t n;
    uint32_t id;
    out->id = 0;
    if (r->tok.kind != TOK_LOC)
        return true;
    if (!read_digits(r->tok.text, &negative, &n) || !map_get(&r->locs, n, &id)) {
        str found = read_found(r);
        read_error(r, read_here(r), "location %.*s is not defined", STR_ARG(found));
        return false;
    }
    out->id = id;
    read_next(r);
    return true;
}

bool read_origin(reader *r, const char *what, uint32_t *out)
{
    int64_t x;
    uint32_t beg = r->tok.beg;
    if (!read_int(r, what, false, &x))
        return false;
    if (x < 0 || x > INT32_MAX) {
        read_error(r, read_span(r, beg, r->last), "expected %s from 0 to 2147483647", what);
        return false;
    }
    *out = (uint32_t)x;
    return true;
}

/* all of an op before its regions */
static bool read_head(reader *r, op_text *t)
{
    if (!read_results(r, t) || !read_code(r, t))
        return false;
    if (t->code == IR_OP_const && !read_is(r, '{')) {
        t->has_literal = true;
        if (!read_literal(r, &t->literal))
            return false;
    }
    if (!read_operands(r, t) || (read_is_attrs(r) && !read_attrs(r, t)) || !read_types(r, t) ||
        !read_loc_use(r, &t->loc))
        return false;
    t->has_origin = read_take(r, '!');
    return !t->has_origin || read_origin(r, "an origin", &t->origin);
}

/* ---- regions ---- */
static bool read_params(reader *r, ir_region region)
{
    do {
        token name = r->tok;
        ir_type y;
        if (!expect_value(r, "the parameters of a region") || too_many(r, ir_nparams(r->f, region), "parameters"))
            return false;
        read_next(r);
        if (!read_expect(r, ':', "the parameters of a region"))
            return false;
        if (read_type(r, &y))
            read_define(r, &name, ir_region_param(r->f, region, y));
        else
            read_define(r, &name, (ir_val){0});
    } while (read_take(r, ','));
    return read_expect(r, ')', "the parameters of a region");
}

static bool read_region(reader *r, op_text *t)
{
    ir_region region = ir_region_new(r->f);
    uint32_t scope = r->scope.n, open = r->tok.beg;
    int braces = r->braces;
    if (r->depth == IR_MAX_NEST) {
        read_error(r, read_here(r), "regions are nested more than %d deep", IR_MAX_NEST);
        return false;
    }
    read_next(r);
    r->depth++;
    ir_push(&r->b, region);
    if (read_take(r, '(') && !read_params(r, region))
        read_skip(r, r->last, braces + 1);
    read_ops(r, open);
    ir_pop(&r->b);
    r->depth--;
    read_end_scope(r, scope);
    vec_push(r->s, &t->regions, region);
    return true;
}

/* ---- whole ops ---- */
static bool is_count(reader *r, const op_text *t, int want, uint32_t found, const char *what)
{
    if (want == VAR || (uint32_t)want == found)
        return true;
    read_error(r, read_span(r, t->beg, t->end), "op '%s' has %d %s%s, found %u", ir_ops[t->code].name, want, what,
               want == 1 ? "" : "s", found);
    return false;
}

static bool is_complete(reader *r, const op_text *t)
{
    const ir_op_info *info = &ir_ops[t->code];
    if (t->types.n != t->results.n) {
        read_error(r, read_span(r, t->beg, t->end), "op '%s' has %u result%s and %u type%s", info->name, t->results.n,
                   t->results.n == 1 ? "" : "s", t->types.n, t->types.n == 1 ? "" : "s");
        return false;
    }
    return is_count(r, t, info->nin, t->in.n, "operand") && is_count(r, t, info->nout, t->types.n, "result") &&
           is_count(r, t, info->nregions, t->regions.n, "region");
}

/* the literal of a constant becomes its attribute */
static bool set_literal(reader *r, op_text *t)
{
    uint64_t bits;
    dtype dt;
    if (!t->has_literal)
        return true;
    dt = t->types.n == 1 ? ir_type_dt(r->m, t->types.at[0]) : DT_NONE;
    for (uint32_t i = 0; i < t->attrs.n; i++)
        if (t->attrs.at[i].key == KEY_bits) {
            read_error(r, read_span(r, t->beg, t->end), "op 'const' has a value and an attribute 'bits'");
            return false;
        }
    if (dt == DT_NONE) {
        read_error(r, read_span(r, t->beg, t->end), "op 'const' makes a number or a tile of numbers");
        return false;
    }
    if (!read_literal_bits(r, &t->literal, dt, &bits))
        return false;
    vec_push(r->s, &t->attrs, ((ir_attr_pair){KEY_bits, ir_attr_int(r->m, (int64_t)bits)}));
    return true;
}

static void append(reader *r, op_text *t, ir_val *out)
{
    ir_desc d = {.code = t->code,
                 .nin = t->in.n,
                 .nout = t->types.n,
                 .nattr = t->attrs.n,
                 .nregions = t->regions.n,
                 .in = t->in.at,
                 .types = t->types.at,
                 .attrs = t->attrs.at,
                 .regions = t->regions.at};
    ir_op o;
    r->b.loc = t->loc;
    o = ir_emit(&r->b, &d, out);
    r->f->ops.at[o.id].origin = r->origin = t->has_origin ? t->origin : r->origin + 1;
    while (r->op_spans.n <= o.id)
        vec_push(r->a, &r->op_spans, ((span){0, 0, 0}));
    r->op_spans.at[o.id] = read_span(r, t->beg, t->end);
}

static void read_op(reader *r)
{
    arena_pos mark = arena_mark(r->s);
    op_text t = {.beg = r->tok.beg};
    int braces = r->braces;
    bool ok = read_head(r, &t);
    t.end = r->last > t.beg ? r->last : r->tok.end;
    while (ok && read_is(r, '{'))
        ok = read_region(r, &t);
    if (!ok)
        read_skip(r, t.beg, braces);
    ok = ok && !t.poisoned && is_complete(r, &t) && set_literal(r, &t);
    ir_val *out = ARENA_ARRAY(r->s, ir_val, t.results.n + 1);
    if (ok)
        append(r, &t, out);
    for (uint32_t i = 0; i < t.results.n; i++)
        read_define(r, &t.results.at[i], out[i]);
    arena_reset(r->s, mark);
}

void read_skip(reader *r, uint32_t start, int braces)
{
    if (r->tok.beg == start)
        read_next(r);
    while (r->tok.kind != TOK_END && (r->braces > braces || !(r->tok.first || read_is(r, '}'))))
        read_next(r);
}

void read_ops(reader *r, uint32_t open)
{
    while (!read_is(r, '}') && r->tok.kind != TOK_END)
        read_op(r);
    if (read_take(r, '}'))
        return;
    if (r->d->errors - r->first_error < r->d->max_errors)
        read_error(r, read_span(r, open, open + 1), "this '{' is never closed");
    r->pos = (uint32_t)r->text.n;
}
