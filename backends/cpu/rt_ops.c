/* rt_ops.c: what generated code calls: sorting, counting, and the C library's f64 mathematics.
 *
 * No state; any thread. Nothing here needs LLVM: ahead-of-time objects link against the same functions.
 */
#include "backends/cpu/rt_ops.h"
#include "compiler/types.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct entry {
    uint64_t key;
    uint64_t at;
} entry;

static uint64_t read_bits(const void *p, int64_t i, int bytes)
{
    uint64_t x = 0;
    memcpy(&x, (const char *)p + i * bytes, (size_t)bytes);
    return x;
}

/* a number whose unsigned order is the order of the values; NaN greatest, zeros equal */
static uint64_t key_of(dtype d, uint64_t bits)
{
    if (!dt_is_any_float(d))
        return dt_is_signed(d) ? (uint64_t)dt_int(d, bits) ^ ((uint64_t)1 << 63) : bits;
    double x = dt_float(d, bits);
    if (isnan(x))
        return UINT64_MAX;
    x += 0.0;
    uint64_t u = num_f64_bits(x);
    return u >> 63 ? ~u : u | (uint64_t)1 << 63;
}

/* stable merge sort of n entries; the result is where it returns, in a or in b */
static entry *merge_sort(entry *a, entry *b, int64_t n)
{
    for (int64_t w = 1; w < n; w *= 2) {
        for (int64_t lo = 0; lo < n; lo += 2 * w) {
            int64_t mid = lo + w < n ? lo + w : n, hi = lo + 2 * w < n ? lo + 2 * w : n, i = lo, j = mid;
            for (int64_t k = lo; k < hi; k++)
                b[k] = i < mid && (j >= hi || a[i].key <= a[j].key) ? a[i++] : a[j++];
        }
        entry *t = a;
        a = b;
        b = t;
    }
    return a;
}

int64_t tile_rt_sort(void *dst, const void *src, int64_t bytes, const void *key, int64_t dt, int64_t outer, int64_t len,
                     int64_t inner, int64_t keep, int64_t descending, void *scratch)
{
    dtype d = (dtype)dt;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t in = 0; in < inner; in++) {
            entry *e = scratch;
            for (int64_t i = 0; i < len; i++) {
                int64_t at = (o * len + i) * inner + in;
                uint64_t u = key_of(d, read_bits(key, at, dt_bytes(d)));
                e[i] = (entry){descending ? ~u : u, (uint64_t)at};
            }
            e = merge_sort(e, e + len, len);
            for (int64_t i = 0; i < keep; i++)
                memcpy((char *)dst + ((o * keep + i) * inner + in) * bytes,
                       (const char *)src + (int64_t)e[i].at * bytes, (size_t)bytes);
        }
    return 0;
}

int64_t tile_rt_histogram(int32_t *counts, int64_t bins, const void *x, int64_t dt, int64_t n, const uint8_t *mask)
{
    dtype d = (dtype)dt;
    memset(counts, 0, (size_t)bins * sizeof *counts);
    for (int64_t i = 0; i < n; i++) {
        if (mask && !mask[i])
            continue;
        int64_t v = dt_int(d, read_bits(x, i, dt_bytes(d)));
        if (v >= 0 && v < bins)
            counts[v]++;
    }
    return 0;
}

int64_t tile_rt_all(const uint8_t *cond, const uint8_t *mask, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!cond[i] && (!mask || mask[i]))
            return 0;
    return 1;
}

int64_t tile_rt_bound(abi_host *h, const void *const *at, const uint8_t *mask, int64_t n, const void *base,
                      int64_t bytes, int64_t es, const char *text, const char *file, int64_t line, const int64_t *pid)
{
    char said[512];
    for (int64_t i = 0; i < n && bytes >= 0; i++) {
        int64_t off = (int64_t)((uintptr_t)at[i] - (uintptr_t)base);
        if ((mask && !mask[i]) || (off >= 0 && off <= bytes - es))
            continue;
        snprintf(said, sizeof said, "%s: element %lld of %lld", text, (long long)(off / es - (off % es < 0)),
                 (long long)(bytes / es));
        h->fault(h, said, file, (int)line, pid);
        return 0;
    }
    return 1;
}
