/* ref.h: what the kernels of this library compute, in plain loops over doubles; kernels/NAME.tile has its references in
 * ref/NAME.c; all products share matmul.c, quantised ones gguf.c too.
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

/* gguf.c: the quantised formats of GGUF; `type` is the number that a file gives it */
typedef struct ref_gguf_format {
    const char *name;
    int type, qk, bytes; /* values and bytes of a block */
} ref_gguf_format;
int ref_gguf_count(void);
const ref_gguf_format *ref_gguf_at(int i);
const ref_gguf_format *ref_gguf_find(const char *name); /* NULL: none of that name */
void ref_gguf_values(const ref_gguf_format *f, const uint8_t *blocks, int64_t nblocks, double *out);
/* blocks of qk values as 8-bit integers, their scales, and scale * sum of the integers */
void ref_quantise_i8(const double *x, int64_t n, int64_t qk, double *q, double *s, double *sums);

/* matmul.c: c[m, n] = a[m, k] @ b[k, n], or @ b[n, k]^T where bt */
void ref_matmul(const double *a, const double *b, bool bt, int64_t m, int64_t n, int64_t k, double *c, double *mag);

/* reduce.c: op as reduce.tile names it, of n elements `stride` apart */
double ref_reduce(const char *op, const double *x, int64_t n, int64_t stride, double *mag);

/* scan.c: y[j] = a[j] y[j - 1] + b[j]; a NULL: ones */
void ref_linear_scan(const double *a, const double *b, int64_t n, bool exclusive, double *y);

/* sort.c: the order of n values, stable, NaN greatest (first where descending) */
void ref_argsort(const double *x, int64_t n, bool descending, int64_t *at);

/* dropout.c: what element i of value x becomes */
double ref_dropout(double x, uint64_t i, double p, uint64_t seed);

/* conv2d.c: sizes as in conv2d.tile */
typedef struct ref_conv {
    int64_t n, h, w, c, o, r, s, p, q;
    int64_t stride_h, stride_w, pad_h, pad_w, dilate_h, dilate_w;
} ref_conv;
void ref_conv2d(const ref_conv *s, const double *x, const double *w, const double *bias, double *y, double *mag);

/* cross_entropy.c: log of the sum of exponentials of a row */
double ref_lse(const double *x, int64_t n);

#endif
