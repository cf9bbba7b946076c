/* cuda_kit.h: what the tests of the CUDA device share: the fake of the driver, and a kernel to launch. */
#ifndef TILE_TESTS_CUDA_KIT_H
#define TILE_TESTS_CUDA_KIT_H

#include "runtime/cuda.h"
#include "tests/unit/fake_cuda.h"

#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static fake_state *fake;
static tile_error err;
static char folder[64], library[512];

/* grid: as many programs as rows, but no more than the device holds */
static const char source[] = "tile-ir 1 stage=laid target=cuda:sm_90a\n"
                             "kernel @k(%a: tensor<?x?xf16>, %n: i32, %p: *f32 {written}) grid host=@k.host {\n"
                             "  %x = cast %n : f32\n"
                             "  store %p, %x\n"
                             "  return\n"
                             "}\n"
                             "host @k.host(%a: tensor<?x?xf16>, %n: i32, %p: *f32) -> (i64, i64, i64) {\n"
                             "  %r = resident : i64\n"
                             "  %m = tensor_dim %a {dim = 0} : i64\n"
                             "  %g = min %m, %r : i64\n"
                             "  %1 = const 1 : i64\n"
                             "  return %g, %1, %1\n"
                             "}\n";

static void setup(void)
{
    ssize_t n = readlink("/proc/self/exe", library, sizeof library - 32);
    ck_assert(n > 0);
    library[n] = 0;
    strcpy(strrchr(library, '/'), "/fake_cuda.so");
    void *lib = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(lib != NULL, "%s", dlerror());
    fake = dlsym(lib, "fake");
    *fake = (fake_state){
        .version = 12040, .devices = 1, .major = 9, .memory = 1 << 20, .registers = 40, .blocks = 2, .clusters = 60};
    strcpy(folder, "/tmp/test_cuda.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    setenv("TILE_CUDA_LIBRARY", library, 1);
    setenv("TILE_PTXAS", "", 1);
    setenv("TILE_CACHE_DIR", folder, 1);
}

static void teardown(void)
{
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
    ck_assert_int_eq(system(cmd), 0);
}

/* nothing is left open, and no context on the stack */
static void check_clean(void)
{
    ck_assert_int_eq(fake->depth, 0);
    ck_assert_int_eq(fake->outside, 0);
    ck_assert_int_le(fake->deepest, 1);
    ck_assert_int_eq(fake->contexts, 0);
    ck_assert_int_eq(fake->modules, 0);
    ck_assert_int_eq(fake->streams, 0);
    ck_assert_int_eq(fake->events, 0);
    ck_assert_int_eq(fake->graphs, 0);
    ck_assert_int_eq(fake->execs, 0);
    ck_assert_int_eq(fake->blocks_of_memory, 0);
}

static void has(const char *text)
{
    ck_assert_msg(strstr(err.text, text) != NULL, "expected '%s' in '%s'", text, err.text);
}

static tile_device *open_device(void)
{
    tile_device *d = tile_device_open("cuda", &err);
    ck_assert_msg(d != NULL, "%s", err.text);
    return d;
}

static void fails(const char *entry, int error)
{
    snprintf(fake->fails, sizeof fake->fails, "%s", entry);
    fake->error = error;
    fake->fails_after = 0;
}

#endif
