/* error.c: filling the caller's tile_error. The text is cut where it is too long, never past a NUL. */
#include "runtime/runtime.h"

#include <stdio.h>
#include <string.h>

void rt_clear(tile_error *err)
{
    if (err) {
        err->code = TILE_OK;
        err->text[0] = 0;
    }
}

int rt_fail(tile_error *err, tile_code code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        err->code = (int32_t)code;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
    }
    return (int)code;
}

int rt_fail_diags(tile_error *err, tile_code code, diags *d, arena *a)
{
    strbuf b;
    sb_init(&b, a);
    diags_render(d, DIAG_HUMAN, &b);
    while (b.n && b.at[b.n - 1] == '\n')
        b.n--;
    d->list.n = d->errors = d->warnings = 0; /* the next failure tells of itself alone */
    return rt_fail(err, code, "%.*s", STR_ARG(sb_str(&b)));
}

int rt_fail_memory(tile_error *err, const char *what, str name)
{
    return rt_fail(err, TILE_E_MEMORY, "%s '%.*s': out of memory", what, STR_ARG(name));
}
