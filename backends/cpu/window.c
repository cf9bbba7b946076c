/* window.c: loads of lanes at a distance, 16 bytes a lane at a time.
 *
 * Blocks of quantised weights keep scales side by side, each of which is a load with lanes at the block's distance.
 * Where a second one lies within 16 bytes from a first, 16 bytes from the first one's address on are loaded for every
 * lane, four lanes a vector, and transposed: four vectors of 32 bits a lane, of which both, and those that come later,
 * take theirs:
 *
 *   v[i] = 16 bytes of lanes i, 4 + i, 8 + i, 12 + i     w[d] = 32 bits d of every lane: two shuffles from v
 *
 * So eight scales cost what one did; for one alone a load and an insertion a lane are faster. What is read beyond a
 * lane's own element lies before the next lane's, as lanes are 16 bytes apart at least; the last lane has no next, and
 * is loaded by itself. Only memory that nothing writes is kept so.
 */
#include "backends/cpu/cpu.h"

enum { LANES = 16, BYTES = 16, MAX_DEPTH = 16 };

/* ---- how far apart ---- */
static bool is_argument(const cg *c, lval p)
{
    while (LLVMIsAGetElementPtrInst(p))
        p = LLVMGetOperand(p, 0);
    return p == LLVMGetParam(c->fn, 0);
}

/* b - a where that is a constant whatever the values are; the builder doesn't share what is computed twice */
static bool apart(const cg *c, lval a, lval b, int64_t *d, int depth)
{
    int64_t x = 0, y = 0;
    *d = 0;
    if (a == b)
        return true;
    if (LLVMIsAConstantInt(a) && LLVMIsAConstantInt(b)) {
        *d = LLVMConstIntGetSExtValue(b) - LLVMConstIntGetSExtValue(a);
        return true;
    }
    if (!LLVMIsAInstruction(a) || !LLVMIsAInstruction(b) || depth > MAX_DEPTH ||
        LLVMGetInstructionOpcode(a) != LLVMGetInstructionOpcode(b) || LLVMTypeOf(a) != LLVMTypeOf(b) ||
        LLVMGetNumOperands(a) != LLVMGetNumOperands(b))
        return false;
    LLVMOpcode code = LLVMGetInstructionOpcode(a);
    if (code == LLVMPHI || code == LLVMCall || LLVMGetNumOperands(a) > 2 ||
        !apart(c, LLVMGetOperand(a, 0), LLVMGetOperand(b, 0), &x, depth + 1) ||
        (LLVMGetNumOperands(a) == 2 && !apart(c, LLVMGetOperand(a, 1), LLVMGetOperand(b, 1), &y, depth + 1)))
        return false;
    switch (code) {
    case LLVMAdd:
        *d = x + y;
        return true;
    case LLVMSub:
        *d = x - y;
        return true;
    case LLVMMul:
        if (!x && !y)
            return true;
        if (y || !LLVMIsAConstantInt(LLVMGetOperand(a, 1)))
            return false;
        *d = x * LLVMConstIntGetSExtValue(LLVMGetOperand(a, 1));
        return true;
    case LLVMGetElementPtr:
        *d = x + y;
        return LLVMGetGEPSourceElementType(a) == LLVMGetGEPSourceElementType(b) &&
               (LLVMGetGEPSourceElementType(a) == c->i8 || (!x && !y));
    case LLVMLoad:
        return !x && is_argument(c, LLVMGetOperand(a, 0));
    case LLVMTrunc:
    case LLVMSExt:
    case LLVMZExt:
        return !x;
    default:
        return false;
    }
}

/* ---- windows ---- */
static lval lanes_of_four(cg *c, const lval *x)
{
    int order[LANES];
    for (int i = 0; i < LANES; i++)
        order[i] = i;
    lval low = cg_shuffle(c, x[0], x[1], order, 8), high = cg_shuffle(c, x[2], x[3], order, 8);
    return cg_shuffle(c, low, high, order, LANES);
}

/* a[from ..] and b[from ..] in turns, `unit` words at a time, within each 128 bits */
static lval interleaved(cg *c, lval a, lval b, int from, int unit)
{
    int order[LANES];
    for (int i = 0; i < LANES; i++) {
        int at = i % 4, whose = at / unit % 2, word = from + (unit == 1 ? at / 2 : at % 2);
        order[i] = whose * LANES + i / 4 * 4 + word;
    }
    return cg_shuffle(c, a, b, order, LANES);
}

static void open_window(cg *c, window *w, unsigned align)
{
    lty four = cg_vec(c->i32, 4);
    lval v[4];
    for (int i = 0; i < 4; i++) {
        lval x[4];
        for (int q = 0; q < 4; q++) {
            int lane = 4 * q + i;
            lval at = cg_gep(c, c->i8, w->first, cg_i64(c, lane * w->step));
            x[q] = lane == LANES - 1 ? LLVMGetPoison(four) : cg_load(c, four, at, align);
        }
        v[i] = lanes_of_four(c, x);
    }
    for (int h = 0; h < 2; h++) {
        lval low = interleaved(c, v[0], v[1], 2 * h, 1), high = interleaved(c, v[2], v[3], 2 * h, 1);
        w->words[2 * h] = interleaved(c, low, high, 0, 2);
        w->words[2 * h + 1] = interleaved(c, low, high, 2, 2);
    }
}

/* word d of every lane but the last */
static lval all_but_last(cg *c, const window *w, lty bits, int64_t d)
{
    lval x = w->words[d / 4];
    if (cg_width(bits) == 32)
        return x;
    if (d % 4)
        x = LLVMBuildLShr(c->b, x, cg_int(LLVMTypeOf(x), 16), "");
    return LLVMBuildTrunc(c->b, x, cg_vec(bits, LANES), "");
}

/* the load that was the first then takes its lanes from the window, too */
static void second_load(cg *c, window *w, lty bits)
{
    LLVMPositionBuilder(c->b, w->block, w->whole);
    open_window(c, w, (unsigned)cg_width(bits) / 8);
    LLVMSetOperand(w->whole, 0, all_but_last(c, w, LLVMGetElementType(LLVMTypeOf(w->whole)), 0));
    cg_at(c, w->block);
}

static bool fits(nest *n, ir_op o, lty bits, int64_t step)
{
    const cg *c = n->k->c;
    return n->part == PART_MAIN && n->lanes == LANES && c->vector_bytes == 64 && cg_x86(c) && step >= BYTES &&
           bits != c->ptr && (cg_width(bits) == 16 || cg_width(bits) == 32) && plan_unwritten(n->k->p, o);
}

lval window_load(nest *n, ir_op o, lty bits, lval p, int64_t step)
{
    cg *c = n->k->c;
    if (!fits(n, o, bits, step))
        return NULL;
    int64_t size = cg_width(bits) / 8, d = 0;
    for (uint32_t i = 0; i < n->windows.n; i++) {
        window *w = &n->windows.at[i];
        if (w->step != step || w->block != cg_here(c) || !apart(c, w->row, p, &d, 0) || d < 0 || d + size > BYTES ||
            d % size)
            continue;
        if (!w->words[0])
            second_load(c, w, bits);
        lval last = cg_gep(c, c->i8, w->first, cg_i64(c, d + (LANES - 1) * w->step));
        return cg_insert(c, all_but_last(c, w, bits, d), cg_load(c, bits, last, (unsigned)size), LANES - 1);
    }
    return NULL;
}

void window_note(nest *n, ir_op o, lty bits, lval p, lval first, int64_t step, lval whole)
{
    if (fits(n, o, bits, step) && LLVMIsAInsertElementInst(whole))
        vec_push(n->k->a, &n->windows, ((window){p, first, whole, step, cg_here(n->k->c), {NULL}}));
}
