/* model_check.c: every tensor that the hyperparameters call for is there in its shape, and no other.
 *
 * A tensor that no line of the table names would mean a model that computes something else, so it is a fault too; the
 * few that files carry without need (`rope_freqs`, which is in the frequencies by now) are let go of. What is optional
 * decides a flag of model_params: biases and norms of q and k, in all layers or in none.
 */
#include "examples/llm/model_load.h"

#include <stdio.h>
#include <string.h>

enum { NEEDED, IF_QKV_BIAS, IF_OUT_BIAS, IF_FFN_BIAS, IF_QK_NORM };
enum { NONE, DIM, FF, Q, KV, HEAD, VOCAB };

static const struct {
    const char *name;
    uint8_t rows, cols; /* cols NONE: rank 1 */
    uint8_t when;
} in_layer[] = {
    {"attn_norm.weight", DIM, NONE, NEEDED},
    {"ffn_norm.weight", DIM, NONE, NEEDED},
    {"attn_q.weight", Q, DIM, NEEDED},
    {"attn_k.weight", KV, DIM, NEEDED},
    {"attn_v.weight", KV, DIM, NEEDED},
    {"attn_output.weight", DIM, Q, NEEDED},
    {"ffn_gate.weight", FF, DIM, NEEDED},
    {"ffn_up.weight", FF, DIM, NEEDED},
    {"ffn_down.weight", DIM, FF, NEEDED},
    {"attn_q.bias", Q, NONE, IF_QKV_BIAS},
    {"attn_k.bias", KV, NONE, IF_QKV_BIAS},
    {"attn_v.bias", KV, NONE, IF_QKV_BIAS},
    {"attn_output.bias", DIM, NONE, IF_OUT_BIAS},
    {"ffn_gate.bias", FF, NONE, IF_FFN_BIAS},
    {"ffn_up.bias", FF, NONE, IF_FFN_BIAS},
    {"ffn_down.bias", DIM, NONE, IF_FFN_BIAS},
    {"attn_q_norm.weight", HEAD, NONE, IF_QK_NORM},
    {"attn_k_norm.weight", HEAD, NONE, IF_QK_NORM},
};

static int64_t extent(const model_params *p, int what)
{
    const int64_t of[] = {[NONE] = 1,
                          [DIM] = p->dim,
                          [FF] = p->ff,
                          [Q] = (int64_t)p->heads * p->head_dim,
                          [KV] = (int64_t)p->kv_heads * p->head_dim,
                          [HEAD] = p->head_dim,
                          [VOCAB] = p->vocab};
    return of[what];
}

static str file_of(const loader *l)
{
    return l->m->maps.n ? l->m->maps.at[0]->path : S("model");
}

static bool check_tensor(loader *l, const char *name, int rows, int cols, uint32_t *used)
{
    const model_params *p = &l->m->p;
    const weight *w = model_weight(l->m, name);
    uint32_t rank = cols == NONE ? 1 : 2;
    if (!w)
        return load_fault_in(l, file_of(l), "tensor '%s' is missing", name);
    if (w->rank != rank || w->shape[0] != extent(p, rows) || w->shape[1] != extent(p, cols))
        return load_fault_in(l, file_of(l), "tensor '%s': expected %lld x %lld, found %lld x %lld%s", name,
                             (long long)extent(p, rows), (long long)extent(p, cols), (long long)w->shape[0],
                             (long long)w->shape[1], w->rank > 2 ? " x .." : "");
    if (rank == 1 && weight_layout_of(w->type)->block != 1)
        return load_fault_in(l, file_of(l), "tensor '%s' is of type %s: expected F32, F16 or BF16", name,
                             weight_layout_of(w->type)->name);
    ++*used;
    return true;
}

static bool wanted(const model_params *p, int when)
{
    switch (when) {
    case IF_QKV_BIAS:
        return p->qkv_bias;
    case IF_OUT_BIAS:
        return p->out_bias;
    case IF_FFN_BIAS:
        return p->ffn_bias;
    case IF_QK_NORM:
        return p->qk_norm;
    default:
        return true;
    }
}

static bool check_layers(loader *l, uint32_t *used)
{
    const model_params *p = &l->m->p;
    char name[64];
    for (int32_t i = 0; i < p->layers; i++) {
        for (uint32_t k = 0; k < COUNTOF(in_layer); k++) {
            (void)snprintf(name, sizeof name, "blk.%d.%s", i, in_layer[k].name);
            if (wanted(p, in_layer[k].when) && !check_tensor(l, name, in_layer[k].rows, in_layer[k].cols, used))
                return false;
        }
    }
    return true;
}

/* whether model_check has looked at the tensor of this name */
static bool is_known(const model_params *p, str name)
{
    char z[256];
    int layer, end = 0;
    if (name.n >= sizeof z)
        return false;
    memcpy(z, name.p, name.n);
    z[name.n] = 0;
    if (!strcmp(z, "token_embd.weight") || !strcmp(z, "output_norm.weight") || !strcmp(z, "rope_freqs.weight") ||
        !strcmp(z, "output.weight"))
        return true;
    if (sscanf(z, "blk.%9d.%n", &layer, &end) != 1 || !end || layer < 0 || layer >= p->layers)
        return false;
    for (uint32_t k = 0; k < COUNTOF(in_layer); k++)
        if (!strcmp(z + end, in_layer[k].name) && wanted(p, in_layer[k].when))
            return true;
    return false;
}

static bool check_others(loader *l)
{
    for (uint32_t i = 0; i < l->m->weights.n; i++)
        if (!is_known(&l->m->p, l->m->weights.at[i].name))
            return load_fault_in(l, file_of(l), "tensor '%.*s' is not one that this family has",
                                 STR_ARG(l->m->weights.at[i].name));
    return true;
}

bool model_check(loader *l)
{
    model_params *p = &l->m->p;
    const weight *table = model_weight(l->m, "token_embd.weight");
    uint32_t used = model_weight(l->m, "rope_freqs.weight") != NULL;
    bool spare_head = p->tied && model_weight(l->m, "output.weight");
    if (p->heads % p->kv_heads)
        return load_fault_in(l, file_of(l), "%d heads are not a multiple of %d key and value heads", p->heads,
                             p->kv_heads);
    if (!(p->norm_eps >= 0 && p->norm_eps < 1))
        return load_fault_in(l, file_of(l), "epsilon %g of the norms: expected 0 to 1", p->norm_eps);
    if (!table)
        return load_fault_in(l, file_of(l), "tensor 'token_embd.weight' is missing");
    if (table->shape[0] > 1 << 24 || table->shape[0] < l->m->v.n)
        return load_fault_in(l, file_of(l), "tensor 'token_embd.weight' has %lld rows for %u tokens",
                             (long long)table->shape[0], l->m->v.n);
    p->vocab = (int32_t)table->shape[0];
    p->tied = p->tied || !model_weight(l->m, "output.weight");
    p->qkv_bias = model_weight(l->m, "blk.0.attn_q.bias") != NULL;
    p->out_bias = model_weight(l->m, "blk.0.attn_output.bias") != NULL;
    p->ffn_bias = model_weight(l->m, "blk.0.ffn_down.bias") != NULL;
    p->qk_norm = p->arch == ARCH_QWEN3 || model_weight(l->m, "blk.0.attn_q_norm.weight");
    if (!check_tensor(l, "token_embd.weight", VOCAB, DIM, &used) ||
        !check_tensor(l, "output_norm.weight", DIM, NONE, &used) ||
        (!p->tied && !check_tensor(l, "output.weight", VOCAB, DIM, &used)) || !check_layers(l, &used))
        return false;
    return used + spare_head == l->m->weights.n || check_others(l);
}
