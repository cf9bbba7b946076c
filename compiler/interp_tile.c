/* interp_tile.c: ops over whole tiles: dot, reduce, scan, map, sort, histogram.
 *
 * Trees. A reduction and a scan go from the first element to the last (a reversed scan the other way), combining the
 * value so far, as the left items, with the next element, as the right. A dot adds its products to $2 in ascending
 * order along K, in double for f64, in f32 otherwise (integers modulo 2^64, then wrapped). Back ends may associate
 * otherwise; of these orders only the results of exact types can be compared bit for bit.
 *
 * Regions run on scalars, an element at a time. One that is a single binary op on its left and right item, as sums and
 * maxima are, runs over whole rows instead: the same operations in the same order for each element.
 */
#include "compiler/interp_impl.h"

#include <math.h>

typedef struct rows {
    int64_t outer, len, inner; /* the shape split at the axis */
} rows;

static rows rows_of(const ir_module *m, ir_type t, int64_t axis)
{
    const ir_type_info *i = ir_type_of(m, t);
    rows r = {1, i->shape[axis], 1};
    for (int d = 0; d < i->rank; d++) {
        if (d < axis)
            r.outer *= i->shape[d];
        if (d > axis)
            r.inner *= i->shape[d];
    }
    return r;
}

/* ---- reduce and scan ---- */

typedef struct combine {
    frame *fr;
    ir_op o;
    ir_region region;
    rows r;
    uint32_t n;      /* items */
    char *tmp;       /* n x 8 bytes */
    bool simple;     /* one binary op of left and right ... */
    bool swapped;    /* ... as right and left */
    bool nan;
    ir_code code;
} combine;

static void find_simple(combine *c)
{
    const ir_func *f = c->fr->f;
    ir_op first = ir_first(f, c->region);
    if (c->n != 1 || ir_next(f, first).id != ir_last(f, c->region).id)
        return;
    const ir_op_info *info = ir_info(f, first);
    if (!(info->flags & ELT) || info->nin != 2 || info->rule == RULE_OWN || info->rule == RULE_CMP)
        return;
    uint32_t l = ir_param_of(f, c->region, 0).id, r = ir_param_of(f, c->region, 1).id;
    uint32_t a = ir_in(f, first, 0).id, b = ir_in(f, first, 1).id;
    bool both = (a == l && b == r) || (a == r && b == l);
    if (!both || ir_in(f, ir_last(f, c->region), 0).id != ir_out(f, first, 0).id)
        return;
    c->simple = true;
    c->swapped = a == r;
    c->code = ir_op_code(f, first);
    c->nan = ir_int(f, first, KEY_nan, 0) != 0;
}

static combine combine_of(frame *fr, ir_op o)
{
    combine c = {.fr = fr, .o = o, .region = ir_op_region(fr->f, o, 0), .n = ir_nin(fr->f, o)};
    c.r = rows_of(fr->f->m, in_type(fr, o, 0), ir_int(fr->f, o, KEY_axis, 0));
    c.tmp = arena_alloc(&fr->p->scratch, c.n ? (size_t)c.n * 8 : 8, 16);
    find_simple(&c);
    return c;
}

static size_t item_bytes(const combine *c, uint32_t i) { return elem_bytes(c->fr->f->m, in_type(c->fr, c->o, i)); }

/* items at element `e` of the results = items at `left` of the results, combined with those at `right` of the
 * operands */
static bool combine_one(combine *c, int64_t e, int64_t left, int64_t right)
{
    frame *fr = c->fr;
    const ir_func *f = fr->f;
    for (uint32_t i = 0; i < c->n; i++) {
        size_t es = item_bytes(c, i);
        copy_elem(interp_buf(fr, ir_param_of(f, c->region, i)), (char *)out_data(fr, c->o, i) + (size_t)left * es, es);
        copy_elem(interp_buf(fr, ir_param_of(f, c->region, c->n + i)),
                  (const char *)in_data(fr, c->o, i) + (size_t)right * es, es);
    }
    if (!interp_region(fr, c->region))
        return false;
    ir_op y = ir_last(f, c->region);
    for (uint32_t i = 0; i < c->n; i++) {
        size_t es = item_bytes(c, i);
        copy_elem((char *)out_data(fr, c->o, i) + (size_t)e * es, in_data(fr, y, i), es);
    }
    return true;
}

/* the same for a row of `inner` elements */
static bool combine_row(combine *c, int64_t e, int64_t left, int64_t right)
{
    if (c->simple) {
        size_t es = item_bytes(c, 0);
        char *d = out_data(c->fr, c->o, 0);
        const char *l = d + (size_t)left * es, *r = (const char *)in_data(c->fr, c->o, 0) + (size_t)right * es;
        interp_binary(c->code, elem_dt(c->fr->f->m, in_type(c->fr, c->o, 0)), c->nan, c->r.inner, d + (size_t)e * es,
                      c->swapped ? r : l, c->swapped ? l : r);
        return true;
    }
    for (int64_t k = 0; k < c->r.inner; k++)
        if (!combine_one(c, e + k, left + k, right + k))
            return false;
    return true;
}

static void start_row(combine *c, int64_t e, int64_t from)
{
    for (uint32_t i = 0; i < c->n; i++) {
        size_t es = item_bytes(c, i);
        memcpy((char *)out_data(c->fr, c->o, i) + (size_t)e * es,
               (const char *)in_data(c->fr, c->o, i) + (size_t)from * es, (size_t)c->r.inner * es);
    }
}

static bool exec_reduce(frame *fr, ir_op o)
{
    combine c = combine_of(fr, o);
    for (int64_t b = 0; b < c.r.outer; b++) {
        int64_t to = b * c.r.inner, from = b * c.r.len * c.r.inner;
        start_row(&c, to, from);
        for (int64_t k = 1; k < c.r.len; k++)
            if (!combine_row(&c, to, to, from + k * c.r.inner))
                return false;
    }
    return true;
}

static bool exec_scan(frame *fr, ir_op o)
{
    combine c = combine_of(fr, o);
    bool reverse = ir_int(fr->f, o, KEY_reverse, 0) != 0;
    int64_t step = reverse ? -c.r.inner : c.r.inner;
    for (int64_t b = 0; b < c.r.outer; b++) {
        int64_t at = (b * c.r.len + (reverse ? c.r.len - 1 : 0)) * c.r.inner;
        start_row(&c, at, at);
        for (int64_t k = 1; k < c.r.len; k++, at += step)
            if (!combine_row(&c, at + step, at, at + step))
                return false;
    }
    return true;
}

static bool exec_map(frame *fr, ir_op o)
{
    const ir_func *f = fr->f;
    ir_region r = ir_op_region(f, o, 0);
    int64_t n = ir_type_count(f->m, ir_nin(f, o) ? in_type(fr, o, 0) : out_type(fr, o, 0));
    for (int64_t e = 0; e < n; e++) {
        for (uint32_t i = 0; i < ir_nin(f, o); i++) {
            size_t es = elem_bytes(f->m, in_type(fr, o, i));
            copy_elem(interp_buf(fr, ir_param_of(f, r, i)), (const char *)in_data(fr, o, i) + (size_t)e * es, es);
        }
        if (!interp_region(fr, r))
            return false;
        for (uint32_t i = 0; i < ir_nout(f, o); i++) {
            size_t es = elem_bytes(f->m, out_type(fr, o, i));
            copy_elem((char *)out_data(fr, o, i) + (size_t)e * es, in_data(fr, ir_last(f, r), i), es);
        }
    }
    return true;
}

/* ---- sort ---- */

typedef struct keys {
    const double *f;  /* floats, or NULL */
    const int64_t *i; /* integers */
    bool sign, descending;
} keys;

/* does b have to come before a, where a stood first? NaN is greatest and equal to itself. */
static bool goes_before(const keys *k, int64_t b, int64_t a)
{
    if (k->descending) {
        int64_t t = a;
        a = b;
        b = t;
    }
    if (k->f)
        return isnan(k->f[a]) ? !isnan(k->f[b]) : k->f[b] < k->f[a];
    return k->sign ? k->i[b] < k->i[a] : (uint64_t)k->i[b] < (uint64_t)k->i[a];
}

/* stable merge sort, from runs of one up; the order ends in `at` */
static void sort_order(const keys *k, int64_t *at, int64_t *tmp, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        at[i] = i;
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t lo = 0; lo < n; lo += 2 * run) {
            int64_t mid = lo + run < n ? lo + run : n, hi = lo + 2 * run < n ? lo + 2 * run : n;
            int64_t a = lo, b = mid;
            for (int64_t w = lo; w < hi; w++)
                tmp[w] = b < hi && (a >= mid || goes_before(k, at[b], at[a])) ? at[b++] : at[a++];
        }
        memcpy(at, tmp, (size_t)n * sizeof *at);
    }
}

/* the column that begins at element `from` and steps by `inner`, sorted; its first `kept` go to `to` of every result */
static void sort_column(frame *fr, ir_op o, rows r, int64_t from, int64_t to, int64_t kept, int64_t *room)
{
    const ir_module *m = fr->f->m;
    dtype dt = elem_dt(m, in_type(fr, o, 0));
    const char *key = in_data(fr, o, 0);
    keys k = {.sign = dt_is_signed(dt), .descending = ir_int(fr->f, o, KEY_descending, 0) != 0};
    int64_t *at = room, *tmp = room + r.len, *lane = room + 2 * r.len;
    double *flane = (double *)(void *)lane;
    for (int64_t i = 0; i < r.len; i++) {
        const char *s = key + (size_t)(from + i * r.inner) * (size_t)dt_bytes(dt);
        if (dt_is_any_float(dt))
            interp_get_floats(&flane[i], dt, s, 1);
        else
            interp_get_ints(&lane[i], dt, s, 1);
    }
    k.f = dt_is_any_float(dt) ? flane : NULL;
    k.i = lane;
    sort_order(&k, at, tmp, r.len);
    for (uint32_t v = 0; v < ir_nout(fr->f, o); v++) {
        size_t es = elem_bytes(m, in_type(fr, o, v));
        const char *s = in_data(fr, o, v);
        char *d = out_data(fr, o, v);
        for (int64_t i = 0; i < kept; i++)
            copy_elem(d + (size_t)(to + i * r.inner) * es, s + (size_t)(from + at[i] * r.inner) * es, es);
    }
}

static bool exec_sort(frame *fr, ir_op o)
{
    int64_t axis = ir_int(fr->f, o, KEY_axis, 0);
    rows r = rows_of(fr->f->m, in_type(fr, o, 0), axis);
    int64_t kept = rows_of(fr->f->m, out_type(fr, o, 0), axis).len;
    int64_t *room = arena_array(&fr->p->scratch, (size_t)r.len * 3, 8, 16);
    for (int64_t b = 0; b < r.outer; b++)
        for (int64_t c = 0; c < r.inner; c++)
            sort_column(fr, o, r, b * r.len * r.inner + c, b * kept * r.inner + c, kept, room);
    return true;
}

/* ---- dot ---- */

typedef struct mat {
    int64_t batch, m, n, k;
} mat;

static mat mat_of(const ir_module *m, ir_type a, ir_type b)
{
    const ir_type_info *x = ir_type_of(m, a), *y = ir_type_of(m, b);
    int r = x->rank;
    mat s = {1, x->shape[r - 2], y->shape[r - 1], x->shape[r - 1]};
    for (int d = 0; d < r - 2; d++)
        s.batch *= x->shape[d];
    return s;
}

static void *widened(frame *fr, ir_op o, uint32_t i, bool floats)
{
    const ir_module *m = fr->f->m;
    int64_t n = ir_type_count(m, in_type(fr, o, i));
    void *d = arena_array(&fr->p->scratch, (size_t)n, 8, 16);
    if (floats)
        interp_get_floats(d, elem_dt(m, in_type(fr, o, i)), in_data(fr, o, i), n);
    else
        interp_get_ints(d, elem_dt(m, in_type(fr, o, i)), in_data(fr, o, i), n);
    return d;
}

/* c[M,N] += a[M,K] b[K,N]: each element's products in ascending k */
static void dot_f32(mat s, double *c, const double *a, const double *b)
{
    for (int64_t i = 0; i < s.m; i++)
        for (int64_t k = 0; k < s.k; k++) {
            float x = (float)a[i * s.k + k];
            for (int64_t j = 0; j < s.n; j++) {
                float product = x * (float)b[k * s.n + j];
                float sum = (float)c[i * s.n + j] + product;
                c[i * s.n + j] = sum;
            }
        }
}

static void dot_f64(mat s, double *c, const double *a, const double *b)
{
    for (int64_t i = 0; i < s.m; i++)
        for (int64_t k = 0; k < s.k; k++)
            for (int64_t j = 0; j < s.n; j++) {
                double product = a[i * s.k + k] * b[k * s.n + j];
                c[i * s.n + j] += product;
            }
}

static void dot_int(mat s, uint64_t *c, const uint64_t *a, const uint64_t *b)
{
    for (int64_t i = 0; i < s.m; i++)
        for (int64_t k = 0; k < s.k; k++)
            for (int64_t j = 0; j < s.n; j++)
                c[i * s.n + j] += a[i * s.k + k] * b[k * s.n + j];
}

void interp_product(arena *scratch, int64_t m, int64_t n, int64_t k, dtype da, const void *a, dtype db, const void *b,
                    dtype dc, void *c)
{
    mat s = {1, m, n, k};
    bool floats = dt_is_any_float(dc);
    void *wa = arena_array(scratch, (size_t)(m * k), 8, 16), *wb = arena_array(scratch, (size_t)(k * n), 8, 16);
    void *wc = arena_array(scratch, (size_t)(m * n), 8, 16);
    if (!floats) {
        interp_get_ints(wa, da, a, m * k);
        interp_get_ints(wb, db, b, k * n);
        interp_get_ints(wc, dc, c, m * n);
        dot_int(s, wc, wa, wb);
        interp_put_ints(c, dc, wc, m * n);
        return;
    }
    interp_get_floats(wa, da, a, m * k);
    interp_get_floats(wb, db, b, k * n);
    interp_get_floats(wc, dc, c, m * n);
    dot_f32(s, wc, wa, wb);
    interp_put_floats(c, dc, wc, m * n);
}

static bool exec_dot(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    mat s = mat_of(m, in_type(fr, o, 0), in_type(fr, o, 1));
    dtype dt = elem_dt(m, out_type(fr, o, 0));
    bool floats = dt_is_any_float(dt);
    char *a = widened(fr, o, 0, floats), *b = widened(fr, o, 1, floats), *c = widened(fr, o, 2, floats);
    for (int64_t i = 0; i < s.batch; i++) {
        void *pc = c + (size_t)(i * s.m * s.n) * 8;
        const void *pa = a + (size_t)(i * s.m * s.k) * 8, *pb = b + (size_t)(i * s.k * s.n) * 8;
        if (dt == DT_F64)
            dot_f64(s, pc, pa, pb);
        else if (floats)
            dot_f32(s, pc, pa, pb);
        else
            dot_int(s, pc, pa, pb);
    }
    if (floats)
        interp_put_floats(out_data(fr, o, 0), dt, (const double *)(void *)c, s.batch * s.m * s.n);
    else
        interp_put_ints(out_data(fr, o, 0), dt, (const int64_t *)(void *)c, s.batch * s.m * s.n);
    return true;
}

/* ---- histogram ---- */

static bool exec_histogram(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    dtype dt = elem_dt(m, in_type(fr, o, 0));
    int64_t n = ir_type_count(m, in_type(fr, o, 0)), bins = ir_type_count(m, out_type(fr, o, 0));
    const char *s = in_data(fr, o, 0);
    const ua8 *mask = ir_nin(fr->f, o) > 1 ? in_data(fr, o, 1) : NULL;
    ua32 *d = out_data(fr, o, 0);
    memset(d, 0, (size_t)bins * 4);
    for (int64_t i = 0; i < n; i++) {
        int64_t x;
        interp_get_ints(&x, dt, s + (size_t)i * (size_t)dt_bytes(dt), 1);
        if ((!mask || mask[i]) && (uint64_t)x < (uint64_t)bins) /* a negative one is great as unsigned */
            d[x]++;
    }
    return true;
}

bool interp_tile(frame *fr, ir_op o)
{
    arena_pos mark = arena_mark(&fr->p->scratch);
    bool ok = false;
    switch ((int)ir_op_code(fr->f, o)) {
    case IR_OP_dot: ok = exec_dot(fr, o); break;
    case IR_OP_reduce: ok = exec_reduce(fr, o); break;
    case IR_OP_scan: ok = exec_scan(fr, o); break;
    case IR_OP_map: ok = exec_map(fr, o); break;
    case IR_OP_sort: ok = exec_sort(fr, o); break;
    case IR_OP_histogram: ok = exec_histogram(fr, o); break;
    default: bug("interp: op '%s' is not over whole tiles", ir_info(fr->f, o)->name);
    }
    arena_reset(&fr->p->scratch, mark);
    return ok;
}
