/* verify_parts.c: what holds over a whole kernel of the laid-out stage, beyond the types of its ops.
 *
 *   layouts   in a module for a GPU every tile has one, of as many warps as run it; the tiles of an elementwise op
 * share one; a reduced tile's is the operand's without the dimension handles   shared tiles and channels go to the ops
 * that use them, tokens also through loops and branches places    chan and partitions stand in the kernel's body,
 * partitions last; shared_alloc there or in a partition's region; turns in partitions, cluster_barrier outside launches
 * before launch_wait only `static` parameters are read crossing  into partitions come channels, shared tiles,
 * parameters of the kernel and scalars channels  one partition puts into one, in one copy; one gets
 *
 * One walk in the order of the text; the place of an op is 0 outside of partitions, else the partition's number from 1.
 */
#include "compiler/layout.h"
#include "compiler/verify.h"

typedef struct side {
    ir_op op; /* the first, 0 = none yet */
    uint32_t place;
} side;

typedef struct walk {
    verifier *v;
    ir_op parts;     /* of the partitions we are in, or 0 */
    uint32_t place;  /* 0 = outside */
    int64_t warps;   /* that run what is here; 0 = unknown */
    uint8_t *home;   /* by value id: place + 1 of its definition, 0 = not yet */
    side *put, *get; /* by value id of a channel */
    bool gpu, cuda;
} walk;

static bool is_laid_op(ir_code c)
{
    return (ir_ops[c].stages & ANY) == LAID;
}

/* ---- layouts ---- */
static bool lanes_fit(const walk *w, const lay *l)
{
    int64_t lanes = lay_size(l, LAY_LANE);
    return lanes == 1 || lanes == 32 || (lanes == 64 && !w->cuda);
}

/* operand or result: a tile of a kernel for a GPU */
static bool check_layout(walk *w, ir_op o, const char *what, uint32_t i, ir_type t)
{
    verifier *v = w->v;
    const ir_type_info *x = ir_type_of(v->m, t);
    if (!w->gpu || x->kind != TK_TILE)
        return true;
    const lay *l = ir_layout_of(v->m, x->layout);
    if (!l) {
        verify_fail(v, o, "%s %u is '%s', a tile without a layout", what, i, verify_type(v, t));
        return false;
    }
    if (!lanes_fit(w, l)) {
        verify_fail(v, o, "%s %u is '%s', whose layout has %lld lanes, expected %s", what, i, verify_type(v, t),
                    (long long)lay_size(l, LAY_LANE), w->cuda ? "32" : "32 or 64");
        return false;
    }
    int64_t warps = lay_size(l, LAY_WARP);
    if (w->warps && warps != 1 && warps != w->warps) {
        verify_fail(v, o, "%s %u is '%s', whose layout has %lld warp%s where %lld run", what, i, verify_type(v, t),
                    (long long)warps, warps == 1 ? "" : "s", (long long)w->warps);
        return false;
    }
    return true;
}

static bool layouts_of_op(walk *w, ir_op o)
{
    verifier *v = w->v;
    for (uint32_t i = 0; i < ir_nout(v->f, o); i++)
        if (!check_layout(w, o, "result", i, verify_out(v, o, i)))
            return false;
    for (uint32_t r = 0; r < ir_o(v->f, o)->nregions; r++) {
        ir_region g = ir_op_region(v->f, o, r);
        for (uint32_t i = 0; i < ir_nparams(v->f, g); i++)
            if (!check_layout(w, o, "parameter", i, ir_vtype(v->f, ir_param_of(v->f, g, i))))
                return false;
    }
    return true;
}

/* ops whose tiles lie alike: elementwise ones, and those that work on rows of one layout */
static bool wants_one_layout(ir_code c)
{
    return (ir_ops[c].flags & ELT) || c == IR_OP_scan || c == IR_OP_map || c == IR_OP_reduce || c == IR_OP_assert ||
           c == IR_OP_bound || c == IR_OP_hint || c == IR_OP_sort;
}

static void one_layout(walk *w, ir_op o)
{
    verifier *v = w->v;
    ir_code c = ir_op_code(v->f, o);
    ir_type first = {0};
    uint32_t nin = ir_nin(v->f, o), n = nin + (c == IR_OP_reduce ? 0 : ir_nout(v->f, o));
    for (uint32_t i = 0; i < n; i++) {
        ir_type t = i < nin ? verify_in(v, o, i) : verify_out(v, o, i - nin);
        if (!verify_is_tile(v, t) || (c == IR_OP_sort && i >= nin && ir_has(v->f, o, KEY_k)))
            continue;
        if (!first.id)
            first = t;
        if (ir_type_of(v->m, t)->layout.id == ir_type_of(v->m, first)->layout.id)
            continue;
        verify_fail(v, o, "%s %u is '%s', expected the layout of '%s'", i < nin ? "operand" : "result",
                    i < nin ? i : i - nin, verify_type(v, t), verify_type(v, first));
        return;
    }
}

static void reduced_layout(walk *w, ir_op o)
{
    verifier *v = w->v;
    int axis = (int)ir_int(v->f, o, KEY_axis, 0);
    const lay *from = ir_layout_of(v->m, ir_type_of(v->m, verify_in(v, o, 0))->layout);
    for (uint32_t i = 0; from && i < ir_nout(v->f, o); i++) {
        const lay *to = ir_layout_of(v->m, ir_type_of(v->m, verify_out(v, o, i))->layout);
        lay want = lay_drop_dim(from, axis);
        if (!to || lay_eq(to, &want))
            continue;
        strbuf b;
        sb_init(&b, v->d->a);
        ir_layout_print_lay(&want, &b);
        verify_fail(v, o, "result %u is '%s', expected operand 0's layout without dimension %d, %.*s", i,
                    verify_type(v, verify_out(v, o, i)), axis, STR_ARG(sb_str(&b)));
        return;
    }
}

/* ---- handles ---- */
static bool may_take(const walk *w, ir_op o, ir_type_kind kind)
{
    ir_code c = ir_op_code(w->v->f, o);
    if (is_laid_op(c))
        return true;
    return kind == TK_TOKEN && (c == IR_OP_for || c == IR_OP_while || c == IR_OP_if || c == IR_OP_yield);
}

static bool handles_of_op(walk *w, ir_op o)
{
    verifier *v = w->v;
    uint32_t nin = ir_nin(v->f, o);
    for (uint32_t i = 0; i < nin + ir_nout(v->f, o); i++) {
        ir_type t = i < nin ? verify_in(v, o, i) : verify_out(v, o, i - nin);
        ir_type_kind k = ir_type_of(v->m, t)->kind;
        if ((k != TK_SHARED && k != TK_CHAN && k != TK_TOKEN) || may_take(w, o, k))
            continue;
        verify_fail(v, o, "%s %u is '%s', which it can't %s", i < nin ? "operand" : "result", i < nin ? i : i - nin,
                    verify_type(v, t), i < nin ? "take" : "give");
        return false;
    }
    return true;
}

/* ---- places ---- */
/* the parameter that a pointer or a tensor comes from, 0 = not known */
static ir_val root_of(const ir_func *f, ir_val v)
{
    for (ir_op o = ir_def(f, v); o.id; o = ir_def(f, v))
        switch ((int)ir_op_code(f, o)) {
        case IR_OP_ptr_add:
        case IR_OP_splat:
        case IR_OP_broadcast:
        case IR_OP_reshape:
        case IR_OP_tensor_base:
            v = ir_in(f, o, 0);
            break;
        default:
            return (ir_val){0};
        }
    return v;
}

static bool reads_static(const ir_func *f, ir_op o)
{
    ir_val p = ir_op_code(f, o) == IR_OP_load ? root_of(f, ir_in(f, o, 0)) : (ir_val){0};
    return p.id && f->params.at[f->vals.at[p.id].index].flags & PARAM_STATIC;
}

static bool touches_memory(const ir_func *f, ir_region r)
{
    FOR_OPS(f, r, o)
    {
        if (ir_info(f, o)->flags & (READ | WRITE) && !reads_static(f, o))
            return true;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            if (touches_memory(f, ir_op_region(f, o, i)))
                return true;
    }
    return false;
}

static void check_launch_wait(walk *w, ir_op wait)
{
    const ir_func *f = w->v->f;
    if (ir_o(f, wait)->parent.id != f->body.id) {
        verify_fail(w->v, wait, "only legal outside of loops, branches and partitions");
        return;
    }
    for (ir_op o = ir_first(f, f->body); o.id != wait.id; o = ir_next(f, o)) {
        bool touches = ir_info(f, o)->flags & (READ | WRITE) && !reads_static(f, o);
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            touches |= touches_memory(f, ir_op_region(f, o, i));
        if (!touches)
            continue;
        verify_fail(w->v, wait, "'%s' before it touches memory that is not a 'static' parameter's",
                    ir_info(f, o)->name);
        return;
    }
}

static void check_place(walk *w, ir_op o)
{
    verifier *v = w->v;
    const ir_func *f = v->f;
    bool top = ir_o(f, o)->parent.id == f->body.id;
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_shared_alloc: { /* in a partition: a copy's own */
        ir_op owner = f->regions.at[ir_o(f, o)->parent.id].owner;
        if (!top && ir_op_code(f, owner) != IR_OP_partitions)
            verify_fail(v, o, "only legal outside of loops and branches");
        break;
    }
    case IR_OP_chan:
        if (!top)
            verify_fail(v, o, "only legal outside of loops, branches and partitions");
        break;
    case IR_OP_partitions:
        if (!top || ir_op_code(f, ir_next(f, o)) != IR_OP_return)
            verify_fail(v, o, "only legal as the last op of a kernel before 'return'");
        break;
    case IR_OP_turn_enter:
    case IR_OP_turn_exit:
        if (!w->place)
            verify_fail(v, o, "only legal in a partition");
        break;
    case IR_OP_launch_wait:
        check_launch_wait(w, o);
        break;
    case IR_OP_cluster_barrier:
        if (w->place)
            verify_fail(v, o, "only legal outside of partitions");
        break;
    }
}

/* ---- crossing ---- */
static bool may_cross(const walk *w, ir_val x)
{
    const ir_func *f = w->v->f;
    switch (ir_type_of(w->v->m, ir_vtype(f, x))->kind) {
    case TK_CHAN:
    case TK_SHARED:
    case TK_NUM:
    case TK_PTR:
        return true;
    case TK_TENSOR:
        return !ir_def(f, x).id;
    default:
        return false;
    }
}

static void check_crossing(walk *w, ir_op o)
{
    verifier *v = w->v;
    for (uint32_t i = 0; w->place && i < ir_nin(v->f, o); i++) {
        ir_val x = ir_in(v->f, o, i);
        if (w->home[x.id] == w->place + 1 || may_cross(w, x))
            continue;
        verify_fail(v, o,
                    "operand %u is '%s' from outside of the partition; channels, shared tiles, parameters and scalars "
                    "may cross",
                    i, verify_type(v, ir_vtype(v->f, x)));
        return;
    }
}

/* ---- channels ---- */
static const char *place_name(const walk *w, uint32_t place)
{
    arena *a = w->v->d->a;
    ir_op last = {0};
    if (!place)
        return "outside of the partitions";
    FOR_OPS(w->v->f, w->v->f->body, o)
    if (ir_op_code(w->v->f, o) == IR_OP_partitions)
        last = o;
    return str_cstr(a, str_fmt(a, "in partition '%.*s'", STR_ARG(verify_partition_name(w->v->f, last, place - 1))));
}

static void check_side(walk *w, ir_op o, side *sides, const char *what)
{
    side *s = &sides[ir_in(w->v->f, o, 0).id];
    if (!s->op.id)
        *s = (side){o, w->place};
    else if (s->place != w->place)
        verify_fail(w->v, o, "the channel %s %s and %s", what, place_name(w, s->place), place_name(w, w->place));
}

static void check_channel(walk *w, ir_op o)
{
    verifier *v = w->v;
    uint32_t n;
    switch ((int)ir_op_code(v->f, o)) {
    case IR_OP_put_enter:
    case IR_OP_put_exit:
        check_side(w, o, w->put, "is put into");
        if (w->place && ir_ints(v->f, w->parts, KEY_copies, &n)[w->place - 1] > 1)
            verify_fail(v, o, "a partition that runs in %lld copies puts into no channel",
                        (long long)ir_ints(v->f, w->parts, KEY_copies, &n)[w->place - 1]);
        break;
    case IR_OP_get_enter:
    case IR_OP_get_exit:
        check_side(w, o, w->get, "is got from");
        break;
    }
}

/* ---- the walk ---- */
static void enter_params(walk *w, ir_region r)
{
    const ir_func *f = w->v->f;
    for (uint32_t i = 0; i < ir_nparams(f, r); i++)
        w->home[ir_param_of(f, r, i).id] = (uint8_t)(w->place + 1);
}

static void walk_region(walk *w, ir_region r);

static void walk_regions(walk *w, ir_op o)
{
    const ir_func *f = w->v->f;
    bool parts = ir_op_code(f, o) == IR_OP_partitions;
    walk outer = *w;
    uint32_t n;
    for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++) {
        if (parts) {
            w->parts = o;
            w->place = i + 1;
            w->warps = ir_ints(f, o, KEY_warps, &n)[i];
        }
        walk_region(w, ir_op_region(f, o, i));
        w->parts = outer.parts;
        w->place = outer.place;
        w->warps = outer.warps;
    }
}

static void walk_op(walk *w, ir_op o)
{
    ir_code c = ir_op_code(w->v->f, o);
    uint32_t faults = w->v->faults;
    check_place(w, o);
    check_crossing(w, o);
    check_channel(w, o);
    if (w->v->faults != faults || !handles_of_op(w, o) || !layouts_of_op(w, o))
        return;
    if (wants_one_layout(c))
        one_layout(w, o);
    if (c == IR_OP_reduce && w->gpu && w->v->faults == faults)
        reduced_layout(w, o);
}

static void walk_region(walk *w, ir_region r)
{
    const ir_func *f = w->v->f;
    enter_params(w, r);
    FOR_OPS(f, r, o)
    {
        walk_op(w, o);
        for (uint32_t i = 0; i < ir_nout(f, o); i++)
            w->home[ir_out(f, o, i).id] = (uint8_t)(w->place + 1);
        walk_regions(w, o);
    }
}

int64_t verify_part_warps(int64_t warps, int64_t regs)
{
    return regs ? (warps + 3) / 4 * 4 : warps;
}

/* the warps that run what stands outside of partitions: all of them, where there are partitions */
static int64_t warps_outside(const ir_func *f)
{
    ir_op last = ir_last(f, f->body), before = ir_o(f, last)->prev;
    int64_t sum = 0;
    uint32_t n;
    if (!before.id || ir_op_code(f, before) != IR_OP_partitions)
        return f->num_warps;
    const int64_t *warps = ir_ints(f, before, KEY_warps, &n), *copies = ir_ints(f, before, KEY_copies, &n);
    const int64_t *regs = ir_ints(f, before, KEY_regs, &n);
    for (uint32_t i = 0; i < n; i++)
        sum += verify_part_warps(warps[i], regs[i]) * copies[i];
    return sum;
}

bool verify_is_for_gpu(const ir_module *m)
{
    return m->stage == LAID && m->target.n && !str_eq(m->target, S("any")) && !str_starts(m->target, S("cpu"));
}

void verify_laid_kernel(verifier *v)
{
    const ir_func *f = v->f;
    walk w = {.v = v, .gpu = verify_is_for_gpu(v->m), .cuda = str_starts(v->m->target, S("cuda"))};
    w.home = ARENA_ARRAY(v->a, uint8_t, f->vals.n + 1);
    w.put = ARENA_ARRAY(v->a, side, f->vals.n + 1);
    w.get = ARENA_ARRAY(v->a, side, f->vals.n + 1);
    w.warps = warps_outside(f);
    walk_region(&w, f->body);
}
