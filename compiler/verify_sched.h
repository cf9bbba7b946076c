/* verify_sched.h: the states of the schedule's verifier; private to compiler/verify_s*.c. What they mean:
 * verify_sched.c. */
#ifndef TILE_COMPILER_VERIFY_SCHED_H
#define TILE_COMPILER_VERIFY_SCHED_H

#include "compiler/verify.h"

#include <string.h>

enum { KIND_WGMMA, KIND_CP, KIND_BULK, KIND_LOAD, KINDS };
#define NEVER 255
#define CAP 200

typedef struct token_state {
    uint8_t age[KINDS];
} token_state;

typedef struct access {
    ir_op op;
    ir_val what; /* a view, or a tile in registers */
    uint8_t kind, age;
    bool write, regs;
} access;

typedef struct dirty {
    ir_val view;
    bool fenced; /* a barrier is what is missing */
} dirty;

/* what threads did with a view since the last barrier */
typedef struct touch {
    ir_op op;
    ir_val view;
    ir_layout lay; /* of the tile loaded or stored; 0: by whoever awaited op, an asynchronous one */
    bool write;
} touch;

typedef struct state {
    token_state *token; /* by value id */
    uint8_t *age;       /* by value id: of the wgmma whose result it is */
    uint8_t *raw;       /* by value id: the result of a wgmma, to go through await */
    VEC(access) flying;
    VEC(dirty) stores;
    VEC(touch) touches;
    struct state *next; /* unused */
} state;

typedef struct sched {
    verifier *v;
    const ir_func *f;
    arena *a;
    state *s, *unused;
    int64_t work; /* done so far: ops, values and accesses looked at */
    bool quiet;
} sched;

/* verify_state.c */
state *sched_new(sched *c); /* of nothing in flight */
void sched_free(sched *c, state *s);
void sched_copy(sched *c, state *to, const state *from);
/* adds an entry, or worsens the one that is there; true where that changed something */
bool sched_join_access(sched *c, state *to, const access *y);
bool sched_join_dirty(sched *c, state *to, const dirty *y);
bool sched_join_touch(sched *c, state *to, const touch *y);
/* `to` becomes the worse of both; true where that changed it */
bool sched_join(sched *c, state *to, const state *from);
/* value x of state `to` is what y is in state `from` */
void sched_carry(state *to, ir_val x, const state *from, ir_val y);

/* the slices and transposes that make a view, from the root on; what is longer is cut off at the front. Gives the root.
 */
enum { SCHED_MAX_STEPS = 16 };
ir_val sched_steps(const ir_func *f, ir_val v, ir_op *step, int *n);
bool sched_meet(const ir_func *f, ir_val a, ir_val b);                /* the views surely share memory */
bool sched_may_be(sched *c, ir_val v, ir_val from);                   /* through loops and branches */
bool sched_view_is_inside(const ir_func *f, ir_val view, ir_op loop); /* depends on what is defined in the loop */

#endif
