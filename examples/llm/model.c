/* model.c: the way into a model on disk: which format a path holds, maps, faults, and the questions that are asked of
 * an open model.
 *
 * A file is mapped in whole once its length is known; readers check every offset against that length before they follow
 * it, so a lying header reads nothing outside. (A file that is cut short while it is in use ends the process, as every
 * mapping does.)
 */
#include "examples/llm/model_load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NAME 255

static bool vfault(loader *l, str head, const char *fmt, va_list ap)
{
    if (l->err) {
        int n = snprintf(l->err->text, sizeof l->err->text, "%.*s", STR_ARG(head));
        l->err->code = TILE_E_ARGUMENT;
        if (n >= 0 && (size_t)n < sizeof l->err->text)
            (void)vsnprintf(l->err->text + n, sizeof l->err->text - (size_t)n, fmt, ap);
    }
    return false;
}

bool load_fault(loader *l, const file_map *f, uint64_t at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfault(l, str_fmt(l->a, "%.*s: byte %llu: ", STR_ARG(f->path), (unsigned long long)at), fmt, ap);
    va_end(ap);
    return false;
}

bool load_fault_in(loader *l, str path, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfault(l, str_fmt(l->a, "%.*s: ", STR_ARG(path)), fmt, ap);
    va_end(ap);
    return false;
}

static const file_map *no_file(loader *l, str path, int why)
{
    load_fault_in(l, path, "cannot open: %s", strerror(why));
    if (l->err && why == ENOENT)
        l->err->code = TILE_E_MISSING;
    return NULL;
}

const file_map *load_map(loader *l, str path)
{
    file_map *f = ARENA_NEW(l->a, file_map);
    struct stat st;
    f->path = str_dup(l->a, path);
    vec_reserve(l->a, &l->m->maps, l->m->maps.n + 1); /* so that nothing fails between mmap and the push */
    int fd = open(f->path.p, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return no_file(l, path, errno);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        load_fault_in(l, path, "not a regular file");
        return NULL;
    }
    f->size = (uint64_t)st.st_size;
    void *p = f->size ? mmap(NULL, f->size, PROT_READ, MAP_SHARED, fd, 0) : NULL;
    int why = errno;
    close(fd);
    if (p == MAP_FAILED)
        return no_file(l, path, why);
    f->at = p;
    vec_push(l->a, &l->m->maps, f);
    return f;
}

bool load_weight(loader *l, const file_map *f, uint64_t at, weight w)
{
    model_file *m = l->m;
    if (w.name.n == 0 || w.name.n > MAX_NAME)
        return load_fault(l, f, at, "the name of a tensor has %zu bytes: expected 1 to %d", w.name.n, MAX_NAME);
    if (intern_find(m->names, w.name) != UINT32_MAX)
        return load_fault(l, f, at, "tensor '%.*s' is there twice", STR_ARG(w.name));
    intern_id(m->names, w.name);
    vec_push(l->a, &m->weights, w);
    m->bytes += w.bytes;
    return true;
}

bool load_size(loader *l, const file_map *f, uint64_t at, weight *w)
{
    const weight_layout *y = weight_layout_of(w->type);
    uint64_t n = 1;
    for (uint32_t i = 0; i < w->rank; i++)
        if (w->shape[i] < 1 || __builtin_mul_overflow(n, (uint64_t)w->shape[i], &n) || n > (uint64_t)INT64_MAX / 8)
            return load_fault(l, f, at, "tensor '%.*s': dimension %u is %lld, which can't be", STR_ARG(w->name), i,
                              (long long)w->shape[i]);
    if (w->shape[w->rank - 1] % y->block)
        return load_fault(l, f, at, "tensor '%.*s': rows of %lld elements are no whole blocks of %u, as %s has",
                          STR_ARG(w->name), (long long)w->shape[w->rank - 1], y->block, y->name);
    w->bytes = n / y->block * y->bytes;
    return true;
}

static int by_start(const void *a, const void *b)
{
    const data_span *x = a, *y = b;
    return x->beg != y->beg ? (x->beg > y->beg) - (x->beg < y->beg) : (x->end > y->end) - (x->end < y->end);
}

bool load_no_overlap(loader *l, const file_map *f, uint64_t data_start, span_list *spans)
{
    if (spans->n > 1)
        qsort(spans->at, spans->n, sizeof *spans->at, by_start);
    for (uint32_t i = 1; i < spans->n; i++)
        if (spans->at[i].beg < spans->at[i - 1].end)
            return load_fault(l, f, data_start + spans->at[i].beg, "tensors '%.*s' and '%.*s' overlap",
                              STR_ARG(spans->at[i - 1].name), STR_ARG(spans->at[i].name));
    return true;
}

/* the GGUF file of a folder: its only one, or the first of its only split set */
static bool gguf_in_folder(loader *l, str dir, str *found)
{
    DIR *d = opendir(str_cstr(l->a, dir));
    char name[MAX_NAME + 1] = "";
    int n = 0;
    if (!d)
        return load_fault_in(l, dir, "cannot open: %s", strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        str s = str_of(e->d_name);
        const char *of = strstr(e->d_name, "-of-");
        if (!str_ends(s, S(".gguf")) || s.n > MAX_NAME ||
            (of && of - e->d_name >= 6 && strncmp(of - 5, "00001", 5) != 0))
            continue;
        memcpy(name, s.p, s.n + 1);
        n++;
    }
    closedir(d);
    if (n > 1)
        return load_fault_in(l, dir, "%d GGUF files: name one of them", n);
    if (n == 0)
        return load_fault_in(l, dir, "no model in this folder: neither config.json with .safetensors nor a .gguf file");
    *found = path_join(l->a, dir, str_of(str_cstr(l->a, str_of(name))));
    return true;
}

static bool open_gguf(loader *l, str path)
{
    const file_map *f = load_map(l, path);
    return f && gguf_load(l, f);
}

static bool open_path(loader *l, str path)
{
    struct stat st;
    const char *z = str_cstr(l->a, path);
    if (stat(z, &st) != 0) {
        no_file(l, path, errno);
        return false;
    }
    if (S_ISDIR(st.st_mode)) {
        str found;
        if (file_exists(str_cstr(l->a, path_join(l->a, path, S("config.json")))))
            return safetensors_load(l, path, S(""));
        return gguf_in_folder(l, path, &found) && open_gguf(l, found);
    }
    if (str_ends(path, S(".safetensors")))
        return safetensors_load(l, path_dir(path), path);
    if (str_ends(path, S(".json")))
        return safetensors_load(l, path_dir(path), S(""));
    return open_gguf(l, path);
}

static void make_title(loader *l)
{
    model_file *m = l->m;
    static const char *arch[] = {[ARCH_LLAMA] = "llama", [ARCH_QWEN2] = "qwen2", [ARCH_QWEN3] = "qwen3"};
    uint64_t bytes[WT_COUNT] = {0}, elements = 0;
    uint32_t most = 0;
    for (uint32_t i = 0; i < m->weights.n; i++) {
        const weight *w = &m->weights.at[i];
        const weight_layout *y = weight_layout_of(w->type);
        elements += w->bytes / y->bytes * y->block;
        bytes[w->type] += w->bytes;
        if (bytes[w->type] > bytes[most])
            most = w->type;
    }
    double n = (double)elements;
    str s = n < 1e6   ? str_fmt(l->a, "%s %.0fK %s", arch[m->p.arch], n / 1e3, weight_layout_of(most)->name)
            : n < 1e9 ? str_fmt(l->a, "%s %.0fM %s", arch[m->p.arch], n / 1e6, weight_layout_of(most)->name)
                      : str_fmt(l->a, "%s %.1fB %s", arch[m->p.arch], n / 1e9, weight_layout_of(most)->name);
    m->title = str_cstr(l->a, s);
}

typedef struct attempt {
    loader *l;
    const char *path;
    bool random, done;
} attempt;

static void try_open(void *ctx)
{
    attempt *t = ctx;
    loader *l = t->l;
    l->m->names = intern_new(l->a);
    if (!(t->random ? random_load : open_path)(l, str_of(t->path)) || !model_check(l))
        return;
    make_title(l);
    t->done = true;
}

static model_file *make(const char *path, bool random, tile_error *err)
{
    model_file *m = calloc(1, sizeof *m);
    loader l = {.m = m, .a = m ? &m->a : NULL, .err = err};
    attempt t = {&l, path, random, false};
    if (m)
        arena_init(&m->a, 0);
    bool memory = m && arena_try(&m->a, try_open, &t);
    for (uint32_t i = 0; i < l.docs.n; i++)
        json_decref(l.docs.at[i]);
    if (memory && t.done)
        return m;
    if (!memory && err) {
        err->code = TILE_E_MEMORY;
        (void)snprintf(err->text, sizeof err->text, "%s: out of memory", path);
    }
    model_close(m);
    return NULL;
}

model_file *model_open(const char *path, tile_error *err)
{
    return make(path, false, err);
}

model_file *model_random(const char *name, tile_error *err)
{
    return make(name, true, err);
}

void model_close(model_file *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < m->maps.n; i++)
        if (m->maps.at[i]->size)
            munmap((void *)m->maps.at[i]->at, m->maps.at[i]->size);
    arena_fini(&m->a);
    free(m);
}

const model_params *model_get_params(const model_file *m)
{
    return &m->p;
}

const weight *model_weight(const model_file *m, const char *name)
{
    uint32_t id = intern_find(m->names, str_of(name));
    return id == UINT32_MAX || id == 0 ? NULL : &m->weights.at[id - 1];
}

uint32_t model_weight_count(const model_file *m)
{
    return m->weights.n;
}

const weight *model_weight_at(const model_file *m, uint32_t i)
{
    return &m->weights.at[i];
}

const struct vocab *model_vocab(const model_file *m)
{
    return &m->v;
}

str model_chat_template(const model_file *m)
{
    return m->chat_template;
}

uint64_t model_bytes(const model_file *m)
{
    return m->bytes;
}

const char *model_title(const model_file *m)
{
    return m->title;
}
