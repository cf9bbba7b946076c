/* lower_kernel.h: one kernel being lowered: its two functions, and what a launch chose. Private to lower_kernel.c,
 * lower_bind.c, lower_stream.c, api.c and lower_check.c. */
#ifndef TILE_FRONTEND_LOWER_KERNEL_H
#define TILE_FRONTEND_LOWER_KERNEL_H

#include "frontend/lower.h"

struct fe_unit {
    arena *a;
    diags *d;
    ast_unit *ast;
    VEC(const ast_fn *) decls;
    VEC(fe_kernel) kernels; /* like decls */
    VEC(const ast_fn *) std_used; /* of kernels/std, named by choices alone */
    map64 seen;             /* diagnostics already given, by hash of id, place and text */
};

typedef struct extra_param { /* a parameter that a chosen fn brings along */
    const ast_fn *fn;
    const ast_param *p;
} extra_param;

typedef struct kernel_dim { /* extents of one tensor parameter: IR_DYN where known at launch */
    const ast_param *p;
    int64_t shape[IR_MAX_TENSOR_RANK];
} kernel_dim;

typedef struct kernel_cx {
    fe_unit *u;
    const ast_fn *k;
    const fe_choice *choice;
    fx kernel, host;
    VEC(extra_param) extras;
    VEC(kernel_dim) dims;
    VEC(ir_val) scratch;    /* host: sizes of scratch parameters, in order */
    ir_val grid[3];         /* host */
    bool has_grid;
    bool placed;            /* persistent or stream was used */
    uint32_t hidden;        /* scratch parameters that the source doesn't name */
} kernel_cx;

/* lower_bind.c: what the launch chose, as values */
typedef VEC(extra_param) extra_list;
fv choice_value(lower *l, const fe_value *v, span at);
const fe_value *choice_find(const fe_choice *c, str name);
/* generics, consts and fns of the kernel bound in an environment; false: diagnostics */
bool bind_choice(lower *l, kernel_cx *k, fv *env);
/* the expression that gives a const of @tune its default: the first listed value */
const ast_expr *tune_default(const ast_fn *k, str name);
/* the parameters that the functions chosen for const fn parameters add */
bool find_extras(lower *l, kernel_cx *k, const fv *env);

/* api.c */
typedef bool unit_fn(void *ctx, arena *scratch);
bool unit_guarded(fe_unit *u, arena *out, bool owned, unit_fn *f, void *ctx);

/* lower_kernel.c */
bool kernel_lower(lower *l, fe_unit *u, const ast_fn *fn, const fe_choice *c, str *ir_name);
void lower_init(lower *l, fe_unit *u, arena *a, arena *scratch, ir_module *m);
/* a kernel value as computed by the host: its pure slice copied into the host function; id 0 and a diagnostic else */
ir_val host_copy(lower *l, kernel_cx *k, ir_val v, span at);
/* a parameter of both functions that the runtime brings: scratch */
ir_val hidden_scratch(kernel_cx *k, const char *name, ir_type t, int flags);

#endif
