/* interp_parts.c: channels as bounded queues, partitions and their copies as coroutines, turns, and clusters.
 *
 * A slot goes round: put_enter (it must be empty: every copy of the consumer has ended the round before), filling,
 * put_exit with the tokens of its loads, get_enter by each copy (the first makes the loads land), get_exit by each,
 * after which it holds poison again. Rounds are counted on both sides, so a position that skips a round, comes twice or
 * goes back is a fault where a phase bit would let it pass.
 *
 * A copy of a partition is a program of its own to the scheduler, with a frame that starts with the values from
 * outside.
 */
#include "compiler/interp_laid.h"

/* ---- channels ---- */
/* the partition that op o stands in, or the whole program: in how many copies it runs */
static int64_t copies_at(const ir_func *f, ir_op o)
{
    uint32_t n;
    for (;;) {
        ir_region r = ir_o(f, o)->parent;
        ir_op owner = f->regions.at[r.id].owner;
        if (!owner.id)
            return 1;
        for (uint32_t i = 0; ir_op_code(f, owner) == IR_OP_partitions && i < ir_o(f, owner)->nregions; i++)
            if (ir_op_region(f, owner, i).id == r.id)
                return ir_ints(f, owner, KEY_copies, &n)[i];
        o = owner;
    }
}

static int consumers_of(const ir_func *f, ir_val chan)
{
    for (uint32_t i = 1; i < f->ops.n; i++) {
        ir_op o = {i};
        if (ir_op_code(f, o) == IR_OP_get_enter && ir_o(f, o)->parent.id && ir_in(f, o, 0).id == chan.id)
            return (int)copies_at(f, o);
    }
    return 0;
}

/* some tma_load of the function writes the channel's slots in other blocks too */
static bool is_multicast(const ir_func *f, ir_val chan)
{
    for (uint32_t i = 1; i < f->ops.n; i++) {
        ir_op o = {i};
        if (ir_op_code(f, o) != IR_OP_tma_load || !ir_has(f, o, KEY_multicast))
            continue;
        for (o = ir_def(f, ir_in(f, o, ir_nin(f, o) - 1)); o.id; o = ir_def(f, ir_in(f, o, 0)))
            if (ir_op_code(f, o) != IR_OP_shared_slice && ir_op_code(f, o) != IR_OP_shared_trans)
                break;
        if (o.id && ir_op_code(f, o) == IR_OP_put_enter && ir_in(f, o, 0).id == chan.id)
            return true;
    }
    return false;
}

static ichan *chan_new(frame *fr, ir_op o)
{
    const ir_type_info *t = ir_type_of(fr->f->m, out_type(fr, o, 0));
    arena *a = &fr->p->frames;
    ichan *c = arena_alloc(a, sizeof *c + (size_t)t->stages * sizeof c->slot[0], 16);
    c->stages = t->stages;
    c->nparts = t->nparts;
    for (int s = 0; s < t->stages; s++)
        for (int k = 0; k < t->nparts; k++) {
            const ir_type_info *part = ir_type_of(fr->f->m, t->parts[k]);
            iroot *root = &c->slot[s].part[k];
            root->bytes = (size_t)dt_bytes(part->dt);
            for (int d = 0; d < part->rank; d++)
                root->bytes *= (size_t)part->shape[d];
            root->data = arena_alloc(a, root->bytes, 16);
            root->slot = &c->slot[s];
        }
    return c;
}

static void empty_slot(ichan *c, islot *s)
{
    for (int k = 0; k < c->nparts; k++)
        memset(s->part[k].data, POISON, s->part[k].bytes);
    s->landed = false;
    s->nloads = 0;
    s->expected = 0;
    for (int k = 0; c->multicast && k < c->nparts; k++)
        s->expected += s->part[k].bytes;
}

static void exec_chan(frame *fr, ir_op o)
{
    ichan **v = out_data(fr, o, 0);
    if (!*v) /* a program before this one had it too */
        *v = chan_new(fr, o);
    ichan *c = *v;
    c->consumers = consumers_of(fr->f, ir_out(fr->f, o, 0));
    c->multicast = fr->p->cluster && is_multicast(fr->f, ir_out(fr->f, o, 0));
    c->value = ir_out(fr->f, o, 0);
    for (int i = 0; i < c->stages; i++) {
        islot *s = &c->slot[i];
        s->chan = c;
        s->index = i;
        s->puts = 0;
        s->filling = false;
        memset(s->gets, 0, sizeof s->gets);
        memset(s->open, 0, sizeof s->open);
        empty_slot(c, s);
    }
}

/* the slot of operand 1's position, and its round */
static islot *slot_of(frame *fr, ir_op o, int64_t *round)
{
    ichan *c;
    int64_t pos = in_int(fr, o, 1);
    memcpy(&c, in_data(fr, o, 0), sizeof c);
    if (pos < 0) {
        interp_fault(fr, o, "position %lld of a channel", (long long)pos);
        return NULL;
    }
    *round = pos / c->stages;
    return &c->slot[pos % c->stages];
}

static void give_slot(frame *fr, ir_op o, islot *s)
{
    for (uint32_t i = 0; i < ir_nout(fr->f, o); i++)
        view_row_major(ir_type_of(fr->f->m, out_type(fr, o, i)), &s->part[i], out_data(fr, o, i));
}

static bool is_drained(const islot *s, int64_t round)
{
    for (int c = 0; c < s->chan->consumers; c++)
        if (s->gets[c] < round)
            return false;
    return true;
}

islot *slot_in_block(const frame *fr, const islot *s, int rank)
{
    const frame *peer = fr->p->cluster->frame[rank];
    ichan *c;
    memcpy(&c, peer->v[s->chan->value.id], sizeof c);
    return &c->slot[s->index];
}

/* also in the other blocks, where what is put goes there too */
static bool all_drained(const frame *fr, const islot *s, int64_t round)
{
    if (!s->chan->multicast)
        return is_drained(s, round);
    for (int i = 0; i < fr->p->cluster->n; i++)
        if (!fr->p->cluster->frame[i]->v[s->chan->value.id] || !is_drained(slot_in_block(fr, s, i), round))
            return false;
    return true;
}

bool slot_expects(frame *fr, ir_op o, islot *s, itoken t, size_t bytes)
{
    if (s->nloads == (int)COUNTOF(s->load))
        return interp_fault(fr, o, "more than %d loads into a slot", (int)COUNTOF(s->load));
    s->load[s->nloads++] = t;
    s->expected -= bytes < s->expected ? bytes : s->expected;
    fr->p->x->changes++;
    return true;
}

static bool put_enter(frame *fr, ir_op o)
{
    int64_t round;
    islot *s = slot_of(fr, o, &round);
    if (!s)
        return false;
    if (s->filling || s->puts != round)
        return interp_fault(fr, o, "position %lld puts into slot %d in round %lld, which is %s",
                            (long long)in_int(fr, o, 1), s->index, (long long)round,
                            s->filling ? "entered already" : "not its next");
    while (!all_drained(fr, s, round))
        if (!interp_wait(fr, o))
            return false;
    s->filling = true;
    s->puts++;
    if (!s->chan->consumers)
        empty_slot(s->chan, s);
    give_slot(fr, o, s);
    fr->p->x->changes++;
    return true;
}

static bool put_tokens(frame *fr, ir_op o, islot *s)
{
    for (uint32_t i = 2; i < ir_nin(fr->f, o); i++) {
        itoken t;
        memcpy(&t, in_data(fr, o, i), sizeof t);
        if (async_is_done(t))
            continue;
        if ((t.op->kind != GROUP_LOAD && t.op->kind != GROUP_CP) || t.op->a.root->slot != s)
            return interp_fault(fr, o, "operand %u is not the token of a load into the slot", i);
        if (!t.op->elsewhere && !slot_expects(fr, o, s, t, t.op->bytes))
            return false;
    }
    return true;
}

/* every load in flight into the slot is among its tokens */
static bool put_is_whole(frame *fr, ir_op o, islot *s)
{
    for (const async_op *r = fr->p->async ? fr->p->async->first : NULL; r; r = r->next) {
        bool here = (r->kind == GROUP_LOAD || r->kind == GROUP_CP) && r->a.root->slot == s, listed = false;
        for (uint32_t i = 2; here && i < ir_nin(fr->f, o); i++)
            listed |= ((const itoken *)in_data(fr, o, i))->op == r;
        if (here && !listed)
            return interp_fault(fr, o, "the token of %s, a load into the slot, is not among the operands",
                                async_place(r->fr, r->o));
    }
    return true;
}

static bool put_exit(frame *fr, ir_op o)
{
    int64_t round;
    islot *s = slot_of(fr, o, &round);
    if (!s)
        return false;
    if (!s->filling || s->puts != round + 1)
        return interp_fault(fr, o, "position %lld leaves slot %d, which is not entered there",
                            (long long)in_int(fr, o, 1), s->index);
    if (!put_tokens(fr, o, s) || !put_is_whole(fr, o, s))
        return false;
    s->filling = false;
    fr->p->x->changes++;
    return true;
}

static int copy_of(const frame *fr)
{
    return fr->p->part ? fr->p->part->copy : 0;
}

static bool land_slot(islot *s)
{
    for (int i = 0; i < s->nloads; i++)
        if (!async_is_done(s->load[i]) && !async_complete(s->load[i].op))
            return false;
    s->landed = true;
    return true;
}

static bool get_enter(frame *fr, ir_op o)
{
    int64_t round;
    int c = copy_of(fr);
    islot *s = slot_of(fr, o, &round);
    if (!s)
        return false;
    if (s->open[c] || s->gets[c] != round)
        return interp_fault(fr, o, "position %lld gets slot %d in round %lld, which is %s", (long long)in_int(fr, o, 1),
                            s->index, (long long)round, s->open[c] ? "entered already" : "not its next");
    while (s->puts != round + 1 || s->filling || s->expected)
        if (!interp_wait(fr, o))
            return false;
    if (!s->landed && !land_slot(s))
        return false;
    s->open[c] = true;
    give_slot(fr, o, s);
    fr->p->x->changes++;
    return true;
}

static bool get_exit(frame *fr, ir_op o)
{
    int64_t round;
    int c = copy_of(fr);
    islot *s = slot_of(fr, o, &round);
    const async_op *reader;
    if (!s)
        return false;
    if (!s->open[c] || s->gets[c] != round)
        return interp_fault(fr, o, "position %lld leaves slot %d, which is not entered there",
                            (long long)in_int(fr, o, 1), s->index);
    for (uint32_t i = 2; i < ir_nin(fr->f, o); i++) {
        itoken t;
        memcpy(&t, in_data(fr, o, i), sizeof t);
        if (!async_is_done(t))
            return interp_fault(fr, o, "operand %u is the token of %s, which was not awaited", i,
                                async_place(t.op->fr, t.op->o));
    }
    if ((reader = async_reader_of(fr->p, s)))
        return interp_fault(fr, o, "the slot is still read by %s, which was not awaited",
                            async_place(reader->fr, reader->o));
    s->open[c] = false;
    s->gets[c]++;
    if (is_drained(s, round + 1))
        empty_slot(s->chan, s);
    fr->p->x->changes++;
    return true;
}

/* ---- turns ---- */
static bool turn(frame *fr, ir_op o, bool enter)
{
    const ipart *p = fr->p->part;
    iturn *t = p ? &p->turns[ir_int(fr->f, o, KEY_turn, 0)] : NULL;
    if (!t)
        return interp_fault(fr, o, "a turn outside of partitions");
    if (enter && t->inside && t->now == p->copy)
        return interp_fault(fr, o, "the copy has its turn already");
    if (!enter && (!t->inside || t->now != p->copy))
        return interp_fault(fr, o, "the copy does not have its turn");
    while (enter && (t->inside || t->now != p->copy))
        if (!interp_wait(fr, o))
            return false;
    if (!enter)
        t->now = (t->now + 1) % p->copies;
    t->inside = enter;
    fr->p->x->changes++;
    return true;
}

/* ---- partitions ---- */
static str name_of(const ir_func *f, ir_op o, int index)
{
    str s = ir_text(f, o, KEY_names);
    size_t beg = 0, end;
    for (size_t i = 0; i < s.n && index; i++)
        if (s.p[i] == ',') {
            beg = i + 1;
            index--;
        }
    for (end = beg; end < s.n && s.p[end] != ',';)
        end++;
    return (str){s.p + beg, end - beg};
}

/* the frame: what is visible outside, and the parameter */
static frame *part_frame(program *p, const ipart *part)
{
    const frame *outer = part->outer;
    const ir_func *f = outer->f;
    jmp_buf oom;
    if (setjmp(oom)) {
        frame none = {.p = p, .f = f};
        p->frames.oom = NULL;
        interp_fault(&none, part->op, "out of memory: the values of a partition take more memory than allowed");
        return NULL;
    }
    p->frames.oom = &oom;
    frame *fr = interp_frame_new(p, f);
    memcpy(fr->v, outer->v, sizeof *fr->v * f->vals.n);
    int64_t copy = part->copy;
    ir_val me = ir_param_of(f, ir_op_region(f, part->op, (uint32_t)part->index), 0);
    fr->v[me.id] = NULL;
    interp_put_ints(interp_buf(fr, me), DT_I32, &copy, 1);
    str name = name_of(f, part->op, part->index);
    p->label = part->copies > 1 ? str_fmt(&p->frames, "'%.*s' copy %d", STR_ARG(name), part->copy)
                                : str_fmt(&p->frames, "'%.*s'", STR_ARG(name));
    p->frames.oom = NULL;
    return fr;
}

static bool part_main(program *p, void *job)
{
    ipart *part = job;
    p->part = part;
    p->cluster = part->outer->p->cluster;
    p->rank = part->outer->p->rank;
    frame *fr = part_frame(p, part);
    return fr && interp_run(fr, ir_op_region(fr->f, part->op, (uint32_t)part->index));
}

/* Values of a region that an earlier program computed are buffers of an arena that is gone: frames of the outer program
 * must not keep any. They can't, as the partitions' values live in frames of their own. */
static bool exec_partitions(frame *fr, ir_op o)
{
    uint32_t n;
    const int64_t *copies = ir_ints(fr->f, o, KEY_copies, &n);
    arena *s = &fr->p->scratch;
    arena_pos mark = arena_mark(s);
    int64_t total = 0, k = 0;
    for (uint32_t i = 0; i < n; i++)
        total += copies[i];
    ipart *parts = ARENA_ARRAY(s, ipart, total);
    for (uint32_t i = 0; i < n; i++) {
        iturn *turns = ARENA_ARRAY(s, iturn, INTERP_MAX_TURNS);
        for (int c = 0; c < (int)copies[i]; c++)
            parts[k++] =
                (ipart){.outer = fr, .op = o, .index = (int)i, .copy = c, .copies = (int)copies[i], .turns = turns};
    }
    coop_jobs jobs = {.n = total,
                      .main = part_main,
                      .job = (char *)parts,
                      .job_bytes = sizeof *parts,
                      .max_bytes = fr->p->max_bytes,
                      .outer = fr,
                      .at = o};
    bool ok = interp_coop_jobs(fr->p->x, fr->f, &jobs);
    arena_reset(s, mark);
    return ok;
}

/* ---- clusters ---- */
static void cluster_rank(frame *fr, ir_op o)
{
    int64_t rank = fr->p->rank;
    interp_put_ints(out_data(fr, o, 0), DT_I32, &rank, 1);
}

static bool cluster_barrier(frame *fr, ir_op o)
{
    struct icluster *c = fr->p->cluster;
    if (!c)
        return true;
    uint64_t before = c->barriers;
    fr->p->x->changes++;
    if (++c->arrived == c->n) {
        c->arrived = 0;
        c->barriers++;
        return true;
    }
    while (c->barriers == before)
        if (!interp_wait(fr, o))
            return false;
    return true;
}

bool interp_parts(frame *fr, ir_op o)
{
    switch ((int)ir_op_code(fr->f, o)) {
    case IR_OP_chan:
        exec_chan(fr, o);
        return true;
    case IR_OP_put_enter:
        return put_enter(fr, o);
    case IR_OP_put_exit:
        return put_exit(fr, o);
    case IR_OP_get_enter:
        return get_enter(fr, o);
    case IR_OP_get_exit:
        return get_exit(fr, o);
    case IR_OP_turn_enter:
        return turn(fr, o, true);
    case IR_OP_turn_exit:
        return turn(fr, o, false);
    case IR_OP_partitions:
        return exec_partitions(fr, o);
    case IR_OP_cluster_rank:
        cluster_rank(fr, o);
        return true;
    case IR_OP_cluster_barrier:
        return cluster_barrier(fr, o);
    default:
        bug("interp: op '%s' is none of the laid-out stage", ir_info(fr->f, o)->name);
    }
}
