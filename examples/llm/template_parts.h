/* template_parts.h: what the files of the template engine share; private to them.
 *
 *   template_lex.c      text -> tokens, white space control
 *   template_expr.c     tokens -> expressions           template_parse.c   tokens -> statements
 *   template_value.c    values: truth, equality, order, printing
 *   template_eval.c     expressions -> values           template_run.c     statements -> text
 *   template_lib.c      filters and tests               template_methods.c methods of strings and dicts, functions
 *   template_json.c     JSON in and out                 template.c         the way in
 *
 * A fault ends the work at once: tpl_fault fills the caller's error and leaves through the arena, as memory's end does,
 * so that no function here returns failure. All that is made lives in one arena.
 */
#ifndef TILE_LLM_TEMPLATE_PARTS_H
#define TILE_LLM_TEMPLATE_PARTS_H

#include "base/base.h"
#include "examples/llm/template.h"

struct json_t;

/* ---- one piece of work: parsing a template, or rendering it ---- */
typedef struct tpl_work {
    arena a;
    str text; /* of the template */
    tile_error *err;
    bool faulted;
} tpl_work;

/* ---- tokens ---- */
typedef enum tok_kind {
    TK_END,
    TK_TEXT,
    TK_VAR,       /* {{ */
    TK_VAR_END,   /* }} */
    TK_BLOCK,     /* {% */
    TK_BLOCK_END, /* %} */
    TK_NAME,
    TK_STR,
    TK_INT,
    TK_FLOAT,
    TK_OP
} tok_kind;

typedef struct tpl_token {
    tok_kind kind;
    uint32_t at;
    str s; /* text; of a string, undone */
    int64_t i;
    double f;
} tpl_token;

typedef VEC(tpl_token) token_vec;

/* ---- syntax ---- */
typedef enum node_kind {
    /* statements */
    ND_TEXT,      /* s */
    ND_PRINT,     /* a */
    ND_IF,        /* a; items, else more */
    ND_FOR,       /* a in b if c: items, else more */
    ND_SET,       /* a = b */
    ND_SET_BLOCK, /* a = items, through filter b (its innermost operand is NULL), or NULL */
    ND_MACRO,     /* s(params: ND_NAME with default a) = more */
    ND_BLOCK,     /* items */
    ND_BREAK,
    ND_CONTINUE,
    /* expressions */
    ND_NONE,
    ND_BOOL,    /* i */
    ND_INT,     /* i */
    ND_FLOAT,   /* f */
    ND_STR,     /* s */
    ND_NAME,    /* s */
    ND_LIST,    /* items */
    ND_TUPLE,   /* items */
    ND_DICT,    /* items: key, value, key, value .. */
    ND_ATTR,    /* a.s */
    ND_INDEX,   /* a[b] */
    ND_SLICE,   /* a[items: three, each or NULL] */
    ND_CALL,    /* a(items) */
    ND_KEYWORD, /* s = a, among the arguments of a call */
    ND_FILTER,  /* a | s(items) */
    ND_TEST,    /* a is s(items); i: is not */
    ND_NEG,
    ND_POS,
    ND_NOT,
    ND_AND,
    ND_OR,
    ND_BINARY,  /* a s b */
    ND_COMPARE, /* a s b */
    ND_COND     /* b if a else c (c or NULL) */
} node_kind;

typedef struct node node;
typedef VEC(node *) node_vec;

struct node {
    node_kind kind;
    uint32_t at; /* offset in the template */
    str s;
    int64_t i;
    double f;
    node *a, *b, *c;
    node_vec items, more;
};

typedef struct tpl_parser {
    tpl_work *w;
    token_vec tokens;
    uint32_t next;
    uint32_t depth; /* of nesting */
    uint32_t loops; /* around */
} tpl_parser;

struct chat_template {
    tpl_work w;
    node *root;
};

/* ---- values ---- */
typedef enum value_kind { V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_FLOAT, V_STR, V_LIST, V_DICT, V_FUNC } value_kind;

typedef struct value value;
typedef struct value_list value_list;
typedef struct value_dict value_dict;
typedef struct value_func value_func;

struct value {
    value_kind kind;
    union {
        int64_t i; /* V_BOOL too */
        double f;
        str s; /* V_UNDEFINED: what was not found */
        value_list *list;
        value_dict *dict;
        const value_func *func;
    };
};

struct value_list {
    VEC(value) items;
    bool tuple;
};

typedef struct value_pair {
    value key, val;
} value_pair;

struct value_dict {
    VEC(value_pair) pairs;
    bool namespace; /* its attributes may be set */
};

typedef struct call_args {
    const value *at;  /* positional, then those by name */
    const str *names; /* of those by name */
    uint32_t n, named;
    uint32_t place; /* of the call in the template */
} call_args;

typedef struct tpl_run tpl_run;
typedef value tpl_function(tpl_run *r, value self, const call_args *args);

/* a builtin bound to what it is a method of, or a macro */
struct value_func {
    const char *name;
    tpl_function *call;
    value self;
    const node *macro;
};

typedef struct tpl_binding {
    str name;
    value v;
} tpl_binding;

typedef struct tpl_scope tpl_scope;
struct tpl_scope {
    tpl_scope *up;
    VEC(tpl_binding) names;
};

struct tpl_run {
    tpl_work *w;
    const template_input *in;
    tpl_scope *scope, *top;
    strbuf *out;
    uint32_t depth;
    uint64_t steps;
};

/* template.c: at: offset in the template */
_Noreturn void tpl_fault(tpl_work *w, uint32_t at, const char *fmt, ...) STR_PRINTF(3, 4);

/* template_lex.c */
token_vec tpl_lex(tpl_work *w);
bool tpl_is_space(uint32_t code);

/* template_expr.c */
const tpl_token *tpl_peek(const tpl_parser *p, uint32_t ahead);
bool tpl_is(const tpl_parser *p, tok_kind k, const char *text); /* text NULL: any */
bool tpl_take(tpl_parser *p, tok_kind k, const char *text);
const tpl_token *tpl_need(tpl_parser *p, tok_kind k, const char *text);
node *tpl_node(tpl_parser *p, node_kind k, uint32_t at);
node *tpl_expr(tpl_parser *p);
node *tpl_expr_list(tpl_parser *p);         /* a, b makes a tuple */
node *tpl_or_expr(tpl_parser *p);           /* without "if" */
node *tpl_filters(tpl_parser *p, node *on); /* | f | g behind it */
void tpl_enter(tpl_parser *p);
void tpl_leave(tpl_parser *p);

/* template_parse.c */
node *tpl_parse(tpl_work *w);

/* template_value.c */
value v_str(str s);
value v_int(int64_t i);
value v_bool(bool b);
value v_float(double f);
value v_none(void);
value v_undefined(str name);
value v_list(tpl_run *r, uint32_t room);
value v_dict(tpl_run *r);
void v_push(tpl_run *r, value list, value item);
void v_set(tpl_run *r, value dict, value key, value val);
const value *v_get(value dict, value key); /* NULL where it is not there */
bool v_true(value v);
bool v_equal(tpl_run *r, value a, value b);
int v_compare(tpl_run *r, value a, value b, uint32_t at); /* order; faults where there is none */
const char *v_kind_name(value v);
void v_print(tpl_run *r, value v, strbuf *out); /* as Python's str() */
void v_float_text(double f, strbuf *out);
str v_text(tpl_run *r, value v, uint32_t at);
/* items of a list, characters of a string, keys of a dict; faults for others */
value v_items(tpl_run *r, value v, uint32_t at);
bool v_contains(tpl_run *r, value in, value what, uint32_t at);

/* template_json.c */
value json_value(tpl_run *r, const struct json_t *j);
void value_json(tpl_run *r, value v, int64_t indent, bool ascii, bool sorted, strbuf *out, uint32_t at);

/* template_eval.c */
value tpl_eval(tpl_run *r, const node *n);
value tpl_apply(tpl_run *r, const node *filter, value on); /* on through filter and those inside it, innermost first */
value tpl_attr(tpl_run *r, value v, str name);
void tpl_step(tpl_run *r, uint64_t n, uint32_t at);
/* argument i, or the one of this name; NULL where it is not given */
const value *tpl_arg(const call_args *c, uint32_t i, const char *name);
int64_t tpl_arg_int(tpl_run *r, const call_args *c, uint32_t i, const char *name, int64_t def);
value tpl_call(tpl_run *r, value f, const call_args *args);

/* template_run.c */
void tpl_run_all(tpl_run *r, const node *root);
value tpl_call_macro(tpl_run *r, const node *macro, const call_args *args);
void tpl_bind(tpl_run *r, tpl_scope *s, str name, value v);

/* template_lib.c: false where there is none of that name */
bool tpl_filter(tpl_run *r, str name, value v, const call_args *args, value *out);
bool tpl_test(tpl_run *r, str name, value v, const call_args *args, bool *out);

/* template_methods.c */
bool tpl_method(tpl_run *r, value v, str name, value *out);
void tpl_bind_globals(tpl_run *r);
str tpl_strip(str s, const value *chars, bool left, bool right);
str tpl_replace(tpl_run *r, str s, str from, str to, int64_t most, uint32_t at);
str tpl_case(tpl_run *r, str s, bool upper);
str tpl_title(tpl_run *r, str s, bool every_word);

#endif
