/* guards.h: bounds of i64 values as expressions over what a launch brings. Private to compiler/. */
#ifndef TILE_COMPILER_GUARDS_H
#define TILE_COMPILER_GUARDS_H

#include "compiler/pass.h"

/* by value id: true where a bound can be written down, so that a launch can check that the value fits 32 bits */
bool *guards_boundable(arena *a, const ir_func *f);

/* the conditions of f's guard function, which is looked up in the module; NULL where there is none */
typedef struct guard_set guard_set;
guard_set *guards_open(pass_ctx *c, const ir_func *f);
bool guards_hold(guard_set *s, ir_val v); /* they say that every element of v fits 32 bits */

#endif
