/* host.c: what this machine's processor is, in a few words that go into cache keys: code made for it runs on another
 * one only where all of them agree. No LLVM here, so a process that finds its kernels on disk loads none.
 */
#include "backends/backend.h"
#include "backends/cpu/host.h"

#include <stdlib.h>

#if defined __x86_64__
#include <cpuid.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

/* XCR0: the registers that the system keeps; 0 where it doesn't say */
static uint64_t kept_state(void)
{
    unsigned a, b, c, d, lo = 0, hi = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) && c >> 27 & 1)
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* Linux gives the registers of AMX to processes that ask; asking again costs nothing but the call. */
bool cpu_may_use_tiles(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 1) && (kept_state() >> 17 & 3) == 3 &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* family and model, features, vector state that the system keeps, caches (they decide between streaming stores and
 * others); what differs from core to core is left out */
static void describe(strbuf *b)
{
    static const struct {
        unsigned leaf, sub, keep[4];
    } asked[] = {
        {0, 0, {0, ~0u, ~0u, ~0u}},   {1, 0, {~0u, 0, ~0u, ~0u}},        {7, 0, {~0u, ~0u, ~0u, ~0u}},
        {7, 1, {~0u, ~0u, ~0u, ~0u}}, {0x80000001, 0, {0, 0, ~0u, ~0u}}, {4, 2, {0, ~0u, ~0u, 0}},
        {4, 3, {0, ~0u, ~0u, 0}},     {0x8000001d, 2, {0, ~0u, ~0u, 0}}, {0x8000001d, 3, {0, ~0u, ~0u, 0}},
    };
    unsigned r[4];
    for (size_t i = 0; i < COUNTOF(asked); i++) {
        memset(r, 0, sizeof r);
        if (!__get_cpuid_count(asked[i].leaf, asked[i].sub, &r[0], &r[1], &r[2], &r[3]))
            continue;
        for (int k = 0; k < 4; k++)
            sb_putf(b, "%x ", r[k] & asked[i].keep[k]);
    }
    sb_putf(b, "%llx %d", (unsigned long long)kept_state(), cpu_may_use_tiles());
}
#else
#include <sys/utsname.h>

bool cpu_may_use_tiles(void)
{
    return false;
}

static void describe(strbuf *b)
{
    struct utsname u;
    sb_puts(b, uname(&u) == 0 ? u.machine : "unknown");
}
#endif

str cpu_host_key(arena *a)
{
    strbuf b;
    sb_init(&b, a);
    describe(&b);
    const char *most = getenv("TILE_CPU");
    if (most)
        sb_putf(&b, " %s", most);
    return sb_str(&b);
}
