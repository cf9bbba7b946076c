/* value.h: what an expression stands for while a kernel is lowered.
 *
 * A value is either known at compile time (number, bool, string, None, dtype, function, tuple or list, bound method) or
 * a run-time value: an ir_val of the function being built, whose IR type is its type in the language. Numbers known at
 * compile time are weak: they take a dtype when they meet a run-time value, or `int` / f32 when one is asked for.
 *
 *   FV_POISON    its diagnostic was given: whatever it touches is poison too, silently
 *   FV_UNBOUND   a variable that has no value here; `why` says how it lost it
 *   FV_NUM       weak number or bool            FV_STR, FV_NONE, FV_TYPE
 *   FV_FN        a `fn`                         FV_BUILTIN a row of builtins.def
 *   FV_METHOD    `x.name`, about to be called   FV_SEQ     tuple or list, elements of any kind
 *   FV_RT        scalar, pointer or tile        FV_TENSOR  a tensor (flags: what may be done with it)
 */
#ifndef TILE_FRONTEND_VALUE_H
#define TILE_FRONTEND_VALUE_H

#include "compiler/ir.h"
#include "frontend/const.h"

typedef enum fv_kind {
    FV_POISON, FV_UNBOUND, FV_NONE, FV_NUM, FV_STR, FV_TYPE, FV_FN, FV_BUILTIN, FV_METHOD, FV_SEQ, FV_RT, FV_TENSOR
} fv_kind;

/* how a variable lost its value */
typedef enum fv_why { WHY_NEVER, WHY_BRANCH, WHY_LOOP, WHY_ITERATION, WHY_TYPES } fv_why;

enum fv_flag { FV_STATIC = 1 /* tensor: not to be written */, FV_LIST = 2 /* sequence written with [] */ };

typedef struct fv fv;
typedef struct fv_seq {
    const fv *at;
    uint32_t n;
    uint32_t size; /* values in it at every depth, itself counted; saturates */
} fv_seq;

struct fv {
    fv_kind kind;
    uint32_t flags;
    union {
        const_num num;
        str s;
        ir_type type;           /* FV_TYPE: a number or pointer type */
        const struct ast_fn *fn; /* FV_FN */
        int builtin;            /* FV_BUILTIN: row */
        ir_val v;               /* FV_RT, FV_TENSOR */
        fv_seq seq;
        struct {
            const fv *self;
            int row;            /* of builtins.def */
        } method;
        struct {
            fv_why why;
            span at;            /* the assignment, branch or loop that is to blame */
        } unbound;
    };
};

/* value.c */
static inline fv fv_poison(void) { return (fv){.kind = FV_POISON}; }
static inline fv fv_none(void) { return (fv){.kind = FV_NONE}; }
static inline fv fv_num(const_num n) { return (fv){.kind = FV_NUM, .num = n}; }
static inline fv fv_int(i128 x) { return fv_num(const_of_int(x)); }
static inline fv fv_float(double x) { return fv_num(const_of_float(x)); }
static inline fv fv_bool(bool x) { return fv_num(const_of_bool(x)); }
static inline fv fv_str(str s) { return (fv){.kind = FV_STR, .s = s}; }
static inline fv fv_type(ir_type t) { return (fv){.kind = FV_TYPE, .type = t}; }
static inline fv fv_rt(ir_val v) { return (fv){.kind = FV_RT, .v = v}; }
fv fv_seq_of(const fv *at, uint32_t n, bool list); /* of elements that live as long as it */
static inline bool fv_is_const_num(fv v) { return v.kind == FV_NUM; }
static inline bool fv_is_const_int(fv v) { return v.kind == FV_NUM && v.num.kind == CONST_INT; }
static inline bool fv_is_const_bool(fv v) { return v.kind == FV_NUM && v.num.kind == CONST_BOOL; }
static inline bool fv_is_runtime(fv v) { return v.kind == FV_RT || v.kind == FV_TENSOR; }
/* a copy of n values in arena a, as a tuple or list */
fv fv_seq_dup(arena *a, const fv *at, uint32_t n, bool list);
/* the same compile-time value or the very same run-time value */
bool fv_same(fv a, fv b);
uint64_t fv_hash(fv v, uint64_t seed); /* of compile-time values; run-time ones count by kind alone */
/* what a value is, for messages: "'tile<64xf32>'", "integer 5", "'None'", "a tuple of 2" (with its quotes) */
str fv_describe(const ir_module *m, const ir_func *f, fv v, arena *a);
str type_describe(const ir_module *m, ir_type t, arena *a); /* in the language's words, without quotes */
bool fv_has_poison(fv v);

#endif
