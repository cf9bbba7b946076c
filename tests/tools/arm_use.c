/* arm_use.c: a program of tests/tools/arm.sh and amx.sh: kernels of the library, built ahead of time, on numbers that
 * are the same everywhere; a line for each: its name, the bits of its results hashed, and whether they are right
 * (against sums in double; integers exactly). With a name as argument, that kernel alone.
 */
#include "attention.h"
#include "elementwise.h"
#include "matmul.h"
#include "matmul_narrow.h"
#include "matvec_quant.h"
#include "rmsnorm.h"
#include "softmax.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { M = 37, N = 75, K = 130, LONG = 1024, ROWS = 5, HEADS = 2, SEQ = 70, D = 64 };

static tile_error err;
static uint32_t seed;

/* -1 .. 1, in steps that f16 and bf16 hold */
static float number(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)((int)(seed >> 24) - 128) / 128;
}

static uint16_t half(float x, int bf16)
{
    uint32_t b;
    memcpy(&b, &x, 4);
    if (bf16)
        return (uint16_t)((b + 0x7fff + (b >> 16 & 1)) >> 16);
    uint32_t sign = b >> 16 & 0x8000, mag = b & 0x7fffffff;
    if (mag < 113u << 23) /* denormal */
        return (uint16_t)(sign | (uint32_t)lrintf(fabsf(x) * 0x1p24f));
    mag += 0xfff + (mag >> 13 & 1);
    return (uint16_t)(sign | ((mag >> 13) - (112u << 10)));
}

static float whole(uint16_t h, int bf16)
{
    uint32_t b = (uint32_t)h << 16;
    float x;
    if (!bf16) {
        b = (uint32_t)(h & 0x7fff) << 13;
        memcpy(&x, &b, 4);
        x *= 0x1p112f;
        return h & 0x8000 ? -x : x;
    }
    memcpy(&x, &b, 4);
    return x;
}

static tile_tensor matrix(void *p, tile_dtype t, int64_t m, int64_t n)
{
    int64_t sizes[] = {m, n};
    return tile_tensor_of(p, t, 2, sizes);
}

static void fill(void *p, size_t bytes, float by)
{
    float *x = p;
    for (size_t i = 0; i < bytes / sizeof *x; i++)
        x[i] = number() * by;
}

static void fill_bytes(void *p, size_t n)
{
    uint8_t *x = p;
    for (size_t i = 0; i < n; i++)
        x[i] = (uint8_t)(int)(number() * 128);
}

static void halved(uint16_t *to, const void *p, size_t bytes, int bf16)
{
    const float *x = p;
    for (size_t i = 0; i < bytes / sizeof *x; i++)
        to[i] = half(x[i], bf16);
}

static uint64_t hash(const void *p, size_t n)
{
    const unsigned char *at = p;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ at[i]) * 0x100000001b3u;
    return h;
}

static void tell(const char *name, int code, const void *p, size_t bytes, double worst, double most)
{
    printf("%-14s %016llx %s", name, (unsigned long long)hash(p, bytes),
           code == TILE_OK && worst <= most ? "right" : "WRONG");
    if (code != TILE_OK)
        printf(" %s", err.text);
    else if (!(worst <= most))
        printf(" off by %g", worst);
    printf("\n");
}

static double off(double worst, double got, double want)
{
    double d = fabs(got - want);
    return d > worst || isnan(d) ? (isnan(d) ? INFINITY : d) : worst;
}

static void elementwise(int halves)
{
    static float x[LONG], y[LONG], z[LONG];
    static uint16_t hx[LONG], hy[LONG], hz[LONG];
    double sum = 0, bell = 0;
    int code;
    for (int i = 0; i < LONG; i++) {
        x[i] = number() * 6;
        y[i] = number();
        hx[i] = half(x[i], halves == 2);
        hy[i] = half(y[i], halves == 2);
    }
    if (halves) {
        code = halves == 1 ? add__f16__67da838d(NULL, NULL, hx, hy, hz, LONG - 3, &err)
                           : add__bf16__67da838d(NULL, NULL, hx, hy, hz, LONG - 3, &err);
        for (int i = 0; i < LONG - 3; i++)
            sum = off(sum, hz[i], half(whole(hx[i], halves == 2) + whole(hy[i], halves == 2), halves == 2));
        tell(halves == 1 ? "add f16" : "add bf16", code, hz, sizeof hz, sum, 0);
        return;
    }
    code = add__f32__67da838d(NULL, NULL, x, y, z, LONG - 3, &err);
    for (int i = 0; i < LONG - 3; i++)
        sum = off(sum, z[i], x[i] + y[i]);
    tell("add f32", code, z, sizeof z, sum, 0);
    code = gelu__f32__67da838d(NULL, NULL, x, z, LONG - 3, &err);
    for (int i = 0; i < LONG - 3; i++)
        bell = off(bell, z[i], 0.5 * x[i] * (1 + erf(x[i] / sqrt(2))));
    tell("gelu", code, z, sizeof z, bell, 2e-6);
}

static void rows(void)
{
    static float x[ROWS][LONG], y[ROWS][LONG], w[LONG];
    int64_t n = LONG;
    tile_tensor tx = matrix(x, TILE_F32, ROWS, LONG), ty = matrix(y, TILE_F32, ROWS, LONG),
                tw = tile_tensor_of(w, TILE_F32, 1, &n);
    double soft = 0, norm = 0;
    fill(x, sizeof x, 8);
    fill(w, sizeof w, 1);
    int code = softmax(NULL, NULL, &tx, &ty, &err);
    for (int r = 0; r < ROWS; r++) {
        double sum = 0;
        for (int i = 0; i < LONG; i++)
            sum += exp(x[r][i]);
        for (int i = 0; i < LONG; i++)
            soft = off(soft, y[r][i] / (exp(x[r][i]) / sum), 1);
    }
    tell("softmax", code, y, sizeof y, soft, 2e-6);
    code = rmsnorm(NULL, NULL, &tx, &tw, &ty, 1e-5, &err);
    for (int r = 0; r < ROWS; r++) {
        double sum = 0;
        for (int i = 0; i < LONG; i++)
            sum += (double)x[r][i] * x[r][i];
        for (int i = 0; i < LONG; i++)
            norm = off(norm, y[r][i], x[r][i] / sqrt(sum / LONG + 1e-5) * w[i]);
    }
    tell("rmsnorm", code, y, sizeof y, norm, 1e-6);
}

static void product(const char *name, tile_dtype t)
{
    static float a[M][K], b[K][N], c[M][N];
    static uint16_t ha[M * K], hb[K * N], hc[M * N];
    int f32 = t == TILE_F32, bf16 = t == TILE_BF16;
    double worst = 0;
    fill(a, sizeof a, 1);
    fill(b, sizeof b, 1);
    halved(ha, a, sizeof a, bf16);
    halved(hb, b, sizeof b, bf16);
    tile_tensor ta = matrix(f32 ? (void *)a : ha, t, M, K), tb = matrix(f32 ? (void *)b : hb, t, K, N),
                tc = matrix(f32 ? (void *)c : hc, t, M, N);
    int code = matmul(NULL, NULL, &ta, &tb, &tc, &err);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < K; k++)
                sum += (double)a[i][k] * b[k][j];
            worst = off(worst, f32 ? c[i][j] : whole(hc[i * N + j], bf16), sum);
        }
    tell(name, code, f32 ? (void *)c : hc, f32 ? sizeof c : sizeof hc, worst, f32 ? 1e-5 : bf16 ? 0.1 : 0.02);
}

static void bytes(const char *name, tile_dtype ta, tile_dtype tb)
{
    static uint8_t a[M][K], b[N][K];
    static int32_t c[M][N];
    double worst = 0;
    fill_bytes(a, sizeof a);
    fill_bytes(b, sizeof b);
    a[1][1] = 128, b[2][1] = 128, a[1][2] = 255, b[2][2] = 255;
    tile_tensor xa = matrix(a, ta, M, K), xb = matrix(b, tb, N, K), xc = matrix(c, TILE_I32, M, N);
    int code = matmul_i8(NULL, NULL, &xa, &xb, &xc, &err);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            int64_t sum = 0;
            for (int k = 0; k < K; k++)
                sum +=
                    (ta == TILE_I8 ? (int8_t)a[i][k] : (int)a[i][k]) * (tb == TILE_I8 ? (int8_t)b[j][k] : (int)b[j][k]);
            worst = off(worst, c[i][j], (double)sum);
        }
    tell(name, code, c, sizeof c, worst, 0);
}

/* blocks of 32 weights: an f16 and 32 bytes (Q8_0), or 16 of two each (Q4_0) */
static void quantised(const char *name, int bits)
{
    enum { B = 9, V = 3 };
    static uint8_t w[N][B][34];
    static int8_t x[V][B * 32];
    static float xs[V][B], xb[V][B], y[V][N];
    int size = bits == 8 ? 34 : 18;
    uint8_t *at = w[0][0];
    double worst = 0;
    for (int i = 0; i < N * B; i++, at += size) {
        uint16_t d = half(1 + number() / 2, 0);
        memcpy(at, &d, 2);
        for (int k = 2; k < size; k++)
            at[k] = (uint8_t)(int)(number() * 128);
    }
    for (int v = 0; v < V; v++)
        for (int i = 0; i < B; i++) {
            int sum = 0;
            for (int k = 0; k < 32; k++)
                sum += x[v][i * 32 + k] = (int8_t)(number() * 127);
            xs[v][i] = 0.01f * (1 + number() / 2);
            xb[v][i] = xs[v][i] * (float)sum;
        }
    int64_t sizes[] = {N, B, size};
    tile_tensor tw = tile_tensor_of(w, TILE_U8, 3, sizes), tx = matrix(x, TILE_I8, V, B * 32),
                ts = matrix(xs, TILE_F32, V, B), tb = matrix(xb, TILE_F32, V, B), ty = matrix(y, TILE_F32, V, N);
    int code = bits == 8 ? matvec_q8_0(NULL, NULL, &tw, &tx, &ts, &tb, &ty, &err)
                         : matvec_q4_0(NULL, NULL, &tw, &tx, &ts, &tb, &ty, &err);
    at = w[0][0];
    for (int n = 0; n < N; n++)
        for (int v = 0; v < V; v++) {
            double sum = 0;
            for (int i = 0; i < B; i++) {
                const uint8_t *q = at + (n * B + i) * size;
                uint16_t d;
                int dot = 0;
                memcpy(&d, q, 2);
                for (int k = 0; k < 32; k++)
                    dot += (bits == 8 ? (int8_t)q[2 + k] : (k < 16 ? q[2 + k] & 15 : q[2 + k - 16] >> 4) - 8) *
                           x[v][i * 32 + k];
                sum += (double)whole(d, 0) * xs[v][i] * dot;
            }
            worst = off(worst, y[v][n], sum);
        }
    tell(name, code, y, sizeof y, worst, 2e-2);
}

static void attend(void)
{
    static float q[HEADS][SEQ][D], k[HEADS][SEQ][D], v[HEADS][SEQ][D], o[HEADS][SEQ][D];
    int64_t sizes[] = {1, HEADS, SEQ, D};
    double worst = 0;
    fill(q, sizeof q, 1);
    fill(k, sizeof k, 1);
    fill(v, sizeof v, 1);
    tile_tensor tq = tile_tensor_of(q, TILE_F32, 4, sizes), tk = tile_tensor_of(k, TILE_F32, 4, sizes),
                tv = tile_tensor_of(v, TILE_F32, 4, sizes), to = tile_tensor_of(o, TILE_F32, 4, sizes);
    int code = attention(NULL, NULL, &tq, &tk, &tv, NULL, &to, 0.125, &err);
    for (int h = 0; h < HEADS; h++)
        for (int i = 0; i < SEQ; i++) {
            double p[SEQ], sum = 0;
            for (int j = 0; j <= i; j++) {
                double s = 0;
                for (int d = 0; d < D; d++)
                    s += (double)q[h][i][d] * k[h][j][d];
                sum += p[j] = exp(s * 0.125);
            }
            for (int d = 0; d < D; d++) {
                double x = 0;
                for (int j = 0; j <= i; j++)
                    x += p[j] / sum * v[h][j][d];
                worst = off(worst, o[h][i][d], x);
            }
        }
    tell("attention", code, o, sizeof o, worst, 2e-6);
}

int main(void)
{
    elementwise(0);
    elementwise(1);
    elementwise(2);
    rows();
    product("matmul f32", TILE_F32);
    product("matmul f16", TILE_F16);
    product("matmul bf16", TILE_BF16);
    bytes("matmul i8 i8", TILE_I8, TILE_I8);
    bytes("matmul u8 i8", TILE_U8, TILE_I8);
    bytes("matmul i8 u8", TILE_I8, TILE_U8);
    bytes("matmul u8 u8", TILE_U8, TILE_U8);
    quantised("matvec_q8_0", 8);
    quantised("matvec_q4_0", 4);
    attend();
}
