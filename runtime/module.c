/* module.c: modules and their kernels: loading a text, looking kernels up, describing their parameters, letting go. */
#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>

static void module_free(tile_module *m)
{
    pthread_cond_destroy(&m->made);
    pthread_mutex_destroy(&m->lock);
    arena_fini(&m->a);
    free(m);
}

static bool read_options(tile_module *m, const tile_options *opt, fe_options *front, tile_error *err)
{
    str why, *dirs, *defs;
    if (!opt)
        return true;
    m->checked = opt->checked != 0;
    dirs = ARENA_ARRAY(&m->a, str, (size_t)opt->nimport_dirs + 1);
    for (int i = 0; i < opt->nimport_dirs; i++)
        dirs[i] = str_dup(&m->a, str_of(opt->import_dirs[i]));
    *front = (fe_options){dirs, (uint32_t)opt->nimport_dirs};
    m->dirs = dirs;
    m->ndirs = (uint32_t)opt->nimport_dirs;
    defs = ARENA_ARRAY(&m->a, str, (size_t)opt->ndefines + 1);
    for (int i = 0; i < opt->ndefines; i++)
        defs[i] = str_dup(&m->a, str_of(opt->defines[i]));
    m->defines = defs;
    m->nbind = (uint32_t)opt->ndefines;
    m->bind = ARENA_ARRAY(&m->a, fe_binding, (size_t)m->nbind + 1);
    return choice_parse(&m->a, defs, m->nbind, m->bind, &why) ||
           rt_fail(err, TILE_E_ARGUMENT, "%.*s", STR_ARG(why)) == TILE_OK;
}

static bool load_text(tile_module *m, str text, const fe_options *front)
{
    bool ir = compile_input_of(m->path) == INPUT_IR;
    double t0 = clock_now();
    if (ir)
        m->ir = ir_read(&m->a, &m->d, m->path, text);
    else
        m->unit = fe_load(&m->a, &m->d, m->path, text, front);
    m->times.load += clock_now() - t0;
    if (m->d.errors || (!m->ir && !m->unit) || (m->ir && !compile_size_ok(m->ir, &m->d)))
        return false;
    if (m->ir && m->nbind) {
        diag_report(&m->d, DIAG_ERROR, "request", (span){0}, "IR text has no const or type parameters to set");
        return false;
    }
    return ir || choice_check_names(&m->d, m->unit, m->bind, m->nbind);
}

typedef struct open_job {
    tile_module *m;
    const char *path, *text; /* text NULL: the file's */
    const tile_options *opt;
    tile_error *err;
    bool ok;
} open_job;

static void run_open(void *ctx)
{
    open_job *j = ctx;
    tile_module *m = j->m;
    fe_options front = {0};
    str body, why;
    diags_init(&m->d, &m->a);
    m->path = str_dup(&m->a, str_of(j->path));
    if (j->text)
        body = str_dup(&m->a, str_of(j->text));
    else if (!file_read(&m->a, m->path.p, (size_t)256 << 20, &body, &why)) {
        rt_fail(j->err, TILE_E_MISSING, "%.*s", STR_ARG(why));
        return;
    }
    if (!read_options(m, j->opt, &front, j->err))
        return;
    m->text = body;
    j->ok = load_text(m, body, &front);
    if (!j->ok)
        rt_fail_diags(j->err, TILE_E_SOURCE, &m->d, &m->a);
}

static tile_module *open_module(tile_device *dev, const char *path, const char *text, const tile_options *opt,
                                int config, tile_error *err)
{
    tile_module *m = calloc(1, sizeof *m);
    tile_error dropped = {0};
    rt_clear(err);
    if (!m) {
        rt_fail(err, TILE_E_MEMORY, "no memory for a module");
        return NULL;
    }
    m->dev = dev;
    m->forced = config;
    arena_init(&m->a, 0);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->made, NULL);
    open_job j = {m, path, text, opt, err ? err : &dropped, false};
    if (!arena_try(&m->a, run_open, &j)) {
        j.ok = false;
        rt_fail_memory(err, "module", str_of(path));
    }
    if (j.ok)
        return m;
    module_free(m);
    return NULL;
}

tile_module *tile_module_from_file(tile_device *dev, const char *path, const tile_options *opt, tile_error *err)
{
    return open_module(dev, path, NULL, opt, -1, err);
}

tile_module *tile_module_from_string(tile_device *dev, const char *name, const char *text, const tile_options *opt,
                                     tile_error *err)
{
    return open_module(dev, name, text ? text : "", opt, -1, err);
}

tile_module *rt_module_again(const tile_module *m, int config, tile_error *err)
{
    const char **words = calloc((size_t)m->ndirs + m->nbind + 1, sizeof *words);
    if (!words) {
        rt_fail_memory(err, "module", m->path);
        return NULL;
    }
    for (uint32_t i = 0; i < m->ndirs; i++)
        words[i] = m->dirs[i].p;
    for (uint32_t i = 0; i < m->nbind; i++)
        words[m->ndirs + i] = m->defines[i].p;
    tile_options opt = {words + m->ndirs, words, (int32_t)m->nbind, (int32_t)m->ndirs, m->checked};
    tile_module *n = open_module(m->dev, m->path.p, m->text.p, &opt, config, err);
    free(words);
    return n;
}

void tile_module_close(tile_module *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < m->kernels.n; i++)
        for (uint32_t j = 0; j < m->kernels.at[i]->instances.n; j++) {
            rt_instance *in = m->kernels.at[i]->instances.at[j];
            for (uint32_t v = 0; v < in->variants.n; v++) {
                if (m->dev->driver->drop)
                    m->dev->driver->drop(m->dev, &in->variants.at[v]->code);
                arena_fini(&in->variants.at[v]->a);
            }
        }
    module_free(m);
}

/* ---- kernels ---- */

static int generic_index(const fe_kernel *k, str name)
{
    for (uint32_t i = 0; i < k->ngenerics; i++)
        if (name.n && str_eq(k->generics[i].name, name))
            return (int)i;
    return -1;
}

static bool is_set(const tile_module *m, str name)
{
    for (uint32_t i = 0; i < m->nbind; i++)
        if (str_eq(m->bind[i].name, name))
            return true;
    return false;
}

/* the dimensions whose sizes a launch binds to const parameters */
static uint32_t sizes_taken(const tile_module *m, const fe_param *p)
{
    uint32_t bits = 0;
    for (int d = 0; d < p->rank && p->kind == FE_P_TENSOR; d++)
        if (p->dims[d].kind == FE_DIM_CONST && !is_set(m, p->dims[d].text))
            bits |= 1u << d;
    return bits;
}

static void preset_generics(tile_kernel *k)
{
    const tile_module *m = k->m;
    for (uint32_t i = 0; i < k->fe->ngenerics && i < RT_MAX_GENERICS; i++)
        for (uint32_t j = 0; j < m->nbind; j++)
            if (str_eq(m->bind[j].name, k->fe->generics[i].name) && m->bind[j].value.kind == FE_V_DTYPE)
                k->preset[i] = m->bind[j].value.dt;
}

static void params_from_source(tile_kernel *k)
{
    preset_generics(k);
    k->params = ARENA_ARRAY(&k->m->a, rt_param, (size_t)k->fe->nparams + 1);
    for (uint32_t i = 0; i < k->fe->nparams; i++) {
        const fe_param *p = &k->fe->params[i];
        if (p->kind == FE_P_CONST || p->scratch)
            continue;
        k->params[k->nparams++] = (rt_param){.name = p->name,
                                             .type_text = p->type_text,
                                             .kind = p->kind,
                                             .dt = p->dt,
                                             .generic = generic_index(k->fe, p->generic),
                                             .pointers = p->pointers,
                                             .rank = p->rank,
                                             .strided = p->strided,
                                             .optional = p->optional,
                                             .arg = p->arg,
                                             .dims = p->dims,
                                             .takes_size = sizes_taken(k->m, p)};
    }
}

static str type_text(tile_kernel *k, ir_type t)
{
    strbuf b;
    sb_init(&b, &k->m->a);
    ir_type_print(k->m->ir, t, &b);
    return sb_str(&b);
}

static void params_from_ir(tile_kernel *k)
{
    const ir_func *f = k->ir;
    k->params = ARENA_ARRAY(&k->m->a, rt_param, (size_t)f->params.n + 1);
    for (uint32_t i = 0; i < f->params.n; i++) {
        ir_type t = ir_vtype(f, ir_param_of(f, f->body, i));
        const ir_type_info *ti = ir_type_of(f->m, t);
        rt_param p = {
            .name = f->params.at[i].name, .type_text = type_text(k, t), .generic = -1, .dt = ti->dt, .arg = (int)i};
        if (f->params.at[i].flags & (PARAM_SCRATCH | PARAM_EXTENT))
            continue;
        p.kind = ti->kind == TK_PTR ? FE_P_POINTER : ti->kind == TK_TENSOR ? FE_P_TENSOR : FE_P_SCALAR;
        if (ti->kind == TK_TENSOR) {
            p.rank = ti->rank;
            p.strided = ti->strided;
        } else if (ti->kind == TK_PTR) {
            const ir_type_info *to = ir_type_of(f->m, ti->elem);
            p.pointers = to->kind == TK_PTR ? 2 : 1;
            p.dt = to->kind == TK_NUM ? to->dt : DT_NONE;
        }
        k->params[k->nparams++] = p;
    }
}

static bool describe_source(tile_kernel *k, str name)
{
    tile_module *m = k->m;
    const fe_kernel *found = fe_kernel_find(m->unit, name);
    choice_list c;
    if (!found)
        return false;
    choice_init(&m->a, &c, found, m->bind, m->nbind, rt_family(m->dev), m->forced > 0 ? (uint32_t)m->forced : 0);
    choice_open_generics(&m->a, &c, found);
    k->fe = found->has_extra ? fe_kernel_under(m->unit, name, choice_done(&c)) : found;
    if (k->fe)
        params_from_source(k);
    return true;
}

static bool describe_ir(tile_kernel *k, str name)
{
    k->ir = ir_module_find(k->m->ir, name);
    if (!k->ir || k->ir->kind != FUNC_KERNEL)
        return false;
    params_from_ir(k);
    return true;
}

static str kernel_names(tile_module *m)
{
    strbuf b;
    uint32_t n = 0;
    sb_init(&b, &m->a);
    if (m->unit)
        for (uint32_t i = 0; i < fe_kernel_count(m->unit); i++)
            sb_putf(&b, "%s'%.*s'", n++ ? ", " : "", STR_ARG(fe_kernel_at(m->unit, i)->name));
    else
        for (uint32_t i = 0; i < m->ir->funcs.n; i++)
            if (m->ir->funcs.at[i]->kind == FUNC_KERNEL)
                sb_putf(&b, "%s'%.*s'", n++ ? ", " : "", STR_ARG(m->ir->funcs.at[i]->name));
    return n ? sb_str(&b) : S("none");
}

static tile_kernel *find_locked(tile_module *m, str name, tile_error *err)
{
    for (uint32_t i = 0; i < m->kernels.n; i++)
        if (str_eq(m->kernels.at[i]->name, name))
            return m->kernels.at[i];
    uint32_t before = m->d.errors;
    tile_kernel *k = ARENA_NEW(&m->a, tile_kernel);
    k->m = m;
    k->name = str_dup(&m->a, name);
    if (m->unit ? !describe_source(k, k->name) : !describe_ir(k, k->name)) {
        rt_fail(err, TILE_E_MISSING, "no kernel '%.*s' in '%.*s', which has %.*s", STR_ARG(name), STR_ARG(m->path),
                STR_ARG(kernel_names(m)));
        return NULL;
    }
    if (m->d.errors != before) {
        rt_fail_diags(err, TILE_E_SOURCE, &m->d, &m->a);
        return NULL;
    }
    if (k->nparams > RT_MAX_ARGS || (k->fe && k->fe->ngenerics > RT_MAX_GENERICS)) {
        rt_fail(err, TILE_E_ARGUMENT, "kernel '%.*s' has more than %d run-time parameters or %d generics",
                STR_ARG(name), RT_MAX_ARGS, RT_MAX_GENERICS);
        return NULL;
    }
    rt_tune_init(k);
    vec_push(&m->a, &m->kernels, k);
    return k;
}

typedef struct find_job {
    tile_module *m;
    str name;
    tile_error *err;
    tile_kernel *k;
} find_job;

static void run_find(void *ctx)
{
    find_job *j = ctx;
    j->k = find_locked(j->m, j->name, j->err);
}

tile_kernel *tile_kernel_find(tile_module *m, const char *name, tile_error *err)
{
    find_job j = {m, str_of(name), err, NULL};
    rt_clear(err);
    pthread_mutex_lock(&m->lock);
    if (!arena_try(&m->a, run_find, &j)) {
        m->d.list.n = m->d.errors = m->d.warnings = 0;
        rt_fail_memory(err, "kernel", j.name);
    }
    pthread_mutex_unlock(&m->lock);
    return j.k;
}

const rt_param *rt_kernel_params(const tile_kernel *k, uint32_t *n)
{
    *n = k->nparams;
    return k->params;
}

bool rt_kernel_writes(const tile_kernel *k, uint32_t i)
{
    const rt_instance *in = k->last;
    for (uint32_t p = 0; in && p < in->k->params.n; p++)
        if (in->param[p] == (int)i)
            return in->written[p];
    return false;
}

int tile_kernel_info(tile_kernel *k, tile_kernel_stats *out, tile_error *err)
{
    *out = (tile_kernel_stats){.spill_bytes = -1, .notes = ""};
    rt_clear(err);
    if (k->linked)
        return rt_fail(err, TILE_E_DEVICE, "kernel '%.*s' is code of the program, of which no figures are kept",
                       STR_ARG(k->name));
    const tile_device *d = k->m->dev;
    const rt_variant *v = k->recent;
    if (!v)
        return rt_fail(err, TILE_E_ARGUMENT, "kernel '%.*s' has not been launched or prepared", STR_ARG(k->name));
    if (!d->driver->stats || !d->driver->stats(&v->code, out))
        return rt_fail(err, TILE_E_DEVICE, "device '%s' keeps no figures of its kernels", d->name);
    return TILE_OK;
}
