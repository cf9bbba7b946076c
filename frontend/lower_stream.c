/* lower_stream.c: loops that spread tiles over programs.
 *
 * `for t in persistent(n)`: the grid is min(n, resident()); a program takes t = its id, then every
 * num_programs further.
 *
 * `for t, k0, k1 in stream(tiles, steps)`: all tiles' steps stand in one row, cut into equal parts, one a program (the
 * first `rem` parts are one step longer). A part falls into spans at tile ends; a program runs its spans last first:
 *
 *      tile   0         1         2           3 programs, 12 steps: program 1 has part 4..7 and owns tile 1 with its
 *      step   0 1 2 3 | 0 1 2 3 | 0 1 2 3     only span; of 2 programs, program 1 runs tile 2 first, then steps 2..3
 *      part   0 0 0 0   1 1 1 1   2 2 2 2     of tile 1, which it owns, and adds steps 0..1 that program 0 left
 *
 * The span that ends a tile owns it. Other spans are always the last of their program's part, thus the first it runs,
 * so each program leaves at most one partial sum, in scratch row = its id, and raises a flag; owners spin only on
 * smaller ids and add them in ascending order. With no steps each tile still gets one empty span, which owns it.
 */
#include "frontend/lower_kernel.h"
#include "frontend/lower_loop.h"

#define MAX_ACCS 8

struct stream_cx {
    ir_val tile, end;       /* end: of the span within its tile, in parts' steps */
    ir_val steps;           /* at least 1 */
    ir_val first, base, rem; /* of this program's part */
    ir_val flags;           /* scratch: one flag a program */
    bool combined;
};

static ir_type int_type(lower *l) { return ir_type_num(l->m, DT_I64); }
static ir_val num(lower *l, int64_t x) { return ir_const_i(B(l), int_type(l), x); }
static ir_val bin(lower *l, ir_code c, ir_val x, ir_val y) { return ir_bin(B(l), c, x, y); }

static ir_val grid_value(lower *l, ir_code code)
{
    return ir_emit1a(B(l), code, int_type(l), NULL, 0, KEY_axis, ir_attr_int(l->m, 0));
}

/* may such a loop stand here? */
static bool place_ok(lower *l, const ast_stmt *s, const char *word)
{
    kernel_cx *k = l->k;
    if (!k || l->fx != &k->kernel || l->fx->regions || l->fx->loop) {
        low_error(l, D_PERSISTENT_PLACE, s->at, word);
        return false;
    }
    if (k->k->grid) {
        low_error(l, D_PERSISTENT_GRID, s->at, word);
        return false;
    }
    if (k->placed) {
        low_error(l, D_PERSISTENT_TWICE, s->at, word);
        return false;
    }
    k->placed = true;
    return true;
}

/* the arguments of the header as int values */
static bool header_ints(lower *l, const ast_stmt *s, const char *word, uint32_t want, ir_val *out)
{
    call_arg *args;
    uint32_t n;
    if (!low_args(l, s->value, &args, &n))
        return false;
    if (n != want) {
        low_error(l, D_ARG_COUNT, s->value->at, word, want, n);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        fv v = args[i].v;
        if (!fv_is_const_int(v) && (v.kind != FV_RT || low_rank(l, v) || !dt_is_int(low_dt(l, v)))) {
            low_error(l, D_ARG_TYPE, args[i].at, word, "an integer", STR_ARG(low_say(l, v)));
            return false;
        }
        v = low_cast(l, v, DT_I64, args[i].at);
        if (v.kind == FV_POISON)
            return false;
        out[i] = v.v;
    }
    return true;
}

/* the body of one iteration, in region r with index `i`; nothing that it assigns outlives it */
typedef struct tile_loop {
    const ast_stmt *s;
    loop_cx cx;
    fv *outer;
    bool *assigned;
    ir_region r;
    ir_val index;
} tile_loop;

static void tile_loop_open(lower *l, tile_loop *t, const ast_stmt *s, loop_kind kind)
{
    fx *f = l->fx;
    t->s = s;
    loop_flags(l, &t->cx, kind);
    t->outer = f->env;
    t->assigned = assigned_slots(l, s);
    forget_targets(l, s->target, t->assigned);
    t->r = ir_region_new(f->f);
    t->index = ir_region_param(f->f, t->r, int_type(l));
    f->env = env_copy(l, t->outer);
    ir_push(B(l), t->r);
    f->regions++;
}

static void tile_loop_body(lower *l, tile_loop *t)
{
    fx *f = l->fx;
    if (loop_enter(l, &t->cx, t->s->at)) {
        low_stmts(l, t->s->body);
        loop_leave(l, &t->cx);
    }
    low_place(l, t->s->at);
    ir_yield(B(l), NULL, 0);
    ir_pop(B(l));
    f->regions--;
    f->env = t->outer;
    for (uint32_t i = 0; i < f->hidden; i++)
        if (t->assigned[i])
            f->env[i] = unbound_by(WHY_ITERATION, t->s->at);
}

static void emit_for(lower *l, ir_val from, ir_val to, ir_val step, ir_region r)
{
    ir_val in[3] = {from, to, step};
    ir_emit(B(l), &(ir_desc){.code = IR_OP_for, .nin = 3, .in = in, .nregions = 1, .regions = &r}, NULL);
}

/* the grid of a kernel whose header has none */
static void set_grid(lower *l, ir_val n)
{
    l->k->grid[0] = n;
    l->k->has_grid = true;
}

status low_persistent(lower *l, const ast_stmt *s)
{
    ir_val n, hn;
    low_place(l, s->at);
    if (!place_ok(l, s, "persistent") || !header_ints(l, s, "persistent", 1, &n))
        return poison_assigned(l, s);
    hn = host_copy(l, l->k, n, s->value->at);
    if (!hn.id)
        return poison_assigned(l, s);
    ir_builder *hb = &l->k->host.b;
    set_grid(l, ir_bin(hb, IR_OP_min, hn, ir_emit1(hb, IR_OP_resident, int_type(l), NULL, 0)));
    l->k->kernel.f->persistent = true;
    ir_val from = grid_value(l, IR_OP_program_id), step = grid_value(l, IR_OP_num_programs);
    tile_loop t = {0};
    tile_loop_open(l, &t, s, LOOP_PERSISTENT);
    low_assign(l, s->target, fv_rt(t.index));
    tile_loop_body(l, &t);
    low_place(l, s->at);
    emit_for(l, from, n, step, t.r);
    return ST_FALL;
}

/* ---- stream ---- */
static void stream_grid(lower *l, ir_val tiles, ir_val steps, span at)
{
    ir_val in[2] = {host_copy(l, l->k, tiles, at), host_copy(l, l->k, steps, at)};
    if (!in[0].id || !in[1].id)
        return;
    ir_builder *hb = &l->k->host.b;
    in[1] = ir_bin(hb, IR_OP_max, in[1], ir_const_i(hb, int_type(l), 1));
    set_grid(l, ir_emit1(hb, IR_OP_stream_programs, int_type(l), in, 2));
}

/* scratch for one flag a program of the grid that the host computes */
static void stream_flags(lower *l, stream_cx *c)
{
    int64_t dyn = IR_DYN;
    ir_type t = ir_type_tensor(l->m, ir_type_num(l->m, DT_I32), 1, &dyn, false);
    c->flags = hidden_scratch(l->k, "stream.flags", t, PARAM_SCRATCH | PARAM_SCRATCH_ZERO);
    vec_push(l->a, &l->k->scratch, l->k->grid[0]);
}

/* This program's part: first step and end; how the row is cut. A launch with a grid of its own may start more programs
 * than there are flags: those beyond have no part. */
static void stream_part(lower *l, stream_cx *c, ir_val tiles, ir_val *end)
{
    ir_val rows = ir_emit1a(B(l), IR_OP_tensor_dim, int_type(l), &c->flags, 1, KEY_dim, ir_attr_int(l->m, 0));
    ir_val pid = grid_value(l, IR_OP_program_id), n = bin(l, IR_OP_min, grid_value(l, IR_OP_num_programs), rows);
    ir_val total = bin(l, IR_OP_mul, tiles, c->steps);
    c->base = bin(l, IR_OP_div, total, n);
    c->rem = bin(l, IR_OP_rem, total, n);
    c->first = bin(l, IR_OP_add, bin(l, IR_OP_mul, pid, c->base), bin(l, IR_OP_min, pid, c->rem));
    ir_val longer = ir_select(B(l), ir_cmp(B(l), IR_OP_lt, pid, c->rem), num(l, 1), num(l, 0));
    *end = bin(l, IR_OP_add, bin(l, IR_OP_add, c->first, c->base), longer);
    *end = ir_select(B(l), ir_cmp(B(l), IR_OP_lt, pid, n), *end, c->first);
}

status low_stream(lower *l, const ast_stmt *s)
{
    ir_val arg[2], end;
    low_place(l, s->at);
    if (!place_ok(l, s, "stream") || !header_ints(l, s, "stream", 2, arg))
        return poison_assigned(l, s);
    stream_grid(l, arg[0], arg[1], s->value->at);
    if (!l->k->has_grid)
        return poison_assigned(l, s);
    stream_cx c = {.steps = bin(l, IR_OP_max, arg[1], num(l, 1))};
    stream_flags(l, &c);
    stream_part(l, &c, arg[0], &end);
    ir_val one = num(l, 1), zero = num(l, 0);
    ir_val tile0 = bin(l, IR_OP_div, c.first, c.steps), tile1 = bin(l, IR_OP_div, bin(l, IR_OP_sub, end, one), c.steps);
    ir_val count = bin(l, IR_OP_add, bin(l, IR_OP_sub, tile1, tile0), one);
    count = ir_select(B(l), ir_cmp(B(l), IR_OP_gt, end, c.first), count, zero);

    tile_loop t = {0};
    t.cx.stream = &c;
    tile_loop_open(l, &t, s, LOOP_STREAM);
    c.tile = bin(l, IR_OP_sub, tile1, t.index);
    ir_val start = bin(l, IR_OP_mul, c.tile, c.steps);
    ir_val k0 = bin(l, IR_OP_max, bin(l, IR_OP_sub, c.first, start), zero);
    c.end = bin(l, IR_OP_min, bin(l, IR_OP_sub, end, start), c.steps);
    fv parts[3] = {fv_rt(c.tile), fv_rt(k0), fv_rt(bin(l, IR_OP_min, c.end, arg[1]))};
    low_assign(l, s->target, fv_seq_dup(l->a, parts, 3, false));
    tile_loop_body(l, &t);
    low_place(l, s->at);
    emit_for(l, zero, count, one, t.r);
    return ST_FALL;
}

/* ---- combine ---- */
typedef struct combine_cx {
    ir_val rows[MAX_ACCS], flags; /* scratch: partial sums, and flags as a pointer */
    ir_val acc[MAX_ACCS];
    ir_type types[MAX_ACCS];
    uint32_t n;
} combine_cx;

static void host_scratch_row(lower *l, const ir_type_info *ti)
{
    kernel_cx *k = l->k;
    vec_push(l->a, &k->scratch, k->grid[0]);
    for (int i = 0; i < ti->rank; i++)
        vec_push(l->a, &k->scratch, ir_const_i(&k->host.b, int_type(l), ti->shape[i]));
}

static bool combine_scratch(lower *l, combine_cx *c, const fv *accs, span at)
{
    for (uint32_t i = 0; i < c->n; i++) {
        int rank = accs[i].kind == FV_RT ? low_rank(l, accs[i]) : 0;
        dtype d = rank && !low_is_ptr(l, accs[i]) ? low_dt(l, accs[i]) : DT_NONE;
        if (!rank || rank >= IR_MAX_TENSOR_RANK || !(dt_is_int(d) || dt_is_float(d))) {
            low_error(l, D_ARG_TYPE, at, "combine", "tiles of numbers, of rank 1 to 4", STR_ARG(low_say(l, accs[i])));
            return false;
        }
        const ir_type_info *ti = low_info(l, accs[i]);
        int64_t shape[IR_MAX_TENSOR_RANK] = {IR_DYN};
        for (int k = 0; k < rank; k++)
            shape[k + 1] = ti->shape[k];
        ir_type t = ir_type_tensor(l->m, ti->elem, rank + 1, shape, false);
        c->rows[i] = hidden_scratch(l->k, "stream.sums", t, PARAM_SCRATCH);
        host_scratch_row(l, ti);
        c->acc[i] = accs[i].v;
        c->types[i] = low_vtype(l, accs[i]);
    }
    c->flags =
        ir_emit1(B(l), IR_OP_tensor_base, ir_type_ptr(l->m, ir_type_num(l->m, DT_I32)), &l->fx->loop->stream->flags, 1);
    return true;
}

static ir_val flag_rmw(lower *l, const combine_cx *c, ir_val row, enum ir_rmw how, int64_t x)
{
    ir_type t = ir_type_num(l->m, DT_I32);
    ir_val in[2] = {ir_ptr_add(B(l), c->flags, row), ir_const_i(B(l), t, x)};
    return ir_emit1a(B(l), IR_OP_atomic_rmw, t, in, 2, KEY_rmw, ir_attr_int(l->m, how));
}

/* one partial sum: loaded, or stored where `value` is given */
static ir_val row_access(lower *l, const combine_cx *c, uint32_t i, ir_val row, const ir_val *value)
{
    const ir_type_info *ti = ir_type_of(l->m, c->types[i]);
    int64_t box[IR_MAX_TENSOR_RANK] = {1};
    ir_val in[IR_MAX_TENSOR_RANK + 2] = {c->rows[i], row};
    uint32_t n = 2;
    for (int k = 0; k < ti->rank; k++) {
        box[k + 1] = ti->shape[k];
        in[n++] = num(l, 0);
    }
    if (!value) {
        ir_val v = ir_emit1(B(l), IR_OP_tensor_load, ir_type_tile(l->m, ti->elem, ti->rank + 1, box), in, n);
        return ir_reshape(B(l), v, ti->rank, ti->shape);
    }
    in[n++] = ir_reshape(B(l), *value, ti->rank + 1, box);
    ir_emit0(B(l), IR_OP_tensor_store, in, n);
    return *value;
}

/* waits until row's flag is up */
static void spin(lower *l, const combine_cx *c, ir_val row)
{
    fx *f = l->fx;
    ir_region cond = ir_region_new(f->f), body = ir_region_new(f->f);
    ir_push(B(l), cond);
    ir_val v = flag_rmw(l, c, row, RMW_ADD, 0);
    ir_val wait = ir_cmp(B(l), IR_OP_eq, v, ir_const_i(B(l), ir_type_num(l->m, DT_I32), 0));
    ir_yield(B(l), &wait, 1);
    ir_pop(B(l));
    ir_push(B(l), body);
    ir_yield(B(l), NULL, 0);
    ir_pop(B(l));
    ir_emit(B(l), &(ir_desc){.code = IR_OP_while, .nregions = 2, .regions = (ir_region[]){cond, body}}, NULL);
}

/* the program whose part holds the tile's first step */
static ir_val first_program(lower *l, const stream_cx *s, ir_val start)
{
    ir_val longer = bin(l, IR_OP_add, s->base, num(l, 1)), cut = bin(l, IR_OP_mul, s->rem, longer);
    ir_val late = bin(l, IR_OP_add, s->rem, bin(l, IR_OP_div, bin(l, IR_OP_sub, start, cut), s->base));
    return ir_select(B(l), ir_cmp(B(l), IR_OP_lt, start, cut), bin(l, IR_OP_div, start, longer), late);
}

/* the owner's side: the others' sums, in ascending order */
static ir_region owner_region(lower *l, const combine_cx *c, const stream_cx *s)
{
    fx *f = l->fx;
    ir_region r = ir_region_new(f->f), body = ir_region_new(f->f);
    ir_push(B(l), r);
    ir_val in[3 + MAX_ACCS], out[MAX_ACCS], sums[MAX_ACCS];
    in[0] = first_program(l, s, bin(l, IR_OP_mul, s->tile, s->steps));
    in[1] = grid_value(l, IR_OP_program_id);
    in[2] = num(l, 1);
    ir_val row = ir_region_param(f->f, body, int_type(l));
    for (uint32_t i = 0; i < c->n; i++) {
        in[3 + i] = c->acc[i];
        sums[i] = ir_region_param(f->f, body, c->types[i]);
    }
    ir_push(B(l), body);
    spin(l, c, row);
    for (uint32_t i = 0; i < c->n; i++)
        sums[i] = bin(l, IR_OP_add, sums[i], row_access(l, c, i, row, NULL));
    flag_rmw(l, c, row, RMW_XCHG, 0);
    ir_yield(B(l), sums, c->n);
    ir_pop(B(l));
    ir_emit(B(l),
            &(ir_desc){.code = IR_OP_for,
                       .nin = 3 + c->n,
                       .in = in,
                       .nout = c->n,
                       .types = c->types,
                       .nregions = 1,
                       .regions = &body},
            out);
    ir_yield(B(l), out, c->n);
    ir_pop(B(l));
    return r;
}

static ir_region other_region(lower *l, const combine_cx *c)
{
    ir_region r = ir_region_new(l->fx->f);
    ir_push(B(l), r);
    ir_val pid = grid_value(l, IR_OP_program_id);
    for (uint32_t i = 0; i < c->n; i++)
        row_access(l, c, i, pid, &c->acc[i]);
    flag_rmw(l, c, pid, RMW_XCHG, 1);
    ir_yield(B(l), c->acc, c->n);
    ir_pop(B(l));
    return r;
}

fv low_combine(lower *l, const fv *accs, uint32_t n, span at)
{
    loop_cx *cx = l->fx->loop;
    if (!cx || cx->kind != LOOP_STREAM || l->fx->regions != cx->regions + 1)
        return low_error(l, D_COMBINE_PLACE, at);
    if (cx->stream->combined)
        return low_error(l, D_COMBINE_TWICE, at);
    cx->stream->combined = true;
    combine_cx c = {.n = n};
    if (n > MAX_ACCS)
        return low_error(l, D_TILE_COUNT, at, "combine", MAX_ACCS, n);
    if (!combine_scratch(l, &c, accs, at))
        return fv_poison();
    ir_val owner = ir_cmp(B(l), IR_OP_eq, cx->stream->end, cx->stream->steps), out[MAX_ACCS];
    ir_region regions[2] = {owner_region(l, &c, cx->stream), other_region(l, &c)};
    ir_emit(B(l), &(ir_desc){.code = IR_OP_if, .nin = 1, .in = &owner, .nout = n, .types = c.types, .nregions = 2,
                             .regions = regions}, out);
    fv r[MAX_ACCS + 1];
    for (uint32_t i = 0; i < n; i++)
        r[i] = fv_rt(out[i]);
    r[n] = fv_rt(owner);
    return fv_seq_dup(l->a, r, n + 1, false);
}
