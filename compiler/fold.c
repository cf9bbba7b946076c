/* fold.c: what the builder does before it appends. */
#include "compiler/fold.h"

bool ir_fold(ir_builder *b, const ir_desc *d, ir_val *out)
{
    (void)b;
    (void)d;
    (void)out;
    return false;
}
