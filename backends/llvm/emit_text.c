/* emit_text.c: a text of stage llvm, read back: LLVM's reader and verifier judge it; nothing is optimised again, for
 * what `emit --stage=llvm` prints has been through that already. Faults are shown at their place in the text.
 */
#include "backends/llvm/cg.h"

#include <llvm-c/IRReader.h>
#include <stdlib.h>

typedef struct text_job {
    cg c;
    arena *a;
    str text, out;
    backend_stage stage;
} text_job;

static bool read_module(text_job *j)
{
    cg *c = &j->c;
    LLVMModuleRef m;
    char *why = NULL;
    LLVMMemoryBufferRef b = LLVMCreateMemoryBufferWithMemoryRangeCopy(j->text.p, j->text.n, "tile");
    if (LLVMParseIRInContext(c->cx, b, &m, &why)) {
        cg_error(&c->errors, "%s", why);
        LLVMDisposeMessage(why);
        return false;
    }
    LLVMDisposeModule(c->mod);
    c->mod = m;
    return true;
}

static bool build(void *ctx)
{
    text_job *j = ctx;
    cg *c = &j->c;
    LLVMMemoryBufferRef b = NULL;
    if (!cg_open(c, "tile") || !read_module(j) || !cg_verify(c))
        return false;
    if (j->stage == STAGE_LLVM) {
        j->out = cg_print(c, j->a);
        return true;
    }
    if (!cg_emit(c, j->stage == STAGE_ASM ? LLVMAssemblyFile : LLVMObjectFile, &b))
        return false;
    j->out = str_dup(j->a, (str){LLVMGetBufferStart(b), LLVMGetBufferSize(b)});
    LLVMDisposeMemoryBuffer(b);
    return true;
}

/* "tile:LINE:COL: error: TEXT" and the lines after it, as a diagnostic of ours */
static void report(diags *d, arena *a, str path, str text, str why)
{
    span at = {0};
    char *z = str_cstr(a, why), *p = z;
    uint32_t file = diags_add_file(d, path, text);
    if (str_starts(why, S("tile:"))) {
        uint32_t line = (uint32_t)strtoul(z + 5, &p, 10), col = *p == ':' ? (uint32_t)strtoul(p + 1, &p, 10) : 1;
        at.file = file;
        at.beg = diags_offset(d, file, line, col);
        at.end = at.beg + 1;
        if (str_starts(str_of(p), S(": error: ")))
            p += 9;
    }
    size_t n = 0;
    while (p[n] && p[n] != '\n')
        n++;
    diag_report(d, DIAG_ERROR, "llvm", at, "LLVM: %.*s", (int)n, p);
}

bool cg_emit_text(arena *a, str path, str text, const cg_target *t, backend_stage stage, str *out, diags *d)
{
    text_job *j = ARENA_NEW(a, text_job);
    *j = (text_job){.a = a, .text = text, .stage = stage};
    cg_init(&j->c, a, t);
    bool ok = cg_protect(&j->c.errors, build, j);
    cg_pass_on(&j->c);
    if (!ok)
        report(d, a, path, text, sb_str(&j->c.errors.text));
    else
        cg_close(&j->c);
    *out = j->out;
    return ok;
}
