/* arena.c: chunks from malloc, bumped; a chunk is at least 64 KiB and grows with the arena so that big arenas have few. */
#include "base/arena.h"
#include "base/diag.h"

#include <stdlib.h>
#include <string.h>

struct arena_chunk {
    arena_chunk *older;
    size_t size;
};

enum { CHUNK_MIN = 64 << 10, CHUNK_MAX = 8 << 20, ALIGN_MIN = 16 };

#ifdef TILE_TEST_ALLOC
static _Thread_local long fail_after;

void arena_fail_after(long n)
{
    fail_after = n;
}

static bool test_fails(void)
{
    return fail_after > 0 && --fail_after == 0;
}
#else
void arena_fail_after(long n)
{
    (void)n;
}

static bool test_fails(void)
{
    return false;
}
#endif

void arena_init(arena *a, size_t limit)
{
    memset(a, 0, sizeof *a);
    a->limit = limit;
}

void arena_fini(arena *a)
{
    for (arena_chunk *c = a->chunks; c;) {
        arena_chunk *older = c->older;
        free(c);
        c = older;
    }
    a->chunks = NULL;
    a->beg = a->end = NULL;
    a->used = 0;
}

static _Noreturn void out_of_memory(arena *a)
{
    if (a->oom)
        longjmp(*a->oom, 1);
    bug("out of memory");
}

static void grow(arena *a, size_t need)
{
    size_t size = a->used / 2;
    size = size < CHUNK_MIN ? CHUNK_MIN : size > CHUNK_MAX ? CHUNK_MAX : size;
    if (size < need)
        size = need;
    size += sizeof(arena_chunk) + ALIGN_MIN;
    if (size < need || test_fails() || (a->limit && (size > a->limit || a->used > a->limit - size)))
        out_of_memory(a);
    arena_chunk *c = malloc(size);
    if (!c)
        out_of_memory(a);
    c->older = a->chunks;
    c->size = size;
    a->chunks = c;
    a->beg = (char *)(c + 1);
    a->end = (char *)c + size;
    a->used += size;
}

void *arena_alloc(arena *a, size_t n, size_t align)
{
    if (align < 1)
        align = 1;
    size_t pad = (size_t)(-(uintptr_t)a->beg & (align - 1));
    if (!a->beg || (size_t)(a->end - a->beg) < pad || (size_t)(a->end - a->beg) - pad < n) {
        if (n > SIZE_MAX / 2 || align > SIZE_MAX / 4)
            out_of_memory(a);
        grow(a, n + align);
        pad = (size_t)(-(uintptr_t)a->beg & (align - 1));
    }
    char *p = a->beg + pad;
    a->beg = p + n;
    return n ? memset(p, 0, n) : p;
}

void *arena_copy(arena *a, const void *p, size_t n, size_t align)
{
    void *q = arena_alloc(a, n, align);
    return n ? memcpy(q, p, n) : q;
}

void *arena_array(arena *a, size_t n, size_t size, size_t align)
{
    if (size && n > SIZE_MAX / size)
        out_of_memory(a);
    return arena_alloc(a, n * size, align);
}

arena_pos arena_mark(const arena *a)
{
    return (arena_pos){a->chunks, a->beg, a->end, a->used};
}

void arena_reset(arena *a, arena_pos m)
{
    while (a->chunks != m.chunk) {
        arena_chunk *older = a->chunks->older;
        free(a->chunks);
        a->chunks = older;
    }
    a->beg = m.beg;
    a->end = m.end;
    a->used = m.used;
}
