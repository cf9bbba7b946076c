/* tilec_build.c: `tilec build`: kernels into a relocatable object and a C header. */
#include "runtime/aot_build.h"
#include "tools/tilec.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int unknown_target(tilec *t, str target)
{
    strbuf b;
    sb_init(&b, t->a);
    for (const aot_level_info *l = aot_levels; l->name; l++)
        sb_putf(&b, "%scpu:%s", l[1].name ? ", " : " or ", l->name);
    if (str_starts(target, S("cpu:")))
        return tilec_say(EXIT_USAGE, "'%.*s' is no level: objects choose by level when they run, expected cpu%.*s",
                         STR_ARG(target), STR_ARG(sb_str(&b)));
    backend_target found;
    if (!str_starts(target, S("cpu")) && backend_find(target, &found, t->a))
        return tilec_say(
            EXIT_USAGE,
            "build makes code for the cpu only: kernels for '%.*s' are compiled when they run, by libtile; "
            "emit --stage=asm gives the assembly of laid-out .tir",
            STR_ARG(target));
    return tilec_say(EXIT_USAGE, "unknown target '%.*s' (see tilec targets)", STR_ARG(target));
}

/* the next of a list, its words apart by commas */
static str next_word(str *text)
{
    size_t n = 0;
    while (n < text->n && text->p[n] != ',')
        n++;
    str one = {text->p, n};
    *text = (str){text->p + n + (n < text->n), text->n - n - (n < text->n)};
    return one;
}

/* "cpu,cpu:x86-64-v3": names of levels; plain cpu is all of x86-64, cpu:aarch64 all of aarch64 */
static int read_targets(tilec *t, str text, aot_request *q)
{
    const char **levels = ARENA_ARRAY(t->a, const char *, text.n * 8 + 16);
    q->levels = levels;
    q->exact = true;
    while (text.n) {
        str one = next_word(&text), arch = {0};
        bool found = false;
        if (str_eq(one, S("cpu")))
            arch = S("x86-64");
        else if (str_eq(one, S("cpu:aarch64")))
            arch = S("aarch64");
        for (const aot_level_info *l = aot_levels; l->name; l++) {
            if (!str_eq(str_of(l->arch), arch) && !str_eq(one, str_fmt(t->a, "cpu:%s", l->name)))
                continue;
            if (q->arch.n && !str_eq(q->arch, str_of(l->arch)))
                return tilec_say(EXIT_USAGE, "an object is for one kind of processor, found %.*s and %s",
                                 STR_ARG(q->arch), l->arch);
            q->arch = str_of(l->arch);
            levels[q->nlevels++] = l->name;
            found = true;
        }
        if (!found)
            return unknown_target(t, one);
        q->exact &= arch.n == 0;
    }
    return EXIT_DONE;
}

static int read_binaries(tilec *t, aot_request *q)
{
    static const struct {
        const char *name;
        unsigned bit;
    } kinds[] = {{"fast", AOT_FAST}, {"narrow", AOT_NARROW}, {"wide", AOT_WIDE}};
    str text = t->opt[OPT_BINARIES], pairs = t->opt[OPT_IN_PLACE];
    while (text.n) {
        str one = next_word(&text);
        unsigned bit = 0;
        for (size_t i = 0; i < COUNTOF(kinds); i++)
            bit |= str_eq(one, str_of(kinds[i].name)) ? kinds[i].bit : 0;
        if (!bit)
            return tilec_say(EXIT_USAGE, "'--binaries' takes fast, narrow and wide, found '%.*s'", STR_ARG(one));
        q->binaries |= bit;
    }
    if (!tilec_has(t, OPT_IN_PLACE))
        return EXIT_DONE;
    str *list = ARENA_ARRAY(t->a, str, pairs.n + 1);
    q->pairs = list;
    if (!str_eq(pairs, S("none")))
        while (pairs.n)
            list[q->npairs++] = next_word(&pairs);
    return EXIT_DONE;
}

static int read_jobs(tilec *t, aot_request *q)
{
    char *end = NULL, *text = str_cstr(t->a, t->opt[OPT_JOBS]);
    long n = tilec_has(t, OPT_JOBS) ? strtol(text, &end, 10) : sysconf(_SC_NPROCESSORS_ONLN);
    if (end && (*end || end == text || n < 1 || n > 1024))
        return tilec_say(EXIT_USAGE, "'-j' takes a number from 1 to 1024, found '%s'", text);
    q->jobs = n < 1 ? 1 : (uint32_t)n;
    return EXIT_DONE;
}

static str base_name(str path)
{
    for (size_t i = path.n; i > 0; i--)
        if (path.p[i - 1] == '/')
            return (str){path.p + i, path.n - i};
    return path;
}

static bool write_file(tilec *t, str path, str bytes)
{
    str why;
    if (file_write(t->a, str_cstr(t->a, path), bytes, &why))
        return true;
    tilec_say(0, "%.*s", STR_ARG(why));
    return false;
}

int tilec_build(tilec *t)
{
    aot_request q = {
        .front = tilec_front(t), .nbind = t->defines.n, .kernels = t->kernels.at, .nkernels = t->kernels.n};
    str object, header;
    fe_binding *bind;
    if (t->words.n != 1)
        return tilec_say(EXIT_USAGE, "build needs one file, found %u", t->words.n);
    if (!tilec_has(t, OPT_OUT))
        return tilec_say(EXIT_USAGE, "build needs -o OUT.o");
    if (str_eq(t->opt[OPT_OUT], S("-")) && isatty(1))
        return tilec_say(EXIT_USAGE, "a binary doesn't go to a terminal: give -o OUT.o");
    int code = read_targets(t, tilec_has(t, OPT_TARGET) ? t->opt[OPT_TARGET] : S("cpu"), &q);
    if (code == EXIT_DONE)
        code = read_binaries(t, &q);
    if (code == EXIT_DONE)
        code = read_jobs(t, &q);
    if (code != EXIT_DONE)
        return code;
    if (!tilec_bindings(t, &bind))
        return EXIT_USAGE;
    q.bind = bind;
    q.path = t->words.at[0];
    q.header_name = base_name(tilec_has(t, OPT_HEADER) ? t->opt[OPT_HEADER] : q.path);
    if (compile_input_of(q.path) != INPUT_TILE)
        return tilec_say(EXIT_USER, "build takes .tile files, found '%.*s'", STR_ARG(q.path));
    if (!tilec_read(t, q.path, &q.text))
        return EXIT_USER;
    bool ok = aot_build(t->a, &t->d, &q, &object, &header);
    if (tilec_diags(t, EXIT_DONE) != EXIT_DONE)
        return EXIT_USER;
    if (!ok)
        bug("build of '%.*s' failed without a diagnostic", STR_ARG(q.path));
    if (!write_file(t, t->opt[OPT_OUT], object))
        return EXIT_USER;
    return tilec_has(t, OPT_HEADER) && !write_file(t, t->opt[OPT_HEADER], header) ? EXIT_USER : EXIT_DONE;
}
