/* npy.h: arrays in NumPy's .npy files (format versions 1, 2 and 3).
 *
 * Reading gives the elements in row-major order and native byte order, whatever the file had. Element types: bool, the
 * integers, f2, f4, f8; anything as wide as a dtype can be taken as its raw bits (`as`), which is how bf16 and the
 * 8-bit floats get in. They get out as unsigned integers of their width.
 */
#ifndef TILE_RUNTIME_NPY_H
#define TILE_RUNTIME_NPY_H

#include "compiler/types.h"

#define NPY_MAX_RANK 8

typedef struct npy_array {
    dtype dt;
    int rank;
    int64_t shape[NPY_MAX_RANK];
    int64_t count; /* elements */
    void *data;    /* in the arena, aligned to 64 */
} npy_array;

/* npy.c; as: DT_NONE takes the file's type. False + *err (in a) */
MUST_USE bool npy_parse(arena *a, str file, dtype as, npy_array *out, str *err);
MUST_USE bool npy_read(arena *a, const char *path, dtype as, npy_array *out, str *err);
/* the bytes of a file that holds x */
str npy_format(arena *a, const npy_array *x);
MUST_USE bool npy_write(arena *a, const char *path, const npy_array *x, str *err);

#endif
