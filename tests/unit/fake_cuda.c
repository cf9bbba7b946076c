/* fake_cuda.c: a CUDA driver for tests, as a library of its own: device memory is the host's, streams do at once what
 * is put on them (or note it, while they are captured), kernels are a function that the test gives. What is called, and
 * with what, stands in `fake`, where the test also says what should fail.
 *
 * The prototypes are those of the driver's own interface, with handles as plain pointers.
 */
#include "tests/unit/fake_cuda.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

fake_state fake;

typedef struct fake_stream {
    bool capturing;
    struct fake_graph *graph;
} fake_stream;

typedef struct fake_node { /* a launch, a copy or (from NULL) a fill */
    bool is_launch;
    fake_launch launch;
    void *to;
    const void *from;
    int byte;
    size_t n;
} fake_node;

typedef struct fake_graph {
    fake_node node[FAKE_LAUNCHES];
    int n;
} fake_graph;

typedef struct fake_event {
    int at;
} fake_event;

typedef struct fake_block { /* before each block of memory */
    size_t n;
    char pad[56];
} fake_block;

typedef struct attribute {
    int id, pad;
    union {
        char room[64];
        unsigned cluster[3];
        int on;
    } value;
} attribute;

typedef struct config {
    unsigned grid[3], block[3], shared;
    void *stream;
    attribute *attributes;
    unsigned nattributes;
} config;

static int ticks;

/* the test's wish for this entry point; needs: a context must be current */
static int enter(const char *name, bool needs)
{
    if (needs && fake.depth == 0)
        fake.outside++;
    if (fake.sticky && needs)
        return fake.sticky;
    if (strcmp(fake.fails, name) != 0)
        return 0;
    return fake.fails_after-- > 0 ? 0 : fake.error;
}

#define ENTER(needs)                                                                                                   \
    do {                                                                                                               \
        int wish = enter(__func__, needs);                                                                             \
        if (wish)                                                                                                      \
            return wish;                                                                                               \
    } while (0)

#define EXPORT __attribute__((visibility("default"))) int

EXPORT cuInit(unsigned flags);
EXPORT cuInit(unsigned flags)
{
    ENTER(false);
    return flags != 0;
}

EXPORT cuDriverGetVersion(int *v);
EXPORT cuDriverGetVersion(int *v)
{
    *v = fake.version;
    return 0;
}

static const struct {
    int number;
    const char *name, *text;
} errors[] = {
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {221, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND", "PTX JIT compiler library not found"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static const char *words_of(int r, bool name)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].number == r)
            return name ? errors[i].name : errors[i].text;
    return NULL;
}

EXPORT cuGetErrorName(int r, const char **out);
EXPORT cuGetErrorName(int r, const char **out)
{
    *out = words_of(r, true);
    return *out ? 0 : 1;
}

EXPORT cuGetErrorString(int r, const char **out);
EXPORT cuGetErrorString(int r, const char **out)
{
    *out = words_of(r, false);
    return *out ? 0 : 1;
}

EXPORT cuDeviceGetCount(int *n);
EXPORT cuDeviceGetCount(int *n)
{
    ENTER(false);
    *n = fake.devices;
    return 0;
}

EXPORT cuDeviceGet(int *d, int i);
EXPORT cuDeviceGet(int *d, int i)
{
    ENTER(false);
    *d = i;
    return i < fake.devices ? 0 : 101;
}

EXPORT cuDeviceGetName(char *p, int n, int d);
EXPORT cuDeviceGetName(char *p, int n, int d)
{
    (void)d;
    strncpy(p, "Fake H1", (size_t)n);
    return 0;
}

EXPORT cuDeviceGetAttribute(int *x, int which, int d);
EXPORT cuDeviceGetAttribute(int *x, int which, int d)
{
    (void)d;
    switch (which) {
    case 1:
        *x = 1024;
        return 0;
    case 6:
    case 7:
    case 12:
        *x = which == 12 ? 65536 : 65535;
        return 0;
    case 16:
        *x = 132;
        return 0;
    case 75:
    case 76:
        *x = which == 75 ? fake.major : fake.minor;
        return 0;
    case 97:
        *x = 232448;
        return 0;
    default:
        return 1;
    }
}

EXPORT cuDevicePrimaryCtxRetain(void **c, int d);
EXPORT cuDevicePrimaryCtxRetain(void **c, int d)
{
    ENTER(false);
    (void)d;
    fake.contexts++;
    *c = &fake;
    return 0;
}

EXPORT cuDevicePrimaryCtxRelease_v2(int d);
EXPORT cuDevicePrimaryCtxRelease_v2(int d)
{
    (void)d;
    fake.contexts--;
    return 0;
}

EXPORT cuCtxPushCurrent_v2(void *c);
EXPORT cuCtxPushCurrent_v2(void *c)
{
    fake.depth++;
    fake.deepest = fake.depth > fake.deepest ? fake.depth : fake.deepest;
    return c != &fake;
}

EXPORT cuCtxPopCurrent_v2(void **c);
EXPORT cuCtxPopCurrent_v2(void **c)
{
    *c = &fake;
    fake.depth--;
    return fake.depth < 0;
}

EXPORT cuCtxSynchronize(void);
EXPORT cuCtxSynchronize(void)
{
    ENTER(true);
    fake.syncs++;
    return 0;
}

EXPORT cuMemGetInfo_v2(size_t *left, size_t *all);
EXPORT cuMemGetInfo_v2(size_t *left, size_t *all)
{
    *left = fake.memory - fake.used;
    *all = fake.memory;
    return 0;
}

EXPORT cuMemAlloc_v2(uint64_t *p, size_t n);
EXPORT cuMemAlloc_v2(uint64_t *p, size_t n)
{
    ENTER(true);
    if (n > fake.memory - fake.used)
        return 2;
    fake_block *b = NULL;
    if (posix_memalign((void **)&b, 256, sizeof *b + 192 + n) != 0)
        return 2;
    b = (fake_block *)(void *)((char *)b + 192); /* the memory itself begins at a multiple of 256 */
    b->n = n;
    fake.used += n;
    fake.blocks_of_memory++;
    *p = (uint64_t)(uintptr_t)(b + 1);
    return 0;
}

EXPORT cuMemFree_v2(uint64_t p);
EXPORT cuMemFree_v2(uint64_t p)
{
    ENTER(true);
    fake_block *b = (fake_block *)(uintptr_t)p - 1;
    fake.used -= b->n;
    fake.blocks_of_memory--;
    free((char *)b - 192);
    return 0;
}

EXPORT cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t n);
EXPORT cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t n)
{
    ENTER(true);
    memcpy((void *)(uintptr_t)to, from, n);
    return 0;
}

EXPORT cuMemcpyDtoH_v2(void *to, uint64_t from, size_t n);
EXPORT cuMemcpyDtoH_v2(void *to, uint64_t from, size_t n)
{
    ENTER(true);
    memcpy(to, (const void *)(uintptr_t)from, n);
    return 0;
}

static void run_launch(const fake_launch *l)
{
    fake.launch[fake.launches++ % FAKE_LAUNCHES] = *l;
    if (fake.kernel)
        fake.kernel(l);
}

static void do_node(const fake_node *x)
{
    if (x->is_launch)
        run_launch(&x->launch);
    else if (x->from)
        memcpy(x->to, x->from, x->n);
    else
        memset(x->to, x->byte, x->n);
}

static int put(void *stream, const fake_node *x)
{
    fake_stream *s = stream;
    if (!s || !s->capturing) {
        do_node(x);
        return 0;
    }
    if (s->graph->n == FAKE_LAUNCHES)
        return 901;
    s->graph->node[s->graph->n++] = *x;
    fake.captured++;
    return 0;
}

EXPORT cuMemcpyAsync(uint64_t to, uint64_t from, size_t n, void *stream);
EXPORT cuMemcpyAsync(uint64_t to, uint64_t from, size_t n, void *stream)
{
    ENTER(true);
    fake_node x = {.to = (void *)(uintptr_t)to, .from = (const void *)(uintptr_t)from, .n = n};
    return put(stream, &x);
}

EXPORT cuMemsetD8Async(uint64_t to, unsigned char byte, size_t n, void *stream);
EXPORT cuMemsetD8Async(uint64_t to, unsigned char byte, size_t n, void *stream)
{
    ENTER(true);
    fake_node x = {.to = (void *)(uintptr_t)to, .byte = byte, .n = n};
    return put(stream, &x);
}

static void log_to(unsigned n, const int *options, void **values, int which, const char *text)
{
    for (unsigned i = 0; i < n; i++)
        if (options[i] == which)
            strcpy(values[i], text);
}

EXPORT cuModuleLoadDataEx(void **m, const void *image, unsigned n, int *options, void **values);
EXPORT cuModuleLoadDataEx(void **m, const void *image, unsigned n, int *options, void **values)
{
    const char *text = image;
    bool cubin = strncmp(text, "CUBIN", 5) == 0;
    log_to(n, options, values, 5,
           fake.error == 218 ? "ptxas application ptx input, line 7; error : Unknown symbol 'frob'\n" : "");
    ENTER(true);
    if (cubin && fake.refuse_cubin)
        return fake.refuse_cubin;
    log_to(n, options, values, 3,
           "ptxas info    : 4 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads\n"
           "ptxas info    : Used 40 registers, 400 bytes cmem[0]\n");
    strncpy(fake.image, text, sizeof fake.image - 1);
    *(cubin ? &fake.cubins : &fake.texts) += 1;
    fake.modules++;
    *m = malloc(1);
    return 0;
}

EXPORT cuModuleUnload(void *m);
EXPORT cuModuleUnload(void *m)
{
    fake.modules--;
    free(m);
    return 0;
}

EXPORT cuModuleGetFunction(void **f, void *m, const char *name);
EXPORT cuModuleGetFunction(void **f, void *m, const char *name)
{
    ENTER(true);
    (void)name;
    *f = m;
    return 0;
}

EXPORT cuFuncGetAttribute(int *x, int which, void *f);
EXPORT cuFuncGetAttribute(int *x, int which, void *f)
{
    ENTER(true);
    (void)f;
    *x = which == 1 ? fake.fixed_shared : which == 3 ? fake.local : which == 4 ? fake.registers : 0;
    return 0;
}

EXPORT cuFuncSetAttribute(void *f, int which, int x);
EXPORT cuFuncSetAttribute(void *f, int which, int x)
{
    ENTER(true);
    (void)f;
    if (which == 8)
        fake.max_dynamic = x;
    return which == 8 && x + fake.fixed_shared > 232448 ? 1 : 0;
}

EXPORT cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, void *f, int threads, size_t shared);
EXPORT cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, void *f, int threads, size_t shared)
{
    ENTER(true);
    (void)f, (void)threads, (void)shared;
    *n = fake.blocks;
    return 0;
}

EXPORT cuOccupancyMaxActiveClusters(int *n, void *f, const config *c);
EXPORT cuOccupancyMaxActiveClusters(int *n, void *f, const config *c)
{
    ENTER(true);
    (void)f;
    *n = fake.clusters;
    return c->nattributes != 1 || c->attributes[0].id != 4;
}

EXPORT cuLaunchKernelEx(const config *c, void *f, void **params, void **extra);
EXPORT cuLaunchKernelEx(const config *c, void *f, void **params, void **extra)
{
    ENTER(true);
    fake_node x = {.is_launch = true};
    fake_launch *l = &x.launch;
    memcpy(l->grid, c->grid, sizeof l->grid);
    memcpy(l->block, c->block, sizeof l->block);
    l->shared = c->shared;
    l->stream = c->stream;
    for (unsigned i = 0; i < c->nattributes; i++) {
        const attribute *a = &c->attributes[i];
        l->cluster = a->id == 4 ? a->value.cluster[0] : l->cluster;
        l->dependent = a->id == 6 ? a->value.on : l->dependent;
        l->cooperative = a->id == 2 ? a->value.on : l->cooperative;
    }
    l->aligned = 1;
    for (uint32_t i = 0; i < fake.nslots; i++)
        memcpy(&l->slots[i], params[i], 8);
    for (uint32_t i = 0; i < fake.nmaps; i++) {
        memcpy(l->maps[i], params[fake.nslots + i], 128);
        l->aligned &= (uintptr_t)params[fake.nslots + i] % 64 == 0;
    }
    return f && !extra ? put(c->stream, &x) : 1;
}

/* a map is what it was made from: type | rank << 8 | swizzle << 16, address, sizes, strides, box (innermost first) */
EXPORT cuTensorMapEncodeTiled(uint64_t *m, int type, uint32_t rank, void *p, const uint64_t *sizes,
                              const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave,
                              int swizzle, int promotion, int fill);
EXPORT cuTensorMapEncodeTiled(uint64_t *m, int type, uint32_t rank, void *p, const uint64_t *sizes,
                              const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave,
                              int swizzle, int promotion, int fill)
{
    ENTER(true);
    if ((uintptr_t)m % 64 || (uintptr_t)p % 16 || rank < 1 || rank > 5 || interleave || promotion > 3 || fill)
        return 1;
    memset(m, 0, 128);
    m[0] = (uint64_t)type | rank << 8 | (uint64_t)swizzle << 16;
    m[1] = (uint64_t)(uintptr_t)p;
    for (uint32_t i = 0; i < rank; i++) {
        if (!sizes[i] || sizes[i] > UINT32_MAX || box[i] < 1 || box[i] > 256 || steps[i] != 1 ||
            (i && (strides[i - 1] % 16 || strides[i - 1] >= (uint64_t)1 << 40)))
            return 1;
        m[2 + i] = sizes[i];
        m[11 + i] = box[i];
        if (i)
            m[6 + i] = strides[i - 1];
    }
    fake.encodes++;
    return 0;
}

EXPORT cuStreamCreate(void **s, unsigned flags);
EXPORT cuStreamCreate(void **s, unsigned flags)
{
    ENTER(true);
    *s = calloc(1, sizeof(fake_stream));
    fake.streams++;
    return flags != 0;
}

EXPORT cuStreamDestroy_v2(void *s);
EXPORT cuStreamDestroy_v2(void *s)
{
    ENTER(true);
    fake.streams--;
    free(s);
    return 0;
}

EXPORT cuStreamSynchronize(void *s);
EXPORT cuStreamSynchronize(void *s)
{
    ENTER(true);
    (void)s;
    fake.syncs++;
    return 0;
}

EXPORT cuStreamWaitEvent(void *s, void *e, unsigned flags);
EXPORT cuStreamWaitEvent(void *s, void *e, unsigned flags)
{
    ENTER(true);
    return !s || !e || flags;
}

EXPORT cuStreamBeginCapture_v2(void *stream, int mode);
EXPORT cuStreamBeginCapture_v2(void *stream, int mode)
{
    ENTER(true);
    fake_stream *s = stream;
    if (!s || s->capturing || mode != 2)
        return 900;
    s->capturing = true;
    s->graph = calloc(1, sizeof *s->graph);
    fake.graphs++;
    return 0;
}

EXPORT cuStreamEndCapture(void *stream, void **g);
EXPORT cuStreamEndCapture(void *stream, void **g)
{
    fake_stream *s = stream;
    s->capturing = false;
    *g = s->graph;
    ENTER(true);
    return 0;
}

EXPORT cuGraphInstantiateWithFlags(void **x, void *g, unsigned long long flags);
EXPORT cuGraphInstantiateWithFlags(void **x, void *g, unsigned long long flags)
{
    ENTER(true);
    fake_graph *copy = malloc(sizeof *copy);
    *copy = *(fake_graph *)g;
    *x = copy;
    fake.execs++;
    return flags != 0;
}

EXPORT cuGraphLaunch(void *x, void *s);
EXPORT cuGraphLaunch(void *x, void *s)
{
    ENTER(true);
    const fake_graph *g = x;
    for (int i = 0; i < g->n; i++)
        do_node(&g->node[i]);
    fake.replays++;
    return !s;
}

EXPORT cuGraphExecDestroy(void *x);
EXPORT cuGraphExecDestroy(void *x)
{
    fake.execs--;
    free(x);
    return 0;
}

EXPORT cuGraphDestroy(void *g);
EXPORT cuGraphDestroy(void *g)
{
    fake.graphs--;
    free(g);
    return 0;
}

EXPORT cuEventCreate(void **e, unsigned flags);
EXPORT cuEventCreate(void **e, unsigned flags)
{
    ENTER(true);
    *e = calloc(1, sizeof(fake_event));
    fake.events++;
    return flags != 0;
}

EXPORT cuEventDestroy_v2(void *e);
EXPORT cuEventDestroy_v2(void *e)
{
    ENTER(true);
    fake.events--;
    free(e);
    return 0;
}

EXPORT cuEventRecord(void *e, void *s);
EXPORT cuEventRecord(void *e, void *s)
{
    ENTER(true);
    ((fake_event *)e)->at = ++ticks;
    return !s;
}

EXPORT cuEventSynchronize(void *e);
EXPORT cuEventSynchronize(void *e)
{
    ENTER(true);
    return !e;
}

/* every record is half a millisecond after the one before */
EXPORT cuEventElapsedTime(float *ms, void *from, void *to);
EXPORT cuEventElapsedTime(float *ms, void *from, void *to)
{
    ENTER(true);
    *ms = 0.5f * (float)(((fake_event *)to)->at - ((fake_event *)from)->at);
    return 0;
}

#define ROW(name)                                                                                                      \
    {                                                                                                                  \
#name, (void (*)(void))name                                                                                    \
    }
#define ROW2(name)                                                                                                     \
    {                                                                                                                  \
#name, (void (*)(void))name##_v2                                                                               \
    }
static const struct {
    const char *name;
    void (*fn)(void);
} entries[] = {
    ROW(cuInit),
    ROW(cuDriverGetVersion),
    ROW(cuGetErrorName),
    ROW(cuGetErrorString),
    ROW(cuDeviceGetCount),
    ROW(cuDeviceGet),
    ROW(cuDeviceGetName),
    ROW(cuDeviceGetAttribute),
    ROW(cuDevicePrimaryCtxRetain),
    ROW2(cuDevicePrimaryCtxRelease),
    ROW2(cuCtxPushCurrent),
    ROW2(cuCtxPopCurrent),
    ROW(cuCtxSynchronize),
    ROW2(cuMemGetInfo),
    ROW2(cuMemAlloc),
    ROW2(cuMemFree),
    ROW2(cuMemcpyHtoD),
    ROW2(cuMemcpyDtoH),
    ROW(cuMemcpyAsync),
    ROW(cuMemsetD8Async),
    ROW(cuModuleLoadDataEx),
    ROW(cuModuleUnload),
    ROW(cuModuleGetFunction),
    ROW(cuFuncGetAttribute),
    ROW(cuFuncSetAttribute),
    ROW(cuOccupancyMaxActiveBlocksPerMultiprocessor),
    ROW(cuOccupancyMaxActiveClusters),
    ROW(cuLaunchKernelEx),
    ROW(cuTensorMapEncodeTiled),
    ROW(cuStreamCreate),
    ROW2(cuStreamDestroy),
    ROW(cuStreamSynchronize),
    ROW(cuStreamWaitEvent),
    ROW2(cuStreamBeginCapture),
    ROW(cuStreamEndCapture),
    ROW(cuGraphInstantiateWithFlags),
    ROW(cuGraphLaunch),
    ROW(cuGraphExecDestroy),
    ROW(cuGraphDestroy),
    ROW(cuEventCreate),
    ROW2(cuEventDestroy),
    ROW(cuEventRecord),
    ROW(cuEventSynchronize),
    ROW(cuEventElapsedTime),
};

EXPORT cuGetProcAddress_v2(const char *name, void (**out)(void), int version, uint64_t flags, int *found);
EXPORT cuGetProcAddress_v2(const char *name, void (**out)(void), int version, uint64_t flags, int *found)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        if (strcmp(entries[i].name, name) == 0 && strcmp(fake.missing, name) != 0)
            *out = entries[i].fn;
    *found = *out ? 0 : 1;
    return *out && version == 12000 && flags == 0 ? 0 : 500;
}
