/* reduce.c: what moves between threads: reductions along a dimension, and conversions of layout.
 *
 * A reduction folds registers first, in four chains and then a tree, so that no add waits for the one before; then
 * lanes, by exchanges along the lane bits that lie on the dimension; then warps through shared memory, and blocks of a
 * cluster through each other's. Each holder of a part ends with the whole, as the result's layout (the operand's,
 * without the dimension) wants.
 */
#include "backends/gpu/gpu.h"

#include <string.h>

/* ---- the region, on scalars ---- */
void gpu_inline_region(gk *k, ir_region r, const lval *params, lval *results, uint32_t nresults)
{
    for (uint32_t i = 0; i < ir_nparams(k->f, r); i++)
        gpu_set(k, ir_param_of(k->f, r, i), 1)[0] = params[i];
    gpu_region(k, r);
    ir_op last = ir_last(k->f, r);
    for (uint32_t i = 0; i < nresults && !k->failed; i++)
        results[i] = gpu_get(k, ir_in(k->f, last, i));
}

/* left and right items of nin operands */
static void fold(gk *k, ir_op o, lval *left, const lval *right)
{
    uint32_t n = ir_nin(k->f, o);
    lval both[8];
    for (uint32_t i = 0; i < n; i++) {
        both[i] = left[i];
        both[n + i] = right[i];
    }
    gpu_inline_region(k, ir_op_region(k->f, o, 0), both, left, n);
}

static lval exchange_word(gk *k, lval x, int mask)
{
    cg *c = k->c;
    lty t = LLVMTypeOf(x);
    int bits = t == c->ptr ? 64 : cg_width(t);
    if (bits == 32)
        return k->ops->shuffle_xor(c, x, mask);
    if (bits < 32) {
        lty i = LLVMIntTypeInContext(c->cx, (unsigned)bits);
        lval w = LLVMBuildZExt(c->b, cg_bits(c, x, i), c->i32, "");
        return cg_bits(c, LLVMBuildTrunc(c->b, k->ops->shuffle_xor(c, w, mask), i, ""), t);
    }
    lval v = cg_bits(c, x, c->i64), lo = LLVMBuildTrunc(c->b, v, c->i32, "");
    lval hi = LLVMBuildTrunc(c->b, LLVMBuildLShr(c->b, v, cg_i64(c, 32), ""), c->i32, "");
    lo = LLVMBuildZExt(c->b, k->ops->shuffle_xor(c, lo, mask), c->i64, "");
    hi = LLVMBuildZExt(c->b, k->ops->shuffle_xor(c, hi, mask), c->i64, "");
    return cg_bits(c, LLVMBuildOr(c->b, lo, LLVMBuildShl(c->b, hi, cg_i64(c, 32), ""), ""), t);
}

/* ---- registers ---- */
/* folds the n registers of one result element, listed in `list`, into acc[nin] */
static void fold_registers(gk *k, ir_op o, const uint32_t *list, uint32_t n, lval *acc)
{
    enum { CHAINS = 4 };
    uint32_t nin = ir_nin(k->f, o), chains = n < CHAINS ? n : CHAINS;
    lval part[CHAINS][4];
    for (uint32_t i = 0; i < n; i++) {
        lval x[4];
        for (uint32_t j = 0; j < nin; j++)
            x[j] = k->val[ir_in(k->f, o, j).id].r[list[i]];
        if (i < chains)
            memcpy(part[i], x, sizeof x);
        else
            fold(k, o, part[i % chains], x);
    }
    for (uint32_t step = 1; step < chains; step *= 2)
        for (uint32_t i = 0; i + step < chains; i += 2 * step)
            fold(k, o, part[i], part[i + step]);
    memcpy(acc, part[0], sizeof(lval) * nin);
}

/* ---- warps and blocks ---- */
/* bits of space s that lie along dimension d */
static uint32_t bits_along(const lay *l, lay_space s, int d)
{
    uint32_t mask = 0;
    for (int i = 0; i < l->nbits[s]; i++) {
        int64_t c[LAY_MAX_RANK];
        lay_unpack(l, l->image[s][i], c);
        if (c[d])
            mask |= 1u << i;
    }
    return mask;
}

static lval to_words(gk *k, lval x, lval *hi)
{
    cg *c = k->c;
    lty t = LLVMTypeOf(x);
    int bits = cg_width(t);
    *hi = NULL;
    if (bits == 64) {
        lval v = cg_bits(c, x, c->i64);
        *hi = LLVMBuildTrunc(c->b, LLVMBuildLShr(c->b, v, cg_i64(c, 32), ""), c->i32, "");
        return LLVMBuildTrunc(c->b, v, c->i32, "");
    }
    lval w = cg_bits(c, x, LLVMIntTypeInContext(c->cx, (unsigned)bits));
    return bits == 32 ? w : LLVMBuildZExt(c->b, w, c->i32, "");
}

static lval from_words(gk *k, lval lo, lval hi, lty t)
{
    cg *c = k->c;
    int bits = cg_width(t);
    if (bits == 64) {
        lval v = LLVMBuildOr(c->b, LLVMBuildZExt(c->b, lo, c->i64, ""),
                             LLVMBuildShl(c->b, LLVMBuildZExt(c->b, hi, c->i64, ""), cg_i64(c, 32), ""), "");
        return cg_bits(c, v, t);
    }
    lty i = LLVMIntTypeInContext(c->cx, (unsigned)bits);
    return cg_bits(c, bits == 32 ? lo : LLVMBuildTrunc(c->b, lo, i, ""), t);
}

static lval shared_word(gk *k, lval address)
{
    cg *c = k->c;
    return cg_load(c, c->i32, LLVMBuildIntToPtr(c->b, address, LLVMPointerTypeInContext(c->cx, 3), ""), 4);
}

static void put_word(gk *k, lval address, lval w, lval pred)
{
    cg *c = k->c;
    lblock yes = pred ? cg_block(c, "put") : NULL, next = pred ? cg_block(c, "next") : NULL;
    if (pred) {
        LLVMBuildCondBr(c->b, pred, yes, next);
        cg_at(c, yes);
    }
    cg_store(c, w, LLVMBuildIntToPtr(c->b, address, LLVMPointerTypeInContext(c->cx, 3), ""), 4);
    if (pred) {
        LLVMBuildBr(c->b, next);
        cg_at(c, next);
    }
}

/* Parts of nv values, one in each warp of a family (warps that differ only in `mask`'s bits) or block of the cluster:
 * all get the fold of all. A slot of shared memory for each (value, thread of the warp that owns it, warp); every lane
 * keeps its own column, so replicated lanes write the same. */
static void fold_across(gk *k, ir_op o, lval *vals, uint32_t nv, uint32_t nin, uint32_t mask, bool blocks,
                        uint32_t lanes)
{
    cg *c = k->c;
    int members = blocks ? k->cluster : k->warps;
    int64_t pitch = (int64_t)lanes * nv * nin * 8, bytes = pitch * members * (blocks ? k->warps : 1);
    int64_t at = gpu_shared(k, bytes, 16);
    lval base = gpu_shared_address(k, at, bytes), who = blocks ? k->rank : k->warp;
    lval column = LLVMBuildAnd(c->b, k->lane, cg_i32(c, lanes - 1), "");
    lval mine = LLVMBuildAdd(c->b, base, LLVMBuildMul(c->b, column, cg_i32(c, 8), ""), "");
    if (blocks)
        mine = LLVMBuildAdd(c->b, mine, LLVMBuildMul(c->b, k->warp, cg_i32(c, pitch * members), ""), "");
    if (blocks)
        k->ops->cluster_barrier(c); /* the last use has been read */
    else
        gpu_barrier(k);
    for (uint32_t i = 0; i < nv * nin; i++) {
        lval hi, lo = to_words(k, vals[i], &hi);
        lval p = LLVMBuildAdd(c->b, mine, LLVMBuildMul(c->b, who, cg_i32(c, pitch), ""), "");
        p = LLVMBuildAdd(c->b, p, cg_i32(c, (int64_t)i * lanes * 8), "");
        for (int b = 0; blocks && b < members; b++) {
            k->ops->store_remote(c, p, cg_i32(c, b), lo);
            if (hi)
                k->ops->store_remote(c, LLVMBuildAdd(c->b, p, cg_i32(c, 4), ""), cg_i32(c, b), hi);
        }
        if (!blocks) {
            lval first = lanes == 32 ? NULL : cg_icmp(c, LLVMIntULT, k->lane, cg_i32(c, lanes));
            put_word(k, p, lo, first);
            if (hi)
                put_word(k, LLVMBuildAdd(c->b, p, cg_i32(c, 4), ""), hi, first);
        }
    }
    if (blocks)
        k->ops->cluster_barrier(c);
    else
        gpu_barrier(k);
    lval family = LLVMBuildAnd(c->b, who, cg_i32(c, ~(int64_t)mask & 0xffff), "");
    for (uint32_t v = 0; v < nv; v++) {
        lval acc[4], x[4];
        bool first = true;
        for (uint32_t m = 0; m < (uint32_t)members; m++) {
            if (m & ~mask)
                continue;
            lval w = LLVMBuildOr(c->b, family, cg_i32(c, m), "");
            lval p = LLVMBuildAdd(c->b, mine, LLVMBuildMul(c->b, w, cg_i32(c, pitch), ""), "");
            for (uint32_t j = 0; j < nin; j++) {
                lval q = LLVMBuildAdd(c->b, p, cg_i32(c, (int64_t)(v * nin + j) * lanes * 8), "");
                lty t = LLVMTypeOf(vals[v * nin + j]);
                lval lo = shared_word(k, q), hi = NULL;
                if (cg_width(t) == 64)
                    hi = shared_word(k, LLVMBuildAdd(c->b, q, cg_i32(c, 4), ""));
                x[j] = from_words(k, lo, hi, t);
            }
            if (first)
                memcpy(acc, x, sizeof acc);
            else
                fold(k, o, acc, x);
            first = false;
        }
        memcpy(vals + v * nin, acc, sizeof(lval) * nin);
    }
}

/* The same for one value that every lane of a warp has, over all warps (and blocks, with `blocks`): each warp gives its
 * part to each block, and after one barrier each lane takes a few of them and the lanes fold. Two buffers take turns,
 * so nobody needs to wait before writing: whoever still reads the buffer of the last but one time has not passed the
 * barrier of the last time. */
static void fold_all(gk *k, ir_op o, lval *vals, uint32_t nin, bool blocks)
{
    cg *c = k->c;
    int members = k->warps * (blocks ? k->cluster : 1), each = 8 * (int)nin;
    int64_t bytes = (int64_t)members * each, at = gpu_shared(k, 2 * bytes, 16);
    lblock here = cg_here(c);
    lval first = LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(c->fn));
    LLVMPositionBuilderBefore(c->b, first);
    lval turn = LLVMBuildAlloca(c->b, c->i32, "turn");
    cg_store(c, cg_i32(c, 0), turn, 4);
    cg_at(c, here);
    lval which = cg_load(c, c->i32, turn, 4);
    cg_store(c, LLVMBuildXor(c->b, which, cg_i32(c, (int64_t)bytes), ""), turn, 4);
    lval base = LLVMBuildAdd(c->b, gpu_shared_address(k, at, 2 * bytes), which, "");
    lval who = blocks ? LLVMBuildAdd(c->b, LLVMBuildMul(c->b, k->rank, cg_i32(c, k->warps), ""), k->warp, "") : k->warp;
    lval mine = LLVMBuildAdd(c->b, base, LLVMBuildMul(c->b, who, cg_i32(c, each), ""), "");
    lblock give = cg_block(c, "give"), next = cg_block(c, "next");
    /* lane b gives to block b */
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntULT, k->lane, cg_i32(c, blocks ? k->cluster : 1)), give, next);
    cg_at(c, give);
    for (uint32_t i = 0; i < nin; i++) {
        lval hi, lo = to_words(k, vals[i], &hi), p = LLVMBuildAdd(c->b, mine, cg_i32(c, 8 * (int64_t)i), "");
        for (int h = 0; h < (hi ? 2 : 1); h++) {
            lval q = h ? LLVMBuildAdd(c->b, p, cg_i32(c, 4), "") : p;
            if (blocks)
                k->ops->store_remote(c, q, k->lane, h ? hi : lo);
            else
                put_word(k, q, h ? hi : lo, NULL);
        }
    }
    LLVMBuildBr(c->b, next);
    cg_at(c, next);
    if (blocks)
        k->ops->cluster_barrier(c);
    else
        gpu_barrier(k);
    int lanes = members < 32 ? members : 32;
    lval column = LLVMBuildAnd(c->b, k->lane, cg_i32(c, lanes - 1), "");
    lval from = LLVMBuildAdd(c->b, base, LLVMBuildMul(c->b, column, cg_i32(c, each), ""), "");
    lval acc[4] = {0}, x[4] = {0};
    for (int m = 0; m < members; m += lanes) {
        for (uint32_t i = 0; i < nin; i++) {
            lval q = LLVMBuildAdd(c->b, from, cg_i32(c, (int64_t)m * each + 8 * (int64_t)i), "");
            lty t = LLVMTypeOf(vals[i]);
            lval lo = shared_word(k, q);
            lval hi = cg_width(t) == 64 ? shared_word(k, LLVMBuildAdd(c->b, q, cg_i32(c, 4), "")) : NULL;
            x[i] = from_words(k, lo, hi, t);
        }
        if (m)
            fold(k, o, acc, x);
        else
            memcpy(acc, x, sizeof acc);
    }
    for (int b = 1; b < lanes; b *= 2) {
        for (uint32_t i = 0; i < nin; i++)
            x[i] = exchange_word(k, acc[i], b);
        fold(k, o, acc, x);
    }
    memcpy(vals, acc, sizeof(lval) * nin);
}

/* lanes that hold different results, as a power of two from lane 0, where the others replicate them; else all */
static uint32_t distinct_lanes(const lay *l, int along)
{
    uint32_t n = 1;
    for (int i = 0; i < l->nbits[LAY_LANE]; i++) {
        int64_t c[LAY_MAX_RANK];
        lay_unpack(l, l->image[LAY_LANE][i], c);
        for (int d = 0; d < l->rank; d++)
            if (d != along && c[d])
                n = 2u << i;
    }
    return n;
}

static void op_reduce(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    int along = (int)ir_int(f, o, KEY_axis, 0);
    uint32_t nin = ir_nin(f, o);
    ir_type t = ir_vtype(f, ir_in(f, o, 0)), rt = ir_vtype(f, ir_out(f, o, 0));
    const lay *l = gpu_lay(k, t), *rl = gpu_lay(k, rt);
    uint32_t n = gpu_regs(k, t), nr = gpu_regs(k, rt);
    if (nin > 4 || (l->rep[along] > 1 && l->rep_on[along] != LAY_REG)) {
        gpu_fail(k, o, nin > 4 ? "more than 4 tiles reduced at once" : "repeats of the reduced dimension lie on warps");
        return;
    }
    lval *vals = ARENA_ARRAY(k->a, lval, (size_t)nr * nin);
    uint32_t *list = ARENA_ARRAY(k->a, uint32_t, n), copies = lay_replicated(l, LAY_REG);
    for (uint32_t r = 0; r < nr; r++) {
        int64_t want[LAY_MAX_RANK] = {0}, c[LAY_MAX_RANK];
        uint32_t m = 0;
        if (rl)
            gpu_reg_coord(rl, r, want);
        for (uint32_t i = 0; i < n; i++) {
            bool same = true;
            gpu_reg_coord(l, i, c);
            for (int d = 0, e = 0; d < l->rank; d++)
                if (d != along)
                    same &= c[d] == want[e++];
            if (same && !(i & copies))
                list[m++] = i;
        }
        if (!m) {
            gpu_fail(k, o, "the result's layout is not the operand's without dimension %d", along);
            return;
        }
        fold_registers(k, o, list, m, vals + (size_t)r * nin);
    }
    for (int b = 0; b < l->nbits[LAY_LANE]; b++) {
        if (!(bits_along(l, LAY_LANE, along) >> b & 1))
            continue;
        for (uint32_t r = 0; r < nr; r++) {
            lval x[4];
            for (uint32_t j = 0; j < nin; j++)
                x[j] = exchange_word(k, vals[r * nin + j], 1 << b);
            fold(k, o, vals + (size_t)r * nin, x);
        }
    }
    uint32_t warps = bits_along(l, LAY_WARP, along), blocks = bits_along(l, LAY_BLOCK, along);
    bool whole = nr == 1 && distinct_lanes(l, along) == 1 && warps + 1 == (uint32_t)k->warps &&
                 (k->cluster == 1 || blocks + 1 == (uint32_t)k->cluster) && (warps || blocks);
    if (whole)
        fold_all(k, o, vals, nin, blocks != 0);
    else if (warps)
        fold_across(k, o, vals, nr, nin, warps, false, distinct_lanes(l, along));
    if (blocks && !whole)
        fold_across(k, o, vals, nr, nin, blocks, true, distinct_lanes(l, along));
    for (uint32_t j = 0; j < nin; j++) {
        lval *out = gpu_set(k, ir_out(f, o, j), nr);
        for (uint32_t r = 0; r < nr; r++)
            out[r] = vals[r * nin + j];
    }
}

/* ---- conversions ---- */
static bool convert_in_registers(gk *k, ir_op o, const lay *from, const lay *to)
{
    lay_map m;
    lay_conv plan;
    if (!lay_between(from, to, &m) || !lay_convert(from, to, 4, &plan) || plan.kind > CONV_REGS)
        return false;
    uint32_t n = (uint32_t)lay_regs(to), at;
    gpu_finder x;
    gpu_finder_init(k, &x, from);
    lval *r = ARENA_ARRAY(k->a, lval, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t c[LAY_MAX_RANK];
        gpu_reg_coord(to, i, c);
        if (!gpu_find(&x, c, &at))
            return false;
        r[i] = k->val[ir_in(k->f, o, 0).id].r[at];
    }
    k->val[ir_out(k->f, o, 0).id] = (gpu_val){r, n};
    return true;
}

static void op_convert(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    ir_type t = ir_vtype(f, ir_out(f, o, 0));
    dtype dt = ir_type_dt(k->m, t);
    const lay *from = gpu_lay(k, ir_vtype(f, ir_in(f, o, 0))), *to = gpu_lay(k, t);
    lay_conv plan;
    if (convert_in_registers(k, o, from, to))
        return;
    if (dt == DT_NONE || !lay_convert(from, to, (int)dt_bytes(dt), &plan)) {
        gpu_fail(k, o, "no way between these layouts");
        return;
    }
    if (plan.kind == CONV_CLUSTER) {
        gpu_fail(k, o, "a conversion between blocks of a cluster");
        return;
    }
    if (plan.kind == CONV_SHUFFLE) /* within a warp: through its own part of shared memory */
        plan.warp_local = true;
    int64_t bytes = (lay_shared_elems(&plan.shared) * (int64_t)dt_bytes(dt) + 1023) / 1024 * 1024;
    lval base = gpu_shared_address(k, gpu_shared(k, bytes, 1024), bytes);
    if (plan.warp_local)
        k->ops->warp_sync(k->c);
    else
        gpu_barrier(k);
    gpu_shared_access(k, from, &plan.shared, dt, base, k->val[ir_in(f, o, 0).id].r, true);
    if (plan.warp_local)
        k->ops->warp_sync(k->c);
    else
        gpu_barrier(k);
    lval *r = gpu_set(k, ir_out(f, o, 0), gpu_regs(k, t));
    gpu_shared_access(k, to, &plan.shared, dt, base, r, false);
}

bool gpu_reduce_op(gk *k, ir_op o)
{
    switch (ir_op_code(k->f, o)) {
    case IR_OP_reduce:
        op_reduce(k, o);
        return true;
    case IR_OP_convert:
        op_convert(k, o);
        return true;
    default:
        return false;
    }
}
