/* show.c: one element as text. */
#include "runtime/array.h"

#include <math.h>
#include <string.h>

void rt_element_show(dtype dt, const void *at, strbuf *out)
{
    uint64_t bits = 0;
    memcpy(&bits, at, (size_t)dt_bytes(dt));
    if (dt == DT_BOOL)
        sb_puts(out, bits ? "True" : "False");
    else if (dt_is_any_float(dt)) {
        double x = dt_float(dt, bits);
        if (isnan(x))
            sb_puts(out, "nan");
        else
            sb_putf(out, "%.*g", dt == DT_F64 ? 9 : 6, x);
    } else if (dt_is_signed(dt))
        sb_putf(out, "%lld", (long long)dt_int(dt, bits));
    else
        sb_putf(out, "%llu", (unsigned long long)bits);
}
