/* aot_build.h: from a text of kernels to an ahead-of-time object and its header; what the files that do it share. */
#ifndef TILE_RUNTIME_AOT_BUILD_H
#define TILE_RUNTIME_AOT_BUILD_H

#include "runtime/aot.h"
#include "runtime/compile.h"

#define AOT_MOST_INSTANCES 16 /* of a kernel in an object */
#define AOT_MOST_LEVELS 16    /* of an architecture */
#define AOT_MOST_PAIRS 6      /* code for arguments that are one buffer */

enum { AOT_FAST = 1, AOT_NARROW = 2, AOT_WIDE = 4 };

typedef struct aot_request {
    str path, text, header_name;
    fe_options front;
    const str *kernels; /* --kernel; none: all */
    uint32_t nkernels;
    const fe_binding *bind; /* -D; a name given several times: an instance each */
    uint32_t nbind;
    const char *const *levels; /* names of aot_levels */
    uint32_t nlevels;
    bool exact;        /* a level that can't be had is a fault; else it is left out */
    str arch;          /* of the levels */
    uint32_t jobs;     /* levels compiled at a time */
    unsigned binaries; /* AOT_FAST | ..; 0: all */
    const str *pairs;  /* "a:b": arguments that may be one buffer, for each of `binaries`; NULL: all pairs, once */
    uint32_t npairs;
} aot_request;

typedef struct aot_made_code {
    uint32_t object; /* among aot_job.objects */
    cpu_info info;
    bool narrow, fast;
    int same[2];
    const char *what; /* "fast" */
} aot_made_code;

typedef struct aot_made_level {
    const aot_level_info *level;
    VEC(aot_made_code) codes;
} aot_made_level;

typedef struct aot_made {
    str symbol, note; /* note: what it was made for, "T=f16, BM=32" */
    dtype dtypes[16];
    uint8_t *absent;
    VEC(aot_size) sizes;
    VEC(aot_const) consts;
    ir_module *m;
    ir_func *k, *host, *guards;
    bool *written;
    bool tiles; /* it has products, which AMX is for */
    int *param; /* by ir_param: index among the kernel's parameters, -1 = scratch */
    host_code *host_list, *guard_list;
    VEC(aot_made_level) levels;
} aot_made;

typedef struct aot_made_kernel {
    const fe_kernel *fe;
    const fe_param **params; /* those that a launch brings */
    uint32_t nparams;
    uint64_t signature;
    VEC(aot_made) instances;
} aot_made_kernel;

typedef struct aot_job {
    arena *a;
    diags *d;
    const aot_request *q;
    const tile_backend *backend;
    fe_unit *unit;
    VEC(aot_made_kernel) kernels;
    VEC(str) objects; /* machine code; equal ones once */
    VEC(str) names;   /* of their local symbols */
    map64 known;      /* by hash: index among objects */
} aot_job;

/* aot_build.c: false and diagnostics */
MUST_USE bool aot_build(arena *a, diags *d, const aot_request *q, str *object, str *header);
bool aot_user_error(aot_job *j, const char *fmt, ...) STR_PRINTF(2, 3); /* false */
/* aot_code.c: m's code under the facts of `code`, for every level that is wanted; false and diagnostics */
MUST_USE bool aot_make_code(aot_job *j, str kernel, aot_made *m, aot_made_code code);
/* aot_tables.c: the object's tables and functions as LLVM text */
str aot_tables(aot_job *j);
/* aot_header.c: the C header */
str aot_header(aot_job *j);
/* how a parameter crosses */
aot_kind aot_param_kind(const fe_param *p);
bool aot_param_is_float(const aot_made_kernel *k, const fe_param *p);

#endif
