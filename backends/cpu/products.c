/* products.c: sums of products of bytes, a lane a sum (bytes.c says which).
 *
 *   s[.., j] = sum over e of a[.., j, e] * b[.., j, e]          e: E bytes, a block; lanes: blocks j .. j + W - 1
 *
 * A vector of V bytes holds V / E blocks side by side (or a part of one). Each block comes by a load of its own where
 * the blocks of a row lie at a distance, a number of them by one load where they touch: never by a gather. Elementwise
 * ops of the operands work on such vectors. Then
 *
 *   u8 * i8     vpdpbusd, or vpmaddubsw + vpmaddwd where the unsigned side has 7 bits
 *   i8 * i8     likewise with 128 added to one side; the sum starts from -128 times that of the other, which the rows
 * of a nest share else        16-bit products by vpmaddwd, or plain arithmetic
 *
 * and the partial sums of 4 bytes are added pairwise across vectors until each lane holds one block: about one and a
 * half instructions a block.
 */
#include "backends/cpu/cpu.h"

#include <string.h>

#define MAX_GROUPS 64
#define CHEAP 2 /* loads of a vector that are sooner done again for the next row than kept in a register, and spilled */

typedef struct blocks {
    nest *n;
    int64_t extent; /* E */
    int width;      /* V */
    int per;        /* blocks in a vector, 1 where a block has several parts */
    int parts;      /* vectors of a block */
    int group;      /* the vector at hand: blocks group / parts * per .., part group % parts */
} blocks;

/* an index of a value with the last dimension being the block's: its elements from `from` on */
typedef struct place {
    coords at;
    int64_t from;
} place;

static const ir_type_info *type_of(const blocks *b, ir_val v)
{
    return ir_type_of(b->n->k->f->m, ir_vtype(b->n->k->f, v));
}

static int lanes_of(const blocks *b)
{
    return b->per * (int)(b->extent / b->parts);
}

static int first_block(const blocks *b)
{
    return b->group / b->parts * b->per;
}

static lval bytes_at(blocks *b, ir_val v, const place *at);

/* ---- the same along a block ---- */
static lval repeated(blocks *b, ir_val v, const place *at)
{
    nest *n = b->n;
    cg *c = n->k->c;
    int each = (int)(b->extent / b->parts), order[256];
    coords own = at->at;
    lv x = ev(n, v, coords_id(n, &own));
    if (x.form == LV_UNI) {
        nest_enter(n, n->inner);
        return cg_splat(c, x.v, lanes_of(b));
    }
    lval y = lv_vec(n, x);
    nest_enter(n, n->inner);
    if (n->lanes == 1)
        return cg_splat(c, y, lanes_of(b));
    for (int i = 0; i < lanes_of(b); i++)
        order[i] = (first_block(b) + i / each) % n->lanes;
    return cg_shuffle(c, y, LLVMGetPoison(LLVMTypeOf(y)), order, lanes_of(b));
}

/* ---- memory ---- */
static lval joined(cg *c, lval *x, int n)
{
    for (; n > 1; n /= 2)
        for (int i = 0; i < n / 2; i++) {
            int lanes = cg_lanes(x[2 * i]), order[256];
            for (int q = 0; q < 2 * lanes; q++)
                order[q] = q;
            x[i] = cg_shuffle(c, x[2 * i], x[2 * i + 1], order, 2 * lanes);
        }
    return x[0];
}

/* blocks of few bytes at a small distance, in two vectors that are read whole: a permutation of both; NULL = too far */
static lval near_rows(blocks *b, lty mem, lval first, int64_t step, int64_t bytes)
{
    cg *c = b->n->k->c;
    int64_t size = step % 4 == 0 ? 4 : step % 2 == 0 ? 2 : 1, reach = (b->per - 1) * step + bytes;
    int lanes = (int)(b->width / size), order[64];
    if (b->width < 64 || step < bytes || reach > 2 * b->width || reach < b->width || bytes % size ||
        b->per * bytes != b->width || !cg_has(c, size == 1 ? "+avx512vbmi" : "+avx512bw"))
        return NULL;
    int64_t last = (reach - b->width) / size; /* the second vector's first element */
    if ((reach - b->width) % size)
        return NULL;
    for (int i = 0; i < lanes; i++) {
        int64_t at = (i * size / bytes * step + i * size % bytes) / size;
        order[i] = (int)(at < lanes ? at : at - last + lanes);
    }
    lty t = cg_vec(LLVMIntTypeInContext(c->cx, (unsigned)size * 8), lanes);
    lval x = cg_load(c, t, first, 1), y = cg_load(c, t, cg_gep(c, c->i8, first, cg_i64(c, last * size)), 1);
    return cg_bits(c, cg_shuffle(c, x, y, order, lanes), cg_vec(mem, lanes_of(b)));
}

/* from an address that rises by `step` bytes a block; on: of each lane, NULL = all */
static lval from_rows(blocks *b, lty mem, lv p, int64_t size, lval on)
{
    nest *n = b->n;
    cg *c = n->k->c;
    int each = (int)(b->extent / b->parts);
    int64_t within_block = b->group % b->parts * each * size;
    lval x[64], first = p.form == LV_LIN ? lane_index(n, p) : p.v;
    int64_t step = p.form == LV_LIN ? p.k : 0;
    if (!on && p.form == LV_LIN && step == b->extent * size)
        return cg_load(c, cg_vec(mem, lanes_of(b)),
                       cg_gep(c, c->i8, first, cg_i64(c, first_block(b) * step + within_block)), (unsigned)size);
    if (!on && p.form == LV_LIN && b->per >= 4) {
        lval near = near_rows(b, mem, cg_gep(c, c->i8, first, cg_i64(c, first_block(b) * step)), step, each * size);
        if (near)
            return near;
    }
    for (int i = 0; i < b->per; i++) {
        int block = (first_block(b) + i) % n->lanes;
        lval at = p.form == LV_VEC ? cg_extract(c, p.v, block) : cg_gep(c, c->i8, first, cg_i64(c, block * step));
        at = mem_or_zeros(n->k, at, on ? cg_extract(c, on, block) : NULL);
        x[i] = cg_load(c, cg_vec(mem, each), cg_gep(c, c->i8, at, cg_i64(c, within_block)), (unsigned)size);
    }
    return joined(c, x, b->per);
}

static lval from_buffer(blocks *b, ir_val v, const place *at)
{
    nest *n = b->n;
    kern *k = n->k;
    const ir_type_info *t = type_of(b, v);
    int64_t shape[IR_MAX_RANK], size = plan_elem_bytes(k->f, ir_vtype(k->f, v));
    coords own = at->at;
    memcpy(shape, t->shape, sizeof shape);
    own.at[own.rank - 1] = lv_const(n, at->from);
    lv lin = linear_index(n, &own, shape);
    lval base = buffer_address(k, k->p->v[v.id].buffer);
    lty mem = cg_mem(k->c, t->dt);
    if (lin.form == LV_VEC) {
        nest_enter(n, n->inner);
        lin.v = cg_gep(k->c, mem, base, lin.v);
    } else {
        nest_enter(n, n->inner);
        base = buffer_address(k, k->p->v[v.id].buffer);
        lin.v = cg_gep(k->c, mem, base, lin.v);
        lin.k *= size;
    }
    nest_enter(n, n->inner);
    lval x = from_rows(b, mem, lin, size, NULL);
    nest_leave(n, n->inner);
    return from_memory(k->c, x, t->dt);
}

/* a mask that differs within a block: a masked load a block */
static lval masked_rows(blocks *b, ir_op o, lty mem, lv p, int64_t size, const place *at)
{
    nest *n = b->n;
    cg *c = n->k->c;
    int each = (int)(b->extent / b->parts), order[256];
    lval mask = bytes_at(b, ir_in(n->k->f, o, 1), at), x[64];
    nest_enter(n, n->inner);
    lty types[] = {cg_vec(mem, each), c->ptr};
    for (int i = 0; i < b->per; i++) {
        int block = (first_block(b) + i) % n->lanes;
        for (int q = 0; q < each; q++)
            order[q] = i * each + q;
        lval bits = cg_shuffle(c, mask, LLVMGetPoison(LLVMTypeOf(mask)), order, each);
        if (n->hole)
            bits = LLVMBuildAnd(c->b, bits, cg_splat(c, cg_extract(c, n->hole, block), each), "");
        lval q = p.form == LV_VEC   ? cg_extract(c, p.v, block)
                 : p.form == LV_LIN ? cg_gep(c, c->i8, lane_index(n, p), cg_i64(c, block * p.k))
                                    : p.v;
        q = cg_gep(c, c->i8, q, cg_i64(c, b->group % b->parts * each * size));
        x[i] = cg_call(c, CGI_masked_load, types, 2, (lval[]){q, bits, LLVMConstNull(types[0])}, 3);
        LLVMAddCallSiteAttribute(
            x[i], 1, LLVMCreateEnumAttribute(c->cx, LLVMGetEnumAttributeKindForName("align", 5), (unsigned)size));
    }
    return joined(c, x, b->per);
}

static lval loaded(blocks *b, ir_op o, const place *at)
{
    nest *n = b->n;
    kern *k = n->k;
    const ir_func *f = k->f;
    ir_val v = ir_out(f, o, 0);
    const ir_type_info *t = type_of(b, v);
    int last = t->rank - 1;
    int64_t size = plan_elem_bytes(f, ir_vtype(f, v));
    lty mem = cg_mem(k->c, t->dt);
    coords own = at->at;
    own.at[last] = lv_const(n, at->from);
    uint32_t id = coords_id(n, &own);
    lv p = ev(n, ir_in(f, o, 0), id);
    bool flat = ir_nin(f, o) < 2 || plan_all_true(k->p, ir_in(f, o, 1), last);
    lval on = flat ? mem_mask(n, o, 1, id) : NULL;
    nest_enter(n, n->inner);
    cg_debug_loc(k->c, f->m, ir_o(f, o)->loc);
    lval x = flat ? from_rows(b, mem, p, size, on) : masked_rows(b, o, mem, p, size, at);
    if (p.form == LV_LIN && flat)
        note_stream(n, o, p, x);
    x = from_memory(k->c, x, t->dt);
    nest_leave(n, n->inner);
    if (ir_nin(f, o) < 3)
        return x;
    lval mask = bytes_at(b, ir_in(f, o, 1), at), other = bytes_at(b, ir_in(f, o, 2), at);
    return cg_sel(k->c, mask, x, other);
}

/* ---- elementwise ---- */
static lval computed(blocks *b, ir_op o, const place *at)
{
    const ir_func *f = b->n->k->f;
    ir_code code = ir_op_code(f, o);
    lval in[4];
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        in[i] = bytes_at(b, ir_in(f, o, i), at);
    nest_enter(b->n, b->n->inner);
    cg_elt_op e = {.code = code,
                   .from = ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, code == IR_OP_select ? 1 : 0))),
                   .to = ir_type_dt(f->m, ir_vtype(f, ir_out(f, o, 0))),
                   .nan = ir_int(f, o, KEY_nan, 0) != 0,
                   .rtz = ir_int(f, o, KEY_rtz, 0) != 0,
                   .lanes = lanes_of(b)};
    lval x = cg_elt(b->n->k->c, &e, in);
    nest_leave(b->n, b->n->inner);
    return x;
}

static lval ramp(blocks *b, ir_op o, const place *at)
{
    cg *c = b->n->k->c;
    const ir_func *f = b->n->k->f;
    int each = (int)(b->extent / b->parts);
    int64_t start = ir_int(f, o, KEY_start, 0) + at->from + b->group % b->parts * each;
    lty t = cg_num(c, ir_type_dt(f->m, ir_vtype(f, ir_out(f, o, 0))));
    lval x[256];
    for (int i = 0; i < lanes_of(b); i++)
        x[i] = LLVMConstInt(t, (uint64_t)(start + i % each), true);
    return LLVMConstVector(x, (unsigned)lanes_of(b));
}

/* the operand's index behind a view's */
static place behind(blocks *b, ir_op o, ir_val v, const place *at)
{
    const ir_func *f = b->n->k->f;
    const ir_type_info *s = type_of(b, ir_in(f, o, 0)), *t = type_of(b, v);
    place r = *at;
    uint32_t len;
    switch (ir_op_code(f, o)) {
    case IR_OP_broadcast:
        for (int d = 0; d < s->rank; d++)
            if (s->shape[d] == 1)
                r.at.at[d] = lv_const(b->n, 0);
        break;
    case IR_OP_slice: {
        const int64_t *starts = ir_ints(f, o, KEY_starts, &len);
        for (int d = 0; d < s->rank - 1; d++)
            if (starts[d])
                r.at.at[d] = lv_add(b->n, at->at.at[d], lv_const(b->n, starts[d]));
        r.from += starts[s->rank - 1];
        break;
    }
    case IR_OP_reshape:
        r.at.rank = s->rank;
        for (int d = 0; d < s->rank; d++)
            r.at.at[d] = lv_const(b->n, 0);
        for (int d = 0; d < t->rank; d++) {
            int from;
            if (plan_reshaped_dim(s, t, d, &from) && from >= 0)
                r.at.at[from] = at->at.at[d];
        }
        break;
    default:
        break;
    }
    return r;
}

static lval made(blocks *b, ir_val v, const place *at)
{
    kern *k = b->n->k;
    const ir_func *f = k->f;
    const plan_val *x = &k->p->v[v.id];
    const ir_type_info *t = type_of(b, v);
    if (t->kind != TK_TILE || t->rank == 0 || t->shape[t->rank - 1] == 1)
        return repeated(b, v, at);
    if (x->cls == VC_DATA || x->cls == VC_CARRIED)
        return from_buffer(b, v, at);
    ir_op o = ir_def(f, v);
    switch (ir_op_code(f, o)) {
    case IR_OP_const:
        return cg_const(k->c, t->dt, (uint64_t)ir_int(f, o, KEY_bits, 0), lanes_of(b));
    case IR_OP_undef:
        return LLVMConstNull(cg_vec(cg_num(k->c, t->dt), lanes_of(b)));
    case IR_OP_splat: {
        lval s = ev_scalar(k, ir_in(f, o, 0));
        nest_enter(b->n, b->n->inner);
        s = cg_splat(k->c, s, lanes_of(b));
        nest_leave(b->n, b->n->inner);
        return s;
    }
    case IR_OP_arange:
        return ramp(b, o, at);
    case IR_OP_load:
        return loaded(b, o, at);
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_slice:
    case IR_OP_hint: {
        if (ir_type_rank(f->m, ir_vtype(f, ir_in(f, o, 0))) == 0)
            return repeated(b, v, at);
        place p = behind(b, o, v, at);
        return bytes_at(b, ir_in(f, o, 0), &p);
    }
    default:
        return computed(b, o, at);
    }
}

static lval bytes_at(blocks *b, ir_val v, const place *at)
{
    nest *n = b->n;
    coords own = at->at;
    if (own.rank)
        own.at[own.rank - 1] = lv_const(n, at->from);
    uint64_t key = (uint64_t)v.id << 32 | (uint64_t)coords_id(n, &own) << 8 | (uint64_t)b->group;
    uint32_t id;
    map64 *known = b->per > CHEAP ? &n->shared : &n->wide;
    if (map_get(known, key, &id))
        return n->wides.at[id];
    lval x = made(b, v, at);
    vec_push(n->k->a, &n->wides, x);
    map_set(known, key, n->wides.n - 1);
    return x;
}

/* ---- products ---- */
typedef struct side {
    ir_val v; /* the bytes; 0: ones */
    place at;
    dtype dt;
    int64_t low, high; /* its values lie within */
} side;

typedef struct range {
    int64_t low, high;
} range;

static range of_type(dtype d)
{
    return d == DT_U8 ? (range){0, 255} : d == DT_I8 ? (range){-128, 127} : (range){INT32_MIN, UINT32_MAX};
}

static bool within(range r, range of)
{
    return r.low >= of.low && r.high <= of.high;
}

static range range_of_value(const ir_func *f, ir_val v, int depth);

static range range_of_op(const ir_func *f, ir_op o, range all, int depth)
{
    range x = range_of_value(f, ir_in(f, o, 0), depth), y = {0, 0};
    int64_t k = 0;
    if (ir_nin(f, o) > 1)
        y = range_of_value(f, ir_in(f, o, 1), depth);
    bool by_const = ir_nin(f, o) > 1 && plan_const_int(f, ir_in(f, o, 1), &k);
    switch (ir_op_code(f, o)) {
    case IR_OP_and:
        if (x.low >= 0 && y.low >= 0)
            return (range){0, x.high < y.high ? x.high : y.high};
        return x.low >= 0 ? (range){0, x.high} : y.low >= 0 ? (range){0, y.high} : all;
    case IR_OP_or:
        if (x.low >= 0 && y.low >= 0) {
            int64_t top = x.high > y.high ? x.high : y.high, bits = 1;
            while (bits <= top)
                bits *= 2;
            return (range){0, bits - 1};
        }
        return all;
    case IR_OP_shr:
        return by_const && k >= 0 && k < 32 ? (range){x.low >> k, x.high >> k} : all;
    case IR_OP_shl:
        return by_const && k >= 0 && k < 8 ? (range){x.low * ((int64_t)1 << k), x.high * ((int64_t)1 << k)} : all;
    case IR_OP_add:
        return (range){x.low + y.low, x.high + y.high};
    case IR_OP_sub:
        return (range){x.low - y.high, x.high - y.low};
    case IR_OP_cast:
    case IR_OP_bitcast:
        return x;
    default:
        return all;
    }
}

static range range_of_value(const ir_func *f, ir_val v, int depth)
{
    dtype d = ir_type_dt(f->m, ir_vtype(f, v));
    range all = of_type(d), r = all;
    ir_op o = ir_def(f, v);
    int64_t k;
    if (!dt_is_int(d) || depth > 12 || !o.id)
        return all;
    if (plan_const_int(f, v, &k))
        return (range){k, k};
    switch (ir_op_code(f, o)) {
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_slice:
    case IR_OP_hint:
        r = range_of_value(f, ir_in(f, o, 0), depth + 1);
        break;
    default:
        if ((ir_info(f, o)->flags & ELT) && !(ir_info(f, o)->flags & READ) &&
            dt_is_int(ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, 0)))))
            r = range_of_op(f, o, all, depth + 1);
        break;
    }
    return within(r, all) ? r : all; /* what might wrap is anything */
}

/* the bytes below a product's operand */
static side side_of(blocks *b, ir_val v, const place *at)
{
    const ir_func *f = b->n->k->f;
    side s = {.at = *at};
    ir_op o = ir_def(f, v);
    while (ir_op_code(f, o) != IR_OP_cast) {
        s.at = behind(b, o, v, &s.at);
        v = ir_in(f, o, 0);
        o = ir_def(f, v);
    }
    s.v = ir_in(f, o, 0);
    s.dt = ir_type_dt(f->m, ir_vtype(f, s.v));
    range r = range_of_value(f, s.v, 0);
    s.low = r.low;
    s.high = r.high;
    return s;
}

static int64_t most_of(const side *s)
{
    return -s->low > s->high ? -s->low : s->high;
}

static lval side_value(blocks *b, const side *s)
{
    cg *c = b->n->k->c;
    if (!s->v.id) {
        nest_enter(b->n, b->n->inner);
        return cg_int(cg_vec(c->i8, b->width), 1);
    }
    lval x = bytes_at(b, s->v, &s->at);
    int lanes = lanes_of(b), order[64];
    nest_enter(b->n, b->n->inner);
    if (lanes == b->width)
        return x;
    for (int i = 0; i < b->width; i++)
        order[i] = i < lanes ? i : lanes;
    return cg_shuffle(c, x, LLVMConstNull(LLVMTypeOf(x)), order, b->width);
}

/* pairs of products of 16-bit values */
static lval madd16(cg *c, lval x, lval y)
{
    int lanes = cg_lanes(x);
    cg_intrin id = lanes == 32 ? CGI_madd16_512 : lanes == 16 ? CGI_madd16_256 : CGI_madd16_128;
    return cg_call(c, id, NULL, 0, (lval[]){x, y}, 2);
}

static lval widened(cg *c, lval x, dtype d, lty to)
{
    return d == DT_U8 ? LLVMBuildZExt(c->b, x, to, "") : LLVMBuildSExt(c->b, x, to, "");
}

/* the same on aarch64: 16-bit products, exact, added in pairs twice */
static lval pairwise(cg *c, lval x, lval y, dtype dx, dtype dy)
{
    lty wide = cg_vec(c->i16, 8), pairs[] = {cg_vec(c->i32, 4), wide};
    bool both = dx == DT_U8 && dy == DT_U8;
    lval parts[2];
    for (int p = 0; p < 2; p++) {
        int order[8];
        for (int i = 0; i < 8; i++)
            order[i] = 8 * p + i;
        lval poison = LLVMGetPoison(LLVMTypeOf(x));
        lval q = LLVMBuildMul(c->b, widened(c, cg_shuffle(c, x, poison, order, 8), dx, wide),
                              widened(c, cg_shuffle(c, y, poison, order, 8), dy, wide), "");
        parts[p] = cg_call(c, both ? CGI_uaddlp : CGI_saddlp, pairs, 2, &q, 1);
    }
    return cg_call(c, CGI_addp, pairs, 1, parts, 2);
}

/* sums of 4 products each, whatever the bytes are */
static lval by_widening(blocks *b, lval sum, const side *s, const side *t)
{
    cg *c = b->n->k->c;
    lval x = side_value(b, s), y = side_value(b, t);
    int order[64], half = b->width / 2;
    if (!cg_x86(c) && b->width == 16)
        return LLVMBuildAdd(c->b, sum, pairwise(c, x, y, s->dt, t->dt), "");
    if (cg_x86(c)) {
        lval parts[2];
        lty wide = cg_vec(c->i16, half);
        for (int p = 0; p < 2; p++) { /* the even and the odd pairs of bytes */
            for (int i = 0; i < half; i++)
                order[i] = i / 2 * 4 + i % 2 + 2 * p;
            lval poison = LLVMGetPoison(LLVMTypeOf(x));
            parts[p] = madd16(c, widened(c, cg_shuffle(c, x, poison, order, half), s->dt, wide),
                              widened(c, cg_shuffle(c, y, poison, order, half), t->dt, wide));
        }
        return LLVMBuildAdd(c->b, sum, LLVMBuildAdd(c->b, parts[0], parts[1], ""), "");
    }
    bug("vectors of %d bytes", b->width);
}

/* four products a lane: sum + u8 * i8; on aarch64 both signed, or both unsigned */
static lval dot4(blocks *b, lval sum, lval u, lval s, bool is_unsigned)
{
    cg *c = b->n->k->c;
    lty types[] = {LLVMTypeOf(sum), LLVMTypeOf(u)};
    if (b->width == 64)
        return cg_call(c, CGI_dpbusd_512, NULL, 0, (lval[]){sum, u, s}, 3);
    if (b->width == 32)
        return cg_call(c, CGI_dpbusd_256, NULL, 0, (lval[]){sum, u, s}, 3);
    return cg_call(c, is_unsigned ? CGI_udot : CGI_sdot, types, 2, (lval[]){sum, u, s}, 3);
}

static bool has_dot4(const blocks *b)
{
    const cg *c = b->n->k->c;
    if (b->width == 16)
        return cg_has(c, "+dotprod");
    return b->width == 64 ? cg_has(c, "+avx512vnni") : cg_has(c, "+avxvnni");
}

/* -128 times the sums of four of t's bytes, once for all rows; 128 times where both sides are signed */
static lval bias(blocks *b, const side *t)
{
    nest *n = b->n;
    cg *c = n->k->c;
    coords own = t->at.at;
    own.at[own.rank - 1] = lv_const(n, t->at.from);
    uint64_t key = (uint64_t)t->v.id << 32 | (uint64_t)coords_id(n, &own) << 8 | 0x80 | (uint64_t)b->group;
    uint32_t id;
    if (map_get(&n->shared, key, &id))
        return n->wides.at[id];
    lval y = side_value(b, t), zero = LLVMConstNull(cg_vec(c->i32, b->width / 4));
    lval x = LLVMBuildSub(c->b, zero, dot4(b, zero, cg_int(LLVMTypeOf(y), -128), y, false), "");
    vec_push(n->k->a, &n->wides, x);
    map_set(&n->shared, key, n->wides.n - 1);
    nest_leave(n, n->inner);
    return x;
}

static bool is_plain_zero(lval x)
{
    return LLVMIsConstant(x) && LLVMIsNull(x);
}

/* sum + the products of this vector's bytes */
static lval multiplied(blocks *b, lval sum, side s, side t)
{
    cg *c = b->n->k->c;
    if ((t.low >= 0 && t.high > 127) || (t.low >= 0 && s.low < 0)) { /* the unsigned side first */
        side x = s;
        s = t;
        t = x;
    }
    bool signed_fits = t.low >= -128 && t.high <= 127, x86 = cg_x86(c);
    if (!x86 && has_dot4(b) && s.low >= 0 && t.low >= 0)
        return dot4(b, sum, side_value(b, &s), side_value(b, &t), true);
    if (!signed_fits)
        return by_widening(b, sum, &s, &t);
    if (has_dot4(b)) {
        if (x86 ? s.low >= 0 : s.high <= 127)
            return dot4(b, sum, side_value(b, &s), side_value(b, &t), false);
        lval from = bias(b, &t);
        lval x = LLVMBuildAdd(c->b, side_value(b, &s), cg_int(cg_vec(c->i8, b->width), -128), "");
        nest_enter(b->n, b->n->inner);
        from = is_plain_zero(sum) ? from : LLVMBuildAdd(c->b, sum, from, "");
        return dot4(b, from, x, side_value(b, &t), false);
    }
    if (b->width >= 32 && s.low >= 0 && s.high <= 127) { /* two products fit 16 bits */
        lval u = side_value(b, &s), v = side_value(b, &t);
        lval p = cg_call(c, b->width == 64 ? CGI_maddubs_512 : CGI_maddubs_256, NULL, 0, (lval[]){u, v}, 2);
        return LLVMBuildAdd(c->b, sum, madd16(c, p, cg_int(LLVMTypeOf(p), 1)), "");
    }
    return by_widening(b, sum, &s, &t);
}

/* ---- across ---- */
typedef struct sums {
    lval v[MAX_GROUPS];
    int block[MAX_GROUPS][16]; /* that each lane holds a part of */
    int n, width;              /* vectors; lanes of one */
    int64_t most;              /* a lane's magnitude at most */
} sums;

/* fold within 128 bits, of sums that fit 16: one shuffle, not two, and the addition is a product by ones */
static lval fold_narrow(cg *c, lval x, lval y)
{
    lval both = cg_call(c, CGI_packssdw_512, NULL, 0, (lval[]){x, y}, 2);
    return madd16(c, both, cg_int(LLVMTypeOf(both), 1));
}

/* neighbours added, of two vectors into one: within 128 bits, or whole 128 bits */
static void fold(cg *c, sums *s, bool within_lane)
{
    int even[16], odd[16], w = s->width, quads = w / 4;
    for (int i = 0; i < w; i++) {
        if (within_lane) {
            int src = i % 4 / 2 * w + i / 4 * 4 + i % 2 * 2;
            even[i] = src;
            odd[i] = src + 1;
        } else {
            int q = 2 * (i / 4), src = q < quads ? q * 4 : w + (q - quads) * 4;
            even[i] = src + i % 4;
            odd[i] = src + 4 + i % 4;
        }
    }
    for (int i = 0; i < (s->n + 1) / 2; i++) {
        int j = 2 * i + 1 < s->n ? 2 * i + 1 : 2 * i, block[16];
        lval x = s->v[2 * i], y = s->v[j];
        for (int q = 0; q < w; q++)
            block[q] = even[q] < w ? s->block[2 * i][even[q]] : s->block[j][even[q] - w];
        if (within_lane && w == 16 && s->most <= INT16_MAX)
            s->v[i] = fold_narrow(c, x, y);
        else
            s->v[i] = LLVMBuildAdd(c->b, cg_shuffle(c, x, y, even, w), cg_shuffle(c, x, y, odd, w), "");
        memcpy(s->block[i], block, sizeof block);
    }
    s->n = (s->n + 1) / 2;
    s->most *= 2;
}

static lval in_order(cg *c, const sums *s, int lanes)
{
    int order[64] = {0};
    lval all = s->v[0];
    for (int q = s->width - 1; q >= 0; q--)
        if (s->block[0][q] < lanes)
            order[s->block[0][q]] = q;
    if (lanes == 1)
        return cg_extract(c, all, order[0]);
    return cg_shuffle(c, all, LLVMGetPoison(LLVMTypeOf(all)), order, lanes);
}

static lval folded(cg *c, sums *s, int each, int lanes)
{
    for (int step = 0; each > 1; step++, each /= 2)
        fold(c, s, step < 2);
    if (s->n != 1)
        bug("sums of %d blocks in %d vectors", lanes, s->n);
    return in_order(c, s, lanes);
}

/* the sums of 4 bytes' products by width, of so many lanes of this nest */
static blocks blocks_of(nest *n, int64_t extent)
{
    cg *c = n->k->c;
    blocks b = {.n = n, .extent = extent, .width = c->vector_bytes < 32 ? 16 : c->vector_bytes};
    if (b.width == 64 && !cg_has(c, "+avx512bw"))
        b.width = 32;
    b.parts = extent > b.width ? (int)(extent / b.width) : 1;
    b.per = b.parts > 1 ? 1 : b.width / (int)extent;
    while (b.per > n->lanes)
        b.per /= 2;
    return b;
}

/* the operands of a sum's products, element by element of the block */
static void sides_of(blocks *b, ir_op o, uint32_t at, side *x, side *y)
{
    const ir_func *f = b->n->k->f;
    ir_val v = ir_in(f, o, 0);
    ir_op mul = ir_def(f, v);
    place p = {.at = b->n->sets.at[at]};
    p.at.at[p.at.rank++] = lv_const(b->n, 0);
    bool plain = ir_op_code(f, mul) != IR_OP_mul;
    *x = side_of(b, plain ? v : ir_in(f, mul, 0), &p);
    *y = plain ? (side){.dt = DT_U8, .low = 1, .high = 1} : side_of(b, ir_in(f, mul, 1), &p);
}

static int64_t block_of(const ir_func *f, ir_op o)
{
    const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, ir_in(f, o, 0)));
    return t->shape[t->rank - 1];
}

/* to be computed in this nest at the element at hand, and not read by others from a buffer */
static bool is_here(const nest *n, ir_val v, uint32_t at)
{
    const plan_val *x = &n->k->p->v[v.id];
    return x->cls == VC_SYM || (x->cls == VC_DATA && x->buffer < 0 && x->step == n->step && at == n->own);
}

bool products_meet(nest *n, ir_op add, uint32_t at)
{
    const ir_func *f = n->k->f;
    ir_op o[2];
    for (uint32_t i = 0; i < 2; i++) {
        ir_val v = ir_in(f, add, i);
        o[i] = ir_def(f, v);
        if (!plan_is_products(f, o[i]) || !is_here(n, v, at))
            return false;
    }
    return block_of(f, o[0]) == block_of(f, o[1]);
}

lv products(nest *n, const ir_op *o, int count, uint32_t at)
{
    cg *c = n->k->c;
    blocks b = blocks_of(n, block_of(n->k->f, o[0]));
    side x[2], y[2];
    for (int i = 0; i < count; i++)
        sides_of(&b, o[i], at, &x[i], &y[i]);
    sums s = {.n = n->lanes / b.per, .width = b.width / 4};
    for (int i = 0; i < count; i++)
        s.most += 4 * b.parts * most_of(&x[i]) * most_of(&y[i]);
    int each = (int)(b.extent < b.width ? b.extent : b.width) / 4;
    for (int g = 0; g < s.n; g++) {
        lval sum = LLVMConstNull(cg_vec(c->i32, s.width));
        for (int i = 0; i < b.parts * count; i++) {
            b.group = g * b.parts + i % b.parts;
            sum = multiplied(&b, sum, x[i / b.parts], y[i / b.parts]);
            nest_leave(n, n->inner);
        }
        s.v[g] = sum;
        for (int q = 0; q < s.width; q++) /* padding holds nothing */
            s.block[g][q] = q / each < b.per ? g * b.per + q / each : n->lanes;
    }
    nest_enter(n, n->inner);
    lv r = {.v = folded(c, &s, each, n->lanes), .form = LV_VEC, .level = (int8_t)n->inner, .assumed = true};
    nest_leave(n, n->inner);
    return r;
}
