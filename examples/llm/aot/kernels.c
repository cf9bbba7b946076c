/* kernels.c: the kernels of the engine where they are part of the program (`make llm-aot`), in place of ../kernels.c:
 * no folder, no compiler. A kernel that the program doesn't hold is told by the step that wants it.
 */
#include "examples/llm/engine_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* made by tools/llm_aot.sh from what was built; ends with a NULL name */
typedef struct linked {
    const char *name;
    const tile_linked *at;
} linked;
extern const linked llm_linked[];

typedef struct found {
    const char *name, *defines;
    tile_kernel *k;
} found;

struct kernels {
    arena a;
    tile_device *dev;
    VEC(found) list;
};

kernels *kernels_new(tile_device *dev, const char *folder, tile_error *err)
{
    kernels *k = calloc(1, sizeof *k);
    if (!k || folder) {
        err->code = k ? TILE_E_ARGUMENT : TILE_E_MEMORY;
        snprintf(err->text, sizeof err->text, "%s",
                 k ? "the kernels of this program are part of it: no folder can be given" : "out of memory");
        free(k);
        return NULL;
    }
    arena_init(&k->a, 0);
    k->dev = dev;
    return k;
}

void kernels_free(kernels *k)
{
    if (!k)
        return;
    arena_fini(&k->a);
    free(k);
}

tile_kernel *kernels_find(kernels *k, const char *file, const char *name, const char *defines, tile_error *err)
{
    const char *list[16];
    int32_t n = 0;
    const linked *l = llm_linked;
    (void)file; /* a kernel's name is enough: no two that are used have one */
    for (uint32_t i = 0; i < k->list.n; i++)
        if (!strcmp(k->list.at[i].name, name) && !strcmp(k->list.at[i].defines, defines))
            return k->list.at[i].k;
    char *text = str_cstr(&k->a, str_of(defines)), *rest = NULL;
    for (char *d = strtok_r(text, " ", &rest); d && n < 16; d = strtok_r(NULL, " ", &rest))
        list[n++] = d;
    while (l->name && strcmp(l->name, name) != 0)
        l++;
    tile_kernel *out = tile_kernel_linked(k->dev, name, l->at, list, n, err);
    found f = {str_cstr(&k->a, str_of(name)), str_cstr(&k->a, str_of(defines)), out};
    if (out)
        vec_push(&k->a, &k->list, f);
    return out;
}
