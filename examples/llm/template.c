/* template.c: the way into chat templates: parse once, render for each prompt.
 *
 * The language is the part of Jinja that the templates of Llama, Qwen, SmolLM and Mistral models use, with the settings
 * that their own library renders them with (trim_blocks, lstrip_blocks, loop controls). A template is immutable once
 * made; a rendering has its own arena, bounded, so that no template of any file takes all memory or forever.
 */
#include "examples/llm/template_parts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEMPLATE (4u << 20)
#define MAX_MEMORY ((size_t)1 << 29)

_Noreturn void tpl_fault(tpl_work *w, uint32_t at, const char *fmt, ...)
{
    uint32_t line = 1, column = 1;
    va_list ap;
    for (uint32_t i = 0; i < at && i < w->text.n; i++) {
        column = w->text.p[i] == '\n' ? 1 : column + 1;
        line += w->text.p[i] == '\n';
    }
    w->faulted = true;
    if (w->err) {
        w->err->code = TILE_E_ARGUMENT;
        int n = snprintf(w->err->text, sizeof w->err->text, "chat template:%u:%u: ", line, column);
        va_start(ap, fmt);
        (void)vsnprintf(w->err->text + n, sizeof w->err->text - (size_t)n, fmt, ap);
        va_end(ap);
    }
    arena_raise(&w->a);
}

static void no_memory(tile_error *err)
{
    if (err) {
        err->code = TILE_E_MEMORY;
        (void)snprintf(err->text, sizeof err->text, "chat template: out of memory");
    }
}

/* all line ends as \n; a copy of our own, for the template's nodes point into it */
static str own_text(arena *a, str s)
{
    char *p = arena_alloc(a, s.n + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool pair = s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n';
        if (!pair)
            p[n++] = s.p[i] == '\r' ? '\n' : s.p[i];
    }
    return (str){p, n};
}

typedef struct parsing {
    chat_template *t;
    str text;
} parsing;

static void parse(void *ctx)
{
    parsing *p = ctx;
    tpl_work *w = &p->t->w;
    if (p->text.n > MAX_TEMPLATE)
        tpl_fault(w, 0, "%zu bytes: expected at most %u", p->text.n, MAX_TEMPLATE);
    w->text = own_text(&w->a, p->text);
    p->t->root = tpl_parse(w);
}

chat_template *template_new(str text, tile_error *err)
{
    chat_template *t = calloc(1, sizeof *t);
    parsing p = {t, text};
    if (!t) {
        no_memory(err);
        return NULL;
    }
    arena_init(&t->w.a, MAX_MEMORY);
    t->w.err = err;
    bool done = arena_try(&t->w.a, parse, &p);
    t->w.err = NULL; /* the caller's: not ours to keep */
    if (done)
        return t;
    if (!t->w.faulted)
        no_memory(err);
    template_free(t);
    return NULL;
}

void template_free(chat_template *t)
{
    if (!t)
        return;
    arena_fini(&t->w.a);
    free(t);
}

/* ---- rendering ---- */
typedef struct rendering {
    tpl_work w;
    const chat_template *t;
    const template_input *in;
    json_t *extra;
    strbuf out;
} rendering;

static void bind_input(tpl_run *r, const json_t *extra)
{
    const template_input *in = r->in;
    value messages = v_list(r, in->count);
    const char *key;
    json_t *item;
    for (uint32_t i = 0; i < in->count; i++) {
        value m = v_dict(r);
        v_set(r, m, v_str(S("role")), v_str(in->messages[i].role));
        v_set(r, m, v_str(S("content")), v_str(in->messages[i].content));
        v_push(r, messages, m);
    }
    tpl_bind(r, r->top, S("messages"), messages);
    tpl_bind(r, r->top, S("add_generation_prompt"), v_bool(in->add_generation_prompt));
    tpl_bind(r, r->top, S("bos_token"), v_str(in->bos));
    tpl_bind(r, r->top, S("eos_token"), v_str(in->eos));
    json_object_foreach((json_t *)extra, key, item)
    {
        tpl_bind(r, r->top, str_dup(&r->w->a, str_of(key)), json_value(r, item));
    }
}

static void render(void *ctx)
{
    rendering *d = ctx;
    tpl_scope globals = {0}, top = {.up = &globals};
    tpl_run r = {.w = &d->w, .in = d->in, .scope = &globals, .top = &globals, .out = &d->out};
    sb_init(&d->out, &d->w.a);
    tpl_bind_globals(&r);
    bind_input(&r, d->extra);
    r.scope = r.top = &top;
    tpl_run_all(&r, d->t->root);
}

static bool read_extra(const template_input *in, json_t **extra, tile_error *err)
{
    json_error_t why;
    if (in->extra.n == 0)
        return true;
    *extra = json_loadb(in->extra.p, in->extra.n, JSON_ALLOW_NUL, &why);
    if (json_is_object(*extra))
        return true;
    if (err) {
        err->code = TILE_E_ARGUMENT;
        (void)snprintf(err->text, sizeof err->text, "variables of the chat template: %s",
                       *extra ? "expected a JSON object" : why.text);
    }
    json_decref(*extra);
    *extra = NULL;
    return false;
}

bool template_render(const chat_template *t, const template_input *in, str *out, tile_error *err)
{
    rendering d = {.t = t, .in = in};
    char *p = NULL;
    if (!read_extra(in, &d.extra, err))
        return false;
    arena_init(&d.w.a, MAX_MEMORY);
    d.w.text = t->w.text;
    d.w.err = err;
    bool done = arena_try(&d.w.a, render, &d);
    if (done)
        p = malloc(d.out.n + 1);
    if (p) {
        if (d.out.n)
            memcpy(p, d.out.at, d.out.n);
        p[d.out.n] = 0;
        *out = (str){p, d.out.n};
    } else if (!d.w.faulted) {
        no_memory(err);
    }
    json_decref(d.extra);
    arena_fini(&d.w.a);
    return p != NULL;
}
