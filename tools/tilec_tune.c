/* tilec_tune.c: `tilec tune FILE KERNEL ARG=VALUE...`: times the configs of the kernel's @tune line on this machine
 * with these arguments, and keeps the best for the launches to come (runtime/tune.c does the work).
 */
#include "tools/tilec.h"

#include "runtime/session.h"

#include <stdio.h>

static int report(const tilec *t, const tile_tuned *r)
{
    const char *kernel = str_cstr(t->a, t->words.at[1]);
    if (r->configs == 0) {
        printf("%s: nothing to choose: no @tune line with several configs\n", kernel);
        return EXIT_DONE;
    }
    printf("%s: %s: %.3f us", kernel, r->choice, r->seconds * 1e6);
    if (r->first_seconds > 0)
        printf(", %.2f times as fast as the first config (%.3f us)", r->first_seconds / r->seconds,
               r->first_seconds * 1e6);
    printf("; %d configs", r->configs);
    if (r->failed)
        printf(", %d of them failed", r->failed);
    printf("\n");
    return EXIT_DONE;
}

int tilec_tune(tilec *t)
{
    rt_session_request q = {0};
    tile_error err;
    tile_tuned tuned;
    int code = tilec_request(t, "tune", &q);
    if (code != EXIT_DONE)
        return code;
    tile_device *dev = tile_device_open(str_cstr(t->a, tilec_has(t, OPT_DEVICE) ? t->opt[OPT_DEVICE] : S("cpu")), &err);
    if (!dev)
        return tilec_say(err.code == TILE_E_MISSING ? EXIT_USAGE : EXIT_DEVICE, "%s", err.text);
    rt_session *s = rt_session_open(dev, &q, &err);
    code = s && rt_session_tune(s, tilec_bar, NULL, &tuned, &err) ? report(t, &tuned) : tilec_fail(&err);
    rt_session_close(s);
    tile_device_close(dev);
    return code;
}
