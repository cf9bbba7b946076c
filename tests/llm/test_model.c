/* test_model.c: model files that lie: each field of a small GGUF model and of a safetensors folder made wrong in turn,
 * the file cut at many places, sets with a file missing or twice; each must be refused with a text that names the field
 * and the place. And what stored blocks mean (make_blocks.py), type by type.
 */
#include "tests/llm/kit_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char room[64];
static const char *folder;
static json_t *cases;
static arena a;

static void setup(void)
{
    arena_init(&a, 0);
    cases = kit_cases();
    folder = kit_folder(room);
}

static void teardown(void)
{
    kit_remove(folder);
    json_decref(cases);
    arena_fini(&a);
}

static const char *in_folder(const char *name)
{
    return str_cstr(&a, str_fmt(&a, "%s/%s", folder, name));
}

static void expect_refused(const char *what, const char *path, const char *fault)
{
    tile_error err = {0};
    model_file *m = model_open(path, &err);
    ck_assert_msg(m == NULL, "%s: opened", what);
    ck_assert_msg(strstr(err.text, fault) != NULL, "%s: expected '%s', found '%s'", what, fault, err.text);
    ck_assert_msg(strstr(err.text, folder) != NULL, "%s: no file in '%s'", what, err.text);
}

/* ---- GGUF ---- */
#define TYPE_AT (4 + 16) /* behind the name of a tensor of rank 2 */
#define OFFSET_AT (4 + 16 + 4)
#define VALUE_AT 4       /* behind a key */
#define COUNT_AT (4 + 4) /* of an array */
#define FIRST_AT (4 + 4 + 8)

static const struct patch {
    const char *where; /* what stands before the place; "" is the file's start */
    int at, size;
    uint64_t value;
    const char *fault;
} patches[] = {
    {"", 0, 1, 'g', "byte 0: not a GGUF file"},
    {"", 4, 4, 1, "byte 4: GGUF version 1: expected 2 or 3"},
    {"", 4, 4, 4, "byte 4: GGUF version 4"},
    {"", 4, 4, 0x03000000, "big-endian"},
    {"", 8, 8, UINT64_MAX, "tensor '': rank 0, expected 1 to 4"},
    {"", 16, 8, UINT64_MAX, "byte "},
    {"", 24, 8, UINT64_MAX, "a metadata key: the file ends"},
    {"", 24, 8, 0, "a metadata key of 0 bytes"},
    {"general.architecture", 0, 4, 13, "'general.architecture': a value of type 13"},
    {"general.architecture", 0, 4, 4, "a metadata key: the file ends"},
    {"general.architecture", 4, 8, UINT64_MAX / 2, "'general.architecture': the file ends"},
    {"general.architecture", 12, 5, 0x616d6178, "architecture 'xama"},
    {"llama.block_count", VALUE_AT, 4, 0, "'llama.block_count' is 0: expected 1 to 4096"},
    {"llama.block_count", VALUE_AT, 4, 1000000000, "'llama.block_count' is 1000000000"},
    {"llama.block_count", VALUE_AT, 4, 3, "tensor 'blk.2.attn_norm.weight' is missing"},
    {"llama.block_count", VALUE_AT, 4, 1, "tensor 'blk.1.attn_norm.weight' is not one that this family has"},
    {"llama.block_count", 0, 4, 6, "'llama.block_count': expected an integer, found f32"},
    {"llama.block_coun", 0, 1, 'x', "metadata: 'llama.block_count' is missing"},
    {"llama.embedding_length", VALUE_AT, 4, 64, "tensor 'token_embd.weight': expected 48 x 64, found 48 x 128"},
    {"llama.feed_forward_length", VALUE_AT, 4, 0, "expected 1 to"},
    {"llama.attention.head_count", VALUE_AT, 4, 0, "expected 1 to"},
    {"llama.attention.head_count_kv", VALUE_AT, 4, 3, "heads are not a multiple of 3"},
    {"llama.attention.head_count_kv", VALUE_AT, 4, 5, "expected 1 to 4"},
    {"llama.attention.key_length", VALUE_AT, 4, 16, "tensor 'blk.0.attn_q.weight': expected 64 x 128"},
    {"llama.attention.key_length", VALUE_AT, 4, 31, "rotary embedding of 31 elements"},
    {"llama.attention.layer_norm_rms_epsilon", VALUE_AT, 4, 0x7fc00000, "epsilon nan of the norms"},
    {"llama.rope.freq_base", VALUE_AT, 4, 0, "base 0 of the rotary embedding"},
    {"llama.block_count", 0, 8, 5 | (0xffffffffull << 32), "'llama.block_count' is -1: expected 1 to 4096"},
    {"llama.context_length", VALUE_AT, 4, 0, "'llama.context_length' is 0: expected 1 to"},
    {"llama.context_length", VALUE_AT, 4, UINT32_MAX, "'llama.context_length' is 4294967295: expected 1 to"},
    {"llama.embedding_length", VALUE_AT, 4, UINT32_MAX, "'llama.embedding_length' is 4294967295: expected 1 to"},
    {"llama.embedding_length", 0, 4, 6, "'llama.embedding_length': expected an integer, found f32"},
    {"llama.attention.head_count", 0, 4, 6, "'llama.attention.head_count': expected an integer, found f32"},
    {"llama.rope.freq_base", VALUE_AT, 4, 0x7f800000, "base inf of the rotary embedding"},
    {"llama.rope.freq_base", VALUE_AT, 4, 0xc61c4000, "base -10000 of the rotary embedding"},
    {"tokenizer.ggml.tokens", 0, 4, 8, "'tokenizer.ggml.tokens': "},
    {"tokenizer.ggml.tokens", COUNT_AT, 8, 0, "byte "},
    {"tokenizer.ggml.eos_token_id", 0, 4, 6, "'tokenizer.ggml.eos_token_id': expected an integer, found f32"},
    {"tokenizer.ggml.model", 12, 4, 0x74726562, "tokenizer 'bert' is not known"},
    {"tokenizer.ggml.tokens", COUNT_AT, 8, UINT64_MAX, "'tokenizer.ggml.tokens': the file ends"},
    {"tokenizer.ggml.tokens", VALUE_AT, 4, 9, "'tokenizer.ggml.tokens': elements of type 9"},
    {"tokenizer.ggml.tokens", FIRST_AT, 8, UINT64_MAX, "'tokenizer.ggml.tokens': the file ends"},
    {"tokenizer.ggml.token_type", COUNT_AT, 8, UINT64_MAX / 4, "'tokenizer.ggml.token_type': "},
    {"tokenizer.ggml.token_type", FIRST_AT, 4, 7, "'tokenizer.ggml.token_type' of token 0 is 7"},
    {"tokenizer.ggml.eos_token_id", VALUE_AT, 4, 48, "'tokenizer.ggml.eos_token_id' is 48: expected 0 to 47"},
    {"token_embd.weight", 0, 4, 5, "tensor 'token_embd.weight': rank 5"},
    {"token_embd.weight", 0, 4, 0, "tensor 'token_embd.weight': rank 0"},
    {"token_embd.weight", 4, 8, 0, "tensor 'token_embd.weight': dimension 1 is 0"},
    {"token_embd.weight", 4, 8, UINT64_MAX, "tensor 'token_embd.weight': dimension 1 is -1"},
    {"token_embd.weight", 12, 8, 1ull << 62, "dimension 0 is 4611686018427387904, which can't be"},
    {"token_embd.weight", 4, 8, 129, "rows of 129 elements are no whole blocks of 32, as Q4_0 has"},
    {"token_embd.weight", 12, 8, 1ull << 40, "bytes at offset 0 of the data, but the file has"},
    {"token_embd.weight", 12, 8, 40, "tensor 'token_embd.weight' has 40 rows for 48 tokens"},
    {"token_embd.weight", TYPE_AT, 4, 99, "tensor 'token_embd.weight' is of type 99, which is not known"},
    {"token_embd.weight", TYPE_AT, 4, 19, "tensor 'token_embd.weight' is of type IQ1_S, which is not read here"},
    {"token_embd.weight", TYPE_AT, 4, 4, "is of type 4, which is not known"},
    {"token_embd.weight", TYPE_AT, 4, 8, "tensors 'token_embd.weight' and "},
    {"token_embd.weight", OFFSET_AT, 8, 16, "offset 16 is not aligned to 32"},
    {"token_embd.weight", OFFSET_AT, 8, UINT64_MAX - 31, "of the data, but the file has"},
    {"blk.1.ffn_down.weight", OFFSET_AT, 8, 32, "' overlap"},
    {"output.weigh", 0, 1, 'x', "tensor 'output.weighx' is not one that this family has"},
    {"blk.0.attn_q.weigh", 0, 1, 'x', "tensor 'blk.0.attn_q.weight' is missing"},
    {"blk.0.attn_", 0, 1, 'k', "tensor 'blk.0.attn_k.weight' is there twice"},
};

static char *place(str file, const struct patch *p)
{
    if (!p->where[0])
        return (char *)file.p + p->at;
    char *at = memmem(file.p, file.n, p->where, strlen(p->where));
    while (at && strcmp(p->where, "blk.0.attn_") == 0 && at[11] != 'q') /* the first that is attn_q */
        at = memmem(at + 1, file.n - (size_t)(at + 1 - file.p), p->where, strlen(p->where));
    ck_assert_msg(at != NULL, "%s", p->where);
    return at + strlen(p->where) + p->at;
}

START_TEST(lying_fields)
{
    const struct patch *p = &patches[_i];
    str file = kit_gguf(&a, kit_case(cases, "llama-q4_0"));
    memcpy(place(file, p), &p->value, (size_t)p->size);
    kit_write(folder, "m.gguf", file.p, file.n);
    expect_refused(p->where, in_folder("m.gguf"), p->fault);
}
END_TEST

START_TEST(cut_short)
{
    str file = kit_gguf(&a, kit_case(cases, "llama-q4_0"));
    const char *last = memmem(file.p, file.n, "ffn_down.weight", 15);
    for (const char *p = last; p; p = memmem(p + 1, file.n - (size_t)(p + 1 - file.p), "ffn_down.weight", 15))
        last = p;
    ck_assert_ptr_nonnull(last);
    size_t head = (size_t)(last - file.p) + 64, step = file.n / 64 + 1; /* every field of the tables, then every 64th */
    for (size_t n = 0; n < file.n - 32; n += n < head ? 1 : step) {     /* the last bytes may be padding */
        tile_error err = {0};
        unsigned long long at = ~0ull;
        kit_write(folder, "m.gguf", file.p, n);
        ck_assert_msg(model_open(in_folder("m.gguf"), &err) == NULL, "opened with %zu bytes", n);
        const char *where = strstr(err.text, "m.gguf: byte ");
        ck_assert_msg(where && sscanf(where, "m.gguf: byte %llu: ", &at) == 1 && at <= n, "%zu: %s", n, err.text);
        ck_assert_msg(strstr(err.text, "the file ends ") || strstr(err.text, "but the file has "), "%zu: %s", n,
                      err.text);
    }
}
END_TEST

START_TEST(not_files)
{
    tile_error err;
    ck_assert_ptr_null(model_open(in_folder("none.gguf"), &err));
    ck_assert_int_eq(err.code, TILE_E_MISSING);
    expect_refused("an empty folder", folder, "no model in this folder");
    ck_assert_ptr_null(model_open("/dev/null", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
    kit_write(folder, "a.gguf", "GGUF", 4);
    kit_write(folder, "b.gguf", "GGUF", 4);
    expect_refused("two files", folder, "2 GGUF files: name one of them");
}
END_TEST

static void copy(const char *from, const char *to)
{
    str s = kit_read(&a, in_folder(from));
    kit_write(folder, to, s.p, s.n);
}

START_TEST(split_sets)
{
    tile_error err;
    const char *path = kit_make_model(&a, kit_case(cases, "llama-split"), folder);
    model_file *m = model_open(folder, &err); /* the set's first file, by its folder */
    ck_assert_msg(m != NULL, "%s", err.text);
    model_close(m);
    copy("m-00001-of-00003.gguf", "keep");
    copy("m-00003-of-00003.gguf", "m-00001-of-00003.gguf");
    expect_refused("a file twice", path, "expected part 1 of 3, found a file that says it is part 3 of 3");
    copy("keep", "m-00001-of-00003.gguf");
    (void)unlink(in_folder("m-00003-of-00003.gguf"));
    expect_refused("a missing file", path, "m-00003-of-00003.gguf: cannot open");
    ck_assert_int_eq(symlink("m-00003-of-00003.gguf", in_folder("m-00003-of-00003.gguf")), 0);
    expect_refused("a file that is itself", path, "m-00003-of-00003.gguf: cannot open: Too many levels");
    (void)unlink(in_folder("m-00003-of-00003.gguf"));
    ck_assert_int_eq(symlink("m-00001-of-00003.gguf", in_folder("m-00003-of-00003.gguf")), 0);
    expect_refused("a set that leads back", path, "expected part 3 of 3, found a file that says it is part 1 of 3");
    copy("keep", "other.gguf");
    expect_refused("a name that is none of a set", in_folder("other.gguf"), "part of a model in 3 files");
}
END_TEST

START_TEST(split_lies)
{
    static const struct {
        const char *key;
        int at;
        uint16_t value;
        const char *fault;
    } lies[] = {
        {"split.count", VALUE_AT, 9999,
         "part of a model in 9999 files: expected a name as 'model-00001-of-09999.gguf'"},
        {"split.count", VALUE_AT, 65535, "'split.count' is 65535: expected 0 to 9999"},
        {"split.no", VALUE_AT, 1, "expected part 1 of 3, found a file that says it is part 2 of 3"},
        {"split.tensors.count", VALUE_AT, 1, "'split.tensors.count' is 1, but the files hold 21"},
        {"split.n", 0, 'x', "'split.no' is missing"},
    };
    (void)kit_make_model(&a, kit_case(cases, "llama-split"), folder);
    str first = kit_read(&a, in_folder("m-00001-of-00003.gguf"));
    for (uint32_t i = 0; i < COUNTOF(lies); i++) {
        str s = str_dup(&a, first);
        char *at = memmem(s.p, s.n, lies[i].key, strlen(lies[i].key));
        ck_assert_ptr_nonnull(at);
        memcpy(at + strlen(lies[i].key) + lies[i].at, &lies[i].value, lies[i].key[6] == 'n' && !lies[i].key[7] ? 1 : 2);
        kit_write(folder, "m-00001-of-00003.gguf", s.p, s.n);
        expect_refused(lies[i].key, in_folder("m-00001-of-00003.gguf"), lies[i].fault);
    }
}
END_TEST

/* ---- safetensors ---- */
static void edit(const char *name, const char *from, const char *to)
{
    str s = kit_read(&a, in_folder(name));
    char *at = memmem(s.p, s.n, from, strlen(from));
    ck_assert_msg(at != NULL, "%s: no '%s'", name, from);
    strbuf b;
    sb_init(&b, &a);
    sb_put(&b, (str){s.p, (size_t)(at - s.p)});
    sb_puts(&b, to);
    sb_put(&b, (str){at + strlen(from), s.n - (size_t)(at - s.p) - strlen(from)});
    kit_write(folder, name, b.at, b.n);
}

static const struct {
    const char *file, *from, *to, *fault;
} edits[] = {
    {"config.json", "{", "[", "config.json: byte "},
    {"config.json", "\"llama\"", "\"bloom\"", "'model_type' is 'bloom'"},
    {"config.json", "\"silu\"", "\"gelu\"", "'hidden_act' is 'gelu': expected 'silu'"},
    {"config.json", "\"hidden_size\": 128", "\"hidden_size\": 0", "'hidden_size' is 0: expected 1 to"},
    {"config.json", "\"hidden_size\": 128", "\"hidden_size\": \"x\"", "'hidden_size' is no integer"},
    {"config.json", "\"hidden_size\"", "\"hidden\"", "'hidden_size' is missing"},
    {"config.json", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 99", "'num_key_value_heads' is 99"},
    {"config.json", "\"intermediate_size\": 192", "\"intermediate_size\": 64",
     "tensor 'blk.0.ffn_gate.weight': expected 64"},
    {"config.json", "\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": []", "'rms_norm_eps' is no number"},
    {"config.json", "\"rope_theta\": 10000.0", "\"rope_theta\": 0", "base 0 of the rotary embedding"},
    {"config.json", "\"rope_theta\"", "\"quantization_config\": {\"bits\": 4}, \"rope_theta\"",
     "'quantization_config'"},
    {"config.json", "\"rope_theta\"", "\"rope_scaling\": {\"type\": \"dynamic\"}, \"rope_theta\"",
     "rope scaling 'dynamic'"},
    {"config.json", "\"rope_theta\"", "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 0}, \"rope_theta\"",
     "by the factor 0"},
    {"config.json", "\"rope_theta\"",
     "\"use_sliding_window\": true, \"sliding_window\": 8, \"max_window_layers\": 1, \"rope_theta\"",
     "'max_window_layers': a sliding window in some layers"},
    {"config.json", "\"rope_theta\"", "\"sliding_window\": -1, \"rope_theta\"",
     "'sliding_window' is -1: expected 0 to"},
    {"config.json", "\"hidden_size\": 128", "\"hidden_size\": 1e400", "config.json: byte "},
    {"config.json", "\"hidden_size\": 128", "\"hidden_size\": 99999999999999999999", "config.json: byte "},
    {"config.json", "\"hidden_size\": 128", "\"hidden_size\": -128", "'hidden_size' is -128: expected 1 to"},
    {"tokenizer.json", "\"BPE\"", "\"Unigram\"", "'model.type' is 'Unigram': expected 'BPE'"},
    {"tokenizer.json", "\"merges\": []", "\"merges\": [\"x\"]", "'model.merges': element 0 is no pair"},
    {"tokenizer.json", "\"merges\": []", "\"merges\": 1", "'model.merges' is no list"},
    {"tokenizer.json", "\"Ab\": 1", "\"Ab\": -1", "'model.vocab' of 'Ab': expected an id"},
    {"tokenizer.json", "\"Ab\": 1", "\"Ab\": 4000000000", "'model.vocab' of 'Ab': expected an id"},
    {"tokenizer.json", "\"Ab\": 1", "\"Ab\": 48", "tensor 'token_embd.weight' has 48 rows for 49 tokens"},
    {"tokenizer.json", "\"id\": 0", "\"id\": \"x\"", "'added_tokens': element 0"},
    {"tokenizer.json", "\"ByteLevel\"", "\"Whitespace\"", "'pre_tokenizer': 'Whitespace'"},
    {"tokenizer.json", "\"normalizer\": null", "\"normalizer\": {\"type\": \"Lowercase\"}",
     "'normalizer': 'Lowercase'"},
    {"model.safetensors", "\"dtype\": \"F16\"", "\"dtype\": \"I64\"", "is of type I64: expected F32, F16 or BF16"},
    {"model.safetensors", "\"shape\": [48, 128]", "\"shape\": [48,  64]", "has 12288 bytes: expected 6144"},
    {"model.safetensors", "\"shape\": [48, 128]", "\"shape\": 123456789", "'shape' is no list of 1 to 4 numbers"},
    {"model.safetensors", "\"shape\": [48, 128]", "\"shape\": [48, -28]", "dimension 1 is -28"},
    {"model.safetensors", "[0, 12288]", "[9, 12297]", "is not aligned to its 2-byte elements"},
    {"model.safetensors", "[0, 12288]", "[2, 12290]",
     "tensors 'model.embed_tokens.weight' and 'model.norm.weight' overlap"},
    {"model.safetensors", "[0, 12288]", "[12288, 0]", "'data_offsets' are no two ascending numbers"},
    {"model.safetensors", "[0, 12288]", "[0,9999999]", "ends at 9999999 of the data"},
    {"model.safetensors", "model.norm.weight", "model.norm.weighx", "tensor 'output_norm.weight' is missing"},
    {"model.safetensors", "model.layers.0.mlp.up", "model.layers.0.mlp.xx", "tensor 'blk.0.ffn_up.weight' is missing"},
    {"model.safetensors", "{\"__meta", "[\"__meta", "model.safetensors: byte "},
};

START_TEST(lying_folders)
{
    (void)kit_make_model(&a, kit_case(cases, "llama-safetensors"), folder);
    edit(edits[_i].file, edits[_i].from, edits[_i].to);
    expect_refused(edits[_i].fault, folder, edits[_i].fault);
}
END_TEST

START_TEST(cut_folders)
{
    static const char *const files[] = {"model.safetensors", "config.json", "tokenizer.json"};
    (void)kit_make_model(&a, kit_case(cases, "llama-safetensors"), folder);
    for (uint32_t i = 0; i < COUNTOF(files); i++) {
        str whole = kit_read(&a, in_folder(files[i]));
        for (size_t n = 0; n < whole.n; n += 1 + whole.n / 64) {
            tile_error err = {0};
            kit_write(folder, files[i], whole.p, n);
            ck_assert_msg(model_open(folder, &err) == NULL, "%s opened with %zu bytes", files[i], n);
            ck_assert_msg(strstr(err.text, files[i]) != NULL, "%s", err.text);
        }
        (void)unlink(in_folder(files[i]));
        expect_refused("a missing file", folder, i == 1 ? "no model in this folder" : files[i]);
        kit_write(folder, files[i], whole.p, whole.n);
    }
}
END_TEST

START_TEST(sharded_sets)
{
    static const char index[] = "model.safetensors.index.json", second[] = "model-00002-of-00003.safetensors";
    tile_error err;
    (void)kit_make_model(&a, kit_case(cases, "qwen2-shards"), folder);
    model_file *m = model_open(in_folder(second), &err); /* one of a set opens the set */
    ck_assert_msg(m != NULL, "%s", err.text);
    model_close(m);
    copy(second, "keep");
    copy(index, "index");
    copy("model-00001-of-00003.safetensors", second);
    expect_refused("a file twice", folder, "is not in the index, or in another file");
    copy("keep", second);
    edit(index, "\"model.norm.weight\": \"", "\"model.norm.weight\": \"../");
    expect_refused("a way out", folder, "'weight_map' of 'model.norm.weight': expected the name of a file beside it");
    copy("index", index);
    edit(index, "\"model.norm.weight\"", "\"model.more.weight\"");
    expect_refused("a tensor that is not there", folder, "tensor 'model.norm.weight' is not in the index");
    copy("index", index);
    edit(index, "\"weight_map\": {", "\"weight_map\": {\"x\": \"model-00001-of-00003.safetensors\", ");
    expect_refused("one too many", folder, "tensors of the ");
    copy("index", index);
    edit(index, "model-00002-of-00003.safetensors", "model.safetensors.index.json");
    expect_refused("an index of itself", folder, "model.safetensors.index.json: byte 0: header: ");
    kit_write(folder, index, "{\"weight_map\": {}}", 18);
    expect_refused("an empty index", folder, "'weight_map' is missing or empty");
    kit_write(folder, index, "{\"weight_map\": {\"x\": 7}}", 24);
    expect_refused("a number for a file", folder, "'weight_map' of 'x': expected the name of a file");
    copy("index", index);
    (void)unlink(in_folder(second));
    ck_assert_int_eq(symlink(second, in_folder(second)), 0);
    expect_refused("a file that is itself", folder, "model-00002-of-00003.safetensors: cannot open: Too many levels");
    (void)unlink(in_folder(second));
    expect_refused("a missing file", folder, "model-00002-of-00003.safetensors: cannot open");
}
END_TEST

/* ---- blocks ---- */
static uint32_t hex_bytes(str hex, uint8_t *out)
{
    for (size_t i = 0; i + 1 < hex.n; i += 2)
        out[i / 2] = (uint8_t)strtoul((char[]){hex.p[i], hex.p[i + 1], 0}, NULL, 16);
    return (uint32_t)(hex.n / 2);
}

static str field(str *line)
{
    const char *gap = memchr(line->p, ' ', line->n);
    str s = {line->p, gap ? (size_t)(gap - line->p) : line->n};
    line->p += s.n + (gap != NULL);
    line->n -= s.n + (gap != NULL);
    return s;
}

START_TEST(blocks)
{
    str rest = kit_read(&a, "tests/llm/blocks.txt"), line;
    uint32_t types = 0;
    for (; kit_line(&rest, &line); types++) {
        static uint8_t bytes[512];
        static float want[512], got[512];
        str name = field(&line);
        weight w = {.name = name, .data = bytes};
        while (w.type < WT_COUNT && !str_eq(name, str_of(weight_layout_of(w.type)->name)))
            w.type++;
        ck_assert_msg(w.type < WT_COUNT, "%.*s", STR_ARG(name));
        const weight_layout *l = weight_layout_of(w.type);
        uint32_t size = hex_bytes(field(&line), bytes), n = hex_bytes(field(&line), (uint8_t *)want) / 4;
        ck_assert_uint_eq(size / l->bytes * l->block, n);
        weight_read(&w, 0, n, got);
        for (uint32_t i = 0; i < n; i++)
            ck_assert_msg(fabsf(got[i] - want[i]) <= 2e-7f * fabsf(want[i]) + 1e-9f,
                          "%s: element %u is %.9g, expected %.9g", l->name, i, (double)got[i], (double)want[i]);
        weight_read(&w, l->block, n - l->block, got + l->block); /* a part gives the same */
        ck_assert(fabsf(got[n - 1] - want[n - 1]) <= 2e-7f * fabsf(want[n - 1]) + 1e-9f);
    }
    ck_assert_uint_eq(types, WT_COUNT);
}
END_TEST

#ifdef TILE_TEST_ALLOC
/* memory ends at each request of an arena in turn */
START_TEST(memory)
{
    static const char *const names[] = {"llama-q4_0", "llama-safetensors"};
    for (uint32_t i = 0; i < COUNTOF(names); i++) {
        const char *path = kit_make_model(&a, kit_case(cases, names[i]), folder);
        model_file *m = NULL;
        for (long n = 1; !m; n++) {
            tile_error err = {0};
            arena_fail_after(n);
            m = model_open(path, &err);
            arena_fail_after(0);
            ck_assert_msg(m || err.code == TILE_E_MEMORY, "%s: %s", names[i], err.text);
        }
        model_close(m);
    }
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("files");
    uint32_t skipped = 0;
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, lying_fields, 0, COUNTOF(patches));
    tcase_add_test(t, cut_short);
    tcase_add_test(t, not_files);
    tcase_add_test(t, split_sets);
    tcase_add_test(t, split_lies);
    tcase_add_loop_test(t, lying_folders, 0, COUNTOF(edits));
    tcase_add_test(t, cut_folders);
    tcase_add_test(t, sharded_sets);
    tcase_add_test(t, blocks);
#ifdef TILE_TEST_ALLOC
    tcase_add_test(t, memory);
#else
    printf("skip: arenas that fail on request need TILE_TEST_ALLOC\n");
    skipped = 1;
#endif
    suite_add_tcase(s, t);
    return kit_run(s, skipped);
}
