/* perplexity.c: `llm perplexity`: exp of the mean cost of a text's tokens.
 *
 * The text is cut into windows of --ctx tokens (512), each evaluated from an empty cache. As is usual, only the second
 * half of a window counts, so that every token counted has at least half a window before it; of a text that is shorter
 * than a window all but the first token count.
 */
#include "examples/llm/options.h"
#include "base/base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct account {
    engine *e;
    const int32_t *window;
    int64_t n, from; /* of the window; tokens from `from` on count */
    double cost, squares;
    int64_t counted;
    tile_error *err;
    bool failed;
} account;

static bool count(void *ctx, int64_t first, int64_t n, const float *rows)
{
    account *a = ctx;
    int32_t target[512] = {0};
    float cost[512];
    for (int64_t i = 0; i < n; i++) {
        int64_t next = first + i + 1;
        target[i] = next < a->n && next >= a->from ? a->window[next] : -1;
    }
    a->failed = !engine_nll(a->e, rows, target, n, cost, a->err);
    for (int64_t i = 0; !a->failed && i < n; i++)
        if (target[i] >= 0) {
            a->cost += (double)cost[i];
            a->squares += (double)cost[i] * (double)cost[i];
            a->counted++;
        }
    return !a->failed;
}

static int measure(session *s, const options *o, str text)
{
    tile_error err, inner;
    token_list ids = {0};
    int code = 0;
    int64_t size = engine_context(s->eng);
    account a = {.e = s->eng, .err = &inner};
    if (o->context <= 0 && size > 512)
        size = 512;
    if (!tokenizer_encode(s->tok, text, TOK_BOS, &ids, &err))
        code = complain_error(&err);
    else if (ids.n < 2)
        code = complain("the text is too short: two tokens at least");
    double from = clock_now();
    for (int64_t i = 0; !code && i + (i ? size : 2) <= (int64_t)ids.n; i += size) {
        a.window = ids.at + i;
        a.n = (int64_t)ids.n - i < size ? (int64_t)ids.n - i : size;
        a.from = a.n < size ? 1 : size / 2;
        engine_truncate(s->eng, 0, 0);
        if (!engine_eval(s->eng, 0, a.window, a.n, LOGITS_ALL, count, &a, &err))
            code = complain_error(a.failed ? &inner : &err);
        else if (o->verbose)
            fprintf(stderr, "%lld tokens: %.4f\n", (long long)(i + a.n), exp(a.cost / (double)a.counted));
    }
    if (!code) {
        double mean = a.cost / (double)a.counted, spread = a.squares / (double)a.counted - mean * mean;
        double ppl = exp(mean);
        printf("perplexity %.4f +- %.4f over %lld of %zu tokens\n", ppl,
               ppl * sqrt(spread > 0 ? spread / (double)a.counted : 0), (long long)a.counted, ids.n);
        fprintf(stderr, "[%.1f tok/s]\n", (double)ids.n / (clock_now() - from));
    }
    token_list_free(&ids);
    return code;
}

int run_perplexity(const options *o)
{
    session s;
    str text;
    if (!o->file) {
        complain("give -f FILE");
        return EXIT_USAGE;
    }
    if (!read_text(o->file, &text))
        return EXIT_FAULT;
    int code = session_open(&s, o, true);
    if (!code) {
        code = measure(&s, o, text);
        session_close(&s);
    }
    free((char *)(uintptr_t)text.p);
    return code;
}
