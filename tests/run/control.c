/* control.c: loops, branches, early exits, functions, tuples: on scalars that the data decides. */
#include "tests/run/shapes.h"

enum { N = 64 };

typedef struct row {
    const char *name;
    const char *head; /* functions before the kernel, or NULL */
    const char *body; /* sets r from v (an i64) and p (the program) */
    int64_t (*ref)(int64_t v, int64_t p);
} row;

static int64_t c_for(int64_t v, int64_t p)
{
    int64_t s = 0;
    for (int64_t i = 0; i < v; i += 3)
        s += i * p;
    return s;
}

static int64_t c_down(int64_t v, int64_t p)
{
    int64_t s = p;
    for (int64_t i = v; i > -5; i -= 2)
        s = (int64_t)((uint64_t)s * 3 + (uint64_t)i); /* wraps */
    return s;
}

static int64_t c_while(int64_t v, int64_t p)
{
    int64_t n = v < 0 ? -v + 1 : v + 1, steps = p;
    while (n != 1) {
        n = n % 2 == 0 ? n / 2 : 3 * n + 1;
        steps++;
    }
    return steps;
}

static int64_t c_break(int64_t v, int64_t p)
{
    int64_t s = 0;
    for (int64_t i = 0; i < 100; i++) {
        if (i == p)
            continue;
        if (i * i > v)
            break;
        for (int64_t j = 0; j < 10; j++) {
            if (j > i)
                break;
            s += j;
        }
        s += i;
    }
    return s;
}

static int64_t c_return(int64_t v, int64_t p)
{
    for (int64_t i = 0; i < 50; i++)
        if (i * 7 > v)
            return i;
    return -p;
}

static int64_t c_if(int64_t v, int64_t p)
{
    if (v > 10 && p % 2 == 0)
        return v * 2;
    if (v > 10 || p == 3)
        return v + 1000;
    return !(v > 0) ? -1 : 0;
}

static int64_t c_swap(int64_t v, int64_t p)
{
    int64_t a = v, b = p, c = 1;
    for (int i = 0; i < 10; i++) {
        int64_t t = a;
        a = b, b = c, c = t + b;
    }
    return a + 2 * b + 3 * c;
}

static int64_t c_tuple(int64_t v, int64_t p) { return (v + p) * 10 + (v - p); }
static int64_t c_static(int64_t v, int64_t p) { return v * (1 + 2 + 3 + 4) + p; }
static int64_t c_select(int64_t v, int64_t p) { return v > p ? v : p; }
static int64_t c_empty(int64_t v, int64_t p)
{
    (void)v;
    return p;
}

static const row rows[] = {
    {"for", NULL, "    r = 0 * v\n    for i in range(0, v, 3):\n        r += i * p\n", c_for},
    {"for downwards", NULL, "    r = p\n    for i in range(v, -5, -2):\n        r = r * 3 + i\n", c_down},
    {"while", NULL,
     "    n = max(v, -v) + 1\n    r = p\n    while n != 1:\n        if n % 2 == 0:\n            n = n // 2\n        "
     "else:\n            n = 3 * n + 1\n        r += 1\n",
     c_while},
    {"break and continue", NULL,
     "    r = 0 * v\n    for i in range(0, 100):\n        if i == p:\n            continue\n        if i * i > v:\n    "
     "        break\n        for j in range(0, 10):\n            if j > i:\n                break\n            r += "
     "j\n        r += i\n",
     c_break},
    {"early return",
     "fn find(v, p):\n    for i in range(0, 50):\n        if i * 7 > v:\n            return i\n    return -p\n\n",
     "    r = find(v, p)\n", c_return},
    {"if",
     "fn pick(v, p):\n    if v > 10 and p % 2 == 0:\n        return v * 2\n    elif v > 10 or p == 3:\n        return "
     "v + 1000\n    return 0 * v if not v <= 0 else 0 * v - 1\n\n",
     "    r = pick(v, p)\n", c_if},
    {"carried values swap", NULL,
     "    a, b, c = v, p, full([], 1, i64)\n    for i in range(0, 10):\n        a, b, c = b, c, a + c\n    r = a + 2 * "
     "b + 3 * c\n",
     c_swap},
    {"tuples", "fn both(a, b):\n    return a + b, a - b\n\n", "    s, d = both(v, p)\n    r = s * 10 + d\n", c_tuple},
    {"static_range", NULL, "    r = p\n    for i in static_range(1, 5):\n        r += v * i\n", c_static},
    {"scalar max", NULL, "    r = max(v, p)\n", c_select},
    {"a loop that never runs", NULL, "    r = p\n    for i in range(10, 3):\n        r = v\n", c_empty},
    {"unrolled", NULL, "    r = 0 * v\n    for i in range(0, v, 3, unroll=4):\n        r += i * p\n", c_for},
    {"function argument",
     "fn apply(f: const fn, a, b):\n    return f(a, b)\n\nfn more(a, b):\n    return max(a, b)\n\n",
     "    r = apply(more, v, p)\n", c_select},
};

static void one(const row *r)
{
    rcase c;
    case_begin(&c, "control %s", r->name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", DT_I64, N, PAT_REAL), *out = case_out(&c, "out", DT_I64, N, 0);
    case_line(&c, "%skernel k(xp: *i64, out: *i64) grid(%d):\n    p = program_id(0)\n    v = load(xp + p)",
              r->head ? r->head : "", N);
    sb_puts(&c.src, r->body);
    case_line(&c, "    store(out + p, r)");
    for (int i = 0; i < N; i++)
        out->want[i] = run_int(r->ref((int64_t)case_get(x, i).i, i));
    case_end(&c);
}

/* tiles carried through loops, and a load whose address the loop computes */
static void tiles_in_loops(dtype dt)
{
    enum { ROWS = 13, W = 33 };
    rcase c;
    case_begin(&c, "rows added in a loop %s", dtypes[dt].name);
    if (case_skip(&c))
        return;
    rarg *x = case_in(&c, "xp", dt, ROWS * W, PAT_EDGE), *out = case_out(&c, "out", dt, W, 0);
    case_int(&c, "rows", ROWS);
    shape_plain_head(&c);
    case_line(&c, "    offs = arange(0, %d)\n    acc = load(xp + offs)", W);
    case_line(&c, "    for i in range(1, rows):\n        acc = load(xp + i * %d + offs) - acc", W);
    case_line(&c, "    store(out + offs, acc)");
    for (int j = 0; j < W; j++) {
        num a = case_get(x, j);
        for (int i = 1; i < ROWS; i++) {
            num v = case_get(x, i * W + j);
            num d = {.i = v.i - a.i, .f = v.f - a.f};
            a = run_num(dt, run_round(dt, d)); /* rounded at every step */
        }
        out->want[j] = a;
    }
    case_end(&c);
}

void run_control(void)
{
    for (size_t k = 0; k < COUNTOF(rows); k++)
        one(&rows[k]);
    FOR_DTYPES(dt)
        if (class_of(dt) & CL_NUM)
            tiles_in_loops(dt);
}
