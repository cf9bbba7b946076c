/* builtins_impl.h: the handlers that builtins.def names, by family, and what they share. Private to builtins*.c. */
#ifndef TILE_FRONTEND_BUILTINS_IMPL_H
#define TILE_FRONTEND_BUILTINS_IMPL_H

#include "frontend/lower.h"

typedef fv builtin_fn(lower *l, bargs *g);

#define BUILTIN(name, sig, fn, flags, doc) builtin_fn fn;
#include "frontend/builtins.def"
#undef BUILTIN

/* shape of a run-time value: rank 0 for scalars */
static inline int bi_shape(const lower *l, fv v, int64_t *shape)
{
    const ir_type_info *ti = low_info(l, v);
    if (ti->kind != TK_TILE)
        return 0;
    for (int i = 0; i < ti->rank; i++)
        shape[i] = ti->shape[i];
    return ti->rank;
}
static inline ir_type bi_tile(lower *l, dtype d, int rank, const int64_t *shape)
{
    return ir_type_tile(l->m, ir_type_num(l->m, d), rank, shape);
}

/* op `code` on x, giving x's shape of dtype d */
static inline ir_val ir_un_to(lower *l, ir_code code, ir_val x, dtype d)
{
    return ir_emit1(B(l), code, ir_type_with_dt(l->m, ir_vtype(l->fx->f, x), d), &x, 1);
}
fv bi_transpose(lower *l, fv x, span at);             /* last two dimensions swapped */
ir_val bi_only_element(lower *l, ir_val v);           /* of a tile of one */
fv bi_pick_scalar(lower *l, bargs *g, ir_code code);  /* min or max of arguments 0 and 1, elementwise */
fv bi_reduce_op(lower *l, ir_code op, fv x, int axis);
bool bi_combine_region(lower *l, const fv *xs, uint32_t n, fv fn, span at, ir_region *out);
uint32_t bi_tiles(lower *l, bargs *g, int i, fv *xs); /* a tile or a tuple of tiles; 0 on a fault */
/* cache, eviction and similar words as attributes; false on a fault */
bool bi_mem_attrs(lower *l, bargs *g, int cache, int evict, ir_attr_pair *out, uint32_t *n);

#endif
