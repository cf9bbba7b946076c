/* scan.c: linear recurrences, of which running sums are the case a = 1. */
#include "kernels/ref/ref.h"

#include <stddef.h>

void ref_linear_scan(const double *a, const double *b, int64_t n, bool exclusive, double *y)
{
    double last = 0;
    for (int64_t j = 0; j < n; j++) {
        double next = (a ? a[j] : 1) * last + b[j];
        y[j] = exclusive ? last : next;
        last = next;
    }
}
