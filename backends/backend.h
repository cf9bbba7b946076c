/* backend.h: a target, as data and a handful of functions; and the one table of them.
 *
 * A back end takes a module of tile IR at the end of its own pipeline and gives text or bytes of a later stage. It
 * prints nothing: what goes wrong comes back as diagnostics. llvm-c stays behind this header.
 */
#ifndef TILE_BACKENDS_BACKEND_H
#define TILE_BACKENDS_BACKEND_H

#include "backends/cpu/image.h"
#include "compiler/ir.h"
#include "compiler/pass.h"

typedef enum backend_stage {
    STAGE_AST,
    STAGE_TIR,
    STAGE_LAID,
    STAGE_LLVM,
    STAGE_ASM,
    STAGE_BIN,
    STAGE_COUNT
} backend_stage;

typedef struct backend_target {
    str name;      /* as on the command line: "cpu", "cuda:sm_90a" */
    str chip;      /* "" = the host */
    str features;  /* "" = the host's */
    int opt_level; /* LLVM's, 0..3; default 2 */
} backend_target;

typedef struct tile_backend {
    const char *family; /* "cpu", "cuda", "hip" */
    const char *doc;
    const pass_id *pipeline;
    uint32_t npipeline;
    bool runs; /* this build can execute its code on some machine */
    /* true and text or bytes of `stage` for kernel `k` (LLVM text, assembly, object); diagnostics otherwise */
    bool (*emit)(arena *a, const ir_module *m, const ir_func *k, const backend_target *t, backend_stage stage, str *out,
                 diags *d);
    /* likewise from a text of stage llvm, which is read and verified: llvm prints it, asm and bin compile it */
    bool (*emit_llvm)(arena *a, str path, str text, const backend_target *t, backend_stage stage, str *out, diags *d);
    /* names of the chips it knows, for `tilec targets` and did-you-mean; n of them */
    const char *const *chips;
    uint32_t nchips;
    const char *const *chip_notes; /* beside chips, NULL where there is nothing to say; NULL: none has a note */
} tile_backend;

/* backend.c: the table, and a target parsed as "family:chip"; NULL beyond its end, and where there is none */
const tile_backend *backend_at(uint32_t i);
const tile_backend *backend_find(str target, backend_target *out, arena *a);
/* NULL, or why there is no code generator in this process: it is a library of its own that was not found */
const char *backend_missing(void);

/* ---- backends/cpu: code for this very machine ---- */
typedef struct cpu_info { /* what a launch has to know of a kernel's code; plain bytes, kept on disk with it */
    int64_t buffer_bytes; /* per thread */
    int64_t grain;        /* programs a claim is worth, at least 1 */
    int64_t ordered;      /* 1: may spin: start its programs in ascending order, one a claim */
} cpu_info;

typedef struct cpu_kernel {
    cpu_info info;
    abi_entry *entry;
    cpu_image image;
} cpu_kernel;

/* object.c: kernel k of m, which has been through the passes, as a relocatable object whose one function is CPU_ENTRY
 */
#define CPU_ENTRY "tile_kernel"
MUST_USE bool cpu_object(arena *a, const ir_module *m, const ir_func *k, int opt_level, str *object, cpu_info *info,
                         diags *d);
/* likewise for a named chip ("" = the host) */
MUST_USE bool cpu_object_for(arena *a, const ir_func *k, const backend_target *t, str *object, cpu_info *info,
                             diags *d);
/* explain.c: what becomes of a kernel, which has been through the passes; amounts of one program, and of one turn of
 * the `depth` loops around */
typedef struct cpu_fact {
    str file;
    uint32_t line; /* 0: not known */
    int depth;
    const char *what, *how; /* the op; "contiguous" */
    str why;                /* what is to be said beside: why it is not vectorised, extents of a product */
    bool vectorised;
    int lanes; /* 0: as its user's */
    int64_t bytes_read, bytes_written, flops;
} cpu_fact;
typedef struct cpu_facts {
    VEC(cpu_fact) list;
    int vector_bytes;
    int64_t buffer_bytes; /* of a thread, for tiles that don't fit registers */
} cpu_facts;
MUST_USE bool cpu_explain(arena *a, const ir_func *k, const backend_target *t, cpu_facts *out, diags *d);
/* what the host is, for `tilec targets`: "znver4 (avx512f,avx512bf16,...)" */
str cpu_host_describe(arena *a);
/* load.c: such an object made executable, until it is freed; false + *err (in `a`) where it can't be */
MUST_USE bool cpu_load(arena *a, str object, const cpu_info *info, cpu_kernel *out, str *err);
void cpu_kernel_free(cpu_kernel *k);
/* both: for tests and for those who keep nothing on disk */
MUST_USE bool cpu_make(arena *a, const ir_module *m, const ir_func *k, int opt_level, cpu_kernel *out, diags *d);
/* host.c: what code for this machine depends on, for cache keys */
str cpu_host_key(arena *a);

/* ---- GPUs: text for the driver, and what a launch has to know of it ---- */
typedef struct gpu_map { /* a tensor map that the kernel takes by value */
    int32_t param;       /* index of the ir_param, a tensor */
    int32_t rank;
    int64_t box[5];  /* extents, last dimension last */
    int32_t swizzle; /* bytes: 0, 32, 64, 128 */
    dtype dt;
} gpu_map;

typedef struct gpu_code {
    str text;             /* PTX */
    str symbol;           /* of the entry */
    int32_t threads;      /* of a block */
    int32_t cluster;      /* blocks of a cluster along x, 1 = none; a cluster runs one program */
    int64_t shared_bytes; /* dynamic, a block */
    uint32_t nslots;      /* parameters: slots of abi.h, grid first; then the maps: 128 bytes each, 64-aligned */
    const gpu_map *maps;
    uint32_t nmaps;
    int32_t min_blocks; /* a multiprocessor holds at least these: what it was compiled for; 0 = unknown */
    bool dependent;     /* waits for the launch before it by itself: may start while that one ends */
} gpu_code;

/* code for kernel k of m, which is at stage laid for target t; diagnostics otherwise */
bool gpu_compile(arena *a, const ir_module *m, const ir_func *k, const backend_target *t, gpu_code *out, diags *d);

/* ---- the code generators as a library of their own (backends/plug) ---- */
typedef struct tile_codegen {
    const char *build; /* both sides must be of one build: they share their structs */
    const tile_backend *(*at)(uint32_t i);
    const tile_backend *(*find)(str target, backend_target *out, arena *a);
    bool (*cpu_object)(arena *a, const ir_module *m, const ir_func *k, int opt_level, str *object, cpu_info *info,
                       diags *d);
    bool (*cpu_object_for)(arena *a, const ir_func *k, const backend_target *t, str *object, cpu_info *info, diags *d);
    bool (*cpu_explain)(arena *a, const ir_func *k, const backend_target *t, cpu_facts *out, diags *d);
    str (*cpu_host_describe)(arena *a);
    bool (*gpu_compile)(arena *a, const ir_module *m, const ir_func *k, const backend_target *t, gpu_code *out,
                        diags *d);
} tile_codegen;

/* a hash over the sources of everything that decides what code looks like (made by the Makefile) */
extern const char codegen_build_id[];

#endif
