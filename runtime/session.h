/* session.h: one kernel with arguments given as text: what `tilec run` and the run tests do. */
#ifndef TILE_RUNTIME_SESSION_H
#define TILE_RUNTIME_SESSION_H

#include "runtime/array.h"
#include "runtime/compile.h"
#include "runtime/tile.h"

typedef struct rt_session rt_session;

typedef struct rt_session_request {
    str path, kernel;
    const char *text; /* NULL: read from path; else path only names it */
    const str *args;  /* "NAME=VALUE" */
    uint32_t nargs;
    const str *defines, *imports;
    uint32_t ndefines, nimports;
    bool checked, has_grid;
    int64_t grid[3];
    str dir; /* of relative @FILE values; empty: the working directory */
} rt_session_request;

/* session.c; NULL + err. Every VALUE is parsed; arguments not named must be optional, and are None */
rt_session *rt_session_open(tile_device *dev, const rt_session_request *q, tile_error *err);
void rt_session_close(rt_session *s);
/* one launch, waited for; on a device with its own memory arrays go there when the session opens, and those that the
 * kernel writes come back now */
MUST_USE bool rt_session_launch(rt_session *s, tile_error *err);
/* n more launches, one after the other; at[i] is what the i-th took in seconds, by the device's events */
MUST_USE bool rt_session_repeat(rt_session *s, uint32_t n, double *at, tile_error *err);
/* tile_tune with these arguments */
MUST_USE bool rt_session_tune(rt_session *s, tile_progress_fn *progress, void *ctx, tile_tuned *out, tile_error *err);
/* a line on the code of the kernel: registers, spills, shared memory; nothing where the device keeps no such figures */
void rt_session_code(rt_session *s, strbuf *out);
/* a line for each argument that the kernel writes: "out: f32[4]: 1 2 3 4" */
void rt_session_summary(rt_session *s, strbuf *out);
MUST_USE bool rt_session_save(rt_session *s, arena *a, str arg, const char *path, str *err);
const compile_times *rt_session_times(const rt_session *s);
/* the array given for an argument, or NULL */
const npy_array *rt_session_array(const rt_session *s, str arg);

#endif
