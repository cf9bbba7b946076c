/* rt_ops.h: functions that generated CPU code calls. */
#ifndef TILE_BACKENDS_CPU_RT_OPS_H
#define TILE_BACKENDS_CPU_RT_OPS_H

#include "compiler/abi.h"

/* rt_ops.c */
/* src, outer * len * inner elements of `bytes`, to dst in the order of the keys along len, the first `keep` of each
 * line; scratch: 32 * len bytes */
int64_t tile_rt_sort(void *dst, const void *src, int64_t bytes, const void *key, int64_t dt, int64_t outer, int64_t len,
                     int64_t inner, int64_t keep, int64_t descending, void *scratch);
int64_t tile_rt_histogram(int32_t *counts, int64_t bins, const void *x, int64_t dt, int64_t n, const uint8_t *mask);
/* 1 when every condition holds (where mask; NULL = everywhere) */
int64_t tile_rt_all(const uint8_t *cond, const uint8_t *mask, int64_t n);
/* 1 when each of n elements of es bytes (where mask; NULL = everywhere) lies in the bytes from base; else 0, and the
 * host is told, with the element's number */
int64_t tile_rt_bound(abi_host *h, const void *const *at, const uint8_t *mask, int64_t n, const void *base,
                      int64_t bytes, int64_t es, const char *text, const char *file, int64_t line, const int64_t *pid);

#endif
