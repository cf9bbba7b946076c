/* overlap.c: launch arguments whose memory overlaps in part while one of them is written. Those of one base are one
 * buffer (a kernel in place), those apart by their strides are views of one; a pointer of no known size is not looked
 * at.
 */
#include "runtime/runtime.h"

typedef struct extent {
    uint64_t lo, hi;
    const tile_tensor *t; /* NULL: a pointer with a known size */
} extent;

bool rt_tensor_range(const tile_tensor *t, uint64_t *lo, uint64_t *hi)
{
    int64_t w = tile_dtype_bytes((tile_dtype)t->dtype), a = 0, b = 0;
    for (int i = 0; i < t->rank; i++) {
        int64_t reach;
        if (t->sizes[i] == 0)
            return false;
        if (__builtin_mul_overflow(t->sizes[i] - 1, t->strides[i], &reach))
            reach = t->strides[i] < 0 ? INT64_MIN / 64 : INT64_MAX / 64;
        if (reach < 0)
            a += reach;
        else
            b += reach;
    }
    *lo = (uint64_t)(uintptr_t)t->data + (uint64_t)(a * w);
    *hi = (uint64_t)(uintptr_t)t->data + (uint64_t)((b + 1) * w);
    return true;
}

/* Views of one buffer under the same strides, as columns of a row-major matrix: apart if the distance between them,
 * taken apart by the strides from the largest down, leaves the box along some dimension. */
static bool apart_by_strides(const tile_tensor *x, const tile_tensor *y)
{
    int64_t w = tile_dtype_bytes((tile_dtype)x->dtype), d = (int64_t)((uintptr_t)y->data - (uintptr_t)x->data);
    bool used[TILE_MAX_RANK] = {0}, apart = false;
    if (x->rank != y->rank || x->dtype != y->dtype || d % w)
        return false;
    const tile_tensor *low = d < 0 ? y : x;
    d = (d < 0 ? -d : d) / w;
    for (int n = 0; n < x->rank; n++) {
        int best = 0;
        int64_t room = 0;
        for (int i = 0; i < x->rank; i++)
            if (used[best] || (!used[i] && x->strides[i] > x->strides[best]))
                best = i;
        if (x->strides[best] != y->strides[best] || x->strides[best] < 1)
            return false;
        used[best] = true;
        /* what lies below this stride must fit into it for both, else the digits don't tell elements apart */
        for (int i = 0; i < x->rank; i++)
            if (!used[i])
                room += (x->sizes[i] > y->sizes[i] ? x->sizes[i] : y->sizes[i]) * x->strides[i];
        if (room > x->strides[best] && x->sizes[best] > 1)
            return false;
        apart |= d / x->strides[best] >= low->sizes[best];
        d %= x->strides[best];
    }
    if (d)
        return true;
    return apart;
}

static bool extent_of(const tile_arg *a, extent *e)
{
    if (a->kind == TILE_ARG_TENSOR) {
        e->t = a->u.t;
        return rt_tensor_range(a->u.t, &e->lo, &e->hi);
    }
    e->t = NULL;
    e->lo = (uint64_t)(uintptr_t)a->u.p;
    e->hi = e->lo + (uint64_t)a->bytes;
    return a->kind == TILE_ARG_PTR && a->bytes > 0;
}

bool rt_apart(arena *a, str kernel, const rt_named *list, uint32_t n, tile_error *err)
{
    extent *e = ARENA_ARRAY(a, extent, (size_t)n + 1);
    bool *sized = ARENA_ARRAY(a, bool, (size_t)n + 1);
    for (uint32_t i = 0; i < n; i++) {
        sized[i] = list[i].arg && extent_of(list[i].arg, &e[i]);
        for (uint32_t j = 0; sized[i] && j < i; j++) {
            if (!sized[j] || !(list[i].written || list[j].written) || e[i].lo == e[j].lo || e[i].lo >= e[j].hi ||
                e[j].lo >= e[i].hi)
                continue;
            if (e[i].t && e[j].t && apart_by_strides(e[i].t, e[j].t))
                continue;
            rt_fail(err, TILE_E_ARGUMENT,
                    "kernel '%.*s': arguments '%.*s' and '%.*s' overlap in part, and '%.*s' is written",
                    STR_ARG(kernel), STR_ARG(list[j].name), STR_ARG(list[i].name),
                    STR_ARG(list[list[i].written ? i : j].name));
            return false;
        }
    }
    return true;
}
