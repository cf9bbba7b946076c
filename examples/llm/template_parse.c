/* template_parse.c: statements: if, for, set, macro, break, continue, generation (which only marks its text). What else
 * Jinja has (include, extends, call, with ..) is named in a fault.
 */
#include "examples/llm/template_parts.h"

static void body(tpl_parser *p, node_vec *out, const char *end, const char *also, const char *third);

static node *parse_print(tpl_parser *p)
{
    node *n = tpl_node(p, ND_PRINT, tpl_peek(p, 0)->at);
    p->next++;
    n->a = tpl_expr_list(p);
    tpl_need(p, TK_VAR_END, NULL);
    return n;
}

/* whether the tag at hand is {% name; its name is taken too */
static bool take_tag(tpl_parser *p, const char *name)
{
    const tpl_token *t = tpl_peek(p, 1);
    if (!tpl_is(p, TK_BLOCK, NULL) || t->kind != TK_NAME || !str_eq(t->s, str_of(name)))
        return false;
    p->next += 2;
    return true;
}

static void end_tag(tpl_parser *p, const char *name)
{
    if (!take_tag(p, name))
        tpl_fault(p->w, tpl_peek(p, 0)->at, "expected '{%% %s %%}'", name);
    if (tpl_is(p, TK_NAME, NULL)) /* endmacro may repeat the macro's name */
        p->next++;
    tpl_need(p, TK_BLOCK_END, NULL);
}

/* from behind "if" or "elif" to behind "endif" */
static node *parse_if(tpl_parser *p, uint32_t at)
{
    node *n = tpl_node(p, ND_IF, at);
    n->a = tpl_expr_list(p);
    tpl_need(p, TK_BLOCK_END, NULL);
    body(p, &n->items, "endif", "else", "elif");
    uint32_t next = tpl_peek(p, 0)->at;
    if (take_tag(p, "elif")) {
        tpl_enter(p);
        vec_push(&p->w->a, &n->more, parse_if(p, next));
        tpl_leave(p);
        return n;
    }
    if (take_tag(p, "else")) {
        tpl_need(p, TK_BLOCK_END, NULL);
        body(p, &n->more, "endif", NULL, NULL);
    }
    end_tag(p, "endif");
    return n;
}

/* a name, an attribute of one, or several names */
static node *parse_target(tpl_parser *p, bool attribute)
{
    const tpl_token *t = tpl_need(p, TK_NAME, NULL);
    node *n = tpl_node(p, ND_NAME, t->at), *outer;
    n->s = t->s;
    if (attribute && tpl_take(p, TK_OP, ".")) {
        outer = tpl_node(p, ND_ATTR, t->at);
        outer->a = n;
        outer->s = tpl_need(p, TK_NAME, NULL)->s;
        return outer;
    }
    if (!tpl_is(p, TK_OP, ","))
        return n;
    outer = tpl_node(p, ND_TUPLE, t->at);
    vec_push(&p->w->a, &outer->items, n);
    while (tpl_take(p, TK_OP, ",") && tpl_is(p, TK_NAME, NULL) && !tpl_is(p, TK_NAME, "in")) {
        t = tpl_need(p, TK_NAME, NULL);
        n = tpl_node(p, ND_NAME, t->at);
        n->s = t->s;
        vec_push(&p->w->a, &outer->items, n);
    }
    return outer;
}

static node *parse_for(tpl_parser *p, uint32_t at)
{
    node *n = tpl_node(p, ND_FOR, at);
    bool open = tpl_take(p, TK_OP, "(");
    n->a = parse_target(p, false);
    if (open)
        tpl_need(p, TK_OP, ")");
    tpl_need(p, TK_NAME, "in");
    n->b = tpl_or_expr(p);
    if (tpl_take(p, TK_NAME, "if"))
        n->c = tpl_expr(p);
    if (tpl_is(p, TK_NAME, "recursive"))
        tpl_fault(p->w, tpl_peek(p, 0)->at, "recursive loops are not understood");
    tpl_need(p, TK_BLOCK_END, NULL);
    p->loops++;
    body(p, &n->items, "endfor", "else", NULL);
    p->loops--;
    if (take_tag(p, "else")) {
        tpl_need(p, TK_BLOCK_END, NULL);
        body(p, &n->more, "endfor", NULL, NULL);
    }
    end_tag(p, "endfor");
    return n;
}

static node *parse_set(tpl_parser *p, uint32_t at)
{
    node *n = tpl_node(p, ND_SET, at);
    n->a = parse_target(p, true);
    if (tpl_take(p, TK_OP, "=")) {
        n->b = tpl_expr_list(p);
        tpl_need(p, TK_BLOCK_END, NULL);
        return n;
    }
    n->kind = ND_SET_BLOCK;
    n->b = tpl_filters(p, NULL);
    tpl_need(p, TK_BLOCK_END, NULL);
    body(p, &n->items, "endset", NULL, NULL);
    end_tag(p, "endset");
    return n;
}

static node *parse_macro(tpl_parser *p, uint32_t at)
{
    node *n = tpl_node(p, ND_MACRO, at);
    uint32_t loops = p->loops;
    n->s = tpl_need(p, TK_NAME, NULL)->s;
    tpl_need(p, TK_OP, "(");
    while (!tpl_take(p, TK_OP, ")")) {
        const tpl_token *t = tpl_need(p, TK_NAME, NULL);
        node *param = tpl_node(p, ND_NAME, t->at);
        param->s = t->s;
        if (tpl_take(p, TK_OP, "="))
            param->a = tpl_expr(p);
        vec_push(&p->w->a, &n->items, param);
        if (!tpl_is(p, TK_OP, ")"))
            tpl_need(p, TK_OP, ",");
    }
    tpl_need(p, TK_BLOCK_END, NULL);
    p->loops = 0;
    body(p, &n->more, "endmacro", NULL, NULL);
    p->loops = loops;
    end_tag(p, "endmacro");
    return n;
}

static node *parse_generation(tpl_parser *p, uint32_t at)
{
    node *n = tpl_node(p, ND_BLOCK, at);
    tpl_need(p, TK_BLOCK_END, NULL);
    body(p, &n->items, "endgeneration", NULL, NULL);
    end_tag(p, "endgeneration");
    return n;
}

static node *parse_jump(tpl_parser *p, const tpl_token *t, node_kind k)
{
    if (!p->loops)
        tpl_fault(p->w, t->at, "'%.*s' outside a loop", STR_ARG(t->s));
    tpl_need(p, TK_BLOCK_END, NULL);
    return tpl_node(p, k, t->at);
}

static node *parse_block(tpl_parser *p)
{
    uint32_t at = tpl_peek(p, 0)->at;
    p->next++;
    const tpl_token *t = tpl_need(p, TK_NAME, NULL);
    if (str_eq(t->s, S("if")))
        return parse_if(p, at);
    if (str_eq(t->s, S("for")))
        return parse_for(p, at);
    if (str_eq(t->s, S("set")))
        return parse_set(p, at);
    if (str_eq(t->s, S("macro")))
        return parse_macro(p, at);
    if (str_eq(t->s, S("generation")))
        return parse_generation(p, at);
    if (str_eq(t->s, S("break")))
        return parse_jump(p, t, ND_BREAK);
    if (str_eq(t->s, S("continue")))
        return parse_jump(p, t, ND_CONTINUE);
    tpl_fault(p->w, t->at, "the tag '%.*s' is not understood here", STR_ARG(t->s));
}

static bool ends_here(const tpl_parser *p, const char *name)
{
    const tpl_token *t = tpl_peek(p, 1);
    return name && tpl_is(p, TK_BLOCK, NULL) && t->kind == TK_NAME && str_eq(t->s, str_of(name));
}

/* statements up to one of these tags, which is left in place; up to the template's end where all are NULL */
static void body(tpl_parser *p, node_vec *out, const char *end, const char *also, const char *third)
{
    tpl_enter(p);
    while (!ends_here(p, end) && !ends_here(p, also) && !ends_here(p, third)) {
        const tpl_token *t = tpl_peek(p, 0);
        node *n;
        if (t->kind == TK_END && !end)
            break;
        if (t->kind == TK_END)
            tpl_fault(p->w, t->at, "expected '{%% %s %%}', found the template's end", end);
        if (t->kind == TK_TEXT) {
            n = tpl_node(p, ND_TEXT, t->at);
            n->s = t->s;
            p->next++;
        } else {
            n = t->kind == TK_VAR ? parse_print(p) : parse_block(p);
        }
        vec_push(&p->w->a, out, n);
    }
    tpl_leave(p);
}

node *tpl_parse(tpl_work *w)
{
    tpl_parser p = {.w = w, .tokens = tpl_lex(w)};
    node *root = tpl_node(&p, ND_BLOCK, 0);
    body(&p, &root->items, NULL, NULL, NULL);
    return root;
}
