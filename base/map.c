/* map.c: open addressing with linear probing, at most half full; hashing by 64x64 -> 128 bit multiply and fold. */
#include "base/map.h"

#include <string.h>

__extension__ typedef unsigned __int128 u128;

static uint64_t fold_mul(uint64_t a, uint64_t b)
{
    u128 p = (u128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t hash_mix(uint64_t a, uint64_t b)
{
    return fold_mul(a ^ 0x9e3779b97f4a7c15u, b ^ 0xd1b54a32d192ed03u);
}

uint64_t hash_bytes(const void *data, size_t n, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = hash_mix(seed, n + 1);
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        h = hash_mix(h, w);
    }
    uint64_t w = 0;
    if (n)
        memcpy(&w, p, n);
    h = hash_mix(h, w);
    h ^= h >> 29; /* the low bits pick slots: let all others into them */
    h *= 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

void map_init(map64 *m, arena *a)
{
    memset(m, 0, sizeof *m);
    m->a = a;
}

static uint32_t probe(const map64 *m, uint64_t key)
{
    uint32_t i = (uint32_t)hash_mix(key, 1) & (m->cap - 1);
    while (m->vals[i] && m->keys[i] != key)
        i = (i + 1) & (m->cap - 1);
    return i;
}

bool map_get(const map64 *m, uint64_t key, uint32_t *val)
{
    if (!m->n)
        return false;
    uint32_t i = probe(m, key);
    if (m->vals[i])
        *val = m->vals[i] - 1;
    return m->vals[i] != 0;
}

static void grow(map64 *m)
{
    map64 old = *m;
    uint32_t cap = old.cap ? old.cap * 2 : 32;
    uint64_t *keys = ARENA_ARRAY(m->a, uint64_t, cap);
    m->vals = ARENA_ARRAY(m->a, uint32_t, cap); /* what may fail is done: the map is whole at any time */
    m->keys = keys;
    m->cap = cap;
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.vals[i]) {
            uint32_t j = probe(m, old.keys[i]);
            m->keys[j] = old.keys[i];
            m->vals[j] = old.vals[i];
        }
}

void map_set(map64 *m, uint64_t key, uint32_t val)
{
    if (m->n * 2 >= m->cap)
        grow(m);
    uint32_t i = probe(m, key);
    m->n += m->vals[i] == 0;
    m->keys[i] = key;
    m->vals[i] = val + 1;
}

void map_clear(map64 *m)
{
    if (m->cap)
        memset(m->vals, 0, m->cap * sizeof *m->vals);
    m->n = 0;
}
