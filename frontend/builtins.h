/* builtins.h: the table of builtin functions and methods (builtins.def), and finding them by name. */
#ifndef TILE_FRONTEND_BUILTINS_H
#define TILE_FRONTEND_BUILTINS_H

#include "base/base.h"

enum builtin_flag {
    BI_METHOD = 1,  /* also x.name(..), with x as the first argument */
    BI_TENSOR = 2,  /* only as a method of a tensor, which is the first argument */
    BI_PURE = 4,    /* no memory and no program: legal in grids and combine functions */
    BI_STD = 8      /* a fn of that name in kernels/std */
};

typedef struct builtin_info {
    const char *name;
    const char *sig; /* "x, axis=None, a|b=1, *rest": names, synonyms, defaults, a trailing variadic */
    int flags;
    const char *doc;
} builtin_info;

/* builtins.c: row numbers, -1 where there is none */
int builtin_find(str name);
int builtin_find_method(str name, bool tensor);
const builtin_info *builtin_at(int row);
int builtin_count(void);

#endif
