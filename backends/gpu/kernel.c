/* kernel.c: the function of a kernel: parameters, shared memory, the groups of threads, and the walk over ops.
 *
 *   entry   thread numbers; scalar parameters out of their 64-bit slots; barriers of channels initialised by one thread
 *   body    the ops in order; `partitions` branches by warp (control.c)
 *
 * Shared memory is laid out as ops ask for it, from offset 0 of a block that starts at a multiple of 1024 (what a
 * 128-byte swizzle repeats by); its size is known only at the end, and given to the launch.
 */
#include "backends/gpu/gpu.h"

#include <stdio.h>
#include <string.h>

enum { CC_PTX_KERNEL = 71, MAP_BYTES = 128 };

void gpu_fail(gk *k, ir_op o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str why = str_vfmt(k->a, fmt, ap);
    va_end(ap);
    if (k->failed)
        return;
    k->failed = true;
    strbuf b;
    sb_init(&b, k->a);
    if (o.id) {
        ir_loc at = ir_o(k->f, o)->loc;
        if (at.id)
            sb_putf(&b, "%.*s:%u: ", STR_ARG(ir_loc_file(k->m, at)), ir_loc_get(k->m, at).line);
        ir_print_op(k->f, o, &b);
        sb_puts(&b, ": ");
    }
    diag_report(k->d, DIAG_ERROR, "gpu", (span){0}, "kernel '%.*s' on %s: %.*s%.*s", STR_ARG(k->f->name), k->chip->name,
                STR_ARG(sb_str(&b)), STR_ARG(why));
}

lval *gpu_set(gk *k, ir_val v, uint32_t n)
{
    k->val[v.id].r = ARENA_ARRAY(k->a, lval, n ? n : 1);
    k->val[v.id].n = n;
    return k->val[v.id].r;
}

lval gpu_get(gk *k, ir_val v)
{
    if (k->val[v.id].n != 1)
        bug("gpu: value %%%u has %u registers, not 1", v.id, k->val[v.id].n);
    return k->val[v.id].r[0];
}

int64_t gpu_shared(gk *k, int64_t bytes, int64_t align)
{
    int64_t at = (k->shared_used + align - 1) / align * align;
    k->shared_used = at + bytes * k->copies;
    return at;
}

lval gpu_shared_address(gk *k, int64_t at, int64_t bytes_a_copy)
{
    cg *c = k->c;
    lval p = LLVMBuildAdd(c->b, k->shared, cg_i32(c, at), "");
    if (k->copy)
        p = LLVMBuildAdd(c->b, p, LLVMBuildMul(c->b, k->copy, cg_i32(c, bytes_a_copy), ""), "");
    return p;
}

void gpu_barrier(gk *k)
{
    if (k->warps == 1)
        k->ops->warp_sync(k->c);
    else
        k->ops->barrier(k->c, k->bar, k->copy, k->bar || k->copy ? k->warps * k->chip->lanes : 0);
}

void gpu_op(gk *k, ir_op o)
{
    cg_debug_loc(k->c, k->m, ir_o(k->f, o)->loc);
    if (gpu_tile_op(k, o) || gpu_memory_op(k, o) || gpu_atomic_op(k, o) || gpu_reduce_op(k, o) || gpu_async_op(k, o) ||
        gpu_control_op(k, o))
        return;
    gpu_fail(k, o, "no code for this op on a GPU");
}

void gpu_region(gk *k, ir_region r)
{
    for (ir_op o = ir_first(k->f, r); o.id && !k->failed; o = ir_next(k->f, o))
        gpu_op(k, o);
}

/* ---- the function ---- */
static void attribute(cg *c, unsigned index, const char *name, uint64_t value, lty type)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAttributeRef a =
        type ? LLVMCreateTypeAttribute(c->cx, kind, type) : LLVMCreateEnumAttribute(c->cx, kind, value);
    LLVMAddAttributeAtIndex(c->fn, index, a);
}

static void declare(gk *k, uint32_t nslots, const char *symbol)
{
    cg *c = k->c;
    lty *types = ARENA_ARRAY(k->a, lty, nslots + k->nmaps);
    char text[64];
    for (uint32_t i = 0; i < nslots + k->nmaps; i++)
        types[i] = i < nslots ? c->i64 : c->ptr;
    c->fn = LLVMAddFunction(c->mod, symbol, LLVMFunctionType(c->t_void, types, nslots + k->nmaps, false));
    LLVMSetFunctionCallConv(c->fn, CC_PTX_KERNEL);
    cg_attr(c, c->fn, "nounwind", NULL);
    snprintf(text, sizeof text, "%d,1,1", k->threads);
    cg_attr(c, c->fn, "nvvm.reqntid", text);
    cg_attr(c, c->fn, "nvvm.minctasm", "1");
    k->slot = ARENA_ARRAY(k->a, lval, nslots);
    for (uint32_t i = 0; i < nslots; i++)
        k->slot[i] = LLVMGetParam(c->fn, i);
    for (uint32_t i = 0; i < k->nmaps; i++) {
        unsigned at = nslots + i + 1;
        attribute(c, at, "byval", 0, LLVMArrayType2(c->i8, MAP_BYTES));
        attribute(c, at, "align", 64, NULL);
        LLVMAddAttributeAtIndex(c->fn, at, LLVMCreateStringAttribute(c->cx, "nvvm.grid_constant", 18, "", 0));
        k->map_ptr[i] = LLVMGetParam(c->fn, nslots + i);
    }
}

static lval from_slot(gk *k, lval slot, ir_type t)
{
    cg *c = k->c;
    const ir_type_info *i = ir_type_of(k->m, t);
    if (i->kind == TK_PTR)
        return LLVMBuildIntToPtr(c->b, slot, c->ptr, "");
    lty want = cg_num(c, i->dt);
    int bits = i->dt == DT_BOOL ? 1 : cg_width(want);
    lval x = bits < 64 ? LLVMBuildTrunc(c->b, slot, LLVMIntTypeInContext(c->cx, (unsigned)bits), "") : slot;
    return LLVMGetTypeKind(want) == LLVMIntegerTypeKind ? x : cg_bits(c, x, want);
}

static void read_arguments(gk *k)
{
    const ir_func *f = k->f;
    for (int i = 0; i < 3; i++)
        k->grid[i] = k->slot[i];
    for (uint32_t i = 0; i < ir_nparams(f, f->body); i++) {
        ir_val v = ir_param_of(f, f->body, i);
        if (ir_type_of(k->m, ir_vtype(f, v))->kind != TK_TENSOR)
            gpu_set(k, v, 1)[0] = from_slot(k, k->slot[abi_param_first(f, i)], ir_vtype(f, v));
    }
}

static void thread_numbers(gk *k)
{
    cg *c = k->c;
    const gpu_ops *p = k->ops;
    k->tid = p->sreg(c, SREG_TID);
    k->lane = LLVMBuildAnd(c->b, k->tid, cg_i32(c, k->chip->lanes - 1), "");
    k->warp = p->uniform(c, LLVMBuildLShr(c->b, k->tid, cg_i32(c, __builtin_ctz((unsigned)k->chip->lanes)), ""));
    k->leader = cg_icmp(c, LLVMIntEQ, k->tid, cg_i32(c, 0));
    for (int i = 0; i < 3; i++) {
        lval id = p->sreg(c, (gpu_sreg)(SREG_CTAID_X + i));
        if (i == 0 && k->cluster > 1) {
            k->rank = p->sreg(c, SREG_CLUSTER_RANK);
            id = LLVMBuildUDiv(c->b, id, cg_i32(c, k->cluster), "");
        }
        k->pid[i] = LLVMBuildZExt(c->b, id, c->i64, "");
    }
}

static lval shared_start(gk *k)
{
    cg *c = k->c;
    lval g = LLVMAddGlobalInAddressSpace(c->mod, LLVMArrayType2(c->i8, 0), "shared", 3);
    LLVMSetLinkage(g, LLVMExternalLinkage);
    LLVMSetAlignment(g, 1024);
    lval p = LLVMBuildPtrToInt(c->b, g, c->i32, "");
    return LLVMBuildAnd(c->b, LLVMBuildAdd(c->b, p, cg_i32(c, 1023), ""), cg_i32(c, -1024), "");
}

/* threads of the block: the partitions' warps, each copy a whole number of warpgroups where registers are moved */
static ir_op find_partitions(const ir_func *f)
{
    FOR_OPS(f, f->body, o)
    if (ir_op_code(f, o) == IR_OP_partitions)
        return o;
    return (ir_op){0};
}

static int count_warps(gk *k)
{
    ir_op o = find_partitions(k->f);
    if (!o.id)
        return k->f->num_warps ? k->f->num_warps : 4;
    uint32_t n, nc, nr;
    const int64_t *warps = ir_ints(k->f, o, KEY_warps, &n), *copies = ir_ints(k->f, o, KEY_copies, &nc);
    const int64_t *regs = ir_ints(k->f, o, KEY_regs, &nr);
    int64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (regs[i] ? (warps[i] + 3) / 4 * 4 : warps[i]) * copies[i];
    return (int)sum;
}

static bool waits_for_launches(const ir_func *f)
{
    FOR_OPS(f, f->body, o)
    if (ir_op_code(f, o) == IR_OP_launch_wait)
        return true;
    return false;
}

bool gpu_kernel(cg *c, arena *a, const gpu_ops *ops, const gpu_chip *chip, const ir_module *m, const ir_func *f,
                gpu_code *out, diags *d)
{
    gk k = {.c = c, .ops = ops, .chip = chip, .m = m, .f = f, .a = a, .d = d, .copies = 1};
    uint32_t nslots = abi_total_slots(f);
    k.val = ARENA_ARRAY(a, gpu_val, f->vals.n);
    k.lazy = ARENA_ARRAY(a, gpu_lazy *, f->vals.n);
    k.chan = ARENA_ARRAY(a, gpu_chan, f->vals.n);
    k.shared_at = ARENA_ARRAY(a, int64_t, f->vals.n);
    k.cluster = f->num_ctas > 1 ? f->num_ctas : 1;
    if (k.cluster > 1 && !chip->has_cluster) {
        gpu_fail(&k, (ir_op){0}, "num_ctas=%d: the chip has no clusters", f->num_ctas);
        return false;
    }
    k.warps = count_warps(&k);
    k.threads = k.warps * chip->lanes;
    k.ax = axis_build(a, f, &(pass_options){0});
    gpu_plan_async(&k);
    if (k.failed)
        return false;
    declare(&k, nslots, out->symbol.p);
    cg_at(c, cg_block(c, "entry"));
    cg_debug_begin(c, f);
    thread_numbers(&k);
    out->dependent = chip->has_depend && waits_for_launches(f);
    if (out->dependent) /* those behind wait for themselves: let them come as soon as there is room */
        ops->launch_dependents(c);
    k.shared = shared_start(&k);
    read_arguments(&k);
    gpu_init_channels(&k);
    gpu_region(&k, f->body);
    cg_debug_end(c);
    if (k.failed)
        return false;
    out->threads = k.threads;
    out->cluster = k.cluster;
    out->shared_bytes = k.shared_used ? k.shared_used + 1024 : 0;
    out->nslots = nslots;
    out->nmaps = k.nmaps;
    gpu_map *maps = ARENA_ARRAY(a, gpu_map, k.nmaps);
    memcpy(maps, k.maps, sizeof *maps * k.nmaps);
    out->maps = maps;
    if (out->shared_bytes > chip->shared_bytes) {
        gpu_fail(&k, (ir_op){0}, "%lld bytes of shared memory, the chip has %lld", (long long)out->shared_bytes,
                 (long long)chip->shared_bytes);
        return false;
    }
    return true;
}
