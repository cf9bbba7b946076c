/* verify_pairs.c: enters and exits that pair up, and what partitions take of the chip, in a kernel of the laid-out
 * stage for a GPU.
 *
 *   put    put_enter and its put_exit stand in one region, at one position, with no other put of the channel between
 *   get    a consumer may leave a slot rounds after it entered it, on conditions of its own. So enters less exits are
 *          counted as an interval over all paths: 0 has to lie in it for the partition as a whole and for the body of
 * each loop (which else would fall behind, or run ahead, with every round), and what a branch enters it leaves itself.
 *          A consumer never enters more slots than there are without leaving one; those it holds at the end may stay
 *          entered, as nobody puts any more
 *   turn   as get, one key a turn, and none stays entered
 *
 * Resources: 16 named barriers, number 0 for all warps together, then one for each copy of a partition and one for each
 * copy and turn; and 65,536 registers, of which setmaxnreg gives each group of 4 warps its share.
 */
#include "compiler/verify.h"

enum { MAX_TURNS = 16, BARRIERS = 16, REGISTERS = 65536, MAX_CHANS = 64 };

typedef struct interval {
    int lo, hi;
} interval;

/* what is counted: gets of a channel, or a turn */
typedef struct key {
    ir_val chan; /* 0: a turn */
    int64_t turn;
} key;

typedef struct pairs {
    verifier *v;
    const ir_func *f;
    key key;
} pairs;

/* 1 enters, -1 exits, 0 neither */
static int step_of(const pairs *p, ir_op o)
{
    ir_code c = ir_op_code(p->f, o);
    if (p->key.chan.id) {
        if ((c != IR_OP_get_enter && c != IR_OP_get_exit) || ir_in(p->f, o, 0).id != p->key.chan.id)
            return 0;
        return c == IR_OP_get_enter ? 1 : -1;
    }
    if ((c != IR_OP_turn_enter && c != IR_OP_turn_exit) || ir_int(p->f, o, KEY_turn, 0) != p->key.turn)
        return 0;
    return c == IR_OP_turn_enter ? 1 : -1;
}

static const char *what(const pairs *p)
{
    return p->key.chan.id ? "slots of the channel" : "turns";
}

static int slots_of(const pairs *p)
{
    return ir_type_of(p->f->m, ir_vtype(p->f, p->key.chan))->stages;
}

/* held: the fewest that are entered where it begins */
static interval count_region(pairs *p, ir_region r, int held, ir_op *first);

static interval count_loop(pairs *p, ir_op o, int held, ir_op *first)
{
    bool is_for = ir_op_code(p->f, o) == IR_OP_for;
    interval head = {0, 0}, body = count_region(p, ir_op_region(p->f, o, is_for ? 0 : 1), held, first);
    if (!is_for)
        head = count_region(p, ir_op_region(p->f, o, 0), held, first);
    body.lo += head.lo;
    body.hi += head.hi;
    if (body.lo > 0)
        verify_fail(p->v, o, "each round enters %d %s more than it leaves", body.lo, what(p));
    else if (body.hi < 0)
        verify_fail(p->v, o, "each round leaves %d %s more than it enters", -body.hi, what(p));
    return head;
}

static interval count_if(pairs *p, ir_op o, int held, ir_op *first)
{
    interval a = count_region(p, ir_op_region(p->f, o, 0), held, first);
    interval b = count_region(p, ir_op_region(p->f, o, 1), held, first);
    if ((a.hi > 0 || b.hi > 0) && (a.lo != b.lo || a.hi != b.hi))
        verify_fail(p->v, o, "a branch enters %s that it does not leave, and the other does not", what(p));
    return (interval){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

static interval count_op(pairs *p, ir_op o, int held, ir_op *first)
{
    ir_code c = ir_op_code(p->f, o);
    int step = step_of(p, o);
    if (step && !first->id)
        *first = o;
    if (step > 0 && p->key.chan.id && held >= slots_of(p))
        verify_fail(p->v, o, "a slot more than the %d of the channel, which this consumer holds", held);
    if (c == IR_OP_for || c == IR_OP_while)
        return count_loop(p, o, held, first);
    if (c == IR_OP_if)
        return count_if(p, o, held, first);
    return (interval){step, step};
}

static interval count_region(pairs *p, ir_region r, int held, ir_op *first)
{
    interval sum = {0, 0};
    FOR_OPS(p->f, r, o)
    {
        if (ir_op_code(p->f, o) == IR_OP_partitions)
            continue;
        interval x = count_op(p, o, held + sum.lo, first);
        sum.lo += x.lo;
        sum.hi += x.hi;
    }
    return sum;
}

/* one key over the body of the kernel, or over a partition */
static void check_key(pairs *p, ir_region r)
{
    ir_op first = {0};
    uint32_t faults = p->v->faults;
    interval x = count_region(p, r, 0, &first);
    if (p->v->faults != faults)
        return;
    if (x.lo > 0 && !p->key.chan.id)
        verify_fail(p->v, first, "%d of the %s that are entered from here on are never left", x.lo, what(p));
    else if (x.hi < 0)
        verify_fail(p->v, first, "%d of the %s that are left from here on were never entered", -x.hi, what(p));
}

/* ---- puts ---- */
static bool is_put(const ir_func *f, ir_op o, ir_code code, ir_val chan)
{
    return ir_op_code(f, o) == code && ir_in(f, o, 0).id == chan.id;
}

static void check_put_enter(pairs *p, ir_op o)
{
    const ir_func *f = p->f;
    ir_val chan = ir_in(f, o, 0);
    for (ir_op x = ir_next(f, o); x.id; x = ir_next(f, x)) {
        if (is_put(f, x, IR_OP_put_enter, chan))
            break;
        if (!is_put(f, x, IR_OP_put_exit, chan))
            continue;
        if (ir_in(f, x, 1).id != ir_in(f, o, 1).id)
            verify_fail(p->v, x, "operand 1 is another position than that of the 'put_enter' before");
        return;
    }
    verify_fail(p->v, o, "no 'put_exit' of the channel follows in its region");
}

static void check_put_exit(pairs *p, ir_op o)
{
    const ir_func *f = p->f;
    ir_val chan = ir_in(f, o, 0);
    for (ir_op x = ir_o(f, o)->prev; x.id; x = ir_o(f, x)->prev) {
        if (is_put(f, x, IR_OP_put_exit, chan))
            break;
        if (is_put(f, x, IR_OP_put_enter, chan))
            return;
    }
    verify_fail(p->v, o, "no 'put_enter' of the channel goes before it in its region");
}

static void check_puts(pairs *p, ir_region r)
{
    const ir_func *f = p->f;
    FOR_OPS(f, r, o)
    {
        if (ir_op_code(f, o) == IR_OP_put_enter)
            check_put_enter(p, o);
        else if (ir_op_code(f, o) == IR_OP_put_exit)
            check_put_exit(p, o);
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            check_puts(p, ir_op_region(f, o, i));
    }
}

/* ---- resources ---- */
static bool uses_turn(const ir_func *f, ir_region r, int64_t turn)
{
    FOR_OPS(f, r, o)
    {
        ir_code c = ir_op_code(f, o);
        if ((c == IR_OP_turn_enter || c == IR_OP_turn_exit) && ir_int(f, o, KEY_turn, 0) == turn)
            return true;
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            if (uses_turn(f, ir_op_region(f, o, i), turn))
                return true;
    }
    return false;
}

static void check_barriers(pairs *p, ir_op o)
{
    const ir_func *f = p->f;
    uint32_t n;
    const int64_t *copies = ir_ints(f, o, KEY_copies, &n);
    int64_t sum = 1;
    for (uint32_t i = 0; i < n; i++) {
        sum += copies[i];
        for (int64_t t = 0; t < MAX_TURNS; t++)
            sum += uses_turn(f, ir_op_region(f, o, i), t) ? copies[i] : 0;
    }
    if (sum > BARRIERS)
        verify_fail(p->v, o, "copies and turns need %lld named barriers, and a block has %d", (long long)sum, BARRIERS);
}

/* warps of a partition that sets none keep what all start with: an even share, in steps of 8 */
static void check_registers(pairs *p, ir_op o)
{
    const ir_func *f = p->f;
    uint32_t n;
    const int64_t *warps = ir_ints(f, o, KEY_warps, &n), *copies = ir_ints(f, o, KEY_copies, &n);
    const int64_t *regs = ir_ints(f, o, KEY_regs, &n);
    int64_t all = 0, sum = 0, share;
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        all += verify_part_warps(warps[i], regs[i]) * copies[i];
        any |= regs[i] != 0;
    }
    share = all < 1 ? 0 : REGISTERS / (all * 32) / 8 * 8;
    share = share < 255 ? share : 255;
    for (uint32_t i = 0; i < n; i++)
        sum += verify_part_warps(warps[i], regs[i]) * copies[i] * 32 * (regs[i] ? regs[i] : share);
    if (any && sum > REGISTERS)
        verify_fail(p->v, o, "attribute 'regs' takes %lld registers of all warps together, and a block has %d",
                    (long long)sum, REGISTERS);
}

/* ---- the kernel ---- */
static void check_keys(pairs *p, ir_region r)
{
    const ir_func *f = p->f;
    for (uint32_t i = 1; i < f->vals.n; i++)
        if (ir_type_of(f->m, f->vals.at[i].type)->kind == TK_CHAN && f->vals.at[i].def.id) {
            p->key = (key){{i}, 0};
            check_key(p, r);
        }
    for (int64_t t = 0; t < MAX_TURNS; t++)
        if (uses_turn(f, r, t)) {
            p->key = (key){{0}, t};
            check_key(p, r);
        }
}

/* what is done for each of them stays bounded; shared memory holds no more anyway */
static bool few_channels(pairs *p)
{
    uint32_t n = 0;
    FOR_OPS(p->f, p->f->body, o)
    if (ir_op_code(p->f, o) == IR_OP_chan && ++n > MAX_CHANS) {
        verify_fail(p->v, o, "more than %d channels", MAX_CHANS);
        return false;
    }
    return true;
}

void verify_paired(verifier *v)
{
    const ir_func *f = v->f;
    pairs p = {.v = v, .f = f};
    if (!few_channels(&p))
        return;
    check_puts(&p, f->body);
    check_keys(&p, f->body);
    FOR_OPS(f, f->body, o)
    if (ir_op_code(f, o) == IR_OP_partitions) {
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            check_keys(&p, ir_op_region(f, o, i));
        check_barriers(&p, o);
        check_registers(&p, o);
    }
}
