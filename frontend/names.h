/* names.h: the state of name resolution. Private to frontend/. */
#ifndef TILE_FRONTEND_NAMES_H
#define TILE_FRONTEND_NAMES_H

#include "frontend/ast.h"
#include "frontend/diags.h"

typedef struct globals {
    interner *names; /* id -> index of the arrays below */
    VEC(ast_fn *) fns;
    VEC(ast_const *) consts;
} globals;

typedef VEC(uint32_t) slot_list;

typedef struct names {
    ast_unit *u;
    arena *a;
    diags *d;
    globals user, std;
    ast_fn **tail; /* where a used std fn is linked in */
    /* the function being resolved */
    ast_fn *fn;
    interner *scope; /* name id - 1 is the slot */
    uint32_t fixed;  /* slots below this are not variables, but for parameters that may be assigned */
    uint32_t loops;
} names;

/* names.c */
void names_fn(names *n, ast_fn *f);           /* resolves f once */
void names_const(names *n, ast_const *k);
/* names_body.c */
void names_expr(names *n, ast_expr *e);
void names_stmts(names *n, ast_stmt *first, slot_list *assigned);
void names_declare(names *n, const ast_stmt *first); /* gives every variable assigned in the list a slot */
void names_unknown(names *n, str name, span at, bool type);

#endif
