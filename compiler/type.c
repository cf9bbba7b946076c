/* type.c: interning of types, attribute values and locations, and questions about types.
 *
 * The three share one open-addressing table: a slot holds kind and id, equality is asked of the kind's own array. Keys
 * are compared field by field, never as bytes, since structs have padding.
 */
#include "compiler/tables.h"

#include <string.h>

/* ---- the table ---- */
static bool type_same(const ir_type_info *a, const ir_type_info *b)
{
    if (a->kind != b->kind || a->dt != b->dt || a->elem.id != b->elem.id || a->rank != b->rank ||
        a->strided != b->strided || a->layout.id != b->layout.id || a->stages != b->stages || a->nparts != b->nparts)
        return false;
    for (int i = 0; i < a->nparts; i++)
        if (a->parts[i].id != b->parts[i].id)
            return false;
    return a->rank == 0 || memcmp(a->shape, b->shape, sizeof a->shape[0] * (size_t)a->rank) == 0;
}

static uint64_t type_hash(const ir_type_info *t)
{
    uint64_t h = hash_mix((uint64_t)t->kind << 32 | (uint64_t)t->dt, (uint64_t)t->elem.id << 8 | (uint64_t)t->rank);
    h = hash_mix(h, (uint64_t)t->strided << 32 | t->layout.id);
    for (int d = 0; d < t->rank; d++)
        h = hash_mix(h, (uint64_t)t->shape[d]);
    for (int i = 0; i < t->nparts; i++)
        h = hash_mix(h, (uint64_t)t->stages << 32 | t->parts[i].id);
    return h;
}

static bool attr_same(const attr_value *a, const attr_value *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == AK_INTS)
        return a->n == b->n && (a->n == 0 || memcmp(a->ints, b->ints, a->n * sizeof *a->ints) == 0);
    return a->kind == AK_STR ? str_eq(a->s, b->s) : a->i == b->i;
}

static uint64_t attr_hash(const attr_value *v)
{
    if (v->kind == AK_INTS)
        return hash_bytes(v->ints, v->n * sizeof *v->ints, 2);
    return v->kind == AK_STR ? hash_bytes(v->s.p, v->s.n, 3) : hash_mix((uint64_t)v->i, 4);
}

static uint64_t loc_hash(const ir_loc_data *l)
{
    return hash_mix((uint64_t)l->file << 32 | l->line, (uint64_t)l->col << 32 | l->inlined_at.id);
}

static bool loc_same(const ir_loc_data *a, const ir_loc_data *b)
{
    return a->file == b->file && a->line == b->line && a->col == b->col && a->inlined_at.id == b->inlined_at.id;
}

static uint64_t hash_of(const struct ir_tables *t, uint32_t kind, uint32_t id)
{
    if (kind == TAB_TYPE)
        return type_hash(&t->types.at[id]);
    return kind == TAB_ATTR ? attr_hash(&t->attrs.at[id]) : loc_hash(&t->locs.at[id]);
}

static void tables_grow(ir_module *m)
{
    struct ir_tables *t = m->tables, old = *t;
    t->nslots = old.nslots ? old.nslots * 2 : 256;
    t->slots = ARENA_ARRAY(m->a, uint32_t, t->nslots);
    t->slot_kinds = ARENA_ARRAY(m->a, uint32_t, t->nslots);
    for (uint32_t i = 0; i < old.nslots; i++) {
        if (!old.slots[i])
            continue;
        uint32_t j = (uint32_t)hash_of(t, old.slot_kinds[i], old.slots[i]) & (t->nslots - 1);
        while (t->slots[j])
            j = (j + 1) & (t->nslots - 1);
        t->slots[j] = old.slots[i];
        t->slot_kinds[j] = old.slot_kinds[i];
    }
}

/* the slot of an equal key, or the empty one where it goes */
static uint32_t find(ir_module *m, uint32_t kind, uint64_t hash, const void *key)
{
    struct ir_tables *t = m->tables;
    if (t->used * 2 >= t->nslots)
        tables_grow(m);
    uint32_t i = (uint32_t)hash & (t->nslots - 1);
    for (; t->slots[i]; i = (i + 1) & (t->nslots - 1)) {
        uint32_t id = t->slots[i];
        if (t->slot_kinds[i] != kind)
            continue;
        if (kind == TAB_TYPE   ? type_same(&t->types.at[id], key)
            : kind == TAB_ATTR ? attr_same(&t->attrs.at[id], key)
                               : loc_same(&t->locs.at[id], key))
            break;
    }
    return i;
}

static uint32_t enter(struct ir_tables *t, uint32_t slot, uint32_t kind, uint32_t id)
{
    t->slots[slot] = id;
    t->slot_kinds[slot] = kind;
    t->used++;
    return id;
}

static ir_type intern_type(ir_module *m, const ir_type_info *info)
{
    struct ir_tables *t = m->tables;
    uint32_t slot = find(m, TAB_TYPE, type_hash(info), info);
    if (t->slots[slot])
        return (ir_type){t->slots[slot]};
    if (!t->types.n)
        vec_push(m->a, &t->types, (ir_type_info){0});
    vec_push(m->a, &t->types, *info);
    return (ir_type){enter(t, slot, TAB_TYPE, t->types.n - 1)};
}

static ir_attr intern_attr(ir_module *m, attr_value v)
{
    struct ir_tables *t = m->tables;
    uint32_t slot = find(m, TAB_ATTR, attr_hash(&v), &v);
    if (t->slots[slot])
        return (ir_attr){t->slots[slot]};
    if (v.kind == AK_INTS)
        v.ints = arena_copy(m->a, v.ints, v.n * sizeof *v.ints, 8);
    if (v.kind == AK_STR)
        v.s = str_dup(m->a, v.s);
    if (!t->attrs.n)
        vec_push(m->a, &t->attrs, (attr_value){0});
    vec_push(m->a, &t->attrs, v);
    return (ir_attr){enter(t, slot, TAB_ATTR, t->attrs.n - 1)};
}

ir_loc ir_loc_make(ir_module *m, str file, uint32_t line, uint32_t col, ir_loc inlined_at)
{
    struct ir_tables *t = m->tables;
    ir_loc_data l = {intern_id(m->names, file), line, col, inlined_at};
    uint32_t slot = find(m, TAB_LOC, loc_hash(&l), &l);
    if (t->slots[slot])
        return (ir_loc){t->slots[slot]};
    if (!t->locs.n)
        vec_push(m->a, &t->locs, (ir_loc_data){0});
    vec_push(m->a, &t->locs, l);
    return (ir_loc){enter(t, slot, TAB_LOC, t->locs.n - 1)};
}

ir_loc_data ir_loc_get(const ir_module *m, ir_loc loc)
{
    return loc.id ? m->tables->locs.at[loc.id] : (ir_loc_data){0};
}

str ir_loc_file(const ir_module *m, ir_loc loc)
{
    return loc.id ? intern_str(m->names, m->tables->locs.at[loc.id].file) : S("");
}

/* ---- attribute values ---- */
ir_attr ir_attr_int(ir_module *m, int64_t v)
{
    return intern_attr(m, (attr_value){.kind = AK_INT, .i = v});
}

ir_attr ir_attr_ints(ir_module *m, const int64_t *v, uint32_t n)
{
    return intern_attr(m, (attr_value){.kind = AK_INTS, .ints = v, .n = n});
}

ir_attr ir_attr_str(ir_module *m, str s)
{
    return intern_attr(m, (attr_value){.kind = AK_STR, .s = s});
}

int64_t ir_attr_as_int(const ir_module *m, ir_attr a)
{
    return m->tables->attrs.at[a.id].i;
}

const int64_t *ir_attr_as_ints(const ir_module *m, ir_attr a, uint32_t *n)
{
    const attr_value *v = &m->tables->attrs.at[a.id];
    *n = v->n;
    return v->ints;
}

str ir_attr_as_str(const ir_module *m, ir_attr a)
{
    return m->tables->attrs.at[a.id].s;
}

/* ---- types ---- */
ir_type ir_type_num(ir_module *m, dtype dt)
{
    return intern_type(m, &(ir_type_info){.kind = TK_NUM, .dt = dt});
}

ir_type ir_type_ptr(ir_module *m, ir_type elem)
{
    return intern_type(m, &(ir_type_info){.kind = TK_PTR, .elem = elem});
}

static ir_type shaped(ir_module *m, ir_type_kind kind, ir_type elem, int rank, const int64_t *shape, bool strided)
{
    ir_type_info t = {.kind = kind, .elem = elem, .rank = rank, .strided = strided};
    const ir_type_info *e = ir_type_of(m, elem);
    if (rank < 0 || rank > IR_MAX_RANK)
        bug("type of rank %d", rank);
    t.dt = e->kind == TK_NUM ? e->dt : DT_NONE;
    memcpy(t.shape, shape, sizeof *shape * (size_t)rank);
    return intern_type(m, &t);
}

ir_type ir_type_tile(ir_module *m, ir_type elem, int rank, const int64_t *shape)
{
    return rank == 0 ? elem : shaped(m, TK_TILE, elem, rank, shape, false);
}

ir_type ir_type_tensor(ir_module *m, ir_type elem, int rank, const int64_t *shape, bool strided)
{
    return shaped(m, TK_TENSOR, elem, rank, shape, strided);
}

ir_type ir_type_laid(ir_module *m, ir_type tile, ir_layout l)
{
    ir_type_info i = *ir_type_of(m, tile);
    if (i.kind != TK_TILE)
        return tile;
    i.layout = l;
    return intern_type(m, &i);
}

ir_type ir_type_shared(ir_module *m, ir_type elem, int rank, const int64_t *shape, ir_layout l)
{
    ir_type_info t = {.kind = TK_SHARED, .elem = elem, .rank = rank, .layout = l, .dt = ir_type_of(m, elem)->dt};
    memcpy(t.shape, shape, sizeof *shape * (size_t)rank);
    return intern_type(m, &t);
}

ir_type ir_type_chan(ir_module *m, int stages, int nparts, const ir_type *parts)
{
    ir_type_info t = {.kind = TK_CHAN, .stages = stages, .nparts = nparts};
    memcpy(t.parts, parts, sizeof *parts * (size_t)nparts);
    return intern_type(m, &t);
}

ir_type ir_type_token(ir_module *m)
{
    return intern_type(m, &(ir_type_info){.kind = TK_TOKEN});
}

const ir_type_info *ir_type_of(const ir_module *m, ir_type t)
{
    return &m->tables->types.at[t.id];
}

bool ir_type_eq(ir_type a, ir_type b)
{
    return a.id == b.id;
}

int ir_type_rank(const ir_module *m, ir_type t)
{
    const ir_type_info *i = ir_type_of(m, t);
    return i->kind == TK_TILE ? i->rank : 0;
}

int64_t ir_type_count(const ir_module *m, ir_type t)
{
    const ir_type_info *i = ir_type_of(m, t);
    int64_t n = 1;
    for (int d = 0; i->kind == TK_TILE && d < i->rank; d++)
        n *= i->shape[d];
    return n;
}

ir_type ir_type_elem(const ir_module *m, ir_type t)
{
    const ir_type_info *i = ir_type_of(m, t);
    return i->kind == TK_TILE ? i->elem : t;
}

dtype ir_type_dt(const ir_module *m, ir_type t)
{
    const ir_type_info *i = ir_type_of(m, t);
    return i->kind == TK_NUM || i->kind == TK_TILE ? i->dt : DT_NONE;
}

bool ir_type_is_ptr(const ir_module *m, ir_type t)
{
    return ir_type_of(m, ir_type_elem(m, t))->kind == TK_PTR;
}

ir_type ir_type_with_elem(ir_module *m, ir_type t, ir_type elem)
{
    ir_type_info i = *ir_type_of(m, t);
    if (i.kind != TK_TILE)
        return elem;
    const ir_type_info *e = ir_type_of(m, elem);
    i.elem = elem;
    i.dt = e->kind == TK_NUM ? e->dt : DT_NONE;
    return intern_type(m, &i);
}

ir_type ir_type_with_dt(ir_module *m, ir_type t, dtype dt)
{
    return ir_type_with_elem(m, t, ir_type_num(m, dt));
}

ir_type ir_type_with_shape(ir_module *m, ir_type t, int rank, const int64_t *shape)
{
    return ir_type_tile(m, ir_type_elem(m, t), rank, shape);
}

void ir_type_print(const ir_module *m, ir_type t, strbuf *out)
{
    const ir_type_info *i = ir_type_of(m, t);
    switch (i->kind) {
    case TK_NONE:
        sb_puts(out, "none");
        return;
    case TK_NUM:
        sb_puts(out, dtypes[i->dt].name);
        return;
    case TK_PTR:
        sb_putc(out, '*');
        ir_type_print(m, i->elem, out);
        return;
    case TK_TOKEN:
        sb_puts(out, "token");
        return;
    case TK_CHAN:
        sb_putf(out, "chan<%d, {", i->stages);
        for (int k = 0; k < i->nparts; k++) {
            sb_puts(out, k ? ", " : "");
            ir_type_print(m, i->parts[k], out);
        }
        sb_puts(out, "}>");
        return;
    case TK_TILE:
    case TK_TENSOR:
    case TK_SHARED:
        sb_puts(out, i->kind == TK_TILE ? "tile<" : i->kind == TK_TENSOR ? "tensor<" : "shared<");
        for (int d = 0; d < i->rank; d++)
            if (i->shape[d] == IR_DYN)
                sb_puts(out, "?x");
            else
                sb_putf(out, "%lldx", (long long)i->shape[d]);
        ir_type_print(m, i->elem, out);
        if (i->layout.id)
            sb_putf(out, ", #%u", i->layout.id);
        sb_puts(out, i->strided ? ", strided>" : ">");
        return;
    }
}
