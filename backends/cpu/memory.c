/* memory.c: loads, stores and the kernel's own buffers.
 *
 *   address LIN by the element   vector load or store, masked where lanes may be off
 *   address LIN by another step  a load of each lane; one that is off reads zeros instead. Stores scatter
 *   address UNI                  one load for all lanes
 *   anything else                gather or scatter
 *
 * A lane that is off touches no memory. In the main part masks are assumptions: a mask that is UNI counts for the whole
 * row. In the tail the lanes beyond the extent (the hole) are off too; reads of buffers may run over, as buffers have
 * room.
 */
#include "backends/cpu/cpu.h"

#include <string.h>

lval to_memory(cg *c, lval x, dtype d)
{
    return d == DT_BOOL ? LLVMBuildZExt(c->b, x, cg_vec(c->i8, cg_lanes(x)), "") : x;
}

lval from_memory(cg *c, lval x, dtype d)
{
    return d == DT_BOOL ? cg_icmp(c, LLVMIntNE, x, cg_int(LLVMTypeOf(x), 0)) : x;
}

static unsigned bytes_of(cg *c, lty t)
{
    return t == c->ptr ? 8 : (unsigned)cg_width(t) / 8;
}

lval buffer_address(kern *k, int32_t buffer)
{
    return cg_gep(k->c, k->c->i8, k->buffer, cg_i64(k->c, k->p->buffers.at[buffer].offset));
}

static void align_param(cg *c, lval call, unsigned param, unsigned align)
{
    unsigned kind = LLVMGetEnumAttributeKindForName("align", 5);
    LLVMAddCallSiteAttribute(call, param, LLVMCreateEnumAttribute(c->cx, kind, align));
}

static lval all_true(cg *c, int lanes)
{
    return cg_int(cg_vec(c->i1, lanes), 1);
}

/* p: scalar pointer for contiguous, vector of pointers else; mask NULL = all lanes */
static lval vector_load(cg *c, lty mem, lval p, lval mask, lval other, int lanes)
{
    lty t = cg_vec(mem, lanes);
    bool contiguous = LLVMTypeOf(p) == c->ptr;
    if (contiguous && !mask)
        return cg_load(c, t, p, bytes_of(c, mem));
    lty types[] = {t, LLVMTypeOf(p)};
    lval args[] = {p, mask ? mask : all_true(c, lanes), other ? other : LLVMConstNull(t)};
    lval r = cg_call(c, contiguous ? CGI_masked_load : CGI_masked_gather, types, 2, args, 3);
    align_param(c, r, 1, bytes_of(c, mem));
    return r;
}

static lval vector_store(cg *c, lty mem, lval x, lval p, lval mask, int lanes)
{
    bool contiguous = LLVMTypeOf(p) == c->ptr;
    if (contiguous && !mask)
        return cg_store(c, x, p, bytes_of(c, mem));
    lty types[] = {LLVMTypeOf(x), LLVMTypeOf(p)};
    lval args[] = {x, p, mask ? mask : all_true(c, lanes)};
    lval r = cg_call(c, contiguous ? CGI_masked_store : CGI_masked_scatter, types, 2, args, 3);
    align_param(c, r, 2, bytes_of(c, mem));
    return r;
}

/* ---- buffers ---- */
static lval pairs(cg *c, lty mem, lval p, int lanes)
{
    lval both = cg_load(c, cg_vec(mem, lanes * 2), p, bytes_of(c, mem));
    int even[128];
    for (int i = 0; i < lanes; i++)
        even[i] = 2 * i;
    return cg_shuffle(c, both, LLVMGetPoison(LLVMTypeOf(both)), even, lanes);
}

lv buffer_read(nest *n, ir_val v, lv lin)
{
    kern *k = n->k;
    cg *c = k->c;
    const plan_val *x = &k->p->v[v.id];
    dtype d = ir_type_dt(k->f->m, ir_vtype(k->f, v));
    lty mem = cg_mem(c, d);
    if (x->buffer < 0)
        bug("value %u is read from a buffer it doesn't have", v.id);
    int level = lin.form == LV_UNI ? lin.level : n->inner;
    lv r = {.form = lin.form == LV_UNI ? LV_UNI : LV_VEC, .level = (int8_t)level, .assumed = lin.assumed};
    lval gathered = lin.form == LV_VEC || (lin.form == LV_LIN && lin.k > 2) || lin.k < 0 ? lv_vec(n, lin) : NULL;
    nest_enter(n, level);
    lval base = buffer_address(k, x->buffer);
    if (lin.form == LV_UNI)
        r.v = cg_load(c, mem, cg_gep(c, mem, base, lin.v), bytes_of(c, mem));
    else if (n->lanes == 1)
        r.v = cg_load(c, mem, cg_gep(c, mem, base, gathered ? gathered : lane_index(n, lin)), bytes_of(c, mem));
    else if (gathered)
        r.v = vector_load(c, mem, cg_gep(c, mem, base, gathered), n->hole, NULL, n->lanes);
    else if (lin.k == 2)
        r.v = pairs(c, mem, cg_gep(c, mem, base, lane_index(n, lin)), n->lanes);
    else
        r.v = vector_load(c, mem, cg_gep(c, mem, base, lane_index(n, lin)), NULL, NULL, n->lanes);
    r.v = from_memory(c, r.v, d);
    nest_leave(n, level);
    return r;
}

void buffer_write(nest *n, lval base, lty mem, lv lin, lval x)
{
    cg *c = n->k->c;
    if (lin.form == LV_UNI || n->lanes == 1) {
        lval i = lin.form == LV_UNI ? lin.v : lv_vec(n, lin);
        nest_enter(n, n->inner);
        cg_store(c, x, cg_gep(c, mem, base, i), bytes_of(c, mem));
        return;
    }
    bool contiguous = lin.form == LV_LIN && lin.k == 1;
    lval i = contiguous ? NULL : lv_vec(n, lin);
    nest_enter(n, n->inner);
    if (contiguous)
        i = lane_index(n, lin);
    vector_store(c, mem, x, cg_gep(c, mem, base, i), n->hole, n->lanes);
}

/* ---- loads and stores of nests ---- */
/* NULL = every lane; a row's mask is an assumption of the main part */
lval mem_mask(nest *n, ir_op o, uint32_t operand, uint32_t at)
{
    cg *c = n->k->c;
    const ir_func *f = n->k->f;
    if (ir_nin(f, o) <= operand)
        return n->hole;
    lv m = ev(n, ir_in(f, o, operand), at);
    if (m.form == LV_UNI && LLVMIsAConstantInt(m.v) && LLVMConstIntGetZExtValue(m.v))
        return n->hole;
    if (m.form == LV_UNI && n->part == PART_MAIN && m.level < n->inner) {
        nest_enter(n, n->inner - 1);
        vec_push(n->k->a, &n->limits, cg_sel(c, m.v, cg_i64(c, n->extent), cg_i64(c, 0)));
        nest_leave(n, n->inner - 1);
        return n->hole;
    }
    lval v = lv_vec(n, m);
    nest_enter(n, n->inner);
    return n->hole ? LLVMBuildAnd(c->b, v, n->hole, "") : v;
}

static lval one_masked_load(nest *n, lty mem, lval p, lval mask, lval other)
{
    cg *c = n->k->c;
    lblock from = cg_here(c), yes = cg_block(c, "load"), join = cg_block(c, "load.join");
    LLVMBuildCondBr(c->b, mask, yes, join);
    cg_at(c, yes);
    lval x = cg_load(c, mem, p, bytes_of(c, mem));
    LLVMBuildBr(c->b, join);
    cg_at(c, join);
    lval r = LLVMBuildPhi(c->b, mem, "");
    LLVMAddIncoming(r, (lval[]){other ? other : LLVMConstNull(mem), x}, (lblock[]){from, yes}, 2);
    return r;
}

/* ---- lanes at a constant distance ---- */
lval mem_zeros(kern *k)
{
    cg *c = k->c;
    lval g = LLVMGetNamedGlobal(c->mod, "zeros");
    if (g)
        return g;
    g = LLVMAddGlobal(c->mod, LLVMArrayType2(c->i8, 64), "zeros");
    LLVMSetInitializer(g, LLVMConstNull(LLVMArrayType2(c->i8, 64)));
    LLVMSetGlobalConstant(g, true);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    LLVMSetAlignment(g, 64);
    return g;
}

lval mem_or_zeros(kern *k, lval p, lval on)
{
    return on ? cg_sel(k->c, on, p, mem_zeros(k)) : p;
}

/* lanes picked from two vectors into their own places: index[i] counts elements from x on; -1 = not there */
static lval picked(cg *c, lval x, lval y, const int *index, int lanes)
{
    return cg_shuffle(c, x, y ? y : LLVMGetPoison(LLVMTypeOf(x)), index, lanes);
}

/* Lanes at a small distance: all that lies between the first and the last is read by whole vectors, and permutations
 * bring the lanes to their places, two vectors at a time. A gap is smaller than a page, so what lies in it can be read
 * where its ends can. NULL: a load a lane is no slower. */
lval mem_spanned(nest *n, lty bits, lval first, int64_t step, int lanes)
{
    cg *c = n->k->c;
    enum { V = 64, MOST = 10 };
    int64_t size = bytes_of(c, bits), reach = (lanes - 1) * step + size, per = V / size;
    int count = (int)((reach + V - 1) / V), index[64];
    lval x[MOST], leaf[MOST];
    if (c->vector_bytes < V || lanes > 64 || !cg_has(c, "+avx512bw") || step < size || step % size || reach < V ||
        2 * count > lanes + 4 || count > MOST || (size == 1 && !cg_has(c, "+avx512vbmi")))
        return NULL;
    for (int v = 0; v < count; v++) {
        int64_t at = v == count - 1 ? reach - V : (int64_t)v * V;
        x[v] = cg_load(c, cg_vec(bits, (int)per), cg_gep(c, c->i8, first, cg_i64(c, at)), (unsigned)size);
    }
    int leaves = (count + 1) / 2, owner[64];
    for (int l = 0; l < leaves; l++) {
        for (int i = 0; i < lanes; i++) {
            int64_t at = i * step;
            int v = (int)(at / V);
            int64_t start = v == count - 1 ? reach - V : (int64_t)v * V;
            index[i] = v / 2 == l ? (int)(v % 2 * per + (at - start) / size) : -1;
            owner[i] = v / 2 == l ? l : owner[i];
        }
        leaf[l] = picked(c, x[2 * l], 2 * l + 1 < count ? x[2 * l + 1] : NULL, index, lanes);
    }
    for (int width = 1; width < leaves; width *= 2)
        for (int l = 0; l + width < leaves; l += 2 * width) {
            for (int i = 0; i < lanes; i++)
                index[i] = owner[i] / width == l / width ? i : lanes + i;
            leaf[l] = picked(c, leaf[l], leaf[l + width], index, lanes);
        }
    return leaf[0];
}

/* a load and an insertion a lane: faster than a gather, and there is none for narrow elements */
static lval strided_load(nest *n, ir_op o, lty mem, lv p, lval mask, lval other)
{
    kern *k = n->k;
    cg *c = k->c;
    lty bits = mem == c->ptr ? mem : LLVMIntTypeInContext(c->cx, bytes_of(c, mem) * 8);
    lval first = lane_index(n, p);
    lval x = mask || mem == c->ptr || bytes_of(c, mem) > 4 ? NULL : mem_spanned(n, bits, first, p.k, n->lanes);
    if (!x && !mask)
        x = window_load(n, o, bits, p.v, p.k);
    if (x)
        return cg_bits(c, x, cg_vec(mem, n->lanes));
    x = LLVMGetPoison(cg_vec(bits, n->lanes));
    for (int i = 0; i < n->lanes; i++) {
        lval at = cg_gep(c, c->i8, first, cg_i64(c, i * p.k));
        at = mem_or_zeros(k, at, mask ? cg_extract(c, mask, i) : NULL);
        x = cg_insert(c, x, cg_load(c, bits, at, bytes_of(c, mem)), i);
    }
    if (!mask)
        window_note(n, o, bits, p.v, first, p.k, x);
    x = cg_bits(c, x, cg_vec(mem, n->lanes));
    return mask && other ? cg_sel(c, mask, x, other) : x;
}

static dtype elem_of(const ir_func *f, ir_val v)
{
    return ir_type_dt(f->m, ir_vtype(f, v));
}

lv mem_load(nest *n, ir_op o, uint32_t index)
{
    kern *k = n->k;
    cg *c = k->c;
    const ir_func *f = k->f;
    dtype d = elem_of(f, ir_out(f, o, 0));
    lty mem = cg_mem(c, d);
    lv p = ev(n, ir_in(f, o, 0), index);
    lval mask = mem_mask(n, o, 1, index), other = NULL;
    if (ir_nin(f, o) > 2) {
        other = lv_vec(n, ev(n, ir_in(f, o, 2), index));
        nest_enter(n, n->inner);
        other = to_memory(c, other, d);
    }
    lv r = {.form = LV_VEC, .level = (int8_t)n->inner, .assumed = true};
    bool contiguous = p.form == LV_LIN && p.k == (int64_t)bytes_of(c, mem);
    bool one = n->lanes == 1 || (p.form == LV_UNI && !mask), strided = p.form == LV_LIN && !contiguous && !one;
    lval at = p.form == LV_UNI && one ? p.v : contiguous || strided ? NULL : lv_vec(n, p);
    nest_enter(n, n->inner);
    cg_debug_loc(c, f->m, ir_o(f, o)->loc);
    if (!at && !strided)
        at = lane_index(n, p);
    if (contiguous && n->part == PART_MAIN && !n->streaming && n->inner == 0 && k->depth == 1 &&
        plan_by_program(k->p, ir_in(f, o, 0)))
        note_read(n, o, p.v, n->extent * (int64_t)bytes_of(c, mem));
    if (one) {
        r.v = mask ? one_masked_load(n, mem, at, mask, other) : cg_load(c, mem, at, bytes_of(c, mem));
        r.form = p.form == LV_UNI && !mask ? LV_UNI : LV_VEC;
    } else if (strided) {
        r.v = strided_load(n, o, mem, p, mask, other);
        note_stream(n, o, p, r.v);
    } else {
        r.v = vector_load(c, mem, at, mask, other, n->lanes);
        if (p.form == LV_LIN)
            note_stream(n, o, p, r.v);
    }
    r.v = from_memory(c, r.v, d);
    nest_leave(n, n->inner);
    return r;
}

static void set_nontemporal(cg *c, lval s, unsigned align)
{
    LLVMMetadataRef one = LLVMValueAsMetadata(cg_i32(c, 1));
    lval node = LLVMMetadataAsValue(c->cx, LLVMMDNodeInContext2(c->cx, &one, 1));
    LLVMSetMetadata(s, LLVMGetMDKindIDInContext(c->cx, "nontemporal", 11), node);
    LLVMSetAlignment(s, align);
}

static void one_masked_store(nest *n, lty mem, lval x, lval p, lval mask)
{
    cg *c = n->k->c;
    lblock yes = cg_block(c, "store"), join = cg_block(c, "store.join");
    LLVMBuildCondBr(c->b, mask, yes, join);
    cg_at(c, yes);
    cg_store(c, x, p, bytes_of(c, mem));
    LLVMBuildBr(c->b, join);
    cg_at(c, join);
}

/* conjunctions and disjunctions of compares and of what is one for a row: where they turn false they stay so */
static bool falls_once(const ir_func *f, ir_val v)
{
    if (ir_type_rank(f->m, ir_vtype(f, v)) == 0)
        return true;
    ir_op o = ir_def(f, v);
    if (!o.id)
        return false;
    switch (ir_op_code(f, o)) {
    case IR_OP_and:
    case IR_OP_or:
        return falls_once(f, ir_in(f, o, 0)) && falls_once(f, ir_in(f, o, 1));
    case IR_OP_lt:
    case IR_OP_le:
    case IR_OP_gt:
    case IR_OP_ge:
    case IR_OP_splat:
        return true;
    case IR_OP_broadcast:
    case IR_OP_reshape:
    case IR_OP_slice:
        return falls_once(f, ir_in(f, o, 0));
    default:
        return false;
    }
}

/* A mask that the main part takes as true, or that is one for a row, holds for a row's beginning alone: where a chunk
 * of the tail stores nothing, none behind it does. The compares themselves are looked at in lanes.c. */
static void note_prefix(nest *n, ir_op o, lval mask)
{
    kern *k = n->k;
    cg *c = k->c;
    if (n->part == PART_MAIN && n->prefix) {
        ir_val v = ir_in(k->f, o, 2); /* only_stores() saw three operands */
        lv m = ev(n, v, n->own);
        bool constant = m.form == LV_UNI && LLVMIsAConstantInt(m.v);
        bool taken = constant && LLVMConstIntGetZExtValue(m.v) && m.assumed;
        n->prefix &= (taken || (m.form == LV_UNI && !constant && m.level < n->inner)) && falls_once(k->f, v);
    } else if (n->prefix && mask) {
        lval any = mask;
        if (n->lanes > 1) {
            lty bits = LLVMIntTypeInContext(c->cx, (unsigned)n->lanes);
            any = cg_icmp(c, LLVMIntNE, LLVMBuildBitCast(c->b, mask, bits, ""), LLVMConstNull(bits));
        }
        n->live = n->live ? LLVMBuildOr(c->b, n->live, any, "") : any;
    } else {
        n->prefix = false;
    }
}

void mem_store(nest *n, ir_op o)
{
    kern *k = n->k;
    cg *c = k->c;
    const ir_func *f = k->f;
    dtype d = elem_of(f, ir_in(f, o, 1));
    lty mem = cg_mem(c, d);
    lv p = ev(n, ir_in(f, o, 0), n->own), xv = ev(n, ir_in(f, o, 1), n->own);
    lval mask = mem_mask(n, o, 2, n->own), x = lv_vec(n, xv);
    unsigned size = bytes_of(c, mem);
    bool contiguous = p.form == LV_LIN && p.k == (int64_t)size;
    lval at = contiguous ? NULL : lv_vec(n, p);
    nest_enter(n, n->inner);
    note_prefix(n, o, mask);
    cg_debug_loc(c, f->m, ir_o(f, o)->loc);
    x = to_memory(c, x, d);
    if (!at)
        at = lane_index(n, p);
    if (n->lanes == 1) {
        if (mask)
            one_masked_store(n, mem, x, at, mask);
        else
            cg_store(c, x, at, size);
    } else {
        lval s = vector_store(c, mem, x, at, mask, n->lanes);
        unsigned bytes = size * (unsigned)n->lanes;
        if (n->streaming && contiguous && !mask && bytes >= 16 && p.level < n->inner) {
            set_nontemporal(c, s, bytes);
            nest_leave(n, n->inner);
            nest_enter(n, n->inner - 1);
            lval low = LLVMBuildAnd(c->b, LLVMBuildPtrToInt(c->b, p.v, c->i64, ""), cg_i64(c, bytes - 1), "");
            vec_push(k->a, &n->aligned, cg_icmp(c, LLVMIntEQ, low, cg_i64(c, 0)));
            nest_leave(n, n->inner - 1);
            nest_enter(n, n->inner);
        }
    }
    nest_leave(n, n->inner);
}
