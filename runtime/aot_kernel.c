/* aot_kernel.c: kernels of objects in the program, as tile_launch takes them: tile_kernel_linked.
 *
 * An object's function for a kernel tells its instances apart by the arguments alone; a kernel found here is asked for
 * under consts too, as tile_kernel_find does it of a module's. Of all instances in the program it keeps those whose
 * consts are the wanted ones: each const named is the same, each other one is the kernel's own, or a size that a launch
 * holds against its arguments. What is missing (the kernel, or code for these consts) is told by the launch, so that a
 * program may ask for more than it will use.
 */
#include "runtime/aot.h"
#include "runtime/runtime.h"

#include <stdlib.h>

typedef struct aot_handle {
    tile_device *d;
    const aot_kernel *k; /* NULL: the program has none of that name */
    const aot_instance **list;
    uint32_t n;
    str wanted; /* "BM=64 part=part_q8_0" */
} aot_handle;

typedef struct define {
    str name, value;
} define;

/* numbers may be written in several ways */
static bool same_text(arena *a, str x, str y)
{
    char *ends[2];
    if (str_eq(x, y))
        return true;
    if (!x.n || !y.n)
        return false;
    double v = strtod(str_cstr(a, x), &ends[0]), w = strtod(str_cstr(a, y), &ends[1]);
    return *ends[0] == 0 && *ends[1] == 0 && v == w;
}

static bool is_size(const aot_instance *in, str name)
{
    for (int64_t i = 0; i < in->nsizes; i++)
        if (str_eq(in->sizes[i].name, name))
            return true;
    return false;
}

static bool is_param(const aot_kernel *k, str name)
{
    for (int64_t i = 0; i < k->nparams; i++)
        if (str_eq(k->params[i].name, name))
            return true;
    for (int64_t i = 0; i < k->ngenerics; i++)
        if (str_eq(k->generics[i].name, name))
            return true;
    return false;
}

static bool fits_consts(arena *a, const aot_instance *in, const define *want, int32_t n)
{
    for (int64_t i = 0; i < in->nconsts; i++) {
        const aot_const *x = &in->consts[i];
        bool named = false;
        for (int32_t w = 0; w < n; w++)
            if (str_eq(want[w].name, x->name)) {
                named = true;
                if (!same_text(a, want[w].value, x->value))
                    return false;
            }
        if (!named && x->given && !is_size(in, x->name))
            return false;
    }
    for (int32_t w = 0; w < n; w++) { /* types and optionals are the arguments' business */
        bool known = is_param(in->kernel, want[w].name);
        for (int64_t i = 0; i < in->nconsts; i++)
            known |= str_eq(in->consts[i].name, want[w].name);
        if (!known)
            return false;
    }
    return true;
}

typedef struct find_job {
    tile_device *d;
    const char *name, *const *defines;
    int32_t ndefines;
    const tile_linked *linked;
    tile_error *err;
    tile_kernel *out;
} find_job;

static bool read_defines(const find_job *j, arena *a, define *want)
{
    for (int32_t i = 0; i < j->ndefines; i++) {
        str text = str_dup(a, str_of(j->defines[i]));
        size_t at = 0;
        while (at < text.n && text.p[at] != '=')
            at++;
        if (at == 0 || at == text.n) {
            rt_fail(j->err, TILE_E_ARGUMENT, "expected NAME=VALUE, found '%.*s'", STR_ARG(text));
            return false;
        }
        want[i] = (define){{text.p, at}, {text.p + at + 1, text.n - at - 1}};
    }
    return true;
}

static void find(void *ctx)
{
    find_job *j = ctx;
    arena *a = &j->d->a;
    const tile_linked *l = j->linked && aot_is_ours(j->linked->kernel) ? j->linked : NULL;
    aot_handle *h = ARENA_NEW(a, aot_handle);
    tile_kernel *k = ARENA_NEW(a, tile_kernel);
    define *want = ARENA_ARRAY(a, define, (size_t)j->ndefines + 1);
    strbuf b;
    if (!read_defines(j, a, want))
        return;
    sb_init(&b, a);
    for (int32_t i = 0; i < j->ndefines; i++)
        sb_putf(&b, "%s%s", i ? " " : "", j->defines[i]);
    *h = (aot_handle){.d = j->d, .k = j->linked ? j->linked->kernel : NULL, .wanted = sb_str(&b)};
    h->list = ARENA_ARRAY(a, const aot_instance *, l ? (size_t)(l->last - l->first) + 1 : 1);
    for (const aot_instance *const *i = l ? l->first : NULL; l && i < l->last; i++)
        if (fits_consts(a, *i, want, j->ndefines))
            h->list[h->n++] = *i;
    k->name = str_dup(a, str_of(j->name));
    k->linked = h;
    j->out = k;
}

tile_kernel *tile_kernel_linked(tile_device *dev, const char *name, const tile_linked *linked,
                                const char *const *defines, int32_t ndefines, tile_error *err)
{
    find_job j = {dev, name, defines, ndefines < 0 ? 0 : ndefines, linked, err, NULL};
    rt_clear(err);
    pthread_mutex_lock(&dev->lock);
    if (!arena_try(&dev->a, find, &j))
        rt_fail_memory(err, "kernel", str_of(name));
    pthread_mutex_unlock(&dev->lock);
    return j.out;
}

tile_device *aot_kernel_device(const tile_kernel *k)
{
    return k->linked->d;
}

int aot_kernel_launch(tile_kernel *k, tile_stream *stream, const int64_t *grid, const tile_arg *args, int32_t nargs,
                      tile_error *err, bool really)
{
    const aot_handle *h = k->linked;
    if (!h->k)
        return rt_fail(err, TILE_E_MISSING, "kernel '%.*s' is not linked into this program", STR_ARG(k->name));
    if (!h->n && aot_is_ours(h->k))
        return rt_fail(err, TILE_E_MISSING, "kernel '%.*s' was not built for %.*s", STR_ARG(k->name),
                       STR_ARG(h->wanted.n ? h->wanted : S("its defaults")));
    return aot_launch(&(aot_start){.k = h->k,
                                   .first = h->list,
                                   .last = h->list + h->n,
                                   .dev = h->d,
                                   .stream = stream,
                                   .grid = grid,
                                   .args = args,
                                   .nargs = nargs < 0 ? 0 : (uint32_t)nargs,
                                   .prepare = !really,
                                   .err = err});
}
