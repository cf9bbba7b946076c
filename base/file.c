/* file.c: files as whole byte strings. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool fail(arena *a, str *err, const char *what, const char *path)
{
    *err = str_fmt(a, "cannot %s '%s': %s", what, path, strerror(errno));
    return false;
}

bool file_read(arena *a, const char *path, size_t limit, str *out, str *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return fail(a, err, "open", path);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        errno = EISDIR;
        return fail(a, err, "read", path);
    }
    size_t cap = st.st_size > 0 ? (size_t)st.st_size + 1 : 4096, n = 0;
    if (limit && cap > limit + 1)
        cap = limit + 2;
    char *p = arena_alloc(a, cap, 1);
    for (;;) {
        ssize_t k = read(fd, p + n, cap - n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            close(fd);
            return fail(a, err, "read", path);
        }
        if (k == 0)
            break;
        n += (size_t)k;
        if (limit && n > limit) {
            close(fd);
            *err = str_fmt(a, "cannot read '%s': over %zu bytes", path, limit);
            return false;
        }
        if (n == cap) {
            char *q = arena_alloc(a, cap * 2, 1);
            memcpy(q, p, n);
            p = q;
            cap *= 2;
        }
    }
    close(fd);
    p[n] = 0;
    *out = (str){p, n};
    return true;
}

static bool write_all(int fd, str data)
{
    while (data.n) {
        ssize_t k = write(fd, data.p, data.n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return false;
        data.p += k;
        data.n -= (size_t)k;
    }
    return true;
}

/* Devices and pipes are written in place: renaming over /dev/null would replace it. */
static bool write_in_place(arena *a, const char *path, str data, str *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write_all(fd, data);
    if (fd >= 0 && close(fd) != 0)
        ok = false;
    return ok || fail(a, err, "write", path);
}

bool file_write(arena *a, const char *path, str data, str *err)
{
    struct stat st;
    if (strcmp(path, "-") == 0)
        return write_all(STDOUT_FILENO, data) || fail(a, err, "write", "standard output");
    bool there = stat(path, &st) == 0;
    if (there && !S_ISREG(st.st_mode))
        return write_in_place(a, path, data, err);
    char *tmp = str_cstr(a, str_fmt(a, "%s.XXXXXX", path));
    int fd = mkstemp(tmp);
    if (fd < 0)
        return fail(a, err, "write", path);
    mode_t mask = umask(0);
    umask(mask);
    bool ok = write_all(fd, data) && fchmod(fd, there ? st.st_mode & 07777 : 0666 & ~mask) == 0;
    ok = close(fd) == 0 && ok;
    if (ok && rename(tmp, path) == 0)
        return true;
    int why = errno;
    unlink(tmp);
    errno = why;
    return fail(a, err, "write", path);
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

str path_dir(str path)
{
    for (size_t i = path.n; i-- > 0;)
        if (path.p[i] == '/')
            return (str){path.p, i ? i : 1};
    return S(".");
}

str path_join(arena *a, str dir, str name)
{
    if ((name.n && name.p[0] == '/') || str_eq(dir, S(".")) || !dir.n)
        return str_dup(a, name);
    return str_fmt(a, "%.*s%s%.*s", STR_ARG(dir), str_ends(dir, S("/")) ? "" : "/", STR_ARG(name));
}

str path_real(arena *a, str path)
{
    char *real = realpath(str_cstr(a, path), NULL);
    if (!real)
        return path;
    str s = str_dup(a, str_of(real));
    free(real);
    return s;
}

double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
