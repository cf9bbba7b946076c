/* pass.h: analyses, passes, and the runner that drives a pipeline.
 *
 * A pass is one function over one ir_func, `ir_func *pass_NAME(pass_ctx *c, ir_func *f)`, which returns f itself
 * where it changed nothing and a new function where it did. passes.def lists them; a pipeline is a const array of
 * pass ids. The runner times, verifies (when asked) and dumps after each.
 */
#ifndef TILE_COMPILER_PASS_H
#define TILE_COMPILER_PASS_H

#include "compiler/ir.h"

typedef enum pass_id {
    PASS_NONE,
#define PASS(name, from, to, doc) PASS_##name,
#include "compiler/passes/passes.def"
#undef PASS
    PASS_COUNT
} pass_id;

/* what a launch (or -D, or an AOT variant) lets a kernel assume; one entry an ir_param, by index */
typedef struct spec_fact {
    bool is_one;             /* an integer that equals 1 */
    bool is_known;           /* an integer known to be `value` */
    int64_t value;
    int64_t div;             /* an integer is a multiple of this; 0 = nothing */
    int64_t lo, hi;          /* range; lo > hi = nothing */
    int64_t align;           /* pointer or tensor base, bytes */
    bool stride_one;         /* strided tensor: the last stride is 1 */
    int64_t size_div[IR_MAX_TENSOR_RANK], stride_div[IR_MAX_TENSOR_RANK]; /* tensor: multiples; 0 = nothing */
    int same_as;             /* earlier parameter with the same base address, or -1 */
} spec_fact;

typedef struct pass_options {
    bool verify;        /* after each pass */
    bool checked;       /* keep asserts */
    bool narrow;        /* the index guards hold: i64 values proved to fit may be computed in 32 bits */
    const spec_fact *facts; /* one a parameter; NULL = none */
    void (*dump)(void *ctx, const char *pass, const ir_module *m);
    void *dump_ctx;
} pass_options;

typedef struct pass_stat {
    const char *name;
    double seconds;
    uint32_t ops_before, ops_after;
} pass_stat;

typedef struct pass_ctx {
    ir_module *m;
    arena *a;       /* of the module: what the pass builds */
    arena *scratch; /* freed after the pass */
    diags *d;
    const pass_options *opt;
    VEC(pass_stat) stats;
} pass_ctx;

/* guards.c holds axis_guards. */

/* passes/runner.c: runs `ids` over every kernel and fn of m in turn; false when the verifier objected: our bug */
bool pass_run(ir_module *m, diags *d, const pass_options *opt, const pass_id *ids, uint32_t n, pass_ctx *out_stats);
pass_id pass_by_name(str name); /* PASS_NONE where there is none */
const char *pass_name(pass_id id);
const char *pass_doc(pass_id id);
/* the pipeline every back end starts with, ending in straight inlined tile IR */
extern const pass_id pass_tile_pipeline[];
extern const uint32_t pass_tile_pipeline_len;

/* ---- axis.c: what is known of the values of a function ----
 * For an integer or pointer value, along each dimension d of its shape: runs of contig[d] elements rise by one, runs of
 * constancy[d] are equal, the first of each contiguous run is a multiple of div[d] (bytes for pointers); and a range
 * that holds for every element. All for scalars too (rank 0: div[0] and the range). */
typedef struct axis_info {
    int64_t contig[IR_MAX_RANK], constancy[IR_MAX_RANK], div[IR_MAX_RANK];
    int64_t lo, hi; /* inclusive; of i64 values: as computed with the meaning of 64 bits */
    bool known;     /* false: not an integer or pointer, nothing said */
} axis_info;

/* A condition over launch-time integers under which the i64 values of a kernel fit 32 bits: host functions
 * `NAME.guards` (FUNC_HOST, same parameters, one i64 result: 1 when they hold) are made from these. */
typedef struct axis_guard {
    str text; /* as `explain` shows it: "n < 2147483648" */
} axis_guard;

typedef VEC(axis_guard) axis_guard_list;

typedef struct axis {
    const axis_info *at; /* by value id */
    uint32_t n;
} axis;

axis axis_build(arena *a, const ir_func *f, const pass_options *opt);
/* the guards of kernel f, and the host function that checks them (added to f's module as "NAME.guards"); NULL where no
 * value is worth it */
ir_func *axis_guards(pass_ctx *c, ir_func *f, axis_guard_list *list);

/* ---- uses.c ---- */
typedef struct uses {
    uint32_t *first; /* first[v] .. first[v + 1]: indices into at */
    ir_op *at;
} uses;
uses uses_build(arena *a, const ir_func *f);

#endif
