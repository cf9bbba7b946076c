/* interp.c: the interpreter's core: entry points, frames, faults, and control flow.
 *
 * Ops are executed one at a time by a switch over the op table; a region is its chain of ops, and whoever owns the
 * region reads the operands of its yield. Programs run in ascending linear id, one frame reused for all; those of a
 * cooperative kernel each have a frame and a stack of their own (interp_coop.c).
 *
 * Loops carry values by copying what the body yields into the buffers of the op's results, then exchanging these with
 * the buffers of the region's parameters: a yield that permutes the carried values needs no care, and nothing is copied
 * twice.
 *
 * max_ops counts an op as 1 and 1 more for every 64 elements of its largest operand or result (products of a dot), so
 * it bounds time whatever the extents. max_bytes bounds what all buffers take. Reading a value that `undef` made gives
 * 0.
 */
#include "compiler/interp_impl.h"

#define DEFAULT_MAX_BYTES ((size_t)2 << 30)
#define MAX_IDLE_POLLS 20000000 /* atomics in a row that changed nothing, of programs that run one by one */

__extension__ typedef __int128 wide;

/* ---- values ---- */

size_t interp_type_bytes(const ir_module *m, ir_type t)
{
    const ir_type_info *i = ir_type_of(m, t);
    if (i->kind == TK_TENSOR)
        return sizeof(itensor);
    if (i->kind > TK_TENSOR)
        return interp_laid_bytes(i);
    return (size_t)ir_type_count(m, t) * elem_bytes(m, t);
}

void *interp_buf(frame *fr, ir_val v)
{
    void **p = &fr->v[v.id];
    if (!*p) {
        size_t n = interp_type_bytes(fr->f->m, ir_vtype(fr->f, v));
        *p = arena_alloc(&fr->p->frames, n ? n : 1, 16);
    }
    return *p;
}

static void copy_value(frame *fr, ir_val to, const void *from)
{
    void *d = interp_buf(fr, to);
    if (d != from)
        memcpy(d, from, interp_type_bytes(fr->f->m, ir_vtype(fr->f, to)));
}

frame *interp_frame_new(program *p, const ir_func *f)
{
    frame *fr = ARENA_NEW(&p->frames, frame);
    fr->p = p;
    fr->f = f;
    fr->v = ARENA_ARRAY(&p->frames, void *, f->vals.n);
    return fr;
}

/* ---- faults ---- */

static str place_of(const frame *fr, ir_op o, arena *a)
{
    ir_loc_data loc = ir_loc_get(fr->f->m, ir_o(fr->f, o)->loc);
    str file = ir_loc_file(fr->f->m, ir_o(fr->f, o)->loc);
    if (loc.line)
        return str_fmt(a, "%.*s:%u: ", STR_ARG(file), loc.line);
    if (fr->f->m->stage == LAID) { /* written by hand: there is no line, so the op itself is shown */
        strbuf op;
        sb_init(&op, a);
        ir_print_op(fr->f, o, &op);
        return str_fmt(a, "'%.*s': %.*s: ", STR_ARG(fr->f->name), STR_ARG(sb_str(&op)));
    }
    return str_fmt(a, "'%.*s': ", STR_ARG(fr->f->name));
}

/* records the first fault, in the caller's arena; the run unwinds */
static void record_fault(frame *fr, ir_op o, str text)
{
    interp *x = fr->p->x;
    if (x->failed)
        return;
    x->failed = true;
    str place = o.id ? place_of(fr, o, x->out) : str_fmt(x->out, "'%.*s': ", STR_ARG(fr->f->name));
    if (x->dev) {
        x->err = str_fmt(x->out, "%.*s%.*s", STR_ARG(place), STR_ARG(text));
        return;
    }
    const int64_t *pid = fr->p->pid;
    x->err = str_fmt(x->out, "%.*s%.*s (program %lld, %lld, %lld)", STR_ARG(place), STR_ARG(text), (long long)pid[0],
                     (long long)pid[1], (long long)pid[2]);
    abi_host *h = x->opt->host;
    if (h && h->fault) {
        uint32_t line = o.id ? ir_loc_get(fr->f->m, ir_o(fr->f, o)->loc).line : 0;
        str file = o.id ? ir_loc_file(fr->f->m, ir_o(fr->f, o)->loc) : S("");
        if (!line)
            text = str_fmt(x->out, "%.*s%.*s", STR_ARG(place), STR_ARG(text));
        h->fault(h, str_cstr(x->out, text), str_cstr(x->out, file), (int)line, pid);
    }
}

bool interp_fault(frame *fr, ir_op o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str text = str_vfmt(fr->p->x->out, fmt, ap);
    va_end(ap);
    record_fault(fr, o, text);
    return false;
}

bool interp_poll(frame *fr, ir_op o)
{
    interp *x = fr->p->x;
    if (fr->p->coop)
        return interp_coop_switch(fr->p);
    if (++x->idle_polls > MAX_IDLE_POLLS)
        return interp_fault(fr, o, "the program waits for one that has not started");
    return true;
}

/* ---- control flow ---- */

bool interp_region(frame *fr, ir_region r);

/* buffers of the results take what region r yields, then change places with the buffers of its parameters */
static void carry(frame *fr, ir_op o, ir_region r, uint32_t first_param)
{
    const ir_func *f = fr->f;
    ir_op y = ir_last(f, r);
    uint32_t n = ir_nout(f, o);
    for (uint32_t i = 0; i < n; i++)
        copy_value(fr, ir_out(f, o, i), in_data(fr, y, i));
    for (uint32_t i = 0; i < n; i++) {
        void **a = &fr->v[ir_out(f, o, i).id], **b = &fr->v[ir_param_of(f, r, first_param + i).id];
        void *t = *a;
        *a = *b;
        *b = t;
    }
}

static wide wide_int(const frame *fr, ir_op o, uint32_t i)
{
    int64_t x = in_int(fr, o, i);
    return elem_dt(fr->f->m, in_type(fr, o, i)) == DT_U64 ? (wide)(uint64_t)x : (wide)x;
}

static bool exec_for(frame *fr, ir_op o)
{
    const ir_func *f = fr->f;
    ir_region r = ir_op_region(f, o, 0);
    wide i = wide_int(fr, o, 0), to = wide_int(fr, o, 1), step = wide_int(fr, o, 2);
    if (step == 0)
        return interp_fault(fr, o, "the loop's step is 0");
    uint32_t n = ir_nout(f, o);
    for (uint32_t k = 0; k < n; k++)
        copy_value(fr, ir_param_of(f, r, 1 + k), in_data(fr, o, 3 + k));
    dtype dt = elem_dt(f->m, in_type(fr, o, 0));
    void *index = interp_buf(fr, ir_param_of(f, r, 0));
    for (; step > 0 ? i < to : i > to; i += step) {
        int64_t x = (int64_t)(uint64_t)i;
        interp_put_ints(index, dt, &x, 1);
        if (!interp_region(fr, r))
            return false;
        carry(fr, o, r, 1);
    }
    for (uint32_t k = 0; k < n; k++)
        copy_value(fr, ir_out(f, o, k), fr->v[ir_param_of(f, r, 1 + k).id]);
    return true;
}

static bool exec_while(frame *fr, ir_op o)
{
    const ir_func *f = fr->f;
    ir_region cond = ir_op_region(f, o, 0), body = ir_op_region(f, o, 1);
    uint32_t n = ir_nout(f, o);
    for (uint32_t i = 0; i < n; i++)
        copy_value(fr, ir_param_of(f, cond, i), in_data(fr, o, i));
    for (;;) {
        if (!interp_region(fr, cond))
            return false;
        if (!in_int(fr, ir_last(f, cond), 0))
            break;
        for (uint32_t i = 0; i < n; i++)
            copy_value(fr, ir_param_of(f, body, i), fr->v[ir_param_of(f, cond, i).id]);
        if (!interp_region(fr, body))
            return false;
        for (uint32_t i = 0; i < n; i++) /* the body can't name the condition's parameters: no overlap */
            copy_value(fr, ir_param_of(f, cond, i), in_data(fr, ir_last(f, body), i));
    }
    for (uint32_t i = 0; i < n; i++)
        copy_value(fr, ir_out(f, o, i), fr->v[ir_param_of(f, cond, i).id]);
    return true;
}

static bool exec_if(frame *fr, ir_op o)
{
    const ir_func *f = fr->f;
    ir_region r = ir_op_region(f, o, in_int(fr, o, 0) ? 0 : 1);
    if (!interp_region(fr, r))
        return false;
    for (uint32_t i = 0; i < ir_nout(f, o); i++)
        copy_value(fr, ir_out(f, o, i), in_data(fr, ir_last(f, r), i));
    return true;
}

static bool exec_call(frame *fr, ir_op o)
{
    program *p = fr->p;
    str name = ir_text(fr->f, o, KEY_callee);
    const ir_func *callee = ir_module_find(fr->f->m, name);
    if (!callee || callee->kind != FUNC_FN)
        return interp_fault(fr, o, "call of '%.*s', which is no fn of this module", STR_ARG(name));
    for (uint32_t i = 0; i < ir_nout(fr->f, o); i++)
        out_data(fr, o, i); /* before the mark: they outlive the callee's frame */
    arena_pos mark = arena_mark(&p->frames);
    frame *sub = interp_frame_new(p, callee);
    for (uint32_t i = 0; i < ir_nin(fr->f, o); i++)
        copy_value(sub, ir_param_of(callee, callee->body, i), in_data(fr, o, i));
    bool ok = interp_region(sub, callee->body);
    for (uint32_t i = 0; ok && i < ir_nout(fr->f, o); i++)
        copy_value(fr, ir_out(fr->f, o, i), in_data(sub, ir_last(callee, callee->body), i));
    arena_reset(&p->frames, mark);
    return ok;
}

/* ---- the launch, host checks, debugging ---- */

static void put_int(frame *fr, ir_op o, int64_t x)
{
    interp_put_ints(out_data(fr, o, 0), elem_dt(fr->f->m, out_type(fr, o, 0)), &x, 1);
}

static bool exec_launch(frame *fr, ir_op o)
{
    interp *x = fr->p->x;
    int64_t axis = ir_int(fr->f, o, KEY_axis, 0);
    if (axis < 0 || axis > 2)
        return interp_fault(fr, o, "axis %lld of the grid, expected 0 to 2", (long long)axis);
    put_int(fr, o, ir_op_code(fr->f, o) == IR_OP_program_id ? fr->p->pid[axis] : x->grid[axis]);
    return true;
}

static bool exec_device(frame *fr, ir_op o)
{
    const abi_device *dev = fr->p->x->dev;
    if (!dev)
        return interp_fault(fr, o, "'%s' outside a host function", ir_info(fr->f, o)->name);
    if (ir_op_code(fr->f, o) == IR_OP_resident)
        put_int(fr, o, dev->resident);
    else
        put_int(fr, o,
                dev->stream_programs ? dev->stream_programs(in_int(fr, o, 0), in_int(fr, o, 1)) : in_int(fr, o, 0));
    return true;
}

static bool exec_expect_eq(frame *fr, ir_op o)
{
    const ir_func *f = fr->f;
    int64_t found = in_int(fr, o, 0), expected = in_int(fr, o, 1);
    if (found == expected)
        return true;
    int64_t arg = ir_int(f, o, KEY_arg, -1);
    str name = S("?"), text = ir_text(f, o, KEY_text);
    for (uint32_t i = 0; i < f->params.n; i++)
        if (f->params.at[i].arg == arg)
            name = f->params.at[i].name;
    return interp_fault(fr, o, "dimension %lld of argument '%.*s' must equal '%.*s': expected %lld, found %lld",
                        (long long)ir_int(f, o, KEY_dim, 0), STR_ARG(name), STR_ARG(text), (long long)expected,
                        (long long)found);
}

static bool exec_assert(frame *fr, ir_op o)
{
    if (!fr->p->x->opt->check_asserts)
        return true;
    const ua8 *c = in_data(fr, o, 0), *mask = ir_nin(fr->f, o) > 1 ? in_data(fr, o, 1) : NULL;
    int64_t n = ir_type_count(fr->f->m, in_type(fr, o, 0));
    bool tile_mask = mask && ir_type_rank(fr->f->m, in_type(fr, o, 1)) > 0;
    for (int64_t i = 0; i < n; i++) {
        if (c[i] || (mask && !mask[tile_mask ? i : 0]))
            continue;
        str text = ir_text(fr->f, o, KEY_text);
        return interp_fault(fr, o, "%.*s", STR_ARG(text));
    }
    return true;
}

static bool exec_print(frame *fr, ir_op o)
{
    abi_host *h = fr->p->x->opt->host;
    if (!h || !h->print)
        return true;
    arena *s = &fr->p->scratch;
    arena_pos mark = arena_mark(s);
    const char *text = str_cstr(s, ir_text(fr->f, o, KEY_text));
    int hex = (int)ir_int(fr->f, o, KEY_hex, 0);
    const ir_module *m = fr->f->m;
    for (uint32_t i = 0; i < ir_nin(fr->f, o); i++) {
        ir_type t = in_type(fr, o, i);
        if (ir_type_of(m, t)->kind != TK_TENSOR)
            h->print(h, text, fr->p->pid, (int)elem_dt(m, t), ir_type_count(m, t), in_data(fr, o, i), hex);
    }
    if (!ir_nin(fr->f, o))
        h->print(h, text, fr->p->pid, DT_I64, 0, "", hex);
    arena_reset(s, mark);
    return true;
}

/* ---- ops ---- */

/* elements that op o goes through: of its largest operand or result; of a dot the products */
static uint64_t elements_of(const frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    int64_t most = 0;
    for (uint32_t i = 0; i < ir_nin(fr->f, o) + ir_nout(fr->f, o); i++) {
        uint32_t nin = ir_nin(fr->f, o);
        ir_type t = i < nin ? in_type(fr, o, i) : out_type(fr, o, i - nin);
        const ir_type_info *info = ir_type_of(m, t);
        int64_t n = 1;
        for (int d = 0; d < info->rank && (info->kind == TK_TILE || info->kind == TK_SHARED); d++)
            n *= info->shape[d];
        most = n > most ? n : most;
    }
    if (ir_op_code(fr->f, o) != IR_OP_dot && ir_op_code(fr->f, o) != IR_OP_wgmma)
        return (uint64_t)most;
    const ir_type_info *a = ir_type_of(m, in_type(fr, o, 0));
    return (uint64_t)ir_type_count(m, out_type(fr, o, 0)) * (uint64_t)a->shape[a->rank - 1];
}

static bool within_budget(frame *fr, ir_op o)
{
    interp *x = fr->p->x;
    if (!x->opt->max_ops)
        return true;
    x->ops += 1 + elements_of(fr, o) / 64;
    if (x->ops > x->opt->max_ops)
        return interp_fault(fr, o, "more than %llu ops executed", (unsigned long long)x->opt->max_ops);
    return true;
}

static bool exec_op(frame *fr, ir_op o)
{
    if (!within_budget(fr, o) || (fr->p->async && !interp_check_landed(fr, o)))
        return false;
    switch (ir_op_code(fr->f, o)) {
    case IR_OP_const: case IR_OP_undef: case IR_OP_arange: case IR_OP_splat: case IR_OP_broadcast: case IR_OP_reshape:
    case IR_OP_permute: case IR_OP_join: case IR_OP_split: case IR_OP_cat: case IR_OP_slice: case IR_OP_extract:
    case IR_OP_gather: case IR_OP_hint:
        return interp_shape(fr, o);
    case IR_OP_add: case IR_OP_sub: case IR_OP_mul: case IR_OP_div: case IR_OP_rem: case IR_OP_neg: case IR_OP_abs:
    case IR_OP_min: case IR_OP_max: case IR_OP_mulhi: case IR_OP_fma: case IR_OP_and: case IR_OP_or: case IR_OP_xor:
    case IR_OP_not: case IR_OP_shl: case IR_OP_shr: case IR_OP_eq: case IR_OP_ne: case IR_OP_lt: case IR_OP_le:
    case IR_OP_gt: case IR_OP_ge: case IR_OP_select: case IR_OP_cast: case IR_OP_bitcast: case IR_OP_exp:
    case IR_OP_exp2: case IR_OP_log: case IR_OP_log2: case IR_OP_sin: case IR_OP_cos: case IR_OP_tanh: case IR_OP_erf:
    case IR_OP_sqrt: case IR_OP_rsqrt: case IR_OP_floor: case IR_OP_ceil: case IR_OP_ptr_add: case IR_OP_ptr_cast:
        return interp_elt(fr, o);
    case IR_OP_dot: case IR_OP_reduce: case IR_OP_scan: case IR_OP_map: case IR_OP_sort: case IR_OP_histogram:
        return interp_tile(fr, o);
    case IR_OP_load: case IR_OP_store: case IR_OP_atomic_rmw: case IR_OP_atomic_cas: case IR_OP_bound:
        return interp_mem(fr, o);
    case IR_OP_tensor_make: case IR_OP_tensor_dim: case IR_OP_tensor_stride: case IR_OP_tensor_base:
    case IR_OP_tensor_view: case IR_OP_tensor_load: case IR_OP_tensor_store: case IR_OP_tensor_atomic:
    case IR_OP_tensor_gather: case IR_OP_tensor_scatter:
        return interp_tensor(fr, o);
    case IR_OP_convert: case IR_OP_shared_alloc: case IR_OP_shared_slice: case IR_OP_shared_trans:
    case IR_OP_shared_load: case IR_OP_shared_store: case IR_OP_fence_async: case IR_OP_chan: case IR_OP_put_enter:
    case IR_OP_put_exit: case IR_OP_get_enter: case IR_OP_get_exit: case IR_OP_tma_load: case IR_OP_tma_store:
    case IR_OP_cp_async: case IR_OP_wgmma: case IR_OP_await: case IR_OP_done: case IR_OP_turn_enter:
    case IR_OP_turn_exit: case IR_OP_partitions: case IR_OP_cluster_rank: case IR_OP_cluster_barrier:
    case IR_OP_launch_wait:
        return interp_laid(fr, o);
    case IR_OP_program_id: case IR_OP_num_programs: return exec_launch(fr, o);
    case IR_OP_resident: case IR_OP_stream_programs: return exec_device(fr, o);
    case IR_OP_expect_eq: return exec_expect_eq(fr, o);
    case IR_OP_assert: return exec_assert(fr, o);
    case IR_OP_print: return exec_print(fr, o);
    case IR_OP_barrier: return interp_poll(fr, o);
    case IR_OP_for: return exec_for(fr, o);
    case IR_OP_while: return exec_while(fr, o);
    case IR_OP_if: return exec_if(fr, o);
    case IR_OP_call: return exec_call(fr, o);
    case IR_OP_assume: case IR_OP_yield: case IR_OP_return: return true;
    case IR_NOP: case IR_CODE_COUNT: break;
    }
    bug("interp: op code %d", (int)ir_op_code(fr->f, o));
}

bool interp_region(frame *fr, ir_region r)
{
    if (fr->p->depth >= INTERP_MAX_DEPTH)
        return interp_fault(fr, ir_first(fr->f, r), "control flow nested more than %d deep", INTERP_MAX_DEPTH);
    fr->p->depth++;
    bool ok = true;
    for (ir_op o = ir_first(fr->f, r); ok && o.id; o = ir_next(fr->f, o))
        ok = exec_op(fr, o);
    fr->p->depth--;
    return ok;
}

/* ---- programs ---- */

void interp_program_init(program *p, interp *x, size_t max_bytes)
{
    memset(p, 0, sizeof *p);
    p->x = x;
    arena_init(&p->frames, max_bytes);
    arena_init(&p->scratch, max_bytes);
}

void interp_program_fini(program *p)
{
    arena_fini(&p->frames);
    arena_fini(&p->scratch);
}

void interp_set_args(frame *fr, const uint64_t *args)
{
    const ir_func *f = fr->f;
    for (uint32_t i = 0; i < ir_nparams(f, f->body); i++) {
        ir_val v = ir_param_of(f, f->body, i);
        const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, v));
        const uint64_t *slot = args + abi_param_first(f, i);
        void *d = interp_buf(fr, v);
        if (t->kind != TK_TENSOR) {
            uint64_t bits = dt_wrap(elem_dt(f->m, ir_vtype(f, v)), *slot);
            memcpy(d, &bits, elem_bytes(f->m, ir_vtype(f, v))); /* hosts are little-endian */
            continue;
        }
        itensor *it = d;
        it->base = *slot++;
        for (int k = 0; k < t->rank; k++)
            it->size[k] = (int64_t)*slot++;
        for (int k = 0; k < t->rank; k++)
            it->stride[k] = (int64_t)*slot++;
    }
}

bool interp_run(frame *fr, ir_region r)
{
    program *p = fr->p;
    jmp_buf oom;
    if (setjmp(oom)) {
        p->frames.oom = p->scratch.oom = NULL;
        return interp_fault(fr, (ir_op){0}, "out of memory: the values of the program take more memory than allowed");
    }
    p->frames.oom = p->scratch.oom = &oom;
    bool ok = interp_region(fr, r) && interp_finish_async(fr);
    p->frames.oom = p->scratch.oom = NULL;
    return ok;
}

bool interp_run_program(frame *fr)
{
    return interp_run(fr, fr->f->body);
}

/* the frame and arguments too may be more than is allowed */
static frame *enter(program *p, const ir_func *f, const uint64_t *args)
{
    jmp_buf oom;
    if (setjmp(oom)) {
        frame none = {.p = p, .f = f};
        p->frames.oom = NULL;
        interp_fault(&none, (ir_op){0}, "out of memory: the arguments take more memory than allowed");
        return NULL;
    }
    p->frames.oom = &oom;
    frame *fr = interp_frame_new(p, f);
    interp_set_args(fr, args);
    p->frames.oom = NULL;
    return fr;
}

static void run_in_order(interp *x, const ir_func *k, const uint64_t *args, size_t max_bytes)
{
    program p;
    interp_program_init(&p, x, max_bytes);
    p.max_bytes = max_bytes;
    frame *fr = enter(&p, k, args);
    bool ok = fr != NULL;
    for (int64_t c = 0; ok && c < x->grid[2]; c++)
        for (int64_t b = 0; ok && b < x->grid[1]; b++)
            for (int64_t a = 0; ok && a < x->grid[0]; a++) {
                p.pid[0] = a, p.pid[1] = b, p.pid[2] = c;
                ok = interp_run_program(fr);
            }
    interp_program_fini(&p);
}

/* programs of a cluster see each other: they run side by side */
static bool uses_cluster(const ir_func *k)
{
    for (uint32_t i = 1; k->num_ctas > 1 && i < k->ops.n; i++) {
        ir_op o = {i};
        ir_code c = ir_op_code(k, o);
        if (c == IR_OP_cluster_rank || c == IR_OP_cluster_barrier ||
            (c == IR_OP_tma_load && ir_has(k, o, KEY_multicast)))
            return true;
    }
    return false;
}

bool interp_kernel(arena *a, const ir_func *k, const uint64_t *args, const interp_options *opt, str *err)
{
    static const interp_options none = {0};
    interp x = {.opt = opt ? opt : &none, .out = a};
    for (int i = 0; i < 3; i++)
        x.grid[i] = (int64_t)args[i];
    size_t max_bytes = x.opt->max_bytes ? (size_t)x.opt->max_bytes : DEFAULT_MAX_BYTES;
    if (k->cooperative)
        interp_coop_run(&x, k, args, max_bytes);
    else if (uses_cluster(k))
        interp_cluster_run(&x, k, args, max_bytes);
    else
        run_in_order(&x, k, args, max_bytes);
    if (x.failed && err)
        *err = x.err;
    return !x.failed;
}

bool interp_host(arena *a, const ir_func *h, const uint64_t *args, const abi_device *dev, int64_t *results, uint32_t n,
                 str *err)
{
    static const interp_options opt = {.max_ops = 10000000};
    static const abi_device one = {.resident = 1};
    interp x = {.opt = &opt, .out = a, .dev = dev ? dev : &one};
    for (int i = 0; i < 3; i++)
        x.grid[i] = (int64_t)args[i];
    program p;
    interp_program_init(&p, &x, (size_t)64 << 20);
    frame *fr = enter(&p, h, args);
    if (fr && interp_run_program(fr)) {
        ir_op ret = ir_last(h, h->body);
        if (ir_nin(h, ret) != n)
            bug("host function '%.*s' gives %u results, %u asked for", STR_ARG(h->name), ir_nin(h, ret), n);
        for (uint32_t i = 0; i < n; i++)
            results[i] = in_int(fr, ret, i);
    }
    interp_program_fini(&p);
    if (x.failed && err)
        *err = x.err;
    return !x.failed;
}
