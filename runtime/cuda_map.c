/* cuda_map.c: tensor maps: what a bulk copy has to know of a tensor, encoded by the driver at launch.
 *
 * The driver counts dimensions from the innermost one. A map may have fewer dimensions than its tensor: the box is 1
 * along the leading ones. Each map of a kernel has a few places, found by a hash of (address, sizes, strides), so that
 * a launch with known tensors encodes nothing. Maps are passed by value: a place may be reused as soon as the launch
 * has been issued.
 */
#include "runtime/cuda.h"

#include <stdio.h>
#include <string.h>

/* the driver's numbers of element types; what has none moves as integers of its width */
static int element_number(dtype dt)
{
    switch (dt) {
    case DT_F16:
        return 6;
    case DT_F32:
        return 7;
    case DT_F64:
        return 8;
    case DT_BF16:
        return 9;
    default:
        break;
    }
    switch (dt_bytes(dt)) {
    case 1:
        return 0;
    case 2:
        return 1;
    case 4:
        return 2;
    default:
        return 4;
    }
}

static int swizzle_number(int32_t bytes)
{
    return bytes == 32 ? 1 : bytes == 64 ? 2 : bytes == 128 ? 3 : 0;
}

static bool wrong(const struct cuda_kernel *k, const gpu_map *m, tile_error *err, const char *fmt, ...)
    STR_PRINTF(4, 5);
static bool wrong(const struct cuda_kernel *k, const gpu_map *m, tile_error *err, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    rt_fail(err, TILE_E_ARGUMENT, "tensor %d of kernel '%.*s' can't be copied in bulk: %s", (int)m->param,
            STR_ARG(k->name), text);
    return false;
}

/* what the hardware asks of a tensor; s: its slots */
static bool check(const struct cuda_kernel *k, const gpu_map *m, int rank, const uint64_t *s, tile_error *err)
{
    int64_t w = dt_bytes(m->dt);
    const int64_t *sizes = (const int64_t *)s + 1, *strides = sizes + rank;
    if (s[0] % 16)
        return wrong(k, m, err, "its address 0x%llx is not a multiple of 16", (unsigned long long)s[0]);
    if (strides[rank - 1] != 1 && sizes[rank - 1] > 1)
        return wrong(k, m, err, "its last stride is %lld, expected 1", (long long)strides[rank - 1]);
    for (int d = 0; d < rank; d++) {
        if (sizes[d] < 1 || sizes[d] > UINT32_MAX)
            return wrong(k, m, err, "dimension %d has %lld elements, expected 1 to 4294967295", d, (long long)sizes[d]);
        if (d == rank - 1 || sizes[d] == 1)
            continue;
        if (strides[d] < 0 || strides[d] >= ((int64_t)1 << 40) / w)
            return wrong(k, m, err, "stride %d is %lld elements, expected at least 0 and less than 2^40 bytes", d,
                         (long long)strides[d]);
        if (strides[d] * w % 16)
            return wrong(k, m, err, "stride %d is %lld elements of %lld bytes, not a multiple of 16 bytes", d,
                         (long long)strides[d], (long long)w);
    }
    return true;
}

static bool encode(cuda_device *c, const gpu_map *m, int rank, const uint64_t *s, cu_map *out, tile_error *err)
{
    uint64_t sizes[TILE_MAX_RANK], strides[TILE_MAX_RANK];
    uint32_t box[TILE_MAX_RANK], steps[TILE_MAX_RANK];
    uint64_t w = (uint64_t)dt_bytes(m->dt), dense = w;
    for (int i = 0; i < rank; i++) { /* innermost first */
        int d = rank - 1 - i, b = m->rank - 1 - i;
        sizes[i] = s[1 + d];
        steps[i] = 1;
        box[i] = b >= 0 ? (uint32_t)m->box[b] : 1;
        /* the stride of a dimension with one element says nothing: any legal one will do */
        if (i > 0)
            strides[i - 1] = sizes[i] > 1 ? s[1 + rank + d] * w : (dense + 15) / 16 * 16;
        dense = i > 0 ? strides[i - 1] * sizes[i] : w * sizes[0];
    }
    return cuda_ok(c,
                   c->api.cuTensorMapEncodeTiled(out, element_number(m->dt), (uint32_t)rank, (void *)(uintptr_t)s[0],
                                                 sizes, strides, box, steps, 0, swizzle_number(m->swizzle), 3, 0),
                   "cuTensorMapEncodeTiled", err);
}

const cu_map *cuda_map_for(cuda_device *c, struct cuda_kernel *k, uint32_t i, const uint64_t *s, tile_error *err)
{
    const gpu_map *m = &k->code.maps[i];
    int rank = k->map_rank[i];
    size_t n = (size_t)(1 + 2 * rank) * sizeof *s;
    cuda_map *x = &k->maps[i * CUDA_MAP_SLOTS + (hash_bytes(s, n, 3) & (CUDA_MAP_SLOTS - 1))];
    if (x->used && memcmp(x->key, s, n) == 0)
        return &x->map;
    x->used = false;
    if (!check(k, m, rank, s, err) || !encode(c, m, rank, s, &x->map, err))
        return NULL;
    memcpy(x->key, s, n);
    x->used = true;
    return &x->map;
}
