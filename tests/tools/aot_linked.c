/* aot_linked.c: a program of tests/tools/aot.sh: kernels of objects by name and consts, launched as those of modules,
 * and objects of another version. */
#include "lone.h"
#include "runtime/aot.h"
#include "shift.h"
#include <stdio.h>
static tile_error e;
static void say(const char *what, int code)
{
    printf("%s: %d %s\n", what, code, code ? e.text : "");
}
int main(void)
{
    static float x[64 * 32], y[64], z[64 * 32];
    static const int64_t sizes[] = {16, 48}, few[] = {16, 47};
    const char *own[] = {"BLOCK=32"}, *other[] = {"BLOCK=128"}, *bad[] = {"BLOCK"}, *none[] = {"BLOK=32"};
    tile_device *d = tile_device_open("cpu", &e);
    tile_tensor t = tile_tensor_of(x, TILE_F32, 2, sizes), u = tile_tensor_of(x, TILE_F32, 2, few),
                v = tile_tensor_of(z, TILE_F32, 2, few);
    tile_arg args[] = {tile_arg_ptr(x, TILE_F32), tile_arg_ptr(y, TILE_F32), tile_arg_int(64)};
    tile_arg same[] = {args[0], args[0], args[2]};
    tile_arg both[] = {tile_arg_tensor(&t), tile_arg_tensor(&t)}, odd[] = {tile_arg_tensor(&u), tile_arg_tensor(&v)};
    tile_kernel *k = tile_kernel_linked(d, "twice", &twice__linked, own, 1, &e);
    tile_kernel *s = tile_kernel_linked(d, "shift", &shift__linked, NULL, 0, &e);
    for (int i = 0; i < 64 * 32; i++)
        x[i] = (float)i;
    say("prepared", tile_prepare(k, NULL, NULL, args, 3, &e));
    printf("not run: %d\n", y[63] == 0);
    say("captures", tile_capture_begin(d, NULL, &e));
    say("noted", tile_launch(k, NULL, NULL, args, 3, &e));
    args[2].u.i = 63; /* what is noted is a copy */
    tile_graph *g = tile_capture_end(d, NULL, &e);
    printf("not run: %d\n", y[63] == 0);
    say("replayed", tile_graph_replay(g, NULL, &e));
    printf("run: %d\n", y[63] == 126 && y[1] == 2);
    tile_graph_destroy(g);
    say("few", tile_launch(k, NULL, NULL, args, 2, &e));
    say("in place", tile_launch(k, NULL, NULL, same, 3, &e));
    say("fast in place", tile_launch(s, NULL, NULL, both, 2, &e));
    printf("moved: %d\n", x[0] == 48 && x[15 * 48 - 1] == 16 * 48 - 1 && x[15 * 48] == 0);
    say("not fast", tile_launch(s, NULL, NULL, odd, 2, &e));
    odd[1] = odd[0];
    say("not fast, in place", tile_launch(s, NULL, NULL, odd, 2, &e));
    say("consts", tile_launch(tile_kernel_linked(d, "twice", &twice__linked, other, 1, &e), NULL, NULL, args, 3, &e));
    say("no such const",
        tile_launch(tile_kernel_linked(d, "twice", &twice__linked, none, 1, &e), NULL, NULL, args, 3, &e));
    say("defaults", tile_launch(tile_kernel_linked(d, "twice", &twice__linked, NULL, 0, &e), NULL, NULL, args, 3, &e));
    say("no kernel", tile_launch(tile_kernel_linked(d, "once", NULL, own, 1, &e), NULL, NULL, args, 3, &e));
    printf("%d", tile_kernel_linked(d, "twice", &twice__linked, bad, 1, &e) == NULL);
    say("", e.code);
    aot_kernel old = *twice__linked.kernel;
    tile_linked of = {&old, twice__linked.first, twice__linked.last};
    old.version--;
    say("version", tile_launch(tile_kernel_linked(d, "twice", &of, own, 1, &e), NULL, NULL, args, 3, &e));
    old.version++;
    old.tables++;
    say("tables", tile_aot_launch_2(&old, of.first, of.last, NULL, NULL, NULL, &e));
    tile_device_close(d);
    return 0;
}
