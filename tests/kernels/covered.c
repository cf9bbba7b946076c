/* covered.c: every kernel of kernels/ was launched by some family, and on "aot" where that is among the devices. */
#include "tests/kernels/kit.h"

#include "frontend/frontend.h"

#include <dirent.h>

typedef struct launched {
    struct launched *next;
    char name[96]; /* file/kernel */
} launched;

static launched *seen;

void kt_note(const char *file, const char *kernel)
{
    char name[sizeof seen->name];
    snprintf(name, sizeof name, "%s/%s", file, kernel);
    for (const launched *x = seen; x; x = x->next)
        if (!strcmp(x->name, name))
            return;
    launched *x = malloc(sizeof *x);
    if (!x)
        abort();
    x->next = seen;
    memcpy(x->name, name, sizeof name);
    seen = x;
}

static bool was_launched(const char *name)
{
    for (const launched *x = seen; x; x = x->next)
        if (!strcmp(x->name, name))
            return true;
    return false;
}

/* the file itself has the kernel, not one that it imports */
static bool is_written_in(str text, str kernel)
{
    char head[160];
    snprintf(head, sizeof head, "kernel %.*s", STR_ARG(kernel));
    size_t n = strlen(head);
    for (const char *p = text.p; (p = memmem(p, (size_t)(text.p + text.n - p), head, n)); p += n)
        if ((p == text.p || p[-1] == '\n') && (p[n] == '(' || p[n] == '['))
            return true;
    return false;
}

static void check_file(arena *a, const char *file)
{
    diags d;
    str text, err, path = str_fmt(a, "kernels/%s", file);
    static const fe_options none = {0};
    diags_init(&d, a);
    bool ok = file_read(a, str_cstr(a, path), 1 << 24, &text, &err);
    fe_unit *u = ok ? fe_load(a, &d, path, text, &none) : NULL;
    if (!u || d.errors) {
        kt_fail("%s can't be read", file);
        kts.failed++;
        return;
    }
    for (uint32_t i = 0; i < fe_kernel_count(u); i++) {
        str k = fe_kernel_at(u, i)->name;
        char name[sizeof seen->name];
        if (!is_written_in(text, k))
            continue;
        snprintf(name, sizeof name, "%.*s/%.*s", (int)strlen(file) - 5, file, STR_ARG(k));
        bool aot_wanted = false, fine = was_launched(name);
        if (!fine)
            kt_fail("kernel %s has no test", name);
        for (int at = 0; at < kts.ndevices; at++)
            aot_wanted |= !strcmp(kts.devices[at], "aot");
        if (fine && aot_wanted && !kt_aot_ran(name)) {
            kt_fail("kernel %s was not built ahead of time", name);
            fine = false;
        }
        kts.passed += fine;
        kts.failed += !fine;
    }
}

void kt_check_covered(void)
{
    arena a;
    arena_init(&a, 0);
    DIR *dir = opendir("kernels");
    long files = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        size_t n = strlen(e->d_name);
        if (n > 5 && !strcmp(e->d_name + n - 5, ".tile")) {
            check_file(&a, e->d_name);
            files++;
        }
    }
    if (dir)
        closedir(dir);
    if (!files) {
        kt_fail("no kernels in kernels/");
        kts.failed++;
    }
    arena_fini(&a);
    for (launched *x = seen, *next; x; x = next) {
        next = x->next;
        free(x);
    }
    seen = NULL;
}
