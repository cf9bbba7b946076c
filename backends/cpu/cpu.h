/* cpu.h: the plain CPU code generator, private to backends/cpu.
 *
 * One kernel, one module, one LLVM function (kernel.c): a loop over programs, in it the region's steps (control.c),
 * each a loop nest (nest.c), a whole-tile op (whole_*.c) or a point. Values are asked for lazily (eval.c) at an index;
 * code goes to the outermost loop level that knows all it needs.
 *
 * Levels. -1 is the straight-line code before a nest, 0 .. n - 1 its outer loops, `inner` the vector loop. block[level
 * + 1] is that level's open block: it has no terminator until the nest is complete, so code can be added at its end
 * while the loops inside it are being made.
 *
 * A nest may run through several rows side by side (jam): its outermost-but-vector loop steps by so many, and each
 * item is done for each row before the next; `own` is then the index of the row at hand.
 *
 *   block[0]                       scalars, bases
 *   block[1]   for i:              row bases, values broadcast along rows
 *   block[2]     for j by U * W:   vectors of W lanes, element j + lane
 *
 * A value at an index is an `lv`: UNI, one scalar for all lanes; LIN, base + k * (j + lane) with constant k, which
 * never becomes a vector where it is only an address or a mask; VEC, a vector.
 *
 * The inner loop has a main part in which comparisons `LIN < UNI` (masks) are taken as true: how far that holds is
 * computed before it, per row, and the rest runs in the masked tail. A value that leaned on such an assumption says so,
 * and is never reused outside the main part.
 */
#ifndef TILE_BACKENDS_CPU_CPU_H
#define TILE_BACKENDS_CPU_CPU_H

#include "backends/backend.h"
#include "backends/cpu/plan.h"
#include "backends/llvm/cg.h"

typedef enum lv_form { LV_UNI, LV_LIN, LV_VEC } lv_form;

typedef struct lv {
    lval v;
    int64_t k; /* LIN: per lane; of pointers in bytes */
    uint8_t form;
    int8_t level;
    bool assumed;
    bool exact; /* LIN of integers: no lane of the row wraps (a range, or ops that say nowrap) */
} lv;

typedef struct coords {
    int rank;
    lv at[IR_MAX_RANK];
} coords;

typedef enum part { PART_MAIN, PART_TAIL } part;

typedef struct kern kern;

/* what a turn of the main part reads of a row: so many bytes a lane from base on */
typedef struct stream {
    lval base;
    uint32_t root; /* the argument */
    uint32_t row;  /* own index */
    int64_t step;
    VEC(lval) at; /* its loads */
} stream;

/* 16 bytes of memory for each lane, window.c */
typedef struct window {
    lval row, first; /* lane 0's address, of the row and of this chunk */
    lval whole;      /* the first load's lanes: an insertion of the last */
    int64_t step;    /* from lane to lane */
    lblock block;
    lval words[4]; /* NULL: nothing but the first load so far */
} window;

typedef struct nest {
    kern *k;
    int inner; /* level of the vector loop; -1: straight-line code */
    lblock block[IR_MAX_RANK + 2];
    int step;     /* id of the plan step, -1 = none */
    uint32_t own; /* the index, in sets, of what code is being made for */
    int lanes;
    int64_t extent; /* of the vector dimension */
    part part;
    bool streaming;   /* this copy of the main part stores past the caches */
    lval j, turn;     /* first element of the chunk, i64; of the turn of the loop */
    lval hole;        /* lanes inside the extent, NULL = all */
    VEC(coords) sets; /* interned index tuples */
    map64 outer_memo, inner_memo;
    VEC(lv) memo;
    map64 splats;
    map64 wide;   /* products.c: values of whole blocks, for one row of a chunk; ids in wides */
    map64 shared; /* likewise, for all rows of a chunk */
    VEC(lval) wides;
    VEC(stream) streams;
    VEC(window) windows; /* of one row of a chunk */
    bool prefix;         /* what the stores of a row write is its beginning: masks that the main part takes as true */
    lval sure;           /* i1, of a row: the compares in its masks hold for a beginning, none wraps; NULL = always */
    lval live;           /* i1, of the tail's chunk: some lane is stored; NULL = no store yet */
    VEC(lval) limits;    /* i64: elements for which an assumption holds, known before the vector loop */
    VEC(lval) aligned;   /* i1: the rows that streaming stores go to begin at a vector boundary */
} nest;

/* a row that an earlier nest of the program read from memory, end to end */
typedef struct row_read {
    ir_op o;
    lval base;
    int64_t bytes, extent;
    int step;
} row_read;

struct kern {
    cg *c;
    const ir_func *f;
    plan *p;
    arena *a;
    nest *n; /* where code goes now */
    lval args, thread, buffer, host;
    lval grid[3], pid[3], big; /* big: the launch writes more than the caches hold */
    lblock stop;               /* leaves the function */
    lval *scalar;              /* by value id: SCALAR and rank-0 DATA */
    lval *shift;               /* by value id: how far a SHIFT value has moved */
    int64_t cache_bytes;
    int nests;           /* steps of the program that are nests, outside its loops */
    VEC(row_read) reads; /* by top-level nests so far: what follows them in memory is likely wanted next */
    int depth;           /* of regions */
    ir_op held;          /* the dot of the loop at hand, done by its blocks */
    bool tiles;          /* it has blocks that use AMX */
    VEC(struct dot_share *) shares;
};

/* eval.c */
void nest_straight(nest *n, kern *k); /* straight-line code at the builder's place */
void nest_enter(nest *n, int level);  /* code goes to that level's block */
void nest_leave(nest *n, int level);
uint32_t coords_id(nest *n, const coords *c);
lv ev(nest *n, ir_val v, uint32_t at);            /* v at an interned index */
lval ev_scalar(kern *k, ir_val v);                /* a rank-0 value, in straight-line code */
lv ev_point(kern *k, ir_val v, const coords *at); /* a tile's element, in straight-line code; every index UNI */
void memo_set(nest *n, ir_val v, uint32_t at, lv x);
bool memo_get(nest *n, ir_val v, uint32_t at, lv *x);

/* lanes.c: values in lanes */
lv lv_uni(lval v, int level);
lv lv_const(nest *n, int64_t x); /* i64 */
lval lv_vec(nest *n, lv x);      /* as a vector at the inner level */
lv lv_add(nest *n, lv x, lv y);  /* i64 */
lv lv_scale(nest *n, lv x, int64_t by);
lv lv_clamp(nest *n, lv x, int64_t extent); /* into 0 .. extent - 1 */
void lv_divmod(nest *n, lv x, int64_t by, lv *quot, lv *rem);
lv ev_elt(nest *n, ir_op o, uint32_t at); /* elementwise op o at an index */
lval lane_index(nest *n, lv x);           /* LIN: scalar of lane 0 at this chunk */

/* views.c */
lv ev_view(nest *n, ir_op o, ir_val v, uint32_t at);
lv linear_index(nest *n, const coords *c, const int64_t *shape);
lv ev_linear(nest *n, ir_val v, lv lin); /* v at a row-major index */

/* memory.c */
lv buffer_read(nest *n, ir_val v, lv lin);
void buffer_write(nest *n, lval base, lty mem, lv lin,
                  lval x); /* x: a vector or scalar of lanes as held in registers */
lval buffer_address(kern *k, int32_t buffer);
lval to_memory(cg *c, lval x, dtype d);
lval from_memory(cg *c, lval x, dtype d);
lv mem_load(nest *n, ir_op o, uint32_t at);
void mem_store(nest *n, ir_op o);
lv mem_atomic(nest *n, ir_op o);
void point_memory(kern *k, ir_op o); /* rank-0 load, store, atomic */
lval atomic_one(kern *k, ir_op o, lval p, const lval *x);

lval mem_mask(nest *n, ir_op o, uint32_t operand, uint32_t at); /* of a load or store, NULL = every lane */
/* so many lanes `step` bytes apart, from all that lies between; NULL = a load a lane is no slower */
lval mem_spanned(nest *n, lty bits, lval first, int64_t step, int lanes);
lval mem_zeros(kern *k);                     /* address of 64 bytes of zeros */
lval mem_or_zeros(kern *k, lval p, lval on); /* p, or that where on (NULL = yes) is false */

/* window.c: a load of lanes `step` bytes apart, of so many bits each, from memory that others have loaded; NULL: none
 * has. p: the row's address */
lval window_load(nest *n, ir_op o, lty bits, lval p, int64_t step);
/* the load made `whole`, from `first` on at this chunk */
void window_note(nest *n, ir_op o, lty bits, lval p, lval first, int64_t step, lval whole);

/* fetch.c */
void note_read(nest *n, ir_op o, lval base, int64_t bytes); /* load o reads all of a program's row */
void note_stream(nest *n, ir_op o, lv p, lval where);       /* load o reads a row from p, by instruction `where` */
/* own: of rows side by side; rows: of the whole nest */
void fetch_streams(nest *n, const uint32_t *own, int side, int64_t rows, int unroll);
void fetch_ahead(nest *n, int unroll); /* what this turn of the main part, over unroll vectors, prefetches */

/* products.c: sums of products of bytes along the last dimension */
/* the sum of one or two such sums, of equal blocks */
lv products(nest *n, const ir_op *o, int count, uint32_t at);
bool products_meet(nest *n, ir_op add, uint32_t at); /* whether both operands are such sums */

/* region.c: pure regions (of reduce, scan, map) on values of `lanes` lanes */
void region_prepare(kern *k, ir_region r); /* emits the outer scalars it uses; before any loop of the caller's own */
void region_eval(kern *k, ir_region r, const lval *params, int lanes, lval *results);
void region_eval_lanes(kern *k, ir_region r, const lval *params, uint32_t n, int lanes, lval *results,
                       uint32_t nresults);
bool region_has_loops(const ir_func *f, ir_region r);

/* nest.c */
void nest_emit(kern *k, int step);
/* lanes of a nest over rows of `extent` */
int nest_lanes(const ir_func *f, const plan_step *s, int vector_bytes, int64_t extent);
/* writes v, computed at each index of its shape and cast to `to`, to base at off + sum of index * stride (elements) */
void nest_copy(kern *k, ir_val v, dtype to, lval base, const int64_t *stride, int64_t off);

/* how a copy of a tile of two dimensions lies in panels: `width` lines wide, units of g elements of K side by side,
 * a panel after the other at depth * width elements */
typedef struct panel {
    int kdim;    /* of the tile; the other one counts lines */
    bool across; /* vectors go along the lines, else along K, and are transposed */
    int unit;    /* bytes of g elements */
    int g;
    int64_t width, depth;
} panel;
/* v, cast to `to`; flip: every byte's top bit; lead: an index of the dimensions before the last two, NULL = 0; lines:
 * how many are wanted, NULL = all */
void nest_panels(kern *k, ir_val v, dtype to, lval base, const panel *p, bool flip, lval lead, lval lines);
void nest_rows(kern *k, ir_val v, dtype to, lval base, int64_t pitch, bool flip, lval lead, lval lines);
/* dot_pack.c: what the vectors of a chunk become */
void panel_store(kern *k, const panel *p, lval base, dtype to, lval *x, int n, lval line, lval at);

/* reduce.c: accumulators of simple reductions along the vector dimension */
typedef struct accum {
    ir_op o;
    int row; /* of those side by side */
    cg_elt_op elt;
    lval acc[8]; /* current value of each slot */
    lval phi[8];
} accum;
void accum_init(kern *k, accum *r, ir_op o, int lanes);
lval accum_identity(kern *k, const accum *r, int lanes);
lval accum_combine(kern *k, const accum *r, lval x, lval y, int lanes);
lval accum_finish(kern *k, const accum *r, lval *slots, int nslots, int lanes);
void reduce_along(nest *n, ir_op o, int rank, const int64_t *shape);

/* whole.c, whole_dot.c, whole_scan.c */
void whole_emit(kern *k, int step);
void whole_dot(kern *k, const plan_step *s);
bool dot_blocked(const kern *k, ir_op dot, ir_val acc); /* may turns of a loop be packed before they are multiplied? */
int64_t dot_steps(const kern *k, ir_op dot);            /* how many */
/* rows and columns of a result that are wanted, i64; NULL = all */
typedef struct dot_limits {
    lval rows, columns;
} dot_limits;
/* dot_tiles.c: what a kernel with such blocks does before its programs and after them */
void tiles_begin(cg *c);
void tiles_end(cg *c);
dot_limits dot_wanted(kern *k, ir_op loop, ir_op dot);
/* before the loop */
void dot_prepare(kern *k, const plan_step *s);
/* before a block of turns, whose index begins at `start`: operands that programs share */
void dot_fill(kern *k, const plan_step *s, ir_val index, lval start, lval step, lval turns, dot_limits want);
void dot_pack(kern *k, const plan_step *s, lval turn, dot_limits want); /* one turn's other operands */
/* how many elements along K, of all turns so far, are not behind the operands' end (plan_dot_edge) */
lval dot_used(kern *k, const plan_step *s, lval turn, lval used);
/* the product of those packed, added to the result; used: NULL = all */
void dot_packed(kern *k, const plan_step *s, lval turns, lval used, dot_limits want);
void share_open(kern *k); /* dot_share.c: in the entry block, after the arguments */
void whole_scan(kern *k, const plan_step *s);
void whole_reduce(kern *k, const plan_step *s);
lval whole_operand(kern *k, const plan_step *s,
                   uint32_t i); /* address of a complete operand, filled when it is a temp */
/* a tile as outer * n * inner elements, n along a dimension */
void whole_split(const ir_type_info *t, int64_t along, int64_t *outer, int64_t *n, int64_t *inner);
typedef struct loop {
    lblock head, body, exit;
    lval i, step;
} loop;
loop loop_begin(cg *c, lval from, lval to, int64_t step); /* runs while i < to, from known to be below `to` or not */
void loop_end(cg *c, loop *l);

/* control.c */
void steps_emit(kern *k, const plan_region *r);
void host_emit(kern *k, const plan_step *s);
lval for_trips(cg *c, lval from, lval to, lval step, dtype d); /* of a `for` */

/* kernel.c */
bool kernel_build(cg *c, const ir_func *f, plan *p, const char *symbol, int64_t cache_bytes);

/* whole.c: a call of a function of rt_ops.h */
lval cpu_call(cg *c, const char *name, const lval *args, uint32_t n);

/* compile.c */
typedef struct cpu_job {
    arena *a;
    const ir_func *f;
    cg_target target;
    const char *symbol;
    backend_stage stage;
    bool elsewhere; /* the code is for other machines too: nothing of this one's caches goes into it */
    str out;
    plan *p;
    cg c;
} cpu_job;
bool cpu_target_of(arena *a, const backend_target *t, cg_target *out, diags *d); /* emit.c */
bool cpu_compile(cpu_job *j, diags *d); /* STAGE_LLVM, STAGE_ASM text, STAGE_BIN object bytes in j->out */

#endif
