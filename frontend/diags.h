/* diags.h: the front end's diagnostics by id (diags.def), and reporting them. */
#ifndef TILE_FRONTEND_DIAGS_H
#define TILE_FRONTEND_DIAGS_H

#include "base/base.h"

typedef enum fe_diag_id {
#define DIAG(id, severity, name, text) D_##id,
#include "frontend/diags.def"
#undef DIAG
    D_COUNT
} fe_diag_id;

typedef struct fe_diag_info {
    const char *id;
    diag_severity severity;
    const char *name; /* -W name of a warning */
    const char *text; /* printf format */
} fe_diag_info;

/* diags.c */
extern const fe_diag_info fe_diags[D_COUNT];
void fe_report(diags *d, fe_diag_id id, span at, ...);
void fe_vreport(diags *d, fe_diag_id id, span at, va_list ap);

#endif
