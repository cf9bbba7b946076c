/* tilec_emit.c: `tilec emit`: a file's text at a later stage, or at its own, verified. */
#include "tools/tilec.h"

#include <unistd.h>

static bool stage_by_name(str s, backend_stage *out)
{
    static const char *const names[STAGE_COUNT] = {[STAGE_AST] = "ast",   [STAGE_TIR] = "tir", [STAGE_LAID] = "laid",
                                                   [STAGE_LLVM] = "llvm", [STAGE_ASM] = "asm", [STAGE_BIN] = "bin"};
    for (int i = 0; i < STAGE_COUNT; i++)
        if (str_eq(s, str_of(names[i]))) {
            *out = (backend_stage)i;
            return true;
        }
    return false;
}

int tilec_emit(tilec *t)
{
    compile_request q = {.kernel = t->opt[OPT_KERNEL],
                         .front = tilec_front(t),
                         .nbind = t->defines.n,
                         .passes = {.verify = true, .checked = true}};
    str target = tilec_has(t, OPT_TARGET) ? t->opt[OPT_TARGET] : S("cpu"), out = {0}, why;
    str path = tilec_has(t, OPT_OUT) ? t->opt[OPT_OUT] : S("-");
    fe_binding *bind;
    if (t->words.n != 1)
        return tilec_say(EXIT_USAGE, "emit needs one file, found %u", t->words.n);
    if (!tilec_has(t, OPT_STAGE))
        return tilec_say(EXIT_USAGE, "emit needs --stage=ast|tir|laid|llvm|asm|bin");
    if (!stage_by_name(t->opt[OPT_STAGE], &q.stage))
        return tilec_say(EXIT_USAGE, "unknown stage '%.*s', expected ast, tir, laid, llvm, asm or bin",
                         STR_ARG(t->opt[OPT_STAGE]));
    q.backend = backend_find(target, &q.target, t->a);
    if (!q.backend && backend_missing())
        return tilec_say(EXIT_DEVICE, "%s", backend_missing());
    if (!q.backend)
        return tilec_say(EXIT_USAGE, "unknown target '%.*s' (see tilec targets)", STR_ARG(target));
    if (q.stage == STAGE_BIN && str_eq(path, S("-")) && isatty(1))
        return tilec_say(EXIT_USAGE, "a binary doesn't go to a terminal: give -o OUT");
    if (!tilec_bindings(t, &bind))
        return EXIT_USAGE;
    q.bind = bind;
    q.path = t->words.at[0];
    if (!tilec_read(t, q.path, &q.text))
        return EXIT_USER;
    bool ok = compile(t->a, &t->d, &q, &out);
    if (tilec_diags(t, EXIT_DONE) != EXIT_DONE)
        return EXIT_USER;
    if (!ok)
        bug("emit of '%.*s' failed without a diagnostic", STR_ARG(q.path));
    if (!file_write(t->a, str_cstr(t->a, path), out, &why))
        return tilec_say(EXIT_USER, "%.*s", STR_ARG(why));
    return EXIT_DONE;
}
