/* tokenizer.c: makes a tokenizer from a vocabulary, and leads a text through it.
 *
 *   text -> stretches between added tokens (the longest at the leftmost place wins) -> space in front, NFC, where the
 *   vocabulary asks for them -> runs that are UTF-8 and runs that are not -> words -> merges -> ids
 *
 * Inside, tokens are bytes: the spelling of byte-level vocabularies (GPT-2 writes byte 0x20 as U+0120) and
 * SentencePiece's U+2581 for a space are undone once, when the tokenizer is made. Bytes that are not UTF-8 skip the
 * expressions and are merged as a word of their own, so that they come back unchanged.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "examples/llm/tokenizer_parts.h"
#include "examples/llm/utf8.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define SPACE_MARK 0x2581u

/* ---- ids by text ---- */
static uint64_t *slot_of(const token_index *x, str s, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & (x->cap - 1);
    for (;; i = (i + 1) & (x->cap - 1)) {
        uint64_t slot = x->slots[i];
        if (!slot || (slot >> 32 == hash >> 32 && str_eq(x->texts[(uint32_t)slot - 1], s)))
            return &x->slots[i];
    }
}

int32_t token_index_find(const token_index *x, str s)
{
    return (int32_t)(uint32_t)*slot_of(x, s, str_hash(s)) - 1;
}

static void index_init(token_index *x, arena *a, const str *texts, uint32_t n)
{
    x->texts = texts;
    for (x->cap = 16; x->cap < n * 2; x->cap *= 2)
        continue;
    x->slots = ARENA_ARRAY(a, uint64_t, x->cap);
}

/* the first token of a text is found by it */
static void index_add(token_index *x, uint32_t id)
{
    uint64_t hash = str_hash(x->texts[id]), *slot = slot_of(x, x->texts[id], hash);
    if (!*slot)
        *slot = (hash & ~(uint64_t)UINT32_MAX) | (id + 1);
}

/* ---- making one ---- */
/* GPT-2's spelling: printable bytes of Latin-1 stand for themselves, the others for U+0100 up, in order */
static void byte_codes(int16_t code_byte[0x144])
{
    int next = 0x100;
    memset(code_byte, 0xff, 0x144 * sizeof *code_byte);
    for (int b = 0; b < 256; b++) {
        bool plain = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        code_byte[plain ? b : next++] = (int16_t)b;
    }
}

/* the bytes of a byte-level spelling; the spelling itself where it is not of that kind */
static str undo_bytes(arena *a, str s, const int16_t code_byte[0x144])
{
    char *p = arena_alloc(a, s.n, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] > ' ' && s.p[i] <= '~') { /* most of them stand for themselves */
            p[n++] = s.p[i++];
            continue;
        }
        utf8_char c = utf8_at(s, i);
        if (c.state != UTF8_WHOLE || c.code >= 0x144 || code_byte[c.code] < 0)
            return s;
        p[n++] = (char)code_byte[c.code];
        i += c.n;
    }
    return (str){p, n};
}

static str undo_spaces(arena *a, str s)
{
    char *p = arena_alloc(a, s.n, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        utf8_char c = utf8_at(s, i);
        if (c.state == UTF8_WHOLE && c.code == SPACE_MARK) {
            p[n++] = ' ';
            i += c.n;
        } else {
            p[n++] = s.p[i++];
        }
    }
    return (str){p, n};
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* <0x41> -> 'A'; -1: not of that form */
static int byte_of(str s)
{
    if (s.n != 6 || memcmp(s.p, "<0x", 3) != 0 || s.p[5] != '>')
        return -1;
    int high = hex_digit(s.p[3]), low = hex_digit(s.p[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static str undo_spelling(tokenizer *t, str s, const int16_t code_byte[0x144])
{
    return t->v->kind == VOCAB_BPE ? undo_bytes(&t->a, s, code_byte) : undo_spaces(&t->a, s);
}

static void set_byte(tokenizer *t, uint32_t id, int byte)
{
    char *p = arena_alloc(&t->a, 1, 1);
    *p = (char)byte;
    t->piece[id] = (str){p, 1};
    if (t->bytes[byte] < 0)
        t->bytes[byte] = (int32_t)id;
}

static bool is_added(const tokenizer *t, uint32_t id)
{
    return (t->kinds[id] == TOKEN_CONTROL || t->kinds[id] == TOKEN_USER) && t->v->text[id].n > 0;
}

static void add_length(tokenizer *t, uint32_t n)
{
    uint32_t i = 0;
    while (i < t->nlengths && t->lengths[i] > n)
        i++;
    if (i < t->nlengths && t->lengths[i] == n)
        return;
    memmove(t->lengths + i + 1, t->lengths + i, (t->nlengths - i) * sizeof *t->lengths);
    t->lengths[i] = n;
    t->nlengths++;
}

static void read_tokens(tokenizer *t, const int16_t code_byte[0x144])
{
    const vocab *v = t->v;
    memset(t->bytes, 0xff, sizeof t->bytes);
    for (uint32_t i = 0; i < v->n; i++) {
        int byte = v->kind == VOCAB_SPM && (t->kinds[i] == TOKEN_BYTE) ? byte_of(v->text[i]) : -1;
        t->piece[i] = is_added(t, i) ? v->text[i] : undo_spelling(t, v->text[i], code_byte);
        if (byte >= 0)
            set_byte(t, i, byte);
        else if (t->kinds[i] == TOKEN_NORMAL && t->piece[i].n)
            index_add(&t->words, i);
        if (v->kind == VOCAB_BPE && t->kinds[i] == TOKEN_NORMAL && t->piece[i].n == 1)
            set_byte(t, i, (uint8_t)t->piece[i].p[0]);
        if (t->piece[i].n > t->longest)
            t->longest = t->piece[i].n;
    }
}

/* lengths are few: tokens of a vocabulary, not a text's */
static void read_added(tokenizer *t)
{
    const vocab *v = t->v;
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->n; i++)
        n += is_added(t, i);
    index_init(&t->added, &t->a, v->text, n);
    t->lengths = ARENA_ARRAY(&t->a, uint32_t, n + 1);
    for (uint32_t i = 0; i < v->n; i++) {
        if (!is_added(t, i) || v->text[i].n > UINT32_MAX)
            continue;
        index_add(&t->added, i);
        t->begins[(uint8_t)v->text[i].p[0]] = true;
        add_length(t, (uint32_t)v->text[i].n);
    }
}

/* a merge of texts that are no tokens, or that make none, can't apply */
static void read_merges(tokenizer *t, const int16_t code_byte[0x144])
{
    const vocab *v = t->v;
    char *both = arena_alloc(&t->a, t->longest + 1, 1);
    uint32_t known;
    map_init(&t->merges, &t->a);
    t->merged = ARENA_ARRAY(&t->a, int32_t, v->nmerges);
    for (uint32_t i = 0; i < v->nmerges; i++) {
        arena_pos mark = arena_mark(&t->a);
        str l = undo_spelling(t, v->merges[i][0], code_byte), r = undo_spelling(t, v->merges[i][1], code_byte);
        int32_t left = token_index_find(&t->words, l), right = token_index_find(&t->words, r), made = TOKEN_NONE;
        if (left >= 0 && right >= 0 && l.n + r.n <= t->longest) {
            memcpy(both, l.p, l.n);
            memcpy(both + l.n, r.p, r.n);
            made = token_index_find(&t->words, (str){both, l.n + r.n});
        }
        arena_reset(&t->a, mark);
        uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
        t->merged[i] = made;
        if (made >= 0 && !map_get(&t->merges, key, &known))
            map_set(&t->merges, key, i);
    }
}

static void read_ends(tokenizer *t)
{
    static const char *names[] = {
        "<|im_end|>",      "<|endoftext|>",        "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>",
        "<|end|>",         "<end_of_turn>",        "</s>",       "<|eot|>",    "<eos>",
        "<|endofturn|>",   "<|return|>",           "<EOT>",      "<|EOT|>",    "<end_of_utterance>",
        "<|end_of_turn|>", "<|END_OF_TURN_TOKEN|>"};
    const vocab *v = t->v;
    if (v->eos >= 0)
        t->ends[v->eos] = 1;
    for (uint32_t i = 0; i < v->nends; i++)
        t->ends[v->ends[i]] = 1;
    for (uint32_t i = 0; i < COUNTOF(names); i++) {
        int32_t id = token_index_find(&t->added, str_of(names[i]));
        if (id >= 0 && t->kinds[id] == TOKEN_CONTROL)
            t->ends[id] = 1;
    }
}

typedef struct making {
    tokenizer *t;
    tile_error *err;
    bool done;
} making;

static void make(void *ctx)
{
    making *m = ctx;
    tokenizer *t = m->t;
    const vocab *v = t->v;
    int16_t code_byte[0x144];
    byte_codes(code_byte);
    t->piece = ARENA_ARRAY(&t->a, str, v->n);
    t->ends = ARENA_ARRAY(&t->a, uint8_t, v->n);
    t->kinds = ARENA_ARRAY(&t->a, uint8_t, v->n);
    if (v->kinds)
        memcpy(t->kinds, v->kinds, v->n);
    else
        memset(t->kinds, TOKEN_NORMAL, v->n);
    index_init(&t->words, &t->a, t->piece, v->n);
    read_tokens(t, code_byte);
    read_added(t);
    read_merges(t, code_byte);
    read_ends(t);
    m->done = words_init(t, m->err);
}

static void no_memory(tile_error *err)
{
    if (err) {
        err->code = TILE_E_MEMORY;
        (void)snprintf(err->text, sizeof err->text, "tokenizer: out of memory");
    }
}

tokenizer *tokenizer_new(const vocab *v, tile_error *err)
{
    tokenizer *t = calloc(1, sizeof *t);
    making m = {t, err, false};
    if (!t) {
        no_memory(err);
        return NULL;
    }
    arena_init(&t->a, 0);
    t->v = v;
    if (!arena_try(&t->a, make, &m))
        no_memory(err);
    if (m.done)
        return t;
    tokenizer_free(t);
    return NULL;
}

void tokenizer_free(tokenizer *t)
{
    if (!t)
        return;
    words_fini(t);
    arena_fini(&t->a);
    free(t);
}

/* ---- text to ids ---- */
bool token_list_push(token_list *l, int32_t id)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        int32_t *p = cap <= SIZE_MAX / sizeof *p ? realloc(l->at, cap * sizeof *p) : NULL;
        if (!p)
            return false;
        l->at = p;
        l->cap = cap;
    }
    l->at[l->n++] = id;
    return true;
}

void token_list_free(token_list *l)
{
    free(l->at);
    *l = (token_list){0};
}

void encoding_push(encoding *e, int32_t id)
{
    if (!token_list_push(e->out, id))
        arena_raise(&e->a);
}

static bool is_ascii(str s)
{
    uint8_t all = 0;
    for (size_t i = 0; i < s.n; i++)
        all |= (uint8_t)s.p[i];
    return all < 0x80;
}

/* valid UTF-8 in its composed form, in scratch memory */
static str composed(encoding *e, str s)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)s.p;
    utf8proc_option_t how = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    if (is_ascii(s))
        return s;
    utf8proc_ssize_t n = utf8proc_decompose(p, (utf8proc_ssize_t)s.n, NULL, 0, how);
    if (n < 0)
        return s;
    utf8proc_int32_t *codes = ARENA_ARRAY(&e->a, utf8proc_int32_t, (size_t)n + 1);
    n = utf8proc_decompose(p, (utf8proc_ssize_t)s.n, codes, n, how);
    n = n < 0 ? n : utf8proc_reencode(codes, n, how);
    return n < 0 ? s : (str){(const char *)codes, (size_t)n};
}

/* the end of the run from `at` that is UTF-8, or that is not */
static size_t run_end(str s, size_t at, bool *whole)
{
    *whole = utf8_at(s, at).state == UTF8_WHOLE;
    while (at < s.n) {
        utf8_char c = utf8_at(s, at);
        if ((c.state == UTF8_WHOLE) != *whole)
            break;
        at += c.n;
    }
    return at;
}

/* a stretch without added tokens; `first` stands at the text's start */
static void encode_stretch(encoding *e, str s, bool first, unsigned flags)
{
    const vocab *v = e->t->v;
    bool space = (v->space & VOCAB_SPACE) && (first ? !(flags & TOK_PART) : !(v->space & VOCAB_SPACE_FIRST));
    if (s.n == 0)
        return;
    if (v->kind == VOCAB_SPM)
        s = undo_spaces(&e->a, s);
    if (space && !((v->space & VOCAB_SPACE_UNLESS) && s.p[0] == ' ')) {
        char *p = arena_alloc(&e->a, s.n + 1, 1);
        p[0] = ' ';
        memcpy(p + 1, s.p, s.n);
        s = (str){p, s.n + 1};
    }
    if (v->kind == VOCAB_SPM && e->t->patterns.n == 0 && !v->nfc) {
        merge_word(e, s);
        return;
    }
    for (size_t at = 0, end; at < s.n && !e->wrong; at = end) {
        bool whole;
        end = run_end(s, at, &whole);
        str run = {s.p + at, end - at};
        if (whole)
            words_cut(e, v->nfc ? composed(e, run) : run, 0);
        else
            merge_word(e, run);
    }
}

/* the leftmost added token from `at`, the longest there; its id, or TOKEN_NONE */
static int32_t next_added(const tokenizer *t, str s, size_t at, bool control, size_t *beg)
{
    for (; at < s.n; at++) {
        if (!t->begins[(uint8_t)s.p[at]])
            continue;
        for (uint32_t i = 0; i < t->nlengths; i++) {
            if (t->lengths[i] > s.n - at)
                continue;
            int32_t id = token_index_find(&t->added, (str){s.p + at, t->lengths[i]});
            if (id >= 0 && (control || t->kinds[id] == TOKEN_USER)) {
                *beg = at;
                return id;
            }
        }
    }
    *beg = s.n;
    return TOKEN_NONE;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void encode_text(encoding *e, str s, unsigned flags)
{
    const tokenizer *t = e->t;
    size_t at = 0, beg;
    while (at < s.n && !e->wrong) {
        int32_t id = next_added(t, s, at, (flags & TOK_SPECIAL) != 0, &beg);
        uint8_t strip = id >= 0 && t->v->strip ? t->v->strip[id] : 0;
        size_t end = beg;
        while ((strip & VOCAB_LSTRIP) && end > at && is_space(s.p[end - 1]))
            end--;
        encode_stretch(e, (str){s.p + at, end - at}, at == 0, flags);
        if (id < 0)
            return;
        encoding_push(e, id);
        at = beg + t->v->text[id].n;
        while ((strip & VOCAB_RSTRIP) && at < s.n && is_space(s.p[at]))
            at++;
    }
}

typedef struct encode_call {
    encoding e;
    str text;
    unsigned flags;
} encode_call;

static void encode(void *ctx)
{
    encode_call *c = ctx;
    const vocab *v = c->e.t->v;
    if ((c->flags & TOK_BOS) && v->add_bos && v->bos >= 0)
        encoding_push(&c->e, v->bos);
    encode_text(&c->e, c->text, c->flags);
    if ((c->flags & TOK_BOS) && v->add_eos && v->eos >= 0)
        encoding_push(&c->e, v->eos);
}

bool tokenizer_encode(const tokenizer *t, str text, unsigned flags, token_list *out, tile_error *err)
{
    encode_call c = {.e = {.t = t, .out = out}, .text = text, .flags = flags};
    size_t before = out->n;
    bool memory = text.n < UINT32_MAX / 2;
    if (memory)
        c.e.match = pcre2_match_data_create(1, NULL);
    arena_init(&c.e.a, 0);
    memory = memory && c.e.match && arena_try(&c.e.a, encode, &c);
    pcre2_match_data_free(c.e.match);
    arena_fini(&c.e.a);
    if (memory && !c.e.wrong)
        return true;
    out->n = before;
    if (!memory) {
        no_memory(err);
    } else if (err) {
        err->code = TILE_E_ARGUMENT;
        (void)snprintf(err->text, sizeof err->text, "tokenizer: %s", c.e.wrong);
    }
    return false;
}

/* ---- what tokens are ---- */
static bool is_token(const tokenizer *t, int32_t id)
{
    return id >= 0 && (uint32_t)id < t->v->n;
}

uint32_t tokenizer_count(const tokenizer *t)
{
    return t->v->n;
}

int32_t tokenizer_bos(const tokenizer *t)
{
    return t->v->bos;
}

int32_t tokenizer_eos(const tokenizer *t)
{
    return t->v->eos;
}

bool tokenizer_ends(const tokenizer *t, int32_t id)
{
    return is_token(t, id) && t->ends[id];
}

bool tokenizer_control(const tokenizer *t, int32_t id)
{
    return is_token(t, id) && (t->kinds[id] == TOKEN_CONTROL || t->kinds[id] == TOKEN_UNKNOWN);
}

int32_t tokenizer_find(const tokenizer *t, str spelling)
{
    for (uint32_t i = 0; i < t->v->n; i++)
        if (str_eq(t->v->text[i], spelling))
            return (int32_t)i;
    return TOKEN_NONE;
}

str tokenizer_spelling(const tokenizer *t, int32_t id)
{
    return is_token(t, id) ? t->v->text[id] : S("");
}

str tokenizer_piece(const tokenizer *t, int32_t id)
{
    return is_token(t, id) ? t->piece[id] : S("");
}
