/* rows.c: a kernel that was compiled before: nothing of the compiler is in this program.
 *
 * rows.o and rows.h are made by `tilec build` (see the Makefile beside this file). The call picks the code for this
 * processor and checks its arguments; a mistake comes back as text.
 */
#include "rows.h"

#include <stdio.h>

#define M 1000
#define N 777

static float x[M][N], y[M][N];

int main(void)
{
    tile_error err;
    tile_tensor in = tile_tensor_of(x, TILE_F32, 2, (int64_t[]){M, N});
    tile_tensor out = tile_tensor_of(y, TILE_F32, 2, (int64_t[]){M, N});
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            x[i][j] = (float)(1 + (i + j) % 7);
    if (rows(NULL, NULL, &in, &out, &err) != TILE_OK) {
        fprintf(stderr, "rows: %s\n", err.text);
        return 1;
    }
    int wrong = 0;
    for (int i = 0; i < M; i++) {
        double sum = 0;
        for (int j = 0; j < N; j++)
            sum += (double)y[i][j];
        wrong += sum < 0.99999 || sum > 1.00001;
    }
    printf("rows: %d rows, %d wrong\n", M, wrong);
    out.sizes[0] = M - 1;
    printf("another size: %s\n", rows(NULL, NULL, &in, &out, &err) == TILE_OK ? "taken" : err.text);
    return wrong != 0;
}
