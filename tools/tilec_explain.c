/* tilec_explain.c: `tilec explain`: what becomes of each line of a kernel on a target, and what bounds it.
 *
 * The figures of the bound are those of one core at nominal rates, which stand beside it: 3 GHz, two multiply-adds of a
 * whole vector a cycle, 10 GB/s from memory. They tell which of the two ends a kernel, not how long it takes.
 */
#include "runtime/runtime.h"
#include "tools/tilec.h"

#include <stdio.h>

#define MAX_DEPTH 16 /* of loops that are summed up */
#define GHZ 3.0
#define GB_PER_S 10.0

typedef struct subject {
    tilec *t;
    const tile_backend *backend;
    backend_target target;
    str name;
    ir_module *m; /* as lowered */
    ir_func *k;
    axis_guard_list guards;
    cpu_facts facts;
} subject;

typedef struct sums {
    int64_t read, written, flops;
} sums;

static sums sum_of(const cpu_facts *f, int depth)
{
    sums s = {0};
    for (uint32_t i = 0; i < f->list.n; i++) {
        const cpu_fact *x = &f->list.at[i];
        if (x->depth != depth)
            continue;
        s.read += x->bytes_read;
        s.written += x->bytes_written;
        s.flops += x->flops;
    }
    return s;
}

/* "memory" or "arithmetic"; us: the time of the longer, one core */
static const char *bound_of(const subject *s, const sums *x, double *us)
{
    double bytes = (double)(x->read + x->written) / (GB_PER_S * 1e3);
    double work = (double)x->flops / (GHZ * 1e3 * 2 * 2 * s->facts.vector_bytes / 4);
    *us = bytes > work ? bytes : work;
    return bytes > work ? "memory" : "arithmetic";
}

static bool same_line(const cpu_fact *a, const cpu_fact *b)
{
    return a->line == b->line && str_eq(a->file, b->file) && a->depth == b->depth &&
           str_eq(str_of(a->what), str_of(b->what)) && str_eq(str_of(a->how), str_of(b->how)) &&
           str_eq(a->why, b->why) && a->lanes == b->lanes;
}

/* equal ops of one line are told once, with their sums */
static void join(cpu_facts *f)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->list.n; i++) {
        cpu_fact *x = &f->list.at[i];
        uint32_t k = 0;
        while (k < n && !same_line(&f->list.at[k], x))
            k++;
        if (k == n)
            f->list.at[n++] = *x;
        else {
            f->list.at[k].bytes_read += x->bytes_read;
            f->list.at[k].bytes_written += x->bytes_written;
            f->list.at[k].flops += x->flops;
        }
    }
    f->list.n = n;
}

static void show_fact(const subject *s, const cpu_fact *x)
{
    char place[300], bits[64] = "";
    int size = x->lanes > 1 ? s->facts.vector_bytes : 0;
    snprintf(place, sizeof place, "%.*s:%u", STR_ARG(x->file), x->line);
    if (size)
        snprintf(bits, sizeof bits, "%d lanes, ", x->lanes);
    printf("  %-20s %*s%-8s %s%s", x->line ? place : "", 2 * x->depth, "", x->what, bits, x->how);
    if (x->bytes_read)
        printf(", reads %lld bytes", (long long)x->bytes_read);
    if (x->bytes_written)
        printf(", writes %lld bytes", (long long)x->bytes_written);
    if (x->flops)
        printf(", %lld flop", (long long)x->flops);
    if (x->why.n)
        printf(" (%s%.*s)", x->vectorised ? "" : "not vectorised: ", STR_ARG(x->why));
    printf("\n");
}

static void show_sums(const subject *s, const char *what, int depth)
{
    double us;
    sums x = sum_of(&s->facts, depth);
    const char *bound = bound_of(s, &x, &us);
    if (x.read + x.written + x.flops == 0)
        return;
    printf("  %-20s reads %lld, writes %lld bytes, %lld flop; bound by %s: %.3g us a core (%g GHz, %g GB/s)\n", what,
           (long long)x.read, (long long)x.written, (long long)x.flops, bound, us, GHZ, GB_PER_S);
}

static void show(const subject *s)
{
    printf("kernel %.*s for %.*s: vectors of %d bytes, %lld bytes of tiles in memory a thread\n", STR_ARG(s->name),
           STR_ARG(s->target.name), s->facts.vector_bytes, (long long)s->facts.buffer_bytes);
    for (uint32_t i = 0; i < s->facts.list.n; i++)
        show_fact(s, &s->facts.list.at[i]);
    show_sums(s, "a program", 0);
    for (int depth = 1; depth <= MAX_DEPTH; depth++) {
        char what[40];
        snprintf(what, sizeof what, depth == 1 ? "a turn of a loop" : "a turn, %d loops deep", depth);
        show_sums(s, what, depth);
    }
    if (s->guards.n)
        printf("  indices are computed in 32 bits where\n");
    for (uint32_t i = 0; i < s->guards.n; i++)
        printf("    %.*s\n", STR_ARG(s->guards.at[i].text));
}

static void put_text(strbuf *b, const char *key, str s)
{
    sb_putf(b, "\"%s\": ", key);
    sb_put_quoted(b, s, "\\u00");
}

static void show_json(const subject *s)
{
    strbuf b;
    sb_init(&b, s->t->a);
    for (uint32_t i = 0; i < s->facts.list.n; i++) {
        const cpu_fact *x = &s->facts.list.at[i];
        sb_puts(&b, "{");
        put_text(&b, "kernel", s->name);
        sb_puts(&b, ", ");
        put_text(&b, "target", s->target.name);
        sb_puts(&b, ", ");
        put_text(&b, "file", x->file);
        sb_putf(&b, ", \"line\": %u, \"depth\": %d, ", x->line, x->depth);
        put_text(&b, "op", str_of(x->what));
        sb_puts(&b, ", ");
        put_text(&b, "how", str_of(x->how));
        sb_puts(&b, ", ");
        put_text(&b, "why", x->why);
        sb_putf(
            &b,
            ", \"vectorised\": %s, \"lanes\": %d, \"bytes_read\": %lld, \"bytes_written\": %lld, \"flops\": %lld}\n",
            x->vectorised ? "true" : "false", x->lanes, (long long)x->bytes_read, (long long)x->bytes_written,
            (long long)x->flops);
    }
    for (uint32_t i = 0; i < s->guards.n; i++) {
        sb_puts(&b, "{");
        put_text(&b, "kernel", s->name);
        sb_puts(&b, ", ");
        put_text(&b, "guard", s->guards.at[i].text);
        sb_puts(&b, "}\n");
    }
    fwrite(b.at ? b.at : "", 1, b.n, stdout);
}

/* k of m, which holds it as lowered */
static bool explain_kernel(subject *s)
{
    tilec *t = s->t;
    pass_options opt = {.checked = tilec_has(t, OPT_CHECKED), .narrow = true};
    ir_func *guards;
    bool *written = ARENA_ARRAY(t->a, bool, (size_t)s->k->params.n + 1);
    if (!rt_analyse(t->a, &t->d, s->m, s->k, written, &guards, &s->guards))
        return false;
    opt.narrow = guards != NULL;
    if (!compile_passes(s->m, &t->d, s->backend, &s->target, &opt))
        return false;
    if (!cpu_explain(t->a, ir_module_find(s->m, s->k->name), &s->target, &s->facts, &t->d))
        return false;
    join(&s->facts);
    if (tilec_has(t, OPT_JSON))
        show_json(s);
    else
        show(s);
    return true;
}

static bool explain_source(subject *s, str path, str text, const fe_binding *bind)
{
    tilec *t = s->t;
    fe_options front = tilec_front(t);
    fe_unit *u = fe_load(t->a, &t->d, path, text, &front);
    bool found = false;
    if (!u || t->d.errors || !choice_check_names(&t->d, u, bind, t->defines.n))
        return false;
    for (uint32_t i = 0; i < fe_kernel_count(u); i++) {
        const fe_kernel *k = fe_kernel_at(u, i);
        choice_list c;
        str ir_name;
        if (tilec_has(t, OPT_KERNEL) && !str_eq(k->name, t->opt[OPT_KERNEL]))
            continue;
        found = true;
        choice_init(t->a, &c, k, bind, t->defines.n, s->backend->family, 0);
        choice_open_generics(t->a, &c, k);
        subject one = *s;
        one.name = k->name;
        one.m = compile_lower(t->a, &t->d, u, k->name, choice_done(&c), &ir_name);
        one.k = one.m ? ir_module_find(one.m, ir_name) : NULL;
        if (!one.k || !explain_kernel(&one))
            return false;
    }
    if (!found && tilec_has(t, OPT_KERNEL))
        diag_report(&t->d, DIAG_ERROR, "request", (span){0}, "no kernel '%.*s' in this file",
                    STR_ARG(t->opt[OPT_KERNEL]));
    else if (!found)
        diag_report(&t->d, DIAG_ERROR, "request", (span){0}, "this file has no kernel");
    return found;
}

static bool explain_ir(subject *s, str path, str text)
{
    tilec *t = s->t;
    s->m = ir_read(t->a, &t->d, path, text);
    const ir_func *k = s->m ? choice_kernel(&t->d, s->m, t->opt[OPT_KERNEL]) : NULL;
    if (!k)
        return false;
    s->k = ir_module_find(s->m, k->name);
    s->name = k->name;
    return explain_kernel(s);
}

int tilec_explain(tilec *t)
{
    subject s = {.t = t};
    str text, target = tilec_has(t, OPT_TARGET) ? t->opt[OPT_TARGET] : S("cpu");
    fe_binding *bind;
    if (t->words.n != 1)
        return tilec_say(EXIT_USAGE, "explain needs one file, found %u", t->words.n);
    s.backend = backend_find(target, &s.target, t->a);
    if (!s.backend && backend_missing())
        return tilec_say(EXIT_DEVICE, "%s", backend_missing());
    if (!s.backend)
        return tilec_say(EXIT_USAGE, "unknown target '%.*s' (see tilec targets)", STR_ARG(target));
    if (!str_eq(str_of(s.backend->family), S("cpu")))
        return tilec_say(EXIT_USAGE, "explain tells of cpu targets only, found '%.*s'", STR_ARG(target));
    if (!tilec_bindings(t, &bind))
        return EXIT_USAGE;
    if (compile_input_of(t->words.at[0]) == INPUT_LLVM)
        return tilec_say(EXIT_USER, "'%.*s' is past that stage", STR_ARG(t->words.at[0]));
    if (!tilec_read(t, t->words.at[0], &text))
        return EXIT_USER;
    bool ok = compile_input_of(t->words.at[0]) == INPUT_IR ? explain_ir(&s, t->words.at[0], text)
                                                           : explain_source(&s, t->words.at[0], text, bind);
    if (tilec_diags(t, EXIT_DONE) != EXIT_DONE)
        return EXIT_USER;
    if (!ok)
        bug("explain of '%.*s' failed without a diagnostic", STR_ARG(t->words.at[0]));
    return EXIT_DONE;
}
