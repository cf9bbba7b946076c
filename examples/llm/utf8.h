/* utf8.h: stepping through bytes that may or may not be UTF-8. */
#ifndef TILE_LLM_UTF8_H
#define TILE_LLM_UTF8_H

#include "base/str.h"

typedef enum utf8_state {
    UTF8_WHOLE, /* a character */
    UTF8_CUT,   /* the beginning of one, up to the text's end */
    UTF8_BAD    /* one byte that begins none */
} utf8_state;

typedef struct utf8_char {
    utf8_state state;
    uint32_t n;    /* bytes */
    uint32_t code; /* of a whole one */
} utf8_char;

/* utf8.c */
utf8_char utf8_at(str s, size_t at);           /* at < s.n */
uint32_t utf8_put(uint32_t code, char out[4]); /* bytes written */
/* bytes at the end of s that begin a character which is not whole */
size_t utf8_cut_tail(str s);
size_t utf8_count(str s); /* characters; a byte that begins none counts as one */

#endif
