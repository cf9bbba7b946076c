/* tensors.c: tensor arguments: boxes inside, across and outside every edge, views, gather and scatter, tensors made in
 * the kernel, dimensions. Elements outside give `other` or are dropped, and touch nothing.
 */
#include "tests/run/shapes.h"

enum { M = 11, K = 13 };

static bool inside(int64_t i, int64_t j) { return i >= 0 && i < M && j >= 0 && j < K; }

static void box(dtype dt, int64_t r, int64_t q, int64_t h, int64_t w, bool other)
{
    rcase c;
    case_begin(&c, "tensor load %s [%lld, %lld] of %lldx%lld%s", dtypes[dt].name, (long long)r, (long long)q,
               (long long)h, (long long)w, other ? " other" : "");
    if (case_skip(&c))
        return;
    rarg *x = case_tensor(case_in(&c, "x", dt, M * K, PAT_EDGE), 2, (int64_t[]){M, K});
    rarg *out = case_tensor(case_out(&c, "out", dt, h * w, 0), 2, (int64_t[]){h, w});
    case_int(&c, "r", r);
    shape_plain_head(&c);
    case_line(&c, "    b = x.load([r, %lld], [%lld, %lld]%s)", (long long)q, (long long)h, (long long)w,
              other ? ", other=1" : "");
    case_line(&c, "    out.store([0, 0], b)");
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++)
            out->want[i * w + j] = inside(r + i, q + j) ? case_get(x, (r + i) * K + q + j) : run_int(other);
    case_end(&c);
}

static void box_store(dtype dt, int64_t r, int64_t q, int64_t h, int64_t w)
{
    rcase c;
    case_begin(&c, "tensor store %s [%lld, %lld] of %lldx%lld", dtypes[dt].name, (long long)r, (long long)q,
               (long long)h, (long long)w);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, h * w, PAT_EDGE),
         *out = case_tensor(case_inout(&c, "out", dt, M * K, PAT_EDGE, 0), 2, (int64_t[]){M, K});
    case_int(&c, "q", q);
    shape_plain_head(&c);
    shape_offsets(&c, "offs", 2, (int64_t[]){h, w});
    case_line(&c, "    out.store([%lld, q], load(xp + offs))", (long long)r);
    for (int64_t i = 0; i < M * K; i++)
        out->want[i] = case_get(out, i);
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++)
            if (inside(r + i, q + j))
                out->want[(r + i) * K + q + j] = case_get(x, i * w + j);
    case_end(&c);
}

/* views: an index drops a dimension, a range narrows it; outside both nothing is touched */
typedef struct view_row {
    const char *view;           /* of t[A0, A1, A2], 3 x 5 x 7 */
    const char *load;           /* a tile of 4 from it */
    int64_t (*from)(int64_t i); /* element of t, or -1 */
} view_row;

enum { T0 = 3, T1 = 5, T2 = 7 };

static int64_t v_index(int64_t i) { return 2 * T1 * T2 + i; }                         /* t[2], row 0 */
static int64_t v_middle(int64_t i) { return 1 * T2 + 3 + (i + 3 < T2 ? i : 0); }      /* t[0, 1] at 3 */
static int64_t v_column(int64_t i) { return i < T0 ? i * T1 * T2 + 4 * T2 + 6 : -1; } /* t[:, 4, 6] */
static int64_t v_outside(int64_t i)
{
    (void)i;
    return -1;
}
static int64_t v_range(int64_t i) { return i < 2 ? T1 * T2 + (2 + i) * T2 + 1 : -1; } /* t[1, 2:4, 1] */
static int64_t v_clip(int64_t i) { return i < 2 ? (3 + i) * T2 : -1; }                /* t[0, 3:100, 0] */
static int64_t v_below(int64_t i) { return i >= 1 ? i - 1 : -1; }                     /* t[0, 0] at -1 */

static const view_row views[] = {
    {"t[2]", "v.load([0, 0], [1, 4])", v_index},         {"t[0, 1]", "v.load([3], [4])", v_middle},
    {"t[:, 4, 6]", "v.load([0], [4])", v_column},        {"t[n]", "v.load([0, 0], [1, 4])", v_outside},
    {"t[n - 4]", "v.load([0, 0], [1, 4])", v_outside},   {"t[1, 2:4, 1]", "v.load([0], [4])", v_range},
    {"t[0, n:100, 0]", "v.load([0], [4])", v_clip},      {"t[0, 0]", "v.load([-1], [4])", v_below},
    {"t[0, 0, n - 9:5]", "v.load([0], [4])", v_outside},
};

static void view(const view_row *r, dtype dt)
{
    rcase c;
    case_begin(&c, "tensor view %s %s", r->view, dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *t = case_tensor(case_in(&c, "t", dt, T0 * T1 * T2, PAT_EDGE), 3, (int64_t[]){T0, T1, T2});
    rarg *out = case_out(&c, "out", dt, 4, 0);
    case_int(&c, "n", 3);
    shape_plain_head(&c);
    case_line(&c, "    v = %s\n    b = %s\n    store(out + arange(0, 4), reshape(b, [4]))", r->view, r->load);
    for (int i = 0; i < 4; i++)
        out->want[i] = r->from(i) < 0 ? run_int(0) : case_get(t, r->from(i));
    case_end(&c);
}

static void gather_scatter(dtype dt)
{
    enum { N = 40 };
    rcase c;
    case_begin(&c, "tensor gather and scatter %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_tensor(case_in(&c, "x", dt, M * K, PAT_EDGE), 2, (int64_t[]){M, K});
    rarg *ip = case_in(&c, "ip", DT_I32, N, PAT_POS), *jp = case_in(&c, "jp", DT_I64, N, PAT_POS);
    rarg *out = case_out(&c, "out", dt, N, 0),
         *y = case_tensor(case_inout(&c, "y", dt, M * K, PAT_EDGE, 0), 2, (int64_t[]){M, K});
    for (int i = 0; i < N; i++) { /* all different, some outside */
        run_put(DT_I32, ip->data, i, (uint64_t)(i % 13 - 1));
        run_put(DT_I64, jp->data, i, (uint64_t)(int64_t)(i % 17 - 2));
    }
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)\n    i = load(ip + offs)\n    j = load(jp + offs)", N);
    case_line(&c, "    g = x.gather([i, j], other=1)\n    store(out + offs, g)\n    y.scatter([i, j], g, offs < 30)");
    for (int i = 0; i < M * K; i++)
        y->want[i] = case_get(y, i);
    for (int i = 0; i < N; i++) {
        int64_t a = (int64_t)case_get(ip, i).i, b = (int64_t)case_get(jp, i).i;
        out->want[i] = inside(a, b) ? case_get(x, a * K + b) : run_int(1);
        if (inside(a, b) && i < 30)
            y->want[a * K + b] = out->want[i];
    }
    case_end(&c);
}

static void made_in_kernel(dtype dt)
{
    rcase c;
    case_begin(&c, "tensor made in the kernel %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, M * K, PAT_EDGE), *out = case_out(&c, "out", dt, 8 * 16, 0),
         *dims = case_out(&c, "dims", DT_I64, 4, 0);
    case_int(&c, "m", M);
    shape_plain_head(&c);
    case_line(&c, "    t = tensor(xp, [m, %d], [%d, 1])\n    tt = tensor(xp, [%d, m], [1, %d])", K, K, K, K);
    case_line(&c, "    a = t.load([4, 1], [8, 16])\n    b = tt.load([1, 4], [16, 8])");
    case_line(&c, "    store(out + arange(0, 8)[:, None] * 16 + arange(0, 16)[None, :], where(a == b.T, a, where(a != "
                  "a, a, 0)))");
    case_line(&c, "    store(dims, t.size(0))\n    store(dims + 1, t.size(1))\n    store(dims + 2, t.stride(0))\n    "
                  "store(dims + 3, tt.stride(1))");
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 16; j++)
            out->want[i * 16 + j] = inside(4 + i, 1 + j) ? case_get(x, (4 + i) * K + 1 + j) : run_int(0);
    dims->want[0] = run_int(M), dims->want[1] = dims->want[2] = dims->want[3] = run_int(K);
    case_end(&c);
}

static void one_element(dtype dt)
{
    rcase c;
    case_begin(&c, "an element of a tensor %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_tensor(case_in(&c, "x", dt, M * K, PAT_EDGE), 2, (int64_t[]){M, K}),
         *out = case_out(&c, "out", dt, 1, 0);
    case_int(&c, "i", 7);
    shape_plain_head(&c);
    case_line(&c, "    store(out, x[i, 12])");
    out->want[0] = case_get(x, 7 * K + 12);
    case_end(&c);
}

void run_tensors(void)
{
    static const int64_t at[][4] = {{0, 0, M, K},  {0, 0, 1, 1}, {3, 2, 4, 8},    {8, 9, 4, 8},  {-2, -3, 5, 7},
                                    {-9, 0, 4, 4}, {M, K, 2, 2}, {5, -1, 16, 16}, {0, 12, 11, 1}};
    FOR_DTYPES(dt) {
        for (size_t k = 0; k < COUNTOF(at); k++) {
            box(dt, at[k][0], at[k][1], at[k][2], at[k][3], false);
            box(dt, at[k][0], at[k][1], at[k][2], at[k][3], true);
            box_store(dt, at[k][0], at[k][1], at[k][2], at[k][3]);
        }
        for (size_t k = 0; k < COUNTOF(views); k++)
            view(&views[k], dt);
        gather_scatter(dt);
        one_element(dt);
        if (class_of(dt) & CL_NUM)
            made_in_kernel(dt);
    }
}
