/* kit_model.c: small models with made-up weights, written as GGUF (split too) or as safetensors (sharded too).
 *
 * A byte of a tensor is the top byte of splitmix64 of its place and its name's hash, as in make_families.py, which
 * computed the logits that such a model must give.
 */
#include "tests/llm/kit_model.h"
#include "examples/llm/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS 64
#define ALIGN 32

typedef struct made {
    str name; /* GGUF's */
    uint32_t rank;
    int64_t shape[2];
    weight_type type;
    str bytes;
} made;

typedef struct maker {
    arena *a;
    const json_t *c;
    made at[MAX_TENSORS];
    uint32_t n;
} maker;

int64_t kit_int(const json_t *c, const char *key)
{
    const json_t *v = json_object_get(c, key);
    return json_is_boolean(v) ? json_is_true(v) : json_integer_value(v);
}

const char *kit_str(const json_t *c, const char *key)
{
    const char *s = json_string_value(json_object_get(c, key));
    ck_assert_msg(s != NULL, "%s", key);
    return s;
}

json_t *kit_cases(void)
{
    json_error_t why;
    json_t *j = json_load_file("tests/llm/families.json", 0, &why);
    if (!j) { /* no assertion: main counts the cases before any test runs */
        fprintf(stderr, "tests/llm/families.json: %s\n", why.text);
        exit(1);
    }
    return j;
}

json_t *kit_chain(json_t *cases, const char *const *texts, uint32_t n, int64_t context)
{
    json_t *c = json_deep_copy(kit_case(cases, "llama-f32")), *chain = json_array();
    int64_t next[257] = {0};
    for (uint32_t i = 0; i < n; i++)
        for (const uint8_t *p = (const uint8_t *)texts[i]; p[0] && p[1]; p++) {
            ck_assert_msg(!next[1 + p[0]] || next[1 + p[0]] == 1 + p[1], "%s: two follow '%c'", texts[i], p[0]);
            next[1 + p[0]] = 1 + p[1];
        }
    for (size_t i = 0; i < COUNTOF(next); i++)
        json_array_append_new(chain, json_integer(next[i]));
    json_object_set_new(c, "chain", chain);
    json_object_set_new(c, "vocab", json_integer(COUNTOF(next)));
    json_object_set_new(c, "dim", json_integer(320));
    json_object_set_new(c, "ff", json_integer(64));
    json_object_set_new(c, "layers", json_integer(1));
    json_object_set_new(c, "context", json_integer(context));
    return c;
}

json_t *kit_case(json_t *cases, const char *name)
{
    size_t i;
    json_t *c;
    json_array_foreach(cases, i, c)
    {
        if (strcmp(kit_str(c, "name"), name) == 0)
            return c;
    }
    ck_abort_msg("no case '%s'", name);
    return NULL;
}

/* ---- weights ---- */
static uint8_t byte_at(uint64_t seed, uint64_t i)
{
    uint64_t z = i + seed + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint8_t)((z ^ (z >> 31)) >> 56);
}

static uint64_t name_hash(str name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (uint8_t)name.p[i]) * 0x100000001b3u;
    return h;
}

static bool has(str name, const char *part)
{
    return memmem(name.p, name.n, part, strlen(part)) != NULL;
}

static double scale_of(str name)
{
    if (str_eq(name, S("token_embd.weight")))
        return 1;
    return str_eq(name, S("output.weight")) || str_ends(name, S("bias")) || has(name, "norm") ? 0.25 : 0.0625;
}

/* where a block has its scale and its minimum, and what they are divided by */
static const struct {
    uint8_t at;
    int16_t by;
    int8_t min_at, min_by;
} scales[WT_COUNT] = {
    [WT_Q4_0] = {0, 8, -1, 0},      [WT_Q4_1] = {0, 8, 2, -1},     [WT_Q5_0] = {0, 16, -1, 0},
    [WT_Q5_1] = {0, 16, 2, -1},     [WT_Q8_0] = {0, 128, -1, 0},   [WT_Q2_K] = {80, 24, 82, 8},
    [WT_Q3_K] = {108, 64, -1, 0},   [WT_Q4_K] = {0, 400, 2, 40},   [WT_Q5_K] = {0, 800, 2, 40},
    [WT_Q6_K] = {208, 1500, -1, 0}, [WT_IQ4_NL] = {0, 100, -1, 0}, [WT_IQ4_XS] = {0, 1500, -1, 0},
};

static void put_number(char *p, weight_type t, double x)
{
    uint64_t bits = num_encode(t == WT_F32 ? NUM_F32 : t == WT_F16 ? NUM_F16 : NUM_BF16, x);
    memcpy(p, &bits, t == WT_F32 ? 4 : 2);
}

static void fill_plain(made *w, char *p, int64_t n)
{
    uint64_t seed = name_hash(w->name);
    for (int64_t i = 0; i < n; i++) {
        double x = (byte_at(seed, (uint64_t)i) - 128) / 128.0 * scale_of(w->name);
        put_number(p + i * weight_layout_of(w->type)->bytes, w->type, has(w->name, "norm") ? 1 + x : x);
    }
}

static void fill_blocks(made *w, char *p, int64_t blocks)
{
    uint64_t seed = name_hash(w->name);
    uint32_t bytes = weight_layout_of(w->type)->bytes;
    for (int64_t i = 0; i < blocks * bytes; i++)
        p[i] = (char)byte_at(seed, (uint64_t)i);
    for (int64_t b = 0; b < blocks; b++) {
        int at = scales[w->type].at, min = scales[w->type].min_at;
        put_number(p + b * bytes + at, WT_F16, scale_of(w->name) / scales[w->type].by);
        if (min >= 0)
            put_number(p + b * bytes + min, WT_F16, scale_of(w->name) / scales[w->type].min_by);
    }
}

static weight_type type_named(const char *name)
{
    for (int t = 0; t < WT_COUNT; t++)
        if (strcmp(weight_layout_of((weight_type)t)->name, name) == 0)
            return (weight_type)t;
    ck_abort_msg("no type '%s'", name);
    return WT_F32;
}

static void add(maker *m, str name, int64_t rows, int64_t cols)
{
    made *w = &m->at[m->n++];
    int64_t n = rows * (cols ? cols : 1);
    ck_assert_uint_le(m->n, MAX_TENSORS);
    *w = (made){.name = name, .rank = cols ? 2 : 1, .shape = {rows, cols ? cols : 1}};
    w->type = cols ? type_named(kit_str(m->c, "type")) : WT_F32;
    if (strcmp(kit_str(m->c, "format"), "gguf") != 0) /* those have one type in all */
        w->type = type_named(kit_str(m->c, "type"));
    const weight_layout *l = weight_layout_of(w->type);
    char *p = arena_alloc(m->a, (size_t)(n / l->block * l->bytes), 32);
    if (l->block == 1)
        fill_plain(w, p, n);
    else
        fill_blocks(w, p, n / l->block);
    w->bytes = (str){p, (size_t)(n / l->block * l->bytes)};
}

static void add_layer(maker *m, int layer)
{
    int64_t dim = kit_int(m->c, "dim"), ff = kit_int(m->c, "ff"), hd = kit_int(m->c, "head_dim");
    int64_t q = kit_int(m->c, "heads") * hd, kv = kit_int(m->c, "kv_heads") * hd;
    bool bias = kit_int(m->c, "qkv_bias") != 0, all = kit_int(m->c, "all_bias") != 0,
         norm = strcmp(kit_str(m->c, "arch"), "qwen3") == 0;
    const struct {
        const char *name;
        int64_t rows, cols;
        bool there;
    } list[] = {
        {"attn_norm.weight", dim, 0, true}, {"ffn_norm.weight", dim, 0, true},   {"attn_q.weight", q, dim, true},
        {"attn_k.weight", kv, dim, true},   {"attn_v.weight", kv, dim, true},    {"attn_output.weight", dim, q, true},
        {"ffn_gate.weight", ff, dim, true}, {"ffn_up.weight", ff, dim, true},    {"ffn_down.weight", dim, ff, true},
        {"attn_q.bias", q, 0, bias},        {"attn_k.bias", kv, 0, bias},        {"attn_v.bias", kv, 0, bias},
        {"attn_output.bias", dim, 0, all},  {"ffn_gate.bias", ff, 0, all},       {"ffn_up.bias", ff, 0, all},
        {"ffn_down.bias", dim, 0, all},     {"attn_q_norm.weight", hd, 0, norm}, {"attn_k_norm.weight", hd, 0, norm}};
    for (uint32_t i = 0; i < COUNTOF(list); i++)
        if (list[i].there)
            add(m, str_fmt(m->a, "blk.%d.%s", layer, list[i].name), list[i].rows, list[i].cols);
}

/* ---- a model that says what it is told ---- */
static void set_one(maker *m, const char *name, int64_t row, int64_t col)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (str_eq(m->at[i].name, str_of(name)))
            put_number((char *)m->at[i].bytes.p + 4 * (row * m->at[i].shape[1] + col), WT_F32, 1);
}

/* "chain" says which token follows which: layers add nothing, token i is the unit vector i, its successor's row in the
 * head has its one there */
static void make_chain(maker *m, const json_t *chain)
{
    int64_t n = (int64_t)json_array_size(chain);
    ck_assert_int_le(n, kit_int(m->c, "dim"));
    ck_assert_str_eq(kit_str(m->c, "type"), "F32");
    for (uint32_t i = 0; i < m->n; i++)
        if (!has(m->at[i].name, "norm"))
            memset((char *)m->at[i].bytes.p, 0, m->at[i].bytes.n);
    for (int64_t i = 0; i < n; i++) {
        set_one(m, "token_embd.weight", i, i);
        set_one(m, "output.weight", json_integer_value(json_array_get(chain, (size_t)i)), i);
    }
}

static void make_tensors(maker *m, arena *a, const json_t *c)
{
    int64_t dim = kit_int(c, "dim"), words = kit_int(c, "vocab");
    const json_t *factors = json_object_get(c, "freq_factors");
    *m = (maker){.a = a, .c = c};
    add(m, S("token_embd.weight"), words, dim);
    add(m, S("output_norm.weight"), dim, 0);
    if (!kit_int(c, "tied"))
        add(m, S("output.weight"), words, dim);
    for (int i = 0; i < kit_int(c, "layers"); i++)
        add_layer(m, i);
    if (factors) {
        add(m, S("rope_freqs.weight"), (int64_t)json_array_size(factors), 0);
        for (size_t i = 0; i < json_array_size(factors); i++)
            put_number((char *)m->at[m->n - 1].bytes.p + i * 4, WT_F32, json_number_value(json_array_get(factors, i)));
    }
    if (json_object_get(c, "chain"))
        make_chain(m, json_object_get(c, "chain"));
}

/* ---- GGUF ---- */
static void u32(strbuf *b, uint32_t v)
{
    sb_put(b, (str){(const char *)&v, sizeof v});
}

static void u64(strbuf *b, uint64_t v)
{
    sb_put(b, (str){(const char *)&v, sizeof v});
}

static void text(strbuf *b, str s)
{
    u64(b, s.n);
    sb_put(b, s);
}

typedef struct table {
    strbuf b;
    uint32_t n;
    const char *arch;
} table;

static void key(table *t, const char *name, uint32_t type)
{
    text(&t->b, name[0] == '.' ? str_fmt(t->b.a, "%s%s", t->arch, name) : str_of(name));
    u32(&t->b, type);
    t->n++;
}

static void key_u32(table *t, const char *name, int64_t v)
{
    key(t, name, 4);
    u32(&t->b, (uint32_t)v);
}

static void key_f32(table *t, const char *name, double v)
{
    key(t, name, 6);
    u32(&t->b, num_f32_bits((float)v));
}

static void key_str(table *t, const char *name, const char *v)
{
    key(t, name, 8);
    text(&t->b, str_of(v));
}

static void key_rope(table *t, const json_t *c)
{
    const json_t *r = json_object_get(c, "rope");
    const char *kind = json_string_value(json_object_get(r, "rope_type"));
    key_f32(t, ".rope.freq_base", json_number_value(json_object_get(c, "rope_base")));
    if (!kind || json_object_get(c, "freq_factors"))
        return;
    key_str(t, ".rope.scaling.type", kind);
    key_f32(t, ".rope.scaling.factor", json_number_value(json_object_get(r, "factor")));
    if (json_object_get(r, "original_max_position_embeddings"))
        key_u32(t, ".rope.scaling.original_context_length", kit_int(r, "original_max_position_embeddings"));
}

/* a word of the vocabulary: two letters, or where the case has a chain, the byte i - 1 as GPT-2 spells it */
static str word(arena *a, const json_t *c, int64_t i)
{
    char out[4];
    uint32_t byte = (uint32_t)i - 1, shift = 256;
    if (i == 0)
        return S("</s>");
    if (!json_object_get(c, "chain"))
        return str_fmt(a, "%c%c", 'A' + (int)i / 8, 'a' + (int)i % 8);
    for (uint32_t k = 0; k < byte; k++)
        shift += k <= ' ' || (k > '~' && k <= 0xa0) || k == 0xad;
    bool plain = (byte > ' ' && byte <= '~') || (byte > 0xa0 && byte != 0xad);
    return str_dup(a, (str){out, utf8_put(plain ? byte : shift, out)});
}

static void key_vocab(table *t, const json_t *c)
{
    int64_t n = kit_int(c, "vocab");
    const char *form = json_string_value(json_object_get(c, "chat_template"));
    key_str(t, "tokenizer.ggml.model", "gpt2");
    key_str(t, "tokenizer.ggml.pre", "gpt-2");
    key(t, "tokenizer.ggml.tokens", 9);
    u32(&t->b, 8);
    u64(&t->b, (uint64_t)n);
    for (int64_t i = 0; i < n; i++)
        text(&t->b, word(t->b.a, c, i));
    key(t, "tokenizer.ggml.token_type", 9);
    u32(&t->b, 5);
    u64(&t->b, (uint64_t)n);
    for (int64_t i = 0; i < n; i++)
        u32(&t->b, i ? TOKEN_NORMAL : TOKEN_CONTROL);
    key(t, "tokenizer.ggml.merges", 9);
    u32(&t->b, 8);
    u64(&t->b, 0);
    key_u32(t, "tokenizer.ggml.eos_token_id", 0);
    if (form)
        key_str(t, "tokenizer.chat_template", form);
}

static void key_model(table *t, const json_t *c)
{
    t->arch = kit_str(c, "arch");
    key_str(t, "general.architecture", t->arch);
    key_u32(t, ".block_count", kit_int(c, "layers"));
    key_u32(t, ".context_length", kit_int(c, "context"));
    key_u32(t, ".embedding_length", kit_int(c, "dim"));
    key_u32(t, ".feed_forward_length", kit_int(c, "ff"));
    key_u32(t, ".attention.head_count", kit_int(c, "heads"));
    key_u32(t, ".attention.head_count_kv", kit_int(c, "kv_heads"));
    key_u32(t, ".attention.key_length", kit_int(c, "head_dim"));
    key_f32(t, ".attention.layer_norm_rms_epsilon", json_number_value(json_object_get(c, "eps")));
    key_rope(t, c);
    key_vocab(t, c);
}

static uint32_t gguf_number(weight_type t)
{
    static const uint8_t of[WT_COUNT] = {
        [WT_F32] = 0,   [WT_F16] = 1,   [WT_BF16] = 30, [WT_Q4_0] = 2,    [WT_Q4_1] = 3,
        [WT_Q5_0] = 6,  [WT_Q5_1] = 7,  [WT_Q8_0] = 8,  [WT_Q2_K] = 10,   [WT_Q3_K] = 11,
        [WT_Q4_K] = 12, [WT_Q5_K] = 13, [WT_Q6_K] = 14, [WT_IQ4_NL] = 20, [WT_IQ4_XS] = 23};
    return of[t];
}

static void pad(strbuf *b)
{
    while (b->n % ALIGN)
        sb_putc(b, 0);
}

/* one file: the metadata in `t`, tensors [first, first + n) */
static str gguf_file(maker *m, const table *t, uint32_t first, uint32_t n)
{
    strbuf b;
    uint64_t at = 0;
    sb_init(&b, m->a);
    sb_put(&b, S("GGUF"));
    u32(&b, 3);
    u64(&b, n);
    u64(&b, t->n);
    sb_put(&b, sb_str(&t->b));
    for (uint32_t i = first; i < first + n; i++) {
        const made *w = &m->at[i];
        text(&b, w->name);
        u32(&b, w->rank);
        for (uint32_t k = w->rank; k-- > 0;)
            u64(&b, (uint64_t)w->shape[k]);
        u32(&b, gguf_number(w->type));
        u64(&b, at);
        at += (w->bytes.n + ALIGN - 1) / ALIGN * ALIGN;
    }
    pad(&b);
    for (uint32_t i = first; i < first + n; i++) {
        sb_put(&b, m->at[i].bytes);
        pad(&b);
    }
    return sb_str(&b);
}

static void key_split(table *t, int no, int of, uint32_t tensors)
{
    key(t, "split.no", 2);
    sb_put(&t->b, (str){(const char *)&(uint16_t){(uint16_t)no}, 2});
    key(t, "split.count", 2);
    sb_put(&t->b, (str){(const char *)&(uint16_t){(uint16_t)of}, 2});
    key(t, "split.tensors.count", 5);
    u32(&t->b, tensors);
}

str kit_gguf(arena *a, const json_t *c)
{
    maker *m = ARENA_NEW(a, maker);
    table t = {.n = 0};
    sb_init(&t.b, a);
    make_tensors(m, a, c);
    key_model(&t, c);
    return gguf_file(m, &t, 0, m->n);
}

static const char *make_gguf(arena *a, const json_t *c, const char *folder)
{
    int files = (int)kit_int(c, "files");
    if (files == 1) {
        str s = kit_gguf(a, c);
        kit_write(folder, "model.gguf", s.p, s.n);
        return str_cstr(a, str_fmt(a, "%s/model.gguf", folder));
    }
    maker *m = ARENA_NEW(a, maker);
    make_tensors(m, a, c);
    for (int i = 0; i < files; i++) {
        table t = {.n = 0};
        uint32_t beg = m->n * (uint32_t)i / (uint32_t)files, end = m->n * (uint32_t)(i + 1) / (uint32_t)files;
        sb_init(&t.b, a);
        if (i == 0)
            key_model(&t, c);
        key_split(&t, i, files, m->n);
        str s = gguf_file(m, &t, beg, end - beg);
        kit_write(folder, str_cstr(a, str_fmt(a, "m-%05d-of-%05d.gguf", i + 1, files)), s.p, s.n);
    }
    return str_cstr(a, str_fmt(a, "%s/m-00002-of-%05d.gguf", folder, files)); /* any of them will do */
}

/* ---- safetensors ---- */
static str hf_name(arena *a, str name)
{
    static const char *const names[][2] = {
        {"attn_norm", "input_layernorm"},    {"ffn_norm", "post_attention_layernorm"},
        {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"},
        {"attn_v", "self_attn.v_proj"},      {"attn_output", "self_attn.o_proj"},
        {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
        {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
        {"ffn_down", "mlp.down_proj"}};
    int layer, end = 0;
    char part[32], kind[8];
    if (str_eq(name, S("token_embd.weight")))
        return S("model.embed_tokens.weight");
    if (str_eq(name, S("output_norm.weight")))
        return S("model.norm.weight");
    if (str_eq(name, S("output.weight")))
        return S("lm_head.weight");
    ck_assert_int_eq(sscanf(str_cstr(a, name), "blk.%d.%31[^.].%7s%n", &layer, part, kind, &end), 3);
    for (uint32_t i = 0; i < COUNTOF(names); i++)
        if (strcmp(part, names[i][0]) == 0)
            return str_fmt(a, "model.layers.%d.%s.%s", layer, names[i][1], kind);
    return name;
}

static str safetensors_file(maker *m, uint32_t first, uint32_t n)
{
    strbuf h, b;
    size_t at = 0;
    sb_init(&h, m->a);
    sb_init(&b, m->a);
    sb_puts(&h, "{\"__metadata__\": {\"format\": \"pt\"}");
    for (uint32_t i = first; i < first + n; i++) {
        const made *w = &m->at[i];
        sb_putf(&h, ", \"%.*s\": {\"dtype\": \"%s\", \"shape\": [%lld", STR_ARG(hf_name(m->a, w->name)),
                weight_layout_of(w->type)->name, (long long)w->shape[0]);
        if (w->rank == 2)
            sb_putf(&h, ", %lld", (long long)w->shape[1]);
        sb_putf(&h, "], \"data_offsets\": [%zu, %zu]}", at, at + w->bytes.n);
        at += w->bytes.n;
    }
    sb_putc(&h, '}');
    while (h.n % 8)
        sb_putc(&h, ' ');
    u64(&b, h.n);
    sb_put(&b, sb_str(&h));
    for (uint32_t i = first; i < first + n; i++)
        sb_put(&b, m->at[i].bytes);
    return sb_str(&b);
}

static void write_text(const char *folder, const char *name, const strbuf *b)
{
    kit_write(folder, name, b->at, b->n);
}

static void write_config(arena *a, const json_t *c, const char *folder)
{
    static const char *const keys[][2] = {
        {"hidden_size", "dim"},           {"intermediate_size", "ff"},           {"num_hidden_layers", "layers"},
        {"num_attention_heads", "heads"}, {"num_key_value_heads", "kv_heads"},   {"head_dim", "head_dim"},
        {"vocab_size", "vocab"},          {"max_position_embeddings", "context"}};
    const json_t *rope = json_object_get(c, "rope");
    strbuf b;
    sb_init(&b, a);
    sb_putf(&b, "{\"model_type\": \"%s\", \"hidden_act\": \"silu\", \"tie_word_embeddings\": %s", kit_str(c, "arch"),
            kit_int(c, "tied") ? "true" : "false");
    for (uint32_t i = 0; i < COUNTOF(keys); i++)
        sb_putf(&b, ", \"%s\": %lld", keys[i][0], (long long)kit_int(c, keys[i][1]));
    sb_putf(&b, ", \"rms_norm_eps\": %g, \"rope_theta\": %.1f", json_number_value(json_object_get(c, "eps")),
            json_number_value(json_object_get(c, "rope_base")));
    if (kit_int(c, "window"))
        sb_putf(&b, ", \"sliding_window\": %lld", (long long)kit_int(c, "window"));
    if (rope) {
        char *s = json_dumps(rope, 0);
        sb_putf(&b, ", \"rope_scaling\": %s", s);
        free(s);
    }
    sb_putc(&b, '}');
    write_text(folder, "config.json", &b);
}

static void write_tokenizer(arena *a, const json_t *c, const char *folder)
{
    strbuf b;
    sb_init(&b, a);
    sb_puts(&b, "{\"added_tokens\": [{\"id\": 0, \"content\": \"</s>\", \"special\": true}], \"normalizer\": null, "
                "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}, "
                "\"model\": {\"type\": \"BPE\", \"merges\": [], \"vocab\": {\"</s>\": 0");
    for (int64_t i = 1; i < kit_int(c, "vocab"); i++)
        sb_putf(&b, ", \"%c%c\": %lld", 'A' + (int)i / 8, 'a' + (int)i % 8, (long long)i);
    sb_puts(&b, "}}}");
    write_text(folder, "tokenizer.json", &b);
}

static const char *make_safetensors(arena *a, const json_t *c, const char *folder)
{
    uint32_t files = (uint32_t)kit_int(c, "files");
    maker *m = ARENA_NEW(a, maker);
    strbuf index;
    make_tensors(m, a, c);
    write_config(a, c, folder);
    write_tokenizer(a, c, folder);
    sb_init(&index, a);
    sb_puts(&index, "{\"metadata\": {}, \"weight_map\": {");
    for (uint32_t i = 0; i < files; i++) {
        uint32_t beg = m->n * i / files, end = m->n * (i + 1) / files;
        const char *name =
            files == 1 ? "model.safetensors" : str_cstr(a, str_fmt(a, "model-%05u-of-%05u.safetensors", i + 1, files));
        str s = safetensors_file(m, beg, end - beg);
        kit_write(folder, name, s.p, s.n);
        for (uint32_t k = beg; k < end; k++)
            sb_putf(&index, "%s\"%.*s\": \"%s\"", k ? ", " : "", STR_ARG(hf_name(a, m->at[k].name)), name);
    }
    sb_puts(&index, "}}");
    if (files > 1)
        write_text(folder, "model.safetensors.index.json", &index);
    return folder;
}

const char *kit_make_model(arena *a, const json_t *c, const char *folder)
{
    return strcmp(kit_str(c, "format"), "gguf") == 0 ? make_gguf(a, c, folder) : make_safetensors(a, c, folder);
}
