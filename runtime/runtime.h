/* runtime.h: what the files of the runtime share; tools and tests may look at it, programs use tile.h.
 *
 *   tile_device    a row of the device table (device.c), its lock, and what the driver keeps
 *   tile_module    a loaded text: a front-end unit, or IR that was read
 *   tile_kernel    one kernel of it, with its run-time parameters
 *   rt_instance    the kernel under one choice (element types, consts, absent optionals): tile IR, host function,
 * guards rt_variant     the instance compiled under facts about a launch (narrow indices, alignments, unit strides)
 *
 * Locks. A module's lock covers its front end and its tables of instances and variants; variants are made without it,
 * in parallel (variant.c). A device's lock is held for the whole of a launch, which is what makes the default stream
 * in-order. Instances and variants live until their module is closed, so a launch uses them without a lock once it has
 * found them; those of the last launch are found without one. A launch of known code allocates nothing: it works on
 * its stack.
 */
#ifndef TILE_RUNTIME_RUNTIME_H
#define TILE_RUNTIME_RUNTIME_H

#include "compiler/hostcode.h"
#include "compiler/interp.h"
#include "runtime/cache.h"
#include "runtime/compile.h"
#include "runtime/tile.h"

#include <pthread.h>
#include <stdatomic.h>

#define RT_MAX_ARGS 256
#define RT_MAX_GENERICS 16
#define RT_TUNE_WORDS 8    /* values that a choice of the tuner depends on */
#define RT_TUNED 64        /* choices that a kernel remembers */
#define RT_PAGES 512       /* pages that a device remembers; 9 bits of a hash */
#define RT_CALL_ROOM 12288 /* bytes on the stack that a launch works in; more come from the system */
#define RT_MAX_VARIANTS 4  /* specialised ones of an instance and index width; then the general one serves */

typedef struct rt_code {
    const ir_func *f; /* interp */
    cpu_kernel cpu;
    struct cuda_kernel *cuda;
} rt_code;

/* one launch as a driver sees it */
typedef struct rt_start {
    const ir_func *f;
    const rt_code *code;
    const uint64_t *args; /* abi.h */
    int64_t programs;
    const interp_range *bounds; /* NULL where some buffer's size is not known */
    uint32_t nbounds;
    tile_stream *stream;
    tile_error *err; /* for drivers that tell of a refused launch themselves */
} rt_start;

/* collects what a running kernel reports; its `abi` must come first */
typedef struct rt_host {
    abi_host abi;
    pthread_mutex_t lock;
    tile_device *dev;
    void *shared;     /* of this launch, NULL: not asked for yet */
    char fault[1024]; /* empty: none */
} rt_host;

/* What a device with memory and queues of its own does; all is called under the device's lock, and fills err where it
 * gives false or NULL. Devices without one work in the host's memory, and are done when a call returns. */
typedef struct rt_queue {
    void *(*alloc)(tile_device *d, int64_t bytes, tile_error *err);
    void (*free)(tile_device *d, void *p);
    bool (*write)(tile_device *d, void *to, const void *from, int64_t bytes, tile_error *err);
    bool (*read)(tile_device *d, void *to, const void *from, int64_t bytes, tile_error *err);
    bool (*copy)(tile_device *d, tile_stream *s, void *to, const void *from, int64_t bytes, tile_error *err);
    bool (*fill)(tile_device *d, tile_stream *s, void *to, uint8_t byte, int64_t bytes, tile_error *err);
    bool (*stream_open)(tile_device *d, tile_stream *s, tile_error *err);
    void (*stream_close)(tile_device *d, tile_stream *s);
    bool (*sync)(tile_device *d, tile_stream *s, tile_error *err); /* s NULL: the whole device */
    bool (*event_open)(tile_device *d, tile_event *e, tile_error *err);
    void (*event_close)(tile_device *d, tile_event *e);
    bool (*record)(tile_device *d, tile_event *e, tile_stream *s, tile_error *err);
    bool (*event_sync)(tile_device *d, tile_event *e, tile_error *err);
    bool (*elapsed)(tile_device *d, tile_event *from, tile_event *to, double *seconds, tile_error *err);
    bool (*wait)(tile_device *d, tile_stream *s, tile_event *e, tile_error *err);
    bool (*capture)(tile_device *d, tile_stream *s, tile_error *err);
    bool (*captured)(tile_device *d, tile_stream *s, tile_graph *g, tile_error *err);
    bool (*replay)(tile_device *d, tile_graph *g, tile_stream *s, tile_error *err);
    void (*graph_close)(tile_device *d, tile_graph *g);
} rt_queue;

typedef struct rt_driver {
    const char *name, *doc;
    const char *target;    /* of the code it runs; NULL: tile IR as lowered, or found by open */
    bool lazy;             /* its code generator is opened when the first kernel is compiled */
    bool numbered;         /* "name:N" */
    bool threaded;         /* "name:threads=N" */
    const rt_queue *queue; /* NULL: the host's memory */
    bool (*open)(tile_device *d, arena *a, str *err);
    void (*close)(tile_device *d);
    /* programs of k that it holds at once; code NULL: a guess before there is any */
    int64_t (*resident)(const tile_device *d, const ir_func *k, const rt_code *code);
    void (*hold)(tile_device *d, bool on); /* a series of launches begins, has ended; NULL: all the same */
    bool (*stats)(const rt_code *code, tile_kernel_stats *out); /* NULL: keeps none */
    int64_t (*stream_programs)(int64_t tiles, int64_t steps);   /* of stream-K; NULL: a program a tile */
    /* code for kernel k of m, which has been through the target's passes; NULL: code.f is run as it is */
    bool (*build)(tile_device *d, arena *a, const ir_module *m, const ir_func *k, const cache_key *key, rt_code *out,
                  diags *ds);
    /* code that an earlier build kept under the key; NULL: keeps none of that kind */
    bool (*recall)(tile_device *d, arena *a, const cache_key *key, rt_code *out);
    void (*drop)(tile_device *d, rt_code *c);
    /* false + *err (in a) on a fault that the host object didn't get */
    bool (*launch)(tile_device *d, arena *a, const rt_start *s, rt_host *h, str *err);
    /* memory for such a launch, so that it asks the system for none; NULL: it never does */
    bool (*reserve)(tile_device *d, arena *a, const rt_start *s, rt_host *h, str *err);
} rt_driver;

extern const rt_driver rt_driver_cpu, rt_driver_interp, rt_driver_cuda;
extern const rt_driver *const rt_drivers[]; /* ends with NULL */

/* a captured launch, done again; false + err */
typedef bool rt_again(void *ctx, tile_stream *s, tile_error *err);

struct tile_stream {
    tile_device *dev;
    void *handle; /* the driver's */
    bool foreign; /* not ours to end */
    bool pinned;  /* a graph holds its scratch memory */
    void *scratch;
    int64_t scratch_bytes;
    tile_graph *capture; /* what is put on it goes here; NULL: it is done */
};

struct tile_event {
    tile_device *dev;
    void *handle;
    bool recorded;
    double at; /* host devices */
};

struct tile_graph {
    tile_device *dev;
    void *graph, *exec; /* the driver's */
    arena a;
    VEC(struct rt_node *) nodes; /* host devices: what a replay does */
};

struct tile_device {
    const rt_driver *driver;
    int number;                          /* of "cuda:N"; of "cpu:threads=N", 0 = not said */
    char name[32];                       /* "cuda:0" */
    const tile_backend *_Atomic backend; /* NULL: none, or (lazy) none yet */
    uint64_t features;                   /* cpu: aot_features, of when it was opened */
    backend_target target;
    pthread_mutex_t lock;
    arena a; /* the target's name */
    void *state;
    int threads;  /* of a host device, 0 = it has none of its own */
    void *shared; /* of its launches, one after the other (abi_host.shared); grown to the largest */
    int64_t shared_bytes;
    _Atomic uint64_t readable[RT_PAGES]; /* reach.c */
    tile_print_fn *print;
    void *print_ctx;
    pthread_mutex_t telling; /* of the next four */
    tile_progress_fn *on_compile;
    void *compile_ctx;
    int32_t begun, done; /* kernels that were compiled since */
    tile_stream own;
    VEC(void *) retired; /* scratch memory that graphs may still use */
};

/* a run-time parameter that the caller brings */
typedef struct rt_param {
    str name, type_text;
    fe_param_kind kind;
    dtype dt;    /* DT_NONE: by its generic, or a pointer to pointers */
    int generic; /* index among the kernel's generics, -1 = none */
    int pointers;
    int rank;
    bool strided, optional;
    int arg;
    const fe_dim *dims;  /* NULL for kernels read from IR */
    uint32_t takes_size; /* bit d: dimension d is a const parameter that takes the size */
} rt_param;

typedef enum rt_state { RT_MAKING, RT_MADE, RT_FAILED } rt_state;

typedef struct rt_variant {
    arena a;
    rt_state state; /* under the module's lock; one that was found without it is made */
    bool narrow, general;
    uint64_t key;
    spec_fact *facts; /* what it was compiled under; one a parameter */
    rt_code code;
} rt_variant;

typedef struct rt_instance {
    const uint64_t *key; /* rt_call.key */
    uint32_t nkey;
    str asked; /* what it is, for TILE_ASKED; empty: nobody wants to know */
    ir_module *m;
    ir_func *k, *host, *guards;        /* host, guards: NULL = none */
    host_code *host_list, *guard_list; /* the same as lists of operations; NULL: the interpreter evaluates them */
    cache_key text_key;                /* of the IR as lowered, the build and the machine */
    uint32_t nslots, nresults;         /* of the host function */
    int *param;                        /* by ir_param: index among tile_kernel.params, -1 = scratch */
    bool *written;                     /* by ir_param */
    _Atomic int64_t resident;          /* of the variant used last; 0 = none yet */
    rt_variant *_Atomic recent;        /* launched last: most launches want it again */
    VEC(rt_variant *) variants;
} rt_instance;

struct tile_module {
    tile_device *dev;
    arena a;
    diags d;
    pthread_mutex_t lock;
    pthread_cond_t made; /* some variant is, or can't be */
    str path, text;
    const str *dirs, *defines; /* its options, as they were given */
    uint32_t ndirs;
    int forced;    /* the config of @tune that its kernels take, -1: as tuned */
    fe_unit *unit; /* NULL: */
    ir_module *ir; /* IR text */
    fe_binding *bind;
    uint32_t nbind;
    bool checked;
    VEC(tile_kernel *) kernels;
    compile_times times; /* spent so far */
};

typedef struct rt_tune_word {
    int16_t param, dim;
} rt_tune_word;

struct tile_kernel {
    tile_module *m;            /* NULL: */
    struct aot_handle *linked; /* of objects in the program (aot_kernel.c) */
    str name;
    const fe_kernel *fe; /* NULL: from IR */
    ir_func *ir;
    rt_param *params;
    uint32_t nparams;
    VEC(rt_instance *) instances;
    rt_instance *_Atomic last;     /* launched last: most launches want it again */
    rt_variant *_Atomic recent;    /* likewise; for tools */
    dtype preset[RT_MAX_GENERICS]; /* generics that the module's options set */
    const fe_tune *tune;           /* its @tune line for the device; NULL: none, or nothing to choose */
    rt_tune_word tune_words[RT_TUNE_WORDS];
    uint32_t ntune_words;
    _Atomic uint64_t tuned[RT_TUNED]; /* tune.c */
};

#define RT_MAX_KEY 64

/* all that one launch works on */
typedef struct rt_call {
    tile_kernel *k;
    const int64_t *grid; /* explicit, or NULL */
    const tile_arg *args;
    uint32_t nargs;
    tile_error *err;
    arena a;
    dtype generics[RT_MAX_GENERICS];
    uint64_t key[RT_MAX_KEY];
    uint32_t nkey, ntune_key; /* the first words are what the tuner looks at */
    uint32_t config;          /* of @tune */
    rt_instance *inst;
    rt_variant *var;
    uint64_t *slots;
    int64_t *results; /* of the host function */
    int64_t programs;
    int64_t resident; /* programs that the device holds at once, as the host function was told */
    tile_stream *stream;
    bool narrow, wide;
    bool claimed;    /* var is this call's to make */
    bool ready_only; /* within a capture: nothing may be compiled or allocated */
} rt_call;

/* arguments that are checked against a signature */
typedef struct rt_check {
    tile_device *dev;
    arena *a;
    str kernel;
    const rt_param *params;
    uint32_t nparams;
    const fe_generic *generic_list; /* of the kernel */
    dtype *bound;                   /* what they stand for; DT_NONE: not known yet */
    const tile_arg *args;
    uint32_t nargs;
    tile_error *err;
} rt_check;

typedef struct rt_named {
    const tile_arg *arg; /* NULL: none of the caller's */
    str name;
    bool written;
} rt_named;

/* error.c */
int rt_fail(tile_error *err, tile_code code, const char *fmt, ...) STR_PRINTF(3, 4);
int rt_fail_diags(tile_error *err, tile_code code, diags *d, arena *a); /* what d holds, rendered */
int rt_fail_memory(tile_error *err, const char *what, str name);        /* "kernel 'k': out of memory" */
void rt_clear(tile_error *err);

/* check.c: false + err */
bool rt_check_args(rt_check *c);
/* analyse.c: kernel k of m, as lowered: the parameters that it writes (by ir_param), its guard function (NULL: none) */
bool rt_analyse(arena *a, diags *d, const ir_module *m, const ir_func *k, bool *written, ir_func **guards,
                axis_guard_list *texts); /* texts: of the guards; NULL: not wanted */
/* bind.c: the instance that checked arguments ask for, found or lowered. False + err */
bool rt_bind(rt_call *c);
/* f(c) under the lock of c's module; where memory ends in it, c->a's owner is told once the lock is free */
void rt_under_lock(rt_call *c, void (*f)(void *c));
/* variant.c: facts of this launch; finds or compiles the variant */
bool rt_pick(rt_call *c);
/* what code made from m depends on, facts apart */
cache_key rt_text_key(rt_call *c, const ir_module *m);
/* pack.c: slots, the host function, grid and overlap checks */
bool rt_pack(rt_call *c);
/* the variant, and the grid for as many programs as the device holds of it at once */
bool rt_settle(rt_call *c);
bool rt_check_overlap(rt_call *c);
/* overlap.c: no two overlap in part, one of them written; false + err */
bool rt_apart(arena *a, str kernel, const rt_named *list, uint32_t n, tile_error *err);
/* bytes that a tensor reaches: [*lo, *hi) as addresses; false where it has no element */
bool rt_tensor_range(const tile_tensor *t, uint64_t *lo, uint64_t *hi);
/* "kernel 'k' is not prepared: ..." */
bool rt_not_ready(rt_call *c);
/* launch.c: a bound and packed call: scratch memory, then the device */
bool rt_run(rt_call *c);
/* stream.c */
tile_stream *rt_stream(tile_device *d, tile_stream *s, tile_error *err); /* the device's own for NULL; NULL + err */
void *rt_alloc(tile_device *d, int64_t bytes, tile_error *err);          /* under the device's lock, as all of these */
void rt_free(tile_device *d, void *p);
bool rt_fill(tile_device *d, tile_stream *s, void *p, uint8_t byte, int64_t bytes, tile_error *err);
void rt_note(tile_graph *g, rt_again *again, void *ctx);            /* what a replay will do */
tile_arg *rt_copy_args(arena *a, const tile_arg *args, uint32_t n); /* with their tensors */
void rt_stream_fini(tile_stream *s);
/* prepare.c */
/* f(ctx, i) for i < n, on as many threads as d has; the caller's is one of them */
typedef void rt_each(void *ctx, uint32_t i);
void rt_in_threads(uint32_t threads, uint32_t n, rt_each *f, void *ctx);
void rt_in_parallel(const tile_device *d, uint32_t n, rt_each *f, void *ctx);
/* a kernel is about to be compiled, or was */
void rt_tell_compile(tile_kernel *k, bool done);
/* drivers.c: the device's code generator; NULL + a diagnostic */
const tile_backend *rt_backend(tile_device *d, diags *ds);
/* device.c: the @tune lines that count there: "cpu", "cuda" */
const char *rt_family(const tile_device *d);
/* dump.c: TILE_DUMP is set; what a kernel was at every stage, into its folder */
bool rt_dumps(void);
void rt_dump(arena *a, const tile_device *d, const tile_backend *be, const ir_module *tir, const ir_module *laid,
             const ir_func *k, cache_key key);
/* asked.c: TILE_ASKED is set: what an instance is; that this variant of it is wanted */
str rt_asked_text(rt_call *c, const choice_list *list);
void rt_asked(arena *a, const rt_instance *in, const rt_variant *v);
/* reach.c: the process can read there */
bool rt_readable(tile_device *d, uint64_t addr);
/* tune.c: finds the kernel's @tune line; the config for a call whose generics and absent optionals are in its key */
void rt_tune_init(tile_kernel *k);
uint32_t rt_tune_config(rt_call *c);
/* module.c: the same text under the same options, with one config of @tune */
tile_module *rt_module_again(const tile_module *m, int config, tile_error *err);
/* device_cpu.c: the cpu device but for the making of code */
bool rt_cpu_open(tile_device *d, arena *a, str *err);
void rt_cpu_close(tile_device *d);
void rt_cpu_hold(tile_device *d, bool on);
bool rt_cpu_launch(tile_device *d, arena *a, const rt_start *st, rt_host *h, str *err);
bool rt_cpu_reserve(tile_device *d, arena *a, const rt_start *st, rt_host *h, str *err);
int64_t rt_cpu_holds(const tile_device *d, bool cooperative); /* programs at once */
/* host.c: what running kernels print and report */
void rt_host_init(rt_host *h, tile_device *dev);
void rt_host_fini(rt_host *h);
/* module.c */
const rt_param *rt_kernel_params(const tile_kernel *k, uint32_t *n);
/* whether the kernel, as last launched, writes its i-th run-time parameter */
bool rt_kernel_writes(const tile_kernel *k, uint32_t i);

#endif
