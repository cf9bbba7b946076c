/* kind_run.c: `run [DEVICE..]`: kernels launched on each device (default: interp, then cpu), and what they write.
 *
 *   # run: KERNEL [--grid=X,Y,Z] [-D NAME=VALUE].. [--tol=REL] ARG=VALUE ..
 *   #   out: f32[4]: 0 1 2 3              lines behind "#   " are the summary: what device_print said, sorted, then
 * arrays # run: KERNEL .. # fails: SUBSTRING                    the launch is refused, or faults, with this in its
 * message
 *
 * The first device's arrays are the reference: on the others every array must have the same bits, or, with --tol,
 * floats within REL * max(1, |x|). The summary is compared on the first device.
 */
#include "tests/runner/runner.h"

#include "runtime/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEVICES 4

typedef struct run_case {
    rt_session_request q;
    VEC(str) args, defines;
    double tol;
    str want;  /* the summary */
    str fails; /* p == NULL: must not */
    bool fails_given;
} run_case;

typedef struct prints {
    arena *a;
    VEC(str) lines;
} prints;

static void on_print(void *ctx, const char *line)
{
    prints *p = ctx;
    str s = str_dup(p->a, str_of(line));
    vec_push(p->a, &p->lines, s);
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static bool parse_case(test *t, str line, run_case *c)
{
    *c = (run_case){.q = {.path = str_of(t->path), .text = t->text.p, .dir = path_dir(str_of(t->path))}};
    c->q.kernel = text_word(&line);
    while (line.n) {
        str w = text_word(&line);
        if (str_eq(w, S("-D"))) {
            str v = text_word(&line);
            vec_push(t->a, &c->defines, v);
        } else if (str_starts(w, S("--tol="))) {
            c->tol = strtod(w.p + 6, NULL);
        } else if (str_starts(w, S("--grid="))) {
            const char *p = w.p + 7;
            char *end = NULL;
            c->q.has_grid = true;
            for (int i = 0; i < 3; i++) {
                c->q.grid[i] = i == 0 || *p == ',' ? strtoll(p + (i > 0), &end, 10) : 1;
                p = end;
            }
        } else if (str_starts(w, S("--"))) {
            test_fail(t, "run: '%.*s' is not known", STR_ARG(w));
            return false;
        } else
            vec_push(t->a, &c->args, w);
    }
    c->q.args = c->args.at;
    c->q.nargs = c->args.n;
    c->q.defines = c->defines.at;
    c->q.ndefines = c->defines.n;
    return true;
}

static double element(const npy_array *x, int64_t i)
{
    uint64_t bits = 0;
    memcpy(&bits, (const char *)x->data + (size_t)i * (size_t)dt_bytes(x->dt), (size_t)dt_bytes(x->dt));
    return dt_float(x->dt, bits);
}

static void compare(test *t, const char *device, str name, const npy_array *want, const npy_array *got, double tol)
{
    size_t w = (size_t)dt_bytes(want->dt);
    int64_t bad = 0, first = -1;
    for (int64_t i = 0; i < want->count; i++) {
        if (memcmp((const char *)want->data + (size_t)i * w, (const char *)got->data + (size_t)i * w, w) == 0)
            continue;
        if (dt_is_any_float(want->dt)) {
            double x = element(want, i), y = element(got, i);
            if ((isnan(x) && isnan(y)) || (tol > 0 && fabs(x - y) <= tol * fmax(1, fabs(x))))
                continue;
        }
        first = first < 0 ? i : first;
        bad++;
    }
    if (bad) {
        strbuf b;
        sb_init(&b, t->a);
        npy_array x = {want->dt, 1, {1}, 1, (char *)want->data + (size_t)first * w}, y = x;
        y.data = (char *)got->data + (size_t)first * w;
        rt_array_show(&x, 1, &b);
        sb_puts(&b, " expected, found ");
        rt_array_show(&y, 1, &b);
        test_fail(t, "'%.*s' on %s: %lld of %lld elements differ, the first at %lld: %.*s", STR_ARG(name), device,
                  (long long)bad, (long long)want->count, (long long)first, STR_ARG(sb_str(&b)));
    }
}

static void compare_all(test *t, const run_case *c, const char *device, rt_session *ref, rt_session *now)
{
    for (uint32_t i = 0; i < c->args.n; i++) {
        str name = {c->args.at[i].p, 0};
        while (name.n < c->args.at[i].n && name.p[name.n] != '=')
            name.n++;
        const npy_array *x = rt_session_array(ref, name), *y = rt_session_array(now, name);
        if (x && y)
            compare(t, device, name, x, y, c->tol);
    }
}

static str summary(test *t, rt_session *s, prints *p)
{
    strbuf b;
    sb_init(&b, t->a);
    if (p->lines.n)
        qsort(p->lines.at, p->lines.n, sizeof *p->lines.at, by_text);
    for (uint32_t i = 0; i < p->lines.n; i++)
        sb_putf(&b, "%.*s\n", STR_ARG(p->lines.at[i]));
    rt_session_summary(s, &b);
    return sb_str(&b);
}

/* one case on every device; *got: the first one's summary, or its error as a `fails` line */
static void run_case_on(test *t, run_case *c, tile_device **devs, char **names, int n, str *got)
{
    rt_session *ref = NULL;
    for (int i = 0; i < n; i++) {
        prints p = {.a = t->a};
        tile_error err;
        tile_device_on_print(devs[i], on_print, &p);
        rt_session *s = rt_session_open(devs[i], &c->q, &err);
        bool ok = s && rt_session_launch(s, &err);
        if (c->fails_given) {
            if (ok)
                test_fail(t, "run %.*s on %s: expected to fail, did not", STR_ARG(c->q.kernel), names[i]);
            else if (!memmem(err.text, strlen(err.text), c->fails.p, c->fails.n))
                test_fail(t, "run %.*s on %s: expected '%.*s', found '%s'", STR_ARG(c->q.kernel), names[i],
                          STR_ARG(c->fails), err.text);
        } else if (!ok) {
            test_fail(t, "run %.*s on %s: %s", STR_ARG(c->q.kernel), names[i], err.text);
        } else if (i == 0) {
            *got = summary(t, s, &p);
        } else if (ref) {
            compare_all(t, c, names[i], ref, s);
        }
        tile_device_on_print(devs[i], NULL, NULL);
        if (i == 0 && ok)
            ref = s;
        else
            rt_session_close(s);
    }
    rt_session_close(ref);
}

static int open_devices(test *t, tile_device **devs, char **names)
{
    str args = t->args.n ? t->args : S("interp cpu");
    tile_error err;
    int n = 0;
    while (args.n && n < MAX_DEVICES) {
        names[n] = str_cstr(t->a, text_word(&args));
        devs[n] = tile_device_open(names[n], &err);
        if (!devs[n]) {
            test_fail(t, "%s", err.text);
            break;
        }
        n++;
    }
    return n;
}

void kind_run(test *t)
{
    tile_device *devs[MAX_DEVICES];
    char *names[MAX_DEVICES];
    int n = open_devices(t, devs, names), cases = 0;
    strbuf out;
    str line, value, indent = str_fmt(t->a, "%.*s   ", STR_ARG(t->mark));
    size_t at = 0;
    bool more = !t->failed && text_line(t->text, &at, &line);
    sb_init(&out, t->a);
    while (more) {
        run_case c;
        strbuf want;
        str got = {0};
        sb_putf(&out, "%.*s\n", STR_ARG(line));
        if (!text_directive(t, line, "run", &value)) {
            more = text_line(t->text, &at, &line);
            continue;
        }
        if (!parse_case(t, value, &c))
            break;
        sb_init(&want, t->a);
        while ((more = text_line(t->text, &at, &line)) && str_starts(line, indent))
            sb_putf(&want, "%.*s\n", (int)(line.n - indent.n), line.p + indent.n);
        if (more && text_directive(t, line, "fails", &value)) {
            c.fails = value;
            c.fails_given = true;
        }
        run_case_on(t, &c, devs, names, n, &got);
        cases++;
        if (!t->bless)
            test_equal(t, str_cstr(t->a, c.q.kernel), sb_str(&want), got);
        str gl;
        for (size_t g = 0; text_line(got, &g, &gl);)
            sb_putf(&out, "%.*s%.*s\n", STR_ARG(indent), STR_ARG(gl));
    }
    if (!t->failed && !cases)
        test_fail(t, "no 'run:' in this test");
    if (t->bless && !t->failed)
        test_rewrite(t, str_of(t->path), sb_str(&out));
    for (int i = 0; i < n; i++)
        tile_device_close(devs[i]);
}
