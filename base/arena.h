/* arena.h: region allocation.
 *
 * Everything the compiler makes lives in an arena and dies with it; single nodes are never freed. A permanent arena is
 * passed by pointer. Running out (of memory, or of the arena's own limit) does not return: it longjmps to `oom` when
 * the owner set one, which is how the public entry points turn it into a diagnostic, and aborts otherwise. Who holds
 * something that must be let go then (another arena, what a library made, a lock) calls on under arena_try, lets go of
 * it, and passes the end on by arena_raise.
 *
 *   arena_alloc   zeroed memory, aligned to 16 unless told
 *   arena_mark / arena_reset   stack discipline for scratch use
 */
#ifndef TILE_BASE_ARENA_H
#define TILE_BASE_ARENA_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct arena_chunk arena_chunk;

typedef struct arena {
    char *beg, *end;     /* free part of the newest chunk */
    arena_chunk *chunks; /* newest first */
    arena_chunk *spare;  /* let go of by a reset, for the next chunk; NULL where there is a limit */
    size_t used;         /* bytes in all chunks */
    size_t limit;        /* most bytes in all chunks, 0 = none */
    jmp_buf *oom;        /* where to go when memory ends; NULL = abort */
} arena;

typedef struct arena_pos {
    arena_chunk *chunk;
    char *beg, *end;
    size_t used;
} arena_pos;

/* arena.c */
void arena_init(arena *a, size_t limit);
/* likewise, with n bytes of the caller's (its stack's) to begin with, which must outlive it */
void arena_init_on(arena *a, void *room, size_t n);
void arena_fini(arena *a);
void *arena_alloc(arena *a, size_t n, size_t align);
void *arena_copy(arena *a, const void *p, size_t n, size_t align);
arena_pos arena_mark(const arena *a);
void arena_reset(arena *a, arena_pos m);
/* n * size, or out of memory when the product overflows */
void *arena_array(arena *a, size_t n, size_t size, size_t align);
/* f(ctx), or false where memory of `a` ended in it, with a->oom as before either way; arenas of f's own take a->oom */
bool arena_try(arena *a, void (*f)(void *ctx), void *ctx);
/* to the owner's `oom`, as when memory ends */
_Noreturn void arena_raise(arena *a);
/* the Nth allocation from now fails (tests only); 0 = off. Compiled in with TILE_TEST_ALLOC. */
void arena_fail_after(long n);

#define ARENA_NEW(a, T) ((T *)arena_alloc((a), sizeof(T), _Alignof(T)))
#define ARENA_ARRAY(a, T, n) ((T *)arena_array((a), (size_t)(n), sizeof(T), _Alignof(T)))

#endif
