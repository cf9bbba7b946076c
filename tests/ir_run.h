/* ir_run.h: runs a kernel of ir_gen.h in the interpreter on poisoned buffers, and compares what two runs left. */
#ifndef TILE_TESTS_IR_RUN_H
#define TILE_TESTS_IR_RUN_H

#include "compiler/interp.h"
#include "tests/ir_gen.h"

typedef struct gen_memory_image {
    int32_t ints[GEN_ELEMS];
    uint32_t floats[GEN_ELEMS]; /* bit patterns */
} gen_memory_image;

/* false and *err where the kernel faults */
static inline bool gen_run(arena *a, const ir_module *m, uint64_t max_ops, gen_memory_image *mem, str *err)
{
    const ir_func *k = ir_module_find(m, S("k"));
    interp_range bounds[] = {{"i", (uint64_t)(uintptr_t)mem->ints, sizeof mem->ints},
                             {"f", (uint64_t)(uintptr_t)mem->floats, sizeof mem->floats}};
    interp_options opt = {.bounds = bounds, .nbounds = 2, .max_ops = max_ops, .max_bytes = 64 << 20};
    /* the last two: the sizes that pass bounds asks for */
    uint64_t args[] = {2, 1, 1, bounds[0].base, bounds[1].base, 5, 3, 0x40490fdb, sizeof mem->ints, sizeof mem->floats};
    for (int i = 0; i < GEN_ELEMS; i++) {
        mem->ints[i] = i * 77 - 1000;
        mem->floats[i] = 0x3f000000u + (uint32_t)i * 65537u;
    }
    return interp_kernel(a, k, args, &opt, err);
}

static inline bool gen_float_eq(uint32_t x, uint32_t y)
{
    return x == y || ((x & 0x7fffffff) > 0x7f800000 && (y & 0x7fffffff) > 0x7f800000);
}

/* NULL when equal, else where they differ */
static inline const char *gen_differs(arena *a, const gen_memory_image *x, const gen_memory_image *y)
{
    for (int i = 0; i < GEN_ELEMS; i++) {
        if (x->ints[i] != y->ints[i])
            return str_cstr(a, str_fmt(a, "i[%d]: %d, then %d", i, x->ints[i], y->ints[i]));
        if (!gen_float_eq(x->floats[i], y->floats[i]))
            return str_cstr(a, str_fmt(a, "f[%d]: %08x, then %08x", i, x->floats[i], y->floats[i]));
    }
    return NULL;
}

#endif
