/* fuzz_ir.c: libFuzzer on the IR (built with clang's -fsanitize=fuzzer,address,undefined).
 *
 * Input that starts with a printable byte is IR text: read, and where it is accepted, printed, read again and compared;
 * then its passes are run and verified, and the interpreter looks at it with bounds and a budget. All other input is
 * bytes for ir_gen.h: a kernel that must verify, come back from its text, and compute the same after the pipeline as
 * before it.
 *
 * Corpus: tests/fuzz/corpus/ir, tests/ir; dictionary: tests/fuzz/ir.dict.
 */
#include "compiler/pass.h"
#include "tests/ir_equal.h"
#include "tests/ir_run.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_INTERP_OPS 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Noreturn void wrong(const char *what, const char *why, const ir_module *m, arena *a)
{
    strbuf b;
    sb_init(&b, a);
    ir_print_module(m, &b);
    fprintf(stderr, "%s: %s\n%.*s", what, why, STR_ARG(sb_str(&b)));
    abort();
}

static const char *shown(arena *a, diags *d)
{
    strbuf b;
    sb_init(&b, a);
    diags_render(d, DIAG_SHORT, &b);
    return str_cstr(a, sb_str(&b));
}

/* m prints to text that reads as m; the module read is returned */
static ir_module *check_text(arena *a, const ir_module *m)
{
    strbuf b, c;
    diags d;
    diags_init(&d, a);
    sb_init(&b, a);
    sb_init(&c, a);
    ir_print_module(m, &b);
    ir_module *again = ir_read(a, &d, S("again"), sb_str(&b));
    if (!again)
        wrong("printed text is refused", shown(a, &d), m, a);
    const char *why = ir_module_differs(m, again, a);
    if (why)
        wrong("another module after reading", why, m, a);
    ir_print_module(again, &c);
    if (!str_eq(sb_str(&b), sb_str(&c)))
        wrong("another text after reading", "", m, a);
    return again;
}

static void check_passes(arena *a, ir_module *m)
{
    diags d;
    pass_options opt = {.verify = true};
    diags_init(&d, a);
    if (!pass_run(m, &d, &opt, pass_tile_pipeline, pass_tile_pipeline_len, NULL))
        wrong("the verifier refuses what a pass made", shown(a, &d), m, a);
}

static bool has_loops_or_calls(const ir_module *m)
{
    for (uint32_t i = 0; i < m->funcs.n; i++)
        for (uint32_t o = 1; o < m->funcs.at[i]->ops.n; o++) {
            uint16_t c = m->funcs.at[i]->ops.at[o].code;
            if (c == IR_OP_call || (c == IR_OP_for && ir_has(m->funcs.at[i], (ir_op){o}, KEY_unroll)))
                return true;
        }
    return false;
}

/* a kernel of numbers and pointers, run on a small buffer with a budget: may fault, must come back */
static void interpret(arena *a, const ir_module *m)
{
    static int64_t buffer[512];
    for (uint32_t i = 0; i < m->funcs.n; i++) {
        const ir_func *f = m->funcs.at[i];
        interp_range bounds = {"buffer", (uint64_t)(uintptr_t)buffer, sizeof buffer};
        interp_options opt = {.bounds = &bounds, .nbounds = 1, .max_ops = MAX_INTERP_OPS, .max_bytes = 64 << 20};
        uint64_t *args;
        str err;
        if (f->kind != FUNC_KERNEL || abi_total_slots(f) > 64)
            continue;
        args = ARENA_ARRAY(a, uint64_t, abi_total_slots(f));
        for (uint32_t k = 0; k < abi_total_slots(f); k++)
            args[k] = k < ABI_GRID_SLOTS ? 1 : bounds.base;
        (void)interp_kernel(a, f, args, &opt, &err);
    }
}

static void fuzz_text(arena *a, const uint8_t *data, size_t size)
{
    diags d;
    diags_init(&d, a);
    ir_module *m = ir_read(a, &d, S("fuzz.tir"), (str){(const char *)data, size}), *again;
    if ((m != NULL) != (d.errors == 0)) {
        fprintf(stderr, "a module %s with %u errors\n", m ? "given" : "refused", d.errors);
        abort();
    }
    if (!m)
        return;
    again = check_text(a, m);
    if (!ir_verify(m, &d))
        wrong("refused by the verifier after reading", shown(a, &d), m, a);
    interpret(a, m);
    if (m->stage == LAID) /* passes come before it */
        return;
    if (size < 4096 || !has_loops_or_calls(m)) /* inlining and unrolling may grow by powers */
        check_passes(a, again);
}

static void fuzz_bytes(arena *a, const uint8_t *data, size_t size)
{
    gen_memory_image *before = ARENA_NEW(a, gen_memory_image), *after = ARENA_NEW(a, gen_memory_image);
    ir_module *m = gen_module(a, data, size), *again;
    str err = {0};
    diags d;
    diags_init(&d, a);
    if (!ir_verify(m, &d))
        wrong("the generator made a wrong kernel", shown(a, &d), m, a);
    again = check_text(a, m);
    if (!gen_run(a, m, MAX_INTERP_OPS * 5, before, &err))
        return; /* over its budget */
    check_passes(a, again);
    if (!gen_run(a, again, 0, after, &err))
        wrong("faults after the passes", str_cstr(a, err), m, a);
    const char *why = gen_differs(a, before, after);
    if (why)
        wrong("computes something else after the passes", why, m, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a;
    arena_init(&a, (size_t)1 << 30);
    if (size && data[0] >= 0x20 && data[0] < 0x7f)
        fuzz_text(&a, data, size);
    else if (size)
        fuzz_bytes(&a, data + 1, size - 1);
    arena_fini(&a);
    return 0;
}
