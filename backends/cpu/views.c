/* views.c: views as changes of index: nothing is moved, the operand is asked for elsewhere.
 */
#include "backends/cpu/cpu.h"

#include <string.h>

lv linear_index(nest *n, const coords *c, const int64_t *shape)
{
    coords own = *c; /* n->sets may move */
    lv sum = lv_const(n, 0);
    int64_t stride = 1;
    for (int d = own.rank - 1; d >= 0; d--) {
        if (shape[d] > 1)
            sum = lv_add(n, sum, lv_scale(n, own.at[d], stride));
        stride *= shape[d];
    }
    return sum;
}

static const ir_type_info *type_of(nest *n, ir_val v)
{
    return ir_type_of(n->k->f->m, ir_vtype(n->k->f, v));
}

/* index of the old shape for each of the new, when they differ in unit extents only */
static bool unit_dims(const ir_type_info *from, const ir_type_info *to, const coords *c, lv zero, coords *out)
{
    int i = 0;
    out->rank = from->rank;
    for (int d = 0; d < from->rank; d++) {
        if (from->shape[d] == 1) {
            out->at[d] = zero;
            continue;
        }
        while (i < to->rank && to->shape[i] == 1)
            i++;
        if (i == to->rank || to->shape[i] != from->shape[d])
            return false;
        out->at[d] = c->at[i++];
    }
    return true;
}

lv ev_linear(nest *n, ir_val v, lv lin)
{
    kern *k = n->k;
    const ir_func *f = k->f;
    const plan_val *x = &k->p->v[v.id];
    ir_op o = ir_def(f, v);
    if ((x->cls == VC_DATA || x->cls == VC_CARRIED) && x->buffer >= 0)
        return buffer_read(n, v, lin);
    if (x->cls == VC_SYM && ir_op_code(f, o) == IR_OP_reshape && ir_type_rank(f->m, ir_vtype(f, ir_in(f, o, 0))))
        return ev_linear(n, ir_in(f, o, 0), lin);
    const ir_type_info *t = type_of(n, v);
    coords c = {.rank = t->rank};
    for (int d = t->rank - 1; d > 0; d--)
        lv_divmod(n, lin, t->shape[d], &lin, &c.at[d]);
    c.at[0] = lin;
    return ev(n, v, coords_id(n, &c));
}

static lv reshape(nest *n, ir_op o, ir_val v, uint32_t at)
{
    const ir_func *f = n->k->f;
    ir_val x = ir_in(f, o, 0);
    if (ir_type_rank(f->m, ir_vtype(f, x)) == 0)
        return lv_uni(ev_scalar(n->k, x), -1);
    coords c = n->sets.at[at], to;
    if (unit_dims(type_of(n, x), type_of(n, v), &c, lv_const(n, 0), &to))
        return ev(n, x, coords_id(n, &to));
    return ev_linear(n, x, linear_index(n, &c, type_of(n, v)->shape));
}

/* an index of any integer type as i64 */
static lv index64(nest *n, lv x, dtype d)
{
    cg *c = n->k->c;
    if (dt_bits(d) == 64)
        return x;
    int level = x.form == LV_UNI ? x.level : n->inner;
    lval v = x.form == LV_UNI ? x.v : lv_vec(n, x);
    nest_enter(n, level);
    x.v = cg_cast(c, v, d, DT_I64, false, x.form == LV_UNI ? 1 : n->lanes);
    x.form = x.form == LV_UNI ? LV_UNI : LV_VEC;
    x.level = (int8_t)level;
    nest_leave(n, level);
    return x;
}

static coords view_coords(nest *n, ir_op o, ir_val v, uint32_t at)
{
    const ir_func *f = n->k->f;
    coords c = n->sets.at[at], r = c;
    ir_val x = ir_in(f, o, 0);
    const ir_type_info *t = type_of(n, x);
    int64_t along = ir_int(f, o, KEY_axis, 0);
    uint32_t len;
    switch (ir_op_code(f, o)) {
    case IR_OP_broadcast:
        for (int d = 0; d < c.rank; d++)
            if (t->shape[d] == 1)
                r.at[d] = lv_const(n, 0);
        break;
    case IR_OP_permute: {
        const int64_t *order = ir_ints(f, o, KEY_order, &len);
        for (int d = 0; d < c.rank; d++)
            r.at[order[d]] = c.at[d];
        break;
    }
    case IR_OP_slice: {
        const int64_t *starts = ir_ints(f, o, KEY_starts, &len);
        for (int d = 0; d < c.rank; d++)
            r.at[d] = starts[d] ? lv_add(n, c.at[d], lv_const(n, starts[d])) : c.at[d];
        break;
    }
    case IR_OP_extract: {
        lv i = lv_uni(ev_scalar(n->k, ir_in(f, o, 1)), -1);
        i = lv_clamp(n, index64(n, i, ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, 1)))), t->shape[along]);
        r.rank = c.rank + 1;
        memcpy(r.at + along + 1, c.at + along, (size_t)(c.rank - along) * sizeof(lv));
        r.at[along] = i;
        break;
    }
    case IR_OP_gather: {
        lv i = ev(n, ir_in(f, o, 1), at);
        r.at[along] = lv_clamp(n, index64(n, i, ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, 1)))), t->shape[along]);
        break;
    }
    case IR_OP_split:
        r.rank = c.rank + 1;
        r.at[c.rank] = lv_const(n, ir_out(f, o, 1).id == v.id);
        break;
    default:
        break;
    }
    return r;
}

lv ev_view(nest *n, ir_op o, ir_val v, uint32_t at)
{
    const ir_func *f = n->k->f;
    if (ir_op_code(f, o) == IR_OP_reshape)
        return reshape(n, o, v, at);
    if (ir_op_code(f, o) == IR_OP_hint)
        return ev(n, ir_in(f, o, 0), at);
    coords c = view_coords(n, o, v, at);
    return ev(n, ir_in(f, o, 0), coords_id(n, &c));
}
