/* kit_model.h: makes the small models of families.json (make_families.py says what their weights are). */
#ifndef TILE_TESTS_LLM_KIT_MODEL_H
#define TILE_TESTS_LLM_KIT_MODEL_H

#include "examples/llm/model_file.h"
#include "tests/llm/kit.h"

#include <jansson.h>

/* all cases; the caller lets go of them by json_decref */
json_t *kit_cases(void);
json_t *kit_case(json_t *cases, const char *name);
/* A case of its own whose tokens are 0, the end, and the 256 bytes, and which says what it is told: behind a byte comes
 * the one that follows it in `texts`, behind others the end. json_decref lets go of it. */
json_t *kit_chain(json_t *cases, const char *const *texts, uint32_t n, int64_t context);
/* writes the model's files to a folder; the path to open, in `a` */
const char *kit_make_model(arena *a, const json_t *c, const char *folder);
/* the bytes of a case's only GGUF file */
str kit_gguf(arena *a, const json_t *c);
int64_t kit_int(const json_t *c, const char *key);
const char *kit_str(const json_t *c, const char *key);

#endif
