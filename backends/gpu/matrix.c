/* matrix.c: products: wgmma on descriptors or register fragments, mma.sync on fragments.
 *
 * A descriptor says where an operand starts in shared memory and how its 8-row groups and boxes are apart; all of that
 * is read off the layout by asking where a few elements lie, so slices and transposed views need nothing special.
 */
#include "backends/gpu/async.h"

#include <string.h>

static int64_t offset_at(const lay_shared *s, int d, int64_t i, int bytes)
{
    int64_t c[LAY_MAX_RANK] = {0};
    c[d] = i;
    return lay_shared_offset(s, c) * bytes;
}

static int64_t extent_of(const lay_shared *s, int d)
{
    return s->map.shape[d];
}

int gpu_swizzle_of(const lay_shared *s, int fast, int rows, int bytes)
{
    for (int w = 128, step = 1; w >= 32; w /= 2, step *= 2)
        if (rows >= 0 && extent_of(s, rows) > step && offset_at(s, rows, step, bytes) == 128 + 16 &&
            extent_of(s, fast) * bytes >= w && (step == 1 || offset_at(s, rows, 1, bytes) == w))
            return w;
    return 0;
}

/* ---- descriptors ---- */
typedef struct operand {
    const lay_shared *s;
    int k, mn; /* dimensions of the view */
    int bytes;
    bool mn_fast;
    int width; /* of the swizzle */
    uint64_t high;
} operand;

static bool operand_of(gk *k, ir_op o, ir_val v, int dim_k, operand *x)
{
    const lay_shared *s = gpu_shared_lay(k, ir_vtype(k->f, v));
    *x =
        (operand){.s = s, .k = dim_k, .mn = 1 - dim_k, .bytes = (int)dt_bytes(ir_type_of(k->m, ir_vtype(k->f, v))->dt)};
    x->mn_fast = offset_at(s, x->mn, 1, x->bytes) == x->bytes;
    int fast = x->mn_fast ? x->mn : x->k, rows = x->mn_fast ? x->k : x->mn;
    x->width = gpu_swizzle_of(s, fast, rows, x->bytes);
    if (!x->width || (x->mn_fast && x->bytes != 2)) {
        gpu_fail(k, o, "a matrix unit reads shared tiles with 32, 64 or 128-byte swizzle%s",
                 x->mn_fast ? ", and along rows only of 16-bit elements" : "");
        return false;
    }
    int64_t groups = offset_at(s, rows, 8, x->bytes) / 16, boxes = 1, per_box = x->width / x->bytes;
    if (x->mn_fast && extent_of(s, fast) > per_box)
        boxes = offset_at(s, fast, per_box, x->bytes) / 16;
    uint64_t mode = x->width == 128 ? 1 : x->width == 64 ? 2 : 3;
    x->high = mode << 62 | (uint64_t)groups << 32 | (uint64_t)boxes << 16;
    return true;
}

/* descriptor of the part that starts at `address` (i32), as i64 */
static lval descriptor(gk *k, const operand *x, lval address)
{
    cg *c = k->c;
    lval low = LLVMBuildAnd(c->b, LLVMBuildLShr(c->b, address, cg_i32(c, 4), ""), cg_i32(c, 0x3fff), "");
    return LLVMBuildOr(c->b, LLVMBuildZExt(c->b, low, c->i64, ""), LLVMConstInt(c->i64, x->high, false), "");
}

static lval step_of(gk *k, lval desc, int64_t bytes)
{
    return bytes ? LLVMBuildAdd(k->c->b, desc, cg_i64(k->c, bytes / 16), "") : desc;
}

/* ---- fragments ---- */
/* the 32-bit word of `per` elements along dimension d that starts at coordinate c */
static lval word_at(gk *k, ir_op o, const gpu_finder *x, ir_val v, const int64_t *c, int d, int bits)
{
    lval r[4];
    int per = 32 / bits;
    for (int i = 0; i < per; i++) {
        int64_t at[2] = {c[0], c[1]};
        uint32_t reg;
        at[d] += i;
        if (!gpu_find(x, at, &reg)) {
            gpu_fail(k, o, "an operand's layout is not the fragment of a matrix instruction");
            return LLVMConstNull(k->c->i32);
        }
        r[i] = gpu_reg(k, v, reg);
    }
    return gpu_pack(k, r, bits);
}

/* lanes as the fragment has them: four along dimension d in steps of `unit`, eight along the other */
static bool lanes_fit(const lay *l, int d, int unit)
{
    for (int b = 0; b < 5; b++) {
        int64_t want[2] = {0}, c[LAY_MAX_RANK];
        want[b < 2 ? d : 1 - d] = b < 2 ? (int64_t)unit << b : 1 << (b - 2);
        if (b >= l->nbits[LAY_LANE])
            return false;
        lay_unpack(l, l->image[LAY_LANE][b], c);
        if (c[0] != want[0] || c[1] != want[1])
            return false;
    }
    return true;
}

static int k_of(dtype d)
{
    return 256 / dt_bits(d); /* 32 bytes of K an instruction */
}

/* ---- wgmma ---- */
static bool wgmma_shape(gk *k, ir_op o, int64_t M, int64_t N, int64_t K, dtype in)
{
    int groups = k->warps / 4;
    if (!k->chip->has_wgmma)
        gpu_fail(k, o, "the chip has no wgmma");
    else if (!groups || k->warps % 4 || M % (64 * groups))
        gpu_fail(k, o, "%lld rows are not a multiple of 64 for each of %d warpgroups", (long long)M, groups);
    else if (N % 8 || N > 256)
        gpu_fail(k, o, "%lld columns: an instruction has a multiple of 8, at most 256", (long long)N);
    else if (K % k_of(in))
        gpu_fail(k, o, "K of %lld is no multiple of %d", (long long)K, k_of(in));
    return !k->failed;
}

/* the words of A's fragment for one instruction: rows +0, +8, then K +half */
static void a_fragment(gk *k, ir_op o, const gpu_finder *x, ir_val v, int64_t row, int64_t at, int bits, lval *w)
{
    for (int i = 0; i < 4; i++) {
        int64_t c[2] = {row + 8 * (i & 1), at + 128 / bits * (i >> 1)};
        w[i] = word_at(k, o, x, v, c, 1, bits);
    }
}

void gpu_wgmma(gk *k, ir_op o)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_val a = ir_in(f, o, 0), b = ir_in(f, o, 1), out = ir_out(f, o, 0);
    const ir_type_info *ti = ir_type_of(k->m, ir_vtype(f, out)), *ai = ir_type_of(k->m, ir_vtype(f, a));
    const ir_type_info *bi = ir_type_of(k->m, ir_vtype(f, b));
    int64_t M = ti->shape[0], N = ti->shape[1], K = ai->shape[1];
    const lay *l = gpu_lay(k, ir_vtype(f, out));
    bool a_shared = ai->kind == TK_SHARED;
    operand A = {0}, B;
    if (!wgmma_shape(k, o, M, N, K, ai->dt) || !operand_of(k, o, b, 0, &B) || (a_shared && !operand_of(k, o, a, 1, &A)))
        return;
    int groups = k->warps / 4, nc = (int)N / 2, step = k_of(ai->dt), bits = dt_bits(ai->dt);
    gpu_finder at, fa;
    gpu_finder_init(k, &at, l);
    if (!a_shared)
        gpu_finder_init(k, &fa, gpu_lay(k, ir_vtype(f, a)));
    if (!lanes_fit(l, 1, 2) || (!a_shared && !lanes_fit(gpu_lay(k, ir_vtype(f, a)), 1, 32 / bits))) {
        gpu_fail(k, o, "the accumulator's layout is not wgmma's");
        return;
    }
    uint32_t n = gpu_regs(k, ir_vtype(f, out));
    lval *r = gpu_set(k, out, n), db = descriptor(k, &B, gpu_get(k, b)), da = NULL;
    bool has_acc = ir_nin(f, o) > 2;
    if (a_shared) {
        lval p = gpu_get(k, a), wg = LLVMBuildLShr(c->b, k->warp, cg_i32(c, 2), "");
        if (groups > 1) /* warpgroups go down M in steps of 64 */
            p = LLVMBuildAdd(c->b, p, LLVMBuildMul(c->b, wg, cg_i32(c, offset_at(A.s, 0, 64, A.bytes)), ""), "");
        da = descriptor(k, &A, p);
    }
    gpu_mma m = {.a = ai->dt, .b = bi->dt, .acc = ti->dt, .n = (int)N, .k = step, .nc = nc, .na = 4};
    m.b_trans = B.mn_fast;
    m.a_trans = A.mn_fast;
    m.c = ARENA_ARRAY(k->a, lval, (size_t)nc);
    uint32_t *regs = ARENA_ARRAY(k->a, uint32_t, (size_t)nc);
    /* A's words before the fence: what writes them behind it would make ptxas wait between the instructions */
    lval *words = ARENA_ARRAY(k->a, lval, (size_t)(4 * (K / step) * (M / (64 * groups))));
    for (int64_t row = 0, i = 0; !a_shared && row < M; row += 64 * groups)
        for (int64_t kk = 0; kk < K; kk += step, i += 4)
            a_fragment(k, o, &fa, a, row, kk, bits, words + i);
    k->ops->wgmma_fence(c);
    for (int64_t row = 0, at_word = 0; row < M && !k->failed; row += 64 * groups) {
        for (int i = 0; i < nc; i++) {
            int64_t want[2] = {row + 8 * (i >> 1 & 1), 8 * (i >> 2) + (i & 1)};
            if (!gpu_find(&at, want, &regs[i])) {
                gpu_fail(k, o, "the accumulator's layout is not wgmma's");
                return;
            }
            m.c[i] = has_acc ? k->val[ir_in(f, o, 2).id].r[regs[i]] : NULL;
        }
        for (int64_t kk = 0; kk < K; kk += step) {
            m.zero = !has_acc && kk == 0;
            m.scale = kk == 0 && ir_nin(f, o) > 3 ? gpu_get(k, ir_in(f, o, 3)) : NULL;
            m.b_desc = step_of(k, db, offset_at(B.s, 0, kk, B.bytes));
            if (a_shared) {
                int64_t coord[LAY_MAX_RANK] = {row, kk};
                m.a_desc = step_of(k, da, lay_shared_offset(A.s, coord) * A.bytes);
            } else {
                memcpy(m.a_regs, words + at_word, sizeof m.a_regs);
                at_word += 4;
            }
            k->ops->wgmma(c, &m);
        }
        for (int i = 0; i < nc; i++)
            r[regs[i]] = m.c[i];
    }
    k->ops->wgmma_commit(c);
}

/* ---- mma.sync ---- */
typedef struct mma_tile {
    gk *k;
    ir_op o;
    ir_val a, b;
    gpu_finder at, fa, fb;
    int bits;
    int64_t rows[64], cols[64]; /* of thread 0's blocks of 16 x 8 */
    int nrows, ncols;
    lval *aw[2],
        *bw[2]; /* words of a step of K: four a block of rows, two a block of columns; two steps, alternating */
} mma_tile;

/* the blocks of the accumulator that a thread has a part of */
static bool find_blocks(mma_tile *x, const lay *l, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        int64_t c[LAY_MAX_RANK];
        gpu_reg_coord(l, i, c);
        if (c[0] & 15 || c[1] & 7)
            continue;
        int r = 0, q = 0;
        while (r < x->nrows && x->rows[r] != c[0])
            r++;
        while (q < x->ncols && x->cols[q] != c[1])
            q++;
        if (r == 64 || q == 64)
            return false;
        x->rows[r] = c[0];
        x->cols[q] = c[1];
        x->nrows += r == x->nrows;
        x->ncols += q == x->ncols;
    }
    return true;
}

/* the words of a step that go with block row r of `of`: its own of A, and its share of B's columns */
static void fetch_part(mma_tile *x, int64_t kk, int turn, int r, int of)
{
    if (r < x->nrows)
        a_fragment(x->k, x->o, &x->fa, x->a, x->rows[r], kk, x->bits, x->aw[turn] + 4 * r);
    for (int q = x->ncols * r / of; q < x->ncols * (r + 1) / of; q++)
        for (int j = 0; j < 2; j++) {
            int64_t want[2] = {kk + 128 / x->bits * j, x->cols[q]};
            x->bw[turn][2 * q + j] = word_at(x->k, x->o, &x->fb, x->b, want, 0, x->bits);
        }
}

static void fetch_step(mma_tile *x, int64_t kk, int turn)
{
    for (int r = 0; r < x->nrows; r++)
        fetch_part(x, kk, turn, r, x->nrows);
}

static void multiply_row(mma_tile *x, gpu_mma m, int turn, int row, lval *r)
{
    for (int q = 0; q < x->ncols && !x->k->failed; q++) {
        lval four[4];
        uint32_t reg[4];
        for (int j = 0; j < 4; j++) {
            int64_t want[2] = {x->rows[row] + 8 * (j >> 1), x->cols[q] + (j & 1)};
            if (!gpu_find(&x->at, want, &reg[j])) {
                gpu_fail(x->k, x->o, "the accumulator's layout is not a matrix instruction's");
                return;
            }
            four[j] = r[reg[j]];
        }
        m.c = four;
        for (int j = 0; j < 4; j++)
            m.a_regs[j] = x->aw[turn][4 * row + j];
        m.b_regs[0] = x->bw[turn][2 * q];
        m.b_regs[1] = x->bw[turn][2 * q + 1];
        x->k->ops->mma(x->k->c, &m);
        for (int j = 0; j < 4; j++)
            r[reg[j]] = four[j];
    }
}

void gpu_dot(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    mma_tile x = {.k = k, .o = o, .a = ir_in(f, o, 0), .b = ir_in(f, o, 1)};
    ir_val acc = ir_in(f, o, 2), out = ir_out(f, o, 0);
    const ir_type_info *ti = ir_type_of(k->m, ir_vtype(f, out)), *ai = ir_type_of(k->m, ir_vtype(f, x.a));
    const ir_type_info *bi = ir_type_of(k->m, ir_vtype(f, x.b));
    const lay *l = gpu_lay(k, ir_vtype(f, out)), *la = gpu_lay(k, ir_vtype(f, x.a)), *lb = gpu_lay(k, ir_vtype(f, x.b));
    int step = k_of(ai->dt);
    uint32_t n = gpu_regs(k, ir_vtype(f, out));
    x.bits = dt_bits(ai->dt);
    if (ti->rank != 2 || !k->chip->has_mma || ti->shape[0] % 16 || ti->shape[1] % 8 || ai->shape[1] % step ||
        !lanes_fit(l, 1, 2) || !lanes_fit(la, 1, 32 / x.bits) || !lanes_fit(lb, 0, 32 / x.bits) ||
        !find_blocks(&x, l, n)) {
        gpu_fail(k, o, "its layouts are not the fragments of a matrix instruction of this chip");
        return;
    }
    gpu_finder_init(k, &x.at, l);
    gpu_finder_init(k, &x.fa, la);
    gpu_finder_init(k, &x.fb, lb);
    for (int i = 0; i < 2; i++) {
        x.aw[i] = ARENA_ARRAY(k->a, lval, 4 * (size_t)x.nrows);
        x.bw[i] = ARENA_ARRAY(k->a, lval, 2 * (size_t)x.ncols);
    }
    lval *r = gpu_set(k, out, n);
    for (uint32_t i = 0; i < n; i++)
        r[i] = k->val[acc.id].r[i];
    gpu_mma m = {.a = ai->dt, .b = bi->dt, .acc = ti->dt, .n = 8, .k = step, .nc = 4, .na = 4, .nb = 2};
    int turn = 0;
    fetch_step(&x, 0, 0);
    for (int64_t kk = 0; kk < ai->shape[1] && !k->failed; kk += step, turn ^= 1) {
        for (int row = 0; row < x.nrows && !k->failed; row++) {
            if (kk + step < ai->shape[1])
                fetch_part(&x, kk + step, turn ^ 1, row, x.nrows); /* a little of the next step between the products */
            multiply_row(&x, m, turn, row, r);
        }
    }
}
