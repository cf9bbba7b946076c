/* roots.h: the parameters that an address can come from. Private to compiler/passes.
 *
 * A value is traced through what moves, shapes and chooses addresses, and through what loops carry. Each parameter that
 * is met is told to `hit` once; `lost` is set where an address comes from elsewhere (loaded, or made of an integer).
 */
#ifndef TILE_COMPILER_PASSES_ROOTS_H
#define TILE_COMPILER_PASSES_ROOTS_H

#include "compiler/ir.h"

typedef struct roots {
    const ir_func *f;
    uint32_t *seen; /* by value: the round in which it was met last */
    uint32_t round;
    bool lost;
    void (*hit)(void *ctx, uint32_t param);
    void *ctx;
} roots;

void roots_init(roots *t, arena *scratch, const ir_func *f, void (*hit)(void *ctx, uint32_t param), void *ctx);
void roots_again(roots *t); /* forgets what was met and lost */
void roots_of(roots *t, ir_val v);

#endif
