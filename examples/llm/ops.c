/* ops.c: one function an operation of the forward pass: its arguments, in its kernel's order, and the launch. */
#include "examples/llm/engine_impl.h"

#include <stdlib.h>
#include <string.h>

#define T(t) tile_arg_tensor(&(t))
#define RUN(id, bytes, ...)                                                                                            \
    op_launch(e, e->k[K_##id], K_##id, (const tile_arg[]){__VA_ARGS__},                                                \
              (int32_t)(sizeof((const tile_arg[]){__VA_ARGS__}) / sizeof(tile_arg)), (bytes))

static tile_tensor tensor_of(const void *p, tile_dtype t, int32_t rank, const int64_t *sizes)
{
    return tile_tensor_of((void *)(uintptr_t)p, t, rank, sizes);
}

tile_tensor tensor1(const void *p, tile_dtype t, int64_t n)
{
    return tensor_of(p, t, 1, &n);
}

tile_tensor tensor2(const void *p, tile_dtype t, int64_t m, int64_t n)
{
    return tensor_of(p, t, 2, (int64_t[]){m, n});
}

tile_tensor tensor3(const void *p, tile_dtype t, int64_t l, int64_t m, int64_t n)
{
    return tensor_of(p, t, 3, (int64_t[]){l, m, n});
}

/* [b, heads, s, d] over rows of tokens [b * s, heads, d] */
static tile_tensor heads_of(const float *p, int64_t b, int64_t s, int64_t heads, int64_t d)
{
    tile_tensor t = tensor_of(p, TILE_F32, 4, (int64_t[]){b, heads, s, d});
    t.strides[0] = s * heads * d;
    t.strides[1] = d;
    t.strides[2] = heads * d;
    return t;
}

/* the first `reach` positions of the caches of sequences first .. first + n */
static tile_tensor part_of(const tile_tensor *cache, int32_t first, int32_t n, int64_t reach)
{
    tile_tensor t = *cache;
    t.data = (char *)t.data + (int64_t)first * t.strides[0] * (int64_t)sizeof(uint16_t);
    t.sizes[0] = n;
    t.sizes[2] = reach;
    return t;
}

/* notes the launch's time where it is the least of its turn in a step */
static bool note_turn(engine *e, launch_time t)
{
    if (e->turn == e->turn_room) {
        uint32_t room = e->turn_room ? 2 * e->turn_room : 1024;
        launch_time *more = realloc(e->turns, room * sizeof *more);
        if (!more)
            return false;
        e->turns = more;
        e->turn_room = room;
    }
    launch_time *least = &e->turns[e->turn];
    if (e->turn++ == e->nturns)
        e->nturns++;
    else if (t.seconds >= least->seconds)
        return true;
    *least = t;
    return true;
}

bool op_launch(engine *e, tile_kernel *k, kernel_id id, const tile_arg *args, int32_t nargs, double bytes)
{
    if (e->noting)
        return warm_note(e, k, args, nargs);
    if (e->prepare)
        return tile_prepare(k, NULL, NULL, args, nargs, e->err) == TILE_OK;
    if (!e->profile)
        return tile_launch(k, NULL, NULL, args, nargs, e->err) == TILE_OK;
    double from = clock_now();
    bool ok = tile_launch(k, NULL, NULL, args, nargs, e->err) == TILE_OK && tile_sync(e->dev, e->err) == TILE_OK;
    return note_turn(e, (launch_time){id, clock_now() - from, bytes}) && ok;
}

bool op_embed(engine *e, const int32_t *ids, float *out, int32_t n)
{
    tile_tensor i = tensor1(ids, TILE_I32, n), o = tensor2(out, TILE_F32, n, e->p->dim);
    tile_arg args[] = {T(e->embedding.t), T(i), T(o), tile_arg_float(1.0)};
    return op_launch(e, e->embed, K_EMBED, args, 4, 0);
}

bool op_norm(engine *e, const float *x, const tile_tensor *w, float *y, int32_t n)
{
    tile_tensor in = tensor2(x, TILE_F32, n, e->p->dim), out = tensor2(y, TILE_F32, n, e->p->dim);
    return RUN(NORM, 0, T(in), T(*w), T(out), tile_arg_float(e->p->norm_eps));
}

/* whether a product takes 8-bit activations: only those by row have kernels that do */
static bool takes_i8(const engine *e, const matrix *w)
{
    return w->i8 && e->by_row;
}

/* the 8-bit activations of n rows of k */
typedef struct acts {
    tile_tensor q, scale, sum;
} acts;

static acts acts_of(engine *e, const matrix *w, int32_t n)
{
    int64_t k = w->cols * w->copies;
    return (acts){tensor2(e->q8, TILE_I8, n, k), tensor2(e->q8_scale, TILE_F32, n, k / 32),
                  tensor2(e->q8_sum, TILE_F32, n, k / 32)};
}

bool op_acts(engine *e, const matrix *next, const float *x, int32_t n)
{
    if (!takes_i8(e, next))
        return true;
    tile_tensor in = tensor2(x, TILE_F32, n, next->cols);
    acts a = acts_of(e, next, n);
    tile_arg args[] = {T(in), T(a.q), T(a.scale), T(a.sum)};
    return op_launch(e, e->k[next->planes ? K_AS_PLANES : K_AS_I8], K_AS_I8, args, 4, 0);
}

bool op_norm_for(engine *e, const matrix *next, const float *x, const tile_tensor *w, float *y, int32_t n)
{
    if (!takes_i8(e, next) || e->o.mode == MODE_EAGER)
        return op_norm(e, x, w, y, n) && op_acts(e, next, y, n);
    tile_tensor in = tensor2(x, TILE_F32, n, e->p->dim), out = tensor2(y, TILE_F32, n, e->p->dim);
    acts a = acts_of(e, next, n);
    tile_arg args[] = {T(in), T(*w), T(out), T(a.q), T(a.scale), T(a.sum), tile_arg_float(e->p->norm_eps)};
    return op_launch(e, e->k[next->planes ? K_NORM_PLANES : K_NORM_I8], K_NORM, args, 7, 0);
}

bool op_norm_heads(engine *e, float *x, const tile_tensor *w, int32_t heads, int32_t n)
{
    tile_tensor t = tensor3(x, TILE_F32, n, heads, e->p->head_dim);
    return RUN(NORM_HEADS, 0, T(t), T(*w), T(t), tile_arg_float(e->p->norm_eps));
}

#define BYTES(w) tile_arg_ptr((w).t.data, TILE_U8)
#define BIAS(w) ((w).bias.data ? T((w).bias) : tile_arg_none())

static bool linear_i8(engine *e, tile_kernel *k, const matrix *w, float *y, int32_t n)
{
    tile_tensor out = tensor2(y, TILE_F32, n, w->rows);
    acts a = acts_of(e, w, n);
    tile_arg args[] = {BYTES(*w), T(a.q), T(a.scale), T(a.sum), BIAS(*w), T(out)};
    return op_launch(e, k, w->id, args, 6, (double)w->w->bytes);
}

/* Rows that a product of many is asked for: whole tiles, as cut ones are slow. Buffers of a step have CHUNK rows, a
 * multiple of it; what the rows behind the last one hold matters to nobody. */
static int32_t whole_tiles(int32_t n)
{
    return (n + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
}

/* y = W x + bias, and + y where `add`; plain floats have no kernel for that */
static bool linear_float(engine *e, const matrix *w, const float *x, float *y, int32_t n, bool add)
{
    if (!e->by_row)
        n = whole_tiles(n);
    tile_tensor in = tensor2(x, TILE_F32, n, w->cols), out = tensor2(y, TILE_F32, n, w->rows);
    tile_kernel *k = e->by_row ? w->few : n % (4 * TILE_ROWS) ? w->some : w->many;
    tile_arg dense[] = {T(in), T(w->t), BIAS(*w), T(out)};
    tile_arg blocks[] = {T(in), T(w->t), BIAS(*w), add ? T(out) : tile_arg_none(), T(out)};
    return w->quantised ? op_launch(e, k, w->id, blocks, 5, (double)w->w->bytes)
                        : op_launch(e, k, w->id, dense, 4, (double)w->w->bytes);
}

bool op_linear(engine *e, const matrix *w, const float *x, float *y, int32_t n)
{
    return takes_i8(e, w) ? linear_i8(e, w->i8, w, y, n) : linear_float(e, w, x, y, n, false);
}

bool op_linear_add(engine *e, const matrix *w, const float *x, float *y, int32_t n)
{
    if (e->o.mode == MODE_COMPILED && takes_i8(e, w))
        return linear_i8(e, w->i8_add, w, y, n);
    if (e->o.mode == MODE_COMPILED && w->quantised)
        return linear_float(e, w, x, y, n, true);
    return op_linear(e, w, x, e->h, n) && RUN(ADD, 0, tile_arg_ptr(y, TILE_F32), tile_arg_ptr(e->h, TILE_F32),
                                              tile_arg_ptr(y, TILE_F32), tile_arg_int((int64_t)n * w->rows));
}

bool op_qkv(engine *e, const layer *l, const float *x, int32_t n)
{
    if (!l->qkv || !e->by_row || e->o.mode == MODE_EAGER)
        return op_linear(e, &l->q, x, e->q, n) && op_linear(e, &l->k, x, e->key, n) &&
               op_linear(e, &l->v, x, e->val, n);
    acts a = acts_of(e, &l->q, n);
    tile_tensor q = tensor2(e->q, TILE_F32, n, l->q.rows), k = tensor2(e->key, TILE_F32, n, l->k.rows);
    tile_tensor v = tensor2(e->val, TILE_F32, n, l->v.rows);
    tile_arg args[] = {BYTES(l->q), BYTES(l->k), BYTES(l->v), T(a.q), T(a.scale), T(a.sum),
                       BIAS(l->q),  BIAS(l->k),  BIAS(l->v),  T(q),   T(k),       T(v)};
    return op_launch(e, l->qkv, K_QKV, args, 12, (double)(l->q.w->bytes + l->k.w->bytes + l->v.w->bytes));
}

bool op_gate_up(engine *e, const layer *l, const float *x, float *y, int32_t n)
{
    if (!l->gate_up || !e->by_row || e->o.mode == MODE_EAGER)
        return op_linear(e, &l->gate, x, y, n) && op_linear(e, &l->up, x, e->up, n) &&
               RUN(SILU, 0, tile_arg_ptr(y, TILE_F32), tile_arg_ptr(e->up, TILE_F32), tile_arg_ptr(y, TILE_F32),
                   tile_arg_int((int64_t)n * e->p->ff));
    acts a = acts_of(e, &l->gate, n);
    tile_tensor out = tensor2(y, TILE_F32, n, e->p->ff);
    tile_arg args[] = {BYTES(l->gate), BYTES(l->up), T(a.q), T(a.scale), T(a.sum), T(out)};
    return op_launch(e, l->gate_up, K_GATE, args, 6, (double)(l->gate.w->bytes + l->up.w->bytes));
}

bool op_rope(engine *e, const layer *l, float *q, const float *k, const float *v, int32_t n)
{
    const model_params *p = e->p;
    tile_tensor tq = tensor3(q, TILE_F32, n, p->heads, p->head_dim);
    tile_tensor tk = tensor3(k, TILE_F32, n, p->kv_heads, p->head_dim);
    tile_tensor tv = tensor3(v, TILE_F32, n, p->kv_heads, p->head_dim);
    tile_tensor pos = tensor1(e->pos, TILE_I32, n), seq = tensor1(e->seqs, TILE_I32, n);
    return RUN(ROPE, 0, T(tq), T(tk), T(tv), T(tq), T(l->keys), T(l->values), T(e->freq), T(pos), T(seq),
               tile_arg_float(p->rope_scale));
}

bool op_attention(engine *e, const layer *l, const engine_step *s, const float *q, float *out)
{
    const model_params *p = e->p;
    bool one = s->seq < 0;
    tile_tensor keys = part_of(&l->keys, one ? 0 : s->seq, one ? s->n : 1, s->reach);
    tile_tensor values = part_of(&l->values, one ? 0 : s->seq, one ? s->n : 1, s->reach);
    tile_tensor lens = tensor1(e->lens, TILE_I32, one ? s->n : 1);
    tile_arg scale = tile_arg_float(e->attention_scale);
    double bytes = 2.0 * (double)(e->filled * p->kv_heads * p->head_dim) * sizeof(uint16_t);
    if (one) {
        tile_tensor tq = tensor3(q, TILE_F32, s->n, p->heads, p->head_dim);
        tile_tensor to = tensor3(out, TILE_F32, s->n, p->heads, p->head_dim);
        return RUN(DECODE, bytes, T(tq), T(keys), T(values), T(lens), T(to), scale);
    }
    tile_tensor tq = heads_of(q, 1, s->n, p->heads, p->head_dim), to = heads_of(out, 1, s->n, p->heads, p->head_dim);
    return RUN(PREFILL, bytes, T(tq), T(keys), T(values), T(lens), T(to), scale);
}

#undef BIAS
#undef BYTES
#undef T
#undef RUN
