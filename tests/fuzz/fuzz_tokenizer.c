/* fuzz_tokenizer.c: libFuzzer on tokenizers: any text, through small vocabularies of each kind.
 *
 * The first byte picks a vocabulary (bytes with merges, scores, ranks of merges) and flags, the rest is text.
 * Vocabularies hold a token for each byte, so that what comes back must be what went in: exactly for byte-level ones
 * without NFC, up to the space in front and U+2581 for SentencePiece's. A stream of pieces must give the same bytes as
 * the pieces alone.
 */
#include "base/base.h"
#include "examples/llm/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KINDS = 7, EXTRA = 24, TOKENS = 256 + EXTRA };

static const char *const extra[EXTRA] = {"<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>",   "\n\n\n",
                                         "the", "th",   "he",    "  ",           "    ",         "in",
                                         "ing", "an",   "and",   "12",           "\xe4\xbd\xa0", "\xe4\xbd",
                                         "' '", "ab",   "aba",   "abab",         "e\xcc\x81",    "\xc3\xa9"};
static const char *const pres[] = {"gpt-2", "smollm", "llama-bpe", "qwen2", "default"};

static struct {
    arena a;
    vocab v[KINDS];
    tokenizer *t[KINDS];
} all;

/* GPT-2's spelling of bytes, as tokenizer.c undoes it */
static str spelt(arena *a, str s)
{
    strbuf b;
    sb_init(&b, a);
    for (size_t i = 0; i < s.n; i++) {
        uint32_t byte = (uint8_t)s.p[i], code = byte, next = 0x100;
        for (uint32_t k = 0; k < 256; k++) {
            bool plain = (k >= 0x21 && k <= 0x7e) || (k >= 0xa1 && k <= 0xac) || k >= 0xae;
            if (k == byte && !plain)
                code = next;
            next += !plain;
        }
        if (code < 0x80) {
            sb_putc(&b, (char)code);
        } else {
            sb_putc(&b, (char)(0xc0 | code >> 6));
            sb_putc(&b, (char)(0x80 | (code & 63)));
        }
    }
    return sb_str(&b);
}

static str space_mark(arena *a, str s)
{
    strbuf b;
    sb_init(&b, a);
    for (size_t i = 0; i < s.n; i++)
        sb_put(&b, s.p[i] == ' ' ? S("\xe2\x96\x81") : (str){s.p + i, 1});
    return sb_str(&b);
}

static str spelling(arena *a, bool spm, str s)
{
    return spm ? space_mark(a, s) : spelt(a, s);
}

/* all ways to cut a token of several bytes in two: whichever parts are tokens may merge */
static void add_merges(arena *a, vocab *v, bool spm)
{
    str(*m)[2] = arena_array(a, 512, sizeof *m, _Alignof(str));
    for (int i = 5; i < EXTRA && i >= 5; i++)
        for (size_t k = 1; k < strlen(extra[i]) && v->nmerges < 512; k++) {
            m[v->nmerges][0] = spelling(a, spm, (str){extra[i], k});
            m[v->nmerges][1] = spelling(a, spm, str_of(extra[i] + k));
            v->nmerges++;
        }
    v->merges = (const str(*)[2])m;
}

static void make_vocab(arena *a, vocab *v, int kind)
{
    bool spm = kind >= 5;
    str *text = ARENA_ARRAY(a, str, TOKENS);
    uint8_t *kinds = ARENA_ARRAY(a, uint8_t, TOKENS);
    float *scores = ARENA_ARRAY(a, float, TOKENS);
    for (int i = 0; i < TOKENS; i++) {
        char byte = (char)i;
        const char *x = i >= 256 ? extra[i - 256] : NULL;
        text[i] = x && i < 261 ? str_of(x)
                  : x          ? spelling(a, spm, str_of(x))
                  : spm        ? str_fmt(a, "<0x%02X>", i)
                               : spelt(a, (str){&byte, 1});
        kinds[i] = i >= 256 && i < 261 ? TOKEN_CONTROL
                   : i == 261          ? TOKEN_USER
                   : spm && i < 256    ? TOKEN_BYTE
                                       : TOKEN_NORMAL;
        if (kinds[i] == TOKEN_USER)
            text[i] = str_of(x);
        scores[i] = -(float)i;
    }
    *v = (vocab){.kind = spm ? VOCAB_SPM : VOCAB_BPE,
                 .pre = spm ? S("") : str_of(pres[kind]),
                 .n = TOKENS,
                 .text = text,
                 .scores = kind == 5 ? scores : NULL,
                 .kinds = kinds,
                 .bos = 256,
                 .eos = 257,
                 .unk = -1,
                 .add_bos = kind % 2 == 1,
                 .space = kind == 5 ? VOCAB_SPACE : 0,
                 .whole_first = kind == 2};
    if (kind != 5)
        add_merges(a, v, spm);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    tile_error err;
    (void)argc, (void)argv;
    arena_init(&all.a, 0);
    for (int i = 0; i < KINDS; i++) {
        make_vocab(&all.a, &all.v[i], i);
        all.t[i] = tokenizer_new(&all.v[i], &err);
        if (!all.t[i])
            abort();
    }
    return 0;
}

static void check_stream(arena *a, const tokenizer *t, const token_list *ids, str want)
{
    token_stream s;
    strbuf b;
    sb_init(&b, a);
    if (!token_stream_init(&s, t, true, NULL))
        abort();
    for (size_t i = 0; i < ids->n; i++)
        sb_put(&b, token_stream_put(&s, ids->at[i]));
    sb_put(&b, token_stream_end(&s));
    token_stream_fini(&s);
    if (!str_eq(sb_str(&b), want)) {
        fprintf(stderr, "%zu bytes went in, %zu came back\n", want.n, b.n);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a;
    token_list ids = {0};
    if (size == 0)
        return 0;
    int kind = data[0] % KINDS;
    unsigned flags = data[0] & 0x40 ? TOK_SPECIAL : 0;
    str text = {(const char *)data + 1, size - 1};
    bool marks = memmem(text.p, text.n, "\xe2\x96\x81", 3) != NULL;
    if (!tokenizer_encode(all.t[kind], text, flags, &ids, NULL))
        abort();
    arena_init(&a, 0);
    /* with a space before each stretch, markers in the text would bring spaces that were not there */
    bool stretches = kind == 5 && (memchr(text.p, '<', text.n) || memmem(text.p, text.n, "\n\n\n", 3));
    if (!(kind >= 5 && marks) && !stretches)
        check_stream(&a, all.t[kind], &ids, text);
    arena_fini(&a);
    token_list_free(&ids);
    return 0;
}
