/* jit.c: kernels that run in this process.
 *
 * A kernel is compiled to an object like any other (compile.c) and given to LLJIT, which links it against the functions
 * of rt_ops.c and a few of the C library, by an explicit list: nothing else of the process is visible to it. A kernel's
 * code goes when it is released.
 */
#include "backends/cpu/cpu.h"
#include "backends/cpu/rt_ops.h"

#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct cpu_jit {
    LLVMOrcLLJITRef lljit;
    char *triple, *cpu, *features;
    arena a;
    atomic_ulong next;
};

typedef void any_fn(void);

static const struct {
    const char *name;
    any_fn *address;
} symbols[] = {
    {"tile_rt_sort", (any_fn *)tile_rt_sort},
    {"tile_rt_histogram", (any_fn *)tile_rt_histogram},
    {"tile_rt_all", (any_fn *)tile_rt_all},
    {"exp", (any_fn *)(double (*)(double))exp},
    {"exp2", (any_fn *)(double (*)(double))exp2},
    {"log", (any_fn *)(double (*)(double))log},
    {"log2", (any_fn *)(double (*)(double))log2},
    {"tanh", (any_fn *)(double (*)(double))tanh},
    {"erf", (any_fn *)(double (*)(double))erf},
    {"sin", (any_fn *)(double (*)(double))sin},
    {"cos", (any_fn *)(double (*)(double))cos},
    {"fma", (any_fn *)(double (*)(double, double, double))fma},
    {"fmaf", (any_fn *)(float (*)(float, float, float))fmaf},
    {"floor", (any_fn *)(double (*)(double))floor},
    {"floorf", (any_fn *)(float (*)(float))floorf},
    {"ceil", (any_fn *)(double (*)(double))ceil},
    {"ceilf", (any_fn *)(float (*)(float))ceilf},
    {"roundeven", (any_fn *)(double (*)(double))roundeven},
    {"roundevenf", (any_fn *)(float (*)(float))roundevenf},
    {"memcpy", (any_fn *)memcpy},
    {"memset", (any_fn *)memset},
    {"memmove", (any_fn *)memmove},
};

static bool failed(LLVMErrorRef e, arena *a, str *err)
{
    if (!e)
        return false;
    char *text = LLVMGetErrorMessage(e);
    *err = str_dup(a, str_of(text));
    LLVMDisposeErrorMessage(text);
    return true;
}

static LLVMErrorRef define_symbols(cpu_jit *j)
{
    LLVMOrcCSymbolMapPair pairs[COUNTOF(symbols)];
    for (size_t i = 0; i < COUNTOF(symbols); i++) {
        pairs[i].Name = LLVMOrcLLJITMangleAndIntern(j->lljit, symbols[i].name);
        pairs[i].Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)symbols[i].address;
        pairs[i].Sym.Flags =
            (LLVMJITSymbolFlags){LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable, 0};
    }
    return LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(j->lljit), LLVMOrcAbsoluteSymbols(pairs, COUNTOF(pairs)));
}

static bool start(void *ctx)
{
    cpu_jit *j = ctx;
    cg c;
    cg_target t = {.triple = j->triple, .cpu = j->cpu, .features = j->features, .opt_level = 2, .jit = true};
    cg_init(&c, &j->a, &t);
    if (!cg_target_machine(&c)) /* initialises LLVM's target */
        return false;
    LLVMOrcLLJITBuilderRef b = LLVMOrcCreateLLJITBuilder();
    LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(b, LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(c.tm));
    str text;
    if (failed(LLVMOrcCreateLLJIT(&j->lljit, b), &j->a, &text) || failed(define_symbols(j), &j->a, &text))
        return false;
    return true;
}

typedef struct open_job {
    cpu_jit *j;
    bool ok;
} open_job;

static void open_jit(void *ctx)
{
    open_job *o = ctx;
    cpu_jit *j = o->j;
    j->triple = cg_host_triple(&j->a);
    j->cpu = cg_host_cpu(&j->a);
    j->features = cg_host_features(&j->a);
    cg_errors e;
    cg_errors_init(&e, &j->a);
    o->ok = cg_protect(&e, start, j);
    if (e.ended)
        arena_raise(&j->a);
}

cpu_jit *cpu_jit_new(str *err)
{
    cpu_jit *j = calloc(1, sizeof *j);
    if (!j) {
        *err = S("out of memory");
        return NULL;
    }
    arena_init(&j->a, 0);
    open_job o = {j, false};
    if (!arena_try(&j->a, open_jit, &o)) {
        o.ok = false;
        *err = S("out of memory");
    } else if (!o.ok) {
        *err = S("LLVM's JIT can't be started on this machine");
    }
    if (o.ok)
        return j;
    cpu_jit_free(j);
    return NULL;
}

void cpu_jit_free(cpu_jit *j)
{
    if (!j)
        return;
    if (j->lljit) {
        LLVMErrorRef e = LLVMOrcDisposeLLJIT(j->lljit);
        if (e)
            LLVMConsumeError(e);
    }
    arena_fini(&j->a);
    free(j);
}

typedef struct link_job {
    cpu_jit *j;
    str object;
    const char *symbol;
    arena *a;
    str err;
    LLVMOrcResourceTrackerRef rt;
    LLVMOrcExecutorAddress address;
} link_job;

static bool link_object(void *ctx)
{
    link_job *l = ctx;
    l->rt = LLVMOrcJITDylibCreateResourceTracker(LLVMOrcLLJITGetMainJITDylib(l->j->lljit));
    LLVMMemoryBufferRef b = LLVMCreateMemoryBufferWithMemoryRangeCopy(l->object.p, l->object.n, l->symbol);
    if (failed(LLVMOrcLLJITAddObjectFileWithRT(l->j->lljit, l->rt, b), l->a, &l->err))
        return false;
    return !failed(LLVMOrcLLJITLookup(l->j->lljit, &l->address, l->symbol), l->a, &l->err);
}

/* programs a claim is worth: small ones are handed out in groups */
static int64_t grain_of(const plan *p, const ir_func *f)
{
    if (p->spins || f->cooperative)
        return 1;
    int64_t elems = 0;
    for (uint32_t i = 0; i < p->steps.n; i++) {
        const plan_step *s = &p->steps.at[i];
        if (s->kind == STEP_CTRL)
            return 1;
        int64_t n = s->kind == STEP_NEST ? 1 : 64;
        for (int d = 0; s->kind == STEP_NEST && d < s->rank; d++)
            n *= s->shape[d];
        elems += n;
    }
    int64_t grain = elems ? 16384 / elems : 64;
    return grain < 1 ? 1 : grain;
}

bool cpu_jit_compile(cpu_jit *j, arena *a, const ir_module *m, const ir_func *k, int opt_level, cpu_kernel *out,
                     diags *d)
{
    (void)m;
    cpu_job *job = ARENA_NEW(a, cpu_job);
    const char *symbol = str_cstr(a, str_fmt(a, "tile_kernel_%lu", atomic_fetch_add(&j->next, 1)));
    *job = (cpu_job){.a = a, .f = k, .symbol = symbol, .stage = STAGE_BIN};
    job->target =
        (cg_target){.triple = j->triple, .cpu = j->cpu, .features = j->features, .opt_level = opt_level, .jit = true};
    if (!cpu_compile(job, d))
        return false;
    link_job l = {.j = j, .object = job->out, .symbol = symbol, .a = a};
    cg_errors e;
    cg_errors_init(&e, a);
    if (!cg_protect(&e, link_object, &l)) {
        cpu_jit_release(j, &(cpu_kernel){.handle = l.rt});
        if (e.ended)
            arena_raise(a);
        str text = e.n ? sb_str(&e.text) : l.err;
        diag_report(d, DIAG_ERROR, "jit", (span){0}, "kernel '%.*s' can't be linked: %.*s", STR_ARG(k->name),
                    STR_ARG(text));
        return false;
    }
    *out = (cpu_kernel){.entry = (abi_entry *)(uintptr_t)l.address,
                        .buffer_bytes = job->p->buffer_bytes,
                        .ordered = job->p->spins,
                        .grain = grain_of(job->p, k),
                        .handle = l.rt};
    return true;
}

void cpu_jit_release(cpu_jit *j, cpu_kernel *k)
{
    (void)j;
    if (!k->handle)
        return;
    LLVMErrorRef e = LLVMOrcResourceTrackerRemove(k->handle);
    if (e)
        LLVMConsumeError(e);
    LLVMOrcReleaseResourceTracker(k->handle);
    *k = (cpu_kernel){0};
}

str cpu_host_describe(arena *a)
{
    const char *all = cg_host_features(a);
    strbuf b;
    sb_init(&b, a);
    sb_puts(&b, cg_host_cpu(a));
    static const char *const shown[] = {"avx2", "fma", "f16c", "avx512f", "avx512bf16", "avx512vnni", "amx-tile"};
    const char *sep = " (";
    for (size_t i = 0; i < COUNTOF(shown); i++) {
        str f = str_fmt(a, "+%s,", shown[i]);
        if (!strstr(all, f.p))
            continue;
        sb_putf(&b, "%s%s", sep, shown[i]);
        sep = ",";
    }
    sb_puts(&b, *sep == ',' ? ")" : "");
    return sb_str(&b);
}
