/* tilec_run.c: `tilec run FILE KERNEL ARG=VALUE...`: a launch from the command line (the work is in runtime/session.c).
 */
#include "tools/tilec.h"

#include "runtime/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_count(str s, long *out)
{
    char *end;
    *out = strtol(s.p, &end, 10);
    return s.n && *end == 0 && *out >= 0 && *out <= 1000000;
}

static bool parse_grid(str s, int64_t grid[3])
{
    const char *p = s.p;
    char *end;
    int n = 0;
    grid[0] = grid[1] = grid[2] = 1;
    for (;;) {
        if (n == 3 || !((*p >= '0' && *p <= '9') || *p == '-'))
            return false;
        grid[n++] = strtoll(p, &end, 10);
        if (*end == 0)
            return true;
        if (*end != ',')
            return false;
        p = end + 1;
    }
}

static int exit_code(const tile_error *err)
{
    return err->code == TILE_E_DEVICE || err->code == TILE_E_FAULT ? EXIT_DEVICE
           : err->code == TILE_OK                                  ? EXIT_DONE
                                                                   : EXIT_USER;
}

/* diagnostics come rendered; everything else gets our name in front */
int tilec_fail(const tile_error *err)
{
    if (err->code == TILE_E_SOURCE) {
        fprintf(stderr, "%s\n", err->text);
        return EXIT_USER;
    }
    return tilec_say(exit_code(err), "%s", err->text);
}

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static int repeat(tilec *t, rt_session *s, long n, tile_error *err)
{
    double *at = ARENA_ARRAY(t->a, double, (size_t)n + 1);
    if (!rt_session_repeat(s, (uint32_t)n, at, err))
        return tilec_fail(err);
    qsort(at, (size_t)n, sizeof *at, by_value);
    if (n)
        fprintf(stderr, "time: median of %ld more launches %.1f us, least %.1f us\n", n, at[n / 2] * 1e6, at[0] * 1e6);
    return EXIT_DONE;
}

static void print_code(const tilec *t, rt_session *s)
{
    strbuf b;
    sb_init(&b, t->a);
    rt_session_code(s, &b);
    fwrite(b.at ? b.at : "", 1, b.n, stderr);
}

static void print_times(const tilec *t, const rt_session *s, double open, double launch)
{
    const compile_times *c = rt_session_times(s);
    fprintf(
        stderr,
        "time: device %.2f ms, load %.2f, lower %.2f, passes %.2f, code %.2f, launch %.2f; %.2f ms since the start\n",
        open * 1e3, c->load * 1e3, c->lower * 1e3, c->passes * 1e3, c->code * 1e3,
        (launch - c->lower - c->passes - c->code) * 1e3, (clock_now() - t->started) * 1e3);
}

static int show(tilec *t, rt_session *s)
{
    str why;
    strbuf b;
    for (uint32_t i = 0; i < t->saves.n; i++) {
        str x = t->saves.at[i];
        size_t eq = 0;
        while (eq < x.n && x.p[eq] != '=')
            eq++;
        if (!rt_session_save(s, t->a, (str){x.p, eq}, str_cstr(t->a, (str){x.p + eq + 1, x.n - eq - 1}), &why))
            return tilec_say(EXIT_USER, "--save: %.*s", STR_ARG(why));
    }
    sb_init(&b, t->a);
    if (t->saves.n == 0)
        rt_session_summary(s, &b);
    fwrite(b.at ? b.at : "", 1, b.n, stdout);
    return EXIT_DONE;
}

static int launch(tilec *t, rt_session *s, long more, double opened, tile_error *err)
{
    double t0 = clock_now();
    if (!rt_session_launch(s, err))
        return tilec_fail(err);
    if (tilec_has(t, OPT_TIME)) {
        print_times(t, s, opened, clock_now() - t0);
        print_code(t, s);
        int code = repeat(t, s, more, err);
        if (code != EXIT_DONE)
            return code;
    }
    return show(t, s);
}

int tilec_request(tilec *t, const char *command, rt_session_request *q)
{
    *q = (rt_session_request){.checked = tilec_has(t, OPT_CHECKED),
                              .defines = t->defines.at,
                              .ndefines = t->defines.n,
                              .imports = t->imports.at,
                              .nimports = t->imports.n};
    if (t->words.n < 2)
        return tilec_say(EXIT_USAGE, "%s needs a file and a kernel", command);
    if (tilec_has(t, OPT_GRID) && !(q->has_grid = parse_grid(t->opt[OPT_GRID], q->grid)))
        return tilec_say(EXIT_USAGE, "--grid: expected X[,Y[,Z]], found '%.*s'", STR_ARG(t->opt[OPT_GRID]));
    for (uint32_t i = 2; i < t->words.n; i++)
        if (!memchr(t->words.at[i].p, '=', t->words.at[i].n))
            return tilec_say(EXIT_USAGE, "expected ARG=VALUE, found '%.*s'", STR_ARG(t->words.at[i]));
    q->path = t->words.at[0];
    q->kernel = t->words.at[1];
    q->args = t->words.at + 2;
    q->nargs = t->words.n - 2;
    return EXIT_DONE;
}

int tilec_run(tilec *t)
{
    rt_session_request q;
    tile_error err;
    long more = 0;
    int code = tilec_request(t, "run", &q);
    if (code != EXIT_DONE)
        return code;
    if (tilec_has(t, OPT_TIME) && t->opt[OPT_TIME].n && !parse_count(t->opt[OPT_TIME], &more))
        return tilec_say(EXIT_USAGE, "--time: expected a number of launches, found '%.*s'", STR_ARG(t->opt[OPT_TIME]));
    for (uint32_t i = 0; i < t->saves.n; i++)
        if (!memchr(t->saves.at[i].p, '=', t->saves.at[i].n))
            return tilec_say(EXIT_USAGE, "--save: expected ARG=FILE.npy, found '%.*s'", STR_ARG(t->saves.at[i]));
    double t0 = clock_now();
    tile_device *dev = tile_device_open(str_cstr(t->a, tilec_has(t, OPT_DEVICE) ? t->opt[OPT_DEVICE] : S("cpu")), &err);
    double opened = clock_now() - t0;
    if (!dev)
        return tilec_say(err.code == TILE_E_MISSING ? EXIT_USAGE : EXIT_DEVICE, "%s", err.text);
    if (compile_input_of(q.path) != INPUT_TILE && compile_input_of(q.path) != INPUT_IR) {
        tile_device_close(dev);
        return tilec_say(EXIT_USER, "'%.*s' is no .tile or .tir file", STR_ARG(q.path));
    }
    tile_device_on_compile(dev, tilec_bar, NULL);
    rt_session *s = rt_session_open(dev, &q, &err);
    code = s ? launch(t, s, more, opened, &err) : tilec_fail(&err);
    rt_session_close(s);
    tile_device_close(dev);
    return code;
}
