/* kernels.c: the kernel library as `llm` uses it: which folder it is in, and its modules under the consts wanted.
 *
 * The folder is that of the option, else TILE_KERNELS, else share/tile/kernels beside the program's bin (installed),
 * else kernels/ in a folder above the program (built in the source tree). The engine's own kernels are in llm/ below an
 * installed folder, in examples/llm/kernels beside one of the source tree. A file under other consts is another module;
 * all are kept until the end.
 */
#include "examples/llm/engine_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct loaded {
    const char *file, *defines;
    tile_module *mod;
} loaded;

struct kernels {
    arena a;
    tile_device *dev;
    str lib, own; /* folders */
    VEC(loaded) mods;
};

static bool take_folder(kernels *k, str lib)
{
    str own = str_fmt(&k->a, "%.*s/llm", STR_ARG(lib));
    if (!file_exists(str_cstr(&k->a, path_join(&k->a, lib, S("rmsnorm.tile")))))
        return false;
    if (!file_exists(str_cstr(&k->a, path_join(&k->a, own, S("products.tile")))))
        own = str_fmt(&k->a, "%.*s/../examples/llm/kernels", STR_ARG(lib));
    k->lib = lib;
    k->own = own;
    return file_exists(str_cstr(&k->a, path_join(&k->a, own, S("products.tile"))));
}

static bool find_folder(kernels *k, const char *given)
{
    char exe[4096];
    if (!given)
        given = getenv("TILE_KERNELS");
    if (given && *given)
        return take_folder(k, str_of(given));
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe);
    if (n <= 0)
        return false;
    str dir = path_dir(str_dup(&k->a, (str){exe, (size_t)n}));
    for (int up = 0; up < 6; up++) {
        if (take_folder(k, str_fmt(&k->a, "%.*s/kernels", STR_ARG(dir))) ||
            take_folder(k, str_fmt(&k->a, "%.*s/share/tile/kernels", STR_ARG(dir))))
            return true;
        str above = path_dir(dir);
        if (above.n >= dir.n)
            break;
        dir = above;
    }
    return false;
}

kernels *kernels_new(tile_device *dev, const char *folder, tile_error *err)
{
    kernels *k = calloc(1, sizeof *k);
    if (k) {
        arena_init(&k->a, 0);
        k->dev = dev;
        if (find_folder(k, folder))
            return k;
    }
    err->code = TILE_E_MISSING;
    snprintf(err->text, sizeof err->text, "the kernel library is not found; set TILE_KERNELS to its folder");
    kernels_free(k);
    return NULL;
}

void kernels_free(kernels *k)
{
    if (!k)
        return;
    for (uint32_t i = 0; i < k->mods.n; i++)
        tile_module_close(k->mods.at[i].mod);
    arena_fini(&k->a);
    free(k);
}

static tile_module *load(kernels *k, const char *file, const char *defines, tile_error *err)
{
    const char *list[16], *dirs[] = {str_cstr(&k->a, k->lib)};
    tile_options opt = {.defines = list, .import_dirs = dirs, .nimport_dirs = 1};
    char *text = str_cstr(&k->a, str_of(defines)), *rest = NULL;
    bool own = strncmp(file, "llm/", 4) == 0;
    str path = path_join(&k->a, own ? k->own : k->lib, str_of(own ? file + 4 : file));
    for (char *d = strtok_r(text, " ", &rest); d && opt.ndefines < 16; d = strtok_r(NULL, " ", &rest))
        list[opt.ndefines++] = d;
    return tile_module_from_file(k->dev, str_cstr(&k->a, path), &opt, err);
}

tile_kernel *kernels_find(kernels *k, const char *file, const char *name, const char *defines, tile_error *err)
{
    for (uint32_t i = 0; i < k->mods.n; i++)
        if (!strcmp(k->mods.at[i].file, file) && !strcmp(k->mods.at[i].defines, defines))
            return tile_kernel_find(k->mods.at[i].mod, name, err);
    tile_module *mod = load(k, file, defines, err);
    if (!mod)
        return NULL;
    loaded l = {str_cstr(&k->a, str_of(file)), str_cstr(&k->a, str_of(defines)), mod};
    vec_push(&k->a, &k->mods, l);
    return tile_kernel_find(mod, name, err);
}
