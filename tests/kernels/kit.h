/* kit.h: one launch of a library kernel, checked against its reference.
 *
 *   kt t;
 *   if (!kt_begin(&t, "rmsnorm", "rmsnorm", "%s %lldx%lld", ...)) return;      kernels/rmsnorm.tile, kernel rmsnorm
 *   double *x = kt_in(&t, DT_F16, FILL_NORMAL, 2, (int64_t[]){m, n});          arguments in the order of the header
 *   double *y = kt_out(&t, DT_F16, 2, (int64_t[]){m, n});
 *   kt_tol(&t, 1, 1e-6);                                                       of the output added last
 *   ref_rmsnorm(x, y, ...);                                                    fills in what is expected
 *   kt_end(&t);                                                                launches on each device, and compares
 *
 * Values are held as doubles, rounded to the argument's element type, in row-major order whatever the strides. Storage
 * is mapped so that it ends at a page without access. Outputs are poisoned before each launch; bytes that belong to no
 * element (the gaps of a strided tensor) must keep their poison, and inputs must keep their bits. An expected value of
 * NaN means NaN; a slack of infinity means that the reference leaves the element open.
 *
 * Of several CPU devices ("cpu:threads=3") each must give the bits that the first one gave: threads never change an
 * answer, nor does being compiled ahead of time (the device "aot").
 *
 * A float is right within ulps * ulp(want) + slack; the slack of sums comes from their length and magnitudes, an array
 * kt_slack gives, element by element. Integers are exact but for the slack.
 */
#ifndef TILE_TESTS_KERNELS_KIT_H
#define TILE_TESTS_KERNELS_KIT_H

#include "compiler/types.h"
#include "runtime/tile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum fill {
    FILL_NORMAL, /* floats around 0, most of them in -2 .. 2 */
    FILL_POS,    /* floats in 0.25 .. 2.25 */
    FILL_EDGE,   /* NaN, infinities, zeros, denormals, the largest and small numbers among normal ones */
    FILL_UNIT,   /* floats in 0 .. 1 */
    FILL_SMALL,  /* integers -8 .. 8, unsigned 0 .. 8 */
    FILL_BITS,   /* integers of any bit pattern */
    FILL_ZERO
} fill;

enum { KT_ARGS = 24, KT_DEFS = 12, KT_RANK = 5 };

typedef enum kt_kind { KT_IN, KT_OUT, KT_INOUT, KT_INT, KT_REAL, KT_NONE } kt_kind;

typedef struct kt_arg {
    kt_kind kind;
    dtype dt;
    bool pointer; /* crosses as a pointer, not as a tensor */
    int rank;
    int64_t sizes[KT_RANK], strides[KT_RANK];
    int64_t n, room; /* elements of the tensor, and of its storage */
    double *v;       /* in: values; out: what is expected */
    double *slack;   /* NULL: `tol` for all */
    double ulps, tol;
    void *data, *map, *before;
    void *first; /* what the first CPU device made of it */
    size_t map_bytes;
    int64_t i;
    double f;
} kt_arg;

typedef struct kt {
    arena a;
    const char *file, *kernel;
    char name[200];
    char defs[KT_DEFS][48];
    int ndefs, nargs;
    bool cpu_only; /* too slow for the interpreter */
    kt_arg arg[KT_ARGS];
} kt;

typedef struct kt_state {
    const char *devices[8];
    int ndevices;
    int aot_most;      /* instances of a kernel that "aot" builds */
    const char *build; /* the folder of this program, of tilec and of libtile_rt.a */
    const char *filter;
    bool verbose;
    bool large; /* the cases that follow are for threads: many programs, on CPU devices only */
    uint64_t rng;
    long passed, failed, skipped, launches;
} kt_state;
extern kt_state kts;

/* false: the filter leaves the case out, and there is nothing to end */
MUST_USE bool kt_begin(kt *t, const char *file, const char *kernel, const char *fmt, ...) STR_PRINTF(4, 5);
void kt_def(kt *t, const char *fmt, ...) STR_PRINTF(2, 3);
double *kt_in(kt *t, dtype dt, fill f, int rank, const int64_t *sizes);
double *kt_out(kt *t, dtype dt, int rank, const int64_t *sizes);
/* v: the values before; what is expected after must be put there before kt_end, which knows the old ones by itself */
double *kt_inout(kt *t, dtype dt, fill f, int rank, const int64_t *sizes);
void kt_int(kt *t, int64_t i);
void kt_real(kt *t, double f);
void kt_none(kt *t);
/* of the argument added last */
void kt_pointer(kt *t);
void kt_strides(kt *t, const int64_t *strides);
void kt_tol(kt *t, double ulps, double slack);
double *kt_slack(kt *t);
/* values changed after kt_in or kt_inout: rounded to the type and made the storage's */
void kt_set(kt *t);
void kt_end(kt *t);
/* what kt_end does, for results that are held to each other's bits: a launch on one device, false where it failed; then
 * the results are in arg[i].data; the end */
MUST_USE bool kt_run(kt *t, const char *device);
void kt_drop(kt *t);

double kt_round(dtype dt, double x);
double kt_eps(dtype dt); /* half a unit in the last place of 1 */
uint64_t kt_rng(void);
double kt_uniform(double lo, double hi);
double *kt_temp(kt *t, int64_t n); /* zeros, until kt_end */
void kt_fail(const char *fmt, ...) STR_PRINTF(1, 2);
/* covered.c: notes a launch; no kernel of kernels/ may be left out */
void kt_note(const char *file, const char *kernel);
void kt_check_covered(void);
/* launch.c: all that knows the runtime */
bool kt_launch(kt *t, const char *device, char *err, size_t nerr);
const tile_tensor *kt_tensor(const kt_arg *a, tile_tensor *out);
void kt_close_all(void);
void kt_running(const char *name, const char *device); /* main.c: for the message of a crash */

/* aot.c. False and *left_out: enough instances of the kernel were built */
bool kt_aot_launch(kt *t, bool *left_out, char *err, size_t nerr);
bool kt_aot_ran(const char *name); /* "file/kernel" */
void kt_aot_close(void);

/* the families */
void kt_elementwise(void);
void kt_norm(void);
void kt_softmax(void);
void kt_rope(void);
void kt_attention(void);
void kt_tokens(void);
void kt_matmul(void);
void kt_lines(void);
void kt_quant(void);
void kt_matvec(void);

#endif
