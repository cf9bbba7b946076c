/* test_fold.c: what the builder folds is what the interpreter computes, bit for bit.
 *
 * Every elementwise op on every element type that it takes is put between constants from the edges of the type, once
 * folded and once run. The two are separate implementations. NaNs compare equal whatever their payload. A few
 * identities that would be wrong by a bit are listed as what must stay.
 */
#include "compiler/interp.h"
#include "compiler/pass.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EDGES = 18 };

static uint32_t edges_of(dtype d, uint64_t *out)
{
    static const double reals[] = {0.0,  -0.0, 1,    -1,     0.5,    3,        1.0 / 3,   -7.25, 65504,
                                   1e-7, 6e-8, 1e30, -1e-40, 3.4e38, INFINITY, -INFINITY, NAN,   255.5};
    static const int64_t ints[] = {0, 1, 2, 3, 5, 7, 8, 31, 63, 64, 100, 127, 128, -1, -2, -128, INT32_MAX, INT64_MIN};
    _Static_assert(COUNTOF(reals) == EDGES && COUNTOF(ints) == EDGES, "an edge each");
    for (int i = 0; i < EDGES; i++)
        out[i] = dt_is_any_float(d) ? dt_from_double(d, reals[i], false) : dt_wrap(d, (uint64_t)ints[i]);
    if (d == DT_BOOL)
        return 2;
    if (dt_is_signed(d))
        out[EDGES - 1] = dt_wrap(d, (uint64_t)1 << (dt_bits(d) - 1));
    return EDGES;
}

static bool same_bits(dtype d, uint64_t x, uint64_t y)
{
    if (dt_is_any_float(d) && isnan(dt_float(d, x)) && isnan(dt_float(d, y)))
        return true;
    return x == y;
}

typedef struct probe {
    arena a;
    ir_module *m;
    ir_func *f;
    ir_builder b;
    ir_val out;
    uint32_t n;
} probe;

static void probe_open(probe *p)
{
    arena_init(&p->a, 0);
    p->m = ir_module_new(&p->a);
    p->f = ir_func_new(p->m, FUNC_KERNEL, S("k"));
    p->out = ir_func_param(p->f, ir_type_ptr(p->m, ir_type_num(p->m, DT_U64)), S("out"), 0, 0);
    ir_builder_init(&p->b, p->f, &p->a);
    p->n = 0;
}

/* v to its own 8 bytes of out */
static void probe_store(probe *p, ir_val v)
{
    p->b.fold = false;
    ir_val at = ir_ptr_add(&p->b, p->out, ir_const_i(&p->b, ir_type_num(p->m, DT_I64), p->n++));
    at = ir_emit1(&p->b, IR_OP_ptr_cast, ir_type_ptr(p->m, ir_vtype(p->f, v)), &at, 1);
    ir_emit0(&p->b, IR_OP_store, (ir_val[]){at, v}, 2);
}

static bool takes(ir_code code, dtype d)
{
    const ir_op_info *i = &ir_ops[code];
    switch (i->rule) {
    case RULE_SAME_NUM:
        return d != DT_BOOL && !dt_is_f8(d);
    case RULE_SAME_INT:
        return dt_is_int(d);
    case RULE_SAME_FLOAT:
        return dt_is_float(d);
    case RULE_SAME_F3264:
        return d == DT_F32 || d == DT_F64;
    case RULE_SAME_BITS:
        return dt_is_int(d) || d == DT_BOOL;
    case RULE_CMP:
        return !dt_is_f8(d);
    case RULE_OWN:
        return false;
    }
    return false;
}

/* the op unfolded and run; folded[] has what the builder made of it, or nothing */
static void compare(ir_code code, dtype d, dtype to, uint32_t nan)
{
    uint64_t e[EDGES], *got, *folded;
    uint32_t n = edges_of(d, e), nin = (uint32_t)ir_ops[code].nin, total = nin == 1 ? n : n * n, kept = 0;
    probe p;
    str err;
    probe_open(&p);
    got = ARENA_ARRAY(&p.a, uint64_t, total);
    folded = ARENA_ARRAY(&p.a, uint64_t, total);
    bool *is = ARENA_ARRAY(&p.a, bool, total);
    ir_type t = ir_type_num(p.m, d), r = ir_type_num(p.m, to);
    ir_attr_pair attr = {KEY_nan, ir_attr_int(p.m, 1)};
    for (uint32_t i = 0; i < total; i++) {
        uint64_t x = e[i % n], y = e[i / n];
        if ((code == IR_OP_div || code == IR_OP_rem) && dt_is_int(d) && y == 0)
            y = 1;
        p.b.fold = false;
        ir_val in[] = {ir_const_bits(&p.b, t, x), ir_const_bits(&p.b, t, y), ir_const_bits(&p.b, t, e[(i / 3) % n])}, v;
        ir_desc desc = {.code = code, .in = in, .nin = nin, .types = &r, .nout = 1, .attrs = &attr, .nattr = nan};
        ir_emit(&p.b, &desc, &v);
        probe_store(&p, v);
        p.b.fold = true;
        ir_emit(&p.b, &desc, &v);
        is[i] = ir_const_of(p.f, v, &folded[i]);
        kept += !is[i];
    }
    p.b.fold = false;
    ir_return(&p.b, NULL, 0);
    uint64_t args[] = {1, 1, 1, (uint64_t)(uintptr_t)got};
    ck_assert_msg(interp_kernel(&p.a, p.f, args, NULL, &err), "%.*s", STR_ARG(err));
    for (uint32_t i = 0; i < total; i++)
        ck_assert_msg(!is[i] || same_bits(to, folded[i], got[i]),
                      "%s on %s (%#llx, %#llx): folded to %#llx, computed %#llx", ir_ops[code].name, dtypes[d].name,
                      (unsigned long long)e[i % n], (unsigned long long)e[i / n], (unsigned long long)folded[i],
                      (unsigned long long)got[i]);
    bool target = code >= IR_OP_exp && code <= IR_OP_rsqrt, half_fma = code == IR_OP_fma && dt_bits(d) == 16;
    ck_assert_msg(target || half_fma || kept == 0, "%s on %s is not folded", ir_ops[code].name, dtypes[d].name);
    arena_fini(&p.a);
}

START_TEST(elementwise)
{
    for (int code = 1; code < IR_CODE_COUNT; code++) {
        if (!(ir_ops[code].flags & ELT) || !(ir_ops[code].flags & PURE))
            continue;
        for (int d = 1; d < DT_COUNT; d++)
            if (takes((ir_code)code, (dtype)d)) {
                compare((ir_code)code, (dtype)d, ir_ops[code].rule == RULE_CMP ? DT_BOOL : (dtype)d, 0);
                if (code == IR_OP_min || code == IR_OP_max)
                    compare((ir_code)code, (dtype)d, (dtype)d, 1);
            }
    }
}
END_TEST

START_TEST(casts)
{
    for (int d = 1; d < DT_COUNT; d++)
        for (int to = 1; to < DT_COUNT; to++)
            if (d != to)
                compare(IR_OP_cast, (dtype)d, (dtype)to, 0);
    for (int d = 1; d < DT_COUNT; d++)
        for (int to = 1; to < DT_COUNT; to++)
            if (d != to && dt_bits((dtype)d) == dt_bits((dtype)to) && d != DT_BOOL && to != DT_BOOL)
                compare(IR_OP_bitcast, (dtype)d, (dtype)to, 0);
}
END_TEST

/* ---- what must stay ---- */
static ir_val with_const(probe *p, ir_code code, dtype d, double c)
{
    ir_type t = ir_type_num(p->m, d);
    ir_val x = ir_emit1(&p->b, IR_OP_load, t,
                        (ir_val[]){ir_emit1(&p->b, IR_OP_ptr_cast, ir_type_ptr(p->m, t), &p->out, 1)}, 1);
    return ir_bin(&p->b, code, x, ir_const_f(&p->b, t, c));
}

START_TEST(not_identities)
{
    probe p;
    probe_open(&p);
    ck_assert_int_eq(ir_op_code(p.f, ir_def(p.f, with_const(&p, IR_OP_add, DT_F32, 0.0))), IR_OP_add); /* -0 + 0 is 0 */
    ck_assert_int_eq(ir_op_code(p.f, ir_def(p.f, with_const(&p, IR_OP_sub, DT_F32, -0.0))), IR_OP_sub); /* likewise */
    ck_assert_int_eq(ir_op_code(p.f, ir_def(p.f, with_const(&p, IR_OP_mul, DT_F32, 0.0))), IR_OP_mul);  /* NaN, -0 */
    ck_assert_int_eq(ir_op_code(p.f, ir_def(p.f, with_const(&p, IR_OP_add, DT_F32, -0.0))), IR_OP_load);
    ck_assert_int_eq(ir_op_code(p.f, ir_def(p.f, with_const(&p, IR_OP_sub, DT_F32, 0.0))), IR_OP_load);
    ck_assert_int_eq(ir_op_code(p.f, ir_def(p.f, with_const(&p, IR_OP_mul, DT_F16, 1.0))), IR_OP_load);
    ir_type t = ir_type_num(p.m, DT_F32);
    ir_val x =
        ir_emit1(&p.b, IR_OP_load, t, (ir_val[]){ir_emit1(&p.b, IR_OP_ptr_cast, ir_type_ptr(p.m, t), &p.out, 1)}, 1);
    ck_assert_int_eq(ir_op_code(p.f, ir_def(p.f, ir_bin(&p.b, IR_OP_sub, x, x))), IR_OP_sub); /* inf - inf */
    ck_assert_int_eq(ir_op_code(p.f, ir_def(p.f, ir_cmp(&p.b, IR_OP_eq, x, x))), IR_OP_eq);   /* NaN */
    ir_val lt = ir_cmp(&p.b, IR_OP_lt, x, ir_const_f(&p.b, t, 1));
    ck_assert_int_eq(ir_op_code(p.f, ir_def(p.f, ir_un(&p.b, IR_OP_not, lt))), IR_OP_not); /* not less is not ge */
    arena_fini(&p.a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fold");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, elementwise);
    tcase_add_test(c, casts);
    tcase_add_test(c, not_identities);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
