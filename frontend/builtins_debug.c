/* builtins_debug.c: hints that analyses trust, and what helps an author look inside. */
#include "frontend/builtins_impl.h"

static fv hinted(lower *l, bargs *g, ir_key key)
{
    fv x = arg_value(l, g, 0), v = g->v[1];
    int64_t values[IR_MAX_RANK];
    if (x.kind == FV_POISON)
        return x;
    const fv *el = v.kind == FV_SEQ ? v.seq.at : &v;
    uint32_t n = v.kind == FV_SEQ ? v.seq.n : 1;
    int rank = low_rank(l, x) ? low_rank(l, x) : 1;
    if (n != (uint32_t)rank)
        return low_error(l, D_HINT_COUNT, g->where[1], g->name, rank, n);
    for (uint32_t i = 0; i < n; i++) {
        bargs one = *g;
        one.v[1] = el[i];
        if (!arg_int(l, &one, 1, 1, INT64_MAX, &values[i]))
            return fv_poison();
    }
    return fv_rt(ir_emit1a(B(l), IR_OP_hint, low_vtype(l, x), &x.v, 1, key, ir_attr_ints(l->m, values, n)));
}

fv b_multiple_of(lower *l, bargs *g) { return hinted(l, g, KEY_multiple_of); }
fv b_max_contiguous(lower *l, bargs *g) { return hinted(l, g, KEY_contiguous); }
fv b_max_constancy(lower *l, bargs *g) { return hinted(l, g, KEY_constant); }

fv b_expect_zero(lower *l, bargs *g)
{
    fv x = arg_value(l, g, 0);
    int64_t shape[IR_MAX_RANK];
    ir_val mask;
    if (x.kind == FV_POISON)
        return x;
    int rank = bi_shape(l, x, shape);
    return arg_mask(l, g, 1, rank, shape, &mask) ? x : fv_poison();
}

fv b_condition(lower *l, bargs *g)
{
    return low_condition(l, g->v[0], g->where[0], g->name);
}

fv b_static_print(lower *l, bargs *g)
{
    strbuf b;
    sb_init(&b, l->a);
    for (uint32_t i = 0; i < g->nvar; i++) {
        fv v = g->var[i].v;
        if (i)
            sb_putc(&b, ' ');
        sb_put(&b, v.kind == FV_STR ? v.s : low_say(l, v));
    }
    str s = sb_str(&b);
    fe_report(l->d, D_STATIC_PRINT, g->at, STR_ARG(s));
    return fv_none();
}

fv b_debug_barrier(lower *l, bargs *g)
{
    (void)g;
    ir_emit0(B(l), IR_OP_barrier, NULL, 0);
    return fv_none();
}

fv b_device_print(lower *l, bargs *g)
{
    str text;
    bool hex;
    ir_val in[BARGS_MAX];
    uint32_t n = 0;
    if (!arg_str(l, g, 0, &text) || !arg_bool(l, g, 2, &hex))
        return fv_poison();
    for (uint32_t i = 0; i < g->nvar; i++) {
        fv v = low_runtime(l, g->var[i].v, g->var[i].at);
        if (v.kind == FV_POISON)
            return v;
        if (v.kind != FV_RT || low_is_ptr(l, v))
            return low_error(l, D_ARG_TYPE, g->var[i].at, g->name, "numbers", STR_ARG(low_say(l, v)));
        if (n == BARGS_MAX)
            return low_error(l, D_TOO_MANY_ARGS, g->at, g->name, BARGS_MAX + 1, g->nvar + 1);
        in[n++] = v.v;
    }
    ir_attr_pair attrs[2] = {{KEY_text, ir_attr_str(l->m, text)}, {KEY_hex, ir_attr_int(l->m, 1)}};
    ir_emit(B(l), &(ir_desc){.code = IR_OP_print, .in = in, .nin = n, .attrs = attrs, .nattr = hex ? 2 : 1}, NULL);
    return fv_none();
}

fv b_device_assert(lower *l, bargs *g)
{
    str text;
    fv c = arg_value(l, g, 0);
    int64_t shape[IR_MAX_RANK];
    ir_val in[2];
    if (c.kind == FV_POISON || !arg_str(l, g, 1, &text))
        return fv_poison();
    if (low_dt(l, c) != DT_BOOL)
        return low_error(l, D_ARG_TYPE, g->where[0], g->name, "a bool", STR_ARG(low_say(l, c)));
    int rank = bi_shape(l, c, shape);
    in[0] = c.v;
    if (!arg_mask(l, g, 2, rank, shape, &in[1]))
        return fv_poison();
    ir_attr_pair attr = {KEY_text, ir_attr_str(l->m, text)};
    ir_emit(B(l), &(ir_desc){.code = IR_OP_assert, .in = in, .nin = in[1].id ? 2 : 1, .attrs = &attr, .nattr = 1},
            NULL);
    return fv_none();
}
