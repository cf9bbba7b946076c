/* gen_docs.c: writes docs/ir.md: the prose of docs/ir.head.md, then the tables that the compiler itself is made from.
 *
 *   gen_docs HEAD OUT           writes OUT
 *   gen_docs --check HEAD OUT   exit 1 unless OUT is what would be written
 *
 * Ops, attributes, types and passes are documented nowhere else, so that their documentation can't be wrong by itself:
 * types.def, ops.def, attrs.def, enums.def and passes.def are read through the tables of compiler/. Only the headings
 * of groups of ops stand here, each at the first op of its group.
 */
#include "compiler/pass.h"

#include <stdio.h>
#include <string.h>

typedef struct group {
    ir_code first;
    const char *title, *text;
} group;

static const group groups[] = {
    {IR_OP_const, "Constants and shape", "Elements are in row-major order: the last dimension is the fastest."},
    {IR_OP_add, "Arithmetic", "Integers wrap. Floats are IEEE, rounded once to their type; denormals are kept."},
    {IR_OP_exp, "Mathematics", "On f32 and f64; the front end casts other floats. Errors are bounded per target."},
    {IR_OP_dot, "Whole tiles", "Regions of `reduce`, `scan` and `map` are pure and work on scalars."},
    {IR_OP_ptr_add, "Pointers and memory",
     "Memory ops take effect in program order. Masked-off lanes touch no memory."},
    {IR_OP_tensor_make, "Tensors", "Base, sizes and strides in one value; every access is checked against the sizes."},
    {IR_OP_program_id, "The program and its launch",
     "`host` functions run before a launch, once, on the launch's arguments."},
    {IR_OP_hint, "Facts and debugging",
     "A promise or assumption that doesn't hold makes the program's results unspecified."},
    {IR_OP_for, "Control", "Each region ends in its one `yield`, the body of a function in its one `return`."},
    {IR_OP_convert, "The laid-out stage",
     "m: a shared tile, c: a channel, pos: an i32 that counts slots. What is ASYNC gives a token, and is complete only "
     "behind an `await` of it; laid.md tells the whole story."},
};

/* `|` would end a cell */
static void put_cell(strbuf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            sb_putc(out, '\\');
        sb_putc(out, *text);
    }
}

static void put_types(strbuf *out)
{
    static const char *const kinds[] = {"bool", "signed integer", "unsigned integer", "float", "8-bit float"};
    sb_puts(out, "\n## Element types\n\n| type | bits in memory | kind | |\n|---|---|---|---|\n");
    for (int i = DT_NONE + 1; i < DT_COUNT; i++) {
        sb_putf(out, "| `%s` | %d | %s | ", dtypes[i].name, dtypes[i].bits, kinds[dtypes[i].kind]);
        put_cell(out, dtypes[i].doc);
        sb_puts(out, " |\n");
    }
}

static const char *rule_name(ir_rule rule)
{
    switch (rule) {
    case RULE_SAME_NUM:
        return "all of one type: integers or floats";
    case RULE_SAME_INT:
        return "all of one type: integers";
    case RULE_SAME_FLOAT:
        return "all of one type: f16, bf16, f32, f64";
    case RULE_SAME_F3264:
        return "all of one type: f32, f64";
    case RULE_SAME_BITS:
        return "all of one type: integers or bool";
    case RULE_CMP:
        return "operands of one type; gives bool of that shape";
    case RULE_OWN:
        return "";
    }
    return "";
}

static void put_flags(strbuf *out, int flags)
{
    static const struct {
        int flag;
        const char *name;
    } names[] = {{PURE, "pure"},       {READ, "reads"},    {WRITE, "writes"},       {SYNC, "ordered"},
                 {ELT, "elementwise"}, {COMM, "commutes"}, {TERM, "ends a region"}, {CTRL, "has what its regions have"},
                 {HOST, "host only"}};
    const char *sep = "";
    for (size_t i = 0; i < COUNTOF(names); i++)
        if (flags & names[i].flag) {
            sb_putf(out, "%s%s", sep, names[i].name);
            sep = ", ";
        }
}

static void put_count(strbuf *out, int n)
{
    if (n == VAR)
        sb_puts(out, "any");
    else
        sb_putf(out, "%d", n);
}

static void put_op_attrs(strbuf *out, const char *attrs)
{
    while (*attrs) {
        bool optional = *attrs == '?';
        size_t n = strcspn(attrs, ",");
        sb_putf(out, "`%.*s`%s", (int)(n - optional), attrs + optional, optional ? "?" : "");
        attrs += n;
        if (*attrs) {
            sb_puts(out, ", ");
            attrs++;
        }
    }
}

static void put_op(strbuf *out, const ir_op_info *o)
{
    sb_putf(out, "| `%s` | ", o->name);
    put_count(out, o->nin);
    sb_puts(out, " → ");
    put_count(out, o->nout);
    if (o->nregions == VAR)
        sb_puts(out, ", any regions");
    else if (o->nregions)
        sb_putf(out, ", %d region%s", o->nregions, o->nregions == 1 ? "" : "s");
    sb_puts(out, " | ");
    put_op_attrs(out, o->attrs);
    sb_puts(out, " | ");
    put_flags(out, o->flags);
    sb_putf(out, " | %s | ", o->stages == ANY ? "both" : o->stages == TIR ? "tir" : "laid");
    put_cell(out, o->doc);
    if (o->rule != RULE_OWN)
        sb_putf(out, "; %s", rule_name(o->rule));
    sb_puts(out, " |\n");
}

static void put_ops(strbuf *out)
{
    size_t g = 0;
    sb_puts(out, "\n## Ops\n\nA `?` marks an optional attribute. `$0` is the first operand. \"Same shape\" includes "
                 "both scalar.\n");
    for (int c = 1; c < IR_CODE_COUNT; c++) {
        if (g < COUNTOF(groups) && groups[g].first == (ir_code)c) {
            sb_putf(out, "\n### %s\n\n%s\n\n", groups[g].title, groups[g].text);
            sb_puts(out,
                    "| op | operands → results | attributes | effect | stage | meaning |\n|---|---|---|---|---|---|\n");
            g++;
        }
        put_op(out, &ir_ops[c]);
    }
}

static void put_attrs(strbuf *out)
{
    static const char *const kinds[] = {
        [AK_INT] = "integer", [AK_INTS] = "list of integers", [AK_STR] = "string", [AK_ENUM] = "name"};
    sb_puts(out, "\n## Attributes\n\n| attribute | kind | meaning |\n|---|---|---|\n");
    for (int k = 1; k < IR_KEY_COUNT; k++) {
        sb_putf(out, "| `%s` | %s", ir_keys[k].name, kinds[ir_keys[k].kind]);
        for (int64_t v = 0; ir_keys[k].kind == AK_ENUM && ir_enum_name((ir_key)k, v); v++)
            sb_putf(out, "%s `%s`", v ? "," : ":", ir_enum_name((ir_key)k, v));
        sb_puts(out, " | ");
        put_cell(out, ir_keys[k].doc);
        sb_puts(out, " |\n");
    }
}

static void put_passes(strbuf *out)
{
    static const struct {
        const char *name, *doc;
    } passes[] = {
#define PASS(name, from, to, doc) {#name, doc},
#include "compiler/passes/passes.def"
#undef PASS
    };
    sb_puts(out, "\n## Passes\n\nIn the order of the pipeline that every back end starts with.\n\n| pass | what it "
                 "does |\n|---|---|\n");
    for (size_t i = 0; i < COUNTOF(passes); i++) {
        sb_putf(out, "| `%s` | ", passes[i].name);
        put_cell(out, passes[i].doc);
        sb_puts(out, " |\n");
    }
}

static bool document(arena *a, const char *head, strbuf *out, str *err)
{
    str prose;
    if (!file_read(a, head, 0, &prose, err))
        return false;
    sb_puts(out, "<!-- made by tools/gen_docs.c from docs/ir.head.md and the compiler's tables: edit those, then `make "
                 "docs` -->\n\n");
    sb_put(out, prose);
    put_types(out);
    put_ops(out);
    put_attrs(out);
    put_passes(out);
    return true;
}

int main(int argc, char **argv)
{
    bool check = argc == 4 && strcmp(argv[1], "--check") == 0;
    const char *head = argv[1 + check], *path = check ? argv[3] : argv[2];
    arena a;
    strbuf out;
    str err = {0}, old = {0};
    bool ok;
    if (!check && argc != 3) {
        fputs("usage: gen_docs [--check] HEAD OUT\n", stderr);
        return 2;
    }
    arena_init(&a, 0);
    sb_init(&out, &a);
    ok = document(&a, head, &out, &err) &&
         (check ? file_read(&a, path, 0, &old, &err) : file_write(&a, path, sb_str(&out), &err));
    if (!ok)
        fprintf(stderr, "gen_docs: %.*s\n", STR_ARG(err));
    else if (check && !str_eq(old, sb_str(&out))) {
        fprintf(stderr, "gen_docs: %s is not current; run `make docs`\n", path);
        ok = false;
    }
    arena_fini(&a);
    return ok ? 0 : 1;
}
