/* kernel.c: the function around a kernel's steps: arguments, and the loop over programs.
 *
 *   entry   grid and arguments from their slots; is the output bigger than the last-level cache? shapes of AMX's tiles
 *   program first <= id < last: coordinates of the program, then its steps
 *   stop    after the last program, or a failed assert: streaming stores become visible (sfence), AMX's registers
 *           go back, return
 */
#include "backends/cpu/cpu.h"

#include <stddef.h>

static bool has_op(const ir_func *f, ir_region r, ir_code code)
{
    FOR_OPS(f, r, o)
    {
        if (ir_op_code(f, o) == code)
            return true;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            if (has_op(f, ir_op_region(f, o, i), code))
                return true;
    }
    return false;
}

/* bytes that one pass over the region stores */
static int64_t stored(const ir_func *f, ir_region r)
{
    int64_t sum = 0;
    FOR_OPS(f, r, o)
    {
        if (ir_op_code(f, o) == IR_OP_store) {
            ir_type t = ir_vtype(f, ir_in(f, o, 1));
            sum += ir_type_count(f->m, t) * plan_elem_bytes(f, t);
        }
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            sum += stored(f, ir_op_region(f, o, i));
    }
    return sum;
}

static void load_arguments(kern *k)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    for (int i = 0; i < 3; i++)
        k->grid[i] = cg_load(c, c->i64, cg_gep(c, c->i64, k->args, cg_i64(c, i)), 8);
    for (uint32_t i = 0; i < ir_nparams(f, f->body); i++) {
        ir_val v = ir_param_of(f, f->body, i);
        const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, v));
        if (t->kind == TK_TENSOR)
            continue;
        dtype d = ir_type_dt(f->m, ir_vtype(f, v));
        lval p = cg_gep(c, c->i64, k->args, cg_i64(c, abi_param_first(f, i)));
        k->scalar[v.id] = from_memory(c, cg_load(c, cg_mem(c, d), p, 8), d);
    }
}

static void output_size(kern *k)
{
    cg *c = k->c;
    int64_t bytes = stored(k->f, k->f->body);
    if (!bytes)
        return;
    lval total = LLVMBuildMul(c->b, LLVMBuildMul(c->b, k->grid[0], k->grid[1], ""), k->grid[2], "");
    k->big = cg_icmp(c, LLVMIntSGT, total, cg_i64(c, k->cache_bytes / bytes));
}

/* x fastest; the product of the extents is below 2^31 */
static void coordinates(kern *k, lval id)
{
    cg *c = k->c;
    lval n = LLVMBuildTrunc(c->b, id, c->i32, "");
    for (int i = 0; i < 2; i++) {
        lval g = LLVMBuildTrunc(c->b, k->grid[i], c->i32, "");
        lval q = LLVMBuildUDiv(c->b, n, g, "");
        lval r = LLVMBuildSub(c->b, n, LLVMBuildMul(c->b, q, g, ""), "");
        k->pid[i] = LLVMBuildZExt(c->b, r, c->i64, "");
        n = q;
    }
    k->pid[2] = LLVMBuildZExt(c->b, n, c->i64, "");
}

static lval field(kern *k, lty t, lval p, size_t offset)
{
    return cg_load(k->c, t, cg_gep(k->c, k->c->i8, p, cg_i64(k->c, (int64_t)offset)), cg_width(t) == 32 ? 4 : 8);
}

static void declare(cg *c, const char *symbol)
{
    lty types[] = {c->ptr, c->i64, c->i64, c->ptr};
    c->fn = LLVMAddFunction(c->mod, symbol, LLVMFunctionType(c->t_void, types, COUNTOF(types), false));
    cg_fn_attrs(c, c->fn);
}

bool kernel_build(cg *c, const ir_func *f, plan *p, const char *symbol, int64_t cache_bytes)
{
    declare(c, symbol);
    lblock entry = cg_block(c, "entry"), head = cg_block(c, "program"), body = cg_block(c, "body");
    cg_at(c, entry);
    cg_debug_begin(c, f);
    nest straight;
    kern k = {.c = c,
              .f = f,
              .p = p,
              .a = c->a,
              .cache_bytes = cache_bytes,
              .n = &straight,
              .scalar = ARENA_ARRAY(c->a, lval, f->vals.n),
              .shift = ARENA_ARRAY(c->a, lval, f->vals.n)};
    for (uint32_t i = 0; i < p->body->steps.n; i++)
        k.nests += p->steps.at[p->body->steps.at[i]].kind == STEP_NEST;
    k.args = LLVMGetParam(c->fn, 0);
    k.thread = LLVMGetParam(c->fn, 3);
    k.stop = cg_block(c, "stop");
    k.buffer = p->buffer_bytes ? field(&k, c->ptr, k.thread, offsetof(abi_thread, buffer)) : LLVMConstNull(c->ptr);
    bool asserts = has_op(f, f->body, IR_OP_assert) || has_op(f, f->body, IR_OP_bound);
    if (asserts || has_op(f, f->body, IR_OP_print))
        k.host = field(&k, c->ptr, k.thread, offsetof(abi_thread, host));
    load_arguments(&k);
    output_size(&k);
    nest_straight(&straight, &k);
    share_open(&k);
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    lval id = LLVMBuildPhi(c->b, c->i64, "id"), first = LLVMGetParam(c->fn, 1);
    LLVMAddIncoming(id, &first, &entry, 1);
    lval more = cg_icmp(c, LLVMIntSLT, id, LLVMGetParam(c->fn, 2));
    if (asserts) {
        lval stopped = field(&k, c->i32, k.host, offsetof(abi_host, stopped));
        LLVMSetVolatile(stopped, true);
        more = LLVMBuildAnd(c->b, more, cg_icmp(c, LLVMIntEQ, stopped, cg_i32(c, 0)), "");
    }
    LLVMBuildCondBr(c->b, more, body, k.stop);
    cg_at(c, body);
    coordinates(&k, id);
    nest_straight(&straight, &k);
    steps_emit(&k, p->body);
    nest_enter(&straight, -1);
    lval next = LLVMBuildAdd(c->b, id, cg_i64(c, 1), "");
    lblock end = cg_here(c);
    LLVMAddIncoming(id, &next, &end, 1);
    LLVMBuildBr(c->b, head);
    if (k.tiles) {
        LLVMPositionBuilderBefore(c->b, LLVMGetBasicBlockTerminator(entry));
        tiles_begin(c);
    }
    cg_at(c, k.stop);
    if (k.tiles)
        tiles_end(c);
    if (k.big && cg_x86(c)) /* elsewhere such stores are ordered as others */
        cg_call(c, CGI_sfence, NULL, 0, NULL, 0);
    LLVMBuildRetVoid(c->b);
    cg_debug_end(c);
    return true;
}
