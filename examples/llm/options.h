/* options.h: the command line of `llm`: one table of flags (options.def), one of commands (main.c). */
#ifndef TILE_LLM_OPTIONS_H
#define TILE_LLM_OPTIONS_H

#include "examples/llm/engine.h"
#include "examples/llm/tokenizer.h"

#include <stdbool.h>
#include <stdint.h>

enum { MAX_STOPS = 16 };

/* exit codes, as tilec's */
enum { EXIT_DONE = 0, EXIT_FAULT = 1, EXIT_USAGE = 2, EXIT_DEVICE = 3 };

typedef struct options {
    const char *model, *random, *prompt, *file, *system, *chat_template, *device, *mode, *act, *plot, *tokens, *out;
    const char *stops[MAX_STOPS];
    int32_t nstops;
    int64_t n, top_k, seed, context, threads, batch, reps, repeat_last; /* -1: not given */
    double temperature, top_p, min_p, repeat_penalty;                   /* NAN: not given */
    bool context_shift, json, nul, steps, special, verbose, help;
} options;

typedef struct command {
    const char *name;
    char letter; /* in options.def */
    const char *usage, *help;
    int (*run)(const options *o);
} command;

/* options.c: false where the command line is wrong, which has then been said on stderr */
bool options_parse(const command *c, int argc, char **argv, options *o);
void options_help(const command *commands, int n);
/* "llm: ..." to stderr; gives EXIT_FAULT, or the code that fits the error */
int complain(const char *fmt, ...) STR_PRINTF(1, 2);
int complain_error(const tile_error *err);

/* session.c: what most commands begin with: the model, its tokenizer, an engine */
typedef struct session {
    model_file *model;
    tokenizer *tok;
    engine *eng;
    double load_seconds;
    bool streaming; /* text is being written: no bar may be drawn over it */
} session;

/* 0, or an exit code after what is wrong was said; with_engine false: model and tokenizer alone */
int session_open(session *s, const options *o, bool with_engine);
void session_close(session *s);
void session_sampling(const options *o, bool chat, sampling *s);
/* the whole of a file, "-" is standard input; the text is malloc'ed */
bool read_text(const char *path, str *out);

/* the commands */
int run_chat(const options *o);
int run_generate(const options *o);
int run_bench(const options *o);
int run_perplexity(const options *o);
int run_tokenize(const options *o);
int run_logits(const options *o);
int run_kernels(const options *o);

#endif
