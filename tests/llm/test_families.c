/* test_families.c: small models of every family, storage type and format (make_families.py): what is read of each, its
 * frequencies, and the logits that the engine gives, against transformers in float64.
 */
#include "examples/llm/engine.h"
#include "tests/llm/kit_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *cases;

static void setup(void)
{
    cases = kit_cases();
}

static void teardown(void)
{
    json_decref(cases);
}

static void check_params(const json_t *c, const model_file *m)
{
    const model_params *p = model_get_params(m);
    const json_t *freq = json_object_get(c, "rope_freq");
    const char *name = kit_str(c, "name");
    ck_assert_int_eq(p->dim, kit_int(c, "dim"));
    ck_assert_int_eq(p->ff, kit_int(c, "ff"));
    ck_assert_int_eq(p->layers, kit_int(c, "layers"));
    ck_assert_int_eq(p->heads, kit_int(c, "heads"));
    ck_assert_int_eq(p->kv_heads, kit_int(c, "kv_heads"));
    ck_assert_int_eq(p->head_dim, kit_int(c, "head_dim"));
    ck_assert_int_eq(p->vocab, kit_int(c, "vocab"));
    ck_assert_int_eq(p->context, kit_int(c, "context"));
    ck_assert_int_eq(p->tied, kit_int(c, "tied"));
    ck_assert_int_eq(p->qkv_bias, kit_int(c, "qkv_bias"));
    ck_assert_int_eq(p->out_bias, kit_int(c, "all_bias"));
    ck_assert_int_eq(p->ffn_bias, kit_int(c, "all_bias"));
    ck_assert_int_eq(p->window, kit_int(c, "window"));
    ck_assert_int_eq(p->qk_norm, strcmp(kit_str(c, "arch"), "qwen3") == 0);
    ck_assert_int_eq(p->rope_interleaved,
                     strcmp(kit_str(c, "arch"), "llama") == 0 && strcmp(kit_str(c, "format"), "gguf") == 0);
    ck_assert_int_eq(p->rope_dim, p->head_dim);
    for (int32_t i = 0; i < p->rope_dim / 2; i++) {
        double want = json_number_value(json_array_get(freq, (size_t)i));
        ck_assert_msg(fabs(p->rope_freq[i] - want) <= 1e-6 * want, "%s: frequency %d is %.9g, expected %.9g", name, i,
                      p->rope_freq[i], want);
    }
    ck_assert_double_eq_tol(p->rope_scale, json_number_value(json_object_get(c, "rope_scale")), 1e-6);
}

START_TEST(opened)
{
    json_t *c = json_array_get(cases, (size_t)_i);
    char room[64];
    arena a;
    tile_error err;
    arena_init(&a, 0);
    const char *folder = kit_folder(room);
    model_file *m = model_open(kit_make_model(&a, c, folder), &err);
    kit_remove(folder);
    ck_assert_msg(m != NULL, "%s: %s", kit_str(c, "name"), err.text);
    check_params(c, m);
    model_close(m);
    arena_fini(&a);
}
END_TEST

/* the greatest difference of a logit, in units of the row's greatest one */
static double worst_of(const json_t *want, const float *got, int64_t n)
{
    double most = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double w = json_number_value(json_array_get(want, (size_t)i));
        most = fmax(most, fabs(w));
        worst = fmax(worst, fabs(w - (double)got[i]));
    }
    return worst / most;
}

typedef struct seen {
    const json_t *c;
    int64_t vocab, rows;
    double worst;
} seen;

static bool look(void *ctx, int64_t first, int64_t n, const float *l)
{
    seen *s = ctx;
    const json_t *rows = json_object_get(s->c, "rows");
    for (int64_t i = 0; i < n; i++, s->rows++) {
        char key[24];
        long long row = first;
        (void)snprintf(key, sizeof key, "%lld", row + i);
        const json_t *want = json_object_get(rows, key);
        if (want)
            s->worst = fmax(s->worst, worst_of(want, l + i * s->vocab, s->vocab));
    }
    return true;
}

START_TEST(computed)
{
    json_t *c = json_array_get(cases, (size_t)_i), *ids = json_object_get(c, "ids");
    size_t n = json_array_size(ids);
    int32_t tokens[64];
    char room[64];
    arena a;
    tile_error err;
    seen s = {.c = c, .vocab = kit_int(c, "vocab")};
    arena_init(&a, 0);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    const char *folder = kit_folder(room);
    model_file *m = model_open(kit_make_model(&a, c, folder), &err);
    kit_remove(folder);
    ck_assert_msg(m != NULL, "%s: %s", kit_str(c, "name"), err.text);
    engine *e = engine_open(m, &(engine_options){.act = ACT_F32, .threads = 1}, &err);
    ck_assert_msg(e != NULL, "%s: %s", kit_str(c, "name"), err.text);
    ck_assert_msg(engine_eval(e, 0, tokens, (int64_t)n, LOGITS_ALL, look, &s, &err), "%s: %s", kit_str(c, "name"),
                  err.text);
    engine_close(e);
    model_close(m);
    arena_fini(&a);
    printf("%-22s %.1e\n", kit_str(c, "name"), s.worst);
    ck_assert_int_eq(s.rows, (int64_t)n);
    /* keys and values are kept as float16, the sums are float32 */
    ck_assert_msg(s.worst < 1e-3, "%s: off by %g of the greatest logit", kit_str(c, "name"), s.worst);
}
END_TEST

/* token by token, fused and replayed or not, with 8-bit activations: near the reference, and nearer to each other */
START_TEST(stepped)
{
    json_t *c = json_array_get(cases, (size_t)_i), *ids = json_object_get(c, "ids");
    int64_t n = (int64_t)json_array_size(ids), words = kit_int(c, "vocab");
    char room[64];
    arena a;
    tile_error err;
    engine *e[2];
    seen s = {.c = c, .vocab = words};
    double apart = 0, most = 0;
    arena_init(&a, 0);
    const char *folder = kit_folder(room);
    model_file *m = model_open(kit_make_model(&a, c, folder), &err);
    kit_remove(folder);
    ck_assert_msg(m != NULL, "%s: %s", kit_str(c, "name"), err.text);
    for (int k = 0; k < 2; k++) {
        e[k] = engine_open(m, &(engine_options){.mode = (engine_mode)k, .threads = 1}, &err);
        ck_assert_msg(e[k] != NULL, "%s: %s", kit_str(c, "name"), err.text);
    }
    for (int64_t t = 0; t < n; t++) {
        int32_t id = (int32_t)json_integer_value(json_array_get(ids, (size_t)t));
        for (int k = 0; k < 2; k++)
            ck_assert_msg(engine_decode(e[k], &id, 1, &err), "%s: %s", kit_str(c, "name"), err.text);
        const float *l = engine_logits(e[0], 0), *o = engine_logits(e[1], 0);
        look(&s, t, 1, l);
        for (int64_t v = 0; v < words; v++) {
            apart = fmax(apart, fabs((double)l[v] - (double)o[v]));
            most = fmax(most, fabs((double)l[v]));
        }
    }
    for (int k = 0; k < 2; k++)
        engine_close(e[k]);
    model_close(m);
    arena_fini(&a);
    printf("%-22s steps %.1e, modes apart %.1e\n", kit_str(c, "name"), s.worst, apart / most);
    ck_assert_msg(s.worst < 0.02, "%s: off by %g of the greatest logit", kit_str(c, "name"), s.worst);
    ck_assert_msg(apart / most < 1e-4, "%s: modes are %g apart", kit_str(c, "name"), apart / most);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("families");
    TCase *t = tcase_create("small models");
    json_t *all = kit_cases();
    int n = (int)json_array_size(all);
    json_decref(all);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, opened, 0, n);
    tcase_add_loop_test(t, computed, 0, n);
    tcase_add_loop_test(t, stepped, 0, n);
    suite_add_tcase(s, t);
    return kit_run(s, 0);
}
