/* print.c: IR to text, losslessly: reading what is printed here gives the same functions, and printing those the same
 * bytes.
 *
 * One form serves every op; only `const` shows its value instead of its attribute:
 *
 *   %r, %s = name %a, %b {key = value, ..} : type, type @loc !origin {
 *     (%param: type, ..)
 *     ..
 *   } {
 *     ..
 *   }
 *
 * Names. A function parameter goes by its name in the source where that is an identifier and no earlier parameter has
 * it; all other values are numbered from 0 in the order in which the text defines them. Value ids are never shown: they
 * differ after a rewrite that changed nothing.
 *
 * Locations are numbered in the order of first use, outer calls before what was inlined into them, and listed before
 * the first function that needs them. An op's origin is shown only where it isn't one more than that of the op before
 * it, in the order of building (regions before their op), so freshly built functions show none.
 *
 * Layouts of the laid-out stage are numbered in the order in which the text first uses them, and listed behind the
 * header: so functions are printed into a text of their own first. A function or op printed alone shows the module's
 * numbers.
 *
 * The printer also serves messages about IR that the verifier rejects, so it trusts no operand id.
 */
#include "compiler/ir.h"

#include <inttypes.h>
#include <string.h>

#define NAMED 0x80000000u /* in printer.name: the low bits are a parameter's index */

typedef struct printer {
    const ir_module *m;
    const ir_func *f;
    strbuf *out;
    uint32_t *name;  /* by value id: number + 1, or NAMED | parameter; 0 = never defined */
    uint8_t *odd;    /* by op id: the origin has to be shown */
    uint32_t next;   /* number of the next value */
    uint32_t origin; /* of the op before, in the order of building */
    map64 locs;      /* location id -> number */
    uint32_t nlocs;
    map64 *layouts; /* layout id -> number; NULL: by their ids */
    VEC(ir_layout) listed;
} printer;

/* ---- words ---- */
static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '$';
}

/* can follow a sigil, or stand alone, without quotes */
static bool is_plain(str s, const char *more)
{
    if (!s.n || (s.p[0] >= '0' && s.p[0] <= '9'))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_char(s.p[i]) && !(s.p[i] && i && strchr(more, s.p[i])))
            return false;
    return true;
}

static void put_symbol(strbuf *out, str s)
{
    sb_putc(out, '@');
    if (is_plain(s, ""))
        sb_put(out, s);
    else
        sb_put_quoted(out, s, "\\x");
}

/* ---- values ---- */
static bool name_is_taken(const ir_func *f, uint32_t param)
{
    for (uint32_t i = 0; i < param; i++)
        if (str_eq(f->params.at[i].name, f->params.at[param].name))
            return true;
    return false;
}

static void define(printer *p, ir_val v)
{
    if (v.id < p->f->vals.n)
        p->name[v.id] = ++p->next;
}

static void number_region(printer *p, ir_region r)
{
    const ir_func *f = p->f;
    for (uint32_t i = 0; r.id != f->body.id && i < ir_nparams(f, r); i++)
        define(p, ir_param_of(f, r, i));
    FOR_OPS(f, r, o)
    {
        for (uint32_t i = 0; i < ir_nout(f, o); i++)
            define(p, ir_out(f, o, i));
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            number_region(p, ir_op_region(f, o, i));
        p->odd[o.id] = ir_o(f, o)->origin != p->origin + 1;
        p->origin = ir_o(f, o)->origin;
    }
}

/* names and numbers for every value of f; the tables live in the output's arena */
static void number_func(printer *p, const ir_func *f)
{
    p->f = f;
    p->name = ARENA_ARRAY(p->out->a, uint32_t, f->vals.n + 1);
    p->odd = ARENA_ARRAY(p->out->a, uint8_t, f->ops.n + 1);
    p->next = 0;
    p->origin = 0;
    for (uint32_t i = 0; i < f->params.n && i < ir_nparams(f, f->body); i++) {
        ir_val v = ir_param_of(f, f->body, i);
        if (is_plain(f->params.at[i].name, "") && !name_is_taken(f, i))
            p->name[v.id] = NAMED | i;
        else
            define(p, v);
    }
    number_region(p, f->body);
}

static void put_value(const printer *p, ir_val v)
{
    uint32_t n = v.id < p->f->vals.n ? p->name[v.id] : 0;
    if (n & NAMED)
        sb_putf(p->out, "%%%.*s", STR_ARG(p->f->params.at[n & ~NAMED].name));
    else if (n)
        sb_putf(p->out, "%%%" PRIu32, n - 1);
    else
        sb_putf(p->out, "%%?%" PRIu32, v.id);
}

/* ---- types ---- */
static uint32_t layout_number(printer *p, ir_layout l)
{
    uint32_t n;
    if (!p->layouts)
        return l.id;
    if (!map_get(p->layouts, l.id, &n)) {
        vec_push(p->out->a, &p->listed, l);
        n = p->listed.n;
        map_set(p->layouts, l.id, n);
    }
    return n;
}

static void put_type(printer *p, ir_type t)
{
    const ir_type_info *i = ir_type_of(p->m, t);
    if (i->kind == TK_CHAN) {
        sb_putf(p->out, "chan<%d, {", i->stages);
        for (int k = 0; k < i->nparts; k++) {
            sb_puts(p->out, k ? ", " : "");
            put_type(p, i->parts[k]);
        }
        sb_puts(p->out, "}>");
    } else if ((i->kind == TK_TILE || i->kind == TK_SHARED) && i->layout.id) {
        sb_puts(p->out, i->kind == TK_TILE ? "tile<" : "shared<");
        for (int d = 0; d < i->rank; d++)
            sb_putf(p->out, "%" PRId64 "x", i->shape[d]);
        ir_type_print(p->m, i->elem, p->out);
        sb_putf(p->out, ", #%" PRIu32 ">", layout_number(p, i->layout));
    } else {
        ir_type_print(p->m, t, p->out);
    }
}

/* ---- constants ---- */
/* sign, 0x1.8p+1 without trailing zeros; denormals of f64 keep a leading 0 */
static void put_hex_float(strbuf *out, double x)
{
    uint64_t u = num_f64_bits(x), frac = u & (((uint64_t)1 << 52) - 1);
    int exp = (int)(u >> 52 & 0x7ff), digits = 13;
    if (u >> 63)
        sb_putc(out, '-');
    sb_puts(out, exp ? "0x1" : "0x0");
    exp = exp ? exp - 1023 : frac ? -1022 : 0;
    for (; digits && !(frac & 15); digits--)
        frac >>= 4;
    if (digits)
        sb_putf(out, ".%0*" PRIx64, digits, frac);
    sb_putf(out, "p%+d", exp);
}

static void put_number(strbuf *out, dtype dt, uint64_t bits)
{
    if (dt == DT_BOOL && bits <= 1) {
        sb_puts(out, bits ? "true" : "false");
    } else if (dt_is_any_float(dt)) {
        double x = dt_float(dt, bits);
        if (x != x)
            sb_putf(out, "nan:0x%" PRIx64, bits);
        else if (x - x != 0)
            sb_puts(out, x > 0 ? "inf" : "-inf");
        else
            put_hex_float(out, x);
    } else if (dt_is_signed(dt)) {
        sb_putf(out, "%" PRId64, dt_int(dt, bits));
    } else {
        sb_putf(out, "%" PRIu64, bits);
    }
}

/* ---- attributes ---- */
static void put_ints(strbuf *out, const int64_t *v, uint32_t n)
{
    sb_putc(out, '[');
    for (uint32_t i = 0; i < n; i++)
        sb_putf(out, "%s%" PRId64, i ? ", " : "", v[i]);
    sb_putc(out, ']');
}

static void put_attr(const printer *p, ir_attr_pair pair)
{
    const ir_module *m = p->m;
    strbuf *out = p->out;
    uint32_t n = 0;
    sb_putf(out, "%s = ", ir_keys[pair.key].name);
    switch (ir_keys[pair.key].kind) {
    case AK_INT:
        sb_putf(out, "%" PRId64, ir_attr_as_int(m, pair.val));
        break;
    case AK_INTS: {
        const int64_t *v = ir_attr_as_ints(m, pair.val, &n);
        put_ints(out, v, n);
        break;
    }
    case AK_STR:
        sb_put_quoted(out, ir_attr_as_str(m, pair.val), "\\x");
        break;
    case AK_ENUM: {
        int64_t v = ir_attr_as_int(m, pair.val);
        const char *name = ir_enum_name(pair.key, v);
        if (name)
            sb_puts(out, name);
        else
            sb_putf(out, "%" PRId64, v);
        break;
    }
    }
}

/* what stands in the attribute list of an op: all but the bits of a constant that shows them as a number */
static void put_attrs(const printer *p, ir_op o, bool without_bits)
{
    const ir_func *f = p->f;
    bool open = false;
    for (uint32_t i = 0; i < ir_o(f, o)->nattr; i++) {
        ir_attr_pair pair = ir_attr_at(f, o, i);
        if (without_bits && pair.key == KEY_bits)
            continue;
        sb_puts(p->out, open ? ", " : " {");
        put_attr(p, pair);
        open = true;
    }
    if (open)
        sb_putc(p->out, '}');
}

/* ---- locations ---- */
static void list_loc(printer *p, ir_loc loc)
{
    uint32_t n = 0;
    VEC(ir_loc) chain = {0};
    for (; loc.id && !map_get(&p->locs, loc.id, &n); loc = ir_loc_get(p->m, loc).inlined_at)
        vec_push(p->out->a, &chain, loc);
    while (chain.n) {
        ir_loc l = vec_pop(&chain);
        ir_loc_data d = ir_loc_get(p->m, l);
        map_set(&p->locs, l.id, ++p->nlocs);
        sb_putf(p->out, "loc @%" PRIu32 " = ", p->nlocs);
        sb_put_quoted(p->out, ir_loc_file(p->m, l), "\\x");
        sb_putf(p->out, ":%" PRIu32 ":%" PRIu32, d.line, d.col);
        if (d.inlined_at.id && map_get(&p->locs, d.inlined_at.id, &n))
            sb_putf(p->out, " at @%" PRIu32, n);
        sb_putc(p->out, '\n');
    }
}

static void list_locs_of(printer *p, const ir_func *f, ir_region r)
{
    FOR_OPS(f, r, o)
    {
        list_loc(p, ir_o(f, o)->loc);
        for (uint32_t i = 0; i < ir_o(f, o)->nregions; i++)
            list_locs_of(p, f, ir_op_region(f, o, i));
    }
}

static void put_loc(const printer *p, ir_loc loc)
{
    uint32_t n;
    if (loc.id && map_get(&p->locs, loc.id, &n))
        sb_putf(p->out, " @%" PRIu32, n);
}

/* ---- ops ---- */
static void put_region(printer *p, ir_region r, int depth);

static void indent(const printer *p, int depth)
{
    for (int i = 0; i < depth; i++)
        sb_puts(p->out, "  ");
}

static void put_typed_params(printer *p, ir_region r)
{
    for (uint32_t i = 0; i < ir_nparams(p->f, r); i++) {
        ir_val v = ir_param_of(p->f, r, i);
        sb_puts(p->out, i ? ", " : "");
        put_value(p, v);
        sb_puts(p->out, ": ");
        put_type(p, ir_vtype(p->f, v));
    }
}

/* an op without its regions */
static void put_op_head(printer *p, ir_op o)
{
    const ir_func *f = p->f;
    const ir_op_data *d = ir_o(f, o);
    bool literal = false;
    for (uint32_t i = 0; i < d->nout; i++) {
        sb_puts(p->out, i ? ", " : "");
        put_value(p, ir_out(f, o, i));
    }
    sb_putf(p->out, "%s%s", d->nout ? " = " : "", d->code && d->code < IR_CODE_COUNT ? ir_ops[d->code].name : "?");
    if (d->code == IR_OP_const && d->nout == 1 && ir_has(f, o, KEY_bits)) {
        dtype dt = ir_type_dt(p->m, ir_vtype(f, ir_out(f, o, 0)));
        literal = dt != DT_NONE;
        if (literal) {
            sb_putc(p->out, ' ');
            put_number(p->out, dt, (uint64_t)ir_int(f, o, KEY_bits, 0));
        }
    }
    for (uint32_t i = 0; i < d->nin; i++) {
        sb_puts(p->out, i ? ", " : " ");
        put_value(p, ir_in(f, o, i));
    }
    put_attrs(p, o, literal);
    for (uint32_t i = 0; i < d->nout; i++) {
        sb_puts(p->out, i ? ", " : " : ");
        put_type(p, ir_vtype(f, ir_out(f, o, i)));
    }
}

static void put_op(printer *p, ir_op o, int depth)
{
    const ir_op_data *d = ir_o(p->f, o);
    indent(p, depth);
    put_op_head(p, o);
    put_loc(p, d->loc);
    if (p->odd[o.id])
        sb_putf(p->out, " !%" PRIu32, d->origin);
    for (uint32_t i = 0; i < ir_o(p->f, o)->nregions; i++)
        put_region(p, ir_op_region(p->f, o, i), depth);
    sb_putc(p->out, '\n');
}

static void put_region(printer *p, ir_region r, int depth)
{
    sb_puts(p->out, " {\n");
    if (r.id != p->f->body.id && ir_nparams(p->f, r)) {
        indent(p, depth + 1);
        sb_putc(p->out, '(');
        put_typed_params(p, r);
        sb_puts(p->out, ")\n");
    }
    FOR_OPS(p->f, r, o)
    put_op(p, o, depth + 1);
    indent(p, depth);
    sb_putc(p->out, '}');
}

/* ---- functions ---- */
static void put_item(strbuf *out, bool *open, const char *text)
{
    sb_puts(out, *open ? ", " : " {");
    sb_puts(out, text);
    *open = true;
}

static void put_param_item(strbuf *out, bool *open, const char *key, int64_t v)
{
    put_item(out, open, key);
    sb_putf(out, " = %" PRId64, v);
}

static void put_param(printer *p, uint32_t i)
{
    const ir_func *f = p->f;
    const ir_param *q = &f->params.at[i];
    ir_val v = ir_param_of(f, f->body, i);
    bool open = false;
    put_value(p, v);
    sb_puts(p->out, ": ");
    put_type(p, ir_vtype(f, v));
    if (q->name.n && !(p->name[v.id] & NAMED)) {
        put_item(p->out, &open, "name = ");
        sb_put_quoted(p->out, q->name, "\\x");
    }
    if (q->arg != (int)i)
        put_param_item(p->out, &open, "arg", q->arg);
    if (q->flags & PARAM_STATIC)
        put_item(p->out, &open, "static");
    if (q->flags & PARAM_SCRATCH)
        put_item(p->out, &open, "scratch");
    if (q->flags & PARAM_SCRATCH_ZERO)
        put_item(p->out, &open, "scratch_zero");
    if (q->flags & PARAM_WRITTEN)
        put_item(p->out, &open, "written");
    if (q->flags & PARAM_NOALIAS)
        put_item(p->out, &open, "noalias");
    if (q->flags & PARAM_EXTENT)
        put_item(p->out, &open, "extent");
    if (q->align)
        put_param_item(p->out, &open, "align", q->align);
    if (q->div)
        put_param_item(p->out, &open, "div", q->div);
    if (q->lo <= q->hi) {
        put_param_item(p->out, &open, "lo", q->lo);
        put_param_item(p->out, &open, "hi", q->hi);
    }
    if (open)
        sb_putc(p->out, '}');
}

static uint32_t last_origin(const ir_func *f)
{
    uint32_t last = 0;
    for (uint32_t i = 1; i < f->ops.n; i++)
        if (f->ops.at[i].parent.id && f->ops.at[i].origin > last)
            last = f->ops.at[i].origin;
    return last;
}

static void put_func_items(const printer *p, const ir_func *f)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        {"num_warps", f->num_warps},
        {"num_stages", f->num_stages},
        {"num_ctas", f->num_ctas},
        {"waves_per_eu", f->waves_per_eu},
        {"next_origin", f->next_origin == last_origin(f) + 1 ? 0 : (int64_t)f->next_origin},
    };
    if (f->has_grid)
        sb_puts(p->out, " grid");
    if (f->cooperative)
        sb_puts(p->out, " cooperative");
    if (f->persistent)
        sb_puts(p->out, " persistent");
    if (f->host.n) {
        sb_puts(p->out, " host=");
        put_symbol(p->out, f->host);
    }
    for (size_t i = 0; i < COUNTOF(numbers); i++)
        if (numbers[i].value)
            sb_putf(p->out, " %s=%" PRId64, numbers[i].name, numbers[i].value);
}

static void put_func(printer *p, const ir_func *f)
{
    static const char *const kinds[] = {[FUNC_KERNEL] = "kernel", [FUNC_FN] = "fn", [FUNC_HOST] = "host"};
    list_loc(p, f->loc);
    list_locs_of(p, f, f->body);
    number_func(p, f);
    sb_putf(p->out, "%s ", kinds[f->kind]);
    put_symbol(p->out, f->name);
    sb_putc(p->out, '(');
    for (uint32_t i = 0; i < f->params.n; i++) {
        sb_puts(p->out, i ? ", " : "");
        put_param(p, i);
    }
    sb_putc(p->out, ')');
    for (uint32_t i = 0; i < f->results.n; i++) {
        sb_puts(p->out, i ? ", " : " -> (");
        put_type(p, f->results.at[i]);
    }
    sb_puts(p->out, f->results.n ? ")" : "");
    put_func_items(p, f);
    put_loc(p, f->loc);
    put_region(p, f->body, 0);
    sb_putc(p->out, '\n');
}

void ir_print_func(const ir_func *f, strbuf *out)
{
    printer p = {.m = f->m, .out = out};
    map_init(&p.locs, out->a);
    put_func(&p, f);
}

/* the layouts that the functions printed use, a line each */
static void put_layouts(const printer *p, strbuf *out)
{
    for (uint32_t i = 0; i < p->listed.n; i++) {
        sb_putf(out, "#%" PRIu32 " = ", i + 1);
        ir_layout_print(p->m, p->listed.at[i], out);
        sb_putc(out, '\n');
    }
}

void ir_print_module(const ir_module *m, strbuf *out)
{
    strbuf funcs; /* a laid-out module's text waits behind the layouts it uses */
    map64 layouts;
    bool laid = m->stage == LAID;
    sb_init(&funcs, out->a);
    map_init(&layouts, out->a);
    printer p = {.m = m, .out = laid ? &funcs : out, .layouts = laid ? &layouts : NULL};
    map_init(&p.locs, out->a);
    sb_putf(out, "tile-ir 1 stage=%s target=", laid ? "laid" : "tir");
    if (!m->target.n)
        sb_puts(out, "any");
    else if (is_plain(m->target, ":-") && !str_eq(m->target, S("any")))
        sb_put(out, m->target);
    else
        sb_put_quoted(out, m->target, "\\x");
    sb_putc(out, '\n');
    for (uint32_t i = 0; i < m->funcs.n; i++)
        put_func(&p, m->funcs.at[i]);
    if (laid) {
        put_layouts(&p, out);
        sb_put(out, sb_str(&funcs));
    }
}

void ir_print_op(const ir_func *f, ir_op o, strbuf *out)
{
    printer p = {.m = f->m, .out = out};
    number_func(&p, f);
    put_op_head(&p, o);
}
