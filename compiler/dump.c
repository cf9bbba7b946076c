/* dump.c: what happens when the compiler itself is wrong: the IR it was working on goes to a file, then bug().
 *
 * The file is TMPDIR/tile-bug-<pid>.tir (TMPDIR or /tmp), readable by ir_read as far as the IR is still sound; the
 * message names it, so that a report can carry it. Nothing a user's input can cause ends here.
 */
#include "compiler/ir.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void ir_bug(const ir_module *m, const char *fmt, ...)
{
    arena a;
    strbuf text;
    str why, err, path;
    va_list ap;
    const char *dir = getenv("TMPDIR");
    arena_init(&a, 0);
    va_start(ap, fmt);
    why = str_vfmt(&a, fmt, ap);
    va_end(ap);
    sb_init(&text, &a);
    ir_print_module(m, &text);
    path = str_fmt(&a, "%s/tile-bug-%ld.tir", dir && *dir ? dir : "/tmp", (long)getpid());
    if (file_write(&a, str_cstr(&a, path), sb_str(&text), &err))
        bug("%.*s (IR in %.*s)", STR_ARG(why), STR_ARG(path));
    bug("%.*s (IR not written: %.*s)", STR_ARG(why), STR_ARG(err));
}
