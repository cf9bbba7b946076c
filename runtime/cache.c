/* cache.c: compiled code on disk: one file an entry, named by 128 bits of hash over all that its content depends on.
 *
 *   NAME         [magic: 8 bytes] [key: 16] [hash of the content: 8] [content]
 *   NAME.tune    text: the content, and its hash as a comment in the last line
 *   NAME.THREAD.TIME   being written
 *
 * A file is written under a name of its own and renamed: it appears whole or not at all, so any number of processes may
 * share the folder, and any may be killed at any moment. An entry that is short, altered, of another magic or another
 * key, or not ours (another user's file might hold any code) counts as absent; the next put replaces it. A folder that
 * can't be written or a full disk costs time, nothing else. An entry's time of change is when it was last used, to the
 * minute, which cache_size.c goes by.
 */
#include "runtime/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEAD 32
#define USED_AGAIN 60 /* seconds after which another use is noted */
#define MAX_ENTRY ((size_t)1 << 30)
static const char magic[8] = {'t', 'i', 'l', 'e', 'c', '0', '0', '2'};

str cache_folder(arena *a)
{
    const char *dir = getenv("TILE_CACHE_DIR"), *user = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (dir)
        return str_dup(a, str_of(dir));
    if (user && *user)
        return path_join(a, str_of(user), S("tile"));
    return home && *home ? path_join(a, str_of(home), S(".cache/tile")) : (str){0};
}

cache_key cache_key_of(const str *parts, uint32_t n)
{
    cache_key k = {0x74696c65, 0x63616368};
    for (uint32_t i = 0; i < n; i++) {
        k.a = hash_mix(hash_bytes(parts[i].p, parts[i].n, k.a), parts[i].n);
        k.b = hash_mix(hash_bytes(parts[i].p, parts[i].n, k.b), ~(uint64_t)parts[i].n);
    }
    return k;
}

static char *entry_path(arena *a, str folder, cache_key k, const char *suffix)
{
    return str_cstr(a, str_fmt(a, "%.*s/%016llx%016llx%s", STR_ARG(folder), (unsigned long long)k.a,
                               (unsigned long long)k.b, suffix));
}

/* ---- reading ---- */

/* a regular file that only we (or the system's owner) can have written */
static bool is_ours(const struct stat *st)
{
    return S_ISREG(st->st_mode) && (st->st_uid == geteuid() || st->st_uid == 0) && !(st->st_mode & S_IWOTH);
}

static bool read_whole(int fd, char *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = read(fd, p + at, n - at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        at += (size_t)k;
    }
    return true;
}

typedef struct read_job {
    arena *a;
    int fd;
    size_t n;
    char *p;
} read_job;

static void make_room(void *ctx)
{
    read_job *j = ctx;
    j->p = arena_alloc(j->a, j->n + 1, 16);
}

static void mark_used(int fd, const struct stat *st)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec - st->st_mtim.tv_sec >= USED_AGAIN)
        (void)futimens(fd, NULL);
}

static bool read_file(arena *a, const char *path, bool used, str *out)
{
    struct stat st;
    read_job j = {.a = a, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (j.fd < 0)
        return false;
    bool ok = fstat(j.fd, &st) == 0 && is_ours(&st) && st.st_size >= 0 && (size_t)st.st_size <= MAX_ENTRY, done = true;
    if (ok) {
        j.n = (size_t)st.st_size;
        done = arena_try(a, make_room, &j);
        ok = done && read_whole(j.fd, j.p, j.n);
    }
    if (ok && used)
        mark_used(j.fd, &st);
    close(j.fd);
    if (!done)
        arena_raise(a);
    *out = (str){j.p, j.n};
    return ok;
}

bool cache_get(arena *a, str folder, cache_key k, str *out)
{
    str all;
    uint64_t sum;
    if (!folder.n || !read_file(a, entry_path(a, folder, k, ""), true, &all) || all.n < HEAD ||
        memcmp(all.p, magic, sizeof magic) != 0 || memcmp(all.p + sizeof magic, &k, sizeof k) != 0)
        return false;
    memcpy(&sum, all.p + sizeof magic + sizeof k, sizeof sum);
    *out = (str){all.p + HEAD, all.n - HEAD};
    return hash_bytes(out->p, out->n, 1) == sum;
}

/* ---- writing ---- */

static void make_folders(arena *a, str path)
{
    for (size_t i = 1; i <= path.n; i++)
        if (i == path.n || path.p[i] == '/')
            (void)mkdir(str_cstr(a, (str){path.p, i}), i == path.n ? 0700 : 0777);
}

static bool write_whole(int fd, str data)
{
    while (data.n) {
        ssize_t k = write(fd, data.p, data.n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        data.p += k;
        data.n -= (size_t)k;
    }
    return true;
}

static void write_file(arena *a, str folder, const char *path, str data)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    char *tmp = str_cstr(a, str_fmt(a, "%s.%ld.%lld%09ld", path, (long)gettid(), (long long)t.tv_sec, t.tv_nsec));
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == ENOENT) {
        make_folders(a, folder);
        fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    }
    if (fd < 0)
        return;
    bool ok = write_whole(fd, data);
    ok = close(fd) == 0 && ok;
    if (!ok || rename(tmp, path) != 0)
        (void)unlink(tmp);
}

void cache_put(arena *a, str folder, cache_key k, str bytes)
{
    strbuf b;
    uint64_t sum = hash_bytes(bytes.p, bytes.n, 1);
    if (!folder.n)
        return;
    sb_init(&b, a);
    sb_put(&b, (str){magic, sizeof magic});
    sb_put(&b, (str){(const char *)&k, sizeof k});
    sb_put(&b, (str){(const char *)&sum, sizeof sum});
    sb_put(&b, bytes);
    write_file(a, folder, entry_path(a, folder, k, ""), sb_str(&b));
    cache_put_done(a, folder, (int64_t)b.n);
}

/* ---- choices ---- */

static str choice_text(arena *a, cache_key k, str line)
{
    uint64_t sum = hash_mix(hash_bytes(line.p, line.n, k.a), k.b);
    return str_fmt(a, "%.*s\n# %016llx\n", STR_ARG(line), (unsigned long long)sum);
}

str cache_get_choice(arena *a, str folder, cache_key k)
{
    str all;
    if (!folder.n || !read_file(a, entry_path(a, folder, k, ".tune"), false, &all))
        return (str){0};
    const char *end = memchr(all.p, '\n', all.n);
    str line = {all.p, end ? (size_t)(end - all.p) : 0};
    return str_eq(choice_text(a, k, line), all) ? line : (str){0};
}

void cache_put_choice(arena *a, str folder, cache_key k, str line)
{
    if (folder.n)
        write_file(a, folder, entry_path(a, folder, k, ".tune"), choice_text(a, k, line));
}
