/* interp_impl.h: what the interpreter's files share; private to compiler/interp*.c.
 *
 * A running program is a stack of frames, one a function activation. A frame holds one buffer a value, made when the
 * value is first computed and written anew each time, so loops and later programs need no more memory than one pass
 * through the function. No two values share a buffer: an op reads its operands and writes its results, and yields copy.
 * Buffers are
 *
 *   number, pointer   one element (dt_bytes, or 8)        tile     its elements, packed, row-major
 *   tensor            an itensor
 *
 * A function that may fault returns false after interp_fault, and everything unwinds. Running out of the memory allowed
 * longjmps to the start of the program, which makes it a fault as well.
 */
#ifndef TILE_COMPILER_INTERP_IMPL_H
#define TILE_COMPILER_INTERP_IMPL_H

#include "base/base.h"
#include "compiler/interp.h"

#include <string.h>

#define INTERP_MAX_DEPTH 400 /* nested regions and calls */

typedef struct itensor {
    uint64_t base;
    int64_t size[IR_MAX_TENSOR_RANK], stride[IR_MAX_TENSOR_RANK];
    bool outside; /* a view whose index was outside: no element is inside, whatever the rank */
} itensor;

struct coop;  /* scheduler of programs side by side */
struct ipart; /* what runs a partition (interp_laid.h) */
struct async_queue;

/* the blocks of a cluster: programs of one number, side by side */
#define INTERP_MAX_CLUSTER 16
struct icluster {
    int n, arrived;    /* at the barrier */
    uint64_t barriers; /* passed */
    int ended;         /* partitions of blocks */
    struct frame *frame[INTERP_MAX_CLUSTER]; /* by rank */
};

typedef struct interp {
    const interp_options *opt;
    const abi_device *dev; /* host functions only */
    arena *out;            /* the caller's, for err */
    str err;
    bool failed;
    int64_t grid[3];
    uint64_t ops;        /* executed so far, as max_ops counts */
    uint64_t changes;    /* stores and atomics that may have changed memory */
    uint64_t idle_polls; /* atomics since the last change */
    uint32_t last_range; /* of opt->bounds, where the last access was */
} interp;

typedef struct program {
    interp *x;
    struct coop *coop;     /* NULL: runs to its end at once */
    arena frames, scratch; /* scratch: stack discipline within one op */
    int64_t pid[3];
    int depth;
    size_t max_bytes;
    struct ipart *part;        /* NULL outside of partitions */
    struct icluster *cluster;  /* NULL where programs are alone */
    int rank;                  /* in it */
    struct async_queue *async; /* NULL until the first asynchronous op */
    str label;                 /* for messages about deadlocks */
    struct frame *wait_frame;  /* what it waits at, while it does */
    ir_op wait_op;             /* 0: it does not */
} program;

typedef struct frame {
    program *p;
    const ir_func *f;
    void **v; /* by value id; NULL until computed */
} frame;

/* elements as other types than they were written with */
typedef uint8_t __attribute__((may_alias)) ua8;
typedef uint16_t __attribute__((may_alias)) ua16;
typedef uint32_t __attribute__((may_alias)) ua32;
typedef uint64_t __attribute__((may_alias)) ua64;

/* interp.c */
bool interp_fault(frame *fr, ir_op o, const char *fmt, ...) STR_PRINTF(3, 4); /* always false */
bool interp_region(frame *fr, ir_region r);
void *interp_buf(frame *fr, ir_val v); /* the value's buffer, made if need be */
size_t interp_type_bytes(const ir_module *m, ir_type t);
/* called before an atomic or a barrier: lets the other programs of a cooperative kernel run; false on a deadlock */
bool interp_poll(frame *fr, ir_op o);

/* interp_coop.c */
bool interp_coop_run(interp *x, const ir_func *k, const uint64_t *args, size_t max_bytes);
bool interp_cluster_run(interp *x, const ir_func *k, const uint64_t *args, size_t max_bytes);
bool interp_coop_switch(program *p); /* false: everything is to unwind */
/* gives way until something may have changed; false: everything is to unwind. A fault where nothing else runs. */
bool interp_wait(frame *fr, ir_op o);
typedef bool coop_main(program *p, void *job);
typedef struct coop_jobs {
    int64_t n;
    coop_main *main;
    char *job; /* n of job_bytes each */
    size_t job_bytes, max_bytes; /* of memory for all together */
    struct frame *outer;         /* of the program they are parts of, at op `at`; or NULL */
    ir_op at;
} coop_jobs;
/* each job on a stack and in a program of its own, in turns until all have ended; false on a fault */
bool interp_coop_jobs(interp *x, const ir_func *f, const coop_jobs *jobs);

/* interp.c, for interp_coop.c */
void interp_program_init(program *p, interp *x, size_t max_bytes);
void interp_program_fini(program *p);
frame *interp_frame_new(program *p, const ir_func *f);
void interp_set_args(frame *fr, const uint64_t *args);
bool interp_run(frame *fr, ir_region r); /* with memory's end turned into a fault */
bool interp_run_program(frame *fr);      /* the body */

/* interp_elt.c */
bool interp_elt(frame *fr, ir_op o);
/* d[n] = a[n] code b[n], elements of type dt; d may be a or b */
void interp_binary(ir_code code, dtype dt, bool nan, int64_t n, void *d, const void *a, const void *b);
void interp_get_ints(int64_t *d, dtype dt, const void *src, int64_t n); /* unsigned 64-bit values keep their bits */
void interp_put_ints(void *dst, dtype dt, const int64_t *s, int64_t n); /* wrap */
void interp_get_floats(double *d, dtype dt, const void *src, int64_t n);
void interp_put_floats(void *dst, dtype dt, const double *s, int64_t n); /* round to nearest even */

/* interp_shape.c */
bool interp_shape(frame *fr, ir_op o);

/* interp_mem.c */
/* one element of es bytes at a host's address; false after a fault */
bool interp_read_elem(frame *fr, ir_op o, uint64_t at, size_t es, void *d);
bool interp_write_elem(frame *fr, ir_op o, uint64_t at, size_t es, const void *s);
bool interp_update_elem(frame *fr, ir_op o, uint64_t at, dtype dt, const void *s, void *old); /* by o's `rmw` */
bool interp_mem(frame *fr, ir_op o);
bool interp_tensor(frame *fr, ir_op o);

/* interp_tile.c */
bool interp_tile(frame *fr, ir_op o);
/* c[M,N] += a[M,K] b[K,N], all packed, as `dot` computes it */
void interp_product(arena *scratch, int64_t m, int64_t n, int64_t k, dtype da, const void *a, dtype db, const void *b,
                    dtype dc, void *c);

/* interp_laid.c: ops of the laid-out stage */
bool interp_laid(frame *fr, ir_op o);
size_t interp_laid_bytes(const ir_type_info *t); /* of a shared tile, channel or token */
/* no operand is the result of a wgmma in flight, unless o may have one; false after a fault */
bool interp_check_landed(frame *fr, ir_op o);
bool interp_finish_async(frame *fr); /* the end of a program or partition */

/* operands and results of op o */
static inline ir_type in_type(const frame *fr, ir_op o, uint32_t i) { return ir_vtype(fr->f, ir_in(fr->f, o, i)); }
static inline ir_type out_type(const frame *fr, ir_op o, uint32_t i) { return ir_vtype(fr->f, ir_out(fr->f, o, i)); }
static inline const void *in_data(const frame *fr, ir_op o, uint32_t i) { return fr->v[ir_in(fr->f, o, i).id]; }
static inline void *out_data(frame *fr, ir_op o, uint32_t i) { return interp_buf(fr, ir_out(fr->f, o, i)); }

/* the number type that elements of t are held as; pointers are u64 */
static inline dtype elem_dt(const ir_module *m, ir_type t)
{
    dtype dt = ir_type_dt(m, t);
    return dt == DT_NONE ? DT_U64 : dt;
}

static inline size_t elem_bytes(const ir_module *m, ir_type t) { return (size_t)dt_bytes(elem_dt(m, t)); }

static inline int64_t in_int(const frame *fr, ir_op o, uint32_t i)
{
    int64_t x;
    interp_get_ints(&x, elem_dt(fr->f->m, in_type(fr, o, i)), in_data(fr, o, i), 1);
    return x;
}

/* one element of es = 1, 2, 4 or 8 bytes, at any alignment */
static inline void copy_elem(void *d, const void *s, size_t es)
{
    switch (es) {
    case 1: memcpy(d, s, 1); break;
    case 2: memcpy(d, s, 2); break;
    case 4: memcpy(d, s, 4); break;
    case 8: memcpy(d, s, 8); break;
    default: bug("element of %zu bytes", es);
    }
}

#endif
