/* drivers.c: the table of devices of programs that only run ahead-of-time objects (libtile_rt): this machine's cores,
 * without the making of code.
 */
#include "runtime/runtime.h"

const rt_driver rt_driver_cpu = {
    .name = "cpu",
    .doc = "this machine's cores",
    .threaded = true,
    .hold = rt_cpu_hold,
    .open = rt_cpu_open,
    .close = rt_cpu_close,
    .launch = rt_cpu_launch,
};

const rt_driver *const rt_drivers[] = {&rt_driver_cpu, NULL};
