/* aot_build.c: `tilec build`: kernels to one relocatable object and its header.
 *
 * A kernel becomes instances: one for each type of its generics that -D leaves open, each value of a name that -D gives
 * several times, each optional argument present and absent. An instance is lowered once; then, for every set of facts
 * (aot.h), it goes through the passes, and through the code generator for every level of the processor. Equal machine
 * code is kept once. What a level can't do without help that a C program doesn't have (16-bit floats without F16C) is
 * left out of that level. The pieces and the tables that name them are put together by aot_link.c.
 */
#include "runtime/aot_build.h"

#include "runtime/aot_link.h"
#include "runtime/runtime.h"

#include <string.h>

bool aot_user_error(aot_job *j, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_vreport(j->d, DIAG_ERROR, "request", (span){0}, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- which instances ---- */

typedef VEC(fe_value) values;

typedef struct axis_of {
    str name;
    values at;
    bool optional; /* FE_V_ABSENT among its values: the argument is there */
} axis_of;

typedef VEC(axis_of) axes;

static bool is_of_kernel(const fe_kernel *k, str name)
{
    for (uint32_t i = 0; i < k->nparams; i++)
        if (str_eq(k->params[i].name, name))
            return true;
    for (uint32_t i = 0; i < k->ngenerics; i++)
        if (str_eq(k->generics[i].name, name))
            return true;
    return false;
}

static axis_of *find_axis(axes *list, str name)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (str_eq(list->at[i].name, name))
            return &list->at[i];
    return NULL;
}

static bool same_value(const fe_value *x, const fe_value *y)
{
    if (x->kind != y->kind)
        return false;
    switch (x->kind) {
    case FE_V_ABSENT:
    case FE_V_NONE:
        break;
    case FE_V_BOOL:
    case FE_V_INT:
        return x->i == y->i;
    case FE_V_FLOAT:
        return num_f64_bits(x->f) == num_f64_bits(y->f);
    case FE_V_STR:
    case FE_V_FN:
        return str_eq(x->s, y->s);
    case FE_V_DTYPE:
        return x->dt == y->dt;
    }
    return true;
}

/* once, however often it is said */
static void add_value(arena *a, axes *list, str name, fe_value v)
{
    axis_of *x = find_axis(list, name);
    if (!x) {
        vec_push(a, list, ((axis_of){.name = name}));
        x = &vec_last(list);
    }
    for (uint32_t i = 0; i < x->at.n; i++)
        if (same_value(&x->at.at[i], &v))
            return;
    vec_push(a, &x->at, v);
}

/* -D bias=given: an optional argument that is there */
static fe_value given_value(const fe_kernel *k, const fe_binding *b)
{
    for (uint32_t i = 0; i < k->nparams; i++)
        if (str_eq(k->params[i].name, b->name) && k->params[i].optional && k->params[i].kind != FE_P_CONST &&
            b->value.kind == FE_V_FN && str_eq(b->value.s, S("given")))
            return (fe_value){.kind = FE_V_ABSENT};
    return b->value;
}

static bool find_axes(aot_job *j, const fe_kernel *k, axes *list)
{
    for (uint32_t i = 0; i < j->q->nbind; i++)
        if (is_of_kernel(k, j->q->bind[i].name))
            add_value(j->a, list, j->q->bind[i].name, given_value(k, &j->q->bind[i]));
    for (uint32_t i = 0; i < k->ngenerics; i++) {
        const fe_generic *g = &k->generics[i];
        if (find_axis(list, g->name))
            continue;
        if (g->n == 0)
            return aot_user_error(j, "kernel '%.*s': '%.*s' may be any type: say which, by -D %.*s=f32",
                                  STR_ARG(k->name), STR_ARG(g->name), STR_ARG(g->name));
        for (uint32_t t = 0; t < g->n; t++)
            add_value(j->a, list, g->name, (fe_value){.kind = FE_V_DTYPE, .dt = g->list[t]});
    }
    for (uint32_t i = 0; i < k->nparams; i++) {
        const fe_param *p = &k->params[i];
        if (p->kind == FE_P_CONST || !p->optional || find_axis(list, p->name))
            continue;
        add_value(j->a, list, p->name, (fe_value){.kind = FE_V_ABSENT});
        add_value(j->a, list, p->name, (fe_value){.kind = FE_V_NONE});
    }
    return true;
}

static bool count_instances(aot_job *j, const fe_kernel *k, const axes *list, uint32_t *n)
{
    strbuf b;
    uint64_t all = 1;
    sb_init(&b, j->a);
    for (uint32_t i = 0; i < list->n; i++) {
        all *= list->at[i].at.n;
        if (list->at[i].at.n > 1)
            sb_putf(&b, "%s%u of '%.*s'", b.n ? ", " : "", list->at[i].at.n, STR_ARG(list->at[i].name));
        if (all > AOT_MOST_INSTANCES)
            return aot_user_error(j, "kernel '%.*s' would have more than %d instances (%.*s, ..): choose some by -D",
                                  STR_ARG(k->name), AOT_MOST_INSTANCES, STR_ARG(sb_str(&b)));
    }
    *n = (uint32_t)all;
    return true;
}

/* the index-th combination */
static void combine(arena *a, const axes *list, uint32_t index, fe_binding **out, uint32_t *n)
{
    *out = ARENA_ARRAY(a, fe_binding, (size_t)list->n + 1);
    *n = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        const axis_of *x = &list->at[i];
        fe_value v = x->at.at[index % x->at.n];
        index /= x->at.n;
        if (v.kind != FE_V_ABSENT)
            (*out)[(*n)++] = (fe_binding){x->name, v};
    }
}

/* ---- names ---- */

/* "BM=32, bias=None": what the choice says that the kernel doesn't say by itself */
static str choices_text(aot_job *j, const fe_kernel *k, const choice_list *c)
{
    choice_list plain;
    strbuf b;
    sb_init(&b, j->a);
    choice_init(j->a, &plain, k, NULL, 0, "cpu", 0);
    for (uint32_t i = 0; i < k->nparams; i++) {
        const fe_param *p = &k->params[i];
        const fe_binding *x = choice_get(c, p->name), *y = choice_get(&plain, p->name);
        const fe_value *dflt = y ? &y->value : &p->dflt;
        if (!x || same_value(&x->value, dflt))
            continue;
        sb_putf(&b, "%s%.*s=", b.n ? ", " : "", STR_ARG(p->name));
        choice_put_value(&b, &x->value);
    }
    return sb_str(&b);
}

/* by these tile_kernel_linked tells instances apart */
static void find_consts(aot_job *j, const fe_kernel *k, const choice_list *c, aot_made *m)
{
    choice_list plain;
    choice_init(j->a, &plain, k, NULL, 0, "cpu", 0);
    for (uint32_t i = 0; i < k->nparams; i++) {
        const fe_param *p = &k->params[i];
        const fe_binding *x = choice_get(c, p->name), *y = choice_get(&plain, p->name);
        const fe_value *dflt = y ? &y->value : &p->dflt, *v = x ? &x->value : dflt;
        strbuf b;
        if (p->kind != FE_P_CONST)
            continue;
        sb_init(&b, j->a);
        choice_put_value(&b, v);
        vec_push(j->a, &m->consts, ((aot_const){p->name, sb_str(&b), !same_value(v, dflt)}));
    }
}

/* NAME__f16__9c24bb1d */
static void name_instance(aot_job *j, const fe_kernel *k, const choice_list *c, aot_made *m)
{
    strbuf b;
    str text = choices_text(j, k, c);
    sb_init(&b, j->a);
    for (uint32_t i = 0; i < k->ngenerics; i++)
        sb_putf(&b, "%s%.*s=%s", i ? ", " : "", STR_ARG(k->generics[i].name), dtypes[m->dtypes[i]].name);
    sb_putf(&b, "%s%.*s", k->ngenerics && text.n ? ", " : "", STR_ARG(text));
    m->note = sb_str(&b);
    sb_init(&b, j->a);
    sb_putf(&b, "%.*s__", STR_ARG(k->name));
    for (uint32_t i = 0; i < k->ngenerics; i++)
        sb_putf(&b, "%s%s", dtypes[m->dtypes[i]].name, i + 1 < k->ngenerics ? "_" : "__");
    sb_putf(&b, "%08x", (unsigned)(hash_bytes(text.p ? text.p : "", text.n, 1) & 0xffffffff));
    m->symbol = sb_str(&b);
}

/* ---- one instance ---- */

static bool find_functions(aot_job *j, const aot_made_kernel *k, aot_made *m, str ir_name)
{
    m->k = ir_module_find(m->m, ir_name);
    if (!m->k)
        ir_bug(m->m, "the kernel '%.*s' is not in the module made of it", STR_ARG(ir_name));
    m->host = m->k->host.n ? ir_module_find(m->m, m->k->host) : NULL;
    m->param = ARENA_ARRAY(j->a, int, (size_t)m->k->params.n + 1);
    m->written = ARENA_ARRAY(j->a, bool, (size_t)m->k->params.n + 1);
    for (uint32_t i = 0; i < m->k->params.n; i++) {
        m->param[i] = -1;
        for (uint32_t p = 0; p < k->nparams; p++)
            if (!(m->k->params.at[i].flags & PARAM_SCRATCH) && k->params[p]->arg == m->k->params.at[i].arg)
                m->param[i] = (int)p;
    }
    if (!rt_analyse(j->a, j->d, m->m, m->k, m->written, &m->guards, NULL))
        return false;
    m->host_list = m->host ? host_code_make(j->a, m->host) : NULL;
    m->guard_list = m->guards ? host_code_make(j->a, m->guards) : NULL;
    if (m->host && !m->host_list)
        return aot_user_error(j, "kernel '%.*s' can't be built ahead of time: its grid or sizes are computed by a loop",
                              STR_ARG(k->fe->name));
    return true;
}

static void find_sizes(aot_job *j, const aot_made_kernel *k, const choice_list *c, aot_made *m)
{
    for (uint32_t p = 0; p < k->nparams; p++)
        for (int d = 0; d < k->params[p]->rank && k->params[p]->kind == FE_P_TENSOR; d++) {
            str name = k->params[p]->dims[d].text;
            const fe_binding *b = choice_get(c, name);
            if (k->params[p]->dims[d].kind != FE_DIM_CONST)
                continue;
            for (uint32_t i = 0; i < k->fe->nparams; i++)
                if (str_eq(k->fe->params[i].name, name)) {
                    const fe_value *v = b ? &b->value : &k->fe->params[i].dflt;
                    if (v->kind == FE_V_INT)
                        vec_push(j->a, &m->sizes, ((aot_size){name, p, d, v->i}));
                }
        }
}

/* ---- its code ---- */

static bool may_be_one(const aot_made *m, uint32_t i, uint32_t k)
{
    const ir_type_info *x = ir_type_of(m->m, ir_vtype(m->k, ir_param_of(m->k, m->k->body, i)));
    const ir_type_info *y = ir_type_of(m->m, ir_vtype(m->k, ir_param_of(m->k, m->k->body, k)));
    if (m->param[i] < 0 || m->param[k] < 0 || !(m->written[i] || m->written[k]) || x->kind != y->kind)
        return false;
    return (x->kind == TK_PTR || x->kind == TK_TENSOR) && x->elem.id == y->elem.id && x->rank == y->rank;
}

/* how the list of pairs names this one; -1: it doesn't */
static int pair_in(aot_job *j, const aot_made *m, uint32_t k, uint32_t i)
{
    str x = m->k->params.at[k].name, y = m->k->params.at[i].name;
    for (uint32_t p = 0; p < j->q->npairs; p++)
        if (str_eq(j->q->pairs[p], str_fmt(j->a, "%.*s:%.*s", STR_ARG(x), STR_ARG(y))) ||
            str_eq(j->q->pairs[p], str_fmt(j->a, "%.*s:%.*s", STR_ARG(y), STR_ARG(x))))
            return (int)p;
    return -1;
}

/* code for arguments k and i in one buffer */
static bool make_pair(aot_job *j, str kernel, aot_made *m, uint32_t k, uint32_t i, unsigned binaries)
{
    aot_made_code fast = {.narrow = true, .fast = true, .same = {(int)k, (int)i}, .what = "fast_inplace"};
    aot_made_code wide = {.same = {(int)k, (int)i}, .what = "inplace"};
    return (!(binaries & AOT_FAST) || !m->guard_list || aot_make_code(j, kernel, m, fast)) &&
           (binaries == AOT_FAST || aot_make_code(j, kernel, m, wide));
}

static bool make_pairs(aot_job *j, str kernel, aot_made *m)
{
    uint32_t pairs = 0, found = 0;
    for (uint32_t i = 0; i < m->k->params.n; i++)
        for (uint32_t k = 0; k < i; k++) {
            bool named = j->q->pairs && pair_in(j, m, k, i) >= 0;
            if (!may_be_one(m, k, i) || (j->q->pairs ? !named : pairs++ >= AOT_MOST_PAIRS))
                continue;
            found += named;
            if (!make_pair(j, kernel, m, k, i, j->q->pairs ? j->q->binaries : AOT_WIDE))
                return false;
        }
    return found == j->q->npairs ||
           aot_user_error(j, "kernel '%.*s': in place are two arguments of one type, one of which it writes",
                          STR_ARG(kernel));
}

static bool make_codes(aot_job *j, str kernel, aot_made *m)
{
    static const struct {
        unsigned bit;
        aot_made_code code;
    } kinds[] = {{AOT_FAST, {.narrow = true, .fast = true, .same = {-1, -1}, .what = "fast"}},
                 {AOT_NARROW, {.narrow = true, .same = {-1, -1}, .what = "narrow"}},
                 {AOT_WIDE, {.same = {-1, -1}, .what = "wide"}}};
    for (size_t i = 0; i < COUNTOF(kinds); i++) {
        bool wanted = (j->q->binaries & kinds[i].bit) || !j->q->binaries;
        if (wanted && (m->guard_list || !kinds[i].code.narrow) && !aot_make_code(j, kernel, m, kinds[i].code))
            return false;
    }
    if (!make_pairs(j, kernel, m))
        return false;
    if (m->levels.n == 0)
        return aot_user_error(j, "kernel '%.*s' has no code for any level", STR_ARG(kernel));
    return true;
}

/* only products have other code where there is AMX */
static bool has_dot(const ir_module *m)
{
    for (uint32_t i = 0; i < m->funcs.n; i++)
        for (uint32_t id = 1; id < m->funcs.at[i]->ops.n; id++)
            if (ir_op_code(m->funcs.at[i], (ir_op){id}) == IR_OP_dot)
                return true;
    return false;
}

static bool make_instance(aot_job *j, aot_made_kernel *k, const fe_binding *bind, uint32_t n, choice_list *c)
{
    aot_made m = {0};
    str ir_name;
    choice_open_generics(j->a, c, k->fe);
    for (uint32_t g = 0; g < k->fe->ngenerics; g++) {
        const fe_binding *b = choice_get(c, k->fe->generics[g].name);
        if (!b || b->value.kind != FE_V_DTYPE)
            return aot_user_error(j, "kernel '%.*s': '%.*s' must be a type", STR_ARG(k->fe->name),
                                  STR_ARG(k->fe->generics[g].name));
        m.dtypes[g] = b->value.dt;
    }
    m.absent = ARENA_ARRAY(j->a, uint8_t, (size_t)k->nparams + 1);
    for (uint32_t p = 0; p < k->nparams; p++)
        for (uint32_t i = 0; i < n; i++)
            m.absent[p] |= str_eq(bind[i].name, k->params[p]->name) && bind[i].value.kind == FE_V_NONE;
    name_instance(j, k->fe, c, &m);
    find_consts(j, k->fe, c, &m);
    m.m = compile_lower(j->a, j->d, j->unit, k->fe->name, choice_done(c), &ir_name);
    if (!m.m || !find_functions(j, k, &m, ir_name))
        return false;
    m.tiles = has_dot(m.m);
    find_sizes(j, k, c, &m);
    if (!make_codes(j, k->fe->name, &m))
        return false;
    vec_push(j->a, &k->instances, m);
    return true;
}

/* ---- a kernel ---- */

aot_kind aot_param_kind(const fe_param *p)
{
    return p->kind == FE_P_TENSOR ? AOT_TENSOR : p->kind == FE_P_POINTER ? AOT_POINTER : AOT_SCALAR;
}

bool aot_param_is_float(const aot_made_kernel *k, const fe_param *p)
{
    bool is_float = p->dt != DT_NONE && dt_is_any_float(p->dt);
    for (uint32_t g = 0; g < k->fe->ngenerics; g++)
        for (uint32_t t = 0; str_eq(k->fe->generics[g].name, p->generic) && t < k->fe->generics[g].n; t++)
            is_float |= dt_is_any_float(k->fe->generics[g].list[t]);
    return aot_param_kind(p) == AOT_SCALAR && is_float;
}

static void describe(aot_job *j, aot_made_kernel *k)
{
    strbuf b;
    sb_init(&b, j->a);
    k->params = ARENA_ARRAY(j->a, const fe_param *, (size_t)k->fe->nparams + 1);
    k->nparams = 0;
    for (uint32_t i = 0; i < k->fe->nparams; i++) {
        const fe_param *p = &k->fe->params[i];
        if (p->kind == FE_P_CONST || p->scratch)
            continue;
        k->params[k->nparams++] = p;
        sb_putf(&b, "%.*s: %.*s%s,", STR_ARG(p->name), STR_ARG(p->type_text), p->optional ? "?" : "");
    }
    for (uint32_t g = 0; g < k->fe->ngenerics; g++)
        sb_putf(&b, "[%.*s]", STR_ARG(k->fe->generics[g].name));
    k->signature = hash_bytes(b.at ? b.at : "", b.n, 2) | 1;
}

static bool make_kernel(aot_job *j, const fe_kernel *fe)
{
    axes list = {0};
    aot_made_kernel k = {.fe = fe};
    uint32_t n = 0;
    if (!find_axes(j, fe, &list) || !count_instances(j, fe, &list, &n))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        fe_binding *bind;
        uint32_t nbind;
        choice_list c;
        uint64_t before = k.signature;
        combine(j->a, &list, i, &bind, &nbind);
        choice_init(j->a, &c, fe, bind, nbind, "cpu", 0);
        if (fe->has_extra) {
            choice_list described = c;
            choice_open_generics(j->a, &described, fe);
            k.fe = fe_kernel_under(j->unit, fe->name, choice_done(&described));
        }
        if (!k.fe)
            return false;
        describe(j, &k);
        if (before && before != k.signature)
            return aot_user_error(
                j, "kernel '%.*s' takes other parameters under other functions: build one at a time, by -D",
                STR_ARG(fe->name));
        if (k.nparams > RT_MAX_ARGS || fe->ngenerics > RT_MAX_GENERICS)
            return aot_user_error(j, "kernel '%.*s' has more than %d parameters or %d generics", STR_ARG(fe->name),
                                  RT_MAX_ARGS, RT_MAX_GENERICS);
        if (!make_instance(j, &k, bind, nbind, &c))
            return false;
    }
    vec_push(j->a, &j->kernels, k);
    return true;
}

static bool is_asked(const aot_request *q, str name)
{
    bool asked = q->nkernels == 0;
    for (uint32_t i = 0; i < q->nkernels; i++)
        asked |= str_eq(q->kernels[i], name);
    return asked;
}

static bool make_kernels(aot_job *j)
{
    const aot_request *q = j->q;
    if (!choice_check_names(j->d, j->unit, q->bind, q->nbind))
        return false;
    for (uint32_t i = 0; i < q->nkernels; i++)
        if (!fe_kernel_find(j->unit, q->kernels[i]))
            return aot_user_error(j, "no kernel '%.*s' in this file", STR_ARG(q->kernels[i]));
    for (uint32_t i = 0; i < fe_kernel_count(j->unit); i++)
        if (is_asked(q, fe_kernel_at(j->unit, i)->name) && !make_kernel(j, fe_kernel_at(j->unit, i)))
            return false;
    return j->kernels.n > 0 || aot_user_error(j, "this file has no kernel");
}

static bool put_together(aot_job *j, str *object)
{
    backend_target t = {
        .name = S("cpu"), .chip = str_eq(j->q->arch, S("aarch64")) ? S("aarch64") : S("x86-64-v2"), .opt_level = 2};
    str glue, why, text = aot_tables(j);
    aot_input *in = ARENA_ARRAY(j->a, aot_input, (size_t)j->objects.n + 1);
    if (!j->backend->emit_llvm(j->a, S("tables.ll"), text, &t, STAGE_BIN, &glue, j->d))
        return false;
    for (uint32_t i = 0; i < j->objects.n; i++)
        in[i] = (aot_input){j->objects.at[i], S(CPU_ENTRY), j->names.at[i]};
    in[j->objects.n] = (aot_input){.object = glue};
    if (aot_link(j->a, in, j->objects.n + 1, object, &why))
        return true;
    return aot_user_error(j, "%.*s", STR_ARG(why));
}

bool aot_build(arena *a, diags *d, const aot_request *q, str *object, str *header)
{
    backend_target t;
    aot_job j = {.a = a, .d = d, .q = q, .backend = backend_find(S("cpu"), &t, a)};
    map_init(&j.known, a);
    if (!j.backend)
        return aot_user_error(&j, "%s", backend_missing() ? backend_missing() : "this build has no code generator");
    j.unit = fe_load(a, d, q->path, q->text, &q->front);
    if (!j.unit || d->errors || !make_kernels(&j) || d->errors || !put_together(&j, object))
        return false;
    *header = aot_header(&j);
    return true;
}
