/* rewrite.h: how a pass rebuilds a function. Private to compiler/passes.
 *
 * rw walks the old function and copies op by op through the builder. A pass gives `visit`, which is asked first: true
 * means that it has dealt with the op (entered what its results are now in the map, or left it out). Nested regions
 * come through the same walk, so `visit` sees every op. Locations of what is copied get `inlined_at` in front of their
 * own chain's end.
 */
#ifndef TILE_COMPILER_PASSES_REWRITE_H
#define TILE_COMPILER_PASSES_REWRITE_H

#include "compiler/pass.h"

typedef struct rw rw;
typedef bool rw_visit(rw *r, ir_op o);

struct rw {
    pass_ctx *c;
    const ir_func *old;
    ir_func *f;
    ir_builder b;
    ir_map map;
    rw_visit *visit;
    void *ctx;
    ir_loc inlined_at;
    bool changed;
};

#define PASS(name, from, to, doc) ir_func *pass_##name(pass_ctx *c, ir_func *f);
#include "compiler/passes/passes.def"
#undef PASS

/* rewrite.c */
void rw_init(rw *r, pass_ctx *c, const ir_func *old, rw_visit *visit, void *ctx);
ir_func *rw_run(rw *r); /* the whole body; the new function, or the old where nothing changed */
void rw_op(rw *r, ir_op o);
void rw_copy(rw *r, ir_op o);         /* without asking visit for o itself */
void rw_ops(rw *r, ir_region region); /* all but the terminator, into the current region */
/* a copy of a region: its parameters, ops and yield */
ir_region rw_region(rw *r, ir_region region);
void rw_begin(rw *r, ir_op o); /* what is emitted next stands at o's place */
/* the operands of a region's yield, mapped */
void rw_yielded(rw *r, ir_region region, ir_val *out);

static inline ir_val rw_in(rw *r, ir_op o, uint32_t i)
{
    return ir_map_get(&r->map, ir_in(r->old, o, i));
}
static inline void rw_set(rw *r, ir_op o, uint32_t i, ir_val v)
{
    ir_map_set(&r->map, ir_out(r->old, o, i), v);
}

#endif
