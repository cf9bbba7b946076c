/* aot.h: what an ahead-of-time object and the library that runs it have to agree on: version 2.
 *
 * An object of `tilec build` holds, for each kernel, a table aot_kernel (its signature), and for each instance of it a
 * table aot_instance: how arguments reach the code, the host code for grid, checks and guards as lists of operations
 * (compiler/hostcode.h), and machine code for several levels of the processor, several times over under different
 * facts:
 *
 *   fast     indices fit 32 bits; addresses are multiples of 16 bytes, strided tensors have a last stride of 1, other
 *            strides are multiples of 16 elements
 *   narrow   indices fit 32 bits
 *   wide     nothing is assumed
 *   in place one for each pair of arguments that may be the same buffer, one of which is written, under no facts or
 *            (where asked for) under these
 *
 * Visible are a function a kernel and one an instance, and a tile_linked a kernel, by which tile_kernel_linked finds
 * its instances by their consts too. The functions put their arguments into an array of 64-bit words and call
 * tile_aot_launch_2; all of a kernel's instances, of every object of the program, stand in one section of the linked
 * file, tile_aot_NAME, so objects add up. Every field of the tables is eight bytes wide (or a host list): the code that
 * writes them (aot_tables.c) counts on it. What changes their meaning changes AOT_VERSION and the function's name.
 */
#ifndef TILE_RUNTIME_AOT_H
#define TILE_RUNTIME_AOT_H

#include "compiler/hostcode.h"
#include "runtime/tile.h"

#define AOT_VERSION 2
/* numbers of ops and types stand in host code: an object and a library of other tables must not meet */
#define AOT_TABLES ((int64_t)IR_CODE_COUNT << 32 | (int64_t)DT_COUNT << 16 | HOST_F64)

typedef enum aot_kind { AOT_SCALAR, AOT_POINTER, AOT_TENSOR } aot_kind;

/* a run-time parameter, in the order of the header */
typedef struct aot_param {
    str name, type;  /* the type as written */
    int64_t kind;    /* an aot_kind */
    int64_t dtype;   /* DT_NONE: by its generic, or a pointer to pointers */
    int64_t generic; /* -1: none */
    int64_t pointers, rank, strided;
    int64_t optional; /* scalars then cross as a pointer to one; NULL is None */
    int64_t is_float; /* AOT_SCALAR: crosses as a double, else as an int64_t */
} aot_param;

typedef struct aot_generic {
    str name;
    const dtype *list;
    int64_t n;
    int64_t by_tensor; /* some tensor argument tells it */
} aot_generic;

typedef struct aot_kernel {
    int64_t version, tables;
    str name;
    uint64_t signature; /* a hash of the header: kernels of one name and another header must not meet */
    const aot_param *params;
    const aot_generic *generics;
    int64_t nparams, ngenerics;
} aot_kernel;

/* a parameter of the machine code (abi.h) */
typedef struct aot_slot {
    str name;
    int64_t param; /* -1: scratch */
    int64_t kind;  /* an aot_kind */
    int64_t dtype, rank, strided;
    int64_t written, zero; /* zero: scratch that is cleared before each launch */
} aot_slot;

/* a size that the code was made for */
typedef struct aot_size {
    str name;
    int64_t param, dim, value;
} aot_size;

/* a const parameter: what it was made with */
typedef struct aot_const {
    str name, value; /* as -D takes it */
    int64_t given;   /* the kernel by itself has another */
} aot_const;

typedef struct aot_code {
    abi_entry *entry;
    int64_t buffer_bytes, grain, ordered; /* cpu_info */
    int64_t narrow, fast;
    int64_t same[2]; /* slots with one base; -1: none has */
} aot_code;

typedef struct aot_level {
    str name;
    uint64_t needs;        /* bits of aot_feature */
    const aot_code *codes; /* the first whose facts hold */
    int64_t ncodes;
} aot_level;

typedef struct aot_instance {
    const aot_kernel *kernel;
    str symbol;
    const dtype *dtypes;   /* by generic */
    const uint8_t *absent; /* by parameter: 1 = it was None */
    const aot_size *sizes;
    const aot_slot *slots;
    const host_code *host, *guards; /* NULL: none */
    const aot_level *levels;        /* best first */
    int64_t nsizes, nslots, nlevels;
    int64_t nwords; /* of the slots, the grid's included */
    int64_t has_grid, cooperative;
    const aot_const *consts;
    int64_t nconsts;
} aot_instance;

/* all that a program holds of a kernel */
struct tile_linked {
    const aot_kernel *kernel;
    const aot_instance *const *first, *const *last;
};

/* what a level needs of processor and system */
enum aot_feature {
    AOT_V2 = 1,
    AOT_V3 = 2,
    AOT_V4 = 4,
    AOT_BF16 = 8, /* avx512bf16 */
    AOT_VNNI = 16,
    AOT_AMX = 32,      /* amx-tile, amx-bf16, amx-int8, and leave to use their state */
    AOT_A64 = 64,      /* any aarch64 */
    AOT_A64_DOT = 128, /* lse, fp16, dotprod */
    AOT_A64_BF16 = 256 /* bf16, i8mm */
};

typedef struct aot_level_info {
    const char *name; /* "x86-64-v3": also the code generator's name of it */
    const char *arch; /* objects are of one */
    uint64_t needs;
} aot_level_info;

/* what CPUID and XGETBV say: registers of leaf 1, of leaf 7 (and its subleaf 1), of leaf 0x80000001; XCR0 */
typedef struct aot_x86 {
    uint32_t one_c, seven_b, seven_c, seven_d, seven1_a, ext_c;
    uint64_t state;
} aot_x86;

/* aot_cpu.c: best first; ends with a NULL name */
extern const aot_level_info aot_levels[];
/* ask_tiles: does the system give this process the registers of AMX? Asked only where all else is there */
uint64_t aot_x86_features(const aot_x86 *x, bool (*ask_tiles)(void));
uint64_t aot_arm_features(uint64_t hwcap, uint64_t hwcap2);
/* of these, what a machine that is no more than level `most` has; NULL, or no level: all */
uint64_t aot_features_below(uint64_t have, const char *most);
/* what this processor and this system have; TILE_CPU=x86-64-v3 says "no more than that" */
uint64_t aot_features(void);

/* one launch, by words as objects have them, or by arguments */
typedef struct aot_start {
    const aot_kernel *k;
    const aot_instance *const *first, *const *last;
    tile_device *dev;    /* NULL: the stream's, or the process's own */
    tile_stream *stream; /* NULL: the device's own */
    const int64_t *grid;
    const uint64_t *words; /* NULL: args */
    const tile_arg *args;
    uint32_t nargs;
    bool prepare; /* all of a launch but the launch */
    tile_error *err;
} aot_start;

bool aot_is_ours(const aot_kernel *k); /* of this version; else nothing else of it may be read */
int aot_launch(const aot_start *s);
/* aot_kernel.c: a launch of a kernel that tile_kernel_linked gave */
int aot_kernel_launch(tile_kernel *k, tile_stream *stream, const int64_t *grid, const tile_arg *args, int32_t nargs,
                      tile_error *err, bool really);

tile_device *aot_kernel_device(const tile_kernel *k);

/* aot_launch.c: called by objects. args: a word for each parameter of the kernel: an int64_t, the bits of a double, or
 * an address */
int tile_aot_launch_2(const aot_kernel *k, const aot_instance *const *first, const aot_instance *const *last,
                      tile_stream *stream, const int64_t *grid, const uint64_t *args, tile_error *err);

#endif
