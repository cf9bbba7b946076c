/* reach.c: can this process read at an address? For devices that work in the host's memory: a pointer of another
 * device, or one that is no address at all, becomes an error that names the argument, where it would have ended the
 * process.
 *
 * The system is asked without a mapping being read by us: rt_sigprocmask copies its second argument before it looks at
 * the first, which is wrong on purpose, so it says EFAULT of an address that can't be read and EINVAL of one that can.
 * What was found readable is remembered by page, in a small table of the device, so a launch with the buffers of the
 * launch before asks nothing. A page that is unmapped afterwards is not noticed.
 */
#include "runtime/runtime.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_BITS 12

static bool ask(uint64_t addr)
{
    int kept = errno;
    long r = syscall(SYS_rt_sigprocmask, ~0, addr & ~(uint64_t)7, NULL, 8);
    bool readable = !(r == -1 && errno == EFAULT);
    errno = kept;
    return readable;
}

bool rt_readable(tile_device *d, uint64_t addr)
{
    uint64_t page = addr >> PAGE_BITS;
    _Atomic uint64_t *slot = &d->readable[page * 0x9e3779b97f4a7c15u >> 55]; /* buffers lie at powers of two */
    if (atomic_load_explicit(slot, memory_order_relaxed) == page)
        return page != 0;
    if (page == 0 || !ask(addr))
        return false;
    atomic_store_explicit(slot, page, memory_order_relaxed);
    return true;
}
