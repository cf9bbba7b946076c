/* test_tune.c: the tuner finds the config that does least, launches take it where their arguments are alike, here and
 * in modules opened later, and take the first config of the line everywhere else.
 */
#include "base/base.h"
#include "runtime/cache.h"
#include "runtime/tile.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `out` says which config ran; WORK makes all but one slow. Odd BAD does not compile: an extent below 1 */
static const char source[] = "@tune(WORK=[3000, 1, 2000], key=[n])\n"
                             "kernel pick(x: *f32, out: *i32, n: int) grid(1):\n"
                             "    s = 0.0\n"
                             "    for i in range(0, WORK * 100):\n"
                             "        s += load(x + i % 4)\n"
                             "    store(x, s)\n"
                             "    store(out, WORK)\n"
                             "@tune(BAD=[1, 0, 2], key=[N])\n"
                             "kernel some(x: f32[N], n: int) grid(1):\n"
                             "    x.store([0], arange(0, 8 * BAD).to(f32) + n.to(f32))\n"
                             "kernel plain(x: *f32) grid(1):\n"
                             "    store(x, 1.0)\n";

static const char *const devices[] = {"cpu", "cpu:threads=1", "interp"};
static tile_error err;
static char folder[] = "/tmp/tile-tune-XXXXXX";
#define OK(call) ck_assert_msg((call) == TILE_OK, "%s", err.text)

static tile_module *load(tile_device *d, const char *define)
{
    tile_options opt = {.defines = &define, .ndefines = define != NULL};
    tile_module *m = tile_module_from_string(d, "tune.tile", source, &opt, &err);
    ck_assert_msg(m != NULL, "%s", err.text);
    return m;
}

static float x[16];
static int32_t chosen;

static void arguments(tile_arg *a, int64_t n)
{
    for (int i = 0; i < 16; i++)
        x[i] = 1;
    a[0] = tile_arg_ptr(x, TILE_F32);
    a[0].bytes = sizeof x;
    a[1] = tile_arg_ptr(&chosen, TILE_I32);
    a[1].bytes = sizeof chosen;
    a[2] = tile_arg_int(n);
}

static int32_t config_of(tile_module *m, int64_t n)
{
    tile_arg a[3];
    arguments(a, n);
    chosen = -1;
    OK(tile_launch(tile_kernel_find(m, "pick", &err), NULL, NULL, a, 3, &err));
    return chosen;
}

static int steps, last_done;

static void progress(void *ctx, const char *what, int32_t done, int32_t of)
{
    ck_assert_ptr_eq(ctx, &steps);
    ck_assert(strcmp(what, "compiling") == 0 || strcmp(what, "timing") == 0);
    ck_assert_int_eq(of, 3);
    last_done = done;
    steps++;
}

START_TEST(finds_it)
{
    tile_arg a[3];
    tile_tuned t;
    tile_device *d = tile_device_open(devices[_i], &err);
    tile_module *m = load(d, NULL);
    ck_assert_int_eq(tile_cache_clear(&err), TILE_OK);
    ck_assert_int_eq(config_of(m, 100), 3000);
    arguments(a, 100);
    chosen = 77;
    steps = 0;
    OK(tile_tune(tile_kernel_find(m, "pick", &err), NULL, NULL, a, 3, progress, &steps, &t, &err));
    ck_assert_str_eq(t.choice, "WORK=1");
    ck_assert(t.configs == 3 && t.failed == 0 && t.seconds > 0 && t.seconds < t.first_seconds);
    ck_assert(steps == 6 && last_done == 3);
    ck_assert_int_eq(chosen, 77); /* what it writes was put back */
    ck_assert(x[0] == 1.0f);
    ck_assert_int_eq(config_of(m, 100), 1);
    ck_assert_int_eq(config_of(m, 128), 1); /* the same bucket: 65 to 128 */
    ck_assert_int_eq(config_of(m, 129), 3000);
    ck_assert_int_eq(config_of(m, 64), 3000);
    tile_module_close(m);
    m = load(d, NULL); /* from disk */
    ck_assert_int_eq(config_of(m, 65), 1);
    ck_assert_int_eq(config_of(m, 7), 3000);
    tile_module_close(m);
    m = load(d, "WORK=5"); /* what is defined counts */
    ck_assert_int_eq(config_of(m, 100), 5);
    tile_module_close(m);
    tile_device_close(d);
}
END_TEST

/* files in the folder that end so; with `text` all are overwritten by it */
static int files(const char *suffix, const char *text)
{
    char path[400];
    int n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        size_t len = strlen(e->d_name), s = strlen(suffix);
        if (e->d_name[0] == '.' || len < s || strcmp(e->d_name + len - s, suffix) != 0)
            continue;
        n++;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        FILE *f = text ? fopen(path, "w") : NULL;
        if (f) {
            fputs(text, f);
            fclose(f);
        }
    }
    closedir(dir);
    return n;
}

START_TEST(damaged_choices)
{
    static const char *const texts[] = {"", "WORK=2000\n", "WORK=1\n# 0123456789abcdef\n", "\n\n\n", "WORK=1"};
    tile_arg a[3];
    tile_cache c;
    tile_device *d = tile_device_open("cpu", &err);
    OK(tile_cache_clear(&err));
    for (size_t i = 0; i < COUNTOF(texts); i++) {
        tile_module *m = load(d, NULL);
        arguments(a, 9);
        OK(tile_tune(tile_kernel_find(m, "pick", &err), NULL, NULL, a, 3, NULL, NULL, NULL, NULL));
        tile_module_close(m);
        ck_assert_int_eq(files(".tune", texts[i]), 1);
        m = load(d, NULL);
        ck_assert_int_eq(config_of(m, 9), 3000);
        tile_module_close(m);
    }
    OK(tile_cache_stats(&c, &err));
    ck_assert_str_eq(c.path, folder);
    ck_assert(c.choices == 1 && c.entries == 3 && c.bytes > 1000);
    OK(tile_cache_clear(&err));
    OK(tile_cache_stats(&c, &err));
    ck_assert(c.choices == 0 && c.entries == 0 && c.bytes == 0);
    tile_device_close(d);
}
END_TEST

START_TEST(failures)
{
    tile_tuned t;
    int64_t n = 16;
    tile_tensor tx = tile_tensor_of(x, TILE_F32, 1, &n);
    tile_device *d = tile_device_open("cpu", &err);
    tile_module *m = load(d, NULL);
    tile_kernel *some = tile_kernel_find(m, "some", &err), *plain = tile_kernel_find(m, "plain", &err);
    tile_arg a[] = {tile_arg_tensor(&tx), tile_arg_int(1)}, p[] = {tile_arg_ptr(x, TILE_F32)};
    ck_assert(some && plain);
    OK(tile_tune(some, NULL, NULL, a, 2, NULL, NULL, &t, &err)); /* one config can't be compiled */
    ck_assert(t.configs == 3 && t.failed == 1);
    ck_assert_str_ne(t.choice, "BAD=0");
    OK(tile_tune(plain, NULL, NULL, p, 1, NULL, NULL, &t, &err));
    ck_assert(t.configs == 0 && !t.choice[0]);
    ck_assert_int_eq(tile_tune(some, NULL, NULL, a, 1, NULL, NULL, &t, &err), TILE_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "takes 2 arguments"));
    a[1] = tile_arg_float(1);
    ck_assert_int_eq(tile_tune(some, NULL, NULL, a, 2, NULL, NULL, &t, &err), TILE_E_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "argument 'n'"));
    OK(tile_capture_begin(d, NULL, &err));
    ck_assert_int_eq(tile_tune(some, NULL, NULL, a, 2, NULL, NULL, &t, &err), TILE_E_ARGUMENT);
    tile_graph_destroy(tile_capture_end(d, NULL, &err));
    tile_module_close(m);
    tile_device_close(d);
}
END_TEST

/* a choice made while nothing is kept counts for the module it was made for */
START_TEST(no_folder)
{
    tile_arg a[3];
    tile_cache c;
    setenv("TILE_CACHE_DIR", "", 1);
    tile_device *d = tile_device_open("cpu", &err);
    tile_module *m = load(d, NULL), *other = load(d, NULL);
    arguments(a, 3);
    OK(tile_tune(tile_kernel_find(m, "pick", &err), NULL, NULL, a, 3, NULL, NULL, NULL, &err));
    ck_assert_int_eq(config_of(m, 3), 1);
    ck_assert_int_eq(config_of(other, 3), 3000);
    for (int64_t n = 1; n < 200; n++) /* more than are remembered: the first config, and no harm */
        ck_assert_int_eq(config_of(other, n), 3000);
    OK(tile_cache_stats(&c, &err));
    ck_assert(!c.path[0] && !c.entries);
    OK(tile_cache_clear(&err));
    tile_module_close(m);
    tile_module_close(other);
    tile_device_close(d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tune");
    TCase *c = tcase_create("tune");
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    setenv("TILE_CACHE_DIR", folder, 1);
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, finds_it, 0, (int)COUNTOF(devices));
    tcase_add_test(c, damaged_choices);
    tcase_add_test(c, failures);
    tcase_add_test(c, no_folder);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    (void)tile_cache_clear(NULL);
    rmdir(folder);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
