/* read_type.c: types and the literals of constants.
 *
 *   type    number | '*' type | 'tile<' (extent 'x')+ element '>' | 'tensor<' ((extent | '?') 'x')+ number [',
 * strided'] '>' literal integer | true | false | 0x1.8p+1 | 2.5e-3 | inf | -inf | nan | nan:0x7fc00001
 *
 * Types are read by characters, since `128x64xf16` is no sequence of words. A type is made only when it is sound:
 * ranks, extents and element counts within their bounds.
 *
 * Hexadecimal floats must be exact in their type. Decimal ones are for hand-written text: at most 15 digits and a power
 * of ten up to 22 either way, where one multiplication or division of doubles is correctly rounded; the rest is
 * refused. This keeps the reader free of the C library's locale.
 */
#include "compiler/read.h"

#include <math.h>
#include <string.h>

/* ---- types ---- */
static int at(const reader *r)
{
    return r->pos < r->text.n ? (unsigned char)r->text.p[r->pos] : -1;
}

static void skip_blanks(reader *r)
{
    while (at(r) == ' ' || at(r) == '\t')
        r->pos++;
}

static bool bad_type(reader *r, uint32_t beg, const char *what)
{
    read_error(r, read_span(r, beg, r->pos > beg ? r->pos : beg + (beg < r->text.n)), "%s", what);
    return false;
}

static bool type_chars(reader *r, ir_type *out, int depth);

/* (extent 'x')+, up to the element; extents of -1 are '?' */
static bool shape_chars(reader *r, int max_rank, bool tensor, int *rank, int64_t *shape)
{
    uint32_t beg = r->pos;
    for (*rank = 0; (at(r) >= '0' && at(r) <= '9') || at(r) == '?'; r->pos++) {
        int64_t n = 0;
        uint32_t from = r->pos;
        if (at(r) == '?') {
            if (!tensor)
                return bad_type(r, from, "a tile has no '?' extent");
            n = IR_DYN;
            r->pos++;
        }
        for (; n != IR_DYN && at(r) >= '0' && at(r) <= '9'; r->pos++)
            n = n > READ_MAX_EXTENT ? n : n * 10 + (at(r) - '0');
        if (n == 0 || n > READ_MAX_EXTENT)
            return bad_type(r, from, "an extent is from 1 to 2^40");
        if (at(r) != 'x')
            return bad_type(r, from, "expected 'x' after an extent");
        if (*rank == max_rank)
            return bad_type(r, beg, tensor ? "a tensor has at most 5 dimensions" : "a tile has at most 8 dimensions");
        shape[(*rank)++] = n;
    }
    return *rank ? true : bad_type(r, beg, "expected an extent");
}

static bool count_fits(int rank, const int64_t *shape)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] > IR_MAX_ELEMS || n > IR_MAX_ELEMS / shape[i])
            return false;
        n *= shape[i];
    }
    return true;
}

static bool shaped_chars(reader *r, uint32_t beg, bool tensor, ir_type *out)
{
    int64_t shape[IR_MAX_RANK];
    int rank;
    ir_type elem;
    bool strided = false;
    if (at(r) != '<')
        return bad_type(r, beg, "expected '<' after 'tile' or 'tensor'");
    r->pos++;
    if (!shape_chars(r, tensor ? IR_MAX_TENSOR_RANK : IR_MAX_RANK, tensor, &rank, shape) || !type_chars(r, &elem, 1))
        return false;
    ir_type_kind kind = ir_type_of(r->m, elem)->kind;
    if (kind != TK_NUM && (tensor || kind != TK_PTR))
        return bad_type(r, beg,
                        tensor ? "a tensor's element is a number" : "a tile's element is a number or a pointer");
    if (!tensor && !count_fits(rank, shape))
        return bad_type(r, beg, "a tile has at most 2^20 elements");
    if (tensor && at(r) == ',') {
        r->pos++;
        skip_blanks(r);
        if (r->text.n - r->pos < 7 || memcmp(r->text.p + r->pos, "strided", 7) != 0)
            return bad_type(r, r->pos, "expected 'strided'");
        r->pos += 7;
        strided = true;
    }
    if (at(r) != '>')
        return bad_type(r, beg, "expected '>' at the end of a type");
    r->pos++;
    *out = tensor ? ir_type_tensor(r->m, elem, rank, shape, strided) : ir_type_tile(r->m, elem, rank, shape);
    return true;
}

static bool unknown_type(reader *r, uint32_t beg, str name)
{
    const char *names[DT_COUNT + 2];
    uint32_t n = 0;
    for (int i = DT_NONE + 1; i < DT_COUNT; i++)
        names[n++] = dtypes[i].name;
    names[n++] = "tile";
    names[n++] = "tensor";
    const char *near = read_nearest(name, names, n);
    span s = read_span(r, beg, r->pos > beg ? r->pos : beg + (beg < r->text.n));
    if (!name.n)
        read_error(r, s, "expected a type");
    else if (near)
        read_error(r, s, "unknown type '%.*s'; did you mean '%s'?", (int)(name.n < 40 ? name.n : 40), name.p, near);
    else
        read_error(r, s, "unknown type '%.*s'", (int)(name.n < 40 ? name.n : 40), name.p);
    return false;
}

static bool type_chars(reader *r, ir_type *out, int depth)
{
    uint32_t beg = r->pos;
    if (at(r) == '*') {
        r->pos++;
        if (depth >= READ_MAX_POINTER)
            return bad_type(r, beg, "pointers are nested too deep");
        if (!type_chars(r, out, depth + 1))
            return false;
        ir_type_kind kind = ir_type_of(r->m, *out)->kind;
        if (kind != TK_NUM && kind != TK_PTR)
            return bad_type(r, beg, "a pointer points at a number or a pointer");
        *out = ir_type_ptr(r->m, *out);
        return true;
    }
    while ((at(r) >= 'a' && at(r) <= 'z') || (at(r) >= '0' && at(r) <= '9') || at(r) == '_')
        r->pos++;
    str name = {r->text.p + beg, r->pos - beg};
    if (str_eq(name, S("tile")) || str_eq(name, S("tensor")))
        return depth > 1 ? bad_type(r, beg, "a tile or tensor is no element") : shaped_chars(r, beg, name.n == 6, out);
    dtype dt = dtype_by_name(name);
    if (dt == DT_NONE)
        return unknown_type(r, beg, name);
    *out = ir_type_num(r->m, dt);
    return true;
}

bool read_type(reader *r, ir_type *out)
{
    uint32_t beg = r->tok.beg;
    r->pos = beg;
    bool ok = type_chars(r, out, 0);
    if (r->pos < r->tok.end)
        r->pos = r->tok.end;
    r->tok = (token){.kind = TOK_WORD, .beg = beg, .end = r->pos};
    read_next(r);
    return ok;
}

/* ---- literals ---- */
bool read_literal(reader *r, token *out)
{
    *out = r->tok;
    if (r->tok.kind == TOK_NUMBER || read_is_word(r, "true") || read_is_word(r, "false") || read_is_word(r, "inf") ||
        read_is_word(r, "nan")) {
        read_next(r);
        return true;
    }
    str found = read_found(r);
    read_error(r, read_here(r), "expected the value of a constant, found %.*s", STR_ARG(found));
    return false;
}

static bool bad_literal(reader *r, const token *lit, const char *why, dtype dt)
{
    uint32_t n = lit->end - lit->beg;
    read_error(r, read_span(r, lit->beg, lit->end), "'%.*s%s' %s '%s'", (int)(n < 40 ? n : 40), r->text.p + lit->beg,
               n < 40 ? "" : "...", why, dtypes[dt].name);
    return false;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* an exponent with its sign, clamped; false where there are no digits or something follows */
static bool exponent(str s, size_t i, int *out)
{
    bool negative = i < s.n && s.p[i] == '-';
    int x = 0;
    i += i < s.n && (s.p[i] == '-' || s.p[i] == '+');
    if (i == s.n)
        return false;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        x = x > 100000 ? x : x * 10 + (s.p[i] - '0');
    }
    *out = negative ? -x : x;
    return true;
}

/* digits of `base` with an optional point: the digits as one integer, how many followed the point, where they end */
static bool digits(str s, size_t *i, int base, uint64_t most, uint64_t *mant, int *after)
{
    bool any = false, point = false;
    *mant = 0;
    *after = 0;
    for (; *i < s.n; ++*i) {
        if (s.p[*i] == '.' && !point) {
            point = true;
            continue;
        }
        int x = digit_of(s.p[*i]);
        if (x >= base)
            break;
        if (*mant > (most - (uint64_t)x) / (uint64_t)base)
            return false;
        *mant = *mant * (uint64_t)base + (uint64_t)x;
        *after += point;
        any = true;
    }
    return any;
}

static bool hex_double(str s, double *out)
{
    uint64_t mant;
    int after, exp = 0;
    size_t i = 0;
    if (!digits(s, &i, 16, ((uint64_t)1 << 53) - 1, &mant, &after) || i == s.n || (s.p[i] | 0x20) != 'p' ||
        !exponent(s, i + 1, &exp))
        return false;
    *out = ldexp((double)mant, exp - 4 * after);
    return isfinite(*out) && ldexp(*out, 4 * after - exp) == (double)mant;
}

static bool decimal_double(str s, double *out)
{
    uint64_t mant;
    int after, exp = 0;
    double power = 1;
    size_t i = 0;
    if (!digits(s, &i, 10, 999999999999999, &mant, &after))
        return false;
    if (i < s.n && ((s.p[i] | 0x20) != 'e' || !exponent(s, i + 1, &exp)))
        return false;
    exp -= after;
    if (exp > 22 || exp < -22)
        return false;
    for (int n = exp < 0 ? -exp : exp; n > 0; n--)
        power *= 10;
    *out = exp < 0 ? (double)mant / power : (double)mant * power;
    return true;
}

/* x as a bit pattern of dt; conversions to 8-bit floats saturate, but some have infinities all the same */
static uint64_t encode(dtype dt, double x)
{
    if (isinf(x) && dt_bits(dt) == 8)
        for (uint64_t bits = 0; bits < 256; bits++)
            if (dt_float(dt, bits) == x)
                return bits;
    return dt_from_double(dt, x, false);
}

static bool float_bits(reader *r, const token *lit, dtype dt, uint64_t *bits)
{
    str s = lit->text;
    double x = 0, back;
    bool negative = s.n && s.p[0] == '-', hex;
    if (negative)
        s = (str){s.p + 1, s.n - 1};
    hex = s.n > 2 && s.p[0] == '0' && s.p[1] == 'x';
    if (str_eq(s, S("inf")))
        x = INFINITY;
    else if (str_eq(s, S("nan")) && !negative)
        x = NAN;
    else if (hex ? !hex_double((str){s.p + 2, s.n - 2}, &x) : !decimal_double(s, &x))
        return bad_literal(r, lit, hex ? "is not an exact" : "has too many digits (write it as 0x1.8p+1) or is not a",
                           dt);
    *bits = encode(dt, negative ? -x : x);
    back = fabs(dt_float(dt, *bits));
    if ((x != x) != (back != back) || (hex && back != x) || (isinf(x) && !isinf(back)) ||
        (x - x == 0 && x > 1 && (isinf(back) || back < x * 0.75)))
        return bad_literal(r, lit, "has no place in", dt);
    if (negative && x == 0 && dt_float(dt, *bits) == 0 && !signbit(dt_float(dt, *bits)))
        return bad_literal(r, lit, "has no place in", dt);
    return true;
}

static bool nan_bits(reader *r, const token *lit, dtype dt, uint64_t *bits)
{
    uint64_t x = 0;
    if (lit->text.n <= 6 || lit->text.n > 22 || !dt_is_any_float(dt))
        return bad_literal(r, lit, "is not a NaN of type", dt);
    for (size_t i = 6; i < lit->text.n; i++) {
        int d = digit_of(lit->text.p[i]);
        if (d > 15)
            return bad_literal(r, lit, "is not a NaN of type", dt);
        x = x << 4 | (uint64_t)d;
    }
    if (dt_wrap(dt, x) != x || dt_float(dt, x) == dt_float(dt, x))
        return bad_literal(r, lit, "is not a NaN of type", dt);
    *bits = x;
    return true;
}

static bool int_bits(reader *r, const token *lit, dtype dt, uint64_t *bits)
{
    bool negative, fits;
    uint64_t x;
    if (lit->kind != TOK_NUMBER)
        return bad_literal(r, lit, "is not a", dt);
    if (!read_digits(lit->text, &negative, &x) || (negative && x > (uint64_t)1 << 63))
        return bad_literal(r, lit, "is no integer that fits", dt);
    *bits = dt_wrap(dt, negative ? 0 - x : x);
    if (dt_is_signed(dt))
        fits = (uint64_t)dt_int(dt, *bits) == (negative ? 0 - x : x) && (negative || x <= INT64_MAX);
    else
        fits = *bits == x && (!negative || !x);
    return fits ? true : bad_literal(r, lit, "does not fit", dt);
}

bool read_literal_bits(reader *r, const token *lit, dtype dt, uint64_t *bits)
{
    if (dt == DT_BOOL) {
        *bits = str_eq(lit->text, S("true"));
        return *bits || str_eq(lit->text, S("false")) ? true : bad_literal(r, lit, "is not true or false, as is a", dt);
    }
    if (str_starts(lit->text, S("nan:")))
        return nan_bits(r, lit, dt, bits);
    return dt_is_any_float(dt) ? float_bits(r, lit, dt, bits) : int_bits(r, lit, dt, bits);
}
