/* image.c: an object of ours, made executable in this process.
 *
 * What the code generator makes is a small relocatable ELF object for x86-64: text, constants, and calls of the
 * functions in symbols.c. All sections that live in memory go into one mapping, by what may be done with them:
 *
 *   [text, a stub a symbol: jmp *slot]  read, execute     [constants, a slot a symbol: its address]  read     [data]
 *
 * It is filled while it can be written and never both written and executed. Stubs and slots exist for every symbol, so
 * that a call reaches a function however far away it is. The object may come from a disk: each offset, index and size
 * is checked before it is used, and what isn't understood is refused by name.
 */
#include "backends/cpu/image.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_SECTIONS 4096
#define MAX_SYMBOLS 65536
#define MAX_IMAGE ((uint64_t)1 << 30)

enum part { EXEC, CONST, DATA, PARTS };

typedef struct loader {
    arena *a;
    str o;
    const Elf64_Ehdr *head;
    const Elf64_Shdr *sec;
    uint64_t *at; /* by section: offset in the mapping; UINT64_MAX: not in memory */
    const Elf64_Sym *sym;
    uint64_t nsym;
    str names;
    uint64_t begin[PARTS + 1]; /* offsets of the parts; the last is the size */
    uint64_t stubs, slots;
    char *base;
    str *err;
} loader;

static bool fail(loader *l, const char *fmt, ...) STR_PRINTF(2, 3);
static bool fail(loader *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    *l->err = str_vfmt(l->a, fmt, ap);
    va_end(ap);
    return false;
}

/* n elements of `size` bytes at `off` lie in the object, aligned as they need to be */
static bool holds(const loader *l, uint64_t off, uint64_t n, uint64_t size, uint64_t align)
{
    return off <= l->o.n && n <= (l->o.n - off) / size && (uintptr_t)(l->o.p + off) % align == 0;
}

static const char *name_of(const loader *l, const Elf64_Sym *s)
{
    uint64_t at = s->st_name;
    return at < l->names.n && memchr(l->names.p + at, 0, l->names.n - at) ? l->names.p + at : NULL;
}

static bool read_heads(loader *l)
{
    const Elf64_Ehdr *h = l->head = (const void *)l->o.p;
    if (!holds(l, 0, 1, sizeof *h, 8) || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 ||
        h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_type != ET_REL ||
        h->e_machine != EM_X86_64)
        return fail(l, "it is no x86-64 object");
    if (h->e_shnum == 0 || h->e_shnum > MAX_SECTIONS || h->e_shentsize != sizeof(Elf64_Shdr) ||
        !holds(l, h->e_shoff, h->e_shnum, sizeof(Elf64_Shdr), 8))
        return fail(l, "its section table is damaged");
    l->sec = (const void *)(l->o.p + h->e_shoff);
    for (uint32_t i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *s = &l->sec[i];
        if (s->sh_type != SHT_NOBITS && !holds(l, s->sh_offset, s->sh_size, 1, 1))
            return fail(l, "section %u reaches beyond its end", i);
        if (s->sh_type != SHT_SYMTAB)
            continue;
        if (l->sym || s->sh_link >= h->e_shnum || s->sh_size / sizeof(Elf64_Sym) > MAX_SYMBOLS ||
            !holds(l, s->sh_offset, s->sh_size / sizeof(Elf64_Sym), sizeof(Elf64_Sym), 8))
            return fail(l, "its symbol table is damaged");
        const Elf64_Shdr *t = &l->sec[s->sh_link];
        l->sym = (const void *)(l->o.p + s->sh_offset);
        l->nsym = s->sh_size / sizeof(Elf64_Sym);
        if (t->sh_type != SHT_STRTAB || !holds(l, t->sh_offset, t->sh_size, 1, 1))
            return fail(l, "its symbols have no names");
        l->names = (str){l->o.p + t->sh_offset, t->sh_size};
    }
    return l->sym ? true : fail(l, "it has no symbols");
}

static bool place(loader *l, uint64_t *end, uint64_t bytes, uint64_t align, uint64_t *at)
{
    align = align ? align : 1;
    if (align > 4096 || (align & (align - 1)) || bytes > MAX_IMAGE || *end > MAX_IMAGE)
        return fail(l, "a section is too large, or its alignment is");
    *at = (*end + align - 1) & ~(align - 1);
    *end = *at + bytes;
    return true;
}

static enum part part_of(const Elf64_Shdr *s)
{
    return s->sh_flags & SHF_EXECINSTR ? EXEC : s->sh_flags & SHF_WRITE ? DATA : CONST;
}

static bool place_all(loader *l)
{
    uint64_t end = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
    l->at = ARENA_ARRAY(l->a, uint64_t, l->head->e_shnum);
    for (int p = 0; p < PARTS; p++) {
        end = (end + page - 1) / page * page;
        l->begin[p] = end;
        for (uint32_t i = 0; i < l->head->e_shnum; i++) {
            const Elf64_Shdr *s = &l->sec[i];
            if (!(s->sh_flags & SHF_ALLOC)) {
                l->at[i] = UINT64_MAX;
                continue;
            }
            if (s->sh_flags & SHF_TLS)
                return fail(l, "it has thread-local data");
            if ((int)part_of(s) == p && !place(l, &end, s->sh_size, s->sh_addralign, &l->at[i]))
                return false;
        }
        if (p == EXEC && !place(l, &end, l->nsym * 8, 16, &l->stubs))
            return false;
        if (p == CONST && !place(l, &end, l->nsym * 8, 16, &l->slots))
            return false;
    }
    l->begin[PARTS] = (end + page - 1) / page * page;
    return true;
}

/* a symbol's address; NULL + false where it has none */
static bool address_of(loader *l, uint64_t i, char **out)
{
    const Elf64_Sym *s = &l->sym[i];
    if (s->st_shndx == SHN_UNDEF) {
        const char *name = name_of(l, s);
        *out = i && name ? (char *)(uintptr_t)cpu_symbol(str_of(name)) : NULL;
        return i == 0 || *out || fail(l, "it wants '%s', which is not given to kernels", name ? name : "?");
    }
    if (s->st_shndx == SHN_ABS) {
        *out = (char *)(uintptr_t)s->st_value;
        return true;
    }
    if (s->st_shndx >= l->head->e_shnum)
        return fail(l, "a symbol lies in no section");
    bool loaded = l->at[s->st_shndx] != UINT64_MAX;
    if (loaded && s->st_value > l->sec[s->st_shndx].sh_size)
        return fail(l, "a symbol lies outside of its section");
    *out = loaded ? l->base + l->at[s->st_shndx] + s->st_value : NULL;
    return true;
}

/* jmp *slot(%rip), two bytes of padding */
static bool fill_stubs(loader *l)
{
    static const uint16_t jump = 0x25ff, pad = 0x9066;
    for (uint64_t i = 0; i < l->nsym; i++) {
        char *to, *stub = l->base + l->stubs + i * 8, *slot = l->base + l->slots + i * 8;
        if (!address_of(l, i, &to))
            return false;
        int32_t disp = (int32_t)(slot - (stub + 6));
        memcpy(slot, &to, 8);
        memcpy(stub, &jump, 2);
        memcpy(stub + 2, &disp, 4);
        memcpy(stub + 6, &pad, 2);
    }
    return true;
}

static bool put32(loader *l, char *to, int64_t x, bool is_signed)
{
    if (is_signed ? x != (int32_t)x : x != (int64_t)(uint32_t)x)
        return fail(l, "a distance does not fit 32 bits");
    int32_t v = (int32_t)(uint32_t)(uint64_t)x;
    memcpy(to, &v, 4);
    return true;
}

static bool relocate_one(loader *l, uint32_t section, const Elf64_Rela *r)
{
    const Elf64_Shdr *s = &l->sec[section];
    uint64_t n = ELF64_R_SYM(r->r_info), type = ELF64_R_TYPE(r->r_info);
    uint64_t width = type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
    char *value;
    if (n >= l->nsym || r->r_offset > s->sh_size || s->sh_size - r->r_offset < width || s->sh_type == SHT_NOBITS)
        return fail(l, "a relocation lies outside of its section");
    if (!address_of(l, n, &value))
        return false;
    char *at = l->base + l->at[section] + r->r_offset;
    bool outside = l->sym[n].st_shndx == SHN_UNDEF;
    uint64_t there = (uintptr_t)value, here = (uintptr_t)at, add = (uint64_t)r->r_addend; /* wraps */
    uint64_t stub = (uintptr_t)(l->base + l->stubs + n * 8), slot = (uintptr_t)(l->base + l->slots + n * 8);
    switch (type) {
    case R_X86_64_NONE:
        return true;
    case R_X86_64_64:
        there += add;
        memcpy(at, &there, 8);
        return true;
    case R_X86_64_PC64:
        there += add - here;
        memcpy(at, &there, 8);
        return true;
    case R_X86_64_PC32:
    case R_X86_64_PLT32:
        return put32(l, at, (int64_t)((outside ? stub : there) + add - here), true);
    case R_X86_64_GOTPCREL:
    case R_X86_64_GOTPCRELX:
    case R_X86_64_REX_GOTPCRELX:
        return put32(l, at, (int64_t)(slot + add - here), true);
    case R_X86_64_32:
    case R_X86_64_32S:
        return put32(l, at, (int64_t)(there + add), type == R_X86_64_32S);
    default:
        return fail(l, "its relocation %u is not known", (unsigned)type);
    }
}

static bool relocate(loader *l)
{
    for (uint32_t i = 0; i < l->head->e_shnum; i++) {
        const Elf64_Shdr *s = &l->sec[i];
        if (s->sh_type != SHT_RELA && s->sh_type != SHT_REL)
            continue;
        if (s->sh_info >= l->head->e_shnum)
            return fail(l, "relocations of no section");
        if (l->at[s->sh_info] == UINT64_MAX)
            continue;
        uint64_t n = s->sh_size / sizeof(Elf64_Rela);
        if (s->sh_type == SHT_REL || !holds(l, s->sh_offset, n, sizeof(Elf64_Rela), 8))
            return fail(l, "its relocations are damaged");
        const Elf64_Rela *r = (const void *)(l->o.p + s->sh_offset);
        for (uint64_t k = 0; k < n; k++)
            if (!relocate_one(l, s->sh_info, &r[k]))
                return false;
    }
    return true;
}

static bool find_entry(loader *l, const char *symbol, abi_entry **entry)
{
    for (uint64_t i = 1; i < l->nsym; i++) {
        const Elf64_Sym *s = &l->sym[i];
        const char *name = name_of(l, s);
        char *at;
        if (!name || strcmp(name, symbol) != 0 || s->st_shndx == SHN_UNDEF || s->st_shndx >= l->head->e_shnum ||
            !(l->sec[s->st_shndx].sh_flags & SHF_EXECINSTR))
            continue;
        if (!address_of(l, i, &at))
            return false;
        *entry = (abi_entry *)(uintptr_t)at;
        return true;
    }
    return fail(l, "it has no function '%s'", symbol);
}

static bool fill(loader *l, const char *symbol, abi_entry **entry)
{
    for (uint32_t i = 0; i < l->head->e_shnum; i++)
        if (l->at[i] != UINT64_MAX && l->sec[i].sh_type != SHT_NOBITS)
            memcpy(l->base + l->at[i], l->o.p + l->sec[i].sh_offset, l->sec[i].sh_size);
    if (!fill_stubs(l) || !relocate(l) || !find_entry(l, symbol, entry))
        return false;
    static const int rights[PARTS] = {
        [EXEC] = PROT_READ | PROT_EXEC, [CONST] = PROT_READ, [DATA] = PROT_READ | PROT_WRITE};
    for (int p = 0; p < PARTS; p++)
        if (l->begin[p] < l->begin[p + 1] &&
            mprotect(l->base + l->begin[p], l->begin[p + 1] - l->begin[p], rights[p]) != 0)
            return fail(l, "the system makes no memory executable");
    return true;
}

bool image_load(arena *a, str object, const char *symbol, cpu_image *out, abi_entry **entry, str *err)
{
    loader l = {.a = a, .o = object, .err = err};
    *out = (cpu_image){0};
    if ((uintptr_t)object.p % 8)
        l.o = (str){arena_copy(a, object.p, object.n, 16), object.n};
    if (!read_heads(&l) || !place_all(&l))
        return false;
    void *base = mmap(NULL, l.begin[PARTS], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return fail(&l, "no memory for its %llu bytes", (unsigned long long)l.begin[PARTS]);
    *out = (cpu_image){base, l.begin[PARTS]};
    l.base = base;
    if (fill(&l, symbol, entry))
        return true;
    image_free(out);
    return false;
}

void image_free(cpu_image *i)
{
    if (i->base)
        munmap(i->base, i->bytes);
    *i = (cpu_image){0};
}
