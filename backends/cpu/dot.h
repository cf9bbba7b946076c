/* dot.h: a dot by register blocks, private to the files of the CPU back end that make it: whole_dot.c decides and
 * packs, dot_micro.c multiplies, blocks of AMX by dot_tiles.c. */
#ifndef TILE_BACKENDS_CPU_DOT_H
#define TILE_BACKENDS_CPU_DOT_H

#include "backends/cpu/cpu.h"

typedef enum dot_inst {
    DOT_FMA, /* of integers a product and a sum */
    DOT_DPBF16,
    DOT_DPBUSD,
    DOT_DPWSSD,
    DOT_MADDWD,
    DOT_BFDOT,
    DOT_SDOT,
    DOT_UDOT,
    DOT_TDPBF16, /* dot_tiles.c: from here to .. */
    DOT_TDPBSSD,
    DOT_TDPBSUD,
    DOT_TDPBUSD,
    DOT_TDPBUUD, /* .. here */
    DOT_FLIP = 64,
    DOT_FLIP_DPBUSD = DOT_FLIP | DOT_DPBUSD,
    DOT_FLIP_SDOT = DOT_FLIP | DOT_SDOT,
    DOT_FLIP_UDOT = DOT_FLIP | DOT_UDOT
} dot_inst;

/* what operands are packed as */
typedef enum dot_packed_as { DOT_AS_OWN, DOT_AS_SUM, DOT_AS_I16 } dot_packed_as;

/* a row of kernels.def */
typedef struct dot_block {
    const char *name, *features;
    dtype a, b, sum; /* a, b: DT_NONE = any */
    dot_packed_as as;
    dot_inst inst;
    int g, rows, vecs, bytes;
} dot_block;

typedef struct dot_share dot_share;

typedef struct dot {
    kern *k;
    const plan_step *s;
    const dot_block *block;
    dtype ta, tb, t;  /* of packed operands and of the sum */
    int unit, lanes;  /* bytes of g elements; units in a register */
    int64_t m, n, kk; /* of the tile */
    int64_t depth;    /* elements of a line of a panel, and of a row of A */
    int64_t width;    /* lines of a panel */
    bool signs;       /* A's top bits are flipped: 128 times the sum of B's column is taken off */
    dot_limits want;
    lval a, b, c, comp;  /* bases */
    dot_share *share[2]; /* of operands; NULL = not shared */
} dot;

/* dot_micro.c: c += a b over so many units along K */
void dot_multiply(dot *d, lval units);

/* dot_tiles.c */
enum { DOT_TILE_UNITS = 16 }; /* along K in a tile */
bool dot_is_tiled(const dot_block *x);
void tiles_body(dot *d, lval fn, int rows, int columns); /* of dot_micro.c's function, all of it */

/* whole_dot.c: does packing one turn of a loop store nothing beside it? Vectors are stored whole */
bool dot_turns_apart(kern *k, ir_op o, uint32_t operand);

/* dot_share.c: operands that programs share */
dot_share *share_of(kern *k, ir_op o, uint32_t operand); /* NULL = not shared */
void share_outer(kern *k, dot_share *s);                 /* before the loop: what of the key is known there */
/* asks for the box of `turns` turns from that value of the loop's index on; own: room where it is not to be had */
void share_take(kern *k, dot_share *s, lval index, lval step, lval turns, lval lines, lval own);
/* code that packs the turns of the box that fall to this program; ends when the box is whole */
typedef void share_pack(void *ctx, uint32_t operand, lval turn);
void share_fill(kern *k, const dot_share *s, ir_val index, lval start, lval step, share_pack *pack, void *ctx);
lval share_address(kern *k, const dot_share *s);

#endif
