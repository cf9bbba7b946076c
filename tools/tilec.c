/* tilec.c: the command line tool. Parsing is in tilec_options.c, each command in a file of its own.
 *
 * Memory that the user's input exhausts ends in a message and exit code 1: the arena that everything lives in is
 * bounded and comes back here.
 */
#include "tools/tilec.h"

#include <signal.h>
#include <stdio.h>

#define MEMORY_LIMIT ((size_t)16 << 30)

static int run_command(tilec *t)
{
    switch (t->command) {
    case CHECK:
        return tilec_check(t);
    case EMIT:
        return tilec_emit(t);
    case BUILD:
        return tilec_build(t);
    case EXPLAIN:
        return tilec_explain(t);
    case RUN:
        return tilec_run(t);
    case TUNE:
        return tilec_tune(t);
    case CACHE:
        return tilec_cache(t);
    case TARGETS:
        return tilec_targets(t);
    default:
        return tilec_version(t);
    }
}

int main(int argc, char **argv)
{
    jmp_buf oom;
    arena a;
    tilec t = {0};
    int code;
    t.started = clock_now();
    signal(SIGPIPE, SIG_IGN);
    arena_init(&a, MEMORY_LIMIT);
    if (setjmp(oom)) {
        tilec_say(0, "out of memory");
        return EXIT_USER;
    }
    a.oom = &oom;
    t.a = &a;
    diags_init(&t.d, &a);
    if (!tilec_parse(&t, argc, argv))
        code = EXIT_USAGE;
    else if (tilec_has(&t, OPT_HELP)) {
        tilec_help();
        code = EXIT_DONE;
    } else
        code = run_command(&t);
    if (fflush(stdout) != 0 && code == EXIT_DONE)
        code = tilec_say(EXIT_USER, "standard output cannot be written");
    arena_fini(&a);
    return code;
}
