/* template_run.c: statements -> text.
 *
 * A loop's body has a scope of its own for each element, a macro's body one below the template's; what `set` makes
 * there is gone behind it, as in Jinja. Only a namespace's attributes carry a value out.
 */
#include "examples/llm/template_parts.h"

#include <string.h>

#define MAX_MACROS 60

typedef enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } flow;

static flow run_all(tpl_run *r, const node_vec *list);

void tpl_bind(tpl_run *r, tpl_scope *s, str name, value v)
{
    tpl_binding b = {name, v};
    for (uint32_t i = 0; i < s->names.n; i++) {
        if (str_eq(s->names.at[i].name, name)) {
            s->names.at[i].v = v;
            return;
        }
    }
    vec_push(&r->w->a, &s->names, b);
}

static void assign(tpl_run *r, tpl_scope *s, const node *target, value v)
{
    if (target->kind == ND_NAME) {
        tpl_bind(r, s, target->s, v);
        return;
    }
    if (target->kind == ND_ATTR) {
        value on = tpl_eval(r, target->a);
        if (on.kind != V_DICT || !on.dict->namespace)
            tpl_fault(r->w, target->at, "'%.*s' is no namespace: its attributes can't be set", STR_ARG(target->a->s));
        v_set(r, on, v_str(target->s), v);
        return;
    }
    value items = v_items(r, v, target->at);
    if (items.list->items.n != target->items.n)
        tpl_fault(r->w, target->at, "%u names for %u values", target->items.n, items.list->items.n);
    for (uint32_t i = 0; i < target->items.n; i++)
        tpl_bind(r, s, target->items.at[i]->s, items.list->items.at[i]);
}

static value cycle(tpl_run *r, value self, const call_args *args)
{
    if (args->n == 0)
        tpl_fault(r->w, args->place, "'cycle' of nothing");
    return args->at[(uint64_t)self.i % args->n];
}

static value bound_function(tpl_run *r, const char *name, tpl_function *call, value self)
{
    value_func *f = ARENA_NEW(&r->w->a, value_func);
    *f = (value_func){.name = name, .call = call, .self = self};
    return (value){.kind = V_FUNC, .func = f};
}

/* what a body knows as `loop` */
static value loop_value(tpl_run *r, const value_list *l, uint32_t i)
{
    value v = v_dict(r);
    uint32_t n = l->items.n;
    vec_reserve(&r->w->a, &v.dict->pairs, 10);
    v_set(r, v, v_str(S("index")), v_int(i + 1));
    v_set(r, v, v_str(S("index0")), v_int(i));
    v_set(r, v, v_str(S("revindex")), v_int(n - i));
    v_set(r, v, v_str(S("revindex0")), v_int(n - i - 1));
    v_set(r, v, v_str(S("first")), v_bool(i == 0));
    v_set(r, v, v_str(S("last")), v_bool(i + 1 == n));
    v_set(r, v, v_str(S("length")), v_int(n));
    if (i > 0)
        v_set(r, v, v_str(S("previtem")), l->items.at[i - 1]);
    if (i + 1 < n)
        v_set(r, v, v_str(S("nextitem")), l->items.at[i + 1]);
    v_set(r, v, v_str(S("cycle")), bound_function(r, "cycle", cycle, v_int(i)));
    return v;
}

/* the elements that the loop's condition lets through */
static value chosen(tpl_run *r, const node *n, value items)
{
    value out = v_list(r, 0);
    tpl_scope *outer = r->scope;
    for (uint32_t i = 0; i < items.list->items.n; i++) {
        tpl_scope s = {.up = outer};
        r->scope = &s;
        assign(r, &s, n->a, items.list->items.at[i]);
        if (v_true(tpl_eval(r, n->c)))
            v_push(r, out, items.list->items.at[i]);
        r->scope = outer;
    }
    return out;
}

static void run_for(tpl_run *r, const node *n)
{
    value items = v_items(r, tpl_eval(r, n->b), n->at);
    tpl_scope *outer = r->scope;
    flow f = FLOW_ON;
    if (n->c)
        items = chosen(r, n, items);
    for (uint32_t i = 0; i < items.list->items.n && f != FLOW_BREAK; i++) {
        tpl_scope s = {.up = outer};
        tpl_step(r, 50, n->at); /* what it makes takes room */
        tpl_bind(r, &s, S("loop"), loop_value(r, items.list, i));
        assign(r, &s, n->a, items.list->items.at[i]);
        r->scope = &s;
        f = run_all(r, &n->items);
        r->scope = outer;
    }
    if (items.list->items.n == 0) {
        tpl_scope s = {.up = outer};
        r->scope = &s;
        (void)run_all(r, &n->more);
        r->scope = outer;
    }
}

static value captured(tpl_run *r, const node_vec *list)
{
    strbuf b, *outer = r->out;
    sb_init(&b, &r->w->a);
    r->out = &b;
    (void)run_all(r, list);
    r->out = outer;
    return v_str(sb_str(&b));
}

static void run_set_block(tpl_run *r, const node *n)
{
    tpl_scope s = {.up = r->scope}, *outer = r->scope;
    r->scope = &s;
    value v = captured(r, &n->items);
    r->scope = outer;
    assign(r, r->scope, n->a, n->b ? tpl_apply(r, n->b, v) : v);
}

static void run_macro(tpl_run *r, const node *n)
{
    value_func *f = ARENA_NEW(&r->w->a, value_func);
    *f = (value_func){.name = "macro", .macro = n};
    tpl_bind(r, r->scope, n->s, (value){.kind = V_FUNC, .func = f});
}

static const value *given(const node *macro, const call_args *args, uint32_t i)
{
    if (i < args->n)
        return &args->at[i];
    for (uint32_t k = 0; k < args->named; k++)
        if (str_eq(args->names[k], macro->items.at[i]->s))
            return &args->at[args->n + k];
    return NULL;
}

static bool has_param(const node *macro, str name)
{
    for (uint32_t i = 0; i < macro->items.n; i++)
        if (str_eq(macro->items.at[i]->s, name))
            return true;
    return false;
}

value tpl_call_macro(tpl_run *r, const node *macro, const call_args *args)
{
    tpl_scope s = {.up = r->top}, *outer = r->scope;
    if (args->n > macro->items.n)
        tpl_fault(r->w, args->place, "macro '%.*s' takes %u arguments, found %u", STR_ARG(macro->s), macro->items.n,
                  args->n);
    for (uint32_t i = 0; i < args->named; i++)
        if (!has_param(macro, args->names[i]))
            tpl_fault(r->w, args->place, "macro '%.*s' has no argument '%.*s'", STR_ARG(macro->s),
                      STR_ARG(args->names[i]));
    r->scope = &s;
    for (uint32_t i = 0; i < macro->items.n; i++) {
        const node *param = macro->items.at[i];
        const value *v = given(macro, args, i);
        tpl_bind(r, &s, param->s, v ? *v : param->a ? tpl_eval(r, param->a) : v_undefined(param->s));
    }
    r->depth += 400 / MAX_MACROS; /* a macro takes more of the stack than an expression */
    value v = captured(r, &macro->more);
    r->depth -= 400 / MAX_MACROS;
    r->scope = outer;
    return v;
}

static flow run_one(tpl_run *r, const node *n)
{
    switch (n->kind) {
    case ND_TEXT:
        tpl_step(r, n->s.n / 64, n->at);
        sb_put(r->out, n->s);
        return FLOW_ON;
    case ND_PRINT: {
        str s = v_text(r, tpl_eval(r, n->a), n->at);
        tpl_step(r, s.n / 64, n->at);
        sb_put(r->out, s);
        return FLOW_ON;
    }
    case ND_IF:
        return run_all(r, v_true(tpl_eval(r, n->a)) ? &n->items : &n->more);
    case ND_FOR:
        run_for(r, n);
        return FLOW_ON;
    case ND_SET:
        assign(r, r->scope, n->a, tpl_eval(r, n->b));
        return FLOW_ON;
    case ND_SET_BLOCK:
        run_set_block(r, n);
        return FLOW_ON;
    case ND_MACRO:
        run_macro(r, n);
        return FLOW_ON;
    case ND_BLOCK:
        return run_all(r, &n->items);
    case ND_BREAK:
        return FLOW_BREAK;
    case ND_CONTINUE:
        return FLOW_CONTINUE;
    default:
        bug("an expression among statements");
    }
}

static flow run_all(tpl_run *r, const node_vec *list)
{
    flow f = FLOW_ON;
    for (uint32_t i = 0; i < list->n && f == FLOW_ON; i++) {
        tpl_step(r, 1, list->at[i]->at);
        f = run_one(r, list->at[i]);
    }
    return f;
}

void tpl_run_all(tpl_run *r, const node *root)
{
    (void)run_all(r, &root->items);
}
