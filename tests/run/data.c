/* data.c: numbers, random inputs and comparison for the operator matrix (see run.h).
 *
 * Mappings end exactly where the array ends: the page after it has no access, and neither has the page before the
 * mapping, so at worst a stray access below the array falls into the slack of its first page, which is filled with a
 * pattern and checked by case_end.
 */
#include "tests/run/run.h"

#include <sys/mman.h>
#include <unistd.h>

uint64_t run_rng(void)
{
    run.state += 0x9e3779b97f4a7c15ull;
    uint64_t z = run.state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static double uniform(double lo, double hi) { return lo + (hi - lo) * ((double)(run_rng() >> 11) * 0x1p-53); }

void *run_map(size_t bytes, void **map, size_t *map_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (bytes + page - 1) / page * page;
    *map_bytes = body + 2 * page;
    *map = mmap(NULL, *map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (*map == MAP_FAILED) {
        fprintf(stderr, "run-tests: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    mprotect(*map, page, PROT_NONE);
    mprotect((char *)*map + page + body, page, PROT_NONE);
    return (char *)*map + page + body - bytes;
}

uint64_t run_bits(dtype dt, const void *p, int64_t i)
{
    uint64_t x = 0;
    memcpy(&x, (const char *)p + i * dt_bytes(dt), (size_t)dt_bytes(dt));
    return x;
}

void run_put(dtype dt, void *p, int64_t i, uint64_t bits)
{
    memcpy((char *)p + i * dt_bytes(dt), &bits, (size_t)dt_bytes(dt));
}

num run_num(dtype dt, uint64_t bits)
{
    if (dt_is_any_float(dt))
        return (num){.f = dt_float(dt, bits), .of = dt, .bits = bits};
    wide i = dt_is_signed(dt) ? (wide)dt_int(dt, bits) : (wide)bits;
    return (num){.i = i, .f = (double)i};
}

num run_int(wide x) { return (num){.i = x, .f = (double)x}; }
num run_real(double x) { return (num){.f = x}; }
num run_any(void) { return (num){.any = true}; }

uint64_t run_round(dtype dt, num x)
{
    if (dt_is_any_float(dt))
        return dt_from_double(dt, x.f, false);
    return dt_wrap(dt, (uint64_t)(uwide)x.i);
}

num run_cast(dtype to, dtype from, num x)
{
    if (dt_is_any_float(from) && to == DT_BOOL)
        return run_int(x.f != 0);
    if (dt_is_any_float(from) && !dt_is_any_float(to)) { /* saturates */
        wide lo = dt_is_signed(to) ? -((wide)1 << (dt_bits(to) - 1)) : 0;
        wide hi = ((wide)1 << (dt_bits(to) - dt_is_signed(to))) - 1;
        if (isnan(x.f))
            return run_int(0);
        if (x.f >= 0x1p64)
            return run_int(hi);
        if (x.f <= -0x1p63)
            return run_int(lo);
        wide i = (wide)x.f;
        return run_int(i < lo ? lo : i > hi ? hi : i);
    }
    if (to == DT_BOOL)
        return run_int(x.i != 0);
    return x;
}

/* ---- inputs ---- */

static const double real_edges[] = {0.0, -0.0,  1,     -1,    INFINITY, -INFINITY, NAN,    0.5, -2.5,
                                    3,   1e-40, -6e-8, 65504, -448,     3.4e38,    5e-324, 1.5, 1e10};
static const int64_t int_edges[] = {0, 1, -1, 2, 3, 7, INT64_MIN, INT64_MAX, 10, -7, 100, 127};

static uint64_t edge_bits(dtype dt, int64_t i, int salt)
{
    int64_t k = salt == 0
                    ? i
                    : i / (dt_is_any_float(dt) ? (int64_t)COUNTOF(real_edges) : (int64_t)COUNTOF(int_edges)) + salt * 3;
    if (dt_is_any_float(dt))
        return dt_from_double(dt, real_edges[k % (int64_t)COUNTOF(real_edges)], false);
    int64_t x = int_edges[k % (int64_t)COUNTOF(int_edges)];
    uint64_t top = (uint64_t)1 << (dt_bits(dt) - 1);
    if (x == INT64_MIN || x == INT64_MAX)
        return x == INT64_MIN ? top : top - 1;
    return dt_wrap(dt, (uint64_t)x);
}

static uint64_t random_bits(dtype dt)
{
    uint64_t x = run_rng();
    if (!dt_is_any_float(dt) && (x & 3) == 0)
        x >>= (x >> 8) % 64;
    return dt_bits(dt) == 64 ? x : x & (((uint64_t)1 << dt_bits(dt)) - 1);
}

static uint64_t from_range(dtype dt, double lo, double hi, int ilo, int ihi)
{
    if (dt_is_any_float(dt))
        return dt_from_double(dt, uniform(lo, hi), false);
    int from = dt_is_signed(dt) ? ilo : ilo > 0 ? ilo : 0;
    return dt_wrap(dt, (uint64_t)(from + (int64_t)(run_rng() % (uint64_t)(ihi - from + 1))));
}

static uint64_t one_input(dtype dt, pattern pat, int64_t i, int salt)
{
    if (dt == DT_BOOL)
        return run_rng() & 1;
    switch (pat) {
    case PAT_EDGE:
        if (i < 330)
            return edge_bits(dt, i, salt);
        return i % 3 ? random_bits(dt) : from_range(dt, -4, 4, -100, 100);
    case PAT_REAL: return from_range(dt, -4, 4, -100, 100);
    case PAT_POS: return from_range(dt, 0.25, 4, 1, 100);
    case PAT_SMALL: {
        int64_t x = (int64_t)(run_rng() % 9) - 4;
        if (dt_is_any_float(dt))
            return dt_from_double(dt, (double)x, false);
        return dt_wrap(dt, (uint64_t)(dt_is_signed(dt) ? x : x + 4));
    }
    case PAT_SHIFT: return dt_wrap(dt, run_rng() % (uint64_t)(dt_bits(dt) + 5) - (dt_is_signed(dt) ? 2 : 0));
    case PAT_ANGLE:
        if (i < 40)
            return edge_bits(dt, i, salt);
        return dt_from_double(dt, uniform(-1, 1) * ldexp(1, (int)(run_rng() % 60) - 30), false);
    }
    return 0;
}

void run_fill(dtype dt, void *p, int64_t n, pattern pat, int salt)
{
    /* short arrays take their edges from anywhere in the list */
    int64_t from = pat == PAT_EDGE && n < 300 ? (int64_t)(run_rng() % 300) : 0;
    for (int64_t i = 0; i < n; i++)
        run_put(dt, p, i, one_input(dt, pat, i + from, salt));
}

/* ---- comparison ---- */

static bool float_same(const rarg *a, uint64_t got, num want)
{
    double g = dt_float(a->dt, got);
    uint64_t rounded = want.of == a->dt ? want.bits : dt_from_double(a->dt, want.f, false);
    double w = dt_float(a->dt, rounded);
    if (isnan(g) || isnan(w))
        return isnan(g) && isnan(w);
    if (got == rounded)
        return true;
    if (a->ulps == 0 && a->slack == 0)
        return false;
    if (g == w)
        return true; /* zeros of either sign, where not to the bit */
    if (fabs(g - want.f) <= a->slack)
        return true;
    return num_ulps(dtypes[a->dt].fmt, g, want.f) <= a->ulps;
}

bool run_same(const rarg *a, int64_t i, char *why, size_t nwhy)
{
    num want = a->want[i];
    uint64_t got = run_bits(a->dt, a->data, i);
    if (want.any)
        return true;
    bool is_float = dt_is_any_float(a->dt);
    if (is_float ? float_same(a, got, want) : got == run_round(a->dt, want))
        return true;
    if (is_float)
        snprintf(why, nwhy, "got %.9g (0x%llx), want %.9g (%g ulps, slack %g)", dt_float(a->dt, got),
                 (unsigned long long)got, want.f, a->ulps, a->slack);
    else
        snprintf(why, nwhy, "got %lld (0x%llx), want %lld", (long long)dt_int(a->dt, got), (unsigned long long)got,
                 (long long)dt_int(a->dt, run_round(a->dt, want)));
    return false;
}
