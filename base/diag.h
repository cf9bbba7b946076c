/* diag.h: diagnostics as records, and how they are shown.
 *
 * A `diags` holds the source texts of one run and the records found in them. A record has a severity, a name (the -W
 * switch of a warning, "" for errors), a span, a message, and notes with spans of their own. Nothing is printed until
 * diags_render, which writes
 *
 *   dir/file.tile:12:9: error: expected 'tile<128xf32>', found 'tile<64xf32>'
 *        x + y
 *        ~~^~~
 *   dir/file.tile:3:5: note: in call of 'f'
 *
 * Columns count bytes from 1. Messages: lower case, no full stop, names quoted, expected before found.
 */
#ifndef TILE_BASE_DIAG_H
#define TILE_BASE_DIAG_H

#include "base/str.h"
#include "base/vec.h"

typedef struct span {
    uint32_t file;     /* id from diags_add_file; 0 = no place */
    uint32_t beg, end; /* byte offsets, end exclusive */
} span;

typedef enum diag_severity { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE } diag_severity;

typedef struct diag_note {
    span at;
    str text;
} diag_note;

typedef struct diag {
    diag_severity severity;
    const char *name; /* -W name of a warning; of an error the table's id, for tests and JSON */
    span at;
    str text;
    VEC(diag_note) notes;
} diag;

typedef struct diag_file {
    str path;       /* as shown */
    str text;
    uint32_t *lines; /* offset of each line, built on first use */
    uint32_t nlines;
} diag_file;

typedef struct diags {
    arena *a;
    VEC(diag_file) files; /* file id i is files.at[i - 1] */
    VEC(diag) list;
    uint32_t errors, warnings;
    uint32_t max_errors; /* further errors are counted, not kept; default 50 */
    bool warnings_off;
    bool dropping; /* the newest record was not kept: its notes go too */
    VEC(str) off; /* names switched off by -Wno-NAME */
    bool color;
} diags;

typedef enum diag_form { DIAG_HUMAN, DIAG_SHORT, DIAG_JSON } diag_form;

/* diag.c */
void diags_init(diags *d, arena *a);
uint32_t diags_add_file(diags *d, str path, str text);
/* line and column (both from 1) of a byte offset */
void diags_place(diags *d, uint32_t file, uint32_t off, uint32_t *line, uint32_t *col);
/* byte offset of a line and column; clamps to the text */
uint32_t diags_offset(diags *d, uint32_t file, uint32_t line, uint32_t col);
void diag_report(diags *d, diag_severity sev, const char *name, span at, const char *fmt, ...) STR_PRINTF(5, 6);
void diag_vreport(diags *d, diag_severity sev, const char *name, span at, const char *fmt, va_list ap);
/* a note on the newest record (dropped when that record was) */
void diag_note_add(diags *d, span at, const char *fmt, ...) STR_PRINTF(3, 4);
bool diags_warning_on(const diags *d, const char *name);
void diags_render(diags *d, diag_form form, strbuf *out);

static inline span span_join(span a, span b)
{
    return (span){a.file, a.beg < b.beg ? a.beg : b.beg, a.end > b.end ? a.end : b.end};
}

/* our own fault: prints the text and aborts (never for anything a user's input can cause) */
_Noreturn void bug(const char *fmt, ...) STR_PRINTF(1, 2);

#endif
