/* softmax.c: softmax of rows, of all or of what a mask lets see. */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stddef.h>

static void row(const double *x, const unsigned char *seen, double scale, double *y, int64_t n)
{
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
        if (!seen || seen[j])
            top = fmax(top, x[j] * scale);
    double base = seen && top == -INFINITY ? 0 : top;
    for (int64_t j = 0; j < n; j++)
        sum += y[j] = !seen || seen[j] ? exp(x[j] * scale - base) : 0;
    for (int64_t j = 0; j < n; j++)
        y[j] /= seen && sum == 0 ? 1 : sum;
}

void ref_softmax(const double *x, const unsigned char *mask, double scale, double *y, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++)
        row(x + i * n, mask ? mask + i * n : NULL, scale, y + i * n, n);
}

void ref_log_softmax(const double *x, double *y, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++) {
        double top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < n; j++)
            top = fmax(top, x[i * n + j]);
        for (int64_t j = 0; j < n; j++)
            sum += exp(x[i * n + j] - top);
        for (int64_t j = 0; j < n; j++)
            y[i * n + j] = x[i * n + j] - top - log(sum);
    }
}
