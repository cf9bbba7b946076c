/* abi.h: how arguments reach a kernel, the same for every device that runs on the host's memory.
 *
 * args is an array of 64-bit slots: the grid's three extents, then each ir_param in order:
 *
 *   number    1 slot: the bit pattern in its type, zero-extended          pointer   1 slot: the address
 *   tensor    1 + 2 * rank slots: base address, sizes, strides (in elements)
 *
 * Scratch parameters stand there too, filled in by the runtime. A CPU entry is
 *
 *   void entry(const uint64_t *args, int64_t first, int64_t last, abi_thread *t)
 *
 * and runs the programs of linear id first <= id < last (x fastest), in ascending order.
 */
#ifndef TILE_COMPILER_ABI_H
#define TILE_COMPILER_ABI_H

#include "compiler/ir.h"

#define ABI_GRID_SLOTS 3

/* What a running kernel may ask of its host: printing, and reporting a fault. Called from any thread. */
typedef struct abi_host abi_host;
struct abi_host {
    /* one call a value: `n` elements of type dt, `data` packed; text is the op's */
    void (*print)(abi_host *h, const char *text, const int64_t pid[3], int dt, int64_t n, const void *data, int hex);
    /* the first fault is kept, `stopped` set; programs not yet started are skipped */
    void (*fault)(abi_host *h, const char *text, const char *file, int line, const int64_t pid[3]);
    volatile int stopped;
    /* memory that all programs of a launch share: `zeroed` bytes of zeros, then `bytes` more, aligned to 64; the first
     * call of a launch makes it, the others get the same. NULL where it can't be had. It is kept from launch to launch,
     * so only a launch that needs more than any before asks the system */
    void *(*shared)(abi_host *h, int64_t zeroed, int64_t bytes);
};

/* What a worker thread brings: room for tile buffers (aligned to 64), as much as the kernel asked for. */
typedef struct abi_thread {
    abi_host *host;
    void *buffer;
    int64_t buffer_bytes;
} abi_thread;

typedef void abi_entry(const uint64_t *args, int64_t first, int64_t last, abi_thread *t);

/* what the host function of a kernel may ask of the device */
typedef struct abi_device {
    int64_t resident;                                         /* programs held at once */
    int64_t (*stream_programs)(int64_t tiles, int64_t steps); /* NULL: tiles */
} abi_device;

/* abi.c */
uint32_t abi_param_slots(const ir_func *f, uint32_t param);
uint32_t abi_param_first(const ir_func *f, uint32_t param); /* grid slots included */
uint32_t abi_total_slots(const ir_func *f);

#endif
