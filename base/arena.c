/* arena.c: chunks from malloc, bumped; a chunk is at least 64 KiB and grows with the arena: big arenas have few.
 * What a reset lets go of is given back, but for the largest big one: malloc would return it to the system, and
 * fetching it anew page by page costs more than a pass over a function. */
#include "base/arena.h"
#include "base/diag.h"

#include <stdlib.h>
#include <string.h>

struct arena_chunk {
    arena_chunk *older;
    size_t size;
};

enum { CHUNK_MIN = 64 << 10, CHUNK_MAX = 8 << 20, ALIGN_MIN = 16, SPARE_MIN = 128 << 10 };

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

void arena_init_on(arena *a, void *room, size_t n)
{
    arena_init(a, 0);
    a->beg = room;
    a->end = (char *)room + n;
}

void arena_fini(arena *a)
{
    for (arena_chunk *c = a->chunks; c;) {
        arena_chunk *older = c->older;
        free(c);
        c = older;
    }
    free(a->spare);
    a->chunks = a->spare = NULL;
    a->beg = a->end = NULL;
    a->used = 0;
}

_Noreturn void arena_raise(arena *a)
{
    if (a->oom)
        longjmp(*a->oom, 1);
    bug("out of memory");
}

bool arena_try(arena *a, void (*f)(void *ctx), void *ctx)
{
    jmp_buf here, *outer = a->oom;
    bool done = setjmp(here) == 0;
    if (done) {
        a->oom = &here;
        f(ctx);
    }
    a->oom = outer;
    return done;
}

static void grow(arena *a, size_t need)
{
    size_t size = a->used / 2;
    size = size < CHUNK_MIN ? CHUNK_MIN : size > CHUNK_MAX ? CHUNK_MAX : size;
    if (size < need)
        size = need;
    size += sizeof(arena_chunk) + ALIGN_MIN;
    if (size < need || test_fails() || (a->limit && (size > a->limit || a->used > a->limit - size)))
        arena_raise(a);
    arena_chunk *c = a->spare;
    if (c && c->size >= size) {
        a->spare = NULL;
        size = c->size;
    } else {
        c = malloc(size);
    }
    if (!c)
        arena_raise(a);
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
            arena_raise(a);
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
        arena_raise(a);
    return arena_alloc(a, n * size, align);
}

arena_pos arena_mark(const arena *a)
{
    return (arena_pos){a->chunks, a->beg, a->end, a->used};
}

void arena_reset(arena *a, arena_pos m)
{
    while (a->chunks != m.chunk) {
        arena_chunk *c = a->chunks, *drop = c;
        a->chunks = c->older;
        if (!a->limit && c->size >= SPARE_MIN && (!a->spare || a->spare->size < c->size)) {
            drop = a->spare;
            a->spare = c;
        }
        free(drop);
    }
    a->beg = m.beg;
    a->end = m.end;
    a->used = m.used;
}
