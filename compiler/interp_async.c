/* interp_async.c: asynchronous ops, with their effects as late as the rules allow.
 *
 * A load's data is read from the tensor, and lands in shared memory, when its token is awaited, or when a consumer
 * enters the slot that waits for it; until then the destination holds poison. A wgmma reads its shared operands, and a
 * tma_store its source, at their await (a store's at the latest when the program ends). So whoever reads too early, or
 * overwrites too early, computes something else. Groups of a kind complete in order: with an op all older ones of its
 * kind do.
 *
 * Registers. The result of a wgmma in flight is poison that carries a mark, `flight`: copies through loops and branches
 * keep it, so that an await, or the wgmma that goes on with the accumulator, finds the op it belongs to, and any other
 * use is a fault. An accumulator passes from op to op of a chain and belongs to the last one.
 *
 * Records are used again once they are done and nothing can ask for their result; a token or mark with another serial
 * number than its record's means one that was complete.
 */
#include "compiler/interp_laid.h"

#define MAGIC 0xfffffffffff5a1d7u

typedef struct flight {
    uint64_t magic, serial;
    async_op *op;
} flight;

const char *async_place(const frame *fr, ir_op o)
{
    arena *a = fr->p->x->out;
    uint32_t line = ir_loc_get(fr->f->m, ir_o(fr->f, o)->loc).line;
    const char *name = ir_info(fr->f, o)->name;
    return str_cstr(a, line ? str_fmt(a, "'%s' of line %u", name, line) : str_fmt(a, "'%s'", name));
}

/* ---- records ---- */
static async_op *record_new(frame *fr, ir_op o, int kind)
{
    program *p = fr->p;
    if (!p->async)
        p->async = ARENA_NEW(&p->frames, async_queue);
    async_queue *q = p->async;
    async_op *r = q->unused;
    if (r)
        q->unused = r->next;
    else
        r = ARENA_NEW(&p->frames, async_op);
    void *snap = r->snap, *mask = r->mask, *acc = r->acc;
    size_t snap_room = r->snap_room, mask_room = r->mask_room, acc_room = r->acc_room;
    *r = (async_op){.serial = ++q->serial,
                    .p = p,
                    .fr = fr,
                    .o = o,
                    .kind = kind,
                    .snap = snap,
                    .mask = mask,
                    .acc = acc,
                    .snap_room = snap_room,
                    .mask_room = mask_room,
                    .acc_room = acc_room};
    if (q->last)
        q->last->next = r;
    else
        q->first = r;
    q->last = r;
    return r;
}

static void record_free(async_op *r)
{
    r->serial = ++r->p->async->serial;
    r->next = r->p->async->unused;
    r->p->async->unused = r;
}

/* a copy of n bytes in the record's own room, which is kept for its next use */
static void *keep(async_op *r, void **at, size_t *room, const void *from, size_t n)
{
    if (*room < n) {
        *at = arena_alloc(&r->p->frames, n, 16);
        *room = n;
    }
    if (from)
        memcpy(*at, from, n);
    return *at;
}

static void unlink_record(async_queue *q, async_op *r, async_op *before)
{
    if (before)
        before->next = r->next;
    else
        q->first = r->next;
    if (q->last == r)
        q->last = before;
    r->next = NULL;
}

bool async_is_done(itoken t)
{
    return !t.op || t.op->serial != t.serial || t.op->done;
}

/* ---- what the ops do when they complete ---- */
typedef struct box {
    const itensor *t;
    const ir_type_info *shape; /* of the shared tile */
    int rank;                  /* of the tensor */
    size_t es;
    const int64_t *from;
} box;

/* the address of the element at `at` of the box; false where it is outside of the tensor */
static bool box_address(const box *b, const int64_t *at, uint64_t *address)
{
    uint64_t pos = 0;
    int skip = b->rank - b->shape->rank;
    for (int d = 0; d < b->rank; d++) {
        int64_t i = b->from[d] + (d < skip ? 0 : at[d - skip]);
        if (i < 0 || i >= b->t->size[d])
            return false;
        pos += (uint64_t)i * (uint64_t)b->t->stride[d];
    }
    *address = b->t->base + pos * b->es;
    return !b->t->outside;
}

static bool box_next(const box *b, int64_t *at)
{
    for (int d = b->shape->rank - 1; d >= 0; d--) {
        if (++at[d] < b->shape->shape[d])
            return true;
        at[d] = 0;
    }
    return false;
}

static box box_of(const async_op *r, uint32_t tensor, uint32_t shared)
{
    const ir_module *m = r->fr->f->m;
    box b = {.t = &r->t, .shape = ir_type_of(m, in_type(r->fr, r->o, shared)), .from = r->from};
    b.rank = ir_type_of(m, in_type(r->fr, r->o, tensor))->rank;
    b.es = (size_t)dt_bytes(b.shape->dt);
    return b;
}

static bool land_load(async_op *r)
{
    box b = box_of(r, 0, ir_nin(r->fr->f, r->o) - 1);
    int64_t at[IR_MAX_RANK] = {0};
    do {
        uint64_t from, x = 0;
        if (box_address(&b, at, &from) && !interp_read_elem(r->fr, r->o, from, b.es, &x))
            return false;
        if (!r->elsewhere)
            copy_elem(view_at(b.shape, &r->a, b.es, at), &x, b.es);
        for (int i = 0; i < r->nalso; i++)
            copy_elem(view_at(b.shape, &r->also[i], b.es, at), &x, b.es);
    } while (box_next(&b, at));
    return true;
}

static bool land_store(async_op *r)
{
    box b = box_of(r, 1, 0);
    int64_t at[IR_MAX_RANK] = {0};
    bool rmw = ir_has(r->fr->f, r->o, KEY_rmw);
    do {
        uint64_t to, old;
        if (!box_address(&b, at, &to))
            continue;
        const char *s = view_at(b.shape, &r->a, b.es, at);
        if (rmw ? !interp_update_elem(r->fr, r->o, to, b.shape->dt, s, &old)
                : !interp_write_elem(r->fr, r->o, to, b.es, s))
            return false;
    } while (box_next(&b, at));
    return true;
}

static bool land_copy(async_op *r)
{
    const ir_type_info *t = ir_type_of(r->fr->f->m, in_type(r->fr, r->o, 1));
    box b = {.shape = t, .es = (size_t)dt_bytes(t->dt)};
    int64_t at[IR_MAX_RANK] = {0}, i = 0;
    bool masked = ir_nin(r->fr->f, r->o) > 2;
    do {
        uint64_t from, x = 0;
        memcpy(&from, (const char *)r->snap + (size_t)i * 8, 8);
        if ((!masked || ((const ua8 *)r->mask)[i]) && !interp_read_elem(r->fr, r->o, from, b.es, &x))
            return false;
        copy_elem(view_at(t, &r->a, b.es, at), &x, b.es);
        i++;
    } while (box_next(&b, at));
    return true;
}

static void land_product(async_op *r)
{
    frame *fr = r->fr;
    const ir_module *m = fr->f->m;
    const ir_type_info *a = ir_type_of(m, in_type(fr, r->o, 0)), *b = ir_type_of(m, in_type(fr, r->o, 1));
    const ir_type_info *c = ir_type_of(m, out_type(fr, r->o, 0));
    arena *s = &fr->p->scratch;
    arena_pos mark = arena_mark(s);
    size_t ea = (size_t)dt_bytes(a->dt), eb = (size_t)dt_bytes(b->dt);
    void *pa = r->snap, *pb = arena_alloc(s, (size_t)(b->shape[0] * b->shape[1]) * eb, 16);
    if (a->kind == TK_SHARED) {
        pa = arena_alloc(s, (size_t)(a->shape[0] * a->shape[1]) * ea, 16);
        view_get(a, &r->a, ea, pa);
    }
    view_get(b, &r->b, eb, pb);
    if (r->chain) { /* the accumulator moves here: the rooms change places */
        void *t = r->acc;
        size_t room = r->acc_room;
        r->acc = r->chain->acc;
        r->acc_room = r->chain->acc_room;
        r->chain->acc = t;
        r->chain->acc_room = room;
        record_free(r->chain);
        r->chain = NULL;
    }
    if (r->zero)
        memset(r->acc, 0, (size_t)(c->shape[0] * c->shape[1] * dt_bytes(c->dt)));
    interp_product(s, c->shape[0], c->shape[1], a->shape[1], a->dt, pa, b->dt, pb, c->dt, r->acc);
    arena_reset(s, mark);
}

static bool land(async_op *r)
{
    bool ok = true;
    switch (ir_op_code(r->fr->f, r->o)) {
    case IR_OP_tma_load:
        ok = land_load(r);
        break;
    case IR_OP_tma_store:
        ok = land_store(r);
        break;
    case IR_OP_cp_async:
        ok = land_copy(r);
        break;
    default:
        land_product(r);
    }
    r->done = true;
    return ok;
}

bool async_complete(async_op *op)
{
    async_queue *q = op->p->async;
    async_op *before = NULL, *next;
    if (op->done)
        return true;
    for (async_op *r = q->first; r; r = next) {
        next = r->next;
        if (r != op && (r->kind != op->kind || op->kind == GROUP_LOAD)) {
            before = r;
            continue;
        }
        unlink_record(q, r, before);
        bool last = r == op;
        if (!land(r))
            return false;
        if (r->kind != GROUP_WGMMA)
            record_free(r);
        if (last)
            return true;
    }
    bug("interp: an op that is neither done nor in flight");
}

bool interp_finish_async(frame *fr)
{
    async_queue *q = fr->p->async;
    if (!q)
        return true;
    async_op *before = NULL, *next;
    for (async_op *r = q->first; r; r = next) {
        next = r->next;
        if (fr->p->part && (r->kind == GROUP_LOAD || r->kind == GROUP_CP)) { /* a consumer may still wait for it */
            before = r;
            continue;
        }
        unlink_record(q, r, before);
        if (r->kind == GROUP_BULK && !land(r))
            return false;
        record_free(r);
    }
    return true;
}

async_op *async_reader_of(const program *p, const islot *slot)
{
    for (async_op *r = p->async ? p->async->first : NULL; r; r = r->next) {
        bool first = r->kind == GROUP_BULK || (r->kind == GROUP_WGMMA && r->a.root);
        if ((first && r->a.root->slot == slot) || (r->kind == GROUP_WGMMA && r->b.root->slot == slot))
            return r;
    }
    return NULL;
}

async_op *async_writer_of(const program *p, const islot *slot)
{
    for (async_op *r = p->async ? p->async->first : NULL; r; r = r->next)
        if ((r->kind == GROUP_LOAD || r->kind == GROUP_CP) && r->a.root->slot == slot)
            return r;
    return NULL;
}

/* ---- results in flight ---- */
static bool flight_of(const void *data, size_t bytes, flight *out)
{
    if (bytes < sizeof *out)
        return false;
    memcpy(out, data, sizeof *out);
    return out->magic == MAGIC;
}

static void mark_flight(void *data, size_t bytes, async_op *r)
{
    flight f = {MAGIC, r->serial, r};
    memset(data, POISON, bytes);
    memcpy(data, &f, sizeof f);
}

/* operand i is a result in flight that still belongs to its op; false after a fault where it went elsewhere */
static bool take_flight(frame *fr, ir_op o, uint32_t i, async_op **out)
{
    flight f;
    *out = NULL;
    if (!flight_of(in_data(fr, o, i), interp_type_bytes(fr->f->m, in_type(fr, o, i)), &f))
        return true;
    if (f.op->serial != f.serial || f.op->taken)
        return interp_fault(fr, o, "operand %u is the result of a 'wgmma' that %s took", i,
                            f.op->serial == f.serial ? async_place(f.op->fr, f.op->taker) : "another op");
    *out = f.op;
    return true;
}

bool interp_check_landed(frame *fr, ir_op o)
{
    ir_code c = ir_op_code(fr->f, o);
    if (c == IR_OP_await || (ir_ops[c].flags & (CTRL | TERM)))
        return true;
    for (uint32_t i = 0; i < ir_nin(fr->f, o); i++) {
        flight f;
        ir_type t = in_type(fr, o, i);
        if (ir_type_of(fr->f->m, t)->kind != TK_TILE || (c == IR_OP_wgmma && i == 2) || !in_data(fr, o, i))
            continue;
        if (!flight_of(in_data(fr, o, i), interp_type_bytes(fr->f->m, t), &f))
            continue;
        const char *of = f.op->serial == f.serial ? async_place(f.op->fr, f.op->o) : "a 'wgmma'";
        return interp_fault(fr, o, "operand %u of '%s' is the result of %s, which was not awaited", i,
                            ir_info(fr->f, o)->name, of);
    }
    return true;
}

/* ---- issuing ---- */
static void give_token(frame *fr, ir_op o, uint32_t i, async_op *r)
{
    itoken *t = out_data(fr, o, i);
    *t = (itoken){r, r ? r->serial : 0};
}

static void read_offsets(frame *fr, async_op *r, uint32_t tensor)
{
    const ir_type_info *t = ir_type_of(fr->f->m, in_type(fr, r->o, tensor));
    memcpy(&r->t, in_data(fr, r->o, tensor), sizeof r->t);
    for (int d = 0; d < t->rank; d++)
        r->from[d] = in_int(fr, r->o, tensor + 1 + (uint32_t)d);
}

static void poison_target(frame *fr, ir_op o, uint32_t shared, const ishared *v)
{
    const ir_type_info *t = ir_type_of(fr->f->m, in_type(fr, o, shared));
    view_poison(t, v, (size_t)dt_bytes(t->dt));
}

/* the box goes to the same place in other blocks, and counts in their slots */
static bool to_other_blocks(frame *fr, ir_op o, async_op *r)
{
    int64_t mask = ir_int(fr->f, o, KEY_multicast, 0);
    islot *s = r->a.root->slot;
    const struct icluster *c = fr->p->cluster;
    if (!mask || !c)
        return true;
    if (!s)
        return interp_fault(fr, o, "a multicast load goes into a slot of a channel");
    r->elsewhere = !(mask >> fr->p->rank & 1);
    for (int i = 0; i < c->n; i++) {
        if (i == fr->p->rank || !(mask >> i & 1))
            continue;
        islot *t = slot_in_block(fr, s, i);
        ishared *v = &r->also[r->nalso++];
        *v = r->a;
        v->root = &t->part[r->a.root - s->part];
        if (!slot_expects(fr, o, t, (itoken){r, r->serial}, r->bytes))
            return false;
    }
    return true;
}

static bool issue_load(frame *fr, ir_op o)
{
    uint32_t last = ir_nin(fr->f, o) - 1;
    const ishared *v = in_data(fr, o, last);
    if (!view_reach(fr, o, v, true))
        return false;
    async_op *r = record_new(fr, o, GROUP_LOAD);
    r->a = *v;
    read_offsets(fr, r, 0);
    poison_target(fr, o, last, v);
    give_token(fr, o, 0, r);
    const ir_type_info *t = ir_type_of(fr->f->m, in_type(fr, o, last));
    r->bytes = (size_t)dt_bytes(t->dt);
    for (int d = 0; d < t->rank; d++)
        r->bytes *= (size_t)t->shape[d];
    return to_other_blocks(fr, o, r);
}

static bool issue_store(frame *fr, ir_op o)
{
    const ishared *v = in_data(fr, o, 0);
    if (!view_reach(fr, o, v, false))
        return false;
    async_op *r = record_new(fr, o, GROUP_BULK);
    r->a = *v;
    read_offsets(fr, r, 1);
    give_token(fr, o, 0, r);
    return true;
}

static bool issue_copy(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    const ishared *v = in_data(fr, o, 1);
    if (!view_reach(fr, o, v, true))
        return false;
    async_op *r = record_new(fr, o, GROUP_CP);
    r->a = *v;
    r->bytes = interp_type_bytes(m, in_type(fr, o, 0)) / 8 * (size_t)dt_bytes(ir_type_of(m, in_type(fr, o, 1))->dt);
    keep(r, &r->snap, &r->snap_room, in_data(fr, o, 0), interp_type_bytes(m, in_type(fr, o, 0)));
    if (ir_nin(fr->f, o) > 2)
        keep(r, &r->mask, &r->mask_room, in_data(fr, o, 2), interp_type_bytes(m, in_type(fr, o, 2)));
    poison_target(fr, o, 1, v);
    give_token(fr, o, 0, r);
    return true;
}

/* operand 2: zeros where absent, a value, or what a wgmma in flight will give */
static bool set_accumulator(frame *fr, ir_op o, async_op *r)
{
    size_t n = interp_type_bytes(fr->f->m, out_type(fr, o, 0));
    async_op *chain = NULL;
    bool given = ir_nin(fr->f, o) > 2;
    if (given && !take_flight(fr, o, 2, &chain))
        return false;
    r->zero = !given || (ir_nin(fr->f, o) > 3 && !in_int(fr, o, 3));
    r->chain = chain;
    if (chain) {
        chain->taken = true;
        chain->taker = o;
    } else {
        keep(r, &r->acc, &r->acc_room, given ? in_data(fr, o, 2) : NULL, n);
    }
    return true;
}

static bool issue_product(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    bool shared = ir_type_of(m, in_type(fr, o, 0))->kind == TK_SHARED;
    const ishared *b = in_data(fr, o, 1);
    if ((shared && !view_reach(fr, o, in_data(fr, o, 0), false)) || !view_reach(fr, o, b, false))
        return false;
    async_op *r = record_new(fr, o, GROUP_WGMMA);
    r->b = *b;
    if (shared)
        memcpy(&r->a, in_data(fr, o, 0), sizeof r->a);
    else
        keep(r, &r->snap, &r->snap_room, in_data(fr, o, 0), interp_type_bytes(m, in_type(fr, o, 0)));
    if (!set_accumulator(fr, o, r))
        return false;
    give_token(fr, o, 1, r);
    size_t n = interp_type_bytes(m, out_type(fr, o, 0));
    if (n >= sizeof(flight)) {
        mark_flight(out_data(fr, o, 0), n, r);
        return true;
    }
    if (!async_complete(r)) /* too small to carry a mark */
        return false;
    memcpy(out_data(fr, o, 0), r->acc, n);
    record_free(r);
    return true;
}

/* ---- waiting ---- */
/* groups of the kind that were committed after r */
static int64_t younger(const async_op *r)
{
    int64_t n = 0;
    for (const async_op *s = r->next; s; s = s->next)
        n += s->kind == r->kind;
    return n;
}

static bool await_token(frame *fr, ir_op o, uint32_t i)
{
    itoken t;
    int64_t pending = ir_int(fr->f, o, KEY_pending, 0);
    memcpy(&t, in_data(fr, o, i), sizeof t);
    if (async_is_done(t))
        return true;
    if (t.op->p != fr->p)
        return interp_fault(fr, o, "operand %u is a token of another partition", i);
    if (t.op->kind != GROUP_LOAD && younger(t.op) < pending)
        return interp_fault(fr, o,
                            "operand %u is of the %lld youngest groups, which stay in flight: %lld came after it", i,
                            (long long)pending, (long long)younger(t.op));
    return async_complete(t.op);
}

static bool await_value(frame *fr, ir_op o, uint32_t i, uint32_t result)
{
    size_t n = interp_type_bytes(fr->f->m, in_type(fr, o, i));
    async_op *r = NULL;
    bool tile = ir_type_of(fr->f->m, in_type(fr, o, i))->kind == TK_TILE;
    if (tile && !take_flight(fr, o, i, &r))
        return false;
    if (!r) {
        memcpy(out_data(fr, o, result), in_data(fr, o, i), n);
        return true;
    }
    if (!r->done)
        return interp_fault(fr, o, "operand %u is the result of %s, whose token is not among those awaited", i,
                            async_place(r->fr, r->o));
    memcpy(out_data(fr, o, result), r->acc, n);
    record_free(r);
    return true;
}

static bool exec_await(frame *fr, ir_op o)
{
    uint32_t n = ir_nin(fr->f, o), i = 0;
    for (; i < n && ir_type_of(fr->f->m, in_type(fr, o, i))->kind == TK_TOKEN; i++)
        if (!await_token(fr, o, i))
            return false;
    for (uint32_t k = 0; i < n; i++, k++)
        if (!await_value(fr, o, i, k))
            return false;
    return true;
}

bool interp_async(frame *fr, ir_op o)
{
    switch ((int)ir_op_code(fr->f, o)) {
    case IR_OP_tma_load:
        return issue_load(fr, o);
    case IR_OP_tma_store:
        return issue_store(fr, o);
    case IR_OP_cp_async:
        return issue_copy(fr, o);
    case IR_OP_wgmma:
        return issue_product(fr, o);
    case IR_OP_await:
        return exec_await(fr, o);
    default:
        give_token(fr, o, 0, NULL);
        return true;
    }
}
