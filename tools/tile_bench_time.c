/* tile_bench_time.c: times of several contestants, taken in turns.
 *
 * A GPU's clock moves with heat and load by more than what is to be told apart. So each round gives every contestant
 * one block of about BLOCK_SECONDS, odd rounds in the other order, and a ratio is the median over the rounds of two
 * times taken within moments of each other.
 *
 * A block is a graph of launches over all buffer sets, replayed: once unmeasured, then between two events.
 */
#include "tools/tile_bench.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SECONDS 0.015
#define LAUNCHES 8 /* of a graph, at least */

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

double time_median(double *t, int n)
{
    qsort(t, (size_t)n, sizeof *t, by_value);
    return t[n / 2];
}

double time_of(const side *s)
{
    double t[TIME_ROUNDS];
    memcpy(t, s->us, sizeof t);
    return time_median(t, TIME_ROUNDS);
}

double time_ratio(const side *ours, const side *peer)
{
    double t[TIME_ROUNDS];
    for (int i = 0; i < TIME_ROUNDS; i++)
        t[i] = peer->us[i] / ours->us[i];
    return time_median(t, TIME_ROUNDS);
}

/* ---- one contestant ---- */

static bool capture(bench *b, side *s, int sets, tile_error *err)
{
    for (int i = 0; i < sets; i++)
        if (!s->put(s->ctx, i, err))
            return false;
    if (tile_sync(b->dev, err) != TILE_OK || tile_capture_begin(b->dev, NULL, err) != TILE_OK)
        return false;
    tile_error first = {0};
    bool ok = true;
    s->per_graph = sets * ((LAUNCHES + sets - 1) / sets);
    for (int i = 0; i < s->per_graph && ok; i++)
        ok = s->put(s->ctx, i % sets, &first);
    s->graph = tile_capture_end(b->dev, NULL, err);
    if (!ok)
        *err = first;
    return ok && s->graph;
}

typedef struct ends {
    tile_event *from, *to;
} ends;

static bool replay_block(side *s, const ends *e, double *us, tile_error *err)
{
    double t;
    bool ok = tile_graph_replay(s->graph, NULL, err) == TILE_OK && tile_event_record(e->from, NULL, err) == TILE_OK;
    for (int64_t i = 0; i < s->replays && ok; i++)
        ok = tile_graph_replay(s->graph, NULL, err) == TILE_OK;
    ok = ok && tile_event_record(e->to, NULL, err) == TILE_OK && tile_event_elapsed(e->from, e->to, &t, err) == TILE_OK;
    if (ok)
        *us = t * 1e6 / (double)s->replays / s->per_graph;
    return ok;
}

static bool run_block(side *s, const ends *e, double *us, tile_error *err)
{
    return s->put ? replay_block(s, e, us, err) : s->block(s->ctx, BLOCK_SECONDS, us, err);
}

/* the graph, and how often a block replays it; the clock is up after it */
static bool warm_up(bench *b, side *s, int sets, const ends *e, tile_error *err)
{
    double us;
    s->replays = 1;
    if (s->put && !capture(b, s, sets, err))
        return false;
    if (!run_block(s, e, &us, err))
        return false;
    if (s->put) {
        double n = BLOCK_SECONDS * 1e6 / (us * s->per_graph);
        s->replays = n > 1 ? (int64_t)n : 1;
    }
    return run_block(s, e, &us, err);
}

static void lose(side *s, const tile_error *err)
{
    bench_say("%s: %s", s->peer, err->text);
    s->lost = true;
}

bool time_contest(bench *b, side *s, int n, int sets)
{
    tile_error err = {0};
    ends e = {tile_event_create(b->dev, &err), tile_event_create(b->dev, &err)};
    bool ok = e.from && e.to;
    if (!ok)
        bench_say("%s", err.text);
    for (int i = 0; i < n && ok; i++)
        if (!s[i].lost && !warm_up(b, &s[i], sets, &e, &err))
            lose(&s[i], &err);
    for (int r = 0; r < TIME_ROUNDS && ok; r++)
        for (int i = 0; i < n; i++) {
            side *x = &s[r & 1 ? n - 1 - i : i];
            if (!x->lost && !run_block(x, &e, &x->us[r], &err))
                lose(x, &err);
        }
    for (int i = 0; i < n; i++) {
        tile_graph_destroy(s[i].graph);
        ok &= !(s[i].ours && s[i].lost);
    }
    tile_event_destroy(e.from);
    tile_event_destroy(e.to);
    return ok;
}
