/* tune.c: which of a kernel's @tune configs a launch takes, and how that is found out.
 *
 * A launch never times anything. It takes the choice that tuning made for arguments like its own, else the first config
 * of the line. Arguments are alike when their element types and absent optionals are the same and the values that the
 * line's `key=[..]` names (dimensions, integers) fall into the same bucket: 1 to 16 apart, then powers of two. A choice
 * is a line of text on disk (cache.c), "BM=64 BN=128", under a hash of all this, the kernel's file, the module's
 * settings, the machine and its threads; what matches no config is as good as none. What was looked up once, found or
 * not, stays in a small table of the kernel, one word an entry, so that the next launch looks without a lock.
 *
 * tile_tune opens the kernel's text anew for every config, compiles these modules in parallel, and times one after the
 * other, in rounds; those that are far behind after the first round are left out of the next. What the kernel writes is
 * put back where its size is known.
 */
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_CONFIG 255u /* beyond those, configs are not tuned */
#define ROUNDS 3
#define BEHIND 1.25     /* of the best */
#define ROUND_TIME 2e-3 /* seconds a config and round, at least one launch */

/* ---- the line, and what it depends on ---- */

static const fe_tune *line_of(const tile_kernel *k)
{
    const fe_tune *t = k->fe ? choice_tune(k->fe, rt_family(k->m->dev)) : NULL;
    return t && t->nconfigs > 1 && t->nconfigs < NO_CONFIG ? t : NULL;
}

static void find_word(tile_kernel *k, str name)
{
    for (uint32_t i = 0; i < k->nparams && k->ntune_words < RT_TUNE_WORDS; i++) {
        const rt_param *p = &k->params[i];
        int dim = -1;
        if (p->kind == FE_P_SCALAR && str_eq(p->name, name) && dt_is_int(p->dt))
            dim = 0;
        for (int d = 0; d < p->rank && p->kind == FE_P_TENSOR && dim < 0; d++)
            if ((p->dims[d].kind == FE_DIM_NAME || p->dims[d].kind == FE_DIM_CONST) && str_eq(p->dims[d].text, name))
                dim = d;
        if (dim < 0)
            continue;
        k->tune_words[k->ntune_words++] = (rt_tune_word){(int16_t)i, (int16_t)dim};
        return;
    }
}

void rt_tune_init(tile_kernel *k)
{
    k->tune = line_of(k);
    for (uint32_t i = 0; k->tune && i < k->tune->nkey; i++)
        find_word(k, k->tune->key[i]);
}

static uint64_t bucket(int64_t x)
{
    uint64_t n = 16;
    if (x <= 16)
        return x < 0 ? 0 : (uint64_t)x;
    while (x > 1 << 4) {
        x = (x + 1) / 2;
        n++;
    }
    return n;
}

static uint64_t word_value(const rt_call *c, const rt_tune_word *w)
{
    const tile_arg *a = &c->args[w->param];
    return a->kind == TILE_ARG_INT ? bucket(a->u.i) : a->kind == TILE_ARG_TENSOR ? bucket(a->u.t->sizes[w->dim]) : 0;
}

static uint64_t like_this(const rt_call *c)
{
    uint64_t h = 0x74756e65;
    for (uint32_t i = 0; i < c->nkey; i++)
        h = hash_mix(h, c->key[i]);
    for (uint32_t i = 0; i < c->k->ntune_words; i++)
        h = hash_mix(h, word_value(c, &c->k->tune_words[i]));
    return h;
}

static void put_value(strbuf *b, const fe_value *v)
{
    switch (v->kind) {
    case FE_V_ABSENT:
    case FE_V_NONE:
        sb_puts(b, "None");
        return;
    case FE_V_BOOL:
        sb_puts(b, v->i ? "True" : "False");
        return;
    case FE_V_INT:
        sb_putf(b, "%lld", (long long)v->i);
        return;
    case FE_V_FLOAT:
        sb_putf(b, "%.17g", v->f);
        return;
    case FE_V_STR:
    case FE_V_FN:
        sb_put(b, v->s);
        return;
    case FE_V_DTYPE:
        sb_puts(b, dtypes[v->dt].name);
        return;
    }
}

static str config_text(arena *a, const fe_tune *t, uint32_t i)
{
    strbuf b;
    sb_init(&b, a);
    for (uint32_t j = 0; j < t->nbindings[i]; j++) {
        sb_putf(&b, "%s%.*s=", j ? " " : "", STR_ARG(t->configs[i][j].name));
        put_value(&b, &t->configs[i][j].value);
    }
    return sb_str(&b);
}

static cache_key choice_key(arena *a, const tile_kernel *k, uint64_t like)
{
    const tile_module *m = k->m;
    const tile_device *d = m->dev;
    strbuf b;
    sb_init(&b, a);
    sb_putf(&b, "%s %.*s %d %llx", d->driver->name, STR_ARG(d->target.name), d->threads, (unsigned long long)like);
    for (uint32_t i = 0; i < m->nbind; i++) {
        sb_putf(&b, " %.*s=", STR_ARG(m->bind[i].name));
        put_value(&b, &m->bind[i].value);
    }
    str parts[] = {S("tune 1"), m->text, k->name, cpu_host_key(a), sb_str(&b)};
    return cache_key_of(parts, COUNTOF(parts));
}

/* ---- what launches ask ---- */

/* entry: [hash of the arguments, its lower byte replaced by] [config]; 0: free */
static bool look(tile_kernel *k, uint64_t like, uint32_t *config)
{
    for (uint32_t i = 0; i < RT_TUNED; i++) {
        uint64_t e = k->tuned[(like + i) % RT_TUNED];
        if (!e)
            return false;
        if ((e ^ (like | 0x100)) >> 8 == 0) {
            *config = (uint32_t)(e & 0xff);
            return true;
        }
    }
    *config = 0; /* the table is full: the first config */
    return true;
}

static void remember(tile_kernel *k, uint64_t like, uint32_t config)
{
    uint64_t want = ((like | 0x100) & ~(uint64_t)0xff) | config;
    for (uint32_t i = 0; i < RT_TUNED; i++) {
        uint64_t e = k->tuned[(like + i) % RT_TUNED];
        if (e && (e ^ want) >> 8 != 0)
            continue;
        k->tuned[(like + i) % RT_TUNED] = want;
        return;
    }
}

typedef struct read_job {
    rt_call *c;
    uint64_t like;
    uint32_t config;
} read_job;

static uint32_t read_choice(arena *a, tile_kernel *k, uint64_t like)
{
    str line = cache_get_choice(a, cache_folder(a), choice_key(a, k, like));
    const char *end = memchr(line.p ? line.p : "", '#', line.n);
    if (end)
        line.n = (size_t)(end - line.p);
    while (line.n && line.p[line.n - 1] == ' ')
        line.n--;
    for (uint32_t i = 0; i < k->tune->nconfigs && line.n; i++)
        if (str_eq(config_text(a, k->tune, i), line))
            return i;
    return 0;
}

uint32_t rt_tune_config(rt_call *c)
{
    tile_kernel *k = c->k;
    uint32_t config;
    if (!k->tune)
        return 0;
    if (k->m->forced >= 0)
        return (uint32_t)k->m->forced;
    uint64_t like = like_this(c);
    if (look(k, like, &config))
        return config;
    config = read_choice(&c->a, k, like);
    remember(k, like, config);
    return config;
}

/* ---- tuning ---- */

typedef struct candidate {
    tile_module *m;
    tile_kernel *k;
    double best; /* seconds a launch; 0: could not be compiled */
    tile_error err;
} candidate;

typedef struct tuning {
    tile_kernel *k;
    tile_stream *stream;
    const int64_t *grid;
    const tile_arg *args;
    int32_t nargs;
    candidate *list;
    uint32_t n;
    _Atomic uint32_t done;
    pthread_mutex_t lock; /* of progress */
    tile_progress_fn *progress;
    void *ctx;
} tuning;

static void tell(tuning *t, const char *what, uint32_t done)
{
    if (!t->progress)
        return;
    pthread_mutex_lock(&t->lock);
    t->progress(t->ctx, what, (int32_t)done, (int32_t)t->n);
    pthread_mutex_unlock(&t->lock);
}

static void compile_one(void *ctx, uint32_t i)
{
    tuning *t = ctx;
    candidate *c = &t->list[i];
    c->m = rt_module_again(t->k->m, (int)i, &c->err);
    c->k = c->m ? tile_kernel_find(c->m, str_cstr(&c->m->a, t->k->name), &c->err) : NULL;
    if (c->k && tile_prepare(c->k, t->stream, t->grid, t->args, t->nargs, &c->err) == TILE_OK)
        c->best = 1e30;
    tell(t, "compiling", ++t->done);
}

static bool launches(tuning *t, candidate *c, int n, tile_event *from, tile_event *to, double *seconds)
{
    tile_error *e = &c->err;
    bool ok = tile_event_record(from, t->stream, e) == TILE_OK;
    for (int i = 0; i < n && ok; i++)
        ok = tile_launch(c->k, t->stream, t->grid, t->args, t->nargs, e) == TILE_OK;
    ok = ok && tile_event_record(to, t->stream, e) == TILE_OK && tile_event_elapsed(from, to, seconds, e) == TILE_OK;
    *seconds /= n;
    return ok;
}

static void time_one(tuning *t, candidate *c, tile_event *from, tile_event *to, int round)
{
    double s = 0;
    if (round == 0 && !launches(t, c, 1, from, to, &s)) { /* cold */
        c->best = 0;
        return;
    }
    double guess = round ? c->best : s;
    int n = guess > ROUND_TIME ? 1 : guess < ROUND_TIME / 1000 ? 1000 : (int)(ROUND_TIME / guess) + 1;
    if (!launches(t, c, n, from, to, &s))
        c->best = 0;
    else if (s < c->best)
        c->best = s;
}

static void time_all(tuning *t, tile_event *from, tile_event *to)
{
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++)
        for (uint32_t i = 0; i < t->n; i++) {
            candidate *c = &t->list[i];
            if (c->best > 0 && (round == 0 || c->best <= best * BEHIND || i == 0))
                time_one(t, c, from, to, round);
            if (c->best > 0 && c->best < best)
                best = c->best;
            if (round == 0)
                tell(t, "timing", i + 1);
        }
}

/* ---- what the kernel writes ---- */

static bool extent(const tile_arg *a, char **p, int64_t *bytes)
{
    uint64_t lo, hi;
    if (a->kind == TILE_ARG_PTR) {
        *p = a->u.p;
        *bytes = a->bytes;
        return a->bytes > 0;
    }
    if (a->kind != TILE_ARG_TENSOR || !rt_tensor_range(a->u.t, &lo, &hi))
        return false;
    *p = (char *)(uintptr_t)lo;
    *bytes = (int64_t)(hi - lo);
    return true;
}

/* copies of what any candidate may write, or (back) these copies where they were taken from */
static bool keep_written(tuning *t, void **copies, bool back, tile_error *err)
{
    tile_device *d = t->k->m->dev;
    const candidate *c = t->list;
    while (c < t->list + t->n - 1 && c->best == 0)
        c++;
    for (int32_t i = 0; i < t->nargs; i++) {
        char *p;
        int64_t bytes;
        if (!extent(&t->args[i], &p, &bytes) || (back ? !copies[i] : !rt_kernel_writes(c->k, (uint32_t)i)))
            continue;
        if (!back && !(copies[i] = tile_alloc(d, bytes, err)))
            return false;
        if (tile_copy(d, t->stream, back ? (void *)p : copies[i], back ? copies[i] : p, bytes, err) != TILE_OK)
            return false;
    }
    return !back || tile_stream_sync(d, t->stream, err) == TILE_OK;
}

static int run_timing(tuning *t, tile_error *err)
{
    tile_device *d = t->k->m->dev;
    void **copies = calloc((size_t)t->nargs + 1, sizeof *copies);
    tile_event *from = tile_event_create(d, err), *to = from ? tile_event_create(d, err) : NULL;
    bool ok = to && (copies || rt_fail(err, TILE_E_MEMORY, "no memory to tune in") == TILE_OK) &&
              keep_written(t, copies, false, err);
    if (ok) {
        time_all(t, from, to);
        ok = keep_written(t, copies, true, err);
    }
    for (int32_t i = 0; i < t->nargs && copies; i++)
        if (copies[i])
            tile_free(d, copies[i]);
    free(copies);
    tile_event_destroy(from);
    tile_event_destroy(to);
    return ok ? TILE_OK : err->code;
}

static void keep_choice(rt_call *c, uint32_t best, const tile_tuned *out, uint64_t like)
{
    arena *a = &c->a;
    str line = str_fmt(a, "%s  # %.3f us, the first config %.3f us", out->choice, out->seconds * 1e6,
                       out->first_seconds * 1e6);
    remember(c->k, like, best);
    cache_put_choice(a, cache_folder(a), choice_key(a, c->k, like), line);
}

static int conclude(tuning *t, rt_call *c, uint64_t like, tile_tuned *out, tile_error *err)
{
    uint32_t best = t->n;
    for (uint32_t i = 0; i < t->n; i++) {
        const candidate *x = &t->list[i];
        out->failed += x->best == 0;
        if (x->best > 0 && (best == t->n || x->best < t->list[best].best))
            best = i;
    }
    if (best == t->n) {
        *err = t->list[0].err;
        return err->code ? err->code
                         : rt_fail(err, TILE_E_DEVICE, "no config of kernel '%.*s' ran", STR_ARG(t->k->name));
    }
    out->seconds = t->list[best].best;
    out->first_seconds = t->list[0].best;
    snprintf(out->choice, sizeof out->choice, "%.*s", STR_ARG(config_text(&c->a, t->k->tune, best)));
    keep_choice(c, best, out, like);
    return TILE_OK;
}

typedef struct tune_job {
    tuning *t;
    rt_call *c;
    tile_tuned *out;
    tile_error *err;
    int code;
} tune_job;

static void run_tune(void *ctx)
{
    tune_job *j = ctx;
    tuning *t = j->t;
    j->code = TILE_OK;
    if (!rt_bind(j->c)) { /* arguments that don't fit are refused as in a launch */
        j->code = j->err->code;
        return;
    }
    j->c->nkey = j->c->ntune_key;
    uint64_t like = like_this(j->c);
    rt_in_parallel(t->k->m->dev, t->n, compile_one, t);
    bool any = false;
    for (uint32_t i = 0; i < t->n; i++)
        any |= t->list[i].best > 0;
    if (any)
        j->code = run_timing(t, j->err);
    if (j->code == TILE_OK)
        j->code = conclude(t, j->c, like, j->out, j->err);
}

int tile_tune(tile_kernel *k, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
              tile_progress_fn *progress, void *ctx, tile_tuned *out, tile_error *err)
{
    tile_error dropped = {0};
    tile_tuned unwanted = {0};
    err = err ? err : &dropped;
    out = out ? out : &unwanted;
    *out = (tile_tuned){0};
    rt_clear(err);
    if (k->linked)
        return TILE_OK;
    tile_stream *s = rt_stream(k->m->dev, stream, err);
    if (!s)
        return err->code;
    if (s->capture)
        return rt_fail(err, TILE_E_ARGUMENT, "tuning on a stream that is being captured");
    if (!k->tune)
        return TILE_OK;
    rt_call c = {.k = k, .grid = grid, .args = args, .nargs = nargs < 0 ? 0 : (uint32_t)nargs, .err = err, .stream = s};
    tuning t = {k, stream, grid, args, nargs, NULL, k->tune->nconfigs, 0, PTHREAD_MUTEX_INITIALIZER, progress, ctx};
    tune_job j = {&t, &c, out, err, TILE_OK};
    out->configs = (int32_t)t.n;
    if (!(t.list = calloc(t.n, sizeof *t.list)))
        return rt_fail(err, TILE_E_MEMORY, "no memory to tune in");
    arena_init(&c.a, 0);
    if (!arena_try(&c.a, run_tune, &j))
        j.code = rt_fail_memory(err, "kernel", k->name);
    arena_fini(&c.a);
    for (uint32_t i = 0; i < t.n; i++)
        tile_module_close(t.list[i].m);
    free(t.list);
    pthread_mutex_destroy(&t.lock);
    return j.code;
}
