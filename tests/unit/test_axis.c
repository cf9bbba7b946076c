/* test_axis.c: what axis_build says of values, by example and as a property.
 *
 * The property: functions of random integer arithmetic on tiles are run by the interpreter with every value stored, and
 * each claim (runs that rise, runs that are equal, divisors, ranges) is checked against the elements.
 */
#include "compiler/interp.h"
#include "compiler/pass.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* ---- by example ---- */
static const ir_func *func_of(arena *a, const char *params, const char *body)
{
    diags d;
    strbuf out;
    diags_init(&d, a);
    str text = str_fmt(a, "tile-ir 1 stage=tir target=any\nkernel @k(%s) {\n%s  return\n}\n", params, body);
    const ir_module *m = ir_read(a, &d, S("t.tir"), text);
    sb_init(&out, a);
    diags_render(&d, DIAG_SHORT, &out);
    ck_assert_msg(m != NULL, "%.*s", (int)out.n, out.at);
    return ir_module_find(m, S("k"));
}

/* result 0 of the n-th op from the end, the return not counted */
static ir_val from_end(const ir_func *f, int n)
{
    ir_op o = ir_o(f, ir_last(f, f->body))->prev;
    while (n--)
        o = ir_o(f, o)->prev;
    return ir_out(f, o, 0);
}

static axis_info info_of(const char *params, const char *body)
{
    arena a;
    arena_init(&a, 0);
    const ir_func *f = func_of(&a, params, body);
    axis_info i = axis_build(&a, f, NULL).at[from_end(f, 0).id];
    arena_fini(&a);
    return i;
}

START_TEST(program_offsets)
{
    axis_info i =
        info_of("%n: i64", "  %0 = program_id {axis = 0} : i64\n  %1 = const 1024 : i64\n  %2 = mul %0, %1 : i64\n"
                           "  %3 = arange {start = 0} : tile<1024xi64>\n  %4 = splat %2 : tile<1024xi64>\n"
                           "  %5 = add %4, %3 : tile<1024xi64>\n");
    ck_assert_int_eq(i.contig[0], 1024);
    ck_assert_int_eq(i.div[0], 1024);
    ck_assert_int_eq(i.constancy[0], 1);
    ck_assert_int_eq(i.lo, 0);
    ck_assert_int_eq(i.hi, (INT64_C(0x7ffffffe)) * 1024 + 1023);
}
END_TEST

START_TEST(promised_multiples)
{
    axis_info i =
        info_of("%n: i64 {div = 16}", "  %0 = arange {start = 0} : tile<64xi64>\n  %1 = splat %n : tile<64xi64>\n"
                                      "  %2 = lt %0, %1 : tile<64xbool>\n");
    ck_assert_int_eq(i.constancy[0], 16);
    i = info_of(
        "%n: i64",
        "  %0 = arange {start = 0} : tile<64xi64>\n  %1 = splat %n : tile<64xi64>\n  %2 = lt %0, %1 : tile<64xbool>\n");
    ck_assert_int_eq(i.constancy[0], 1);
}
END_TEST

START_TEST(pointers)
{
    axis_info i =
        info_of("%p: *f32 {align = 16}", "  %0 = arange {start = 4} : tile<64xi64>\n  %1 = splat %p : tile<64x*f32>\n"
                                         "  %2 = ptr_add %1, %0 : tile<64x*f32>\n");
    ck_assert_int_eq(i.contig[0], 64);
    ck_assert_int_eq(i.div[0], 16);
    i = info_of("%p: *f32 {align = 16}", "  %0 = arange {start = 1} : tile<64xi64>\n  %1 = splat %p : tile<64x*f32>\n"
                                         "  %2 = ptr_add %1, %0 : tile<64x*f32>\n");
    ck_assert_int_eq(i.div[0], 4);
}
END_TEST

START_TEST(rows_and_columns)
{
    axis_info i =
        info_of("%s: i64 {div = 32}", "  %0 = arange {start = 0} : tile<8xi64>\n  %1 = reshape %0 : tile<8x1xi64>\n"
                                      "  %2 = splat %s : tile<8x1xi64>\n  %3 = mul %1, %2 : tile<8x1xi64>\n"
                                      "  %4 = broadcast %3 : tile<8x64xi64>\n  %5 = arange {start = 0} : tile<64xi64>\n"
                                      "  %6 = reshape %5 : tile<1x64xi64>\n  %7 = broadcast %6 : tile<8x64xi64>\n"
                                      "  %8 = add %4, %7 : tile<8x64xi64>\n");
    ck_assert_int_eq(i.contig[1], 64);
    ck_assert_int_eq(i.contig[0], 1);
    ck_assert_int_eq(i.div[1], 32);
}
END_TEST

START_TEST(loop_index)
{
    arena a;
    arena_init(&a, 0);
    const ir_func *f =
        func_of(&a, "%n: i64 {lo = 0, hi = 1000}",
                "  %0 = const 0 : i64\n  %1 = const 32 : i64\n  for %0, %n, %1 {\n    (%2: i64)\n    yield\n  }\n");
    ir_op loop = ir_o(f, ir_last(f, f->body))->prev;
    axis_info i = axis_build(&a, f, NULL).at[ir_param_of(f, ir_op_region(f, loop, 0), 0).id];
    ck_assert_int_eq(i.lo, 0);
    ck_assert_int_eq(i.hi, 999);
    ck_assert_int_eq(i.div[0], 32);
    arena_fini(&a);
}
END_TEST

START_TEST(carried_values)
{
    arena a;
    arena_init(&a, 0);
    const ir_func *f = func_of(
        &a, "%p: *f32 {align = 128}, %n: i64",
        "  %0 = const 0 : i64\n  %1 = const 1 : i64\n  %2 = const 64 : i64\n  %3 = arange {start = 0} : tile<64xi64>\n"
        "  %4 = splat %p : tile<64x*f32>\n  %5 = ptr_add %4, %3 : tile<64x*f32>\n  %6 = splat %2 : tile<64xi64>\n"
        "  %7 = for %0, %n, %1, %5 : tile<64x*f32> {\n    (%8: i64, %9: tile<64x*f32>)\n"
        "    %10 = ptr_add %9, %6 : tile<64x*f32>\n    yield %10\n  }\n");
    axis_info i = axis_build(&a, f, NULL).at[from_end(f, 0).id];
    ck_assert_int_eq(i.contig[0], 64);
    ck_assert_int_eq(i.div[0], 128);
    arena_fini(&a);
}
END_TEST

START_TEST(assumptions)
{
    axis_info i =
        info_of("%n: i64", "  %0 = const 100 : i64\n  %1 = lt %n, %0 : bool\n  assume %1\n  %2 = const 0 : i64\n"
                           "  %3 = ge %n, %2 : bool\n  assume %3\n  %4 = const 8 : i64\n  %5 = rem %n, %4 : i64\n"
                           "  %6 = eq %5, %2 : bool\n  assume %6\n  %7 = add %n, %4 : i64\n");
    ck_assert_int_eq(i.lo, 8);
    ck_assert_int_eq(i.hi, 107);
    ck_assert_int_eq(i.div[0], 8);
}
END_TEST

/* ---- as a property ---- */
enum { FUNCS = 1500, OPS = 24, MOST = 64, VALUES = OPS + 16 };

typedef struct made {
    arena *a;
    ir_module *m;
    ir_func *f;
    ir_builder b;
    uint64_t seed;
    VEC(ir_val) vals;
    int64_t arg; /* what the parameter %n is at run time */
} made;

static uint32_t below(made *g, uint32_t n)
{
    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;
    return (uint32_t)(g->seed >> 33) % n;
}

static ir_val any(made *g)
{
    return g->vals.at[below(g, g->vals.n)];
}

static ir_val like(made *g, ir_val x)
{
    for (int i = 0; i < 20; i++) {
        ir_val y = any(g);
        if (ir_vtype(g->f, y).id == ir_vtype(g->f, x).id)
            return y;
    }
    return x;
}

static int64_t some_int(made *g)
{
    static const int64_t few[] = {0,  1,   2,   3,  4,  7,  8,   12,  16,   24,      31,        32,
                                  64, 100, 128, -1, -4, -8, -12, 255, 4096, 1 << 20, INT32_MAX, INT64_MAX};
    return few[below(g, COUNTOF(few))];
}

static ir_val reshaped(made *g, ir_val x)
{
    static const int64_t two[][2] = {{8, 8}, {16, 4}, {1, 64}, {64, 1}, {4, 16}};
    const ir_type_info *t = ir_type_of(g->m, ir_vtype(g->f, x));
    const int64_t *to = two[below(g, COUNTOF(two))], flat = 64;
    if (ir_type_count(g->m, ir_vtype(g->f, x)) != 64)
        return x;
    return t->rank == 2 ? ir_reshape(&g->b, x, 1, &flat) : ir_reshape(&g->b, x, 2, to);
}

static ir_val widened(made *g, ir_val x)
{
    const ir_type_info *t = ir_type_of(g->m, ir_vtype(g->f, x));
    int64_t shape[2];
    if (t->kind != TK_TILE)
        return ir_splat(&g->b, x, 1, (int64_t[]){below(g, 2) ? 64 : 8});
    if (t->rank == 1 && t->shape[0] == 8) {
        bool row = below(g, 2);
        shape[0] = row ? 1 : 8;
        shape[1] = row ? 8 : 1;
        return ir_broadcast(&g->b, ir_reshape(&g->b, x, 2, shape), 2, (int64_t[]){8, 8});
    }
    return x;
}

static ir_val moved(made *g, ir_val x)
{
    ir_module *m = g->m;
    ir_type t = ir_vtype(g->f, x);
    const ir_type_info *i = ir_type_of(m, t);
    if (i->kind != TK_TILE)
        return widened(g, x);
    if (i->rank == 2) {
        int64_t shape[] = {i->shape[1], i->shape[0]}, order[] = {1, 0};
        return ir_emit1a(&g->b, IR_OP_permute, ir_type_with_shape(m, t, 2, shape), &x, 1, KEY_order,
                         ir_attr_ints(m, order, 2));
    }
    int64_t n = i->shape[0], starts = below(g, (uint32_t)n / 2 + 1), half = n / 2 ? n / 2 : 1;
    return ir_emit1a(&g->b, IR_OP_slice, ir_type_with_shape(m, t, 1, &half), &x, 1, KEY_starts,
                     ir_attr_ints(m, &starts, 1));
}

static ir_val arithmetic(made *g, ir_val x)
{
    static const ir_code codes[] = {IR_OP_add, IR_OP_sub, IR_OP_mul, IR_OP_div, IR_OP_rem, IR_OP_shl,
                                    IR_OP_shr, IR_OP_and, IR_OP_or,  IR_OP_xor, IR_OP_min, IR_OP_max,
                                    IR_OP_lt,  IR_OP_le,  IR_OP_gt,  IR_OP_ge,  IR_OP_eq};
    ir_code code = codes[below(g, COUNTOF(codes))];
    ir_val y = below(g, 2) ? ir_const_i(&g->b, ir_vtype(g->f, x), some_int(g)) : like(g, x);
    dtype d = ir_type_dt(g->m, ir_vtype(g->f, x));
    if (code == IR_OP_div || code == IR_OP_rem) { /* never by 0 */
        int64_t c = some_int(g);
        y = ir_const_i(&g->b, ir_vtype(g->f, x), dt_int(d, (uint64_t)c) ? c : 3);
    }
    if (code >= IR_OP_eq && code <= IR_OP_ge) {
        ir_val c = ir_cmp(&g->b, code, x, y);
        vec_push(g->a, &g->vals, ir_select(&g->b, c, x, like(g, x)));
        return ir_cast(&g->b, c, DT_I64);
    }
    return ir_bin(&g->b, code, x, y);
}

static void grow(made *g)
{
    static const dtype types[] = {DT_I64, DT_I32, DT_I8, DT_U8, DT_U32, DT_U64};
    ir_val x = any(g), y;
    switch (below(g, 10)) {
    case 0:
        y = ir_cast(&g->b, x, types[below(g, COUNTOF(types))]);
        break;
    case 1:
        y = reshaped(g, x);
        break;
    case 2:
        y = widened(g, x);
        break;
    case 3:
        y = moved(g, x);
        break;
    default:
        y = arithmetic(g, x);
        break;
    }
    vec_push(g->a, &g->vals, y);
}

/* a loop that adds to a value and takes it on; its index and carried value are watched after it */
static void add_loop(made *g)
{
    ir_val x = any(g), index, p, y, out;
    ir_type i64 = ir_type_num(g->m, DT_I64), t = ir_vtype(g->f, x);
    ir_region body = ir_region_new(g->f);
    index = ir_region_param(g->f, body, i64);
    p = ir_region_param(g->f, body, t);
    ir_push(&g->b, body);
    y = below(g, 2) ? ir_bin(&g->b, IR_OP_add, p, ir_const_i(&g->b, t, some_int(g)))
                    : ir_select(&g->b, ir_cmp(&g->b, IR_OP_lt, index, ir_const_i(&g->b, i64, 2)), p, x);
    ir_yield(&g->b, &y, 1);
    ir_pop(&g->b);
    ir_val in[] = {ir_const_i(&g->b, i64, 0), ir_const_i(&g->b, i64, below(g, 4)), ir_const_i(&g->b, i64, 1), x};
    ir_emit(&g->b,
            &(ir_desc){.code = IR_OP_for, .in = in, .nin = 4, .types = &t, .nout = 1, .regions = &body, .nregions = 1},
            &out);
    vec_push(g->a, &g->vals, out);
}

static void make(made *g, uint64_t seed)
{
    static const int64_t divs[] = {0, 4, 16, 3};
    g->seed = seed * 0x9e3779b97f4a7c15u + 11;
    g->m = ir_module_new(g->a);
    g->f = ir_func_new(g->m, FUNC_KERNEL, S("k"));
    ir_type i64 = ir_type_num(g->m, DT_I64), i8 = ir_type_num(g->m, DT_U8);
    ir_func_param(g->f, ir_type_ptr(g->m, i8), S("out"), 0, 0);
    ir_val n = ir_func_param(g->f, i64, S("n"), 1, 0);
    int64_t div = divs[below(g, 4)];
    g->f->params.at[1].div = div;
    g->arg = some_int(g) / 64 * (div ? div : 1);
    if (g->arg > -100000 && g->arg < 100000 && below(g, 2)) {
        g->f->params.at[1].lo = g->arg - below(g, 9);
        g->f->params.at[1].hi = g->arg + below(g, 9);
    }
    ir_builder_init(&g->b, g->f, g->a);
    g->b.fold = false;
    vec_push(g->a, &g->vals, n);
    for (int k = 0; k < 3; k++) {
        int64_t len = below(g, 2) ? 64 : 8;
        dtype d = below(g, 3) ? DT_I64 : DT_I32;
        ir_type t = ir_type_tile(g->m, ir_type_num(g->m, d), 1, &len);
        vec_push(
            g->a, &g->vals,
            ir_emit1a(&g->b, IR_OP_arange, t, NULL, 0, KEY_start, ir_attr_int(g->m, below(g, 2) ? 0 : below(g, 40))));
    }
    for (int i = 0; i < OPS && g->vals.n < VALUES - 2; i++) {
        grow(g);
        if (below(g, 12) == 0)
            add_loop(g);
    }
}

/* each value to its own stretch of out */
static void store_all(made *g)
{
    ir_val out = ir_param_of(g->f, g->f->body, 0);
    for (uint32_t i = 0; i < g->vals.n; i++) {
        ir_type t = ir_vtype(g->f, g->vals.at[i]), elem = ir_type_elem(g->m, t), ptr = ir_type_ptr(g->m, elem);
        int64_t n = ir_type_count(g->m, t);
        ir_val p = ir_ptr_add(&g->b, out, ir_const_i(&g->b, ir_type_num(g->m, DT_I64), (int64_t)i * MOST * 8)),
               v = g->vals.at[i];
        p = ir_emit1(&g->b, IR_OP_ptr_cast, ptr, &p, 1);
        if (ir_type_rank(g->m, t)) {
            ir_val step = ir_emit1a(&g->b, IR_OP_arange, ir_type_tile(g->m, ir_type_num(g->m, DT_I64), 1, &n), NULL, 0,
                                    KEY_start, ir_attr_int(g->m, 0));
            p = ir_ptr_add(&g->b, ir_splat(&g->b, p, 1, &n), step);
            v = ir_reshape(&g->b, v, 1, &n);
        }
        ir_emit0(&g->b, IR_OP_store, (ir_val[]){p, v}, 2);
    }
    ir_return(&g->b, NULL, 0);
}

static void check_line(made *g, uint32_t which, uint64_t seed, dtype d, const axis_info *x, const int64_t *v, int dim,
                       int64_t extent, int64_t stride)
{
    const char *what = NULL;
    int64_t at = 0;
    for (int64_t i = 0; i < extent && !what; i++) {
        int64_t e = v[i * stride], first = i % x->contig[dim];
        if (first == 0 && d != DT_U64 && e % x->div[dim])
            what = "divisor";
        if (first && (uint64_t)e != (uint64_t)v[(i - 1) * stride] + 1)
            what = "run";
        if (i % x->constancy[dim] && e != v[(i - 1) * stride])
            what = "constancy";
        at = i;
    }
    if (!what)
        return;
    strbuf b;
    sb_init(&b, g->a);
    ir_print_func(g->f, &b);
    ck_abort_msg("function %llu, value %u (%%%u), dimension %d, element %lld: %s; contig %lld, constancy %lld, div "
                 "%lld; n = %lld\n%.*s",
                 (unsigned long long)seed, which, g->vals.at[which].id, dim, (long long)at, what,
                 (long long)x->contig[dim], (long long)x->constancy[dim], (long long)x->div[dim], (long long)g->arg,
                 (int)(b.n > 3000 ? 3000 : b.n), b.at);
}

static void check_value(made *g, uint32_t which, uint64_t seed, const axis_info *x, const uint8_t *bytes)
{
    ir_type t = ir_vtype(g->f, g->vals.at[which]);
    const ir_type_info *i = ir_type_of(g->m, t);
    dtype d = ir_type_dt(g->m, t);
    int64_t n = ir_type_count(g->m, t), v[MOST];
    ck_assert(x->known);
    for (int64_t k = 0; k < n; k++) {
        uint64_t raw = 0;
        memcpy(&raw, bytes + k * dt_bytes(d), (size_t)dt_bytes(d));
        v[k] = dt_int(d, raw);
        ck_assert_msg((d == DT_U64 && v[k] < 0) || (v[k] >= x->lo && v[k] <= x->hi),
                      "function %llu, value %u: %lld is not in %lld..%lld", (unsigned long long)seed, which,
                      (long long)v[k], (long long)x->lo, (long long)x->hi);
    }
    if (i->kind != TK_TILE) {
        check_line(g, which, seed, d, x, v, 0, 1, 1);
        return;
    }
    for (int dim = 0; dim < i->rank; dim++) {
        int64_t stride = dim == 0 && i->rank == 2 ? i->shape[1] : 1, lines = n / i->shape[dim];
        for (int64_t k = 0; k < lines; k++)
            check_line(g, which, seed, d, x,
                       v + (stride > 1                 ? k
                            : i->rank == 2 && dim == 0 ? k
                                                       : k * i->shape[dim]),
                       dim, i->shape[dim], stride);
    }
}

START_TEST(claims_hold)
{
    static uint8_t memory[VALUES * MOST * 8];
    for (uint64_t seed = 0; seed < FUNCS; seed++) {
        arena a;
        str err;
        arena_init(&a, 0);
        made g = {.a = &a};
        make(&g, seed);
        axis x = axis_build(&a, g.f, NULL);
        store_all(&g);
        uint64_t args[] = {1, 1, 1, (uint64_t)(uintptr_t)memory, (uint64_t)g.arg};
        ck_assert_msg(interp_kernel(&a, g.f, args, NULL, &err), "function %llu: %.*s", (unsigned long long)seed,
                      STR_ARG(err));
        for (uint32_t i = 0; i < g.vals.n; i++)
            check_value(&g, i, seed, &x.at[g.vals.at[i].id], memory + (size_t)i * MOST * 8);
        arena_fini(&a);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("axis");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, program_offsets);
    tcase_add_test(c, promised_multiples);
    tcase_add_test(c, pointers);
    tcase_add_test(c, rows_and_columns);
    tcase_add_test(c, loop_index);
    tcase_add_test(c, carried_values);
    tcase_add_test(c, assumptions);
    tcase_add_test(c, claims_hold);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
