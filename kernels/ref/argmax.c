/* argmax.c: the greatest of a row; NaN counts as -infinity, of equals the leftmost comes first. */
#include "kernels/ref/ref.h"

#include <math.h>

static double value(double x)
{
    return isnan(x) ? -INFINITY : x;
}

int64_t ref_argmax(const double *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (value(x[i]) > value(x[best]))
            best = i;
    return best;
}

void ref_topk(const double *x, int64_t n, int64_t k, double *values, double *at)
{
    for (int64_t r = 0; r < k; r++) {
        int64_t best = -1;
        for (int64_t i = 0; i < n; i++) {
            bool taken = false;
            for (int64_t p = 0; p < r && !taken; p++)
                taken = (int64_t)at[p] == i;
            if (!taken && (best < 0 || value(x[i]) > value(x[best])))
                best = i;
        }
        at[r] = (double)best;
        values[r] = value(x[best]);
    }
}
