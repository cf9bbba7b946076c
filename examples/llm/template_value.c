/* template_value.c: values as Python has them: what is true, equal, before another, and how they print. */
#include "examples/llm/template_parts.h"
#include "examples/llm/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PRINT_DEPTH 32

value v_str(str s)
{
    return (value){.kind = V_STR, .s = s};
}

value v_int(int64_t i)
{
    return (value){.kind = V_INT, .i = i};
}

value v_bool(bool b)
{
    return (value){.kind = V_BOOL, .i = b};
}

value v_float(double f)
{
    return (value){.kind = V_FLOAT, .f = f};
}

value v_none(void)
{
    return (value){.kind = V_NONE};
}

value v_undefined(str name)
{
    return (value){.kind = V_UNDEFINED, .s = name};
}

value v_list(tpl_run *r, uint32_t room)
{
    value v = {.kind = V_LIST, .list = ARENA_NEW(&r->w->a, value_list)};
    vec_reserve(&r->w->a, &v.list->items, room);
    return v;
}

value v_dict(tpl_run *r)
{
    return (value){.kind = V_DICT, .dict = ARENA_NEW(&r->w->a, value_dict)};
}

void v_push(tpl_run *r, value list, value item)
{
    vec_push(&r->w->a, &list.list->items, item);
}

static bool is_number(value v)
{
    return v.kind == V_INT || v.kind == V_BOOL || v.kind == V_FLOAT;
}

static double number(value v)
{
    return v.kind == V_FLOAT ? v.f : (double)v.i;
}

/* keys are strings or numbers */
static bool same_key(value a, value b)
{
    if (a.kind == V_STR || b.kind == V_STR)
        return a.kind == b.kind && str_eq(a.s, b.s);
    if (is_number(a) && is_number(b))
        return number(a) == number(b);
    return a.kind == V_NONE && b.kind == V_NONE;
}

const value *v_get(value dict, value key)
{
    for (uint32_t i = 0; i < dict.dict->pairs.n; i++)
        if (same_key(dict.dict->pairs.at[i].key, key))
            return &dict.dict->pairs.at[i].val;
    return NULL;
}

void v_set(tpl_run *r, value dict, value key, value val)
{
    value *there = (value *)v_get(dict, key);
    value_pair p = {key, val};
    if (there)
        *there = val;
    else
        vec_push(&r->w->a, &dict.dict->pairs, p);
}

bool v_true(value v)
{
    switch (v.kind) {
    case V_UNDEFINED:
    case V_NONE:
        return false;
    case V_BOOL:
    case V_INT:
        return v.i != 0;
    case V_FLOAT:
        return v.f != 0;
    case V_STR:
        return v.s.n != 0;
    case V_LIST:
        return v.list->items.n != 0;
    case V_DICT:
        return v.dict->namespace || v.dict->pairs.n != 0;
    case V_FUNC:
        return true;
    }
    return false;
}

bool v_equal(tpl_run *r, value a, value b)
{
    tpl_step(r, 1, 0);
    if (is_number(a) && is_number(b))
        return a.kind != V_FLOAT && b.kind != V_FLOAT ? a.i == b.i : number(a) == number(b);
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case V_STR:
        return str_eq(a.s, b.s);
    case V_LIST:
        if (a.list->items.n != b.list->items.n || a.list->tuple != b.list->tuple)
            return false;
        for (uint32_t i = 0; i < a.list->items.n; i++)
            if (!v_equal(r, a.list->items.at[i], b.list->items.at[i]))
                return false;
        return true;
    case V_DICT:
        if (a.dict->pairs.n != b.dict->pairs.n)
            return false;
        for (uint32_t i = 0; i < a.dict->pairs.n; i++) {
            const value *other = v_get(b, a.dict->pairs.at[i].key);
            if (!other || !v_equal(r, a.dict->pairs.at[i].val, *other))
                return false;
        }
        return true;
    case V_FUNC:
        return a.func == b.func;
    default: /* undefined, none: equal to their own kind */
        return true;
    }
}

int v_compare(tpl_run *r, value a, value b, uint32_t at)
{
    tpl_step(r, 1, at);
    if (is_number(a) && is_number(b)) {
        if (a.kind != V_FLOAT && b.kind != V_FLOAT)
            return (a.i > b.i) - (a.i < b.i);
        double x = number(a), y = number(b);
        return isnan(x) || isnan(y) ? 2 : (x > y) - (x < y); /* 2: neither way */
    }
    if (a.kind == V_STR && b.kind == V_STR)
        return (str_cmp(a.s, b.s) > 0) - (str_cmp(a.s, b.s) < 0);
    if (a.kind == V_LIST && b.kind == V_LIST) {
        uint32_t n = a.list->items.n, m = b.list->items.n;
        for (uint32_t i = 0; i < n && i < m; i++)
            if (!v_equal(r, a.list->items.at[i], b.list->items.at[i]))
                return v_compare(r, a.list->items.at[i], b.list->items.at[i], at);
        return (n > m) - (n < m);
    }
    tpl_fault(r->w, at, "%s and %s have no order", v_kind_name(a), v_kind_name(b));
}

const char *v_kind_name(value v)
{
    static const char *names[] = {[V_UNDEFINED] = "undefined", [V_NONE] = "none",     [V_BOOL] = "a bool",
                                  [V_INT] = "an integer",      [V_FLOAT] = "a float", [V_STR] = "a string",
                                  [V_LIST] = "a list",         [V_DICT] = "a dict",   [V_FUNC] = "a function"};
    return names[v.kind];
}

/* the shortest digits that read back, in Python's form */
void v_float_text(double f, strbuf *out)
{
    char s[40];
    if (isnan(f) || isinf(f)) {
        sb_puts(out, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    int digits = 1;
    for (; digits < 17; digits++) {
        (void)snprintf(s, sizeof s, "%.*e", digits - 1, f);
        if (strtod(s, NULL) == f)
            break;
    }
    (void)snprintf(s, sizeof s, "%.*e", digits - 1, f);
    int power = atoi(strchr(s, 'e') + 1);
    if (power < -4 || power >= 16) {
        (void)snprintf(s, sizeof s, "%.*e", digits - 1, f);
        sb_puts(out, s);
        return;
    }
    int places = digits - 1 - power;
    (void)snprintf(s, sizeof s, "%.*f", places > 0 ? places : 1, f);
    sb_puts(out, s);
}

static void put_repr(str s, strbuf *out)
{
    char quote = memchr(s.p, '\'', s.n) && !memchr(s.p, '"', s.n) ? '"' : '\'';
    sb_putc(out, quote);
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c == '\n')
            sb_puts(out, "\\n");
        else if (c == '\r')
            sb_puts(out, "\\r");
        else if (c == '\t')
            sb_puts(out, "\\t");
        else if (c == '\\' || c == (uint8_t)quote)
            sb_putf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            sb_putf(out, "\\x%02x", c);
        else
            sb_putc(out, (char)c);
    }
    sb_putc(out, quote);
}

static void print(tpl_run *r, value v, bool inner, uint32_t depth, strbuf *out);

static void print_list(tpl_run *r, const value_list *l, uint32_t depth, strbuf *out)
{
    sb_putc(out, l->tuple ? '(' : '[');
    for (uint32_t i = 0; i < l->items.n; i++) {
        sb_puts(out, i ? ", " : "");
        print(r, l->items.at[i], true, depth, out);
    }
    sb_puts(out, l->tuple && l->items.n == 1 ? "," : "");
    sb_putc(out, l->tuple ? ')' : ']');
}

static void print_dict(tpl_run *r, const value_dict *d, uint32_t depth, strbuf *out)
{
    sb_putc(out, '{');
    for (uint32_t i = 0; i < d->pairs.n; i++) {
        sb_puts(out, i ? ", " : "");
        print(r, d->pairs.at[i].key, true, depth, out);
        sb_puts(out, ": ");
        print(r, d->pairs.at[i].val, true, depth, out);
    }
    sb_putc(out, '}');
}

static void print(tpl_run *r, value v, bool inner, uint32_t depth, strbuf *out)
{
    tpl_step(r, 1, 0);
    if (depth > MAX_PRINT_DEPTH) { /* a namespace may hold itself */
        sb_puts(out, "...");
        return;
    }
    switch (v.kind) {
    case V_UNDEFINED:
        sb_puts(out, inner ? "Undefined" : "");
        break;
    case V_NONE:
        sb_puts(out, "None");
        break;
    case V_BOOL:
        sb_puts(out, v.i ? "True" : "False");
        break;
    case V_INT:
        sb_putf(out, "%lld", (long long)v.i);
        break;
    case V_FLOAT:
        v_float_text(v.f, out);
        break;
    case V_STR:
        if (inner)
            put_repr(v.s, out);
        else
            sb_put(out, v.s);
        break;
    case V_LIST:
        print_list(r, v.list, depth + 1, out);
        break;
    case V_DICT:
        print_dict(r, v.dict, depth + 1, out);
        break;
    case V_FUNC:
        sb_putf(out, "<function %s>", v.func->name);
        break;
    }
}

void v_print(tpl_run *r, value v, strbuf *out)
{
    print(r, v, false, 0, out);
}

str v_text(tpl_run *r, value v, uint32_t at)
{
    strbuf b;
    if (v.kind == V_STR)
        return v.s;
    tpl_step(r, 1, at);
    sb_init(&b, &r->w->a);
    v_print(r, v, &b);
    return sb_str(&b);
}

static value characters(tpl_run *r, str s)
{
    value out = v_list(r, 0);
    for (size_t i = 0; i < s.n;) {
        utf8_char c = utf8_at(s, i);
        uint32_t n = c.state == UTF8_WHOLE ? c.n : 1;
        v_push(r, out, v_str((str){s.p + i, n}));
        i += n;
    }
    return out;
}

value v_items(tpl_run *r, value v, uint32_t at)
{
    value out;
    switch (v.kind) {
    case V_LIST:
        tpl_step(r, v.list->items.n, at);
        return v;
    case V_UNDEFINED:
        return v_list(r, 0);
    case V_STR:
        tpl_step(r, v.s.n, at);
        return characters(r, v.s);
    case V_DICT:
        tpl_step(r, v.dict->pairs.n, at);
        out = v_list(r, v.dict->pairs.n);
        for (uint32_t i = 0; i < v.dict->pairs.n; i++)
            v_push(r, out, v.dict->pairs.at[i].key);
        return out;
    case V_NONE:
    case V_BOOL:
    case V_INT:
    case V_FLOAT:
    case V_FUNC:
        break;
    }
    tpl_fault(r->w, at, "%s can't be iterated", v_kind_name(v));
}

bool v_contains(tpl_run *r, value in, value what, uint32_t at)
{
    if (in.kind == V_STR && what.kind == V_STR)
        return what.s.n == 0 || (in.s.n >= what.s.n && memmem(in.s.p, in.s.n, what.s.p, what.s.n));
    if (in.kind == V_DICT)
        return v_get(in, what) != NULL;
    if (in.kind == V_STR)
        tpl_fault(r->w, at, "%s in a string: expected a string", v_kind_name(what));
    value items = v_items(r, in, at);
    for (uint32_t i = 0; i < items.list->items.n; i++)
        if (v_equal(r, items.list->items.at[i], what))
            return true;
    return false;
}
