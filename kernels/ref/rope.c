/* rope.c: rotary embedding of one row, and the tables of inverse frequencies. */
#include "kernels/ref/ref.h"

#include <math.h>

void ref_rope(const double *x, const double *freq, bool interleaved, int64_t d, int64_t half, double pos, double mscale,
              double *y)
{
    for (int64_t i = 0; i < d; i++)
        y[i] = x[i];
    for (int64_t i = 0; i < half; i++) {
        int64_t a = interleaved ? 2 * i : i, b = interleaved ? 2 * i + 1 : i + half;
        double c = cos(pos * freq[i]) * mscale, s = sin(pos * freq[i]) * mscale;
        y[a] = x[a] * c - x[b] * s;
        y[b] = x[a] * s + x[b] * c;
    }
}

static double clamp01(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

void ref_rope_freqs(double *freq, int64_t half, double base, double factor, double context, double low, double high,
                    ref_rope_kind kind)
{
    const double turn = 6.28318530717958647693;
    double dim = 2 * (double)half;
    for (int64_t i = 0; i < half; i++) {
        double f = 1 / pow(base, 2 * (double)i / dim), keep = 1;
        if (kind == REF_ROPE_LINEAR)
            keep = 0;
        if (kind == REF_ROPE_LLAMA3) { /* by wavelength */
            double wave = turn / f;
            if (wave > context / low)
                keep = 0;
            else if (wave >= context / high)
                keep = (context / wave - low) / (high - low);
        }
        if (kind == REF_ROPE_YARN) { /* the pairs that turn so often in the context */
            double first = floor(dim * log(context / (high * turn)) / (2 * log(base)));
            double last = ceil(dim * log(context / (low * turn)) / (2 * log(base)));
            first = first < 0 ? 0 : first;
            last = last > dim - 1 ? dim - 1 : last;
            keep = 1 - clamp01(((double)i - first) / (last - first < 0.001 ? 0.001 : last - first));
        }
        freq[i] = f * keep + (kind == REF_ROPE_PLAIN ? 0 : f / factor * (1 - keep));
    }
}
