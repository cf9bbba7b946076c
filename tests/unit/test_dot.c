/* test_dot.c: matrix products of the CPU back end, by every register block that this machine can run.
 *
 * A kernel of .tile source is compiled for this machine and for named levels below it, with tiles of odd and even
 * extents, b row by row or transposed, over sizes off every block. Each result is held against float64 sums (with NaN
 * and infinities among the operands where floats are), and all results of one K, type and target must be the same bits,
 * whatever the tiles: an element's order of summing depends on nothing else; and whether each program packs its
 * operands or all share them, in one thread, in several, or where the memory for sharing is not to be had. Columns and
 * rows beyond the result keep what they held. Code for AMX runs everywhere that AVX-512 is, with the instructions on
 * tiles told by C (amx_kit.h; in one thread), and by themselves where there are such.
 */
#include "tests/unit/dot_kit.h"

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { M = 45, N = 83, EDGE = 77 };

typedef struct tiles {
    int bm, bn, bk;
} tiles;

static const tiles shapes[] = {{64, 64, 64}, {6, 64, 64}, {16, 48, 64}, {45, 83, 64}, {7, 100, 32}};

typedef struct kind {
    const char *type[2], *out; /* of a and b */
    bool special;              /* NaN and infinities among the operands */
} kind;

static const kind kinds[] = {{{"f32", "f32"}, "f32", true}, {{"f64", "f64"}, "f64", true},
                             {{"f16", "f16"}, "f32", true}, {{"bf16", "bf16"}, "f32", true},
                             {{"i8", "i8"}, "i32", false},  {{"u8", "u8"}, "i32", false},
                             {{"u8", "i8"}, "i32", false},  {{"i8", "u8"}, "i32", false}};

/* K of a tile of AMX: 64 bytes */
static bool has_tiles(const kind *k, tiles t)
{
    return t.bk % (strcmp(k->out, "i32") == 0 ? 64 : 32) == 0;
}

static double value(const kind *k, int which, int64_t row, int64_t e)
{
    uint64_t x = ((uint64_t)row * 8191 + (uint64_t)e * 131 + (uint64_t)which * 77) * 0x9e3779b97f4a7c15u >> 40;
    if (k->special && row == 3 + which && e == 5)
        return which ? INFINITY : NAN;
    if (k->type[which][0] == 'u')
        return (double)(x & 255);
    if (k->type[which][0] == 'i')
        return (double)(x & 255) - 128;
    return ((double)(x & 255) - 127) / 64;
}

static uint16_t half(float f) /* exact: the values are multiples of 1/64 below 2 */
{
    if (isnan(f) || isinf(f))
        return isnan(f) ? 0x7e00 : 0x7c00;
    int e;
    float m = frexpf(fabsf(f), &e);
    return (uint16_t)((f < 0 ? 0x8000 : 0) | (f == 0 ? 0 : ((e + 14) << 10 | ((int)(m * 2048) & 1023))));
}

static void put(const kind *k, int which, void *p, int64_t i, double v)
{
    float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (strcmp(k->type[which], "f32") == 0)
        ((float *)p)[i] = f;
    else if (strcmp(k->type[which], "f64") == 0)
        ((double *)p)[i] = v;
    else if (strcmp(k->type[which], "f16") == 0)
        ((uint16_t *)p)[i] = half(f);
    else if (strcmp(k->type[which], "bf16") == 0)
        ((uint16_t *)p)[i] = (uint16_t)(bits >> 16); /* exact */
    else if (k->type[which][0] == 'u')
        ((uint8_t *)p)[i] = (uint8_t)v;
    else
        ((int8_t *)p)[i] = (int8_t)v;
}

static abi_entry *made(arena *a, const kind *k, const dot_level *l, tiles t, bool nt, cpu_image *im)
{
    const char *why = NULL;
    str text = str_fmt(a,
                       "kernel mm(a: %s[M, K], b: %s%s, c: %s[M, N]) grid(cdiv(M, %d), cdiv(N, %d)):\n"
                       "    m = program_id(0) * %d\n"
                       "    n = program_id(1) * %d\n"
                       "    acc = zeros([%d, %d], %s)\n"
                       "    for k in range(0, K, %d):\n"
                       "        acc = dot(a.load([m, k], [%d, %d]), b.load(%s)%s, acc)\n"
                       "    c.store([m, n], acc)\n",
                       k->type[0], k->type[1], nt ? "[N, K]" : "[K, N]", k->out, t.bm, t.bn, t.bm, t.bn, t.bm, t.bn,
                       k->out, t.bk, t.bm, t.bk,
                       nt ? str_cstr(a, str_fmt(a, "[n, k], [%d, %d]", t.bn, t.bk))
                          : str_cstr(a, str_fmt(a, "[k, n], [%d, %d]", t.bk, t.bn)),
                       nt ? ".T" : "");
    abi_entry *entry = dot_made(a, l, text, "mm", im, &why);
    ck_assert_msg(entry != NULL, "%s", why);
    return entry;
}

/* ---- a launch ---- */
/* each program its own operands; shared, one thread; shared, several threads, a program a claim */
enum { WAY_OWN, WAY_SHARED, WAY_THREADS, WAYS, THREADS = 3 };

typedef struct launch {
    abi_host host; /* first */
    abi_entry *entry;
    const uint64_t *args;
    char *rooms, *block;
    int64_t programs, block_bytes;
    _Atomic int64_t next;
    _Atomic int threads, asked;
    pthread_mutex_t lock;
} launch;

static void *shared(abi_host *h, int64_t zeroed, int64_t bytes)
{
    launch *l = (launch *)(void *)h;
    ck_assert(zeroed > 0 && bytes > 0);
    pthread_mutex_lock(&l->lock);
    if (!l->block) {
        l->block_bytes = zeroed + bytes;
        l->block = aligned_alloc(64, (size_t)(l->block_bytes + 63) / 64 * 64);
        ck_assert(l->block);
        memset(l->block, 0, (size_t)zeroed);
        memset(l->block + zeroed, 0xff, (size_t)bytes);
    }
    ck_assert(zeroed + bytes == l->block_bytes);
    pthread_mutex_unlock(&l->lock);
    l->asked++;
    return l->block;
}

static void *run_some(void *ctx)
{
    launch *l = ctx;
    abi_thread th = {.host = &l->host, .buffer_bytes = DOT_ROOM};
    th.buffer = l->rooms + (int64_t)DOT_ROOM * l->threads++;
    for (int64_t i; (i = l->next++) < l->programs;)
        l->entry(l->args, i, i + 1, &th);
    return NULL;
}

/* c with a margin of a row, filled beforehand; did programs ask for what they share? */
static bool multiply(abi_entry *entry, char *rooms, tiles t, bool nt, int64_t k, void *a, void *b, void *c, int way)
{
    int64_t gm = (M + t.bm - 1) / t.bm, gn = (N + t.bn - 1) / t.bn;
    uint64_t args[] = {(uint64_t)gm,
                       (uint64_t)gn,
                       1,
                       (uint64_t)(uintptr_t)a,
                       M,
                       (uint64_t)k,
                       (uint64_t)k,
                       1,
                       (uint64_t)(uintptr_t)b,
                       nt ? N : (uint64_t)k,
                       nt ? (uint64_t)k : N,
                       nt ? (uint64_t)k : N,
                       1,
                       (uint64_t)(uintptr_t)c,
                       M,
                       N,
                       N,
                       1};
    launch l = {.entry = entry, .args = args, .rooms = rooms, .programs = gm * gn};
    pthread_t ids[THREADS];
    pthread_mutex_init(&l.lock, NULL);
    l.host.shared = way == WAY_OWN ? NULL : shared;
    for (int i = 1; i < THREADS && way == WAY_THREADS; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, run_some, &l), 0);
    run_some(&l);
    for (int i = 1; i < THREADS && way == WAY_THREADS; i++)
        pthread_join(ids[i], NULL);
    pthread_mutex_destroy(&l.lock);
    free(l.block);
    return l.asked > 0;
}

static void compare(const kind *k, const void *c, int64_t depth, const dot_level *l)
{
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) {
            double sum = 0, size = 0, got;
            for (int64_t e = 0; e < depth; e++) {
                double x = value(k, 0, i, e) * value(k, 1, j, e);
                sum += x;
                size += fabs(x);
            }
            if (strcmp(k->out, "i32") == 0)
                got = ((const int32_t *)c)[i * N + j];
            else
                got =
                    strcmp(k->out, "f64") == 0 ? ((const double *)c)[i * N + j] : (double)((const float *)c)[i * N + j];
            bool same = isnan(sum)   ? isnan(got)
                        : isinf(sum) ? got == sum
                                     : fabs(got - sum) <= (strcmp(k->out, "f32") == 0 ? 1e-6 : 1e-14) * size;
            ck_assert_msg(same, "%s by %s on '%s', K %lld: element %lld, %lld is %.9g, not %.9g", k->type[0],
                          k->type[1], l->name, (long long)depth, (long long)i, (long long)j, got, sum);
        }
}

/* is one operand or the other wanted twice? */
static bool shares(tiles t)
{
    return (M + t.bm - 1) / t.bm >= 2 || (N + t.bn - 1) / t.bn >= 2;
}

static void run_kind(const kind *k, const dot_level *l)
{
    static const int64_t depths[] = {1, 63, 1111};
    int out = strcmp(k->out, "f64") == 0 ? 8 : 4;
    size_t bytes = (size_t)(M * N * out), margin = (size_t)(N * out);
    char *room = aligned_alloc(4096, (size_t)THREADS * DOT_ROOM), *c = malloc(bytes + margin),
         *first = malloc(bytes * COUNTOF(depths));
    void *a = malloc(M * 1111 * 8), *b = malloc(N * 1111 * 8);
    ck_assert(room && c && first && a && b);
    memset(room, 0xff, (size_t)THREADS * DOT_ROOM); /* NaN wherever a hole is not filled */
    for (size_t s = 0; s < COUNTOF(shapes); s++)
        for (int nt = 0; nt < 2; nt++) {
            arena ar;
            cpu_image im;
            arena_init(&ar, 0);
            abi_entry *entry = made(&ar, k, l, shapes[s], nt, &im);
            for (size_t q = 0; q < COUNTOF(depths); q++) {
                int64_t depth = depths[q];
                for (int64_t i = 0; i < M * depth; i++)
                    put(k, 0, a, i, value(k, 0, i / depth, i % depth));
                for (int64_t i = 0; i < N * depth; i++)
                    put(k, 1, b, nt ? i : i % depth * N + i / depth, value(k, 1, i / depth, i % depth));
                for (int way = 0; way < (l->told ? WAY_THREADS : WAYS); way++) {
                    memset(c, EDGE, bytes + margin);
                    amx.products = 0;
                    bool asked = multiply(entry, room, shapes[s], nt, depth, a, b, c, way);
                    ck_assert_msg(asked == (way != WAY_OWN && shares(shapes[s])), "%d x %d, way %d: shared %d",
                                  shapes[s].bm, shapes[s].bn, way, asked);
                    ck_assert(!amx.on && (amx.products > 0) == (l->told && has_tiles(k, shapes[s])));
                    for (size_t i = 0; i < margin; i++)
                        ck_assert_msg(c[bytes + i] == EDGE, "written past the end");
                    if (s == 0 && !nt && way == WAY_OWN) {
                        compare(k, c, depth, l);
                        memcpy(first + q * bytes, c, bytes);
                    }
                    ck_assert_msg(memcmp(first + q * bytes, c, bytes) == 0 || k->special,
                                  "%s on '%s', K %lld: tiles of %d x %d, way %d, give other bits", k->type[0], l->name,
                                  (long long)depth, shapes[s].bm, shapes[s].bn, way);
                    for (int64_t i = 0; i < M * N && k->special; i++) { /* NaN may have any sign and payload */
                        double x = out == 8 ? ((double *)(void *)c)[i] : (double)((float *)(void *)c)[i];
                        ck_assert_msg(isnan(x) || memcmp(first + q * bytes + i * out, c + i * out, (size_t)out) == 0,
                                      "%s on '%s', K %lld: tiles of %d x %d, way %d, give other bits", k->type[0],
                                      l->name, (long long)depth, shapes[s].bm, shapes[s].bn, way);
                    }
                    compare(k, c, depth, l);
                }
            }
            image_free(&im);
            arena_fini(&ar);
        }
    free(room);
    free(c);
    free(first);
    free(a);
    free(b);
}

START_TEST(products)
{
    const dot_level *l = &dot_levels[_i / (int)COUNTOF(kinds)];
    if (!dot_runs(l)) {
        if (_i % (int)COUNTOF(kinds) == 0)
            printf("skip: products on %s, which this machine isn't\n", l->name);
        return;
    }
    const kind *k = &kinds[_i % (int)COUNTOF(kinds)];
    if (!l->narrow || strcmp(k->type[0], "bf16") == 0 || strcmp(k->out, "i32") == 0)
        run_kind(k, l);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dot");
    TCase *t = tcase_create("products");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, products, 0, (int)(COUNTOF(kinds) * COUNTOF(dot_levels)));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
