/* rope.c: the frequencies of rotary embedding, with the scalings that stretch a model's context.
 *
 * Pair i of n turns by position * base^(-2i/n). On top of that
 *
 *   linear   divides all by the factor
 *   llama3   keeps what turns often within the original context, divides what does not, blends between
 *            (wavelengths original/high_freq_factor to original/low_freq_factor)
 *   yarn     likewise, by the number of rotations within the original context (beta_fast to beta_slow, a ramp over the
 *            pair's index); cos and sin are multiplied by 0.1 ln(factor) + 1   [Peng et al., arXiv 2309.00071]
 *
 * GGUF files of Llama 3 carry their divisors as a tensor instead.
 */
#include "examples/llm/model_load.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double llama3_scaled(const rope_spec *s, double freq)
{
    double wave = 2 * pi / freq;
    if (wave < s->original / s->high)
        return freq;
    if (wave > s->original / s->low)
        return freq / s->factor;
    double keep = (s->original / wave - s->low) / (s->high - s->low);
    return (1 - keep) * freq / s->factor + keep * freq;
}

/* index of the pair that makes `turns` rotations within the original context */
static double yarn_pair(const rope_spec *s, int32_t dim, double turns)
{
    return dim * log(s->original / (turns * 2 * pi)) / (2 * log(s->base));
}

static double yarn_scaled(const rope_spec *s, int32_t dim, int32_t i, double freq)
{
    double low = fmax(floor(yarn_pair(s, dim, s->beta_fast)), 0);
    double high = fmin(ceil(yarn_pair(s, dim, s->beta_slow)), dim - 1);
    double ramp = (i - low) / (high > low ? high - low : 0.001);
    double keep = 1 - fmin(fmax(ramp, 0), 1);
    return (1 - keep) * freq / s->factor + keep * freq;
}

static double scaled(const rope_spec *s, int32_t dim, int32_t i, double freq)
{
    switch (s->kind) {
    case ROPE_PLAIN:
        return freq;
    case ROPE_LINEAR:
        return freq / s->factor;
    case ROPE_LLAMA3:
        return llama3_scaled(s, freq);
    case ROPE_YARN:
        return yarn_scaled(s, dim, i, freq);
    }
    return freq;
}

static bool check_spec(loader *l, const rope_spec *s, str where)
{
    if (!(s->base > 1) || !isfinite(s->base))
        return load_fault_in(l, where, "base %g of the rotary embedding is not above 1", s->base);
    if (s->kind != ROPE_PLAIN && (!(s->factor >= 1) || !isfinite(s->factor)))
        return load_fault_in(l, where, "rope scaling by the factor %g: expected at least 1", s->factor);
    if ((s->kind == ROPE_LLAMA3 || s->kind == ROPE_YARN) && (!(s->original >= 1) || !isfinite(s->original)))
        return load_fault_in(l, where, "rope scaling needs its original context, found %g", s->original);
    if (s->kind == ROPE_LLAMA3 && !(s->low > 0 && s->high > s->low && isfinite(s->high)))
        return load_fault_in(l, where, "rope scaling's frequency factors %g and %g are not ascending", s->low, s->high);
    if (s->kind == ROPE_YARN && !(s->beta_slow > 0 && s->beta_fast > 0 && isfinite(s->beta_fast + s->beta_slow)))
        return load_fault_in(l, where, "rope scaling's betas %g and %g are not above 0", s->beta_fast, s->beta_slow);
    return true;
}

bool rope_build(loader *l, const rope_spec *s, str where)
{
    model_params *p = &l->m->p;
    int32_t pairs = p->rope_dim / 2;
    double *freq = ARENA_ARRAY(l->a, double, pairs);
    float *divisor = ARENA_ARRAY(l->a, float, pairs);
    if (!check_spec(l, s, where))
        return false;
    if (s->factors) {
        if (s->factors->rank != 1 || s->factors->shape[0] != pairs || weight_layout_of(s->factors->type)->block != 1)
            return load_fault_in(l, where, "tensor '%.*s': expected %d plain numbers", STR_ARG(s->factors->name),
                                 pairs);
        weight_read(s->factors, 0, pairs, divisor);
    }
    for (int32_t i = 0; i < pairs; i++) {
        freq[i] = scaled(s, p->rope_dim, i, pow(s->base, -2.0 * i / p->rope_dim));
        if (s->factors && !(divisor[i] > 0 && isfinite(divisor[i])))
            return load_fault_in(l, where, "tensor '%.*s': element %d is %g, expected above 0",
                                 STR_ARG(s->factors->name), i, (double)divisor[i]);
        if (s->factors)
            freq[i] /= (double)divisor[i];
    }
    p->rope_freq = freq;
    p->rope_scale = 1;
    if (s->kind == ROPE_YARN)
        p->rope_scale = isnan(s->attention) ? 0.1 * log(s->factor) + 1 : s->attention;
    return true;
}
