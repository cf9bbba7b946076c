/* bounds.c: pass bounds: in front of every access through pointers, a check that it stays within the caller's buffer.
 *
 * For devices that can't tell by themselves, when a launch is checked. Each pointer parameter gets a companion behind
 * the others, an i64 with PARAM_EXTENT and the same `arg`, into which the runtime puts how many bytes the caller said
 * there are. Tensor accesses are within their sizes by construction; those of tensors that the kernel makes of a
 * pointer are pointers and masks here (pass lower_tensors goes before) and are checked as such.
 *
 * An access whose address can come of one parameter is checked against that one: `bound` names it, and the element. One
 * that can come of several must lie within one of them. One that comes of a tensor's base too, or of an address that
 * was loaded or made of a number, is not checked.
 */
#include "compiler/passes/rewrite.h"
#include "compiler/passes/roots.h"

typedef struct bounds {
    ir_val *bytes; /* by parameter: the companion of a pointer; id 0: no pointer */
    roots t;
    VEC(uint32_t) hits;
    arena *a;
} bounds;

static void hit(void *ctx, uint32_t param)
{
    bounds *x = ctx;
    vec_push(x->a, &x->hits, param);
}

static bool is_pointer(const ir_func *f, uint32_t param)
{
    return ir_type_of(f->m, ir_vtype(f, ir_param_of(f, f->body, param)))->kind == TK_PTR;
}

/* which operand of an access through pointers is its mask; 0: no such access */
static uint32_t mask_at(ir_code code)
{
    return code == IR_OP_load         ? 1
           : code == IR_OP_store      ? 2
           : code == IR_OP_atomic_rmw ? 2
           : code == IR_OP_atomic_cas ? 3
                                      : 0;
}

typedef struct shape {
    int rank;
    int64_t at[IR_MAX_RANK];
} shape;

static ir_val spread(rw *r, const shape *s, ir_val scalar)
{
    return s->rank ? ir_splat(&r->b, scalar, s->rank, s->at) : scalar;
}

static ir_val address(rw *r, const shape *s, ir_val ptr)
{
    ir_module *m = r->f->m;
    ir_type i64 = ir_type_num(m, DT_I64);
    return ir_emit1(&r->b, IR_OP_ptr_cast, s->rank ? ir_type_tile(m, i64, s->rank, s->at) : i64, &ptr, 1);
}

/* elementwise: the element that ptr points at is in the buffer of this parameter, or nobody knows how long that is */
static ir_val inside(rw *r, const shape *s, ir_val ptr, int64_t es, uint32_t param)
{
    const bounds *x = r->ctx;
    const shape one = {0};
    ir_type i64 = ir_type_num(r->f->m, DT_I64);
    ir_val base = address(r, &one, ir_param_of(r->f, r->f->body, param)), zero = ir_const_i(&r->b, i64, 0);
    ir_val off = ir_bin(&r->b, IR_OP_sub, address(r, s, ptr), spread(r, s, base));
    ir_val most = ir_bin(&r->b, IR_OP_sub, x->bytes[param], ir_const_i(&r->b, i64, es));
    ir_val in = ir_bin(&r->b, IR_OP_and, ir_cmp(&r->b, IR_OP_ge, off, spread(r, s, zero)),
                       ir_cmp(&r->b, IR_OP_le, off, spread(r, s, most)));
    return ir_bin(&r->b, IR_OP_or, in, spread(r, s, ir_cmp(&r->b, IR_OP_lt, x->bytes[param], zero)));
}

static void check(rw *r, ir_op o, uint32_t mask_operand)
{
    bounds *x = r->ctx;
    ir_module *m = r->f->m;
    ir_val ptr = rw_in(r, o, 0), mask = {0};
    const ir_type_info *t = ir_type_of(m, ir_vtype(r->f, ptr));
    shape s = {.rank = t->kind == TK_TILE ? t->rank : 0};
    for (int d = 0; d < s.rank; d++)
        s.at[d] = t->shape[d];
    const ir_type_info *to = ir_type_of(m, ir_type_of(m, ir_type_elem(m, ir_vtype(r->f, ptr)))->elem);
    int64_t es = to->kind == TK_PTR ? 8 : dt_bytes(to->dt);
    rw_begin(r, o);
    r->b.origin = 0;
    if (ir_nin(r->old, o) > mask_operand)
        mask = rw_in(r, o, mask_operand);
    for (uint32_t i = 1; i < x->hits.n; i++) {
        ir_val out = ir_un(&r->b, IR_OP_not, inside(r, &s, ptr, es, x->hits.at[i]));
        mask = mask.id ? ir_bin(&r->b, IR_OP_and, mask, out) : out;
    }
    uint32_t p = x->hits.at[0];
    str what = str_fmt(x->a, "%s outside argument '%.*s'", ir_info(r->old, o)->name, STR_ARG(r->f->params.at[p].name));
    ir_attr_pair text = {KEY_text, ir_attr_str(m, what)};
    ir_val in[] = {ptr, ir_param_of(r->f, r->f->body, p), x->bytes[p], mask};
    ir_emit(&r->b, &(ir_desc){.code = IR_OP_bound, .in = in, .nin = mask.id ? 4 : 3, .attrs = &text, .nattr = 1}, NULL);
}

static bool visit(rw *r, ir_op o)
{
    bounds *x = r->ctx;
    uint32_t mask = mask_at(ir_op_code(r->old, o));
    if (!mask)
        return false;
    x->hits.n = 0;
    roots_again(&x->t);
    roots_of(&x->t, ir_in(r->old, o, 0));
    bool known = x->hits.n > 0 && !x->t.lost;
    for (uint32_t i = 0; i < x->hits.n; i++)
        known &= x->bytes[x->hits.at[i]].id != 0;
    if (known)
        check(r, o, mask);
    return false;
}

/* the kernel's host function takes what the kernel takes */
static void extend_host(pass_ctx *c, const ir_func *f, uint32_t before)
{
    ir_func *h = f->host.n ? ir_module_find(c->m, f->host) : NULL;
    for (uint32_t i = before; h && h->params.n == i && i < f->params.n; i++)
        ir_func_param(h, ir_type_num(c->m, DT_I64), f->params.at[i].name, f->params.at[i].arg, PARAM_EXTENT);
}

ir_func *pass_bounds(pass_ctx *c, ir_func *f)
{
    rw r;
    bounds x = {.bytes = ARENA_ARRAY(c->scratch, ir_val, f->params.n + 1), .a = c->scratch};
    bool any = false, done = false;
    uint32_t n = f->params.n;
    for (uint32_t i = 0; i < n; i++) {
        any |= is_pointer(f, i);
        done |= (f->params.at[i].flags & PARAM_EXTENT) != 0; /* IR text of a checked kernel */
    }
    if (f->kind != FUNC_KERNEL || !any || done)
        return f;
    roots_init(&x.t, c->scratch, f, hit, &x);
    rw_init(&r, c, f, visit, &x);
    for (uint32_t i = 0; i < n; i++)
        if (is_pointer(f, i)) {
            str name = str_fmt(c->scratch, "%.*s.bytes", STR_ARG(f->params.at[i].name));
            x.bytes[i] = ir_func_param(r.f, ir_type_num(f->m, DT_I64), name, f->params.at[i].arg, PARAM_EXTENT);
        }
    extend_host(c, r.f, n);
    return rw_run(&r);
}
