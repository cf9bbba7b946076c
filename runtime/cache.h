/* cache.h: compiled code on disk, by the hash of what it was made from. */
#ifndef TILE_RUNTIME_CACHE_H
#define TILE_RUNTIME_CACHE_H

#include "base/base.h"

typedef struct cache_key {
    uint64_t a, b;
} cache_key;

typedef struct cache_sums {
    int64_t entries, bytes; /* compiled code */
    int64_t choices;        /* of the tuner */
    int64_t left;           /* files that a process which died left half written */
} cache_sums;

#define CACHE_LIMIT ((int64_t)1 << 30) /* bytes of compiled code, unless TILE_CACHE_SIZE says another number */

/* cache.c */
/* the folder: TILE_CACHE_DIR (empty: none), else `tile` in XDG_CACHE_HOME or HOME/.cache; empty where there is none */
str cache_folder(arena *a);
cache_key cache_key_of(const str *parts, uint32_t n);
/* an entry's bytes, 16-aligned; false where there is none, or a damaged one */
MUST_USE bool cache_get(arena *a, str folder, cache_key k, str *out);
/* best effort: a cache that can't be written is none */
void cache_put(arena *a, str folder, cache_key k, str bytes);
/* the tuner's choices: a line of text an entry, under its own name; "" where there is none, or a damaged one */
str cache_get_choice(arena *a, str folder, cache_key k);
void cache_put_choice(arena *a, str folder, cache_key k, str line);

/* cache_size.c */
/* the most bytes that compiled code may take, 0 = any; false + *err where TILE_CACHE_SIZE is no size */
MUST_USE bool cache_limit(arena *a, int64_t *bytes, str *err);
/* an entry of so many bytes was written: now and then the folder is looked through and cut to its limit */
void cache_put_done(arena *a, str folder, int64_t bytes);
/* where compiled code takes more than `bytes`: removed, what was used longest ago first, until it takes 7/8 of them */
void cache_trim(arena *a, str folder, int64_t bytes);
/* what lies in the folder; with `clear` all of it is removed. False + *err (in `a`) where it can't be read or emptied;
 * a folder that isn't there holds nothing */
MUST_USE bool cache_sum(arena *a, str folder, bool clear, cache_sums *out, str *err);

#endif
