/* intrin.c: intrinsics by table. A name is looked up once a context; a call then needs only the overload types. LLVM
 * matches names by prefix and crashes on a missing overload type, so the table holds how many types each takes.
 */
#include "backends/llvm/cg.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t ntypes;
} intrins[CGI_COUNT] = {
#define INTRIN(id, text, n) [CGI_##id] = {text, n},
#include "backends/llvm/intrin.def"
#undef INTRIN
};

lval cg_call(cg *c, cg_intrin id, const lty *types, uint32_t ntypes, const lval *args, uint32_t nargs)
{
    if (ntypes != intrins[id].ntypes)
        bug("intrinsic '%s' called with %u overload types", intrins[id].name, ntypes);
    if (!c->intrin_id[id])
        c->intrin_id[id] = LLVMLookupIntrinsicID(intrins[id].name, strlen(intrins[id].name));
    if (!c->intrin_id[id])
        bug("LLVM has no intrinsic '%s'", intrins[id].name);
    lty own[4] = {0};
    for (uint32_t i = 0; i < ntypes; i++)
        own[i] = types[i];
    lval in[8] = {0};
    for (uint32_t i = 0; i < nargs; i++)
        in[i] = args[i];
    lval f = LLVMGetIntrinsicDeclaration(c->mod, c->intrin_id[id], own, ntypes);
    return LLVMBuildCall2(c->b, LLVMGlobalGetValueType(f), f, in, nargs, "");
}

lval cg_call1(cg *c, cg_intrin id, lval x)
{
    lty t = LLVMTypeOf(x);
    return cg_call(c, id, &t, 1, &x, 1);
}

lval cg_call2(cg *c, cg_intrin id, lval x, lval y)
{
    lty t = LLVMTypeOf(x);
    return cg_call(c, id, &t, 1, (lval[]){x, y}, 2);
}

lval cg_fma(cg *c, lval x, lval y, lval z)
{
    lty t = LLVMTypeOf(x);
    return cg_call(c, CGI_fma, &t, 1, (lval[]){x, y, z}, 3);
}
