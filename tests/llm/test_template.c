/* test_template.c: chat templates against what Jinja2 makes of them (make_templates.py): ten families' templates on ten
 * chats, some hundred expressions and blocks, and what both must refuse; then faults' places, bounds on work, memory.
 */
#include "examples/llm/template.h"
#include "tests/llm/kit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static str text_of(arena *a, const json_t *c)
{
    const json_t *file = json_object_get(c, "file"), *text = json_object_get(c, "text");
    if (file)
        return kit_read(a, str_cstr(a, str_fmt(a, "tests/llm/templates/%s.jinja", json_string_value(file))));
    return (str){json_string_value(text), json_string_length(text)};
}

static void check_case(arena *a, size_t i, const json_t *c)
{
    const json_t *expect = json_object_get(c, "expect");
    char *vars = json_dumps(json_object_get(c, "vars"), 0);
    template_input in = {.extra = str_of(vars)};
    tile_error err = {0};
    str out = {0}, text = text_of(a, c);
    chat_template *t = template_new(text, &err);
    bool done = t && template_render(t, &in, &out, &err);
    if (!expect) {
        ck_assert_msg(!done, "case %zu: accepted, expected a fault: %.*s\n found: %.*s", i, STR_ARG(text),
                      STR_ARG(out));
        ck_assert_msg(strncmp(err.text, "chat template:", 14) == 0, "case %zu: %s", i, err.text);
    } else {
        str want = {json_string_value(expect), json_string_length(expect)};
        ck_assert_msg(done, "case %zu: %s\n in %.*s", i, err.text, STR_ARG(text));
        ck_assert_msg(str_eq(want, out), "case %zu: %.*s\nexpected:\n%.*s\nfound:\n%.*s", i, STR_ARG(text),
                      STR_ARG(want), STR_ARG(out));
    }
    free((void *)out.p);
    free(vars);
    template_free(t);
}

START_TEST(reference)
{
    arena a;
    json_error_t why;
    size_t i;
    json_t *c, *cases = json_load_file("tests/llm/templates.json", JSON_ALLOW_NUL, &why);
    ck_assert_msg(cases != NULL, "%s", why.text);
    ck_assert_uint_gt(json_array_size(cases), 300);
    arena_init(&a, 0);
    json_array_foreach(cases, i, c)
    {
        check_case(&a, i, c);
    }
    arena_fini(&a);
    json_decref(cases);
}
END_TEST

static void expect_fault(const char *text, const char *fault)
{
    tile_error err = {0};
    str out = {0};
    template_input in = {.count = 0};
    chat_template *t = template_new(str_of(text), &err);
    bool done = t && template_render(t, &in, &out, &err);
    ck_assert_msg(!done && strcmp(err.text, fault) == 0, "%s\nexpected: %s\n   found: %s", text, fault, err.text);
    template_free(t);
}

START_TEST(places)
{
    expect_fault("{% if 1 %}\n  {{ 1 + }}", "chat template:2:10: expected an expression, found ''}}''");
    expect_fault("a\n{% include 'x' %}", "chat template:2:4: the tag 'include' is not understood here");
    expect_fault("{{ 1 | nope }}", "chat template:1:6: the filter 'nope' is not understood");
    expect_fault("{{ 1 is nope }}", "chat template:1:6: the test 'nope' is not understood");
    expect_fault("\n\n {{ raise_exception('why') }}", "chat template:3:20: the template refuses: why");
    expect_fault("{{ x.y }}", "chat template:1:5: 'x' is not defined, so it has no 'y'");
    expect_fault("{{ 'a' + 1 }}", "chat template:1:8: '+' between a string and an integer");
    expect_fault("{% for x in [] %}", "chat template:1:18: expected '{% endfor %}', found the template's end");
}
END_TEST

START_TEST(bounds)
{
    expect_fault("{% for a in range(1000000) %}{% for b in range(1000000) %}{% endfor %}{% endfor %}",
                 "chat template:1:30: takes more than 20000000 steps");
    expect_fault("{{ range(2000000) }}", "chat template:1:9: 'range' of more than 1000000 numbers");
    expect_fault("{{ 'x' * 100000000 }}", "chat template:1:8: more than 67108864 repeated elements");
    expect_fault("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "chat template:1:19: nested more than 400 deep");
    expect_fault("{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% "
                 "endfor %}",
                 "chat template:1:90: a string of more than 67108864 bytes");
    char deep[4096];
    memset(deep, '(', sizeof deep / 2);
    memset(deep + sizeof deep / 2, ')', sizeof deep / 2);
    memcpy(deep, "{{ ", 3);
    memcpy(deep + sizeof deep - 3, "}}", 2);
    deep[sizeof deep - 1] = 0;
    tile_error err = {0};
    ck_assert_ptr_null(template_new(str_of(deep), &err));
    ck_assert_ptr_nonnull(strstr(err.text, "nested more than 100 deep"));
}
END_TEST

START_TEST(inputs)
{
    chat_message turns[] = {{S("system"), S("s")}, {S("user"), S("u")}};
    template_input in = {turns, 2, true, S("<s>"), S("</s>"), S("{\"x\": [1]}"), 0};
    static const char text[] =
        "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}{{ x[0] }}"
        "{{ add_generation_prompt }}{{ strftime_now is defined }}{{ eos_token }}";
    tile_error err;
    str out;
    chat_template *t = template_new(str_of(text), &err);
    ck_assert_ptr_nonnull(t);
    ck_assert(template_render(t, &in, &out, &err));
    ck_assert_str_eq(out.p, "<s>system:s;user:u;1TrueFalse</s>");
    free((void *)out.p);
    in.now = 86400 * 365;
    ck_assert(template_render(t, &in, &out, &err));
    ck_assert_str_eq(out.p, "<s>system:s;user:u;1TrueTrue</s>");
    free((void *)out.p);
    in.extra = S("[1]");
    ck_assert(!template_render(t, &in, &out, &err));
    ck_assert_str_eq(err.text, "variables of the chat template: expected a JSON object");
    in.extra = S("{");
    ck_assert(!template_render(t, &in, &out, &err));
    template_free(t);
    t = template_new(S("{{ strftime_now('%Y') }}"), &err);
    in.extra = S("");
    ck_assert(template_render(t, &in, &out, &err));
    ck_assert_str_eq(out.p, "1971");
    free((void *)out.p);
    template_free(t);
}
END_TEST

#ifdef TILE_TEST_ALLOC
/* every request of an arena fails in turn: said as such, nothing leaks */
START_TEST(memory)
{
    static const char text[] = "{% for m in messages %}{{ m.role | upper ~ 'x' * 100000 }}{% endfor %}";
    chat_message turn = {S("user"), S("u")};
    template_input in = {.messages = &turn, .count = 1};
    for (long n = 1;; n++) {
        tile_error err = {0};
        str out = {0};
        arena_fail_after(n);
        chat_template *t = template_new(str_of(text), &err);
        bool done = t && template_render(t, &in, &out, &err);
        arena_fail_after(0);
        free((void *)out.p);
        template_free(t);
        if (done) {
            ck_assert_int_gt(n, 3);
            return;
        }
        ck_assert_int_eq(err.code, TILE_E_MEMORY);
    }
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("template");
    TCase *t = tcase_create("template");
    uint32_t skipped = 0;
    setenv("TZ", "UTC", 1);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, reference);
    tcase_add_test(t, places);
    tcase_add_test(t, bounds);
    tcase_add_test(t, inputs);
#ifdef TILE_TEST_ALLOC
    tcase_add_test(t, memory);
#else
    printf("skip: arenas that fail on request need TILE_TEST_ALLOC\n");
    skipped = 1;
#endif
    suite_add_tcase(s, t);
    return kit_run(s, skipped);
}
