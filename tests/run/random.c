/* random.c: counter-based random numbers against Philox-4x32-10 written from its paper, and its published test vectors.
 */
#include "tests/run/shapes.h"

static void philox(uint64_t seed, uint32_t *x, int rounds)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int i = 0; i < rounds; i++) {
        uint64_t a = (uint64_t)x[0] * 0xD2511F53u, b = (uint64_t)x[2] * 0xCD9E8D57u;
        uint32_t y[4] = {(uint32_t)(b >> 32) ^ x[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ x[3] ^ k1, (uint32_t)a};
        memcpy(x, y, sizeof y);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

static void draw(uint64_t seed, uint64_t i, uint32_t *x)
{
    x[0] = (uint32_t)i, x[1] = (uint32_t)(i >> 32), x[2] = x[3] = 0;
    philox(seed, x, 10);
}

/* a u32 as a float in [0, 1) */
static double uniform(uint32_t u)
{
    int32_t s = (int32_t)u;
    s = s < 0 ? -s - 1 : s;
    return (double)((float)s * 4.6566127342e-10f);
}

enum { N = 300 };

static void integers(uint64_t seed, int64_t first)
{
    rcase c;
    case_begin(&c, "randint4x seed %llx from %lld", (unsigned long long)seed, (long long)first);
    if (case_skip(&c))
        return;
    static const char *const names[4] = {"a", "b", "d", "e"};
    rarg *out[4], *one;
    for (int i = 0; i < 4; i++)
        out[i] = case_out(&c, names[i], DT_U32, N, 0);
    one = case_out(&c, "one", DT_U32, N, 0);
    case_int(&c, "seed", (int64_t)seed);
    case_int(&c, "first", first);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)\n    i = first + offs\n    p, q, r, s = randint4x(seed, i)", N);
    case_line(&c, "    store(a + offs, p)\n    store(b + offs, q)\n    store(d + offs, r)\n    store(e + offs, s)\n    "
                  "store(one + offs, randint(seed, i))");
    for (int i = 0; i < N; i++) {
        uint32_t x[4];
        draw(seed, (uint64_t)first + (uint64_t)i, x);
        for (int k = 0; k < 4; k++)
            out[k]->want[i] = run_int(x[k]);
        one->want[i] = run_int(x[0]);
    }
    case_end(&c);
}

static void floats(uint64_t seed)
{
    rcase c;
    case_begin(&c, "rand, rand4x, randn, randn4x seed %llx", (unsigned long long)seed);
    if (case_skip(&c))
        return;
    rarg *u = case_out(&c, "u", DT_F32, N, 0), *u3 = case_out(&c, "u3", DT_F32, N, 0),
         *g = case_out(&c, "g", DT_F32, N, 8), *g3 = case_out(&c, "g3", DT_F32, N, 8);
    c.loose = true;
    case_int(&c, "seed", (int64_t)seed);
    shape_plain_head(&c);
    case_line(&c,
              "    i = arange(0, %d)\n    store(u + i, rand(seed, i))\n    a, b, d, e = rand4x(seed, i)\n    store(u3 "
              "+ i, e)",
              N);
    case_line(&c, "    store(g + i, randn(seed, i))\n    p, q, r, s = randn4x(seed, i)\n    store(g3 + i, s)");
    for (int i = 0; i < N; i++) {
        uint32_t x[4];
        draw(seed, (uint64_t)i, x);
        u->want[i] = run_real(uniform(x[0])), u3->want[i] = run_real(uniform(x[3]));
        g->want[i] = run_real(sqrt(-2 * log(fmax(1e-7, uniform(x[0])))) * cos(6.283185307179586 * uniform(x[1])));
        g3->want[i] = run_real(sqrt(-2 * log(fmax(1e-7, uniform(x[2])))) * sin(6.283185307179586 * uniform(x[3])));
    }
    g->slack = g3->slack = 4e-6; /* near the zeros of sine and cosine */
    case_end(&c);
}

/* the vectors that the paper's authors publish: all zeros, all ones, digits of pi */
static void vectors(void)
{
    static const struct {
        uint64_t key;
        uint32_t in[4], out[4];
    } v[] = {
        {0, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {~0ull, {~0u, ~0u, ~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822ull,
         {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t k = 0; k < COUNTOF(v); k++) {
        rcase c;
        case_begin(&c, "philox vector %zu", k);
        if (case_skip(&c))
            continue;
        rarg *in = case_in(&c, "in_p", DT_U32, 4, PAT_EDGE), *out = case_out(&c, "out", DT_U32, 4, 0);
        case_int(&c, "seed", (int64_t)v[k].key);
        memcpy(in->data, v[k].in, 16);
        shape_plain_head(&c);
        case_line(&c, "    a, b, d, e = philox(seed, load(in_p), load(in_p + 1), load(in_p + 2), load(in_p + 3))");
        case_line(&c, "    store(out, a)\n    store(out + 1, b)\n    store(out + 2, d)\n    store(out + 3, e)");
        for (int i = 0; i < 4; i++)
            out->want[i] = run_int(v[k].out[i]);
        case_end(&c);
    }
}

void run_random(void)
{
    vectors();
    integers(42, 0);
    integers(0x123456789abcdefull, 1000);
    integers(7, ((int64_t)1 << 32) - 100); /* across the low word */
    floats(42);
    floats(0xfedcba9876543210ull);
}
