/* aot_link.c: ELF objects of ours, of one machine (x86-64 or aarch64), put into one relocatable object, without a
 * linker.
 *
 * Each input's sections are copied as they are (sections of one name may stand side by side in an object; the linker
 * joins them), its symbols and relocations renumbered:
 *
 *   header | section bytes ... | relocations ... | symbols (locals, then globals) | names | section table
 *
 * The entry function of a kernel's object becomes a local symbol, to which undefined symbols of that name in other
 * inputs are resolved; other undefined names are shared. So what stays visible is what the glue (aot_tables.c) shows.
 * Inputs come from the code generator: what isn't understood is refused, by name.
 */
#include "runtime/aot_link.h"

#include <elf.h>
#include <string.h>

#define SHT_ADDRSIG 0x6fff4c03 /* LLVM's: a hint for its linker */

typedef struct section {
    str name, bytes;
    Elf64_Shdr head;
    const Elf64_Rela *rela;
    uint64_t nrela;
    uint32_t input;
} section;

typedef struct symbol {
    str name;
    Elf64_Sym s; /* st_shndx: of the output */
} symbol;

typedef struct input {
    str o;
    const Elf64_Ehdr *head;
    const Elf64_Shdr *sec;
    const Elf64_Sym *sym;
    uint64_t nsym;
    str names, section_names;
    uint32_t *to;      /* by section: its number in the output, 0 = left out */
    uint32_t *symbols; /* by symbol: index into locals, or globals | GLOBAL */
} input;

#define GLOBAL 0x80000000u

typedef struct linker {
    arena *a;
    input *in;
    uint32_t n;
    VEC(section) sections; /* output number i is at i - 1 */
    VEC(symbol) locals, globals;
    str *err;
} linker;

static bool fail(linker *l, const char *what)
{
    *l->err = str_fmt(l->a, "an object of the code generator %s", what);
    return false;
}

static bool holds(str o, uint64_t off, uint64_t n, uint64_t size)
{
    return off <= o.n && n <= (o.n - off) / size;
}

static str name_at(str names, uint64_t at)
{
    return at < names.n && memchr(names.p + at, 0, names.n - at) ? str_of(names.p + at) : (str){0};
}

static bool open_input(linker *l, input *in, str object)
{
    in->o = (uintptr_t)object.p % 8 ? (str){arena_copy(l->a, object.p, object.n, 16), object.n} : object;
    const Elf64_Ehdr *h = in->head = (const void *)in->o.p;
    if (in->o.n < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_type != ET_REL ||
        (h->e_machine != EM_X86_64 && h->e_machine != EM_AARCH64) || h->e_shentsize != sizeof(Elf64_Shdr) ||
        h->e_shstrndx >= h->e_shnum || !holds(in->o, h->e_shoff, h->e_shnum, sizeof(Elf64_Shdr)))
        return fail(l, "is no x86-64 or aarch64 object");
    if (l->in && h->e_machine != l->in[0].head->e_machine)
        return fail(l, "is of another machine than the rest");
    in->sec = (const void *)(in->o.p + h->e_shoff);
    for (uint32_t i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *s = &in->sec[i];
        if (s->sh_type != SHT_NOBITS && !holds(in->o, s->sh_offset, s->sh_size, 1))
            return fail(l, "has a section beyond its end");
        if (s->sh_type == SHT_GROUP || s->sh_type == SHT_REL || s->sh_type == SHT_SYMTAB_SHNDX)
            return fail(l, "has a section of a kind that is not expected");
        if (s->sh_type == SHT_SYMTAB && s->sh_link < h->e_shnum) {
            const Elf64_Shdr *t = &in->sec[s->sh_link];
            in->sym = (const void *)(in->o.p + s->sh_offset);
            in->nsym = s->sh_size / sizeof(Elf64_Sym);
            in->names = (str){in->o.p + t->sh_offset, t->sh_size};
        }
    }
    const Elf64_Shdr *names = &in->sec[h->e_shstrndx];
    in->section_names = (str){in->o.p + names->sh_offset, names->sh_size};
    in->to = ARENA_ARRAY(l->a, uint32_t, h->e_shnum);
    in->symbols = ARENA_ARRAY(l->a, uint32_t, in->nsym + 1);
    return true;
}

static bool is_copied(const linker *l, const section *s)
{
    switch (s->head.sh_type) {
    case SHT_NULL:
    case SHT_SYMTAB:
    case SHT_STRTAB:
    case SHT_RELA:
    case SHT_ADDRSIG:
        return false;
    default:
        break;
    }
    if (!(s->head.sh_flags & SHF_ALLOC) && s->head.sh_size == 0) /* .note.GNU-stack: one is enough */
        for (uint32_t i = 0; i < l->sections.n; i++)
            if (str_eq(l->sections.at[i].name, s->name))
                return false;
    return s->head.sh_size > 0 || !(s->head.sh_flags & SHF_ALLOC);
}

static void take_sections(linker *l, uint32_t index)
{
    input *in = &l->in[index];
    for (uint32_t i = 0; i < in->head->e_shnum; i++) {
        section s = {.head = in->sec[i], .input = index};
        s.name = name_at(in->section_names, s.head.sh_name);
        s.bytes = s.head.sh_type == SHT_NOBITS ? (str){0} : (str){in->o.p + s.head.sh_offset, s.head.sh_size};
        if (!is_copied(l, &s))
            continue;
        vec_push(l->a, &l->sections, s);
        in->to[i] = l->sections.n;
    }
    for (uint32_t i = 0; i < in->head->e_shnum; i++) {
        const Elf64_Shdr *s = &in->sec[i];
        if (s->sh_type != SHT_RELA || s->sh_info >= in->head->e_shnum || !in->to[s->sh_info])
            continue;
        section *of = &l->sections.at[in->to[s->sh_info] - 1];
        of->rela = (const void *)(in->o.p + s->sh_offset);
        of->nrela = s->sh_size / sizeof(Elf64_Rela);
    }
}

static uint32_t put_local(linker *l, symbol s)
{
    vec_push(l->a, &l->locals, s);
    return l->locals.n - 1;
}

static uint32_t put_global(linker *l, symbol s)
{
    for (uint32_t i = 0; i < l->globals.n; i++) {
        symbol *g = &l->globals.at[i];
        if (!str_eq(g->name, s.name))
            continue;
        if (g->s.st_shndx == SHN_UNDEF)
            g->s = s.s;
        return i | GLOBAL;
    }
    vec_push(l->a, &l->globals, s);
    return (l->globals.n - 1) | GLOBAL;
}

/* defined symbols first, so that undefined ones find them: two rounds */
static bool take_symbols(linker *l, uint32_t index, const aot_input *from, bool defined)
{
    input *in = &l->in[index];
    for (uint64_t i = 1; i < in->nsym; i++) {
        symbol s = {name_at(in->names, in->sym[i].st_name), in->sym[i]};
        bool is_entry = from->entry.n && str_eq(s.name, from->entry);
        if ((s.s.st_shndx != SHN_UNDEF) != defined)
            continue;
        if (s.s.st_shndx != SHN_UNDEF && s.s.st_shndx < SHN_LORESERVE) {
            uint32_t to = s.s.st_shndx < in->head->e_shnum ? in->to[s.s.st_shndx] : 0;
            if (!to)
                continue; /* of what isn't copied; nothing refers to it, or find_symbol complains */
            if (to >= SHN_LORESERVE)
                return fail(l, "makes too many sections");
            s.s.st_shndx = (uint16_t)to;
        }
        if (is_entry) {
            s.name = from->as;
            s.s.st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC);
            s.s.st_other = STV_DEFAULT;
        }
        in->symbols[i] = 1 + (ELF64_ST_BIND(s.s.st_info) == STB_LOCAL ? put_local(l, s) : put_global(l, s));
    }
    return true;
}

/* undefined globals that are the local entry of another input */
static void resolve(linker *l, uint32_t *global_to_local)
{
    map64 by_hash;
    map_init(&by_hash, l->a);
    for (uint32_t i = 0; i < l->locals.n; i++)
        if (ELF64_ST_TYPE(l->locals.at[i].s.st_info) == STT_FUNC)
            map_set(&by_hash, str_hash(l->locals.at[i].name), i);
    for (uint32_t i = 0; i < l->globals.n; i++) {
        uint32_t at;
        global_to_local[i] = UINT32_MAX;
        if (l->globals.at[i].s.st_shndx == SHN_UNDEF && map_get(&by_hash, str_hash(l->globals.at[i].name), &at) &&
            str_eq(l->locals.at[at].name, l->globals.at[i].name))
            global_to_local[i] = at;
    }
}

typedef struct writer {
    strbuf b, names;
    uint32_t *place; /* of globals: their symbol numbers */
    uint32_t *local; /* by global: the local that it is, or UINT32_MAX */
    VEC(Elf64_Shdr) heads;
} writer;

static void align(strbuf *b, uint64_t to)
{
    while (b->n % (to ? to : 1))
        sb_putc(b, 0);
}

static uint32_t put_name(writer *w, str s)
{
    uint32_t at = (uint32_t)w->names.n;
    if (!s.n)
        return 0;
    sb_put(&w->names, s);
    sb_putc(&w->names, 0);
    return at;
}

static uint32_t symbol_number(const linker *l, const writer *w, const input *in, uint64_t i)
{
    uint32_t s = in->symbols[i];
    if (s == 0)
        return 0;
    s--;
    if (!(s & GLOBAL))
        return s + 1;
    s &= ~GLOBAL;
    return w->local[s] != UINT32_MAX ? w->local[s] + 1 : 1 + l->locals.n + w->place[s];
}

static bool write_relocations(linker *l, writer *w, uint32_t number)
{
    const section *s = &l->sections.at[number];
    const input *in = &l->in[s->input];
    for (uint64_t i = 0; i < s->nrela; i++) {
        Elf64_Rela r = s->rela[i];
        uint64_t sym = ELF64_R_SYM(r.r_info);
        uint32_t to = sym < in->nsym ? symbol_number(l, w, in, sym) : 0;
        if (sym && !to)
            return fail(l, "refers to what is not copied");
        r.r_info = ELF64_R_INFO((uint64_t)to, ELF64_R_TYPE(r.r_info));
        sb_put(&w->b, (str){(const char *)&r, sizeof r});
    }
    return true;
}

static void write_symbol(writer *w, const symbol *s)
{
    Elf64_Sym out = s->s;
    out.st_name = put_name(w, s->name);
    sb_put(&w->b, (str){(const char *)&out, sizeof out});
}

static bool write_sections(linker *l, writer *w, uint32_t symtab)
{
    vec_push(l->a, &w->heads, ((Elf64_Shdr){0}));
    for (uint32_t i = 0; i < l->sections.n; i++) {
        section *s = &l->sections.at[i];
        Elf64_Shdr h = s->head;
        align(&w->b, h.sh_addralign);
        h.sh_name = put_name(w, s->name);
        h.sh_offset = w->b.n;
        if (h.sh_link || (h.sh_flags & SHF_LINK_ORDER))
            return fail(l, "has a section that depends on another");
        sb_put(&w->b, s->bytes);
        vec_push(l->a, &w->heads, h);
    }
    for (uint32_t i = 0; i < l->sections.n; i++) {
        if (!l->sections.at[i].nrela)
            continue;
        align(&w->b, 8);
        Elf64_Shdr h = {.sh_name = put_name(w, str_fmt(l->a, ".rela%.*s", STR_ARG(l->sections.at[i].name))),
                        .sh_type = SHT_RELA,
                        .sh_flags = SHF_INFO_LINK,
                        .sh_offset = w->b.n,
                        .sh_link = symtab,
                        .sh_info = i + 1,
                        .sh_addralign = 8,
                        .sh_entsize = sizeof(Elf64_Rela)};
        if (!write_relocations(l, w, i))
            return false;
        h.sh_size = w->b.n - h.sh_offset;
        vec_push(l->a, &w->heads, h);
    }
    return true;
}

static void write_symbols(linker *l, writer *w, uint32_t symtab)
{
    static const symbol none;
    align(&w->b, 8);
    Elf64_Shdr h = {.sh_name = put_name(w, S(".symtab")),
                    .sh_type = SHT_SYMTAB,
                    .sh_offset = w->b.n,
                    .sh_link = symtab + 1,
                    .sh_info = 1 + l->locals.n,
                    .sh_addralign = 8,
                    .sh_entsize = sizeof(Elf64_Sym)};
    write_symbol(w, &none);
    for (uint32_t i = 0; i < l->locals.n; i++)
        write_symbol(w, &l->locals.at[i]);
    for (uint32_t i = 0; i < l->globals.n; i++)
        if (w->local[i] == UINT32_MAX)
            write_symbol(w, &l->globals.at[i]);
    h.sh_size = w->b.n - h.sh_offset;
    vec_push(l->a, &w->heads, h);
}

static bool write_all(linker *l, str *out)
{
    writer w = {0};
    Elf64_Ehdr head = *l->in[0].head;
    uint32_t nrel = 0, next = 0;
    sb_init(&w.b, l->a);
    sb_init(&w.names, l->a);
    sb_putc(&w.names, 0);
    for (uint32_t i = 0; i < l->sections.n; i++)
        nrel += l->sections.at[i].nrela > 0;
    w.local = ARENA_ARRAY(l->a, uint32_t, l->globals.n + 1);
    w.place = ARENA_ARRAY(l->a, uint32_t, l->globals.n + 1);
    resolve(l, w.local);
    for (uint32_t i = 0; i < l->globals.n; i++)
        if (w.local[i] == UINT32_MAX)
            w.place[i] = next++;
    uint32_t symtab = 1 + l->sections.n + nrel;
    sb_put(&w.b, (str){(const char *)&head, sizeof head});
    if (!write_sections(l, &w, symtab))
        return false;
    write_symbols(l, &w, symtab);
    Elf64_Shdr h = {
        .sh_name = put_name(&w, S(".strtab")), .sh_type = SHT_STRTAB, .sh_offset = w.b.n, .sh_addralign = 1};
    h.sh_size = w.names.n;
    sb_put(&w.b, sb_str(&w.names));
    vec_push(l->a, &w.heads, h);
    align(&w.b, 8);
    head.e_shoff = w.b.n;
    if (w.heads.n >= SHN_LORESERVE)
        return fail(l, "makes too many sections");
    head.e_shnum = (uint16_t)w.heads.n;
    head.e_shstrndx = (uint16_t)(symtab + 1);
    sb_put(&w.b, (str){(const char *)w.heads.at, w.heads.n * sizeof *w.heads.at});
    memcpy(w.b.at, &head, sizeof head);
    *out = sb_str(&w.b);
    return true;
}

bool aot_link(arena *a, const aot_input *in, uint32_t n, str *out, str *err)
{
    linker l = {.a = a, .n = n, .err = err, .in = ARENA_ARRAY(a, input, (size_t)n + 1)};
    for (uint32_t i = 0; i < n; i++) {
        if (!open_input(&l, &l.in[i], in[i].object))
            return false;
        take_sections(&l, i);
    }
    for (int defined = 1; defined >= 0; defined--)
        for (uint32_t i = 0; i < n; i++)
            if (!take_symbols(&l, i, &in[i], defined))
                return false;
    return write_all(&l, out);
}

bool aot_wants_only(arena *a, str object, bool (*allowed)(str name), str *missing)
{
    str err;
    linker l = {.a = a, .n = 1, .err = &err};
    input in = {0};
    if (!open_input(&l, &in, object))
        bug("%.*s", STR_ARG(err));
    for (uint64_t i = 1; i < in.nsym; i++) {
        *missing = name_at(in.names, in.sym[i].st_name);
        if (in.sym[i].st_shndx == SHN_UNDEF && missing->n && !allowed(*missing))
            return false;
    }
    return true;
}
