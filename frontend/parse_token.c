/* parse_token.c: what tokens mean: words, numbers, strings, and the bytes that mean nothing. */
#include "frontend/parse.h"
#include "parser.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *word;
    int token;
} keywords[] = {
#define KEYWORD(text, token) {text, T_##token},
#include "frontend/keywords.def"
#undef KEYWORD
};

int parse_word(parse_ctx *c, str text, TILE_STYPE *v)
{
    for (size_t i = 0; i < COUNTOF(keywords); i++)
        if (str_eq(text, str_of(keywords[i].word)))
            return keywords[i].token;
    /* a view of the source, which lives as long as the tree */
    v->s = (str){c->text.p + c->off - text.n, text.n};
    return T_NAME;
}

static int digit_of(char ch)
{
    return ch >= '0' && ch <= '9'   ? ch - '0'
           : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
           : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                    : 99;
}

int parse_int(parse_ctx *c, str text, unsigned base, span at, TILE_STYPE *v)
{
    size_t i = base == 10 ? 0 : 2;
    u128 x = 0, most = ~(u128)0 >> 1;
    bool digits = false;
    for (; i < text.n; i++) {
        if (text.p[i] == '_')
            continue;
        unsigned k = (unsigned)digit_of(text.p[i]);
        if (k >= base)
            return parse_bad_number(c, text, at, v);
        if (x > (most - k) / base) {
            fe_report(c->d, D_BIG_NUMBER, at, text.n > 60 ? 60 : (int)text.n, text.p);
            return T_BAD;
        }
        x = x * base + k;
        digits = true;
    }
    if (!digits)
        return parse_bad_number(c, text, at, v);
    v->num = const_of_int((i128)x);
    return T_NUMBER;
}

int parse_float(parse_ctx *c, str text, span at, TILE_STYPE *v)
{
    char *z = arena_alloc(c->a, text.n + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '_')
            z[n++] = text.p[i];
    double x = strtod(z, NULL);
    if (isinf(x)) {
        fe_report(c->d, D_BIG_FLOAT, at, text.n > 60 ? 60 : (int)text.n, text.p);
        return T_BAD;
    }
    v->num = const_of_float(x);
    return T_NUMBER;
}

int parse_bad_number(parse_ctx *c, str text, span at, TILE_STYPE *v)
{
    (void)v;
    fe_report(c->d, D_BAD_NUMBER, at, text.n > 60 ? 60 : (int)text.n, text.p);
    return T_BAD;
}

int parse_string(parse_ctx *c, str text, span at, TILE_STYPE *v)
{
    static const char plain[] = "n\nt\tr\r\\\\'\'\"\"0\0";
    char *z = arena_alloc(c->a, text.n, 1);
    size_t n = 0;
    for (size_t i = 1; i + 1 < text.n; i++) {
        if (text.p[i] != '\\') {
            z[n++] = text.p[i];
            continue;
        }
        char e = text.p[++i];
        size_t k = 0;
        while (k < sizeof plain - 1 && plain[k] != e)
            k += 2;
        if (k < sizeof plain - 1)
            z[n++] = plain[k + 1];
        else
            fe_report(c->d, D_BAD_ESCAPE, (span){at.file, at.beg + (uint32_t)i - 1, at.beg + (uint32_t)i + 1},
                      e >= 32 && e < 127 ? e : '?');
    }
    v->s = (str){z, n};
    return T_STRING;
}

int parse_open_string(parse_ctx *c, span at, TILE_STYPE *v)
{
    (void)v;
    fe_report(c->d, D_OPEN_STRING, at);
    return T_BAD;
}

int parse_augmented(parse_ctx *c, str text, span at, TILE_STYPE *v)
{
    static const struct {
        const char *text;
        fe_op op;
    } ops[] = {{"+=", FE_ADD}, {"-=", FE_SUB}, {"*=", FE_MUL}, {"/=", FE_DIV}, {"//=", FE_FLOORDIV}, {"%=", FE_MOD},
               {"<<=", FE_SHL}, {">>=", FE_SHR}, {"&=", FE_AND}, {"|=", FE_OR}, {"^=", FE_XOR}};
    for (size_t i = 0; i < COUNTOF(ops); i++)
        if (str_eq(text, str_of(ops[i].text))) {
            v->op = ops[i].op;
            return T_AUGMENTED;
        }
    fe_report(c->d, D_SYNTAX, at, "'**='");
    return T_BAD;
}

/* names a printable character as itself and a byte by its number; a run of junk is one diagnostic */
int parse_bad_bytes(parse_ctx *c, str text, span at)
{
    unsigned char b = (unsigned char)text.p[0];
    char say[16];
    if (b > 32 && b < 127)
        snprintf(say, sizeof say, "'%c'", b);
    else
        snprintf(say, sizeof say, "0x%02x", b);
    fe_report(c->d, D_BAD_BYTES, at, say);
    return T_BAD;
}
