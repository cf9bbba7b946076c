/* layernorm.c: layer normalisation of rows. */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stddef.h>

void ref_layernorm(const double *x, const double *w, const double *b, double *y, double *mean, double *rstd, int64_t m,
                   int64_t n, double eps)
{
    for (int64_t i = 0; i < m; i++) {
        double mu = 0, var = 0;
        for (int64_t j = 0; j < n; j++)
            mu += x[i * n + j];
        mu /= (double)n;
        for (int64_t j = 0; j < n; j++)
            var += (x[i * n + j] - mu) * (x[i * n + j] - mu);
        double r = 1 / sqrt(var / (double)n + eps);
        for (int64_t j = 0; j < n; j++)
            y[i * n + j] = (x[i * n + j] - mu) * r * (w ? w[j] : 1) + (b ? b[j] : 0);
        if (mean)
            mean[i] = mu;
        if (rstd)
            rstd[i] = r;
    }
}
