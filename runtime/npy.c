/* npy.c: the .npy format, read strictly and bounded.
 *
 *   "\x93NUMPY" major minor | header length: u16 (version 1) or u32 (2, 3) | header: a Python dict literal | elements
 *
 * The dict is read by a small scanner that knows the three keys and nothing more: 'descr' (a string such as '<f4'),
 * 'fortran_order' (True or False) and 'shape' (a tuple of integers). Column-major elements are put in row-major order,
 * foreign byte order is swapped. Every length is checked against the file before anything is allocated.
 */
#include "runtime/npy.h"

#include <string.h>

typedef struct scan {
    arena *a;
    str text; /* the header */
    size_t at;
    str *err;
} scan;

typedef struct header {
    char order; /* < > | = */
    char kind;  /* b i u f V */
    int64_t width;
    bool fortran, has_descr, has_order, has_shape;
    int rank;
    int64_t shape[NPY_MAX_RANK];
} header;

static bool fail(arena *a, str *err, const char *why)
{
    *err = str_fmt(a, "not a usable .npy file: %s", why);
    return false;
}

static void skip_space(scan *s)
{
    while (s->at < s->text.n && (s->text.p[s->at] == ' ' || s->text.p[s->at] == '\n' || s->text.p[s->at] == '\t'))
        s->at++;
}

static bool take(scan *s, char c)
{
    skip_space(s);
    if (s->at >= s->text.n || s->text.p[s->at] != c)
        return false;
    s->at++;
    return true;
}

static bool take_word(scan *s, const char *w)
{
    size_t n = strlen(w);
    skip_space(s);
    if (s->text.n - s->at < n || memcmp(s->text.p + s->at, w, n) != 0)
        return false;
    s->at += n;
    return true;
}

static bool take_string(scan *s, str *out)
{
    skip_space(s);
    if (s->at >= s->text.n || (s->text.p[s->at] != '\'' && s->text.p[s->at] != '"'))
        return false;
    char quote = s->text.p[s->at++];
    size_t beg = s->at;
    while (s->at < s->text.n && s->text.p[s->at] != quote)
        s->at++;
    if (s->at >= s->text.n)
        return false;
    *out = (str){s->text.p + beg, s->at - beg};
    s->at++;
    return true;
}

static bool take_int(scan *s, int64_t *out)
{
    int64_t v = 0;
    bool any = false;
    skip_space(s);
    for (; s->at < s->text.n && s->text.p[s->at] >= '0' && s->text.p[s->at] <= '9'; s->at++, any = true)
        if (__builtin_mul_overflow(v, (int64_t)10, &v) ||
            __builtin_add_overflow(v, (int64_t)(s->text.p[s->at] - '0'), &v))
            return false;
    if (any)
        take_word(s, "L"); /* as Python 2 wrote longs */
    *out = v;
    return any;
}

static bool read_descr(scan *s, header *h)
{
    str d;
    if (!take_string(s, &d))
        return fail(s->a, s->err, "its element type is not a plain one");
    if (d.n < 3 || !strchr("<>|=", d.p[0]) || !strchr("biufV", d.p[1]))
        return fail(s->a, s->err, "its element type is not a bool, an integer, a float or raw bytes");
    scan t = {s->a, (str){d.p + 2, d.n - 2}, 0, s->err};
    if (!take_int(&t, &h->width) || t.at != t.text.n || h->width < 1 || h->width > 16)
        return fail(s->a, s->err, "its element type has no usable width");
    h->order = d.p[0];
    h->kind = d.p[1];
    h->has_descr = true;
    return true;
}

static bool read_shape(scan *s, header *h)
{
    if (!take(s, '('))
        return fail(s->a, s->err, "its shape is not a tuple");
    h->rank = 0;
    while (!take(s, ')')) {
        int64_t n;
        if (h->rank == NPY_MAX_RANK)
            return fail(s->a, s->err, "it has more than 8 dimensions");
        if (!take_int(s, &n))
            return fail(s->a, s->err, "its shape is not a tuple of integers");
        h->shape[h->rank++] = n;
        if (!take(s, ',') && !take_word(s, ")"))
            return fail(s->a, s->err, "its shape is not a tuple of integers");
        else if (s->text.p[s->at - 1] == ')')
            break;
    }
    h->has_shape = true;
    return true;
}

static bool read_header(scan *s, header *h)
{
    if (!take(s, '{'))
        return fail(s->a, s->err, "its header is not a dict");
    while (!take(s, '}')) {
        str key;
        if (!take_string(s, &key) || !take(s, ':'))
            return fail(s->a, s->err, "its header is not a dict of names");
        if (str_eq(key, S("descr"))) {
            if (!read_descr(s, h))
                return false;
        } else if (str_eq(key, S("shape"))) {
            if (!read_shape(s, h))
                return false;
        } else if (str_eq(key, S("fortran_order"))) {
            h->fortran = take_word(s, "True");
            if (!h->fortran && !take_word(s, "False"))
                return fail(s->a, s->err, "its fortran_order is neither True nor False");
            h->has_order = true;
        } else {
            return fail(s->a, s->err, "its header has an unknown key");
        }
        take(s, ',');
    }
    if (!h->has_descr || !h->has_order || !h->has_shape)
        return fail(s->a, s->err, "its header lacks 'descr', 'fortran_order' or 'shape'");
    return true;
}

static dtype header_dtype(const header *h)
{
    static const struct {
        char kind;
        int width;
        dtype dt;
    } rows[] = {{'b', 1, DT_BOOL}, {'i', 1, DT_I8},  {'i', 2, DT_I16}, {'i', 4, DT_I32},
                {'i', 8, DT_I64},  {'u', 1, DT_U8},  {'u', 2, DT_U16}, {'u', 4, DT_U32},
                {'u', 8, DT_U64},  {'f', 2, DT_F16}, {'f', 4, DT_F32}, {'f', 8, DT_F64}};
    for (size_t i = 0; i < COUNTOF(rows); i++)
        if (rows[i].kind == h->kind && rows[i].width == h->width)
            return rows[i].dt;
    return DT_NONE;
}

/* row-major out[] from column-major in[]; elements of w bytes */
static void from_fortran(char *out, const char *in, const npy_array *x, size_t w)
{
    int64_t at[NPY_MAX_RANK] = {0}, stride[NPY_MAX_RANK];
    int64_t step = 1;
    for (int i = 0; i < x->rank; i++) {
        stride[i] = step;
        step *= x->shape[i];
    }
    for (int64_t k = 0; k < x->count; k++) {
        int64_t from = 0;
        for (int i = 0; i < x->rank; i++)
            from += at[i] * stride[i];
        memcpy(out + (size_t)k * w, in + (size_t)from * w, w);
        for (int i = x->rank - 1; i >= 0 && ++at[i] == x->shape[i]; i--)
            at[i] = 0;
    }
}

static void swap_bytes(char *p, int64_t n, size_t w)
{
    for (int64_t k = 0; k < n; k++, p += w)
        for (size_t i = 0; i < w / 2; i++) {
            char t = p[i];
            p[i] = p[w - 1 - i];
            p[w - 1 - i] = t;
        }
}

static bool copy_elements(arena *a, str body, const header *h, npy_array *out, str *err)
{
    size_t w = (size_t)h->width, bytes;
    out->rank = h->rank;
    out->count = 1;
    for (int i = 0; i < h->rank; i++) {
        out->shape[i] = h->shape[i];
        if (__builtin_mul_overflow(out->count, h->shape[i], &out->count))
            return fail(a, err, "its shape overflows");
    }
    if (__builtin_mul_overflow((size_t)out->count, w, &bytes) || bytes > body.n) {
        *err = str_fmt(a, "not a usable .npy file: %lld elements of %lld bytes expected, %zu bytes found",
                       (long long)out->count, (long long)h->width, body.n);
        return false;
    }
    out->data = arena_alloc(a, bytes ? bytes : 1, 64);
    if (h->fortran && h->rank > 1)
        from_fortran(out->data, body.p, out, w);
    else if (bytes)
        memcpy(out->data, body.p, bytes);
    if (h->order == '>')
        swap_bytes(out->data, out->count, w);
    return true;
}

bool npy_parse(arena *a, str file, dtype as, npy_array *out, str *err)
{
    const unsigned char *p = (const unsigned char *)file.p;
    size_t len, beg;
    header h = {0};
    if (file.n < 10 || memcmp(p, "\x93NUMPY", 6) != 0)
        return fail(a, err, "it doesn't begin with the magic bytes");
    if (p[6] < 1 || p[6] > 3)
        return fail(a, err, "its version is not 1, 2 or 3");
    if (p[6] == 1) {
        len = (size_t)p[8] | (size_t)p[9] << 8;
        beg = 10;
    } else {
        if (file.n < 12)
            return fail(a, err, "it ends inside its header");
        len = (size_t)p[8] | (size_t)p[9] << 8 | (size_t)p[10] << 16 | (size_t)p[11] << 24;
        beg = 12;
    }
    if (len > file.n - beg)
        return fail(a, err, "it ends inside its header");
    scan s = {a, (str){file.p + beg, len}, 0, err};
    if (!read_header(&s, &h))
        return false;
    dtype found = header_dtype(&h);
    if (as == DT_NONE && found == DT_NONE)
        return fail(a, err, "its element type is not one of ours; name one to read the raw bits as (@FILE.npy:DTYPE)");
    if (as != DT_NONE && dt_bytes(as) != h.width) {
        *err = str_fmt(a, "expected elements of %d bytes for '%s', found %lld", dt_bytes(as), dtypes[as].name,
                       (long long)h.width);
        return false;
    }
    *out = (npy_array){.dt = as != DT_NONE ? as : found};
    return copy_elements(a, (str){file.p + beg + len, file.n - beg - len}, &h, out, err);
}

bool npy_read(arena *a, const char *path, dtype as, npy_array *out, str *err)
{
    str file;
    if (!file_read(a, path, 0, &file, err))
        return false;
    if (npy_parse(a, file, as, out, err))
        return true;
    *err = str_fmt(a, "'%s': %.*s", path, STR_ARG(*err));
    return false;
}

static const char *descr(dtype dt)
{
    switch (dt) {
    case DT_BOOL:
        return "|b1";
    case DT_I8:
        return "|i1";
    case DT_I16:
        return "<i2";
    case DT_I32:
        return "<i4";
    case DT_I64:
        return "<i8";
    case DT_U16:
    case DT_BF16:
        return "<u2";
    case DT_U32:
        return "<u4";
    case DT_U64:
        return "<u8";
    case DT_F16:
        return "<f2";
    case DT_F32:
        return "<f4";
    case DT_F64:
        return "<f8";
    case DT_U8:
    case DT_F8E4M3:
    case DT_F8E5M2:
    case DT_F8E4M3FNUZ:
    case DT_F8E5M2FNUZ:
    case DT_NONE:
    case DT_COUNT:
        break;
    }
    return "|u1";
}

str npy_format(arena *a, const npy_array *x)
{
    strbuf dict, out;
    size_t len;
    sb_init(&dict, a);
    sb_putf(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr(x->dt));
    for (int i = 0; i < x->rank; i++)
        sb_putf(&dict, "%lld%s", (long long)x->shape[i], i + 1 < x->rank ? ", " : x->rank == 1 ? "," : "");
    sb_puts(&dict, "), }");
    len = (10 + dict.n + 1 + 63) / 64 * 64 - 10; /* the elements start at a multiple of 64 */
    sb_init(&out, a);
    sb_put(&out, (str){"\x93NUMPY\x01\x00", 8});
    sb_putc(&out, (char)(len & 255));
    sb_putc(&out, (char)(len >> 8));
    sb_put(&out, sb_str(&dict));
    for (size_t i = dict.n; i + 1 < len; i++)
        sb_putc(&out, ' ');
    sb_putc(&out, '\n');
    if (x->count)
        sb_put(&out, (str){x->data, (size_t)x->count * (size_t)dt_bytes(x->dt)});
    return sb_str(&out);
}

bool npy_write(arena *a, const char *path, const npy_array *x, str *err)
{
    return file_write(a, path, npy_format(a, x), err);
}
