/* tilec_check.c: `tilec check FILE...`: every diagnostic of each file; a file's faults don't hide another's. */
#include "tools/tilec.h"

static void check_one(tilec *t, str path, str text, const fe_options *front)
{
    if (compile_input_of(path) == INPUT_IR) {
        (void)!ir_read(t->a, &t->d, path, text);
        return;
    }
    fe_unit *u = fe_load(t->a, &t->d, path, text, front);
    if (u && !fe_check(u) && !t->d.errors)
        bug("check of '%.*s' failed without a diagnostic", STR_ARG(path));
}

int tilec_check(tilec *t)
{
    fe_options front = tilec_front(t);
    int code = EXIT_DONE;
    if (t->words.n == 0)
        return tilec_say(EXIT_USAGE, "check needs a file");
    for (uint32_t i = 0; i < t->words.n; i++) {
        str text;
        if (compile_input_of(t->words.at[i]) == INPUT_LLVM)
            code = tilec_say(EXIT_USER, "'%.*s' is LLVM IR: use emit --stage=llvm", STR_ARG(t->words.at[i]));
        else if (!tilec_read(t, t->words.at[i], &text))
            code = EXIT_USER;
        else
            check_one(t, t->words.at[i], text, &front);
    }
    return tilec_diags(t, code);
}
