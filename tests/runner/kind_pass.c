/* kind_pass.c: `pass NAME[,NAME..] [narrow] [unchecked]`: IR before, then after `// expect:` the whole module as it
 * must print afterwards, each line behind "// ".
 *
 *   // fact: n one            // fact: n div=16      // fact: n value=5      // fact: n range=0..1023
 *   // fact: p align=16       // fact: q same=p      // fact: t stride_one   facts of a launch for pass specialise
 *   // run: KERNEL ARG=VALUE ..    one program in the interpreter gives the same bits before and after
 */
#include "tests/runner/runner.h"

#include "runtime/session.h"

#include <stdlib.h>
#include <string.h>

static int64_t number(str s)
{
    char buf[32] = {0};
    memcpy(buf, s.p, s.n < 31 ? s.n : 31);
    return strtoll(buf, NULL, 0);
}

static str after(str s, size_t n)
{
    return (str){s.p + n, s.n - n};
}

static int param_index(const ir_module *m, str name)
{
    for (uint32_t i = 0; i < m->funcs.n; i++)
        for (uint32_t p = 0; m->funcs.at[i]->kind == FUNC_KERNEL && p < m->funcs.at[i]->params.n; p++)
            if (str_eq(m->funcs.at[i]->params.at[p].name, name))
                return (int)p;
    return -1;
}

static void read_fact(test *t, const ir_module *m, str line, spec_fact *facts)
{
    str name = text_word(&line), what = text_word(&line);
    int p = param_index(m, name);
    if (p < 0) {
        test_fail(t, "fact: no parameter '%.*s'", STR_ARG(name));
        return;
    }
    spec_fact *x = &facts[p];
    if (str_eq(what, S("one")))
        x->is_one = true;
    else if (str_eq(what, S("stride_one")))
        x->stride_one = true;
    else if (str_starts(what, S("div=")))
        x->div = number(after(what, 4));
    else if (str_starts(what, S("align=")))
        x->align = number(after(what, 6));
    else if (str_starts(what, S("same=")))
        x->same_as = param_index(m, after(what, 5));
    else if (str_starts(what, S("value="))) {
        x->is_known = true;
        x->value = number(after(what, 6));
    } else if (str_starts(what, S("range="))) {
        const char *dots = memmem(what.p, what.n, "..", 2);
        x->lo = number(after(what, 6));
        x->hi = dots ? number(after(what, (size_t)(dots - what.p) + 2)) : x->lo;
    } else
        test_fail(t, "fact: '%.*s' is not known", STR_ARG(what));
}

static const spec_fact *read_facts(test *t, const ir_module *m, str input)
{
    uint32_t most = 1;
    bool any = false;
    str line, value;
    for (uint32_t i = 0; i < m->funcs.n; i++)
        most = m->funcs.at[i]->params.n > most ? m->funcs.at[i]->params.n : most;
    spec_fact *facts = ARENA_ARRAY(t->a, spec_fact, most);
    for (uint32_t i = 0; i < most; i++)
        facts[i] = (spec_fact){.same_as = -1, .lo = 1, .hi = 0};
    for (size_t at = 0; text_line(input, &at, &line);)
        if (text_directive(t, line, "fact", &value)) {
            read_fact(t, m, value, facts);
            any = true;
        }
    return any ? facts : NULL;
}

static bool run_text(test *t, str args, str text, rt_session **out, tile_device *dev)
{
    rt_session_request q = {.path = S("pass.tir"), .text = str_cstr(t->a, text), .has_grid = true, .grid = {1, 1, 1}};
    VEC(str) list = {0};
    tile_error err;
    q.kernel = text_word(&args);
    while (args.n) {
        str w = text_word(&args);
        vec_push(t->a, &list, w);
    }
    q.args = list.at;
    q.nargs = list.n;
    *out = rt_session_open(dev, &q, &err);
    if (*out && rt_session_launch(*out, &err))
        return true;
    test_fail(t, "run: %s", err.text);
    return false;
}

/* both texts under the interpreter, all arrays compared */
static void same_results(test *t, str args, str before, str now)
{
    tile_error err;
    tile_device *dev = tile_device_open("interp", &err);
    rt_session *x = NULL, *y = NULL;
    if (!dev) {
        test_fail(t, "%s", err.text);
        return;
    }
    if (run_text(t, args, before, &x, dev) && run_text(t, args, now, &y, dev)) {
        str rest = args;
        (void)text_word(&rest);
        while (rest.n) {
            str w = text_word(&rest), name = {w.p, 0};
            while (name.n < w.n && w.p[name.n] != '=')
                name.n++;
            const npy_array *p = rt_session_array(x, name), *q = rt_session_array(y, name);
            if (p && memcmp(p->data, q->data, (size_t)p->count * (size_t)dt_bytes(p->dt)) != 0)
                test_fail(t, "run: '%.*s' differs before and after", STR_ARG(name));
        }
    }
    rt_session_close(x);
    rt_session_close(y);
    tile_device_close(dev);
}

static bool find_expect(test *t, str *input, str *golden)
{
    str line, value;
    for (size_t at = 0, beg = 0; text_line(t->text, &at, &line); beg = at)
        if (text_directive(t, str_fmt(t->a, "%.*s ", STR_ARG(line)), "expect", &value)) {
            *input = (str){t->text.p, beg};
            *golden = at < t->text.n ? after(t->text, at) : (str){0};
            return true;
        }
    *input = t->text;
    *golden = (str){0};
    return t->bless;
}

static str uncomment(test *t, str s)
{
    strbuf b;
    str line;
    sb_init(&b, t->a);
    for (size_t at = 0; text_line(s, &at, &line);)
        if (str_starts(line, t->mark)) {
            size_t skip = t->mark.n + (line.n > t->mark.n && line.p[t->mark.n] == ' ');
            sb_putf(&b, "%.*s\n", STR_ARG(after(line, skip)));
        }
    return sb_str(&b);
}

static str comment(test *t, str s)
{
    strbuf b;
    str line;
    sb_init(&b, t->a);
    for (size_t at = 0; text_line(s, &at, &line);)
        sb_putf(&b, "%.*s%s%.*s\n", STR_ARG(t->mark), line.n ? " " : "", STR_ARG(line));
    return sb_str(&b);
}

static bool parse_passes(test *t, str list, pass_id *ids, uint32_t *n)
{
    for (*n = 0; list.n && *n < 32;) {
        size_t k = 0;
        while (k < list.n && list.p[k] != ',')
            k++;
        ids[*n] = pass_by_name((str){list.p, k});
        if (ids[(*n)++] == PASS_NONE) {
            test_fail(t, "no pass '%.*s'", (int)k, list.p);
            return false;
        }
        list = after(list, k < list.n ? k + 1 : k);
    }
    return *n > 0;
}

static bool print_passed(test *t, const compile_request *q, str input, const pass_id *ids, uint32_t n, str *before,
                         str *now)
{
    diags d;
    strbuf x, y;
    pass_options opt = q->passes;
    diags_init(&d, t->a);
    ir_module *m = ir_read(t->a, &d, str_of(t->path), input);
    if (m) {
        sb_init(&x, t->a);
        ir_print_module(m, &x);
        *before = sb_str(&x);
        opt.facts = read_facts(t, m, input);
    }
    if (!m || !pass_run(m, &d, &opt, ids, n, NULL) || !ir_verify(m, &d)) {
        test_diags(t, &d);
        return false;
    }
    sb_init(&y, t->a);
    ir_print_module(m, &y);
    *now = sb_str(&y);
    return true;
}

void kind_pass(test *t)
{
    compile_request q;
    pass_id ids[32];
    uint32_t n;
    str args = t->args, list = text_word(&args), input, golden, before, now, line, value;
    if (!parse_passes(t, list, ids, &n) || !test_request(t, args, &q))
        return;
    if (!find_expect(t, &input, &golden)) {
        test_fail(t, "no '// expect:' (TILE_BLESS=1 writes it)");
        return;
    }
    if (!print_passed(t, &q, input, ids, n, &before, &now))
        return;
    if (t->bless)
        test_rewrite(
            t, str_of(t->path),
            str_fmt(t->a, "%.*s%.*s expect:\n%.*s", STR_ARG(input), STR_ARG(t->mark), STR_ARG(comment(t, now))));
    else
        test_equal(t, "after the passes", uncomment(t, golden), now);
    for (size_t at = 0; text_line(input, &at, &line);)
        if (text_directive(t, line, "run", &value))
            same_results(t, value, before, now);
}
