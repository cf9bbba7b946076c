/* cuda.h: what the files of the CUDA device share. Private to runtime/device_cuda.c, runtime/cuda_*.c and their test.
 *
 *   cuda_api.c     the driver's library, its entry points, its errors in words
 *   cuda_module.c  code from the back end to a loaded function: ptxas or the driver's compiler, the cache on disk
 *   cuda_map.c     tensor maps, encoded at launch and kept
 *   device_cuda.c  the row of the device table: memory, streams, events, graphs, launches
 *
 * No header of CUDA is used: the few types and numbers of the driver's binary interface are declared here. Entry points
 * are asked for by name and version (cuGetProcAddress_v2), so each has the prototype that it had in version 12.0.
 *
 * Contexts. The device keeps its primary context, pushed and popped round each call (cuda_enter, cuda_leave), so that
 * threads that use CUDA by other means keep theirs. All of a cuda_device is used under the device's lock.
 */
#ifndef TILE_RUNTIME_CUDA_H
#define TILE_RUNTIME_CUDA_H

#include "runtime/runtime.h"

#define CUDA_VERSION_NEEDED 12000

/* ---- the driver's own types and numbers ---- */

typedef int cu_result;
typedef int cu_device;
typedef uint64_t cu_address;
typedef void *cu_context;
typedef void *cu_module;
typedef void *cu_function;
typedef void *cu_stream;
typedef void *cu_event;
typedef void *cu_graph;
typedef void *cu_graph_exec;

typedef struct cu_map {
    _Alignas(128) uint64_t opaque[16];
} cu_map;

typedef struct cu_attribute { /* of a launch */
    int id;
    int pad;
    union {
        char room[64];
        struct {
            unsigned x, y, z;
        } cluster;
        int on;
    } value;
} cu_attribute;

typedef struct cu_config { /* of a launch */
    unsigned grid[3], block[3], shared;
    cu_stream stream;
    cu_attribute *attributes;
    unsigned nattributes;
} cu_config;

enum cu_numbers {
    CU_OUT_OF_MEMORY = 2,
    CU_NO_DEVICE = 100,
    CU_INVALID_IMAGE = 200,
    CU_NO_BINARY = 209,
    CU_INVALID_PTX = 218,
    CU_NO_JIT = 221,
    CU_PTX_VERSION = 222,
    CU_NO_ROOM = 701, /* launch out of resources */

    CU_DEV_THREADS_PER_BLOCK = 1,
    CU_DEV_GRID_Y = 6,
    CU_DEV_GRID_Z = 7,
    CU_DEV_REGS_PER_BLOCK = 12,
    CU_DEV_SM_COUNT = 16,
    CU_DEV_MAJOR = 75,
    CU_DEV_MINOR = 76,
    CU_DEV_SHARED_PER_BLOCK = 97,

    CU_FN_SHARED = 1, /* attributes of a function */
    CU_FN_LOCAL = 3,
    CU_FN_REGS = 4,
    CU_FN_MAX_DYNAMIC = 8,
    CU_FN_BIG_CLUSTER = 14,

    CU_JIT_INFO = 3, /* options of loading: buffers and their sizes */
    CU_JIT_INFO_BYTES = 4,
    CU_JIT_ERRORS = 5,
    CU_JIT_ERRORS_BYTES = 6,
    CU_JIT_VERBOSE = 12,
    CU_JIT_LINES = 13,

    CU_LAUNCH_COOPERATIVE = 2, /* attributes of a launch */
    CU_LAUNCH_CLUSTER = 4,
    CU_LAUNCH_DEPENDENT = 6,

    CU_CAPTURE_RELAXED = 2,
};

/* name and parameters of every entry point in use */
#define CUDA_ENTRIES(X)                                                                                                \
    X(cuInit, (unsigned))                                                                                              \
    X(cuDriverGetVersion, (int *))                                                                                     \
    X(cuGetErrorName, (cu_result, const char **))                                                                      \
    X(cuGetErrorString, (cu_result, const char **))                                                                    \
    X(cuDeviceGetCount, (int *))                                                                                       \
    X(cuDeviceGet, (cu_device *, int))                                                                                 \
    X(cuDeviceGetName, (char *, int, cu_device))                                                                       \
    X(cuDeviceGetAttribute, (int *, int, cu_device))                                                                   \
    X(cuDevicePrimaryCtxRetain, (cu_context *, cu_device))                                                             \
    X(cuDevicePrimaryCtxRelease, (cu_device))                                                                          \
    X(cuCtxPushCurrent, (cu_context))                                                                                  \
    X(cuCtxPopCurrent, (cu_context *))                                                                                 \
    X(cuCtxSynchronize, (void))                                                                                        \
    X(cuMemGetInfo, (size_t *, size_t *))                                                                              \
    X(cuMemAlloc, (cu_address *, size_t))                                                                              \
    X(cuMemFree, (cu_address))                                                                                         \
    X(cuMemcpyHtoD, (cu_address, const void *, size_t))                                                                \
    X(cuMemcpyDtoH, (void *, cu_address, size_t))                                                                      \
    X(cuMemcpyAsync, (cu_address, cu_address, size_t, cu_stream))                                                      \
    X(cuMemsetD8Async, (cu_address, unsigned char, size_t, cu_stream))                                                 \
    X(cuModuleLoadDataEx, (cu_module *, const void *, unsigned, int *, void **))                                       \
    X(cuModuleUnload, (cu_module))                                                                                     \
    X(cuModuleGetFunction, (cu_function *, cu_module, const char *))                                                   \
    X(cuFuncGetAttribute, (int *, int, cu_function))                                                                   \
    X(cuFuncSetAttribute, (cu_function, int, int))                                                                     \
    X(cuOccupancyMaxActiveBlocksPerMultiprocessor, (int *, cu_function, int, size_t))                                  \
    X(cuOccupancyMaxActiveClusters, (int *, cu_function, const cu_config *))                                           \
    X(cuLaunchKernelEx, (const cu_config *, cu_function, void **, void **))                                            \
    X(cuTensorMapEncodeTiled, (cu_map *, int, uint32_t, void *, const uint64_t *, const uint64_t *, const uint32_t *,  \
                               const uint32_t *, int, int, int, int))                                                  \
    X(cuStreamCreate, (cu_stream *, unsigned))                                                                         \
    X(cuStreamDestroy, (cu_stream))                                                                                    \
    X(cuStreamSynchronize, (cu_stream))                                                                                \
    X(cuStreamWaitEvent, (cu_stream, cu_event, unsigned))                                                              \
    X(cuStreamBeginCapture, (cu_stream, int))                                                                          \
    X(cuStreamEndCapture, (cu_stream, cu_graph *))                                                                     \
    X(cuGraphInstantiateWithFlags, (cu_graph_exec *, cu_graph, unsigned long long))                                    \
    X(cuGraphLaunch, (cu_graph_exec, cu_stream))                                                                       \
    X(cuGraphExecDestroy, (cu_graph_exec))                                                                             \
    X(cuGraphDestroy, (cu_graph))                                                                                      \
    X(cuEventCreate, (cu_event *, unsigned))                                                                           \
    X(cuEventDestroy, (cu_event))                                                                                      \
    X(cuEventRecord, (cu_event, cu_stream))                                                                            \
    X(cuEventSynchronize, (cu_event))                                                                                  \
    X(cuEventElapsedTime, (float *, cu_event, cu_event))

typedef struct cuda_api {
    void *lib;
#define ENTRY(name, params) cu_result(*name) params;
    CUDA_ENTRIES(ENTRY)
#undef ENTRY
} cuda_api;

/* ---- ours ---- */

typedef struct cuda_device {
    cuda_api api;
    cu_device dev;
    cu_context ctx;
    int version; /* of the driver: 12040 is 12.4 */
    char name[128];
    char arch[16];  /* the device's own, for ptxas: "sm_90a" */
    int capability; /* 90 = 9.0 */
    int multiprocessors;
    int max_threads, max_grid_y, max_grid_z;
    int64_t regs_per_block, shared_per_block;
    str ptxas; /* path; empty: the driver compiles */
    str cache; /* folder; empty: none */
    arena a;
    int captures; /* streams being captured */
    tile_code broken;
    char fault[1024];  /* of a broken device: what every further call says */
    char last[128];    /* kernel launched last */
    uint64_t launches; /* since all that was launched is known to be done */
    bool foreign;      /* some went onto a stream made elsewhere, which a copy to the host may not wait for */
} cuda_device;

#define CUDA_MAP_SLOTS 16 /* a power of two */

/* an encoded map, and what it was made from */
typedef struct cuda_map {
    cu_map map;
    uint64_t key[1 + 2 * TILE_MAX_RANK];
    bool used;
} cuda_map;

struct cuda_kernel {
    arena a; /* of all below */
    str name;
    cu_module mod;
    cu_function fn;
    gpu_code code;      /* the text dropped */
    uint32_t *map_slot; /* first slot of each map's tensor */
    int8_t *map_rank;   /* of the tensor: at least the map's own */
    cuda_map *maps;     /* CUDA_MAP_SLOTS for each map */
    void **params;
    tile_kernel_stats stats;
    int64_t resident; /* programs that the device holds at once */
};

/* a compiled text: the cubin, what ptxas said of it */
typedef struct cuda_binary {
    str cubin;
    str notes;                      /* warnings, a line each */
    int32_t registers, spill_bytes; /* -1: not known */
} cuda_binary;

/* cuda_api.c */
/* opens the driver's library (or the one that TILE_CUDA_LIBRARY names); false + *why */
bool cuda_api_open(cuda_api *p, arena *a, str *why);
void cuda_api_close(cuda_api *p);
/* true where r is success; else fills err: "what: the driver's words (its name)", and marks the device broken where the
 * error is one that stays */
bool cuda_ok(cuda_device *c, cu_result r, const char *what, tile_error *err);
/* false where the device is broken: err gets its fault */
bool cuda_usable(cuda_device *c, tile_error *err);
/* cuda_usable, and makes the context current; then cuda_leave must follow */
bool cuda_enter(cuda_device *c, tile_error *err);
void cuda_leave(cuda_device *c);
/* an error that stays */
bool cuda_stays(cu_result r);
/* the driver's name and words for r: "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected" */
const char *cuda_words(const cuda_api *p, cu_result r, char *buf, size_t n);

/* cuda_module.c: within cuda_enter. NULL and diagnostics */
struct cuda_kernel *cuda_load(cuda_device *c, const ir_func *f, const gpu_code *code, diags *d);
void cuda_unload(cuda_device *c, struct cuda_kernel *k);
/* the path of ptxas: TILE_PTXAS (empty: none), PATH, /usr/local/cuda/bin; empty where there is none */
str cuda_find_ptxas(arena *a);
/* registers, spilled bytes and warnings from the log of `ptxas -v` for one entry */
void cuda_read_log(arena *a, str log, cuda_binary *out);

/* cuda_map.c: the map of index i for a tensor at slots s; NULL + err */
const cu_map *cuda_map_for(cuda_device *c, struct cuda_kernel *k, uint32_t i, const uint64_t *s, tile_error *err);

/* device_cuda.c */
bool cuda_start(cuda_device *c, cu_stream stream, struct cuda_kernel *k, const uint64_t *args, bool cooperative,
                tile_error *err);

#endif
