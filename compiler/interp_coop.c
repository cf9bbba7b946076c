/* interp_coop.c: the programs of a cooperative kernel, as coroutines.
 *
 * Each program has a stack (mapped lazily, with a guard page below), a frame and arenas of its own. They take turns in
 * ascending order and give way before each atomic, volatile load and barrier: the only places where one program may see
 * what another did. The order is fixed, so a run can be repeated.
 *
 * A deadlock shows as rounds in which every program that still runs gave way and none changed memory: programs that
 * poll see the same again. After MAX_IDLE_ROUNDS of them (a poll with a bounded count may end by itself) the kernel
 * faults.
 */
#include "compiler/interp_impl.h"

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define MAX_PROGRAMS 4096
#define MAX_IDLE_ROUNDS 20000
#define STACK_BYTES ((size_t)1 << 20)
#define LEAST_BYTES ((size_t)256 << 10) /* of values, whatever the number of programs */

typedef struct routine {
    program p;
    frame *fr;
    const uint64_t *args;
    const ir_func *k;
    ucontext_t at;
    void *stack;
    bool done;
} routine;

struct coop {
    interp *x;
    ucontext_t home;
    routine *r;
    int64_t n, current;
};

bool interp_coop_switch(program *p)
{
    struct coop *c = p->coop;
    swapcontext(&c->r[c->current].at, &c->home);
    return !c->x->failed;
}

static bool enter_frame(routine *r)
{
    jmp_buf oom;
    if (setjmp(oom)) {
        frame none = {.p = &r->p, .f = r->k};
        r->p.frames.oom = NULL;
        return interp_fault(&none, (ir_op){0}, "the arguments take more memory than allowed");
    }
    r->p.frames.oom = &oom;
    r->fr = interp_frame_new(&r->p, r->k);
    interp_set_args(r->fr, r->args);
    r->p.frames.oom = NULL;
    return true;
}

/* makecontext passes ints: the pointer comes in two halves */
static void routine_main(unsigned hi, unsigned lo)
{
    routine *r = (routine *)(uintptr_t)(((uint64_t)hi << 32) | lo);
    if (enter_frame(r))
        (void)interp_run_program(r->fr);
    r->done = true;
    swapcontext(&r->at, &r->p.coop->home);
    bug("interp: a finished program was resumed");
}

static bool routine_start(struct coop *c, routine *r)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    r->stack = mmap(NULL, STACK_BYTES + page, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->stack == MAP_FAILED) {
        r->stack = NULL;
        return false;
    }
    mprotect(r->stack, page, PROT_NONE);
    getcontext(&r->at);
    r->at.uc_stack.ss_sp = (char *)r->stack + page;
    r->at.uc_stack.ss_size = STACK_BYTES;
    r->at.uc_link = &c->home;
    uint64_t at = (uint64_t)(uintptr_t)r;
    makecontext(&r->at, (void (*)(void))routine_main, 2, (unsigned)(at >> 32), (unsigned)at);
    return true;
}

static bool prepare(struct coop *c, const ir_func *k, const uint64_t *args, size_t max_bytes)
{
    interp *x = c->x;
    size_t each = max_bytes / (size_t)c->n > LEAST_BYTES ? max_bytes / (size_t)c->n : LEAST_BYTES;
    for (int64_t i = 0; i < c->n; i++) {
        routine *r = &c->r[i];
        interp_program_init(&r->p, x, each);
        r->p.coop = c;
        r->p.pid[0] = i % x->grid[0];
        r->p.pid[1] = i / x->grid[0] % x->grid[1];
        r->p.pid[2] = i / x->grid[0] / x->grid[1];
        r->k = k;
        r->args = args;
        if (!routine_start(c, r)) {
            frame none = {.p = &r->p, .f = k};
            return interp_fault(&none, (ir_op){0}, "no memory for the stack of a program");
        }
    }
    return true;
}

/* one turn of every program that still runs; the number of those left */
static int64_t run_round(struct coop *c, bool *finished)
{
    int64_t left = 0;
    *finished = false;
    for (c->current = 0; c->current < c->n; c->current++) {
        routine *r = &c->r[c->current];
        if (r->done)
            continue;
        swapcontext(&c->home, &r->at);
        left += !r->done;
        *finished |= r->done;
    }
    return left;
}

static void run_all(struct coop *c)
{
    interp *x = c->x;
    int idle = 0;
    for (;;) {
        uint64_t before = x->changes;
        bool finished;
        if (!run_round(c, &finished))
            return; /* after a fault too: every program unwinds at its next turn */
        idle = finished || x->changes != before ? 0 : idle + 1;
        if (idle <= MAX_IDLE_ROUNDS || x->failed)
            continue;
        for (int64_t i = 0; i < c->n; i++)
            if (!c->r[i].done && !x->failed) {
                frame none = {.p = &c->r[i].p, .f = c->r[i].k};
                interp_fault(&none, (ir_op){0}, "programs wait for each other");
            }
    }
}

bool interp_coop_run(interp *x, const ir_func *k, const uint64_t *args, size_t max_bytes)
{
    __extension__ typedef unsigned __int128 u128;
    u128 total = (u128)(uint64_t)x->grid[0] * (uint64_t)x->grid[1] * (uint64_t)x->grid[2];
    if (total == 0)
        return true;
    if (total > MAX_PROGRAMS) {
        program p = {.x = x};
        frame none = {.p = &p, .f = k};
        return interp_fault(&none, (ir_op){0}, "%lld programs in a cooperative kernel, at most %d run at once here",
                            (long long)(total > INT64_MAX ? INT64_MAX : (int64_t)total), MAX_PROGRAMS);
    }
    arena a;
    arena_init(&a, 0);
    struct coop c = {.x = x, .n = (int64_t)total};
    c.r = ARENA_ARRAY(&a, routine, c.n);
    if (prepare(&c, k, args, max_bytes))
        run_all(&c);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int64_t i = 0; i < c.n; i++) {
        if (!c.r[i].p.x)
            continue;
        interp_program_fini(&c.r[i].p);
        if (c.r[i].stack)
            munmap(c.r[i].stack, STACK_BYTES + page);
    }
    arena_fini(&a);
    return !x->failed;
}
