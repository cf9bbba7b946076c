/* host.c: the abi_host that kernels run under: device_print becomes one line for the device's printer, the first fault
 * is kept as "file:line: text (program x, y, z)". Called from any worker.
 */
#include "runtime/runtime.h"

#include "runtime/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void host_print(abi_host *abi, const char *text, const int64_t pid[3], int dt, int64_t n, const void *data,
                       int hex)
{
    rt_host *h = (rt_host *)(void *)abi;
    arena a;
    strbuf b;
    size_t w = (size_t)dt_bytes((dtype)dt);
    arena_init(&a, 0);
    sb_init(&b, &a);
    sb_putf(&b, "program (%lld, %lld, %lld) %s", (long long)pid[0], (long long)pid[1], (long long)pid[2], text);
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits = 0;
        memcpy(&bits, (const char *)data + (size_t)i * w, w);
        sb_putc(&b, ' ');
        if (hex)
            sb_putf(&b, "0x%0*llx", (int)w * 2, (unsigned long long)bits);
        else
            rt_element_show((dtype)dt, &bits, &b);
    }
    sb_putc(&b, 0);
    pthread_mutex_lock(&h->lock);
    if (h->dev->print)
        h->dev->print(h->dev->print_ctx, b.at);
    else
        puts(b.at);
    pthread_mutex_unlock(&h->lock);
    arena_fini(&a);
}

static void host_fault(abi_host *abi, const char *text, const char *file, int line, const int64_t pid[3])
{
    rt_host *h = (rt_host *)(void *)abi;
    char place[300] = "";
    if (line > 0) /* IR written by hand has no lines */
        snprintf(place, sizeof place, "%s:%d: ", file ? file : "?", line);
    pthread_mutex_lock(&h->lock);
    if (!h->fault[0])
        snprintf(h->fault, sizeof h->fault, "%s%s (program %lld, %lld, %lld)", place, text, (long long)pid[0],
                 (long long)pid[1], (long long)pid[2]);
    abi->stopped = 1;
    pthread_mutex_unlock(&h->lock);
}

/* launches of a device come one after the other, so they have one block */
static void *host_shared(abi_host *abi, int64_t zeroed, int64_t bytes)
{
    rt_host *h = (rt_host *)(void *)abi;
    tile_device *d = h->dev;
    int64_t all;
    void *p = NULL;
    if (zeroed < 0 || bytes < 0 || __builtin_add_overflow(zeroed, bytes, &all) || all > (int64_t)1 << 46)
        return NULL;
    pthread_mutex_lock(&h->lock);
    if (!h->shared && all > d->shared_bytes && posix_memalign(&p, 4096, (size_t)all) == 0) {
        free(d->shared);
        d->shared = p;
        d->shared_bytes = all;
    }
    if (!h->shared && d->shared && all <= d->shared_bytes)
        h->shared = memset(d->shared, 0, (size_t)zeroed);
    pthread_mutex_unlock(&h->lock);
    return h->shared;
}

void rt_host_init(rt_host *h, tile_device *dev)
{
    h->abi = (abi_host){.print = host_print, .fault = host_fault, .shared = host_shared};
    h->shared = NULL;
    h->dev = dev;
    h->fault[0] = 0;
    pthread_mutex_init(&h->lock, NULL);
}

void rt_host_fini(rt_host *h)
{
    pthread_mutex_destroy(&h->lock);
}
