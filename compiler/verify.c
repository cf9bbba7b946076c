/* verify.c: checks one function, and for every op in it what holds whatever the op.
 *
 *   function   parameters and their promises, results, properties that only kernels have
 *   region     chains that end in their one terminator, parameters and parents that agree, bounded nesting
 *   op         stage, counts of the table, operands that are defined before and visible, attributes of the table with
 *              values in range, purity inside the regions of whole-tile ops, host-only ops
 *
 * Then verify_ops.c types it. Passes hand in what they built, so ids are checked before they are followed. A diagnostic
 * is placed at the op's text where it was read from text, else at its source location where that file is among the
 * diagnostics' files; failing that, the message carries the op's text.
 */
#include "compiler/layout.h"
#include "compiler/verify.h"

#include <string.h>

/* ---- reporting ---- */
static span source_span(verifier *v, ir_loc loc)
{
    ir_loc_data d;
    str path;
    if (!loc.id)
        return (span){0, 0, 0};
    d = ir_loc_get(v->m, loc);
    path = ir_loc_file(v->m, loc);
    for (uint32_t i = 0; i < v->d->files.n; i++)
        if (str_eq(v->d->files.at[i].path, path)) {
            uint32_t at = diags_offset(v->d, i + 1, d.line, d.col);
            return (span){i + 1, at, at};
        }
    return (span){0, 0, 0};
}

static span op_span(verifier *v, ir_op o)
{
    if (!o.id)
        return v->text ? v->text->head : source_span(v, v->f->loc);
    if (v->text && o.id < v->text->nops)
        return v->text->ops[o.id];
    return o.id < v->f->ops.n ? source_span(v, ir_o(v->f, o)->loc) : (span){0, 0, 0};
}

void verify_fail(verifier *v, ir_op o, const char *fmt, ...)
{
    span at = op_span(v, o);
    strbuf b;
    va_list ap;
    v->faults++;
    if (v->d->errors >= v->d->max_errors) {
        v->d->errors++;
        return;
    }
    sb_init(&b, v->d->a);
    if (o.id && ir_op_code(v->f, o) && ir_op_code(v->f, o) < IR_CODE_COUNT)
        sb_putf(&b, "op '%s': ", ir_info(v->f, o)->name);
    else if (!o.id)
        sb_putf(&b, "function '@%.*s': ", STR_ARG(v->f->name));
    va_start(ap, fmt);
    sb_put(&b, str_vfmt(v->d->a, fmt, ap));
    va_end(ap);
    if (o.id && !at.file) {
        sb_putf(&b, " (in '@%.*s': ", STR_ARG(v->f->name));
        ir_print_op(v->f, o, &b);
        sb_putc(&b, ')');
    }
    diag_report(v->d, DIAG_ERROR, "ir", at, "%.*s", STR_ARG(sb_str(&b)));
}

const char *verify_type(verifier *v, ir_type t)
{
    strbuf b;
    sb_init(&b, v->d->a);
    ir_type_print(v->m, t, &b);
    return str_cstr(v->d->a, sb_str(&b));
}

/* ---- parts of rules ---- */
ir_type verify_in(const verifier *v, ir_op o, uint32_t i)
{
    return ir_vtype(v->f, ir_in(v->f, o, i));
}

ir_type verify_out(const verifier *v, ir_op o, uint32_t i)
{
    return ir_vtype(v->f, ir_out(v->f, o, i));
}

bool verify_count(verifier *v, ir_op o, uint32_t min, uint32_t max)
{
    uint32_t n = ir_nin(v->f, o);
    if (n >= min && n <= max)
        return true;
    if (min == max)
        verify_fail(v, o, "expected %u operands, found %u", min, n);
    else if (max == UINT32_MAX)
        verify_fail(v, o, "expected at least %u operand%s, found %u", min, min == 1 ? "" : "s", n);
    else
        verify_fail(v, o, "expected %u to %u operands, found %u", min, max, n);
    return false;
}

static bool type_is(verifier *v, ir_op o, const char *what, uint32_t i, ir_type found, ir_type want, const char *like)
{
    if (ir_type_eq(found, want))
        return true;
    verify_fail(v, o, "%s %u is '%s', expected '%s'%s%s", what, i, verify_type(v, found), verify_type(v, want),
                *like ? " " : "", like);
    return false;
}

bool verify_in_type(verifier *v, ir_op o, uint32_t i, ir_type want, const char *like)
{
    return type_is(v, o, "operand", i, verify_in(v, o, i), want, like);
}

bool verify_out_type(verifier *v, ir_op o, uint32_t i, ir_type want, const char *like)
{
    return type_is(v, o, "result", i, verify_out(v, o, i), want, like);
}

bool verify_in_is(verifier *v, ir_op o, uint32_t i, bool ok, const char *want)
{
    if (!ok)
        verify_fail(v, o, "operand %u is '%s', expected %s", i, verify_type(v, verify_in(v, o, i)), want);
    return ok;
}

bool verify_out_is(verifier *v, ir_op o, uint32_t i, bool ok, const char *want)
{
    if (!ok)
        verify_fail(v, o, "result %u is '%s', expected %s", i, verify_type(v, verify_out(v, o, i)), want);
    return ok;
}

bool verify_same_shape(const verifier *v, ir_type a, ir_type b)
{
    const ir_type_info *x = ir_type_of(v->m, a), *y = ir_type_of(v->m, b);
    int rank = ir_type_rank(v->m, a);
    if (x->kind == TK_TENSOR || y->kind == TK_TENSOR || rank != ir_type_rank(v->m, b))
        return false;
    return !rank || memcmp(x->shape, y->shape, (size_t)rank * sizeof x->shape[0]) == 0;
}

bool verify_in_shape(verifier *v, ir_op o, uint32_t i, ir_type like, const char *of)
{
    if (verify_same_shape(v, verify_in(v, o, i), like))
        return true;
    verify_fail(v, o, "operand %u is '%s', expected the shape of %s, '%s'", i, verify_type(v, verify_in(v, o, i)), of,
                verify_type(v, like));
    return false;
}

bool verify_out_shape(verifier *v, ir_op o, uint32_t i, int rank, const int64_t *shape)
{
    const ir_type_info *t = ir_type_of(v->m, verify_out(v, o, i));
    strbuf b;
    if (t->kind != TK_TENSOR && ir_type_rank(v->m, verify_out(v, o, i)) == rank &&
        (!rank || memcmp(t->shape, shape, (size_t)rank * sizeof shape[0]) == 0))
        return true;
    sb_init(&b, v->d->a);
    for (int d = 0; d < rank; d++)
        sb_putf(&b, "%s%lld", d ? "x" : "", (long long)shape[d]);
    if (rank)
        verify_fail(v, o, "result %u is '%s', expected a tile of %.*s", i, verify_type(v, verify_out(v, o, i)),
                    STR_ARG(sb_str(&b)));
    else
        verify_fail(v, o, "result %u is '%s', expected a scalar", i, verify_type(v, verify_out(v, o, i)));
    return false;
}

bool verify_range(verifier *v, ir_op o, ir_key key, int64_t lo, int64_t hi)
{
    int64_t x = ir_int(v->f, o, key, lo);
    if (x >= lo && x <= hi)
        return true;
    if (hi == INT64_MAX)
        verify_fail(v, o, "attribute '%s' is %lld, expected at least %lld", ir_keys[key].name, (long long)x,
                    (long long)lo);
    else
        verify_fail(v, o, "attribute '%s' is %lld, expected %lld to %lld", ir_keys[key].name, (long long)x,
                    (long long)lo, (long long)hi);
    return false;
}

bool verify_is_int(const verifier *v, ir_type t)
{
    return verify_is_num(v, t) && dt_is_int(ir_type_dt(v->m, t));
}

bool verify_is_int_scalar(const verifier *v, ir_type t)
{
    return verify_is_int(v, t) && !verify_is_tile(v, t);
}

bool verify_is_bool(const verifier *v, ir_type t)
{
    return verify_is_num(v, t) && ir_type_dt(v->m, t) == DT_BOOL;
}

/* ---- types ---- */
static const char *type_fault(const verifier *v, ir_type t);

static bool layout_fits(const verifier *v, const ir_type_info *i)
{
    const lay_shared *s = ir_layout_shared_of(v->m, i->layout);
    const lay *l = i->kind == TK_TILE ? ir_layout_of(v->m, i->layout) : s ? &s->map : NULL;
    return l && l->rank == i->rank && memcmp(l->shape, i->shape, sizeof i->shape[0] * (size_t)i->rank) == 0;
}

static const char *chan_fault(const verifier *v, const ir_type_info *i)
{
    if (i->stages < 1 || i->stages > IR_MAX_STAGES || i->nparts < 1 || i->nparts > IR_MAX_CHAN_PARTS)
        return "is a channel of no legal size";
    for (int k = 0; k < i->nparts; k++)
        if (ir_type_of(v->m, i->parts[k])->kind != TK_SHARED || type_fault(v, i->parts[k]))
            return "is a channel of what is no sound shared tile";
    return NULL;
}

static const char *type_fault(const verifier *v, ir_type t)
{
    const ir_type_info *i = t.id ? ir_type_of(v->m, t) : NULL;
    int64_t n = 1;
    if (!i || i->kind == TK_NONE)
        return "has no type";
    if (i->kind == TK_TENSOR && (i->rank < 1 || i->rank > IR_MAX_TENSOR_RANK))
        return "is a tensor of no legal rank";
    if (i->kind > TK_TENSOR && v->m->stage != LAID)
        return "has a type of the laid-out stage";
    if (i->layout.id && v->m->stage != LAID)
        return "has a layout before the laid-out stage";
    if (i->kind == TK_CHAN)
        return chan_fault(v, i);
    if (i->kind != TK_TILE && i->kind != TK_SHARED)
        return NULL;
    if ((i->layout.id || i->kind == TK_SHARED) && !layout_fits(v, i))
        return "has a layout of another kind or shape";
    if (i->rank < 1 || i->rank > IR_MAX_RANK)
        return "is a tile of no legal rank";
    for (int d = 0; d < i->rank; d++) {
        if (i->shape[d] < 1 || i->shape[d] > IR_MAX_ELEMS || n > IR_MAX_ELEMS / i->shape[d])
            return "is a tile of no elements or more than 2^20";
        n *= i->shape[d];
    }
    return NULL;
}

static bool check_value_type(verifier *v, ir_op o, const char *what, uint32_t i, ir_type t)
{
    const char *fault = type_fault(v, t);
    if (fault)
        verify_fail(v, o, "%s %u %s", what, i, fault);
    return !fault;
}

/* ---- attributes ---- */
/* whether a table row's "a,?b" names the key, and without '?' */
static bool lists_key(const char *attrs, const char *name, bool *required)
{
    size_t n = strlen(name);
    for (const char *p = attrs; *p;) {
        size_t len;
        *required = *p != '?';
        p += !*required;
        len = strcspn(p, ",");
        if (len == n && memcmp(p, name, n) == 0)
            return true;
        p += len + (p[len] == ',');
    }
    return false;
}

static bool check_key(verifier *v, ir_op o, ir_key key)
{
    static const ir_key flags[] = {KEY_nan,        KEY_exact,        KEY_rtz,     KEY_reverse,
                                   KEY_descending, KEY_is_volatile,  KEY_hex,     KEY_warp_specialize,
                                   KEY_flatten,    KEY_disable_licm, KEY_nowrap,  KEY_approx};
    if (ir_keys[key].kind == AK_ENUM && !ir_enum_name(key, ir_int(v->f, o, key, 0))) {
        verify_fail(v, o, "attribute '%s' has no value %lld", ir_keys[key].name, (long long)ir_int(v->f, o, key, 0));
        return false;
    }
    for (size_t i = 0; i < COUNTOF(flags); i++)
        if (flags[i] == key)
            return verify_range(v, o, key, 0, 1);
    return true;
}

static bool check_attrs(verifier *v, ir_op o)
{
    const ir_op_info *info = ir_info(v->f, o);
    const ir_op_data *d = ir_o(v->f, o);
    uint32_t faults = v->faults;
    bool present[IR_KEY_COUNT] = {false}, required;
    for (uint32_t i = 0; i < d->nattr; i++) {
        uint32_t key = v->f->pool.at[d->attrs + 2 * i];
        if (key == KEY_NONE || key >= IR_KEY_COUNT) {
            verify_fail(v, o, "attribute %u has no name", i);
            return false;
        }
        if (present[key])
            verify_fail(v, o, "attribute '%s' is given twice", ir_keys[key].name);
        present[key] = true;
        if (!lists_key(info->attrs, ir_keys[key].name, &required))
            verify_fail(v, o, "no attribute '%s' belongs to it", ir_keys[key].name);
        else
            check_key(v, o, (ir_key)key);
    }
    for (int key = 1; key < IR_KEY_COUNT; key++)
        if (!present[key] && lists_key(info->attrs, ir_keys[key].name, &required) && required)
            verify_fail(v, o, "attribute '%s' is missing", ir_keys[key].name);
    return v->faults == faults;
}

/* ---- ops ---- */
static bool check_counts(verifier *v, ir_op o)
{
    const ir_op_info *info = ir_info(v->f, o);
    const ir_op_data *d = ir_o(v->f, o);
    const struct {
        const char *what;
        int want;
        uint32_t found;
    } counts[] = {
        {"operand", info->nin, d->nin}, {"result", info->nout, d->nout}, {"region", info->nregions, d->nregions}};
    for (size_t i = 0; i < COUNTOF(counts); i++)
        if (counts[i].want != VAR && (uint32_t)counts[i].want != counts[i].found) {
            verify_fail(v, o, "expected %d %s%s, found %u", counts[i].want, counts[i].what,
                        counts[i].want == 1 ? "" : "s", counts[i].found);
            return false;
        }
    return true;
}

/* operands are visible here, results are this op's; all have sound types */
static bool check_values(verifier *v, ir_op o)
{
    const ir_func *f = v->f;
    uint32_t faults = v->faults;
    for (uint32_t i = 0; i < ir_nin(f, o); i++) {
        ir_val x = ir_in(f, o, i);
        if (!x.id || x.id >= f->vals.n)
            verify_fail(v, o, "operand %u is no value", i);
        else if (!v->visible[x.id])
            verify_fail(v, o, "operand %u is not defined before it in its region or one around", i);
        else if (v->element_op.id && !verify_is_scalar(v, ir_vtype(f, x)))
            verify_fail(v, o, "operand %u is '%s', and a region of '%s' works on scalars", i,
                        verify_type(v, ir_vtype(f, x)), ir_info(f, v->element_op)->name);
    }
    for (uint32_t i = 0; i < ir_nout(f, o); i++) {
        ir_val x = ir_out(f, o, i);
        if (!x.id || x.id >= f->vals.n || ir_def(f, x).id != o.id || f->vals.at[x.id].index != i) {
            verify_fail(v, o, "result %u belongs to another op", i);
        } else if (check_value_type(v, o, "result", i, ir_vtype(f, x)) && v->element_op.id &&
                   !verify_is_scalar(v, ir_vtype(f, x))) {
            verify_fail(v, o, "result %u is '%s', and a region of '%s' works on scalars", i,
                        verify_type(v, ir_vtype(f, x)), ir_info(f, v->element_op)->name);
        }
    }
    return v->faults == faults;
}

/* where an op of this kind may stand */
static bool check_place(verifier *v, ir_op o)
{
    const ir_op_info *info = ir_info(v->f, o);
    uint32_t faults = v->faults;
    if (!(info->stages & v->m->stage) && v->f->kind == FUNC_KERNEL) /* the others stay as they are */
        verify_fail(v, o, "not legal in stage '%s'", v->m->stage == LAID ? "laid" : "tir");
    if ((info->flags & HOST) && v->f->kind != FUNC_HOST)
        verify_fail(v, o, "only legal in a host function");
    if (v->f->kind == FUNC_HOST && ((info->flags & (READ | WRITE)) || ir_op_code(v->f, o) == IR_OP_program_id))
        verify_fail(v, o, "not legal in a host function");
    if (v->element_op.id && !(info->flags & (PURE | CTRL | TERM)))
        verify_fail(v, o, "has an effect, and a region of '%s' is pure", ir_info(v->f, v->element_op)->name);
    return v->faults == faults;
}

static void check_region(verifier *v, ir_op owner, ir_region r, uint32_t index);

static void check_regions(verifier *v, ir_op o)
{
    ir_op outer = v->element_op;
    ir_code c = ir_op_code(v->f, o);
    if (c == IR_OP_reduce || c == IR_OP_scan || c == IR_OP_map)
        v->element_op = o;
    for (uint32_t i = 0; i < ir_o(v->f, o)->nregions; i++)
        check_region(v, o, ir_op_region(v->f, o, i), i);
    v->element_op = outer;
}

static void check_op(verifier *v, ir_op o)
{
    ir_code c = ir_op_code(v->f, o);
    uint32_t faults;
    bool sound;
    if (c == IR_NOP || c >= IR_CODE_COUNT) {
        verify_fail(v, o, "an op of no known code %d", (int)c);
        return;
    }
    sound = check_counts(v, o);
    sound &= check_place(v, o);
    sound &= check_values(v, o);
    sound &= check_attrs(v, o);
    faults = v->faults;
    check_regions(v, o);
    if (sound && v->faults == faults)
        verify_types(v, o);
}

/* ---- regions ---- */
static void show(verifier *v, ir_op o, bool visible)
{
    for (uint32_t i = 0; i < ir_nout(v->f, o); i++)
        if (ir_out(v->f, o, i).id < v->f->vals.n)
            v->visible[ir_out(v->f, o, i).id] = visible;
}

static void show_params(verifier *v, ir_op owner, ir_region r, bool visible)
{
    for (uint32_t i = 0; i < ir_nparams(v->f, r); i++) {
        ir_val x = ir_param_of(v->f, r, i);
        if (!x.id || x.id >= v->f->vals.n || ir_def(v->f, x).id || v->f->vals.at[x.id].region.id != r.id ||
            v->f->vals.at[x.id].index != i) {
            if (visible)
                verify_fail(v, owner, "parameter %u of a region belongs elsewhere", i);
            continue;
        }
        v->visible[x.id] = visible && check_value_type(v, owner, "parameter", i, ir_vtype(v->f, x));
    }
}

/* the chain is sound: links agree, no op twice; and it ends in its one terminator */
static bool check_chain(verifier *v, ir_op owner, ir_region r)
{
    const ir_func *f = v->f;
    ir_code end = owner.id ? IR_OP_yield : IR_OP_return;
    ir_op prev = {0};
    uint32_t n = 0;
    for (ir_op o = ir_first(f, r); o.id; prev = o, o = ir_next(f, o)) {
        if (o.id >= f->ops.n || ir_o(f, o)->prev.id != prev.id || ir_o(f, o)->parent.id != r.id || n++ == f->ops.n) {
            verify_fail(v, owner, "the ops of a region are linked wrongly");
            return false;
        }
    }
    if (ir_last(f, r).id != prev.id) {
        verify_fail(v, owner, "the ops of a region are linked wrongly");
        return false;
    }
    if (!prev.id || ir_op_code(f, prev) != end) {
        verify_fail(v, prev.id ? prev : owner, "expected '%s' at the end of %s", ir_ops[end].name,
                    owner.id ? "a region" : "the function");
        return false;
    }
    FOR_OPS(f, r, o)
    if (o.id != prev.id && ir_o(f, o)->code < IR_CODE_COUNT && (ir_ops[ir_o(f, o)->code].flags & TERM)) {
        verify_fail(v, o, "only legal at the end of a region");
        return false;
    }
    return true;
}

static void check_region(verifier *v, ir_op owner, ir_region r, uint32_t index)
{
    const ir_func *f = v->f;
    if (!r.id || r.id >= f->regions.n || v->seen[r.id] || f->regions.at[r.id].owner.id != owner.id) {
        verify_fail(v, owner, "region %u belongs elsewhere", index);
        return;
    }
    v->seen[r.id] = 1;
    if (v->depth == IR_MAX_NEST) {
        verify_fail(v, owner, "regions are nested more than %d deep", IR_MAX_NEST);
        return;
    }
    if (!check_chain(v, owner, r))
        return;
    v->depth++;
    show_params(v, owner, r, true);
    FOR_OPS(f, r, o)
    {
        check_op(v, o);
        show(v, o, true);
    }
    FOR_OPS(f, r, o)
    show(v, o, false);
    show_params(v, owner, r, false);
    v->depth--;
}

/* ---- functions ---- */
static void check_promises(verifier *v, uint32_t i, const ir_param *p, ir_type t)
{
    const ir_op none = {0};
    ir_type_kind kind = ir_type_of(v->m, t)->kind;
    bool memory = kind == TK_PTR || kind == TK_TENSOR;
    if (p->flags & ~(PARAM_STATIC | PARAM_SCRATCH | PARAM_SCRATCH_ZERO | PARAM_WRITTEN | PARAM_NOALIAS | PARAM_EXTENT))
        verify_fail(v, none, "parameter %u has an unknown flag", i);
    if ((p->flags & PARAM_EXTENT) && !verify_is_scalar_of(v, t, DT_I64))
        verify_fail(v, none, "parameter %u is '%s', and only 'i64' is an extent", i, verify_type(v, t));
    if ((p->flags & (PARAM_STATIC | PARAM_WRITTEN | PARAM_NOALIAS)) && !memory)
        verify_fail(v, none, "parameter %u is '%s', and only pointers and tensors are static, written or noalias", i,
                    verify_type(v, t));
    if ((p->flags & (PARAM_SCRATCH | PARAM_SCRATCH_ZERO)) && kind != TK_TENSOR)
        verify_fail(v, none, "parameter %u is '%s', and only tensors are scratch", i, verify_type(v, t));
    if (p->align < 0 || (p->align & (p->align - 1)))
        verify_fail(v, none, "parameter %u: 'align' is %lld, expected a power of two", i, (long long)p->align);
    else if (p->align && !memory)
        verify_fail(v, none, "parameter %u is '%s', and only pointers and tensors have 'align'", i, verify_type(v, t));
    if (p->div < 0)
        verify_fail(v, none, "parameter %u: 'div' is %lld, expected at least 0", i, (long long)p->div);
    if ((p->div || p->lo <= p->hi) && !verify_is_int_scalar(v, t))
        verify_fail(v, none, "parameter %u is '%s', and only integers have 'div', 'lo' and 'hi'", i, verify_type(v, t));
    if (p->arg < 0)
        verify_fail(v, none, "parameter %u: 'arg' is %d, expected at least 0", i, p->arg);
}

static bool check_params(verifier *v)
{
    const ir_func *f = v->f;
    const ir_op none = {0};
    uint32_t faults = v->faults;
    if (!f->body.id || f->body.id >= f->regions.n || ir_nparams(f, f->body) != f->params.n) {
        verify_fail(v, none, "its body does not have its parameters");
        return false;
    }
    for (uint32_t i = 0; i < f->params.n; i++) {
        ir_val x = ir_param_of(f, f->body, i);
        if (!x.id || x.id >= f->vals.n || !check_value_type(v, none, "parameter", i, ir_vtype(f, x)))
            return false;
        check_promises(v, i, &f->params.at[i], ir_vtype(f, x));
        if (ir_type_of(v->m, ir_vtype(f, x))->kind > TK_TENSOR)
            verify_fail(v, none, "parameter %u is '%s', and no function takes one", i, verify_type(v, ir_vtype(f, x)));
        if (f->kind != FUNC_FN && verify_is_tile(v, ir_vtype(f, x)))
            verify_fail(v, none, "parameter %u is '%s', and only a 'fn' takes tiles", i,
                        verify_type(v, ir_vtype(f, x)));
    }
    return v->faults == faults;
}

static void check_properties(verifier *v)
{
    const ir_func *f = v->f;
    const ir_op none = {0};
    const struct {
        const char *name;
        int value, max;
    } numbers[] = {{"num_warps", f->num_warps, 64},
                   {"num_stages", f->num_stages, 64},
                   {"num_ctas", f->num_ctas, 16},
                   {"waves_per_eu", f->waves_per_eu, 64}};
    for (size_t i = 0; i < COUNTOF(numbers); i++) {
        if (numbers[i].value && f->kind != FUNC_KERNEL)
            verify_fail(v, none, "only a kernel has '%s'", numbers[i].name);
        else if (numbers[i].value < 0 || numbers[i].value > numbers[i].max)
            verify_fail(v, none, "'%s' is %d, expected 0 to %d", numbers[i].name, numbers[i].value, numbers[i].max);
    }
    if (f->kind == FUNC_KERNEL && f->results.n)
        verify_fail(v, none, "a kernel has no results, found %u", f->results.n);
    if (f->kind != FUNC_KERNEL && (f->has_grid || f->cooperative || f->persistent || f->host.n))
        verify_fail(v, none, "only a kernel has 'grid', 'cooperative', 'persistent' or 'host'");
    for (uint32_t i = 0; i < f->results.n; i++) {
        check_value_type(v, none, "result", i, f->results.at[i]);
        if (f->kind == FUNC_HOST && f->results.at[i].id && !verify_is_scalar_of(v, f->results.at[i], DT_I64))
            verify_fail(v, none, "result %u is '%s', and a host function gives 'i64'", i,
                        verify_type(v, f->results.at[i]));
    }
}

void verify_body(verifier *v)
{
    const ir_func *f = v->f;
    v->visible = ARENA_ARRAY(v->a, uint8_t, f->vals.n + 1);
    v->seen = ARENA_ARRAY(v->a, uint8_t, f->regions.n + 1);
    v->depth = 0;
    v->element_op.id = 0;
    check_properties(v);
    uint32_t faults = v->faults;
    if (check_params(v))
        check_region(v, (ir_op){0}, f->body, 0);
    if (v->m->stage == LAID && f->kind == FUNC_KERNEL && v->faults == faults)
        verify_laid_kernel(v);
    if (verify_is_for_gpu(v->m) && f->kind == FUNC_KERNEL && v->faults == faults)
        verify_paired(v);
    if (verify_is_for_gpu(v->m) && f->kind == FUNC_KERNEL && v->faults == faults)
        verify_schedule(v);
}
