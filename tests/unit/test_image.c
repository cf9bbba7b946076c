/* test_image.c: the loader of objects: what the code generator makes runs; what is cut or altered is refused or loaded,
 * without a fault either way (it isn't run then).
 */
#include "backends/backend.h"

#include <check.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* calls of the C library and of ours, constants, an assert with its text */
static const char text[] = "tile-ir 1 stage=laid target=cpu\n"
                           "kernel @k(%x: *f64, %n: i64) {\n"
                           "  %0 = load %x : f64\n"
                           "  %1 = sin %0 : f64\n"
                           "  %2 = const 0x1p-1 : f64\n"
                           "  %3 = add %1, %2 : f64\n"
                           "  %4 = const 0 : i64\n"
                           "  %5 = gt %n, %4 : bool\n"
                           "  assert %5 {text = \"n is positive\"}\n"
                           "  store %x, %3\n"
                           "  return\n"
                           "}\n";

typedef struct kit {
    arena a;
    str object;
    cpu_info info;
} kit;

static kit kit_open(void)
{
    kit k = {0};
    diags d;
    arena_init(&k.a, 0);
    diags_init(&d, &k.a);
    const ir_module *m = ir_read(&k.a, &d, S("k.tir"), S(text));
    ck_assert_msg(m != NULL, "the kernel's text is wrong");
    ck_assert(cpu_object(&k.a, m, ir_module_find(m, S("k")), 2, &k.object, &k.info, &d));
    return k;
}

static int faults;

static void count_fault(abi_host *h, const char *what, const char *file, int line, const int64_t pid[3])
{
    (void)file;
    (void)line;
    (void)pid;
    ck_assert_str_eq(what, "n is positive");
    h->stopped = 1;
    faults++;
}

START_TEST(runs)
{
    kit k = kit_open();
    cpu_kernel c;
    str err;
    ck_assert_msg(cpu_load(&k.a, k.object, &k.info, &c, &err), "%.*s", STR_ARG(err));
    double x = 0;
    uint64_t args[] = {1, 1, 1, (uint64_t)(uintptr_t)&x, 5};
    abi_host host = {.fault = count_fault};
    abi_thread t = {.host = &host, .buffer = arena_alloc(&k.a, (size_t)k.info.buffer_bytes + 64, 64)};
    c.entry(args, 0, 1, &t);
    ck_assert(x == 0.5 && faults == 0);
    args[4] = 0;
    c.entry(args, 0, 1, &t);
    ck_assert(x == 0.5 && faults == 1);
    cpu_kernel_free(&c);
    ck_assert_ptr_null(c.image.base);
    cpu_kernel_free(&c);
    arena_fini(&k.a);
}
END_TEST

START_TEST(cut)
{
    kit k = kit_open();
    cpu_kernel c;
    str err;
    for (size_t n = 0; n < k.object.n; n++) {
        arena_pos m = arena_mark(&k.a);
        char *p = malloc(n ? n : 1); /* its end is the allocator's, which a sanitizer watches */
        memcpy(p, k.object.p, n);
        if (cpu_load(&k.a, (str){p, n}, &k.info, &c, &err))
            cpu_kernel_free(&c);
        else
            ck_assert_uint_gt(err.n, 0);
        free(p);
        arena_reset(&k.a, m);
    }
    ck_assert(!cpu_load(&k.a, S("no object"), &k.info, &c, &err));
    arena_fini(&k.a);
}
END_TEST

static uint64_t seed = 7;

static size_t below(size_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 20) % n;
}

/* a field of a header, a section, a symbol or a relocation: random bytes alone seldom meet one */
static void alter(char *p, size_t n)
{
    const Elf64_Ehdr *h = (const void *)p;
    const Elf64_Shdr *s = (const void *)(p + h->e_shoff);
    size_t at = below(n), which = below(h->e_shnum);
    switch (below(4)) {
    case 0:
        at = below(sizeof *h);
        break;
    case 1:
        at = (size_t)h->e_shoff + which * sizeof *s + below(sizeof *s);
        break;
    case 2:
        at = s[which].sh_type != SHT_NOBITS && s[which].sh_size
                 ? (size_t)s[which].sh_offset + below((size_t)s[which].sh_size)
                 : at;
        break;
    default:
        break;
    }
    unsigned char byte = (unsigned char)p[at];
    byte = (unsigned char)(below(2) ? below(256) : byte ^ ((size_t)1 << below(8)));
    memcpy(p + at, &byte, 1);
}

START_TEST(altered)
{
    kit k = kit_open();
    cpu_kernel c;
    str err;
    int loaded = 0, refused = 0;
    for (int round = 0; round < 20000; round++) {
        arena_pos m = arena_mark(&k.a);
        char *p = malloc(k.object.n);
        memcpy(p, k.object.p, k.object.n);
        alter(p, k.object.n);
        if (cpu_load(&k.a, (str){p, k.object.n}, &k.info, &c, &err)) {
            cpu_kernel_free(&c);
            loaded++;
        } else {
            ck_assert_uint_gt(err.n, 0);
            refused++;
        }
        free(p);
        arena_reset(&k.a, m);
    }
    ck_assert_int_gt(loaded, 100);
    ck_assert_int_gt(refused, 100);
    arena_fini(&k.a);
}
END_TEST

START_TEST(symbols)
{
    ck_assert(cpu_symbol(S("memcpy")) != NULL);
    ck_assert(cpu_symbol(S("tile_rt_sort")) != NULL);
    ck_assert(cpu_symbol(S("system")) == NULL);
    ck_assert(cpu_symbol(S("")) == NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("image");
    TCase *c = tcase_create("image");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, runs);
    tcase_add_test(c, cut);
    tcase_add_test(c, altered);
    tcase_add_test(c, symbols);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
