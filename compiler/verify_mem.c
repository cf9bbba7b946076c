/* verify_mem.c: the types of pointer, memory and tensor ops.
 *
 * A memory op through pointers takes a scalar pointer or a tile of them, and everything beside it in that shape. Tensor
 * ops take one integer offset a dimension (i64 from source, 32 bits after pass narrow) and a box of the tensor's rank,
 * or a scalar for one element. Optional operands come in the order of the documentation and can't be skipped.
 */
#include "compiler/verify.h"

static ir_type pointee(const verifier *v, ir_type ptr)
{
    return ir_type_of(v->m, ir_type_elem(v->m, ptr))->elem;
}

static bool in_is_ptr(verifier *v, ir_op o)
{
    return verify_in_is(v, o, 0, ir_type_is_ptr(v->m, verify_in(v, o, 0)), "a pointer or a tile of pointers");
}

/* operand or result: elements `elem` in the shape of `like` */
static bool is_elem_in_shape(const verifier *v, ir_type t, ir_type elem, ir_type like)
{
    return verify_same_shape(v, t, like) && ir_type_eq(ir_type_elem(v->m, t), elem);
}

static bool in_is_elem(verifier *v, ir_op o, uint32_t i, ir_type elem, ir_type like)
{
    if (is_elem_in_shape(v, verify_in(v, o, i), elem, like))
        return true;
    verify_fail(v, o, "operand %u is '%s', expected '%s' in the shape of operand 0, '%s'", i,
                verify_type(v, verify_in(v, o, i)), verify_type(v, elem), verify_type(v, like));
    return false;
}

static bool out_is_elem(verifier *v, ir_op o, ir_type elem, ir_type like)
{
    if (is_elem_in_shape(v, verify_out(v, o, 0), elem, like))
        return true;
    verify_fail(v, o, "result 0 is '%s', expected '%s' in the shape of '%s'", verify_type(v, verify_out(v, o, 0)),
                verify_type(v, elem), verify_type(v, like));
    return false;
}

static bool in_is_mask(verifier *v, ir_op o, uint32_t i, ir_type like, const char *of)
{
    return verify_in_is(v, o, i, verify_is_bool(v, verify_in(v, o, i)), "a mask of bools") &&
           verify_in_shape(v, o, i, like, of);
}

/* ---- pointers ---- */
static void check_ptr_add(verifier *v, ir_op o)
{
    ir_type p = verify_in(v, o, 0);
    if (in_is_ptr(v, o) && verify_in_is(v, o, 1, verify_is_int(v, verify_in(v, o, 1)), "integers") &&
        verify_in_shape(v, o, 1, p, "operand 0"))
        verify_out_type(v, o, 0, p, "like operand 0");
}

static void check_ptr_cast(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0), y = verify_out(v, o, 0);
    bool from = ir_type_is_ptr(v->m, x), to = ir_type_is_ptr(v->m, y);
    bool from_int = verify_is_num(v, x) && ir_type_dt(v->m, x) == DT_I64,
         to_int = verify_is_num(v, y) && ir_type_dt(v->m, y) == DT_I64;
    if (!verify_in_is(v, o, 0, from || from_int, "pointers or 'i64'") ||
        !verify_out_is(v, o, 0, to || (from && to_int), from ? "pointers or 'i64'" : "pointers"))
        return;
    if (!verify_same_shape(v, x, y))
        verify_out_is(v, o, 0, false, "the shape of operand 0");
}

static void check_bound(verifier *v, ir_op o)
{
    if (!verify_count(v, o, 3, 4) || !in_is_ptr(v, o))
        return;
    ir_type base = verify_in(v, o, 1);
    if (verify_in_is(v, o, 1, ir_type_is_ptr(v->m, base) && verify_is_scalar(v, base), "a scalar pointer") &&
        verify_in_is(v, o, 2, verify_is_scalar_of(v, verify_in(v, o, 2), DT_I64), "a scalar 'i64'") &&
        ir_nin(v->f, o) > 3)
        in_is_mask(v, o, 3, verify_in(v, o, 0), "operand 0");
}

static void check_load(verifier *v, ir_op o)
{
    ir_type p;
    if (!verify_count(v, o, 1, 3) || !in_is_ptr(v, o))
        return;
    p = verify_in(v, o, 0);
    if (ir_nin(v->f, o) > 1 && !in_is_mask(v, o, 1, p, "operand 0"))
        return;
    if (ir_nin(v->f, o) > 2 && !in_is_elem(v, o, 2, pointee(v, p), p))
        return;
    out_is_elem(v, o, pointee(v, p), p);
}

static void check_store(verifier *v, ir_op o)
{
    ir_type p;
    if (!verify_count(v, o, 2, 3) || !in_is_ptr(v, o))
        return;
    p = verify_in(v, o, 0);
    if (in_is_elem(v, o, 1, pointee(v, p), p) && ir_nin(v->f, o) > 2)
        in_is_mask(v, o, 2, p, "operand 0");
}

/* ---- atomics ---- */
static bool atomic_takes(dtype dt, int64_t rmw)
{
    bool wide = dt_is_int(dt) && dt_bits(dt) >= 32;
    if (rmw == RMW_AND || rmw == RMW_OR || rmw == RMW_XOR)
        return wide;
    if (rmw == RMW_ADD && (dt == DT_F16 || dt == DT_BF16))
        return true;
    return wide || dt == DT_F32 || dt == DT_F64;
}

static bool check_rmw_elem(verifier *v, ir_op o, ir_type elem)
{
    const ir_type_info *i = ir_type_of(v->m, elem);
    int64_t rmw = ir_int(v->f, o, KEY_rmw, RMW_XCHG);
    if (i->kind == TK_NUM && atomic_takes(i->dt, rmw))
        return true;
    verify_fail(v, o, "no atomic '%s' on '%s'",
                ir_op_code(v->f, o) == IR_OP_atomic_cas ? "cas" : ir_enum_name(KEY_rmw, rmw), verify_type(v, elem));
    return false;
}

/* pointer, `values` operands of its element, optional mask */
static void check_atomic(verifier *v, ir_op o, uint32_t values)
{
    ir_type p;
    if (!verify_count(v, o, 1 + values, 2 + values) || !in_is_ptr(v, o))
        return;
    p = verify_in(v, o, 0);
    if (!check_rmw_elem(v, o, pointee(v, p)))
        return;
    for (uint32_t i = 1; i <= values; i++)
        if (!in_is_elem(v, o, i, pointee(v, p), p))
            return;
    if (ir_nin(v->f, o) > 1 + values && !in_is_mask(v, o, 1 + values, p, "operand 0"))
        return;
    out_is_elem(v, o, pointee(v, p), p);
}

/* ---- tensors ---- */
static const ir_type_info *tensor_of(const verifier *v, ir_type t)
{
    const ir_type_info *i = ir_type_of(v->m, t);
    return i->kind == TK_TENSOR ? i : NULL;
}

/* operand 0 as a tensor, after checking that operands `min` to `max` beyond one a dimension are there; NULL with a
 * report */
static const ir_type_info *tensor_in(verifier *v, ir_op o, uint32_t min, uint32_t max)
{
    const ir_type_info *t;
    if (!verify_count(v, o, 1, UINT32_MAX))
        return NULL;
    t = tensor_of(v, verify_in(v, o, 0));
    if (!verify_in_is(v, o, 0, t != NULL, "a tensor"))
        return NULL;
    return verify_count(v, o, 1 + (uint32_t)t->rank + min, 1 + (uint32_t)t->rank + max) ? t : NULL;
}

static bool offsets_are_scalars(verifier *v, ir_op o, uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++)
        if (!verify_in_is(v, o, i, verify_is_int_scalar(v, verify_in(v, o, i)), "a scalar integer"))
            return false;
    return true;
}

static bool is_box(const verifier *v, ir_type box, const ir_type_info *t)
{
    ir_type_kind k = ir_type_of(v->m, box)->kind;
    return (k == TK_NUM || (k == TK_TILE && ir_type_rank(v->m, box) == t->rank)) &&
           ir_type_eq(ir_type_elem(v->m, box), t->elem);
}

static const char *box_text(verifier *v, const ir_type_info *t)
{
    return str_cstr(v->d->a,
                    str_fmt(v->d->a, "a scalar or a tile of rank %d, of '%s'", t->rank, verify_type(v, t->elem)));
}

static void check_tensor_make(verifier *v, ir_op o)
{
    const ir_type_info *t = tensor_of(v, verify_out(v, o, 0));
    uint32_t rank;
    int64_t last;
    if (!verify_out_is(v, o, 0, t != NULL, "a tensor"))
        return;
    rank = (uint32_t)t->rank;
    if (!verify_count(v, o, 1 + 2 * rank, 1 + 2 * rank))
        return;
    const ir_type_info *p = ir_type_of(v->m, verify_in(v, o, 0));
    if (p->kind != TK_PTR || !ir_type_eq(p->elem, t->elem)) {
        verify_fail(v, o, "operand 0 is '%s', expected '*%s'", verify_type(v, verify_in(v, o, 0)),
                    verify_type(v, t->elem));
        return;
    }
    for (uint32_t i = 1; i <= 2 * rank; i++)
        if (!verify_in_is(v, o, i, verify_is_scalar_of(v, verify_in(v, o, i), DT_I64), "'i64'"))
            return;
    if (!t->strided && ir_const_int_of(v->f, ir_in(v->f, o, 2 * rank), &last) && last != 1)
        verify_fail(v, o, "the last stride is %lld, and '%s' is not strided", (long long)last,
                    verify_type(v, verify_out(v, o, 0)));
}

static void check_tensor_dim(verifier *v, ir_op o)
{
    const ir_type_info *t = tensor_of(v, verify_in(v, o, 0));
    if (verify_in_is(v, o, 0, t != NULL, "a tensor") && verify_range(v, o, KEY_dim, 0, t->rank - 1))
        verify_out_is(v, o, 0, verify_is_scalar_of(v, verify_out(v, o, 0), DT_I64), "'i64'");
}

static void check_tensor_base(verifier *v, ir_op o)
{
    const ir_type_info *t = tensor_of(v, verify_in(v, o, 0)), *p = ir_type_of(v->m, verify_out(v, o, 0));
    if (verify_in_is(v, o, 0, t != NULL, "a tensor") && (p->kind != TK_PTR || !ir_type_eq(p->elem, t->elem)))
        verify_fail(v, o, "result 0 is '%s', expected '*%s'", verify_type(v, verify_out(v, o, 0)),
                    verify_type(v, t->elem));
}

enum { VIEW_INDEX, VIEW_RANGE, VIEW_WHOLE };

/* the view's dimensions against the tensor's, and its last stride */
static void check_view_type(verifier *v, ir_op o, const ir_type_info *t, const int64_t *kinds, uint32_t kept)
{
    const ir_type_info *y = tensor_of(v, verify_out(v, o, 0));
    int d = 0;
    if (!verify_out_is(v, o, 0, y && (uint32_t)y->rank == kept && ir_type_eq(y->elem, t->elem),
                       "a tensor of the same element, with the dimensions that are not indexed"))
        return;
    for (int i = 0; i < t->rank; i++) {
        if (kinds[i] == VIEW_INDEX)
            continue;
        bool ok = kinds[i] == VIEW_WHOLE
                      ? y->shape[d] == t->shape[i] || y->shape[d] == IR_DYN
                      : y->shape[d] == IR_DYN || (t->shape[i] != IR_DYN && y->shape[d] <= t->shape[i]);
        if (!ok) {
            verify_fail(v, o, "dimension %d of result 0 does not follow from dimension %d of operand 0, '%s'", d, i,
                        verify_type(v, verify_in(v, o, 0)));
            return;
        }
        d++;
    }
    if (!y->strided && (t->strided || kinds[t->rank - 1] == VIEW_INDEX))
        verify_out_is(v, o, 0, false, "a strided tensor, as its last stride may differ from 1");
}

static void check_tensor_view(verifier *v, ir_op o)
{
    uint32_t n, operands = 1, kept = 0;
    const int64_t *kinds = ir_ints(v->f, o, KEY_kinds, &n);
    const ir_type_info *t;
    if (!verify_count(v, o, 1, UINT32_MAX))
        return;
    t = tensor_of(v, verify_in(v, o, 0));
    if (!verify_in_is(v, o, 0, t != NULL, "a tensor"))
        return;
    if ((int)n != t->rank) {
        verify_fail(v, o, "attribute 'kinds' has %u entries, expected %d", n, t->rank);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (kinds[i] < VIEW_INDEX || kinds[i] > VIEW_WHOLE) {
            verify_fail(v, o, "attribute 'kinds' has %lld, expected 0, 1 or 2", (long long)kinds[i]);
            return;
        }
        operands += kinds[i] == VIEW_INDEX ? 1 : kinds[i] == VIEW_RANGE ? 2 : 0;
        kept += kinds[i] != VIEW_INDEX;
    }
    if (verify_count(v, o, operands, operands) && offsets_are_scalars(v, o, 1, operands - 1))
        check_view_type(v, o, t, kinds, kept);
}

static void check_tensor_load(verifier *v, ir_op o)
{
    const ir_type_info *t = tensor_in(v, o, 0, 1);
    if (!t || !offsets_are_scalars(v, o, 1, (uint32_t)t->rank))
        return;
    if (ir_nin(v->f, o) > 1 + (uint32_t)t->rank &&
        !verify_in_type(v, o, 1 + (uint32_t)t->rank, t->elem, "as the tensor's element"))
        return;
    if (!is_box(v, verify_out(v, o, 0), t))
        verify_out_is(v, o, 0, false, box_text(v, t));
}

static void check_tensor_store(verifier *v, ir_op o)
{
    const ir_type_info *t = tensor_in(v, o, 1, 1);
    uint32_t value;
    if (!t || !offsets_are_scalars(v, o, 1, (uint32_t)t->rank))
        return;
    value = 1 + (uint32_t)t->rank;
    if (!is_box(v, verify_in(v, o, value), t))
        verify_in_is(v, o, value, false, box_text(v, t));
    else if (ir_op_code(v->f, o) == IR_OP_tensor_atomic)
        check_rmw_elem(v, o, t->elem);
}

/* one integer index a dimension, all of one shape */
static bool indices_agree(verifier *v, ir_op o, const ir_type_info *t)
{
    for (uint32_t i = 1; i <= (uint32_t)t->rank; i++)
        if (!verify_in_is(v, o, i, verify_is_int(v, verify_in(v, o, i)), "integers") ||
            !verify_in_shape(v, o, i, verify_in(v, o, 1), "operand 1"))
            return false;
    return true;
}

static void check_tensor_gather(verifier *v, ir_op o)
{
    const ir_type_info *t = tensor_in(v, o, 0, 2);
    uint32_t at;
    if (!t || !indices_agree(v, o, t))
        return;
    at = 1 + (uint32_t)t->rank;
    if (ir_nin(v->f, o) > at && !in_is_mask(v, o, at, verify_in(v, o, 1), "operand 1"))
        return;
    if (ir_nin(v->f, o) > at + 1 && !ir_type_eq(verify_in(v, o, at + 1), t->elem) &&
        !is_elem_in_shape(v, verify_in(v, o, at + 1), t->elem, verify_in(v, o, 1))) {
        verify_fail(v, o, "operand %u is '%s', expected '%s', or a tile of it in the shape of operand 1", at + 1,
                    verify_type(v, verify_in(v, o, at + 1)), verify_type(v, t->elem));
        return;
    }
    out_is_elem(v, o, t->elem, verify_in(v, o, 1));
}

static void check_tensor_scatter(verifier *v, ir_op o)
{
    const ir_type_info *t = tensor_in(v, o, 1, 2);
    uint32_t at;
    if (!t || !indices_agree(v, o, t))
        return;
    at = 1 + (uint32_t)t->rank;
    if (!is_elem_in_shape(v, verify_in(v, o, at), t->elem, verify_in(v, o, 1))) {
        verify_fail(v, o, "operand %u is '%s', expected '%s' in the shape of operand 1", at,
                    verify_type(v, verify_in(v, o, at)), verify_type(v, t->elem));
        return;
    }
    if (ir_nin(v->f, o) > at + 1)
        in_is_mask(v, o, at + 1, verify_in(v, o, 1), "operand 1");
}

bool verify_memory(verifier *v, ir_op o)
{
    ir_code c = ir_op_code(v->f, o);
    if (c == IR_OP_ptr_add)
        check_ptr_add(v, o);
    else if (c == IR_OP_ptr_cast)
        check_ptr_cast(v, o);
    else if (c == IR_OP_bound)
        check_bound(v, o);
    else if (c == IR_OP_load)
        check_load(v, o);
    else if (c == IR_OP_store)
        check_store(v, o);
    else if (c == IR_OP_atomic_rmw)
        check_atomic(v, o, 1);
    else if (c == IR_OP_atomic_cas)
        check_atomic(v, o, 2);
    else if (c == IR_OP_tensor_make)
        check_tensor_make(v, o);
    else if (c == IR_OP_tensor_dim || c == IR_OP_tensor_stride)
        check_tensor_dim(v, o);
    else if (c == IR_OP_tensor_base)
        check_tensor_base(v, o);
    else if (c == IR_OP_tensor_view)
        check_tensor_view(v, o);
    else if (c == IR_OP_tensor_load)
        check_tensor_load(v, o);
    else if (c == IR_OP_tensor_store || c == IR_OP_tensor_atomic)
        check_tensor_store(v, o);
    else if (c == IR_OP_tensor_gather)
        check_tensor_gather(v, o);
    else if (c == IR_OP_tensor_scatter)
        check_tensor_scatter(v, o);
    else
        return false;
    return true;
}
