/* compile.h: from a text of any stage to a text of any later one, and the pieces that the JIT uses. */
#ifndef TILE_RUNTIME_COMPILE_H
#define TILE_RUNTIME_COMPILE_H

#include "backends/backend.h"
#include "frontend/frontend.h"

typedef enum compile_input { INPUT_TILE, INPUT_IR, INPUT_LLVM, INPUT_UNKNOWN } compile_input;

typedef struct compile_times {
    double load, lower, passes, code; /* seconds */
} compile_times;

typedef struct compile_request {
    str path, text;
    fe_options front;
    const fe_binding *bind; /* -D; num_warps and its kind among them */
    uint32_t nbind;
    str kernel; /* empty: all of the file, or the only one */
    const tile_backend *backend;
    backend_target target;
    backend_stage stage;
    pass_options passes;
    compile_times *times; /* NULL: not wanted */
} compile_request;

/* compile.c */
compile_input compile_input_of(str path); /* by suffix */
/* the text or bytes of q->stage; false and diagnostics */
MUST_USE bool compile(arena *a, diags *d, const compile_request *q, str *out);
/* stage `tir`: one kernel under a choice in a module of its own; NULL and diagnostics */
ir_module *compile_lower(arena *a, diags *d, fe_unit *u, str kernel, const fe_choice *c, str *ir_name);
/* stage `laid`: m through the target's passes, in place */
MUST_USE bool compile_passes(ir_module *m, diags *d, const tile_backend *be, const backend_target *t,
                             const pass_options *opt);

/* size.c: false and a diagnostic where a kernel is too long to be inlined */
MUST_USE bool compile_size_ok(const ir_module *m, diags *d);

/* choose.c: which values a kernel's generics and consts take */
typedef struct choice_list {
    VEC(fe_binding) bind;
    fe_choice choice; /* points into bind once choice_done was called */
} choice_list;
/* the @tune line that counts for a target family; NULL where there is none */
const fe_tune *choice_tune(const fe_kernel *k, const char *family);
/* the bindings of `bind` that kernel k has, and those of a config of @tune */
void choice_init(arena *a, choice_list *c, const fe_kernel *k, const fe_binding *bind, uint32_t n, const char *family,
                 uint32_t config);
void choice_set(arena *a, choice_list *c, str name, fe_value v); /* replaces one of that name */
const fe_binding *choice_get(const choice_list *c, str name);    /* NULL where there is none */
void choice_open_generics(arena *a, choice_list *c, const fe_kernel *k);
const fe_choice *choice_done(choice_list *c);
void choice_put_value(strbuf *b, const fe_value *v); /* as -D takes it */
/* every name of `bind` belongs to a kernel of u, or is reserved; diagnostics with the nearest name */
MUST_USE bool choice_check_names(diags *d, const fe_unit *u, const fe_binding *bind, uint32_t n);
/* the kernel of m named `want`, or its only one; NULL and a diagnostic */
const ir_func *choice_kernel(diags *d, const ir_module *m, str want);
/* "BM=32" strings as bindings; false + *err */
MUST_USE bool choice_parse(arena *a, const str *text, uint32_t n, fe_binding *out, str *err);

#endif
