/* logits.c: `llm logits`: what a model says after each token of a list, as one array in a .npy file, written as it is
 * made: a header first, then the rows of each step; a file that is not whole is removed. */
#include "examples/llm/options.h"
#include "base/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct sink {
    FILE *f;
    int64_t vocab;
} sink;

static bool read_ids(const char *path, token_list *ids)
{
    str text;
    if (!read_text(path, &text))
        return false;
    char *all = malloc(text.n + 1), *p = all, *end;
    bool ok = all != NULL;
    if (ok) {
        memcpy(all, text.p, text.n);
        all[text.n] = 0;
    }
    while (ok) {
        p += strspn(p, " \t\r\n,");
        if (!*p)
            break;
        long id = strtol(p, &end, 10);
        ok = end > p && id >= 0 && id <= INT32_MAX && token_list_push(ids, (int32_t)id);
        if (!ok)
            complain("'%s': byte %zu: a token id is expected", path, (size_t)(p - all));
        p = end;
    }
    free(all);
    free((char *)(uintptr_t)text.p);
    if (ok && !ids->n)
        complain("'%s' holds no token id", path);
    return ok && ids->n;
}

static void put_header(FILE *f, int64_t rows, int64_t cols)
{
    char head[128];
    int n = snprintf(head, sizeof head, "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld), }",
                     (long long)rows, (long long)cols);
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f); /* version 1.0, 118 bytes of header: 128 together */
    fprintf(f, "%-117s\n", n < 118 ? head : "");
}

static bool put_rows(void *ctx, int64_t first, int64_t n, const float *rows)
{
    sink *s = ctx;
    (void)first;
    return fwrite(rows, sizeof *rows, (size_t)(n * s->vocab), s->f) == (size_t)(n * s->vocab);
}

static bool put_steps(session *s, sink *to, const token_list *ids, tile_error *err)
{
    float *row = malloc((size_t)to->vocab * sizeof *row);
    bool ok = row != NULL;
    for (size_t i = 0; ok && i < ids->n; i++)
        ok = engine_decode(s->eng, &ids->at[i], 1, err) && engine_read_logits(s->eng, 0, row, err) &&
             put_rows(to, (int64_t)i, 1, row);
    if (!row)
        *err = (tile_error){TILE_E_MEMORY, "no memory for a row of logits"};
    free(row);
    return ok;
}

static int write_logits(session *s, const options *o, const token_list *ids)
{
    tile_error err;
    sink to = {.f = fopen(o->out, "wb"), .vocab = engine_params(s->eng)->vocab};
    if (!to.f)
        return complain("cannot write '%s': %s", o->out, strerror(errno));
    put_header(to.f, (int64_t)ids->n, to.vocab);
    bool ok = o->steps ? put_steps(s, &to, ids, &err)
                       : engine_eval(s->eng, 0, ids->at, (int64_t)ids->n, LOGITS_ALL, put_rows, &to, &err);
    bool wrote = !ferror(to.f);
    wrote &= fclose(to.f) == 0;
    if (ok && wrote)
        return 0;
    unlink(o->out);
    return wrote ? complain_error(&err) : complain("cannot write '%s': %s", o->out, strerror(errno));
}

int run_logits(const options *o)
{
    session s;
    token_list ids = {0};
    if (!o->tokens || !o->out) {
        complain("give --tokens=IDS.txt and --out=L.npy");
        return EXIT_USAGE;
    }
    int code = read_ids(o->tokens, &ids) ? session_open(&s, o, true) : EXIT_FAULT;
    if (!code) {
        code = write_logits(&s, o, &ids);
        session_close(&s);
    }
    token_list_free(&ids);
    return code;
}
