/* test_interp.c: the interpreter's ops on values against straightforward C, one family after the other.
 *
 * References are written without the interpreter's means: integers in 128 bits, floats in their own C type, f16 fma in
 * exact fixed point.
 */
#include "tests/unit/interp_kit.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

/* ---- integers ---- */
enum { N = 391 };

static const dtype int_types[] = {DT_I8, DT_I16, DT_I32, DT_I64, DT_U8, DT_U16, DT_U32, DT_U64};
static const dtype float_types[] = {DT_F16, DT_BF16, DT_F32, DT_F64};

/* edges first, then random ones of every magnitude */
static void fill_ints(dtype dt, void *p, int salt)
{
    static const int64_t edge[] = {0, 1, -1, 2, 7, INT64_MIN, INT64_MAX, 31, 32, 33, 64, 8, 15, 16, 127, -128};
    for (int i = 0; i < N; i++) {
        uint64_t x = rng() >> (rng() % 64);
        if (rng() & 1)
            x = 0 - x;
        if (i < 256)
            x = (uint64_t)edge[(i * salt / 16 + i % 16 * (salt == 1)) % 16];
        if (x == (uint64_t)INT64_MIN)
            x = (uint64_t)1 << (dt_bits(dt) - 1);
        if (x == (uint64_t)INT64_MAX)
            x = ((uint64_t)1 << (dt_bits(dt) - 1)) - 1;
        elem_set(dt, p, i, x);
    }
}

static wide int_of(dtype dt, uint64_t bits) { return dt == DT_U64 ? (wide)bits : (wide)dt_int(dt, bits); }

static uint64_t int_ref(const char *op, dtype dt, wide a, wide b)
{
    int w = dt_bits(dt);
    bool out = b < 0 || b >= w;
    wide r = 0;
    if (!strcmp(op, "add"))
        r = a + b;
    if (!strcmp(op, "sub"))
        r = a - b;
    if (!strcmp(op, "mul"))
        r = (wide)((uwide)a * (uwide)b);
    if (!strcmp(op, "div"))
        r = b ? a / b : 0;
    if (!strcmp(op, "rem"))
        r = b ? a % b : 0;
    if (!strcmp(op, "min"))
        r = a < b ? a : b;
    if (!strcmp(op, "max"))
        r = a > b ? a : b;
    if (!strcmp(op, "and"))
        r = a & b;
    if (!strcmp(op, "or"))
        r = a | b;
    if (!strcmp(op, "xor"))
        r = a ^ b;
    if (!strcmp(op, "shl"))
        r = out ? 0 : (wide)((uwide)a << b);
    if (!strcmp(op, "shr"))
        r = out ? (a < 0 ? -1 : 0) : a >> b;
    if (!strcmp(op, "mulhi"))
        r = dt == DT_U64 ? (wide)(((uwide)a * (uwide)b) >> 64) : (a * b) >> w;
    return dt_wrap(dt, (uint64_t)(uwide)r);
}

/* of floats too: NaNs and zeros by their bits */
static bool same_bits(const void *x, const void *y, size_t n)
{
    return !memcmp(x, y, n);
}

START_TEST(integers)
{
    static const char *const ops[] = {"add", "sub", "mul", "div", "rem", "min",  "max",
                                      "and", "or",  "xor", "shl", "shr", "mulhi"};
    for (size_t t = 0; t < COUNTOF(int_types); t++)
        for (size_t k = 0; k < COUNTOF(ops); k++) {
            dtype dt = int_types[t];
            const char *name = dtypes[dt].name;
            uint64_t x[N], y[N], z[N];
            char body[100];
            fill_ints(dt, x, 1);
            fill_ints(dt, y, 16);
            snprintf(body, sizeof body, "  %%r = %s %%a, %%b : tile<391x%s>\n", ops[k], name);
            port ports[] = {{"a", "391", name, N, x}, {"b", "391", name, N, y}, {"r", "391", name, N, z}};
            run_body(body, ports, 2, 1);
            for (int i = 0; i < N; i++) {
                uint64_t a = elem_at(dt, x, i), b = elem_at(dt, y, i), got = elem_at(dt, z, i);
                uint64_t want = int_ref(ops[k], dt, int_of(dt, a), int_of(dt, b));
                ck_assert_msg(got == want, "%s %s: %llx, %llx: got %llx, want %llx", ops[k], name,
                              (unsigned long long)a, (unsigned long long)b, (unsigned long long)got,
                              (unsigned long long)want);
            }
        }
}
END_TEST

START_TEST(integer_unary_and_compare)
{
    for (size_t t = 0; t < COUNTOF(int_types); t++) {
        dtype dt = int_types[t];
        const char *name = dtypes[dt].name;
        uint64_t x[N], y[N], neg[N], mag[N], inv[N];
        uint8_t c[6][N];
        char body[800];
        fill_ints(dt, x, 1);
        fill_ints(dt, y, 16);
        snprintf(
            body, sizeof body,
            "  %%neg = neg %%a : tile<391x%s>\n  %%mag = abs %%a : tile<391x%s>\n  %%inv = not %%a : tile<391x%s>\n"
            "  %%eq = eq %%a, %%b : tile<391xbool>\n  %%ne = ne %%a, %%b : tile<391xbool>\n"
            "  %%lt = lt %%a, %%b : tile<391xbool>\n  %%le = le %%a, %%b : tile<391xbool>\n"
            "  %%gt = gt %%a, %%b : tile<391xbool>\n  %%ge = ge %%a, %%b : tile<391xbool>\n",
            name, name, name);
        port ports[] = {{"a", "391", name, N, x},       {"b", "391", name, N, y},       {"neg", "391", name, N, neg},
                        {"mag", "391", name, N, mag},   {"inv", "391", name, N, inv},   {"eq", "391", "bool", N, c[0]},
                        {"ne", "391", "bool", N, c[1]}, {"lt", "391", "bool", N, c[2]}, {"le", "391", "bool", N, c[3]},
                        {"gt", "391", "bool", N, c[4]}, {"ge", "391", "bool", N, c[5]}};
        run_body(body, ports, 2, 9);
        for (int i = 0; i < N; i++) {
            wide a = int_of(dt, elem_at(dt, x, i)), b = int_of(dt, elem_at(dt, y, i));
            ck_assert(elem_at(dt, neg, i) == dt_wrap(dt, (uint64_t)-a));
            ck_assert(elem_at(dt, mag, i) == dt_wrap(dt, (uint64_t)(a < 0 ? -a : a)));
            ck_assert(elem_at(dt, inv, i) == dt_wrap(dt, (uint64_t)~a));
            ck_assert(c[0][i] == (a == b) && c[1][i] == (a != b) && c[2][i] == (a < b));
            ck_assert(c[3][i] == (a <= b) && c[4][i] == (a > b) && c[5][i] == (a >= b));
        }
    }
}
END_TEST

/* ---- floats ---- */
static void fill_floats(dtype dt, void *p, int salt)
{
    static const double edge[] = {0.0,   -0.0,  1,     -1,   INFINITY, -INFINITY, NAN,   1e-7,
                                  -6e-8, 65504, 1e-40, 3e38, 0.5,      -2.5,      1e300, 5e-324};
    uint64_t mask = dt_bits(dt) == 64 ? ~0ull : ((uint64_t)1 << dt_bits(dt)) - 1;
    for (int i = 0; i < N; i++) {
        uint64_t bits = dt_from_double(dt, edge[(salt == 1 ? i : i / 16) % 16], false);
        if (i >= 256)
            bits = rng() & mask; /* any pattern: denormals, NaNs, all magnitudes */
        if (i >= 330)
            bits = dt_from_double(dt, (double)(int64_t)rng() * 0x1p-62, false);
        elem_set(dt, p, i, bits);
    }
}

static bool same_float(dtype dt, uint64_t a, uint64_t b)
{
    return a == b || (isnan(dt_float(dt, a)) && isnan(dt_float(dt, b)));
}

static uint64_t float_ref(const char *op, dtype dt, uint64_t x, uint64_t y)
{
    double a = dt_float(dt, x), b = dt_float(dt, y), r = NAN;
    float fa = (float)a, fb = (float)b;
    bool d = dt == DT_F64;
    if (!strcmp(op, "add"))
        r = d ? a + b : (double)(fa + fb);
    if (!strcmp(op, "sub"))
        r = d ? a - b : (double)(fa - fb);
    if (!strcmp(op, "mul"))
        r = d ? a * b : (double)(fa * fb);
    if (!strcmp(op, "div"))
        r = d ? a / b : (double)(fa / fb);
    if (!strcmp(op, "min"))
        r = isnan(a) ? b : isnan(b) ? a : a == b ? (signbit(a) ? a : b) : fmin(a, b);
    if (!strcmp(op, "max"))
        r = isnan(a) ? b : isnan(b) ? a : a == b ? (signbit(a) ? b : a) : fmax(a, b);
    return dt_from_double(dt, r, false);
}

START_TEST(floats)
{
    static const char *const ops[] = {"add", "sub", "mul", "div", "min", "max"};
    for (size_t t = 0; t < COUNTOF(float_types); t++)
        for (size_t k = 0; k < COUNTOF(ops); k++) {
            dtype dt = float_types[t];
            const char *name = dtypes[dt].name;
            uint64_t x[N], y[N], z[N];
            char body[100];
            fill_floats(dt, x, 1);
            fill_floats(dt, y, 16);
            snprintf(body, sizeof body, "  %%r = %s %%a, %%b : tile<391x%s>\n", ops[k], name);
            port ports[] = {{"a", "391", name, N, x}, {"b", "391", name, N, y}, {"r", "391", name, N, z}};
            run_body(body, ports, 2, 1);
            for (int i = 0; i < N; i++) {
                uint64_t a = elem_at(dt, x, i), b = elem_at(dt, y, i), got = elem_at(dt, z, i);
                uint64_t want = float_ref(ops[k], dt, a, b);
                ck_assert_msg(same_float(dt, got, want), "%s %s: %a, %a: got %a, want %a", ops[k], name,
                              dt_float(dt, a), dt_float(dt, b), dt_float(dt, got), dt_float(dt, want));
            }
        }
}
END_TEST

START_TEST(nan_propagation_and_signs)
{
    float x[8] = {NAN, 1, 0.0f, -0.0f, -3, INFINITY, NAN, -1e-40f}, y[8] = {2, NAN, -0.0f, 0.0f, NAN, 5, NAN, 1e-40f};
    float lo[8], hi[8], neg[8], mag[8];
    port ports[] = {{"a", "8", "f32", 8, x},   {"b", "8", "f32", 8, y},     {"lo", "8", "f32", 8, lo},
                    {"hi", "8", "f32", 8, hi}, {"neg", "8", "f32", 8, neg}, {"mag", "8", "f32", 8, mag}};
    run_body("  %lo = min %a, %b {nan = 1} : tile<8xf32>\n  %hi = max %a, %b {nan = 1} : tile<8xf32>\n"
             "  %neg = neg %a : tile<8xf32>\n  %mag = abs %a : tile<8xf32>\n",
             ports, 2, 4);
    for (int i = 0; i < 8; i++) {
        bool nan = isnan(x[i]) || isnan(y[i]);
        ck_assert(!isnan(lo[i]) == !nan && !isnan(hi[i]) == !nan);
        ck_assert(!signbit(neg[i]) != !signbit(x[i]) && !signbit(mag[i]));
    }
    ck_assert(signbit(lo[2]) && signbit(lo[3]) && !signbit(hi[2]) && !signbit(hi[3]));
    ck_assert(lo[7] == -1e-40f && hi[7] == 1e-40f && neg[7] == 1e-40f); /* denormals are kept */
}
END_TEST

/* f16: every finite value is a multiple of 2^-24 below 2^17, so a * b + c is an integer times 2^-48 that fits 128 bits
 */
static wide f16_fixed(uint64_t bits) { return (wide)(dt_float(DT_F16, bits) * 0x1p24); }

static wide distance(wide exact, uint64_t bits)
{
    wide d = f16_fixed(bits) * ((wide)1 << 24) - exact;
    return d < 0 ? -d : d;
}

START_TEST(fma_rounds_once)
{
    enum { M = 60000 };
    uint16_t *x = malloc(M * 2), *y = malloc(M * 2), *z = malloc(M * 2), *r = malloc(M * 2);
    for (int i = 0; i < M; i++) {
        x[i] = (uint16_t)(rng() & 0xbfff), y[i] = (uint16_t)(rng() & 0xbfff), z[i] = (uint16_t)(rng() & 0xbfff);
        if (i % 3 == 0) /* a midpoint and then a little: 1 + 2^-11 + tiny */
            x[i] = 0x3c01, y[i] = 0x3800, z[i] = (uint16_t)(rng() & 0x83ff);
    }
    port ports[] = {{"a", "60000", "f16", M, x},
                    {"b", "60000", "f16", M, y},
                    {"c", "60000", "f16", M, z},
                    {"r", "60000", "f16", M, r}};
    run_body("  %r = fma %a, %b, %c : tile<60000xf16>\n", ports, 3, 1);
    for (int i = 0; i < M; i++) {
        wide exact = f16_fixed(x[i]) * f16_fixed(y[i]) + f16_fixed(z[i]) * ((wide)1 << 24);
        uint64_t g = r[i];
        if (isinf(dt_float(DT_F16, g))) {
            ck_assert((exact < 0 ? -exact : exact) >= ((wide)65520 << 48));
            continue;
        }
        wide d = distance(exact, g);
        for (int s = -1; s <= 1; s += 2) {
            uint64_t next = (g & 0x7fff) == 0 && s < 0 ? (g ^ 0x8000) + 1 : g + (uint64_t)(int64_t)s;
            if (isinf(dt_float(DT_F16, next)))
                continue;
            wide e = distance(exact, next);
            ck_assert_msg(d < e || (d == e && !(g & 1)), "fma %a %a %a gave %a", dt_float(DT_F16, x[i]),
                          dt_float(DT_F16, y[i]), dt_float(DT_F16, z[i]), dt_float(DT_F16, g));
        }
    }
    free(x), free(y), free(z), free(r);
    float fx[N], fy[N], fz[N], fr[N];
    fill_floats(DT_F32, fx, 1), fill_floats(DT_F32, fy, 16), fill_floats(DT_F32, fz, 1);
    fx[300] = 0x1.000002p0f, fy[300] = 0x1.000002p0f, fz[300] = 0x1p-70f;
    port fp[] = {
        {"a", "391", "f32", N, fx}, {"b", "391", "f32", N, fy}, {"c", "391", "f32", N, fz}, {"r", "391", "f32", N, fr}};
    run_body("  %r = fma %a, %b, %c : tile<391xf32>\n", fp, 3, 1);
    for (int i = 0; i < N; i++) {
        float want = fmaf(fx[i], fy[i], fz[i]);
        ck_assert_msg(fr[i] == want || (isnan(fr[i]) && isnan(want)), "%a %a %a: %a, want %a", fx[i], fy[i], fz[i],
                      fr[i], want);
    }
}
END_TEST

START_TEST(mathematics)
{
    static const struct {
        const char *op;
        double (*fn)(double);
    } ops[] = {
        {"exp", exp},   {"exp2", exp2}, {"log", log},   {"log2", log2},   {"sin", sin},   {"cos", cos},
        {"tanh", tanh}, {"erf", erf},   {"sqrt", sqrt}, {"floor", floor}, {"ceil", ceil},
    };
    for (size_t k = 0; k < COUNTOF(ops); k++) {
        float x[N], z[N];
        double dx[N], dz[N];
        char body[200];
        fill_floats(DT_F32, x, 1), fill_floats(DT_F64, dx, 1);
        snprintf(body, sizeof body, "  %%r = %s %%a : tile<391xf32>\n  %%s = %s %%b : tile<391xf64>\n", ops[k].op,
                 ops[k].op);
        port ports[] = {{"a", "391", "f32", N, x},
                        {"b", "391", "f64", N, dx},
                        {"r", "391", "f32", N, z},
                        {"s", "391", "f64", N, dz}};
        run_body(body, ports, 2, 2);
        for (int i = 0; i < N; i++) {
            float want = (float)ops[k].fn((double)x[i]);
            double dwant = ops[k].fn(dx[i]);
            ck_assert_msg(z[i] == want || (isnan(z[i]) && isnan(want)), "%s %a: %a, want %a", ops[k].op, x[i], z[i],
                          want);
            ck_assert_msg(dz[i] == dwant || (isnan(dz[i]) && isnan(dwant)), "%s %a", ops[k].op, dx[i]);
        }
    }
    float x[4] = {4, 0.25f, 2, 1e-38f}, z[4];
    port ports[] = {{"a", "4", "f32", 4, x}, {"r", "4", "f32", 4, z}};
    run_body("  %r = rsqrt %a : tile<4xf32>\n", ports, 1, 1);
    for (int i = 0; i < 4; i++)
        ck_assert(fabs(z[i] * sqrt((double)x[i]) - 1) < 1e-7);
}
END_TEST

START_TEST(casts_and_bits)
{
    float x[8] = {1e10f, -1e10f, NAN, 300, -1.9f, 0, 2.5f, 1e30f};
    int32_t i32[8];
    uint8_t u8[8], b[8];
    uint16_t h[8];
    uint32_t bits[8];
    uint8_t f8[8];
    port ports[] = {{"x", "8", "f32", 8, x},    {"i", "8", "i32", 8, i32}, {"u", "8", "u8", 8, u8},
                    {"b", "8", "bool", 8, b},   {"h", "8", "f16", 8, h},   {"bits", "8", "u32", 8, bits},
                    {"q", "8", "f8e4m3", 8, f8}};
    run_body(
        "  %i = cast %x : tile<8xi32>\n  %u = cast %x : tile<8xu8>\n  %b = cast %x : tile<8xbool>\n"
        "  %h = cast %x {rtz = 1} : tile<8xf16>\n  %bits = bitcast %x : tile<8xu32>\n  %q = cast %x : tile<8xf8e4m3>\n",
        ports, 1, 6);
    static const int32_t wi[8] = {INT32_MAX, INT32_MIN, 0, 300, -1, 0, 2, INT32_MAX};
    static const uint8_t wu[8] = {255, 0, 0, 255, 0, 0, 2, 255}, wb[8] = {1, 1, 1, 1, 1, 0, 1, 1};
    ck_assert(!memcmp(i32, wi, sizeof wi) && !memcmp(u8, wu, sizeof wu) && !memcmp(b, wb, sizeof wb) &&
              same_bits(bits, x, sizeof x));
    ck_assert(dt_float(DT_F16, h[0]) == 65504 && dt_float(DT_F16, h[3]) == 300 && isnan(dt_float(DT_F16, h[2])));
    ck_assert(dt_float(DT_F8E4M3, f8[0]) == 448 && dt_float(DT_F8E4M3, f8[1]) == -448 &&
              isnan(dt_float(DT_F8E4M3, f8[2])));
    ck_assert(dt_float(DT_F8E4M3, f8[3]) == 288 + 0 || dt_float(DT_F8E4M3, f8[3]) == 304 ||
              dt_float(DT_F8E4M3, f8[3]) == 288);
}
END_TEST

/* ---- shape ---- */
START_TEST(shapes)
{
    int32_t a[2][3][5], p[5][2][3], s[1][2][3], c[2][5][5], e[2][5];
    iota(&a[0][0][0], 30);
    port ports[] = {{"a", "2x3x5", "i32", 30, a},
                    {"p", "5x2x3", "i32", 30, p},
                    {"s", "1x2x3", "i32", 6, s},
                    {"c", "2x5x5", "i32", 50, c},
                    {"e", "2x5", "i32", 10, e}};
    run_body("  %p = permute %a {order = [2, 0, 1]} : tile<5x2x3xi32>\n  %s = slice %a {starts = [1, 1, 2]} : "
             "tile<1x2x3xi32>\n"
             "  %t = slice %a {starts = [0, 1, 0]} : tile<2x2x5xi32>\n  %c = cat %a, %t {axis = 1} : tile<2x5x5xi32>\n"
             "  %k = const 2 : i64\n  %e = extract %a, %k {axis = 1} : tile<2x5xi32>\n",
             ports, 1, 4);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 5; k++) {
                ck_assert_int_eq(p[k][i][j], a[i][j][k]);
                ck_assert_int_eq(c[i][j][k], a[i][j][k]);
                if (j)
                    ck_assert_int_eq(c[i][2 + j][k], a[i][j][k]);
                if (i == 1 && j >= 1 && k >= 2)
                    ck_assert_int_eq(s[0][j - 1][k - 2], a[i][j][k]);
                if (j == 2)
                    ck_assert_int_eq(e[i][k], a[i][j][k]);
            }
}
END_TEST

START_TEST(join_split_broadcast_gather)
{
    int16_t a[3][4], b[3][4], j[3][4][2], lo[3][4], w[3][7][4], g[2][4], col[3][1], wide_col[3][5];
    int32_t index[2][4] = {{2, 0, 1, 5}, {0, 0, -1, 2}};
    for (int i = 0; i < 12; i++)
        (&a[0][0])[i] = (int16_t)(i + 1), (&b[0][0])[i] = (int16_t)(-i);
    for (int i = 0; i < 3; i++)
        col[i][0] = (int16_t)(7 * i);
    port ports[] = {{"a", "3x4", "i16", 12, a},   {"b", "3x4", "i16", 12, b},   {"x", "2x4", "i32", 8, index},
                    {"q", "3x1", "i16", 3, col},  {"j", "3x4x2", "i16", 24, j}, {"lo", "3x4", "i16", 12, lo},
                    {"w", "3x7x4", "i16", 84, w}, {"g", "2x4", "i16", 8, g},    {"wq", "3x5", "i16", 15, wide_col}};
    run_body("  %j = join %a, %b : tile<3x4x2xi16>\n  %l, %hi = split %j : tile<3x4xi16>, tile<3x4xi16>\n  %lo = sub "
             "%l, %hi : tile<3x4xi16>\n"
             "  %r = reshape %a : tile<3x1x4xi16>\n  %w = broadcast %r : tile<3x7x4xi16>\n  %g = gather %a, %x {axis = "
             "0} : tile<2x4xi16>\n"
             "  %wq = broadcast %q : tile<3x5xi16>\n",
             ports, 4, 5);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++) {
            ck_assert(j[i][k][0] == a[i][k] && j[i][k][1] == b[i][k] && lo[i][k] == a[i][k] - b[i][k]);
            for (int m = 0; m < 7; m++)
                ck_assert(w[i][m][k] == a[i][k]);
            for (int m = 0; m < 5; m++)
                ck_assert(wide_col[i][m] == col[i][0]);
        }
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 4; k++)
            if (index[i][k] >= 0 && index[i][k] < 3)
                ck_assert(g[i][k] == a[index[i][k]][k]);
}
END_TEST

/* ---- whole tiles ---- */
START_TEST(reductions_and_scans)
{
    float a[3][5][2], sum[3][2], scan[3][5][2], back[3][5][2];
    int32_t v[7] = {3, -1, 7, 7, 2, 7, 0}, best, at;
    for (int i = 0; i < 30; i++)
        (&a[0][0][0])[i] = (float)(i * i % 17) - 3;
    port ports[] = {{"a", "3x5x2", "f32", 30, a},       {"v", "7", "i32", 7, v},
                    {"sum", "3x2", "f32", 6, sum},      {"scan", "3x5x2", "f32", 30, scan},
                    {"back", "3x5x2", "f32", 30, back}, {"best", "", "i32", 1, &best},
                    {"at", "", "i32", 1, &at}};
    run_body("  %sum = reduce %a {axis = 1} : tile<3x2xf32> {\n    (%l: f32, %r: f32)\n    %s = add %l, %r : f32\n    "
             "yield %s\n  }\n"
             "  %scan = scan %a {axis = 1} : tile<3x5x2xf32> {\n    (%l2: f32, %r2: f32)\n    %s2 = sub %l2, %r2 : "
             "f32\n    yield %s2\n  }\n"
             "  %back = scan %a {axis = 1, reverse = 1} : tile<3x5x2xf32> {\n    (%l3: f32, %r3: f32)\n    %h = const "
             "0.5 : f32\n    %m = mul %l3, %h : f32\n    %s3 = add %m, %r3 : f32\n    yield %s3\n  }\n"
             "  %i = arange {start = 0} : tile<7xi32>\n"
             "  %best, %at = reduce %v, %i {axis = 0} : i32, i32 {\n    (%x: i32, %xi: i32, %y: i32, %yi: i32)\n    %c "
             "= ge %x, %y : bool\n    %z = select %c, %x, %y : i32\n    %zi = select %c, %xi, %yi : i32\n    yield %z, "
             "%zi\n  }\n",
             ports, 2, 5);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) {
            float s = a[i][0][k], d = a[i][0][k], b = a[i][4][k];
            ck_assert(scan[i][0][k] == d && back[i][4][k] == b);
            for (int j = 1; j < 5; j++) {
                s += a[i][j][k];
                d -= a[i][j][k];
                b = b * 0.5f + a[i][4 - j][k];
                ck_assert(scan[i][j][k] == d && back[i][4 - j][k] == b);
            }
            ck_assert(sum[i][k] == s);
        }
    ck_assert(best == 7 && at == 2);
}
END_TEST

START_TEST(map_runs_control_flow)
{
    int32_t a[6] = {0, 1, 5, 10, -3, 7}, r[6];
    port ports[] = {{"a", "6", "i32", 6, a}, {"r", "6", "i32", 6, r}};
    run_body("  %r = map %a : tile<6xi32> {\n    (%x: i32)\n    %z = const 0 : i32\n    %one = const 1 : i32\n"
             "    %t = for %z, %x, %one, %z : i32 {\n      (%i: i32, %s: i32)\n      %n = add %s, %i : i32\n      "
             "yield %n\n    }\n    yield %t\n  }\n",
             ports, 1, 1);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(r[i], a[i] > 0 ? a[i] * (a[i] - 1) / 2 : 0);
}
END_TEST

START_TEST(sorts_are_stable)
{
    float key[2][9] = {{3, NAN, -1, 3, 0, -0.0f, INFINITY, 3, -INFINITY}, {1, 1, 1, 0, 2, NAN, NAN, 2, 0}};
    int32_t tag[2][9], up[2][9], down[2][4];
    float k_up[2][9], k_down[2][4];
    for (int i = 0; i < 18; i++)
        (&tag[0][0])[i] = i % 9;
    port ports[] = {{"k", "2x9", "f32", 18, key}, {"t", "2x9", "i32", 18, tag},    {"ku", "2x9", "f32", 18, k_up},
                    {"u", "2x9", "i32", 18, up},  {"kd", "2x4", "f32", 8, k_down}, {"d", "2x4", "i32", 8, down}};
    run_body("  %ku, %u = sort %k, %t {axis = 1} : tile<2x9xf32>, tile<2x9xi32>\n"
             "  %kd, %d = sort %k, %t {axis = 1, descending = 1, k = 4} : tile<2x4xf32>, tile<2x4xi32>\n",
             ports, 2, 4);
    static const int32_t wu[2][9] = {{8, 2, 4, 5, 0, 3, 7, 6, 1}, {3, 8, 0, 1, 2, 4, 7, 5, 6}},
                         wd[2][4] = {{1, 6, 0, 3}, {5, 6, 4, 7}};
    ck_assert(!memcmp(up, wu, sizeof wu) && !memcmp(down, wd, sizeof wd));
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 9; j++)
            ck_assert(same_bits(&k_up[i][j], &key[i][up[i][j]], 4));
}
END_TEST

START_TEST(sort_of_many_and_columns)
{
    uint64_t a[64][3], z[64][3];
    for (int i = 0; i < 192; i++)
        (&a[0][0])[i] = rng() >> (rng() % 64);
    port ports[] = {{"a", "64x3", "u64", 192, a}, {"z", "64x3", "u64", 192, z}};
    run_body("  %z = sort %a {axis = 0} : tile<64x3xu64>\n", ports, 1, 1);
    for (int c = 0; c < 3; c++) {
        uint64_t sum = 0, want = 0;
        for (int i = 0; i < 64; i++)
            sum += z[i][c], want += a[i][c];
        ck_assert(sum == want);
        for (int i = 1; i < 64; i++)
            ck_assert(z[i - 1][c] <= z[i][c]);
    }
}
END_TEST

START_TEST(dots)
{
    float a[2][3][5], b[2][5][4], c[2][3][4], r[2][3][4];
    int8_t x[3][7];
    uint8_t y[7][2];
    int32_t z[3][2], w[3][2];
    for (int i = 0; i < 30; i++)
        (&a[0][0][0])[i] = 1.0f / (float)(i + 1);
    for (int i = 0; i < 40; i++)
        (&b[0][0][0])[i] = (float)(i % 7) - 2.7f;
    for (int i = 0; i < 24; i++)
        (&c[0][0][0])[i] = (float)i;
    for (int i = 0; i < 21; i++)
        (&x[0][0])[i] = (int8_t)rng();
    for (int i = 0; i < 14; i++)
        (&y[0][0])[i] = (uint8_t)rng();
    for (int i = 0; i < 6; i++)
        (&z[0][0])[i] = INT32_MAX - i;
    port ports[] = {{"a", "2x3x5", "f32", 30, a}, {"b", "2x5x4", "f32", 40, b}, {"c", "2x3x4", "f32", 24, c},
                    {"x", "3x7", "i8", 21, x},    {"y", "7x2", "u8", 14, y},    {"z", "3x2", "i32", 6, z},
                    {"r", "2x3x4", "f32", 24, r}, {"w", "3x2", "i32", 6, w}};
    run_body("  %r = dot %a, %b, %c : tile<2x3x4xf32>\n  %w = dot %x, %y, %z : tile<3x2xi32>\n", ports, 6, 2);
    for (int g = 0; g < 2; g++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 4; j++) {
                float s = c[g][i][j];
                for (int k = 0; k < 5; k++) {
                    float p = a[g][i][k] * b[g][k][j];
                    s = s + p;
                }
                ck_assert(r[g][i][j] == s);
            }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++) {
            uint32_t s = (uint32_t)z[i][j];
            for (int k = 0; k < 7; k++)
                s += (uint32_t)(x[i][k] * y[k][j]);
            ck_assert((uint32_t)w[i][j] == s);
        }
}
END_TEST

START_TEST(histograms)
{
    int8_t v[9] = {0, 3, 3, -1, 4, 2, 3, 100, 0};
    uint8_t m[9] = {1, 1, 0, 1, 1, 1, 1, 1, 1};
    int32_t h[4], hm[4];
    port ports[] = {
        {"v", "9", "i8", 9, v}, {"m", "9", "bool", 9, m}, {"h", "4", "i32", 4, h}, {"hm", "4", "i32", 4, hm}};
    run_body("  %h = histogram %v : tile<4xi32>\n  %hm = histogram %v, %m : tile<4xi32>\n", ports, 2, 2);
    static const int32_t w[4] = {2, 0, 1, 3}, wm[4] = {2, 0, 1, 2};
    ck_assert(!memcmp(h, w, sizeof w) && !memcmp(hm, wm, sizeof wm));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("interp");
    TCase *t = tcase_create("interp");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, integers);
    tcase_add_test(t, integer_unary_and_compare);
    tcase_add_test(t, floats);
    tcase_add_test(t, nan_propagation_and_signs);
    tcase_add_test(t, fma_rounds_once);
    tcase_add_test(t, mathematics);
    tcase_add_test(t, casts_and_bits);
    tcase_add_test(t, shapes);
    tcase_add_test(t, join_split_broadcast_gather);
    tcase_add_test(t, reductions_and_scans);
    tcase_add_test(t, map_runs_control_flow);
    tcase_add_test(t, sorts_are_stable);
    tcase_add_test(t, sort_of_many_and_columns);
    tcase_add_test(t, dots);
    tcase_add_test(t, histograms);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
