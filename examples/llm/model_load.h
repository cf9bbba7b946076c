/* model_load.h: what the readers of model files share; private to them (model_file.h is for all others).
 *
 * A loader carries one model_open: the model being filled, its arena, the caller's error, and the JSON documents that
 * are let go of at its end. Memory that ends raises through the arena, so readers keep nothing else that must be freed.
 *
 *   model.c        paths, maps, faults, the way in
 *   gguf.c         bytes of GGUF files: metadata table, tensors, split files
 *   gguf_model.c   GGUF metadata -> hyperparameters, vocabulary
 *   safetensors.c  bytes of safetensors files, sharded too
 *   hf_config.c    config.json -> hyperparameters      hf_vocab.c   tokenizer.json -> vocabulary
 *   random.c       made-up weights of known shapes
 *   model_check.c  the tensors that hyperparameters call for      rope.c   frequencies
 */
#ifndef TILE_LLM_MODEL_LOAD_H
#define TILE_LLM_MODEL_LOAD_H

#include "base/base.h"
#include "examples/llm/model_file.h"
#include "examples/llm/tokenizer.h"

struct json_t;

typedef struct file_map {
    str path;
    const uint8_t *at;
    uint64_t size;
} file_map;

struct model_file {
    arena a;
    model_params p;
    VEC(weight) weights;
    interner *names; /* id of a name is its weight's index + 1 */
    VEC(file_map *) maps;
    vocab v;
    str chat_template;
    const char *title;
    uint64_t bytes;
};

typedef struct loader {
    model_file *m;
    arena *a;
    tile_error *err;
    VEC(struct json_t *) docs;
} loader;

/* where a tensor's bytes lie in its file; for the check that no two overlap */
typedef struct data_span {
    uint64_t beg, end;
    str name;
} data_span;

typedef VEC(data_span) span_list;

typedef enum rope_kind { ROPE_PLAIN, ROPE_LINEAR, ROPE_LLAMA3, ROPE_YARN } rope_kind;

typedef struct rope_spec {
    rope_kind kind;
    double base, factor;
    double original;             /* context before it was stretched */
    double low, high;            /* llama3: low_freq_factor, high_freq_factor */
    double beta_fast, beta_slow; /* yarn */
    double attention;            /* yarn: multiplies cos and sin; NAN = from the factor */
    const weight *factors;       /* GGUF's rope_freqs.weight: divides each frequency; or NULL */
} rope_spec;

/* model.c: faults all give false */
bool load_fault(loader *l, const file_map *f, uint64_t at, const char *fmt, ...) STR_PRINTF(4, 5); /* byte `at` */
bool load_fault_in(loader *l, str path, const char *fmt, ...) STR_PRINTF(3, 4);
/* maps the file, for as long as the model lives */
const file_map *load_map(loader *l, str path);
/* adds w; `at` is where the file tells of it */
bool load_weight(loader *l, const file_map *f, uint64_t at, weight w);
/* elements, rows and bytes of w's shape and type against what is in the file; fills w->bytes */
bool load_size(loader *l, const file_map *f, uint64_t at, weight *w);
bool load_no_overlap(loader *l, const file_map *f, uint64_t data_start, span_list *spans);

/* gguf.c, gguf_model.c */
bool gguf_load(loader *l, const file_map *first);

/* safetensors.c: dir holds config.json; file is the one to open, or empty: model.safetensors or its index */
bool safetensors_load(loader *l, str dir, str file);

/* hf_config.c, hf_vocab.c */
bool hf_config_load(loader *l, str dir);
bool hf_vocab_load(loader *l, str dir);
struct json_t *load_json(loader *l, str path, bool needed); /* NULL: a fault, or absent and not needed */

/* random.c: NAME or NAME:TYPE */
bool random_load(loader *l, str name);
/* model_check.c */
bool model_check(loader *l);
/* rope.c */
bool rope_build(loader *l, const rope_spec *s, str where);

#endif
