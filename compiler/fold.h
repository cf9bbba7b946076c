/* fold.h: the folder. Private to compiler/. */
#ifndef TILE_COMPILER_FOLD_H
#define TILE_COMPILER_FOLD_H

#include "compiler/ir.h"

/* fold.c: true when the results of the op described are already there, or were made of simpler ops; they land in out */
bool ir_fold(ir_builder *b, const ir_desc *d, ir_val *out);
/* fold_eval.c: an arithmetic op or comparison on constants of dtype d (three patterns); false where it isn't folded */
bool fold_eval(ir_code code, dtype d, bool nan, const uint64_t *v, uint64_t *out);
/* fold_arith.c, fold_shape.c, fold_mem.c */
bool fold_arith(ir_builder *b, const ir_desc *d, ir_val *out);
bool fold_shape(ir_builder *b, const ir_desc *d, ir_val *out);
bool fold_mem(ir_builder *b, const ir_desc *d, ir_val *out);
/* fold.c: an op whose second application counts alone (reshape, bitcast), on the result of the same op */
bool fold_twice(ir_builder *b, const ir_desc *d, ir_val *out);

/* the op that defines v, where it has this code; id 0 otherwise */
static inline ir_op def_is(const ir_builder *b, ir_val v, ir_code code)
{
    ir_op o = ir_def(b->f, v);
    return o.id && ir_op_code(b->f, o) == code ? o : (ir_op){0};
}

static inline bool same_val(ir_val x, ir_val y)
{
    return x.id == y.id;
}

#endif
