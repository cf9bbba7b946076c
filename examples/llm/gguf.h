/* gguf.h: one GGUF file read as bytes; shared by gguf.c and gguf_model.c only. */
#ifndef TILE_LLM_GGUF_H
#define TILE_LLM_GGUF_H

#include "examples/llm/model_load.h"

typedef enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPES
} gguf_type;

typedef struct gguf_value {
    str key;
    gguf_type type;
    gguf_type elem; /* of an array */
    uint64_t count; /* of an array */
    uint64_t at;    /* offset of the value, or of an array's first element; all of it is known to lie in the file */
} gguf_value;

typedef struct gguf {
    loader *l;
    const file_map *f;
    uint32_t version;
    uint64_t tensors; /* as the header says */
    VEC(gguf_value) values;
    interner *keys; /* id of a key is its value's index + 1 */
} gguf;

/* gguf.c: lookups give false + a fault where the value is missing (and needed), of another type or out of bounds; a
 * missing one that is not needed leaves *out alone. Keys that start with '.' follow the architecture's name. */
const gguf_value *gguf_find(const gguf *g, const char *key);
bool gguf_int(gguf *g, const char *key, bool needed, int64_t low, int64_t high, int64_t *out);
bool gguf_float(gguf *g, const char *key, bool needed, double *out);
bool gguf_bool(gguf *g, const char *key, bool *out);
bool gguf_str(gguf *g, const char *key, bool needed, str *out);
/* an integer, or an array of one integer repeated (as files with a figure a layer have it) */
bool gguf_int_or_same(gguf *g, const char *key, bool needed, int64_t low, int64_t high, int64_t *out);
/* an array of `elem`; *out is NULL where it is missing and not needed */
bool gguf_array(gguf *g, const char *key, gguf_type elem, bool needed, const gguf_value **out);
/* the strings of an array, views into the map */
str *gguf_strings(const gguf *g, const gguf_value *v);

/* gguf_model.c: hyperparameters, vocabulary and chat template out of the first file's metadata */
bool gguf_model(gguf *g);

#endif
