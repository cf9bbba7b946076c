/* size.c: how long a kernel becomes once the functions that it calls are inlined. Calls are few and bodies are shared
 * before that, so a short text can stand for more than any machine holds (a function that calls another twice, forty
 * deep); such a kernel is refused here, before a pass or the interpreter begins on it.
 */
#include "runtime/compile.h"

#define MAX_OPS ((uint64_t)1 << 21)

typedef struct sizes {
    const ir_module *m;
    map64 by_name; /* hash of the name -> index */
    uint64_t *ops; /* by function, 0 = not yet known */
} sizes;

static uint64_t measure(sizes *s, uint32_t i)
{
    const ir_func *f = s->m->funcs.at[i];
    uint64_t n = f->ops.n;
    uint32_t at;
    if (s->ops[i])
        return s->ops[i];
    s->ops[i] = n;
    for (uint32_t o = 1; o < f->ops.n; o++)
        if (ir_op_code(f, (ir_op){o}) == IR_OP_call &&
            map_get(&s->by_name, str_hash(ir_text(f, (ir_op){o}, KEY_callee)), &at)) {
            n += measure(s, at);
            n = n > MAX_OPS ? MAX_OPS + 1 : n;
        }
    return s->ops[i] = n;
}

bool compile_size_ok(const ir_module *m, diags *d)
{
    bool ok = true;
    sizes s = {.m = m};
    map_init(&s.by_name, d->a);
    s.ops = ARENA_ARRAY(d->a, uint64_t, (size_t)m->funcs.n + 1);
    for (uint32_t i = 0; i < m->funcs.n; i++)
        map_set(&s.by_name, str_hash(m->funcs.at[i]->name), i);
    for (uint32_t i = 0; i < m->funcs.n; i++)
        if (m->funcs.at[i]->kind == FUNC_KERNEL && measure(&s, i) > MAX_OPS) {
            diag_report(d, DIAG_ERROR, "request", (span){0},
                        "kernel '%.*s' is too long: more than %llu operations once its functions are inlined",
                        STR_ARG(m->funcs.at[i]->name), (unsigned long long)MAX_OPS);
            ok = false;
        }
    return ok;
}
