/* safetensors.c: reads .safetensors files, one or a sharded set beside a model.safetensors.index.json.
 *
 *   length u64  header: JSON {"NAME": {"dtype": "BF16", "shape": [..], "data_offsets": [BEGIN, END]}, ..}  data
 *
 * Offsets count from the end of the header. Every tensor must lie in the file, take the bytes that its shape and type
 * ask for, and touch no other. Of a sharded set, the index says which file holds which tensor; it must name each tensor
 * of each file, a plain file name beside it. Names are brought to GGUF's; those of config.json's families are known.
 */
#include "examples/llm/model_load.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define MAX_HEADER (256u << 20)
#define MAX_RANK 4

static const struct {
    const char *hf, *gguf;
} layer_names[] =
    {
        {"input_layernorm.", "attn_norm."},    {"post_attention_layernorm.", "ffn_norm."},
        {"self_attn.q_proj.", "attn_q."},      {"self_attn.k_proj.", "attn_k."},
        {"self_attn.v_proj.", "attn_v."},      {"self_attn.o_proj.", "attn_output."},
        {"self_attn.q_norm.", "attn_q_norm."}, {"self_attn.k_norm.", "attn_k_norm."},
        {"mlp.gate_proj.", "ffn_gate."},       {"mlp.up_proj.", "ffn_up."},
        {"mlp.down_proj.", "ffn_down."},
},
  model_names[] = {
      {"model.embed_tokens.weight", "token_embd.weight"},
      {"model.norm.weight", "output_norm.weight"},
      {"lm_head.weight", "output.weight"},
};

static const struct {
    const char *name;
    weight_type type;
} dtypes[] = {{"F32", WT_F32}, {"F16", WT_F16}, {"BF16", WT_BF16}};

/* GGUF's name of a tensor; its own where it has none */
static str common_name(loader *l, str name)
{
    static const char layers[] = "model.layers.";
    size_t head = sizeof layers - 1, dot = head;
    for (uint32_t i = 0; i < COUNTOF(model_names); i++)
        if (str_eq(name, str_of(model_names[i].hf)))
            return str_of(model_names[i].gguf);
    if (!str_starts(name, str_of(layers)))
        return name;
    while (dot < name.n && name.p[dot] >= '0' && name.p[dot] <= '9')
        dot++;
    if (dot == head || dot == name.n || name.p[dot] != '.')
        return name;
    str number = {name.p + head, dot - head}, rest = {name.p + dot + 1, name.n - dot - 1};
    for (uint32_t i = 0; i < COUNTOF(layer_names); i++) {
        str hf = str_of(layer_names[i].hf);
        if (str_starts(rest, hf))
            return str_fmt(l->a, "blk.%.*s.%s%.*s", STR_ARG(number), layer_names[i].gguf, (int)(rest.n - hf.n),
                           rest.p + hf.n);
    }
    return name;
}

static bool is_needless(str name)
{
    return str_ends(name, S(".rotary_emb.inv_freq"));
}

/* ---- one file ---- */
typedef struct reader {
    loader *l;
    const file_map *f;
    uint64_t data; /* offset of the data */
    span_list spans;
    interner *expected; /* names that the index gives to this file, or NULL; */
    uint32_t found;     /* so many of them were there */
} reader;

static bool read_shape(reader *r, const json_t *entry, weight *w)
{
    const json_t *shape = json_object_get(entry, "shape");
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank < 1 || rank > MAX_RANK)
        return load_fault_in(r->l, r->f->path, "tensor '%.*s': 'shape' is no list of 1 to %d numbers", STR_ARG(w->name),
                             MAX_RANK);
    w->rank = (uint32_t)rank;
    for (uint32_t i = 0; i < MAX_RANK; i++) {
        const json_t *d = json_array_get(shape, i);
        if (i < rank && !json_is_integer(d))
            return load_fault_in(r->l, r->f->path, "tensor '%.*s': dimension %u is no integer", STR_ARG(w->name), i);
        w->shape[i] = i < rank ? json_integer_value(d) : 1;
    }
    return true;
}

static bool read_type(reader *r, const json_t *entry, weight *w)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    for (uint32_t i = 0; name && i < COUNTOF(dtypes); i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            w->type = dtypes[i].type;
            return true;
        }
    }
    return load_fault_in(r->l, r->f->path, "tensor '%.*s' is of type %.80s: expected F32, F16 or BF16",
                         STR_ARG(w->name), name ? name : "(none)");
}

static bool read_offsets(reader *r, const json_t *entry, weight *w)
{
    const json_t *at = json_object_get(entry, "data_offsets"), *b = json_array_get(at, 0), *e = json_array_get(at, 1);
    json_int_t beg = json_integer_value(b), end = json_integer_value(e);
    uint64_t room = r->f->size - r->data, unit = weight_layout_of(w->type)->bytes;
    if (json_array_size(at) != 2 || !json_is_integer(b) || !json_is_integer(e) || beg < 0 || end < beg)
        return load_fault_in(r->l, r->f->path, "tensor '%.*s': 'data_offsets' are no two ascending numbers",
                             STR_ARG(w->name));
    if ((uint64_t)end > room)
        return load_fault(r->l, r->f, r->data, "tensor '%.*s' ends at %lld of the data, which has %llu bytes",
                          STR_ARG(w->name), (long long)end, (unsigned long long)room);
    if (!load_size(r->l, r->f, r->data + (uint64_t)beg, w))
        return false;
    if ((uint64_t)(end - beg) != w->bytes)
        return load_fault(r->l, r->f, r->data + (uint64_t)beg, "tensor '%.*s' has %lld bytes: expected %llu",
                          STR_ARG(w->name), (long long)(end - beg), (unsigned long long)w->bytes);
    if ((r->data + (uint64_t)beg) % unit)
        return load_fault(r->l, r->f, r->data + (uint64_t)beg,
                          "tensor '%.*s' is not aligned to its %llu-byte elements: save the file anew",
                          STR_ARG(w->name), (unsigned long long)unit);
    w->data = r->f->at + r->data + beg;
    data_span s = {(uint64_t)beg, (uint64_t)end, w->name};
    vec_push(r->l->a, &r->spans, s);
    return true;
}

static bool read_entry(reader *r, str name, const json_t *entry)
{
    weight w = {.name = str_dup(r->l->a, name)};
    if (str_eq(name, S("__metadata__")))
        return true;
    if (!json_is_object(entry))
        return load_fault_in(r->l, r->f->path, "tensor '%.*s' is no object", STR_ARG(name));
    if (r->expected && intern_find(r->expected, name) == UINT32_MAX)
        return load_fault_in(r->l, r->f->path, "tensor '%.*s' is not in the index, or in another file", STR_ARG(name));
    r->found++;
    if (is_needless(name))
        return true;
    if (!read_type(r, entry, &w) || !read_shape(r, entry, &w) || !read_offsets(r, entry, &w))
        return false;
    w.name = common_name(r->l, w.name);
    return load_weight(r->l, r->f, r->data, w);
}

static bool parse_header(reader *r, uint64_t n, json_t **header)
{
    json_error_t why;
    vec_reserve(r->l->a, &r->l->docs, r->l->docs.n + 1);
    *header = json_loadb((const char *)r->f->at + 8, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!*header)
        return load_fault(r->l, r->f, 8 + (uint64_t)(why.position > 0 ? why.position : 0), "header: %s", why.text);
    vec_push(r->l->a, &r->l->docs, *header);
    if (!json_is_object(*header))
        return load_fault(r->l, r->f, 8, "header: expected an object");
    return true;
}

static bool read_file(loader *l, const file_map *f, interner *expected)
{
    reader r = {.l = l, .f = f, .expected = expected};
    uint64_t n = 0;
    json_t *header, *entry;
    const char *key;
    size_t keylen;
    if (f->size >= sizeof n)
        memcpy(&n, f->at, sizeof n);
    if (f->size < sizeof n || n > f->size - sizeof n || n > MAX_HEADER)
        return load_fault(l, f, 0, "header: %llu bytes in a file of %llu: not a safetensors file, or one cut short",
                          (unsigned long long)n, (unsigned long long)f->size);
    r.data = sizeof n + n;
    if (!parse_header(&r, n, &header))
        return false;
    json_object_keylen_foreach(header, key, keylen, entry)
    {
        if (!read_entry(&r, (str){key, keylen}, entry))
            return false;
    }
    if (expected && r.found + 1 != intern_count(expected)) /* the interner has the empty string too */
        return load_fault_in(l, f->path, "holds %u tensors of the %u that the index says", r.found,
                             intern_count(expected) - 1);
    return load_no_overlap(l, f, r.data, &r.spans);
}

/* ---- sharded sets ---- */
typedef struct shard {
    str name;
    interner *tensors;
} shard;

typedef VEC(shard) shard_list;

static shard *shard_of(loader *l, shard_list *list, interner *names, str file)
{
    uint32_t id = intern_id(names, file);
    if (id > list->n) {
        shard s = {str_dup(l->a, file), intern_new(l->a)};
        vec_push(l->a, list, s);
    }
    return &list->at[id - 1];
}

static bool read_index(loader *l, str path, shard_list *list)
{
    json_t *index = load_json(l, path, true), *map = json_object_get(index, "weight_map"), *file;
    interner *names = intern_new(l->a);
    const char *key;
    size_t keylen;
    if (!index)
        return false;
    if (!json_is_object(map) || json_object_size(map) == 0)
        return load_fault_in(l, path, "'weight_map' is missing or empty");
    json_object_keylen_foreach(map, key, keylen, file)
    {
        str name = {json_string_value(file), json_string_length(file)};
        if (!json_is_string(file) || name.n == 0 || memchr(name.p, '/', name.n) || strlen(name.p) != name.n ||
            str_eq(name, S("..")) || str_eq(name, S(".")))
            return load_fault_in(l, path, "'weight_map' of '%.*s': expected the name of a file beside it",
                                 (int)(keylen < 80 ? keylen : 80), key);
        intern_id(shard_of(l, list, names, name)->tensors, (str){key, keylen});
    }
    return true;
}

static bool load_shards(loader *l, str dir, str index)
{
    shard_list list = {0};
    if (!read_index(l, index, &list))
        return false;
    for (uint32_t i = 0; i < list.n; i++) {
        const file_map *f = load_map(l, path_join(l->a, dir, list.at[i].name));
        if (!f || !read_file(l, f, list.at[i].tensors))
            return false;
    }
    return true;
}

static bool exists(loader *l, str path)
{
    return file_exists(str_cstr(l->a, path));
}

/* a file that is part of a set is opened as the set */
static bool is_shard(str file)
{
    int no, of;
    return file.n > 30 && sscanf(file.p + file.n - 27, "-%5d-of-%5d.safetensors", &no, &of) == 2;
}

bool safetensors_load(loader *l, str dir, str file)
{
    str index = path_join(l->a, dir, S("model.safetensors.index.json"));
    if (file.n == 0)
        file = path_join(l->a, dir, S("model.safetensors"));
    file = str_dup(l->a, file);
    bool sharded = (is_shard(file) || !exists(l, file)) && exists(l, index);
    if (!hf_config_load(l, dir))
        return false;
    if (sharded) {
        if (!load_shards(l, dir, index))
            return false;
    } else {
        const file_map *f = load_map(l, file);
        if (!f || !read_file(l, f, NULL))
            return false;
    }
    return hf_vocab_load(l, dir);
}
