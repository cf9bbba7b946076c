/* types.h: element types, from types.def. */
#ifndef TILE_COMPILER_TYPES_H
#define TILE_COMPILER_TYPES_H

#include "base/base.h"

typedef enum dtype_kind { DK_BOOL, DK_INT, DK_UINT, DK_FLOAT, DK_F8 } dtype_kind;

typedef enum dtype {
    DT_NONE,
#define DTYPE(name, text, bits, kind, fmt, doc) DT_##name,
#include "compiler/types.def"
#undef DTYPE
    DT_COUNT
} dtype;

typedef struct dtype_info {
    const char *name;
    int bits;
    dtype_kind kind;
    num_fmt fmt;
    const char *doc;
} dtype_info;

/* types.c */
extern const dtype_info dtypes[DT_COUNT];
dtype dtype_by_name(str name); /* DT_NONE where there is none */

static inline int dt_bits(dtype d) { return dtypes[d].bits; }
static inline int dt_bytes(dtype d) { return dtypes[d].bits / 8; }
static inline bool dt_is_int(dtype d) { return dtypes[d].kind == DK_INT || dtypes[d].kind == DK_UINT; }
static inline bool dt_is_signed(dtype d) { return dtypes[d].kind == DK_INT; }
static inline bool dt_is_float(dtype d) { return dtypes[d].kind == DK_FLOAT; } /* not the 8-bit ones */
static inline bool dt_is_f8(dtype d) { return dtypes[d].kind == DK_F8; }
static inline bool dt_is_any_float(dtype d) { return dtypes[d].kind >= DK_FLOAT; }

/* A number of type d as its bit pattern, zero-extended to 64 bits.
 * Integers are held wrapped to the type; dt_int gives the value back, sign-extended where signed. */
uint64_t dt_wrap(dtype d, uint64_t bits);
int64_t dt_int(dtype d, uint64_t bits);
double dt_float(dtype d, uint64_t bits);           /* float types (and f8) */
uint64_t dt_from_double(dtype d, double x, bool rtz); /* float types; ints saturate, NaN to 0 */
/* one cast as op `cast` defines it; the single definition that folder, interpreter and tests share */
uint64_t dt_cast(dtype from, dtype to, uint64_t bits, bool rtz);

#endif
