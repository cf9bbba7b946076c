/* plot.h: a picture of where the time of one step goes. */
#ifndef TILE_LLM_PLOT_H
#define TILE_LLM_PLOT_H

#include "examples/llm/engine.h"

/* plot.c: an SVG with a bar a kernel; false + *why */
bool plot_step(const char *path, const char *title, int64_t position, const engine_time *times, uint32_t n,
               str *why);

#endif
