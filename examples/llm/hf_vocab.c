/* hf_vocab.c: tokenizer.json and its companions -> the vocabulary.
 *
 *   tokenizer.json           the BPE model (tokens, merges), added tokens, normaliser, pre-tokenizer, BOS and EOS
 *   tokenizer_config.json    names of BOS and EOS, the chat template
 *   chat_template.jinja      the chat template of newer models, before the one above
 *   generation_config.json   all tokens that end a reply
 *
 * The pipeline of normaliser and pre-tokenizer is read for what it does: byte-level BPE with regular expressions that
 * cut words, or SentencePiece's with its spaces. A step that these can't express is a fault that names it.
 */
#include "examples/llm/model_load.h"

#include <jansson.h>
#include <string.h>

#define MAX_ID (1 << 24)
#define GPT2_WORDS "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define SPACE_MARK "\xe2\x96\x81" /* U+2581: a space in SentencePiece's spelling */

typedef struct source {
    loader *l;
    vocab *v;
    str path;
    const json_t *root;
    VEC(str) patterns;
    str *text;
    uint8_t *kinds, *strip;
    bool bytes; /* a ByteLevel step was seen */
} source;

static str view(const json_t *s)
{
    return (str){json_string_value(s), json_string_length(s)};
}

static str keep(source *s, const json_t *j)
{
    return str_dup(s->l->a, view(j));
}

static const char *type_of(const json_t *step)
{
    const char *t = json_string_value(json_object_get(step, "type"));
    return t ? t : "";
}

static bool is_true(const json_t *in, const char *key, bool def)
{
    const json_t *v = json_object_get(in, key);
    return json_is_boolean(v) ? json_is_true(v) : def;
}

static bool is_text(const json_t *in, const char *key, const char *text)
{
    const char *s = json_string_value(json_object_get(in, key));
    return s && strcmp(s, text) == 0;
}

/* ---- tokens ---- */
static bool count_tokens(source *s, const json_t *tokens, const json_t *added)
{
    json_int_t most = -1;
    const char *key;
    size_t i;
    json_t *id, *t;
    json_object_foreach((json_t *)tokens, key, id)
    {
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= MAX_ID)
            return load_fault_in(s->l, s->path, "'model.vocab' of '%.80s': expected an id from 0 to %d", key,
                                 MAX_ID - 1);
        most = json_integer_value(id) > most ? json_integer_value(id) : most;
    }
    json_array_foreach((json_t *)added, i, t)
    {
        id = json_object_get(t, "id");
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= MAX_ID ||
            !json_is_string(json_object_get(t, "content")))
            return load_fault_in(s->l, s->path, "'added_tokens': element %zu has no 'content' or no 'id' below %d", i,
                                 MAX_ID);
        most = json_integer_value(id) > most ? json_integer_value(id) : most;
    }
    s->v->n = (uint32_t)(most + 1);
    return s->v->n > 0 || load_fault_in(s->l, s->path, "'model.vocab' is empty");
}

/* <0x41> */
static bool is_byte_token(str t)
{
    return t.n == 6 && str_starts(t, S("<0x")) && t.p[5] == '>';
}

static bool read_tokens(source *s, const json_t *model)
{
    const json_t *tokens = json_object_get(model, "vocab"), *added = json_object_get(s->root, "added_tokens");
    bool fallback = is_true(model, "byte_fallback", false);
    const char *key;
    size_t keylen, i;
    json_t *id, *t;
    if (!json_is_object(tokens))
        return load_fault_in(s->l, s->path, "'model.vocab' is no object");
    if (!count_tokens(s, tokens, added))
        return false;
    s->text = ARENA_ARRAY(s->l->a, str, s->v->n);
    s->kinds = ARENA_ARRAY(s->l->a, uint8_t, s->v->n);
    s->strip = ARENA_ARRAY(s->l->a, uint8_t, s->v->n);
    memset(s->kinds, TOKEN_UNUSED, s->v->n);
    json_object_keylen_foreach((json_t *)tokens, key, keylen, id)
    {
        json_int_t k = json_integer_value(id);
        s->text[k] = str_dup(s->l->a, (str){key, keylen});
        s->kinds[k] = fallback && is_byte_token(s->text[k]) ? TOKEN_BYTE : TOKEN_NORMAL;
    }
    json_array_foreach((json_t *)added, i, t)
    {
        json_int_t k = json_integer_value(json_object_get(t, "id"));
        s->text[k] = keep(s, json_object_get(t, "content"));
        s->kinds[k] = is_true(t, "special", false) ? TOKEN_CONTROL : TOKEN_USER;
        s->strip[k] = (uint8_t)((is_true(t, "lstrip", false) ? VOCAB_LSTRIP : 0) |
                                (is_true(t, "rstrip", false) ? VOCAB_RSTRIP : 0));
    }
    s->v->text = s->text, s->v->kinds = s->kinds, s->v->strip = s->strip;
    return true;
}

static bool read_merges(source *s, const json_t *model)
{
    const json_t *list = json_object_get(model, "merges");
    size_t n = json_array_size(list), i;
    json_t *m;
    if (!json_is_array(list) || n > INT32_MAX)
        return load_fault_in(s->l, s->path, "'model.merges' is no list");
    str(*merges)[2] = arena_array(s->l->a, n, sizeof *merges, _Alignof(str));
    json_array_foreach((json_t *)list, i, m)
    {
        if (json_array_size(m) == 2 && json_is_string(json_array_get(m, 0)) && json_is_string(json_array_get(m, 1))) {
            merges[i][0] = keep(s, json_array_get(m, 0));
            merges[i][1] = keep(s, json_array_get(m, 1));
            continue;
        }
        str line = json_is_string(m) ? keep(s, m) : S("");
        const char *gap = line.n > 2 ? memchr(line.p + 1, ' ', line.n - 2) : NULL;
        if (!gap)
            return load_fault_in(s->l, s->path, "'model.merges': element %zu is no pair", i);
        merges[i][0] = (str){line.p, (size_t)(gap - line.p)};
        merges[i][1] = (str){gap + 1, line.n - (size_t)(gap - line.p) - 1};
    }
    s->v->merges = (const str(*)[2])merges;
    s->v->nmerges = (uint32_t)n;
    return true;
}

/* ---- the steps before the merges ---- */
static bool refused(source *s, const char *what, const json_t *step)
{
    return load_fault_in(s->l, s->path, "%s '%.80s' is not one of those read here", what, type_of(step));
}

static bool read_normalizer(source *s, const json_t *step)
{
    const char *t = type_of(step);
    size_t i;
    json_t *part;
    if (!step || json_is_null(step))
        return true;
    if (!strcmp(t, "NFC")) {
        s->v->nfc = true;
    } else if (!strcmp(t, "Prepend") && is_text(step, "prepend", SPACE_MARK)) {
        s->v->space = VOCAB_SPACE;
    } else if (!strcmp(t, "Replace") && is_text(json_object_get(step, "pattern"), "String", " ") &&
               is_text(step, "content", SPACE_MARK)) {
        return true;
    } else if (!strcmp(t, "Sequence")) {
        json_array_foreach(json_object_get(step, "normalizers"), i, part)
        {
            if (!strcmp(type_of(part), "Sequence") || !read_normalizer(s, part))
                return refused(s, "'normalizer':", part);
        }
    } else {
        return refused(s, "'normalizer':", step);
    }
    return true;
}

static void add_pattern(source *s, str p)
{
    vec_push(s->l->a, &s->patterns, p);
}

static bool read_metaspace(source *s, const json_t *step)
{
    const char *scheme = json_string_value(json_object_get(step, "prepend_scheme"));
    bool always = is_true(step, "add_prefix_space", true) && (!scheme || !strcmp(scheme, "always"));
    if (!is_text(step, "replacement", SPACE_MARK))
        return load_fault_in(s->l, s->path, "'pre_tokenizer.replacement': expected U+2581");
    if (always)
        s->v->space = VOCAB_SPACE | VOCAB_SPACE_UNLESS;
    else if (scheme && !strcmp(scheme, "first"))
        s->v->space = VOCAB_SPACE | VOCAB_SPACE_FIRST | VOCAB_SPACE_UNLESS;
    if (is_true(step, "split", true)) /* each mark begins a word */
        add_pattern(s, S(" [^ ]*|[^ ]+"));
    return true;
}

static bool read_split(source *s, const json_t *step)
{
    const json_t *p = json_object_get(step, "pattern"), *regex = json_object_get(p, "Regex");
    bool isolated = is_text(step, "behavior", "Isolated"), invert = is_true(step, "invert", false);
    if (!json_is_string(regex) || !(isolated || (invert && is_text(step, "behavior", "Removed"))))
        return load_fault_in(s->l, s->path, "'pre_tokenizer': expected a Split that isolates a regular expression");
    add_pattern(s, keep(s, regex));
    return true;
}

static bool read_pre_tokenizer(source *s, const json_t *step, bool inner)
{
    const char *t = type_of(step);
    size_t i;
    json_t *part;
    if (!step || json_is_null(step))
        return true;
    if (!strcmp(t, "Sequence") && !inner) {
        json_array_foreach(json_object_get(step, "pretokenizers"), i, part)
        {
            if (!read_pre_tokenizer(s, part, true))
                return false;
        }
        return true;
    }
    if (!strcmp(t, "ByteLevel")) {
        s->bytes = true;
        if (is_true(step, "add_prefix_space", true))
            s->v->space = VOCAB_SPACE | VOCAB_SPACE_UNLESS;
        if (is_true(step, "use_regex", true))
            add_pattern(s, S(GPT2_WORDS));
        return true;
    }
    if (!strcmp(t, "Digits")) {
        add_pattern(s, is_true(step, "individual_digits", false) ? S("\\p{N}") : S("\\p{N}+"));
        return true;
    }
    if (!strcmp(t, "Split"))
        return read_split(s, step);
    if (!strcmp(t, "Metaspace"))
        return read_metaspace(s, step);
    return refused(s, "'pre_tokenizer':", step);
}

/* BOS before the text and EOS behind it, as the template of the post-processor has them */
static void read_post_processor(source *s, const json_t *step)
{
    size_t i;
    json_t *part;
    bool before = true;
    if (!strcmp(type_of(step), "Sequence")) {
        json_array_foreach(json_object_get(step, "processors"), i, part)
        {
            if (strcmp(type_of(part), "Sequence") != 0)
                read_post_processor(s, part);
        }
    }
    if (strcmp(type_of(step), "TemplateProcessing") != 0)
        return;
    json_array_foreach(json_object_get(step, "single"), i, part)
    {
        if (json_object_get(part, "Sequence"))
            before = false;
        else if (before)
            s->v->add_bos = true;
        else
            s->v->add_eos = true;
    }
}

/* ---- special tokens ---- */
static int32_t find_token(const source *s, str text)
{
    for (uint32_t i = s->v->n; text.p && i-- > 0;)
        if (str_eq(s->text[i], text))
            return (int32_t)i;
    return -1;
}

/* a token as tokenizer_config.json names it: a string, or an object with its content */
static int32_t named_token(const source *s, const json_t *config, const char *key)
{
    const json_t *t = json_object_get(config, key);
    if (json_is_object(t))
        t = json_object_get(t, "content");
    return find_token(s, view(t));
}

static void read_ends(source *s, const json_t *ids)
{
    size_t n = json_is_array(ids) ? json_array_size(ids) : json_is_integer(ids);
    int32_t *ends = ARENA_ARRAY(s->l->a, int32_t, n);
    s->v->nends = 0;
    for (size_t i = 0; i < n; i++) {
        json_int_t id = json_integer_value(json_is_array(ids) ? json_array_get(ids, i) : ids);
        if (id >= 0 && id < s->v->n)
            ends[s->v->nends++] = (int32_t)id;
    }
    s->v->ends = ends;
    if (s->v->eos < 0 && s->v->nends)
        s->v->eos = ends[0];
}

static bool read_template(source *s, str dir, const json_t *config)
{
    str path = path_join(s->l->a, dir, S("chat_template.jinja")), err;
    const json_t *t = json_object_get(config, "chat_template");
    size_t i;
    json_t *named;
    if (file_exists(str_cstr(s->l->a, path)))
        return file_read(s->l->a, str_cstr(s->l->a, path), 16 << 20, &s->l->m->chat_template, &err) ||
               load_fault_in(s->l, path, "%.*s", STR_ARG(err));
    json_array_foreach((json_t *)t, i, named)
    {
        if (is_text(named, "name", "default"))
            t = json_object_get(named, "template");
    }
    if (json_is_string(t))
        s->l->m->chat_template = keep(s, t);
    return true;
}

static bool read_companions(source *s, str dir)
{
    str config_path = path_join(s->l->a, dir, S("tokenizer_config.json"));
    str generation_path = path_join(s->l->a, dir, S("generation_config.json"));
    const json_t *config = load_json(s->l, config_path, false), *generation;
    if (!config && file_exists(str_cstr(s->l->a, config_path)))
        return false;
    generation = load_json(s->l, generation_path, false);
    if (!generation && file_exists(str_cstr(s->l->a, generation_path)))
        return false;
    s->v->bos = named_token(s, config, "bos_token");
    s->v->eos = named_token(s, config, "eos_token");
    const json_t *bos = json_object_get(config, "add_bos_token"), *eos = json_object_get(config, "add_eos_token");
    if (json_is_boolean(bos))
        s->v->add_bos = json_is_true(bos);
    if (json_is_boolean(eos))
        s->v->add_eos = json_is_true(eos);
    read_ends(s, json_object_get(generation, "eos_token_id"));
    return read_template(s, dir, config);
}

bool hf_vocab_load(loader *l, str dir)
{
    source s = {.l = l, .v = &l->m->v, .path = path_join(l->a, dir, S("tokenizer.json"))};
    s.root = load_json(l, s.path, true);
    const json_t *model = json_object_get(s.root, "model"), *unk = json_object_get(model, "unk_token");
    if (!s.root)
        return false;
    if (strcmp(type_of(model), "BPE") != 0)
        return load_fault_in(l, s.path, "'model.type' is '%.80s': expected 'BPE'", type_of(model));
    if (!read_tokens(&s, model) || !read_merges(&s, model) ||
        !read_normalizer(&s, json_object_get(s.root, "normalizer")) ||
        !read_pre_tokenizer(&s, json_object_get(s.root, "pre_tokenizer"), false))
        return false;
    s.v->kind = s.bytes ? VOCAB_BPE : VOCAB_SPM;
    if (!s.bytes && !is_true(model, "byte_fallback", false))
        return load_fault_in(l, s.path, "neither byte-level ('pre_tokenizer') nor with 'model.byte_fallback'");
    s.v->whole_first = is_true(model, "ignore_merges", false);
    s.v->patterns = s.patterns.at, s.v->npatterns = s.patterns.n;
    s.v->unk = json_is_string(unk) ? find_token(&s, view(unk)) : -1;
    if (s.v->unk >= 0 && s.kinds[s.v->unk] == TOKEN_NORMAL)
        s.kinds[s.v->unk] = TOKEN_UNKNOWN;
    read_post_processor(&s, json_object_get(s.root, "post_processor"));
    return read_companions(&s, dir);
}
