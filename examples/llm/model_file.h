/* model_file.h: a language model on disk, whatever its format: hyperparameters, weights, vocabulary, chat template.
 *
 *   tile_error err;
 *   model_file *m = model_open("model.gguf", &err);
 *   const weight *q = model_weight(m, "blk.0.attn_q.weight");
 *
 * A path is a GGUF file (any one of a split set opens all of it), a .safetensors file beside its config.json, or a
 * folder that holds either. Files are mapped, never copied: a weight's data points into the map and lives as long as
 * the model_file. model_open checks everything up front - sizes against the file's length, overlaps, types, and that
 * every tensor which the hyperparameters call for is there in its shape - so that a caller may trust what it gets. What
 * is wrong comes back as "FILE: byte OFFSET: 'FIELD' ...".
 *
 * Weights go by GGUF's names in both formats (N counts layers from 0):
 *
 *   token_embd.weight [vocab, dim]        output_norm.weight [dim]       output.weight [vocab, dim], absent when tied
 *   blk.N.attn_norm.weight [dim]          blk.N.ffn_norm.weight [dim]
 *   blk.N.attn_q.weight [heads*head_dim, dim]       blk.N.attn_k.weight, attn_v.weight [kv_heads*head_dim, dim]
 *   blk.N.attn_output.weight [dim, heads*head_dim]  blk.N.attn_q.bias, attn_k.bias, attn_v.bias, attn_output.bias
 *   blk.N.attn_q_norm.weight, attn_k_norm.weight [head_dim]
 *   blk.N.ffn_gate.weight, ffn_up.weight [ff, dim]  blk.N.ffn_down.weight [dim, ff]   and each with .bias
 */
#ifndef TILE_LLM_MODEL_FILE_H
#define TILE_LLM_MODEL_FILE_H

#include "base/str.h"
#include "runtime/tile.h"

typedef struct model_file model_file;

typedef enum weight_type {
    WT_F32,
    WT_F16,
    WT_BF16,
    WT_Q4_0,
    WT_Q4_1,
    WT_Q5_0,
    WT_Q5_1,
    WT_Q8_0,
    WT_Q2_K,
    WT_Q3_K,
    WT_Q4_K,
    WT_Q5_K,
    WT_Q6_K,
    WT_IQ4_NL,
    WT_IQ4_XS,
    WT_COUNT
} weight_type;

typedef struct weight_layout {
    const char *name;      /* "Q4_1" */
    uint32_t block, bytes; /* elements of a block, and the bytes it takes; a row is a whole number of blocks */
} weight_layout;

typedef struct weight {
    str name;
    weight_type type;
    uint32_t rank;    /* 1 to 4 */
    int64_t shape[4]; /* outermost first, the contiguous one last: [out, in]; those past the rank are 1 */
    const void *data; /* aligned to 32 bytes in GGUF files that keep the default, else to the element at least */
    uint64_t bytes;
} weight;

typedef enum model_arch { ARCH_LLAMA, ARCH_QWEN2, ARCH_QWEN3 } model_arch;

typedef struct model_params {
    model_arch arch; /* SmolLM, Mistral and their like are ARCH_LLAMA */
    str name;        /* as the file calls itself; may be empty */
    int32_t vocab, dim, layers, ff, heads, kv_heads, head_dim;
    int32_t context; /* positions it was made for */
    int32_t window;  /* sliding window of attention, 0 = none */
    double norm_eps; /* of every RMS norm */
    bool tied;       /* no output.weight: the head is token_embd.weight */
    bool qk_norm;    /* RMS norm of each head of q and k before the rotation */
    bool qkv_bias, out_bias, ffn_bias;
    /* Rotary embedding of the first rope_dim elements of a head: pair i turns by position * rope_freq[i], its cosine
     * and sine times rope_scale. Base and scaling (linear, Llama 3's, YaRN) are already in rope_freq. */
    bool rope_interleaved; /* pair i is (2i, 2i+1); else (i, i + rope_dim/2) */
    int32_t rope_dim;
    double rope_scale;
    const double *rope_freq; /* [rope_dim/2] */
} model_params;

struct vocab; /* tokenizer.h */

/* model.c: NULL + *err where the file can't be used; a model_file is immutable and may be shared by threads */
model_file *model_open(const char *path, tile_error *err);
/* random.c: a well-known shape with made-up weights: "smollm2-135m", or with a type, "qwen3-0.6b:Q8_0" */
model_file *model_random(const char *name, tile_error *err);
void model_close(model_file *m);
const model_params *model_get_params(const model_file *m);
/* NULL where the model has none of that name */
const weight *model_weight(const model_file *m, const char *name);
uint32_t model_weight_count(const model_file *m);
const weight *model_weight_at(const model_file *m, uint32_t i);
/* what tokenizer_new takes; lives as long as the model_file */
const struct vocab *model_vocab(const model_file *m);
/* text of the chat template, empty where the model has none */
str model_chat_template(const model_file *m);
uint64_t model_bytes(const model_file *m); /* of all weights, as stored */
/* what `llm` says of it: "llama 135M Q4_1" and the like, into the model's own memory */
const char *model_title(const model_file *m);

/* weights.c: names and sizes by type; the dequantisation that defines them */
const weight_layout *weight_layout_of(weight_type t);
/* elements [first, first + n) of a weight as float32; first and n whole blocks */
void weight_read(const weight *w, int64_t first, int64_t n, float *out);

#endif
