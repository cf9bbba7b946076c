/* dot.c: matrix products of every operand dtype, rank 2 and 3, extents down to 1, with and without an accumulator.
 *
 * The order of the sum along K is a device's own: floats are compared within a bound of the length and the magnitudes,
 * integers to the bit. The same contraction spelled as a product and a sum is compared as well.
 */
#include "tests/run/shapes.h"

typedef struct mnk {
    int64_t b, m, n, k; /* b: 0 = rank 2 */
} mnk;

static const mnk sizes[] = {{0, 1, 1, 1},    {0, 4, 5, 6},   {0, 16, 16, 16}, {0, 17, 31, 65}, {0, 1, 33, 100},
                            {0, 64, 48, 32}, {0, 7, 1, 127}, {2, 3, 9, 17},   {3, 16, 8, 32}};

static bool dot_takes(dtype a, dtype b)
{
    bool a8 = a == DT_I8 || a == DT_U8, b8 = b == DT_I8 || b == DT_U8;
    if ((a8 && b8) || (dt_is_f8(a) && dt_is_f8(b)))
        return true;
    return a == b && (dt_is_float(a) || dt_is_int(a));
}

static dtype dot_result(dtype a)
{
    if (dt_is_int(a))
        return dt_bits(a) == 64 ? a : DT_I32;
    return a == DT_F64 ? DT_F64 : DT_F32;
}

/* magnitudes of the products give the bound */
static void product(const rarg *a, const rarg *b, const rarg *acc, rarg *out, const mnk *s, int precision_bits)
{
    bool is_float = dt_is_any_float(out->dt);
    for (int64_t g = 0; g < (s->b ? s->b : 1); g++)
        for (int64_t i = 0; i < s->m; i++)
            for (int64_t j = 0; j < s->n; j++) {
                int64_t at = (g * s->m + i) * s->n + j;
                num sum = acc ? case_get(acc, at) : (num){0};
                double mass = fabs(sum.f);
                for (int64_t k = 0; k < s->k; k++) {
                    num x = case_get(a, (g * s->m + i) * s->k + k), y = case_get(b, (g * s->k + k) * s->n + j);
                    sum.i = (wide)((uwide)sum.i + (uwide)x.i * (uwide)y.i);
                    sum.f += x.f * y.f;
                    mass += fabs(x.f * y.f);
                }
                out->want[at] = sum;
                if (is_float)
                    out->slack = fmax(out->slack, mass * ((double)s->k * (out->dt == DT_F64 ? 0x1p-53 : 0x1p-24) +
                                                          (precision_bits ? ldexp(1, -precision_bits) : 0)));
            }
}

static void one(dtype da, dtype db, const mnk *s, bool with_acc, const char *precision, int bits)
{
    rcase c;
    case_begin(&c, "dot %s x %s %lldx%lldx%lld rank %d%s %s", dtypes[da].name, dtypes[db].name, (long long)s->m,
               (long long)s->n, (long long)s->k, s->b ? 3 : 2, with_acc ? " acc" : "", precision);
    if (case_skip(&c))
        return;
    int64_t batch = s->b ? s->b : 1;
    dtype r = dot_result(da);
    pattern pat = dt_is_any_float(da) ? PAT_REAL : PAT_EDGE;
    rarg *a = case_in(&c, "ap", da, batch * s->m * s->k, pat), *b = case_in(&c, "bp", db, batch * s->k * s->n, pat);
    rarg *acc = with_acc ? case_in(&c, "cp", r, batch * s->m * s->n, PAT_REAL) : NULL;
    rarg *out = case_out(&c, "out", r, batch * s->m * s->n, dt_is_any_float(r) ? 1 : 0);
    c.loose = dt_is_any_float(r);
    shape_plain_head(&c);
    int rank = s->b ? 3 : 2, skip = s->b ? 0 : 1;
    shape_offsets(&c, "ao", rank, (int64_t[]){s->b, s->m, s->k} + skip);
    shape_offsets(&c, "bo", rank, (int64_t[]){s->b, s->k, s->n} + skip);
    shape_offsets(&c, "co", rank, (int64_t[]){s->b, s->m, s->n} + skip);
    case_line(&c, "    r = dot(load(ap + ao), load(bp + bo)%s%s)", with_acc ? ", load(cp + co)" : "", precision);
    case_line(&c, "    store(out + co, r)");
    product(a, b, acc, out, s, bits);
    case_end(&c);
}

/* sum(a[:, None] * b, axis) is the same contraction */
static void spelled_out(dtype da, dtype db, dtype via)
{
    enum { N = 9, K = 64 };
    rcase c;
    case_begin(&c, "sum of products %s x %s", dtypes[da].name, dtypes[db].name);
    if (case_skip(&c))
        return;
    mnk s = {0, N, 1, K};
    rarg *a = case_in(&c, "ap", da, N * K, dt_is_any_float(da) ? PAT_REAL : PAT_EDGE),
         *b = case_in(&c, "bp", db, K, dt_is_any_float(db) ? PAT_REAL : PAT_EDGE);
    rarg *out = case_out(&c, "out", via, N, dt_is_any_float(via) ? 1 : 0);
    c.loose = dt_is_any_float(via);
    shape_plain_head(&c);
    shape_offsets(&c, "ao", 2, (int64_t[]){N, K});
    case_line(&c, "    a = load(ap + ao).to(%s)\n    b = load(bp + arange(0, %d)).to(%s)", dtypes[via].name, K,
              dtypes[via].name);
    case_line(&c, "    store(out + arange(0, %d), sum(a * b[None, :], axis=1))", N);
    product(a, b, NULL, out, &s, 0);
    case_end(&c);
}

/* blocked over K with tensors and edges: the shape of every matmul */
static void blocked(dtype dt, int64_t m, int64_t n, int64_t k)
{
    rcase c;
    case_begin(&c, "matmul %s %lldx%lldx%lld", dtypes[dt].name, (long long)m, (long long)n, (long long)k);
    if (case_skip(&c))
        return;
    mnk s = {0, m, n, k};
    dtype r = dot_result(dt);
    rarg *a = case_tensor(case_in(&c, "a", dt, m * k, PAT_REAL), 2, (int64_t[]){m, k});
    rarg *b = case_tensor(case_in(&c, "b", dt, k * n, PAT_REAL), 2, (int64_t[]){k, n});
    rarg *out = case_tensor(case_out(&c, "c", r, m * n, dt_is_any_float(r) ? 1 : 0), 2, (int64_t[]){m, n});
    c.loose = dt_is_any_float(r);
    case_line(&c, "kernel k(a: %s[M, K], b: %s[K, N], c: %s[M, N]) grid(cdiv(M, 32), cdiv(N, 24)):", dtypes[dt].name,
              dtypes[dt].name, dtypes[r].name);
    case_line(&c, "    i = program_id(0) * 32\n    j = program_id(1) * 24\n    acc = zeros([32, 24], %s)",
              dtypes[r].name);
    case_line(&c, "    for p in range(0, K, 16):\n        acc = dot(a.load([i, p], [32, 16]), b.load([p, j], [16, "
                  "24]), acc)\n    c.store([i, j], acc)");
    product(a, b, NULL, out, &s, 0);
    case_end(&c);
}

static void refused(dtype a, dtype b)
{
    char text[400];
    snprintf(text, sizeof text,
             "kernel k(ap: *%s, bp: *%s, out: *f32) grid(1):\n    offs = arange(0, 16)[:, None] * 16 + arange(0, "
             "16)[None, :]\n    r = dot(load(ap + offs), load(bp + offs))\n    store(out + offs, r)\n",
             dtypes[a].name, dtypes[b].name);
    case_rejects("dot", text, "dot %s x %s refused", dtypes[a].name, dtypes[b].name);
}

void run_dots(void)
{
    FOR_DTYPES(a)
        FOR_DTYPES(b) {
            if (!dot_takes(a, b)) {
                refused(a, b);
                continue;
            }
            for (size_t k = 0; k < COUNTOF(sizes); k++) {
                one(a, b, &sizes[k], false, "", 0);
                if (a == b)
                    one(a, b, &sizes[k], true, "", 0);
            }
        }
    one(DT_F32, DT_F32, &sizes[2], true, ", input_precision=\"tf32\"", 9);
    one(DT_F32, DT_F32, &sizes[2], true, ", precision=\"tf32x3\"", 18);
    one(DT_F32, DT_F32, &sizes[3], true, ", precision=\"bf16x3\"", 14);
    one(DT_F32, DT_F32, &sizes[3], true, ", precision=\"ieee\"", 0);
    spelled_out(DT_F32, DT_F32, DT_F32);
    spelled_out(DT_F16, DT_F16, DT_F32);
    spelled_out(DT_I8, DT_I8, DT_I32);
    spelled_out(DT_U8, DT_I8, DT_I32);
    FOR_DTYPES(dt)
        if (dt_is_float(dt)) {
            blocked(dt, 32, 24, 16);
            blocked(dt, 33, 25, 17);
            blocked(dt, 1, 100, 70);
        }
    blocked(DT_I8, 45, 61, 83);
}
