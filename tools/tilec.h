/* tilec.h: what the files of tilec share: its command table, its options, and how it ends.
 *
 * exit codes: 0 done, 1 the user's error (diagnostics on stderr), 2 usage, 3 device error; never a signal
 */
#ifndef TILE_TOOLS_TILEC_H
#define TILE_TOOLS_TILEC_H

#include "runtime/compile.h"

enum { EXIT_DONE, EXIT_USER, EXIT_USAGE, EXIT_DEVICE };

enum tilec_command {
    CHECK = 1,
    EMIT = 2,
    RUN = 4,
    TARGETS = 8,
    VERSION = 16,
    TUNE = 32,
    CACHE = 64,
    BUILD = 128,
    EXPLAIN = 256,
    EVERY = CHECK | EMIT | RUN | TUNE | BUILD | EXPLAIN
};

typedef enum tilec_opt {
#define OPT(id, text, arg, commands, help) OPT_##id,
#include "tools/options.def"
#undef OPT
    OPT_COUNT
} tilec_opt;

typedef struct tilec {
    arena *a;
    diags d;
    double started; /* clock at the start of main */
    int command;
    str opt[OPT_COUNT]; /* the last value given; p == NULL: not given */
    VEC(str) defines, imports, saves, warns, kernels;
    VEC(str) words; /* what is no flag, the command left out */
    bool werror;
} tilec;

/* tilec_options.c: false: a message stands on stderr, the exit code is EXIT_USAGE */
bool tilec_parse(tilec *t, int argc, char **argv);
void tilec_help(void);
bool tilec_has(const tilec *t, tilec_opt o);
/* "tilec: ..." on stderr; gives `code` back */
int tilec_say(int code, const char *fmt, ...) STR_PRINTF(2, 3);
/* renders t->d on stderr: EXIT_USER where it holds an error, else `code` */
int tilec_diags(tilec *t, int code);
/* the text of one of the command's files, and its name; false after a message */
bool tilec_read(tilec *t, str path, str *text);
bool tilec_bindings(tilec *t, fe_binding **out); /* of -D; false after a message */
fe_options tilec_front(const tilec *t);

struct rt_session_request;
/* tilec_run.c: FILE KERNEL ARG=VALUE... with their flags; a code other than EXIT_DONE after a message */
int tilec_request(tilec *t, const char *command, struct rt_session_request *q);
struct tile_error;
int tilec_fail(const struct tile_error *err); /* says it; gives the exit code */

/* tilec_bar.c: a tile_progress_fn */
void tilec_bar(void *ctx, const char *what, int32_t done, int32_t of);

/* tilec_check.c, tilec_emit.c, tilec_run.c, tilec_tune.c, tilec_cache.c, tilec_info.c */
int tilec_check(tilec *t);
int tilec_emit(tilec *t);
int tilec_build(tilec *t);
int tilec_explain(tilec *t);
int tilec_run(tilec *t);
int tilec_tune(tilec *t);
int tilec_cache(tilec *t);
int tilec_targets(tilec *t);
int tilec_version(tilec *t);

#endif
