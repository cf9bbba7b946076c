/* gguf.c: reads GGUF files, versions 2 and 3 (little-endian), split sets included.
 *
 *   "GGUF"  version u32  tensors u64  values u64
 *   values:   key  type u32  value            a string is its length u64 and its bytes; an array is
 *                                             its element type u32, its length u64 and its elements
 *   tensors:  name  rank u32  dims u64[rank], contiguous one first  type u32  offset u64
 *   padding to general.alignment, then the data that offsets count from
 *
 * All integers come from the file and are distrusted: each read is bounds-checked against the file's length, nothing is
 * allocated by a count before as many bytes have been seen, and every tensor must lie in the file, aligned, without
 * touching another. A split set is "NAME-00001-of-0000N.gguf" and so on: each file says which it is (split.no) of how
 * many, and the first holds the metadata.
 */
#include "examples/llm/gguf.h"

#include <stdio.h>
#include <string.h>

#define MAX_KEY 65535
#define MAX_SPLITS 9999
#define MAX_RANK 4

typedef struct cursor {
    gguf *g;
    uint64_t at;
} cursor;

static const struct {
    const char *name;
    uint8_t size; /* bytes; 0 = by content */
} types[GGUF_TYPES] = {
    [GGUF_U8] = {"u8", 1},         [GGUF_I8] = {"i8", 1},       [GGUF_U16] = {"u16", 2}, [GGUF_I16] = {"i16", 2},
    [GGUF_U32] = {"u32", 4},       [GGUF_I32] = {"i32", 4},     [GGUF_F32] = {"f32", 4}, [GGUF_BOOL] = {"bool", 1},
    [GGUF_STRING] = {"string", 0}, [GGUF_ARRAY] = {"array", 0}, [GGUF_U64] = {"u64", 8}, [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

/* ggml's numbers of tensor types; -1: known by name, but not read here */
static const struct {
    const char *name;
    int type;
} tensor_types[] = {
    [0] = {"F32", WT_F32},        [1] = {"F16", WT_F16},    [2] = {"Q4_0", WT_Q4_0},
    [3] = {"Q4_1", WT_Q4_1},      [6] = {"Q5_0", WT_Q5_0},  [7] = {"Q5_1", WT_Q5_1},
    [8] = {"Q8_0", WT_Q8_0},      [9] = {"Q8_1", -1},       [10] = {"Q2_K", WT_Q2_K},
    [11] = {"Q3_K", WT_Q3_K},     [12] = {"Q4_K", WT_Q4_K}, [13] = {"Q5_K", WT_Q5_K},
    [14] = {"Q6_K", WT_Q6_K},     [15] = {"Q8_K", -1},      [16] = {"IQ2_XXS", -1},
    [17] = {"IQ2_XS", -1},        [18] = {"IQ3_XXS", -1},   [19] = {"IQ1_S", -1},
    [20] = {"IQ4_NL", WT_IQ4_NL}, [21] = {"IQ3_S", -1},     [22] = {"IQ2_S", -1},
    [23] = {"IQ4_XS", WT_IQ4_XS}, [24] = {"I8", -1},        [25] = {"I16", -1},
    [26] = {"I32", -1},           [27] = {"I64", -1},       [28] = {"F64", -1},
    [29] = {"IQ1_M", -1},         [30] = {"BF16", WT_BF16}, [34] = {"TQ1_0", -1},
    [35] = {"TQ2_0", -1},         [39] = {"MXFP4", -1},     [40] = {"NVFP4", -1},
};

/* n bytes at the cursor, or NULL + a fault that names the field */
static const uint8_t *take(cursor *c, uint64_t n, const char *field)
{
    const file_map *f = c->g->f;
    if (n > f->size - c->at) {
        load_fault(c->g->l, f, c->at, "%s: the file ends %llu bytes on, expected %llu", field,
                   (unsigned long long)(f->size - c->at), (unsigned long long)n);
        return NULL;
    }
    const uint8_t *p = f->at + c->at;
    c->at += n;
    return p;
}

static bool take_u32(cursor *c, const char *field, uint32_t *out)
{
    const uint8_t *p = take(c, sizeof *out, field);
    if (p)
        memcpy(out, p, sizeof *out);
    return p != NULL;
}

static bool take_u64(cursor *c, const char *field, uint64_t *out)
{
    const uint8_t *p = take(c, sizeof *out, field);
    if (p)
        memcpy(out, p, sizeof *out);
    return p != NULL;
}

static bool take_str(cursor *c, const char *field, str *out)
{
    uint64_t n;
    const uint8_t *p = take_u64(c, field, &n) ? take(c, n, field) : NULL;
    if (p)
        *out = (str){(const char *)p, n};
    return p != NULL;
}

/* ---- metadata ---- */
static const char *field_of(const gguf *g, str key)
{
    return str_cstr(g->l->a, str_fmt(g->l->a, "'%.*s'", STR_ARG(key)));
}

/* a key as an error shows it, of length that can't flood the message */
static str shown(str s)
{
    return s.n > 80 ? (str){s.p, 80} : s;
}

static bool skip_elements(cursor *c, gguf_type t, uint64_t n, const char *field)
{
    str s;
    uint64_t bytes;
    if (t != GGUF_STRING)
        return !__builtin_mul_overflow(n, (uint64_t)types[t].size, &bytes)
                   ? take(c, bytes, field) != NULL
                   : load_fault(c->g->l, c->g->f, c->at, "%s: %llu elements can't be in a file", field,
                                (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++)
        if (!take_str(c, field, &s))
            return false;
    return true;
}

static bool read_type(cursor *c, const char *field, bool element, gguf_type *out)
{
    uint32_t t;
    uint64_t at = c->at;
    if (!take_u32(c, field, &t))
        return false;
    if (t >= GGUF_TYPES || (element && t == GGUF_ARRAY))
        return load_fault(c->g->l, c->g->f, at, "%s: %s type %u, which GGUF values don't have", field,
                          element ? "elements of" : "a value of", t);
    *out = (gguf_type)t;
    return true;
}

static bool read_value(cursor *c)
{
    gguf *g = c->g;
    gguf_value v = {.count = 1};
    uint64_t key_at = c->at;
    if (!take_str(c, "a metadata key", &v.key))
        return false;
    if (v.key.n == 0 || v.key.n > MAX_KEY)
        return load_fault(g->l, g->f, key_at, "a metadata key of %zu bytes: expected 1 to %d", v.key.n, MAX_KEY);
    if (intern_find(g->keys, v.key) != UINT32_MAX)
        return load_fault(g->l, g->f, key_at, "'%.*s' is there twice", STR_ARG(shown(v.key)));
    const char *field = field_of(g, shown(v.key));
    if (!read_type(c, field, false, &v.type))
        return false;
    if (v.type == GGUF_ARRAY && (!read_type(c, field, true, &v.elem) || !take_u64(c, field, &v.count)))
        return false;
    v.at = c->at;
    if (!skip_elements(c, v.type == GGUF_ARRAY ? v.elem : v.type, v.count, field))
        return false;
    intern_id(g->keys, v.key);
    vec_push(g->l->a, &g->values, v);
    return true;
}

static str full_key(const gguf *g, const char *key)
{
    str arch = S("");
    const gguf_value *v = key[0] == '.' ? gguf_find(g, "general.architecture") : NULL;
    if (v && v->type == GGUF_STRING)
        arch = gguf_strings(g, v)[0];
    return str_fmt(g->l->a, "%.*s%s", STR_ARG(arch), key);
}

const gguf_value *gguf_find(const gguf *g, const char *key)
{
    uint32_t id = intern_find(g->keys, key[0] == '.' ? full_key(g, key) : str_of(key));
    return id == UINT32_MAX || id == 0 ? NULL : &g->values.at[id - 1];
}

/* the value of a key where it is there; *gone tells "missing" from "missing and needed" */
static const gguf_value *look(gguf *g, const char *key, bool needed, bool *ok)
{
    const gguf_value *v = gguf_find(g, key);
    *ok = v || !needed;
    if (!*ok)
        load_fault_in(g->l, g->f->path, "metadata: '%.*s' is missing", STR_ARG(full_key(g, key)));
    return v;
}

static bool wrong_type(gguf *g, const gguf_value *v, const char *expected)
{
    return load_fault(g->l, g->f, v->at, "'%.*s': expected %s, found %s%s", STR_ARG(shown(v->key)), expected,
                      v->type == GGUF_ARRAY ? "an array of " : "",
                      types[v->type == GGUF_ARRAY ? v->elem : v->type].name);
}

/* integer i of a value (of any integer type); a u64 above INT64_MAX reads as INT64_MAX */
static bool int_at(const gguf *g, const gguf_value *v, uint64_t i, int64_t *out)
{
    gguf_type t = v->type == GGUF_ARRAY ? v->elem : v->type;
    uint64_t bits = 0;
    if (t == GGUF_F32 || t == GGUF_F64 || t == GGUF_BOOL || t == GGUF_STRING || t == GGUF_ARRAY)
        return false;
    uint32_t size = types[t].size, shift = 64 - 8 * size;
    memcpy(&bits, g->f->at + v->at + i * size, size);
    if (t == GGUF_I8 || t == GGUF_I16 || t == GGUF_I32 || t == GGUF_I64)
        *out = (int64_t)(bits << shift) >> shift;
    else
        *out = bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
    return true;
}

static bool in_bounds(gguf *g, const gguf_value *v, int64_t x, int64_t low, int64_t high)
{
    if (x >= low && x <= high)
        return true;
    return load_fault(g->l, g->f, v->at, "'%.*s' is %lld: expected %lld to %lld", STR_ARG(shown(v->key)), (long long)x,
                      (long long)low, (long long)high);
}

bool gguf_int(gguf *g, const char *key, bool needed, int64_t low, int64_t high, int64_t *out)
{
    bool ok;
    int64_t x;
    const gguf_value *v = look(g, key, needed, &ok);
    if (!v)
        return ok;
    if (v->type == GGUF_ARRAY || !int_at(g, v, 0, &x))
        return wrong_type(g, v, "an integer");
    if (!in_bounds(g, v, x, low, high))
        return false;
    *out = x;
    return true;
}

bool gguf_int_or_same(gguf *g, const char *key, bool needed, int64_t low, int64_t high, int64_t *out)
{
    bool ok;
    int64_t x, y;
    const gguf_value *v = look(g, key, needed, &ok);
    if (!v || v->type != GGUF_ARRAY)
        return v ? gguf_int(g, key, needed, low, high, out) : ok;
    if (v->count == 0 || !int_at(g, v, 0, &x))
        return wrong_type(g, v, "integers");
    for (uint64_t i = 1; i < v->count; i++)
        if (int_at(g, v, i, &y) && y != x)
            return load_fault(g->l, g->f, v->at, "'%.*s' differs between layers (%lld, %lld), which no family here has",
                              STR_ARG(shown(v->key)), (long long)x, (long long)y);
    if (!in_bounds(g, v, x, low, high))
        return false;
    *out = x;
    return true;
}

bool gguf_float(gguf *g, const char *key, bool needed, double *out)
{
    bool ok;
    int64_t i;
    float f;
    const gguf_value *v = look(g, key, needed, &ok);
    if (!v)
        return ok;
    if (v->type == GGUF_F32) {
        memcpy(&f, g->f->at + v->at, sizeof f);
        *out = (double)f;
    } else if (v->type == GGUF_F64) {
        memcpy(out, g->f->at + v->at, sizeof *out);
    } else if (v->type != GGUF_ARRAY && int_at(g, v, 0, &i)) {
        *out = (double)i;
    } else {
        return wrong_type(g, v, "a number");
    }
    return true;
}

bool gguf_bool(gguf *g, const char *key, bool *out)
{
    const gguf_value *v = gguf_find(g, key);
    if (v && v->type != GGUF_BOOL)
        return wrong_type(g, v, "a bool");
    if (v)
        *out = g->f->at[v->at] != 0;
    return true;
}

bool gguf_str(gguf *g, const char *key, bool needed, str *out)
{
    bool ok;
    const gguf_value *v = look(g, key, needed, &ok);
    if (!v)
        return ok;
    if (v->type != GGUF_STRING)
        return wrong_type(g, v, "a string");
    *out = gguf_strings(g, v)[0];
    return true;
}

bool gguf_array(gguf *g, const char *key, gguf_type elem, bool needed, const gguf_value **out)
{
    bool ok;
    *out = look(g, key, needed, &ok);
    if (!*out)
        return ok;
    if ((*out)->type != GGUF_ARRAY || (*out)->elem != elem)
        return wrong_type(g, *out, str_cstr(g->l->a, str_fmt(g->l->a, "an array of %s", types[elem].name)));
    return true;
}

str *gguf_strings(const gguf *g, const gguf_value *v)
{
    str *s = ARENA_ARRAY(g->l->a, str, v->count);
    const uint8_t *p = g->f->at + v->at;
    for (uint64_t i = 0; i < v->count; i++) {
        uint64_t n;
        memcpy(&n, p, sizeof n);
        s[i] = (str){(const char *)p + sizeof n, n};
        p += sizeof n + n;
    }
    return s;
}

/* ---- header and tensors ---- */
static bool read_header(cursor *c)
{
    gguf *g = c->g;
    uint64_t values;
    const uint8_t *magic = take(c, 4, "magic");
    if (!magic)
        return false;
    if (memcmp(magic, "GGUF", 4) != 0)
        return load_fault(g->l, g->f, 0, "not a GGUF file: expected 'GGUF' at its start");
    if (!take_u32(c, "version", &g->version))
        return false;
    if (g->version > 0xffff)
        return load_fault(g->l, g->f, 4, "a big-endian GGUF file, which is not read here");
    if (g->version < 2 || g->version > 3)
        return load_fault(g->l, g->f, 4, "GGUF version %u: expected 2 or 3", g->version);
    if (!take_u64(c, "tensor count", &g->tensors) || !take_u64(c, "metadata count", &values))
        return false;
    for (uint64_t i = 0; i < values; i++)
        if (!read_value(c))
            return false;
    return true;
}

static bool read_tensor_type(cursor *c, str name, weight_type *out)
{
    uint32_t t;
    uint64_t at = c->at;
    if (!take_u32(c, "tensor type", &t))
        return false;
    if (t >= COUNTOF(tensor_types) || !tensor_types[t].name)
        return load_fault(c->g->l, c->g->f, at, "tensor '%.*s' is of type %u, which is not known", STR_ARG(shown(name)),
                          t);
    if (tensor_types[t].type < 0)
        return load_fault(c->g->l, c->g->f, at, "tensor '%.*s' is of type %s, which is not read here",
                          STR_ARG(shown(name)), tensor_types[t].name);
    *out = (weight_type)tensor_types[t].type;
    return true;
}

/* one entry of the tensor table; its data is given as an offset until the table's end is known */
static bool read_tensor(cursor *c, weight *w, uint64_t *offset)
{
    gguf *g = c->g;
    uint64_t at = c->at, rank_at, dim;
    if (!take_str(c, "a tensor's name", &w->name))
        return false;
    rank_at = c->at;
    if (!take_u32(c, "a tensor's rank", &w->rank))
        return false;
    if (w->rank < 1 || w->rank > MAX_RANK)
        return load_fault(g->l, g->f, rank_at, "tensor '%.*s': rank %u, expected 1 to %d", STR_ARG(shown(w->name)),
                          w->rank, MAX_RANK);
    for (uint32_t i = 0; i < MAX_RANK; i++)
        w->shape[i] = 1;
    for (uint32_t i = 0; i < w->rank; i++) {
        if (!take_u64(c, "a tensor's dimensions", &dim))
            return false;
        w->shape[w->rank - 1 - i] = dim > INT64_MAX ? -1 : (int64_t)dim;
    }
    if (!read_tensor_type(c, w->name, &w->type) || !take_u64(c, "a tensor's offset", offset))
        return false;
    return load_size(g->l, g->f, at, w);
}

typedef struct table_entry {
    weight w;
    uint64_t at, offset;
} table_entry;

static bool read_tensors(cursor *c)
{
    gguf *g = c->g;
    loader *l = g->l;
    int64_t align = 32;
    VEC(table_entry) table = {0};
    span_list spans = {0};
    if (!gguf_int(g, "general.alignment", false, 1, 1 << 20, &align))
        return false;
    if (align & (align - 1))
        return load_fault(l, g->f, gguf_find(g, "general.alignment")->at,
                          "'general.alignment' is %lld: no power of two", (long long)align);
    for (uint64_t i = 0; i < g->tensors; i++) {
        table_entry e = {.at = c->at};
        if (!read_tensor(c, &e.w, &e.offset))
            return false;
        vec_push(l->a, &table, e);
    }
    uint64_t mask = (uint64_t)align - 1, start = (c->at + mask) & ~mask;
    for (uint32_t i = 0; i < table.n; i++) {
        table_entry *e = &table.at[i];
        if (e->offset & mask)
            return load_fault(l, g->f, e->at, "tensor '%.*s': offset %llu is not aligned to %lld",
                              STR_ARG(shown(e->w.name)), (unsigned long long)e->offset, (long long)align);
        if (start > g->f->size || e->offset > g->f->size - start || e->w.bytes > g->f->size - start - e->offset)
            return load_fault(l, g->f, e->at,
                              "tensor '%.*s': %llu bytes at offset %llu of the data, but the file has %llu in all",
                              STR_ARG(shown(e->w.name)), (unsigned long long)e->w.bytes, (unsigned long long)e->offset,
                              (unsigned long long)g->f->size);
        e->w.data = g->f->at + start + e->offset;
        data_span s = {e->offset, e->offset + e->w.bytes, e->w.name};
        vec_push(l->a, &spans, s);
        if (!load_weight(l, g->f, e->at, e->w))
            return false;
    }
    return load_no_overlap(l, g->f, start, &spans);
}

/* ---- split sets ---- */
/* "x-00002-of-00005.gguf" -> "x", 2, 5 */
static bool split_name(str path, str *prefix, int *no, int *of)
{
    char tail[22];
    if (path.n < 21)
        return false;
    memcpy(tail, path.p + path.n - 20, 20);
    tail[20] = 0;
    *prefix = (str){path.p, path.n - 20};
    return sscanf(tail, "-%5d-of-%5d.gguf", no, of) == 2 && strcmp(tail + 15, ".gguf") == 0;
}

static bool read_split(loader *l, const file_map *f, int64_t no, int64_t of, gguf *g)
{
    int64_t said_no = -1, said_of = -1;
    *g = (gguf){.l = l, .f = f, .keys = intern_new(l->a)};
    cursor c = {g, 0};
    if (!read_header(&c) || !gguf_int(g, "split.no", true, 0, MAX_SPLITS, &said_no) ||
        !gguf_int(g, "split.count", true, 0, MAX_SPLITS, &said_of))
        return false;
    if (said_no != no || said_of != of)
        return load_fault(l, f, gguf_find(g, "split.no")->at,
                          "expected part %lld of %lld, found a file that says it is part %lld of %lld",
                          (long long)no + 1, (long long)of, (long long)said_no + 1, (long long)said_of);
    return read_tensors(&c);
}

/* all files of the set to which `path` belongs; *first becomes the one with the metadata */
static bool load_splits(loader *l, str path, int64_t count, gguf *first)
{
    str prefix;
    int no, of;
    int64_t total = -1;
    if (!split_name(path, &prefix, &no, &of) || of != count)
        return load_fault_in(l, path, "part of a model in %lld files: expected a name as 'model-00001-of-%05lld.gguf'",
                             (long long)count, (long long)count);
    for (int64_t i = 0; i < count; i++) {
        str name = str_fmt(l->a, "%.*s-%05lld-of-%05lld.gguf", STR_ARG(prefix), (long long)i + 1, (long long)count);
        const file_map *f = load_map(l, name);
        gguf g;
        if (!f || !read_split(l, f, i, count, i ? &g : first))
            return false;
    }
    if (!gguf_int(first, "split.tensors.count", false, 0, INT32_MAX, &total))
        return false;
    if (total >= 0 && (uint64_t)total != l->m->weights.n)
        return load_fault(l, first->f, gguf_find(first, "split.tensors.count")->at,
                          "'split.tensors.count' is %lld, but the files hold %u", (long long)total, l->m->weights.n);
    return true;
}

bool gguf_load(loader *l, const file_map *f)
{
    gguf head = {.l = l, .f = f, .keys = intern_new(l->a)}, first;
    cursor c = {&head, 0};
    int64_t count = 0;
    if (!read_header(&c) || !gguf_int(&head, "split.count", false, 0, MAX_SPLITS, &count))
        return false;
    if (count > 1)
        return load_splits(l, f->path, count, &first) && gguf_model(&first);
    return read_tensors(&c) && gguf_model(&head);
}
