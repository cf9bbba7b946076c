/* test_dot_random.c: random kernels around products compute in compiled code, at every level of dot_kit.h, what they
 * compute in the interpreter, to the bit: floats are small integers, so no order of summing shows, and integers wrap.
 *
 * Random: types of operands, accumulator and result; extents of tiles and tensors, off every block; rank 2 and 3; which
 * operand is transposed, padded, strided or read by pointers; what is done to it on the way (casts, masks, scales);
 * whether the product stands alone, in a loop over K, in one that does more, under a condition, twice, or feeds
 * another. `test_dot_random FIRST COUNT` runs other seeds and prints the failures.
 */
#include "compiler/interp.h"
#include "tests/unit/dot_kit.h"

#include <stdio.h>

enum { KERNELS = 40, TENSORS = 6, MOST = 1 << 20 };

typedef struct tensor {
    const char *type;
    int rank;
    int64_t size[3], stride[3];
    bool strided;
    uint8_t *at; /* MOST bytes */
} tensor;

typedef struct made {
    uint64_t state;
    arena *a;
    strbuf text;
    tensor t[TENSORS]; /* a, b, c, s, v, out */
    int64_t lim, grid[3];
} made;

enum { A, B, C, S_, V, OUT };

static uint64_t next(made *x, uint64_t below)
{
    x->state ^= x->state << 13;
    x->state ^= x->state >> 7;
    x->state ^= x->state << 17;
    return (x->state >> 20) % below;
}

#define PICK(x, ...) ((__VA_ARGS__)[next(x, COUNTOF((__VA_ARGS__)))])

static int bytes_of(const char *type)
{
    if (strcmp(type, "bf16") == 0 || strstr(type, "16"))
        return 2;
    return strstr(type, "64") ? 8 : strstr(type, "32") ? 4 : 1;
}

static bool is_float(const char *type)
{
    return type[0] == 'f' || type[0] == 'b';
}

/* -1, 0 or 1; any bits of integers */
static void fill(made *x, tensor *t)
{
    int n = bytes_of(t->type);
    for (int i = 0; i < MOST / n; i++) {
        uint64_t r = next(x, 1 << 30) << 30 ^ next(x, 1 << 30);
        if (is_float(t->type)) {
            int v = (int)(r % 3) - 1;
            double d = v;
            float f = (float)v;
            uint32_t w;
            memcpy(&w, &f, 4);
            r = n == 4 ? w : strcmp(t->type, "bf16") == 0 ? w >> 16 : v ? (v < 0 ? 0xbc00u : 0x3c00u) : 0;
            if (n == 8)
                memcpy(&r, &d, 8);
        }
        memcpy(t->at + i * n, &r, (size_t)n);
    }
}

/* as rows of the last dimension, or transposed or far apart */
static void place(made *x, tensor *t, const char *type, int rank, const int64_t *size)
{
    *t = (tensor){.type = type, .rank = rank, .at = t->at};
    int64_t n = 1, order[3] = {0, 1, 2};
    t->strided = next(x, 4) == 0;
    if (t->strided && rank > 1 && next(x, 2)) {
        order[rank - 1] = rank - 2;
        order[rank - 2] = rank - 1;
    }
    if (t->strided && next(x, 2))
        n = 2;
    for (int i = rank - 1; i >= 0; i--) {
        t->size[order[i]] = size[order[i]];
        t->stride[order[i]] = n;
        n *= size[order[i]] + (int64_t)next(x, 3);
    }
    ck_assert_msg(n * bytes_of(type) <= MOST, "%s of %lld elements", type, (long long)n);
}

static void param(made *x, const char *name, int i)
{
    const tensor *t = &x->t[i];
    sb_putf(&x->text, "%s: %s%s[", name, t->strided ? "strided " : "", t->type);
    for (int d = 0; d < t->rank; d++)
        sb_putf(&x->text, "%s%c%d", d ? ", " : "", 'D' + i, d);
    sb_puts(&x->text, "], ");
}

typedef struct shape {
    int64_t g, bm, bn, bk, m, n, k; /* g: of rank 3, else 0 */
    const char *op[2], *sum, *out;  /* operands of dot, its sum, the result */
    bool t[2], flip;                /* operands, the result transposed */
} shape;

/* an operand's tile: rows from `row`, columns from `col`, as dot wants it */
static void operand(made *x, const shape *s, int which, const char *row, int64_t rows, const char *col, int64_t cols)
{
    const tensor *t = &x->t[which];
    bool turned = s->t[which];
    char g[8], at[16] = "", box[24] = "";
    snprintf(g, sizeof g, "%d", (int)s->g);
    if (s->g) {
        snprintf(at, sizeof at, "0, ");
        snprintf(box, sizeof box, "%s, ", g);
    }
    const char *name = which == A ? "a" : "b";
    str tile = str_fmt(x->a, "%s.load([%s%s, %s], [%s%lld, %lld])%s", which == A ? "a" : "b", at, turned ? col : row,
                       turned ? row : col, box, (long long)(turned ? cols : rows), (long long)(turned ? rows : cols),
                       turned ? ".T" : "");
    if (!s->g && next(x, 5) == 0) { /* the same by pointers, 1 beyond the edges */
        str at_row = str_fmt(x->a, "(arange(0, %lld) + %s)[:, None]", (long long)rows, row);
        str at_col = str_fmt(x->a, "(arange(0, %lld) + %s)[None, :]", (long long)cols, col);
        tile = str_fmt(x->a,
                       "load(%s.ptr + %.*s * %s.stride(%d) + %.*s * %s.stride(%d), (%.*s < %s.size(%d)) & (%.*s < "
                       "%s.size(%d)), %s)",
                       name, STR_ARG(at_row), name, turned, STR_ARG(at_col), name, !turned, STR_ARG(at_row), name,
                       turned, STR_ARG(at_col), name, !turned, next(x, 2) ? "0" : "1");
    }
    switch (next(x, 8)) {
    case 0:
        tile = str_fmt(x->a, "(%.*s + 1)", STR_ARG(tile));
        break;
    case 1:
        tile = str_fmt(x->a, "where(%.*s > 0, %.*s, 1)", STR_ARG(tile), STR_ARG(tile));
        break;
    case 2:
        if (!s->g)
            tile = str_fmt(x->a, "where((arange(0, %lld) + %s < lim)[:, None], %.*s, 0)", (long long)rows, row,
                           STR_ARG(tile));
        break;
    case 3:
        if (!s->g)
            tile = str_fmt(x->a, "(%.*s * s.load([%s], [%lld])[None, :].to(%s))", STR_ARG(tile), col, (long long)cols,
                           t->type);
        break;
    default:
        break;
    }
    if (strcmp(t->type, s->op[which]) != 0)
        tile = str_fmt(x->a, "%.*s.to(%s)", STR_ARG(tile), s->op[which]);
    sb_put(&x->text, tile);
}

static void product(made *x, const shape *s, const char *p, const char *acc)
{
    sb_puts(&x->text, "dot(");
    operand(x, s, A, "i", s->bm, p, s->bk);
    sb_puts(&x->text, ", ");
    operand(x, s, B, p, s->bk, "j", s->bn);
    if (acc)
        sb_putf(&x->text, ", %s", acc);
    sb_puts(&x->text, ")");
}

/* `acc` from products */
static void body(made *x, const shape *s)
{
    strbuf *b = &x->text;
    char lead[16] = "", box[64];
    if (s->g)
        snprintf(lead, sizeof lead, "%d, ", (int)s->g);
    snprintf(box, sizeof box, "[%s%d, %d]", lead, (int)s->bm, (int)s->bn);
    if (next(x, 3) == 0)
        sb_putf(b, "    acc = c.load(%s, %s)\n", s->g ? "[0, i, j]" : "[i, j]", box);
    else
        sb_putf(b, "    acc = zeros(%s, %s)\n", box, s->sum);
    int form = (int)next(x, 9);
    const char *from = next(x, 4) ? "0" : "lim % 3";
    if (form > 1)
        sb_putf(b, "    n = 0\n    for p in range(%s, k, %lld):\n        ", from, (long long)s->bk);
    switch (form) {
    case 0:
        sb_puts(b, "    acc = ");
        product(x, s, "0", "acc");
        break;
    case 1:
        sb_puts(b, "    acc = acc + ");
        product(x, s, "0", NULL);
        break;
    case 2:
        sb_puts(b, "acc = acc + ");
        product(x, s, "p", NULL);
        break;
    case 3:
        sb_puts(b, "n += 1\n        acc = ");
        product(x, s, "p", "acc");
        sb_putf(b, "\n    acc = acc + n.to(%s)", s->sum);
        break;
    case 4:
        sb_puts(b, "if p != lim:\n            acc = ");
        product(x, s, "p", "acc");
        break;
    case 5:
        sb_puts(b, "acc = ");
        product(x, s, "p", "acc");
        sb_puts(b, "\n        acc = ");
        product(x, s, "p", "acc");
        break;
    case 6:
        if (s->g)
            sb_putf(b, "acc = acc + ");
        else
            sb_putf(b, "w = where(arange(0, %lld)[:, None] >= arange(0, %lld)[None, :] - lim, 1, -1)\n        t = ",
                    (long long)s->bn, (long long)s->bn);
        product(x, s, "p", NULL);
        if (!s->g)
            sb_putf(b, "\n        acc = dot(where(t > 0, 1, 0).to(%s), w.to(%s), acc)", s->op[0],
                    strcmp(s->op[1], "u8") == 0 ? "i8" : s->op[1]);
        break;
    default:
        sb_puts(b, "acc = ");
        product(x, s, "p", "acc");
        break;
    }
    sb_puts(b, "\n");
}

static void types_of(made *x, shape *s, const char *own[2])
{
    static const char *const of[] = {"f32", "f16", "bf16", "f64", "i8", "u8", "i16", "i32", "u32", "i64"};
    const char *t = next(x, 3) ? PICK(x, (const char *const[]){"bf16", "i8", "u8", "f32"}) : PICK(x, of);
    bool bytes = t[1] == '8';
    s->op[0] = s->op[1] = t;
    if (bytes)
        s->op[1] = PICK(x, (const char *const[]){"i8", "u8"});
    s->sum = strcmp(t, "f64") == 0 || strcmp(t, "i64") == 0 ? t : is_float(t) ? "f32" : "i32";
    if (strcmp(t, "f16") == 0 && next(x, 3) == 0)
        s->sum = "f16";
    s->out = next(x, 2)         ? s->sum
             : is_float(s->sum) ? PICK(x, (const char *const[]){"f32", "f16", "bf16", "f64"})
                                : PICK(x, (const char *const[]){"i32", "i64", "i8", "f32"});
    for (int i = 0; i < 2; i++) {
        own[i] = s->op[i];
        if (next(x, 5) == 0)
            own[i] = is_float(t) ? PICK(x, (const char *const[]){"f32", "f16", "bf16", "i8"})
                                 : PICK(x, (const char *const[]){"i8", "u8", "i16", "i32"});
    }
}

static void layout(made *x, shape *s, const char *own[2])
{
    static const int64_t ms[] = {1, 2, 3, 6, 7, 13, 16, 17, 31, 32, 33, 48, 64, 70};
    static const int64_t ns[] = {1, 2, 5, 8, 15, 16, 17, 24, 31, 32, 33, 40, 64, 65, 80, 96};
    static const int64_t ks[] = {1, 2, 3, 4, 7, 8, 12, 16, 31, 32, 33, 48, 64, 64, 64, 96, 128};
    s->g = next(x, 5) ? 0 : (int64_t)next(x, 3) + 1;
    s->bm = PICK(x, ms), s->bn = PICK(x, ns), s->bk = PICK(x, ks);
    s->m = 1 + (int64_t)next(x, (uint64_t)(s->g ? s->bm : 2 * s->bm)), s->n = 1 + (int64_t)next(x, 2 * (uint64_t)s->bn);
    s->k = (int64_t)next(x, s->g ? 60 : 150);
    if (next(x, 3) == 0)
        s->m = s->bm, s->n = s->bn;
    s->t[0] = next(x, 3) == 0, s->t[1] = next(x, 2);
    s->flip = next(x, 4) == 0;
    int r = s->g ? 3 : 2;
    int64_t g = s->g, k = s->k ? s->k : 1;
#define SIZES(t, p, q) ((int64_t[]){g, (t) ? (q) : (p), (t) ? (p) : (q)} + 3 - r)
    place(x, &x->t[A], own[0], r, SIZES(s->t[0], s->m, k));
    place(x, &x->t[B], own[1], r, SIZES(s->t[1], k, s->n));
    place(x, &x->t[C], s->sum, r, SIZES(false, s->m, s->n));
    place(x, &x->t[S_], "i8", 1, (int64_t[]){k + s->n});
    place(x, &x->t[V], s->sum, 1, (int64_t[]){s->n});
    place(x, &x->t[OUT], s->out, r, SIZES(s->flip, s->m, s->n));
#undef SIZES
    if (!s->k)
        x->t[A].size[r - 1 - s->t[0]] = x->t[B].size[r - 2 + s->t[1]] = 0;
}

static void kernel_of(made *x, uint64_t seed)
{
    static const char *const names[] = {"a", "b", "c", "s", "v", "out"};
    shape s = {0};
    const char *own[2];
    x->state = seed * 0x9e3779b97f4a7c15u + 7;
    next(x, 2), next(x, 2);
    sb_init(&x->text, x->a);
    types_of(x, &s, own);
    layout(x, &s, own);
    for (int i = 0; i < TENSORS; i++)
        fill(x, &x->t[i]);
    for (int i = 0; i < MOST; i++) /* scales of 1 and -1: sums stay exact */
        x->t[S_].at[i] = x->t[S_].at[i] & 1 ? 1 : 255;
    x->lim = (int64_t)next(x, 40);
    x->grid[0] = (s.m + s.bm - 1) / s.bm, x->grid[1] = (s.n + s.bn - 1) / s.bn, x->grid[2] = 1;
    sb_puts(&x->text, "kernel k(");
    for (int i = 0; i < TENSORS; i++)
        param(x, names[i], i);
    sb_putf(&x->text, "lim: int, k: int) grid(1):\n    i = program_id(0) * %lld\n    j = program_id(1) * %lld\n",
            (long long)s.bm, (long long)s.bn);
    body(x, &s);
    if (next(x, 4) == 0 && !s.g)
        sb_putf(&x->text, "    acc = acc + v.load([j], [%lld])[None, :]\n", (long long)s.bn);
    const char *lead = s.g ? "0, " : "";
    sb_putf(&x->text, "    out.store([%s%s], acc%s.to(%s))\n", lead, s.flip ? "j, i" : "i, j", s.flip ? ".T" : "",
            s.out);
    x->t[OUT].rank = s.g ? 3 : 2;
    x->grid[2] = s.k; /* carried to slots_of */
}

static uint32_t slots_of(made *x, uint64_t *slots)
{
    uint32_t n = 0;
    int64_t k = x->grid[2];
    slots[n++] = (uint64_t)x->grid[0], slots[n++] = (uint64_t)x->grid[1], slots[n++] = 1;
    for (int i = 0; i < TENSORS; i++) {
        slots[n++] = (uint64_t)(uintptr_t)x->t[i].at;
        for (int d = 0; d < x->t[i].rank; d++)
            slots[n++] = (uint64_t)x->t[i].size[d];
        for (int d = 0; d < x->t[i].rank; d++)
            slots[n++] = (uint64_t)x->t[i].stride[d];
    }
    slots[n++] = (uint64_t)x->lim;
    slots[n++] = (uint64_t)k;
    return n;
}

/* NULL, or why not; the result is in `want` */
static const char *interpreted(made *x, uint8_t *want)
{
    diags d;
    str tir, err = {0};
    uint64_t slots[64];
    diags_init(&d, x->a);
    backend_target target;
    compile_request q = {.path = S("k.tile"),
                         .text = sb_str(&x->text),
                         .backend = backend_find(S("cpu"), &target, x->a),
                         .target = target,
                         .stage = STAGE_TIR};
    if (!compile(x->a, &d, &q, &tir))
        return dot_messages(x->a, &d);
    ir_module *m = ir_read(x->a, &d, S("k.tir"), tir);
    if (!m)
        return dot_messages(x->a, &d);
    memset(x->t[OUT].at, 0x55, MOST);
    uint32_t n = slots_of(x, slots);
    const ir_func *k = ir_module_find(m, S("k"));
    if (abi_total_slots(k) != n)
        return "slots";
    if (!interp_kernel(x->a, k, slots, &(interp_options){0}, &err))
        return str_cstr(x->a, err);
    memcpy(want, x->t[OUT].at, MOST);
    return NULL;
}

static const char *compiled(made *x, const dot_level *l, const uint8_t *want)
{
    cpu_image im;
    const char *why = NULL;
    uint64_t slots[64];
    abi_entry *entry = dot_made(x->a, l, sb_str(&x->text), "k", &im, &why);
    if (!entry)
        return why;
    abi_host host = {0};
    abi_thread th = {.host = &host, .buffer = aligned_alloc(4096, DOT_ROOM), .buffer_bytes = DOT_ROOM};
    ck_assert_ptr_nonnull(th.buffer);
    memset(th.buffer, 0xff, DOT_ROOM);
    memset(x->t[OUT].at, 0x55, MOST);
    slots_of(x, slots);
    entry(slots, 0, x->grid[0] * x->grid[1], &th);
    for (int i = 0; i < MOST && !why; i++)
        if (x->t[OUT].at[i] != want[i])
            why = str_cstr(x->a, str_fmt(x->a, "%s: byte %d of the result", l->name, i));
    free(th.buffer);
    image_free(&im);
    return why;
}

static const char *check_seed(arena *a, uint64_t seed, made *x, const char **text)
{
    uint8_t *want = ARENA_ARRAY(a, uint8_t, MOST);
    *x = (made){.a = a};
    for (int i = 0; i < TENSORS; i++)
        x->t[i].at = ARENA_ARRAY(a, uint8_t, MOST + 64);
    kernel_of(x, seed);
    *text = str_cstr(a, sb_str(&x->text));
    const char *why = interpreted(x, want);
    for (size_t l = 0; l < COUNTOF(dot_levels) && !why; l++)
        if (dot_runs(&dot_levels[l]))
            why = compiled(x, &dot_levels[l], want);
    return why;
}

static int sweep(uint64_t first, uint64_t count, bool stop)
{
    int failed = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        arena a;
        made x;
        const char *text;
        arena_init(&a, 0);
        const char *why = check_seed(&a, seed, &x, &text);
        if (why && stop)
            ck_abort_msg("kernel %llu: %.300s\n%s", (unsigned long long)seed, why, text);
        if (why)
            printf("kernel %llu: %.300s\n%s\n", (unsigned long long)seed, why, text);
        fflush(stdout);
        failed += why != NULL;
        arena_fini(&a);
    }
    return failed;
}

START_TEST(as_interpreted)
{
    sweep((uint64_t)_i * 10, 10, true);
}
END_TEST

static uint64_t given[2]; /* by main */

START_TEST(seeds_given)
{
    ck_assert_int_eq(sweep(given[0], given[1], false), 0);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *s = suite_create("dot_random");
    TCase *t = tcase_create("seeds");
    tcase_set_timeout(t, argc > 2 ? 100000 : 300);
    for (int i = 0; i < 2 && argc > 2; i++)
        given[i] = strtoull(argv[1 + i], NULL, 0);
    if (argc > 2)
        tcase_add_test(t, seeds_given);
    else
        tcase_add_loop_test(t, as_interpreted, 0, KERNELS / 10);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
