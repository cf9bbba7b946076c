/* array.c: values from the command line's text, and arrays as one line of text. */
#include "runtime/array.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_BYTES ((int64_t)1 << 40)

static bool map_array(arena *a, rt_value *v, str *err)
{
    int64_t bytes = (int64_t)dt_bytes(v->array.dt);
    v->array.count = 1;
    for (int i = 0; i < v->array.rank; i++)
        if (__builtin_mul_overflow(v->array.count, v->array.shape[i], &v->array.count) || v->array.count > MAX_BYTES) {
            *err = S("the array is too large");
            return false;
        }
    if (__builtin_mul_overflow(v->array.count, bytes, &bytes) || bytes > MAX_BYTES) {
        *err = S("the array is too large");
        return false;
    }
    v->mapped = bytes ? (size_t)bytes : 1;
    v->array.data = mmap(NULL, v->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (v->array.data == MAP_FAILED) {
        *err = str_fmt(a, "no memory for an array of %lld bytes", (long long)bytes);
        v->mapped = 0;
        v->array.data = NULL;
        return false;
    }
    return true;
}

void rt_value_fini(rt_value *v)
{
    if (v->mapped)
        munmap(v->array.data, v->mapped);
    *v = (rt_value){0};
}

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static void put_element(npy_array *x, int64_t i, uint64_t bits)
{
    size_t w = (size_t)dt_bytes(x->dt);
    memcpy((char *)x->data + (size_t)i * w, &bits, w); /* little-endian hosts */
}

static void fill_rand(npy_array *x, uint64_t seed)
{
    uint64_t base = mix(seed ^ 0x74696c65u);
    for (int64_t i = 0; i < x->count; i++) {
        uint64_t r = mix(base + (uint64_t)i);
        if (x->dt == DT_BOOL)
            put_element(x, i, r & 1);
        else if (dt_is_any_float(x->dt))
            put_element(x, i, dt_from_double(x->dt, (double)(r >> 40) * 0x1p-23 - 1, false));
        else
            put_element(x, i, dt_wrap(x->dt, r % 200 - (dt_is_signed(x->dt) ? 100u : 0u)));
    }
}

static void fill_arange(npy_array *x)
{
    for (int64_t i = 0; i < x->count; i++)
        put_element(x, i,
                    dt_is_any_float(x->dt) ? dt_from_double(x->dt, (double)i, false)
                    : x->dt == DT_BOOL     ? (uint64_t)(i & 1)
                                           : dt_wrap(x->dt, (uint64_t)i));
}

static bool bad(arena *a, str text, str *err)
{
    *err = str_fmt(
        a, "expected a number, True, False, None, @FILE.npy, or zeros|rand|arange:DTYPE[d0,d1,..], found '%.*s'",
        STR_ARG(text));
    return false;
}

static bool parse_int(str s, int64_t *out)
{
    char buf[32], *end;
    if (s.n == 0 || s.n >= sizeof buf)
        return false;
    memcpy(buf, s.p, s.n);
    buf[s.n] = 0;
    errno = 0;
    *out = strtoll(buf, &end, 0);
    if (errno == ERANGE && buf[0] != '-') { /* up to 2^64 - 1, as its bits */
        errno = 0;
        *out = (int64_t)strtoull(buf, &end, 0);
    }
    return *end == 0 && end != buf && errno == 0 && strchr("-+0123456789", buf[0]);
}

static bool parse_number(str s, rt_value *out)
{
    char buf[64], *end;
    if (str_eq(s, S("True")) || str_eq(s, S("False"))) {
        *out = (rt_value){.kind = RT_INT, .i = s.n == 4, .f = s.n == 4};
        return true;
    }
    if (parse_int(s, &out->i)) {
        out->kind = RT_INT;
        out->f = (double)out->i;
        return true;
    }
    if (s.n == 0 || s.n >= sizeof buf)
        return false;
    memcpy(buf, s.p, s.n);
    buf[s.n] = 0;
    out->f = strtod(buf, &end);
    out->kind = RT_FLOAT;
    return *end == 0 && end != buf;
}

/* DTYPE[d0,d1,..] and what follows it */
static bool parse_shape(arena *a, str s, npy_array *x, str *rest, str *err)
{
    size_t i = 0;
    while (i < s.n && s.p[i] != '[')
        i++;
    x->dt = dtype_by_name((str){s.p, i});
    if (x->dt == DT_NONE) {
        *err = str_fmt(a, "expected an element type such as f32, found '%.*s'", (int)i, s.p);
        return false;
    }
    if (i == s.n) {
        *err = str_fmt(a, "expected '[d0,d1,..]' after '%.*s'", (int)i, s.p);
        return false;
    }
    for (i++; i < s.n && s.p[i] != ']';) {
        size_t beg = i;
        while (i < s.n && s.p[i] != ',' && s.p[i] != ']')
            i++;
        int64_t n;
        if (x->rank == NPY_MAX_RANK || !parse_int((str){s.p + beg, i - beg}, &n) || n < 0) {
            *err = str_fmt(a, "expected at most 8 sizes, none negative, found '%.*s'", STR_ARG(s));
            return false;
        }
        x->shape[x->rank++] = n;
        i += i < s.n && s.p[i] == ',';
    }
    if (i >= s.n) {
        *err = str_fmt(a, "expected ']' at the end of '%.*s'", STR_ARG(s));
        return false;
    }
    *rest = (str){s.p + i + 1, s.n - i - 1};
    return true;
}

static bool parse_file(arena *a, str s, str dir, rt_value *out, str *err)
{
    dtype as = DT_NONE;
    npy_array got;
    for (size_t i = s.n; i-- > 0 && s.p[i] != '/';)
        if (s.p[i] == ':') {
            as = dtype_by_name((str){s.p + i + 1, s.n - i - 1});
            if (as == DT_NONE) {
                *err = str_fmt(a, "expected an element type after ':', found '%.*s'", (int)(s.n - i - 1), s.p + i + 1);
                return false;
            }
            s.n = i;
            break;
        }
    if (dir.n)
        s = path_join(a, dir, s);
    arena_pos m = arena_mark(a);
    if (!npy_read(a, str_cstr(a, s), as, &got, err))
        return false;
    out->kind = RT_ARRAY;
    out->array = got;
    if (!map_array(a, out, err))
        return false;
    memcpy(out->array.data, got.data, (size_t)got.count * (size_t)dt_bytes(got.dt));
    arena_reset(a, m);
    return true;
}

bool rt_value_parse(arena *a, str text, str dir, rt_value *out, str *err)
{
    str rest;
    int64_t seed = 0;
    *out = (rt_value){0};
    if (str_eq(text, S("None")))
        return true;
    if (text.n && text.p[0] == '@')
        return parse_file(a, (str){text.p + 1, text.n - 1}, dir, out, err);
    bool zeros = str_starts(text, S("zeros:")), rnd = str_starts(text, S("rand:")),
         arange = str_starts(text, S("arange:"));
    if (!zeros && !rnd && !arange)
        return parse_number(text, out) || bad(a, text, err);
    size_t skip = zeros ? 6 : rnd ? 5 : 7;
    out->kind = RT_ARRAY;
    if (!parse_shape(a, (str){text.p + skip, text.n - skip}, &out->array, &rest, err))
        return false;
    if (rest.n && !(rnd && rest.p[0] == ':' && parse_int((str){rest.p + 1, rest.n - 1}, &seed))) {
        *err = str_fmt(a, "expected nothing%s after ']', found '%.*s'", rnd ? " or ':SEED'" : "", STR_ARG(rest));
        return false;
    }
    if (!map_array(a, out, err))
        return false;
    if (rnd)
        fill_rand(&out->array, (uint64_t)seed);
    if (arange)
        fill_arange(&out->array);
    return true;
}

void rt_array_show(const npy_array *x, int64_t most, strbuf *out)
{
    int64_t n = x->count < most ? x->count : most;
    sb_putf(out, "%s[", dtypes[x->dt].name);
    for (int i = 0; i < x->rank; i++)
        sb_putf(out, "%s%lld", i ? "," : "", (long long)x->shape[i]);
    sb_puts(out, "]:");
    for (int64_t i = 0; i < n; i++) {
        sb_putc(out, ' ');
        rt_element_show(x->dt, (const char *)x->data + (size_t)i * (size_t)dt_bytes(x->dt), out);
    }
    if (n < x->count)
        sb_puts(out, " ...");
}
