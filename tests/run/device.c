/* device.c: all that the operator matrix knows of the runtime: devices, modules, launches.
 *
 * Devices are opened when first named and stay open; each case compiles a module of its own. What must be refused goes
 * to the front end alone.
 */
#include "tests/run/run.h"

#include "frontend/frontend.h"
#include "runtime/runtime.h"

typedef struct open_device {
    const char *name;
    tile_device *dev;
} open_device;

static open_device opened[8];
static int last_narrow = -1;
static char printed[4096];

_Static_assert((int)TILE_F8E5M2FNUZ == (int)DT_F8E5M2FNUZ && (int)TILE_BOOL == (int)DT_BOOL, "one numbering of dtypes");

static void keep_line(void *ctx, const char *line)
{
    (void)ctx;
    size_t n = strlen(printed);
    snprintf(printed + n, sizeof printed - n, "%s\n", line);
}

static tile_device *device_of(const char *name, tile_error *e)
{
    size_t i = 0;
    for (; i < COUNTOF(opened) && opened[i].name; i++)
        if (!strcmp(opened[i].name, name))
            return opened[i].dev;
    if (i == COUNTOF(opened))
        return NULL;
    tile_device *d = tile_device_open(name, e);
    if (!d)
        return NULL;
    tile_device_on_print(d, keep_line, NULL);
    opened[i] = (open_device){name, d};
    return d;
}

void device_close_all(void)
{
    for (size_t i = 0; i < COUNTOF(opened) && opened[i].name; i++)
        tile_device_close(opened[i].dev);
}

static tile_arg argument(const rarg *a, tile_tensor *t)
{
    if (a->kind == ARG_INT)
        return tile_arg_int(a->i);
    if (a->kind == ARG_REAL)
        return tile_arg_float(a->f);
    if (a->kind == ARG_NONE)
        return tile_arg_none();
    if (!a->rank) {
        tile_arg p = tile_arg_ptr(a->data, (tile_dtype)a->dt);
        p.bytes = a->n * dt_bytes(a->dt);
        return p;
    }
    *t = (tile_tensor){.data = a->data, .dtype = (int32_t)a->dt, .rank = a->rank};
    for (int i = 0; i < a->rank; i++) {
        t->sizes[i] = a->sizes[i];
        t->strides[i] = a->strides[i];
    }
    return tile_arg_tensor(t);
}

static bool launch(tile_module *m, const rcase *c, tile_error *e)
{
    tile_kernel *k = tile_kernel_find(m, "k", e);
    if (!k)
        return false;
    tile_arg args[RUN_MAX_ARGS];
    tile_tensor tensors[RUN_MAX_ARGS];
    for (int i = 0; i < c->nargs; i++)
        args[i] = argument(&c->arg[i], &tensors[i]);
    bool ok = tile_launch(k, NULL, c->grid, args, c->nargs, e) == TILE_OK;
    last_narrow = -1;
    if (ok && k->last && k->last->variants.n)
        last_narrow = vec_last(&k->last->variants)->narrow;
    return ok;
}

const char *device_printed(void)
{
    return printed;
}
int device_narrow(void)
{
    return last_narrow;
}

bool device_run(arena *a, const char *device, str text, const rcase *c, str *err)
{
    tile_error e = {0};
    bool ok = false;
    printed[0] = 0;
    tile_device *d = device_of(device, &e);
    int ndefines = 0;
    while (ndefines < (int)COUNTOF(c->bind) && c->bind[ndefines])
        ndefines++;
    tile_options opt = {.defines = c->bind, .ndefines = ndefines, .checked = run.checked};
    tile_module *m = d ? tile_module_from_string(d, "case.tile", str_cstr(a, text), &opt, &e) : NULL;
    if (m) {
        ok = launch(m, c, &e);
        tile_module_close(m);
    }
    if (!ok)
        *err = str_fmt(a, "code %d: %s", (int)e.code, e.text);
    return ok;
}

/* as `tilec check` does it: no device takes part */
bool device_rejects(arena *a, str text, str *diagnostics)
{
    diags d;
    diags_init(&d, a);
    static const fe_options none = {0};
    fe_unit *u = fe_load(a, &d, S("case.tile"), text, &none);
    bool ok = u && fe_check(u) && !d.errors;
    strbuf out;
    sb_init(&out, a);
    diags_render(&d, DIAG_SHORT, &out);
    *diagnostics = sb_str(&out);
    return !ok;
}
