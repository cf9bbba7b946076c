/* verify_ctl.c: ops with regions, and calls.
 *
 * For each region: which parameters it has, and what its yield must give. Regions were checked from inside before, so
 * they are known to end in a yield of sound operands.
 *
 *   for     (index, carried) -> carried        while  (carried) -> bool | (carried) -> carried        if  () ->
 * results, twice reduce, scan  (left items, right items) -> items      map  (items) -> results' elements
 */
#include "compiler/verify.h"

/* ---- region signatures ---- */
static bool params_count(verifier *v, ir_op o, uint32_t region, uint32_t want)
{
    uint32_t n = ir_nparams(v->f, ir_op_region(v->f, o, region));
    if (n != want)
        verify_fail(v, o, "region %u has %u parameter%s, expected %u", region, n, n == 1 ? "" : "s", want);
    return n == want;
}

static bool param_is(verifier *v, ir_op o, uint32_t region, uint32_t i, ir_type want)
{
    ir_type t = ir_vtype(v->f, ir_param_of(v->f, ir_op_region(v->f, o, region), i));
    if (ir_type_eq(t, want))
        return true;
    verify_fail(v, o, "parameter %u of region %u is '%s', expected '%s'", i, region, verify_type(v, t),
                verify_type(v, want));
    return false;
}

static ir_op yield_of(const verifier *v, ir_op o, uint32_t region)
{
    return ir_last(v->f, ir_op_region(v->f, o, region));
}

static bool yield_count(verifier *v, ir_op o, uint32_t region, uint32_t want)
{
    ir_op y = yield_of(v, o, region);
    if (ir_nin(v->f, y) != want)
        verify_fail(v, y, "expected %u operand%s for region %u of '%s', found %u", want, want == 1 ? "" : "s", region,
                    ir_info(v->f, o)->name, ir_nin(v->f, y));
    return ir_nin(v->f, y) == want;
}

static bool yield_is(verifier *v, ir_op o, uint32_t region, uint32_t i, ir_type want)
{
    ir_op y = yield_of(v, o, region);
    ir_type t = verify_in(v, y, i);
    if (ir_type_eq(t, want))
        return true;
    verify_fail(v, y, "operand %u is '%s', expected '%s' for region %u of '%s'", i, verify_type(v, t),
                verify_type(v, want), region, ir_info(v->f, o)->name);
    return false;
}

static bool results_count(verifier *v, ir_op o, uint32_t want)
{
    if (ir_nout(v->f, o) != want)
        verify_fail(v, o, "expected %u result%s, found %u", want, want == 1 ? "" : "s", ir_nout(v->f, o));
    return ir_nout(v->f, o) == want;
}

/* ---- loops and branches ---- */
/* operands from `first` on, results, parameters from `param` on and yields of `region` are the carried values */
static bool carried(verifier *v, ir_op o, uint32_t first, uint32_t region, uint32_t param, bool yields)
{
    uint32_t n = ir_nin(v->f, o) - first;
    if (!results_count(v, o, n) || !params_count(v, o, region, n + param) || (yields && !yield_count(v, o, region, n)))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        ir_type t = verify_in(v, o, first + i);
        if (!verify_out_type(v, o, i, t, "like the carried operand") || !param_is(v, o, region, param + i, t) ||
            (yields && !yield_is(v, o, region, i, t)))
            return false;
    }
    return true;
}

static void check_for(verifier *v, ir_op o)
{
    ir_type t;
    int64_t step;
    if (!verify_count(v, o, 3, UINT32_MAX))
        return;
    t = verify_in(v, o, 0);
    if (!verify_in_is(v, o, 0, verify_is_int_scalar(v, t), "a scalar integer") ||
        !verify_in_type(v, o, 1, t, "like operand 0") || !verify_in_type(v, o, 2, t, "like operand 0") ||
        !carried(v, o, 3, 0, 1, true) || !param_is(v, o, 0, 0, t))
        return;
    if (ir_const_int_of(v->f, ir_in(v->f, o, 2), &step) && step == 0)
        verify_fail(v, o, "operand 2, the step, is 0");
    verify_range(v, o, KEY_num_stages, 0, 64);
    verify_range(v, o, KEY_unroll, 0, 1024);
    verify_range(v, o, KEY_max_imprecise, 0, INT64_MAX);
}

static void check_while(verifier *v, ir_op o)
{
    ir_op y = yield_of(v, o, 0);
    if (!carried(v, o, 0, 0, 0, false) || !yield_count(v, o, 0, 1))
        return;
    if (!verify_is_scalar_of(v, verify_in(v, y, 0), DT_BOOL))
        verify_fail(v, y, "operand 0 is '%s', expected a scalar 'bool' for region 0 of 'while'",
                    verify_type(v, verify_in(v, y, 0)));
    else
        carried(v, o, 0, 1, 0, true);
}

static void check_if(verifier *v, ir_op o)
{
    if (!verify_in_is(v, o, 0, verify_is_scalar_of(v, verify_in(v, o, 0), DT_BOOL), "a scalar 'bool'"))
        return;
    for (uint32_t r = 0; r < 2; r++) {
        if (!params_count(v, o, r, 0) || !yield_count(v, o, r, ir_nout(v->f, o)))
            return;
        for (uint32_t i = 0; i < ir_nout(v->f, o); i++)
            if (!yield_is(v, o, r, i, verify_out(v, o, i)))
                return;
    }
}

/* ---- whole-tile ops ---- */
/* one or more tiles of numbers of one shape */
static bool in_are_tiles(verifier *v, ir_op o)
{
    if (!verify_count(v, o, 1, UINT32_MAX))
        return false;
    for (uint32_t i = 0; i < ir_nin(v->f, o); i++) {
        ir_type t = verify_in(v, o, i);
        if (!verify_in_is(v, o, i, verify_is_tile(v, t) && verify_is_num(v, t), "a tile of numbers") ||
            !verify_in_shape(v, o, i, verify_in(v, o, 0), "operand 0"))
            return false;
    }
    return true;
}

static bool out_is_elem(verifier *v, ir_op o, uint32_t i, ir_type like)
{
    ir_type t = verify_out(v, o, i);
    if (ir_type_of(v->m, t)->kind != TK_TENSOR && ir_type_eq(ir_type_elem(v->m, t), ir_type_elem(v->m, like)))
        return true;
    verify_fail(v, o, "result %u is '%s', expected elements of '%s'", i, verify_type(v, t),
                verify_type(v, ir_type_elem(v->m, like)));
    return false;
}

static bool combines(verifier *v, ir_op o)
{
    uint32_t n = ir_nin(v->f, o);
    if (!results_count(v, o, n) || !params_count(v, o, 0, 2 * n) || !yield_count(v, o, 0, n))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        ir_type elem = ir_type_elem(v->m, verify_in(v, o, i));
        if (!param_is(v, o, 0, i, elem) || !param_is(v, o, 0, n + i, elem) || !yield_is(v, o, 0, i, elem))
            return false;
    }
    return true;
}

static void check_reduce(verifier *v, ir_op o)
{
    int64_t shape[IR_MAX_RANK], axis = ir_int(v->f, o, KEY_axis, 0);
    int rank, n = 0;
    if (!in_are_tiles(v, o))
        return;
    rank = ir_type_rank(v->m, verify_in(v, o, 0));
    if (!verify_range(v, o, KEY_axis, 0, rank - 1) || !combines(v, o))
        return;
    for (int d = 0; d < rank; d++)
        if (d != axis)
            shape[n++] = ir_type_of(v->m, verify_in(v, o, 0))->shape[d];
    for (uint32_t i = 0; i < ir_nin(v->f, o); i++)
        if (!out_is_elem(v, o, i, verify_in(v, o, i)) || !verify_out_shape(v, o, i, n, shape))
            return;
}

static void check_scan(verifier *v, ir_op o)
{
    if (!in_are_tiles(v, o) || !verify_range(v, o, KEY_axis, 0, ir_type_rank(v->m, verify_in(v, o, 0)) - 1) ||
        !combines(v, o))
        return;
    for (uint32_t i = 0; i < ir_nin(v->f, o); i++)
        if (!verify_out_type(v, o, i, verify_in(v, o, i), "like its operand"))
            return;
}

static void check_map(verifier *v, ir_op o)
{
    if (!in_are_tiles(v, o) || !params_count(v, o, 0, ir_nin(v->f, o)) || !yield_count(v, o, 0, ir_nout(v->f, o)))
        return;
    for (uint32_t i = 0; i < ir_nin(v->f, o); i++)
        if (!param_is(v, o, 0, i, ir_type_elem(v->m, verify_in(v, o, i))))
            return;
    for (uint32_t i = 0; i < ir_nout(v->f, o); i++) {
        ir_type t = verify_out(v, o, i);
        if (!verify_out_is(v, o, i,
                           verify_is_tile(v, t) && verify_is_num(v, t) && verify_same_shape(v, t, verify_in(v, o, 0)),
                           "a tile of numbers in the shape of the operands") ||
            !yield_is(v, o, 0, i, ir_type_elem(v->m, t)))
            return;
    }
}

/* ---- functions ---- */
static void check_call(verifier *v, ir_op o)
{
    str name = ir_text(v->f, o, KEY_callee);
    const ir_func *callee = verify_callee(v, name);
    if (!callee || callee->kind != FUNC_FN) {
        verify_fail(v, o, "there is no 'fn' of name '@%.*s'", STR_ARG(name));
        return;
    }
    if (ir_nin(v->f, o) != callee->params.n || ir_nparams(callee, callee->body) != callee->params.n) {
        verify_fail(v, o, "'@%.*s' takes %u operands, found %u", STR_ARG(name), callee->params.n, ir_nin(v->f, o));
        return;
    }
    for (uint32_t i = 0; i < ir_nin(v->f, o); i++)
        if (!verify_in_type(v, o, i, ir_vtype(callee, ir_param_of(callee, callee->body, i)),
                            "as the function's parameter"))
            return;
    if (!results_count(v, o, callee->results.n))
        return;
    for (uint32_t i = 0; i < ir_nout(v->f, o); i++)
        if (!verify_out_type(v, o, i, callee->results.at[i], "as the function's result"))
            return;
    if (v->element_op.id && !verify_is_pure(v, name))
        verify_fail(v, o, "'@%.*s' has an effect, and a region of '%s' is pure", STR_ARG(name),
                    ir_info(v->f, v->element_op)->name);
}

static void check_return(verifier *v, ir_op o)
{
    uint32_t n = ir_nin(v->f, o);
    if (n != v->f->results.n) {
        verify_fail(v, o, "expected %u operand%s, the results of '@%.*s', found %u", v->f->results.n,
                    v->f->results.n == 1 ? "" : "s", STR_ARG(v->f->name), n);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        if (!verify_in_type(v, o, i, v->f->results.at[i], "as the function's result"))
            return;
}

bool verify_control(verifier *v, ir_op o)
{
    ir_code c = ir_op_code(v->f, o);
    if (c == IR_OP_reduce)
        check_reduce(v, o);
    else if (c == IR_OP_scan)
        check_scan(v, o);
    else if (c == IR_OP_map)
        check_map(v, o);
    else if (c == IR_OP_for)
        check_for(v, o);
    else if (c == IR_OP_while)
        check_while(v, o);
    else if (c == IR_OP_if)
        check_if(v, o);
    else if (c == IR_OP_call)
        check_call(v, o);
    else if (c == IR_OP_return)
        check_return(v, o);
    else
        return c == IR_OP_yield; /* checked with the op that owns its region */
    return true;
}
