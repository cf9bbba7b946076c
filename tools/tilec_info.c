/* tilec_info.c: `tilec targets` and `tilec version`. */
#include "tools/tilec.h"

#include "runtime/runtime.h"

#include <string.h>
#include <stdio.h>

int tilec_targets(tilec *t)
{
    if (t->words.n)
        return tilec_say(EXIT_USAGE, "targets takes no arguments");
    printf("targets (--target):\n");
    if (backend_missing())
        return tilec_say(EXIT_DEVICE, "%s", backend_missing());
    for (uint32_t i = 0; backend_at(i); i++) {
        const tile_backend *b = backend_at(i);
        printf("  %-20s %s\n", b->family, b->doc);
        for (uint32_t c = 0; c < b->nchips; c++)
            if (b->chip_notes && b->chip_notes[c])
                printf("  %s:%-*s %s\n", b->family, 19 - (int)strlen(b->family), b->chips[c], b->chip_notes[c]);
            else
                printf("  %s:%s\n", b->family, b->chips[c]);
    }
    str host = cpu_host_describe(t->a);
    printf("devices (--device):\n");
    for (int i = 0; rt_drivers[i]; i++) {
        str name = str_fmt(t->a, "%s%s", rt_drivers[i]->name, rt_drivers[i]->numbered ? ":N" : "");
        printf("  %-20.*s %s\n", STR_ARG(name), rt_drivers[i]->doc);
    }
    printf("host: %.*s\n", STR_ARG(host));
    return EXIT_DONE;
}

int tilec_version(tilec *t)
{
    if (t->words.n)
        return tilec_say(EXIT_USAGE, "version takes no arguments");
    printf("tilec %s\n", tile_version());
    return EXIT_DONE;
}
