/* read_scan.c: IR text to tokens, by hand, and the reader's small change: expecting, reporting, integers, suggestions.
 *
 * One token is looked ahead. Bytes that begin no token are reported and skipped; once a run has reported as many errors
 * as its diags keep, the scanner only gives TOK_END, so that no input costs more than its length. Shapes such as
 * 128x64xf16 aren't tokens: read_type.c reads the characters of a type itself and then lets the scanner go on behind
 * them.
 */
#include "compiler/read.h"

#include <string.h>

static int peek(const reader *r, uint32_t ahead)
{
    return r->pos + ahead < r->text.n ? (unsigned char)r->text.p[r->pos + ahead] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_char(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '.' || c == '$';
}

bool read_failed(const reader *r)
{
    return r->d->errors != r->first_error;
}

span read_span(const reader *r, uint32_t beg, uint32_t end)
{
    return (span){r->file, beg, end};
}

span read_here(const reader *r)
{
    return read_span(r, r->tok.beg, r->tok.end);
}

void read_error(reader *r, span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_vreport(r->d, DIAG_ERROR, "ir", at, fmt, ap);
    va_end(ap);
    if (r->d->errors - r->first_error >= r->d->max_errors)
        r->pos = (uint32_t)r->text.n;
}

static bool skip_space(reader *r)
{
    bool first = r->pos == 0;
    for (;;) {
        int c = peek(r, 0);
        if (c == '\n')
            first = true;
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            r->pos++;
        } else if (c == '/' && peek(r, 1) == '/') {
            const char *nl = memchr(r->text.p + r->pos, '\n', r->text.n - r->pos);
            r->pos = nl ? (uint32_t)(nl - r->text.p) : (uint32_t)r->text.n;
        } else {
            return first;
        }
    }
}

static str word_at(reader *r)
{
    uint32_t beg = r->pos;
    while (is_word_char(peek(r, 0)))
        r->pos++;
    return (str){r->text.p + beg, r->pos - beg};
}

static int hex_digit(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* one character of a string, after its backslash; -1 where that is no escape */
static int escape(reader *r)
{
    int c = peek(r, 0), hi, lo;
    r->pos++;
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '"':
    case '\\':
        return c;
    case 'x':
        hi = hex_digit(peek(r, 0));
        lo = hex_digit(peek(r, 1));
        if (hi < 0 || lo < 0)
            return -1;
        r->pos += 2;
        return hi * 16 + lo;
    default:
        r->pos--;
        return -1;
    }
}

/* the quoted string at pos; reports and ends it at the line's end where it isn't closed */
static str string_at(reader *r)
{
    uint32_t beg = r->pos++;
    strbuf b;
    sb_init(&b, r->a);
    for (;;) {
        int c = peek(r, 0);
        if (c == '"') {
            r->pos++;
            return sb_str(&b);
        }
        if (c < 0 || c == '\n') {
            read_error(r, read_span(r, beg, r->pos), "string without closing '\"'");
            return sb_str(&b);
        }
        r->pos++;
        if (c == '\\' && (c = escape(r)) < 0) {
            read_error(r, read_span(r, r->pos - 1, r->pos), "unknown escape in a string");
            c = '?';
        }
        sb_putc(&b, (char)c);
    }
}

/* digits, letters and dots, and a sign behind an exponent's letter */
static void number_at(reader *r)
{
    bool hex;
    if (peek(r, 0) == '-')
        r->pos++;
    hex = peek(r, 0) == '0' && (peek(r, 1) == 'x' || peek(r, 1) == 'X');
    while (is_word_char(peek(r, 0))) {
        int c = peek(r, 0) | 0x20;
        r->pos++;
        if (c == (hex ? 'p' : 'e') && (peek(r, 0) == '+' || peek(r, 0) == '-'))
            r->pos++;
    }
}

static token_kind sigil_at(reader *r, token *t)
{
    bool value = peek(r, 0) == '%';
    r->pos++;
    if (!value && peek(r, 0) == '"') {
        t->text = string_at(r);
        return TOK_SYMBOL;
    }
    t->text = word_at(r);
    if (!t->text.n)
        read_error(r, read_span(r, t->beg, r->pos), "expected a name after '%c'", value ? '%' : '@');
    if (value)
        return TOK_VALUE;
    return t->text.n && is_digit((unsigned char)t->text.p[0]) ? TOK_LOC : TOK_SYMBOL;
}

static token_kind word_or_number_at(reader *r, token *t)
{
    if (!is_digit(peek(r, 0)) && peek(r, 0) != '-') {
        t->text = word_at(r);
        if (!str_eq(t->text, S("nan")) || peek(r, 0) != ':' || peek(r, 1) != '0' || peek(r, 2) != 'x')
            return TOK_WORD;
        r->pos++;
    }
    number_at(r);
    t->text = (str){r->text.p + t->beg, r->pos - t->beg};
    return TOK_NUMBER;
}

void read_next(reader *r)
{
    r->last = r->tok.end;
    if (r->tok.kind == TOK_PUNCT)
        r->braces += (r->tok.punct == '{') - (r->tok.punct == '}');
    for (;;) {
        bool first = skip_space(r);
        token t = {.kind = TOK_PUNCT, .first = first, .beg = r->pos};
        int c = peek(r, 0);
        if (c < 0) {
            t.kind = TOK_END;
        } else if (c == '-' && peek(r, 1) == '>') {
            t.punct = '-';
            r->pos += 2;
        } else if (is_word_char(c) || (c == '-' && is_word_char(peek(r, 1)))) {
            t.kind = word_or_number_at(r, &t);
        } else if (c == '%' || c == '@') {
            t.kind = sigil_at(r, &t);
        } else if (c == '"') {
            t.kind = TOK_STRING;
            t.text = string_at(r);
        } else {
            r->pos++;
            if (!c || !strchr("(){}[]<>,:=?!*#+", c)) {
                read_error(r, read_span(r, t.beg, r->pos),
                           c >= 0x20 && c < 0x7f ? "unexpected '%c'" : "unexpected byte 0x%02x", c);
                continue;
            }
            t.punct = (char)c;
        }
        t.end = r->pos;
        r->tok = t;
        return;
    }
}

bool read_is(const reader *r, char punct)
{
    return r->tok.kind == TOK_PUNCT && r->tok.punct == punct;
}

bool read_is_word(const reader *r, const char *word)
{
    return r->tok.kind == TOK_WORD && str_eq(r->tok.text, str_of(word));
}

bool read_take(reader *r, char punct)
{
    bool yes = read_is(r, punct);
    if (yes)
        read_next(r);
    return yes;
}

bool read_take_word(reader *r, const char *word)
{
    bool yes = read_is_word(r, word);
    if (yes)
        read_next(r);
    return yes;
}

str read_found(reader *r)
{
    uint32_t n = r->tok.end - r->tok.beg;
    if (r->tok.kind == TOK_END)
        return S("the end of the text");
    return str_fmt(r->a, "'%.*s%s'", (int)(n < 40 ? n : 40), r->text.p + r->tok.beg, n < 40 ? "" : "...");
}

bool read_expect(reader *r, char punct, const char *where)
{
    char text[3] = {punct, 0, 0};
    if (read_take(r, punct))
        return true;
    if (punct == '-')
        text[1] = '>';
    str found = read_found(r);
    read_error(r, read_here(r), "expected '%s' in %s, found %.*s", text, where, STR_ARG(found));
    return false;
}

bool read_digits(str s, bool *negative, uint64_t *out)
{
    size_t i = 0;
    uint64_t base = 10, x = 0;
    *negative = s.n && s.p[0] == '-';
    i += *negative;
    if (s.n >= i + 2 && s.p[i] == '0' && s.p[i + 1] == 'x') {
        base = 16;
        i += 2;
    }
    if (i == s.n)
        return false;
    for (; i < s.n; i++) {
        int digit = hex_digit((unsigned char)s.p[i]);
        if (digit < 0 || (uint64_t)digit >= base || x > (UINT64_MAX - (uint64_t)digit) / base)
            return false;
        x = x * base + (uint64_t)digit;
    }
    *out = x;
    return true;
}

bool read_int(reader *r, const char *what, bool wide, int64_t *out)
{
    bool negative;
    uint64_t x;
    if (r->tok.kind != TOK_NUMBER) {
        str found = read_found(r);
        read_error(r, read_here(r), "expected %s, found %.*s", what, STR_ARG(found));
        return false;
    }
    if (!read_digits(r->tok.text, &negative, &x) || (negative ? x > (uint64_t)1 << 63 : !wide && x > INT64_MAX)) {
        str found = read_found(r);
        read_error(r, read_here(r), "expected %s that fits 64 bits, found %.*s", what, STR_ARG(found));
        return false;
    }
    *out = (int64_t)(negative ? 0 - x : x);
    read_next(r);
    return true;
}

const char *read_nearest(str word, const char *const *names, uint32_t n)
{
    const char *best = NULL;
    unsigned least = word.n < 3 ? 2 : 3;
    for (uint32_t i = 0; i < n; i++) {
        unsigned far = names[i] && word.n < 64 ? str_distance(word, str_of(names[i]), least - 1) : least;
        if (far < least) {
            least = far;
            best = names[i];
        }
    }
    return best;
}

bool read_is_attrs(const reader *r)
{
    reader ahead = *r; /* only its place moves, and space and words report nothing */
    if (!read_is(r, '{'))
        return false;
    skip_space(&ahead);
    if (!word_at(&ahead).n)
        return false;
    skip_space(&ahead);
    return peek(&ahead, 0) == '=';
}
