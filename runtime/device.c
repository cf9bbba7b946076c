/* device.c: what is the same for every device: opening by name, closing. The table of devices is in drivers.c.
 */
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "cpu", "cpu:threads=4", "cuda", "cuda:3"; NULL where there is no such device */
static const rt_driver *find_driver(str name, int *number)
{
    static const str setting = {"threads=", 8};
    str family = name, rest;
    for (size_t i = 0; i < name.n && family.n == name.n; i++)
        family.n = name.p[i] == ':' ? i : name.n;
    bool has_rest = family.n < name.n;
    const rt_driver *found = NULL;
    *number = 0;
    for (int i = 0; rt_drivers[i]; i++)
        if (str_eq(family, str_of(rt_drivers[i]->name)))
            found = rt_drivers[i];
    if (!has_rest || !found)
        return found;
    rest = (str){name.p + family.n + 1, name.n - family.n - 1};
    if (found->threaded && str_starts(rest, setting))
        rest = (str){rest.p + setting.n, rest.n - setting.n};
    else if (!found->numbered)
        return NULL;
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] < '0' || rest.p[i] > '9' || *number > 99999)
            return NULL;
        *number = *number * 10 + (rest.p[i] - '0');
    }
    return rest.n == 0 || (found->threaded && (*number < 1 || *number > POOL_MAX_THREADS)) ? NULL : found;
}

static void unknown_device(const char *name, tile_error *err)
{
    arena a;
    strbuf b;
    arena_init(&a, 0);
    sb_init(&b, &a);
    for (int i = 0; rt_drivers[i]; i++)
        sb_putf(&b, "%s'%s%s'", i ? ", " : "", rt_drivers[i]->name, rt_drivers[i]->numbered ? ":N" : "");
    rt_fail(err, TILE_E_MISSING, "unknown device '%s', expected one of %.*s", name ? name : "", STR_ARG(sb_str(&b)));
    arena_fini(&a);
}

const char *rt_family(const tile_device *d)
{
    return d->driver->numbered ? d->driver->name : "cpu";
}

static void free_device(tile_device *d)
{
    free(d->shared);
    pthread_mutex_destroy(&d->telling);
    pthread_mutex_destroy(&d->lock);
    arena_fini(&d->a);
    free(d);
}

typedef struct open_job {
    tile_device *d;
    str why;
    bool ok;
} open_job;

static void run_open(void *ctx)
{
    open_job *j = ctx;
    tile_device *d = j->d;
    const rt_driver *drv = d->driver;
    if (drv->target)
        d->target = (backend_target){.name = str_of(drv->target), .opt_level = 2};
    j->ok = drv->open(d, &d->a, &j->why);
}

tile_device *tile_device_open(const char *name, tile_error *err)
{
    int number;
    const rt_driver *drv = find_driver(str_of(name), &number);
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
    d->number = number;
    d->own.dev = d;
    snprintf(d->name, sizeof d->name, drv->numbered ? "%s:%d" : "%s", drv->name, number);
    arena_init(&d->a, 0);
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->telling, NULL);
    open_job j = {.d = d};
    if (!arena_try(&d->a, run_open, &j)) {
        j.ok = false;
        j.why = S("out of memory");
    }
    if (j.ok)
        return d;
    rt_fail(err, str_eq(j.why, S("out of memory")) ? TILE_E_MEMORY : TILE_E_DEVICE, "cannot open device '%s': %.*s",
            d->name, STR_ARG(j.why));
    free_device(d);
    return NULL;
}

void tile_device_close(tile_device *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    rt_stream_fini(&d->own);
    for (uint32_t i = 0; i < d->retired.n; i++)
        rt_free(d, d->retired.at[i]);
    pthread_mutex_unlock(&d->lock);
    d->driver->close(d);
    free_device(d);
}

void tile_device_on_print(tile_device *d, tile_print_fn *fn, void *ctx)
{
    pthread_mutex_lock(&d->lock);
    d->print = fn;
    d->print_ctx = ctx;
    pthread_mutex_unlock(&d->lock);
}

/* ---- memory: every device so far works on the host's ---- */

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
