/* tokens.c: embedding.tile, argmax.tile and sampling.tile: from tokens, and to them. */
#include "kernels/ref/ref.h"
#include "tests/kernels/kit.h"

#define EACH(i, table) for (size_t i = 0; i < COUNTOF(table); i++)

static void embedding(dtype dt, dtype ut, int64_t v, int64_t d, int64_t b, double scale)
{
    kt t;
    if (!kt_begin(&t, "embedding", "embedding", "%s %s %lldx%lld %lld", dtypes[dt].name, dtypes[ut].name, (long long)v,
                  (long long)d, (long long)b))
        return;
    double *table = kt_in(&t, dt, FILL_NORMAL, 2, (int64_t[]){v, d});
    double *ids = kt_in(&t, DT_I32, FILL_ZERO, 1, &b);
    for (int64_t i = 0; i < b; i++)
        ids[i] = (double)(kt_rng() % (uint64_t)v);
    if (b > 2) { /* outside */
        ids[0] = -1;
        ids[1] = (double)v;
    }
    kt_set(&t);
    double *out = kt_out(&t, ut, 2, (int64_t[]){b, d});
    kt_tol(&t, 1.01, 0);
    kt_real(&t, scale);
    for (int64_t i = 0; i < b * d; i++) {
        double id = ids[i / d];
        out[i] = id >= 0 && id < (double)v ? table[(int64_t)id * d + i % d] * kt_round(DT_F32, scale) : 0;
    }
    kt_end(&t);
}

static void argmax(dtype dt, int64_t m, int64_t n, fill what)
{
    kt t;
    if (!kt_begin(&t, "argmax", "argmax_rows", "%s %lldx%lld %d", dtypes[dt].name, (long long)m, (long long)n,
                  (int)what))
        return;
    double *x = kt_in(&t, dt, what, 2, (int64_t[]){m, n});
    for (int64_t i = 0; what == FILL_EDGE && i < n; i++) {
        x[i] = i % 2 ? NAN : -INFINITY;                  /* nothing to find */
        x[n + i] = i % 3 == 2 || i == n - 1 ? 5 : -1e30; /* equals */
    }
    kt_set(&t);
    double *out = kt_out(&t, DT_I32, 1, &m);
    for (int64_t i = 0; i < m; i++)
        out[i] = (double)ref_argmax(x + i * n, n);
    kt_end(&t);
}

static void topk(dtype dt, int64_t m, int64_t n, int64_t k, fill what)
{
    kt t;
    if (!kt_begin(&t, "argmax", "topk_rows", "%s %lldx%lld %lld", dtypes[dt].name, (long long)m, (long long)n,
                  (long long)k))
        return;
    double *x = kt_in(&t, dt, what, 2, (int64_t[]){m, n});
    for (int64_t i = 0; i < m * n; i++) /* -inf beside -inf has no order to test; ties do */
        x[i] = isnan(x[i]) || isinf(x[i]) ? 9 : x[i];
    kt_set(&t);
    double *values = kt_out(&t, dt, 2, (int64_t[]){m, k}), *at = kt_out(&t, DT_I32, 2, (int64_t[]){m, k});
    for (int64_t i = 0; i < m; i++)
        ref_topk(x + i * n, n, k, values + i * k, at + i * k);
    kt_end(&t);
}

typedef struct sample_case {
    dtype dt;
    int64_t v;
    double temperature;
    int64_t top_k;
    double top_p, min_p;
    bool edges;
} sample_case;

static void sample(const sample_case *c)
{
    enum { B = 24 };
    kt t;
    if (!kt_begin(&t, "sampling", "sample", "%s %lld t %g k %lld p %g min %g%s", dtypes[c->dt].name, (long long)c->v,
                  c->temperature, (long long)c->top_k, c->top_p, c->min_p, c->edges ? " edges" : ""))
        return;
    int64_t b = B;
    double *logits = kt_in(&t, c->dt, FILL_NORMAL, 2, (int64_t[]){b, c->v});
    for (int64_t i = 0; i < b * c->v; i++)
        logits[i] = c->edges && i % 7 == 0 ? (i % 2 ? NAN : -INFINITY) : 3 * logits[i];
    kt_set(&t);
    double *out = kt_out(&t, DT_I32, 1, &b);
    double *open = kt_slack(&t), *kept = kt_temp(&t, c->v);
    double *seeds = kt_in(&t, DT_I64, FILL_BITS, 1, &b), *pos = kt_in(&t, DT_I32, FILL_SMALL, 1, &b);
    long left_open = 0;
    for (int64_t i = 0; i < b; i++) {
        const double *row = logits + i * c->v;
        pos[i] = (double)(i * 1000);
        double u = ((double)(ref_philox((uint64_t)(int64_t)seeds[i], (uint64_t)pos[i]) >> 8) + 0.5) * 0x1p-24,
               margin = 1;
        if (c->temperature <= 0) {
            out[i] = (double)ref_argmax(row, c->v);
            continue;
        }
        ref_kept(row, c->v, c->temperature, c->top_k, c->top_p, c->min_p, kept);
        out[i] = (double)ref_invert(kept, c->v, u, &margin);
        /* a draw that falls on an edge of two tokens may take either */
        open[i] = margin < 2e-5 ? INFINITY : 0;
        left_open += margin < 2e-5;
    }
    if (left_open > B / 4 + (c->v > 10000 ? B / 2 : 0))
        kt_fail("%s: the reference leaves %ld of %d draws open", t.name, left_open, (int)B);
    kt_real(&t, c->temperature);
    kt_int(&t, c->top_k);
    kt_real(&t, c->top_p);
    kt_real(&t, c->min_p);
    t.cpu_only = c->v > 2000;
    kt_end(&t);
}

static void penalise(int64_t b, int64_t v, int64_t l)
{
    kt t;
    if (!kt_begin(&t, "sampling", "penalise", "%lldx%lld %lld", (long long)b, (long long)v, (long long)l))
        return;
    double *x = kt_inout(&t, DT_F32, FILL_NORMAL, 2, (int64_t[]){b, v});
    kt_tol(&t, 2, 1e-6);
    double *ids = kt_in(&t, DT_I32, FILL_ZERO, 2, (int64_t[]){b, l}), *done = kt_temp(&t, b * v);
    for (int64_t i = 0; i < b * l; i++)
        ids[i] = (double)(kt_rng() % (uint64_t)v) - (i % 4 == 3 ? (double)v : 0);
    kt_set(&t);
    kt_real(&t, 1.25);
    kt_real(&t, 0.125);
    for (int64_t i = 0; i < b * l; i++) {
        int64_t at = i / l * v + (int64_t)ids[i];
        if (ids[i] < 0 || done[at] != 0)
            continue;
        done[at] = 1;
        x[at] = (x[at] > 0 ? x[at] / 1.25 : x[at] * 1.25) - 0.125;
    }
    kt_end(&t);
}

void kt_tokens(void)
{
    static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
    static const sample_case samples[] = {
        {DT_F32, 100, 0, 0, 1, 0, false},      {DT_F32, 100, 0, 0, 1, 0, true},
        {DT_F32, 1, 1, 0, 1, 0, false},        {DT_F32, 100, 1, 0, 1, 0, false},
        {DT_F32, 1025, 0.7, 40, 1, 0, false},  {DT_F32, 1025, 1, 0, 0.9, 0, false},
        {DT_F32, 1025, 1.5, 0, 1, 0.1, false}, {DT_F32, 777, 0.8, 40, 0.95, 0.05, true},
        {DT_F16, 500, 1, 10, 0.8, 0, false},   {DT_F32, 33, 1, 1, 1, 0, false},
        {DT_F32, 33, 1, 0, 0, 0, false},       {DT_F32, 33, 0.01, 0, 1, 0, false},
        {DT_F32, 33, 1, 100, 1, 0, true},
    };
    EACH(d, types)
    {
        embedding(types[d], DT_F32, 37, 65, 5, 1);
        embedding(types[d], types[d], 5, 4097, 3, 1.5);
        argmax(types[d], 4, 1, FILL_NORMAL);
        argmax(types[d], 4, 1025, FILL_NORMAL);
        argmax(types[d], 5, 333, FILL_EDGE);
        topk(types[d], 3, 50, 7, FILL_NORMAL);
        topk(types[d], 2, 1025, 40, FILL_EDGE);
    }
    topk(DT_F32, 2, 1, 1, FILL_NORMAL);
    EACH(i, samples)
    sample(&samples[i]);
    penalise(2, 50, 1);
    penalise(2, 50, 150);
    kts.large = true;
    embedding(DT_F32, DT_F32, 37, 65, 5003, 1);
    embedding(DT_F16, DT_F32, 37, 4097, 203, 1);
    argmax(DT_F32, 501, 1025, FILL_NORMAL);
    topk(DT_F32, 201, 1025, 7, FILL_NORMAL);
    penalise(301, 50, 150);
    kts.large = false;
}
