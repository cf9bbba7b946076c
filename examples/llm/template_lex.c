/* template_lex.c: text of a template -> tokens.
 *
 * White space as the templates' own environment has it: a block's tag takes the blanks before it when nothing else
 * stands on its line, and the line's end behind it; "-" on either side takes all white space there, "+" none of it. One
 * line's end at the template's end does not count. All line ends are \n. {# comments #} and {% raw %} are done with
 * here.
 */
#include "examples/llm/template_parts.h"
#include "examples/llm/utf8.h"

#include <stdlib.h>
#include <string.h>

typedef struct lexer {
    tpl_work *w;
    str s;
    size_t at;
    token_vec out;
    bool line_start; /* what came before `at` ended a line */
} lexer;

bool tpl_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool at_text(const lexer *l, size_t at, const char *z)
{
    size_t n = strlen(z);
    return n <= l->s.n - at && memcmp(l->s.p + at, z, n) == 0;
}

static tpl_token *push(lexer *l, tok_kind k, size_t at, str s)
{
    tpl_token t = {.kind = k, .at = (uint32_t)at, .s = s};
    vec_push(&l->w->a, &l->out, t);
    return &vec_last(&l->out);
}

static str right_stripped(str s)
{
    return tpl_strip(s, NULL, false, true);
}

/* behind a tag: what its end takes with it */
static void after_tag(lexer *l, char sign, bool block)
{
    size_t from = l->at;
    if (sign == '-') {
        while (l->at < l->s.n) {
            utf8_char c = utf8_at(l->s, l->at);
            if (c.state != UTF8_WHOLE || !tpl_is_space(c.code))
                break;
            l->at += c.n;
        }
    } else if (block && sign != '+' && l->at < l->s.n && l->s.p[l->at] == '\n') {
        l->at++;
    }
    l->line_start = l->at > from && l->s.p[l->at - 1] == '\n';
}

/* text up to a tag, less what the tag takes */
static str before_tag(const lexer *l, str text, char sign, bool block)
{
    size_t line = text.n;
    if (sign == '-')
        return right_stripped(text);
    if (!block || sign == '+')
        return text;
    while (line > 0 && text.p[line - 1] != '\n')
        line--;
    if (line == 0 && !l->line_start)
        return text;
    for (size_t i = line; i < text.n;) {
        utf8_char c = utf8_at(text, i);
        if (c.state != UTF8_WHOLE || !tpl_is_space(c.code))
            return text;
        i += c.n;
    }
    return (str){text.p, line};
}

/* ---- inside a tag ---- */
static bool is_name(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) ||
           (!first && c >= '0' && c <= '9');
}

/* \x41, \u00e9, \U0001f600 and octal; the digits' end */
static size_t numeric_escape(lexer *l, str s, size_t i, strbuf *out)
{
    uint32_t digits = s.p[i] == 'x' ? 2 : s.p[i] == 'u' ? 4 : s.p[i] == 'U' ? 8 : 3, base = digits == 3 ? 8 : 16;
    uint32_t code = 0, k = 0;
    char bytes[4];
    size_t at = base == 16 ? i + 1 : i;
    for (; k < digits && at + k < s.n; k++) {
        char c = s.p[at + k];
        uint32_t d = c >= '0' && c <= '9'                 ? (uint32_t)(c - '0')
                     : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a') + 10
                                                          : 99;
        if (d >= base)
            break;
        code = code * base + d;
    }
    if ((base == 16 && k < digits) || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        tpl_fault(l->w, (uint32_t)(s.p + i - l->s.p), "an escape that is no character");
    sb_put(out, (str){bytes, utf8_put(code, bytes)});
    return at + k;
}

static str undo_escapes(lexer *l, str s)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    strbuf out;
    if (!memchr(s.p, '\\', s.n))
        return s;
    sb_init(&out, &l->w->a);
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '\\' || i + 1 == s.n) {
            sb_putc(&out, s.p[i++]);
            continue;
        }
        char c = s.p[++i];
        const char *plain = c ? strchr(from, c) : NULL;
        if (plain) {
            sb_putc(&out, to[plain - from]);
            i++;
        } else if (c == 'x' || c == 'u' || c == 'U' || (c >= '0' && c <= '7')) {
            i = numeric_escape(l, s, i, &out);
        } else if (c == '\n') {
            i++;
        } else {
            sb_putc(&out, '\\');
        }
    }
    return sb_str(&out);
}

static void lex_string(lexer *l)
{
    size_t from = l->at++;
    while (l->at < l->s.n && l->s.p[l->at] != l->s.p[from])
        l->at += l->s.p[l->at] == '\\' && l->at + 1 < l->s.n ? 2 : 1;
    if (l->at >= l->s.n)
        tpl_fault(l->w, (uint32_t)from, "a string without its end");
    str s = undo_escapes(l, (str){l->s.p + from + 1, l->at - from - 1});
    l->at++;
    push(l, TK_STR, from, s);
}

static bool is_digit(const lexer *l, size_t at)
{
    return at < l->s.n && l->s.p[at] >= '0' && l->s.p[at] <= '9';
}

static void lex_number(lexer *l)
{
    char digits[64];
    size_t from = l->at, n = 0;
    bool real = false;
    while (l->at < l->s.n && n + 1 < sizeof digits) {
        char c = l->s.p[l->at];
        bool point = c == '.' && !real && is_digit(l, l->at + 1);
        bool power =
            (c | 32) == 'e' && (is_digit(l, l->at + 1) ||
                                (l->at + 1 < l->s.n && strchr("+-", l->s.p[l->at + 1]) && is_digit(l, l->at + 2)));
        if (power)
            digits[n++] = l->s.p[l->at++];
        if (!is_digit(l, l->at) && !point && !power && c != '_')
            break;
        real = real || point || power;
        if (c != '_')
            digits[n++] = l->s.p[l->at];
        l->at++;
    }
    digits[n] = 0;
    tpl_token *t = push(l, real ? TK_FLOAT : TK_INT, from, (str){l->s.p + from, l->at - from});
    if (n + 1 == sizeof digits || (!real && n > 18))
        tpl_fault(l->w, (uint32_t)from, "a number that is too long");
    if (real)
        t->f = strtod(digits, NULL);
    else
        t->i = strtoll(digits, NULL, 10);
}

static void lex_operator(lexer *l, uint32_t *open)
{
    static const char *two[] = {"//", "**", "==", "!=", ">=", "<="};
    char c = l->s.p[l->at];
    for (uint32_t i = 0; i < COUNTOF(two); i++) {
        if (at_text(l, l->at, two[i])) {
            push(l, TK_OP, l->at, str_of(two[i]));
            l->at += 2;
            return;
        }
    }
    if (!c || !strchr("+-/*%~[](){}><=.:|,", c))
        tpl_fault(l->w, (uint32_t)l->at, "unexpected '%c' in a tag", c >= ' ' && c < 127 ? c : '?');
    if (strchr("([{", c))
        ++*open;
    else if (strchr(")]}", c) && *open)
        --*open;
    push(l, TK_OP, l->at, (str){l->s.p + l->at, 1});
    l->at++;
}

/* tokens of a tag and its end; `at` stands behind the two characters (and the sign) that opened it */
static void lex_tag(lexer *l, bool block, size_t begin)
{
    const char *end = block ? "%}" : "}}";
    uint32_t open = 0;
    for (;;) {
        while (l->at < l->s.n && strchr(" \t\n\r\f\v", l->s.p[l->at]) && l->s.p[l->at])
            l->at++;
        if (l->at >= l->s.n)
            tpl_fault(l->w, (uint32_t)begin, "a tag without its end: expected '%s'", end);
        char c = l->s.p[l->at], sign = c == '-' || (block && c == '+') ? c : 0;
        if (!open && at_text(l, l->at + (sign != 0), end)) {
            push(l, block ? TK_BLOCK_END : TK_VAR_END, l->at, S(""));
            l->at += sign ? 3 : 2;
            after_tag(l, sign, block);
            return;
        }
        if (is_name(c, true)) {
            size_t from = l->at;
            while (l->at < l->s.n && is_name(l->s.p[l->at], false))
                l->at++;
            push(l, TK_NAME, from, (str){l->s.p + from, l->at - from});
        } else if (is_digit(l, l->at)) {
            lex_number(l);
        } else if (c == '"' || c == '\'') {
            lex_string(l);
        } else {
            lex_operator(l, &open);
        }
    }
}

/* ---- between tags ---- */
static void lex_comment(lexer *l, size_t begin)
{
    while (l->at + 1 < l->s.n && !at_text(l, l->at, "#}"))
        l->at++;
    if (l->at + 1 >= l->s.n)
        tpl_fault(l->w, (uint32_t)begin, "a comment without its end: expected '#}'");
    char before = l->s.p[l->at - 1], sign = l->at > begin + 2 && (before == '-' || before == '+') ? before : 0;
    l->at += 2;
    after_tag(l, sign, true);
}

/* {% raw %} and its like, from behind the "{%": where it ends, 0 where it is another tag */
static size_t plain_tag(const lexer *l, size_t at, const char *name, char *sign)
{
    while (at < l->s.n && strchr(" \t\n", l->s.p[at]) && l->s.p[at])
        at++;
    if (!at_text(l, at, name))
        return 0;
    at += strlen(name);
    while (at < l->s.n && strchr(" \t\n", l->s.p[at]) && l->s.p[at])
        at++;
    *sign = at < l->s.n && (l->s.p[at] == '-' || l->s.p[at] == '+') ? l->s.p[at] : 0;
    at += *sign != 0;
    return at < l->s.n && at_text(l, at, "%}") ? at + 2 : 0;
}

static void lex_raw(lexer *l, size_t begin)
{
    char sign;
    size_t from = l->at;
    for (size_t i = from; i + 1 < l->s.n; i++) {
        if (!at_text(l, i, "{%"))
            continue;
        char lead = i + 2 < l->s.n ? l->s.p[i + 2] : 0;
        lead = lead == '-' || lead == '+' ? lead : 0;
        size_t end = plain_tag(l, i + 2 + (lead != 0), "endraw", &sign);
        if (!end)
            continue;
        push(l, TK_TEXT, from, before_tag(l, (str){l->s.p + from, i - from}, lead, true));
        l->at = end;
        after_tag(l, sign, true);
        return;
    }
    tpl_fault(l->w, (uint32_t)begin, "'raw' without 'endraw'");
}

static void lex_next(lexer *l)
{
    size_t from = l->at, tag = from;
    while (tag < l->s.n &&
           !(l->s.p[tag] == '{' && tag + 1 < l->s.n && strchr("{%#", l->s.p[tag + 1]) && l->s.p[tag + 1]))
        tag++;
    str text = {l->s.p + from, tag - from};
    if (tag == l->s.n) {
        push(l, TK_TEXT, from, text);
        l->at = tag;
        return;
    }
    char what = l->s.p[tag + 1], sign = tag + 2 < l->s.n ? l->s.p[tag + 2] : 0, close;
    sign = sign == '-' || (sign == '+' && what != '{') ? sign : 0;
    text = before_tag(l, text, sign, what != '{');
    if (text.n)
        push(l, TK_TEXT, from, text);
    l->at = tag + 2 + (sign != 0);
    if (what == '#') {
        lex_comment(l, tag);
        return;
    }
    size_t raw = what == '%' ? plain_tag(l, l->at, "raw", &close) : 0;
    if (raw) {
        l->at = raw;
        after_tag(l, close, false); /* the line's end behind it stays */
        lex_raw(l, tag);
        return;
    }
    push(l, what == '%' ? TK_BLOCK : TK_VAR, tag, S(""));
    lex_tag(l, what == '%', tag);
}

token_vec tpl_lex(tpl_work *w)
{
    lexer l = {.w = w, .s = w->text, .line_start = true};
    if (l.s.n && l.s.p[l.s.n - 1] == '\n')
        l.s.n--;
    while (l.at < l.s.n)
        lex_next(&l);
    push(&l, TK_END, l.s.n, S(""));
    return l.out;
}
