/* matrix.c: tensor cores: wgmma, mma.sync, and the 8x8 matrix loads and stores that feed them.
 *
 * wgmma is asynchronous, and ptxas keeps it so only while the accumulators stay in the same registers from the first
 * instruction of a chain to its wait. So each instruction takes its accumulators as inputs tied to its outputs, and the
 * wait ties every value that was in flight once more: nothing that uses them can move above it.
 */
#include "backends/nvptx/asm.h"

#include <stdio.h>

static const char *mma_type(dtype d)
{
    switch (d) {
    case DT_F16:
        return "f16";
    case DT_BF16:
        return "bf16";
    case DT_F32:
        return "tf32";
    case DT_F8E4M3:
        return "e4m3";
    case DT_F8E5M2:
        return "e5m2";
    case DT_I8:
        return "s8";
    case DT_U8:
        return "u8";
    default:
        bug("no matrix unit for type %d", d);
    }
}

/* "$first, $first+1, .." */
static void put_regs(strbuf *s, int first, int n)
{
    for (int i = 0; i < n; i++)
        sb_putf(s, "%s$%d", i ? ", " : "", first + i);
}

static lty struct_of(cg *c, lty t, int n)
{
    lty *ts = ARENA_ARRAY(c->a, lty, (size_t)n);
    for (int i = 0; i < n; i++)
        ts[i] = t;
    return LLVMStructTypeInContext(c->cx, ts, (unsigned)n, false);
}

static void take(cg *c, lval s, int n, lval *out)
{
    for (int i = 0; i < n; i++)
        out[i] = LLVMBuildExtractValue(c->b, s, (unsigned)i, "");
}

static bool is_16_bit(dtype d)
{
    return d == DT_F16 || d == DT_BF16;
}

/* C += A B, or C = A B where m->zero: 64 x n accumulators of a warpgroup in nc registers a thread */
void nvptx_wgmma(cg *c, gpu_mma *m)
{
    strbuf s, k;
    sb_init(&s, c->a);
    sb_init(&k, c->a);
    int na = m->a_desc ? 1 : m->na, nc = m->nc, at = m->zero ? nc : 2 * nc;
    bool predicate = !m->zero && m->scale;
    lval *args = ARENA_ARRAY(c->a, lval, (size_t)nc + 8);
    uint32_t n = 0;
    sb_puts(&s, "{\n");
    if (predicate)
        sb_putf(&s, ".reg .pred p;\nsetp.ne.b32 p, $%d, 0;\n", at + na + 1);
    const char *acc = m->acc == DT_F32 ? "f32" : m->acc == DT_I32 ? "s32" : "f16";
    sb_putf(&s, "wgmma.mma_async.sync.aligned.m64n%dk%d.%s.%s.%s {", m->n, m->k, acc, mma_type(m->a), mma_type(m->b));
    put_regs(&s, 0, nc);
    sb_puts(&s, "}, ");
    if (m->a_desc) {
        sb_putf(&s, "$%d, ", at);
    } else {
        sb_puts(&s, "{");
        put_regs(&s, at, na);
        sb_puts(&s, "}, ");
    }
    sb_putf(&s, "$%d, %s", at + na, m->zero ? "0" : predicate ? "p" : "1");
    if (m->acc != DT_I32)
        sb_puts(&s, ", 1, 1");
    if (is_16_bit(m->a)) {
        if (m->a_desc)
            sb_putf(&s, ", %d", m->a_trans);
        sb_putf(&s, ", %d", m->b_trans);
    }
    sb_puts(&s, ";\n}");
    const char *reg = m->acc == DT_F32 ? "f" : "r";
    for (int i = 0; i < nc; i++)
        sb_putf(&k, "%s=%s", i ? "," : "", reg);
    for (int i = 0; i < nc && !m->zero; i++) {
        sb_putf(&k, ",%d", i);
        args[n++] = m->c[i];
    }
    if (m->a_desc) {
        sb_puts(&k, ",l");
        args[n++] = m->a_desc;
    } else {
        for (int i = 0; i < na; i++) {
            sb_puts(&k, ",r");
            args[n++] = m->a_regs[i];
        }
    }
    sb_puts(&k, ",l");
    args[n++] = m->b_desc;
    if (predicate) {
        sb_puts(&k, ",r");
        args[n++] = LLVMBuildZExt(c->b, m->scale, c->i32, "");
    }
    lval r = ptx(c, struct_of(c, m->acc == DT_F32 ? c->f32 : c->i32, nc), sb_cstr(&s), sb_cstr(&k), args, n, true);
    take(c, r, nc, m->c);
}

void nvptx_wgmma_wait(cg *c, int pending, lval *v, int n, const lval *held, int nu)
{
    char text[64];
    snprintf(text, sizeof text, "wgmma.wait_group.sync.aligned %d;", pending);
    if (!n) {
        ptx0(c, text, true);
        return;
    }
    strbuf k;
    sb_init(&k, c->a);
    lval *args = ARENA_ARRAY(c->a, lval, (size_t)(n + nu));
    for (int i = 0; i < n; i++)
        sb_putf(&k, "%s=f", i ? "," : "");
    for (int i = 0; i < n; i++) {
        sb_putf(&k, ",%d", i);
        args[i] = v[i];
    }
    for (int i = 0; i < nu; i++) {
        sb_puts(&k, ",r");
        args[n + i] = held[i];
    }
    sb_puts(&k, ",~{memory}");
    if (n == 1) {
        v[0] = ptx(c, c->f32, text, sb_cstr(&k), args, (uint32_t)(n + nu), true);
        return;
    }
    take(c, ptx(c, struct_of(c, c->f32, n), text, sb_cstr(&k), args, (uint32_t)(n + nu), true), n, v);
}

/* m16n8 of a warp: c[nc] += a_regs[na] b_regs[nb] */
void nvptx_mma(cg *c, gpu_mma *m)
{
    strbuf s, k;
    sb_init(&s, c->a);
    sb_init(&k, c->a);
    int nc = m->nc, at = nc;
    const char *acc = m->acc == DT_F32 ? "f32" : "s32";
    sb_putf(&s, "mma.sync.aligned.m16n8k%d.row.col.%s.%s.%s.%s {", m->k, acc, mma_type(m->a), mma_type(m->b), acc);
    put_regs(&s, 0, nc);
    sb_puts(&s, "}, {");
    put_regs(&s, at + nc, m->na);
    sb_puts(&s, "}, {");
    put_regs(&s, at + nc + m->na, m->nb);
    sb_puts(&s, "}, {");
    put_regs(&s, at, nc);
    sb_puts(&s, "};");
    lval args[16];
    uint32_t n = 0;
    const char *reg = m->acc == DT_F32 ? "f" : "r";
    for (int i = 0; i < nc; i++)
        sb_putf(&k, "%s=%s", i ? "," : "", reg);
    for (int i = 0; i < nc; i++) {
        sb_putf(&k, ",%d", i);
        args[n++] = m->c[i];
    }
    for (int i = 0; i < m->na; i++, sb_puts(&k, ",r"))
        args[n++] = m->a_regs[i];
    for (int i = 0; i < m->nb; i++, sb_puts(&k, ",r"))
        args[n++] = m->b_regs[i];
    take(c, ptx(c, struct_of(c, m->acc == DT_F32 ? c->f32 : c->i32, nc), sb_cstr(&s), sb_cstr(&k), args, n, true), nc,
         m->c);
}

void nvptx_ldmatrix(cg *c, lval sh, bool trans, lval out[4])
{
    const char *text = trans ? "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {$0, $1, $2, $3}, [$4];"
                             : "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$0, $1, $2, $3}, [$4];";
    take(c, PTX(c, struct_of(c, c->i32, 4), true, text, "=r,=r,=r,=r,r,~{memory}", sh), 4, out);
}

void nvptx_stmatrix(cg *c, lval sh, bool trans, const lval in[4])
{
    const char *text = trans ? "stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [$0], {$1, $2, $3, $4};"
                             : "stmatrix.sync.aligned.m8n8.x4.shared.b16 [$0], {$1, $2, $3, $4};";
    PTX(c, c->t_void, true, text, "r,r,r,r,r,~{memory}", sh, in[0], in[1], in[2], in[3]);
}
