/* module.c: modules, functions, regions, and access to attributes. */
#include "compiler/tables.h"

ir_module *ir_module_new(arena *a)
{
    ir_module *m = ARENA_NEW(a, ir_module);
    m->a = a;
    m->names = intern_new(a);
    m->stage = TIR;
    m->tables = ARENA_NEW(a, struct ir_tables);
    return m;
}

ir_func *ir_func_new(ir_module *m, ir_func_kind kind, str name)
{
    ir_func *f = ARENA_NEW(m->a, ir_func);
    f->m = m;
    f->kind = kind;
    f->name = str_dup(m->a, name);
    f->a = m->a;
    vec_push(f->a, &f->ops, (ir_op_data){0});
    vec_push(f->a, &f->vals, (ir_val_data){0});
    vec_push(f->a, &f->regions, (ir_region_data){0});
    f->next_origin = 1;
    f->body = ir_region_new(f);
    return f;
}

void ir_module_add(ir_module *m, ir_func *f)
{
    for (uint32_t i = 0; i < m->funcs.n; i++)
        if (str_eq(m->funcs.at[i]->name, f->name)) {
            m->funcs.at[i] = f;
            return;
        }
    vec_push(m->a, &m->funcs, f);
}

ir_func *ir_module_find(const ir_module *m, str name)
{
    for (uint32_t i = 0; i < m->funcs.n; i++)
        if (str_eq(m->funcs.at[i]->name, name))
            return m->funcs.at[i];
    return NULL;
}

ir_region ir_region_new(ir_func *f)
{
    vec_push(f->a, &f->regions, (ir_region_data){0});
    return (ir_region){f->regions.n - 1};
}

ir_val ir_region_param(ir_func *f, ir_region r, ir_type t)
{
    ir_val_data d = {.type = t, .region = r, .index = f->regions.at[r.id].params.n};
    vec_push(f->a, &f->vals, d);
    ir_val v = {f->vals.n - 1};
    vec_push(f->a, &f->regions.at[r.id].params, v);
    return v;
}

ir_val ir_func_param(ir_func *f, ir_type t, str name, int arg, int flags)
{
    ir_param p = {.name = str_dup(f->a, name), .arg = arg, .flags = flags, .lo = 1, .hi = 0};
    vec_push(f->a, &f->params, p);
    return ir_region_param(f, f->body, t);
}

/* ---- attributes of an op: pairs of words in the pool ---- */
static ir_attr find_attr(const ir_func *f, ir_op o, ir_key key, uint32_t *where)
{
    const ir_op_data *d = ir_o(f, o);
    for (uint32_t i = 0; i < d->nattr; i++)
        if (f->pool.at[d->attrs + 2 * i] == (uint32_t)key) {
            *where = d->attrs + 2 * i + 1;
            return (ir_attr){f->pool.at[*where]};
        }
    return (ir_attr){0};
}

bool ir_has(const ir_func *f, ir_op o, ir_key key)
{
    uint32_t at;
    return find_attr(f, o, key, &at).id != 0;
}

int64_t ir_int(const ir_func *f, ir_op o, ir_key key, int64_t dflt)
{
    uint32_t at;
    ir_attr a = find_attr(f, o, key, &at);
    return a.id ? ir_attr_as_int(f->m, a) : dflt;
}

const int64_t *ir_ints(const ir_func *f, ir_op o, ir_key key, uint32_t *n)
{
    uint32_t at;
    ir_attr a = find_attr(f, o, key, &at);
    *n = 0;
    return a.id ? ir_attr_as_ints(f->m, a, n) : NULL;
}

str ir_text(const ir_func *f, ir_op o, ir_key key)
{
    uint32_t at;
    ir_attr a = find_attr(f, o, key, &at);
    return a.id ? ir_attr_as_str(f->m, a) : S("");
}

void ir_set_int(ir_func *f, ir_op o, ir_key key, int64_t v)
{
    uint32_t at;
    if (!find_attr(f, o, key, &at).id)
        bug("op '%s' has no attribute '%s' to set", ir_info(f, o)->name, ir_keys[key].name);
    f->pool.at[at] = ir_attr_int(f->m, v).id;
}
