/* ast.h: the syntax tree of `.tile` files: what the parser makes, names.c resolves, and lowering walks.
 *
 * Nodes live in the unit's arena, are linked by `next` where they stand in lists, and carry spans (byte offsets into
 * their file). The parser looks nothing up; names.c then gives every EX_NAME its meaning (`ref`), and every function
 * its slots: one number for each variable, parameter, generic and named dimension in it. A node that could not be
 * parsed is EX_ERROR, and its diagnostic has been given.
 *
 *   slots of a function, in order: generics, parameters, consts of @tune, dimensions that tensor parameters name,
 *                                  variables
 *
 * Not in the tree: operators of augmented assignment (`x += y` is ST_ASSIGN with `op`), comparison chains and
 * assignment inside expressions (both are diagnosed by the parser), parentheses.
 */
#ifndef TILE_FRONTEND_AST_H
#define TILE_FRONTEND_AST_H

#include "base/base.h"
#include "frontend/const.h"

typedef struct ast_expr ast_expr;
typedef struct ast_stmt ast_stmt;
typedef struct ast_arg ast_arg;
typedef struct ast_param ast_param;
typedef struct ast_fn ast_fn, ast_func;
typedef struct ast_const ast_const;
typedef struct ast_unit ast_unit;

/* ---- expressions ---- */
typedef enum ast_expr_kind {
    EX_ERROR,
    EX_NUM,     /* num: integer, float, True, False, inf, nan */
    EX_STR,     /* s */
    EX_NONE,
    EX_NAME,    /* s, ref */
    EX_TUPLE,   /* items */
    EX_LIST,    /* items */
    EX_UNARY,   /* unop, a */
    EX_BINARY,  /* op, a, b */
    EX_POW,     /* a ** b: compile-time numbers only */
    EX_AND,     /* a and b */
    EX_OR,      /* a or b */
    EX_IS,      /* a is b; negated: a is not b */
    EX_COND,    /* a if c else b */
    EX_ATTR,    /* a.s, `name` spans s */
    EX_CALL,    /* a(args) */
    EX_INDEX,   /* a[items]; an item may be EX_SLICE */
    EX_SLICE,   /* a:b, either may be NULL; only as an item of EX_INDEX */
    EX_STAR,    /* *a as an argument: the rest of the arguments, or a pointer type (`x.to(*f16)`) */
    EX_CONFIG   /* (NAME=value, ..), args: only in @tune(configs=[..]) */
} ast_expr_kind;

typedef enum ast_ref_kind { REF_NONE, REF_SLOT, REF_FN, REF_CONST, REF_BUILTIN, REF_DTYPE } ast_ref_kind;
typedef struct ast_ref {
    ast_ref_kind kind;
    union {
        uint32_t slot;
        const ast_fn *fn;
        const ast_const *konst;
        int builtin; /* row of builtins.def */
        dtype dt;
    };
} ast_ref;

struct ast_expr {
    ast_expr_kind kind;
    span at;
    ast_expr *next; /* in a list of items */
    fe_op op;
    fe_unop unop;
    bool negated;
    span name;      /* EX_ATTR: of the name; EX_BINARY, EX_IS: of the operator */
    const_num num;
    str s;
    ast_ref ref;
    ast_expr *a, *b, *c;
    uint32_t depth;  /* of the tree below, limited by the parser so that walkers may recurse */
    ast_expr *items; /* first of the list */
    uint32_t nitems;
    ast_arg *args;
    uint32_t nargs;
};

struct ast_arg {
    ast_arg *next;
    str name; /* keyword, or empty */
    span name_at;
    ast_expr *value;
};

/* ---- statements ---- */
typedef enum ast_stmt_kind {
    ST_ERROR,
    ST_EXPR,     /* value */
    ST_ASSIGN,   /* target = value, or target op= value (augmented); several targets are EX_TUPLE */
    ST_IF,       /* cond, body, orelse (an `elif` is one ST_IF in orelse) */
    ST_FOR,      /* target in value: a call of range, static_range, persistent or stream (loop says which); body */
    ST_WHILE,    /* cond, body */
    ST_BREAK,
    ST_CONTINUE,
    ST_RETURN,   /* value or NULL */
    ST_PASS
} ast_stmt_kind;

typedef enum ast_loop { LOOP_RANGE, LOOP_STATIC, LOOP_OVER_PERSISTENT, LOOP_OVER_STREAM, LOOP_ITEMS } ast_loop;

struct ast_stmt {
    ast_stmt_kind kind;
    span at;         /* of compound statements: the header only */
    ast_stmt *next;
    ast_expr *target, *value, *cond;
    bool augmented;
    fe_op op;
    ast_loop loop;   /* ST_FOR; LOOP_ITEMS: over a tuple or list known at compile time */
    ast_stmt *body, *orelse;
    /* names.c: the slots that body and orelse assign, ascending, without repeats (ST_IF, ST_FOR, ST_WHILE) */
    const uint32_t *assigned;
    uint32_t nassigned;
};

/* ---- declarations ---- */
typedef enum ast_type_kind {
    TY_NONE,   /* an untyped parameter of a fn */
    TY_NAME,   /* a dtype, `int`, or a generic: name */
    TY_PTR,    /* *elem */
    TY_TENSOR, /* elem[dims] */
    TY_CONST,  /* const */
    TY_CONST_FN /* const fn */
} ast_type_kind;

typedef struct ast_type {
    ast_type_kind kind;
    span at;
    str name;
    struct ast_type *elem;
    ast_expr *dims; /* list */
    uint32_t ndims;
    bool optional, is_static, scratch, scratch_zero, strided;
} ast_type;

struct ast_param {
    ast_param *next;
    span at;       /* of the name */
    str name;
    ast_type type;
    ast_expr *dflt; /* or NULL */
    bool star;     /* *name: what further arguments there are */
    uint32_t slot;
};

typedef struct ast_generic {
    struct ast_generic *next;
    span at;
    str name;
    ast_expr *dtypes; /* list of EX_NAME */
    uint32_t ndtypes;
    uint32_t slot;
} ast_generic;

/* @name(args); of @tune: a first positional argument names a target family */
typedef struct ast_decorator {
    struct ast_decorator *next;
    span at;
    str name;
    ast_arg *args;
    uint32_t nargs;
} ast_decorator;

/* a name that becomes a slot beside parameters and variables: a const of @tune, or a dimension */
typedef struct ast_binding {
    str name;
    span at;
    uint32_t slot;
    const ast_expr *first; /* dimension: where it is first named; const of @tune: its list, NULL with configs= */
} ast_binding;

struct ast_fn {
    ast_fn *next; /* in the unit, in order */
    bool is_kernel;
    bool is_std;  /* of kernels/std */
    span at;      /* of the header */
    str name;
    span name_at;
    ast_decorator *decorators;
    ast_generic *generics;
    uint32_t ngenerics;
    ast_param *params;
    uint32_t nparams;
    ast_expr *grid; /* list of one to three, or NULL */
    uint32_t ngrid;
    ast_stmt *body;
    /* names.c */
    VEC(ast_binding) tuned, dims;
    uint32_t nslots;
    const str *slot_names; /* by slot */
    bool called;           /* some kernel or fn refers to it */
    bool resolved, visiting;
    bool recursive;        /* refused: a diagnostic has been given */
};

struct ast_const {
    ast_const *next;
    span at;
    str name;
    span name_at;
    ast_expr *value;
    bool is_std;
    bool resolved, visiting; /* names.c */
};

typedef struct ast_import {
    struct ast_import *next;
    span at;
    str path;
    span path_at;
} ast_import;

struct ast_unit {
    arena *a;
    diags *d;
    str path;
    uint32_t file; /* of diags: the file that was asked for; others are imports or std */
    ast_fn *fns;   /* kernels and fns of the file and of what it imports, then those of std that are used */
    ast_const *consts;
    ast_fn *std_fns; /* of kernels/std, not (yet) used */
    ast_const *std_consts;
};

/* load.c: parses a file, what it imports, and what it uses of kernels/std; resolves names. Never NULL; look at
 * d->errors. */
ast_unit *ast_load(arena *a, diags *d, str path, str text, const str *import_dirs, uint32_t nimport_dirs);
/* parse.c: one file's declarations, appended to the lists */
typedef struct ast_file {
    ast_fn *fns, *last_fn;
    ast_const *consts, *last_const;
    ast_import *imports, *last_import;
} ast_file;
void ast_parse(arena *a, diags *d, uint32_t file, str text, ast_file *out);
/* names.c: gives names their meaning, in place */
void ast_resolve(ast_unit *u);
/* ast_print.c: the tree as indented text */
void ast_print(const ast_unit *u, strbuf *out);

#endif
