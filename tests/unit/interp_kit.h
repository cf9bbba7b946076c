/* interp_kit.h: kernels of IR text for the interpreter's tests.
 *
 * Most tests give only the ops between: `run_body` wraps them into a kernel that loads each input tile from an array
 * and stores each output tile to another, poisoned before.
 */
#ifndef TILE_TESTS_INTERP_KIT_H
#define TILE_TESTS_INTERP_KIT_H

#include "base/base.h"
#include "compiler/interp.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct port {
    const char *name, *shape, *dt; /* shape "4x6"; "" = scalar */
    int n;
    void *data;
} port;

static inline const ir_module *module_of(arena *a, const char *text)
{
    diags d;
    diags_init(&d, a);
    const ir_module *m = ir_read(a, &d, S("test.tir"), str_of(text));
    if (!m) {
        strbuf out;
        sb_init(&out, a);
        diags_render(&d, DIAG_HUMAN, &out);
        fprintf(stderr, "%s", text);
        ck_abort_msg("%.*s", (int)(out.n < 2000 ? out.n : 2000), out.at);
    }
    return m;
}

/* kernel @k of the text; err is filled where it faults */
static inline bool run_text(const char *text, const int64_t grid[3], const uint64_t *args, uint32_t n,
                            const interp_options *opt, char *err, size_t nerr)
{
    arena a;
    arena_init(&a, 0);
    const ir_module *m = module_of(&a, text);
    uint64_t slots[64] = {(uint64_t)grid[0], (uint64_t)grid[1], (uint64_t)grid[2]};
    for (uint32_t i = 0; i < n; i++)
        slots[ABI_GRID_SLOTS + i] = args[i];
    const ir_func *k = ir_module_find(m, S("k"));
    ck_assert_ptr_nonnull(k);
    ck_assert_uint_eq(abi_total_slots(k), ABI_GRID_SLOTS + n);
    str e = {0};
    bool ok = interp_kernel(&a, k, slots, opt, &e);
    if (nerr)
        snprintf(err, nerr, "%.*s", STR_ARG(e));
    else if (!ok)
        ck_abort_msg("%.*s\n%s", STR_ARG(e), text);
    arena_fini(&a);
    return ok;
}

static const int64_t one_program[3] = {1, 1, 1};

#define ADDR(p) ((uint64_t)(uintptr_t)(p))

static inline void put_in(strbuf *b, const port *p)
{
    if (!*p->shape) {
        sb_putf(b, "  %%%s = load %%%s.ptr : %s\n", p->name, p->name, p->dt);
        return;
    }
    sb_putf(b, "  %%%s.i = arange {start = 0} : tile<%dxi64>\n", p->name, p->n);
    sb_putf(b, "  %%%s.b = splat %%%s.ptr : tile<%dx*%s>\n", p->name, p->name, p->n, p->dt);
    sb_putf(b, "  %%%s.p = ptr_add %%%s.b, %%%s.i : tile<%dx*%s>\n", p->name, p->name, p->name, p->n, p->dt);
    sb_putf(b, "  %%%s.l = load %%%s.p : tile<%dx%s>\n", p->name, p->name, p->n, p->dt);
    sb_putf(b, "  %%%s = reshape %%%s.l : tile<%sx%s>\n", p->name, p->name, p->shape, p->dt);
}

static inline void put_out(strbuf *b, const port *p)
{
    if (!*p->shape) {
        sb_putf(b, "  store %%%s.ptr, %%%s\n", p->name, p->name);
        return;
    }
    sb_putf(b, "  %%%s.i = arange {start = 0} : tile<%dxi64>\n", p->name, p->n);
    sb_putf(b, "  %%%s.b = splat %%%s.ptr : tile<%dx*%s>\n", p->name, p->name, p->n, p->dt);
    sb_putf(b, "  %%%s.p = ptr_add %%%s.b, %%%s.i : tile<%dx*%s>\n", p->name, p->name, p->name, p->n, p->dt);
    sb_putf(b, "  %%%s.r = reshape %%%s : tile<%dx%s>\n", p->name, p->name, p->n, p->dt);
    sb_putf(b, "  store %%%s.p, %%%s.r\n", p->name, p->name);
}

/* ports: inputs, then outputs, which are poisoned first */
static inline void run_body(const char *body, const port *ports, int nin, int nout)
{
    arena a;
    arena_init(&a, 0);
    strbuf b;
    sb_init(&b, &a);
    uint64_t args[16];
    sb_puts(&b, "tile-ir 1 stage=tir target=any\nkernel @k(");
    for (int i = 0; i < nin + nout; i++) {
        sb_putf(&b, "%s%%%s.ptr: *%s", i ? ", " : "", ports[i].name, ports[i].dt);
        args[i] = ADDR(ports[i].data);
        if (i >= nin)
            memset(ports[i].data, 0x5a, (size_t)ports[i].n * (size_t)dt_bytes(dtype_by_name(str_of(ports[i].dt))));
    }
    sb_puts(&b, ") {\n");
    for (int i = 0; i < nin; i++)
        put_in(&b, &ports[i]);
    sb_puts(&b, body);
    for (int i = nin; i < nin + nout; i++)
        put_out(&b, &ports[i]);
    sb_puts(&b, "  return\n}\n");
    run_text(str_cstr(&a, sb_str(&b)), one_program, args, (uint32_t)(nin + nout), NULL, NULL, 0);
    arena_fini(&a);
}

static inline uint64_t rng(void)
{
    static uint64_t rng_state = 88172645463325252ull;
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state;
}

static inline uint64_t elem_at(dtype dt, const void *p, int i)
{
    uint64_t x = 0;
    memcpy(&x, (const char *)p + i * dt_bytes(dt), (size_t)dt_bytes(dt));
    return x;
}

static inline void elem_set(dtype dt, void *p, int i, uint64_t x)
{
    memcpy((char *)p + i * dt_bytes(dt), &x, (size_t)dt_bytes(dt));
}

static inline void iota(int32_t *p, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = 100 + i;
}

#endif
