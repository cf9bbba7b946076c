/* asm.h: inline PTX, as calls. Private to backends/nvptx. */
#ifndef TILE_BACKENDS_NVPTX_ASM_H
#define TILE_BACKENDS_NVPTX_ASM_H

#include "backends/gpu/gpu.h"

/* A call of inline PTX: `text` with $0, $1 .. (results first), `constraints` as LLVM has them. Every one has side
 * effects; `convergent` ones may not be moved into or out of divergent control flow. */
lval ptx(cg *c, lty result, const char *text, const char *constraints, const lval *args, uint32_t n, bool convergent);
void ptx0(cg *c, const char *text, bool convergent); /* no operands; a memory clobber */

#define PTX(c, result, convergent, text, constraints, ...)                                                             \
    ptx((c), (result), (text), (constraints), (const lval[]){__VA_ARGS__},                                             \
        (uint32_t)(sizeof((const lval[]){__VA_ARGS__}) / sizeof(lval)), (convergent))

/* matrix.c */
void nvptx_wgmma(cg *c, gpu_mma *m);
void nvptx_wgmma_wait(cg *c, int pending, lval *v, int n, const lval *held, int nu);
void nvptx_mma(cg *c, gpu_mma *m);
void nvptx_ldmatrix(cg *c, lval sh, bool trans, lval out[4]);
void nvptx_stmatrix(cg *c, lval sh, bool trans, const lval in[4]);

void nvptx_ops(const gpu_chip *chip, gpu_ops *out);

#endif
