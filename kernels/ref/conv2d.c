/* conv2d.c: a convolution, pixel by pixel. */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stddef.h>

static double pixel(const ref_conv *s, const double *x, const double *w, int64_t n, int64_t p, int64_t q, int64_t o,
                    double *size)
{
    double sum = 0;
    for (int64_t r = 0; r < s->r; r++)
        for (int64_t t = 0; t < s->s; t++) {
            int64_t i = p * s->stride_h - s->pad_h + r * s->dilate_h, j = q * s->stride_w - s->pad_w + t * s->dilate_w;
            for (int64_t c = 0; c < s->c && i >= 0 && i < s->h && j >= 0 && j < s->w; c++) {
                double v = x[((n * s->h + i) * s->w + j) * s->c + c] * w[((o * s->r + r) * s->s + t) * s->c + c];
                sum += v;
                *size += fabs(v);
            }
        }
    return sum;
}

void ref_conv2d(const ref_conv *s, const double *x, const double *w, const double *bias, double *y, double *mag)
{
    for (int64_t i = 0; i < s->n * s->p * s->q; i++)
        for (int64_t o = 0; o < s->o; o++) {
            double size = bias ? fabs(bias[o]) : 0;
            y[i * s->o + o] =
                (bias ? bias[o] : 0) + pixel(s, x, w, i / (s->p * s->q), i / s->q % s->p, i % s->q, o, &size);
            if (mag)
                mag[i * s->o + o] = size;
        }
}
