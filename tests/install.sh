#!/bin/sh
# install.sh: the install, tried: a program of ten lines is compiled against pkg-config's answer, shared and static, and
# run; so is the installed tilec.
set -e
B=${B:-build/test}
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
make --no-print-directory -s install B="$B" DESTDIR="$top" PREFIX=/opt/tile ${DEFS:+DEFS="$DEFS"} >/dev/null
at=$top/opt/tile
PKG_CONFIG_PATH=$at/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$top
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
cat > "$top/p.c" <<'C'
#include <stdio.h>
#include <tile.h>
int main(void)
{
    tile_error e;
    tile_device *d = tile_device_open("cpu", &e);
    if (!d) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    printf("tile %s\n", tile_version());
    tile_device_close(d);
    return 0;
}
C
cc "$top/p.c" -o "$top/shared" $(pkg-config --cflags --libs tile)
LD_LIBRARY_PATH=$at/lib "$top/shared" | grep -q "^tile $(pkg-config --modversion tile)$"
libs=$(pkg-config --static --libs tile | sed 's/-ltile//')
cc "$top/p.c" -o "$top/static" $(pkg-config --cflags tile) "$at/lib/libtile.a" $libs
"$top/static" | grep -q '^tile '
"$at/bin/tilec" version | grep -q "$(pkg-config --modversion tile)"
"$at/bin/tilec" check "$at"/share/tile/kernels/*.tile
[ "$(nm -D --defined-only "$at/lib/libtile.so" | awk '$3 !~ /^(tile_|TILE_0)/' | wc -l)" = 0 ]
echo "5 passed, 0 failed, 0 skipped"
