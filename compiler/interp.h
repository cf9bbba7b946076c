/* interp.h: the IR interpreter: executes functions on host arrays, one program after the other in ascending order.
 *
 * It is the oracle for every pass and back end: slow, plain, with no optimisation of its own. Tiles are by value.
 * Programs of a cooperative kernel run as coroutines that switch at atomics. Memory is read and written at the caller's
 * addresses; with `bounds` given, an access outside every listed range is a fault that names the op's line, the program
 * and the index.
 */
#ifndef TILE_COMPILER_INTERP_H
#define TILE_COMPILER_INTERP_H

#include "compiler/abi.h"

typedef struct interp_range {
    const char *name; /* argument, for messages */
    uint64_t base, bytes;
} interp_range;

typedef struct interp_options {
    abi_host *host;     /* print and fault; NULL: printing is dropped, faults only come back in err */
    bool check_asserts; /* device_assert is live */
    const interp_range *bounds;
    uint32_t nbounds;
    uint64_t max_ops; /* stop with an error after so many ops executed (one more per 64 elements); 0 = none */
    uint64_t max_bytes; /* most memory that the values of a program may take; 0 = 2 GiB */
} interp_options;

/* interp.c; arenas of their own, freed before return; false + *err (in `a`) on a fault */
bool interp_kernel(arena *a, const ir_func *k, const uint64_t *args, const interp_options *opt, str *err);
/* results[n]: as ir_func_kind says; false + *err where an expect_eq fails (the message names argument, dimension and
 * both values) */
bool interp_host(arena *a, const ir_func *h, const uint64_t *args, const abi_device *dev, int64_t *results, uint32_t n,
                 str *err);

#endif
