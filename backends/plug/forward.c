/* forward.c: stands in for the code generators in programs that shall not load LLVM before they need it.
 *
 * The first call that wants one opens the library beside this one (libtile_llvm.so, by the run path of whoever holds
 * this file; TILE_LLVM names another file), which stays open. It must be of the same build: the two share their
 * structs. Where it can't be had, backend_missing says why, and compiling is a diagnostic. The driver libraries are
 * the other thing in the process that is opened once and kept.
 */
#include "backends/backend.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TILE_PLUG
#define TILE_PLUG "libtile_llvm.so"
#endif

static struct {
    pthread_once_t once;
    const tile_codegen *table;
    char why[512];
} plug = {.once = PTHREAD_ONCE_INIT};

static void open_plug(void)
{
    const char *named = getenv("TILE_LLVM"), *path = named && *named ? named : TILE_PLUG;
    void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const tile_codegen *t = lib ? dlsym(lib, "tile_codegen_table") : NULL;
    if (!t)
        snprintf(plug.why, sizeof plug.why, "the code generator can't be opened: %s", dlerror());
    else if (strcmp(t->build, codegen_build_id) != 0)
        snprintf(plug.why, sizeof plug.why, "the code generator '%s' is of another build than this library", path);
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

str cpu_host_describe(arena *a)
{
    return codegen() ? plug.table->cpu_host_describe(a) : S("unknown");
}

bool gpu_compile(arena *a, const ir_module *m, const ir_func *k, const backend_target *t, gpu_code *out, diags *d)
{
    return codegen() ? plug.table->gpu_compile(a, m, k, t, out, d) : missing(d);
}
