/* launch.c: all that the kernel tests know of the runtime: devices, modules, launches.
 *
 * A device is opened when first named; a module (a file under one choice of types and consts, on one device) is loaded
 * once and kept, so that a kernel is compiled once for all shapes that it is tested with.
 */
#include "tests/kernels/kit.h"

#include "runtime/tile.h"

typedef struct open_module {
    struct open_module *next;
    char key[KT_DEFS * 48 + 80];
    tile_module *mod;
} open_module;

static struct {
    const char *name;
    tile_device *dev;
} opened[8];
static open_module *modules;

_Static_assert((int)TILE_F8E5M2FNUZ == (int)DT_F8E5M2FNUZ && (int)TILE_BOOL == (int)DT_BOOL, "one numbering of dtypes");

static tile_device *device_of(const char *name, tile_error *e)
{
    size_t i = 0;
    for (; i < COUNTOF(opened) && opened[i].name; i++)
        if (!strcmp(opened[i].name, name))
            return opened[i].dev;
    tile_device *d = i < COUNTOF(opened) ? tile_device_open(name, e) : NULL;
    if (d) {
        opened[i].name = name;
        opened[i].dev = d;
    }
    return d;
}

static tile_module *module_of(const kt *t, const char *device, tile_error *e)
{
    char key[sizeof modules->key], path[120];
    int n = snprintf(key, sizeof key, "%s %s", device, t->file);
    const char *defines[KT_DEFS];
    for (int i = 0; i < t->ndefs; i++) {
        defines[i] = t->defs[i];
        n += snprintf(key + n, sizeof key - (size_t)n, " %s", t->defs[i]);
    }
    for (open_module *m = modules; m; m = m->next)
        if (!strcmp(m->key, key))
            return m->mod;
    tile_device *dev = device_of(device, e);
    if (!dev)
        return NULL;
    tile_options opt = {.defines = defines, .ndefines = t->ndefs};
    snprintf(path, sizeof path, "kernels/%s.tile", t->file);
    tile_module *mod = tile_module_from_file(dev, path, &opt, e);
    open_module *m = mod ? malloc(sizeof *m) : NULL;
    if (!m)
        return NULL;
    m->mod = mod;
    m->next = modules;
    memcpy(m->key, key, sizeof key);
    modules = m;
    return mod;
}

void kt_close_all(void)
{
    for (open_module *m = modules, *next; m; m = next) {
        next = m->next;
        tile_module_close(m->mod);
        free(m);
    }
    for (size_t i = 0; i < COUNTOF(opened) && opened[i].name; i++)
        tile_device_close(opened[i].dev);
}

const tile_tensor *kt_tensor(const kt_arg *a, tile_tensor *out)
{
    *out = (tile_tensor){.data = a->data, .dtype = (int32_t)a->dt, .rank = a->rank};
    for (int i = 0; i < a->rank; i++) {
        out->sizes[i] = a->sizes[i];
        out->strides[i] = a->strides[i];
    }
    return out;
}

static tile_arg argument(const kt_arg *a, tile_tensor *t)
{
    switch (a->kind) {
    case KT_INT:
        return tile_arg_int(a->i);
    case KT_REAL:
        return tile_arg_float(a->f);
    case KT_NONE:
        return tile_arg_none();
    case KT_IN:
    case KT_OUT:
    case KT_INOUT:
        break;
    }
    if (a->pointer) {
        tile_arg p = tile_arg_ptr(a->data, (tile_dtype)a->dt);
        p.bytes = a->room * dt_bytes(a->dt);
        return p;
    }
    return tile_arg_tensor(kt_tensor(a, t));
}

bool kt_launch(kt *t, const char *device, char *err, size_t nerr)
{
    tile_error e = {0};
    tile_module *m = module_of(t, device, &e);
    tile_kernel *k = m ? tile_kernel_find(m, t->kernel, &e) : NULL;
    tile_arg args[KT_ARGS];
    tile_tensor tensors[KT_ARGS];
    for (int i = 0; i < t->nargs; i++)
        args[i] = argument(&t->arg[i], &tensors[i]);
    bool ok = k && tile_launch(k, NULL, NULL, args, t->nargs, &e) == TILE_OK;
    if (!ok)
        snprintf(err, nerr, "code %d: %s", (int)e.code, e.text);
    return ok;
}
