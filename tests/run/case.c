/* case.c: building one case of the operator matrix, running it on every device, and reporting (see run.h). */
#include "tests/run/run.h"

#include <sys/mman.h>
#include <unistd.h>

#define POISON 0xa5
#define SHOWN 3 /* wrong elements shown of one output */

void run_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    run.failures++;
    fputs("FAIL ", stdout);
    vprintf(fmt, ap);
    putchar('\n');
    fflush(stdout);
    va_end(ap);
}

void case_begin(rcase *c, const char *fmt, ...)
{
    memset(c, 0, sizeof *c);
    arena_init(&c->a, 0);
    va_list ap;
    va_start(ap, fmt);
    c->name = str_vfmt(&c->a, fmt, ap);
    va_end(ap);
    run.state = hash_bytes(c->name.p, c->name.n, run.seed);
    sb_init(&c->src, &c->a);
}

static void case_drop(rcase *c)
{
    for (int i = 0; i < c->nargs; i++)
        if (c->arg[i].map)
            munmap(c->arg[i].map, c->arg[i].map_bytes);
    arena_fini(&c->a);
}

bool case_skip(rcase *c)
{
    bool named = !run.filter || strstr(str_cstr(&c->a, c->name), run.filter);
    if (named && (!run.every || hash_bytes(c->name.p, c->name.n, 0) % run.every == 0))
        return false;
    case_drop(c);
    return true;
}

static rarg *add_arg(rcase *c, const char *name, arg_kind kind, dtype dt, int64_t n)
{
    if (c->nargs == RUN_MAX_ARGS) {
        fprintf(stderr, "run-tests: too many arguments in %.*s\n", STR_ARG(c->name));
        exit(1);
    }
    rarg *a = &c->arg[c->nargs++];
    a->name = name;
    a->kind = kind;
    a->dt = dt;
    a->n = n;
    if (kind == ARG_IN || kind == ARG_OUT || kind == ARG_INOUT)
        a->data = run_map((size_t)n * (size_t)dt_bytes(dt), &a->map, &a->map_bytes);
    return a;
}

rarg *case_in(rcase *c, const char *name, dtype dt, int64_t n, pattern pat)
{
    rarg *a = add_arg(c, name, ARG_IN, dt, n);
    run_fill(dt, a->data, n, pat, c->nargs - 1);
    return a;
}

rarg *case_out(rcase *c, const char *name, dtype dt, int64_t n, double ulps)
{
    rarg *a = add_arg(c, name, ARG_OUT, dt, n);
    a->ulps = ulps;
    a->want = ARENA_ARRAY(&c->a, num, n ? n : 1);
    return a;
}

rarg *case_inout(rcase *c, const char *name, dtype dt, int64_t n, pattern pat, double ulps)
{
    rarg *a = add_arg(c, name, ARG_INOUT, dt, n);
    a->ulps = ulps;
    a->want = ARENA_ARRAY(&c->a, num, n ? n : 1);
    run_fill(dt, a->data, n, pat, c->nargs - 1);
    a->before = arena_copy(&c->a, a->data, (size_t)n * (size_t)dt_bytes(dt), 16);
    return a;
}

void case_int(rcase *c, const char *name, int64_t x)
{
    add_arg(c, name, ARG_INT, DT_I64, 0)->i = x;
}
void case_real(rcase *c, const char *name, double x)
{
    add_arg(c, name, ARG_REAL, DT_F32, 0)->f = x;
}
void case_none(rcase *c, const char *name)
{
    add_arg(c, name, ARG_NONE, DT_I64, 0);
}

rarg *case_tensor(rarg *a, int rank, const int64_t *sizes)
{
    a->rank = rank;
    int64_t s = 1;
    for (int i = rank - 1; i >= 0; i--) {
        a->sizes[i] = sizes[i];
        a->strides[i] = s;
        s *= sizes[i];
    }
    return a;
}

num case_get(const rarg *a, int64_t i)
{
    return run_num(a->dt, run_bits(a->dt, a->before ? a->before : a->data, i));
}

void case_line(rcase *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sb_put(&c->src, str_vfmt(&c->a, fmt, ap));
    sb_putc(&c->src, '\n');
    va_end(ap);
}

/* ---- running ---- */

/* the bytes between the first guard page and the array */
static size_t slack_of(const rarg *a, unsigned char **from)
{
    *from = (unsigned char *)a->map + sysconf(_SC_PAGESIZE);
    return (size_t)((unsigned char *)a->data - *from);
}

static void prepare(rcase *c)
{
    for (int i = 0; i < c->nargs; i++) {
        rarg *a = &c->arg[i];
        if (!a->data || a->map_bytes > (size_t)1 << 30)
            continue;
        size_t bytes = (size_t)a->n * (size_t)dt_bytes(a->dt);
        unsigned char *from;
        size_t n = slack_of(a, &from);
        memset(from, POISON, n);
        if (a->kind == ARG_OUT)
            memset(a->data, POISON, bytes);
        if (a->kind == ARG_INOUT)
            memcpy(a->data, a->before, bytes);
    }
}

static void show_source(const rcase *c)
{
    fwrite(c->src.at, 1, c->src.n, stdout);
    fflush(stdout);
}

static bool check_output(rcase *c, const char *device, rarg *a)
{
    char why[200];
    long wrong = 0, shown = 0;
    for (int64_t i = 0; i < a->n; i++)
        wrong += !run_same(a, i, why, sizeof why);
    if (wrong)
        run_fail("%.*s on %s: %ld of %lld elements of '%s' (%s) are wrong", STR_ARG(c->name), device, wrong,
                 (long long)a->n, a->name, dtypes[a->dt].name);
    for (int64_t i = 0; i < a->n && shown < (wrong < SHOWN ? wrong : SHOWN); i++)
        if (!run_same(a, i, why, sizeof why)) {
            printf("  %s[%lld]: %s\n", a->name, (long long)i, why);
            shown++;
        }
    return !wrong;
}

/* bit for bit, but for the payload of NaNs */
static bool check_against_first(rcase *c, const char *device, rarg *a)
{
    for (int64_t i = 0; i < a->n; i++) {
        uint64_t x = run_bits(a->dt, a->first, i), y = run_bits(a->dt, a->data, i);
        if (x == y || a->want[i].any)
            continue;
        if (dt_is_any_float(a->dt) && isnan(dt_float(a->dt, x)) && isnan(dt_float(a->dt, y)))
            continue;
        run_fail("%.*s: '%s'[%lld] is 0x%llx on %s, 0x%llx on %s", STR_ARG(c->name), a->name, (long long)i,
                 (unsigned long long)x, run.devices[0], (unsigned long long)y, device);
        return false;
    }
    return true;
}

static bool check_slack(rcase *c, const char *device, const rarg *a)
{
    unsigned char *from;
    size_t n = slack_of(a, &from);
    for (size_t i = 0; i < n; i++)
        if (from[i] != POISON) {
            run_fail("%.*s on %s: wrote %zu bytes before '%s'", STR_ARG(c->name), device, n - i, a->name);
            return false;
        }
    return true;
}

static bool check_device(rcase *c, int d)
{
    bool ok = true;
    for (int i = 0; i < c->nargs; i++) {
        rarg *a = &c->arg[i];
        if (!a->data || a->map_bytes > (size_t)1 << 30)
            continue;
        ok &= check_slack(c, run.devices[d], a);
        if (a->kind == ARG_IN)
            continue;
        bool right = check_output(c, run.devices[d], a);
        if (d == 0)
            a->first = arena_copy(&c->a, a->data, (size_t)a->n * (size_t)dt_bytes(a->dt), 16);
        else if (right && !c->loose && a->first)
            right = check_against_first(c, run.devices[d], a);
        ok &= right;
    }
    return ok;
}

static bool run_on(rcase *c, int d)
{
    str err = {0};
    prepare(c);
    run_begin(c, run.devices[d]);
    run.runs++;
    bool ran = device_run(&c->a, run.devices[d], sb_str(&c->src), c, &err);
    if (c->prints && strcmp(device_printed(), c->prints) != 0) {
        run_fail("%.*s on %s: printed\n%s\nexpected\n%s", STR_ARG(c->name), run.devices[d], device_printed(),
                 c->prints);
        return false;
    }
    if (c->fault) {
        if (!ran && strstr(str_cstr(&c->a, err), c->fault))
            return true;
        run_fail("%.*s on %s: expected a fault with \"%s\", found: %.*s", STR_ARG(c->name), run.devices[d], c->fault,
                 STR_ARG(err));
        return false;
    }
    if (!ran) {
        run_fail("%.*s on %s: %.*s", STR_ARG(c->name), run.devices[d], STR_ARG(err));
        return false;
    }
    return check_device(c, d);
}

void case_end(rcase *c)
{
    bool ok = true;
    run.cases++;
    run_note_builtins(str_cstr(&c->a, sb_str(&c->src)));
    for (int d = 0; d < run.ndevices; d++)
        if (!c->only || !strcmp(c->only, run.devices[d]))
            ok &= run_on(c, d);
    if (!ok)
        show_source(c);
    case_drop(c);
}

void case_rejects(const char *needle, const char *text, const char *fmt, ...)
{
    arena a;
    arena_init(&a, 0);
    va_list ap;
    va_start(ap, fmt);
    str name = str_vfmt(&a, fmt, ap);
    va_end(ap);
    if (run.filter && !strstr(str_cstr(&a, name), run.filter)) {
        arena_fini(&a);
        return;
    }
    run.cases++;
    run.rejected++;
    str d = {0};
    if (!device_rejects(&a, str_of(text), &d)) {
        run_fail("%.*s: accepted, expected a diagnostic with \"%s\"\n%s", STR_ARG(name), needle, text);
    } else {
        const char *z = str_cstr(&a, d), *at = strstr(z, ": error: ");
        if (!at || !strstr(z, needle))
            run_fail("%.*s: expected a diagnostic with \"%s\", found:\n%s", STR_ARG(name), needle, z);
    }
    arena_fini(&a);
}
