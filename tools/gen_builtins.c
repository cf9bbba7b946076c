/* gen_builtins.c: prints docs/builtins.md from builtins.def and the heads of kernels/std. The test command compares. */
#include "frontend/builtins.h"
#include "frontend/std.h"

#include <stdio.h>
#include <string.h>

static void cell(const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            putchar('\\');
        putchar(*s);
    }
}

static void row(const builtin_info *b)
{
    printf("| `%s(", b->name);
    cell(b->sig);
    printf(")`%s | ", b->flags & BI_METHOD ? " m" : "");
    cell(b->doc);
    printf(" |\n");
}

/* the `fn` lines of a file, each with the comment lines right above it */
static void std_file(const tile_std_file *f)
{
    char comment[1024] = "";
    printf("\n`%s`\n\n| function | meaning |\n| --- | --- |\n", f->path);
    for (const char *p = f->text, *end = f->text + f->len; p < end;) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = nl ? (size_t)(nl - p) : (size_t)(end - p);
        if (n > 1 && p[0] == '#') {
            size_t have = strlen(comment);
            snprintf(comment + have, sizeof comment - have, "%s%.*s", have ? " " : "", (int)(n - 2), p + 2);
        } else if (n > 3 && strncmp(p, "fn ", 3) == 0) {
            const char *last = p + n;
            while (last > p && last[-1] != ')')
                last--;
            printf("| `");
            for (const char *c = p + 3; c < last; c++)
                putchar(*c);
            printf("` | ");
            cell(comment);
            printf(" |\n");
            comment[0] = 0;
        } else {
            comment[0] = 0;
        }
        p += n + 1;
    }
}

int main(void)
{
    printf("# Builtins\n\n"
           "Made by `make docs` from `frontend/builtins.def` and `kernels/std`. In a signature `a|b` are two\n"
           "spellings of one argument, `=` gives a default, `*name` takes what positional arguments are left; `m`\n"
           "marks what is a method too, `x.name(..)`. What each means of dtypes and shapes is in\n"
           "[language.md](language.md).\n\n"
           "## Functions\n\n| builtin | meaning |\n| --- | --- |\n");
    for (int i = 0; i < builtin_count(); i++)
        if (!(builtin_at(i)->flags & BI_TENSOR))
            row(builtin_at(i));
    printf("\n## Methods of tensors\n\n| method, tensor first | meaning |\n| --- | --- |\n");
    for (int i = 0; i < builtin_count(); i++)
        if (builtin_at(i)->flags & BI_TENSOR)
            row(builtin_at(i));
    printf("\n## Written in the language\n");
    for (size_t i = 0; i < tile_std_count; i++)
        std_file(&tile_std_files[i]);
    return 0;
}
