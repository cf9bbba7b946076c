/* aot_cpu.c: the levels that ahead-of-time objects hold code for, and which of them this machine can run.
 *
 * x86-64: the processor is asked by CPUID, the system by XGETBV (does it keep the AVX, AVX-512 and AMX registers across
 * a switch?) and, for AMX, by arch_prctl, for Linux gives its state to those only that ask. aarch64: Linux says in the
 * auxiliary vector what both have. What follows from the answers is told by functions of these alone, so a test gives
 * its own.
 */
#include "runtime/aot.h"

#include <stdlib.h>
#include <string.h>

const aot_level_info aot_levels[] = {
    {"x86-64-v4-amx", "x86-64", AOT_V4 | AOT_BF16 | AOT_VNNI | AOT_AMX},
    {"x86-64-v4-bf16", "x86-64", AOT_V4 | AOT_BF16 | AOT_VNNI},
    {"x86-64-v4", "x86-64", AOT_V4},
    {"x86-64-v3", "x86-64", AOT_V3},
    {"x86-64-v2", "x86-64", AOT_V2},
    {"aarch64-bf16", "aarch64", AOT_A64 | AOT_A64_DOT | AOT_A64_BF16},
    {"aarch64-dotprod", "aarch64", AOT_A64 | AOT_A64_DOT},
    {"aarch64", "aarch64", AOT_A64},
    {NULL, NULL, 0},
};

static bool has_all(uint64_t word, uint64_t bits)
{
    return (word & bits) == bits;
}

/* ---- x86-64: bits of the answers ---- */
enum {
    ONE_C_SSE3 = 1 << 0,
    ONE_C_SSSE3 = 1 << 9,
    ONE_C_FMA = 1 << 12,
    ONE_C_CMPXCHG16B = 1 << 13,
    ONE_C_SSE4_1 = 1 << 19,
    ONE_C_SSE4_2 = 1 << 20,
    ONE_C_MOVBE = 1 << 22,
    ONE_C_POPCNT = 1 << 23,
    ONE_C_OSXSAVE = 1 << 27,
    ONE_C_AVX = 1 << 28,
    ONE_C_F16C = 1 << 29,
    SEVEN_B_BMI = 1 << 3,
    SEVEN_B_AVX2 = 1 << 5,
    SEVEN_B_BMI2 = 1 << 8,
    SEVEN_B_AVX512F = 1 << 16,
    SEVEN_B_AVX512DQ = 1 << 17,
    SEVEN_B_AVX512CD = 1 << 28,
    SEVEN_B_AVX512BW = 1 << 30,
    SEVEN_C_VNNI = 1 << 11,
    SEVEN_D_AMX_BF16 = 1 << 22,
    SEVEN_D_AMX_TILE = 1 << 24,
    SEVEN_D_AMX_INT8 = 1 << 25,
    SEVEN1_A_BF16 = 1 << 5,
    EXT_C_LAHF = 1 << 0,
    EXT_C_LZCNT = 1 << 5,
    STATE_AVX = 6,
    STATE_AVX512 = 0xe6,
    STATE_AMX = 3 << 17
};
#define SEVEN_B_AVX512VL ((uint64_t)1 << 31)

uint64_t aot_x86_features(const aot_x86 *x, bool (*ask_tiles)(void))
{
    uint64_t out = 0, state = x->one_c & ONE_C_OSXSAVE ? x->state : 0;
    bool v2 =
        has_all(x->one_c, ONE_C_SSE3 | ONE_C_SSSE3 | ONE_C_SSE4_1 | ONE_C_SSE4_2 | ONE_C_POPCNT | ONE_C_CMPXCHG16B) &&
        has_all(x->ext_c, EXT_C_LAHF);
    bool v3 = v2 && has_all(state, STATE_AVX) && has_all(x->one_c, ONE_C_AVX | ONE_C_F16C | ONE_C_FMA | ONE_C_MOVBE) &&
              has_all(x->seven_b, SEVEN_B_AVX2 | SEVEN_B_BMI | SEVEN_B_BMI2) && has_all(x->ext_c, EXT_C_LZCNT);
    bool v4 = v3 && has_all(state, STATE_AVX512) &&
              has_all(x->seven_b,
                      SEVEN_B_AVX512VL | SEVEN_B_AVX512F | SEVEN_B_AVX512BW | SEVEN_B_AVX512CD | SEVEN_B_AVX512DQ);
    out |= v2 ? AOT_V2 : 0;
    out |= v3 ? AOT_V3 : 0;
    out |= v4 ? AOT_V4 : 0;
    out |= v4 && (x->seven1_a & SEVEN1_A_BF16) ? AOT_BF16 : 0;
    out |= v4 && (x->seven_c & SEVEN_C_VNNI) ? AOT_VNNI : 0;
    if (v4 && has_all(x->seven_d, SEVEN_D_AMX_BF16 | SEVEN_D_AMX_TILE | SEVEN_D_AMX_INT8) &&
        has_all(state, STATE_AMX) && ask_tiles())
        out |= AOT_AMX;
    return out;
}

/* ---- aarch64: AT_HWCAP and AT_HWCAP2 of Linux ---- */
enum {
    CAP_ASIMD = 1 << 1,
    CAP_ATOMICS = 1 << 8,
    CAP_FPHP = 1 << 9,
    CAP_ASIMDHP = 1 << 10,
    CAP_ASIMDDP = 1 << 20,
    CAP2_I8MM = 1 << 13,
    CAP2_BF16 = 1 << 14
};

uint64_t aot_arm_features(uint64_t cap, uint64_t cap2)
{
    bool v8 = has_all(cap, CAP_ASIMD), dot = v8 && has_all(cap, CAP_ATOMICS | CAP_FPHP | CAP_ASIMDHP | CAP_ASIMDDP);
    bool bf16 = dot && has_all(cap2, CAP2_I8MM | CAP2_BF16);
    return (v8 ? AOT_A64 : 0u) | (dot ? AOT_A64_DOT : 0u) | (bf16 ? AOT_A64_BF16 : 0u);
}

/* ---- this machine ---- */
#if defined __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static bool ask_tiles(void)
{
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static uint64_t found(void)
{
    unsigned r[4] = {0}, lo = 0, hi = 0;
    aot_x86 x = {0};
    if (__get_cpuid_count(1, 0, &r[0], &r[1], &r[2], &r[3]))
        x.one_c = r[2];
    if (__get_cpuid_count(7, 0, &r[0], &r[1], &r[2], &r[3])) {
        x.seven_b = r[1], x.seven_c = r[2], x.seven_d = r[3];
        if (r[0] >= 1 && __get_cpuid_count(7, 1, &r[0], &r[1], &r[2], &r[3]))
            x.seven1_a = r[0];
    }
    if (__get_cpuid_count(0x80000001, 0, &r[0], &r[1], &r[2], &r[3]))
        x.ext_c = r[2];
    if (x.one_c & ONE_C_OSXSAVE)
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    x.state = (uint64_t)hi << 32 | lo;
    return aot_x86_features(&x, ask_tiles);
}
#elif defined __aarch64__
#include <sys/auxv.h>

static uint64_t found(void)
{
    return aot_arm_features(getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
}
#else
static uint64_t found(void)
{
    return 0;
}
#endif

uint64_t aot_features_below(uint64_t have, const char *most)
{
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

uint64_t aot_features(void)
{
    return aot_features_below(found(), getenv("TILE_CPU"));
}
