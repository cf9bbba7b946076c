/* others.c: builtins that have no table of their own: options of reductions, sorts of tuples, packed storage, printing,
 * pointers to pointers, compile-time ones; and the check that no builtin is left out of the matrix.
 */
#include "tests/run/shapes.h"

#include "frontend/builtins.h"

enum { N = 60 };

/* one kernel over x: i32[N] (small values) that gives the i32 out[N] */
typedef struct row {
    const char *name, *body;
    int64_t (*ref)(const int64_t *x, int64_t i);
} row;

static int64_t sum_of(const int64_t *x, int64_t n)
{
    int64_t s = 0;
    for (int64_t i = 0; i < n; i++)
        s += x[i];
    return s;
}

static int64_t o_first(const int64_t *x, int64_t i) { return x[i]; }
static int64_t o_len(const int64_t *x, int64_t i) { return x[i] + N + 3 + 2; }
static int64_t o_sum(const int64_t *x, int64_t i) { return x[i] + sum_of(x, N); }
static int64_t o_max(const int64_t *x, int64_t i)
{
    (void)i;
    int64_t m = x[0];
    for (int k = 1; k < N; k++)
        m = x[k] > m ? x[k] : m;
    return m;
}
static int64_t o_running(const int64_t *x, int64_t i) { return sum_of(x, i + 1); }
static int64_t o_running_row(const int64_t *x, int64_t i) { return sum_of(x + i / 10 * 10, i % 10 + 1); }
static int64_t o_flip(const int64_t *x, int64_t i) { return x[N - 1 - i]; }
static int64_t o_any(const int64_t *x, int64_t i) { return x[i] > 0; }
static int64_t o_double(const int64_t *x, int64_t i) { return 2 * x[i]; }
static int64_t o_countdown(const int64_t *x, int64_t i)
{
    (void)i;
    int64_t n = 0;
    for (int64_t v = x[0] + 10; v > 0; v -= 3)
        n++;
    return n;
}
static int64_t o_sorted(const int64_t *x, int64_t i)
{
    int64_t below = 0;
    for (int64_t v = -4; v <= 4; v++) {
        for (int k = 0; k < N; k++)
            below += x[k] == v;
        if (below > i)
            return v;
    }
    return 99;
}
/* the positions of a stable sort */
static int64_t o_order(const int64_t *x, int64_t i)
{
    for (int64_t v = -4, seen = 0; v <= 4; v++)
        for (int64_t k = 0; k < N; k++)
            if (x[k] == v && seen++ == i)
                return k;
    return 99;
}
static int64_t o_order_down(const int64_t *x, int64_t i)
{
    for (int64_t v = 4, seen = 0; v >= -4; v--)
        for (int64_t k = 0; k < N; k++)
            if (x[k] == v && seen++ == i)
                return k;
    return 99;
}

static const row rows[] = {
    {"len", "r = x + len(x) + len((1, 2, 3)) + len([4, 5])", o_len},
    {"sum with dtype", "r = x + sum(x.to(i8), dtype=i32)", o_sum},
    {"sum of bool", "r = x - x + sum((x > 0).to(i32), axis=0) - sum((x > 0).to(i32)) + x", o_first},
    {"max tie", "v, i = max(x, 0, return_indices=True, return_indices_tie_break_left=True)\n    r = x - x + v", o_max},
    {"reduce keep_dims", "r = x - x + reduce(x, 0, greater, keep_dims=True)", o_max},
    {"cumsum default axis", "r = cumsum(x)", o_running},
    {"cumsum method", "r = x.cumsum(0)", o_running},
    {"cumsum with dtype", "r = cumsum(x.to(i8), dtype=i32)", o_running},
    {"cumsum of rows", "r = ravel(cumsum(reshape(x, [6, 10]), 1))", o_running_row},
    {"flip default", "r = flip(x)", o_flip},
    {"bitonic_merge", "r = bitonic_merge(x)", o_sorted},
    {"sort method", "r = x.sort()", o_sorted},
    {"sort of a tuple", "v, r = sort((x, arange(0, 60).to(i32)))", o_order},
    {"topk of a tuple", "v, r = topk((x, arange(0, 60).to(i32)), 60)", o_order_down},
    {"argsort by topk", "v, r = topk(x, 60, return_indices=True)", o_order_down},
    {"comparison to i32", "r = (x > 0).to(i32)", o_any},
    {"to_tensor", "two = to_tensor(2)\n    r = (x * two).to(i32)", o_double},
    {"expect_zero", "r = expect_zero(x, x == 0)", o_first},
    {"condition",
     "v = item(x[0:1]) + 10\n    n = full([], 0, i32)\n    while condition(v > 0, disable_licm=True):\n        v -= "
     "3\n        n += 1\n    r = x - x + n",
     o_countdown},
    {"static_print and static_assert", "static_print(\"compiling\", 60)\n    static_assert(len(x) == 60)\n    r = x",
     o_first},
    {"float constants", "r = where(x.to(f32) < float(\"inf\"), x, 0)", o_first},
    {"debug_barrier", "debug_barrier()\n    r = x", o_first},
    {"pointer comparison", "r = where(xp + arange(0, 60) == xp + arange(0, 60), x, 0)", o_first},
    {"pointer to integer", "p = (xp + 1).to(int) - xp.to(int)\n    r = x + (p - 4).to(i32)", o_first},
    {"pointer cast", "r = load(xp.to(*u32) + arange(0, 60)).to(i32)", o_first},
    {"where of pointers", "r = load(where(x > 0, xp + arange(0, 60), xp + arange(0, 60)))", o_first},
};

static void one(const row *r)
{
    rcase c;
    case_begin(&c, "others %s", r->name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", DT_I32, N, PAT_SMALL), *out = case_out(&c, "out", DT_I32, N, 0);
    case_line(&c, "fn greater(a, b):\n    return maximum(a, b)\n");
    shape_plain_head(&c);
    case_line(&c, "    x = load(xp + arange(0, %d))\n    %s\n    store(out + arange(0, %d), r)", N, r->body, N);
    int64_t v[N];
    for (int i = 0; i < N; i++)
        v[i] = (int64_t)case_get(x, i).i;
    for (int i = 0; i < N; i++)
        out->want[i] = run_int(r->ref(v, i));
    case_end(&c);
}

static void clamp_nan(dtype dt)
{
    rcase c;
    case_begin(&c, "clamp propagate_nan %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, N, PAT_EDGE), *out = case_out(&c, "out", dt, N, 0);
    shape_plain_head(&c);
    case_line(
        &c, "    x = load(xp + arange(0, %d))\n    store(out + arange(0, %d), clamp(x, -1.0, 1.0, propagate_nan=True))",
        N, N);
    for (int i = 0; i < N; i++) {
        double v = case_get(x, i).f;
        out->want[i] = run_real(isnan(v) ? NAN : v < -1 ? -1 : v > 1 ? 1 : v);
    }
    case_end(&c);
}

/* ---- packed 4-bit values ---- */
static double f4_value(int q)
{
    static const double m[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    return q & 8 ? -m[q & 7] : m[q & 7];
}

static void unpack(const char *kind, dtype to)
{
    rcase c;
    case_begin(&c, "unpack %s", kind);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", DT_U8, 256, PAT_EDGE), *out = case_out(&c, "out", to, 512, 0);
    for (int i = 0; i < 256; i++)
        run_put(DT_U8, x->data, i, (uint64_t)i);
    shape_plain_head(&c);
    case_line(&c, "    q = unpack(load(xp + arange(0, 256)), \"%s\")\n    static_assert(q.dtype == %s)", kind,
              dtypes[to].name);
    case_line(&c, "    store(out + arange(0, 512), q)");
    for (int i = 0; i < 512; i++) {
        int q = i / 2 >> (i % 2 * 4) & 15;
        out->want[i] = to == DT_F16 ? run_real(f4_value(q)) : run_int(to == DT_I8 && q > 7 ? q - 16 : q);
    }
    case_end(&c);
}

/* ---- pointers to pointers ---- */
static void table_of_pointers(dtype dt)
{
    enum { ROWS = 5, W = 20 };
    rcase c;
    case_begin(&c, "a table of pointers to %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "x", dt, ROWS * W, PAT_EDGE), *table = case_in(&c, "table", DT_U64, ROWS, PAT_SMALL);
    rarg *out = case_out(&c, "out", dt, ROWS * W, 0);
    for (int i = 0; i < ROWS; i++)
        run_put(DT_U64, table->data, i, (uint64_t)(uintptr_t)x->data + (uint64_t)((ROWS - 1 - i) * W * dt_bytes(dt)));
    case_line(&c, "kernel k(x: *%s, table: *u64, out: *%s) grid(%d):", dtypes[dt].name, dtypes[dt].name, ROWS);
    case_line(&c, "    i = program_id(0)\n    row = load(table.to(**%s) + i)", dtypes[dt].name);
    case_line(&c, "    store(out + i * %d + arange(0, %d), load(row + arange(0, %d)))", W, W, W);
    for (int i = 0; i < ROWS * W; i++)
        out->want[i] = case_get(x, (ROWS - 1 - i / W) * W + i % W);
    case_end(&c);
}

static void printing(void)
{
    rcase c;
    case_begin(&c, "device_print");
    if (case_skip(&c))
        return;
    c.prints = "program (0, 0, 0) v 3 4 5\nprogram (0, 0, 0) h 0x0000000000000007\n";
    rarg *out = case_out(&c, "out", DT_I32, 1, 0);
    shape_plain_head(&c);
    case_line(&c, "    device_print(\"v\", arange(3, 6))\n    device_print(\"h\", program_id(0) + 7, hex=True)\n    "
                  "store(out, 1)");
    out->want[0] = run_int(1);
    case_end(&c);
}

/* the grid that the device itself chooses */
static void resident_grid(void)
{
    rcase c;
    case_begin(&c, "resident in a grid");
    if (case_skip(&c))
        return;
    rarg *out = case_out(&c, "out", DT_I32, 1, 0);
    case_line(&c, "kernel k(out: *i32) grid(minimum(resident(), 7)):\n    store(out, (num_programs(0) > 0).to(i32) + "
                  "(num_programs(0) > 7).to(i32))");
    out->want[0] = run_int(1);
    case_end(&c);
}

void run_others(void)
{
    for (size_t k = 0; k < COUNTOF(rows); k++)
        one(&rows[k]);
    FOR_DTYPES(dt) {
        if (dt_is_float(dt))
            clamp_nan(dt);
        table_of_pointers(dt);
    }
    unpack("u4", DT_U8);
    unpack("i4", DT_I8);
    unpack("f4e2m1", DT_F16);
    printing();
    resident_grid();
}

/* ---- completeness ---- */
static bool seen[512];

static bool names(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = text; (p = strstr(p, name)) != NULL; p += n) {
        bool starts = p == text || !(p[-1] == '_' || (p[-1] >= 'a' && p[-1] <= 'z') || (p[-1] >= '0' && p[-1] <= '9'));
        if (starts && p[n] == '(')
            return true;
    }
    return false;
}

void run_note_builtins(const char *text)
{
    for (int i = 0; i < builtin_count() && i < (int)COUNTOF(seen); i++)
        if (!seen[i] && names(text, builtin_at(i)->name))
            seen[i] = true;
}

void run_check_builtins(void)
{
    if (builtin_count() > (int)COUNTOF(seen))
        run_fail("%d builtins: more than the matrix can count", builtin_count());
    for (int i = 0; i < builtin_count() && i < (int)COUNTOF(seen); i++)
        if (!seen[i])
            run_fail("builtin '%s' is in no case", builtin_at(i)->name);
}
