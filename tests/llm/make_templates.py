"""make_templates.py OUT: what PyPI's Jinja2 makes of chat templates, and of single expressions, as JSON.

The environment has the settings of `transformers` (sandboxed, trim_blocks, lstrip_blocks, loop controls, its tojson and
raise_exception). A case: a template (its file's name, or its text), variables, and the text; or an error where Jinja2
has one, and its kind ("syntax", "run").
"""
import json
import sys

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


def to_json(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def refuse(why):
    raise jinja2.exceptions.TemplateError(why)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
env.filters["tojson"] = to_json
env.globals["raise_exception"] = refuse

U = {"role": "user", "content": "  Hello, \"you\"!\n"}
A = {"role": "assistant", "content": "Hi <b>there</b> "}
S = {"role": "system", "content": "Be brief."}
U2 = {"role": "user", "content": "Und weiter? 你好 👍"}
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds 'two' numbers", "parameters": {
    "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number", "default": 1.5}}, "required": ["a"]}}}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": None}}}]}
RESULT = {"role": "tool", "content": "3"}
THINK = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nYes."}
CHATS = [[U], [S, U], [U, A, U2], [S, U, A, U2], [S, U, A], [U, U2], [S], [U, THINK, U2], [U, CALL, RESULT, RESULT, A, U2], [U, CALL, RESULT]]
FILES = "chatml smollm llama2 llama3 llama31 qwen2 qwen25 qwen3 mistral zephyr".split()
P = [{"name": "x", "type": "dict", "children": [{"name": "y"}, {"name": "z", "type": "int"}]}]
MACRO_TOOLS = [{"name": "hidden"}, P[0], {"name": "ßa"}]

EXPRESSIONS = r"""
{{ 1 + 2 * 3 - 4 // 3 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 1_000 }}
{{ 1.5 + 1 }} {{ 1e3 }} {{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1e22 }} {{ 1e-7 }} {{ 3.0 * 2 }} {{ 10 / 5 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 123456789012345680.0 }} {{ 2 ** -1 }}
{{ "a" ~ 1 ~ none ~ true ~ 1.5 }} {{ "a" + 'b' }} {{ "ab" * 3 }} {{ 2 * [1, 2] }} {{ [1] + [2] }} {{ "x" 'y' "z" }}
{{ "tab\tquote\'\" back\\ \x41 \u00e9 \U0001f600 \q" }}
{{ 1 < 2 }} {{ 1 < 2 < 2 }} {{ 1 == 1.0 }} {{ "a" < "b" }} {{ 1 == "1" }} {{ [1, 2] == [1, 2] }} {{ [1] < [1, 2] }} {{ true == 1 }} {{ none == none }} {{ {"a": 1} == {"a": 1.0} }} {{ (1, 2) == [1, 2] }}
{{ 1 in [1, 2] }} {{ "b" in "abc" }} {{ "k" in {"k": 0} }} {{ 3 not in [1, 2] }} {{ not 1 in [1] }} {{ not true and false or true }}
{{ 0 or "x" }} {{ 1 and "y" }} {{ "" or none }} {{ [] and 1 }} {{ "a" if 0 else "b" }} {{ "a" if 0 }}|{{ "a" if 1 else "b" if 1 else "c" }} {{ (1 if 0 else 2) + 3 }}
{{ "  x ".strip() }}| {{ "xxaxx".strip("x") }} {{ "xxaxx".lstrip("x") }} {{ "xxaxx".rstrip("x") }} {{ " a  b c ".split() }} {{ "a,b,,c".split(",") }} {{ "a,b,c".split(",", 1) }} {{ "a b c".split(none, 1) }} {{ "".split() }} {{ "".split(",") }}
{{ "a,b,c".rsplit(",", 1) }} {{ "a\nb\r\nc\n".splitlines() }} {{ "-".join(["a", "b"]) }} {{ "abc".startswith("ab") }} {{ "abc".startswith(("x", "a")) }} {{ "abc".endswith("x") }} {{ "abcabc".find("c") }} {{ "abcabc".rfind("c") }} {{ "abc".find("x") }} {{ "aXbX".replace("X", "--") }} {{ "aaa".replace("a", "b", 2) }} {{ "ab".replace("", ".") }}
{{ "abc".upper() }} {{ "ÄÖß".lower() }} {{ "äöß".upper() }} {{ "hello world".title() }} {{ "hELLO wORLD".capitalize() }} {{ "aaa".count("a") }} {{ "12".isdigit() }} {{ "1a".isdigit() }} {{ "é".isalpha() }} {{ "prefix-x".removeprefix("prefix-") }} {{ "a.txt".removesuffix(".txt") }}
{{ "héllo"[1] }} {{ "héllo"[-1] }} {{ "héllo"[1:3] }} {{ "héllo"[::-1] }} {{ [1, 2, 3, 4][1:] }} {{ [1, 2, 3, 4][:-1] }} {{ [1, 2, 3, 4][::2] }} {{ [1, 2, 3, 4][::-1] }} {{ [1, 2, 3][5:] }} {{ [1, 2, 3][-2:] }} {{ [1, 2, 3][3:0:-1] }} {{ [1, 2, 3][-9:9] }} {{ (1, 2, 3)[1:] }} {{ [1, 2][0] }} {{ [1, 2].0 }}|{{ [1][7] }}|
{{ "  x ".strip() | length }} {{ [1, 2] | length }} {{ "héé" | length }} {{ {"a": 1} | count }} {{ -3 | abs }} {{ "3.7" | int }} {{ "x" | int }} {{ "x" | int(7) }} {{ 3.9 | int }} {{ "2.5" | float }} {{ 3 | float }} {{ true | int }} {{ 2.5 | round }} {{ 3.14159 | round(2) }}
{{ [1, "a", none, true, 1.5, "it's", 'q"'] }} {{ {"a": [1], "b": {"c": "d\n"}} }} {{ (1,) }} {{ () }} {{ [] }} {{ {} }}
{{ {"a": [1, 2.0, none, true], "b": "é\"\n\\\t\u0001"} | tojson }} {{ [] | tojson(indent=2) }} {{ {"a": {"b": [1]}} | tojson(indent=2) }} {{ {"b": 1, "a": 2} | tojson(sort_keys=true) }} {{ "é😀" | tojson(ensure_ascii=true) }} {{ 1e22 | tojson }}
{{ [1, 2, 3] | join }} {{ ["a", "b"] | join(", ") }} {{ [{"n": "x"}, {"n": "y"}] | join("+", attribute="n") }} {{ "abc" | join("-") }}
{{ missing | default("d") }} {{ "" | default("d") }}| {{ "" | default("d", true) }} {{ none | d("x") }} {{ missing | d }}|
{{ "hello world" | title }} {{ "HELLO" | capitalize }} {{ "x" | upper }} {{ "aXa" | replace("X", "y") }} {{ "abc" | first }} {{ [1, 2] | last }} {{ [] | first }}| {{ "cba" | list }} {{ [3, 1, 2] | sort }} {{ ["b", "A", "c"] | sort }} {{ ["b", "A"] | sort(case_sensitive=true) }} {{ [3, 1, 2] | sort(reverse=true) }} {{ [1, 2] | reverse | list }} {{ "abc" | reverse }}
{{ [1, 2, 2, 1] | unique | list }} {{ [3, 1, 2] | min }} {{ [3, 1, 2] | max }} {{ [1, 2, 3] | sum }} {{ [{"a": 1}, {"a": 2}] | sum(attribute="a") }} {{ "<a href='x'>&\"" | escape }} {{ "a\nb\n\nc" | indent }} {{ "a\nb" | indent(2, true) }} {{ 5 | string }}
{{ [{"a": 1}, {"a": 2}, {}] | map(attribute="a") | list }} {{ [{"a": 1}, {}] | map(attribute="a", default=0) | list }} {{ ["a", "b"] | map("upper") | list }} {{ [" a "] | map("trim") | list }} {{ [1, 2, 3] | select("odd") | list }} {{ [0, 1, ""] | select | list }} {{ [1, 2, 3] | reject("gt", 1) | list }} {{ [{"a": 1}, {"a": 2}] | selectattr("a", "equalto", 2) | list }} {{ [{"a": 1}, {}] | selectattr("a") | list }} {{ [{"a": 1}, {"b": 1}] | rejectattr("a", "defined") | list }}
{{ {"b": 1, "a": 2} | items | list }} {{ {"b": 1, "a": 2} | dictsort }} {{ {"a": 1}.items() | list }} {{ {"a": 1}.keys() | list }} {{ {"a": 1}.values() | list }} {{ {"a": 1}.get("a") }} {{ {"a": 1}.get("b", 5) }} {{ {"a": 1}.get("b") }} {{ {"a": 1}.a }} {{ {"a": 1}["a"] }}|{{ {"a": 1}.b }}|{{ {"a": 1}["b"] }}|{{ {1: 2}[1] }} {{ {"items": 3}["items"] }}
{{ missing is defined }} {{ 1 is defined }} {{ missing is undefined }} {{ none is none }} {{ missing is none }} {{ "a" is string }} {{ 1 is number }} {{ 1.0 is float }} {{ true is boolean }} {{ true is number }} {{ {} is mapping }} {{ [] is sequence }} {{ "a" is iterable }} {{ 1 is iterable }} {{ true is true }} {{ 1 is true }} {{ 3 is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 1 is eq 1 }} {{ 1 is not eq 1 }} {{ 2 is gt(1) }} {{ 1 is in [1] }} {{ "ab" is lower }} {{ "AB" is upper }} {{ not 1 is string }} {{ none is not none or true }} {{ range is callable }} {{ 5 is integer }}
{{ range(3) | list }} {{ range(1, 4) | list }} {{ range(5, 0, -2) | list }} {{ dict(a=1, b="x") }} {{ -1 | abs + 2 }} {{ 1 + "3" | int }} {{ (1, 2) | sum }} {{ "%" }} {{ "a" "b" | upper }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = (1, 2) %}{{ c }}{% set d = 1, 2 %}{{ d }}
{% for k, v in {"a": 1, "b": 2}.items() %}{{ k }}={{ v }}{{ "," if not loop.last }}{% endfor %}
{% for x in [] %}x{% else %}empty{% endfor %}{% for x in missing %}x{% else %}nothing{% endfor %}{% for c in "héy" %}{{ c }}.{% endfor %}
{% for x in [1, 2, 3, 4] if x is even %}{{ loop.index }}{{ x }}{{ loop.first }}{{ loop.revindex }} {% endfor %}
{% for x in [1, 2, 3] %}{{ loop.previtem }}-{{ x }}-{{ loop.nextitem }} {{ loop.cycle("a", "b") }} {% endfor %}
{% for x in [1, 2, 3, 4, 5] %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = i + 5 %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 9 %}{% endif %}{{ x }}
{% set ns = namespace(n=0, s="") %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.n }} {{ ns.s }}
{% for i in [1, 2] %}{% for j in [3, 4] %}{{ i }}{{ j }}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}
{% macro m(a, b=2) %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=1, a=2) }}{{ m() }}{{ m(1) | upper | length }}
{% set t %}  in {{ 1 + 1 }} {% endset %}[{{ t }}]{% set u | upper | trim %} abc {% endset %}[{{ u }}]
  {# comment #}
  {%- if true -%}  a  {%- endif %}  b
{% if true %}
line
{% endif %}
  {% if true %}
  indented
  {% endif %}
x{% if true +%}
kept
{%+ endif %}y
a {{- " b " -}} c {{ 1 -}}
{% raw %}{{ not }} {% this %}{% endraw %} {%- raw -%}  {{ x }}  {%- endraw -%}  end
{%- for m in [1] %}

  {{ m }}

{%- endfor %}
{# a #} {#- b -#} c
{{ {"a": {"b": 1}}.a.b }} {{ [[1, 2], [3]][0][1] }} {{ ("a" ~ "b").upper() }} {{ {'a':{}} }} {{ {'a':{'b':{}}}}}
{{ messages[0].role }} {{ messages | length }} {{ messages[-1]["content"] }} {{ messages | map(attribute="role") | join(",") }} {{ messages[0] == messages[0] }}
{{ true and not false }} {{ True }} {{ None }} {{ False }} {{ [] == [] }} {{ "a" != "b" }} {{ 5 >= 5 }} {{ 5 <= 4 }}
{% if a is defined and a %}1{% elif b is defined %}2{% elif 0 %}3{% else %}4{% endif %}
{% if 0 %}{% else %}e{% endif %}{% if "x" %}y{% endif %}
{{ ["x", "y"] | last | upper ~ "!" }} {{ "a b" | upper | replace(" ", "_") }} {{ not missing }} {{ missing }}|{{ missing or "m" }}
{{ [1,
  2] }} {{ "multi
line" }}
"""

BLOCKS = ["  {%- if true -%}  a  {%- endif %}  b", "{% if true %}\nline\n{% endif %}\n  {% if true %}\n  indented\n  {% endif %}\nz",
          "x{% if true +%}\nkept\n{%+ endif %}y", "a {{- ' b ' -}} c {{ 1 -}}\n\n z", "{% for m in [1] %}\n\n  {{ m }}\n\n{%- endfor %}\n\n", "  {# c #}\n a {# b #}\n  {#- d -#}\n e",
          "a\r\nb\rc{{ '\r\n' }}d\r\n", "\n\n{% if true %}\n\n x{% endif %}\n\n", "no tags at all\n", "", "{{ 'x' }}\n\n", "\t {% set a = 1 %}\t\n{{ a }}",
          "{{ 'a' }} {% if true %}b{% endif %}\n  {% if true %}c{% endif %}\n", "\u00a0{% if true %}x{% endif %}", "{%- raw -%}  {{ x }}  {%- endraw -%}  end",
          "{% if true %}a{% endif %}\n{% if true %}b{% endif %}\n\n{% if true %}c{% endif %}", " {% raw %}\n {{ x }}\n {% endraw %}\n y"]

BAD = ["{{", "{{ 1", "{% if %}", "{% if 1 %}", "{% endif %}", "{{ 1 + }}", "{{ (1 }}", "{{ 'abc }}", "{% for x %}{% endfor %}", "{% set %}", "{{ a b }}", "{% unknown %}", "{# open", "{{ 1 | nofilter }}",
       "{{ 1 is notest }}", "{% include 'x' %}", "{{ f(1, a=2, 3) }}", "{{ x[] }}", "{% macro %}{% endmacro %}", "{{ @ }}", "{{ [1, }}", "{% raw %}x", "{% for x in y %}{% else %}", "{{ 1 if }}", "{{ {1:2 }}", "{% if 1 %}{% endfor %}"]
BAD_RUN = ["{{ missing.x }}", "{{ missing['x'] }}", "{{ missing() }}", "{{ 1 + 'a' }}", "{{ missing + 'a' }}", "{{ 1 / 0 }}", "{{ 1 // 0 }}", "{{ 1 % 0 }}", "{{ 1() }}", "{{ raise_exception('no: ' ~ 1) }}",
           "{% for x in 1 %}{% endfor %}", "{{ 1 < 'a' }}", "{{ [] < 1 }}", "{% set a, b = [1] %}", "{% set x = {} %}{% set x.y = 1 %}", "{{ range(1, 2, 0) | list }}", "{{ 'a'.split('') }}", "{{ [1, 'a'] | sort }}",
           "{{ 1 | tojson(indent='x') | length + missing }}", "{{ missing | tojson }}", "{{ -'a' }}", "{{ 'a' * 'b' }}", "{{ {}[[]] ~ missing.a }}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}",
           "{% macro m(a) %}{% endmacro %}{{ m(z=2) }}", "{{ [1].index(5) }}", "{{ 1 in 5 }}", "{{ messages[0].missing.deeper }}"]

cases = []


def add(name, text, variables, expect_error=False):
    case = {"vars": variables}
    source = text
    if name:
        case["file"] = name
        source = open("templates/%s.jinja" % name, encoding="utf-8", newline="").read()
    else:
        case["text"] = text
    try:
        template = env.from_string(source)
        try:
            case["expect"] = template.render(**variables)
        except Exception as e:  # noqa: BLE001: whatever it is, ours must fail too
            case["error"] = "run"
    except jinja2.exceptions.TemplateSyntaxError as e:
        case["error"] = "syntax"
        case["line"] = e.lineno
    assert ("error" in case) or not expect_error, (text, case)
    cases.append(case)


for f in FILES:
    for chat in CHATS:
        for gen in (False, True):
            add(f, None, {"messages": chat, "add_generation_prompt": gen, "bos_token": "<s>", "eos_token": "</s>"})
    for extra in ({"tools": [TOOL]}, {"tools": [TOOL, TOOL], "tools_in_user_message": False}, {"enable_thinking": False}, {"date_string": "1 May"}):
        add(f, None, dict({"messages": [S, U], "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}, **extra))
for gen in (False, True):
    add("macros", None, {"messages": [U, {"role": "skip", "content": ""}, A, {"role": "stop", "content": "x"}, U], "tools": MACRO_TOOLS, "add_generation_prompt": gen})
    add("macros", None, {"messages": [], "tools": [], "add_generation_prompt": gen})
VARS = {"messages": [S, U], "b": 1}
for i, line in enumerate(EXPRESSIONS.strip("\n").split("\n{")):
    add(None, "{" + line if i else line, VARS)
for block in BLOCKS:
    add(None, block, VARS)
for bad in BAD + BAD_RUN:
    add(None, bad, VARS, True)
with open(sys.argv[1], "w", encoding="utf-8", newline="\n") as out:
    out.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]\n")
print(len(cases), sum("error" in c for c in cases))
