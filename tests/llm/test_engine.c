/* test_engine.c: the default model against stored logits of an independent implementation (reference.py), and what may
 * not change an answer: the mode, the number of threads, a batch, how often a cache is used again.
 */
#include "examples/llm/engine.h"
#include "tests/llm/kit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 512, KEPT = 16, TOP = 12 };

typedef struct row {
    double lse, target;
    int32_t id[KEPT];
    double logit[KEPT];
} row;

static int32_t ids[TEXT];
static row *rows;
static model_file *model;

static void setup(void)
{
    tile_error err;
    FILE *f = fopen("tests/llm/data/smollm2.ids", "r"), *r = fopen("tests/llm/data/smollm2.ref", "r");
    ck_assert(f && r);
    rows = calloc(TEXT, sizeof *rows);
    for (int t = 0; t < TEXT; t++) {
        char target[32];
        ck_assert_int_eq(fscanf(f, "%d", &ids[t]), 1);
        ck_assert_int_eq(fscanf(r, "%lf %31s", &rows[t].lse, target), 2);
        rows[t].target = atof(target);
        for (int k = 0; k < KEPT; k++)
            ck_assert_int_eq(fscanf(r, " %d:%lf", &rows[t].id[k], &rows[t].logit[k]), 2);
    }
    fclose(f);
    fclose(r);
    model = model_open(kit_default_model(), &err);
    ck_assert_msg(model != NULL, "%s", err.text);
}

static void teardown(void)
{
    model_close(model);
    free(rows);
}

static engine *opened(engine_options o)
{
    tile_error err;
    if (!o.context)
        o.context = 640;
    engine *e = engine_open(model, &o, &err);
    ck_assert_msg(e != NULL, "%s", err.text);
    return e;
}

/* what was found, row by row */
typedef struct found {
    int64_t vocab, rows;
    double kl, worst, cost;
    int same;
} found;

static double logsumexp(const float *l, int64_t n)
{
    double most = -INFINITY, all = 0;
    for (int64_t i = 0; i < n; i++)
        most = l[i] > most ? (double)l[i] : most;
    for (int64_t i = 0; i < n; i++)
        all += exp((double)l[i] - most);
    return most + log(all);
}

static bool look(void *ctx, int64_t first, int64_t n, const float *l)
{
    found *f = ctx;
    for (int64_t i = 0; i < n; i++, l += f->vocab, f->rows++) {
        const row *r = &rows[first + i];
        double lse = logsumexp(l, f->vocab), left_p = 1, left_q = 1, kl = 0;
        int64_t best = 0;
        /* the divergence of the 12 most probable tokens and of all others together */
        for (int k = 0; k < TOP; k++) {
            double lp = r->logit[k] - r->lse, lq = (double)l[r->id[k]] - lse;
            kl += exp(lp) * (lp - lq);
            left_p -= exp(lp);
            left_q -= exp(lq);
        }
        if (left_p > 1e-9 && left_q > 0)
            kl += left_p * log(left_p / left_q);
        f->kl += kl;
        for (int k = 0; k < KEPT; k++)
            f->worst = fmax(f->worst, fabs((double)l[r->id[k]] - r->logit[k]));
        for (int64_t v = 1; v < f->vocab; v++)
            best = l[v] > l[best] ? v : best;
        f->same += best == r->id[0];
        if (first + i + 1 < TEXT)
            f->cost += lse - (double)l[ids[first + i + 1]];
    }
    return true;
}

static double reference_cost(void)
{
    double all = 0;
    for (int t = 0; t + 1 < TEXT; t++)
        all += rows[t].lse - rows[t].target;
    return all / (TEXT - 1);
}

/* all at once as a prompt, or token by token as in generation */
static void check_logits(engine_mode mode, act_type act, bool by_steps, int least_same, double most_kl, double most_ppl,
                         double most)
{
    engine *e = opened((engine_options){.mode = mode, .act = act});
    tile_error err;
    found f = {.vocab = engine_params(e)->vocab};
    if (!by_steps)
        ck_assert_msg(engine_eval(e, 0, ids, TEXT, LOGITS_ALL, look, &f, &err), "%s", err.text);
    for (int i = 0; by_steps && i < TEXT; i++) {
        ck_assert_msg(engine_decode(e, &ids[i], 1, &err), "%s", err.text);
        look(&f, i, 1, engine_logits(e, 0));
    }
    double off = expm1(f.cost / (TEXT - 1) - reference_cost());
    printf("%s, %s, %s: top-1 %.4f, KL %.3g, perplexity %+.4f %% off, a logit %.3g\n",
           mode == MODE_EAGER ? "eager" : "compiled", act == ACT_F32 ? "f32" : "i8", by_steps ? "steps" : "prompt",
           (double)f.same / TEXT, f.kl / TEXT, 100 * off, f.worst);
    ck_assert_int_eq(f.rows, TEXT);
    ck_assert_int_ge(f.same, least_same);
    ck_assert_double_le(f.kl / TEXT, most_kl);
    ck_assert_double_le(fabs(off), most_ppl);
    ck_assert_double_le(f.worst, most);
    engine_close(e);
}

/* 99.5 % of 512 are 509.4 */
START_TEST(reference_f32)
{
    check_logits(MODE_EAGER, ACT_F32, _i, 510, 1e-4, 5e-4, 0.1);
}
END_TEST

START_TEST(reference_f32_compiled)
{
    check_logits(MODE_COMPILED, ACT_F32, _i, 510, 1e-4, 5e-4, 0.1);
}
END_TEST

START_TEST(reference_i8)
{
    check_logits(MODE_EAGER, ACT_I8, _i, 480, 5e-3, 1e-2, 2);
}
END_TEST

START_TEST(reference_i8_compiled)
{
    check_logits(MODE_COMPILED, ACT_I8, _i, 480, 5e-3, 1e-2, 2);
}
END_TEST

/* a prompt, then some tokens: the logits after each */
static float *run_some(engine_options o, int64_t prompt, int64_t more, int64_t *n)
{
    engine *e = opened(o);
    tile_error err;
    int64_t words = engine_params(e)->vocab;
    float *out = malloc((size_t)((more + 1) * words) * sizeof *out);
    ck_assert_msg(engine_eval(e, 0, ids, prompt, LOGITS_LAST, NULL, NULL, &err), "%s", err.text);
    memcpy(out, engine_logits(e, 0), (size_t)words * sizeof *out);
    for (int64_t i = 0; i < more; i++) {
        ck_assert_msg(engine_decode(e, &ids[prompt + i], 1, &err), "%s", err.text);
        memcpy(out + (i + 1) * words, engine_logits(e, 0), (size_t)words * sizeof *out);
    }
    ck_assert_int_eq(engine_length(e, 0), prompt + more);
    engine_close(e);
    *n = (more + 1) * words;
    return out;
}

START_TEST(threads)
{
    for (int mode = 0; mode < 2; mode++) {
        int64_t n;
        engine_options o = {.mode = (engine_mode)mode, .threads = 1};
        float *one = run_some(o, 70, 6, &n);
        for (o.threads = 2; o.threads <= 5; o.threads += 3) {
            float *more = run_some(o, 70, 6, &n);
            ck_assert_mem_eq(one, more, (size_t)n * sizeof *one);
            free(more);
        }
        free(one);
    }
}
END_TEST

/* what a decode step says is what a prompt says: not to the bit, kernels differ, but close */
START_TEST(steps)
{
    for (int act = 0; act < 2; act++) {
        int64_t n, words = model_get_params(model)->vocab;
        engine_options o = {.act = (act_type)act};
        float *a = run_some(o, 64, 8, &n), *b = run_some(o, 72, 0, &n), *last = a + 8 * words;
        double kl = 0, la = logsumexp(last, words), lb = logsumexp(b, words);
        for (int64_t v = 0; v < words; v++)
            kl += exp((double)last[v] - la) * ((double)last[v] - la - ((double)b[v] - lb));
        ck_assert_double_le(kl, act == ACT_F32 ? 1e-4 : 2e-2);
        free(a);
        free(b);
    }
}
END_TEST

START_TEST(batch)
{
    for (int mode = 0; mode < 2; mode++) {
        int64_t words = model_get_params(model)->vocab;
        tile_error err;
        enum { MANY = 12 }; /* more than a captured step has */
        engine *many = opened((engine_options){.mode = (engine_mode)mode, .sequences = MANY, .context = 128});
        engine *alone = opened((engine_options){.mode = (engine_mode)mode});
        float *got = malloc((size_t)words * 5 * sizeof *got);
        for (int32_t s = 0; s < MANY; s++)
            ck_assert(engine_eval(many, s, ids + 10 * s, s == 1 ? 7 : 5 + s * 6, LOGITS_LAST, NULL, NULL, &err));
        for (int64_t i = 0; i < 5; i++) {
            int32_t next[MANY];
            for (int32_t s = 0; s < MANY; s++)
                next[s] = s == 1 ? ids[300 + i] : ids[20 * s + i];
            ck_assert_msg(engine_decode(many, next, i % 2 ? MANY : 3, &err), "%s", err.text);
            memcpy(got + i * words, engine_logits(many, 1), (size_t)words * sizeof *got);
        }
        ck_assert(engine_eval(alone, 0, ids + 10, 7, LOGITS_LAST, NULL, NULL, &err));
        for (int64_t i = 0; i < 5; i++) {
            ck_assert(engine_decode(alone, &ids[300 + i], 1, &err));
            ck_assert_mem_eq(engine_logits(alone, 0), got + i * words, (size_t)words * sizeof *got);
        }
        free(got);
        engine_close(alone);
        engine_close(many);
    }
}
END_TEST

/* a cache cut back and used again gives what a new one gives */
START_TEST(reuse)
{
    tile_error err;
    int64_t words = model_get_params(model)->vocab, n;
    engine *e = opened((engine_options){0});
    ck_assert(engine_eval(e, 0, ids, 300, LOGITS_NONE, NULL, NULL, &err));
    int32_t other[80];
    memcpy(other, ids, sizeof other);
    for (int i = 64; i < 80; i++)
        other[i] = ids[400 + i];
    ck_assert_int_eq(engine_reuse(e, 0, other, 80), 64);
    ck_assert_int_eq(engine_length(e, 0), 64);
    ck_assert(engine_eval(e, 0, other + 64, 16, LOGITS_LAST, NULL, NULL, &err));
    ck_assert_int_eq(engine_reuse(e, 0, other, 80), 79); /* the last one's logits are wanted */
    engine_truncate(e, 0, 0);
    ck_assert(engine_eval(e, 0, ids, 70, LOGITS_LAST, NULL, NULL, &err));
    float *fresh = run_some((engine_options){0}, 70, 0, &n);
    ck_assert_mem_eq(fresh, engine_logits(e, 0), (size_t)words * sizeof *fresh);
    free(fresh);
    engine_close(e);
}
END_TEST

START_TEST(limits)
{
    tile_error err;
    engine *e = opened((engine_options){.context = 32});
    int32_t bad[2] = {5, 49152}, negative = -1;
    ck_assert(!engine_eval(e, 0, ids, 33, LOGITS_LAST, NULL, NULL, &err));
    ck_assert_str_eq(err.text, "33 tokens do not fit the context of 32");
    ck_assert(!engine_eval(e, 0, bad, 2, LOGITS_LAST, NULL, NULL, &err));
    ck_assert_str_eq(err.text, "token 49152 is not in the vocabulary of 49152");
    ck_assert(!engine_decode(e, &negative, 1, &err));
    ck_assert(!engine_eval(e, 0, ids, 0, LOGITS_LAST, NULL, NULL, &err));
    ck_assert_int_eq(engine_length(e, 0), 0);
    ck_assert(engine_eval(e, 0, ids, 32, LOGITS_LAST, NULL, NULL, &err));
    ck_assert(!engine_decode(e, ids, 1, &err));
    ck_assert_int_eq(engine_length(e, 0), 32);
    engine_close(e);
}
END_TEST

static int32_t drawn(engine *e, sampling s, int64_t step, const int32_t *recent, int64_t n)
{
    tile_error err;
    int32_t id = -1;
    ck_assert_msg(engine_sample(e, 0, &s, recent, n, step, &id, &err), "%s", err.text);
    return id;
}

START_TEST(draws)
{
    tile_error err;
    sampling plain = {.top_p = 1, .repeat_penalty = 1};
    engine *e = opened((engine_options){0});
    ck_assert(engine_eval(e, 0, ids, 60, LOGITS_LAST, NULL, NULL, &err));
    const float *l = engine_logits(e, 0);
    int32_t best = 0, seen[64] = {0}, kinds = 0;
    for (int32_t v = 1; v < engine_params(e)->vocab; v++)
        best = l[v] > l[best] ? v : best;
    ck_assert_int_eq(drawn(e, plain, 0, NULL, 0), best);
    sampling hot = plain, first = plain, nucleus = plain, floor_ = plain;
    hot.temperature = first.temperature = nucleus.temperature = floor_.temperature = 1.5;
    hot.seed = 7;
    first.top_k = 1;
    nucleus.top_p = 1e-6;
    floor_.min_p = 1;
    for (int32_t i = 0; i < 64; i++) {
        int32_t id = drawn(e, hot, i, NULL, 0);
        ck_assert_int_eq(id, drawn(e, hot, i, NULL, 0)); /* of its seed and step alone */
        bool new = true;
        for (int32_t k = 0; k < kinds; k++)
            new &= seen[k] != id;
        if (new)
            seen[kinds++] = id;
        ck_assert_int_eq(drawn(e, first, i, NULL, 0), best);
        ck_assert_int_eq(drawn(e, nucleus, i, NULL, 0), best);
        ck_assert_int_eq(drawn(e, floor_, i, NULL, 0), best);
    }
    ck_assert_int_gt(kinds, 8);
    sampling tired = plain;
    tired.repeat_penalty = 1e6;
    tired.repeat_last = 64;
    ck_assert_int_ne(drawn(e, tired, 0, &best, 1), best);
    engine_close(e);
}
END_TEST

START_TEST(costs)
{
    tile_error err;
    engine *e = opened((engine_options){0});
    int32_t target = ids[60], none = -1;
    float cost;
    ck_assert(engine_eval(e, 0, ids, 60, LOGITS_LAST, NULL, NULL, &err));
    const float *l = engine_logits(e, 0);
    ck_assert(engine_nll(e, l, &target, 1, &cost, &err));
    ck_assert_double_eq_tol((double)cost, logsumexp(l, engine_params(e)->vocab) - (double)l[target], 1e-4);
    ck_assert(engine_nll(e, l, &none, 1, &cost, &err));
    ck_assert(cost == 0);
    engine_close(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("engine");
    TCase *t = tcase_create("default model");
    if (!kit_default_model()) {
        printf("skip: the default model is not in the cache folder (make model fetches it)\n");
        return kit_run(s, 13);
    }
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, reference_f32, 0, 1);
    tcase_add_loop_test(t, reference_f32_compiled, 0, 2);
    tcase_add_loop_test(t, reference_i8, 1, 2);
    tcase_add_loop_test(t, reference_i8_compiled, 0, 2);
    tcase_add_test(t, threads);
    tcase_add_test(t, steps);
    tcase_add_test(t, batch);
    tcase_add_test(t, reuse);
    tcase_add_test(t, limits);
    tcase_add_test(t, draws);
    tcase_add_test(t, costs);
    suite_add_tcase(s, t);
    return kit_run(s, 0);
}
