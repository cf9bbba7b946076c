/* vec.h: growing arrays in arenas.
 *
 *   VEC(int) v = {0};  vec_push(a, &v, 3);  v.at[0];  v.n
 *
 * A push may move the array: hold indices, never pointers, across one. It is done or not at all where memory ends.
 */
#ifndef TILE_BASE_VEC_H
#define TILE_BASE_VEC_H

#include "base/arena.h"

#define VEC(T)                                                                                                         \
    struct {                                                                                                           \
        T *at;                                                                                                         \
        uint32_t n, cap;                                                                                               \
    }

#define vec_push(a, v, x)                                                                                              \
    (((v)->n == (v)->cap ? vec_grow((a), (void **)&(v)->at, &(v)->cap, (v)->n + 1, sizeof *(v)->at) : (void)0),        \
     (v)->at[(v)->n] = (x), (void)(v)->n++)
#define vec_reserve(a, v, k)                                                                                           \
    ((v)->cap < (k) ? vec_grow((a), (void **)&(v)->at, &(v)->cap, (k), sizeof *(v)->at) : (void)0)
#define vec_last(v) ((v)->at[(v)->n - 1])
#define vec_pop(v) ((v)->at[--(v)->n])

/* vec.c: makes room for at least `need` elements; new room is zeroed */
void vec_grow(arena *a, void **at, uint32_t *cap, uint32_t need, size_t size);

#endif
