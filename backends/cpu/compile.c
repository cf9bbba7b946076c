/* compile.c: a kernel to LLVM text, assembly or an object, on any thread: every compile has a context of its own.
 */
#include "backends/cpu/cpu.h"

#include <stdlib.h>

/* Beyond this, a launch's output goes past the caches: the last-level cache that one core sees (of a chip with several,
 * what the C library reports is often their sum). */
#define COMMON_CACHE ((int64_t)32 << 20)

static int64_t last_level_cache(arena *a)
{
    str text, err;
    for (int level = 3; level >= 2; level--) {
        str path = str_fmt(a, "/sys/devices/system/cpu/cpu0/cache/index%d/size", level);
        if (!file_read(a, str_cstr(a, path), 64, &text, &err))
            continue;
        char *end;
        int64_t n = strtoll(text.p, &end, 10);
        if (n > 0)
            return n * (*end == 'K' ? 1024 : *end == 'M' ? 1 << 20 : 1);
    }
    return COMMON_CACHE;
}

typedef struct emitted {
    arena *a;
    LLVMMemoryBufferRef b;
    str out;
} emitted;

static void copy_out(void *ctx)
{
    emitted *e = ctx;
    e->out = str_dup(e->a, (str){LLVMGetBufferStart(e->b), LLVMGetBufferSize(e->b)});
}

static bool build(void *ctx)
{
    cpu_job *j = ctx;
    cg *c = &j->c;
    if (!cg_open(c, "tile"))
        return false;
    if (!kernel_build(c, j->f, j->p, j->symbol, j->elsewhere ? COMMON_CACHE : last_level_cache(c->a)))
        return false;
#ifndef NDEBUG
    if (!cg_verify(c))
        return false;
#endif
    if (!cg_optimise(c))
        return false;
    if (j->stage == STAGE_LLVM) {
        j->out = cg_print(c, j->a);
        return true;
    }
    emitted e = {.a = j->a};
    if (!cg_emit(c, j->stage == STAGE_ASM ? LLVMAssemblyFile : LLVMObjectFile, &e.b))
        return false;
    bool done = arena_try(j->a, copy_out, &e);
    LLVMDisposeMemoryBuffer(e.b);
    if (!done)
        arena_raise(j->a);
    j->out = e.out;
    return true;
}

bool cpu_compile(cpu_job *j, diags *d)
{
    j->p = plan_build(j->a, j->f);
    cg_init(&j->c, j->a, &j->target);
    bool ok = cg_protect(&j->c.errors, build, j);
    cg_pass_on(&j->c);
    if (!ok)
        diag_report(d, DIAG_ERROR, "llvm", (span){0}, "LLVM can't compile kernel '%.*s': %.*s", STR_ARG(j->f->name),
                    STR_ARG(sb_str(&j->c.errors.text)));
    else
        cg_close(&j->c);
    return ok;
}
