/* emit.c: the cpu row of the table of back ends: text and objects for this machine or a named chip.
 */
#include "backends/cpu/cpu.h"

#include <string.h>

static const pass_id pipeline[] = {PASS_inline,        PASS_specialise, PASS_fold,          PASS_combine,
                                   PASS_licm,          PASS_unroll,     PASS_lower_tensors, PASS_fold,
                                   PASS_split_offsets, PASS_narrow,     PASS_licm,          PASS_dce};

/* named chips and what the code generator asks about; LLVM knows the rest by the name */
static const struct {
    const char *name, *features;
} chips[] = {
    {"x86-64-v2", "+sse4.2,+popcnt"},
    {"x86-64-v3", "+avx,+avx2,+fma,+f16c,+bmi2"},
    {"x86-64-v4", "+avx,+avx2,+fma,+f16c,+bmi2,+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd"},
    {"x86-64-v4-bf16",
     "+avx,+avx2,+fma,+f16c,+bmi2,+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+avx512vnni,+avx512bf16"},
    {"haswell", "+avx,+avx2,+fma,+f16c,+bmi2"},
    {"skylake-avx512", "+avx,+avx2,+fma,+f16c,+bmi2,+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd"},
    {"icelake-server", "+avx,+avx2,+fma,+f16c,+bmi2,+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+avx512vnni"},
    {"sapphirerapids", "+avx,+avx2,+fma,+f16c,+bmi2,+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+avx512vnni"},
    {"znver2", "+avx,+avx2,+fma,+f16c,+bmi2"},
    {"znver3", "+avx,+avx2,+fma,+f16c,+bmi2"},
    {"znver4", "+avx,+avx2,+fma,+f16c,+bmi2,+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+avx512vnni"},
    {"znver5", "+avx,+avx2,+fma,+f16c,+bmi2,+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+avx512vnni"},
};

static const char *const chip_names[] = {"x86-64-v2", "x86-64-v3",      "x86-64-v4",      "x86-64-v4-bf16",
                                         "haswell",   "skylake-avx512", "icelake-server", "sapphirerapids",
                                         "znver2",    "znver3",         "znver4",         "znver5"};
_Static_assert(COUNTOF(chips) == COUNTOF(chip_names), "a name a chip");

bool cpu_target_of(arena *a, const backend_target *t, cg_target *out, diags *d)
{
    *out = (cg_target){.triple = cg_host_triple(a), .opt_level = t->opt_level, .debug_lines = true};
    if (t->chip.n == 0) {
        out->cpu = cg_host_cpu(a);
        out->features = t->features.n ? str_cstr(a, t->features) : cg_host_features(a);
        return true;
    }
    for (size_t i = 0; i < COUNTOF(chips); i++)
        if (str_eq(t->chip, str_of(chips[i].name))) {
            out->cpu = str_eq(t->chip, S("x86-64-v4-bf16")) ? "x86-64-v4" : chips[i].name; /* LLVM has no such level */
            out->triple = "x86_64-unknown-linux-gnu";
            out->features = t->features.n ? str_cstr(a, t->features) : chips[i].features;
            return true;
        }
    diag_report(d, DIAG_ERROR, "chip", (span){0}, "no CPU named '%.*s'", STR_ARG(t->chip));
    return false;
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
    .doc = "x86-64 processors: vector loops over a thread pool",
    .pipeline = pipeline,
    .npipeline = COUNTOF(pipeline),
    .runs = true,
    .emit = emit,
    .emit_llvm = emit_llvm,
    .chips = chip_names,
    .nchips = COUNTOF(chip_names),
};
