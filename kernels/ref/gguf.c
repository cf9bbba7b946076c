/* gguf.c: values of GGUF's quantised blocks, value by value, as the format lays the bits out. */
#include "kernels/ref/ref.h"

#include <math.h>
#include <string.h>

static double half(const uint8_t *p)
{
    unsigned bits = p[0] | (unsigned)p[1] << 8, e = bits >> 10 & 31, m = bits & 1023;
    double x = e == 0 ? ldexp(m, -24) : e == 31 ? (m ? NAN : INFINITY) : ldexp(1024 + m, (int)e - 25);
    return bits >> 15 ? -x : x;
}

static int nibble(const uint8_t *qs, int i, int run) /* `run` low ones, then as many high ones, and so on */
{
    int byte = i / (2 * run) * run + i % run;
    return i / run % 2 ? qs[byte] >> 4 : qs[byte] & 15;
}

static int bit(const uint8_t *p, int i)
{
    return p[i / 8] >> i % 8 & 1;
}

static double q4_0(const uint8_t *b, int i)
{
    return half(b) * (nibble(b + 2, i, 16) - 8);
}
static double q4_1(const uint8_t *b, int i)
{
    return half(b) * nibble(b + 4, i, 16) + half(b + 2);
}
static double q5_0(const uint8_t *b, int i)
{
    return half(b) * (nibble(b + 6, i, 16) + 16 * bit(b + 2, i) - 16);
}
static double q5_1(const uint8_t *b, int i)
{
    return half(b) * (nibble(b + 8, i, 16) + 16 * bit(b + 4, i)) + half(b + 2);
}
static double q8_0(const uint8_t *b, int i)
{
    return half(b) * (int8_t)b[2 + i];
}

/* two bits of value i: 128 values take 32 bytes, value 32 g + l the pair g of byte l */
static int two_bits(const uint8_t *qs, int i)
{
    return qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

static double q2_k(const uint8_t *b, int i)
{
    int s = b[i / 16];
    return half(b + 80) * (s & 15) * two_bits(b + 16, i) - half(b + 82) * (s >> 4);
}

static double q3_k(const uint8_t *b, int i)
{
    const uint8_t *s = b + 96;
    int k = i / 16, low = k < 8 ? s[k] & 15 : s[k - 8] >> 4, high = s[8 + k % 4] >> (k / 4 * 2) & 3;
    int set = b[i % 32] >> (i / 32) & 1;
    return half(b + 108) * ((low | high << 4) - 32) * (two_bits(b + 32, i) - (set ? 0 : 4));
}

static void scale_min(const uint8_t *s, int j, int *scale, int *least)
{
    *scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    *least = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
}

static double q4_k(const uint8_t *b, int i)
{
    int scale, least;
    scale_min(b + 4, i / 32, &scale, &least);
    return half(b) * scale * nibble(b + 16, i, 32) - half(b + 2) * least;
}

static double q5_k(const uint8_t *b, int i)
{
    int scale, least, high = b[16 + i % 32] >> (i / 32) & 1;
    scale_min(b + 4, i / 32, &scale, &least);
    return half(b) * scale * (nibble(b + 48, i, 32) + 16 * high) - half(b + 2) * least;
}

static double q6_k(const uint8_t *b, int i)
{
    int q = nibble(b, i, 64) | two_bits(b + 128, i) << 4;
    return half(b + 208) * (int8_t)b[192 + i / 16] * (q - 32);
}

static int iq4(int q)
{
    static const int8_t table[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    return table[q];
}

static double iq4_nl(const uint8_t *b, int i)
{
    return half(b) * iq4(nibble(b + 2, i, 16));
}

static double iq4_xs(const uint8_t *b, int i)
{
    int g = i / 32, low = b[4 + g / 2] >> (g % 2 * 4) & 15, high = (b[2] | b[3] << 8) >> (2 * g) & 3;
    return half(b) * ((low | high << 4) - 32) * iq4(nibble(b + 8, i, 16));
}

static const struct {
    ref_gguf_format format;
    double (*value)(const uint8_t *block, int i);
} formats[] = {
    {{"q4_0", 2, 32, 18}, q4_0},    {{"q4_1", 3, 32, 20}, q4_1},      {{"q5_0", 6, 32, 22}, q5_0},
    {{"q5_1", 7, 32, 24}, q5_1},    {{"q8_0", 8, 32, 34}, q8_0},      {{"q2_k", 10, 256, 84}, q2_k},
    {{"q3_k", 11, 256, 110}, q3_k}, {{"q4_k", 12, 256, 144}, q4_k},   {{"q5_k", 13, 256, 176}, q5_k},
    {{"q6_k", 14, 256, 210}, q6_k}, {{"iq4_nl", 20, 32, 18}, iq4_nl}, {{"iq4_xs", 23, 256, 136}, iq4_xs},
};

int ref_gguf_count(void)
{
    return (int)(sizeof formats / sizeof formats[0]);
}
const ref_gguf_format *ref_gguf_at(int i)
{
    return &formats[i].format;
}

const ref_gguf_format *ref_gguf_find(const char *name)
{
    for (int i = 0; i < ref_gguf_count(); i++)
        if (!strcmp(name, formats[i].format.name))
            return &formats[i].format;
    return 0;
}

void ref_gguf_values(const ref_gguf_format *f, const uint8_t *blocks, int64_t nblocks, double *out)
{
    for (int k = 0; k < ref_gguf_count(); k++)
        for (int64_t i = 0; &formats[k].format == f && i < nblocks * f->qk; i++)
            out[i] = formats[k].value(blocks + i / f->qk * f->bytes, (int)(i % f->qk));
}

void ref_quantise_i8(const double *x, int64_t n, int64_t qk, double *q, double *s, double *sums)
{
    for (int64_t b = 0; b < n / qk; b++) {
        double top = 0;
        for (int64_t i = 0; i < qk; i++)
            top = fmax(top, fabs(x[b * qk + i]));
        s[b] = top / 127;
        sums[b] = 0;
        for (int64_t i = 0; i < qk; i++) {
            q[b * qk + i] = top > 0 ? round(x[b * qk + i] * 127 / top) : 0;
            sums[b] += s[b] * q[b * qk + i];
        }
    }
}
