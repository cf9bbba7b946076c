/* gpu.c: devices with memory and queues of their own: copies, streams, events, graphs, launches, faults, on a real
 * card.
 *
 * The kernels work on scalars only, a program an element, so that they need no layout and run on every chip. A device
 * that can't be opened is one case skipped, by name and with the reason.
 */
#include "tests/run/run.h"

#include "runtime/tile.h"

#include <sys/wait.h>
#include <unistd.h>

static const char *const devices[] = {"cuda:0"};

static const char source[] = "kernel scale(x: *f32, y: *f32, n: i32, k: f32) grid(n):\n"
                             "    i = program_id(0)\n"
                             "    store(y + i, load(x + i) * k)\n"
                             "\n"
                             "kernel total(x: *f32, y: *i32, n: i32, s: scratch zero i32[n]) grid(1):\n"
                             "    store(y, n)\n"
                             "\n"
                             "kernel wild(x: *f32, far: i64) grid(1):\n"
                             "    store(x + far, 1.0)\n";

#define N 1000

typedef struct card {
    const char *name;
    tile_device *d;
    tile_module *m;
    tile_kernel *scale;
    float *x, *y; /* there */
    tile_error err;
} card;

static void check(card *c, bool ok, const char *what)
{
    run.runs++;
    if (!ok)
        run_fail("%s: %s: %s", c->name, what, c->err.text);
}

static bool card_open(card *c)
{
    float host[N];
    for (int i = 0; i < N; i++)
        host[i] = (float)i;
    c->d = tile_device_open(c->name, &c->err);
    c->m = c->d ? tile_module_from_string(c->d, "gpu.tile", source, NULL, &c->err) : NULL;
    c->scale = c->m ? tile_kernel_find(c->m, "scale", &c->err) : NULL;
    c->x = c->scale ? tile_alloc(c->d, sizeof host, &c->err) : NULL;
    c->y = c->x ? tile_alloc(c->d, sizeof host, &c->err) : NULL;
    return c->y && tile_write(c->d, c->x, host, sizeof host, &c->err) == TILE_OK;
}

static void card_close(card *c)
{
    if (c->y)
        tile_free(c->d, c->y);
    if (c->x)
        tile_free(c->d, c->x);
    if (c->m)
        tile_module_close(c->m);
    tile_device_close(c->d);
}

/* y = k * x */
static bool put_scale(card *c, tile_stream *s, float *x, float *y, double k)
{
    tile_arg args[] = {tile_arg_ptr(x, TILE_F32), tile_arg_ptr(y, TILE_F32), tile_arg_int(N), tile_arg_float(k)};
    return tile_launch(c->scale, s, NULL, args, 4, &c->err) == TILE_OK;
}

/* every element of p, which is there, is its index times k */
static bool holds(card *c, const float *p, float k)
{
    float host[N];
    if (tile_read(c->d, host, p, sizeof host, &c->err) != TILE_OK)
        return false;
    for (int i = 0; i < N; i++)
        if (host[i] != (float)i * k) {
            snprintf(c->err.text, sizeof c->err.text, "element %d is %g, expected %g", i, (double)host[i],
                     (double)((float)i * k));
            return false;
        }
    return true;
}

static void test_memory(card *c)
{
    unsigned char bytes[8] = {0};
    check(c, holds(c, c->x, 1), "written and read");
    check(c, tile_copy(c->d, NULL, c->y, c->x, N * sizeof(float), &c->err) == TILE_OK && holds(c, c->y, 1), "copied");
    check(c,
          tile_fill(c->d, NULL, c->y, 0x5a, 7, &c->err) == TILE_OK &&
              tile_read(c->d, bytes, c->y, 8, &c->err) == TILE_OK && bytes[0] == 0x5a && bytes[6] == 0x5a &&
              bytes[7] == 0x3f, /* of 1.0 */
          "filled");
    check(c,
          !tile_alloc(c->d, (int64_t)1 << 45, &c->err) && c->err.code == TILE_E_MEMORY && strstr(c->err.text, "free"),
          "too much memory");
}

static void test_launches(card *c)
{
    tile_kernel_stats st;
    check(c, put_scale(c, NULL, c->x, c->y, 2) && holds(c, c->y, 2), "a launch");
    check(c,
          tile_kernel_info(c->scale, &st, &c->err) == TILE_OK && st.registers > 0 && st.blocks_per_multiprocessor > 0,
          "figures of a kernel");
    tile_kernel *k = tile_kernel_find(c->m, "total", &c->err);
    int32_t got = 0;
    tile_arg args[] = {tile_arg_ptr(c->x, TILE_F32), tile_arg_ptr(c->y, TILE_I32), tile_arg_int(12345)};
    check(c,
          k && tile_launch(k, NULL, NULL, args, 3, &c->err) == TILE_OK &&
              tile_read(c->d, &got, c->y, 4, &c->err) == TILE_OK && got == 12345,
          "a launch with scratch memory");
    int64_t grid[3] = {1, 70000, 1};
    tile_arg many[] = {tile_arg_ptr(c->x, TILE_F32), tile_arg_ptr(c->y, TILE_F32), tile_arg_int(N), tile_arg_float(1)};
    check(c, tile_launch(c->scale, NULL, grid, many, 4, &c->err) == TILE_E_ARGUMENT && strstr(c->err.text, "at most"),
          "too large a grid");
}

static void test_streams(card *c)
{
    double s = -1;
    tile_stream *a = tile_stream_create(c->d, &c->err), *b = tile_stream_create(c->d, &c->err);
    tile_event *e = tile_event_create(c->d, &c->err), *f = tile_event_create(c->d, &c->err);
    bool ok = a && b && e && f;
    check(c, ok, "streams and events");
    for (int i = 0; ok && i < 20; i++) /* each stream waits for the other */
        ok = put_scale(c, a, c->x, c->y, 3) && tile_event_record(e, a, &c->err) == TILE_OK &&
             tile_stream_wait(c->d, b, e, &c->err) == TILE_OK && put_scale(c, b, c->y, c->y, 2) &&
             tile_event_record(f, b, &c->err) == TILE_OK && tile_stream_wait(c->d, a, f, &c->err) == TILE_OK;
    check(c, ok && tile_stream_sync(c->d, b, &c->err) == TILE_OK && holds(c, c->y, 6), "streams in order by events");
    check(c, ok && tile_event_elapsed(e, f, &s, &c->err) == TILE_OK && s > 0 && s < 1, "time between events");
    check(c, ok && put_scale(c, a, c->x, c->y, 5) && holds(c, c->y, 5), "a read comes after every stream");
    tile_event_destroy(e);
    tile_event_destroy(f);
    tile_stream_destroy(a);
    tile_stream_destroy(b);
}

static void test_graphs(card *c)
{
    tile_stream *s = tile_stream_create(c->d, &c->err);
    bool ok = s && tile_capture_begin(c->d, s, &c->err) == TILE_OK;
    ok = ok && tile_copy(c->d, s, c->y, c->x, N * sizeof(float), &c->err) == TILE_OK;
    for (int i = 0; i < 5; i++)
        ok = ok && put_scale(c, s, c->y, c->y, 2);
    tile_graph *g = s ? tile_capture_end(c->d, s, &c->err) : NULL;
    check(c, ok && g, "a capture");
    check(c, tile_fill(c->d, NULL, c->y, 0, N * sizeof(float), &c->err) == TILE_OK && holds(c, c->y, 0),
          "not yet done");
    for (int i = 0; i < 3; i++)
        check(c, g && tile_graph_replay(g, s, &c->err) == TILE_OK && holds(c, c->y, 32), "a replay");
    tile_graph_destroy(g);
    tile_stream_destroy(s);
}

static void test_fault(card *c)
{
    tile_kernel *k = tile_kernel_find(c->m, "wild", &c->err);
    tile_arg args[] = {tile_arg_ptr(c->x, TILE_F32), tile_arg_int((int64_t)1 << 44)};
    float y;
    tile_error first;
    check(c, put_scale(c, NULL, c->x, c->y, 2) && holds(c, c->y, 2), "a launch before a fault");
    check(c, k && tile_launch(k, NULL, NULL, args, 2, &c->err) == TILE_OK, "a wild store is launched");
    check(c, tile_sync(c->d, &c->err) == TILE_E_FAULT && strstr(c->err.text, "in kernel 'wild'"), "and found");
    first = c->err;
    check(c, tile_read(c->d, &y, c->y, 4, &c->err) == TILE_E_FAULT && strcmp(first.text, c->err.text) == 0,
          "and stays with reads");
    check(c, !put_scale(c, NULL, c->x, c->y, 2) && strcmp(first.text, c->err.text) == 0, "and with launches");
}

static void fault_and_after(card *c)
{
    check(c, card_open(c), "opened for a fault");
    if (c->y)
        test_fault(c);
    card_close(c);
    card again = {.name = c->name};
    bool opened = card_open(&again);
    check(&again, opened || strstr(again.err.text, "only a new process can use the device"), "opened after a fault");
    if (opened)
        check(&again, put_scale(&again, NULL, again.x, again.y, 4) && holds(&again, again.y, 4), "used after a fault");
    card_close(&again);
}

/* a fault may stay with the process, so another one has it; before this one has opened the driver */
static void fault_apart(const char *name)
{
    int status = 0;
    card c = {.name = name};
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        run.failures = 0;
        fault_and_after(&c);
        fflush(stdout);
        _exit(run.failures ? 1 : 0);
    }
    check(&c, pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "a fault in a process of its own");
}

/* can it be opened? asked in another process too */
static bool is_there(const char *name)
{
    int status = 1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        tile_error e = {0};
        tile_device *d = tile_device_open(name, &e);
        if (!d)
            printf("skip gpu on %s: %s\n", name, e.text);
        tile_device_close(d);
        fflush(stdout);
        _exit(d == NULL);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_card(const char *name)
{
    card c = {.name = name};
    run.cases++;
    if (!is_there(name)) {
        run.skipped++;
        return;
    }
    fault_apart(name);
    check(&c, card_open(&c), "opened");
    if (c.y) {
        test_memory(&c);
        test_launches(&c);
        test_streams(&c);
        test_graphs(&c);
    }
    card_close(&c);
    card again = {.name = name};
    check(&again, card_open(&again) && put_scale(&again, NULL, again.x, again.y, 4) && holds(&again, again.y, 4),
          "opened again");
    card_close(&again);
}

void run_gpus(void)
{
    for (size_t i = 0; i < COUNTOF(devices); i++)
        if (!run.filter || strstr(devices[i], run.filter))
            test_card(devices[i]);
}
