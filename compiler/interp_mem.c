/* interp_mem.c: memory through pointers and tensors, and atomics.
 *
 * Addresses are the host's. Every element that is touched passes through `reach`, which checks it against opt->bounds
 * where given; lanes that are masked off, or outside a tensor, touch nothing. An atomic on a tile is as many atomics as
 * it has lanes, in ascending order. bool in memory is a byte: any that isn't 0 is read as true.
 *
 * A tensor's element at offsets i[] is at base + (sum of i[d] * stride[d]) * size of an element, and is inside where
 * 0 <= i[d] < size[d] for every d. A view moves the base and cuts the sizes; one whose index was outside is marked so.
 */
#include "compiler/interp_impl.h"

/* ---- one element ---- */

static const interp_range *nearest_range(const interp_options *opt, uint64_t at)
{
    const interp_range *best = NULL;
    uint64_t best_gap = UINT64_MAX;
    for (uint32_t i = 0; i < opt->nbounds; i++) {
        const interp_range *r = &opt->bounds[i];
        uint64_t gap = at < r->base ? r->base - at : at - r->base < r->bytes ? 0 : at - (r->base + r->bytes);
        if (!best || gap < best_gap) {
            best = r;
            best_gap = gap;
        }
    }
    return best;
}

static bool range_holds(const interp_range *r, uint64_t at, uint64_t n)
{
    return at >= r->base && n <= r->bytes && at - r->base <= r->bytes - n;
}

static bool outside(frame *fr, ir_op o, uint64_t at, size_t es)
{
    const interp_range *r = nearest_range(fr->p->x->opt, at);
    const char *op = ir_info(fr->f, o)->name;
    if (!r)
        return interp_fault(fr, o, "%s of address 0x%llx, outside every argument", op, (unsigned long long)at);
    int64_t off = (int64_t)(at - r->base), index = off / (int64_t)es;
    index -= off % (int64_t)es < 0; /* floor: what begins before the argument has a negative index */
    return interp_fault(fr, o, "%s outside argument '%s': element %lld of %llu", op, r->name, (long long)index,
                        (unsigned long long)(r->bytes / es));
}

/* may op o touch the es bytes at `at`? */
static inline bool reach(frame *fr, ir_op o, uint64_t at, size_t es)
{
    interp *x = fr->p->x;
    if (!x->opt->bounds)
        return true;
    if (x->last_range < x->opt->nbounds && range_holds(&x->opt->bounds[x->last_range], at, es))
        return true;
    for (uint32_t i = 0; i < x->opt->nbounds; i++) {
        if (!range_holds(&x->opt->bounds[i], at, es))
            continue;
        x->last_range = i;
        return true;
    }
    return outside(fr, o, at, es);
}

bool interp_read_elem(frame *fr, ir_op o, uint64_t at, size_t es, void *d)
{
    if (!reach(fr, o, at, es))
        return false;
    copy_elem(d, (const void *)(uintptr_t)at, es);
    return true;
}

bool interp_write_elem(frame *fr, ir_op o, uint64_t at, size_t es, const void *s)
{
    if (!reach(fr, o, at, es))
        return false;
    interp *x = fr->p->x;
    if (memcmp((const void *)(uintptr_t)at, s, es) != 0) {
        x->changes++;
        x->idle_polls = 0;
    }
    copy_elem((void *)(uintptr_t)at, s, es);
    return true;
}

bool interp_update_elem(frame *fr, ir_op o, uint64_t at, dtype dt, const void *s, void *old)
{
    static const ir_code code_of[] = {
        [RMW_ADD] = IR_OP_add, [RMW_MAX] = IR_OP_max, [RMW_MIN] = IR_OP_min, [RMW_AND] = IR_OP_and,
        [RMW_OR] = IR_OP_or,   [RMW_XOR] = IR_OP_xor, [RMW_XCHG] = IR_NOP,
    };
    size_t es = (size_t)dt_bytes(dt);
    int64_t rmw = ir_int(fr->f, o, KEY_rmw, RMW_ADD);
    uint64_t now = 0;
    if (!interp_read_elem(fr, o, at, es, old))
        return false;
    if (rmw == RMW_XCHG)
        copy_elem(&now, s, es);
    else
        interp_binary(code_of[rmw], dt, false, 1, &now, old, s);
    return interp_write_elem(fr, o, at, es, &now);
}

static void normalise_bools(ir_type t, const ir_module *m, ua8 *d)
{
    if (elem_dt(m, t) != DT_BOOL)
        return;
    int64_t n = ir_type_count(m, t);
    for (int64_t i = 0; i < n; i++)
        d[i] = d[i] != 0;
}

/* ---- operands that may be absent, or scalars beside tiles ---- */

typedef struct lanes {
    const char *p; /* NULL: absent */
    size_t step;   /* bytes from lane to lane; 0: one for all */
} lanes;

static lanes lanes_of(const frame *fr, ir_op o, uint32_t i)
{
    if (i >= ir_nin(fr->f, o))
        return (lanes){NULL, 0};
    ir_type t = in_type(fr, o, i);
    return (lanes){in_data(fr, o, i), ir_type_rank(fr->f->m, t) ? elem_bytes(fr->f->m, t) : 0};
}

static const void *lane(lanes l, int64_t i) { return l.p + (size_t)i * l.step; }
static bool lane_on(lanes mask, int64_t i) { return !mask.p || *(const ua8 *)lane(mask, i); }

static uint64_t lane_address(lanes l, int64_t i)
{
    uint64_t a;
    memcpy(&a, lane(l, i), sizeof a);
    return a;
}

/* ---- pointers ---- */

static bool exec_load(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    ir_type t = out_type(fr, o, 0);
    size_t es = elem_bytes(m, t);
    int64_t n = ir_type_count(m, t);
    lanes ptr = lanes_of(fr, o, 0), mask = lanes_of(fr, o, 1), other = lanes_of(fr, o, 2);
    static const uint64_t zero = 0;
    if (ir_int(fr->f, o, KEY_is_volatile, 0) && !interp_poll(fr, o))
        return false;
    char *d = out_data(fr, o, 0);
    for (int64_t i = 0; i < n; i++) {
        if (!lane_on(mask, i))
            copy_elem(d + (size_t)i * es, other.p ? lane(other, i) : &zero, es);
        else if (!interp_read_elem(fr, o, lane_address(ptr, i), es, d + (size_t)i * es))
            return false;
    }
    normalise_bools(t, m, (ua8 *)d);
    return true;
}

static bool exec_store(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    lanes ptr = lanes_of(fr, o, 0), val = lanes_of(fr, o, 1), mask = lanes_of(fr, o, 2);
    size_t es = elem_bytes(m, in_type(fr, o, 1));
    int64_t n = ir_type_count(m, in_type(fr, o, 0));
    for (int64_t i = 0; i < n; i++)
        if (lane_on(mask, i) && !interp_write_elem(fr, o, lane_address(ptr, i), es, lane(val, i)))
            return false;
    return true;
}

static bool exec_rmw(frame *fr, ir_op o)
{
    if (!interp_poll(fr, o))
        return false;
    const ir_module *m = fr->f->m;
    ir_type t = out_type(fr, o, 0);
    lanes ptr = lanes_of(fr, o, 0), val = lanes_of(fr, o, 1), mask = lanes_of(fr, o, 2);
    size_t es = elem_bytes(m, t);
    int64_t n = ir_type_count(m, t);
    char *d = out_data(fr, o, 0);
    memset(d, 0, (size_t)n * es);
    for (int64_t i = 0; i < n; i++)
        if (lane_on(mask, i) &&
            !interp_update_elem(fr, o, lane_address(ptr, i), elem_dt(m, t), lane(val, i), d + (size_t)i * es))
            return false;
    return true;
}

/* compares bit patterns */
static bool exec_cas(frame *fr, ir_op o)
{
    if (!interp_poll(fr, o))
        return false;
    const ir_module *m = fr->f->m;
    ir_type t = out_type(fr, o, 0);
    lanes ptr = lanes_of(fr, o, 0), cmp = lanes_of(fr, o, 1), val = lanes_of(fr, o, 2), mask = lanes_of(fr, o, 3);
    size_t es = elem_bytes(m, t);
    int64_t n = ir_type_count(m, t);
    char *d = out_data(fr, o, 0);
    memset(d, 0, (size_t)n * es);
    for (int64_t i = 0; i < n; i++) {
        if (!lane_on(mask, i))
            continue;
        uint64_t at = lane_address(ptr, i);
        char *old = d + (size_t)i * es;
        if (!interp_read_elem(fr, o, at, es, old))
            return false;
        if (memcmp(old, lane(cmp, i), es) == 0 && !interp_write_elem(fr, o, at, es, lane(val, i)))
            return false;
    }
    return true;
}

static bool exec_bound(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    ir_type t = in_type(fr, o, 0);
    int64_t n = ir_type_count(m, t), bytes, es = (int64_t)elem_bytes(m, ir_type_of(m, ir_type_elem(m, t))->elem);
    lanes ptr = lanes_of(fr, o, 0), mask = lanes_of(fr, o, 3);
    uint64_t base = lane_address(lanes_of(fr, o, 1), 0);
    memcpy(&bytes, in_data(fr, o, 2), sizeof bytes);
    for (int64_t i = 0; i < n && bytes >= 0; i++) {
        int64_t off = (int64_t)(lane_address(ptr, i) - base);
        if (!lane_on(mask, i) || (off >= 0 && off <= bytes - es))
            continue;
        str text = ir_text(fr->f, o, KEY_text);
        return interp_fault(fr, o, "%.*s: element %lld of %lld", STR_ARG(text),
                            (long long)(off / es - (off % es < 0)), (long long)(bytes / es));
    }
    return true;
}

bool interp_mem(frame *fr, ir_op o)
{
    switch ((int)ir_op_code(fr->f, o)) {
    case IR_OP_load: return exec_load(fr, o);
    case IR_OP_store: return exec_store(fr, o);
    case IR_OP_atomic_rmw: return exec_rmw(fr, o);
    case IR_OP_atomic_cas: return exec_cas(fr, o);
    case IR_OP_bound: return exec_bound(fr, o);
    default: bug("interp: op '%s' touches no memory", ir_info(fr->f, o)->name);
    }
}

/* ---- tensors ---- */

/* i * stride, wrapping as address arithmetic does */
static uint64_t scaled(int64_t i, int64_t stride) { return (uint64_t)i * (uint64_t)stride; }

static void exec_make(frame *fr, ir_op o)
{
    const ir_type_info *t = ir_type_of(fr->f->m, out_type(fr, o, 0));
    itensor *d = out_data(fr, o, 0);
    memset(d, 0, sizeof *d);
    memcpy(&d->base, in_data(fr, o, 0), 8);
    for (int k = 0; k < t->rank; k++) {
        d->size[k] = in_int(fr, o, 1 + (uint32_t)k);
        d->stride[k] = in_int(fr, o, 1 + (uint32_t)t->rank + (uint32_t)k);
    }
}

/* An index outside marks the view, whose sizes stay; a range keeps what of it lies in the dimension. */
static void exec_view(frame *fr, ir_op o)
{
    const itensor *s = in_data(fr, o, 0);
    itensor *d = out_data(fr, o, 0);
    uint64_t es = elem_bytes(fr->f->m, ir_type_of(fr->f->m, in_type(fr, o, 0))->elem), move = 0;
    uint32_t n, next = 1;
    const int64_t *kinds = ir_ints(fr->f, o, KEY_kinds, &n);
    int rank = 0;
    memset(d, 0, sizeof *d);
    d->outside = s->outside;
    for (uint32_t k = 0; k < n; k++) {
        if (kinds[k] == 2) {
            d->size[rank] = s->size[k];
            d->stride[rank++] = s->stride[k];
            continue;
        }
        int64_t from = in_int(fr, o, next++);
        if (kinds[k] == 0) {
            d->outside |= from < 0 || from >= s->size[k];
        } else {
            int64_t to = in_int(fr, o, next++);
            to = to < s->size[k] ? to : s->size[k];
            bool some = from >= 0 && from <= s->size[k] && to > from;
            d->size[rank] = some ? to - from : 0;
            d->stride[rank++] = s->stride[k];
        }
        move += scaled(from, s->stride[k]);
    }
    d->base = s->base + move * es;
}

typedef struct box {
    const itensor *t;
    int rank; /* of the tensor */
    uint64_t es;
    int64_t shape[IR_MAX_RANK]; /* of the box: the tile's extents, or ones */
    int64_t from[IR_MAX_RANK];
    int64_t at[IR_MAX_RANK];
} box;

static box box_of(const frame *fr, ir_op o, ir_type tile)
{
    const ir_module *m = fr->f->m;
    const ir_type_info *t = ir_type_of(m, in_type(fr, o, 0)), *v = ir_type_of(m, tile);
    box b = {.t = in_data(fr, o, 0), .rank = t->rank, .es = elem_bytes(m, t->elem)};
    for (int k = 0; k < t->rank; k++) {
        b.shape[k] = v->kind == TK_TILE ? v->shape[k] : 1;
        b.from[k] = in_int(fr, o, 1 + (uint32_t)k);
    }
    return b;
}

/* the address of the box's current element; false where it is outside the tensor */
static bool box_address(const box *b, uint64_t *at)
{
    uint64_t pos = 0;
    if (b->t->outside)
        return false;
    for (int k = 0; k < b->rank; k++) {
        int64_t i;
        if (__builtin_add_overflow(b->from[k], b->at[k], &i) || i < 0 || i >= b->t->size[k])
            return false;
        pos += scaled(i, b->t->stride[k]);
    }
    *at = b->t->base + pos * b->es;
    return true;
}

static void box_next(box *b)
{
    for (int k = b->rank - 1; k >= 0; k--) {
        if (++b->at[k] < b->shape[k])
            return;
        b->at[k] = 0;
    }
}

static bool exec_tensor_load(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    ir_type t = out_type(fr, o, 0);
    box b = box_of(fr, o, t);
    lanes other = lanes_of(fr, o, 1 + (uint32_t)b.rank);
    static const uint64_t zero = 0;
    int64_t n = ir_type_count(m, t);
    char *d = out_data(fr, o, 0);
    for (int64_t i = 0; i < n; i++, d += b.es, box_next(&b)) {
        uint64_t at;
        if (!box_address(&b, &at))
            copy_elem(d, other.p ? lane(other, i) : &zero, b.es);
        else if (!interp_read_elem(fr, o, at, b.es, d))
            return false;
    }
    normalise_bools(t, m, out_data(fr, o, 0));
    return true;
}

static bool exec_tensor_store(frame *fr, ir_op o, bool atomic)
{
    const ir_module *m = fr->f->m;
    int rank = ir_type_of(m, in_type(fr, o, 0))->rank;
    uint32_t vi = 1 + (uint32_t)rank;
    ir_type t = in_type(fr, o, vi);
    if (atomic && !interp_poll(fr, o))
        return false;
    box b = box_of(fr, o, t);
    lanes val = lanes_of(fr, o, vi);
    int64_t n = ir_type_count(m, t);
    for (int64_t i = 0; i < n; i++, box_next(&b)) {
        uint64_t at, old;
        if (!box_address(&b, &at))
            continue;
        bool ok = atomic ? interp_update_elem(fr, o, at, elem_dt(m, t), lane(val, i), &old)
                         : interp_write_elem(fr, o, at, b.es, lane(val, i));
        if (!ok)
            return false;
    }
    return true;
}

/* the address of element i of index tiles; false where it is outside */
static bool index_address(const frame *fr, ir_op o, int64_t i, uint64_t *at)
{
    const ir_module *m = fr->f->m;
    const ir_type_info *ti = ir_type_of(m, in_type(fr, o, 0));
    const itensor *t = in_data(fr, o, 0);
    uint64_t pos = 0;
    if (t->outside)
        return false;
    for (int k = 0; k < ti->rank; k++) {
        uint32_t operand = 1 + (uint32_t)k;
        dtype dt = elem_dt(m, in_type(fr, o, operand));
        int64_t x;
        interp_get_ints(&x, dt, lane(lanes_of(fr, o, operand), i), 1);
        if (x < 0 || x >= t->size[k])
            return false;
        pos += scaled(x, t->stride[k]);
    }
    *at = t->base + pos * elem_bytes(m, ti->elem);
    return true;
}

static bool exec_tensor_gather(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    ir_type t = out_type(fr, o, 0);
    uint32_t after = 1 + (uint32_t)ir_type_of(m, in_type(fr, o, 0))->rank;
    lanes mask = lanes_of(fr, o, after), other = lanes_of(fr, o, after + 1);
    static const uint64_t zero = 0;
    size_t es = elem_bytes(m, t);
    int64_t n = ir_type_count(m, t);
    char *d = out_data(fr, o, 0);
    for (int64_t i = 0; i < n; i++) {
        uint64_t at;
        if (!lane_on(mask, i) || !index_address(fr, o, i, &at))
            copy_elem(d + (size_t)i * es, other.p ? lane(other, i) : &zero, es);
        else if (!interp_read_elem(fr, o, at, es, d + (size_t)i * es))
            return false;
    }
    normalise_bools(t, m, (ua8 *)d);
    return true;
}

static bool exec_tensor_scatter(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    uint32_t vi = 1 + (uint32_t)ir_type_of(m, in_type(fr, o, 0))->rank;
    ir_type t = in_type(fr, o, vi);
    lanes val = lanes_of(fr, o, vi), mask = lanes_of(fr, o, vi + 1);
    size_t es = elem_bytes(m, t);
    int64_t n = ir_type_count(m, t);
    for (uint32_t k = 1; k < vi; k++) { /* one value scattered to a tile of places */
        int64_t c = ir_type_count(m, in_type(fr, o, k));
        n = c > n ? c : n;
    }
    for (int64_t i = 0; i < n; i++) {
        uint64_t at;
        if (lane_on(mask, i) && index_address(fr, o, i, &at) && !interp_write_elem(fr, o, at, es, lane(val, i)))
            return false;
    }
    return true;
}

bool interp_tensor(frame *fr, ir_op o)
{
    const itensor *t = ir_op_code(fr->f, o) == IR_OP_tensor_make ? NULL : in_data(fr, o, 0);
    int64_t dim = ir_int(fr->f, o, KEY_dim, 0);
    switch ((int)ir_op_code(fr->f, o)) {
    case IR_OP_tensor_make: exec_make(fr, o); return true;
    case IR_OP_tensor_dim: memcpy(out_data(fr, o, 0), &t->size[dim], 8); return true;
    case IR_OP_tensor_stride: memcpy(out_data(fr, o, 0), &t->stride[dim], 8); return true;
    case IR_OP_tensor_base: memcpy(out_data(fr, o, 0), &t->base, 8); return true;
    case IR_OP_tensor_view: exec_view(fr, o); return true;
    case IR_OP_tensor_load: return exec_tensor_load(fr, o);
    case IR_OP_tensor_store: return exec_tensor_store(fr, o, false);
    case IR_OP_tensor_atomic: return exec_tensor_store(fr, o, true);
    case IR_OP_tensor_gather: return exec_tensor_gather(fr, o);
    case IR_OP_tensor_scatter: return exec_tensor_scatter(fr, o);
    default: bug("interp: op '%s' works on no tensor", ir_info(fr->f, o)->name);
    }
}
