/* eval.c: values on demand: any value of the kernel at any index, memoised.
 *
 * Two memos: what was computed outside the vector loop, for as long as the nest lasts; what was computed inside it (or
 * leans on an assumption of the main part), for one chunk.
 */
#include "backends/cpu/cpu.h"

#include <string.h>

void nest_straight(nest *n, kern *k)
{
    *n = (nest){.k = k, .inner = -1, .step = -1, .lanes = 1, .extent = 1, .part = PART_TAIL};
    n->block[0] = cg_here(k->c);
    map_init(&n->outer_memo, k->a);
    map_init(&n->inner_memo, k->a);
    map_init(&n->splats, k->a);
    map_init(&n->wide, k->a);
    map_init(&n->shared, k->a);
    coords none = {0};
    vec_push(k->a, &n->sets, none);
}

void nest_enter(nest *n, int level)
{
    cg_at(n->k->c, n->block[level + 1]);
}

void nest_leave(nest *n, int level)
{
    n->block[level + 1] = cg_here(n->k->c);
}

static bool same_coords(const coords *a, const coords *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->at[i].v != b->at[i].v || a->at[i].form != b->at[i].form || a->at[i].k != b->at[i].k)
            return false;
    return true;
}

uint32_t coords_id(nest *n, const coords *c)
{
    for (uint32_t i = 0; i < n->sets.n; i++)
        if (same_coords(&n->sets.at[i], c))
            return i;
    vec_push(n->k->a, &n->sets, *c);
    return n->sets.n - 1;
}

static uint64_t key_of(ir_val v, uint32_t at)
{
    return (uint64_t)v.id << 32 | at;
}

bool memo_get(nest *n, ir_val v, uint32_t at, lv *x)
{
    uint32_t id;
    if (!map_get(&n->inner_memo, key_of(v, at), &id) && !map_get(&n->outer_memo, key_of(v, at), &id))
        return false;
    *x = n->memo.at[id];
    return true;
}

/* is the value of an index tuple good for other chunks too? VEC indices aren't */
static bool outlives_chunk(const nest *n, lv x, uint32_t at)
{
    const coords *c = &n->sets.at[at];
    for (int i = 0; i < c->rank; i++)
        if (c->at[i].form == LV_VEC || (n->inner >= 0 && c->at[i].level >= n->inner))
            return false;
    return !x.assumed && x.form != LV_VEC && (n->inner < 0 || x.level < n->inner);
}

void memo_set(nest *n, ir_val v, uint32_t at, lv x)
{
    vec_push(n->k->a, &n->memo, x);
    map_set(outlives_chunk(n, x, at) ? &n->outer_memo : &n->inner_memo, key_of(v, at), n->memo.n - 1);
}

/* ---- scalars ---- */
static lval program_axis(kern *k, ir_op o)
{
    int64_t d = ir_int(k->f, o, KEY_axis, 0);
    return ir_op_code(k->f, o) == IR_OP_program_id ? k->pid[d] : k->grid[d];
}

/* the slot of a tensor argument: 0 base, 1 .. sizes, 1 + rank .. strides */
static lval tensor_slot(kern *k, ir_val t, int64_t slot)
{
    const ir_func *f = k->f;
    const ir_type_info *info = ir_type_of(f->m, ir_vtype(f, t));
    ir_op o = ir_def(f, t);
    if (o.id && ir_op_code(f, o) == IR_OP_tensor_make)
        return ev_scalar(k, ir_in(f, o, (uint32_t)slot));
    if (o.id)
        bug("a tensor that is neither an argument nor made from a pointer reached the CPU back end");
    if (slot > 0 && slot <= info->rank && info->shape[slot - 1] != IR_DYN)
        return cg_i64(k->c, info->shape[slot - 1]);
    if (slot == 2 * info->rank && !info->strided)
        return cg_i64(k->c, 1);
    uint32_t first = abi_param_first(f, f->vals.at[t.id].index);
    lval p = cg_gep(k->c, k->c->i64, k->args, cg_i64(k->c, (int64_t)first + slot));
    return cg_load(k->c, slot == 0 ? k->c->ptr : k->c->i64, p, 8);
}

static lval scalar_op(kern *k, ir_op o)
{
    const ir_func *f = k->f;
    cg *c = k->c;
    ir_code code = ir_op_code(f, o);
    ir_type t = ir_vtype(f, ir_out(f, o, 0));
    switch (code) {
    case IR_OP_const:
        return cg_const(c, ir_type_dt(f->m, t), (uint64_t)ir_int(f, o, KEY_bits, 0), 1);
    case IR_OP_undef:
        return LLVMConstNull(cg_num(c, ir_type_dt(f->m, t)));
    case IR_OP_program_id:
    case IR_OP_num_programs:
        return program_axis(k, o);
    case IR_OP_tensor_base:
        return tensor_slot(k, ir_in(f, o, 0), 0);
    case IR_OP_tensor_dim:
        return tensor_slot(k, ir_in(f, o, 0), 1 + ir_int(f, o, KEY_dim, 0));
    case IR_OP_tensor_stride:
        return tensor_slot(k, ir_in(f, o, 0),
                           1 + ir_type_of(f->m, ir_vtype(f, ir_in(f, o, 0)))->rank + ir_int(f, o, KEY_dim, 0));
    default: {
        nest *n = k->n;
        uint32_t zero = 0;
        lv r = ev_elt(n, o, zero);
        nest_enter(n, -1);
        return r.v;
    }
    }
}

lval ev_scalar(kern *k, ir_val v)
{
    if (k->scalar[v.id])
        return k->scalar[v.id];
    ir_op o = ir_def(k->f, v);
    if (!o.id || k->p->v[v.id].cls != VC_SCALAR)
        bug("scalar value %u has no code yet", v.id);
    nest_enter(k->n, -1);
    lval x = scalar_op(k, o);
    nest_leave(k->n, -1);
    k->scalar[v.id] = x;
    return x;
}

/* ---- tiles ---- */
static lv moved(nest *n, ir_val v, lv x)
{
    kern *k = n->k;
    const ir_func *f = k->f;
    lval by = k->shift[v.id];
    if (!by)
        return x;
    cg *c = k->c;
    if (!ir_type_is_ptr(f->m, ir_vtype(f, v)))
        return lv_add(n, x, lv_uni(by, -1));
    int level = x.form == LV_VEC ? n->inner : x.level;
    nest_enter(n, level);
    x.v = LLVMBuildGEP2(c->b, c->i8, x.v, &by, 1, "");
    nest_leave(n, level);
    return x;
}

static lv const_tile(nest *n, ir_op o)
{
    const ir_func *f = n->k->f;
    dtype d = ir_type_dt(f->m, ir_vtype(f, ir_out(f, o, 0)));
    uint64_t bits = ir_op_code(f, o) == IR_OP_const ? (uint64_t)ir_int(f, o, KEY_bits, 0) : 0;
    return lv_uni(cg_const(n->k->c, d, bits, 1), -1);
}

static lv arange(nest *n, ir_op o, uint32_t at)
{
    const ir_func *f = n->k->f;
    cg *c = n->k->c;
    dtype d = ir_type_dt(f->m, ir_vtype(f, ir_out(f, o, 0)));
    lv x = lv_add(n, n->sets.at[at].at[0], lv_const(n, ir_int(f, o, KEY_start, 0)));
    if (dt_bits(d) == 64)
        return x;
    int level = x.form == LV_VEC ? n->inner : x.level;
    nest_enter(n, level);
    x.v = LLVMBuildTrunc(c->b, x.v, cg_vec(cg_num(c, d), x.form == LV_VEC ? n->lanes : 1), "");
    nest_leave(n, level);
    return x;
}

static lv ev_new(nest *n, ir_val v, uint32_t at)
{
    kern *k = n->k;
    const ir_func *f = k->f;
    const plan_val *x = &k->p->v[v.id];
    ir_op o = ir_def(f, v);
    if (x->cls == VC_SHIFT)
        return moved(n, v, ev(n, x->init, at));
    bool here = x->cls == VC_DATA && x->step == n->step && at == n->own && o.id &&
                ((ir_info(f, o)->flags & ELT) || plan_is_products(f, o));
    if (x->cls == VC_CARRIED || (x->cls == VC_DATA && !here)) {
        int64_t shape[IR_MAX_RANK];
        memcpy(shape, ir_type_of(f->m, ir_vtype(f, v))->shape, sizeof shape);
        return buffer_read(n, v, linear_index(n, &n->sets.at[at], shape));
    }
    switch (ir_op_code(f, o)) {
    case IR_OP_const:
    case IR_OP_undef:
        return const_tile(n, o);
    case IR_OP_arange:
        return arange(n, o, at);
    case IR_OP_splat:
        return lv_uni(ev_scalar(k, ir_in(f, o, 0)), -1);
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_permute:
    case IR_OP_slice:
    case IR_OP_extract:
    case IR_OP_gather:
    case IR_OP_split:
    case IR_OP_hint:
        return ev_view(n, o, v, at);
    case IR_OP_load:
        return mem_load(n, o, at);
    case IR_OP_reduce:
        return products(n, &o, 1, at);
    case IR_OP_add:
        if (products_meet(n, o, at))
            return products(n, (ir_op[]){ir_def(f, ir_in(f, o, 0)), ir_def(f, ir_in(f, o, 1))}, 2, at);
        return ev_elt(n, o, at);
    default:
        return ev_elt(n, o, at);
    }
}

lv ev(nest *n, ir_val v, uint32_t at)
{
    lv x;
    if (memo_get(n, v, at, &x))
        return x;
    x = ev_new(n, v, at);
    memo_set(n, v, at, x);
    return x;
}

lv ev_point(kern *k, ir_val v, const coords *at)
{
    nest *n = k->n;
    if (n->inner >= 0)
        bug("a point wanted inside a nest");
    return ev(n, v, coords_id(n, at));
}
