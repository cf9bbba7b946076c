/* engine_impl.h: what the engine's files share.
 *
 *   engine.c    opens it: device, kernels, weights as tensors, buffers; cuts what is asked for into steps
 *   forward.c   one step: a token's way from its id to its logits
 *   ops.c       one function an operation: puts arguments together and launches
 *   kernels.c   finds and loads the kernels
 *   kv.c        the caches of keys and values
 *   sampler.c   logits to the next token
 */
#ifndef TILE_LLM_ENGINE_IMPL_H
#define TILE_LLM_ENGINE_IMPL_H

#include "base/base.h"
#include "examples/llm/engine.h"

enum {
    CHUNK = ENGINE_CHUNK, /* tokens of a step at most */
    FEW = 8,              /* sequences of a captured step */
    SHORT = 16,           /* tokens of a prompt that is not worth packing weights for */
    LOGIT_ROWS = 64,      /* rows of logits at a time where all are asked for */
    TILE_ROWS = 64,       /* of products of many rows; four times as many where that divides */
    REPEAT_LIMIT = 256    /* tokens that a repetition penalty looks back on at most */
};

/* kernels.def names them */
typedef enum kernel_id {
#define KERNEL(id, file, name, defines, label) K_##id,
#include "examples/llm/kernels.def"
#undef KERNEL
    K_COUNT
} kernel_id;

typedef struct kernels kernels;

/* a weight matrix [rows, cols] as kernels take it */
typedef struct matrix {
    const weight *w;
    kernel_id id;     /* what a profile calls its products */
    tile_tensor t;    /* u8[rows, blocks, bytes] where quantised, else its floats [rows, cols] */
    tile_tensor bias; /* f32[rows]; data NULL: none */
    int64_t rows, cols;
    bool quantised;
    int32_t copies;           /* of 8-bit activations, side by side (fused.tile) */
    bool planes;              /* of 8-bit activations: first halves of blocks before the second ones */
    tile_kernel *i8, *i8_add; /* few rows of 8-bit activations; adding to what is there; NULL: not this format */
    tile_kernel *few;         /* products with a few rows of floats */
    tile_kernel *some, *many; /* with a multiple of TILE_ROWS, of 4 TILE_ROWS */
    tile_kernel *widen;       /* quantised: rows as floats */
} matrix;

typedef struct layer {
    tile_tensor attn_norm, ffn_norm; /* f32[dim] */
    tile_tensor q_norm, k_norm;      /* f32[head_dim]; data NULL: none */
    matrix q, k, v, out, gate, up, down;
    tile_kernel *qkv, *gate_up; /* fused, on 8-bit activations; NULL: not for these formats */
    tile_tensor keys, values;   /* f16[sequences, kv_heads, context, head_dim] */
} layer;

typedef struct kv_cache {
    void *at;
    uint64_t bytes;
    bool mapped;     /* else the device's */
    int64_t *length; /* [sequences] */
    int32_t *tokens; /* [sequences, context]: what each position holds */
} kv_cache;

/* the tokens of one step */
typedef struct engine_step {
    int32_t n;     /* tokens */
    int32_t seq;   /* the sequence of all of them, or -1: token i is sequence i's */
    int64_t reach; /* positions that attention looks at, at most: what its launches are made for */
    logits_want want;
} engine_step;

/* a launch of a step, the fastest of its turns */
typedef struct launch_time {
    kernel_id id;
    double seconds, bytes;
} launch_time;

/* a captured decode step of so many sequences, of up to `reach` positions; graph NULL: none yet */
typedef struct replay {
    tile_graph *graph;
    int64_t reach;
} replay;

struct engine {
    arena a;
    const model_file *m;
    const model_params *p;
    engine_options o;
    tile_device *dev;
    bool host; /* the device works in the process's own memory */
    kernels *lib;
    tile_kernel *k[K_COUNT];
    tile_kernel *embed;
    matrix embedding, head;
    tile_tensor norm;
    layer *layers;
    tile_tensor freq;       /* f32[rope_dim / 2] */
    double attention_scale; /* of the scores: 1 / sqrt(head_dim) */
    kv_cache kv;
    VEC(void *) owned; /* device memory */
    /* of a step, on the device: [CHUNK] each unless noted */
    int32_t *ids, *pos, *seqs, *lens;                              /* lens: [sequences] */
    float *x, *h, *q, *key, *val, *att, *gate, *up, *logits, *nll; /* logits: [LOGIT_ROWS, vocab] */
    int32_t *picked, *recent;
    int64_t *seeds;
    int8_t *q8;      /* activations as 8-bit integers: [CHUNK, widest] */
    float *q8_scale; /* of each 32 of them */
    float *q8_sum;
    float *lse;  /* of the logits whose cost is asked for */
    float *rows; /* host's copy of logits where the device has memory of its own */
    replay replays[FEW + 1];
    int64_t filled;           /* positions that the step under way looks at, of all its sequences */
    bool by_row;              /* products take the rows of the step under way one by one, as those of one token */
    struct warm_list *noting; /* op_launch enters what it would launch, and runs nothing; NULL: it runs it */
    bool warmed[CHUNK + 1];   /* prompts of so many tokens were prepared */
    bool prepare;             /* op_launch compiles and reserves, and runs nothing */
    bool profile;
    launch_time *turns;               /* of a step, in order */
    uint32_t nturns, turn, turn_room; /* turn: of the next launch */
    const char *labels[K_COUNT];
    engine_time sorted[K_COUNT];
    tile_error *err; /* of the call under way */
};

/* kernels.c: NULL + err; defines: "A=1 B=2" or "" */
kernels *kernels_new(tile_device *dev, const char *folder, tile_error *err);
void kernels_free(kernels *k);
tile_kernel *kernels_find(kernels *k, const char *file, const char *name, const char *defines, tile_error *err);

/* weights as tensors (tensors.c) */
bool tensors_load(engine *e);

/* kv.c */
bool kv_init(engine *e);
void kv_fini(engine *e);
void kv_note(engine *e, int32_t seq, const int32_t *ids, int32_t n); /* they are in the cache now */

/* forward.c */
bool forward(engine *e, const engine_step *s);

/* warm.c: all that steps launch compiled in parallel and reserved; those behind the first take rows one by one */
typedef struct warm_list warm_list;
bool warm_note(engine *e, tile_kernel *k, const tile_arg *args, int32_t nargs);
bool warm_steps(engine *e, const engine_step *const *steps, int n);
/* s, a prompt's chunk, and the decode step that comes behind it, unless as long a one was before */
bool warm_prompt(engine *e, const engine_step *s, int64_t decode_reach);

/* ops.c: rows are contiguous, n of them; false + e->err. In compiled mode some are one launch that are several in eager
 * mode. "i8": the 8-bit activations of the engine, which op_norm_for and op_acts make where products want them. */
bool op_embed(engine *e, const int32_t *ids, float *out, int32_t n);
bool op_norm(engine *e, const float *x, const tile_tensor *w, float *y, int32_t n);
bool op_norm_for(engine *e, const matrix *next, const float *x, const tile_tensor *w, float *y, int32_t n); /* and i8 */
bool op_norm_heads(engine *e, float *x, const tile_tensor *w, int32_t heads, int32_t n);
bool op_acts(engine *e, const matrix *next, const float *x, int32_t n);              /* i8 = x */
bool op_linear(engine *e, const matrix *w, const float *x, float *y, int32_t n);     /* y = W (x or i8) */
bool op_linear_add(engine *e, const matrix *w, const float *x, float *y, int32_t n); /* y += W (x or i8) */
bool op_qkv(engine *e, const layer *l, const float *x, int32_t n);                   /* e->q, e->key, e->val */
bool op_gate_up(engine *e, const layer *l, const float *x, float *y, int32_t n);     /* silu(Wgate x) * Wup x */
bool op_rope(engine *e, const layer *l, float *q, const float *k, const float *v, int32_t n);
bool op_attention(engine *e, const layer *l, const engine_step *s, const float *q, float *out);
/* a launch, and its time where a profile is kept */
bool op_launch(engine *e, tile_kernel *k, kernel_id id, const tile_arg *args, int32_t nargs, double bytes);
tile_tensor tensor1(const void *p, tile_dtype t, int64_t n);
tile_tensor tensor2(const void *p, tile_dtype t, int64_t m, int64_t n);
tile_tensor tensor3(const void *p, tile_dtype t, int64_t l, int64_t m, int64_t n);
/* device memory that lives as long as the engine; NULL + e->err */
void *engine_alloc(engine *e, int64_t bytes);

#endif
