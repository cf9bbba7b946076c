/* lower.h: the state of lowering, and what builtins are written with. Private to frontend/.
 *
 * One `lower` turns one kernel under one choice into IR. It builds several functions, one `fx` each: the kernel, its
 * host function, and an instance of each `fn` called (one per function, argument types and compile-time arguments).
 * Types and rules are checked where the IR is made: every function below that can find a fault reports it and returns
 * poison.
 *
 * Control flow. IR is structured, so the front end keeps three things per function:
 *   env     a value per variable slot. A branch or body is lowered with a copy; afterwards copies are joined.
 *   flags   break, continue and return are hidden slots holding bools, joined like variables (SLOT_*).
 *   status  what a statement list did: falls through, always exits, or may have exited (flags say, at run time).
 * After a statement that may have exited, the rest of its list stands inside `if not exited`; where one branch of an
 * `if` always exits, the rest stands in the other branch. So loads after a possible exit are predicated by
 * construction.
 *
 * Builtins. A row of builtins.def gives name, signature and handler. Arguments are bound to the signature before the
 * handler runs, so a handler sees bargs.v[i] in the order of the signature, defaults filled in. The helpers below take
 * values and spans, report with the caret at that argument, and return poison on a fault; poison in gives poison out.
 *
 *   static fv b_abs(lower *l, bargs *g)
 *   {
 *       fv x = arg_number(l, g, 0);                     // run-time number, weak ones made int or f32
 *       return fv_is_runtime(x) ? fv_rt(ir_un(B(l), IR_OP_abs, x.v)) : x;
 *   }
 */
#ifndef TILE_FRONTEND_LOWER_H
#define TILE_FRONTEND_LOWER_H

#include "frontend/ast.h"
#include "frontend/diags.h"
#include "frontend/frontend.h"
#include "frontend/value.h"

#define LOW_MAX_STEPS 400000u  /* statements lowered for one kernel, unrolled ones counted each time */
#define LOW_MAX_OPS 400000u    /* operations of one kernel and its functions */
#define LOW_MAX_INSTS 8192u    /* instances of functions of one kernel */
#define LOW_MAX_UNROLL 8192    /* iterations of one static_range */
#define LOW_MAX_REGIONS 160    /* nested run-time blocks */
#define LOW_MAX_CALLS 100      /* nested calls */
#define LOW_MAX_LIST 65536     /* elements of one compile-time list */
#define LOW_MAX_LOOPS 16       /* nested loops of one function */
#define LOW_MAX_DEPTH 600      /* nested expressions and statement lists, through calls */

typedef struct lower lower;
typedef struct fx fx;

typedef struct frame { /* a call under way, innermost first: the notes of a diagnostic */
    const struct frame *up;
    str callee;
    span at;
} frame;

typedef enum status { ST_FALL, ST_MAYBE, ST_EXIT } status;

typedef struct const_memo {
    const ast_const *c;
    fv v;
} const_memo;

/* hidden slots, after the variables of a function; each loop has two more */
enum { SLOT_RET, SLOT_RV, SLOT_LOOPS };

typedef enum loop_kind { LOOP_UNROLLED, LOOP_RUN, LOOP_PERSISTENT, LOOP_STREAM } loop_kind;
typedef struct stream_cx stream_cx;
typedef struct loop_cx {
    struct loop_cx *up;
    loop_kind kind;
    uint32_t brk, cont;  /* slots of its flags */
    uint32_t regions;    /* region depth of its body */
    stream_cx *stream;   /* LOOP_STREAM */
} loop_cx;

struct fx {
    fx *up;
    ir_func *f;
    ir_builder b;
    fv *env;
    uint32_t nslots;     /* variables and hidden slots */
    uint32_t hidden;     /* first hidden slot */
    uint32_t nloops;     /* loops open */
    uint8_t *lasting;    /* by slot: how many open loops need its value where they are left */
    uint32_t regions;    /* run-time blocks open */
    loop_cx *loop;
    const ast_fn *decl;
    bool host;           /* a grid or dimension is being lowered: no memory, no program */
    bool pure;           /* inside a combine function: likewise */
};

struct lower {
    fe_unit *u;
    arena *a;            /* of the module: whatever lives as long as the IR */
    arena *scratch;      /* environments: stack discipline */
    diags *d;
    ir_module *m;
    fx *fx;
    const frame *frames;
    uint32_t depth;      /* calls open */
    uint32_t steps;      /* statements lowered so far */
    uint32_t ops;        /* operations of functions already finished */
    uint32_t faults;     /* errors reported by this lowering */
    uint32_t nesting;    /* expressions open */
    bool stopped;        /* a limit was hit: unwind */
    bool said_stop;      /* and its diagnostic was given */
    VEC(struct inst *) insts;       /* lower_call.c; found by hash of function and arguments */
    map64 inst_map, inst_names;
    VEC(struct const_memo) consts;  /* lower_expr.c: file-level consts evaluated */
    VEC(ir_func *) made;            /* finished functions, in order */
    struct kernel_cx *k; /* the kernel: its choice, dims, host function */
    uint32_t loc_file, loc_beg; /* the last place, and its location */
    ir_loc loc;
    bool mute;           /* the last diagnostic had been given before: its notes are dropped */
};

#define B(l) (&(l)->fx->b)

/* ---- lower.c: reporting, places, limits ---- */
fv low_error(lower *l, fe_diag_id id, span at, ...);          /* reports, with the call chain as notes; poison */
void low_warn(lower *l, fe_diag_id id, span at, ...);
void low_note(lower *l, span at, const char *fmt, ...) STR_PRINTF(3, 4);
void low_place(lower *l, span at);                            /* what is emitted next stands there */
bool low_step(lower *l, span at);                             /* counts a statement; false once a limit is hit */
bool low_deeper(lower *l, span at); /* one level in: nesting-- on the way out; false: too deep */
bool low_list_room(lower *l, uint32_t n, span at);            /* may a list of n be made? */
str low_say(lower *l, fv v);                                  /* fv_describe */
str low_type(lower *l, ir_type t);                            /* type_describe */
str low_slot_name(const lower *l, uint32_t slot);
/* builds a function: makes it the current one until fx_close. `decl` gives the slots */
void fx_open(lower *l, fx *f, ir_func_kind kind, str name, const ast_fn *decl, span at);
void fx_close(lower *l);
void fx_env(lower *l, fx *f, const ast_fn *decl);              /* an environment for a body, nothing bound */

/* ---- lower_arith.c: types, conversions, operators ---- */
ir_type low_vtype(const lower *l, fv v);                      /* of a run-time value */
dtype low_dt(const lower *l, fv v); /* element dtype of a run-time value, DT_NONE for pointers */
int low_rank(const lower *l, fv v);
const ir_type_info *low_info(const lower *l, fv v);
bool low_is_ptr(const lower *l, fv v);
/* the constant as a scalar of dtype d, checked to fit; poison and a diagnostic where it doesn't */
fv low_const(lower *l, const_num n, dtype d, span at);
/* any value as a run-time one: weak numbers become int, f32 or bool; anything else but FV_RT is a fault */
fv low_runtime(lower *l, fv v, span at);
fv low_cast(lower *l, fv v, dtype d, span at);                /* to dtype d; weak constants checked to fit ints */
fv low_broadcast(lower *l, fv v, int rank, const int64_t *shape, span at);
/* the common shape of two values; false and a diagnostic where they don't agree */
bool low_common_shape(lower *l, fv a, fv b, span at, int *rank, int64_t *shape);
/* both as run-time values of the promoted dtype and the common shape; false: poison or a diagnostic was given */
bool low_promote(lower *l, fv *a, fv *b, span at, const char *what);
/* the dtype two values meet in; DT_NONE and a diagnostic where there is none */
dtype low_promoted(lower *l, fv a, fv b, span at, const char *what);
fv low_binary(lower *l, fe_op op, fv a, fv b, span at, span at_a, span at_b);
fv low_unary(lower *l, fe_unop op, fv a, span at);
/* a scalar condition: FV_NUM bool, or a run-time bool scalar; poison otherwise */
fv low_condition(lower *l, fv v, span at, const char *what);

/* ---- lower_expr.c ---- */
fv low_expr(lower *l, const ast_expr *e);
bool expr_is_simple(const ast_expr *e); /* no call and no subscript in it: may be evaluated early */
fv low_attr_value(lower *l, fv self, str name, span at, span at_name); /* .T .shape .dtype .ptr, methods */

/* ---- lower_index.c: subscripts of tiles, tensors, tuples ---- */
fv low_index(lower *l, fv x, const ast_expr *e);

/* ---- lower_call.c ---- */
typedef struct call_arg {
    fv v;
    str name;            /* of a keyword argument, else empty */
    span at;
} call_arg;
fv low_call_expr(lower *l, const ast_expr *e);
fv low_call(lower *l, fv callee, const call_arg *args, uint32_t n, span at);
/* calls a user's or built-in function with positional values (combine functions, epilogues) */
fv low_apply(lower *l, fv callee, const fv *args, uint32_t n, span at);
const char *low_fn_name(const lower *l, fv fn);

/* ---- lower_stmt.c, lower_if.c, lower_loop.c, lower_stream.c ---- */
status low_stmts(lower *l, const ast_stmt *first);
status low_guarded(lower *l, const ast_stmt *rest, span at);  /* rest, unless a flag is set */
status low_if(lower *l, const ast_stmt *s, bool *took_rest);
status low_for(lower *l, const ast_stmt *s);
status low_while(lower *l, const ast_stmt *s);
status low_persistent(lower *l, const ast_stmt *s);
status low_stream(lower *l, const ast_stmt *s);
void low_assign(lower *l, const ast_expr *target, fv v);
void low_read_fault(lower *l, uint32_t slot, span at);        /* a variable without a value was read */
/* the arguments of a call, `*rest` spliced in; false: poison among them */
bool low_args(lower *l, const ast_expr *call, call_arg **out, uint32_t *n);
fv low_exit_flag(lower *l, bool with_cont);                   /* return, break (continue) of where we are: bool */
void low_clear_flags(lower *l);                               /* we are where none is set */
fv low_combine(lower *l, const fv *accs, uint32_t n, span at);

/* environments: copies live until the mark is reset */
fv *env_copy(lower *l, const fv *env);
/* one branch of a run-time choice */
typedef struct arm {
    ir_region r;
    fv *env;
    status st;
} arm;
void arm_open(lower *l, arm *x, const fv *env);               /* pushes the region, makes env current */
void arm_close(lower *l, arm *x, status st);
/* emits `if cond` over two closed arms and leaves the joined values in the current environment */
status arm_join(lower *l, ir_val cond, arm *yes, arm *no, fv *env, span at);
bool arm_room(lower *l, span at);                             /* false and a diagnostic where blocks nest too deep */
/* values as run-time leaves and back */
typedef VEC(ir_val) val_list;
bool fv_flatten(lower *l, fv v, val_list *out, span at);      /* materialises weak numbers; false: not possible */
bool fv_can_carry(fv v);                                      /* made of run-time values and numbers only */
fv fv_rebuild(lower *l, fv like, const ir_val *at, uint32_t *i);
bool fv_types_equal(lower *l, fv a, fv b);                    /* after weak numbers took their types */

/* ---- builtins.c ---- */
#define BARGS_MAX 16
typedef struct bargs {
    int row;             /* of builtins.def */
    const char *name;
    span at;             /* of the call */
    fv v[BARGS_MAX];
    span where[BARGS_MAX];
    bool given[BARGS_MAX];
    int n;               /* parameters of the signature */
    const call_arg *var; /* what a trailing *name took */
    uint32_t nvar;
} bargs;
fv builtin_call(lower *l, int row, const fv *self, const call_arg *args, uint32_t n, span at);

/* Arguments as handlers want them. `i` is the parameter's number in the signature. */
fv arg_value(lower *l, bargs *g, int i);                      /* a run-time number, bool or pointer, scalar or tile */
fv arg_number(lower *l, bargs *g, int i);                     /* int or float (not bool, f8, pointer) */
fv arg_float(lower *l, bargs *g, int i);                      /* a number; integers are a fault */
fv arg_tile(lower *l, bargs *g, int i);                       /* rank 1 at least */
bool arg_int(lower *l, bargs *g, int i, int64_t lo, int64_t hi, int64_t *out);  /* compile-time integer in lo..hi */
bool arg_bool(lower *l, bargs *g, int i, bool *out);          /* compile-time bool */
bool arg_str(lower *l, bargs *g, int i, str *out);
bool arg_dtype(lower *l, bargs *g, int i, dtype *out);
bool arg_axis(lower *l, bargs *g, int i, int rank, int *out); /* negative counts from the end */
bool arg_shape(lower *l, bargs *g, int i, int *rank, int64_t *shape); /* list or tuple of extents, or one extent */
bool arg_is_none(const bargs *g, int i);
/* mask argument broadcast to a shape: *out.id is 0 when absent; false on a fault */
bool arg_mask(lower *l, bargs *g, int i, int rank, const int64_t *shape, ir_val *out);
/* -1 and a diagnostic where the word isn't one of the key's names */
int64_t arg_enum(lower *l, bargs *g, int i, ir_key key);
/* checks rank, extents and count of a tile about to be made */
bool low_check_shape(lower *l, int rank, const int64_t *shape, span at);
fv low_poison_of(const bargs *g);                             /* poison */

#endif
