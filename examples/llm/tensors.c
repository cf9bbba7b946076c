/* tensors.c: the weights of a model as the tensors that kernels take, and for each matrix the kernels of its format.
 *
 * Matrices stay where they are: on a device that works in the process's memory a tensor points into the mapped file, on
 * others it is a copy. Quantised ones are bytes, u8[rows, blocks, bytes of a block]. Vectors (norms, biases) are few
 * and small: they become f32, whatever the file has.
 */
#include "examples/llm/engine_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tile_dtype float_type(weight_type t)
{
    return t == WT_F32 ? TILE_F32 : t == WT_F16 ? TILE_F16 : t == WT_BF16 ? TILE_BF16 : TILE_ANY;
}

void *engine_alloc(engine *e, int64_t bytes)
{
    void *p = tile_alloc(e->dev, bytes, e->err);
    if (p)
        vec_push(&e->a, &e->owned, p);
    return p;
}

static bool upload(engine *e, const void *from, uint64_t bytes, void **to)
{
    *to = engine_alloc(e, (int64_t)bytes);
    return *to && tile_write(e->dev, *to, from, (int64_t)bytes, e->err) == TILE_OK;
}

/* "decode=gguf_q4_1 QK=32", what kernels that take any format are told */
static void format_consts(const matrix *m, const char *prefix, char out[64])
{
    const weight_layout *l = weight_layout_of(m->w->type);
    int n = snprintf(out, 64, "decode=%s_%s QK=%u", prefix, l->name, l->block);
    for (int i = 12; i < n && out[i] != ' '; i++)
        out[i] = (char)tolower((unsigned char)out[i]);
}

/* the function of blocks_i8.tile for a format; NULL: none */
static const char *part_of(weight_type t)
{
    static const char *const name[WT_COUNT] = {[WT_Q8_0] = "part_q8_0",
                                               [WT_Q4_0] = "part_q4_0",
                                               [WT_Q4_1] = "part_q4_1",
                                               [WT_Q5_0] = "part_q5_0",
                                               [WT_Q5_1] = "part_q5_1",
                                               [WT_IQ4_NL] = "part_iq4_nl",
                                               [WT_Q4_K] = "part_q4_k",
                                               [WT_Q6_K] = "part_q6_k"};
    return name[t];
}

/* How many rows of `cols` values products take as one, so that their blocks fill vectors of 16: a power of two that
 * suits every weight of so many columns, as they share the activations. Long rows need none. */
static int32_t copies_for(const engine *e, int64_t cols)
{
    int32_t copies = 1;
    bool fits = true;
    for (uint32_t i = 0; i < model_weight_count(e->m); i++) {
        const weight *w = model_weight_at(e->m, i);
        int64_t blocks = cols / weight_layout_of(w->type)->block;
        if (w->rank != 2 || w->shape[1] != cols || !part_of(w->type) || blocks >= 64)
            continue;
        while (copies < 16 && blocks * copies % 16)
            copies *= 2;
    }
    for (uint32_t i = 0; i < model_weight_count(e->m); i++) {
        const weight *w = model_weight_at(e->m, i);
        fits &= w->rank != 2 || w->shape[1] != cols || w->shape[0] % copies == 0;
    }
    return fits ? copies : 1;
}

static bool of_half_bytes(weight_type t)
{
    return t == WT_Q4_0 || t == WT_Q4_1;
}

static bool in_layer(const weight *w)
{
    return w->name.n > 4 && !memcmp(w->name.p, "blk.", 4);
}

/* Whether activations of so many columns lie in planes (fused.tile): not where weights of different formats share them.
 * The embedding has its own, as the head. */
static bool planes_for(const engine *e, const weight *w)
{
    if (!of_half_bytes(w->type) || !in_layer(w))
        return of_half_bytes(w->type);
    for (uint32_t i = 0; i < model_weight_count(e->m); i++) {
        const weight *o = model_weight_at(e->m, i);
        if (o->rank == 2 && o->shape[1] == w->shape[1] && in_layer(o) && part_of(o->type) && !of_half_bytes(o->type))
            return false;
    }
    return true;
}

/* consts of the fused kernels: blocks of `copies` rows, and how many of them at a time, the same for every batch */
static int i8_consts(const matrix *m, char *out, size_t size)
{
    int64_t all = m->cols / weight_layout_of(m->w->type)->block * m->copies, step = all, least = INT64_MAX;
    for (int64_t n = 64; m->copies == 1 && all > 64 && n >= 16; n -= 16)
        if ((all + n - 1) / n * n < least) {
            least = (all + n - 1) / n * n;
            step = n;
        }
    return snprintf(out, size, "COPIES=%d PLANES=%s C=%lld KB=%lld ROWS=%d", m->copies, m->planes ? "True" : "False",
                    (long long)all, (long long)step, m->copies == 1 ? 4 : 1);
}

static bool pick_i8(engine *e, matrix *m)
{
    char consts[160];
    const char *part = part_of(m->w->type);
    if (!part || e->o.act != ACT_I8)
        return true;
    int n = i8_consts(m, consts, sizeof consts);
    snprintf(consts + n, sizeof consts - (size_t)n, " part=%s", part);
    m->i8 = kernels_find(e->lib, "llm/fused.tile", "product", consts, e->err);
    snprintf(consts + n, sizeof consts - (size_t)n, " part=%s ADD=True", part);
    m->i8_add = m->i8 ? kernels_find(e->lib, "llm/fused.tile", "product", consts, e->err) : NULL;
    return m->i8_add != NULL;
}

static bool same_blocks(const matrix *a, const matrix *b)
{
    return weight_layout_of(a->w->type)->block == weight_layout_of(b->w->type)->block;
}

/* the fused kernels of a layer */
static bool pick_fused(engine *e, layer *l)
{
    char consts[256];
    int n = i8_consts(&l->q, consts, sizeof consts);
    if (l->q.i8 && l->k.i8 && l->v.i8 && same_blocks(&l->q, &l->k) && same_blocks(&l->q, &l->v)) {
        snprintf(consts + n, sizeof consts - (size_t)n, " part_a=%s part_b=%s part_c=%s", part_of(l->q.w->type),
                 part_of(l->k.w->type), part_of(l->v.w->type));
        l->qkv = kernels_find(e->lib, "llm/fused.tile", "products", consts, e->err);
        if (!l->qkv)
            return false;
    }
    n = i8_consts(&l->gate, consts, sizeof consts);
    if (l->gate.i8 && l->up.i8 && same_blocks(&l->gate, &l->up) && !l->gate.bias.data && !l->up.bias.data) {
        snprintf(consts + n, sizeof consts - (size_t)n, " part_g=%s part_u=%s", part_of(l->gate.w->type),
                 part_of(l->up.w->type));
        l->gate_up = kernels_find(e->lib, "llm/fused.tile", "gate_up", consts, e->err);
        if (!l->gate_up)
            return false;
    }
    return true;
}

/* the kernels that multiply by weights of this type */
static bool pick_kernels(engine *e, matrix *m)
{
    char consts[128];
    m->quantised = float_type(m->w->type) == TILE_ANY;
    if (!pick_i8(e, m))
        return false;
    if (!m->quantised) {
        m->few = kernels_find(e->lib, "llm/products.tile", "rows_f32", "ROWS=8", e->err);
        m->some = kernels_find(e->lib, "llm/products.tile", "linear_f32", "BM=64 BN=128", e->err);
        m->many = kernels_find(e->lib, "llm/products.tile", "linear_f32", "BM=256 BN=128", e->err);
        return m->few && m->some && m->many;
    }
    format_consts(m, "gguf", consts);
    m->widen = kernels_find(e->lib, "dequantise.tile", "dequantise", consts, e->err);
    format_consts(m, "blocks", consts);
    m->few = kernels_find(e->lib, "matmul_gguf.tile", "matvec_gguf", consts, e->err);
    /* of many rows the rounding to bf16 loses less than that to 8 bits */
    const char *compute = e->o.act == ACT_I8 ? "bf16" : "f32";
    size_t n = strlen(consts);
    snprintf(consts + n, sizeof consts - n, " COMPUTE=%s BM=64 BN=128", compute);
    m->some = kernels_find(e->lib, "matmul_gguf.tile", "linear_gguf", consts, e->err);
    snprintf(consts + n, sizeof consts - n, " COMPUTE=%s BM=256 BN=256", compute);
    m->many = kernels_find(e->lib, "matmul_gguf.tile", "linear_gguf", consts, e->err);
    return m->widen && m->few && m->some && m->many;
}

static bool take_matrix(engine *e, const char *name, kernel_id id, matrix *m)
{
    const weight *w = model_weight(e->m, name);
    if (!w) {
        e->err->code = TILE_E_MISSING;
        snprintf(e->err->text, sizeof e->err->text, "the model has no weight '%s'", name);
        return false;
    }
    const weight_layout *l = weight_layout_of(w->type);
    tile_dtype dense = float_type(w->type);
    void *data = (void *)(uintptr_t)w->data;
    if (!e->host && !upload(e, w->data, w->bytes, &data))
        return false;
    *m = (matrix){.w = w,
                  .id = id,
                  .rows = w->shape[0],
                  .cols = w->shape[1],
                  .copies = copies_for(e, w->shape[1]),
                  .planes = planes_for(e, w)};
    m->t = dense != TILE_ANY ? tensor2(data, dense, m->rows, m->cols)
                             : tensor3(data, TILE_U8, m->rows, m->cols / l->block, l->bytes);
    return pick_kernels(e, m);
}

/* f32[n] of a vector, or of nothing where the model has none of that name */
static bool take_vector(engine *e, const char *name, tile_tensor *t)
{
    const weight *w = model_weight(e->m, name);
    *t = (tile_tensor){0};
    if (!w)
        return true;
    int64_t n = 1;
    for (uint32_t i = 0; i < w->rank; i++)
        n *= w->shape[i];
    float *host = ARENA_ARRAY(&e->a, float, (size_t)n);
    void *data = NULL;
    weight_read(w, 0, n, host);
    if (!upload(e, host, (uint64_t)n * sizeof *host, &data))
        return false;
    *t = tensor1(data, TILE_F32, n);
    return true;
}

static bool layer_matrix(engine *e, int32_t i, const char *part, bool bias, kernel_id id, matrix *m)
{
    char name[96];
    snprintf(name, sizeof name, "blk.%d.%s.weight", i, part);
    if (!take_matrix(e, name, id, m))
        return false;
    snprintf(name, sizeof name, "blk.%d.%s.bias", i, part);
    return !bias || take_vector(e, name, &m->bias);
}

static bool layer_vector(engine *e, int32_t i, const char *part, tile_tensor *t)
{
    char name[96];
    snprintf(name, sizeof name, "blk.%d.%s.weight", i, part);
    return take_vector(e, name, t);
}

static bool take_layer(engine *e, int32_t i)
{
    layer *l = &e->layers[i];
    const model_params *p = e->p;
    return layer_vector(e, i, "attn_norm", &l->attn_norm) && layer_vector(e, i, "ffn_norm", &l->ffn_norm) &&
           (!p->qk_norm ||
            (layer_vector(e, i, "attn_q_norm", &l->q_norm) && layer_vector(e, i, "attn_k_norm", &l->k_norm))) &&
           layer_matrix(e, i, "attn_q", p->qkv_bias, K_QKV, &l->q) &&
           layer_matrix(e, i, "attn_k", p->qkv_bias, K_QKV, &l->k) &&
           layer_matrix(e, i, "attn_v", p->qkv_bias, K_QKV, &l->v) &&
           layer_matrix(e, i, "attn_output", p->out_bias, K_OUT, &l->out) &&
           layer_matrix(e, i, "ffn_gate", p->ffn_bias, K_GATE, &l->gate) &&
           layer_matrix(e, i, "ffn_up", p->ffn_bias, K_GATE, &l->up) &&
           layer_matrix(e, i, "ffn_down", p->ffn_bias, K_DOWN, &l->down) && pick_fused(e, l);
}

static bool take_frequencies(engine *e)
{
    int64_t n = e->p->rope_dim / 2;
    float *host = ARENA_ARRAY(&e->a, float, (size_t)n);
    void *data = NULL;
    for (int64_t i = 0; i < n; i++)
        host[i] = (float)e->p->rope_freq[i];
    if (!upload(e, host, (uint64_t)n * sizeof *host, &data))
        return false;
    e->freq = tensor1(data, TILE_F32, n);
    return true;
}

static bool take_embedding(engine *e)
{
    if (!take_matrix(e, "token_embd.weight", K_HEAD, &e->embedding))
        return false;
    e->embed =
        e->embedding.quantised ? e->embedding.widen : kernels_find(e->lib, "embedding.tile", "embedding", "", e->err);
    return e->embed != NULL;
}

bool tensors_load(engine *e)
{
    e->layers = ARENA_ARRAY(&e->a, layer, (size_t)e->p->layers);
    for (int32_t i = 0; i < e->p->layers; i++)
        if (!take_layer(e, i))
            return false;
    if (!take_embedding(e) || !take_vector(e, "output_norm.weight", &e->norm) || !take_frequencies(e))
        return false;
    e->head = e->embedding;
    return e->p->tied || take_matrix(e, "output.weight", K_HEAD, &e->head);
}
