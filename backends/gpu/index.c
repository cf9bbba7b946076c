/* index.c: which element a register holds, and where it lies in shared memory.
 *
 * Layouts are linear over bits, so the coordinate of (register, lane, warp, block) is a part that only the thread knows
 * and a constant of the register, combined by XOR; where their bits can't meet it is written as a sum, which address
 * arithmetic folds better. Odd repeats are integers on top.
 */
#include "backends/gpu/gpu.h"

#include <string.h>

const lay *gpu_lay(gk *k, ir_type t)
{
    return ir_layout_of(k->m, ir_type_of(k->m, t)->layout);
}

const lay_shared *gpu_shared_lay(gk *k, ir_type t)
{
    return ir_layout_shared_of(k->m, ir_type_of(k->m, t)->layout);
}

uint32_t gpu_regs(gk *k, ir_type t)
{
    const ir_type_info *i = ir_type_of(k->m, t);
    switch (i->kind) {
    case TK_NUM:
    case TK_PTR:
    case TK_SHARED:
        return 1;
    case TK_TILE:
        return (uint32_t)lay_regs(gpu_lay(k, t));
    default:
        return 0;
    }
}

void gpu_reg_coord(const lay *l, uint32_t reg, int64_t *coord)
{
    lay_coord(l, (lay_pos){{reg, 0, 0, 0}}, coord);
}

/* one run of bits first .. first + n - 1 of x that go to bits `to` ..; NULL sum means 0 */
static lval add_piece(gk *k, lval sum, lval x, int first, int n, int to, bool meets)
{
    cg *c = k->c;
    lval v = first > to   ? LLVMBuildLShr(c->b, x, cg_i32(c, first - to), "")
             : to > first ? LLVMBuildShl(c->b, x, cg_i32(c, to - first), "")
                          : x;
    v = LLVMBuildAnd(c->b, v, cg_i32(c, ((1ll << n) - 1) << to), "");
    if (!sum)
        return v;
    return meets ? LLVMBuildXor(c->b, sum, v, "") : LLVMBuildOr(c->b, sum, v, "");
}

lval gpu_linear(gk *k, lval x, int nbits, const uint32_t *image, lval sum, uint32_t *mask)
{
    cg *c = k->c;
    for (int i = 0; i < nbits;) {
        uint32_t w = image[i];
        int n = 1;
        if (!w) {
            i++;
            continue;
        }
        if (w & (w - 1)) { /* several bits: all of them where bit i is set */
            lval bit = LLVMBuildAnd(c->b, LLVMBuildLShr(c->b, x, cg_i32(c, i), ""), cg_i32(c, 1), "");
            lval v = LLVMBuildMul(c->b, bit, cg_i32(c, w), "");
            sum = !sum ? v : (*mask & w) ? LLVMBuildXor(c->b, sum, v, "") : LLVMBuildOr(c->b, sum, v, "");
            *mask |= w;
            i++;
            continue;
        }
        while (i + n < nbits && image[i + n] == w << n)
            n++;
        uint32_t all = (uint32_t)(((1ull << n) - 1) * w);
        sum = add_piece(k, sum, x, i, n, __builtin_ctz(w), (*mask & all) != 0);
        *mask |= all;
        i += n;
    }
    return sum;
}

static lval space_value(gk *k, int s)
{
    return s == LAY_LANE ? k->lane : s == LAY_WARP ? k->warp : k->rank;
}

/* the repeat's digit of dimension d, from a warp or block number */
static lval add_repeat(gk *k, const lay *l, int d, lval sum)
{
    cg *c = k->c;
    lay_space s = l->rep_on[d];
    if (l->rep[d] == 1 || s == LAY_REG || !space_value(k, (int)s))
        return sum;
    lval outer = LLVMBuildLShr(c->b, space_value(k, (int)s), cg_i32(c, l->nbits[s]), "");
    for (int i = 0; i < l->rank && l->rep_order[i] != d; i++)
        if (l->rep_on[l->rep_order[i]] == s)
            outer = LLVMBuildUDiv(c->b, outer, cg_i32(c, l->rep[l->rep_order[i]]), "");
    lval digit = LLVMBuildURem(c->b, outer, cg_i32(c, l->rep[d]), "");
    lval v = LLVMBuildShl(c->b, digit, cg_i32(c, l->log2[d]), "");
    return sum ? LLVMBuildAdd(c->b, sum, v, "") : v;
}

gpu_index gpu_index_of(gk *k, const lay *l)
{
    gpu_index x = {.k = k, .l = l};
    for (int d = 0; d < l->rank; d++) {
        lval sum = NULL;
        for (int s = LAY_LANE; s < LAY_SPACES; s++) {
            uint32_t image[LAY_MAX_BITS];
            for (int i = 0; i < l->nbits[s]; i++) {
                int64_t coord[LAY_MAX_RANK];
                lay_unpack(l, l->image[s][i], coord);
                image[i] = (uint32_t)coord[d];
            }
            if (space_value(k, s))
                sum = gpu_linear(k, space_value(k, s), l->nbits[s], image, sum, &x.mask[d]);
        }
        sum = add_repeat(k, l, d, sum);
        x.thread[d] = sum ? sum : cg_i32(k->c, 0);
    }
    return x;
}

static lval join_parts(cg *c, lval thread, uint32_t mask, uint32_t constant)
{
    if (!constant)
        return thread;
    if (mask & constant)
        return LLVMBuildXor(c->b, thread, cg_i32(c, constant), "");
    return LLVMBuildNUWAdd(c->b, thread, cg_i32(c, constant), "");
}

lval gpu_coord(gpu_index *x, uint32_t reg, int d)
{
    int64_t coord[LAY_MAX_RANK];
    gpu_reg_coord(x->l, reg, coord);
    return join_parts(x->k->c, x->thread[d], x->mask[d], (uint32_t)coord[d]);
}

gpu_offsets gpu_offsets_of(gk *k, const lay *l, const lay_shared *s, int bytes)
{
    gpu_offsets x = {.k = k, .l = l, .s = *s, .bytes = bytes};
    lay_shared flat = *s;
    lval sum = NULL;
    flat.npads = 0;
    for (int sp = LAY_LANE; sp <= LAY_WARP; sp++) {
        uint32_t image[LAY_MAX_BITS];
        for (int i = 0; i < l->nbits[sp]; i++) {
            int64_t coord[LAY_MAX_RANK];
            lay_unpack(l, l->image[sp][i], coord);
            image[i] = (uint32_t)(lay_shared_offset(&flat, coord) * bytes);
        }
        sum = gpu_linear(k, space_value(k, sp), l->nbits[sp], image, sum, &x.mask);
    }
    for (int d = 0; d < l->rank; d++)
        if (l->rep[d] > 1 && l->rep_on[d] == LAY_WARP) {
            int64_t one[LAY_MAX_RANK] = {0};
            one[d] = (int64_t)1 << l->log2[d];
            lval outer = LLVMBuildLShr(k->c->b, k->warp, cg_i32(k->c, l->nbits[LAY_WARP]), "");
            lval v = LLVMBuildMul(k->c->b, outer, cg_i32(k->c, lay_shared_offset(&flat, one) * bytes), "");
            sum = sum ? LLVMBuildAdd(k->c->b, sum, v, "") : v;
        }
    x.thread = sum ? sum : cg_i32(k->c, 0);
    return x;
}

lval gpu_offset(gpu_offsets *x, uint32_t reg)
{
    cg *c = x->k->c;
    int64_t coord[LAY_MAX_RANK];
    lay_shared flat = x->s;
    flat.npads = 0;
    gpu_reg_coord(x->l, reg, coord);
    lval off = join_parts(c, x->thread, x->mask, (uint32_t)(lay_shared_offset(&flat, coord) * x->bytes));
    lval at = off;
    for (int i = 0; i < x->s.npads; i++) {
        lval n = LLVMBuildUDiv(c->b, off, cg_i32(c, x->s.pads[i].interval * x->bytes), "");
        at = LLVMBuildAdd(c->b, at, LLVMBuildMul(c->b, n, cg_i32(c, x->s.pads[i].pad * x->bytes), ""), "");
    }
    return at;
}

/* ---- the other way: which register ---- */
static uint64_t coord_key(const lay *l, const int64_t *coord)
{
    uint64_t key = 0;
    for (int d = 0; d < l->rank; d++)
        key = key * (uint64_t)(l->rep[d] << l->log2[d]) + (uint64_t)coord[d];
    return key;
}

void gpu_finder_init(gk *k, gpu_finder *x, const lay *l)
{
    uint32_t n = (uint32_t)lay_regs(l), found;
    x->l = l;
    map_init(&x->at, k->a);
    for (uint32_t r = 0; r < n; r++) {
        int64_t coord[LAY_MAX_RANK];
        gpu_reg_coord(l, r, coord);
        uint64_t key = coord_key(l, coord);
        if (!map_get(&x->at, key, &found))
            map_set(&x->at, key, r);
    }
}

bool gpu_find(const gpu_finder *x, const int64_t *coord, uint32_t *reg)
{
    return map_get(&x->at, coord_key(x->l, coord), reg);
}

lval gpu_is_owner(gk *k, const lay *l)
{
    cg *c = k->c;
    lval ok = NULL;
    for (int s = LAY_LANE; s < LAY_SPACES; s++) {
        uint32_t mask = lay_replicated(l, (lay_space)s);
        if (l->nbits[s] == 0 && lay_size(l, (lay_space)s) == 1)
            mask = ~0u; /* the layout says nothing of this space: all of it holds the same */
        if (!mask || !space_value(k, (int)s))
            continue;
        lval zero = cg_icmp(c, LLVMIntEQ, LLVMBuildAnd(c->b, space_value(k, s), cg_i32(c, mask), ""), cg_i32(c, 0));
        ok = ok ? LLVMBuildAnd(c->b, ok, zero, "") : zero;
    }
    return ok;
}
