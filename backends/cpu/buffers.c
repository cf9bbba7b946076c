/* buffers.c: positions, lifetimes and places of the tiles that live in memory.
 *
 * Steps are numbered through all regions; a loop has a first position (where starts are copied in) and a last one
 * (where yields are copied back). A buffer read inside a loop that began after it was written lives to that loop's end.
 * Buffers that live at one time get different places: first fit over the intervals.
 *
 * A carried tile and the value that replaces it share a buffer when nothing reads the old one after the new one is
 * written (in the very nest that writes it, reads at the same index are fine: a nest stores at the end of each chunk).
 * A dot adds into its accumulator's buffer the same way.
 */
#include "backends/cpu/plan.h"

typedef struct live {
    plan *p;
    VEC(int32_t) loops; /* ids of enclosing loops' steps, outermost first */
    int32_t pos;
    int32_t step; /* whose reads are being recorded, -1 = none */
    plan_visit visit;
} live;

static void number(plan *p, plan_region *r, int32_t *pos)
{
    for (uint32_t i = 0; i < r->steps.n; i++) {
        plan_step *s = &p->steps.at[r->steps.at[i]];
        s->pos = s->end = ++*pos;
        if (s->kind != STEP_CTRL)
            continue;
        for (int k = 0; k < 2; k++)
            if (s->body[k])
                number(p, s->body[k], pos);
        s->end = ++*pos;
    }
}

static int32_t new_buffer(plan *p, int64_t bytes, int32_t def, int32_t last)
{
    plan_buffer b = {.bytes = bytes, .def = def, .last = last};
    vec_push(p->a, &p->buffers, b);
    return (int32_t)p->buffers.n - 1;
}

static int64_t tile_bytes(const plan *p, ir_val v)
{
    ir_type t = ir_vtype(p->f, v);
    return ir_type_count(p->f->m, t) * plan_elem_bytes(p->f, t);
}

static bool is_tile(const plan *p, ir_val v)
{
    return ir_type_rank(p->f->m, ir_vtype(p->f, v)) > 0;
}

/* where a read at the current position of something written at `def` lets it live to */
static int32_t lives_to(const live *l, int32_t def)
{
    for (uint32_t i = 0; i < l->loops.n; i++) {
        const plan_step *s = &l->p->steps.at[l->loops.at[i]];
        if (s->pos > def)
            return s->end;
    }
    return l->pos;
}

static void read_value(live *l, ir_val v, bool ident)
{
    plan *p = l->p;
    plan_val *x = &p->v[v.id];
    if (!is_tile(p, v))
        return;
    int32_t def = p->steps.at[x->step].pos;
    if (x->cls == VC_DATA && ident && x->step == l->step && p->steps.at[x->step].kind == STEP_NEST)
        return;
    if (x->buffer < 0)
        x->buffer = new_buffer(p, tile_bytes(p, v), def, def);
    plan_buffer *b = &p->buffers.at[x->buffer];
    int32_t last = lives_to(l, b->def), own = lives_to(l, def);
    b->last = last > b->last ? last : b->last;
    int32_t *to = ident ? &x->ident_last : &x->other_last;
    *to = own > *to ? own : *to;
}

static void on_read(plan_visit *w, ir_val v, bool ident)
{
    read_value(w->ctx, v, ident);
}

static void read_tile(live *l, ir_val v)
{
    l->step = -1;
    plan_visit_value(&l->visit, v, false);
}

/* ---- buffers of a step's own ---- */
static void operand_temps(live *l, plan_step *s)
{
    plan *p = l->p;
    for (uint32_t i = 0; i < ir_nin(p->f, s->op); i++) {
        ir_val v = ir_in(p->f, s->op, i);
        uint8_t cls = p->v[v.id].cls;
        bool direct = cls == VC_DATA || cls == VC_CARRIED || !is_tile(p, v);
        vec_push(p->a, &s->temps, direct ? -1 : new_buffer(p, tile_bytes(p, v), l->pos, l->pos));
    }
}

static dtype dot_type(dtype result)
{
    return dt_is_int(result) ? (dt_bits(result) == 64 ? result : DT_I32) : result == DT_F64 ? DT_F64 : DT_F32;
}

/* packed operands live as long as the loop that fills them; the sum only where the result is of another type */
static void dot_temps(live *l, plan_step *s)
{
    plan *p = l->p;
    const ir_func *f = p->f;
    ir_op dot;
    int32_t from = l->pos, to = l->pos;
    bool looped = l->loops.n && plan_contraction(p, p->steps.at[vec_last(&l->loops)].op, &dot) && dot.id == s->op.id;
    if (looped) {
        from = p->steps.at[vec_last(&l->loops)].pos;
        to = p->steps.at[vec_last(&l->loops)].end;
    }
    for (uint32_t i = 0; i < 2; i++)
        vec_push(p->a, &s->temps, new_buffer(p, plan_dot_bytes(p, s->op, i, looped), from, to));
    ir_val out = ir_out(f, s->op, 0);
    dtype have = ir_type_dt(f->m, ir_vtype(f, out)), t = dot_type(have);
    bool same = have == t || (dt_is_int(t) && dt_bits(have) == dt_bits(t));
    bool direct = same && (p->v[out.id].cls == VC_DATA || p->v[out.id].cls == VC_CARRIED);
    int64_t bytes = ir_type_count(f->m, ir_vtype(f, out)) * dt_bytes(t);
    vec_push(p->a, &s->temps, direct ? -1 : new_buffer(p, bytes, l->pos, l->pos));
}

static void whole_temps(live *l, plan_step *s)
{
    plan *p = l->p;
    const ir_func *f = p->f;
    ir_code code = ir_op_code(f, s->op);
    if (code == IR_OP_dot) {
        dot_temps(l, s);
        return;
    }
    if (code == IR_OP_join || code == IR_OP_cat)
        return;
    operand_temps(l, s);
    const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, ir_in(f, s->op, 0)));
    int64_t n = t->shape[ir_int(f, s->op, KEY_axis, 0)];
    if (code == IR_OP_sort)
        vec_push(p->a, &s->temps, new_buffer(p, n * 32, l->pos, l->pos));
    if (code == IR_OP_reduce)
        for (uint32_t i = 0; i < ir_nin(f, s->op); i++)
            vec_push(p->a, &s->temps,
                     new_buffer(p, n * plan_elem_bytes(f, ir_vtype(f, ir_in(f, s->op, i))), l->pos, l->pos));
}

/* ---- the walk ---- */
static void walk(live *l, plan_region *r);

static void set_shared(plan *p, ir_val v, int32_t buffer)
{
    p->v[v.id].buffer = buffer;
}

static void walk_control(live *l, int32_t id)
{
    plan *p = l->p;
    const ir_func *f = p->f;
    ir_op o = p->steps.at[id].op;
    ir_code code = ir_op_code(f, o);
    uint32_t skip = code == IR_OP_for ? 3 : 0;
    int32_t pos = p->steps.at[id].pos, end = p->steps.at[id].end;
    for (uint32_t i = 0; i < ir_nout(f, o); i++) {
        ir_val out = ir_out(f, o, i);
        if (code != IR_OP_if) {
            l->pos = pos;
            read_tile(l, ir_in(f, o, skip + i));
        }
        if (p->v[out.id].cls != VC_CARRIED)
            continue;
        int32_t b = new_buffer(p, tile_bytes(p, out), pos, end);
        set_shared(p, out, b);
        if (code == IR_OP_if)
            continue;
        ir_region last = ir_op_region(f, o, code == IR_OP_for ? 0 : 1);
        ir_val param = ir_param_of(f, last, i + (code == IR_OP_for));
        p->v[param.id].step = id;
        set_shared(p, param, b);
        if (code == IR_OP_while) {
            ir_val first = ir_param_of(f, ir_op_region(f, o, 0), i);
            p->v[first.id].step = id;
            set_shared(p, first, b);
        }
    }
    if (code != IR_OP_if)
        vec_push(p->a, &l->loops, id);
    for (int k = 0; k < 2; k++) {
        plan_region *body = p->steps.at[id].body[k];
        if (!body)
            continue;
        walk(l, body);
        ir_op term = ir_last(f, body->r);
        l->pos = end;
        for (uint32_t i = 0; i < ir_nin(f, term); i++)
            read_tile(l, ir_in(f, term, i));
    }
    if (code != IR_OP_if)
        l->loops.n--;
}

static void walk(live *l, plan_region *r)
{
    plan *p = l->p;
    for (uint32_t i = 0; i < r->steps.n; i++) {
        int32_t id = r->steps.at[i];
        l->pos = p->steps.at[id].pos;
        plan_step s = p->steps.at[id];
        switch ((step_kind)s.kind) {
        case STEP_CTRL:
            walk_control(l, id);
            break;
        case STEP_NEST:
            for (uint32_t k = 0; k < s.items.n; k++) {
                l->step = id;
                plan_visit_op(&l->visit, s.items.at[k]);
            }
            break;
        case STEP_WHOLE:
        case STEP_POINT:
        case STEP_HOST:
            l->step = id;
            plan_visit_op(&l->visit, s.op);
            break;
        case STEP_FLUSH:
            break;
        }
        /* tile results of what doesn't fuse have a buffer even when nobody reads them */
        if (s.kind == STEP_WHOLE)
            for (uint32_t k = 0; k < ir_nout(p->f, s.op); k++)
                if (is_tile(p, ir_out(p->f, s.op, k)) && p->v[ir_out(p->f, s.op, k).id].buffer < 0)
                    p->v[ir_out(p->f, s.op, k).id].buffer =
                        new_buffer(p, tile_bytes(p, ir_out(p->f, s.op, k)), s.pos, s.pos);
        if (s.kind == STEP_NEST)
            for (uint32_t k = 0; k < s.items.n; k++)
                if (ir_op_code(p->f, s.items.at[k]) == IR_OP_reduce && !plan_is_products(p->f, s.items.at[k])) {
                    ir_val v = ir_out(p->f, s.items.at[k], 0);
                    if (is_tile(p, v) && p->v[v.id].buffer < 0)
                        p->v[v.id].buffer = new_buffer(p, tile_bytes(p, v), s.pos, s.pos);
                }
        if (s.kind == STEP_WHOLE)
            whole_temps(l, &p->steps.at[id]);
        if (s.kind == STEP_HOST)
            operand_temps(l, &p->steps.at[id]);
    }
}

/* ---- sharing ---- */
static bool reads_end_by(const plan *p, ir_val old, int32_t pos)
{
    const plan_val *x = &p->v[old.id];
    return x->ident_last <= pos && x->other_last < pos;
}

static void move_to(plan *p, ir_val v, int32_t buffer)
{
    plan_val *x = &p->v[v.id];
    plan_buffer *b = &p->buffers.at[buffer];
    if (x->buffer >= 0) {
        plan_buffer *own = &p->buffers.at[x->buffer];
        b->last = own->last > b->last ? own->last : b->last;
        b->def = own->def < b->def ? own->def : b->def;
        own->bytes = 0;
    }
    x->buffer = buffer;
}

/* a dot's accumulator, when this dot is the last to read it */
static bool dot_reuses(const plan *p, ir_op dot, ir_val acc)
{
    const plan_val *x = &p->v[acc.id];
    int32_t pos = p->steps.at[p->v[ir_out(p->f, dot, 0).id].step].pos;
    return x->cls == VC_DATA && is_tile(p, acc) && x->buffer >= 0 && reads_end_by(p, acc, pos) &&
           p->buffers.at[x->buffer].last <= pos && ir_vtype(p->f, acc).id == ir_vtype(p->f, ir_out(p->f, dot, 0)).id;
}

static void share_carried(plan *p, ir_val param, ir_val next, const plan_region *body, bool *taken)
{
    const ir_func *f = p->f;
    int32_t buffer = p->v[param.id].buffer;
    ir_val v = next, chain[8];
    uint32_t n = 0;
    while (n < COUNTOF(chain)) {
        ir_op o = ir_def(f, v);
        if (!o.id || p->v[v.id].cls != VC_DATA || ir_o(f, o)->parent.id != body->r.id || taken[v.id])
            break;
        chain[n++] = v;
        if (ir_op_code(f, o) != IR_OP_dot || !dot_reuses(p, o, ir_in(f, o, 2)))
            break;
        v = ir_in(f, o, 2);
    }
    /* the first link is written first: it must not be before the last read of the old value */
    while (n > 0 && !reads_end_by(p, param, p->steps.at[p->v[chain[n - 1].id].step].pos))
        n--;
    for (uint32_t i = 0; i < n; i++) {
        taken[chain[i].id] = true;
        move_to(p, chain[i], buffer);
    }
}

static void share(plan *p, plan_region *r, bool *taken)
{
    const ir_func *f = p->f;
    for (uint32_t i = 0; i < r->steps.n; i++) {
        plan_step *s = &p->steps.at[r->steps.at[i]];
        if (s->kind != STEP_CTRL)
            continue;
        ir_code code = ir_op_code(f, s->op);
        for (int k = 0; k < 2; k++)
            if (s->body[k])
                share(p, s->body[k], taken);
        plan_region *body = s->body[code == IR_OP_for ? 0 : 1];
        for (uint32_t k = 0; code != IR_OP_if && k < ir_nout(f, s->op); k++)
            if (p->v[ir_out(f, s->op, k).id].cls == VC_CARRIED)
                share_carried(p, ir_param_of(f, body->r, k + (code == IR_OP_for)), ir_in(f, ir_last(f, body->r), k),
                              body, taken);
    }
}

static void share_dots(plan *p, bool *taken)
{
    const ir_func *f = p->f;
    for (uint32_t i = 0; i < p->steps.n; i++) {
        ir_op o = p->steps.at[i].op;
        if (p->steps.at[i].kind != STEP_WHOLE || ir_op_code(f, o) != IR_OP_dot)
            continue;
        ir_val out = ir_out(f, o, 0), acc = ir_in(f, o, 2);
        if (!taken[out.id] && !taken[acc.id] && dot_reuses(p, o, acc)) {
            taken[out.id] = true;
            move_to(p, out, p->v[acc.id].buffer);
        }
    }
}

static void plan_copies(plan *p, plan_region *r)
{
    const ir_func *f = p->f;
    for (uint32_t i = 0; i < r->steps.n; i++) {
        plan_step *s = &p->steps.at[r->steps.at[i]];
        if (s->kind != STEP_CTRL)
            continue;
        ir_code code = ir_op_code(f, s->op);
        plan_region *body = s->body[code == IR_OP_for ? 0 : 1];
        for (uint32_t k = 0; code != IR_OP_if && k < ir_nout(f, s->op); k++) {
            ir_val out = ir_out(f, s->op, k), y = ir_in(f, ir_last(f, body->r), k);
            int32_t temp = -1;
            if (p->v[out.id].cls == VC_CARRIED && p->v[y.id].cls != VC_DATA && p->v[y.id].buffer != p->v[out.id].buffer)
                temp = new_buffer(p, tile_bytes(p, out), s->end, s->end);
            vec_push(p->a, &s->copies, temp);
        }
        for (int k = 0; k < 2; k++)
            if (s->body[k])
                plan_copies(p, s->body[k]);
    }
}

/* ---- places ---- */
static void colour(plan *p)
{
    for (uint32_t i = 0; i < p->buffers.n; i++) {
        plan_buffer *b = &p->buffers.at[i];
        if (!b->bytes)
            continue;
        b->bytes = (b->bytes + 64 + 63) / 64 * 64; /* vector loads may run past the end */
        for (bool moved = true; moved;) {
            moved = false;
            for (uint32_t k = 0; k < i; k++) {
                const plan_buffer *o = &p->buffers.at[k];
                bool together = o->bytes && o->def <= b->last && b->def <= o->last;
                if (together && o->offset < b->offset + b->bytes && b->offset < o->offset + o->bytes) {
                    b->offset = o->offset + o->bytes;
                    moved = true;
                }
            }
        }
        int64_t end = b->offset + b->bytes;
        p->buffer_bytes = end > p->buffer_bytes ? end : p->buffer_bytes;
    }
    if (p->buffer_bytes)
        p->buffer_bytes += 4096; /* blocks of bytes may run past by more (products.c) */
}

void plan_buffers(plan *p)
{
    int32_t pos = 0;
    number(p, p->body, &pos);
    live l = {.p = p, .step = -1};
    plan_visit_init(&l.visit, p, on_read, &l);
    walk(&l, p->body);
    bool *taken = ARENA_ARRAY(p->a, bool, p->f->vals.n);
    share(p, p->body, taken);
    share_dots(p, taken);
    plan_copies(p, p->body);
    colour(p);
}
