/* template_eval.c: expressions -> values.
 *
 * Work is bounded whatever the template asks for: evaluation counts its steps and its depth, and the arena has a limit.
 */
#include "examples/llm/template_parts.h"
#include "examples/llm/utf8.h"

#include <math.h>
#include <string.h>

#define MAX_DEPTH 400
#define MAX_STEPS 20000000u
#define MAX_TEXT (64u << 20)

void tpl_step(tpl_run *r, uint64_t n, uint32_t at)
{
    r->steps += n;
    if (r->steps > MAX_STEPS)
        tpl_fault(r->w, at, "takes more than %u steps", MAX_STEPS);
}

/* ---- arguments ---- */
const value *tpl_arg(const call_args *c, uint32_t i, const char *name)
{
    if (i < c->n)
        return &c->at[i];
    for (uint32_t k = 0; k < c->named; k++)
        if (str_eq(c->names[k], str_of(name)))
            return &c->at[c->n + k];
    return NULL;
}

int64_t tpl_arg_int(tpl_run *r, const call_args *c, uint32_t i, const char *name, int64_t def)
{
    const value *v = tpl_arg(c, i, name);
    if (!v || v->kind == V_NONE)
        return def;
    if (v->kind != V_INT && v->kind != V_BOOL)
        tpl_fault(r->w, c->place, "argument '%s': expected an integer, found %s", name, v_kind_name(*v));
    return v->i;
}

static call_args arguments(tpl_run *r, const node *n)
{
    call_args c = {.place = n->at};
    value *at = ARENA_ARRAY(&r->w->a, value, n->items.n);
    str *names = ARENA_ARRAY(&r->w->a, str, n->items.n);
    for (uint32_t i = 0; i < n->items.n; i++) {
        const node *item = n->items.at[i];
        bool keyword = item->kind == ND_KEYWORD;
        at[i] = tpl_eval(r, keyword ? item->a : item);
        if (keyword)
            names[c.named++] = item->s;
        else
            c.n++;
    }
    c.at = at;
    c.names = names;
    return c;
}

value tpl_call(tpl_run *r, value f, const call_args *args)
{
    if (f.kind == V_UNDEFINED)
        tpl_fault(r->w, args->place, "'%.*s' is not defined, and is called", STR_ARG(f.s));
    if (f.kind != V_FUNC)
        tpl_fault(r->w, args->place, "%s is called", v_kind_name(f));
    return f.func->macro ? tpl_call_macro(r, f.func->macro, args) : f.func->call(r, f.func->self, args);
}

/* ---- names, attributes, indices ---- */
static value lookup(tpl_run *r, str name)
{
    for (const tpl_scope *s = r->scope; s; s = s->up)
        for (uint32_t i = s->names.n; i-- > 0;)
            if (str_eq(s->names.at[i].name, name))
                return s->names.at[i].v;
    return v_undefined(name);
}

value tpl_attr(tpl_run *r, value v, str name)
{
    value out;
    const value *item = v.kind == V_DICT && v.dict->namespace ? v_get(v, v_str(name)) : NULL;
    if (item)
        return *item;
    if (tpl_method(r, v, name, &out))
        return out;
    item = v.kind == V_DICT ? v_get(v, v_str(name)) : NULL;
    return item ? *item : v_undefined(name);
}

static value attribute(tpl_run *r, const node *n)
{
    value v = tpl_eval(r, n->a);
    if (v.kind == V_UNDEFINED)
        tpl_fault(r->w, n->at, "'%.*s' is not defined, so it has no '%.*s'", STR_ARG(v.s), STR_ARG(n->s));
    return tpl_attr(r, v, n->s);
}

/* the character at index i of a string that has more than i of them */
static str char_at(str s, int64_t i)
{
    size_t at = 0;
    for (;; i--) {
        utf8_char c = utf8_at(s, at);
        uint32_t n = c.state == UTF8_WHOLE ? c.n : 1;
        if (i == 0)
            return (str){s.p + at, n};
        at += n;
    }
}

static value element(tpl_run *r, const node *n)
{
    value v = tpl_eval(r, n->a), i = tpl_eval(r, n->b);
    if (v.kind == V_UNDEFINED)
        tpl_fault(r->w, n->at, "'%.*s' is not defined, and is indexed", STR_ARG(v.s));
    if (v.kind == V_DICT) {
        const value *item = v_get(v, i);
        if (item)
            return *item;
    }
    if ((v.kind == V_LIST || v.kind == V_STR) && (i.kind == V_INT || i.kind == V_BOOL)) {
        int64_t len = v.kind == V_LIST ? v.list->items.n : (int64_t)utf8_count(v.s), k = i.i < 0 ? i.i + len : i.i;
        if (v.kind == V_STR)
            tpl_step(r, v.s.n / 8, n->at);
        if (k < 0 || k >= len)
            return v_undefined(S("index"));
        return v.kind == V_LIST ? v.list->items.at[k] : v_str(char_at(v.s, k));
    }
    return i.kind == V_STR ? tpl_attr(r, v, i.s) : v_undefined(S("index"));
}

/* a bound of a slice: absent or none, an integer; negative counts from the end */
static int64_t bound(tpl_run *r, const node *n, int64_t absent, int64_t len, int64_t low, int64_t high)
{
    value v = n ? tpl_eval(r, n) : v_none();
    if (v.kind == V_NONE)
        return absent;
    if (v.kind != V_INT && v.kind != V_BOOL)
        tpl_fault(r->w, n->at, "a slice by %s: expected an integer", v_kind_name(v));
    int64_t i = v.i < 0 ? (v.i < -len ? low : v.i + len) : v.i;
    return i < low ? low : i > high ? high : i;
}

static value slice(tpl_run *r, const node *n)
{
    value v = tpl_eval(r, n->a), out;
    bool text = v.kind == V_STR;
    if (v.kind != V_LIST && !text)
        tpl_fault(r->w, n->at, "a slice of %s: expected a list or a string", v_kind_name(v));
    value items = v_items(r, v, n->at);
    int64_t len = items.list->items.n, step = 1;
    value by = n->items.at[2] ? tpl_eval(r, n->items.at[2]) : v_none();
    if (by.kind != V_NONE && by.kind != V_INT && by.kind != V_BOOL)
        tpl_fault(r->w, n->at, "a slice in steps of %s: expected an integer", v_kind_name(by));
    if (by.kind != V_NONE)
        step = by.i > INT32_MAX ? INT32_MAX : by.i < -INT32_MAX ? -INT32_MAX : by.i;
    if (step == 0)
        tpl_fault(r->w, n->at, "a slice in steps of 0");
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? len : len - 1;
    int64_t from = bound(r, n->items.at[0], step > 0 ? 0 : len - 1, len, low, high);
    int64_t to = bound(r, n->items.at[1], step > 0 ? len : -1, len, low, high);
    strbuf b;
    sb_init(&b, &r->w->a);
    out = v_list(r, 0);
    out.list->tuple = !text && v.list->tuple;
    for (int64_t i = from; step > 0 ? i < to : i > to; i += step) {
        if (text)
            sb_put(&b, items.list->items.at[i].s);
        else
            v_push(r, out, items.list->items.at[i]);
    }
    return text ? v_str(sb_str(&b)) : out;
}

/* ---- operators ---- */
static bool is_number(value v)
{
    return v.kind == V_INT || v.kind == V_FLOAT || v.kind == V_BOOL;
}

static double number(value v)
{
    return v.kind == V_FLOAT ? v.f : (double)v.i;
}

static value integers(tpl_run *r, const node *n, int64_t a, int64_t b)
{
    int64_t out = 0;
    bool over = false;
    switch (n->s.p[0]) {
    case '+':
        over = __builtin_add_overflow(a, b, &out);
        break;
    case '-':
        over = __builtin_sub_overflow(a, b, &out);
        break;
    case '*':
        over = n->s.n == 1 && __builtin_mul_overflow(a, b, &out);
        if (n->s.n == 2) {
            out = 1;
            for (int64_t i = 0; i < b && !over && out != 0 && (out != 1 || i == 0 || a != 1); i++)
                over = __builtin_mul_overflow(out, a, &out);
        }
        break;
    default: /* "//" and "%": toward minus infinity */
        if (b == 0)
            tpl_fault(r->w, n->at, "division by zero");
        over = a == INT64_MIN && b == -1;
        if (!over) {
            int64_t q = a / b - (a % b != 0 && (a % b < 0) != (b < 0));
            out = n->s.p[0] == '%' ? a - q * b : q;
        }
    }
    if (over)
        tpl_fault(r->w, n->at, "an integer beyond 64 bits");
    return v_int(out);
}

static value floats(tpl_run *r, const node *n, double a, double b)
{
    char op = n->s.p[0];
    if ((op == '/' || op == '%') && b == 0)
        tpl_fault(r->w, n->at, "division by zero");
    if (op == '+')
        return v_float(a + b);
    if (op == '-')
        return v_float(a - b);
    if (op == '*')
        return v_float(n->s.n == 2 ? pow(a, b) : a * b);
    if (op == '%')
        return v_float(a - floor(a / b) * b);
    return v_float(n->s.n == 2 ? floor(a / b) : a / b);
}

static value joined(tpl_run *r, const node *n, str a, str b)
{
    if (a.n + b.n > MAX_TEXT)
        tpl_fault(r->w, n->at, "a string of more than %u bytes", MAX_TEXT);
    tpl_step(r, (a.n + b.n) / 64, n->at);
    char *p = arena_alloc(&r->w->a, a.n + b.n, 1);
    if (a.n)
        memcpy(p, a.p, a.n);
    if (b.n)
        memcpy(p + a.n, b.p, b.n);
    return v_str((str){p, a.n + b.n});
}

static value repeated(tpl_run *r, const node *n, value v, int64_t times)
{
    strbuf b;
    value out = v_list(r, 0);
    uint64_t one = v.kind == V_STR ? v.s.n : v.list->items.n, all;
    if (times <= 0 || one == 0)
        times = 0;
    if (__builtin_mul_overflow(one, (uint64_t)times, &all) || all > MAX_TEXT)
        tpl_fault(r->w, n->at, "more than %u repeated elements", MAX_TEXT);
    tpl_step(r, all, n->at);
    sb_init(&b, &r->w->a);
    for (int64_t i = 0; i < times; i++) {
        if (v.kind == V_STR)
            sb_put(&b, v.s);
        for (uint32_t k = 0; v.kind == V_LIST && k < v.list->items.n; k++)
            v_push(r, out, v.list->items.at[k]);
    }
    return v.kind == V_STR ? v_str(sb_str(&b)) : out;
}

static value sum_of_lists(tpl_run *r, value a, value b)
{
    value out = v_list(r, a.list->items.n + b.list->items.n);
    tpl_step(r, a.list->items.n + b.list->items.n, 0);
    for (uint32_t i = 0; i < a.list->items.n; i++)
        v_push(r, out, a.list->items.at[i]);
    for (uint32_t i = 0; i < b.list->items.n; i++)
        v_push(r, out, b.list->items.at[i]);
    return out;
}

static value binary(tpl_run *r, const node *n)
{
    value a = tpl_eval(r, n->a), b = tpl_eval(r, n->b);
    bool plus = str_eq(n->s, S("+")), times = str_eq(n->s, S("*"));
    if (n->s.p[0] == '~')
        return joined(r, n, v_text(r, a, n->at), v_text(r, b, n->at));
    if (is_number(a) && is_number(b)) {
        bool whole = a.kind != V_FLOAT && b.kind != V_FLOAT && !str_eq(n->s, S("/"));
        if (whole && !(str_eq(n->s, S("**")) && b.i < 0))
            return integers(r, n, a.i, b.i);
        return floats(r, n, number(a), number(b));
    }
    if (plus && a.kind == V_STR && b.kind == V_STR)
        return joined(r, n, a.s, b.s);
    if (plus && a.kind == V_LIST && b.kind == V_LIST)
        return sum_of_lists(r, a, b);
    if (times && (a.kind == V_STR || a.kind == V_LIST) && (b.kind == V_INT || b.kind == V_BOOL))
        return repeated(r, n, a, b.i);
    if (times && (b.kind == V_STR || b.kind == V_LIST) && (a.kind == V_INT || a.kind == V_BOOL))
        return repeated(r, n, b, a.i);
    if (a.kind == V_UNDEFINED || b.kind == V_UNDEFINED)
        tpl_fault(r->w, n->at, "'%.*s' is not defined, as an operand of '%.*s'",
                  STR_ARG(a.kind == V_UNDEFINED ? a.s : b.s), STR_ARG(n->s));
    tpl_fault(r->w, n->at, "'%.*s' between %s and %s", STR_ARG(n->s), v_kind_name(a), v_kind_name(b));
}

static value compare(tpl_run *r, const node *n)
{
    value a = tpl_eval(r, n->a), b = tpl_eval(r, n->b);
    if (str_eq(n->s, S("==")))
        return v_bool(v_equal(r, a, b));
    if (str_eq(n->s, S("!=")))
        return v_bool(!v_equal(r, a, b));
    if (str_eq(n->s, S("in")))
        return v_bool(v_contains(r, b, a, n->at));
    if (str_eq(n->s, S("not in")))
        return v_bool(!v_contains(r, b, a, n->at));
    int c = v_compare(r, a, b, n->at);
    bool equal = n->s.n == 2 && c == 0, unordered = c == 2;
    return v_bool(equal || (n->s.p[0] == '<' ? c < 0 : c > 0 && !unordered));
}

static value sign(tpl_run *r, const node *n)
{
    value v = tpl_eval(r, n->a);
    if (!is_number(v))
        tpl_fault(r->w, n->at, "a sign before %s", v_kind_name(v));
    if (n->kind == ND_POS)
        return v;
    if (v.kind == V_FLOAT)
        return v_float(-v.f);
    if (v.i == INT64_MIN)
        tpl_fault(r->w, n->at, "an integer beyond 64 bits");
    return v_int(-v.i);
}

/* ---- filters and tests ---- */
value tpl_apply(tpl_run *r, const node *n, value on)
{
    value out;
    call_args c;
    if (n->kind != ND_FILTER)
        tpl_fault(r->w, n->at, "expected a filter");
    if (n->a)
        on = tpl_apply(r, n->a, on);
    c = arguments(r, n);
    if (!tpl_filter(r, n->s, on, &c, &out))
        tpl_fault(r->w, n->at, "the filter '%.*s' is not understood", STR_ARG(n->s));
    return out;
}

static value filtered(tpl_run *r, const node *n)
{
    value v = tpl_eval(r, n->a), out;
    call_args c = arguments(r, n);
    if (!tpl_filter(r, n->s, v, &c, &out))
        tpl_fault(r->w, n->at, "the filter '%.*s' is not understood", STR_ARG(n->s));
    return out;
}

static value tested(tpl_run *r, const node *n)
{
    value v = tpl_eval(r, n->a);
    call_args c = arguments(r, n);
    bool out;
    if (!tpl_test(r, n->s, v, &c, &out))
        tpl_fault(r->w, n->at, "the test '%.*s' is not understood", STR_ARG(n->s));
    return v_bool(out != (n->i != 0));
}

static value called(tpl_run *r, const node *n)
{
    value f = tpl_eval(r, n->a);
    call_args c = arguments(r, n);
    return tpl_call(r, f, &c);
}

static value display(tpl_run *r, const node *n)
{
    value out = n->kind == ND_DICT ? v_dict(r) : v_list(r, n->items.n);
    for (uint32_t i = 0; n->kind == ND_DICT && i < n->items.n; i += 2) {
        value key = tpl_eval(r, n->items.at[i]);
        if (key.kind == V_LIST || key.kind == V_DICT || key.kind == V_UNDEFINED || key.kind == V_FUNC)
            tpl_fault(r->w, n->at, "%s as a key", v_kind_name(key));
        v_set(r, out, key, tpl_eval(r, n->items.at[i + 1]));
    }
    for (uint32_t i = 0; n->kind != ND_DICT && i < n->items.n; i++)
        v_push(r, out, tpl_eval(r, n->items.at[i]));
    if (n->kind == ND_TUPLE)
        out.list->tuple = true;
    return out;
}

static value eval(tpl_run *r, const node *n)
{
    value v;
    switch (n->kind) {
    case ND_NONE:
        return v_none();
    case ND_BOOL:
        return v_bool(n->i != 0);
    case ND_INT:
        return v_int(n->i);
    case ND_FLOAT:
        return v_float(n->f);
    case ND_STR:
        return v_str(n->s);
    case ND_NAME:
        return lookup(r, n->s);
    case ND_LIST:
    case ND_TUPLE:
    case ND_DICT:
        return display(r, n);
    case ND_ATTR:
        return attribute(r, n);
    case ND_INDEX:
        return element(r, n);
    case ND_SLICE:
        return slice(r, n);
    case ND_CALL:
        return called(r, n);
    case ND_FILTER:
        return filtered(r, n);
    case ND_TEST:
        return tested(r, n);
    case ND_NEG:
    case ND_POS:
        return sign(r, n);
    case ND_NOT:
        return v_bool(!v_true(tpl_eval(r, n->a)));
    case ND_AND:
        v = tpl_eval(r, n->a);
        return v_true(v) ? tpl_eval(r, n->b) : v;
    case ND_OR:
        v = tpl_eval(r, n->a);
        return v_true(v) ? v : tpl_eval(r, n->b);
    case ND_BINARY:
        return binary(r, n);
    case ND_COMPARE:
        return compare(r, n);
    case ND_COND:
        return v_true(tpl_eval(r, n->a)) ? tpl_eval(r, n->b) : n->c ? tpl_eval(r, n->c) : v_undefined(S("condition"));
    case ND_KEYWORD:
    case ND_TEXT:
    case ND_PRINT:
    case ND_IF:
    case ND_FOR:
    case ND_SET:
    case ND_SET_BLOCK:
    case ND_MACRO:
    case ND_BLOCK:
    case ND_BREAK:
    case ND_CONTINUE:
        break;
    }
    tpl_fault(r->w, n->at, "expected an expression");
}

value tpl_eval(tpl_run *r, const node *n)
{
    tpl_step(r, 1, n->at);
    if (++r->depth > MAX_DEPTH)
        tpl_fault(r->w, n->at, "nested more than %d deep", MAX_DEPTH);
    value v = eval(r, n);
    r->depth--;
    return v;
}
