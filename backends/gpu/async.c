/* async.c: what starts now and completes later: channels, tensor-map copies, and the waits for them.
 *
 * What is multicast comes from every block of the cluster: `full` waits for the bytes of all, `empty` for the consumers
 * of all, who arrive at each block's.
 *
 * A channel's slot has two mbarriers. `full` counts one arrival, of the thread that announces the bytes and starts the
 * copies (or, where the slot is filled by stores, arrives behind them), and the bytes themselves; where threads copy
 * for themselves (cp_async), one of each, which comes when its copies are done. `empty` counts one arrival from each
 * consumer: a warpgroup that read by its matrix unit, or a warp where the slot is also read by ordinary loads. A
 * producer at position pos waits for the phase before its own, so that the first round through the ring passes at once.
 */
#include "backends/gpu/async.h"

#include <string.h>

/* ---- planning: over the whole function, before any code ---- */
typedef struct plan_walk {
    gk *k;
    int64_t copies, warps; /* of the partition we are in */
} plan_walk;

ir_op gpu_slot_of(const ir_func *f, ir_val v)
{
    ir_op o = ir_def(f, v);
    while (o.id && (ir_op_code(f, o) == IR_OP_shared_slice || ir_op_code(f, o) == IR_OP_shared_trans))
        o = ir_def(f, ir_in(f, o, 0));
    return o;
}

static void plan_chan(gk *k, ir_op o)
{
    ir_val v = ir_out(k->f, o, 0);
    const ir_type_info *t = ir_type_of(k->m, ir_vtype(k->f, v));
    gpu_chan *ch = &k->chan[v.id];
    ch->stages = t->stages;
    for (int i = 0; i < t->nparts; i++) {
        ch->part[i] = ch->slot_bytes;
        ch->slot_bytes += (gpu_shared_bytes(k, t->parts[i]) + 1023) / 1024 * 1024;
    }
    ch->at = gpu_shared(k, ch->slot_bytes * t->stages, 1024);
}

/* all blocks run the same code, so each sends its box to all: a slot's bytes are known before */
static void plan_multicast(gk *k, ir_op o)
{
    ir_op slot = gpu_slot_of(k->f, ir_in(k->f, o, ir_nin(k->f, o) - 1));
    if (ir_int(k->f, o, KEY_multicast, 0) != ((int64_t)1 << k->cluster) - 1)
        gpu_fail(k, o, "multicast to some blocks of the cluster: all %d get a box", k->cluster);
    else if (slot.id && ir_op_code(k->f, slot) == IR_OP_put_enter)
        k->chan[ir_in(k->f, slot, 0).id].multicast = k->cluster > 1;
}

static void plan_map(gk *k, ir_op o)
{
    bool load = ir_op_code(k->f, o) == IR_OP_tma_load;
    if (load && ir_int(k->f, o, KEY_multicast, 0))
        plan_multicast(k, o);
    if (gpu_map_of(k, o, load) < 0 && !k->failed)
        gpu_fail(k, o, "more than %d different tensor maps", GPU_MAX_MAPS);
}

/* what the copies are whose tokens a put_exit takes */
typedef enum fill { FILL_STORES, FILL_TENSOR, FILL_THREADS, FILL_MIXED } fill;

static fill fill_of(const ir_func *f, ir_op exit)
{
    bool tensor = false, threads = false;
    for (uint32_t i = 2; i < ir_nin(f, exit); i++) {
        ir_op o = ir_def(f, ir_in(f, exit, i));
        if (o.id && ir_op_code(f, o) == IR_OP_tma_load)
            tensor = true;
        else if (o.id && ir_op_code(f, o) == IR_OP_cp_async)
            threads = true;
        else
            return FILL_MIXED;
    }
    return tensor && threads ? FILL_MIXED : tensor ? FILL_TENSOR : threads ? FILL_THREADS : FILL_STORES;
}

static void plan_producer(plan_walk *w, ir_op o)
{
    gk *k = w->k;
    if (fill_of(k->f, o) == FILL_THREADS)
        k->chan[ir_in(k->f, o, 0).id].copiers = (int)(w->warps * k->chip->lanes);
}

static void plan_consumer(plan_walk *w, ir_op o)
{
    gk *k = w->k;
    gpu_chan *ch = &k->chan[ir_in(k->f, o, 0).id];
    if (!ch->consumers)
        ch->consumers = (int)(w->copies * (w->warps >= 4 ? w->warps / 4 : 1));
}

static void plan_read(plan_walk *w, ir_op o)
{
    gk *k = w->k;
    ir_op slot = gpu_slot_of(k->f, ir_in(k->f, o, 0));
    if (!slot.id || ir_op_code(k->f, slot) != IR_OP_get_enter)
        return;
    gpu_chan *ch = &k->chan[ir_in(k->f, slot, 0).id];
    ch->by_warp = true;
    ch->consumers = (int)(w->copies * w->warps);
}

static void plan_region(plan_walk *w, ir_region r)
{
    gk *k = w->k;
    const ir_func *f = k->f;
    FOR_OPS(f, r, o)
    {
        ir_code code = ir_op_code(f, o);
        plan_walk inner = *w;
        if (code == IR_OP_chan)
            plan_chan(k, o);
        else if (code == IR_OP_shared_alloc)
            k->shared_at[ir_out(f, o, 0).id] = gpu_shared(k, gpu_shared_bytes(k, ir_vtype(f, ir_out(f, o, 0))), 1024);
        else if (code == IR_OP_tma_load || code == IR_OP_tma_store)
            plan_map(k, o);
        else if (code == IR_OP_put_exit)
            plan_producer(w, o);
        else if (code == IR_OP_get_exit)
            plan_consumer(w, o);
        else if (code == IR_OP_shared_load)
            plan_read(w, o);
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++) {
            if (code == IR_OP_partitions) {
                uint32_t n;
                inner.copies = ir_ints(f, o, KEY_copies, &n)[i];
                inner.warps = ir_ints(f, o, KEY_warps, &n)[i];
                k->copies = (int)inner.copies;
            }
            plan_region(&inner, ir_op_region(f, o, i));
            k->copies = 1;
        }
    }
}

void gpu_plan_async(gk *k)
{
    plan_walk w = {.k = k, .copies = 1, .warps = k->warps};
    plan_region(&w, k->f->body);
    for (uint32_t v = 0; v < k->f->vals.n; v++)
        if (k->chan[v].stages)
            k->chan[v].bars = gpu_shared(k, 16 * k->chan[v].stages, 16);
}

/* every thread says for itself that it has read: where threads also copy into the slots, as checkers of races know no
 * other order between what one of them read and another writes */
static bool each_reads(const gpu_chan *ch)
{
    return ch->copiers && ch->by_warp;
}

/* one thread initialises every barrier; nobody goes on before it has */
void gpu_init_channels(gk *k)
{
    cg *c = k->c;
    bool any = false;
    for (uint32_t v = 0; v < k->f->vals.n; v++)
        any |= k->chan[v].stages > 0;
    if (!any && k->cluster > 1)
        k->ops->cluster_barrier(c); /* a block's shared memory is there once it has begun */
    if (!any)
        return;
    lblock yes = cg_block(c, "init"), next = cg_block(c, "start");
    LLVMBuildCondBr(c->b, k->leader, yes, next);
    cg_at(c, yes);
    for (uint32_t v = 0; v < k->f->vals.n; v++) {
        const gpu_chan *ch = &k->chan[v];
        for (int s = 0; s < ch->stages; s++) {
            lval full = LLVMBuildAdd(c->b, k->shared, cg_i32(c, ch->bars + 8 * s), "");
            lval empty = LLVMBuildAdd(c->b, k->shared, cg_i32(c, ch->bars + 8 * (ch->stages + s)), "");
            k->ops->mbar_init(c, full, ch->copiers ? ch->copiers : 1);
            int readers = (ch->consumers ? ch->consumers : 1) * (each_reads(ch) ? k->chip->lanes : 1);
            k->ops->mbar_init(c, empty, ch->multicast ? readers * k->cluster : readers);
        }
    }
    k->ops->mbar_init_fence(c);
    LLVMBuildBr(c->b, next);
    cg_at(c, next);
    if (k->cluster > 1)
        k->ops->cluster_barrier(c);
    else
        k->ops->barrier(c, 0, NULL, 0);
}

/* ---- channels ---- */
typedef struct slot_at {
    const gpu_chan *ch;
    lval index, phase; /* i32 */
} slot_at;

static slot_at slot_of(gk *k, ir_op o)
{
    cg *c = k->c;
    slot_at s = {.ch = &k->chan[ir_in(k->f, o, 0).id]};
    lval pos = gpu_get(k, ir_in(k->f, o, 1)), n = cg_i32(c, s.ch->stages);
    s.index = LLVMBuildURem(c->b, pos, n, "");
    s.phase = LLVMBuildAnd(c->b, LLVMBuildUDiv(c->b, pos, n, ""), cg_i32(c, 1), "");
    return s;
}

static lval barrier_at(gk *k, const slot_at *s, bool empty)
{
    cg *c = k->c;
    lval base = LLVMBuildAdd(c->b, k->shared, cg_i32(c, s->ch->bars + (empty ? 8 * s->ch->stages : 0)), "");
    return LLVMBuildAdd(c->b, base, LLVMBuildShl(c->b, s->index, cg_i32(c, 3), ""), "");
}

static void give_tiles(gk *k, ir_op o, const slot_at *s)
{
    cg *c = k->c;
    lval base = LLVMBuildAdd(c->b, k->shared, cg_i32(c, s->ch->at), "");
    base = LLVMBuildAdd(c->b, base, LLVMBuildMul(c->b, s->index, cg_i32(c, s->ch->slot_bytes), ""), "");
    for (uint32_t i = 0; i < ir_nout(k->f, o); i++)
        gpu_set(k, ir_out(k->f, o, i), 1)[0] = LLVMBuildAdd(c->b, base, cg_i32(c, s->ch->part[i]), "");
}

/* the put_exit that ends what `enter` began: in the same region, of the same channel and position */
static ir_op exit_of(gk *k, ir_op enter)
{
    for (ir_op o = ir_next(k->f, enter); o.id; o = ir_next(k->f, o))
        if (ir_op_code(k->f, o) == IR_OP_put_exit && ir_in(k->f, o, 0).id == ir_in(k->f, enter, 0).id &&
            ir_in(k->f, o, 1).id == ir_in(k->f, enter, 1).id)
            return o;
    return (ir_op){0};
}

static void in_leader(gk *k, void (*body)(gk *, void *), void *ctx)
{
    cg *c = k->c;
    lblock yes = NULL, next = NULL;
    if (k->leader) {
        yes = cg_block(c, "leader");
        next = cg_block(c, "next");
        LLVMBuildCondBr(c->b, k->leader, yes, next);
        cg_at(c, yes);
    }
    body(k, ctx);
    if (k->leader) {
        LLVMBuildBr(c->b, next);
        cg_at(c, next);
    }
}

typedef struct put {
    slot_at s;
    int64_t bytes;
} put;

static void announce(gk *k, void *ctx)
{
    const put *p = ctx;
    lval other = LLVMBuildXor(k->c->b, p->s.phase, cg_i32(k->c, 1), "");
    k->ops->mbar_wait(k->c, barrier_at(k, &p->s, true), other);
    if (p->bytes)
        k->ops->mbar_expect(k->c, barrier_at(k, &p->s, false), (int)p->bytes, NULL);
}

static void op_put_enter(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    put p = {.s = slot_of(k, o)};
    ir_op end = exit_of(k, o);
    if (!end.id) {
        gpu_fail(k, o, "no put_exit of this slot follows in its region");
        return;
    }
    fill how = fill_of(f, end);
    for (uint32_t i = 2; i < ir_nin(f, end) && how == FILL_TENSOR; i++) {
        ir_op load = ir_def(f, ir_in(f, end, i));
        int64_t bytes = gpu_shared_bytes(k, ir_vtype(f, ir_in(f, load, ir_nin(f, load) - 1)));
        p.bytes += ir_int(f, load, KEY_multicast, 0) ? bytes * k->cluster : bytes;
    }
    switch (how) {
    case FILL_MIXED:
        gpu_fail(k, end, "a channel is filled by tma_load, by cp_async or by stores, one of them");
        return;
    case FILL_THREADS:
        k->ops->mbar_wait(k->c, barrier_at(k, &p.s, true), LLVMBuildXor(k->c->b, p.s.phase, cg_i32(k->c, 1), ""));
        break;
    case FILL_TENSOR:
        in_leader(k, announce, &p);
        break;
    case FILL_STORES:
        in_leader(k, announce, &p);
        if (k->leader) /* all of the group store into it */
            gpu_barrier(k);
        break;
    }
    give_tiles(k, o, &p.s);
}

/* tensor copies make their slot full themselves */
static void op_put_exit(gk *k, ir_op o)
{
    fill how = fill_of(k->f, o);
    if (how == FILL_TENSOR)
        return;
    slot_at s = slot_of(k, o);
    if (how == FILL_THREADS) {
        k->ops->cp_arrive(k->c, barrier_at(k, &s, false));
        return;
    }
    if (k->leader)
        gpu_barrier(k);
    k->ops->mbar_arrive(k->c, barrier_at(k, &s, false), k->leader);
}

static void op_get_enter(gk *k, ir_op o)
{
    slot_at s = slot_of(k, o);
    k->ops->mbar_wait(k->c, barrier_at(k, &s, false), s.phase);
    give_tiles(k, o, &s);
}

static void op_get_exit(gk *k, ir_op o)
{
    cg *c = k->c;
    slot_at s = slot_of(k, o);
    if (s.ch->by_warp && !each_reads(s.ch))
        k->ops->warp_sync(c);
    lval who = s.ch->by_warp || k->warps < 4 ? k->lane : LLVMBuildAnd(c->b, k->tid, cg_i32(c, 127), "");
    lval at = barrier_at(k, &s, true);
    if (each_reads(s.ch))
        k->ops->mbar_arrive(c, at, NULL);
    else if (s.ch->multicast)
        k->ops->mbar_arrive_remote(c, at, who, cg_icmp(c, LLVMIntULT, who, cg_i32(c, k->cluster)));
    else
        k->ops->mbar_arrive(c, at, cg_icmp(c, LLVMIntEQ, who, cg_i32(c, 0)));
}

/* ---- tensor maps ---- */
int64_t gpu_shared_bytes(gk *k, ir_type t)
{
    return lay_shared_elems(gpu_shared_lay(k, t)) * (int64_t)dt_bytes(ir_type_of(k->m, t)->dt);
}

/* index of the map for a copy, made if need be; -1: too many or not a box */
int gpu_map_of(gk *k, ir_op o, bool load)
{
    if (!k->chip->has_tma) {
        gpu_fail(k, o, "the chip has no tensor maps");
        return -1;
    }
    const ir_func *f = k->f;
    ir_val t = ir_in(f, o, load ? 0 : 1), m = ir_in(f, o, load ? ir_nin(f, o) - 1 : 0);
    const ir_type_info *ti = ir_type_of(k->m, ir_vtype(f, t)), *mi = ir_type_of(k->m, ir_vtype(f, m));
    int width = gpu_swizzle_of(gpu_shared_lay(k, ir_vtype(f, m)), mi->rank - 1, mi->rank - 2, (int)dt_bytes(mi->dt));
    if (ir_def(f, t).id) {
        gpu_fail(k, o, "the tensor is not a parameter of the kernel");
        return -1;
    }
    gpu_map map = {.param = (int32_t)f->vals.at[t.id].index, .rank = ti->rank, .swizzle = width, .dt = ti->dt};
    int64_t cols = mi->shape[mi->rank - 1];
    for (int d = 0; d < ti->rank; d++)
        map.box[d] = d < ti->rank - mi->rank ? 1 : mi->shape[d - (ti->rank - mi->rank)];
    if (width && cols * (int64_t)dt_bytes(mi->dt) > width)
        map.box[ti->rank - 1] = width / (int64_t)dt_bytes(mi->dt);
    for (int d = 0; d < ti->rank; d++)
        if (map.box[d] > 256) {
            gpu_fail(k, o, "a box of %lld elements along dimension %d, at most 256 are copied at once",
                     (long long)map.box[d], d);
            return -1;
        }
    for (uint32_t i = 0; i < k->nmaps; i++) {
        const gpu_map *h = &k->maps[i];
        if (h->param == map.param && h->swizzle == map.swizzle &&
            memcmp(h->box, map.box, sizeof *map.box * (size_t)map.rank) == 0)
            return (int)i;
    }
    if (k->nmaps == GPU_MAX_MAPS)
        return -1;
    k->maps[k->nmaps] = map;
    return (int)k->nmaps++;
}

static void op_tma(gk *k, ir_op o, bool load)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_val t = ir_in(f, o, load ? 0 : 1), m = ir_in(f, o, load ? ir_nin(f, o) - 1 : 0);
    const ir_type_info *ti = ir_type_of(k->m, ir_vtype(f, t)), *mi = ir_type_of(k->m, ir_vtype(f, m));
    int index = gpu_map_of(k, o, load), rank = ti->rank;
    if (index < 0)
        return;
    const gpu_map *map = &k->maps[index];
    int64_t cols = mi->shape[mi->rank - 1], width = map->box[rank - 1];
    int64_t box_at[LAY_MAX_RANK] = {0};
    lval base = gpu_get(k, m), coord[IR_MAX_TENSOR_RANK], bar = NULL;
    for (int d = 0; d < rank; d++)
        coord[d] = gpu_get(k, ir_in(f, o, (load ? 1u : 2u) + (uint32_t)(rank - 1 - d)));
    int multicast = load && k->cluster > 1 ? (int)ir_int(f, o, KEY_multicast, 0) : 0;
    if (load) {
        ir_op slot = gpu_slot_of(f, m);
        if (!slot.id || ir_op_code(f, slot) != IR_OP_put_enter) {
            gpu_fail(k, o, "a tma_load goes into a slot of a channel");
            return;
        }
        slot_at s = slot_of(k, slot);
        bar = barrier_at(k, &s, false);
    }
    for (int64_t at = 0; at < cols; at += width) {
        lval first = coord[0];
        box_at[mi->rank - 1] = at;
        int64_t off = lay_shared_offset(gpu_shared_lay(k, ir_vtype(f, m)), box_at) * (int64_t)dt_bytes(mi->dt);
        lval p = off ? LLVMBuildAdd(c->b, base, cg_i32(c, off), "") : base;
        if (at)
            coord[0] = LLVMBuildAdd(c->b, first, cg_i32(c, at), "");
        if (load)
            k->ops->tma_load(c, p, k->map_ptr[index], coord, rank, bar, multicast, k->leader);
        else
            k->ops->tma_store(c, p, k->map_ptr[index], coord, rank, (int)ir_int(f, o, KEY_rmw, -1), k->leader);
        coord[0] = first;
    }
    if (!load)
        k->ops->bulk_commit(c, k->leader);
}

/* ---- shared tiles ---- */
static void op_slice(gk *k, ir_op o)
{
    cg *c = k->c;
    const ir_func *f = k->f;
    ir_type whole = ir_vtype(f, ir_in(f, o, 0));
    const ir_type_info *a = ir_type_of(k->m, whole), *r = ir_type_of(k->m, ir_vtype(f, ir_out(f, o, 0)));
    const lay_shared *s = gpu_shared_lay(k, whole);
    lval p = gpu_get(k, ir_in(f, o, 0));
    for (int d = 0; d < a->rank; d++) {
        /* offsets are multiples of the slice's extent: as many bits as the rest of the tile has */
        int64_t ext = d < a->rank - r->rank ? 1 : r->shape[d - (a->rank - r->rank)], unit = ext & -ext;
        uint32_t image[32], mask = 0;
        int n = 0;
        for (int64_t step = unit; step < a->shape[d]; step *= 2) {
            int64_t coord[LAY_MAX_RANK] = {0};
            coord[d] = step;
            image[n++] = (uint32_t)(lay_shared_offset(s, coord) * (int64_t)dt_bytes(a->dt));
        }
        lval x = gpu_get(k, ir_in(f, o, 1 + (uint32_t)d));
        lval index = LLVMBuildLShr(c->b, x, cg_i32(c, __builtin_ctzll((unsigned long long)unit)), "");
        lval off = NULL;
        bool straight = n > 0 && (a->shape[d] & (a->shape[d] - 1)) != 0;
        if (straight)
            off = LLVMBuildMul(c->b, index, cg_i32(c, image[0]), ""); /* an odd number of pieces: evenly apart */
        else
            off = gpu_linear(k, index, n, image, NULL, &mask);
        if (off)
            p = LLVMBuildAdd(c->b, p, off, "");
    }
    gpu_set(k, ir_out(f, o, 0), 1)[0] = p;
}

/* ---- waits ---- */
/* what kind of op a token comes from, through whatever carried it; 0 where it is done */
static uint32_t kinds_of(const ir_func *f, ir_val v, int depth)
{
    ir_op o = ir_def(f, v);
    uint32_t index = f->vals.at[v.id].index;
    if (depth > 8)
        return 0;
    if (!o.id) { /* a region's parameter */
        ir_op owner = f->regions.at[f->vals.at[v.id].region.id].owner;
        ir_code code = owner.id ? ir_op_code(f, owner) : IR_NOP;
        if (code == IR_OP_for)
            return kinds_of(f, ir_in(f, owner, 3 + index - 1), depth + 1) |
                   kinds_of(f, ir_in(f, ir_last(f, ir_op_region(f, owner, 0)), index - 1), depth + 1);
        if (code == IR_OP_while)
            return kinds_of(f, ir_in(f, owner, index), depth + 1) |
                   kinds_of(f, ir_in(f, ir_last(f, ir_op_region(f, owner, 1)), index), depth + 1);
        return 0;
    }
    switch (ir_op_code(f, o)) {
    case IR_OP_wgmma:
        return 1u << WAIT_WGMMA;
    case IR_OP_tma_store:
        return 1u << WAIT_BULK;
    case IR_OP_cp_async:
        return 1u << WAIT_CP;
    case IR_OP_for:
        return kinds_of(f, ir_in(f, o, 3 + index), depth + 1) |
               kinds_of(f, ir_in(f, ir_last(f, ir_op_region(f, o, 0)), index), depth + 1);
    case IR_OP_while:
        return kinds_of(f, ir_in(f, ir_last(f, ir_op_region(f, o, 1)), index), depth + 1);
    case IR_OP_if:
        return kinds_of(f, ir_in(f, ir_last(f, ir_op_region(f, o, 0)), index), depth + 1) |
               kinds_of(f, ir_in(f, ir_last(f, ir_op_region(f, o, 1)), index), depth + 1);
    default:
        return 0;
    }
}

/* f32 registers are given anew by the wait; 16-bit ones are kept as they are, in the words that the units read */
static void wait_matrix(gk *k, ir_op o, uint32_t first, int pending)
{
    const ir_func *f = k->f;
    uint32_t nv = 0, nu = 0;
    for (uint32_t i = first; i < ir_nin(f, o); i++) {
        bool f32 = ir_type_dt(k->m, ir_vtype(f, ir_in(f, o, i))) == DT_F32;
        *(f32 ? &nv : &nu) += k->val[ir_in(f, o, i).id].n;
    }
    lval *v = ARENA_ARRAY(k->a, lval, nv), *u = ARENA_ARRAY(k->a, lval, nu);
    nv = nu = 0;
    for (uint32_t i = first; i < ir_nin(f, o); i++) {
        const gpu_val *x = &k->val[ir_in(f, o, i).id];
        dtype dt = ir_type_dt(k->m, ir_vtype(f, ir_in(f, o, i)));
        if (dt == DT_F32) {
            memcpy(v + nv, x->r, sizeof *v * x->n);
            nv += x->n;
            continue;
        }
        uint32_t per = 32 / (uint32_t)dt_bits(dt);
        for (uint32_t r = 0; r + per <= x->n; r += per)
            u[nu++] = gpu_pack(k, x->r + r, dt_bits(dt));
    }
    k->ops->wgmma_wait(k->c, pending, v, (int)nv, u, (int)nu);
    nv = 0;
    for (uint32_t i = first; i < ir_nin(f, o); i++) {
        gpu_val x = k->val[ir_in(f, o, i).id];
        ir_val out = ir_out(f, o, i - first);
        if (ir_type_dt(k->m, ir_vtype(f, ir_in(f, o, i))) == DT_F32) {
            lval *r = gpu_set(k, out, x.n);
            memcpy(r, v + nv, sizeof *r * x.n);
            nv += x.n;
        } else {
            k->val[out.id] = x;
        }
    }
}

/* An await of what is complete: its values are in registers, packed, at this place. What was derived from them before
 * (a wider type) isn't kept alive across it, but derived anew. */
static void pin(gk *k, ir_op o, uint32_t first)
{
    for (uint32_t i = first; i < ir_nin(k->f, o); i++) {
        const gpu_val *x = &k->val[ir_in(k->f, o, i).id];
        dtype dt = ir_type_dt(k->m, ir_vtype(k->f, ir_in(k->f, o, i)));
        uint32_t n = x->n, per = dt == DT_NONE || dt_bits(dt) >= 32 ? 1 : 32 / (uint32_t)dt_bits(dt);
        lval *r = gpu_set(k, ir_out(k->f, o, i - first), n);
        for (uint32_t j = 0; j < n; j += per)
            if (dt == DT_NONE || dt_bits(dt) > 32 || j + per > n)
                memcpy(r + j, x->r + j, sizeof *r * (n - j < per ? n - j : per));
            else
                gpu_unpack(k, k->ops->pin(k->c, gpu_pack(k, x->r + j, dt_bits(dt))), cg_num(k->c, dt), dt_bits(dt),
                           r + j);
    }
}

static void op_await(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    uint32_t first = 0, kinds = 0;
    int pending = (int)ir_int(f, o, KEY_pending, 0);
    for (; first < ir_nin(f, o) && ir_type_of(k->m, ir_vtype(f, ir_in(f, o, first)))->kind == TK_TOKEN; first++)
        kinds |= kinds_of(f, ir_in(f, o, first), 0);
    if (kinds >> WAIT_BULK & 1)
        k->ops->bulk_wait(k->c, pending, ir_int(f, o, KEY_source, 0) != 0, k->leader);
    if (kinds >> WAIT_CP & 1)
        k->ops->cp_wait(k->c, pending);
    if (kinds >> WAIT_WGMMA & 1)
        wait_matrix(k, o, first, pending);
    else if (!kinds)
        pin(k, o, first);
    else
        for (uint32_t i = first; i < ir_nin(f, o); i++)
            k->val[ir_out(f, o, i - first).id] = k->val[ir_in(f, o, i).id];
}

/* ---- turns: barrier b + i lets copy i in: its own warps wait at it, those of the copy before arrive ---- */
static int turn_barrier(gk *k, int64_t turn)
{
    return 12 - (int)turn * k->copies;
}

static void find_turns(const ir_func *f, ir_region r, uint32_t *turns)
{
    FOR_OPS(f, r, o)
    {
        if (ir_op_code(f, o) == IR_OP_turn_enter)
            *turns |= 1u << (ir_int(f, o, KEY_turn, 0) & 31);
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            find_turns(f, ir_op_region(f, o, i), turns);
    }
}

/* at the start of a partition: the last copy passes the turn to the first */
void gpu_first_turns(gk *k, ir_region r)
{
    cg *c = k->c;
    uint32_t turns = 0;
    find_turns(k->f, r, &turns);
    if (!turns || !k->copy)
        return;
    lblock last = cg_block(c, "last"), next = cg_block(c, "next");
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntEQ, k->copy, cg_i32(c, k->copies - 1)), last, next);
    cg_at(c, last);
    for (int64_t t = 0; t < 32; t++)
        if (turns >> t & 1)
            k->ops->barrier_arrive(c, turn_barrier(k, t), NULL, 2 * k->warps * k->chip->lanes);
    LLVMBuildBr(c->b, next);
    cg_at(c, next);
}

static void op_turn(gk *k, ir_op o, bool enter)
{
    cg *c = k->c;
    int id = turn_barrier(k, ir_int(k->f, o, KEY_turn, 0)), threads = 2 * k->warps * k->chip->lanes;
    if (!k->copy)
        return;
    if (enter) {
        k->ops->barrier(c, id, k->copy, threads);
        return;
    }
    lval next = LLVMBuildURem(c->b, LLVMBuildAdd(c->b, k->copy, cg_i32(c, 1), ""), cg_i32(c, k->copies), "");
    k->ops->barrier_arrive(c, id, next, threads);
}

bool gpu_async_op(gk *k, ir_op o)
{
    const ir_func *f = k->f;
    ir_code code = ir_op_code(f, o);
    switch (code) {
    case IR_OP_chan:
    case IR_OP_done:
        return true;
    case IR_OP_put_exit:
        op_put_exit(k, o);
        return true;
    case IR_OP_shared_alloc:
        gpu_set(k, ir_out(f, o, 0), 1)[0] =
            gpu_shared_address(k, k->shared_at[ir_out(f, o, 0).id], gpu_shared_bytes(k, ir_vtype(f, ir_out(f, o, 0))));
        return true;
    case IR_OP_shared_slice:
        op_slice(k, o);
        return true;
    case IR_OP_shared_trans:
        k->val[ir_out(f, o, 0).id] = k->val[ir_in(f, o, 0).id];
        return true;
    case IR_OP_put_enter:
        op_put_enter(k, o);
        return true;
    case IR_OP_get_enter:
        op_get_enter(k, o);
        return true;
    case IR_OP_get_exit:
        op_get_exit(k, o);
        return true;
    case IR_OP_tma_load:
    case IR_OP_tma_store:
        op_tma(k, o, code == IR_OP_tma_load);
        return true;
    case IR_OP_wgmma:
        gpu_wgmma(k, o);
        return true;
    case IR_OP_dot:
        gpu_dot(k, o);
        return true;
    case IR_OP_await:
        op_await(k, o);
        return true;
    case IR_OP_barrier:
        gpu_barrier(k);
        return true;
    case IR_OP_fence_async:
        k->ops->fence_async(k->c);
        return true;
    case IR_OP_turn_enter:
    case IR_OP_turn_exit:
        op_turn(k, o, code == IR_OP_turn_enter);
        return true;
    case IR_OP_cluster_rank:
        gpu_set(k, ir_out(f, o, 0), 1)[0] = k->rank ? k->rank : cg_i32(k->c, 0);
        return true;
    case IR_OP_launch_wait: /* a stream of older chips runs one launch after the other */
        if (k->chip->has_depend)
            k->ops->launch_wait(k->c);
        return true;
    case IR_OP_cluster_barrier:
        k->ops->cluster_barrier(k->c);
        return true;
    default:
        return false;
    }
}
