/* str.h: strings as {pointer, length}, a growing string buffer, and the interner.
 *
 * A str is a view: whoever made the bytes owns them (an arena, a source text, a literal). Bytes may hold NUL.
 */
#ifndef TILE_BASE_STR_H
#define TILE_BASE_STR_H

#include "base/arena.h"

#include <stdarg.h>

typedef struct str {
    const char *p;
    size_t n;
} str;

#define S(lit) ((str){(lit), sizeof(lit) - 1})
#define STR_ARG(s) (int)(s).n, (s).p /* for "%.*s" */
#define STR_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* str.c */
str str_of(const char *z); /* view of a C string; NULL is empty */
bool str_eq(str a, str b);
int str_cmp(str a, str b);
bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);
str str_dup(arena *a, str s);       /* copy, followed by a NUL byte */
char *str_cstr(arena *a, str s);    /* NUL-terminated copy */
str str_fmt(arena *a, const char *fmt, ...) STR_PRINTF(2, 3);
str str_vfmt(arena *a, const char *fmt, va_list ap);
uint64_t str_hash(str s);
/* edit distance with transpositions, at most `cap` (returns cap + 1 beyond); for "did you mean" */
unsigned str_distance(str a, str b, unsigned cap);

/* strbuf: bytes that grow in an arena; the text so far is {at, n} */
typedef struct strbuf {
    arena *a;
    char *at;
    size_t n, cap;
} strbuf;

void sb_init(strbuf *b, arena *a);
void sb_putc(strbuf *b, char c);
void sb_put(strbuf *b, str s);
void sb_puts(strbuf *b, const char *z);
void sb_put_quoted(strbuf *b, str s, const char *hex); /* "..", control characters as \n, \t, or `hex` and two digits */
void sb_putf(strbuf *b, const char *fmt, ...) STR_PRINTF(2, 3);
str sb_str(const strbuf *b);
const char *sb_cstr(strbuf *b); /* NUL-terminated; valid until the next change */

/* interner: equal strings get equal ids; id 0 is the empty string */
typedef struct interner interner;
interner *intern_new(arena *a);
uint32_t intern_id(interner *t, str s);
uint32_t intern_find(const interner *t, str s); /* UINT32_MAX where absent */
str intern_str(const interner *t, uint32_t id);
uint32_t intern_count(const interner *t);

#endif
