/* sort.c: sort, topk, gather within a tile, histogram, map_elementwise.
 *
 * Sorting is stable with NaN greatest, so the positions that topk returns are determined and compared to the bit.
 */
#include "tests/run/shapes.h"

typedef struct item {
    num v;
    int64_t at;
    bool is_float, descending;
} item;

static int compare_values(const item *a, const item *b)
{
    if (a->is_float) {
        if (isnan(a->v.f) || isnan(b->v.f))
            return isnan(a->v.f) - isnan(b->v.f);
        return (a->v.f > b->v.f) - (a->v.f < b->v.f);
    }
    return (a->v.i > b->v.i) - (a->v.i < b->v.i);
}

static int compare_items(const void *x, const void *y)
{
    const item *a = x, *b = y;
    int c = compare_values(a, b);
    if (c)
        return a->descending ? -c : c;
    return (a->at > b->at) - (a->at < b->at);
}

static void sorted_line(const rarg *x, int64_t from, int64_t n, int64_t step, bool descending, item *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (item){case_get(x, from + i * step), i, dt_is_any_float(x->dt), descending};
    qsort(out, (size_t)n, sizeof *out, compare_items);
}

enum { LONGEST = 1200 };

static void sort_case(dtype dt, int rank, const int64_t *d, int axis, bool descending)
{
    rcase c;
    case_begin(&c, "sort %s rank %d of %lld axis %d%s", dtypes[dt].name, rank, (long long)d[0], axis,
               descending ? " descending" : "");
    if (case_skip(&c))
        return;
    int64_t n = d[0] * (rank > 1 ? d[1] : 1), len = d[axis], inner = rank > 1 && axis == 0 ? d[1] : 1;
    rarg *x = case_in(&c, "xp", dt, n, PAT_EDGE), *out = case_out(&c, "out", dt, n, 0);
    shape_plain_head(&c);
    shape_offsets(&c, "offs", rank, d);
    case_line(&c, "    store(out + offs, sort(load(xp + offs), %d%s))", axis, descending ? ", descending=True" : "");
    item items[LONGEST];
    for (int64_t b = 0; b < n / len; b++) {
        int64_t from = b / inner * len * inner + b % inner;
        sorted_line(x, from, len, inner, descending, items);
        for (int64_t i = 0; i < len; i++)
            out->want[from + i * inner] = items[i].v;
    }
    case_end(&c);
}

static void topk_case(dtype dt, int64_t rows, int64_t n, int64_t k, pattern pat)
{
    rcase c;
    case_begin(&c, "topk %s %lld of %lldx%lld", dtypes[dt].name, (long long)k, (long long)rows, (long long)n);
    if (case_skip(&c))
        return;
    int64_t d[2] = {rows, n}, dk[2] = {rows, k};
    rarg *x = case_in(&c, "xp", dt, rows * n, pat), *out = case_out(&c, "out", dt, rows * k, 0),
         *at = case_out(&c, "at", DT_I32, rows * k, 0);
    rarg *only = case_out(&c, "only", dt, rows * k, 0);
    shape_plain_head(&c);
    shape_offsets(&c, "offs", 2, d);
    shape_offsets(&c, "to", 2, dk);
    case_line(&c, "    x = load(xp + offs)");
    case_line(&c, "    v, i = topk(x, %lld, return_indices=True)", (long long)k);
    case_line(&c, "    store(out + to, v)\n    store(at + to, i)\n    store(only + to, topk(x, %lld))", (long long)k);
    item items[LONGEST];
    for (int64_t r = 0; r < rows; r++) {
        sorted_line(x, r * n, n, 1, true, items);
        for (int64_t i = 0; i < k; i++) {
            out->want[r * k + i] = only->want[r * k + i] = items[i].v;
            at->want[r * k + i] = run_int(items[i].at);
        }
    }
    case_end(&c);
}

static void gather_case(dtype dt, dtype index, int axis)
{
    rcase c;
    case_begin(&c, "gather %s by %s axis %d", dtypes[dt].name, dtypes[index].name, axis);
    if (case_skip(&c))
        return;
    enum { A = 7, B = 13, K = 5 };
    int64_t d[2] = {A, B}, di[2] = {axis == 0 ? K : A, axis == 1 ? K : B}, n = di[0] * di[1], len = d[axis];
    rarg *x = case_in(&c, "xp", dt, A * B, PAT_EDGE), *ip = case_in(&c, "ip", index, n, PAT_POS),
         *out = case_out(&c, "out", dt, n, 0);
    for (int64_t i = 0; i < n; i++)
        run_put(index, ip->data, i, run_rng() % (uint64_t)len);
    shape_plain_head(&c);
    shape_offsets(&c, "offs", 2, d);
    shape_offsets(&c, "to", 2, di);
    case_line(&c, "    store(out + to, gather(load(xp + offs), load(ip + to), %d))", axis);
    for (int64_t i = 0; i < di[0]; i++)
        for (int64_t j = 0; j < di[1]; j++) {
            int64_t k = (int64_t)case_get(ip, i * di[1] + j).i;
            out->want[i * di[1] + j] = case_get(x, axis == 0 ? k * B + j : i * B + k);
        }
    case_end(&c);
}

static void histogram_case(dtype dt, int64_t n, int64_t bins, bool masked)
{
    rcase c;
    case_begin(&c, "histogram %s %lld into %lld%s", dtypes[dt].name, (long long)n, (long long)bins,
               masked ? " masked" : "");
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, n, PAT_SMALL), *m = case_in(&c, "mp", DT_BOOL, n, PAT_EDGE),
         *out = case_out(&c, "out", DT_I32, bins, 0);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %lld)", (long long)n);
    case_line(&c, "    h = histogram(load(xp + offs), %lld%s)", (long long)bins, masked ? ", load(mp + offs)" : "");
    case_line(&c, "    store(out + arange(0, %lld), h)", (long long)bins);
    for (int64_t i = 0; i < n; i++) {
        num v = case_get(x, i);
        if (v.i >= 0 && v.i < bins && (!masked || case_get(m, i).i))
            out->want[(int64_t)v.i].i++;
    }
    case_end(&c);
}

static void map_case(dtype dt, const shape_class *sc)
{
    rcase c;
    case_begin(&c, "map_elementwise %s %s", dtypes[dt].name, sc->name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, sc->n, PAT_EDGE), *y = case_in(&c, "yp", dt, sc->n, PAT_EDGE),
         *out = case_out(&c, "out", dt, sc->n, 0);
    case_int(&c, "n", sc->n);
    case_line(&c, "fn pick(a, b):\n    if a > b:\n        return a\n    return b + b\n");
    shape_kernel_head(&c, sc);
    case_line(&c, "    store(out + offs, map_elementwise(pick, load(xp + offs, mask), load(yp + offs, mask)), mask)");
    for (int64_t i = 0; i < sc->n; i++) {
        num a = case_get(x, i), b = case_get(y, i);
        bool more = dt_is_any_float(dt) ? a.f > b.f : a.i > b.i;
        out->want[i] = more ? a : (num){.i = b.i + b.i, .f = b.f + b.f};
    }
    case_end(&c);
}

static void refused(const char *what, dtype dt, const char *expr)
{
    char text[300];
    snprintf(
        text, sizeof text,
        "kernel k(xp: *%s, out: *i32) grid(1):\n    x = load(xp + arange(0, 8))\n    store(out + arange(0, 8), %s)\n",
        dtypes[dt].name, expr);
    case_rejects(dtypes[dt].name, text, "%s %s refused", what, dtypes[dt].name);
}

void run_sorts(void)
{
    static const int64_t sizes[] = {1, 9, 127, 65, 100, 1024};
    FOR_DTYPES(dt) {
        if (!(class_of(dt) & CL_NUM)) {
            refused("sort", dt, "sort(x)");
            refused("topk", dt, "topk(x, 8)");
            continue;
        }
        for (size_t s = 0; s < COUNTOF(sizes); s++)
            for (int down = 0; down < 2; down++)
                sort_case(dt, 1, &sizes[s], 0, down != 0);
        sort_case(dt, 2, (int64_t[]){5, 33}, 1, false);
        sort_case(dt, 2, (int64_t[]){33, 5}, 0, true);
        topk_case(dt, 1, 160, 6, PAT_EDGE);
        topk_case(dt, 3, 33, 33, PAT_SMALL); /* many equals */
        topk_case(dt, 4, 100, 1, PAT_EDGE);
        map_case(dt, &shape_classes[1]);
        map_case(dt, &shape_classes[shape_class_count - 1]);
    }
    FOR_DTYPES(dt)
        for (int axis = 0; axis < 2; axis++) {
            gather_case(dt, DT_I32, axis);
            gather_case(dt, DT_I64, axis);
        }
    FOR_DTYPES(dt) {
        if (!dt_is_int(dt)) {
            refused("histogram", dt, "histogram(x, 8)");
            continue;
        }
        for (int masked = 0; masked < 2; masked++) {
            histogram_case(dt, 1, 1, masked != 0);
            histogram_case(dt, 127, 6, masked != 0);
            histogram_case(dt, 1000, 100, masked != 0);
        }
    }
}
