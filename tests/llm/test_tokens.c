/* test_tokens.c: the default model's tokenizer against 2,000 stored strings (make_tokens.py), streams of pieces, bytes
 * that are not UTF-8, and the time of long prompts.
 */
#include "examples/llm/model_file.h"
#include "examples/llm/template.h"
#include "tests/llm/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static model_file *model;
static tokenizer *tok;

static void setup(void)
{
    tile_error err;
    model = model_open(kit_default_model(), &err);
    ck_assert_msg(model != NULL, "%s", err.text);
    tok = tokenizer_new(model_vocab(model), &err);
    ck_assert_msg(tok != NULL, "%s", err.text);
}

static void teardown(void)
{
    tokenizer_free(tok);
    model_close(model);
}

START_TEST(reference)
{
    /* not all come back: this vocabulary lacks 21 bytes, which its reference drops too */
    ck_assert_uint_eq(kit_check_tokens(tok, "tests/llm/smollm2.tokens", TOK_SPECIAL, false), 2000);
}
END_TEST

START_TEST(special)
{
    token_list ids = {0};
    ck_assert(tokenizer_encode(tok, S("<|im_start|>"), TOK_SPECIAL | TOK_BOS, &ids, NULL));
    ck_assert_uint_eq(ids.n, 1); /* and no BOS: the file says so */
    ck_assert_int_eq(ids.at[0], 1);
    ck_assert(tokenizer_encode(tok, S("<|im_start|>"), 0, &ids, NULL));
    ck_assert_uint_gt(ids.n, 4);
    ck_assert(tokenizer_ends(tok, 2) && tokenizer_ends(tok, 0) && !tokenizer_ends(tok, 1) && !tokenizer_ends(tok, 500));
    ck_assert(!tokenizer_ends(tok, -1) && !tokenizer_ends(tok, 49152));
    ck_assert_int_eq(tokenizer_find(tok, S("<|im_end|>")), 2);
    token_list_free(&ids);
}
END_TEST

/* bytes that the vocabulary has, in every order: what goes in comes out */
START_TEST(any_bytes)
{
    arena a;
    uint32_t seed = 1, missing = 0;
    bool have[256] = {0};
    char text[300];
    arena_init(&a, 0);
    for (int32_t i = 0; i < 49152; i++)
        if (tokenizer_piece(tok, i).n == 1)
            have[(uint8_t)tokenizer_piece(tok, i).p[0]] = true;
    for (int b = 0; b < 256; b++)
        missing += !have[b];
    ck_assert_uint_eq(missing, 21);
    for (int round = 0; round < 2000; round++) {
        size_t n = 0;
        for (int i = 0; i < 200; i++) {
            seed = seed * 1664525 + 1013904223;
            uint8_t b = (uint8_t)(seed >> 24);
            if (round % 2 && seed % 3)
                b = (uint8_t) "ab \n\xe2\x82\xac\xf0\x9f\x98\x80 <|im_end|>"[seed >> 16 & 15];
            if (have[b])
                text[n++] = (char)b;
        }
        token_list ids = {0};
        ck_assert(tokenizer_encode(tok, (str){text, n}, 0, &ids, NULL));
        ck_assert(str_eq((str){text, n}, kit_text_of(&a, tok, &ids)));
        token_list_free(&ids);
    }
    arena_fini(&a);
}
END_TEST

START_TEST(streaming)
{
    token_list ids = {0};
    token_stream s;
    size_t held = 0;
    ck_assert(tokenizer_encode(tok, S("\xf0\x9f\xa6\x96\xe0\xa4\x8b"), 0, &ids, NULL));
    ck_assert(token_stream_init(&s, tok, false, NULL));
    for (size_t i = 0; i < ids.n; i++) {
        str p = token_stream_put(&s, ids.at[i]);
        held += s.held > 0;
        for (size_t k = 0; k < p.n; k++) /* only whole characters come out */
            ck_assert(p.n == 4 || p.n == 3 || p.n == 7);
    }
    ck_assert_uint_gt(held, 0);
    ck_assert_uint_eq(token_stream_end(&s).n, 0);
    ck_assert_uint_eq(token_stream_put(&s, 1).n, 0); /* control tokens are not text */
    ck_assert_uint_eq(token_stream_put(&s, ids.at[0]).n, 0);
    ck_assert_uint_gt(token_stream_end(&s).n, 0); /* what never became whole is not lost */
    token_stream_fini(&s);
    token_list_free(&ids);
}
END_TEST

/* a prompt as `chat` makes it: the file's own template, its markers one id each */
START_TEST(chat)
{
    chat_message turn = {S("user"), S("Hi")};
    template_input in = {.messages = &turn, .count = 1, .add_generation_prompt = true};
    tile_error err;
    token_list ids = {0};
    str text;
    chat_template *t = template_new(model_chat_template(model), &err);
    ck_assert_msg(t != NULL, "%s", err.text);
    ck_assert_msg(template_render(t, &in, &text, &err), "%s", err.text);
    ck_assert_str_eq(text.p, "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
                             "<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    ck_assert(tokenizer_encode(tok, text, TOK_BOS | TOK_SPECIAL, &ids, &err));
    int32_t starts = 0, stops = 0;
    for (size_t i = 0; i < ids.n; i++) {
        starts += ids.at[i] == 1;
        stops += ids.at[i] == 2;
    }
    ck_assert_int_eq(starts, 3);
    ck_assert_int_eq(stops, 2);
    ck_assert_int_eq(ids.at[0], 1);
    token_list_free(&ids);
    free((void *)text.p);
    template_free(t);
}
END_TEST

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* no text takes more than a few seconds of a slow machine a megabyte: one word, one space, one character, all specials
 */
START_TEST(long_texts)
{
    static const char *units[] = {"a",    " ",  "\n",           "hello world, ",
                                  "1",    "<",  "<|im_start|>", "\xe4\xbd\xa0",
                                  "\xff", "ab", " a",           "The quick brown fox jumps over the lazy dog. "};
    size_t n = 1 << 20;
    char *text = malloc(n);
    for (uint32_t u = 0; u < COUNTOF(units); u++) {
        size_t len = strlen(units[u]), room = n / len * len;
        token_list ids = {0};
        for (size_t i = 0; i < room; i += len)
            memcpy(text + i, units[u], len);
        double from = cpu_seconds();
        ck_assert(tokenizer_encode(tok, (str){text, room}, TOK_SPECIAL, &ids, NULL));
        double took = cpu_seconds() - from;
        printf("%12.12s x %-8zu %8zu tokens %.0f ms\n", units[u][0] == '\n' ? "\\n" : units[u], room / len, ids.n,
               took * 1e3);
        ck_assert_double_lt(took, 20);
        token_list_free(&ids);
    }
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tokens");
    TCase *t = tcase_create("default model");
    if (!kit_default_model()) {
        printf("skip: the default model is not in the cache folder (make model fetches it)\n");
        return kit_run(s, 6);
    }
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 300);
    tcase_add_test(t, reference);
    tcase_add_test(t, special);
    tcase_add_test(t, any_bytes);
    tcase_add_test(t, streaming);
    tcase_add_test(t, chat);
    tcase_add_test(t, long_texts);
    suite_add_tcase(s, t);
    return kit_run(s, 0);
}
