/* line.h: messages typed at a terminal, with editing and history, or read from a file; and Ctrl-C while a reply runs.
 */
#ifndef TILE_LLM_LINE_H
#define TILE_LLM_LINE_H

#include "base/str.h"

#include <signal.h>

typedef struct line_reader line_reader;

/* line.c */
line_reader *line_open(void); /* NULL: no memory */
void line_close(line_reader *r);
bool line_terminal(const line_reader *r);
/* the next message, of one line or several, valid until the next call; false at the end */
bool line_read(line_reader *r, str *out);
/* from here on Ctrl-C sets what line_halted points at, which this clears */
void line_listen(void);
const volatile sig_atomic_t *line_halted(void);

#endif
