/* test_small_tokens.c: small tokenizers of every kind against the libraries that trained them (make_small_tokens.py):
 * byte-level ones with each family's words, SentencePiece's by its own scores and as two forms of tokenizer.json. And
 * what comes back from any bytes.
 */
#include "examples/llm/model_file.h"
#include "tests/llm/kit_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"gpt2", "smollm", "llama3", "qwen2", "spm-prepend", "spm-first", "spm"};
enum { SPM = 6, COUNT = 7 };

typedef struct opened {
    arena a;
    model_file *m; /* NULL for the one without tokenizer.json */
    vocab v;
    tokenizer *t;
} opened;

/* the smallest model around a tokenizer.json */
static void open_json(opened *o, const char *name)
{
    static const struct {
        const char *key;
        int value;
    } small[] = {{"vocab", 640},  {"dim", 32},      {"ff", 32},   {"heads", 2},
                 {"kv_heads", 1}, {"head_dim", 16}, {"layers", 1}};
    json_t *cases = kit_cases(), *c = kit_case(cases, "llama-safetensors");
    char room[64];
    const char *folder = kit_folder(room);
    tile_error err;
    for (uint32_t i = 0; i < COUNTOF(small); i++)
        json_object_set_new(c, small[i].key, json_integer(small[i].value));
    (void)kit_make_model(&o->a, c, folder);
    str text = kit_read(&o->a, str_cstr(&o->a, str_fmt(&o->a, "tests/llm/tokenizers/%s.json", name)));
    kit_write(folder, "tokenizer.json", text.p, text.n);
    static const char config[] = "{\"bos_token\": \"<|endoftext|>\", \"eos_token\": {\"content\": \"<|im_end|>\"}}";
    kit_write(folder, "tokenizer_config.json", config, sizeof config - 1);
    o->m = model_open(folder, &err);
    kit_remove(folder);
    json_decref(cases);
    ck_assert_msg(o->m != NULL, "%s: %s", name, err.text);
    o->v = *model_vocab(o->m);
}

static void open_pieces(opened *o)
{
    str rest = kit_read(&o->a, "tests/llm/tokenizers/spm.txt"), line;
    str *text = ARENA_ARRAY(&o->a, str, 1024);
    float *scores = ARENA_ARRAY(&o->a, float, 1024);
    uint8_t *kinds = ARENA_ARRAY(&o->a, uint8_t, 1024);
    uint32_t n = 0;
    for (; kit_line(&rest, &line); n++) {
        const char *z = str_cstr(&o->a, line), *tab = strchr(z, '\t');
        text[n] = kit_unescape(&o->a, (str){z, (size_t)(tab - z)});
        scores[n] = strtof(tab + 1, NULL);
        kinds[n] = (uint8_t)atoi(strchr(tab + 1, '\t') + 1);
    }
    o->v = (vocab){.kind = VOCAB_SPM,
                   .n = n,
                   .text = text,
                   .scores = scores,
                   .kinds = kinds,
                   .bos = 1,
                   .eos = 2,
                   .unk = 0,
                   .add_bos = true,
                   .space = VOCAB_SPACE};
}

static void open_one(opened *o, int which)
{
    tile_error err;
    memset(o, 0, sizeof *o);
    arena_init(&o->a, 0);
    if (which == SPM)
        open_pieces(o);
    else
        open_json(o, names[which]);
    o->t = tokenizer_new(&o->v, &err);
    ck_assert_msg(o->t != NULL, "%s: %s", names[which], err.text);
}

static void close_one(opened *o)
{
    tokenizer_free(o->t);
    model_close(o->m);
    arena_fini(&o->a);
}

static str digest(arena *a, const token_list *ids)
{
    strbuf b;
    uint64_t h = 0xcbf29ce484222325u;
    sb_init(&b, a);
    for (size_t i = 0; i < ids->n; i++)
        sb_putf(&b, "%s%d", i ? " " : "", ids->at[i]);
    for (size_t i = 0; i < b.n; i++)
        h = (h ^ (uint8_t)b.at[i]) * 0x100000001b3u;
    return str_fmt(a, "%zu:%016llx", ids->n, (unsigned long long)h);
}

static str shown(arena *a, const tokenizer *t, const token_list *ids)
{
    strbuf b;
    sb_init(&b, a);
    for (size_t i = 0; i < ids->n; i++)
        sb_putf(&b, " %d'%.*s'", ids->at[i], STR_ARG(tokenizer_spelling(t, ids->at[i])));
    return sb_str(&b);
}

START_TEST(reference)
{
    opened o;
    open_one(&o, _i);
    str rest = kit_read(&o.a, "tests/llm/small.tokens"), line;
    uint32_t n = 0, compared = 0;
    for (; kit_line(&rest, &line); n++) {
        arena_pos mark = arena_mark(&o.a);
        const char *at = memchr(line.p, '\t', line.n), *end = line.p + line.n;
        str text = kit_unescape(&o.a, (str){line.p, (size_t)(at - line.p)});
        for (int k = 0; k < _i; k++)
            at = memchr(at + 1, '\t', (size_t)(end - at - 1));
        const char *stop = memchr(at + 1, '\t', (size_t)(end - at - 1));
        str want = {at + 1, (size_t)((stop ? stop : end) - at - 1)};
        token_list ids = {0};
        ck_assert(tokenizer_encode(o.t, text, _i == SPM ? 0 : TOK_SPECIAL, &ids, NULL));
        str got = digest(&o.a, &ids);
        if (!str_eq(want, S("-"))) {
            ck_assert_msg(str_eq(want, got), "%s, line %u: expected %.*s, found %.*s:%.*s", names[_i], n + 1,
                          STR_ARG(want), STR_ARG(got), STR_ARG(shown(&o.a, o.t, &ids)));
            compared++;
        }
        token_list_free(&ids);
        arena_reset(&o.a, mark);
    }
    ck_assert_uint_eq(n, 900);
    ck_assert_uint_gt(compared, 800);
    close_one(&o);
}
END_TEST

/* vocabularies with all bytes give any bytes back, NFC and U+2581 apart */
START_TEST(any_bytes)
{
    opened o;
    uint32_t seed = 7;
    open_one(&o, _i);
    for (int round = 0; round < 3000; round++) {
        char text[64];
        size_t n = 0;
        token_list ids = {0};
        arena_pos mark = arena_mark(&o.a);
        for (; n < sizeof text; n++) {
            seed = seed * 1664525 + 1013904223;
            uint32_t pick = seed >> 24;
            text[n] =
                (char)(round % 3 == 0 ? pick : (uint32_t) "the \xe4\xbd\xa0\xf0\x9f\x98\x80 12\n\n  '"[pick % 18]);
        }
        ck_assert(tokenizer_encode(o.t, (str){text, n}, 0, &ids, NULL));
        str back = kit_text_of(&o.a, o.t, &ids);
        ck_assert_msg(str_eq((str){text, n}, back), "%s: %zu bytes, %zu came back", names[_i], n, back.n);
        token_list_free(&ids);
        arena_reset(&o.a, mark);
    }
    close_one(&o);
}
END_TEST

START_TEST(rules)
{
    opened o;
    token_list ids = {0};
    open_one(&o, 2); /* the one like Llama 3: BOS by its post-processor */
    ck_assert(tokenizer_encode(o.t, S("x<|im_end|>"), TOK_BOS | TOK_SPECIAL, &ids, NULL));
    ck_assert_int_eq(ids.at[0], 0);
    ck_assert_int_eq(ids.at[ids.n - 1], 2);
    ck_assert(tokenizer_ends(o.t, 2) && tokenizer_ends(o.t, 0) && !tokenizer_ends(o.t, 1));
    ck_assert_int_eq(tokenizer_eos(o.t), 2);
    ck_assert_int_eq(tokenizer_bos(o.t), 0);
    token_list_free(&ids);
    close_one(&o);
    open_one(&o, SPM);
    ck_assert(tokenizer_encode(o.t, S("a"), TOK_BOS, &ids, NULL)); /* BOS, and a space before the text */
    ck_assert_int_eq(ids.at[0], 1);
    ck_assert_int_eq(tokenizer_piece(o.t, ids.at[1]).p[0], ' ');
    ids.n = 0;
    ck_assert(tokenizer_encode(o.t, S("a"), TOK_PART, &ids, NULL));
    ck_assert_uint_eq(ids.n, 1);
    ck_assert(str_eq(tokenizer_piece(o.t, ids.at[0]), S("a")));
    token_list_free(&ids);
    close_one(&o);
}
END_TEST

START_TEST(refused)
{
    tile_error err;
    str bad = S("(?<x"), text = S("a");
    vocab v = {.kind = VOCAB_BPE, .pre = S("martian"), .n = 1, .text = &text, .bos = -1, .eos = -1, .unk = -1};
    ck_assert_ptr_null(tokenizer_new(&v, &err));
    ck_assert_str_eq(err.text, "pre-tokenizer 'martian' is not known ('tokenizer.ggml.pre')");
    v.npatterns = 1;
    v.patterns = &bad;
    ck_assert_ptr_null(tokenizer_new(&v, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "pre-tokenizer: expression 1, character "));
}
END_TEST

#ifdef TILE_TEST_ALLOC
START_TEST(memory)
{
    opened o;
    tokenizer *t = NULL;
    open_one(&o, 0);
    for (long n = 1; !t; n++) {
        tile_error err = {0};
        arena_fail_after(n);
        t = tokenizer_new(&o.v, &err);
        arena_fail_after(0);
        ck_assert(t || err.code == TILE_E_MEMORY);
    }
    char *text = malloc(100000);
    memset(text, 'a', 100000);
    for (long n = 1;; n++) {
        token_list ids = {0};
        tile_error err = {0};
        arena_fail_after(n);
        bool done = tokenizer_encode(t, (str){text, 100000}, 0, &ids, &err);
        arena_fail_after(0);
        ck_assert(done || (err.code == TILE_E_MEMORY && ids.n == 0));
        token_list_free(&ids);
        if (done)
            break;
    }
    free(text);
    tokenizer_free(t);
    close_one(&o);
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("small tokens");
    TCase *t = tcase_create("tokenizers");
    uint32_t skipped = 0;
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, reference, 0, COUNT);
    tcase_add_loop_test(t, any_bytes, 0, 3);
    tcase_add_loop_test(t, any_bytes, SPM, COUNT);
    tcase_add_test(t, rules);
    tcase_add_test(t, refused);
#ifdef TILE_TEST_ALLOC
    tcase_add_test(t, memory);
#else
    printf("skip: arenas that fail on request need TILE_TEST_ALLOC\n");
    skipped = 1;
#endif
    suite_add_tcase(s, t);
    return kit_run(s, skipped);
}
