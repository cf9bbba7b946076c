/* fake_cuda.h: what the fake of the CUDA driver (fake_cuda.c) keeps, for the test that looks into it. */
#ifndef TILE_TESTS_FAKE_CUDA_H
#define TILE_TESTS_FAKE_CUDA_H

#include <stddef.h>
#include <stdint.h>

#define FAKE_PARAMS 64
#define FAKE_LAUNCHES 16
#define FAKE_NAMES 64

typedef struct fake_launch {
    unsigned grid[3], block[3], shared;
    void *stream;
    unsigned cluster; /* 0: no such attribute */
    int dependent, cooperative;
    uint64_t slots[FAKE_PARAMS]; /* as many as fake.nslots says */
    uint64_t maps[4][16];        /* fake.nmaps of them */
    int aligned;                 /* every map stood at a multiple of 64 */
} fake_launch;

typedef struct fake_state {
    /* set by the test */
    int version, devices, major, minor;
    char missing[FAKE_NAMES]; /* an entry point that is not there */
    char fails[FAKE_NAMES];   /* an entry point that gives `error` */
    int error;
    int fails_after; /* calls of it that succeed before */
    int sticky;      /* set: every call but a few gives this, as a lost context does */
    size_t memory;   /* bytes of the device */
    int registers, local, fixed_shared, blocks, clusters;
    int refuse_cubin;                     /* what loading a cubin gives; 0: it is taken */
    uint32_t nslots, nmaps;               /* of the kernels that are launched */
    void (*kernel)(const fake_launch *l); /* run at each launch */
    /* kept by the fake */
    int depth;            /* contexts on the stack */
    int deepest, outside; /* calls that need a context and found none */
    int contexts, modules, streams, events, graphs, execs, blocks_of_memory;
    size_t used;
    int launches, encodes, replays, captured, syncs;
    int max_dynamic;                   /* as set on the function */
    int cubins, texts;                 /* modules loaded from each */
    char image[65536];                 /* the last text loaded */
    fake_launch launch[FAKE_LAUNCHES]; /* the newest at (launches - 1) % FAKE_LAUNCHES */
} fake_state;

#endif
