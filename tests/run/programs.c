/* programs.c: kernels as wholes: generics, consts, optional and checked arguments, persistent and stream loops,
 * scratch, functions with arguments of their own, printing and faults.
 */
#include "tests/run/shapes.h"

enum { N = 100 };

static void generic(dtype dt)
{
    rcase c;
    case_begin(&c, "generic and const parameters %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    char bind[40];
    snprintf(bind, sizeof bind, "T=%s", dtypes[dt].name);
    c.bind[0] = bind, c.bind[1] = "BLOCK=33";
    rarg *x = case_in(&c, "x", dt, N, PAT_EDGE), *out = case_out(&c, "out", dt, N, 0);
    case_int(&c, "n", N);
    case_line(&c, "kernel k[T: (f16, bf16, f32, f64, i8, i64, u32)](x: *T, out: *T, n: int, BLOCK: const = 16) "
                  "grid(cdiv(n, BLOCK)):");
    case_line(&c, "    offs = program_id(0) * BLOCK + arange(0, BLOCK)\n    mask = offs < n");
    case_line(&c, "    static_assert(BLOCK == 33, \"as the launch binds it\")");
    case_line(&c, "    v = load(x + offs, mask)\n    store(out + offs, v + full([BLOCK], 1, T), mask)");
    for (int i = 0; i < N; i++) {
        num v = case_get(x, i);
        out->want[i] = (num){.i = v.i + 1, .f = v.f + 1};
    }
    case_end(&c);
}

static void optional(bool present)
{
    rcase c;
    case_begin(&c, "optional argument %s", present ? "present" : "absent");
    if (case_skip(&c))
        return;
    rarg *x = case_tensor(case_in(&c, "x", DT_I32, N, PAT_REAL), 1, (int64_t[]){N}), *b = NULL;
    if (present)
        b = case_tensor(case_in(&c, "b", DT_I32, N, PAT_REAL), 1, (int64_t[]){N});
    else
        case_none(&c, "b");
    rarg *out = case_tensor(case_out(&c, "out", DT_I32, N, 0), 1, (int64_t[]){N});
    case_line(&c, "kernel k(x: i32[M], b: i32[M]?, out: i32[M]) grid(cdiv(M, 64)):");
    case_line(&c, "    at = program_id(0) * 64\n    v = x.load([at], [64])");
    case_line(&c, "    if b is not None:\n        v += b.load([at], [64])\n    out.store([at], v)");
    for (int i = 0; i < N; i++)
        out->want[i] = run_int(case_get(x, i).i + (present ? case_get(b, i).i : 0));
    case_end(&c);
}

static void dimensions_must_agree(void)
{
    rcase c;
    case_begin(&c, "a dimension that differs");
    if (case_skip(&c))
        return;
    case_tensor(case_in(&c, "x", DT_I32, N, PAT_REAL), 1, (int64_t[]){N});
    case_tensor(case_out(&c, "out", DT_I32, N, 0), 1, (int64_t[]){N - 1});
    c.fault = "99";
    case_line(&c, "kernel k(x: i32[M], out: i32[M]) grid(1):\n    out.store([0], x.load([0], [64]))");
    case_end(&c);
}

static void persistent(int64_t tiles)
{
    rcase c;
    case_begin(&c, "persistent over %lld tiles", (long long)tiles);
    if (case_skip(&c))
        return;
    rarg *out = case_out(&c, "out", DT_I64, tiles * 4, 0);
    case_int(&c, "n", tiles);
    case_line(&c, "kernel k(out: *i64, n: int):\n    for t in persistent(n):\n        store(out + t * 4 + arange(0, "
                  "4), t * t + arange(0, 4))");
    for (int64_t i = 0; i < tiles * 4; i++)
        out->want[i] = run_int(i / 4 * (i / 4) + i % 4);
    case_end(&c);
}

static void stream(int64_t tiles, int64_t steps)
{
    rcase c;
    case_begin(&c, "stream over %lld tiles of %lld steps", (long long)tiles, (long long)steps);
    if (case_skip(&c))
        return;
    enum { W = 16 };
    rarg *x = case_in(&c, "x", DT_I32, tiles * steps * W, PAT_REAL), *out = case_out(&c, "out", DT_I32, tiles * W, 0);
    case_int(&c, "tiles", tiles);
    case_int(&c, "steps", steps);
    case_line(&c, "kernel k(x: *i32, out: *i32, tiles: int, steps: int):\n    offs = arange(0, %d)", W);
    case_line(&c, "    for t, k0, k1 in stream(tiles, steps):\n        acc = zeros([%d], i32)", W);
    case_line(&c, "        for s in range(k0, k1):\n            acc += load(x + (t * steps + s) * %d + offs)", W);
    case_line(&c, "        acc, owner = combine(acc)\n        if owner:\n            store(out + t * %d + offs, acc)",
              W);
    for (int64_t t = 0; t < tiles; t++)
        for (int64_t j = 0; j < W; j++)
            for (int64_t s = 0; s < steps; s++)
                out->want[t * W + j].i += case_get(x, (t * steps + s) * W + j).i;
    case_end(&c);
}

static void scratch(void)
{
    rcase c;
    case_begin(&c, "scratch");
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "x", DT_F32, N, PAT_EDGE), *out = case_out(&c, "out", DT_F32, N, 0);
    case_int(&c, "n", N);
    case_line(&c, "kernel k(x: *f32, out: *f32, n: int, tmp: scratch f32[cdiv(n, 32), 32]) grid(cdiv(n, 32)):");
    case_line(&c, "    p = program_id(0)\n    offs = p * 32 + arange(0, 32)\n    v = load(x + offs, offs < n)");
    case_line(&c, "    tmp.store([p, 0], reshape(v, [1, 32]))\n    w = tmp[p].load([0], [32])\n    store(out + offs, "
                  "w, offs < n)");
    for (int i = 0; i < N; i++)
        out->want[i] = case_get(x, i);
    case_end(&c);
}

static void extra_arguments(void)
{
    rcase c;
    case_begin(&c, "const fn with arguments of its own");
    if (case_skip(&c))
        return;
    c.bind[0] = "f=scaled";
    rarg *x = case_in(&c, "x", DT_I32, N, PAT_REAL), *out = case_out(&c, "out", DT_I32, N, 0);
    case_int(&c, "by", 7);
    case_line(&c, "fn scaled(v, by: int):\n    return v * by.to(i32)\n");
    case_line(&c, "kernel k(x: *i32, out: *i32, f: const fn = identity, *extra) grid(1):\n    offs = arange(0, %d)", N);
    case_line(&c, "    store(out + offs, f(load(x + offs), *extra))");
    for (int i = 0; i < N; i++)
        out->want[i] = run_int(case_get(x, i).i * 7);
    case_end(&c);
}

static void asserts(bool holds)
{
    rcase c;
    case_begin(&c, "device_assert that %s", holds ? "holds" : "fails");
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "x", DT_I32, N, PAT_SMALL), *out = case_out(&c, "out", DT_I32, N, 0);
    c.fault = holds ? NULL : "case.tile:4";
    case_line(&c, "kernel k(x: *i32, out: *i32) grid(1):\n    offs = arange(0, %d)\n    v = load(x + offs)", N);
    case_line(&c, "    device_assert(v < %d, \"small\", offs < 90)\n    debug_barrier()\n    store(out + offs, v)",
              holds ? 5 : -5);
    for (int i = 0; i < N; i++)
        out->want[i] = case_get(x, i);
    case_end(&c);
}

static void outside(void)
{
    rcase c;
    case_begin(&c, "an access outside an argument is reported by the interpreter");
    if (case_skip(&c))
        return;
    case_in(&c, "x", DT_I32, N, PAT_SMALL);
    case_out(&c, "out", DT_I32, N, 0);
    c.only = "interp";
    c.fault = "outside argument 'x': element 100 of 100";
    case_line(&c, "kernel k(x: *i32, out: *i32) grid(1):\n    offs = arange(0, %d)\n    v = load(x + offs)", N + 1);
    case_line(&c, "    store(out + offs, v, offs < %d)", N);
    case_end(&c);
}

static void launch_grids(void)
{
    static const int64_t grid[3] = {2, 3, 1};
    rcase c;
    case_begin(&c, "a grid given at the launch");
    if (case_skip(&c))
        return;
    c.grid = grid;
    rarg *out = case_out(&c, "out", DT_I64, 6, 0);
    case_line(&c, "kernel k(out: *i64) grid(1):\n    i = program_id(1) * num_programs(0) + program_id(0)\n    "
                  "store(out + i, i + num_programs(2))");
    for (int i = 0; i < 6; i++)
        out->want[i] = run_int(i + 1);
    case_end(&c);
}

static void empty_grid(void)
{
    rcase c;
    case_begin(&c, "a header's grid of 0 does nothing");
    if (case_skip(&c))
        return;
    rarg *out = case_inout(&c, "out", DT_I64, 6, PAT_EDGE, 0);
    case_int(&c, "n", 0);
    case_line(&c, "kernel k(out: *i64, n: int) grid(cdiv(n, 64)):\n    store(out, 1)");
    for (int i = 0; i < 6; i++)
        out->want[i] = case_get(out, i);
    case_end(&c);
}

/* scalars of every dtype as arguments */
static void scalar_argument(dtype dt)
{
    rcase c;
    case_begin(&c, "scalar argument %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *out = case_out(&c, "out", dt, 1, 0);
    bool real = dt_is_any_float(dt);
    if (real)
        case_real(&c, "v", -2.5);
    else
        case_int(&c, "v", dt == DT_BOOL ? 1 : dt_is_signed(dt) ? -100 : 200);
    case_line(&c, "kernel k(out: *%s, v: %s) grid(1):\n    store(out, v)", dtypes[dt].name, dtypes[dt].name);
    out->want[0] = real ? run_real(-2.5) : run_int(c.arg[1].i);
    case_end(&c);
}

void run_programs(void)
{
    static const dtype generics[] = {DT_F16, DT_BF16, DT_F32, DT_F64, DT_I8, DT_I64, DT_U32};
    for (size_t i = 0; i < COUNTOF(generics); i++)
        generic(generics[i]);
    FOR_DTYPES(dt)
        if (!dt_is_f8(dt))
            scalar_argument(dt);
    optional(true);
    optional(false);
    dimensions_must_agree();
    persistent(1);
    persistent(97);
    stream(1, 1);
    stream(5, 7);
    stream(3, 100);
    scratch();
    extra_arguments();
    asserts(true);
    asserts(false);
    outside();
    launch_grids();
    empty_grid();
}
