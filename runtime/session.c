/* session.c: arguments by name and as text, turned into one launch (session.h). */
#include "runtime/session.h"

#include "runtime/runtime.h"

#include <stdlib.h>

#define SHOWN 16 /* elements of a summary */

struct rt_session {
    arena a;
    tile_device *dev;
    void **there; /* each array's place in the device's own memory; NULL: the host's is the device's */
    tile_module *mod;
    tile_kernel *k;
    const rt_param *params;
    uint32_t n;
    rt_value *values; /* one a parameter */
    tile_tensor *tensors;
    tile_arg *args;
    bool has_grid;
    int64_t grid[3];
};

static bool fail(rt_session *s, tile_error *err, str arg, str why)
{
    rt_fail(err, TILE_E_ARGUMENT, "argument '%.*s' of kernel '%.*s': %.*s", STR_ARG(arg), STR_ARG(s->k->name),
            STR_ARG(why));
    return false;
}

static bool unknown_arg(rt_session *s, tile_error *err, str name)
{
    str best = {0};
    unsigned least = 3;
    for (uint32_t i = 0; i < s->n; i++) {
        unsigned dist = str_distance(s->params[i].name, name, 2);
        if (dist < least) {
            least = dist;
            best = s->params[i].name;
        }
    }
    if (best.n)
        rt_fail(err, TILE_E_ARGUMENT, "kernel '%.*s' has no run-time argument '%.*s'; did you mean '%.*s'?",
                STR_ARG(s->k->name), STR_ARG(name), STR_ARG(best));
    else
        rt_fail(err, TILE_E_ARGUMENT,
                "kernel '%.*s' has no run-time argument '%.*s' (const and type parameters are set by -D)",
                STR_ARG(s->k->name), STR_ARG(name));
    return false;
}

static int64_t array_bytes(const npy_array *x)
{
    return x->count * dt_bytes(x->dt);
}

static bool put_array(rt_session *s, uint32_t i, tile_error *err)
{
    const npy_array *x = &s->values[i].array;
    if (!s->there)
        return true;
    s->there[i] = tile_alloc(s->dev, array_bytes(x), err);
    return s->there[i] && tile_write(s->dev, s->there[i], x->data, array_bytes(x), err) == TILE_OK;
}

static bool get_arrays(rt_session *s, tile_error *err)
{
    for (uint32_t i = 0; s->there && i < s->n; i++) {
        const npy_array *x = &s->values[i].array;
        if (s->there[i] && rt_kernel_writes(s->k, i) &&
            tile_read(s->dev, x->data, s->there[i], array_bytes(x), err) != TILE_OK)
            return false;
    }
    return true;
}

static bool make_arg(rt_session *s, uint32_t i, tile_error *err)
{
    const rt_param *p = &s->params[i];
    rt_value *v = &s->values[i];
    const npy_array *x = &v->array;
    switch (v->kind) {
    case RT_NONE:
        s->args[i] = tile_arg_none();
        return true;
    case RT_INT:
        s->args[i] = tile_arg_int(v->i);
        return true;
    case RT_FLOAT:
        s->args[i] = tile_arg_float(v->f);
        return true;
    case RT_ARRAY:
        break;
    }
    if (p->kind == FE_P_SCALAR)
        return fail(s, err, p->name, str_fmt(&s->a, "expected '%.*s', found an array", STR_ARG(p->type_text)));
    if (!put_array(s, i, err))
        return false;
    void *data = s->there ? s->there[i] : x->data;
    if (p->kind == FE_P_POINTER) {
        s->args[i] = tile_arg_ptr(data, (tile_dtype)x->dt);
        s->args[i].bytes = array_bytes(x);
        return true;
    }
    if (x->rank > TILE_MAX_RANK)
        return fail(s, err, p->name, S("a tensor has at most 5 dimensions"));
    s->tensors[i] = tile_tensor_of(data, (tile_dtype)x->dt, x->rank, x->shape);
    s->args[i] = tile_arg_tensor(&s->tensors[i]);
    return true;
}

static bool parse_args(rt_session *s, const rt_session_request *q, tile_error *err)
{
    bool *given = ARENA_ARRAY(&s->a, bool, (size_t)s->n + 1);
    for (uint32_t j = 0; j < q->nargs; j++) {
        str text = q->args[j], why;
        size_t eq = 0;
        uint32_t i = 0;
        while (eq < text.n && text.p[eq] != '=')
            eq++;
        if (eq == text.n) {
            rt_fail(err, TILE_E_ARGUMENT, "expected ARG=VALUE, found '%.*s'", STR_ARG(text));
            return false;
        }
        str name = {text.p, eq};
        while (i < s->n && !str_eq(s->params[i].name, name))
            i++;
        if (i == s->n)
            return unknown_arg(s, err, name);
        if (given[i])
            return fail(s, err, name, S("given twice"));
        given[i] = true;
        if (!rt_value_parse(&s->a, (str){text.p + eq + 1, text.n - eq - 1}, q->dir, &s->values[i], &why))
            return fail(s, err, name, why);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (!given[i] && !s->params[i].optional)
            return fail(s, err, s->params[i].name,
                        str_fmt(&s->a, "expected '%.*s', found nothing", STR_ARG(s->params[i].type_text)));
        if (!make_arg(s, i, err))
            return false;
    }
    return true;
}

static bool open_kernel(rt_session *s, tile_device *dev, const rt_session_request *q, tile_error *err)
{
    const char **defs = ARENA_ARRAY(&s->a, const char *, (size_t)q->ndefines + 1),
               **dirs = ARENA_ARRAY(&s->a, const char *, (size_t)q->nimports + 1);
    for (uint32_t i = 0; i < q->ndefines; i++)
        defs[i] = str_cstr(&s->a, q->defines[i]);
    for (uint32_t i = 0; i < q->nimports; i++)
        dirs[i] = str_cstr(&s->a, q->imports[i]);
    tile_options opt = {defs, dirs, (int32_t)q->ndefines, (int32_t)q->nimports, q->checked};
    const char *path = str_cstr(&s->a, q->path);
    s->mod =
        q->text ? tile_module_from_string(dev, path, q->text, &opt, err) : tile_module_from_file(dev, path, &opt, err);
    s->k = s->mod ? tile_kernel_find(s->mod, str_cstr(&s->a, q->kernel), err) : NULL;
    return s->k != NULL;
}

typedef struct open_job {
    rt_session *s;
    const rt_session_request *q;
    tile_error *err;
    bool ok;
} open_job;

static void run_open(void *ctx)
{
    open_job *j = ctx;
    rt_session *s = j->s;
    if (!open_kernel(s, s->dev, j->q, j->err))
        return;
    s->params = rt_kernel_params(s->k, &s->n);
    s->values = ARENA_ARRAY(&s->a, rt_value, (size_t)s->n + 1);
    s->tensors = ARENA_ARRAY(&s->a, tile_tensor, (size_t)s->n + 1);
    s->args = ARENA_ARRAY(&s->a, tile_arg, (size_t)s->n + 1);
    s->there = s->dev->driver->queue ? ARENA_ARRAY(&s->a, void *, (size_t)s->n + 1) : NULL;
    j->ok = parse_args(s, j->q, j->err);
}

rt_session *rt_session_open(tile_device *dev, const rt_session_request *q, tile_error *err)
{
    rt_session *s = calloc(1, sizeof *s);
    if (!s) {
        rt_fail(err, TILE_E_MEMORY, "no memory for a session");
        return NULL;
    }
    arena_init(&s->a, 0);
    s->dev = dev;
    s->has_grid = q->has_grid;
    for (int i = 0; i < 3; i++)
        s->grid[i] = q->grid[i];
    open_job j = {s, q, err, false};
    if (!arena_try(&s->a, run_open, &j)) {
        j.ok = false;
        rt_fail_memory(err, "kernel", q->kernel);
    }
    if (j.ok)
        return s;
    rt_session_close(s);
    return NULL;
}

void rt_session_close(rt_session *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n && s->values; i++)
        rt_value_fini(&s->values[i]);
    for (uint32_t i = 0; i < s->n && s->there; i++)
        tile_free(s->dev, s->there[i]);
    tile_module_close(s->mod);
    arena_fini(&s->a);
    free(s);
}

static bool put_launch(rt_session *s, tile_error *err)
{
    return tile_launch(s->k, NULL, s->has_grid ? s->grid : NULL, s->args, (int32_t)s->n, err) == TILE_OK;
}

bool rt_session_launch(rt_session *s, tile_error *err)
{
    return put_launch(s, err) && tile_sync(s->dev, err) == TILE_OK && get_arrays(s, err);
}

bool rt_session_repeat(rt_session *s, uint32_t n, double *at, tile_error *err)
{
    tile_event **e = ARENA_ARRAY(&s->a, tile_event *, (size_t)n + 2);
    bool ok = true;
    for (uint32_t i = 0; i <= n && ok; i++)
        ok = (e[i] = tile_event_create(s->dev, err)) != NULL;
    ok = ok && tile_event_record(e[0], NULL, err) == TILE_OK;
    for (uint32_t i = 0; i < n && ok; i++)
        ok = put_launch(s, err) && tile_event_record(e[i + 1], NULL, err) == TILE_OK;
    for (uint32_t i = 0; i < n && ok; i++)
        ok = tile_event_elapsed(e[i], e[i + 1], &at[i], err) == TILE_OK;
    for (uint32_t i = 0; i <= n; i++)
        tile_event_destroy(e[i]);
    return ok && get_arrays(s, err);
}

bool rt_session_tune(rt_session *s, tile_progress_fn *progress, void *ctx, tile_tuned *out, tile_error *err)
{
    return tile_tune(s->k, NULL, s->has_grid ? s->grid : NULL, s->args, (int32_t)s->n, progress, ctx, out, err) ==
           TILE_OK;
}

void rt_session_code(rt_session *s, strbuf *out)
{
    tile_kernel_stats x;
    if (tile_kernel_info(s->k, &x, NULL) != TILE_OK)
        return;
    sb_putf(out, "code: %d registers", x.registers);
    if (x.spill_bytes >= 0)
        sb_putf(out, ", %d bytes spilled", x.spill_bytes);
    sb_putf(out, ", %d threads, %lld bytes of shared memory, %d block%s a multiprocessor", x.threads,
            (long long)x.shared_bytes, x.blocks_per_multiprocessor, x.blocks_per_multiprocessor == 1 ? "" : "s");
    if (x.cluster > 1)
        sb_putf(out, ", clusters of %d", x.cluster);
    sb_putf(out, "\n%s", x.notes);
}

void rt_session_summary(rt_session *s, strbuf *out)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->values[i].kind == RT_ARRAY && rt_kernel_writes(s->k, i)) {
            sb_putf(out, "%.*s: ", STR_ARG(s->params[i].name));
            rt_array_show(&s->values[i].array, SHOWN, out);
            sb_putc(out, '\n');
        }
}

const npy_array *rt_session_array(const rt_session *s, str arg)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (str_eq(s->params[i].name, arg) && s->values[i].kind == RT_ARRAY)
            return &s->values[i].array;
    return NULL;
}

bool rt_session_save(rt_session *s, arena *a, str arg, const char *path, str *err)
{
    const npy_array *x = rt_session_array(s, arg);
    if (x)
        return npy_write(a, path, x, err);
    *err = str_fmt(a, "'%.*s' is no array argument of kernel '%.*s'", STR_ARG(arg), STR_ARG(s->k->name));
    return false;
}

const compile_times *rt_session_times(const rt_session *s)
{
    return &s->mod->times;
}
