/* memory.c: loads and stores through pointers: masks, other, hints, gathers, overlapping rows, programs of a 3-D grid.
 */
#include "tests/run/shapes.h"

/* lanes that are masked off give `other`, or 0, and touch nothing: the arrays end at the mask */
static void masked_load(dtype dt, const shape_class *sc, int how)
{
    static const char *const form[] = {"load(xp + offs, mask)", "load(xp + offs, mask=mask, other=1)",
                                       "load(xp + offs, mask, load(yp + offs))"};
    rcase c;
    case_begin(&c, "masked load %d %s %s", how, dtypes[dt].name, sc->name);
    if (case_skip(&c))
        return;
    int64_t tile = shape_tile_count(sc), covered = (sc->n + tile - 1) / tile * tile;
    rarg *x = case_in(&c, "xp", dt, sc->n, PAT_EDGE), *y = case_in(&c, "yp", dt, covered, PAT_EDGE),
         *out = case_out(&c, "out", dt, covered, 0);
    case_int(&c, "n", sc->n);
    shape_kernel_head(&c, sc);
    case_line(&c, "    store(out + offs, %s)", form[how]);
    for (int64_t i = 0; i < covered; i++) {
        num other = how == 0 ? run_int(0) : how == 1 ? run_int(1) : case_get(y, i);
        out->want[i] = i < sc->n ? case_get(x, i) : other;
    }
    case_end(&c);
}

/* a mask that is no prefix */
static void scattered_mask(dtype dt)
{
    enum { N = 203 };
    rcase c;
    case_begin(&c, "store under a scattered mask %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, N, PAT_EDGE), *m = case_in(&c, "mp", DT_BOOL, N, PAT_EDGE),
         *out = case_inout(&c, "out", dt, N, PAT_EDGE, 0);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)\n    m = load(mp + offs)", N);
    case_line(&c, "    store(out + offs, load(xp + offs, m), m)");
    for (int i = 0; i < N; i++)
        out->want[i] = case_get(m, i).i ? case_get(x, i) : case_get(out, i);
    case_end(&c);
}

static void indirect(dtype dt, dtype index)
{
    enum { N = 130, M = 77 };
    rcase c;
    case_begin(&c, "gather through pointers %s by %s", dtypes[dt].name, dtypes[index].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, M, PAT_EDGE), *ip = case_in(&c, "ip", index, N, PAT_POS),
         *out = case_out(&c, "out", dt, N, 0);
    for (int i = 0; i < N; i++)
        run_put(index, ip->data, i, run_rng() % M);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)", N);
    case_line(&c, "    store(out + offs, load(xp + load(ip + offs)))");
    for (int i = 0; i < N; i++)
        out->want[i] = case_get(x, (int64_t)case_get(ip, i).i);
    case_end(&c);
}

static void strided(dtype dt, int step)
{
    enum { N = 100 };
    rcase c;
    case_begin(&c, "stride %d %s", step, dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, N * step, PAT_EDGE), *out = case_out(&c, "out", dt, N, 0);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)", N);
    case_line(&c, "    store(out + (%d - offs), load(xp + offs * %d))", N - 1, step);
    for (int i = 0; i < N; i++)
        out->want[N - 1 - i] = case_get(x, i * step);
    case_end(&c);
}

/* lanes a small distance apart, read with what lies between them: nothing before the first, nothing behind the last */
static void spanned(dtype dt, int step, int n)
{
    rcase c;
    case_begin(&c, "%d lanes of stride %d up to the end %s", n, step, dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, (n - 1) * step + 1, PAT_EDGE), *out = case_out(&c, "out", dt, n, 0);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)\n    store(out + offs, load(xp + offs * %d))", n, step);
    for (int i = 0; i < n; i++)
        out->want[i] = case_get(x, i * step);
    case_end(&c);
}

/* blocks of bytes a distance apart that end at the array's end, one half or both halves of each byte, times others */
static void byte_blocks(int step, int size, int blocks, bool halves)
{
    rcase c;
    case_begin(&c, "products of %d blocks of %d bytes, %d apart, %s", blocks, size, step, halves ? "halves" : "whole");
    if (case_skip(&c))
        return;
    rarg *w = case_in(&c, "wp", DT_U8, (blocks - 1) * step + size, PAT_EDGE);
    rarg *x = case_in(&c, "xp", DT_I8, blocks * size, PAT_EDGE), *y = case_in(&c, "yp", DT_I8, blocks * size, PAT_EDGE);
    rarg *out = case_out(&c, "out", DT_I32, blocks, 0);
    shape_plain_head(&c);
    case_line(&c, "    b = arange(0, %d)\n    e = arange(0, %d)[None, :]", blocks, size);
    case_line(&c, "    w = load(wp + b[:, None] * %d + e)\n    x = load(xp + b[:, None] * %d + e).to(i32)", step, size);
    case_line(&c, "    y = load(yp + b[:, None] * %d + e).to(i32)", size);
    if (halves)
        case_line(&c, "    store(out + b, sum((w & 15).to(i32) * x, 1) + sum((w >> 4).to(i32) * y, 1))");
    else
        case_line(&c, "    store(out + b, sum(w.to(i32) * x, 1) + sum(x, 1))");
    for (int b = 0; b < blocks; b++) {
        wide sum = 0;
        for (int i = 0; i < size; i++) {
            wide v = case_get(w, b * step + i).i, p = case_get(x, b * size + i).i, q = case_get(y, b * size + i).i;
            sum += halves ? (v & 15) * p + (v >> 4) * q : v * p + p;
        }
        out->want[b] = run_int(sum);
    }
    case_end(&c);
}

static void distances(void)
{
    static const int lanes[] = {16, 32, 64, 37};
    for (size_t k = 0; k < COUNTOF(lanes); k++)
        for (int step = 2; step <= 20; step += step < 7 ? 1 : 3) {
            spanned(DT_I8, step, lanes[k]);
            spanned(DT_F16, step, lanes[k]);
            spanned(DT_I32, step, lanes[k]);
            spanned(DT_F64, step, lanes[k]);
        }
    static const int steps[] = {16, 17, 18, 20, 24, 34, 40};
    for (size_t k = 0; k < COUNTOF(steps); k++)
        for (int blocks = 3; blocks <= 32; blocks += blocks == 3 ? 1 : blocks)
            for (int size = 4; size <= 16; size *= 2) {
                byte_blocks(steps[k], size, blocks, false);
                byte_blocks(steps[k], size, blocks, true);
            }
    byte_blocks(34, 32, 18, false);
    byte_blocks(36, 32, 16, true);
}

static void hints(void)
{
    static const char *const forms[][2] = {
        {"load(xp + offs, cache_modifier=\".ca\", eviction_policy=\"evict_first\")",
         "store(out + offs, x, cache_modifier=\".wb\")"},
        {"load(xp + offs, cache_modifier=\".cg\", eviction_policy=\"evict_last\")",
         "store(out + offs, x, cache_modifier=\".cs\", eviction_policy=\"evict_first\")"},
        {"load(xp + offs, cache_modifier=\".cs\")", "store(out + offs, x, cache_modifier=\".wt\")"},
        {"load(xp + offs, cache_modifier=\".cv\", volatile=True)", "store(out + offs, x, cache_modifier=\".cg\")"},
    };
    for (size_t k = 0; k < COUNTOF(forms); k++) {
        rcase c;
        case_begin(&c, "cache hints %zu", k);
        if (case_skip(&c))
            continue;
        rarg *x = case_in(&c, "xp", DT_F32, 128, PAT_EDGE), *out = case_out(&c, "out", DT_F32, 128, 0);
        shape_plain_head(&c);
        case_line(&c, "    offs = arange(0, 128)\n    x = %s\n    %s", forms[k][0], forms[k][1]);
        for (int i = 0; i < 128; i++)
            out->want[i] = case_get(x, i);
        case_end(&c);
    }
}

static void facts(void)
{
    rcase c;
    case_begin(&c, "multiple_of, max_contiguous, max_constancy, assume");
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", DT_F32, 256, PAT_EDGE), *out = case_out(&c, "out", DT_F32, 256, 0);
    case_int(&c, "n", 256);
    shape_plain_head(&c);
    case_line(&c, "    assume(n > 0)\n    assume(n %% 16 == 0)");
    case_line(&c, "    base = multiple_of(n // 256 * 16 - 16, 16)");
    case_line(&c, "    offs = max_contiguous(base + arange(0, 256), 256)");
    case_line(&c, "    z = max_constancy(offs * 0, 256)");
    case_line(&c, "    store(out + offs, load(xp + offs + z, offs < n))");
    for (int i = 0; i < 256; i++)
        out->want[i] = case_get(x, i);
    case_end(&c);
}

static void programs(void)
{
    enum { X = 3, Y = 4, Z = 5 };
    rcase c;
    case_begin(&c, "program_id and num_programs of three axes");
    if (case_skip(&c))
        return;
    rarg *out = case_out(&c, "out", DT_I64, X * Y * Z * 2, 0);
    case_line(&c, "kernel k(out: *i64) grid(%d, %d, %d):", X, Y, Z);
    case_line(&c, "    x = program_id(0)\n    y = program_id(1)\n    z = program_id(2)");
    case_line(&c, "    at = (z * num_programs(1) + y) * num_programs(0) + x");
    case_line(&c, "    store(out + at * 2, x + 10 * y + 100 * z)");
    case_line(&c, "    store(out + at * 2 + 1, num_programs(0) + 10 * num_programs(1) + 100 * num_programs(2))");
    for (int z = 0; z < Z; z++)
        for (int y = 0; y < Y; y++)
            for (int x = 0; x < X; x++) {
                int at = (z * Y + y) * X + x;
                out->want[at * 2] = run_int(x + 10 * y + 100 * z),
                               out->want[at * 2 + 1] = run_int(X + 10 * Y + 100 * Z);
            }
    case_end(&c);
}

/* a store is seen by the loads after it, whichever lanes made it */
static void program_order(dtype dt)
{
    enum { N = 100 };
    rcase c;
    case_begin(&c, "stores before loads %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, N, PAT_EDGE), *tmp = case_out(&c, "tmp", dt, N, 0),
         *out = case_out(&c, "out", dt, N, 0);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)", N);
    case_line(&c, "    store(tmp + offs, load(xp + offs))");
    case_line(&c, "    r = load(tmp + (%d - offs))", N - 1);
    case_line(&c, "    store(tmp + offs, r)");
    case_line(&c, "    store(out + offs, load(tmp + offs))");
    for (int i = 0; i < N; i++)
        out->want[i] = tmp->want[i] = case_get(x, N - 1 - i);
    case_end(&c);
}

static void in_place(dtype dt)
{
    rcase c;
    const shape_class *sc = &shape_classes[2];
    case_begin(&c, "in place %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_inout(&c, "xp", dt, sc->n, PAT_EDGE, 0);
    case_int(&c, "n", sc->n);
    shape_kernel_head(&c, sc);
    case_line(&c, "    x = load(xp + offs, mask)\n    store(xp + offs, x + x, mask)");
    for (int64_t i = 0; i < sc->n; i++) {
        num v = case_get(x, i);
        x->want[i] = (num){.i = v.i + v.i, .f = v.f + v.f};
    }
    case_end(&c);
}

void run_memory(void)
{
    distances();
    FOR_DTYPES(dt)
    {
        for (int s = 0; s < shape_class_count; s++)
            for (int how = 0; how < 3; how++)
                masked_load(dt, &shape_classes[s], how);
        scattered_mask(dt);
        indirect(dt, DT_I32);
        indirect(dt, DT_I64);
        indirect(dt, DT_U8);
        strided(dt, 1);
        strided(dt, 2);
        strided(dt, 7);
        program_order(dt);
        if (class_of(dt) & CL_NUM)
            in_place(dt);
    }
    hints();
    facts();
    programs();
}
