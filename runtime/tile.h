/* tile.h: the public header of libtile: load `.tile` kernels, look them up, launch them.
 *
 *   tile_error err;
 *   tile_device *dev = tile_device_open("cpu", &err);
 *   tile_module *mod = tile_module_from_file(dev, "add.tile", NULL, &err);
 *   tile_kernel *add = tile_kernel_find(mod, "add", &err);
 *   tile_arg args[] = {tile_arg_ptr(x, TILE_F32), tile_arg_ptr(y, TILE_F32), tile_arg_ptr(z, TILE_F32),
 * tile_arg_int(n)}; tile_launch(add, NULL, NULL, args, 4, &err);
 *
 * Rules. All types but the plain structs below are opaque. There is no global state; every function may be called from
 * any thread; what is put on one stream of a device is done in that order. A function that can fail gives NULL or a
 * code other than TILE_OK, and fills the caller's tile_error (which may be NULL). Modules, streams, events and graphs
 * belong to a device and must be closed before it; a kernel belongs to its module and dies with it. The calls work from
 * C and C++.
 *
 * Launching. Arguments are the kernel's run-time parameters in the order of its header, scratch ones left out; const
 * parameters and generic element types come from the module's options, from the arguments (an element type, a dimension
 * that is a const parameter), or from their defaults. All is checked against the kernel's signature before it runs.
 */
#ifndef TILE_H
#define TILE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TILE_MAX_RANK 5
#define TILE_ERROR_TEXT 4092

typedef enum tile_code {
    TILE_OK = 0,
    TILE_E_SOURCE,   /* the kernel's text is wrong: the text holds the diagnostics */
    TILE_E_ARGUMENT, /* an argument, option or grid does not fit the kernel */
    TILE_E_MISSING,  /* no such file, kernel or device */
    TILE_E_FAULT,    /* the kernel faulted: device_assert, an access out of bounds */
    TILE_E_DEVICE,   /* the device can't do it */
    TILE_E_MEMORY
} tile_code;

typedef struct tile_error {
    int32_t code; /* a tile_code */
    char text[TILE_ERROR_TEXT];
} tile_error;

typedef enum tile_dtype {
    TILE_ANY = 0, /* of a pointer argument: whatever the kernel says */
    TILE_BOOL,
    TILE_I8,
    TILE_I16,
    TILE_I32,
    TILE_I64,
    TILE_U8,
    TILE_U16,
    TILE_U32,
    TILE_U64,
    TILE_F16,
    TILE_BF16,
    TILE_F32,
    TILE_F64,
    TILE_F8E4M3,
    TILE_F8E5M2,
    TILE_F8E4M3FNUZ,
    TILE_F8E5M2FNUZ
} tile_dtype;

typedef struct tile_device tile_device;
typedef struct tile_module tile_module;
typedef struct tile_kernel tile_kernel;
typedef struct tile_stream tile_stream; /* NULL stands for the device's own, wherever one is asked for */
typedef struct tile_event tile_event;
typedef struct tile_graph tile_graph;

/* a tensor argument: data, element type, and for each of `rank` dimensions its size and stride, both in elements */
typedef struct tile_tensor {
    void *data;
    int32_t dtype; /* a tile_dtype */
    int32_t rank;
    int64_t sizes[TILE_MAX_RANK];
    int64_t strides[TILE_MAX_RANK];
} tile_tensor;

typedef enum tile_arg_kind { TILE_ARG_NONE, TILE_ARG_INT, TILE_ARG_FLOAT, TILE_ARG_PTR, TILE_ARG_TENSOR } tile_arg_kind;

typedef struct tile_arg {
    int32_t kind;  /* a tile_arg_kind */
    int32_t dtype; /* TILE_ARG_PTR: what it points at, TILE_ANY = unchecked */
    int64_t bytes; /* TILE_ARG_PTR: size of what it points at, 0 = unknown */
    union {
        int64_t i;
        double f;
        void *p;
        const tile_tensor *t; /* read during tile_launch only */
    } u;
} tile_arg;

static inline tile_arg tile_arg_none(void)
{
    tile_arg a = {TILE_ARG_NONE, TILE_ANY, 0, {0}};
    return a;
}
static inline tile_arg tile_arg_int(int64_t i)
{
    tile_arg a = {TILE_ARG_INT, TILE_ANY, 0, {i}};
    return a;
}
static inline tile_arg tile_arg_float(double f)
{
    tile_arg a = {TILE_ARG_FLOAT, TILE_ANY, 0, {0}};
    a.u.f = f;
    return a;
}
static inline tile_arg tile_arg_ptr(void *p, tile_dtype type)
{
    tile_arg a = {TILE_ARG_PTR, TILE_ANY, 0, {0}};
    a.dtype = (int32_t)type;
    a.u.p = p;
    return a;
}
static inline tile_arg tile_arg_tensor(const tile_tensor *t)
{
    tile_arg a = {TILE_ARG_TENSOR, TILE_ANY, 0, {0}};
    a.u.t = t;
    return a;
}

typedef struct tile_options {
    const char *const
        *defines; /* "NAME=VALUE": const and type parameters (BM=32, T=f16, f=relu), num_warps, num_stages */
    const char *const *import_dirs;
    int32_t ndefines, nimport_dirs;
    int32_t checked; /* 1: run-time checks stay in on every device */
} tile_options;

const char *tile_version(void); /* "0.1.0" */

/* device: "cpu" ("cpu:threads=N" with N threads, the caller's among them; else TILE_NUM_THREADS says how many, else as
 * many as the process may run on); "interp" (the IR interpreter: slow, checks every access whose buffer's size it
 * knows); "cuda:N", an NVIDIA GPU ("cuda" is "cuda:0") */
tile_device *tile_device_open(const char *name, tile_error *err);
void tile_device_close(tile_device *dev);
/* where device_print goes, a line a call; NULL: standard output */
typedef void tile_print_fn(void *ctx, const char *line);
void tile_device_on_print(tile_device *dev, tile_print_fn *fn, void *ctx);

/* Memory of the device; on the CPU any pointer of the process will do as well. On a GPU tile_write and tile_read come
 * after all that was put on any of the device's streams before, and return when they are done. tile_copy (from device
 * memory to device memory) and tile_fill go onto a stream. */
void *tile_alloc(tile_device *dev, int64_t bytes, tile_error *err);
void tile_free(tile_device *dev, void *p);
int tile_write(tile_device *dev, void *to, const void *from_host, int64_t bytes, tile_error *err);
int tile_read(tile_device *dev, void *to_host, const void *from, int64_t bytes, tile_error *err);
int tile_copy(tile_device *dev, tile_stream *stream, void *to, const void *from, int64_t bytes, tile_error *err);
int tile_fill(tile_device *dev, tile_stream *stream, void *to, uint8_t byte, int64_t bytes, tile_error *err);

/* Streams. What is put on one is done in order; what is put on two is not ordered but by events. On a GPU launches,
 * copies and fills return before they are done, and a fault of a kernel comes back from a later call on that device
 * (tile_sync at the latest), and from each one after it: such a device can only be closed. On the CPU all is done when
 * a call returns. */
tile_stream *tile_stream_create(tile_device *dev, tile_error *err);
/* a stream made elsewhere: a CUstream. It must outlive ours, which doesn't end it */
tile_stream *tile_stream_wrap(tile_device *dev, void *native, tile_error *err);
/* the CUstream behind one, for libraries that are to work on it too; NULL where the device has none */
void *tile_stream_native(tile_device *dev, tile_stream *stream);
void tile_stream_destroy(tile_stream *stream);
int tile_stream_sync(tile_device *dev, tile_stream *stream, tile_error *err);
int tile_sync(tile_device *dev, tile_error *err); /* all that was put on any stream of the device */

/* A moment on a stream: what was put on it before is done. */
tile_event *tile_event_create(tile_device *dev, tile_error *err);
void tile_event_destroy(tile_event *event);
int tile_event_record(tile_event *event, tile_stream *stream, tile_error *err);
int tile_event_sync(tile_event *event, tile_error *err);
/* seconds between two events that were recorded; waits for the later one */
int tile_event_elapsed(tile_event *from, tile_event *to, double *seconds, tile_error *err);
/* what is put on the stream from here on waits for the event */
int tile_stream_wait(tile_device *dev, tile_stream *stream, tile_event *event, tile_error *err);

/* Graphs. Between begin and end launches, copies and fills on the stream are noted, not done; a replay does them all at
 * once, with the arguments that they had. Only launches that tile_prepare has seen may be noted. Modules and buffers
 * must outlive the graph. */
int tile_capture_begin(tile_device *dev, tile_stream *stream, tile_error *err);
tile_graph *tile_capture_end(tile_device *dev, tile_stream *stream, tile_error *err);
int tile_graph_replay(tile_graph *graph, tile_stream *stream, tile_error *err);
void tile_graph_destroy(tile_graph *graph);

/* options may be NULL. A file may hold source (.tile) or IR text (.tir). */
tile_module *tile_module_from_file(tile_device *dev, const char *path, const tile_options *opt, tile_error *err);
tile_module *tile_module_from_string(tile_device *dev, const char *name, const char *text, const tile_options *opt,
                                     tile_error *err);
void tile_module_close(tile_module *mod);
tile_kernel *tile_kernel_find(tile_module *mod, const char *name, tile_error *err);

/* A kernel out of objects of `tilec build` that are linked into the program, to be launched as others are: no compiler
 * is needed. `linked` is what the object's header calls NAME__linked, NULL where nothing of that name is there; defines
 * are as of a module. A launch tells what the program was not built with. It belongs to the device, as a module does,
 * and dies with it. */
typedef struct tile_linked tile_linked;
tile_kernel *tile_kernel_linked(tile_device *dev, const char *name, const tile_linked *linked,
                                const char *const *defines, int32_t ndefines, tile_error *err);

/* grid: three extents, or NULL for the one in the kernel's header. Returns when the kernel has finished on the CPU,
 * when it has been put on the stream on a GPU. */
int tile_launch(tile_kernel *k, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
                tile_error *err);
/* all of a launch but the launch: compiles, loads, reserves scratch memory */
int tile_prepare(tile_kernel *k, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
                 tile_error *err);

/* how far something is: "preparing", 3 of 12; called from one thread at a time */
typedef void tile_progress_fn(void *ctx, const char *what, int32_t done, int32_t of);
typedef struct tile_request { /* a launch, as tile_prepare takes it */
    tile_kernel *kernel;
    tile_stream *stream;
    const int64_t *grid; /* three extents, or NULL */
    const tile_arg *args;
    int32_t nargs;
} tile_request;
/* tile_prepare of n launches on one device, compiled in parallel. Each is tried, also where another fails; the error is
 * that of the first in the list that did. progress may be NULL. */
int tile_prepare_many(const tile_request *list, int32_t n, tile_progress_fn *progress, void *ctx, tile_error *err);
/* fn is told of each kernel that a launch has to compile, before and after: its name, how many are done, of how many
 * begun since. It must not launch anything. NULL: nobody. */
void tile_device_on_compile(tile_device *dev, tile_progress_fn *fn, void *ctx);

/* Tuning. A kernel with a @tune line has several configs. tile_tune compiles them in parallel, times each with these
 * arguments, and keeps the best as a line of text beside the compiled code: launches with arguments like these take it
 * from then on, in this process and in later ones; no launch ever times anything. What the kernel writes is put back
 * afterwards where its size is known (tensors, pointers with tile_arg.bytes). A kernel with nothing to choose is left
 * alone: out->configs is 0. */
typedef struct tile_tuned {
    int32_t configs, failed; /* of the @tune line; of these, that did not compile or run */
    double seconds;          /* a launch under the best config */
    double first_seconds;    /* and under the first, which counts where nothing is tuned; 0 = that one failed */
    char choice[256];        /* "BM=64 BN=128" */
} tile_tuned;
/* progress (NULL: not wanted) hears of "compiling", then of "timing" */
int tile_tune(tile_kernel *k, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
              tile_progress_fn *progress, void *ctx, tile_tuned *out, tile_error *err);

/* Compiled code and the tuner's choices on disk, as TILE_CACHE_DIR, XDG_CACHE_HOME and HOME say; what was used longest
 * ago goes when there is more than TILE_CACHE_SIZE allows (bytes, or with K, M, G, T; unless set 1G; 0: no bound). */
typedef struct tile_cache {
    char path[1024];        /* empty: nothing is kept */
    int64_t entries, bytes; /* of compiled code, and of all */
    int64_t choices;
    int64_t limit; /* bytes that compiled code may take, 0 = any */
} tile_cache;
int tile_cache_stats(tile_cache *out, tile_error *err);
int tile_cache_clear(tile_error *err);

/* what the code of a kernel takes, as it was launched or prepared last; on GPUs only */
typedef struct tile_kernel_stats {
    int32_t threads;     /* of a block */
    int32_t cluster;     /* blocks that run one program */
    int32_t registers;   /* of a thread */
    int32_t spill_bytes; /* of a thread; -1 = not known */
    int32_t local_bytes; /* of a thread: spills and stack */
    int32_t blocks_per_multiprocessor;
    int64_t shared_bytes; /* of a block */
    const char *notes;    /* what the assembler warned of, a line each; lives as long as the module */
} tile_kernel_stats;
int tile_kernel_info(tile_kernel *k, tile_kernel_stats *out, tile_error *err);

/* a row-major tensor over `data` */
tile_tensor tile_tensor_of(void *data, tile_dtype type, int32_t rank, const int64_t *sizes);
int64_t tile_dtype_bytes(tile_dtype type);

/* Calls a C function with launch arguments, by the prototype that a compiled kernel's entry has:
 *   int f(tile_stream *, const int64_t grid[3], args..., tile_error *)
 * where an integer crosses as int64_t, a float as double, a pointer as itself, a tensor as const tile_tensor *, and
 * None as NULL. Gives what f returns. */
typedef int tile_entry(void);
int tile_call(tile_entry *f, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
              tile_error *err);

#ifdef __cplusplus
}
#endif
#endif
