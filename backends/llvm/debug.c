/* debug.c: line tables. Each op's source location becomes a DWARF line of the kernel's one subprogram; inlining shows
 * as the outermost call's line only where the op itself has none, so profilers and debuggers show lines of the .tile
 * file.
 */
#include "backends/llvm/cg.h"

#include <llvm-c/DebugInfo.h>

struct cg_debug {
    LLVMDIBuilderRef di;
    LLVMMetadataRef scope;
    uint32_t file; /* name id of the subprogram's file: only its lines are given */
};

static LLVMMetadataRef file_of(cg *c, str path)
{
    str dir = path_dir(path);
    str base = dir.n < path.n && str_starts(path, dir) ? (str){path.p + dir.n + 1, path.n - dir.n - 1} : path;
    return LLVMDIBuilderCreateFile(c->debug->di, base.p, base.n, dir.p, dir.n);
}

void cg_debug_begin(cg *c, const ir_func *f)
{
    if (!c->target.debug_lines || !f->loc.id)
        return;
    ir_loc_data at = ir_loc_get(f->m, f->loc);
    struct cg_debug *d = ARENA_NEW(c->a, struct cg_debug);
    c->debug = d;
    d->di = LLVMCreateDIBuilder(c->mod);
    d->file = at.file;
    LLVMMetadataRef file = file_of(c, ir_loc_file(f->m, f->loc));
    LLVMDIBuilderCreateCompileUnit(d->di, LLVMDWARFSourceLanguageC11, file, "tilec", 5, true, "", 0, 0, "", 0,
                                   LLVMDWARFEmissionLineTablesOnly, 0, false, false, "", 0, "", 0);
    LLVMMetadataRef type = LLVMDIBuilderCreateSubroutineType(d->di, file, NULL, 0, LLVMDIFlagZero);
    d->scope = LLVMDIBuilderCreateFunction(d->di, file, f->name.p, f->name.n, f->name.p, f->name.n, file, at.line, type,
                                           false, true, at.line, LLVMDIFlagZero, true);
    LLVMSetSubprogram(c->fn, d->scope);
    lval version = cg_i32(c, LLVMDebugMetadataVersion());
    LLVMAddModuleFlag(c->mod, LLVMModuleFlagBehaviorWarning, "Debug Info Version", 18, LLVMValueAsMetadata(version));
    LLVMAddModuleFlag(c->mod, LLVMModuleFlagBehaviorWarning, "Dwarf Version", 13, LLVMValueAsMetadata(cg_i32(c, 5)));
    cg_debug_loc(c, f->m, f->loc);
}

void cg_debug_loc(cg *c, const ir_module *m, ir_loc loc)
{
    if (!c->debug || !loc.id)
        return;
    ir_loc_data at = ir_loc_get(m, loc);
    while (at.file != c->debug->file && at.inlined_at.id)
        at = ir_loc_get(m, at.inlined_at);
    if (at.file != c->debug->file)
        return;
    LLVMMetadataRef l = LLVMDIBuilderCreateDebugLocation(c->cx, at.line, at.col, c->debug->scope, NULL);
    LLVMSetCurrentDebugLocation2(c->b, l);
}

void cg_debug_end(cg *c)
{
    if (!c->debug)
        return;
    LLVMDIBuilderFinalize(c->debug->di);
    LLVMDisposeDIBuilder(c->debug->di);
    c->debug = NULL;
}
