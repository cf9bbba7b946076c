/* gpu.h: from laid-out tile IR to LLVM IR, for every GPU; private to backends/gpu, nvptx and amdgpu.
 *
 * A block of threads runs one program. A tile is an array of LLVM scalars in each thread: register number r of the
 * thread at (lane, warp, block) holds the element that the tile's layout says. So elementwise ops are loops over
 * registers here, control flow carries a phi a register, and only the ops that move data between threads emit more.
 *
 *   kernel.c   the function: parameters, shared memory, partitions, blocks of control flow
 *   index.c    coordinates and shared-memory offsets from layouts
 *   tile.c     ops on registers: elementwise, shapes, constants
 *   memory.c   global and shared loads and stores, copies
 *   atomic.c   atomics on global memory
 *   reduce.c   reductions and conversions: registers, lanes, warps, blocks
 *   async.c    channels, tensor maps, matrix units, awaits
 *
 * What a family of chips does its own way is a gpu_ops, a table of functions over the code generator (nvptx.c).
 * Addresses of shared memory are i32 offsets from the start of the shared window, as the machine has them.
 */
#ifndef TILE_BACKENDS_GPU_GPU_H
#define TILE_BACKENDS_GPU_GPU_H

#include "backends/backend.h"
#include "backends/llvm/cg.h"
#include "compiler/layout.h"

#define GPU_MAX_MAPS 16
#define GPU_MAX_PARTS 8
#define GPU_WORDS 4 /* 32-bit words of the widest access */

/* one row of chips.def */
typedef struct gpu_chip {
    const char *name, *cpu, *features;
    int lanes;            /* of a warp */
    int64_t shared_bytes; /* a block may have */
    int64_t registers;    /* of a multiprocessor */
    bool has_wgmma, has_tma, has_mma, has_cp_async, has_cluster, has_stmatrix, has_set_regs, has_depend;
} gpu_chip;

typedef enum gpu_sreg {
    SREG_TID,
    SREG_CTAID_X,
    SREG_CTAID_Y,
    SREG_CTAID_Z,
    SREG_NCTAID_X,
    SREG_NCTAID_Y,
    SREG_NCTAID_Z,
    SREG_CLUSTER_RANK
} gpu_sreg;
typedef enum gpu_wait { WAIT_NONE, WAIT_WGMMA, WAIT_BULK, WAIT_CP } gpu_wait;
typedef enum gpu_approx { APPROX_EXP2, APPROX_TANH, APPROX_RSQRT, APPROX_RCP } gpu_approx;

/* a matrix unit's operands, element types and shape */
typedef struct gpu_mma {
    dtype a, b, acc;
    int n, k; /* of one instruction; m is 64 a warpgroup, or 16 a warp */
    lval *c;  /* accumulator registers, replaced by the results */
    int nc;
    lval a_regs[4], a_desc; /* 32-bit words, or a shared-memory descriptor where a_desc */
    lval b_regs[4], b_desc;
    int na, nb;
    bool a_trans, b_trans; /* descriptors: the other dimension is contiguous */
    lval scale;            /* bool: c counts (NULL: yes) */
    bool zero;             /* c counts as 0 and is not read */
} gpu_mma;

/* Target operations. Addresses `sh` are i32 shared addresses, `pred` an i1 or NULL for always. */
typedef struct gpu_ops {
    lval (*sreg)(cg *c, gpu_sreg r);                              /* i32 */
    lval (*uniform)(cg *c, lval x);                               /* i32 that is the same in a warp, known to be */
    lval (*shuffle_xor)(cg *c, lval x, int mask);                 /* of 32 bits */
    void (*barrier)(cg *c, int id, lval dynamic_id, int threads); /* dynamic_id: added to id; NULL = none */
    void (*barrier_arrive)(cg *c, int id, lval dynamic_id, int threads);
    void (*warp_sync)(cg *c);
    void (*fence_async)(cg *c);
    void (*set_regs)(cg *c, bool up, int n);
    /* mbarriers */
    void (*mbar_init)(cg *c, lval sh, int count);
    void (*mbar_init_fence)(cg *c);
    void (*mbar_wait)(cg *c, lval sh, lval parity);
    void (*mbar_expect)(cg *c, lval sh, int bytes, lval pred);
    void (*mbar_arrive)(cg *c, lval sh, lval pred);
    void (*mbar_arrive_remote)(cg *c, lval sh, lval rank, lval pred); /* at the barrier there in block `rank` */
    /* tensor maps: coordinates innermost first; multicast: mask of the blocks that get the box, 0 = this one */
    void (*tma_load)(cg *c, lval sh, lval map, const lval *coord, int rank, lval mbar, int multicast, lval pred);
    void (*tma_store)(cg *c, lval sh, lval map, const lval *coord, int rank, int rmw, lval pred); /* rmw -1: plain */
    void (*bulk_commit)(cg *c, lval pred);
    void (*bulk_wait)(cg *c, int pending, bool source, lval pred);
    void (*cp_async)(cg *c, lval sh, lval from, int bytes, lval pred); /* pred false: zeros */
    void (*cp_arrive)(cg *c, lval sh); /* at an mbarrier, once this thread's copies so far are done */
    void (*cp_commit)(cg *c);
    void (*cp_wait)(cg *c, int pending);
    /* matrix units */
    void (*wgmma_fence)(cg *c);
    void (*wgmma)(cg *c, gpu_mma *m);
    void (*wgmma_commit)(cg *c);
    /* v[n]: f32 registers that the wait gives anew; held[nu]: 32-bit words that stay untouched until then */
    void (*wgmma_wait)(cg *c, int pending, lval *v, int n, const lval *held, int nu);
    void (*mma)(cg *c, gpu_mma *m);
    void (*ldmatrix)(cg *c, lval sh, bool trans, lval out[4]); /* four 8x8 matrices of 16 bits */
    void (*stmatrix)(cg *c, lval sh, bool trans, const lval in[4]);
    /* global memory: n words of 32 bits, or one element of `bits` bits where n is 0 */
    void (*load)(cg *c, lval p, int n, int bits, lval pred, const lval *other, int cache, int evict, lval *out);
    void (*store)(cg *c, lval p, int n, int bits, lval pred, int cache, int evict, const lval *in);
    lval (*approx)(cg *c, gpu_approx f, lval x);
    lval (*pin)(cg *c, lval word); /* the same 32 bits, of unknown origin */
    /* launches: the next of the stream may start; those before are over */
    void (*launch_dependents)(cg *c);
    void (*launch_wait)(cg *c);
    /* clusters */
    void (*cluster_barrier)(cg *c);
    void (*store_remote)(cg *c, lval sh, lval rank, lval word);
} gpu_ops;

typedef struct gpu_val {
    lval *r;
    uint32_t n;
} gpu_val;

/* a shared_load whose registers are loaded when they are asked for, eight at a time */
typedef struct gpu_lazy {
    const lay *l;
    const lay_shared *s;
    lval base;
    bool trans;
    int row;
    lty t;
} gpu_lazy;

/* a channel: where it lies in shared memory */
typedef struct gpu_chan {
    int64_t at, slot_bytes, bars; /* bytes from the start of shared memory */
    int64_t part[IR_MAX_CHAN_PARTS];
    int stages, consumers;
    int copiers;    /* threads that copy into its slots themselves; 0 = none do */
    bool multicast; /* what one block of the cluster loads goes to all: a slot is empty once the readers of each left it
                     */
    bool by_warp;   /* read by ordinary loads too: every warp arrives */
} gpu_chan;

typedef struct gk {
    cg *c;
    const gpu_ops *ops;
    const gpu_chip *chip;
    const ir_module *m;
    const ir_func *f;
    arena *a;
    diags *d;
    bool failed;
    gpu_val *val;       /* by value id */
    gpu_lazy **lazy;    /* by value id; NULL: not put off */
    gpu_chan *chan;     /* by value id of a chan's result */
    int64_t *shared_at; /* by value id of a shared_alloc's result */
    int64_t shared_used;
    lval shared; /* i32: start of our shared memory, a multiple of 1024 */
    lval grid[3], pid[3];
    lval *slot; /* the function's parameters */
    gpu_map maps[GPU_MAX_MAPS];
    lval map_ptr[GPU_MAX_MAPS];
    uint32_t nmaps;
    int cluster;
    int threads; /* of the block */
    /* the group of threads that code goes to: the block, or a copy of a partition */
    int warps;            /* of the group */
    lval tid, lane, warp; /* i32, within the group */
    lval leader;          /* i1: the one thread that starts copies; NULL: there is only one */
    lval copy;            /* i32 copy number; NULL: not in a partition with copies */
    int copies, bar;      /* first named barrier of the group's copies */
    lval rank;            /* i32 block in the cluster, NULL = no cluster */
    axis ax;
} gk;

/* kernel.c */
bool gpu_kernel(cg *c, arena *a, const gpu_ops *ops, const gpu_chip *chip, const ir_module *m, const ir_func *f,
                gpu_code *out, diags *d);
void gpu_region(gk *k, ir_region r);
void gpu_fail(gk *k, ir_op o, const char *fmt, ...) STR_PRINTF(3, 4);
lval *gpu_set(gk *k, ir_val v, uint32_t n);              /* room for n registers as v's value */
lval gpu_get(gk *k, ir_val v);                           /* the one register of a scalar */
int64_t gpu_shared(gk *k, int64_t bytes, int64_t align); /* offset of new shared memory, one a copy of the group: */
lval gpu_shared_address(gk *k, int64_t at, int64_t bytes_a_copy);
void gpu_barrier(gk *k); /* of the group */
void gpu_op(gk *k, ir_op o);

/* index.c */
const lay *gpu_lay(gk *k, ir_type t); /* NULL for scalars */
const lay_shared *gpu_shared_lay(gk *k, ir_type t);
uint32_t gpu_regs(gk *k, ir_type t);                            /* LLVM values a thread holds of a value of this type */
void gpu_reg_coord(const lay *l, uint32_t reg, int64_t *coord); /* of a register alone: lane, warp, block at 0 */
/* coordinates of this thread's registers: a thread part, computed here and now, and a constant a register */
typedef struct gpu_index {
    gk *k;
    const lay *l;
    lval thread[LAY_MAX_RANK];   /* i32 */
    uint32_t mask[LAY_MAX_RANK]; /* bits that it may have */
} gpu_index;
gpu_index gpu_index_of(gk *k, const lay *l);
lval gpu_coord(gpu_index *x, uint32_t reg, int d); /* i32 */
/* likewise for offsets into a shared tile, in bytes */
typedef struct gpu_offsets {
    gk *k;
    const lay *l;
    lay_shared s;
    int bytes;
    lval thread;
    uint32_t mask;
} gpu_offsets;
gpu_offsets gpu_offsets_of(gk *k, const lay *l, const lay_shared *s, int bytes);
lval gpu_offset(gpu_offsets *x, uint32_t reg); /* i32 */
/* the sum over bits of x (i32) of image[bit], as XOR of masked shifts; *mask gets the bits that may be set */
lval gpu_linear(gk *k, lval x, int nbits, const uint32_t *image, lval sum, uint32_t *mask);
/* registers of l that hold coordinate `coord` of thread 0 */
typedef struct gpu_finder {
    const lay *l;
    map64 at;
} gpu_finder;
void gpu_finder_init(gk *k, gpu_finder *x, const lay *l);
bool gpu_find(const gpu_finder *x, const int64_t *coord, uint32_t *reg);
/* i1: this thread holds the representatives of a tile under this layout; NULL = every thread does */
lval gpu_is_owner(gk *k, const lay *l);

/* tile.c */
bool gpu_tile_op(gk *k, ir_op o);
lval gpu_pack(gk *k, const lval *r, int bits); /* 32 / bits registers as one 32-bit word */
void gpu_unpack(gk *k, lval word, lty t, int bits, lval *r);

/* memory.c, reduce.c, async.c, control.c */
/* reads or writes the registers r of a tile in layout l at shared address base, laid out as s */
void gpu_shared_access(gk *k, const lay *l, const lay_shared *s, dtype dt, lval base, lval *r, bool store);
lval gpu_reg(gk *k, ir_val v, uint32_t reg); /* register of a tile, loaded now if its load was put off */
bool gpu_memory_op(gk *k, ir_op o);
bool gpu_atomic_op(gk *k, ir_op o);
bool gpu_reduce_op(gk *k, ir_op o);
bool gpu_async_op(gk *k, ir_op o);
bool gpu_control_op(gk *k, ir_op o);
void gpu_partitions(gk *k, ir_op o);
void gpu_first_turns(gk *k, ir_region r); /* of a partition that is entered */
void gpu_plan_async(gk *k);               /* channels and allocations of the whole function, before any code */
void gpu_init_channels(gk *k);
/* pure regions of reduce on scalars */
void gpu_inline_region(gk *k, ir_region r, const lval *params, lval *results, uint32_t nresults);

#endif
