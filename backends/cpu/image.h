/* image.h: objects of the CPU code generator, loaded into this process. Nothing here needs LLVM. */
#ifndef TILE_BACKENDS_CPU_IMAGE_H
#define TILE_BACKENDS_CPU_IMAGE_H

#include "base/base.h"
#include "compiler/abi.h"

typedef struct cpu_image {
    void *base; /* of its mapping; NULL: none */
    size_t bytes;
} cpu_image;

typedef void cpu_any_fn(void);

/* image.c: *entry is the function `symbol`; false + *err (in `a`) where the object is damaged or asks for what kernels
 * may not call. Where memory of `a` ends, *out holds what is to be freed. */
MUST_USE bool image_load(arena *a, str object, const char *symbol, cpu_image *out, abi_entry **entry, str *err);
void image_free(cpu_image *i);

/* symbols.c: a function that kernels may call; NULL where it isn't one */
cpu_any_fn *cpu_symbol(str name);

#endif
