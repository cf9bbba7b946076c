/* tile_bench_check.c: tile-bench --check: every laid-out kernel of a folder against float64.
 *
 * Inputs are random and rounded to the kernel's type; the reference is computed from them in float64. Outputs and a
 * margin about every buffer are filled with NaN first: what was not written, or written or read outside, shows.
 *
 * How far an element may be off follows from the roundings that a kernel can't avoid, each bounded: the output's own;
 * a tensor core's float32 sums, which are cut off rather than rounded, once for each 16 products; attention's rounding
 * of its weights. Of large results one element in each square of 32 x 32 is compared, and every row is by its product
 * with a random vector of +1 and -1: (C r) against A (B^T r), where an error of any element shows.
 *
 * Each kernel is checked in a process of its own, for a fault takes the device with it, and one that hangs is ended;
 * --together keeps them in this one, for a tool that watches a process and does not follow it through a fork.
 */
#include "tools/tile_bench.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARGIN 4096                     /* bytes on either side */
#define ALL_PRODUCTS ((int64_t)4 << 30) /* as many products are done one by one */
#define EPS 1e-5                        /* rmsnorm's */
#define SQUARE 32

typedef struct counts {
    int passed, failed, skipped;
} counts;

typedef struct check {
    bench *b;
    const hand *h;
    bench_shape s;
    double scale, ulp;  /* ulp: half a unit in the last place of 1 */
    float *in[3], *out; /* a, b, w */
    double *flips;      /* gemm: r, B^T r after one another, where not all is compared */
    int64_t *rows;      /* the rows to compare */
    int64_t nrows;
    double *worst; /* by row: error over tolerance */
    char *why;     /* of the first fault found */
    size_t why_size;
} check;

static void note(double *worst, double got, double want, double tol)
{
    double e = fabs(got - want) / tol;
    if (!(e <= *worst)) /* NaN counts */
        *worst = isnan(e) ? INFINITY : e;
}

/* ---- gemm ---- */

/* *size: root of the sum of the squared products */
static double dot(const float *x, const float *y, int64_t n, double *size)
{
    double s[8] = {0}, q[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) {
            double p = (double)x[i + k] * (double)y[i + k];
            s[k] += p;
            q[k] += p * p;
        }
    for (; i < n; i++) {
        double p = (double)x[i] * (double)y[i];
        s[0] += p;
        q[0] += p * p;
    }
    *size = sqrt(((q[0] + q[1]) + (q[2] + q[3])) + ((q[4] + q[5]) + (q[6] + q[7])));
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/* cut-off sums of K products: the running sum stays below 4 times its spread */
static double sum_error(int64_t k)
{
    return 4 * ((double)k / 16 + 8) * 0x1p-23;
}

static void gemm_element(check *c, int64_t i, int64_t j)
{
    int64_t n = c->s.d[1], k = c->s.d[2];
    double size, want = dot(c->in[0] + i * k, c->in[1] + j * k, k, &size);
    note(&c->worst[i], (double)c->out[i * n + j], want, c->ulp * fabs(want) * 1.01 + sum_error(k) * size + 0x1p-25);
}

static void gemm_rows(void *ctx, int64_t first, int64_t last, int thread)
{
    check *c = ctx;
    int64_t n = c->s.d[1], k = c->s.d[2];
    (void)thread;
    for (int64_t i = first; i < last; i++) {
        if (!c->flips) {
            for (int64_t j = 0; j < n; j++)
                gemm_element(c, i, j);
            continue;
        }
        for (int64_t j = 0; j < n; j += SQUARE) { /* one row of each square meets its column */
            int64_t at = j + (i * 7 + j / SQUARE * 5) % SQUARE, turn = (j / SQUARE * 11 + i / SQUARE * 3) % SQUARE;
            if (i % SQUARE == turn && at < n)
                gemm_element(c, i, at);
        }
        const double *r = c->flips, *br = r + n;
        double got = 0, want = 0, size = 0;
        for (int64_t j = 0; j < n; j++) {
            double x = (double)c->out[i * n + j];
            got += x * r[j];
            size += x * x;
        }
        for (int64_t p = 0; p < k; p++)
            want += (double)c->in[0][i * k + p] * br[p];
        note(&c->worst[i], got, want, sqrt(size) * (4 * c->ulp + sum_error(k)) + 0x1p-20);
    }
}

static void flip_columns(void *ctx, int64_t first, int64_t last, int thread)
{
    check *c = ctx;
    int64_t n = c->s.d[1], k = c->s.d[2];
    double *r = c->flips, *br = r + n;
    (void)thread;
    for (int64_t j = 0; j < n; j++)
        for (int64_t p = first; p < last; p++)
            br[p] += r[j] * (double)c->in[1][j * k + p];
}

static void check_gemm(check *c)
{
    int64_t m = c->s.d[0], n = c->s.d[1], k = c->s.d[2];
    if (m * n * k > ALL_PRODUCTS) {
        c->flips = calloc((size_t)(n + k), sizeof(double));
        if (!c->flips)
            exit(1);
        for (int64_t j = 0; j < n; j++)
            c->flips[j] = ((uint64_t)j * 0x9e3779b97f4a7c15u) >> 63 ? 1 : -1;
        pool_run(c->b->threads, flip_columns, c, k, 256);
    }
    pool_run(c->b->threads, gemm_rows, c, m, 1);
    free(c->flips);
    c->flips = NULL;
}

/* ---- attention ---- */

static void attn_row(check *c, int64_t row, double *p, double *o)
{
    int64_t s = c->s.d[1], d = c->s.d[2], head = row / s, i = row % s, last = c->h->causal ? i + 1 : s;
    const float *q = c->in[0] + row * d, *k = c->in[1] + head * s * d, *v = c->in[2] + head * s * d;
    double top = -INFINITY, sum = 0, size;
    for (int64_t j = 0; j < last; j++) {
        p[j] = dot(q, k + j * d, d, &size) * c->scale;
        top = p[j] > top ? p[j] : top;
    }
    for (int64_t j = 0; j < last; j++)
        sum += p[j] = exp(p[j] - top);
    double *plain = o + d, *square = o + 2 * d;
    memset(o, 0, (size_t)(3 * d) * sizeof *o);
    for (int64_t j = 0; j < last; j++) {
        double w = p[j] / sum;
        for (int64_t x = 0; x < d; x++) {
            double t = w * (double)v[j * d + x];
            o[x] += t;
            plain[x] += fabs(t);
            square[x] += t * t;
        }
    }
    double scores = 3e-5 * (1 + c->scale * sqrt((double)d)); /* of a weight, by the float32 scores and exp2 */
    for (int64_t x = 0; x < d; x++)
        note(&c->worst[row], (double)c->out[row * d + x], o[x],
             c->ulp * fabs(o[x]) * 1.01 + 8 * c->ulp * sqrt(square[x]) + scores * plain[x] + 0x1p-25);
}

static void attn_rows(void *ctx, int64_t first, int64_t last, int thread)
{
    check *c = ctx;
    double *p = data_memory((c->s.d[1] + 3 * c->s.d[2]) * 8);
    (void)thread;
    for (int64_t r = first; r < last; r++)
        attn_row(c, c->rows[r], p, p + c->s.d[1]);
    free(p);
}

/* every row of short ones; else the ends of each head and some between, at no distance that a block has */
static void pick_rows(check *c)
{
    int64_t s = c->s.d[1], bh = c->s.d[0];
    int64_t step = s <= 1024 ? 1 : 37 + 2 * (s / 1024);
    c->rows = data_memory(bh * s * 8);
    for (int64_t h = 0; h < bh; h++)
        for (int64_t i = 0; i < s; i++)
            if (i < 4 || i >= s - 4 || (i + h) % step == 0)
                c->rows[c->nrows++] = h * s + i;
}

static void check_attn(check *c)
{
    pick_rows(c);
    pool_run(c->b->threads, attn_rows, c, c->nrows, 4);
    free(c->rows);
    c->rows = NULL;
}

/* ---- norms ---- */

static void norm_rows(void *ctx, int64_t first, int64_t last, int thread)
{
    check *c = ctx;
    int64_t n = c->s.d[1];
    (void)thread;
    for (int64_t i = first; i < last; i++) {
        const float *x = c->in[0] + i * n, *y = c->out + i * n;
        double top = -INFINITY, sum = 0;
        bool rms = c->h->kind == HAND_RMSNORM;
        for (int64_t j = 0; j < n; j++)
            top = (double)x[j] > top ? (double)x[j] : top;
        for (int64_t j = 0; j < n; j++)
            sum += rms ? (double)x[j] * (double)x[j] : exp((double)x[j] - top);
        for (int64_t j = 0; j < n; j++) {
            double want =
                rms ? (double)x[j] / sqrt(sum / (double)n + EPS) * (double)c->in[2][j] : exp((double)x[j] - top) / sum;
            note(&c->worst[i], (double)y[j], want, (c->ulp * 1.01 + 2e-5) * fabs(want) + 0x1p-25 * 1.01);
        }
    }
}

/* ---- one case ---- */

/* a buffer of the device with margins */
typedef struct room {
    char *base, *data;
    int64_t bytes, margin;
} room;

static bool room_open(check *c, room *r, int64_t n, const void *from, tile_error *err)
{
    r->margin = c->b->exact ? 0 : MARGIN;
    r->bytes = n * 2;
    r->base = tile_alloc(c->b->dev, r->bytes + 2 * r->margin, err);
    if (!r->base)
        return false;
    r->data = r->base + r->margin;
    return tile_fill(c->b->dev, NULL, r->base, 0xff, r->bytes + 2 * r->margin, err) == TILE_OK &&
           (!from || tile_write(c->b->dev, r->data, from, r->bytes, err) == TILE_OK);
}

static bool margins_whole(const unsigned char *at, const room *r)
{
    for (int64_t i = 0; i < r->margin; i++)
        if (at[i] != 0xff || at[r->margin + r->bytes + i] != 0xff)
            return false;
    return true;
}

static bool read_output(check *c, const room *r, int64_t n, tile_error *err)
{
    unsigned char *all = data_memory(r->bytes + 2 * r->margin);
    bool ok = tile_read(c->b->dev, all, r->base, r->bytes + 2 * r->margin, err) == TILE_OK;
    if (ok && !margins_whole(all, r))
        snprintf(c->why, c->why_size, "it wrote outside its output");
    c->out = data_memory(n * 4);
    if (ok)
        data_decode(c->b, c->h->dt, (const uint16_t *)(const void *)(all + r->margin), n, c->out);
    free(all);
    int64_t unwritten = 0, first = -1;
    for (int64_t i = 0; ok && i < n; i++)
        if (isnan(c->out[i])) {
            unwritten++;
            first = first < 0 ? i : first;
        }
    if (unwritten && !c->why[0])
        snprintf(c->why, c->why_size, "%lld elements are NaN, the first is %lld", (long long)unwritten,
                 (long long)first);
    return ok;
}

static bool launch(check *c, tile_kernel *k, tile_error *err)
{
    static const char which[3] = {'a', 'b', 'w'};
    room r[4] = {{0}};
    hand_data d;
    hand_call call;
    bool ok = true;
    for (int i = 0; i < 3 && ok; i++) {
        int64_t n = hand_count(c->h, &c->s, which[i]);
        if (!n)
            continue;
        uint16_t *bits = data_memory(n * 2);
        c->in[i] = data_memory(n * 4);
        data_normal(c->b, c->h->dt, (uint64_t)(i + 1) * 1000 + (uint64_t)c->s.d[1], 1, n, bits, c->in[i]);
        ok = room_open(c, &r[i], n, bits, err);
        free(bits);
    }
    int64_t n = hand_count(c->h, &c->s, 'c');
    ok = ok && room_open(c, &r[3], n, NULL, err);
    d = (hand_data){r[0].data, r[1].data, r[2].data, r[3].data};
    hand_bind(&call, c->h, &c->s, d, c->scale);
    ok = ok && tile_launch(k, NULL, NULL, call.args, call.n, err) == TILE_OK && tile_sync(c->b->dev, err) == TILE_OK &&
         read_output(c, &r[3], n, err);
    for (int i = 0; i < 4 && (ok || err->code != TILE_E_FAULT); i++)
        tile_free(c->b->dev, r[i].base);
    return ok;
}

static void compare(check *c)
{
    int64_t rows = c->h->kind == HAND_ATTN ? c->s.d[0] * c->s.d[1] : c->s.d[0], at = 0;
    c->worst = calloc((size_t)rows, sizeof(double));
    if (!c->worst)
        exit(1);
    if (c->h->kind == HAND_GEMM)
        check_gemm(c);
    else if (c->h->kind == HAND_ATTN)
        check_attn(c);
    else
        pool_run(c->b->threads, norm_rows, c, rows, 1);
    for (int64_t i = 0; i < rows; i++)
        at = c->worst[i] > c->worst[at] ? i : at;
    c->ulp = c->worst[at]; /* from here on: what is told */
    if (c->ulp > 1 && !c->why[0])
        snprintf(c->why, c->why_size, "an element of row %lld is off by %.3g times its tolerance", (long long)at,
                 c->ulp);
    free(c->worst);
}

/* false: the device is lost */
static bool check_shape(bench *b, const hand *h, tile_kernel *k, const bench_shape *s, double scale, counts *n)
{
    char why[200] = "", shape[100] = "";
    tile_error err = {0};
    check c = {.b = b, .h = h, .s = *s, .scale = scale, .why = why, .why_size = sizeof why};
    c.ulp = h->dt == TILE_BF16 ? 0x1p-8 : 0x1p-11;
    for (int i = 0; i < s->rank; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%lld", i ? "x" : "", (long long)s->d[i]);
    alarm((unsigned)b->timeout);
    double t0 = clock_now();
    bool ran = launch(&c, k, &err);
    if (ran)
        compare(&c);
    alarm(0);
    bool ok = ran && !why[0];
    n->passed += ok;
    n->failed += !ok;
    printf("%s %-20s %-18s ", ok ? "ok  " : "FAIL", h->name, shape);
    if (ok)
        printf("worst error %.2f of the tolerance, %.1f s\n", c.ulp, clock_now() - t0);
    else
        printf("%s\n", ran ? why : err.text);
    fflush(stdout);
    for (int i = 0; i < 3; i++)
        free(c.in[i]);
    free(c.out);
    return err.code != TILE_E_FAULT || b->host;
}

/* ---- which cases ---- */

static const bench_shape gemm_small[] = {{{128, 256, 64}, 3},  {{200, 328, 72}, 3}, {{1, 8, 8}, 3},
                                         {{131, 264, 328}, 3}, {{300, 520, 40}, 3}, {{100, 600, 2040}, 3}};
static const bench_shape gemm_large[] = {{{1000, 1304, 1096}, 3},  {{333, 5000, 776}, 3},   {{64, 8, 4096}, 3},
                                         {{5000, 128, 8192}, 3},   {{4096, 4096, 4096}, 3}, {{2048, 6144, 4096}, 3},
                                         {{2048, 4096, 14336}, 3}, {{2048, 2304, 2040}, 3}};
static const int64_t attn_small[][2] = {{2, 1}, {3, 77}, {2, 128}, {1, 300}, {5, 70}};
static const int64_t attn_large[][2] = {{2, 113}, {5, 1000}, {33, 192}, {4, 4096}, {1, 8200}};
static const int64_t norm_small[][2] = {{3, 1}, {2, 8}, {2, 997}, {3, 1000}, {2, 8192}, {1, 20000}};
static const int64_t norm_large[][2] = {{300, 7},   {5, 4093},   {7, 4096},   {1000, 8191}, {300, 8184},
                                        {9, 16384}, {40, 65536}, {5, 100008}, {20, 131072}};

/* the i-th case of a kernel; false past the last. What the kernel can't do is left out by hand_fits */
static bool shape_at(const bench *b, const hand *h, size_t i, bench_shape *s)
{
    if (b->shapes.n) {
        *s = i < b->shapes.n ? b->shapes.at[i] : *s;
        return i < b->shapes.n;
    }
    if (h->kind == HAND_GEMM) {
        size_t n = COUNTOF(gemm_small), all = b->small ? n : n + COUNTOF(gemm_large);
        if (i < all)
            *s = i < n ? gemm_small[i] : gemm_large[i - n];
        return i < all;
    }
    bool attn = h->kind == HAND_ATTN;
    const int64_t(*small)[2] = attn ? attn_small : norm_small, (*large)[2] = attn ? attn_large : norm_large;
    size_t n = attn ? COUNTOF(attn_small) : COUNTOF(norm_small);
    size_t more = b->small ? 0 : attn ? COUNTOF(attn_large) : COUNTOF(norm_large);
    if (i >= n + more)
        return false;
    const int64_t *d = i < n ? small[i] : large[i - n];
    *s = attn ? (bench_shape){{d[0], d[1], h->head}, 3} : (bench_shape){{d[0], d[1]}, 2};
    return true;
}

static void check_kernel(bench *b, const hand *h, counts *n)
{
    tile_error err = {0};
    tile_module *mod = NULL;
    bench_shape s = {{0}, 0};
    b->dev = tile_device_open(b->device, &err);
    b->threads = pool_new(0);
    tile_kernel *k = b->dev ? hand_open(b, h, &mod, &err) : NULL;
    if (!k) {
        bool skip = !b->dev && err.code == TILE_E_DEVICE;
        printf("%s %s: %s\n", skip ? "skip" : "FAIL", h->name, err.text);
        n->skipped += skip;
        n->failed += !skip;
    }
    bool alive = k != NULL;
    for (size_t i = 0; alive && shape_at(b, h, i, &s); i++) {
        if (!hand_fits(h, &s))
            continue;
        double scale = h->kind == HAND_ATTN ? 1 / sqrt((double)h->head) : EPS;
        alive = check_shape(b, h, k, &s, scale, n);
        if (alive && h->kind == HAND_ATTN && i == 1) /* weights that are nearly one-hot */
            alive = check_shape(b, h, k, &s, 1, n);
    }
    tile_kernel_stats st;
    if (k && alive && !b->host && tile_kernel_info(k, &st, &err) == TILE_OK) {
        printf("     %s: %d registers, %d bytes spilled, %lld bytes shared%s%s\n", h->name, st.registers,
               st.spill_bytes, (long long)st.shared_bytes, st.notes && st.notes[0] ? "; " : "",
               st.notes ? st.notes : "");
        bool serial = st.notes && strstr(st.notes, "C75"); /* ptxas runs wgmma one after another */
        if (st.spill_bytes > 0 || serial) {
            printf("FAIL %s: %s\n", h->name, serial ? "its wgmma are serialised" : "it spills");
            n->failed++;
        }
    }
    if (alive) { /* a lost device has nothing to give back */
        tile_module_close(mod);
        tile_device_close(b->dev);
    }
    pool_free(b->threads);
}

/* ---- a process a kernel ---- */

static void check_apart(bench *b, const hand *h, counts *all)
{
    int ends[2], status = 0;
    counts n = {0};
    fflush(stdout);
    pid_t child = pipe(ends) == 0 ? fork() : -1;
    if (child < 0) {
        bench_say("no process for %s", h->name);
        all->failed++;
        return;
    }
    if (child == 0) {
        close(ends[0]);
        check_kernel(b, h, &n);
        fflush(stdout);
        bool told = write(ends[1], &n, sizeof n) == (ssize_t)sizeof n;
        arena_fini(&b->a);
        exit(told ? 0 : 1);
    }
    close(ends[1]);
    bool told = read(ends[0], &n, sizeof n) == (ssize_t)sizeof n;
    close(ends[0]);
    waitpid(child, &status, 0);
    if (!told) {
        n = (counts){.failed = 1};
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            printf("FAIL %s: no answer in %d s\n", h->name, b->timeout);
        else
            printf("FAIL %s: its process ended with status %d\n", h->name, status);
    }
    all->passed += n.passed;
    all->failed += n.failed;
    all->skipped += n.skipped;
}

int bench_check(bench *b)
{
    hands list = {0};
    counts all = {0};
    if (!hand_scan(b, &list))
        return 2;
    for (uint32_t i = 0; i < list.n; i++)
        if (b->together)
            check_kernel(b, &list.at[i], &all);
        else
            check_apart(b, &list.at[i], &all);
    printf("%d passed, %d failed, %d skipped\n", all.passed, all.failed, all.skipped);
    return all.failed || !all.passed ? 1 : 0;
}
