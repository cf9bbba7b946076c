/* memory.c: global memory by the widest accesses that a layout and the axis analysis allow, shared memory likewise or
 * by 8x8 matrices, and copies from one to the other.
 *
 * Registers r, r + 1, .. r + v - 1 are one access if they run along one dimension in order, the pointer is contiguous
 * and aligned there, and the mask is one value over them. A scalar or replicated access is made by every thread on
 * loads, by one on stores.
 */
#include "backends/gpu/async.h"

enum { MOST_BYTES = 16 };

/* the dimension along which consecutive registers run, -1 = none */
static int fast_dim(const lay *l)
{
    for (int d = 0; d < l->rank; d++)
        if (lay_contig(l, d) > 1)
            return d;
    return -1;
}

/* elements of one access through pointers p under mask m (0 = none) */
static int vector_of(gk *k, ir_val p, ir_val mask, int bytes, bool is_bool)
{
    const lay *l = gpu_lay(k, ir_vtype(k->f, p));
    int d = l ? fast_dim(l) : -1;
    if (d < 0 || is_bool)
        return 1;
    const axis_info *x = &k->ax.at[p.id];
    int64_t v = lay_contig(l, d), most = MOST_BYTES / bytes;
    if (!x->known)
        return 1;
    if (v > most)
        v = most;
    while (v > 1 && (x->contig[d] % v || x->div[d] % (v * bytes)))
        v /= 2;
    if (mask.id) {
        const axis_info *m = &k->ax.at[mask.id];
        while (v > 1 && (!m->known || m->constancy[d] % v))
            v /= 2;
    }
    return v * bytes < 4 ? 1 : (int)v; /* whole words, or one by one */
}

static lval and_pred(cg *c, lval x, lval y)
{
    return x && y ? LLVMBuildAnd(c->b, x, y, "") : x ? x : y;
}

static lval mask_at(gk *k, ir_val mask, uint32_t r)
{
    if (!mask.id)
        return NULL;
    const gpu_val *v = &k->val[mask.id];
    return v->r[v->n == 1 ? 0 : r];
}

/* a value as it goes to and comes from memory: bool as a byte, others by their bits */
static lval to_mem(cg *c, lval x, dtype dt)
{
    int bits = dt_bits(dt);
    if (dt == DT_BOOL)
        return LLVMBuildZExt(c->b, x, c->i16, "");
    if (dt == DT_NONE)
        return LLVMBuildPtrToInt(c->b, x, c->i64, "");
    if (bits == 8)
        return LLVMBuildZExt(c->b, x, c->i16, "");
    return cg_bits(c, x, bits == 16 ? c->i16 : bits == 32 ? c->i32 : c->i64);
}

static lval from_mem(cg *c, lval x, dtype dt)
{
    if (dt == DT_BOOL)
        return LLVMBuildTrunc(c->b, x, c->i1, "");
    if (dt == DT_NONE)
        return LLVMBuildIntToPtr(c->b, x, c->ptr, "");
    if (dt_bits(dt) == 8)
        return LLVMBuildTrunc(c->b, x, c->i8, "");
    return cg_bits(c, x, cg_num(c, dt));
}

static int mem_bytes(dtype dt)
{
    return dt == DT_NONE ? 8 : (int)dt_bytes(dt);
}

static void op_load(gk *k, ir_op o)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_val p = ir_in(f, o, 0), out = ir_out(f, o, 0), mask = {0}, other = {0};
    if (ir_nin(f, o) > 1)
        mask = ir_in(f, o, 1);
    if (ir_nin(f, o) > 2)
        other = ir_in(f, o, 2);
    dtype dt = ir_type_dt(k->m, ir_vtype(f, out));
    int bytes = mem_bytes(dt), v = vector_of(k, p, mask, bytes, dt == DT_BOOL), cache = (int)ir_int(f, o, KEY_cache, 0);
    int evict = (int)ir_int(f, o, KEY_evict, 0);
    uint32_t n = gpu_regs(k, ir_vtype(f, out));
    lval *r = gpu_set(k, out, n);
    if (ir_int(f, o, KEY_is_volatile, 0))
        cache = CACHE_CV;
    for (uint32_t i = 0; i < n; i += (uint32_t)v) {
        lval pred = mask_at(k, mask, i), in[GPU_WORDS], got[GPU_WORDS];
        if (v * bytes < 4) {
            lval else_ = other.id ? to_mem(c, k->val[other.id].r[k->val[other.id].n == 1 ? 0 : i], dt) : NULL;
            k->ops->load(c, k->val[p.id].r[i], 0, 8 * bytes, pred, else_ ? &else_ : NULL, cache, evict, got);
            r[i] = from_mem(c, got[0], dt);
            continue;
        }
        int words = v * bytes / 4, per = bytes >= 4 ? 1 : 4 / bytes;
        lty t = cg_num(c, dt);
        if (bytes == 8) { /* 64-bit elements as they are */
            lval else_ = other.id ? to_mem(c, k->val[other.id].r[i], dt) : NULL;
            for (int j = 0; j < v; j++) {
                lval e = other.id && j ? to_mem(c, k->val[other.id].r[i + (uint32_t)j], dt) : else_;
                k->ops->load(c, k->val[p.id].r[i + (uint32_t)j], 0, 64, pred, e ? &e : NULL, cache, evict, got);
                r[i + (uint32_t)j] = from_mem(c, got[0], dt);
            }
            continue;
        }
        for (int w = 0; other.id && w < words; w++) {
            lval e[4];
            for (int j = 0; j < per; j++)
                e[j] = k->val[other.id].r[k->val[other.id].n == 1 ? 0 : i + (uint32_t)(w * per + j)];
            in[w] = gpu_pack(k, e, 32 / per);
        }
        k->ops->load(c, k->val[p.id].r[i], words, 0, pred, other.id ? in : NULL, cache, evict, got);
        for (int w = 0; w < words; w++)
            gpu_unpack(k, got[w], t, 32 / per, r + i + w * per);
    }
}

static void op_store(gk *k, ir_op o)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_val p = ir_in(f, o, 0), x = ir_in(f, o, 1), mask = {0};
    if (ir_nin(f, o) > 2)
        mask = ir_in(f, o, 2);
    dtype dt = ir_type_dt(k->m, ir_vtype(f, x));
    const lay *l = gpu_lay(k, ir_vtype(f, x));
    int bytes = mem_bytes(dt), v = vector_of(k, p, mask, bytes, dt == DT_BOOL), cache = (int)ir_int(f, o, KEY_cache, 0);
    int evict = (int)ir_int(f, o, KEY_evict, 0);
    uint32_t n = gpu_regs(k, ir_vtype(f, x)), dead = l ? lay_replicated(l, LAY_REG) : 0;
    lval owner = l ? gpu_is_owner(k, l) : k->leader;
    const lval *r = k->val[x.id].r;
    for (uint32_t i = 0; i < n; i += (uint32_t)v) {
        lval pred = and_pred(c, owner, mask_at(k, mask, i)), in[GPU_WORDS];
        if (l && (i & dead))
            continue;
        if (v * bytes < 4 || bytes == 8) {
            for (int j = 0; j < v; j++) {
                in[0] = to_mem(c, r[i + (uint32_t)j], dt);
                k->ops->store(c, k->val[p.id].r[i + (uint32_t)j], 0, 8 * bytes, pred, cache, evict, in);
            }
            continue;
        }
        int words = v * bytes / 4, per = 4 / bytes;
        for (int w = 0; w < words; w++)
            in[w] = gpu_pack(k, r + i + w * per, 8 * bytes);
        k->ops->store(c, k->val[p.id].r[i], words, 0, pred, cache, evict, in);
    }
}

/* ---- shared memory ---- */
static lval shared_ptr(gk *k, lval address, lty t)
{
    cg *c = k->c;
    (void)t;
    return LLVMBuildIntToPtr(c->b, address, LLVMPointerTypeInContext(c->cx, 3), "");
}

/* registers that lie at consecutive, aligned offsets */
static int shared_vector(const lay *l, const lay_shared *s, int bytes)
{
    int v = 1, most = MOST_BYTES / bytes, all = (int)lay_regs(l);
    for (int i = 0; i < s->npads; i++)
        while (most > 1 && (s->pads[i].interval % most || s->pads[i].pad % most))
            most /= 2;
    while (v < most && 2 * v <= all && all % (2 * v) == 0) {
        for (int r = 0; r < 2 * v; r++) {
            int64_t coord[LAY_MAX_RANK];
            gpu_reg_coord(l, (uint32_t)r, coord);
            if (lay_shared_offset(s, coord) != r)
                return v;
        }
        v *= 2;
    }
    /* lanes and warps must keep them aligned */
    for (int sp = LAY_LANE; sp <= LAY_WARP; sp++)
        for (int i = 0; i < l->nbits[sp]; i++) {
            int64_t coord[LAY_MAX_RANK];
            lay_unpack(l, l->image[sp][i], coord);
            while (v > 1 && lay_shared_offset(s, coord) % v)
                v /= 2;
        }
    return v;
}

/* The 8x8 matrices of ldmatrix and stmatrix: a lane holds two neighbours along one dimension, four lanes a row of 8,
 * eight groups of them 8 rows. `along` gets the dimension of the neighbours, `across` the other. Registers 1 and 2
 * choose among four matrices. */
static bool is_matrix_layout(const lay *l, int *along, int *across)
{
    if (l->nbits[LAY_REG] < 3 || l->nbits[LAY_LANE] != 5)
        return false;
    int64_t c[LAY_MAX_RANK];
    *along = fast_dim(l);
    *across = -1;
    if (*along < 0)
        return false;
    for (int b = 0; b < 5; b++) {
        lay_unpack(l, l->image[LAY_LANE][b], c);
        int dim = -1;
        for (int d = 0; d < l->rank; d++)
            if (c[d])
                dim = dim < 0 ? d : LAY_MAX_RANK;
        if (dim < 0 || dim == LAY_MAX_RANK)
            return false;
        if (b < 2 ? dim != *along || c[dim] != 2 << b : dim == *along || c[dim] != 1 << (b - 2))
            return false;
        if (b == 2)
            *across = dim;
        if (b > 2 && dim != *across)
            return false;
    }
    return true;
}

/* eight elements along dimension d are 16 contiguous bytes */
static bool rows_of_16_bytes(const lay_shared *s, int d)
{
    for (int64_t i = 0; i < 8; i++) {
        int64_t c[LAY_MAX_RANK] = {0};
        c[d] = i;
        if (lay_shared_offset(s, c) != i)
            return false;
    }
    return s->npads == 0;
}

/* address of the row that this lane gives for matrices (registers r, r + 2, r + 4, r + 6 of layout l) */
static lval matrix_row(gk *k, const lay *l, const lay_shared *s, uint32_t r, int row_dim, lval base)
{
    cg *c = k->c;
    int64_t coord[LAY_MAX_RANK];
    uint32_t image[5], mask = 0;
    for (int b = 0; b < 5; b++) {
        int64_t at[LAY_MAX_RANK] = {0};
        if (b < 3)
            at[row_dim] = (int64_t)1 << b;
        else
            gpu_reg_coord(l, 2u << (b - 3), at);
        image[b] = (uint32_t)(lay_shared_offset(s, at) * 2);
    }
    lval off = gpu_linear(k, k->lane, 5, image, NULL, &mask);
    uint32_t warp[LAY_MAX_BITS];
    for (int b = 0; b < l->nbits[LAY_WARP]; b++) {
        lay_unpack(l, l->image[LAY_WARP][b], coord);
        warp[b] = (uint32_t)(lay_shared_offset(s, coord) * 2);
    }
    off = gpu_linear(k, k->warp, l->nbits[LAY_WARP], warp, off, &mask);
    gpu_reg_coord(l, r, coord);
    uint32_t at = (uint32_t)(lay_shared_offset(s, coord) * 2);
    /* what can't meet the lanes' bits is added last, as the instruction's own offset */
    if (mask & at)
        off = LLVMBuildXor(c->b, off, cg_i32(c, mask & at), "");
    off = LLVMBuildAdd(c->b, base, off, "");
    return at & ~mask ? LLVMBuildAdd(c->b, off, cg_i32(c, at & ~mask), "") : off;
}

/* whether a tile of 16-bit elements in layout l moves to and from s by matrices; `row` gets the dimension of their rows
 */
static bool by_matrices(gk *k, const lay *l, const lay_shared *s, int bytes, bool store, bool *trans, int *row)
{
    int along = 0, across = 0;
    if (bytes != 2 || !k->chip->has_mma || (store && !k->chip->has_stmatrix) || !is_matrix_layout(l, &along, &across))
        return false;
    *trans = !rows_of_16_bytes(s, along);
    *row = *trans ? along : across;
    return !*trans || rows_of_16_bytes(s, across);
}

/* registers i .. i + 7 */
static void load_matrices(gk *k, const lay *l, const lay_shared *s, lval base, uint32_t i, bool trans, int row, lty t,
                          lval *r)
{
    lval w[4];
    k->ops->ldmatrix(k->c, matrix_row(k, l, s, i, row, base), trans, w);
    for (uint32_t j = 0; j < 4; j++)
        gpu_unpack(k, w[j], t, 16, r + i + 2 * j);
}

static bool matrix_access(gk *k, const lay *l, const lay_shared *s, int bytes, lval base, lval *r, lty t, bool store)
{
    bool trans;
    int row;
    if (!by_matrices(k, l, s, bytes, store, &trans, &row))
        return false;
    uint32_t n = (uint32_t)lay_regs(l);
    for (uint32_t i = 0; i < n; i += 8) {
        lval w[4];
        if (!store) {
            load_matrices(k, l, s, base, i, trans, row, t, r);
            continue;
        }
        for (uint32_t j = 0; j < 4; j++)
            w[j] = gpu_pack(k, r + i + 2 * j, 16);
        k->ops->stmatrix(k->c, matrix_row(k, l, s, i, row, base), trans, w);
    }
    return true;
}

/* ---- loads put off until they are wanted ----
 * A fragment used only by `dot`s and `slice`s, with nothing between it and them that could change the memory, is loaded
 * where they want it, eight registers at a time: a step of K at once instead of the whole operand. So IR that slices a
 * fragment says when its parts are read. A slot that was got and not left yet (`held`) is none that is put into. */
static bool leaves_memory(const ir_func *f, ir_op o, bool held)
{
    ir_code code = ir_op_code(f, o);
    if (code == IR_OP_put_enter || code == IR_OP_put_exit)
        return held;
    if (code == IR_OP_cp_async || code == IR_OP_tma_load) {
        ir_op slot = gpu_slot_of(f, ir_in(f, o, code == IR_OP_cp_async ? 1 : ir_nin(f, o) - 1));
        return held && slot.id && ir_op_code(f, slot) == IR_OP_put_enter;
    }
    return (ir_info(f, o)->flags & PURE) || code == IR_OP_shared_load || code == IR_OP_load;
}

static bool only_products(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    ir_val v = ir_out(f, o, 0);
    uint32_t left = 0;
    ir_op slot = gpu_slot_of(f, ir_in(f, o, 0));
    bool held = slot.id && ir_op_code(f, slot) == IR_OP_get_enter;
    for (uint32_t i = 1; i < f->ops.n; i++)
        for (uint32_t j = 0; f->ops.at[i].parent.id && j < f->ops.at[i].nin; j++)
            left += ir_in(f, (ir_op){i}, j).id == v.id;
    for (ir_op x = ir_next(f, o); x.id && left && leaves_memory(f, x, held); x = ir_next(f, x))
        for (uint32_t j = 0; j < ir_nin(f, x); j++)
            if (ir_in(f, x, j).id == v.id) {
                if (ir_op_code(f, x) != IR_OP_dot && ir_op_code(f, x) != IR_OP_slice)
                    return false;
                left--;
            }
    return left == 0;
}

static bool put_off(gk *k, ir_op o)
{
    ir_val s = ir_in(k->f, o, 0), v = ir_out(k->f, o, 0);
    const lay *l = gpu_lay(k, ir_vtype(k->f, v));
    dtype dt = ir_type_dt(k->m, ir_vtype(k->f, v));
    gpu_lazy z = {.l = l, .s = gpu_shared_lay(k, ir_vtype(k->f, s)), .base = gpu_get(k, s)};
    if (!by_matrices(k, l, z.s, mem_bytes(dt), false, &z.trans, &z.row) || !only_products(k, o))
        return false;
    z.t = cg_num(k->c, dt);
    k->lazy[v.id] = ARENA_NEW(k->a, gpu_lazy);
    *k->lazy[v.id] = z;
    gpu_set(k, v, gpu_regs(k, ir_vtype(k->f, v)));
    return true;
}

lval gpu_reg(gk *k, ir_val v, uint32_t reg)
{
    lval *r = k->val[v.id].r;
    const gpu_lazy *z = k->lazy[v.id];
    if (!r[reg] && z)
        load_matrices(k, z->l, z->s, z->base, reg & ~7u, z->trans, z->row, z->t, r);
    return r[reg];
}

/* reads or writes the registers of a tile in layout l at shared layout s */
void gpu_shared_access(gk *k, const lay *l, const lay_shared *s, dtype dt, lval base, lval *r, bool store)
{
    cg *c = k->c;
    int bytes = mem_bytes(dt);
    lty t = cg_num(c, dt), mem = cg_mem(c, dt);
    if (matrix_access(k, l, s, bytes, base, r, t, store))
        return;
    int v = shared_vector(l, s, bytes);
    uint32_t n = (uint32_t)lay_regs(l), dead = lay_replicated(l, LAY_REG);
    gpu_offsets x = gpu_offsets_of(k, l, s, bytes);
    for (uint32_t i = 0; i < n; i += (uint32_t)v) {
        if (store && (i & dead))
            continue;
        lval p = shared_ptr(k, LLVMBuildAdd(c->b, base, gpu_offset(&x, i), ""), mem);
        lty vec = cg_vec(mem, v);
        if (store) {
            lval w = LLVMGetPoison(vec);
            for (int j = 0; j < v; j++) {
                lval e = dt == DT_BOOL ? LLVMBuildZExt(c->b, r[i + (uint32_t)j], c->i8, "") : r[i + (uint32_t)j];
                w = cg_insert(c, w, e, j);
            }
            cg_store(c, w, p, (unsigned)(v * bytes));
        } else {
            lval w = cg_load(c, vec, p, (unsigned)(v * bytes));
            for (int j = 0; j < v; j++) {
                lval e = cg_extract(c, w, j);
                r[i + (uint32_t)j] = dt == DT_BOOL ? LLVMBuildTrunc(c->b, e, c->i1, "") : e;
            }
        }
    }
}

/* a scalar in a shared tile of one element: the leader writes it, all read it */
static void op_shared_scalar(gk *k, ir_op o, bool store)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    lval p = shared_ptr(k, gpu_get(k, ir_in(f, o, 0)), NULL);
    ir_val x = store ? ir_in(f, o, 1) : ir_out(f, o, 0);
    dtype dt = ir_type_dt(k->m, ir_vtype(f, x));
    unsigned bytes = (unsigned)mem_bytes(dt);
    lblock yes = NULL, next = NULL;
    if (!store) {
        lval w = cg_load(c, cg_mem(c, dt), p, bytes);
        gpu_set(k, x, 1)[0] = dt == DT_BOOL ? LLVMBuildTrunc(c->b, w, c->i1, "") : w;
        return;
    }
    if (k->leader) {
        yes = cg_block(c, "put");
        next = cg_block(c, "next");
        LLVMBuildCondBr(c->b, k->leader, yes, next);
        cg_at(c, yes);
    }
    lval w = gpu_get(k, x);
    cg_store(c, dt == DT_BOOL ? LLVMBuildZExt(c->b, w, c->i8, "") : w, p, bytes);
    if (k->leader) {
        LLVMBuildBr(c->b, next);
        cg_at(c, next);
    }
}

static void op_shared(gk *k, ir_op o, bool store)
{
    const ir_func *f = k->f;
    ir_val s = ir_in(f, o, 0), t = store ? ir_in(f, o, 1) : ir_out(f, o, 0);
    if (!gpu_lay(k, ir_vtype(f, t))) {
        op_shared_scalar(k, o, store);
        return;
    }
    if (!store && put_off(k, o))
        return;
    if (!store)
        gpu_set(k, t, gpu_regs(k, ir_vtype(f, t)));
    gpu_shared_access(k, gpu_lay(k, ir_vtype(f, t)), gpu_shared_lay(k, ir_vtype(f, s)),
                      ir_type_dt(k->m, ir_vtype(f, t)), gpu_get(k, s), k->val[t.id].r, store);
}

/* $0 pointers, $1 shared tile, mask */
static void op_cp_async(gk *k, ir_op o)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_val p = ir_in(f, o, 0), s = ir_in(f, o, 1), mask = {0};
    if (ir_nin(f, o) > 2)
        mask = ir_in(f, o, 2);
    const lay *l = gpu_lay(k, ir_vtype(f, p));
    const lay_shared *sl = gpu_shared_lay(k, ir_vtype(f, s));
    if (!k->chip->has_cp_async) {
        gpu_fail(k, o, "the chip has no asynchronous copies");
        return;
    }
    int bytes = mem_bytes(ir_type_of(k->m, ir_vtype(f, s))->dt), v = vector_of(k, p, mask, bytes, false);
    int w = shared_vector(l, sl, bytes);
    v = v < w ? v : w;
    if (v * bytes < 4) {
        gpu_fail(k, o, "only %d contiguous bytes a thread, an asynchronous copy needs 4", v * bytes);
        return;
    }
    gpu_offsets x = gpu_offsets_of(k, l, sl, bytes);
    uint32_t n = gpu_regs(k, ir_vtype(f, p)), dead = lay_replicated(l, LAY_REG);
    for (uint32_t i = 0; i < n; i += (uint32_t)v)
        if (!(i & dead))
            k->ops->cp_async(c, LLVMBuildAdd(c->b, gpu_get(k, s), gpu_offset(&x, i), ""), k->val[p.id].r[i], v * bytes,
                             mask_at(k, mask, i));
    k->ops->cp_commit(c);
}

bool gpu_memory_op(gk *k, ir_op o)
{
    switch (ir_op_code(k->f, o)) {
    case IR_OP_load:
        op_load(k, o);
        return true;
    case IR_OP_store:
        op_store(k, o);
        return true;
    case IR_OP_shared_load:
        op_shared(k, o, false);
        return true;
    case IR_OP_shared_store:
        op_shared(k, o, true);
        return true;
    case IR_OP_cp_async:
        op_cp_async(k, o);
        return true;
    default:
        return false;
    }
}
