/* fuzz_source.c: libFuzzer on source text: parse, resolve, check; then lower the first kernel under its defaults and
 * verify the IR. Whatever the text, the front end ends with diagnostics; what it accepts must be IR that the
 * verifier accepts.
 *
 * Corpus: tests/fuzz/corpus/source, tests/corpus, tests/frontend, kernels; dictionary: tests/fuzz/source.dict.
 */
#include "compiler/pass.h"
#include "frontend/frontend.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 512 << 20 };

/* dtypes of generics, the first of each list; consts keep their defaults */
static fe_choice defaults(arena *a, const fe_kernel *k)
{
    fe_binding *b = ARENA_ARRAY(a, fe_binding, k->ngenerics + 1);
    for (uint32_t i = 0; i < k->ngenerics; i++)
        b[i] = (fe_binding){k->generics[i].name,
                            {.kind = FE_V_DTYPE, .dt = k->generics[i].n ? k->generics[i].list[0] : DT_F32}};
    return (fe_choice){.bind = b, .n = k->ngenerics};
}

static void lower_first(arena *a, diags *d, fe_unit *u)
{
    static const pass_options options = {.verify = true};
    if (!fe_kernel_count(u))
        return;
    const fe_kernel *k = fe_kernel_at(u, 0);
    fe_choice c = defaults(a, k);
    ir_module *m = ir_module_new(a);
    str name;
    if (!fe_lower(u, k->name, &c, m, &name))
        return;
    diags own;
    diags_init(&own, a);
    bool ok = ir_verify(m, &own) && pass_run(m, &own, &options, pass_tile_pipeline, pass_tile_pipeline_len, NULL);
    if (ok)
        return;
    strbuf b;
    sb_init(&b, a);
    ir_print_module(m, &b);
    diags_render(&own, DIAG_SHORT, &b);
    fprintf(stderr, "the front end made wrong IR\n%.*s", STR_ARG(sb_str(&b)));
    (void)d;
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a;
    jmp_buf out_of_memory;
    arena_init(&a, MEMORY);
    a.oom = &out_of_memory;
    if (setjmp(out_of_memory) == 0) {
        diags d;
        diags_init(&d, &a);
        str text = str_dup(&a, (str){(const char *)data, size});
        fe_unit *u = fe_load(&a, &d, S("fuzz.tile"), text, NULL);
        if (u && fe_check(u))
            lower_first(&a, &d, u);
        strbuf b;
        sb_init(&b, &a);
        diags_render(&d, DIAG_HUMAN, &b);
        if (u && !d.errors) {
            strbuf tree;
            sb_init(&tree, &a);
            fe_print_ast(u, &tree);
        }
    }
    arena_fini(&a);
    return 0;
}
