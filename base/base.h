/* base.h: all of the leaf library. It knows nothing of tiles. */
#ifndef TILE_BASE_H
#define TILE_BASE_H
#include "base/arena.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/map.h"
#include "base/num.h"
#include "base/pool.h"
#include "base/str.h"
#include "base/vec.h"
#define COUNTOF(x) (sizeof(x) / sizeof *(x))
#define MUST_USE __attribute__((warn_unused_result))
#endif
