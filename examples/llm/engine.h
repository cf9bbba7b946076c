/* engine.h: runs a language model: tokens in, logits out, on `.tile` kernels alone.
 *
 *   engine *e = engine_open(model, &(engine_options){.device = "cpu"}, &err);
 *   engine_eval(e, 0, prompt, n, LOGITS_LAST, NULL, NULL, &err);      the prompt, into sequence 0's cache
 *   id = sampler_pick(...);                                           sampler.h, on engine_logits(e, 0)
 *   engine_decode(e, &id, 1, &err);                                   one token more
 *
 * An engine keeps `sequences` caches of keys and values, each of up to `context` positions. Memory of a cache is taken
 * as its positions are filled. An engine is used by one thread at a time; engines may share a model_file, which must
 * outlive them. The weights stay where the file is mapped.
 *
 * What a sequence gets depends on its tokens and on how they were cut into calls of engine_eval, never on the number of
 * threads, the context or the other sequences of a batch.
 */
#ifndef TILE_LLM_ENGINE_H
#define TILE_LLM_ENGINE_H

#include "examples/llm/model_file.h"

typedef struct engine engine;

typedef enum act_type { ACT_I8, ACT_F32 } act_type; /* activations where the weights are quantised */
typedef enum engine_mode {
    MODE_COMPILED,
    MODE_EAGER
} engine_mode; /* fused kernels, replayed; one kernel an operation */

typedef struct engine_options {
    const char *device; /* as tile_device_open takes it; NULL: "cpu" */
    int32_t threads;    /* of the CPU; 0: all */
    int64_t context;    /* positions of a sequence; 0: what the model was made for */
    int32_t sequences;  /* 0: 1 */
    act_type act;
    engine_mode mode;
    const char *kernels; /* folder of the kernel library; NULL: found */
    void (*progress)(void *ctx, const char *what, int32_t done, int32_t of); /* of compiling; NULL: not wanted */
    void *progress_ctx;
} engine_options;

typedef enum logits_want { LOGITS_NONE, LOGITS_LAST, LOGITS_ALL } logits_want;
/* rows [first, first + n) of an engine_eval's logits, f32[n, vocab] on the host; false ends the call */
typedef bool logits_fn(void *ctx, int64_t first, int64_t n, const float *rows);

/* what one kernel takes in a step: of each of its launches the fastest since engine_profile(e, true) */
typedef struct engine_time {
    const char *name; /* "matvec", "attention" */
    int64_t launches;
    double seconds;
    double bytes; /* of weights and cache read */
} engine_time;

/* engine.c */
engine *engine_open(const model_file *m, const engine_options *o, tile_error *err);
void engine_close(engine *e);
const model_params *engine_params(const engine *e);
int64_t engine_context(const engine *e);
/* bytes of weights that one token reads, and of the caches when they are full */
uint64_t engine_weight_bytes(const engine *e);
uint64_t engine_cache_bytes(const engine *e);
double engine_parameters(const engine *e); /* numbers in the model's weights */
int32_t engine_threads(const engine *e);

enum { ENGINE_CHUNK = 512 };
/* Appends n tokens to a sequence, in chunks of ENGINE_CHUNK. With LOGITS_LAST engine_logits(e, 0) is the last one's;
 * with LOGITS_ALL `fn` is given all of them. False + *err; then the sequence is as it was. */
bool engine_eval(engine *e, int32_t seq, const int32_t *ids, int64_t n, logits_want want, logits_fn *fn, void *ctx,
                 tile_error *err);
/* appends ids[i] to sequence i for i < n; engine_logits(e, i) are its logits */
bool engine_decode(engine *e, const int32_t *ids, int32_t n, tile_error *err);
/* device memory, f32[vocab], until the next call */
float *engine_logits(engine *e, int32_t row);
bool engine_read_logits(engine *e, int32_t row, float *to, tile_error *err); /* the same on the host */
/* compiles all that steps of any kind need, and runs none of it; sequence 0 is empty then (prepare.c) */
bool engine_prepare(engine *e, tile_error *err);
/* minus log of the probability that each of `rows` gives its target; rows and targets as logits_fn gets them */
bool engine_nll(engine *e, const float *rows, const int32_t *targets, int64_t n, float *out, tile_error *err);

int64_t engine_length(const engine *e, int32_t seq); /* positions filled */
void engine_truncate(engine *e, int32_t seq, int64_t length);
/* truncates to what the sequence has in common with ids[0, n), and gives how much: at most n - 1, as the last token's
 * logits are wanted */
int64_t engine_reuse(engine *e, int32_t seq, const int32_t *ids, int64_t n);

/* bytes a second that a kernel reads which does nothing else, from a buffer larger than the caches; 0 + *err */
double engine_read_rate(engine *e, tile_error *err);
/* on: launches are waited for and timed one by one; between, calls all are alike: engine_decode, or one prompt */
void engine_profile(engine *e, bool on);
/* by kernel, the longest first; valid until the next call */
const engine_time *engine_times(engine *e, uint32_t *n);

/* sampler.c */
typedef struct sampling {
    double temperature;    /* 0: the most probable token */
    int64_t top_k;         /* 0: all */
    double top_p;          /* 1: all */
    double min_p;          /* 0: all */
    double repeat_penalty; /* 1: none */
    int32_t repeat_last;   /* tokens that it looks back on */
    uint64_t seed;
} sampling;

/* The next token of row `row`'s sequence: `recent` are the tokens before it, of which repeat_last count; `step` numbers
 * the draws from one seed. */
bool engine_sample(engine *e, int32_t row, const sampling *s, const int32_t *recent, int64_t nrecent, int64_t step,
                   int32_t *id, tile_error *err);

#endif
