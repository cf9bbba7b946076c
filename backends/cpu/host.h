/* host.h: what the system lets code on this machine use. Nothing here needs LLVM. */
#ifndef TILE_BACKENDS_CPU_HOST_H
#define TILE_BACKENDS_CPU_HOST_H

#include <stdbool.h>

/* host.c: has this process leave to use the tile registers of AMX? Asks the system for it. */
bool cpu_may_use_tiles(void);

#endif
