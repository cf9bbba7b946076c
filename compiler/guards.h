/* guards.h: bounds of i64 values as expressions over what a launch brings. Private to compiler/. */
#ifndef TILE_COMPILER_GUARDS_H
#define TILE_COMPILER_GUARDS_H

#include "compiler/pass.h"

/* by value id: true where a bound can be written down, so that a launch can check that the value fits 32 bits */
bool *guards_boundable(arena *a, const ir_func *f);

#endif
