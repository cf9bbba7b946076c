/* template_expr.c: expressions, by recursive descent. From loosest to tightest:
 *
 *   a if b else c | or | and | not | == != < <= > >= in, not in | + - | ~ | * / // % | ** | - + | .x [i] (..) |
 * filters, tests
 */
#include "examples/llm/template_parts.h"

#include <string.h>

#define MAX_NESTING 100

const tpl_token *tpl_peek(const tpl_parser *p, uint32_t ahead)
{
    uint32_t i = p->next + ahead;
    return &p->tokens.at[i < p->tokens.n ? i : p->tokens.n - 1];
}

bool tpl_is(const tpl_parser *p, tok_kind k, const char *text)
{
    const tpl_token *t = tpl_peek(p, 0);
    return t->kind == k && (!text || str_eq(t->s, str_of(text)));
}

bool tpl_take(tpl_parser *p, tok_kind k, const char *text)
{
    if (!tpl_is(p, k, text))
        return false;
    p->next++;
    return true;
}

static str shown_token(const tpl_token *t)
{
    switch (t->kind) {
    case TK_END:
        return S("the template's end");
    case TK_TEXT:
        return S("text");
    case TK_VAR:
        return S("'{{'");
    case TK_VAR_END:
        return S("'}}'");
    case TK_BLOCK:
        return S("'{%'");
    case TK_BLOCK_END:
        return S("'%}'");
    case TK_STR:
        return S("a string");
    case TK_NAME:
    case TK_INT:
    case TK_FLOAT:
    case TK_OP:
        break;
    }
    return t->s;
}

const tpl_token *tpl_need(tpl_parser *p, tok_kind k, const char *text)
{
    const tpl_token *t = tpl_peek(p, 0), like = {.kind = k};
    str found = shown_token(t);
    if (tpl_take(p, k, text))
        return t;
    if (text)
        tpl_fault(p->w, t->at, "expected '%s', found '%.*s'", text, STR_ARG(found));
    tpl_fault(p->w, t->at, "expected %s, found '%.*s'", k == TK_NAME ? "a name" : shown_token(&like).p, STR_ARG(found));
}

node *tpl_node(tpl_parser *p, node_kind k, uint32_t at)
{
    node *n = ARENA_NEW(&p->w->a, node);
    n->kind = k;
    n->at = at;
    return n;
}

void tpl_enter(tpl_parser *p)
{
    if (++p->depth > MAX_NESTING)
        tpl_fault(p->w, tpl_peek(p, 0)->at, "nested more than %d deep", MAX_NESTING);
}

void tpl_leave(tpl_parser *p)
{
    p->depth--;
}

static node *two(tpl_parser *p, node_kind k, const tpl_token *op, node *a, node *b)
{
    node *n = tpl_node(p, k, op->at);
    n->s = op->s;
    n->a = a;
    n->b = b;
    return n;
}

static void push(tpl_parser *p, node *n, node *item)
{
    vec_push(&p->w->a, &n->items, item);
}

/* ---- the tightest ---- */
static node *list_until(tpl_parser *p, node *n, const char *close)
{
    while (!tpl_take(p, TK_OP, close)) {
        push(p, n, tpl_expr(p));
        if (!tpl_is(p, TK_OP, close))
            tpl_need(p, TK_OP, ",");
    }
    return n;
}

static node *parenthesised(tpl_parser *p, uint32_t at)
{
    node *n = tpl_node(p, ND_TUPLE, at);
    bool comma = tpl_is(p, TK_OP, ")");
    while (!tpl_take(p, TK_OP, ")")) {
        push(p, n, tpl_expr(p));
        if (!tpl_is(p, TK_OP, ")")) {
            tpl_need(p, TK_OP, ",");
            comma = true;
        }
    }
    return comma ? n : n->items.at[0];
}

static node *dict(tpl_parser *p, uint32_t at)
{
    node *n = tpl_node(p, ND_DICT, at);
    while (!tpl_take(p, TK_OP, "}")) {
        push(p, n, tpl_expr(p));
        tpl_need(p, TK_OP, ":");
        push(p, n, tpl_expr(p));
        if (!tpl_is(p, TK_OP, "}"))
            tpl_need(p, TK_OP, ",");
    }
    return n;
}

static node *named(tpl_parser *p, const tpl_token *t)
{
    static const struct {
        const char *name;
        node_kind kind;
        int64_t i;
    } constants[] = {{"true", ND_BOOL, 1},  {"True", ND_BOOL, 1}, {"false", ND_BOOL, 0},
                     {"False", ND_BOOL, 0}, {"none", ND_NONE, 0}, {"None", ND_NONE, 0}};
    node *n = tpl_node(p, ND_NAME, t->at);
    n->s = t->s;
    for (uint32_t i = 0; i < COUNTOF(constants); i++) {
        if (str_eq(t->s, str_of(constants[i].name))) {
            n->kind = constants[i].kind;
            n->i = constants[i].i;
        }
    }
    return n;
}

static node *string(tpl_parser *p, const tpl_token *t)
{
    node *n = tpl_node(p, ND_STR, t->at);
    n->s = t->s;
    while (tpl_is(p, TK_STR, NULL)) { /* "a" "b" is one string */
        str more = tpl_need(p, TK_STR, NULL)->s;
        n->s = str_fmt(&p->w->a, "%.*s%.*s", STR_ARG(n->s), STR_ARG(more));
    }
    return n;
}

static node *primary(tpl_parser *p)
{
    const tpl_token *t = tpl_peek(p, 0);
    node *n;
    p->next += t->kind != TK_END;
    switch (t->kind) {
    case TK_NAME:
        return named(p, t);
    case TK_STR:
        return string(p, t);
    case TK_INT:
        n = tpl_node(p, ND_INT, t->at);
        n->i = t->i;
        return n;
    case TK_FLOAT:
        n = tpl_node(p, ND_FLOAT, t->at);
        n->f = t->f;
        return n;
    case TK_OP:
        if (str_eq(t->s, S("(")))
            return parenthesised(p, t->at);
        if (str_eq(t->s, S("[")))
            return list_until(p, tpl_node(p, ND_LIST, t->at), "]");
        if (str_eq(t->s, S("{")))
            return dict(p, t->at);
        break;
    case TK_END:
    case TK_TEXT:
    case TK_VAR:
    case TK_VAR_END:
    case TK_BLOCK:
    case TK_BLOCK_END:
        break;
    }
    tpl_fault(p->w, t->at, "expected an expression, found '%.*s'", STR_ARG(shown_token(t)));
}

static void arguments(tpl_parser *p, node *call)
{
    bool named_yet = false;
    while (!tpl_take(p, TK_OP, ")")) {
        const tpl_token *t = tpl_peek(p, 0), *eq = tpl_peek(p, 1);
        if (t->kind == TK_OP && (str_eq(t->s, S("*")) || str_eq(t->s, S("**"))))
            tpl_fault(p->w, t->at, "arguments by '%.*s' are not understood", STR_ARG(t->s));
        if (t->kind == TK_NAME && eq->kind == TK_OP && str_eq(eq->s, S("="))) {
            node *k = tpl_node(p, ND_KEYWORD, t->at);
            p->next += 2;
            k->s = t->s;
            k->a = tpl_expr(p);
            push(p, call, k);
            named_yet = true;
        } else if (named_yet) {
            tpl_fault(p->w, t->at, "an argument without a name behind one with a name");
        } else {
            push(p, call, tpl_expr(p));
        }
        if (!tpl_is(p, TK_OP, ")"))
            tpl_need(p, TK_OP, ",");
    }
}

static node *subscript(tpl_parser *p, node *on, uint32_t at)
{
    node *n = tpl_node(p, ND_INDEX, at), *part[3] = {0};
    uint32_t colons = 0;
    n->a = on;
    while (!tpl_is(p, TK_OP, "]")) {
        if (tpl_take(p, TK_OP, ":")) {
            if (++colons > 2)
                tpl_fault(p->w, at, "a slice of more than three parts");
        } else if (part[colons]) {
            tpl_need(p, TK_OP, "]");
        } else {
            part[colons] = tpl_expr(p);
        }
    }
    tpl_need(p, TK_OP, "]");
    n->b = part[0];
    if (colons) {
        n->kind = ND_SLICE;
        for (uint32_t i = 0; i < 3; i++)
            push(p, n, part[i]);
    } else if (!part[0]) {
        tpl_fault(p->w, at, "expected an index between '[' and ']'");
    }
    return n;
}

static node *postfix(tpl_parser *p, node *n)
{
    for (;;) {
        const tpl_token *t = tpl_peek(p, 0);
        node *outer;
        if (tpl_take(p, TK_OP, ".")) {
            outer = tpl_node(p, ND_ATTR, t->at);
            outer->a = n;
            if (tpl_is(p, TK_INT, NULL)) { /* a.0 is a[0] */
                outer->kind = ND_INDEX;
                outer->b = primary(p);
            } else {
                outer->s = tpl_need(p, TK_NAME, NULL)->s;
            }
        } else if (tpl_take(p, TK_OP, "[")) {
            outer = subscript(p, n, t->at);
        } else if (tpl_take(p, TK_OP, "(")) {
            outer = tpl_node(p, ND_CALL, t->at);
            outer->a = n;
            arguments(p, outer);
        } else {
            return n;
        }
        n = outer;
    }
}

/* what may follow a test's name as its only argument, without parentheses */
static bool starts_argument(const tpl_parser *p)
{
    const tpl_token *t = tpl_peek(p, 0);
    static const char *words[] = {"else", "or", "and", "is", "if", "not", "in"};
    for (uint32_t i = 0; t->kind == TK_NAME && i < COUNTOF(words); i++)
        if (str_eq(t->s, str_of(words[i])))
            return false;
    return t->kind == TK_NAME || t->kind == TK_STR || t->kind == TK_INT || t->kind == TK_FLOAT ||
           (t->kind == TK_OP && (str_eq(t->s, S("[")) || str_eq(t->s, S("{"))));
}

static node *test(tpl_parser *p, node *on, uint32_t at)
{
    node *n = tpl_node(p, ND_TEST, at);
    n->a = on;
    n->i = tpl_take(p, TK_NAME, "not");
    n->s = tpl_need(p, TK_NAME, NULL)->s;
    if (tpl_take(p, TK_OP, "("))
        arguments(p, n);
    else if (starts_argument(p))
        push(p, n, postfix(p, primary(p)));
    return n;
}

static node *filter(tpl_parser *p, node *on, uint32_t at)
{
    node *n = tpl_node(p, ND_FILTER, at);
    n->a = on;
    n->s = tpl_need(p, TK_NAME, NULL)->s;
    if (tpl_take(p, TK_OP, "("))
        arguments(p, n);
    return n;
}

node *tpl_filters(tpl_parser *p, node *n)
{
    for (;;) {
        const tpl_token *t = tpl_peek(p, 0);
        if (tpl_take(p, TK_OP, "|"))
            n = filter(p, n, t->at);
        else if (tpl_take(p, TK_NAME, "is"))
            n = test(p, n, t->at);
        else
            return n;
        n = postfix(p, n);
    }
}

/* ---- operators ---- */
static node *unary(tpl_parser *p, bool filters)
{
    const tpl_token *t = tpl_peek(p, 0);
    node *n;
    tpl_enter(p);
    if (tpl_take(p, TK_OP, "-") || tpl_take(p, TK_OP, "+")) {
        n = tpl_node(p, t->s.p[0] == '-' ? ND_NEG : ND_POS, t->at);
        n->a = unary(p, false);
    } else {
        n = postfix(p, primary(p));
    }
    tpl_leave(p);
    return filters ? tpl_filters(p, n) : n;
}

/* levels of binary operators, loosest first */
static node *binary(tpl_parser *p, uint32_t level)
{
    static const char *const ops[][4] = {{"+", "-"}, {"~"}, {"*", "/", "//", "%"}, {"**"}};
    if (level == COUNTOF(ops))
        return unary(p, true);
    node *n = binary(p, level + 1);
    for (uint32_t i = 0; i < 4 && ops[level][i]; i++) {
        const tpl_token *t = tpl_peek(p, 0);
        if (tpl_take(p, TK_OP, ops[level][i])) {
            n = two(p, ND_BINARY, t, n, binary(p, level + 1));
            i = UINT32_MAX; /* all of the level again */
        }
    }
    return n;
}

static bool take_comparison(tpl_parser *p, tpl_token *op)
{
    static const char *const ops[] = {"==", "!=", "<", "<=", ">", ">="};
    *op = *tpl_peek(p, 0);
    for (uint32_t i = 0; i < COUNTOF(ops); i++)
        if (tpl_take(p, TK_OP, ops[i]))
            return true;
    if (tpl_take(p, TK_NAME, "in"))
        return true;
    const tpl_token *after = tpl_peek(p, 1);
    if (tpl_is(p, TK_NAME, "not") && after->kind == TK_NAME && str_eq(after->s, S("in"))) {
        p->next += 2;
        op->s = S("not in");
        return true;
    }
    return false;
}

/* a < b < c is a < b and b < c */
static node *comparison(tpl_parser *p)
{
    node *left = binary(p, 0), *all = NULL;
    tpl_token op;
    while (take_comparison(p, &op)) {
        node *right = binary(p, 0), *n = two(p, ND_COMPARE, &op, left, right);
        all = all ? two(p, ND_AND, &op, all, n) : n;
        left = right;
    }
    return all ? all : left;
}

static node *negation(tpl_parser *p)
{
    const tpl_token *t = tpl_peek(p, 0);
    node *n;
    if (!tpl_take(p, TK_NAME, "not"))
        return comparison(p);
    tpl_enter(p);
    n = tpl_node(p, ND_NOT, t->at);
    n->a = negation(p);
    tpl_leave(p);
    return n;
}

static node *conjunction(tpl_parser *p)
{
    node *n = negation(p);
    for (const tpl_token *t = tpl_peek(p, 0); tpl_take(p, TK_NAME, "and"); t = tpl_peek(p, 0))
        n = two(p, ND_AND, t, n, negation(p));
    return n;
}

node *tpl_or_expr(tpl_parser *p)
{
    tpl_enter(p);
    node *n = conjunction(p);
    for (const tpl_token *t = tpl_peek(p, 0); tpl_take(p, TK_NAME, "or"); t = tpl_peek(p, 0))
        n = two(p, ND_OR, t, n, conjunction(p));
    tpl_leave(p);
    return n;
}

node *tpl_expr(tpl_parser *p)
{
    node *n = tpl_or_expr(p), *outer;
    for (const tpl_token *t = tpl_peek(p, 0); tpl_take(p, TK_NAME, "if"); t = tpl_peek(p, 0)) {
        outer = tpl_node(p, ND_COND, t->at);
        outer->b = n;
        outer->a = tpl_or_expr(p);
        if (tpl_take(p, TK_NAME, "else")) {
            tpl_enter(p);
            outer->c = tpl_expr(p);
            tpl_leave(p);
        }
        n = outer;
    }
    return n;
}

node *tpl_expr_list(tpl_parser *p)
{
    uint32_t at = tpl_peek(p, 0)->at;
    node *n = tpl_expr(p), *all;
    if (!tpl_is(p, TK_OP, ","))
        return n;
    all = tpl_node(p, ND_TUPLE, at);
    push(p, all, n);
    while (tpl_take(p, TK_OP, ",") && !tpl_is(p, TK_BLOCK_END, NULL) && !tpl_is(p, TK_VAR_END, NULL))
        push(p, all, tpl_expr(p));
    return all;
}
