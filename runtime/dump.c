/* dump.c: TILE_DUMP=DIR: each kernel that is compiled leaves its text at every stage there, under names that tell the
 * kernel, the variant (a hash) and the stage. `tilec emit` starts from any of them.
 *
 *   KERNEL.HASH.tir        as lowered           KERNEL.HASH.ll          LLVM
 *   KERNEL.HASH.laid.tir   after the passes     KERNEL.HASH.s, .ptx     assembly
 *
 * While it is set nothing is taken from the disk cache. A folder that can't be written is no reason for a launch to
 * fail.
 */
#include "runtime/runtime.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool rt_dumps(void)
{
    const char *dir = getenv("TILE_DUMP");
    return dir && *dir;
}

static void put_file(arena *a, str stem, const char *suffix, str text)
{
    str why;
    (void)file_write(a, str_cstr(a, str_fmt(a, "%.*s.%s", STR_ARG(stem), suffix)), text, &why);
}

static void put_module(arena *a, str stem, const char *suffix, const ir_module *m)
{
    strbuf b;
    sb_init(&b, a);
    ir_print_module(m, &b);
    put_file(a, stem, suffix, sb_str(&b));
}

/* `tir` as lowered, NULL where the source was laid out already; `laid` after the passes, kernel k of it */
void rt_dump(arena *a, const tile_device *d, const tile_backend *be, const ir_module *tir, const ir_module *laid,
             const ir_func *k, cache_key key)
{
    static const struct {
        backend_stage stage;
        const char *cpu, *other;
    } stages[] = {{STAGE_LLVM, "ll", "ll"}, {STAGE_ASM, "s", "ptx"}};
    str dir = str_of(getenv("TILE_DUMP")), text;
    str stem = str_fmt(a, "%.*s/%.*s.%08llx", STR_ARG(dir), STR_ARG(k->name), (unsigned long long)key.a >> 32);
    (void)mkdir(str_cstr(a, dir), 0777);
    if (tir)
        put_module(a, stem, "tir", tir);
    put_module(a, stem, "laid.tir", laid);
    for (size_t i = 0; i < COUNTOF(stages); i++) {
        diags dropped;
        diags_init(&dropped, a);
        if (be->emit(a, laid, k, &d->target, stages[i].stage, &text, &dropped))
            put_file(a, stem, strcmp(be->family, "cpu") == 0 ? stages[i].cpu : stages[i].other, text);
    }
}
