/* main.c: the operator matrix's entry: `run-tests [--device=NAME]... [--checked] [--family=NAME] [--filter=TEXT]
 * [--every=N] [--seed=N] [-v]`.
 *
 * Devices default to interp and cpu; results are compared with those of the first. Ends with counts and exit status 1
 * where anything failed. A crash names the case that ran. --every=8 runs one case in eight, always the same, chosen by
 * name.
 */
#include "tests/run/run.h"

#include <signal.h>
#include <unistd.h>

run_state run = {.seed = 20240501};

static char now_running[400];

void run_begin(const rcase *c, const char *device)
{
    snprintf(now_running, sizeof now_running, "%.*s on %s", STR_ARG(c->name), device);
    if (run.verbose) {
        printf("%s\n", now_running);
        fflush(stdout);
    }
}

/* only what is safe in a handler */
static void on_crash(int sig)
{
    static const char head[] = "FAIL crashed (an access outside an argument?): ";
    ssize_t n = write(1, head, sizeof head - 1);
    n += write(1, now_running, strlen(now_running));
    n += write(1, "\n", 1);
    signal(sig, SIG_DFL);
    raise(sig);
    _exit(n < 0 ? 2 : 1);
}

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--device=", 9) && run.ndevices < (int)COUNTOF(run.devices))
            run.devices[run.ndevices++] = argv[i] + 9;
        else if (!strncmp(argv[i], "--filter=", 9))
            run.filter = argv[i] + 9;
        else if (!strncmp(argv[i], "--family=", 9))
            run.family = argv[i] + 9;
        else if (!strncmp(argv[i], "--every=", 8))
            run.every = strtoull(argv[i] + 8, NULL, 0);
        else if (!strncmp(argv[i], "--seed=", 7))
            run.seed = strtoull(argv[i] + 7, NULL, 0);
        else if (!strcmp(argv[i], "--checked"))
            run.checked = true;
        else if (!strcmp(argv[i], "-v"))
            run.verbose = true;
        else
            return false;
    }
    if (!run.ndevices) {
        run.devices[run.ndevices++] = "interp";
        run.devices[run.ndevices++] = "cpu";
    }
    return true;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } families[] = {
        {"elementwise", run_elementwise}, {"casts", run_casts},       {"maths", run_maths},
        {"reductions", run_reductions},   {"scans", run_scans},       {"sorts", run_sorts},
        {"shapes", run_shapes},           {"memory", run_memory},     {"tensors", run_tensors},
        {"atomics", run_atomics},         {"dots", run_dots},         {"random", run_random},
        {"control", run_control},         {"programs", run_programs}, {"large", run_large},
        {"others", run_others},           {"gpu", run_gpus},
    };
    if (!parse(argc, argv)) {
        fputs("usage: run-tests [--device=NAME]... [--checked] [--family=NAME] [--filter=TEXT] [--every=N] [--seed=N] "
              "[-v]\n",
              stderr);
        return 2;
    }
    signal(SIGSEGV, on_crash);
    signal(SIGBUS, on_crash);
    signal(SIGILL, on_crash);
    signal(SIGFPE, on_crash);
    signal(SIGABRT, on_crash);
    for (size_t i = 0; i < COUNTOF(families); i++) {
        if (run.family && strcmp(run.family, families[i].name) != 0)
            continue;
        long cases = run.cases, failures = run.failures;
        double t = clock_now();
        families[i].fn();
        printf("%-12s %5ld cases, %ld failures, %.1f s\n", families[i].name, run.cases - cases, run.failures - failures,
               clock_now() - t);
        fflush(stdout);
    }
    if (!run.family && !run.filter && !run.every)
        run_check_builtins();
    device_close_all();
    printf("run-tests: %ld cases (%ld refusals), %ld runs on %d devices, %ld skipped, %ld failures\n", run.cases,
           run.rejected, run.runs, run.ndevices, run.skipped, run.failures);
    printf("%ld passed, %ld failed, %ld skipped\n", run.runs + run.rejected - run.failures, run.failures, run.skipped);
    return run.failures != 0 || run.cases == 0;
}
