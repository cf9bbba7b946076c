/* parse_node.c: making nodes, with the checks that need no names: depth, targets, types' words, what `for` takes. */
#include "frontend/parse.h"

ast_expr *node_new(parse_ctx *c, ast_expr_kind k, span at)
{
    ast_expr *e = ARENA_NEW(c->a, ast_expr);
    e->kind = k;
    e->at = at;
    e->depth = 1;
    return e;
}

/* a tree that grew too deep is cut off: reported once where it did, and an error from there up */
static ast_expr *deeper(parse_ctx *c, ast_expr *e, const ast_expr *const *below, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (below[i] && below[i]->depth >= e->depth)
            e->depth = below[i]->depth + 1;
    if (e->depth <= PARSE_MAX_DEPTH)
        return e;
    fe_report(c->d, D_TOO_DEEP, e->at);
    return node_new(c, EX_ERROR, e->at);
}

#define DEEPER(c, e, ...)                                                                                              \
    deeper((c), (e), (const ast_expr *const[]){__VA_ARGS__}, COUNTOF(((const ast_expr *const[]){__VA_ARGS__})))

ast_expr *node_name(parse_ctx *c, str s, span at)
{
    ast_expr *e = node_new(c, EX_NAME, at);
    e->s = s;
    if (str_eq(s, S("inf")) || str_eq(s, S("nan"))) {
        e->kind = EX_NUM;
        e->num = const_of_float(s.p[0] == 'i' ? __builtin_inf() : __builtin_nan(""));
    }
    return e;
}

ast_expr *node_unary(parse_ctx *c, fe_unop op, ast_expr *a, span at)
{
    ast_expr *e = node_new(c, EX_UNARY, at);
    e->unop = op;
    e->a = a;
    return DEEPER(c, e, a);
}

ast_expr *node_binary(parse_ctx *c, fe_op op, ast_expr *a, ast_expr *b, span op_at)
{
    ast_expr *e = node_new(c, EX_BINARY, span_join(a->at, b->at));
    e->op = op;
    e->a = a;
    e->b = b;
    e->name = op_at;
    return DEEPER(c, e, a, b);
}

/* a comparison without brackets round it begins where its left side does */
static bool is_open_comparison(const ast_expr *e)
{
    return (e->kind == EX_IS || (e->kind == EX_BINARY && fe_op_is_cmp(e->op))) && e->at.beg == e->a->at.beg;
}

ast_expr *node_compare(parse_ctx *c, ast_expr *a, ast_expr *b, ast_expr_kind k, fe_op op, bool negated, span op_at)
{
    if (is_open_comparison(a)) {
        fe_report(c->d, D_CHAIN, span_join(a->at, b->at));
        return node_new(c, EX_ERROR, span_join(a->at, b->at));
    }
    ast_expr *e = node_binary(c, op, a, b, op_at);
    if (e->kind == EX_BINARY)
        e->kind = k;
    e->negated = negated;
    return e;
}

ast_expr *node_two(parse_ctx *c, ast_expr_kind k, ast_expr *a, ast_expr *b, span at)
{
    ast_expr *e = node_new(c, k, at);
    e->a = a;
    e->b = b;
    return DEEPER(c, e, a, b);
}

ast_expr *node_cond(parse_ctx *c, ast_expr *a, ast_expr *cond, ast_expr *b, span at)
{
    ast_expr *e = node_new(c, EX_COND, at);
    e->a = a;
    e->b = b;
    e->c = cond;
    return DEEPER(c, e, a, b, cond);
}

ast_expr *node_attr(parse_ctx *c, ast_expr *a, str name, span name_at, span at)
{
    ast_expr *e = node_new(c, EX_ATTR, at);
    e->a = a;
    e->s = name;
    e->name = name_at;
    return DEEPER(c, e, a);
}

/* the deepest of a list, so that a list of a million counts as one step */
static const ast_expr *deepest(const ast_expr *first)
{
    const ast_expr *d = first;
    for (const ast_expr *e = first; e; e = e->next)
        if (e->depth > d->depth)
            d = e;
    return d;
}

ast_expr *node_call(parse_ctx *c, ast_expr *a, arg_list args, span at)
{
    ast_expr *e = node_new(c, EX_CALL, at);
    const ast_expr *d = a;
    e->a = a;
    e->args = args.first;
    e->nargs = args.n;
    for (const ast_arg *x = args.first; x; x = x->next)
        if (x->value->depth > d->depth)
            d = x->value;
    return DEEPER(c, e, d);
}

ast_expr *node_index(parse_ctx *c, ast_expr *a, expr_list items, span at)
{
    ast_expr *e = node_new(c, EX_INDEX, at);
    e->a = a;
    e->items = items.first;
    e->nitems = items.n;
    return DEEPER(c, e, a, deepest(items.first));
}

ast_expr *node_seq(parse_ctx *c, ast_expr_kind k, expr_list items, span at)
{
    ast_expr *e = node_new(c, k, at);
    e->items = items.first;
    e->nitems = items.n;
    return DEEPER(c, e, items.first ? deepest(items.first) : NULL);
}

expr_list list_add(expr_list l, ast_expr *e)
{
    l.last->next = e;
    l.last = e;
    l.n++;
    return l;
}

ast_arg *node_arg(parse_ctx *c, str name, span name_at, ast_expr *value)
{
    ast_arg *x = ARENA_NEW(c->a, ast_arg);
    x->name = name;
    x->name_at = name_at;
    x->value = value;
    return x;
}

arg_list args_add(parse_ctx *c, arg_list l, ast_arg *x)
{
    if (l.last && l.last->name.n && !x->name.n)
        fe_report(c->d, D_KEYWORD_THEN_POSITIONAL, x->value->at);
    if (l.last)
        l.last->next = x;
    else
        l.first = x;
    l.last = x;
    l.n++;
    return l;
}

/* ---- statements ---- */
ast_stmt *stmt_new(parse_ctx *c, ast_stmt_kind k, span at)
{
    ast_stmt *s = ARENA_NEW(c->a, ast_stmt);
    s->kind = k;
    s->at = at;
    return s;
}

/* names, and tuples or lists of them; `_` is a name like others */
static bool check_target(parse_ctx *c, const ast_expr *t)
{
    if (t->kind == EX_NAME || t->kind == EX_ERROR)
        return true;
    if (t->kind != EX_TUPLE && t->kind != EX_LIST) {
        fe_report(c->d, D_BAD_TARGET, t->at);
        return false;
    }
    for (const ast_expr *e = t->items; e; e = e->next)
        if (!check_target(c, e))
            return false;
    return true;
}

ast_stmt *stmt_assign(parse_ctx *c, ast_expr *target, ast_expr *value, bool augmented, fe_op op, span at)
{
    bool ok = check_target(c, target);
    if (ok && augmented && target->kind != EX_NAME && target->kind != EX_ERROR) {
        fe_report(c->d, D_AUGMENTED_TUPLE, target->at);
        ok = false;
    }
    ast_stmt *s = stmt_new(c, ok ? ST_ASSIGN : ST_ERROR, at);
    s->target = target;
    s->value = value;
    s->augmented = augmented;
    s->op = op;
    return s;
}

ast_stmt *stmt_for(parse_ctx *c, ast_expr *target, ast_expr *value, ast_stmt *body, span at)
{
    static const struct {
        const char *name;
        ast_loop loop;
    } over[] = {{"range", LOOP_RANGE},
                {"static_range", LOOP_STATIC},
                {"persistent", LOOP_OVER_PERSISTENT},
                {"stream", LOOP_OVER_STREAM}};
    ast_stmt *s = stmt_new(c, check_target(c, target) ? ST_FOR : ST_ERROR, at);
    s->target = target;
    s->value = value;
    s->body = body;
    s->loop = LOOP_ITEMS;
    if (value->kind == EX_CALL && value->a->kind == EX_NAME)
        for (size_t i = 0; i < COUNTOF(over); i++)
            if (str_eq(value->a->s, str_of(over[i].name)))
                s->loop = over[i].loop;
    if (value->kind == EX_NUM || value->kind == EX_STR || value->kind == EX_NONE)
        fe_report(c->d, D_FOR_WHAT, value->at);
    return s;
}

/* A rule's value may itself be a chain (a line with ';'): the last of it is found. */
stmt_list stmts_add(stmt_list l, ast_stmt *s)
{
    if (!s)
        return l;
    if (l.last)
        l.last->next = s;
    else
        l.first = s;
    while (s->next)
        s = s->next;
    l.last = s;
    return l;
}

/* ---- types and declarations ---- */
static bool take_modifier(ast_type *t, str w)
{
    if (str_eq(w, S("static")))
        t->is_static = true;
    else if (str_eq(w, S("strided")))
        t->strided = true;
    else if (str_eq(w, S("scratch")))
        t->scratch = true;
    else if (str_eq(w, S("zero")) && t->scratch)
        t->scratch_zero = true;
    else
        return false;
    return true;
}

bool type_of_words(parse_ctx *c, word_list w, ast_type *out, span at)
{
    bool ok = true;
    *out = (ast_type){.kind = TY_NAME, .at = at, .name = w.word[w.n - 1]};
    for (uint32_t i = 0; i + 1 < w.n; i++)
        if (!take_modifier(out, w.word[i])) {
            fe_report(c->d, D_TYPE_WORD, w.at[i], STR_ARG(w.word[i]));
            ok = false;
        }
    if (out->is_static && out->scratch)
        fe_report(c->d, D_SCRATCH_STATIC, at, "static", "scratch");
    return ok;
}

ast_type type_tensor(parse_ctx *c, word_list w, span words_at, expr_list dims, span at)
{
    ast_type t, *elem = ARENA_NEW(c->a, ast_type);
    type_of_words(c, w, &t, at);
    *elem = (ast_type){.kind = TY_NAME, .name = t.name, .at = words_at};
    t.kind = TY_TENSOR;
    t.elem = elem;
    t.dims = dims.first;
    t.ndims = dims.n;
    return t;
}

ast_type type_pointer(parse_ctx *c, ast_type pointee, span at)
{
    ast_type *elem = ARENA_NEW(c->a, ast_type);
    *elem = pointee;
    elem->optional = false;
    return (ast_type){.kind = TY_PTR, .at = at, .elem = elem, .optional = pointee.optional};
}

void param_check(parse_ctx *c, const ast_param *p, bool is_kernel)
{
    const ast_type *t = &p->type;
    if (is_kernel && t->kind == TY_NONE && !p->star)
        fe_report(c->d, D_PARAM_UNTYPED, p->at, STR_ARG(p->name));
    if (p->star && p->next)
        fe_report(c->d, D_PARAM_AFTER_STAR, p->next->at, STR_ARG(p->name));
    if (t->kind != TY_TENSOR && (t->is_static || t->strided || t->scratch)) {
        str w = t->is_static ? S("static") : t->strided ? S("strided") : S("scratch");
        fe_report(c->d, D_TYPE_WORD_ONLY, t->at, STR_ARG(w));
    }
}

ast_fn *decl_fn(parse_ctx *c, bool is_kernel, str name, span name_at, generic_list g, param_list p, span at)
{
    ast_fn *f = ARENA_NEW(c->a, ast_fn);
    f->is_kernel = is_kernel;
    f->name = name;
    f->name_at = name_at;
    f->at = at;
    f->generics = g.first;
    f->ngenerics = g.n;
    f->params = p.first;
    f->nparams = p.n;
    for (const ast_param *x = p.first; x; x = x->next)
        param_check(c, x, is_kernel);
    return f;
}
