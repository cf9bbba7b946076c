/* clone.c: copying ops and functions through the builder, with a map from old values to new ones. */
#include "compiler/ir.h"

#include <string.h>

void ir_map_init(ir_map *m, arena *a, const ir_func *old)
{
    m->n = old->vals.n;
    m->at = ARENA_ARRAY(a, ir_val, old->vals.n);
}

ir_val ir_map_get(const ir_map *m, ir_val old)
{
    if (old.id >= m->n || !m->at[old.id].id)
        bug("value %%%u is used before it was copied", old.id);
    return m->at[old.id];
}

void ir_map_set(ir_map *m, ir_val old, ir_val now)
{
    m->at[old.id] = now;
}

/* Types, layouts and attribute values are ids of the module they were interned in. */
static ir_layout layout_to(ir_module *to, const ir_module *from, ir_layout l)
{
    const struct lay *reg = ir_layout_of(from, l);
    const struct lay_shared *shared = ir_layout_shared_of(from, l);
    return reg ? ir_layout_make(to, reg) : shared ? ir_layout_make_shared(to, shared) : (ir_layout){0};
}

static ir_type type_to(ir_module *to, const ir_module *from, ir_type t)
{
    if (to == from)
        return t;
    const ir_type_info *i = ir_type_of(from, t);
    switch (i->kind) {
    case TK_NONE:
        break;
    case TK_NUM:
        return ir_type_num(to, i->dt);
    case TK_PTR:
        return ir_type_ptr(to, type_to(to, from, i->elem));
    case TK_TILE:
        return ir_type_laid(to, ir_type_tile(to, type_to(to, from, i->elem), i->rank, i->shape),
                            layout_to(to, from, i->layout));
    case TK_SHARED:
        return ir_type_shared(to, type_to(to, from, i->elem), i->rank, i->shape, layout_to(to, from, i->layout));
    case TK_CHAN: {
        ir_type parts[IR_MAX_CHAN_PARTS];
        for (int k = 0; k < i->nparts; k++)
            parts[k] = type_to(to, from, i->parts[k]);
        return ir_type_chan(to, i->stages, i->nparts, parts);
    }
    case TK_TOKEN:
        return ir_type_token(to);
    case TK_TENSOR:
        return ir_type_tensor(to, type_to(to, from, i->elem), i->rank, i->shape, i->strided);
    }
    bug("a value of no type");
}

static ir_attr attr_to(ir_module *to, const ir_module *from, ir_key key, ir_attr a)
{
    if (to == from)
        return a;
    uint32_t n;
    switch (ir_keys[key].kind) {
    case AK_INT:
    case AK_ENUM:
        return ir_attr_int(to, ir_attr_as_int(from, a));
    case AK_INTS: {
        const int64_t *v = ir_attr_as_ints(from, a, &n);
        return ir_attr_ints(to, v, n);
    }
    case AK_STR:
        return ir_attr_str(to, ir_attr_as_str(from, a));
    }
    bug("attribute '%s' of no kind", ir_keys[key].name);
}

static ir_loc loc_to(ir_module *to, const ir_module *from, ir_loc loc)
{
    if (to == from || !loc.id)
        return loc;
    ir_loc_data d = ir_loc_get(from, loc);
    return ir_loc_make(to, ir_loc_file(from, loc), d.line, d.col, loc_to(to, from, d.inlined_at));
}

enum { INLINE_OPERANDS = 16 };

void ir_clone_op(ir_builder *b, const ir_func *old, ir_op o, ir_map *m)
{
    ir_op_data p = *ir_o(old, o);
    ir_val in_few[INLINE_OPERANDS], out_few[INLINE_OPERANDS];
    ir_type types_few[INLINE_OPERANDS];
    ir_attr_pair attrs[16];
    ir_region regions[2];
    ir_val *in = p.nin > INLINE_OPERANDS ? ARENA_ARRAY(b->a, ir_val, p.nin) : in_few;
    ir_val *out = p.nout > INLINE_OPERANDS ? ARENA_ARRAY(b->a, ir_val, p.nout) : out_few;
    ir_type *types = p.nout > INLINE_OPERANDS ? ARENA_ARRAY(b->a, ir_type, p.nout) : types_few;
    if (p.nattr > COUNTOF(attrs) || p.nregions > COUNTOF(regions))
        bug("op '%s' has too many attributes or regions", ir_ops[p.code].name);
    for (uint32_t i = 0; i < p.nregions; i++) {
        ir_region from = ir_op_region(old, o, i), to = ir_region_new(b->f);
        regions[i] = to;
        for (uint32_t k = 0; k < ir_nparams(old, from); k++) {
            ir_val v = ir_param_of(old, from, k);
            ir_map_set(m, v, ir_region_param(b->f, to, type_to(b->m, old->m, ir_vtype(old, v))));
        }
        ir_push(b, to);
        ir_clone_ops(b, old, from, m, true);
        ir_pop(b);
    }
    for (uint32_t i = 0; i < p.nin; i++)
        in[i] = ir_map_get(m, ir_in(old, o, i));
    for (uint32_t i = 0; i < p.nout; i++)
        types[i] = type_to(b->m, old->m, ir_vtype(old, ir_out(old, o, i)));
    for (uint32_t i = 0; i < p.nattr; i++) {
        attrs[i] = ir_attr_at(old, o, i);
        attrs[i].val = attr_to(b->m, old->m, attrs[i].key, attrs[i].val);
    }
    b->loc = loc_to(b->m, old->m, p.loc);
    b->origin = p.origin;
    ir_desc d = {.code = (ir_code)p.code,
                 .in = in,
                 .nin = p.nin,
                 .types = types,
                 .nout = p.nout,
                 .attrs = attrs,
                 .nattr = p.nattr,
                 .regions = regions,
                 .nregions = p.nregions};
    ir_emit(b, &d, out);
    b->origin = 0;
    for (uint32_t i = 0; i < p.nout; i++)
        ir_map_set(m, ir_out(old, o, i), out[i]);
}

void ir_clone_ops(ir_builder *b, const ir_func *old, ir_region r, ir_map *m, bool with_terminator)
{
    FOR_OPS(old, r, o)
    if (with_terminator || !(ir_info(old, o)->flags & TERM))
        ir_clone_op(b, old, o, m);
}

/* everything of a function but its ops */
static ir_func *shell(const ir_func *old, ir_module *to)
{
    ir_func *f = ir_func_new(to, old->kind, old->name);
    f->host = str_dup(to->a, old->host);
    f->has_grid = old->has_grid;
    f->cooperative = old->cooperative;
    f->persistent = old->persistent;
    f->num_warps = old->num_warps;
    f->num_stages = old->num_stages;
    f->num_ctas = old->num_ctas;
    f->waves_per_eu = old->waves_per_eu;
    f->loc = loc_to(to, old->m, old->loc);
    f->next_origin = old->next_origin;
    for (uint32_t i = 0; i < old->results.n; i++)
        vec_push(f->a, &f->results, type_to(to, old->m, old->results.at[i]));
    for (uint32_t i = 0; i < old->params.n; i++) {
        const ir_param *p = &old->params.at[i];
        ir_func_param(f, type_to(to, old->m, ir_vtype(old, ir_param_of(old, old->body, i))), p->name, p->arg, p->flags);
        ir_param *q = &f->params.at[i];
        q->align = p->align;
        q->div = p->div;
        q->lo = p->lo;
        q->hi = p->hi;
    }
    return f;
}

ir_func *ir_func_like(const ir_func *old, ir_map *m, arena *a)
{
    ir_func *f = shell(old, old->m);
    ir_map_init(m, a, old);
    for (uint32_t i = 0; i < old->params.n; i++)
        ir_map_set(m, ir_param_of(old, old->body, i), ir_param_of(f, f->body, i));
    return f;
}

ir_func *ir_func_copy(const ir_func *old, ir_module *to)
{
    ir_func *f = shell(old, to);
    ir_map m;
    ir_builder b;
    ir_map_init(&m, to->a, old);
    for (uint32_t i = 0; i < old->params.n; i++)
        ir_map_set(&m, ir_param_of(old, old->body, i), ir_param_of(f, f->body, i));
    ir_builder_init(&b, f, to->a);
    b.fold = false;
    ir_clone_ops(&b, old, old->body, &m, true);
    return f;
}
