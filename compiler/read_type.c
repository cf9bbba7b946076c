/* read_type.c: types and the literals of constants.
 *
 *   type    number | '*' type | 'token' | 'tile<' (extent 'x')+ element [', #' n] '>'
 *         | 'tensor<' ((extent | '?') 'x')+ number [', strided'] '>' | 'shared<' (extent 'x')+ number ', #' n '>'
 *         | 'chan<' n ', {' shared {', ' shared} '}>'
 *   literal integer | true | false | 0x1.8p+1 | 2.5e-3 | inf | -inf | nan | nan:0x7fc00001
 *
 * Types are read by characters, since `128x64xf16` is no sequence of words. A type is made only when it is sound:
 * ranks, extents and element counts within their bounds.
 *
 * Hexadecimal floats must be exact in their type. Decimal ones are for hand-written text: at most 15 digits and a power
 * of ten up to 22 either way, where one multiplication or division of doubles is correctly rounded; the rest is
 * refused. This keeps the reader free of the C library's locale.
 */
#include "compiler/layout.h"
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

/* "#n" at the scanner's place: a layout of this kind and shape */
static bool layout_chars(reader *r, bool shared, int rank, const int64_t *shape, ir_layout *out)
{
    uint32_t beg = r->pos++, id;
    uint64_t n = 0;
    for (; at(r) >= '0' && at(r) <= '9'; r->pos++)
        n = n > UINT32_MAX ? n : n * 10 + (uint64_t)(at(r) - '0');
    if (r->pos == beg + 1)
        return bad_type(r, beg, "expected the number of a layout after '#'");
    if (n > UINT32_MAX || !map_get(&r->layouts, n, &id)) {
        read_error(r, read_span(r, beg, r->pos), "layout '%.*s' is not defined",
                   (int)(r->pos - beg < 40 ? r->pos - beg : 40), r->text.p + beg);
        return false;
    }
    if (id == READ_NO_LAYOUT)
        return false;
    out->id = id;
    if (shared != (ir_layout_shared_of(r->m, *out) != NULL))
        return bad_type(r, beg, shared ? "a shared tile needs a 'shared' layout, and this one is of registers"
                                       : "a tile needs a layout of registers, and this one is 'shared'");
    const lay *l = shared ? &ir_layout_shared_of(r->m, *out)->map : ir_layout_of(r->m, *out);
    if (l->rank != rank) {
        read_error(r, read_span(r, beg, r->pos), "a layout of %d dimension%s for a tile of %d", l->rank,
                   l->rank == 1 ? "" : "s", rank);
        return false;
    }
    for (int d = 0; d < rank; d++)
        if (l->shape[d] != shape[d]) {
            read_error(r, read_span(r, beg, r->pos), "the layout's extent of dimension %d is %lld, the tile's %lld", d,
                       (long long)l->shape[d], (long long)shape[d]);
            return false;
        }
    return true;
}

/* ", #n" where it stands; a shared tile has one */
static bool tile_layout(reader *r, uint32_t beg, bool shared, int rank, const int64_t *shape, ir_layout *out)
{
    out->id = 0;
    if (at(r) != ',')
        return !shared || bad_type(r, beg, "expected ', #n', the layout of a shared tile");
    r->pos++;
    skip_blanks(r);
    if (at(r) != '#')
        return bad_type(r, r->pos, "expected a layout, '#1'");
    return layout_chars(r, shared, rank, shape, out);
}

static bool strided_chars(reader *r, bool *strided)
{
    *strided = at(r) == ',';
    if (!*strided)
        return true;
    r->pos++;
    skip_blanks(r);
    if (r->text.n - r->pos < 7 || memcmp(r->text.p + r->pos, "strided", 7) != 0)
        return bad_type(r, r->pos, "expected 'strided'");
    r->pos += 7;
    return true;
}

static bool shaped_chars(reader *r, uint32_t beg, ir_type_kind what, ir_type *out)
{
    int64_t shape[IR_MAX_RANK];
    int rank;
    ir_type elem;
    ir_layout layout = {0};
    bool strided = false, tensor = what == TK_TENSOR;
    if (at(r) != '<')
        return bad_type(r, beg, "expected '<' after 'tile', 'tensor' or 'shared'");
    r->pos++;
    if (!shape_chars(r, tensor ? IR_MAX_TENSOR_RANK : IR_MAX_RANK, tensor, &rank, shape) || !type_chars(r, &elem, 1))
        return false;
    ir_type_kind kind = ir_type_of(r->m, elem)->kind;
    if (kind != TK_NUM && (what != TK_TILE || kind != TK_PTR))
        return bad_type(r, beg,
                        tensor            ? "a tensor's element is a number"
                        : what == TK_TILE ? "a tile's element is a number or a pointer"
                                          : "a shared tile's element is a number");
    if (!tensor && !count_fits(rank, shape))
        return bad_type(r, beg, "a tile has at most 2^20 elements");
    if (tensor ? !strided_chars(r, &strided) : !tile_layout(r, beg, what == TK_SHARED, rank, shape, &layout))
        return false;
    if (at(r) != '>')
        return bad_type(r, beg, "expected '>' at the end of a type");
    r->pos++;
    if (tensor)
        *out = ir_type_tensor(r->m, elem, rank, shape, strided);
    else if (what == TK_TILE)
        *out = ir_type_laid(r->m, ir_type_tile(r->m, elem, rank, shape), layout);
    else
        *out = ir_type_shared(r->m, elem, rank, shape, layout);
    return true;
}

/* {shared<..>, ..} */
static bool parts_chars(reader *r, int *n, ir_type *parts)
{
    if (at(r) != '{')
        return bad_type(r, r->pos, "expected '{', the shared tiles of a channel's slot");
    *n = 0;
    do {
        r->pos++;
        skip_blanks(r);
        uint32_t beg = r->pos;
        if (*n == IR_MAX_CHAN_PARTS)
            return bad_type(r, beg, "a slot of a channel has at most 4 shared tiles");
        if (!type_chars(r, &parts[*n], 1))
            return false;
        if (ir_type_of(r->m, parts[*n])->kind != TK_SHARED)
            return bad_type(r, beg, "a channel carries shared tiles");
        ++*n;
    } while (at(r) == ',');
    if (at(r) != '}')
        return bad_type(r, r->pos, "expected '}' after the shared tiles of a channel");
    r->pos++;
    return true;
}

static bool chan_chars(reader *r, uint32_t beg, ir_type *out)
{
    ir_type parts[IR_MAX_CHAN_PARTS];
    int stages = 0, n = 0;
    uint32_t from;
    if (at(r) != '<')
        return bad_type(r, beg, "expected '<' after 'chan'");
    for (from = ++r->pos; at(r) >= '0' && at(r) <= '9'; r->pos++)
        stages = stages > IR_MAX_STAGES ? stages : stages * 10 + (at(r) - '0');
    if (stages < 1 || stages > IR_MAX_STAGES)
        return bad_type(r, from, "a channel has 1 to 64 slots");
    if (at(r) != ',')
        return bad_type(r, r->pos, "expected ',' after the number of slots");
    r->pos++;
    skip_blanks(r);
    if (!parts_chars(r, &n, parts))
        return false;
    if (at(r) != '>')
        return bad_type(r, beg, "expected '>' at the end of a type");
    r->pos++;
    *out = ir_type_chan(r->m, stages, n, parts);
    return true;
}

static bool unknown_type(reader *r, uint32_t beg, str name)
{
    const char *names[DT_COUNT + 5];
    uint32_t n = 0;
    for (int i = DT_NONE + 1; i < DT_COUNT; i++)
        names[n++] = dtypes[i].name;
    names[n++] = "tile";
    names[n++] = "tensor";
    names[n++] = "shared";
    names[n++] = "chan";
    names[n++] = "token";
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
    ir_type_kind kind = str_eq(name, S("tile"))     ? TK_TILE
                        : str_eq(name, S("tensor")) ? TK_TENSOR
                        : str_eq(name, S("shared")) ? TK_SHARED
                                                    : TK_NONE;
    if (kind)
        return depth > 1 ? bad_type(r, beg, "a tile or tensor is no element") : shaped_chars(r, beg, kind, out);
    if (str_eq(name, S("chan")))
        return depth ? bad_type(r, beg, "a channel is no element") : chan_chars(r, beg, out);
    if (str_eq(name, S("token"))) {
        *out = ir_type_token(r->m);
        return true;
    }
    dtype dt = dtype_by_name(name);
    if (dt == DT_NONE)
        return unknown_type(r, beg, name);
    *out = ir_type_num(r->m, dt);
    return true;
}

/* behind a fault in the type that began at `beg`: past its closing bracket, where that stands on the line */
static void skip_type(reader *r, uint32_t beg)
{
    int depth = 0;
    for (uint32_t p = beg; p < r->text.n && r->text.p[p] != '\n'; p++) {
        char c = r->text.p[p];
        depth += (c == '<' || c == '{') - (c == '>' || c == '}');
        if (depth < 0 || (depth == 0 && (c == ',' || c == ')' || c == ' ')))
            return;
        if (depth == 0 && c == '>') {
            r->pos = p + 1 > r->pos ? p + 1 : r->pos;
            return;
        }
    }
}

bool read_type(reader *r, ir_type *out)
{
    uint32_t beg = r->tok.beg;
    r->pos = beg;
    bool ok = type_chars(r, out, 0);
    if (!ok)
        skip_type(r, beg);
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
