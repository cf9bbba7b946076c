/* export.c: the one thing that the code generators' library shows: its table of functions. It has a copy of its own of
 * base and compiler, which keep no state, so nothing but these calls crosses.
 */
#include "backends/backend.h"

extern const tile_codegen tile_codegen_table;
const tile_codegen tile_codegen_table = {
    .build = codegen_build_id,
    .at = backend_at,
    .find = backend_find,
    .cpu_object = cpu_object,
    .cpu_object_for = cpu_object_for,
    .cpu_explain = cpu_explain,
    .cpu_host_describe = cpu_host_describe,
    .gpu_compile = gpu_compile,
};
