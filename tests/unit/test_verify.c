/* test_verify.c: the IR verifier.
 *
 * Each file of tests/ir/verify and tests/ir/read holds wrong functions; a line with a fault ends in one or more
 *
 *   // error: part of the message        or        // error@3-33: part of the message, at these columns
 *
 * and the diagnostics must be exactly these. What text can't express (wrong links, ids out of range, too deep nesting)
 * is built here and broken by hand; and so is the placing of messages about functions that no text stands behind.
 */
#include "compiler/ir.h"
#include "compiler/layout.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const dirs[] = {"tests/ir/verify", "tests/ir/read", "tests/ir/laid"};

typedef struct fixture {
    arena a;
    diags d;
    ir_module *m;
    ir_func *f;
    ir_builder b;
    ir_val x;
} fixture;

/* fn @f(%x: i64), its builder open */
static fixture *open_func(void)
{
    fixture *t = calloc(1, sizeof *t);
    arena_init(&t->a, 0);
    diags_init(&t->d, &t->a);
    t->m = ir_module_new(&t->a);
    t->m->stage = TIR;
    t->f = ir_func_new(t->m, FUNC_FN, S("f"));
    t->x = ir_func_param(t->f, ir_type_num(t->m, DT_I64), S("x"), 0, 0);
    ir_module_add(t->m, t->f);
    ir_builder_init(&t->b, t->f, &t->a);
    t->b.fold = false;
    return t;
}

static void close_func(fixture *t)
{
    arena_fini(&t->a);
    free(t);
}

static const char *messages(fixture *t)
{
    strbuf b;
    sb_init(&b, &t->a);
    diags_render(&t->d, DIAG_SHORT, &b);
    return str_cstr(&t->a, sb_str(&b));
}

/* the module is refused, and a message holds `text` */
static void refused(fixture *t, const char *text)
{
    uint32_t before = t->d.errors;
    ck_assert(!ir_verify(t->m, &t->d));
    ck_assert_uint_gt(t->d.errors, before);
    ck_assert_msg(strstr(messages(t), text) != NULL, "no '%s' in:\n%s", text, messages(t));
}

/* ---- files of wrong functions ---- */
typedef struct expectation {
    uint32_t line, from, to; /* columns; 0 = any */
    str text;
    bool met;
} expectation;

typedef VEC(expectation) expectations;

static uint32_t number(const char **p)
{
    uint32_t n = 0;
    while (**p >= '0' && **p <= '9')
        n = n * 10 + (uint32_t)(*(*p)++ - '0');
    return n;
}

static void expect_of_line(arena *a, expectations *list, const char *at, const char *end, uint32_t line)
{
    static const char mark[] = "// error";
    while ((at = memmem(at, (size_t)(end - at), mark, strlen(mark))) != NULL) {
        expectation e = {.line = line};
        at += strlen(mark);
        if (*at == '@') {
            at++;
            e.from = number(&at);
            at += *at == '-';
            e.to = number(&at);
        }
        ck_assert_int_eq(*at, ':');
        at += 2;
        const char *stop = memmem(at, (size_t)(end - at), mark, strlen(mark));
        stop = stop ? stop : end;
        while (stop > at && stop[-1] == ' ')
            stop--;
        e.text = (str){at, (size_t)(stop - at)};
        vec_push(a, list, e);
    }
}

static void meet(diags *d, expectations *list, const diag *g, const char *path)
{
    uint32_t line, col, end_line, end_col;
    diags_place(d, g->at.file, g->at.beg, &line, &col);
    diags_place(d, g->at.file, g->at.end, &end_line, &end_col);
    for (uint32_t i = 0; i < list->n; i++) {
        expectation *e = &list->at[i];
        if (e->met || e->line != line || !memmem(g->text.p, g->text.n, e->text.p, e->text.n))
            continue;
        if (e->from)
            ck_assert_msg(e->from == col && e->to == end_col - 1, "%s:%u: columns %u-%u", path, line, col, end_col - 1);
        e->met = true;
        return;
    }
    ck_abort_msg("%s:%u:%u: not expected: %.*s", path, line, col, STR_ARG(g->text));
}

static uint32_t check_file(const char *path)
{
    arena a;
    diags d;
    str text, err;
    expectations list = {0};
    uint32_t line = 1;
    arena_init(&a, 0);
    diags_init(&d, &a);
    ck_assert_msg(file_read(&a, path, 0, &text, &err), "%.*s", STR_ARG(err));
    for (const char *p = text.p, *nl; p < text.p + text.n; p = nl + 1, line++) {
        nl = memchr(p, '\n', (size_t)(text.p + text.n - p));
        nl = nl ? nl : text.p + text.n;
        expect_of_line(&a, &list, p, nl, line);
    }
    ck_assert_msg(list.n > 0, "%s expects nothing", path);
    ck_assert_msg(ir_read(&a, &d, str_of(path), text) == NULL, "%s is accepted", path);
    for (uint32_t i = 0; i < d.list.n; i++)
        meet(&d, &list, &d.list.at[i], path);
    for (uint32_t i = 0; i < list.n; i++)
        ck_assert_msg(list.at[i].met, "%s:%u: missing: %.*s", path, list.at[i].line, STR_ARG(list.at[i].text));
    uint32_t n = list.n;
    arena_fini(&a);
    return n;
}

START_TEST(wrong_files)
{
    const char *path = dirs[_i];
    DIR *dir = opendir(path);
    uint32_t n = 0;
    ck_assert_msg(dir != NULL, "no folder %s: run from the top of the tree", path);
    for (struct dirent *e; (e = readdir(dir));) {
        char file[512];
        if (!strstr(e->d_name, ".tir"))
            continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        n += check_file(file);
    }
    closedir(dir);
    ck_assert_uint_gt(n, 150);
}
END_TEST

/* ---- broken by hand ---- */
START_TEST(sound)
{
    fixture *t = open_func();
    ir_val y = ir_bin(&t->b, IR_OP_add, t->x, t->x);
    ir_bin(&t->b, IR_OP_mul, y, t->x);
    ir_return(&t->b, NULL, 0);
    ck_assert(ir_verify(t->m, &t->d));
    ck_assert(ir_verify_func(t->f, &t->d));
    ck_assert_uint_eq(t->d.errors, 0);
    close_func(t);
}
END_TEST

/* what breaks a function that has %1 = add, then return; ops 1 and 2 */
typedef void breaker(fixture *t);

static void break_code(fixture *t)
{
    t->f->ops.at[1].code = IR_CODE_COUNT;
}
static void break_nop(fixture *t)
{
    t->f->ops.at[1].code = IR_NOP;
}
static void break_operand(fixture *t)
{
    t->f->pool.at[t->f->ops.at[1].in] = 999;
}
static void break_no_operand(fixture *t)
{
    t->f->pool.at[t->f->ops.at[1].in + 1] = 0;
}
static void break_later(fixture *t)
{
    t->f->pool.at[t->f->ops.at[1].in] = ir_out(t->f, (ir_op){1}, 0).id;
}
static void break_result(fixture *t)
{
    t->f->pool.at[t->f->ops.at[1].out] = t->x.id;
}
static void break_count(fixture *t)
{
    t->f->ops.at[1].nin = 1;
}
static void break_prev(fixture *t)
{
    t->f->ops.at[2].prev.id = 0;
}
static void break_parent(fixture *t)
{
    t->f->ops.at[1].parent.id = 0;
}
static void break_cycle(fixture *t)
{
    t->f->ops.at[2].next.id = 1;
}
static void break_last(fixture *t)
{
    t->f->regions.at[t->f->body.id].last.id = 1;
}
static void break_next(fixture *t)
{
    t->f->ops.at[2].next.id = 77;
}
static void break_type(fixture *t)
{
    t->f->vals.at[2].type.id = 0;
}
static void break_body(fixture *t)
{
    t->f->body.id = 0;
}
static void break_params(fixture *t)
{
    t->f->params.n = 0;
}
static void break_param_type(fixture *t)
{
    t->f->vals.at[t->x.id].type.id = 0;
}
static void break_param_place(fixture *t)
{
    t->f->vals.at[t->x.id].index = 1;
}
static void break_flags(fixture *t)
{
    t->f->params.at[0].flags = 1 << 20;
}
static void break_name(fixture *t)
{
    t->f->name = S("");
}
static void break_owner(fixture *t)
{
    t->f->regions.at[t->f->body.id].owner.id = 1;
}
static void break_result_type(fixture *t)
{
    vec_push(&t->a, &t->f->results, ((ir_type){0}));
}
static void break_twins(fixture *t)
{
    vec_push(&t->a, &t->m->funcs, t->f);
}

static void break_tensor_rank(fixture *t)
{
    int64_t shape[] = {4};
    ir_type y = ir_type_tensor(t->m, ir_type_num(t->m, DT_F32), 1, shape, false);
    ((ir_type_info *)(uintptr_t)ir_type_of(t->m, y))->rank = 9;
    t->f->vals.at[t->x.id].type = y;
}

static ir_type_info *tile_param(fixture *t)
{
    int64_t shape[] = {4, 4};
    ir_type y = ir_type_tile(t->m, ir_type_num(t->m, DT_F32), 2, shape);
    t->f->vals.at[t->x.id].type = y;
    return (ir_type_info *)(uintptr_t)ir_type_of(t->m, y);
}

static void break_tile_rank(fixture *t)
{
    tile_param(t)->rank = 0;
}
static void break_tile_extent(fixture *t)
{
    tile_param(t)->shape[1] = 0;
}
static void break_tile_count(fixture *t)
{
    tile_param(t)->shape[1] = IR_MAX_ELEMS;
}
static void break_layout(fixture *t)
{
    tile_param(t)->layout.id = 1;
}

/* types of the laid-out stage that no text can give */
static ir_type shared_tile(fixture *t)
{
    int64_t shape[] = {4, 4};
    int order[] = {1, 0};
    lay_shared map = lay_shared_linear(2, shape, order);
    return ir_type_shared(t->m, ir_type_num(t->m, DT_F32), 2, shape, ir_layout_make_shared(t->m, &map));
}

static ir_type_info *chan_param(fixture *t)
{
    ir_type part = shared_tile(t), y = ir_type_chan(t->m, 2, 1, &part);
    t->m->stage = LAID;
    t->f->vals.at[t->x.id].type = y;
    return (ir_type_info *)(uintptr_t)ir_type_of(t->m, y);
}

static void break_early(fixture *t)
{
    t->f->vals.at[t->x.id].type = shared_tile(t);
}
static void break_shared_shape(fixture *t)
{
    ir_type y = shared_tile(t);
    t->m->stage = LAID;
    t->f->vals.at[t->x.id].type = y;
    ((ir_type_info *)(uintptr_t)ir_type_of(t->m, y))->shape[0] = 8;
}
static void break_layout_kind(fixture *t)
{
    t->m->stage = LAID;
    tile_param(t)->layout = ir_type_of(t->m, shared_tile(t))->layout;
}
static void break_chan_slots(fixture *t)
{
    chan_param(t)->stages = 0;
}
static void break_chan_parts(fixture *t)
{
    chan_param(t)->nparts = 0;
}
static void break_chan_part(fixture *t)
{
    ir_type_info *c = chan_param(t);
    c->parts[0] = ir_type_num(t->m, DT_F32);
}

START_TEST(broken)
{
    static const struct {
        breaker *how;
        const char *text;
    } cases[] = {
        {break_code, "an op of no known code"},
        {break_nop, "an op of no known code 0"},
        {break_operand, "op 'add': operand 0 is no value"},
        {break_no_operand, "op 'add': operand 1 is no value"},
        {break_later, "op 'add': operand 0 is not defined before it"},
        {break_result, "op 'add': result 0 belongs to another op"},
        {break_count, "op 'add': expected 2 operands, found 1"},
        {break_prev, "the ops of a region are linked wrongly"},
        {break_parent, "the ops of a region are linked wrongly"},
        {break_cycle, "the ops of a region are linked wrongly"},
        {break_last, "the ops of a region are linked wrongly"},
        {break_next, "the ops of a region are linked wrongly"},
        {break_type, "op 'add': result 0 has no type"},
        {break_body, "its body does not have its parameters"},
        {break_params, "its body does not have its parameters"},
        {break_param_type, "parameter 0 has no type"},
        {break_param_place, "parameter 0 of a region belongs elsewhere"},
        {break_flags, "parameter 0 has an unknown flag"},
        {break_name, "a function without a name"},
        {break_owner, "region 0 belongs elsewhere"},
        {break_result_type, "result 0 has no type"},
        {break_twins, "two functions have this name"},
        {break_tensor_rank, "is a tensor of no legal rank"},
        {break_tile_rank, "is a tile of no legal rank"},
        {break_tile_extent, "is a tile of no elements or more than 2^20"},
        {break_tile_count, "is a tile of no elements or more than 2^20"},
        {break_layout, "has a layout before the laid-out stage"},
        {break_early, "has a type of the laid-out stage"},
        {break_shared_shape, "has a layout of another kind or shape"},
        {break_layout_kind, "has a layout of another kind or shape"},
        {break_chan_slots, "is a channel of no legal size"},
        {break_chan_parts, "is a channel of no legal size"},
        {break_chan_part, "is a channel of what is no sound shared tile"},
    };
    for (size_t i = 0; i < COUNTOF(cases); i++) {
        fixture *t = open_func();
        ir_bin(&t->b, IR_OP_add, t->x, t->x);
        ir_return(&t->b, NULL, 0);
        cases[i].how(t);
        refused(t, cases[i].text);
        close_func(t);
    }
}
END_TEST

/* attributes that no text can give: twice, nameless */
START_TEST(broken_attributes)
{
    fixture *t = open_func();
    ir_attr one = ir_attr_int(t->m, 1);
    ir_type y = ir_vtype(t->f, t->x);
    ir_attr_pair pairs[] = {{KEY_exact, one}, {KEY_exact, one}}, none = {KEY_NONE, one};
    ir_val in[] = {t->x, t->x}, out;
    ir_emit(&t->b,
            &(ir_desc){.code = IR_OP_div, .in = in, .nin = 2, .types = &y, .nout = 1, .attrs = pairs, .nattr = 2},
            &out);
    ir_emit(&t->b,
            &(ir_desc){.code = IR_OP_div, .in = in, .nin = 2, .types = &y, .nout = 1, .attrs = &none, .nattr = 1},
            &out);
    ir_return(&t->b, NULL, 0);
    refused(t, "op 'div': attribute 'exact' is given twice");
    ck_assert(strstr(messages(t), "attribute 0 has no name") != NULL);
    close_func(t);
}
END_TEST

/* values of a region are gone after it; and a region belongs to one op */
START_TEST(broken_regions)
{
    fixture *t = open_func();
    ir_val k = ir_cmp(&t->b, IR_OP_lt, t->x, t->x), inner;
    ir_region r[2] = {ir_region_new(t->f), ir_region_new(t->f)};
    ir_push(&t->b, r[0]);
    inner = ir_bin(&t->b, IR_OP_add, t->x, t->x);
    ir_yield(&t->b, NULL, 0);
    ir_pop(&t->b);
    ir_push(&t->b, r[1]);
    ir_yield(&t->b, NULL, 0);
    ir_pop(&t->b);
    ir_emit(&t->b, &(ir_desc){.code = IR_OP_if, .in = &k, .nin = 1, .regions = r, .nregions = 2}, NULL);
    ir_bin(&t->b, IR_OP_add, inner, t->x);
    ir_region twice[2] = {r[0], r[0]};
    ir_op o = ir_emit(&t->b, &(ir_desc){.code = IR_OP_if, .in = &k, .nin = 1, .regions = twice, .nregions = 2}, NULL);
    ir_return(&t->b, NULL, 0);
    refused(t, "op 'add': operand 0 is not defined before it in its region or one around");
    ck_assert(strstr(messages(t), "region 0 belongs elsewhere") != NULL);
    ck_assert(o.id != 0);
    close_func(t);
}
END_TEST

static void nest(fixture *t, ir_val k, int depth)
{
    ir_region r[2] = {ir_region_new(t->f), ir_region_new(t->f)};
    for (int i = 0; i < 2; i++) {
        ir_push(&t->b, r[i]);
        if (i == 0 && depth > 1)
            nest(t, k, depth - 1);
        ir_yield(&t->b, NULL, 0);
        ir_pop(&t->b);
    }
    ir_emit(&t->b, &(ir_desc){.code = IR_OP_if, .in = &k, .nin = 1, .regions = r, .nregions = 2}, NULL);
}

START_TEST(nesting)
{
    for (int depth = 200; depth <= 300; depth += 100) {
        fixture *t = open_func();
        nest(t, ir_cmp(&t->b, IR_OP_lt, t->x, t->x), depth);
        ir_return(&t->b, NULL, 0);
        if (depth == 200)
            ck_assert(ir_verify(t->m, &t->d));
        else
            refused(t, "op 'if': regions are nested more than 256 deep");
        close_func(t);
    }
}
END_TEST

/* messages about ops without text: at the source line where the file is known, else with the op's own text */
START_TEST(places)
{
    fixture *t = open_func();
    ir_type f32 = ir_type_num(t->m, DT_F32);
    ir_emit1(&t->b, IR_OP_add, f32, (ir_val[]){t->x, t->x}, 2);
    t->b.loc = ir_loc_make(t->m, S("k.tile"), 2, 3, (ir_loc){0});
    ir_emit1(&t->b, IR_OP_mul, f32, (ir_val[]){t->x, t->x}, 2);
    t->b.loc = ir_loc_make(t->m, S("gone.tile"), 1, 1, (ir_loc){0});
    ir_emit1(&t->b, IR_OP_sub, f32, (ir_val[]){t->x, t->x}, 2);
    ir_return(&t->b, NULL, 0);
    diags_add_file(&t->d, S("k.tile"), S("fn f(x):\n  x * x\n"));
    ck_assert(!ir_verify_func(t->f, &t->d));
    const char *all = messages(t);
    ck_assert(strstr(all, "k.tile:2:3: error: op 'mul': result 0 is 'f32', expected 'i64' like operand 0\n") != NULL);
    ck_assert(
        strstr(all, "op 'add': result 0 is 'f32', expected 'i64' like operand 0 (in '@f': %0 = add %x, %x : f32)") !=
        NULL);
    ck_assert(strstr(all, "(in '@f': %2 = sub %x, %x : f32)") != NULL);
    close_func(t);
}
END_TEST

/* errors beyond what the diagnostics keep are counted, at no cost */
START_TEST(many_errors)
{
    fixture *t = open_func();
    ir_type f32 = ir_type_num(t->m, DT_F32);
    for (int i = 0; i < 1000; i++)
        ir_emit1(&t->b, IR_OP_add, f32, (ir_val[]){t->x, t->x}, 2);
    ir_return(&t->b, NULL, 0);
    ck_assert(!ir_verify(t->m, &t->d));
    ck_assert_uint_eq(t->d.errors, 1000);
    ck_assert_uint_le(t->d.list.n, t->d.max_errors);
    close_func(t);
}
END_TEST

/* a call is checked against the module also where only one function is verified */
START_TEST(one_function)
{
    fixture *t = open_func();
    ir_attr_pair callee = {KEY_callee, ir_attr_str(t->m, S("missing"))};
    ir_emit(&t->b, &(ir_desc){.code = IR_OP_call, .attrs = &callee, .nattr = 1}, NULL);
    ir_return(&t->b, NULL, 0);
    ck_assert(!ir_verify_func(t->f, &t->d));
    ck_assert(strstr(messages(t), "there is no 'fn' of name '@missing'") != NULL);
    close_func(t);
}
END_TEST

/* a clean run leaves nothing in the module's arena */
START_TEST(no_memory)
{
    fixture *t = open_func();
    for (int i = 0; i < 1000; i++)
        ir_bin(&t->b, IR_OP_add, t->x, t->x);
    ir_return(&t->b, NULL, 0);
    size_t used = t->a.used;
    char *at = t->a.beg;
    ck_assert(ir_verify(t->m, &t->d));
    ck_assert_uint_eq(t->a.used, used);
    ck_assert_ptr_eq(t->a.beg, at);
    close_func(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("verify");
    TCase *c = tcase_create("all");
    tcase_add_loop_test(c, wrong_files, 0, COUNTOF(dirs));
    tcase_add_test(c, sound);
    tcase_add_test(c, broken);
    tcase_add_test(c, broken_attributes);
    tcase_add_test(c, broken_regions);
    tcase_add_test(c, nesting);
    tcase_add_test(c, places);
    tcase_add_test(c, many_errors);
    tcase_add_test(c, one_function);
    tcase_add_test(c, no_memory);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
