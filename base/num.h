/* num.h: narrow floating-point formats, as bit patterns.
 *
 * One table row describes a format; encode and decode are driven by it. Encoding rounds once, to nearest even, from
 * float64 (every narrower format is exact in float64), handles denormals, and saturates where the row says so.
 *
 *   f16     1.5.10  inf, nan            f8e4m3      1.4.3  bias 7, no inf, nan 0x7f/0xff, saturates at 448
 *   bf16    1.8.7   inf, nan            f8e5m2      1.5.2  bias 15, inf, nan; conversions saturate at 57344
 *                                       f8e4m3fnuz  bias 8, nan 0x80 only, no -0, saturates at 240
 *                                       f8e5m2fnuz  bias 16, nan 0x80 only, no -0, saturates at 57344
 */
#ifndef TILE_BASE_NUM_H
#define TILE_BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef enum num_fmt {
    NUM_F16,
    NUM_BF16,
    NUM_F32,
    NUM_F64,
    NUM_F8E4M3,
    NUM_F8E5M2,
    NUM_F8E4M3FNUZ,
    NUM_F8E5M2FNUZ
} num_fmt;

/* the bit pattern of a number, and the number of a bit pattern */
static inline uint64_t num_f64_bits(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}
static inline double num_f64_of(uint64_t b)
{
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}
static inline uint32_t num_f32_bits(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}
static inline float num_f32_of(uint32_t b)
{
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* num.c */
double num_decode(num_fmt f, uint64_t bits);
uint64_t num_encode(num_fmt f, double x);
uint64_t num_encode_rtz(num_fmt f, double x); /* toward zero */
/* x rounded to format f, as a double */
double num_round(num_fmt f, double x);
/* bits between a and b counted in units in the last place of f at |ref|; for tests */
double num_ulps(num_fmt f, double got, double ref);

#endif
