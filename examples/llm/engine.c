/* engine.c: opens an engine, and cuts what is asked of it into steps.
 *
 * Everything that a step needs is made here once: kernels found, weights as tensors, buffers for CHUNK tokens. A prompt
 * goes through in chunks of CHUNK tokens, counted from its own start. Token ids, positions and lengths reach kernels
 * through memory, so that a captured step can be replayed at another position.
 */
#include "examples/llm/engine_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool fail(tile_error *err, tile_code code, const char *text)
{
    err->code = code;
    snprintf(err->text, sizeof err->text, "%s", text);
    return false;
}

/* a kernel's consts with what the model says put in */
static void consts_of(const model_params *p, const char *text, char *out, size_t size)
{
    if (!strcmp(text, "PAIRS=$PAIRS"))
        snprintf(out, size, "PAIRS=%s", p->rope_interleaved ? "interleaved" : "half");
    else if (!strcmp(text, "WINDOW=$WINDOW"))
        snprintf(out, size, "WINDOW=%d", p->window);
    else
        snprintf(out, size, "%s", text);
}

static bool find_kernels(engine *e)
{
    static const struct {
        const char *file, *name, *consts, *label;
    } all[] = {
#define KERNEL(id, file, name, consts, label) {file, name, consts, label},
#include "examples/llm/kernels.def"
#undef KERNEL
    };
    for (int i = 0; i < K_COUNT; i++) {
        char consts[64];
        e->labels[i] = all[i].label;
        if (!all[i].file)
            continue;
        consts_of(e->p, all[i].consts, consts, sizeof consts);
        e->k[i] = kernels_find(e->lib, all[i].file, all[i].name, consts, e->err);
        if (!e->k[i])
            return false;
    }
    return true;
}

static bool floats(engine *e, float **to, int64_t rows, int64_t cols)
{
    *to = engine_alloc(e, rows * cols * (int64_t)sizeof(float));
    return *to != NULL;
}

static bool ints(engine *e, int32_t **to, int64_t n)
{
    *to = engine_alloc(e, n * (int64_t)sizeof(int32_t));
    return *to && tile_fill(e->dev, NULL, *to, 0, n * (int64_t)sizeof(int32_t), e->err) == TILE_OK;
}

/* LOGIT_ROWS rows, as many as are taken one by one, of the widest activations, in their copies */
static bool make_i8_buffers(engine *e)
{
    int64_t most = 32;
    for (int32_t i = 0; i < e->p->layers; i++) {
        const layer *l = &e->layers[i];
        const matrix *all[] = {&l->q, &l->out, &l->gate, &l->down, &e->head};
        for (size_t k = 0; k < COUNTOF(all); k++)
            if (all[k]->cols * all[k]->copies > most)
                most = all[k]->cols * all[k]->copies;
    }
    e->q8 = engine_alloc(e, LOGIT_ROWS * most);
    return e->q8 && floats(e, &e->q8_scale, LOGIT_ROWS, most / 32) && floats(e, &e->q8_sum, LOGIT_ROWS, most / 32);
}

static bool make_buffers(engine *e)
{
    const model_params *p = e->p;
    int64_t n = CHUNK, few = e->o.sequences > LOGIT_ROWS ? e->o.sequences : LOGIT_ROWS;
    int64_t wide = p->dim > p->heads * p->head_dim ? p->dim : p->heads * p->head_dim;
    e->seeds = engine_alloc(e, few * (int64_t)sizeof *e->seeds);
    return make_i8_buffers(e) && e->seeds && ints(e, &e->ids, n) && ints(e, &e->pos, n) && ints(e, &e->seqs, n) &&
           ints(e, &e->lens, e->o.sequences) && ints(e, &e->picked, few) && ints(e, &e->recent, REPEAT_LIMIT) &&
           floats(e, &e->x, n, p->dim) && floats(e, &e->h, n, wide) &&
           floats(e, &e->q, n, (int64_t)p->heads * p->head_dim) &&
           floats(e, &e->key, n, (int64_t)p->kv_heads * p->head_dim) &&
           floats(e, &e->val, n, (int64_t)p->kv_heads * p->head_dim) &&
           floats(e, &e->att, n, (int64_t)p->heads * p->head_dim) && floats(e, &e->gate, n, p->ff) &&
           floats(e, &e->up, n, p->ff) && floats(e, &e->logits, few, p->vocab) && floats(e, &e->nll, few, 1) &&
           floats(e, &e->lse, few, 1);
}

static bool open_parts(engine *e)
{
    const char *device = e->o.device ? e->o.device : "cpu";
    char threads[32];
    e->host = !strncmp(device, "cpu", 3) || !strcmp(device, "interp");
    if (e->o.threads > 0 && !strcmp(device, "cpu")) {
        snprintf(threads, sizeof threads, "cpu:threads=%d", e->o.threads);
        device = threads;
    }
    e->dev = tile_device_open(device, e->err);
    if (!e->dev)
        return false;
    e->lib = kernels_new(e->dev, e->o.kernels, e->err);
    return e->lib && find_kernels(e) && tensors_load(e) && kv_init(e) && make_buffers(e);
}

typedef struct open_job {
    engine *e;
    bool ok;
} open_job;

static void open_inside(void *ctx)
{
    open_job *j = ctx;
    j->ok = open_parts(j->e);
}

engine *engine_open(const model_file *m, const engine_options *o, tile_error *err)
{
    engine *e = calloc(1, sizeof *e);
    tile_error dropped;
    err = err ? err : &dropped;
    if (!e) {
        fail(err, TILE_E_MEMORY, "out of memory");
        return NULL;
    }
    arena_init(&e->a, 0);
    e->m = m;
    e->p = model_get_params(m);
    e->o = *o;
    e->err = err;
    e->attention_scale = 1.0 / sqrt(e->p->head_dim);
    if (e->o.context <= 0)
        e->o.context = e->p->context;
    if (e->o.sequences <= 0)
        e->o.sequences = 1;
    open_job j = {.e = e};
    bool whole = arena_try(&e->a, open_inside, &j);
    if (!whole)
        fail(err, TILE_E_MEMORY, "no memory for the model's tables");
    if (whole && j.ok)
        return e;
    engine_close(e);
    return NULL;
}

void engine_close(engine *e)
{
    if (!e)
        return;
    for (int i = 0; i <= FEW; i++)
        if (e->replays[i].graph)
            tile_graph_destroy(e->replays[i].graph);
    kernels_free(e->lib);
    if (e->dev) {
        kv_fini(e);
        for (uint32_t i = 0; i < e->owned.n; i++)
            tile_free(e->dev, e->owned.at[i]);
        tile_device_close(e->dev);
    }
    free(e->turns);
    arena_fini(&e->a);
    free(e);
}

const model_params *engine_params(const engine *e)
{
    return e->p;
}

int64_t engine_context(const engine *e)
{
    return e->o.context;
}

uint64_t engine_weight_bytes(const engine *e)
{
    uint64_t all = model_bytes(e->m);
    return e->p->tied ? all : all - e->embedding.w->bytes;
}

double engine_parameters(const engine *e)
{
    double all = 0;
    for (uint32_t i = 0; i < model_weight_count(e->m); i++) {
        const weight *w = model_weight_at(e->m, i);
        all += (double)w->bytes / weight_layout_of(w->type)->bytes * weight_layout_of(w->type)->block;
    }
    return all;
}

int32_t engine_threads(const engine *e)
{
    return e->o.threads > 0 ? e->o.threads : (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
}

uint64_t engine_cache_bytes(const engine *e)
{
    return e->kv.bytes;
}

float *engine_logits(engine *e, int32_t row)
{
    return e->logits + (int64_t)row * e->p->vocab;
}

bool engine_read_logits(engine *e, int32_t row, float *to, tile_error *err)
{
    return tile_read(e->dev, to, engine_logits(e, row), (int64_t)e->p->vocab * (int64_t)sizeof *to, err) == TILE_OK;
}

static bool put(engine *e, int32_t *to, const int32_t *from, int32_t n)
{
    return tile_write(e->dev, to, from, n * (int64_t)sizeof *from, e->err) == TILE_OK;
}

static bool check_ids(const engine *e, const int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= e->p->vocab) {
            e->err->code = TILE_E_ARGUMENT;
            snprintf(e->err->text, sizeof e->err->text, "token %d is not in the vocabulary of %d", ids[i], e->p->vocab);
            return false;
        }
    return true;
}

static bool check_room(engine *e, int64_t length, int64_t n)
{
    if (length + n <= e->o.context)
        return true;
    e->err->code = TILE_E_ARGUMENT;
    snprintf(e->err->text, sizeof e->err->text, "%lld tokens do not fit the context of %lld", (long long)(length + n),
             (long long)e->o.context);
    return false;
}

/* the logits of a chunk's tokens, LOGIT_ROWS at a time, to fn */
static bool all_logits(engine *e, const engine_step *s, int64_t first, logits_fn *fn, void *ctx)
{
    for (int32_t i = 0; i < s->n; i += LOGIT_ROWS) {
        int32_t n = s->n - i < LOGIT_ROWS ? s->n - i : LOGIT_ROWS;
        const float *h = e->h + (int64_t)i * e->p->dim;
        if (!op_acts(e, &e->head, h, n) || !op_linear(e, &e->head, h, e->logits, n))
            return false;
        float *rows = e->logits;
        int64_t bytes = (int64_t)n * e->p->vocab * (int64_t)sizeof *rows;
        if (!e->host && !e->rows && !(e->rows = ARENA_ARRAY(&e->a, float, (size_t)LOGIT_ROWS *(size_t)e->p->vocab)))
            return false;
        if (!e->host) {
            rows = e->rows;
            if (tile_read(e->dev, rows, e->logits, bytes, e->err) != TILE_OK)
                return false;
        }
        if (!fn(ctx, first + i, n, rows))
            return fail(e->err, TILE_E_ARGUMENT, "stopped");
    }
    return true;
}

/* launches are made for caches of a power of two of positions: what kernels are told changes seldom */
static int64_t reach_of(const engine *e, int64_t length)
{
    int64_t n = 512;
    while (n < length)
        n *= 2;
    return n < e->o.context ? n : e->o.context;
}

/* one chunk of a prompt, at the end of its sequence */
static bool eval_chunk(engine *e, int32_t seq, const int32_t *ids, int32_t n, logits_want want)
{
    int32_t pos[CHUNK], seqs[CHUNK], length = (int32_t)(e->kv.length[seq] + n);
    engine_step s = {.n = n, .seq = seq, .reach = reach_of(e, length), .want = want};
    e->filled = length;
    e->by_row = n <= SHORT;
    for (int32_t i = 0; i < n; i++) {
        pos[i] = length - n + i;
        seqs[i] = seq;
    }
    if (!put(e, e->ids, ids, n) || !put(e, e->pos, pos, n) || !put(e, e->seqs, seqs, n) ||
        !put(e, e->lens, &length, 1) || !warm_prompt(e, &s, reach_of(e, length + 1)) || !forward(e, &s))
        return false;
    kv_note(e, seq, ids, n);
    return true;
}

static bool eval(engine *e, int32_t seq, const int32_t *ids, int64_t n, logits_want want, logits_fn *fn, void *ctx)
{
    for (int64_t i = 0; i < n; i += CHUNK) {
        int32_t m = n - i < CHUNK ? (int32_t)(n - i) : CHUNK;
        logits_want w = want == LOGITS_LAST && i + m < n ? LOGITS_NONE : want;
        engine_step s = {.n = m};
        if (!eval_chunk(e, seq, ids + i, m, w) || (want == LOGITS_ALL && !all_logits(e, &s, i, fn, ctx)))
            return false;
    }
    return true;
}

bool engine_eval(engine *e, int32_t seq, const int32_t *ids, int64_t n, logits_want want, logits_fn *fn, void *ctx,
                 tile_error *err)
{
    tile_error dropped;
    e->err = err ? err : &dropped;
    int64_t before = e->kv.length[seq];
    e->turn = 0;
    if (n <= 0)
        return fail(e->err, TILE_E_ARGUMENT, "no tokens to evaluate");
    bool ok = check_ids(e, ids, n) && check_room(e, before, n) && eval(e, seq, ids, n, want, fn, ctx);
    if (!ok)
        e->kv.length[seq] = before;
    return ok;
}

/* the step as a graph: its launches are prepared, then noted */
static bool capture(engine *e, const engine_step *s, replay *r)
{
    bool ok = warm_steps(e, &s, 1);
    if (!ok || tile_capture_begin(e->dev, NULL, e->err) != TILE_OK)
        return false;
    ok = forward(e, s);
    tile_error first = *e->err, *err = ok ? e->err : &first;
    tile_graph *g = tile_capture_end(e->dev, NULL, err);
    if (!ok)
        *e->err = first;
    if (r->graph)
        tile_graph_destroy(r->graph);
    *r = (replay){ok ? g : NULL, s->reach};
    if (!ok && g)
        tile_graph_destroy(g);
    return r->graph != NULL;
}

static bool run_step(engine *e, const engine_step *s)
{
    if (e->o.mode == MODE_EAGER || e->profile || s->n > FEW)
        return forward(e, s);
    replay *r = &e->replays[s->n];
    return ((r->graph && r->reach == s->reach) || capture(e, s, r)) &&
           tile_graph_replay(r->graph, NULL, e->err) == TILE_OK;
}

bool engine_decode(engine *e, const int32_t *ids, int32_t n, tile_error *err)
{
    tile_error dropped;
    e->err = err ? err : &dropped;
    int32_t pos[LOGIT_ROWS], lens[LOGIT_ROWS], seqs[LOGIT_ROWS];
    int64_t longest = 0;
    if (n < 1 || n > e->o.sequences || n > LOGIT_ROWS)
        return fail(e->err, TILE_E_ARGUMENT, "more sequences than the engine was opened for");
    e->turn = 0;
    e->filled = 0;
    e->by_row = true; /* a batch must give what each of its sequences gives alone */
    for (int32_t i = 0; i < n; i++) {
        if (!check_room(e, e->kv.length[i], 1))
            return false;
        pos[i] = (int32_t)e->kv.length[i];
        lens[i] = pos[i] + 1;
        seqs[i] = i;
        longest = lens[i] > longest ? lens[i] : longest;
        e->filled += lens[i];
    }
    engine_step s = {.n = n, .seq = -1, .reach = reach_of(e, longest), .want = LOGITS_LAST};
    if (!check_ids(e, ids, n) || !put(e, e->ids, ids, n) || !put(e, e->pos, pos, n) || !put(e, e->lens, lens, n) ||
        !put(e, e->seqs, seqs, n) || !run_step(e, &s))
        return false;
    for (int32_t i = 0; i < n; i++)
        kv_note(e, i, &ids[i], 1);
    return true;
}

bool engine_nll(engine *e, const float *rows, const int32_t *targets, int64_t n, float *out, tile_error *err)
{
    tile_error dropped, *outer = e->err; /* of the engine_eval that this may be called from */
    e->err = err ? err : &dropped;
    (void)rows; /* the host's copy of e->logits, where the device has memory of its own */
    tile_tensor logits = tensor2(e->logits, TILE_F32, n, e->p->vocab);
    tile_tensor target = tensor1(e->picked, TILE_I32, n), cost = tensor1(e->nll, TILE_F32, n);
    tile_tensor lse = tensor1(e->lse, TILE_F32, n);
    tile_arg args[] = {tile_arg_tensor(&logits), tile_arg_tensor(&target), tile_arg_tensor(&cost),
                       tile_arg_tensor(&lse)};
    bool ok = put(e, e->picked, targets, (int32_t)n) && op_launch(e, e->k[K_NLL], K_NLL, args, 4, 0) &&
              tile_read(e->dev, out, e->nll, n * (int64_t)sizeof *out, e->err) == TILE_OK;
    e->err = outer;
    return ok;
}

double engine_read_rate(engine *e, tile_error *err)
{
    enum { WORDS = 65536, PROGRAMS = 1024, TIMES = 12 }; /* of a program; 256 MiB in all */
    tile_error dropped;
    e->err = err ? err : &dropped;
    int64_t bytes = (int64_t)WORDS * PROGRAMS * 4;
    double best = 0;
    void *p = tile_alloc(e->dev, bytes + PROGRAMS * 4, e->err);
    bool ok = p && tile_fill(e->dev, NULL, p, 1, bytes, e->err) == TILE_OK;
    tile_tensor x = tensor1(p, TILE_U32, (int64_t)WORDS * PROGRAMS);
    tile_tensor out = tensor1((char *)p + bytes, TILE_U32, PROGRAMS);
    tile_arg args[] = {tile_arg_tensor(&x), tile_arg_tensor(&out)};
    for (int i = 0; ok && i <= TIMES; i++) {
        double from = clock_now();
        ok = op_launch(e, e->k[K_READ], K_READ, args, 2, 0) && tile_sync(e->dev, e->err) == TILE_OK;
        double rate = (double)bytes / (clock_now() - from);
        if (i > 0 && rate > best) /* the first compiles */
            best = rate;
    }
    if (p)
        tile_free(e->dev, p);
    return ok ? best : 0;
}

void engine_profile(engine *e, bool on)
{
    e->profile = on;
    e->nturns = 0;
}

static int slower_first(const void *a, const void *b)
{
    double x = ((const engine_time *)a)->seconds, y = ((const engine_time *)b)->seconds;
    return x < y ? 1 : x > y ? -1 : 0;
}

const engine_time *engine_times(engine *e, uint32_t *n)
{
    engine_time all[K_COUNT] = {0};
    for (uint32_t i = 0; i < e->nturns; i++) {
        const launch_time *l = &e->turns[i];
        engine_time *t = &all[l->id];
        *t = (engine_time){e->labels[l->id], t->launches + 1, t->seconds + l->seconds, t->bytes + l->bytes};
    }
    *n = 0;
    for (int i = 0; i < K_COUNT; i++)
        if (all[i].launches)
            e->sorted[(*n)++] = all[i];
    qsort(e->sorted, *n, sizeof *e->sorted, slower_first);
    return e->sorted;
}
