/* lower_check.c: type-checking a file without a launch.
 *
 * Every kernel is lowered under every combination of its generic dtypes, with const defaults, and with its optionals
 * present and absent. Beyond 16 combinations each dtype of each generic is taken once, and the optionals all present,
 * then all absent. A const without a default is given a stand-in where it only names a dimension; where it may be
 * anything else, the kernel can't be instantiated, and only its names have been checked. The IR is dropped.
 */
#include "frontend/lower_kernel.h"

#define MAX_COMBINATIONS 16
#define DIM_STAND_IN 64

typedef struct check_cx {
    fe_unit *u;
    const ast_fn *fn;
    const fe_kernel *k;
    VEC(fe_binding) fixed; /* stand-ins */
    VEC(uint32_t) optionals; /* parameters that may be None */
    bool ok;
} check_cx;

static bool names_a_dim(const fe_kernel *k, str name)
{
    for (uint32_t i = 0; i < k->nparams; i++)
        for (int d = 0; d < k->params[i].rank; d++)
            if (k->params[i].dims[d].kind == FE_DIM_CONST && str_eq(k->params[i].dims[d].text, name))
                return true;
    return false;
}

/* false where a const has neither a default nor a stand-in */
static bool stand_ins(check_cx *x, arena *a)
{
    for (uint32_t i = 0; i < x->k->nparams; i++) {
        const fe_param *p = &x->k->params[i];
        if (p->optional && p->kind != FE_P_CONST)
            vec_push(a, &x->optionals, i);
        if (p->kind != FE_P_CONST || p->dflt.kind != FE_V_ABSENT || x->fn->body == NULL)
            continue;
        const ast_param *ap = x->fn->params;
        while (ap && !str_eq(ap->name, p->name))
            ap = ap->next;
        if (p->from_tune || (ap && ap->dflt)) /* has one, of a kind that a launch can't name */
            continue;
        if (p->is_fn || !names_a_dim(x->k, p->name))
            return false;
        fe_value v = {.kind = FE_V_INT, .i = DIM_STAND_IN};
        vec_push(a, &x->fixed, ((fe_binding){p->name, v}));
    }
    return true;
}

typedef struct one_check {
    check_cx *x;
    const uint32_t *dt;
    uint64_t absent;
    arena *a;
} one_check;

static bool lower_one(void *ctx, arena *scratch)
{
    one_check *o = ctx;
    check_cx *x = o->x;
    VEC(fe_binding) bind = {0};
    for (uint32_t g = 0; g < x->k->ngenerics; g++) {
        fe_value v = {.kind = FE_V_DTYPE, .dt = x->k->generics[g].list[o->dt[g]]};
        vec_push(o->a, &bind, ((fe_binding){x->k->generics[g].name, v}));
    }
    for (uint32_t i = 0; i < x->fixed.n; i++)
        vec_push(o->a, &bind, x->fixed.at[i]);
    for (uint32_t i = 0; i < x->optionals.n; i++) {
        fe_value none = {.kind = FE_V_NONE};
        if (o->absent >> (i & 63) & 1)
            vec_push(o->a, &bind, ((fe_binding){x->k->params[x->optionals.at[i]].name, none}));
    }
    fe_choice c = {.bind = bind.at, .n = bind.n};
    lower l;
    lower_init(&l, x->u, o->a, scratch, ir_module_new(o->a));
    str name;
    return kernel_lower(&l, x->u, x->fn, &c, &name);
}

/* one combination: dt[g] is the dtype of generic g; bit i of `absent` says that optional i is None */
static void check_one(check_cx *x, const uint32_t *dt, uint64_t absent)
{
    arena a;
    arena_init(&a, 0);
    x->ok &= unit_guarded(x->u, &a, true, lower_one, &(one_check){x, dt, absent, &a});
}

static uint64_t combinations(const check_cx *x)
{
    uint64_t n = 1;
    for (uint32_t g = 0; g < x->k->ngenerics; g++)
        n = n > MAX_COMBINATIONS ? n : n * x->k->generics[g].n;
    for (uint32_t i = 0; i < x->optionals.n; i++)
        n = n > MAX_COMBINATIONS ? n : n * 2;
    return n;
}

static void check_all(check_cx *x, uint32_t *dt, uint64_t n)
{
    for (uint64_t c = 0; c < n; c++) {
        uint64_t rest = c;
        for (uint32_t g = x->k->ngenerics; g-- > 0;) {
            dt[g] = (uint32_t)(rest % x->k->generics[g].n);
            rest /= x->k->generics[g].n;
        }
        check_one(x, dt, rest);
    }
}

/* each dtype once, optionals present; then optionals absent */
static void check_some(check_cx *x, uint32_t *dt)
{
    uint32_t most = 1;
    for (uint32_t g = 0; g < x->k->ngenerics; g++)
        most = x->k->generics[g].n > most ? x->k->generics[g].n : most;
    for (uint32_t i = 0; i < most; i++) {
        for (uint32_t g = 0; g < x->k->ngenerics; g++)
            dt[g] = i % x->k->generics[g].n;
        check_one(x, dt, 0);
    }
    for (uint32_t i = 0; i < x->optionals.n && i < 64; i++)
        check_one(x, dt, (uint64_t)1 << i);
    if (x->optionals.n)
        check_one(x, dt, UINT64_MAX);
}

bool fe_check(fe_unit *u)
{
    bool ok = true;
    for (uint32_t i = 0; i < u->kernels.n; i++) {
        check_cx x = {.u = u, .fn = u->decls.at[i], .k = &u->kernels.at[i], .ok = true};
        bool empty = false;
        for (uint32_t g = 0; g < x.k->ngenerics; g++)
            empty |= x.k->generics[g].n == 0;
        if (empty || !stand_ins(&x, u->a))
            continue;
        uint32_t *dt = ARENA_ARRAY(u->a, uint32_t, x.k->ngenerics + 1);
        uint64_t n = combinations(&x);
        if (n <= MAX_COMBINATIONS)
            check_all(&x, dt, n);
        else
            check_some(&x, dt);
        ok &= x.ok;
    }
    return ok;
}
