/* nest.c: one loop nest: outer loops over all but the last extent above 1, the vector loop over that.
 *
 *   pre            (level inner - 1) rows' addresses, how far the masks hold: `end`, a multiple of U * W
 *   main  j < end  U chunks of W lanes, masks taken as true; a second copy stores past the caches, for big outputs
 *   tail  j < n    one chunk of W lanes, everything masked; ends early where a row's stores have ended
 *   done           sums across lanes
 *
 * Reductions along the vector dimension keep U accumulators; chunk number q goes to accumulator q mod U in both parts,
 * so the tree of a sum depends on the shape and the target alone. The tail rotates the accumulators instead of
 * counting: how often it has is known, as `end` is a multiple of U chunks.
 */
#include "backends/cpu/cpu.h"

#include <string.h>

#define MAX_UNROLL 4
#define MAX_JAM 4
#define MAX_BODY 2100 /* instructions, about: a longer loop doesn't fit what holds decoded ones */
#define MAX_LINES 16  /* transposed at a time */

typedef struct body {
    nest n;
    const plan_step *s; /* NULL: a copy */
    int rank;
    int64_t shape[IR_MAX_RANK];
    int vdim; /* the vector dimension */
    int unroll;
    bool may_stream;
    VEC(accum) red;
    /* copies */
    ir_val v;
    dtype to;
    lval base;
    const int64_t *stride;
    int64_t off;
    const panel *panel;
    bool flip;
    lval lead, lines;
    /* code */
    int nouter;
    lblock head[IR_MAX_RANK];
    lval i[IR_MAX_RANK];
    int dim[IR_MAX_RANK];
    int jam, row;            /* rows side by side, and the one at hand */
    uint32_t own[MAX_LINES]; /* their indices */
} body;

typedef struct vloop {
    lblock head, last;
    lval j, next;
    lval phi[PLAN_MAX_REDUCTIONS * MAX_JAM][MAX_UNROLL];
} vloop;

/* ---- shape of the nest ---- */
/* products are an element like any other */
static bool is_reduce(const ir_func *f, ir_op o)
{
    return ir_op_code(f, o) == IR_OP_reduce && !plan_is_products(f, o);
}

static int width_of(const ir_func *f, ir_val v, int widest)
{
    ir_type t = ir_vtype(f, v);
    dtype d = ir_type_dt(f->m, t);
    if (ir_type_rank(f->m, t) == 0 || d == DT_BOOL)
        return widest;
    int bytes = d == DT_NONE ? 8 : dt_bytes(d);
    return bytes > widest ? bytes : widest;
}

static int lanes_within(int vector_bytes, int widest, int64_t extent)
{
    int lanes = vector_bytes / (widest ? widest : 4);
    while (lanes > 1 && lanes / 2 >= extent)
        lanes /= 2;
    return lanes;
}

int nest_lanes(const ir_func *f, const plan_step *s, int vector_bytes, int64_t extent)
{
    int widest = 0;
    for (uint32_t i = 0; i < s->items.n; i++) {
        ir_op o = s->items.at[i];
        ir_code code = ir_op_code(f, o);
        if (code == IR_OP_store || is_reduce(f, o) || code == IR_OP_cast || (code >= IR_OP_eq && code <= IR_OP_ge))
            widest = width_of(f, ir_in(f, o, code == IR_OP_store), widest);
        if (ir_nout(f, o) && !is_reduce(f, o))
            widest = width_of(f, ir_out(f, o, 0), widest);
    }
    return lanes_within(vector_bytes, widest, extent);
}

static int lanes_for(const body *b, const cg *c, const ir_func *f, int64_t extent)
{
    if (b->s)
        return nest_lanes(f, b->s, c->vector_bytes, extent);
    return lanes_within(c->vector_bytes, width_of(f, b->v, b->to == DT_NONE || b->to == DT_BOOL ? 0 : dt_bytes(b->to)),
                        extent);
}

/* does an element depend on its row-major index only, through buffers? then all dimensions are one */
static bool is_flat(const kern *k, ir_val v, int step, int depth)
{
    const ir_func *f = k->f;
    const plan_val *x = &k->p->v[v.id];
    ir_op o = ir_def(f, v);
    if (ir_type_rank(f->m, ir_vtype(f, v)) == 0 || x->cls == VC_CARRIED)
        return true;
    if (x->cls == VC_DATA)
        return x->step != step || (ir_info(f, o)->flags & ELT) || ir_op_code(f, o) == IR_OP_map;
    if (x->cls != VC_SYM || depth > 12)
        return false;
    ir_code code = ir_op_code(f, o);
    if (code == IR_OP_const || code == IR_OP_splat || code == IR_OP_undef)
        return true;
    if (!(ir_info(f, o)->flags & ELT) || (ir_info(f, o)->flags & READ))
        return false;
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        if (!is_flat(k, ir_in(f, o, i), step, depth + 1))
            return false;
    return true;
}

static bool may_flatten(const kern *k, const body *b, int step)
{
    const ir_func *f = k->f;
    if (!b->s) {
        int64_t stride = 1;
        for (int d = b->rank - 1; d >= 0; d--) {
            if (b->shape[d] > 1 && b->stride[d] != stride)
                return false;
            stride *= b->shape[d];
        }
        return is_flat(k, b->v, -1, 0);
    }
    for (uint32_t i = 0; i < b->s->items.n; i++) {
        ir_op o = b->s->items.at[i];
        ir_code code = ir_op_code(f, o);
        if (code == IR_OP_reduce || (ir_info(f, o)->flags & (READ | WRITE)))
            return false;
        for (uint32_t q = 0; q < ir_nin(f, o); q++)
            if (!is_flat(k, ir_in(f, o, q), step, 0))
                return false;
    }
    return true;
}

static bool reduces_vector(const kern *k, const body *b, ir_op o)
{
    return is_reduce(k->f, o) && ir_int(k->f, o, KEY_axis, 0) == b->vdim;
}

/* what the rows have in common is then loaded and computed once, and the sums don't wait for each other */
static int rows_side_by_side(int64_t rows, int size)
{
    int n = MAX_JAM;
    while (n > 1 && (rows % n || n * size > MAX_BODY))
        n--;
    return n;
}

/* about how many instructions a chunk of a row takes */
static int size_of(const kern *k, const body *b)
{
    const ir_func *f = k->f;
    int size = 0;
    for (uint32_t i = 0; b->s && i < b->s->items.n; i++) {
        ir_op o = b->s->items.at[i];
        size += plan_is_products(f, o) ? 6 * b->n.lanes : 1;
    }
    return size;
}

static void choose_panel(kern *k, body *b)
{
    nest *n = &b->n;
    const panel *p = b->panel;
    int line = 2 * b->rank - 3 - p->kdim, units = k->c->vector_bytes / p->unit;
    b->vdim = p->across ? line : p->kdim;
    b->dim[b->nouter++] = p->across ? p->kdim : line;
    n->extent = b->shape[b->vdim];
    n->lanes = p->across ? units : units * p->g;
    b->jam = p->across ? p->g : units;
    b->unroll = p->across && p->g == 1 && n->extent >= p->width ? (int)p->width / units : 1;
}

static void choose(kern *k, body *b, int step)
{
    nest *n = &b->n;
    if (b->panel) {
        choose_panel(k, b);
        return;
    }
    b->vdim = -1;
    for (int d = 0; d < b->rank; d++)
        if (b->shape[d] > 1)
            b->vdim = d;
    if (b->vdim < 0)
        b->vdim = b->rank - 1;
    n->extent = b->shape[b->vdim];
    bool flat = !b->lead && may_flatten(k, b, step);
    for (int d = 0; d < b->vdim; d++) {
        if (b->shape[d] == 1 || (b->lead && d < b->rank - 2))
            continue;
        if (flat)
            n->extent *= b->shape[d];
        else
            b->dim[b->nouter++] = d;
    }
    n->lanes = lanes_for(b, k->c, k->f, n->extent);
    bool reduces = false, has_products = false;
    for (uint32_t i = 0; b->s && i < b->s->items.n; i++) {
        reduces |= reduces_vector(k, b, b->s->items.at[i]);
        has_products |= plan_is_products(k->f, b->s->items.at[i]);
        b->may_stream |= ir_op_code(k->f, b->s->items.at[i]) == IR_OP_store;
    }
    uint32_t size = b->s ? b->s->items.n : 1;
    b->jam = 1;
    if (reduces && b->nouter)
        b->jam = rows_side_by_side(b->shape[b->dim[b->nouter - 1]], size_of(k, b));
    b->unroll = has_products ? 1 : reduces ? MAX_UNROLL / (b->jam > 2 ? 2 : 1) : size <= 24 ? 2 : 1;
    b->may_stream &= !reduces;
    while (b->unroll > 1 && b->unroll * n->lanes > n->extent)
        b->unroll /= 2;
}

static void open_loops(kern *k, body *b, int step)
{
    cg *c = k->c;
    nest *n = &b->n;
    n->step = step;
    n->inner = b->nouter;
    coords own = {.rank = b->rank};
    for (int d = 0; d < b->rank; d++)
        own.at[d] = b->lead && d < b->rank - 2 ? lv_uni(b->lead, -1) : lv_const(n, 0);
    for (int l = 0; l < b->nouter; l++) {
        b->head[l] = cg_block(c, "row");
        cg_at(c, b->head[l]);
        b->i[l] = LLVMBuildPhi(c->b, c->i64, "i");
        n->block[l + 1] = b->head[l];
        own.at[b->dim[l]] = lv_uni(b->i[l], l);
    }
    own.at[b->vdim] = (lv){.v = cg_i64(c, 0), .k = 1, .form = LV_LIN, .level = -1};
    n->sets.at[0] = own;
    for (int u = 1; u < b->jam; u++) {
        int l = b->nouter - 1;
        coords row = own;
        nest_enter(n, l);
        lval at = LLVMBuildAdd(c->b, b->i[l], cg_i64(c, u), "");
        int64_t last = b->shape[b->dim[l]] - 1;
        if ((last + 1) % b->jam) /* lines beyond the last are the last again */
            at = cg_call2(c, CGI_smin, at, cg_i64(c, last));
        row.at[b->dim[l]] = lv_uni(at, l);
        nest_leave(n, l);
        b->own[u] = coords_id(n, &row);
    }
}

/* ---- one chunk ---- */
static void put_in_buffer(kern *k, body *b, ir_val v)
{
    nest *n = &b->n;
    cg *c = k->c;
    const plan_val *x = &k->p->v[v.id];
    dtype d = ir_type_dt(k->f->m, ir_vtype(k->f, v));
    lv lin = linear_index(n, &n->sets.at[n->own], b->shape);
    lval y = lv_vec(n, ev(n, v, n->own));
    nest_enter(n, n->inner);
    buffer_write(n, buffer_address(k, x->buffer), cg_mem(c, d), lin, to_memory(c, y, d));
    nest_leave(n, n->inner);
}

static void map_item(kern *k, nest *n, ir_op o)
{
    const ir_func *f = k->f;
    uint32_t nin = ir_nin(f, o), nout = ir_nout(f, o);
    lval *in = ARENA_ARRAY(k->a, lval, nin), *out = ARENA_ARRAY(k->a, lval, nout);
    for (uint32_t i = 0; i < nin; i++)
        in[i] = lv_vec(n, ev(n, ir_in(f, o, i), n->own));
    region_prepare(k, ir_op_region(f, o, 0));
    nest_enter(n, n->inner);
    region_eval_lanes(k, ir_op_region(f, o, 0), in, nin, n->lanes, out, nout);
    nest_leave(n, n->inner);
    for (uint32_t i = 0; i < nout; i++)
        memo_set(n, ir_out(f, o, i), n->own, (lv){.v = out[i], .form = LV_VEC, .level = (int8_t)n->inner});
}

static void reduce_item(kern *k, body *b, ir_op o, int slot)
{
    nest *n = &b->n;
    cg *c = k->c;
    if (!reduces_vector(k, b, o)) {
        reduce_along(n, o, b->rank, b->shape);
        return;
    }
    accum *r = NULL;
    for (uint32_t i = 0; i < b->red.n; i++)
        if (b->red.at[i].o.id == o.id && b->red.at[i].row == b->row)
            r = &b->red.at[i];
    lval x = lv_vec(n, ev(n, ir_in(k->f, o, 0), n->own));
    nest_enter(n, n->inner);
    if (n->hole)
        x = cg_sel(c, n->hole, x, accum_identity(k, r, n->lanes));
    r->acc[slot] = accum_combine(k, r, r->acc[slot], x, n->lanes);
    nest_leave(n, n->inner);
}

static lval copied(kern *k, body *b, uint32_t at)
{
    nest *n = &b->n;
    cg *c = k->c;
    dtype from = ir_type_dt(k->f->m, ir_vtype(k->f, b->v));
    lval x = lv_vec(n, ev(n, b->v, at));
    nest_enter(n, n->inner);
    if (from != DT_NONE)
        x = cg_cast(c, x, from, b->to, false, n->lanes);
    x = to_memory(c, x, b->to);
    if (b->flip)
        x = LLVMBuildXor(c->b, x, cg_int(LLVMTypeOf(x), -128), "");
    nest_leave(n, n->inner);
    return x;
}

static void panel_chunk(kern *k, body *b)
{
    nest *n = &b->n;
    lval x[MAX_LINES];
    for (int u = 0; u < b->jam; u++) {
        n->own = b->own[u];
        x[u] = copied(k, b, n->own);
    }
    n->own = 0;
    nest_enter(n, n->inner);
    lval line = b->i[0], at = n->j;
    if (b->panel->across) {
        line = n->j;
        at = b->i[0];
    }
    panel_store(k, b->panel, b->base, b->to, x, b->jam, line, at);
    nest_leave(n, n->inner);
}

static void copy_chunk(kern *k, body *b)
{
    nest *n = &b->n;
    cg *c = k->c;
    lval x = copied(k, b, 0);
    lv lin = lv_const(n, b->off);
    for (int d = 0; d < b->rank; d++)
        if (b->shape[d] > 1 && b->stride[d])
            lin = lv_add(n, lin, lv_scale(n, n->sets.at[0].at[d], b->stride[d]));
    nest_enter(n, n->inner);
    buffer_write(n, b->base, cg_mem(c, b->to), lin, x);
    nest_leave(n, n->inner);
}

static void chunk_row(kern *k, body *b, int slot)
{
    nest *n = &b->n;
    const ir_func *f = k->f;
    for (uint32_t i = 0; i < b->s->items.n; i++) {
        ir_op o = b->s->items.at[i];
        switch (ir_op_code(f, o)) {
        case IR_OP_load:
            memo_set(n, ir_out(f, o, 0), n->own, mem_load(n, o, n->own));
            break;
        case IR_OP_store:
            mem_store(n, o);
            break;
        case IR_OP_atomic_rmw:
        case IR_OP_atomic_cas:
            memo_set(n, ir_out(f, o, 0), n->own, mem_atomic(n, o));
            break;
        case IR_OP_map:
            map_item(k, n, o);
            break;
        case IR_OP_reduce:
            if (is_reduce(f, o))
                reduce_item(k, b, o, slot);
            else
                ev(n, ir_out(f, o, 0), n->own);
            break;
        default:
            ev(n, ir_out(f, o, 0), n->own);
            break;
        }
    }
    for (uint32_t i = 0; i < b->s->items.n; i++) {
        ir_op o = b->s->items.at[i];
        for (uint32_t q = 0; q < ir_nout(f, o) && !is_reduce(f, o); q++)
            if (k->p->v[ir_out(f, o, q).id].buffer >= 0)
                put_in_buffer(k, b, ir_out(f, o, q));
    }
}

static void chunk(kern *k, body *b, int slot)
{
    nest *n = &b->n;
    map_clear(&n->inner_memo);
    map_clear(&n->wide);
    map_clear(&n->shared);
    if (b->panel) {
        panel_chunk(k, b);
        return;
    }
    if (!b->s) {
        copy_chunk(k, b);
        return;
    }
    for (b->row = 0; b->row < b->jam; b->row++) {
        n->own = b->own[b->row];
        map_clear(&n->wide);
        n->windows.n = 0;
        chunk_row(k, b, slot);
    }
    n->own = 0;
}

/* ---- the vector loop ---- */
static void make_phis(kern *k, body *b, vloop *v, const char *name)
{
    cg *c = k->c;
    nest *n = &b->n;
    v->head = cg_block(c, name);
    cg_at(c, v->head);
    v->j = LLVMBuildPhi(c->b, c->i64, "j");
    for (uint32_t i = 0; i < b->red.n; i++)
        for (int u = 0; u < b->unroll; u++) {
            lty t = LLVMTypeOf(accum_identity(k, &b->red.at[i], n->lanes));
            v->phi[i][u] = b->red.at[i].acc[u] = LLVMBuildPhi(c->b, t, "");
        }
    n->block[n->inner + 1] = v->head;
}

static void rotate(accum *r, int unroll)
{
    lval first = r->acc[0];
    for (int u = 1; u < unroll; u++)
        r->acc[u - 1] = r->acc[u];
    r->acc[unroll - 1] = first;
}

static void close_phis(const body *b, vloop *v)
{
    for (uint32_t i = 0; i < b->red.n; i++)
        for (int u = 0; u < b->unroll; u++)
            LLVMAddIncoming(v->phi[i][u], (lval *)&b->red.at[i].acc[u], &v->last, 1);
    LLVMAddIncoming(v->j, &v->next, &v->last, 1);
}

/* the main loop without its closing branch */
static vloop main_loop(kern *k, body *b, bool streaming)
{
    cg *c = k->c;
    nest *n = &b->n;
    vloop v;
    n->part = PART_MAIN;
    n->hole = NULL;
    n->streaming = streaming;
    make_phis(k, b, &v, streaming ? "stream" : "main");
    n->turn = v.j;
    for (int u = 0; u < b->unroll; u++) {
        nest_enter(n, n->inner);
        n->j = u ? LLVMBuildAdd(c->b, v.j, cg_i64(c, u * n->lanes), "") : v.j;
        chunk(k, b, u);
    }
    nest_enter(n, n->inner);
    n->j = v.j;
    fetch_ahead(n, b->unroll);
    if (b->red.n && b->nouter)
        fetch_streams(n, b->own, b->jam, b->shape[b->dim[b->nouter - 1]], b->unroll);
    v.next = LLVMBuildAdd(c->b, v.j, cg_i64(c, b->unroll * n->lanes), "");
    v.last = cg_here(c);
    n->streaming = false;
    return v;
}

static vloop tail_loop(kern *k, body *b)
{
    cg *c = k->c;
    nest *n = &b->n;
    vloop v;
    n->part = PART_TAIL;
    make_phis(k, b, &v, "tail");
    n->j = v.j;
    n->hole = NULL;
    if (n->extent % n->lanes) {
        lval left = LLVMBuildTrunc(c->b, LLVMBuildSub(c->b, cg_i64(c, n->extent), v.j, ""), c->i32, "");
        n->hole = cg_icmp(c, LLVMIntSLT, cg_iota(c, c->i32, n->lanes, 0, 1), cg_splat(c, left, n->lanes));
    }
    chunk(k, b, 0);
    for (uint32_t i = 0; i < b->red.n; i++)
        rotate(&b->red.at[i], b->unroll);
    nest_enter(n, n->inner);
    v.next = LLVMBuildAdd(c->b, v.j, cg_i64(c, n->lanes), "");
    v.last = cg_here(c);
    close_phis(b, &v);
    n->hole = NULL;
    return v;
}

/* end of the main part, in the level before the vector loop */
static lval main_end(kern *k, body *b)
{
    cg *c = k->c;
    nest *n = &b->n;
    int64_t group = (int64_t)b->unroll * n->lanes;
    lval end = cg_i64(c, n->extent / group * group);
    nest_enter(n, n->inner - 1);
    if (n->limits.n) {
        end = n->limits.at[0];
        for (uint32_t i = 1; i < n->limits.n; i++)
            end = cg_call2(c, CGI_smin, end, n->limits.at[i]);
        end = LLVMBuildAnd(c->b, end, cg_i64(c, -group), "");
    }
    nest_leave(n, n->inner - 1);
    return end;
}

static void finish_reductions(kern *k, body *b, vloop *merge, int rotated)
{
    nest *n = &b->n;
    for (uint32_t i = 0; i < b->red.n; i++) {
        accum *r = &b->red.at[i];
        lval slots[MAX_UNROLL];
        for (int u = 0; u < b->unroll; u++)
            slots[u] = merge->phi[i][((u - rotated) % b->unroll + b->unroll) % b->unroll];
        lval x = accum_finish(k, r, slots, b->unroll, n->lanes);
        ir_val out = ir_out(k->f, r->o, 0);
        if (ir_type_rank(k->f->m, ir_vtype(k->f, out)) == 0) {
            k->scalar[out.id] = x;
            continue;
        }
        coords at = n->sets.at[b->own[r->row]];
        const ir_type_info *t = ir_type_of(k->f->m, ir_vtype(k->f, out));
        at.rank = t->rank;
        memmove(at.at + b->vdim, at.at + b->vdim + 1, (size_t)(b->rank - 1 - b->vdim) * sizeof(lv));
        lblock here = cg_here(k->c);
        lv lin = linear_index(n, &at, t->shape);
        cg_at(k->c, here);
        lty mem = cg_mem(k->c, r->elt.to);
        lval p = cg_gep(k->c, mem, buffer_address(k, k->p->v[out.id].buffer), lin.v);
        cg_store(k->c, to_memory(k->c, x, r->elt.to), p, (unsigned)dt_bytes(r->elt.to));
    }
}

/* merges the ways into `at`: each from block `from[i]` with index j[i] and accumulators of `ways[i]` (NULL: identities)
 */
static void merge_in(kern *k, body *b, vloop *m, lblock from, lval j, const vloop *way, bool phis)
{
    nest *n = &b->n;
    LLVMAddIncoming(m->j, &j, &from, 1);
    for (uint32_t i = 0; i < b->red.n; i++)
        for (int u = 0; u < b->unroll; u++) {
            lval x = accum_identity(k, &b->red.at[i], n->lanes);
            if (way && phis)
                x = way->phi[i][u];
            else if (way) /* the value that goes round the loop: the phi's second incoming */
                x = LLVMGetIncomingValue(way->phi[i][u], 0);
            LLVMAddIncoming(m->phi[i][u], &x, &from, 1);
        }
}

static void branch_back(cg *c, const vloop *v, lval end, lblock exit)
{
    cg_at(c, v->last);
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSLT, v->next, end), v->head, exit);
}

/* nothing is done but stores under masks, and what they need */
static bool only_stores(kern *k, const body *b)
{
    const ir_func *f = k->f;
    bool any = false;
    for (uint32_t i = 0; b->s && i < b->s->items.n; i++) {
        ir_op o = b->s->items.at[i];
        ir_code code = ir_op_code(f, o);
        if (code == IR_OP_store ? ir_nin(f, o) < 3 : !(ir_info(f, o)->flags & PURE) && code != IR_OP_load)
            return false;
        any |= code == IR_OP_store;
        for (uint32_t q = 0; q < ir_nout(f, o); q++)
            if (is_reduce(f, o) || k->p->v[ir_out(f, o, q).id].buffer >= 0)
                return false;
    }
    return any && !b->red.n;
}

/* the parts of a vector loop, made first and joined by branches after */
typedef struct parts {
    bool has_main, has_tail, stream;
    vloop main, far, tail, mid, done; /* mid, done: blocks with the same phis, where ways meet */
    lval end;                         /* of the main part */
} parts;

static void make_parts(kern *k, body *b, parts *v)
{
    nest *n = &b->n;
    int64_t group = (int64_t)b->unroll * n->lanes;
    v->has_main = n->extent >= group;
    v->stream = v->has_main && b->may_stream && k->big;
    v->end = cg_i64(k->c, 0);
    n->prefix = v->has_main && only_stores(k, b);
    n->live = n->sure = NULL;
    if (v->has_main) {
        v->main = main_loop(k, b, false);
        close_phis(b, &v->main);
        v->end = main_end(k, b);
    }
    if (v->stream) {
        uint32_t limits = n->limits.n; /* the same again */
        v->far = main_loop(k, b, true);
        close_phis(b, &v->far);
        n->limits.n = limits;
    }
    v->has_tail = n->limits.n || !v->has_main || n->extent % group;
    make_phis(k, b, &v->mid, "rest");
    if (v->has_tail)
        v->tail = tail_loop(k, b);
    make_phis(k, b, &v->done, "done");
}

/* rest -> tail -> done */
static void join_tail(kern *k, body *b, parts *v)
{
    cg *c = k->c;
    lval extent = cg_i64(c, b->n.extent);
    if (v->has_tail) {
        cg_at(c, v->tail.last);
        lval more = cg_icmp(c, LLVMIntSLT, v->tail.next, extent);
        if (b->n.prefix && b->n.live) {
            lval on = b->n.live;
            if (b->n.sure)
                on = LLVMBuildOr(c->b, on, LLVMBuildNot(c->b, b->n.sure, ""), "");
            more = LLVMBuildAnd(c->b, more, on, "");
        }
        LLVMBuildCondBr(c->b, more, v->tail.head, v->done.head);
        merge_in(k, b, &v->done, v->tail.last, v->tail.next, &v->tail, false);
        merge_in(k, b, &v->tail, v->mid.head, v->mid.j, &v->mid, true);
    }
    cg_at(c, v->mid.head);
    if (v->has_tail && v->has_main)
        LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSLT, v->mid.j, extent), v->tail.head, v->done.head);
    else
        LLVMBuildBr(c->b, v->has_tail ? v->tail.head : v->done.head);
    if (v->has_main || !v->has_tail)
        merge_in(k, b, &v->done, v->mid.head, v->mid.j, &v->mid, true);
}

/* the level before -> the streaming or the plain main part -> rest */
static void join_main(kern *k, body *b, parts *v)
{
    cg *c = k->c;
    nest *n = &b->n;
    nest_enter(n, n->inner - 1);
    lval zero = cg_i64(c, 0), some = cg_icmp(c, LLVMIntSGT, v->end, zero);
    lblock pre = cg_here(c), pick = v->stream ? cg_block(c, "pick") : pre;
    if (v->stream) {
        lval go = n->aligned.n ? k->big : cg_int(c->i1, 0);
        for (uint32_t i = 0; i < n->aligned.n; i++)
            go = LLVMBuildAnd(c->b, go, n->aligned.at[i], "");
        LLVMBuildCondBr(c->b, some, pick, v->mid.head);
        cg_at(c, pick);
        LLVMBuildCondBr(c->b, go, v->far.head, v->main.head);
        merge_in(k, b, &v->far, pick, zero, NULL, false);
        branch_back(c, &v->far, v->end, v->mid.head);
        merge_in(k, b, &v->mid, v->far.last, v->far.next, &v->far, false);
    } else if (v->has_main) {
        LLVMBuildCondBr(c->b, some, v->main.head, v->mid.head);
    } else {
        LLVMBuildBr(c->b, v->mid.head);
    }
    merge_in(k, b, &v->mid, pre, zero, NULL, false);
    if (v->has_main) {
        merge_in(k, b, &v->main, pick, zero, NULL, false);
        branch_back(c, &v->main, v->end, v->mid.head);
        merge_in(k, b, &v->mid, v->main.last, v->main.next, &v->main, false);
    }
}

/* builds the vector loop and leaves the builder where the row ends */
static void vector_loops(kern *k, body *b)
{
    nest *n = &b->n;
    parts *v = ARENA_NEW(k->a, parts);
    make_parts(k, b, v);
    join_tail(k, b, v);
    cg_at(k->c, v->done.head);
    n->block[n->inner + 1] = v->done.head;
    int64_t chunks = (n->extent + n->lanes - 1) / n->lanes;
    finish_reductions(k, b, &v->done, v->has_tail ? (int)(chunks % b->unroll) : 0);
    lblock row_end = cg_here(k->c);
    join_main(k, b, v);
    cg_at(k->c, row_end);
}

static void close_loops(kern *k, body *b)
{
    cg *c = k->c;
    nest *n = &b->n;
    for (int l = b->nouter - 1; l >= 0; l--) {
        lblock here = cg_here(c), exit = cg_block(c, "rows.done");
        int64_t step = l == b->nouter - 1 ? b->jam : 1;
        lval next = LLVMBuildAdd(c->b, b->i[l], cg_i64(c, step), ""), zero = cg_i64(c, 0);
        lval end = b->lines && l == b->nouter - 1 ? b->lines : cg_i64(c, b->shape[b->dim[l]]);
        LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSLT, next, end), b->head[l], exit);
        lblock before = n->block[l];
        cg_at(c, before);
        LLVMBuildBr(c->b, b->head[l]);
        LLVMAddIncoming(b->i[l], (lval[]){zero, next}, (lblock[]){before, here}, 2);
        cg_at(c, exit);
    }
}

static void run(kern *k, body *b, int step)
{
    nest *saved = k->n;
    nest_straight(&b->n, k);
    k->n = &b->n;
    choose(k, b, step);
    for (uint32_t i = 0; b->s && i < b->s->items.n; i++)
        for (int u = 0; u < b->jam && reduces_vector(k, b, b->s->items.at[i]); u++) {
            accum r;
            accum_init(k, &r, b->s->items.at[i], b->n.lanes);
            r.row = u;
            vec_push(k->a, &b->red, r);
        }
    open_loops(k, b, step);
    vector_loops(k, b);
    close_loops(k, b);
    k->n = saved;
    saved->block[0] = cg_here(k->c);
}

void nest_emit(kern *k, int step)
{
    const plan_step *s = &k->p->steps.at[step];
    body *b = ARENA_NEW(k->a, body);
    b->s = s;
    b->rank = s->rank;
    memcpy(b->shape, s->shape, sizeof b->shape);
    nest_enter(k->n, -1);
    run(k, b, step);
}

static body *copy_of(kern *k, ir_val v, dtype to, lval base)
{
    const ir_type_info *t = ir_type_of(k->f->m, ir_vtype(k->f, v));
    body *b = ARENA_NEW(k->a, body);
    b->rank = t->rank;
    memcpy(b->shape, t->shape, sizeof b->shape);
    b->v = v;
    b->to = to;
    b->base = base;
    return b;
}

void nest_copy(kern *k, ir_val v, dtype to, lval base, const int64_t *stride, int64_t off)
{
    body *b = copy_of(k, v, to, base);
    b->stride = stride;
    b->off = off;
    nest_enter(k->n, -1);
    run(k, b, -1);
}

void nest_panels(kern *k, ir_val v, dtype to, lval base, const panel *p, bool flip, lval lead, lval lines)
{
    body *b = copy_of(k, v, to, base);
    b->panel = p;
    b->flip = flip;
    b->lead = lead;
    b->lines = p->across ? NULL : lines;
    nest_enter(k->n, -1);
    run(k, b, -1);
}

void nest_rows(kern *k, ir_val v, dtype to, lval base, int64_t pitch, bool flip, lval lead, lval lines)
{
    int64_t stride[IR_MAX_RANK] = {0};
    body *b = copy_of(k, v, to, base);
    stride[b->rank - 1] = 1;
    stride[b->rank - 2] = pitch;
    b->stride = stride;
    b->flip = flip;
    b->lead = lead ? lead : cg_i64(k->c, 0);
    b->lines = b->shape[b->rank - 1] > 1 ? lines : NULL;
    nest_enter(k->n, -1);
    run(k, b, -1);
}
