/* reduce.c: reductions and scans.
 *
 * The order in which floats are combined is a device's own, so sums are compared within a bound made from the length
 * and the magnitudes; integers, maxima and positions to the bit. Sums of f16 and bf16 are made in f32 and rounded once.
 */
#include "tests/run/shapes.h"

typedef struct geometry {
    int rank;
    int64_t d[3];
} geometry;

static const geometry shapes[] = {{1, {1}},    {1, {9}},     {1, {127}},   {1, {65}},   {1, {100}},
                                  {1, {1000}}, {2, {3, 33}}, {2, {17, 4}}, {2, {1, 7}}, {3, {2, 3, 17}}};

typedef struct walk {
    int64_t outer, len, inner, count;
} walk;

static walk walk_of(const geometry *g, int axis)
{
    walk w = {1, 1, 1, 1};
    for (int i = 0; i < g->rank; i++) {
        w.count *= g->d[i];
        if (axis < 0)
            continue;
        if (i < axis)
            w.outer *= g->d[i];
        if (i == axis)
            w.len = g->d[i];
        if (i > axis)
            w.inner *= g->d[i];
    }
    if (axis < 0)
        w.len = w.count;
    return w;
}

static double epsilon(dtype dt) { return dt == DT_F64 ? 0x1p-52 : 0x1p-23; }

typedef enum kind { K_SUM, K_MAX, K_MIN, K_ARGMAX, K_ARGMIN, K_XOR, K_OR, K_PROD, K_FIRST } kind;

typedef struct row {
    const char *name, *expr; /* %s: the axis, as text */
    kind k;
    int takes;
    pattern pat;
    bool no_axis; /* axis=None is tried too */
} row;

static const row rows[] = {
    {"sum", "sum(x, axis=%s)", K_SUM, CL_NUM, PAT_REAL, true},
    {"sum method", "x.sum(%s)", K_SUM, CL_NUM, PAT_SMALL, true},
    {"max", "max(x, axis=%s)", K_MAX, CL_NUM, PAT_EDGE, true},
    {"min", "min(x, axis=%s)", K_MIN, CL_NUM, PAT_EDGE, true},
    {"argmax", "argmax(x, axis=%s)", K_ARGMAX, CL_NUM, PAT_SMALL, false},
    {"argmin", "argmin(x, axis=%s)", K_ARGMIN, CL_NUM, PAT_SMALL, false},
    {"xor_sum", "xor_sum(x, axis=%s)", K_XOR, CL_INTS | CL_BOOL, PAT_EDGE, true},
    {"reduce_or", "reduce_or(x, axis=%s)", K_OR, CL_INTS | CL_BOOL, PAT_EDGE, true},
    {"reduce", "reduce(x, %s, product)", K_PROD, CL_INTS, PAT_EDGE, true},
    {"reduce left", "reduce(x, %s, left)", K_FIRST, CL_ALL, PAT_EDGE, false},
};

/* one element of the result; at(i): the i-th item */
static num reduce_line(const row *r, dtype dt, const rarg *x, int64_t from, walk w, double *slack)
{
    num best = case_get(x, from), sum = {0}, p = run_int(1);
    wide bits_xor = 0, bits_or = 0;
    int64_t at = 0;
    double mass = 0;
    for (int64_t i = 0; i < w.len; i++) {
        num v = case_get(x, from + i * w.inner);
        sum.i += v.i;
        sum.f += v.f;
        mass += fabs(v.f);
        bits_xor ^= v.i;
        bits_or |= v.i;
        p.i = (wide)dt_wrap(DT_U64, (uint64_t)((uwide)p.i * (uwide)v.i));
        bool is_float = dt_is_any_float(dt);
        bool less = is_float ? v.f < best.f || (v.f == best.f && signbit(v.f) && !signbit(best.f)) : v.i < best.i;
        bool more = is_float ? v.f > best.f || (v.f == best.f && !signbit(v.f) && signbit(best.f)) : v.i > best.i;
        if (is_float && isnan(best.f))
            less = more = !isnan(v.f);
        if (i && (r->k == K_MIN || r->k == K_ARGMIN ? less : more)) {
            bool zeros = is_float && v.f == best.f;
            best = v;
            at = zeros ? at : i;
        }
    }
    *slack = mass * epsilon(dt) * (double)w.len;
    switch (r->k) {
    case K_SUM: return sum;
    case K_MAX:
    case K_MIN: return best;
    case K_ARGMAX:
    case K_ARGMIN: return run_int(at);
    case K_XOR: return run_int(bits_xor);
    case K_OR: return run_int(bits_or);
    case K_PROD: return p;
    case K_FIRST: return case_get(x, from);
    }
    return sum;
}

static dtype out_dtype(const row *r, dtype dt)
{
    if (r->k == K_ARGMAX || r->k == K_ARGMIN)
        return DT_I32;
    return r->k == K_SUM && dt_is_int(dt) && dt_bits(dt) < 32 ? DT_I32 : dt;
}

static void helpers(rcase *c) { case_line(c, "fn product(a, b):\n    return a * b\n\nfn left(a, b):\n    return a\n"); }

static void one(const row *r, dtype dt, const geometry *g, int axis, bool keep)
{
    rcase c;
    case_begin(&c, "%s %s rank %d of %lld.. axis %d%s", r->name, dtypes[dt].name, g->rank, (long long)g->d[0], axis,
               keep ? " keep_dims" : "");
    if (case_skip(&c))
        return;
    walk w = walk_of(g, axis);
    dtype res = out_dtype(r, dt);
    rarg *x = case_in(&c, "xp", dt, w.count, r->pat),
         *out = case_out(&c, "out", res, w.outer * w.inner, r->k == K_SUM && dt_is_float(dt) ? 1 : 0);
    c.loose = r->k == K_SUM && dt_is_float(dt);
    helpers(&c);
    shape_plain_head(&c);
    shape_offsets(&c, "offs", g->rank, g->d);
    case_line(&c, "    x = load(xp + offs)");
    char text[100], axis_text[16];
    snprintf(axis_text, sizeof axis_text, axis < 0 ? "None" : "%d", axis);
    const char *hole = strstr(r->expr, "%s");
    snprintf(text, sizeof text, "%.*s%s%s", (int)(hole - r->expr), r->expr, axis_text, hole + 2);
    if (keep)
        text[strlen(text) - 1] = 0;
    case_line(&c, "    r = %s%s", text, keep ? ", keep_dims=True)" : "");
    geometry o = {0};
    for (int i = 0; i < g->rank && axis >= 0; i++)
        if (i != axis || keep)
            o.d[o.rank++] = i == axis ? 1 : g->d[i];
    if (axis < 0 && keep)
        for (o.rank = 0; o.rank < g->rank; o.rank++)
            o.d[o.rank] = 1;
    shape_offsets(&c, "to", o.rank, o.d);
    case_line(&c, "    store(out + to, r)");
    for (int64_t i = 0; i < w.outer * w.inner; i++) {
        double slack;
        out->want[i] = reduce_line(r, dt, x, i / w.inner * w.len * w.inner + i % w.inner, w, &slack);
        if (c.loose && slack > out->slack)
            out->slack = slack;
    }
    case_end(&c);
}

static void refused(const row *r, dtype dt)
{
    char text[400], expr[100];
    const char *hole = strstr(r->expr, "%s");
    snprintf(expr, sizeof expr, "%.*s0%s", (int)(hole - r->expr), r->expr, hole + 2);
    snprintf(text, sizeof text,
             "fn product(a, b):\n    return a * b\n\nfn left(a, b):\n    return a\n\nkernel k(xp: *%s, out: *%s) "
             "grid(1):\n    x = load(xp + arange(0, 8))\n    store(out, %s)\n",
             dtypes[dt].name, dtypes[dt].name, expr);
    case_rejects(dtypes[dt].name, text, "%s %s refused", r->name, dtypes[dt].name);
}

/* both results of max with its positions */
static void with_indices(bool min, dtype dt)
{
    rcase c;
    case_begin(&c, "%s return_indices %s", min ? "min" : "max", dtypes[dt].name);
    if (case_skip(&c))
        return;
    geometry g = {2, {5, 33}};
    walk w = walk_of(&g, 1);
    row r = {"", "", min ? K_MIN : K_MAX, 0, PAT_SMALL, false},
        ri = {"", "", min ? K_ARGMIN : K_ARGMAX, 0, PAT_SMALL, false};
    rarg *x = case_in(&c, "xp", dt, w.count, PAT_SMALL), *out = case_out(&c, "out", dt, 5, 0),
         *at = case_out(&c, "at", DT_I32, 5, 0);
    shape_plain_head(&c);
    shape_offsets(&c, "offs", 2, g.d);
    case_line(&c, "    v, i = %s(load(xp + offs), 1, return_indices=True)", min ? "min" : "max");
    case_line(&c, "    store(out + arange(0, 5), v)");
    case_line(&c, "    store(at + arange(0, 5), i)");
    for (int64_t i = 0; i < 5; i++) {
        double slack;
        out->want[i] = reduce_line(&r, dt, x, i * 33, w, &slack);
        at->want[i] = reduce_line(&ri, dt, x, i * 33, w, &slack);
    }
    case_end(&c);
}

/* a tuple, by a function of the language: mean and sum of squared distances */
static void welford(void)
{
    enum { N = 100 };
    rcase c;
    case_begin(&c, "reduce of a tuple (welford)");
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", DT_F32, N, PAT_REAL), *out = case_out(&c, "out", DT_F32, 3, 0);
    c.loose = true;
    case_line(&c, "fn welford(m1, s1, n1, m2, s2, n2):\n    d = m2 - m1\n    n = n1 + n2\n    r = n2 / n\n    return "
                  "m1 + d * r, s1 + s2 + d * d * n1 * r, n\n");
    shape_plain_head(&c);
    case_line(&c,
              "    m, s, n = reduce((load(xp + arange(0, %d)), zeros([%d], f32), full([%d], 1.0, f32)), 0, welford)", N,
              N, N);
    case_line(&c, "    store(out, m)\n    store(out + 1, s)\n    store(out + 2, n)");
    double mean = 0, sq = 0;
    for (int i = 0; i < N; i++)
        mean += case_get(x, i).f / N;
    for (int i = 0; i < N; i++)
        sq += pow(case_get(x, i).f - mean, 2);
    out->want[0] = run_real(mean), out->want[1] = run_real(sq), out->want[2] = run_real(N);
    out->slack = sq * 1e-5;
    case_end(&c);
}

void run_reductions(void)
{
    for (size_t k = 0; k < COUNTOF(rows); k++)
        FOR_DTYPES(dt) {
            if (!(rows[k].takes & class_of(dt))) {
                if (!(rows[k].k == K_PROD && dt_is_float(dt))) /* legal, and rounds at every step */
                    refused(&rows[k], dt);
                continue;
            }
            for (size_t s = 0; s < COUNTOF(shapes); s++)
                for (int axis = rows[k].no_axis && shapes[s].rank > 1 ? -1 : 0; axis < shapes[s].rank; axis++)
                    one(&rows[k], dt, &shapes[s], axis, false);
            if (rows[k].k == K_SUM || rows[k].k == K_MAX)
                if (strchr(rows[k].expr, '='))
                    one(&rows[k], dt, &shapes[9], 1, true);
        }
    FOR_DTYPES(dt)
        if (class_of(dt) & CL_NUM) {
            with_indices(false, dt);
            with_indices(true, dt);
        }
    welford();
}

/* ---- scans ---- */

typedef enum scan_kind { S_SUM, S_PROD, S_MAX, S_LINEAR } scan_kind;

static num scan_step(scan_kind k, dtype dt, num acc, num v)
{
    switch (k) {
    case S_SUM: return (num){.i = acc.i + v.i, .f = acc.f + v.f};
    case S_PROD: return (num){.i = (wide)dt_wrap(DT_U64, (uint64_t)((uwide)acc.i * (uwide)v.i)), .f = acc.f * v.f};
    case S_MAX: return (dt_is_any_float(dt) ? v.f > acc.f : v.i > acc.i) ? v : acc;
    case S_LINEAR: break;
    }
    return acc;
}

static double near_end(dtype dt) { return dt == DT_F16 ? 4096 : dt == DT_F64 ? 1e290 : 1e36; }

static void scan_case(scan_kind k, const char *expr, dtype dt, const geometry *g, int axis, bool reverse)
{
    rcase c;
    case_begin(&c, "scan %s %s rank %d of %lld.. axis %d%s", expr, dtypes[dt].name, g->rank, (long long)g->d[0], axis,
               reverse ? " reverse" : "");
    if (case_skip(&c))
        return;
    walk w = walk_of(g, axis);
    bool inexact = dt_is_float(dt) && k != S_MAX;
    pattern pat = k == S_PROD && dt_is_float(dt) ? PAT_POS : k == S_MAX ? PAT_REAL : PAT_SMALL;
    if (k == S_SUM && dt_is_float(dt))
        pat = PAT_REAL;
    rarg *x = case_in(&c, "xp", dt, w.count, pat), *out = case_out(&c, "out", dt, w.count, inexact ? 1 : 0);
    c.loose = inexact;
    case_line(&c, "fn greater(a, b):\n    return maximum(a, b)\n");
    shape_plain_head(&c);
    shape_offsets(&c, "offs", g->rank, g->d);
    case_line(&c, "    x = load(xp + offs)");
    case_line(&c, "    store(out + offs, %s%d%s%s))", expr, axis, k == S_MAX ? ", greater" : "",
              reverse ? ", reverse=True" : "");
    for (int64_t b = 0; b < w.outer * w.inner; b++) {
        int64_t from = b / w.inner * w.len * w.inner + b % w.inner;
        num acc = {0};
        double mass = 0;
        for (int64_t i = 0; i < w.len; i++) {
            int64_t at = from + (reverse ? w.len - 1 - i : i) * w.inner;
            num v = case_get(x, at);
            acc = i ? scan_step(k, dt, acc, v) : v;
            out->want[at] = acc;
            if (k == S_PROD && inexact) /* near the ends of the format another order overflows, or loses bits */
                out->want[at].any = !(fabs(acc.f) < near_end(dt) && fabs(acc.f) > 1 / near_end(dt));
            mass += fabs(v.f);
            if (inexact && k == S_SUM)
                out->slack = fmax(out->slack, mass * epsilon(dt) * (double)w.len);
        }
    }
    if (k == S_PROD)
        out->ulps = 2 * (double)w.len;
    case_end(&c);
}

/* associative, not commutative: (a0, b0) then (a1, b1) gives (a0 * a1, b0 * a1 + b1), modulo 2^width */
static void linear(dtype dt, int64_t n, bool reverse)
{
    rcase c;
    case_begin(&c, "associative_scan of a tuple %s %lld%s", dtypes[dt].name, (long long)n, reverse ? " reverse" : "");
    if (case_skip(&c))
        return;
    rarg *a = case_in(&c, "ap", dt, n, PAT_EDGE), *b = case_in(&c, "bp", dt, n, PAT_EDGE);
    rarg *p = case_out(&c, "p", dt, n, 0), *q = case_out(&c, "q", dt, n, 0);
    case_line(&c, "fn linear(a0, b0, a1, b1):\n    return a0 * a1, b0 * a1 + b1\n");
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %lld)", (long long)n);
    case_line(&c, "    x, y = associative_scan((load(ap + offs), load(bp + offs)), 0, linear%s)",
              reverse ? ", reverse=True" : "");
    case_line(&c, "    store(p + offs, x)\n    store(q + offs, y)");
    uint64_t x = 0, y = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = reverse ? n - 1 - i : i;
        uint64_t a1 = (uint64_t)case_get(a, at).i, b1 = (uint64_t)case_get(b, at).i;
        y = i ? y * a1 + b1 : b1;
        x = i ? x * a1 : a1;
        p->want[at] = run_int((wide)x), q->want[at] = run_int((wide)y);
    }
    case_end(&c);
}

void run_scans(void)
{
    static const struct {
        scan_kind k;
        const char *expr;
    } list[] = {{S_SUM, "cumsum(x, "}, {S_PROD, "cumprod(x, "}, {S_MAX, "associative_scan(x, "}};
    for (size_t k = 0; k < COUNTOF(list); k++)
        FOR_DTYPES(dt) {
            if (!(class_of(dt) & CL_NUM)) {
                char text[300];
                snprintf(text, sizeof text,
                         "fn greater(a, b):\n    return maximum(a, b)\n\nkernel k(xp: *%s, out: *%s) grid(1):\n    x = "
                         "load(xp + arange(0, 8))\n    store(out + arange(0, 8), %s0%s))\n",
                         dtypes[dt].name, dtypes[dt].name, list[k].expr, list[k].k == S_MAX ? ", greater" : "");
                case_rejects(dtypes[dt].name, text, "scan %s %s refused", list[k].expr, dtypes[dt].name);
                continue;
            }
            for (size_t s = 0; s < COUNTOF(shapes); s++)
                for (int axis = 0; axis < shapes[s].rank; axis++)
                    for (int reverse = 0; reverse < 2; reverse++)
                        scan_case(list[k].k, list[k].expr, dt, &shapes[s], axis, reverse != 0);
        }
    static const dtype ints[] = {DT_I32, DT_U32, DT_I64, DT_U64};
    for (size_t i = 0; i < COUNTOF(ints); i++) {
        linear(ints[i], 1, false);
        linear(ints[i], 100, false);
        linear(ints[i], 127, true);
    }
}
