/* attention.c: attention.tile: prefill, decoding, paged decoding, and that a batch changes no answer. */
#include "kernels/ref/ref.h"
#include "tests/kernels/kit.h"

typedef struct att_case {
    const char *kernel;
    dtype dt, ct;
    int64_t b, h, hk, s, l, d;
    int64_t lens[4]; /* of each sequence; lens[0] < 0: None */
    bool causal;
    int64_t window;
    const char *score; /* NULL, soft_cap or alibi */
    int64_t bm, bn, split, page;
    double big; /* scores are so many times larger */
} att_case;

static void finish(kt *t, const att_case *c, const double *v_max, double *slack, int64_t count)
{
    /* products and P are rounded to the type where both are narrow; the rest is f32 */
    double e = c->dt == c->ct && c->dt != DT_F32 ? 2 * kt_eps(c->dt) : 0;
    (void)t;
    for (int64_t i = 0; i < count; i++)
        slack[i] = v_max[i] * (e + (double)(c->d + c->l) * 0x1p-23 * (c->big > 1 ? c->big : 1)) + 1e-6;
}

static void define(kt *t, const att_case *c)
{
    bool prefill = !strcmp(c->kernel, "attention");
    if (prefill) {
        kt_def(t, "CAUSAL=%s", c->causal ? "True" : "False");
        kt_def(t, "BM=%lld", (long long)c->bm);
    } else {
        kt_def(t, "SPLIT=%lld", (long long)c->split);
    }
    if (strcmp(c->kernel, "attention_paged") != 0)
        kt_def(t, "BN=%lld", (long long)c->bn);
    if (c->window)
        kt_def(t, "WINDOW=%lld", (long long)c->window);
    if (c->score)
        kt_def(t, "score=%s", c->score);
}

/* keys and values as the reference wants them: [b, hk, l, d] */
static double *unpage(kt *t, const att_case *c, const double *paged, const double *pages)
{
    int64_t per = (c->l + c->page - 1) / c->page;
    double *out = kt_temp(t, c->b * c->hk * c->l * c->d);
    for (int64_t b = 0; b < c->b; b++)
        for (int64_t h = 0; h < c->hk; h++)
            for (int64_t j = 0; j < c->l * c->d; j++) {
                int64_t at = j / c->d, page = (int64_t)pages[b * per + at / c->page];
                out[(b * c->hk + h) * c->l * c->d + j] =
                    paged[((page * c->hk + h) * c->page + at % c->page) * c->d + j % c->d];
            }
    return out;
}

/* what lies beyond the end of a sequence is never looked at */
static void spoil(const att_case *c, double *kv, const double *pages)
{
    int64_t per = pages ? (c->l + c->page - 1) / c->page : 0, npages = per * c->b + 1;
    char *used = calloc((size_t)(npages * (c->page ? c->page : 1)), 1);
    for (int64_t b = 0; pages && used && b < c->b; b++)
        for (int64_t at = 0; at < c->lens[b]; at++)
            used[(int64_t)pages[b * per + at / c->page] * c->page + at % c->page] = 1;
    int64_t rows = pages ? npages * c->hk * c->page : c->b * c->hk * c->l;
    for (int64_t i = 0; used && i < rows * c->d; i++) {
        int64_t row = i / c->d;
        bool live = pages ? used[row / (c->hk * c->page) * c->page + row % c->page]
                          : c->lens[0] < 0 || row % c->l < c->lens[row / (c->hk * c->l)];
        kv[i] = live ? kv[i] : NAN;
    }
    free(used);
}

static void attention(const att_case *c)
{
    kt t;
    if (!kt_begin(&t, "attention", c->kernel, "%s %s B%lld H%lld/%lld S%lld L%lld D%lld%s w%lld %s len %lld x%g",
                  dtypes[c->dt].name, dtypes[c->ct].name, (long long)c->b, (long long)c->h, (long long)c->hk,
                  (long long)c->s, (long long)c->l, (long long)c->d, c->causal ? " causal" : "", (long long)c->window,
                  c->score ? c->score : "", (long long)c->lens[0], c->big))
        return;
    define(&t, c);
    bool paged = !strcmp(c->kernel, "attention_paged"), prefill = !strcmp(c->kernel, "attention");
    int64_t per = paged ? (c->l + c->page - 1) / c->page : 0, npages = per * c->b + 1;
    int64_t qs[] = {c->b, c->h, c->s, c->d}, ks[] = {c->b, c->hk, c->l, c->d};
    int64_t qd[] = {c->b, c->h, c->d}, ps[] = {npages, c->hk, c->page, c->d};
    int64_t token_major[] = {c->s * c->h * c->d, c->d, c->h * c->d, 1};
    double *q = kt_in(&t, c->dt, FILL_NORMAL, prefill ? 4 : 3, prefill ? qs : qd), *pages = NULL, *lens = NULL;
    if (prefill)
        kt_strides(&t, token_major);
    double *k = kt_in(&t, c->ct, FILL_NORMAL, 4, paged ? ps : ks);
    double *v = kt_in(&t, c->ct, FILL_NORMAL, 4, paged ? ps : ks);
    if (paged) {
        pages = kt_in(&t, DT_I32, FILL_ZERO, 2, (int64_t[]){c->b, per});
        for (int64_t i = 0; i < c->b * per; i++)
            pages[i] = (double)((i * 7 + 3) % npages);
        for (int64_t i = 0; npages % 7 == 0 && i < c->b * per; i++)
            pages[i] = (double)i;
        kt_set(&t);
        spoil(c, k, pages);
        spoil(c, v, pages);
        k = unpage(&t, c, k, pages);
        v = unpage(&t, c, v, pages);
    }
    if (!paged) {
        spoil(c, k, NULL);
        spoil(c, v, NULL);
    }
    if (c->lens[0] < 0) {
        kt_none(&t);
    } else {
        lens = kt_in(&t, DT_I32, FILL_ZERO, 1, &c->b);
        for (int64_t i = 0; i < c->b; i++)
            lens[i] = (double)c->lens[i];
        kt_set(&t);
    }
    double *out = kt_out(&t, c->dt, prefill ? 4 : 3, prefill ? qs : qd);
    if (prefill)
        kt_strides(&t, token_major);
    kt_tol(&t, 1.01, 0);
    double *slack = kt_slack(&t), *mag = kt_temp(&t, c->b * c->h * c->s * c->d);
    double scale = c->big / sqrt((double)c->d);
    kt_real(&t, kt_round(DT_F32, scale));
    double *slopes = NULL;
    if (c->score && !strcmp(c->score, "soft_cap"))
        kt_real(&t, 2.5);
    if (c->score && !strcmp(c->score, "alibi")) {
        slopes = kt_in(&t, DT_F32, FILL_UNIT, 1, &c->h);
        kt_pointer(&t);
    }
    for (int64_t i = 0; i < c->b * c->h * c->s; i++) {
        int64_t b = i / (c->h * c->s), h = i / c->s % c->h, n = lens ? (int64_t)lens[b] : c->l;
        n = n < c->l ? n : c->l;
        ref_attention_rule r = {.n = n,
                                .position = n - c->s + i % c->s,
                                .causal = prefill ? c->causal : true,
                                .window = c->window,
                                .scale = kt_round(DT_F32, scale),
                                .cap = c->score && !slopes ? 2.5 : 0,
                                .slope = slopes ? slopes[h] : 0};
        int64_t kv = (b * c->hk + h / (c->h / c->hk)) * c->l * c->d;
        ref_attention(q + i * c->d, k + kv, v + kv, c->d, c->d, &r, out + i * c->d, mag + i * c->d);
    }
    finish(&t, c, mag, slack, c->b * c->h * c->s * c->d);
    t.cpu_only = c->s * c->l * c->d * c->h > 400000;
    kt_end(&t);
}

/* ---- a batch changes no answer ---- */

typedef struct batch_case {
    const char *kernel;
    dtype dt, ct;
    int64_t h, hk, s, d, window, page;
    const char *score; /* NULL or soft_cap */
} batch_case;

enum { NSEQ = 7, SPLIT = 32 };
/* none, one position, the spans' edges, all of the cache */
static const int64_t seq_lens[NSEQ] = {97, 1, 32, 33, 0, 200, 64};

static double value_at(int what, int64_t b, int64_t i)
{
    uint64_t key[] = {(uint64_t)what, (uint64_t)b, (uint64_t)i};
    return (double)(int64_t)hash_bytes(key, sizeof key, 1) * 0x1p-62;
}

/* The launch of `n` sequences from number b0, in a cache of `l` positions. Values of sequence b are always the same,
 * and so are q, k and v of its positions; what lies behind them is not. */
static bool batch_begin(kt *t, const batch_case *c, int64_t b0, int64_t n, int64_t l)
{
    bool prefill = !strcmp(c->kernel, "attention"), paged = c->page > 0;
    if (!kt_begin(t, "attention", c->kernel, "%s %s H%lld/%lld S%lld D%lld w%lld %s sequences %lld to %lld of %lld",
                  dtypes[c->dt].name, dtypes[c->ct].name, (long long)c->h, (long long)c->hk, (long long)c->s,
                  (long long)c->d, (long long)c->window, c->score ? c->score : "", (long long)b0, (long long)(b0 + n),
                  (long long)l))
        return false;
    kt_def(t, prefill ? "BM=16" : "SPLIT=%d", SPLIT);
    if (!paged)
        kt_def(t, "BN=16");
    if (c->window)
        kt_def(t, "WINDOW=%lld", (long long)c->window);
    if (c->score)
        kt_def(t, "score=%s", c->score);
    int64_t per = paged ? (l + c->page - 1) / c->page : 0, rows = paged ? c->page : l, d = c->d;
    int64_t qs[] = {n, c->h, prefill ? c->s : d, d}, ks[] = {paged ? n * per + 1 : n, c->hk, rows, d};
    double *q = kt_in(t, c->dt, FILL_NORMAL, prefill ? 4 : 3, qs), *kv[2], *pages = NULL;
    for (int64_t i = 0, each = c->h * c->s * d; i < n * each; i++)
        q[i] = value_at(0, b0 + i / each, i % each);
    for (int x = 0; x < 2; x++)
        kv[x] = kt_in(t, c->ct, FILL_NORMAL, 4, ks);
    if (paged) {
        pages = kt_in(t, DT_I32, FILL_ZERO, 2, (int64_t[]){n, per});
        for (int64_t i = 0; i < n * per; i++) /* from the last one down, and one is nobody's */
            pages[i] = (double)(n * per - i);
    }
    for (int64_t i = 0; i < n * c->hk * l * d; i++) {
        int64_t b = i / (c->hk * l * d), h = i / (l * d) % c->hk, at = i / d % l;
        int64_t row = paged ? ((int64_t)pages[b * per + at / c->page] * c->hk + h) * c->page + at % c->page
                            : (b * c->hk + h) * l + at;
        for (int x = 0; x < 2; x++)
            kv[x][row * d + i % d] =
                at < seq_lens[b0 + b] ? value_at(1 + x, b0 + b, (at * c->hk + h) * d + i % d) : NAN;
    }
    double *lens = kt_in(t, DT_I32, FILL_ZERO, 1, &n);
    for (int64_t i = 0; i < n; i++)
        lens[i] = (double)seq_lens[b0 + i];
    kt_out(t, c->dt, prefill ? 4 : 3, qs);
    kt_real(t, 1 / sqrt((double)d));
    if (c->score)
        kt_real(t, 2.5);
    return true;
}

static void batch_on(const char *device, const batch_case *c)
{
    kt all;
    int64_t most = 200;
    if (!batch_begin(&all, c, 0, NSEQ, most))
        return;
    int out = c->page ? 5 : 4;
    bool ok = kt_run(&all, device);
    int64_t bytes = c->h * c->s * c->d * dt_bytes(c->dt);
    for (int64_t b = 0; ok && b < NSEQ; b++)
        for (int way = 0; way < 2;
             way++) { /* in a cache of its length, and in a longer one; alone, and with its neighbour */
            kt one;
            int64_t n = way && b + 1 < NSEQ ? 2 : 1, len = seq_lens[b] > 0 ? seq_lens[b] : 1;
            if (!batch_begin(&one, c, b, n, way ? most + 77 : len))
                continue;
            ok = kt_run(&one, device);
            if (ok && memcmp(one.arg[out].data, (char *)all.arg[out].data + b * bytes, (size_t)(n * bytes)) != 0) {
                kt_fail("%s on %s: not the bits that it has in a batch of %d", one.name, device, NSEQ);
                ok = false;
            }
            kts.passed += ok;
            kt_drop(&one);
        }
    kts.failed += !ok;
    kt_drop(&all);
}

static void batches(void)
{
    static const batch_case cases[] = {
        /* kernel, q, cache, H, HK, S, D, window, page, score */
        {"attention_decode", DT_F32, DT_F32, 4, 4, 1, 64, 0, 0, NULL},
        {"attention_decode", DT_F32, DT_F16, 9, 3, 1, 64, 0, 0, NULL},
        {"attention_decode", DT_F16, DT_F16, 8, 2, 1, 80, 0, 0, NULL},
        {"attention_decode", DT_F32, DT_F32, 4, 1, 1, 64, 37, 0, "soft_cap"},
        {"attention_decode", DT_BF16, DT_BF16, 4, 2, 1, 64, 0, 0, NULL},
        {"attention_paged", DT_F32, DT_F32, 4, 4, 1, 64, 0, 16, NULL},
        {"attention_paged", DT_F32, DT_F16, 9, 3, 1, 64, 0, 16, NULL},
        {"attention_paged", DT_F16, DT_F16, 8, 2, 1, 80, 21, 16, NULL},
        {"attention_paged", DT_BF16, DT_BF16, 4, 2, 1, 64, 0, 32, "soft_cap"},
        {"attention", DT_F32, DT_F32, 4, 2, 19, 64, 0, 0, NULL},
        {"attention", DT_F32, DT_F16, 3, 1, 37, 64, 50, 0, NULL},
        {"attention", DT_F16, DT_F16, 2, 2, 5, 80, 0, 0, "soft_cap"},
    };
    for (size_t i = 0; i < COUNTOF(cases); i++)
        for (int d = 0; d < kts.ndevices; d++)
            if (strcmp(kts.devices[d], "aot") != 0)
                batch_on(kts.devices[d], &cases[i]);
}

void kt_attention(void)
{
    static const att_case cases[] = {
        /* kernel, q, cache, B, H, HK, S, L, D, lens, causal, window, score, BM, BN, SPLIT, PAGE, big */
        {"attention", DT_F32, DT_F32, 1, 1, 1, 1, 1, 64, {-1}, true, 0, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_F32, DT_F32, 1, 2, 1, 17, 17, 64, {-1}, true, 0, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_F32, DT_F16, 1, 9, 3, 37, 51, 64, {-1}, true, 0, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_F32, DT_F16, 1, 3, 1, 65, 80, 64, {71}, true, 0, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_F32, DT_F32, 2, 2, 2, 33, 65, 32, {65, 40}, false, 0, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_F16, DT_F16, 1, 4, 2, 49, 49, 64, {-1}, true, 0, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_BF16, DT_BF16, 1, 2, 1, 20, 35, 80, {-1}, false, 0, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_F32, DT_F32, 1, 2, 1, 70, 90, 64, {-1}, true, 13, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_F32, DT_F32, 1, 2, 1, 31, 31, 64, {-1}, true, 40, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_F32, DT_F32, 1, 1, 1, 90, 90, 64, {-1}, true, 47, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_F32, DT_F32, 1, 2, 1, 40, 40, 64, {-1}, true, 0, "soft_cap", 16, 16, 0, 0, 4},
        {"attention", DT_F32, DT_F32, 1, 4, 2, 40, 47, 64, {-1}, true, 0, "alibi", 16, 16, 0, 0, 1},
        {"attention", DT_F32, DT_F32, 2, 1, 1, 20, 24, 64, {7, 0}, true, 0, NULL, 16, 16, 0, 0, 1},
        {"attention", DT_F32, DT_F32, 1, 1, 1, 40, 40, 64, {-1}, true, 0, NULL, 16, 16, 0, 0, 60},
        {"attention", DT_F32, DT_F32, 1, 2, 1, 131, 200, 64, {-1}, true, 0, NULL, 64, 64, 0, 0, 1},
        {"attention_decode", DT_F32, DT_F32, 1, 1, 1, 1, 1, 64, {1}, true, 0, NULL, 0, 16, 32, 0, 1},
        {"attention_decode", DT_F32, DT_F16, 1, 9, 3, 1, 128, 64, {100}, true, 0, NULL, 0, 16, 32, 0, 1},
        {"attention_decode", DT_F32, DT_F16, 3, 4, 2, 1, 97, 64, {33, 97, 0}, true, 0, NULL, 0, 16, 32, 0, 1},
        {"attention_decode", DT_F32, DT_F32, 2, 8, 1, 1, 97, 80, {32, 31}, true, 0, NULL, 0, 16, 32, 0, 1},
        {"attention_decode", DT_F16, DT_F16, 1, 6, 2, 1, 97, 64, {90}, true, 0, NULL, 0, 16, 32, 0, 1},
        {"attention_decode", DT_F32, DT_F32, 2, 2, 1, 1, 200, 64, {200, 90}, true, 37, NULL, 0, 16, 32, 0, 1},
        {"attention_decode", DT_F32, DT_F32, 1, 2, 2, 1, 90, 64, {90}, true, 0, "soft_cap", 0, 16, 32, 0, 4},
        {"attention_decode", DT_F32, DT_F32, 1, 4, 1, 1, 90, 64, {70}, true, 0, "alibi", 0, 16, 32, 0, 1},
        {"attention_decode", DT_F32, DT_F16, 1, 9, 3, 1, 700, 64, {600}, true, 0, NULL, 0, 64, 256, 0, 1},
        {"attention_paged", DT_F32, DT_F32, 1, 2, 1, 1, 48, 64, {45}, true, 0, NULL, 0, 0, 32, 16, 1},
        {"attention_paged", DT_F32, DT_F16, 3, 6, 2, 1, 96, 64, {96, 33, 1}, true, 0, NULL, 0, 0, 32, 16, 1},
        {"attention_paged", DT_F32, DT_F32, 2, 2, 2, 1, 96, 64, {90, 17}, true, 20, NULL, 0, 0, 32, 16, 1},
    };
    for (size_t i = 0; i < COUNTOF(cases); i++)
        attention(&cases[i]);
    kts.large = true;
    attention(&(att_case){"attention", DT_F32, DT_F16, 2, 9, 3, 131, 200, 64, {-1}, true, 0, NULL, 16, 16, 0, 0, 1});
    attention(&(att_case){
        "attention_decode", DT_F32, DT_F16, 4, 18, 6, 1, 700, 64, {600, 1, 700, 331}, true, 0, NULL, 0, 16, 32, 0, 1});
    attention(&(att_case){
        "attention_paged", DT_F32, DT_F16, 4, 12, 6, 1, 704, 64, {600, 1, 700, 331}, true, 0, NULL, 0, 0, 32, 16, 1});
    kts.large = false;
    batches();
}
