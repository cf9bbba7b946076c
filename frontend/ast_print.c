/* ast_print.c: the tree as text: one line a statement, expressions in full brackets, so that precedence shows.
 *
 *   kernel add                        1:1
 *     param x: *f32
 *     for %3 i in range(0, n)         4:5
 */
#include "frontend/ast.h"

static void print_expr(const ast_expr *e, strbuf *o);

static void print_list(const ast_expr *first, strbuf *o)
{
    for (const ast_expr *e = first; e; e = e->next) {
        print_expr(e, o);
        if (e->next)
            sb_puts(o, ", ");
    }
}

static void print_args(const ast_arg *first, strbuf *o)
{
    for (const ast_arg *g = first; g; g = g->next) {
        if (g->name.n)
            sb_putf(o, "%.*s=", STR_ARG(g->name));
        print_expr(g->value, o);
        if (g->next)
            sb_puts(o, ", ");
    }
}

static void print_two(const ast_expr *e, const char *op, strbuf *o)
{
    sb_putc(o, '(');
    print_expr(e->a, o);
    sb_putf(o, " %s ", op);
    print_expr(e->b, o);
    sb_putc(o, ')');
}

static void print_number(const ast_expr *e, strbuf *o)
{
    if (e->num.kind == CONST_BOOL)
        sb_puts(o, e->num.i ? "True" : "False");
    else
        sb_put(o, const_text(o->a, e->num));
}

static void print_unary(const ast_expr *e, strbuf *o)
{
    static const char *const text[] = {[FE_NEG] = "-", [FE_POS] = "+", [FE_INVERT] = "~", [FE_NOT] = "not "};
    sb_putf(o, "(%s", text[e->unop]);
    print_expr(e->a, o);
    sb_putc(o, ')');
}

static void print_expr(const ast_expr *e, strbuf *o)
{
    switch (e->kind) {
    case EX_ERROR: sb_puts(o, "<error>"); return;
    case EX_NUM: print_number(e, o); return;
    case EX_STR: sb_put_quoted(o, e->s, "\\x"); return;
    case EX_NONE: sb_puts(o, "None"); return;
    case EX_NAME: sb_put(o, e->s); return;
    case EX_TUPLE:
        sb_putc(o, '(');
        print_list(e->items, o);
        sb_puts(o, e->nitems == 1 ? ",)" : ")");
        return;
    case EX_LIST:
        sb_putc(o, '[');
        print_list(e->items, o);
        sb_putc(o, ']');
        return;
    case EX_UNARY: print_unary(e, o); return;
    case EX_BINARY: print_two(e, fe_op_text[e->op], o); return;
    case EX_POW: print_two(e, "**", o); return;
    case EX_AND: print_two(e, "and", o); return;
    case EX_OR: print_two(e, "or", o); return;
    case EX_IS: print_two(e, e->negated ? "is not" : "is", o); return;
    case EX_COND:
        sb_putc(o, '(');
        print_expr(e->a, o);
        sb_puts(o, " if ");
        print_expr(e->c, o);
        sb_puts(o, " else ");
        print_expr(e->b, o);
        sb_putc(o, ')');
        return;
    case EX_ATTR:
        print_expr(e->a, o);
        sb_putf(o, ".%.*s", STR_ARG(e->s));
        return;
    case EX_CALL:
        print_expr(e->a, o);
        sb_putc(o, '(');
        print_args(e->args, o);
        sb_putc(o, ')');
        return;
    case EX_INDEX:
        print_expr(e->a, o);
        sb_putc(o, '[');
        print_list(e->items, o);
        sb_putc(o, ']');
        return;
    case EX_SLICE:
        if (e->a)
            print_expr(e->a, o);
        sb_putc(o, ':');
        if (e->b)
            print_expr(e->b, o);
        return;
    case EX_STAR:
        sb_putc(o, '*');
        print_expr(e->a, o);
        return;
    case EX_CONFIG:
        sb_putc(o, '(');
        print_args(e->args, o);
        sb_putc(o, ')');
        return;
    }
}

static void print_type(const ast_type *t, strbuf *o)
{
    if (t->is_static)
        sb_puts(o, "static ");
    if (t->strided)
        sb_puts(o, "strided ");
    if (t->scratch)
        sb_puts(o, t->scratch_zero ? "scratch zero " : "scratch ");
    switch (t->kind) {
    case TY_NONE: sb_puts(o, "any"); break;
    case TY_NAME: sb_put(o, t->name); break;
    case TY_CONST: sb_puts(o, "const"); break;
    case TY_CONST_FN: sb_puts(o, "const fn"); break;
    case TY_PTR:
        sb_putc(o, '*');
        print_type(t->elem, o);
        break;
    case TY_TENSOR:
        print_type(t->elem, o);
        sb_putc(o, '[');
        print_list(t->dims, o);
        sb_putc(o, ']');
        break;
    }
    if (t->optional)
        sb_putc(o, '?');
}

static void indent(int depth, strbuf *o)
{
    for (int i = 0; i < depth; i++)
        sb_puts(o, "  ");
}

static void print_stmts(const ast_stmt *first, int depth, strbuf *o);

static void print_stmt(const ast_stmt *s, int depth, strbuf *o)
{
    switch (s->kind) {
    case ST_ERROR: sb_puts(o, "<error>"); break;
    case ST_EXPR: print_expr(s->value, o); break;
    case ST_ASSIGN:
        print_expr(s->target, o);
        sb_putf(o, " %s= ", s->augmented ? fe_op_text[s->op] : "");
        print_expr(s->value, o);
        break;
    case ST_IF:
        sb_puts(o, "if ");
        print_expr(s->cond, o);
        break;
    case ST_FOR:
        sb_puts(o, "for ");
        print_expr(s->target, o);
        sb_puts(o, " in ");
        print_expr(s->value, o);
        break;
    case ST_WHILE:
        sb_puts(o, "while ");
        print_expr(s->cond, o);
        break;
    case ST_BREAK: sb_puts(o, "break"); break;
    case ST_CONTINUE: sb_puts(o, "continue"); break;
    case ST_RETURN:
        sb_puts(o, s->value ? "return " : "return");
        if (s->value)
            print_expr(s->value, o);
        break;
    case ST_PASS: sb_puts(o, "pass"); break;
    }
    sb_putc(o, '\n');
    print_stmts(s->body, depth + 1, o);
    if (s->orelse) {
        indent(depth, o);
        sb_puts(o, "else\n");
        print_stmts(s->orelse, depth + 1, o);
    }
}

static void print_stmts(const ast_stmt *first, int depth, strbuf *o)
{
    for (const ast_stmt *s = first; s; s = s->next) {
        indent(depth, o);
        print_stmt(s, depth, o);
    }
}

static void print_fn(const ast_fn *f, strbuf *o)
{
    for (const ast_decorator *d = f->decorators; d; d = d->next) {
        sb_putf(o, "@%.*s(", STR_ARG(d->name));
        print_args(d->args, o);
        sb_puts(o, ")\n");
    }
    sb_putf(o, "%s %.*s\n", f->is_kernel ? "kernel" : "fn", STR_ARG(f->name));
    for (const ast_generic *g = f->generics; g; g = g->next) {
        sb_putf(o, "  generic %.*s: ", STR_ARG(g->name));
        print_list(g->dtypes, o);
        sb_putc(o, '\n');
    }
    for (const ast_param *p = f->params; p; p = p->next) {
        sb_putf(o, "  param %s%.*s: ", p->star ? "*" : "", STR_ARG(p->name));
        print_type(&p->type, o);
        if (p->dflt) {
            sb_puts(o, " = ");
            print_expr(p->dflt, o);
        }
        sb_putc(o, '\n');
    }
    if (f->grid) {
        sb_puts(o, "  grid ");
        print_list(f->grid, o);
        sb_putc(o, '\n');
    }
    sb_puts(o, "  body\n");
    print_stmts(f->body, 2, o);
}

void ast_print(const ast_unit *u, strbuf *o)
{
    for (const ast_const *k = u->consts; k; k = k->next) {
        sb_putf(o, "const %.*s = ", STR_ARG(k->name));
        print_expr(k->value, o);
        sb_putc(o, '\n');
    }
    for (const ast_fn *f = u->fns; f; f = f->next)
        if (!f->is_std)
            print_fn(f, o);
}
