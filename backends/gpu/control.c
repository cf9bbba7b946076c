/* control.c: structured control flow, the launch's coordinates, and partitions.
 *
 * Carried values are phis, one a register. Conditions are scalars, the same in every thread of the group.
 */
#include "backends/gpu/gpu.h"

/* ---- values across blocks ----
 * Elements of 8 and 16 bits cross packed: as 32-bit words they stay in the registers that the matrix units read, and no
 * word is put together again where a product begins. */
typedef struct words {
    lval *w;
    uint32_t n;
} words;

/* elements in a word, 1 where they cross one by one */
static uint32_t per_word(gk *k, ir_val v)
{
    const ir_type_info *t = ir_type_of(k->m, ir_vtype(k->f, v));
    uint32_t bits = t->kind == TK_TILE && t->dt != DT_NONE && t->dt != DT_BOOL ? (uint32_t)dt_bits(t->dt) : 32;
    uint32_t per = bits < 32 ? 32 / bits : 1;
    return gpu_regs(k, ir_vtype(k->f, v)) % per ? 1 : per;
}

/* the values as they cross, made where the builder stands: before the branch */
static words *cross(gk *k, const ir_val *from, uint32_t n)
{
    words *x = ARENA_ARRAY(k->a, words, n);
    for (uint32_t i = 0; i < n; i++) {
        const gpu_val *v = &k->val[from[i].id];
        uint32_t per = per_word(k, from[i]);
        x[i].n = v->n / per;
        x[i].w = ARENA_ARRAY(k->a, lval, x[i].n);
        for (uint32_t j = 0; j < x[i].n; j++)
            x[i].w[j] = per == 1 ? gpu_reg(k, from[i], j) : gpu_pack(k, v->r + j * per, 32 / (int)per);
    }
    return x;
}

/* empty phis for the values `to`, in the block where the builder stands; the values are taken apart by unpack_phis */
static words *open_phis(gk *k, const ir_val *to, uint32_t n)
{
    words *x = ARENA_ARRAY(k->a, words, n);
    for (uint32_t i = 0; i < n; i++) {
        const ir_type_info *t = ir_type_of(k->m, ir_vtype(k->f, to[i]));
        uint32_t per = per_word(k, to[i]);
        lty type = per > 1 || t->kind == TK_SHARED ? k->c->i32 : cg_num(k->c, t->kind == TK_PTR ? DT_NONE : t->dt);
        x[i].n = gpu_regs(k, ir_vtype(k->f, to[i])) / per;
        x[i].w = ARENA_ARRAY(k->a, lval, x[i].n);
        for (uint32_t j = 0; j < x[i].n; j++)
            x[i].w[j] = LLVMBuildPhi(k->c->b, type, "");
    }
    return x;
}

/* behind all phis of the block */
static void unpack_phis(gk *k, const ir_val *to, const words *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t per = per_word(k, to[i]);
        lval *r = gpu_set(k, to[i], x[i].n * per);
        for (uint32_t j = 0; j < x[i].n; j++)
            if (per == 1)
                r[j] = x[i].w[j];
            else
                gpu_unpack(k, x[i].w[j], cg_num(k->c, ir_type_dt(k->m, ir_vtype(k->f, to[i]))), 32 / (int)per,
                           r + j * per);
    }
}

static void feed_phis(const words *to, const words *from, uint32_t n, lblock at)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < to[i].n; j++)
            LLVMAddIncoming(to[i].w[j], &from[i].w[j], &at, 1);
}

static ir_val *results_of(gk *k, ir_op o)
{
    uint32_t n = ir_nout(k->f, o);
    ir_val *v = ARENA_ARRAY(k->a, ir_val, n);
    for (uint32_t i = 0; i < n; i++)
        v[i] = ir_out(k->f, o, i);
    return v;
}

static ir_val *operands_of(gk *k, ir_op o, uint32_t first)
{
    uint32_t n = ir_nin(k->f, o) - first;
    ir_val *v = ARENA_ARRAY(k->a, ir_val, n);
    for (uint32_t i = 0; i < n; i++)
        v[i] = ir_in(k->f, o, first + i);
    return v;
}

static ir_val *params_of(gk *k, ir_region r, uint32_t first)
{
    uint32_t n = ir_nparams(k->f, r) - first;
    ir_val *v = ARENA_ARRAY(k->a, ir_val, n);
    for (uint32_t i = 0; i < n; i++)
        v[i] = ir_param_of(k->f, r, first + i);
    return v;
}

/* `to` become what `from` are */
static void rename(gk *k, const ir_val *to, const ir_val *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        k->val[to[i].id] = k->val[from[i].id];
}

static void op_if(gk *k, ir_op o)
{
    cg *c = k->c;
    lblock yes = cg_block(c, "then"), no = cg_block(c, "else"), join = cg_block(c, "endif"), end[2];
    uint32_t n = ir_nout(k->f, o);
    ir_val *out = results_of(k, o);
    words *from[2];
    LLVMBuildCondBr(c->b, gpu_get(k, ir_in(k->f, o, 0)), yes, no);
    for (uint32_t i = 0; i < 2; i++) {
        ir_region r = ir_op_region(k->f, o, i);
        cg_at(c, i ? no : yes);
        gpu_region(k, r);
        if (k->failed)
            return;
        from[i] = cross(k, operands_of(k, ir_last(k->f, r), 0), n);
        end[i] = cg_here(c);
        LLVMBuildBr(c->b, join);
    }
    cg_at(c, join);
    words *phis = open_phis(k, out, n);
    feed_phis(phis, from[0], n, end[0]);
    feed_phis(phis, from[1], n, end[1]);
    unpack_phis(k, out, phis, n);
}

static void op_for(gk *k, ir_op o)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_region r = ir_op_region(f, o, 0);
    lval from = gpu_get(k, ir_in(f, o, 0)), to = gpu_get(k, ir_in(f, o, 1)), step = gpu_get(k, ir_in(f, o, 2));
    bool s = dt_is_signed(ir_type_dt(k->m, ir_vtype(f, ir_in(f, o, 0))));
    uint32_t n = ir_nin(f, o) - 3;
    ir_val *carry = params_of(k, r, 1);
    words *init = cross(k, operands_of(k, o, 3), n);
    lblock before = cg_here(c), head = cg_block(c, "for"), body = cg_block(c, "body"), done = cg_block(c, "done");
    int64_t known;
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    lval i = LLVMBuildPhi(c->b, LLVMTypeOf(from), "i");
    LLVMAddIncoming(i, &from, &before, 1);
    words *phis = open_phis(k, carry, n);
    feed_phis(phis, init, n, before);
    unpack_phis(k, carry, phis, n);
    lval up = cg_icmp(c, s ? LLVMIntSLT : LLVMIntULT, i, to), more = up;
    if (s && !(ir_const_int_of(f, ir_in(f, o, 2), &known) && known > 0)) {
        lval down = cg_icmp(c, LLVMIntSGT, i, to);
        more = cg_sel(c, cg_icmp(c, LLVMIntSGT, step, LLVMConstNull(LLVMTypeOf(step))), up, down);
    }
    LLVMBuildCondBr(c->b, more, body, done);
    cg_at(c, body);
    gpu_set(k, ir_param_of(f, r, 0), 1)[0] = i;
    gpu_region(k, r);
    if (k->failed)
        return;
    words *again = cross(k, operands_of(k, ir_last(f, r), 0), n);
    lval next = s ? LLVMBuildNSWAdd(c->b, i, step, "") : LLVMBuildAdd(c->b, i, step, "");
    lblock end = cg_here(c);
    LLVMAddIncoming(i, &next, &end, 1);
    feed_phis(phis, again, n, end);
    LLVMBuildBr(c->b, head);
    cg_at(c, done);
    rename(k, results_of(k, o), carry, n);
}

static void op_while(gk *k, ir_op o)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_region test = ir_op_region(f, o, 0), r = ir_op_region(f, o, 1);
    uint32_t n = ir_nin(f, o);
    ir_val *carry = params_of(k, test, 0);
    words *init = cross(k, operands_of(k, o, 0), n);
    lblock before = cg_here(c), head = cg_block(c, "while"), body = cg_block(c, "body"), done = cg_block(c, "done");
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    words *phis = open_phis(k, carry, n);
    feed_phis(phis, init, n, before);
    unpack_phis(k, carry, phis, n);
    gpu_region(k, test);
    if (k->failed)
        return;
    LLVMBuildCondBr(c->b, gpu_get(k, ir_in(f, ir_last(f, test), 0)), body, done);
    cg_at(c, body);
    rename(k, params_of(k, r, 0), carry, n);
    gpu_region(k, r);
    if (k->failed)
        return;
    words *again = cross(k, operands_of(k, ir_last(f, r), 0), n);
    feed_phis(phis, again, n, cg_here(c));
    LLVMBuildBr(c->b, head);
    cg_at(c, done);
    rename(k, results_of(k, o), carry, n);
}

/* ---- partitions ---- */
static bool has_tiles(gk *k, ir_region r)
{
    FOR_OPS(k->f, r, o)
    {
        for (uint32_t i = 0; i < ir_nout(k->f, o); i++)
            if (ir_type_of(k->m, ir_vtype(k->f, ir_out(k->f, o, i)))->kind == TK_TILE)
                return true;
        ir_code code = ir_op_code(k->f, o);
        if (code == IR_OP_barrier || code == IR_OP_turn_enter)
            return true;
        for (uint32_t i = 0; i < ir_o(k->f, o)->nregions; i++)
            if (has_tiles(k, ir_op_region(k->f, o, i)))
                return true;
    }
    return false;
}

/* the group of threads becomes copy (wg - first) of one partition; code goes to `body` */
static void enter_group(gk *k, ir_region r, int first, int warps, int copies, int pitch, lblock body, lblock done)
{
    cg *c = k->c;
    cg_at(c, body);
    lval at = LLVMBuildSub(c->b, k->warp, cg_i32(c, first), "");
    k->copies = copies;
    k->copy = copies > 1 ? LLVMBuildUDiv(c->b, at, cg_i32(c, pitch), "") : NULL;
    lval in = copies > 1 ? LLVMBuildURem(c->b, at, cg_i32(c, pitch), "") : at;
    k->warps = warps;
    k->warp = in;
    k->tid = LLVMBuildOr(c->b, LLVMBuildShl(c->b, in, cg_i32(c, 5), ""), k->lane, "");
    k->leader = cg_icmp(c, LLVMIntEQ, k->tid, cg_i32(c, 0));
    gpu_set(k, ir_param_of(k->f, r, 0), 1)[0] = k->copy ? k->copy : cg_i32(c, 0);
    if (warps == 1 && !has_tiles(k, r)) {
        lblock one = cg_block(c, "one");
        LLVMBuildCondBr(c->b, k->leader, one, done);
        cg_at(c, one);
        k->leader = NULL;
    } else if (warps < pitch) {
        lblock some = cg_block(c, "some");
        LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntULT, in, cg_i32(c, warps)), some, done);
        cg_at(c, some);
    }
}

void gpu_partitions(gk *k, ir_op o)
{
    cg *c = k->c;
    uint32_t n, nc, nr;
    const int64_t *warps = ir_ints(k->f, o, KEY_warps, &n), *copies = ir_ints(k->f, o, KEY_copies, &nc);
    const int64_t *regs = ir_ints(k->f, o, KEY_regs, &nr);
    lblock done = cg_block(c, "done");
    int first = 0, bar = 1, start = 0;
    /* registers at entry: what the register file gives every thread, in steps of 8 */
    int64_t even = k->chip->registers / k->threads / 8 * 8;
    start = (int)(even > 255 ? 255 : even);
    gk whole = *k;
    for (uint32_t i = 0; i < n && !k->failed; i++) {
        ir_region r = ir_op_region(k->f, o, i);
        int pitch = (int)(regs[i] ? (warps[i] + 3) / 4 * 4 : warps[i]), end = first + pitch * (int)copies[i];
        lblock body = cg_block(c, "partition"), next = cg_block(c, "next");
        if (i + 1 < n)
            LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntULT, k->warp, cg_i32(c, end)), body, next);
        else
            LLVMBuildBr(c->b, body);
        cg_at(c, body);
        if (regs[i] && !k->chip->has_set_regs)
            gpu_fail(k, o, "the chip can't move registers between warps");
        if (regs[i])
            k->ops->set_regs(c, regs[i] > start, (int)regs[i]);
        k->bar = bar;
        enter_group(k, r, first, (int)warps[i], (int)copies[i], pitch, cg_here(c), done);
        gpu_first_turns(k, r);
        gpu_region(k, r);
        LLVMBuildBr(c->b, done);
        int64_t used = k->shared_used;
        bool failed = k->failed;
        bar += (int)copies[i];
        *k = whole;
        k->shared_used = used;
        k->failed = failed;
        first = end;
        cg_at(c, next);
    }
    if (!k->failed)
        LLVMBuildUnreachable(c->b);
    cg_at(c, done);
}

/* ---- the launch ---- */
static uint32_t tensor_slot(gk *k, ir_op o)
{
    ir_val t = ir_in(k->f, o, 0);
    return abi_param_first(k->f, k->f->vals.at[t.id].index);
}

static bool launch_op(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    int64_t along = ir_int(f, o, KEY_axis, 0), dim = ir_int(f, o, KEY_dim, 0);
    lval v;
    switch (ir_op_code(f, o)) {
    case IR_OP_program_id:
        v = k->pid[along];
        break;
    case IR_OP_num_programs:
        v = k->grid[along];
        break;
    case IR_OP_tensor_base:
        v = LLVMBuildIntToPtr(k->c->b, k->slot[tensor_slot(k, o)], k->c->ptr, "");
        break;
    case IR_OP_tensor_dim:
        v = k->slot[(int64_t)tensor_slot(k, o) + 1 + dim];
        break;
    case IR_OP_tensor_stride:
        v = k->slot[(int64_t)tensor_slot(k, o) + 1 + ir_type_of(k->m, ir_vtype(f, ir_in(f, o, 0)))->rank + dim];
        break;
    default:
        return false;
    }
    gpu_set(k, ir_out(f, o, 0), 1)[0] = v;
    return true;
}

bool gpu_control_op(gk *k, ir_op o)
{
    switch (ir_op_code(k->f, o)) {
    case IR_OP_for:
        op_for(k, o);
        return true;
    case IR_OP_while:
        op_while(k, o);
        return true;
    case IR_OP_if:
        op_if(k, o);
        return true;
    case IR_OP_partitions:
        gpu_partitions(k, o);
        return true;
    case IR_OP_yield:
        return true; /* its owner reads it */
    case IR_OP_return:
        if (k->cluster > 1)
            k->ops->cluster_barrier(k->c); /* a block's shared memory lives until its peers are done with it */
        LLVMBuildRetVoid(k->c->b);
        return true;
    default:
        return launch_op(k, o);
    }
}
