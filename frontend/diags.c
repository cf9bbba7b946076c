/* diags.c: the table of diagnostics, and reporting by id. */
#include "frontend/diags.h"

const fe_diag_info fe_diags[D_COUNT] = {
#define DIAG(id, severity, name, text) [D_##id] = {#id, DIAG_##severity, name, text},
#include "frontend/diags.def"
#undef DIAG
};

void fe_vreport(diags *d, fe_diag_id id, span at, va_list ap)
{
    const fe_diag_info *i = &fe_diags[id];
    diag_vreport(d, i->severity, i->severity == DIAG_WARNING ? i->name : i->id, at, i->text, ap);
}

void fe_report(diags *d, fe_diag_id id, span at, ...)
{
    va_list ap;
    va_start(ap, at);
    fe_vreport(d, id, at, ap);
    va_end(ap);
}
