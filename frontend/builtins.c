/* builtins.c: finding builtins, binding arguments to signatures, and what handlers read their arguments with.
 *
 * A signature is text, read anew at each call (they are short): parameters separated by commas, synonyms by '|', a
 * default after '=', a parameter with '*' that takes what positional arguments are left (those after it go by keyword).
 * Defaults are None, True, False, integers, floats, 'words', and dtypes.
 */
#include "frontend/builtins.h"
#include "frontend/builtins_impl.h"

#include <stdlib.h>
#include <string.h>

#define BUILTIN(name, sig, fn, flags, doc) {#name, sig, flags, doc},
static const builtin_info infos[] = {
#include "frontend/builtins.def"
};
#undef BUILTIN

#define BUILTIN(name, sig, fn, flags, doc) fn,
static builtin_fn *const handlers[] = {
#include "frontend/builtins.def"
};
#undef BUILTIN
_Static_assert(COUNTOF(infos) == COUNTOF(handlers), "a handler a row");

int builtin_count(void) { return (int)COUNTOF(infos); }
const builtin_info *builtin_at(int row) { return &infos[row]; }

int builtin_find(str name)
{
    for (int i = 0; i < builtin_count(); i++)
        if (!(infos[i].flags & BI_TENSOR) && str_eq(str_of(infos[i].name), name))
            return i;
    return -1;
}

int builtin_find_method(str name, bool tensor)
{
    for (int i = 0; i < builtin_count(); i++)
        if ((infos[i].flags & (tensor ? BI_TENSOR : BI_METHOD)) && str_eq(str_of(infos[i].name), name))
            return i;
    return -1;
}

/* ---- signatures ---- */
typedef struct sig_param {
    str names; /* "a|b" */
    str dflt;  /* empty: required */
    bool var;
} sig_param;

static str trim(str s)
{
    while (s.n && s.p[0] == ' ')
        s.p++, s.n--;
    while (s.n && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

/* cuts *s at the first c: what stood before it; *s is what follows */
static str cut(str *s, char c)
{
    const char *at = s->n ? memchr(s->p, c, s->n) : NULL;
    str head = at ? (str){s->p, (size_t)(at - s->p)} : *s;
    *s = at ? (str){at + 1, s->n - head.n - 1} : (str){s->p + s->n, 0};
    return trim(head);
}

static int sig_parse(const char *text, sig_param out[BARGS_MAX])
{
    int n = 0;
    str s = str_of(text);
    while (s.n) {
        str one = cut(&s, ',');
        sig_param p = {0};
        p.names = cut(&one, '=');
        p.dflt = trim(one);
        p.var = p.names.p[0] == '*';
        if (p.var)
            p.names.p++, p.names.n--;
        if (n == BARGS_MAX)
            bug("signature '%s' is too long", text);
        out[n++] = p;
    }
    return n;
}

static bool sig_named(str names, str name)
{
    while (names.n)
        if (str_eq(cut(&names, '|'), name))
            return true;
    return false;
}

static fv sig_default(lower *l, str d)
{
    if (str_eq(d, S("None")))
        return fv_none();
    if (str_eq(d, S("True")) || str_eq(d, S("False")))
        return fv_bool(d.p[0] == 'T');
    if (d.p[0] == '\'')
        return fv_str((str){d.p + 1, d.n - 2});
    dtype dt = dtype_by_name(d);
    if (dt != DT_NONE)
        return fv_type(ir_type_num(l->m, dt));
    char buf[32] = {0};
    memcpy(buf, d.p, d.n < sizeof buf ? d.n : sizeof buf - 1);
    return memchr(buf, '.', sizeof buf) ? fv_float(strtod(buf, NULL)) : fv_int(strtol(buf, NULL, 10));
}

/* ---- binding ---- */
static str sig_first_name(str names) { return cut(&names, '|'); }

static void unknown_keyword(lower *l, const bargs *g, const sig_param *p, int n, const call_arg *a)
{
    str best = {0};
    unsigned dist = 3;
    for (int i = 0; i < n; i++) {
        str names = p[i].names;
        while (names.n) {
            str one = cut(&names, '|');
            unsigned d = str_distance(one, a->name, 2);
            if (d < dist) {
                dist = d;
                best = one;
            }
        }
    }
    low_error(l, D_UNKNOWN_KEYWORD, a->at, g->name, STR_ARG(a->name));
    if (best.n)
        low_note(l, a->at, "did you mean '%.*s'?", STR_ARG(best));
}

static bool bind_one(lower *l, bargs *g, int i, const call_arg *a, const sig_param *p)
{
    if (g->given[i]) {
        low_error(l, D_ARG_TWICE, a->at, g->name, STR_ARG(sig_first_name(p[i].names)));
        return false;
    }
    g->given[i] = true;
    g->v[i] = a->v;
    g->where[i] = a->at;
    return true;
}

static bool bind_keyword(lower *l, bargs *g, const sig_param *p, const call_arg *a)
{
    for (int i = 0; i < g->n; i++)
        if (!p[i].var && sig_named(p[i].names, a->name))
            return bind_one(l, g, i, a, p);
    unknown_keyword(l, g, p, g->n, a);
    return false;
}

static bool bind_args(lower *l, bargs *g, const sig_param *p, const call_arg *args, uint32_t n)
{
    int next = 0, fixed = 0;
    while (fixed < g->n && !p[fixed].var)
        fixed++;
    for (uint32_t i = 0; i < n; i++) {
        if (args[i].name.n) {
            if (!bind_keyword(l, g, p, &args[i]))
                return false;
        } else if (next < fixed) {
            if (g->given[next] && fixed < g->n)
                break;
            if (!bind_one(l, g, next++, &args[i], p))
                return false;
        } else if (fixed < g->n) {
            g->var = g->nvar ? g->var : &args[i];
            g->nvar++;
        } else {
            low_error(l, D_TOO_MANY_ARGS, args[i].at, g->name, fixed, n);
            return false;
        }
    }
    if (fixed < g->n)
        g->v[fixed] = (fv){.kind = FV_NONE}; /* the variadic's values are in g->var */
    for (int i = 0; i < g->n; i++) {
        if (g->given[i] || i == fixed)
            continue;
        g->where[i] = g->at;
        if (!p[i].dflt.n) {
            low_error(l, D_MISSING_ARG, g->at, g->name, STR_ARG(sig_first_name(p[i].names)));
            return false;
        }
        g->v[i] = sig_default(l, p[i].dflt);
    }
    return true;
}

static bool any_poison(const bargs *g)
{
    for (int i = 0; i < g->n; i++)
        if (fv_has_poison(g->v[i]))
            return true;
    for (uint32_t i = 0; i < g->nvar; i++)
        if (fv_has_poison(g->var[i].v))
            return true;
    return false;
}

fv builtin_call(lower *l, int row, const fv *self, const call_arg *args, uint32_t n, span at)
{
    const builtin_info *bi = &infos[row];
    bargs g = {.row = row, .name = bi->name, .at = at};
    sig_param p[BARGS_MAX];
    g.n = sig_parse(bi->sig, p);
    if (self) {
        call_arg *all = ARENA_ARRAY(l->a, call_arg, n + 1);
        all[0] = (call_arg){.v = *self, .at = at};
        if (n)
            memcpy(all + 1, args, n * sizeof *args);
        args = all;
        n++;
    }
    if (!bind_args(l, &g, p, args, n) || any_poison(&g))
        return fv_poison();
    if (!(bi->flags & BI_PURE) && (l->fx->host || l->fx->pure))
        return low_error(l, l->fx->host ? D_NOT_ON_HOST : D_NOT_IN_COMBINE, at, bi->name);
    low_place(l, at);
    return handlers[row](l, &g);
}

/* ---- reading arguments ---- */
bool arg_is_none(const bargs *g, int i) { return g->v[i].kind == FV_NONE; }

static fv wrong(lower *l, const bargs *g, int i, const char *want)
{
    return low_error(l, D_ARG_TYPE, g->where[i], g->name, want, STR_ARG(low_say(l, g->v[i])));
}

fv arg_value(lower *l, bargs *g, int i)
{
    fv v = g->v[i];
    if (v.kind != FV_RT && v.kind != FV_NUM)
        return wrong(l, g, i, "a value");
    return low_runtime(l, v, g->where[i]);
}

fv arg_number(lower *l, bargs *g, int i)
{
    fv v = g->v[i];
    if (v.kind == FV_NUM ? v.num.kind == CONST_BOOL : v.kind != FV_RT || low_is_ptr(l, v) || low_dt(l, v) == DT_BOOL)
        return wrong(l, g, i, "a number");
    if (v.kind == FV_RT && dt_is_f8(low_dt(l, v)))
        return low_error(l, D_F8_ARITH, g->where[i], g->name, dtypes[low_dt(l, v)].name);
    return low_runtime(l, v, g->where[i]);
}

fv arg_float(lower *l, bargs *g, int i)
{
    fv v = g->v[i];
    if (v.kind == FV_NUM && v.num.kind == CONST_INT)
        return low_cast(l, v, DT_F32, g->where[i]);
    if (v.kind == FV_RT && !low_is_ptr(l, v) && dt_is_int(low_dt(l, v)))
        return wrong(l, g, i, "a float");
    return arg_number(l, g, i);
}

fv arg_tile(lower *l, bargs *g, int i)
{
    if (g->v[i].kind != FV_RT || low_rank(l, g->v[i]) == 0)
        return wrong(l, g, i, "a tile");
    return g->v[i];
}

bool arg_int(lower *l, bargs *g, int i, int64_t lo, int64_t hi, int64_t *out)
{
    fv v = g->v[i];
    if (!fv_is_const_int(v)) {
        wrong(l, g, i, "a compile-time integer");
        return false;
    }
    if (v.num.i < lo || v.num.i > hi) {
        low_error(l, D_ARG_RANGE, g->where[i], g->name, (long long)lo, (long long)hi, STR_ARG(const_text(l->a, v.num)));
        return false;
    }
    *out = (int64_t)v.num.i;
    return true;
}

bool arg_bool(lower *l, bargs *g, int i, bool *out)
{
    fv v = g->v[i];
    if (v.kind != FV_NUM || v.num.kind == CONST_FLOAT) {
        wrong(l, g, i, "a compile-time bool");
        return false;
    }
    *out = const_truth(v.num);
    return true;
}

bool arg_str(lower *l, bargs *g, int i, str *out)
{
    if (g->v[i].kind != FV_STR) {
        wrong(l, g, i, "a string");
        return false;
    }
    *out = g->v[i].s;
    return true;
}

bool arg_dtype(lower *l, bargs *g, int i, dtype *out)
{
    fv v = g->v[i];
    if (v.kind != FV_TYPE || ir_type_of(l->m, v.type)->kind != TK_NUM) {
        wrong(l, g, i, "a dtype");
        return false;
    }
    *out = ir_type_dt(l->m, v.type);
    return true;
}

bool arg_axis(lower *l, bargs *g, int i, int rank, int *out)
{
    fv v = g->v[i];
    if (!fv_is_const_int(v)) {
        wrong(l, g, i, "a compile-time integer");
        return false;
    }
    i128 x = v.num.i < 0 ? v.num.i + rank : v.num.i;
    if (x < 0 || x >= rank) {
        low_error(l, D_AXIS, g->where[i], STR_ARG(const_text(l->a, v.num)), rank);
        return false;
    }
    *out = (int)x;
    return true;
}

bool arg_shape(lower *l, bargs *g, int i, int *rank, int64_t *shape)
{
    fv v = g->v[i];
    const fv *el = v.kind == FV_SEQ ? v.seq.at : &v;
    uint32_t n = v.kind == FV_SEQ ? v.seq.n : 1;
    if (n > IR_MAX_RANK) {
        low_error(l, D_RANK, g->where[i], (int)n, IR_MAX_RANK);
        return false;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (!fv_is_const_int(el[k])) {
            low_error(l, D_SHAPE_CONST, g->where[i], STR_ARG(low_say(l, el[k])));
            return false;
        }
        if (!const_int_fits_i64(el[k].num.i, &shape[k]))
            shape[k] = INT64_MAX;
    }
    *rank = (int)n;
    return low_check_shape(l, *rank, shape, g->where[i]);
}

bool arg_mask(lower *l, bargs *g, int i, int rank, const int64_t *shape, ir_val *out)
{
    *out = (ir_val){0};
    fv v = g->v[i];
    if (v.kind == FV_NONE || (fv_is_const_bool(v) && v.num.i))
        return true;
    if (v.kind == FV_NUM ? v.num.kind != CONST_BOOL : v.kind != FV_RT || low_dt(l, v) != DT_BOOL) {
        wrong(l, g, i, "a bool mask");
        return false;
    }
    v = low_broadcast(l, v, rank, shape, g->where[i]);
    *out = v.v;
    return v.kind != FV_POISON;
}

int64_t arg_enum(lower *l, bargs *g, int i, ir_key key)
{
    str s;
    if (g->v[i].kind == FV_NONE)
        return 0;
    if (!arg_str(l, g, i, &s))
        return -1;
    while (s.n && s.p[0] == '.')
        s.p++, s.n--;
    int64_t v = s.n ? ir_enum_value(key, s) : 0;
    if (v < 0)
        low_error(l, D_ARG_WORD, g->where[i], g->name, STR_ARG(s), ir_keys[key].name);
    return v;
}
