/* run.h: the operator matrix: every builtin, dtype and shape class on every device, against references in C.
 *
 * A case is the text of one kernel, its arguments in the order of its header, and for each output the value that every
 * element must have. case_end runs it on each device of the list:
 *
 *   inputs     random, with the edges of their dtype among them (NaN, infinities, denormals, signed zeros, MIN, shifts
 * by the width); each in a mapping of its own that ends at a page without access, so a lane that is masked off and
 * touches memory all the same ends the run with a message outputs    poisoned before each run; compared with the
 * reference, then bit for bit with those of the first device where the case says so
 *
 * A reference is a `num`: exact as an integer, a double as a float, or "anything" where the language leaves it open. A
 * float is right when it is within `ulps` of the reference in its own format (0: the reference, rounded once, to the
 * bit, but for the payload of NaNs) or within `slack`, an absolute bound that sums bring from their length and
 * magnitudes.
 */
#ifndef TILE_TESTS_RUN_H
#define TILE_TESTS_RUN_H

#include "base/base.h"
#include "compiler/types.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

typedef struct num {
    wide i;   /* bool and integers: the value before it wraps */
    double f; /* floats: the value before it is rounded */
    bool any;
    dtype of; /* the value was read from these bits of this type: a move keeps them */
    uint64_t bits;
} num;

typedef enum pattern {
    PAT_EDGE,  /* special values first, then any bit pattern */
    PAT_REAL,  /* floats in -4 .. 4; integers in -100 .. 100, unsigned 0 .. 100 */
    PAT_POS,   /* floats in 0.25 .. 4; integers 1 .. 100 */
    PAT_SMALL, /* integers -4 .. 4 in any dtype, unsigned 0 .. 7: sums of them are exact */
    PAT_SHIFT, /* integers from -2 to the width + 2 */
    PAT_ANGLE  /* floats over all magnitudes that sin and cos are meant for */
} pattern;

typedef enum arg_kind { ARG_IN, ARG_OUT, ARG_INOUT, ARG_INT, ARG_REAL, ARG_NONE } arg_kind;

#define RUN_MAX_ARGS 24

typedef struct rarg {
    const char *name;
    arg_kind kind;
    dtype dt;
    int64_t n; /* elements */
    void *data;
    void *map; /* the mapping, guard pages included */
    size_t map_bytes;
    int rank; /* of a tensor; 0: a pointer */
    int64_t sizes[5], strides[5];
    int64_t i; /* ARG_INT */
    double f;  /* ARG_REAL */
    num *want; /* outputs */
    double ulps, slack;
    void *before; /* contents before the first run (ARG_INOUT) */
    void *first;  /* contents after the run on the first device */
} rarg;

typedef struct rcase {
    arena a;
    str name;
    strbuf src;
    rarg arg[RUN_MAX_ARGS];
    int nargs;
    bool loose;          /* devices may differ within the tolerance */
    const char *only;    /* NULL: every device */
    const char *prints;  /* all that it prints, a line a call; NULL: nothing is looked at */
    const char *fault;   /* the launch must fail with a text that holds this; NULL: succeed */
    const int64_t *grid; /* NULL: the header's */
    const char *bind[8]; /* "BLOCK=32", ends with NULL */
} rcase;

/* what a run is about, and its counts */
typedef struct run_state {
    const char *devices[8];
    int ndevices;
    bool checked; /* modules are opened so */
    const char *family; /* run only this one */
    const char *filter; /* run only cases whose name holds it */
    uint64_t every;     /* and of these one in so many; 0: all */
    uint64_t seed;      /* of the run */
    uint64_t state;     /* of the generator: begins anew with every case, from the seed and the case's name */
    long cases, runs, rejected, skipped, failures;
    bool verbose;
} run_state;
extern run_state run;
void run_begin(const rcase *c, const char *device); /* main.c: notes what runs, for the message of a crash */

/* data.c */
uint64_t run_rng(void);
void *run_map(size_t bytes, void **map,
              size_t *map_bytes); /* ends at a page without access; so does what is before it */
uint64_t run_bits(dtype dt, const void *p, int64_t i);
void run_put(dtype dt, void *p, int64_t i, uint64_t bits);
num run_num(dtype dt, uint64_t bits);
num run_int(wide x);
num run_real(double x);
num run_any(void);
/* the bits that `x` becomes in dt */
uint64_t run_round(dtype dt, num x);
num run_cast(dtype to, dtype from, num x); /* as a conversion gives it */
void run_fill(dtype dt, void *p, int64_t n, pattern pat, int salt);
/* "" or what is wrong with element i */
bool run_same(const rarg *a, int64_t i, char *why, size_t nwhy);

/* case.c */
void case_begin(rcase *c, const char *fmt, ...) STR_PRINTF(2, 3);
bool case_skip(rcase *c); /* true: filtered out, and dropped */
rarg *case_in(rcase *c, const char *name, dtype dt, int64_t n, pattern pat);
rarg *case_out(rcase *c, const char *name, dtype dt, int64_t n, double ulps);
rarg *case_inout(rcase *c, const char *name, dtype dt, int64_t n, pattern pat, double ulps);
void case_int(rcase *c, const char *name, int64_t x);
void case_real(rcase *c, const char *name, double x);
void case_none(rcase *c, const char *name);
/* the argument as a packed tensor of these sizes */
rarg *case_tensor(rarg *a, int rank, const int64_t *sizes);
num case_get(const rarg *a, int64_t i);
void case_line(rcase *c, const char *fmt, ...) STR_PRINTF(2, 3); /* a line of the kernel's text */
void case_end(rcase *c);
/* the text must be refused, with a diagnostic that has a place and holds `needle` */
void case_rejects(const char *needle, const char *text, const char *fmt, ...) STR_PRINTF(3, 4);
void run_fail(const char *fmt, ...) STR_PRINTF(1, 2);

/* device.c: all that knows the runtime */
/* the kernel `k` of the text on a device; false + *err (in `a`) */
bool device_run(arena *a, const char *device, str text, const rcase *c, str *err);
/* true and the diagnostics where the text is refused */
bool device_rejects(arena *a, str text, str *diagnostics);
/* did the last launch run code whose indices have 32 bits? -1: it ran no code, or failed */
int device_narrow(void);
const char *device_printed(void); /* by the last launch */
void device_close_all(void);

/* the families */
void run_elementwise(void);
void run_casts(void);
void run_maths(void);
void run_reductions(void);
void run_scans(void);
void run_sorts(void);
void run_shapes(void);
void run_memory(void);
void run_tensors(void);
void run_atomics(void);
void run_dots(void);
void run_random(void);
void run_control(void);
void run_programs(void);
void run_large(void);
void run_others(void);
void run_gpus(void);
/* others.c: builtins that a case calls, and whether none was left out */
void run_note_builtins(const char *text);
void run_check_builtins(void);

/* dtype classes */
enum { CL_BOOL = 1, CL_INT = 2, CL_UINT = 4, CL_FLOAT = 8, CL_F8 = 16, CL_INTS = 6, CL_NUM = 14, CL_ALL = 31 };
static inline int class_of(dtype dt) { return 1 << dtypes[dt].kind; }
#define FOR_DTYPES(dt) for (dtype dt = (dtype)(DT_NONE + 1); dt < DT_COUNT; dt++)

#endif
