/* use_model.h: opens a model file that may be anything, and uses all of it where it opens; shared by two fuzzers. */
#ifndef TILE_TESTS_FUZZ_USE_MODEL_H
#define TILE_TESTS_FUZZ_USE_MODEL_H

#include "examples/llm/model_file.h"
#include "examples/llm/template.h"
#include "examples/llm/tokenizer.h"

#include <stdlib.h>
#include <string.h>

static void use_weights(const model_file *m)
{
    for (uint32_t i = 0; i < model_weight_count(m); i++) {
        const weight *w = model_weight_at(m, i);
        const weight_layout *l = weight_layout_of(w->type);
        float out[256];
        int64_t n = 1;
        for (uint32_t k = 0; k < w->rank; k++)
            n *= w->shape[k];
        if ((uint64_t)n / l->block * l->bytes != w->bytes || n % l->block)
            abort();
        weight_read(w, 0, l->block, out);
        weight_read(w, n - l->block, l->block, out);
        if (model_weight(m, "token_embd.weight") == NULL)
            abort();
    }
}

static void use_vocab(const model_file *m)
{
    tile_error err;
    token_list ids = {0};
    tokenizer *t = tokenizer_new(model_vocab(m), &err);
    static const char text[] = "Hello, <|im_start|> 123\n\n\xe4\xbd\xa0\xff  x<s></s>";
    if (t && tokenizer_encode(t, (str){text, sizeof text - 1}, TOK_BOS | TOK_SPECIAL, &ids, &err))
        for (size_t i = 0; i < ids.n; i++)
            if (ids.at[i] < 0 || (uint32_t)ids.at[i] >= tokenizer_count(t))
                abort();
    token_list_free(&ids);
    tokenizer_free(t);
}

static void use_model(const char *path)
{
    tile_error err = {0};
    model_file *m = model_open(path, &err);
    if (!m && !err.text[0])
        abort();
    if (!m)
        return;
    use_weights(m);
    use_vocab(m);
    template_free(template_new(model_chat_template(m), &err));
    model_close(m);
}

#endif
