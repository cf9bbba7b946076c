/* template_methods.c: methods of strings, lists and dicts, and the functions that every template has. */
#include "examples/llm/template_parts.h"
#include "examples/llm/utf8.h"

#include <string.h>
#include <utf8proc.h>

#define MAX_RANGE 1000000

/* ---- strings ---- */
static utf8_char last_char(str s)
{
    size_t at = s.n - 1;
    while (at > 0 && s.n - at < 4 && ((uint8_t)s.p[at] & 0xc0) == 0x80)
        at--;
    utf8_char c = utf8_at(s, at);
    return c.state == UTF8_WHOLE && at + c.n == s.n ? c : (utf8_char){UTF8_BAD, 1, 0};
}

static bool is_one_of(str s, utf8_char c, const value *chars)
{
    if (!chars || chars->kind != V_STR)
        return c.state == UTF8_WHOLE && tpl_is_space(c.code);
    for (size_t i = 0; i < chars->s.n;) {
        utf8_char k = utf8_at(chars->s, i);
        if (k.n == c.n && memcmp(chars->s.p + i, s.p, c.n) == 0)
            return true;
        i += k.n;
    }
    return false;
}

str tpl_strip(str s, const value *chars, bool left, bool right)
{
    while (left && s.n) {
        utf8_char c = utf8_at(s, 0);
        if (!is_one_of(s, c, chars))
            break;
        s.p += c.n;
        s.n -= c.n;
    }
    while (right && s.n) {
        utf8_char c = last_char(s);
        if (!is_one_of((str){s.p + s.n - c.n, c.n}, c, chars))
            break;
        s.n -= c.n;
    }
    return s;
}

str tpl_replace(tpl_run *r, str s, str from, str to, int64_t most, uint32_t at)
{
    strbuf b;
    sb_init(&b, &r->w->a);
    for (size_t i = 0; i <= s.n;) {
        bool here = most != 0 && from.n <= s.n - i && (from.n == 0 || memcmp(s.p + i, from.p, from.n) == 0);
        if (here) {
            tpl_step(r, 1 + to.n / 16, at);
            sb_put(&b, to);
            most--;
            i += from.n;
        }
        if (!here || from.n == 0) {
            utf8_char c = i < s.n ? utf8_at(s, i) : (utf8_char){UTF8_BAD, 1, 0};
            if (i < s.n)
                sb_put(&b, (str){s.p + i, from.n ? 1 : c.n});
            i += from.n ? 1 : c.n;
        }
    }
    return sb_str(&b);
}

static void put_code(strbuf *b, uint32_t code)
{
    char bytes[4];
    sb_put(b, (str){bytes, utf8_put(code, bytes)});
}

static uint32_t cased(uint32_t code, bool upper)
{
    return (uint32_t)(upper ? utf8proc_toupper((utf8proc_int32_t)code) : utf8proc_tolower((utf8proc_int32_t)code));
}

str tpl_case(tpl_run *r, str s, bool upper)
{
    strbuf b;
    sb_init(&b, &r->w->a);
    for (size_t i = 0; i < s.n;) {
        utf8_char c = utf8_at(s, i);
        if (c.state != UTF8_WHOLE)
            sb_putc(&b, s.p[i]);
        else if (upper && c.code == 0xdf)
            sb_puts(&b, "SS");
        else
            put_code(&b, cased(c.code, upper));
        i += c.state == UTF8_WHOLE ? c.n : 1;
    }
    return sb_str(&b);
}

static bool is_letter(uint32_t code)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT;
}

/* the first letter (of every word, where asked) upper, the others lower */
str tpl_title(tpl_run *r, str s, bool every_word)
{
    strbuf b;
    bool start = true;
    sb_init(&b, &r->w->a);
    for (size_t i = 0; i < s.n;) {
        utf8_char c = utf8_at(s, i);
        if (c.state != UTF8_WHOLE)
            sb_putc(&b, s.p[i]);
        else
            put_code(&b, cased(c.code, start));
        start = every_word && !(c.state == UTF8_WHOLE && is_letter(c.code));
        i += c.state == UTF8_WHOLE ? c.n : 1;
    }
    return sb_str(&b);
}

static str need_str(tpl_run *r, const call_args *c, uint32_t i, const char *name)
{
    const value *v = tpl_arg(c, i, name);
    if (!v || v->kind != V_STR)
        tpl_fault(r->w, c->place, "argument '%s': expected a string, found %s", name, v ? v_kind_name(*v) : "nothing");
    return v->s;
}

static value m_strip(tpl_run *r, value v, const call_args *c)
{
    (void)r;
    return v_str(tpl_strip(v.s, tpl_arg(c, 0, "chars"), true, true));
}

static value m_lstrip(tpl_run *r, value v, const call_args *c)
{
    (void)r;
    return v_str(tpl_strip(v.s, tpl_arg(c, 0, "chars"), true, false));
}

static value m_rstrip(tpl_run *r, value v, const call_args *c)
{
    (void)r;
    return v_str(tpl_strip(v.s, tpl_arg(c, 0, "chars"), false, true));
}

static value split_at_space(tpl_run *r, str s, int64_t most)
{
    value out = v_list(r, 0);
    for (s = tpl_strip(s, NULL, true, false); s.n; s = tpl_strip(s, NULL, true, false)) {
        size_t i = 0;
        while (i < s.n && most != 0) {
            utf8_char c = utf8_at(s, i);
            if (c.state == UTF8_WHOLE && tpl_is_space(c.code))
                break;
            i += c.n;
        }
        i = most == 0 ? s.n : i;
        v_push(r, out, v_str((str){s.p, i}));
        s = (str){s.p + i, s.n - i};
        most--;
    }
    return out;
}

static value m_split(tpl_run *r, value v, const call_args *c)
{
    const value *sep = tpl_arg(c, 0, "sep");
    int64_t most = tpl_arg_int(r, c, 1, "maxsplit", -1);
    value out = v_list(r, 0);
    str s = v.s, by;
    tpl_step(r, s.n / 8, c->place);
    if (!sep || sep->kind == V_NONE)
        return split_at_space(r, s, most);
    by = need_str(r, c, 0, "sep");
    if (by.n == 0)
        tpl_fault(r->w, c->place, "'split' at an empty string");
    for (const char *at; most != 0 && s.n && (at = memmem(s.p, s.n, by.p, by.n)) != NULL; most--) {
        v_push(r, out, v_str((str){s.p, (size_t)(at - s.p)}));
        s = (str){at + by.n, s.n - (size_t)(at - s.p) - by.n};
    }
    v_push(r, out, v_str(s));
    return out;
}

static value m_rsplit(tpl_run *r, value v, const call_args *c)
{
    str s = v.s, by = need_str(r, c, 0, "sep");
    int64_t most = tpl_arg_int(r, c, 1, "maxsplit", -1);
    value back = v_list(r, 0), out = v_list(r, 0);
    if (by.n == 0)
        tpl_fault(r->w, c->place, "'rsplit' at an empty string");
    tpl_step(r, s.n / 8, c->place);
    for (size_t i = s.n; most != 0 && i >= by.n; i--) {
        if (memcmp(s.p + i - by.n, by.p, by.n) != 0)
            continue;
        v_push(r, back, v_str((str){s.p + i, s.n - i}));
        s.n = i - by.n;
        i = s.n + 1;
        most--;
    }
    v_push(r, back, v_str(s));
    for (uint32_t i = back.list->items.n; i-- > 0;)
        v_push(r, out, back.list->items.at[i]);
    return out;
}

static value m_splitlines(tpl_run *r, value v, const call_args *c)
{
    value out = v_list(r, 0);
    tpl_step(r, v.s.n / 8, c->place);
    for (size_t i = 0, line = 0; i < v.s.n; i++) {
        if (v.s.p[i] != '\n' && v.s.p[i] != '\r' && i + 1 < v.s.n)
            continue;
        bool end = v.s.p[i] == '\n' || v.s.p[i] == '\r';
        v_push(r, out, v_str((str){v.s.p + line, i - line + !end}));
        if (v.s.p[i] == '\r' && i + 1 < v.s.n && v.s.p[i + 1] == '\n')
            i++;
        line = i + 1;
    }
    return out;
}

/* startswith, endswith: a string or a tuple of them */
static bool any_end(tpl_run *r, str s, const call_args *c, bool (*has)(str, str))
{
    const value *what = tpl_arg(c, 0, "prefix");
    if (!what || what->kind != V_LIST)
        return has(s, need_str(r, c, 0, "prefix"));
    for (uint32_t i = 0; i < what->list->items.n; i++)
        if (what->list->items.at[i].kind == V_STR && has(s, what->list->items.at[i].s))
            return true;
    return false;
}

static value m_startswith(tpl_run *r, value v, const call_args *c)
{
    return v_bool(any_end(r, v.s, c, str_starts));
}

static value m_endswith(tpl_run *r, value v, const call_args *c)
{
    return v_bool(any_end(r, v.s, c, str_ends));
}

static value m_upper(tpl_run *r, value v, const call_args *c)
{
    (void)c;
    return v_str(tpl_case(r, v.s, true));
}

static value m_lower(tpl_run *r, value v, const call_args *c)
{
    (void)c;
    return v_str(tpl_case(r, v.s, false));
}

static value m_title(tpl_run *r, value v, const call_args *c)
{
    (void)c;
    return v_str(tpl_title(r, v.s, true));
}

static value m_capitalize(tpl_run *r, value v, const call_args *c)
{
    (void)c;
    return v_str(tpl_title(r, v.s, false));
}

static value m_replace(tpl_run *r, value v, const call_args *c)
{
    return v_str(tpl_replace(r, v.s, need_str(r, c, 0, "old"), need_str(r, c, 1, "new"),
                             tpl_arg_int(r, c, 2, "count", -1), c->place));
}

static value m_join(tpl_run *r, value v, const call_args *c)
{
    value on = c->n ? c->at[0] : v_undefined(S("iterable")), out;
    call_args with = {.at = &v, .n = 1, .place = c->place};
    (void)tpl_filter(r, S("join"), on, &with, &out);
    return out;
}

/* characters before the first (or last) place of a string in another; -1 */
static int64_t place_of(str s, str what, bool last)
{
    int64_t found = -1, n = 0;
    for (size_t i = 0; i + what.n <= s.n; n++) {
        if (what.n == 0 || memcmp(s.p + i, what.p, what.n) == 0) {
            found = n;
            if (!last)
                break;
        }
        if (i == s.n)
            break;
        i += utf8_at(s, i).n;
    }
    return found;
}

static value m_find(tpl_run *r, value v, const call_args *c)
{
    tpl_step(r, v.s.n / 8, c->place);
    return v_int(place_of(v.s, need_str(r, c, 0, "sub"), false));
}

static value m_rfind(tpl_run *r, value v, const call_args *c)
{
    tpl_step(r, v.s.n / 8, c->place);
    return v_int(place_of(v.s, need_str(r, c, 0, "sub"), true));
}

static value m_count(tpl_run *r, value v, const call_args *c)
{
    str what = need_str(r, c, 0, "sub"), s = v.s;
    int64_t n = 0;
    tpl_step(r, s.n / 8, c->place);
    if (what.n == 0)
        return v_int((int64_t)utf8_count(s) + 1);
    for (const char *at; s.n && (at = memmem(s.p, s.n, what.p, what.n)) != NULL; n++)
        s = (str){at + what.n, s.n - (size_t)(at - s.p) - what.n};
    return v_int(n);
}

static value m_removeprefix(tpl_run *r, value v, const call_args *c)
{
    str p = need_str(r, c, 0, "prefix");
    return str_starts(v.s, p) ? v_str((str){v.s.p + p.n, v.s.n - p.n}) : v;
}

static value m_removesuffix(tpl_run *r, value v, const call_args *c)
{
    str p = need_str(r, c, 0, "suffix");
    return str_ends(v.s, p) ? v_str((str){v.s.p, v.s.n - p.n}) : v;
}

static bool every(str s, bool (*is)(uint32_t code))
{
    for (size_t i = 0; i < s.n;) {
        utf8_char c = utf8_at(s, i);
        if (c.state != UTF8_WHOLE || !is(c.code))
            return false;
        i += c.n;
    }
    return s.n > 0;
}

static bool is_digit(uint32_t code)
{
    return utf8proc_category((utf8proc_int32_t)code) == UTF8PROC_CATEGORY_ND;
}

static bool is_alpha(uint32_t code)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    return is_letter(code) || c == UTF8PROC_CATEGORY_LM || c == UTF8PROC_CATEGORY_LO;
}

static bool is_alnum(uint32_t code)
{
    return is_digit(code) || is_alpha(code);
}

static value m_isdigit(tpl_run *r, value v, const call_args *c)
{
    (void)r, (void)c;
    return v_bool(every(v.s, is_digit));
}

static value m_isalpha(tpl_run *r, value v, const call_args *c)
{
    (void)r, (void)c;
    return v_bool(every(v.s, is_alpha));
}

static value m_isalnum(tpl_run *r, value v, const call_args *c)
{
    (void)r, (void)c;
    return v_bool(every(v.s, is_alnum));
}

static value m_isspace(tpl_run *r, value v, const call_args *c)
{
    (void)r, (void)c;
    return v_bool(every(v.s, tpl_is_space));
}

/* ---- dicts and lists ---- */
static value m_items(tpl_run *r, value v, const call_args *c)
{
    value out;
    (void)tpl_filter(r, S("items"), v, &(call_args){.place = c->place}, &out);
    return out;
}

static value m_keys(tpl_run *r, value v, const call_args *c)
{
    return v_items(r, v, c->place);
}

static value m_values(tpl_run *r, value v, const call_args *c)
{
    value out = v_list(r, v.dict->pairs.n);
    (void)c;
    for (uint32_t i = 0; i < v.dict->pairs.n; i++)
        v_push(r, out, v.dict->pairs.at[i].val);
    return out;
}

static value m_get(tpl_run *r, value v, const call_args *c)
{
    const value *key = tpl_arg(c, 0, "key"), *def = tpl_arg(c, 1, "default"), *found = key ? v_get(v, *key) : NULL;
    if (!key)
        tpl_fault(r->w, c->place, "'get' without a key");
    return found ? *found : def ? *def : v_none();
}

static value m_index(tpl_run *r, value v, const call_args *c)
{
    for (uint32_t i = 0; c->n && i < v.list->items.n; i++)
        if (v_equal(r, v.list->items.at[i], c->at[0]))
            return v_int(i);
    tpl_fault(r->w, c->place, "'index': no such element");
}

static value m_list_count(tpl_run *r, value v, const call_args *c)
{
    int64_t n = 0;
    for (uint32_t i = 0; c->n && i < v.list->items.n; i++)
        n += v_equal(r, v.list->items.at[i], c->at[0]);
    return v_int(n);
}

static const struct method {
    value_kind on;
    const char *name;
    tpl_function *f;
} methods[] = {
    {V_STR, "strip", m_strip},
    {V_STR, "lstrip", m_lstrip},
    {V_STR, "rstrip", m_rstrip},
    {V_STR, "split", m_split},
    {V_STR, "rsplit", m_rsplit},
    {V_STR, "splitlines", m_splitlines},
    {V_STR, "startswith", m_startswith},
    {V_STR, "endswith", m_endswith},
    {V_STR, "upper", m_upper},
    {V_STR, "lower", m_lower},
    {V_STR, "title", m_title},
    {V_STR, "capitalize", m_capitalize},
    {V_STR, "replace", m_replace},
    {V_STR, "join", m_join},
    {V_STR, "find", m_find},
    {V_STR, "rfind", m_rfind},
    {V_STR, "count", m_count},
    {V_STR, "removeprefix", m_removeprefix},
    {V_STR, "removesuffix", m_removesuffix},
    {V_STR, "isdigit", m_isdigit},
    {V_STR, "isalpha", m_isalpha},
    {V_STR, "isalnum", m_isalnum},
    {V_STR, "isspace", m_isspace},
    {V_DICT, "items", m_items},
    {V_DICT, "keys", m_keys},
    {V_DICT, "values", m_values},
    {V_DICT, "get", m_get},
    {V_LIST, "index", m_index},
    {V_LIST, "count", m_list_count},
};

bool tpl_method(tpl_run *r, value v, str name, value *out)
{
    for (uint32_t i = 0; i < COUNTOF(methods); i++) {
        if (methods[i].on != v.kind || !str_eq(name, str_of(methods[i].name)))
            continue;
        value_func *f = ARENA_NEW(&r->w->a, value_func);
        *f = (value_func){.name = methods[i].name, .call = methods[i].f, .self = v};
        *out = (value){.kind = V_FUNC, .func = f};
        return true;
    }
    return false;
}

/* ---- functions ---- */
static value g_range(tpl_run *r, value self, const call_args *c)
{
    (void)self;
    int64_t from = 0, to, step = tpl_arg_int(r, c, 2, "step", 1);
    if (c->n == 0)
        tpl_fault(r->w, c->place, "'range' without an end");
    to = tpl_arg_int(r, c, 0, "stop", 0);
    if (c->n > 1) {
        from = to;
        to = tpl_arg_int(r, c, 1, "stop", 0);
    }
    if (step == 0)
        tpl_fault(r->w, c->place, "'range' in steps of 0");
    value out = v_list(r, 0);
    for (int64_t i = from; step > 0 ? i < to : i > to;) {
        if (out.list->items.n >= MAX_RANGE)
            tpl_fault(r->w, c->place, "'range' of more than %d numbers", MAX_RANGE);
        tpl_step(r, 1, c->place);
        v_push(r, out, v_int(i));
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    return out;
}

static value g_dict(tpl_run *r, value self, const call_args *c)
{
    value out = v_dict(r);
    (void)self;
    for (uint32_t i = 0; c->n && c->at[0].kind == V_DICT && i < c->at[0].dict->pairs.n; i++)
        v_set(r, out, c->at[0].dict->pairs.at[i].key, c->at[0].dict->pairs.at[i].val);
    for (uint32_t i = 0; i < c->named; i++)
        v_set(r, out, v_str(c->names[i]), c->at[c->n + i]);
    return out;
}

static value g_namespace(tpl_run *r, value self, const call_args *c)
{
    value out = g_dict(r, self, c);
    out.dict->namespace = true;
    return out;
}

static value g_raise(tpl_run *r, value self, const call_args *c)
{
    (void)self;
    str why = c->n ? v_text(r, c->at[0], c->place) : S("");
    tpl_fault(r->w, c->place, "the template refuses: %.*s", (int)(why.n < 1000 ? why.n : 1000), why.p);
}

static value g_strftime(tpl_run *r, value self, const call_args *c)
{
    char out[256];
    struct tm t;
    (void)self;
    const char *form = str_cstr(&r->w->a, need_str(r, c, 0, "format"));
    if (!localtime_r(&r->in->now, &t))
        tpl_fault(r->w, c->place, "'strftime_now': no such time");
    size_t n = strftime(out, sizeof out, form, &t);
    return v_str(str_dup(&r->w->a, (str){out, n}));
}

void tpl_bind_globals(tpl_run *r)
{
    static const value_func functions[] = {
        {.name = "range", .call = g_range},           {.name = "dict", .call = g_dict},
        {.name = "namespace", .call = g_namespace},   {.name = "raise_exception", .call = g_raise},
        {.name = "strftime_now", .call = g_strftime},
    };
    for (uint32_t i = 0; i < COUNTOF(functions); i++)
        if (r->in->now || functions[i].call != g_strftime)
            tpl_bind(r, r->top, str_of(functions[i].name), (value){.kind = V_FUNC, .func = &functions[i]});
}
