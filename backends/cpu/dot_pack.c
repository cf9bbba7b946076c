/* dot_pack.c: a chunk of an operand into its panel.
 *
 * A panel holds `width` lines (columns of B): for every unit of g elements along K, the units of all its lines side by
 * side. Vectors come either along the lines, g of them for the g elements of K in a unit, which are interleaved; or
 * along K, from as many lines as a vector has units, and are transposed as a square of units by log2 n rounds of
 * two-source shuffles.
 */
#include "backends/cpu/cpu.h"

static lval offset_of(cg *c, const panel *p, lval line, lval at)
{
    lval w = cg_i64(c, p->width);
    lval first = LLVMBuildMul(c->b, LLVMBuildUDiv(c->b, line, w, ""), cg_i64(c, p->depth * p->width), "");
    lval in = LLVMBuildMul(c->b, LLVMBuildURem(c->b, line, w, ""), cg_i64(c, p->g), "");
    return LLVMBuildAdd(c->b, LLVMBuildAdd(c->b, first, in, ""), LLVMBuildMul(c->b, at, w, ""), "");
}

static lval concat(cg *c, lval x, lval y)
{
    int n = cg_lanes(x), order[128];
    for (int i = 0; i < 2 * n; i++)
        order[i] = i;
    return cg_shuffle(c, x, y, order, 2 * n);
}

static lval interleave(cg *c, lval *x, int g)
{
    int n = cg_lanes(x[0]), order[128];
    if (g == 1)
        return x[0];
    lval lo = g == 4 ? concat(c, x[0], x[1]) : x[0], hi = g == 4 ? concat(c, x[2], x[3]) : x[1];
    for (int i = 0; i < n; i++)
        for (int u = 0; u < g; u++)
            order[i * g + u] = u * n + i;
    return cg_shuffle(c, lo, hi, order, n * g);
}

static void transpose(cg *c, lval *x, int n)
{
    int lo[16], hi[16];
    for (int d = 1; d < n; d *= 2) {
        for (int l = 0; l < n; l++) {
            lo[l] = l & d ? n + l - d : l;
            hi[l] = l & d ? n + l : l + d;
        }
        for (int i = 0; i < n; i++)
            if (!(i & d)) {
                lval a = x[i], b = x[i | d];
                x[i] = cg_shuffle(c, a, b, lo, n);
                x[i | d] = cg_shuffle(c, a, b, hi, n);
            }
    }
}

void panel_store(kern *k, const panel *p, lval base, dtype to, lval *x, int n, lval line, lval at)
{
    cg *c = k->c;
    lty mem = cg_mem(c, to);
    unsigned size = (unsigned)dt_bytes(to);
    lval off = offset_of(c, p, line, at);
    if (p->across) {
        cg_store(c, interleave(c, x, p->g), cg_gep(c, mem, base, off), size);
        return;
    }
    lty unit = cg_vec(p->unit == 8 ? c->i64 : c->i32, n);
    for (int i = 0; i < n; i++)
        x[i] = cg_bits(c, x[i], unit);
    transpose(c, x, n);
    for (int i = 0; i < n; i++)
        cg_store(c, x[i], cg_gep(c, mem, base, LLVMBuildAdd(c->b, off, cg_i64(c, i * p->width * p->g), "")), size);
}
