/* verify_mod.c: checks modules: names of functions, calls without recursion, kernels against their host functions; and
 * the verifier's entrances.
 *
 * The call graph is walked depth first with a stack of our own, so that a long chain of calls costs no C stack; on the
 * way each function learns whether it is pure together with all that it calls. What the verifier allocates goes back
 * where it found no fault, so that running it after every pass costs no memory.
 */
#include "compiler/verify.h"

/* ---- calls between functions ---- */
static bool index_of(const verifier *v, str name, uint32_t *index)
{
    uint32_t id = intern_find(v->names, name);
    return id != UINT32_MAX && map_get(&v->by_name, id, index);
}

const ir_func *verify_callee(verifier *v, str name)
{
    uint32_t i;
    if (!v->names)
        return ir_module_find(v->m, name);
    return index_of(v, name, &i) ? v->m->funcs.at[i] : NULL;
}

bool verify_is_pure(verifier *v, str callee)
{
    uint32_t i;
    return !v->names || !index_of(v, callee, &i) || v->purity[i] != PURITY_IMPURE;
}

static void enter_func(verifier *v, uint32_t i)
{
    v->f = v->m->funcs.at[i];
    v->text = v->texts ? &v->texts[i] : NULL;
}

typedef struct call_frame {
    uint32_t func, next; /* the op looked at last */
    bool impure;
} call_frame;

/* the next callee of the frame on top, as an index; UINT32_MAX when there are no more. Notes effects on the way. */
static uint32_t next_callee(verifier *v, call_frame *top)
{
    const ir_func *f = v->m->funcs.at[top->func];
    uint32_t callee;
    while (++top->next < f->ops.n) {
        ir_op o = {top->next};
        ir_code c = ir_op_code(f, o);
        if (!ir_o(f, o)->parent.id || c >= IR_CODE_COUNT)
            continue;
        top->impure |= !(ir_ops[c].flags & (PURE | CTRL | TERM));
        if (c == IR_OP_call && ir_has(f, o, KEY_callee) && index_of(v, ir_text(f, o, KEY_callee), &callee))
            return callee;
    }
    return UINT32_MAX;
}

/* Depth first over the call graph from one function, without recursion of our own: finds cycles, and which functions
 * are pure together with all that they call. */
static bool walk_calls(verifier *v, uint32_t root)
{
    VEC(call_frame) stack = {0};
    if (v->purity[root] != PURITY_UNKNOWN)
        return true;
    v->purity[root] = PURITY_OPEN;
    vec_push(v->a, &stack, ((call_frame){root, 0, false}));
    while (stack.n) {
        call_frame *top = &vec_last(&stack);
        uint32_t callee = next_callee(v, top);
        if (callee == UINT32_MAX) {
            call_frame done = vec_pop(&stack);
            v->purity[done.func] = done.impure ? PURITY_IMPURE : PURITY_PURE;
            if (stack.n)
                vec_last(&stack).impure |= done.impure;
        } else if (v->purity[callee] == PURITY_OPEN) {
            enter_func(v, top->func);
            verify_fail(v, (ir_op){top->next}, "function '@%.*s' would call itself through it",
                        STR_ARG(v->m->funcs.at[callee]->name));
            return false;
        } else if (v->purity[callee] == PURITY_UNKNOWN) {
            v->purity[callee] = PURITY_OPEN;
            vec_push(v->a, &stack, ((call_frame){callee, 0, false}));
        } else {
            top->impure |= v->purity[callee] == PURITY_IMPURE;
        }
    }
    return true;
}

/* ---- a kernel and its host function ---- */
static uint32_t host_results(const verifier *v)
{
    uint32_t n = v->f->has_grid ? 3 : 0;
    for (uint32_t i = 0; i < v->f->params.n; i++)
        if (v->f->params.at[i].flags & (PARAM_SCRATCH | PARAM_SCRATCH_ZERO))
            n += (uint32_t)ir_type_of(v->m, ir_vtype(v->f, ir_param_of(v->f, v->f->body, i)))->rank;
    return n;
}

static void check_host(verifier *v)
{
    const ir_func *f = v->f, *h;
    const ir_op none = {0};
    uint32_t want = host_results(v);
    if (!f->host.n) {
        if (want)
            verify_fail(v, none, "a kernel with a grid or scratch parameters names its host function");
        return;
    }
    h = verify_callee(v, f->host);
    if (!h || h->kind != FUNC_HOST) {
        verify_fail(v, none, "there is no host function '@%.*s'", STR_ARG(f->host));
        return;
    }
    if (h->results.n != want)
        verify_fail(
            v, none,
            "its host function gives %u results, expected %u (3 of the grid, and the sizes of scratch parameters)",
            h->results.n, want);
    if (h->params.n != f->params.n || ir_nparams(h, h->body) != h->params.n) {
        verify_fail(v, none, "its host function has %u parameters, expected %u", h->params.n, f->params.n);
        return;
    }
    for (uint32_t i = 0; i < h->params.n; i++) {
        ir_type mine = ir_vtype(f, ir_param_of(f, f->body, i)), its = ir_vtype(h, ir_param_of(h, h->body, i));
        if (!ir_type_eq(mine, its))
            verify_fail(v, none, "parameter %u of its host function is '%s', expected '%s'", i, verify_type(v, its),
                        verify_type(v, mine));
    }
}

/* ---- modules ---- */
static void check_names(verifier *v)
{
    v->names = intern_new(v->a);
    map_init(&v->by_name, v->a);
    v->purity = ARENA_ARRAY(v->a, uint8_t, v->m->funcs.n + 1);
    for (uint32_t i = 0; i < v->m->funcs.n; i++) {
        uint32_t id = intern_id(v->names, v->m->funcs.at[i]->name), old;
        enter_func(v, i);
        if (!v->f->name.n)
            verify_fail(v, (ir_op){0}, "a function without a name");
        else if (map_get(&v->by_name, id, &old))
            verify_fail(v, (ir_op){0}, "two functions have this name");
        else
            map_set(&v->by_name, id, i);
    }
}

bool ir_verify_text(const ir_module *m, diags *d, const verify_func_text *text)
{
    verifier v = {.m = m, .d = d, .a = m->a, .texts = text};
    arena_pos mark = arena_mark(m->a);
    bool acyclic = true;
    check_names(&v);
    for (uint32_t i = 0; i < m->funcs.n && acyclic; i++)
        acyclic = walk_calls(&v, i);
    for (uint32_t i = 0; i < m->funcs.n; i++) {
        uint32_t faults = v.faults;
        enter_func(&v, i);
        verify_body(&v);
        if (v.faults == faults && v.f->kind == FUNC_KERNEL)
            check_host(&v);
    }
    if (!v.faults)
        arena_reset(m->a, mark);
    return !v.faults;
}

bool ir_verify(const ir_module *m, diags *d)
{
    return ir_verify_text(m, d, NULL);
}

bool ir_verify_func(const ir_func *f, diags *d)
{
    verifier v = {.m = f->m, .f = f, .d = d, .a = f->m->a};
    arena_pos mark = arena_mark(v.a);
    verify_body(&v);
    if (!v.faults)
        arena_reset(v.a, mark);
    return !v.faults;
}
