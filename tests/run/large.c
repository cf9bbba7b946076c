/* large.c: more than 2^31 elements, on a mapping that takes memory only where it is touched.
 *
 * The same kernel is launched with few elements, where offsets fit 32 bits, and with many, where they don't: programs
 * lie far apart, so only some pages are touched. Outputs are looked at where the reference says something was written.
 */
#include "tests/run/shapes.h"

#include <sys/mman.h>

/* narrow: which binary has to run, 1 or 0; -1 = either */
static void far(dtype dt, int64_t n, int64_t step, int narrow)
{
    enum { W = 100 };
    rcase c;
    case_begin(&c, "%lld elements of %s, programs %lld apart", (long long)n, dtypes[dt].name, (long long)step);
    if (case_skip(&c))
        return;
    int64_t programs = (n + step - 1) / step;
    c.nargs = 0;
    rarg *x = &c.arg[c.nargs++];
    *x = (rarg){.name = "xp", .kind = ARG_INOUT, .dt = dt, .n = n};
    x->data = run_map((size_t)n * (size_t)dt_bytes(dt), &x->map, &x->map_bytes);
    rarg *out = case_out(&c, "out", dt, programs * W, 0);
    case_int(&c, "n", n);
    case_int(&c, "step", step);
    case_line(&c, "kernel k(xp: *%s, out: *%s, n: int, step: int) grid(cdiv(n, step)):", dtypes[dt].name,
              dtypes[dt].name);
    case_line(&c, "    i = program_id(0) * step + arange(0, %d)\n    inside = i < n", W);
    case_line(&c, "    x = load(xp + i, inside)\n    store(xp + i, x + x, inside)");
    case_line(&c, "    store(out + program_id(0) * %d + arange(0, %d), load(xp + i, inside))", W, W);
    for (int d = 0; d < run.ndevices; d++) {
        for (int64_t p = 0; p < programs; p++)
            for (int64_t j = 0; j < W && p * step + j < n; j++)
                run_put(dt, x->data, p * step + j, run_round(dt, run_int((p * 7 + j) % 50)));
        memset(out->data, 0x33, (size_t)out->n * (size_t)dt_bytes(dt));
        for (int64_t p = 0; p < programs; p++)
            for (int64_t j = 0; j < W; j++)
                out->want[p * W + j] = run_int(p * step + j < n ? 2 * ((p * 7 + j) % 50) : 0);
        str err = {0};
        char why[200];
        run.cases++;
        run.runs++;
        run_begin(&c, run.devices[d]);
        if (!device_run(&c.a, run.devices[d], sb_str(&c.src), &c, &err)) {
            run_fail("%.*s on %s: %.*s", STR_ARG(c.name), run.devices[d], STR_ARG(err));
            continue;
        }
        if (device_narrow() >= 0 && narrow >= 0 && device_narrow() != narrow)
            run_fail("%.*s on %s: ran the %s binary", STR_ARG(c.name), run.devices[d], narrow ? "wide" : "narrow");
        for (int64_t i = 0; i < out->n; i++) {
            int64_t at = i / W * step + i % W;
            bool same = run_same(out, i, why, sizeof why);
            bool stored = at >= n || run_bits(dt, x->data, at) == run_round(dt, out->want[i]);
            if (same && stored)
                continue;
            run_fail("%.*s on %s: program %lld, lane %lld: %s", STR_ARG(c.name), run.devices[d], (long long)(i / W),
                     (long long)(i % W), same ? "the element was not stored" : why);
            break;
        }
    }
    munmap(x->map, x->map_bytes);
    munmap(out->map, out->map_bytes);
    arena_fini(&c.a);
}

void run_large(void)
{
    static const int64_t G = (int64_t)1 << 30;
    far(DT_U8, 1000, 100, 1);
    far(DT_U8, 2 * G - 1, G / 8, -1); /* near the edge: either is right */
    far(DT_U8, 2 * G + 50, G / 2, 0); /* one program beyond 32 bits */
    far(DT_U8, 5 * G + 333, G / 2 + 77, 0);
    far(DT_I32, 1000, 333, 1);
    far(DT_I32, 2 * G + 333, G / 3, 0); /* byte offsets beyond 2^33 */
    far(DT_F64, 4 * G + 1, G, 0);
}
