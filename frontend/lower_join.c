/* lower_join.c: environments and how they meet again (see lower.h, "Control flow").
 *
 * A run-time choice lowers each branch ("arm") into a region of its own with a copy of the environment. Joining
 * compares the copies slot by slot: what is the same in both stays (compile-time values stay known); numbers and
 * run-time values of equal type become results of the `if`; a slot bound on one side only is unbound afterwards, and
 * two bindings of different types are a fault. Where one side has left by break, continue or return, only the other's
 * value matters: it stands, with `undef` for the side that left, as the flags say that nobody will look. A variable
 * whose value a loop needs where it is left (fx.lasting) must have one on both sides, else it is unbound.
 *
 * Values that cross are flattened to run-time leaves: a tuple crosses as its elements. The slot of the return value is
 * the other way round: the side that has not returned contributes `undef`.
 */
#include "frontend/lower.h"

#include <string.h>

fv *env_copy(lower *l, const fv *env)
{
    fv *copy = ARENA_ARRAY(l->scratch, fv, l->fx->nslots);
    memcpy(copy, env, l->fx->nslots * sizeof *copy);
    return copy;
}

bool arm_room(lower *l, span at)
{
    if (l->fx->regions < LOW_MAX_REGIONS)
        return true;
    l->stopped = true;
    low_error(l, D_NESTING, at, LOW_MAX_REGIONS);
    return false;
}

void arm_open(lower *l, arm *x, const fv *env)
{
    fx *f = l->fx;
    x->r = ir_region_new(f->f);
    x->env = env_copy(l, env);
    x->st = ST_FALL;
    ir_push(&f->b, x->r);
    f->env = x->env;
    f->regions++;
}

void arm_close(lower *l, arm *x, status st)
{
    x->st = st;
    ir_pop(&l->fx->b);
    l->fx->regions--;
}

/* ---- leaves ---- */
bool fv_can_carry(fv v)
{
    if (v.kind == FV_SEQ) {
        for (uint32_t i = 0; i < v.seq.n; i++)
            if (!fv_can_carry(v.seq.at[i]))
                return false;
        return true;
    }
    return v.kind == FV_NUM || fv_is_runtime(v);
}

bool fv_flatten(lower *l, fv v, val_list *out, span at)
{
    if (v.kind == FV_SEQ) {
        for (uint32_t i = 0; i < v.seq.n; i++)
            if (!fv_flatten(l, v.seq.at[i], out, at))
                return false;
        return true;
    }
    if (v.kind == FV_NUM)
        v = low_runtime(l, v, at);
    if (!fv_is_runtime(v))
        return false;
    vec_push(l->a, out, v.v);
    return true;
}

fv fv_rebuild(lower *l, fv like, const ir_val *at, uint32_t *i)
{
    if (like.kind == FV_SEQ) {
        fv *el = ARENA_ARRAY(l->a, fv, like.seq.n ? like.seq.n : 1);
        for (uint32_t k = 0; k < like.seq.n; k++)
            el[k] = fv_rebuild(l, like.seq.at[k], at, i);
        return (fv){.kind = FV_SEQ, .flags = like.flags, .seq = {el, like.seq.n, like.seq.size}};
    }
    fv r = {.kind = like.kind == FV_TENSOR ? FV_TENSOR : FV_RT, .flags = like.flags, .v = at[*i]};
    (*i)++;
    return r;
}

static ir_type carried_type(lower *l, fv v)
{
    if (v.kind == FV_NUM) {
        dtype d = v.num.kind == CONST_BOOL ? DT_BOOL : v.num.kind == CONST_INT ? DT_I64 : DT_F32;
        return ir_type_num(l->m, d);
    }
    return low_vtype(l, v);
}

bool fv_types_equal(lower *l, fv a, fv b)
{
    if (a.kind == FV_SEQ || b.kind == FV_SEQ) {
        if (a.kind != b.kind || a.seq.n != b.seq.n)
            return false;
        for (uint32_t i = 0; i < a.seq.n; i++)
            if (!fv_types_equal(l, a.seq.at[i], b.seq.at[i]))
                return false;
        return true;
    }
    if (!fv_can_carry(a) || !fv_can_carry(b))
        return fv_same(a, b);
    return ir_type_eq(carried_type(l, a), carried_type(l, b));
}

/* ---- joining ---- */
typedef struct join {
    lower *l;
    arm *arm[2];
    val_list out[2];        /* what each arm yields */
    VEC(uint32_t) slots;    /* that get results */
    const fv *like[2];
    span at;
} join;

static fv unbound(fv_why why, span at)
{
    return (fv){.kind = FV_UNBOUND, .unbound = {.why = why, .at = at}};
}

/* leaves of v in both arms: in arm `side` its own, in the other undef of their types */
static bool yield_one_sided(join *j, int side, fv v)
{
    lower *l = j->l;
    uint32_t first = j->out[side].n;
    if (!fv_flatten(l, v, &j->out[side], j->at))
        return false;
    for (uint32_t i = first; i < j->out[side].n; i++) {
        ir_type t = ir_vtype(l->fx->f, j->out[side].at[i]);
        ir_push(B(l), j->arm[!side]->r);
        ir_val u = ir_emit1(B(l), IR_OP_undef, t, NULL, 0);
        ir_pop(B(l));
        vec_push(l->a, &j->out[!side], u);
    }
    return true;
}

static bool yield_both(join *j, fv a, fv b)
{
    lower *l = j->l;
    ir_push(B(l), j->arm[0]->r);
    bool ok = fv_flatten(l, a, &j->out[0], j->at);
    ir_pop(B(l));
    ir_push(B(l), j->arm[1]->r);
    ok &= fv_flatten(l, b, &j->out[1], j->at);
    ir_pop(B(l));
    return ok;
}

/* the value of arm `side`, when the other has none that matters */
static fv join_one_sided(join *j, int side, fv v)
{
    if (!fv_can_carry(v) || v.kind == FV_NUM)
        return v;
    lower *l = j->l;
    ir_push(B(l), j->arm[side]->r);
    bool ok = yield_one_sided(j, side, v);
    ir_pop(B(l));
    return ok ? v : fv_poison();
}

static str slot_name(lower *l, uint32_t slot)
{
    fx *f = l->fx;
    if (slot == f->hidden + SLOT_RV)
        return S("the result");
    return slot < f->hidden ? str_fmt(l->a, "'%.*s'", STR_ARG(low_slot_name(l, slot))) : S("a flag");
}

/* the arm that left for certain while the other goes on, or -1 */
static int only_exit(const join *j)
{
    bool gone[2] = {j->arm[0]->st == ST_EXIT, j->arm[1]->st == ST_EXIT};
    return gone[0] == gone[1] ? -1 : gone[1];
}

/* Decides what a slot is after the join; *crosses is set where it becomes a result of the `if`, shaped like the value
 * returned. */
static fv join_slot(join *j, uint32_t s, bool *crosses)
{
    lower *l = j->l;
    fv a = j->arm[0]->env[s], b = j->arm[1]->env[s];
    bool rv = s == l->fx->hidden + SLOT_RV;
    bool lenient = j->arm[0]->st == ST_EXIT || j->arm[1]->st == ST_EXIT;
    *crosses = false;
    if (a.kind == FV_POISON || b.kind == FV_POISON)
        return fv_poison();
    if (fv_same(a, b))
        return a;
    int gone = only_exit(j);
    bool alike = fv_can_carry(a) && fv_can_carry(b) && fv_types_equal(l, a, b);
    if (gone >= 0 && s < l->fx->hidden && !l->fx->lasting[s] && !alike) {
        fv v = gone ? a : b;
        if (v.kind != FV_UNBOUND)
            v = join_one_sided(j, !gone, v);
        *crosses = v.kind != FV_POISON && fv_can_carry(v) && v.kind != FV_NUM;
        return v;
    }
    if (a.kind == FV_UNBOUND || b.kind == FV_UNBOUND) {
        if (!rv)
            return a.kind == FV_UNBOUND && a.unbound.why != WHY_NEVER ? a
                   : b.kind == FV_UNBOUND && b.unbound.why != WHY_NEVER ? b : unbound(WHY_BRANCH, j->at);
        int side = a.kind == FV_UNBOUND;
        fv v = join_one_sided(j, side, side ? b : a);
        *crosses = v.kind != FV_POISON && fv_can_carry(v) && v.kind != FV_NUM;
        return v;
    }
    if (alike) {
        *crosses = yield_both(j, a, b);
        fv like = a.kind == FV_NUM ? b : a;
        like.flags = a.flags | b.flags;
        return *crosses ? like : fv_poison();
    }
    if (lenient && !rv)
        return unbound(WHY_TYPES, j->at);
    return low_error(l, D_JOIN, j->at, STR_ARG(slot_name(l, s)), STR_ARG(low_say(l, a)), STR_ARG(low_say(l, b)));
}

static void close_regions(join *j)
{
    for (int i = 0; i < 2; i++) {
        ir_push(B(j->l), j->arm[i]->r);
        ir_yield(B(j->l), j->out[i].at, j->out[i].n);
        ir_pop(B(j->l));
    }
}

status arm_join(lower *l, ir_val cond, arm *yes, arm *no, fv *env, span at)
{
    join j = {.l = l, .arm = {yes, no}, .at = at};
    fx *f = l->fx;
    l->fx->env = env;
    for (uint32_t s = 0; s < f->nslots; s++) {
        bool crosses;
        env[s] = join_slot(&j, s, &crosses);
        if (crosses)
            vec_push(l->scratch, &j.slots, s);
    }
    low_place(l, at);
    close_regions(&j);
    uint32_t n = j.out[0].n, i = 0;
    ir_type *types = ARENA_ARRAY(l->scratch, ir_type, n ? n : 1);
    ir_val *out = ARENA_ARRAY(l->scratch, ir_val, n ? n : 1);
    for (uint32_t k = 0; k < n; k++)
        types[k] = ir_vtype(f->f, j.out[0].at[k]);
    ir_emit(B(l), &(ir_desc){.code = IR_OP_if, .nin = 1, .in = &cond, .nout = n, .types = types, .nregions = 2,
                             .regions = (ir_region[]){yes->r, no->r}}, out);
    for (uint32_t k = 0; k < j.slots.n; k++)
        env[j.slots.at[k]] = fv_rebuild(l, env[j.slots.at[k]], out, &i);
    if (yes->st == ST_EXIT && no->st == ST_EXIT)
        return ST_EXIT;
    return yes->st == ST_FALL && no->st == ST_FALL ? ST_FALL : ST_MAYBE;
}
