/* compile.c: source to binary, in straight-line calls: the one file that knows all phases.
 *
 *   .tile  -> fe_load     -> stage ast       text of the syntax tree
 *          -> fe_lower    -> stage tir       as lowered, before passes
 *   .tir   -> pass_run    -> stage laid      what follows the target's last pass
 *          -> emit        -> stages llvm, asm, bin
 *   .ll    -> emit_llvm   -> stages llvm, asm, bin
 *
 * A text of any stage enters where it stands: one that was read at its own stage is verified and printed.
 */
#include "runtime/compile.h"

compile_input compile_input_of(str path)
{
    return str_ends(path, S(".tile"))  ? INPUT_TILE
           : str_ends(path, S(".tir")) ? INPUT_IR
           : str_ends(path, S(".ll"))  ? INPUT_LLVM
                                       : INPUT_UNKNOWN;
}

static bool user_error(diags *d, const char *fmt, str a)
{
    diag_report(d, DIAG_ERROR, "request", (span){0}, fmt, STR_ARG(a));
    return false;
}
static void lap(double *since, double *into)
{
    double now = clock_now();
    *into += now - *since;
    *since = now;
}

ir_module *compile_lower(arena *a, diags *d, fe_unit *u, str kernel, const fe_choice *c, str *ir_name)
{
    ir_module *m = ir_module_new(a);
    if (!fe_lower(u, kernel, c, m, ir_name))
        return NULL;
    return ir_verify(m, d) && compile_size_ok(m, d) ? m : NULL;
}

bool compile_passes(ir_module *m, diags *d, const tile_backend *be, const backend_target *t, const pass_options *opt)
{
    if (m->stage == LAID && str_eq(m->target, t->name))
        return true;
    if (m->stage == LAID) {
        diag_report(d, DIAG_ERROR, "request", (span){0}, "this IR is laid out for target '%.*s', not for '%.*s'",
                    STR_ARG(m->target), STR_ARG(t->name));
        return false;
    }
    if (!compile_size_ok(m, d) || !pass_run(m, d, opt, be->pipeline, be->npipeline, NULL))
        return false;
    m->stage = LAID;
    m->target = t->name;
    return ir_verify(m, d);
}

static bool lower_all(arena *a, diags *d, fe_unit *u, const compile_request *q, ir_module *m, str *name)
{
    bool found = false;
    const char *family = q->backend ? q->backend->family : "";
    if (!choice_check_names(d, u, q->bind, q->nbind))
        return false;
    for (uint32_t i = 0; i < fe_kernel_count(u); i++) {
        const fe_kernel *k = fe_kernel_at(u, i);
        choice_list c;
        if (q->kernel.n && !str_eq(k->name, q->kernel))
            continue;
        found = true;
        choice_init(a, &c, k, q->bind, q->nbind, family, 0);
        choice_open_generics(a, &c, k);
        if (!fe_lower(u, k->name, choice_done(&c), m, name))
            return false;
    }
    if (!found && q->kernel.n)
        return user_error(d, "no kernel '%.*s' in this file", q->kernel);
    return true;
}

static bool from_source(arena *a, diags *d, const compile_request *q, compile_times *t, ir_module **m, str *name,
                        str *out)
{
    double now = clock_now();
    fe_unit *u = fe_load(a, d, q->path, q->text, &q->front);
    lap(&now, &t->load);
    if (!u || d->errors)
        return false;
    if (q->stage == STAGE_AST) {
        strbuf b;
        sb_init(&b, a);
        fe_print_ast(u, &b);
        *out = sb_str(&b);
        return true;
    }
    *m = ir_module_new(a);
    bool ok = lower_all(a, d, u, q, *m, name);
    lap(&now, &t->lower);
    return ok && ir_verify(*m, d);
}

static bool print_module(arena *a, const ir_module *m, str *out)
{
    strbuf b;
    sb_init(&b, a);
    ir_print_module(m, &b);
    *out = sb_str(&b);
    return true;
}

bool compile(arena *a, diags *d, const compile_request *q, str *out)
{
    compile_times none = {0}, *t = q->times ? q->times : &none;
    ir_module *m = NULL;
    str name = q->kernel;
    compile_input in = compile_input_of(q->path);
    if (in == INPUT_LLVM)
        return q->stage < STAGE_LLVM ? user_error(d, "'%.*s' is past that stage", q->path)
                                     : q->backend->emit_llvm(a, q->path, q->text, &q->target, q->stage, out, d);
    if (in == INPUT_IR) {
        if (q->stage == STAGE_AST)
            return user_error(d, "'%.*s' is past that stage", q->path);
        if (!(m = ir_read(a, d, q->path, q->text)))
            return false;
    } else if (!from_source(a, d, q, t, &m, &name, out) || q->stage == STAGE_AST) {
        return d->errors == 0 && q->stage == STAGE_AST;
    }
    if (q->stage == STAGE_TIR)
        return m->stage == LAID ? user_error(d, "'%.*s' is past that stage", q->path) : print_module(a, m, out);
    double now = clock_now();
    if (!compile_passes(m, d, q->backend, &q->target, &q->passes))
        return false;
    lap(&now, &t->passes);
    if (q->stage == STAGE_LAID)
        return print_module(a, m, out);
    const ir_func *k = choice_kernel(d, m, q->kernel.n ? name : (str){0});
    bool ok = k && q->backend->emit(a, m, k, &q->target, q->stage, out, d);
    lap(&now, &t->code);
    return ok;
}
