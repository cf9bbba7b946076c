/* ir_equal.h: structural equality of functions and modules, for tests of the text form and its fuzzer.
 *
 * Two functions are equal when their fields, regions and ops agree one by one, values being matched by where they are
 * defined: ids may differ. Types, attributes and locations are compared by meaning, as each function may have a module
 * of its own. The first difference is named.
 */
#ifndef TILE_TESTS_IR_EQUAL_H
#define TILE_TESTS_IR_EQUAL_H

#include "compiler/ir.h"

#include <string.h>

typedef struct ir_equal {
    const ir_func *a, *b;
    uint32_t *match; /* by value id of a: the value of b */
    arena *s;
    const char *why;
} ir_equal;

static bool eq_fail(ir_equal *e, const char *why)
{
    if (!e->why)
        e->why = why;
    return false;
}

/* layouts by what they say: their numbers are the module's own */
static bool eq_type(ir_equal *e, ir_type x, ir_type y)
{
    const ir_type_info *t = ir_type_of(e->a->m, x), *u = ir_type_of(e->b->m, y);
    strbuf p, q;
    sb_init(&p, e->s);
    sb_init(&q, e->s);
    if (t->kind != u->kind || t->stages != u->stages || t->nparts != u->nparts || !t->layout.id != !u->layout.id)
        return eq_fail(e, "type");
    for (int i = 0; i < t->nparts; i++)
        if (!eq_type(e, t->parts[i], u->parts[i]))
            return false;
    if (t->layout.id) {
        ir_layout_print(e->a->m, t->layout, &p);
        ir_layout_print(e->b->m, u->layout, &q);
        if (t->rank != u->rank || memcmp(t->shape, u->shape, sizeof t->shape[0] * (size_t)t->rank) != 0)
            return eq_fail(e, "shape");
        x = t->elem;
        y = u->elem;
    }
    if (!t->nparts) {
        ir_type_print(e->a->m, x, &p);
        ir_type_print(e->b->m, y, &q);
    }
    return str_eq(sb_str(&p), sb_str(&q)) ? true : eq_fail(e, "type or layout");
}

static bool eq_loc(ir_equal *e, ir_loc x, ir_loc y)
{
    while (x.id && y.id) {
        ir_loc_data p = ir_loc_get(e->a->m, x), q = ir_loc_get(e->b->m, y);
        if (p.line != q.line || p.col != q.col || !str_eq(ir_loc_file(e->a->m, x), ir_loc_file(e->b->m, y)))
            return eq_fail(e, "location");
        x = p.inlined_at;
        y = q.inlined_at;
    }
    return x.id == y.id ? true : eq_fail(e, "depth of a location");
}

static bool eq_attrs(ir_equal *e, ir_op x, ir_op y)
{
    const ir_op_data *p = ir_o(e->a, x), *q = ir_o(e->b, y);
    if (p->nattr != q->nattr)
        return eq_fail(e, "number of attributes");
    for (uint32_t i = 0; i < p->nattr; i++) {
        ir_key key = (ir_key)e->a->pool.at[p->attrs + 2 * i];
        uint32_t n, k;
        const int64_t *u, *v;
        if (key != (ir_key)e->b->pool.at[q->attrs + 2 * i])
            return eq_fail(e, "attribute");
        switch (ir_keys[key].kind) {
        case AK_INT:
        case AK_ENUM:
            if (ir_int(e->a, x, key, 0) != ir_int(e->b, y, key, 0))
                return eq_fail(e, "integer attribute");
            break;
        case AK_INTS:
            u = ir_ints(e->a, x, key, &n);
            v = ir_ints(e->b, y, key, &k);
            if (n != k || (n && memcmp(u, v, n * sizeof *u) != 0))
                return eq_fail(e, "list attribute");
            break;
        case AK_STR:
            if (!str_eq(ir_text(e->a, x, key), ir_text(e->b, y, key)))
                return eq_fail(e, "text attribute");
            break;
        }
    }
    return true;
}

static bool eq_define(ir_equal *e, ir_val x, ir_val y)
{
    e->match[x.id] = y.id;
    return eq_type(e, ir_vtype(e->a, x), ir_vtype(e->b, y));
}

static bool eq_region(ir_equal *e, ir_region x, ir_region y);

static bool eq_op(ir_equal *e, ir_op x, ir_op y)
{
    const ir_op_data *p = ir_o(e->a, x), *q = ir_o(e->b, y);
    if (p->code != q->code || p->nin != q->nin || p->nout != q->nout || p->nregions != q->nregions)
        return eq_fail(e, "op or its counts");
    if (p->origin != q->origin)
        return eq_fail(e, "origin");
    for (uint32_t i = 0; i < p->nin; i++)
        if (e->match[ir_in(e->a, x, i).id] != ir_in(e->b, y, i).id)
            return eq_fail(e, "operand");
    for (uint32_t i = 0; i < p->nout; i++)
        if (!eq_define(e, ir_out(e->a, x, i), ir_out(e->b, y, i)))
            return false;
    for (uint32_t i = 0; i < p->nregions; i++)
        if (!eq_region(e, ir_op_region(e->a, x, i), ir_op_region(e->b, y, i)))
            return false;
    return eq_attrs(e, x, y) && eq_loc(e, p->loc, q->loc);
}

static bool eq_region(ir_equal *e, ir_region x, ir_region y)
{
    ir_op o = ir_first(e->a, x), u = ir_first(e->b, y);
    if (ir_nparams(e->a, x) != ir_nparams(e->b, y))
        return eq_fail(e, "number of parameters");
    for (uint32_t i = 0; i < ir_nparams(e->a, x); i++)
        if (!eq_define(e, ir_param_of(e->a, x, i), ir_param_of(e->b, y, i)))
            return false;
    for (; o.id && u.id; o = ir_next(e->a, o), u = ir_next(e->b, u))
        if (!eq_op(e, o, u))
            return false;
    return o.id == u.id || (o.id && u.id) ? true : eq_fail(e, "number of ops");
}

static bool eq_param(ir_equal *e, const ir_param *p, const ir_param *q)
{
    bool range = (p->lo > p->hi && q->lo > q->hi) || (p->lo == q->lo && p->hi == q->hi);
    if (!str_eq(p->name, q->name) || p->arg != q->arg || p->flags != q->flags || p->align != q->align ||
        p->div != q->div || !range)
        return eq_fail(e, "property of a parameter");
    return true;
}

/* NULL when equal, else what differs first */
static inline const char *ir_func_differs(const ir_func *a, const ir_func *b, arena *s)
{
    ir_equal e = {.a = a, .b = b, .s = s};
    e.match = ARENA_ARRAY(s, uint32_t, a->vals.n + 1);
    if (a->kind != b->kind || !str_eq(a->name, b->name) || !str_eq(a->host, b->host))
        return "kind or name";
    if (a->has_grid != b->has_grid || a->cooperative != b->cooperative || a->persistent != b->persistent ||
        a->num_warps != b->num_warps || a->num_stages != b->num_stages || a->num_ctas != b->num_ctas ||
        a->waves_per_eu != b->waves_per_eu || a->next_origin != b->next_origin)
        return "property of the function";
    if (a->params.n != b->params.n || a->results.n != b->results.n)
        return "number of parameters or results";
    for (uint32_t i = 0; i < a->params.n; i++)
        if (!eq_param(&e, &a->params.at[i], &b->params.at[i]))
            return e.why;
    for (uint32_t i = 0; i < a->results.n; i++)
        if (!eq_type(&e, a->results.at[i], b->results.at[i]))
            return "type of a result";
    return eq_loc(&e, a->loc, b->loc) && eq_region(&e, a->body, b->body) ? NULL : e.why;
}

static inline const char *ir_module_differs(const ir_module *a, const ir_module *b, arena *s)
{
    const char *why = NULL;
    if (a->stage != b->stage || !str_eq(a->target, b->target) || a->funcs.n != b->funcs.n)
        return "stage, target or number of functions";
    for (uint32_t i = 0; i < a->funcs.n && !why; i++)
        why = ir_func_differs(a->funcs.at[i], b->funcs.at[i], s);
    return why;
}

#endif
