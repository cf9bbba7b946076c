/* add.c: the smallest whole program: compiles add.tile, runs it on this machine's cores, checks the sums.
 *
 *   add [DEVICE] [add.tile]
 */
#include <stdio.h>
#include <tile.h>

#define N 1000003

static float x[N], y[N], out[N];

int main(int argc, char **argv)
{
    const char *device = argc > 1 ? argv[1] : "cpu", *path = argc > 2 ? argv[2] : "examples/add/add.tile";
    tile_error err;
    tile_device *dev = tile_device_open(device, &err);
    tile_module *mod = dev ? tile_module_from_file(dev, path, NULL, &err) : NULL;
    tile_kernel *add = mod ? tile_kernel_find(mod, "add", &err) : NULL;
    tile_arg args[] = {tile_arg_ptr(x, TILE_F32), tile_arg_ptr(y, TILE_F32), tile_arg_ptr(out, TILE_F32),
                       tile_arg_int(N)};
    int wrong = 0;
    for (int i = 0; i < N; i++) {
        x[i] = (float)i;
        y[i] = 0.5f * (float)i;
    }
    if (!add || tile_launch(add, NULL, NULL, args, 4, &err) != TILE_OK) {
        fprintf(stderr, "add: %s\n", err.text);
        return 1;
    }
    for (int i = 0; i < N; i++)
        wrong += out[i] != x[i] + y[i];
    printf("add: %d elements on %s: %d wrong; out[%d] = %g + %g = %g\n", N, device, wrong, N - 1, (double)x[N - 1],
           (double)y[N - 1], (double)out[N - 1]);
    tile_module_close(mod);
    tile_device_close(dev);
    return wrong != 0;
}
