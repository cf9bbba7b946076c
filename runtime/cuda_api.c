/* cuda_api.c: the driver's library, its entry points, and its errors in words.
 *
 * The library is opened once a device (dlopen counts) and never linked against, so that a program that uses other
 * devices runs where there is no driver. TILE_CUDA_LIBRARY names another file than libcuda.so.1.
 *
 * An error of the driver is one of two: it says no to one call; or the context is gone (an illegal access, a lost
 * device: what `stays` lists), and each further call would fail with the same number. Such a device is marked broken:
 * the call that found it and all later ones fail with the same text, which names the kernels that may be at fault.
 */
#include "runtime/cuda.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef cu_result get_entry(const char *, void **, int, uint64_t, int *);

static bool no_entry(arena *a, str *why, const char *path, const char *name)
{
    *why = str_fmt(a, "the driver's library '%s' has no '%s': a driver of CUDA %d.%d or later is needed", path, name,
                   CUDA_VERSION_NEEDED / 1000, CUDA_VERSION_NEEDED % 1000 / 10);
    return false;
}

bool cuda_api_open(cuda_api *p, arena *a, str *why)
{
    const char *named = getenv("TILE_CUDA_LIBRARY"), *path = named && *named ? named : "libcuda.so.1";
    *p = (cuda_api){.lib = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    if (!p->lib) {
        *why = str_fmt(a, "no NVIDIA driver: %s", dlerror());
        return false;
    }
    get_entry *get = NULL;
    *(void **)&get = dlsym(p->lib, "cuGetProcAddress_v2");
    if (!get)
        return no_entry(a, why, path, "cuGetProcAddress_v2");
    int found = 0;
#define ENTRY(name, params)                                                                                            \
    if (get(#name, (void **)&p->name, CUDA_VERSION_NEEDED, 0, &found) != 0 || !p->name)                                \
        return no_entry(a, why, path, #name);
    CUDA_ENTRIES(ENTRY)
#undef ENTRY
    return true;
}

void cuda_api_close(cuda_api *p)
{
    if (p->lib)
        dlclose(p->lib);
    p->lib = NULL;
}

const char *cuda_words(const cuda_api *p, cu_result r, char *buf, size_t n)
{
    const char *name = NULL, *text = NULL;
    p->cuGetErrorName(r, &name);
    p->cuGetErrorString(r, &text);
    if (name && text)
        snprintf(buf, n, "%s: %s", name, text);
    else
        snprintf(buf, n, "error %d", r);
    return buf;
}

static const struct {
    cu_result number;
    tile_code code;
    const char *words;
} stays[] = {
    {700, TILE_E_FAULT, "an access to an illegal address"},
    {702, TILE_E_FAULT, "a kernel that ran longer than the driver allows"},
    {710, TILE_E_FAULT, "a failed assertion"},
    {714, TILE_E_FAULT, "a corrupt call stack"},
    {715, TILE_E_FAULT, "an illegal instruction or a trap"},
    {716, TILE_E_FAULT, "an access to a misaligned address"},
    {717, TILE_E_FAULT, "an access to an address of the wrong memory space"},
    {718, TILE_E_FAULT, "a jump to an illegal address"},
    {719, TILE_E_FAULT, "a launch that failed on the device"},
    {4, TILE_E_DEVICE, "the device is lost: the driver has shut down"},
    {46, TILE_E_DEVICE, "the device is lost: another process holds it"},
    {214, TILE_E_DEVICE, "the device is lost: an uncorrectable memory error"},
    {220, TILE_E_DEVICE, "the device is lost: an uncorrectable error of its links"},
    {226, TILE_E_DEVICE, "the device is lost: an error that was contained"},
    {709, TILE_E_DEVICE, "the device is lost: its context was destroyed"},
    {810, TILE_E_DEVICE, "the device is lost: its server process ended"},
    {999, TILE_E_DEVICE, "the device is lost"},
};

static void break_device(cuda_device *c, cu_result r, size_t row)
{
    char words[256], who[256] = "";
    if (c->launches == 1)
        snprintf(who, sizeof who, ", in kernel '%s'", c->last);
    else if (c->launches > 1)
        snprintf(who, sizeof who, ", in one of the last %llu launches, the newest of kernel '%s'",
                 (unsigned long long)c->launches, c->last);
    snprintf(c->fault, sizeof c->fault, "%s%s%s (%s)", stays[row].code == TILE_E_FAULT ? "the device faulted: " : "",
             stays[row].words, who, cuda_words(&c->api, r, words, sizeof words));
    c->broken = stays[row].code;
}

bool cuda_stays(cu_result r)
{
    for (size_t i = 0; i < COUNTOF(stays); i++)
        if (stays[i].number == r)
            return true;
    return false;
}

bool cuda_usable(cuda_device *c, tile_error *err)
{
    if (c->broken != TILE_OK)
        rt_fail(err, c->broken, "%s", c->fault);
    return c->broken == TILE_OK;
}

bool cuda_ok(cuda_device *c, cu_result r, const char *what, tile_error *err)
{
    char words[256];
    if (r == 0)
        return true;
    for (size_t i = 0; i < COUNTOF(stays); i++)
        if (stays[i].number == r) {
            if (c->broken == TILE_OK)
                break_device(c, r, i);
            return cuda_usable(c, err);
        }
    rt_fail(err, r == CU_OUT_OF_MEMORY ? TILE_E_MEMORY : TILE_E_DEVICE, "%s: %s", what,
            cuda_words(&c->api, r, words, sizeof words));
    return false;
}

bool cuda_enter(cuda_device *c, tile_error *err)
{
    return cuda_usable(c, err) && cuda_ok(c, c->api.cuCtxPushCurrent(c->ctx), "cuCtxPushCurrent", err);
}

void cuda_leave(cuda_device *c)
{
    cu_context dropped;
    c->api.cuCtxPopCurrent(&dropped);
}
