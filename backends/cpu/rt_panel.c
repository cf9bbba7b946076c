/* rt_panel.c: packed operands of products that the programs of a launch share.
 *
 * A box (so many lines by so many elements along K of an operand) is known by a key: the values of all scalars on which
 * its contents depend. The launch has memory for the boxes of each operand (abi_host.shared), handed out in the order
 * in which they are first wanted, and a table from keys to boxes, open-addressed, whose slots go through
 *
 *   0 empty -> hash | FILLING -> hash | OPEN           by the one thread that claimed it: key and place are written
 *                             -> hash | NONE           no memory is left: everyone packs its own
 *
 * A box is packed in turns. Whoever wants one that isn't whole takes turns of it until there are none, so those that
 * want it at the same time pack it together; then it waits for what others are at, which is one turn each. `done`
 * counts turns packed (release); a box whose count is full is whole for who reads that (acquire). Nobody waits while it
 * owes a turn, so waits end; who runs out of patience all the same (a thread that isn't run) packs a box of its own:
 * slower, never wrong.
 *
 * An operand is shared where the tensor's sizes say that each box is wanted MIN_REUSE times, and no memory that the
 * launch writes overlaps it.
 */
#include "backends/cpu/rt_panel.h"

#include <stdatomic.h>
#include <string.h>

enum { MIN_REUSE = 2, PROBES = 16, PATIENCE = 4000 };
enum { FILLING = 1, OPEN = 2, NONE = 3, STATE = 3 };

#define MOST_BYTES ((int64_t)256 << 20) /* of panels, a launch */

typedef struct panel_slot {
    _Atomic uint64_t word;
    _Atomic int64_t taken, done; /* turns */
    int64_t index;
    int64_t key[PANEL_KEY];
} panel_slot;

typedef struct extent {
    uint64_t lo, hi;
} extent;

static extent extent_of(const uint64_t *args, int64_t arg, int64_t rank, int64_t elem)
{
    extent e = {args[arg], args[arg]};
    int64_t last = 0;
    for (int64_t d = 0; d < rank; d++) {
        int64_t n = (int64_t)args[arg + 1 + d], reach, stride = (int64_t)args[arg + 1 + rank + d];
        if (n <= 0)
            return e;
        if (__builtin_mul_overflow(n - 1, stride, &reach) || __builtin_mul_overflow(reach, elem, &reach))
            return (extent){0, UINT64_MAX};
        if (reach < 0)
            e.lo += (uint64_t)reach;
        else if (__builtin_add_overflow(last, reach, &last))
            return (extent){0, UINT64_MAX};
    }
    e.hi += (uint64_t)last + (uint64_t)elem;
    return e;
}

static int is_written(const uint64_t *args, const panel_operand *o, const panel_written *w, int64_t n)
{
    extent x = extent_of(args, o->arg, o->rank, o->elem);
    for (int64_t i = 0; i < n; i++) {
        extent y = {args[w[i].arg], args[w[i].arg] + 1};
        if (w[i].rank >= 0)
            y = extent_of(args, w[i].arg, w[i].rank, w[i].elem);
        if (x.lo < y.hi && y.lo < x.hi)
            return 1;
    }
    return 0;
}

/* how many boxes the operand has; 0: not worth sharing */
static int64_t boxes_of(const uint64_t *args, const panel_operand *o)
{
    int64_t programs = (int64_t)(args[0] * args[1] * args[2]), groups = 1;
    for (int64_t d = 0; d < o->rank; d++) {
        int64_t n = (int64_t)args[o->arg + 1 + d];
        if (d == o->kdim)
            continue;
        if (d == o->ldim)
            n = (n + o->lines - 1) / o->lines;
        if (n <= 0 || groups > INT32_MAX || n > INT32_MAX)
            return 0;
        groups *= n;
    }
    int64_t along = ((int64_t)args[o->arg + 1 + o->kdim] + o->depth - 1) / o->depth;
    if (programs / MIN_REUSE < groups || along <= 0 || along > INT32_MAX || groups > INT32_MAX)
        return 0;
    return groups * along;
}

int64_t tile_rt_panels(abi_thread *t, const uint64_t *args, const panel_spec *spec, panel_share *out)
{
    const panel_operand *o = (const panel_operand *)(const void *)(spec + 1);
    const panel_written *w = (const panel_written *)(const void *)(o + spec->noperands);
    int64_t zeroed = 0, bytes = 0;
    for (int64_t i = 0; i < spec->noperands; i++) {
        int64_t boxes = is_written(args, &o[i], w, spec->nwritten) ? 0 : boxes_of(args, &o[i]);
        int64_t room = (MOST_BYTES - bytes) / o[i].bytes, n = 1;
        out[i] = (panel_share){.bytes = o[i].bytes, .chunk = o[i].chunk};
        if (!boxes || !room)
            continue;
        boxes *= o[i].spare;
        out[i].capacity = boxes < room ? boxes : room;
        while (n < 2 * out[i].capacity)
            n *= 2;
        out[i].nslots = n;
        zeroed += 64 + n * (int64_t)sizeof(panel_slot);
        bytes += out[i].capacity * o[i].bytes;
    }
    char *base = bytes && t->host && t->host->shared ? t->host->shared(t->host, zeroed, bytes) : NULL;
    char *panels = base ? base + zeroed : NULL;
    for (int64_t i = 0; base && i < spec->noperands; i++) {
        if (!out[i].capacity)
            continue;
        out[i].used = (int64_t *)(void *)base;
        out[i].slots = (panel_slot *)(void *)(base + 64);
        out[i].panels = panels;
        base += 64 + out[i].nslots * (int64_t)sizeof(panel_slot);
        panels += out[i].capacity * out[i].bytes;
    }
    return 0;
}

static uint64_t hash_of(const int64_t *key, int64_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (int64_t i = 0; i < n; i++) {
        h = (h ^ (uint64_t)key[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return (h & ~(uint64_t)STATE) ? h & ~(uint64_t)STATE : 4;
}

static void pause_cpu(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static panel_slot *claimed(const panel_share *s, panel_slot *x, uint64_t h, const int64_t *key, int64_t nkey)
{
    int64_t at = atomic_fetch_add_explicit((_Atomic int64_t *)s->used, 1, memory_order_relaxed);
    if (at >= s->capacity) {
        atomic_store_explicit(&x->word, h | NONE, memory_order_release);
        return NULL;
    }
    x->index = at;
    memcpy(x->key, key, (size_t)nkey * sizeof *key);
    atomic_store_explicit(&x->word, h | OPEN, memory_order_release);
    return x;
}

/* the state of a slot of this hash, when it is known */
static uint64_t settled(const panel_slot *x, uint64_t w)
{
    for (int i = 0; i < PATIENCE && (w & STATE) == FILLING; i++) {
        pause_cpu();
        w = atomic_load_explicit(&x->word, memory_order_acquire);
    }
    return w & STATE;
}

static panel_slot *find(const panel_share *s, const int64_t *key, int64_t nkey)
{
    uint64_t h = hash_of(key, nkey), mask = (uint64_t)s->nslots - 1;
    for (uint64_t i = 0; i < PROBES; i++) {
        panel_slot *x = &s->slots[((h >> 2) + i) & mask];
        uint64_t w = atomic_load_explicit(&x->word, memory_order_acquire);
        if (w == 0 && atomic_compare_exchange_strong_explicit(&x->word, &w, h | FILLING, memory_order_acquire,
                                                              memory_order_acquire))
            return claimed(s, x, h, key, nkey);
        if ((w & ~(uint64_t)STATE) != h)
            continue;
        if (settled(x, w) != OPEN)
            return NULL;
        if (memcmp(x->key, key, (size_t)nkey * sizeof *key) == 0)
            return x;
    }
    return NULL;
}

int64_t tile_rt_panel_take(panel_ticket *t, const panel_share *s, const int64_t *key, int64_t nkey, char *own)
{
    *t = (panel_ticket){.at = own, .own = own, .turns = key[PANEL_TURNS], .chunk = s->chunk, .end = key[PANEL_TURNS]};
    if (s->slots)
        t->slot = find(s, key, nkey);
    if (!t->slot)
        return 0;
    t->at = s->panels + t->slot->index * s->bytes;
    t->end = 0;
    return 0;
}

/* some turns that nobody has taken; false: there are none */
static int take_turns(panel_ticket *t)
{
    panel_slot *x = t->slot;
    if (atomic_load_explicit(&x->taken, memory_order_relaxed) >= t->turns)
        return 0;
    t->next = atomic_fetch_add_explicit(&x->taken, t->chunk, memory_order_relaxed);
    t->end = t->turns - t->next < t->chunk ? t->turns : t->next + t->chunk;
    t->busy = t->end - t->next;
    return t->next < t->turns;
}

int64_t tile_rt_panel_next(panel_ticket *t)
{
    if (t->next < t->end)
        return t->next++;
    if (!t->slot)
        return -1;
    if (t->busy)
        atomic_fetch_add_explicit(&t->slot->done, t->busy, memory_order_release);
    t->busy = 0;
    for (int i = 0; i < PATIENCE; i++) {
        if (atomic_load_explicit(&t->slot->done, memory_order_acquire) == t->turns)
            return -1;
        if (take_turns(t))
            return t->next++;
        t->busy = 0;
        pause_cpu();
    }
    t->slot = NULL;
    t->at = t->own;
    t->next = 1;
    t->end = t->turns;
    return 0;
}
