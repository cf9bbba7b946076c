/* tile_bench_gpu.c: suites gemm, attn and norm on a GPU: the laid-out kernels of a folder beside other libraries.
 *
 * Data is normal, b of a gemm times 0.02 as weights are. So many sets of buffers are gone through that each launch
 * finds its own no longer in the last-level cache. All contestants of a shape share them.
 *
 * Counted: 2 M N K of a gemm; 4 B H S S D of an attention, half of it where causal; bytes read once and written once of
 * a norm. The copy is of 1 GiB, and ours is set against it by bytes a second.
 */
#include "tools/tile_bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_BYTES 120e6 /* what the sets exceed together */
#define MAX_SETS 8
#define COPY_BYTES ((int64_t)1 << 30)
#define MAX_OURS 8

/* one shape: the sets, and who runs on them */
typedef struct ring {
    bench *b;
    const char *work;
    bench_shape shape, told; /* as kernels take it, and as it is printed */
    tile_dtype dt;
    int sets;
    hand_data data[MAX_SETS];
    side sides[TIME_MAX_SIDES];
    int n;
    double flops, bytes;
} ring;

typedef struct our {
    ring *r;
    tile_module *mod;
    tile_kernel *k;
    hand_call call[MAX_SETS];
    const hand *h;
} our;

static bool put_ours(void *ctx, int set, tile_error *err)
{
    our *o = ctx;
    return tile_launch(o->k, NULL, NULL, o->call[set].args, o->call[set].n, err) == TILE_OK;
}

/* ---- buffers ---- */

static void *one_buffer(ring *r, int64_t n, const uint16_t *from, tile_error *err)
{
    void *p = n ? tile_alloc(r->b->dev, n * 2, err) : NULL;
    if (p && from && tile_write(r->b->dev, p, from, n * 2, err) != TILE_OK)
        return NULL;
    return p;
}

static bool open_sets(ring *r, const hand *like)
{
    static const char which[4] = {'a', 'b', 'w', 'c'};
    tile_error err = {0};
    int64_t n[4], all = 0;
    for (int i = 0; i < 4; i++)
        all += n[i] = hand_count(like, &r->shape, which[i]);
    int sets = (int)(CACHE_BYTES / (double)(all * 2)) + 1;
    r->sets = sets < MAX_SETS ? sets : MAX_SETS;
    for (int i = 0; i < 4; i++) {
        uint16_t *bits = i < 3 && n[i] ? data_memory(n[i] * 2) : NULL;
        if (bits)
            data_normal(r->b, r->dt, (uint64_t)i + 1, like->kind == HAND_GEMM && i == 1 ? 0.02 : 1, n[i], bits, NULL);
        for (int k = 0; k < r->sets && n[i]; k++) {
            void *p = one_buffer(r, n[i], bits, &err);
            if (!p) {
                bench_say("%s", err.text);
                free(bits);
                return false;
            }
            hand_data *d = &r->data[k];
            *(i == 0 ? &d->a : i == 1 ? &d->b : i == 2 ? &d->w : &d->c) = p;
        }
        free(bits);
    }
    return true;
}

static void close_sets(ring *r)
{
    for (int k = 0; k < r->sets; k++) {
        hand_data *d = &r->data[k];
        void *all[] = {d->a, d->b, d->w, d->c};
        for (int i = 0; i < 4; i++)
            tile_free(r->b->dev, all[i]);
    }
}

/* ---- contestants ---- */

static bool enter_ours(ring *r, our *o, const hand *h)
{
    tile_error err = {0};
    *o = (our){.r = r, .h = h};
    o->k = hand_open(r->b, h, &o->mod, &err);
    if (!o->k) {
        bench_say("%s: %s", h->name, err.text);
        return false;
    }
    double scale = h->kind == HAND_ATTN ? 1 / sqrt((double)h->head) : 1e-5;
    for (int i = 0; i < r->sets; i++)
        hand_bind(&o->call[i], h, &r->shape, r->data[i], scale);
    const char *name = str_cstr(&r->b->a, str_fmt(&r->b->a, "tile %s", h->name));
    r->sides[r->n++] = (side){.peer = name, .ours = true, .put = put_ours, .ctx = o};
    return true;
}

static void enter_remote(ring *r, remote_work *w, int slot, const char *peer, const char *request)
{
    tile_error err = {0};
    if (!r->b->peer_command || !bench_has(r->b->peers, peer))
        return;
    if (remote_prepare(r->b, w, slot, request, &err))
        r->sides[r->n++] = (side){.peer = peer, .block = remote_block, .ctx = w};
    else
        bench_say("%s: %s", peer, err.text);
}

static bool is_copy(const side *s)
{
    return strcmp(s->peer, "copy") == 0;
}

/* each side's figure; ours have their ratio to the first peer that lasted, and one more figure for each other */
static void tell(ring *r)
{
    for (int i = 0; i < r->n; i++) {
        const side *s = &r->sides[i];
        if (s->lost)
            continue;
        bench_figure f = {.work = r->work,
                          .shape = r->told,
                          .dtype = data_name(r->dt),
                          .peer = s->peer,
                          .us = time_of(s),
                          .flops = r->flops,
                          .bytes = r->bytes};
        if (is_copy(s)) {
            f.work = "copy";
            f.dtype = "u8";
            f.shape = (bench_shape){{COPY_BYTES}, 1};
            f.flops = 0;
            f.bytes = 2 * (double)COPY_BYTES;
        }
        bool told = false;
        for (int k = 0; k < r->n && s->ours; k++) {
            const side *p = &r->sides[k];
            if (p->ours || p->lost)
                continue;
            f.against = p->peer;
            f.ratio = time_ratio(s, p) * (is_copy(p) ? r->bytes / (2 * (double)COPY_BYTES) : 1);
            bench_emit(r->b, &f);
            told = true;
        }
        if (!told)
            bench_emit(r->b, &f);
    }
}

static bool contest(ring *r)
{
    bool ok = time_contest(r->b, r->sides, r->n, r->sets);
    tell(r);
    return ok;
}

/* ---- gemm ---- */

typedef struct blas_side {
    ring *r;
    blas *l;
} blas_side;

static bool put_blas(void *ctx, int set, tile_error *err)
{
    blas_side *p = ctx;
    const int64_t *d = p->r->shape.d;
    const hand_data *x = &p->r->data[set];
    return blas_gemm(p->l, p->r->dt, d[0], d[1], d[2], x->a, x->b, x->c, err);
}

static bool gemm_shape(bench *b, const hands *list, blas *l, const bench_shape *s, tile_dtype dt)
{
    ring r = {.b = b, .work = "gemm", .shape = *s, .told = *s, .dt = dt};
    our ours[MAX_OURS];
    blas_side p = {&r, l};
    char request[128];
    remote_work w;
    int n = 0;
    bool ok = true;
    double m = (double)s->d[0], c = (double)s->d[1], k = (double)s->d[2];
    r.flops = 2 * m * c * k;
    r.bytes = 2 * (m * k + c * k + m * c);
    for (uint32_t i = 0; i < list->n && ok; i++) {
        const hand *h = &list->at[i];
        if (h->kind != HAND_GEMM || h->dt != dt || !hand_fits(h, s) || n == MAX_OURS)
            continue;
        if (n == 0)
            ok = open_sets(&r, h);
        ok = ok && enter_ours(&r, &ours[n++], h);
    }
    if (r.n && l)
        r.sides[r.n++] = (side){.peer = "cublas", .put = put_blas, .ctx = &p};
    snprintf(request, sizeof request, "triton gemm %lld %lld %lld %s", (long long)s->d[0], (long long)s->d[1],
             (long long)s->d[2], data_name(dt));
    if (r.n) {
        enter_remote(&r, &w, 0, "triton", request);
        ok &= contest(&r);
        remote_drop(b);
    }
    for (int i = 0; i < n; i++)
        tile_module_close(ours[i].mod);
    close_sets(&r);
    return ok;
}

static const bench_shape gemm_shapes[] = {{{4096, 4096, 4096}, 3}, {{8192, 8192, 8192}, 3},  {{2048, 6144, 4096}, 3},
                                          {{2048, 4096, 4096}, 3}, {{2048, 28672, 4096}, 3}, {{2048, 4096, 14336}, 3}};

/* the i-th shape of a suite, or of the command line's of that rank */
static bool shape_at(const bench *b, int rank, const bench_shape *own, size_t nown, size_t i, bench_shape *s)
{
    size_t at = 0;
    if (!b->shapes.n) {
        *s = i < nown ? own[i] : *s;
        return i < nown;
    }
    for (uint32_t k = 0; k < b->shapes.n; k++)
        if (b->shapes.at[k].rank == rank && at++ == i) {
            *s = b->shapes.at[k];
            return true;
        }
    return false;
}

static bool has_kind(const hands *list, hand_kind k)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (list->at[i].kind == k)
            return true;
    return false;
}

static bool start(bench *b, hands *list)
{
    if (!b->threads)
        b->threads = pool_new(0);
    return hand_scan(b, list);
}

bool bench_gpu_gemm(bench *b)
{
    hands list = {0};
    tile_error err = {0};
    bench_shape s = {{0}, 0};
    if (!start(b, &list))
        return false;
    if (!has_kind(&list, HAND_GEMM))
        return true;
    blas *l = bench_has(b->peers, "cublas") ? blas_open(b, &err) : NULL;
    if (!l && bench_has(b->peers, "cublas"))
        bench_say("%s", err.text);
    bool ok = true;
    for (size_t i = 0; shape_at(b, 3, gemm_shapes, COUNTOF(gemm_shapes), i, &s); i++) {
        ok &= gemm_shape(b, &list, l, &s, TILE_F16);
        ok &= gemm_shape(b, &list, l, &s, TILE_BF16);
    }
    blas_close(l);
    return ok;
}

/* ---- attention ---- */

static bool attn_shape(bench *b, const hands *list, const bench_shape *s, bool causal)
{
    const int64_t *d = s->d;
    ring r = {.b = b,
              .work = "attn",
              .dt = TILE_F16,
              .told = {{d[0], d[1], d[2], d[3], causal}, 5},
              .shape = {{d[0] * d[1], d[2], d[3]}, 3}};
    our ours[MAX_OURS];
    int n = 0;
    bool ok = true;
    char request[128];
    remote_work w;
    r.flops = 4 * (double)(d[0] * d[1]) * (double)d[2] * (double)d[2] * (double)d[3] * (causal ? 0.5 : 1);
    for (uint32_t i = 0; i < list->n && ok; i++) {
        const hand *h = &list->at[i];
        if (h->kind != HAND_ATTN || h->causal != causal || !hand_fits(h, &r.shape) || n == MAX_OURS)
            continue;
        if (n == 0)
            ok = open_sets(&r, h);
        ok = ok && enter_ours(&r, &ours[n++], h);
    }
    snprintf(request, sizeof request, "cudnn attn %lld %lld %lld %lld %d", (long long)d[0], (long long)d[1],
             (long long)d[2], (long long)d[3], causal);
    if (r.n) {
        enter_remote(&r, &w, 0, "cudnn", request);
        ok &= contest(&r);
        remote_drop(b);
    }
    for (int i = 0; i < n; i++)
        tile_module_close(ours[i].mod);
    close_sets(&r);
    return ok;
}

static const bench_shape attn_shapes[] = {
    {{4, 32, 4096, 128}, 4}, {{1, 32, 16384, 128}, 4}, {{4, 32, 4096, 64}, 4}, {{1, 32, 16384, 64}, 4}};

bool bench_gpu_attn(bench *b)
{
    hands list = {0};
    bench_shape s = {{0}, 0};
    bool ok = start(b, &list);
    for (size_t i = 0; ok && shape_at(b, 4, attn_shapes, COUNTOF(attn_shapes), i, &s); i++) {
        ok &= attn_shape(b, &list, &s, false);
        ok &= attn_shape(b, &list, &s, true);
    }
    return ok;
}

/* ---- norms ---- */

typedef struct copy_side {
    bench *b;
    void *from, *to;
} copy_side;

/* not as a graph: a copy in one is done by another engine, at four fifths of the speed */
static bool copy_block(void *ctx, double seconds, double *us, tile_error *err)
{
    copy_side *c = ctx;
    tile_device *d = c->b->dev;
    tile_event *from = tile_event_create(d, err), *to = from ? tile_event_create(d, err) : NULL;
    int n = (int)(seconds / 700e-6) + 1; /* about 3 TB/s */
    double t = 0;
    bool ok = to && tile_copy(d, NULL, c->to, c->from, COPY_BYTES, err) == TILE_OK &&
              tile_event_record(from, NULL, err) == TILE_OK;
    for (int i = 0; i < n && ok; i++)
        ok = tile_copy(d, NULL, c->to, c->from, COPY_BYTES, err) == TILE_OK;
    ok = ok && tile_event_record(to, NULL, err) == TILE_OK && tile_event_elapsed(from, to, &t, err) == TILE_OK;
    tile_event_destroy(from);
    tile_event_destroy(to);
    *us = t * 1e6 / n;
    return ok;
}

static bool open_copy(copy_side *c)
{
    tile_error err = {0};
    uint16_t *bits = data_memory(COPY_BYTES);
    data_normal(c->b, TILE_F16, 9, 1, COPY_BYTES / 2, bits, NULL);
    c->from = tile_alloc(c->b->dev, COPY_BYTES, &err);
    c->to = c->from ? tile_alloc(c->b->dev, COPY_BYTES, &err) : NULL;
    bool ok = c->to && tile_write(c->b->dev, c->from, bits, COPY_BYTES, &err) == TILE_OK;
    free(bits);
    if (!ok)
        bench_say("%s", err.text);
    return ok;
}

/* a kernel for rows many times as long is left out where one for shorter rows does */
static bool worth(const hands *list, const hand *h, const bench_shape *s)
{
    if (!hand_fits(h, s))
        return false;
    for (uint32_t i = 0; i < list->n && h->most >= 8 * s->d[1]; i++)
        if (list->at[i].kind == h->kind && hand_fits(&list->at[i], s) && list->at[i].most < h->most)
            return false;
    return true;
}

static bool norm_shape(bench *b, const hands *list, hand_kind kind, const bench_shape *s, copy_side *c)
{
    ring r = {.b = b, .work = kind == HAND_RMSNORM ? "rmsnorm" : "softmax", .shape = *s, .told = *s, .dt = TILE_F16};
    our ours[MAX_OURS];
    int n = 0;
    bool ok = true;
    char request[128];
    static const char *const others[] = {"torch", "inductor"};
    remote_work w[COUNTOF(others)];
    r.bytes = 4 * (double)s->d[0] * (double)s->d[1];
    for (uint32_t i = 0; i < list->n && ok; i++) {
        const hand *h = &list->at[i];
        if (h->kind != kind || !worth(list, h, s) || n == MAX_OURS)
            continue;
        if (n == 0)
            ok = open_sets(&r, h);
        ok = ok && enter_ours(&r, &ours[n++], h);
    }
    if (r.n) {
        if (c->to)
            r.sides[r.n++] = (side){.peer = "copy", .block = copy_block, .ctx = c};
        for (size_t i = 0; i < COUNTOF(others); i++) {
            snprintf(request, sizeof request, "%s %s %lld %lld", others[i], r.work, (long long)s->d[0],
                     (long long)s->d[1]);
            enter_remote(&r, &w[i], (int)i, others[i], request);
        }
        ok &= contest(&r);
        remote_drop(b);
    }
    for (int i = 0; i < n; i++)
        tile_module_close(ours[i].mod);
    close_sets(&r);
    return ok;
}

static const bench_shape norm_shapes[] = {
    {{8192, 8192}, 2}, {{8192, 4096}, 2}, {{2048, 131072}, 2}, {{4096, 65536}, 2}};

bool bench_gpu_norm(bench *b)
{
    hands list = {0};
    bench_shape s = {{0}, 0};
    copy_side c = {.b = b};
    bool ok = start(b, &list);
    if (!ok || !(has_kind(&list, HAND_RMSNORM) || has_kind(&list, HAND_SOFTMAX)))
        return ok;
    if (bench_has(b->peers, "copy"))
        ok = open_copy(&c);
    for (size_t i = 0; ok && shape_at(b, 2, norm_shapes, COUNTOF(norm_shapes), i, &s); i++) {
        ok &= norm_shape(b, &list, HAND_RMSNORM, &s, &c);
        ok &= norm_shape(b, &list, HAND_SOFTMAX, &s, &c);
    }
    tile_free(b->dev, c.from);
    tile_free(b->dev, c.to);
    return ok;
}
