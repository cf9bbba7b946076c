/* forward.c: stands in for the code generators in programs that shall not load LLVM before they need it.
 *
 * The first call that wants one opens libtile_llvm.so, which stays open. It is looked for beside the file that holds
 * this code (libtile.so, or a program), in ../lib and in the folders above (a build's), then where the system looks;
 * TILE_LLVM names another file. (A run path would do as well, but the loader then tries every folder of it for every
 * library at each start.) It must be of the same build: the two share their structs. Where it can't be had,
 * backend_missing says why, and compiling is a diagnostic. The driver libraries are the other thing in the process that
 * is opened once and kept.
 */
#include "backends/backend.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef TILE_PLUG
#define TILE_PLUG "libtile_llvm.so"
#endif

static struct {
    pthread_once_t once;
    const tile_codegen *table;
    char why[512];
} plug = {.once = PTHREAD_ONCE_INIT};

/* the folder of the file that holds this code; of a program, whose name is as it was called, the system tells it */
static bool own_folder(char *out, size_t n)
{
    Dl_info info;
    ssize_t len = -1;
    if (dladdr((const void *)&plug, &info) && info.dli_fname && info.dli_fname[0] == '/')
        len = snprintf(out, n, "%s", info.dli_fname);
    else
        len = readlink("/proc/self/exe", out, n - 1);
    if (len <= 0 || (size_t)len >= n)
        return false;
    out[len] = 0;
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = 0;
    return slash != NULL;
}

static const char *find_plug(char *path, size_t n)
{
    static const char *const places[] = {"", "/../lib", "/..", "/../.."};
    char folder[PATH_MAX];
    for (size_t i = 0; i < COUNTOF(places) && own_folder(folder, sizeof folder); i++)
        if (snprintf(path, n, "%s%s/%s", folder, places[i], TILE_PLUG) < (int)n && access(path, F_OK) == 0)
            return path;
    return TILE_PLUG;
}

static void open_plug(void)
{
    char found[PATH_MAX];
    const char *named = getenv("TILE_LLVM"), *path = named && *named ? named : find_plug(found, sizeof found);
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const tile_codegen *t = lib ? dlsym(lib, "tile_codegen_table") : NULL;
    if (!t)
        snprintf(plug.why, sizeof plug.why, "the code generator can't be opened: %s", dlerror());
    else if (strcmp(t->build, codegen_build_id) != 0)
        snprintf(plug.why, sizeof plug.why, "the code generator '%.400s' is of another build than this library", path);
    else
        plug.table = t;
}

static const tile_codegen *codegen(void)
{
    pthread_once(&plug.once, open_plug);
    return plug.table;
}

const char *backend_missing(void)
{
    return codegen() ? NULL : plug.why;
}

const tile_backend *backend_at(uint32_t i)
{
    return codegen() ? plug.table->at(i) : NULL;
}

const tile_backend *backend_find(str target, backend_target *out, arena *a)
{
    return codegen() ? plug.table->find(target, out, a) : NULL;
}

static bool missing(diags *d)
{
    diag_report(d, DIAG_ERROR, "codegen", (span){0}, "%s", plug.why);
    return false;
}

bool cpu_object(arena *a, const ir_module *m, const ir_func *k, int opt_level, str *object, cpu_info *info, diags *d)
{
    return codegen() ? plug.table->cpu_object(a, m, k, opt_level, object, info, d) : missing(d);
}

bool cpu_object_for(arena *a, const ir_func *k, const backend_target *t, str *object, cpu_info *info, diags *d)
{
    return codegen() ? plug.table->cpu_object_for(a, k, t, object, info, d) : missing(d);
}

bool cpu_explain(arena *a, const ir_func *k, const backend_target *t, cpu_facts *out, diags *d)
{
    return codegen() ? plug.table->cpu_explain(a, k, t, out, d) : missing(d);
}

str cpu_host_describe(arena *a)
{
    return codegen() ? plug.table->cpu_host_describe(a) : S("unknown");
}

bool gpu_compile(arena *a, const ir_module *m, const ir_func *k, const backend_target *t, gpu_code *out, diags *d)
{
    return codegen() ? plug.table->gpu_compile(a, m, k, t, out, d) : missing(d);
}
