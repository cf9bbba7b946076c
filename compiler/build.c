/* build.c: the builder: emission with folding and common-subexpression elimination.
 *
 * CSE keeps one hash table of the ops already emitted that are visible: pure ops without regions, and loads of the
 * current memory epoch (any op that may write, or any region, starts a new one). Entries are undone when the region
 * that they stand in is popped, so what is found dominates what is being built.
 */
#include "compiler/fold.h"
#include "compiler/tables.h"

#include <string.h>

struct cse_entry {
    uint64_t hash;
    uint32_t op;
};

struct ir_cse {
    uint32_t *slots; /* op id; 0 = empty */
    uint32_t cap;
    VEC(struct cse_entry) order; /* in order of entry, to undo */
    VEC(uint32_t) scopes;        /* order.n at each ir_push */
    uint32_t epoch;              /* of memory */
    VEC(uint32_t) epochs;        /* by op id: 0 for pure ops, the epoch of loads */
};

void ir_builder_init(ir_builder *b, ir_func *f, arena *a)
{
    *b = (ir_builder){.m = f->m, .f = f, .a = a, .fold = true};
    b->cse = ARENA_NEW(a, struct ir_cse);
    b->cse->cap = 256;
    b->cse->epoch = 1;
    b->cse->slots = ARENA_ARRAY(a, uint32_t, b->cse->cap);
    ir_push(b, f->body);
}

/* ---- common subexpressions ---- */
static bool cse_able(const ir_desc *d)
{
    const ir_op_info *info = &ir_ops[d->code];
    if (d->nregions || d->nout == 0)
        return false;
    for (uint32_t i = 0; i < d->nattr; i++)
        if (d->attrs[i].key == KEY_is_volatile)
            return false;
    return (info->flags & PURE) || ((info->flags & READ) && !(info->flags & (WRITE | SYNC)));
}

static uint64_t desc_hash(const ir_desc *d, uint32_t epoch)
{
    uint64_t h = hash_mix((uint64_t)d->code, (uint64_t)d->types[0].id << 32 | epoch);
    for (uint32_t i = 0; i < d->nin; i++)
        h = hash_mix(h, d->in[i].id);
    for (uint32_t i = 0; i < d->nattr; i++)
        h = hash_mix(h, (uint64_t)d->attrs[i].key << 32 | d->attrs[i].val.id);
    return h;
}

static bool same_as_op(const ir_builder *b, ir_op o, const ir_desc *d, uint32_t epoch)
{
    const ir_func *f = b->f;
    const ir_op_data *p = ir_o(f, o);
    if (p->code != (uint16_t)d->code || p->nin != d->nin || p->nout != d->nout || p->nattr != d->nattr)
        return false;
    if (b->cse->epochs.at[o.id] != epoch)
        return false;
    for (uint32_t i = 0; i < d->nout; i++)
        if (ir_vtype(f, ir_out(f, o, i)).id != d->types[i].id)
            return false;
    for (uint32_t i = 0; i < d->nin; i++)
        if (f->pool.at[p->in + i] != d->in[i].id)
            return false;
    for (uint32_t i = 0; i < d->nattr; i++)
        if (f->pool.at[p->attrs + 2 * i] != (uint32_t)d->attrs[i].key ||
            f->pool.at[p->attrs + 2 * i + 1] != d->attrs[i].val.id)
            return false;
    return true;
}

/* the entries stand in `order` with their hashes, so growing and undoing need no look at the ops */
static void cse_put(struct ir_cse *c, uint64_t hash, uint32_t op)
{
    uint32_t i = (uint32_t)hash & (c->cap - 1);
    while (c->slots[i])
        i = (i + 1) & (c->cap - 1);
    c->slots[i] = op;
}

static void cse_enter(ir_builder *b, uint64_t hash, uint32_t op)
{
    struct ir_cse *c = b->cse;
    if ((c->order.n + 1) * 2 > c->cap) {
        c->cap *= 2;
        c->slots = ARENA_ARRAY(b->a, uint32_t, c->cap);
        for (uint32_t i = 0; i < c->order.n; i++)
            cse_put(c, c->order.at[i].hash, c->order.at[i].op);
    }
    cse_put(c, hash, op);
    vec_push(b->a, &c->order, ((struct cse_entry){hash, op}));
}

/* entries go in the reverse order of their coming, which gives linear probing its earlier state back */
static void cse_undo(struct ir_cse *c, uint32_t to)
{
    while (c->order.n > to) {
        struct cse_entry e = vec_pop(&c->order);
        uint32_t i = (uint32_t)e.hash & (c->cap - 1);
        while (c->slots[i] != e.op)
            i = (i + 1) & (c->cap - 1);
        c->slots[i] = 0;
    }
}

static ir_op cse_find(const ir_builder *b, const ir_desc *d, uint64_t hash, uint32_t epoch)
{
    const struct ir_cse *c = b->cse;
    for (uint32_t i = (uint32_t)hash & (c->cap - 1); c->slots[i]; i = (i + 1) & (c->cap - 1))
        if (same_as_op(b, (ir_op){c->slots[i]}, d, epoch))
            return (ir_op){c->slots[i]};
    return (ir_op){0};
}

void ir_push(ir_builder *b, ir_region r)
{
    vec_push(b->a, &b->stack, r);
    vec_push(b->a, &b->cse->scopes, b->cse->order.n);
    b->cse->epoch++;
}

void ir_pop(ir_builder *b)
{
    if (!b->stack.n)
        bug("ir_pop on an empty stack");
    b->stack.n--;
    cse_undo(b->cse, vec_pop(&b->cse->scopes));
    b->cse->epoch++;
}

/* ---- appending ---- */
static uint32_t pool_room(ir_func *f, uint32_t n)
{
    uint32_t at = f->pool.n;
    vec_reserve(f->a, &f->pool, at + n);
    f->pool.n += n;
    return at;
}

static void link_op(ir_builder *b, ir_op o)
{
    ir_func *f = b->f;
    ir_region r = vec_last(&b->stack);
    ir_region_data *rd = &f->regions.at[r.id];
    f->ops.at[o.id].parent = r;
    f->ops.at[o.id].prev = rd->last;
    if (rd->last.id)
        f->ops.at[rd->last.id].next = o;
    else
        rd->first = o;
    rd->last = o;
}

static ir_op append(ir_builder *b, const ir_desc *d, ir_val *out)
{
    ir_func *f = b->f;
    ir_op o = {f->ops.n};
    ir_op_data p = {.code = (uint16_t)d->code,
                    .nattr = (uint16_t)d->nattr,
                    .nin = d->nin,
                    .nout = d->nout,
                    .nregions = d->nregions,
                    .loc = b->loc};
    uint32_t at = pool_room(f, d->nin + d->nout + 2 * d->nattr + d->nregions);
    p.in = at;
    p.out = p.in + d->nin;
    p.attrs = p.out + d->nout;
    p.regions = p.attrs + 2 * d->nattr;
    p.origin = b->origin ? b->origin : f->next_origin++;
    vec_push(f->a, &f->ops, p);
    for (uint32_t i = 0; i < d->nin; i++)
        f->pool.at[p.in + i] = d->in[i].id;
    for (uint32_t i = 0; i < d->nattr; i++) {
        f->pool.at[p.attrs + 2 * i] = (uint32_t)d->attrs[i].key;
        f->pool.at[p.attrs + 2 * i + 1] = d->attrs[i].val.id;
    }
    for (uint32_t i = 0; i < d->nregions; i++) {
        f->pool.at[p.regions + i] = d->regions[i].id;
        f->regions.at[d->regions[i].id].owner = o;
    }
    for (uint32_t i = 0; i < d->nout; i++) {
        vec_push(f->a, &f->vals, ((ir_val_data){.type = d->types[i], .def = o, .index = i}));
        f->pool.at[p.out + i] = f->vals.n - 1;
        if (out)
            out[i] = (ir_val){f->vals.n - 1};
    }
    link_op(b, o);
    return o;
}

ir_op ir_emit(ir_builder *b, const ir_desc *d, ir_val *out)
{
    const ir_op_info *info = &ir_ops[d->code];
    if (!b->fold)
        return append(b, d, out);
    if (ir_fold(b, d, out))
        return (ir_op){0};
    if (!cse_able(d)) {
        ir_op o = append(b, d, out);
        if ((info->flags & (WRITE | SYNC | CTRL)) || d->nregions)
            b->cse->epoch++;
        return o;
    }
    uint32_t epoch = info->flags & READ ? b->cse->epoch : 0;
    uint64_t hash = desc_hash(d, epoch);
    ir_op o = cse_find(b, d, hash, epoch);
    if (o.id) {
        for (uint32_t i = 0; out && i < d->nout; i++)
            out[i] = ir_out(b->f, o, i);
        return (ir_op){0};
    }
    o = append(b, d, out);
    vec_reserve(b->a, &b->cse->epochs, o.id + 1);
    b->cse->epochs.n = o.id + 1;
    b->cse->epochs.at[o.id] = epoch;
    cse_enter(b, hash, o.id);
    return o;
}

/* ---- shorthands ---- */
ir_val ir_emit1(ir_builder *b, ir_code code, ir_type t, const ir_val *in, uint32_t nin)
{
    ir_val out = {0};
    ir_emit(b, &(ir_desc){.code = code, .in = in, .nin = nin, .types = &t, .nout = 1}, &out);
    return out;
}

ir_val ir_emit1a(ir_builder *b, ir_code code, ir_type t, const ir_val *in, uint32_t nin, ir_key key, ir_attr val)
{
    ir_val out = {0};
    ir_attr_pair p = {key, val};
    ir_emit(b, &(ir_desc){.code = code, .in = in, .nin = nin, .types = &t, .nout = 1, .attrs = &p, .nattr = 1}, &out);
    return out;
}

void ir_emit0(ir_builder *b, ir_code code, const ir_val *in, uint32_t nin)
{
    ir_emit(b, &(ir_desc){.code = code, .in = in, .nin = nin}, NULL);
}

void ir_yield(ir_builder *b, const ir_val *v, uint32_t n)
{
    ir_emit0(b, IR_OP_yield, v, n);
}

void ir_return(ir_builder *b, const ir_val *v, uint32_t n)
{
    ir_emit0(b, IR_OP_return, v, n);
}

ir_val ir_const_bits(ir_builder *b, ir_type t, uint64_t bits)
{
    return ir_emit1a(b, IR_OP_const, t, NULL, 0, KEY_bits, ir_attr_int(b->m, (int64_t)bits));
}

ir_val ir_const_i(ir_builder *b, ir_type t, int64_t x)
{
    dtype d = ir_type_dt(b->m, t);
    return ir_const_bits(b, t, dt_is_any_float(d) ? dt_cast(DT_I64, d, (uint64_t)x, false) : dt_wrap(d, (uint64_t)x));
}

ir_val ir_const_f(ir_builder *b, ir_type t, double x)
{
    return ir_const_bits(b, t, dt_from_double(ir_type_dt(b->m, t), x, false));
}

ir_val ir_bin(ir_builder *b, ir_code code, ir_val x, ir_val y)
{
    return ir_emit1(b, code, ir_vtype(b->f, x), (ir_val[]){x, y}, 2);
}

ir_val ir_un(ir_builder *b, ir_code code, ir_val x)
{
    return ir_emit1(b, code, ir_vtype(b->f, x), &x, 1);
}

ir_val ir_cmp(ir_builder *b, ir_code code, ir_val x, ir_val y)
{
    return ir_emit1(b, code, ir_type_with_dt(b->m, ir_vtype(b->f, x), DT_BOOL), (ir_val[]){x, y}, 2);
}

ir_val ir_select(ir_builder *b, ir_val c, ir_val x, ir_val y)
{
    return ir_emit1(b, IR_OP_select, ir_vtype(b->f, x), (ir_val[]){c, x, y}, 3);
}

ir_val ir_cast(ir_builder *b, ir_val x, dtype to)
{
    ir_type t = ir_vtype(b->f, x);
    if (ir_type_dt(b->m, t) == to)
        return x;
    return ir_emit1(b, IR_OP_cast, ir_type_with_dt(b->m, t, to), &x, 1);
}

static bool shape_is(const ir_module *m, ir_type t, int rank, const int64_t *shape)
{
    const ir_type_info *i = ir_type_of(m, t);
    int r = ir_type_rank(m, t);
    return r == rank && (r == 0 || memcmp(i->shape, shape, sizeof *shape * (size_t)r) == 0);
}

ir_val ir_splat(ir_builder *b, ir_val s, int rank, const int64_t *shape)
{
    ir_type t = ir_vtype(b->f, s);
    return rank == 0 ? s : ir_emit1(b, IR_OP_splat, ir_type_tile(b->m, t, rank, shape), &s, 1);
}

ir_val ir_reshape(ir_builder *b, ir_val x, int rank, const int64_t *shape)
{
    ir_type t = ir_vtype(b->f, x);
    if (shape_is(b->m, t, rank, shape))
        return x;
    if (ir_type_rank(b->m, t) == 0)
        return ir_splat(b, x, rank, shape);
    return ir_emit1(b, IR_OP_reshape, ir_type_with_shape(b->m, t, rank, shape), &x, 1);
}

ir_val ir_broadcast(ir_builder *b, ir_val x, int rank, const int64_t *shape)
{
    ir_type t = ir_vtype(b->f, x);
    int have = ir_type_rank(b->m, t);
    if (have == 0)
        return ir_splat(b, x, rank, shape);
    if (have < rank) {
        int64_t wide[IR_MAX_RANK];
        const ir_type_info *i = ir_type_of(b->m, t);
        for (int d = 0; d < rank; d++)
            wide[d] = d < rank - have ? 1 : i->shape[d - (rank - have)];
        x = ir_reshape(b, x, rank, wide);
        t = ir_vtype(b->f, x);
    }
    if (shape_is(b->m, t, rank, shape))
        return x;
    return ir_emit1(b, IR_OP_broadcast, ir_type_with_shape(b->m, t, rank, shape), &x, 1);
}

ir_val ir_ptr_add(ir_builder *b, ir_val p, ir_val off)
{
    return ir_emit1(b, IR_OP_ptr_add, ir_vtype(b->f, p), (ir_val[]){p, off}, 2);
}

/* ---- constants seen through shape ops ---- */
bool ir_const_of(const ir_func *f, ir_val v, uint64_t *bits)
{
    for (;;) {
        ir_op o = ir_def(f, v);
        if (!o.id)
            return false;
        switch ((int)ir_op_code(f, o)) {
        case IR_OP_const:
            *bits = (uint64_t)ir_int(f, o, KEY_bits, 0);
            return true;
        case IR_OP_splat:
        case IR_OP_broadcast:
        case IR_OP_reshape:
        case IR_OP_permute:
        case IR_OP_slice:
            v = ir_in(f, o, 0);
            break;
        default:
            return false;
        }
    }
}

bool ir_const_int_of(const ir_func *f, ir_val v, int64_t *x)
{
    uint64_t bits;
    dtype d = ir_type_dt(f->m, ir_vtype(f, v));
    if (d == DT_NONE || dt_is_any_float(d) || !ir_const_of(f, v, &bits))
        return false;
    *x = dt_int(d, bits);
    return true;
}
