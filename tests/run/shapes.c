/* shapes.c: shape classes (one, odd, prime, one past a block, whole blocks, not a power of two, 2-D and 3-D). */
#include "tests/run/shapes.h"

const shape_class shape_classes[] = {
    {"one", 1, {1}, 1},
    {"odd", 1, {9}, 25},
    {"prime", 1, {127}, 509},
    {"past a block", 1, {64}, 65},
    {"whole blocks", 1, {256}, 1024},
    {"not a power of two", 1, {100}, 300},
    {"2-D", 2, {3, 33}, 190},
    {"3-D", 3, {2, 3, 17}, 203},
};
const int shape_class_count = (int)COUNTOF(shape_classes);

int64_t shape_tile_count(const shape_class *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        n *= s->d[i];
    return n;
}

static void put_params(rcase *c)
{
    strbuf *b = &c->src;
    for (int i = 0; i < c->nargs; i++) {
        const rarg *a = &c->arg[i];
        const char *star = !a->data || a->rank ? "" : "*";
        sb_putf(b, "%s%s: %s%s", i ? ", " : "", a->name, star, a->kind == ARG_INT ? "int" : dtypes[a->dt].name);
        for (int k = 0; k < a->rank; k++)
            sb_putf(b, "%s%s%d%s", k ? ", " : "[", a->name, k, k == a->rank - 1 ? "]" : "");
    }
}

void shape_plain_head(rcase *c)
{
    sb_puts(&c->src, "kernel k(");
    put_params(c);
    sb_puts(&c->src, ") grid(1):\n");
}

void shape_offsets(rcase *c, const char *name, int rank, const int64_t *d)
{
    static const char *const index[3][3] = {
        {""}, {"[:, None]", "[None, :]"}, {"[:, None, None]", "[None, :, None]", "[None, None, :]"}};
    strbuf *b = &c->src;
    sb_putf(b, "    %s = ", name);
    for (int i = 0; i < rank; i++) {
        long long stride = 1;
        for (int k = i + 1; k < rank; k++)
            stride *= (long long)d[k];
        sb_putf(b, "%sarange(0, %lld)%s * %lld", i ? " + " : "", (long long)d[i], index[rank - 1][i], stride);
    }
    sb_puts(b, rank ? "\n" : "0\n");
}

void shape_kernel_head(rcase *c, const shape_class *s)
{
    int64_t count = shape_tile_count(s);
    sb_puts(&c->src, "kernel k(");
    put_params(c);
    sb_putf(&c->src, ") grid(cdiv(n, %lld)):\n", (long long)count);
    shape_offsets(c, "within", s->rank, s->d);
    sb_putf(&c->src, "    offs = program_id(0) * %lld + within\n    mask = offs < n\n", (long long)count);
}
