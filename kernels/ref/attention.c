/* attention.c: one query against the keys that it sees; softmax of all scores at once. */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stddef.h>

static bool sees(const ref_attention_rule *r, int64_t j)
{
    return (!r->causal || j <= r->position) && (r->window == 0 || j > r->position - r->window);
}

static double score(const double *q, const double *k, int64_t d, int64_t j, const ref_attention_rule *r)
{
    double s = 0;
    for (int64_t i = 0; i < d; i++)
        s += q[i] * k[i];
    s *= r->scale;
    if (r->cap != 0)
        s = r->cap * tanh(s / r->cap);
    return s + r->slope * (double)(j - r->position);
}

void ref_attention(const double *q, const double *k, const double *v, int64_t d, int64_t kstride,
                   const ref_attention_rule *r, double *out, double *mag)
{
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < r->n; j++)
        if (sees(r, j))
            top = fmax(top, score(q, k + j * kstride, d, j, r));
    for (int64_t i = 0; i < d; i++) {
        out[i] = 0;
        if (mag)
            mag[i] = 0;
    }
    for (int64_t j = 0; j < r->n; j++) {
        if (!sees(r, j))
            continue;
        double p = exp(score(q, k + j * kstride, d, j, r) - top);
        sum += p;
        for (int64_t i = 0; i < d; i++) {
            out[i] += p * v[j * kstride + i];
            if (mag)
                mag[i] += p * fabs(v[j * kstride + i]);
        }
    }
    for (int64_t i = 0; i < d && sum != 0; i++) {
        out[i] /= sum;
        if (mag)
            mag[i] /= sum;
    }
}
