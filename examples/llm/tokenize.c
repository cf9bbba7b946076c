/* tokenize.c: `llm tokenize`: the ids of a text on one line, or of each of several texts that end in NUL. */
#include "examples/llm/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool print_ids(const tokenizer *t, str text, bool special, tile_error *err)
{
    token_list ids = {0};
    bool ok = tokenizer_encode(t, text, special ? TOK_SPECIAL : 0, &ids, err);
    for (size_t i = 0; ok && i < ids.n; i++)
        printf(i ? " %d" : "%d", ids.at[i]);
    if (ok)
        putchar('\n');
    token_list_free(&ids);
    return ok;
}

static bool print_all(const tokenizer *t, str text, const options *o, tile_error *err)
{
    if (!o->nul)
        return print_ids(t, text, o->special, err);
    while (text.n) {
        const char *end = memchr(text.p, 0, text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        if (!print_ids(t, (str){text.p, n}, o->special, err))
            return false;
        text = (str){text.p + n + (end != NULL), text.n - n - (end != NULL)};
    }
    return true;
}

int run_tokenize(const options *o)
{
    session s;
    str text;
    tile_error err;
    if (!read_text(o->file ? o->file : "-", &text))
        return EXIT_FAULT;
    int code = session_open(&s, o, false);
    if (!code) {
        if (!print_all(s.tok, text, o, &err))
            code = complain_error(&err);
        session_close(&s);
    }
    free((char *)(uintptr_t)text.p);
    return code;
}
