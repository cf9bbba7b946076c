/* const.h: arithmetic of compile-time constants: integers exact to 128 bits, floats as doubles, bools.
 *
 * A constant is weak: it has a kind but no width, and takes the type of what it meets (value.h does that). Here are
 * only the numbers. Every operation either gives an exact result (floats: the double nearest) or says what went wrong;
 * nothing wraps and nothing faults. Integer division truncates, as it does at run time; `/` of integers is a float.
 */
#ifndef TILE_FRONTEND_CONST_H
#define TILE_FRONTEND_CONST_H

#include "base/base.h"
#include "compiler/types.h"

__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

typedef enum const_kind { CONST_BOOL, CONST_INT, CONST_FLOAT } const_kind;

typedef struct const_num {
    const_kind kind;
    i128 i; /* CONST_INT, CONST_BOOL (0 or 1) */
    double f;
} const_num;

/* binary operators of the language, run time and compile time alike */
typedef enum fe_op {
    FE_ADD, FE_SUB, FE_MUL, FE_DIV, FE_FLOORDIV, FE_MOD, FE_SHL, FE_SHR, FE_AND, FE_OR, FE_XOR,
    FE_EQ, FE_NE, FE_LT, FE_LE, FE_GT, FE_GE, FE_OP_COUNT
} fe_op;
typedef enum fe_unop { FE_NEG, FE_POS, FE_INVERT, FE_NOT } fe_unop;

typedef enum const_err {
    CONST_OK,
    CONST_OVERFLOW,  /* the exact result needs more than 128 bits */
    CONST_ZERO_DIV,  /* division by zero */
    CONST_BAD_SHIFT, /* a negative amount */
    CONST_BAD_TYPE   /* the operator doesn't take these kinds */
} const_err;

/* const.c */
extern const char *const fe_op_text[FE_OP_COUNT];
static inline bool fe_op_is_cmp(fe_op op) { return op >= FE_EQ; }
static inline bool fe_op_is_bits(fe_op op) { return op >= FE_SHL && op <= FE_XOR; }
const_num const_of_int(i128 x);
const_num const_of_float(double x);
const_num const_of_bool(bool x);
double const_as_double(const_num x);
bool const_truth(const_num x);
const_err const_binary(fe_op op, const_num x, const_num y, const_num *out);
const_err const_unary(fe_unop op, const_num x, const_num *out);
/* the value as a bit pattern of type d: false where d can't hold it. Integers must be in range; a finite float must
 * stay finite, but may be rounded; a float never becomes an integer here. */
bool const_fits(const_num x, dtype d, uint64_t *bits);
bool const_int_fits_i64(i128 x, int64_t *out);
/* decimal text; floats get a point or an exponent */
str const_text(arena *a, const_num x);
str const_int_text(arena *a, i128 x);

#endif
