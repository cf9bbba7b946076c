/* target.c: target machines, the LLVM pass pipeline, and emission.
 *
 * The pipeline is short: the tile passes have done the high-level work and the code generator emits what it means, so
 * LLVM is asked only for local clean-up, hoisting and code generation. Only the initialisers of the targets in use are
 * called, once a process.
 */
#include "backends/llvm/cg.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <string.h>

static void init_x86(void)
{
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
}

static void init_arm(void)
{
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
}

static void init_nvptx(void)
{
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
}

bool cg_target_machine(cg *c)
{
    static pthread_once_t x86 = PTHREAD_ONCE_INIT, arm = PTHREAD_ONCE_INIT, nvptx = PTHREAD_ONCE_INIT;
    if (strncmp(c->target.triple, "nvptx", 5) == 0)
        pthread_once(&nvptx, init_nvptx);
    else if (strncmp(c->target.triple, "aarch64", 7) == 0)
        pthread_once(&arm, init_arm);
    else
        pthread_once(&x86, init_x86);
    LLVMTargetRef target;
    char *text = NULL;
    if (LLVMGetTargetFromTriple(c->target.triple, &target, &text)) {
        cg_error(&c->errors, "%s", text);
        LLVMDisposeMessage(text);
        return false;
    }
    static const LLVMCodeGenOptLevel levels[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess, LLVMCodeGenLevelDefault,
                                                 LLVMCodeGenLevelAggressive};
    int level = c->target.opt_level < 0 ? 0 : c->target.opt_level > 3 ? 3 : c->target.opt_level;
    c->tm = LLVMCreateTargetMachine(target, c->target.triple, c->target.cpu, c->target.features, levels[level],
                                    LLVMRelocPIC, LLVMCodeModelDefault);
    if (!c->tm)
        cg_error(&c->errors, "no target machine for chip '%s'", c->target.cpu);
    return c->tm != NULL;
}

bool cg_verify(cg *c)
{
    char *text = NULL;
    bool bad = LLVMVerifyModule(c->mod, LLVMReturnStatusAction, &text);
    if (bad)
        cg_error(&c->errors, "%s", text);
    LLVMDisposeMessage(text);
    return !bad;
}

bool cg_optimise(cg *c)
{
    static const char *const pipelines[] = {
        NULL,
        "function(early-cse,instsimplify,simplifycfg,loop-mssa(licm))",
        "function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm))",
        "function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),early-cse,"
        "instcombine<no-verify-fixpoint>)",
    };
    int level = c->target.opt_level < 0 ? 0 : c->target.opt_level > 3 ? 3 : c->target.opt_level;
    const char *passes = c->target.pipeline ? c->target.pipeline : pipelines[level];
    if (!passes)
        return true;
    LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
    LLVMErrorRef e = LLVMRunPasses(c->mod, passes, c->tm, o);
    LLVMDisposePassBuilderOptions(o);
    if (!e)
        return true;
    char *text = LLVMGetErrorMessage(e);
    cg_error(&c->errors, "%s", text);
    LLVMDisposeErrorMessage(text);
    return false;
}

bool cg_emit(cg *c, LLVMCodeGenFileType type, LLVMMemoryBufferRef *out)
{
    char *text = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(c->tm, c->mod, type, &text, out)) {
        cg_error(&c->errors, "%s", text);
        LLVMDisposeMessage(text);
        return false;
    }
    return c->errors.n == 0;
}

typedef struct message {
    arena *a;
    char *text, *copy;
} message;

static void copy_message(void *ctx)
{
    message *m = ctx;
    m->copy = str_cstr(m->a, str_of(m->text));
}

/* LLVM's text as ours; LLVM's is let go, also where memory ends */
static char *taken(arena *a, char *text)
{
    message m = {a, text, NULL};
    bool done = arena_try(a, copy_message, &m);
    LLVMDisposeMessage(text);
    if (!done)
        arena_raise(a);
    return m.copy;
}

str cg_print(cg *c, arena *a)
{
    return str_of(taken(a, LLVMPrintModuleToString(c->mod)));
}

char *cg_host_cpu(arena *a)
{
    return taken(a, LLVMGetHostCPUName());
}

char *cg_host_features(arena *a)
{
    return taken(a, LLVMGetHostCPUFeatures());
}

char *cg_host_triple(arena *a)
{
    return taken(a, LLVMGetDefaultTargetTriple());
}
