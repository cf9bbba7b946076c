/* template_json.c: JSON to values, and back as Python's json.dumps writes it (the filter tojson). */
#include "examples/llm/template_parts.h"
#include "examples/llm/utf8.h"

#include <jansson.h>

#define MAX_DEPTH 64

value json_value(tpl_run *r, const json_t *j)
{
    const char *key;
    size_t keylen, i;
    json_t *item;
    value out;
    tpl_step(r, 1, 0);
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        out = v_dict(r);
        json_object_keylen_foreach((json_t *)j, key, keylen, item)
        {
            v_set(r, out, v_str(str_dup(&r->w->a, (str){key, keylen})), json_value(r, item));
        }
        return out;
    case JSON_ARRAY:
        out = v_list(r, (uint32_t)json_array_size(j));
        json_array_foreach((json_t *)j, i, item)
        {
            v_push(r, out, json_value(r, item));
        }
        return out;
    case JSON_STRING:
        return v_str(str_dup(&r->w->a, (str){json_string_value(j), json_string_length(j)}));
    case JSON_INTEGER:
        return v_int(json_integer_value(j));
    case JSON_REAL:
        return v_float(json_real_value(j));
    case JSON_TRUE:
    case JSON_FALSE:
        return v_bool(json_is_true(j));
    case JSON_NULL:
        break;
    }
    return v_none();
}

typedef struct writer {
    tpl_run *r;
    strbuf *out;
    int64_t indent; /* -1: all on one line */
    bool ascii, sorted;
    uint32_t at;
} writer;

static void put_code(strbuf *out, uint32_t code)
{
    if (code >= 0x10000)
        sb_putf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff));
    else
        sb_putf(out, "\\u%04x", code);
}

static void put_string(const writer *w, str s)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    sb_putc(w->out, '"');
    for (size_t i = 0; i < s.n;) {
        utf8_char c = utf8_at(s, i);
        const char *plain = s.p[i] ? strchr(from, s.p[i]) : NULL;
        uint32_t n = c.state == UTF8_WHOLE ? c.n : 1;
        if (plain)
            sb_putf(w->out, "\\%c", to[plain - from]);
        else if (c.state == UTF8_WHOLE && (c.code < 0x20 || (w->ascii && c.code > 0x7e)))
            put_code(w->out, c.code);
        else
            sb_put(w->out, (str){s.p + i, n});
        i += n;
    }
    sb_putc(w->out, '"');
}

static void new_line(const writer *w, uint32_t depth)
{
    if (w->indent < 0)
        return;
    sb_putc(w->out, '\n');
    tpl_step(w->r, (uint64_t)w->indent * depth, w->at);
    for (int64_t i = 0; i < w->indent * depth; i++)
        sb_putc(w->out, ' ');
}

static void put(const writer *w, value v, uint32_t depth);

static void put_list(const writer *w, const value_list *l, uint32_t depth)
{
    sb_putc(w->out, '[');
    for (uint32_t i = 0; i < l->items.n; i++) {
        sb_puts(w->out, !i ? "" : w->indent < 0 ? ", " : ",");
        new_line(w, depth + 1);
        put(w, l->items.at[i], depth + 1);
    }
    if (l->items.n)
        new_line(w, depth);
    sb_putc(w->out, ']');
}

static int by_key(const void *a, const void *b)
{
    const value_pair *x = a, *y = b;
    return x->key.kind == V_STR && y->key.kind == V_STR ? str_cmp(x->key.s, y->key.s) : 0;
}

static void put_dict(const writer *w, const value_dict *d, uint32_t depth)
{
    value_pair *pairs = ARENA_ARRAY(&w->r->w->a, value_pair, d->pairs.n);
    for (uint32_t i = 0; i < d->pairs.n; i++)
        pairs[i] = d->pairs.at[i];
    if (w->sorted && d->pairs.n > 1)
        qsort(pairs, d->pairs.n, sizeof *pairs, by_key);
    sb_putc(w->out, '{');
    for (uint32_t i = 0; i < d->pairs.n; i++) {
        sb_puts(w->out, !i ? "" : w->indent < 0 ? ", " : ",");
        new_line(w, depth + 1);
        put_string(w, v_text(w->r, pairs[i].key, w->at));
        sb_puts(w->out, ": ");
        put(w, pairs[i].val, depth + 1);
    }
    if (d->pairs.n)
        new_line(w, depth);
    sb_putc(w->out, '}');
}

static void put(const writer *w, value v, uint32_t depth)
{
    tpl_step(w->r, 1, w->at);
    if (depth > MAX_DEPTH)
        tpl_fault(w->r->w, w->at, "'tojson': nested more than %d deep", MAX_DEPTH);
    switch (v.kind) {
    case V_NONE:
        sb_puts(w->out, "null");
        return;
    case V_BOOL:
        sb_puts(w->out, v.i ? "true" : "false");
        return;
    case V_INT:
        sb_putf(w->out, "%lld", (long long)v.i);
        return;
    case V_FLOAT:
        v_float_text(v.f, w->out);
        return;
    case V_STR:
        put_string(w, v.s);
        return;
    case V_LIST:
        put_list(w, v.list, depth);
        return;
    case V_DICT:
        put_dict(w, v.dict, depth);
        return;
    case V_UNDEFINED:
    case V_FUNC:
        break;
    }
    tpl_fault(w->r->w, w->at, "'tojson' of %s", v_kind_name(v));
}

void value_json(tpl_run *r, value v, int64_t indent, bool ascii, bool sorted, strbuf *out, uint32_t at)
{
    writer w = {r, out, indent, ascii, sorted, at};
    put(&w, v, 0);
}
