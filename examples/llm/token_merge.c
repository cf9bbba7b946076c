/* token_merge.c: byte-pair merges within one word.
 *
 * The word is a doubly linked list of symbols, at first bytes (byte-level BPE) or characters (SentencePiece). All pairs
 * that can merge wait in a heap by rank, then by place; the best one is taken, its two symbols become one, and the
 * pairs of the new symbol with its neighbours enter the heap. A pair whose symbols have changed meanwhile is known by
 * its length and dropped: O(n log n) for n symbols, whatever the text.
 *
 * Ranks come from the list of merges where there is one; else, as SentencePiece has it, any two symbols whose texts
 * make a token may merge, the best score first.
 */
#include "examples/llm/tokenizer_parts.h"
#include "examples/llm/utf8.h"

#include <stdlib.h>

typedef struct symbol {
    int32_t id;          /* TOKEN_NONE: no token has this text */
    uint32_t at, n;      /* its bytes in the word; n = 0: merged into the one before */
    uint32_t prev, next; /* UINT32_MAX at the ends */
} symbol;

typedef struct candidate {
    uint32_t rank, left;
    uint32_t n; /* bytes of both symbols when it was made */
} candidate;

typedef struct heap {
    candidate *at;
    size_t n;
} heap;

static bool before(candidate a, candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.left < b.left;
}

static void heap_push(heap *h, candidate c)
{
    size_t i = h->n++;
    for (; i > 0 && before(c, h->at[(i - 1) / 2]); i = (i - 1) / 2)
        h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = c;
}

static candidate heap_pop(heap *h)
{
    candidate top = h->at[0], last = h->at[--h->n];
    size_t i = 0;
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= h->n)
            break;
        if (k + 1 < h->n && before(h->at[k + 1], h->at[k]))
            k++;
        if (!before(h->at[k], last))
            break;
        h->at[i] = h->at[k];
        i = k;
    }
    h->at[i] = last;
    return top;
}

/* a higher score gives a lower rank */
static uint32_t rank_of_score(float score)
{
    uint32_t b = num_f32_bits(score);
    return ~(b & 0x80000000u ? ~b : b | 0x80000000u);
}

/* the token that l and r make, TOKEN_NONE where they don't merge */
static int32_t merge_of(const tokenizer *t, const symbol *l, const symbol *r, str word, uint32_t *rank)
{
    if (t->v->nmerges) {
        if (l->id < 0 || r->id < 0 || !map_get(&t->merges, (uint64_t)(uint32_t)l->id << 32 | (uint32_t)r->id, rank))
            return TOKEN_NONE;
        return t->merged[*rank];
    }
    if ((size_t)l->n + r->n > t->longest)
        return TOKEN_NONE;
    int32_t id = token_index_find(&t->words, (str){word.p + l->at, l->n + r->n});
    if (id >= 0)
        *rank = rank_of_score(t->v->scores ? t->v->scores[id] : 0);
    return id;
}

static void offer(const encoding *e, heap *h, str word, uint32_t left, uint32_t right)
{
    const symbol *l = &e->symbols[left], *r = &e->symbols[right];
    uint32_t rank = 0;
    if (merge_of(e->t, l, r, word, &rank) >= 0)
        heap_push(h, (candidate){rank, left, l->n + r->n});
}

static void merge_all(encoding *e, heap *h, str word)
{
    symbol *s = e->symbols;
    uint32_t rank;
    while (h->n) {
        candidate c = heap_pop(h);
        symbol *l = &s[c.left];
        if (l->n == 0 || l->next == UINT32_MAX || l->n + s[l->next].n != c.n)
            continue;
        symbol *r = &s[l->next];
        l->id = merge_of(e->t, l, r, word, &rank);
        l->n += r->n;
        l->next = r->next;
        r->n = 0;
        if (l->next != UINT32_MAX) {
            s[l->next].prev = c.left;
            offer(e, h, word, c.left, l->next);
        }
        if (l->prev != UINT32_MAX)
            offer(e, h, word, l->prev, c.left);
    }
}

/* bytes without a token (a vocabulary may lack those that UTF-8 never has) become the unknown token, or nothing */
static void put_bytes(encoding *e, str s)
{
    const tokenizer *t = e->t;
    for (size_t i = 0; i < s.n; i++) {
        int32_t id = t->bytes[(uint8_t)s.p[i]];
        if (id >= 0)
            encoding_push(e, id);
        else if (t->v->unk >= 0)
            encoding_push(e, t->v->unk);
    }
}

static void make_room(encoding *e, size_t n)
{
    if (n <= e->room)
        return;
    size_t room = n < 256 ? 256 : n * 2;
    e->symbols = ARENA_ARRAY(&e->a, symbol, room);
    e->heap = ARENA_ARRAY(&e->a, candidate, room * 3); /* a merge takes one pair out and brings two */
    e->room = room;
}

static uint32_t symbol_length(const tokenizer *t, str word, size_t at)
{
    if (t->v->kind == VOCAB_BPE)
        return 1;
    utf8_char c = utf8_at(word, at);
    return c.state == UTF8_WHOLE ? c.n : 1;
}

static uint32_t split_symbols(encoding *e, str word)
{
    const tokenizer *t = e->t;
    uint32_t n = 0;
    for (size_t at = 0; at < word.n; n++) {
        uint32_t len = symbol_length(t, word, at);
        int32_t id = t->v->kind == VOCAB_BPE ? t->bytes[(uint8_t)word.p[at]]
                                             : token_index_find(&t->words, (str){word.p + at, len});
        e->symbols[n] = (symbol){id, (uint32_t)at, len, n ? n - 1 : UINT32_MAX, n + 1};
        at += len;
    }
    e->symbols[n - 1].next = UINT32_MAX;
    return n;
}

void merge_word(encoding *e, str word)
{
    const tokenizer *t = e->t;
    int32_t whole = t->v->whole_first ? token_index_find(&t->words, word) : TOKEN_NONE;
    if (whole >= 0)
        encoding_push(e, whole);
    if (whole >= 0 || word.n == 0)
        return;
    make_room(e, word.n);
    uint32_t n = split_symbols(e, word);
    heap h = {e->heap, 0};
    for (uint32_t i = 0; i + 1 < n; i++)
        offer(e, &h, word, i, i + 1);
    merge_all(e, &h, word);
    for (uint32_t i = 0; i != UINT32_MAX; i = e->symbols[i].next) {
        const symbol *s = &e->symbols[i];
        if (s->id >= 0)
            encoding_push(e, s->id);
        else
            put_bytes(e, (str){word.p + s->at, s->n});
    }
}
