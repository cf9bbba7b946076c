/* runtime.h: what the files of the runtime share; tools and tests may look at it, programs use tile.h.
 *
 *   tile_device    a row of the device table (device.c), its lock, and what the driver keeps
 *   tile_module    a loaded text: a front-end unit, or IR that was read
 *   tile_kernel    one kernel of it, with its run-time parameters
 *   rt_instance    the kernel under one choice (element types, consts, absent optionals): tile IR, host function,
 * guards rt_variant     the instance compiled under facts about a launch (narrow indices, alignments, unit strides)
 *
 * Locks. A module's lock covers its front end, its instances and their variants; a device's lock is held for the whole
 * of a launch, which is what makes the default stream in-order. Instances and variants live until their module is
 * closed, so a launch uses them without a lock once it has found them.
 */
#ifndef TILE_RUNTIME_RUNTIME_H
#define TILE_RUNTIME_RUNTIME_H

#include "compiler/interp.h"
#include "runtime/compile.h"
#include "runtime/tile.h"

#include <pthread.h>

#define RT_MAX_ARGS 256
#define RT_MAX_VARIANTS 4 /* specialised ones of an instance and index width; then the general one serves */

typedef struct rt_code {
    const ir_func *f; /* interp */
    cpu_kernel cpu;
} rt_code;

/* one launch as a driver sees it */
typedef struct rt_start {
    const ir_func *f;
    const rt_code *code;
    const uint64_t *args; /* abi.h */
    int64_t programs;
    const interp_range *bounds; /* NULL where some buffer's size is not known */
    uint32_t nbounds;
} rt_start;

/* collects what a running kernel reports; its `abi` must come first */
typedef struct rt_host {
    abi_host abi;
    pthread_mutex_t lock;
    tile_device *dev;
    char fault[1024]; /* empty: none */
} rt_host;

typedef struct rt_driver {
    const char *name, *doc;
    const char *target; /* of the code it runs; NULL: tile IR as lowered */
    bool (*open)(tile_device *d, arena *a, str *err);
    void (*close)(tile_device *d);
    int64_t (*resident)(const tile_device *d, const ir_func *k);
    int64_t (*stream_programs)(int64_t tiles, int64_t steps); /* of stream-K; NULL: a program a tile */
    /* code for kernel k of m, which has been through the target's passes; NULL: code.f is run as it is */
    bool (*build)(tile_device *d, arena *a, const ir_module *m, const ir_func *k, rt_code *out, diags *ds);
    void (*drop)(tile_device *d, rt_code *c);
    /* false + *err (in a) on a fault that the host object didn't get */
    bool (*launch)(tile_device *d, arena *a, const rt_start *s, rt_host *h, str *err);
} rt_driver;

extern const rt_driver rt_driver_cpu, rt_driver_interp;
extern const rt_driver *const rt_drivers[]; /* ends with NULL */

struct tile_device {
    const rt_driver *driver;
    const tile_backend *backend; /* NULL: none */
    backend_target target;
    pthread_mutex_t lock;
    arena a; /* the target's name */
    void *state;
    tile_print_fn *print;
    void *print_ctx;
    void *scratch;
    int64_t scratch_bytes;
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
    const fe_dim *dims; /* NULL for kernels read from IR */
} rt_param;

typedef struct rt_variant {
    arena a;
    ir_module *m; /* after passes; NULL where the driver doesn't need it */
    bool narrow, general;
    uint64_t key;
    spec_fact *facts; /* what it was compiled under; one a parameter */
    rt_code code;
} rt_variant;

typedef struct rt_instance {
    const uint64_t *key; /* rt_call.key */
    uint32_t nkey;
    ir_module *m;
    ir_func *k, *host, *guards; /* host, guards: NULL = none */
    uint32_t nslots, nresults;  /* of the host function */
    int *param;                 /* by ir_param: index among tile_kernel.params, -1 = scratch */
    bool *written;              /* by ir_param */
    VEC(rt_variant *) variants;
} rt_instance;

struct tile_module {
    tile_device *dev;
    arena a;
    diags d;
    pthread_mutex_t lock;
    str path;
    fe_unit *unit; /* NULL: */
    ir_module *ir; /* IR text */
    fe_binding *bind;
    uint32_t nbind;
    bool checked;
    VEC(tile_kernel *) kernels;
    compile_times times; /* spent so far */
};

struct tile_kernel {
    tile_module *m;
    str name;
    const fe_kernel *fe; /* NULL: from IR */
    ir_func *ir;
    rt_param *params;
    uint32_t nparams;
    VEC(rt_instance *) instances;
    rt_instance *last; /* the newest launched; for tools */
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
    dtype generics[16];
    uint64_t key[RT_MAX_KEY];
    uint32_t nkey;
    rt_instance *inst;
    rt_variant *var;
    uint64_t *slots;
    int64_t *results; /* of the host function */
    int64_t programs;
    bool narrow;
} rt_call;

/* error.c */
int rt_fail(tile_error *err, tile_code code, const char *fmt, ...) STR_PRINTF(3, 4);
int rt_fail_diags(tile_error *err, tile_code code, diags *d, arena *a); /* what d holds, rendered */
void rt_clear(tile_error *err);

/* bind.c: arguments against the signature; finds or lowers the instance. False + err */
bool rt_bind(rt_call *c);
/* variant.c: facts of this launch; finds or compiles the variant */
bool rt_pick(rt_call *c);
/* pack.c: slots, the host function, grid and overlap checks */
bool rt_pack(rt_call *c);
bool rt_check_overlap(rt_call *c);
/* bytes that a tensor reaches: [*lo, *hi) as addresses; false where it has no element */
bool rt_tensor_range(const tile_tensor *t, uint64_t *lo, uint64_t *hi);
/* host.c: what running kernels print and report */
void rt_host_init(rt_host *h, tile_device *dev);
void rt_host_fini(rt_host *h);
/* module.c */
const rt_param *rt_kernel_params(const tile_kernel *k, uint32_t *n);
/* whether the kernel, as last launched, writes its i-th run-time parameter */
bool rt_kernel_writes(const tile_kernel *k, uint32_t i);

#endif
