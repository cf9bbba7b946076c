/* value.c: see value.h. Describing values is here because every diagnostic does it: types print as the language spells
 * them (`int` for i64), weak numbers by their value.
 */
#include "frontend/value.h"

#include <string.h>

fv fv_seq_of(const fv *at, uint32_t n, bool list)
{
    uint64_t size = 1;
    for (uint32_t i = 0; i < n; i++)
        size += at[i].kind == FV_SEQ ? at[i].seq.size : 1;
    return (fv){.kind = FV_SEQ,
                .flags = list ? FV_LIST : 0,
                .seq = {at, n, size > UINT32_MAX ? UINT32_MAX : (uint32_t)size}};
}

fv fv_seq_dup(arena *a, const fv *at, uint32_t n, bool list)
{
    fv *copy = ARENA_ARRAY(a, fv, n ? n : 1);
    if (n)
        memcpy(copy, at, n * sizeof *copy);
    return fv_seq_of(copy, n, list);
}

static bool num_same(const_num a, const_num b)
{
    if (a.kind != b.kind)
        return false;
    return a.kind == CONST_FLOAT ? num_f64_bits(a.f) == num_f64_bits(b.f) : a.i == b.i;
}

bool fv_same(fv a, fv b)
{
    if (a.kind != b.kind || a.flags != b.flags)
        return false;
    switch (a.kind) {
    case FV_POISON:
    case FV_UNBOUND:
    case FV_NONE: return true;
    case FV_NUM: return num_same(a.num, b.num);
    case FV_STR: return str_eq(a.s, b.s);
    case FV_TYPE: return ir_type_eq(a.type, b.type);
    case FV_FN: return a.fn == b.fn;
    case FV_BUILTIN: return a.builtin == b.builtin;
    case FV_METHOD: return a.method.row == b.method.row && fv_same(*a.method.self, *b.method.self);
    case FV_SEQ:
        if (a.seq.n != b.seq.n)
            return false;
        for (uint32_t i = 0; i < a.seq.n; i++)
            if (!fv_same(a.seq.at[i], b.seq.at[i]))
                return false;
        return true;
    case FV_RT:
    case FV_TENSOR: return a.v.id == b.v.id;
    }
    return false;
}

uint64_t fv_hash(fv v, uint64_t seed)
{
    uint64_t h = hash_mix(seed, (uint64_t)v.kind * 8 + v.flags);
    switch (v.kind) {
    case FV_NUM:
        if (v.num.kind == CONST_FLOAT)
            return hash_bytes(&v.num.f, sizeof v.num.f, h);
        return hash_mix(h, hash_mix((uint64_t)v.num.i, (uint64_t)(v.num.i >> 64) * 4 + (uint64_t)v.num.kind));
    case FV_STR: return hash_bytes(v.s.p, v.s.n, h);
    case FV_TYPE: return hash_mix(h, v.type.id);
    case FV_FN: return hash_mix(h, (uint64_t)(uintptr_t)v.fn);
    case FV_BUILTIN: return hash_mix(h, (uint64_t)v.builtin);
    case FV_METHOD: return hash_mix(fv_hash(*v.method.self, h), (uint64_t)v.method.row);
    case FV_SEQ:
        h = hash_mix(h, v.seq.n);
        for (uint32_t i = 0; i < v.seq.n; i++)
            h = fv_hash(v.seq.at[i], h);
        return h;
    case FV_POISON:
    case FV_UNBOUND:
    case FV_NONE:
    case FV_RT:
    case FV_TENSOR: break;
    }
    return h;
}

str type_describe(const ir_module *m, ir_type t, arena *a)
{
    const ir_type_info *ti = ir_type_of(m, t);
    if (ti->kind == TK_NUM && ti->dt == DT_I64)
        return S("int");
    strbuf b;
    sb_init(&b, a);
    ir_type_print(m, t, &b);
    return sb_str(&b);
}

str fv_describe(const ir_module *m, const ir_func *f, fv v, arena *a)
{
    switch (v.kind) {
    case FV_POISON:
    case FV_UNBOUND: return S("nothing");
    case FV_NONE: return S("'None'");
    case FV_NUM: {
        static const char *const kinds[] = {[CONST_BOOL] = "", [CONST_INT] = "integer ", [CONST_FLOAT] = "float "};
        return str_fmt(a, "%s'%.*s'", kinds[v.num.kind], STR_ARG(const_text(a, v.num)));
    }
    case FV_STR: return str_fmt(a, "the string \"%.*s\"", STR_ARG(v.s));
    case FV_TYPE: return str_fmt(a, "the dtype '%.*s'", STR_ARG(type_describe(m, v.type, a)));
    case FV_FN: return S("a function");
    case FV_BUILTIN: return S("a builtin function");
    case FV_METHOD: return S("a method that is not called");
    case FV_SEQ: return str_fmt(a, "a %s of %u", v.flags & FV_LIST ? "list" : "tuple", v.seq.n);
    case FV_RT:
    case FV_TENSOR: return str_fmt(a, "'%.*s'", STR_ARG(type_describe(m, ir_vtype(f, v.v), a)));
    }
    return S("nothing");
}

bool fv_has_poison(fv v)
{
    if (v.kind == FV_SEQ)
        for (uint32_t i = 0; i < v.seq.n; i++)
            if (fv_has_poison(v.seq.at[i]))
                return true;
    return v.kind == FV_POISON;
}
