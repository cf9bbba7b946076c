/* weights.c: the storage types of weights, and the dequantisation that defines what a stored row means.
 *
 * Blocks as ggml lays them out (d, m: float16; all little-endian; K types have 256 elements a block, the others 32):
 *
 *   Q4_0, IQ4_NL   d  q[16]                      element i and i + 16 share a byte, low nibble first
 *   Q4_1           d m  q[16]
 *   Q5_0, Q5_1     d (m)  high[4]  q[16]         bit i of `high` is the fifth bit of element i
 *   Q8_0           d  q[32]
 *   Q2_K           scale[16]  q[64]  d m         a scale and a minimum of four bits for 16 elements
 *   Q3_K           high[32]  q[64]  scale[12]  d
 *   Q4_K, Q5_K     d m  scale[12]  (high[32])  q[128]       six-bit scales and minima for 32 elements
 *   Q6_K           low[128]  high[64]  scale[16]  d
 *   IQ4_XS         d  high[2]  low[4]  q[128]    six-bit scales for 32 elements; nibbles index a table
 *
 * This is the plain reading, one element after another: the engine's kernels are tested against it.
 */
#include "base/base.h"
#include "examples/llm/model_file.h"

static const weight_layout layouts[] = {
    [WT_F32] = {"F32", 1, 4},       [WT_F16] = {"F16", 1, 2},         [WT_BF16] = {"BF16", 1, 2},
    [WT_Q4_0] = {"Q4_0", 32, 18},   [WT_Q4_1] = {"Q4_1", 32, 20},     [WT_Q5_0] = {"Q5_0", 32, 22},
    [WT_Q5_1] = {"Q5_1", 32, 24},   [WT_Q8_0] = {"Q8_0", 32, 34},     [WT_Q2_K] = {"Q2_K", 256, 84},
    [WT_Q3_K] = {"Q3_K", 256, 110}, [WT_Q4_K] = {"Q4_K", 256, 144},   [WT_Q5_K] = {"Q5_K", 256, 176},
    [WT_Q6_K] = {"Q6_K", 256, 210}, [WT_IQ4_NL] = {"IQ4_NL", 32, 18}, [WT_IQ4_XS] = {"IQ4_XS", 256, 136},
};
_Static_assert(COUNTOF(layouts) == WT_COUNT, "a line for each type");

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

const weight_layout *weight_layout_of(weight_type t)
{
    return &layouts[t];
}

static float f16_at(const uint8_t *p)
{
    uint32_t h = (uint32_t)p[0] | (uint32_t)p[1] << 8, sign = (h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 1023;
    if (exp == 31)
        return num_f32_of(sign | 0x7f800000 | man << 13);
    if (exp)
        return num_f32_of(sign | (exp + 112) << 23 | man << 13);
    float small = (float)man * 0x1p-24f;
    return sign ? -small : small;
}

static void read_q4_0(const uint8_t *p, float *y)
{
    float d = f16_at(p);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)((p[2 + i] & 15) - 8);
        y[i + 16] = d * (float)((p[2 + i] >> 4) - 8);
    }
}

static void read_q4_1(const uint8_t *p, float *y)
{
    float d = f16_at(p), m = f16_at(p + 2);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)(p[4 + i] & 15) + m;
        y[i + 16] = d * (float)(p[4 + i] >> 4) + m;
    }
}

/* both five-bit types: `high` and what follows it, elements in [0, 32) */
static void five_bits(const uint8_t *high, float d, float add, float *y)
{
    const uint8_t *q = high + 4;
    for (int i = 0; i < 16; i++) {
        int lo = high[i / 8] >> (i % 8) & 1, hi = high[2 + i / 8] >> (i % 8) & 1;
        y[i] = d * (float)((q[i] & 15) | lo << 4) + add;
        y[i + 16] = d * (float)(q[i] >> 4 | hi << 4) + add;
    }
}

static void read_q5_0(const uint8_t *p, float *y)
{
    float d = f16_at(p);
    five_bits(p + 2, d, -16 * d, y);
}

static void read_q5_1(const uint8_t *p, float *y)
{
    five_bits(p + 4, f16_at(p), f16_at(p + 2), y);
}

static void read_q8_0(const uint8_t *p, float *y)
{
    float d = f16_at(p);
    for (int i = 0; i < 32; i++)
        y[i] = d * (float)(int8_t)p[2 + i];
}

/* Element e of a 128-element half of Q2_K and Q3_K: byte e % 32, bits 2 * (e / 32) up. */
static void read_q2_k(const uint8_t *p, float *y)
{
    const uint8_t *scale = p, *q = p + 16;
    float d = f16_at(p + 80), m = f16_at(p + 82);
    for (int e = 0; e < 256; e++) {
        uint8_t s = scale[e / 16];
        int bits = q[e / 128 * 32 + e % 32] >> (e % 128 / 32 * 2) & 3;
        y[e] = d * (float)(s & 15) * (float)bits - m * (float)(s >> 4);
    }
}

static void read_q3_k(const uint8_t *p, float *y)
{
    const uint8_t *high = p, *q = p + 32, *scale = p + 96;
    float d = f16_at(p + 108);
    for (int e = 0; e < 256; e++) {
        int j = e / 16, low = j < 8 ? scale[j] & 15 : scale[j - 8] >> 4, top = scale[8 + j % 4] >> (j / 4 * 2) & 3;
        int bits = q[e / 128 * 32 + e % 32] >> (e % 128 / 32 * 2) & 3;
        int v = bits - (high[e % 32] >> (e / 32) & 1 ? 0 : 4);
        y[e] = d * (float)((low | top << 4) - 32) * (float)v;
    }
}

/* scale and minimum of sub-block j of Q4_K and Q5_K: eight six-bit pairs in twelve bytes */
static void k_scale(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        *min = s[j + 4] >> 4 | s[j] >> 6 << 4;
    }
}

static void read_q4_k(const uint8_t *p, float *y)
{
    float d = f16_at(p), m = f16_at(p + 2);
    for (int j = 0; j < 8; j++) {
        const uint8_t *q = p + 16 + j / 2 * 32;
        int scale, min;
        k_scale(p + 4, j, &scale, &min);
        for (int i = 0; i < 32; i++)
            y[j * 32 + i] = d * (float)scale * (float)(j % 2 ? q[i] >> 4 : q[i] & 15) - m * (float)min;
    }
}

static void read_q5_k(const uint8_t *p, float *y)
{
    const uint8_t *high = p + 16;
    float d = f16_at(p), m = f16_at(p + 2);
    for (int j = 0; j < 8; j++) {
        const uint8_t *q = p + 48 + j / 2 * 32;
        int scale, min;
        k_scale(p + 4, j, &scale, &min);
        for (int i = 0; i < 32; i++) {
            int v = (j % 2 ? q[i] >> 4 : q[i] & 15) | (high[i] >> j & 1) << 4;
            y[j * 32 + i] = d * (float)scale * (float)v - m * (float)min;
        }
    }
}

static void read_q6_k(const uint8_t *p, float *y)
{
    float d = f16_at(p + 208);
    for (int e = 0; e < 256; e++) {
        int half = e / 128, k = e % 128, part = k / 32, i = k % 32;
        const uint8_t *low = p + half * 64 + part % 2 * 32, *high = p + 128 + half * 32;
        int v = (part < 2 ? low[i] & 15 : low[i] >> 4) | (high[i] >> (part * 2) & 3) << 4;
        y[e] = d * (float)(int8_t)p[192 + e / 16] * (float)(v - 32);
    }
}

static void read_iq4_nl(const uint8_t *p, float *y)
{
    float d = f16_at(p);
    for (int i = 0; i < 16; i++) {
        y[i] = d * (float)iq4_values[p[2 + i] & 15];
        y[i + 16] = d * (float)iq4_values[p[2 + i] >> 4];
    }
}

static void read_iq4_xs(const uint8_t *p, float *y)
{
    float d = f16_at(p);
    int high = p[2] | p[3] << 8;
    for (int j = 0; j < 8; j++) {
        const uint8_t *q = p + 8 + j * 16;
        int scale = (p[4 + j / 2] >> (j % 2 * 4) & 15) | (high >> (j * 2) & 3) << 4;
        float s = d * (float)(scale - 32);
        for (int i = 0; i < 16; i++) {
            y[j * 32 + i] = s * (float)iq4_values[q[i] & 15];
            y[j * 32 + i + 16] = s * (float)iq4_values[q[i] >> 4];
        }
    }
}

static void read_block(weight_type t, const uint8_t *p, float *y)
{
    switch (t) {
    case WT_F32:
        memcpy(y, p, sizeof *y);
        break;
    case WT_F16:
        *y = f16_at(p);
        break;
    case WT_BF16:
        *y = num_f32_of((uint32_t)p[0] << 16 | (uint32_t)p[1] << 24);
        break;
    case WT_Q4_0:
        read_q4_0(p, y);
        break;
    case WT_Q4_1:
        read_q4_1(p, y);
        break;
    case WT_Q5_0:
        read_q5_0(p, y);
        break;
    case WT_Q5_1:
        read_q5_1(p, y);
        break;
    case WT_Q8_0:
        read_q8_0(p, y);
        break;
    case WT_Q2_K:
        read_q2_k(p, y);
        break;
    case WT_Q3_K:
        read_q3_k(p, y);
        break;
    case WT_Q4_K:
        read_q4_k(p, y);
        break;
    case WT_Q5_K:
        read_q5_k(p, y);
        break;
    case WT_Q6_K:
        read_q6_k(p, y);
        break;
    case WT_IQ4_NL:
        read_iq4_nl(p, y);
        break;
    case WT_IQ4_XS:
        read_iq4_xs(p, y);
        break;
    case WT_COUNT:
        break;
    }
}

void weight_read(const weight *w, int64_t first, int64_t n, float *out)
{
    const weight_layout *l = &layouts[w->type];
    const uint8_t *p = (const uint8_t *)w->data + first / l->block * l->bytes;
    for (int64_t i = 0; i < n; i += l->block, p += l->bytes)
        read_block(w->type, p, out + i);
}
