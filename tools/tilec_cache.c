/* tilec_cache.c: `tilec cache path|stats|clear`: the folder of compiled code.
 */
#include "tools/tilec.h"

#include "runtime/tile.h"

#include <stdio.h>

static int clear(const tile_cache *c)
{
    tile_error err;
    if (tile_cache_clear(&err) != TILE_OK)
        return tilec_say(EXIT_USER, "%s", err.text);
    printf("removed %lld entries and %lld choices from %s\n", (long long)c->entries, (long long)c->choices, c->path);
    return EXIT_DONE;
}

int tilec_cache(tilec *t)
{
    tile_cache c;
    tile_error err;
    str what = t->words.n == 1 ? t->words.at[0] : (str){0};
    bool path = str_eq(what, S("path")), stats = str_eq(what, S("stats"));
    if (!path && !stats && !str_eq(what, S("clear")))
        return tilec_say(EXIT_USAGE, "cache needs one of path, stats, clear");
    if (tile_cache_stats(&c, &err) != TILE_OK && !path)
        return tilec_say(EXIT_USER, "%s", err.text);
    if (!c.path[0])
        return tilec_say(EXIT_USER, "nothing is kept: TILE_CACHE_DIR is empty, or there is no home folder");
    if (path) {
        printf("%s\n", c.path);
        return EXIT_DONE;
    }
    if (!stats)
        return clear(&c);
    printf("%s: %lld entries, %lld choices of the tuner, %lld bytes", c.path, (long long)c.entries,
           (long long)c.choices, (long long)c.bytes);
    if (c.limit)
        printf(" of at most %lld", (long long)c.limit);
    printf("\n");
    return EXIT_DONE;
}
