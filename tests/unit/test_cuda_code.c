/* test_cuda_code.c: the CUDA device from the back end's code to the driver (fake_cuda.c): what a launch passes, tensor
 * maps, what doesn't fit, the assembler and its cache.
 */
#include "tests/unit/cuda_kit.h"

#include <dirent.h>
#include <sys/stat.h>

/* ---- launches of code that the test brings ---- */

typedef struct kit {
    arena a;
    diags ds;
    tile_device *d;
    cuda_device *c;
    ir_module *m;
    ir_func *f;
    gpu_map maps[2];
    gpu_code code;
} kit;

static void kit_open(kit *x)
{
    memset(x, 0, sizeof *x);
    arena_init(&x->a, 0);
    diags_init(&x->ds, &x->a);
    x->d = open_device();
    x->c = x->d->state;
    x->m = ir_read(&x->a, &x->ds, S("k.tir"), str_of(source));
    ck_assert_ptr_nonnull(x->m);
    x->f = ir_module_find(x->m, S("k"));
    x->maps[0] = (gpu_map){.param = 0, .rank = 2, .box = {128, 64}, .swizzle = 128, .dt = DT_F16};
    x->maps[1] = (gpu_map){.param = 0, .rank = 1, .box = {32}, .swizzle = 0, .dt = DT_F16};
    x->code = (gpu_code){.text = S(".version 8.0\n"),
                         .symbol = S("k"),
                         .threads = 384,
                         .cluster = 2,
                         .shared_bytes = 200000,
                         .nslots = 10,
                         .maps = x->maps,
                         .nmaps = 2,
                         .dependent = true};
    fake->nslots = 10;
    fake->nmaps = 2;
}

static void kit_close(kit *x)
{
    arena_fini(&x->a);
    tile_device_close(x->d);
    check_clean();
}

static struct cuda_kernel *kit_load(kit *x)
{
    ck_assert(cuda_enter(x->c, &err));
    struct cuda_kernel *k = cuda_load(x->c, x->f, &x->code, &x->ds);
    cuda_leave(x->c);
    return k;
}

static bool kit_start(kit *x, struct cuda_kernel *k, const uint64_t *slots, bool cooperative)
{
    err = (tile_error){0};
    ck_assert(cuda_enter(x->c, &err));
    bool ok = cuda_start(x->c, x->d->own.handle, k, slots, cooperative, &err);
    cuda_leave(x->c);
    return ok;
}

static void kit_drop(kit *x, struct cuda_kernel *k)
{
    ck_assert(cuda_enter(x->c, &err));
    cuda_unload(x->c, k);
    cuda_leave(x->c);
}

START_TEST(packing)
{
    kit x;
    kit_open(&x);
    struct cuda_kernel *k = kit_load(&x);
    ck_assert_ptr_nonnull(k);
    ck_assert_int_eq(fake->max_dynamic, 200000);
    ck_assert_int_eq(k->resident, 60); /* clusters */
    ck_assert_int_eq(k->stats.registers, 40);
    ck_assert_int_eq(k->stats.spill_bytes, 16);
    ck_assert_int_eq(fake->texts, 1);
    /* grid, the tensor (base, sizes, strides), n, p */
    uint64_t slots[10] = {5, 6, 7, 0x10000, 300, 64, 72, 1, 41, 0x20000};
    ck_assert_msg(kit_start(&x, k, slots, false), "%s", err.text);
    const fake_launch *l = &fake->launch[0];
    ck_assert(l->grid[0] == 10 && l->grid[1] == 6 && l->grid[2] == 7 && l->block[0] == 384 && l->block[1] == 1);
    ck_assert(l->shared == 200000 && l->cluster == 2 && l->dependent == 1 && l->cooperative == 0 && l->aligned);
    ck_assert_ptr_eq(l->stream, x.d->own.handle);
    ck_assert_mem_eq(l->slots, slots, sizeof slots);
    /* type f16 (6), rank 2, swizzle of 128 bytes (3); sizes, strides in bytes and box, innermost first */
    static const uint64_t two[16] = {6 | 2 << 8 | 3 << 16, 0x10000, 64, 300, 0, 0, 0, 144, 0, 0, 0, 64, 128};
    static const uint64_t one[16] = {6 | 2 << 8, 0x10000, 64, 300, 0, 0, 0, 144, 0, 0, 0, 32, 1};
    ck_assert_mem_eq(l->maps[0], two, sizeof two);
    ck_assert_mem_eq(l->maps[1], one, sizeof one);
    ck_assert_int_eq(fake->encodes, 2);
    ck_assert(kit_start(&x, k, slots, true)); /* a known tensor: nothing is encoded */
    ck_assert_int_eq(fake->encodes, 2);
    ck_assert_int_eq(fake->launch[1].cooperative, 1);
    ck_assert_mem_eq(fake->launch[1].maps[0], two, sizeof two);
    slots[4] = 301; /* another: it is */
    ck_assert(kit_start(&x, k, slots, false));
    ck_assert_int_eq(fake->encodes, 4);
    ck_assert_uint_eq(fake->launch[2].maps[0][3], 301);
    for (uint64_t i = 1; i < 100; i++) { /* more than are kept */
        slots[3] = 0x10000 * i;
        ck_assert(kit_start(&x, k, slots, false));
        ck_assert_uint_eq(fake->launch[(i + 2) % FAKE_LAUNCHES].maps[0][1], slots[3]);
    }
    kit_drop(&x, k);
    kit_close(&x);
}
END_TEST

START_TEST(maps)
{
    kit x;
    kit_open(&x);
    struct cuda_kernel *k = kit_load(&x);
    static const uint64_t good[10] = {1, 1, 1, 0x10000, 300, 64, 72, 1, 41, 0x20000};
    static const struct {
        int slot;
        uint64_t x;
        const char *text;
    } wrong[] = {
        {3, 0x10008, "tensor 0 of kernel 'k' can't be copied in bulk: its address 0x10008 is not a multiple of 16"},
        {4, 0, "dimension 0 has 0 elements, expected 1 to 4294967295"},
        {5, (uint64_t)1 << 32, "dimension 1 has 4294967296 elements"},
        {6, 70, "stride 0 is 70 elements of 2 bytes, not a multiple of 16 bytes"},
        {6, (uint64_t)-72, "stride 0 is -72 elements, expected at least 0"},
        {6, (uint64_t)1 << 40, "less than 2^40 bytes"},
        {7, 2, "its last stride is 2, expected 1"},
    };
    uint64_t slots[10];
    for (size_t i = 0; i < COUNTOF(wrong); i++) {
        memcpy(slots, good, sizeof good);
        slots[wrong[i].slot] = wrong[i].x;
        ck_assert(!kit_start(&x, k, slots, false));
        ck_assert_int_eq(err.code, TILE_E_ARGUMENT);
        has(wrong[i].text);
    }
    ck_assert_int_eq(fake->launches, 0);
    memcpy(slots, good, sizeof good);
    slots[4] = 1, slots[6] = 7; /* the stride of a single row says nothing */
    ck_assert_msg(kit_start(&x, k, slots, false), "%s", err.text);
    ck_assert_uint_eq(fake->launch[0].maps[0][7], 128);
    fails("cuTensorMapEncodeTiled", 1);
    slots[3] += 4096;
    ck_assert(!kit_start(&x, k, slots, false));
    has("cuTensorMapEncodeTiled: CUDA_ERROR_INVALID_VALUE");
    kit_drop(&x, k);
    kit_close(&x);
}
END_TEST

static void not_loaded(kit *x, const char *text)
{
    uint32_t before = x->ds.errors;
    ck_assert_ptr_null(kit_load(x));
    ck_assert_uint_eq(x->ds.errors, before + 1);
    tile_error got;
    rt_fail_diags(&got, TILE_E_SOURCE, &x->ds, &x->a);
    ck_assert_msg(strstr(got.text, text) != NULL, "expected '%s' in '%s'", text, got.text);
    ck_assert_int_eq(fake->modules, 0);
}

START_TEST(no_room)
{
    kit x;
    kit_open(&x);
    x.code.shared_bytes = 232449;
    not_loaded(&x,
               "kernel 'k': too much shared memory: 232449 bytes a block for its tiles and channels, the device has "
               "232448");
    x.code.shared_bytes = 232440;
    fake->fixed_shared = 16;
    not_loaded(&x, "too much shared memory: 232456 bytes a block (232440 for its tiles and channels, 16 fixed), the "
                   "device has 232448");
    fake->fixed_shared = 0;
    fake->registers = 200;
    not_loaded(&x, "too many registers: 200 a thread, 384 threads a block: 76800, the device has 65536 a block");
    fake->registers = 40;
    x.code.threads = 1025;
    not_loaded(&x, "1025 threads a block, the device takes 1024 at most");
    x.code.threads = 384;
    fake->clusters = 0;
    not_loaded(&x, "the device can't hold one cluster of it: 384 threads, 40 registers a thread, 232440 bytes of "
                   "shared memory a block, all of a cluster at once");
    x.code.cluster = 1;
    fake->blocks = 0;
    not_loaded(&x, "the device can't hold one block of it");
    fake->blocks = 1;
    struct cuda_kernel *k = kit_load(&x);
    ck_assert_int_eq(k->resident, 132);
    uint64_t slots[10] = {1, 65536, 1, 0x10000, 300, 64, 72, 1, 41, 0x20000};
    ck_assert(!kit_start(&x, k, slots, false));
    ck_assert_int_eq(err.code, TILE_E_ARGUMENT);
    has("grid of kernel 'k': extent 1 is 65536, the device takes 65535 at most");
    slots[1] = 1;
    fails("cuLaunchKernelEx", 701);
    ck_assert(!kit_start(&x, k, slots, false));
    ck_assert_int_eq(err.code, TILE_E_DEVICE);
    has("the device has no room for kernel 'k': 384 threads of 40 registers and 232440 bytes of shared memory a block, "
        "of 65536 registers and 232448 bytes (CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES");
    fails("cuLaunchKernelEx", 1);
    ck_assert(!kit_start(&x, k, slots, false));
    has("cuLaunchKernelEx: CUDA_ERROR_INVALID_VALUE");
    fake->fails[0] = 0;
    ck_assert(kit_start(&x, k, slots, false));
    kit_drop(&x, k);
    kit_close(&x);
}
END_TEST

START_TEST(driver_compiles)
{
    kit x;
    kit_open(&x);
    fails("cuModuleLoadDataEx", 218);
    not_loaded(&x, "kernel 'k': the driver does not take its code: cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX: a PTX "
                   "JIT compilation failed\n");
    fails("cuModuleLoadDataEx", 218);
    not_loaded(&x, "Unknown symbol 'frob'");
    fails("cuModuleLoadDataEx", 222);
    not_loaded(&x, "the driver (CUDA 12.4) is too old for this code (CUDA_ERROR_UNSUPPORTED_PTX_VERSION");
    fails("cuModuleLoadDataEx", 221);
    not_loaded(&x, "the driver's compiler is not installed");
    fails("cuModuleGetFunction", 500);
    not_loaded(&x, "CUDA_ERROR_NOT_FOUND: named symbol not found");
    fails("cuFuncSetAttribute", 1);
    not_loaded(&x, "cuFuncSetAttribute: CUDA_ERROR_INVALID_VALUE");
    fails("cuOccupancyMaxActiveClusters", 1);
    not_loaded(&x, "cuOccupancyMaxActiveClusters: CUDA_ERROR_INVALID_VALUE");
    kit_close(&x);
}
END_TEST

/* ---- ptxas and the cache ---- */

static void write_text(const char *name, const char *text, mode_t mode)
{
    char path[128];
    arena a;
    str why;
    arena_init(&a, 0);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert(file_write(&a, path, str_of(text), &why));
    ck_assert_int_eq(chmod(path, mode), 0);
    arena_fini(&a);
}

/* an assembler that counts its runs, and does as the file `mode` says */
static void make_ptxas(void)
{
    char text[1024], path[128];
    snprintf(text, sizeof text,
             "#!/bin/sh\n"
             "echo \"$@\" >>%s/calls\n"
             "case $(cat %s/mode) in\n"
             "good) printf 'CUBIN of ' >$6; cat $4 >>$6\n"
             "    echo 'ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async serialized'\n"
             "    echo 'ptxas info    : 0 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads'\n"
             "    echo 'ptxas info    : Used 168 registers, used 5 barriers' ;;\n"
             "refuse) echo 'ptxas k.ptx, line 3; error: Illegal modifier'; exit 255 ;;\n"
             "*) echo \"ptxas fatal: Value 'sm_90a' is not defined for option 'gpu-name'\"; exit 255 ;;\n"
             "esac\n",
             folder, folder);
    write_text("ptxas", text, 0755);
    write_text("mode", "good\n", 0644);
    snprintf(path, sizeof path, "%s/ptxas", folder);
    setenv("TILE_PTXAS", path, 1);
    snprintf(path, sizeof path, "%s/cache/deep", folder);
    setenv("TILE_CACHE_DIR", path, 1);
}

static int calls(char *last, size_t n)
{
    char path[128];
    int count = 0;
    snprintf(path, sizeof path, "%s/calls", folder);
    FILE *f = fopen(path, "r");
    while (f && fgets(last, (int)n, f))
        count++;
    if (f)
        fclose(f);
    return count;
}

/* every file of the cache through fn */
static int each_entry(void (*fn)(const char *path))
{
    char path[512];
    int n = 0;
    snprintf(path, sizeof path, "%s/cache/deep", folder);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/cache/deep/%.200s", folder, e->d_name);
        n++;
        if (fn)
            fn(path);
    }
    if (dir)
        closedir(dir);
    return n;
}

static void cut_short(const char *path)
{
    ck_assert_int_eq(truncate(path, 20), 0);
}

static void change_byte(const char *path)
{
    FILE *f = fopen(path, "r+");
    ck_assert_int_eq(fseek(f, 40, SEEK_SET), 0);
    int c = fgetc(f);
    ck_assert_int_eq(fseek(f, 40, SEEK_SET), 0);
    fputc(c ^ 1, f);
    fclose(f);
}

static void load_and_drop(kit *x, int runs, int cubins)
{
    char last[1024] = "";
    struct cuda_kernel *k = kit_load(x);
    ck_assert_ptr_nonnull(k);
    ck_assert_int_eq(calls(last, sizeof last), runs);
    ck_assert_int_eq(fake->cubins, cubins);
    ck_assert_int_eq(k->stats.spill_bytes, 8);
    ck_assert_ptr_nonnull(strstr(k->stats.notes, "(C7510)"));
    ck_assert_int_eq(strncmp(fake->image, "CUBIN of .version 8.0\n", 22), 0);
    kit_drop(x, k);
}

START_TEST(assembler)
{
    kit x;
    char last[1024];
    make_ptxas();
    kit_open(&x);
    load_and_drop(&x, 1, 1);
    calls(last, sizeof last);
    ck_assert_msg(strncmp(last, "-arch=sm_90a -v -lineinfo ", 26) == 0, "%s", last);
    load_and_drop(&x, 1, 2); /* from the cache */
    ck_assert_int_eq(each_entry(cut_short), 1);
    load_and_drop(&x, 2, 3); /* a damaged entry is none, and is replaced */
    load_and_drop(&x, 2, 4);
    ck_assert_int_eq(each_entry(change_byte), 1);
    load_and_drop(&x, 3, 5);
    x.code.text = S(".version 8.0\n\n"); /* another text, another entry */
    load_and_drop(&x, 4, 6);
    ck_assert_int_eq(each_entry(NULL), 2);
    /* the driver may not know what a newer ptxas made: it compiles itself */
    fake->refuse_cubin = 209;
    fake->texts = 0;
    struct cuda_kernel *k = kit_load(&x);
    ck_assert_ptr_nonnull(k);
    ck_assert_int_eq(fake->texts, 1);
    ck_assert_int_eq(k->stats.spill_bytes, 16);
    kit_drop(&x, k);
    fake->refuse_cubin = 0;
    /* another ptxas: nothing of the old one's is used */
    make_ptxas();
    write_text("mode", "refuse\n", 0644);
    char path[128];
    snprintf(path, sizeof path, "%s/ptxas", folder);
    ck_assert_int_eq(truncate(path, 2000), 0);
    not_loaded(&x, "ptxas does not take its code:\nptxas k.ptx, line 3; error: Illegal modifier");
    write_text("mode", "old\n", 0644);
    k = kit_load(&x);
    ck_assert_ptr_nonnull(k);
    ck_assert_int_eq(fake->texts, 2);
    kit_drop(&x, k);
    ck_assert_int_eq(each_entry(NULL), 2);
    kit_close(&x);
}
END_TEST

START_TEST(logs)
{
    arena a;
    cuda_binary b;
    arena_init(&a, 0);
    cuda_read_log(&a,
                  S("ptxas info    : Compiling entry function 'gemm' for 'sm_90a'\n"
                    "ptxas info    : Function properties for gemm\n"
                    "    16 bytes stack frame, 24 bytes spill stores, 12 bytes spill loads\n"
                    "ptxas info    : Used 255 registers, used 9 barriers, 16 bytes cumulative stack size\n"
                    "ptxas k.ptx, line 9; warning : something odd\n"
                    "ptxas info    : (C7514) Potential Performance Loss: wgmma.mma_async serialized\n"),
                  &b);
    ck_assert_int_eq(b.registers, 255);
    ck_assert_int_eq(b.spill_bytes, 24);
    ck_assert(str_eq(b.notes, S("ptxas k.ptx, line 9; warning : something odd\n"
                                "ptxas info    : (C7514) Potential Performance Loss: wgmma.mma_async serialized\n")));
    cuda_read_log(&a, S(""), &b);
    ck_assert_int_eq(b.registers, -1);
    ck_assert_int_eq(b.spill_bytes, -1);
    ck_assert_uint_eq(b.notes.n, 0);
    arena_fini(&a);
}
END_TEST

START_TEST(finding_ptxas)
{
    arena a;
    char path[128];
    arena_init(&a, 0);
    ck_assert_uint_eq(cuda_find_ptxas(&a).n, 0);
    make_ptxas();
    snprintf(path, sizeof path, "%s/ptxas", folder);
    ck_assert(str_eq(cuda_find_ptxas(&a), str_of(path)));
    unsetenv("TILE_PTXAS");
    snprintf(path, sizeof path, "/nowhere::%s:/bin", folder);
    setenv("PATH", path, 1);
    snprintf(path, sizeof path, "%s/ptxas", folder);
    ck_assert(str_eq(cuda_find_ptxas(&a), str_of(path)));
    setenv("PATH", "/bin:/usr/bin", 1);
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cuda code");
    TCase *t = tcase_create("fake");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, packing);
    tcase_add_test(t, maps);
    tcase_add_test(t, no_room);
    tcase_add_test(t, driver_compiles);
    tcase_add_test(t, assembler);
    tcase_add_test(t, logs);
    tcase_add_test(t, finding_ptxas);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
