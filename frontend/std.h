/* std.h: the texts of kernels/std, embedded when the project is built. */
#ifndef TILE_FRONTEND_STD_H
#define TILE_FRONTEND_STD_H

#include <stddef.h>

typedef struct tile_std_file {
    const char *path; /* "kernels/std/random.tile" */
    const char *text;
    size_t len;
} tile_std_file;

extern const tile_std_file tile_std_files[];
extern const size_t tile_std_count;

#endif
