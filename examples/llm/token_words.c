/* token_words.c: cuts text into words by the regular expressions of a vocabulary's pre-tokenizer (PCRE2).
 *
 * A pre-tokenizer is a list of expressions: each cuts what those before left into its matches and what lies between
 * them. GGUF files name theirs, tokenizer.json spells it out. Expressions were written for another library, in which
 * \s has U+0085 too; they are adapted on the way. A match that would take forever is stopped by PCRE2's limit.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "examples/llm/tokenizer_parts.h"
#include "examples/llm/utf8.h"

#include <pcre2.h>
#include <stdio.h>

#define MAX_PATTERNS 16

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3_FROM_WORDS(digits)                                                                                      \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                                               \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define TEKKEN                                                                                                         \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER                                \
    "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct {
    const char *pre;
    const char *patterns[4];
} known[] = {
    {"gpt-2", {GPT2}},
    {"gpt2", {GPT2}},
    {"phi-2", {GPT2}},
    {"mpt", {GPT2}},
    {"olmo", {GPT2}},
    {"smollm", {"\\p{N}", GPT2}},
    {"starcoder", {"\\p{N}", GPT2}},
    {"refact", {"\\p{N}", GPT2}},
    {"command-r", {"\\p{N}", GPT2}},
    {"llama-bpe", {LLAMA3_FROM_WORDS("\\p{N}{1,3}")}},
    {"llama3", {LLAMA3_FROM_WORDS("\\p{N}{1,3}")}},
    {"llama-v3", {LLAMA3_FROM_WORDS("\\p{N}{1,3}")}},
    {"falcon3", {LLAMA3_FROM_WORDS("\\p{N}{1,3}")}},
    {"qwen2", {LLAMA3_FROM_WORDS("\\p{N}")}},
    {"deepseek-r1-qwen", {LLAMA3_FROM_WORDS("\\p{N}")}},
    {"tekken", {TEKKEN}},
    {"default", {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
};

/* \s and \S as the expression's own library reads them */
static str adapt(arena *a, str p)
{
    strbuf b;
    bool in_class = false;
    sb_init(&b, a);
    for (size_t i = 0; i < p.n; i++) {
        char c = p.p[i], next = i + 1 < p.n ? p.p[i + 1] : 0;
        if (c == '\\' && next) {
            i++;
            if (next == 's')
                sb_puts(&b, in_class ? "\\s\\x{85}" : "[\\s\\x{85}]");
            else if (next == 'S' && !in_class)
                sb_puts(&b, "[^\\s\\x{85}]");
            else
                sb_putf(&b, "\\%c", next);
            continue;
        }
        if (c == '[' && !in_class)
            in_class = true;
        else if (c == ']')
            in_class = false;
        sb_putc(&b, c);
    }
    return sb_str(&b);
}

static bool add_pattern(tokenizer *t, str p, tile_error *err)
{
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR why[128];
    str s = adapt(&t->a, p);
    pcre2_code *c =
        pcre2_compile((PCRE2_SPTR)s.p, s.n, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (c) {
        (void)pcre2_jit_compile(c, PCRE2_JIT_COMPLETE); /* without it, matching is only slower */
        t->patterns.at[t->patterns.n++] = c;
        return true;
    }
    if (err) {
        pcre2_get_error_message(code, why, sizeof why);
        err->code = TILE_E_ARGUMENT;
        (void)snprintf(err->text, sizeof err->text, "pre-tokenizer: expression %u, character %zu: %s",
                       t->patterns.n + 1, (size_t)at, (const char *)why);
    }
    return false;
}

static bool fail(tile_error *err, const char *fmt, str what)
{
    if (err) {
        err->code = TILE_E_ARGUMENT;
        (void)snprintf(err->text, sizeof err->text, fmt, (int)(what.n < 80 ? what.n : 80), what.p);
    }
    return false;
}

bool words_init(tokenizer *t, tile_error *err)
{
    const vocab *v = t->v;
    t->patterns.at = ARENA_ARRAY(&t->a, struct pcre2_real_code_8 *, MAX_PATTERNS);
    if (v->npatterns > MAX_PATTERNS)
        return fail(err, "pre-tokenizer%.*s: too many expressions", S(""));
    for (uint32_t i = 0; i < v->npatterns; i++)
        if (!add_pattern(t, v->patterns[i], err))
            return false;
    if (v->npatterns || v->kind != VOCAB_BPE || v->pre.n == 0)
        return true;
    for (uint32_t i = 0; i < COUNTOF(known); i++) {
        if (!str_eq(v->pre, str_of(known[i].pre)))
            continue;
        for (uint32_t k = 0; k < COUNTOF(known[i].patterns) && known[i].patterns[k]; k++)
            if (!add_pattern(t, str_of(known[i].patterns[k]), err))
                return false;
        return true;
    }
    return fail(err, "pre-tokenizer '%.*s' is not known ('tokenizer.ggml.pre')", v->pre);
}

void words_fini(tokenizer *t)
{
    for (uint32_t i = 0; i < t->patterns.n; i++)
        pcre2_code_free(t->patterns.at[i]);
}

void words_cut(encoding *e, str text, uint32_t stage)
{
    const word_patterns *p = &e->t->patterns;
    size_t at = 0, from = 0; /* from: where the search goes on; behind `at` after an empty match */
    if (stage == p->n) {
        merge_word(e, text);
        return;
    }
    while (from < text.n) {
        int n = pcre2_match(p->at[stage], (PCRE2_SPTR)text.p, text.n, from, PCRE2_NO_UTF_CHECK, e->match, NULL);
        if (n == PCRE2_ERROR_JIT_STACKLIMIT)
            n = pcre2_match(p->at[stage], (PCRE2_SPTR)text.p, text.n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, e->match,
                            NULL);
        if (n == PCRE2_ERROR_NOMATCH)
            break;
        if (n < 0) {
            e->wrong = "the pre-tokenizer's expression takes too long";
            return;
        }
        const PCRE2_SIZE *m = pcre2_get_ovector_pointer(e->match);
        size_t beg = m[0], end = m[1];
        if (end <= beg || beg < at) { /* empty, or begun earlier by \K */
            size_t on = end > from ? end : from;
            from = on < text.n ? on + utf8_at(text, on).n : text.n;
            continue;
        }
        if (beg > at)
            words_cut(e, (str){text.p + at, beg - at}, stage + 1);
        words_cut(e, (str){text.p + beg, end - beg}, stage + 1);
        at = from = end;
    }
    if (at < text.n)
        words_cut(e, (str){text.p + at, text.n - at}, stage + 1);
}
