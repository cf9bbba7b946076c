/* interp_laid.c: ops of the laid-out stage, by value: shared tiles here, asynchronous ops in interp_async.c, channels
 * and partitions in interp_parts.c.
 *
 * Layouts decide cost, never results, so `convert` copies, and a shared tile is an array with views. A tile of shared
 * memory, and a slot of a channel whose consumers are done with it, holds poison until something is written.
 */
#include "compiler/interp_laid.h"

size_t interp_laid_bytes(const ir_type_info *t)
{
    switch (t->kind) {
    case TK_SHARED:
        return sizeof(ishared);
    case TK_CHAN:
        return sizeof(ichan *);
    case TK_TOKEN:
        return sizeof(itoken);
    default:
        bug("interp: a type without a size");
    }
}

/* ---- views ---- */
static int64_t count_of(const ir_type_info *t)
{
    int64_t n = 1;
    for (int d = 0; d < t->rank; d++)
        n *= t->shape[d];
    return n;
}

void view_row_major(const ir_type_info *t, iroot *root, ishared *v)
{
    int64_t step = 1;
    memset(v, 0, sizeof *v);
    v->root = root;
    for (int d = t->rank - 1; d >= 0; d--) {
        v->stride[d] = step;
        step *= t->shape[d];
    }
}

char *view_at(const ir_type_info *t, const ishared *v, size_t es, const int64_t *at)
{
    int64_t off = v->start;
    for (int d = 0; d < t->rank; d++)
        off += at[d] * v->stride[d];
    return v->root->data + (size_t)off * es;
}

static void next_place(const ir_type_info *t, int64_t *at)
{
    for (int d = t->rank - 1; d >= 0; d--) {
        if (++at[d] < t->shape[d])
            return;
        at[d] = 0;
    }
}

void view_get(const ir_type_info *t, const ishared *v, size_t es, void *dst)
{
    int64_t at[IR_MAX_RANK] = {0}, n = count_of(t);
    for (int64_t i = 0; i < n; i++, next_place(t, at))
        copy_elem((char *)dst + (size_t)i * es, view_at(t, v, es, at), es);
}

void view_put(const ir_type_info *t, const ishared *v, size_t es, const void *src)
{
    int64_t at[IR_MAX_RANK] = {0}, n = count_of(t);
    for (int64_t i = 0; i < n; i++, next_place(t, at))
        copy_elem(view_at(t, v, es, at), (const char *)src + (size_t)i * es, es);
}

void view_poison(const ir_type_info *t, const ishared *v, size_t es)
{
    int64_t at[IR_MAX_RANK] = {0}, n = count_of(t);
    for (int64_t i = 0; i < n; i++, next_place(t, at))
        memset(view_at(t, v, es, at), POISON, es);
}

bool view_reach(frame *fr, ir_op o, const ishared *v, bool write)
{
    const islot *s = v->root->slot;
    const ipart *part = fr->p->part;
    if (!s || s->filling || (!write && s->open[part ? part->copy : 0]))
        return true;
    return interp_fault(fr, o, "'%s' %s slot %d of a channel, which is not entered for it", ir_info(fr->f, o)->name,
                        write ? "writes" : "reads", s->index);
}

/* ---- ops ---- */
static void exec_alloc(frame *fr, ir_op o)
{
    const ir_type_info *t = ir_type_of(fr->f->m, out_type(fr, o, 0));
    ishared *v = out_data(fr, o, 0);
    if (!v->root) { /* a program before this one had it too */
        v->root = ARENA_NEW(&fr->p->frames, iroot);
        v->root->bytes = (size_t)count_of(t) * (size_t)dt_bytes(t->dt);
        v->root->data = arena_alloc(&fr->p->frames, v->root->bytes, 16);
        view_row_major(t, v->root, v);
    }
    memset(v->root->data, POISON, v->root->bytes);
}

static bool exec_slice(frame *fr, ir_op o)
{
    const ir_type_info *a = ir_type_of(fr->f->m, in_type(fr, o, 0)), *b = ir_type_of(fr->f->m, out_type(fr, o, 0));
    const ishared *s = in_data(fr, o, 0);
    ishared *v = out_data(fr, o, 0);
    int skip = a->rank - b->rank;
    memset(v, 0, sizeof *v);
    v->root = s->root;
    v->start = s->start;
    for (int d = 0; d < a->rank; d++) {
        int64_t from = in_int(fr, o, 1 + (uint32_t)d), ext = d < skip ? 1 : b->shape[d - skip];
        if (from < 0 || from > a->shape[d] - ext)
            return interp_fault(fr, o, "a slice at %lld along dimension %d, expected 0 to %lld", (long long)from, d,
                                (long long)(a->shape[d] - ext));
        if (from % ext)
            return interp_fault(fr, o, "a slice at %lld along dimension %d, expected a multiple of its extent, %lld",
                                (long long)from, d, (long long)ext);
        v->start += from * s->stride[d];
        if (d >= skip)
            v->stride[d - skip] = s->stride[d];
    }
    return true;
}

static void exec_trans(frame *fr, ir_op o)
{
    uint32_t n;
    const int64_t *order = ir_ints(fr->f, o, KEY_order, &n);
    const ishared *s = in_data(fr, o, 0);
    ishared *v = out_data(fr, o, 0);
    memset(v, 0, sizeof *v);
    v->root = s->root;
    v->start = s->start;
    for (uint32_t d = 0; d < n; d++)
        v->stride[d] = s->stride[order[d]];
}

static bool exec_load(frame *fr, ir_op o)
{
    const ir_type_info *t = ir_type_of(fr->f->m, in_type(fr, o, 0));
    const ishared *v = in_data(fr, o, 0);
    if (!view_reach(fr, o, v, false))
        return false;
    view_get(t, v, (size_t)dt_bytes(t->dt), out_data(fr, o, 0));
    return true;
}

static bool exec_store(frame *fr, ir_op o)
{
    const ir_type_info *t = ir_type_of(fr->f->m, in_type(fr, o, 0));
    const ishared *v = in_data(fr, o, 0);
    if (!view_reach(fr, o, v, true))
        return false;
    view_put(t, v, (size_t)dt_bytes(t->dt), in_data(fr, o, 1));
    return true;
}

bool interp_laid(frame *fr, ir_op o)
{
    switch ((int)ir_op_code(fr->f, o)) {
    case IR_OP_convert:
        memcpy(out_data(fr, o, 0), in_data(fr, o, 0), interp_type_bytes(fr->f->m, in_type(fr, o, 0)));
        return true;
    case IR_OP_shared_alloc:
        exec_alloc(fr, o);
        return true;
    case IR_OP_shared_slice:
        return exec_slice(fr, o);
    case IR_OP_shared_trans:
        exec_trans(fr, o);
        return true;
    case IR_OP_shared_load:
        return exec_load(fr, o);
    case IR_OP_shared_store:
        return exec_store(fr, o);
    case IR_OP_launch_wait: /* launches go one after the other */
        return true;
    case IR_OP_fence_async: /* one thread by value: its stores are seen in order */
        return true;
    case IR_OP_tma_load:
    case IR_OP_tma_store:
    case IR_OP_cp_async:
    case IR_OP_wgmma:
    case IR_OP_await:
    case IR_OP_done:
        return interp_async(fr, o);
    default:
        return interp_parts(fr, o);
    }
}
