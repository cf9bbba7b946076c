/* foreign.c: calling a C function with launch arguments, by libffi: entries of ahead-of-time objects, and references.
 */
#include "runtime/runtime.h"

#include <ffi.h>

static ffi_type *type_of(const tile_arg *a)
{
    switch ((tile_arg_kind)a->kind) {
    case TILE_ARG_INT:
        return &ffi_type_sint64;
    case TILE_ARG_FLOAT:
        return &ffi_type_double;
    case TILE_ARG_NONE:
    case TILE_ARG_PTR:
    case TILE_ARG_TENSOR:
        break;
    }
    return &ffi_type_pointer;
}

int tile_call(tile_entry *f, tile_stream *stream, const int64_t grid[3], const tile_arg *args, int32_t nargs,
              tile_error *err)
{
    ffi_type *types[RT_MAX_ARGS + 3];
    void *values[RT_MAX_ARGS + 3];
    const void *null = NULL, *grid_at = grid;
    tile_error *err_at = err;
    ffi_cif cif;
    ffi_arg result = 0;
    unsigned n = 0;
    rt_clear(err);
    if (nargs < 0 || nargs > RT_MAX_ARGS)
        return rt_fail(err, TILE_E_ARGUMENT, "expected at most %d arguments, found %d", RT_MAX_ARGS, nargs);
    types[n] = &ffi_type_pointer;
    values[n++] = &stream;
    types[n] = &ffi_type_pointer;
    values[n++] = &grid_at;
    for (int i = 0; i < nargs; i++) {
        types[n] = type_of(&args[i]);
        values[n++] = args[i].kind == TILE_ARG_NONE ? (void *)&null : (void *)(uintptr_t)&args[i].u;
    }
    types[n] = &ffi_type_pointer;
    values[n++] = &err_at;
    if (ffi_prep_cif(&cif, FFI_DEFAULT_ABI, n, &ffi_type_sint, types) != FFI_OK)
        return rt_fail(err, TILE_E_DEVICE, "this prototype cannot be called");
    ffi_call(&cif, (void (*)(void))f, &result, values);
    return (int)result;
}
