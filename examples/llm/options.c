/* options.c: the command line against options.def. A flag takes its value as the next argument or behind '='. */
#include "examples/llm/options.h"
#include "base/base.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { TEXT, COUNT, NUMBER, SWITCH, TEXTS } kind;

typedef struct flag {
    const char *name, *value, *commands, *help;
    kind kind;
    size_t at; /* of the field in `options` */
} flag;

static const flag flags[] = {
#define OPTION(flag, value, KIND, field, commands, help) {flag, value, commands, help, KIND, offsetof(options, field)},
#include "examples/llm/options.def"
#undef OPTION
};

int complain(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("llm: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return EXIT_FAULT;
}

int complain_error(const tile_error *err)
{
    complain("%s", err->text);
    return err->code == TILE_E_DEVICE || err->code == TILE_E_FAULT ? EXIT_DEVICE : EXIT_FAULT;
}

static bool usage(const command *c, const char *fmt, const char *what)
{
    fputs("llm: ", stderr);
    fprintf(stderr, fmt, what);
    fprintf(stderr, "\nllm: `llm %s --help` says what it takes\n", c->name);
    return false;
}

static const flag *find(const char *name, size_t n)
{
    for (size_t i = 0; i < COUNTOF(flags); i++)
        if (strlen(flags[i].name) == n && !memcmp(flags[i].name, name, n))
            return &flags[i];
    return NULL;
}

static void suggest(const command *c, const char *name, size_t n)
{
    const flag *best = NULL;
    unsigned least = 4;
    for (size_t i = 0; i < COUNTOF(flags); i++) {
        unsigned d = str_distance(str_of(flags[i].name), (str){name, n}, 3);
        if (d < least && strchr(flags[i].commands, c->letter)) {
            least = d;
            best = &flags[i];
        }
    }
    if (best)
        fprintf(stderr, "llm: did you mean '%s'?\n", best->name);
}

static bool set(const command *c, const flag *f, const char *value, options *o)
{
    char *end = NULL, *at = (char *)o + f->at;
    switch (f->kind) {
    case TEXT:
        *(const char **)at = value;
        return true;
    case TEXTS:
        if (o->nstops == MAX_STOPS)
            return usage(c, "'%s' is given too often", f->name);
        ((const char **)at)[o->nstops++] = value;
        return true;
    case COUNT: {
        long long n = strtoll(value, &end, 10);
        if (!*value || *end || n < 0)
            return usage(c, "'%s' takes a number of at least 0", f->name);
        *(int64_t *)at = n;
        return true;
    }
    case NUMBER: {
        double x = strtod(value, &end);
        if (!*value || *end || !isfinite(x) || x < 0)
            return usage(c, "'%s' takes a number of at least 0", f->name);
        *(double *)at = x;
        return true;
    }
    case SWITCH:
        *(bool *)at = true;
        return true;
    }
    return false;
}

static void command_help(const command *c)
{
    printf("usage: llm %s %s\n  %s\n\n", c->name, c->usage, c->help);
    for (size_t i = 0; i < COUNTOF(flags); i++) {
        char left[48];
        if (!strchr(flags[i].commands, c->letter))
            continue;
        snprintf(left, sizeof left, "%s%s%s", flags[i].name, flags[i].value ? " " : "",
                 flags[i].value ? flags[i].value : "");
        printf("  %-22s %s\n", left, flags[i].help);
    }
}

void options_help(const command *commands, int n)
{
    printf("llm: runs language models on .tile kernels\n\nusage:\n");
    for (int i = 0; i < n; i++)
        printf("  llm %-11s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].help);
    printf("\n`llm COMMAND --help` lists a command's flags\n"
           "exit: 0 done, 1 an error in what was given, 2 usage, 3 device error\n");
}

bool options_parse(const command *c, int argc, char **argv, options *o)
{
    *o = (options){.n = -1,
                   .top_k = -1,
                   .seed = -1,
                   .context = -1,
                   .threads = -1,
                   .batch = -1,
                   .reps = -1,
                   .repeat_last = -1,
                   .temperature = NAN,
                   .top_p = NAN,
                   .min_p = NAN,
                   .repeat_penalty = NAN};
    for (int i = 2; i < argc; i++) {
        const char *a = argv[i], *eq = strchr(a, '=');
        size_t n = eq && a[1] == '-' ? (size_t)(eq - a) : strlen(a);
        if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
            command_help(c);
            o->help = true;
            return true;
        }
        const flag *f = find(a, n);
        if (!f || !strchr(f->commands, c->letter)) {
            usage(c, a[0] == '-' ? "unknown flag '%s'" : "unexpected argument '%s'", a);
            suggest(c, a, n);
            return false;
        }
        bool glued = a[n] == '=';
        if (f->kind == SWITCH && glued)
            return usage(c, "'%s' takes no value", f->name);
        if (f->kind != SWITCH && !glued && i + 1 >= argc)
            return usage(c, "'%s' needs a value", f->name);
        if (!set(c, f, f->kind == SWITCH ? NULL : glued ? a + n + 1 : argv[++i], o))
            return false;
    }
    return true;
}
