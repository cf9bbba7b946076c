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
static void format_consts(const matrix *m, char out[64])
{
    const weight_layout *l = weight_layout_of(m->w->type);
    int n = snprintf(out, 64, "decode=gguf_%s QK=%u", l->name, l->block);
    for (int i = 12; i < n && out[i] != ' '; i++)
        out[i] = (char)tolower((unsigned char)out[i]);
}

/* the kernels that multiply by weights of this type */
static bool pick_kernels(engine *e, matrix *m)
{
    char consts[64];
    m->quantised = float_type(m->w->type) == TILE_ANY;
    if (!m->quantised) {
        m->few = kernels_find(e->lib, "llm/products.tile", "linear_f32", "BM=1 BN=16 BK=64", e->err);
        m->many = e->k[K_DENSE];
    } else {
        format_consts(m, consts);
        m->few = kernels_find(e->lib, "llm/products.tile", "matvec_any", consts, e->err);
        m->many = m->few ? kernels_find(e->lib, "dequantise.tile", "dequantise", consts, e->err) : NULL;
    }
    return m->few && m->many;
}

static bool take_matrix(engine *e, const char *name, matrix *m)
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
    *m = (matrix){.w = w, .rows = w->shape[0], .cols = w->shape[1]};
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

static bool layer_matrix(engine *e, int32_t i, const char *part, bool bias, matrix *m)
{
    char name[96];
    snprintf(name, sizeof name, "blk.%d.%s.weight", i, part);
    if (!take_matrix(e, name, m))
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
           layer_matrix(e, i, "attn_q", p->qkv_bias, &l->q) && layer_matrix(e, i, "attn_k", p->qkv_bias, &l->k) &&
           layer_matrix(e, i, "attn_v", p->qkv_bias, &l->v) &&
           layer_matrix(e, i, "attn_output", p->out_bias, &l->out) &&
           layer_matrix(e, i, "ffn_gate", p->ffn_bias, &l->gate) && layer_matrix(e, i, "ffn_up", p->ffn_bias, &l->up) &&
           layer_matrix(e, i, "ffn_down", p->ffn_bias, &l->down);
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
    if (!take_matrix(e, "token_embd.weight", &e->embedding))
        return false;
    e->embed =
        e->embedding.quantised ? e->embedding.many : kernels_find(e->lib, "embedding.tile", "embedding", "", e->err);
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
    return e->p->tied || take_matrix(e, "output.weight", &e->head);
}
