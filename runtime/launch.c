/* launch.c: one launch, from top to bottom: bind, pack, pick a binary, scratch memory, run.
 *
 * Until the device's lock is taken a launch touches nothing shared but the module's tables, under their own lock.
 * Scratch parameters are carved from one block of the device, grown to the largest launch so far, in the order of the
 * header, each aligned to 64 bytes; `scratch zero` ones are cleared before each launch.
 */
#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>

typedef struct scratch_part {
    uint64_t *slot;
    int64_t at, bytes;
    bool zero;
} scratch_part;

/* sizes and strides of the scratch parameters into their slots; where each lies */
static bool place_scratch(rt_call *c, scratch_part *parts, uint32_t *nparts, int64_t *total)
{
    const ir_func *f = c->inst->k;
    const int64_t *r = c->results + (f->has_grid ? 3 : 0);
    uint64_t *s = c->slots + ABI_GRID_SLOTS;
    for (uint32_t i = 0; i < f->params.n; i++) {
        const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, ir_param_of(f, f->body, i)));
        if (f->params.at[i].flags & PARAM_SCRATCH && t->kind == TK_TENSOR) {
            int64_t bytes = dt_bytes(t->dt), stride = 1;
            bool fits = true;
            for (int d = t->rank - 1; d >= 0; d--) {
                fits &= r[d] >= 0 && r[d] < (int64_t)1 << 46 && !__builtin_mul_overflow(bytes, r[d], &bytes) &&
                        bytes < (int64_t)1 << 46;
                s[1 + d] = (uint64_t)r[d];
                s[1 + t->rank + d] = (uint64_t)stride;
                stride = fits ? stride * r[d] : stride;
            }
            if (!fits) {
                rt_fail(c->err, TILE_E_ARGUMENT, "kernel '%.*s': the size of scratch '%.*s' is negative or too large",
                        STR_ARG(c->k->name), STR_ARG(f->params.at[i].name));
                return false;
            }
            parts[(*nparts)++] = (scratch_part){s, *total, bytes, (f->params.at[i].flags & PARAM_SCRATCH_ZERO) != 0};
            *total += (bytes + 63) / 64 * 64;
            r += t->rank;
        }
        s += t->kind == TK_TENSOR ? 1 + 2 * t->rank : 1;
    }
    return true;
}

/* under the device's lock */
static bool take_scratch(rt_call *c, const scratch_part *parts, uint32_t n, int64_t total)
{
    tile_device *d = c->k->m->dev;
    if (total > d->scratch_bytes) {
        void *p = NULL;
        if (posix_memalign(&p, 64, (size_t)total) != 0) {
            rt_fail(c->err, TILE_E_MEMORY, "no memory for %lld bytes of scratch", (long long)total);
            return false;
        }
        free(d->scratch);
        d->scratch = p;
        d->scratch_bytes = total;
    }
    for (uint32_t i = 0; i < n; i++) {
        *parts[i].slot = (uint64_t)(uintptr_t)d->scratch + (uint64_t)parts[i].at;
        if (parts[i].zero && parts[i].bytes)
            memset((char *)d->scratch + parts[i].at, 0, (size_t)parts[i].bytes);
    }
    return true;
}

/* the ranges that the kernel may touch, or NULL where some argument's extent is not known */
static const interp_range *find_bounds(rt_call *c, const scratch_part *parts, uint32_t nparts, uint32_t *n)
{
    interp_range *list = ARENA_ARRAY(&c->a, interp_range, (size_t)c->nargs + nparts + 1);
    *n = 0;
    for (uint32_t i = 0; i < c->nargs; i++) {
        const tile_arg *a = &c->args[i];
        const char *name = str_cstr(&c->a, c->k->params[i].name);
        uint64_t lo, hi;
        if (a->kind == TILE_ARG_PTR && (a->bytes <= 0 || c->k->params[i].pointers > 1))
            return NULL;
        if (a->kind == TILE_ARG_PTR)
            list[(*n)++] = (interp_range){name, (uint64_t)(uintptr_t)a->u.p, (uint64_t)a->bytes};
        if (a->kind == TILE_ARG_TENSOR && rt_tensor_range(a->u.t, &lo, &hi))
            list[(*n)++] = (interp_range){name, lo, hi - lo};
    }
    for (uint32_t i = 0; i < nparts; i++)
        list[(*n)++] = (interp_range){"scratch", *parts[i].slot, (uint64_t)parts[i].bytes};
    return list;
}

static bool run(rt_call *c)
{
    tile_device *d = c->k->m->dev;
    scratch_part *parts = ARENA_ARRAY(&c->a, scratch_part, (size_t)c->inst->k->params.n + 1);
    uint32_t nparts = 0;
    int64_t total = 0;
    rt_host host;
    str why = {0};
    rt_start st = {.f = c->inst->k, .code = &c->var->code, .args = c->slots, .programs = c->programs};
    if (!place_scratch(c, parts, &nparts, &total))
        return false;
    pthread_mutex_lock(&d->lock);
    rt_host_init(&host, d);
    bool ok = take_scratch(c, parts, nparts, total);
    if (ok) {
        st.bounds = find_bounds(c, parts, nparts, &st.nbounds);
        bool ran = d->driver->launch(d, &c->a, &st, &host, &why);
        if (host.fault[0] || !ran) {
            rt_fail(c->err, TILE_E_FAULT, "kernel '%.*s' faulted: %.*s", STR_ARG(c->k->name),
                    STR_ARG(host.fault[0] ? str_of(host.fault) : why));
            ok = false;
        }
    }
    rt_host_fini(&host);
    pthread_mutex_unlock(&d->lock);
    return ok;
}

int tile_launch(tile_kernel *k, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
                tile_error *err)
{
    tile_error dropped;
    rt_call c = {
        .k = k, .grid = grid, .args = args, .nargs = nargs < 0 ? 0 : (uint32_t)nargs, .err = err ? err : &dropped};
    (void)stream; /* NULL is the only one there is */
    rt_clear(c.err);
    arena_init(&c.a, 0);
    bool ok = rt_bind(&c) && rt_pack(&c);
    if (ok && c.programs > 0)
        ok = rt_check_overlap(&c) && rt_pick(&c) && run(&c);
    arena_fini(&c.a);
    return ok ? TILE_OK : c.err->code;
}
