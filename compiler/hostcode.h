/* hostcode.h: host functions (a kernel's grid, dimension checks and scratch sizes; its index guards) as a list of
 * operations on 64-bit words, which is evaluated in some tens of nanoseconds, at each launch, without the IR.
 *
 *   operation i puts its result into word i; operands name earlier words; arguments are read from the slots of abi.h
 *
 * Calls are inlined and an `if` becomes selects: host functions have no effects. One with a loop has no such list
 * (host_code_make gives NULL), and the interpreter evaluates it. The list is plain data: an ahead-of-time object can
 * hold it. host_code_run is in a file of its own that needs nothing of the IR.
 */
#ifndef TILE_COMPILER_HOSTCODE_H
#define TILE_COMPILER_HOSTCODE_H

#include "compiler/abi.h"

typedef enum host_opcode {
    HOST_CONST, /* values[in[0]] */
    HOST_SLOT,  /* slot in[0] */
    HOST_ELT,   /* op `elt` of the op table on words in[0..2], of type dt */
    HOST_CAST,  /* word in[0], of type `from`, as dt */
    HOST_SELECT,
    HOST_RESIDENT,
    HOST_STREAM, /* programs of stream-K over word in[0] tiles of in[1] steps */
    HOST_EXPECT, /* words in[0] (found) and in[1] must be equal, else checks[in[2]] failed */
    HOST_ADD,    /* from here on: i64, no type needed */
    HOST_SUB,
    HOST_MUL,
    HOST_DIV,
    HOST_MIN,
    HOST_MAX,
    HOST_LT,
    HOST_FADD, /* f64 */
    HOST_FMUL,
    HOST_FLE,
    HOST_FLT,
    HOST_F64 /* an i64 as f64 */
} host_opcode;

typedef struct host_op {
    uint8_t code, dt, from, flag;
    uint16_t elt, in[3];
} host_op;

/* what a failed check says: "PLACE dimension DIM of argument 'ARG' must equal 'TEXT': expected .., found .." */
typedef struct host_check {
    str place, arg, text;
    int64_t dim;
} host_check;

typedef struct host_code {
    const host_op *ops;
    const uint64_t *values;
    const host_check *checks;
    const uint16_t *results; /* words */
    uint32_t nops, nvalues, nchecks, nresults;
} host_code;

/* hostcode_make.c: NULL where h can't be written so */
host_code *host_code_make(arena *a, const ir_func *h);
/* hostcode.c: words: room for nops; results[nresults] as integers. NULL, or the check that failed, with the two values
 * in results[0] (expected) and results[1] (found) of a caller that has room for two */
const host_check *host_code_run(const host_code *h, const uint64_t *slots, const abi_device *dev, uint64_t *words,
                                int64_t *results);

#endif
