/* sort.c: insertion, which is stable. */
#include "kernels/ref/ref.h"

#include <math.h>

static bool before(double x, double y, bool descending)
{
    if (isnan(x) || isnan(y))
        return descending ? isnan(x) && !isnan(y) : !isnan(x) && isnan(y);
    return descending ? x > y : x < y;
}

void ref_argsort(const double *x, int64_t n, bool descending, int64_t *at)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t j = i;
        for (; j > 0 && before(x[i], x[at[j - 1]], descending); j--)
            at[j] = at[j - 1];
        at[j] = i;
    }
}
