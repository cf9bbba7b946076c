/* frontend.h: from `.tile` text to tile IR; all that the runtime and the tools see of the front end.
 *
 *   fe_load    parses a file and what it imports, and resolves names
 *   fe_check   type-checks every kernel under every combination of its generic dtypes, const defaults and optionals
 *   fe_lower   makes the IR of one kernel under one choice: the kernel, the `fn` instances that it calls, and its host
 *              function (grid, dimension checks, scratch sizes)
 *
 * Kernels are described by fe_kernel: what a launch must bring and what it may choose. Errors are diagnostics in the
 * `diags` given to fe_load; nothing prints. A unit lives in the arena that it was loaded into.
 */
#ifndef TILE_FRONTEND_FRONTEND_H
#define TILE_FRONTEND_FRONTEND_H

#include "base/base.h"
#include "compiler/ir.h"

typedef struct fe_unit fe_unit;

typedef struct fe_options {
    const str *import_dirs; /* -I */
    uint32_t nimport_dirs;
} fe_options;

/* A value bound at compile time: of a const parameter, a tune config or a default. */
typedef enum fe_value_kind {
    FE_V_ABSENT,
    FE_V_NONE,
    FE_V_BOOL,
    FE_V_INT,
    FE_V_FLOAT,
    FE_V_STR,
    FE_V_DTYPE,
    FE_V_FN
} fe_value_kind;
typedef struct fe_value {
    fe_value_kind kind;
    int64_t i; /* FE_V_BOOL, FE_V_INT */
    double f;
    str s;     /* FE_V_STR; FE_V_FN: the name of a fn or builtin */
    dtype dt;
} fe_value;

typedef struct fe_binding {
    str name;
    fe_value value;
} fe_binding;

typedef enum fe_param_kind { FE_P_SCALAR, FE_P_POINTER, FE_P_TENSOR, FE_P_CONST } fe_param_kind;

/* A dimension of a tensor parameter, as written: a literal, a name, or an expression. */
typedef enum fe_dim_kind { FE_DIM_LITERAL, FE_DIM_CONST, FE_DIM_NAME, FE_DIM_EXPR } fe_dim_kind;
typedef struct fe_dim {
    fe_dim_kind kind;
    int64_t value; /* FE_DIM_LITERAL */
    str text;      /* as written; FE_DIM_CONST: the const parameter that a launch binds to the size */
} fe_dim;

typedef struct fe_param {
    str name;
    fe_param_kind kind;
    str type_text;    /* as written: `*T`, `static T[N, K]`, `int` */
    str generic;      /* name of the generic that gives the element type, or empty */
    dtype dt;         /* scalar, element, pointee; DT_NONE where generic, or a pointer to pointers */
    int pointers;     /* FE_P_POINTER: how many stars */
    bool optional;    /* may be None */
    bool is_static, scratch, scratch_zero, strided;
    bool is_fn;       /* const fn */
    bool from_tune;   /* a const parameter that @tune declares */
    bool extra;       /* brought by the fn bound to a const fn parameter (through *extra) */
    int rank;
    fe_dim dims[IR_MAX_RANK];
    fe_value dflt;    /* FE_P_CONST: FE_V_ABSENT where the launch must give it */
    int arg;          /* number in the source signature, as in ir_param */
} fe_param;

typedef struct fe_generic {
    str name;
    const dtype *list;
    uint32_t n;
} fe_generic;

/* one @tune line; every config is a list of bindings, products already multiplied out */
typedef struct fe_tune {
    str family; /* "cpu", "cuda", "hip", or empty: any */
    uint32_t nconfigs;
    const fe_binding *const *configs;
    const uint32_t *nbindings; /* of each config */
    const str *key;
    uint32_t nkey;
} fe_tune;

typedef struct fe_kernel {
    str name;
    span at;
    const fe_generic *generics;
    uint32_t ngenerics;
    const fe_param *params; /* in the order of the header; consts of @tune after them */
    uint32_t nparams;
    const fe_tune *tunes;
    uint32_t ntunes;
    bool has_grid;    /* by grid(..), persistent or stream: a launch may leave the grid out */
    bool cooperative;
    bool has_extra;   /* *extra */
} fe_kernel;

typedef struct fe_choice {
    const fe_binding *bind; /* generics (FE_V_DTYPE), consts, fns; FE_V_NONE for an optional that is absent */
    uint32_t n;
    int num_warps, num_stages, num_ctas, waves_per_eu; /* 0 = by @tune's default, else the target's choice */
} fe_choice;

/* api.c. NULL and diagnostics where the text is wrong */
fe_unit *fe_load(arena *a, diags *d, str path, str text, const fe_options *opt);
uint32_t fe_kernel_count(const fe_unit *u);
const fe_kernel *fe_kernel_at(const fe_unit *u, uint32_t i);
const fe_kernel *fe_kernel_find(const fe_unit *u, str name); /* NULL where there is none */
/* The kernel as it stands under a choice: with the parameters that a chosen fn adds through *extra. NULL and
 * diagnostics where the choice is wrong. */
const fe_kernel *fe_kernel_under(fe_unit *u, str name, const fe_choice *c);
/* Adds the kernel, its fns and its host function to `out`; *ir_name is the kernel's name there. False and diagnostics
 * where the source or the choice is wrong. */
MUST_USE bool fe_lower(fe_unit *u, str kernel, const fe_choice *c, ir_module *out, str *ir_name);
/* lower_check.c: every kernel, every combination; the same diagnostic at the same place is given once */
MUST_USE bool fe_check(fe_unit *u);
/* the AST as text (`--stage=ast`) */
void fe_print_ast(const fe_unit *u, strbuf *out);
/* "BM=32", "T=f16", "f=relu" as a binding: numbers, True, False, None, dtypes, strings in quotes, else the name of a
 * fn; false where it is none of these */
bool fe_parse_binding(arena *a, str text, fe_binding *out);

#endif
