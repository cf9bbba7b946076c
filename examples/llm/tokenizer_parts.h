/* tokenizer_parts.h: what the files of the tokenizer share; private to them.
 *
 *   tokenizer.c        making one, and the way of a text: added tokens, spaces, NFC, runs of UTF-8, words, merges
 *   token_words.c      the regular expressions that cut words
 *   token_merge.c      merges within a word
 *   token_stream.c     ids back to text
 */
#ifndef TILE_LLM_TOKENIZER_PARTS_H
#define TILE_LLM_TOKENIZER_PARTS_H

#include "base/base.h"
#include "examples/llm/tokenizer.h"

#define TOKEN_NONE (-1)

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;

/* ids by text: open addressing over the texts of a list. A slot is id + 1 and, above it, the upper half of the text's
 * hash, so that another text is mostly told apart without being looked at. */
typedef struct token_index {
    const str *texts;
    uint64_t *slots;
    uint32_t cap;
} token_index;

typedef struct word_patterns {
    struct pcre2_real_code_8 **at;
    uint32_t n;
} word_patterns;

struct tokenizer {
    arena a;
    const vocab *v;
    str *piece;        /* [n] bytes that a token stands for */
    uint8_t *kinds;    /* [n] */
    token_index words; /* pieces of normal tokens */
    token_index added; /* spellings of control and user tokens */
    uint32_t *lengths; /* of added tokens, longest first */
    uint32_t nlengths;
    bool begins[256];   /* bytes that begin an added token */
    int32_t bytes[256]; /* token of each byte */
    map64 merges;       /* left id, right id -> rank */
    int32_t *merged;    /* [nmerges] what the merge of that rank makes */
    word_patterns patterns;
    uint8_t *ends;  /* [n] */
    size_t longest; /* bytes of the longest piece */
};

/* one tokenizer_encode at work */
typedef struct encoding {
    const tokenizer *t;
    arena a; /* scratch */
    token_list *out;
    struct pcre2_real_match_data_8 *match;
    const char *wrong; /* what went wrong beside memory; NULL = nothing */
    struct symbol *symbols;
    struct candidate *heap;
    size_t room; /* symbols there is room for */
} encoding;

/* tokenizer.c */
int32_t token_index_find(const token_index *x, str s);
void encoding_push(encoding *e, int32_t id); /* raises where memory ends */
/* token_words.c */
bool words_init(tokenizer *t, tile_error *err);
void words_fini(tokenizer *t);
/* cuts valid UTF-8 into words, each handed to merge_word */
void words_cut(encoding *e, str text, uint32_t stage);
/* token_merge.c */
void merge_word(encoding *e, str word);

#endif
