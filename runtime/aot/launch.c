/* launch.c: launches in programs that only run ahead-of-time objects (libtile_rt): every kernel is one of those. */
#include "runtime/aot.h"

int tile_launch(tile_kernel *k, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
                tile_error *err)
{
    return aot_kernel_launch(k, stream, grid, args, nargs, err, true);
}

int tile_prepare(tile_kernel *k, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
                 tile_error *err)
{
    return aot_kernel_launch(k, stream, grid, args, nargs, err, false);
}

/* nothing is compiled: what is left of it is scratch memory */
int tile_prepare_many(const tile_request *list, int32_t n, tile_progress_fn *progress, void *ctx, tile_error *err)
{
    tile_error last, *to = err;
    int code = TILE_OK;
    for (int32_t i = 0; i < n; i++) {
        const tile_request *q = &list[i];
        int now = tile_prepare(q->kernel, q->stream, q->grid, q->args, q->nargs, to);
        if (code == TILE_OK && now != TILE_OK) { /* the first that fails is told */
            code = now;
            to = &last;
        }
        if (progress)
            progress(ctx, "preparing", i + 1, n);
    }
    return code;
}
