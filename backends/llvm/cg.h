/* cg.h: what every LLVM back end shares: one context a compile, with its types, constants, intrinsics and emission.
 *
 * Types. A number of dtype d is held as: bool i1, integers as themselves, f16 half, bf16 i16 (its bits: LLVM's bfloat
 * arithmetic rounds and flushes in ways that differ by chip), f32, f64, 8-bit floats i8 (their bits). In memory a bool
 * is an i8. `lanes` 1 means a scalar, more a vector of so many; one function emits both.
 *
 * Numerics. No fast-math flag is ever set and nothing is contracted: fma stands only where the tile IR says fma, and in
 * the polynomials of math.c, whose error is measured (docs/math.md).
 *
 * Errors. LLVM reports some faults through the context's diagnostic handler, and ends the process through its fatal
 * error handler on others. cg_protect turns both into text: the second by longjmp, leaking what LLVM held.
 */
#ifndef TILE_BACKENDS_LLVM_CG_H
#define TILE_BACKENDS_LLVM_CG_H

#include "backends/backend.h"
#include "compiler/ir.h"

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

typedef enum cg_intrin {
    CGI_NONE,
#define INTRIN(id, name, ntypes) CGI_##id,
#include "backends/llvm/intrin.def"
#undef INTRIN
    CGI_COUNT
} cg_intrin;

/* what LLVM said; shared by the diagnostic handler, which may be called several times */
typedef struct cg_errors {
    arena *a;
    strbuf text;
    uint32_t n;
    bool ended; /* memory did, in the protected call */
} cg_errors;

typedef struct cg_target {
    const char *triple, *cpu, *features; /* NUL-terminated */
    int opt_level;
    const char *pipeline; /* LLVM's passes; NULL: target.c's own for the level */
    bool debug_lines;
} cg_target;

typedef struct cg {
    arena *a;
    LLVMContextRef cx;
    LLVMModuleRef mod;
    LLVMBuilderRef b;
    LLVMTargetMachineRef tm;
    LLVMTypeRef t_void, i1, i8, i16, i32, i64, f16, f32, f64, ptr;
    LLVMValueRef fn; /* the function being built */
    cg_target target;
    cg_errors errors;
    int vector_bytes; /* of the widest registers worth using */
    bool scalef;      /* AVX-512's vscalefps */
    unsigned intrin_id[CGI_COUNT];
    struct cg_debug *debug; /* NULL: no lines */
} cg;

typedef LLVMValueRef lval;
typedef LLVMTypeRef lty;
typedef LLVMBasicBlockRef lblock;

/* context.c */
void cg_init(cg *c, arena *a, const cg_target *t);
bool cg_open(cg *c, const char *module_name); /* false: c->errors says why */
void cg_close(cg *c);
lty cg_num(cg *c, dtype d);      /* in a register */
lty cg_mem(cg *c, dtype d);      /* in memory */
lty cg_vec(lty elem, int lanes); /* the element itself where lanes is 1 */
int cg_lanes(lval v);
lty cg_elem_of(lval v);
lty cg_as_int(cg *c, lty t); /* integers as wide as the elements of t */
int cg_width(lty t);         /* bits of an element (integers, floats) */
lval cg_i32(cg *c, int64_t x);
lval cg_i64(cg *c, int64_t x);
lval cg_int(lty t, int64_t x); /* of scalar or vector type t, every lane */
lval cg_real(lty t, double x); /* likewise, exact in t */
lval cg_const(cg *c, dtype d, uint64_t bits, int lanes);
lval cg_splat(cg *c, lval scalar, int lanes);
lval cg_iota(cg *c, lty elem, int lanes, int64_t start, int64_t step);
lval cg_gep(cg *c, lty elem, lval p, lval i);
lval cg_load(cg *c, lty t, lval p, unsigned align);
lval cg_store(cg *c, lval v, lval p, unsigned align);
lval cg_extract(cg *c, lval v, int lane);
lval cg_insert(cg *c, lval v, lval x, int lane);
lval cg_shuffle(cg *c, lval x, lval y, const int *order, int n);
lval cg_bits(cg *c, lval v, lty t); /* bitcast, nothing where the type is t */
lval cg_sel(cg *c, lval cond, lval x, lval y);
lval cg_icmp(cg *c, LLVMIntPredicate p, lval x, lval y);
lval cg_fcmp(cg *c, LLVMRealPredicate p, lval x, lval y);
lblock cg_block(cg *c, const char *name);
void cg_at(cg *c, lblock b);
lblock cg_here(cg *c);
void cg_attr(cg *c, lval fn, const char *name, const char *value); /* value NULL: an enum attribute */
void cg_fn_attrs(cg *c, lval fn);                                  /* target-cpu, target-features, nounwind and such */
lval cg_text(cg *c, str s);                                        /* address of a private NUL-terminated string */
bool cg_has(const cg *c, const char *feature);                     /* "+avx512f" among the features */
bool cg_x86(const cg *c);
int cg_widest(const cg *c); /* bytes of the vectors worth using */

/* intrin.c: by id, resolved once a context; types are the overload types */
lval cg_call(cg *c, cg_intrin id, const lty *types, uint32_t ntypes, const lval *args, uint32_t nargs);
lval cg_call1(cg *c, cg_intrin id, lval x); /* overloaded on the type of x */
lval cg_call2(cg *c, cg_intrin id, lval x, lval y);
lval cg_fma(cg *c, lval x, lval y, lval z);

/* elt.c, convert.c: one elementwise op on values of so many lanes */
typedef struct cg_elt_op {
    ir_code code;
    dtype from, to; /* element types of operand 0 (of operand 1 for select) and of the result; DT_NONE = pointer */
    bool nan, rtz;
    int lanes;
} cg_elt_op;
lval cg_elt(cg *c, const cg_elt_op *e, const lval *in);
lval cg_cast(cg *c, lval x, dtype from, dtype to, bool rtz, int lanes);
lval cg_to_f32(cg *c, lval x, dtype from, int lanes); /* f16, bf16, f32: exact */
lval cg_from_f32(cg *c, lval x, dtype to, int lanes); /* f16, bf16, f32: rounded once */

/* atomic.c: an atomic on the element at p; v: what it takes (two of a compare-and-swap); gives the old element */
typedef struct cg_atomic {
    dtype dt;
    bool cas;
    bool swap;         /* by compare-and-swap, whatever there is */
    bool fadd;         /* the target adds f16, f32 and f64 itself */
    int64_t rmw, sem;  /* enums.def */
    const char *scope; /* LLVM's name of the synchronisation scope; "" is the whole system */
} cg_atomic;
lval cg_atomic_one(cg *c, const cg_atomic *x, lval p, const lval *v);

/* math.c, math_trig.c, math_erf.c: mathematics on f32 (vectors or scalars); f64 calls the C library a lane */
lval cg_math(cg *c, ir_code code, lval x);
lval cg_math_poly(cg *c, lval x, const double *coef, int n); /* Horner, highest first, by fma */
lval cg_sincos(cg *c, lval x, bool cosine);
lval cg_erf(cg *c, lval x);
lval cg_erf_16(cg *c, lval x); /* math_erf.c: on AVX-512 */

/* target.c */
bool cg_target_machine(cg *c);
bool cg_verify(cg *c);
bool cg_optimise(cg *c);
bool cg_emit(cg *c, LLVMCodeGenFileType type, LLVMMemoryBufferRef *out);
str cg_print(cg *c, arena *a); /* the module's text */
char *cg_host_cpu(arena *a);
char *cg_host_features(arena *a);
char *cg_host_triple(arena *a);

/* emit_text.c: a text of stage llvm, read, verified, and printed or compiled */
bool cg_emit_text(arena *a, str path, str text, const cg_target *t, backend_stage stage, str *out, diags *d);

/* error.c */
void cg_errors_init(cg_errors *e, arena *a);
void cg_error(cg_errors *e, const char *fmt, ...) STR_PRINTF(2, 3);
void cg_watch(cg *c); /* the context's diagnostics go to c->errors */
/* fn(ctx), or false with the text of a fatal LLVM error in e; fn's own result otherwise. Where memory ended, false and
 * e->ended: the caller lets go of what it holds and passes that on, as cg_pass_on does */
bool cg_protect(cg_errors *e, bool (*fn)(void *ctx), void *ctx);
void cg_pass_on(cg *c); /* after cg_protect with c->errors: where memory ended, closes c and raises */

/* debug.c */
void cg_debug_begin(cg *c, const ir_func *f);
void cg_debug_loc(cg *c, const ir_module *m, ir_loc loc);
void cg_debug_end(cg *c);

#endif
