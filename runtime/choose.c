/* choose.c: which values a kernel's generics and const parameters take: what the caller set, then a config of @tune
 * (the first, unless the tuner chose another) for the target family, then (when nothing else decides) the first type of
 * a generic's list. Defaults of const parameters are the front end's own business.
 */
#include "runtime/compile.h"

static const struct {
    const char *name;
    size_t at;
} reserved[] = {
    {"num_warps", offsetof(fe_choice, num_warps)},
    {"num_stages", offsetof(fe_choice, num_stages)},
    {"num_ctas", offsetof(fe_choice, num_ctas)},
    {"waves_per_eu", offsetof(fe_choice, waves_per_eu)},
};

static int *reserved_field(fe_choice *c, str name)
{
    for (size_t i = 0; i < COUNTOF(reserved); i++)
        if (str_eq(name, str_of(reserved[i].name)))
            return (int *)(void *)((char *)c + reserved[i].at);
    return NULL;
}

const fe_binding *choice_get(const choice_list *c, str name)
{
    for (uint32_t i = 0; i < c->bind.n; i++)
        if (str_eq(c->bind.at[i].name, name))
            return &c->bind.at[i];
    return NULL;
}

void choice_set(arena *a, choice_list *c, str name, fe_value v)
{
    for (uint32_t i = 0; i < c->bind.n; i++)
        if (str_eq(c->bind.at[i].name, name)) {
            c->bind.at[i].value = v;
            return;
        }
    vec_push(a, &c->bind, ((fe_binding){name, v}));
}

static bool has_name(const fe_kernel *k, str name)
{
    for (uint32_t i = 0; i < k->nparams; i++)
        if (str_eq(k->params[i].name, name))
            return true;
    for (uint32_t i = 0; i < k->ngenerics; i++)
        if (str_eq(k->generics[i].name, name))
            return true;
    return false;
}

/* a const parameter of the reserved name is the kernel's own, and sets the choice as well */
static void bind_one(arena *a, choice_list *c, const fe_kernel *k, const fe_binding *b)
{
    int *field = reserved_field(&c->choice, b->name);
    if (field && b->value.kind == FE_V_INT)
        *field = (int)b->value.i;
    if (has_name(k, b->name))
        choice_set(a, c, b->name, b->value);
}

const fe_tune *choice_tune(const fe_kernel *k, const char *family)
{
    const fe_tune *any = NULL;
    for (uint32_t i = 0; i < k->ntunes; i++) {
        if (k->tunes[i].nconfigs && str_eq(k->tunes[i].family, str_of(family)))
            return &k->tunes[i];
        if (k->tunes[i].nconfigs && !k->tunes[i].family.n && !any)
            any = &k->tunes[i];
    }
    return any;
}

void choice_init(arena *a, choice_list *c, const fe_kernel *k, const fe_binding *bind, uint32_t n, const char *family,
                 uint32_t config)
{
    const fe_tune *tune = choice_tune(k, family);
    *c = (choice_list){0};
    if (tune && config < tune->nconfigs)
        for (uint32_t i = 0; i < tune->nbindings[config]; i++)
            bind_one(a, c, k, &tune->configs[config][i]);
    for (uint32_t i = 0; i < n; i++)
        bind_one(a, c, k, &bind[i]);
}

void choice_open_generics(arena *a, choice_list *c, const fe_kernel *k)
{
    for (uint32_t i = 0; i < k->ngenerics; i++)
        if (!choice_get(c, k->generics[i].name) && k->generics[i].n)
            choice_set(a, c, k->generics[i].name, (fe_value){.kind = FE_V_DTYPE, .dt = k->generics[i].list[0]});
}

const fe_choice *choice_done(choice_list *c)
{
    c->choice.bind = c->bind.at;
    c->choice.n = c->bind.n;
    return &c->choice;
}

/* as -D takes it */
void choice_put_value(strbuf *b, const fe_value *v)
{
    switch (v->kind) {
    case FE_V_ABSENT:
        break;
    case FE_V_NONE:
        sb_puts(b, "None");
        break;
    case FE_V_BOOL:
        sb_puts(b, v->i ? "True" : "False");
        break;
    case FE_V_INT:
        sb_putf(b, "%lld", (long long)v->i);
        break;
    case FE_V_FLOAT:
        sb_putf(b, "%.17g", v->f);
        break;
    case FE_V_STR:
    case FE_V_FN:
        sb_put(b, v->s);
        break;
    case FE_V_DTYPE:
        sb_puts(b, dtypes[v->dt].name);
        break;
    }
}

static str nearest_name(const fe_unit *u, str name)
{
    str best = {0};
    unsigned least = 3;
    for (uint32_t i = 0; i < fe_kernel_count(u); i++) {
        const fe_kernel *k = fe_kernel_at(u, i);
        for (uint32_t j = 0; j < k->nparams + k->ngenerics; j++) {
            str s = j < k->nparams ? k->params[j].name : k->generics[j - k->nparams].name;
            if (j < k->nparams && k->params[j].kind != FE_P_CONST)
                continue;
            unsigned dist = str_distance(s, name, 2);
            if (dist < least) {
                least = dist;
                best = s;
            }
        }
    }
    return best;
}

bool choice_check_names(diags *d, const fe_unit *u, const fe_binding *bind, uint32_t n)
{
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) {
        fe_choice scratch;
        bool found = reserved_field(&scratch, bind[i].name) != NULL;
        for (uint32_t j = 0; j < fe_kernel_count(u) && !found; j++)
            found = has_name(fe_kernel_at(u, j), bind[i].name);
        if (found)
            continue;
        str near = nearest_name(u, bind[i].name);
        diag_report(d, DIAG_ERROR, "request", (span){0},
                    near.n ? "no const or type parameter is named '%.*s'; did you mean '%.*s'?"
                           : "no const or type parameter is named '%.*s'%.*s",
                    STR_ARG(bind[i].name), STR_ARG(near));
        ok = false;
    }
    return ok;
}

bool choice_parse(arena *a, const str *text, uint32_t n, fe_binding *out, str *err)
{
    for (uint32_t i = 0; i < n; i++)
        if (!fe_parse_binding(a, text[i], &out[i])) {
            *err = str_fmt(a, "expected NAME=VALUE, found '%.*s'", STR_ARG(text[i]));
            return false;
        }
    return true;
}

const ir_func *choice_kernel(diags *d, const ir_module *m, str want)
{
    const ir_func *k = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->funcs.n; i++)
        if (m->funcs.at[i]->kind == FUNC_KERNEL && (!want.n || str_eq(m->funcs.at[i]->name, want))) {
            k = m->funcs.at[i];
            n++;
        }
    if (n == 1)
        return k;
    if (want.n)
        diag_report(d, DIAG_ERROR, "request", (span){0}, "no kernel '%.*s' in this file", STR_ARG(want));
    else if (n)
        diag_report(d, DIAG_ERROR, "request", (span){0}, "this file has several kernels: choose one by --kernel=NAME");
    else
        diag_report(d, DIAG_ERROR, "request", (span){0}, "this file has no kernel");
    return NULL;
}
