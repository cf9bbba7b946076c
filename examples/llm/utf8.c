/* utf8.c: UTF-8 by the table of well-formed sequences in the Unicode standard (3.9, table 3-7). */
#include "examples/llm/utf8.h"

utf8_char utf8_at(str s, size_t at)
{
    const uint8_t *p = (const uint8_t *)s.p + at;
    size_t left = s.n - at;
    uint8_t b = p[0], low = 0x80, high = 0xbf;
    uint32_t n, code;
    if (b < 0x80)
        return (utf8_char){UTF8_WHOLE, 1, b};
    if (b < 0xc2 || b > 0xf4)
        return (utf8_char){UTF8_BAD, 1, 0};
    n = b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
    code = b & (0xffu >> (n + 1));
    if (b == 0xe0)
        low = 0xa0;
    else if (b == 0xed)
        high = 0x9f;
    else if (b == 0xf0)
        low = 0x90;
    else if (b == 0xf4)
        high = 0x8f;
    for (uint32_t i = 1; i < n; i++, low = 0x80, high = 0xbf) {
        if (i >= left)
            return (utf8_char){UTF8_CUT, i, 0};
        if (p[i] < low || p[i] > high)
            return (utf8_char){UTF8_BAD, 1, 0};
        code = code << 6 | (p[i] & 0x3f);
    }
    return (utf8_char){UTF8_WHOLE, n, code};
}

uint32_t utf8_put(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    uint32_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t head[] = {[2] = 0xc0, [3] = 0xe0, [4] = 0xf0};
    for (uint32_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(head[n] | code);
    return n;
}

size_t utf8_cut_tail(str s)
{
    for (size_t k = 1; k <= 3 && k <= s.n; k++) {
        uint8_t b = (uint8_t)s.p[s.n - k];
        if (b < 0x80)
            return 0;
        if (b >= 0xc0)
            return utf8_at(s, s.n - k).state == UTF8_CUT ? k : 0;
    }
    return 0;
}

size_t utf8_count(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; n++) {
        utf8_char c = utf8_at(s, i);
        i += c.state == UTF8_WHOLE ? c.n : 1;
    }
    return n;
}
