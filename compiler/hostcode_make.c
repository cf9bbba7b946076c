/* hostcode_make.c: host code (hostcode.h) from a host function of the IR.
 *
 * One walk: every value of the function becomes the word of its result; a tensor becomes the slot at which it stands.
 * A call is the walk of the callee with its parameters bound; the branches of an `if` are walked one after the other,
 * and its results are selects. What has effects under a condition, loops, or is not a number gives it up.
 */
#include "compiler/hostcode.h"

#include "compiler/fold.h"

#define MAX_OPS 4096
#define MAX_DEPTH 32

/* where a value is: a word, or the first slot of a tensor */
typedef struct place {
    enum { NOWHERE, WORD, TENSOR } kind;
    uint16_t at;
    uint8_t rank;
} place;

typedef struct maker {
    arena *a;
    VEC(host_op) ops;
    VEC(uint64_t) values;
    VEC(host_check) checks;
    bool failed;
    int branches, depth;
} maker;

typedef struct scope {
    const ir_func *f;
    place *at; /* by value */
} scope;

static uint16_t put(maker *m, host_op o)
{
    m->failed |= m->ops.n >= MAX_OPS;
    if (m->failed)
        return 0;
    vec_push(m->a, &m->ops, o);
    return (uint16_t)(m->ops.n - 1);
}

static uint16_t word_of(maker *m, const scope *s, ir_op o, uint32_t i)
{
    const place *p = &s->at[ir_in(s->f, o, i).id];
    m->failed |= p->kind != WORD;
    return p->at;
}

static void set_word(scope *s, ir_op o, uint32_t i, uint16_t word)
{
    s->at[ir_out(s->f, o, i).id] = (place){.kind = WORD, .at = word};
}

static bool is_number(const ir_func *f, ir_val v)
{
    return ir_type_of(f->m, ir_vtype(f, v))->kind == TK_NUM;
}

/* the short forms of what host functions are mostly made of */
static bool quick_code(ir_code code, dtype d, host_opcode *out)
{
    static const struct {
        uint16_t elt;
        uint8_t dt, code;
    } quick[] = {
        {IR_OP_add, DT_I64, HOST_ADD}, {IR_OP_sub, DT_I64, HOST_SUB},  {IR_OP_mul, DT_I64, HOST_MUL},
        {IR_OP_div, DT_I64, HOST_DIV}, {IR_OP_min, DT_I64, HOST_MIN},  {IR_OP_max, DT_I64, HOST_MAX},
        {IR_OP_lt, DT_I64, HOST_LT},   {IR_OP_add, DT_F64, HOST_FADD}, {IR_OP_mul, DT_F64, HOST_FMUL},
        {IR_OP_le, DT_F64, HOST_FLE},  {IR_OP_lt, DT_F64, HOST_FLT},
    };
    for (size_t i = 0; i < COUNTOF(quick); i++)
        if (quick[i].elt == code && quick[i].dt == d) {
            *out = (host_opcode)quick[i].code;
            return true;
        }
    return false;
}

static void elementwise(maker *m, scope *s, ir_op o)
{
    static const uint64_t probe[3] = {0};
    uint64_t dropped;
    host_opcode quick;
    ir_code code = ir_op_code(s->f, o);
    dtype d = ir_type_dt(s->f->m, ir_vtype(s->f, ir_in(s->f, o, 0)));
    host_op h = {.code = HOST_ELT, .dt = (uint8_t)d, .elt = (uint16_t)code};
    h.flag = ir_int(s->f, o, KEY_nan, 0) != 0;
    m->failed |=
        ir_nin(s->f, o) > 3 || !is_number(s->f, ir_in(s->f, o, 0)) || !fold_eval(code, d, h.flag, probe, &dropped);
    for (uint32_t i = 0; i < ir_nin(s->f, o) && !m->failed; i++)
        h.in[i] = word_of(m, s, o, i);
    if (quick_code(code, d, &quick))
        h.code = (uint8_t)quick;
    set_word(s, o, 0, put(m, h));
}

static void cast(maker *m, scope *s, ir_op o)
{
    dtype from = ir_type_dt(s->f->m, ir_vtype(s->f, ir_in(s->f, o, 0)));
    dtype to = ir_type_dt(s->f->m, ir_vtype(s->f, ir_out(s->f, o, 0)));
    host_op h = {
        .code = from == DT_I64 && to == DT_F64 ? HOST_F64 : HOST_CAST, .dt = (uint8_t)to, .from = (uint8_t)from};
    h.flag = ir_int(s->f, o, KEY_rtz, 0) != 0;
    h.in[0] = word_of(m, s, o, 0);
    m->failed |= !is_number(s->f, ir_in(s->f, o, 0)) || !is_number(s->f, ir_out(s->f, o, 0));
    set_word(s, o, 0, put(m, h));
}

static void tensor_part(maker *m, scope *s, ir_op o, bool stride)
{
    const place *p = &s->at[ir_in(s->f, o, 0).id];
    int64_t d = ir_int(s->f, o, KEY_dim, 0);
    m->failed |= p->kind != TENSOR || d < 0 || d >= p->rank;
    set_word(s, o, 0, put(m, (host_op){.code = HOST_SLOT, .in = {(uint16_t)(p->at + 1 + d + (stride ? p->rank : 0))}}));
}

static void expect(maker *m, scope *s, ir_op o)
{
    const ir_func *f = s->f;
    ir_loc loc = ir_o(f, o)->loc;
    ir_loc_data where = ir_loc_get(f->m, loc);
    str name = S("?");
    for (uint32_t i = 0; i < f->params.n; i++)
        if (f->params.at[i].arg == ir_int(f, o, KEY_arg, -1))
            name = f->params.at[i].name;
    host_check c = {.arg = str_dup(m->a, name),
                    .text = str_dup(m->a, ir_text(f, o, KEY_text)),
                    .dim = ir_int(f, o, KEY_dim, 0),
                    .place = where.line ? str_fmt(m->a, "%.*s:%u: ", STR_ARG(ir_loc_file(f->m, loc)), where.line)
                                        : str_fmt(m->a, "'%.*s': ", STR_ARG(f->name))};
    host_op h = {.code = HOST_EXPECT, .in = {word_of(m, s, o, 0), word_of(m, s, o, 1), (uint16_t)m->checks.n}};
    m->failed |= m->branches > 0 || m->checks.n >= MAX_OPS;
    vec_push(m->a, &m->checks, c);
    put(m, h);
}

static void walk(maker *m, scope *s, ir_region r);

static void branch(maker *m, scope *s, ir_op o)
{
    const ir_func *f = s->f;
    uint16_t cond = word_of(m, s, o, 0);
    m->branches++;
    for (uint32_t i = 0; i < 2; i++)
        walk(m, s, ir_op_region(f, o, i));
    m->branches--;
    for (uint32_t i = 0; i < ir_nout(f, o) && !m->failed; i++) {
        uint16_t yes = word_of(m, s, ir_last(f, ir_op_region(f, o, 0)), i);
        uint16_t no = word_of(m, s, ir_last(f, ir_op_region(f, o, 1)), i);
        set_word(s, o, i, put(m, (host_op){.code = HOST_SELECT, .in = {cond, yes, no}}));
    }
}

static void call(maker *m, scope *s, ir_op o)
{
    const ir_func *f = ir_module_find(s->f->m, ir_text(s->f, o, KEY_callee));
    if (!f || m->depth >= MAX_DEPTH || ir_nparams(f, f->body) != ir_nin(s->f, o)) {
        m->failed = true;
        return;
    }
    scope in = {f, ARENA_ARRAY(m->a, place, f->vals.n)};
    for (uint32_t i = 0; i < ir_nin(s->f, o); i++)
        in.at[ir_param_of(f, f->body, i).id] = s->at[ir_in(s->f, o, i).id];
    m->depth++;
    walk(m, &in, f->body);
    m->depth--;
    for (uint32_t i = 0; i < ir_nout(s->f, o) && !m->failed; i++)
        s->at[ir_out(s->f, o, i).id] = in.at[ir_in(f, ir_last(f, f->body), i).id];
}

static void constant(maker *m, scope *s, ir_op o)
{
    uint64_t bits = 0;
    m->failed |= !ir_const_of(s->f, ir_out(s->f, o, 0), &bits) || !is_number(s->f, ir_out(s->f, o, 0));
    set_word(s, o, 0, put(m, (host_op){.code = HOST_CONST, .in = {(uint16_t)m->values.n}}));
    vec_push(m->a, &m->values, bits);
}

static void one(maker *m, scope *s, ir_op o)
{
    const ir_func *f = s->f;
    switch ((int)ir_op_code(f, o)) {
    case IR_OP_const:
        constant(m, s, o);
        return;
    case IR_OP_tensor_dim:
    case IR_OP_tensor_stride:
        tensor_part(m, s, o, ir_op_code(f, o) == IR_OP_tensor_stride);
        return;
    case IR_OP_num_programs: { /* the grid's extents are the first slots */
        host_op h = {.code = HOST_SLOT, .in = {(uint16_t)ir_int(f, o, KEY_axis, 0)}};
        m->failed |= h.in[0] >= ABI_GRID_SLOTS;
        set_word(s, o, 0, put(m, h));
        return;
    }
    case IR_OP_cast:
        cast(m, s, o);
        return;
    case IR_OP_select: {
        host_op h = {.code = HOST_SELECT};
        for (uint32_t i = 0; i < 3; i++)
            h.in[i] = word_of(m, s, o, i);
        set_word(s, o, 0, put(m, h));
        return;
    }
    case IR_OP_hint:
        s->at[ir_out(f, o, 0).id] = s->at[ir_in(f, o, 0).id];
        return;
    case IR_OP_resident:
        set_word(s, o, 0, put(m, (host_op){.code = HOST_RESIDENT}));
        return;
    case IR_OP_stream_programs: {
        host_op h = {.code = HOST_STREAM, .in = {word_of(m, s, o, 0), word_of(m, s, o, 1), 0}};
        set_word(s, o, 0, put(m, h));
        return;
    }
    case IR_OP_expect_eq:
        expect(m, s, o);
        return;
    case IR_OP_if:
        branch(m, s, o);
        return;
    case IR_OP_call:
        call(m, s, o);
        return;
    case IR_OP_yield:
    case IR_OP_return:
    case IR_OP_assume:
        return;
    default:
        if (ir_info(f, o)->flags & ELT && ir_info(f, o)->flags & PURE && ir_nout(f, o) == 1)
            elementwise(m, s, o);
        else
            m->failed = true;
    }
}

static void walk(maker *m, scope *s, ir_region r)
{
    FOR_OPS(s->f, r, o)
    {
        if (m->failed)
            return;
        one(m, s, o);
    }
}

static void bind_parameters(maker *m, scope *s)
{
    const ir_func *f = s->f;
    for (uint32_t i = 0; i < ir_nparams(f, f->body); i++) {
        ir_val v = ir_param_of(f, f->body, i);
        const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, v));
        uint16_t slot = (uint16_t)abi_param_first(f, i);
        if (t->kind == TK_TENSOR)
            s->at[v.id] = (place){TENSOR, slot, (uint8_t)t->rank};
        else
            s->at[v.id] = (place){.kind = WORD, .at = put(m, (host_op){.code = HOST_SLOT, .in = {slot}})};
    }
}

host_code *host_code_make(arena *a, const ir_func *h)
{
    maker m = {.a = a};
    scope s = {h, ARENA_ARRAY(a, place, h->vals.n)};
    if (abi_total_slots(h) >= UINT16_MAX)
        return NULL;
    bind_parameters(&m, &s);
    walk(&m, &s, h->body);
    ir_op ret = ir_last(h, h->body);
    uint16_t *results = ARENA_ARRAY(a, uint16_t, ir_nin(h, ret) + 2u);
    for (uint32_t i = 0; i < ir_nin(h, ret) && !m.failed; i++)
        results[i] = word_of(&m, &s, ret, i);
    if (m.failed)
        return NULL;
    host_code *c = ARENA_NEW(a, host_code);
    *c = (host_code){m.ops.at, m.values.at, m.checks.at, results, m.ops.n, m.values.n, m.checks.n, ir_nin(h, ret)};
    return c;
}
