/* file.h: whole-file reading and atomic writing. Errors come back as text, nothing is printed. */
#ifndef TILE_BASE_FILE_H
#define TILE_BASE_FILE_H

#include "base/str.h"

/* file.c: the bytes land in `a`, followed by a NUL that is not counted; false + *err where it can't be read or is over
 * `limit` bytes (0 = none) */
bool file_read(arena *a, const char *path, size_t limit, str *out, str *err);
/* writes to a temporary name beside it and renames; path "-" is standard output */
bool file_write(arena *a, const char *path, str data, str *err);
bool file_exists(const char *path);
str path_dir(str path);                        /* "a/b/c.tile" -> "a/b", "c" -> "." */
str path_join(arena *a, str dir, str name);    /* name alone where it is absolute */
/* the path with "." and ".." and symbolic links resolved where the file exists, else the path itself */
str path_real(arena *a, str path);
double clock_now(void);                        /* seconds, monotonic */

#endif
