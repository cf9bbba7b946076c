/* aot_cpu.c: the levels that ahead-of-time objects hold code for, and which of them this machine can run.
 *
 * The processor is asked by CPUID, the system by XGETBV (does it keep the AVX, AVX-512 and AMX registers across a switch?)
 * and, for AMX, by arch_prctl, for Linux gives its state on demand only.
 */
#include "runtime/aot.h"

#include <stdlib.h>
#include <string.h>

const aot_level_info aot_levels[] = {
    {"x86-64-v4-bf16", AOT_V4 | AOT_BF16 | AOT_VNNI},
    {"x86-64-v4", AOT_V4},
    {"x86-64-v3", AOT_V3},
    {"x86-64-v2", AOT_V2},
    {NULL, 0},
};

#if defined __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

typedef struct regs {
    unsigned a, b, c, d;
} regs;

static regs leaf(unsigned n, unsigned sub)
{
    regs r = {0};
    if (!__get_cpuid_count(n, sub, &r.a, &r.b, &r.c, &r.d))
        r = (regs){0};
    return r;
}

static bool has_all(unsigned word, unsigned bits)
{
    return (word & bits) == bits;
}

static uint64_t system_state(regs one)
{
    unsigned lo = 0, hi = 0;
    if (!(one.c & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static uint64_t found(void)
{
    regs one = leaf(1, 0), seven = leaf(7, 0), more = leaf(7, 1), ext = leaf(0x80000001, 0);
    uint64_t state = system_state(one), out = 0;
    bool v2 = has_all(one.c, bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT | bit_CMPXCHG16B) &&
              has_all(ext.c, bit_LAHF_LM);
    bool v3 = v2 && (state & 6) == 6 && has_all(one.c, bit_AVX | bit_F16C | bit_FMA | bit_MOVBE) &&
              has_all(seven.b, bit_AVX2 | bit_BMI | bit_BMI2) && has_all(ext.c, bit_LZCNT);
    bool v4 = v3 && (state & 0xe6) == 0xe6 &&
              has_all(seven.b, bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL);
    out |= v2 ? AOT_V2 : 0;
    out |= v3 ? AOT_V3 : 0;
    out |= v4 ? AOT_V4 : 0;
    out |= v4 && more.a >> 5 & 1 ? AOT_BF16 : 0;
    out |= v4 && seven.c & bit_AVX512VNNI ? AOT_VNNI : 0;
    /* tile, bf16, int8; state bits 17 and 18 */
    if (v4 && (seven.d >> 22 & 1) && (seven.d >> 24 & 3) == 3 && (state >> 17 & 3) == 3 &&
        syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0)
        out |= AOT_AMX;
    return out;
}
#else
static uint64_t found(void)
{
    return 0;
}
#endif

uint64_t aot_features(void)
{
    const char *most = getenv("TILE_CPU");
    uint64_t have = found();
    for (int i = 0; most && aot_levels[i].name; i++) {
        uint64_t below = 0;
        if (strcmp(aot_levels[i].name, most) != 0)
            continue;
        for (int k = i; aot_levels[k].name; k++)
            below |= aot_levels[k].needs;
        return have & below;
    }
    return have;
}
