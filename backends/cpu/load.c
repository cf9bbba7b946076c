/* load.c: kernels that run in this process: an object, fresh or from a disk, made executable (image.c). No LLVM here.
 */
#include "backends/backend.h"

bool cpu_load(arena *a, str object, const cpu_info *info, cpu_kernel *out, str *err)
{
    *out = (cpu_kernel){.info = *info};
    return image_load(a, object, CPU_ENTRY, &out->image, &out->entry, err);
}

void cpu_kernel_free(cpu_kernel *k)
{
    image_free(&k->image);
    k->entry = NULL;
}

bool cpu_make(arena *a, const ir_module *m, const ir_func *k, int opt_level, cpu_kernel *out, diags *d)
{
    str object, err;
    cpu_info info;
    if (!cpu_object(a, m, k, opt_level, &object, &info, d))
        return false;
    if (cpu_load(a, object, &info, out, &err))
        return true;
    diag_report(d, DIAG_ERROR, "jit", (span){0}, "kernel '%.*s' can't be loaded: %.*s", STR_ARG(k->name), STR_ARG(err));
    return false;
}
