/* rewrite.c: copying a function op by op (rewrite.h). */
#include "compiler/passes/rewrite.h"

#include <string.h>

void rw_init(rw *r, pass_ctx *c, const ir_func *old, rw_visit *visit, void *ctx)
{
    *r = (rw){.c = c, .old = old, .visit = visit, .ctx = ctx};
    r->f = ir_func_like(old, &r->map, c->scratch);
    /* about as many as before: growing by doubling would touch twice the memory */
    vec_reserve(r->f->a, &r->f->ops, old->ops.n);
    vec_reserve(r->f->a, &r->f->vals, old->vals.n);
    vec_reserve(r->f->a, &r->f->pool, old->pool.n);
    ir_builder_init(&r->b, r->f, c->scratch);
}

ir_func *rw_run(rw *r)
{
    rw_ops(r, r->old->body);
    ir_op last = ir_last(r->old, r->old->body);
    if (last.id)
        rw_op(r, last);
    return r->f;
}

/* a location with the call it was inlined at put under the outermost of its chain */
static ir_loc with_site(ir_module *m, ir_loc loc, ir_loc site)
{
    if (!loc.id)
        return site;
    ir_loc_data d = ir_loc_get(m, loc);
    return ir_loc_make(m, ir_loc_file(m, loc), d.line, d.col,
                       d.inlined_at.id ? with_site(m, d.inlined_at, site) : site);
}

void rw_begin(rw *r, ir_op o)
{
    ir_loc loc = ir_o(r->old, o)->loc;
    r->b.loc = r->inlined_at.id ? with_site(r->f->m, loc, r->inlined_at) : loc;
    r->b.origin = r->inlined_at.id ? 0 : ir_o(r->old, o)->origin;
}

ir_region rw_region(rw *r, ir_region region)
{
    ir_region now = ir_region_new(r->f);
    for (uint32_t i = 0; i < ir_nparams(r->old, region); i++) {
        ir_val v = ir_param_of(r->old, region, i);
        ir_map_set(&r->map, v, ir_region_param(r->f, now, ir_vtype(r->old, v)));
    }
    ir_push(&r->b, now);
    rw_ops(r, region);
    ir_op last = ir_last(r->old, region);
    if (last.id)
        rw_op(r, last);
    ir_pop(&r->b);
    return now;
}

void rw_copy(rw *r, ir_op o)
{
    ir_op_data p = *ir_o(r->old, o);
    arena *a = r->c->scratch;
    ir_val few_in[12], few_out[4];
    ir_type few_types[4];
    ir_attr_pair attrs[16];
    ir_region regions[2];
    ir_val *in = p.nin > COUNTOF(few_in) ? ARENA_ARRAY(a, ir_val, p.nin) : few_in;
    ir_val *out = p.nout > COUNTOF(few_out) ? ARENA_ARRAY(a, ir_val, p.nout) : few_out;
    ir_type *types = p.nout > COUNTOF(few_types) ? ARENA_ARRAY(a, ir_type, p.nout) : few_types;
    for (uint32_t i = 0; i < p.nregions; i++)
        regions[i] = rw_region(r, ir_op_region(r->old, o, i));
    for (uint32_t i = 0; i < p.nin; i++)
        in[i] = rw_in(r, o, i);
    for (uint32_t i = 0; i < p.nout; i++)
        types[i] = ir_vtype(r->old, ir_out(r->old, o, i));
    for (uint32_t i = 0; i < p.nattr && i < COUNTOF(attrs); i++)
        attrs[i] = ir_attr_at(r->old, o, i);
    rw_begin(r, o);
    ir_emit(&r->b,
            &(ir_desc){.code = (ir_code)p.code,
                       .in = in,
                       .nin = p.nin,
                       .types = types,
                       .nout = p.nout,
                       .attrs = attrs,
                       .nattr = p.nattr,
                       .regions = regions,
                       .nregions = p.nregions},
            out);
    r->b.origin = 0;
    for (uint32_t i = 0; i < p.nout; i++)
        rw_set(r, o, i, out[i]);
}

void rw_op(rw *r, ir_op o)
{
    if (r->visit && r->visit(r, o)) {
        r->changed = true;
        return;
    }
    rw_copy(r, o);
}

void rw_ops(rw *r, ir_region region)
{
    FOR_OPS(r->old, region, o)
    if (!(ir_info(r->old, o)->flags & TERM))
        rw_op(r, o);
}

void rw_yielded(rw *r, ir_region region, ir_val *out)
{
    ir_op y = ir_last(r->old, region);
    for (uint32_t i = 0; i < ir_nin(r->old, y); i++)
        out[i] = rw_in(r, y, i);
}
