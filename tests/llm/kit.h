/* kit.h: what the tests of model files, tokenizer and chat template share. */
#ifndef TILE_TESTS_LLM_KIT_H
#define TILE_TESTS_LLM_KIT_H

#include "base/base.h"
#include "examples/llm/tokenizer.h"

#include <check.h>

/* kit.c: the default model where `make model` leaves it; NULL where it is not there */
const char *kit_default_model(void);
/* runs the suite; prints what was left out and the counts; the process's exit status */
int kit_run(Suite *s, uint32_t skipped);
/* a folder of the test's own, removed by kit_remove */
const char *kit_folder(char room[64]);
void kit_remove(const char *folder);
str kit_read(arena *a, const char *path);
void kit_write(const char *folder, const char *name, const void *bytes, size_t n);
/* \n \r \t \\ \u{HEX} \xNN undone */
str kit_unescape(arena *a, str s);
/* the next line of *rest, without its end */
bool kit_line(str *rest, str *line);
/* compares a tokenizer with a file of lines "STRING<tab>IDS" (tests/llm/texts.py): ids equal, and text equal again
 * where `back`; how many strings there were */
uint32_t kit_check_tokens(const tokenizer *t, const char *path, unsigned flags, bool back);
/* all of ids as text, control tokens too */
str kit_text_of(arena *a, const tokenizer *t, const token_list *ids);

#endif
