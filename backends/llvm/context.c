/* context.c: the context's life, its types, constants and the small emission helpers.
 *
 * Nothing here knows of tiles. Vectors are fixed-length; a vector of one lane is its element, everywhere. Types without
 * a context in their constructor (constants of a given type) take the type, the rest take the context.
 */
#include "backends/llvm/cg.h"

#include <stdlib.h>
#include <string.h>

void cg_init(cg *c, arena *a, const cg_target *t)
{
    *c = (cg){.a = a, .target = *t};
    cg_errors_init(&c->errors, a);
}

bool cg_x86(const cg *c)
{
    return strncmp(c->target.triple, "x86", 3) == 0;
}

int cg_widest(const cg *c)
{
    if (cg_has(c, "+avx512f") && cg_has(c, "+avx512vl") && cg_has(c, "+avx512bw") && cg_has(c, "+avx512dq"))
        return 64;
    return cg_has(c, "+avx2") ? 32 : 16;
}

bool cg_open(cg *c, const char *module_name)
{
    c->cx = LLVMContextCreate();
    cg_watch(c);
    c->mod = LLVMModuleCreateWithNameInContext(module_name, c->cx);
    c->b = LLVMCreateBuilderInContext(c->cx);
    c->t_void = LLVMVoidTypeInContext(c->cx);
    c->i1 = LLVMInt1TypeInContext(c->cx);
    c->i8 = LLVMInt8TypeInContext(c->cx);
    c->i16 = LLVMInt16TypeInContext(c->cx);
    c->i32 = LLVMInt32TypeInContext(c->cx);
    c->i64 = LLVMInt64TypeInContext(c->cx);
    c->f16 = LLVMHalfTypeInContext(c->cx);
    c->f32 = LLVMFloatTypeInContext(c->cx);
    c->f64 = LLVMDoubleTypeInContext(c->cx);
    c->ptr = LLVMPointerTypeInContext(c->cx, 0);
    c->vector_bytes = cg_widest(c);
    c->scalef = c->vector_bytes == 64;
    if (!cg_target_machine(c))
        return false;
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(c->tm);
    LLVMSetTarget(c->mod, c->target.triple);
    LLVMSetModuleDataLayout(c->mod, layout);
    LLVMDisposeTargetData(layout);
    return true;
}

void cg_close(cg *c)
{
    if (c->b)
        LLVMDisposeBuilder(c->b);
    if (c->mod)
        LLVMDisposeModule(c->mod);
    if (c->tm)
        LLVMDisposeTargetMachine(c->tm);
    if (c->cx)
        LLVMContextDispose(c->cx);
    c->b = NULL, c->mod = NULL, c->tm = NULL, c->cx = NULL;
}

bool cg_has(const cg *c, const char *feature)
{
    size_t n = strlen(feature);
    for (const char *p = c->target.features; (p = strstr(p, feature)); p += n)
        if (p[n] == ',' || p[n] == 0)
            return true;
    return false;
}

lty cg_num(cg *c, dtype d)
{
    switch (d) {
    case DT_BOOL:
        return c->i1;
    case DT_I8:
    case DT_U8:
    case DT_F8E4M3:
    case DT_F8E5M2:
    case DT_F8E4M3FNUZ:
    case DT_F8E5M2FNUZ:
        return c->i8;
    case DT_I16:
    case DT_U16:
    case DT_BF16:
        return c->i16;
    case DT_I32:
    case DT_U32:
        return c->i32;
    case DT_I64:
    case DT_U64:
        return c->i64;
    case DT_F16:
        return c->f16;
    case DT_F32:
        return c->f32;
    case DT_F64:
        return c->f64;
    case DT_NONE:
        return c->ptr;
    case DT_COUNT:
        break;
    }
    bug("no LLVM type for element type %d", d);
}

lty cg_mem(cg *c, dtype d)
{
    return d == DT_BOOL ? c->i8 : cg_num(c, d);
}

lty cg_vec(lty elem, int lanes)
{
    return lanes == 1 ? elem : LLVMVectorType(elem, (unsigned)lanes);
}

static bool is_vec(lty t)
{
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind;
}

static lty elem_type(lty t)
{
    return is_vec(t) ? LLVMGetElementType(t) : t;
}

int cg_lanes(lval v)
{
    lty t = LLVMTypeOf(v);
    return is_vec(t) ? (int)LLVMGetVectorSize(t) : 1;
}

lty cg_elem_of(lval v)
{
    return elem_type(LLVMTypeOf(v));
}

int cg_width(lty t)
{
    lty e = elem_type(t);
    switch (LLVMGetTypeKind(e)) {
    case LLVMIntegerTypeKind:
        return (int)LLVMGetIntTypeWidth(e);
    case LLVMHalfTypeKind:
        return 16;
    case LLVMFloatTypeKind:
        return 32;
    default:
        return 64;
    }
}

lty cg_as_int(cg *c, lty t)
{
    lty e = LLVMIntTypeInContext(c->cx, (unsigned)cg_width(t));
    return is_vec(t) ? LLVMVectorType(e, LLVMGetVectorSize(t)) : e;
}

lval cg_i32(cg *c, int64_t x)
{
    return LLVMConstInt(c->i32, (uint64_t)x, true);
}

lval cg_i64(cg *c, int64_t x)
{
    return LLVMConstInt(c->i64, (uint64_t)x, true);
}

static lval every_lane(lty t, lval x)
{
    if (!is_vec(t))
        return x;
    unsigned n = LLVMGetVectorSize(t);
    lval all[256];
    if (n > COUNTOF(all))
        bug("vector of %u lanes", n);
    for (unsigned i = 0; i < n; i++)
        all[i] = x;
    return LLVMConstVector(all, n);
}

lval cg_int(lty t, int64_t x)
{
    return every_lane(t, LLVMConstInt(elem_type(t), (uint64_t)x, true));
}

lval cg_real(lty t, double x)
{
    return every_lane(t, LLVMConstReal(elem_type(t), x));
}

lval cg_const(cg *c, dtype d, uint64_t bits, int lanes)
{
    lty t = cg_num(c, d);
    lval x;
    if (d == DT_NONE)
        x = bits ? LLVMConstIntToPtr(LLVMConstInt(c->i64, bits, false), c->ptr) : LLVMConstNull(c->ptr);
    else if (d == DT_F16 || d == DT_F32 || d == DT_F64)
        x = LLVMConstBitCast(LLVMConstInt(cg_as_int(c, t), bits, false), t);
    else
        x = LLVMConstInt(t, d == DT_BOOL ? (bits & 1) : bits, false);
    return every_lane(cg_vec(t, lanes), x);
}

lval cg_splat(cg *c, lval scalar, int lanes)
{
    if (lanes == 1)
        return scalar;
    lty t = cg_vec(LLVMTypeOf(scalar), lanes);
    if (LLVMIsConstant(scalar))
        return every_lane(t, scalar);
    lval v = LLVMBuildInsertElement(c->b, LLVMGetPoison(t), scalar, cg_i32(c, 0), "");
    return LLVMBuildShuffleVector(c->b, v, LLVMGetPoison(t), LLVMConstNull(cg_vec(c->i32, lanes)), "");
}

lval cg_iota(cg *c, lty elem, int lanes, int64_t start, int64_t step)
{
    (void)c;
    lval x[256];
    if (lanes > (int)COUNTOF(x))
        bug("vector of %d lanes", lanes);
    for (int i = 0; i < lanes; i++)
        x[i] = LLVMConstInt(elem, (uint64_t)(start + i * step), true);
    return lanes == 1 ? x[0] : LLVMConstVector(x, (unsigned)lanes);
}

lval cg_gep(cg *c, lty elem, lval p, lval i)
{
    return LLVMBuildGEP2(c->b, elem, p, &i, 1, "");
}

lval cg_load(cg *c, lty t, lval p, unsigned align)
{
    lval v = LLVMBuildLoad2(c->b, t, p, "");
    LLVMSetAlignment(v, align);
    return v;
}

lval cg_store(cg *c, lval v, lval p, unsigned align)
{
    lval s = LLVMBuildStore(c->b, v, p);
    LLVMSetAlignment(s, align);
    return s;
}

lval cg_extract(cg *c, lval v, int lane)
{
    return cg_lanes(v) == 1 ? v : LLVMBuildExtractElement(c->b, v, cg_i32(c, lane), "");
}

lval cg_insert(cg *c, lval v, lval x, int lane)
{
    return cg_lanes(v) == 1 ? x : LLVMBuildInsertElement(c->b, v, x, cg_i32(c, lane), "");
}

lval cg_shuffle(cg *c, lval x, lval y, const int *order, int n)
{
    lval idx[256];
    for (int i = 0; i < n; i++)
        idx[i] = order[i] < 0 ? LLVMGetPoison(c->i32) : cg_i32(c, order[i]);
    return LLVMBuildShuffleVector(c->b, x, y, LLVMConstVector(idx, (unsigned)n), "");
}

lval cg_bits(cg *c, lval v, lty t)
{
    return LLVMTypeOf(v) == t ? v : LLVMBuildBitCast(c->b, v, t, "");
}

lval cg_sel(cg *c, lval cond, lval x, lval y)
{
    return LLVMBuildSelect(c->b, cond, x, y, "");
}

lval cg_icmp(cg *c, LLVMIntPredicate p, lval x, lval y)
{
    return LLVMBuildICmp(c->b, p, x, y, "");
}

lval cg_fcmp(cg *c, LLVMRealPredicate p, lval x, lval y)
{
    return LLVMBuildFCmp(c->b, p, x, y, "");
}

lblock cg_block(cg *c, const char *name)
{
    return LLVMAppendBasicBlockInContext(c->cx, c->fn, name);
}

void cg_at(cg *c, lblock b)
{
    LLVMPositionBuilderAtEnd(c->b, b);
}

lblock cg_here(cg *c)
{
    return LLVMGetInsertBlock(c->b);
}

void cg_attr(cg *c, lval fn, const char *name, const char *value)
{
    LLVMAttributeRef a;
    if (value)
        a = LLVMCreateStringAttribute(c->cx, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    else
        a = LLVMCreateEnumAttribute(c->cx, LLVMGetEnumAttributeKindForName(name, strlen(name)), 0);
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

void cg_fn_attrs(cg *c, lval fn)
{
    cg_attr(c, fn, "nounwind", NULL);
    cg_attr(c, fn, "target-cpu", c->target.cpu);
    cg_attr(c, fn, "target-features", c->target.features);
    cg_attr(c, fn, "prefer-vector-width", c->vector_bytes == 64 ? "512" : c->vector_bytes == 32 ? "256" : "128");
    cg_attr(c, fn, "denormal-fp-math", "ieee,ieee");
}

lval cg_text(cg *c, str s)
{
    lval init = LLVMConstStringInContext2(c->cx, s.p, s.n, false);
    lval g = LLVMAddGlobal(c->mod, LLVMTypeOf(init), "text");
    LLVMSetInitializer(g, init);
    LLVMSetGlobalConstant(g, true);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
    return g;
}
