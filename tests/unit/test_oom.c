/* test_oom.c: memory that ends, at every point where one of our arenas asks the system for more.
 *
 * The Nth such request fails, for N = 1, 2, .. until the work is done without one failing: reading IR text, the passes,
 * the CPU back end's text, and all of the public interface (open a device, load a module, find a kernel, launch). Each
 * failure has to be said as such, nothing may crash, and what lived before has to work afterwards: the same call on the
 * same objects, repeated with memory there, gives the right numbers. Under `make asan` nothing may leak either. The
 * front end alone has its own test (test_frontend.c).
 */
#include "base/base.h"
#include "runtime/compile.h"
#include "runtime/tile.h"

#include <check.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef TILE_TEST_ALLOC

static const char source[] = "fn double_of(x):\n"
                             "    return x * 2\n"
                             "kernel add(x: *f32, y: *f32, n: int, B: const = 16) grid(cdiv(n, B)):\n"
                             "    i = program_id(0) * B + arange(0, B)\n"
                             "    store(y + i, double_of(load(x + i, i < n)) + load(y + i, i < n), i < n)\n"
                             "kernel rows(x: f32[M, N], y: f32[M], B: const = 8) grid(M):\n"
                             "    r = program_id(0)\n"
                             "    acc = zeros([B])\n"
                             "    for k in range(0, N, B):\n"
                             "        acc += exp(x.load([r, k], [1, B], other=-inf)[0])\n"
                             "    y.scatter([r], sum(acc))\n"
                             "kernel product(a: f32[M, K], b: f32[K, N], c: f32[M, N]) grid(1):\n"
                             "    c.store([0, 0], dot(a.load([0, 0], [8, 8]), b.load([0, 0], [8, 8])))\n";

/* ---- parts ---- */
typedef struct part {
    arena a;
    diags d;
    const char *path;
    str text;
} part;

static void read_ir(part *p)
{
    ck_assert(ir_read(&p->a, &p->d, S("t.tir"), p->text) != NULL);
}

static void emit(part *p, backend_stage stage)
{
    str out;
    compile_request q = {.path = str_of(p->path), .text = p->text, .stage = stage, .kernel = S("rows")};
    q.backend = backend_find(S("cpu"), &q.target, &p->a);
    ck_assert(q.backend != NULL);
    ck_assert(compile(&p->a, &p->d, &q, &out));
}

static void emit_tir(part *p)
{
    emit(p, STAGE_TIR);
}

static void emit_laid(part *p)
{
    emit(p, STAGE_LAID);
}

static void emit_llvm(part *p)
{
    emit(p, STAGE_LLVM);
}

static void emit_asm(part *p)
{
    emit(p, STAGE_ASM);
}

static const struct {
    void (*run)(part *p);
    const char *path;
    const char *file; /* the text; NULL: `source` */
} parts[] = {
    {read_ir, "t.tir", "tests/ir/whole.tir"},
    {read_ir, "t.tir", "tests/ir/program.tir"},
    {read_ir, "t.tir", "tests/ir/laid_gemm.tir"},
    {emit_tir, "t.tile", NULL},
    {emit_laid, "t.tile", NULL},
    {emit_llvm, "t.tile", NULL},
    {emit_asm, "t.tile", NULL},
};

/* the Nth request of memory fails; true: there was one */
static bool ends_at(const part *proto, void (*run)(part *p), long n)
{
    part p = *proto;
    jmp_buf oom;
    volatile bool ended = false;
    arena_init(&p.a, 0);
    p.a.oom = &oom;
    if (setjmp(oom) == 0) {
        arena_fail_after(n);
        diags_init(&p.d, &p.a);
        run(&p);
    } else {
        ended = true;
    }
    arena_fail_after(0);
    ck_assert_ptr_eq(p.a.oom, &oom);
    arena_fini(&p.a);
    return ended;
}

START_TEST(part_ends)
{
    part p = {.path = parts[_i].path, .text = S(source)};
    arena keep;
    str err;
    long n = 1;
    arena_init(&keep, 0);
    if (parts[_i].file)
        ck_assert_msg(file_read(&keep, parts[_i].file, 0, &p.text, &err), "%.*s", STR_ARG(err));
    while (ends_at(&p, parts[_i].run, n))
        n++;
    ck_assert_int_gt(n, 2);
    arena_fini(&keep);
}
END_TEST

/* ---- the public interface ---- */
typedef struct job {
    const char *device;
    tile_device *dev;
    tile_module *mod;
    tile_kernel *k[3];
    tile_error err;
} job;

static const char *const names[] = {"add", "rows", "product"};

static bool open_device(job *j)
{
    j->dev = tile_device_open(j->device, &j->err);
    return j->dev != NULL;
}

static bool load(job *j)
{
    j->mod = tile_module_from_string(j->dev, "t.tile", source, NULL, &j->err);
    return j->mod != NULL;
}

static bool find(job *j, int i)
{
    j->k[i] = tile_kernel_find(j->mod, names[i], &j->err);
    return j->k[i] != NULL;
}

static bool launch(job *j, int i)
{
    float x[64], y[64], z[64];
    int64_t square[] = {8, 8}, line[] = {8};
    for (int k = 0; k < 64; k++) {
        x[k] = (float)(k % 8);
        y[k] = (float)(k / 8 == k % 8);
        z[k] = -1;
    }
    tile_tensor tx = tile_tensor_of(x, TILE_F32, 2, square), ty = tile_tensor_of(y, TILE_F32, 2, square),
                tz = tile_tensor_of(z, TILE_F32, i == 1 ? 1 : 2, i == 1 ? line : square);
    tile_arg add[] = {tile_arg_ptr(x, TILE_F32), tile_arg_ptr(y, TILE_F32), tile_arg_int(64)};
    tile_arg rows[] = {tile_arg_tensor(&tx), tile_arg_tensor(&tz)};
    tile_arg product[] = {tile_arg_tensor(&tx), tile_arg_tensor(&ty), tile_arg_tensor(&tz)};
    const tile_arg *args[] = {add, rows, product};
    static const int32_t nargs[] = {3, 2, 3};
    add[0].bytes = add[1].bytes = sizeof x;
    if (tile_launch(j->k[i], NULL, NULL, args[i], nargs[i], &j->err) != TILE_OK)
        return false;
    for (int k = 0; k < (i == 1 ? 8 : 64); k++) {
        float want = i == 0   ? (float)(k % 8 * 2 + (k / 8 == k % 8))
                     : i == 1 ? 1734.0f
                              : (float)(k % 8),
              got = i ? z[k] : y[k];
        float near = i == 1 ? 2 : 0;
        ck_assert_msg(got >= want - near && got <= want + near, "%s[%d]: %g, expected %g", names[i], k, (double)got,
                      (double)want);
    }
    return true;
}

/* the step fails by memory, and only by it (of the interpreter, whose values have a limit, as a fault); then it is done
 * on the same objects */
#define EVERYWHERE(j, step)                                                                                            \
    do {                                                                                                               \
        long n_ = 0;                                                                                                   \
        bool ok_ = false;                                                                                              \
        while (!ok_) {                                                                                                 \
            arena_fail_after(++n_);                                                                                    \
            ok_ = (step);                                                                                              \
            arena_fail_after(0);                                                                                       \
            ck_assert_msg(ok_ || (j)->err.code != TILE_OK, "%s: no code", #step);                                      \
            ck_assert_msg(ok_ || strstr((j)->err.text, "out of memory"), "%s: %s", #step, (j)->err.text);              \
        }                                                                                                              \
    } while (0)

static const char *const devices[] = {"interp", "cpu"};

START_TEST(interface)
{
    job j = {.device = devices[_i]};
    EVERYWHERE(&j, open_device(&j));
    EVERYWHERE(&j, load(&j));
    for (int i = 0; i < 3; i++) {
        EVERYWHERE(&j, find(&j, i));
        EVERYWHERE(&j, launch(&j, i));
        ck_assert(launch(&j, i));
    }
    tile_module_close(j.mod);
    tile_device_close(j.dev);
}
END_TEST

/* where compiled code is kept: nowhere; in a folder that is emptied before each try; in one that has it */
enum { NOWHERE, COLD, WARM, FOLDERS };
static char folder[] = "/tmp/tile-oom-XXXXXX";

/* fresh objects for each failure: a launch that lowers, compiles (or finds) and runs with nothing made before */
START_TEST(fresh)
{
    int kept = _i / (int)COUNTOF(devices);
    setenv("TILE_CACHE_DIR", kept == NOWHERE ? "" : folder, 1);
    for (int i = 0; i < 3; i++) {
        long n = 0;
        for (bool ok = false; !ok;) {
            job j = {.device = devices[_i % (int)COUNTOF(devices)]};
            ck_assert(open_device(&j) && load(&j));
            if (kept == COLD)
                ck_assert_int_eq(tile_cache_clear(&j.err), TILE_OK);
            arena_fail_after(++n);
            ok = find(&j, i) && launch(&j, i);
            arena_fail_after(0);
            ck_assert_msg(ok || (j.err.code != TILE_OK && strstr(j.err.text, "out of memory")), "%s: %s", names[i],
                          j.err.text);
            ck_assert(find(&j, i) && launch(&j, i));
            tile_module_close(j.mod);
            tile_device_close(j.dev);
        }
        ck_assert_int_gt(n, 2);
    }
}
END_TEST

/* configs that are tried without memory count as failed; where the tuner itself has none, that is said */
START_TEST(tuning)
{
    static const char text[] = "@tune(B=[16, 32], key=[n])\n"
                               "kernel k(x: *f32, n: int) grid(cdiv(n, B)):\n"
                               "    i = program_id(0) * B + arange(0, B)\n"
                               "    store(x + i, load(x + i, i < n), i < n)\n";
    job j = {.device = devices[_i]};
    float x[100] = {0};
    tile_tuned t;
    tile_arg args[] = {tile_arg_ptr(x, TILE_F32), tile_arg_int(100)};
    args[0].bytes = sizeof x;
    setenv("TILE_CACHE_DIR", folder, 1);
    ck_assert(open_device(&j));
    long n = 0;
    for (bool ok = false; !ok;) {
        j.mod = tile_module_from_string(j.dev, "t.tile", text, NULL, &j.err);
        j.k[0] = tile_kernel_find(j.mod, "k", &j.err);
        ck_assert_int_eq(tile_cache_clear(&j.err), TILE_OK);
        arena_fail_after(++n);
        ok = tile_tune(j.k[0], NULL, NULL, args, 2, NULL, NULL, &t, &j.err) == TILE_OK && t.failed == 0;
        arena_fail_after(0);
        ck_assert_msg(ok || t.failed || strstr(j.err.text, "out of memory"), "%s", j.err.text);
        ck_assert_int_eq(tile_tune(j.k[0], NULL, NULL, args, 2, NULL, NULL, &t, &j.err), TILE_OK);
        ck_assert_int_eq(t.failed, 0);
        tile_module_close(j.mod);
    }
    ck_assert_int_gt(n, 2);
    tile_device_close(j.dev);
}
END_TEST

/* an error in the text while memory is short: one of the two is said */
START_TEST(wrong_text)
{
    job j = {.device = "interp"};
    ck_assert(open_device(&j));
    for (long n = 1; n < 12; n++) {
        arena_fail_after(n);
        j.mod = tile_module_from_string(j.dev, "t.tile", "kernel k(x: *f32):\n    store(x, nothing)\n", NULL, &j.err);
        arena_fail_after(0);
        ck_assert_ptr_null(j.mod);
        ck_assert_msg((j.err.code == TILE_E_MEMORY && strstr(j.err.text, "out of memory")) ||
                          (j.err.code == TILE_E_SOURCE && strstr(j.err.text, "unknown name 'nothing'")),
                      "%s", j.err.text);
    }
    tile_device_close(j.dev);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("oom");
    TCase *t = tcase_create("all");
    setenv("TILE_CACHE_DIR", "", 1);
    if (!mkdtemp(folder))
        return 2;
    tcase_add_loop_test(t, part_ends, 0, COUNTOF(parts));
    tcase_add_loop_test(t, interface, 0, COUNTOF(devices));
    tcase_add_loop_test(t, fresh, 0, (int)COUNTOF(devices) * FOLDERS);
    tcase_add_loop_test(t, tuning, 0, COUNTOF(devices));
    tcase_add_test(t, wrong_text);
    tcase_set_timeout(t, 300);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    setenv("TILE_CACHE_DIR", folder, 1);
    (void)tile_cache_clear(NULL);
    rmdir(folder);
    return failed != 0;
}

#else
int main(void)
{
    printf("skip: arenas that fail on request need TILE_TEST_ALLOC\n0 passed, 0 failed, 1 skipped\n");
    return 0;
}
#endif
