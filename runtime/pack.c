/* pack.c: arguments into the slots of compiler/abi.h; the host function; the grid; and arguments that overlap. */
#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>

#define MAX_GRID ((int64_t)INT32_MAX)

static uint64_t scalar_bits(dtype dt, const tile_arg *a)
{
    if (dt_is_any_float(dt))
        return dt_from_double(dt, a->kind == TILE_ARG_FLOAT ? a->u.f : (double)a->u.i, false);
    return dt == DT_BOOL ? (uint64_t)(a->u.i != 0) : dt_wrap(dt, (uint64_t)a->u.i);
}

static void pack_args(rt_call *c)
{
    const ir_func *f = c->inst->k;
    uint64_t *s = c->slots + ABI_GRID_SLOTS;
    for (uint32_t i = 0; i < f->params.n; i++) {
        const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, ir_param_of(f, f->body, i)));
        const tile_arg *a = c->inst->param[i] < 0 ? NULL : &c->args[c->inst->param[i]];
        if (t->kind == TK_TENSOR) {
            if (a) {
                s[0] = (uint64_t)(uintptr_t)a->u.t->data;
                for (int d = 0; d < t->rank; d++) {
                    s[1 + d] = (uint64_t)a->u.t->sizes[d];
                    s[1 + t->rank + d] = (uint64_t)a->u.t->strides[d];
                }
            }
            s += 1 + 2 * t->rank;
        } else {
            if (a && (f->params.at[i].flags & PARAM_EXTENT))
                *s = (uint64_t)(a->bytes > 0 ? a->bytes : -1);
            else if (a)
                *s = t->kind == TK_PTR ? (uint64_t)(uintptr_t)a->u.p : scalar_bits(t->dt, a);
            s++;
        }
    }
}

static bool check_grid(rt_call *c, const int64_t *grid, bool is_explicit)
{
    int64_t n = 1;
    for (int i = 0; i < 3; i++) {
        if (grid[i] < 0 || (grid[i] == 0 && is_explicit)) {
            rt_fail(c->err, TILE_E_ARGUMENT, "grid of kernel '%.*s': extent %d is %lld, expected at least 1",
                    STR_ARG(c->k->name), i, (long long)grid[i]);
            return false;
        }
        if (grid[i] > MAX_GRID || __builtin_mul_overflow(n, grid[i], &n) || n > MAX_GRID) {
            rt_fail(c->err, TILE_E_ARGUMENT,
                    "grid of kernel '%.*s': %lld x %lld x %lld is not below 2147483648 programs", STR_ARG(c->k->name),
                    (long long)grid[0], (long long)grid[1], (long long)grid[2]);
            return false;
        }
    }
    c->programs = n;
    return true;
}

/* list: of h, NULL where there is none */
static bool eval_host(rt_call *c, const ir_func *h, const host_code *list, const abi_device *dev, int64_t *results,
                      uint32_t n, str *why)
{
    if (!list)
        return interp_host(&c->a, h, c->slots, dev, results, n, why);
    const host_check *bad = host_code_run(list, c->slots, dev, ARENA_ARRAY(&c->a, uint64_t, list->nops), results);
    if (bad)
        *why = str_fmt(&c->a, "%.*sdimension %lld of argument '%.*s' must equal '%.*s': expected %lld, found %lld",
                       STR_ARG(bad->place), (long long)bad->dim, STR_ARG(bad->arg), STR_ARG(bad->text),
                       (long long)results[0], (long long)results[1]);
    return !bad;
}

static bool run_host(rt_call *c)
{
    const rt_instance *in = c->inst;
    const tile_device *d = c->k->m->dev;
    abi_device dev = {.resident = c->resident, .stream_programs = d->driver->stream_programs};
    str why;
    c->results = ARENA_ARRAY(&c->a, int64_t, (size_t)in->nresults + 2);
    if (!in->host || eval_host(c, in->host, in->host_list, &dev, c->results, in->nresults, &why))
        return true;
    rt_fail(c->err, TILE_E_ARGUMENT, "kernel '%.*s': %.*s", STR_ARG(c->k->name), STR_ARG(why));
    return false;
}

static bool find_grid(rt_call *c)
{
    const rt_instance *in = c->inst;
    if (!c->grid && !in->k->has_grid) {
        rt_fail(c->err, TILE_E_ARGUMENT, "kernel '%.*s' has no grid in its header: the launch must give one",
                STR_ARG(c->k->name));
        return false;
    }
    if (!check_grid(c, c->grid ? c->grid : c->results, c->grid != NULL))
        return false;
    for (int i = 0; i < 3; i++)
        c->slots[i] = (uint64_t)(c->grid ? c->grid : c->results)[i];
    return true;
}

static bool find_programs(rt_call *c)
{
    str why;
    int64_t held[2] = {0};
    abi_device dev = {.resident = INT32_MAX};
    if (!run_host(c) || !find_grid(c))
        return false;
    c->narrow = !c->wide && c->inst->guards &&
                eval_host(c, c->inst->guards, c->inst->guard_list, &dev, held, 1, &why) && held[0] == 1;
    return true;
}

bool rt_pack(rt_call *c)
{
    const tile_device *d = c->k->m->dev;
    int64_t known = c->inst->resident;
    c->resident = known ? known : d->driver->resident(d, c->inst->k, NULL);
    c->slots = ARENA_ARRAY(&c->a, uint64_t, (size_t)c->inst->nslots + 1);
    pack_args(c);
    return find_programs(c);
}

/* The grid may depend on how many programs the device holds, which depends on the code, which depends on what is known
 * of the grid (32-bit indices). So: a guess, the code, the grid anew; a grid for which the indices are too large takes
 * the other code, and stays with it. */
bool rt_settle(rt_call *c)
{
    rt_instance *in = c->inst;
    const tile_device *d = c->k->m->dev;
    for (;;) {
        if (!rt_pick(c))
            return false;
        int64_t holds = d->driver->resident(d, in->k, &c->var->code);
        bool narrow = c->narrow;
        if (holds == c->resident)
            break;
        c->resident = holds;
        if (!find_programs(c))
            return false;
        if (c->narrow == narrow)
            break;
        c->wide = true;
        c->narrow = false;
        if (!narrow) /* the code is the wide one, right for every grid */
            break;
    }
    in->resident = c->resident;
    if (in->k->cooperative && c->programs > c->resident) {
        rt_fail(c->err, TILE_E_ARGUMENT, "cooperative kernel '%.*s': %lld programs, but the device holds %lld at once",
                STR_ARG(c->k->name), (long long)c->programs, (long long)c->resident);
        return false;
    }
    return true;
}

bool rt_check_overlap(rt_call *c)
{
    const rt_instance *in = c->inst;
    uint32_t n = in->k->params.n;
    rt_named *list = ARENA_ARRAY(&c->a, rt_named, (size_t)n + 1);
    for (uint32_t i = 0; i < n; i++)
        list[i] =
            (rt_named){in->param[i] < 0 || (in->k->params.at[i].flags & PARAM_EXTENT) ? NULL : &c->args[in->param[i]],
                       in->k->params.at[i].name, in->written[i]};
    return rt_apart(&c->a, c->k->name, list, n, c->err);
}
