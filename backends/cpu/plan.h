/* plan.h: how a kernel is cut into loops, before any code is made.
 *
 * Every value of the function gets a class:
 *
 *   SCALAR   rank 0, pure: emitted once, where first wanted in straight-line code
 *   SYM      a tile that is computed anew wherever it is wanted, at any index: constants, aranges, splats, views
 *            (broadcast, permute, slice, ...), cheap arithmetic of those (offsets, masks, pointers), and loads of rows
 *            of arguments that the kernel doesn't write
 *   DATA     computed once, by a step: loads, arithmetic on loaded values, reductions, dots; also scalars that memory
 * or a tile gives CARRIED  a tile that a loop carries or a branch yields: lives in a buffer SHIFT    a carried tile
 * that only moves by a uniform amount each iteration: its start, plus one scalar
 *
 * A region becomes a list of steps, run in order:
 *
 *   NEST     a loop nest over one shape with any number of DATA ops in it, each element going through all of them in
 *            registers; a value that another step wants, or this one at another index, is also put in its buffer
 *   WHOLE    an op that wants its operands complete: dot, scan, sort, histogram, join, cat, general reductions
 *   POINT    one rank-0 memory op, or a scalar taken from a tile
 *   HOST     print, assert, bound
 *   CTRL     for, while, if, with plans of their regions
 *   FLUSH    emits the scalars that later code wants (ends each straight-line segment)
 *
 * An op joins the earliest nest of its shape that its operands and memory order allow: stores and loads of memory that
 * may be the same never share a nest, but for a load before a store through one rank-1 pointer tile of distinct
 * addresses. Loads and pure ops wait until a consumer is placed, so that they land where they are used.
 *
 * Positions number the steps through all regions; buffers live from one to another and are coloured by those intervals.
 */
#ifndef TILE_BACKENDS_CPU_PLAN_H
#define TILE_BACKENDS_CPU_PLAN_H

#include "compiler/ir.h"

#define PLAN_MAX_REDUCTIONS 8 /* in one nest: each holds several vector registers */

typedef enum val_class { VC_NONE, VC_SCALAR, VC_SYM, VC_DATA, VC_CARRIED, VC_SHIFT } val_class;
typedef enum step_kind { STEP_NEST, STEP_WHOLE, STEP_POINT, STEP_HOST, STEP_CTRL, STEP_FLUSH } step_kind;

typedef struct plan_val {
    uint8_t cls;
    bool has_data;                  /* SYM: reads a DATA or CARRIED value somewhere */
    bool outside;                   /* wanted after its segment */
    bool dead;                      /* pure and without uses */
    int32_t step;                   /* that computes it, -1 = none (yet) */
    int32_t buffer;                 /* -1 = none */
    int32_t ident_last, other_last; /* last positions it is read at, at the reader's own index or any other */
    ir_val init;                    /* SHIFT: the start */
    ir_op loop;                     /* SHIFT: the loop */
    uint32_t index;                 /* SHIFT: which carried value */
} plan_val;

typedef struct plan_buffer {
    int64_t bytes, offset;
    int32_t def, last;
} plan_buffer;

typedef struct plan_region plan_region;

typedef struct plan_step {
    uint8_t kind;
    ir_op op; /* WHOLE, POINT, HOST, CTRL; FLUSH: the last op of its segment (0 = none) */
    int rank; /* NEST */
    int64_t shape[IR_MAX_RANK];
    VEC(ir_op) items;    /* NEST; in program order once planned */
    VEC(int32_t) temps;  /* buffers of the step's own: per operand of WHOLE and HOST, -1 where the operand has one */
    VEC(int32_t) copies; /* CTRL: per carried value, a buffer for a yield that can't be written in place, or -1 */
    plan_region *body[2];
    int32_t pos, end; /* end: CTRL */
} plan_step;

struct plan_region {
    ir_region r;
    VEC(int32_t) steps; /* ids in plan.steps */
};

typedef struct plan {
    arena *a;
    const ir_func *f;
    plan_val *v;    /* by value id */
    uint32_t *seq;  /* by op id: program order */
    uint32_t *nuse; /* by value id */
    VEC(plan_step) steps;
    VEC(plan_buffer) buffers;
    plan_region *body;
    int64_t buffer_bytes;
    bool spins; /* may wait for another program */
} plan;

/* plan.c */
plan *plan_build(arena *a, const ir_func *f);
int64_t plan_elem_bytes(const ir_func *f, ir_type t); /* of an element in memory */

/* classify.c */
void plan_classify(plan *p);
bool plan_simple_reduce(const ir_func *f, ir_op o, ir_op *inner); /* one operand, one commutative op as region */
bool plan_is_whole(const ir_func *f, ir_op o);
bool plan_shift_steps(const plan *p, ir_val param, ir_val next, ir_val *by, uint32_t *n, uint32_t max);
void plan_op_shape(const ir_func *f, ir_op o, int *rank, int64_t *shape); /* what a NEST item iterates over */

/* affine.c */
bool plan_coef(const plan *p, ir_val v, int dim, int64_t *k); /* rise along dim; of pointers in bytes */
bool plan_const_int(const ir_func *f, ir_val v, int64_t *x);  /* a constant in every element */
bool plan_reshaped_dim(const ir_type_info *from, const ir_type_info *to, int dim, int *out);
bool plan_by_program(const plan *p, ir_val v);     /* does it lead to program_id? */
uint32_t plan_root(const plan *p, ir_val pointer); /* the argument it leads to, 0 = not told */
bool plan_may_alias(uint32_t a, uint32_t b);
bool plan_rereads(const plan *p, ir_op o);   /* a load that may be done again wherever its value is wanted */
bool plan_unwritten(const plan *p, ir_op o); /* a load through an argument that nothing writes */

/* bytes.c: sums of products of bytes */
bool plan_is_products(const ir_func *f, ir_op o);
bool plan_all_true(const plan *p, ir_val mask, int dim); /* or false: along dim it is the same everywhere */
void plan_products_on_demand(plan *p, ir_op o);          /* what lies between its leaves and it becomes SYM */

/* deps.c: fn is called once for each DATA or CARRIED value that v (or op o) reads, through SYM and SCALAR values; ident
 * says whether at the reader's own index */
typedef struct plan_visit {
    const plan *p;
    void (*fn)(struct plan_visit *w, ir_val v, bool ident);
    void *ctx;
    uint32_t *stamp; /* two a value */
    uint32_t now;
} plan_visit;
void plan_visit_init(plan_visit *w, const plan *p, void (*fn)(plan_visit *, ir_val, bool), void *ctx);
void plan_visit_value(plan_visit *w, ir_val v, bool ident);
void plan_visit_op(plan_visit *w, ir_op o); /* all that executing o as a step's op reads */

/* dot_plan.c: dots over packed operands */
#define DOT_BLOCK_BYTES 1024 /* of a row of an operand, packed at a time */
#define DOT_WIDTH 64         /* columns of a panel at most, and what all widths divide */

bool plan_contraction(const plan *p, ir_op loop, ir_op *dot); /* `for k: acc = dot(.., .., acc)` and nothing else */
void plan_operand_on_demand(plan *p, ir_val v);
int64_t plan_dot_steps(const plan *p, ir_op dot, int bytes); /* turns of the loop packed at a time */
int64_t plan_dot_depth(const plan *p, ir_op dot, int bytes, int unit, bool looped); /* elements of a line */
int64_t plan_dot_bytes(const plan *p, ir_op dot, uint32_t operand, bool looped);
/* comparisons `index < bound` one of which holds wherever an element of v, a loop's result, is stored; 0: not told */
uint32_t plan_dot_limits(const plan *p, ir_op loop, ir_val v, int dim, ir_op *found, uint32_t max);
/* of each operand, `index < bound` along K, beyond which it is zero: then the products are too */
bool plan_dot_edge(const plan *p, ir_op dot, ir_op out[2]);
int plan_along(const plan *p, ir_val v); /* the dimension along which v's elements touch in memory */

/* place.c */
void plan_place(plan *p, plan_region *r);

/* buffers.c */
void plan_buffers(plan *p);

#endif
