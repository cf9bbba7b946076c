/* async.h: between async.c and matrix.c. */
#ifndef TILE_BACKENDS_GPU_ASYNC_H
#define TILE_BACKENDS_GPU_ASYNC_H

#include "backends/gpu/gpu.h"

/* How a shared tile lies, as matrix units and tensor maps see it: bytes of a row along dimension `fast`, whose 16-byte
 * chunks are XORed with the row's number; 0: no swizzle. */
int gpu_swizzle_of(const lay_shared *s, int fast, int rows, int bytes);

int64_t gpu_shared_bytes(gk *k, ir_type t);
int gpu_map_of(gk *k, ir_op o, bool load);
ir_op gpu_slot_of(const ir_func *f, ir_val v); /* the op that gave the memory of a view */

/* matrix.c */
void gpu_wgmma(gk *k, ir_op o);
void gpu_dot(gk *k, ir_op o);

#endif
