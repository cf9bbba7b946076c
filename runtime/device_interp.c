/* device_interp.c: the IR interpreter as a device. It runs the IR as lowered, before any pass, in the calling thread.
 */
#include "runtime/runtime.h"

static bool interp_open(tile_device *d, arena *a, str *err)
{
    (void)d;
    (void)a;
    (void)err;
    return true;
}

static void interp_close(tile_device *d)
{
    (void)d;
}

/* few, on purpose: so that programs that run on over several tiles do so */
static int64_t interp_resident(const tile_device *d, const ir_func *k, const rt_code *code)
{
    (void)code;
    (void)d;
    return k->cooperative ? 64 : 2;
}

/* spans that begin and end inside tiles, on purpose: about two tiles in three programs */
static int64_t interp_stream_programs(int64_t tiles, int64_t steps)
{
    int64_t work, n = tiles + tiles / 2 + (tiles > 0);
    return __builtin_mul_overflow(tiles, steps, &work) || n < work ? n : work > 0 ? work : tiles;
}

static bool interp_launch(tile_device *d, arena *a, const rt_start *s, rt_host *h, str *err)
{
    interp_options opt = {.host = &h->abi, .check_asserts = true, .bounds = s->bounds, .nbounds = s->nbounds};
    (void)d;
    return interp_kernel(a, s->f, s->args, &opt, err);
}

const rt_driver rt_driver_interp = {
    .name = "interp",
    .doc = "the IR interpreter: plain and slow, checks every access",
    .open = interp_open,
    .close = interp_close,
    .resident = interp_resident,
    .stream_programs = interp_stream_programs,
    .launch = interp_launch,
};
