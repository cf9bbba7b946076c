/* cpu_code.c: machine code for the cpu device: from the disk cache, or from the CPU back end and then kept there.
 */
#include "runtime/runtime.h"

#include <string.h>

static int64_t cpu_resident(const tile_device *d, const ir_func *k, const rt_code *code)
{
    (void)code;
    return rt_cpu_holds(d, k->cooperative);
}

/* An entry of the disk cache: [sizeof(cpu_info)] [cpu_info] [object]. One that can't be loaded is as good as none. */
static bool cpu_recall(tile_device *d, arena *a, const cache_key *key, rt_code *out)
{
    str entry, why;
    uint64_t size;
    cpu_info info;
    (void)d;
    if (!cache_get(a, cache_folder(a), *key, &entry) || entry.n < sizeof size + sizeof info)
        return false;
    memcpy(&size, entry.p, sizeof size);
    memcpy(&info, entry.p + sizeof size, sizeof info);
    str object = {entry.p + sizeof size + sizeof info, entry.n - sizeof size - sizeof info};
    return size == sizeof info && cpu_load(a, object, &info, &out->cpu, &why);
}

static void keep(arena *a, const cache_key *key, str object, const cpu_info *info)
{
    strbuf b;
    uint64_t size = sizeof *info;
    str folder = cache_folder(a);
    if (!key || !folder.n)
        return;
    sb_init(&b, a);
    sb_put(&b, (str){(const char *)&size, sizeof size});
    sb_put(&b, (str){(const char *)info, sizeof *info});
    sb_put(&b, object);
    cache_put(a, folder, *key, sb_str(&b));
}

static bool cpu_build(tile_device *d, arena *a, const ir_module *m, const ir_func *k, const cache_key *key,
                      rt_code *out, diags *ds)
{
    str object, why;
    cpu_info info;
    if (!cpu_object(a, m, k, d->target.opt_level, &object, &info, ds))
        return false;
    keep(a, key, object, &info);
    if (cpu_load(a, object, &info, &out->cpu, &why))
        return true;
    diag_report(ds, DIAG_ERROR, "jit", (span){0}, "kernel '%.*s' can't be loaded: %.*s", STR_ARG(k->name),
                STR_ARG(why));
    return false;
}

static void cpu_drop(tile_device *d, rt_code *c)
{
    (void)d;
    cpu_kernel_free(&c->cpu);
}

const rt_driver rt_driver_cpu = {
    .name = "cpu",
    .doc = "this machine's cores",
    .target = "cpu",
    .lazy = true,
    .threaded = true,
    .hold = rt_cpu_hold,
    .open = rt_cpu_open,
    .close = rt_cpu_close,
    .resident = cpu_resident,
    .recall = cpu_recall,
    .build = cpu_build,
    .drop = cpu_drop,
    .launch = rt_cpu_launch,
    .reserve = rt_cpu_reserve,
};
