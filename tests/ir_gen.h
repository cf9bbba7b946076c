/* ir_gen.h: bytes to a valid kernel, for comparing what it computes before and after passes (and between devices).
 *
 *   kernel @k(%i: *i32, %f: *f32, %n: i64, %m: i32, %x: f32)      i and f: GEN_ELEMS elements, read and written
 *
 * Each byte string gives one kernel; choices come from the bytes, zeros when they end. All ops are built without
 * folding, so passes find everything to do. Kept out is only what no two ways to run it need agree on: a divisor of 0,
 * an index out of bounds, undef, false promises, products of f32 and f64 (they may contract), sums of floats along an
 * axis. Floats are stored as they are; a comparison takes any two NaNs as equal, and none is ever seen through a
 * bitcast.
 */
#ifndef TILE_TESTS_IR_GEN_H
#define TILE_TESTS_IR_GEN_H

#include "compiler/ir.h"

#include <string.h>

#define GEN_ELEMS 256
#define GEN_MAX_TILE 512 /* elements */
#define GEN_MAX_OPS 60
#define GEN_MAX_NEST 3

typedef struct gen {
    const uint8_t *p;
    size_t n;
    arena *a;
    ir_module *m;
    ir_func *f;
    ir_builder b;
    VEC(ir_val) vals;                        /* visible numbers, those of open regions last */
    ir_val ints, floats, count, small, real; /* the parameters */
    int ops, nest;
    bool scalar_only; /* in a region of reduce, scan or map */
} gen;

static uint32_t gen_byte(gen *g)
{
    if (!g->n)
        return 0;
    g->n--;
    return *g->p++;
}

static uint32_t gen_below(gen *g, uint32_t n)
{
    return n ? gen_byte(g) % n : 0;
}

static const ir_type_info *gen_info(const gen *g, ir_val v)
{
    return ir_type_of(g->m, ir_vtype(g->f, v));
}

static dtype gen_dt(const gen *g, ir_val v)
{
    return ir_type_dt(g->m, ir_vtype(g->f, v));
}

static ir_val gen_keep(gen *g, ir_val v)
{
    vec_push(g->a, &g->vals, v);
    return v;
}

typedef bool gen_wants(const gen *g, ir_val v);

static bool gen_any(const gen *g, ir_val v)
{
    (void)g;
    (void)v;
    return true;
}
static bool gen_num(const gen *g, ir_val v)
{
    dtype d = gen_dt(g, v);
    return d != DT_BOOL && !dt_is_f8(d);
}
static bool gen_int(const gen *g, ir_val v)
{
    return dt_is_int(gen_dt(g, v));
}
static bool gen_bits(const gen *g, ir_val v)
{
    return dt_is_int(gen_dt(g, v)) || gen_dt(g, v) == DT_BOOL;
}
static bool gen_float(const gen *g, ir_val v)
{
    return dt_is_float(gen_dt(g, v));
}
static bool gen_f3264(const gen *g, ir_val v)
{
    return gen_dt(g, v) == DT_F32 || gen_dt(g, v) == DT_F64;
}
static bool gen_tile(const gen *g, ir_val v)
{
    return gen_info(g, v)->kind == TK_TILE;
}
static bool gen_int_tile(const gen *g, ir_val v)
{
    return gen_int(g, v) && gen_tile(g, v);
}
static bool gen_scalar(const gen *g, ir_val v)
{
    return !gen_tile(g, v);
}
static bool gen_int_scalar(const gen *g, ir_val v)
{
    return gen_int(g, v) && gen_scalar(g, v);
}

/* a visible value that the op can take, counted back from one the bytes choose; 0 where there is none */
static ir_val gen_pick(gen *g, gen_wants *wants)
{
    uint32_t n = g->vals.n, start = n - 1 - gen_below(g, n < 24 ? n : 24);
    for (uint32_t k = 0; k < n; k++) {
        ir_val v = g->vals.at[(start + n - k) % n];
        if (wants(g, v) && !(g->scalar_only && gen_tile(g, v)))
            return v;
    }
    return (ir_val){0};
}

/* a visible value of this type, the chosen one or the value itself */
static ir_val gen_like(gen *g, ir_val x)
{
    uint32_t n = g->vals.n, start = n - 1 - gen_below(g, n < 24 ? n : 24);
    for (uint32_t k = 0; k < n; k++) {
        ir_val v = g->vals.at[(start + n - k) % n];
        if (ir_type_eq(ir_vtype(g->f, v), ir_vtype(g->f, x)))
            return v;
    }
    return x;
}

static int64_t gen_number(gen *g)
{
    static const int64_t edges[] = {0,  1,   -1,  2,   3,   7,         8,         31,        32,        63,
                                    64, 127, 128, 255, 256, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1000000007};
    uint32_t k = gen_byte(g);
    return k < 2 * COUNTOF(edges) ? edges[k % COUNTOF(edges)] : (int64_t)gen_byte(g) - 100;
}

static ir_type gen_shape(gen *g, ir_type elem)
{
    static const int64_t extents[] = {1, 2, 3, 4, 5, 8, 16};
    int64_t shape[3];
    int rank = (int)gen_below(g, 4);
    for (int d = 0; d < rank; d++)
        shape[d] = extents[gen_below(g, rank == 3 ? 4 : COUNTOF(extents))];
    return g->scalar_only ? elem : ir_type_tile(g->m, elem, rank, shape);
}

static void gen_const(gen *g)
{
    static const double reals[] = {0.0,  -0.0,  1.0,     -1.0, 0.5,       2.0,        3.0,
                                   -1.5, 1e-40, 65504.0, 1e30, 1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0};
    dtype dt = (dtype)(1 + gen_below(g, DT_F64));
    ir_type t = gen_shape(g, ir_type_num(g->m, dt));
    if (dt_is_float(dt))
        gen_keep(g, ir_const_f(&g->b, t, reals[gen_below(g, COUNTOF(reals))]));
    else if (dt == DT_BOOL)
        gen_keep(g, ir_const_bits(&g->b, t, gen_byte(g) & 1));
    else
        gen_keep(g, ir_const_i(&g->b, t, gen_number(g)));
}

static void gen_arith(gen *g)
{
    static const ir_code nums[] = {IR_OP_add, IR_OP_sub, IR_OP_mul, IR_OP_min, IR_OP_max};
    static const ir_code ints[] = {IR_OP_and, IR_OP_or,    IR_OP_xor, IR_OP_shl,
                                   IR_OP_shr, IR_OP_mulhi, IR_OP_div, IR_OP_rem};
    ir_val x, y;
    if (gen_byte(g) & 1) {
        if ((x = gen_pick(g, gen_num)).id) {
            ir_code op = nums[gen_below(g, COUNTOF(nums))];
            if (op == IR_OP_mul && gen_f3264(g, x))
                op = IR_OP_max; /* pass combine makes fma of mul and add, which rounds once */
            gen_keep(g, ir_bin(&g->b, op, x, gen_like(g, x)));
        }
        return;
    }
    ir_code c = ints[gen_below(g, COUNTOF(ints))];
    if (!(x = gen_pick(g, gen_int)).id)
        return;
    y = gen_like(g, x);
    if (c == IR_OP_div || c == IR_OP_rem)
        y = ir_bin(&g->b, IR_OP_or, y, ir_const_i(&g->b, ir_vtype(g->f, x), 1)); /* never 0 */
    gen_keep(g, ir_bin(&g->b, c, x, y));
}

static void gen_unary(gen *g)
{
    static const ir_code maths[] = {IR_OP_sqrt, IR_OP_floor, IR_OP_ceil};
    ir_val x;
    switch (gen_below(g, 6)) {
    case 0:
        if ((x = gen_pick(g, gen_num)).id)
            gen_keep(g, ir_un(&g->b, gen_byte(g) & 1 ? IR_OP_neg : IR_OP_abs, x));
        break;
    case 1:
        if ((x = gen_pick(g, gen_bits)).id)
            gen_keep(g, ir_un(&g->b, IR_OP_not, x));
        break;
    case 2:
        if ((x = gen_pick(g, gen_f3264)).id)
            gen_keep(g, ir_un(&g->b, maths[gen_below(g, COUNTOF(maths))], x));
        break;
    case 3:
        if ((x = gen_pick(g, gen_float)).id) {
            ir_val in[3] = {x, gen_like(g, x), gen_like(g, x)};
            gen_keep(g, ir_emit1(&g->b, IR_OP_fma, ir_vtype(g->f, x), in, 3));
        }
        break;
    case 4:
        if ((x = gen_pick(g, gen_bits)).id) {
            ir_val in[2] = {x, gen_like(g, x)};
            gen_keep(g, ir_emit1(&g->b, gen_byte(g) & 1 ? IR_OP_and : IR_OP_xor, ir_vtype(g->f, x), in, 2));
        }
        break;
    default:
        if ((x = gen_pick(g, gen_any)).id) {
            ir_type t = ir_type_with_dt(g->m, ir_vtype(g->f, x), (dtype)(1 + gen_below(g, DT_COUNT - 1)));
            gen_keep(g, ir_emit1(&g->b, IR_OP_cast, t, &x, 1));
        }
    }
}

static void gen_compare(gen *g)
{
    static const ir_code codes[] = {IR_OP_eq, IR_OP_ne, IR_OP_lt, IR_OP_le, IR_OP_gt, IR_OP_ge};
    ir_val x = gen_pick(g, gen_num);
    if (x.id)
        gen_keep(g, ir_cmp(&g->b, codes[gen_below(g, COUNTOF(codes))], x, gen_like(g, x)));
}

/* a bool of the shape of x */
static ir_val gen_mask(gen *g, ir_val x)
{
    ir_type t = ir_type_with_dt(g->m, ir_vtype(g->f, x), DT_BOOL);
    for (uint32_t k = g->vals.n; k-- > 0;)
        if (ir_type_eq(ir_vtype(g->f, g->vals.at[k]), t))
            return g->vals.at[k];
    return ir_const_bits(&g->b, t, gen_byte(g) & 1);
}

static void gen_select(gen *g)
{
    ir_val x = gen_pick(g, gen_any), c;
    if (!x.id)
        return;
    c = gen_byte(g) & 1 ? gen_mask(g, x)
                        : ir_cmp(&g->b, IR_OP_lt, g->small, ir_const_i(&g->b, ir_vtype(g->f, g->small), gen_number(g)));
    gen_keep(g, ir_select(&g->b, c, x, gen_like(g, x)));
}

/* ---- shapes ---- */
static ir_val gen_shaped(gen *g, ir_code c, ir_val x, int rank, const int64_t *shape)
{
    return gen_keep(g, ir_emit1(&g->b, c, ir_type_with_shape(g->m, ir_vtype(g->f, x), rank, shape), &x, 1));
}

static void gen_permute(gen *g, ir_val x, const ir_type_info *t)
{
    int64_t order[IR_MAX_RANK], shape[IR_MAX_RANK];
    int turn = (int)gen_below(g, (uint32_t)t->rank);
    for (int d = 0; d < t->rank; d++) {
        order[d] = (d + turn) % t->rank;
        shape[d] = t->shape[order[d]];
    }
    gen_keep(g, ir_emit1a(&g->b, IR_OP_permute, ir_type_with_shape(g->m, ir_vtype(g->f, x), t->rank, shape), &x, 1,
                          KEY_order, ir_attr_ints(g->m, order, (uint32_t)t->rank)));
}

static void gen_slice(gen *g, ir_val x, const ir_type_info *t)
{
    int64_t starts[IR_MAX_RANK], shape[IR_MAX_RANK];
    for (int d = 0; d < t->rank; d++) {
        starts[d] = gen_below(g, (uint32_t)t->shape[d]);
        shape[d] = 1 + gen_below(g, (uint32_t)(t->shape[d] - starts[d]));
    }
    gen_keep(g, ir_emit1a(&g->b, IR_OP_slice, ir_type_with_shape(g->m, ir_vtype(g->f, x), t->rank, shape), &x, 1,
                          KEY_starts, ir_attr_ints(g->m, starts, (uint32_t)t->rank)));
}

static void gen_pair(gen *g, ir_val x, const ir_type_info *t)
{
    int64_t shape[IR_MAX_RANK];
    ir_val out[2], in[2] = {x, gen_like(g, x)};
    ir_type half[2];
    memcpy(shape, t->shape, sizeof shape);
    if (t->shape[t->rank - 1] == 2) {
        half[0] = half[1] = ir_type_with_shape(g->m, ir_vtype(g->f, x), t->rank - 1, shape);
        ir_emit(&g->b, &(ir_desc){.code = IR_OP_split, .in = &x, .nin = 1, .types = half, .nout = 2}, out);
        gen_keep(g, out[0]);
        gen_keep(g, out[1]);
    } else if (ir_type_count(g->m, ir_vtype(g->f, x)) * 2 <= GEN_MAX_TILE) {
        shape[t->rank] = 2;
        if (gen_byte(g) & 1) {
            gen_keep(
                g, ir_emit1(&g->b, IR_OP_join, ir_type_with_shape(g->m, ir_vtype(g->f, x), t->rank + 1, shape), in, 2));
        } else {
            int64_t ax = gen_below(g, (uint32_t)t->rank);
            shape[ax] *= 2;
            gen_keep(g, ir_emit1a(&g->b, IR_OP_cat, ir_type_with_shape(g->m, ir_vtype(g->f, x), t->rank, shape), in, 2,
                                  KEY_axis, ir_attr_int(g->m, ax)));
        }
    }
}

static void gen_pointwise_index(gen *g, ir_val x, const ir_type_info *t)
{
    int64_t ax = gen_below(g, (uint32_t)t->rank), shape[IR_MAX_RANK];
    ir_type i32 = ir_type_num(g->m, DT_I32);
    memcpy(shape, t->shape, sizeof shape);
    if (gen_byte(g) & 1) {
        ir_val in[2] = {x, ir_const_i(&g->b, i32, gen_below(g, (uint32_t)t->shape[ax]))};
        memmove(&shape[ax], &shape[ax + 1], (size_t)(t->rank - 1 - ax) * sizeof shape[0]);
        gen_keep(g, ir_emit1a(&g->b, IR_OP_extract, ir_type_with_shape(g->m, ir_vtype(g->f, x), t->rank - 1, shape), in,
                              2, KEY_axis, ir_attr_int(g->m, ax)));
    } else {
        shape[ax] = 1 + gen_below(g, 4);
        ir_type it = ir_type_tile(g->m, i32, t->rank, shape);
        ir_val in[2] = {x, ir_const_i(&g->b, it, gen_below(g, (uint32_t)t->shape[ax]))};
        gen_keep(g, ir_emit1a(&g->b, IR_OP_gather, ir_type_with_shape(g->m, ir_vtype(g->f, x), t->rank, shape), in, 2,
                              KEY_axis, ir_attr_int(g->m, ax)));
    }
}

static void gen_reshaping(gen *g)
{
    int64_t shape[IR_MAX_RANK + 1], n;
    ir_val x = gen_pick(g, gen_tile), s;
    ir_type_info t;
    if (gen_byte(g) % 4 == 0 && (s = gen_pick(g, gen_scalar)).id) {
        shape[0] = 1 + gen_below(g, 16);
        shape[1] = 1 + gen_below(g, 4);
        gen_shaped(g, IR_OP_splat, s, 1 + (int)gen_below(g, 2), shape);
        return;
    }
    if (!x.id)
        return;
    t = *gen_info(g, x); /* a copy: interning moves the table */
    n = ir_type_count(g->m, ir_vtype(g->f, x));
    memcpy(shape, t.shape, sizeof t.shape);
    switch (gen_below(g, 6)) {
    case 0:
        gen_permute(g, x, &t);
        break;
    case 1:
        gen_slice(g, x, &t);
        break;
    case 2:
        if (t.rank < 4)
            gen_pair(g, x, &t);
        break;
    case 3:
        gen_pointwise_index(g, x, &t);
        break;
    case 4:
        for (int d = 0; d < t.rank; d++)
            if (shape[d] == 1 && n * 4 <= GEN_MAX_TILE) {
                shape[d] = 4;
                n *= 4;
            }
        gen_shaped(g, IR_OP_broadcast, x, t.rank, shape);
        break;
    default:
        if (gen_byte(g) & 1) {
            shape[0] = n;
            gen_shaped(g, IR_OP_reshape, x, 1, shape);
        } else if (t.rank < 4) {
            shape[t.rank] = 1;
            gen_shaped(g, IR_OP_reshape, x, t.rank + 1, shape);
        }
    }
}

/* ---- memory ---- */
/* pointers in the shape of an integer x, inside the buffer */
static ir_val gen_pointers(gen *g, ir_val x, ir_val base)
{
    ir_type t = ir_vtype(g->f, x), p;
    bool small = dt_bits(gen_dt(g, x)) <= 8;
    ir_val in = ir_bin(&g->b, IR_OP_and, x, ir_const_i(&g->b, t, small ? 63 : GEN_ELEMS - 1));
    p = ir_type_with_elem(g->m, t, ir_vtype(g->f, base));
    if (gen_tile(g, x))
        base = ir_emit1(&g->b, IR_OP_splat, p, &base, 1);
    return ir_ptr_add(&g->b, base, in);
}

static ir_val gen_index(gen *g)
{
    ir_val x = {0};
    if (gen_byte(g) & 1)
        x = gen_pick(g, gen_int);
    if (x.id)
        return x;
    int64_t n = 1 + gen_below(g, 40);
    return gen_keep(g, ir_emit1a(&g->b, IR_OP_arange, ir_type_tile(g->m, ir_type_num(g->m, DT_I64), 1, &n), NULL, 0,
                                 KEY_start, ir_attr_int(g->m, gen_below(g, 100))));
}

/* something to store in the shape of x */
static ir_val gen_value_for(gen *g, ir_val x, dtype dt)
{
    ir_type want = ir_type_with_dt(g->m, ir_vtype(g->f, x), dt);
    for (uint32_t k = g->vals.n; k-- > 0;) {
        ir_val v = g->vals.at[k];
        if (ir_type_eq(ir_vtype(g->f, v), want))
            return v;
        if (ir_type_eq(ir_type_with_dt(g->m, ir_vtype(g->f, v), dt), want))
            return ir_cast(&g->b, v, dt);
    }
    return ir_const_i(&g->b, want, 5);
}

static void gen_memory(gen *g)
{
    ir_val x, ptr, in[3];
    bool ints = gen_byte(g) & 1, masked = gen_byte(g) & 1;
    dtype dt = ints ? DT_I32 : DT_F32;
    ir_type t;
    if (g->scalar_only)
        return;
    x = gen_index(g);
    ptr = gen_pointers(g, x, ints ? g->ints : g->floats);
    t = ir_type_with_dt(g->m, ir_vtype(g->f, x), dt);
    in[0] = ptr;
    switch (gen_below(g, 5)) {
    case 0:
    case 1:
        in[1] = masked ? gen_mask(g, x) : x;
        in[2] = gen_value_for(g, x, dt);
        gen_keep(g, ir_emit1(&g->b, IR_OP_load, t, in, masked ? 2 + (gen_byte(g) & 1) : 1));
        break;
    case 2:
    case 3:
        in[1] = gen_value_for(g, x, dt);
        in[2] = gen_mask(g, x);
        ir_emit0(&g->b, IR_OP_store, in, masked ? 3 : 2);
        break;
    default:
        in[0] = ints ? ptr : gen_pointers(g, x, g->ints);
        in[1] = gen_value_for(g, x, DT_I32);
        in[2] = gen_mask(g, x);
        gen_keep(g, ir_emit1a(&g->b, IR_OP_atomic_rmw, ir_type_with_dt(g->m, t, DT_I32), in, masked ? 3 : 2, KEY_rmw,
                              ir_attr_int(g->m, gen_below(g, RMW_XCHG + 1))));
    }
}

/* ---- whole tiles ---- */
static void gen_block(gen *g, int ops);

/* a region on scalars: `n` parameters of elem, `ops` random ops, then `result` or the combination of all parameters */
static ir_region gen_element_region(gen *g, ir_type elem, uint32_t n, ir_code combine, int ops)
{
    ir_region r = ir_region_new(g->f);
    uint32_t mark = g->vals.n;
    bool outer = g->scalar_only;
    ir_val v[2];
    g->scalar_only = true;
    for (uint32_t i = 0; i < n; i++)
        v[i] = gen_keep(g, ir_region_param(g->f, r, elem));
    ir_push(&g->b, r);
    gen_block(g, ops);
    ir_val y = n == 2 ? ir_bin(&g->b, combine, v[0], v[1]) : gen_like(g, v[0]);
    ir_yield(&g->b, &y, 1);
    ir_pop(&g->b);
    g->vals.n = mark;
    g->scalar_only = outer;
    return r;
}

static void gen_whole(gen *g)
{
    static const ir_code exact[] = {IR_OP_add, IR_OP_min, IR_OP_max, IR_OP_mul};
    ir_val x = gen_pick(g, gen_byte(g) & 1 ? gen_int_tile : gen_tile), out;
    ir_type_info t;
    int64_t shape[IR_MAX_RANK], ax;
    if (!x.id || g->nest >= GEN_MAX_NEST || !gen_num(g, x))
        return;
    t = *gen_info(g, x);
    ax = gen_below(g, (uint32_t)t.rank);
    ir_attr_pair at[2] = {{KEY_axis, ir_attr_int(g->m, ax)}, {KEY_reverse, ir_attr_int(g->m, gen_byte(g) & 1)}};
    ir_type elem = ir_type_num(g->m, t.dt), ty = ir_vtype(g->f, x);
    ir_code c = exact[dt_is_int(t.dt) ? gen_below(g, 4) : 1 + gen_below(g, 2)];
    uint32_t kind = gen_below(g, 5);
    g->nest++;
    if (kind == 0) {
        memcpy(shape, t.shape, sizeof shape);
        memmove(&shape[ax], &shape[ax + 1], (size_t)(t.rank - 1 - ax) * sizeof shape[0]);
        ty = ir_type_with_shape(g->m, ty, t.rank - 1, shape);
        ir_region r = gen_element_region(g, elem, 2, c, 0);
        ir_emit(&g->b,
                &(ir_desc){.code = IR_OP_reduce,
                           .in = &x,
                           .nin = 1,
                           .types = &ty,
                           .nout = 1,
                           .attrs = at,
                           .nattr = 1,
                           .regions = &r,
                           .nregions = 1},
                &out);
    } else if (kind == 1) {
        ir_region r = gen_element_region(g, elem, 2, c, 0);
        ir_emit(&g->b,
                &(ir_desc){.code = IR_OP_scan,
                           .in = &x,
                           .nin = 1,
                           .types = &ty,
                           .nout = 1,
                           .attrs = at,
                           .nattr = 2,
                           .regions = &r,
                           .nregions = 1},
                &out);
    } else if (kind == 2) {
        at[1] = (ir_attr_pair){KEY_descending, at[1].val};
        ir_emit(&g->b,
                &(ir_desc){.code = IR_OP_sort, .in = &x, .nin = 1, .types = &ty, .nout = 1, .attrs = at, .nattr = 2},
                &out);
    } else if (kind == 3 && dt_is_int(t.dt) && t.rank == 1) {
        int64_t bins = 1 + gen_below(g, 12);
        ty = ir_type_tile(g->m, ir_type_num(g->m, DT_I32), 1, &bins);
        ir_emit(&g->b, &(ir_desc){.code = IR_OP_histogram, .in = &x, .nin = 1, .types = &ty, .nout = 1}, &out);
    } else {
        ir_region r = gen_element_region(g, elem, 1, c, (int)gen_below(g, 5));
        ir_emit(
            &g->b,
            &(ir_desc){.code = IR_OP_map, .in = &x, .nin = 1, .types = &ty, .nout = 1, .regions = &r, .nregions = 1},
            &out);
    }
    g->nest--;
    gen_keep(g, out);
}

/* an integer dot: exact in any order */
static void gen_dot(gen *g)
{
    int64_t m = 1 + gen_below(g, 4), k = 1 + gen_below(g, 5), n = 1 + gen_below(g, 4);
    ir_type i32 = ir_type_num(g->m, DT_I32);
    ir_val x = gen_keep(g, ir_cast(&g->b, gen_pick(g, gen_int_scalar), DT_I32)), in[3];
    in[0] = ir_splat(&g->b, x, 2, (int64_t[]){m, k});
    in[1] = ir_splat(&g->b, g->small, 2, (int64_t[]){k, n});
    in[2] = ir_const_i(&g->b, ir_type_tile(g->m, i32, 2, (int64_t[]){m, n}), gen_number(g));
    gen_keep(g, ir_emit1(&g->b, IR_OP_dot, ir_vtype(g->f, in[2]), in, 3));
}

/* ---- control ---- */
/* a region with these parameters and random ops that yields one value like each of `carried` */
static ir_region gen_body(gen *g, const ir_type *index, const ir_val *carried, uint32_t n, bool params)
{
    ir_region r = ir_region_new(g->f);
    uint32_t mark = g->vals.n;
    ir_val y[4];
    if (index)
        gen_keep(g, ir_region_param(g->f, r, *index));
    for (uint32_t i = 0; params && i < n; i++)
        gen_keep(g, ir_region_param(g->f, r, ir_vtype(g->f, carried[i])));
    ir_push(&g->b, r);
    gen_block(g, 1 + (int)gen_below(g, 6));
    for (uint32_t i = 0; i < n; i++)
        y[i] = gen_like(g, carried[i]);
    ir_yield(&g->b, y, n);
    ir_pop(&g->b);
    g->vals.n = mark;
    return r;
}

static uint32_t gen_carried(gen *g, ir_val *v, ir_type *t)
{
    uint32_t n = gen_below(g, 4);
    for (uint32_t i = 0; i < n; i++) {
        v[i] = gen_pick(g, gen_any);
        if (!v[i].id)
            return i;
        t[i] = ir_vtype(g->f, v[i]);
    }
    return n;
}

static void gen_for(gen *g)
{
    ir_type i64 = ir_type_num(g->m, DT_I64), types[4];
    ir_val in[8], out[4];
    int64_t from = (int64_t)gen_below(g, 9) - 4, step = (gen_byte(g) & 1 ? 1 : -1) * (1 + (int64_t)gen_below(g, 3));
    uint32_t n = gen_carried(g, &in[3], types);
    in[0] = ir_const_i(&g->b, i64, from);
    in[1] = gen_byte(g) & 1 ? ir_const_i(&g->b, i64, from + step * gen_below(g, 6)) : g->count;
    in[2] = ir_const_i(&g->b, i64, step);
    ir_region r = gen_body(g, &i64, &in[3], n, true);
    ir_attr_pair unroll = {KEY_unroll, ir_attr_int(g->m, 1 + gen_below(g, 4))};
    ir_emit(&g->b,
            &(ir_desc){.code = IR_OP_for,
                       .in = in,
                       .nin = 3 + n,
                       .types = types,
                       .nout = n,
                       .attrs = &unroll,
                       .nattr = gen_byte(g) & 1,
                       .regions = &r,
                       .nregions = 1},
            out);
    for (uint32_t i = 0; i < n; i++)
        gen_keep(g, out[i]);
}

static void gen_if(gen *g)
{
    ir_val like[4], out[4], c = gen_mask(g, g->small);
    ir_type types[4];
    uint32_t n = gen_carried(g, like, types);
    ir_region r[2];
    r[0] = gen_body(g, NULL, like, n, false);
    r[1] = gen_body(g, NULL, like, n, false);
    ir_emit(&g->b,
            &(ir_desc){.code = IR_OP_if, .in = &c, .nin = 1, .types = types, .nout = n, .regions = r, .nregions = 2},
            out);
    for (uint32_t i = 0; i < n; i++)
        gen_keep(g, out[i]);
}

/* counts an i32 down from at most 7 beside other carried values */
static void gen_while(gen *g)
{
    ir_type types[5], i32 = ir_type_num(g->m, DT_I32);
    ir_val in[5], out[5], y[5];
    uint32_t n, mark = g->vals.n;
    n = gen_carried(g, &in[1], &types[1]);
    types[0] = i32;
    in[0] = ir_bin(&g->b, IR_OP_and, gen_byte(g) & 1 ? g->small : ir_const_i(&g->b, i32, gen_byte(g)),
                   ir_const_i(&g->b, i32, 7));
    ir_region r[2] = {ir_region_new(g->f), ir_region_new(g->f)};
    for (int k = 0; k < 2; k++) {
        for (uint32_t i = 0; i <= n; i++)
            y[i] = gen_keep(g, ir_region_param(g->f, r[k], types[i]));
        ir_push(&g->b, r[k]);
        ir_val left = y[0];
        gen_block(g, (int)gen_below(g, 4));
        if (k == 0) {
            y[0] = ir_cmp(&g->b, IR_OP_gt, left, ir_const_i(&g->b, i32, 0));
        } else {
            y[0] = ir_bin(&g->b, IR_OP_sub, left, ir_const_i(&g->b, i32, 1));
            for (uint32_t i = 1; i <= n; i++)
                y[i] = gen_like(g, y[i]);
        }
        ir_yield(&g->b, y, k == 0 ? 1 : n + 1);
        ir_pop(&g->b);
        g->vals.n = mark;
    }
    ir_emit(
        &g->b,
        &(ir_desc){
            .code = IR_OP_while, .in = in, .nin = n + 1, .types = types, .nout = n + 1, .regions = r, .nregions = 2},
        out);
    for (uint32_t i = 0; i <= n; i++)
        gen_keep(g, out[i]);
}

static void gen_call(gen *g)
{
    ir_val x = gen_pick(g, gen_int_scalar), in, out;
    ir_type i32 = ir_type_num(g->m, DT_I32);
    ir_attr_pair callee = {KEY_callee, ir_attr_str(g->m, S("g"))};
    if (!x.id || !ir_module_find(g->m, S("g")))
        return;
    in = ir_cast(&g->b, x, DT_I32);
    ir_emit(&g->b,
            &(ir_desc){.code = IR_OP_call, .in = &in, .nin = 1, .types = &i32, .nout = 1, .attrs = &callee, .nattr = 1},
            &out);
    gen_keep(g, out);
}

static void gen_block(gen *g, int ops)
{
    g->nest++;
    while (ops-- > 0 && g->n && g->ops < GEN_MAX_OPS) {
        uint32_t k = gen_below(g, 24);
        bool deep = g->nest > GEN_MAX_NEST;
        g->ops++;
        if (k < 2)
            gen_const(g);
        else if (k < 6)
            gen_arith(g);
        else if (k < 9)
            gen_unary(g);
        else if (k < 11)
            gen_compare(g);
        else if (k < 13 || g->scalar_only)
            gen_select(g);
        else if (k < 16)
            gen_reshaping(g);
        else if (k < 19)
            gen_memory(g);
        else if (k == 19)
            gen_whole(g);
        else if (k == 20 && !deep)
            gen_for(g);
        else if (k == 21 && !deep)
            gen_if(g);
        else if (k == 22 && !deep)
            gen_while(g);
        else if (gen_byte(g) & 1)
            gen_call(g);
        else
            gen_dot(g);
    }
    g->nest--;
}

/* fn @g(%x: i32) -> (i32): scalar ops, for kernel and passes to call and inline */
static void gen_callee(gen *g)
{
    ir_type i32 = ir_type_num(g->m, DT_I32);
    g->f = ir_func_new(g->m, FUNC_FN, S("g"));
    ir_val x = ir_func_param(g->f, i32, S("x"), 0, 0);
    ir_builder_init(&g->b, g->f, g->a);
    g->b.fold = false;
    gen_keep(g, x);
    g->small = x;
    g->scalar_only = true;
    gen_block(g, (int)gen_below(g, 8));
    g->scalar_only = false;
    ir_val y = gen_like(g, x);
    vec_push(g->a, &g->f->results, i32);
    ir_return(&g->b, &y, 1);
    ir_module_add(g->m, g->f);
    g->vals.n = 0;
    g->ops = 0;
}

/* what was computed last goes to memory, so that something depends on it */
static void gen_stores(gen *g)
{
    uint32_t n = g->vals.n < 12 ? g->vals.n : 12;
    for (uint32_t i = 0; i < n; i++) {
        ir_val v = g->vals.at[g->vals.n - 1 - i], x, in[2];
        bool real = dt_is_any_float(gen_dt(g, v));
        ir_type t = ir_type_with_dt(g->m, ir_vtype(g->f, v), DT_I32);
        int64_t count = ir_type_count(g->m, t);
        int rank = ir_type_rank(g->m, t);
        int64_t shape[IR_MAX_RANK];
        memcpy(shape, ir_type_of(g->m, t)->shape, sizeof shape);
        if (rank) {
            x = ir_emit1a(&g->b, IR_OP_arange, ir_type_tile(g->m, ir_type_num(g->m, DT_I32), 1, &count), NULL, 0,
                          KEY_start, ir_attr_int(g->m, i * 7));
            x = ir_reshape(&g->b, x, rank, shape);
        } else {
            x = ir_const_i(&g->b, t, i * 7);
        }
        in[0] = gen_pointers(g, x, real ? g->floats : g->ints);
        in[1] = ir_cast(&g->b, v, real ? DT_F32 : DT_I32);
        ir_emit0(&g->b, IR_OP_store, in, 2);
    }
}

static inline ir_module *gen_module(arena *a, const uint8_t *bytes, size_t n)
{
    gen g = {.p = bytes, .n = n, .a = a};
    g.m = ir_module_new(a);
    g.m->stage = TIR;
    gen_callee(&g);
    g.f = ir_func_new(g.m, FUNC_KERNEL, S("k"));
    ir_type i32 = ir_type_num(g.m, DT_I32), f32 = ir_type_num(g.m, DT_F32);
    g.ints = ir_func_param(g.f, ir_type_ptr(g.m, i32), S("i"), 0, 0);
    g.floats = ir_func_param(g.f, ir_type_ptr(g.m, f32), S("f"), 1, 0);
    g.count = ir_func_param(g.f, ir_type_num(g.m, DT_I64), S("n"), 2, 0);
    g.small = ir_func_param(g.f, i32, S("m"), 3, 0);
    g.real = ir_func_param(g.f, f32, S("x"), 4, 0);
    ir_builder_init(&g.b, g.f, a);
    g.b.fold = false;
    gen_keep(&g, g.count);
    gen_keep(&g, g.small);
    gen_keep(&g, g.real);
    gen_keep(&g, ir_emit1a(&g.b, IR_OP_program_id, ir_type_num(g.m, DT_I64), NULL, 0, KEY_axis, ir_attr_int(g.m, 0)));
    gen_block(&g, GEN_MAX_OPS);
    gen_stores(&g);
    ir_return(&g.b, NULL, 0);
    ir_module_add(g.m, g.f);
    return g.m;
}

#endif
