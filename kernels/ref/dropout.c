/* dropout.c: the fate of one element, by its number of 31 bits. */
#include "kernels/ref/ref.h"

double ref_dropout(double x, uint64_t i, double p, uint64_t seed)
{
    int32_t bits = (int32_t)ref_philox(seed, i);
    float u = (float)(bits < 0 ? -(int64_t)bits - 1 : bits) * 4.6566127342e-10f;
    return (double)u >= p ? x / (1 - p) : 0;
}
