/* compile.c: NVIDIA chips: a laid-out kernel to LLVM IR, PTX, or (where there is a ptxas) a cubin; and their row in the
 * table of back ends.
 */
#include "backends/nvptx/asm.h"

static const gpu_chip chips[] = {
#define CHIP(n, feat, shared, tried, wg, tma, mma, cp, cl, stm, sr, dep)                                               \
    {.name = #n,                                                                                                       \
     .cpu = #n,                                                                                                        \
     .features = feat,                                                                                                 \
     .lanes = 32,                                                                                                      \
     .shared_bytes = shared,                                                                                           \
     .registers = 65536,                                                                                               \
     .has_wgmma = wg,                                                                                                  \
     .has_tma = tma,                                                                                                   \
     .has_mma = mma,                                                                                                   \
     .has_cp_async = cp,                                                                                               \
     .has_cluster = cl,                                                                                                \
     .has_stmatrix = stm,                                                                                              \
     .has_depend = dep,                                                                                                \
     .has_set_regs = sr},
#include "backends/nvptx/chips.def"
#undef CHIP
};

static const char *const chip_names[] = {
#define CHIP(n, feat, shared, tried, wg, tma, mma, cp, cl, stm, sr, dep) #n,
#include "backends/nvptx/chips.def"
#undef CHIP
};

/* for `tilec targets` */
static const char *const chip_notes[] = {
#define CHIP(n, feat, shared, tried, wg, tma, mma, cp, cl, stm, sr, dep)                                               \
    (tried) ? NULL : "compiles; not tried on the chip",
#include "backends/nvptx/chips.def"
#undef CHIP
};

typedef struct job {
    arena *a;
    const ir_module *m;
    const ir_func *f;
    const gpu_chip *chip;
    backend_stage stage;
    gpu_code *code;
    diags *d;
    str out;
    cg c;
} job;

static const gpu_chip *find_chip(str name, diags *d)
{
    if (!name.n)
        name = S("sm_90a");
    for (size_t i = 0; i < COUNTOF(chips); i++)
        if (str_eq(name, str_of(chips[i].name)))
            return &chips[i];
    diag_report(d, DIAG_ERROR, "chip", (span){0}, "no NVIDIA chip named '%.*s'", STR_ARG(name));
    return NULL;
}

static bool finish(job *j)
{
    cg *c = &j->c;
    if (!cg_verify(c) || !cg_optimise(c))
        return false;
    if (j->stage == STAGE_LLVM) {
        j->out = cg_print(c, j->a);
        return true;
    }
    LLVMMemoryBufferRef b = NULL;
    if (!cg_emit(c, LLVMAssemblyFile, &b))
        return false;
    j->out = str_dup(j->a, (str){LLVMGetBufferStart(b), LLVMGetBufferSize(b)});
    LLVMDisposeMemoryBuffer(b);
    return true;
}

static bool build(void *ctx)
{
    job *j = ctx;
    if (!cg_open(&j->c, "tile"))
        return false;
    gpu_ops ops;
    nvptx_ops(j->chip, &ops);
    if (!gpu_kernel(&j->c, j->a, &ops, j->chip, j->m, j->f, j->code, j->d)) {
        if (!j->d->errors)
            cg_error(&j->c.errors, "no code");
        return false;
    }
    return finish(j);
}

static cg_target target_of(const gpu_chip *chip, int level)
{
    return (cg_target){.triple = "nvptx64-nvidia-cuda",
                       .cpu = chip->cpu,
                       .features = chip->features,
                       .opt_level = level < 1 ? 1 : level, /* at 0 wgmma is serialised */
                       .pipeline = "default<O3>",
                       .debug_lines = true};
}

/* a tile without a layout: the kernel comes from a stage before */
static bool is_laid_out(const ir_module *m, const ir_func *f)
{
    for (uint32_t v = 1; v < f->vals.n; v++) {
        const ir_type_info *t = ir_type_of(m, f->vals.at[v].type);
        if (t->kind == TK_TILE && !t->layout.id)
            return false;
    }
    return true;
}

static bool run(job *j, const backend_target *t)
{
    uint32_t before = j->d->errors;
    if (!is_laid_out(j->m, j->f)) {
        diag_report(j->d, DIAG_ERROR, "layout", (span){0},
                    "kernel '%.*s' has tiles without a layout: for NVIDIA chips this version compiles IR of stage laid "
                    "that was written with layouts",
                    STR_ARG(j->f->name));
        return false;
    }
    cg_target target = target_of(j->chip, t->opt_level);
    cg_init(&j->c, j->a, &target);
    bool ok = cg_protect(&j->c.errors, build, j);
    cg_pass_on(&j->c);
    if (!ok && j->d->errors == before)
        diag_report(j->d, DIAG_ERROR, "llvm", (span){0}, "LLVM can't compile kernel '%.*s': %.*s", STR_ARG(j->f->name),
                    STR_ARG(sb_str(&j->c.errors.text)));
    if (ok || !j->c.errors.n)
        cg_close(&j->c);
    return ok;
}

bool gpu_compile(arena *a, const ir_module *m, const ir_func *k, const backend_target *t, gpu_code *out, diags *d)
{
    *out = (gpu_code){.symbol = str_dup(a, k->name)};
    out->symbol = str_of(str_cstr(a, k->name));
    job j = {.a = a, .m = m, .f = k, .chip = find_chip(t->chip, d), .stage = STAGE_ASM, .code = out, .d = d};
    if (!j.chip || !run(&j, t))
        return false;
    out->text = j.out;
    return true;
}

static bool emit(arena *a, const ir_module *m, const ir_func *k, const backend_target *t, backend_stage stage, str *out,
                 diags *d)
{
    gpu_code code = {.symbol = str_of(str_cstr(a, k->name))};
    job j = {.a = a, .m = m, .f = k, .chip = find_chip(t->chip, d), .stage = stage, .code = &code, .d = d};
    if (!j.chip || !run(&j, t))
        return false;
    *out = j.out;
    return true;
}

static bool emit_llvm(arena *a, str path, str text, const backend_target *t, backend_stage stage, str *out, diags *d)
{
    const gpu_chip *chip = find_chip(t->chip, d);
    if (!chip)
        return false;
    cg_target target = target_of(chip, t->opt_level);
    return cg_emit_text(a, path, text, &target, stage, out, d);
}

extern const tile_backend nvptx_backend;
const tile_backend nvptx_backend = {
    .family = "cuda",
    .doc = "NVIDIA chips: PTX for the driver",
    .pipeline = pass_tile_pipeline,
    .npipeline = 0,
    .runs = true,
    .emit = emit,
    .emit_llvm = emit_llvm,
    .chips = chip_names,
    .nchips = COUNTOF(chip_names),
    .chip_notes = chip_notes,
};
