/* main.c: `kernel-tests [--device=NAME]... [--family=NAME] [--filter=TEXT] [--aot=N] [-v]`: every kernel of kernels/
 * against its reference in kernels/ref, over odd shapes, element types, masks, NaN and infinities. Run it where
 * kernels/ lies.
 *
 * Devices default to cpu and interp, which gets the small cases only. The device "aot" is code of `tilec build`, of N
 * instances a kernel (1). CPU devices and aot must agree bit for bit. Exit status 1 where anything failed.
 */
#include "tests/kernels/kit.h"

#include <signal.h>
#include <unistd.h>

kt_state kts;

static char now_running[300];

void kt_running(const char *name, const char *device)
{
    snprintf(now_running, sizeof now_running, "%s on %s", name, device);
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

/* the folder that a path is in */
static const char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *out = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    if (!out)
        abort();
    return out;
}

static bool parse(int argc, char **argv, const char **family)
{
    kts.aot_most = 1;
    kts.build = folder_of(argv[0]);
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--device=", 9) && kts.ndevices < (int)COUNTOF(kts.devices))
            kts.devices[kts.ndevices++] = argv[i] + 9;
        else if (!strncmp(argv[i], "--filter=", 9))
            kts.filter = argv[i] + 9;
        else if (!strncmp(argv[i], "--family=", 9))
            *family = argv[i] + 9;
        else if (!strncmp(argv[i], "--aot=", 6))
            kts.aot_most = atoi(argv[i] + 6);
        else if (!strcmp(argv[i], "-v"))
            kts.verbose = true;
        else
            return false;
    }
    if (!kts.ndevices) {
        kts.devices[kts.ndevices++] = "cpu";
        kts.devices[kts.ndevices++] = "interp";
    }
    return true;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } families[] = {
        {"elementwise", kt_elementwise},
        {"norm", kt_norm},
        {"softmax", kt_softmax},
        {"rope", kt_rope},
        {"attention", kt_attention},
        {"tokens", kt_tokens},
        {"matmul", kt_matmul},
        {"lines", kt_lines},
        {"quant", kt_quant},
        {"matvec", kt_matvec},
    };
    const char *family = NULL;
    if (!parse(argc, argv, &family)) {
        fputs("usage: kernel-tests [--device=NAME]... [--family=NAME] [--filter=TEXT] [--aot=N] [-v]\n", stderr);
        return 2;
    }
    signal(SIGSEGV, on_crash);
    signal(SIGBUS, on_crash);
    signal(SIGILL, on_crash);
    signal(SIGFPE, on_crash);
    signal(SIGABRT, on_crash);
    for (size_t i = 0; i < COUNTOF(families); i++) {
        if (family && strcmp(family, families[i].name) != 0)
            continue;
        long launches = kts.launches, failed = kts.failed;
        double t = clock_now();
        families[i].fn();
        printf("%-12s %5ld launches, %ld failed, %.1f s\n", families[i].name, kts.launches - launches,
               kts.failed - failed, clock_now() - t);
        fflush(stdout);
    }
    if (!family && !kts.filter)
        kt_check_covered();
    kt_close_all();
    kt_aot_close();
    free((char *)(uintptr_t)kts.build);
    printf("%ld passed, %ld failed, %ld skipped\n", kts.passed, kts.failed, kts.skipped);
    return kts.failed != 0 || kts.passed == 0;
}
