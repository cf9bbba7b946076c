/* tile_bench_hand.c: the laid-out kernels of a folder, by the names of their files.
 *
 *   gemm[_bf16][_...].tir          @gemm(a, b, c)            c[M,N] = a[M,K] b[N,K]^T; M any, N and K multiples of 8
 *   fa_d64[_causal][_...].tir      @fa(q, k, v, o, scale)    [BH,S,D]
 *   rmsnorm_8k, _128k, _any        @rmsnorm(x, w, y, eps)    rows of at most so many elements, multiples of 8
 *   softmax_...                    @softmax(x, y)            (any: of at most 8192, of every length)
 *
 * A name that says nothing of rows is taken as 8k. --only=WORD keeps the files whose names contain WORD.
 */
#include "tools/tile_bench.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *prefix, *entry;
} kinds[HAND_KINDS] = {
    [HAND_GEMM] = {"gemm", "gemm"},
    [HAND_ATTN] = {"fa_", "fa"},
    [HAND_RMSNORM] = {"rmsnorm", "rmsnorm"},
    [HAND_SOFTMAX] = {"softmax", "softmax"},
};

/* the number before "k" in "_128k", times 1024 */
static int64_t row_limit(const char *name)
{
    for (const char *p = strchr(name, '_'); p; p = strchr(p + 1, '_')) {
        char *end;
        long n = strtol(p + 1, &end, 10);
        if (end != p + 1 && *end == 'k' && n > 0 && n <= 1024)
            return n * 1024;
    }
    return 8192;
}

static bool describe(hand *h)
{
    int k = 0;
    while (k < HAND_KINDS && strncmp(h->name, kinds[k].prefix, strlen(kinds[k].prefix)) != 0)
        k++;
    if (k == HAND_KINDS)
        return false;
    h->kind = (hand_kind)k;
    h->dt = strstr(h->name, "bf16") ? TILE_BF16 : TILE_F16;
    h->causal = strstr(h->name, "causal") != NULL;
    h->head = strstr(h->name, "d128") ? 128 : 64;
    h->unit = strstr(h->name, "any") ? 1 : 8;
    h->most = h->kind == HAND_RMSNORM || h->kind == HAND_SOFTMAX ? row_limit(h->name) : INT32_MAX;
    return true;
}

static int by_name(const void *x, const void *y)
{
    return strcmp(((const hand *)x)->name, ((const hand *)y)->name);
}

bool hand_scan(bench *b, hands *out)
{
    DIR *d = opendir(b->kernels);
    if (!d) {
        bench_say("no folder '%s'", b->kernels);
        return false;
    }
    for (struct dirent *e; (e = readdir(d));) {
        str file = str_of(e->d_name);
        if (!str_ends(file, S(".tir")))
            continue;
        hand h = {.path = str_cstr(&b->a, str_fmt(&b->a, "%s/%s", b->kernels, e->d_name)),
                  .name = str_cstr(&b->a, (str){file.p, file.n - 4})};
        bool wanted = (!b->only || strstr(h.name, b->only)) && describe(&h);
        if (wanted && (!b->dtype || strcmp(b->dtype, data_name(h.dt)) == 0))
            vec_push(&b->a, out, h);
    }
    closedir(d);
    if (out->n)
        qsort(out->at, out->n, sizeof *out->at, by_name);
    else
        bench_say("no kernel to run in '%s'", b->kernels);
    return out->n > 0;
}

bool hand_fits(const hand *h, const bench_shape *s)
{
    switch (h->kind) {
    case HAND_GEMM:
        return s->rank == 3 && s->d[1] % 8 == 0 && s->d[2] % 8 == 0;
    case HAND_ATTN:
        return s->rank == 3 && s->d[2] == h->head;
    case HAND_RMSNORM:
    case HAND_SOFTMAX:
        return s->rank == 2 && s->d[1] <= h->most && s->d[1] % h->unit == 0;
    case HAND_KINDS:
        break;
    }
    return false;
}

const char *hand_entry(const hand *h)
{
    return kinds[h->kind].entry;
}

tile_kernel *hand_open(bench *b, const hand *h, tile_module **mod, tile_error *err)
{
    *mod = tile_module_from_file(b->dev, h->path, NULL, err);
    return *mod ? tile_kernel_find(*mod, hand_entry(h), err) : NULL;
}

int64_t hand_count(const hand *h, const bench_shape *s, char which)
{
    const int64_t *d = s->d;
    switch (h->kind) {
    case HAND_GEMM:
        return which == 'a' ? d[0] * d[2] : which == 'b' ? d[1] * d[2] : which == 'c' ? d[0] * d[1] : 0;
    case HAND_ATTN:
        return d[0] * d[1] * d[2];
    case HAND_RMSNORM:
        return which == 'w' ? d[1] : which == 'b' ? 0 : d[0] * d[1];
    case HAND_SOFTMAX:
        return which == 'a' || which == 'c' ? d[0] * d[1] : 0;
    case HAND_KINDS:
        break;
    }
    return 0;
}

static void add_tensor(hand_call *c, const hand *h, void *p, int rank, const int64_t *sizes)
{
    c->t[c->n] = tile_tensor_of(p, h->dt, rank, sizes);
    c->args[c->n] = tile_arg_tensor(&c->t[c->n]);
    c->n++;
}

void hand_bind(hand_call *c, const hand *h, const bench_shape *s, hand_data d, double scale)
{
    const int64_t *n = s->d;
    c->n = 0;
    switch (h->kind) {
    case HAND_GEMM:
        add_tensor(c, h, d.a, 2, (int64_t[]){n[0], n[2]});
        add_tensor(c, h, d.b, 2, (int64_t[]){n[1], n[2]});
        add_tensor(c, h, d.c, 2, (int64_t[]){n[0], n[1]});
        return;
    case HAND_ATTN:
        add_tensor(c, h, d.a, 3, n);
        add_tensor(c, h, d.b, 3, n);
        add_tensor(c, h, d.w, 3, n);
        add_tensor(c, h, d.c, 3, n);
        break;
    case HAND_RMSNORM:
        add_tensor(c, h, d.a, 2, n);
        add_tensor(c, h, d.w, 1, n + 1);
        add_tensor(c, h, d.c, 2, n);
        break;
    case HAND_SOFTMAX:
        add_tensor(c, h, d.a, 2, n);
        add_tensor(c, h, d.c, 2, n);
        return;
    case HAND_KINDS:
        return;
    }
    c->args[c->n++] = tile_arg_float(scale);
}
