/* dot.h: a dot by register blocks, private to the files of the CPU back end that make it: whole_dot.c decides and packs,
 * dot_micro.c multiplies. */
#ifndef TILE_BACKENDS_CPU_DOT_H
#define TILE_BACKENDS_CPU_DOT_H

#include "backends/cpu/cpu.h"

/* a row of kernels.def */
typedef struct dot_block {
    const char *name, *features;
    dtype a, b, sum; /* a, b: DT_NONE = the sum's */
    int g, rows, vecs, bytes;
} dot_block;

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
    lval a, b, c, comp; /* bases */
} dot;

/* c += a b over so many units along K */
void dot_multiply(dot *d, lval units);

#endif
