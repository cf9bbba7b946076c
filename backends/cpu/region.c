/* region.c: the pure regions of reduce, scan and map, on `lanes` elements at once.
 *
 * A branch on lanes evaluates both sides and selects: pure ops can't fault. A loop on lanes can't be had so (each lane
 * has its own trip count): region_eval_lanes then takes the lanes apart and runs real control flow on each.
 */
#include "backends/cpu/cpu.h"

typedef struct env {
    kern *k;
    int lanes;
    map64 ids;
    VEC(lval) vals;
} env;

static void run(env *e, ir_region r, lval *results);

static void set(env *e, ir_val v, lval x)
{
    vec_push(e->k->a, &e->vals, x);
    map_set(&e->ids, v.id, e->vals.n - 1);
}

static lval get(env *e, ir_val v)
{
    uint32_t i;
    if (map_get(&e->ids, v.id, &i))
        return e->vals.at[i];
    lval x = e->k->scalar[v.id];
    if (!x)
        bug("region uses value %u before it has code", v.id);
    return cg_splat(e->k->c, x, e->lanes);
}

static void walk(const kern *k, ir_region r, void (*fn)(kern *, ir_val))
{
    const ir_func *f = k->f;
    FOR_OPS(f, r, o)
    {
        for (uint32_t i = 0; i < ir_nin(f, o); i++)
            fn((kern *)k, ir_in(f, o, i));
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            walk(k, ir_op_region(f, o, i), fn);
    }
}

static void prepare_one(kern *k, ir_val v)
{
    if (k->p->v[v.id].cls == VC_SCALAR)
        ev_scalar(k, v);
}

void region_prepare(kern *k, ir_region r)
{
    walk(k, r, prepare_one);
}

bool region_has_loops(const ir_func *f, ir_region r)
{
    FOR_OPS(f, r, o)
    {
        ir_code code = ir_op_code(f, o);
        if (code == IR_OP_for || code == IR_OP_while)
            return true;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            if (region_has_loops(f, ir_op_region(f, o, i)))
                return true;
    }
    return false;
}

static void plain(env *e, ir_op o)
{
    const ir_func *f = e->k->f;
    lval in[4];
    uint32_t nin = ir_nin(f, o);
    for (uint32_t i = 0; i < nin && i < COUNTOF(in); i++)
        in[i] = get(e, ir_in(f, o, i));
    ir_val out = ir_out(f, o, 0);
    dtype to = ir_type_dt(f->m, ir_vtype(f, out));
    switch (ir_op_code(f, o)) {
    case IR_OP_const:
        set(e, out, cg_const(e->k->c, to, (uint64_t)ir_int(f, o, KEY_bits, 0), e->lanes));
        return;
    case IR_OP_undef:
        set(e, out, LLVMConstNull(cg_vec(cg_num(e->k->c, to), e->lanes)));
        return;
    default:
        break;
    }
    if (!(ir_info(f, o)->flags & ELT))
        bug("op '%s' in a pure region", ir_info(f, o)->name);
    dtype from = ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, ir_op_code(f, o) == IR_OP_select ? 1 : 0)));
    cg_elt_op x = {.code = ir_op_code(f, o),
                   .from = from,
                   .to = to,
                   .nan = ir_int(f, o, KEY_nan, 0) != 0,
                   .rtz = ir_int(f, o, KEY_rtz, 0) != 0,
                   .lanes = e->lanes};
    set(e, out, cg_elt(e->k->c, &x, in));
}

static void both_sides(env *e, ir_op o)
{
    const ir_func *f = e->k->f;
    cg *c = e->k->c;
    uint32_t n = ir_nout(f, o);
    lval *r[2] = {ARENA_ARRAY(e->k->a, lval, n), ARENA_ARRAY(e->k->a, lval, n)}, cond = get(e, ir_in(f, o, 0));
    for (uint32_t i = 0; i < 2; i++)
        run(e, ir_op_region(f, o, i), r[i]);
    for (uint32_t i = 0; i < n; i++)
        set(e, ir_out(f, o, i), cg_sel(c, cond, r[0][i], r[1][i]));
}

static void branch(env *e, ir_op o)
{
    const ir_func *f = e->k->f;
    cg *c = e->k->c;
    uint32_t n = ir_nout(f, o);
    lval *r[2] = {ARENA_ARRAY(e->k->a, lval, n), ARENA_ARRAY(e->k->a, lval, n)}, cond = get(e, ir_in(f, o, 0));
    lblock side[2] = {cg_block(c, "then"), cg_block(c, "else")}, end[2], join = cg_block(c, "join");
    LLVMBuildCondBr(c->b, cond, side[0], side[1]);
    for (uint32_t i = 0; i < 2; i++) {
        cg_at(c, side[i]);
        run(e, ir_op_region(f, o, i), r[i]);
        end[i] = cg_here(c);
        LLVMBuildBr(c->b, join);
    }
    cg_at(c, join);
    for (uint32_t i = 0; i < n; i++) {
        lval phi = LLVMBuildPhi(c->b, LLVMTypeOf(r[0][i]), "");
        LLVMAddIncoming(phi, (lval[]){r[0][i], r[1][i]}, end, 2);
        set(e, ir_out(f, o, i), phi);
    }
}

/* for and while on scalars: the header holds the carried values */
static void repeat(env *e, ir_op o)
{
    const ir_func *f = e->k->f;
    cg *c = e->k->c;
    bool counted = ir_op_code(f, o) == IR_OP_for;
    uint32_t n = ir_nout(f, o), skip = counted ? 3 : 0;
    lval *init = ARENA_ARRAY(e->k->a, lval, n), *phi = ARENA_ARRAY(e->k->a, lval, n);
    lval *next = ARENA_ARRAY(e->k->a, lval, n), i = NULL, trips = NULL;
    for (uint32_t q = 0; q < n; q++)
        init[q] = get(e, ir_in(f, o, skip + q));
    if (counted)
        trips = for_trips(c, get(e, ir_in(f, o, 0)), get(e, ir_in(f, o, 1)), get(e, ir_in(f, o, 2)),
                          ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, 0))));
    lblock from = cg_here(c), head = cg_block(c, "loop"), body = cg_block(c, "loop.body"),
           done = cg_block(c, "loop.done");
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    for (uint32_t q = 0; q < n; q++) {
        phi[q] = LLVMBuildPhi(c->b, LLVMTypeOf(init[q]), "");
        LLVMAddIncoming(phi[q], &init[q], &from, 1);
    }
    lval cond;
    ir_region r = ir_op_region(f, o, counted ? 0 : 1);
    if (counted) {
        i = LLVMBuildPhi(c->b, LLVMTypeOf(trips), "");
        lval zero = cg_int(LLVMTypeOf(trips), 0);
        LLVMAddIncoming(i, &zero, &from, 1);
        cond = cg_icmp(c, LLVMIntULT, i, trips);
        lval at = LLVMBuildAdd(c->b, get(e, ir_in(f, o, 0)), LLVMBuildMul(c->b, i, get(e, ir_in(f, o, 2)), ""), "");
        set(e, ir_param_of(f, r, 0), at);
    } else {
        for (uint32_t q = 0; q < n; q++)
            set(e, ir_param_of(f, ir_op_region(f, o, 0), q), phi[q]);
        run(e, ir_op_region(f, o, 0), &cond);
    }
    LLVMBuildCondBr(c->b, cond, body, done);
    cg_at(c, body);
    for (uint32_t q = 0; q < n; q++)
        set(e, ir_param_of(f, r, q + counted), phi[q]);
    run(e, r, next);
    lblock end = cg_here(c);
    if (counted) {
        lval up = LLVMBuildAdd(c->b, i, cg_int(LLVMTypeOf(i), 1), "");
        LLVMAddIncoming(i, &up, &end, 1);
    }
    for (uint32_t q = 0; q < n; q++)
        LLVMAddIncoming(phi[q], &next[q], &end, 1);
    LLVMBuildBr(c->b, head);
    cg_at(c, done);
    for (uint32_t q = 0; q < n; q++)
        set(e, ir_out(f, o, q), phi[q]);
}

static void run(env *e, ir_region r, lval *results)
{
    const ir_func *f = e->k->f;
    FOR_OPS(f, r, o)
    {
        switch (ir_op_code(f, o)) {
        case IR_OP_yield:
            for (uint32_t i = 0; i < ir_nin(f, o); i++)
                results[i] = get(e, ir_in(f, o, i));
            break;
        case IR_OP_if:
            if (e->lanes == 1)
                branch(e, o);
            else
                both_sides(e, o);
            break;
        case IR_OP_for:
        case IR_OP_while:
            repeat(e, o);
            break;
        case IR_OP_assume:
            break;
        default:
            plain(e, o);
            break;
        }
    }
}

void region_eval(kern *k, ir_region r, const lval *params, int lanes, lval *results)
{
    env e = {.k = k, .lanes = lanes};
    map_init(&e.ids, k->a);
    for (uint32_t i = 0; i < ir_nparams(k->f, r); i++)
        set(&e, ir_param_of(k->f, r, i), params[i]);
    run(&e, r, results);
}

void region_eval_lanes(kern *k, ir_region r, const lval *params, uint32_t n, int lanes, lval *results,
                       uint32_t nresults)
{
    cg *c = k->c;
    if (lanes == 1 || !region_has_loops(k->f, r)) {
        region_eval(k, r, params, lanes, results);
        return;
    }
    lval *in = ARENA_ARRAY(k->a, lval, n), *out = ARENA_ARRAY(k->a, lval, nresults);
    for (int lane = 0; lane < lanes; lane++) {
        for (uint32_t i = 0; i < n; i++)
            in[i] = cg_extract(c, params[i], lane);
        region_eval(k, r, in, 1, out);
        for (uint32_t i = 0; i < nresults; i++) {
            if (lane == 0)
                results[i] = LLVMGetPoison(cg_vec(LLVMTypeOf(out[i]), lanes));
            results[i] = cg_insert(c, results[i], out[i], lane);
        }
    }
}
