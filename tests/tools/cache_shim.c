/* cache_shim.c: between a program and the system's calls, for cache.sh: what becomes of a file that is made new
 * (O_EXCL), as a machine that stops or a disk that is full would have it. SHIM says what:
 *
 *   kill-open, kill-write, kill-close, kill-rename, kill-renamed   the process is killed as kill -9 does: behind the
 *                 open, with half of the file written, in front of close, in front of rename, behind it
 *   full-open, full-write, full-close, full-rename                 ENOSPC: at once, after half, or at the end
 *   slow-write    one byte a call, and every other call is interrupted
 *   flip-write    a bit of each call's bytes is lost
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ours = -1;
static unsigned calls;

static int is(const char *what)
{
    const char *shim = getenv("SHIM");
    return shim && !strcmp(shim, what);
}

static void end_at(const char *what)
{
    if (is(what))
        kill(getpid(), SIGKILL);
}

static int full(void)
{
    errno = ENOSPC;
    return -1;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    int mode = flags & O_CREAT ? va_arg(ap, int) : 0;
    va_end(ap);
    if ((flags & O_EXCL) && is("full-open"))
        return full();
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if ((flags & O_EXCL) && fd >= 0) {
        ours = fd;
        calls = 0;
        end_at("kill-open");
    }
    return fd;
}

ssize_t write(int fd, const void *p, size_t n)
{
    if (fd != ours || fd < 0)
        return syscall(SYS_write, fd, p, n);
    if (is("slow-write") && calls++ % 2) {
        errno = EINTR;
        return -1;
    }
    if (is("slow-write"))
        return syscall(SYS_write, fd, p, (size_t)1);
    if (is("full-write"))
        return calls++ ? full() : syscall(SYS_write, fd, p, n / 2);
    if (is("flip-write")) {
        char *other = malloc(n);
        memcpy(other, p, n);
        other[n / 2] ^= 4;
        ssize_t k = syscall(SYS_write, fd, other, n);
        free(other);
        return k;
    }
    if (is("kill-write"))
        syscall(SYS_write, fd, p, n / 2);
    end_at("kill-write");
    return syscall(SYS_write, fd, p, n);
}

int close(int fd)
{
    int mine = fd >= 0 && fd == ours;
    if (mine)
        end_at("kill-close");
    if (mine)
        ours = -1;
    int r = (int)syscall(SYS_close, fd);
    return mine && is("full-close") ? full() : r;
}

int rename(const char *from, const char *to)
{
    end_at("kill-rename");
    if (is("full-rename"))
        return full();
    int r = (int)syscall(SYS_rename, from, to);
    end_at("kill-renamed");
    return r;
}
