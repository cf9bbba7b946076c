/* cuda_module.c: code from the back end to a loaded function.
 *
 *   PTX -> ptxas -> cubin -> driver        where there is a ptxas; cubins are kept on disk (cache.c)
 *   PTX -> driver                          else, or where ptxas doesn't know the chip, or the driver not ptxas's cubin
 *
 * An entry of the cache is what ptxas gave for one text: its key is the text, the chip, the options and which ptxas it
 * was (path, size, time). The driver's own compiler has a cache of its own.
 *
 * Before a function is handed out all that a launch could be refused for is looked at: threads, registers, shared
 * memory, and whether a multiprocessor (or a cluster) holds it at all. What is said names who takes how much.
 */
#include "runtime/cuda.h"

#include "runtime/cache.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define LOG_BYTES 16384

/* ---- ptxas ---- */

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

str cuda_find_ptxas(arena *a)
{
    const char *named = getenv("TILE_PTXAS"), *path = getenv("PATH");
    if (named)
        return str_dup(a, str_of(named));
    for (const char *p = path ? path : "", *end; *p; p = *end ? end + 1 : end) {
        end = strchr(p, ':');
        end = end ? end : p + strlen(p);
        str try = str_fmt(a, "%.*s/ptxas", (int)(end - p), p);
        if (end > p && is_program(str_cstr(a, try)))
            return try;
    }
    return is_program("/usr/local/cuda/bin/ptxas") ? S("/usr/local/cuda/bin/ptxas") : (str){0};
}

/* "  ... 12 bytes spill stores" -> 12 for "bytes spill stores"; -1 where the words are absent */
static int64_t number_before(str log, const char *words)
{
    size_t n = strlen(words);
    for (size_t i = 1; i + n <= log.n; i++) {
        if (memcmp(log.p + i, words, n) != 0 || log.p[i - 1] != ' ')
            continue;
        size_t j = i - 1;
        while (j && log.p[j - 1] >= '0' && log.p[j - 1] <= '9')
            j--;
        return strtoll(log.p + j, NULL, 10);
    }
    return -1;
}

static int64_t number_after(str log, const char *words)
{
    size_t n = strlen(words);
    for (size_t i = 0; i + n < log.n; i++)
        if (memcmp(log.p + i, words, n) == 0)
            return strtoll(log.p + i + n, NULL, 10);
    return -1;
}

static bool has_words(str s, const char *words)
{
    return s.n && memmem(s.p, s.n, words, strlen(words)) != NULL;
}

void cuda_read_log(arena *a, str log, cuda_binary *out)
{
    strbuf b;
    log = str_dup(a, log); /* ends in a NUL byte */
    int64_t stores = number_before(log, "bytes spill stores"), loads = number_before(log, "bytes spill loads");
    out->registers = (int32_t)number_after(log, "Used ");
    out->spill_bytes = stores < 0 || loads < 0 ? -1 : (int32_t)(stores > loads ? stores : loads);
    sb_init(&b, a);
    for (size_t i = 0, end; i < log.n; i = end + 1) {
        for (end = i; end < log.n && log.p[end] != '\n';)
            end++;
        str line = {log.p + i, end - i};
        if (!has_words(line, "warning") && !has_words(line, "(C75"))
            continue;
        sb_put(&b, line);
        sb_putc(&b, '\n');
    }
    out->notes = sb_str(&b);
}

/* runs the program with its output in the file `log`; its exit code, or -1 */
static int run_program(char *const argv[], const char *log)
{
    posix_spawn_file_actions_t io;
    pid_t pid;
    int status = 0;
    if (posix_spawn_file_actions_init(&io) != 0)
        return -1;
    bool ok = posix_spawn_file_actions_addopen(&io, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600) == 0 &&
              posix_spawn_file_actions_adddup2(&io, 1, 2) == 0 &&
              posix_spawn(&pid, argv[0], &io, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&io);
    if (!ok)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

typedef enum assembled { ASM_DONE, ASM_REFUSED, ASM_ABSENT } assembled;

/* in the folder dir */
static assembled run_ptxas(cuda_device *c, arena *a, const char *dir, str text, cuda_binary *out, str *log)
{
    str why, from = str_fmt(a, "%s/k.ptx", dir), to = str_fmt(a, "%s/k.cubin", dir), said = str_fmt(a, "%s/log", dir);
    char arch[32];
    snprintf(arch, sizeof arch, "-arch=%s", c->arch);
    char *argv[] = {str_cstr(a, c->ptxas), arch, "-v", "-lineinfo", str_cstr(a, from), "-o", str_cstr(a, to), NULL};
    if (!file_write(a, argv[4], text, &why))
        return ASM_ABSENT;
    int code = run_program(argv, str_cstr(a, said));
    if (code < 0 || !file_read(a, str_cstr(a, said), LOG_BYTES * 16, log, &why))
        return ASM_ABSENT;
    if (code != 0 || !file_read(a, argv[6], 0, &out->cubin, &why))
        return has_words(*log, "is not defined for option") || has_words(*log, "Unsupported .version") ? ASM_ABSENT
                                                                                                       : ASM_REFUSED;
    cuda_read_log(a, *log, out);
    return ASM_DONE;
}

static void remove_folder(arena *a, const char *dir)
{
    static const char *const files[] = {"k.ptx", "k.cubin", "log"};
    for (size_t i = 0; i < COUNTOF(files); i++)
        unlink(str_cstr(a, str_fmt(a, "%s/%s", dir, files[i])));
    rmdir(dir);
}

static assembled assemble(cuda_device *c, arena *a, str text, cuda_binary *out, str *log)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = str_cstr(a, str_fmt(a, "%s/tile.XXXXXX", tmp && *tmp ? tmp : "/tmp"));
    if (!mkdtemp(dir))
        return ASM_ABSENT;
    assembled got = run_ptxas(c, a, dir, text, out, log);
    remove_folder(a, dir);
    return got;
}

/* ---- the cache: [registers: i32] [spilled bytes: i32] [length of the notes: u32] [notes] [cubin] ---- */

static bool key_of(cuda_device *c, arena *a, str text, cache_key *k)
{
    struct stat st;
    if (stat(str_cstr(a, c->ptxas), &st) != 0)
        return false;
    str parts[] = {S("ptxas -v -lineinfo " TILE_VERSION), c->ptxas,
                   str_fmt(a, "%lld %lld.%ld", (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec),
                   str_of(c->arch), text};
    *k = cache_key_of(parts, COUNTOF(parts));
    return true;
}

static bool recall(cuda_device *c, arena *a, cache_key k, cuda_binary *out)
{
    str all;
    uint32_t n;
    if (!cache_get(a, c->cache, k, &all) || all.n < 12)
        return false;
    memcpy(&out->registers, all.p, 4);
    memcpy(&out->spill_bytes, all.p + 4, 4);
    memcpy(&n, all.p + 8, 4);
    if (n > all.n - 12)
        return false;
    out->notes = (str){all.p + 12, n};
    out->cubin = (str){all.p + 12 + n, all.n - 12 - n};
    return out->cubin.n > 0;
}

static void keep(cuda_device *c, arena *a, cache_key k, const cuda_binary *x)
{
    strbuf b;
    uint32_t n = (uint32_t)x->notes.n;
    sb_init(&b, a);
    sb_put(&b, (str){(const char *)&x->registers, 4});
    sb_put(&b, (str){(const char *)&x->spill_bytes, 4});
    sb_put(&b, (str){(const char *)&n, 4});
    sb_put(&b, x->notes);
    sb_put(&b, x->cubin);
    cache_put(a, c->cache, k, sb_str(&b));
}

/* ---- loading ---- */

static bool refuse(diags *d, const ir_func *f, const char *fmt, ...) STR_PRINTF(3, 4);
static bool refuse(diags *d, const ir_func *f, const char *fmt, ...)
{
    arena a;
    va_list ap;
    arena_init(&a, 0);
    va_start(ap, fmt);
    str s = str_vfmt(&a, fmt, ap);
    va_end(ap);
    diag_report(d, DIAG_ERROR, "device", (span){0}, "kernel '%.*s': %.*s", STR_ARG(f->name), STR_ARG(s));
    arena_fini(&a);
    return false;
}

static str cut(const char *z)
{
    str s = str_of(z);
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == ' '))
        s.n--;
    return s;
}

/* the driver's compiler; it is loaded with the module */
static bool load_text(cuda_device *c, arena *a, const ir_func *f, str text, cuda_binary *bin, cu_module *mod, diags *d)
{
    char *info = ARENA_ARRAY(a, char, LOG_BYTES), *errors = ARENA_ARRAY(a, char, LOG_BYTES), words[256];
    int options[] = {CU_JIT_INFO, CU_JIT_INFO_BYTES, CU_JIT_ERRORS, CU_JIT_ERRORS_BYTES, CU_JIT_VERBOSE, CU_JIT_LINES};
    void *values[] = {info,
                      (void *)(uintptr_t)LOG_BYTES,
                      errors,
                      (void *)(uintptr_t)LOG_BYTES,
                      (void *)(uintptr_t)1,
                      (void *)(uintptr_t)1};
    cu_result r = c->api.cuModuleLoadDataEx(mod, str_cstr(a, text), COUNTOF(options), options, values);
    info[LOG_BYTES - 1] = errors[LOG_BYTES - 1] = 0;
    if (r == 0) {
        cuda_read_log(a, str_of(info), bin);
        return true;
    }
    if (r == CU_PTX_VERSION)
        return refuse(d, f,
                      "the driver (CUDA %d.%d) is too old for this code (%s); a newer driver or a ptxas is needed",
                      c->version / 1000, c->version % 1000 / 10, cuda_words(&c->api, r, words, sizeof words));
    if (r == CU_NO_JIT)
        return refuse(d, f, "the driver's compiler is not installed (%s); install it, or a ptxas",
                      cuda_words(&c->api, r, words, sizeof words));
    tile_error err = {0};
    cuda_ok(c, r, "cuModuleLoadDataEx", &err);
    return refuse(d, f, "the driver does not take its code: %s%s%.*s", err.text, *errors ? "\n" : "",
                  STR_ARG(cut(errors)));
}

static bool load_module(cuda_device *c, arena *a, const ir_func *f, str text, cuda_binary *bin, cu_module *mod,
                        diags *d)
{
    cache_key k;
    str log = {0};
    bool keyed = c->ptxas.n && key_of(c, a, text, &k);
    if (keyed && !recall(c, a, k, bin)) {
        assembled got = assemble(c, a, text, bin, &log);
        if (got == ASM_REFUSED)
            return refuse(d, f, "ptxas does not take its code:\n%.*s", STR_ARG(cut(str_cstr(a, log))));
        if (got == ASM_DONE)
            keep(c, a, k, bin);
        else
            keyed = false;
    }
    if (keyed) {
        cu_result r = c->api.cuModuleLoadDataEx(mod, bin->cubin.p, 0, NULL, NULL);
        tile_error err = {0};
        if (r == 0)
            return true;
        if (r != CU_INVALID_IMAGE && r != CU_NO_BINARY && r != CU_INVALID_PTX && r != CU_PTX_VERSION) {
            cuda_ok(c, r, "cuModuleLoadDataEx", &err);
            return refuse(d, f, "%s", err.text);
        }
        *bin = (cuda_binary){0};
    }
    return load_text(c, a, f, text, bin, mod, d);
}

static int attribute(cuda_device *c, cu_function fn, int which)
{
    int x = 0;
    return c->api.cuFuncGetAttribute(&x, which, fn) == 0 ? x : 0;
}

/* who takes how much, against what the device has */
static bool check_room(cuda_device *c, const ir_func *f, struct cuda_kernel *k, diags *d)
{
    tile_kernel_stats *s = &k->stats;
    int64_t fixed = attribute(c, k->fn, CU_FN_SHARED), shared = k->code.shared_bytes + fixed;
    s->registers = attribute(c, k->fn, CU_FN_REGS);
    s->local_bytes = attribute(c, k->fn, CU_FN_LOCAL);
    s->threads = k->code.threads;
    s->cluster = k->code.cluster > 1 ? k->code.cluster : 1;
    s->shared_bytes = shared;
    if (s->threads < 1 || s->threads > c->max_threads)
        return refuse(d, f, "%d threads a block, the device takes %d at most", s->threads, c->max_threads);
    if (shared > c->shared_per_block && fixed)
        return refuse(d, f,
                      "too much shared memory: %lld bytes a block (%lld for its tiles and channels, %lld fixed), the "
                      "device has %lld",
                      (long long)shared, (long long)k->code.shared_bytes, (long long)fixed,
                      (long long)c->shared_per_block);
    if (shared > c->shared_per_block)
        return refuse(d, f,
                      "too much shared memory: %lld bytes a block for its tiles and channels, the device has %lld",
                      (long long)shared, (long long)c->shared_per_block);
    int64_t registers = (int64_t)((s->registers + 7) / 8 * 8) * ((s->threads + 31) / 32 * 32);
    if (registers > c->regs_per_block)
        return refuse(d, f, "too many registers: %d a thread, %d threads a block: %lld, the device has %lld a block",
                      s->registers, s->threads, (long long)registers, (long long)c->regs_per_block);
    return true;
}

static bool find_resident(cuda_device *c, const ir_func *f, struct cuda_kernel *k, diags *d)
{
    tile_kernel_stats *s = &k->stats;
    tile_error err = {0};
    int blocks = 0, clusters = 0;
    cu_attribute at = {.id = CU_LAUNCH_CLUSTER, .value.cluster = {(unsigned)s->cluster, 1, 1}};
    cu_config cf = {.grid = {(unsigned)s->cluster, 1, 1},
                    .block = {(unsigned)s->threads, 1, 1},
                    .shared = (unsigned)k->code.shared_bytes,
                    .attributes = &at,
                    .nattributes = 1};
    if (!cuda_ok(c,
                 c->api.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, k->fn, s->threads,
                                                                    (size_t)k->code.shared_bytes),
                 "cuOccupancyMaxActiveBlocksPerMultiprocessor", &err) ||
        (s->cluster > 1 &&
         !cuda_ok(c, c->api.cuOccupancyMaxActiveClusters(&clusters, k->fn, &cf), "cuOccupancyMaxActiveClusters", &err)))
        return refuse(d, f, "%s", err.text);
    s->blocks_per_multiprocessor = blocks;
    k->resident = s->cluster > 1 ? clusters : (int64_t)blocks * c->multiprocessors;
    if (blocks < 1 || k->resident < 1)
        return refuse(d, f,
                      "the device can't hold one %s of it: %d threads, %d registers a thread, %lld bytes of shared "
                      "memory a block%s",
                      s->cluster > 1 ? "cluster" : "block", s->threads, s->registers, (long long)s->shared_bytes,
                      s->cluster > 1 ? ", all of a cluster at once" : "");
    return true;
}

static bool set_limits(cuda_device *c, const ir_func *f, struct cuda_kernel *k, diags *d)
{
    tile_error err = {0};
    if ((k->code.shared_bytes &&
         !cuda_ok(c, c->api.cuFuncSetAttribute(k->fn, CU_FN_MAX_DYNAMIC, (int)k->code.shared_bytes),
                  "cuFuncSetAttribute", &err)) ||
        (k->code.cluster > 8 &&
         !cuda_ok(c, c->api.cuFuncSetAttribute(k->fn, CU_FN_BIG_CLUSTER, 1), "cuFuncSetAttribute", &err)))
        return refuse(d, f, "%s", err.text);
    return true;
}

static bool get_function(cuda_device *c, const ir_func *f, struct cuda_kernel *k, str symbol, diags *d)
{
    tile_error err = {0};
    char *name = str_cstr(&k->a, symbol);
    return cuda_ok(c, c->api.cuModuleGetFunction(&k->fn, k->mod, name), name, &err) || refuse(d, f, "%s", err.text);
}

/* where each map's tensor stands among the slots; room for maps and for the pointers of a launch */
static void plan_arguments(const ir_func *f, struct cuda_kernel *k, const gpu_code *code)
{
    uint32_t n = code->nmaps;
    k->map_slot = ARENA_ARRAY(&k->a, uint32_t, n + 1u);
    k->map_rank = ARENA_ARRAY(&k->a, int8_t, n + 1u);
    k->maps = ARENA_ARRAY(&k->a, cuda_map, n * CUDA_MAP_SLOTS + 1u);
    k->params = ARENA_ARRAY(&k->a, void *, code->nslots + n + 1u);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t p = (uint32_t)code->maps[i].param;
        k->map_slot[i] = abi_param_first(f, p);
        k->map_rank[i] = (int8_t)ir_type_of(f->m, ir_vtype(f, ir_param_of(f, f->body, p)))->rank;
    }
}

struct cuda_kernel *cuda_load(cuda_device *c, const ir_func *f, const gpu_code *code, diags *d)
{
    struct cuda_kernel *k = calloc(1, sizeof *k);
    arena scratch;
    cuda_binary bin = {0};
    if (!k) {
        refuse(d, f, "no memory");
        return NULL;
    }
    arena_init(&k->a, 0);
    arena_init(&scratch, 0);
    k->code = *code;
    k->code.text = (str){0};
    k->code.maps = arena_copy(&k->a, code->maps, code->nmaps * sizeof *code->maps, _Alignof(gpu_map));
    k->name = str_dup(&k->a, f->name);
    plan_arguments(f, k, code);
    bool ok = load_module(c, &scratch, f, code->text, &bin, &k->mod, d) && get_function(c, f, k, code->symbol, d) &&
              check_room(c, f, k, d) && set_limits(c, f, k, d) && find_resident(c, f, k, d);
    k->stats.spill_bytes = bin.spill_bytes;
    k->stats.notes = str_cstr(&k->a, bin.notes);
    arena_fini(&scratch);
    if (ok)
        return k;
    cuda_unload(c, k);
    return NULL;
}

void cuda_unload(cuda_device *c, struct cuda_kernel *k)
{
    if (k->mod)
        c->api.cuModuleUnload(k->mod);
    arena_fini(&k->a);
    free(k);
}
