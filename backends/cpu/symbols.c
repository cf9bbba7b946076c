/* symbols.c: all that generated CPU code may call, by name: functions of rt_ops.c and rt_panel.c, and a few of the C
 * library. Nothing else of the process is visible to it.
 */
#include "backends/cpu/image.h"
#include "backends/cpu/rt_ops.h"
#include "backends/cpu/rt_panel.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    cpu_any_fn *address;
} symbols[] = {
    {"tile_rt_sort", (cpu_any_fn *)tile_rt_sort},
    {"tile_rt_histogram", (cpu_any_fn *)tile_rt_histogram},
    {"tile_rt_all", (cpu_any_fn *)tile_rt_all},
    {"tile_rt_bound", (cpu_any_fn *)tile_rt_bound},
    {"tile_rt_panels", (cpu_any_fn *)tile_rt_panels},
    {"tile_rt_panel_take", (cpu_any_fn *)tile_rt_panel_take},
    {"tile_rt_panel_next", (cpu_any_fn *)tile_rt_panel_next},
    {"exp", (cpu_any_fn *)(double (*)(double))exp},
    {"exp2", (cpu_any_fn *)(double (*)(double))exp2},
    {"log", (cpu_any_fn *)(double (*)(double))log},
    {"log2", (cpu_any_fn *)(double (*)(double))log2},
    {"tanh", (cpu_any_fn *)(double (*)(double))tanh},
    {"erf", (cpu_any_fn *)(double (*)(double))erf},
    {"sin", (cpu_any_fn *)(double (*)(double))sin},
    {"cos", (cpu_any_fn *)(double (*)(double))cos},
    {"fma", (cpu_any_fn *)(double (*)(double, double, double))fma},
    {"fmaf", (cpu_any_fn *)(float (*)(float, float, float))fmaf},
    {"floor", (cpu_any_fn *)(double (*)(double))floor},
    {"floorf", (cpu_any_fn *)(float (*)(float))floorf},
    {"ceil", (cpu_any_fn *)(double (*)(double))ceil},
    {"ceilf", (cpu_any_fn *)(float (*)(float))ceilf},
    {"roundeven", (cpu_any_fn *)(double (*)(double))roundeven},
    {"roundevenf", (cpu_any_fn *)(float (*)(float))roundevenf},
    {"memcpy", (cpu_any_fn *)memcpy},
    {"memset", (cpu_any_fn *)memset},
    {"memmove", (cpu_any_fn *)memmove},
};

cpu_any_fn *cpu_symbol(str name)
{
    for (size_t i = 0; i < COUNTOF(symbols); i++)
        if (str_eq(name, str_of(symbols[i].name)))
            return symbols[i].address;
    return NULL;
}
