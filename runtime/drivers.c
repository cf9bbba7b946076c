/* drivers.c: the table of devices, and their code generators. Programs that only run ahead-of-time objects have a table
 * of their own (runtime/aot/drivers.c), without compilers.
 *
 * To add a device: a driver in a file of its own, and a row here.
 */
#include "runtime/runtime.h"

const rt_driver *const rt_drivers[] = {&rt_driver_cpu, &rt_driver_interp, &rt_driver_cuda, NULL};

const tile_backend *rt_backend(tile_device *d, diags *ds)
{
    backend_target known;
    if (!d->backend && d->driver->lazy) /* several threads find the same */
        d->backend = backend_find(str_of(d->driver->target), &known, ds->a);
    if (!d->backend && backend_missing())
        diag_report(ds, DIAG_ERROR, "device", (span){0}, "%s", backend_missing());
    else if (!d->backend)
        diag_report(ds, DIAG_ERROR, "device", (span){0}, "this build has no code generator for device '%s'", d->name);
    return d->backend;
}
