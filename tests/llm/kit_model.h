/* kit_model.h: makes the small models of families.json (make_families.py says what their weights are). */
#ifndef TILE_TESTS_LLM_KIT_MODEL_H
#define TILE_TESTS_LLM_KIT_MODEL_H

#include "examples/llm/model_file.h"
#include "tests/llm/kit.h"

#include <jansson.h>

/* all cases; the caller lets go of them by json_decref */
json_t *kit_cases(void);
json_t *kit_case(json_t *cases, const char *name);
/* writes the model's files to a folder; the path to open, in `a` */
const char *kit_make_model(arena *a, const json_t *c, const char *folder);
/* the bytes of a case's only GGUF file */
str kit_gguf(arena *a, const json_t *c);
int64_t kit_int(const json_t *c, const char *key);
const char *kit_str(const json_t *c, const char *key);

#endif
