/* matmul.c: the matrix product that all of the library's products are held to. */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stddef.h>

void ref_matmul(const double *a, const double *b, bool bt, int64_t m, int64_t n, int64_t k, double *c, double *mag)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0, size = 0;
            for (int64_t l = 0; l < k; l++) {
                double x = a[i * k + l] * (bt ? b[j * k + l] : b[l * n + j]);
                sum += x;
                size += fabs(x);
            }
            c[i * n + j] = sum;
            if (mag)
                mag[i * n + j] = size;
        }
}
