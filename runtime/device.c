/* device.c: the device table, and what is the same for every device: opening by name, closing, memory.
 *
 * To add a device: a driver in a file of its own, and a row here.
 */
#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>

const rt_driver *const rt_drivers[] = {&rt_driver_cpu, &rt_driver_interp, NULL};

static const rt_driver *find_driver(str name)
{
    for (int i = 0; rt_drivers[i]; i++)
        if (str_eq(name, str_of(rt_drivers[i]->name)))
            return rt_drivers[i];
    return NULL;
}

static void unknown_device(const char *name, tile_error *err)
{
    arena a;
    strbuf b;
    arena_init(&a, 0);
    sb_init(&b, &a);
    for (int i = 0; rt_drivers[i]; i++)
        sb_putf(&b, "%s'%s'", i ? ", " : "", rt_drivers[i]->name);
    rt_fail(err, TILE_E_MISSING, "unknown device '%s', expected one of %.*s", name ? name : "", STR_ARG(sb_str(&b)));
    arena_fini(&a);
}

tile_device *tile_device_open(const char *name, tile_error *err)
{
    const rt_driver *drv = find_driver(str_of(name));
    str why = {0};
    rt_clear(err);
    if (!drv) {
        unknown_device(name, err);
        return NULL;
    }
    tile_device *d = calloc(1, sizeof *d);
    if (!d) {
        rt_fail(err, TILE_E_MEMORY, "no memory for a device");
        return NULL;
    }
    d->driver = drv;
    arena_init(&d->a, 0);
    pthread_mutex_init(&d->lock, NULL);
    if (drv->target)
        d->backend = backend_find(str_of(drv->target), &d->target, &d->a);
    if (drv->target && !d->backend)
        why = S("this build has no code generator for it");
    else if (drv->open(d, &d->a, &why))
        return d;
    rt_fail(err, TILE_E_DEVICE, "cannot open device '%s': %.*s", name, STR_ARG(why));
    pthread_mutex_destroy(&d->lock);
    arena_fini(&d->a);
    free(d);
    return NULL;
}

void tile_device_close(tile_device *d)
{
    if (!d)
        return;
    d->driver->close(d);
    free(d->scratch);
    pthread_mutex_destroy(&d->lock);
    arena_fini(&d->a);
    free(d);
}

void tile_device_on_print(tile_device *d, tile_print_fn *fn, void *ctx)
{
    pthread_mutex_lock(&d->lock);
    d->print = fn;
    d->print_ctx = ctx;
    pthread_mutex_unlock(&d->lock);
}

/* ---- memory: every device so far works on the host's ---- */

void *tile_alloc(tile_device *d, int64_t bytes, tile_error *err)
{
    void *p = NULL;
    (void)d;
    rt_clear(err);
    if (bytes < 0 || bytes >= (int64_t)1 << 46 || posix_memalign(&p, 64, bytes ? (size_t)bytes : 64) != 0) {
        rt_fail(err, TILE_E_MEMORY, "no memory for %lld bytes", (long long)bytes);
        return NULL;
    }
    return p;
}

void tile_free(tile_device *d, void *p)
{
    (void)d;
    free(p);
}

int tile_write(tile_device *d, void *to, const void *from_host, int64_t bytes, tile_error *err)
{
    rt_clear(err);
    if (bytes < 0)
        return rt_fail(err, TILE_E_ARGUMENT, "cannot copy %lld bytes", (long long)bytes);
    pthread_mutex_lock(&d->lock);
    if (bytes)
        memcpy(to, from_host, (size_t)bytes);
    pthread_mutex_unlock(&d->lock);
    return TILE_OK;
}

int tile_read(tile_device *d, void *to_host, const void *from, int64_t bytes, tile_error *err)
{
    return tile_write(d, to_host, from, bytes, err);
}

int64_t tile_dtype_bytes(tile_dtype type)
{
    return type > TILE_ANY && (int)type < DT_COUNT ? dt_bytes((dtype)type) : 0;
}

tile_tensor tile_tensor_of(void *data, tile_dtype type, int32_t rank, const int64_t *sizes)
{
    tile_tensor t = {.data = data, .dtype = (int32_t)type, .rank = rank};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        if (i < TILE_MAX_RANK) {
            t.sizes[i] = sizes[i];
            t.strides[i] = stride;
        }
        stride *= sizes[i] > 1 ? sizes[i] : 1;
    }
    return t;
}

const char *tile_version(void)
{
    return "0.1.0";
}

_Static_assert((int)TILE_BOOL == DT_BOOL && (int)TILE_I64 == DT_I64 && (int)TILE_U64 == DT_U64 &&
                   (int)TILE_F16 == DT_F16 && (int)TILE_F64 == DT_F64 && (int)TILE_F8E5M2FNUZ == DT_F8E5M2FNUZ &&
                   (int)TILE_F8E5M2FNUZ + 1 == DT_COUNT,
               "tile_dtype follows types.def");
_Static_assert(TILE_MAX_RANK == IR_MAX_TENSOR_RANK, "tensor ranks agree");
_Static_assert(sizeof(tile_error) == 4096, "tile_error is a page");
