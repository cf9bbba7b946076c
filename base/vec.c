/* vec.c: growth by doubling; the old array stays in the arena until it dies: a vector wastes at most its own size. */
#include "base/vec.h"

#include <string.h>

void vec_grow(arena *a, void **at, uint32_t *cap, uint32_t need, size_t size)
{
    uint32_t now = *cap ? *cap : 8;
    while (now < need)
        now = now > UINT32_MAX / 2 ? UINT32_MAX : now * 2;
    void *p = arena_array(a, now, size, 16);
    if (*cap)
        memcpy(p, *at, *cap * size);
    *at = p;
    *cap = now;
}
