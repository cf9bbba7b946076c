/* tile.c: ops that each thread does on its own registers: constants, coordinates, arithmetic, and changes of shape.
 *
 * A change of shape moves no data if every element of the result is held by the thread that holds the operand's. Both
 * are linear in the bits of lane and warp, so that is checked on one register and on each bit's image, and the register
 * is then found by its coordinate.
 */
#include "backends/gpu/gpu.h"

#include <string.h>

/* ---- 32-bit words ---- */
lval gpu_pack(gk *k, const lval *r, int bits)
{
    cg *c = k->c;
    int n = 32 / bits;
    if (n == 1)
        return cg_bits(c, r[0], c->i32);
    lval v = LLVMGetPoison(cg_vec(LLVMTypeOf(r[0]), n));
    for (int i = 0; i < n; i++)
        v = LLVMBuildInsertElement(c->b, v, r[i], cg_i32(c, i), "");
    return LLVMBuildBitCast(c->b, v, c->i32, "");
}

void gpu_unpack(gk *k, lval word, lty t, int bits, lval *r)
{
    cg *c = k->c;
    int n = 32 / bits;
    if (n == 1) {
        r[0] = cg_bits(c, word, t);
        return;
    }
    lval v = LLVMBuildBitCast(c->b, word, cg_vec(t, n), "");
    for (int i = 0; i < n; i++)
        r[i] = LLVMBuildExtractElement(c->b, v, cg_i32(c, i), "");
}

/* ---- arithmetic ---- */
static bool is_approx(gk *k, ir_op o, gpu_approx *f)
{
    ir_code code = ir_op_code(k->f, o);
    if (!ir_int(k->f, o, KEY_approx, 0) || ir_type_dt(k->m, ir_vtype(k->f, ir_in(k->f, o, 0))) != DT_F32)
        return false;
    *f = code == IR_OP_exp2    ? APPROX_EXP2
         : code == IR_OP_tanh  ? APPROX_TANH
         : code == IR_OP_rsqrt ? APPROX_RSQRT
                               : APPROX_RCP;
    return true;
}

/* f32 to f16 by pairs: one instruction converts two */
static void cast_pairs(gk *k, lval *out, const lval *in, uint32_t n)
{
    cg *c = k->c;
    lty f32x2 = cg_vec(c->f32, 2), f16x2 = cg_vec(c->f16, 2);
    for (uint32_t r = 0; r < n; r += 2) {
        lval v = LLVMGetPoison(f32x2);
        v = LLVMBuildInsertElement(c->b, v, in[r], cg_i32(c, 0), "");
        v = LLVMBuildInsertElement(c->b, v, in[r + 1], cg_i32(c, 1), "");
        v = LLVMBuildFPTrunc(c->b, v, f16x2, "");
        out[r] = LLVMBuildExtractElement(c->b, v, cg_i32(c, 0), "");
        out[r + 1] = LLVMBuildExtractElement(c->b, v, cg_i32(c, 1), "");
    }
}

static void elementwise(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    ir_code code = ir_op_code(f, o);
    uint32_t nin = ir_nin(f, o), n = gpu_regs(k, ir_vtype(f, ir_out(f, o, 0)));
    cg_elt_op e = {
        .code = code, .lanes = 1, .nan = ir_int(f, o, KEY_nan, 0) != 0, .rtz = ir_int(f, o, KEY_rtz, 0) != 0};
    gpu_approx fast;
    bool approx = is_approx(k, o, &fast);
    e.from = ir_type_dt(k->m, ir_vtype(f, ir_in(f, o, code == IR_OP_select ? 1 : 0)));
    e.to = ir_type_dt(k->m, ir_vtype(f, ir_out(f, o, 0)));
    lval *out = gpu_set(k, ir_out(f, o, 0), n);
    if (code == IR_OP_cast && e.from == DT_F32 && e.to == DT_F16 && !e.rtz && n % 2 == 0) {
        cast_pairs(k, out, k->val[ir_in(f, o, 0).id].r, n);
        return;
    }
    for (uint32_t r = 0; r < n; r++) {
        lval in[4];
        for (uint32_t i = 0; i < nin; i++) {
            const gpu_val *v = &k->val[ir_in(f, o, i).id];
            in[i] = v->r[v->n == 1 ? 0 : r];
        }
        if (!approx)
            out[r] = cg_elt(k->c, &e, in);
        else if (code == IR_OP_div)
            out[r] = LLVMBuildFMul(k->c->b, in[0], k->ops->approx(k->c, APPROX_RCP, in[1]), "");
        else
            out[r] = k->ops->approx(k->c, fast, in[0]);
    }
}

static void pointers(gk *k, ir_op o)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_val x = ir_in(f, o, 0);
    uint32_t n = gpu_regs(k, ir_vtype(f, ir_out(f, o, 0)));
    lval *out = gpu_set(k, ir_out(f, o, 0), n);
    const ir_type_info *elem = ir_type_of(k->m, ir_type_elem(k->m, ir_vtype(f, x)));
    bool from_int = elem->kind == TK_NUM, to_int = ir_type_dt(k->m, ir_vtype(f, ir_out(f, o, 0))) != DT_NONE;
    for (uint32_t r = 0; r < n; r++) {
        lval p = k->val[x.id].r[r];
        if (ir_op_code(f, o) == IR_OP_ptr_cast) {
            out[r] = from_int ? LLVMBuildIntToPtr(c->b, p, c->ptr, "")
                     : to_int ? LLVMBuildPtrToInt(c->b, p, c->i64, "")
                              : p;
            continue;
        }
        ir_val y = ir_in(f, o, 1);
        dtype dt = ir_type_dt(k->m, ir_vtype(f, y)), to = ir_type_of(k->m, elem->elem)->dt;
        lval i = k->val[y.id].r[r];
        if (dt_bits(dt) < 64)
            i = dt_is_signed(dt) ? LLVMBuildSExt(c->b, i, c->i64, "") : LLVMBuildZExt(c->b, i, c->i64, "");
        out[r] = cg_gep(c, to == DT_NONE ? c->ptr : cg_mem(c, to), p, i);
    }
}

/* ---- constants and coordinates ---- */
static void fill(gk *k, ir_val v, lval x)
{
    uint32_t n = gpu_regs(k, ir_vtype(k->f, v));
    lval *r = gpu_set(k, v, n);
    for (uint32_t i = 0; i < n; i++)
        r[i] = x;
}

static void op_const(gk *k, ir_op o)
{
    ir_val v = ir_out(k->f, o, 0);
    dtype dt = ir_type_dt(k->m, ir_vtype(k->f, v));
    fill(k, v, cg_const(k->c, dt, (uint64_t)ir_int(k->f, o, KEY_bits, 0), 1));
}

static void op_undef(gk *k, ir_op o)
{
    ir_val v = ir_out(k->f, o, 0);
    dtype dt = ir_type_dt(k->m, ir_vtype(k->f, v));
    fill(k, v, LLVMGetPoison(cg_num(k->c, dt)));
}

static void op_arange(gk *k, ir_op o)
{
    ir_val v = ir_out(k->f, o, 0);
    ir_type t = ir_vtype(k->f, v);
    const lay *l = gpu_lay(k, t);
    lty elem = cg_num(k->c, ir_type_dt(k->m, t));
    uint32_t n = gpu_regs(k, t);
    lval *r = gpu_set(k, v, n), start = LLVMConstInt(elem, (uint64_t)ir_int(k->f, o, KEY_start, 0), true);
    gpu_index x = gpu_index_of(k, l);
    for (uint32_t i = 0; i < n; i++) {
        lval at = gpu_coord(&x, i, 0);
        int bits = cg_width(elem);
        at = bits > 32 ? LLVMBuildZExt(k->c->b, at, elem, "") : bits < 32 ? LLVMBuildTrunc(k->c->b, at, elem, "") : at;
        r[i] = LLVMIsNull(start) ? at : LLVMBuildAdd(k->c->b, at, start, "");
    }
}

/* ---- shapes ---- */
/* coordinate of the operand's element that an op's result has at `to`; `linear` leaves out constant offsets */
static void source_coord(gk *k, ir_op o, const int64_t *to, bool linear, int64_t *from)
{
    const ir_func *f = k->f;
    const ir_type_info *a = ir_type_of(k->m, ir_vtype(f, ir_in(f, o, 0)));
    const ir_type_info *r = ir_type_of(k->m, ir_vtype(f, ir_out(f, o, 0)));
    uint32_t n;
    int64_t at = 0;
    switch (ir_op_code(f, o)) {
    case IR_OP_broadcast:
        for (int d = 0; d < a->rank; d++)
            from[d] = a->shape[d] == 1 ? 0 : to[d];
        return;
    case IR_OP_permute: {
        const int64_t *order = ir_ints(f, o, KEY_order, &n);
        for (int d = 0; d < r->rank; d++)
            from[order[d]] = to[d];
        return;
    }
    case IR_OP_slice: {
        const int64_t *start = ir_ints(f, o, KEY_starts, &n);
        for (int d = 0; d < r->rank; d++)
            from[d] = to[d] + (linear ? 0 : start[d]);
        return;
    }
    case IR_OP_reshape:
        for (int d = 0; d < r->rank; d++)
            at = at * r->shape[d] + to[d];
        for (int d = a->rank - 1; d >= 0; d--) {
            from[d] = at % a->shape[d];
            at /= a->shape[d];
        }
        return;
    case IR_OP_join:
    case IR_OP_split:
        for (int d = 0; d < a->rank; d++)
            from[d] = to[d];
        return;
    default: /* convert */
        memcpy(from, to, sizeof *from * (size_t)r->rank);
        return;
    }
}

/* lane, warp and block bits of the result hold what those of the operand do */
static bool same_threads(gk *k, ir_op o, const lay *from, const lay *to)
{
    for (int s = LAY_LANE; s < LAY_SPACES; s++) {
        int n = from->nbits[s] > to->nbits[s] ? from->nbits[s] : to->nbits[s];
        for (int i = 0; i < n; i++) {
            int64_t at[LAY_MAX_RANK] = {0}, want[LAY_MAX_RANK] = {0};
            if (i < to->nbits[s])
                lay_unpack(to, to->image[s][i], at);
            source_coord(k, o, at, true, want);
            uint32_t have = i < from->nbits[s] ? from->image[s][i] : 0;
            if (lay_pack(from, want) != have)
                return false;
        }
    }
    return true;
}

/* a result of register renames, or false */
static bool rename_registers(gk *k, ir_op o, ir_val out, ir_val in, int64_t half)
{
    const ir_func *f = k->f;
    const lay *from = gpu_lay(k, ir_vtype(f, in)), *to = gpu_lay(k, ir_vtype(f, out));
    uint32_t n = gpu_regs(k, ir_vtype(f, out)), at;
    gpu_finder x;
    if (!same_threads(k, o, from, to))
        return false;
    gpu_finder_init(k, &x, from);
    lval *r = ARENA_ARRAY(k->a, lval, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t c[LAY_MAX_RANK], src[LAY_MAX_RANK] = {0};
        gpu_reg_coord(to, i, c);
        source_coord(k, o, c, false, src);
        if (half >= 0)
            src[from->rank - 1] = half;
        if (!gpu_find(&x, src, &at))
            return false;
        r[i] = gpu_reg(k, in, at);
    }
    k->val[out.id] = (gpu_val){r, n};
    return true;
}

/* two operands, each giving half of the result */
static bool join_tiles(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    ir_val out = ir_out(f, o, 0);
    const lay *to = gpu_lay(k, ir_vtype(f, out));
    bool cat = ir_op_code(f, o) == IR_OP_cat;
    int along = cat ? (int)ir_int(f, o, KEY_axis, 0) : to->rank - 1;
    int64_t first = cat ? ir_type_of(k->m, ir_vtype(f, ir_in(f, o, 0)))->shape[along] : 1;
    uint32_t n = gpu_regs(k, ir_vtype(f, out)), at;
    lval *r = ARENA_ARRAY(k->a, lval, n);
    gpu_finder x[2];
    for (uint32_t i = 0; i < 2; i++) {
        const lay *from = gpu_lay(k, ir_vtype(f, ir_in(f, o, i)));
        for (int s = LAY_LANE; s < LAY_SPACES; s++)
            for (int b = 0; b < to->nbits[s]; b++) {
                int64_t c[LAY_MAX_RANK];
                lay_unpack(to, to->image[s][b], c);
                if (c[along] >= first || b >= from->nbits[s] || lay_pack(from, c) != from->image[s][b])
                    return false;
            }
        gpu_finder_init(k, &x[i], from);
    }
    for (uint32_t i = 0; i < n; i++) {
        int64_t c[LAY_MAX_RANK];
        gpu_reg_coord(to, i, c);
        uint32_t side = c[along] >= first;
        c[along] -= side ? first : 0;
        if (!gpu_find(&x[side], c, &at))
            return false;
        r[i] = k->val[ir_in(f, o, side).id].r[at];
    }
    k->val[out.id] = (gpu_val){r, n};
    return true;
}

static void reshape_op(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    ir_code code = ir_op_code(f, o);
    bool ok = true;
    if (code == IR_OP_join || code == IR_OP_cat)
        ok = join_tiles(k, o);
    else if (code == IR_OP_split)
        for (int64_t i = 0; i < 2 && ok; i++)
            ok = rename_registers(k, o, ir_out(f, o, (uint32_t)i), ir_in(f, o, 0), i);
    else
        ok = rename_registers(k, o, ir_out(f, o, 0), ir_in(f, o, 0), -1);
    if (!ok)
        gpu_fail(k, o, "its layouts need an exchange between threads: convert the operand first");
}

bool gpu_tile_op(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    switch (ir_op_code(f, o)) {
    case IR_OP_const:
        op_const(k, o);
        return true;
    case IR_OP_undef:
        op_undef(k, o);
        return true;
    case IR_OP_arange:
        op_arange(k, o);
        return true;
    case IR_OP_splat:
        fill(k, ir_out(f, o, 0), gpu_get(k, ir_in(f, o, 0)));
        return true;
    case IR_OP_hint:
        k->val[ir_out(f, o, 0).id] = k->val[ir_in(f, o, 0).id];
        return true;
    case IR_OP_assume:
        return true;
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_permute:
    case IR_OP_slice:
    case IR_OP_join:
    case IR_OP_split:
    case IR_OP_cat:
        reshape_op(k, o);
        return true;
    case IR_OP_ptr_add:
    case IR_OP_ptr_cast:
        pointers(k, o);
        return true;
    default:
        if ((ir_info(f, o)->flags & (ELT | PURE)) != (ELT | PURE))
            return false;
        elementwise(k, o);
        return true;
    }
}
