/* rmsnorm.c: root-mean-square normalisation of rows. */
#include "kernels/ref/ref.h"

#include <math.h>

void ref_rmsnorm(const double *x, const double *w, double wbias, double *y, int64_t m, int64_t n, double eps)
{
    for (int64_t i = 0; i < m; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++)
            sum += x[i * n + j] * x[i * n + j];
        double scale = 1 / sqrt(sum / (double)n + eps);
        for (int64_t j = 0; j < n; j++)
            y[i * n + j] = x[i * n + j] * scale * (w[j] + wbias);
    }
}
