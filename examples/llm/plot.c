/* plot.c: bars in SVG: time of a kernel in one step, its share, and the rate at which it reads weights or cache. */
#include "examples/llm/plot.h"
#include "base/base.h"

enum { LEFT = 130, WIDTH = 420, ROW = 26, TOP = 56 };

static void put_escaped(strbuf *b, const char *s)
{
    for (; *s; s++)
        sb_puts(b, *s == '<' ? "&lt;" : *s == '&' ? "&amp;" : (char[]){*s, 0});
}

static void put_bar(strbuf *b, const engine_time *t, uint32_t i, double all)
{
    double us = 1e6 * t->seconds, share = t->seconds / all;
    int y = TOP + (int)i * ROW;
    sb_putf(b, "<text x='%d' y='%d' text-anchor='end'>%s</text>", LEFT - 8, y + 15, t->name);
    sb_putf(b, "<rect x='%d' y='%d' width='%.1f' height='%d' fill='#4477aa'/>", LEFT, y, WIDTH * share, ROW - 6);
    sb_putf(b, "<text x='%.1f' y='%d'>%.0f us, %.0f launches, %.1f %%", LEFT + WIDTH * share + 6, y + 15, us,
            (double)t->launches, 100 * share);
    if (t->bytes > 0)
        sb_putf(b, ", %.1f GB/s", t->bytes / t->seconds / 1e9);
    sb_puts(b, "</text>\n");
}

static void draw(strbuf *b, const char *title, int64_t position, const engine_time *times, uint32_t n)
{
    double all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += times[i].seconds;
    int height = TOP + (int)n * ROW + 10;
    sb_putf(b,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' font-family='sans-serif' font-size='12'>\n"
            "<rect width='100%%' height='100%%' fill='white'/>\n<text x='12' y='22' font-size='15'>One token of ",
            LEFT + WIDTH + 270, height);
    put_escaped(b, title);
    sb_putf(b, " behind %lld others</text>\n<text x='12' y='42'>%.2f ms in kernels, one after the other</text>\n",
            (long long)position, 1e3 * all);
    for (uint32_t i = 0; i < n; i++)
        put_bar(b, &times[i], i, all);
    sb_puts(b, "</svg>\n");
}

bool plot_step(const char *path, const char *title, int64_t position, const engine_time *times, uint32_t n, str *why)
{
    arena a;
    strbuf b;
    arena_init(&a, 0);
    sb_init(&b, &a);
    draw(&b, title, position, times, n);
    bool ok = file_write(&a, path, sb_str(&b), why);
    if (!ok)
        *why = S("the file can't be written");
    arena_fini(&a);
    return ok;
}
