/* cache.c: compiled code on disk: one file an entry, named by 128 bits of hash over all that its content depends on.
 *
 *   [magic: 8 bytes] [hash of the content: u64] [content]
 *
 * A file appears whole or not at all (base's file_write renames), so any number of processes may share the folder and
 * any may be killed. An entry that is short, altered, or of another magic counts as absent; the next put replaces it.
 */
#include "runtime/cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEAD 16
static const char magic[8] = {'t', 'i', 'l', 'e', 'c', '0', '0', '1'};

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

static char *entry_path(arena *a, str folder, cache_key k)
{
    return str_cstr(
        a, str_fmt(a, "%.*s/%016llx%016llx", STR_ARG(folder), (unsigned long long)k.a, (unsigned long long)k.b));
}

bool cache_get(arena *a, str folder, cache_key k, str *out)
{
    str all, why;
    uint64_t sum;
    char *path = folder.n ? entry_path(a, folder, k) : NULL;
    if (!path || !file_exists(path) || !file_read(a, path, 0, &all, &why) || all.n < HEAD ||
        memcmp(all.p, magic, sizeof magic) != 0)
        return false;
    memcpy(&sum, all.p + sizeof magic, sizeof sum);
    *out = (str){all.p + HEAD, all.n - HEAD};
    return hash_bytes(out->p, out->n, 1) == sum;
}

static void make_folders(arena *a, str path)
{
    for (size_t i = 1; i <= path.n; i++)
        if (i == path.n || path.p[i] == '/')
            (void)mkdir(str_cstr(a, (str){path.p, i}), 0777);
}

void cache_put(arena *a, str folder, cache_key k, str bytes)
{
    str why;
    strbuf b;
    uint64_t sum = hash_bytes(bytes.p, bytes.n, 1);
    if (!folder.n)
        return;
    make_folders(a, folder);
    sb_init(&b, a);
    sb_put(&b, (str){magic, sizeof magic});
    sb_put(&b, (str){(const char *)&sum, sizeof sum});
    sb_put(&b, bytes);
    (void)file_write(a, entry_path(a, folder, k), sb_str(&b), &why);
}
