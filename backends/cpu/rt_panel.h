/* rt_panel.h: packed operands of products that the programs of a launch share; called by generated code, which sees
 * these structs as arrays of 64-bit words. */
#ifndef TILE_BACKENDS_CPU_RT_PANEL_H
#define TILE_BACKENDS_CPU_RT_PANEL_H

#include "compiler/abi.h"

#define PANEL_KEY 10 /* words at most */

/* an operand, as its code knows it; a box is what is packed at once */
typedef struct panel_operand {
    int64_t arg, rank, elem; /* the tensor that it is read from: first slot, dimensions, bytes of an element */
    int64_t kdim, ldim;      /* its dimensions along K, and along the lines (rows of A, columns of B) */
    int64_t lines, depth;    /* of a box, elements of the tensor */
    int64_t spare;           /* room for so many times the boxes that cover the tensor */
    int64_t bytes;           /* of a box, packed */
    int64_t chunk;           /* turns that one thread packs, in order: what a turn stores may reach into the next */
} panel_operand;

/* an argument that the kernel writes; rank -1: a pointer */
typedef struct panel_written {
    int64_t arg, rank, elem;
} panel_written;

/* constants of a module: this, `noperands` operands, `nwritten` written arguments */
typedef struct panel_spec {
    int64_t noperands, nwritten;
} panel_spec;

/* the boxes of one operand in a launch, as a program sees them; slots NULL: each program packs its own */
typedef struct panel_share {
    struct panel_slot *slots;
    int64_t nslots; /* a power of two */
    int64_t *used;
    char *panels;
    int64_t bytes, capacity, chunk;
} panel_share;

/* a program's hold of one box */
typedef struct panel_ticket {
    char *at; /* the box */
    char *own;
    struct panel_slot *slot;               /* NULL: the box is the program's own */
    int64_t turns, chunk, next, end, busy; /* next, end: of what it took; busy: turns not yet told of */
} panel_ticket;

#define PANEL_TURNS 2 /* the word of a key that says in how many turns the box is packed */

/* rt_panel.c */
/* once for each claim of programs: fills out[noperands], the same for all claims of a launch; 0 */
int64_t tile_rt_panels(abi_thread *t, const uint64_t *args, const panel_spec *spec, panel_share *out);
/* the box of a key, or the program's own room for one; 0 */
int64_t tile_rt_panel_take(panel_ticket *t, const panel_share *s, const int64_t *key, int64_t nkey, char *own);
/* a turn to be packed to `at` before this is called again; -1: the box at `at` is whole */
int64_t tile_rt_panel_next(panel_ticket *t);

#endif
