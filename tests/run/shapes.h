/* shapes.h: the shape classes of the operator matrix, and the part of a kernel that they decide. */
#ifndef TILE_TESTS_RUN_SHAPES_H
#define TILE_TESTS_RUN_SHAPES_H

#include "tests/run/run.h"

typedef struct shape_class {
    const char *name;
    int rank;
    int64_t d[3]; /* extents of the tile */
    int64_t n;    /* elements in memory: programs cover them, the last one in part */
} shape_class;

/* shapes.c */
extern const shape_class shape_classes[];
extern const int shape_class_count;
int64_t shape_tile_count(const shape_class *s);
/* the header from the case's arguments, `offs` (a tile of the class's extents) and `mask` */
void shape_kernel_head(rcase *c, const shape_class *s);

/* `name` = row-major offsets of a tile of these extents; 0 for rank 0 */
void shape_offsets(rcase *c, const char *name, int rank, const int64_t *d);
/* the header alone: `kernel k(..) grid(1):`; tensors with their sizes as literals */
void shape_plain_head(rcase *c);

#endif
