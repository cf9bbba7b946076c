/* str.c: string views, the buffer, the interner (a hash table of ids over an array of strings). */
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"

#include <stdio.h>
#include <string.h>

str str_of(const char *z)
{
    return (str){z ? z : "", z ? strlen(z) : 0};
}

bool str_eq(str a, str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int str_cmp(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(str s, str prefix)
{
    return s.n >= prefix.n && str_eq((str){s.p, prefix.n}, prefix);
}

bool str_ends(str s, str suffix)
{
    return s.n >= suffix.n && str_eq((str){s.p + s.n - suffix.n, suffix.n}, suffix);
}

char *str_cstr(arena *a, str s)
{
    char *z = arena_alloc(a, s.n + 1, 1);
    if (s.n)
        memcpy(z, s.p, s.n);
    return z;
}

str str_dup(arena *a, str s)
{
    return (str){str_cstr(a, s), s.n};
}

str str_vfmt(arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return S("");
    char *p = arena_alloc(a, (size_t)n + 1, 1);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    return (str){p, (size_t)n};
}

str str_fmt(arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str s = str_vfmt(a, fmt, ap);
    va_end(ap);
    return s;
}

uint64_t str_hash(str s)
{
    return hash_bytes(s.p, s.n, 0);
}

/* Optimal string alignment distance, three rows at a time. */
unsigned str_distance(str a, str b, unsigned cap)
{
    enum { MOST = 64 };
    unsigned rows[3][MOST + 1];
    size_t gap = a.n > b.n ? a.n - b.n : b.n - a.n;
    if (a.n > MOST || b.n > MOST || gap > cap)
        return cap + 1;
    for (size_t j = 0; j <= b.n; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned *now = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3], least = now[0] = (unsigned)i;
        for (size_t j = 1; j <= b.n; j++) {
            unsigned d = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            d = d < up[j] + 1 ? d : up[j] + 1;
            d = d < now[j - 1] + 1 ? d : now[j - 1] + 1;
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                d = d < up2[j - 2] + 1 ? d : up2[j - 2] + 1;
            now[j] = d;
            least = d < least ? d : least;
        }
        if (least > cap)
            return cap + 1;
    }
    unsigned d = rows[a.n % 3][b.n];
    return d > cap ? cap + 1 : d;
}

void sb_init(strbuf *b, arena *a)
{
    *b = (strbuf){.a = a};
}

static void sb_room(strbuf *b, size_t n)
{
    if (b->cap - b->n >= n)
        return;
    size_t cap = b->cap ? b->cap * 2 : 256;
    while (cap - b->n < n)
        cap *= 2;
    char *p = arena_alloc(b->a, cap, 1);
    if (b->n)
        memcpy(p, b->at, b->n);
    b->at = p;
    b->cap = cap;
}

void sb_put(strbuf *b, str s)
{
    if (!s.n)
        return;
    sb_room(b, s.n);
    memcpy(b->at + b->n, s.p, s.n);
    b->n += s.n;
}

void sb_putc(strbuf *b, char c)
{
    sb_put(b, (str){&c, 1});
}

void sb_puts(strbuf *b, const char *z)
{
    sb_put(b, str_of(z));
}

void sb_put_quoted(strbuf *b, str s, const char *hex)
{
    sb_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            sb_putf(b, "\\%c", c);
        else if (c == '\n')
            sb_puts(b, "\\n");
        else if (c == '\t')
            sb_puts(b, "\\t");
        else if (c < 32 || c == 127)
            sb_putf(b, "%s%02x", hex, c);
        else
            sb_putc(b, (char)c);
    }
    sb_putc(b, '"');
}

void sb_putf(strbuf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n > 0) {
        sb_room(b, (size_t)n + 1);
        vsnprintf(b->at + b->n, (size_t)n + 1, fmt, ap);
        b->n += (size_t)n;
    }
    va_end(ap);
}

const char *sb_cstr(strbuf *b)
{
    sb_putc(b, 0);
    b->n--;
    return b->at;
}

str sb_str(const strbuf *b)
{
    return (str){b->at ? b->at : "", b->n};
}

struct interner {
    arena *a;
    VEC(str) strs;
    uint32_t *slots; /* id + 1 */
    uint32_t cap;
};

static uint32_t *slot_of(const interner *t, str s)
{
    uint32_t i = (uint32_t)str_hash(s) & (t->cap - 1);
    while (t->slots[i] && !str_eq(t->strs.at[t->slots[i] - 1], s))
        i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

static void rehash(interner *t, uint32_t cap)
{
    t->slots = ARENA_ARRAY(t->a, uint32_t, cap);
    t->cap = cap;
    for (uint32_t i = 0; i < t->strs.n; i++)
        *slot_of(t, t->strs.at[i]) = i + 1;
}

interner *intern_new(arena *a)
{
    interner *t = ARENA_NEW(a, interner);
    t->a = a;
    rehash(t, 256);
    intern_id(t, S(""));
    return t;
}

uint32_t intern_find(const interner *t, str s)
{
    return *slot_of(t, s) - 1; /* an empty slot gives UINT32_MAX */
}

uint32_t intern_id(interner *t, str s)
{
    uint32_t *slot = slot_of(t, s);
    if (*slot)
        return *slot - 1;
    if ((t->strs.n + 1) * 2 > t->cap) { /* first: what memory's end leaves is whole */
        rehash(t, t->cap * 2);
        slot = slot_of(t, s);
    }
    vec_push(t->a, &t->strs, str_dup(t->a, s));
    *slot = t->strs.n;
    return t->strs.n - 1;
}

str intern_str(const interner *t, uint32_t id)
{
    return t->strs.at[id];
}

uint32_t intern_count(const interner *t)
{
    return t->strs.n;
}
