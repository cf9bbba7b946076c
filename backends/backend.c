/* backend.c: the one table of back ends, and targets by name: "family" or "family:chip".
 */
#include "backends/backend.h"

#define BACKEND(symbol) extern const tile_backend symbol;
#include "backends/backends.def"
#undef BACKEND

static const tile_backend *const table[] = {
#define BACKEND(symbol) &symbol,
#include "backends/backends.def"
#undef BACKEND
    NULL,
};

const tile_backend *backend_at(uint32_t i)
{
    return i + 1 < COUNTOF(table) ? table[i] : NULL;
}

const char *backend_missing(void)
{
    return NULL;
}

const tile_backend *backend_find(str target, backend_target *out, arena *a)
{
    size_t n = 0;
    while (n < target.n && target.p[n] != ':')
        n++;
    str family = {target.p, n};
    str chip = n < target.n ? (str){target.p + n + 1, target.n - n - 1} : (str){0};
    if (n < target.n && chip.n == 0)
        return NULL;
    for (size_t i = 0; table[i]; i++) {
        const tile_backend *b = table[i];
        if (!str_eq(family, str_of(b->family)))
            continue;
        bool known = chip.n == 0;
        for (uint32_t k = 0; k < b->nchips && !known; k++)
            known = str_eq(chip, str_of(b->chips[k]));
        if (!known)
            return NULL;
        *out = (backend_target){.name = str_dup(a, target), .chip = str_dup(a, chip), .opt_level = 2};
        return b;
    }
    return NULL;
}
