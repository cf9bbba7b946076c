/* dot_share.c: which packed operands the programs of a launch share, and the code that asks for them (rt_panel.h).
 *
 * An operand of a contraction loop can be shared when it is made of loads through arguments that nothing writes, pure
 * ops, and scalars. What is packed then depends on those scalars alone; its key is
 *
 *   - those defined outside the loop, unless they follow from the launch's arguments
 *   - the loop's index at the first turn packed, its step, and the number of turns, if the index is among them
 *   - how many lines are wanted
 *
 * A scalar that the loop carries is nobody's business but its program's: such an operand isn't shared.
 */
#include "backends/cpu/dot.h"

#include "backends/cpu/rt_panel.h"

#include <stddef.h>
#include <string.h>

enum { MAX_SHARES = 8, FIXED_KEYS = 4, MAX_OUTER = PANEL_KEY - FIXED_KEYS, TICKET_WORDS = sizeof(panel_ticket) / 8 };

struct dot_share {
    ir_op dot;
    uint32_t operand;
    ir_op load;        /* whose tensor tells how many boxes there are */
    VEC(ir_val) outer; /* scalars of the key */
    bool by_turn, transposed;
    int index;               /* among the kernel's */
    lval share, ticket, key; /* memory of the kernel's frame */
};

typedef struct finder {
    kern *k;
    ir_region body;
    dot_share *s;
    bool *seen;
} finder;

static const ir_type_info *type_of(const ir_func *f, ir_val v)
{
    return ir_type_of(f->m, ir_vtype(f, v));
}

/* the same in every program of a launch */
static bool is_fixed(const ir_func *f, ir_val v, int depth)
{
    ir_op o = ir_def(f, v);
    if (!o.id)
        return f->vals.at[v.id].region.id == f->body.id;
    if (depth > 16 || ir_op_code(f, o) == IR_OP_program_id || !(ir_info(f, o)->flags & PURE) ||
        (ir_info(f, o)->flags & (READ | WRITE | CTRL)) || ir_o(f, o)->nregions)
        return false;
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        if (!is_fixed(f, ir_in(f, o, i), depth + 1))
            return false;
    return true;
}

static bool visit(finder *w, ir_val v);

static bool visit_inputs(finder *w, ir_op o)
{
    const ir_func *f = w->k->f;
    for (uint32_t i = 0; i < ir_nin(f, o); i++)
        if (!visit(w, ir_in(f, o, i)))
            return false;
    return true;
}

static bool visit_scalar(finder *w, ir_val v)
{
    const ir_func *f = w->k->f;
    ir_op o = ir_def(f, v);
    bool pure = o.id && w->k->p->v[v.id].cls == VC_SCALAR && !(ir_info(f, o)->flags & (READ | WRITE | CTRL));
    if (o.id && ir_o(f, o)->parent.id == w->body.id) {
        if (!pure || !visit_inputs(w, o))
            return false;
    } else if (!is_fixed(f, v, 0)) {
        vec_push(w->k->a, &w->s->outer, v);
    }
    return true;
}

static bool visit(finder *w, ir_val v)
{
    const ir_func *f = w->k->f;
    const plan *p = w->k->p;
    ir_op o = ir_def(f, v);
    const ir_type_info *t = type_of(f, v);
    if (w->seen[v.id])
        return true;
    w->seen[v.id] = true;
    if (t->kind == TK_TENSOR)
        return !o.id && f->vals.at[v.id].region.id == f->body.id;
    if (!o.id && f->vals.at[v.id].region.id == w->body.id) {
        w->s->by_turn = true;
        return v.id == ir_param_of(f, w->body, 0).id;
    }
    if (t->kind != TK_TILE || t->rank == 0)
        return visit_scalar(w, v);
    if (!o.id || p->v[v.id].cls != VC_SYM || ir_o(f, o)->nregions || (ir_info(f, o)->flags & (WRITE | CTRL)))
        return false;
    if (ir_op_code(f, o) == IR_OP_load) {
        if (!plan_unwritten(p, o))
            return false;
        const ir_type_info *root = type_of(f, (ir_val){plan_root(p, ir_in(f, o, 0))});
        if (!w->s->load.id && root->kind == TK_TENSOR && root->rank >= 2)
            w->s->load = o;
    } else if (ir_info(f, o)->flags & READ) {
        return false;
    }
    return visit_inputs(w, o);
}

static void find(kern *k, ir_op around, ir_op o)
{
    const ir_func *f = k->f;
    for (uint32_t i = 0; i < 2 && k->shares.n < MAX_SHARES; i++) {
        dot_share *s = ARENA_NEW(k->a, dot_share);
        *s = (dot_share){.dot = o, .operand = i, .index = (int)k->shares.n};
        finder w = {.k = k, .body = ir_op_region(f, around, 0), .s = s, .seen = ARENA_ARRAY(k->a, bool, f->vals.n)};
        ir_val v = ir_in(f, o, i);
        s->transposed = plan_along(k->p, v) != 1;
        if (visit(&w, v) && s->load.id && s->outer.n <= MAX_OUTER)
            vec_push(k->a, &k->shares, s);
    }
}

static void find_all(kern *k, const plan_region *r)
{
    ir_op o;
    for (uint32_t i = 0; i < r->steps.n; i++) {
        const plan_step *s = &k->p->steps.at[r->steps.at[i]];
        if (s->kind != STEP_CTRL)
            continue;
        if (plan_contraction(k->p, s->op, &o) && dot_blocked(k, o, ir_in(k->f, o, 2))) {
            find(k, s->op, o);
            continue;
        }
        for (int b = 0; b < 2; b++)
            if (s->body[b])
                find_all(k, s->body[b]);
    }
}

/* ---- what the run-time part has to know ---- */
static lval words(cg *c, const int64_t *x, uint32_t n)
{
    lval *w = ARENA_ARRAY(c->a, lval, n);
    for (uint32_t i = 0; i < n; i++)
        w[i] = cg_i64(c, x[i]);
    lval init = LLVMConstArray2(c->i64, w, n);
    lval g = LLVMAddGlobal(c->mod, LLVMTypeOf(init), "panels");
    LLVMSetInitializer(g, init);
    LLVMSetGlobalConstant(g, true);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    LLVMSetAlignment(g, 8);
    return g;
}

static panel_operand operand_of(kern *k, const dot_share *s)
{
    const ir_func *f = k->f;
    uint32_t root = plan_root(k->p, ir_in(f, s->load, 0));
    const ir_type_info *t = type_of(f, (ir_val){root}), *x = type_of(f, ir_in(f, s->dot, s->operand));
    bool last = s->operand == 0 ? !s->transposed : s->transposed; /* is K what lies side by side? */
    dtype have = ir_type_dt(f->m, ir_vtype(f, ir_out(f, s->load, 0))), used = x->dt;
    const plan_step *step = &k->p->steps.at[k->p->v[ir_out(f, s->dot, 0).id].step];
    return (panel_operand){
        .arg = abi_param_first(f, f->vals.at[root].index),
        .rank = t->rank,
        .elem = dt_bytes(t->dt),
        .kdim = t->rank - (last ? 1 : 2),
        .ldim = t->rank - (last ? 2 : 1),
        .lines = x->shape[s->operand],
        .depth = dot_steps(k, s->dot) * x->shape[1 - s->operand],
        .spare = dt_bits(have) < dt_bits(used) ? 4 : 1,
        .bytes = (k->p->buffers.at[step->temps.at[s->operand]].bytes + 63) / 64 * 64,
        .chunk = dot_turns_apart(k, s->dot, s->operand) ? 1 : dot_steps(k, s->dot),
    };
}

static void describe(kern *k, lval *spec)
{
    const ir_func *f = k->f;
    VEC(int64_t) w = {0};
    int64_t nwritten = 0;
    vec_push(k->a, &w, (int64_t)k->shares.n);
    vec_push(k->a, &w, 0);
    for (uint32_t i = 0; i < k->shares.n; i++) {
        panel_operand o = operand_of(k, k->shares.at[i]);
        const int64_t x[] = {o.arg, o.rank, o.elem, o.kdim, o.ldim, o.lines, o.depth, o.spare, o.bytes, o.chunk};
        _Static_assert(sizeof x == sizeof o, "a word a field");
        for (size_t q = 0; q < COUNTOF(x); q++)
            vec_push(k->a, &w, x[q]);
    }
    for (uint32_t i = 0; i < f->params.n; i++) {
        const ir_type_info *t = type_of(f, ir_param_of(f, f->body, i));
        bool tensor = t->kind == TK_TENSOR;
        if (!(f->params.at[i].flags & PARAM_WRITTEN) || (!tensor && t->kind != TK_PTR))
            continue;
        vec_push(k->a, &w, (int64_t)abi_param_first(f, i));
        vec_push(k->a, &w, tensor ? t->rank : -1);
        vec_push(k->a, &w, tensor ? dt_bytes(t->dt) : 1);
        nwritten++;
    }
    w.at[1] = nwritten;
    *spec = words(k->c, w.at, w.n);
}

static lval room(cg *c, int64_t n)
{
    lval p = LLVMBuildAlloca(c->b, LLVMArrayType2(c->i64, (uint64_t)n), "");
    LLVMSetAlignment(p, 8);
    return p;
}

void share_open(kern *k)
{
    cg *c = k->c;
    enum { SHARE_WORDS = sizeof(panel_share) / 8 };
    lval spec;
    if (!k->p->spins)
        find_all(k, k->p->body);
    if (!k->shares.n)
        return;
    lval all = room(c, (int64_t)k->shares.n * SHARE_WORDS);
    for (uint32_t i = 0; i < k->shares.n; i++) {
        k->shares.at[i]->share = cg_gep(c, c->i64, all, cg_i64(c, (int64_t)i * SHARE_WORDS));
        k->shares.at[i]->ticket = room(c, TICKET_WORDS);
        k->shares.at[i]->key = room(c, PANEL_KEY);
    }
    describe(k, &spec);
    cpu_call(c, "tile_rt_panels", (lval[]){k->thread, k->args, spec, all}, 4);
}

dot_share *share_of(kern *k, ir_op o, uint32_t operand)
{
    for (uint32_t i = 0; i < k->shares.n; i++)
        if (k->shares.at[i]->dot.id == o.id && k->shares.at[i]->operand == operand)
            return k->shares.at[i];
    return NULL;
}

/* ---- code ---- */
static lval word_of(kern *k, ir_val v)
{
    cg *c = k->c;
    lval x = ev_scalar(k, v);
    nest_enter(k->n, -1);
    LLVMTypeKind kind = LLVMGetTypeKind(LLVMTypeOf(x));
    if (kind == LLVMPointerTypeKind)
        return LLVMBuildPtrToInt(c->b, x, c->i64, "");
    if (kind != LLVMIntegerTypeKind)
        x = LLVMBuildBitCast(c->b, x, LLVMIntTypeInContext(c->cx, (unsigned)cg_width(LLVMTypeOf(x))), "");
    return cg_width(LLVMTypeOf(x)) == 64 ? x : LLVMBuildZExt(c->b, x, c->i64, "");
}

void share_outer(kern *k, dot_share *s)
{
    for (uint32_t i = 0; s && i < s->outer.n; i++) {
        lval x = word_of(k, s->outer.at[i]);
        cg_store(k->c, x, cg_gep(k->c, k->c->i64, s->key, cg_i64(k->c, FIXED_KEYS + i)), 8);
        nest_leave(k->n, -1);
    }
}

void share_take(kern *k, dot_share *s, lval index, lval step, lval turns, lval lines, lval own)
{
    cg *c = k->c;
    lval zero = cg_i64(c, 0);
    if (!s)
        return;
    lval fixed[FIXED_KEYS] = {s->by_turn ? index : zero, s->by_turn ? step : zero, turns, lines ? lines : zero};
    for (int i = 0; i < FIXED_KEYS; i++)
        cg_store(c, fixed[i], cg_gep(c, c->i64, s->key, cg_i64(c, i)), 8);
    cpu_call(c, "tile_rt_panel_take",
             (lval[]){s->ticket, s->share, s->key, cg_i64(c, FIXED_KEYS + (int64_t)s->outer.n), own}, 5);
}

lval share_address(kern *k, const dot_share *s)
{
    return cg_load(k->c, k->c->ptr, cg_gep(k->c, k->c->i8, s->ticket, cg_i64(k->c, offsetof(panel_ticket, at))), 8);
}

void share_fill(kern *k, const dot_share *s, ir_val index, lval start, lval step, share_pack *pack, void *ctx)
{
    cg *c = k->c;
    lblock head = cg_block(c, "share"), body = cg_block(c, "share.pack"), exit = cg_block(c, "share.exit");
    size_t bytes = k->f->vals.n * sizeof *k->scalar;
    lval *kept = ARENA_ARRAY(k->a, lval, k->f->vals.n);
    memcpy(kept, k->scalar, bytes); /* what is computed inside isn't there on every way */
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    lval turn = cpu_call(c, "tile_rt_panel_next", (lval[]){s->ticket}, 1);
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSLT, turn, cg_i64(c, 0)), exit, body);
    cg_at(c, body);
    lval i = cg_width(LLVMTypeOf(step)) == 64 ? turn : LLVMBuildTrunc(c->b, turn, LLVMTypeOf(step), "");
    k->scalar[index.id] = LLVMBuildAdd(c->b, start, LLVMBuildMul(c->b, i, step, ""), "");
    nest_straight(k->n, k);
    pack(ctx, s->operand, turn);
    nest_enter(k->n, -1);
    LLVMBuildBr(c->b, head);
    cg_at(c, exit);
    memcpy(k->scalar, kept, bytes);
    nest_straight(k->n, k);
}
