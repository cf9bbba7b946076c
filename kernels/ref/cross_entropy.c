/* cross_entropy.c: log of the sum of exponentials. */
#include "kernels/ref/ref.h"

#include <math.h>

double ref_lse(const double *x, int64_t n)
{
    double top = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        top = fmax(top, x[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp(x[i] - (top == -INFINITY ? 0 : top));
    return (top == -INFINITY ? 0 : top) + log(sum);
}
