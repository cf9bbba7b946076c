/* bench.c: `llm bench`: tokens a second of a prompt (pp) and of generation (tg), counted as llama-bench does.
 *
 * pp: one call with p random tokens, on an empty cache. tg: n calls of one token for each of b sequences, from an empty
 * cache, random tokens again: sampling and text are no part of it. Medians of r runs after one to warm up. What memory
 * gives is measured beside, by a kernel that only reads, the best of twelve; a token of one sequence reads every
 * weight.
 */
#include "examples/llm/options.h"
#include "examples/llm/plot.h"
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct figure {
    char work[24];
    int64_t tokens;
    double median, least, most; /* seconds */
} figure;

typedef struct bench {
    session *s;
    const options *o;
    int64_t p, n, batch, reps;
    int32_t *ids; /* [max(p, n * batch)] */
    double *times;
    tile_error err;
} bench;

static void random_ids(bench *b)
{
    uint64_t x = 1;
    int64_t n = b->p > b->n * b->batch ? b->p : b->n * b->batch;
    for (int64_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        b->ids[i] = (int32_t)((x >> 33) % (uint64_t)engine_params(b->s->eng)->vocab);
    }
}

static void clear(bench *b)
{
    for (int32_t i = 0; i < b->batch; i++)
        engine_truncate(b->s->eng, i, 0);
}

static bool prompt_once(bench *b)
{
    return engine_eval(b->s->eng, 0, b->ids, b->p, LOGITS_LAST, NULL, NULL, &b->err);
}

static bool generate_once(bench *b)
{
    for (int64_t i = 0; i < b->n; i++)
        if (!engine_decode(b->s->eng, b->ids + i * b->batch, (int32_t)b->batch, &b->err))
            return false;
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static bool measure(bench *b, bool (*once)(bench *), figure *f)
{
    for (int64_t i = -1; i < b->reps; i++) {
        clear(b);
        double from = clock_now();
        if (!once(b))
            return false;
        if (i >= 0)
            b->times[i] = clock_now() - from;
    }
    qsort(b->times, (size_t)b->reps, sizeof *b->times, by_value);
    f->least = b->times[0];
    f->most = b->times[b->reps - 1];
    f->median = b->reps % 2 ? b->times[b->reps / 2] : (b->times[b->reps / 2 - 1] + b->times[b->reps / 2]) / 2;
    return true;
}

static const char *file_name(const options *o)
{
    const char *slash = o->random ? NULL : strrchr(o->model, '/');
    return slash && slash[1] ? slash + 1 : o->random ? o->random : o->model;
}

static void print_json(const bench *b, const figure *f)
{
    double n = (double)f->tokens;
    printf("{\"work\": \"%s\", \"shape\": [%lld], \"dtype\": \"%s\", \"peer\": \"tile\", \"threads\": %lld, "
           "\"us\": %.0f, \"tok_s\": %.1f, \"min_tok_s\": %.1f, \"max_tok_s\": %.1f}\n",
           f->work, (long long)f->tokens, file_name(b->o), (long long)engine_threads(b->s->eng), 1e6 * f->median,
           n / f->median, n / f->most, n / f->least);
    fflush(stdout);
}

static int print_rate(bench *b, const figure *tg)
{
    double best = engine_read_rate(b->s->eng, &b->err) / 1e9;
    double rate = tg->tokens ? (double)engine_weight_bytes(b->s->eng) * (double)b->n / tg->median / 1e9 : 0;
    if (!(best > 0))
        return complain_error(&b->err);
    if (b->o->json)
        printf("{\"work\": \"read\", \"shape\": [], \"dtype\": \"%s\", \"peer\": \"tile\", \"threads\": %lld, "
               "\"gbs\": %.1f, \"tg_gbs\": %.1f}\n",
               file_name(b->o), (long long)engine_threads(b->s->eng), best, rate);
    else
        printf("\nmemory reads %.1f GB/s; generation reads weights at %.1f GB/s, %.0f %% of it\n", best, rate,
               100 * rate / best);
    return 0;
}

static void print_load(const bench *b)
{
    printf("{\"work\": \"load\", \"shape\": [], \"dtype\": \"%s\", \"peer\": \"tile\", \"us\": %.0f}\n",
           file_name(b->o), 1e6 * b->s->load_seconds);
}

static void print_row(const bench *b, const figure *f, bool first)
{
    double n = (double)f->tokens, half = (n / f->least - n / f->most) / 2;
    if (first)
        printf("| %-28s | %10s | %8s | %8s | %7s | %12s | %18s |\n"
               "| %-28s | %10s | %8s | %8s | %7s | %12s | %18s |\n",
               "model", "size", "params", "device", "threads", "test", "tok/s", "---", "---:", "---:", "---",
               "---:", "---", "---:");
    printf("| %-28.28s | %6.1f MiB | %6.1f M | %-8s | %7lld | %12s | %9.1f +- %5.1f |\n", model_title(b->s->model),
           (double)model_bytes(b->s->model) / (1 << 20), engine_parameters(b->s->eng) / 1e6,
           b->o->device ? b->o->device : "cpu", (long long)engine_threads(b->s->eng), f->work, n / f->median, half);
    fflush(stdout);
}

static void say_times(const bench *b, const engine_time *times, uint32_t n)
{
    for (uint32_t i = 0; b->o->verbose && i < n; i++)
        fprintf(stderr, "%-16s %4lld launches %9.1f us %7.2f GB/s\n", times[i].name, (long long)times[i].launches,
                1e6 * times[i].seconds, times[i].bytes / times[i].seconds / 1e9);
}

/* where the time of a prompt goes */
static bool profile_prompt(bench *b)
{
    uint32_t n;
    clear(b);
    engine_profile(b->s->eng, true);
    if (!prompt_once(b))
        return false;
    const engine_time *times = engine_times(b->s->eng, &n);
    say_times(b, times, n);
    engine_profile(b->s->eng, false);
    return true;
}

/* one decode step with a cache of p tokens, kernel by kernel, each launch at its fastest of STEPS */
static int plot(bench *b)
{
    engine *e = b->s->eng;
    uint32_t n;
    str why = {0};
    enum { STEPS = 200 };
    clear(b);
    if ((b->p && !prompt_once(b)))
        return complain_error(&b->err);
    for (int32_t i = 0; i <= STEPS; i++) {
        engine_truncate(e, 0, b->p);
        if (i == 1)
            engine_profile(e, true);
        if (!engine_decode(e, b->ids, 1, &b->err))
            return complain_error(&b->err);
    }
    const engine_time *times = engine_times(e, &n);
    if (!plot_step(b->o->plot, model_title(b->s->model), b->p, times, n, &why))
        return complain("cannot write '%s': %.*s", b->o->plot, STR_ARG(why));
    say_times(b, times, n);
    engine_profile(e, false);
    return 0;
}

static int run(bench *b)
{
    int rows = 0;
    figure last = {0};
    for (int part = 0; part < 2; part++) {
        figure f = {.tokens = part ? b->n * b->batch : b->p};
        if (!f.tokens)
            continue;
        if (part && b->batch > 1)
            snprintf(f.work, sizeof f.work, "tg%lldx%lld", (long long)b->n, (long long)b->batch);
        else
            snprintf(f.work, sizeof f.work, "%s%lld", part ? "tg" : "pp", (long long)f.tokens);
        if (!measure(b, part ? generate_once : prompt_once, &f))
            return complain_error(&b->err);
        last = f;
        if (!part && b->o->verbose && !profile_prompt(b))
            return complain_error(&b->err);
        if (b->o->json)
            print_json(b, &f);
        else
            print_row(b, &f, !rows++);
    }
    if (b->o->json)
        print_load(b);
    if (b->n > 0 && print_rate(b, &last))
        return EXIT_FAULT;
    return b->o->plot ? plot(b) : 0;
}

int run_bench(const options *given)
{
    session s;
    options o = *given;
    char *end = NULL;
    bench b = {.s = &s, .o = &o};
    b.p = o.prompt ? strtoll(o.prompt, &end, 10) : 512;
    if (o.prompt && (!*o.prompt || *end || b.p < 0 || b.p > 1 << 24)) {
        complain("'-p' takes a number of tokens");
        return EXIT_USAGE;
    }
    b.n = o.n >= 0 ? o.n : 128;
    b.batch = o.batch > 0 ? o.batch : 1;
    b.reps = o.reps > 0 ? o.reps : 5;
    if (o.context < 0)
        o.context = (b.p > b.n ? b.p : b.n) + 32;
    int code = session_open(&s, &o, true);
    if (code)
        return code;
    b.ids = calloc((size_t)(b.p + b.n * b.batch) + 1, sizeof *b.ids);
    b.times = calloc((size_t)b.reps, sizeof *b.times);
    if (b.ids && b.times) {
        random_ids(&b);
        code = run(&b);
    } else
        code = complain("out of memory");
    free(b.ids);
    free(b.times);
    session_close(&s);
    return code;
}
