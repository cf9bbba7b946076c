/* template_lib.c: Jinja's filters and tests, one function each, found by name. */
#include "examples/llm/template_parts.h"
#include "examples/llm/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- filters ---- */
static value f_trim(tpl_run *r, value v, const call_args *c)
{
    return v_str(tpl_strip(v_text(r, v, c->place), tpl_arg(c, 0, "chars"), true, true));
}

static value f_length(tpl_run *r, value v, const call_args *c)
{
    if (v.kind == V_STR)
        return v_int((int64_t)utf8_count(v.s));
    return v_int(v_items(r, v, c->place).list->items.n);
}

static value f_tojson(tpl_run *r, value v, const call_args *c)
{
    const value *ascii = tpl_arg(c, 1, "ensure_ascii"), *sorted = tpl_arg(c, 3, "sort_keys");
    int64_t indent = tpl_arg_int(r, c, 0, "indent", -1);
    strbuf b;
    sb_init(&b, &r->w->a);
    value_json(r, v,
               indent < 0    ? -1
               : indent > 64 ? 64
                             : indent,
               ascii && v_true(*ascii), sorted && v_true(*sorted), &b, c->place);
    return v_str(sb_str(&b));
}

static value f_join(tpl_run *r, value v, const call_args *c)
{
    const value *by = tpl_arg(c, 0, "d"), *attr = tpl_arg(c, 1, "attribute");
    value items = v_items(r, v, c->place);
    str between = by ? v_text(r, *by, c->place) : S("");
    strbuf b;
    sb_init(&b, &r->w->a);
    for (uint32_t i = 0; i < items.list->items.n; i++) {
        value item = items.list->items.at[i];
        if (attr)
            item = tpl_attr(r, item, v_text(r, *attr, c->place));
        if (i)
            sb_put(&b, between);
        tpl_step(r, between.n / 16, c->place);
        sb_put(&b, v_text(r, item, c->place));
    }
    return v_str(sb_str(&b));
}

static value f_default(tpl_run *r, value v, const call_args *c)
{
    const value *other = tpl_arg(c, 0, "default_value"), *falsy = tpl_arg(c, 1, "boolean");
    (void)r;
    if (v.kind == V_UNDEFINED || (falsy && v_true(*falsy) && !v_true(v)))
        return other ? *other : v_str(S(""));
    return v;
}

static value f_upper(tpl_run *r, value v, const call_args *c)
{
    return v_str(tpl_case(r, v_text(r, v, c->place), true));
}

static value f_lower(tpl_run *r, value v, const call_args *c)
{
    return v_str(tpl_case(r, v_text(r, v, c->place), false));
}

static value f_title(tpl_run *r, value v, const call_args *c)
{
    return v_str(tpl_title(r, v_text(r, v, c->place), true));
}

static value f_capitalize(tpl_run *r, value v, const call_args *c)
{
    return v_str(tpl_title(r, v_text(r, v, c->place), false));
}

static value f_replace(tpl_run *r, value v, const call_args *c)
{
    const value *from = tpl_arg(c, 0, "old"), *to = tpl_arg(c, 1, "new");
    if (!from || !to)
        tpl_fault(r->w, c->place, "'replace' takes two arguments");
    return v_str(tpl_replace(r, v_text(r, v, c->place), v_text(r, *from, c->place), v_text(r, *to, c->place),
                             tpl_arg_int(r, c, 2, "count", -1), c->place));
}

static value f_first(tpl_run *r, value v, const call_args *c)
{
    value items = v_items(r, v, c->place);
    return items.list->items.n ? items.list->items.at[0] : v_undefined(S("first"));
}

static value f_last(tpl_run *r, value v, const call_args *c)
{
    value items = v_items(r, v, c->place);
    return items.list->items.n ? vec_last(&items.list->items) : v_undefined(S("last"));
}

static value copied(tpl_run *r, value items)
{
    value out = v_list(r, items.list->items.n);
    for (uint32_t i = 0; i < items.list->items.n; i++)
        v_push(r, out, items.list->items.at[i]);
    return out;
}

static value f_list(tpl_run *r, value v, const call_args *c)
{
    return copied(r, v_items(r, v, c->place));
}

static value f_reverse(tpl_run *r, value v, const call_args *c)
{
    value items = copied(r, v_items(r, v, c->place));
    strbuf b;
    sb_init(&b, &r->w->a);
    for (uint32_t i = 0, k = items.list->items.n; i + 1 < k; i++) {
        value t = items.list->items.at[i];
        items.list->items.at[i] = items.list->items.at[--k];
        items.list->items.at[k] = t;
    }
    for (uint32_t i = 0; v.kind == V_STR && i < items.list->items.n; i++)
        sb_put(&b, items.list->items.at[i].s);
    return v.kind == V_STR ? v_str(sb_str(&b)) : items;
}

static value f_string(tpl_run *r, value v, const call_args *c)
{
    return v_str(v_text(r, v, c->place));
}

static value f_int(tpl_run *r, value v, const call_args *c)
{
    int64_t def = tpl_arg_int(r, c, 0, "default", 0);
    if (v.kind == V_INT || v.kind == V_BOOL)
        return v_int(v.i);
    double f = v.f;
    if (v.kind == V_STR) {
        const char *z = str_cstr(&r->w->a, tpl_strip(v.s, NULL, true, true));
        char *end;
        long long i = strtoll(z, &end, 10);
        if (*z && !*end)
            return v_int(i);
        f = strtod(z, &end);
        if (!*z || *end)
            return v_int(def);
    } else if (v.kind != V_FLOAT) {
        return v_int(def);
    }
    return v_int(fabs(f) < 9e18 ? (int64_t)f : def); /* not for inf and nan either */
}

static value f_float(tpl_run *r, value v, const call_args *c)
{
    const value *def = tpl_arg(c, 0, "default");
    if (v.kind == V_FLOAT)
        return v;
    if (v.kind == V_INT || v.kind == V_BOOL)
        return v_float((double)v.i);
    if (v.kind == V_STR) {
        const char *z = str_cstr(&r->w->a, tpl_strip(v.s, NULL, true, true));
        char *end;
        double f = strtod(z, &end);
        if (*z && !*end)
            return v_float(f);
    }
    return def ? *def : v_float(0);
}

static value f_abs(tpl_run *r, value v, const call_args *c)
{
    if (v.kind == V_FLOAT)
        return v_float(fabs(v.f));
    if ((v.kind != V_INT && v.kind != V_BOOL) || v.i == INT64_MIN)
        tpl_fault(r->w, c->place, "'abs' of %s", v_kind_name(v));
    return v_int(v.i < 0 ? -v.i : v.i);
}

static value pairs_of(tpl_run *r, value v)
{
    value out = v_list(r, v.dict->pairs.n);
    for (uint32_t i = 0; i < v.dict->pairs.n; i++) {
        value pair = v_list(r, 2);
        pair.list->tuple = true;
        v_push(r, pair, v.dict->pairs.at[i].key);
        v_push(r, pair, v.dict->pairs.at[i].val);
        v_push(r, out, pair);
    }
    return out;
}

static value f_items(tpl_run *r, value v, const call_args *c)
{
    if (v.kind == V_UNDEFINED)
        return v_list(r, 0);
    if (v.kind != V_DICT)
        tpl_fault(r->w, c->place, "'items' of %s: expected a dict", v_kind_name(v));
    return pairs_of(r, v);
}

static bool truth_arg(const call_args *c, uint32_t i, const char *name)
{
    const value *v = tpl_arg(c, i, name);
    return v && v_true(*v);
}

/* as sort compares: strings without regard to case unless told */
static value sort_key(tpl_run *r, value v, const value *attr, bool cased, uint32_t at)
{
    if (attr && v.kind == V_LIST && attr->kind == V_INT && attr->i >= 0 && attr->i < v.list->items.n)
        v = v.list->items.at[attr->i];
    else if (attr)
        v = tpl_attr(r, v, v_text(r, *attr, at));
    return v.kind == V_STR && !cased ? v_str(tpl_case(r, v.s, false)) : v;
}

/* by insertion: stable, and lists in templates are short */
static value sorted(tpl_run *r, value items, const value *attr, bool cased, bool backward, uint32_t at)
{
    value out = copied(r, items), keys = v_list(r, items.list->items.n);
    for (uint32_t i = 0; i < items.list->items.n; i++)
        v_push(r, keys, sort_key(r, items.list->items.at[i], attr, cased, at));
    for (uint32_t i = 1; i < out.list->items.n; i++) {
        value v = out.list->items.at[i], key = keys.list->items.at[i];
        uint32_t k = i;
        for (; k > 0; k--) {
            int order = v_compare(r, keys.list->items.at[k - 1], key, at);
            if (backward ? order >= 0 : order <= 0)
                break;
            out.list->items.at[k] = out.list->items.at[k - 1];
            keys.list->items.at[k] = keys.list->items.at[k - 1];
        }
        out.list->items.at[k] = v;
        keys.list->items.at[k] = key;
    }
    return out;
}

static value f_sort(tpl_run *r, value v, const call_args *c)
{
    return sorted(r, v_items(r, v, c->place), tpl_arg(c, 2, "attribute"), truth_arg(c, 1, "case_sensitive"),
                  truth_arg(c, 0, "reverse"), c->place);
}

static value f_dictsort(tpl_run *r, value v, const call_args *c)
{
    const value *by = tpl_arg(c, 1, "by");
    value which = v_int(by && by->kind == V_STR && str_eq(by->s, S("value")));
    return sorted(r, f_items(r, v, c), &which, truth_arg(c, 0, "case_sensitive"), truth_arg(c, 2, "reverse"), c->place);
}

static value f_unique(tpl_run *r, value v, const call_args *c)
{
    value items = v_items(r, v, c->place), out = v_list(r, 0), keys = v_list(r, 0);
    bool cased = truth_arg(c, 0, "case_sensitive");
    const value *attr = tpl_arg(c, 1, "attribute");
    for (uint32_t i = 0; i < items.list->items.n; i++) {
        value key = sort_key(r, items.list->items.at[i], attr, cased, c->place);
        if (v_contains(r, keys, key, c->place))
            continue;
        v_push(r, keys, key);
        v_push(r, out, items.list->items.at[i]);
    }
    return out;
}

static value extreme(tpl_run *r, value v, const call_args *c, int sign)
{
    value items = v_items(r, v, c->place), out = v_undefined(S("no item")), best = out;
    bool cased = truth_arg(c, 0, "case_sensitive");
    for (uint32_t i = 0; i < items.list->items.n; i++) {
        value key = sort_key(r, items.list->items.at[i], tpl_arg(c, 1, "attribute"), cased, c->place);
        if (i == 0 || v_compare(r, key, best, c->place) == sign) {
            best = key;
            out = items.list->items.at[i];
        }
    }
    return out;
}

static value f_min(tpl_run *r, value v, const call_args *c)
{
    return extreme(r, v, c, -1);
}

static value f_max(tpl_run *r, value v, const call_args *c)
{
    return extreme(r, v, c, 1);
}

static value f_escape(tpl_run *r, value v, const call_args *c)
{
    str s = v_text(r, v, c->place);
    strbuf b;
    sb_init(&b, &r->w->a);
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        const char *as = ch == '&' ? "&amp;" : ch == '<' ? "&lt;" : ch == '>' ? "&gt;" : ch == '"' ? "&#34;" : "&#39;";
        if (ch && strchr("&<>\"'", ch))
            sb_puts(&b, as);
        else
            sb_putc(&b, ch);
    }
    return v_str(sb_str(&b));
}

static value f_indent(tpl_run *r, value v, const call_args *c)
{
    const value *by = tpl_arg(c, 0, "width");
    bool first = truth_arg(c, 1, "first"), blank = truth_arg(c, 2, "blank");
    str s = v_text(r, v, c->place);
    int64_t width = by && by->kind == V_STR ? 0 : tpl_arg_int(r, c, 0, "width", 4);
    strbuf pad, b;
    sb_init(&pad, &r->w->a);
    sb_init(&b, &r->w->a);
    if (by && by->kind == V_STR)
        sb_put(&pad, by->s);
    for (int64_t i = 0; i < width && i < 1000; i++)
        sb_putc(&pad, ' ');
    for (size_t i = 0, line = 0; i <= s.n; i++) {
        bool start = i == line, empty = i == s.n || s.p[i] == '\n';
        if (start && (line ? blank || !empty : first)) {
            tpl_step(r, pad.n, c->place);
            sb_put(&b, sb_str(&pad));
        }
        if (i < s.n)
            sb_putc(&b, s.p[i]);
        if (i < s.n && s.p[i] == '\n')
            line = i + 1;
    }
    return v_str(sb_str(&b));
}

static value f_round(tpl_run *r, value v, const call_args *c)
{
    const value *how = tpl_arg(c, 1, "method");
    int64_t places = tpl_arg_int(r, c, 0, "precision", 0);
    double x = v.kind == V_FLOAT ? v.f : (double)v.i, unit = pow(10, (double)places);
    if (v.kind != V_FLOAT && v.kind != V_INT && v.kind != V_BOOL)
        tpl_fault(r->w, c->place, "'round' of %s", v_kind_name(v));
    str method = how ? v_text(r, *how, c->place) : S("common");
    x *= unit;
    x = str_eq(method, S("ceil")) ? ceil(x) : str_eq(method, S("floor")) ? floor(x) : nearbyint(x);
    return v_float(x / unit);
}

static value f_sum(tpl_run *r, value v, const call_args *c)
{
    const value *attr = tpl_arg(c, 0, "attribute"), *start = tpl_arg(c, 1, "start");
    value items = v_items(r, v, c->place), out = start ? *start : v_int(0);
    for (uint32_t i = 0; i < items.list->items.n; i++) {
        value item = items.list->items.at[i];
        if (attr && attr->kind != V_NONE)
            item = tpl_attr(r, item, v_text(r, *attr, c->place));
        if (out.kind == V_INT && (item.kind == V_INT || item.kind == V_BOOL)) {
            if (__builtin_add_overflow(out.i, item.i, &out.i))
                tpl_fault(r->w, c->place, "an integer beyond 64 bits");
        } else if ((out.kind == V_INT || out.kind == V_FLOAT) && (item.kind == V_INT || item.kind == V_FLOAT)) {
            out = v_float((out.kind == V_INT ? (double)out.i : out.f) + (item.kind == V_INT ? (double)item.i : item.f));
        } else {
            tpl_fault(r->w, c->place, "'sum' of %s", v_kind_name(item));
        }
    }
    return out;
}

static call_args rest_of(const call_args *c, uint32_t from)
{
    call_args rest = *c;
    if (from > c->n)
        from = c->n;
    rest.at += from;
    rest.n -= from;
    return rest;
}

static str name_arg(tpl_run *r, const call_args *c, uint32_t i, const char *what)
{
    if (i >= c->n || c->at[i].kind != V_STR)
        tpl_fault(r->w, c->place, "'%s': expected a name as argument %u", what, i + 1);
    return c->at[i].s;
}

static value f_map(tpl_run *r, value v, const call_args *c)
{
    value items = v_items(r, v, c->place), out = v_list(r, items.list->items.n), made;
    const value *attr = c->n ? NULL : tpl_arg(c, 0, "attribute"), *def = c->n ? NULL : tpl_arg(c, 1, "default");
    call_args rest = rest_of(c, 1);
    str name = attr ? v_text(r, *attr, c->place) : name_arg(r, c, 0, "map");
    for (uint32_t i = 0; i < items.list->items.n; i++) {
        value item = items.list->items.at[i];
        if (attr) {
            made = tpl_attr(r, item, name);
            if (made.kind == V_UNDEFINED && def)
                made = *def;
        } else if (!tpl_filter(r, name, item, &rest, &made)) {
            tpl_fault(r->w, c->place, "the filter '%.*s' is not understood", STR_ARG(name));
        }
        v_push(r, out, made);
    }
    return out;
}

/* select, reject (attr false), selectattr, rejectattr: those for which a test, or truth, is `keep` */
static value chosen(tpl_run *r, value v, const call_args *c, bool attr, bool keep, const char *what)
{
    value items = v_items(r, v, c->place), out = v_list(r, 0);
    str name = attr ? name_arg(r, c, 0, what) : S("");
    bool tested = c->n > (uint32_t)attr;
    str test = tested ? name_arg(r, c, attr, what) : S("");
    call_args rest = rest_of(c, (uint32_t)attr + 1);
    for (uint32_t i = 0; i < items.list->items.n; i++) {
        value item = items.list->items.at[i], on = attr ? tpl_attr(r, item, name) : item;
        bool yes = v_true(on);
        if (tested && !tpl_test(r, test, on, &rest, &yes))
            tpl_fault(r->w, c->place, "the test '%.*s' is not understood", STR_ARG(test));
        if (yes == keep)
            v_push(r, out, item);
    }
    return out;
}

static value f_select(tpl_run *r, value v, const call_args *c)
{
    return chosen(r, v, c, false, true, "select");
}

static value f_reject(tpl_run *r, value v, const call_args *c)
{
    return chosen(r, v, c, false, false, "reject");
}

static value f_selectattr(tpl_run *r, value v, const call_args *c)
{
    return chosen(r, v, c, true, true, "selectattr");
}

static value f_rejectattr(tpl_run *r, value v, const call_args *c)
{
    return chosen(r, v, c, true, false, "rejectattr");
}

static value f_safe(tpl_run *r, value v, const call_args *c)
{
    (void)r, (void)c;
    return v;
}

bool tpl_filter(tpl_run *r, str name, value v, const call_args *args, value *out)
{
    static const struct {
        const char *name;
        tpl_function *f;
    } filters[] = {
        {"trim", f_trim},
        {"length", f_length},
        {"count", f_length},
        {"tojson", f_tojson},
        {"join", f_join},
        {"default", f_default},
        {"d", f_default},
        {"upper", f_upper},
        {"lower", f_lower},
        {"title", f_title},
        {"capitalize", f_capitalize},
        {"replace", f_replace},
        {"first", f_first},
        {"last", f_last},
        {"list", f_list},
        {"reverse", f_reverse},
        {"string", f_string},
        {"int", f_int},
        {"float", f_float},
        {"abs", f_abs},
        {"items", f_items},
        {"sort", f_sort},
        {"dictsort", f_dictsort},
        {"unique", f_unique},
        {"min", f_min},
        {"max", f_max},
        {"escape", f_escape},
        {"e", f_escape},
        {"indent", f_indent},
        {"round", f_round},
        {"sum", f_sum},
        {"map", f_map},
        {"select", f_select},
        {"reject", f_reject},
        {"selectattr", f_selectattr},
        {"rejectattr", f_rejectattr},
        {"safe", f_safe},
    };
    for (uint32_t i = 0; i < COUNTOF(filters); i++) {
        if (str_eq(name, str_of(filters[i].name))) {
            *out = filters[i].f(r, v, args);
            return true;
        }
    }
    return false;
}

/* ---- tests ---- */
static bool by_kind(str name, value v, bool *out)
{
    static const struct {
        const char *name;
        uint32_t kinds;
    } tests[] = {
        {"undefined", 1u << V_UNDEFINED},
        {"defined", ~(1u << V_UNDEFINED)},
        {"none", 1u << V_NONE},
        {"boolean", 1u << V_BOOL},
        {"integer", 1u << V_INT},
        {"float", 1u << V_FLOAT},
        {"number", 1u << V_INT | 1u << V_FLOAT | 1u << V_BOOL},
        {"string", 1u << V_STR},
        {"mapping", 1u << V_DICT},
        {"iterable", 1u << V_STR | 1u << V_LIST | 1u << V_DICT | 1u << V_UNDEFINED},
        {"sequence", 1u << V_STR | 1u << V_LIST | 1u << V_DICT | 1u << V_UNDEFINED},
        {"callable", 1u << V_FUNC},
    };
    for (uint32_t i = 0; i < COUNTOF(tests); i++) {
        if (str_eq(name, str_of(tests[i].name))) {
            *out = tests[i].kinds >> v.kind & 1;
            return true;
        }
    }
    return false;
}

/* tests that compare with an argument */
static bool by_argument(tpl_run *r, str name, value v, const call_args *args, bool *out)
{
    static const struct {
        const char *name;
        char how;
    } tests[] = {{"eq", '='},       {"equalto", '='}, {"==", '='},          {"ne", '!'}, {"!=", '!'},    {"lt", '<'},
                 {"lessthan", '<'}, {"<", '<'},       {"greaterthan", '>'}, {"gt", '>'}, {">", '>'},     {"le", 'l'},
                 {"<=", 'l'},       {"ge", 'g'},      {">=", 'g'},          {"in", 'i'}, {"sameas", 's'}};
    uint32_t i = 0;
    while (i < COUNTOF(tests) && !str_eq(name, str_of(tests[i].name)))
        i++;
    if (i == COUNTOF(tests))
        return false;
    if (args->n != 1)
        tpl_fault(r->w, args->place, "the test '%s' takes one argument", tests[i].name);
    value o = args->at[0];
    char how = tests[i].how;
    if (how == '=' || how == '!')
        *out = v_equal(r, v, o) == (how == '=');
    else if (how == 'i')
        *out = v_contains(r, o, v, args->place);
    else if (how == 's')
        *out = v.kind == o.kind && v_equal(r, v, o);
    else {
        int c = v_compare(r, v, o, args->place);
        *out = c != 2 && (how == '<' ? c < 0 : how == '>' ? c > 0 : how == 'l' ? c <= 0 : c >= 0);
    }
    return true;
}

bool tpl_test(tpl_run *r, str name, value v, const call_args *args, bool *out)
{
    if (by_kind(name, v, out) || by_argument(r, name, v, args, out))
        return true;
    if (str_eq(name, S("true")) || str_eq(name, S("false"))) {
        *out = v.kind == V_BOOL && (v.i != 0) == str_eq(name, S("true"));
        return true;
    }
    if (str_eq(name, S("lower")) || str_eq(name, S("upper"))) {
        str s = v_text(r, v, args->place);
        *out =
            str_eq(s, tpl_case(r, s, str_eq(name, S("upper")))) && !str_eq(s, tpl_case(r, s, str_eq(name, S("lower"))));
        return true;
    }
    bool even = str_eq(name, S("even")), odd = str_eq(name, S("odd")), divides = str_eq(name, S("divisibleby"));
    if (!even && !odd && !divides)
        return false;
    int64_t by = divides ? tpl_arg_int(r, args, 0, "num", 0) : 2;
    if (v.kind != V_INT && v.kind != V_BOOL)
        tpl_fault(r->w, args->place, "the test '%.*s' of %s", STR_ARG(name), v_kind_name(v));
    if (by == 0)
        tpl_fault(r->w, args->place, "division by zero");
    *out = (by == -1 ? 0 : v.i % by) == 0 ? !odd : odd;
    return true;
}
