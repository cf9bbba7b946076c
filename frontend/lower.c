/* lower.c: the state of lowering: reporting with call chains, places, limits, functions being built. */
#include "frontend/lower_kernel.h"

#include <string.h>

/* ---- reporting ---- */
/* false where the same thing was said before */
static bool first_time(lower *l, fe_diag_id id, span at, str text)
{
    uint64_t key =
        hash_mix(hash_mix(str_hash(text), (uint64_t)id), hash_mix(((uint64_t)at.file << 32) | at.beg, at.end));
    uint32_t found;
    if (map_get(&l->u->seen, key, &found))
        return false;
    map_set(&l->u->seen, key, 1);
    return true;
}

static void report(lower *l, fe_diag_id id, span at, va_list ap)
{
    const fe_diag_info *i = &fe_diags[id];
    str text = str_vfmt(l->u->a, i->text, ap);
    l->mute = !first_time(l, id, at, text);
    if (l->mute)
        return;
    diag_report(l->d, i->severity, i->severity == DIAG_WARNING ? i->name : i->id, at, "%.*s", STR_ARG(text));
    int n = 0;
    for (const frame *f = l->frames; f && n < 20; f = f->up, n++)
        diag_note_add(l->d, f->at, "in call of '%.*s'", STR_ARG(f->callee));
}

fv low_error(lower *l, fe_diag_id id, span at, ...)
{
    l->faults++;
    l->mute = l->stopped && l->said_stop; /* once a limit was named, what follows from it is silent */
    l->said_stop |= l->stopped;
    if (l->mute)
        return fv_poison();
    va_list ap;
    va_start(ap, at);
    report(l, id, at, ap);
    va_end(ap);
    return fv_poison();
}

void low_warn(lower *l, fe_diag_id id, span at, ...)
{
    va_list ap;
    va_start(ap, at);
    report(l, id, at, ap);
    va_end(ap);
}

void low_note(lower *l, span at, const char *fmt, ...)
{
    if (l->mute)
        return;
    va_list ap;
    va_start(ap, fmt);
    str text = str_vfmt(l->u->a, fmt, ap);
    va_end(ap);
    diag_note_add(l->d, at, "%.*s", STR_ARG(text));
}

str low_say(lower *l, fv v) { return fv_describe(l->m, l->fx->f, v, l->a); }
str low_type(lower *l, ir_type t) { return type_describe(l->m, t, l->a); }
str low_slot_name(const lower *l, uint32_t slot) { return l->fx->decl->slot_names[slot]; }

/* ---- places and limits ---- */
void low_place(lower *l, span at)
{
    if (!at.file || !l->fx)
        return;
    if (at.file != l->loc_file || at.beg != l->loc_beg) {
        uint32_t line, col;
        diags_place(l->d, at.file, at.beg, &line, &col);
        l->loc = ir_loc_make(l->m, l->d->files.at[at.file - 1].path, line, col, (ir_loc){0});
        l->loc_file = at.file;
        l->loc_beg = at.beg;
    }
    B(l)->loc = l->loc;
}

bool low_step(lower *l, span at)
{
    if (l->stopped)
        return false;
    uint32_t ops = l->ops;
    for (const fx *f = l->fx; f; f = f->up)
        ops += f->f->ops.n;
    if (++l->steps <= LOW_MAX_STEPS && ops <= LOW_MAX_OPS)
        return true;
    l->stopped = true;
    low_error(l, D_TOO_LONG, at, l->steps > LOW_MAX_STEPS ? LOW_MAX_STEPS : LOW_MAX_OPS,
              l->steps > LOW_MAX_STEPS ? "statements" : "operations");
    return false;
}

bool low_deeper(lower *l, span at)
{
    if (l->nesting >= LOW_MAX_DEPTH) {
        l->stopped = true;
        low_error(l, D_NESTING, at, LOW_MAX_DEPTH);
        return false;
    }
    l->nesting++;
    return true;
}

bool low_list_room(lower *l, uint32_t n, span at)
{
    if (n > LOW_MAX_LIST) {
        low_error(l, D_LIST_SIZE, at, n, LOW_MAX_LIST);
        return false;
    }
    l->steps += n / 8;
    return low_step(l, at);
}

/* ---- functions ---- */
void fx_env(lower *l, fx *f, const ast_fn *decl)
{
    f->decl = decl;
    f->hidden = decl->nslots;
    f->nslots = decl->nslots + SLOT_LOOPS + 2 * LOW_MAX_LOOPS;
    f->env = ARENA_ARRAY(l->a, fv, f->nslots);
    f->lasting = ARENA_ARRAY(l->a, uint8_t, f->nslots);
    for (uint32_t s = 0; s < f->nslots; s++)
        f->env[s] = (fv){.kind = FV_UNBOUND};
    for (uint32_t s = f->hidden + SLOT_LOOPS; s < f->nslots; s++)
        f->env[s] = fv_bool(false);
    f->env[f->hidden + SLOT_RET] = fv_bool(false);
    f->loop = NULL;
    f->nloops = f->regions = 0;
}

void fx_open(lower *l, fx *f, ir_func_kind kind, str name, const ast_fn *decl, span at)
{
    *f = (fx){.up = l->fx};
    f->f = ir_func_new(l->m, kind, name);
    ir_builder_init(&f->b, f->f, l->a);
    fx_env(l, f, decl);
    l->fx = f;
    low_place(l, at);
    f->f->loc = f->b.loc;
}

void fx_close(lower *l)
{
    fx *f = l->fx;
    vec_push(l->a, &l->made, f->f);
    l->ops += f->f->ops.n;
    l->fx = f->up;
}

void lower_init(lower *l, fe_unit *u, arena *a, arena *scratch, ir_module *m)
{
    memset(l, 0, sizeof *l);
    l->u = u;
    l->a = a;
    l->scratch = scratch;
    l->d = u->d;
    l->m = m;
    map_init(&l->inst_map, a);
    map_init(&l->inst_names, a);
}
