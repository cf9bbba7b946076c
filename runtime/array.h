/* array.h: host arrays made from text, and shown as text: what `tilec run` and the tests give to kernels.
 *
 *   VALUE: number | True | False | None | @FILE.npy[:DTYPE] | zeros:DTYPE[d0,d1,..] | rand:DTYPE[..][:SEED] |
 * arange:DTYPE[..]
 *
 * rand gives floats in [-1, 1), signed integers in [-100, 100), unsigned ones in [0, 200), bools 0 or 1; element i
 * depends on (seed, i) alone. Memory of arrays is mapped, not carved from an arena: zeros of any size cost nothing
 * until touched.
 */
#ifndef TILE_RUNTIME_ARRAY_H
#define TILE_RUNTIME_ARRAY_H

#include "runtime/npy.h"

typedef enum rt_value_kind { RT_NONE, RT_INT, RT_FLOAT, RT_ARRAY } rt_value_kind;

typedef struct rt_value {
    rt_value_kind kind;
    int64_t i;
    double f;        /* RT_INT too */
    npy_array array; /* RT_ARRAY; its data is ours until rt_value_fini */
    size_t mapped;   /* bytes */
} rt_value;

/* array.c; false + *err (in a). Relative files are taken from `dir` where it is not empty. */
MUST_USE bool rt_value_parse(arena *a, str text, str dir, rt_value *out, str *err);
void rt_value_fini(rt_value *v);
/* "f32[2,3]: 1 2.5 3 4 5 6", at most `most` elements, then " ..." */
void rt_array_show(const npy_array *x, int64_t most, strbuf *out);
/* one element as rt_array_show writes it */
void rt_element_show(dtype dt, const void *at, strbuf *out);

#endif
