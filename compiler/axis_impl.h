/* axis_impl.h: what the files of the axis analysis share. Private to compiler/axis*.c. */
#ifndef TILE_COMPILER_AXIS_IMPL_H
#define TILE_COMPILER_AXIS_IMPL_H

#include "compiler/pass.h"

enum { AX_DIV_MAX = 1 << 20 };

__extension__ typedef __int128 ax_wide;

typedef struct ax {
    const ir_func *f;
    const pass_options *opt;
    axis_info *at; /* by value id */
} ax;

static inline int64_t ax_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t ax_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t ax_gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a < 0 ? -a : a;
}

/* the largest power of two that divides x; AX_DIV_MAX at most */
static inline int64_t ax_pow2(int64_t x)
{
    int64_t p = x & (int64_t)(0 - (uint64_t)x);
    return p <= 0 || p > AX_DIV_MAX ? AX_DIV_MAX : p;
}

/* axis_ops.c */
dtype ax_dt(const ax *x, ir_val v);
int ax_rank(const ax *x, ir_val v); /* 1 for scalars, which are lines of one element here */
int64_t ax_extent(const ax *x, ir_val v, int d);
axis_info ax_nothing(const ax *x, ir_val v);                    /* what the type says */
axis_info ax_uniform(const ax *x, ir_val v, int64_t div);       /* likewise, all elements equal */
axis_info ax_meet(axis_info a, axis_info b);                    /* what holds for both */
int64_t ax_elem_div(const ax *x, ir_val v, const axis_info *a); /* what every element is a multiple of */
/* the range lo..hi, or the whole type where that is beyond it; true when it fitted */
bool ax_set_range(const ax *x, ir_val v, axis_info *r, ax_wide lo, ax_wide hi);
/* result v of arithmetic, comparison, selection, conversion or pointer op o; of a shape op */
axis_info ax_arith(const ax *x, ir_op o, ir_val v);
/* axis_shape.c */
axis_info ax_shape(const ax *x, ir_op o, ir_val v);

#endif
