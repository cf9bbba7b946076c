/* atomics.c: atomics with duplicate addresses, masks, and many programs; spinning programs.
 *
 * Programs on several threads reach the counters in any order, so what is checked is what no order changes: sums of
 * integers, extremes, and that the old values of a counter are all different.
 */
#include "tests/run/shapes.h"

typedef enum op { OP_ADD, OP_MAX, OP_MIN, OP_AND, OP_OR, OP_XOR } op;

static const struct {
    op o;
    const char *name;
} ops[] = {
    {OP_ADD, "atomic_add"}, {OP_MAX, "atomic_max"}, {OP_MIN, "atomic_min"},
    {OP_AND, "atomic_and"}, {OP_OR, "atomic_or"},   {OP_XOR, "atomic_xor"},
};

static num apply(op o, dtype dt, num a, num b)
{
    bool less = dt_is_any_float(dt) ? b.f < a.f : b.i < a.i;
    switch (o) {
    case OP_ADD: return (num){.i = a.i + b.i, .f = a.f + b.f};
    case OP_MAX: return less ? a : b;
    case OP_MIN: return less ? b : a;
    case OP_AND: return run_int(a.i & b.i);
    case OP_OR: return run_int(a.i | b.i);
    case OP_XOR: return run_int(a.i ^ b.i);
    }
    return a;
}

/* the language's list: i32 u32 i64 u64 f32 f64; add on f16 and bf16 too; bitwise ones on integers */
static bool takes(op o, dtype dt)
{
    bool wide_int = dt == DT_I32 || dt == DT_U32 || dt == DT_I64 || dt == DT_U64;
    if (o == OP_AND || o == OP_OR || o == OP_XOR)
        return wide_int;
    return wide_int || dt == DT_F32 || dt == DT_F64 || (o == OP_ADD && (dt == DT_F16 || dt == DT_BF16));
}

enum { CELLS = 7 };

/* every element of x goes to cell i % 7: lanes of one tile share addresses, and so do programs */
static void shared_cells(op o, const char *name, dtype dt, const shape_class *sc)
{
    rcase c;
    case_begin(&c, "%s %s %s", name, dtypes[dt].name, sc->name);
    if (case_skip(&c))
        return;
    pattern pat = dt_is_float(dt) ? PAT_SMALL : PAT_EDGE; /* small floats add up exactly in any order */
    rarg *x = case_in(&c, "xp", dt, sc->n, pat), *cells = case_inout(&c, "cells", dt, CELLS, pat, 0);
    case_int(&c, "n", sc->n);
    shape_kernel_head(&c, sc);
    case_line(&c, "    %s(cells + offs %% %d, load(xp + offs, mask), mask)", name, CELLS);
    for (int i = 0; i < CELLS; i++)
        cells->want[i] = case_get(cells, i);
    for (int64_t i = 0; i < sc->n; i++)
        cells->want[i % CELLS] = apply(o, dt, cells->want[i % CELLS], case_get(x, i));
    case_end(&c);
}

/* within one program the old values are known: lanes with addresses of their own */
static void old_values(op o, const char *name, dtype dt)
{
    enum { N = 100 };
    rcase c;
    case_begin(&c, "%s old values %s", name, dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, N, PAT_SMALL), *m = case_in(&c, "mp", DT_BOOL, N, PAT_EDGE);
    rarg *cells = case_inout(&c, "cells", dt, N, PAT_SMALL, 0), *out = case_out(&c, "out", dt, N, 0);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)", N);
    case_line(&c, "    old = %s(cells + offs, load(xp + offs), mask=load(mp + offs), sem=\"relaxed\")", name);
    case_line(&c, "    store(out + offs, old)");
    for (int i = 0; i < N; i++) {
        bool on = case_get(m, i).i != 0;
        out->want[i] = on ? case_get(cells, i) : run_int(0);
        cells->want[i] = on ? apply(o, dt, case_get(cells, i), case_get(x, i)) : case_get(cells, i);
    }
    case_end(&c);
}

static void exchange(dtype dt)
{
    enum { N = 100 };
    rcase c;
    case_begin(&c, "atomic_xchg and atomic_cas %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, N, PAT_SMALL), *e = case_in(&c, "ep", dt, N, PAT_SMALL);
    rarg *cells = case_inout(&c, "cells", dt, N, PAT_SMALL, 0), *more = case_inout(&c, "more", dt, N, PAT_SMALL, 0);
    rarg *out = case_out(&c, "out", dt, N, 0), *old = case_out(&c, "old", dt, N, 0);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)\n    x = load(xp + offs)", N);
    case_line(&c, "    store(out + offs, atomic_xchg(cells + offs, x))");
    case_line(&c, "    store(old + offs, atomic_cas(more + offs, load(ep + offs), x))");
    for (int i = 0; i < N; i++) {
        out->want[i] = case_get(cells, i), cells->want[i] = case_get(x, i);
        num was = case_get(more, i);
        bool equal = run_bits(dt, more->before, i) == run_bits(dt, e->data, i);
        old->want[i] = was, more->want[i] = equal ? case_get(x, i) : was;
    }
    case_end(&c);
}

static void tensor_atomics(dtype dt)
{
    enum { M = 5, K = 9 };
    rcase c;
    case_begin(&c, "tensor atomics %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    static const int64_t d[2] = {M, K};
    rarg *x = case_in(&c, "xp", dt, 4 * 8, PAT_SMALL),
         *a = case_tensor(case_inout(&c, "a", dt, M * K, PAT_SMALL, 0), 2, d);
    rarg *b = case_tensor(case_inout(&c, "b", dt, M * K, PAT_SMALL, 0), 2, d),
         *s = case_tensor(case_inout(&c, "s", dt, M * K, PAT_SMALL, 0), 2, d);
    shape_plain_head(&c);
    shape_offsets(&c, "offs", 2, (int64_t[]){4, 8});
    case_line(&c, "    x = load(xp + offs)\n    a.atomic_add([3, -2], x)");
    bool extremes = takes(OP_MAX, dt);
    if (extremes)
        case_line(&c, "    b.atomic_max([3, -2], x)\n    s.atomic_min([3, -2], x)");
    for (int i = 0; i < M * K; i++)
        a->want[i] = case_get(a, i), b->want[i] = case_get(b, i), s->want[i] = case_get(s, i);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 8; j++) {
            int r = 3 + i, q = j - 2, at = r * K + q;
            if (r >= M || q < 0 || q >= K)
                continue;
            num v = case_get(x, i * 8 + j);
            a->want[at] = apply(OP_ADD, dt, a->want[at], v);
            if (extremes)
                b->want[at] = apply(OP_MAX, dt, b->want[at], v), s->want[at] = apply(OP_MIN, dt, s->want[at], v);
        }
    case_end(&c);
}

/* tickets: each program takes one; all are different */
static void tickets(void)
{
    enum { N = 500 };
    rcase c;
    case_begin(&c, "tickets of 500 programs");
    if (case_skip(&c))
        return;
    rarg *count = case_inout(&c, "count", DT_I32, 1, PAT_SMALL, 0),
         *seen = case_inout(&c, "seen", DT_I32, N, PAT_SMALL, 0);
    memset(count->before, 0, 4);
    memset(seen->before, 0, N * 4);
    case_line(&c, "kernel k(count: *i32, seen: *i32) grid(%d):", N);
    case_line(&c, "    t = atomic_add(count, 1)\n    atomic_add(seen + t, 1)");
    count->want[0] = run_int(N);
    for (int i = 0; i < N; i++)
        seen->want[i] = run_int(1);
    case_end(&c);
}

/* a chain: program p waits for program p - 1, then adds its own; what was stored before is published */
static void chain(bool cooperative)
{
    enum { N = 40 };
    rcase c;
    case_begin(&c, "a chain of programs%s", cooperative ? ", cooperative and backwards" : "");
    if (case_skip(&c))
        return;
    rarg *turn = case_inout(&c, "turn", DT_I64, 1, PAT_SMALL, 0),
         *total = case_inout(&c, "total", DT_I64, 1, PAT_SMALL, 0);
    rarg *out = case_out(&c, "out", DT_I64, N, 0);
    memset(turn->before, 0, 8), memset(total->before, 0, 8);
    static const int64_t few[3] = {2, 1, 1};
    int64_t n = cooperative ? 2 : N;
    if (cooperative)
        c.grid = few;
    case_line(&c, "%skernel k(turn: *i64, total: *i64, out: *i64) grid(%d):", cooperative ? "@cooperative\n" : "", N);
    case_line(&c, "    p = program_id(0)\n    me = %s", cooperative ? "num_programs(0) - 1 - p" : "p");
    case_line(&c, "    while atomic_add(turn, 0) != me:\n        pass");
    case_line(&c, "    t = load(total) + p\n    store(total, t)\n    store(out + p, t)\n    atomic_add(turn, 1)");
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t p = cooperative ? n - 1 - i : i;
        sum += p;
        out->want[p] = run_int(sum);
    }
    for (int64_t i = n; i < N; i++)
        out->want[i] = run_any();
    turn->want[0] = run_int(n), total->want[0] = run_int(sum);
    case_end(&c);
}

void run_atomics(void)
{
    for (size_t k = 0; k < COUNTOF(ops); k++)
        FOR_DTYPES(dt) {
            if (!takes(ops[k].o, dt)) {
                char text[200];
                snprintf(text, sizeof text,
                         "kernel k(xp: *%s) grid(1):\n    offs = arange(0, 8)\n    %s(xp + offs, load(xp + offs))\n",
                         dtypes[dt].name, ops[k].name);
                case_rejects(dtypes[dt].name, text, "%s %s refused", ops[k].name, dtypes[dt].name);
                continue;
            }
            for (int s = 0; s < shape_class_count; s++)
                shared_cells(ops[k].o, ops[k].name, dt, &shape_classes[s]);
            old_values(ops[k].o, ops[k].name, dt);
        }
    FOR_DTYPES(dt) {
        if (takes(OP_MAX, dt))
            exchange(dt);
        if (takes(OP_ADD, dt))
            tensor_atomics(dt);
    }
    tickets();
    chain(false);
    chain(true);
}
