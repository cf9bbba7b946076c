/* aot_tables.c: the tables of aot.h and the visible functions of an ahead-of-time object, as LLVM text.
 *
 * A table is a private constant whose fields are all eight bytes: numbers, and addresses of others, so a flat list of
 * them has the layout of the C structs. A function puts its arguments into an array of words and calls the library:
 *
 *   int NAME__f16__HASH(..)   with its own instance
 *   int NAME(..)              with all that the linked file has of NAME: from __start_tile_aot_NAME to __stop_..
 *
 * Functions are weak, so the objects of one kernels' file may meet in one program.
 */
#include "runtime/aot_build.h"

typedef struct glue {
    aot_job *j;
    strbuf b;
    uint32_t n; /* constants so far: @t0 .. */
} glue;

/* one table in the making */
typedef struct fields {
    strbuf types, values;
} fields;

#define NO_TABLE UINT32_MAX

static fields begin(glue *g)
{
    fields f;
    sb_init(&f.types, g->j->a);
    sb_init(&f.values, g->j->a);
    return f;
}

static void comma(fields *f)
{
    if (f->types.n) {
        sb_puts(&f->types, ", ");
        sb_puts(&f->values, ", ");
    }
}

static void put_int(fields *f, int64_t x)
{
    comma(f);
    sb_puts(&f->types, "i64");
    sb_putf(&f->values, "i64 %lld", (long long)x);
}

static void put_table(fields *f, uint32_t t)
{
    comma(f);
    sb_puts(&f->types, "ptr");
    if (t == NO_TABLE)
        sb_puts(&f->values, "ptr null");
    else
        sb_putf(&f->values, "ptr @t%u", t);
}

static uint32_t end(glue *g, fields *f)
{
    if (f->types.n == 0)
        return NO_TABLE;
    sb_putf(&g->b, "@t%u = private constant { %.*s } { %.*s }, align 8\n", g->n, STR_ARG(sb_str(&f->types)),
            STR_ARG(sb_str(&f->values)));
    return g->n++;
}

static uint32_t bytes_table(glue *g, const void *p, size_t n)
{
    const unsigned char *at = p;
    if (n == 0)
        return NO_TABLE;
    sb_putf(&g->b, "@t%u = private constant [%zu x i8] c\"", g->n, n);
    for (size_t i = 0; i < n; i++)
        if (at[i] >= ' ' && at[i] < 127 && at[i] != '"' && at[i] != '\\')
            sb_putc(&g->b, (char)at[i]);
        else
            sb_putf(&g->b, "\\%02X", at[i]);
    sb_puts(&g->b, "\", align 8\n");
    return g->n++;
}

static void put_str(glue *g, fields *f, str s)
{
    put_table(f, bytes_table(g, s.p, s.n));
    put_int(f, (int64_t)s.n);
}

/* ---- the kernel ---- */

static int generic_of(const aot_made_kernel *k, const fe_param *p)
{
    for (uint32_t g = 0; g < k->fe->ngenerics; g++)
        if (p->generic.n && str_eq(k->fe->generics[g].name, p->generic))
            return (int)g;
    return -1;
}

static uint32_t params_table(glue *g, const aot_made_kernel *k)
{
    fields f = begin(g);
    for (uint32_t i = 0; i < k->nparams; i++) {
        const fe_param *p = k->params[i];
        put_str(g, &f, p->name);
        put_str(g, &f, p->type_text);
        put_int(&f, aot_param_kind(p));
        put_int(&f, p->dt);
        put_int(&f, generic_of(k, p));
        put_int(&f, p->pointers);
        put_int(&f, p->rank);
        put_int(&f, p->strided);
        put_int(&f, p->optional);
        put_int(&f, aot_param_is_float(k, p));
    }
    return end(g, &f);
}

static uint32_t generics_table(glue *g, const aot_made_kernel *k)
{
    fields f = begin(g);
    for (uint32_t i = 0; i < k->fe->ngenerics; i++) {
        const fe_generic *x = &k->fe->generics[i];
        bool by_tensor = false;
        for (uint32_t p = 0; p < k->nparams; p++)
            by_tensor |= k->params[p]->kind == FE_P_TENSOR && generic_of(k, k->params[p]) == (int)i;
        put_str(g, &f, x->name);
        put_table(&f, bytes_table(g, x->list, x->n * sizeof *x->list));
        put_int(&f, x->n);
        put_int(&f, by_tensor);
    }
    return end(g, &f);
}

static uint32_t kernel_table(glue *g, const aot_made_kernel *k)
{
    fields f = begin(g);
    put_int(&f, AOT_VERSION);
    put_int(&f, AOT_TABLES);
    put_str(g, &f, k->fe->name);
    put_int(&f, (int64_t)k->signature);
    put_table(&f, params_table(g, k));
    put_table(&f, generics_table(g, k));
    put_int(&f, k->nparams);
    put_int(&f, k->fe->ngenerics);
    return end(g, &f);
}

/* ---- an instance ---- */

static uint32_t host_table(glue *g, const host_code *h)
{
    fields f = begin(g), checks = begin(g), values = begin(g);
    if (!h)
        return NO_TABLE;
    for (uint32_t i = 0; i < h->nchecks; i++) {
        put_str(g, &checks, h->checks[i].place);
        put_str(g, &checks, h->checks[i].arg);
        put_str(g, &checks, h->checks[i].text);
        put_int(&checks, h->checks[i].dim);
    }
    for (uint32_t i = 0; i < h->nvalues; i++)
        put_int(&values, (int64_t)h->values[i]);
    put_table(&f, bytes_table(g, h->ops, h->nops * sizeof *h->ops));
    put_table(&f, end(g, &values));
    put_table(&f, end(g, &checks));
    put_table(&f, bytes_table(g, h->results, h->nresults * sizeof *h->results));
    put_int(&f, (int64_t)((uint64_t)h->nvalues << 32 | h->nops));
    put_int(&f, (int64_t)((uint64_t)h->nresults << 32 | h->nchecks));
    return end(g, &f);
}

static uint32_t slots_table(glue *g, const aot_made *m)
{
    fields f = begin(g);
    for (uint32_t i = 0; i < m->k->params.n; i++) {
        const ir_param *p = &m->k->params.at[i];
        const ir_type_info *t = ir_type_of(m->m, ir_vtype(m->k, ir_param_of(m->k, m->k->body, i)));
        put_str(g, &f, p->name);
        put_int(&f, m->param[i]);
        put_int(&f, t->kind == TK_TENSOR ? AOT_TENSOR : t->kind == TK_PTR ? AOT_POINTER : AOT_SCALAR);
        put_int(&f, t->dt);
        put_int(&f, t->kind == TK_TENSOR ? t->rank : 0);
        put_int(&f, t->kind == TK_TENSOR && t->strided);
        put_int(&f, m->written[i]);
        put_int(&f, (p->flags & PARAM_SCRATCH_ZERO) != 0);
    }
    return end(g, &f);
}

static uint32_t sizes_table(glue *g, const aot_made *m)
{
    fields f = begin(g);
    for (uint32_t i = 0; i < m->sizes.n; i++) {
        put_str(g, &f, m->sizes.at[i].name);
        put_int(&f, m->sizes.at[i].param);
        put_int(&f, m->sizes.at[i].dim);
        put_int(&f, m->sizes.at[i].value);
    }
    return end(g, &f);
}

static uint32_t consts_table(glue *g, const aot_made *m)
{
    fields f = begin(g);
    for (uint32_t i = 0; i < m->consts.n; i++) {
        put_str(g, &f, m->consts.at[i].name);
        put_str(g, &f, m->consts.at[i].value);
        put_int(&f, m->consts.at[i].given);
    }
    return end(g, &f);
}

static uint32_t levels_table(glue *g, const aot_made *m)
{
    fields f = begin(g);
    for (uint32_t i = 0; i < m->levels.n; i++) {
        const aot_made_level *l = &m->levels.at[i];
        fields codes = begin(g);
        for (uint32_t k = 0; k < l->codes.n; k++) {
            const aot_made_code *c = &l->codes.at[k];
            comma(&codes);
            sb_puts(&codes.types, "ptr");
            sb_putf(&codes.values, "ptr @\"%.*s\"", STR_ARG(g->j->names.at[c->object]));
            put_int(&codes, c->info.buffer_bytes);
            put_int(&codes, c->info.grain);
            put_int(&codes, c->info.ordered);
            put_int(&codes, c->narrow);
            put_int(&codes, c->fast);
            put_int(&codes, c->same[0]);
            put_int(&codes, c->same[1]);
        }
        put_str(g, &f, str_of(l->level->name));
        put_int(&f, (int64_t)l->level->needs);
        put_table(&f, end(g, &codes));
        put_int(&f, l->codes.n);
    }
    return end(g, &f);
}

static uint32_t instance_table(glue *g, const aot_made_kernel *k, const aot_made *m, uint32_t kernel)
{
    fields f = begin(g);
    put_table(&f, kernel);
    put_str(g, &f, m->symbol);
    put_table(&f, bytes_table(g, m->dtypes, k->fe->ngenerics * sizeof *m->dtypes));
    put_table(&f, bytes_table(g, m->absent, k->nparams));
    put_table(&f, sizes_table(g, m));
    put_table(&f, slots_table(g, m));
    put_table(&f, host_table(g, m->host_list));
    put_table(&f, host_table(g, m->guard_list));
    put_table(&f, levels_table(g, m));
    put_int(&f, m->sizes.n);
    put_int(&f, m->k->params.n);
    put_int(&f, m->levels.n);
    put_int(&f, abi_total_slots(m->k));
    put_int(&f, m->k->has_grid);
    put_int(&f, m->k->cooperative);
    put_table(&f, consts_table(g, m));
    put_int(&f, m->consts.n);
    return end(g, &f);
}

/* ---- functions ---- */

/* what a parameter is in a register */
static const char *llvm_type(const aot_made_kernel *k, const fe_param *p)
{
    return aot_param_kind(p) != AOT_SCALAR || p->optional ? "ptr" : aot_param_is_float(k, p) ? "double" : "i64";
}

static void put_function(glue *g, const aot_made_kernel *k, str name, uint32_t kernel, str first, str last)
{
    sb_putf(&g->b, "define weak i32 @\"%.*s\"(ptr %%s, ptr %%g", STR_ARG(name));
    for (uint32_t i = 0; i < k->nparams; i++)
        sb_putf(&g->b, ", %s %%a%u", llvm_type(k, k->params[i]), i);
    sb_putf(&g->b, ", ptr %%e) nounwind {\n  %%w = alloca [%u x i64], align 16\n", k->nparams + 1);
    for (uint32_t i = 0; i < k->nparams; i++)
        sb_putf(&g->b, "  %%p%u = getelementptr i64, ptr %%w, i64 %u\n  store %s %%a%u, ptr %%p%u, align 8\n", i, i,
                llvm_type(k, k->params[i]), i, i);
    sb_putf(&g->b,
            "  %%r = call i32 @tile_aot_launch_2(ptr @t%u, ptr %.*s, ptr %.*s, ptr %%s, ptr %%g, ptr %%w, ptr %%e)\n"
            "  ret i32 %%r\n}\n",
            kernel, STR_ARG(first), STR_ARG(last));
}

static void put_kernel(glue *g, const aot_made_kernel *k)
{
    arena *a = g->j->a;
    str name = k->fe->name;
    uint32_t kernel = kernel_table(g, k);
    sb_putf(&g->b,
            "@__start_tile_aot_%.*s = external hidden global ptr\n@__stop_tile_aot_%.*s = external hidden global ptr\n",
            STR_ARG(name), STR_ARG(name));
    for (uint32_t i = 0; i < k->instances.n; i++) {
        uint32_t t = instance_table(g, k, &k->instances.at[i], kernel);
        str at = str_fmt(a, "@\"%.*s.at\"", STR_ARG(k->instances.at[i].symbol));
        sb_putf(&g->b, "%.*s = internal constant ptr @t%u, section \"tile_aot_%.*s\", align 8\n", STR_ARG(at), t,
                STR_ARG(name));
        put_function(g, k, k->instances.at[i].symbol, kernel, at,
                     str_fmt(a, "getelementptr (i8, ptr %.*s, i64 8)", STR_ARG(at)));
    }
    sb_putf(&g->b,
            "@\"%.*s__linked\" = weak constant { ptr, ptr, ptr } { ptr @t%u, ptr @__start_tile_aot_%.*s, "
            "ptr @__stop_tile_aot_%.*s }, align 8\n",
            STR_ARG(name), kernel, STR_ARG(name), STR_ARG(name));
    put_function(g, k, name, kernel, str_fmt(a, "@__start_tile_aot_%.*s", STR_ARG(name)),
                 str_fmt(a, "@__stop_tile_aot_%.*s", STR_ARG(name)));
}

str aot_tables(aot_job *j)
{
    glue g = {.j = j};
    sb_init(&g.b, j->a);
    sb_puts(&g.b, "target triple = \"x86_64-unknown-linux-gnu\"\n"
                  "declare i32 @tile_aot_launch_2(ptr, ptr, ptr, ptr, ptr, ptr, ptr)\n");
    for (uint32_t i = 0; i < j->names.n; i++)
        sb_putf(&g.b, "declare void @\"%.*s\"(ptr, i64, i64, ptr)\n", STR_ARG(j->names.at[i]));
    for (uint32_t i = 0; i < j->kernels.n; i++)
        put_kernel(&g, &j->kernels.at[i]);
    return sb_str(&g.b);
}

#define EIGHTS(T, n) _Static_assert(sizeof(T) == 8 * (n), #T " is fields of eight bytes")
EIGHTS(aot_param, 12);
EIGHTS(aot_generic, 5);
EIGHTS(aot_kernel, 9);
EIGHTS(aot_slot, 9);
EIGHTS(aot_size, 5);
EIGHTS(aot_code, 8);
EIGHTS(aot_level, 5);
EIGHTS(aot_const, 5);
EIGHTS(aot_instance, 18);
EIGHTS(tile_linked, 3);
EIGHTS(host_code, 6);
EIGHTS(host_check, 7);
_Static_assert(sizeof(host_op) == 10 || sizeof(host_op) == 12, "host ops are plain bytes");
