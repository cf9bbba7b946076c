/* load.c: a file, what it imports, and kernels/std, as one unit.
 *
 * An import is looked for beside the importing file, then in the -I folders. Files are told apart by their real
 * path, so each is read once however it is reached, and cycles of imports end by themselves.
 */
#include "frontend/ast.h"
#include "frontend/diags.h"
#include "frontend/std.h"

#include <string.h>

enum { IMPORT_LIMIT = 64 << 20 };

typedef struct loader {
    ast_unit *u;
    const str *dirs;
    uint32_t ndirs;
    VEC(str) seen; /* real paths */
    ast_fn **fns;
    ast_const **consts;
} loader;

static void take_file(loader *l, uint32_t file, str path, str text);

static bool seen_before(loader *l, str real)
{
    for (uint32_t i = 0; i < l->seen.n; i++)
        if (str_eq(l->seen.at[i], real))
            return true;
    vec_push(l->u->a, &l->seen, str_dup(l->u->a, real));
    return false;
}

static void take_import(loader *l, str from, const ast_import *i)
{
    arena *a = l->u->a;
    str text, err, first_err = {0};
    for (uint32_t k = 0; k <= l->ndirs; k++) {
        str path = path_join(a, k ? l->dirs[k - 1] : path_dir(from), i->path);
        char *z = str_cstr(a, path);
        if (memchr(path.p, 0, path.n) || (k < l->ndirs && !file_exists(z)))
            continue;
        if (seen_before(l, path_real(a, path)))
            return;
        if (file_read(a, z, IMPORT_LIMIT, &text, &err)) {
            take_file(l, diags_add_file(l->u->d, path, text), path, text);
            return;
        }
        first_err = err;
    }
    if (!first_err.n)
        first_err = str_fmt(a, "cannot import this path");
    fe_report(l->u->d, D_IMPORT, i->path_at, STR_ARG(first_err));
}

static void take_file(loader *l, uint32_t file, str path, str text)
{
    ast_file f = {0};
    ast_parse(l->u->a, l->u->d, file, text, &f);
    *l->fns = f.fns;
    while (*l->fns)
        l->fns = &(*l->fns)->next;
    *l->consts = f.consts;
    while (*l->consts)
        l->consts = &(*l->consts)->next;
    for (const ast_import *i = f.imports; i; i = i->next)
        take_import(l, path, i);
}

static void take_std(loader *l)
{
    l->fns = &l->u->std_fns;
    l->consts = &l->u->std_consts;
    for (size_t i = 0; i < tile_std_count; i++) {
        str path = str_of(tile_std_files[i].path), text = {tile_std_files[i].text, tile_std_files[i].len};
        take_file(l, diags_add_file(l->u->d, path, text), path, text);
    }
    for (ast_fn *f = l->u->std_fns; f; f = f->next)
        f->is_std = true;
    for (ast_const *k = l->u->std_consts; k; k = k->next)
        k->is_std = true;
}

ast_unit *ast_load(arena *a, diags *d, str path, str text, const str *import_dirs, uint32_t nimport_dirs)
{
    ast_unit *u = ARENA_NEW(a, ast_unit);
    *u = (ast_unit){.a = a, .d = d, .path = path};
    loader l = {.u = u, .dirs = import_dirs, .ndirs = nimport_dirs, .fns = &u->fns, .consts = &u->consts};
    u->file = diags_add_file(d, path, text);
    seen_before(&l, path_real(a, path));
    take_file(&l, u->file, path, text);
    take_std(&l);
    ast_resolve(u);
    return u;
}
