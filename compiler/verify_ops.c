/* verify_ops.c: what an op's operands and results must be, one rule each.
 *
 * RULE_SAME_* and RULE_CMP serve whole families. A RULE_OWN op has a row in the table below or in those of verify_mem.c
 * and verify_ctl.c; an op without a rule is our bug, found by the first op of that kind that is verified. A rule checks
 * each sentence of the op's documentation that can be checked without running it, and reports the first fault of an
 * operand.
 */
#include "compiler/verify.h"

#include <string.h>

/* ---- families ---- */
static bool num_is(dtype dt, ir_rule rule)
{
    switch (rule) {
    case RULE_SAME_NUM:
        return dt_is_int(dt) || dt_is_float(dt);
    case RULE_SAME_INT:
        return dt_is_int(dt);
    case RULE_SAME_FLOAT:
        return dt_is_float(dt);
    case RULE_SAME_F3264:
        return dt == DT_F32 || dt == DT_F64;
    case RULE_SAME_BITS:
        return dt_is_int(dt) || dt == DT_BOOL;
    case RULE_CMP:
        return dt_is_int(dt) || dt_is_float(dt);
    case RULE_OWN:
        break;
    }
    return false;
}

static const char *rule_text(ir_rule rule)
{
    switch (rule) {
    case RULE_SAME_NUM:
    case RULE_CMP:
        return "integers or floats (not bool, not 8-bit floats)";
    case RULE_SAME_INT:
        return "integers";
    case RULE_SAME_FLOAT:
        return "f16, bf16, f32 or f64";
    case RULE_SAME_F3264:
        return "f32 or f64";
    case RULE_SAME_BITS:
        return "integers or bools";
    case RULE_OWN:
        break;
    }
    return "";
}

static bool same_operands(verifier *v, ir_op o)
{
    for (uint32_t i = 1; i < ir_nin(v->f, o); i++)
        if (!verify_in_type(v, o, i, verify_in(v, o, 0), "like operand 0"))
            return false;
    return true;
}

static void check_same(verifier *v, ir_op o, ir_rule rule)
{
    ir_type t = verify_in(v, o, 0);
    if (verify_in_is(v, o, 0, verify_is_num(v, t) && num_is(ir_type_dt(v->m, t), rule), rule_text(rule)) &&
        same_operands(v, o))
        verify_out_type(v, o, 0, t, "like operand 0");
}

static void check_cmp(verifier *v, ir_op o)
{
    ir_type t = verify_in(v, o, 0);
    ir_code c = ir_op_code(v->f, o);
    bool equality = c == IR_OP_eq || c == IR_OP_ne;
    bool ok = verify_is_num(v, t) && num_is(ir_type_dt(v->m, t), RULE_CMP);
    if (equality)
        ok = ok || verify_is_bool(v, t) || ir_type_is_ptr(v->m, t);
    if (!verify_in_is(v, o, 0, ok, equality ? "integers, floats, bools or pointers" : rule_text(RULE_CMP)) ||
        !same_operands(v, o))
        return;
    if (verify_out_is(v, o, 0, verify_is_bool(v, verify_out(v, o, 0)), "bool"))
        if (!verify_same_shape(v, verify_out(v, o, 0), t))
            verify_out_is(v, o, 0, false, "the shape of the operands");
}

/* ---- constants ---- */
static void check_const(verifier *v, ir_op o)
{
    ir_type t = verify_out(v, o, 0);
    uint64_t bits = (uint64_t)ir_int(v->f, o, KEY_bits, 0);
    if (!verify_out_is(v, o, 0, verify_is_num(v, t), "a number or a tile of numbers"))
        return;
    dtype dt = ir_type_dt(v->m, t);
    if (dt_wrap(dt, bits) != bits || (dt == DT_BOOL && bits > 1))
        verify_fail(v, o, "attribute 'bits' is %lld, no bit pattern of '%s'", (long long)bits, dtypes[dt].name);
}

static void check_undef(verifier *v, ir_op o)
{
    (void)v;
    (void)o; /* any sound type will do */
}

static void check_arange(verifier *v, ir_op o)
{
    ir_type t = verify_out(v, o, 0);
    int64_t start = ir_int(v->f, o, KEY_start, 0), last;
    if (!verify_out_is(v, o, 0, verify_is_int(v, t) && ir_type_rank(v->m, t) == 1, "a tile of integers of rank 1"))
        return;
    dtype dt = ir_type_dt(v->m, t);
    if (__builtin_add_overflow(start, ir_type_count(v->m, t) - 1, &last) ||
        dt_int(dt, dt_wrap(dt, (uint64_t)start)) != start || dt_int(dt, dt_wrap(dt, (uint64_t)last)) != last ||
        (!dt_is_signed(dt) && start < 0))
        verify_fail(v, o, "values from %lld do not fit '%s'", (long long)start, verify_type(v, t));
}

/* ---- shapes ---- */
static bool check_tile_in(verifier *v, ir_op o, uint32_t i)
{
    return verify_in_is(v, o, i, verify_is_tile(v, verify_in(v, o, i)), "a tile");
}

/* result i has the elements of t */
static bool check_elem(verifier *v, ir_op o, uint32_t i, ir_type t)
{
    ir_type got = verify_out(v, o, i);
    bool ok = ir_type_of(v->m, got)->kind != TK_TENSOR && ir_type_eq(ir_type_elem(v->m, got), ir_type_elem(v->m, t));
    if (!ok)
        verify_fail(v, o, "result %u is '%s', expected elements of '%s'", i, verify_type(v, got),
                    verify_type(v, ir_type_elem(v->m, t)));
    return ok;
}

static const ir_type_info *shape_of(const verifier *v, ir_type t)
{
    return ir_type_of(v->m, t);
}

static void check_splat(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0);
    if (verify_in_is(v, o, 0, verify_is_scalar(v, x), "a scalar") &&
        verify_out_is(v, o, 0, verify_is_tile(v, verify_out(v, o, 0)), "a tile"))
        check_elem(v, o, 0, x);
}

static void check_broadcast(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0), y = verify_out(v, o, 0);
    int rank = ir_type_rank(v->m, x);
    if (!check_tile_in(v, o, 0) || !check_elem(v, o, 0, x) ||
        !verify_out_is(v, o, 0, ir_type_rank(v->m, y) == rank, "the rank of operand 0"))
        return;
    for (int d = 0; d < rank; d++)
        if (shape_of(v, x)->shape[d] != 1 && shape_of(v, x)->shape[d] != shape_of(v, y)->shape[d]) {
            verify_fail(v, o, "dimension %d of operand 0 is %lld, expected 1 or %lld", d,
                        (long long)shape_of(v, x)->shape[d], (long long)shape_of(v, y)->shape[d]);
            return;
        }
}

static void check_reshape(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0), y = verify_out(v, o, 0);
    if (!check_tile_in(v, o, 0) || !check_elem(v, o, 0, x) || !verify_out_is(v, o, 0, verify_is_tile(v, y), "a tile"))
        return;
    if (ir_type_count(v->m, x) != ir_type_count(v->m, y))
        verify_fail(v, o, "result 0 has %lld elements, expected the %lld of operand 0",
                    (long long)ir_type_count(v->m, y), (long long)ir_type_count(v->m, x));
}

static void check_permute(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0);
    int64_t shape[IR_MAX_RANK];
    uint32_t n, seen = 0;
    const int64_t *order = ir_ints(v->f, o, KEY_order, &n);
    if (!check_tile_in(v, o, 0) || !check_elem(v, o, 0, x))
        return;
    for (uint32_t i = 0; i < n && i < IR_MAX_RANK; i++)
        if (order[i] >= 0 && order[i] < ir_type_rank(v->m, x)) {
            seen |= 1u << order[i];
            shape[i] = shape_of(v, x)->shape[order[i]];
        }
    if ((int)n != ir_type_rank(v->m, x) || seen != (1u << n) - 1) {
        verify_fail(v, o, "attribute 'order' is no permutation of %d dimensions", ir_type_rank(v->m, x));
        return;
    }
    verify_out_shape(v, o, 0, (int)n, shape);
}

/* shape of t, then what a rule does to it; scalars have rank 0 */
static int copy_shape(const verifier *v, ir_type t, int64_t *shape)
{
    int rank = ir_type_rank(v->m, t);
    memcpy(shape, shape_of(v, t)->shape, sizeof shape_of(v, t)->shape);
    return rank;
}

static void check_join(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0);
    int64_t shape[IR_MAX_RANK];
    int rank;
    if (!verify_in_is(v, o, 0, verify_is_scalar(v, x) || (verify_is_tile(v, x) && ir_type_rank(v->m, x) < IR_MAX_RANK),
                      "a scalar or a tile of rank 1 to 7") ||
        !same_operands(v, o) || !check_elem(v, o, 0, x))
        return;
    rank = copy_shape(v, x, shape);
    shape[rank] = 2;
    verify_out_shape(v, o, 0, rank + 1, shape);
}

static void check_split(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0);
    int rank = ir_type_rank(v->m, x);
    if (!verify_in_is(v, o, 0, verify_is_tile(v, x) && shape_of(v, x)->shape[rank - 1] == 2,
                      "a tile with a last dimension of 2"))
        return;
    for (uint32_t i = 0; i < 2; i++)
        if (check_elem(v, o, i, x))
            verify_out_shape(v, o, i, rank - 1, shape_of(v, x)->shape);
}

static bool check_axis(verifier *v, ir_op o, ir_type t)
{
    return verify_range(v, o, KEY_axis, 0, ir_type_rank(v->m, t) - 1);
}

static void check_cat(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0), y = verify_in(v, o, 1);
    int64_t shape[IR_MAX_RANK], axis = ir_int(v->f, o, KEY_axis, 0);
    int rank;
    if (!check_tile_in(v, o, 0) || !check_tile_in(v, o, 1) || !check_axis(v, o, x) || !check_elem(v, o, 0, x))
        return;
    rank = copy_shape(v, x, shape);
    bool ok = ir_type_rank(v->m, y) == rank && ir_type_eq(ir_type_elem(v->m, x), ir_type_elem(v->m, y));
    for (int d = 0; ok && d < rank; d++)
        ok = d == axis || shape_of(v, y)->shape[d] == shape[d];
    if (!ok) {
        verify_fail(v, o, "operand 1 is '%s', expected '%s' but for dimension %lld", verify_type(v, y),
                    verify_type(v, x), (long long)axis);
        return;
    }
    shape[axis] += shape_of(v, y)->shape[axis];
    verify_out_shape(v, o, 0, rank, shape);
}

static void check_slice(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0), y = verify_out(v, o, 0);
    uint32_t n;
    const int64_t *starts = ir_ints(v->f, o, KEY_starts, &n);
    if (!check_tile_in(v, o, 0) || !check_elem(v, o, 0, x) ||
        !verify_out_is(v, o, 0, ir_type_rank(v->m, y) == ir_type_rank(v->m, x), "the rank of operand 0"))
        return;
    if ((int)n != ir_type_rank(v->m, x)) {
        verify_fail(v, o, "attribute 'starts' has %u entries, expected %d", n, ir_type_rank(v->m, x));
        return;
    }
    for (uint32_t d = 0; d < n; d++) {
        int64_t have = shape_of(v, x)->shape[d], want = shape_of(v, y)->shape[d];
        if (starts[d] < 0 || want > have || starts[d] > have - want) {
            verify_fail(v, o, "elements %lld and %lld more of dimension %u, which has %lld", (long long)starts[d],
                        (long long)want, d, (long long)have);
            return;
        }
    }
}

static void check_extract(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0);
    int64_t shape[IR_MAX_RANK], axis = ir_int(v->f, o, KEY_axis, 0);
    int rank;
    if (!check_tile_in(v, o, 0) ||
        !verify_in_is(v, o, 1, verify_is_int_scalar(v, verify_in(v, o, 1)), "a scalar integer") ||
        !check_axis(v, o, x) || !check_elem(v, o, 0, x))
        return;
    rank = copy_shape(v, x, shape);
    memmove(&shape[axis], &shape[axis + 1], (size_t)(rank - 1 - axis) * sizeof shape[0]);
    verify_out_shape(v, o, 0, rank - 1, shape);
}

static void check_gather(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0), at = verify_in(v, o, 1);
    int64_t axis = ir_int(v->f, o, KEY_axis, 0);
    int rank = ir_type_rank(v->m, x);
    if (!check_tile_in(v, o, 0) ||
        !verify_in_is(v, o, 1, verify_is_tile(v, at) && verify_is_int(v, at) && ir_type_rank(v->m, at) == rank,
                      "a tile of integers of the rank of operand 0") ||
        !check_axis(v, o, x) || !check_elem(v, o, 0, x))
        return;
    for (int d = 0; d < rank; d++)
        if (d != axis && shape_of(v, x)->shape[d] != shape_of(v, at)->shape[d]) {
            verify_fail(v, o, "dimension %d of operand 1 is %lld, expected the %lld of operand 0", d,
                        (long long)shape_of(v, at)->shape[d], (long long)shape_of(v, x)->shape[d]);
            return;
        }
    verify_out_shape(v, o, 0, rank, shape_of(v, at)->shape);
}

/* ---- choosing and converting ---- */
static void check_select(verifier *v, ir_op o)
{
    ir_type c = verify_in(v, o, 0), x = verify_in(v, o, 1);
    if (!verify_in_is(v, o, 0, verify_is_bool(v, c), "bool") || !verify_in_type(v, o, 2, x, "like operand 1") ||
        !verify_out_type(v, o, 0, x, "like operand 1"))
        return;
    if (verify_is_tile(v, c))
        verify_in_shape(v, o, 0, x, "operand 1");
}

static bool out_has_shape(verifier *v, ir_op o, ir_type like)
{
    return verify_same_shape(v, verify_out(v, o, 0), like) ? true
                                                           : verify_out_is(v, o, 0, false, "the shape of operand 0");
}

static void check_cast(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0);
    if (verify_in_is(v, o, 0, verify_is_num(v, x), "numbers") &&
        verify_out_is(v, o, 0, verify_is_num(v, verify_out(v, o, 0)), "numbers"))
        out_has_shape(v, o, x);
}

static void check_bitcast(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0), y = verify_out(v, o, 0);
    if (!verify_in_is(v, o, 0, verify_is_num(v, x) && !verify_is_bool(v, x), "numbers that are not bool") ||
        !verify_out_is(v, o, 0, verify_is_num(v, y) && !verify_is_bool(v, y), "numbers that are not bool") ||
        !out_has_shape(v, o, x))
        return;
    if (dt_bits(ir_type_dt(v->m, x)) != dt_bits(ir_type_dt(v->m, y)))
        verify_fail(v, o, "result 0 is '%s', of another width than operand 0, '%s'", verify_type(v, y),
                    verify_type(v, x));
}

/* ---- products ---- */
static bool dot_elements(verifier *v, ir_op o)
{
    dtype a = ir_type_dt(v->m, verify_in(v, o, 0)), b = ir_type_dt(v->m, verify_in(v, o, 1)),
          c = ir_type_dt(v->m, verify_in(v, o, 2));
    bool ints = dt_is_int(a) && dt_is_int(b), floats = dt_is_any_float(a) && dt_is_any_float(b);
    if ((!ints && !floats) || (a != b && (dt_bits(a) != 8 || dt_bits(b) != 8))) {
        verify_fail(v, o, "operands of '%s' and '%s' do not multiply: one type, or two of 8 bits", dtypes[a].name,
                    dtypes[b].name);
        return false;
    }
    if (ints ? !dt_is_int(c) : !dt_is_float(c)) {
        verify_fail(v, o, "operand 2 is '%s', expected %s", verify_type(v, verify_in(v, o, 2)),
                    ints ? "integers" : "f16, bf16, f32 or f64");
        return false;
    }
    return true;
}

static void check_dot(verifier *v, ir_op o)
{
    ir_type a = verify_in(v, o, 0), b = verify_in(v, o, 1), c = verify_in(v, o, 2);
    int rank = ir_type_rank(v->m, a);
    for (uint32_t i = 0; i < 3; i++) {
        ir_type t = verify_in(v, o, i);
        if (!verify_in_is(v, o, i, verify_is_tile(v, t) && verify_is_num(v, t), "a tile of numbers"))
            return;
    }
    if (!verify_in_is(v, o, 0, rank == 2 || rank == 3, "rank 2 or 3") ||
        !verify_in_is(v, o, 1, ir_type_rank(v->m, b) == rank, "the rank of operand 0") ||
        !verify_in_is(v, o, 2, ir_type_rank(v->m, c) == rank, "the rank of operand 0") || !dot_elements(v, o))
        return;
    const int64_t *x = shape_of(v, a)->shape, *y = shape_of(v, b)->shape, *z = shape_of(v, c)->shape;
    int m = rank - 2, n = rank - 1;
    if (x[n] != y[m] || z[m] != x[m] || z[n] != y[n] || (rank == 3 && (x[0] != y[0] || x[0] != z[0]))) {
        verify_fail(v, o, "'%s' times '%s' does not add to '%s'", verify_type(v, a), verify_type(v, b),
                    verify_type(v, c));
        return;
    }
    verify_range(v, o, KEY_max_imprecise, 0, INT64_MAX);
    verify_out_type(v, o, 0, c, "like operand 2");
}

static void check_histogram(verifier *v, ir_op o)
{
    ir_type x, y = verify_out(v, o, 0);
    if (!verify_count(v, o, 1, 2))
        return;
    x = verify_in(v, o, 0);
    if (!verify_in_is(v, o, 0, verify_is_int(v, x) && ir_type_rank(v->m, x) == 1, "a tile of integers of rank 1"))
        return;
    if (ir_nin(v->f, o) == 2 && (!verify_in_is(v, o, 1, verify_is_bool(v, verify_in(v, o, 1)), "a mask of bools") ||
                                 !verify_in_shape(v, o, 1, x, "operand 0")))
        return;
    verify_out_is(v, o, 0, verify_is_num(v, y) && ir_type_dt(v->m, y) == DT_I32 && ir_type_rank(v->m, y) == 1,
                  "a tile of i32 of rank 1");
}

static void check_sort(verifier *v, ir_op o)
{
    ir_type key;
    int64_t shape[IR_MAX_RANK], axis = ir_int(v->f, o, KEY_axis, 0);
    int rank;
    if (!verify_count(v, o, 1, UINT32_MAX))
        return;
    key = verify_in(v, o, 0);
    for (uint32_t i = 0; i < ir_nin(v->f, o); i++) {
        ir_type t = verify_in(v, o, i);
        if (!verify_in_is(v, o, i, verify_is_tile(v, t) && verify_is_num(v, t), "a tile of numbers") ||
            !verify_in_shape(v, o, i, key, "operand 0"))
            return;
    }
    if (!verify_in_is(v, o, 0, !dt_is_f8(ir_type_dt(v->m, key)), "numbers that compare (not 8-bit floats)") ||
        !check_axis(v, o, key))
        return;
    rank = copy_shape(v, key, shape);
    if (ir_has(v->f, o, KEY_k)) {
        if (!verify_range(v, o, KEY_k, 1, shape[axis]))
            return;
        shape[axis] = ir_int(v->f, o, KEY_k, 1);
    }
    if (ir_nout(v->f, o) != ir_nin(v->f, o)) {
        verify_fail(v, o, "expected %u results, one an operand, found %u", ir_nin(v->f, o), ir_nout(v->f, o));
        return;
    }
    for (uint32_t i = 0; i < ir_nin(v->f, o); i++)
        if (check_elem(v, o, i, verify_in(v, o, i)))
            verify_out_shape(v, o, i, rank, shape);
}

/* ---- the program, facts, debugging ---- */
static bool out_is_i64(verifier *v, ir_op o)
{
    return verify_out_is(v, o, 0, verify_is_scalar_of(v, verify_out(v, o, 0), DT_I64), "'i64'");
}

static bool ins_are_i64(verifier *v, ir_op o)
{
    for (uint32_t i = 0; i < ir_nin(v->f, o); i++)
        if (!verify_in_is(v, o, i, verify_is_scalar_of(v, verify_in(v, o, i), DT_I64), "'i64'"))
            return false;
    return true;
}

static void check_program_axis(verifier *v, ir_op o)
{
    if (out_is_i64(v, o))
        verify_range(v, o, KEY_axis, 0, 2);
}

static void check_device_count(verifier *v, ir_op o)
{
    if (ins_are_i64(v, o))
        out_is_i64(v, o);
}

static void check_expect_eq(verifier *v, ir_op o)
{
    if (ins_are_i64(v, o) && verify_range(v, o, KEY_arg, 0, INT32_MAX))
        verify_range(v, o, KEY_dim, 0, IR_MAX_TENSOR_RANK - 1);
}

static void check_hint(verifier *v, ir_op o)
{
    static const ir_key keys[] = {KEY_multiple_of, KEY_contiguous, KEY_constant};
    ir_type t = verify_in(v, o, 0);
    uint32_t rank = (uint32_t)ir_type_rank(v->m, t), n, any = 0;
    if (!verify_in_is(v, o, 0, verify_is_int(v, t) || ir_type_is_ptr(v->m, t), "integers or pointers") ||
        !verify_out_type(v, o, 0, t, "like operand 0"))
        return;
    for (size_t k = 0; k < COUNTOF(keys); k++) {
        if (!ir_has(v->f, o, keys[k]))
            continue;
        const int64_t *x = ir_ints(v->f, o, keys[k], &n);
        any++;
        if (n != (rank ? rank : 1)) {
            verify_fail(v, o, "attribute '%s' has %u entries, expected %u", ir_keys[keys[k]].name, n, rank ? rank : 1);
            return;
        }
        for (uint32_t d = 0; d < n; d++)
            if (x[d] < 1) {
                verify_fail(v, o, "attribute '%s' promises %lld, expected at least 1", ir_keys[keys[k]].name,
                            (long long)x[d]);
                return;
            }
    }
    if (!any)
        verify_fail(v, o, "promises nothing");
}

static void check_assume(verifier *v, ir_op o)
{
    verify_in_is(v, o, 0, verify_is_scalar_of(v, verify_in(v, o, 0), DT_BOOL), "a scalar 'bool'");
}

static void check_assert(verifier *v, ir_op o)
{
    if (!verify_count(v, o, 1, 2))
        return;
    for (uint32_t i = 0; i < ir_nin(v->f, o); i++)
        if (!verify_in_is(v, o, i, verify_is_bool(v, verify_in(v, o, i)), "bool") ||
            !verify_in_shape(v, o, i, verify_in(v, o, 0), "operand 0"))
            return;
}

static void check_print(verifier *v, ir_op o)
{
    for (uint32_t i = 0; i < ir_nin(v->f, o); i++)
        verify_in_is(v, o, i, ir_type_of(v->m, verify_in(v, o, i))->kind != TK_TENSOR, "numbers or pointers");
}

static void check_nothing(verifier *v, ir_op o)
{
    (void)v;
    (void)o; /* no operands, no results, no attributes: the table has said it all */
}

/* ---- the table ---- */
typedef void op_rule(verifier *v, ir_op o);

static op_rule *const own_rules[IR_CODE_COUNT] = {
    [IR_OP_const] = check_const,
    [IR_OP_undef] = check_undef,
    [IR_OP_arange] = check_arange,
    [IR_OP_splat] = check_splat,
    [IR_OP_broadcast] = check_broadcast,
    [IR_OP_reshape] = check_reshape,
    [IR_OP_permute] = check_permute,
    [IR_OP_join] = check_join,
    [IR_OP_split] = check_split,
    [IR_OP_cat] = check_cat,
    [IR_OP_slice] = check_slice,
    [IR_OP_extract] = check_extract,
    [IR_OP_gather] = check_gather,
    [IR_OP_select] = check_select,
    [IR_OP_cast] = check_cast,
    [IR_OP_bitcast] = check_bitcast,
    [IR_OP_dot] = check_dot,
    [IR_OP_sort] = check_sort,
    [IR_OP_histogram] = check_histogram,
    [IR_OP_program_id] = check_program_axis,
    [IR_OP_num_programs] = check_program_axis,
    [IR_OP_resident] = check_device_count,
    [IR_OP_stream_programs] = check_device_count,
    [IR_OP_expect_eq] = check_expect_eq,
    [IR_OP_hint] = check_hint,
    [IR_OP_assume] = check_assume,
    [IR_OP_assert] = check_assert,
    [IR_OP_print] = check_print,
    [IR_OP_barrier] = check_nothing,
};

void verify_types(verifier *v, ir_op o)
{
    ir_rule rule = ir_info(v->f, o)->rule;
    op_rule *own = own_rules[ir_op_code(v->f, o)];
    if (rule == RULE_CMP)
        check_cmp(v, o);
    else if (rule != RULE_OWN)
        check_same(v, o, rule);
    else if (own)
        own(v, o);
    else if (!verify_memory(v, o) && !verify_control(v, o) && !verify_laid(v, o))
        bug("op '%s' has no rule in the verifier", ir_info(v->f, o)->name);
}
