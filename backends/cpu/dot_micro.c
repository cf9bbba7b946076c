/* dot_micro.c: the product of packed operands, by register blocks.
 *
 *   for each panel of B, of `width` columns:          the panel stays in the first cache
 *     for each block of R rows:                       the packed A stays in the second
 *       R x V sums in registers, from C; for each unit of K: V vectors of the panel, R units of A, each put in all
 *       lanes, R * V multiply-adds; back to C
 *
 * Each shape of block (rows, vectors, partly stored or not) is a function of its own, made when first wanted. Every
 * element of C adds its products in ascending k whatever block it falls into, so its bits depend on K, the types and
 * the target alone.
 */
#include "backends/cpu/dot.h"

typedef struct shape {
    int rows, vecs;
    bool masked; /* the last columns are not there */
} shape;

/* an instruction of aarch64, which has its sum's and its operands' types in its name */
static lval neon(cg *c, cg_intrin id, lval sum, lval a, lval b, lty operand)
{
    lty types[] = {LLVMTypeOf(sum), operand};
    return cg_call(c, id, types, 2, (lval[]){sum, cg_bits(c, a, types[1]), cg_bits(c, b, types[1])}, 3);
}

static lval mul_add(dot *d, lval a, lval b, lval sum)
{
    cg *c = d->k->c;
    int bytes = d->block->bytes;
    bool wide = bytes == 64;
    lty i8s = cg_vec(c->i8, bytes), i16s = cg_vec(c->i16, bytes / 2), bf16 = LLVMBFloatTypeInContext(c->cx);
    switch ((unsigned)d->block->inst & ~(unsigned)DOT_FLIP) {
    case DOT_DPBUSD:
        return cg_call(c, wide ? CGI_dpbusd_512 : CGI_dpbusd_256, NULL, 0,
                       (lval[]){sum, cg_bits(c, a, i8s), cg_bits(c, b, i8s)}, 3);
    case DOT_DPBF16:
        return cg_call(c, wide ? CGI_dpbf16_512 : CGI_dpbf16_256, NULL, 0,
                       (lval[]){sum, cg_bits(c, a, cg_vec(bf16, bytes / 2)), cg_bits(c, b, cg_vec(bf16, bytes / 2))},
                       3);
    case DOT_DPWSSD:
        return cg_call(c, CGI_dpwssd_512, NULL, 0, (lval[]){sum, cg_bits(c, a, i16s), cg_bits(c, b, i16s)}, 3);
    case DOT_MADDWD:
        return LLVMBuildAdd(c->b, sum,
                            cg_call(c,
                                    wide          ? CGI_madd16_512
                                    : bytes == 32 ? CGI_madd16_256
                                                  : CGI_madd16_128,
                                    NULL, 0, (lval[]){cg_bits(c, a, i16s), cg_bits(c, b, i16s)}, 2),
                            "");
    case DOT_BFDOT:
        return neon(c, CGI_bfdot, sum, a, b, cg_vec(bf16, bytes / 2));
    case DOT_SDOT:
        return neon(c, CGI_sdot, sum, a, b, i8s);
    case DOT_UDOT:
        return neon(c, CGI_udot, sum, a, b, i8s);
    default:
        if (dt_is_float(d->t))
            return cg_fma(c, a, b, sum);
        return LLVMBuildAdd(c->b, LLVMBuildMul(c->b, a, b, ""), sum, "");
    }
}

static lty unit_type(const dot *d)
{
    cg *c = d->k->c;
    return d->block->g > 1 ? c->i32 : cg_num(c, d->t);
}

static lval masked_op(dot *d, lval p, lval mask, lval store)
{
    cg *c = d->k->c;
    lty types[] = {cg_vec(cg_num(c, d->t), d->lanes), c->ptr};
    lval x = store ? cg_call(c, CGI_masked_store, types, 2, (lval[]){store, p, mask}, 3)
                   : cg_call(c, CGI_masked_load, types, 2, (lval[]){p, mask, LLVMConstNull(types[0])}, 3);
    LLVMAddCallSiteAttribute(
        x, store ? 2 : 1,
        LLVMCreateEnumAttribute(c->cx, LLVMGetEnumAttributeKindForName("align", 5), (unsigned)dt_bytes(d->t)));
    return x;
}

/* void block(a, b, c, units, comp, columns) */
static void micro_body(dot *d, lval fn, shape s)
{
    cg *c = d->k->c;
    lty elem = cg_num(c, d->t), unit = unit_type(d);
    unsigned size = (unsigned)dt_bytes(d->t);
    int64_t row = d->depth * d->unit / d->block->g;
    lval a = LLVMGetParam(fn, 0), b = LLVMGetParam(fn, 1), cc = LLVMGetParam(fn, 2), units = LLVMGetParam(fn, 3);
    lval p[8][4], start[8][4], sum[8][4], next[8][4], mask[4] = {0};
    for (int v = 0; s.masked && v < s.vecs; v++) {
        lval left = LLVMBuildSub(c->b, LLVMGetParam(fn, 5), cg_i64(c, v * d->lanes), "");
        left = LLVMBuildTrunc(c->b, left, c->i32, "");
        mask[v] = cg_icmp(c, LLVMIntSLT, cg_iota(c, c->i32, d->lanes, 0, 1), cg_splat(c, left, d->lanes));
    }
    for (int r = 0; r < s.rows; r++)
        for (int v = 0; v < s.vecs; v++) {
            p[r][v] = cg_gep(c, elem, cc, cg_i64(c, r * d->n + v * d->lanes));
            start[r][v] =
                s.masked ? masked_op(d, p[r][v], mask[v], NULL) : cg_load(c, cg_vec(elem, d->lanes), p[r][v], size);
            if (d->signs)
                start[r][v] = LLVMBuildSub(c->b, start[r][v],
                                           cg_load(c, cg_vec(elem, d->lanes),
                                                   cg_gep(c, elem, LLVMGetParam(fn, 4), cg_i64(c, v * d->lanes)), size),
                                           "");
        }
    lblock from = cg_here(c), head = cg_block(c, "dot"), exit = cg_block(c, "dot.exit");
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    lval k = LLVMBuildPhi(c->b, c->i64, ""), pa = LLVMBuildPhi(c->b, c->ptr, ""), pb = LLVMBuildPhi(c->b, c->ptr, "");
    LLVMAddIncoming(k, &units, &from, 1);
    LLVMAddIncoming(pa, &a, &from, 1);
    LLVMAddIncoming(pb, &b, &from, 1);
    for (int r = 0; r < s.rows; r++)
        for (int v = 0; v < s.vecs; v++) {
            sum[r][v] = LLVMBuildPhi(c->b, LLVMTypeOf(start[r][v]), "");
            LLVMAddIncoming(sum[r][v], &start[r][v], &from, 1);
        }
    lval bv[4];
    for (int v = 0; v < s.vecs; v++)
        bv[v] = cg_load(c, cg_vec(unit, d->lanes), cg_gep(c, unit, pb, cg_i64(c, v * d->lanes)), size);
    for (int r = 0; r < s.rows; r++) {
        lval x = cg_splat(c, cg_load(c, unit, cg_gep(c, c->i8, pa, cg_i64(c, r * row)), 1), d->lanes);
        for (int v = 0; v < s.vecs; v++)
            next[r][v] = mul_add(d, x, bv[v], sum[r][v]);
    }
    lval left = LLVMBuildSub(c->b, k, cg_i64(c, 1), "");
    lval na = cg_gep(c, unit, pa, cg_i64(c, 1)), nb = cg_gep(c, unit, pb, cg_i64(c, d->width));
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSGT, left, cg_i64(c, 0)), head, exit);
    LLVMAddIncoming(k, &left, &head, 1);
    LLVMAddIncoming(pa, &na, &head, 1);
    LLVMAddIncoming(pb, &nb, &head, 1);
    for (int r = 0; r < s.rows; r++)
        for (int v = 0; v < s.vecs; v++)
            LLVMAddIncoming(sum[r][v], &next[r][v], &head, 1);
    cg_at(c, exit);
    for (int r = 0; r < s.rows; r++)
        for (int v = 0; v < s.vecs; v++) {
            if (s.masked)
                masked_op(d, p[r][v], mask[v], next[r][v]);
            else
                cg_store(c, next[r][v], p[r][v], size);
        }
    LLVMBuildRetVoid(c->b);
}

/* the function of a shape; one for all dots of the same layout */
static lval micro(dot *d, shape s, lty *type)
{
    cg *c = d->k->c;
    lty params[] = {c->ptr, c->ptr, c->ptr, c->i64, c->ptr, c->i64};
    *type = LLVMFunctionType(c->t_void, params, COUNTOF(params), false);
    char *name = str_cstr(c->a, str_fmt(c->a, "%s.%d.%d.%d.%lld.%lld", d->block->name, s.rows, s.vecs, s.masked,
                                        (long long)d->n, (long long)d->depth));
    lval fn = LLVMGetNamedFunction(c->mod, name);
    if (fn)
        return fn;
    lval outer = c->fn;
    lblock here = cg_here(c);
    LLVMMetadataRef loc = LLVMGetCurrentDebugLocation2(c->b);
    fn = LLVMAddFunction(c->mod, name, *type);
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    cg_fn_attrs(c, fn);
    cg_attr(c, fn, "noinline", NULL);
    c->fn = fn;
    cg_at(c, cg_block(c, "entry"));
    LLVMSetCurrentDebugLocation2(c->b, NULL);
    if (dot_is_tiled(d->block))
        tiles_body(d, fn, s.rows, (int)(s.masked ? d->n % d->width : s.vecs * d->lanes));
    else
        micro_body(d, fn, s);
    c->fn = outer;
    cg_at(c, here);
    LLVMSetCurrentDebugLocation2(c->b, loc);
    return fn;
}

static void call_block(dot *d, shape s, lval a, lval b, lval cc, lval units, int64_t columns)
{
    cg *c = d->k->c;
    lty type;
    lval fn = micro(d, s, &type);
    LLVMBuildCall2(c->b, type, fn, (lval[]){a, b, cc, units, d->comp, cg_i64(c, columns)}, 6, "");
}

/* 128 times the sum of every column of the panel (-128 times where bytes of A are signed once they are flipped) */
static void column_sums(dot *d, lval b, lval units)
{
    cg *c = d->k->c;
    lval sum[4], next[4], zero = LLVMConstNull(cg_vec(c->i32, d->lanes)), k0 = cg_i64(c, 0);
    lval half = cg_int(cg_vec(c->i8, d->block->bytes), -128);
    lblock from = cg_here(c), head = cg_block(c, "columns"), exit = cg_block(c, "columns.exit");
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    lval k = LLVMBuildPhi(c->b, c->i64, "");
    LLVMAddIncoming(k, &k0, &from, 1);
    for (int v = 0; v < d->block->vecs; v++) {
        sum[v] = LLVMBuildPhi(c->b, LLVMTypeOf(zero), "");
        LLVMAddIncoming(sum[v], &zero, &from, 1);
    }
    lval row = cg_gep(c, c->i32, b, LLVMBuildMul(c->b, k, cg_i64(c, d->width), ""));
    for (int v = 0; v < d->block->vecs; v++)
        next[v] = cg_load(c, LLVMTypeOf(zero), cg_gep(c, c->i32, row, cg_i64(c, v * d->lanes)), 4);
    for (int v = 0; v < d->block->vecs; v++)
        next[v] = mul_add(d, half, next[v], sum[v]);
    lval up = LLVMBuildAdd(c->b, k, cg_i64(c, 1), "");
    LLVMAddIncoming(k, &up, &head, 1);
    for (int v = 0; v < d->block->vecs; v++)
        LLVMAddIncoming(sum[v], &next[v], &head, 1);
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSLT, up, units), head, exit);
    cg_at(c, exit);
    for (int v = 0; v < d->block->vecs; v++)
        cg_store(c, next[v], cg_gep(c, c->i32, d->comp, cg_i64(c, v * d->lanes)), 4);
}

/* emits what holds where cond does */
typedef struct guard {
    lblock exit;
} guard;

static guard guard_begin(cg *c, lval cond)
{
    guard g = {cg_block(c, "guard.exit")};
    lblock in = cg_block(c, "guard");
    LLVMBuildCondBr(c->b, cond, in, g.exit);
    cg_at(c, in);
    return g;
}

static void guard_end(cg *c, guard g)
{
    LLVMBuildBr(c->b, g.exit);
    cg_at(c, g.exit);
}

/* all rows of A by one panel */
static void rows_by_panel(dot *d, lval b, lval cc, lval units, shape s, int64_t columns)
{
    cg *c = d->k->c;
    int64_t whole = d->m / d->block->rows * d->block->rows, row = d->depth * d->unit / d->block->g;
    if (d->signs)
        column_sums(d, b, units);
    if (whole) {
        lval end = cg_i64(c, whole);
        if (d->want.rows)
            end = cg_call2(c, CGI_smin, end, d->want.rows);
        loop l = loop_begin(c, cg_i64(c, 0), end, d->block->rows);
        lval a = cg_gep(c, c->i8, d->a, LLVMBuildMul(c->b, l.i, cg_i64(c, row), ""));
        lval to = cg_gep(c, cg_num(c, d->t), cc, LLVMBuildMul(c->b, l.i, cg_i64(c, d->n), ""));
        s.rows = d->block->rows;
        call_block(d, s, a, b, to, units, columns);
        loop_end(c, &l);
    }
    if (d->m > whole) {
        guard g = {0};
        if (d->want.rows)
            g = guard_begin(c, cg_icmp(c, LLVMIntSGT, d->want.rows, cg_i64(c, whole)));
        s.rows = (int)(d->m - whole);
        call_block(d, s, cg_gep(c, c->i8, d->a, cg_i64(c, whole * row)), b,
                   cg_gep(c, cg_num(c, d->t), cc, cg_i64(c, whole * d->n)), units, columns);
        if (d->want.rows)
            guard_end(c, g);
    }
}

static void one_panel(dot *d, lval j, lval units, shape s, int64_t columns)
{
    cg *c = d->k->c;
    int64_t bytes = d->depth * d->unit / d->block->g;
    lval b = cg_gep(c, c->i8, d->b, LLVMBuildMul(c->b, j, cg_i64(c, bytes), ""));
    rows_by_panel(d, b, cg_gep(c, cg_num(c, d->t), d->c, j), units, s, columns);
}

/* of a panel of which only some columns are wanted: so many vectors, by blocks of just as many */
static void part_of_panel(dot *d, lval j, lval units)
{
    cg *c = d->k->c;
    static const int sizes[] = {1, 2, 3, 4};
    lval left = LLVMBuildSub(c->b, d->want.columns, j, "");
    for (size_t i = 0; i < COUNTOF(sizes); i++) {
        int size = sizes[i], below = i ? sizes[i - 1] : 0;
        if (size > d->block->vecs)
            break;
        lval on = cg_icmp(c, LLVMIntSGT, left, cg_i64(c, below * d->lanes));
        if (size < d->block->vecs)
            on = LLVMBuildAnd(c->b, on, cg_icmp(c, LLVMIntSLE, left, cg_i64(c, size * d->lanes)), "");
        guard g = guard_begin(c, on);
        one_panel(d, j, units, (shape){.vecs = size}, d->width);
        guard_end(c, g);
    }
}

void dot_multiply(dot *d, lval units)
{
    cg *c = d->k->c;
    int64_t whole = d->n / d->width * d->width, left = d->n - whole;
    lval end = cg_i64(c, whole), last = d->want.columns;
    if (dot_is_tiled(d->block)) {
        d->k->tiles = true;
        units = LLVMBuildAdd(c->b, units, cg_i64(c, DOT_TILE_UNITS - 1), "");
        units = LLVMBuildAnd(c->b, units, cg_i64(c, -DOT_TILE_UNITS), "");
    }
    if (whole && last) {
        end = cg_call2(c, CGI_smin, end, last);
        end = LLVMBuildAnd(c->b, end, cg_i64(c, -d->width), "");
    }
    if (whole) {
        loop l = loop_begin(c, cg_i64(c, 0), end, d->width);
        one_panel(d, l.i, units, (shape){.vecs = d->block->vecs}, d->width);
        loop_end(c, &l);
    }
    if (whole && last) {
        lval some =
            LLVMBuildAnd(c->b, cg_icmp(c, LLVMIntSLT, end, cg_i64(c, whole)), cg_icmp(c, LLVMIntSLT, end, last), "");
        guard g = guard_begin(c, some);
        part_of_panel(d, end, units);
        guard_end(c, g);
    }
    if (left) {
        guard g = {0};
        shape s = {.vecs = (int)((left + d->lanes - 1) / d->lanes), .masked = left % d->lanes != 0};
        if (last)
            g = guard_begin(c, cg_icmp(c, LLVMIntSGT, last, cg_i64(c, whole)));
        one_panel(d, cg_i64(c, whole), units, s, left);
        if (last)
            guard_end(c, g);
    }
}
