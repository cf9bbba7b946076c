/* ref.h: what the kernels of this library compute, in plain loops over doubles; kernels/NAME.tile has its references in
 * ref/NAME.c.
 *
 * Arrays are row-major and hold values already rounded to the element type that the kernel reads; results are not
 * rounded. A reference that sums also says how large its terms are where the caller asks (`mag`, or NULL): the sum of
 * their magnitudes, from which a test bounds the error of a sum in lower precision.
 */
#ifndef TILE_KERNELS_REF_H
#define TILE_KERNELS_REF_H

#include <stdbool.h>
#include <stdint.h>

/* activations.c: by the names of activations.tile; false where there is none of that name */
bool ref_activation(const char *name, double x, double *y);

/* elementwise.c */
bool ref_binary(const char *name, double x, double y, double *out);

/* rmsnorm.c, layernorm.c: w and b may be NULL; wbias is added to w */
void ref_rmsnorm(const double *x, const double *w, double wbias, double *y, int64_t m, int64_t n, double eps);
void ref_layernorm(const double *x, const double *w, const double *b, double *y, double *mean, double *rstd, int64_t m,
                   int64_t n, double eps);

/* softmax.c: mask NULL, or what row i sees (not 0) */
void ref_softmax(const double *x, const unsigned char *mask, double scale, double *y, int64_t m, int64_t n);
void ref_log_softmax(const double *x, double *y, int64_t m, int64_t n);

/* rope.c: one row of d elements at `pos` */
typedef enum ref_rope_kind { REF_ROPE_PLAIN, REF_ROPE_LINEAR, REF_ROPE_LLAMA3, REF_ROPE_YARN } ref_rope_kind;
void ref_rope(const double *x, const double *freq, bool interleaved, int64_t d, int64_t half, double pos, double mscale,
              double *y);
void ref_rope_freqs(double *freq, int64_t half, double base, double factor, double context, double low, double high,
                    ref_rope_kind kind);

/* attention.c: one query against n keys; seen(j) by position */
typedef struct ref_attention_rule {
    int64_t n, position; /* keys; the query's position */
    bool causal;
    int64_t window;           /* 0: none */
    double scale, cap, slope; /* cap 0: none; slope of alibi */
} ref_attention_rule;
void ref_attention(const double *q, const double *k, const double *v, int64_t d, int64_t kstride,
                   const ref_attention_rule *r, double *out, double *mag);

/* argmax.c */
int64_t ref_argmax(const double *x, int64_t n);
void ref_topk(const double *x, int64_t n, int64_t k, double *values, double *at);

/* sampling.c: philox (the first of its four numbers), and the choice: kept[i] is the probability of token i, 0 where it
 * is dropped; gives their sum */
uint32_t ref_philox(uint64_t seed, uint64_t counter);
double ref_kept(const double *logits, int64_t n, double temperature, int64_t top_k, double top_p, double min_p,
                double *kept);
/* the token at which the running sum passes u times the whole; *margin: how far, of the whole, the nearest edge is */
int64_t ref_invert(const double *kept, int64_t n, double u, double *margin);

#endif
