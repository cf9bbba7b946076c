/* tilec_options.c: the command line of tilec, parsed and explained from one table (options.def). */
#include "tools/tilec.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct option_row {
    const char *text, *arg;
    int commands;
    const char *help;
} option_row;

static const option_row rows[OPT_COUNT] = {
#define OPT(id, text, arg, commands, help) [OPT_##id] = {text, arg, commands, help},
#include "tools/options.def"
#undef OPT
};

static const struct {
    const char *name;
    int command;
    const char *usage, *help;
} commands[] = {
    {"check", CHECK, "check FILE...", "report what is wrong with .tile or .tir files; also plain `tilec FILE...`"},
    {"emit", EMIT, "emit FILE --stage=STAGE [--target=T] [--kernel=NAME] [-D NAME=VALUE]... [-o OUT]",
     "print a file at a later stage; FILE may be the text of any stage (.tile, .tir, .ll)"},
    {"build", BUILD, "build FILE [--target=T[,T...]] [--kernel=NAME]... [-D NAME=VALUE]... -o OUT.o [--header=OUT.h]",
     "an object and a C header of a file's kernels, for programs without a compiler"},
    {"explain", EXPLAIN, "explain FILE [--target=T] [--kernel=NAME] [-D NAME=VALUE]... [--json]",
     "what becomes of each line: vectors, bytes, products, guards, and what bounds the kernel"},
    {"run", RUN,
     "run FILE KERNEL [--device=DEV] [--grid=X[,Y[,Z]]] [-D NAME=VALUE]... ARG=VALUE... [--save ARG=FILE.npy]...",
     "launch a kernel, and print or save the arguments that it writes"},
    {"tune", TUNE, "tune FILE KERNEL [--device=DEV] [--grid=X[,Y[,Z]]] [-D NAME=VALUE]... ARG=VALUE...",
     "time the configs of the kernel's @tune line, and keep the best for launches with arguments like these"},
    {"cache", CACHE, "cache path|stats|clear", "the folder of compiled code and tuned choices"},
    {"targets", TARGETS, "targets", "list targets, chips and devices"},
    {"version", VERSION, "version", "print the version"},
};

int tilec_say(int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("tilec: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

bool tilec_has(const tilec *t, tilec_opt o)
{
    return t->opt[o].p != NULL;
}

void tilec_help(void)
{
    printf("tilec: compiler of block-level kernels\n\nusage:\n");
    for (size_t i = 0; i < COUNTOF(commands); i++)
        printf("  tilec %s\n      %s\n", commands[i].usage, commands[i].help);
    printf(
        "  VALUE: number | True | False | None | @FILE.npy[:DTYPE] | zeros:DTYPE[d0,d1,..] | rand:DTYPE[..][:SEED] | "
        "arange:DTYPE[..]\n      (:DTYPE reads raw bits, e.g. uint16 as bf16)\n\nflags:\n");
    for (size_t i = 0; i < COUNTOF(rows); i++) {
        char head[64];
        bool optional = rows[i].arg[0] == '[', one_dash = rows[i].text[1] != '-';
        snprintf(head, sizeof head, "%s%s%s", rows[i].text,
                 rows[i].arg[0] && !optional ? i == OPT_WARN               ? ""
                                               : one_dash || i == OPT_SAVE ? " "
                                                                           : "="
                                             : "",
                 rows[i].arg);
        printf("  %-22s %s", head, rows[i].help);
        const char *sep = " (";
        for (size_t c = 0; c < COUNTOF(commands) && rows[i].commands != EVERY; c++)
            if (rows[i].commands & commands[c].command) {
                printf("%s%s", sep, commands[c].name);
                sep = ", ";
            }
        printf("%s\n", *sep == ',' ? ")" : "");
    }
    printf("\nexit: 0 done, 1 an error in what was given (diagnostics on stderr), 2 usage (unknown flag, device, "
           "chip), 3 device error\n");
}

static void keep(tilec *t, tilec_opt o, str value)
{
    t->opt[o] = value;
    if (o == OPT_DEFINE)
        vec_push(t->a, &t->defines, value);
    else if (o == OPT_IMPORT)
        vec_push(t->a, &t->imports, value);
    else if (o == OPT_SAVE)
        vec_push(t->a, &t->saves, value);
    else if (o == OPT_KERNEL)
        vec_push(t->a, &t->kernels, value);
    else if (o == OPT_WARN && str_eq(value, S("error")))
        t->werror = true;
    else if (o == OPT_WARN && str_eq(value, S("no-all")))
        t->d.warnings_off = true;
    else if (o == OPT_WARN && str_starts(value, S("no-")))
        vec_push(t->d.a, &t->d.off, ((str){value.p + 3, value.n - 3}));
}

/* how argv[i] is option o: 0 not; 1 alone; 2 its value is joined to it */
static int matches(const option_row *r, str word, str *value)
{
    size_t n = strlen(r->text);
    bool one_dash = r->text[1] != '-';
    if (!str_starts(word, str_of(r->text)))
        return 0;
    if (word.n == n)
        return 1;
    if (one_dash && r->arg[0]) {
        *value = (str){word.p + n, word.n - n};
        return 2;
    }
    if (word.p[n] != '=')
        return 0;
    *value = (str){word.p + n + 1, word.n - n - 1};
    return 2;
}

static int unknown_flag(str word)
{
    const char *best = NULL;
    unsigned least = 3;
    size_t n = 0;
    while (n < word.n && word.p[n] != '=')
        n++;
    for (size_t i = 0; i < COUNTOF(rows); i++) {
        unsigned dist = str_distance((str){word.p, n}, str_of(rows[i].text), 2);
        if (dist < least && n > 2) {
            least = dist;
            best = rows[i].text;
        }
    }
    if (best)
        return tilec_say(0, "unknown flag '%.*s'; did you mean '%s'?", STR_ARG(word), best);
    return tilec_say(0, "unknown flag '%.*s' (see tilec --help)", STR_ARG(word));
}

/* takes argv[*i] (and its value), which begins with '-' */
static bool take_flag(tilec *t, int argc, char **argv, int *i)
{
    str word = str_of(argv[*i]), value = {0};
    for (int o = 0; o < OPT_COUNT; o++) {
        const option_row *r = &rows[o];
        int how = matches(r, word, &value);
        bool needs = r->arg[0] && r->arg[0] != '[';
        if (!how)
            continue;
        if (how == 2 && !r->arg[0])
            return tilec_say(0, "flag '%s' takes no value", r->text);
        if (how == 1 && needs && *i + 1 >= argc)
            return tilec_say(0, "flag '%s' needs a value, %s", r->text, r->arg);
        if (how == 1)
            value = needs ? str_of(argv[++*i]) : S("");
        if (needs && value.n == 0)
            return tilec_say(0, "flag '%s' needs a value, %s", r->text, r->arg);
        keep(t, (tilec_opt)o, value);
        return true;
    }
    return unknown_flag(word);
}

static bool find_command(tilec *t)
{
    str w = t->words.n ? t->words.at[0] : (str){0};
    for (size_t i = 0; i < COUNTOF(commands); i++)
        if (str_eq(w, str_of(commands[i].name))) {
            t->command = commands[i].command;
            t->words.at++;
            t->words.n--;
            return true;
        }
    if (compile_input_of(w) == INPUT_UNKNOWN && !file_exists(str_cstr(t->a, w)))
        return tilec_say(0,
                         w.n ? "unknown command '%.*s' (see tilec --help)"
                             : "expected a command or a file%.*s (see tilec --help)",
                         STR_ARG(w));
    t->command = CHECK;
    return true;
}

bool tilec_parse(tilec *t, int argc, char **argv)
{
    bool flags = true;
    for (int i = 1; i < argc; i++) {
        if (flags && strcmp(argv[i], "--") == 0)
            flags = false;
        else if (flags && strcmp(argv[i], "-h") == 0)
            keep(t, OPT_HELP, S(""));
        else if (flags && strcmp(argv[i], "--version") == 0)
            vec_push(t->a, &t->words, S("version"));
        else if (flags && argv[i][0] == '-' && argv[i][1]) {
            if (!take_flag(t, argc, argv, &i))
                return false;
        } else
            vec_push(t->a, &t->words, str_of(argv[i]));
    }
    if (tilec_has(t, OPT_HELP))
        return true;
    if (!find_command(t))
        return false;
    for (int o = 0; o < OPT_COUNT; o++)
        if (tilec_has(t, (tilec_opt)o) && !(rows[o].commands & t->command))
            return tilec_say(0, "flag '%s' has no meaning for this command", rows[o].text);
    return true;
}

/* ---- what the commands share ---- */

int tilec_diags(tilec *t, int code)
{
    strbuf b;
    sb_init(&b, t->a);
    t->d.color = isatty(2) && !tilec_has(t, OPT_JSON);
    diags_render(&t->d, tilec_has(t, OPT_JSON) ? DIAG_JSON : DIAG_HUMAN, &b);
    if (b.n)
        fwrite(b.at, 1, b.n, stderr);
    return t->d.errors || (t->werror && t->d.warnings) ? EXIT_USER : code;
}

bool tilec_read(tilec *t, str path, str *text)
{
    str why;
    if (compile_input_of(path) == INPUT_UNKNOWN) {
        tilec_say(0, "'%.*s' is no .tile, .tir or .ll file", STR_ARG(path));
        return false;
    }
    if (file_read(t->a, str_cstr(t->a, path), (size_t)256 << 20, text, &why))
        return true;
    tilec_say(0, "%.*s", STR_ARG(why));
    return false;
}

bool tilec_bindings(tilec *t, fe_binding **out)
{
    str why;
    *out = ARENA_ARRAY(t->a, fe_binding, (size_t)t->defines.n + 1);
    if (choice_parse(t->a, t->defines.at, t->defines.n, *out, &why))
        return true;
    tilec_say(0, "-D: %.*s", STR_ARG(why));
    return false;
}

fe_options tilec_front(const tilec *t)
{
    return (fe_options){t->imports.at, t->imports.n};
}
