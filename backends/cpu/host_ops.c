/* host_ops.c: print, assert and bound: calls of the functions that a launch brings (abi_host).
 */
#include "backends/cpu/cpu.h"

#include <stddef.h>

static lval entry_slot(kern *k, lty t)
{
    cg *c = k->c;
    lblock here = cg_here(c);
    lblock entry = LLVMGetEntryBasicBlock(c->fn);
    LLVMPositionBuilderBefore(c->b, LLVMGetFirstInstruction(entry));
    lval p = LLVMBuildAlloca(c->b, t, "");
    LLVMSetAlignment(p, 16);
    cg_at(c, here);
    return p;
}

static lval program(kern *k)
{
    cg *c = k->c;
    lval p = entry_slot(k, LLVMArrayType2(c->i64, 3));
    for (int i = 0; i < 3; i++)
        cg_store(c, k->pid[i], cg_gep(c, c->i64, p, cg_i64(c, i)), 8);
    return p;
}

static lval host_fn(kern *k, size_t offset)
{
    cg *c = k->c;
    return cg_load(c, c->ptr, cg_gep(c, c->i8, k->host, cg_i64(c, (int64_t)offset)), 8);
}

static void call_print(kern *k, lval text, dtype d, int64_t n, lval data, int64_t hex)
{
    cg *c = k->c;
    lval args[] = {k->host, text, program(k), cg_i32(c, d == DT_NONE ? DT_U64 : d), cg_i64(c, n), data, cg_i32(c, hex)};
    lty types[COUNTOF(args)];
    for (size_t i = 0; i < COUNTOF(args); i++)
        types[i] = LLVMTypeOf(args[i]);
    lty t = LLVMFunctionType(c->t_void, types, COUNTOF(args), false);
    LLVMBuildCall2(c->b, t, host_fn(k, offsetof(abi_host, print)), args, COUNTOF(args), "");
}

static lval value_address(kern *k, const plan_step *s, uint32_t i)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_val v = ir_in(f, s->op, i);
    if (ir_type_rank(f->m, ir_vtype(f, v)))
        return whole_operand(k, s, i);
    lval x = ev_scalar(k, v);
    nest_enter(k->n, -1);
    lval p = entry_slot(k, c->i64);
    cg_store(c, to_memory(c, x, ir_type_dt(f->m, ir_vtype(f, v))), p, 8);
    return p;
}

static void print(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    lval text = cg_text(c, ir_text(f, s->op, KEY_text));
    int64_t hex = ir_int(f, s->op, KEY_hex, 0);
    if (ir_nin(f, s->op) == 0)
        call_print(k, text, DT_BOOL, 0, LLVMConstNull(c->ptr), hex);
    for (uint32_t i = 0; i < ir_nin(f, s->op); i++) {
        lval data = value_address(k, s, i);
        ir_type t = ir_vtype(f, ir_in(f, s->op, i));
        call_print(k, text, ir_type_dt(f->m, t), ir_type_count(f->m, t), data, hex);
    }
}

/* text, file and line of a fault at o */
typedef struct place {
    lval text, file;
    int64_t line;
} place;

static place place_of(kern *k, ir_op o)
{
    const ir_func *f = k->f;
    ir_loc loc = ir_o(f, o)->loc;
    return (place){cg_text(k->c, ir_text(f, o, KEY_text)), cg_text(k->c, loc.id ? ir_loc_file(f->m, loc) : S("")),
                   loc.id ? ir_loc_get(f->m, loc).line : 0};
}

static void fault(kern *k, ir_op o)
{
    cg *c = k->c;
    place at = place_of(k, o);
    lval args[] = {k->host, at.text, at.file, cg_i32(c, at.line), program(k)};
    lty types[COUNTOF(args)];
    for (size_t i = 0; i < COUNTOF(args); i++)
        types[i] = LLVMTypeOf(args[i]);
    lty t = LLVMFunctionType(c->t_void, types, COUNTOF(args), false);
    LLVMBuildCall2(c->b, t, host_fn(k, offsetof(abi_host, fault)), args, COUNTOF(args), "");
}

/* on to what follows where it holds; the block that is left is the other one */
static lblock unless(kern *k, lval holds)
{
    cg *c = k->c;
    lblock bad = cg_block(c, "fault"), good = cg_block(c, "holds");
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntNE, holds, cg_i64(c, 0)), good, bad);
    cg_at(c, bad);
    return good;
}

static void check(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_type t = ir_vtype(f, ir_in(f, s->op, 0));
    lval cond = value_address(k, s, 0), mask = LLVMConstNull(c->ptr);
    if (ir_nin(f, s->op) > 1)
        mask = value_address(k, s, 1);
    lval args[] = {cond, mask, cg_i64(c, ir_type_count(f->m, t))};
    lblock good = unless(k, cpu_call(c, "tile_rt_all", args, COUNTOF(args)));
    fault(k, s->op);
    LLVMBuildBr(c->b, k->stop);
    cg_at(c, good);
}

/* the function tells the host itself: it knows which element */
static void check_bound(kern *k, const plan_step *s)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_type t = ir_vtype(f, ir_in(f, s->op, 0)), to = ir_type_of(f->m, ir_type_elem(f->m, t))->elem;
    bool pointers = ir_type_of(f->m, to)->kind == TK_PTR;
    lval base = ev_scalar(k, ir_in(f, s->op, 1)), bytes = ev_scalar(k, ir_in(f, s->op, 2));
    lval at = value_address(k, s, 0), mask = LLVMConstNull(c->ptr);
    if (ir_nin(f, s->op) > 3)
        mask = value_address(k, s, 3);
    place where = place_of(k, s->op);
    lval args[] = {k->host,
                   at,
                   mask,
                   cg_i64(c, ir_type_count(f->m, t)),
                   base,
                   bytes,
                   cg_i64(c, pointers ? 8 : dt_bytes(ir_type_of(f->m, to)->dt)),
                   where.text,
                   where.file,
                   cg_i64(c, where.line),
                   program(k)};
    lblock good = unless(k, cpu_call(c, "tile_rt_bound", args, COUNTOF(args)));
    LLVMBuildBr(c->b, k->stop);
    cg_at(c, good);
}

void host_emit(kern *k, const plan_step *s)
{
    for (uint32_t i = 0; i < ir_nin(k->f, s->op); i++) /* scalars first: later code opens blocks */
        if (ir_type_rank(k->f->m, ir_vtype(k->f, ir_in(k->f, s->op, i))) == 0)
            ev_scalar(k, ir_in(k->f, s->op, i));
    nest_enter(k->n, -1);
    cg_debug_loc(k->c, k->f->m, ir_o(k->f, s->op)->loc);
    if (ir_op_code(k->f, s->op) == IR_OP_print)
        print(k, s);
    else if (ir_op_code(k->f, s->op) == IR_OP_bound)
        check_bound(k, s);
    else
        check(k, s);
    nest_leave(k->n, -1);
}
