/* asm.c: inline PTX as call instructions. */
#include "backends/nvptx/asm.h"

#include <string.h>

lval ptx(cg *c, lty result, const char *text, const char *constraints, const lval *args, uint32_t n, bool convergent)
{
    lty *types = ARENA_ARRAY(c->a, lty, n + 1);
    lval *in = ARENA_ARRAY(c->a, lval, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        types[i] = LLVMTypeOf(args[i]);
        in[i] = args[i];
    }
    lty ft = LLVMFunctionType(result, types, n, false);
    lval f = LLVMGetInlineAsm(ft, text, strlen(text), constraints, strlen(constraints), true, false,
                              LLVMInlineAsmDialectATT, false);
    lval call = LLVMBuildCall2(c->b, ft, f, in, n, "");
    const char *attrs[] = {"nounwind", "convergent"};
    for (int i = 0; i < (convergent ? 2 : 1); i++) {
        unsigned kind = LLVMGetEnumAttributeKindForName(attrs[i], strlen(attrs[i]));
        LLVMAddCallSiteAttribute(call, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                 LLVMCreateEnumAttribute(c->cx, kind, 0));
    }
    return call;
}

void ptx0(cg *c, const char *text, bool convergent)
{
    ptx(c, c->t_void, text, "~{memory}", NULL, 0, convergent);
}
