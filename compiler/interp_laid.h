/* interp_laid.h: what the interpreter's files for the laid-out stage share; private to compiler/interp_*.c.
 *
 * Shared tiles are by value: a root holds elements row-major, a view is a start and a stride a dimension into it;
 * layouts play no part. A value of type shared<..> is an ishared, one of type chan<..> a pointer to an ichan, a token
 * an itoken.
 */
#ifndef TILE_COMPILER_INTERP_LAID_H
#define TILE_COMPILER_INTERP_LAID_H

#include "compiler/interp_impl.h"

#define INTERP_MAX_COPIES 32
#define INTERP_MAX_TURNS 16
#define POISON 0xff /* bytes of what nobody has written yet: a NaN in every float */

struct islot;

typedef struct iroot {
    char *data;
    size_t bytes;
    struct islot *slot; /* of a channel; NULL: of a shared_alloc */
} iroot;

typedef struct ishared {
    iroot *root;
    int64_t start, stride[IR_MAX_RANK]; /* elements */
} ishared;

/* ---- asynchronous ops (interp_async.c) ---- */
enum { GROUP_WGMMA, GROUP_CP, GROUP_BULK, GROUP_LOAD, GROUP_KINDS }; /* loads complete in any order */

typedef struct async_op {
    uint64_t serial; /* another for each use of this record */
    program *p;
    frame *fr;
    ir_op o;
    int kind;
    bool done;
    bool taken;   /* wgmma: the result went to another op ... */
    ir_op taker;  /* ... this one */
    ishared a, b; /* a: destination of loads, source of stores, $0 of wgmma; b: $1 of wgmma */
    itensor t;
    int64_t from[IR_MAX_TENSOR_RANK];
    void *snap, *mask; /* what was read from registers: pointers, or $0 of wgmma */
    size_t snap_room, mask_room;
    void *acc; /* wgmma: the accumulator, then the result */
    size_t acc_room;
    struct async_op *chain;           /* wgmma: whose result is the accumulator */
    bool zero;                        /* wgmma: which counts as 0 */
    size_t bytes;                     /* loads: of the box */
    ishared also[INTERP_MAX_CLUSTER]; /* loads: the same place in other blocks */
    int nalso;
    bool elsewhere;        /* loads: and not in this block */
    struct async_op *next; /* in flight, or free */
} async_op;

typedef struct async_queue {
    async_op *first, *last; /* in flight, in the order of issue */
    async_op *unused;
    uint64_t serial;
} async_queue;

typedef struct itoken {
    async_op *op; /* NULL: complete */
    uint64_t serial;
} itoken;

bool interp_async(frame *fr, ir_op o); /* tma_load, tma_store, cp_async, wgmma, await, done */
bool async_is_done(itoken t);
/* completes it, and what is older in its kind where that has an order */
bool async_complete(async_op *op);
/* an op in flight of this program that reads (or writes) the slot, or NULL */
async_op *async_reader_of(const program *p, const struct islot *slot);
async_op *async_writer_of(const program *p, const struct islot *slot);
const char *async_place(const frame *fr, ir_op o); /* "'wgmma' of line 12", for messages */

/* ---- views (interp_laid.c) ---- */
/* elements of the view, row-major, to or from a packed buffer */
void view_get(const ir_type_info *t, const ishared *v, size_t es, void *dst);
void view_put(const ir_type_info *t, const ishared *v, size_t es, const void *src);
void view_poison(const ir_type_info *t, const ishared *v, size_t es);
char *view_at(const ir_type_info *t, const ishared *v, size_t es, const int64_t *at);
void view_row_major(const ir_type_info *t, iroot *root, ishared *v);
/* may the program read (or write) it now: a slot of a channel has to be entered */
bool view_reach(frame *fr, ir_op o, const ishared *v, bool write);

/* ---- channels and partitions (interp_parts.c) ---- */
typedef struct islot {
    struct ichan *chan;
    int index;
    iroot part[IR_MAX_CHAN_PARTS];
    int64_t puts;    /* begun; the last may still be open */
    bool filling;    /* between put_enter and put_exit */
    bool landed;     /* what was put is there */
    size_t expected; /* bytes that loads still have to bring; of a multicast channel */
    itoken load[IR_MAX_CHAN_PARTS * 4];
    int nloads;
    int64_t gets[INTERP_MAX_COPIES]; /* ended, by copy of the consumer */
    bool open[INTERP_MAX_COPIES];    /* between get_enter and get_exit */
} islot;

typedef struct ichan {
    int stages, nparts, consumers;
    bool multicast; /* what one block loads may go to others of the cluster */
    ir_val value;   /* in every block the same */
    islot slot[];   /* stages */
} ichan;

typedef struct iturn {
    int now;
    bool inside;
} iturn;

typedef struct ipart {
    frame *outer;
    ir_op op;
    int index, copy, copies;
    iturn *turns; /* of all copies together */
} ipart;

/* the same slot of block `rank` of the cluster */
islot *slot_in_block(const frame *fr, const islot *s, int rank);
/* a load will bring so many bytes to the slot; false after a fault */
bool slot_expects(frame *fr, ir_op o, islot *s, itoken t, size_t bytes);
bool interp_parts(frame *fr, ir_op o); /* chan, put_*, get_*, turn_*, partitions, cluster_* */

#endif
