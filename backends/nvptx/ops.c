/* ops.c: the target operations of NVIDIA chips, by inline PTX where its spelling is stable and by intrinsics where LLVM
 * should know what happens (thread ids, shuffles, barriers).
 *
 * One thread of a group starts copies and signals barriers: such an op takes a predicate. Predicates enter asm as
 * registers ("b"), and the instruction carries them itself, so no branch is made.
 */
#include "backends/nvptx/asm.h"

#include <stdio.h>
#include <string.h>

/* an intrinsic without overload types */
static lval intrinsic(cg *c, const char *name, const lval *args, uint32_t n)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id || LLVMIntrinsicIsOverloaded(id))
        bug("LLVM has no intrinsic '%s'", name);
    lval in[8] = {0};
    for (uint32_t i = 0; i < n; i++)
        in[i] = args[i];
    lval f = LLVMGetIntrinsicDeclaration(c->mod, id, NULL, 0);
    return LLVMBuildCall2(c->b, LLVMGlobalGetValueType(f), f, in, n, "");
}

static lval sreg(cg *c, gpu_sreg r)
{
    static const char *const names[] = {[SREG_TID] = "tid.x",         [SREG_CTAID_X] = "ctaid.x",
                                        [SREG_CTAID_Y] = "ctaid.y",   [SREG_CTAID_Z] = "ctaid.z",
                                        [SREG_NCTAID_X] = "nctaid.x", [SREG_NCTAID_Y] = "nctaid.y",
                                        [SREG_NCTAID_Z] = "nctaid.z", [SREG_CLUSTER_RANK] = "cluster.ctarank"};
    char name[64];
    snprintf(name, sizeof name, "llvm.nvvm.read.ptx.sreg.%s", names[r]);
    return intrinsic(c, name, NULL, 0);
}

static lval shuffle_with(cg *c, const char *name, lval x, lval by)
{
    lty t = LLVMTypeOf(x);
    lval in[] = {cg_i32(c, -1), cg_bits(c, x, c->i32), by, cg_i32(c, 31)};
    return cg_bits(c, intrinsic(c, name, in, 4), t);
}

static lval shuffle(cg *c, lval x, lval lane)
{
    return shuffle_with(c, "llvm.nvvm.shfl.sync.idx.i32", x, lane);
}

static lval shuffle_xor(cg *c, lval x, int mask)
{
    return shuffle_with(c, "llvm.nvvm.shfl.sync.bfly.i32", x, cg_i32(c, mask));
}

static lval uniform(cg *c, lval x)
{
    return shuffle(c, x, cg_i32(c, 0));
}

static lval barrier_id(cg *c, int id, lval dynamic)
{
    return dynamic ? LLVMBuildAdd(c->b, dynamic, cg_i32(c, id), "") : cg_i32(c, id);
}

static void barrier(cg *c, int id, lval dynamic, int threads)
{
    if (!dynamic && id == 0 && threads == 0)
        ptx0(c, "bar.sync 0;", true);
    else
        PTX(c, c->t_void, true, "bar.sync $0, $1;", "r,n,~{memory}", barrier_id(c, id, dynamic), cg_i32(c, threads));
}

static void barrier_arrive(cg *c, int id, lval dynamic, int threads)
{
    PTX(c, c->t_void, true, "bar.arrive $0, $1;", "r,n,~{memory}", barrier_id(c, id, dynamic), cg_i32(c, threads));
}

static void warp_sync(cg *c)
{
    ptx0(c, "bar.warp.sync 0xffffffff;", true);
}

static void fence_async(cg *c)
{
    ptx0(c, "fence.proxy.async.shared::cta;", false);
}

static void set_regs(cg *c, bool up, int n)
{
    char text[64];
    snprintf(text, sizeof text, "setmaxnreg.%s.sync.aligned.u32 %d;", up ? "inc" : "dec", n);
    ptx0(c, text, true);
}

/* ---- mbarriers ---- */
static lval pred_or_true(cg *c, lval pred)
{
    return pred ? pred : LLVMConstInt(c->i1, 1, false);
}

static void mbar_init(cg *c, lval sh, int count)
{
    PTX(c, c->t_void, false, "mbarrier.init.shared::cta.b64 [$0], $1;", "r,r,~{memory}", sh, cg_i32(c, count));
}

static void mbar_init_fence(cg *c)
{
    ptx0(c, "fence.mbarrier_init.release.cluster;", false);
    ptx0(c, "fence.proxy.async;", false);
}

static void mbar_wait(cg *c, lval sh, lval parity)
{
    PTX(c, c->t_void, true,
        "{\n.reg .pred p;\nWAIT:\nmbarrier.try_wait.parity.shared::cta.b64 p, [$0], $1;\n@p bra DONE;\nbra "
        "WAIT;\nDONE:\n}",
        "r,r,~{memory}", sh, parity);
}

/* chips before Hopper only ask */
static void mbar_poll(cg *c, lval sh, lval parity)
{
    PTX(c, c->t_void, true,
        "{\n.reg .pred p;\nWAIT:\nmbarrier.test_wait.parity.shared::cta.b64 p, [$0], $1;\n@!p bra WAIT;\n}",
        "r,r,~{memory}", sh, parity);
}

static void mbar_expect(cg *c, lval sh, int bytes, lval pred)
{
    PTX(c, c->t_void, false, "@$2 mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "r,r,b,~{memory}", sh,
        cg_i32(c, bytes), pred_or_true(c, pred));
}

static void mbar_arrive(cg *c, lval sh, lval pred)
{
    PTX(c, c->t_void, false, "@$1 mbarrier.arrive.shared::cta.b64 _, [$0];", "r,b,~{memory}", sh,
        pred_or_true(c, pred));
}

static void mbar_arrive_remote(cg *c, lval sh, lval rank, lval pred)
{
    PTX(c, c->t_void, false,
        "{\n.reg .b32 ra;\n@$2 mapa.shared::cluster.u32 ra, $0, $1;\n"
        "@$2 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [ra];\n}",
        "r,r,b,~{memory}", sh, rank, pred_or_true(c, pred));
}

/* ---- copies ---- */
static void put_coords(strbuf *s, int first, int rank)
{
    for (int i = 0; i < rank; i++)
        sb_putf(s, "%s$%d", i ? ", " : "", first + i);
}

static void tma_load(cg *c, lval sh, lval map, const lval *coord, int rank, lval mbar, int multicast, lval pred)
{
    strbuf s, k;
    lval args[12];
    uint32_t n = 0;
    sb_init(&s, c->a);
    sb_init(&k, c->a);
    args[n++] = sh;
    args[n++] = LLVMBuildPtrToInt(c->b, map, c->i64, "");
    args[n++] = mbar;
    args[n++] = pred_or_true(c, pred);
    for (int i = 0; i < rank; i++)
        args[n++] = coord[i];
    if (multicast)
        args[n++] = LLVMConstInt(c->i16, (unsigned long long)multicast, false);
    sb_putf(&s, "@$3 cp.async.bulk.tensor.%dd.shared::cluster.global.mbarrier::complete_tx::bytes%s [$0], [$1, {", rank,
            multicast ? ".multicast::cluster" : "");
    put_coords(&s, 4, rank);
    sb_puts(&s, "}], [$2]");
    if (multicast)
        sb_putf(&s, ", $%d", 4 + rank);
    sb_puts(&s, ";");
    sb_puts(&k, "r,l,r,b");
    for (int i = 0; i < rank; i++)
        sb_puts(&k, ",r");
    sb_puts(&k, multicast ? ",h,~{memory}" : ",~{memory}");
    ptx(c, c->t_void, sb_cstr(&s), sb_cstr(&k), args, n, false);
}

static void tma_store(cg *c, lval sh, lval map, const lval *coord, int rank, int rmw, lval pred)
{
    static const char *const reductions[] = {
        [RMW_ADD] = "add", [RMW_MAX] = "max", [RMW_MIN] = "min", [RMW_AND] = "and", [RMW_OR] = "or", [RMW_XOR] = "xor"};
    strbuf s, k;
    lval args[12];
    uint32_t n = 0;
    sb_init(&s, c->a);
    sb_init(&k, c->a);
    args[n++] = sh;
    args[n++] = LLVMBuildPtrToInt(c->b, map, c->i64, "");
    args[n++] = pred_or_true(c, pred);
    for (int i = 0; i < rank; i++)
        args[n++] = coord[i];
    sb_putf(&s, "@$2 cp.%sasync.bulk.tensor.%dd.global.shared::cta%s%s.bulk_group [$1, {", rmw < 0 ? "" : "reduce.",
            rank, rmw < 0 ? "" : ".", rmw < 0 ? "" : reductions[rmw]);
    put_coords(&s, 3, rank);
    sb_puts(&s, "}], [$0];");
    sb_puts(&k, "r,l,b");
    for (int i = 0; i < rank; i++)
        sb_puts(&k, ",r");
    sb_puts(&k, ",~{memory}");
    ptx(c, c->t_void, sb_cstr(&s), sb_cstr(&k), args, n, false);
}

static void bulk_commit(cg *c, lval pred)
{
    PTX(c, c->t_void, false, "@$0 cp.async.bulk.commit_group;", "b,~{memory}", pred_or_true(c, pred));
}

static void bulk_wait(cg *c, int pending, bool source, lval pred)
{
    char text[96];
    snprintf(text, sizeof text, "@$0 cp.async.bulk.wait_group%s %d;", source ? ".read" : "", pending);
    PTX(c, c->t_void, false, text, "b,~{memory}", pred_or_true(c, pred));
}

static void cp_async(cg *c, lval sh, lval from, int bytes, lval pred)
{
    char text[96];
    lval n = pred ? cg_sel(c, pred, cg_i32(c, bytes), cg_i32(c, 0)) : cg_i32(c, bytes);
    snprintf(text, sizeof text, "cp.async.%s.shared.global [$0], [$1], %d, $2;", bytes == 16 ? "cg" : "ca", bytes);
    PTX(c, c->t_void, false, text, "r,l,r,~{memory}", sh, LLVMBuildPtrToInt(c->b, from, c->i64, ""), n);
}

static void cp_arrive(cg *c, lval sh)
{
    PTX(c, c->t_void, false, "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [$0];", "r,~{memory}", sh);
}

static void cp_commit(cg *c)
{
    ptx0(c, "cp.async.commit_group;", false);
}

static void cp_wait(cg *c, int pending)
{
    char text[64];
    snprintf(text, sizeof text, "cp.async.wait_group %d;", pending);
    ptx0(c, text, false);
}

static void wgmma_fence(cg *c)
{
    ptx0(c, "wgmma.fence.sync.aligned;", true);
}

static void wgmma_commit(cg *c)
{
    ptx0(c, "wgmma.commit_group.sync.aligned;", true);
}

/* ---- global memory ---- */
static const char *cache_name(int cache, bool load)
{
    switch (cache) {
    case CACHE_CA:
        return load ? ".ca" : "";
    case CACHE_CG:
        return ".cg";
    case CACHE_CS:
        return ".cs";
    case CACHE_CV:
        return load ? ".cv" : "";
    case CACHE_WB:
        return load ? "" : ".wb";
    case CACHE_WT:
        return load ? "" : ".wt";
    default:
        return "";
    }
}

static const char *evict_name(int evict)
{
    return evict == EVICT_FIRST ? ".L1::evict_first" : evict == EVICT_LAST ? ".L1::evict_last" : "";
}

/* how an access of n words, or of one element of `bits`, is spelt: type suffix, register constraint, register type */
static void access_form(cg *c, int n, int bits, const char **suffix, char *reg, lty *t)
{
    static const char *const words[] = {NULL, "b32", "v2.b32", NULL, "v4.b32"};
    *reg = n || bits == 32 ? 'r' : bits == 64 ? 'l' : 'h';
    *t = n || bits == 32 ? c->i32 : bits == 64 ? c->i64 : c->i16;
    *suffix = n ? words[n] : bits == 8 ? "b8" : bits == 16 ? "b16" : bits == 32 ? "b32" : "b64";
}

static void load(cg *c, lval p, int n, int bits, lval pred, const lval *other, int cache, int evict, lval *out)
{
    strbuf s, k;
    const char *suffix;
    char reg;
    lty t;
    lval args[8];
    int regs = n ? n : 1;
    uint32_t na = 0;
    sb_init(&s, c->a);
    sb_init(&k, c->a);
    access_form(c, n, bits, &suffix, &reg, &t);
    for (int i = 0; i < regs; i++)
        sb_putf(&k, "%s=%c", i ? "," : "", reg);
    for (int i = 0; pred && i < regs; i++) {
        sb_putf(&k, ",%d", i);
        args[na++] = other ? other[i] : LLVMConstNull(t);
    }
    int at = pred ? 2 * regs : regs;
    if (pred)
        sb_putf(&s, "@$%d ", at + 1);
    sb_putf(&s, "ld.global%s%s.%s ", cache_name(cache, true), evict_name(evict), suffix);
    sb_puts(&s, n > 1 ? "{" : "");
    put_coords(&s, 0, regs);
    sb_putf(&s, "%s, [$%d];", n > 1 ? "}" : "", at);
    sb_puts(&k, ",l");
    args[na++] = LLVMBuildPtrToInt(c->b, p, c->i64, "");
    if (pred) {
        sb_puts(&k, ",b");
        args[na++] = pred;
    }
    sb_puts(&k, ",~{memory}");
    lty ts[GPU_WORDS] = {t, t, t, t};
    lval r = ptx(c, regs == 1 ? t : LLVMStructTypeInContext(c->cx, ts, (unsigned)regs, false), sb_cstr(&s), sb_cstr(&k),
                 args, na, false);
    for (int i = 0; i < regs; i++)
        out[i] = regs == 1 ? r : LLVMBuildExtractValue(c->b, r, (unsigned)i, "");
}

static void store(cg *c, lval p, int n, int bits, lval pred, int cache, int evict, const lval *in)
{
    strbuf s, k;
    const char *suffix;
    char reg;
    lty t;
    lval args[8];
    int regs = n ? n : 1;
    uint32_t na = 0;
    sb_init(&s, c->a);
    sb_init(&k, c->a);
    access_form(c, n, bits, &suffix, &reg, &t);
    if (pred)
        sb_putf(&s, "@$%d ", regs + 1);
    sb_putf(&s, "st.global%s%s.%s [$0], %s", cache_name(cache, false), evict_name(evict), suffix, n > 1 ? "{" : "");
    put_coords(&s, 1, regs);
    sb_puts(&s, n > 1 ? "};" : ";");
    sb_puts(&k, "l");
    args[na++] = LLVMBuildPtrToInt(c->b, p, c->i64, "");
    for (int i = 0; i < regs; i++) {
        sb_putf(&k, ",%c", reg);
        args[na++] = in[i];
    }
    if (pred) {
        sb_puts(&k, ",b");
        args[na++] = pred;
    }
    sb_puts(&k, ",~{memory}");
    ptx(c, c->t_void, sb_cstr(&s), sb_cstr(&k), args, na, false);
}

static lval approx(cg *c, gpu_approx f, lval x)
{
    static const char *const text[] = {[APPROX_EXP2] = "ex2.approx.ftz.f32 $0, $1;",
                                       [APPROX_TANH] = "tanh.approx.f32 $0, $1;",
                                       [APPROX_RSQRT] = "rsqrt.approx.ftz.f32 $0, $1;",
                                       [APPROX_RCP] = "rcp.approx.ftz.f32 $0, $1;"};
    lty ft = LLVMFunctionType(c->f32, &c->f32, 1, false);
    lval a = LLVMGetInlineAsm(ft, text[f], strlen(text[f]), "=f,f", 4, false, false, LLVMInlineAsmDialectATT, false);
    return LLVMBuildCall2(c->b, ft, a, &x, 1, "");
}

static lval pin(cg *c, lval word)
{
    return PTX(c, c->i32, false, "", "=r,0", word);
}

/* ---- clusters ---- */
static void launch_dependents(cg *c)
{
    ptx0(c, "griddepcontrol.launch_dependents;", false);
}

static void launch_wait(cg *c)
{
    ptx0(c, "griddepcontrol.wait;", false);
}

static void cluster_barrier(cg *c)
{
    ptx0(c, "barrier.cluster.arrive.release;", true);
    ptx0(c, "barrier.cluster.wait.acquire;", true);
}

static void store_remote(cg *c, lval sh, lval rank, lval word)
{
    PTX(c, c->t_void, false,
        "{\n.reg .b32 ra;\nmapa.shared::cluster.u32 ra, $0, $1;\nst.shared::cluster.b32 [ra], $2;\n}",
        "r,r,r,~{memory}", sh, rank, word);
}

static const gpu_ops ops = {
    .sreg = sreg,
    .uniform = uniform,
    .shuffle_xor = shuffle_xor,
    .barrier = barrier,
    .barrier_arrive = barrier_arrive,
    .warp_sync = warp_sync,
    .fence_async = fence_async,
    .set_regs = set_regs,
    .mbar_init = mbar_init,
    .mbar_init_fence = mbar_init_fence,
    .mbar_wait = mbar_wait,
    .mbar_expect = mbar_expect,
    .mbar_arrive = mbar_arrive,
    .mbar_arrive_remote = mbar_arrive_remote,
    .tma_load = tma_load,
    .tma_store = tma_store,
    .bulk_commit = bulk_commit,
    .bulk_wait = bulk_wait,
    .cp_async = cp_async,
    .cp_arrive = cp_arrive,
    .cp_commit = cp_commit,
    .cp_wait = cp_wait,
    .wgmma_fence = wgmma_fence,
    .wgmma = nvptx_wgmma,
    .wgmma_commit = wgmma_commit,
    .wgmma_wait = nvptx_wgmma_wait,
    .mma = nvptx_mma,
    .ldmatrix = nvptx_ldmatrix,
    .stmatrix = nvptx_stmatrix,
    .load = load,
    .store = store,
    .approx = approx,
    .pin = pin,
    .launch_dependents = launch_dependents,
    .launch_wait = launch_wait,
    .cluster_barrier = cluster_barrier,
    .store_remote = store_remote,
};

void nvptx_ops(const gpu_chip *chip, gpu_ops *out)
{
    *out = ops;
    if (!chip->has_tma)
        out->mbar_wait = mbar_poll;
}
