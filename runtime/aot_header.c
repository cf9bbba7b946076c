/* aot_header.c: the C header of an ahead-of-time object: a function a kernel and one an instance, with what each
 * argument is and what is checked of it.
 */
#include "runtime/aot_build.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* names of arguments that are words of C or C++ get a mark */
static str c_name(aot_job *j, str name)
{
    static const char *const words[] = {
        "auto",     "bool",    "break",    "case",     "char",     "class",  "const",   "continue",  "default",
        "delete",   "do",      "double",   "else",     "enum",     "export", "extern",  "float",     "for",
        "friend",   "goto",    "if",       "inline",   "int",      "long",   "mutable", "namespace", "new",
        "operator", "private", "public",   "register", "return",   "short",  "signed",  "sizeof",    "static",
        "struct",   "switch",  "template", "this",     "throw",    "try",    "typedef", "typename",  "union",
        "unsigned", "using",   "virtual",  "void",     "volatile", "while",  "err",     "grid",      "stream"};
    for (size_t i = 0; i < COUNTOF(words); i++)
        if (str_eq(name, str_of(words[i])))
            return str_fmt(j->a, "%.*s_", STR_ARG(name));
    return name;
}

static void put_guard(aot_job *j, strbuf *b)
{
    sb_puts(b, "TILE_KERNELS_");
    for (size_t i = 0; i < j->q->header_name.n; i++) {
        char c = j->q->header_name.p[i];
        sb_putc(b, (char)(!is_letter(c) ? '_' : c >= 'a' && c <= 'z' ? c - 32 : c));
    }
}

static void put_prototype(aot_job *j, const aot_made_kernel *k, str name, strbuf *b)
{
    sb_putf(b, "int %.*s(tile_stream *stream, const int64_t grid[3]", STR_ARG(name));
    for (uint32_t i = 0; i < k->nparams; i++) {
        const fe_param *p = k->params[i];
        str n = c_name(j, p->name);
        switch (aot_param_kind(p)) {
        case AOT_TENSOR:
            sb_putf(b, ", const tile_tensor *%.*s", STR_ARG(n));
            break;
        case AOT_POINTER:
            sb_putf(b, ", void *%.*s", STR_ARG(n));
            break;
        case AOT_SCALAR:
            sb_putf(b, ", %s%s%s%.*s", p->optional ? "const " : "", aot_param_is_float(k, p) ? "double" : "int64_t",
                    p->optional ? " *" : " ", STR_ARG(n));
            break;
        }
    }
    sb_puts(b, ", tile_error *err);\n");
}

static void put_argument(const aot_made_kernel *k, const fe_param *p, strbuf *b)
{
    static const char *const how[] = {"number", "address of elements", "tensor"};
    const aot_made *first = &k->instances.at[0];
    bool written = false;
    for (uint32_t i = 0; i < first->k->params.n; i++)
        written |= first->param[i] >= 0 && k->params[first->param[i]] == p && first->written[i];
    sb_putf(b, " *   %-12.*s %.*s: %s%s%s", STR_ARG(p->name), STR_ARG(p->type_text), how[aot_param_kind(p)],
            written ? ", written" : "", p->optional ? "; NULL: absent" : "");
    if (p->kind == FE_P_TENSOR && p->rank)
        sb_puts(b, p->strided ? "; any strides" : "; rows of stride 1");
    sb_putc(b, '\n');
}

static bool is_first(const aot_made *m, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        if (str_eq(m->sizes.at[i].name, m->sizes.at[size].name))
            return false;
    return true;
}

static void put_kernel(aot_job *j, const aot_made_kernel *k, strbuf *b)
{
    sb_putf(b, "\n/* %.*s%s\n", STR_ARG(k->fe->name),
            k->fe->has_grid ? ": grid NULL takes the one of its header"
                            : ": its header has no grid, so the call gives one");
    for (uint32_t i = 0; i < k->nparams; i++)
        put_argument(k, k->params[i], b);
    sb_puts(b, " * built for\n");
    for (uint32_t i = 0; i < k->instances.n; i++) {
        const aot_made *m = &k->instances.at[i];
        sb_putf(b, " *   %.*s: %.*s (", STR_ARG(m->symbol), STR_ARG(m->note.n ? m->note : S("its defaults")));
        for (uint32_t l = 0; l < m->levels.n; l++)
            sb_putf(b, "%s%s", l ? ", " : "", m->levels.at[l].level->name);
        for (uint32_t s = 0; s < m->sizes.n; s++)
            if (is_first(m, s))
                sb_putf(b, "%s%.*s = %lld", s ? ", " : "; ", STR_ARG(m->sizes.at[s].name),
                        (long long)m->sizes.at[s].value);
        sb_puts(b, ")\n");
    }
    sb_puts(b, " */\n");
    put_prototype(j, k, k->fe->name, b);
    for (uint32_t i = 0; i < k->instances.n; i++)
        put_prototype(j, k, k->instances.at[i].symbol, b);
    sb_putf(b, "extern const tile_linked %.*s__linked; /* for tile_kernel_linked */\n", STR_ARG(k->fe->name));
}

str aot_header(aot_job *j)
{
    strbuf b;
    sb_init(&b, j->a);
    sb_putf(&b, "/* %.*s: made by tilec %s from %.*s. Link with libtile_rt.\n *\n", STR_ARG(j->q->header_name),
            TILE_VERSION, STR_ARG(j->q->path));
    sb_puts(&b, " * A call launches the kernel and returns TILE_OK when it has run, else a tile_code, with the reason "
                "in *err (which\n"
                " * may be NULL). stream NULL: the process's own threads. grid NULL: the one in the kernel's header. "
                "Sizes and strides\n"
                " * of tensors are in elements. Checked before anything runs: null pointers, element types, ranks, "
                "sizes of one name,\n"
                " * strides, alignment to the element, readable memory, and that what is written overlaps nothing else "
                "in part.\n"
                " */\n#ifndef ");
    put_guard(j, &b);
    sb_puts(&b, "\n#define ");
    put_guard(j, &b);
    sb_puts(&b, "\n\n#include <tile.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
    for (uint32_t i = 0; i < j->kernels.n; i++)
        put_kernel(j, &j->kernels.at[i], &b);
    sb_puts(&b, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
    return sb_str(&b);
}
