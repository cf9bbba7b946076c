/* forward.c: one step of a model, from token ids to logits; the families differ only in what their layers have.
 *
 *   x = embedding[ids]
 *   for each layer:
 *       h = norm(x);  q, k, v = Wq h, Wk h, Wv h (+ biases);  q, k = norm of each head (Qwen3)
 *       q, k turned by their positions; k, v into the cache
 *       x += Wo attention(q, keys, values)
 *       h = norm(x);  x += Wdown (silu(Wgate h) * Wup h)
 *   logits = head norm(x)           of the last token, or of all
 */
#include "examples/llm/engine_impl.h"

static bool self_attention(engine *e, const layer *l, const engine_step *s)
{
    const model_params *p = e->p;
    bool ok = op_norm_for(e, &l->q, e->x, &l->attn_norm, e->h, s->n) && op_qkv(e, l, e->h, s->n);
    if (ok && p->qk_norm)
        ok = op_norm_heads(e, e->q, &l->q_norm, p->heads, s->n) &&
             op_norm_heads(e, e->key, &l->k_norm, p->kv_heads, s->n);
    return ok && op_rope(e, l, e->q, e->key, e->val, s->n) && op_attention(e, l, s, e->q, e->att) &&
           op_acts(e, &l->out, e->att, s->n) && op_linear_add(e, &l->out, e->att, e->x, s->n);
}

static bool feed_forward(engine *e, const layer *l, const engine_step *s)
{
    return op_norm_for(e, &l->gate, e->x, &l->ffn_norm, e->h, s->n) && op_gate_up(e, l, e->h, e->gate, s->n) &&
           op_acts(e, &l->down, e->gate, s->n) && op_linear_add(e, &l->down, e->gate, e->x, s->n);
}

bool forward(engine *e, const engine_step *s)
{
    if (!op_embed(e, e->ids, e->x, s->n))
        return false;
    for (int32_t i = 0; i < e->p->layers; i++)
        if (!self_attention(e, &e->layers[i], s) || !feed_forward(e, &e->layers[i], s))
            return false;
    if (s->want == LOGITS_NONE)
        return true;
    if (s->want == LOGITS_ALL)
        return op_norm(e, e->x, &e->norm, e->h, s->n);
    int32_t rows = s->seq < 0 ? s->n : 1;
    e->by_row = true;
    float *last = e->x + (int64_t)(s->n - rows) * e->p->dim;
    return op_norm_for(e, &e->head, last, &e->norm, e->h, rows) && op_linear(e, &e->head, e->h, e->logits, rows);
}
