/* aot.c: the device "aot": a case's kernel as `tilec build` makes it, called through the header that came with it.
 *
 * For each case it is told what a user would give by -D: the case's own definitions, the types of its arguments, which
 * optionals are there, and sizes that are const parameters. `tilec build` makes an object of that one instance, at the
 * level of this host (or the one that TILE_CPU names, which the kernels compiled when they run obey too); the C
 * compiler makes a library of it and of a function that unpacks words into a call. The header is compiled with it, so
 * that its prototypes are held to the case's arguments. One libtile_rt serves all of them.
 *
 * Building takes half a second, so of each kernel the first `aot_most` instances are built; cases that any of these can
 * run are run, the others left out. Which kernels ran is kept: main.c asks whether one was left out altogether.
 */
#include "frontend/frontend.h"
#include "runtime/aot.h"
#include "tests/kernels/kit.h"

#include <dlfcn.h>
#include <unistd.h>

enum { MOST_DEFS = 40 };

typedef union word {
    int64_t i;
    double f;
    const void *p;
} word;

typedef int call_fn(const word *w, tile_error *e);

typedef struct built {
    struct built *next;
    const char *kernel, *file, *defs;
    call_fn *call; /* NULL: can't be built, said once */
} built;

typedef struct unit_of {
    struct unit_of *next;
    const char *file;
    fe_unit *unit;
} unit_of;

static arena mem;
static diags notes;
static built *all;
static unit_of *units;
static char dir[64];
static int made;

static fe_unit *unit_named(const char *file)
{
    str text, err;
    static const fe_options none = {0};
    for (unit_of *u = units; u; u = u->next)
        if (!strcmp(u->file, file))
            return u->unit;
    str path = str_fmt(&mem, "kernels/%s.tile", file);
    if (!file_read(&mem, str_cstr(&mem, path), 1 << 24, &text, &err))
        return NULL;
    unit_of *u = ARENA_NEW(&mem, unit_of);
    *u = (unit_of){units, str_cstr(&mem, str_of(file)), fe_load(&mem, &notes, path, text, &none)};
    units = u;
    return notes.errors ? NULL : u->unit;
}

/* ---- what a user would say by -D ---- */

typedef struct request {
    fe_binding bind[MOST_DEFS];
    uint32_t n;
    strbuf text; /* "-D T=f32 -D N=37" */
} request;

static void define(request *q, str name, const char *value)
{
    for (uint32_t i = 0; i < q->n; i++)
        if (str_eq(q->bind[i].name, name))
            return;
    str text = str_fmt(&mem, "%.*s=%s", STR_ARG(name), value);
    if (q->n == MOST_DEFS || !fe_parse_binding(&mem, text, &q->bind[q->n]))
        return;
    if (strcmp(value, "given") != 0) /* which is tilec's word */
        q->n++;
    sb_putf(&q->text, " -D '%.*s'", STR_ARG(text));
}

static bool crosses(const fe_param *p)
{
    return p->kind != FE_P_CONST && !p->scratch;
}

static void define_of(request *q, const fe_param *p, const kt_arg *a)
{
    if (p->optional)
        define(q, p->name, a->kind == KT_NONE ? "None" : "given");
    if (a->kind == KT_NONE)
        return;
    if (p->generic.n && a->kind <= KT_INOUT)
        define(q, p->generic, dtypes[a->dt].name);
    for (int d = 0; d < p->rank && p->kind == FE_P_TENSOR; d++)
        if (p->dims[d].kind == FE_DIM_CONST)
            define(q, p->dims[d].text, str_cstr(&mem, str_fmt(&mem, "%lld", (long long)a->sizes[d])));
}

static void define_all(request *q, const kt *t, const fe_kernel *k)
{
    int at = 0;
    q->n = 0;
    sb_init(&q->text, &mem);
    for (int i = 0; i < t->ndefs; i++) {
        const char *eq = strchr(t->defs[i], '=');
        define(q, (str){t->defs[i], (size_t)(eq - t->defs[i])}, eq + 1);
    }
    for (uint32_t i = 0; i < k->nparams; i++)
        if (crosses(&k->params[i]) && at < t->nargs)
            define_of(q, &k->params[i], &t->arg[at++]);
    for (uint32_t g = 0; g < k->ngenerics; g++)
        if (k->generics[g].n)
            define(q, k->generics[g].name, dtypes[k->generics[g].list[0]].name);
}

/* NULL: the front end doesn't take it */
static const fe_kernel *describe(const kt *t, request *q)
{
    fe_unit *u = unit_named(t->file);
    const fe_kernel *k = u ? fe_kernel_find(u, str_of(t->kernel)) : NULL;
    if (k)
        define_all(q, t, k);
    if (k && k->has_extra) { /* and the parameters that a chosen fn adds */
        const fe_choice c = {.bind = q->bind, .n = q->n};
        k = fe_kernel_under(u, k->name, &c);
        if (k)
            define_all(q, t, k);
    }
    return notes.errors ? NULL : k;
}

/* ---- building ---- */

static const char *host_level(void)
{
    uint64_t have = aot_features();
    for (const aot_level_info *l = aot_levels; l->name; l++)
        if (!(l->needs & ~have))
            return l->name;
    return "none";
}

static bool shell(const char *command, char *err, size_t nerr)
{
    FILE *f = popen(command, "r");
    size_t n = f ? fread(err, 1, nerr - 1, f) : 0;
    err[n] = 0;
    return f && pclose(f) == 0;
}

/* the folder, and one libtile_rt for all */
static bool start(char *err, size_t nerr)
{
    if (dir[0])
        return true;
    arena_init(&mem, 0);
    diags_init(&notes, &mem);
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/kernel-tests.XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return false;
    str c = str_fmt(&mem,
                    "cc -shared -o %s/libtile_rt.so -Wl,-soname,libtile_rt.so -Wl,--whole-archive %s/libtile_rt.a "
                    "-Wl,--no-whole-archive -lm -lpthread 2>&1",
                    dir, kts.build);
    return shell(str_cstr(&mem, c), err, nerr);
}

static bool write_shim(const fe_kernel *k, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    fprintf(f, "#include \"k%d.h\"\ntypedef union word { int64_t i; double f; const void *p; } word;\n", made);
    fprintf(f, "int call(const word *w, tile_error *e);\n");
    fprintf(f, "int call(const word *w, tile_error *e)\n{\n    return %.*s(0, 0", STR_ARG(k->name));
    int at = 0;
    for (uint32_t i = 0; i < k->nparams; i++) {
        const fe_param *p = &k->params[i];
        if (!crosses(p))
            continue;
        bool real = p->dt != DT_NONE && dt_is_any_float(p->dt);
        if (p->kind == FE_P_POINTER)
            fprintf(f, ", (void *)w[%d].p", at++);
        else if (p->kind == FE_P_TENSOR || p->optional)
            fprintf(f, ", w[%d].p", at++);
        else
            fprintf(f, ", w[%d].%c", at++, real ? 'f' : 'i');
    }
    fprintf(f, ", e);\n}\n");
    return fclose(f) == 0;
}

static call_fn *build(const kt *t, const fe_kernel *k, const char *defs, char *err, size_t nerr)
{
    made++;
    str shim = str_fmt(&mem, "%s/s%d.c", dir, made), lib = str_fmt(&mem, "%s/k%d.so", dir, made);
    str c = str_fmt(&mem,
                    "{ %s/tilec build kernels/%s.tile --kernel=%s --target=cpu:%s%s -o %s/k%d.o --header=%s/k%d.h && "
                    "cc -shared -fPIC -O1 -Wall -Werror -Iruntime -o %.*s %.*s %s/k%d.o -L%s -ltile_rt -Wl,-rpath,%s "
                    "-Wl,-Bsymbolic -lm; } 2>&1",
                    kts.build, t->file, t->kernel, host_level(), defs, dir, made, dir, made, STR_ARG(lib),
                    STR_ARG(shim), dir, made, dir, dir);
    if (!write_shim(k, str_cstr(&mem, shim)) || !shell(str_cstr(&mem, c), err, nerr))
        return NULL;
    void *so = dlopen(str_cstr(&mem, lib), RTLD_NOW | RTLD_LOCAL);
    call_fn *call = NULL;
    if (so)
        *(void **)&call = dlsym(so, "call");
    if (!call)
        snprintf(err, nerr, "%s", dlerror());
    return call;
}

/* NULL and no error: the kernel has had its share */
static call_fn *instance(const kt *t, char *err, size_t nerr)
{
    request q = {0};
    int had = 0;
    const fe_kernel *k = describe(t, &q);
    if (!k) {
        snprintf(err, nerr, "the front end does not take the case's definitions");
        return NULL;
    }
    const char *defs = sb_cstr(&q.text);
    for (built *b = all; b; b = b->next) {
        bool mine = !strcmp(b->kernel, t->kernel) && !strcmp(b->file, t->file);
        if (mine && !strcmp(b->defs, defs))
            return b->call;
        had += mine;
    }
    if (had >= kts.aot_most)
        return NULL;
    built *b = ARENA_NEW(&mem, built);
    *b = (built){all, str_cstr(&mem, str_of(t->kernel)), str_cstr(&mem, str_of(t->file)), defs,
                 build(t, k, defs, err, nerr)};
    all = b;
    return b->call;
}

/* ---- a launch ---- */

bool kt_aot_launch(kt *t, bool *left_out, char *err, size_t nerr)
{
    word w[KT_ARGS];
    tile_tensor tensors[KT_ARGS];
    tile_error e = {0};
    *left_out = false;
    if (!start(err, nerr))
        return false;
    call_fn *call = instance(t, err, nerr);
    if (!call) {
        *left_out = !err[0];
        return false;
    }
    for (int i = 0; i < t->nargs; i++) {
        const kt_arg *a = &t->arg[i];
        if (a->kind == KT_INT)
            w[i].i = a->i;
        else if (a->kind == KT_REAL)
            w[i].f = a->f;
        else if (a->kind == KT_NONE)
            w[i].p = NULL;
        else
            w[i].p = a->pointer ? a->data : (const void *)kt_tensor(a, &tensors[i]);
    }
    if (call(w, &e) == TILE_OK)
        return true;
    snprintf(err, nerr, "code %d: %s", (int)e.code, e.text);
    return false;
}

bool kt_aot_ran(const char *name)
{
    char other[96];
    for (const built *b = all; b; b = b->next) {
        snprintf(other, sizeof other, "%s/%s", b->file, b->kernel);
        if (b->call && !strcmp(name, other))
            return true;
    }
    return false;
}

void kt_aot_close(void)
{
    char command[96], err[200];
    if (!dir[0])
        return;
    printf("aot: %d instances built for %s\n", made, host_level());
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (!shell(command, err, sizeof err))
        printf("%s is left\n", dir);
    arena_fini(&mem);
}
