/* lanes.c: arithmetic on values in lanes, keeping what is uniform scalar and what is affine affine.
 *
 * LIN is exact modulo 2^n, as integer arithmetic is; what needs the true order of numbers (comparisons, widening)
 * checks before the vector loop that the row doesn't wrap, and takes it for granted in the main part only.
 */
#include "backends/cpu/cpu.h"

static int8_t higher(int8_t a, int8_t b)
{
    return a > b ? a : b;
}

lv lv_uni(lval v, int level)
{
    return (lv){.v = v, .form = LV_UNI, .level = (int8_t)(LLVMIsConstant(v) ? -1 : level)};
}

lv lv_const(nest *n, int64_t x)
{
    return lv_uni(cg_i64(n->k->c, x), -1);
}

static lv with(lv x, lv y, lval v, int64_t k, lv_form form)
{
    return (lv){
        .v = v, .k = k, .form = (uint8_t)form, .level = higher(x.level, y.level), .assumed = x.assumed || y.assumed};
}

static lval splat(nest *n, lv x)
{
    uint32_t id;
    uint64_t key = (uint64_t)(uintptr_t)x.v;
    if (LLVMIsConstant(x.v))
        return cg_splat(n->k->c, x.v, n->lanes);
    if (map_get(&n->splats, key, &id))
        return n->memo.at[id].v;
    nest_enter(n, x.level);
    lv s = {.v = cg_splat(n->k->c, x.v, n->lanes), .form = LV_VEC, .level = x.level};
    nest_leave(n, x.level);
    vec_push(n->k->a, &n->memo, s);
    map_set(&n->splats, key, n->memo.n - 1);
    return s.v;
}

lval lane_index(nest *n, lv x)
{
    cg *c = n->k->c;
    lty t = LLVMTypeOf(x.v);
    if (t == c->ptr)
        return cg_gep(c, c->i8, x.v, LLVMBuildMul(c->b, n->j, cg_i64(c, x.k), ""));
    lval j = cg_width(t) < 64 ? LLVMBuildTrunc(c->b, n->j, t, "") : n->j;
    return LLVMBuildAdd(c->b, x.v, LLVMBuildMul(c->b, j, cg_int(t, x.k), ""), "");
}

/* at the inner level, where the builder must already stand for LIN */
lval lv_vec(nest *n, lv x)
{
    cg *c = n->k->c;
    if (x.form == LV_VEC)
        return x.v;
    if (x.form == LV_UNI) {
        lval v = splat(n, x);
        nest_enter(n, n->inner);
        return v;
    }
    nest_enter(n, n->inner);
    lval first = lane_index(n, x);
    lty t = LLVMTypeOf(x.v);
    if (n->lanes == 1)
        return first;
    if (t == c->ptr)
        return LLVMBuildGEP2(c->b, c->i8, first, (lval[]){cg_iota(c, c->i64, n->lanes, 0, x.k)}, 1, "");
    return LLVMBuildAdd(c->b, cg_splat(c, first, n->lanes), cg_iota(c, t, n->lanes, 0, x.k), "");
}

static lv vec(nest *n, lv x, lv y, lval v)
{
    lv r = with(x, y, v, 0, LV_VEC);
    r.level = (int8_t)n->inner;
    return r;
}

lv lv_add(nest *n, lv x, lv y)
{
    cg *c = n->k->c;
    if (x.form == LV_VEC || y.form == LV_VEC) {
        lval a = lv_vec(n, x), b = lv_vec(n, y);
        nest_enter(n, n->inner);
        return vec(n, x, y, LLVMBuildAdd(c->b, a, b, ""));
    }
    int level = higher(x.level, y.level);
    nest_enter(n, level);
    lv r =
        with(x, y, LLVMBuildAdd(c->b, x.v, y.v, ""), x.k + y.k, x.form == LV_LIN || y.form == LV_LIN ? LV_LIN : LV_UNI);
    nest_leave(n, level);
    return r;
}

lv lv_scale(nest *n, lv x, int64_t by)
{
    cg *c = n->k->c;
    if (by == 1)
        return x;
    if (x.form == LV_VEC) {
        nest_enter(n, n->inner);
        return vec(n, x, x, LLVMBuildMul(c->b, x.v, cg_int(LLVMTypeOf(x.v), by), ""));
    }
    nest_enter(n, x.level);
    lv r = with(x, x, LLVMBuildMul(c->b, x.v, cg_int(LLVMTypeOf(x.v), by), ""), x.k * by, (lv_form)x.form);
    nest_leave(n, x.level);
    return r;
}

lv lv_clamp(nest *n, lv x, int64_t extent)
{
    cg *c = n->k->c;
    if (x.form == LV_UNI && LLVMIsConstant(x.v) && (uint64_t)LLVMConstIntGetSExtValue(x.v) < (uint64_t)extent)
        return x;
    int level = x.form == LV_UNI ? x.level : n->inner;
    lval v = x.form == LV_UNI ? x.v : lv_vec(n, x);
    nest_enter(n, level);
    lval zero = cg_int(LLVMTypeOf(v), 0), last = cg_int(LLVMTypeOf(v), extent - 1);
    lv r = x;
    r.v = cg_call2(c, CGI_smin, cg_call2(c, CGI_smax, v, zero), last);
    r.form = x.form == LV_UNI ? LV_UNI : LV_VEC;
    r.level = (int8_t)level;
    nest_leave(n, level);
    return r;
}

void lv_divmod(nest *n, lv x, int64_t by, lv *quot, lv *rem)
{
    cg *c = n->k->c;
    int level = x.form == LV_UNI ? x.level : n->inner;
    lval v = x.form == LV_UNI ? x.v : lv_vec(n, x);
    nest_enter(n, level);
    lty t = LLVMTypeOf(v), small = cg_vec(c->i32, x.form == LV_UNI ? 1 : n->lanes);
    lval s = LLVMBuildTrunc(c->b, v, small, ""); /* tiles have at most 2^20 elements */
    lval q = LLVMBuildUDiv(c->b, s, cg_int(small, by), "");
    lval r = LLVMBuildSub(c->b, s, LLVMBuildMul(c->b, q, cg_int(small, by), ""), "");
    *quot = *rem = x;
    quot->v = LLVMBuildZExt(c->b, q, t, "");
    rem->v = LLVMBuildZExt(c->b, r, t, "");
    quot->form = rem->form = x.form == LV_UNI ? LV_UNI : LV_VEC;
    quot->level = rem->level = (int8_t)level;
    nest_leave(n, level);
}

/* ---- elementwise ops ---- */
static bool small_const(lv x, int64_t *v)
{
    if (x.form != LV_UNI || !LLVMIsAConstantInt(x.v))
        return false;
    *v = LLVMConstIntGetSExtValue(x.v);
    return *v > -(1 << 24) && *v < (1 << 24);
}

/* i1 before the vector loop: base + k * (0 .. extent - 1) rises without wrapping */
static lval rises(nest *n, lv x)
{
    cg *c = n->k->c;
    lval last = LLVMBuildAdd(c->b, x.v, cg_int(LLVMTypeOf(x.v), x.k * (n->extent - 1)), "");
    return cg_icmp(c, LLVMIntSGE, last, x.v);
}

static bool may_assume(const nest *n, lv x, dtype d)
{
    return n->part == PART_MAIN && x.form == LV_LIN && x.k > 0 && dt_is_signed(d) && dt_bits(d) >= 32 &&
           x.k * n->extent < (int64_t)1 << 30 && n->inner > x.level;
}

static void limit(nest *n, lval count)
{
    vec_push(n->k->a, &n->limits, count);
}

/* LIN op UNI as an assumption of the main part: true */
static bool assume_compare(nest *n, ir_code code, lv x, lv y, dtype d, lv *out)
{
    cg *c = n->k->c;
    if (y.form != LV_UNI || y.level >= n->inner || !may_assume(n, x, d) ||
        (code != IR_OP_lt && code != IR_OP_le && code != IR_OP_gt && code != IR_OP_ge))
        return false;
    int level = n->inner - 1;
    nest_enter(n, level);
    lval ok = x.exact ? cg_int(c->i1, 1) : rises(n, x), all = cg_i64(c, n->extent), zero = cg_i64(c, 0), count;
    if (code == IR_OP_gt || code == IR_OP_ge) {
        ok = LLVMBuildAnd(c->b, ok, cg_icmp(c, code == IR_OP_gt ? LLVMIntSGT : LLVMIntSGE, x.v, y.v), "");
        count = all;
    } else { /* how many lanes j have base + k j < y (or <= y) */
        lval b = LLVMBuildSExt(c->b, x.v, c->i64, ""), e = LLVMBuildSExt(c->b, y.v, c->i64, "");
        if (cg_width(LLVMTypeOf(x.v)) == 64)
            b = x.v, e = y.v;
        lval room = cg_call2(c, CGI_ssub_sat, e, b);
        room = cg_call2(c, CGI_smax, room, cg_i64(c, code == IR_OP_lt ? 0 : -1));
        room = cg_call2(c, CGI_smin, room, cg_i64(c, x.k * n->extent));
        if (code == IR_OP_le)
            room = LLVMBuildAdd(c->b, room, cg_i64(c, 1), "");
        if (x.k > 1)
            room = LLVMBuildUDiv(c->b, LLVMBuildAdd(c->b, room, cg_i64(c, x.k - 1), ""), cg_i64(c, x.k), "");
        count = room;
    }
    limit(n, cg_sel(c, ok, count, zero));
    if (count == all || !x.exact) /* `ge`: where it fails at the row's beginning it may hold later */
        n->sure = n->sure ? LLVMBuildAnd(c->b, n->sure, ok, "") : ok;
    nest_leave(n, level);
    *out = (lv){.v = cg_int(c->i1, 1), .form = LV_UNI, .level = -1, .assumed = true};
    return true;
}

/* a ramp from a constant that stays within its type, so that widening each lane is widening the start */
static bool widens_always(const nest *n, lv x, dtype from)
{
    if (x.form != LV_LIN || !LLVMIsAConstantInt(x.v) || dt_bits(from) < 32)
        return false;
    int64_t first = LLVMConstIntGetSExtValue(x.v), last = first + x.k * (n->extent - 1), lim = (int64_t)1 << 31;
    int64_t low = dt_is_signed(from) ? -lim : 0;
    return first >= low && first < lim && last >= low && last < lim;
}

/* widening of LIN: where it can't wrap, or in the main part, for as long as the row is known not to */
static bool assume_widen(nest *n, lv x, dtype from, dtype to, lv *out)
{
    cg *c = n->k->c;
    if (dt_bits(to) == 64 && widens_always(n, x, from)) {
        *out = x;
        out->v = cg_i64(c, LLVMConstIntGetSExtValue(x.v));
        return true;
    }
    if (x.exact && dt_is_signed(from) && dt_bits(to) == 64) {
        nest_enter(n, x.level);
        *out = x;
        out->v = LLVMBuildSExt(c->b, x.v, c->i64, "");
        nest_leave(n, x.level);
        return true;
    }
    if (!may_assume(n, x, from) || dt_bits(to) != 64)
        return false;
    int level = n->inner - 1;
    nest_enter(n, level);
    limit(n, cg_sel(c, rises(n, x), cg_i64(c, n->extent), cg_i64(c, 0)));
    nest_leave(n, level);
    nest_enter(n, x.level);
    *out = x;
    out->v = LLVMBuildSExt(c->b, x.v, c->i64, "");
    out->assumed = true;
    nest_leave(n, x.level);
    return true;
}

static lv widen_offset(nest *n, lv off, dtype d)
{
    cg *c = n->k->c;
    lv r;
    if (dt_bits(d) == 64 || (off.form == LV_LIN && assume_widen(n, off, d, DT_I64, &r)))
        return dt_bits(d) == 64 ? off : r;
    int level = off.form == LV_UNI ? off.level : n->inner;
    lval v = off.form == LV_UNI ? off.v : lv_vec(n, off);
    nest_enter(n, level);
    r = off;
    r.v = cg_cast(c, v, d, dt_is_signed(d) ? DT_I64 : DT_U64, false, off.form == LV_UNI ? 1 : n->lanes);
    r.form = off.form == LV_UNI ? LV_UNI : LV_VEC;
    r.level = (int8_t)level;
    nest_leave(n, level);
    return r;
}

static lv pointer_add(nest *n, ir_op o, lv p, lv off)
{
    const ir_func *f = n->k->f;
    cg *c = n->k->c;
    ir_type elem = ir_type_elem(f->m, ir_vtype(f, ir_out(f, o, 0)));
    int64_t size = plan_elem_bytes(f, ir_type_of(f->m, elem)->elem);
    off = widen_offset(n, off, ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, 1))));
    if (p.form == LV_VEC || off.form == LV_VEC) {
        lval i = off.form == LV_UNI && p.form == LV_VEC ? off.v : lv_vec(n, off);
        lval base = p.form == LV_UNI ? p.v : lv_vec(n, p);
        nest_enter(n, n->inner);
        lty unit = LLVMIntTypeInContext(c->cx, (unsigned)(size * 8));
        return vec(n, p, off, LLVMBuildGEP2(c->b, unit, base, &i, 1, ""));
    }
    int level = higher(p.level, off.level);
    nest_enter(n, level);
    lval bytes = LLVMBuildMul(c->b, off.v, cg_i64(c, size), "");
    lv r = with(p, off, cg_gep(c, c->i8, p.v, bytes), p.k + off.k * size,
                p.form == LV_LIN || off.form == LV_LIN ? LV_LIN : LV_UNI);
    nest_leave(n, level);
    return r;
}

/* LIN results of integer ops on LIN and UNI */
static bool affine(nest *n, ir_code code, dtype d, const lv *in, lv *out)
{
    cg *c = n->k->c;
    lv x = in[0], y = in[1];
    int64_t m = 0;
    if (!dt_is_int(d) || x.form == LV_VEC || y.form == LV_VEC || (x.form == LV_UNI && y.form == LV_UNI))
        return false;
    int level = higher(x.level, y.level);
    lval v;
    int64_t k;
    nest_enter(n, level);
    if (code == IR_OP_add) {
        v = LLVMBuildAdd(c->b, x.v, y.v, "");
        k = x.k + y.k;
    } else if (code == IR_OP_sub) {
        v = LLVMBuildSub(c->b, x.v, y.v, "");
        k = x.k - y.k;
    } else if (code == IR_OP_mul && (small_const(y, &m) || small_const(x, &m))) {
        v = LLVMBuildMul(c->b, x.v, y.v, "");
        k = (x.form == LV_LIN ? x.k : y.k) * m;
    } else if (code == IR_OP_shl && small_const(y, &m) && m >= 0 && m < 24) {
        v = LLVMBuildShl(c->b, x.v, y.v, "");
        k = x.k * ((int64_t)1 << m);
    } else {
        nest_leave(n, level);
        return false;
    }
    nest_leave(n, level);
    if (k > (1 << 30) || k < -(1 << 30))
        return false;
    *out = with(x, y, v, k, k ? LV_LIN : LV_UNI);
    return true;
}

static lv elt_plain(nest *n, ir_op o, const cg_elt_op *e, const lv *in, uint32_t nin)
{
    cg *c = n->k->c;
    cg_elt_op op = *e;
    lval x[4];
    int8_t level = -1;
    bool uni = true, assumed = false;
    for (uint32_t i = 0; i < nin; i++) {
        uni &= in[i].form == LV_UNI;
        level = higher(level, in[i].level);
        assumed |= in[i].assumed;
    }
    bool scalar_cond = e->code == IR_OP_select && in[0].form == LV_UNI;
    if (!uni)
        level = (int8_t)n->inner;
    for (uint32_t i = 0; i < nin; i++)
        x[i] = uni || (i == 0 && scalar_cond) ? in[i].v : lv_vec(n, in[i]);
    nest_enter(n, level);
    cg_debug_loc(c, n->k->f->m, ir_o(n->k->f, o)->loc);
    op.lanes = uni ? 1 : n->lanes;
    lv r = {.v = cg_elt(c, &op, x), .form = uni ? LV_UNI : LV_VEC, .level = level, .assumed = assumed};
    nest_leave(n, level);
    return r;
}

/* an address held in an integer */
static lv to_pointer(nest *n, lv x, dtype from)
{
    cg *c = n->k->c;
    x = widen_offset(n, x, from);
    int level = x.form == LV_VEC ? n->inner : x.level;
    nest_enter(n, level);
    x.v = LLVMBuildIntToPtr(c->b, x.v, cg_vec(c->ptr, x.form == LV_VEC ? n->lanes : 1), "");
    nest_leave(n, level);
    return x;
}

lv ev_elt(nest *n, ir_op o, uint32_t at)
{
    const ir_func *f = n->k->f;
    ir_code code = ir_op_code(f, o);
    uint32_t nin = ir_nin(f, o);
    lv in[4], r;
    for (uint32_t i = 0; i < nin; i++) {
        ir_val x = ir_in(f, o, i);
        in[i] = ir_type_rank(f->m, ir_vtype(f, x)) ? ev(n, x, at) : lv_uni(ev_scalar(n->k, x), -1);
    }
    dtype from = ir_type_dt(f->m, ir_vtype(f, ir_in(f, o, code == IR_OP_select ? 1 : 0)));
    dtype to = ir_type_dt(f->m, ir_vtype(f, ir_out(f, o, 0)));
    if (code == IR_OP_ptr_add)
        return pointer_add(n, o, in[0], in[1]);
    if (code == IR_OP_ptr_cast && from != DT_NONE)
        return to_pointer(n, in[0], from);
    if ((code == IR_OP_ptr_cast && to == DT_NONE) || code == IR_OP_hint)
        return in[0];
    if (nin == 2 && affine(n, code, from, in, &r)) {
        r.exact = r.form == LV_LIN && ir_int(f, o, KEY_nowrap, 0);
        return r;
    }
    if (code == IR_OP_cast && in[0].form == LV_LIN && dt_is_int(from) && dt_is_int(to)) {
        if (dt_bits(from) == dt_bits(to) || assume_widen(n, in[0], from, to, &r))
            return dt_bits(from) == dt_bits(to) ? in[0] : r;
        if (dt_bits(to) < dt_bits(from) && dt_bits(to) >= 32) {
            nest_enter(n, in[0].level);
            r = in[0];
            r.exact = false;
            r.v = LLVMBuildTrunc(n->k->c->b, in[0].v, cg_num(n->k->c, to), "");
            nest_leave(n, in[0].level);
            return r;
        }
    }
    if (nin == 2 && (assume_compare(n, code, in[0], in[1], from, &r) ||
                     assume_compare(n, ir_exchanged(code), in[1], in[0], from, &r)))
        return r;
    cg_elt_op e = {.code = code,
                   .from = from,
                   .to = to,
                   .nan = ir_int(f, o, KEY_nan, 0) != 0,
                   .rtz = ir_int(f, o, KEY_rtz, 0) != 0};
    return elt_plain(n, o, &e, in, nin);
}
