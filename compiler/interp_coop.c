/* interp_coop.c: programs side by side, as coroutines: those of a cooperative kernel, those of a cluster, and the
 * partitions of one program.
 *
 * Each has a stack (mapped lazily, with a guard page below) and arenas of its own. They take turns in ascending order.
 * A program of a cooperative kernel gives way before each atomic, volatile load and barrier: the only places where one
 * may see what another did; a partition also where it waits for a channel or its turn. The order is fixed, so a run can
 * be repeated.
 *
 * A deadlock is a round in which nothing changed and all that still run wait for each other; where some poll memory
 * instead, it shows as MAX_IDLE_ROUNDS such rounds (a poll with a bounded count may end by itself). Partitions of a
 * program that runs beside others let those go on after each idle round of their own.
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
    coop_main *main;
    void *job;
    ucontext_t at;
    void *stack;
    bool done;
} routine;

struct coop {
    interp *x;
    program *outer;
    const ir_func *f;
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

bool interp_wait(frame *fr, ir_op o)
{
    program *p = fr->p;
    if (!p->coop || !(p->part || p->cluster))
        return interp_fault(fr, o, "waits for what nothing else will do");
    p->wait_frame = fr;
    p->wait_op = o;
    bool ok = interp_coop_switch(p);
    p->wait_op.id = 0;
    return ok;
}

/* makecontext passes ints: the pointer comes in two halves */
static void routine_main(unsigned hi, unsigned lo)
{
    routine *r = (routine *)(uintptr_t)(((uint64_t)hi << 32) | lo);
    (void)r->main(&r->p, r->job);
    r->done = true;
    swapcontext(&r->at, &r->p.coop->home);
    bug("interp: a finished program was resumed");
}

static bool routine_start(struct coop *c, routine *r)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    r->stack =
        mmap(NULL, STACK_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
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

static bool prepare(struct coop *c, const coop_jobs *jobs)
{
    size_t share = jobs->max_bytes / (size_t)c->n, each = share > LEAST_BYTES ? share : LEAST_BYTES;
    for (int64_t i = 0; i < c->n; i++) {
        routine *r = &c->r[i];
        interp_program_init(&r->p, c->x, each);
        r->p.coop = c;
        r->p.max_bytes = each;
        if (c->outer)
            memcpy(r->p.pid, c->outer->pid, sizeof r->p.pid);
        r->main = jobs->main;
        r->job = jobs->job + (size_t)i * jobs->job_bytes;
        if (!routine_start(c, r)) {
            frame none = {.p = &r->p, .f = c->f};
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

/* ---- deadlocks ---- */
static bool all_wait(const struct coop *c)
{
    for (int64_t i = 0; i < c->n; i++)
        if (!c->r[i].done && !c->r[i].p.wait_op.id)
            return false;
    return true;
}

/* what all partitions of a block wait for, another block of its cluster may do: the block waits */
static void wait_outside(struct coop *c)
{
    int64_t i = 0;
    while (c->r[i].done)
        i++;
    c->outer->wait_frame = c->r[i].p.wait_frame;
    c->outer->wait_op = c->r[i].p.wait_op;
    (void)interp_coop_switch(c->outer);
    c->outer->wait_op.id = 0;
}

/* at the op that the first one waits at; who else waits for what */
static void fault_waiting(struct coop *c)
{
    arena *a = c->x->out;
    strbuf b;
    routine *first = NULL;
    sb_init(&b, a);
    for (int64_t i = 0; i < c->n; i++) {
        routine *r = &c->r[i];
        if (r->done)
            continue;
        const ir_func *f = r->p.wait_frame->f;
        uint32_t line = ir_loc_get(f->m, ir_o(f, r->p.wait_op)->loc).line;
        sb_putf(&b, "%s%.*s waits at '%s'", first ? ", " : "", STR_ARG(r->p.label), ir_info(f, r->p.wait_op)->name);
        if (line)
            sb_putf(&b, " of line %u", line);
        first = first ? first : r;
    }
    if (!first)
        bug("a deadlock of nobody");
    interp_fault(first->p.wait_frame, first->p.wait_op, "deadlock: %.*s", STR_ARG(sb_str(&b)));
}

static void fault_idle(struct coop *c)
{
    for (int64_t i = 0; i < c->n; i++)
        if (!c->r[i].done && !c->x->failed) {
            frame none = {.p = &c->r[i].p, .f = c->f};
            interp_fault(&none, (ir_op){0}, "programs wait for each other");
        }
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
        if (!idle || x->failed)
            continue;
        if (all_wait(c) && c->outer && c->outer->cluster)
            wait_outside(c);
        else if (all_wait(c))
            fault_waiting(c);
        else if (idle > MAX_IDLE_ROUNDS)
            fault_idle(c);
        else if (c->outer && c->outer->coop)
            (void)interp_coop_switch(c->outer);
    }
}

/* other blocks may still wait for loads that these partitions issued: they end together */
static void end_together(const coop_jobs *jobs)
{
    struct icluster *c = jobs->outer->p->cluster;
    c->ended++;
    jobs->outer->p->x->changes++;
    while (c->ended < c->n)
        if (!interp_wait(jobs->outer, jobs->at))
            return;
}

bool interp_coop_jobs(interp *x, const ir_func *f, const coop_jobs *jobs)
{
    program *outer = jobs->outer ? jobs->outer->p : NULL;
    arena a;
    arena_init(&a, 0);
    struct coop c = {.x = x, .outer = outer, .f = f, .n = jobs->n};
    c.r = ARENA_ARRAY(&a, routine, c.n);
    if (prepare(&c, jobs))
        run_all(&c);
    if (outer && outer->cluster && !x->failed)
        end_together(jobs);
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

/* ---- programs of a kernel ---- */
typedef struct program_job {
    const ir_func *k;
    const uint64_t *args;
    int64_t pid[3];
    struct icluster *cluster;
    int rank;
} program_job;

static frame *enter_frame(program *p, const program_job *j)
{
    jmp_buf oom;
    if (setjmp(oom)) {
        frame none = {.p = p, .f = j->k};
        p->frames.oom = NULL;
        interp_fault(&none, (ir_op){0}, "out of memory: the arguments take more memory than allowed");
        return NULL;
    }
    p->frames.oom = &oom;
    frame *fr = interp_frame_new(p, j->k);
    interp_set_args(fr, j->args);
    p->frames.oom = NULL;
    return fr;
}

static bool program_main(program *p, void *job)
{
    const program_job *j = job;
    memcpy(p->pid, j->pid, sizeof p->pid);
    p->cluster = j->cluster;
    p->rank = j->rank;
    frame *fr = enter_frame(p, j);
    if (!fr)
        return false;
    if (j->cluster) {
        j->cluster->frame[j->rank] = fr;
        p->label = str_fmt(&p->frames, "block %d", j->rank);
        p->x->changes++;
        if (!interp_coop_switch(p)) /* none begins before all have their frames */
            return false;
    }
    return interp_run_program(fr);
}

static bool run_side_by_side(interp *x, program_job *job, int64_t n, size_t max_bytes)
{
    coop_jobs jobs = {
        .n = n, .main = program_main, .job = (char *)job, .job_bytes = sizeof *job, .max_bytes = max_bytes};
    return interp_coop_jobs(x, job->k, &jobs);
}

/* the programs one after the other, each as so many blocks */
bool interp_cluster_run(interp *x, const ir_func *k, const uint64_t *args, size_t max_bytes)
{
    program_job job[INTERP_MAX_CLUSTER];
    int n = k->num_ctas < INTERP_MAX_CLUSTER ? k->num_ctas : INTERP_MAX_CLUSTER;
    for (int64_t c = 0; c < x->grid[2]; c++)
        for (int64_t b = 0; b < x->grid[1]; b++)
            for (int64_t a = 0; a < x->grid[0]; a++) {
                struct icluster cluster = {.n = n};
                for (int i = 0; i < n; i++)
                    job[i] = (program_job){.k = k, .args = args, .pid = {a, b, c}, .cluster = &cluster, .rank = i};
                if (!run_side_by_side(x, job, n, max_bytes))
                    return false;
            }
    return true;
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
    program_job *job = ARENA_ARRAY(&a, program_job, (size_t)total);
    for (int64_t i = 0; i < (int64_t)total; i++)
        job[i] = (program_job){
            .k = k, .args = args, .pid = {i % x->grid[0], i / x->grid[0] % x->grid[1], i / x->grid[0] / x->grid[1]}};
    bool ok = run_side_by_side(x, job, (int64_t)total, max_bytes);
    arena_fini(&a);
    return ok;
}
