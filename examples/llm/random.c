/* random.c: models of well-known shapes with made-up weights, for measuring without a download: `llm bench
 * --random-weights=qwen3-0.6b:Q4_0`. They compute what such a model computes, at its speed, and say nothing.
 *
 * Weights lie in one anonymous map. A byte is one of splitmix64's (Steele, Lea, Flood 2014); a block's scales are then
 * set so that its numbers are about 1/32, a number of a plain type is looked up by its byte. Norms are ones. Tokens are
 * the 256 bytes, the others control tokens. Q4_0 unless NAME says another type.
 */
#include "examples/llm/model_load.h"
#include "examples/llm/utf8.h"
#include "base/num.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static const struct shape {
    const char *name;
    model_arch arch;
    int32_t dim, ff, layers, heads, kv_heads, head_dim, vocab, context;
    double base, factor; /* Llama 3's scaling of the rotary embedding; 0: none */
    bool tied;
} shapes[] = {
    {"smollm2-135m", ARCH_LLAMA, 576, 1536, 30, 9, 3, 64, 49152, 8192, 1e5, 0, true},
    {"smollm2-360m", ARCH_LLAMA, 960, 2560, 32, 15, 5, 64, 49152, 8192, 1e5, 0, true},
    {"smollm2-1.7b", ARCH_LLAMA, 2048, 8192, 24, 32, 32, 64, 49152, 8192, 1.3e5, 0, true},
    {"llama-3.2-1b", ARCH_LLAMA, 2048, 8192, 16, 32, 8, 64, 128256, 131072, 5e5, 32, true},
    {"llama-3.2-3b", ARCH_LLAMA, 3072, 8192, 28, 24, 8, 128, 128256, 131072, 5e5, 32, true},
    {"llama-3.1-8b", ARCH_LLAMA, 4096, 14336, 32, 32, 8, 128, 128256, 131072, 5e5, 8, false},
    {"qwen2.5-0.5b", ARCH_QWEN2, 896, 4864, 24, 14, 2, 64, 151936, 32768, 1e6, 0, true},
    {"qwen2.5-1.5b", ARCH_QWEN2, 1536, 8960, 28, 12, 2, 128, 151936, 32768, 1e6, 0, true},
    {"qwen2.5-7b", ARCH_QWEN2, 3584, 18944, 28, 28, 4, 128, 152064, 32768, 1e6, 0, false},
    {"qwen3-0.6b", ARCH_QWEN3, 1024, 3072, 28, 16, 8, 128, 151936, 40960, 1e6, 0, true},
    {"qwen3-1.7b", ARCH_QWEN3, 2048, 6144, 28, 16, 8, 128, 151936, 40960, 1e6, 0, true},
    {"qwen3-4b", ARCH_QWEN3, 2560, 9728, 36, 32, 8, 128, 151936, 40960, 1e6, 0, true},
    {"qwen3-8b", ARCH_QWEN3, 4096, 12288, 36, 32, 8, 128, 151936, 40960, 1e6, 0, false},
};

/* where a block has its scale and its minimum (-1: none), and 32 times what it is divided by */
static const struct {
    uint8_t at;
    int8_t min_at;
    int16_t by, min_by;
} scales[WT_COUNT] = {
    [WT_Q4_0] = {0, -1, 8, 1},      [WT_Q4_1] = {0, 2, 8, -1},     [WT_Q5_0] = {0, -1, 16, 1},
    [WT_Q5_1] = {0, 2, 16, -1},     [WT_Q8_0] = {0, -1, 128, 1},   [WT_Q2_K] = {80, 82, 24, 8},
    [WT_Q3_K] = {108, -1, 64, 1},   [WT_Q4_K] = {0, 2, 400, 40},   [WT_Q5_K] = {0, 2, 800, 40},
    [WT_Q6_K] = {208, -1, 1500, 1}, [WT_IQ4_NL] = {0, -1, 100, 1}, [WT_IQ4_XS] = {0, -1, 1500, 1},
};

static void put_number(uint8_t *p, weight_type t, double x)
{
    uint64_t bits = num_encode(t == WT_F32 ? NUM_F32 : t == WT_BF16 ? NUM_BF16 : NUM_F16, x);
    memcpy(p, &bits, t == WT_F32 ? 4 : 2);
}

static void fill_bytes(uint8_t *p, uint64_t n, uint64_t seed)
{
    for (uint64_t i = 0; i < n; i += 8) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        memcpy(p + i, &z, n - i < 8 ? n - i : 8);
    }
}

static void fill(const weight *w, uint8_t *p, uint64_t seed)
{
    const weight_layout *y = weight_layout_of(w->type);
    uint8_t table[256][4];
    for (int i = 0; i < 256; i++)
        put_number(table[i], y->block == 1 ? w->type : WT_F16, w->rank == 1 ? 1 : (i - 128) / 4096.0);
    fill_bytes(p, w->bytes, seed);
    if (y->block == 1) /* an element's first byte says which it is */
        for (uint64_t i = 0; i < w->bytes; i += y->bytes)
            memcpy(p + i, table[p[i]], y->bytes);
    else
        for (uint64_t i = 0; i < w->bytes; i += y->bytes) {
            put_number(p + i + scales[w->type].at, WT_F16, 1.0 / 32 / scales[w->type].by);
            if (scales[w->type].min_at >= 0)
                put_number(p + i + scales[w->type].min_at, WT_F16, 1.0 / 32 / scales[w->type].min_by);
        }
}

static bool add(loader *l, const file_map *f, str name, weight_type type, int64_t rows, int64_t cols)
{
    weight w = {
        .name = name, .type = cols ? type : WT_F32, .rank = cols ? 2 : 1, .shape = {rows, cols ? cols : 1, 1, 1}};
    return load_size(l, f, 0, &w) && load_weight(l, f, 0, w);
}

static bool add_layer(loader *l, const file_map *f, const struct shape *s, weight_type t, int32_t layer)
{
    int64_t q = (int64_t)s->heads * s->head_dim, kv = (int64_t)s->kv_heads * s->head_dim;
    bool bias = s->arch == ARCH_QWEN2, norm = s->arch == ARCH_QWEN3;
    const struct {
        const char *name;
        int64_t rows, cols;
        bool there;
    } list[] = {
        {"attn_norm.weight", s->dim, 0, true},
        {"ffn_norm.weight", s->dim, 0, true},
        {"attn_q.weight", q, s->dim, true},
        {"attn_k.weight", kv, s->dim, true},
        {"attn_v.weight", kv, s->dim, true},
        {"attn_output.weight", s->dim, q, true},
        {"ffn_gate.weight", s->ff, s->dim, true},
        {"ffn_up.weight", s->ff, s->dim, true},
        {"ffn_down.weight", s->dim, s->ff, true},
        {"attn_q.bias", q, 0, bias},
        {"attn_k.bias", kv, 0, bias},
        {"attn_v.bias", kv, 0, bias},
        {"attn_q_norm.weight", s->head_dim, 0, norm},
        {"attn_k_norm.weight", s->head_dim, 0, norm},
    };
    for (uint32_t i = 0; i < COUNTOF(list); i++)
        if (list[i].there && !add(l, f, str_fmt(l->a, "blk.%d.%s", layer, list[i].name), t, list[i].rows, list[i].cols))
            return false;
    return true;
}

/* room for all weights at once, each aligned as in a file */
static bool fill_all(loader *l, file_map *f)
{
    model_file *m = l->m;
    uint64_t at = 0;
    vec_reserve(l->a, &m->maps, m->maps.n + 1);
    for (uint32_t i = 0; i < m->weights.n; i++)
        at += (m->weights.at[i].bytes + 63) & ~63ull;
    uint8_t *p = mmap(NULL, at, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return load_fault_in(l, f->path, "%llu bytes of weights: %s", (unsigned long long)at, strerror(errno));
    f->at = p;
    f->size = at;
    vec_push(l->a, &m->maps, f);
    for (uint32_t i = 0; i < m->weights.n; i++) {
        weight *w = &m->weights.at[i];
        w->data = p;
        fill(w, p, i);
        p += (w->bytes + 63) & ~63ull;
    }
    return true;
}

static void make_vocab(loader *l, uint32_t n)
{
    vocab *v = &l->m->v;
    str *text = ARENA_ARRAY(l->a, str, n);
    uint8_t *kinds = ARENA_ARRAY(l->a, uint8_t, n);
    uint32_t shifted = 256; /* GPT-2's spelling of bytes that aren't printed */
    for (uint32_t i = 0; i < n; i++) {
        char out[4];
        bool plain = (i > ' ' && i <= '~') || (i > 0xa0 && i != 0xad);
        if (i < 256)
            text[i] = str_dup(l->a, (str){out, utf8_put(plain ? i : shifted++, out)});
        else
            text[i] = str_fmt(l->a, "<|%u|>", i);
        kinds[i] = i < 256 ? TOKEN_NORMAL : TOKEN_CONTROL;
    }
    *v = (vocab){.kind = VOCAB_BPE, .pre = S("gpt-2"), .n = n, .text = text, .kinds = kinds, .bos = -1, .unk = -1};
    v->eos = (int32_t)n - 1;
}

static bool unknown(loader *l, str name)
{
    strbuf b;
    sb_init(&b, l->a);
    for (uint32_t i = 0; i < COUNTOF(shapes); i++)
        sb_putf(&b, "%s%s", i ? ", " : "", shapes[i].name);
    return load_fault_in(l, S("random weights"), "'%.*s' is no model: expected %.*s, and :TYPE behind it",
                         (int)(name.n < 80 ? name.n : 80), name.p, STR_ARG(sb_str(&b)));
}

bool random_load(loader *l, str name)
{
    const struct shape *s = NULL;
    const char *colon = memchr(name.p, ':', name.n);
    str model = {name.p, colon ? (size_t)(colon - name.p) : name.n};
    int type = WT_Q4_0;
    for (uint32_t i = 0; i < COUNTOF(shapes); i++)
        if (str_eq(model, str_of(shapes[i].name)))
            s = &shapes[i];
    if (colon)
        for (type = 0; type < WT_COUNT && strcmp(weight_layout_of((weight_type)type)->name, colon + 1) != 0;)
            type++;
    if (!s)
        return unknown(l, model);
    if (type == WT_COUNT)
        return load_fault_in(l, S("random weights"), "'%.80s' is no type of weights", colon + 1);
    file_map *f = ARENA_NEW(l->a, file_map);
    f->path = S("random weights");
    model_params *p = &l->m->p;
    *p = (model_params){.arch = s->arch,
                        .name = str_of(s->name),
                        .dim = s->dim,
                        .ff = s->ff,
                        .layers = s->layers,
                        .heads = s->heads,
                        .kv_heads = s->kv_heads,
                        .head_dim = s->head_dim,
                        .context = s->context,
                        .norm_eps = 1e-5,
                        .tied = s->tied,
                        .rope_dim = s->head_dim};
    p->rope_interleaved = s->arch == ARCH_LLAMA; /* as their GGUF files have it */
    rope_spec r = {.kind = s->factor > 0 ? ROPE_LLAMA3 : ROPE_PLAIN,
                   .base = s->base,
                   .factor = s->factor > 0 ? s->factor : 1,
                   .original = s->factor > 0 ? 8192 : s->context,
                   .low = 1,
                   .high = 4,
                   .beta_fast = 32,
                   .beta_slow = 1,
                   .attention = NAN};
    weight_type t = (weight_type)type;
    bool ok = rope_build(l, &r, f->path) && add(l, f, S("token_embd.weight"), t, s->vocab, s->dim) &&
              add(l, f, S("output_norm.weight"), t, s->dim, 0) &&
              (s->tied || add(l, f, S("output.weight"), t, s->vocab, s->dim));
    for (int32_t i = 0; ok && i < s->layers; i++)
        ok = add_layer(l, f, s, t, i);
    if (ok)
        make_vocab(l, (uint32_t)s->vocab);
    return ok && fill_all(l, f);
}
