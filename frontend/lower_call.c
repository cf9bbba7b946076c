/* lower_call.c: calls.
 *
 * A `fn` is lowered once per instance: the function, the types of its run-time arguments, and its compile-time
 * arguments. A run-time argument becomes parameters of the instance, one a leaf; tuples pass as their elements. What
 * the body returns is kept as a shape: run-time leaves are results of the call, the rest is known to the caller. In a
 * grid or dimension, which the host evaluates alone, the body is lowered in place instead.
 */
#include "frontend/builtins.h"
#include "frontend/lower.h"

#include <string.h>

/* ---- instances ---- */
typedef struct inst {
    struct inst *next; /* of the same hash */
    const ast_fn *fn;
    fv *key;          /* by parameter; a run-time leaf holds its type's id in place of a value */
    bool pure;
    str name;
    fv ret;           /* shape of what comes back; run-time leaves are results in order */
    VEC(ir_type) results;
    bool busy, failed;
} inst;

static fv key_of(lower *l, fv v)
{
    if (v.kind == FV_SEQ) {
        fv *el = ARENA_ARRAY(l->a, fv, v.seq.n ? v.seq.n : 1);
        for (uint32_t i = 0; i < v.seq.n; i++)
            el[i] = key_of(l, v.seq.at[i]);
        v.seq.at = el;
    } else if (fv_is_runtime(v)) {
        v.v.id = low_vtype(l, v).id;
    }
    return v;
}

static uint64_t key_hash(fv v, uint64_t h)
{
    if (v.kind == FV_SEQ) {
        for (uint32_t i = 0; i < v.seq.n; i++)
            h = key_hash(v.seq.at[i], h);
        return hash_mix(h, v.seq.n);
    }
    return fv_is_runtime(v) ? hash_mix(h, v.v.id) : fv_hash(v, h);
}

/* parameters of the function being built for the run-time leaves of an argument */
static fv leaf_params(lower *l, fx *f, fv key, str name)
{
    if (key.kind == FV_SEQ) {
        fv *el = ARENA_ARRAY(l->a, fv, key.seq.n ? key.seq.n : 1);
        for (uint32_t i = 0; i < key.seq.n; i++)
            el[i] = leaf_params(l, f, key.seq.at[i], name);
        key.seq.at = el;
    } else if (fv_is_runtime(key)) {
        key.v = ir_func_param(f->f, (ir_type){key.v.id}, name, (int)f->f->params.n, 0);
    }
    return key;
}

static void leaves(lower *l, fv v, val_list *out)
{
    if (v.kind == FV_SEQ)
        for (uint32_t i = 0; i < v.seq.n; i++)
            leaves(l, v.seq.at[i], out);
    else if (fv_is_runtime(v))
        vec_push(l->a, out, v.v);
}

static fv with_leaves(lower *l, fv v, const ir_val *at, uint32_t *i)
{
    if (v.kind == FV_SEQ) {
        fv *el = ARENA_ARRAY(l->a, fv, v.seq.n ? v.seq.n : 1);
        for (uint32_t k = 0; k < v.seq.n; k++)
            el[k] = with_leaves(l, v.seq.at[k], at, i);
        v.seq.at = el;
    } else if (fv_is_runtime(v)) {
        v.v = at[(*i)++];
    }
    return v;
}

/* ---- typed parameters of a fn ---- */
static dtype named_dtype(str name) { return str_eq(name, S("int")) ? DT_I64 : dtype_by_name(name); }

/* does element dtype d match the type's name? */
static bool elem_matches(lower *l, const ast_type *t, dtype d, span at)
{
    if (named_dtype(t->name) == d)
        return true;
    low_error(l, D_PARAM_TYPE, at, STR_ARG(t->name), dtypes[d].name);
    return false;
}

static bool param_wants(lower *l, const ast_param *p, fv v, span at, const char *want)
{
    low_error(l, D_PARAM_VALUE, at, STR_ARG(p->name), want, STR_ARG(low_say(l, v)));
    return false;
}

static bool tensor_param(lower *l, const ast_param *p, fv v, span at)
{
    if (v.kind != FV_TENSOR)
        return param_wants(l, p, v, at, "a tensor");
    if (low_info(l, v)->rank != (int)p->type.ndims)
        return param_wants(l, p, v, at, "a tensor of the declared rank");
    return elem_matches(l, p->type.elem, low_info(l, v)->dt, at);
}

static bool pointer_param(lower *l, const ast_param *p, fv v, span at)
{
    if (!low_is_ptr(l, v))
        return param_wants(l, p, v, at, "a pointer");
    const ast_type *t = &p->type;
    ir_type have = ir_type_elem(l->m, low_vtype(l, v));
    for (; t->kind == TY_PTR; t = t->elem) {
        if (ir_type_of(l->m, have)->kind != TK_PTR)
            return param_wants(l, p, v, at, "a pointer of the declared type");
        have = ir_type_of(l->m, have)->elem;
    }
    if (ir_type_of(l->m, have)->kind != TK_NUM)
        return param_wants(l, p, v, at, "a pointer of the declared type");
    return elem_matches(l, t, ir_type_dt(l->m, have), at);
}

/* checks an argument against the parameter's type; weak numbers take it */
static bool typed_param(lower *l, const ast_param *p, fv *v, span at)
{
    const ast_type *t = &p->type;
    if (v->kind == FV_NONE && t->optional)
        return true;
    switch (t->kind) {
    case TY_NONE: return true;
    case TY_CONST: return fv_is_runtime(*v) ? param_wants(l, p, *v, at, "a compile-time value") : true;
    case TY_CONST_FN:
        return v->kind == FV_FN || v->kind == FV_BUILTIN ? true : param_wants(l, p, *v, at, "a function");
    case TY_TENSOR: return tensor_param(l, p, *v, at);
    case TY_PTR: return pointer_param(l, p, *v, at);
    case TY_NAME: break;
    }
    if (v->kind == FV_NUM && named_dtype(t->name) != DT_NONE)
        *v = low_cast(l, *v, named_dtype(t->name), at);
    if (v->kind == FV_NUM)
        *v = low_runtime(l, *v, at);
    if (v->kind == FV_POISON)
        return false;
    if (v->kind != FV_RT || low_is_ptr(l, *v))
        return param_wants(l, p, *v, at, "a number");
    return elem_matches(l, t, low_dt(l, *v), at);
}

/* dimensions that the tensor parameters of a fn name */
static void bind_dims(lower *l, const ast_fn *fn, fv *env)
{
    for (const ast_param *p = fn->params; p; p = p->next) {
        if (p->type.kind != TY_TENSOR || env[p->slot].kind != FV_TENSOR)
            continue;
        int d = 0;
        for (const ast_expr *e = p->type.dims; e; e = e->next, d++)
            for (uint32_t i = 0; i < fn->dims.n; i++)
                if (e->kind == EX_NAME && e->ref.kind == REF_SLOT && e->ref.slot == fn->dims.at[i].slot &&
                    env[e->ref.slot].kind == FV_UNBOUND) {
                    ir_val t = env[p->slot].v;
                    env[e->ref.slot] = fv_rt(ir_emit1a(B(l), IR_OP_tensor_dim, ir_type_num(l->m, DT_I64), &t, 1,
                                                       KEY_dim, ir_attr_int(l->m, d)));
                }
    }
}

/* ---- binding arguments ---- */
typedef struct binding {
    fv *v;       /* by parameter */
    span *at;
    bool *given;
} binding;

static const ast_param *param_at(const ast_fn *fn, uint32_t i)
{
    const ast_param *p = fn->params;
    while (i--)
        p = p->next;
    return p;
}

static bool fn_keyword(lower *l, const ast_fn *fn, binding *b, const call_arg *a)
{
    uint32_t i = 0;
    const char *best = NULL;
    unsigned dist = 3;
    for (const ast_param *p = fn->params; p; p = p->next, i++) {
        if (!p->star && str_eq(p->name, a->name)) {
            if (b->given[i])
                low_error(l, D_ARG_TWICE, a->at, str_cstr(l->a, fn->name), STR_ARG(a->name));
            bool twice = b->given[i];
            b->given[i] = true;
            b->v[i] = a->v;
            b->at[i] = a->at;
            return !twice;
        }
        unsigned d = str_distance(p->name, a->name, 2);
        if (d < dist) {
            dist = d;
            best = str_cstr(l->a, p->name);
        }
    }
    low_error(l, D_UNKNOWN_KEYWORD, a->at, str_cstr(l->a, fn->name), STR_ARG(a->name));
    if (best)
        low_note(l, a->at, "did you mean '%s'?", best);
    return false;
}

static bool fn_defaults(lower *l, const ast_fn *fn, binding *b, span at)
{
    fx *f = l->fx;
    fv *env = ARENA_ARRAY(l->a, fv, fn->nslots + f->nslots), *was = f->env;
    uint32_t i = 0;
    for (uint32_t s = 0; s < fn->nslots + f->nslots; s++)
        env[s] = s >= fn->nslots ? was[s - fn->nslots] : (fv){.kind = FV_UNBOUND};
    for (const ast_param *p = fn->params; p; p = p->next, i++) {
        if (p->star || b->given[i]) {
            env[p->slot] = b->v[i];
            continue;
        }
        b->at[i] = at;
        if (!p->dflt) {
            low_error(l, D_MISSING_ARG, at, str_cstr(l->a, fn->name), STR_ARG(p->name));
            return false;
        }
        /* a default may name file constants and parameters before it */
        uint32_t hidden = f->hidden;
        f->env = env;
        f->hidden = fn->nslots;
        env[p->slot] = b->v[i] = low_expr(l, p->dflt);
        f->env = was;
        f->hidden = hidden;
    }
    return true;
}

static bool bind_fn_args(lower *l, const ast_fn *fn, const call_arg *args, uint32_t n, span at, binding *b)
{
    uint32_t np = fn->nparams, next = 0;
    const ast_param *last = np ? param_at(fn, np - 1) : NULL;
    uint32_t fixed = last && last->star ? np - 1 : np;
    VEC(fv) rest = {0};
    *b = (binding){ARENA_ARRAY(l->a, fv, np + 1), ARENA_ARRAY(l->a, span, np + 1), ARENA_ARRAY(l->a, bool, np + 1)};
    for (uint32_t i = 0; i < n; i++) {
        if (args[i].name.n) {
            if (!fn_keyword(l, fn, b, &args[i]))
                return false;
        } else if (next < fixed) {
            b->v[next] = args[i].v;
            b->at[next] = args[i].at;
            b->given[next++] = true;
        } else if (fixed < np) {
            vec_push(l->a, &rest, args[i].v);
        } else {
            low_error(l, D_TOO_MANY_ARGS, args[i].at, str_cstr(l->a, fn->name), (int)fixed, n);
            return false;
        }
    }
    if (fixed < np) {
        b->v[fixed] = fv_seq_of(rest.at, rest.n, false);
        b->at[fixed] = at;
        b->given[fixed] = true;
    }
    return fn_defaults(l, fn, b, at);
}

/* ---- lowering a body ---- */
/* the value that the body left with; poison and a diagnostic where some path gave none */
static fv body_result(lower *l, const ast_fn *fn, status st)
{
    fx *f = l->fx;
    fv rv = f->env[f->hidden + SLOT_RV];
    if (l->stopped)
        return fv_poison();
    if (rv.kind == FV_UNBOUND)
        return fv_none();
    if (st != ST_EXIT && rv.kind != FV_NONE && rv.kind != FV_POISON)
        return low_error(l, D_MISSING_RETURN, fn->name_at, STR_ARG(fn->name));
    return rv;
}

/* functions of the kernel itself enter the module last */
static bool names_kernel(const lower *l, str name)
{
    for (const fx *f = l->fx; f; f = f->up)
        if (str_eq(f->f->name, name))
            return true;
    return false;
}

/* "f", then "f.2", "f.3", ..: the count is kept by the hash of the name, so that a collision only skips numbers */
static str inst_name(lower *l, const ast_fn *fn)
{
    uint64_t key = str_hash(fn->name);
    uint32_t k = 0;
    for (;;) {
        map_get(&l->inst_names, key, &k);
        map_set(&l->inst_names, key, ++k);
        str name = k == 1 ? fn->name : str_fmt(l->a, "%.*s.%u", STR_ARG(fn->name), k);
        if (!ir_module_find(l->m, name) && !names_kernel(l, name))
            return name;
    }
}

static void inst_lower(lower *l, inst *x, const binding *b)
{
    fx f;
    bool host = l->fx->host, pure = l->fx->pure;
    uint32_t faults = l->faults, i = 0;
    const ast_fn *fn = x->fn;
    fx_open(l, &f, FUNC_FN, x->name, fn, fn->at);
    f.host = host;
    f.pure = pure;
    for (const ast_param *p = fn->params; p; p = p->next, i++)
        f.env[p->slot] = leaf_params(l, &f, x->key[i], p->name);
    i = 0;
    for (const ast_param *p = fn->params; p; p = p->next, i++)
        if (!p->star && !typed_param(l, p, &f.env[p->slot], b->at[i]))
            f.env[p->slot] = fv_poison();
    bind_dims(l, fn, f.env);
    fv ret = body_result(l, fn, low_stmts(l, fn->body));
    val_list out = {0};
    leaves(l, ret, &out);
    for (uint32_t k = 0; k < out.n; k++)
        vec_push(l->a, &f.f->results, ir_vtype(f.f, out.at[k]));
    for (uint32_t k = 0; k < out.n; k++)
        vec_push(l->a, &x->results, ir_vtype(f.f, out.at[k]));
    low_place(l, fn->at);
    ir_return(B(l), out.at, out.n);
    x->ret = ret;
    x->failed = l->faults > faults || l->stopped || fv_has_poison(ret);
    fx_close(l);
}

static inst *inst_get(lower *l, const ast_fn *fn, const binding *b)
{
    uint64_t h = hash_mix((uint64_t)(uintptr_t)fn, l->fx->pure);
    fv *key = ARENA_ARRAY(l->a, fv, fn->nparams ? fn->nparams : 1);
    for (uint32_t i = 0; i < fn->nparams; i++)
        h = key_hash(key[i] = key_of(l, b->v[i]), h);
    uint32_t at = UINT32_MAX;
    map_get(&l->inst_map, h, &at);
    for (inst *x = at == UINT32_MAX ? NULL : l->insts.at[at]; x; x = x->next) {
        bool same = x->fn == fn && x->pure == l->fx->pure;
        for (uint32_t i = 0; same && i < fn->nparams; i++)
            same = fv_same(x->key[i], key[i]);
        if (same)
            return x;
    }
    if (l->insts.n >= LOW_MAX_INSTS) {
        l->stopped = true;
        low_error(l, D_TOO_LONG, l->frames->at, LOW_MAX_INSTS, "functions");
    }
    inst *x = ARENA_NEW(l->a, inst);
    *x = (inst){.fn = fn, .key = key, .pure = l->fx->pure, .busy = true};
    x->next = at == UINT32_MAX ? NULL : l->insts.at[at];
    map_set(&l->inst_map, h, l->insts.n);
    x->name = inst_name(l, fn);
    vec_push(l->a, &l->insts, x);
    inst_lower(l, x, b);
    x->busy = false;
    return x;
}

/* in a host function: the body in place */
static fv call_in_place(lower *l, const ast_fn *fn, const binding *b)
{
    fx *up = l->fx, f = *up;
    fx_env(l, &f, fn);
    f.up = up;
    l->fx = &f;
    uint32_t i = 0;
    for (const ast_param *p = fn->params; p; p = p->next, i++) {
        f.env[p->slot] = b->v[i];
        if (!p->star && !typed_param(l, p, &f.env[p->slot], b->at[i]))
            f.env[p->slot] = fv_poison();
    }
    bind_dims(l, fn, f.env);
    fv ret = body_result(l, fn, low_stmts(l, fn->body));
    up->b = f.b;
    l->fx = up;
    return ret;
}

static fv call_fn(lower *l, const ast_fn *fn, const call_arg *args, uint32_t n, span at)
{
    binding b;
    if (fn->recursive)
        return fv_poison();
    if (l->depth >= LOW_MAX_CALLS) {
        l->stopped = true;
        return low_error(l, D_CALL_DEPTH, at, LOW_MAX_CALLS);
    }
    if (!low_step(l, at) || !bind_fn_args(l, fn, args, n, at, &b))
        return fv_poison();
    for (uint32_t i = 0; i < fn->nparams; i++)
        if (fv_has_poison(b.v[i]))
            return fv_poison();
    frame fr = {l->frames, fn->name, at};
    l->frames = &fr;
    l->depth++;
    fv ret = fv_poison();
    if (l->fx->host) {
        ret = call_in_place(l, fn, &b);
    } else {
        inst *x = inst_get(l, fn, &b);
        l->frames = fr.up;
        if (x->busy)
            ret = low_error(l, D_RECURSION, at, STR_ARG(fn->name));
        else if (!x->failed) {
            val_list in = {0};
            for (uint32_t i = 0; i < fn->nparams; i++)
                leaves(l, b.v[i], &in);
            uint32_t no = x->results.n, k = 0;
            ir_val *out = ARENA_ARRAY(l->a, ir_val, no ? no : 1);
            ir_attr_pair callee = {KEY_callee, ir_attr_str(l->m, x->name)};
            low_place(l, at);
            ir_emit(B(l), &(ir_desc){.code = IR_OP_call, .nin = in.n, .in = in.at, .nout = no, .types = x->results.at,
                                     .nattr = 1, .attrs = &callee}, out);
            ret = with_leaves(l, x->ret, out, &k);
        }
    }
    l->depth--;
    l->frames = fr.up;
    return ret;
}

/* ---- any callee ---- */
const char *low_fn_name(const lower *l, fv fn)
{
    return fn.kind == FV_BUILTIN ? builtin_at(fn.builtin)->name : fn.kind == FV_FN ? str_cstr(l->a, fn.fn->name) : "?";
}

/* f16(x): a conversion */
static fv call_type(lower *l, ir_type t, const call_arg *args, uint32_t n, span at)
{
    call_arg all[2] = {{.at = at}, {.v = fv_type(t), .at = at}};
    if (n != 1 || args[0].name.n)
        return low_error(l, D_INDEX_COUNT, at, 1, n);
    all[0] = args[0];
    return builtin_call(l, builtin_find(S("cast")), NULL, all, 2, at);
}

fv low_call(lower *l, fv callee, const call_arg *args, uint32_t n, span at)
{
    switch (callee.kind) {
    case FV_POISON: return callee;
    case FV_FN: return call_fn(l, callee.fn, args, n, at);
    case FV_BUILTIN: return builtin_call(l, callee.builtin, NULL, args, n, at);
    case FV_METHOD: return builtin_call(l, callee.method.row, callee.method.self, args, n, at);
    case FV_TYPE: return call_type(l, callee.type, args, n, at);
    case FV_UNBOUND: case FV_NONE: case FV_NUM: case FV_STR: case FV_SEQ: case FV_RT: case FV_TENSOR: break;
    }
    return low_error(l, D_NOT_CALLABLE, at, STR_ARG(low_say(l, callee)));
}

fv low_apply(lower *l, fv callee, const fv *args, uint32_t n, span at)
{
    call_arg *all = ARENA_ARRAY(l->a, call_arg, n ? n : 1);
    for (uint32_t i = 0; i < n; i++)
        all[i] = (call_arg){.v = args[i], .at = at};
    if (callee.kind != FV_FN && callee.kind != FV_BUILTIN)
        return callee.kind == FV_POISON ? callee : low_error(l, D_NOT_CALLABLE, at, STR_ARG(low_say(l, callee)));
    return low_call(l, callee, all, n, at);
}

bool low_args(lower *l, const ast_expr *call, call_arg **out, uint32_t *n)
{
    VEC(call_arg) list = {0};
    bool ok = true;
    for (const ast_arg *a = call->args; a; a = a->next) {
        const ast_expr *e = a->value;
        if (e->kind == EX_STAR && !a->name.n) {
            fv v = low_expr(l, e->a);
            if (v.kind == FV_SEQ) {
                for (uint32_t i = 0; i < v.seq.n; i++)
                    vec_push(l->a, &list, ((call_arg){.v = v.seq.at[i], .at = e->at}));
                continue;
            }
            if (v.kind == FV_TYPE)
                v = fv_type(ir_type_ptr(l->m, v.type));
            else if (v.kind != FV_POISON)
                v = low_error(l, D_STAR, e->at, STR_ARG(low_say(l, v)));
            vec_push(l->a, &list, ((call_arg){.v = v, .at = e->at}));
        } else {
            fv v = low_expr(l, e);
            if (v.kind == FV_METHOD)
                v = low_error(l, D_METHOD_VALUE, e->at);
            span at = a->name.n ? span_join(a->name_at, e->at) : e->at;
            vec_push(l->a, &list, ((call_arg){.v = v, .name = a->name, .at = at}));
        }
        ok &= !fv_has_poison(list.at[list.n - 1].v);
    }
    *out = list.at;
    *n = list.n;
    return ok;
}

fv low_call_expr(lower *l, const ast_expr *e)
{
    call_arg *args;
    uint32_t n;
    fv callee = low_expr(l, e->a);
    if (!low_args(l, e, &args, &n) || callee.kind == FV_POISON)
        return fv_poison();
    return low_call(l, callee, args, n, e->at);
}
