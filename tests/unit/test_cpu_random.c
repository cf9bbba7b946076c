/* test_cpu_random.c: random kernels (ir_gen.h) compute in compiled CPU code what they compute in the interpreter, bit
 * for bit: nearly as built, and after the back end's own passes. `test_cpu_random FIRST COUNT` runs other seeds and
 * prints the failures.
 */
#include "backends/backend.h"
#include "tests/ir_run.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

enum { KERNELS = 400, BYTES = 400, BUDGET = 200000 };

static void random_bytes(uint64_t seed, uint8_t *out)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < BYTES; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out[i] = (uint8_t)(x >> 32);
    }
}

static const char *messages(arena *a, diags *d)
{
    strbuf b;
    sb_init(&b, a);
    diags_render(d, DIAG_SHORT, &b);
    return str_cstr(a, sb_str(&b));
}

static void ignore_print(abi_host *h, const char *text, const int64_t pid[3], int dt, int64_t n, const void *data,
                         int hex)
{
    (void)h, (void)text, (void)pid, (void)dt, (void)n, (void)data, (void)hex;
}

static void ignore_fault(abi_host *h, const char *text, const char *file, int line, const int64_t pid[3])
{
    (void)text, (void)file, (void)line, (void)pid;
    h->stopped = 1;
}

/* as gen_run, in compiled code */
static const char *run_compiled(arena *a, const ir_module *m, gen_memory_image *mem)
{
    diags d;
    diags_init(&d, a);
    cpu_kernel k;
    if (!cpu_make(a, m, ir_module_find(m, S("k")), 1, &k, &d))
        return messages(a, &d);
    for (int i = 0; i < GEN_ELEMS; i++) {
        mem->ints[i] = i * 77 - 1000;
        mem->floats[i] = 0x3f000000u + (uint32_t)i * 65537u;
    }
    abi_host host = {.print = ignore_print, .fault = ignore_fault};
    abi_thread t = {.host = &host,
                    .buffer = arena_alloc(a, (size_t)k.info.buffer_bytes + 64, 64),
                    .buffer_bytes = k.info.buffer_bytes};
    memset(t.buffer, 0xa5, (size_t)k.info.buffer_bytes);
    uint64_t args[] = {2, 1, 1, (uint64_t)(uintptr_t)mem->ints, (uint64_t)(uintptr_t)mem->floats, 5, 3, 0x40490fdb};
    k.entry(args, 0, 2, &t);
    cpu_kernel_free(&k);
    return NULL;
}

/* NULL, or what went wrong; *ran counts the kernels that the interpreter could run */
static const char *check_seed(arena *a, int seed, bool passes, int *ran)
{
    uint8_t bytes[BYTES];
    str err = {0};
    diags d;
    diags_init(&d, a);
    gen_memory_image *want = ARENA_NEW(a, gen_memory_image), *got = ARENA_NEW(a, gen_memory_image);
    random_bytes((uint64_t)seed, bytes);
    ir_module *m = gen_module(a, bytes, BYTES);
    if (!gen_run(a, m, BUDGET, want, &err))
        return NULL;
    ++*ran;
    backend_target t;
    const tile_backend *b = backend_find(S("cpu"), &t, a);
    pass_options opt = {0};
    static const pass_id few[] = {PASS_inline, PASS_lower_tensors}; /* what no back end does without */
    bool ok = passes ? pass_run(m, &d, &opt, b->pipeline, b->npipeline, NULL)
                     : pass_run(m, &d, &opt, few, COUNTOF(few), NULL);
    if (!ok)
        return messages(a, &d);
    const char *why = run_compiled(a, m, got);
    return why ? why : gen_differs(a, want, got);
}

static int sweep(int first, int count, bool passes, void (*failed)(int seed, const char *why))
{
    int ran = 0;
    for (int seed = first; seed < first + count; seed++) {
        arena a;
        arena_init(&a, 0);
        const char *why = check_seed(&a, seed, passes, &ran);
        if (why)
            failed(seed, why);
        arena_fini(&a);
    }
    return ran;
}

static void abort_test(int seed, const char *why)
{
    ck_abort_msg("kernel %d: %.300s", seed, why);
}

static void show(int seed, const char *why)
{
    printf("kernel %d: %.300s\n", seed, why);
    fflush(stdout);
}

START_TEST(as_built)
{
    ck_assert_int_gt(sweep(0, KERNELS, false, abort_test), KERNELS / 2);
}
END_TEST

START_TEST(after_passes)
{
    ck_assert_int_gt(sweep(0, KERNELS, true, abort_test), KERNELS / 2);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 2) {
        int first = atoi(argv[1]), count = atoi(argv[2]);
        int ran = sweep(first, count, false, show) + sweep(first, count, true, show);
        printf("%d kernels ran\n", ran);
        return 0;
    }
    Suite *s = suite_create("cpu_random");
    TCase *t = tcase_create("seeds");
    tcase_set_timeout(t, 600);
    tcase_add_test(t, as_built);
    tcase_add_test(t, after_passes);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
