/* elementwise.c: the functions of two values of elementwise.tile. NaN loses in a maximum and a minimum. */
#include "kernels/ref/ref.h"

#include <math.h>
#include <string.h>

bool ref_binary(const char *name, double x, double y, double *out)
{
    if (!strcmp(name, "op_add"))
        *out = x + y;
    else if (!strcmp(name, "op_sub"))
        *out = x - y;
    else if (!strcmp(name, "op_mul"))
        *out = x * y;
    else if (!strcmp(name, "op_div"))
        *out = x / y;
    else if (!strcmp(name, "op_max"))
        *out = fmax(x, y);
    else if (!strcmp(name, "op_min"))
        *out = fmin(x, y);
    else
        return false;
    return true;
}
