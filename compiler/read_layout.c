/* read_layout.c: the layouts of a module in the laid-out stage.
 *
 *   layout  '#' n '=' 'layout' '[' extents ']' '{' {group} '}'
 *   shared  '#' n '=' 'shared' '[' extents ']' '{' {group} '}'
 *   group   ('reg' | 'lane' | 'warp' | 'block' | 'offset') ':' '[' coordinates ']' {',' '[' coordinates ']'}
 *         | 'rep' ':' DIMxCOUNT '@' space {',' ..} | 'pad' ':' INTERVAL '+' PAD {',' ..} | 'boxes' ':' n
 *         | 'base' ':' '[' extents ']'
 *
 * A layout is gathered as text says it and made when all of it was seen, since coordinates are bounded by base extents
 * that come from the shape, the repeats and `base` together. layouts.c prints what is read here. A number whose layout
 * had a fault stays known, so that its uses say nothing more.
 */
#include "compiler/read.h"
#include "compiler/tables.h"

#include <string.h>

enum { GROUP_REP = LAY_SPACES, GROUP_PAD, GROUP_BOXES, GROUP_BASE, GROUP_COUNT };

static const char *const reg_groups[GROUP_COUNT] = {"reg", "lane", "warp", "block", "rep", NULL, NULL, "base"};
static const char *const shared_groups[GROUP_COUNT] = {"offset", NULL, NULL, NULL, "rep", "pad", "boxes", "base"};

typedef struct bit_text {
    int64_t coord[LAY_MAX_RANK];
    span at;
} bit_text;

typedef struct layout_text {
    bool shared;
    span head; /* #n = layout [..] */
    int rank;
    int64_t shape[LAY_MAX_RANK];
    int64_t base[LAY_MAX_RANK]; /* 0 = the least */
    span base_at;
    bool given[GROUP_COUNT];
    int nbits[LAY_SPACES];
    bit_text bits[LAY_SPACES][LAY_MAX_BITS];
    int nreps, rep_dim[LAY_MAX_RANK];
    int64_t rep[LAY_MAX_RANK]; /* by dimension; 1 = none */
    lay_space rep_on[LAY_MAX_RANK];
    lay_shared pads; /* pads and boxes only */
} layout_text;

static bool expected(reader *r, const char *what)
{
    str found = read_found(r);
    read_error(r, read_here(r), "expected %s, found %.*s", what, STR_ARG(found));
    return false;
}

/* '[' n {',' n} ']' of `want` numbers from lo to hi; of any number of them up to 8 where want is 0 */
static bool read_vector(reader *r, const char *what, int want, int64_t lo, int64_t hi, int64_t *out, int *n)
{
    uint32_t beg = r->tok.beg;
    *n = 0;
    if (!read_expect(r, '[', what))
        return false;
    do {
        uint32_t from = r->tok.beg;
        int64_t x;
        if (!read_int(r, "an integer", false, &x))
            return false;
        if (x < lo || x > hi) {
            read_error(r, read_span(r, from, r->last), "%lld in %s, expected %lld to %lld", (long long)x, what,
                       (long long)lo, (long long)hi);
            return false;
        }
        if (*n == LAY_MAX_RANK) {
            read_error(r, read_span(r, beg, r->last), "more than %d dimensions in %s", LAY_MAX_RANK, what);
            return false;
        }
        out[(*n)++] = x;
    } while (read_take(r, ','));
    if (!read_expect(r, ']', what))
        return false;
    if (want && *n != want) {
        read_error(r, read_span(r, beg, r->last), "%d dimension%s in %s, expected %d", *n, *n == 1 ? "" : "s", what,
                   want);
        return false;
    }
    return true;
}

static bool read_bits(reader *r, layout_text *t, int s)
{
    do {
        bit_text *b = &t->bits[s][t->nbits[s]];
        uint32_t beg = r->tok.beg;
        int n;
        if (t->nbits[s] == LAY_MAX_BITS) {
            read_error(r, read_here(r), "more than %d bits in one space", LAY_MAX_BITS);
            return false;
        }
        if (!read_vector(r, "the coordinates of a bit", t->rank, 0, IR_MAX_ELEMS, b->coord, &n))
            return false;
        b->at = read_span(r, beg, r->last);
        t->nbits[s]++;
    } while (read_take(r, ','));
    return true;
}

/* DIMxCOUNT, one word for the scanner */
static bool split_repeat(str s, int64_t *dim, int64_t *count)
{
    bool negative;
    uint64_t d, n;
    size_t x = 0;
    while (x < s.n && s.p[x] != 'x')
        x++;
    if (x == s.n || !read_digits((str){s.p, x}, &negative, &d) || negative ||
        !read_digits((str){s.p + x + 1, s.n - x - 1}, &negative, &n) || negative || d > LAY_MAX_RANK ||
        n > IR_MAX_ELEMS)
        return false;
    *dim = (int64_t)d;
    *count = (int64_t)n;
    return true;
}

static int space_by_name(const layout_text *t, str name)
{
    for (int s = 0; s < (t->shared ? 1 : LAY_SPACES); s++)
        if (str_eq(name, str_of(t->shared ? shared_groups[s] : reg_groups[s])))
            return s;
    return -1;
}

static bool read_repeat(reader *r, layout_text *t)
{
    span at = read_here(r);
    int64_t dim, count;
    int s;
    if (r->tok.kind != TOK_NUMBER || !split_repeat(r->tok.text, &dim, &count))
        return expected(r, "a repeat, as '1x3@reg'");
    if (dim >= t->rank) {
        read_error(r, at, "dimension %lld of a repeat, expected 0 to %d", (long long)dim, t->rank - 1);
        return false;
    }
    if (count < 3 || count % 2 == 0 || count > t->shape[dim]) {
        read_error(r, at, "a repeat of %lld, expected an odd number from 3 to the extent, %lld", (long long)count,
                   (long long)t->shape[dim]);
        return false;
    }
    if (t->rep[dim] > 1) {
        read_error(r, at, "dimension %lld is repeated twice", (long long)dim);
        return false;
    }
    read_next(r);
    s = r->tok.kind == TOK_SYMBOL ? space_by_name(t, r->tok.text) : -1;
    if (s < 0)
        return expected(r, t->shared ? "'@offset'" : "'@reg', '@lane', '@warp' or '@block'");
    read_next(r);
    t->rep[dim] = count;
    t->rep_on[dim] = (lay_space)s;
    t->rep_dim[t->nreps++] = (int)dim;
    return true;
}

static bool read_positive(reader *r, const char *what, int64_t *out)
{
    uint32_t beg = r->tok.beg;
    if (!read_int(r, what, false, out))
        return false;
    if (*out >= 1 && *out <= IR_MAX_ELEMS)
        return true;
    read_error(r, read_span(r, beg, r->last), "expected %s from 1 to 2^20", what);
    return false;
}

static bool read_pad(reader *r, layout_text *t)
{
    lay_pad *p = &t->pads.pads[t->pads.npads];
    if (t->pads.npads == LAY_MAX_PADS) {
        read_error(r, read_here(r), "more than %d pads", LAY_MAX_PADS);
        return false;
    }
    if (!read_positive(r, "an interval", &p->interval) || !read_expect(r, '+', "a pad, as '64+8'") ||
        !read_positive(r, "a pad", &p->pad))
        return false;
    t->pads.npads++;
    return true;
}

static bool read_boxes(reader *r, layout_text *t)
{
    span at = read_here(r);
    if (!read_positive(r, "a number of boxes", &t->pads.boxes))
        return false;
    if (t->shape[t->rank - 1] % t->pads.boxes == 0)
        return true;
    read_error(r, at, "%lld boxes do not divide the last extent, %lld", (long long)t->pads.boxes,
               (long long)t->shape[t->rank - 1]);
    return false;
}

static bool read_base(reader *r, layout_text *t)
{
    uint32_t beg = r->tok.beg;
    int n;
    if (!read_vector(r, "base extents", t->rank, 1, IR_MAX_ELEMS, t->base, &n))
        return false;
    t->base_at = read_span(r, beg, r->last);
    for (int d = 0; d < n; d++)
        if (t->base[d] & (t->base[d] - 1)) {
            read_error(r, t->base_at, "base extent %lld is no power of two", (long long)t->base[d]);
            return false;
        }
    return true;
}

static bool read_group(reader *r, layout_text *t)
{
    const char *const *names = t->shared ? shared_groups : reg_groups;
    int g = 0;
    if (r->tok.kind != TOK_WORD)
        return read_expect(r, '}', "a layout");
    while (g < GROUP_COUNT && !(names[g] && read_is_word(r, names[g])))
        g++;
    if (g == GROUP_COUNT) {
        const char *near = read_nearest(r->tok.text, names, GROUP_COUNT);
        str found = read_found(r);
        read_error(r, read_here(r), "unknown part of a layout, %.*s%s%s%s", STR_ARG(found),
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        return false;
    }
    if (t->given[g]) {
        read_error(r, read_here(r), "'%s' is given twice", names[g]);
        return false;
    }
    t->given[g] = true;
    read_next(r);
    if (!read_expect(r, ':', "a layout"))
        return false;
    if (g == GROUP_BOXES)
        return read_boxes(r, t);
    if (g == GROUP_BASE)
        return read_base(r, t);
    if (g < LAY_SPACES)
        return read_bits(r, t, g);
    do
        if (!(g == GROUP_REP ? read_repeat(r, t) : read_pad(r, t)))
            return false;
    while (read_take(r, ','));
    return true;
}

static bool read_shape(reader *r, layout_text *t)
{
    uint32_t beg = r->tok.beg;
    int64_t n = 1;
    if (!read_vector(r, "the shape of a layout", 0, 1, IR_MAX_ELEMS, t->shape, &t->rank))
        return false;
    for (int d = 0; d < t->rank; d++) {
        t->rep[d] = 1;
        n = n > IR_MAX_ELEMS ? n : n * t->shape[d];
    }
    if (n <= IR_MAX_ELEMS)
        return true;
    read_error(r, read_span(r, beg, r->last), "a layout has at most 2^20 elements");
    return false;
}

/* ---- what was read, as a layout ---- */
static bool set_extents(reader *r, const layout_text *t, lay *l)
{
    *l = lay_empty(t->rank, t->shape, true);
    for (int d = 0; d < t->rank; d++) {
        int least = ir_layout_least_base(t->shape[d], t->rep[d]);
        l->rep[d] = t->rep[d];
        l->rep_on[d] = t->rep_on[d];
        l->log2[d] = least;
        if (!t->base[d])
            continue;
        if (t->base[d] < (int64_t)1 << least) {
            read_error(r, t->base_at, "base extent %lld of dimension %d does not cover the extent, %lld",
                       (long long)t->base[d], d, (long long)t->shape[d]);
            return false;
        }
        l->log2[d] = ir_layout_least_base(t->base[d], 1);
    }
    if (lay_base_bits(l) <= LAY_MAX_BITS)
        return true;
    read_error(r, t->base[0] ? t->base_at : t->head, "base extents of %d bits, expected at most %d", lay_base_bits(l),
               LAY_MAX_BITS);
    return false;
}

/* repeated dimensions as listed, then the others from the last */
static void set_repeat_order(const layout_text *t, lay *l)
{
    int n = 0;
    for (int i = 0; i < t->nreps; i++)
        l->rep_order[n++] = t->rep_dim[i];
    for (int d = t->rank - 1; d >= 0; d--)
        if (t->rep[d] == 1)
            l->rep_order[n++] = d;
}

static bool set_bits(reader *r, const layout_text *t, lay *l)
{
    for (int s = 0; s < LAY_SPACES; s++)
        for (int i = 0; i < t->nbits[s]; i++) {
            const bit_text *b = &t->bits[s][i];
            for (int d = 0; d < t->rank; d++)
                if (b->coord[d] >> l->log2[d]) {
                    read_error(r, b->at, "coordinate %lld of dimension %d lies outside the base extent, %lld",
                               (long long)b->coord[d], d, (long long)1 << l->log2[d]);
                    return false;
                }
            lay_add_bit(l, (lay_space)s, b->coord);
        }
    return true;
}

static bool make_layout(reader *r, const layout_text *t, uint32_t *id)
{
    lay l;
    if (!set_extents(r, t, &l))
        return false;
    set_repeat_order(t, &l);
    if (!set_bits(r, t, &l))
        return false;
    if (!lay_is_surjective(&l)) {
        read_error(r, t->head,
                   t->shared ? "the bits of this layout give some elements no place"
                             : "the bits of this layout give some elements no thread");
        return false;
    }
    if (!t->shared) {
        *id = ir_layout_make(r->m, &l).id;
        return true;
    }
    lay_shared shared = t->pads;
    shared.map = l;
    *id = ir_layout_make_shared(r->m, &shared).id;
    return true;
}

static bool read_body(reader *r, layout_text *t, uint32_t beg, uint32_t *id)
{
    if (!read_expect(r, '=', "a layout"))
        return false;
    t->shared = read_is_word(r, "shared");
    if (!read_take_word(r, "shared") && !read_take_word(r, "layout"))
        return expected(r, "'layout' or 'shared'");
    if (!read_shape(r, t))
        return false;
    t->head = read_span(r, beg, r->last);
    if (!read_expect(r, '{', "a layout"))
        return false;
    while (!read_is(r, '}'))
        if (!read_group(r, t))
            return false;
    read_next(r);
    return make_layout(r, t, id);
}

bool read_layout(reader *r, uint32_t beg)
{
    layout_text t = {.pads.boxes = 1};
    bool negative, ok;
    uint64_t n;
    uint32_t id = 0;
    if (r->tok.kind != TOK_NUMBER || !read_digits(r->tok.text, &negative, &n) || negative || !n || n > UINT32_MAX)
        return expected(r, "the number of a layout, '#1'");
    if (map_get(&r->layouts, n, &id)) {
        read_error(r, read_span(r, beg, r->tok.end), "layout '#%llu' is defined twice", (unsigned long long)n);
        return false;
    }
    if (r->m->funcs.n) {
        read_error(r, read_span(r, beg, r->tok.end), "layouts stand before the first function");
        return false;
    }
    read_next(r);
    ok = read_body(r, &t, beg, &id);
    map_set(&r->layouts, n, ok ? id : READ_NO_LAYOUT);
    return ok;
}
