/* lower_kernel.c: a kernel and its host function.
 *
 * Both have the same parameters: what stands in the header and isn't a const or absent, then what a chosen function
 * adds, then scratch that the runtime brings unasked (stream). The host function sees tensors of unknown extents: it
 * evaluates dimensions, checks them (expect_eq), and returns the grid, then the sizes of each scratch parameter. Where
 * a dimension is known at compile time, the kernel's tensor type holds it.
 *
 * A dimension name is bound to the size where it is first named, in a tensor that is present and not scratch;
 * everywhere else that size is checked.
 */
#include "frontend/lower_kernel.h"

#include <string.h>

static ir_type int_type(lower *l) { return ir_type_num(l->m, DT_I64); }

/* ---- parameter types ---- */
static dtype elem_dtype(lower *l, const ast_fn *k, str name, const fv *env)
{
    for (const ast_generic *g = k->generics; g; g = g->next)
        if (str_eq(g->name, name) && env[g->slot].kind == FV_TYPE)
            return ir_type_dt(l->m, env[g->slot].type);
    return str_eq(name, S("int")) ? DT_I64 : dtype_by_name(name);
}

/* a number or pointer type; id 0 where its name was at fault (a diagnostic has been given) */
static ir_type plain_type(lower *l, const ast_fn *k, const ast_type *t, const fv *env)
{
    if (t->kind == TY_PTR) {
        ir_type el = plain_type(l, k, t->elem, env);
        return el.id ? ir_type_ptr(l->m, el) : el;
    }
    if (t->kind != TY_NAME) {
        low_error(l, D_GENERIC_TYPE, t->at);
        return (ir_type){0};
    }
    dtype d = elem_dtype(l, k, t->name, env);
    if (d == DT_NONE)
        return (ir_type){0};
    return ir_type_num(l->m, d);
}

static int param_flags(const ast_type *t)
{
    return (t->is_static ? PARAM_STATIC : 0) | (t->scratch ? PARAM_SCRATCH : 0) |
           (t->scratch_zero ? PARAM_SCRATCH_ZERO | PARAM_SCRATCH : 0);
}

/* makes parameter p in the current function; `shape` as the function sees the extents */
static fv make_param(lower *l, const ast_fn *owner, const ast_param *p, int arg, const fv *env, const int64_t *shape)
{
    const ast_type *t = &p->type;
    bool tensor = t->kind == TY_TENSOR;
    ir_type pt = plain_type(l, owner, tensor ? t->elem : t, env);
    if (pt.id && tensor && ir_type_of(l->m, pt)->kind != TK_NUM) {
        low_error(l, D_GENERIC_TYPE, t->elem->at);
        return fv_poison();
    }
    if (!pt.id)
        return fv_poison();
    if (tensor)
        pt = ir_type_tensor(l->m, pt, (int)t->ndims, shape, t->strided);
    ir_val v = ir_func_param(l->fx->f, pt, p->name, arg, param_flags(t));
    return (fv){.kind = tensor ? FV_TENSOR : FV_RT, .flags = t->is_static ? FV_STATIC : 0, .v = v};
}

static bool is_const_param(const ast_param *p)
{
    return !p->star && (p->type.kind == TY_CONST || p->type.kind == TY_CONST_FN);
}

static bool is_absent(const kernel_cx *k, const ast_param *p)
{
    const fe_value *v = p->type.optional ? choice_find(k->choice, p->name) : NULL;
    return v && v->kind == FE_V_NONE;
}

static bool tensor_rank_ok(lower *l, const ast_param *p)
{
    if (p->type.kind == TY_TENSOR && (p->type.ndims < 1 || p->type.ndims > IR_MAX_TENSOR_RANK)) {
        low_error(l, D_PARAM_RANK, p->type.at, STR_ARG(p->name), p->type.ndims, IR_MAX_TENSOR_RANK);
        return false;
    }
    return true;
}

/* ---- extents known at compile time ---- */
/* made of numbers, constants and const parameters only */
static bool expr_is_static(const kernel_cx *k, const ast_expr *e)
{
    if (!e)
        return true;
    if (e->kind == EX_NAME && e->ref.kind == REF_SLOT) {
        for (uint32_t i = 0; i < k->k->tuned.n; i++)
            if (k->k->tuned.at[i].slot == e->ref.slot)
                return true;
        for (const ast_param *p = k->k->params; p; p = p->next)
            if (p->slot == e->ref.slot)
                return is_const_param(p);
        return false;
    }
    for (const ast_expr *i = e->items; i; i = i->next)
        if (!expr_is_static(k, i))
            return false;
    for (const ast_arg *a = e->args; a; a = a->next)
        if (!expr_is_static(k, a->value))
            return false;
    return expr_is_static(k, e->a) && expr_is_static(k, e->b) && expr_is_static(k, e->c);
}

/* notes the extents of a tensor parameter; IR_DYN where the launch decides */
static void static_extents(lower *l, kernel_cx *k, const ast_param *p)
{
    kernel_dim kd = {.p = p};
    int d = 0;
    for (const ast_expr *e = p->type.dims; e; e = e->next, d++) {
        kd.shape[d] = IR_DYN;
        if (is_absent(k, p) || !expr_is_static(k, e))
            continue;
        fv v = low_expr(l, e);
        if (!fv_is_const_int(v) || v.num.i < 0 || !const_int_fits_i64(v.num.i, &kd.shape[d]))
            kd.shape[d] = IR_DYN; /* host_dims says what is wrong */
    }
    vec_push(l->a, &k->dims, kd);
}

static const int64_t *extents_of(const kernel_cx *k, const ast_param *p);

/* ---- the host's view ---- */
static const int64_t unknown[IR_MAX_TENSOR_RANK] = {IR_DYN, IR_DYN, IR_DYN, IR_DYN, IR_DYN};

static bool host_params(lower *l, kernel_cx *k)
{
    fx *h = &k->host;
    int arg = 0;
    bool ok = true;
    for (const ast_param *p = k->k->params; p; p = p->next, arg++) {
        if (p->star || is_const_param(p))
            continue;
        ok &= tensor_rank_ok(l, p);
        if (ok && p->type.kind == TY_TENSOR)
            static_extents(l, k, p);
        h->env[p->slot] = is_absent(k, p) ? fv_none()
                          : !ok           ? fv_poison()
                                          : make_param(l, k->k, p, arg, h->env, extents_of(k, p));
        ok &= h->env[p->slot].kind != FV_POISON;
    }
    arg = (int)k->k->nparams;
    for (uint32_t i = 0; i < k->extras.n && ok; i++)
        ok &= tensor_rank_ok(l, k->extras.at[i].p) &&
              make_param(l, k->extras.at[i].fn, k->extras.at[i].p, arg + (int)i, h->env, unknown).kind != FV_POISON;
    return ok;
}

/* The size that a tensor has, which on the host is what the launch brought: not folded to what its type promises. */
static ir_val size_of(lower *l, ir_val t, int d)
{
    B(l)->fold = !l->fx->host;
    ir_val v = ir_emit1a(B(l), IR_OP_tensor_dim, int_type(l), &t, 1, KEY_dim, ir_attr_int(l->m, d));
    B(l)->fold = true;
    return v;
}

static bool names_dim(const ast_expr *e, uint32_t slot)
{
    return e->kind == EX_NAME && e->ref.kind == REF_SLOT && e->ref.slot == slot;
}

/* the tensor and dimension that give a named dimension its value; NULL where every tensor that names it is absent */
static const ast_param *dim_source(const kernel_cx *k, const fv *env, uint32_t slot, int *dim)
{
    for (const ast_param *p = k->k->params; p; p = p->next) {
        if (p->type.kind != TY_TENSOR || p->type.scratch || p->type.scratch_zero || env[p->slot].kind != FV_TENSOR)
            continue;
        *dim = 0;
        for (const ast_expr *e = p->type.dims; e; e = e->next, (*dim)++)
            if (names_dim(e, slot))
                return p;
    }
    return NULL;
}

/* dimension names bound in the current function's environment, to sizes of its own parameters */
static void bind_dim_names(lower *l, kernel_cx *k, fv *env)
{
    for (uint32_t i = 0; i < k->k->dims.n; i++) {
        uint32_t slot = k->k->dims.at[i].slot;
        int d;
        const ast_param *p = dim_source(k, env, slot, &d);
        if (!p)
            continue;
        low_place(l, k->k->dims.at[i].at);
        env[slot] = fv_rt(size_of(l, env[p->slot].v, d));
    }
}

static str source_text(const lower *l, span at)
{
    str t = l->d->files.at[at.file - 1].text;
    return (str){t.p + at.beg, at.end - at.beg};
}

/* a scalar integer of the host, as int */
static fv host_int(lower *l, fv v, span at, const char *what)
{
    bool ok = fv_is_const_int(v) || (v.kind == FV_RT && !low_rank(l, v) && dt_is_int(low_dt(l, v)));
    if (!ok)
        return v.kind == FV_POISON ? v : low_error(l, D_HOST_INT, at, what, STR_ARG(low_say(l, v)));
    if (fv_is_const_int(v) && v.num.i < 0)
        return low_error(l, D_HOST_NEGATIVE, at, what, STR_ARG(const_text(l->a, v.num)));
    return low_cast(l, v, DT_I64, at);
}

static void expect_size(lower *l, ir_val size, ir_val want, int arg, int dim, str text)
{
    ir_val in[2] = {size, want};
    ir_attr_pair at[3] = {
        {KEY_arg, ir_attr_int(l->m, arg)}, {KEY_dim, ir_attr_int(l->m, dim)}, {KEY_text, ir_attr_str(l->m, text)}};
    ir_emit(B(l), &(ir_desc){.code = IR_OP_expect_eq, .nin = 2, .in = in, .nattr = 3, .attrs = at}, NULL);
}

/* checks or, for scratch, computes the sizes of one tensor parameter */
static bool host_dims_of(lower *l, kernel_cx *k, const ast_param *p, int arg)
{
    fx *h = &k->host;
    fv t = h->env[p->slot];
    bool scratch = p->type.scratch || p->type.scratch_zero, ok = true;
    int d = 0;
    for (const ast_expr *e = p->type.dims; e && t.kind == FV_TENSOR; e = e->next, d++) {
        fv v = low_expr(l, e), x = host_int(l, v, e->at, "a dimension");
        if (x.kind == FV_POISON) {
            ok = false;
            continue;
        }
        low_place(l, e->at);
        int first;
        bool defines = e->kind == EX_NAME && e->ref.kind == REF_SLOT &&
                       dim_source(k, h->env, e->ref.slot, &first) == p && first == d;
        bool dim_name = false;
        for (uint32_t i = 0; i < k->k->dims.n; i++)
            dim_name |= names_dim(e, k->k->dims.at[i].slot);
        if (scratch)
            vec_push(l->a, &k->scratch, x.v);
        else if (!defines || !dim_name)
            expect_size(l, size_of(l, t.v, d), x.v, arg, d, source_text(l, e->at));
    }
    return ok;
}

static bool host_dims(lower *l, kernel_cx *k)
{
    int arg = 0;
    bool ok = true;
    bind_dim_names(l, k, k->host.env);
    for (const ast_param *p = k->k->params; p; p = p->next, arg++)
        if (p->type.kind == TY_TENSOR && !p->star)
            ok &= host_dims_of(l, k, p, arg);
    return ok;
}

static bool host_grid(lower *l, kernel_cx *k)
{
    int i = 0;
    bool ok = true;
    for (int a = 0; a < 3; a++)
        k->grid[a] = ir_const_i(B(l), int_type(l), 1);
    for (const ast_expr *e = k->k->grid; e && i < 3; e = e->next, i++) {
        fv v = low_expr(l, e);
        v = host_int(l, v, e->at, "a grid axis");
        ok &= v.kind != FV_POISON;
        k->grid[i] = v.v;
    }
    k->has_grid = k->k->grid != NULL;
    return ok;
}

static void host_finish(lower *l, kernel_cx *k)
{
    l->fx = &k->host;
    val_list out = {0};
    for (int a = 0; a < 3 && k->has_grid; a++)
        vec_push(l->a, &out, k->grid[a]);
    for (uint32_t i = 0; i < k->scratch.n; i++)
        vec_push(l->a, &out, k->scratch.at[i]);
    for (uint32_t i = 0; i < out.n; i++)
        vec_push(l->a, &k->host.f->results, int_type(l));
    low_place(l, k->k->at);
    ir_return(B(l), out.at, out.n);
}

/* ---- the kernel's view ---- */
static const int64_t *extents_of(const kernel_cx *k, const ast_param *p)
{
    for (uint32_t i = 0; i < k->dims.n; i++)
        if (k->dims.at[i].p == p)
            return k->dims.at[i].shape;
    return unknown;
}

static void kernel_params(lower *l, kernel_cx *k)
{
    fx *f = &k->kernel;
    int arg = 0;
    for (const ast_param *p = k->k->params; p; p = p->next, arg++)
        if (!p->star && !is_const_param(p))
            f->env[p->slot] = is_absent(k, p) ? fv_none() : make_param(l, k->k, p, arg, f->env, extents_of(k, p));
    arg = (int)k->k->nparams;
    fv *rest = ARENA_ARRAY(l->a, fv, k->extras.n ? k->extras.n : 1);
    for (uint32_t i = 0; i < k->extras.n; i++)
        rest[i] = make_param(l, k->extras.at[i].fn, k->extras.at[i].p, arg + (int)i, f->env, unknown);
    for (const ast_param *p = k->k->params; p; p = p->next)
        if (p->star)
            f->env[p->slot] = fv_seq_of(rest, k->extras.n, false);
    bind_dim_names(l, k, f->env);
}

static int tuned_number(lower *l, const ast_fn *k, const char *name, int chosen)
{
    const ast_expr *e = chosen ? NULL : tune_default(k, str_of(name));
    if (!e)
        return chosen;
    fv v = low_expr(l, e);
    if (v.kind == FV_POISON)
        return 0;
    if (!fv_is_const_int(v) || v.num.i < 1 || v.num.i > 64) {
        low_error(l, D_TUNE_NUMBER, e->at, name, STR_ARG(low_say(l, v)));
        return 0;
    }
    return (int)v.num.i;
}

static void kernel_attributes(lower *l, kernel_cx *k)
{
    ir_func *f = k->kernel.f;
    static const fe_choice none;
    const fe_choice *c = k->choice ? k->choice : &none;
    f->host = k->host.f->name;
    for (const ast_decorator *d = k->k->decorators; d; d = d->next)
        f->cooperative |= str_eq(d->name, S("cooperative"));
    f->num_warps = tuned_number(l, k->k, "num_warps", c->num_warps);
    f->num_stages = tuned_number(l, k->k, "num_stages", c->num_stages);
    f->num_ctas = tuned_number(l, k->k, "num_ctas", c->num_ctas);
    f->waves_per_eu = tuned_number(l, k->k, "waves_per_eu", c->waves_per_eu);
}

static str kernel_name(lower *l, const kernel_cx *k)
{
    strbuf b;
    sb_init(&b, l->a);
    sb_put(&b, k->k->name);
    for (const ast_generic *g = k->k->generics; g; g = g->next) {
        const fe_value *v = choice_find(k->choice, g->name);
        sb_putf(&b, "__%s", v && v->kind == FE_V_DTYPE ? dtypes[v->dt].name : "?");
    }
    return sb_str(&b);
}

/* ---- what else the loops over tiles need ---- */
ir_val hidden_scratch(kernel_cx *k, const char *name, ir_type t, int flags)
{
    int arg = (int)(k->k->nparams + k->extras.n + k->hidden++);
    ir_func_param(k->host.f, t, str_of(name), arg, flags);
    return ir_func_param(k->kernel.f, t, str_of(name), arg, flags);
}

static ir_val copy_value(kernel_cx *k, ir_val v, uint32_t depth)
{
    const ir_func *f = k->kernel.f;
    ir_op o = ir_def(f, v);
    if (!o.id) { /* a parameter of the kernel itself */
        ir_val_data d = f->vals.at[v.id];
        return d.region.id == f->body.id ? ir_param_of(k->host.f, k->host.f->body, d.index) : (ir_val){0};
    }
    const ir_op_data *od = ir_o(f, o);
    if (depth > 200 || !(ir_ops[od->code].flags & PURE) || od->nregions || od->nout != 1 || od->nin > 16 ||
        od->nattr > 4 || od->code == IR_OP_program_id || od->code == IR_OP_num_programs)
        return (ir_val){0};
    ir_val in[16], out;
    ir_attr_pair attrs[4];
    for (uint32_t i = 0; i < od->nin; i++) {
        in[i] = copy_value(k, ir_in(f, o, i), depth + 1);
        if (!in[i].id)
            return in[i];
    }
    od = ir_o(f, o);
    for (uint32_t i = 0; i < od->nattr; i++)
        attrs[i] = ir_attr_at(f, o, i);
    ir_type t = ir_vtype(f, v);
    ir_emit(&k->host.b, &(ir_desc){.code = (ir_code)od->code, .nin = od->nin, .in = in, .nout = 1, .types = &t,
                                   .nattr = od->nattr, .attrs = attrs}, &out);
    return out;
}

ir_val host_copy(lower *l, kernel_cx *k, ir_val v, span at)
{
    k->host.b.loc = k->kernel.b.loc;
    ir_val r = copy_value(k, v, 0);
    if (!r.id)
        low_error(l, D_HOST_VALUE, at);
    return r;
}

/* ---- the whole ---- */
static void publish(lower *l, ir_module *m)
{
    for (uint32_t i = 0; i < l->made.n; i++)
        ir_module_add(m, l->made.at[i]);
}

bool kernel_lower(lower *l, fe_unit *u, const ast_fn *fn, const fe_choice *c, str *ir_name)
{
    kernel_cx *k = ARENA_NEW(l->a, kernel_cx);
    *k = (kernel_cx){.u = u, .k = fn, .choice = c};
    l->k = k;
    str name = kernel_name(l, k);
    fx_open(l, &k->kernel, FUNC_KERNEL, name, fn, fn->at);
    fx_open(l, &k->host, FUNC_HOST, str_fmt(l->a, "%.*s.host", STR_ARG(name)), fn, fn->at);
    k->host.host = true;
    bool ok = bind_choice(l, k, k->host.env) && find_extras(l, k, k->host.env);
    if (ok) {
        memcpy(k->kernel.env, k->host.env, k->kernel.nslots * sizeof *k->kernel.env);
        ok = host_params(l, k);
    }
    ok = ok && host_dims(l, k);
    ok = ok && host_grid(l, k);
    if (ok) {
        l->fx = &k->kernel;
        low_place(l, fn->at);
        kernel_params(l, k);
        kernel_attributes(l, k);
        low_stmts(l, fn->body);
        low_place(l, fn->at);
        ir_return(B(l), NULL, 0);
        host_finish(l, k);
    }
    k->kernel.f->has_grid = k->has_grid;
    l->fx = &k->host;
    k->host.up = &k->kernel;
    fx_close(l);
    fx_close(l);
    if (!ok || l->faults || l->stopped)
        return false;
    *ir_name = k->kernel.f->name;
    publish(l, l->m);
    return true;
}
