/* emit.c: the cpu row of the table of back ends: text and objects for this machine or a named chip.
 */
#include "backends/cpu/cpu.h"
#include "backends/cpu/host.h"

#include <stdlib.h>
#include <string.h>

static const pass_id pipeline[] = {PASS_inline,        PASS_specialise, PASS_fold,          PASS_combine,
                                   PASS_licm,          PASS_unroll,     PASS_lower_tensors, PASS_fold,
                                   PASS_split_offsets, PASS_narrow,     PASS_licm,          PASS_dce};

enum arch { X86, ARM };

static const struct {
    const char *name;
    enum arch arch;
    const char *llvm, *features;
} chips[] = {
#define CHIP(name, arch, llvm, features) {name, arch, llvm, features},
#include "backends/cpu/chips.def"
#undef CHIP
};

static const char *const chip_names[] = {
#define CHIP(name, arch, llvm, features) name,
#include "backends/cpu/chips.def"
#undef CHIP
};

static const char *const triples[] = {[X86] = "x86_64-unknown-linux-gnu", [ARM] = "aarch64-unknown-linux-gnu"};

static int find_chip(str name)
{
    for (size_t i = 0; i < COUNTOF(chips); i++)
        if (str_eq(name, str_of(chips[i].name)))
            return (int)i;
    return -1;
}

/* has a machine with these features all that the chip's code may use? */
static bool covers(const char *features, const char *chip)
{
    char word[32];
    while (*chip) {
        size_t n = strcspn(chip, ",");
        memcpy(word, chip, n);
        word[n] = 0;
        const char *at = strstr(features, word);
        while (at && at[n] && at[n] != ',')
            at = strstr(at + n, word);
        if (!at)
            return false;
        chip += n + (chip[n] == ',');
    }
    return true;
}

/* TILE_CPU: this machine, as if it were no more than that chip */
static int lesser_host(arena *a)
{
    const char *most = getenv("TILE_CPU");
    int chip = most ? find_chip(str_of(most)) : -1;
    return chip >= 0 && covers(cg_host_features(a), chips[chip].features) ? chip : -1;
}

/* what this machine has, less AMX where the system won't give its registers */
static const char *host_features(arena *a)
{
    char *all = cg_host_features(a);
    for (char *at = all; !cpu_may_use_tiles() && (at = strstr(at, "+amx-"));)
        *at = '-';
    return all;
}

bool cpu_target_of(arena *a, const backend_target *t, cg_target *out, diags *d)
{
    *out = (cg_target){.triple = cg_host_triple(a), .opt_level = t->opt_level, .debug_lines = true};
    int chip = t->chip.n ? find_chip(t->chip) : lesser_host(a);
    if (t->chip.n && chip < 0) {
        diag_report(d, DIAG_ERROR, "chip", (span){0}, "no CPU named '%.*s'", STR_ARG(t->chip));
        return false;
    }
    out->cpu = chip < 0 ? cg_host_cpu(a) : chips[chip].llvm;
    out->features = chip < 0 ? host_features(a) : chips[chip].features;
    if (t->features.n)
        out->features = str_cstr(a, t->features);
    if (t->chip.n)
        out->triple = triples[chips[chip].arch];
    return true;
}

static bool emit(arena *a, const ir_module *m, const ir_func *k, const backend_target *t, backend_stage stage, str *out,
                 diags *d)
{
    (void)m;
    cpu_job *j = ARENA_NEW(a, cpu_job);
    *j = (cpu_job){.a = a, .f = k, .symbol = str_cstr(a, k->name), .stage = stage};
    if (!cpu_target_of(a, t, &j->target, d) || !cpu_compile(j, d))
        return false;
    *out = j->out;
    return true;
}

static bool emit_llvm(arena *a, str path, str text, const backend_target *t, backend_stage stage, str *out, diags *d)
{
    cg_target target;
    return cpu_target_of(a, t, &target, d) && cg_emit_text(a, path, text, &target, stage, out, d);
}

extern const tile_backend cpu_backend;
const tile_backend cpu_backend = {
    .family = "cpu",
    .doc = "x86-64 and aarch64 processors: vector loops over a thread pool",
    .pipeline = pipeline,
    .npipeline = COUNTOF(pipeline),
    .runs = true,
    .emit = emit,
    .emit_llvm = emit_llvm,
    .chips = chip_names,
    .nchips = COUNTOF(chip_names),
};
