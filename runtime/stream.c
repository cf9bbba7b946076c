/* stream.c: memory, streams, events and graphs, as tile.h has them, for every device.
 *
 * A device with a queue of its own (rt_driver.queue) is asked; all others work in the host's memory and are done when a
 * call returns: their streams are names, their events times, and their graphs lists of what to do again.
 *
 * A launch noted in such a list is a function and what it needs (launch.c, aot_launch.c).
 */
#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>

typedef struct rt_node {
    rt_again *again; /* a launch; NULL: a copy or (from NULL) a fill */
    void *ctx;
    void *to;
    const void *from;
    int64_t bytes;
    uint8_t byte;
} rt_node;

/* where a call's error goes: the caller may want none */
static tile_error *begin(tile_error *err, tile_error *dropped)
{
    tile_error *e = err ? err : dropped;
    rt_clear(e);
    return e;
}

static void lock(tile_device *d)
{
    pthread_mutex_lock(&d->lock);
}

static int unlock(tile_device *d, bool ok, const tile_error *err)
{
    pthread_mutex_unlock(&d->lock);
    return ok ? TILE_OK : err->code;
}

tile_stream *rt_stream(tile_device *d, tile_stream *s, tile_error *err)
{
    if (!s)
        return &d->own;
    if (s->dev == d)
        return s;
    rt_fail(err, TILE_E_ARGUMENT, "the stream belongs to device '%s', not to '%s'", s->dev->name, d->name);
    return NULL;
}

static bool same_device(const tile_device *d, const tile_device *of, const char *what, tile_error *err)
{
    if (d != of)
        rt_fail(err, TILE_E_ARGUMENT, "the %s belongs to device '%s', not to '%s'", what, of->name, d->name);
    return d == of;
}

static bool not_captured(const tile_stream *s, const char *what, tile_error *err)
{
    if (s->capture)
        rt_fail(err, TILE_E_ARGUMENT, "%s on a stream that is being captured", what);
    return !s->capture;
}

/* ---- memory ---- */

void *rt_alloc(tile_device *d, int64_t bytes, tile_error *err)
{
    void *p = NULL;
    if (bytes < 0 || bytes >= (int64_t)1 << 46)
        rt_fail(err, TILE_E_MEMORY, "no memory for %lld bytes", (long long)bytes);
    else if (d->driver->queue)
        p = d->driver->queue->alloc(d, bytes ? bytes : 1, err);
    else if (posix_memalign(&p, 64, bytes ? (size_t)bytes : 64) != 0) {
        rt_fail(err, TILE_E_MEMORY, "no memory for %lld bytes", (long long)bytes);
        p = NULL;
    }
    return p;
}

void rt_free(tile_device *d, void *p)
{
    if (p && d->driver->queue)
        d->driver->queue->free(d, p);
    else
        free(p);
}

bool rt_fill(tile_device *d, tile_stream *s, void *p, uint8_t byte, int64_t bytes, tile_error *err)
{
    if (d->driver->queue)
        return d->driver->queue->fill(d, s, p, byte, bytes, err);
    memset(p, byte, (size_t)bytes);
    return true;
}

void *tile_alloc(tile_device *d, int64_t bytes, tile_error *err)
{
    rt_clear(err);
    lock(d);
    void *p = rt_alloc(d, bytes, err);
    pthread_mutex_unlock(&d->lock);
    return p;
}

void tile_free(tile_device *d, void *p)
{
    lock(d);
    rt_free(d, p);
    pthread_mutex_unlock(&d->lock);
}

typedef enum direction { TO_DEVICE, TO_HOST } direction;

static int transfer(tile_device *d, direction way, void *to, const void *from, int64_t bytes, tile_error *err)
{
    tile_error dropped;
    err = begin(err, &dropped);
    if (bytes < 0)
        return rt_fail(err, TILE_E_ARGUMENT, "cannot copy %lld bytes", (long long)bytes);
    lock(d);
    bool ok = true;
    if (bytes && d->driver->queue)
        ok = (way == TO_DEVICE ? d->driver->queue->write : d->driver->queue->read)(d, to, from, bytes, err);
    else if (bytes)
        memcpy(to, from, (size_t)bytes);
    return unlock(d, ok, err);
}

int tile_write(tile_device *d, void *to, const void *from_host, int64_t bytes, tile_error *err)
{
    return transfer(d, TO_DEVICE, to, from_host, bytes, err);
}

int tile_read(tile_device *d, void *to_host, const void *from, int64_t bytes, tile_error *err)
{
    return transfer(d, TO_HOST, to_host, from, bytes, err);
}

static void note_move(tile_graph *g, void *to, const void *from, uint8_t byte, int64_t bytes)
{
    rt_node *n = ARENA_NEW(&g->a, rt_node);
    *n = (rt_node){.to = to, .from = from, .byte = byte, .bytes = bytes};
    vec_push(&g->a, &g->nodes, n);
}

/* from NULL: a fill */
static bool move(tile_device *d, tile_stream *s, void *to, const void *from, uint8_t byte, int64_t bytes,
                 tile_error *err)
{
    if (s->capture && !d->driver->queue)
        note_move(s->capture, to, from, byte, bytes);
    else if (!from)
        return rt_fill(d, s, to, byte, bytes, err);
    else if (d->driver->queue)
        return d->driver->queue->copy(d, s, to, from, bytes, err);
    else
        memmove(to, from, (size_t)bytes);
    return true;
}

static int move_on(tile_device *d, tile_stream *stream, void *to, const void *from, uint8_t byte, int64_t bytes,
                   tile_error *err)
{
    tile_error dropped;
    err = begin(err, &dropped);
    tile_stream *s = rt_stream(d, stream, err);
    if (!s)
        return err->code;
    if (bytes < 0)
        return rt_fail(err, TILE_E_ARGUMENT, "cannot copy or fill %lld bytes", (long long)bytes);
    lock(d);
    return unlock(d, bytes == 0 || move(d, s, to, from, byte, bytes, err), err);
}

int tile_copy(tile_device *d, tile_stream *stream, void *to, const void *from, int64_t bytes, tile_error *err)
{
    if (!from && bytes > 0)
        return rt_fail(err, TILE_E_ARGUMENT, "cannot copy from a null pointer");
    return move_on(d, stream, to, from ? from : to, 0, bytes, err);
}

int tile_fill(tile_device *d, tile_stream *stream, void *to, uint8_t byte, int64_t bytes, tile_error *err)
{
    return move_on(d, stream, to, NULL, byte, bytes, err);
}

/* ---- streams ---- */

static tile_stream *new_stream(tile_device *d, void *native, tile_error *err)
{
    tile_error dropped;
    tile_stream *s = calloc(1, sizeof *s);
    err = begin(err, &dropped);
    if (!s) {
        rt_fail(err, TILE_E_MEMORY, "no memory for a stream");
        return NULL;
    }
    *s = (tile_stream){.dev = d, .handle = native, .foreign = native != NULL};
    lock(d);
    bool ok = native || !d->driver->queue || d->driver->queue->stream_open(d, s, err);
    pthread_mutex_unlock(&d->lock);
    if (ok)
        return s;
    free(s);
    return NULL;
}

tile_stream *tile_stream_create(tile_device *d, tile_error *err)
{
    return new_stream(d, NULL, err);
}

tile_stream *tile_stream_wrap(tile_device *d, void *native, tile_error *err)
{
    if (d->driver->queue && native)
        return new_stream(d, native, err);
    rt_fail(err, TILE_E_ARGUMENT, native ? "device '%s' has no streams of its own to wrap" : "no stream to wrap",
            d->name);
    return NULL;
}

void *tile_stream_native(tile_device *d, tile_stream *s)
{
    s = rt_stream(d, s, NULL);
    return s ? s->handle : NULL;
}

/* under the device's lock: what the stream holds */
void rt_stream_fini(tile_stream *s)
{
    tile_device *d = s->dev;
    tile_error dropped;
    tile_graph *g = s->capture;
    if (g && d->driver->queue)
        (void)d->driver->queue->captured(d, s, g, &dropped);
    s->capture = NULL;
    if (g) {
        if (d->driver->queue)
            d->driver->queue->graph_close(d, g);
        arena_fini(&g->a);
        free(g);
    }
    if (d->driver->queue)
        (void)d->driver->queue->sync(d, s, &dropped);
    if (s->pinned && s->scratch)
        vec_push(&d->a, &d->retired, s->scratch);
    else
        rt_free(d, s->scratch);
    if (d->driver->queue && !s->foreign)
        d->driver->queue->stream_close(d, s);
}

void tile_stream_destroy(tile_stream *s)
{
    if (!s)
        return;
    tile_device *d = s->dev;
    lock(d);
    rt_stream_fini(s);
    pthread_mutex_unlock(&d->lock);
    free(s);
}

static int sync_on(tile_device *d, tile_stream *s, tile_error *err)
{
    lock(d);
    return unlock(d, !d->driver->queue || d->driver->queue->sync(d, s, err), err);
}

int tile_stream_sync(tile_device *d, tile_stream *stream, tile_error *err)
{
    tile_error dropped;
    err = begin(err, &dropped);
    tile_stream *s = rt_stream(d, stream, err);
    return s && not_captured(s, "a wait", err) ? sync_on(d, s, err) : err->code;
}

int tile_sync(tile_device *d, tile_error *err)
{
    tile_error dropped;
    err = begin(err, &dropped);
    return sync_on(d, NULL, err);
}

/* ---- events ---- */

tile_event *tile_event_create(tile_device *d, tile_error *err)
{
    tile_error dropped;
    tile_event *e = calloc(1, sizeof *e);
    err = begin(err, &dropped);
    if (!e) {
        rt_fail(err, TILE_E_MEMORY, "no memory for an event");
        return NULL;
    }
    e->dev = d;
    lock(d);
    bool ok = !d->driver->queue || d->driver->queue->event_open(d, e, err);
    pthread_mutex_unlock(&d->lock);
    if (ok)
        return e;
    free(e);
    return NULL;
}

void tile_event_destroy(tile_event *e)
{
    if (!e)
        return;
    lock(e->dev);
    if (e->dev->driver->queue)
        e->dev->driver->queue->event_close(e->dev, e);
    pthread_mutex_unlock(&e->dev->lock);
    free(e);
}

int tile_event_record(tile_event *e, tile_stream *stream, tile_error *err)
{
    tile_error dropped;
    tile_device *d = e->dev;
    err = begin(err, &dropped);
    tile_stream *s = rt_stream(d, stream, err);
    if (!s)
        return err->code;
    lock(d);
    bool ok = !d->driver->queue || d->driver->queue->record(d, e, s, err);
    e->at = clock_now();
    e->recorded |= ok;
    return unlock(d, ok, err);
}

static bool was_recorded(const tile_event *e, tile_error *err)
{
    if (!e->recorded)
        rt_fail(err, TILE_E_ARGUMENT, "the event has not been recorded");
    return e->recorded;
}

int tile_event_sync(tile_event *e, tile_error *err)
{
    tile_error dropped;
    tile_device *d = e->dev;
    err = begin(err, &dropped);
    lock(d);
    bool ok = was_recorded(e, err) && (!d->driver->queue || d->driver->queue->event_sync(d, e, err));
    return unlock(d, ok, err);
}

int tile_event_elapsed(tile_event *from, tile_event *to, double *seconds, tile_error *err)
{
    tile_error dropped;
    tile_device *d = from->dev;
    err = begin(err, &dropped);
    *seconds = 0;
    lock(d);
    bool ok = same_device(d, to->dev, "event", err) && was_recorded(from, err) && was_recorded(to, err);
    if (ok && d->driver->queue)
        ok = d->driver->queue->event_sync(d, to, err) && d->driver->queue->elapsed(d, from, to, seconds, err);
    else if (ok)
        *seconds = to->at - from->at;
    return unlock(d, ok, err);
}

int tile_stream_wait(tile_device *d, tile_stream *stream, tile_event *e, tile_error *err)
{
    tile_error dropped;
    err = begin(err, &dropped);
    tile_stream *s = rt_stream(d, stream, err);
    if (!s)
        return err->code;
    lock(d);
    bool ok = same_device(d, e->dev, "event", err) && was_recorded(e, err) &&
              (!d->driver->queue || d->driver->queue->wait(d, s, e, err));
    return unlock(d, ok, err);
}

/* ---- graphs ---- */

tile_arg *rt_copy_args(arena *a, const tile_arg *args, uint32_t n)
{
    tile_arg *to = arena_copy(a, args, n * sizeof *args, _Alignof(tile_arg));
    for (uint32_t i = 0; i < n; i++)
        if (to[i].kind == TILE_ARG_TENSOR)
            to[i].u.t = arena_copy(a, to[i].u.t, sizeof *to[i].u.t, _Alignof(tile_tensor));
    return to;
}

void rt_note(tile_graph *g, rt_again *again, void *ctx)
{
    rt_node *n = ARENA_NEW(&g->a, rt_node);
    *n = (rt_node){.again = again, .ctx = ctx};
    vec_push(&g->a, &g->nodes, n);
}

static tile_graph *new_graph(tile_device *d, tile_error *err)
{
    tile_graph *g = calloc(1, sizeof *g);
    if (!g) {
        rt_fail(err, TILE_E_MEMORY, "no memory for a graph");
        return NULL;
    }
    g->dev = d;
    arena_init(&g->a, 0);
    return g;
}

static void free_graph(tile_graph *g)
{
    if (g->dev->driver->queue)
        g->dev->driver->queue->graph_close(g->dev, g);
    arena_fini(&g->a);
    free(g);
}

int tile_capture_begin(tile_device *d, tile_stream *stream, tile_error *err)
{
    tile_error dropped;
    err = begin(err, &dropped);
    tile_stream *s = rt_stream(d, stream, err);
    if (!s)
        return err->code;
    lock(d);
    tile_graph *g = not_captured(s, "a capture", err) ? new_graph(d, err) : NULL;
    bool ok = g && (!d->driver->queue || d->driver->queue->capture(d, s, err));
    if (ok)
        s->capture = g;
    else if (g)
        free_graph(g);
    return unlock(d, ok, err);
}

tile_graph *tile_capture_end(tile_device *d, tile_stream *stream, tile_error *err)
{
    tile_error dropped;
    err = begin(err, &dropped);
    tile_stream *s = rt_stream(d, stream, err);
    if (!s)
        return NULL;
    lock(d);
    tile_graph *g = s->capture;
    s->capture = NULL;
    if (!g)
        rt_fail(err, TILE_E_ARGUMENT, "the stream is not being captured");
    else if (d->driver->queue && !d->driver->queue->captured(d, s, g, err)) {
        free_graph(g);
        g = NULL;
    }
    s->pinned |= g != NULL;
    pthread_mutex_unlock(&d->lock);
    return g;
}

static bool replay_node(const rt_node *n, tile_stream *s, tile_error *err)
{
    if (n->again)
        return n->again(n->ctx, s, err);
    if (n->from)
        memmove(n->to, n->from, (size_t)n->bytes);
    else
        memset(n->to, n->byte, (size_t)n->bytes);
    return true;
}

int tile_graph_replay(tile_graph *g, tile_stream *stream, tile_error *err)
{
    tile_error dropped;
    tile_device *d = g->dev;
    err = begin(err, &dropped);
    tile_stream *s = rt_stream(d, stream, err);
    if (!s || !not_captured(s, "a replay", err))
        return err->code;
    if (d->driver->queue) {
        lock(d);
        return unlock(d, d->driver->queue->replay(d, g, s, err), err);
    }
    bool ok = true;
    if (d->driver->hold && g->nodes.n > 1)
        d->driver->hold(d, true);
    for (uint32_t i = 0; i < g->nodes.n && ok; i++)
        ok = replay_node(g->nodes.at[i], s, err);
    if (d->driver->hold && g->nodes.n > 1)
        d->driver->hold(d, false);
    return ok ? TILE_OK : err->code;
}

void tile_graph_destroy(tile_graph *g)
{
    if (!g)
        return;
    tile_device *d = g->dev;
    lock(d);
    free_graph(g);
    pthread_mutex_unlock(&d->lock);
}
