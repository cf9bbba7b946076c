/* uses.c: who uses each value: a counting pass, then one that fills (compressed rows). */
#include "compiler/pass.h"

uses uses_build(arena *a, const ir_func *f)
{
    uses u = {.first = ARENA_ARRAY(a, uint32_t, f->vals.n + 1)};
    for (uint32_t o = 1; o < f->ops.n; o++)
        for (uint32_t i = 0; i < f->ops.at[o].nin; i++)
            u.first[f->pool.at[f->ops.at[o].in + i] + 1]++;
    for (uint32_t v = 0; v < f->vals.n; v++)
        u.first[v + 1] += u.first[v];
    u.at = ARENA_ARRAY(a, ir_op, u.first[f->vals.n] ? u.first[f->vals.n] : 1);
    uint32_t *next = ARENA_ARRAY(a, uint32_t, f->vals.n + 1);
    for (uint32_t v = 0; v < f->vals.n; v++)
        next[v] = u.first[v];
    for (uint32_t o = 1; o < f->ops.n; o++)
        for (uint32_t i = 0; i < f->ops.at[o].nin; i++)
            u.at[next[f->pool.at[f->ops.at[o].in + i]]++] = (ir_op){o};
    return u;
}
