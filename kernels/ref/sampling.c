/* sampling.c: Philox-4x32-10, and the distribution that a token is drawn from. */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stdlib.h>

uint32_t ref_philox(uint64_t seed, uint64_t counter)
{
    uint32_t x[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0};
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)x[0] * 0xD2511F53u, b = (uint64_t)x[2] * 0xCD9E8D57u;
        uint32_t y[4] = {(uint32_t)(b >> 32) ^ x[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ x[3] ^ k1, (uint32_t)a};
        for (int i = 0; i < 4; i++)
            x[i] = y[i];
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return x[0];
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static double value(double x)
{
    return isnan(x) ? -INFINITY : x;
}

double ref_kept(const double *logits, int64_t n, double temperature, int64_t top_k, double top_p, double min_p,
                double *kept)
{
    double *sorted = malloc((size_t)n * sizeof *sorted);
    double sum = 0, above = 0, least = 0;
    if (!sorted)
        abort();
    for (int64_t i = 0; i < n; i++)
        sorted[i] = value(logits[i]);
    qsort(sorted, (size_t)n, sizeof *sorted, descending);
    double limit = top_k > 0 && top_k < n ? sorted[top_k - 1] : -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        double p = exp((value(logits[i]) - sorted[0]) / temperature);
        kept[i] = value(logits[i]) >= limit && p >= fmin(min_p, 1) ? p : 0;
        sum += kept[i];
    }
    for (int64_t i = 0; i < n; i++)
        sorted[i] = kept[i];
    qsort(sorted, (size_t)n, sizeof *sorted, descending);
    for (int64_t i = 0; i < n && top_p < 1 && (i == 0 || above < top_p * sum); i++) {
        least = sorted[i];
        above += sorted[i];
    }
    sum = 0;
    for (int64_t i = 0; i < n; i++) {
        kept[i] = kept[i] >= least ? kept[i] : 0;
        sum += kept[i];
    }
    free(sorted);
    return sum;
}

int64_t ref_invert(const double *kept, int64_t n, double u, double *margin)
{
    double sum = 0, run = 0;
    int64_t found = -1;
    *margin = 1;
    for (int64_t i = 0; i < n; i++)
        sum += kept[i];
    for (int64_t i = 0; i < n; i++) {
        run += kept[i];
        if (kept[i] == 0)
            continue;
        *margin = fmin(*margin, fabs(run / sum - u));
        if (found < 0 && run > u * sum)
            found = i;
    }
    return found;
}
