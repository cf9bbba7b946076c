/* tile_bench.c: tile-bench: figures as JSON lines on stdout, one a figure; with --table a table of them last.
 *
 *   tile-bench [--suite=norm,quant,gemm,latency]               on the CPU
 *   tile-bench --device=cuda:0 [--suite=gemm,attn,norm] [--peer=cublas,copy,torch,...] [--shape=M,N,K]...
 *   tile-bench --check --device=interp|cuda:0             every laid-out kernel of --kernels=DIR against float64
 *
 * Fields: work, shape, dtype, peer, us, tflops (on a CPU gflops) or gbs, and for ours `ratio`: its speed over that of
 * the peer `against`.
 */
#include "tools/tile_bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: tile-bench [options]\n"
    "  --device=DEV        cpu (default), cuda:0; with --check interp (default) too\n"
    "  --suite=LIST        of gemm,attn,norm (on a GPU) and norm,quant,gemm,latency (on the CPU)\n"
    "  --shape=N,N,...     instead of the suite's own: gemm M,N,K; attn B,H,S,D (BH,S,D with --check); norm M,N. "
    "Repeats\n"
    "  --dtype=f16|bf16    kernels of that type alone\n"
    "  --kernels=DIR       the folder of the kernels\n"
    "  --only=WORD         laid-out kernels whose names contain WORD\n"
    "  --peer=LIST         of openblas (on the CPU), cublas, copy, and what --peer-command offers: cudnn, torch, "
    "inductor, triton; none\n"
    "  --peer-command=CMD  a process that times other libraries (tools/bench_peer.py)\n"
    "  --json              JSON lines alone (default); --table: a table after them\n"
    "  --check             check the kernels instead of timing them\n"
    "  --small             small shapes alone; --exact: no margins about buffers; --timeout=S: of one check, 120;\n"
    "                      --together: all in this process, for a tool that watches it\n";

bool bench_has(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p && *p; p = *p ? p + 1 : p) {
        const char *end = strchr(p, ',');
        size_t len = end ? (size_t)(end - p) : strlen(p);
        if (len == n && memcmp(p, word, n) == 0)
            return true;
        p += len;
        if (!*p)
            break;
    }
    return false;
}

void bench_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("tile-bench: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

/* ---- figures ---- */

static void put_shape(const bench_shape *s, const char *between)
{
    for (int i = 0; i < s->rank; i++)
        printf("%s%lld", i ? between : "", (long long)s->d[i]);
}

void bench_emit(bench *b, const bench_figure *f)
{
    bench_figure kept = *f;
    kept.peer = str_cstr(&b->a, str_of(f->peer));
    printf("{\"work\": \"%s\", \"shape\": [", f->work);
    put_shape(&f->shape, ", ");
    printf("], \"dtype\": \"%s\", \"peer\": \"%s\", \"us\": %.2f", f->dtype, f->peer, f->us);
    if (f->flops > 0)
        printf(", \"%cflops\": %.1f", b->host ? 'g' : 't', f->flops / f->us * (b->host ? 1e-3 : 1e-6));
    if (f->bytes > 0)
        printf(", \"gbs\": %.1f", f->bytes / f->us * 1e-3);
    if (f->best_us > 0)
        printf(", \"best_us\": %.2f", f->best_us);
    if (f->elements > 0)
        printf(", \"gelem_s\": %.2f", f->elements / f->us * 1e-3);
    if (f->ratio > 0)
        printf(", \"ratio\": %.3f, \"against\": \"%s\"", f->ratio, f->against);
    printf("}\n");
    fflush(stdout);
    vec_push(&b->a, &b->figures, kept);
}

static void put_table(const bench *b)
{
    for (uint32_t i = 0; i < b->figures.n; i++) {
        const bench_figure *f = &b->figures.at[i];
        if (f->ratio <= 0)
            continue;
        printf("%-8s ", f->work);
        int64_t at = 0;
        for (int k = 0; k < f->shape.rank; k++)
            at += printf("%s%lld", k ? "x" : "", (long long)f->shape.d[k]);
        printf("%*s %-22s %9.1f us %7.0f %s  %.3f of %s\n", (int)(at < 20 ? 20 - at : 0), "", f->peer, f->us,
               (f->flops > 0 ? f->flops : f->bytes) / f->us * (f->flops > 0 && !b->host ? 1e-6 : 1e-3),
               f->flops <= 0 ? "GB/s   "
               : b->host     ? "GFLOP/s"
                             : "TFLOP/s",
               f->ratio, f->against);
    }
}

/* ---- the command line ---- */

static bool parse_shape(bench *b, const char *text)
{
    bench_shape s = {{0}, 0};
    for (const char *p = text;; p++) {
        char *end;
        if (s.rank == BENCH_MAX_RANK)
            return false;
        s.d[s.rank] = strtoll(p, &end, 10);
        if (end == p || s.d[s.rank++] < 1)
            return false;
        p = end;
        if (*p == 0)
            break;
        if (*p != ',')
            return false;
    }
    vec_push(&b->a, &b->shapes, s);
    return true;
}

static bool parse_dtype(bench *b, const char *text)
{
    b->dtype = strcmp(text, "f16") == 0 || strcmp(text, "float16") == 0     ? "float16"
               : strcmp(text, "f32") == 0 || strcmp(text, "float32") == 0   ? "float32"
               : strcmp(text, "i8") == 0 || strcmp(text, "int8") == 0       ? "int8"
               : strcmp(text, "bf16") == 0 || strcmp(text, "bfloat16") == 0 ? "bfloat16"
                                                                            : NULL;
    return b->dtype != NULL;
}

static bool parse(bench *b, const char *arg)
{
    static const char *const names[] = {"--device", "--suite", "--kernels", "--only", "--peer", "--peer-command"};
    const char **into[] = {&b->device, &b->suites, &b->kernels, &b->only, &b->peers, &b->peer_command};
    const char *eq = strchr(arg, '=');
    for (size_t i = 0; eq && i < COUNTOF(names); i++)
        if ((size_t)(eq - arg) == strlen(names[i]) && strncmp(arg, names[i], strlen(names[i])) == 0) {
            *into[i] = eq + 1;
            return true;
        }
    if (strncmp(arg, "--shape=", 8) == 0)
        return parse_shape(b, arg + 8);
    if (strncmp(arg, "--dtype=", 8) == 0)
        return parse_dtype(b, arg + 8);
    if (strncmp(arg, "--timeout=", 10) == 0)
        return (b->timeout = atoi(arg + 10)) > 0;
    if (strcmp(arg, "--json") == 0)
        return true;
    bool *flag = strcmp(arg, "--check") == 0      ? &b->check
                 : strcmp(arg, "--small") == 0    ? &b->small
                 : strcmp(arg, "--exact") == 0    ? &b->exact
                 : strcmp(arg, "--together") == 0 ? &b->together
                 : strcmp(arg, "--table") == 0    ? &b->table
                                                  : NULL;
    if (flag)
        *flag = true;
    return flag != NULL;
}

typedef struct suite {
    const char *name;
    bool on_gpu;
    bool cold; /* opens the device itself, before anything else has */
    bool (*run)(bench *b);
} suite;

static const suite suites[] = {
    {.name = "latency", .cold = true, .run = bench_cpu_latency},
    {.name = "norm", .run = bench_cpu_norm},
    {.name = "quant", .run = bench_cpu_quant},
    {.name = "gemm", .run = bench_cpu_gemm},
    {.name = "gemm", .on_gpu = true, .run = bench_gpu_gemm},
    {.name = "attn", .on_gpu = true, .run = bench_gpu_attn},
    {.name = "norm", .on_gpu = true, .run = bench_gpu_norm},
};

/* every word of the list must be a suite of this device */
static bool known_suites(const bench *b)
{
    char word[32];
    for (const char *p = b->suites; *p; p += *p == ',') {
        size_t n = strcspn(p, ",");
        snprintf(word, sizeof word, "%.*s", (int)n, p);
        bool found = false;
        for (size_t i = 0; i < COUNTOF(suites); i++)
            found |= suites[i].on_gpu == !b->host && strcmp(suites[i].name, word) == 0;
        if (!found) {
            bench_say("no suite '%s' on device '%s'", word, b->device);
            return false;
        }
        p += n;
    }
    return true;
}

static int run_suites(bench *b)
{
    tile_error err;
    bool ok = true;
    for (size_t i = 0; i < COUNTOF(suites); i++) {
        const suite *s = &suites[i];
        if (s->on_gpu == b->host || !bench_has(b->suites, s->name))
            continue;
        if (!s->cold && !b->dev && !(b->dev = tile_device_open(b->device, &err))) {
            bench_say("%s", err.text);
            return 2;
        }
        ok &= s->run(b);
    }
    if (b->table)
        put_table(b);
    remote_close(b->remote);
    pool_free(b->threads);
    tile_device_close(b->dev);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    bench b = {.timeout = 120};
    arena_init(&b.a, 0);
    for (int i = 1; i < argc; i++)
        if (!parse(&b, argv[i])) {
            fputs(usage, stderr);
            return 2;
        }
    b.device = b.device ? b.device : b.check ? "interp" : "cpu";
    b.host = strncmp(b.device, "cuda", 4) != 0;
    b.small |= b.check && b.host;
    b.suites = b.suites ? b.suites : b.host ? "norm,quant,gemm,latency" : "gemm,attn,norm";
    b.peers = b.peers ? b.peers : b.host ? "openblas" : "cublas,copy,cudnn,torch";
    b.kernels = b.kernels ? b.kernels : b.check || !b.host ? "tests/lower/nvptx/hand" : "kernels";
    int code = b.check ? bench_check(&b) : known_suites(&b) ? run_suites(&b) : 2;
    arena_fini(&b.a);
    return code;
}
