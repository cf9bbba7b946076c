/* cache.h: compiled code on disk, by the hash of what it was made from. */
#ifndef TILE_RUNTIME_CACHE_H
#define TILE_RUNTIME_CACHE_H

#include "base/base.h"

typedef struct cache_key {
    uint64_t a, b;
} cache_key;

/* cache.c */
/* the folder: TILE_CACHE_DIR (empty: none), else `tile` in XDG_CACHE_HOME or HOME/.cache; empty where there is none */
str cache_folder(arena *a);
cache_key cache_key_of(const str *parts, uint32_t n);
/* an entry's bytes; false where there is none, or a damaged one */
MUST_USE bool cache_get(arena *a, str folder, cache_key k, str *out);
/* best effort: a cache that can't be written is none */
void cache_put(arena *a, str folder, cache_key k, str bytes);

#endif
