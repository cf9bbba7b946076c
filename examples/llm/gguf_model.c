/* gguf_model.c: what a GGUF file's metadata says of the model: hyperparameters, rotary embedding, vocabulary, template.
 *
 * Figures have bounds that any real model keeps far from and that keep later products in 64 bits. What a key leaves out
 * has the format's default (llama.cpp's, where the format names none).
 */
#include "examples/llm/gguf.h"

#include <math.h>
#include <string.h>

static bool read_arch(gguf *g)
{
    static const struct {
        const char *name;
        model_arch arch;
        bool interleaved; /* converters permute the rows of q and k for these */
    } known[] = {{"llama", ARCH_LLAMA, true}, {"qwen2", ARCH_QWEN2, false}, {"qwen3", ARCH_QWEN3, false}};
    model_params *p = &g->l->m->p;
    str arch;
    if (!gguf_str(g, "general.architecture", true, &arch) || !gguf_str(g, "general.name", false, &p->name))
        return false;
    for (uint32_t i = 0; i < COUNTOF(known); i++) {
        if (str_eq(arch, str_of(known[i].name))) {
            p->arch = known[i].arch;
            p->rope_interleaved = known[i].interleaved;
            return true;
        }
    }
    return load_fault(g->l, g->f, gguf_find(g, "general.architecture")->at,
                      "architecture '%.*s' is not known: expected 'llama', 'qwen2' or 'qwen3'",
                      (int)(arch.n < 80 ? arch.n : 80), arch.p);
}

static bool read_dims(gguf *g)
{
    model_params *p = &g->l->m->p;
    int64_t layers, dim, ff, heads, kv, key, value, context, window = 0, experts = 0;
    if (!gguf_int(g, ".block_count", true, 1, 4096, &layers) ||
        !gguf_int(g, ".embedding_length", true, 1, 1 << 20, &dim) ||
        !gguf_int_or_same(g, ".feed_forward_length", true, 1, 1 << 22, &ff) ||
        !gguf_int_or_same(g, ".attention.head_count", true, 1, 1 << 14, &heads))
        return false;
    kv = heads;
    key = dim / heads;
    if (!gguf_int_or_same(g, ".attention.head_count_kv", false, 1, heads, &kv) ||
        !gguf_int(g, ".attention.key_length", false, 2, 1 << 14, &key))
        return false;
    value = key;
    if (!gguf_int(g, ".attention.value_length", false, key, key, &value) ||
        !gguf_int(g, ".context_length", true, 1, 1 << 27, &context) ||
        !gguf_int(g, ".attention.sliding_window", false, 0, 1 << 27, &window) ||
        !gguf_int(g, ".expert_count", false, 0, 0, &experts) ||
        !gguf_float(g, ".attention.layer_norm_rms_epsilon", true, &p->norm_eps))
        return false;
    p->layers = (int32_t)layers, p->dim = (int32_t)dim, p->ff = (int32_t)ff, p->heads = (int32_t)heads;
    p->kv_heads = (int32_t)kv, p->head_dim = (int32_t)key, p->context = (int32_t)context;
    p->window = window < context ? (int32_t)window : 0;
    return true;
}

static bool read_rope_kind(gguf *g, rope_spec *s)
{
    str kind = S("none");
    if (!gguf_str(g, ".rope.scaling.type", false, &kind) || !gguf_float(g, ".rope.scaling.factor", false, &s->factor))
        return false;
    if (str_eq(kind, S("none")))
        s->kind = ROPE_PLAIN;
    else if (str_eq(kind, S("linear")))
        s->kind = ROPE_LINEAR;
    else if (str_eq(kind, S("yarn")))
        s->kind = ROPE_YARN;
    else
        return load_fault(g->l, g->f, gguf_find(g, ".rope.scaling.type")->at,
                          "rope scaling '%.*s' is not known: expected 'none', 'linear' or 'yarn'",
                          (int)(kind.n < 80 ? kind.n : 80), kind.p);
    if (gguf_find(g, ".rope.scale_linear") && s->kind == ROPE_PLAIN) {
        s->kind = ROPE_LINEAR;
        return gguf_float(g, ".rope.scale_linear", false, &s->factor);
    }
    return true;
}

static bool read_rope(gguf *g)
{
    model_params *p = &g->l->m->p;
    rope_spec s = {.base = 10000, .factor = 1, .original = p->context, .beta_fast = 32, .beta_slow = 1};
    int64_t dim = p->head_dim, original = p->context;
    double attention = NAN;
    if (!gguf_int(g, ".rope.dimension_count", false, 2, p->head_dim, &dim) ||
        !gguf_float(g, ".rope.freq_base", false, &s.base) || !read_rope_kind(g, &s) ||
        !gguf_int(g, ".rope.scaling.original_context_length", false, 1, 1 << 27, &original) ||
        !gguf_float(g, ".rope.scaling.attn_factor", false, &attention) ||
        !gguf_float(g, ".rope.scaling.yarn_beta_fast", false, &s.beta_fast) ||
        !gguf_float(g, ".rope.scaling.yarn_beta_slow", false, &s.beta_slow))
        return false;
    if (dim % 2)
        return load_fault_in(g->l, g->f->path, "rotary embedding of %lld elements of a head: expected an even number",
                             (long long)dim);
    p->rope_dim = (int32_t)dim;
    s.original = (double)original;
    /* the file's factor is on top of YaRN's own */
    s.attention = isnan(attention) ? NAN : attention * (0.1 * log(s.factor) + 1);
    s.factors = model_weight(g->l->m, "rope_freqs.weight");
    return rope_build(g->l, &s, g->f->path);
}

/* ---- vocabulary ---- */
static bool read_token(gguf *g, const char *key, int64_t def, int32_t *out)
{
    int64_t id = def;
    bool there = gguf_find(g, key) != NULL;
    if (there && !gguf_int(g, key, false, 0, (int64_t)g->l->m->v.n - 1, &id))
        return false;
    *out = id < (int64_t)g->l->m->v.n ? (int32_t)id : -1;
    return true;
}

static bool same_count(gguf *g, const gguf_value *v)
{
    if (v->count == g->l->m->v.n)
        return true;
    return load_fault(g->l, g->f, v->at, "'%.*s' has %llu elements for %u tokens", STR_ARG(v->key),
                      (unsigned long long)v->count, g->l->m->v.n);
}

static bool read_kinds(gguf *g)
{
    vocab *v = &g->l->m->v;
    const gguf_value *kinds, *scores;
    if (!gguf_array(g, "tokenizer.ggml.token_type", GGUF_I32, false, &kinds) || (kinds && !same_count(g, kinds)) ||
        !gguf_array(g, "tokenizer.ggml.scores", GGUF_F32, false, &scores) || (scores && !same_count(g, scores)))
        return false;
    if (scores) {
        float *copy = ARENA_ARRAY(g->l->a, float, v->n);
        memcpy(copy, g->f->at + scores->at, v->n * sizeof *copy);
        v->scores = copy;
    }
    if (kinds) {
        uint8_t *copy = ARENA_ARRAY(g->l->a, uint8_t, v->n);
        for (uint32_t i = 0; i < v->n; i++) {
            int32_t k;
            memcpy(&k, g->f->at + kinds->at + i * sizeof k, sizeof k);
            if (k < 0 || k > TOKEN_BYTE)
                return load_fault(g->l, g->f, kinds->at + i * sizeof k,
                                  "'tokenizer.ggml.token_type' of token %u is %d: expected 0 to %d", i, k, TOKEN_BYTE);
            copy[i] = k ? (uint8_t)k : TOKEN_NORMAL;
        }
        v->kinds = copy;
    }
    return true;
}

static bool read_merges(gguf *g)
{
    vocab *v = &g->l->m->v;
    const gguf_value *list;
    if (!gguf_array(g, "tokenizer.ggml.merges", GGUF_STRING, v->kind == VOCAB_BPE, &list) || !list)
        return v->kind != VOCAB_BPE || list;
    if (list->count > INT32_MAX)
        return load_fault(g->l, g->f, list->at, "'tokenizer.ggml.merges' has %llu elements",
                          (unsigned long long)list->count);
    const str *lines = gguf_strings(g, list);
    str(*merges)[2] = arena_array(g->l->a, list->count, sizeof *merges, _Alignof(str));
    for (uint64_t i = 0; i < list->count; i++) {
        str s = lines[i];
        const char *gap = s.n > 2 ? memchr(s.p + 1, ' ', s.n - 2) : NULL;
        if (!gap)
            return load_fault(g->l, g->f, (uint64_t)((const uint8_t *)s.p - g->f->at),
                              "'tokenizer.ggml.merges': element %llu is no pair with a space between",
                              (unsigned long long)i);
        merges[i][0] = (str){s.p, (size_t)(gap - s.p)};
        merges[i][1] = (str){gap + 1, s.n - (size_t)(gap - s.p) - 1};
    }
    v->merges = (const str(*)[2])merges;
    v->nmerges = (uint32_t)list->count;
    return true;
}

static bool read_rules(gguf *g)
{
    vocab *v = &g->l->m->v;
    static const char *whole[] = {"llama3", "llama-v3", "llama-bpe", "falcon3"};
    bool space = v->kind == VOCAB_SPM, spm = v->kind == VOCAB_SPM;
    v->pre = spm ? S("") : S("default");
    v->add_bos = spm;
    if (!gguf_str(g, "tokenizer.ggml.pre", false, &v->pre))
        return false;
    for (uint32_t i = 0; !spm && i < COUNTOF(whole); i++)
        if (str_eq(v->pre, str_of(whole[i])))
            v->whole_first = v->add_bos = true;
    v->nfc = !spm && str_eq(v->pre, S("qwen2"));
    if (!gguf_bool(g, "tokenizer.ggml.add_bos_token", &v->add_bos) ||
        !gguf_bool(g, "tokenizer.ggml.add_eos_token", &v->add_eos) ||
        !gguf_bool(g, "tokenizer.ggml.add_space_prefix", &space))
        return false;
    v->space = space ? VOCAB_SPACE : 0;
    int32_t *ends = ARENA_ARRAY(g->l->a, int32_t, 2), eot, eom;
    if (!read_token(g, "tokenizer.ggml.bos_token_id", spm ? 1 : -1, &v->bos) ||
        !read_token(g, "tokenizer.ggml.eos_token_id", spm ? 2 : -1, &v->eos) ||
        !read_token(g, "tokenizer.ggml.unknown_token_id", spm ? 0 : -1, &v->unk) ||
        !read_token(g, "tokenizer.ggml.eot_token_id", -1, &eot) ||
        !read_token(g, "tokenizer.ggml.eom_token_id", -1, &eom))
        return false;
    if (eot >= 0)
        ends[v->nends++] = eot;
    if (eom >= 0)
        ends[v->nends++] = eom;
    v->ends = ends;
    if (!spm)
        v->unk = -1; /* byte-level BPE has no unknown text, whatever the key says */
    return true;
}

static bool read_vocab(gguf *g)
{
    vocab *v = &g->l->m->v;
    const gguf_value *tokens;
    str model;
    if (!gguf_str(g, "tokenizer.ggml.model", true, &model) ||
        !gguf_array(g, "tokenizer.ggml.tokens", GGUF_STRING, true, &tokens))
        return false;
    if (str_eq(model, S("gpt2")))
        v->kind = VOCAB_BPE;
    else if (str_eq(model, S("llama")))
        v->kind = VOCAB_SPM;
    else
        return load_fault(g->l, g->f, gguf_find(g, "tokenizer.ggml.model")->at,
                          "tokenizer '%.*s' is not known: expected 'gpt2' or 'llama'",
                          (int)(model.n < 80 ? model.n : 80), model.p);
    if (tokens->count < 1 || tokens->count > 1 << 24)
        return load_fault(g->l, g->f, tokens->at, "'tokenizer.ggml.tokens' has %llu elements: expected 1 to %d",
                          (unsigned long long)tokens->count, 1 << 24);
    v->n = (uint32_t)tokens->count;
    v->text = gguf_strings(g, tokens);
    return read_kinds(g) && read_merges(g) && read_rules(g);
}

bool gguf_model(gguf *g)
{
    str tpl = S("");
    if (!read_arch(g) || !read_dims(g) || !read_rope(g) || !read_vocab(g) ||
        !gguf_str(g, "tokenizer.chat_template", false, &tpl))
        return false;
    g->l->m->chat_template = tpl;
    return true;
}
