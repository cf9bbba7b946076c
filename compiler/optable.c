/* optable.c: ops.def, attrs.def and enums.def as arrays, and look-up by name. */
#include "compiler/ir.h"

const ir_op_info ir_ops[IR_CODE_COUNT] = {
    [IR_NOP] = {"nop", 0, 0, 0, 0, ANY, RULE_OWN, "", "no op"},
#define OP(name, nin, nout, nregions, flags, stages, rule, attrs, doc)                                                 \
    [IR_OP_##name] = {#name, nin, nout, nregions, flags, stages, rule, attrs, doc},
#include "compiler/ops.def"
#undef OP
};

const ir_key_info ir_keys[IR_KEY_COUNT] = {
    [KEY_NONE] = {"", AK_INT, ""},
#define ATTR(name, kind, doc) [KEY_##name] = {#name, kind, doc},
#include "compiler/attrs.def"
#undef ATTR
};

#define E_rmw(v, t) t,
static const char *const names_rmw[] = {
#include "compiler/enums.def"
    NULL};
#define E_sem(v, t) t,
static const char *const names_sem[] = {
#include "compiler/enums.def"
    NULL};
#define E_scope(v, t) t,
static const char *const names_scope[] = {
#include "compiler/enums.def"
    NULL};
#define E_cache(v, t) t,
static const char *const names_cache[] = {
#include "compiler/enums.def"
    NULL};
#define E_evict(v, t) t,
static const char *const names_evict[] = {
#include "compiler/enums.def"
    NULL};
#define E_precision(v, t) t,
static const char *const names_precision[] = {
#include "compiler/enums.def"
    NULL};

static const char *const *names_of(ir_key key)
{
    switch ((int)key) {
    case KEY_rmw:
        return names_rmw;
    case KEY_sem:
        return names_sem;
    case KEY_scope:
        return names_scope;
    case KEY_cache:
        return names_cache;
    case KEY_evict:
        return names_evict;
    case KEY_precision:
        return names_precision;
    }
    return NULL;
}

const char *ir_enum_name(ir_key key, int64_t value)
{
    const char *const *names = names_of(key);
    for (int64_t i = 0; names && names[i]; i++)
        if (i == value)
            return names[i];
    return NULL;
}

int64_t ir_enum_value(ir_key key, str name)
{
    const char *const *names = names_of(key);
    for (int64_t i = 0; names && names[i]; i++)
        if (str_eq(name, str_of(names[i])))
            return i;
    return -1;
}

ir_code ir_code_by_name(str name)
{
    for (int i = IR_NOP + 1; i < IR_CODE_COUNT; i++)
        if (str_eq(name, str_of(ir_ops[i].name)))
            return (ir_code)i;
    return IR_NOP;
}

ir_key ir_key_by_name(str name)
{
    for (int i = KEY_NONE + 1; i < IR_KEY_COUNT; i++)
        if (str_eq(name, str_of(ir_keys[i].name)))
            return (ir_key)i;
    return KEY_NONE;
}

ir_code ir_exchanged(ir_code code)
{
    switch ((int)code) {
    case IR_OP_lt:
        return IR_OP_gt;
    case IR_OP_le:
        return IR_OP_ge;
    case IR_OP_gt:
        return IR_OP_lt;
    case IR_OP_ge:
        return IR_OP_le;
    default:
        return code;
    }
}
