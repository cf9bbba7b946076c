/* reduce.c: reductions; NaN loses in a maximum and a minimum. */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

double ref_reduce(const char *op, const double *x, int64_t n, int64_t stride, double *mag)
{
    bool max = !strcmp(op, "max"), min = !strcmp(op, "min"), squares = !strcmp(op, "squares");
    double r = max ? -INFINITY : min ? INFINITY : 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = x[i * stride];
        v = squares ? v * v : v;
        r = max ? fmax(r, v) : min ? fmin(r, v) : r + v;
        size += fabs(v);
    }
    if (!strcmp(op, "mean")) {
        r /= (double)n;
        size /= (double)n;
    }
    if (mag)
        *mag = max || min ? 0 : size;
    return r;
}
