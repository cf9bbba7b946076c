/* map.h: hash map from 64-bit keys to 32-bit values (open addressing, in an arena), and hashing. */
#ifndef TILE_BASE_MAP_H
#define TILE_BASE_MAP_H

#include "base/arena.h"

typedef struct map64 {
    arena *a;
    uint64_t *keys;
    uint32_t *vals; /* value + 1; 0 = empty slot */
    uint32_t n, cap;
} map64;

/* map.c */
void map_init(map64 *m, arena *a);
bool map_get(const map64 *m, uint64_t key, uint32_t *val);
void map_set(map64 *m, uint64_t key, uint32_t val); /* val < UINT32_MAX */
void map_clear(map64 *m);

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed); /* 64-bit, good mixing, not cryptographic */
uint64_t hash_mix(uint64_t a, uint64_t b);

#endif
