/* amx_kit.h: the instructions of AMX as C functions, and LLVM text that calls these instead: code for processors with
 * tiles runs on any that has the rest. After the manual's pseudocode: shapes are checked as the processor does, rows
 * and columns beyond a tile's are zero, products of bf16 take denormals for zero.
 */
#ifndef TILE_TESTS_AMX_KIT_H
#define TILE_TESTS_AMX_KIT_H

#include "base/base.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { AMX_TILES = 8, AMX_ROWS = 16, AMX_BYTES = 64 };

typedef struct amx_tile {
    int rows, bytes; /* as loaded by ldtilecfg; 0: none */
    uint8_t at[AMX_ROWS][AMX_BYTES];
} amx_tile;

/* of the one thread that tests run in */
static struct amx_state {
    bool on;
    amx_tile t[AMX_TILES];
    long products;
} amx;

static void amx_config(const uint8_t *c)
{
    ck_assert_int_eq(c[0], 1); /* the palette */
    ck_assert_int_eq(c[1], 0); /* the row to go on from */
    for (int i = 2; i < 64; i++)
        ck_assert_msg((i >= 16 && i < 32) || (i >= 48 && i < 56) || c[i] == 0, "byte %d of a configuration", i);
    for (int i = 0; i < AMX_TILES; i++) {
        amx.t[i] = (amx_tile){.rows = c[48 + i], .bytes = c[16 + 2 * i] | c[17 + 2 * i] << 8};
        ck_assert(amx.t[i].rows <= AMX_ROWS && amx.t[i].bytes <= AMX_BYTES);
        ck_assert((amx.t[i].rows == 0) == (amx.t[i].bytes == 0));
    }
    amx.on = true;
}

static void amx_release(void)
{
    memset(amx.t, 0, sizeof amx.t);
    amx.on = false;
}

static amx_tile *amx_used(uint8_t i)
{
    ck_assert(amx.on && i < AMX_TILES && amx.t[i].rows > 0);
    return &amx.t[i];
}

static void amx_load(uint8_t i, const uint8_t *p, int64_t pitch)
{
    amx_tile *t = amx_used(i);
    memset(t->at, 0, sizeof t->at);
    for (int r = 0; r < t->rows; r++)
        memcpy(t->at[r], p + r * pitch, (size_t)t->bytes);
}

static void amx_store(uint8_t i, uint8_t *p, int64_t pitch)
{
    const amx_tile *t = amx_used(i);
    for (int r = 0; r < t->rows; r++)
        memcpy(p + r * pitch, t->at[r], (size_t)t->bytes);
}

/* c += a b: the three of shapes that go together */
static void amx_shapes(const amx_tile *c, const amx_tile *a, const amx_tile *b)
{
    ck_assert(c != a && c != b && a != b);
    ck_assert_int_eq(c->rows, a->rows);
    ck_assert_int_eq(c->bytes, b->bytes);
    ck_assert_int_eq(a->bytes, 4 * b->rows);
    ck_assert_int_eq(c->bytes % 4 + a->bytes % 4, 0);
    amx.products++;
}

static void amx_bytes(uint8_t ic, uint8_t ia, uint8_t ib, bool sa, bool sb)
{
    amx_tile *c = amx_used(ic);
    const amx_tile *a = amx_used(ia), *b = amx_used(ib);
    amx_shapes(c, a, b);
    for (int m = 0; m < c->rows; m++)
        for (int k = 0; k < a->bytes / 4; k++)
            for (int n = 0; n < c->bytes / 4; n++) {
                uint32_t sum;
                memcpy(&sum, &c->at[m][4 * n], 4);
                for (int q = 0; q < 4; q++) {
                    int x = a->at[m][4 * k + q], y = b->at[k][4 * n + q];
                    sum += (uint32_t)((sa ? (int8_t)x : x) * (sb ? (int8_t)y : y));
                }
                memcpy(&c->at[m][4 * n], &sum, 4);
            }
}

static void amx_ss(uint8_t c, uint8_t a, uint8_t b)
{
    amx_bytes(c, a, b, true, true);
}

static void amx_su(uint8_t c, uint8_t a, uint8_t b)
{
    amx_bytes(c, a, b, true, false);
}

static void amx_us(uint8_t c, uint8_t a, uint8_t b)
{
    amx_bytes(c, a, b, false, true);
}

static void amx_uu(uint8_t c, uint8_t a, uint8_t b)
{
    amx_bytes(c, a, b, false, false);
}

static float amx_flushed(float x)
{
    return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x;
}

static float amx_bf16_at(const uint8_t *p)
{
    uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 24;
    float x;
    memcpy(&x, &bits, 4);
    return amx_flushed(x);
}

/* even and odd places along K are added up apart, then to c */
static void amx_bf16(uint8_t ic, uint8_t ia, uint8_t ib)
{
    amx_tile *c = amx_used(ic);
    const amx_tile *a = amx_used(ia), *b = amx_used(ib);
    amx_shapes(c, a, b);
    for (int m = 0; m < c->rows; m++)
        for (int n = 0; n < c->bytes / 4; n++) {
            float part[2] = {0, 0}, sum;
            for (int k = 0; k < a->bytes / 4; k++)
                for (int q = 0; q < 2; q++)
                    part[q] = amx_flushed(
                        fmaf(amx_bf16_at(&a->at[m][4 * k + 2 * q]), amx_bf16_at(&b->at[k][4 * n + 2 * q]), part[q]));
            memcpy(&sum, &c->at[m][4 * n], 4);
            sum = amx_flushed(amx_flushed(sum) + amx_flushed(part[0] + part[1]));
            memcpy(&c->at[m][4 * n], &sum, 4);
        }
}

typedef void amx_fn(void);

/* LLVM text in which calls of AMX's intrinsics go to the functions above, by their addresses in this process */
static str amx_told(arena *a, str text)
{
    static const struct {
        const char *name;
        amx_fn *fn;
    } known[] = {{"ldtilecfg", (amx_fn *)amx_config}, {"tilerelease", (amx_fn *)amx_release},
                 {"tileloadd64", (amx_fn *)amx_load}, {"tilestored64", (amx_fn *)amx_store},
                 {"tdpbf16ps", (amx_fn *)amx_bf16},   {"tdpbssd", (amx_fn *)amx_ss},
                 {"tdpbsud", (amx_fn *)amx_su},       {"tdpbusd", (amx_fn *)amx_us},
                 {"tdpbuud", (amx_fn *)amx_uu}};
    static const char call[] = "call void @llvm.x86.";
    char *at = str_cstr(a, text), *next;
    strbuf out;
    sb_init(&out, a);
    for (; (next = strstr(at, call)); at = next) {
        sb_put(&out, (str){at, (size_t)(next - at)});
        next += sizeof call - 1;
        size_t n = strcspn(next, "("), i = 0;
        while (i < COUNTOF(known) && (strlen(known[i].name) != n || memcmp(known[i].name, next, n) != 0))
            i++;
        if (i < COUNTOF(known))
            sb_putf(&out, "call void inttoptr (i64 %llu to ptr)", (unsigned long long)(uintptr_t)known[i].fn);
        else
            sb_putf(&out, "%s%.*s", call, (int)n, next);
        next += n;
    }
    sb_puts(&out, at);
    return sb_str(&out);
}

#endif
