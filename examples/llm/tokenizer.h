/* tokenizer.h: text to token ids and back, driven by the vocabulary in the model file.
 *
 *   tokenizer *t = tokenizer_new(model_vocab(m), &err);
 *   token_list ids = {0};
 *   tokenizer_encode(t, text, TOK_BOS | TOK_SPECIAL, &ids, &err);
 *   ...
 *   token_list_free(&ids);
 *
 * A tokenizer is immutable once made: any number of threads may use it. Text is bytes: what is not UTF-8 is encoded
 * byte by byte and comes back as it was.
 */
#ifndef TILE_LLM_TOKENIZER_H
#define TILE_LLM_TOKENIZER_H

#include "base/str.h"
#include "runtime/tile.h"

typedef enum vocab_kind {
    VOCAB_BPE, /* byte-level BPE: merges by rank, tokens in GPT-2's spelling of bytes */
    VOCAB_SPM  /* SentencePiece's BPE: merges by the score (or rank) of what they make, byte tokens for the rest */
} vocab_kind;

typedef enum token_kind {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN,
    TOKEN_CONTROL,
    TOKEN_USER,
    TOKEN_UNUSED,
    TOKEN_BYTE
} token_kind;

enum { VOCAB_LSTRIP = 1, VOCAB_RSTRIP = 2 }; /* an added token takes the white space before, behind it */

/* a space goes before each stretch of text between added tokens, or before that at the text's start only, or unless one
 * is there */
enum { VOCAB_SPACE = 1, VOCAB_SPACE_FIRST = 2, VOCAB_SPACE_UNLESS = 4 };

/* What a model file says about its vocabulary (model_file.h gives one). Strings and arrays are the giver's. */
typedef struct vocab {
    vocab_kind kind;
    str pre;            /* BPE: name of the pre-tokenizer ("gpt-2", "smollm", "llama-bpe", "qwen2"); or empty, and */
    uint32_t npatterns; /* the regular expressions that cut text into words, each cutting what those before left */
    const str *patterns;
    uint32_t n;           /* tokens */
    const str *text;      /* [n] */
    const float *scores;  /* [n] or NULL */
    const uint8_t *kinds; /* [n] of token_kind, or NULL: all normal */
    const uint8_t *strip; /* [n] of VOCAB_LSTRIP.., or NULL */
    uint32_t nmerges;
    const str (*merges)[2]; /* [nmerges] left and right, best first */
    int32_t bos, eos, unk;  /* -1 = none */
    bool add_bos, add_eos;
    uint8_t space;    /* VOCAB_SPACE.. */
    bool whole_first; /* BPE: a word that is a token is that token, whatever the merges say */
    bool nfc;         /* text is brought to NFC first */
    uint32_t nends;
    const int32_t *ends; /* further tokens that end a reply; eos and well-known names are found without */
} vocab;

typedef struct tokenizer tokenizer;

typedef struct token_list {
    int32_t *at;
    size_t n, cap;
} token_list;

enum {
    TOK_BOS = 1,     /* begin with BOS where the vocabulary asks for one (and end with EOS likewise) */
    TOK_SPECIAL = 2, /* control tokens written out in the text (<|im_start|>) count as such */
    TOK_PART = 4     /* the text continues another: no space goes before it */
};

/* tokenizer.c */
/* the vocabulary must outlive the tokenizer */
tokenizer *tokenizer_new(const vocab *v, tile_error *err);
void tokenizer_free(tokenizer *t);
/* appends the ids of text to *out; false + *err (memory only) with *out as it was */
bool tokenizer_encode(const tokenizer *t, str text, unsigned flags, token_list *out, tile_error *err);
void token_list_free(token_list *l);
bool token_list_push(token_list *l, int32_t id);
uint32_t tokenizer_count(const tokenizer *t);
int32_t tokenizer_bos(const tokenizer *t); /* -1 = none */
int32_t tokenizer_eos(const tokenizer *t);
bool tokenizer_ends(const tokenizer *t, int32_t id);    /* an end-of-generation token */
bool tokenizer_control(const tokenizer *t, int32_t id); /* not text: <|im_start|> and the like */
/* id of the token spelt so in the vocabulary, -1 where there is none */
int32_t tokenizer_find(const tokenizer *t, str spelling);
/* the vocabulary's spelling, and the bytes that the token stands for (of a control token, its spelling) */
str tokenizer_spelling(const tokenizer *t, int32_t id);
str tokenizer_piece(const tokenizer *t, int32_t id);

/* token_stream: ids to text as they come. Bytes of an unfinished UTF-8 character are held back until it is whole; bytes
 * that can't become one pass as they are. Control tokens give nothing unless `show_control`. */
typedef struct token_stream {
    const tokenizer *t;
    bool show_control;
    bool begun;  /* SPM: the space before the first piece has been dropped */
    size_t held; /* bytes that wait, in buf behind those given out last */
    size_t given;
    char *buf;
} token_stream;

bool token_stream_init(token_stream *s, const tokenizer *t, bool show_control, tile_error *err);
void token_stream_fini(token_stream *s);
/* text that is whole now; valid until the next call */
str token_stream_put(token_stream *s, int32_t id);
/* what is still held, as bytes; the stream begins anew */
str token_stream_end(token_stream *s);

#endif
