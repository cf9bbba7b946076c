/* object.c: a kernel as an object for this very machine or a named chip, with what a launch has to know of it; and the
 * machine's name.
 */
#include "backends/cpu/cpu.h"

#include <string.h>

/* programs a claim is worth: small ones are handed out in groups */
static int64_t grain_of(const plan *p, const ir_func *f)
{
    if (p->spins || f->cooperative)
        return 1;
    int64_t elems = 0;
    for (uint32_t i = 0; i < p->steps.n; i++) {
        const plan_step *s = &p->steps.at[i];
        if (s->kind == STEP_CTRL)
            return 1;
        int64_t n = s->kind == STEP_NEST ? 1 : 64;
        for (int d = 0; s->kind == STEP_NEST && d < s->rank; d++)
            n *= s->shape[d];
        elems += n;
    }
    int64_t grain = elems ? 16384 / elems : 64;
    return grain < 1 ? 1 : grain;
}

bool cpu_object_for(arena *a, const ir_func *k, const backend_target *t, str *object, cpu_info *info, diags *d)
{
    cpu_job *job = ARENA_NEW(a, cpu_job);
    *job = (cpu_job){.a = a, .f = k, .symbol = CPU_ENTRY, .stage = STAGE_BIN, .elsewhere = t->chip.n > 0};
    if (!cpu_target_of(a, t, &job->target, d))
        return false;
    job->target.debug_lines = false;
    if (!cpu_compile(job, d))
        return false;
    *object = job->out;
    *info = (cpu_info){.buffer_bytes = job->p->buffer_bytes, .ordered = job->p->spins, .grain = grain_of(job->p, k)};
    return true;
}

bool cpu_object(arena *a, const ir_module *m, const ir_func *k, int opt_level, str *object, cpu_info *info, diags *d)
{
    backend_target host = {.name = S("cpu"), .opt_level = opt_level};
    (void)m;
    return cpu_object_for(a, k, &host, object, info, d);
}

str cpu_host_describe(arena *a)
{
    const char *all = cg_host_features(a);
    strbuf b;
    sb_init(&b, a);
    sb_puts(&b, cg_host_cpu(a));
    static const char *const shown[] = {"avx2", "fma", "f16c", "avx512f", "avx512bf16", "avx512vnni", "amx-tile"};
    const char *sep = " (";
    for (size_t i = 0; i < COUNTOF(shown); i++) {
        str f = str_fmt(a, "+%s,", shown[i]);
        if (!strstr(all, f.p))
            continue;
        sb_putf(&b, "%s%s", sep, shown[i]);
        sep = ",";
    }
    sb_puts(&b, *sep == ',' ? ")" : "");
    return sb_str(&b);
}
