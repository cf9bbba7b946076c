/* kit.c: files, reference lines and counts for the tests of tests/llm. */
#include "tests/llm/kit.h"
#include "examples/llm/utf8.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *kit_default_model(void)
{
    static char path[4096]; /* read by the tests' own processes, set once */
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    static const char name[] = "tile/models/SmolLM2-135M-Instruct.Q4_1.gguf";
    if (cache && cache[0])
        (void)snprintf(path, sizeof path, "%s/%s", cache, name);
    else
        (void)snprintf(path, sizeof path, "%s/.cache/%s", home ? home : "", name);
    return access(path, R_OK) == 0 ? path : NULL;
}

int kit_run(Suite *s, uint32_t skipped)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r), run = srunner_ntests_run(r);
    srunner_free(r);
    printf("%d passed, %d failed, %u skipped\n", run - failed, failed, skipped);
    return failed != 0;
}

const char *kit_folder(char room[64])
{
    (void)snprintf(room, 64, "%s", "/tmp/tile-llm-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(room));
    return room;
}

void kit_remove(const char *folder)
{
    DIR *d = opendir(folder);
    char path[512];
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        (void)unlink(path);
    }
    closedir(d);
    (void)rmdir(folder);
}

str kit_read(arena *a, const char *path)
{
    str text, err;
    ck_assert_msg(file_read(a, path, 0, &text, &err), "%s", path);
    return text;
}

void kit_write(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static size_t unescape_one(str s, size_t i, strbuf *b)
{
    char out[4], *end;
    switch (s.p[i]) {
    case 'n':
        sb_putc(b, '\n');
        return i + 1;
    case 'r':
        sb_putc(b, '\r');
        return i + 1;
    case 't':
        sb_putc(b, '\t');
        return i + 1;
    case 'u':
        sb_put(b, (str){out, utf8_put((uint32_t)strtoul(s.p + i + 2, &end, 16), out)});
        return (size_t)(end - s.p) + 1;
    case 'x':
        sb_putc(b, (char)strtoul((char[]){s.p[i + 1], s.p[i + 2], 0}, NULL, 16));
        return i + 3;
    default:
        sb_putc(b, s.p[i]);
        return i + 1;
    }
}

str kit_unescape(arena *a, str s)
{
    strbuf b;
    sb_init(&b, a);
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] == '\\')
            i = unescape_one(s, i + 1, &b);
        else
            sb_putc(&b, s.p[i++]);
    }
    return sb_str(&b);
}

bool kit_line(str *rest, str *line)
{
    const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    if (rest->n == 0)
        return false;
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    *line = (str){rest->p, n};
    rest->p += n + (end != NULL);
    rest->n -= n + (end != NULL);
    return true;
}

str kit_text_of(arena *a, const tokenizer *t, const token_list *ids)
{
    token_stream s;
    strbuf b;
    sb_init(&b, a);
    ck_assert(token_stream_init(&s, t, true, NULL));
    for (size_t i = 0; i < ids->n; i++)
        sb_put(&b, token_stream_put(&s, ids->at[i]));
    sb_put(&b, token_stream_end(&s));
    token_stream_fini(&s);
    return sb_str(&b);
}

static void put_ids(strbuf *b, const token_list *ids)
{
    for (size_t i = 0; i < ids->n; i++)
        sb_putf(b, "%s%d", i ? " " : "", ids->at[i]);
}

uint32_t kit_check_tokens(const tokenizer *t, const char *path, unsigned flags, bool back)
{
    arena a;
    uint32_t n = 0;
    arena_init(&a, 0);
    str rest = kit_read(&a, path), line;
    for (; kit_line(&rest, &line); n++) {
        arena_pos mark = arena_mark(&a);
        const char *tab = memchr(line.p, '\t', line.n);
        ck_assert_ptr_nonnull(tab);
        str shown = {line.p, (size_t)(tab - line.p)}, text = kit_unescape(&a, shown);
        token_list ids = {0};
        tile_error err;
        strbuf got;
        sb_init(&got, &a);
        ck_assert_msg(tokenizer_encode(t, text, flags, &ids, &err), "%s", err.text);
        put_ids(&got, &ids);
        str want = {tab + 1, line.n - shown.n - 1};
        ck_assert_msg(str_eq(want, sb_str(&got)), "%s:%u: %.*s\n expected %.*s\n    found %.*s", path, n + 1,
                      STR_ARG(shown), STR_ARG(want), STR_ARG(sb_str(&got)));
        ck_assert_msg(!back || str_eq(text, kit_text_of(&a, t, &ids)), "%s:%u: another text comes back", path, n + 1);
        token_list_free(&ids);
        arena_reset(&a, mark);
    }
    arena_fini(&a);
    return n;
}
