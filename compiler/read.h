/* read.h: what the parts of the IR reader share; private to read*.c.
 *
 * The reader is one pass by recursive descent over tokens made on demand. It appends to functions with folding off, so
 * that what is read is what stands there. Each op is read whole before it is appended; an op with a fault is dropped,
 * its results are marked as failed so that their uses say nothing more, and reading goes on at the next line.
 */
#ifndef TILE_COMPILER_READ_H
#define TILE_COMPILER_READ_H

#include "compiler/verify.h"

/* bounds of what is read; beyond them stands a diagnostic */
#define READ_MAX_TEXT ((size_t)256 << 20)
#define READ_MAX_LIST 4096 /* operands, results, parameters, attribute integers */
#define READ_MAX_POINTER 16
#define READ_NO_LAYOUT 0
#define READ_MAX_EXTENT ((int64_t)1 << 40)

typedef enum token_kind {
    TOK_END,
    TOK_WORD,   /* name */
    TOK_VALUE,  /* %name or %12: text is what follows the sigil */
    TOK_SYMBOL, /* @name or @"name" */
    TOK_LOC,    /* @12 */
    TOK_NUMBER, /* -5, 0x1.8p+1, 2.5, -inf, nan:0x7fc00000 */
    TOK_STRING, /* text is decoded */
    TOK_PUNCT   /* one of ( ) { } [ ] < > , : = ? ! * # +, or '-' for -> */
} token_kind;

typedef struct token {
    token_kind kind;
    char punct;
    bool first; /* nothing but space before it on its line */
    uint32_t beg, end;
    str text;
} token;

/* a value name: where it was defined, and as what */
typedef struct read_name {
    ir_val val; /* 0: its op had a fault, or its region has ended */
    bool ended; /* its region has */
    span at;
} read_name;

typedef struct reader {
    arena *a;
    arena *s; /* lists of the ops being read, by stack discipline */
    diags *d;
    uint32_t file;
    str text;
    uint32_t pos;         /* of the scanner */
    token tok;            /* the one to be read next */
    uint32_t last;        /* end of the token before it */
    int braces;           /* open before tok */
    uint32_t first_error; /* d->errors when we started */
    ir_module *m;
    ir_func *f;
    ir_builder b;
    int depth; /* of regions */
    uint32_t origin;
    interner *func_names;
    interner *names;             /* of values, a function's at a time */
    VEC(read_name) values;       /* by name id */
    VEC(uint32_t) scope;         /* names defined so far, those of open regions last */
    map64 locs;                  /* number in the text -> location */
    map64 layouts;               /* number in the text -> layout, or READ_NO_LAYOUT for one with a fault */
    VEC(verify_func_text) funcs; /* beside m->funcs */
    VEC(span) op_spans;          /* by op id of the function being read */
} reader;

/* read_scan.c */
void read_next(reader *r);
bool read_failed(const reader *r);
span read_span(const reader *r, uint32_t beg, uint32_t end);
span read_here(const reader *r); /* of the next token */
void read_error(reader *r, span at, const char *fmt, ...) STR_PRINTF(3, 4);
bool read_is(const reader *r, char punct);
bool read_is_word(const reader *r, const char *word);
bool read_take(reader *r, char punct);
bool read_take_word(reader *r, const char *word);
/* takes it or reports what was expected, "in WHERE" */
bool read_expect(reader *r, char punct, const char *where);
str read_found(reader *r); /* the next token as messages name it */
/* decimal or 0x, with a sign; false where it isn't one or has over 64 bits */
bool read_digits(str s, bool *negative, uint64_t *out);
/* an integer; unsigned ones above INT64_MAX only with `wide`, as their bit pattern */
bool read_int(reader *r, const char *what, bool wide, int64_t *out);
/* the next tokens are '{' name '=' */
bool read_is_attrs(const reader *r);
/* the nearest of n names within two edits, or NULL */
const char *read_nearest(str word, const char *const *names, uint32_t n);

/* read_layout.c: behind '#', which began at byte `beg` */
bool read_layout(reader *r, uint32_t beg);

/* read_type.c */
bool read_type(reader *r, ir_type *out);
/* the literal of a constant, taken before its type is known */
bool read_literal(reader *r, token *out);
bool read_literal_bits(reader *r, const token *lit, dtype dt, uint64_t *bits);

/* read_op.c */
void read_define(reader *r, const token *name, ir_val v); /* reports a second definition */
void read_end_scope(reader *r, uint32_t mark);            /* names defined since r->scope.n was `mark` */
/* ops up to and with '}', into the region on top of the builder's stack */
void read_ops(reader *r, uint32_t open);
/* behind a fault in what began at byte `start`: on to the next line, or '}', where `braces` are open */
void read_skip(reader *r, uint32_t start, int braces);
bool read_loc_use(reader *r, ir_loc *out); /* [@n] */
bool read_origin(reader *r, const char *what, uint32_t *out);

#endif
