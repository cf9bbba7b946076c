/* main.c: the commands of `llm`. Each is a file of its own; options.def lists what they take. */
#include "examples/llm/options.h"
#include "base/base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const command commands[] = {
    {"chat", 'c', "-m MODEL [-p TEXT]", "talk with a model; with -p, ask once and end", run_chat},
    {"generate", 'g', "-m MODEL (-p TEXT | -f FILE) [-n N]", "continue a text; the new text goes to stdout",
     run_generate},
    {"bench", 'b', "-m MODEL [-p 512] [-n 128] [-b N] [--json]", "tokens a second of a prompt and of generation",
     run_bench},
    {"perplexity", 'p', "-m MODEL -f FILE", "how well a model foresees a text", run_perplexity},
    {"tokenize", 't', "-m MODEL [-f FILE] [-0] [--special]", "ids of a text on one line", run_tokenize},
    {"logits", 'l', "-m MODEL --tokens=IDS.txt --out=L.npy", "what a model says after each token", run_logits},
    {"kernels", 'k', "-m MODEL --out=LIST.txt", "which kernels a model needs, as arguments of tilec build",
     run_kernels},
};

int main(int argc, char **argv)
{
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        options_help(commands, (int)COUNTOF(commands));
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    for (size_t i = 0; i < COUNTOF(commands); i++) {
        options o;
        if (strcmp(argv[1], commands[i].name))
            continue;
        if (!options_parse(&commands[i], argc, argv, &o))
            return EXIT_USAGE;
        int code = o.help ? EXIT_DONE : commands[i].run(&o);
        if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_DONE)
            code = complain("cannot write to standard output: %s", strerror(errno));
        return code;
    }
    fprintf(stderr, "llm: unknown command '%s'; `llm --help` lists them\n", argv[1]);
    return EXIT_USAGE;
}
