/* rope.c: rope.tile. */
#include "kernels/ref/ref.h"
#include "tests/kernels/kit.h"

static const double FAR = 8191; /* the angle's error grows with the position */

static double angle_error(double pos, double mag)
{
    return mag * (pos * 0x1p-23 + 8 * 0x1p-24);
}

typedef struct rope_case {
    dtype dt, ut;
    bool interleaved;
    int64_t s, h, d, half;
    double mscale;
} rope_case;

static void frequencies(kt *t, double *freq, int64_t half)
{
    for (int64_t i = 0; i < half; i++)
        freq[i] = pow(10000, -(double)i / (double)half);
    kt_set(t);
}

static void positions(kt *t, double *pos, int64_t s)
{
    for (int64_t i = 0; i < s; i++)
        pos[i] = i == 0 ? 0 : i == 1 ? FAR : (double)(kt_rng() % 3000);
    kt_set(t);
}

static void rope(const rope_case *c)
{
    kt t;
    if (!kt_begin(&t, "rope", "rope", "%s %s %s %lldx%lldx%lld/%lld *%g", dtypes[c->dt].name, dtypes[c->ut].name,
                  c->interleaved ? "interleaved" : "half", (long long)c->s, (long long)c->h, (long long)c->d,
                  (long long)c->half, c->mscale))
        return;
    int64_t sizes[] = {c->s, c->h, c->d}, wide[] = {c->d * (c->h + 1) + 1, c->d, 1};
    kt_def(&t, "PAIRS=%s", c->interleaved ? "interleaved" : "half");
    double *x = kt_in(&t, c->dt, FILL_NORMAL, 3, sizes);
    kt_strides(&t, wide);
    double *y = kt_out(&t, c->ut, 3, sizes);
    kt_strides(&t, (int64_t[]){c->d, c->d * c->s, 1});
    kt_tol(&t, 1.01, 0);
    double *slack = kt_slack(&t);
    double *freq = kt_in(&t, DT_F32, FILL_POS, 1, &c->half);
    frequencies(&t, freq, c->half);
    double *pos = kt_in(&t, DT_I32, FILL_ZERO, 1, &c->s);
    positions(&t, pos, c->s);
    kt_real(&t, c->mscale);
    for (int64_t i = 0; i < c->s * c->h; i++) {
        ref_rope(x + i * c->d, freq, c->interleaved, c->d, c->half, pos[i / c->h], c->mscale, y + i * c->d);
        for (int64_t j = 0; j < c->d; j++)
            slack[i * c->d + j] = angle_error(pos[i / c->h], 4 * c->mscale);
    }
    kt_end(&t);
}

typedef struct append_case {
    dtype dt, ct;
    bool interleaved, seqs;
    int64_t s, h, hk, d, half, b, l;
} append_case;

/* token s goes to position l - 1 - s of sequence s mod b; with one sequence the last one lies beyond the cache */
static void append(const append_case *c)
{
    kt t;
    if (!kt_begin(&t, "rope", "rope_append", "%s %s %lldx%lld,%lldx%lld %s", dtypes[c->dt].name, dtypes[c->ct].name,
                  (long long)c->s, (long long)c->h, (long long)c->hk, (long long)c->d, c->seqs ? "seqs" : "one"))
        return;
    int64_t h = c->h, hk = c->hk, d = c->d, row[] = {(h + 2 * hk) * d, d, 1};
    kt_def(&t, "PAIRS=%s", c->interleaved ? "interleaved" : "half");
    double *in[3], *cache[2], *slack[3];
    for (int i = 0; i < 3; i++) {
        in[i] = kt_in(&t, c->dt, FILL_NORMAL, 3, (int64_t[]){c->s, i ? hk : h, d});
        kt_strides(&t, row);
    }
    double *q = kt_out(&t, c->dt, 3, (int64_t[]){c->s, h, d});
    kt_tol(&t, 1.01, 0);
    slack[0] = kt_slack(&t);
    for (int i = 0; i < 2; i++) {
        cache[i] = kt_inout(&t, c->ct, FILL_NORMAL, 4, (int64_t[]){c->b, hk, c->l, d});
        kt_tol(&t, 1.01, 0);
        slack[1 + i] = kt_slack(&t);
    }
    double *freq = kt_in(&t, DT_F32, FILL_POS, 1, &c->half);
    frequencies(&t, freq, c->half);
    double *pos = kt_in(&t, DT_I32, FILL_ZERO, 1, &c->s), *seq = NULL;
    for (int64_t i = 0; i < c->s; i++)
        pos[i] = (double)(i == 0 && !c->seqs && c->s > 1 ? c->l : c->l - 1 - i);
    kt_set(&t);
    if (c->seqs) {
        seq = kt_in(&t, DT_I32, FILL_ZERO, 1, &c->s);
        for (int64_t i = 0; i < c->s; i++)
            seq[i] = (double)(i % c->b);
        kt_set(&t);
    } else {
        kt_none(&t);
    }
    kt_real(&t, 1);
    for (int64_t i = 0; i < c->s; i++) {
        for (int64_t j = 0; j < h; j++)
            ref_rope(in[0] + (i * h + j) * d, freq, c->interleaved, d, c->half, pos[i], 1, q + (i * h + j) * d);
        for (int64_t j = 0; j < h * d; j++)
            slack[0][i * h * d + j] = angle_error(pos[i], 4);
        for (int64_t j = 0; j < hk && pos[i] < (double)c->l; j++) {
            int64_t to = ((int64_t)(seq ? seq[i] : 0) * hk + j) * c->l * d + (int64_t)pos[i] * d;
            ref_rope(in[1] + (i * hk + j) * d, freq, c->interleaved, d, c->half, pos[i], 1, cache[0] + to);
            for (int64_t e = 0; e < d; e++) {
                slack[1][to + e] = angle_error(pos[i], 4);
                cache[1][to + e] = kt_round(c->ct, in[2][(i * hk + j) * d + e]);
            }
        }
    }
    kt_end(&t);
}

static void plain_append(dtype dt, dtype ct, int64_t s, int64_t hk, int64_t l, int64_t d)
{
    kt t;
    if (!kt_begin(&t, "rope", "cache_append", "%s %s %lld", dtypes[dt].name, dtypes[ct].name, (long long)s))
        return;
    double *x = kt_in(&t, dt, FILL_NORMAL, 3, (int64_t[]){s, hk, d});
    double *cache = kt_inout(&t, ct, FILL_NORMAL, 4, (int64_t[]){1, hk, l, d});
    double *pos = kt_in(&t, DT_I32, FILL_ZERO, 1, &s);
    for (int64_t i = 0; i < s; i++)
        pos[i] = (double)(l - 1 - i);
    kt_set(&t);
    kt_none(&t);
    for (int64_t i = 0; i < s * hk * d; i++)
        cache[i / d % hk * l * d + (int64_t)pos[i / (hk * d)] * d + i % d] = kt_round(ct, x[i]);
    kt_end(&t);
}

static void freqs(const char *name, ref_rope_kind kind, int64_t half, double base, double factor, double context,
                  double low, double high)
{
    kt t;
    if (!kt_begin(&t, "rope", "rope_freqs", "%s %lld base %g", name, (long long)half, base))
        return;
    kt_def(&t, "KIND=%s", name);
    double *freq = kt_out(&t, DT_F32, 1, &half);
    kt_tol(&t, 1.01, 0);
    double args[] = {base, factor, context, low, high};
    for (size_t i = 0; i < COUNTOF(args); i++)
        kt_real(&t, args[i]);
    ref_rope_freqs(freq, half, base, factor, context, low, high, kind);
    kt_end(&t);
}

void kt_rope(void)
{
    static const rope_case cases[] = {
        {DT_F32, DT_F32, true, 3, 3, 64, 32, 1},    {DT_F32, DT_F32, false, 3, 3, 64, 32, 1},
        {DT_F16, DT_F16, true, 2, 5, 128, 64, 1},   {DT_F32, DT_F16, false, 5, 1, 80, 20, 1.25},
        {DT_F32, DT_F16, true, 1, 2, 80, 20, 0.75}, {DT_BF16, DT_BF16, false, 2, 2, 6, 3, 1},
        {DT_F32, DT_F32, true, 4, 1, 2, 1, 1},
    };
    static const append_case appends[] = {
        {DT_F32, DT_F16, true, false, 3, 9, 3, 64, 32, 1, 11},
        {DT_F32, DT_F32, false, true, 2, 4, 2, 32, 16, 2, 7},
        {DT_F16, DT_F16, false, false, 1, 3, 1, 20, 5, 1, 5},
    };
    for (size_t i = 0; i < COUNTOF(cases); i++)
        rope(&cases[i]);
    for (size_t i = 0; i < COUNTOF(appends); i++)
        append(&appends[i]);
    plain_append(DT_F32, DT_F16, 3, 2, 9, 33);
    freqs("plain", REF_ROPE_PLAIN, 32, 100000, 1, 1, 1, 1);
    freqs("plain", REF_ROPE_PLAIN, 1, 10000, 1, 1, 1, 1);
    freqs("linear", REF_ROPE_LINEAR, 64, 10000, 4, 1, 1, 1);
    freqs("llama3", REF_ROPE_LLAMA3, 32, 500000, 32, 8192, 1, 4);
    freqs("yarn", REF_ROPE_YARN, 64, 1000000, 4, 32768, 1, 32);
    freqs("yarn", REF_ROPE_YARN, 48, 10000, 40, 4096, 1, 32);
    kts.large = true;
    rope(&(rope_case){DT_F32, DT_F32, true, 1501, 3, 64, 32, 1});
    rope(&(rope_case){DT_F16, DT_F16, false, 1501, 3, 64, 32, 1});
    append(&(append_case){DT_F32, DT_F16, true, false, 701, 9, 3, 64, 32, 1, 705});
    append(&(append_case){DT_F32, DT_F32, false, true, 701, 4, 2, 32, 16, 7, 705});
    plain_append(DT_F32, DT_F16, 1501, 3, 1601, 33);
    kts.large = false;
}
