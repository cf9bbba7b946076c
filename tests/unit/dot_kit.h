/* dot_kit.h: the levels at which products are tested, and kernels of .tile source compiled for one and loaded here.
 * Code for AMX runs wherever AVX-512 is, with the instructions on tiles told by C (amx_kit.h), and by themselves where
 * there are such.
 */
#ifndef TILE_TESTS_DOT_KIT_H
#define TILE_TESTS_DOT_KIT_H

#include "backends/cpu/host.h"
#include "backends/cpu/image.h"
#include "runtime/compile.h"
#include "tests/unit/amx_kit.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

enum { DOT_ROOM = 16 << 20 }; /* of a thread's buffer */

/* what code is made for: a chip, or the features of one that has no name */
typedef struct dot_level {
    const char *name, *chip, *features;
    bool narrow; /* only of 8 and 16 bits are its blocks other than those of a level above */
    bool told;   /* AMX's instructions by functions in C */
} dot_level;

static const dot_level dot_levels[] = {
    {"this machine", "", "", false, false},
    {"x86-64-v2", "x86-64-v2", "", false, false},
    {"x86-64-v3", "x86-64-v3", "", false, false},
    {"x86-64-v3 and AVX-VNNI", "x86-64-v3", "+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi2,+avxvnni", true, false},
    {"x86-64-v4", "x86-64-v4", "", false, false},
    {"x86-64-v4-bf16", "x86-64-v4-bf16", "", true, false},
    {"x86-64-v4-amx, tiles in C", "x86-64-v4-amx", "", true, true},
    {"x86-64-v4-amx", "x86-64-v4-amx", "", true, false},
};

static inline bool dot_has_tiles(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 25 & 1) && cpu_may_use_tiles();
}

static inline bool dot_has_avx_vnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

/* can code for the level run here? */
static inline bool dot_runs(const dot_level *l)
{
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512cd");
    if (strncmp(l->chip, "x86-64-v3", 9) == 0)
        return v3 && (!*l->features || dot_has_avx_vnni());
    if (strcmp(l->chip, "x86-64-v4") == 0)
        return v4;
    bool bf16 = v4 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
    if (strcmp(l->chip, "x86-64-v4-bf16") == 0)
        return bf16;
    if (strcmp(l->chip, "x86-64-v4-amx") == 0)
        return bf16 && (l->told || dot_has_tiles());
    return true;
}

static inline const char *dot_messages(arena *a, diags *d)
{
    strbuf s;
    sb_init(&s, a);
    diags_render(d, DIAG_SHORT, &s);
    return str_cstr(a, sb_str(&s));
}

/* NULL and *why */
static inline abi_entry *dot_made(arena *a, const dot_level *l, str text, const char *name, cpu_image *im,
                                  const char **why)
{
    diags d;
    backend_target target;
    str object, err = {0};
    abi_entry *entry = NULL;
    diags_init(&d, a);
    const tile_backend *b = backend_find(S("cpu"), &target, a);
    target.chip = str_of(l->chip);
    target.features = str_of(l->features);
    target.opt_level = 3;
    compile_request q = {
        .path = S("dot.tile"), .text = text, .backend = b, .target = target, .stage = l->told ? STAGE_LLVM : STAGE_BIN};
    bool ok = compile(a, &d, &q, &object);
    if (ok && l->told)
        ok = b->emit_llvm(a, S("dot.ll"), amx_told(a, object), &q.target, STAGE_BIN, &object, &d);
    if (!ok) {
        *why = dot_messages(a, &d);
        return NULL;
    }
    if (!image_load(a, object, name, im, &entry, &err))
        *why = str_cstr(a, err);
    return entry;
}

#endif
