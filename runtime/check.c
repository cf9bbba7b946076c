/* check.c: launch arguments against a kernel's signature: their number, kinds, element types, ranks, sizes, strides and
 * addresses, with messages that name the argument, what was expected and what was found. Generics take the element
 * types of the arguments, which must agree. It knows nothing of how the kernel was compiled: launches of ahead-of-time
 * objects are checked by the same code.
 */
#include "runtime/runtime.h"

static bool wrong(rt_check *c, const rt_param *p, const char *fmt, ...) STR_PRINTF(3, 4);
static bool wrong(rt_check *c, const rt_param *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str s = str_vfmt(c->a, fmt, ap);
    va_end(ap);
    rt_fail(c->err, TILE_E_ARGUMENT, "argument '%.*s' of kernel '%.*s': %.*s", STR_ARG(p->name), STR_ARG(c->kernel),
            STR_ARG(s));
    return false;
}

static const char *kind_name(const tile_arg *a)
{
    static const char *const names[] = {"None", "an integer", "a float", "a pointer", "a tensor"};
    return a->kind >= 0 && a->kind <= TILE_ARG_TENSOR ? names[a->kind] : "an argument of no known kind";
}

static bool is_dtype(int32_t dt)
{
    return dt > DT_NONE && dt < DT_COUNT;
}

static bool bind_generic(rt_check *c, const rt_param *p, dtype found)
{
    const fe_generic *g = &c->generic_list[p->generic];
    dtype *slot = &c->bound[p->generic];
    bool listed = g->n == 0;
    if (*slot == found)
        return true;
    if (*slot != DT_NONE)
        return wrong(c, p, "expected '%s' as '%.*s' is elsewhere, found '%s'", dtypes[*slot].name, STR_ARG(g->name),
                     dtypes[found].name);
    for (uint32_t i = 0; i < g->n; i++)
        listed |= g->list[i] == found;
    if (!listed)
        return wrong(c, p, "'%s' is not among the types of '%.*s'", dtypes[found].name, STR_ARG(g->name));
    *slot = found;
    return true;
}

static bool check_element(rt_check *c, const rt_param *p, int32_t found)
{
    if (!is_dtype(found))
        return wrong(c, p, "%d is not an element type", found);
    if (p->generic >= 0)
        return bind_generic(c, p, (dtype)found);
    if (p->dt != DT_NONE && p->dt != (dtype)found)
        return wrong(c, p, "expected elements of '%s', found '%s'", dtypes[p->dt].name, dtypes[found].name);
    return true;
}

static bool check_address(rt_check *c, const rt_param *p, const void *addr, int32_t dt)
{
    size_t w = is_dtype(dt)       ? (size_t)dt_bytes((dtype)dt)
               : p->dt != DT_NONE ? (size_t)dt_bytes(p->dt)
               : p->pointers > 1  ? sizeof(void *)
                                  : 1;
    if ((uintptr_t)addr % w)
        return wrong(c, p, "its address %p is not a multiple of its element's %zu bytes", addr, w);
    return true;
}

/* the first and the last byte of what the kernel is given are this process's; GPUs tell by a fault */
static bool check_reach(rt_check *c, const rt_param *p, uint64_t lo, uint64_t hi)
{
    tile_device *d = c->dev;
    if (d->driver->queue)
        return true;
    uint64_t bad = !rt_readable(d, lo) ? lo : hi > lo && !rt_readable(d, hi - 1) ? hi - 1 : 0;
    return !bad || wrong(c, p, "this process has no memory at %p", (void *)(uintptr_t)bad);
}

static bool check_tensor(rt_check *c, const rt_param *p, const tile_tensor *t)
{
    bool empty = false;
    if (!t)
        return wrong(c, p, "expected a tensor, found a null pointer");
    if (t->rank != p->rank)
        return wrong(c, p, "expected a tensor of rank %d ('%.*s'), found rank %d", p->rank, STR_ARG(p->type_text),
                     t->rank);
    if (!check_element(c, p, t->dtype))
        return false;
    for (int i = 0; i < p->rank; i++) {
        if (t->sizes[i] < 0)
            return wrong(c, p, "dimension %d has a negative size, %lld", i, (long long)t->sizes[i]);
        empty |= t->sizes[i] == 0;
    }
    if (p->rank && !p->strided && t->strides[p->rank - 1] != 1 && t->sizes[p->rank - 1] > 1)
        return wrong(c, p, "expected a last stride of 1, found %lld (only 'strided' tensors may have others)",
                     (long long)t->strides[p->rank - 1]);
    if (!t->data && !empty)
        return wrong(c, p, "its data is a null pointer");
    uint64_t lo, hi;
    return check_address(c, p, t->data, t->dtype) &&
           (empty || !rt_tensor_range(t, &lo, &hi) || check_reach(c, p, lo, hi));
}

static bool check_pointer(rt_check *c, const rt_param *p, const tile_arg *a)
{
    if (!a->u.p)
        return wrong(c, p, "expected a pointer, found a null one%s",
                     p->optional ? " (an absent argument is None)" : "");
    if (p->pointers < 2 && (a->dtype != TILE_ANY || p->generic >= 0)) {
        if (a->dtype == TILE_ANY && c->bound[p->generic] == DT_NONE)
            return wrong(c, p, "its element type is needed, to know '%.*s'", STR_ARG(c->generic_list[p->generic].name));
        if (a->dtype != TILE_ANY && !check_element(c, p, a->dtype))
            return false;
    }
    uint64_t at = (uint64_t)(uintptr_t)a->u.p, bytes = a->bytes > 0 ? (uint64_t)a->bytes : 0;
    return check_address(c, p, a->u.p, p->pointers > 1 ? DT_NONE : a->dtype) && check_reach(c, p, at, at + bytes);
}

static bool check_scalar(rt_check *c, const rt_param *p, const tile_arg *a)
{
    dtype dt = p->generic >= 0 ? c->bound[p->generic] : p->dt;
    if (a->kind == TILE_ARG_FLOAT && dt != DT_NONE && !dt_is_any_float(dt))
        return wrong(c, p, "expected '%s', found a float", dtypes[dt].name);
    if (a->kind == TILE_ARG_INT && dt != DT_NONE && dt != DT_U64 && !dt_is_any_float(dt)) {
        int64_t held = dt == DT_BOOL ? a->u.i & 1 : dt_int(dt, dt_wrap(dt, (uint64_t)a->u.i));
        if (held != a->u.i)
            return wrong(c, p, "%lld does not fit '%s'", (long long)a->u.i, dtypes[dt].name);
    }
    return true;
}

static bool check_one(rt_check *c, const rt_param *p, const tile_arg *a)
{
    if (a->kind == TILE_ARG_NONE)
        return p->optional || wrong(c, p, "expected '%.*s', found None", STR_ARG(p->type_text));
    switch (p->kind) {
    case FE_P_SCALAR:
        if (a->kind == TILE_ARG_INT || a->kind == TILE_ARG_FLOAT)
            return check_scalar(c, p, a);
        break;
    case FE_P_POINTER:
        if (a->kind == TILE_ARG_PTR)
            return check_pointer(c, p, a);
        break;
    case FE_P_TENSOR:
        if (a->kind == TILE_ARG_TENSOR)
            return check_tensor(c, p, a->u.t);
        break;
    case FE_P_CONST:
        break;
    }
    return wrong(c, p, "expected '%.*s', found %s", STR_ARG(p->type_text), kind_name(a));
}

static bool count_matches(rt_check *c)
{
    strbuf b;
    if (c->nargs == c->nparams)
        return true;
    sb_init(&b, c->a);
    for (uint32_t i = 0; i < c->nparams; i++)
        sb_putf(&b, "%s%.*s", i ? ", " : "", STR_ARG(c->params[i].name));
    rt_fail(c->err, TILE_E_ARGUMENT, "kernel '%.*s' takes %u argument%s (%.*s), found %u", STR_ARG(c->kernel),
            c->nparams, c->nparams == 1 ? "" : "s", STR_ARG(sb_str(&b)), c->nargs);
    return false;
}

bool rt_check_args(rt_check *c)
{
    if (!count_matches(c))
        return false;
    for (int round = 0; round < 2; round++) /* typed ones first: a scalar's generic type comes from them */
        for (uint32_t i = 0; i < c->nargs; i++)
            if ((c->params[i].kind == FE_P_SCALAR || c->args[i].dtype == TILE_ANY) == (round == 1) &&
                !check_one(c, &c->params[i], &c->args[i]))
                return false;
    return true;
}
