/* fold.h: the folder's door. Private to compiler/. */
#ifndef TILE_COMPILER_FOLD_H
#define TILE_COMPILER_FOLD_H

#include "compiler/ir.h"

/* fold.c: true when the results of the op described are already there, or were made of simpler ops; they land in out */
bool ir_fold(ir_builder *b, const ir_desc *d, ir_val *out);

#endif
