/* fetch.c: prefetches, for rows and blocks that lie one behind the other in memory.
 *
 * The hardware's own prefetching ends at each page, and a loop with much arithmetic has too few lines under way.
 *
 *   a program with one nest, streaming     what it reads, FETCH_AHEAD bytes on; past its block that is the next one's
 *   several nests over the same rows       the row behind those it reads, which the next program wants where rows are
 *                                          contiguous, while the last of them runs: reads and writes in even turns are
 *                                          what memory does best, and the nests before it find their row in the cache.
 *                                          Or while the one before runs, where that has much arithmetic
 *   sums of rows                           a group of rows or FETCH_AHEAD bytes on, at the loads themselves, into the
 *                                          first-level cache: a vector across lines waits twice for the second
 *
 * A prefetch can't fault; at worst it is for nothing. Figures: docs/performance.md.
 */
#include "backends/cpu/cpu.h"

#define FETCH_AHEAD 8192
#define LINE 64

typedef enum level { LEVEL_2 = 2, LEVEL_1 } level; /* of caches, as llvm.prefetch numbers them */

static void fetch(nest *n, lval base, lval off, int64_t by, level near)
{
    cg *c = n->k->c;
    lval at = cg_gep(c, c->i8, base, LLVMBuildAdd(c->b, off, cg_i64(c, by), ""));
    cg_call(c, CGI_prefetch, &c->ptr, 1, (lval[]){at, cg_i32(c, 0), cg_i32(c, near), cg_i32(c, 1)}, 4);
}

/* ---- rows of programs ---- */
void note_read(nest *n, ir_op o, lval base, int64_t bytes)
{
    kern *k = n->k;
    for (uint32_t i = 0; i < k->reads.n; i++)
        if (k->reads.at[i].o.id == o.id)
            return;
    vec_push(k->a, &k->reads, ((row_read){o, base, bytes, n->extent, n->step}));
}

/* what lies `by` bytes behind this turn's elements */
static void fetch_behind(nest *n, const row_read *r, int64_t turn, int64_t by, level near)
{
    cg *c = n->k->c;
    lval off = LLVMBuildMul(c->b, n->j, cg_i64(c, r->bytes / r->extent), "");
    for (int64_t x = 0; x < turn; x += LINE)
        fetch(n, r->base, off, by + x, near);
}

static bool is_heavy(const ir_func *f, const plan_step *s)
{
    for (uint32_t i = 0; i < s->items.n; i++)
        switch (ir_op_code(f, s->items.at[i])) {
        case IR_OP_exp:
        case IR_OP_exp2:
        case IR_OP_log:
        case IR_OP_log2:
        case IR_OP_tanh:
        case IR_OP_erf:
        case IR_OP_sin:
        case IR_OP_cos:
            return true;
        default:
            break;
        }
    return false;
}

static int64_t elements(const plan_step *s)
{
    int64_t n = 1;
    for (int d = 0; d < s->rank; d++)
        n *= s->shape[d];
    return n;
}

/* the nest during which the next row comes: of those over so many elements the last, or the one before if it has much
 * arithmetic; a step's id, -1: none */
static int fetching_nest(const kern *k, int64_t extent)
{
    int before = -1, last = -1;
    for (uint32_t i = 0; i < k->p->body->steps.n; i++) {
        int id = k->p->body->steps.at[i];
        const plan_step *s = &k->p->steps.at[id];
        if (s->kind != STEP_NEST || elements(s) != extent)
            continue;
        before = last;
        last = id;
    }
    return before >= 0 && is_heavy(k->f, &k->p->steps.at[before]) ? before : last;
}

void fetch_ahead(nest *n, int unroll)
{
    kern *k = n->k;
    for (uint32_t i = 0; i < k->reads.n; i++) {
        const row_read *r = &k->reads.at[i];
        int64_t turn = r->bytes / r->extent * n->lanes * unroll;
        if (r->extent != n->extent || n->inner != 0 || k->depth != 1)
            continue;
        if (k->nests == 1 && n->streaming && r->step == n->step)
            fetch_behind(n, r, turn, FETCH_AHEAD, LEVEL_2);
        else if (k->nests > 1 && n->step == fetching_nest(k, r->extent))
            fetch_behind(n, r, turn, r->bytes, LEVEL_1);
    }
}

/* ---- sums of rows ---- */
static stream *stream_of(nest *n, const stream *like, uint32_t row)
{
    for (uint32_t i = 0; i < n->streams.n; i++) {
        stream *s = &n->streams.at[i];
        if (s->root == like->root && s->step == like->step && s->row == row)
            return s;
    }
    return NULL;
}

void note_stream(nest *n, ir_op o, lv p, lval where)
{
    kern *k = n->k;
    if (n->part != PART_MAIN || n->streaming || p.level != n->inner - 1 || p.level < 0)
        return;
    if (!LLVMIsAInstruction(where))
        return;
    stream s = {p.v, plan_root(k->p, ir_in(k->f, o, 0)), n->own, p.k, {0}}, *t = stream_of(n, &s, s.row);
    if (!t) {
        vec_push(k->a, &n->streams, s);
        t = &vec_last(&n->streams);
    }
    vec_push(k->a, &t->at, where);
}

/* Of rows side by side, what the rows after these hold at this place; where that is far, what follows in these; of one
 * row at a time, what follows: rows mostly lie one behind the other. */
#define FAR (256 << 10)
#define NEAR (12 << 10)

/* how far on: whole groups of rows, and not less than memory needs to answer */
static lval ahead_of(nest *n, const stream *first, const stream *second, int64_t rows)
{
    cg *c = n->k->c;
    lval pitch = LLVMBuildSub(c->b, LLVMBuildPtrToInt(c->b, second->base, c->i64, ""),
                              LLVMBuildPtrToInt(c->b, first->base, c->i64, ""), "");
    lval group = LLVMBuildMul(c->b, pitch, cg_i64(c, rows), "");
    lval inside = cg_icmp(c, LLVMIntULT, LLVMBuildSub(c->b, group, cg_i64(c, 64), ""), cg_i64(c, FAR - 64));
    lval some = LLVMBuildUDiv(c->b, cg_i64(c, NEAR - 1), cg_sel(c, inside, group, cg_i64(c, 1)), "");
    lval next = LLVMBuildMul(c->b, group, LLVMBuildAdd(c->b, some, cg_i64(c, 1), ""), "");
    return cg_sel(c, inside, next, cg_i64(c, FETCH_AHEAD));
}

/* The code generator would move all prefetches to the block's head, together: nothing of memory moves across this. */
static void stay(cg *c)
{
    lty t = LLVMFunctionType(c->t_void, NULL, 0, false);
    lval f = LLVMGetInlineAsm(t, "", 0, "~{memory}", 9, true, false, LLVMInlineAsmDialectATT, false);
    LLVMBuildCall2(c->b, t, f, NULL, 0, "");
}

void fetch_streams(nest *n, const uint32_t *own, int side, int64_t rows, int unroll)
{
    cg *c = n->k->c;
    lblock end = n->block[n->inner + 1];
    for (uint32_t i = 0; i < n->streams.n; i++) {
        const stream *s = &n->streams.at[i], *first = stream_of(n, s, own[0]);
        const stream *second = side > 1 ? stream_of(n, s, own[1]) : NULL;
        int64_t turn = s->step * n->lanes * unroll;
        if (turn <= 0 || !first || (side > 1 && !second))
            continue;
        nest_enter(n, n->inner - 1);
        lval by = second ? ahead_of(n, first, second, rows) : cg_i64(c, FETCH_AHEAD);
        lval base = cg_gep(c, c->i8, s->base, by);
        nest_leave(n, n->inner - 1);
        /* spread over the loads themselves: many at once would have to wait for each other */
        int64_t lines = (turn + LINE - 1) / LINE, places = s->at.n;
        for (int64_t x = 0; x < lines; x++) {
            lval where = s->at.at[x * places / lines];
            LLVMPositionBuilder(c->b, LLVMGetInstructionParent(where), where);
            fetch(n, base, LLVMBuildMul(c->b, n->turn, cg_i64(c, s->step), ""), x * LINE, LEVEL_1);
            stay(c);
        }
    }
    cg_at(c, end);
}
