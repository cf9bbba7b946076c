/* tile_bench_peer.c: other libraries: cuBLAS in this process by dlopen, on the device's own stream and our buffers; and
 * a process beside this one that times what it has (tools/bench_peer.py), asked for a block when its turn comes.
 *
 * cuBLAS is looked for as TILE_CUBLAS says, then by its names. It works in the device's primary context, which is ours,
 * so cuda:0 is the device it can share. It gets a workspace of its own, for a capture must not allocate.
 *
 * The other process is asked by lines and answers each with one: "prepare SLOT cudnn attn 4 32 4096 128 0" with "ok",
 * "time SLOT SECONDS" with the microseconds of one launch, "drop" (all slots) with "ok", and what fails with
 * "error WORDS". One that has ended is not started again.
 */
#include "tools/tile_bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool fail(tile_error *err, const char *fmt, ...) STR_PRINTF(2, 3);
static bool fail(tile_error *err, const char *fmt, ...)
{
    va_list ap;
    err->code = TILE_E_MISSING;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- cuBLAS ---- */

#define WORKSPACE ((int64_t)64 << 20)

enum { OP_N = 0, OP_T = 1, R_16F = 2, R_16BF = 14, COMPUTE_32F = 68, GEMM_DEFAULT = -1 }; /* cublas_api.h */

struct blas {
    bench *b;
    void *lib, *handle, *workspace;
    int (*destroy)(void *handle);
    int (*gemm)(void *handle, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int at, int lda,
                const void *b, int bt, int ldb, const void *beta, void *c, int ct, int ldc, int compute, int algo);
};

static void *find_library(void)
{
    static const char *const names[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so"};
    const char *named = getenv("TILE_CUBLAS");
    if (named)
        return dlopen(named, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < COUNTOF(names); i++) {
        void *p = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (p)
            return p;
    }
    return NULL;
}

/* a function pointer out of dlsym's, which C has no cast for */
static bool find(void *lib, const char *name, void *into)
{
    void *p = dlsym(lib, name);
    memcpy(into, &p, sizeof p);
    return p != NULL;
}

static bool set_up(blas *l, tile_error *err)
{
    int (*create)(void **), (*set_stream)(void *, void *), (*set_workspace)(void *, void *, size_t),
        (*version)(void *, int *);
    int v = 0;
    if (!find(l->lib, "cublasCreate_v2", &create) || !find(l->lib, "cublasDestroy_v2", &l->destroy) ||
        !find(l->lib, "cublasSetStream_v2", &set_stream) || !find(l->lib, "cublasSetWorkspace_v2", &set_workspace) ||
        !find(l->lib, "cublasGetVersion_v2", &version) || !find(l->lib, "cublasGemmEx", &l->gemm))
        return fail(err, "cuBLAS lacks a function that is needed: %s", dlerror());
    int r = create(&l->handle);
    if (r)
        return fail(err, "cublasCreate gives %d", r);
    l->workspace = tile_alloc(l->b->dev, WORKSPACE, err);
    if (!l->workspace)
        return false;
    r = set_stream(l->handle, tile_stream_native(l->b->dev, NULL));
    r = r ? r : set_workspace(l->handle, l->workspace, (size_t)WORKSPACE);
    r = r ? r : version(l->handle, &v);
    fprintf(stderr, "tile-bench: cuBLAS %d\n", v);
    return r ? fail(err, "cuBLAS could not be set up: %d", r) : true;
}

blas *blas_open(bench *b, tile_error *err)
{
    if (strcmp(b->device, "cuda:0") != 0 && strcmp(b->device, "cuda") != 0) {
        fail(err, "cuBLAS runs beside us on cuda:0 alone, not on '%s'", b->device);
        return NULL;
    }
    void *lib = find_library();
    if (!lib) {
        fail(err, "no cuBLAS: %s", dlerror());
        return NULL;
    }
    blas *l = data_memory((int64_t)sizeof *l);
    *l = (blas){.b = b, .lib = lib};
    if (set_up(l, err))
        return l;
    blas_close(l);
    return NULL;
}

void blas_close(blas *l)
{
    if (!l)
        return;
    if (l->handle)
        l->destroy(l->handle);
    tile_free(l->b->dev, l->workspace);
    dlclose(l->lib);
    free(l);
}

/* row-major, seen as column-major, is the transpose: c^T[n,m] = b[n,k] a[m,k]^T */
bool blas_gemm(blas *l, tile_dtype dt, int64_t m, int64_t n, int64_t k, const void *a, const void *b, void *c,
               tile_error *err)
{
    const float one = 1, none = 0;
    int t = dt == TILE_BF16 ? R_16BF : R_16F;
    int r = l->gemm(l->handle, OP_T, OP_N, (int)n, (int)m, (int)k, &one, b, t, (int)k, a, t, (int)k, &none, c, t,
                    (int)n, COMPUTE_32F, GEMM_DEFAULT);
    return r ? fail(err, "cublasGemmEx gives %d", r) : true;
}

/* ---- a process beside this one ---- */

struct remote {
    pid_t child;
    FILE *to, *from;
};

static remote *remote_open(bench *b, tile_error *err)
{
    int down[2], up[2];
    if (pipe(down) != 0 || pipe(up) != 0) {
        fail(err, "no pipe: %s", strerror(errno));
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN); /* one that has ended shows by what it answers */
    pid_t child = fork();
    if (child == 0) {
        dup2(down[0], 0);
        dup2(up[1], 1);
        close(down[1]);
        close(up[0]);
        execl("/bin/sh", "sh", "-c", b->peer_command, (char *)NULL);
        _exit(127);
    }
    close(down[0]);
    close(up[1]);
    remote *r = data_memory((int64_t)sizeof *r);
    *r = (remote){child, fdopen(down[1], "w"), fdopen(up[0], "r")};
    if (child > 0 && r->to && r->from)
        return r;
    fail(err, "no process for '%s': %s", b->peer_command, strerror(errno));
    remote_close(r);
    return NULL;
}

void remote_close(remote *r)
{
    if (!r)
        return;
    if (r->to)
        fclose(r->to);
    if (r->from)
        fclose(r->from);
    if (r->child > 0)
        waitpid(r->child, NULL, 0);
    free(r);
}

static bool ask(remote *r, const char *request, char *answer, size_t size, tile_error *err)
{
    fprintf(r->to, "%s\n", request);
    fflush(r->to);
    if (!fgets(answer, (int)size, r->from))
        return fail(err, "its process ended at '%s'", request);
    answer[strcspn(answer, "\n")] = 0;
    return strncmp(answer, "error", 5) != 0 || fail(err, "%s", answer);
}

bool remote_prepare(bench *b, remote_work *w, int slot, const char *request, tile_error *err)
{
    char words[256], answer[1024];
    if (!b->remote)
        b->remote = remote_open(b, err);
    if (!b->remote)
        return false;
    *w = (remote_work){b->remote, slot};
    snprintf(words, sizeof words, "prepare %d %s", slot, request);
    return ask(w->r, words, answer, sizeof answer, err);
}

void remote_drop(bench *b)
{
    char answer[1024];
    tile_error unheard;
    if (b->remote)
        (void)ask(b->remote, "drop", answer, sizeof answer, &unheard);
}

bool remote_block(void *work, double seconds, double *us, tile_error *err)
{
    const remote_work *w = work;
    char request[64], answer[1024], *end;
    snprintf(request, sizeof request, "time %d %g", w->slot, seconds);
    if (!ask(w->r, request, answer, sizeof answer, err))
        return false;
    *us = strtod(answer, &end);
    return (end != answer && *us > 0) || fail(err, "it answered '%s'", answer);
}
