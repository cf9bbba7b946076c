/* hf_config.c: config.json of a safetensors model -> hyperparameters.
 *
 * Absent keys have the defaults of the families' own configuration classes. What the file asks for beyond these
 * families (experts, another activation, quantised weights, other rope scalings) is a fault that names the key.
 */
#include "examples/llm/model_load.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

typedef struct config {
    loader *l;
    str path;
    const json_t *root;
} config;

json_t *load_json(loader *l, str path, bool needed)
{
    json_error_t why;
    if (!needed && !file_exists(str_cstr(l->a, path)))
        return NULL;
    const file_map *f = load_map(l, path);
    if (!f)
        return NULL;
    vec_reserve(l->a, &l->docs, l->docs.n + 1);
    json_t *doc = json_loadb(f->at ? (const char *)f->at : "", f->size, JSON_ALLOW_NUL, &why);
    if (!doc) {
        load_fault(l, f, (uint64_t)(why.position > 0 ? why.position : 0), "%s", why.text);
        return NULL;
    }
    vec_push(l->a, &l->docs, doc);
    if (!json_is_object(doc)) {
        load_fault(l, f, 0, "expected an object");
        return NULL;
    }
    return doc;
}

static bool get_int(config *c, const char *key, int64_t low, int64_t high, int64_t *out)
{
    const json_t *v = json_object_get(c->root, key);
    if (!v || json_is_null(v))
        return *out >= low || load_fault_in(c->l, c->path, "'%s' is missing", key);
    if (!json_is_integer(v))
        return load_fault_in(c->l, c->path, "'%s' is no integer", key);
    *out = json_integer_value(v);
    if (*out < low || *out > high)
        return load_fault_in(c->l, c->path, "'%s' is %lld: expected %lld to %lld", key, (long long)*out, (long long)low,
                             (long long)high);
    return true;
}

static bool get_number(config *c, const json_t *in, const char *key, double *out)
{
    const json_t *v = json_object_get(in, key);
    if (!v || json_is_null(v))
        return true;
    if (!json_is_number(v))
        return load_fault_in(c->l, c->path, "'%s' is no number", key);
    *out = json_number_value(v);
    return true;
}

static bool is_true(const json_t *in, const char *key)
{
    return json_is_true(json_object_get(in, key));
}

static bool read_arch(config *c)
{
    static const struct {
        const char *name;
        model_arch arch;
    } known[] = {{"llama", ARCH_LLAMA}, {"mistral", ARCH_LLAMA}, {"qwen2", ARCH_QWEN2}, {"qwen3", ARCH_QWEN3}};
    const char *type = json_string_value(json_object_get(c->root, "model_type"));
    const char *act = json_string_value(json_object_get(c->root, "hidden_act"));
    const json_t *quant = json_object_get(c->root, "quantization_config");
    if (act && strcmp(act, "silu") != 0)
        return load_fault_in(c->l, c->path, "'hidden_act' is '%.80s': expected 'silu'", act);
    if (quant && !json_is_null(quant))
        return load_fault_in(c->l, c->path, "'quantization_config': quantised safetensors are not read here");
    for (uint32_t i = 0; type && i < COUNTOF(known); i++) {
        if (strcmp(type, known[i].name) == 0) {
            c->l->m->p.arch = known[i].arch;
            return true;
        }
    }
    return load_fault_in(c->l, c->path, "'model_type' is '%.80s': expected 'llama', 'mistral', 'qwen2' or 'qwen3'",
                         type ? type : "(none)");
}

static bool read_dims(config *c)
{
    model_params *p = &c->l->m->p;
    int64_t layers = 0, dim = 0, ff = 0, heads = 0, context = 0, window = 0, windowed_from = 0;
    if (!get_int(c, "num_hidden_layers", 1, 4096, &layers) || !get_int(c, "hidden_size", 1, 1 << 20, &dim) ||
        !get_int(c, "intermediate_size", 1, 1 << 22, &ff) || !get_int(c, "num_attention_heads", 1, 1 << 14, &heads) ||
        !get_int(c, "max_position_embeddings", 1, 1 << 27, &context))
        return false;
    int64_t kv = heads, head = dim / heads;
    p->norm_eps = 1e-6;
    if (!get_int(c, "num_key_value_heads", 1, heads, &kv) || !get_int(c, "head_dim", 2, 1 << 14, &head) ||
        !get_int(c, "sliding_window", 0, 1 << 27, &window) ||
        !get_int(c, "max_window_layers", 0, 1 << 20, &windowed_from) ||
        !get_number(c, c->root, "rms_norm_eps", &p->norm_eps))
        return false;
    const json_t *use = json_object_get(c->root, "use_sliding_window");
    if (use && !json_is_true(use))
        window = 0;
    if (use && windowed_from >= layers)
        window = 0; /* the layers from there on have it */
    if (window && use && windowed_from > 0)
        return load_fault_in(c->l, c->path, "'max_window_layers': a sliding window in some layers is not read here");
    p->layers = (int32_t)layers, p->dim = (int32_t)dim, p->ff = (int32_t)ff, p->heads = (int32_t)heads;
    p->kv_heads = (int32_t)kv, p->head_dim = (int32_t)head, p->context = (int32_t)context;
    p->window = window < context ? (int32_t)window : 0;
    p->tied = is_true(c->root, "tie_word_embeddings");
    return true;
}

static bool read_rope_kind(config *c, const json_t *scaling, rope_spec *s)
{
    const char *kind = json_string_value(json_object_get(scaling, "rope_type"));
    if (!kind)
        kind = json_string_value(json_object_get(scaling, "type"));
    if (!kind || !strcmp(kind, "default"))
        s->kind = ROPE_PLAIN;
    else if (!strcmp(kind, "linear"))
        s->kind = ROPE_LINEAR;
    else if (!strcmp(kind, "llama3"))
        s->kind = ROPE_LLAMA3;
    else if (!strcmp(kind, "yarn"))
        s->kind = ROPE_YARN;
    else
        return load_fault_in(c->l, c->path, "rope scaling '%.80s' is not known: expected 'linear', 'llama3' or 'yarn'",
                             kind);
    return true;
}

/* `rope_scaling` beside `rope_theta`, or both in `rope_parameters` */
static bool read_rope(config *c)
{
    model_params *p = &c->l->m->p;
    rope_spec s = {.base = 10000,
                   .factor = 1,
                   .original = p->context,
                   .low = 1,
                   .high = 4,
                   .beta_fast = 32,
                   .beta_slow = 1,
                   .attention = NAN};
    const json_t *scaling = json_object_get(c->root, "rope_parameters");
    double part = 1;
    if (!json_is_object(scaling))
        scaling = json_object_get(c->root, "rope_scaling");
    if (!get_number(c, c->root, "rope_theta", &s.base) || !get_number(c, scaling, "rope_theta", &s.base) ||
        !get_number(c, c->root, "partial_rotary_factor", &part) || !read_rope_kind(c, scaling, &s) ||
        !get_number(c, scaling, "factor", &s.factor) || !get_number(c, scaling, "low_freq_factor", &s.low) ||
        !get_number(c, scaling, "high_freq_factor", &s.high) || !get_number(c, scaling, "beta_fast", &s.beta_fast) ||
        !get_number(c, scaling, "beta_slow", &s.beta_slow) ||
        !get_number(c, scaling, "attention_factor", &s.attention) ||
        !get_number(c, scaling, "original_max_position_embeddings", &s.original))
        return false;
    if (!(part > 0 && part <= 1))
        return load_fault_in(c->l, c->path, "'partial_rotary_factor' is %g: expected above 0, at most 1", part);
    p->rope_dim = (int32_t)(p->head_dim * part);
    if (p->rope_dim < 2 || p->rope_dim % 2)
        return load_fault_in(c->l, c->path, "rotary embedding of %d elements of a head: expected an even number",
                             p->rope_dim);
    return rope_build(c->l, &s, c->path);
}

bool hf_config_load(loader *l, str dir)
{
    config c = {l, path_join(l->a, dir, S("config.json")), NULL};
    c.root = load_json(l, c.path, true);
    if (!c.root)
        return false;
    const json_t *name = json_object_get(c.root, "_name_or_path");
    if (json_is_string(name))
        l->m->p.name = str_dup(l->a, (str){json_string_value(name), json_string_length(name)});
    return read_arch(&c) && read_dims(&c) && read_rope(&c);
}
