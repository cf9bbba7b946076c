/* cache_size.c: the cache's folder as a whole: what lies there, emptying it, and its bound.
 *
 * Compiled code takes TILE_CACHE_SIZE bytes at most (1 GiB unless it says otherwise). Nobody keeps count: a process
 * that has written an entry of n bytes looks the folder through with probability n / (limit / 64), so once in a 64th of
 * the limit on average, and where there is too much removes what was used longest ago until 7/8 of the limit are left.
 * Eight such intervals lie between the two, so the bound is passed about once in e^8 rounds, and by little. Small
 * limits are looked after at each write.
 *
 * Any number of processes may do so at once: what another one has removed counts as gone, a file that is being read
 * stays readable, one that was used or written again in between is lost and made again. Choices of the tuner are lines
 * of text that took long to find: they stay. Files that a process left half written go after an hour.
 */
#include "base/base.h"
#include "runtime/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME_LENGTH 32
#define INTERVALS 64      /* of the limit: one look in each */
#define LEFT_SECONDS 3600 /* nobody writes an entry for so long */

typedef enum file_kind { FILE_OTHER, FILE_ENTRY, FILE_CHOICE, FILE_LEFT } file_kind;

/* only names that we give are counted or removed */
static file_kind kind_of(const char *name)
{
    size_t n = strspn(name, "0123456789abcdef");
    const char *rest = name + n;
    bool tune = strncmp(rest, ".tune", 5) == 0;
    rest += tune ? 5 : 0;
    if (n != NAME_LENGTH)
        return FILE_OTHER;
    if (*rest == '.' && rest[1 + strspn(rest + 1, "0123456789.")] == 0)
        return FILE_LEFT;
    return *rest ? FILE_OTHER : tune ? FILE_CHOICE : FILE_ENTRY;
}

bool cache_sum(arena *a, str folder, bool clear, cache_sums *out, str *err)
{
    char *path = str_cstr(a, folder);
    DIR *dir = folder.n ? opendir(path) : NULL;
    struct dirent *e;
    struct stat st;
    *out = (cache_sums){0};
    *err = (str){0};
    if (!dir && folder.n && errno != ENOENT) {
        *err = str_fmt(a, "cannot read '%s': %s", path, strerror(errno));
        return false;
    }
    int failed = 0;
    while (dir && (e = readdir(dir))) {
        file_kind kind = kind_of(e->d_name);
        if (kind == FILE_OTHER || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        out->entries += kind == FILE_ENTRY;
        out->choices += kind == FILE_CHOICE;
        out->left += kind == FILE_LEFT;
        out->bytes += kind == FILE_LEFT ? 0 : st.st_size;
        if (clear && unlinkat(dirfd(dir), e->d_name, 0) != 0 && errno != ENOENT)
            failed = errno;
    }
    if (dir)
        closedir(dir);
    if (failed)
        *err = str_fmt(a, "cannot empty '%s': %s", path, strerror(failed));
    return !failed;
}

/* ---- the bound ---- */

bool cache_limit(arena *a, int64_t *bytes, str *err)
{
    const char *text = getenv("TILE_CACHE_SIZE"), *units = "KMGT", *unit;
    char *end;
    *bytes = CACHE_LIMIT;
    if (!text || !*text)
        return true;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    int shift = *end && (unit = strchr(units, *end)) ? 10 * (int)(unit - units + 1) : 0;
    end += shift ? 1 : 0;
    if (end == text || *end || errno || n < 0 || n > INT64_MAX >> shift) {
        *err = str_fmt(a, "TILE_CACHE_SIZE: expected bytes, or a number with K, M, G or T, found '%s'", text);
        return false;
    }
    *bytes = (int64_t)n << shift;
    return true;
}

typedef struct used {
    struct timespec when;
    int64_t bytes;
    char name[NAME_LENGTH + 1];
} used;

static int by_age(const void *p, const void *q)
{
    const used *x = p, *y = q;
    if (x->when.tv_sec != y->when.tv_sec)
        return x->when.tv_sec < y->when.tv_sec ? -1 : 1;
    if (x->when.tv_nsec != y->when.tv_nsec)
        return x->when.tv_nsec < y->when.tv_nsec ? -1 : 1;
    return strcmp(x->name, y->name);
}

typedef struct trim_job {
    arena *a;
    DIR *dir;
    int64_t limit;
} trim_job;

static void run_trim(void *ctx)
{
    trim_job *j = ctx;
    VEC(used) list = {0};
    struct dirent *e;
    struct stat st;
    int64_t all = 0;
    time_t now = time(NULL);
    while ((e = readdir(j->dir))) {
        file_kind kind = kind_of(e->d_name);
        if ((kind != FILE_ENTRY && kind != FILE_LEFT) || fstatat(dirfd(j->dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
            !S_ISREG(st.st_mode))
            continue;
        if (kind == FILE_LEFT) {
            if (now - st.st_mtim.tv_sec > LEFT_SECONDS)
                (void)unlinkat(dirfd(j->dir), e->d_name, 0);
            continue;
        }
        used u = {.when = st.st_mtim, .bytes = st.st_size};
        memcpy(u.name, e->d_name, NAME_LENGTH);
        vec_push(j->a, &list, u);
        all += u.bytes;
    }
    if (all <= j->limit)
        return;
    qsort(list.at, list.n, sizeof *list.at, by_age);
    for (uint32_t i = 0; i < list.n && all > j->limit - j->limit / 8; i++)
        if (unlinkat(dirfd(j->dir), list.at[i].name, 0) == 0 || errno == ENOENT)
            all -= list.at[i].bytes;
}

void cache_trim(arena *a, str folder, int64_t bytes)
{
    arena own; /* a long list, of no use afterwards */
    trim_job j = {&own, opendir(str_cstr(a, folder)), bytes};
    if (!j.dir)
        return;
    arena_init(&own, 0);
    (void)arena_try(&own, run_trim, &j); /* no memory to do it in: another time */
    arena_fini(&own);
    closedir(j.dir);
}

void cache_put_done(arena *a, str folder, int64_t bytes)
{
    struct timespec t;
    int64_t limit;
    str why;
    if (!cache_limit(a, &limit, &why))
        limit = CACHE_LIMIT;
    if (!limit)
        return;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t die = hash_mix((uint64_t)t.tv_nsec ^ (uint64_t)t.tv_sec << 30, (uint64_t)getpid());
    int64_t interval = limit / INTERVALS;
    if (bytes >= interval || (int64_t)(die % (uint64_t)interval) < bytes)
        cache_trim(a, folder, limit);
}
