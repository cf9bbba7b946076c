/* tilec_bar.c: how far compiling and tuning are, on stderr where that is a terminal, and nothing elsewhere.
 *
 * A bar is drawn over itself and gone when the work is done, so what the command prints is the same with and without.
 */
#include "tools/tilec.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 32, NAME = 24 };

void tilec_bar(void *ctx, const char *what, int32_t done, int32_t of)
{
    char bar[WIDTH + 1];
    (void)ctx;
    if (!isatty(2))
        return;
    int full = of > 0 ? (int)((int64_t)done * WIDTH / of) : 0;
    memset(bar, ' ', WIDTH);
    memset(bar, '#', (size_t)full);
    bar[WIDTH] = 0;
    fprintf(stderr, "\r%-*.*s [%s] %d/%d", NAME, NAME, what, bar, done, of);
    if (done == of)
        fprintf(stderr, "\r%*s\r", NAME + WIDTH + 20, "");
    fflush(stderr);
}
