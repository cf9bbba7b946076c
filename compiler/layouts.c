/* layouts.c: layouts as interned things of a module, and their text. A module has few (tens), so they are searched from
 * the front.
 *
 * The text gives a layout back exactly (read_layout.c):
 *
 *   layout [64, 192] {reg: [0, 1], .. lane: [0, 2], .. warp: .. block: .. rep: 1x3@reg}
 *   shared [128, 64] {offset: [0, 1], .. rep: 1x3@offset pad: 64+8, .. boxes: 2}
 *
 * A bit's coordinates are of the base part. The base extent of a dimension is the least power of two that with its
 * repeat covers the shape; where it is another one, `base: [..]` gives them all, first.
 */
#include "compiler/tables.h"

#include <inttypes.h>

static const char *const space_names[LAY_SPACES] = {"reg", "lane", "warp", "block"};

static ir_layout intern_layout(ir_module *m, const layout_entry *want)
{
    struct ir_tables *t = m->tables;
    for (uint32_t i = 1; i < t->layouts.n; i++) {
        const layout_entry *e = t->layouts.at[i];
        if (e->is_shared == want->is_shared &&
            (want->is_shared ? lay_shared_eq(&e->shared, &want->shared) : lay_eq(&e->reg, &want->reg)))
            return (ir_layout){i};
    }
    if (!t->layouts.n)
        vec_push(m->a, &t->layouts, NULL);
    layout_entry *e = ARENA_NEW(m->a, layout_entry);
    *e = *want;
    vec_push(m->a, &t->layouts, e);
    return (ir_layout){t->layouts.n - 1};
}

ir_layout ir_layout_make(ir_module *m, const lay *l)
{
    return intern_layout(m, &(layout_entry){.reg = *l});
}

ir_layout ir_layout_make_shared(ir_module *m, const lay_shared *l)
{
    layout_entry e = {.is_shared = true, .shared = *l};
    if (e.shared.boxes < 1)
        e.shared.boxes = 1;
    return intern_layout(m, &e);
}

const lay *ir_layout_of(const ir_module *m, ir_layout l)
{
    const layout_entry *e = l.id ? m->tables->layouts.at[l.id] : NULL;
    return e && !e->is_shared ? &e->reg : NULL;
}

const lay_shared *ir_layout_shared_of(const ir_module *m, ir_layout l)
{
    const layout_entry *e = l.id ? m->tables->layouts.at[l.id] : NULL;
    return e && e->is_shared ? &e->shared : NULL;
}

/* ---- text ---- */
static bool has_least_base(const lay *l)
{
    for (int d = 0; d < l->rank; d++)
        if (l->log2[d] != ir_layout_least_base(l->shape[d], l->rep[d]))
            return false;
    return true;
}

int ir_layout_least_base(int64_t extent, int64_t repeat)
{
    int b = 0;
    while (repeat << b < extent)
        b++;
    return b;
}

static void put_list(strbuf *out, int n, const int64_t *v)
{
    sb_putc(out, '[');
    for (int i = 0; i < n; i++)
        sb_putf(out, "%s%" PRId64, i ? ", " : "", v[i]);
    sb_putc(out, ']');
}

/* the name of the next group, behind the one before */
static void put_group(strbuf *out, bool *open, const char *name)
{
    sb_putf(out, "%s%s: ", *open ? " " : "", name);
    *open = true;
}

static void put_bits(strbuf *out, bool *open, const lay *l, lay_space s, const char *name)
{
    int64_t coord[LAY_MAX_RANK];
    for (int i = 0; i < l->nbits[s]; i++) {
        if (i == 0)
            put_group(out, open, name);
        else
            sb_puts(out, ", ");
        lay_unpack(l, l->image[s][i], coord);
        put_list(out, l->rank, coord);
    }
}

static void put_base(strbuf *out, bool *open, const lay *l)
{
    int64_t base[LAY_MAX_RANK];
    if (has_least_base(l))
        return;
    for (int d = 0; d < l->rank; d++)
        base[d] = (int64_t)1 << l->log2[d];
    put_group(out, open, "base");
    put_list(out, l->rank, base);
}

static void put_repeats(strbuf *out, bool *open, const lay *l, const char *const *names)
{
    bool first = true;
    for (int i = 0; i < l->rank; i++) {
        int d = l->rep_order[i];
        if (l->rep[d] == 1)
            continue;
        if (first)
            put_group(out, open, "rep");
        sb_putf(out, "%s%dx%" PRId64 "@%s", first ? "" : ", ", d, l->rep[d], names[l->rep_on[d]]);
        first = false;
    }
}

static void put_shared(strbuf *out, bool *open, const lay_shared *l)
{
    static const char *const names[LAY_SPACES] = {"offset", "lane", "warp", "block"};
    put_base(out, open, &l->map);
    put_bits(out, open, &l->map, LAY_REG, names[LAY_REG]);
    put_repeats(out, open, &l->map, names);
    for (int i = 0; i < l->npads; i++) {
        if (i == 0)
            put_group(out, open, "pad");
        sb_putf(out, "%s%" PRId64 "+%" PRId64, i ? ", " : "", l->pads[i].interval, l->pads[i].pad);
    }
    if (l->boxes > 1) {
        put_group(out, open, "boxes");
        sb_putf(out, "%" PRId64, l->boxes);
    }
}

static void put_head(strbuf *out, const char *kind, const lay *l)
{
    sb_putf(out, "%s ", kind);
    put_list(out, l->rank, l->shape);
    sb_puts(out, " {");
}

void ir_layout_print_lay(const lay *l, strbuf *out)
{
    bool open = false;
    put_head(out, "layout", l);
    put_base(out, &open, l);
    for (int s = 0; s < LAY_SPACES; s++)
        put_bits(out, &open, l, (lay_space)s, space_names[s]);
    put_repeats(out, &open, l, space_names);
    sb_putc(out, '}');
}

void ir_layout_print(const ir_module *m, ir_layout l, strbuf *out)
{
    const lay *reg = ir_layout_of(m, l);
    const lay_shared *shared = ir_layout_shared_of(m, l);
    bool open = false;
    if (reg) {
        ir_layout_print_lay(reg, out);
    } else if (shared) {
        put_head(out, "shared", &shared->map);
        put_shared(out, &open, shared);
        sb_putc(out, '}');
    } else {
        sb_puts(out, "no layout");
    }
}
