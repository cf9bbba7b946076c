/* variant.c: what a launch lets its binary assume, and the binaries made under such facts.
 *
 *   narrow        the instance's index guards hold: 64-bit values proved to fit are computed in 32 bits
 *   integers      == 1, else a multiple of 16
 *   addresses     a multiple of 128 bytes, of 16, or of the element only
 *   tensors       last stride 1 though declared strided; sizes and strides that are multiples of 16
 *   same_as       equal bases are one buffer: no option but part of the meaning, so the general variant has it too
 *
 * At most RT_MAX_VARIANTS specialised variants of an instance and index width are made; later facts take the general
 * one.
 *
 * Under the module's lock a variant is looked for and, where there is none, entered as one that is being made; it is
 * made without the lock, so any number are at once, also of one instance. Who wants one that another thread makes waits
 * for it; one that can't be made leaves the list, and who waited tries for itself.
 */
#include "runtime/runtime.h"

#include <string.h>

static int64_t div_of(int64_t x)
{
    return x % 16 == 0 ? 16 : 0;
}

static int64_t align_of(uint64_t addr)
{
    return addr % 128 == 0 ? 128 : addr % 16 == 0 ? 16 : 0;
}

static void find_facts(const rt_call *c, bool general, spec_fact *facts)
{
    const ir_func *f = c->inst->k;
    const uint64_t *s = c->slots + ABI_GRID_SLOTS;
    const uint64_t *first[RT_MAX_ARGS * 2]; /* those before i are set */
    for (uint32_t i = 0; i < f->params.n; i++) {
        const ir_type_info *t = ir_type_of(f->m, ir_vtype(f, ir_param_of(f, f->body, i)));
        bool address = t->kind != TK_NUM;
        spec_fact *x = &facts[i];
        *x = (spec_fact){.same_as = -1, .lo = 1, .hi = 0};
        first[i] = address && !(f->params.at[i].flags & PARAM_SCRATCH) ? s : NULL;
        for (uint32_t j = 0; first[i] && *s && j < i && x->same_as < 0; j++)
            if (first[j] && *first[j] == *s)
                x->same_as = (int)j;
        if (!general && address)
            x->align = f->params.at[i].flags & PARAM_SCRATCH ? 64 : align_of(*s);
        if (!general && t->kind == TK_NUM && dt_is_int(t->dt) && !(f->params.at[i].flags & PARAM_EXTENT)) {
            x->is_one = *s == 1;
            x->div = div_of(dt_int(t->dt, *s));
        }
        if (!general && t->kind == TK_TENSOR && first[i]) { /* scratch gets its sizes later */
            x->stride_one = t->strided && s[2 * t->rank] == 1;
            for (int d = 0; d < t->rank; d++) {
                x->size_div[d] = div_of((int64_t)s[1 + d]);
                x->stride_div[d] = div_of((int64_t)s[1 + t->rank + d]);
            }
        }
        s += t->kind == TK_TENSOR ? 1 + 2 * t->rank : 1;
    }
}

static uint64_t facts_key(const spec_fact *facts, uint32_t n)
{
    uint64_t h = 7;
    for (uint32_t i = 0; i < n; i++) {
        const spec_fact *x = &facts[i];
        h = hash_mix(h, (uint64_t)x->is_one | (uint64_t)x->stride_one << 1 | (uint64_t)x->div << 8 |
                            (uint64_t)x->align << 16 | (uint64_t)(x->same_as + 1) << 32);
        for (int d = 0; d < IR_MAX_TENSOR_RANK; d++)
            h = hash_mix(h, (uint64_t)x->size_div[d] | (uint64_t)x->stride_div[d] << 8);
    }
    return h;
}

static bool same_facts(const spec_fact *x, const spec_fact *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const spec_fact *p = &x[i], *q = &y[i];
        if (p->is_one != q->is_one || p->stride_one != q->stride_one || p->div != q->div || p->align != q->align ||
            p->same_as != q->same_as || memcmp(p->size_div, q->size_div, sizeof p->size_div) != 0 ||
            memcmp(p->stride_div, q->stride_div, sizeof p->stride_div) != 0)
            return false;
    }
    return true;
}

cache_key rt_text_key(rt_call *c, const ir_module *m)
{
    strbuf b;
    sb_init(&b, &c->a);
    ir_print_module(m, &b);
    str parts[] = {str_of(codegen_build_id), cpu_host_key(&c->a), sb_str(&b)};
    return cache_key_of(parts, COUNTOF(parts));
}

/* under which its code is kept: what it is made from and all that it may assume */
static cache_key variant_key(rt_call *c, const rt_variant *v)
{
    const rt_instance *in = c->inst;
    strbuf b;
    sb_init(&b, &c->a);
    sb_putf(&b, "%d", c->k->m->dev->target.opt_level);
    for (uint32_t i = 0; i < in->k->params.n; i++) {
        const spec_fact *x = &v->facts[i];
        sb_putf(&b, " %d %d %d %lld %lld", x->is_one, x->stride_one, x->same_as, (long long)x->div,
                (long long)x->align);
        sb_putf(&b, " %d %lld %lld %lld", x->is_known, (long long)x->value, (long long)x->lo, (long long)x->hi);
        for (int d = 0; d < IR_MAX_TENSOR_RANK; d++)
            sb_putf(&b, ",%lld,%lld", (long long)x->size_div[d], (long long)x->stride_div[d]);
    }
    str parts[] = {{(const char *)&in->text_key, sizeof in->text_key},
                   in->k->name,
                   v->narrow ? S("narrow") : S("wide"),
                   sb_str(&b)};
    return cache_key_of(parts, COUNTOF(parts));
}

typedef struct build_job {
    rt_call *c;
    rt_variant *v;
    compile_times times;
    bool begun, ok; /* begun: somebody was told */
} build_job;

/* into v; c's own memory and what it reads of the instance are all that it shares with others */
static bool build_variant(build_job *j, diags *ds)
{
    rt_call *c = j->c;
    rt_variant *v = j->v;
    tile_device *d = c->k->m->dev;
    const rt_instance *in = c->inst;
    if (!d->driver->build) {
        v->code.f = in->k;
        return true;
    }
    bool laid = in->m->stage == LAID;
    cache_key key = variant_key(c, v);
    if (d->driver->recall && !laid && !rt_dumps() && d->driver->recall(d, &v->a, &key, &v->code))
        return true;
    const tile_backend *be = rt_backend(d, ds);
    if (!be)
        return false;
    rt_tell_compile(c->k, false);
    j->begun = true;
    pass_options opt = {.checked = true, .narrow = v->narrow, .facts = v->facts};
    double t0 = clock_now(), t1;
    ir_module *im = laid ? in->m : ir_module_new(&v->a);
    for (uint32_t i = 0; i < in->m->funcs.n && !laid; i++)
        if (in->m->funcs.at[i]->kind == FUNC_FN || in->m->funcs.at[i] == in->k || in->m->funcs.at[i] == in->host)
            ir_module_add(im, ir_func_copy(in->m->funcs.at[i], im));
    if (!laid) { /* one that is laid out is the module's own, which others may be reading */
        im->stage = in->m->stage;
        im->target = in->m->target;
    }
    bool ok = compile_passes(im, ds, be, &d->target, &opt);
    j->times.passes = clock_now() - t0;
    if (ok && rt_dumps())
        rt_dump(&v->a, d, be, laid ? NULL : in->m, im, ir_module_find(im, in->k->name), key);
    t1 = clock_now();
    ok = ok && d->driver->build(d, &v->a, im, ir_module_find(im, in->k->name), laid ? NULL : &key, &v->code, ds);
    j->times.code = clock_now() - t1;
    return ok;
}

static void run_build(void *ctx)
{
    build_job *j = ctx;
    rt_variant *v = j->v;
    diags ds;
    j->c->a.oom = v->a.oom; /* whichever ends, the variant's memory is let go */
    diags_init(&ds, &v->a);
    j->ok = build_variant(j, &ds) && !ds.errors;
    if (!j->ok)
        rt_fail_diags(j->c->err, TILE_E_SOURCE, &ds, &v->a);
    else
        rt_asked(&v->a, j->c->inst, v);
}

/* under the module's lock */
static void drop_variant(rt_instance *in, const rt_variant *v)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < in->variants.n; i++)
        if (in->variants.at[i] != v)
            in->variants.at[n++] = in->variants.at[i];
    in->variants.n = n;
}

static bool make_variant(rt_call *c, rt_variant *v)
{
    tile_module *m = c->k->m;
    jmp_buf *oom = c->a.oom;
    build_job j = {.c = c, .v = v};
    bool done = arena_try(&v->a, run_build, &j);
    c->a.oom = oom;
    if (j.begun)
        rt_tell_compile(c->k, true);
    if (!done || !j.ok || m->dev->driver->build) { /* machine code needs nothing of what it was made from */
        arena_fini(&v->a);
        arena_init(&v->a, 0);
    }
    pthread_mutex_lock(&m->lock);
    m->times.passes += j.times.passes;
    m->times.code += j.times.code;
    v->state = j.ok ? RT_MADE : RT_FAILED;
    if (!j.ok)
        drop_variant(c->inst, v);
    pthread_cond_broadcast(&m->made);
    pthread_mutex_unlock(&m->lock);
    if (!done)
        arena_raise(&c->a);
    return j.ok;
}

static bool wait_for(tile_module *m, const rt_variant *v)
{
    pthread_mutex_lock(&m->lock);
    while (v->state == RT_MAKING)
        pthread_cond_wait(&m->made, &m->lock);
    bool ok = v->state == RT_MADE;
    pthread_mutex_unlock(&m->lock);
    return ok;
}

/* under the module's lock */
static rt_variant *claim_variant(rt_call *c, const spec_fact *facts, uint64_t key, bool general)
{
    arena *a = &c->k->m->a;
    rt_variant *v = ARENA_NEW(a, rt_variant);
    arena_init(&v->a, 0);
    v->state = RT_MAKING;
    v->narrow = c->narrow;
    v->general = general;
    v->key = key;
    v->facts = arena_copy(a, facts, c->inst->k->params.n * sizeof *facts, _Alignof(spec_fact));
    vec_push(a, &c->inst->variants, v);
    c->claimed = true;
    return v;
}

static rt_variant *pick_locked(rt_call *c)
{
    rt_instance *in = c->inst;
    uint32_t n = in->k->params.n, made = 0;
    spec_fact *facts = ARENA_ARRAY(&c->a, spec_fact, (size_t)n + 1);
    bool plain = !c->k->m->dev->driver->build || in->m->stage == LAID; /* facts change nothing */
    for (int general = plain ? 1 : 0; general < 2; general++) {
        if (in->m->stage == LAID)
            memset(facts, 0, n * sizeof *facts);
        else
            find_facts(c, general, facts);
        uint64_t key = facts_key(facts, n);
        for (uint32_t i = 0; i < in->variants.n; i++) {
            rt_variant *v = in->variants.at[i];
            if (v->narrow == c->narrow && v->general == (general != 0) && v->key == key &&
                same_facts(v->facts, facts, n))
                return c->ready_only && v->state != RT_MADE ? (rt_not_ready(c), NULL) : v;
            made += v->narrow == c->narrow && !v->general && !general;
        }
        if (c->ready_only && (general || made < RT_MAX_VARIANTS))
            return rt_not_ready(c), NULL;
        if (general || made < RT_MAX_VARIANTS)
            return claim_variant(c, facts, key, general);
    }
    return NULL;
}

static void pick(void *ctx)
{
    rt_call *c = ctx;
    c->claimed = false;
    c->var = pick_locked(c);
}

/* the variant of the launch before, where it fits this one too */
static rt_variant *pick_recent(rt_call *c)
{
    rt_instance *in = c->inst;
    rt_variant *v = in->recent;
    if (!v || v->narrow != c->narrow)
        return NULL;
    if (!c->k->m->dev->driver->build || in->m->stage == LAID)
        return v;
    spec_fact *facts = ARENA_ARRAY(&c->a, spec_fact, (size_t)in->k->params.n + 1);
    find_facts(c, false, facts);
    return !v->general && same_facts(v->facts, facts, in->k->params.n) ? v : NULL;
}

/* found, waited for, or made */
static bool pick_or_make(rt_call *c)
{
    for (;;) {
        rt_under_lock(c, pick);
        if (!c->var)
            return false;
        if (c->claimed ? make_variant(c, c->var) : wait_for(c->k->m, c->var))
            break;
        if (c->claimed) {
            c->var = NULL;
            return false;
        }
    }
    c->inst->recent = c->var;
    return true;
}

bool rt_pick(rt_call *c)
{
    if (c->inst->k->params.n > RT_MAX_ARGS * 2) {
        rt_fail(c->err, TILE_E_ARGUMENT, "kernel '%.*s' has too many parameters", STR_ARG(c->k->name));
        return false;
    }
    c->var = pick_recent(c);
    if (!c->var && !pick_or_make(c))
        return false;
    if (c->k->recent != c->var)
        c->k->recent = c->var;
    return true;
}
