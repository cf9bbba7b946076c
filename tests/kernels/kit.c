/* kit.c: building one checked launch of a library kernel (see kit.h). */
#include "tests/kernels/kit.h"

#include <sys/mman.h>
#include <unistd.h>

uint64_t kt_rng(void)
{
    kts.rng += 0x9e3779b97f4a7c15ull;
    uint64_t z = kts.rng;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

double kt_uniform(double lo, double hi)
{
    return lo + (hi - lo) * ((double)(kt_rng() >> 11) * 0x1p-53);
}

double kt_round(dtype dt, double x)
{
    uint64_t bits = dt_from_double(dt, x, false);
    return dt_is_any_float(dt) ? dt_float(dt, bits) : dt_is_signed(dt) ? (double)dt_int(dt, bits) : (double)bits;
}

double kt_eps(dtype dt)
{
    switch (dt) {
    case DT_F16:
        return 0x1p-11;
    case DT_BF16:
        return 0x1p-8;
    case DT_F64:
        return 0x1p-53;
    case DT_F8E4M3:
        return 0x1p-4;
    case DT_F8E5M2:
        return 0x1p-3;
    default:
        return 0x1p-24;
    }
}

bool kt_begin(kt *t, const char *file, const char *kernel, const char *fmt, ...)
{
    memset(t, 0, sizeof *t);
    t->file = file;
    t->kernel = kernel;
    int n = snprintf(t->name, sizeof t->name, "%s ", kernel);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->name + n, sizeof t->name - (size_t)n, fmt, ap);
    va_end(ap);
    kts.rng = hash_bytes(t->name, strlen(t->name), 1);
    if (kts.filter && !strstr(t->name, kts.filter))
        return false;
    arena_init(&t->a, 0);
    return true;
}

void kt_def(kt *t, const char *fmt, ...)
{
    if (t->ndefs == KT_DEFS) {
        fprintf(stderr, "kernel-tests: too many definitions in %s\n", t->name);
        exit(1);
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->defs[t->ndefs++], sizeof t->defs[0], fmt, ap);
    va_end(ap);
}

double *kt_temp(kt *t, int64_t n)
{
    double *p = ARENA_ARRAY(&t->a, double, (size_t)(n ? n : 1));
    memset(p, 0, (size_t)n * sizeof *p);
    return p;
}

static kt_arg *add(kt *t, kt_kind kind, dtype dt)
{
    if (t->nargs == KT_ARGS) {
        fprintf(stderr, "kernel-tests: too many arguments in %s\n", t->name);
        exit(1);
    }
    kt_arg *a = &t->arg[t->nargs++];
    *a = (kt_arg){.kind = kind, .dt = dt};
    return a;
}

/* storage ends at a page without access */
static void map_storage(kt_arg *a)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (size_t)a->room * (size_t)dt_bytes(a->dt);
    size_t body = (bytes + page - 1) / page * page;
    a->map_bytes = body + 2 * page;
    a->map = mmap(NULL, a->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (a->map == MAP_FAILED) {
        fprintf(stderr, "kernel-tests: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    mprotect(a->map, page, PROT_NONE);
    mprotect((char *)a->map + page + body, page, PROT_NONE);
    a->data = (char *)a->map + page + body - bytes;
}

static double *add_tensor(kt *t, kt_kind kind, dtype dt, int rank, const int64_t *sizes)
{
    kt_arg *a = add(t, kind, dt);
    a->rank = rank;
    a->n = 1;
    for (int i = rank - 1; i >= 0; i--) {
        a->sizes[i] = sizes[i];
        a->strides[i] = a->n;
        a->n *= sizes[i];
    }
    a->room = a->n;
    a->v = kt_temp(t, a->n);
    return a->v;
}

static double fill_edge(int64_t i, dtype dt)
{
    static const double edges[] = {0,     -0.0, NAN,    INFINITY, -INFINITY, 1e-40, -6e-8, 65504,
                                   -3e38, 1,    5e-324, -1,       88.7,      -104,  1e-7,  11.5};
    if (kt_rng() % 3)
        return kt_uniform(-4, 4);
    return kt_round(dt, edges[((uint64_t)i + kt_rng() % 5) % COUNTOF(edges)]);
}

static double fill_one(fill f, dtype dt, int64_t i)
{
    int bits = dt_bits(dt);
    switch (f) {
    case FILL_NORMAL:
        return kt_uniform(-1, 1) + kt_uniform(-1, 1);
    case FILL_POS:
        return kt_uniform(0.25, 2.25);
    case FILL_EDGE:
        return fill_edge(i, dt);
    case FILL_UNIT:
        return kt_uniform(0, 1);
    case FILL_SMALL:
        return dt_is_signed(dt) ? (double)(kt_rng() % 17) - 8 : (double)(kt_rng() % 9);
    case FILL_BITS: {
        uint64_t x = kt_rng() >> (64 - (bits < 52 ? bits : 52));
        return dt_is_signed(dt) ? (double)x - (double)((uint64_t)1 << (bits < 52 ? bits - 1 : 51)) : (double)x;
    }
    case FILL_ZERO:
        return 0;
    }
    return 0;
}

static void fill_all(kt_arg *a, fill f)
{
    for (int64_t i = 0; i < a->n; i++)
        a->v[i] = kt_round(a->dt, fill_one(f, a->dt, i));
}

double *kt_in(kt *t, dtype dt, fill f, int rank, const int64_t *sizes)
{
    double *v = add_tensor(t, KT_IN, dt, rank, sizes);
    fill_all(&t->arg[t->nargs - 1], f);
    return v;
}

double *kt_out(kt *t, dtype dt, int rank, const int64_t *sizes)
{
    return add_tensor(t, KT_OUT, dt, rank, sizes);
}

double *kt_inout(kt *t, dtype dt, fill f, int rank, const int64_t *sizes)
{
    double *v = add_tensor(t, KT_INOUT, dt, rank, sizes);
    fill_all(&t->arg[t->nargs - 1], f);
    kt_set(t);
    return v;
}

void kt_int(kt *t, int64_t i)
{
    add(t, KT_INT, DT_I64)->i = i;
}
void kt_real(kt *t, double f)
{
    add(t, KT_REAL, DT_F32)->f = f;
}
void kt_none(kt *t)
{
    add(t, KT_NONE, DT_F32);
}
void kt_pointer(kt *t)
{
    t->arg[t->nargs - 1].pointer = true;
}

void kt_tol(kt *t, double ulps, double slack)
{
    t->arg[t->nargs - 1].ulps = ulps;
    t->arg[t->nargs - 1].tol = slack;
}

double *kt_slack(kt *t)
{
    kt_arg *a = &t->arg[t->nargs - 1];
    if (!a->slack)
        a->slack = kt_temp(t, a->n);
    return a->slack;
}

void kt_strides(kt *t, const int64_t *strides)
{
    kt_arg *a = &t->arg[t->nargs - 1];
    a->room = 1;
    for (int i = 0; i < a->rank; i++) {
        a->strides[i] = strides[i];
        a->room += (a->sizes[i] - 1) * strides[i];
    }
    if (!a->n)
        a->room = 0;
    if (a->before)
        kt_set(t);
}

/* where element i of the row-major order lies in storage */
static int64_t place(const kt_arg *a, int64_t i)
{
    int64_t at = 0;
    for (int d = a->rank - 1; d >= 0; d--) {
        at += i % a->sizes[d] * a->strides[d];
        i /= a->sizes[d];
    }
    return at;
}

static uint64_t get_bits(const kt_arg *a, const void *p, int64_t at)
{
    uint64_t x = 0;
    memcpy(&x, (const char *)p + at * dt_bytes(a->dt), (size_t)dt_bytes(a->dt));
    return x;
}

static void store_values(kt *t, kt_arg *a)
{
    a->before = ARENA_ARRAY(&t->a, char, (size_t)(a->room * dt_bytes(a->dt) + 1));
    memset(a->before, 0xa5, (size_t)(a->room * dt_bytes(a->dt)));
    for (int64_t i = 0; i < a->n; i++) {
        a->v[i] = kt_round(a->dt, a->v[i]);
        uint64_t bits = dt_from_double(a->dt, a->v[i], false);
        memcpy((char *)a->before + place(a, i) * dt_bytes(a->dt), &bits, (size_t)dt_bytes(a->dt));
    }
}

void kt_set(kt *t)
{
    store_values(t, &t->arg[t->nargs - 1]);
}

void kt_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("FAIL ", stdout);
    vprintf(fmt, ap);
    putchar('\n');
    fflush(stdout);
    va_end(ap);
}

/* ---- a launch ---- */

static void prepare(kt *t)
{
    for (int i = 0; i < t->nargs; i++) {
        kt_arg *a = &t->arg[i];
        if (a->kind > KT_INOUT)
            continue;
        if (!a->map)
            map_storage(a);
        size_t bytes = (size_t)(a->room * dt_bytes(a->dt));
        if (a->kind == KT_OUT)
            memset(a->data, 0xa5, bytes);
        else
            memcpy(a->data, a->before, bytes);
    }
}

static double ulp_at(dtype dt, double x)
{
    static const struct {
        dtype dt;
        int min_exp, bits;
    } formats[] = {{DT_F16, -14, 10},   {DT_BF16, -126, 7}, {DT_F32, -126, 23},
                   {DT_F64, -1022, 52}, {DT_F8E4M3, -6, 3}, {DT_F8E5M2, -14, 2}};
    int e;
    frexp(x, &e);
    e -= 1;
    for (size_t i = 0; i < COUNTOF(formats); i++)
        if (formats[i].dt == dt)
            return ldexp(1, (e < formats[i].min_exp ? formats[i].min_exp : e) - formats[i].bits);
    return 1;
}

static bool right(const kt_arg *a, int64_t i, double got)
{
    double want = a->v[i], slack = a->slack ? a->slack[i] : a->tol;
    if (slack == INFINITY)
        return true;
    if (!dt_is_any_float(a->dt))
        return got == want || fabs(got - want) <= slack;
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    double rounded = kt_round(a->dt, want);
    if (got == rounded || isinf(got) || isinf(rounded))
        return got == rounded;
    return fabs(got - want) <= a->ulps * ulp_at(a->dt, want) + slack;
}

/* bytes that belong to no element keep what they had */
static bool gaps_kept(kt *t, const kt_arg *a)
{
    if (a->room == a->n)
        return true;
    char *mine = ARENA_ARRAY(&t->a, char, (size_t)a->room);
    memset(mine, 0, (size_t)a->room);
    for (int64_t i = 0; i < a->n; i++)
        mine[place(a, i)] = 1;
    for (int64_t i = 0; i < a->room; i++)
        for (int b = 0; !mine[i] && b < dt_bytes(a->dt); b++)
            if (((unsigned char *)a->data)[i * dt_bytes(a->dt) + b] != 0xa5)
                return false;
    return true;
}

static bool check_arg(kt *t, const char *device, int index)
{
    kt_arg *a = &t->arg[index];
    if (a->kind == KT_IN) {
        if (!memcmp(a->data, a->before, (size_t)(a->room * dt_bytes(a->dt))))
            return true;
        kt_fail("%s on %s: argument %d was changed", t->name, device, index);
        return false;
    }
    long wrong = 0;
    for (int64_t i = 0; i < a->n; i++) {
        uint64_t bits = get_bits(a, a->data, place(a, i));
        double got = dt_is_any_float(a->dt) ? dt_float(a->dt, bits)
                     : dt_is_signed(a->dt)  ? (double)dt_int(a->dt, bits)
                                            : (double)bits;
        if (right(a, i, got))
            continue;
        if (wrong++ < 3)
            kt_fail("%s on %s: argument %d (%s), element %lld: expected %.9g, found %.9g (slack %.3g)", t->name, device,
                    index, dtypes[a->dt].name, (long long)i, a->v[i], got, a->slack ? a->slack[i] : a->tol);
    }
    if (wrong > 3)
        kt_fail("%s on %s: %ld of %lld elements of argument %d", t->name, device, wrong, (long long)a->n, index);
    if (!gaps_kept(t, a)) {
        kt_fail("%s on %s: argument %d is written between its elements", t->name, device, index);
        return false;
    }
    return !wrong;
}

/* elements that the reference leaves open may differ */
static bool same_as_first(kt *t, const char *device, int index)
{
    kt_arg *a = &t->arg[index];
    size_t bytes = (size_t)(a->room * dt_bytes(a->dt));
    if (!a->first) {
        a->first = ARENA_ARRAY(&t->a, char, bytes + 1);
        memcpy(a->first, a->data, bytes);
        return true;
    }
    for (int64_t i = 0; i < a->n; i++) {
        uint64_t was = get_bits(a, a->first, place(a, i)), is = get_bits(a, a->data, place(a, i));
        if (was == is || (a->slack ? a->slack[i] : a->tol) == INFINITY)
            continue;
        kt_fail("%s on %s: argument %d, element %lld: bits %llx, on the first CPU device %llx", t->name, device, index,
                (long long)i, (unsigned long long)is, (unsigned long long)was);
        return false;
    }
    return true;
}

typedef enum outcome { WRONG, RIGHT, LEFT_OUT } outcome;

static outcome run_on(kt *t, const char *device)
{
    prepare(t);
    char err[600] = "";
    bool left_out = false, aot = !strcmp(device, "aot");
    if (aot ? !kt_aot_launch(t, &left_out, err, sizeof err) : !kt_launch(t, device, err, sizeof err)) {
        if (left_out)
            return LEFT_OUT;
        kt_fail("%s on %s: %s", t->name, device, err);
        return WRONG;
    }
    bool ok = true;
    for (int i = 0; i < t->nargs; i++)
        if (t->arg[i].kind <= KT_INOUT)
            ok &= check_arg(t, device, i) && (!strcmp(device, "interp") || same_as_first(t, device, i));
    return ok ? RIGHT : WRONG;
}

static void store_inputs(kt *t)
{
    for (int i = 0; i < t->nargs; i++)
        if (t->arg[i].kind == KT_IN)
            store_values(t, &t->arg[i]);
}

bool kt_run(kt *t, const char *device)
{
    char err[600] = "";
    store_inputs(t);
    prepare(t);
    kt_running(t->name, device);
    kts.launches++;
    if (kt_launch(t, device, err, sizeof err))
        return true;
    kt_fail("%s on %s: %s", t->name, device, err);
    return false;
}

void kt_drop(kt *t)
{
    for (int i = 0; i < t->nargs; i++)
        if (t->arg[i].map)
            munmap(t->arg[i].map, t->arg[i].map_bytes);
    arena_fini(&t->a);
}

static bool is_for(const kt *t, const char *device)
{
    if (!strcmp(device, "interp"))
        return !t->cpu_only && !kts.large;
    return !kts.large || strcmp(device, "aot") != 0;
}

void kt_end(kt *t)
{
    store_inputs(t);
    for (int d = 0; d < kts.ndevices; d++) {
        const char *device = kts.devices[d];
        if (!is_for(t, device))
            continue;
        if (kts.verbose)
            printf("%s on %s\n", t->name, device);
        kt_running(t->name, device);
        outcome o = run_on(t, device);
        kt_note(t->file, t->kernel);
        kts.launches += o != LEFT_OUT;
        kts.passed += o == RIGHT;
        kts.failed += o == WRONG;
    }
    kt_drop(t);
}
