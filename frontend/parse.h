/* parse.h: what lexer, parser and parse.c share. Private to frontend/. */
#ifndef TILE_FRONTEND_PARSE_H
#define TILE_FRONTEND_PARSE_H

#include "frontend/ast.h"
#include "frontend/diags.h"

#define PARSE_MAX_BRACKETS 200 /* open at once */
#define PARSE_MAX_BLOCKS 100   /* nested by indentation */
#define PARSE_MAX_DEPTH 500    /* of an expression's tree */
#define PARSE_MAX_ELIF 500     /* in one chain */

#define T_EOL 2000 /* a line's end, from the raw lexer only; beyond bison's token numbers */

typedef void *yyscan_t;

struct parse_value; /* a token's semantic value */

typedef struct parse_ctx {
    arena *a;
    diags *d;
    uint32_t file;
    str text;
    uint32_t off;       /* of the next byte to scan */
    ast_file *out;
    yyscan_t scanner;
    /* layout */
    int held;           /* a token read ahead, 0 = none */
    span held_at;
    struct parse_value *held_value;
    bool at_line_start; /* nothing of the line has been given yet */
    bool in_header;     /* of a kernel: a line that begins with grid( continues it */
    int dedents;        /* still to be given */
    uint32_t last_end;  /* of the newest token that is text: where a line's end is shown */
    bool ended, gave_eof;
    uint32_t indent[PARSE_MAX_BLOCKS + 1];
    uint32_t nindent;   /* indent[nindent] is the current column */
    span open[PARSE_MAX_BRACKETS];
    int open_char[PARSE_MAX_BRACKETS];
    uint32_t nopen;
    bool stopped;       /* a limit was hit: nothing but the end follows */
    bool quiet;         /* the next syntax error follows from one that was reported */
    bool after_error;   /* the line before could not be parsed: a block that follows is its */
} parse_ctx;

union TILE_STYPE;
/* parse_token.c: semantic values of tokens; each gives the token's number */
int parse_word(parse_ctx *c, str text, union TILE_STYPE *v);
int parse_int(parse_ctx *c, str text, unsigned base, span at, union TILE_STYPE *v);
int parse_float(parse_ctx *c, str text, span at, union TILE_STYPE *v);
int parse_bad_number(parse_ctx *c, str text, span at, union TILE_STYPE *v);
int parse_string(parse_ctx *c, str text, span at, union TILE_STYPE *v);
int parse_open_string(parse_ctx *c, span at, union TILE_STYPE *v);
int parse_augmented(parse_ctx *c, str text, span at, union TILE_STYPE *v);
int parse_bad_bytes(parse_ctx *c, str text, span at);

/* parse.c: tokens with layout, for bison */
int tile_lex(union TILE_STYPE *v, span *at, parse_ctx *c);

/* parse_node.c: nodes, with the checks that need no names */
typedef struct expr_list {
    ast_expr *first, *last;
    uint32_t n;
} expr_list;
typedef struct arg_list {
    ast_arg *first, *last;
    uint32_t n;
} arg_list;
typedef struct stmt_list {
    ast_stmt *first, *last;
} stmt_list;
typedef struct param_list {
    ast_param *first, *last;
    uint32_t n;
} param_list;
typedef struct generic_list {
    ast_generic *first, *last;
    uint32_t n;
} generic_list;
typedef struct word_list { /* the words of a type: `static scratch f32` */
    str word[4];
    span at[4];
    uint32_t n;
} word_list;

ast_expr *node_new(parse_ctx *c, ast_expr_kind k, span at);
ast_expr *node_name(parse_ctx *c, str s, span at);
ast_expr *node_unary(parse_ctx *c, fe_unop op, ast_expr *a, span at);
ast_expr *node_binary(parse_ctx *c, fe_op op, ast_expr *a, ast_expr *b, span op_at);
ast_expr *node_compare(parse_ctx *c, ast_expr *a, ast_expr *b, ast_expr_kind k, fe_op op, bool negated, span op_at);
ast_expr *node_two(parse_ctx *c, ast_expr_kind k, ast_expr *a, ast_expr *b, span at);
ast_expr *node_cond(parse_ctx *c, ast_expr *a, ast_expr *cond, ast_expr *b, span at);
ast_expr *node_attr(parse_ctx *c, ast_expr *a, str name, span name_at, span at);
ast_expr *node_call(parse_ctx *c, ast_expr *a, arg_list args, span at);
ast_expr *node_index(parse_ctx *c, ast_expr *a, expr_list items, span at);
ast_expr *node_seq(parse_ctx *c, ast_expr_kind k, expr_list items, span at);
expr_list list_add(expr_list l, ast_expr *e);
arg_list args_add(parse_ctx *c, arg_list l, ast_arg *x);
ast_arg *node_arg(parse_ctx *c, str name, span name_at, ast_expr *value);
ast_stmt *stmt_new(parse_ctx *c, ast_stmt_kind k, span at);
ast_stmt *stmt_assign(parse_ctx *c, ast_expr *target, ast_expr *value, bool augmented, fe_op op, span at);
ast_stmt *stmt_for(parse_ctx *c, ast_expr *target, ast_expr *value, ast_stmt *body, span at);
stmt_list stmts_add(stmt_list l, ast_stmt *s);
bool type_of_words(parse_ctx *c, word_list w, ast_type *out, span at);
ast_type type_tensor(parse_ctx *c, word_list w, span words_at, expr_list dims, span at);
ast_type type_pointer(parse_ctx *c, ast_type pointee, span at); /* `?` behind the pointee means the pointer */
void param_check(parse_ctx *c, const ast_param *p, bool is_kernel);
ast_fn *decl_fn(parse_ctx *c, bool is_kernel, str name, span name_at, generic_list g, param_list p, span at);

#endif
