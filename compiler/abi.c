/* abi.c: slots of a kernel's arguments (abi.h). */
#include "compiler/abi.h"

uint32_t abi_param_slots(const ir_func *f, uint32_t param)
{
    const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, ir_param_of(f, f->body, param)));
    return t->kind == TK_TENSOR ? 1 + 2 * (uint32_t)t->rank : 1;
}

uint32_t abi_param_first(const ir_func *f, uint32_t param)
{
    uint32_t n = ABI_GRID_SLOTS;
    for (uint32_t i = 0; i < param; i++)
        n += abi_param_slots(f, i);
    return n;
}

uint32_t abi_total_slots(const ir_func *f)
{
    return abi_param_first(f, f->params.n);
}
