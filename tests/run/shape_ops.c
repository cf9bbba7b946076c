/* shape_ops.c: ops that move elements: every element of the result is computed as a position in the operand.
 *
 * Each row takes tiles x[A,B,C] (and y of the same shape), gives a tile of the stated extents, and says where its
 * element comes from. All dtypes take part: these ops look at no value.
 */
#include "tests/run/shapes.h"

enum { A = 2, B = 3, C = 5, COUNT = A * B * C };

typedef struct row {
    const char *name, *expr;
    int rank;
    int64_t d[3];
    int64_t (*from)(int64_t i); /* element i of the result: index into x, or COUNT + index into y */
    bool flat;                  /* more than three dimensions: stored through ravel */
} row;

static int64_t same(int64_t i) { return i; }
static int64_t f_permute(int64_t i) { return i / (A * B) + i / B % A * (B * C) + i % B * C; } /* [C, A, B] */
static int64_t f_trans(int64_t i) { return i / (B * C) * (B * C) + i % B * C + i / B % C; }   /* [A, C, B] */
static int64_t f_cat0(int64_t i) { return i; }
static int64_t f_cat1(int64_t i) /* [A, 2B, C] */
{
    int64_t a = i / (2 * B * C), r = i % (2 * B * C);
    return r < B * C ? a * B * C + r : COUNT + a * B * C + r - B * C;
}
static int64_t f_join(int64_t i) { return i / 2 + i % 2 * COUNT; }
static int64_t f_split_lo(int64_t i) { return i; }
static int64_t f_split_hi(int64_t i) { return COUNT + i; }
static int64_t f_flip(int64_t i) { return i / C * C + (C - 1 - i % C); }
static int64_t f_flip0(int64_t i) { return (A - 1 - i / (B * C)) * B * C + i % (B * C); }
static int64_t f_slice(int64_t i) { return (1 + i / 2 % 2) * C + i / 4 * B * C + 2 + i % 2; } /* x[:, 1:3, 2:4] */
static int64_t f_tail(int64_t i) { return i / 3 * C + 2 + i % 3; }                            /* x[:, :, -3:] */
static int64_t f_row(int64_t i) { return B * C + i; }                                         /* x[1] */
static int64_t f_column(int64_t i) { return i * C + 4; }                                      /* x[:, :, 4] */
static int64_t f_element(int64_t i)
{
    (void)i;
    return (1 * B + 2) * C + 3;
}
static int64_t f_spread(int64_t i) { return i / (4 * C) * C + i % C; } /* [A*B, 4, C] from [A*B, 1, C] */
static int64_t f_first(int64_t i)
{
    (void)i;
    return 0;
}
static int64_t f_dynamic(int64_t i) { return i / C * B * C + 2 * C + i % C; } /* x[:, two] */

static const row rows[] = {
    {"reshape", "reshape(x, [5, 6])", 2, {5, 6}, same, false},
    {"reshape method", "x.reshape(3, 10)", 2, {3, 10}, same, false},
    {"view", "x.view([30])", 1, {30}, same, false},
    {"ravel", "ravel(x)", 1, {30}, same, false},
    {"permute", "permute(x, [2, 0, 1])", 3, {C, A, B}, f_permute, false},
    {"permute method", "x.permute(2, 0, 1)", 3, {C, A, B}, f_permute, false},
    {"trans", "trans(x)", 3, {A, C, B}, f_trans, false},
    {"trans dims", "trans(x, 2, 0, 1)", 3, {C, A, B}, f_permute, false},
    {".T", "x.T", 3, {A, C, B}, f_trans, false},
    {"cat", "cat(x, y, dim=0)", 3, {2 * A, B, C}, f_cat0, false},
    {"cat dim 1", "cat(x, y, dim=1)", 3, {A, 2 * B, C}, f_cat1, false},
    {"join", "join(x, y)", 3, {A * B, C, 2}, f_join, true},
    {"split low", "split(join(x, y))[0]", 3, {A, B, C}, f_split_lo, false},
    {"split high", "split(join(x, y))[1]", 3, {A, B, C}, f_split_hi, false},
    {"interleave", "interleave(x, y)", 3, {A, B, 2 * C}, f_join, false},
    {"flip", "flip(x, 2)", 3, {A, B, C}, f_flip, false},
    {"flip dim 0", "flip(x, dim=0)", 3, {A, B, C}, f_flip0, false},
    {"expand_dims", "reshape(expand_dims(x, 1), [2, 15])", 2, {2, 15}, same, false},
    {"unsqueeze", "reshape(unsqueeze(x, 0), [2, 15])", 2, {2, 15}, same, false},
    {"squeeze", "squeeze(reshape(x, [30, 1]), 1)", 1, {30}, same, false},
    {"None", "reshape(x[:, None, :, :], [6, 5])", 2, {6, 5}, same, false},
    {"slice", "x[:, 1:3, 2:4]", 3, {A, 2, 2}, f_slice, false},
    {"slice from the end", "x[:, :, -3:]", 3, {A, B, 3}, f_tail, false},
    {"row", "x[1]", 2, {B, C}, f_row, false},
    {"column", "x[:, :, -1]", 2, {A, B}, f_column, false},
    {"element", "x[1, 2, 3]", 0, {0}, f_element, false},
    {"run-time row", "x[:, two]", 2, {A, C}, f_dynamic, false},
    {"broadcast_to", "broadcast_to(reshape(x, [6, 1, 5]), [6, 4, 5])", 3, {6, 4, C}, f_spread, false},
    {"broadcast_to scalar", "broadcast_to(x[0, 0, 0], [7])", 1, {7}, f_first, false},
    {"broadcast", "broadcast(reshape(x, [6, 1, 5]), zeros([4, 5], f32))[0]", 3, {6, 4, C}, f_spread, false},
    {"item", "item(reshape(x[0:1, 0:1, 0:1], [1]))", 0, {0}, f_first, false},
};

static void one(const row *r, dtype dt)
{
    rcase c;
    case_begin(&c, "%s %s", r->name, dtypes[dt].name);
    if (case_skip(&c))
        return;
    int64_t n = 1, d[3] = {A, B, C};
    for (int i = 0; i < r->rank; i++)
        n *= r->d[i];
    rarg *x = case_in(&c, "xp", dt, COUNT, PAT_EDGE), *y = case_in(&c, "yp", dt, COUNT, PAT_EDGE),
         *out = case_out(&c, "out", dt, n, 0);
    case_int(&c, "two", 2);
    shape_plain_head(&c);
    shape_offsets(&c, "offs", 3, d);
    case_line(&c, "    x = load(xp + offs)\n    y = load(yp + offs)");
    case_line(&c, "    r = %s", r->expr);
    if (r->flat) {
        case_line(&c, "    store(out + arange(0, %lld), ravel(r))", (long long)n);
    } else {
        shape_offsets(&c, "to", r->rank, r->d);
        case_line(&c, "    store(out + to, r)");
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t k = r->from(i);
        out->want[i] = k < COUNT ? case_get(x, k) : case_get(y, k - COUNT);
    }
    case_end(&c);
}

/* ---- creation ---- */

static void full_case(dtype dt, const char *expr, num want)
{
    rcase c;
    case_begin(&c, "%s %s", expr, dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *out = case_out(&c, "out", dt, 33, 0);
    shape_plain_head(&c);
    case_line(&c, expr, dtypes[dt].name);
    case_line(&c, "    store(out + arange(0, 33), reshape(r, [33]))");
    for (int i = 0; i < 33; i++)
        out->want[i] = want;
    case_end(&c);
}

static void arange_case(int64_t from, int64_t to)
{
    rcase c;
    case_begin(&c, "arange %lld to %lld", (long long)from, (long long)to);
    if (case_skip(&c))
        return;
    int64_t n = to - from;
    rarg *out = case_out(&c, "out", DT_I64, n, 0);
    shape_plain_head(&c);
    case_line(&c, "    r = arange(%lld, %lld)", (long long)from, (long long)to);
    case_line(&c, "    static_assert(r.dtype == int, \"arange is int\")");
    case_line(&c, "    store(out + arange(0, %lld), r)", (long long)n);
    for (int64_t i = 0; i < n; i++)
        out->want[i] = run_int(from + i);
    case_end(&c);
}

static void swizzle_case(void)
{
    enum { NI = 5, NJ = 7 };
    for (int group = 1; group <= 8; group += 2) {
        rcase c;
        case_begin(&c, "swizzle2d group %d", group);
        if (case_skip(&c))
            continue;
        rarg *oi = case_out(&c, "oi", DT_I64, NI * NJ, 0), *oj = case_out(&c, "oj", DT_I64, NI * NJ, 0);
        case_line(&c, "kernel k(oi: *i64, oj: *i64) grid(%d):", NI * NJ);
        case_line(&c, "    t = program_id(0)\n    i, j = swizzle2d(t, %d, %d, %d)", NI, NJ, group);
        case_line(&c, "    store(oi + t, i)\n    store(oj + t, j)");
        for (int t = 0; t < NI * NJ; t++) {
            int band = t / (group * NJ), first = band * group, height = NI - first < group ? NI - first : group,
                r = t % (group * NJ);
            oi->want[t] = run_int(first + r % height), oj->want[t] = run_int(r / height);
        }
        case_end(&c);
    }
}

void run_shapes(void)
{
    for (size_t k = 0; k < COUNTOF(rows); k++)
        FOR_DTYPES(dt) {
            bool arithmetic = strstr(rows[k].expr, "zeros") != NULL;
            if (!arithmetic || dt == DT_F32 || dt == DT_I8)
                one(&rows[k], dt);
        }
    FOR_DTYPES(dt) {
        full_case(dt, "    r = zeros([3, 11], %s)", run_int(0));
        full_case(dt, "    r = full([33], 1, %s)", run_int(1));
        if (class_of(dt) & CL_NUM)
            full_case(dt, "    r = full([1, 33], 77, dtype=%s)", run_int(77));
    }
    arange_case(0, 1);
    arange_case(-5, 95);
    arange_case(7, 134);
    swizzle_case();
}
